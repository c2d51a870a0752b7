"""Datasets of images for MXNet's programs: those of `gluonjax.data.vision`, with images in MXNet's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluonjax.data.vision import datasets
from gluonjax.mx.dialect import is_np_array
from gluonjax.mx.gluon.data.arrays import handle


class _InMemory:
    """Images and labels in MXNet's arrays; labels in NumPy's, unless `set_np` was called."""

    def _keep(self, data: np.ndarray, label: np.ndarray) -> None:
        self._data, self._label = handle(data), handle(label) if is_np_array() else label


class MNIST(_InMemory, datasets.MNIST):
    """Handwritten digits: images (28, 28, 1) and int32 labels; see `gluonjax.data.vision.MNIST`."""


class FashionMNIST(_InMemory, datasets.FashionMNIST):
    """Articles of clothing: images (28, 28, 1) and int32 labels; see `gluonjax.data.vision.FashionMNIST`."""


class CIFAR10(_InMemory, datasets.CIFAR10):
    """Pictures of ten things: images (32, 32, 3) and int32 labels; see `gluonjax.data.vision.CIFAR10`."""


class CIFAR100(_InMemory, datasets.CIFAR100):
    """Pictures of a hundred things: images (32, 32, 3) and int32 labels; see `gluonjax.data.vision.CIFAR100`."""


class _Reader(datasets.ImageReader):
    def decoded(self, data: bytes, what: str) -> Any:
        return handle(super().decoded(data, what))


class ImageFolderDataset(datasets.ImageFolderDataset):
    """Images in one folder for each class; see `gluonjax.data.vision.ImageFolderDataset`."""

    reader: type[datasets.ImageReader] = _Reader


class ImageListDataset(datasets.ImageListDataset):
    """Images that a list names; see `gluonjax.data.vision.ImageListDataset`."""

    reader: type[datasets.ImageReader] = _Reader


class ImageRecordDataset(datasets.ImageRecordDataset):
    """Images in a RecordIO file; see `gluonjax.data.vision.ImageRecordDataset`."""

    reader: type[datasets.ImageReader] = _Reader
