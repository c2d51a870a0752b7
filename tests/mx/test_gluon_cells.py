"""Cells of gluon, step by step, beside the library's own, whose numbers are MXNet's."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import rnn as native
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.mx import autograd, gluon, nd
from gluonjax.mx.gluon import rnn

X = np.random.RandomState(0).randn(2, 3, 4).astype('float32')
LENGTHS = np.array([2, 3], 'float32')
CELLS = {
    'rnn': (lambda: rnn.RNNCell(4, 'relu'), lambda: native.RNNCell(4, 'relu')),
    'lstm': (lambda: rnn.LSTMCell(4), lambda: native.LSTMCell(4)),
    'gru': (lambda: rnn.GRUCell(4), lambda: native.GRUCell(4)),
    'lstmp': (lambda: gluon.contrib.rnn.LSTMPCell(5, 4), lambda: native.LSTMPCell(5, 4)),
    'residual': (lambda: rnn.ResidualCell(rnn.GRUCell(4)), lambda: native.ResidualCell(native.GRUCell(4))),
    'bidirectional': (
        lambda: rnn.BidirectionalCell(rnn.GRUCell(4), rnn.RNNCell(4)),
        lambda: native.BidirectionalCell(native.GRUCell(4), native.RNNCell(4)),
    ),
}


@pytest.mark.parametrize('name', CELLS)
def test_a_cell_unrolls_to_the_numbers_of_the_library(name):
    cell, other = (make() for make in CELLS[name])
    cell.initialize()
    cell.unroll(3, nd.array(X))
    layer, generator = native.Unroll(other), np.random.RandomState(1)
    params = layer.init(0, X)
    for path, parameter in cell._collect_params_with_prefix().items():
        value = generator.uniform(-1, 1, parameter.shape).astype('float32')
        parameter.set_data(nd.array(value))
        *scopes, last = ('cell', *path.split('.'))
        at = params
        for scope in scopes:
            at = at[scope]
        at[last] = jnp.asarray(value)
    states = layer.begin_state(2)
    for lengths in (None, LENGTHS):
        expected, last_states = layer.apply(params, X, states, lengths)
        outputs, new = cell.unroll(
            3, nd.array(X), merge_outputs=True, valid_length=None if lengths is None else nd.array(lengths)
        )
        np.testing.assert_allclose(outputs.asnumpy(), expected, rtol=1e-5, atol=1e-6)
        for state, wanted in zip(new, last_states, strict=True):
            np.testing.assert_allclose(state.asnumpy(), wanted, rtol=1e-5, atol=1e-6)


def test_symbols_are_named_and_their_shapes_inferred():
    cell = rnn.LSTMCell(5, prefix='cell_')
    outputs, _ = cell.unroll(2, [mx.sym.var('a'), mx.sym.var('b')])
    graph = mx.sym.Group(outputs)
    assert graph.list_outputs() == ['cell_t0_out_output', 'cell_t1_out_output']
    assert graph.infer_shape(a=(3, 4), b=(3, 4))[1] == [(3, 5), (3, 5)]
    assert sorted(cell.collect_params()) == ['cell_h2h_bias', 'cell_h2h_weight', 'cell_i2h_bias', 'cell_i2h_weight']


def test_a_row_of_cells_compiled_has_gradients():
    stack = rnn.HybridSequentialRNNCell()
    stack.add(rnn.LSTMCell(3, i2h_weight_initializer='ones'))
    stack.add(rnn.DropoutCell(0.0))
    stack.add(rnn.ResidualCell(rnn.GRUCell(3)))
    stack.initialize('ones')
    x = nd.array(X)
    eager = stack.unroll(3, x, merge_outputs=True)[0].asnumpy()
    stack.hybridize()
    x.attach_grad()
    with autograd.record():
        output, states = stack.unroll(3, x, merge_outputs=True)
    output.backward()
    np.testing.assert_allclose(output.asnumpy(), eager, rtol=1e-5)
    assert len(states) == 3
    assert np.abs(x.grad.asnumpy()).min() > 0
    assert repr(stack).splitlines()[1] == '(0): LSTMCell(4 -> 12)'


def test_zoneout_keeps_what_was_before():
    base = rnn.RNNCell(4, prefix='base_')
    cell = rnn.ZoneoutCell(base, zoneout_outputs=1, zoneout_states=0)
    cell.initialize('ones')
    with autograd.record():
        outputs, states = cell.unroll(3, nd.array(X), merge_outputs=True)
    assert outputs.asnumpy().tolist() == np.zeros((2, 3, 4)).tolist()  # nothing was before the first step
    assert np.abs(states[0].asnumpy()).min() > 0
    with pytest.raises(ArgumentError, match='inside another cell'):
        base.begin_state(2)


def test_one_mask_for_a_sequence():
    cell = gluon.contrib.rnn.VariationalDropoutCell(rnn.RNNCell(4, 'relu'), drop_outputs=0.5)
    cell.initialize('ones')
    with autograd.record():
        outputs, _ = cell.unroll(3, nd.ones((2, 3, 4)), merge_outputs=True)
    dropped = outputs.asnumpy() == 0
    assert dropped.any()
    assert (dropped == dropped[:, :1]).all()


def test_convolutional_cells_are_those_of_the_library():
    ours = gluon.contrib.rnn.Conv2DLSTMCell((2, 4, 5), 3, 3, 3, 1, prefix='conv_')
    ours.initialize('ones')
    layer = native.Unroll(native.Conv2DLSTMCell((2, 4, 5), 3, 3, 3, 1))
    x = np.random.RandomState(2).randn(1, 2, 2, 4, 5).astype('float32')
    params = {'cell': {name: p.data().value for name, p in ours._collect_params_with_prefix().items()}}
    output, _ = ours.unroll(2, nd.array(x), merge_outputs=True)
    np.testing.assert_allclose(output.asnumpy(), layer.apply(params, x), rtol=1e-4, atol=1e-5)
    assert ours.i2h_weight.shape == (12, 2, 3, 3)


def test_what_cells_refuse():
    cell = rnn.RNNCell(3)
    cell.initialize()
    with pytest.raises(ShapeError, match='another number of steps'):
        cell.unroll(2, nd.array(X))
    with pytest.raises(ShapeError, match='another number of steps'):
        cell.unroll(2, [nd.ones((1, 2))])
    with pytest.raises(ArgumentError, match='layout must be'):
        cell.unroll(3, nd.array(X), layout='NC')
    with pytest.raises(ArgumentError, match='has no single steps'):
        rnn.ZoneoutCell(rnn.BidirectionalCell(rnn.RNNCell(1), rnn.RNNCell(1)))
    with pytest.raises(ArgumentError, match='h2h_kernel must be odd'):
        gluon.contrib.rnn.Conv1DRNNCell((1, 4), 2, 3, 2)


def test_a_model_of_the_zoo_takes_another_output(tmp_path):
    net = gluon.model_zoo.vision.get_model('mobilenet0.25', classes=3)
    net.initialize()
    x = nd.ones((1, 3, 32, 32))
    scores = net(x).asnumpy()
    net.save_parameters(tmp_path / 'net.params')
    assert 'features.0.weight' in nd.load(tmp_path / 'net.params')
    features = net.features(x)
    np.testing.assert_allclose(net.output(features).asnumpy(), scores, rtol=1e-5)
    net.output = gluon.nn.Dense(2, weight_initializer='zeros')
    net.output.initialize()
    assert net(x).asnumpy().tolist() == [[0, 0]]


def test_layers_of_contrib():
    net = gluon.contrib.nn.HybridConcurrent(axis=1)
    net.add(
        gluon.contrib.nn.Identity(), gluon.contrib.cnn.DeformableConvolution(2, 3, padding=1, weight_initializer='ones')
    )
    net.initialize()
    x = nd.ones((1, 1, 3, 3))
    assert net(x).asnumpy()[0, :, 1, 1].tolist() == [1, 9, 9]  # with offsets of 0 it is a convolution
    net[1].offset_bias.set_data(nd.ones(18))
    assert net(x).asnumpy()[0, :, 1, 1].tolist() == [1, 4, 4]


def test_a_layer_as_its_cells_and_sequences_of_their_own_length():
    layer = gluon.rnn.LSTM(3, bidirectional=True, use_sequence_length=True, input_size=2, prefix='lstm_')
    layer.initialize(mx.init.Normal(0.5))
    x, lengths = nd.arange(12).reshape((3, 2, 2)) / 10, nd.array([3, 2])
    cells = layer._unfuse()
    assert list(cells.collect_params()) == list(layer.collect_params())
    expected, states = cells.unroll(3, x, layout='TNC', merge_outputs=True, valid_length=lengths)
    output, last = layer(x, layer.begin_state(2), sequence_length=lengths)
    np.testing.assert_allclose(output.asnumpy(), expected.asnumpy(), atol=1e-6)
    np.testing.assert_allclose(last[0][1].asnumpy(), states[2].asnumpy(), atol=1e-6)
    np.testing.assert_array_equal(layer(x, sequence_length=lengths).asnumpy(), output.asnumpy())
    with pytest.raises(ValueError, match='projections'):
        gluon.rnn.LSTM(3, projection_size=2)._unfuse()


def test_variables_say_how_parameters_are_initialized():
    cell = gluon.rnn.LSTMCell(2, i2h_bias_initializer=mx.init.LSTMBias(2.0), prefix='cell_')
    output, _ = cell(mx.sym.var('data'), [mx.sym.var('h'), mx.sym.var('c')])
    module = mx.mod.Module(output, data_names=('data', 'h', 'c'), label_names=None)
    module.bind([('data', (1, 2)), ('h', (1, 2)), ('c', (1, 2))], for_training=False)
    module.init_params()
    assert module.get_params()[0]['cell_i2h_bias'].asnumpy().tolist() == [0, 0, 2, 2, 0, 0, 0, 0]


def test_a_mask_that_is_forgotten_is_drawn_again_by_compiled_calls():
    cell = gluon.contrib.rnn.VariationalDropoutCell(rnn.RNNCell(4, input_size=4), drop_inputs=0.5, drop_states=0.5)
    cell.initialize()
    cell.hybridize()
    x, state = nd.ones((2, 4)), [nd.zeros((2, 4))]
    masks = []
    with autograd.record():
        for _ in range(4):
            cell.reset()
            first, _ = cell(x, state)
            masks.append(cell.drop_inputs_mask.asnumpy().tolist())
            second, _ = cell(x, state)
            np.testing.assert_array_equal(first.asnumpy(), second.asnumpy())  # the same mask at both steps
            assert cell.drop_inputs_mask.asnumpy().tolist() == masks[-1]
    assert len({str(mask) for mask in masks}) > 1


def test_a_loop_over_steps_is_the_unrolled_cell():
    cell = rnn.RNNCell(3, input_size=2, prefix='rnn_')
    cell.initialize(mx.init.Normal(0.5))
    x, lengths = nd.arange(12).reshape((2, 3, 2)) / 10, nd.array([3, 1])
    expected, states = cell.unroll(3, x, [nd.zeros((2, 3))], layout='NTC', merge_outputs=True, valid_length=lengths)
    found, last = gluon.contrib.rnn.rnn_cell.dynamic_unroll(
        cell, x, [nd.zeros((2, 3))], layout='NTC', valid_length=lengths
    )
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), atol=1e-6)
    np.testing.assert_allclose(last[0].asnumpy(), states[0].asnumpy(), atol=1e-6)


def test_a_sampler_of_every_third():
    sampler = gluon.contrib.data.IntervalSampler(5, 3)
    assert (list(sampler), len(sampler)) == ([0, 3, 1, 4, 2], 5)
    assert list(gluon.contrib.data.IntervalSampler(5, 3, rollover=False)) == [0, 3]
    with pytest.raises(AssertionError, match='from 1 to the length'):
        gluon.contrib.data.IntervalSampler(5, 6)


@pytest.mark.parametrize('name', ['lstm_deep', 'lstm_both'])
def test_files_call_the_parameters_of_recurrent_layers_as_mxnet_does(name, tmp_path):
    """Golden: `_unfused.0.i2h_weight` is what MXNet 1.9.1 writes, and asks for."""
    golden = Path(__file__).parents[1] / 'golden' / 'rnn.json'
    files = json.loads(golden.read_text())['cases'][name]['files']
    net = gluon.nn.HybridSequential()
    net.add(rnn.LSTM(3, 3 if name == 'lstm_deep' else 1, bidirectional=name == 'lstm_both', input_size=2))
    net.initialize()
    net.save_parameters(str(tmp_path / 'net.params'))
    assert list(nd.load(str(tmp_path / 'net.params'))) == [f'0.{file}' for file in files]
    net.load_parameters(str(tmp_path / 'net.params'))
