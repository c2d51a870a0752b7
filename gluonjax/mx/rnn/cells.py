"""Cells of symbols: one step of a recurrent network, and its unrolling over time.

Cells of cells are in `cells_of_cells`, and layers as one operator in `fused`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
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
    has_single_steps: bool = True  # whether it can be called, besides unrolled

    def __init__(self, prefix: str = '', params: RNNParams | None = None):
        self._own_params: bool = params is None
        self._prefix: str = prefix
        self._params: RNNParams = RNNParams(prefix) if params is None else params
        self.modified = False
        self._num_hidden: int = 0
        self.reset()

    def reset(self) -> None:
        """Begins to count steps from 0, before it is unrolled again."""
        self._init_counter = -1
        self._counter = -1

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
        self.check_unmodified()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            states.append(func(name=f'{self._prefix}begin_state_{self._init_counter}', **{**kwargs, **info}))
        return states

    def check_unmodified(self) -> None:
        """Refuses to begin states of a cell that another one stands in for.

        Raises:
            GluonError: if one does.
        """
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


explain_calls(globals())
