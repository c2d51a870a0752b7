"""`nd.sparse`: MXNet's sparse arrays, which are dense here, with one warning.

They have a class and a storage type of their own, and give their parts: what is not 0, and where. Operations on them
give dense arrays.

>>> import warnings
>>> from gluonjax.mx import nd
>>> with warnings.catch_warnings():
...     warnings.simplefilter('ignore')
...     nd.sparse.csr_matrix(([7, 8], [1, 0], [0, 1, 2]), shape=(2, 2)).asnumpy()
array([[0., 7.],
       [8., 0.]], dtype=float32)
"""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any, Self

import numpy as np
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray, View, call
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.op.attributes import dtype_of
from gluonjax.mx.tape import Tracked


class BaseSparseNDArray(NDArray):
    """An array with the storage type of a sparse one."""

    __slots__: tuple[str, ...] = ()

    def like(self, new: Tracked, view: View | None = None) -> Any:
        """What an operation gives: a dense array."""
        return NDArray(self.value, None, None, self.shared).like(new, view)

    def copy(self) -> Self:
        """Another array with the same elements."""
        return type(self)(self.value, self.entry, None, self.shared)

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Self:
        """In another dtype."""
        other = super().astype(dtype, copy)
        return type(self)(other.value, other.entry, None, self.shared)

    @property
    def data(self) -> Any:
        """What is not 0: elements, or rows."""
        return self.like(Tracked(self.value[self._places()]))

    def _places(self) -> Any:
        raise NotImplementedError


class CSRNDArray(BaseSparseNDArray):
    """A matrix by the elements of its rows that are not 0.

    >>> import jax.numpy as jnp
    >>> x = CSRNDArray(jnp.asarray([[0.0, 7.0], [8.0, 0.0]]))
    >>> x.data.asnumpy().tolist(), x.indices.asnumpy().tolist(), x.indptr.asnumpy().tolist()
    ([7.0, 8.0], [1, 0], [0, 1, 2])
    """

    __slots__: tuple[str, ...] = ()
    stype: str = 'csr'

    def _places(self) -> tuple[np.ndarray, ...]:
        return self.asnumpy().nonzero()

    @property
    def indices(self) -> NDArray:
        """The column of each element that is not 0."""
        return ndarray.array(self._places()[1], dtype=dtype_of('int64'))

    @property
    def indptr(self) -> NDArray:
        """Where the elements of each row begin, and the last ones end."""
        ends = np.searchsorted(self._places()[0], np.arange(len(self) + 1))
        return ndarray.array(ends, dtype=dtype_of('int64'))

    def asscipy(self) -> Any:
        """A matrix of SciPy."""
        parts = (self.data.asnumpy(), self.indices.asnumpy(), self.indptr.asnumpy())
        return importlib.import_module('scipy.sparse').csr_matrix(parts, shape=self.shape)


class RowSparseNDArray(BaseSparseNDArray):
    """An array by its rows that are not 0.

    >>> import jax.numpy as jnp
    >>> x = RowSparseNDArray(jnp.asarray([[0.0, 0.0], [8.0, 0.0]]))
    >>> x.data.asnumpy().tolist(), x.indices.asnumpy().tolist()
    ([[8.0, 0.0]], [1])
    """

    __slots__: tuple[str, ...] = ()
    stype: str = 'row_sparse'

    def _places(self) -> np.ndarray:
        return np.flatnonzero(self.asnumpy().reshape(len(self), -1).any(1))

    @property
    def indices(self) -> NDArray:
        """The numbers of the rows that are not 0."""
        return ndarray.array(self._places(), dtype=dtype_of('int64'))

    def retain(self, rows: NDArray) -> RowSparseNDArray:
        """With zeros but in these rows."""
        kept = call('_sparse_retain', self, rows)
        return RowSparseNDArray(kept.value, kept.entry, None, self.shared)


_CLASSES: dict[str, type[BaseSparseNDArray]] = {'csr': CSRNDArray, 'row_sparse': RowSparseNDArray}


def class_of(stype: str) -> type[BaseSparseNDArray]:
    """The class of arrays of a storage type.

    Raises:
        ArgumentError: for one that there is not, or a dense one.
    """
    if stype not in _CLASSES:
        raise ArgumentError("stype must be 'default', 'row_sparse' or 'csr'", got=repr(stype))
    return _CLASSES[stype]


def retain(data: NDArray, indices: NDArray) -> NDArray:
    """An array with zeros but in these rows."""
    return RowSparseNDArray(data.value, data.entry, None, data.shared).retain(indices)


@functools.cache
def warn_once() -> None:
    """Says that arrays are dense, the first time."""
    warnings.warn('sparse arrays of MXNet are dense here: their storage type is a label', stacklevel=3)


def csr_matrix(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> NDArray:
    """A matrix from (data, indices, indptr), (data, (rows, columns)), a shape, or something dense.

    Raises:
        ArgumentError: for parts without a shape, where none follows from them.
    """
    warn_once()
    parts = arg1 if isinstance(arg1, tuple | list) else ()
    dense: Any = arg1
    if len(parts) == 3:
        data, columns, ends = (_numbers(part) for part in parts)
        rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends.astype(int)))
        dense = _scattered(data, (rows, columns), shape or (len(ends) - 1, int(columns.max(initial=-1)) + 1))
    elif len(parts) == 2 and isinstance(parts[1], tuple | list):
        dense = _scattered(_numbers(parts[0]), tuple(map(_numbers, parts[1])), shape)
    elif len(parts) == 2 and all(isinstance(size, int) for size in parts):
        dense = np.zeros(tuple(parts))
    return array(dense, ctx, dtype).tostype('csr')


def row_sparse_array(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> NDArray:
    """An array from (rows, their numbers), a shape, or something dense.

    Raises:
        ArgumentError: for rows without a shape.
    """
    dense: Any = arg1
    if isinstance(arg1, tuple) and len(arg1) == 2 and not all(isinstance(size, int) for size in arg1):
        dense = _scattered(_numbers(arg1[0]), (_numbers(arg1[1]),), shape)
    elif isinstance(arg1, tuple) and all(isinstance(size, int) for size in arg1):
        dense = np.zeros(arg1)
    return array(dense, ctx, dtype).tostype('row_sparse')


def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> NDArray:
    """A copy of a sparse array, of SciPy's too: of its storage type; dense of what is dense."""
    warn_once()
    if hasattr(source_array, 'toarray'):
        return ndarray.array(source_array.toarray(), ctx, dtype).tostype('csr')
    return ndarray.array(source_array, ctx, dtype).tostype(getattr(source_array, 'stype', 'default'))


def zeros(stype: str, shape: Any, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Zeros of a storage type."""
    warn_once()
    return ndarray.zeros(shape, ctx, dtype).tostype(stype)


def empty(stype: str, shape: Any, ctx: Any = None, dtype: Any = None) -> NDArray:
    """Zeros, as JAX has no memory without values."""
    return zeros(stype, shape, ctx, dtype)


def _numbers(part: Any) -> np.ndarray:
    return part.asnumpy() if isinstance(part, NDArray) else np.asarray(part)


def _scattered(data: np.ndarray, places: tuple[np.ndarray, ...], shape: Any) -> np.ndarray:
    if shape is None:
        raise ArgumentError('the shape of a sparse array is unknown', remedy='shape=(rows, columns)')
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, tuple(place.astype(int) for place in places), data)
    return dense


explain_calls(globals())
