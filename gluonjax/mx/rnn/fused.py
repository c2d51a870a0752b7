"""`FusedRNNCell`: layers of a recurrent network as one operator, and the cells that compute the same."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gluonjax.errors import GluonError
from gluonjax.mx import initializer as init
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.rnn.cells import Arguments, BaseRNNCell, GRUCell, LSTMCell, RNNCell, RNNParams, States, sequence
from gluonjax.mx.rnn.cells_of_cells import BidirectionalCell, DropoutCell, SequentialRNNCell
from gluonjax.mx.symbol import Symbol

sym: Any = symbol  # its operators are found by name


class FusedRNNCell(BaseRNNCell):
    """Layers of a recurrent network as the one operator RNN, whose parameters are one vector.

    Args:
        num_hidden: the size of each layer.
        num_layers: the number of layers.
        mode: 'rnn_relu', 'rnn_tanh', 'lstm' or 'gru'.
        bidirectional: whether each layer reads both ways.
        dropout: the rate between layers.
        get_next_state: whether `unroll` gives the last states.
        forget_bias: what the biases of an LSTM's forget gates begin with.
        prefix: how names begin; the mode by default.
        params: those of another cell, to share them.
    """

    has_single_steps = False

    def __init__(
        self,
        num_hidden: int,
        num_layers: int = 1,
        mode: str = 'lstm',
        bidirectional: bool = False,
        dropout: float = 0.0,
        get_next_state: bool = False,
        forget_bias: float = 1.0,
        prefix: str | None = None,
        params: RNNParams | None = None,
    ):
        self._prefix: str = f'{mode}_' if prefix is None else prefix
        super().__init__(self._prefix, params)
        self._num_hidden = num_hidden
        self._num_layers, self._mode, self._bidirectional = num_layers, mode, bidirectional
        self._dropout, self._get_next_state = dropout, get_next_state
        start = init.FusedRNN(None, num_hidden, num_layers, mode, bidirectional, forget_bias)
        self._parameter: Symbol = self.params.get('parameters', init=start)
        self._fused_gates: tuple[str, ...] = {'lstm': LSTMCell.gates, 'gru': GRUCell.gates}.get(mode, RNNCell.gates)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        shape = ((1 + self._bidirectional) * self._num_layers, 0, self._num_hidden)
        return [{'shape': shape, '__layout__': 'LNC'} for _ in range(1 + (self._mode == 'lstm'))]

    def _parts(self, inputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names and shapes of all weights and then of all biases, in the order of the vector."""
        hidden, ways = self._num_hidden, 'lr' if self._bidirectional else 'l'
        for kind in ('weight', 'bias'):
            for layer in range(self._num_layers):
                for way in ways:
                    for group in ('i2h', 'h2h'):
                        columns = (inputs if layer == 0 else len(ways) * hidden) if group == 'i2h' else hidden
                        shape = (hidden, columns) if kind == 'weight' else (hidden,)
                        for gate in self._fused_gates:
                            yield f'{self._prefix}{way}{layer}_{group}{gate}_{kind}', shape

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        args = dict(args)
        vector = args.pop(f'{self._prefix}parameters')
        fixed, one = (sum(math.prod(shape) for _, shape in self._parts(inputs)) for inputs in (0, 1))
        at = 0
        for name, shape in self._parts((vector.size - fixed) // (one - fixed)):
            args[name] = vector[at : at + math.prod(shape)].reshape(shape).copy()
            at += math.prod(shape)
        return args

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        args = dict(args)
        inputs = args[f'{self._prefix}l0_i2h{self._fused_gates[0]}_weight'].shape[1]
        parts = [args.pop(name).reshape((-1,)) for name, _ in self._parts(inputs)]
        args[f'{self._prefix}parameters'] = ndarray.concatenate(parts)
        return args

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        raise GluonError(
            'a fused cell has no single steps', remedy='unroll(length, inputs), or the cells that unfuse() gives'
        )

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        data, axis = sequence(length, inputs, layout, True)
        if axis == 1:
            warnings.warn("layout 'NTC' is transposed: 'TNC' is faster in a FusedRNNCell", stacklevel=2)
            data = sym.swapaxes(data, dim1=0, dim2=1)
        begin = self.begin_state() if begin_state is None else begin_state
        made = sym.RNN(
            data=data,
            parameters=self._parameter,
            state_size=self._num_hidden,
            num_layers=self._num_layers,
            bidirectional=self._bidirectional,
            p=self._dropout,
            state_outputs=self._get_next_state,
            mode=self._mode,
            name=f'{self._prefix}rnn',
            **dict(zip(('state', 'state_cell'), begin, strict=False)),
        )
        outputs, *states = made if self._get_next_state else (made,)
        if axis == 1:
            outputs = sym.swapaxes(outputs, dim1=0, dim2=1)
        return sequence(length, outputs, layout, merge_outputs)[0], states

    def unfuse(self) -> SequentialRNNCell:
        """Cells of the same numbers, whose weights `unpack_weights` and their `pack_weights` bring over."""
        kinds = {'lstm': LSTMCell, 'gru': GRUCell}
        simple = functools.partial(RNNCell, activation=self._mode.removeprefix('rnn_'))
        kind: Callable[..., BaseRNNCell] = kinds.get(self._mode, simple)
        stack = SequentialRNNCell()
        for layer in range(self._num_layers):
            forth, back = (kind(self._num_hidden, prefix=f'{self._prefix}{way}{layer}_') for way in 'lr')
            if self._bidirectional:
                stack.add(BidirectionalCell(forth, back, output_prefix=f'{self._prefix}bi_l{layer}_'))
            else:
                stack.add(forth)
            if self._dropout > 0 and layer < self._num_layers - 1:
                stack.add(DropoutCell(self._dropout, prefix=f'{self._prefix}_dropout{layer}_'))
        return stack


explain_calls(globals())
