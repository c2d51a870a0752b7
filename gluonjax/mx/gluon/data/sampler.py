"""Samplers of MXNet's programs, whose random order is NumPy's: `numpy.random.seed` decides it, as in MXNet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gluonjax import checks
from gluonjax.data.sampler import BatchSampler, FilterSampler, IntervalSampler, Sampler, SequentialSampler
from gluonjax.mx.entry import explain_calls

__all__ = ['BatchSampler', 'FilterSampler', 'IntervalSampler', 'RandomSampler', 'Sampler', 'SequentialSampler']


class RandomSampler(Sampler):
    """The numbers from 0 on, each once, in an order that `numpy.random.shuffle` gives.

    Args:
        length: how many.
    """

    def __init__(self, length: int):
        self._length = checks.size('length', length, least=0)

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self._length)
        np.random.shuffle(order)  # noqa: NPY002 -- the global state is what MXNet's programs seed
        return iter(order.tolist())

    def __len__(self) -> int:
        return self._length


explain_calls(globals())
