"""Datasets of images, and transforms of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from gluonjax.packages import refuses_unknown

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


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
