"""Convolution against sums written out in float64; what holds for all arguments; half precision."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluonjax import errors, nn

CONV = {1: nn.Conv1D, 2: nn.Conv2D, 3: nn.Conv3D}
TRANSPOSED = {1: nn.Conv1DTranspose, 2: nn.Conv2DTranspose, 3: nn.Conv3DTranspose}
LAST = {1: 'NWC', 2: 'NHWC', 3: 'NDHWC'}


def meetings(size, kernel, stride, padding, dilation, outputs):
    """(output, tap, input) of one axis wherever a window's tap meets the image."""
    for out, tap in itertools.product(range(outputs), range(kernel)):
        place = out * stride + tap * dilation - padding
        if 0 <= place < size:
            yield out, tap, place


def written_out(x, weight, shape, strides, padding, dilation, groups, transposed):
    """Channels first, one product at a time: a convolution, or where every step goes the other way."""
    y = np.zeros(shape)
    small, image = (x, y) if transposed else (y, x)
    axes = [
        list(meetings(*arguments))
        for arguments in zip(
            image.shape[2:], weight.shape[2:], strides, padding, dilation, small.shape[2:], strict=True
        )
    ]
    few, many = weight.shape[0] // groups, weight.shape[1]  # channels of the small side and of the image in a group
    for group, *places in itertools.product(range(groups), *axes):
        out, tap, place = zip(*places, strict=True)
        here = (slice(None), slice(group * few, (group + 1) * few), *out)
        there = (slice(None), slice(group * many, (group + 1) * many), *place)
        matrix = weight[(slice(group * few, (group + 1) * few), slice(None), *tap)]
        if transposed:
            y[there] += x[here] @ matrix
        else:
            y[here] += x[there] @ matrix.T
    return y


