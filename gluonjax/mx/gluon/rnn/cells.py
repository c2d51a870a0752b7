"""Recurrent cells of dense products: RNN, LSTM and GRU."""

from __future__ import annotations

from typing import Any, ClassVar

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import own_parameters_of
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict
from gluonjax.mx.gluon.rnn.cell import HybridRecurrentCell, activated


class GatedCell(HybridRecurrentCell):
    """A cell of two products, of the input and of the state, each with a row of `hidden_size` for each gate.

    Args:
        hidden_size: the width of the state.
        i2h_weight_initializer: of the weight of the input.
        h2h_weight_initializer: of the weight of the state.
        i2h_bias_initializer: of the bias of the input.
        h2h_bias_initializer: of the bias of the state.
        input_size: the width of the input; 0 infers it.
        prefix: what the names of its parameters begin with.
        params: a dict whose parameters are shared.
    """

    gates: ClassVar[int] = 1
    count: ClassVar[int] = 1  # of states

    def __init__(
        self,
        hidden_size: int,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = 'zeros',
        h2h_bias_initializer: Any = 'zeros',
        input_size: int = 0,
        prefix: str | None = None,
        params: ParameterDict | None = None,
    ):
        super().__init__(prefix, params)
        self._hidden_size, self._input_size = hidden_size, input_size
        rows = self.gates * hidden_size

        def parameter(name: str, shape: tuple[int, ...], init: Any) -> Parameter:
            return self.params.get(name, shape=shape, init=init, allow_deferred_init=True)

        self.i2h_weight: Parameter = parameter('i2h_weight', (rows, input_size), i2h_weight_initializer)
        self.h2h_weight: Parameter = parameter('h2h_weight', (rows, self.state_sizes[0]), h2h_weight_initializer)
        self.i2h_bias: Parameter = parameter('i2h_bias', (rows,), i2h_bias_initializer)
        self.h2h_bias: Parameter = parameter('h2h_bias', (rows,), h2h_bias_initializer)

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        return [{'shape': (batch_size, size), '__layout__': 'NC'} for size in self.state_sizes]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The widths of the states."""
        return (self._hidden_size,) * self.count

    def _alias(self) -> str:
        own = next(cls for cls in type(self).__mro__ if cls.__module__.startswith('gluonjax'))  # not a program's
        return own.__name__.lower().removesuffix('cell')

    def products(self, F: Any, x: Any, h: Any, parameters: dict[str, Any]) -> tuple[Any, Any]:
        """The products of the input and of the state."""
        rows = self.gates * self._hidden_size
        return tuple(
            F.FullyConnected(
                value,
                parameters[f'{which}_weight'],
                parameters[f'{which}_bias'],
                num_hidden=rows,
                name=f'{self.step_prefix}{which}',
            )
            for which, value in (('i2h', x), ('h2h', h))
        )

    def __repr__(self) -> str:
        rows, width = self.i2h_weight.shape or (0, 0)
        return f'{type(self).__name__}({width or None} -> {rows})'


class RNNCell(GatedCell):
    """h' = activation(W x + b + U h + c).

    Args:
        hidden_size: the width of the state.
        activation: its name, or a block.
        *args: the initializers and `input_size`, in the order of `GatedCell`.
        **kwargs: the same by name, `prefix` and `params`.

    >>> from gluonjax.mx import nd
    >>> cell = RNNCell(2, prefix='rnn_')
    >>> cell.initialize('ones')
    >>> output, states = cell(nd.ones((1, 3)), cell.begin_state(1))
    >>> output.shape, list(cell.collect_params())
    ((1, 2), ['rnn_i2h_weight', 'rnn_h2h_weight', 'rnn_i2h_bias', 'rnn_h2h_bias'])
    """

    def __init__(self, hidden_size: int, activation: Any = 'tanh', *args: Any, **kwargs: Any):
        super().__init__(hidden_size, *args, **kwargs)
        self._activation: Any = activation

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, *values: Any, **parameters: Any) -> Any:
        """One step."""
        parameters.update(zip(own_parameters_of(self), values, strict=False))
        i2h, h2h = self.products(F, inputs, states[0], parameters)
        total = F.elemwise_add(i2h, h2h, name=f'{self.step_prefix}plus0')
        output = activated(F, total, self._activation, name=f'{self.step_prefix}out')
        return output, [output]

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, {self._activation})'


class LSTMCell(GatedCell):
    """Input gate, forget gate, new cell, output gate: c' = f c + i g, h' = o activation(c').

    Args:
        hidden_size: the width of each state.
        *args: the initializers, `input_size`, `prefix` and `params`, in the order of `GatedCell`.
        activation: of the cell.
        recurrent_activation: of the gates.
        **kwargs: the same by name.
    """

    gates: ClassVar[int] = 4
    count: ClassVar[int] = 2

    def __init__(
        self,
        hidden_size: int,
        *args: Any,
        activation: Any = 'tanh',
        recurrent_activation: Any = 'sigmoid',
        **kwargs: Any,
    ):
        super().__init__(hidden_size, *args, **kwargs)
        self._activation, self._recurrent_activation = activation, recurrent_activation

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, *values: Any, **parameters: Any) -> Any:
        """One step."""
        parameters.update(zip(own_parameters_of(self), values, strict=False))
        at = self.step_prefix
        total = F.elemwise_add(*self.products(F, inputs, states[0], parameters), name=f'{at}plus0')
        parts = F.SliceChannel(total, num_outputs=4, name=f'{at}slice')
        gate = self._recurrent_activation
        i = activated(F, parts[0], gate, name=f'{at}i')
        f = activated(F, parts[1], gate, name=f'{at}f')
        g = activated(F, parts[2], self._activation, name=f'{at}c')
        o = activated(F, parts[3], gate, name=f'{at}o')
        kept, new = F.elemwise_mul(f, states[1], name=f'{at}mul0'), F.elemwise_mul(i, g, name=f'{at}mul1')
        c = F.elemwise_add(kept, new, name=f'{at}state')
        h = F.elemwise_mul(o, activated(F, c, self._activation, name=f'{at}activation0'), name=f'{at}out')
        return h, [h, c]


class GRUCell(GatedCell):
    """Reset gate, update gate, candidate: h' = (1 - z) n + z h.

    Args:
        hidden_size: the width of the state.
        *args: the initializers, `input_size`, `prefix` and `params`, in the order of `GatedCell`.
        activation: of the candidate.
        recurrent_activation: of the gates.
        **kwargs: the same by name.
    """

    gates: ClassVar[int] = 3

    def __init__(
        self,
        hidden_size: int,
        *args: Any,
        activation: Any = 'tanh',
        recurrent_activation: Any = 'sigmoid',
        **kwargs: Any,
    ):
        super().__init__(hidden_size, *args, **kwargs)
        self._activation, self._recurrent_activation = activation, recurrent_activation

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, *values: Any, **parameters: Any) -> Any:
        """One step."""
        parameters.update(zip(own_parameters_of(self), values, strict=False))
        at, before = self.step_prefix, states[0]
        i2h, h2h = self.products(F, inputs, before, parameters)
        xr, xz, xn = F.SliceChannel(i2h, num_outputs=3, name=f'{at}i2h_slice')
        hr, hz, hn = F.SliceChannel(h2h, num_outputs=3, name=f'{at}h2h_slice')
        gate = self._recurrent_activation
        r = activated(F, F.elemwise_add(xr, hr, name=f'{at}plus0'), gate, name=f'{at}r_act')
        z = activated(F, F.elemwise_add(xz, hz, name=f'{at}plus1'), gate, name=f'{at}z_act')
        candidate = F.elemwise_add(xn, F.elemwise_mul(r, hn, name=f'{at}mul0'), name=f'{at}plus2')
        n = activated(F, candidate, self._activation, name=f'{at}h_act')
        kept = F.elemwise_mul(F.ones_like(z, name=f'{at}ones_like0') - z, n, name=f'{at}mul1')
        output = F.elemwise_add(kept, F.elemwise_mul(z, before, name=f'{at}mul20'), name=f'{at}out')
        return output, [output]


explain_calls(globals())
