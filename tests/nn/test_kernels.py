"""Every algorithm for a convolution or a maximum of windows gives XLA's numbers, under every transformation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from gluonjax.nn.convolutions import (
    GRADIENTS,
    Geometry,
    by_im2col,
    by_image_products,
    by_row_im2col,
    by_shift_and_add,
    by_transposed_im2col,
    by_xla,
)
from gluonjax.nn.kernels import (
    Algorithms,
    Windows,
    choose_algorithms,
    convolve,
    convolve_by,
    convolve_transposed,
    max_in_windows,
    max_with_positions,
)

CHANNELS_FIRST = (by_image_products, by_transposed_im2col)
DENSE = (by_im2col, by_row_im2col, *CHANNELS_FIRST)


def geometry(layout, strides=1, padding=0, dilation=1, groups=1):
    rank = len(layout) - 2
    strides, padding, dilation = (
        value if isinstance(value, tuple) else (value,) * rank for value in (strides, padding, dilation)
    )
    return Geometry(strides, padding, dilation, groups, layout)


def in_layout(layout, first, channels, sizes):
    return (first, channels, *sizes) if layout[1] == 'C' else (first, *sizes, channels)


def arrays(layout, batch, channels, outputs, sizes, kernel, groups=1, dtype='float32'):
    random = np.random.default_rng(0)
    x = random.normal(size=in_layout(layout, batch, channels, sizes))
    weight = random.normal(size=in_layout(layout, outputs, channels // groups, kernel))
    return jnp.array(x, dtype), jnp.array(weight, dtype)


def close(ours, theirs, tolerance=1e-5):
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        mine, other = np.asarray(mine, 'float64'), np.asarray(other, 'float64')
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance * np.abs(other).max(initial=1))


def everything(f, x, weight):
    """Output, tangents, gradients, and derivatives of gradients, all with directions that are not constant."""

    def loss(x, weight):
        y = f(x, weight)
        return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum() + (y**2).sum() / 2

    def gradients(x, weight):
        return jax.grad(loss, (0, 1))(x, weight)

    tangents = jnp.flip(x), jnp.flip(weight)
    second = jax.jvp(gradients, (x, weight), tangents)
    return jax.jvp(f, (x, weight), tangents), second, jax.grad(lambda x: loss(x, weight))(x)


def check(algorithms, where, x, weight):
    ours, theirs = (
        jax.jit(functools.partial(everything, f))(x, weight)
        for f in (
            lambda x, weight: convolve_by(algorithms, where, x, weight),
            lambda x, weight: by_xla(x, weight, where),
        )
    )
    close(ours, theirs)


@st.composite
def convolutions(draw, depthwise):
    rank = draw(st.integers(1, 3))
    spatial = 'DHW'[-rank:]
    layout = draw(st.sampled_from([f'NC{spatial}', f'N{spatial}C']))
    numbers = [draw(st.tuples(*[st.integers(*bounds)] * rank)) for bounds in ((1, 3), (1, 3), (0, 2), (1, 2))]
    kernel, strides, padding, dilation = numbers
    sizes = tuple(
        max(1, (size - 1) * step + 1 - 2 * pad) + draw(st.integers(0, 4))
        for size, step, pad in zip(kernel, dilation, padding, strict=True)
    )
    channels, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    groups = channels if depthwise else 1
    outputs = channels if depthwise else outputs
    where = geometry(layout, strides, padding, dilation, groups)
    return where, *arrays(layout, draw(st.integers(0, 2)), channels, outputs, sizes, kernel, groups)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(convolutions(depthwise=False), st.sampled_from(DENSE))
def test_im2col_gives_the_numbers_of_xla(convolution, algorithm):
    if algorithm in CHANNELS_FIRST and convolution[0].layout[1] != 'C':
        algorithm = by_im2col
    check(Algorithms(algorithm, algorithm, algorithm), *convolution)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(convolutions(depthwise=True))
def test_shifts_give_the_numbers_of_xla(convolution):
    check(Algorithms(*(by_shift_and_add,) * 3), *convolution)


@pytest.mark.parametrize(
    'algorithms',
    [
        Algorithms(by_im2col, by_xla, by_xla),
        Algorithms(by_xla, by_row_im2col, by_xla),
        Algorithms(by_xla, by_xla, by_im2col),
    ],
)
def test_each_derivative_has_an_algorithm(algorithms):
    check(algorithms, geometry('NCHW', 2, 1), *arrays('NCHW', 2, 3, 4, (5, 6), (3, 2)))


@pytest.mark.parametrize(
    ('algorithm', 'layout', 'channels', 'outputs', 'left'),
    [
        (by_image_products, 'NCHW', 5, 2, (2, 5, 1, 3, 4)),
        (by_image_products, 'NCHW', 2, 5, (2, 5, 3, 4)),
        (by_im2col, 'NHWC', 2, 5, (2, 3, 4, 1, 2)),
        (by_im2col, 'NHWC', 5, 2, (2, 2, 3, 4)),
    ],
)
def test_the_order_of_factors_for_the_gradient_of_the_weight(algorithm, layout, channels, outputs, left):
    where, (x, weight) = geometry(layout), arrays(layout, 2, channels, outputs, (3, 4), (1, 1))
    check(Algorithms(algorithm, algorithm, algorithm), where, x, weight)
    gradient = functools.partial(GRADIENTS[algorithm].weight, geometry=where, shape=weight.shape)
    equations = jax.make_jaxpr(gradient)(x, by_xla(x, weight, where)).eqns
    assert next(e for e in equations if e.primitive is lax.dot_general_p).invars[0].aval.shape == left


def test_the_gradient_of_the_input_by_image_transposes_nothing():
    where, (x, weight) = geometry('NCHW'), arrays('NCHW', 2, 3, 4, (3, 4), (1, 1))
    gradient = functools.partial(GRADIENTS[by_image_products].input, geometry=where, shape=x.shape)
    equations = jax.make_jaxpr(gradient)(by_xla(x, weight, where), weight).eqns
    assert lax.transpose_p not in [equation.primitive for equation in equations]


CASES = {
    'im2col': (Algorithms(*(by_im2col,) * 3), geometry('NCHW', 2, 1), arrays('NCHW', 2, 3, 4, (5, 6), (3, 3))),
    'image products': (
        Algorithms(by_image_products, by_image_products, by_transposed_im2col),
        geometry('NCHW', 2, 1),
        arrays('NCHW', 2, 3, 4, (5, 6), (3, 3)),
    ),
    'row im2col': (
        Algorithms(*(by_row_im2col,) * 3),
        geometry('NCHW', (1, 2), 1),
        arrays('NCHW', 2, 3, 4, (5, 6), (3, 2)),
    ),
    'shift and add': (
        Algorithms(*(by_shift_and_add,) * 3),
        geometry('NCHW', 1, 1, 1, 3),
        arrays('NCHW', 2, 3, 3, (5, 6), (3, 3), 3),
    ),
}


@pytest.mark.parametrize('case', CASES)
@pytest.mark.parametrize('axes', [(0, None), (None, 0), (1, 0)])
def test_vmap(case, axes):
    algorithms, where, (x, weight) = CASES[case]
    xs, weights = (
        array if axis is None else jnp.stack([array, 2 * array + 1, -array], axis)
        for array, axis in zip((x, weight), axes, strict=True)
    )

    def gradients(f, x, weight):
        return f(x, weight), jax.grad(lambda *arrays: (f(*arrays) ** 2).sum(), (0, 1))(x, weight)

    ours, theirs = (
        jax.jit(jax.vmap(functools.partial(gradients, f), axes))(xs, weights)
        for f in (
            lambda x, weight: convolve_by(algorithms, where, x, weight),
            lambda x, weight: by_xla(x, weight, where),
        )
    )
    close(ours, theirs)


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float64'])
@pytest.mark.parametrize('case', CASES)
def test_dtypes_round_once(case, dtype):
    algorithms, where, (x, weight) = CASES[case]

    def gradients(f, x, weight):
        y, transposed = jax.vjp(f, x, weight)
        return y, *transposed(jnp.cos(y))

    with jax.enable_x64(True):
        x, weight = x.astype(dtype), weight.astype(dtype)
        wide = x.astype('float64'), weight.astype('float64')
        exact = gradients(lambda x, weight: by_xla(x, weight, where), *wide)
        ours = jax.jit(functools.partial(gradients, functools.partial(convolve_by, algorithms, where)))(x, weight)
        assert {str(array.dtype) for array in ours} == {dtype}
        close([array.astype('float64') for array in ours], exact, max(4 * float(jnp.finfo(dtype).eps), 1e-13))


IM2COL = Algorithms(by_im2col, by_im2col, by_im2col)
TRANSPOSED = Algorithms(by_transposed_im2col, by_im2col, by_transposed_im2col)
IMAGES = Algorithms(by_image_products, by_image_products, by_image_products)
ROW_IM2COL = Algorithms(by_row_im2col, by_row_im2col, by_row_im2col)
ROW_GRADIENTS = Algorithms(by_xla, by_row_im2col, by_row_im2col)
SHIFTS = Algorithms(*(by_shift_and_add,) * 3)


@pytest.mark.parametrize(('algorithms', 'x', 'weight', 'where'), [
    (Algorithms(), (8, 64, 32, 32), (64, 64, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (8, 32, 32, 64), (64, 3, 3, 64), geometry('NHWC', 1, 1)),
    (TRANSPOSED, (8, 512, 4, 4), (512, 512, 3, 3), geometry('NCHW', 1, 1)),
    (IM2COL, (8, 4, 4, 512), (512, 3, 3, 512), geometry('NHWC', 1, 1)),
    (TRANSPOSED, (8, 256, 8, 8), (512, 256, 3, 3), geometry('NCHW', 2, 1)),
    (TRANSPOSED, (4, 512, 7, 7), (512, 512, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (2, 8, 6, 6), (320, 8, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (6, 12, 6, 6), (6, 12, 1, 1), geometry('NCHW')),
    (Algorithms(), (6, 96, 60, 60), (6, 96, 7, 7), geometry('NCHW')),
    (Algorithms(), (6, 3, 3, 3), (96, 3, 3, 3), geometry('NCHW', 2, 1)),
    (Algorithms(), (2, 64, 4, 4), (64, 64, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (2, 128, 8, 8), (128, 128, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (8, 256, 8, 8), (256, 256, 3, 3), geometry('NCHW', 1, 1)),
    (IMAGES, (4, 64, 56, 56), (256, 64, 1, 1), geometry('NCHW')),
    (IMAGES, (4, 64, 112, 112), (256, 64, 1, 1), geometry('NCHW', 2)),
    (IMAGES, (8, 64, 32, 32), (128, 64, 1, 1), geometry('NCHW', 2)),
    (IMAGES, (4, 128, 28, 28), (512, 128, 1, 1), geometry('NCHW')),
    (IMAGES._replace(input_gradient=by_im2col), (4, 256, 14, 14), (1024, 256, 1, 1), geometry('NCHW')),
    (Algorithms(by_xla, by_im2col, by_image_products), (32, 128, 7, 7), (128, 128, 1, 1), geometry('NCHW')),
    (Algorithms(by_xla, by_im2col, by_xla), (64, 64, 3, 3), (64, 64, 1, 1), geometry('NCHW')),
    (IM2COL, (64, 128, 2, 2), (128, 128, 1, 1), geometry('NCHW')),
    (IM2COL, (4, 1024, 7, 7), (1024, 1024, 1, 1), geometry('NCHW')),
    (IMAGES._replace(output=by_im2col), (1, 64, 56, 56), (256, 64, 1, 1), geometry('NCHW')),
    (IM2COL._replace(weight_gradient=by_image_products), (1, 256, 14, 14), (1024, 256, 1, 1), geometry('NCHW')),
    (IM2COL._replace(input_gradient=by_xla), (1, 2048, 7, 7), (512, 2048, 1, 1), geometry('NCHW')),
    (IM2COL, (1, 512, 7, 7), (512, 512, 1, 1), geometry('NCHW')),
    (Algorithms(), (16, 1000, 32), (100, 1, 32), geometry('NWC')),
    (IM2COL, (4, 56, 56, 64), (256, 1, 1, 64), geometry('NHWC')),
    (ROW_GRADIENTS, (64, 20, 12, 12), (50, 20, 5, 5), geometry('NCHW')),
    (Algorithms(input_gradient=by_row_im2col), (64, 6, 14, 14), (16, 6, 5, 5), geometry('NCHW')),
    (Algorithms(), (64, 20, 30), (50, 20, 5), geometry('NCW', 1, 1)),
    (IMAGES._replace(input_gradient=by_im2col), (64, 20, 30), (50, 20, 1), geometry('NCW', 1, 1)),
    (ROW_IM2COL, (4, 8, 9, 9, 9), (8, 8, 3, 3, 3), geometry('NCDHW', 1, 1)),
    (Algorithms(), (64, 20, 12, 12), (50, 20, 5, 5), geometry('NCHW', 1, 2)),
    (ROW_GRADIENTS, (64, 3, 224, 224), (64, 3, 9, 9), geometry('NCHW', 1, 3)),
    (Algorithms(), (64, 3, 224, 224), (64, 3, 9, 9), geometry('NCHW', 2, 3)),
    (Algorithms(), (8, 64, 32, 32), (64, 64, 3, 3), geometry('NCHW')),
    (Algorithms(input_gradient=by_row_im2col), (8, 32, 14, 14), (64, 32, 3, 3), geometry('NCHW')),
    (Algorithms(), (4, 32, 56, 56), (64, 32, 3, 3), geometry('NCHW')),
    (Algorithms(input_gradient=by_row_im2col), (4, 8, 112, 112), (64, 8, 3, 3), geometry('NCHW')),
    (Algorithms(), (4, 56, 56, 8), (100, 2, 2, 8), geometry('NHWC')),
    (Algorithms(by_image_products), (4, 3, 224, 224), (32, 3, 3, 3), geometry('NCHW', 2, 1)),
    (Algorithms(by_image_products, by_image_products, by_row_im2col), (8, 3, 32, 32), (32, 3, 3, 3), geometry('NCHW')),
    (IMAGES, (64, 1, 28, 28), (20, 1, 5, 5), geometry('NCHW')),
    (Algorithms(by_image_products), (64, 1, 28, 28), (6, 1, 5, 5), geometry('NCHW', 1, 2)),
    (Algorithms(), (64, 3, 28, 28), (4, 3, 3, 3), geometry('NCHW', 1, 1)),
    (Algorithms(), (4, 224, 224, 3), (64, 3, 3, 3), geometry('NHWC', 1, 1)),
    (Algorithms(), (4, 3, 224, 224), (64, 3, 7, 7), geometry('NCHW', 2, 3)),
    (Algorithms(), (64, 3, 224, 224), (64, 3, 9, 17), geometry('NCHW', 1, 8)),
    (Algorithms(), (1, 3, 9, 9), (64, 3, 9, 9), geometry('NCHW', 9, 4)),
    (Algorithms(), (1, 3, 9, 9), (64, 3, 9, 9), geometry('NCHW')),
    (SHIFTS, (8, 64, 32, 32), (64, 1, 3, 3), geometry('NCHW', groups=64)),
    (Algorithms(), (8, 64, 32, 32), (64, 1, 9, 9), geometry('NCHW', groups=64)),
    (Algorithms(), (8, 64, 4, 4), (128, 1, 3, 3), geometry('NCHW', groups=64)),
    (Algorithms(), (8, 64, 4, 4), (64, 2, 3, 3), geometry('NCHW', groups=32)),
])  # fmt: skip
def test_what_is_chosen(algorithms, x, weight, where):
    assert choose_algorithms(x, weight, where) == algorithms


def test_the_kernel_may_be_as_large_as_it_likes():
    def loss(x, weight):
        y = convolve(x, weight, (1, 1), (0, 0), (1, 1), 1, 'NCHW')
        return max_in_windows(y, Windows((1, 1, 1, 400), (1, 1, 1, 1), ((0, 0),) * 4)).sum()

    x, weight = (jax.ShapeDtypeStruct(shape, 'float32') for shape in ((1, 2, 500, 900), (9, 2, 500, 400)))
    assert len(str(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, weight))) < 10_000


SMALL = {
    'im2col': ((1, 2, 3, 3), (2000, 2, 3, 3), ((1, 1), (1, 1), (1, 1), 1, 'NCHW')),
    'row im2col': ((4, 4, 6, 6), (3, 4, 3, 3), ((1, 1), (0, 0), (1, 1), 1, 'NCHW')),
    'shift and add': ((4, 2, 6, 6), (2, 1, 3, 3), ((2, 2), (1, 1), (1, 1), 2, 'NCHW')),
    'xla': ((4, 4, 6, 6), (3, 4, 3, 3), ((2, 2), (1, 1), (1, 1), 1, 'NCHW')),
    'a large kernel': ((2, 2, 9, 18), (3, 2, 9, 17), ((1, 1), (0, 0), (1, 1), 1, 'NCHW')),
}


@pytest.mark.parametrize('case', SMALL)
def test_a_transposed_convolution_is_the_adjoint(case):
    shape, weight_shape, arguments = SMALL[case]
    keys = jax.random.split(jax.random.key(0), 3)
    x, weight = jax.random.normal(keys[0], shape), jax.random.normal(keys[1], weight_shape)

    @jax.jit
    def both(x, weight, y):
        left = (convolve(x, weight, *arguments) * y).sum()
        right, gradient = jax.value_and_grad(
            lambda weight: (x * convolve_transposed(y, weight, shape, *arguments)).sum()
        )(weight)
        other = jax.grad(lambda weight: (convolve(x, weight, *arguments) * y).sum())(weight)
        return (left, other), (right, gradient)

    y = jax.random.normal(keys[2], jax.eval_shape(lambda: convolve(x, weight, *arguments)).shape)
    close(*both(x, weight, y))


@pytest.mark.parametrize('case', ['im2col', 'shift and add'])
def test_other_platforms_are_left_to_xla(case):
    shape, weight_shape, arguments = SMALL[case]
    step = jax.jit(jax.grad(lambda x, weight: convolve(x, weight, *arguments).sum(), (0, 1)))
    traced = step.trace(jnp.ones(shape), jnp.ones(weight_shape))
    programs = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ('cpu', 'cuda', 'tpu')}
    assert {name: 'stablehlo.convolution' in text for name, text in programs.items()} == {
        'cpu': False,
        'cuda': True,
        'tpu': True,
    }


@pytest.mark.parametrize('kind', ['Auto', 'Explicit'])
@pytest.mark.parametrize('case', SMALL)
def test_on_a_mesh(case, kind):
    """With the batch on two devices, sharded or mapped, outputs and gradients are those of one device."""
    shape, weight_shape, arguments = SMALL[case]
    keys = jax.random.split(jax.random.key(0), 2)
    x, weight = jax.random.normal(keys[0], (4, *shape[1:])), jax.random.normal(keys[1], weight_shape)
    mesh = jax.make_mesh((2,), ('batch',), (getattr(jax.sharding.AxisType, kind),), devices=jax.devices()[:2])
    split, whole = jax.P('batch'), jax.P()

    def output_and_gradients(x, weight):
        y, transposed = jax.vjp(lambda x, weight: convolve(x, weight, *arguments), x, weight)
        return y, *transposed(jnp.cos(y))

    expected = jax.jit(output_and_gradients)(x, weight)
    with jax.set_mesh(mesh):
        x = jax.device_put(x, jax.NamedSharding(mesh, split))
        weight = jax.device_put(weight, jax.NamedSharding(mesh, whole))
        specs = {'in_specs': (split, whole), 'out_specs': (split, split, whole)}
        close(jax.jit(jax.shard_map(output_and_gradients, mesh=mesh, **specs))(x, weight), expected)
        if kind == 'Auto':
            close(jax.jit(output_and_gradients)(x, weight), expected)


def spy(name, seen):
    """XLA's algorithm, which says when it is traced."""

    def algorithm(x, weight, where):
        seen.append(name)
        return by_xla(x, weight, where)

    return algorithm