@st.composite
def arguments(draw, transposed):
    """A layer's arguments, and the shape of an input that it takes, channels first."""
    rank = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731
    groups = draw(st.integers(1, 3))
    channels, in_channels = (groups * draw(st.integers(1, 2)) for _ in range(2))
    kernel, strides, dilation = per_axis(1, 3), per_axis(1, 3), per_axis(1, 3)
    covered = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = per_axis(0, 3)
    options = {'strides': strides, 'padding': padding, 'dilation': dilation, 'groups': groups, 'use_bias': False}
    if transposed:
        options['output_padding'] = tuple(draw(st.integers(0, stride - 1)) for stride in strides)
        least = [
            max(1, -(-(2 * p + 1 - c - o) // s) + 1)
            for p, c, o, s in zip(padding, covered, options['output_padding'], strides, strict=True)
        ]
    else:
        least = [max(1, c - 2 * p) for c, p in zip(covered, padding, strict=True)]
    sizes = [low + draw(st.integers(0, 2)) for low in least]
    return rank, (channels, kernel), options, (draw(st.integers(1, 2)), in_channels, *sizes)


def moved(array, last):
    """Channels moved last, or as they are."""
    return np.moveaxis(array, 1, -1) if last else array


@pytest.mark.parametrize('last', [False, True], ids=['channels first', 'channels last'])
@pytest.mark.parametrize('transposed', [False, True], ids=['convolution', 'transposed'])
def test_sums_written_out(transposed, last):
    layers = TRANSPOSED if transposed else CONV

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(arguments(transposed), st.integers(0, 2**32 - 1))
    def check(case, seed):
        rank, args, options, shape = case
        random = np.random.RandomState(seed)
        layer = layers[rank](*args, **options, **({'layout': LAST[rank]} if last else {}))
        plain = layers[rank](*args, **options)
        weight = random.standard_normal(plain.specs(jax.ShapeDtypeStruct(shape, 'float32'))['weight'].shape)
        x = random.standard_normal(shape)
        with jax.enable_x64(True):
            y = jax.jit(layer.cast('float64').apply)({'weight': jnp.asarray(moved(weight, last))}, moved(x, last))
        kernel, channels = np.array(args[1]), args[0]
        strides, padding, dilation = (np.array(options[name]) for name in ('strides', 'padding', 'dilation'))
        if transposed:
            expected = (np.array(shape[2:]) - 1) * strides - 2 * padding + dilation * (kernel - 1) + 1
            expected = expected + options['output_padding']
        else:
            expected = (np.array(shape[2:]) + 2 * padding - dilation * (kernel - 1) - 1) // strides + 1
        assert (y.shape[1:-1] if last else y.shape[2:]) == tuple(expected)
        sums = written_out(
            x, weight, (shape[0], channels, *expected), strides, padding, dilation, options['groups'], transposed
        )
        np.testing.assert_allclose(y, moved(sums, last), rtol=1e-12, atol=1e-12)

    check()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(arguments(transposed=True), st.integers(0, 2**32 - 1))
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(case, seed):
    rank, (channels, kernel), options, shape = case
    random = np.random.RandomState(seed)
    transposed = TRANSPOSED[rank](channels, kernel, **options)
    same = {name: value for name, value in options.items() if name != 'output_padding'}
    convolution = CONV[rank](shape[1], kernel, **same)  # from the channels back to the input's
    y = random.standard_normal(shape)
    with jax.enable_x64(True):
        transposed, convolution = transposed.cast('float64'), convolution.cast('float64')
        weight = random.standard_normal(transposed.specs(y)['weight'].shape)
        params = {'weight': jnp.asarray(weight)}
        x = random.standard_normal(jax.eval_shape(transposed.apply, params, y).shape)
        # The weights have the same shape.
        image, back = jax.jit(lambda p, x, y: (transposed.apply(p, y), convolution.apply(p, x)))(params, x, y)
    assert back.shape == y.shape
    np.testing.assert_allclose(np.vdot(image, x), np.vdot(back, y), rtol=1e-9, atol=1e-9)


def test_shapes_of_weights():
    x = jax.ShapeDtypeStruct((1, 4, 5, 5), 'float32')
    assert nn.Conv2D(6, (2, 3), groups=2).specs(x)['weight'].shape == (6, 2, 2, 3)
    assert nn.Conv2DTranspose(6, (2, 3), groups=2).specs(x)['weight'].shape == (4, 3, 2, 3)
    x = jax.ShapeDtypeStruct((1, 5, 5, 4), 'float32')
    assert nn.Conv2D(6, (2, 3), groups=2, layout='NHWC').specs(x)['weight'].shape == (6, 2, 3, 2)
    assert nn.Conv2DTranspose(6, (2, 3), groups=2, layout='NHWC').specs(x)['weight'].shape == (4, 2, 3, 3)


@pytest.mark.parametrize('layer', [nn.Conv2D, nn.Conv2DTranspose])
def test_forward_mode_agrees_with_reverse_mode(layer, random):
    layer = layer(4, 3, 2, 1, groups=2)
    x = random.standard_normal((2, 4, 5, 4)).astype('float32')
    params = layer.init(0, x)
    along = jax.tree.map(lambda v: random.standard_normal(v.shape).astype('float32'), (params, x))

    def total(params, x):
        return (layer.apply(params, x) ** 2).sum()

    @jax.jit
    def both(params, x, along):
        slope = jax.jvp(total, (params, x), along)[1]
        gradients = jax.grad(total, (0, 1))(params, x)
        return slope, sum(jax.tree.leaves(jax.tree.map(lambda g, a: (g * a).sum(), gradients, along)))

    slope, product = both(params, x, along)
    np.testing.assert_allclose(slope, product, rtol=1e-5)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('layer', [nn.Conv2D, nn.Conv2DTranspose])
def test_half_precision_rounds_once(layer, dtype, random):
    """Many products of half precision are added up in single precision."""
    layer = layer(2, 3, use_bias=False)
    x = jnp.asarray(random.standard_normal((1, 512, 6, 6)), dtype)
    params = jax.tree.map(lambda v: jnp.asarray(random.standard_normal(v.shape), dtype), layer.init(0, x))
    half = layer.cast(dtype).apply(params, x)
    wide = layer.apply(jax.tree.map(lambda v: v.astype('float32'), params), x.astype('float32'))
    assert half.dtype == dtype
    np.testing.assert_allclose(half.astype('float32'), wide, rtol=2 * jnp.finfo(dtype).eps, atol=1e-2)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@pytest.mark.parametrize('layer', [nn.Conv2D(3, 3, padding=1), nn.Conv2DTranspose(3, 3, padding=1)])
def test_half_precision_sums_gradients_in_single(layer, dtype, random):
    """Each bias has a gradient from 8,192 positions: in half precision their sum would stop growing at 256."""
    x = jnp.asarray(random.standard_normal((8, 2, 32, 32)), dtype)
    cotangent = jnp.asarray(random.uniform(0, 2**-6, (8, 3, 32, 32)), dtype)
    half = layer.cast(dtype)
    params = half.init(0, x)
    gradients = jax.jit(lambda p: jax.vjp(lambda p: half.apply(p, x), p)[1](cotangent)[0])(params)
    with jax.enable_x64(True):
        wide = layer.cast('float64')
        x, cotangent, params = jax.tree.map(lambda v: jnp.asarray(np.asarray(v, 'float64')), (x, cotangent, params))
        expected = jax.vjp(lambda p: wide.apply(p, x), params)[1](cotangent)[0]
    for name, gradient in gradients.items():
        assert gradient.dtype == dtype
        largest = np.abs(expected[name]).max()
        tolerance = 2 * float(jnp.finfo(dtype).eps)
        np.testing.assert_allclose(
            np.asarray(gradient, 'float64'), expected[name], rtol=tolerance, atol=tolerance * largest
        )


SYMBOLIC = {
    'convolution': nn.Conv2D(3, 3, padding=1, in_channels=2, activation='relu'),
    'strides': nn.Conv2D(3, 3, (2, 3), 1, in_channels=2),
    'depthwise': nn.Conv2D(2, 3, 2, groups=2, in_channels=2),
    'transposed': nn.Conv2DTranspose(3, 4, 2, 1, in_channels=2),
    'time': nn.Conv1D(3, 3, 2, 2, 2, in_channels=2),
}


def test_export_with_symbolic_sizes(random):
    params = {name: layer.init(0) for name, layer in SYMBOLIC.items()}
    shape = jax.export.symbolic_shape('n, 2, h, w')  # h may be 1, where a kernel of 3 has no output

    @jax.jit
    def outputs_and_gradients(params, x):
        def transposed(name, x):
            y, transpose = jax.vjp(SYMBOLIC[name].apply, params[name], x)
            return y, transpose(y)

        return {name: transposed(name, x[..., 0] if name == 'time' else x) for name in SYMBOLIC}

    exported = jax.export.export(outputs_and_gradients, platforms=['cpu', 'tpu'])(
        params, jax.ShapeDtypeStruct(shape, 'float32')
    )
    x = random.standard_normal((3, 2, 8, 9)).astype('float32')
    got, expected = exported.call(params, x), outputs_and_gradients(params, x)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), got, expected)


