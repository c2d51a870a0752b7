"""Cells of symbols: one step of a recurrent network, and its unrolling over time.

Cells of cells: in a row, both ways, fused, and with dropout, zoneout or residual connections.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import initializer as init
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.symbol import Symbol

States = list[Any]
Arguments = dict[str, Any]
sym: Any = symbol  # its operators are found by name


def sequence(length: int | None, inputs: Any, layout: str, merged: bool | None, given: str = '') -> tuple[Any, int]:
    """A sequence as one symbol or as a list of steps, and its axis of time.

    Args:
        length: the number of steps.
        inputs: a symbol, or a list of one symbol for each step.
        layout: of the one symbol, as 'NTC'.
        merged: whether it is to be one symbol; None leaves it as it is.
        given: the layout of `inputs`, if it is another.

    Raises:
        ArgumentError: for a list of another length, or no inputs.
    """
    axis, at = layout.find('T'), (given or layout).find('T')
    if inputs is None:
        raise ArgumentError('unroll needs inputs', remedy="cell.unroll(length, inputs=mx.sym.var('data'))")
    if isinstance(inputs, Symbol):
        if merged is False:
            parts = sym.split(inputs, axis=at, num_outputs=length, squeeze_axis=True)
            return ([parts] if length == 1 else list(parts)), axis
        if axis != at:
            inputs = sym.swapaxes(inputs, dim1=at, dim2=axis)
        return inputs, axis
    if length is not None and len(inputs) != length:
        raise ArgumentError('the sequence has another length', expected=length, got=len(inputs))
    if merged:
        steps = [sym.expand_dims(step, axis=axis) for step in inputs]
        return sym.Concat(*steps, dim=axis), axis
    return list(inputs), axis


class RNNParams:
    """Variables by name, which cells may share.

    Args:
        prefix: how their names begin.
    """

    def __init__(self, prefix: str = ''):
        self._prefix = prefix
        self._params: dict[str, Symbol] = {}

    def get(self, name: str, **kwargs: Any) -> Symbol:
        """The variable called prefix + name, made if it is not there."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = symbol.var(name, **kwargs)
        return self._params[name]

    def share(self, other: RNNParams) -> None:
        """Takes in the variables of another."""
        self._params.update(other._params)


class BaseRNNCell:
    """The base of cells. A subclass has `state_info` and `__call__(inputs, states)`, which gives output and states.

    Args:
        prefix: how the names of its nodes and parameters begin.
        params: those of another cell, to share them.
    """

    gates: tuple[str, ...] = ()

    def __init__(self, prefix: str = '', params: RNNParams | None = None):
        self._own_params: bool = params is None
        self._prefix: str = prefix
        self._params: RNNParams = RNNParams(prefix) if params is None else params
        self.modified = False
        self._cells: list[BaseRNNCell] = []
        self._num_hidden: int = 0
        self.reset()

    def reset(self) -> None:
        """Begins to count steps from 0, before it is unrolled again."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, '_cells', ()):
            cell.reset()

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        raise NotImplementedError

    @property
    def own_params(self) -> bool:
        """Whether no other cell shares its parameters."""
        return self._own_params

    @property
    def params(self) -> RNNParams:
        """Its parameters; whoever reads them shares them."""
        self._own_params = False
        return self._params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The shape and layout of each state."""
        raise NotImplementedError

    @property
    def state_shape(self) -> list[tuple[int, ...]]:
        """The shape of each state; 0 is the batch size."""
        return [info['shape'] for info in self.state_info]

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> States:
        """The first states: zeros, or what `func` makes of a name and a shape.

        Raises:
            GluonError: of a cell that a modifier cell has taken over.
        """
        self._check_unmodified()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            states.append(func(name=f'{self._prefix}begin_state_{self._init_counter}', **{**kwargs, **info}))
        return states

    def _check_unmodified(self) -> None:
        if self.modified:
            raise GluonError('a modifier cell stands in for this one', remedy="call the modifier's begin_state")

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        """Arrays by name, with those of all gates together taken apart by gates."""
        args = dict(args)
        for group in ('i2h', 'h2h') if self.gates else ():
            for kind in ('weight', 'bias'):
                whole = args.pop(f'{self._prefix}{group}_{kind}')
                for i, gate in enumerate(self.gates):
                    part = whole[i * self._num_hidden : (i + 1) * self._num_hidden]
                    args[f'{self._prefix}{group}{gate}_{kind}'] = part.copy()
        return args

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        """The reverse of `unpack_weights`."""
        args = dict(args)
        for group in ('i2h', 'h2h') if self.gates else ():
            for kind in ('weight', 'bias'):
                parts = [args.pop(f'{self._prefix}{group}{gate}_{kind}') for gate in self.gates]
                args[f'{self._prefix}{group}_{kind}'] = ndarray.concatenate(parts)
        return args

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        """The outputs of all steps, and the last states.

        Args:
            length: the number of steps.
            inputs: a symbol in `layout`, or one for each step.
            begin_state: the first states; zeros by default.
            layout: 'NTC' or 'TNC'.
            merge_outputs: whether the outputs are one symbol, or a list; None for what is simplest.
        """
        self.reset()
        steps, _ = sequence(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for step in steps:
            output, states = self(step, states)
            outputs.append(output)
        return sequence(length, outputs, layout, merge_outputs)[0], states


class Gated(BaseRNNCell):
    """A cell of two linear maps, of the input and of its first state, each to all gates.

    Args:
        num_hidden: the size of output and states.
        prefix: how names begin.
        params: those of another cell, to share them.
        bias_init: what the biases of the map of the input begin with.
    """

    states: int = 1
    gate_axis: int = 1  # along which the gates lie beside each other

    def __init__(self, num_hidden: int, prefix: str, params: RNNParams | None, bias_init: Any = None):
        super().__init__(prefix, params)
        self._num_hidden = num_hidden
        self._activation: Any = 'tanh'
        own, begin = self.params, {} if bias_init is None else {'init': bias_init}
        self._maps: dict[str, tuple[Symbol, Symbol]] = {
            'i2h': (own.get('i2h_weight'), own.get('i2h_bias', **begin)),
            'h2h': (own.get('h2h_weight'), own.get('h2h_bias')),
        }

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{'shape': (0, self._num_hidden), '__layout__': 'NC'} for _ in range(self.states)]

    def _linear(self, inputs: Any, state: Any, name: str) -> tuple[Any, Any]:
        size = self._num_hidden * len(self.gates)
        made = []
        for data, (group, (weight, bias)) in zip((inputs, state), self._maps.items(), strict=True):
            made.append(sym.FullyConnected(data, weight, bias, num_hidden=size, name=f'{name}{group}'))
        return made[0], made[1]

    def _next_name(self) -> str:
        self._counter += 1
        return f'{self._prefix}t{self._counter}_'


