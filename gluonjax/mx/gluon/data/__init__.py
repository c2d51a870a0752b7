"""`gluon.data`: datasets, samplers and loaders of MXNet's programs."""

from __future__ import annotations

from gluonjax.data import batchify
from gluonjax.mx.gluon.data import dataloader, dataset, sampler, vision
from gluonjax.mx.gluon.data.dataloader import DataLoader
from gluonjax.mx.gluon.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from gluonjax.mx.gluon.data.sampler import (
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
    'DataLoader',
    'Dataset',
    'FilterSampler',
    'IntervalSampler',
    'RandomSampler',
    'RecordFileDataset',
    'Sampler',
    'SequentialSampler',
    'SimpleDataset',
    'batchify',
    'dataloader',
    'dataset',
    'sampler',
    'vision',
]
