"""contrib.amp: products in half precision, parameters, losses and sums in float32; the scale of the loss."""

import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError
from gluonjax.mx import autograd, gluon, nd
from gluonjax.mx.contrib import amp


@pytest.fixture(params=['float16', 'bfloat16'])
def half(request):
    amp.init(request.param)
    yield request.param
    amp.finish()


def network():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(3, in_units=2, activation='relu'), gluon.nn.BatchNorm(), gluon.nn.Dense(2, in_units=3))
    net.initialize('ones')
    return net


@pytest.mark.parametrize('hybrid', [False, True])
def test_products_are_of_half_precision_and_parameters_are_not(half, hybrid):
    net, x = network(), nd.array([[1 + 2**-12, 2]])  # which half precision does not tell from 1
    if hybrid:
        net.hybridize()
    assert net[0](x).asnumpy().tolist() == [[3, 3, 3]]
    with autograd.record():
        y = net(x)
        loss = gluon.loss.L2Loss()(y, nd.zeros((1, 2)))
    loss.backward()
    assert (y.value.dtype, loss.dtype) == (jnp.dtype(half), np.float32)
    assert net[0].weight.data().dtype == net[2].weight.grad().dtype == np.float32
    amp.finish()
    assert network()(x).dtype == np.float32


def test_operators_are_cast_and_sums_are_not(half):
    x = nd.array([[1 + 2**-12]])
    assert nd.dot(x, x).value.dtype == jnp.dtype(half)
    assert nd.FullyConnected(x, x, num_hidden=1, no_bias=True).asscalar() == 1
    assert nd.sum(x.astype('float16')).dtype == np.float32
    assert (x + 1).dtype == np.float32
    assert nd.softmax(x.astype('float16')).dtype == np.float32


def test_operators_that_are_named_are_cast_until_the_end():
    x = nd.ones((2, 2))
    amp.init('bfloat16', target_precision_ops=['sum'], fp32_ops=['dot'])
    try:
        assert (nd.sum(x).value.dtype, nd.dot(x, x).value.dtype) == (jnp.bfloat16, jnp.float32)
        amp.init('bfloat16')
        assert (nd.sum(x).value.dtype, nd.dot(x, x).value.dtype) == (jnp.float32, jnp.bfloat16)
    finally:
        amp.finish()
    assert nd.dot(x, x).value.dtype == jnp.float32


def test_the_loss_is_scaled_and_steps_that_overflow_are_passed_by():
    amp.init('float16')
    try:
        w = gluon.Parameter('w', shape=(1,))
        w.initialize('ones')
        trainer = gluon.Trainer([w], 'sgd', {'learning_rate': 0.5})
        with pytest.raises(ArgumentError, match='init_trainer'), amp.scale_loss(w.data(), trainer):
            pass
        amp.init_trainer(trainer)

        def step(factor):
            with autograd.record():
                loss = factor * w.data()
                with amp.scale_loss(loss, trainer) as scaled:
                    autograd.backward(scaled)

        step(2)
        assert w.grad().asscalar() == 2 * 2.0**16
        trainer.step(2)
        assert w.data().asscalar() == 0.5
        step(2)
        amp.unscale(trainer)
        assert w.grad().asscalar() == 2
        trainer.step(2)
        assert w.data().asscalar() == 0
        step(1e38)  # times the scale that is infinite
        trainer.step(1)
        assert (w.data().asscalar(), trainer.loss_scaler.loss_scale) == (0, 2.0**15)
        trainer.loss_scaler._window = 2
        for _ in range(2):
            step(0)
            trainer.step(1)
        assert trainer.loss_scaler.loss_scale == 2.0**16
    finally:
        amp.finish()


