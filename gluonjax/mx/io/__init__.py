"""`mx.io`: iterators over batches, as the Module era has them.

>>> import numpy as np
>>> import gluonjax.mx as mx
>>> data = mx.io.NDArrayIter(np.arange(10).reshape(5, 2), np.arange(5), batch_size=2)
>>> [batch.pad for batch in data]
[0, 0, 1]
"""

from __future__ import annotations

import sys
from types import ModuleType

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io.arrays import NDArrayIter
from gluonjax.mx.io.batch import DataBatch, DataDesc, DataIter, PrefetchingIter, ResizeIter
from gluonjax.mx.io.files import CSVIter, LibSVMIter, MNISTIter, SampleIter
from gluonjax.mx.io.records import ImageRecordInt8Iter, ImageRecordIter, ImageRecordUInt8Iter

MXDataIter = SampleIter
ImageRecordIter_v1 = ImageRecordIter
ImageRecordUInt8Iter_v1 = ImageRecordUInt8Iter

io: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
utils: ModuleType = sys.modules[__name__]

__all__ = [
    'CSVIter',
    'DataBatch',
    'DataDesc',
    'DataIter',
    'ImageRecordInt8Iter',
    'ImageRecordIter',
    'ImageRecordUInt8Iter',
    'LibSVMIter',
    'MNISTIter',
    'MXDataIter',
    'NDArrayIter',
    'PrefetchingIter',
    'ResizeIter',
]


explain_calls(globals())
