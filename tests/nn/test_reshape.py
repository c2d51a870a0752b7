"""Layers that move values: against NumPy, and what they refuse. MXNet's numbers are in test_layers.py."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluonjax import errors, nn

SHUFFLES = {1: nn.PixelShuffle1D, 2: nn.PixelShuffle2D, 3: nn.PixelShuffle3D}


@st.composite
def shuffles(draw):
    rank = draw(st.integers(1, 3))
    factors = draw(st.tuples(*[st.integers(1, 3)] * rank))
    return factors, draw(st.integers(0, 2)), draw(st.integers(1, 2)), draw(st.tuples(*[st.integers(1, 3)] * rank))


@settings(max_examples=20, deadline=None)
@given(shuffles())
def test_pixelshuffle_puts_each_channel_at_its_offset(case):
    factors, batch, channels, sizes = case
    block = np.prod(factors)
    shape = (batch, channels * block, *sizes)
    x = np.arange(np.prod(shape), dtype='int32').reshape(shape)
    y = np.asarray(SHUFFLES[len(factors)](factors).apply({}, x))
    assert y.shape == (batch, channels, *np.multiply(sizes, factors))
    for i, offsets in enumerate(np.ndindex(*factors)):
        strided = tuple(slice(offset, None, factor) for offset, factor in zip(offsets, factors, strict=True))
        np.testing.assert_array_equal(y[(slice(None), slice(None), *strided)], x[:, i::block])


def test_pixelshuffle_with_one_factor():
    x = np.arange(32, dtype='float32').reshape(1, 8, 2, 2)
    np.testing.assert_array_equal(nn.PixelShuffle2D(2).apply({}, x), nn.PixelShuffle2D((2, 2)).apply({}, x))


@settings(max_examples=15, deadline=None)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.data())
def test_reflectionpad2d_is_numpys(sizes, data):
    height, width = sizes
    sides = [data.draw(st.integers(0, most - 1)) for most in (height, height, width, width)]
    x = np.arange(2 * height * width, dtype='float32').reshape(1, 2, height, width)
    expected = np.pad(x, [(0, 0), (0, 0), sides[:2], sides[2:]], mode='reflect')
    np.testing.assert_array_equal(nn.ReflectionPad2D((0, 0, 0, 0, *sides)).apply({}, x), expected)


def test_reflectionpad2d_repeats_no_edge():
    x = np.array([[[[1, 2, 3]] * 3]], 'float32')
    np.testing.assert_array_equal(nn.ReflectionPad2D(2).apply({}, x)[0, 0, 0], [3, 2, 1, 2, 3, 2, 1])


@pytest.mark.parametrize(
    ('make', 'match'),
    [
        (lambda: nn.PixelShuffle1D(0), 'factor must be an int >= 1, got 0'),
        (lambda: nn.PixelShuffle2D(1.5), 'factor'),
        (lambda: nn.PixelShuffle2D((2, 2, 2)), 'expected: a number or 2 numbers'),
        (lambda: nn.PixelShuffle3D((2, 2)), 'expected: a number or 3 numbers'),
        (lambda: nn.ReflectionPad2D(-1), 'padding must be an int >= 0, got -1'),
        (lambda: nn.ReflectionPad2D((1, 1)), 'padding has the wrong length\n  expected: a number or 8 numbers'),
        (
            lambda: nn.ReflectionPad2D((0, 0, 1, 0, 0, 0, 0, 0)),
            'height and width only\n  expected: 0 as the',
        ),
        (
            lambda: nn.HybridLambda(lambda F, x: F.relu(x)),
            r"takes Gluon 1's F[\s\S]*try: drop F, and use jax.numpy and jax.nn",
        ),
    ],
)
def test_wrong_arguments(make, match):
    with pytest.raises(errors.ArgumentError, match=match):
        make()


@pytest.mark.parametrize(
    ('layer', 'shape', 'match'),
    [
        (nn.PixelShuffle1D(2), (1, 3, 4), 'divide the channels\n  expected: a multiple of 2 channels\n  got: 3'),
        (nn.PixelShuffle2D(2), (1, 6, 4, 4), 'a multiple of 4 channels'),
        (nn.PixelShuffle2D(2), (1, 4, 4), r'expected: 4 \(NCHW\)\n  got: \(1, 4, 4\)'),
        (nn.PixelShuffle3D(2), (1, 8, 4, 4), r'expected: 5 \(NCDHW\)'),
        (nn.ReflectionPad2D(2), (1, 1, 2, 3), 'as large as the input along H\n  expected: a padding below 2\n  got: 2'),
        (nn.ReflectionPad2D((0, 0, 0, 0, 0, 0, 0, 3)), (1, 1, 2, 3), 'along W\n  expected: a padding below 3'),
        (nn.ReflectionPad2D(1), (1, 3, 3), r'expected: 4 \(NCHW\)'),
    ],
)
def test_wrong_input(layer, shape, match):
    with pytest.raises(errors.ShapeError, match=match):
        jax.eval_shape(lambda x: layer.apply({}, x), jax.ShapeDtypeStruct(shape, 'float32'))


def test_lambda_under_its_other_name():
    assert nn.HybridLambda is nn.Lambda
    layer = pickle.loads(pickle.dumps(nn.HybridLambda('relu')))
    np.testing.assert_array_equal(layer.apply({}, np.array([-1.0, 2.0], 'float32')), [0, 2])
    assert nn.Lambda(jnp.add).apply({}, jnp.ones(2), jnp.ones(2)).tolist() == [2, 2]
    assert nn.Lambda(lambda *arrays: arrays[0]).apply({}, jnp.ones(2)).tolist() == [1, 1]


def test_concurrent_is_concatenate():
    assert nn.Concurrent is nn.HybridConcurrent is nn.Concatenate is nn.HybridConcatenate
    net = nn.HybridConcurrent(axis=1)
    net.add(nn.Identity(), nn.Dense(2, use_bias=False, weight_initializer='ones'))
    net.initialize()
    np.testing.assert_array_equal(net(np.array([[1.0, 2.0]], 'float32')), [[1, 2, 3, 3]])