def test_equal_convolutions_are_traced_once():
    seen = []
    algorithms = Algorithms(*(spy(name, seen) for name in Algorithms._fields))

    def deep(x, weight):
        for _ in range(20):
            x = convolve_by(algorithms, geometry('NCHW', padding=1), x, weight)
        return x.sum()

    jax.jit(jax.grad(deep, 1)).lower(jnp.ones((1, 2, 3, 3)), jnp.ones((2, 2, 3, 3)))
    assert sorted(seen) == sorted(Algorithms._fields)


def test_without_jit():
    shape, weight_shape, arguments = SMALL['im2col']
    x, weight = jnp.ones(shape), jnp.ones(weight_shape)
    expected = convolve(x, weight, *arguments)
    with jax.disable_jit():
        close(convolve(x, weight, *arguments), expected)


@pytest.mark.parametrize(('argument', 'computed'), [(0, ['input']), (1, ['weight'])])
def test_a_gradient_that_nobody_wants_is_not_traced(argument, computed):
    seen = []
    algorithms = Algorithms(by_xla, spy('input', seen), spy('weight', seen))
    x, weight = arrays('NCHW', 1, 2, 2, (3, 3), (2, 2))
    f = functools.partial(convolve_by, algorithms, geometry('NCHW'))
    jax.grad(lambda *arrays: f(*arrays).sum(), argument)(x, weight)
    assert sorted(set(seen)) == computed


