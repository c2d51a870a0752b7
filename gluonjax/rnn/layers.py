"""Recurrent layers: several layers and directions over whole sequences, one scan each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.nn import arguments
from gluonjax.nn.dropout import Dropout
from gluonjax.param import Param
from gluonjax.rnn import equations, fused_lstm
from gluonjax.rnn.scan import one_direction, summed, zero_invalid
from gluonjax.rnn.states import Stateful, checked_length, checked_states, per_kind, per_layer
from gluonjax.run import run_of
from gluonjax.shapes import Shape

MOST_LAYERS = 1000  # each has its own parameters and is compiled by itself, so that more would take hours


class RecurrentLayer(Stateful, Layer):
    """The body of RNN, LSTM and GRU; a subclass says how many gates and states there are, and the equations.

    Layer i from the first step on has parameters `l{i}_i2h_weight`, `l{i}_h2h_weight`, `l{i}_i2h_bias`,
    `l{i}_h2h_bias` and with a projection `l{i}_h2r_weight`; from the last step back they are `r{i}_...`.
    """

    gates: ClassVar[int]
    count: ClassVar[int] = 1  # of states

    hidden_size: int
    num_layers: int
    input_size: int | None
    projection_size: int | None
    layout: Literal['TNC', 'NTC']
    bidirectional: bool
    use_sequence_length: bool
    dropout: float
    between: Any  # the Dropout between layers, or None
    kinds: tuple[str, ...]

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        layout: Literal['TNC', 'NTC'],
        dropout: float,
        bidirectional: bool,
        input_size: int | None,
        initializers: dict[str, InitializerLike | None],
        dtype: DTypeLike,
        use_sequence_length: bool,
        projection_size: int | None = None,
    ):
        self.layout = checks.one_of('layout', layout, ('TNC', 'NTC'))
        self.hidden_size = checks.size('hidden_size', hidden_size)
        self.num_layers = arguments.limited('num_layers', num_layers, MOST_LAYERS)
        self.input_size = checks.optional_size('input_size', input_size)
        self.projection_size = checks.optional_size('projection_size', projection_size)
        self.bidirectional = checks.flag('bidirectional', bidirectional)
        self.use_sequence_length = checks.flag('use_sequence_length', use_sequence_length)
        checks.number('dropout', dropout, least=0, most=1)
        self.dropout, self.between = dropout, Dropout(dropout) if dropout else None
        self.kinds = tuple(kind for kind in initializers if kind != 'h2r_weight' or self.projection_size)
        inputs = self.input_size
        for layer in range(self.num_layers):
            shapes = equations.parameter_shapes(self.gates, self.hidden_size, inputs, self.output_size)
            for side in self.sides:
                for kind in self.kinds:
                    setattr(self, f'{side}{layer}_{kind}', Param(shapes[kind], dtype, initializers[kind]))
            inputs = self.output_size * len(self.sides)

    @property
    def sides(self) -> str:
        """The directions: l from the first step on, r from the last one back."""
        return 'lr' if self.bidirectional else 'l'

    @property
    def output_size(self) -> int:
        """The size of the output of one direction."""
        return self.projection_size or self.hidden_size

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        rows, sizes = self.num_layers * len(self.sides), (self.output_size, self.hidden_size)
        dtype = jnp.dtype(vars(self)['l0_i2h_weight'].dtype).name
        return [
            {'shape': (rows, batch_size, size), '__layout__': 'LNC', 'dtype': dtype} for size in sizes[: self.count]
        ]

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> list[jax.Array]:
        """The states before the first step; a call without states then goes on from those of the call before."""
        return self.begin_state(batch_size)

    def infer_shape(self, inputs: jax.Array, states: Any = None, sequence_length: Any = None) -> dict[str, Shape]:
        arguments.rank(inputs, 3, self.layout)
        return {f'{side}0_i2h_weight': (self.gates * self.hidden_size, inputs.shape[2]) for side in self.sides}

    def step_inputs(self, i2h: jax.Array, h2h_bias: jax.Array) -> tuple[list[jax.Array], jax.Array | None]:
        """What `recur` takes: the sequences, and the bias of the product of the output before if it is kept apart."""
        return summed(i2h, h2h_bias)

    def equations(self, states: Sequence[jax.Array], *inputs: jax.Array) -> list[jax.Array]:
        """The new states of a step, first the one that is the output."""
        raise NotImplementedError

    def forward(
        self,
        inputs: jax.Array,
        states: Sequence[jax.Array] | jax.Array | None = None,
        sequence_length: jax.Array | None = None,
        *,
        cache: list[jax.Array] | None = None,
    ) -> Any:
        if cache is not None:
            return self._decode(inputs, states, sequence_length, cache)
        checks.floating(inputs)
        batch, time = inputs.shape[self.layout.index('N')], self.layout.index('T')
        self._check_lengths(sequence_length)
        lengths = checked_length(sequence_length, batch)
        first = self.begin_state(batch, dtype=inputs.dtype) if states is None else states
        rows = per_layer(checked_states(first, self.state_info(batch)))
        xs, last = zero_invalid(jnp.moveaxis(inputs, time, 0), lengths), []
        every = range(self.num_layers)
        for layers in [every[i : i + 1] for i in every] if self.between and self.training else [every]:
            if layers[0]:
                xs = self.between(xs)
            xs, after = self._in_a_row(layers, xs, rows[len(last) :], lengths)
            last += after
        result = jnp.moveaxis(xs, 0, time)
        return result if states is None else (result, per_kind(last))

    def _decode(self, inputs: jax.Array, states: Any, sequence_length: Any, cache: list[jax.Array]) -> Any:
        """The output and the next cache, where a network decodes; states that are given are not ours to keep."""
        if states is not None:
            return self.forward(inputs, states, sequence_length), cache
        if self.bidirectional:
            raise ArgumentError(
                'a second direction begins at the end, which is not known while decoding',
                got='bidirectional=True',
                remedy='give states, for a layer that reads whole sequences',
            )
        return self.forward(inputs, cache, sequence_length)

    def _in_a_row(
        self, layers: range, xs: jax.Array, rows: Sequence[list[jax.Array]], lengths: jax.Array | None
    ) -> tuple[jax.Array, list[list[jax.Array]]]:
        """Layers without dropout between them: outputs, and the last states for each row."""
        last = []
        for layer in layers:
            outputs = []
            for side in self.sides:
                y, after = self._one_scan(side, layer, xs, rows[len(last)], lengths)
                last.append(after)
                outputs.append(y)
            xs = jnp.concatenate(outputs, 2) if self.bidirectional else outputs[0]
        return xs, last

    def _one_scan(
        self, side: str, layer: int, xs: jax.Array, states: list[jax.Array], lengths: jax.Array | None
    ) -> tuple[jax.Array, list[jax.Array]]:
        """One layer in one direction."""
        xs, *values = checks.promoted(xs, *self._weights(side, layer), *states)
        weights, projection, begin = values[:4], values[4 : len(self.kinds)], values[len(self.kinds) :]
        step = self.projected_equations if projection else self.equations
        settings = {'lengths': lengths, 'backwards': side == 'r'}
        return one_direction(step, self.step_inputs, xs, begin, weights, projection, **settings)

    def _weights(self, side: str, layer: int) -> list[jax.Array]:
        return [getattr(self, f'{side}{layer}_{kind}') for kind in self.kinds]

    def projected_equations(
        self, states: Sequence[jax.Array], gates: jax.Array, h2r_weight: jax.Array
    ) -> list[jax.Array]:
        """`equations`, with the output projected."""
        h, *others = self.equations(states, gates)
        return [equations.projected(h, h2r_weight), *others]

    def _check_lengths(self, sequence_length: Any) -> None:
        if (sequence_length is not None) != self.use_sequence_length:
            raise ArgumentError(
                'sequence_length and use_sequence_length go together',
                expected='lengths' if self.use_sequence_length else 'no lengths',
                got='none' if sequence_length is None else f'lengths of shape {jnp.shape(sequence_length)}',
                remedy='with use_sequence_length=True call layer(inputs, states, lengths), without it layer(inputs)',
            )


class RNN(RecurrentLayer):
    """Elman's network: `h_t = activation(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)`. MXNet's `RNN` operator.

    `layer(inputs)` starts from zeros and gives the outputs; `layer(inputs, states)` gives the outputs and the list of
    last states. Inputs are (T, N, C), or (N, T, C) with layout 'NTC'; outputs the same with hidden_size for C, twice
    that if bidirectional. The one state, `[h]` or `h`, is (num_layers, N, hidden_size); if bidirectional, it has twice
    the rows, l0, r0, l1, ....

    Args:
        hidden_size: the size of h.
        num_layers: how many layers; each takes the outputs of the one before.
        activation: 'relu' or 'tanh'.
        layout: of inputs and outputs, 'TNC' or 'NTC'.
        dropout: in training, the rate of dropout on the outputs of every layer but the last.
        bidirectional: a second direction, from the last step to the first; outputs are joined.
        i2h_weight_initializer: of each i2h_weight, shape (hidden_size, input size of the layer).
        h2h_weight_initializer: of each h2h_weight, shape (hidden_size, hidden_size).
        i2h_bias_initializer: of each i2h_bias, shape (hidden_size,).
        h2h_bias_initializer: of each h2h_bias, shape (hidden_size,).
        input_size: the size of the input; None (or 0) lets the first input decide.
        dtype: the dtype of the parameters, and of the states that `begin_state` makes.
        use_sequence_length: `layer(inputs, states, sequence_length)` takes lengths, shape (N,). Inputs beyond are
            ignored, outputs are 0, states are those of the last valid step, and the second direction begins there.

    Raises:
        ShapeError: when called, if inputs, states or lengths have wrong shapes.
        DTypeError: when called, if the input is not of floating point.

    >>> from gluonjax import nn
    >>> layer = RNN(256)
    >>> net = nn.Sequential(layer)
    >>> net.initialize()
    >>> outputs, states = net(jnp.ones((35, 2, 28)), layer.begin_state(batch_size=2))
    >>> outputs.shape, len(states), states[0].shape
    ((35, 2, 256), 1, (1, 2, 256))
    """

    gates = 1
    activation: Literal['relu', 'tanh']

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        activation: Literal['relu', 'tanh'] = 'relu',
        layout: Literal['TNC', 'NTC'] = 'TNC',
        dropout: float = 0,
        bidirectional: bool = False,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        input_size: int | None = None,
        dtype: DTypeLike = 'float32',
        *,
        use_sequence_length: bool = False,
    ):
        self.activation = checks.one_of('activation', activation, ('relu', 'tanh'))
        super().__init__(
            hidden_size,
            num_layers,
            layout,
            dropout,
            bidirectional,
            input_size,
            {
                'i2h_weight': i2h_weight_initializer,
                'h2h_weight': h2h_weight_initializer,
                'i2h_bias': i2h_bias_initializer,
                'h2h_bias': h2h_bias_initializer,
            },
            dtype,
            use_sequence_length,
        )

    def equations(self, states: Sequence[jax.Array], *inputs: jax.Array) -> list[jax.Array]:
        (gates,) = inputs
        return equations.elman(gates, activations.function(self.activation))


class LSTM(RecurrentLayer):
    """Long short-term memory; see `LSTMCell` for the equations, and `RNN` for inputs, outputs and lengths.

    States are [h, c], both (num_layers, N, hidden_size); h has projection_size instead if there is one. MXNet's `RNN`
    operator, which on CPUs ignores lengths and clipping, and does not train a projection; here they work everywhere.

    On CUDA it is cuDNN's LSTM, with the same parameters, if it has neither projection nor clipping, everything is of
    float32, and the process has one GPU, on which it is traced: XLA would gather all of a batch for it that is sharded
    over several. Elsewhere it is a scan.

    Args:
        hidden_size: the size of c, and without a projection of h.
        num_layers: how many layers.
        layout: of inputs and outputs, 'TNC' or 'NTC'.
        dropout: in training, the rate of dropout on the outputs of every layer but the last.
        bidirectional: a second direction, from the last step to the first.
        input_size: the size of the input; None (or 0) lets the first input decide.
        i2h_weight_initializer: of each i2h_weight, shape (4 * hidden_size, input size of the layer).
        h2h_weight_initializer: of each h2h_weight, shape (4 * hidden_size, size of h).
        i2h_bias_initializer: of each i2h_bias, shape (4 * hidden_size,).
        h2h_bias_initializer: of each h2h_bias, shape (4 * hidden_size,).
        projection_size: the size of h and of outputs, if they are projected; see `LSTMPCell`.
        h2r_weight_initializer: of each h2r_weight, shape (projection_size, hidden_size).
        state_clip_min: the least value that c may have; together with state_clip_max.
        state_clip_max: the greatest.
        state_clip_nan: with clipping, a NaN in c becomes state_clip_min.
        dtype: the dtype of the parameters, and of the states that `begin_state` makes.
        use_sequence_length: see `RNN`.
        implementation: None chooses for the platform that the program is compiled for, as above; 'scan' never takes
            cuDNN's; 'cudnn' takes it among several GPUs too, and is an error where it does not serve. Not in MXNet.

    Raises:
        ArgumentError: when called, if `implementation='cudnn'` is asked for and does not serve.

    >>> layer = LSTM(100, 2, bidirectional=True)
    >>> layer.apply(layer.init(0, x := jnp.ones((5, 3, 10))), x).shape
    (5, 3, 200)
    """

    gates = 4
    count = 2
    state_clip_min: float | None
    state_clip_max: float | None
    state_clip_nan: bool
    implementation: Literal['scan', 'cudnn'] | None

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: Literal['TNC', 'NTC'] = 'TNC',
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int | None = None,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        projection_size: int | None = None,
        h2r_weight_initializer: InitializerLike | None = None,
        state_clip_min: float | None = None,
        state_clip_max: float | None = None,
        state_clip_nan: bool = False,
        dtype: DTypeLike = 'float32',
        *,
        use_sequence_length: bool = False,
        implementation: Literal['scan', 'cudnn'] | None = None,
    ):
        self.implementation = checks.one_of('implementation', implementation, (None, 'scan', 'cudnn'))
        if (state_clip_min is None) != (state_clip_max is None):
            raise ArgumentError(
                'state_clip_min and state_clip_max go together',
                expected='two numbers, or none',
                got=(state_clip_min, state_clip_max),
            )
        self.state_clip_min = None if state_clip_min is None else checks.number('state_clip_min', state_clip_min)
        self.state_clip_max = None if state_clip_max is None else checks.number('state_clip_max', state_clip_max)
        self.state_clip_nan = checks.flag('state_clip_nan', state_clip_nan)
        super().__init__(
            hidden_size,
            num_layers,
            layout,
            dropout,
            bidirectional,
            input_size,
            {
                'i2h_weight': i2h_weight_initializer,
                'h2h_weight': h2h_weight_initializer,
                'i2h_bias': i2h_bias_initializer,
                'h2h_bias': h2h_bias_initializer,
                'h2r_weight': h2r_weight_initializer,
            },
            dtype,
            use_sequence_length,
            projection_size,
        )

    def _in_a_row(
        self, layers: range, xs: jax.Array, rows: Sequence[list[jax.Array]], lengths: jax.Array | None
    ) -> tuple[jax.Array, list[list[jax.Array]]]:
        plain = self.projection_size is None and self.state_clip_min is None
        if plain and (self.implementation == 'cudnn' or (self.implementation is None and jax.device_count() == 1)):
            weights = [weight for i in layers for side in self.sides for weight in self._weights(side, i)]
            states = per_kind(rows[: len(layers) * len(self.sides)])
            fused = fused_lstm.lstm(xs, states, lengths, weights, len(layers), self.sides)
            if fused is not None:
                return fused[0], per_layer(fused[1])
        if (
            self.implementation == 'cudnn' and run_of(self, 'forward').values is not None
        ):  # shapes are inferred anywhere
            raise ArgumentError(
                "cuDNN's LSTM does not serve here",
                expected="an LSTM of float32 without projection and clipping, a GPU, and JAX's plug-in for CUDA",
                got=f'{xs.dtype}{xs.shape} on {jax.default_backend()}',
                remedy='without implementation= the layer takes it where it serves',
            )
        return super()._in_a_row(layers, xs, rows, lengths)

    def equations(self, states: Sequence[jax.Array], *inputs: jax.Array) -> list[jax.Array]:
        (gates,) = inputs
        return equations.lstm(gates, states, clip=self._clip())

    def _clip(self) -> Callable[[jax.Array], jax.Array]:
        low, high = self.state_clip_min, self.state_clip_max
        if low is None:
            return lambda c: c
        if self.state_clip_nan:
            return lambda c: jnp.clip(jnp.where(jnp.isnan(c), low, c), low, high)
        return lambda c: jnp.clip(c, low, high)


class GRU(RecurrentLayer):
    """Gated recurrent units; see `GRUCell` for the equations, and `RNN` for inputs, states, outputs and lengths.

    Args:
        hidden_size: the size of h.
        num_layers: how many layers.
        layout: of inputs and outputs, 'TNC' or 'NTC'.
        dropout: in training, the rate of dropout on the outputs of every layer but the last.
        bidirectional: a second direction, from the last step to the first.
        input_size: the size of the input; None (or 0) lets the first input decide.
        i2h_weight_initializer: of each i2h_weight, shape (3 * hidden_size, input size of the layer).
        h2h_weight_initializer: of each h2h_weight, shape (3 * hidden_size, hidden_size).
        i2h_bias_initializer: of each i2h_bias, shape (3 * hidden_size,).
        h2h_bias_initializer: of each h2h_bias, shape (3 * hidden_size,).
        dtype: the dtype of the parameters, and of the states that `begin_state` makes.
        use_sequence_length: see `RNN`.

    >>> list(GRU(3, input_size=2).init(0))
    ['l0_i2h_weight', 'l0_h2h_weight', 'l0_i2h_bias', 'l0_h2h_bias']
    """

    gates = 3

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: Literal['TNC', 'NTC'] = 'TNC',
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int | None = None,
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        dtype: DTypeLike = 'float32',
        *,
        use_sequence_length: bool = False,
    ):
        super().__init__(
            hidden_size,
            num_layers,
            layout,
            dropout,
            bidirectional,
            input_size,
            {
                'i2h_weight': i2h_weight_initializer,
                'h2h_weight': h2h_weight_initializer,
                'i2h_bias': i2h_bias_initializer,
                'h2h_bias': h2h_bias_initializer,
            },
            dtype,
            use_sequence_length,
        )

    def step_inputs(self, i2h: jax.Array, h2h_bias: jax.Array) -> tuple[list[jax.Array], jax.Array | None]:
        return jnp.split(i2h, 3, -1), h2h_bias  # the reset gate multiplies it, so it cannot be added in advance

    def equations(self, states: Sequence[jax.Array], *inputs: jax.Array) -> list[jax.Array]:
        *i2h, h2h = inputs
        return equations.gru(i2h, h2h, states)
