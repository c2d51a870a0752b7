"""Recurrent layers and cells under `shard_map`, on explicit meshes, exported; padding that is not finite."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gluonjax import errors, rnn
from gluonjax.tree import flatten

LAYERS = {
    'rnn': rnn.RNN(3),
    'lstm': rnn.LSTM(3, 2, bidirectional=True),
    'gru': rnn.GRU(3),
    'lstm_cell': rnn.Unroll(rnn.LSTMCell(3), 'TNC'),
    'gru_cell': rnn.Unroll(rnn.ResidualCell(rnn.GRUCell(4)), 'TNC'),
}
by_layer = pytest.mark.parametrize('name', LAYERS)


def made(name, steps=5):
    layer, x = LAYERS[name], np.random.RandomState(0).standard_normal((steps, 8, 4)).astype('float32')
    return layer, layer.init(0, x), x


def mesh(kind):
    return jax.make_mesh((8,), ('data',), axis_types=(kind,))


def assert_close(first, second):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), first, second)


@by_layer
def test_shard_map(name):
    layer, params, x = made(name)

    def total(params, x):
        return (layer.apply(params, x) ** 2).sum()

    def both(params, x):
        y, _ = layer.apply(params, x, layer.begin_state(x.shape[1]))
        return layer.apply(params, x), y, jax.grad(total)(params, x)  # the gradient is summed over devices by itself

    split = jax.shard_map(
        both,
        mesh=mesh(AxisType.Auto),
        in_specs=(P(), P(None, 'data')),
        out_specs=(P(None, 'data'), P(None, 'data'), P()),
    )
    y, with_states, gradient = jax.jit(split)(params, x)
    expected = layer.apply(params, x)
    assert_close((y, with_states), (expected, expected))
    assert_close(gradient, jax.grad(total)(params, x))


@by_layer
def test_batches_sharded_over_an_explicit_mesh(name):
    layer, params, x = made(name)

    def total(params, x):
        return (layer.apply(params, x) ** 2).sum()

    expected = layer.apply(params, x), jax.grad(total)(params, x)
    explicit = mesh(AxisType.Explicit)
    with jax.set_mesh(explicit):
        sharded = jax.device_put(x, NamedSharding(explicit, P(None, 'data', None)))
        y = jax.jit(layer.apply)(params, sharded)
        assert y.sharding.spec[1] == 'data'
        assert_close((y, jax.jit(jax.grad(total))(params, sharded)), expected)
        assert_close(jax.jit(layer.apply)(params, sharded, layer.begin_state(8))[0], expected[0])


@by_layer
@pytest.mark.parametrize('symbols', ['t, 8, 4', 't, b, 4'])
def test_export_with_symbolic_sizes(name, symbols):
    layer, params, x = made(name)
    shapes = jax.tree.map(lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype), params)
    exported = export.export(jax.jit(layer.apply))(
        shapes, jax.ShapeDtypeStruct(export.symbolic_shape(symbols), 'float32')
    )
    for steps in (1, 5):
        assert_close(exported.call(params, x[:steps]), layer.apply(params, x[:steps]))


def test_export_with_lengths():
    layer, x = rnn.LSTM(3, bidirectional=True, use_sequence_length=True), jnp.ones((5, 2, 4))
    inputs = x, layer.begin_state(2), jnp.array([2, 5])
    params = layer.init(0, *inputs)
    t = export.symbolic_shape('t')[0]
    shapes = jax.tree.map(lambda value: jax.ShapeDtypeStruct(value.shape, value.dtype), (params, *inputs))
    shapes = (shapes[0], jax.ShapeDtypeStruct((t, 2, 4), 'float32'), *shapes[2:])
    assert_close(export.export(jax.jit(layer.apply))(*shapes).call(params, *inputs), layer.apply(params, *inputs))


# What is not finite behind the valid length.


@functools.cache
def slopes(layer):
    """A sum over outputs and states, and its gradients; compiled once."""

    def total(params, x, states, lengths):
        outputs, last = layer.apply(params, x, states, lengths)
        return sum((value**2).sum() for value in [outputs, *last])

    return jax.jit(jax.value_and_grad(total, (0, 1)))


@pytest.mark.parametrize('bad', [np.float32(np.nan), np.float32(np.inf)])
@pytest.mark.parametrize(
    'layer',
    [
        rnn.RNN(3, use_sequence_length=True),
        rnn.LSTM(3, 2, bidirectional=True, projection_size=2, use_sequence_length=True),
        rnn.GRU(3, bidirectional=True, use_sequence_length=True),
        rnn.Unroll(rnn.LSTMCell(3), 'TNC'),
        rnn.Unroll(rnn.SequentialRNNCell(rnn.ResidualCell(rnn.GRUCell(4)), rnn.RNNCell(3)), 'TNC'),
        rnn.Unroll(rnn.BidirectionalCell(rnn.GRUCell(3), rnn.ZoneoutCell(rnn.LSTMCell(3), 0.5)), 'TNC'),
    ],
    ids=['rnn', 'lstm', 'gru', 'lstm_cell', 'cells', 'bidirectional_cell'],
)
def test_values_behind_the_length_reach_neither_outputs_nor_gradients(layer, bad):
    x, lengths = np.random.RandomState(0).standard_normal((5, 3, 4)).astype('float32'), jnp.array([3, 5, 1])
    states = layer.begin_state(3)
    params = layer.init(0, x, states, lengths)
    beyond = np.arange(5)[:, None, None] >= np.asarray(lengths)[:, None]

    inputs = (np.where(beyond, value, x) for value in (np.float32(0), bad))
    expected, got = (slopes(layer)(params, x, states, lengths) for x in inputs)
    assert_close(got, expected)
    assert all(np.isfinite(value).all() for value in flatten(got[1][0]).values())
    np.testing.assert_array_equal(np.where(beyond, got[1][1], 0), 0)


def test_too_many_layers_are_refused():
    with pytest.raises(errors.ArgumentError, match=r'(?s)num_layers is too large.*1000 at most.*got: 1000000'):
        rnn.GRU(3, num_layers=10**30)
