"""Normalization: what MXNet's numbers (in test_layers.py) do not show: precision, laws, and the synchronized one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from layer_cases import in_groups

from gluonjax import errors, nn

# Layer, and the axes that it normalizes over for an input (N, 4, H, W).
LAYERS = {
    'BatchNorm': (nn.BatchNorm(), (0, 2, 3)),
    'BatchNorm last': (nn.BatchNorm(-1), (0, 1, 2)),
    'SyncBatchNorm': (nn.SyncBatchNorm(), (0, 2, 3)),
    'LayerNorm': (nn.LayerNorm(), (3,)),
    'LayerNorm axis': (nn.LayerNorm(1), (1,)),
    'InstanceNorm': (nn.InstanceNorm(), (2, 3)),
    'InstanceNorm last': (nn.InstanceNorm(-1), (1, 2)),
    'GroupNorm': (nn.GroupNorm(1), (1, 2, 3)),
    'GroupNorm of channels': (nn.GroupNorm(4), (2, 3)),
}
by_layer = pytest.mark.parametrize('name', LAYERS)


def normalized(x, over, epsilon=1e-5):
    x = np.asarray(x, 'float64')
    return (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + epsilon)


def trained(layer, x):
    return layer.apply_train(layer.init(0, x), x)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@by_layer
def test_half_precision_has_statistics_in_single(name, dtype, random):
    layer, over = LAYERS[name]
    x = jnp.asarray(300 + 10 * random.standard_normal((6, 4, 5, 7)), dtype)  # squares overflow float16
    y = trained(layer.cast(dtype), x)[0]
    assert y.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(y, 'float64'), normalized(x, over), rtol=float(jnp.finfo(dtype).eps), atol=1e-5
    )


@by_layer
def test_a_large_mean_with_a_small_variance(name, random):
    layer, over = LAYERS[name]
    x = (1000 + random.standard_normal((6, 4, 5, 7))).astype('float32')
    slope = random.standard_normal(x.shape).astype('float32')
    params = layer.init(0, x)
    y, pull, news = jax.vjp(jax.jit(lambda x: layer.apply_train(params, x)), x, has_aux=True)
    expected, wide = normalized(x, over), np.asarray(slope, 'float64')
    spread = np.sqrt(x.astype('float64').var(over, keepdims=True) + 1e-5)
    means = (part.mean(over, keepdims=True) for part in (wide, expected * wide))
    np.testing.assert_allclose(y, expected, atol=3e-6)
    np.testing.assert_allclose(pull(slope)[0], (wide - next(means) - expected * next(means)) / spread, atol=3e-6)
    if 'BatchNorm' in name:
        np.testing.assert_allclose(news['running_var'], 0.9 + 0.1 * x.astype('float64').var(over), rtol=1e-6)


@pytest.mark.optimized  # equal sums are one
@pytest.mark.parametrize(('name', 'sums'), [('BatchNorm', 4), ('LayerNorm', 6)])
def test_passes_over_the_input_and_what_is_kept_for_the_backward_pass(name, sums):
    """Two sums forward, and two backward, in which those for gamma and beta are among BatchNorm's."""
    layer, x = LAYERS[name][0], jnp.ones((4, 4, 5, 7), 'bfloat16')
    params = layer.init(0, x)

    def back(params, x):
        return jax.vjp(lambda params, x: layer.apply_train(params, x)[0], params, x)

    large = {leaf.dtype.name for leaf in jax.tree.leaves(jax.eval_shape(back, params, x)[1]) if leaf.size == x.size}
    assert large <= {'bfloat16'}
    program = jax.jit(lambda params, x: back(params, x)[1](x)).lower(params, x).compile().as_text()
    assert program.count(' reduce(') == sums
    assert ' transpose(' not in program


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_parameters_in_half_precision(dtype):
    for layer, expected in [
        (nn.BatchNorm(in_channels=2), 'float32'),
        (nn.BatchNormReLU(in_channels=2), 'float32'),
        (nn.SyncBatchNorm(in_channels=2), 'float32'),
        (nn.LayerNorm(in_channels=2), dtype),
        (nn.GroupNorm(2), dtype),
        (nn.InstanceNorm(in_channels=2), dtype),
        (nn.RMSNorm(in_channels=2), dtype),
    ]:
        assert {value.dtype.name for value in layer.cast(dtype).init(0).values()} == {expected}


