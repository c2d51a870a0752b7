"""Cells of symbols whose maps are convolutions: `ConvRNNCell`, `ConvLSTMCell` and `ConvGRUCell`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx import symbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.rnn.cells import BaseRNNCell, Gated, GRUCell, LSTMCell, RNNCell, RNNParams
from gluonjax.mx.symbol import Symbol

Sizes = Sequence[int]
sym: Any = symbol  # its operators are found by name
_LEAKY = functools.partial(sym.LeakyReLU, act_type='leaky', slope=0.2)


class BaseConvRNNCell(Gated):
    """The base of cells whose maps, of the input and of the state, are convolutions.

    Args:
        input_shape: the shape of the input of one step.
        num_hidden: the number of channels of output and states.
        h2h_kernel: of the map of the state; odd.
        h2h_dilate: its dilation.
        i2h_kernel: of the map of the input.
        i2h_stride: its strides.
        i2h_pad: its padding.
        i2h_dilate: its dilation.
        i2h_weight_initializer: of the weight of the map of the input.
        h2h_weight_initializer: of that of the state.
        i2h_bias_initializer: of the bias of the map of the input.
        h2h_bias_initializer: of that of the state.
        activation: 'tanh', 'relu' and so on, or a function of a symbol and `name`.
        prefix: how names begin.
        params: those of another cell, to share them.
        conv_layout: 'NCHW', or where the channels are.

    Raises:
        ArgumentError: if a size of `h2h_kernel` is even.

    >>> from gluonjax.mx import sym
    >>> outputs, states = ConvLSTMCell((1, 3, 8, 8), 4).unroll(2, [sym.var('a'), sym.var('b')])
    >>> outputs[1].infer_shape(a=(1, 3, 8, 8), b=(1, 3, 8, 8))[1]
    [(1, 4, 8, 8)]
    """

    _prefix_here = ''

    def __init__(
        self,
        input_shape: Sizes,
        num_hidden: int,
        h2h_kernel: Sizes = (3, 3),
        h2h_dilate: Sizes = (1, 1),
        i2h_kernel: Sizes = (3, 3),
        i2h_stride: Sizes = (1, 1),
        i2h_pad: Sizes = (1, 1),
        i2h_dilate: Sizes = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = 'zeros',
        h2h_bias_initializer: Any = 'zeros',
        activation: Any = _LEAKY,
        prefix: str | None = None,
        params: RNNParams | None = None,
        conv_layout: str = 'NCHW',
    ):
        BaseRNNCell.__init__(self, self._prefix_here if prefix is None else prefix, params)
        if any(size % 2 == 0 for size in h2h_kernel):
            raise ArgumentError('the sizes of h2h_kernel must be odd', got=tuple(h2h_kernel))
        self._num_hidden = num_hidden
        self._activation: Any = activation
        self._layout = conv_layout
        self.gate_axis: int = conv_layout.find('C')
        padding = tuple(d * (size - 1) // 2 for d, size in zip(h2h_dilate, h2h_kernel, strict=True))
        moves = {'kernel': i2h_kernel, 'stride': i2h_stride, 'pad': i2h_pad, 'dilate': i2h_dilate}
        self._moves = (moves, {'kernel': h2h_kernel, 'stride': (1, 1), 'pad': padding, 'dilate': h2h_dilate})
        self._maps: dict[str, tuple[Symbol, Symbol]] = {
            'i2h': self._declared('i2h', i2h_weight_initializer, i2h_bias_initializer),
            'h2h': self._declared('h2h', h2h_weight_initializer, h2h_bias_initializer),
        }
        step = sym.Convolution(sym.var('data'), num_filter=num_hidden, layout=conv_layout, **moves)
        self._state_shape: tuple[int, ...] = (0, *step.infer_shape(data=tuple(input_shape))[1][0][1:])

    def _declared(self, group: str, weight: Any, bias: Any) -> tuple[Symbol, Symbol]:
        own = self.params
        return own.get(f'{group}_weight', init=weight), own.get(f'{group}_bias', init=bias)

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """The shape and layout of each state."""
        return [{'shape': self._state_shape, '__layout__': self._layout} for _ in range(self.states)]

    def _linear(self, inputs: Any, state: Any, name: str) -> tuple[Any, Any]:
        same = {'num_filter': self._num_hidden * len(self.gates), 'layout': self._layout}
        made = []
        for data, moves, (group, (weight, bias)) in zip((inputs, state), self._moves, self._maps.items(), strict=True):
            made.append(sym.Convolution(data, weight, bias, **moves, **same, name=f'{name}{group}'))
        return made[0], made[1]


class ConvRNNCell(BaseConvRNNCell, RNNCell):
    """A simple cell of convolutions; the arguments are those of `BaseConvRNNCell`."""

    _prefix_here = 'ConvRNN_'


class ConvLSTMCell(BaseConvRNNCell, LSTMCell):
    """Long short-term memory of convolutions; the arguments are those of `BaseConvRNNCell`."""

    _prefix_here = 'ConvLSTM_'


class ConvGRUCell(BaseConvRNNCell, GRUCell):
    """A gated recurrent unit of convolutions; the arguments are those of `BaseConvRNNCell`."""

    _prefix_here = 'ConvGRU_'


explain_calls(globals())
