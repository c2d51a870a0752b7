"""`mx.rnn`: recurrent cells of symbols, batches of sentences, and checkpoints whose weights are taken apart by gates.

`mx.gluon.rnn` has the cells and layers of Gluon.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from gluonjax.mx import model
from gluonjax.mx.rnn.cells import BaseRNNCell, GRUCell, LSTMCell, RNNCell, RNNParams, each
from gluonjax.mx.rnn.cells_of_cells import (
    BidirectionalCell,
    DropoutCell,
    ModifierCell,
    ResidualCell,
    SequentialRNNCell,
    ZoneoutCell,
)
from gluonjax.mx.rnn.conv import BaseConvRNNCell, ConvGRUCell, ConvLSTMCell, ConvRNNCell
from gluonjax.mx.rnn.fused import FusedRNNCell
from gluonjax.mx.rnn.sentences import BucketSentenceIter, encode_sentences

rnn_cell: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
io: ModuleType = sys.modules[__name__]
rnn: ModuleType = sys.modules[__name__]
Cells = BaseRNNCell | Sequence[BaseRNNCell]


def _cells(cells: Cells) -> Sequence[BaseRNNCell]:
    return [cells] if isinstance(cells, BaseRNNCell) else cells


def save_rnn_checkpoint(
    cells: Cells,
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
) -> None:
    """Writes a checkpoint as `mx.model.save_checkpoint`, with the weights of cells taken apart by gates."""
    model.save_checkpoint(prefix, epoch, symbol, each(_cells(cells), 'unpack_weights', arg_params), aux_params)


def load_rnn_checkpoint(cells: Cells, prefix: str, epoch: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The symbol, parameters and auxiliary states that `save_rnn_checkpoint` wrote, for these cells."""
    symbol, arg_params, aux_params = model.load_checkpoint(prefix, epoch)
    return symbol, each(_cells(cells), 'pack_weights', arg_params), aux_params


def do_rnn_checkpoint(cells: Cells, prefix: str, period: int = 1) -> Callable[..., None]:
    """A callback for `fit` that writes a checkpoint every `period` epochs."""
    return functools.partial(_checkpoint, cells, prefix, max(1, int(period)))


def _checkpoint(
    cells: Cells, prefix: str, period: int, epoch: int, symbol: Any = None, args: Any = None, aux: Any = None
) -> None:
    if (epoch + 1) % period == 0:
        save_rnn_checkpoint(cells, prefix, epoch + 1, symbol, args, aux)


def rnn_unroll(
    cell: BaseRNNCell,
    length: int,
    inputs: Any = None,
    begin_state: Any = None,
    input_prefix: str = '',
    layout: str = 'NTC',
) -> Any:
    """`cell.unroll`."""
    return cell.unroll(length, inputs, begin_state, layout)


__all__ = [
    'BaseConvRNNCell',
    'BaseRNNCell',
    'BidirectionalCell',
    'BucketSentenceIter',
    'ConvGRUCell',
    'ConvLSTMCell',
    'ConvRNNCell',
    'DropoutCell',
    'FusedRNNCell',
    'GRUCell',
    'LSTMCell',
    'ModifierCell',
    'RNNCell',
    'RNNParams',
    'ResidualCell',
    'SequentialRNNCell',
    'ZoneoutCell',
    'do_rnn_checkpoint',
    'encode_sentences',
    'load_rnn_checkpoint',
    'rnn_unroll',
    'save_rnn_checkpoint',
]
