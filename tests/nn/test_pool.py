"""Pooling against NumPy in float64; ties, empty windows, numbers that are none, half precision."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluonjax import errors, nn

MAX = {1: nn.MaxPool1D, 2: nn.MaxPool2D, 3: nn.MaxPool3D}
AVG = {1: nn.AvgPool1D, 2: nn.AvgPool2D, 3: nn.AvgPool3D}
GLOBAL_MAX = {1: nn.GlobalMaxPool1D, 2: nn.GlobalMaxPool2D, 3: nn.GlobalMaxPool3D}
GLOBAL_AVG = {1: nn.GlobalAvgPool1D, 2: nn.GlobalAvgPool2D, 3: nn.GlobalAvgPool3D}
LAST = {1: 'NWC', 2: 'NHWC', 3: 'NDHWC'}


def windows(size, window, stride, padding, ceil_mode):
    """The (start, end) of one axis; both may lie outside."""
    free = size + 2 * padding - window
    count = (int(np.ceil(free / stride)) if ceil_mode else free // stride) + 1
    return [(i * stride - padding, i * stride - padding + window) for i in range(count)]


def pooled(x, size, strides, padding, ceil_mode, include):
    """(largest, mean) of each window, channels first."""
    axes = [windows(*arguments, ceil_mode) for arguments in zip(x.shape[2:], size, strides, padding, strict=True)]
    largest = np.full((*x.shape[:2], *map(len, axes)), np.finfo('float64').min)
    mean = np.zeros(largest.shape)
    for place in itertools.product(*(range(len(axis)) for axis in axes)):
        spans = [axis[i] for axis, i in zip(axes, place, strict=True)]
        held = x[(..., *(slice(max(a, 0), max(b, 0)) for a, b in spans))].reshape(*x.shape[:2], -1)
        if held.size:
            bounds = [(-p, n + p) if include else (0, n) for p, n in zip(padding, x.shape[2:], strict=True)]
            count = np.prod([min(b, high) - max(a, low) for (a, b), (low, high) in zip(spans, bounds, strict=True)])
            largest[(..., *place)] = held.max(-1)
            mean[(..., *place)] = held.sum(-1) / count
    return largest, mean


@st.composite
def arguments(draw):
    rank = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    size, strides, padding = per_axis(1, 3), per_axis(1, 4), per_axis(0, 3)
    sizes = [max(1, s - 2 * p) + draw(st.integers(0, 4)) for s, p in zip(size, padding, strict=True)]
    return rank, size, strides, padding, draw(st.booleans()), draw(st.booleans()), (2, 2, *sizes)


@pytest.mark.parametrize('last', [False, True], ids=['channels first', 'channels last'])
def test_numpy(last):
    @settings(max_examples=20, deadline=None)
    @given(arguments(), st.integers(0, 2**32 - 1))
    def check(case, seed):
        rank, size, strides, padding, ceil_mode, include, shape = case
        x = np.random.RandomState(seed).standard_normal(shape)
        options = {'ceil_mode': ceil_mode, **({'layout': LAST[rank]} if last else {})}
        given = np.moveaxis(x, 1, -1) if last else x
        with jax.enable_x64(True):
            largest = MAX[rank](size, strides, padding, **options)
            mean = AVG[rank](size, strides, padding, count_include_pad=include, **options)
            ours = jax.jit(lambda x: (largest.apply({}, x), mean.apply({}, x)))(given)
        for y, expected in zip(ours, pooled(x, size, strides, padding, ceil_mode, include), strict=True):
            y = np.moveaxis(y, -1, 1) if last else y
            np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)

    check()


@pytest.mark.parametrize('last', [False, True], ids=['channels first', 'channels last'])
@pytest.mark.parametrize('rank', [1, 2, 3])
def test_global(rank, last, random):
    x = random.standard_normal((2, 3, 2, 4, 3)[: rank + 2]).astype('float32')
    layout = {'layout': LAST[rank]} if last else {}
    axes = tuple(range(1, rank + 1) if last else range(2, rank + 2))
    np.testing.assert_array_equal(GLOBAL_MAX[rank](**layout).apply({}, x), x.max(axes, keepdims=True))
    np.testing.assert_allclose(
        GLOBAL_AVG[rank](**layout).apply({}, x), x.astype('float64').mean(axes, keepdims=True), rtol=2e-6, atol=1e-7
    )


def test_the_first_of_equals_has_the_gradient():
    # MXNet's gradients of ties are in the golden files; here, in forward mode too, for windows and for all at once.
    x = jnp.asarray([[[1.0, 2.0, 2.0, 2.0]]])
    along = jnp.asarray([[[1.0, 10.0, 100.0, 1000.0]]])
    for layer, gradient, slope in [
        (nn.MaxPool1D(3, 1), [0, 2, 0, 0], [10, 10]),
        (nn.GlobalMaxPool1D(), [0, 1, 0, 0], [10]),
    ]:
        np.testing.assert_array_equal(jax.grad(lambda x, f=layer: f.apply({}, x).sum())(x)[0, 0], gradient)
        np.testing.assert_array_equal(jax.jvp(lambda x, f=layer: f.apply({}, x), (x,), (along,))[1][0, 0], slope)


@pytest.mark.parametrize('layer', [nn.MaxPool2D(3, 2, 1), nn.GlobalMaxPool2D('NHWC')], ids=repr)
def test_derivatives_agree(layer, random):
    x = jnp.asarray(random.standard_normal((2, 4, 5, 3)).astype('float32'))

    def squares(x):
        return (layer.apply({}, x) ** 3).sum()

    forward, reverse = jax.jit(lambda x: (jax.jacfwd(squares)(x), jax.grad(squares)(x)))(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-6)
    v = jnp.ones_like(x)
    over = jax.jit(lambda x: jax.jvp(jax.grad(squares), (x,), (v,))[1])(x)
    under = jax.jit(jax.grad(lambda x: (jax.grad(squares)(x) * v).sum()))(x)
    np.testing.assert_allclose(over, under, rtol=1e-5, atol=1e-6)


def test_windows_beside_the_input():
    # MXNet's AvgPool3D divides 0 by 0 here when it counts no padding, though its AvgPool1D and 2D do not.
    x = jnp.ones((1, 1, 1, 1, 1))
    mean = nn.AvgPool3D(1, 1, 1, count_include_pad=False).apply({}, x)
    assert (float(mean[0, 0, 1, 1, 1]), float(mean.sum())) == (1, 1)
    largest = nn.MaxPool3D(1, 1, 1).apply({}, x)
    assert float(largest[0, 0, 1, 1, 1]) == 1
    assert int((largest == jnp.finfo('float32').min).sum()) == 26
    np.testing.assert_array_equal(jax.grad(lambda x: nn.MaxPool3D(1, 1, 1).apply({}, x).sum())(x), x)


def test_what_is_no_number():
    x = jnp.asarray([[[1.0, np.nan, -np.inf, -np.inf, np.inf, 0.0]]])
    np.testing.assert_array_equal(nn.MaxPool1D(2).apply({}, x)[0, 0], [np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(nn.AvgPool1D(2).apply({}, x)[0, 0], [np.nan, -np.inf, np.inf])
    np.testing.assert_array_equal(nn.GlobalMaxPool1D().apply({}, x)[0, 0], [np.nan])


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision_sums_in_single(dtype):
    x = jnp.full((1, 1, 64, 64), 20, dtype)  # in half precision the sum stops at 256 steps, or overflows
    for layer in (nn.AvgPool2D(64), nn.GlobalAvgPool2D()):
        y = layer.apply({}, x)
        assert (y.dtype, float(y[0, 0, 0, 0])) == (dtype, 20)
    y = nn.MaxPool2D(64, padding=1).apply({}, x)
    assert (y.dtype, float(y[0, 0, 0, 0])) == (dtype, 20)


@pytest.mark.parametrize('dtype', ['int8', 'uint8', 'int32', 'uint32'])
def test_integers(dtype):
    top = np.iinfo(dtype).max
    x = np.array([[[3, top, 0, 1, 2]]], dtype)
    y = nn.MaxPool1D(2, 2, 2, ceil_mode=True).apply({}, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, 0], [np.iinfo(dtype).min, top, 1, 2, np.iinfo(dtype).min])
    y = jax.jit(jax.vmap(lambda x: nn.GlobalMaxPool1D().apply({}, x)))(x[None])
    assert (y.dtype, y.ravel().tolist()) == (dtype, [top])


@pytest.mark.parametrize('rank', [1, 2, 3])
def test_an_empty_batch_has_a_gradient(rank):
    x = jnp.ones((0, 2, *(3,) * rank))
    for kind in (MAX, AVG, GLOBAL_MAX, GLOBAL_AVG):
        layer = kind[rank]()
        assert layer.apply({}, x).shape == (0, 2, *(1,) * rank)
        assert jax.grad(lambda x, f=layer: f.apply({}, x).sum())(x).shape == x.shape


def test_export_with_symbolic_sizes(random):
    layers = [
        nn.MaxPool2D(),
        nn.MaxPool2D(3, 2, 1, ceil_mode=True),
        nn.AvgPool2D(3, 2, 1),
        nn.AvgPool2D(3, 2, 1, ceil_mode=True, count_include_pad=False),
        nn.GlobalMaxPool2D(),
        nn.GlobalAvgPool2D(),
    ]

    @jax.jit
    def outputs_and_gradients(x):
        outputs, transpose = jax.vjp(
            lambda *xs: [layer.apply({}, x) for layer, x in zip(layers, xs, strict=True)], *[x] * 6
        )
        return outputs, transpose(outputs)

    shape = jax.export.symbolic_shape('n, 2, h, w')
    exported = jax.export.export(outputs_and_gradients)(jax.ShapeDtypeStruct(shape, 'float32'))
    for sizes in ((3, 2, 8, 9), (1, 2, 5, 4)):
        x = random.standard_normal(sizes).astype('float32')
        got, expected = exported.call(x), outputs_and_gradients(x)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), got, expected)


def test_an_order_of_arguments_as_odd_as_mxnets():
    x = jnp.arange(10.0).reshape(1, 5, 2)
    np.testing.assert_array_equal(nn.AvgPool1D(2, 2, 0, 'NWC', True).apply({}, x)[0, :, 0], [1, 5, 8])
    volume = x.reshape(1, 5, 1, 1, 2)
    layer = nn.AvgPool3D((2, 1, 1), (2, 1, 1), 0, True, 'NDHWC')
    np.testing.assert_array_equal(layer.apply({}, volume)[0, :, 0, 0, 0], [1, 5, 8])


@pytest.mark.parametrize(
    ('call', 'error', 'message'),
    [
        (lambda: nn.MaxPool1D((2, 2)), errors.ArgumentError, r'pool_size has the wrong length\n  expected: a number'),
        (
            lambda: nn.AvgPool3D(layout='NCHW'),
            errors.ArgumentError,
            "layout must be one of 'NCDHW', 'NDHWC'; got 'NCHW'",
        ),
        (lambda: nn.AvgPool2D(2, -1), errors.ArgumentError, r'strides must be'),
        (
            lambda: nn.MaxPool1D(4, padding=1).apply({}, np.ones((1, 1, 1), 'float32')),
            errors.ShapeError,
            r'larger than the padded input along W\n  expected: a pool_size of at most 3\n  got: 4\n  try: give',
        ),
        (
            lambda: nn.GlobalMaxPool1D().apply({}, np.ones((1, 2, 0), 'float32')),
            errors.ShapeError,
            r'nothing to pool\n  expected: sizes >= 1 along W\n  got: \(1, 2, 0\)',
        ),
        (lambda: nn.MaxPool1D().apply({}, np.ones((1, 1, 2), 'complex64')), errors.DTypeError, 'floating-point input'),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()
