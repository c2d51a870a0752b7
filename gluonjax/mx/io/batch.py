"""Batches of data and labels, what describes them, and iterators of other iterators."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import ArgumentError, DataError
from gluonjax.mx.entry import explain_calls


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """The name, the shape, the dtype and the layout of an input: a pair of name and shape, as programs unpack it.

    >>> name, shape = DataDesc('data', (8, 3, 28, 28))
    >>> DataDesc.get_batch_axis('TNC')
    1
    """

    dtype: Any
    layout: str | None

    def __new__(
        cls, name: str, shape: Sequence[int], dtype: DTypeLike = np.float32, layout: str | None = 'NCHW'
    ) -> DataDesc:
        """A description; the layout says by an N which axis is that of samples."""
        made = super().__new__(cls, name, tuple(shape))  # type: ignore[call-arg]
        made.dtype, made.layout = dtype, layout
        return made

    def __repr__(self) -> str:
        return f'DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]'

    def __getnewargs__(self) -> tuple[Any, ...]:  # type: ignore[override]
        return self.name, self.shape, self.dtype, self.layout

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The axis of samples; -1 if there is none."""
        return 0 if layout is None else layout.find('N')

    @staticmethod
    def get_list(shapes: Iterable[tuple[str, Any]], types: Any = None) -> list[DataDesc]:
        """Descriptions of names and shapes, and of names and dtypes."""
        known = dict(types or ())
        return [DataDesc(name, shape, known.get(name, np.float32)) for name, shape in shapes]


def described(desc: Any) -> DataDesc:
    """A description, or a pair of name and shape as one."""
    return desc if isinstance(desc, DataDesc) else DataDesc(*desc)


class DataBatch:
    """Data and labels of some samples.

    Args:
        data: the arrays.
        label: the arrays of labels; None without.
        pad: how many samples at the end only fill the batch.
        index: the numbers of the samples.
        bucket_key: of the network that takes them.
        provide_data: what describes the data.
        provide_label: what describes the labels.

    Raises:
        ArgumentError: if data or labels are no lists.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Any = None,
        provide_label: Any = None,
    ):
        for name, arrays in (('data', data), ('label', label)):
            if arrays is not None and not isinstance(arrays, list | tuple):
                what = f'{name} must be a list of arrays, got {type(arrays).__name__}'
                raise ArgumentError(what, remedy=f'[{name}]')
        self.data: Any = data
        self.label: Any = label
        self.pad: int | None = pad
        self.index: Any = index
        self.bucket_key: Any = bucket_key
        self.provide_data: Any = provide_data
        self.provide_label: Any = provide_label

    def __str__(self) -> str:
        data, label = ([x.shape for x in arrays] if arrays else None for arrays in (self.data, self.label))
        return f'{type(self).__name__}: data shapes: {data} label shapes: {label}'


class DataIter:
    """The base of iterators over batches.

    A subclass has `provide_data` and `provide_label`, and either `next`, or `iter_next` with `getdata`, `getlabel` and
    `getpad`.

    Args:
        batch_size: how many samples a batch has.
    """

    def __init__(self, batch_size: int = 0):
        self.batch_size: int = batch_size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def reset(self) -> None:
        """Begins again."""

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: at the end; `reset` begins again.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end."""
        return False

    def getdata(self) -> Any:
        """The data of this batch."""

    def getlabel(self) -> Any:
        """The labels of this batch."""

    def getindex(self) -> Any:
        """The numbers of its samples."""

    def getpad(self) -> int | None:
        """How many samples at the end only fill it."""


class BatchIter(DataIter):
    """The base of iterators that hold the batch that they are at."""

    current_batch: DataBatch | None = None

    def _at(self) -> DataBatch:
        if self.current_batch is None:
            raise DataError('there is no batch before the first', remedy='iter_next()')
        return self.current_batch

    def getdata(self) -> Any:
        """The data of this batch."""
        return self._at().data

    def getlabel(self) -> Any:
        """The labels of this batch."""
        return self._at().label

    def getindex(self) -> Any:
        """The numbers of its samples."""
        return self._at().index

    def getpad(self) -> int | None:
        """How many samples at the end only fill it."""
        return self._at().pad


