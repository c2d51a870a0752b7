"""Gradients in half precision are summed in float32 and rounded once: each layer against float64."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import CASES, LayerCase

from gluonjax import Layer, Param, nn, rnn
from gluonjax.layer import leaves_of
from gluonjax.nn.precision import add_bias
from gluonjax.tree import flatten, nest


class OwnRecurrence(Layer):
    """A scan whose body reads one weight, and closes over another."""

    def __init__(self):
        self.inputs, self.state, self.bias = Param((3, 3)), Param((3, 3)), Param((3,))

    def forward(self, x):
        weight, bias = self.state, self.bias

        def step(state, x):
            state = jnp.tanh(x @ self.inputs + 0.3 * state @ weight + bias[None])
            return state, state

        return self.scan(step, jnp.zeros((len(x), 3), x.dtype), x.swapaxes(0, 1))[1]


BATCH = 1024  # sums in bfloat16 stop growing long before that
STEPS = (4, 512, 3)  # of sequences: gradients are summed over the steps as well
MORE = [
    LayerCase('dense_last_axis', lambda: nn.Dense(3, flatten=False), (64, 200, 3)),
    LayerCase('embedding_of_few_rows', lambda: nn.Embedding(2, 3), (8192,), differentiable=False),
    LayerCase('learned_positions_many', lambda: nn.LearnedPositions(9), (BATCH, 4, 3)),
    LayerCase('conv2d_large', lambda: nn.Conv2D(2, 3, padding=1), (4, 2, 32, 32)),
    LayerCase('own_steps', OwnRecurrence, STEPS),
    LayerCase('rnn_steps', lambda: rnn.RNN(3, layout='NTC', activation='tanh'), STEPS),
    LayerCase('lstm_steps', lambda: rnn.LSTM(3, layout='NTC'), STEPS),
    LayerCase('lstm_projection_steps', lambda: rnn.LSTM(3, layout='NTC', projection_size=2), STEPS),
    LayerCase('gru_steps', lambda: rnn.GRU(3, layout='NTC'), STEPS),
    LayerCase('rnn_cell_steps', lambda: rnn.Unroll(rnn.RNNCell(3)), STEPS),
    LayerCase('lstm_cell_steps', lambda: rnn.Unroll(rnn.LSTMCell(3)), STEPS),
    LayerCase('lstmp_cell_steps', lambda: rnn.Unroll(rnn.LSTMPCell(3, 2)), STEPS),
    LayerCase('gru_cell_steps', lambda: rnn.Unroll(rnn.GRUCell(3)), STEPS),
]
TRAINED = [case for case in CASES if leaves_of(case.layer())] + MORE


def gradients(layer, params, x, weights, dtype):
    """By name, of a sum in which each element of the output has its own weight."""

    def total(params):
        outputs = layer.cast(dtype).apply_train(params, x, key=0)[0]
        return (outputs.astype(weights.dtype) * weights).sum()

    return flatten(jax.jit(jax.grad(total))(params))


@pytest.mark.parametrize('case', TRAINED, ids=lambda case: case.name)
def test_gradients_are_those_of_float64(case):
    layer, x = case.layer(), case.input(None if case in MORE else BATCH // np.prod(case.shape[1:2]))
    random = np.random.RandomState(zlib.crc32(case.name.encode()))
    with jax.enable_x64(True):
        plan = layer.specs(x)
        values = {n: random.uniform(0.2, 0.7, s.shape).astype(jnp.bfloat16) for n, s in plan.items()}
        x = np.asarray(x).astype(jnp.bfloat16) if case.differentiable else np.asarray(x) % 2
        like = jax.eval_shape(layer.apply, nest(values), x)
        weights = random.uniform(0.5, 1.5, like.shape)
        wide = {name: value.astype('float64') for name, value in values.items()}
        if case.differentiable:
            exact = gradients(layer, nest(wide), x.astype('float64'), weights, 'float64')
        else:
            exact = gradients(layer, nest(wide), x, weights, 'float64')
        half = gradients(layer, nest(values), x, weights.astype('float32'), 'bfloat16')
        largest = max(np.abs(gradient).max() for gradient in exact.values())
        for name, gradient in exact.items():
            tolerance = 0.04 * max(np.abs(gradient).max(), 0.02 * largest)
            np.testing.assert_allclose(half[name].astype('float64'), gradient, rtol=0, atol=tolerance, err_msg=name)


def test_what_the_gradient_of_a_bias_sums_is_rounded_first():
    """As `reduce_precision` in the program says: else XLA may sum, and so write, what it was in float32."""

    def operations(dtype):
        arrays = jnp.ones(3, dtype), jnp.ones((4, 3), dtype)
        equations = jax.make_jaxpr(jax.vjp(lambda bias: add_bias(arrays[1], bias), arrays[0])[1])(arrays[1]).eqns
        return [(str(each.primitive), each.params.get('mantissa_bits')) for each in equations]

    narrow = operations('bfloat16')
    assert narrow.index(('reduce_precision', 7)) < narrow.index(('reduce_sum', None))
    assert not [name for name, _ in operations('float32') if name == 'reduce_precision']
