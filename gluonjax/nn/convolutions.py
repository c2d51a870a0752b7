"""Algorithms for a convolution and its gradients: XLA's, and others, which are faster on CPU for some shapes.

`kernels.py` chooses one. All give the same numbers but for rounding.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.core
import numpy as np
from jax import lax

from gluonjax.shapes import is_static


class Geometry(NamedTuple):
    """All about a convolution but its arrays: one number for each spatial axis, and the layout of the input."""

    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    layout: str

    @property
    def spatial(self) -> list[int]:
        """The spatial axes, which input and weight have in common."""
        return [axis for axis, name in enumerate(self.layout) if name not in 'NC']

    def kernel(self, weight_shape: Sequence[int]) -> list[int]:
        """The size of the kernel along each spatial axis."""
        return [weight_shape[axis] for axis in self.spatial]

    def per_axis(self, numbers: Sequence[int], other: int) -> list[int]:
        """One number for every axis: these for the spatial axes, `other` for batch and channels."""
        found = dict(zip(self.spatial, numbers, strict=True))
        return [found.get(axis, other) for axis in range(len(self.layout))]


# Algorithms for a convolution of x in `geometry.layout`. In the weight, outputs stand where x has N, and the inputs of
# one group where it has C.

Algorithm = Callable[[jax.Array, jax.Array, Geometry], jax.Array]


def by_xla(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """XLA's convolution."""
    layout, output = geometry.layout, output_shape(x, weight, geometry)
    x, grown = _with_a_window(x, weight, geometry)
    x, weight, padding = _without_needless_padding(x, weight, geometry)
    y = lax.conv_general_dilated(
        x,
        weight,
        geometry.strides,
        padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(layout, layout.replace('N', 'O').replace('C', 'I'), layout),
        feature_group_count=geometry.groups,
    )
    return lax.slice(y, [0] * y.ndim, [jax.core.max_dim(size, 0) for size in output]) if grown else y


def _with_a_window(x, weight, geometry):
    """The input, with zeros behind it where a symbolic size may be less than a window; and whether there are such.

    JAX's gradient takes no output that may be empty.
    """
    grown = list(x.shape)
    for axis, pad, step in zip(geometry.spatial, geometry.padding, geometry.dilation, strict=True):
        if not is_static((x.shape[axis],)):
            grown[axis] = jax.core.max_dim(x.shape[axis], (weight.shape[axis] - 1) * step + 1 - 2 * pad)
    if grown == list(x.shape):
        return x, False
    behind = [(0, more - size, 0) for size, more in zip(x.shape, grown, strict=True)]
    return lax.pad(x, np.zeros((), x.dtype), behind), True


