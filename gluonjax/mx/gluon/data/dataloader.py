"""DataLoader of MXNet's programs: its batches are lists of their arrays."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.reduction import ForkingPickler  # noqa: F401 (libraries on Gluon take it from here)
from typing import Any

from gluonjax.data import batchify, loader
from gluonjax.data.batching import seed_numbers
from gluonjax.errors import ArgumentError
from gluonjax.mx import dialect
from gluonjax.mx.alias import as_mxnet
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context, cpu_pinned
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.data.arrays import handles
from gluonjax.mx.gluon.data.sampler import RandomSampler

_OURS = (batchify.Stack, batchify.Pad, batchify.Append, batchify.Group)


def default_batchify_fn(data: Sequence[Any]) -> Any:
    """A batch of samples: lists of the parts of tuples, arrays stacked.

    >>> default_batchify_fn([(1, 2.0), (3, 4.0)])[1].asnumpy()
    array([2., 4.], dtype=float32)
    """
    return handles(batchify.default_batchify_fn(data))


default_mp_batchify_fn = default_batchify_fn


def _prepare(shape: bool, array: bool, alias: bool) -> None:
    """A process that loads batches speaks the dialect of the program, and imports `mxnet` as it does."""
    if alias:
        as_mxnet()
    if shape or array:
        dialect.set_np(shape=shape, array=array)


def _as_in_context(batch: Any, context: Context) -> Any:
    if isinstance(batch, list | tuple):
        return [_as_in_context(part, context) for part in batch]
    return batch.as_in_context(context) if isinstance(batch, NDArray) else batch


class DataLoader(loader.DataLoader):
    """Batches of a dataset's samples; see `gluonjax.data.DataLoader` for the arguments.

    The order of `shuffle=True` is that of `numpy.random`, as in MXNet; random transforms follow `mx.random.seed`.

    >>> from gluonjax.mx import nd
    >>> batches = DataLoader(nd.array([[1], [2], [3]]), batch_size=2)
    >>> [x.asnumpy().tolist() for x in batches]
    [[[1.0], [2.0]], [[3.0]]]
    """

    home: str = 'gluonjax.mx.gluon.data'

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._pinned = cpu_pinned(self.pin_device_id) if self.pin_memory else None

    def _batchify(self, given: Callable[..., Any] | None) -> Callable[..., Any]:
        self._wraps = given in (None, default_batchify_fn) or isinstance(given, _OURS)
        return super()._batchify(None if given is default_batchify_fn else given)

    def _preparation(self) -> Callable[[], Any]:
        return functools.partial(_prepare, dialect.is_np_shape(), dialect.is_np_array(), 'mxnet' in sys.modules)

    def _seed_numbers(self, key: Any) -> list[int] | None:
        self._given_seed = None if key is None else seed_numbers(key)
        return self._given_seed

    def _random_sampler(self, length: int) -> Any:
        return RandomSampler(length)

    def __call__(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch."""
        if self._given_seed is None:
            self._seed = seed_numbers(True)
        batches = super().__call__(epoch)
        batches = map(handles, batches) if self._wraps else batches
        return batches if self._pinned is None else (_as_in_context(batch, self._pinned) for batch in batches)


class _MultiWorkerIter:
    """MXNet's iterator over batches of processes, which libraries on Gluon extend; it is refused when it is made."""

    def __init__(self, *args: Any, **kwargs: Any):
        raise ArgumentError('an iterator of MXNet over processes is not here', remedy='DataLoader(..., num_workers=n)')


explain_calls(globals())