def _activation(data: Any, kind: Any, name: str | None) -> Any:
    if callable(kind):
        return kind(data, name=name)
    return sym.Activation(data, act_type=kind, name=name)


class RNNCell(Gated):
    """A simple cell: an activation of two linear maps.

    Args:
        num_hidden: the size of output and state.
        activation: 'tanh', 'relu' and so on.
        prefix: how names begin.
        params: those of another cell, to share them.

    >>> from gluonjax.mx import sym
    >>> outputs, states = RNNCell(4).unroll(2, sym.var('data'), merge_outputs=True)
    >>> outputs.infer_shape(data=(3, 2, 5))[1]
    [(3, 2, 4)]
    """

    gates: tuple[str, ...] = ('',)

    def __init__(
        self, num_hidden: int, activation: Any = 'tanh', prefix: str = 'rnn_', params: RNNParams | None = None
    ):
        super().__init__(num_hidden, prefix, params)
        self._activation = activation

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        name = self._next_name()
        i2h, h2h = self._linear(inputs, states[0], name)
        output = _activation(i2h + h2h, self._activation, f'{name}out')
        return output, [output]


class LSTMCell(Gated):
    """Long short-term memory; its states are the output and the memory.

    Args:
        num_hidden: the size of output and states.
        prefix: how names begin.
        params: those of another cell, to share them.
        forget_bias: what the biases of forget gates begin with.
    """

    gates: tuple[str, ...] = ('_i', '_f', '_c', '_o')
    states = 2

    def __init__(
        self, num_hidden: int, prefix: str = 'lstm_', params: RNNParams | None = None, forget_bias: float = 1.0
    ):
        super().__init__(num_hidden, prefix, params, init.LSTMBias(forget_bias=forget_bias))

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        name = self._next_name()
        i2h, h2h = self._linear(inputs, states[0], name)
        parts = sym.SliceChannel(i2h + h2h, num_outputs=4, axis=self.gate_axis, name=f'{name}slice')
        kinds = ('sigmoid', 'sigmoid', self._activation, 'sigmoid')
        gates = [_activation(parts[i], kind, f'{name}{"ifco"[i]}') for i, kind in enumerate(kinds)]
        memory = sym.elemwise_add(gates[1] * states[1], gates[0] * gates[2], name=f'{name}state')
        shown = _activation(memory, self._activation, None)
        output = sym.elemwise_mul(gates[3], shown, name=f'{name}out')
        return output, [output, memory]


