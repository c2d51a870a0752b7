"""`mx.contrib.io`: Gluon's DataLoader for Modules."""

from __future__ import annotations

from typing import Any

from jax.typing import DTypeLike

from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io import DataDesc, DataIter


class DataLoaderIter(DataIter):
    """Iterates over the batches of a DataLoader; zeros fill the last one.

    Args:
        loader: gives pairs of data and labels.
        data_name: the variable that is the data.
        label_name: the variable that is the labels.
        dtype: of both.

    >>> import gluonjax.mx as mx
    >>> data = mx.gluon.data.ArrayDataset(nd.ones((5, 2)), nd.ones((5,)))
    >>> batches = DataLoaderIter(mx.gluon.data.DataLoader(data, 2))
    >>> [(batch.data[0].shape, batch.pad) for batch in batches]
    [((2, 2), 0), ((2, 2), 0), ((2, 2), 1)]
    """

    def __init__(
        self, loader: Any, data_name: str = 'data', label_name: str = 'softmax_label', dtype: DTypeLike = 'float32'
    ):
        data, label = next(iter(loader))
        super().__init__(data.shape[0])
        self.dtype: DTypeLike = dtype
        self.provide_data: list[DataDesc] = [DataDesc(data_name, data.shape, dtype)]
        self.provide_label: list[DataDesc] = [DataDesc(label_name, label.shape, dtype)]
        self._loader = loader
        self._batch: Any = None
        self.reset()

    def reset(self) -> None:
        """Begins again."""
        self._batches = iter(self._loader)

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end."""
        self._batch = next(self._batches, None)
        return self._batch is not None

    def getdata(self) -> list[NDArray]:
        """The data of this batch."""
        return [self._filled(self._batch[0])]

    def getlabel(self) -> list[NDArray]:
        """The labels of this batch."""
        return [self._filled(self._batch[1])]

    def getpad(self) -> int:
        """How many samples at the end only fill it."""
        return self.batch_size - self._batch[0].shape[0]

    def _filled(self, array: NDArray) -> NDArray:
        part = array.astype(self.dtype)
        missing = self.batch_size - part.shape[0]
        return nd.concatenate([part, nd.zeros((missing, *part.shape[1:]), dtype=self.dtype)]) if missing else part


explain_calls(globals())
