"""Datasets: samples by number, and what is made of them: parts, selections, transformed ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax import checks
from gluonjax.data import recordio
from gluonjax.data.sampler import FilterSampler, Sampler, SequentialSampler, function
from gluonjax.errors import ArgumentError, DataError, PositionError
from gluonjax.lazy import entry_points


@entry_points
class Dataset:
    """Samples by number. A dataset of your own has `__getitem__` and `__len__`.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 5
    ...
    ...     def __getitem__(self, idx):
    ...         return idx * idx
    >>> odd = Squares().filter(lambda x: x % 2 == 1)
    >>> list(odd), list(Squares().transform(lambda x: -x).take(2))
    ([1, 9], [0, -1])
    """

    def __getitem__(self, idx: Any) -> Any:
        raise NotImplementedError(f'{type(self).__name__} has no __getitem__, which gives a sample by its number')

    def __len__(self) -> int:
        raise NotImplementedError(f'{type(self).__name__} has no __len__, which gives the number of samples')

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def on_host(self) -> Dataset:
        """A dataset of the same samples whose arrays are NumPy's, where that is known beforehand; else itself.

        A loader that stacks samples itself loads those, since what is done with each costs less on the host.
        """
        return self

    def filter(self, fn: Callable[[Any], Any]) -> Dataset:
        """The samples for which `fn(sample)` is true; it is called at once, with each."""
        return SampledDataset(self, FilterSampler(fn, self))

    def shard(self, num_shards: int, index: int) -> Dataset:
        """One of several parts, whose sizes differ by one at most.

        Args:
            num_shards: how many parts there are.
            index: which of them, from 0 on.

        Raises:
            ArgumentError: if there is no such part.

        >>> [list(SimpleDataset(range(5)).shard(2, i)) for i in (0, 1)]
        [[0, 1, 2], [3, 4]]
        """
        count = checks.size('num_shards', num_shards)
        index = checks.size('index', index, least=0, most=count - 1)
        size, rest = divmod(len(self), count)
        return SampledDataset(self, SequentialSampler(size + (index < rest), size * index + min(index, rest)))

    def take(self, count: int | None) -> Dataset:
        """The first samples: `count` of them at most; all if it is None."""
        most = len(self) if count is None else min(checks.size('count', count, least=0), len(self))
        return SampledDataset(self, SequentialSampler(most))

    def sample(self, sampler: Sampler) -> Dataset:
        """The samples whose numbers a sampler gives; it is asked once.

        Raises:
            ArgumentError: if this is no sampler.
        """
        if not isinstance(sampler, Sampler):
            raise ArgumentError(
                'sample takes a sampler', expected='a gluonjax.data.Sampler', got=type(sampler).__name__
            )
        return SampledDataset(self, sampler)

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> Dataset:
        """Each sample transformed.

        Args:
            fn: called with the sample; with its parts, if it is a tuple.
            lazy: whether it is called whenever a sample is asked for, as is right for random transforms; if not, once
                and now.

        >>> pairs = ArrayDataset([1, 2], [10, 20])
        >>> list(pairs.transform(lambda x, y: x + y))
        [11, 22]
        """
        transformed = TransformedDataset(self, fn)
        return transformed if lazy else SimpleDataset(list(transformed))

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> Dataset:
        """The first part of each sample transformed, the label usually not.

        >>> list(ArrayDataset([1, 2], [10, 20]).transform_first(lambda x: -x))
        [(-1, 10), (-2, 20)]
        """
        return self.transform(FirstOf(fn), lazy)


@entry_points
class SimpleDataset(Dataset):
    """The elements of a list, an array or whatever else has `len` and numbers.

    Args:
        data: them.
    """

    def __init__(self, data: Any):
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: Any) -> Any:
        return _chosen(self._data, idx)


@entry_points
class ArrayDataset(Dataset):
    """Arrays, lists or datasets beside each other: sample `i` is `(a[i], b[i], ...)`, or `a[i]` of one alone.

    Args:
        *args: at least one, all of one length. Vectors that have `asnumpy` become NumPy arrays, so that their elements
            are numbers.

    Raises:
        ArgumentError: if there is none.
        DataError: if their lengths differ.

    >>> dataset = ArrayDataset(np.arange(6).reshape(3, 2), ['a', 'b', 'c'])
    >>> len(dataset), dataset[1]
    (3, (array([2, 3]), 'b'))
    """

    def __init__(self, *args: Any):
        if not args:
            raise ArgumentError('ArrayDataset needs at least one array')
        if others := [type(part).__name__ for part in args if not _is_sequence(part)]:
            raise ArgumentError('ArrayDataset takes arrays, or lists', got=', '.join(others))
        lengths = [len(part) for part in args]
        if len(set(lengths)) > 1:
            raise DataError('all arrays of an ArrayDataset have one length', got=lengths)
        self._data = [part.asnumpy() if hasattr(part, 'asnumpy') and part.ndim == 1 else part for part in args]

    def __len__(self) -> int:
        return len(self._data[0])

    def __getitem__(self, idx: Any) -> Any:
        if len(self._data) == 1:
            return _chosen(self._data[0], idx)
        return tuple(_chosen(part, idx) for part in self._data)

    def on_host(self) -> Dataset:
        return ArrayDataset(*map(_on_host, self._data)) if any(hasattr(part, 'value') for part in self._data) else self

    def batch(self, indices: Sequence[int]) -> Any:
        """The samples of some numbers as one batch of NumPy arrays, cut out at once; None if not all are arrays."""
        if not all(hasattr(part, 'dtype') and hasattr(part, 'shape') for part in self._data):
            return None
        rows = tuple(np.asarray(_on_host(part))[np.asarray(indices)] for part in self._data)
        return rows[0] if len(rows) == 1 else rows


def _is_sequence(part: Any) -> bool:
    """Whether something has a length, and an item for each number."""
    sized = hasattr(part, '__len__') and hasattr(part, '__getitem__')
    return sized and getattr(part, 'shape', 1) != () and not isinstance(part, Mapping)


def _chosen(samples: Any, index: Any) -> Any:
    """The sample of a list or an array with this number; what other objects have to say of a number is theirs.

    Raises:
        PositionError: if there is none.
    """
    try:
        return samples[index]
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        if isinstance(samples, list | tuple | range | str | np.ndarray):
            raise PositionError(f'there is no sample {index!r} of {len(samples)}', got=str(error)) from None
        raise


def _on_host(part: Any) -> Any:
    """NumPy's array of one that MXNet's programs have, without a copy where that can be; else the part."""
    return np.asarray(part.value) if hasattr(part, 'value') else part


@entry_points
class SampledDataset(Dataset):
    """The samples of another dataset whose numbers a sampler gives."""

    def __init__(self, dataset: Any, sampler: Iterable[int]):
        self._dataset, self._indices = dataset, list(sampler)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, idx: Any) -> Any:
        return self._dataset[_chosen(self._indices, idx)]

    def on_host(self) -> Dataset:
        return SampledDataset(on_host(self._dataset), self._indices)


@entry_points
class TransformedDataset(Dataset):
    """The samples of another dataset, transformed whenever they are asked for."""

    def __init__(self, data: Any, fn: Callable[..., Any]):
        self._data, self._fn = data, function('fn', fn)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: Any) -> Any:
        sample = self._data[idx]
        return self._fn(*sample) if isinstance(sample, tuple) else self._fn(sample)

    def on_host(self) -> Dataset:
        native = getattr(self._fn, 'native', None)
        return self if native is None else TransformedDataset(on_host(self._data), native)


def on_host(dataset: Any) -> Any:
    """A dataset of the same samples, of NumPy's arrays where that can be known."""
    return dataset.on_host() if isinstance(dataset, Dataset) else _on_host(dataset)


@entry_points
class FirstOf:
    """A function of the first part of a sample, which leaves the others as they are."""

    @property
    def native(self) -> FirstOf | None:
        """The same of NumPy's arrays, where the function has an attribute `native` that computes it of those."""
        native = getattr(self._fn, 'native', None)
        return None if native is None else FirstOf(native)

    def __init__(self, fn: Callable[[Any], Any]):
        self._fn = function('fn', fn)

    def __call__(self, first: Any, *others: Any) -> Any:
        return (self._fn(first), *others) if others else self._fn(first)


@entry_points
class RecordFileDataset(Dataset):
    """The records of a RecordIO file, as bytes.

    Args:
        filename: the path of the `.rec` file, beside which its `.idx` is.

    Raises:
        FileError: if they are not there.
    """

    def __init__(self, filename: str | os.PathLike[str]):
        self.filename: str = os.fspath(filename)
        self.idx_file: str = os.path.splitext(self.filename)[0] + '.idx'
        self._record = recordio.MXIndexedRecordIO(self.idx_file, self.filename, 'r')

    def __getitem__(self, idx: int) -> Any:
        return self._record.read_idx(_chosen(self._record.keys, idx))

    def __len__(self) -> int:
        return len(self._record.keys)
