"""Datasets of images for MXNet's programs: those of `gluonjax.data.vision`, with images in MXNet's arrays."""

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
    __doc__ = datasets.MNIST.__doc__


class FashionMNIST(_InMemory, datasets.FashionMNIST):
    __doc__ = datasets.FashionMNIST.__doc__


class CIFAR10(_InMemory, datasets.CIFAR10):
    __doc__ = datasets.CIFAR10.__doc__


class CIFAR100(_InMemory, datasets.CIFAR100):
    __doc__ = datasets.CIFAR100.__doc__


class _Reader(datasets.ImageReader):
    def decoded(self, data: bytes, what: str) -> Any:
        return handle(super().decoded(data, what))


class ImageFolderDataset(datasets.ImageFolderDataset):
    __doc__ = datasets.ImageFolderDataset.__doc__
    reader: type[datasets.ImageReader] = _Reader


class ImageListDataset(datasets.ImageListDataset):
    __doc__ = datasets.ImageListDataset.__doc__
    reader: type[datasets.ImageReader] = _Reader


class ImageRecordDataset(datasets.ImageRecordDataset):
    __doc__ = datasets.ImageRecordDataset.__doc__
    reader: type[datasets.ImageReader] = _Reader