class GRUCell(Gated):
    """A gated recurrent unit, in the form of cuDNN.

    Args:
        num_hidden: the size of output and state.
        prefix: how names begin.
        params: those of another cell, to share them.
    """

    gates: tuple[str, ...] = ('_r', '_z', '_o')

    def __init__(self, num_hidden: int, prefix: str = 'gru_', params: RNNParams | None = None):
        super().__init__(num_hidden, prefix, params)

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        name = self._next_name()
        split = functools.partial(sym.SliceChannel, num_outputs=3, axis=self.gate_axis)
        i2h, h2h = self._linear(inputs, states[0], f'{name}_')
        i2h, h2h = split(i2h, name=f'{name}_i2h_slice'), split(h2h, name=f'{name}_h2h_slice')
        reset = _activation(i2h[0] + h2h[0], 'sigmoid', f'{name}_r_act')
        update = _activation(i2h[1] + h2h[1], 'sigmoid', f'{name}_z_act')
        new = _activation(i2h[2] + reset * h2h[2], self._activation, f'{name}_h_act')
        output = sym.elemwise_add((1.0 - update) * new, update * states[0], name=f'{name}out')
        return output, [output]


def each(cells: Sequence[BaseRNNCell], method: str, args: Mapping[str, Any]) -> Arguments:
    """Arrays by name after this method of all cells, one after another."""
    for cell in cells:
        args = getattr(cell, method)(args)
    return dict(args)


class _Several(BaseRNNCell):
    """A cell whose states are those of others."""

    def __init__(self, params: RNNParams | None, cells: Sequence[BaseRNNCell] = ()):
        super().__init__('', params)
        self._shares = params is not None
        for cell in cells:
            self._take(cell)

    def _take(self, cell: BaseRNNCell) -> None:
        if self._shares:
            if not cell.own_params:
                raise ArgumentError('a cell inside and the one around it were both given params', remedy='one of them')
            cell.params.share(self.params)
        self._cells.append(cell)
        self.params.share(cell.params)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [info for cell in self._cells for info in cell.state_info]

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> States:
        self._check_unmodified()
        return [state for cell in self._cells for state in cell.begin_state(func, **kwargs)]

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return each(self._cells, 'unpack_weights', args)

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return each(self._cells, 'pack_weights', args)

    def _with_states(self, states: States) -> Iterator[tuple[BaseRNNCell, States]]:
        """Each cell with its part of the states."""
        at = 0
        for cell in self._cells:
            count = len(cell.state_info)
            yield cell, states[at : at + count]
            at += count


class SequentialRNNCell(_Several):
    """Cells one above another.

    Args:
        params: those of another cell, to share them.

    >>> from gluonjax.mx import sym
    >>> stack = SequentialRNNCell()
    >>> stack.add(LSTMCell(4, prefix='a_'))
    >>> stack.add(GRUCell(3, prefix='b_'))
    >>> len(stack.state_info), stack.unroll(2, sym.var('data'))[0][1].name
    (3, 'b_t1_out')
    """

    def __init__(self, params: RNNParams | None = None):
        super().__init__(params)

    def add(self, cell: BaseRNNCell) -> None:
        """Puts a cell on top."""
        self._take(cell)

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        self._counter += 1
        found: States = []
        for cell, own in self._with_states(states):
            inputs, new = cell(inputs, own)
            found += new
        return inputs, found

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        found: States = []
        for cell, own in self._with_states(self.begin_state() if begin_state is None else begin_state):
            merged = merge_outputs if cell is self._cells[-1] else None
            inputs, new = cell.unroll(length, inputs, own, layout, merged)
            found += new
        return inputs, found


class BidirectionalCell(_Several):
    """Two cells, one of which reads backwards; their outputs stand beside each other.

    Args:
        l_cell: the one that reads forwards.
        r_cell: the other.
        params: those of another cell, to share them.
        output_prefix: how the names of outputs begin.
    """

    def __init__(
        self, l_cell: BaseRNNCell, r_cell: BaseRNNCell, params: RNNParams | None = None, output_prefix: str = 'bi_'
    ):
        super().__init__(params, (l_cell, r_cell))
        self._output_prefix = output_prefix

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        raise GluonError('a bidirectional cell has no single steps', remedy='unroll(length, inputs)')

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        steps, axis = sequence(length, inputs, layout, False)
        (left, first), (right, second) = self._with_states(self.begin_state() if begin_state is None else begin_state)
        forth, forth_states = left.unroll(length, steps, first, layout, merge_outputs)
        back, back_states = right.unroll(length, steps[::-1], second, layout, merge_outputs)
        if merge_outputs is None:
            merge_outputs = isinstance(forth, Symbol) and isinstance(back, Symbol)
        states = [forth_states, back_states]
        name = self._output_prefix
        if merge_outputs:
            back = sym.reverse(back, axis=axis)
            return sym.Concat(forth, back, dim=2, name=f'{name}out'), states
        pairs = zip(*[sequence(length, one, layout, False)[0] for one in (forth, back)], strict=True)
        forth, back = zip(*pairs, strict=True)
        steps = zip(forth, reversed(back), strict=True)
        return [sym.Concat(a, b, dim=1, name=f'{name}t{i}') for i, (a, b) in enumerate(steps)], states


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
        super().__init__(f'{mode}_' if prefix is None else prefix, params)
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


