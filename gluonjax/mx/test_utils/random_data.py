"""Random shapes and arrays, by NumPy's global numbers, which tests seed."""

# ruff: noqa: NPY002  (programs seed the global numbers of NumPy)
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Sizes from 1 (or 0) to `dim`."""
    return tuple(int(size) for size in np.random.randint(0 if allow_zero_size else 1, dim + 1, num_dim))


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, int]:
    """Two sizes, up to `dim0` and `dim1`."""
    least = 0 if allow_zero_size else 1
    return int(np.random.randint(least, dim0 + 1)), int(np.random.randint(least, dim1 + 1))


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Three sizes."""
    return (*rand_shape_2d(dim0, dim1, allow_zero_size), rand_shape_2d(dim2, dim2, allow_zero_size)[0])


def rand_ndarray(
    shape: Sequence[int], stype: str = 'default', density: float | None = None, dtype: Any = None, **kwargs: Any
) -> NDArray:
    """Uniform numbers from -1 to 1; of sparse types many are 0."""
    values = np.random.uniform(-1, 1, tuple(shape))
    if stype != 'default':
        values *= np.random.uniform(size=shape) < (np.random.rand() if density is None else density)
    return ndarray.array(values, dtype=dtype or 'float32').tostype(stype)


def rand_sparse_ndarray(
    shape: Sequence[int], stype: str, density: float | None = None, dtype: Any = None, **kwargs: Any
) -> tuple[NDArray, tuple[Any, ...]]:
    """As `rand_ndarray`, with the parts of MXNet's array: (data, indptr, indices), or (data, rows)."""
    made = rand_ndarray(shape, stype, density, dtype)
    values = made.asnumpy()
    if stype == 'row_sparse':
        rows = np.flatnonzero(values.reshape(len(values), -1).any(1))
        return made, (values[rows], rows)
    rows, columns = values.nonzero()
    return made, (values[rows, columns], np.searchsorted(rows, np.arange(len(values) + 1)), columns)


def create_sparse_array(
    shape: Sequence[int], stype: str, data_init: float | None = None, density: float = 0.5, **kwargs: Any
) -> NDArray:
    """As `rand_ndarray`; the elements that are not 0 are `data_init`, if that is given."""
    made = rand_ndarray(shape, stype, density, kwargs.get('dtype'))
    return made if data_init is None else ((made != 0) * data_init).tostype(stype)


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
    """A place in a rectangle."""
    return int(np.random.randint(x_low, x_high)), int(np.random.randint(y_low, y_high))


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> NDArray:
    """The number of its row everywhere."""
    return ndarray.array(np.arange(rows).reshape(-1, 1) + np.zeros((1, columns)), dtype=dtype)


def create_vector(size: int, dtype: Any = np.int64) -> NDArray:
    """The numbers from 0 on."""
    return ndarray.arange(0, size, dtype=dtype)


def random_arrays(*shapes: Any) -> Any:
    """Normally distributed arrays of NumPy: a list, or the one."""
    made = [np.array(np.random.standard_normal(shape), np.float32) for shape in shapes]
    return made[0] if len(made) == 1 else made


def random_sample(population: Sequence[Any], k: int) -> list[Any]:
    """Some of the elements, in their order."""
    chosen = sorted(np.random.permutation(len(population))[:k])
    return [population[i] for i in chosen]


def random_uniform_arrays(*shapes: Any, low: float = 0.0, high: float = 1.0, dtype: Any = np.float32) -> list[Any]:
    """Uniformly distributed arrays of NumPy."""
    return [np.array(np.random.uniform(low, high, shape), dtype) for shape in shapes]


def assign_each(input: np.ndarray, function: Callable[[Any], Any]) -> np.ndarray:
    """A function of each element."""
    return np.array(np.vectorize(function)(input))


def assign_each2(input1: np.ndarray, input2: np.ndarray, function: Callable[..., Any]) -> np.ndarray:
    """A function of the elements of two arrays."""
    return np.array(np.vectorize(function)(input1, input2))
