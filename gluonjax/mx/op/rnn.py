"""The recurrent operator: several layers and directions, their parameters packed into one vector."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from gluonjax.errors import ShapeError
from gluonjax.mx.op.index import LENGTH, as_indices
from gluonjax.mx.op.table import Attributes, Pass, Shapes, operator
from gluonjax.nn.activation import FUNCTIONS
from gluonjax.nn.precision import add_bias
from gluonjax.rnn import equations
from gluonjax.rnn.scan import recur, reverse, zero_invalid

GATES = {'rnn_relu': 1, 'rnn_tanh': 1, 'lstm': 4, 'gru': 3}
Kind = Literal['rnn_relu', 'rnn_tanh', 'lstm', 'gru']


class Part(NamedTuple):
    """One array in the packed parameters."""

    layer: int
    side: int  # 0 from the first step on, 1 from the last one back
    kind: str
    shape: tuple[int, ...]


def layout(inputs: int, hidden: int, layers: int, sides: int, mode: str, projection: int | None) -> Iterator[Part]:
    """The parts of the packed parameters in their order: all weights, then all biases."""
    gates, output = GATES[mode], projection or hidden
    kinds = ['i2h_weight', 'h2h_weight'] + (['h2r_weight'] if projection else [])
    for names in (kinds, ['i2h_bias', 'h2h_bias']):
        for layer in range(layers):
            for side in range(sides):
                width = output * sides if layer else inputs
                shapes: dict[str, Any] = equations.parameter_shapes(gates, hidden, width, output)
                yield from (Part(layer, side, name, shapes[name]) for name in names)


def packed_size(inputs: int, hidden: int, layers: int, sides: int, mode: str, projection: int | None) -> int:
    """How many numbers the packed parameters have."""
    return sum(_count(part.shape) for part in layout(inputs, hidden, layers, sides, mode, projection))


def _count(shape: tuple[int, ...]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def unpack(parameters: jax.Array, parts: Iterator[Part]) -> dict[tuple[int, int, str], jax.Array]:
    """The arrays of the packed parameters, by layer, side and kind.

    Raises:
        ShapeError: if there are not as many numbers as the parts have.
    """
    listed = list(parts)
    total = sum(_count(part.shape) for part in listed)
    if parameters.shape != (total,):
        raise ShapeError('RNN needs other packed parameters', expected=(total,), got=parameters.shape)
    arrays, start = {}, 0
    for part in listed:
        end = start + _count(part.shape)
        arrays[part.layer, part.side, part.kind] = parameters[start:end].reshape(part.shape)
        start = end
    return arrays


def _infer(attributes: Attributes, shapes: Shapes) -> Shapes:
    data = shapes['data']
    if data is None:
        return {}
    sides, hidden = 1 + attributes['bidirectional'], attributes['state_size']
    layers, projection = attributes['num_layers'], attributes['projection_size']
    rows = layers * sides
    found: dict[str, Any] = {'state': (rows, data[1], projection or hidden), 'state_cell': (rows, data[1], hidden)}
    found['sequence_length'] = (data[1],)
    if data[2] is not None:
        size = packed_size(data[2], hidden, layers, sides, attributes['mode'], projection)
        found['parameters'] = (size,)
    return found


def _outputs(attributes: Attributes) -> tuple[str, ...]:
    if not attributes['state_outputs']:
        return ('output',)
    return ('output', 'state_output', 'statecell_output')[: 3 if attributes['mode'] == 'lstm' else 2]


def _step(mode: str, clip: tuple[float, float, bool] | None, projected: bool) -> Any:
    """The equations of one step, as `recur` takes them."""

    def clipped(c: jax.Array) -> jax.Array:
        if clip is None:
            return c
        low, high, nan = clip
        return jnp.clip(jnp.where(jnp.isnan(c), low, c) if nan else c, low, high)

    def step(states: Any, *inputs: jax.Array) -> list[jax.Array]:
        arrays, weight = (inputs[:-1], inputs[-1]) if projected else (inputs, None)
        if mode == 'lstm':
            h, c = equations.lstm(arrays[0], states, clip=clipped)
            return [h if weight is None else equations.projected(h, weight), c]
        if mode == 'gru':
            return equations.gru(arrays[:-1], arrays[-1], states)
        return equations.elman(arrays[0], FUNCTIONS['relu' if mode == 'rnn_relu' else 'tanh'])

    return step


@operator(
    'RNN',
    '_npx_rnn',
    only_if={'state_cell': lambda a: a['mode'] == 'lstm', **LENGTH},
    outputs=_outputs,
    infer=_infer,
)
def rnn(
    data: jax.Array,
    parameters: jax.Array,
    state: jax.Array,
    state_cell: jax.Array | None = None,
    sequence_length: jax.Array | None = None,
    *,
    state_size: int,
    num_layers: int,
    bidirectional: bool = False,
    mode: Kind,
    p: float = 0.0,
    state_outputs: bool = False,
    projection_size: int | None = None,
    lstm_state_clip_min: float | None = None,
    lstm_state_clip_max: float | None = None,
    lstm_state_clip_nan: bool = False,
    use_sequence_length: bool = False,
    pass_: Pass,
) -> tuple[jax.Array, ...]:
    """Layers over a sequence, (T, N, C); states are (layers * directions, N, hidden)."""
    low, high = lstm_state_clip_min, lstm_state_clip_max
    clip = None if low is None or high is None else (low, high, lstm_state_clip_nan)
    step, sides = _step(mode, clip, projection_size is not None), 1 + bidirectional
    arrays = unpack(parameters, layout(data.shape[2], state_size, num_layers, sides, mode, projection_size))
    lengths = None if sequence_length is None else as_indices(sequence_length)
    states = [state] if state_cell is None else [state, state_cell]
    xs, last = zero_invalid(data, lengths), []
    for layer in range(num_layers):
        if layer and p and pass_.training:
            keep = jax.random.bernoulli(pass_.key('RNN'), 1 - p, xs.shape)
            xs = jnp.where(keep, xs / (1 - p), jnp.zeros((), xs.dtype))
        outputs = []
        for side in range(sides):
            begin = [array[layer * sides + side] for array in states]
            weights = {kind: value for (i, j, kind), value in arrays.items() if (i, j) == (layer, side)}
            y, after = _direction(step, mode == 'gru', xs, begin, weights, lengths, side == 1)
            outputs.append(y)
            last.append(after)
        xs = jnp.concatenate(outputs, 2) if bidirectional else outputs[0]
    if not state_outputs:
        return (xs,)
    return (xs, *(jnp.stack([after[i] for after in last]) for i in range(len(states))))


def _direction(
    step: Any,
    bias_apart: bool,
    xs: jax.Array,
    begin: list[jax.Array],
    weights: dict[str, jax.Array],
    lengths: jax.Array | None,
    backward: bool,
) -> tuple[jax.Array, list[jax.Array]]:
    """One layer in one direction: the outputs and the last states."""
    if backward:
        xs = reverse(xs, lengths)
    i2h = add_bias(xs @ weights['i2h_weight'].T, weights['i2h_bias'])
    bias = weights['h2h_bias'] if bias_apart else None
    sequences = jnp.split(i2h, 3, -1) if bias_apart else [add_bias(i2h, weights['h2h_bias'])]
    rest = [weights['h2r_weight']] if 'h2r_weight' in weights else []
    outputs, after = recur(step, sequences, bias, begin, weights['h2h_weight'], rest, lengths)
    return (reverse(outputs, lengths) if backward else outputs), after


@operator('_rnn_param_concat', '_npi_rnn_param_concat')
def rnn_param_concat(*data: jax.Array, num_args: int = 0, dim: int = 1) -> jax.Array:
    """The parameters of the layers as one vector."""
    return jnp.concatenate(data, dim)