class DropoutCell(BaseRNNCell):
    """Dropout of its inputs; it has no state.

    Args:
        dropout: the rate.
        prefix: how names begin.
        params: those of another cell, to share them.
    """

    def __init__(self, dropout: float, prefix: str = 'dropout_', params: RNNParams | None = None):
        super().__init__(prefix, params)
        self.dropout: float = dropout

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return []

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        dropped = sym.Dropout(inputs, p=self.dropout) if self.dropout > 0 else inputs
        return dropped, states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        data, _ = sequence(length, inputs, layout, merge_outputs)
        if isinstance(data, Symbol):
            return self(data, [])
        return super().unroll(length, data, begin_state, layout, merge_outputs)


class ModifierCell(BaseRNNCell):
    """The base of cells that stand in for another.

    Args:
        base_cell: the other.
    """

    def __init__(self, base_cell: BaseRNNCell):
        super().__init__()
        base_cell.modified = True
        self.base_cell: BaseRNNCell = base_cell

    @property
    def params(self) -> RNNParams:
        self._own_params = False
        return self.base_cell.params

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return self.base_cell.state_info

    def begin_state(self, func: Callable[..., Any] = symbol.zeros, **kwargs: Any) -> States:
        self._check_unmodified()
        self.base_cell.modified = False
        try:
            return self.base_cell.begin_state(kwargs.pop('init_sym', func), **kwargs)
        finally:
            self.base_cell.modified = True

    def unpack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return self.base_cell.unpack_weights(args)

    def pack_weights(self, args: Mapping[str, Any]) -> Arguments:
        return self.base_cell.pack_weights(args)


class ZoneoutCell(ModifierCell):
    """Keeps some elements of outputs and states as they were at the step before.

    Args:
        base_cell: the cell; none that has no single steps.
        zoneout_outputs: the rate for outputs.
        zoneout_states: the rate for states.

    Raises:
        ArgumentError: for a fused or bidirectional cell.
    """

    def __init__(self, base_cell: BaseRNNCell, zoneout_outputs: float = 0.0, zoneout_states: float = 0.0):
        if isinstance(base_cell, FusedRNNCell | BidirectionalCell):
            remedy = 'a ZoneoutCell of each cell inside'
            raise ArgumentError(f'{type(base_cell).__name__} has no single steps for zoneout', remedy=remedy)
        super().__init__(base_cell)
        self.zoneout_outputs: float = zoneout_outputs
        self.zoneout_states: float = zoneout_states
        self.prev_output: Any = None

    def reset(self) -> None:
        super().reset()
        self.prev_output = None

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        output, new = self.base_cell(inputs, states)
        before = sym.zeros_like(output) if self.prev_output is None else self.prev_output
        if self.zoneout_outputs:
            output = _kept(self.zoneout_outputs, output, before)
        if self.zoneout_states:
            new = [_kept(self.zoneout_states, *pair) for pair in zip(new, states, strict=True)]
        self.prev_output = output
        return output, new


def _kept(rate: float, new: Any, old: Any) -> Any:
    """Some elements of the new ones, by chance; the old ones elsewhere."""
    mask = sym.Dropout(sym.ones_like(new), p=rate)
    return sym.where(mask, new, old)


class ResidualCell(ModifierCell):
    """Adds its inputs to the outputs of a cell.

    Args:
        base_cell: the cell; its outputs are of the size of the inputs.
    """

    def __call__(self, inputs: Any, states: States) -> tuple[Any, States]:
        output, states = self.base_cell(inputs, states)
        return _plus(output, inputs), states

    def unroll(
        self,
        length: int,
        inputs: Any,
        begin_state: States | None = None,
        layout: str = 'NTC',
        merge_outputs: bool | None = None,
    ) -> tuple[Any, States]:
        self.reset()
        self.base_cell.modified = False
        try:
            outputs, states = self.base_cell.unroll(length, inputs, begin_state, layout, merge_outputs)
        finally:
            self.base_cell.modified = True
        merged = isinstance(outputs, Symbol)
        inputs, _ = sequence(length, inputs, layout, merged)
        if merged:
            return _plus(outputs, inputs), states
        return [_plus(*pair) for pair in zip(outputs, inputs, strict=True)], states


def _plus(output: Any, inputs: Any) -> Any:
    return sym.elemwise_add(output, inputs, name=f'{output.name}_plus_residual')


explain_calls(globals())