# The maximum.


@pytest.mark.parametrize(
    ('sizes', 'kernel', 'strides'), [((4, 1), (2, 2), (2, 3)), ((4, 3), (2, 2), (2, 5)), ((1, 1), (3, 3), (2, 2))]
)
def test_a_single_element_along_a_strided_axis(sizes, kernel, strides):
    # raw XLA aborts the process at the gradient of the input here
    where, (x, weight) = geometry('NCHW', strides, 1), arrays('NCHW', 2, 2, 3, sizes, kernel)
    grads = [
        jax.jit(jax.grad(lambda x, weight, way=way: jnp.sin(way(x, weight, where)).sum(), (0, 1)))(x, weight)
        for way in (by_xla, by_im2col)
    ]
    close(grads[0], grads[1])
    close(by_xla(x, weight, where), by_im2col(x, weight, where))


def by_reduce_window(x, windows):
    return lax.reduce_window(x, np.array(-np.inf, x.dtype), lax.max, *windows)


@pytest.mark.parametrize('side_by_side', [False, True])
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_maximum_and_its_gradient_are_those_of_xla_with_ties(side_by_side, data):
    rank = data.draw(st.integers(1, 3))
    sizes, strides = (data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)) for _ in range(2))
    strides = sizes if side_by_side else strides
    padding = [(data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))) for size in sizes]
    windows = Windows(tuple(sizes), tuple(strides), tuple(padding))
    shape = [size + data.draw(st.integers(0, 5)) for size in sizes]
    x = jnp.array(np.random.default_rng(0).integers(0, 3, shape), 'float32')

    def gradient(f, x):
        y, transposed = jax.vjp(lambda x: f(x, windows), x)
        cotangent = jnp.cos(jnp.arange(y.size, dtype='float32')).reshape(y.shape)
        return y, cotangent, *transposed(cotangent)

    @jax.jit
    def answers(x):
        forward = jax.jvp(lambda x: max_in_windows(x, windows), (x,), (jnp.flip(x),))[1]
        ours, negated = gradient(max_in_windows, x), gradient(max_in_windows, -x)
        mapped = jax.vmap(lambda x: gradient(max_in_windows, x))(jnp.stack([x, -x]))
        return ours, gradient(by_reduce_window, x), gradient(max_with_positions, x), negated, forward, mapped

    ours, theirs, positions, negated, forward, mapped = answers(x)
    close(ours, theirs)
    close(positions, theirs)
    _, cotangent, backward = ours
    np.testing.assert_allclose((forward * cotangent).sum(), (jnp.flip(x) * backward).sum(), rtol=1e-4, atol=1e-4)
    for i, expected in enumerate((ours, negated)):
        close([array[i] for array in mapped], expected)


