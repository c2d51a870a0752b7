"""Comparisons of arrays within tolerances, those that are given or those of their dtypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax.mx.array import NDArray

_TOLERANCES = {'float16': (1e-2, 1e-1), 'bfloat16': (5e-2, 1e-1), 'float32': (1e-4, 1e-3), 'float64': (1e-5, 1e-20)}
_COMPARED = ('float16', 'float32', 'float64', 'bool', 'int8', 'uint8', 'int32', 'uint32', 'int64', 'uint64')


def get_rtol(rtol: float | None = None, dtype: Any = 'float32') -> float:
    """The relative tolerance: the one given, or that of a dtype."""
    return _TOLERANCES.get(np.dtype(dtype).name, (0, 0))[0] if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = 'float32') -> float:
    """The absolute tolerance: the one given, or that of a dtype."""
    return _TOLERANCES.get(np.dtype(dtype).name, (0, 0))[1] if atol is None else atol


def default_rtols() -> dict[np.dtype, float]:
    """The relative tolerances of comparisons, by dtype."""
    return {np.dtype(name): get_rtol(None, name) for name in _COMPARED}


def default_atols() -> dict[np.dtype, float]:
    """The absolute tolerances of comparisons, by dtype."""
    return {np.dtype(name): get_atol(None, name) for name in _COMPARED}


def get_tols(x: Any, y: Any, rtol: float | None = None, atol: float | None = None) -> tuple[float, float]:
    """The relative and the absolute tolerance by which two arrays are compared."""
    return _tolerances(*_pair(x, y), rtol, atol)


def get_tolerance(dat: Any, tol: Any, default_tol: Any) -> float:
    """A tolerance: as given, for the dtype of an array, or by default."""
    table = default_tol if tol is None else tol
    return table[effective_dtype(dat)] if isinstance(table, Mapping) else table


def get_etol(etol: float | None = None) -> float:
    """The fraction of elements that may differ."""
    return etol or 0


def as_numpy(x: Any) -> np.ndarray:
    """An array on the host."""
    return x.asnumpy() if isinstance(x, NDArray) else np.asarray(x)


def _pair(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    return as_numpy(a), as_numpy(b)


def _tolerances(a: np.ndarray, b: np.ndarray, rtol: float | None, atol: float | None) -> tuple[float, float]:
    """Of the coarser dtype, where none are given."""
    coarse = max((a.dtype.name, b.dtype.name), key=lambda name: _TOLERANCES.get(name, (0, 0)))
    return get_rtol(rtol, coarse), get_atol(atol, coarse)


def same(a: Any, b: Any) -> bool:
    """Whether all elements are equal."""
    return np.array_equal(*_pair(a, b))


def almost_equal(a: Any, b: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False) -> bool:
    """Whether all elements are equal within tolerances, by default those of the dtypes."""
    one, other = _pair(a, b)
    return np.allclose(one, other, *_tolerances(one, other, rtol, atol), equal_nan=equal_nan)


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    names: Sequence[str] = ('a', 'b'),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: Any = (10, 10),
) -> None:
    """Compares all elements within tolerances.

    Raises:
        AssertionError: if they differ, or their shapes do.
    """
    one, other = _pair(a, b)
    if not use_broadcast and one.shape != other.shape:
        raise AssertionError(f'{names[0]} has shape {one.shape}, {names[1]} has shape {other.shape}')
    relative, absolute = _tolerances(one, other, rtol, atol)
    message = f'{names[0]} and {names[1]} differ'
    np.testing.assert_allclose(one, other, relative, absolute, equal_nan=equal_nan, err_msg=message)


assert_allclose: Callable[..., None] = assert_almost_equal


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    etol: float | None = None,
    names: Sequence[str] = ('a', 'b'),
    equal_nan: bool = False,
    mismatches: Any = (10, 10),
) -> None:
    """As `assert_almost_equal`, but that a fraction `etol` of the elements may differ.

    Raises:
        AssertionError: if more do.
    """
    one, other = _pair(a, b)
    relative, absolute = _tolerances(one, other, rtol, atol)
    wrong = 1 - np.isclose(one, other, relative, absolute, equal_nan).mean()
    if wrong > (etol or 0):
        raise AssertionError(f'{names[0]} and {names[1]} differ in {wrong:.2%} of their elements')


def effective_dtype(dat: Any) -> np.dtype:
    """The dtype by which an array is compared."""
    return np.dtype(getattr(dat, 'dtype', type(dat)))


def default_numeric_eps() -> dict[np.dtype, float]:
    """The steps of differences, by dtype."""
    return {np.dtype(name): 2.0**-power for name, power in (('float16', 6), ('float32', 9), ('float64', 14))}


def np_reduce(dat: np.ndarray, axis: Any, keepdims: bool, numpy_reduce_func: Callable[..., Any]) -> np.ndarray:
    """A reduction of NumPy, one axis after another, which keeps them or not."""
    axes = range(dat.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for each in sorted((each % dat.ndim for each in axes), reverse=True):
        dat = np.asarray(numpy_reduce_func(dat, axis=each))
        dat = np.expand_dims(dat, each) if keepdims else dat
    return dat


def collapse_sum_like(a: Any, shape: Sequence[int]) -> Any:
    """The sum over what was broadcast from a shape."""
    a = a.sum(tuple(range(a.ndim - len(shape)))) if a.ndim > len(shape) else a
    axes = tuple(i for i, size in enumerate(shape) if size == 1 < a.shape[i])
    return a.sum(axes, keepdims=True) if axes else a


def almost_equal_ignore_nan(a: Any, b: Any, rtol: float | None = None, atol: float | None = None) -> bool:
    """As `almost_equal`, where neither is nan."""
    one, other = _pair(a, b)
    there = ~(np.isnan(one) | np.isnan(other))
    return almost_equal(one[there], other[there], rtol, atol)


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, names: Sequence[str] = ('a', 'b')
) -> None:
    """As `assert_almost_equal`, where neither is nan."""
    one, other = _pair(a, b)
    there = ~(np.isnan(one) | np.isnan(other))
    assert_almost_equal(one[there], other[there], rtol, atol, names)


def assert_exception(f: Callable[..., Any], exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """Calls a function, which is to raise.

    Raises:
        AssertionError: if it does not.
    """
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f'{f} did not raise {exception_type.__name__}')


def same_array(array1: NDArray, array2: NDArray) -> bool:
    """Whether two arrays share memory: a write into one is seen in the other."""
    before = array1.copy()
    array1[:] = before + 1
    seen = same(array1, array2)
    array1[:] = before
    return seen and same(array1, array2)
