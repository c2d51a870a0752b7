"""Recurrent layers and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.packages import refuses_unknown
from gluonjax.rnn.cell import HybridRecurrentCell, RecurrentCell, Unroll
from gluonjax.rnn.cells import GRUCell, LSTMCell, LSTMPCell, RNNCell
from gluonjax.rnn.conv_cells import (
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
from gluonjax.rnn.layers import GRU, LSTM, RNN
from gluonjax.rnn.modifiers import (
    BidirectionalCell,
    DropoutCell,
    HybridSequentialRNNCell,
    ModifierCell,
    ResidualCell,
    SequentialRNNCell,
    VariationalDropoutCell,
    ZoneoutCell,
)

__all__ = [  # noqa: RUF022  (plain order)
    'BidirectionalCell',
    'Conv1DGRUCell',
    'Conv1DLSTMCell',
    'Conv1DRNNCell',
    'Conv2DGRUCell',
    'Conv2DLSTMCell',
    'Conv2DRNNCell',
    'Conv3DGRUCell',
    'Conv3DLSTMCell',
    'Conv3DRNNCell',
    'DropoutCell',
    'GRU',
    'GRUCell',
    'HybridRecurrentCell',
    'HybridSequentialRNNCell',
    'LSTM',
    'LSTMCell',
    'LSTMPCell',
    'ModifierCell',
    'RNN',
    'RNNCell',
    'RecurrentCell',
    'ResidualCell',
    'SequentialRNNCell',
    'Unroll',
    'VariationalDropoutCell',
    'ZoneoutCell',
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
