"""contrib.quantization: convolutions and linear layers of integers, beside the same in float32 and by hand."""

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError
from gluonjax.mx import gluon, nd
from gluonjax.mx.contrib import quantization

R = np.random.RandomState(0)
X = R.uniform(-1, 1, (8, 2, 5, 5)).astype('float32')


def model():
    data = mx.sym.var('data')
    net = mx.sym.Convolution(data, kernel=(3, 3), num_filter=3, name='conv')
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type='relu'), num_hidden=2, name='fc')
    shapes = dict(zip(net.list_arguments(), net.infer_shape(data=(8, 2, 5, 5))[0], strict=True))
    R = np.random.RandomState(1)
    return net, {k: nd.array(R.uniform(-1, 1, shape)) for k, shape in shapes.items() if k != 'data'}


def outputs(net, params):
    return net.eval(data=nd.array(X), **params)[0].asnumpy()


@pytest.mark.parametrize('mode', ['none', 'naive', 'entropy'])
@pytest.mark.parametrize('dtype', ['int8', 'auto'])
def test_a_checkpoint_of_integers_computes_about_the_same(mode, dtype):
    net, params = model()
    batches = None if mode == 'none' else mx.io.NDArrayIter(X, batch_size=4)
    quantized, args, aux = quantization.quantize_model(
        net, params, {}, calib_mode=mode, calib_data=batches, quantized_dtype=dtype
    )
    assert [node.op for node in quantized.nodes if 'quantize' in str(node.op)] == [
        *('_contrib_quantize_v2', '_contrib_quantized_conv', '_contrib_dequantize'),
        *('_contrib_quantize_v2', '_contrib_quantized_fully_connected', '_contrib_dequantize'),
    ]
    assert (args['fc_weight_quantize'].dtype, args['fc_bias'].dtype, aux) == (np.int8, np.float32, {})
    assert 'fc_weight' not in args
    whole = outputs(net, params)
    np.testing.assert_allclose(outputs(quantized, args), whole, atol=0.02 * np.abs(whole).max())
    assert np.abs(outputs(quantized, args) - whole).max() > 1e-5
    again = mx.sym.load_json(quantized.tojson())
    np.testing.assert_array_equal(outputs(again, args), outputs(quantized, args))


def test_a_linear_layer_by_hand():
    x = np.array([[0.5, -1.0], [0.25, 0.1]], 'float32')
    net = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1, name='fc')
    params = {'fc_weight': nd.array([[0.3, 0.7]]), 'fc_bias': nd.array([0.1])}
    quantized, args, _ = quantization.quantize_model(
        net, params, {}, calib_mode='naive', calib_data=[nd.array(x)], quantized_dtype='int8'
    )
    unit = np.float32(1) / np.float32(127.5)
    integers = np.clip(np.round(x / unit), -128, 127) @ np.round(np.array([[0.3], [0.7]]) * (127 / 0.7))
    expected = integers / 127 * (0.7 / 127) + 0.1
    np.testing.assert_allclose(quantized.eval(data=nd.array(x), **args)[0].asnumpy(), expected, rtol=1e-5)


def test_a_range_that_leaves_out_what_is_rare():
    x = np.random.RandomState(0).normal(0, 0.1, (10_000, 2)).astype('float32')
    x[0] = 50.0, -0.5
    net = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1, name='fc', no_bias=True)
    quantized, _, _ = quantization.quantize_model(net, {'fc_weight': nd.ones((1, 2))}, {}, calib_data=[nd.array(x)])
    attributes = next(node.parsed for node in quantized.nodes if node.op == '_contrib_quantize_v2')
    assert 0.2 < attributes['max_calib_range'] < 10
    assert attributes['min_calib_range'] == -0.5
    net, params = model()
    with pytest.raises(ArgumentError, match="calib_data=, or calib_mode='none'"):
        quantization.quantize_model(net, params, {})
    with pytest.raises(ArgumentError, match="calib_mode='entropy', calib_data=batches"):
        quantization.calib_graph(net, params, {}, None)


def test_a_network_of_integers_but_for_layers_that_are_excluded():
    net = gluon.nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(gluon.nn.Conv2D(3, 3), gluon.nn.BatchNorm(), gluon.nn.Dense(4), gluon.nn.Dense(2))
    net.initialize()
    whole = net(nd.array(X)).asnumpy()
    batches = gluon.data.DataLoader(gluon.data.ArrayDataset(nd.array(X), nd.zeros(8)), 4)
    small = quantization.quantize_net(
        net, exclude_layers_match=['.*dense1'], calib_data=batches, calib_mode='naive', num_calib_examples=4
    )
    np.testing.assert_allclose(small(nd.array(X)).asnumpy(), whole, atol=0.05 * np.abs(whole).max())
    names = list(small.collect_params())
    assert {'net_dense0_weight_quantize', 'net_dense1_weight', 'net_batchnorm0_running_mean'} <= {*names}
    assert small.collect_params()['net_dense0_weight_quantize'].data().dtype == np.int8
