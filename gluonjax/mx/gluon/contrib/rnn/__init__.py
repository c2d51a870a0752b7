"""`gluon.contrib.rnn`: more cells."""

from __future__ import annotations

import sys
from types import ModuleType

from gluonjax.mx.gluon.contrib.rnn.cells import LSTMPCell, VariationalDropoutCell, dynamic_unroll
from gluonjax.mx.gluon.contrib.rnn.conv import (
    Conv1DGRUCell,
    Conv1DLSTMCell,
    Conv1DRNNCell,
    Conv2DGRUCell,
    Conv2DLSTMCell,
    Conv2DRNNCell,
    Conv3DGRUCell,
    Conv3DLSTMCell,
    Conv3DRNNCell,
)

conv_rnn_cell: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
rnn_cell: ModuleType = sys.modules[__name__]

__all__ = [
    'Conv1DGRUCell',
    'Conv1DLSTMCell',
    'Conv1DRNNCell',
    'Conv2DGRUCell',
    'Conv2DLSTMCell',
    'Conv2DRNNCell',
    'Conv3DGRUCell',
    'Conv3DLSTMCell',
    'Conv3DRNNCell',
    'LSTMPCell',
    'VariationalDropoutCell',
    'dynamic_unroll',
]
