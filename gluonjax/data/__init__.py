"""Data: datasets, the order of their samples, transforms, loaders, and batches on their way to the device."""

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
