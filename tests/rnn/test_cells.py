"""Cells: unrolling, what is carried from step to step, what is random, and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import errors, init, nn, rnn

F32 = 'float32'


def normal(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype(F32)


class Echo(rnn.RecurrentCell):
    """Gives its input; the state is the sum of them."""

    def __init__(self, size):
        self.size = size

    def state_info(self, batch_size=0):
        return [{'shape': (batch_size, self.size), '__layout__': 'NC'}]

    def forward(self, inputs, states):
        return inputs, [states[0] + inputs]


class Masked(Echo):
    """Gives its state as it is handed in, and keeps it."""

    def forward(self, inputs, states):
        return states[0], [jnp.ones_like(states[0])]


class Normed(Echo):
    """A cell with running statistics."""

    def __init__(self, size):
        self.size, self.norm = size, nn.BatchNorm(momentum=0.5, in_channels=size)

    def forward(self, inputs, states):
        return self.norm(inputs + states[0]), [inputs]


class Stepwise(nn.Layer):
    """Calls a cell step by step, without `unroll`."""

    def __init__(self, cell):
        self.cell = cell

    def forward(self, xs, states):
        for x in xs:
            _, states = self.cell(x, states)
        return states


# Zoneout.


def test_zoneout_keeps_the_output_of_the_step_before():
    steps, size = 40, 50
    x = jnp.broadcast_to(1 + jnp.arange(steps, dtype=F32)[:, None, None], (steps, 2, size))
    layer = rnn.Unroll(rnn.ZoneoutCell(Echo(size), zoneout_outputs=0.3), 'TNC')
    y = np.asarray(layer.apply_train({}, x, key=0)[0])
    before = np.concatenate([np.zeros((1, 2, size)), y[:-1]])
    new, kept = y == x, y == before
    assert (new | kept).all()
    assert abs(kept.mean() - 0.3) < 0.04  # 5 standard deviations
    assert (y[5] < 5).any()  # kept for more than one step
    np.testing.assert_array_equal(layer.apply({}, x), x)


def test_zoneout_of_states():
    x = jnp.ones((1, 40, 50))
    layer = rnn.Unroll(rnn.ZoneoutCell(Echo(50), zoneout_states=0.3))
    (y, states), _ = layer.apply_train({}, x, layer.begin_state(1), key=0)
    np.testing.assert_array_equal(y, x)
    assert abs(states[0].mean() - 0.7 * 40) < 2.1  # 5 standard deviations
    assert len(np.unique(states[0])) > 5
    always = rnn.ZoneoutCell(rnn.LSTMCell(3), zoneout_outputs=1, zoneout_states=1)
    layer, x = rnn.Unroll(always), normal(2, 4, 3)
    begin = [normal(2, 3, seed=1), normal(2, 3, seed=2)]
    (y, states), _ = layer.apply_train(layer.init(0, x), x, begin, key=0)
    np.testing.assert_array_equal(y, 0)
    jax.tree.map(np.testing.assert_array_equal, states, begin)


def test_a_single_step_knows_no_output_before():
    cell = rnn.ZoneoutCell(Echo(100), zoneout_outputs=0.5)
    (y, _), _ = cell.apply_train({}, jnp.ones((2, 100)), cell.begin_state(2), key=0)
    assert set(np.unique(y)) == {0, 1}


def test_memory_of_cells_inside_cells():
    """A zoneout below others remembers too, wherever they step for it."""
    x = jnp.broadcast_to(1 + jnp.arange(9, dtype=F32)[None, :, None], (2, 9, 20))
    stack = rnn.SequentialRNNCell(Echo(20), rnn.ZoneoutCell(Echo(20), zoneout_outputs=0.5))
    for cell in (
        rnn.VariationalDropoutCell(stack.definition, drop_states=1e-9),
        rnn.ZoneoutCell(stack.definition, zoneout_states=1e-9),
        rnn.VariationalDropoutCell(rnn.ResidualCell(stack.definition), drop_states=1e-9),
    ):
        y = np.asarray(rnn.Unroll(cell).apply_train({}, x, key=0)[0])
        y = y - x if isinstance(cell.base_cell, rnn.ResidualCell) else y
        before = np.concatenate([np.zeros((2, 1, 20)), y[:, :-1]], 1)
        assert ((y == x) | (y == before)).all()
        assert (y[:, 3:] == before[:, 3:]).any()
        assert (y[:, 5] != 0).all() or (y[:, 5] == y[:, 4]).any()


# Variational dropout.


def test_variational_dropout_has_one_mask_a_sequence():
    x = jnp.ones((3, 30, 40))
    for kwargs in ({'drop_inputs': 0.25}, {'drop_outputs': 0.25}, {'drop_inputs': 0.25, 'drop_states': 1e-9}):
        layer = rnn.Unroll(rnn.VariationalDropoutCell(Echo(40), **kwargs))
        y = np.asarray(layer.apply_train({}, x, key=0)[0])
        assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
        assert (y == y[:, :1]).all()
        assert (y[0] != y[1]).any()  # each sequence has its own
        assert abs((y[:, 0] == 0).mean() - 0.25) < 0.2
        assert (y != layer.apply_train({}, x, key=1)[0]).any()
        np.testing.assert_array_equal(layer.apply({}, x), x)


def test_variational_dropout_of_states():
    layer = rnn.Unroll(rnn.VariationalDropoutCell(Masked(40), drop_states=0.25))
    (y, _), _ = layer.apply_train({}, jnp.ones((2, 30, 40)), [jnp.ones((2, 40))], key=0)
    y = np.asarray(y)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert (y == y[:, :1]).all()
    assert (y[0] != y[1]).any()


def test_the_masks_are_not_shared():
    layer = rnn.Unroll(rnn.VariationalDropoutCell(Echo(400), drop_inputs=0.5, drop_outputs=0.5))
    y = np.asarray(layer.apply_train({}, jnp.ones((1, 2, 400)), key=0)[0])
    assert abs((y != 0).mean() - 0.25) < 0.11  # 5 standard deviations


# Dropout.


def test_dropout_cell():
    x = jnp.ones((3, 30, 40))
    layer = rnn.Unroll(rnn.DropoutCell(0.25))
    y = np.asarray(layer.apply_train({}, x, key=0)[0])
    assert abs((y == 0).mean() - 0.25) < 0.04
    assert (y[:, 0] != y[:, 1]).any()  # a mask a step
    shared = np.asarray(rnn.Unroll(rnn.DropoutCell(0.25, axes=(1,))).apply_train({}, x, key=0)[0])
    assert (shared == shared[:, :, :1]).all()  # axes of a step
    assert len(np.unique(shared[:, :, 0], axis=1)) == 3
    (y, states), _ = rnn.DropoutCell(0.25).apply_train({}, x[0], [], key=0)
    assert (states, abs((y == 0).mean() - 0.25) < 0.1) == ([], True)


@pytest.mark.parametrize(
    'around',
    [
        lambda cell: rnn.ZoneoutCell(cell),
        lambda cell: rnn.VariationalDropoutCell(cell),
        lambda cell: rnn.SequentialRNNCell(cell, rnn.DropoutCell(0)).definition,
    ],
)
def test_rate_zero_is_the_cell_itself(around):
    x, plain = normal(2, 4, 3), rnn.Unroll(rnn.GRUCell(3))
    layer = rnn.Unroll(around(rnn.GRUCell(3)))
    params = plain.init(0, x)
    own = {'cell': {'0' if '0.' in next(iter(layer.specs(x))) else 'base_cell': params['cell']}}
    (y, states), _ = layer.apply_train(own, x, layer.begin_state(2))
    expected = plain.apply(params, x, plain.begin_state(2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), (y, states), expected)


# Unrolling.


def test_running_statistics_go_from_step_to_step():
    x = normal(5, 4, 3)
    layer, stepwise = rnn.Unroll(Normed(3), 'TNC'), Stepwise(Normed(3))
    params = layer.init(0, x)
    (_, states), news = layer.apply_train(params, x, layer.begin_state(4))
    expected, expected_news = stepwise.apply_train(params, x, layer.begin_state(4))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), (states, news), (expected, expected_news))
    assert abs(news['cell']['norm']['running_mean']).min() > 0


def test_a_cell_of_ones_own_stops_at_its_valid_length():
    layer, x = rnn.Unroll(Echo(3)), normal(2, 4, 3)
    y, states = layer.apply({}, x, layer.begin_state(2), jnp.array([1, 3]))
    np.testing.assert_array_equal(y[0], [x[0, 0], *[[0] * 3] * 3])
    np.testing.assert_allclose(states[0], [x[0, 0], x[1, :3].sum(0)], rtol=1e-6)
    (y, states) = layer.apply({}, x[:, :1], layer.begin_state(2), jnp.array([0, 1]))  # one step
    np.testing.assert_array_equal(states[0], [[0] * 3, x[1, 0]])


def test_states_that_widen():
    half = jnp.ones((2, 4, 3), 'bfloat16')
    for cell in (Echo(3), rnn.LSTMCell(3), rnn.ZoneoutCell(rnn.GRUCell(3))):
        layer = rnn.Unroll(cell).cast('bfloat16')
        params = layer.init(0, half)
        y, states = layer.apply(params, half, layer.begin_state(2))  # float32
        assert states[0].dtype == F32
        y, states = layer.apply(params, half, layer.begin_state(2, dtype='bfloat16'))
        assert (y.dtype, states[0].dtype) == ('bfloat16', 'bfloat16')
        assert layer.apply(params, half).dtype == 'bfloat16'


def test_one_step_is_a_sequence_of_one():
    stack = rnn.SequentialRNNCell(rnn.LSTMCell(3), rnn.ResidualCell(rnn.GRUCell(3)))
    x, layer = normal(2, 1, 4), rnn.Unroll(stack)
    params, begin = layer.init(0, x, init=init.Normal(1)), [normal(2, 3, seed=s) for s in range(3)]
    y, states = layer.apply(params, x, begin)
    step, after = stack.definition.apply(params['cell'], x[:, 0], begin)
    np.testing.assert_allclose(y[:, 0], step, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), states, after)


def test_in_a_network():
    class Model(nn.Block):
        def __init__(self):
            self.cell = rnn.SequentialRNNCell()
            self.cell.add(rnn.LSTMCell(5))
            self.cell.add(rnn.ZoneoutCell(rnn.GRUCell(4), 0.1, 0.1))

        def forward(self, x):
            outputs, states = self.cell.unroll(3, x, layout='NTC', merge_outputs=True)
            listed, _ = self.cell.unroll(3, [x[:, t] for t in range(3)], begin_state=self.cell.begin_state(2))
            return outputs, jnp.stack(listed, 1), states

    net = Model()
    net.initialize()
    outputs, listed, states = net(jnp.ones((2, 3, 6)))
    np.testing.assert_allclose(outputs, listed, rtol=1e-6)
    assert [s.shape for s in states] == [(2, 5), (2, 5), (2, 4)]
    assert list(net.params['cell']) == ['0', '1']
    assert net.cell[1].base_cell.h2h_weight.shape == (12, 4)
    assert net(jnp.ones((2, 3, 6)), training=True)[0].shape == (2, 3, 4)
    y, new = net.cell(jnp.ones((2, 6)), net.cell.begin_state(2))  # a part of the network, called for one step
    assert (y.shape, len(new)) == ((2, 4), 3)


def test_begin_state_and_state_info():
    stack = rnn.SequentialRNNCell(rnn.LSTMPCell(5, 3), rnn.DropoutCell(0.1), rnn.ZoneoutCell(rnn.RNNCell(2)))
    both = rnn.BidirectionalCell(stack, rnn.GRUCell(4))
    sizes = [3, 5, 2, 4]
    for cell in (both, rnn.Unroll(both), rnn.ResidualCell(both), nn.Sequential(rnn.Unroll(both))[0]):
        assert [info['shape'] for info in cell.state_info(7)] == [(7, size) for size in sizes]
        assert [state.shape for state in cell.begin_state(batch_size=7)] == [(7, size) for size in sizes]
    assert rnn.Conv1DLSTMCell((2, 6), 3, 3, 1).state_info(2)[1] == {'shape': (2, 3, 4), '__layout__': 'NCW'}
    assert stack.begin_state(1, jnp.ones, dtype='float16')[0].dtype == 'float16'


def test_channels_last():
    """MXNet cannot run it on CPUs; its own channels first is the reference."""
    x, first = normal(2, 3, 2, 5, 4), rnn.Unroll(rnn.Conv2DLSTMCell((2, 5, 4), 3, (2, 3), 3, 1, activation='relu'))
    last = rnn.Unroll(rnn.Conv2DLSTMCell((5, 4, 2), 3, (2, 3), 3, 1, activation='relu', conv_layout='NHWC'))
    params = first.init(0, x, init={'.*': init.Normal(0.3)})
    moved = {n: v.transpose(0, 2, 3, 1) if 'weight' in n else v for n, v in params['cell'].items()}
    ours = last.apply({'cell': moved}, x.transpose(0, 1, 3, 4, 2)).transpose(0, 1, 4, 2, 3)
    np.testing.assert_allclose(ours, first.apply(params, x), rtol=1e-5, atol=1e-6)


def test_activations_of_cells():
    x = normal(2, 4, 3)
    for named, given in (('tanh', jnp.tanh), ('sigmoid', nn.Activation('sigmoid'))):
        layer, other = rnn.Unroll(rnn.RNNCell(3, named)), rnn.Unroll(rnn.RNNCell(3, given))
        params = layer.init(0, x)
        np.testing.assert_array_equal(layer.apply(params, x), other.apply(params, x))


# Errors.


def test_reset_is_understood():
    class Steps(nn.Block):
        def __init__(self):
            self.cell = rnn.ZoneoutCell(rnn.RNNCell(2), 0.5)

        def forward(self, x):
            self.cell.reset()  # as Gluon programs do before each sequence
            return self.cell(x, self.cell.begin_state(len(x)))[0]

    net = Steps()
    net.initialize()
    net.cell.reset()
    first = net(np.ones((1, 3), 'float32'))
    np.testing.assert_array_equal(net(np.ones((1, 3), 'float32')), first)


def test_unroll_outside_of_forward():
    for cell in (rnn.LSTMCell(3), rnn.SequentialRNNCell(), nn.Sequential(rnn.GRUCell(3))[0]):
        with pytest.raises(errors.BareLayerError, match=r'cannot be unrolled[\s\S]*rnn.Unroll\(cell\)'):
            cell.unroll(3, jnp.ones((2, 3, 4)))


def test_a_cell_says_what_it_lacks():
    class Bare(rnn.RecurrentCell):
        pass

    with pytest.raises(NotImplementedError, match='Bare has no state_info'):
        Bare().begin_state(2)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: rnn.RNNCell(3, 'swosh'), 'activation, if no function, must be one of'),
        (lambda: rnn.LSTMCell(3, recurrent_activation='swosh'), 'activation, if no function, must be one of'),
        (lambda: rnn.LSTMPCell(3, 0), 'projection_size'),
        (lambda: rnn.ResidualCell(nn.Dense(3)), 'no cell[\\s\\S]*Dense'),
        (lambda: rnn.SequentialRNNCell(nn.Dense(3)), 'no cell[\\s\\S]*Dense'),
        (lambda: rnn.Unroll(rnn.GRU(3)), 'no cell'),
        (lambda: rnn.Unroll(rnn.GRUCell(3), 'CNT'), "must be one of 'NTC', 'TNC'"),
        (lambda: rnn.DropoutCell(2), 'rate'),
        (lambda: rnn.ZoneoutCell(rnn.GRUCell(3), zoneout_states=-0.1), 'zoneout_states'),
        (lambda: rnn.ZoneoutCell(rnn.BidirectionalCell(rnn.GRUCell(3), rnn.GRUCell(3))), 'cells inside'),
        (
            lambda: rnn.VariationalDropoutCell(rnn.BidirectionalCell(rnn.GRUCell(3), rnn.GRUCell(3)), 0, 0.1),
            'cells inside',
        ),
        (lambda: rnn.Conv1DRNNCell((2, 5), 3, 3, 2), 'h2h_kernel must be odd'),
        (lambda: rnn.Conv1DGRUCell((2, 5), 3, 7, 3), r'a size <= 5\n  got: 7'),
        (lambda: rnn.Conv2DGRUCell((2, 5), 3, 3, 3), 'input_shape has the wrong length'),
        (lambda: rnn.Conv2DLSTMCell((2, 5, 5), 3, 3, 3, conv_layout='NCW'), 'layout'),
    ],
)
def test_constructor_errors(make, message):
    with pytest.raises(errors.ArgumentError, match=message):
        make()


def shape(*sizes, dtype=F32):
    return jax.ShapeDtypeStruct(sizes, dtype)


class Fixed(nn.Layer):
    """Unrolls for a fixed number of steps."""

    def __init__(self, cell, **kwargs):
        self.cell, self.kwargs = cell, kwargs

    def forward(self, x, begin_state=None, lengths=None):
        return self.cell.unroll(3, x, begin_state, valid_length=lengths, **self.kwargs)


@pytest.mark.parametrize(
    ('layer', 'inputs', 'error', 'message'),
    [
        (rnn.GRUCell(3), [shape(2, 4, 4), [shape(2, 3)]], errors.ShapeError, r'wrong number of axes'),
        (rnn.GRUCell(3), [shape(4), [shape(2, 3)]], errors.ShapeError, r'wrong number of axes'),
        (rnn.GRUCell(3), [shape(2, 4), [shape(2, 4)]], errors.ShapeError, r'\[\(2, 3\)\]\n  got: \[\(2, 4\)\]'),
        (rnn.LSTMCell(3), [shape(2, 4), [shape(2, 3)]], errors.ShapeError, 'wrong number or shapes'),
        (rnn.LSTMCell(3, input_size=5), [shape(2, 4), [shape(2, 3)] * 2], errors.ShapeError, r'needs \(12, 4\)'),
        (rnn.RNNCell(3), [shape(2, 4, dtype='int32'), [shape(2, 3)]], errors.DTypeError, 'RNNCell'),
        (rnn.Conv1DRNNCell((2, 5), 3, 3, 3), [shape(2, 3, 5), [shape(2, 3, 3)]], errors.ShapeError, 'input_shape'),
        (rnn.BidirectionalCell(Echo(3), Echo(3)), [shape(2, 3), []], errors.ArgumentError, 'no single steps'),
        (Fixed(rnn.GRUCell(3)), [shape(2, 4, 4)], errors.ShapeError, r'expected: 3[\s\S]*got: 4 \(axis 1'),
        (Fixed(rnn.GRUCell(3)), [[shape(2, 4)] * 2], errors.ShapeError, r'a list of 2'),
        (Fixed(rnn.GRUCell(3), layout='TN'), [shape(3, 2)], errors.ShapeError, 'wrong number of axes'),
        (Fixed(rnn.GRUCell(3)), [shape(2, 3, 4), [shape(3, 3)]], errors.ShapeError, 'wrong number or shapes'),
        (Fixed(rnn.GRUCell(3)), [shape(2, 3, 4), None, shape(3)], errors.ShapeError, 'one valid length'),
        (Fixed(rnn.GRUCell(3), layout='TCN'), [shape(3, 2, 4)], errors.ArgumentError, 'layout must be one of'),
        (Fixed(rnn.Conv1DRNNCell((2, 5), 3, 3, 3)), [shape(2, 3, 2, 6)], errors.ShapeError, 'input_shape'),
        # One that would broadcast.
        (rnn.ResidualCell(rnn.GRUCell(1)), [shape(2, 4), [shape(2, 1)]], errors.ShapeError, r'\(2, 4\)[\s\S]*\(2, 1\)'),
        (
            Fixed(rnn.ResidualCell(rnn.GRUCell(1))),
            [shape(2, 3, 4)],
            errors.ShapeError,
            'ResidualCell changes the shape',
        ),
        (rnn.Unroll(rnn.GRUCell(3)), [shape(2, 0, 4)], errors.ShapeError, 'one step or more'),
        (rnn.Unroll(rnn.LSTMCell(3, input_size=5)), [shape(2, 3, 4)], errors.ShapeError, r'layer cell \(LSTMCell\)'),
    ],
)
def test_input_errors(layer, inputs, error, message):
    with pytest.raises(error, match=message):
        layer.init(0, *inputs)
