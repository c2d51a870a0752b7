"""Arrays of MXNet's programs, of the dialect that is spoken, and the host's arrays in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluonjax.mx.array import NDArray, array_class, as_jax
from gluonjax.mx.entry import explain_calls


def handle(array: Any) -> Any:
    """A copy as `mx.nd.NDArray`, or after `set_np` as `mx.np.ndarray`, in the dtype that it has."""
    value, kind = as_jax(array), array_class()
    return kind(value if value.shape or kind.scalars else value.reshape(1))


def host(array: Any) -> np.ndarray:
    """NumPy's array of one, without a copy where that can be."""
    return np.asarray(array.value if isinstance(array, NDArray) else array)


def handles(batch: Any) -> Any:
    """The arrays of a batch as MXNet's, and tuples as lists."""
    if isinstance(batch, np.ndarray):
        return handle(batch)
    if isinstance(batch, tuple | list):
        return [handles(part) for part in batch]
    return {name: handles(part) for name, part in batch.items()} if isinstance(batch, dict) else batch


explain_calls(globals(), functions=False)