def _without_needless_padding(x, weight, geometry):
    """Cuts the kernel to what lies over the input, along axes where the output has one element.

    XLA's simplifier aborts the process at some gradients of such convolutions.
    """
    pads = []
    for axis, stride, pad, step in zip(
        geometry.spatial, geometry.strides, geometry.padding, geometry.dilation, strict=True
    ):
        size, kernel = x.shape[axis], weight.shape[axis]
        free = size + 2 * pad - (kernel - 1) * step - 1
        if not is_static((free % stride,)):
            x, pad = _without_rest(x, axis, pad, size + 2 * pad - free + free // stride * stride), 0
        elif pad and is_static((size,)) and 0 <= free < stride:
            first, last = -(-pad // step), min(kernel - 1, (size - 1 + pad) // step)
            if first <= last:
                weight = lax.slice_in_dim(weight, first, last + 1, axis=axis)
                x = lax.slice_in_dim(x, first * step - pad, last * step - pad + 1, axis=axis)
                pad = 0
        pads.append((pad, pad))
    return x, weight, pads


def _without_rest(x, axis, pad, limit):
    """The padded input as far as the last window reaches, a symbolic size: JAX's gradient takes no such padding."""
    x = lax.pad(x, np.zeros((), x.dtype), [(pad, pad, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)])
    return lax.slice_in_dim(x, 0, limit, axis=axis)


# The input under each element of the kernel, as one array of columns. It has the axes of x in some order, and T, the
# elements of the kernel, so that these and C lie together as they do in the weight.


def by_im2col(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """One matrix product, of the weight as it is with the input under each element of the kernel; for one group."""
    return _product_with_columns(x, weight, geometry, geometry.layout)


def by_transposed_im2col(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """As `by_im2col`, with channels before images, so that the product finds the columns as they are written."""
    return _product_with_columns(x, weight, geometry, _channels_before_images(geometry))


def by_image_products(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """As `by_im2col` with a product for each image, which transposes nothing; for one group, with channels first."""
    columns = _columns(x, geometry.kernel(weight.shape), geometry, geometry.layout)
    return lax.dot_general(_for_each_image(weight, len(x), geometry), columns, (((2, 3), (1, 2)), ((0,), (0,))))


def _product_with_columns(x, weight, geometry, order):
    columns, names = _columns(x, geometry.kernel(weight.shape), geometry, order), _names_of_columns(order)
    weight, pair = _matrices(weight, geometry), [names.index(name) for name in names.strip('NDHW')]  # CT or TC
    if order.endswith('C') and columns.size >= weight.size:  # with fewer columns, the weight is the better left factor
        return lax.dot_general(columns, weight, ((pair, (1, 2)), ((), ())))
    y = lax.dot_general(weight, columns, (((1, 2), pair), ((), ())))
    return _transposed(y, 'C' + order.replace('C', ''), geometry.layout)


def im2col_input_gradient(
    dy: jax.Array, weight: jax.Array, geometry: Geometry, shape: Sequence[int], transposed: bool = False
) -> jax.Array:
    """The transpose of `by_im2col`, or of `by_transposed_im2col`, in the input, of this shape."""
    order = _channels_before_images(geometry) if transposed else geometry.layout
    rest, names = order.replace('C', ''), _names_of_columns(order)
    axis = dy.ndim - 1 if order.endswith('C') else 0  # channels last are contracted where they are
    dy = _transposed(dy, geometry.layout, rest + 'C' if axis else 'C' + rest)
    columns = lax.dot_general(dy, _matrices(weight, geometry), (((axis,), (0,)), ((), ())))
    columns = _transposed(columns, rest + names.strip('NDHW'), names)
    return _sum_of_columns(columns, geometry.kernel(weight.shape), geometry, shape, order)


def image_products_input_gradient(
    dy: jax.Array, weight: jax.Array, geometry: Geometry, shape: Sequence[int]
) -> jax.Array:
    """The transpose of `by_image_products` in the input, of this shape; with the weight first it transposes nothing."""
    order = geometry.layout
    columns = lax.dot_general(_for_each_image(weight, len(dy), geometry), dy, (((1,), (1,)), ((0,), (0,))))
    return _sum_of_columns(columns, geometry.kernel(weight.shape), geometry, shape, order)


def im2col_weight_gradient(
    x: jax.Array, dy: jax.Array, geometry: Geometry, shape: Sequence[int], transposed: bool = False
) -> jax.Array:
    """The transpose of `by_im2col`, or of `by_transposed_im2col`, in the weight, of this shape.

    With channels last, the factor with more of them is on the right: XLA copies the other one, transposed.
    """
    order = _channels_before_images(geometry) if transposed else geometry.layout
    columns, names = _columns(x, geometry.kernel(shape), geometry, order), _names_of_columns(order)
    positions = [names.index(name) for name in order if name != 'C']
    if order.endswith('C') and shape[0] > math.prod(shape[1:]):
        product = lax.dot_general(columns, dy, ((positions, range(dy.ndim - 1)), ((), ())))
        product = lax.optimization_barrier(product)  # XLA would exchange the factors, not to transpose it
        return lax.reshape(lax.transpose(product, (2, 0, 1)), shape)
    dy = _transposed(dy, geometry.layout, _channels_before_images(geometry))
    return lax.reshape(lax.dot_general(dy, columns, ((range(1, dy.ndim), positions), ((), ()))), shape)


def image_products_weight_gradient(x: jax.Array, dy: jax.Array, geometry: Geometry, shape: Sequence[int]) -> jax.Array:
    """The transpose of `by_image_products` in the weight, of this shape.

    The factor with more channels is on the left: XLA copies the other one, transposed, and takes up to 8 times as long
    as for the product.

    The sum over images is a product too: XLA would fuse a sum with the products, which then take up to 10 times as
    long on two cores.
    """
    columns = _columns(x, geometry.kernel(shape), geometry, geometry.layout)
    of_dy, of_columns, images = range(2, dy.ndim), range(3, columns.ndim), ((0,), (0,))
    outputs, channels, *_ = shape
    if channels > outputs:
        products = lax.dot_general(columns, dy, ((of_columns, of_dy), images))
    else:
        products = lax.dot_general(dy, columns, ((of_dy, of_columns), images))
    ones = lax.full((len(dy),), 1, dy.dtype)
    sums = lax.dot_general(ones, lax.reshape(products, (len(dy), math.prod(shape))), (((0,), (0,)), ((), ())))
    if channels > outputs:
        sums = lax.transpose(lax.reshape(sums, (math.prod(shape[1:]), outputs)), (1, 0))
    return lax.reshape(sums, shape)


def _channels_before_images(geometry):
    return 'C' + geometry.layout.replace('C', '')


def _names_of_columns(order):
    return order.replace('C', 'TC' if order.endswith('C') else 'CT')


def _matrices(weight, geometry):
    """The weight with the elements of the kernel along one axis."""
    elements, channels_last = math.prod(geometry.kernel(weight.shape)), geometry.layout.endswith('C')
    return lax.reshape(
        weight, (len(weight), *((elements, weight.shape[-1]) if channels_last else (weight.shape[1], elements)))
    )


def _for_each_image(weight, images, geometry):
    weight = _matrices(weight, geometry)
    return lax.broadcast_in_dim(weight, (images, *weight.shape), (1, 2, 3))


def _columns(x, kernel, geometry, order):
    """Axis by axis, so that a kernel of 3x3 needs 3 and 3 slices, not 9: each is a loop that XLA compiles."""
    x, where, taps = _transposed(x, geometry.layout, order), geometry._replace(layout=order), order.index('C')
    taps += not order.endswith('C')
    x = _padded(x, where)
    for count, axis in enumerate(where.spatial):
        size, stride, step = kernel[count], geometry.strides[count], geometry.dilation[count]
        axis += count if axis >= taps else 0
        span = (x.shape[axis] - (size - 1) * step - 1) // stride * stride + 1
        starts = range(0, size * step, step)
        pieces = [lax.slice_in_dim(x, start, start + span, stride, axis) for start in starts]
        x = _stacked(pieces if span < x.shape[axis] or stride > 1 else [x], taps + count)
    return lax.reshape(x, (*x.shape[:taps], math.prod(kernel), *x.shape[taps + len(kernel) :]))


def _sum_of_columns(columns, kernel, geometry, shape, order):
    """The transpose of `_columns`: each column is added to where it was taken from, in an input of this shape."""
    axis, where = _names_of_columns(order).index('T'), geometry._replace(layout=order)
    shape = [shape[geometry.layout.index(name)] for name in order]
    sizes, pads = where.per_axis(kernel, 1), where.per_axis(geometry.padding, 0)
    strides, dilation = where.per_axis(geometry.strides, 1), where.per_axis(geometry.dilation, 1)
    shifted = []
    for i, position in enumerate(itertools.product(*map(range, sizes))):
        column = lax.squeeze(lax.slice_in_dim(columns, i, i + 1, axis=axis), [axis])
        config = []
        for size, count, at, pad, stride, step in zip(
            shape, column.shape, position, pads, strides, dilation, strict=True
        ):
            low = at * step - pad
            config.append((low, size - low - (count - 1) * stride - 1, stride - 1))
        shifted.append(lax.pad(column, np.zeros((), column.dtype), config))
    return _transposed(functools.reduce(lax.add, shifted), order, geometry.layout)


def _stacked(arrays, axis):
    expanded = [lax.expand_dims(array, [axis]) for array in arrays]
    return expanded[0] if len(expanded) == 1 else lax.concatenate(expanded, axis)


def by_row_im2col(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """XLA's convolution along the other spatial axes; for one group.

    Along the last axis, outputs become images of a larger batch, and elements of the kernel become channels.
    """
    layout = geometry.layout
    *others, last = (name for name in layout if name not in 'NC')
    rest = ''.join(others)
    ones = (1,) * len(others)
    row = geometry._replace(strides=(*ones, geometry.strides[-1]), dilation=(*ones, geometry.dilation[-1]))
    taps = _stacked(_under_kernel(x, (*ones, geometry.kernel(weight.shape)[-1]), row), 0)
    images = _transposed(taps, f'T{layout}', f'N{last}{rest}TC')
    kernel = _transposed(weight, layout.replace('N', 'O'), f'{rest}{last}CO')
    taps_and_inputs = kernel.shape[-3] * kernel.shape[-2]
    y = lax.conv_general_dilated(
        lax.reshape(images, (images.shape[0] * images.shape[1], *images.shape[2:-2], taps_and_inputs)),
        lax.reshape(kernel, (*kernel.shape[:-3], taps_and_inputs, kernel.shape[-1])),
        geometry.strides[:-1],
        [(0, 0)] * len(others),
        rhs_dilation=geometry.dilation[:-1],
        dimension_numbers=(f'N{rest}C', f'{rest}IO', f'N{rest}C'),
    )
    return _transposed(lax.reshape(y, (*images.shape[:2], *y.shape[1:])), f'N{last}{rest}C', layout)


def _transposed(array, names: str, order: str):
    """The array, whose axes have these names, with its axes in this order."""
    return array if names == order else lax.transpose(array, [names.index(name) for name in order])


def by_shift_and_add(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """The sum of shifted inputs, each times one element of the kernel; for a depthwise convolution."""
    shifted = _under_kernel(x, geometry.kernel(weight.shape), geometry)
    return functools.reduce(lax.add, map(lax.mul, shifted, _taps(weight, geometry, shifted[0].shape)))


def sum_of_shifts(dy: jax.Array, weight: jax.Array, geometry: Geometry, shape: Sequence[int]) -> jax.Array:
    """The gradient of the input, of this shape, of a depthwise convolution, as a convolution with the kernel reversed.

    The transpose of `by_shift_and_add` is a sum of pads, each of an array of its own. Here XLA writes the padded `dy`
    once, and what makes it is not computed again for each element of the kernel.
    """
    kernel, pads = geometry.kernel(weight.shape), [(0, 0, 0)] * dy.ndim
    for axis, size, stride, pad, step in zip(geometry.spatial, kernel, *geometry[:3], strict=True):
        reach, low = (size - 1) * step, (size - 1) * step - pad
        pads[axis] = low, shape[axis] + reach - low - (dy.shape[axis] - 1) * stride - 1, stride - 1
    ones = (1,) * len(kernel)
    dense = geometry._replace(strides=ones, padding=(0,) * len(kernel))
    shifted = _under_kernel(lax.pad(dy, np.zeros((), dy.dtype), pads), kernel, dense)
    return functools.reduce(lax.add, map(lax.mul, reversed(shifted), _taps(weight, geometry, shape)))


def sums_of_products(x: jax.Array, dy: jax.Array, geometry: Geometry, shape: Sequence[int]) -> jax.Array:
    """The gradient of the weight, of this shape, of a depthwise convolution, in one pass over the images.

    The transpose of `by_shift_and_add` is a reduction for each element of the kernel, all of them over all axes but
    that of channels, which takes XLA 5 times as long.
    """
    products = [lax.mul(shifted, dy) for shifted in _under_kernel(x, geometry.kernel(shape), geometry)]
    rows = (0, dy.ndim - 1) if geometry.layout[1] == 'C' else range(dy.ndim - 1)
    sums = lax.reduce(products, [np.zeros((), dy.dtype)] * len(products), _add_each, rows)
    taps = _stacked(sums, 1)
    return lax.reshape(lax.reduce_sum(taps, range(2, taps.ndim)), shape)


def _add_each(total, terms):
    return [lax.add(one, other) for one, other in zip(total, terms, strict=True)]


def _taps(weight, geometry, shape):
    """Each element of the kernel of a depthwise convolution, spread over an array of this shape."""
    taps = lax.reshape(weight, (len(weight), weight.size // len(weight)))
    channel = geometry.layout.index('C')
    return [lax.broadcast_in_dim(taps[:, i], shape, (channel,)) for i in range(taps.shape[1])]


def _under_kernel(x, kernel, geometry):
    """For each element of a kernel of this size, the elements of x that it is multiplied with."""
    sizes = (geometry.per_axis(numbers, 1) for numbers in (kernel, geometry.strides, geometry.dilation))
    return in_windows(_padded(x, geometry), *sizes)


def _padded(x, geometry):
    if not any(geometry.padding):
        return x
    return lax.pad(x, np.zeros((), x.dtype), [(pad, pad, 0) for pad in geometry.per_axis(geometry.padding, 0)])


def in_windows(x: jax.Array, sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> list[jax.Array]:
    """For each position in a window, the elements of x there, one for each window."""
    if math.prod(sizes) == math.prod(strides) == 1:
        return [x]
    spans = [
        (size - (window - 1) * step - 1) // stride * stride + 1
        for size, window, stride, step in zip(x.shape, sizes, strides, dilation, strict=True)
    ]
    starts = [
        [i * step for i, step in zip(position, dilation, strict=True)]
        for position in itertools.product(*map(range, sizes))
    ]
    limits = ([start + span for start, span in zip(corner, spans, strict=True)] for corner in starts)
    return [lax.slice(x, start, limit, strides) for start, limit in zip(starts, limits, strict=True)]


def output_shape(x: jax.Array, weight: jax.Array, geometry: Geometry) -> tuple[int, ...]:
    """The shape of the convolution."""
    shape = [x.shape[0] if name == 'N' else weight.shape[0] for name in geometry.layout]
    kernel, (strides, padding, dilation, *_) = geometry.kernel(weight.shape), geometry
    for axis, size, stride, pad, step in zip(geometry.spatial, kernel, strides, padding, dilation, strict=True):
        shape[axis] = (x.shape[axis] + 2 * pad - (size - 1) * step - 1) // stride + 1
    return tuple(shape)


class Gradients(NamedTuple):
    """The transposes of an algorithm: of y and weight to an input, of x and y to a weight, of a shape."""

    input: Callable[[jax.Array, jax.Array, Geometry, Sequence[int]], jax.Array]
    weight: Callable[[jax.Array, jax.Array, Geometry, Sequence[int]], jax.Array]


# Written out, they take a third of the time to trace that `jax.linear_transpose` takes, which serves the others.
GRADIENTS: dict[Algorithm, Gradients] = {
    by_im2col: Gradients(im2col_input_gradient, im2col_weight_gradient),
    by_transposed_im2col: Gradients(
        functools.partial(im2col_input_gradient, transposed=True),
        functools.partial(im2col_weight_gradient, transposed=True),
    ),
    by_image_products: Gradients(image_products_input_gradient, image_products_weight_gradient),
    by_shift_and_add: Gradients(sum_of_shifts, sums_of_products),
}