@pytest.mark.parametrize('name', ['LayerNorm', 'GroupNorm', 'InstanceNorm', 'BatchNorm', 'RMSNorm'])
def test_mixed_precision_keeps_the_inputs_dtype(name, random):
    layer = getattr(nn, name)()
    x = jnp.asarray(random.standard_normal((3, 4, 5)), 'bfloat16')
    params = jax.tree.map(lambda v: v.astype('float32'), layer.init(0, x))
    assert layer.apply(params, x).dtype == 'bfloat16'


# RMSNorm.


def rms(x, axis, epsilon=1e-6):
    x = np.asarray(x, 'float64')
    return x / np.sqrt(np.square(x).mean(axis, keepdims=True) + epsilon)


@pytest.mark.parametrize('axis', [-1, 1, 0])
def test_rmsnorm(axis, random):
    x = random.standard_normal((3, 4, 5)).astype('float32')
    layer = nn.RMSNorm(axis, epsilon=0.3)
    gamma = random.standard_normal(x.shape[axis]).astype('float32')
    expected = rms(x, axis, 0.3) * np.expand_dims(gamma, [i for i in range(3) if i != axis % 3])
    np.testing.assert_allclose(layer.apply({'gamma': jnp.asarray(gamma)}, x), expected, rtol=1e-5)
    np.testing.assert_allclose(nn.RMSNorm().apply(nn.RMSNorm().init(0, x), x), rms(x, -1), rtol=1e-5)
    assert nn.RMSNorm(scale=False).trainable() == {'gamma': False}


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_rmsnorm_in_half_precision(dtype, random):
    x = jnp.asarray(300 * random.standard_normal((3, 64)), dtype)  # squares overflow float16
    layer = nn.RMSNorm().cast(dtype)
    y = np.asarray(layer.apply(layer.init(0, x), x), 'float64')
    np.testing.assert_allclose(y, rms(x, -1), rtol=float(jnp.finfo(dtype).eps))


@pytest.mark.parametrize('value', [1.0, 0.1, 3.7, 1e3])
@by_layer
def test_a_constant_input_has_output_and_gradient_0(name, value):
    layer, _ = LAYERS[name]
    x = jnp.full((6, 4, 5, 7), value)
    params = layer.init(0, x)

    def total(x):
        return layer.apply_train(params, x)[0].sum()

    for gradient in (jax.grad(total), jax.jit(jax.grad(total))):
        np.testing.assert_array_equal(gradient(x), jnp.zeros_like(x))
    np.testing.assert_array_equal(trained(layer, x)[0], jnp.zeros_like(x))


@functools.cache
def derivatives():
    """Of each layer and of its definition: values, slopes, and both along a direction."""
    random = np.random.RandomState(0)
    x, direction = (random.standard_normal((3, 4, 2, 3)) for _ in range(2))

    def answers(f, x, direction):
        def slope(x):
            return jax.grad(lambda x: jnp.sin(f(x)).sum())(x)

        return f(x), jax.jvp(f, (x,), (direction,))[1], slope(x), jax.jvp(slope, (x,), (direction,))[1]

    def both(name, point):
        layer, over = LAYERS[name][0].cast('float64'), LAYERS[name][1]
        params = layer.init(0, x)

        def plain(x):
            deviations = x - x.mean(over, keepdims=True)
            return deviations / jnp.sqrt(jnp.square(deviations).mean(over, keepdims=True) + 1e-5)

        return answers(lambda x: layer.apply_train(params, x)[0], *point), answers(plain, *point)

    with jax.enable_x64(True):
        return in_groups(both, dict.fromkeys(LAYERS, (x, direction)))


@by_layer
def test_derivatives_of_first_and_second_order(name):
    ours, expected = derivatives()[name]
    assert ours[0].dtype == 'float64'
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), ours, expected)


# Laws.


@pytest.mark.parametrize('shape', [(2, 4, 3), (1, 2, 5), (3, 1, 2)])
def test_group_norm_lies_between_instance_norm_and_layer_norm(shape, random):
    x = random.standard_normal(shape).astype('float32')
    one, each = nn.GroupNorm(1), nn.GroupNorm(shape[1])
    flat, instance = nn.LayerNorm(), nn.InstanceNorm()
    whole = x.reshape(shape[0], -1)
    expected = flat.apply(flat.init(0, whole), whole).reshape(shape)
    np.testing.assert_allclose(one.apply(one.init(0), x), expected, atol=1e-5)
    np.testing.assert_allclose(each.apply(each.init(0), x), instance.apply(instance.init(0, x), x), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(LAYERS)), st.floats(0.5, 4), st.floats(-4, 4), st.integers(0, 2**31 - 1))
