"""MXNet's sparse arrays, made dense. What comes from a file is checked first: it may be damaged."""

from __future__ import annotations

import math

import numpy as np

_MOST_BYTES = 1 << 34  # of a dense array, whose size is not bounded by that of the file


def from_rows(shape: tuple[int, ...], rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The array of this shape that has these rows, and zeros elsewhere.

    Raises:
        ValueError: if they do not fit.

    >>> from_rows((3, 2), np.ones((1, 2)), np.array([1]))
    array([[0., 0.],
           [1., 1.],
           [0., 0.]])
    """
    if not shape or index.ndim != 1 or index.dtype.kind != 'i' or rows.shape != (*index.shape, *shape[1:]):
        raise ValueError(f'rows {rows.shape} at {index.shape} cannot be in an array {shape}')
    _check_index(index, shape[0])
    dense = _zeros(shape, rows.dtype)
    dense[index] = rows
    return dense


def from_csr(shape: tuple[int, ...], numbers: np.ndarray, pointers: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The matrix of this shape that has these numbers in these columns; those of row i start at `pointers[i]`.

    Raises:
        ValueError: if they do not fit.

    >>> from_csr((2, 3), np.array([5., 6.]), np.array([0, 0, 2]), np.array([0, 2]))
    array([[0., 0., 0.],
           [5., 0., 6.]])
    """
    if len(shape) != 2 or not numbers.shape == columns.shape == (numbers.size,) or columns.dtype.kind != 'i':
        raise ValueError(f'numbers {numbers.shape} in columns {columns.shape} cannot be in an array {shape}')
    if pointers.shape != (shape[0] + 1,) or pointers.dtype.kind != 'i':
        raise ValueError(f'{pointers.shape} pointers cannot be those of {shape[0]} rows')
    if pointers[0] or pointers[-1] != numbers.size or (pointers[1:] < pointers[:-1]).any():
        raise ValueError(f'the pointers do not run from 0 to {numbers.size}')
    _check_index(columns, shape[1])
    dense = _zeros(shape, numbers.dtype)
    dense[np.repeat(np.arange(shape[0]), np.diff(pointers)), columns] = numbers
    return dense


def _check_index(index: np.ndarray, size: int) -> None:
    if ((index < 0) | (index >= size)).any():
        raise ValueError(f'an index is not within 0 to {size - 1}')


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    try:
        if math.prod(shape) * dtype.itemsize <= _MOST_BYTES:
            return np.zeros(shape, dtype)
    except (MemoryError, ValueError):  # there is not so much, or an empty one has enormous sizes
        pass
    raise ValueError(f'{shape} of {dtype} is too large to be made dense')
