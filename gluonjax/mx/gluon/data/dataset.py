"""Datasets of MXNet's programs: those of `gluonjax.data`."""

from __future__ import annotations

from gluonjax.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from gluonjax.data.vision.datasets import FilesDataset
from gluonjax.mx.entry import explain_calls

_DownloadedDataset = FilesDataset

__all__ = ['ArrayDataset', 'Dataset', 'RecordFileDataset', 'SimpleDataset']


explain_calls(globals())