def test_scaling_and_shifting_the_input_changes_nothing(name, factor, shift, seed):
    x = np.random.RandomState(seed).standard_normal((3, 4, 2, 3)).astype('float32')
    layer = nn.LayerNorm(epsilon=0) if name == 'LayerNorm' else LAYERS[name][0]
    y, moved = trained(layer, x)[0], trained(layer, (factor * x + shift).astype('float32'))[0]
    large = np.abs(normalized(x, LAYERS[name][1], 0)) < 1e3
    np.testing.assert_allclose(np.asarray(y)[large], np.asarray(moved)[large], atol=2e-2)


def test_batchnormrelu_is_relu_of_batchnorm(random):
    x = random.standard_normal((5, 3, 2)).astype('float32')
    plain, fused = nn.BatchNorm(momentum=0.5), nn.BatchNormReLU(momentum=0.5)
    params = plain.init(0, x)
    (y, news), (z, same) = plain.apply_train(params, x), fused.apply_train(params, x)
    np.testing.assert_array_equal(z, np.maximum(y, 0))
    jax.tree.map(np.testing.assert_array_equal, news, same)


# The synchronized one, against BatchNorm of the whole batch.

BATCH = (16, 3, 5)


def sharded_over(devices=8):
    return Mesh(np.array(jax.devices()[:devices]), ('parts',))


def on_shards(function, out_specs):
    return jax.shard_map(function, mesh=sharded_over(), in_specs=(P(), P('parts')), out_specs=out_specs)


def shard_mapped(params, x):
    return on_shards(nn.SyncBatchNorm(axis_name='parts').apply_train, (P('parts'), P()))(params, x)


def vmapped(params, x):
    train = nn.SyncBatchNorm(axis_name='parts').apply_train
    y, news = jax.vmap(train, (None, 0), (0, None), axis_name='parts')(params, x.reshape(4, 4, *x.shape[1:]))
    return y.reshape(x.shape), news


def vmapped_twice(params, x):
    train = nn.SyncBatchNorm(axis_name=('rows', 'columns')).apply_train
    inner = jax.vmap(train, (None, 0), (0, None), axis_name='columns')
    y, news = jax.vmap(inner, (None, 0), (0, None), axis_name='rows')(params, x.reshape(2, 4, 2, *x.shape[1:]))
    return y.reshape(x.shape), news


def sharded_jit(params, x):
    x = jax.lax.with_sharding_constraint(x, NamedSharding(sharded_over(), P('parts')))
    return nn.SyncBatchNorm().apply_train(params, x)


def whole(params, x):
    return nn.BatchNorm().apply_train(params, x)


@functools.cache
def batch():
    random = np.random.RandomState(1)
    x = (random.standard_normal(BATCH) + np.arange(16)[:, None, None]).astype('float32')  # parts differ in their means
    params = {
        'gamma': random.standard_normal(3),
        'beta': random.standard_normal(3),
        'running_mean': random.standard_normal(3),
        'running_var': random.uniform(0.5, 1.5, 3),
    }
    return jax.tree.map(lambda v: jnp.asarray(v, 'float32'), params), jnp.asarray(x)


def cotangent(y):
    return jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)


def answers(train):
    """Output, gradients by parameters and input, and the running statistics after three steps."""

    def total(params, x):
        y, news = train(params, x)
        return (y * cotangent(y)).sum(), (y, news)

    @jax.jit
    def everything(params, x):
        gradients, (y, news) = jax.grad(total, (0, 1), has_aux=True)(params, x)
        return gradients, y, news, train(train(news, x)[1], x)[1]

    return everything(*batch())


@functools.cache
def expected():
    return answers(whole)


@pytest.mark.parametrize('train', [shard_mapped, vmapped, vmapped_twice, sharded_jit])
def test_synchronized_statistics_are_those_of_the_whole_batch(train):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), answers(train), expected())


def test_the_parts_alone_are_another_batch():
    alone = on_shards(lambda params, x: nn.BatchNorm().apply_train(params, x)[0], P('parts'))
    assert np.abs(alone(*batch()) - expected()[1]).max() > 0.5


def test_a_gradient_inside_the_mapped_function():
    params, x = batch()
    weights = cotangent(x)
    layer = nn.SyncBatchNorm(axis_name='parts')

    def step(params, x, weights):
        return jax.grad(lambda params: (layer.apply_train(params, x)[0] * weights).sum())(params)

    mapped = jax.shard_map(step, mesh=sharded_over(), in_specs=(P(), P('parts'), P('parts')), out_specs=P())
    gradients = jax.jit(mapped)(params, x, weights)
    for name in ('gamma', 'beta'):
        np.testing.assert_allclose(gradients[name], expected()[0][0][name], rtol=2e-5, atol=2e-5)


