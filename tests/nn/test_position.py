"""Positions: their definitions in float64, far positions, decoding, partial turns, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluonjax import errors, nn

FAR = [0, 1, 2, 511, 4095, 100_003, 1_000_003, 2**31 - 1]


def angles(positions, dims, base=10000.0):
    return np.asarray(positions, 'float64')[..., None] * base ** -(np.arange(0, dims, 2) / dims)


def waves(positions, dims, interleaved, base=10000.0):
    turns = angles(positions, dims, base)
    together = np.zeros((*turns.shape[:-1], dims))
    sines, cosines = (np.s_[..., 0::2], np.s_[..., 1::2]) if interleaved else (np.s_[..., : dims // 2], np.s_[..., dims // 2 :])  # fmt: skip  # noqa: E501
    together[sines], together[cosines] = np.sin(turns), np.cos(turns)
    return together


def turned(x, positions, dims, interleaved, base=10000.0):
    """As a product of complex numbers."""
    first, second = (x[..., 0:dims:2], x[..., 1:dims:2]) if interleaved else np.split(x[..., :dims], 2, -1)
    product = (first + 1j * second) * np.exp(1j * angles(positions, dims, base))[..., None, :]
    y = x.copy()
    if interleaved:
        y[..., 0:dims:2], y[..., 1:dims:2] = product.real, product.imag
    else:
        y[..., :dims] = np.concatenate([product.real, product.imag], -1)
    return y


def normal(*shape):
    return np.random.RandomState(0).standard_normal(shape)


# The definitions.


@pytest.mark.parametrize('interleaved', [True, False])
@pytest.mark.parametrize('base', [10000.0, 7])
def test_sinusoidal(interleaved, base):
    x = normal(2, 5, 6)
    layer = nn.SinusoidalPositions(base, interleaved)
    y = layer.apply({}, x.astype('float32'))
    np.testing.assert_allclose(y, x + waves(np.arange(5), 6, interleaved, base), rtol=1e-5, atol=5e-7)
    assert interleaved is (repr(layer) in ('SinusoidalPositions()', 'SinusoidalPositions(base=7.0)'))


@pytest.mark.parametrize('interleaved', [True, False])
@pytest.mark.parametrize('dims', [None, 8, 4, 2])
def test_rotary(interleaved, dims):
    x = normal(2, 5, 3, 8)
    y = nn.RotaryPositions(dims, 500.0, interleaved).apply({}, x.astype('float32'))
    np.testing.assert_allclose(y, turned(x, np.arange(5), dims or 8, interleaved, 500.0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[..., dims or 8 :], x[..., dims or 8 :].astype('float32'))


def test_learned():
    layer = nn.LearnedPositions(4, weight_initializer='normal')
    x = normal(2, 3, 5).astype('float32')
    params = layer.init(0, x)
    assert params['weight'].shape == (4, 5)
    np.testing.assert_array_equal(layer.apply(params, x), x + params['weight'][None, :3])
    np.testing.assert_array_equal(layer.apply(params, x, positions=1), x + params['weight'][None, 1:])
    order = np.array([[3, 0, 0], [1, 2, 3]])
    np.testing.assert_array_equal(layer.apply(params, x, order), x + params['weight'][order])
    gradient = jax.grad(lambda params: layer.apply(params, x, order).sum())(params)
    np.testing.assert_array_equal(gradient['weight'], np.tile([[2.0], [1], [1], [2]], 5))
    assert nn.LearnedPositions(4, in_units=5).specs()['weight'].shape == (4, 5)


# Far positions.


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_far_positions_are_as_accurate_as_near_ones(dtype):
    eps = float(jnp.finfo(dtype).eps)
    y = nn.SinusoidalPositions().apply({}, jnp.zeros((1, len(FAR), 64), dtype), jnp.asarray(FAR))
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, 'float64')[0], waves(FAR, 64, True), rtol=0, atol=eps / 2 + 4e-7)
    x = np.asarray(jnp.asarray(normal(1, len(FAR), 2, 64), dtype), 'float64')
    y = nn.RotaryPositions().apply({}, jnp.asarray(x, dtype), jnp.asarray(FAR))
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, 'float64'), turned(x, FAR, 64, False), rtol=eps, atol=eps + 2e-6)


def test_float64():
    with jax.enable_x64(True):
        x = normal(1, len(FAR), 2, 64)
        y = np.asarray(nn.RotaryPositions().apply({}, x, np.asarray(FAR)))
        waved = np.asarray(nn.SinusoidalPositions().apply({}, x[:, :, 0], np.asarray(FAR)))
    assert y.dtype == waved.dtype == 'float64'
    near = np.array(FAR) < 2**30  # the reference itself rounds its angles
    tolerance = np.where(near, 1e-9, 1e-6)[None, :, None]
    assert (np.abs(y - turned(x, FAR, 64, False)) < tolerance[..., None]).all()
    assert (np.abs(waved - x[:, :, 0] - waves(FAR, 64, True)) < tolerance).all()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(-(2**30), 2**30),
    st.integers(-(2**30), 2**30),
    st.integers(-(2**20), 2**20),
    st.booleans(),
)
def test_the_product_of_two_depends_on_their_distance_alone(one, other, shift, interleaved):
    layer, (q, k) = nn.RotaryPositions(interleaved=interleaved), normal(2, 1, 1, 1, 16).astype('float32')

    def product(one, other):
        return float((layer.apply({}, q, positions=one) * layer.apply({}, k, positions=other)).sum())

    np.testing.assert_allclose(product(one, other), product(one + shift, other + shift), rtol=0, atol=2e-5)


# Where the elements stand.


@pytest.mark.parametrize('layer', [nn.SinusoidalPositions(), nn.LearnedPositions(12), nn.RotaryPositions()])
def test_decoding_and_each_element_its_own_position(layer):
    rotary = isinstance(layer, nn.RotaryPositions)
    x = jnp.asarray(normal(2, 6, 3, 4) if rotary else normal(2, 6, 4), 'float32')
    params = layer.init(0, x)
    whole = layer.apply(params, x)
    step = jax.jit(lambda x, t: layer.apply(params, x, positions=t))
    for t in range(6):
        np.testing.assert_allclose(step(x[:, t : t + 1], t), whole[:, t : t + 1], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(step(x[:, 2:5], jnp.int32(2)), whole[:, 2:5], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(step(x, jnp.arange(6, dtype='uint8')), whole, rtol=1e-6, atol=1e-6)
    shifted = layer.apply(params, x, np.arange(6) + np.array([[0], [3]]))
    np.testing.assert_allclose(shifted[0], whole[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(shifted[1:], layer.apply(params, x[1:], positions=3), rtol=1e-6, atol=1e-6)
    assert layer.apply(params, x[:0]).shape == (0, *x.shape[1:])
    assert layer.apply(params, x[:, :0]).shape == (2, 0, *x.shape[2:])


def test_the_end_of_the_table():
    layer = nn.LearnedPositions(4)
    x = np.ones((1, 3, 2), 'float32')
    params = layer.init(0, x)
    for positions, got in ((2, '2 to 4'), (-1, '-1 to 1'), (np.array([0, 9, 1]), '0 to 9')):
        with pytest.raises(errors.ShapeError, match=f'expected: 0 to 3\n  got: {got}\n  try: a larger length'):
            layer.apply(params, x, positions)
    step = jax.jit(lambda x, positions: layer.apply(params, x, positions))
    with pytest.raises(errors.ShapeError, match='got: 5 of them'):
        step(np.ones((1, 5, 2), 'float32'), 0)
    np.testing.assert_array_equal(np.isnan(step(x, 2))[0, :, 0], [False, False, True])
    np.testing.assert_array_equal(np.isnan(step(x, -1))[0, :, 0], [True, False, False])


# Errors.


def ones(*shape, dtype='float32'):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ('layer', 'inputs', 'error', 'match'),
    [
        (nn.SinusoidalPositions(), (ones(2, 3),), errors.ShapeError, r'3 \(N, T, C\)'),
        (nn.SinusoidalPositions(), (ones(2, 3, 5),), errors.ShapeError, 'C must be even[\\s\\S]*got: 5'),
        (nn.SinusoidalPositions(), (ones(2, 3, 4, dtype='int32'),), errors.DTypeError, 'int32'),
        (nn.SinusoidalPositions(), (ones(2, 3, 4), ones(3)), errors.DTypeError, 'positions must be integers'),
        (
            nn.SinusoidalPositions(),
            (ones(2, 3, 4), ones(4, dtype='int32')),
            errors.ShapeError,
            r'shape \(3,\) or \(2, 3\)\n  got: \(4,\)',
        ),
        (nn.SinusoidalPositions(), (ones(2, 3, 4), ones(3, 2, dtype='int32')), errors.ShapeError, r'got: \(3, 2\)'),
        (nn.LearnedPositions(9), (ones(2, 3),), errors.ShapeError, r'3 \(N, T, C\)'),
        (nn.LearnedPositions(9, in_units=3), (ones(2, 3, 4),), errors.ShapeError, r"'weight' has shape \(9, 3\)"),
        (nn.RotaryPositions(), (ones(2, 3, 4),), errors.ShapeError, r'4 \(N, T, heads, head_size\)'),
        (nn.RotaryPositions(), (ones(2, 3, 1, 5),), errors.ShapeError, 'even number <= 5\n  got: 5'),
        (nn.RotaryPositions(6), (ones(2, 3, 1, 4),), errors.ShapeError, 'dims must be even[\\s\\S]*<= 4\n  got: 6'),
        (nn.RotaryPositions(), (ones(2, 3, 1, 4, dtype='int32'),), errors.DTypeError, 'int32'),
    ],
)
def test_wrong_inputs(layer, inputs, error, match):
    with pytest.raises(error, match=match):
        layer.init(0, *inputs)


@pytest.mark.parametrize(
    'call',
    [
        lambda: nn.SinusoidalPositions(0.5),
        lambda: nn.SinusoidalPositions(True),
        lambda: nn.RotaryPositions(0),
        lambda: nn.RotaryPositions(base='10000'),
        lambda: nn.RotaryPositions(base=float('nan')),
        lambda: nn.RotaryPositions(base=float('inf')),
        lambda: nn.LearnedPositions(0),
        lambda: nn.LearnedPositions(3, in_units=-1),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(errors.ArgumentError):
        call()
