"""`gluon.data.vision`: datasets of images, and transforms of them."""

from __future__ import annotations

from gluonjax.mx.gluon.data.vision import datasets, transforms
from gluonjax.mx.gluon.data.vision.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    ImageFolderDataset,
    ImageListDataset,
    ImageRecordDataset,
)

__all__ = [
    'CIFAR10',
    'CIFAR100',
    'MNIST',
    'FashionMNIST',
    'ImageFolderDataset',
    'ImageListDataset',
    'ImageRecordDataset',
    'datasets',
    'transforms',
]
