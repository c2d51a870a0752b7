"""Batches that are cut from arrays."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.errors import ArgumentError, DataError
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io.batch import DataBatch, DataDesc, DataIter

_HANDLES = ('pad', 'discard', 'roll_over')


class NDArrayIter(DataIter):
    """Batches of arrays.

    Args:
        data: an array, a list of them (called '_0_data', '_1_data', ...), or a dict by name; of MXNet, NumPy or h5py.
        label: the labels, likewise; None without.
        batch_size: how many samples.
        shuffle: whether samples are drawn in another order in each epoch. The order is that of `numpy.random.seed`,
            which MXNet uses too.
        last_batch_handle: what becomes of samples that fill no batch: 'pad' fills it from the beginning, 'discard'
            leaves them out, 'roll_over' has them begin the next epoch.
        data_name: what a single array is called.
        label_name: what a single array of labels is called.
        layout: an N in it says which axis is that of samples.

    Raises:
        ArgumentError: for another `last_batch_handle`, or what is no array.
        DataError: if arrays have not as many samples.

    >>> data = NDArrayIter({'a': np.arange(5), 'b': np.ones((5, 2))}, batch_size=2, last_batch_handle='discard')
    >>> data.provide_data
    [DataDesc[a,(2,),<class 'numpy.float32'>,NCHW], DataDesc[b,(2, 2),<class 'numpy.float32'>,NCHW]]
    >>> [batch.data[0].asnumpy().tolist() for batch in data]
    [[0.0, 1.0], [2.0, 3.0]]
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = 'pad',
        data_name: str = 'data',
        label_name: str = 'softmax_label',
        layout: str = 'NCHW',
    ):
        super().__init__(checks.size('batch_size', batch_size))
        self.layout: str = layout
        self._axis = layout.find('N')
        self._data = _by_name(data, data_name, 'data')
        self._label = [] if label is None else _by_name(label, label_name, 'label')
        self.num_data: int = self._count()
        self.shuffle: bool = shuffle
        self.last_batch_handle: str = checks.one_of('last_batch_handle', last_batch_handle, _HANDLES)
        self.idx: np.ndarray = np.arange(self.num_data)
        self.cursor: int = -batch_size
        self._cache: Any = None
        self.reset()

    def _count(self) -> int:
        counts = {name: array.shape[self._axis] for name, array in self._data + self._label}
        if min(counts.values()) < next(iter(counts.values())):  # of longer ones the rest is left out, as in MXNet
            raise DataError('arrays must have as many samples as the first', got=counts)
        return next(iter(counts.values()))

    @property
    def data(self) -> list[tuple[str, NDArray]]:
        """The arrays of data by name, in the order of this epoch."""
        return [(name, NDArray(as_jax(array))) for name, array in self._data]

    @property
    def label(self) -> list[tuple[str, NDArray]]:
        """The arrays of labels by name, in the order of this epoch."""
        return [(name, NDArray(as_jax(array))) for name, array in self._label]

    @property
    def provide_data(self) -> list[DataDesc]:
        """What describes the data."""
        return self._described(self._data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """What describes the labels."""
        return self._described(self._label)

    def _described(self, arrays: Any) -> list[DataDesc]:
        axis = self._axis
        return [
            DataDesc(
                name,
                (*array.shape[:axis], self.batch_size, *array.shape[axis + 1 :]),
                array.dtype.type,
                self.layout,
            )
            for name, array in arrays
        ]

    def hard_reset(self) -> None:
        """Begins again, also with 'roll_over'."""
        self._shuffle()
        self.cursor, self._cache = -self.batch_size, None

    def reset(self) -> None:
        """Begins again; with 'roll_over', at the samples that are left."""
        self._shuffle()
        if self.last_batch_handle == 'roll_over' and self.num_data - self.batch_size < self.cursor < self.num_data:
            self.cursor -= self.num_data + self.batch_size
        else:
            self.cursor = -self.batch_size

    def _shuffle(self) -> None:
        if self.shuffle:
            np.random.shuffle(self.idx)  # noqa: NPY002 (MXNet's stream: numpy.random.seed gives its order)
            for arrays in (self._data, self._label):
                arrays[:] = [(name, array.take(self.idx, self._axis)) for name, array in arrays]

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """The next batch."""
        if not self.iter_next():
            raise StopIteration
        data, label = self.getdata(), self.getlabel()
        if data[0].shape[self._axis] != self.batch_size:
            self._cache = data, label
            raise StopIteration
        if self.cursor < 0:
            self._cache = None
        return DataBatch(data=data, label=label, pad=self.getpad(), index=None)

    def _batch(self, arrays: Any, which: int) -> list[NDArray]:
        if self.cursor >= self.num_data:
            raise DataError('the iterator is at its end', remedy='reset()')
        end = self.cursor + self.batch_size
        wraps = self.last_batch_handle == 'pad' and end > self.num_data
        if wraps:
            rows: Any = np.arange(self.cursor, end) % self.num_data
            return [NDArray(as_jax(array.take(rows, self._axis))) for _, array in arrays]
        rows = (slice(None),) * self._axis + (slice(max(self.cursor, 0), end),)
        found = [as_jax(array[rows]) for _, array in arrays]
        if self.cursor < 0 and self._cache is not None and found:
            pairs = zip(self._cache[which], found, strict=True)
            found = [jnp.concatenate([held.value, array], self._axis) for held, array in pairs]
        return [NDArray(array) for array in found]

    def getdata(self) -> list[NDArray]:
        """The data of this batch."""
        return self._batch(self._data, 0)

    def getlabel(self) -> list[NDArray]:
        """The labels of this batch."""
        return self._batch(self._label, 1)

    def getpad(self) -> int:
        """How many samples at the end only fill it."""
        if self.last_batch_handle == 'pad':
            return max(0, self.cursor + self.batch_size - self.num_data)
        return max(0, -self.cursor)


def _by_name(given: Any, default: str, what: str) -> list[tuple[str, np.ndarray]]:
    """Arrays of NumPy by name, in the order of names."""
    if hasattr(given, 'shape'):
        given = [given]
    if isinstance(given, list | tuple) and given:
        single = len(given) == 1
        given = {default if single else f'_{i}_{default}': array for i, array in enumerate(given)}
    if not isinstance(given, dict) or not given:
        raise ArgumentError(f'{what} must be an array, a list or a dict of arrays, got {type(given).__name__}')
    try:
        return [(name, _on_host(given[name])) for name in sorted(given)]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f'{what} must be arrays of numbers: {error}') from error


def _on_host(array: Any) -> np.ndarray:
    if isinstance(array, NDArray):
        return array.asnumpy()
    return np.asarray(array, 'float32') if not hasattr(array, 'value') else nd.array(array).asnumpy()


explain_calls(globals())