class ResizeIter(BatchIter):
    """An iterator with another number of batches an epoch.

    Args:
        data_iter: the iterator, which begins again where it ends.
        size: how many batches.
        reset_internal: whether `reset` resets it, or goes on where it is.

    >>> import gluonjax.mx as mx
    >>> data = mx.io.NDArrayIter(np.arange(6), batch_size=2)
    >>> [batch.data[0].asnumpy().tolist() for batch in ResizeIter(data, 4)]
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [0.0, 1.0]]
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True):
        super().__init__(data_iter.batch_size)
        self.data_iter: Any = data_iter
        self.size: int = checks.size('size', size, least=0)
        self.reset_internal: bool = reset_internal
        self.cur: int = 0
        self.provide_data: Any = data_iter.provide_data
        self.provide_label: Any = data_iter.provide_label
        if hasattr(data_iter, 'default_bucket_key'):
            self.default_bucket_key: Any = data_iter.default_bucket_key

    def reset(self) -> None:
        """Begins to count again."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end."""
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True


class PrefetchingIter(BatchIter):
    """Iterators side by side, each a batch ahead in a thread of its own.

    Args:
        iters: an iterator, or a list of them.
        rename_data: a dict for each, from its names of data to others.
        rename_label: the same of labels.
    """

    def __init__(
        self,
        iters: Any,
        rename_data: Sequence[Mapping[str, str]] | None = None,
        rename_label: Sequence[Mapping[str, str]] | None = None,
    ):
        self.iters: list[Any] = list(iters) if isinstance(iters, list | tuple) else [iters]
        if not self.iters:
            raise ArgumentError('PrefetchingIter takes at least one iterator')
        self.n_iter: int = len(self.iters)
        self.rename_data: Any = rename_data
        self.rename_label: Any = rename_label
        super().__init__(self.provide_data[0].shape[0])
        self._threads = [concurrent.futures.ThreadPoolExecutor(1, 'PrefetchingIter') for _ in self.iters]
        self._ahead: list[Any] = []
        self._fetch()

    def _fetch(self) -> None:
        pairs = zip(self._threads, self.iters, strict=True)
        self._ahead = [thread.submit(_next_or_none, iterator) for thread, iterator in pairs]

    @property
    def provide_data(self) -> list[DataDesc]:
        """What describes the data of all iterators."""
        return self._described('provide_data', self.rename_data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """What describes the labels of all iterators."""
        return self._described('provide_label', self.rename_label)

    def _described(self, which: str, renamed: Any) -> list[DataDesc]:
        names = renamed or [{}] * self.n_iter
        return [
            DataDesc(new.get(desc.name, desc.name), desc.shape, desc.dtype, desc.layout)
            for iterator, new in zip(self.iters, names, strict=True)
            for desc in map(described, getattr(iterator, which))
        ]

    def reset(self) -> None:
        """Begins again."""
        concurrent.futures.wait(self._ahead)
        for iterator in self.iters:
            iterator.reset()
        self._fetch()

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end.

        Raises:
            DataError: if one iterator ends before the others, or pads otherwise.
        """
        batches = [future.result() for future in self._ahead]
        if all(batch is None for batch in batches):
            return False
        if None in batches or len({batch.pad for batch in batches}) > 1:
            raise DataError('iterators side by side must have as many batches, and pad alike')
        self.current_batch: DataBatch | None = DataBatch(
            [array for batch in batches for array in batch.data],
            [array for batch in batches for array in batch.label or ()],
            batches[0].pad,
            batches[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        self._fetch()
        return True

    def next(self) -> DataBatch:
        """The next batch."""
        if not self.iter_next():
            raise StopIteration
        return self._at()


def _next_or_none(iterator: Any) -> Any:
    return next(iterator, None)


explain_calls(globals())
