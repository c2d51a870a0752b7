"""`gluon.rnn`: the recurrent layers and cells of gluonjax as blocks of Gluon, and cells.

>>> from gluonjax.mx import nd
>>> from gluonjax.mx.gluon import rnn
>>> layer = rnn.GRU(3)
>>> layer.initialize()
>>> output, state = layer(nd.ones((4, 2, 5)), layer.begin_state(batch_size=2))
>>> output.shape, state[0].shape
((4, 2, 3), (1, 2, 3))
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gluonjax import rnn
from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.io.parameters import recurrent_names
from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.gluon.library import layer_class
from gluonjax.mx.gluon.rnn.cell import HybridRecurrentCell, RecurrentCell, made_states
from gluonjax.mx.gluon.rnn.cells import GRUCell, LSTMCell, RNNCell
from gluonjax.mx.gluon.rnn.modifiers import (
    BidirectionalCell,
    DropoutCell,
    HybridSequentialRNNCell,
    ModifierCell,
    ResidualCell,
    SequentialRNNCell,
    ZoneoutCell,
)
from gluonjax.mx.symbol import Symbol

rnn_cell: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
rnn_layer: ModuleType = sys.modules[__name__]

__all__ = [
    'BidirectionalCell',
    'DropoutCell',
    'GRUCell',
    'HybridRecurrentCell',
    'HybridSequentialRNNCell',
    'LSTMCell',
    'ModifierCell',
    'RNNCell',
    'RecurrentCell',
    'ResidualCell',
    'SequentialRNNCell',
    'ZoneoutCell',
    'recurrent_class',
    'unfused',
]


def recurrent_class(cls: Any) -> Any:
    """The class of blocks of a class of recurrent layers."""

    class Made(layer_class(cls)):
        _states = 0  # how many states were made

        def begin_state(self, batch_size: int = 0, func: Callable[..., Any] = ndarray.zeros, **kwargs: Any) -> Any:
            return made_states(self, self.state_info(batch_size), func, kwargs)

        def next_state_name(self) -> str:
            self._states += 1
            return f'{self.prefix}begin_state_{self._states - 1}'

        def state_info(self, batch_size: int = 0) -> Any:
            return self.layer.state_info(batch_size)

        def _alias(self) -> str:
            return (cls if type(self) is Made else type(self)).__name__.lower()

        def __call__(self, inputs: Any, states: Any = None, sequence_length: Any = None) -> Any:
            given = [inputs, states, sequence_length]
            return super().__call__(*given[: max(i for i, x in enumerate(given) if i == 0 or x is not None) + 1])

        def _collect_params_with_prefix(self, prefix: str = '') -> dict[str, Any]:
            start, names = f'{prefix}.' if prefix else '', recurrent_names(self.layer)
            return {start + names[name]: value for name, value in super()._collect_params_with_prefix().items()}

        def _unfuse(self) -> HybridSequentialRNNCell:
            return unfused(self)

        def forward(self, inputs: Any, states: Any = None, sequence_length: Any = None) -> Any:
            if states is None and sequence_length is None:
                return super().forward(inputs)
            listed = [states] if isinstance(states, NDArray | Symbol) else states and list(states)
            return super().forward(inputs, listed, *(() if sequence_length is None else (sequence_length,)))

    Made.__name__ = Made.__qualname__ = cls.__name__
    Made.__doc__ = cls.__doc__
    return Made


def unfused(block: Any) -> HybridSequentialRNNCell:
    """The cells that compute what a recurrent layer does, with its parameters.

    Args:
        block: an RNN, LSTM or GRU.

    Raises:
        ArgumentError: for one with projections.

    >>> from gluonjax.mx import nd
    >>> layer = sys.modules[__name__].GRU(3, prefix='gru_')
    >>> layer.initialize()
    >>> output = layer(nd.ones((4, 2, 5)))
    >>> output.shape, unfused(layer).unroll(4, nd.ones((4, 2, 5)), layout='TNC', merge_outputs=True)[0].shape
    ((4, 2, 3), (4, 2, 3))
    """
    layer = block.layer
    if layer.projection_size:
        raise ArgumentError('cells of layers with projections are not made', remedy='gluon.contrib.rnn.LSTMPCell')
    kind: Any = {'RNN': RNNCell, 'LSTM': LSTMCell, 'GRU': GRUCell}[type(layer).__name__]
    more = {'activation': layer.activation} if kind is RNNCell else {}
    cells = HybridSequentialRNNCell(prefix=block.prefix, params=block.params)
    with cells.name_scope():
        for i in range(layer.num_layers):
            made = [kind(layer.hidden_size, prefix=f'{side}{i}_', **more) for side in layer.sides]
            cells.add(made[0] if len(made) == 1 else BidirectionalCell(made[0], made[1]))
            if layer.dropout and i < layer.num_layers - 1:
                cells.add(DropoutCell(layer.dropout))
    return cells


_MADE: dict[str, Any] = {}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """The recurrent layers of gluonjax.rnn."""
        if name not in ('RNN', 'LSTM', 'GRU'):
            raise missing(f'module {__name__!r}', name, __name__, __all__)
        return _MADE.setdefault(name, recurrent_class(getattr(rnn, name)))
