"""`mx.rnn`: cells of symbols."""

import random

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import rnn


def values_of(symbol, shape):
    """The arguments and the output of a symbol of data of this shape, with numbers that names decide."""
    executor = symbol.simple_bind(mx.cpu(), data=shape)
    for name, array in executor.arg_dict.items():
        array[:] = np.random.RandomState(sum(map(ord, name))).randn(*array.shape) / 2
    (output,) = executor.forward()
    return {name: array.asnumpy() for name, array in executor.arg_dict.items()}, output.asnumpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_an_lstm_step_by_step():
    outputs, states = rnn.LSTMCell(3, prefix='a_').unroll(2, mx.sym.var('data'), layout='TNC', merge_outputs=True)
    assert [state.name for state in states] == ['a_t1_out', 'a_t1_state']
    v, found = values_of(outputs, (2, 1, 2))
    h, c = v['a_begin_state_0'] if 'a_begin_state_0' in v else np.zeros((1, 3)), np.zeros((1, 3))
    for t in range(2):
        gates = v['data'][t] @ v['a_i2h_weight'].T + v['a_i2h_bias'] + h @ v['a_h2h_weight'].T + v['a_h2h_bias']
        i, f, g, o = np.split(gates, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found[t], h, rtol=1e-5)


@pytest.mark.parametrize(('mode', 'bidirectional'), [('gru', True), ('rnn_relu', False)])
def test_fused_cells_are_their_cells(mode, bidirectional):
    fused = rnn.FusedRNNCell(3, 2, mode, bidirectional, prefix='f_')
    data = mx.sym.var('data')
    values, expected = values_of(fused.unroll(3, data, layout='TNC', merge_outputs=True)[0], (3, 2, 4))
    stack = fused.unfuse()
    unpacked = fused.unpack_weights({'f_parameters': mx.nd.array(values['f_parameters'])})
    packed = stack.pack_weights(unpacked)
    np.testing.assert_array_equal(fused.pack_weights(unpacked)['f_parameters'].asnumpy(), values['f_parameters'])
    assert packed['f_l1_i2h_weight'].shape == (3 * (3 if mode == 'gru' else 1), 6 if bidirectional else 3)
    executor = stack.unroll(3, data, layout='TNC', merge_outputs=True)[0].simple_bind(mx.cpu(), data=(3, 2, 4))
    executor.copy_params_from({**packed, 'data': mx.nd.array(values['data'])}, allow_extra_params=True)
    np.testing.assert_allclose(executor.forward()[0].asnumpy(), expected, rtol=1e-5, atol=1e-6)


def test_modifiers():
    data = mx.sym.var('data')
    plain = values_of(rnn.GRUCell(4, prefix='a_').unroll(2, data, merge_outputs=True)[0], (1, 2, 4))[1]
    residual = rnn.ResidualCell(rnn.ZoneoutCell(rnn.GRUCell(4, prefix='a_'), 0.5, 0.5))
    values, found = values_of(residual.unroll(2, data, merge_outputs=True)[0], (1, 2, 4))
    np.testing.assert_allclose(found, plain + values['data'], rtol=1e-5)  # nothing is kept at inference
    base = rnn.RNNCell(3)
    rnn.ZoneoutCell(base)
    with pytest.raises(GluonError, match='stands in'):
        base.begin_state()
    with pytest.raises(ArgumentError, match='single steps'):
        rnn.ZoneoutCell(rnn.FusedRNNCell(3))
    with pytest.raises(ArgumentError, match='another length'):
        base.unroll(3, [data, data])


def test_sentences_in_buckets(tmp_path):
    sentences = [list('abc'), list('bcda'), list('ab'), list('cd'), list('abcd'), list('abcdab')]
    encoded, vocab = rnn.encode_sentences(sentences, invalid_label=0, start_label=1)
    assert encoded[1], vocab['d'] == ([2, 3, 4, 1], 4)
    with pytest.raises(ArgumentError, match='lacks'):
        rnn.encode_sentences([['z']], vocab)
    random.seed(0)
    batches = rnn.BucketSentenceIter(encoded, 1, buckets=[2, 4], invalid_label=0, layout='TN')
    rows = {(batch.bucket_key, *batch.data[0].asnumpy()[:, 0].astype(int)): batch for batch in batches}
    assert set(rows) == {(2, 1, 2), (2, 3, 4), (4, 1, 2, 3, 0), (4, 2, 3, 4, 1), (4, 1, 2, 3, 4)}
    assert rows[4, 2, 3, 4, 1].label[0].asnumpy()[:, 0].tolist() == [3, 4, 1, 0]
    assert batches.default_bucket_key == 4
    assert batches.provide_data[0].shape == (4, 1)


def test_checkpoints_hold_gates(tmp_path):
    cell, prefix = rnn.LSTMCell(2, prefix='a_'), str(tmp_path / 'net')
    symbol = cell.unroll(1, mx.sym.var('data'), merge_outputs=True)[0]
    values = {name: mx.nd.array(v) for name, v in values_of(symbol, (1, 1, 3))[0].items() if name.startswith('a_i2h')}
    values |= {'a_h2h_weight': mx.nd.ones((8, 2)), 'a_h2h_bias': mx.nd.ones(8)}
    rnn.do_rnn_checkpoint(cell, prefix, 2)(0, symbol, values, {})
    rnn.do_rnn_checkpoint(cell, prefix, 2)(1, symbol, values, {})
    assert len(list(tmp_path.iterdir())) == 2  # a symbol, and epoch 2
    assert mx.model.load_params(prefix, 2)[0]['a_i2h_f_weight'].shape == (2, 3)
    loaded = rnn.load_rnn_checkpoint(cell, prefix, 2)[1]
    assert set(loaded) == set(values)
    for name, array in values.items():
        np.testing.assert_array_equal(loaded[name].asnumpy(), array.asnumpy())