def test_synchronized_inference_needs_no_mapped_axis():
    params, x = batch()
    layer = nn.SyncBatchNorm(axis_name='parts')
    np.testing.assert_array_equal(layer.apply(params, x), nn.BatchNorm().apply(params, x))
    assert layer.init(0, x).keys() == params.keys()


def test_training_outside_of_the_mapped_function():
    params, x = batch()
    network = nn.Sequential(nn.SyncBatchNorm(axis_name='parts')).definition
    with pytest.raises(errors.TransformationError, match=r"mapped over 'parts'[\s\S]*shard_map[\s\S]*in layer 0"):
        network.apply_train({'0': params}, x)


# Errors.


@pytest.mark.parametrize(
    ('make', 'match'),
    [
        (lambda: nn.BatchNorm(axis='channels'), "axis must be an int, got 'channels'"),
        (lambda: nn.BatchNorm(momentum=1.1), 'momentum must be a number >= 0 and <= 1, got 1.1'),
        (lambda: nn.BatchNorm(epsilon=-1e-5), 'epsilon must be a number >= 0, got -1e-05'),
        (lambda: nn.LayerNorm(axis=(1, 2)), 'axis'),
        (lambda: nn.LayerNorm(epsilon='small'), 'epsilon'),
        (lambda: nn.LayerNorm(in_channels=-1), 'in_channels'),
        (lambda: nn.InstanceNorm(in_channels=2.5), 'in_channels'),
        (lambda: nn.GroupNorm(0), 'num_groups must be an int >= 1, got 0'),
        (lambda: nn.RMSNorm(axis=None), 'axis'),
        (lambda: nn.RMSNorm(epsilon=None), 'epsilon'),
        (lambda: nn.SyncBatchNorm(momentum=-1), 'momentum'),
    ],
)
def test_wrong_arguments(make, match):
    with pytest.raises(errors.ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    ('layer', 'shape', 'error', 'match'),
    [
        (nn.LayerNorm(2), (2, 3), errors.ShapeError, r'lacks the axis.*\n  expected: axis 2\n  got: \(2, 3\)'),
        (nn.LayerNorm(), (), errors.ShapeError, 'expected: axis -1'),
        (nn.LayerNorm(in_channels=4), (2, 3), errors.ShapeError, r"'gamma' has shape \(4,\), but.* needs \(3,\)"),
        (nn.RMSNorm(-3), (2, 3), errors.ShapeError, 'expected: axis -3'),
        (nn.RMSNorm(in_channels=4), (2, 3), errors.ShapeError, r'\(4,\).*\(3,\)'),
        (nn.InstanceNorm(), (2, 3), errors.ShapeError, r'expected: three axes or more\n  got: \(2, 3\)'),
        (nn.InstanceNorm(3), (2, 3, 4), errors.ShapeError, 'expected: axis 3'),
        (nn.InstanceNorm(in_channels=2), (2, 3, 4), errors.ShapeError, r'\(2,\).*\(3,\)'),
        (nn.GroupNorm(), (2,), errors.ShapeError, 'expected: axis 1'),
        (
            nn.GroupNorm(2),
            (2, 3, 4),
            errors.ArgumentError,
            'groups do not divide.*\n  expected: a divisor of 3\n  got: 2',
        ),
        (nn.BatchNormReLU(), (2,), errors.ShapeError, 'expected: axis 1'),
        (nn.SyncBatchNorm(4), (2, 3), errors.ShapeError, r'\(4,\).*\(3,\)'),
    ],
)
def test_wrong_input(layer, shape, error, match):
    with pytest.raises(error, match=match):
        layer.init(0, np.ones(shape, 'float32'))


@pytest.mark.parametrize('layer', [nn.LayerNorm(), nn.RMSNorm(), nn.GroupNorm(), nn.InstanceNorm(), nn.SyncBatchNorm()])
def test_integers_are_refused(layer):
    x = np.ones((2, 1, 1), 'int32')
    with pytest.raises(errors.DTypeError, match='floating-point input\n  got: int32'):
        layer.apply(layer.init(0, x), x)


@pytest.mark.parametrize('layer', [nn.LayerNorm(), nn.GroupNorm(1), nn.InstanceNorm(), nn.RMSNorm(), nn.BatchNorm()])
def test_strict_promotion_in_half_precision(layer):
    with jax.numpy_dtype_promotion('strict'):
        layer, x = layer.cast('bfloat16'), jax.ShapeDtypeStruct((4, 3, 2), 'bfloat16')
        params = jax.eval_shape(lambda x: layer.init(0, x), x)
        assert jax.eval_shape(layer.apply, params, x).dtype == 'bfloat16'
