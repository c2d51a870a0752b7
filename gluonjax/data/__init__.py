"""Data: datasets, the order of their samples, transforms, loaders, and batches on their way to the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.packages import lazy_names

if TYPE_CHECKING:
    from gluonjax.data import batchify, vision
    from gluonjax.data.batching import Batches, batches
    from gluonjax.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
    from gluonjax.data.loader import DataLoader
    from gluonjax.data.sampler import (
        BatchSampler,
        FilterSampler,
        IntervalSampler,
        RandomSampler,
        Sampler,
        SequentialSampler,
    )

__all__ = [
    'ArrayDataset',
    'BatchSampler',
    'Batches',
    'DataLoader',
    'Dataset',
    'FilterSampler',
    'IntervalSampler',
    'RandomSampler',
    'RecordFileDataset',
    'Sampler',
    'SequentialSampler',
    'SimpleDataset',
    'batches',
    'batchify',
    'vision',
]

_HOMES = {
    'ArrayDataset': 'dataset',
    'BatchSampler': 'sampler',
    'Batches': 'batching',
    'DataLoader': 'loader',
    'Dataset': 'dataset',
    'FilterSampler': 'sampler',
    'IntervalSampler': 'sampler',
    'RandomSampler': 'sampler',
    'RecordFileDataset': 'dataset',
    'Sampler': 'sampler',
    'SequentialSampler': 'sampler',
    'SimpleDataset': 'dataset',
    'batches': 'batching',
}

if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__, _HOMES, __all__)  # a Trainer needs `batching` alone


def __dir__() -> list[str]:
    return sorted(__all__)
