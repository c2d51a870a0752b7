"""`mx.npx`: what MXNet adds to NumPy: operators of networks on `mx.np.ndarray`, and the switch of dialects.

>>> from gluonjax.mx import np, npx
>>> npx.relu(np.array([-1, 2]))
array([0., 2.])
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as onp

from gluonjax.errors import ArgumentError, MissingNameError
from gluonjax.mx import array as arrays
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus
from gluonjax.mx.dialect import (
    is_np_array,
    is_np_shape,
    np_array,
    np_shape,
    reset_np,
    set_np,
    use_np,
    use_np_array,
    use_np_shape,
)
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.numpy.array import ndarray, on_host
from gluonjax.mx.numpy.random import seed
from gluonjax.mx.numpy_extension import image, random
from gluonjax.mx.op import OPERATORS, find

waitall: Callable[[], None] = nd.waitall
__all__ = [
    'Context',
    'cpu',
    'cpu_pinned',
    'current_context',
    'gpu',
    'image',
    'is_np_array',
    'is_np_shape',
    'load',
    'nonzero',
    'np_array',
    'np_shape',
    'num_gpus',
    'random',
    'reset_np',
    'reshape',
    'save',
    'seed',
    'set_np',
    'use_np',
    'use_np_array',
    'use_np_shape',
    'waitall',
]

# Operators of `mx.nd` that programs call as `npx.`, beside those that MXNet names so.
_OTHERS = {
    'box_nms': '_contrib_box_nms',
    'foreach': '_foreach',
    'group_norm': 'GroupNorm',
    'instance_norm': 'InstanceNorm',
    'masked_softmax': 'masked_softmax',
    'sequence_last': 'SequenceLast',
    'sequence_reverse': 'SequenceReverse',
    'ctc_loss': 'CTCLoss',
    'stop_gradient': 'BlockGrad',
    'softmin': 'softmin',
    'broadcast_like': 'broadcast_like',
    'gelu': '_gelu',
}


def name_of(name: str) -> str | None:
    """The operator that `npx.name` is; None without one."""
    for found in (f'_npx_{name}', _OTHERS.get(name, '')):
        if found in OPERATORS:
            return found
    return None


@functools.cache
def _function(name: str, operator: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return arrays.call(operator, *args, **kwargs)

    function.__name__, function.__doc__ = name, find(operator).function.__doc__
    return function


def nonzero(a: NDArray) -> ndarray:
    """The coordinates of what is not 0, of shape (number, axes)."""
    return on_host(lambda x: onp.stack(onp.nonzero(x), -1).astype('int64'), a)


def reshape(a: NDArray, newshape: Any, reverse: bool = False, order: str = 'C') -> Any:
    """In another shape: -1 the rest, -2 keeps an axis, -3 drops one of size 1, -4 keeps all, -5 joins, -6 splits."""
    codes = (newshape,) if isinstance(newshape, int) else tuple(newshape)
    return arrays.call('_npx_reshape', a, newshape=codes, reverse=reverse)


def constraint_check(x: NDArray, msg: str = '') -> ndarray:
    """Whether all elements are true.

    Raises:
        ArgumentError: with the message, if one is not.
    """
    if not onp.all(x.asnumpy()):
        raise ArgumentError(msg or 'the constraint does not hold')
    return ndarray(arrays.as_jax(True, bool))


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """The free and the total bytes of a GPU, of what JAX may use.

    Raises:
        ArgumentError: if there is no such GPU.
    """
    stats = gpu(device_id).device.memory_stats() or {}
    total = stats.get('bytes_limit', 0)
    return total - stats.get('bytes_in_use', 0), total


def save(file: str | os.PathLike[str], arr: Any) -> None:
    """Writes an array, a list of them, or a dict, as MXNet does."""
    nd.save(file, arr)


def load(file: str | os.PathLike[str]) -> Any:
    """The arrays of a file: a list, or a dict if they have names."""
    found = nd.load(file)
    if isinstance(found, dict):
        return {name: x.as_np_ndarray() for name, x in found.items()}
    return [x.as_np_ndarray() for x in found]


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every operator that MXNet's `npx` has."""
        operator = None if name.startswith('__') else name_of(name)
        if operator is None:
            raise MissingNameError(f'gluonjax.mx.npx has no {name!r}', name=name)
        return _function(name, operator)


explain_calls(globals())