def test_the_gradient_of_the_maximum_is_a_scatter_on_tpu_alone():
    def gradient(x, windows):
        return jax.grad(lambda x: max_in_windows(x, windows).sum())(x)

    few, many = (Windows((1, size), (1, 2), ((0, 0), (1, 1))) for size in (3, 17))
    traced = [jax.jit(gradient, static_argnums=1).trace(jnp.ones((2, 20)), windows) for windows in (few, many)]
    scatters = {
        platform: ['select_and_scatter' in each.lower(lowering_platforms=(platform,)).as_text() for each in traced]
        for platform in ('cpu', 'cuda', 'tpu')
    }
    assert scatters == {'cpu': [False, False], 'cuda': [False, True], 'tpu': [True, True]}


def test_the_backward_pass_of_the_maximum_keeps_bytes():
    windows = Windows((1, 3), (1, 2), ((0, 0), (1, 1)))
    kept = jax.vjp(lambda x: max_with_positions(x, windows), jnp.ones((2, 20)))[1]
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(kept)] == [((2, 10), 'uint8')]


def test_the_maximum_of_integers_halves_and_empty_windows():
    x = jnp.array([[3, 1], [2, 7]], 'int32')
    windows = Windows((1, 2), (1, 2), ((0, 0), (0, 2)))
    lowest = np.iinfo('int32').min
    np.testing.assert_array_equal(max_in_windows(x, windows), [[3, lowest], [7, lowest]])
    y = max_in_windows(x.astype('bfloat16'), windows)
    assert y.dtype == 'bfloat16'
    np.testing.assert_array_equal(y.astype('float32'), [[3, -np.inf], [7, -np.inf]])
    assert max_in_windows(jnp.ones((0, 4)), windows).shape == (0, 3)
