"""Arrays of NumPy that are numbers too if they have one element, as they were before NumPy 2.4.

Programs of MXNet's time, in which a mean is an array of shape (1,), write `'%f' % loss.mean().asnumpy()`.

>>> mean = as_number(np.ones((1, 1)))
>>> mean, f'{float(mean)} {int(mean)}', '%.1f' % mean, type(mean + 1).__name__
(array([[1.]]), '1.0 1', '1.0', 'ndarray')
"""

from __future__ import annotations

from typing import Any

import numpy as np

_REFUSED = np.lib.NumpyVersion(np.__version__) >= '2.4.0'


class _Single(np.ndarray):
    """An array that converts as its one element does; what is computed from it is a plain array."""

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else array

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


# As NumPy prints its arrays, and as Python prints their class.
_Single.__name__, _Single.__qualname__, _Single.__module__ = 'array', 'ndarray', 'numpy'


def as_number(array: np.ndarray) -> np.ndarray:
    """An array of one element as one that `float`, `int` and `%f` take; any other as it is."""
    return array.view(_Single) if _REFUSED and array.size == 1 and array.ndim else array
