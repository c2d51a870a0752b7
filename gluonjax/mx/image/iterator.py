"""`ImageIter`: batches of images in RecordIO files, or in files that a list names."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.data.recordio import MXIndexedRecordIO, MXRecordIO, unpack
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.image.augment import CreateAugmenter
from gluonjax.mx.image.functions import imdecode
from gluonjax.mx.io.batch import DataBatch, DataDesc, DataIter

_HANDLES = ('pad', 'discard', 'roll_over')


class ImageIter(DataIter):
    """Batches of images, changed by augmenters: float32 (batch, channels, height, width).

    Args:
        batch_size: how many images.
        data_shape: (3, height, width).
        label_width: how many labels an image has.
        path_imgrec: a RecordIO file.
        path_imglist: a file of lines: number, tab, labels, tab, path.
        path_root: the folder of the images that a list names.
        path_imgidx: the index of the RecordIO file; needed for `shuffle` and parts.
        shuffle: whether in another order each epoch, by Python's `random` as in MXNet.
        part_index: the number of the part that is read.
        num_parts: of how many.
        aug_list: augmenters; by default those of `CreateAugmenter`.
        imglist: a list of (label, ..., path).
        data_name: what the data is called.
        label_name: what the labels are called.
        dtype: of labels in lists.
        last_batch_handle: as for `NDArrayIter`: 'pad', 'discard' or 'roll_over'.
        **kwargs: for `CreateAugmenter`.

    Raises:
        ArgumentError: without images, or for a shape that is none of an image in colours.
        FileError: if there is no such file.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
        label_width: int = 1,
        path_imgrec: Any = None,
        path_imglist: Any = None,
        path_root: Any = None,
        path_imgidx: Any = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Sequence[Any] | None = None,
        imglist: Any = None,
        data_name: str = 'data',
        label_name: str = 'softmax_label',
        dtype: DTypeLike = 'float32',
        last_batch_handle: str = 'pad',
        **kwargs: Any,
    ):
        super().__init__(checks.size('batch_size', batch_size))
        self.data_shape: tuple[int, ...] = self.checked_shape(data_shape)
        self.label_width: int = checks.size('label_width', label_width)
        self.last_batch_handle: str = checks.one_of('last_batch_handle', last_batch_handle, _HANDLES)
        self.path_root: pathlib.Path = pathlib.Path(path_root or '.')
        self.imgrec: Any = _records(path_imgrec, path_imgidx)
        self.imglist: dict[Any, Any] | None = _listed(path_imglist, imglist, dtype)
        if self.imgrec is None and self.imglist is None:
            raise ArgumentError('ImageIter needs path_imgrec, path_imglist or imglist')
        keys = list(self.imgrec.keys) if isinstance(self.imgrec, MXIndexedRecordIO) else None
        self.seq: list[Any] | None = list(self.imglist or ()) if self.imgrec is None else keys
        if self.seq is None and (shuffle or num_parts > 1):
            raise ArgumentError('shuffle and parts need an index of the records', remedy='path_imgidx=...')
        if self.seq is not None and num_parts > 1:
            size = len(self.seq) // num_parts
            self.seq = self.seq[part_index * size : (part_index + 1) * size]
        self.shuffle: bool = shuffle
        self.auglist: list[Any] = CreateAugmenter(self.data_shape, **kwargs) if aug_list is None else list(aug_list)
        labels = (batch_size,) if label_width == 1 else (batch_size, label_width)
        self.provide_data: list[DataDesc] = [DataDesc(data_name, (batch_size, *self.data_shape))]
        self.provide_label: list[DataDesc] = [DataDesc(label_name, labels)]
        self.cur: int = 0
        self._held: list[Any] = []  # samples that fill no batch yet
        self._ended = False
        self.reset()

    @staticmethod
    def checked_shape(data_shape: Sequence[int]) -> tuple[int, ...]:
        """A shape of images in colours, which is checked."""
        if len(data_shape) != 3 or data_shape[0] != 3:
            raise ArgumentError(f'data_shape must be (3, height, width), got {tuple(data_shape)}')
        return tuple(data_shape)

    @property
    def num_image(self) -> int | None:
        """How many images there are; None if a file without an index is read."""
        return None if self.seq is None else len(self.seq)

    def reset(self) -> None:
        """Begins again; with 'roll_over', with the images that are left before them."""
        if self.shuffle and self.seq is not None:
            random.shuffle(self.seq)
        self._rewind()
        self._ended = False

    def hard_reset(self) -> None:
        """Begins again, also with 'roll_over'."""
        self._held = []
        self.reset()

    def _rewind(self) -> None:
        self.cur = 0
        if self.imgrec is not None:
            self.imgrec.reset()

    def next_sample(self) -> tuple[Any, bytes]:
        """The label and the bytes of the next image.

        Raises:
            StopIteration: at the end.
        """
        if self.seq is None:
            return self._unpacked(self.imgrec.read())
        if self.cur >= len(self.seq):
            raise StopIteration
        key = self.seq[self.cur]
        self.cur += 1
        if self.imgrec is not None:
            label, data = self._unpacked(self.imgrec.read_idx(key))
            return (label if self.imglist is None else self.imglist[key][0]), data
        label, name = (self.imglist or {})[key]
        return label, self.read_image(name)

    def _unpacked(self, record: bytes | None) -> tuple[Any, bytes]:
        if record is None:
            raise StopIteration
        header, data = unpack(record)
        return header.label, data

    def read_image(self, fname: str) -> bytes:
        """The bytes of an image file.

        Raises:
            FileError: if there is none.
        """
        path = self.path_root / fname
        if not path.is_file():
            raise FileError(f'there is no image {str(path)!r}', remedy='path_root=... is the folder of the images')
        return path.read_bytes()

    def imdecode(self, s: bytes) -> NDArray:
        """The pixels of an image."""
        return imdecode(s)

    def augmentation_transform(self, data: NDArray) -> NDArray:
        """The image after all augmenters."""
        for each in self.auglist:
            data = each(data)
        return data

    def postprocess_data(self, datum: NDArray) -> Any:
        """The image with channels first."""
        return np.moveaxis(datum.asnumpy(), -1, 0)

    def _sample(self) -> tuple[Any, Any]:
        label, data = self.next_sample()
        return self.postprocess_data(self.augmentation_transform(self.imdecode(data))), label

    def _fill(self, samples: list[Any]) -> None:
        """Adds samples until the batch is full, or they end."""
        while len(samples) < self.batch_size:
            try:
                samples.append(self._sample())
            except StopIteration:
                return

    def next(self) -> DataBatch:
        """The next batch."""
        if self._ended:
            raise StopIteration
        samples, self._held = self._held, []
        pad = self.batch_size - len(samples) if samples else 0  # MXNet counts those that were not left
        self._fill(samples)
        if len(samples) < self.batch_size:
            pad = self.batch_size - len(samples)
            self._ended = True
            if not samples or self.last_batch_handle == 'discard':
                raise StopIteration
            if self.last_batch_handle == 'roll_over':
                self._held = samples
                raise StopIteration
            while len(samples) < self.batch_size:
                self._rewind()
                self._fill(samples)
        return self._batch(samples, pad)

    def _batch(self, samples: list[Any], pad: int) -> DataBatch:
        data = np.stack([image for image, _ in samples]).astype('float32')
        labels = np.stack([np.asarray(label, 'float32') for _, label in samples])
        arrays = (NDArray(as_jax(array)) for array in (data, labels.reshape(self.provide_label[0].shape)))
        x, y = arrays
        return DataBatch([x], [y], pad=pad)


def _records(path: Any, index: Any) -> Any:
    if not path:
        return None
    return MXIndexedRecordIO(index, path, 'r') if index else MXRecordIO(path, 'r')


def _listed(path: Any, given: Any, dtype: DTypeLike) -> dict[Any, Any] | None:
    """Number -> (labels, path) of a list of images."""
    if path:
        if not pathlib.Path(path).is_file():
            raise FileError(f'there is no list {str(path)!r}')
        lines = [line.split('\t') for line in pathlib.Path(path).read_text().splitlines() if line.strip()]
        return {int(line[0]): (np.array(line[1:-1], dtype), line[-1].strip()) for line in lines}
    if given is None:
        return None
    entries = ((entry[:-1] if len(entry) > 2 else entry[0], entry[-1]) for entry in given)
    return {str(i): (np.ravel(np.asarray(label, dtype)), name) for i, (label, name) in enumerate(entries, 1)}


explain_calls(globals())
