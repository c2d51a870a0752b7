"""`gluon.contrib.data`: a sampler of every n-th element, and texts.

>>> list(IntervalSampler(10, interval=3, rollover=False))
[0, 3, 6, 9]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

from gluonjax.errors import ArgumentError
from gluonjax.mx.gluon.contrib.data import text

sampler: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here

__all__ = ['IntervalSampler', 'text']


class IntervalSampler:
    """Every `interval`-th number below `length`: those from 0 on, then those from 1 on, and so forth.

    Args:
        length: how many elements there are.
        interval: the distance between two numbers.
        rollover: whether the numbers that were passed by come after.

    Raises:
        ArgumentError: for an interval longer than the whole.
    """

    def __init__(self, length: int, interval: int, rollover: bool = True):
        if not 0 < interval <= length:
            raise ArgumentError(f'interval must be an int from 1 to the length, {length}', got=interval)
        self._length, self._interval, self._rollover = length, interval, rollover

    def __iter__(self) -> Iterator[int]:
        for start in range(self._interval if self._rollover else 1):
            yield from range(start, self._length, self._interval)

    def __len__(self) -> int:
        return self._length if self._rollover else len(range(0, self._length, self._interval))
