"""DataLoader: batches of a dataset's samples, which other processes or threads may load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gluonjax import checks
from gluonjax.data import chance
from gluonjax.data.batchify import default_batchify_fn
from gluonjax.data.batching import Epochs, epoch_of, seed_numbers
from gluonjax.data.dataset import on_host
from gluonjax.data.sampler import BatchSampler, RandomSampler, SequentialSampler, function
from gluonjax.data.workers import Workers
from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords


class Job(NamedTuple):
    """A batch to load: the numbers of its samples, the seed of the epoch, and how many samples came before."""

    indices: Sequence[Any]
    seed: tuple[int, ...]
    place: int


class Task:
    """What loads a batch, here or in another process.

    Args:
        dataset: the samples.
        batchify_fn: makes a batch of some.
    """

    def __init__(self, dataset: Any, batchify_fn: Callable[[Sequence[Any]], Any]):
        unseen = batchify_fn is default_batchify_fn  # samples are stacked, and nobody else sees them
        self.dataset: Any = on_host(dataset) if unseen else dataset
        self.batchify_fn: Callable[[Sequence[Any]], Any] = batchify_fn
        self._cut: Any = getattr(self.dataset, 'batch', None) if unseen else None

    def __call__(self, job: Job) -> Any:
        batch = self._cut(job.indices) if self._cut is not None else None
        return self.batchify_fn(self._samples(job)) if batch is None else batch

    def _samples(self, job: Job) -> list[Any]:
        samples = []
        try:
            for place, index in enumerate(job.indices, job.place):
                chance.begin_sample((*job.seed, place))
                samples.append(self.dataset[index])
        finally:
            chance.begin_sample(None)
        return samples


class DataLoader(Epochs):
    """Batches of a dataset's samples.

    `for x, y in loader` goes through the epochs 0, 1, 2 and so on; `loader(epoch)` through one of them, which is how
    `Trainer.fit` and `evaluate` take them.

    Args:
        dataset: a `Dataset`, or whatever has samples by number and a length: arrays, lists.
        batch_size: the number of samples of a batch.
        shuffle: whether the samples come in another random order in each epoch.
        sampler: gives the numbers of the samples, instead of `shuffle`.
        last_batch: what becomes of a last batch that is smaller: 'keep', the default, 'discard', or 'rollover', with
            which its samples begin the next epoch.
        batch_sampler: gives lists of numbers, instead of the four before.
        batchify_fn: makes a batch of a list of samples; by default `gluonjax.data.batchify.default_batchify_fn`.
        num_workers: how many processes load samples; with 0 it is this one, when a batch is asked for. A dataset that
            cannot be pickled, or whose classes and functions are the script's own, is loaded by threads instead; what
            is in a module of its own is loaded by processes.
        pin_memory: MXNet's; accepted.
        pin_device_id: MXNet's; accepted.
        prefetch: how many batches are loaded before they are asked for, by workers; by default twice their number.
        thread_pool: whether the workers are threads: nothing is pickled, and the dataset may be anything.
        timeout: how many seconds a batch of a worker may take.
        auto_reload: MXNet's; accepted.
        try_nopython: MXNet's; accepted.
        key: what the order and random transforms depend on, beside the epoch: an int or a JAX key; by default the next
            key of the library's stream. Each sample has its own, so that the number of workers changes nothing.

    Raises:
        ArgumentError: for arguments that exclude each other, or have no such value.

    >>> import numpy as np
    >>> from gluonjax.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.arange(5), np.arange(5) * 10), batch_size=2)
    >>> list(loader)[-1]
    (array([4]), array([40]))
    """

    home: str = 'gluonjax.data'  # what processes import

    @suggests_keywords
    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Any = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: Callable[[Sequence[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,
        try_nopython: bool | None = None,
        *,
        key: Any = None,
    ):
        self._seed = self._seed_numbers(key)
        if batch_sampler is None:
            batch_sampler = self._sampled(dataset, batch_size, shuffle, sampler, last_batch)
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise ArgumentError(
                'batch_sampler says all about batches', expected='no batch_size, shuffle, sampler or last_batch'
            )
        self._batch_sampler = batch_sampler
        self._workers = max(checks.size('num_workers', num_workers, least=None), 0)
        self._prefetch = 2 * self._workers if prefetch is None else checks.size('prefetch', prefetch, least=0)
        self._timeout = checks.positive('timeout', timeout)
        self.pin_memory: bool = checks.flag('pin_memory', pin_memory)
        self.pin_device_id: int = checks.size('pin_device_id', pin_device_id, least=0)
        self._threads = checks.flag('thread_pool', thread_pool)
        self._pool: Workers | None = None
        self._dataset, self._batchify_fn = dataset, self._batchify(batchify_fn)

    def _batchify(self, given: Callable[..., Any] | None) -> Callable[..., Any]:
        return default_batchify_fn if given is None else function('batchify_fn', given)

    def _seed_numbers(self, key: Any) -> list[int] | None:
        """What the epochs' seeds are made from."""
        return seed_numbers(True if key is None else key)

    def _random_sampler(self, length: int) -> Any:
        return RandomSampler(length, self._seed)

    def _sampled(self, dataset: Any, batch_size: int | None, shuffle: bool, sampler: Any, last_batch: Any) -> Any:
        if not (hasattr(dataset, '__len__') and hasattr(dataset, '__getitem__')) or isinstance(dataset, Mapping | str):
            raise ArgumentError(
                'a DataLoader takes a dataset with samples by number and a length', got=type(dataset).__name__
            )
        if batch_size is None:
            raise ArgumentError('batch_size must be given, or a batch_sampler', remedy='DataLoader(dataset, 32)')
        if sampler is not None and shuffle:
            raise ArgumentError('shuffle and sampler exclude each other', remedy='leave out shuffle')
        if sampler is None:
            sampler = self._random_sampler(len(dataset)) if shuffle else SequentialSampler(len(dataset))
        return BatchSampler(sampler, batch_size, last_batch or 'keep')

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def __call__(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch."""
        if not self._workers:
            return map(Task(self._dataset, self._batchify_fn), self._jobs(epoch))
        if self._pool is None:
            prepare = None if self._threads else self._preparation()
            task = Task(self._dataset, self._batchify_fn)
            self._pool = Workers(self._workers, task, self._timeout, prepare, self.home)
        return self._pool.load(self._jobs(epoch), self._prefetch)

    def _preparation(self) -> Callable[[], Any]:
        """What a process calls before it has the dataset."""
        return int  # nothing

    def _jobs(self, epoch: int) -> Iterator[Job]:
        place, seed = 0, (*(self._seed or ()), epoch)
        for indices in epoch_of(self._batch_sampler, epoch):
            yield Job(indices, seed, place)
            place += len(indices)
