"""Where the arrays of a module are: on the device of its context, or over those of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.context import Context, default_device
from gluonjax.mx.executor import as_value


class Placement:
    """Puts arrays on the devices of contexts: parameters on all of them, batches split.

    Args:
        context: one, or several.
    """

    def __init__(self, context: Context | Sequence[Context]):
        self.contexts: list[Context] = [context] if isinstance(context, Context) else list(context)
        self._devices = list(dict.fromkeys(each.device for each in self.contexts))
        self._mesh = Mesh(np.array(self._devices), ('batch',)) if len(self._devices) > 1 else None

    def replicate(self, value: Any) -> NDArray:
        """The array on all devices."""
        return NDArray(self._put(as_jax(value), PartitionSpec()))

    def split(self, value: Any, axis: int) -> jax.Array:
        """The array with an equal part on each device; on all of them, if it has no such parts."""
        array, count = as_value(value), len(self._devices)
        if axis < 0 or axis >= array.ndim or array.shape[axis] % count:
            return self._put(array, PartitionSpec())
        return self._put(array, PartitionSpec(*[None] * axis, 'batch'))

    def _put(self, array: jax.Array, spec: PartitionSpec) -> jax.Array:
        if self._mesh is not None:
            return jax.device_put(array, NamedSharding(self._mesh, spec))
        return array if self._devices[0] == default_device() else jax.device_put(array, self._devices[0])

    def parts(self, array: NDArray, axis: int) -> list[NDArray]:
        """The part of each context."""
        count = len(self.contexts)
        if count == 1 or axis < 0 or array.shape[axis] % count:
            return [array] * count
        return [NDArray(part) for part in jax.numpy.split(array.value, count, axis)]
