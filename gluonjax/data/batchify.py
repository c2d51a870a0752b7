"""How samples become a batch: stacked, padded to one length, or each part in a way of its own.

>>> together = Group(Stack(), Pad(val=-1))
>>> together([(1, [5]), (2, [6, 7])])
(array([1, 2], dtype=int32), array([[ 5, -1],
       [ 6,  7]], dtype=int32))
"""

from __future__ import annotations

import numbers
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jax import dtypes
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import ArgumentError, DataError
from gluonjax.lazy import entry_points

Batchify = Callable[[Sequence[Any]], Any]


def as_numpy(sample: Any) -> np.ndarray:
    """An array of NumPy; Python's numbers in the dtype that JAX gives them.

    Raises:
        DataError: for lists of unequal lengths.
    """
    if isinstance(sample, np.ndarray):
        return sample
    try:
        array = np.asarray(getattr(sample, 'value', sample))
    except ValueError:
        raise DataError('a sample is no array: its lists have unequal lengths', got=reprlib.repr(sample)) from None
    return array if hasattr(sample, 'dtype') else array.astype(_canonical(array.dtype))


def _canonical(dtype: np.dtype) -> np.dtype:
    return dtypes.canonicalize_dtype(dtype) if dtype.kind in 'iuf' else dtype


def default_batchify_fn(data: Sequence[Any]) -> Any:
    """A batch of samples: parts of tuples and of dicts by themselves, arrays and numbers stacked, strings as a list.

    Raises:
        DataError: if arrays have different shapes.

    >>> default_batchify_fn([(np.zeros(2), 1), (np.ones(2), 2)])
    (array([[0., 0.],
       [1., 1.]]), array([1, 2], dtype=int32))
    """
    first = data[0]
    if isinstance(first, tuple):
        parts = map(default_batchify_fn, zip(*data, strict=True))
        return type(first)(*parts) if hasattr(first, '_fields') else tuple(parts)
    if isinstance(first, Mapping):
        return {name: default_batchify_fn([sample[name] for sample in data]) for name in first}
    if isinstance(first, str | bytes):
        return list(data)
    if isinstance(first, numbers.Number) and not hasattr(first, 'dtype'):
        return as_numpy(list(data))
    return _stacked(list(map(as_numpy, data)))


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    if len({array.shape for array in arrays}) > 1:
        raise DataError(
            'samples of different shapes cannot be stacked',
            got=', '.join(sorted({str(array.shape) for array in arrays})),
            remedy='batchify_fn=gluonjax.data.batchify.Pad() pads them; a transform may crop or resize them',
        )
    return np.stack(arrays)


@entry_points
class Stack:
    """Samples of one shape stacked, the batch's axis first.

    Args:
        use_shared_mem: MXNet's; accepted.

    >>> Stack()([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """

    def __init__(self, use_shared_mem: bool = False):
        self.use_shared_mem: bool = use_shared_mem

    def __call__(self, data: Sequence[Any]) -> Any:
        return _stacked(list(map(as_numpy, data)))


@entry_points
class Pad:
    """Samples padded at the end of every axis to the largest, and stacked.

    Args:
        val: what is put there; 0 if it is None.
        dtype: of the batch; that of the first sample by default.
        round_to: lengths are multiples of it, so that fewer of them are compiled; a number, or one an axis.
        use_shared_mem: MXNet's; accepted.

    Raises:
        DataError: if samples have different numbers of axes.

    >>> Pad(round_to=4)([[1, 2, 3], [4]])
    array([[1, 2, 3, 0],
           [4, 0, 0, 0]], dtype=int32)
    """

    def __init__(
        self,
        val: float | None = None,
        dtype: DTypeLike | None = None,
        round_to: int | Sequence[int] | None = None,
        use_shared_mem: bool = False,
    ):
        self._val = 0 if val is None else val
        self._dtype = dtype
        self._round_to = round_to
        self.use_shared_mem: bool = use_shared_mem

    def __call__(self, data: Sequence[Any]) -> Any:
        arrays = list(map(as_numpy, data))
        if len({array.ndim for array in arrays}) > 1:
            got = [array.shape for array in arrays]
            raise DataError('samples of different numbers of axes cannot be padded to one shape', got=got)
        shape = self._rounded(np.max([array.shape for array in arrays], axis=0).astype(int).tolist())
        batch = np.full((len(arrays), *shape), self._val, self._dtype or arrays[0].dtype)
        for row, array in zip(batch, arrays, strict=True):
            row[tuple(map(slice, array.shape))] = array
        return batch

    def _rounded(self, shape: list[int]) -> list[int]:
        if self._round_to is None:
            return shape
        steps = [self._round_to] * len(shape) if isinstance(self._round_to, int) else list(self._round_to)
        if len(steps) != len(shape):
            raise ArgumentError('round_to is a number, or one for each axis', expected=len(shape), got=steps)
        return [-(-size // checks.size('round_to', step)) * step for size, step in zip(shape, steps, strict=True)]


@entry_points
class Append:
    """Each sample an array of its own, in a list.

    Args:
        expand: whether it gets an axis for a batch of one.
        batch_axis: where that is.
        use_shared_mem: MXNet's; accepted.

    >>> [array.shape for array in Append()([[1, 2], [3]])]
    [(1, 2), (1, 1)]
    """

    def __init__(self, expand: bool = True, batch_axis: int = 0, use_shared_mem: bool = False):
        self._expand, self._batch_axis = expand, batch_axis
        self.use_shared_mem: bool = use_shared_mem

    def __call__(self, data: Sequence[Any]) -> list[Any]:
        arrays = list(map(as_numpy, data))
        return [np.expand_dims(array, self._batch_axis) for array in arrays] if self._expand else arrays


@entry_points
class Group:
    """The parts of samples, each by a function of its own.

    Args:
        fn: that of the first part, or a list of all.
        *args: those of the others.

    Raises:
        DataError: when called, if samples have another number of parts.
    """

    def __init__(self, fn: Batchify | Sequence[Batchify], *args: Batchify):
        functions = [*fn, *args] if isinstance(fn, list | tuple) else [fn, *args]
        for function in functions:
            if not callable(function):
                raise ArgumentError('batchify functions are callable', got=repr(function))
        self._functions: list[Any] = functions

    def __call__(self, data: Sequence[Any]) -> Any:
        if len(data[0]) != len(self._functions):
            raise DataError(
                'each part of a sample has a batchify function', expected=len(self._functions), got=len(data[0])
            )
        return tuple(function([sample[i] for sample in data]) for i, function in enumerate(self._functions))


@entry_points
class AsList:
    """The samples as they are, in a list: for strings and what else is no array."""

    def __call__(self, data: Sequence[Any]) -> list[Any]:
        return list(data)


Tuple = Group
List = AsList
