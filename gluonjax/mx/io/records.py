"""`ImageRecordIter`: batches of images in a RecordIO file, with the arguments of MXNet's own."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.data.recordio import MXRecordIO, unpack
from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.image import functions
from gluonjax.mx.io.batch import DataDesc
from gluonjax.mx.io.files import SampleIter

# What only says how MXNet reads ahead; others are welcome where they change nothing.
_NOTHING = (None, 0, 0.0, -1, '', 1e10)
_SILENT = (
    'path_imgidx', 'preprocess_threads', 'verbose', 'prefetch_buffer', 'ctx', 'device_id', 'shuffle_chunk_size',
    'shuffle_chunk_seed', 'seed_aug', 'num_decode_threads', 'fill_value',
)  # fmt: skip


class ImageRecordIter(SampleIter):
    """Batches of images in a RecordIO file: (batch, channels, height, width), and their labels.

    An image is resized, cut, mirrored, and becomes (image - mean) / std * scale.

    Args:
        path_imgrec: the file.
        data_shape: (channels, height, width), with 1 or 3 channels.
        batch_size: how many images.
        label_width: how many labels an image has.
        shuffle: whether in another order each epoch.
        seed: of the order and of what is random in an image, which are not MXNet's.
        round_batch: whether the last batch goes on with the first images.
        resize: of the shorter edge, first; -1 for none.
        rand_crop: whether a part anywhere is taken, and not the middle.
        rand_mirror: whether left and right are changed, half of the time.
        mirror: whether they always are.
        mean_r: what is subtracted from red (or from grey); mean_g, mean_b likewise.
        mean_g: see mean_r.
        mean_b: see mean_r.
        std_r: what red is divided by; std_g, std_b likewise.
        std_g: see std_r.
        std_b: see std_r.
        scale: what all is multiplied with.
        inter_method: as for `mx.image.imresize`.
        data_name: what the data is called.
        label_name: what the labels are called.
        dtype: of the data.
        **others: what only says how MXNet reads ahead.

    Raises:
        ArgumentError: for an augmentation that is not here.
        FileError: if there is no such file, or it is damaged.
    """

    def __init__(
        self,
        path_imgrec: str | pathlib.Path,
        data_shape: Sequence[int],
        batch_size: int,
        label_width: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        round_batch: bool = True,
        resize: int = -1,
        rand_crop: bool = False,
        rand_mirror: bool = False,
        mirror: bool = False,
        mean_r: float = 0,
        mean_g: float = 0,
        mean_b: float = 0,
        std_r: float = 1,
        std_g: float = 1,
        std_b: float = 1,
        scale: float = 1,
        inter_method: int = 1,
        data_name: str = 'data',
        label_name: str = 'softmax_label',
        dtype: DTypeLike = 'float32',
        **others: Any,
    ):
        _refuse(others)
        channels = checks.one_of('the number of channels', data_shape[0], (1, 3))
        self._records = _all_records(path_imgrec)
        super().__init__(len(self._records), batch_size, bool(round_batch))
        self.data_shape: tuple[int, ...] = tuple(data_shape)
        self.label_width: int = checks.size('label_width', label_width)
        self._crops = {'resize': resize, 'rand_crop': rand_crop, 'rand_mirror': rand_mirror, 'mirror': mirror}
        self._interp, self._dtype = inter_method, np.dtype(dtype)
        self._mean = np.array([mean_r, mean_g, mean_b][:channels], 'float32')
        self._factor = np.float32(scale) / np.array([std_r, std_g, std_b][:channels], 'float32')
        self._shuffle, self._random = bool(shuffle), random.Random(seed)
        labels = (batch_size,) if label_width == 1 else (batch_size, label_width)
        self.provide_data: list[DataDesc] = [DataDesc(data_name, (batch_size, *self.data_shape), self._dtype.type)]
        self.provide_label: list[DataDesc] = [DataDesc(label_name, labels)]
        self._mix()

    def _mix(self) -> None:
        if self._shuffle:
            order = list(self.order)
            self._random.shuffle(order)
            self.order: np.ndarray = np.array(order)

    def reset(self) -> None:
        """Begins again; where batches go round, behind the images that filled the last one."""
        super().reset()
        self._mix()

    def read(self, numbers: np.ndarray) -> tuple[list[NDArray], list[NDArray]]:
        """The data and the labels of images."""
        pairs = [unpack(self._records[number]) for number in numbers]
        data = np.stack([self._image(encoded) for _, encoded in pairs])
        labels = np.stack([np.ravel(header.label)[: self.label_width] for header, _ in pairs]).astype('float32')
        return [NDArray(as_jax(data))], [NDArray(as_jax(labels.reshape(self.provide_label[0].shape)))]

    def _image(self, encoded: bytes) -> np.ndarray:
        channels, height, width = self.data_shape
        image: Any = functions.imdecode(encoded, flag=int(channels == 3))
        if self._crops['resize'] > 0:
            image = functions.resize_short(image, self._crops['resize'], self._interp)
        w, h = functions.scale_down((image.shape[1], image.shape[0]), (width, height))
        spare = image.shape[1] - w, image.shape[0] - h
        x0, y0 = (self._random.randint(0, n) if self._crops['rand_crop'] else n // 2 for n in spare)
        image = functions.fixed_crop(image, x0, y0, w, h, (width, height), self._interp).asnumpy()
        if self._crops['mirror'] or (self._crops['rand_mirror'] and self._random.random() < 0.5):
            image = image[:, ::-1]
        if self._dtype == np.uint8:
            return np.moveaxis(image, -1, 0)
        pixels = np.moveaxis((image.astype('float32') - self._mean) * self._factor, -1, 0)
        return (pixels.clip(-128, 127) if self._dtype == np.int8 else pixels).astype(self._dtype)


class ImageRecordUInt8Iter(ImageRecordIter):
    """`ImageRecordIter` of uint8: pixels as they are."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **{'dtype': 'uint8', **kwargs})


class ImageRecordInt8Iter(ImageRecordIter):
    """`ImageRecordIter` of int8: pixels less the mean, at most 127."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **{'dtype': 'int8', **kwargs})


def _refuse(others: Any) -> None:
    """Refuses what would change images, and is not here."""
    for name, value in others.items():
        if name in _SILENT or any(value == nothing for nothing in _NOTHING):
            continue
        raise ArgumentError(
            f'ImageRecordIter has no {name}={value!r} here',
            remedy='gluon.data.vision.ImageRecordDataset with transforms, or mx.image.ImageIter with augmenters',
        )


def _all_records(path: str | pathlib.Path) -> list[bytes]:
    with MXRecordIO(str(path), 'r') as file:
        return list(iter(file.read, None))


explain_calls(globals())
