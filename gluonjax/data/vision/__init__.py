"""Datasets of images, and transforms of them."""

from __future__ import annotations

from gluonjax.data.vision import pixels, transforms
from gluonjax.data.vision.datasets import (
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
    'pixels',
    'transforms',
]