@pytest.mark.parametrize('layer', [nn.Conv2D(3, 3, padding=1), nn.Conv2D(3, 1), nn.Conv2D(3, 1, groups=3)])
def test_no_width(layer):
    x = jnp.ones((2, 3, 4, 0))
    with pytest.raises(errors.ShapeError, match='larger than the padded input along W'):
        layer.init(0, x)
    assert nn.Conv2D(3, 1, padding=1).apply({'weight': jnp.ones((3, 3, 1, 1)), 'bias': jnp.ones(3)}, x).shape[3] == 2


def test_promotion_of_dtypes():
    x = jnp.ones((1, 2, 3, 3), 'bfloat16')
    for layer in (nn.Conv2D(2, 2), nn.Conv2DTranspose(2, 2)):
        assert layer.apply(layer.init(0, x), x).dtype == 'float32'
        assert layer.cast('bfloat16').apply(layer.cast('bfloat16').init(0, x), x).dtype == 'bfloat16'


@pytest.mark.parametrize('rank', [1, 2, 3])
def test_an_empty_batch_has_gradients(rank):
    for layer in (CONV[rank](2, 2), TRANSPOSED[rank](2, 2, 2, 0, 1)):
        x = np.ones((0, 3, *(3,) * rank), 'float32')
        params = layer.init(0, x)
        to_params, to_x = jax.grad(lambda p, x, layer=layer: layer.apply(p, x).sum(), (0, 1))(params, jnp.asarray(x))
        assert to_x.shape == x.shape
        assert not any(value.any() for value in jax.tree.leaves(to_params))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (
            lambda: nn.Conv2DTranspose(2, 3, 2, output_padding=(1, 2)),
            r'output_padding is too large\n  expected: less than the strides \(2, 2\)\n  got: \(1, 2\)\n  try: a',
        ),
        (lambda: nn.Conv1DTranspose(2, 3, output_padding=1), 'output_padding is too large'),
        (lambda: nn.Conv2D(2, 3, layout='NCDHW'), "layout must be one of 'NCHW', 'NHWC'; got 'NCDHW'"),
        (lambda: nn.Conv3D(4, 3, groups=3), r'groups do not divide channels\n  expected: a divisor of 4\n  got: 3'),
        (lambda: nn.Conv1DTranspose(4, 3, groups=2, in_channels=3), 'groups do not divide in_channels'),
        (lambda: nn.Conv3D(2, (3, 3)), r'kernel_size has the wrong length\n  expected: a number or 3 numbers'),
    ],
)
def test_messages(call, message):
    with pytest.raises(errors.ArgumentError, match=message):
        call()


def test_repr():
    layer = nn.Conv2DTranspose(3, 2, strides=2, output_padding=1)
    assert repr(layer) == 'Conv2DTranspose(3, (2, 2), strides=(2, 2), output_padding=(1, 1))'
