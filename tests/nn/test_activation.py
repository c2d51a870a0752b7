"""Activations: what MXNet does not answer for, and extreme inputs. MXNet's numbers are in test_layers.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from layer_cases import golden_arrays

from gluonjax import errors, nn
from gluonjax.nn.activation import FUNCTIONS

X = np.concatenate([np.linspace(-6, 6, 49), [-90, -30, 30, 90]])


def cdf(x):
    return scipy.special.ndtr(x)


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def sigmoid(x):
    return scipy.special.expit(x)


def softplus(x):
    return np.logaddexp(0, x)


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772
# Layer -> its values and slopes in closed form.
CLOSED = {
    'LeakyReLU': (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x), lambda x: np.where(x > 0, 1, 0.2)),
    'ELU': (
        nn.ELU(0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
        lambda x: np.where(x > 0, 1, 0.7 * np.exp(x)),
    ),
    'ELU negative': (
        nn.ELU(-0.7),
        lambda x: np.where(x > 0, x, -0.7 * np.expm1(x)),
        lambda x: np.where(x > 0, 1, -0.7 * np.exp(x)),
    ),
    'SELU': (
        nn.SELU(),
        lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(x)),
        lambda x: SCALE * np.where(x > 0, 1, ALPHA * np.exp(x)),
    ),
    'GELU': (nn.GELU(), lambda x: x * cdf(x), lambda x: cdf(x) + x * density(x)),
    'GELU tanh': (
        nn.GELU('tanh'),
        tanh_gelu,
        lambda x: (tanh_gelu(x + 1e-6) - tanh_gelu(x - 1e-6)) / 2e-6,
    ),
    'Swish': (
        nn.Swish(1.5),
        lambda x: x * sigmoid(1.5 * x),
        lambda x: sigmoid(1.5 * x) * (1 + 1.5 * x * sigmoid(-1.5 * x)),
    ),
    'SiLU': (nn.SiLU(), lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
    'mish': (
        nn.Activation('mish'),
        lambda x: x * np.tanh(softplus(x)),
        lambda x: np.tanh(softplus(x)) + x * sigmoid(x) * (1 - np.tanh(softplus(x)) ** 2),
    ),
    'log_sigmoid': (nn.Activation('log_sigmoid'), lambda x: -softplus(-x), lambda x: sigmoid(-x)),
}


def value_and_slope(layer, x):
    return jax.jit(jax.vmap(jax.value_and_grad(lambda x: layer.apply({}, x))))(x)


@pytest.mark.optimized
@pytest.mark.parametrize(('layer', 'function', 'derivative'), CLOSED.values(), ids=CLOSED)
def test_values_and_slopes(layer, function, derivative):
    value, slope = value_and_slope(layer, X.astype('float32'))
    np.testing.assert_allclose(value, function(X), rtol=3e-6, atol=1e-6)
    np.testing.assert_allclose(slope, derivative(X), rtol=3e-6, atol=2e-6)


@pytest.mark.parametrize(
    'layer', [layer for layer, *_ in CLOSED.values()] + [nn.Activation(name) for name in FUNCTIONS]
)
def test_extreme_inputs(layer):
    for dtype in ('float32', 'bfloat16', 'float16'):
        value, slope = value_and_slope(layer, jnp.asarray([-6e4, -1e3, 1e3, 6e4], dtype))
        assert value.dtype == dtype
        assert bool(jnp.isfinite(value).all() & jnp.isfinite(slope).all())


@pytest.mark.parametrize(
    ('name', 'layer'),
    [('elu', nn.ELU()), ('gelu', nn.GELU()), ('selu', nn.SELU()), ('silu', nn.SiLU()), ('swish', nn.Swish())],
)
def test_a_name_is_its_layer(name, layer):
    x = X.astype('float32')
    np.testing.assert_allclose(nn.Activation(name).apply({}, x), layer.apply({}, x), rtol=1e-6)


@pytest.mark.parametrize('make', [nn.Activation, lambda name: nn.Dense(2, activation=name)])
def test_an_unknown_name_lists_the_known_ones(make):
    with pytest.raises(errors.ArgumentError, match=r"one of 'elu', 'gelu', .*'tanh'; got 'rellu'"):
        make('rellu')


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_the_gradient_of_a_learned_slope_is_summed_in_single(dtype):
    layer = nn.PReLU().cast(dtype)
    x = jnp.full((8, 1024), -(2**-6), dtype)  # in half precision the sum would stop growing at 256 terms
    gradient = jax.grad(lambda p: layer.apply(p, x).astype('float32').sum())(layer.init(0, x))['alpha']
    assert (gradient.dtype, float(gradient[0])) == (dtype, -128)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('name', ['GELU', 'GELU tanh'])
def test_gelu_in_half_precision(name, dtype):
    layer, function, derivative = CLOSED[name]
    x = jnp.linspace(-8, 8, 1001, dtype=dtype)
    exact = np.asarray(x, 'float64')
    value, slope = value_and_slope(layer, x)
    rounding = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(value, 'float64'), function(exact), rtol=rounding, atol=1e-5)
    np.testing.assert_allclose(np.asarray(slope, 'float64'), derivative(exact), rtol=rounding, atol=1e-5)


def test_mxnets_selu_has_another_slope_below_zero():
    golden = golden_arrays()['selu']
    out, below = golden['out'], golden['x0'] <= 0
    theirs = np.where(below, SCALE * (ALPHA + out), SCALE) * golden['cotangent']
    np.testing.assert_allclose(golden['grad_x0'], theirs, rtol=2e-5, atol=1e-6)
    slope = value_and_slope(nn.SELU(), golden['x0'])[1]
    np.testing.assert_allclose(slope, np.where(below, SCALE * ALPHA + out, SCALE), rtol=1e-5, atol=1e-6)


def test_prelu_starts_at_a_quarter():
    assert {name: float(value[0]) for name, value in nn.PReLU().init(0).items()} == {'alpha': 0.25}


@pytest.mark.parametrize(('shape', 'axis'), [((3,), 0), ((2, 3), 1), ((3, 3), 1), ((2, 3, 4), 1), ((3, 3, 3, 3), 1)])
def test_prelu_of_channels(shape, axis):
    for layer in (nn.PReLU(in_channels=3), nn.PReLU(in_channels=None), nn.PReLU(in_channels=0)):
        assert layer.init(0, np.ones(shape, 'float32'))['alpha'].shape == (3,)
        y = layer.apply({'alpha': jnp.asarray([1.0, 2.0, 3.0])}, -np.ones(shape, 'float32'))
        expected = np.moveaxis(np.broadcast_to([-1, -2, -3], np.moveaxis(np.ones(shape), axis, -1).shape), -1, axis)
        np.testing.assert_array_equal(y, expected)


def test_prelu_of_a_number():
    assert nn.PReLU().apply({'alpha': jnp.asarray([0.5])}, np.float32(-4)) == -2


@pytest.mark.parametrize('layer', [nn.PReLU(in_channels=4), nn.PReLU(in_channels=3)])
def test_prelu_of_other_channels(layer):
    for shape in ((3, 2), (3, 2, 4), (2,)):
        with pytest.raises(errors.ShapeError, match=r"'alpha' has shape \(\d,\), but the input .* needs \(2,\)"):
            layer.init(0, np.ones(shape, 'float32'))
    with pytest.raises(errors.ShapeError, match='axis of channels'):
        layer.init(0, np.float32(1))


@pytest.mark.parametrize(
    ('make', 'match'),
    [
        (lambda: nn.LeakyReLU(-0.1), 'alpha must be a number >= 0, got -0.1'),
        (lambda: nn.LeakyReLU('steep'), 'alpha'),
        (lambda: nn.LeakyReLU(float('nan')), 'alpha'),
        (lambda: nn.ELU(None), 'alpha'),
        (lambda: nn.Swish('beta'), 'beta'),
        (lambda: nn.GELU('exact'), "approximation must be one of 'erf', 'tanh'; got 'exact'"),
        (lambda: nn.GELU(True), "'erf', 'tanh'; got True"),
        (lambda: nn.PReLU(in_channels=-1), 'in_channels'),
    ],
)
def test_wrong_arguments(make, match):
    with pytest.raises(errors.ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    'layer', [nn.LeakyReLU(0.1), nn.PReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.Swish(), nn.SiLU()]
)
def test_integers_are_refused(layer):
    with pytest.raises(errors.DTypeError, match='floating-point input\n  got: int32'):
        layer.apply(layer.init(0), np.ones((2, 1), 'int32'))


@pytest.mark.parametrize('approximation', ['erf', 'tanh'])
def test_the_backward_pass_of_gelu_keeps_its_input_alone_in_its_dtype(approximation):
    layer, x = nn.GELU(approximation), jnp.linspace(-6, 6, 50, dtype='bfloat16')
    _, backward = jax.vjp(lambda x: layer.apply({}, x), x)
    kept = [leaf for leaf in jax.tree.leaves(backward) if leaf.size == x.size]
    assert [leaf.dtype for leaf in kept] == ['bfloat16']
    wide = np.asarray(x, 'float64')
    slope = scipy.special.ndtr(wide) + wide * np.exp(-(wide**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(np.asarray(backward(jnp.ones_like(x))[0], 'float64'), slope, atol=5e-3)


def test_the_backward_pass_of_dense_with_gelu_adds_the_bias_again():
    layer, x = nn.Dense(7, 'gelu', bias_initializer='normal'), jnp.linspace(-2, 2, 15).reshape(5, 3)
    params = layer.init(0, x)
    y, backward = jax.vjp(lambda params: layer.apply(params, x), params)
    (kept,) = [leaf for leaf in jax.tree.leaves(backward) if leaf.shape == y.shape]
    np.testing.assert_allclose(kept, x @ params['weight'].T, rtol=1e-5)