def test_networks_are_converted():
    net, x = network(), nd.array([[1, 2]])
    half = amp.convert_hybrid_block(net, 'bfloat16')
    assert half(x).value.dtype == jnp.bfloat16
    np.testing.assert_allclose(half(x).astype('float32').asnumpy(), net(x).asnumpy(), rtol=1e-2)
    assert net[0].weight.dtype == np.float32
    with pytest.raises(ArgumentError, match='target_dtype'):
        amp.init('int8')
    with pytest.raises(ArgumentError, match=r'gluon\.Trainer'):
        amp.init_trainer(net)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
@pytest.mark.parametrize('name', ['broadcast_add', 'broadcast_mul', 'np.add', 'np.multiply', 'np.true_divide'])
def test_gradients_of_what_is_broadcast_are_summed_in_float32(name, dtype):
    kind = mx.np if name.startswith('np.') else mx.nd
    x = kind.ones((8, 512, 2)).astype(dtype)
    weight = kind.ones((1, 1, 2)).astype(dtype)
    weight.attach_grad()
    with mx.autograd.record():
        y = getattr(kind, name.removeprefix('np.'))(x, weight)
    y.backward()
    expected = -4096 if name == 'np.true_divide' else 4096
    np.testing.assert_array_equal(weight.grad.astype('float32').asnumpy(), np.full((1, 1, 2), expected, 'float32'))


def graph():
    data = mx.sym.var('data')
    net = mx.sym.FullyConnected(data, num_hidden=2, name='fc')
    net = mx.sym.Activation(net, act_type='softrelu', name='act')
    return mx.sym.softmax(mx.sym.broadcast_add(net, mx.sym.exp(data, name='exp'), name='sum'))


def test_graphs_have_casts_in_front_of_operators():
    made = amp.convert_symbol(graph(), 'bfloat16')
    assert [node.name for node in made.nodes if node.op == 'amp_cast'] == [
        *('data_amp_cast_bfloat16', 'fc_weight_amp_cast_bfloat16', 'fc_bias_amp_cast_bfloat16'),
        *('fc_output_amp_cast_float32', 'sum_output_amp_cast_float32'),
    ]
    values = {'data': nd.array([[1 + 2**-12, 2]]), 'fc_weight': nd.array([[1, -1], [2, 1]]), 'fc_bias': nd.zeros(2)}
    whole, half = graph().eval(**values)[0].asnumpy(), made.eval(**values)[0].asnumpy()
    np.testing.assert_allclose(half, whole, rtol=1e-3)
    assert (half != whole).any()
    kept = amp.convert_symbol(graph(), excluded_sym_names=['fc'], fp32_ops=[], conditional_fp32_ops=[])
    assert [node.op for node in kept.nodes if 'amp' in str(node.op)] == ['amp_multicast']
    with pytest.raises(ArgumentError, match=r"no node 'fd'[\s\S]*list_outputs"):
        amp.convert_symbol(graph(), excluded_sym_names=['fd'])


def test_checkpoints_in_half_precision():
    params = {'fc_weight': nd.ones((2, 2)), 'fc_bias': nd.zeros(2)}
    made, args, aux = amp.convert_model(graph(), params, {}, cast_optional_params=True)
    assert next(node.name for node in made.nodes if node.op == 'amp_cast') == 'data_amp_cast_float16'
    assert (args['fc_weight'].dtype, args['fc_bias'].dtype, aux) == (np.float16, np.float16, {})
    assert made.eval(data=nd.ones((1, 2)), **args)[0].dtype == np.float32
    assert amp.convert_model(graph(), params, {})[1]['fc_weight'].dtype == np.float32


def test_lists_of_operators_share_none():
    lists = [amp.list_lp16_ops(), amp.list_fp32_ops(), amp.list_widest_type_cast(), amp.list_lp16_fp32_ops()]
    assert len({name for names in lists for name in names}) == sum(map(len, lists))
    assert {'FullyConnected', 'Convolution'} <= {*lists[0]}
    assert ('Activation', 'act_type', ['softrelu']) in amp.list_conditional_fp32_ops('bfloat16')
    with pytest.raises(ArgumentError, match='target_dtype'):
        amp.list_lp16_ops('int8')
