"""`nd.sparse`: MXNet's sparse arrays, which are dense here, with one warning.

>>> import warnings
>>> from gluonjax.mx import nd
>>> with warnings.catch_warnings():
...     warnings.simplefilter('ignore')
...     nd.sparse.csr_matrix(([7, 8], [1, 0], [0, 1, 2]), shape=(2, 2)).asnumpy()
array([[0., 7.],
       [8., 0.]], dtype=float32)
"""

import functools
import warnings
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray

BaseSparseNDArray = CSRNDArray = RowSparseNDArray = NDArray


@functools.cache
def warn_once() -> None:
    """Says that arrays are dense, the first time."""
    warnings.warn('sparse arrays of MXNet are dense here: their storage type is accepted and ignored', stacklevel=3)


def csr_matrix(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> NDArray:
    """A matrix from (data, indices, indptr), (data, (rows, columns)), a shape, or something dense.

    Raises:
        ArgumentError: for parts without a shape, where none follows from them.
    """
    warn_once()
    parts = arg1 if isinstance(arg1, tuple | list) else ()
    if len(parts) == 3:
        data, columns, ends = (_numbers(part) for part in parts)
        rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends.astype(int)))
        return _scattered(data, (rows, columns), shape or (len(ends) - 1, int(columns.max(initial=-1)) + 1), ctx, dtype)
    if len(parts) == 2 and isinstance(parts[1], tuple | list):
        return _scattered(_numbers(parts[0]), tuple(map(_numbers, parts[1])), shape, ctx, dtype)
    if len(parts) == 2 and all(isinstance(size, int) for size in parts):
        return ndarray.zeros(tuple(parts), ctx, dtype)
    return ndarray.array(arg1, ctx, dtype)


def row_sparse_array(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> NDArray:
    """An array from (rows, their numbers), a shape, or something dense.

    Raises:
        ArgumentError: for rows without a shape.
    """
    warn_once()
    if isinstance(arg1, tuple) and len(arg1) == 2 and not all(isinstance(size, int) for size in arg1):
        return _scattered(_numbers(arg1[0]), (_numbers(arg1[1]),), shape, ctx, dtype)
    if isinstance(arg1, tuple) and all(isinstance(size, int) for size in arg1):
        return ndarray.zeros(arg1, ctx, dtype)
    return ndarray.array(arg1, ctx, dtype)


def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> NDArray:
    """A dense copy of a sparse array, of SciPy's too."""
    warn_once()
    return ndarray.array(source_array.toarray() if hasattr(source_array, 'toarray') else source_array, ctx, dtype)


def zeros(stype: str, shape: Any, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Zeros; the storage type is accepted."""
    warn_once()
    return ndarray.zeros(shape, ctx, dtype)


def empty(stype: str, shape: Any, ctx: Any = None, dtype: Any = None) -> NDArray:
    """Zeros, as JAX has no memory without values."""
    return zeros(stype, shape, ctx, dtype)


def _numbers(part: Any) -> np.ndarray:
    return part.asnumpy() if isinstance(part, NDArray) else np.asarray(part)


def _scattered(data: np.ndarray, places: tuple[np.ndarray, ...], shape: Any, ctx: Any, dtype: Any) -> NDArray:
    if shape is None:
        raise ArgumentError('the shape of a sparse array is unknown', remedy='shape=(rows, columns)')
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, tuple(place.astype(int) for place in places), data)
    return ndarray.array(dense, ctx, dtype)
