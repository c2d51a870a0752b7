"""Samplers: in which order the samples of a dataset come, and which of them make a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gluonjax import checks
from gluonjax.data.batching import Epochs, epoch_of, seed_numbers
from gluonjax.errors import ArgumentError
from gluonjax.lazy import entry_points


@entry_points
class Sampler:
    """The numbers of samples, in an order. One of your own has `__iter__` and `__len__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f'{type(self).__name__} has no __iter__, which gives the numbers of samples')

    def __len__(self) -> int:
        raise NotImplementedError(f'{type(self).__name__} has no __len__, which says how many there are')


@entry_points
class SequentialSampler(Sampler):
    """Consecutive numbers.

    Args:
        length: how many.
        start: the first.

    >>> list(SequentialSampler(3, start=1))
    [1, 2, 3]
    """

    def __init__(self, length: int, start: int = 0):
        self._range = range(start, start + checks.size('length', length, least=0))

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


@entry_points
class RandomSampler(Epochs, Sampler):
    """The numbers from 0 on, each once, in a random order; another one in each epoch.

    Args:
        length: how many.
        key: what the orders depend on, an int or a JAX key; by default the next key of the library's stream.

    >>> sampler = RandomSampler(5, key=0)
    >>> [list(sampler) for _ in range(2)], list(sampler(0))
    ([[2, 4, 3, 0, 1], [1, 4, 3, 0, 2]], [2, 4, 3, 0, 1])
    """

    def __init__(self, length: int, key: Any = None):
        self._length = checks.size('length', length, least=0)
        self._seed = seed_numbers(True if key is None else key)

    def __call__(self, epoch: int) -> Iterator[int]:
        """The order of an epoch."""
        return iter(np.random.default_rng([*(self._seed or ()), epoch]).permutation(self._length).tolist())

    def __len__(self) -> int:
        return self._length


@entry_points
class FilterSampler(Sampler):
    """The numbers of the samples for which a function is true; it is called at once, with each.

    Args:
        fn: a function of a sample.
        dataset: the samples.

    >>> list(FilterSampler(str.isupper, ['a', 'B', 'C']))
    [1, 2]
    """

    def __init__(self, fn: Callable[[Any], Any], dataset: Any):
        if not hasattr(dataset, '__len__'):
            raise ArgumentError('a FilterSampler needs a dataset with a length', got=type(dataset).__name__)
        self._indices = [i for i in range(len(dataset)) if fn(dataset[i])]

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


@entry_points
class IntervalSampler(Sampler):
    """Numbers in steps, and then those between them.

    Args:
        length: how many numbers there are.
        interval: the step.
        rollover: whether the numbers that were passed by come afterwards.

    >>> list(IntervalSampler(7, interval=3)), list(IntervalSampler(7, interval=3, rollover=False))
    ([0, 3, 6, 1, 4, 2, 5], [0, 3, 6])
    """

    def __init__(self, length: int, interval: int, rollover: bool = True):
        self._length = checks.size('length', length)
        self._interval = checks.size('interval', interval, most=length)
        self._starts = range(self._interval if checks.flag('rollover', rollover) else 1)

    def __iter__(self) -> Iterator[int]:
        return (i for start in self._starts for i in range(start, self._length, self._interval))

    def __len__(self) -> int:
        return sum(len(range(start, self._length, self._interval)) for start in self._starts)


@entry_points
class BatchSampler(Epochs, Sampler):
    """The numbers of a sampler, in batches: lists of them.

    Args:
        sampler: gives the numbers.
        batch_size: how many of them are a batch.
        last_batch: what becomes of a last batch that is smaller: 'keep', 'discard', or 'rollover', with which its
            numbers begin the next epoch.

    Raises:
        ArgumentError: for another `last_batch`, or a size below 1.

    >>> rollover = BatchSampler(SequentialSampler(5), 2, 'rollover')
    >>> [list(rollover) for _ in range(2)]
    [[[0, 1], [2, 3]], [[4, 0], [1, 2], [3, 4]]]
    """

    def __init__(self, sampler: Any, batch_size: int, last_batch: str = 'keep'):
        if not hasattr(sampler, '__iter__'):
            raise ArgumentError('a BatchSampler takes a sampler', expected='what gives numbers', got=repr(sampler))
        self._sampler: Iterable[Any] = sampler
        self._batch_size = checks.size('batch_size', batch_size)
        self._last_batch = checks.one_of('last_batch', last_batch, ['keep', 'discard', 'rollover'])
        self._left: list[Any] = []

    def __call__(self, epoch: int) -> Iterator[list[Any]]:
        """The batches of an epoch."""
        batch, self._left = self._left, []
        for number in epoch_of(self._sampler, epoch):
            batch.append(number)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch and self._last_batch == 'keep':
            yield batch
        elif self._last_batch == 'rollover':
            self._left = batch

    def __len__(self) -> int:
        count = len(self._sampler) + len(self._left)  # pyright: ignore[reportArgumentType]
        return -(-count // self._batch_size) if self._last_batch == 'keep' else count // self._batch_size


def function(name: str, value: Any) -> Any:
    """A function of samples.

    Raises:
        ArgumentError: for what cannot be called.
    """
    if not callable(value):
        raise ArgumentError(f'{name} must be a function, got {value!r}')
    return value
