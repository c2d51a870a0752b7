"""RNN, LSTM, GRU: what MXNet has no answer for, and how they fit the house."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rnn_golden import arrays

from gluonjax import errors, init, nn, rnn
from gluonjax.layer import leaves_of
from gluonjax.rnn import equations
from gluonjax.rnn.scan import plain_recur, recur
from gluonjax.tree import flatten

F32 = 'float32'


def normal(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(F32)


def drawn(layer, *inputs):
    return layer.init(0, *inputs, init={'.*': init.Normal(0.7)})


# In NumPy.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(params, x, clip):
    """One layer with a projection in float64, from zeros; `clip` is of c."""
    p = {name.removeprefix('l0_'): np.asarray(value, 'float64') for name, value in params.items()}
    r, c, outputs = np.zeros((x.shape[1], len(p['h2r_weight']))), np.zeros((x.shape[1], p['h2r_weight'].shape[1])), []
    for step in x:
        gates = step @ p['i2h_weight'].T + p['i2h_bias'] + r @ p['h2h_weight'].T + p['h2h_bias']
        i, f, g, o = np.split(gates, 4, -1)
        c = clip(sigmoid(f) * c + sigmoid(i) * np.tanh(g))
        r = (sigmoid(o) * np.tanh(c)) @ p['h2r_weight'].T
        outputs.append(r)
    return np.stack(outputs), r[None], c[None]


def test_state_clipping():
    x = normal(5, 2, 3)
    layer = rnn.LSTM(4, projection_size=2, state_clip_min=-0.2, state_clip_max=0.1)
    params = drawn(layer, x)
    outputs, states = layer.apply(params, x, layer.begin_state(2))
    expected = lstm_by_hand(params, x, lambda c: np.clip(c, -0.2, 0.1))
    for mine, other in zip([outputs, *states], expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    assert (states[1] == np.float32(0.1)).any()


def test_clipping_stops_nan_if_asked():
    x = normal(3, 2, 3)
    x[0, 0] = np.nan
    clipped = {'state_clip_min': -0.2, 'state_clip_max': 0.1}
    for stop in (False, True):
        layer = rnn.LSTM(4, state_clip_nan=stop, **clipped)
        states = layer.apply(drawn(layer, x), x, layer.begin_state(2))[1]
        assert np.isnan(states[1][0, 0]).all() == (not stop)
        assert not np.isnan(states[1][0, 1]).any()
    layer = rnn.LSTM(4, state_clip_nan=True, **clipped)
    with_zero = jnp.nan_to_num(x[:1])
    c = layer.apply(drawn(layer, x), x[:1], layer.begin_state(2))[1][1]
    other = layer.apply(drawn(layer, x), with_zero, layer.begin_state(2))[1][1]
    np.testing.assert_allclose(c[0, 0], -0.2, rtol=1e-6)
    np.testing.assert_array_equal(c[0, 1], other[0, 1])


# Lengths.


def test_padding_is_as_if_it_were_not_there():
    x, lengths = normal(5, 3, 2), [3, 5, 1]
    layer = rnn.LSTM(3, 2, bidirectional=True, use_sequence_length=True)
    alone = rnn.LSTM(3, 2, bidirectional=True)
    params, states = drawn(alone, x), [normal(4, 3, 3, seed=s) for s in (1, 2)]
    outputs, last = layer.apply(params, x, states, jnp.array(lengths))
    for i, length in enumerate(lengths):
        own, own_last = alone.apply(params, x[:length, i : i + 1], [s[:, i : i + 1] for s in states])
        np.testing.assert_allclose(outputs[:length, i], own[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(outputs[length:, i], 0)
        for mine, other in zip(last, own_last, strict=True):
            np.testing.assert_allclose(mine[:, i], other[:, 0], rtol=1e-5, atol=1e-6)
    as_floats = layer.apply(params, x, states, jnp.array(lengths, F32))
    jax.tree.map(np.testing.assert_array_equal, as_floats, (outputs, last))


def test_no_valid_step_keeps_the_states():
    layer, x = rnn.GRU(3, bidirectional=True, layout='NTC', use_sequence_length=True), normal(2, 4, 2)
    state = normal(2, 2, 3, seed=1)
    outputs, last = layer.apply(drawn(layer, x, None, np.zeros(2)), x, state, jnp.array([0, 4]))
    np.testing.assert_array_equal(outputs[0], 0)
    np.testing.assert_array_equal(last[0][:, 0], state[:, 0])
    assert (last[0][:, 1] != state[:, 1]).all()


# States.


def test_states_in_and_out():
    layer, x = rnn.LSTM(3), normal(4, 2, 5)
    params, zeros = drawn(layer, x), layer.begin_state(2)
    alone, (outputs, last) = layer.apply(params, x), layer.apply(params, x, zeros)
    np.testing.assert_array_equal(alone, outputs)
    assert isinstance(last, list)
    np.testing.assert_array_equal(last[0][0], outputs[-1])
    first, middle = layer.apply(params, x[:2], zeros)
    second, end = layer.apply(params, x[2:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), outputs, rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), end, last)
    gru = rnn.GRU(3)
    params = drawn(gru, x)
    one = gru.apply(params, x, jnp.ones((1, 2, 3)))
    jax.tree.map(np.testing.assert_array_equal, one, gru.apply(params, x, (jnp.ones((1, 2, 3)),)))
    assert isinstance(one[1], list)


def test_begin_state():
    layer = rnn.LSTM(3, 2, bidirectional=True, projection_size=2)
    assert layer.state_info(7) == [{'shape': (4, 7, size), '__layout__': 'LNC', 'dtype': 'float32'} for size in (2, 3)]
    assert [s.shape for s in layer.begin_state(batch_size=7)] == [(4, 7, 2), (4, 7, 3)]
    assert layer.begin_state(1, jnp.ones)[0].min() == 1
    assert layer.begin_state(1, dtype='float16')[0].dtype == 'float16'
    assert layer.cast('bfloat16').begin_state(1)[0].dtype == 'bfloat16'
    assert rnn.GRU(3, dtype='float16').begin_state(1)[0].dtype == 'float16'


def test_the_way_books_use_it():
    rnn_layer = rnn.RNN(256)
    net = nn.Sequential(rnn_layer)
    net.initialize()
    state = rnn_layer.begin_state(batch_size=2)
    assert (len(state), state[0].shape) == (1, (1, 2, 256))
    outputs, new_state = net(jnp.ones((35, 2, 28)), state)
    assert (outputs.shape, len(new_state), new_state[0].shape) == ((35, 2, 256), 1, (1, 2, 256))
    np.testing.assert_array_equal(net[0].begin_state(batch_size=2)[0], state[0])
    assert net[0].l0_i2h_weight.shape == (256, 28)
    outputs, new_state = net[0](jnp.ones((3, 2, 28)), new_state)
    assert outputs.shape == (3, 2, 256)

    class Model(nn.Block):
        def __init__(self, layer, vocabulary, **kwargs):
            super().__init__(**kwargs)
            self.rnn, self.vocabulary, self.dense = layer, vocabulary, nn.Dense(vocabulary)

        def forward(self, inputs, state):
            x = jax.nn.one_hot(inputs.T, self.vocabulary)
            y, state = self.rnn(x, state)
            return self.dense(y.reshape(-1, y.shape[-1])), state

        def begin_state(self, *args, **kwargs):
            return self.rnn.begin_state(*args, **kwargs)

    model = Model(rnn.LSTM(16), 28)
    model.initialize()
    y, state = model(np.zeros((2, 5), 'int32'), model.begin_state(batch_size=2))
    assert (y.shape, [s.shape for s in state]) == ((10, 28), [(1, 2, 16)] * 2)


# Dropout.


def echo(rate):
    """Two layers that hand positive inputs on, with dropout between."""
    eye = init.Constant(np.eye(40))
    return rnn.RNN(40, 2, dropout=rate, i2h_weight_initializer=eye, h2h_weight_initializer='zeros')


def test_dropout_between_layers():
    x = np.ones((50, 2, 40), F32)
    layer = echo(0.25)
    params = layer.init(0, x)
    np.testing.assert_array_equal(layer.apply(params, x), x)
    y = np.asarray(layer.apply_train(params, x, key=1)[0])
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}  # dropped once, and not after the last layer
    assert abs((y == 0).mean() - 0.25) < 0.04  # 5 standard deviations
    assert (y[0] != y[1]).any()
    np.testing.assert_array_equal(echo(0).apply_train(params, x)[0], x)
    np.testing.assert_array_equal(echo(1).apply_train(params, x, key=1)[0], 0 * x)
    single = rnn.GRU(3, dropout=0.9)
    params = drawn(single, x)
    np.testing.assert_array_equal(single.apply_train(params, x)[0], single.apply(params, x))


# Sizes and dtypes.


@pytest.mark.parametrize('shape', [(1, 1, 2), (0, 3, 2), (4, 0, 2)])
def test_small_inputs(shape):
    layer = rnn.LSTM(3, 2, bidirectional=True)
    x = jnp.ones(shape)
    params, states = layer.init(0, x), [s + 0.5 for s in layer.begin_state(shape[1])]
    outputs, last = layer.apply(params, x, states)
    assert outputs.shape == (*shape[:2], 6)
    assert [s.shape for s in last] == [(4, shape[1], 3)] * 2
    if shape[0] == 0:
        jax.tree.map(np.testing.assert_array_equal, last, states)


def test_mixed_precision():
    layer, x = rnn.LSTM(3, bidirectional=True), normal(4, 2, 5)
    params = drawn(layer, x)
    half = jax.tree.map(lambda v: v.astype('bfloat16'), params)
    assert layer.apply(params, x.astype('bfloat16')).dtype == F32
    assert layer.apply(half, x.astype('bfloat16')).dtype == 'bfloat16'
    outputs, states = layer.apply(half, x.astype('bfloat16'), layer.begin_state(2))  # states of float32
    assert {outputs.dtype.name, *(s.dtype.name for s in states)} == {F32}
    assert rnn.GRU(3, dtype='float16').specs(x)['l0_h2h_bias'].dtype == 'float16'


def test_cell_by_cell():
    """A layer and an unrolled cell with its parameters are the same."""
    given = arrays()['lstm_ntc']
    params = {field[9:]: jnp.asarray(value) for field, value in given.items() if field.startswith('param/l0_')}
    outputs, states = rnn.Unroll(rnn.LSTMCell(3)).apply({'cell': params}, given['x'], [given['s0'][0], given['s1'][0]])
    np.testing.assert_allclose(outputs, given['states/out'], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(states[1], given['states/s1'][0], rtol=2e-5, atol=2e-5)


# Programs.


def scans(jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name == 'scan':
            yield equation.params['jaxpr'].jaxpr
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda v: hasattr(v, 'eqns') or hasattr(v, 'jaxpr')):
            if hasattr(inner, 'jaxpr') and equation.primitive.name != 'scan':
                yield from scans(inner.jaxpr)


def products(jaxpr):
    return str(jaxpr).count('dot_general[')


@pytest.mark.parametrize(
    ('layer', 'count', 'within'),
    [
        (rnn.LSTM(3, 2, bidirectional=True), 4, 1),
        (rnn.GRU(3), 1, 1),
        (rnn.LSTM(3, projection_size=2), 1, 2),
        (rnn.Unroll(rnn.LSTMCell(3), 'TNC'), 1, 1),
        (rnn.Unroll(rnn.ResidualCell(rnn.GRUCell(2)), 'TNC'), 1, 1),
    ],
)
def test_one_scan_a_layer_and_direction(layer, count, within):
    sizes = []
    for length in (5, 500):
        x = jax.ShapeDtypeStruct((length, 2, 2), F32)
        jaxpr = jax.make_jaxpr(layer.apply)(jax.eval_shape(lambda: layer.init(0, x)), x)  # noqa: B023
        bodies = list(scans(jaxpr.jaxpr))
        assert [products(body) for body in bodies] == [within] * count
        assert products(jaxpr) == count * (within + 1)  # the inputs' product stands before the scan
        sizes.append(str(jaxpr).count(' = '))
    assert sizes[0] == sizes[1]


def test_forward_and_reverse_mode_agree():
    layer, x = rnn.GRU(3, 2), normal(4, 2, 2)
    params = drawn(layer, x)
    tangents = jax.tree.map(lambda v: jnp.cos(jnp.arange(v.size, dtype=F32)).reshape(v.shape), params)

    def total(params):
        return (layer.apply(params, x) ** 2).sum()

    slope = jax.jvp(total, (params,), (tangents,))[1]
    gradient = jax.grad(total)(params)
    np.testing.assert_allclose(
        sum((flatten(gradient)[n] * t).sum() for n, t in flatten(tangents).items()), slope, rtol=1e-4
    )


def test_derivatives_are_those_of_the_plain_scan():
    shapes = {'bias': (6,), 'weight': (6, 2), 'state': (3, 2), 'sequences': (3, 4, 3, 2)}
    at = {name: jnp.sin(jnp.arange(math.prod(form), dtype=F32) + 1).reshape(form) for name, form in shapes.items()}
    along = jax.tree.map(lambda v: jnp.cos(3 * v), at)

    def step(states, *inputs):
        return equations.gru(inputs[:3], inputs[3], states)

    def slopes(run):
        def total(at):
            arrays = tuple(at['sequences']), at['bias'], [at['state']], at['weight'], (), jnp.array([4, 2, 0])
            return (run(step, *arrays)[0] ** 2).sum()

        return jax.value_and_grad(total)(at), jax.jvp(jax.grad(total), (at,), (along,))[1]

    ours, plain = jax.jit(slopes, static_argnums=0)(recur), jax.jit(slopes, static_argnums=0)(plain_recur)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), ours, plain)


# Errors.


def shape(*sizes, dtype=F32):
    return jax.ShapeDtypeStruct(sizes, dtype)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: rnn.RNN(3, activation='sigmoid'), "activation must be one of 'relu', 'tanh'; got 'sigmoid'"),
        (lambda: rnn.GRU(3, layout='NCT'), "layout must be one of 'TNC', 'NTC'; got 'NCT'"),
        (lambda: rnn.LSTM(0), 'hidden_size'),
        (lambda: rnn.LSTM(3, num_layers=0), 'num_layers'),
        (lambda: rnn.LSTM(3, projection_size=-1), 'projection_size'),
        (lambda: rnn.LSTM(3, dropout=1.5), 'dropout must be a number >= 0 and <= 1'),
        (lambda: rnn.LSTM(3, state_clip_min=0), r'go together[\s\S]*\(0, None\)'),
    ],
)
def test_constructor_errors(make, message):
    with pytest.raises(errors.ArgumentError, match=message):
        make()


STATE = [shape(1, 2, 3)]


@pytest.mark.parametrize(
    ('layer', 'inputs', 'error', 'message'),
    [
        (rnn.RNN(3), [shape(2, 4)], errors.ShapeError, r'expected: 3 \(TNC\)'),
        (rnn.RNN(3, input_size=5), [shape(4, 2, 4)], errors.ShapeError, r"'l0_i2h_weight' has shape \(3, 5\)"),
        (rnn.RNN(3), [shape(4, 2, 4, dtype='int32')], errors.DTypeError, 'floating'),
        (rnn.GRU(3), [shape(4, 2, 4), [shape(1, 4, 3)]], errors.ShapeError, r'expected: \[\(1, 2, 3\)\]\n  got: \[\(1'),
        (rnn.GRU(3, layout='NTC'), [shape(4, 2, 4), STATE], errors.ShapeError, r'expected: \[\(1, 4, 3\)\]'),
        (rnn.LSTM(3), [shape(4, 2, 4), STATE], errors.ShapeError, r'begin_state\(batch_size\)'),
        (rnn.GRU(3), [shape(4, 2, 4), STATE, shape(2)], errors.ArgumentError, 'use_sequence_length=True'),
        (rnn.GRU(3, use_sequence_length=True), [shape(4, 2, 4)], errors.ArgumentError, 'got: none'),
        (
            rnn.GRU(3, use_sequence_length=True),
            [shape(4, 2, 4), STATE, shape(4)],
            errors.ShapeError,
            r'expected: \(2,\)\n  got: \(4,\)[\s\S]*GRU',
        ),
    ],
)
def test_input_errors(layer, inputs, error, message):
    with pytest.raises(error, match=message):
        layer.init(0, *inputs)


def test_unknown_sizes():
    with pytest.raises(errors.ShapeError, match='still unknown'):
        rnn.LSTM(3).init(0)
    assert leaves_of(rnn.LSTM(3, input_size=0))[0].shape == (12, None)
    assert repr(rnn.LSTM(3, 2, 'NTC', bidirectional=True)) == (
        "LSTM(3, num_layers=2, layout='NTC', bidirectional=True)"
    )


@pytest.mark.parametrize('cls', [rnn.LSTM, rnn.GRU])
def test_derivatives_of_the_scan(cls):
    """`recur` has a rule of its own for derivatives: the same, and those of gradients, as of a plain scan."""
    with jax.enable_x64(True):
        layer = cls(3, projection_size=2, dtype='float64') if cls is rnn.LSTM else cls(3, dtype='float64')
        random = np.random.RandomState(0)
        x = jnp.asarray(random.standard_normal((4, 2, 3)))
        params = jax.tree.map(jnp.asarray, layer.init(0, x, init={'.*': 'normal'}))
        way = jax.tree.map(lambda v: jnp.asarray(random.standard_normal(v.shape)), params)

        def f(step):
            moved = jax.tree.map(lambda v, w: v * 50 + step * w, params, way)
            return jnp.sin(layer.apply(moved, x)).sum()

        def reverse(step):
            return jax.grad(f)(step)

        def forward(step):
            return jax.jvp(f, (step,), (1.0,))[1]

        def second(step):
            return jax.grad(reverse)(step), jax.jvp(reverse, (step,), (1.0,))[1], jax.hessian(f)(step)

        h = 1e-5
        values, slopes = jax.jit(jax.vmap(lambda step: (f(step), reverse(step))))(jnp.array([h, -h]))
        first, seconds = jax.jit(lambda step: ((reverse(step), forward(step)), second(step)))(0.0)
        for got in first:
            np.testing.assert_allclose(got, (values[0] - values[1]) / (2 * h), rtol=1e-7)
        for got in seconds:
            np.testing.assert_allclose(got, (slopes[0] - slopes[1]) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize(('cls', 'most'), [(rnn.LSTM, 7), (rnn.GRU, 9), (rnn.RNN, 3)])
def test_what_is_kept_for_gradients(cls, most):
    """So many arrays of the size of the outputs: inputs, gates and states, not what is computed from them."""
    layer, x = cls(8), jax.ShapeDtypeStruct((50, 4, 8), 'float32')
    params = jax.eval_shape(layer.init, jax.random.key(0), x)
    kept = jax.eval_shape(lambda params, x: jax.vjp(layer.apply, params, x)[1], params, x)
    assert sum(array.size for array in jax.tree.leaves(kept) if array.size >= 50 * 4 * 8) <= most * 50 * 4 * 8
