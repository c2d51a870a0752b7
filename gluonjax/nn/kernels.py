"""What convolution and pooling compute in windows: XLA's way, and on CPU other ways where these are faster.

A choice is made from shapes alone, when a program is traced, and holds on CPU; on other platforms XLA's way stays. The
ways give the same numbers but for rounding, under every transformation. `benchmarks/convolution.py` measures them.
"""

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero


class Geometry(NamedTuple):
    """Everything about a convolution but its arrays: a number for each spatial axis, and the layout of the input."""

    strides: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    layout: str

    @property
    def spatial(self) -> list[int]:
        """The spatial axes, in the input as in the weight."""
        return [axis for axis, name in enumerate(self.layout) if name not in 'NC']

    def kernel(self, weight_shape) -> list[int]:
        """The sizes of the kernel along the spatial axes."""
        return [weight_shape[axis] for axis in self.spatial]

    def per_axis(self, numbers, other) -> list:
        """The numbers of the spatial axes in their places, and another one in the other places."""
        found = dict(zip(self.spatial, numbers, strict=True))
        return [found.get(axis, other) for axis in range(len(self.layout))]


# Ways to compute a convolution: of x in `geometry.layout` and of a weight that has outputs for N and the inputs of one
# group for C. Each is linear in either of the two, so that its transpose is a way to compute a gradient.


def by_xla(x, weight, geometry):
    """XLA's convolution."""
    layout = geometry.layout
    x, weight, padding = _without_needless_padding(x, weight, geometry)
    return lax.conv_general_dilated(
        x,
        weight,
        geometry.strides,
        padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=(layout, layout.replace('N', 'O').replace('C', 'I'), layout),
        feature_group_count=geometry.groups,
    )


def _without_needless_padding(x, weight, geometry):
    """Cuts the kernel to what lies over the input, along axes with a single window.

    XLA's simplifier aborts the process at some gradients of such convolutions.
    """
    pads = []
    for axis, stride, pad, step in zip(
        geometry.spatial, geometry.strides, geometry.padding, geometry.dilation, strict=True
    ):
        size, kernel = x.shape[axis], weight.shape[axis]
        first, last = -(-pad // step), min(kernel - 1, (size - 1 + pad) // step)
        if pad and 0 <= size + 2 * pad - (kernel - 1) * step - 1 < stride and first <= last:
            weight = lax.slice_in_dim(weight, first, last + 1, axis=axis)
            x = lax.slice_in_dim(x, first * step - pad, last * step - pad + 1, axis=axis)
            pad = 0
        pads.append((pad, pad))
    return x, weight, pads


def by_patches(x, weight, geometry):
    """One matrix product, of the weight as it is with the patches that lie under the kernel; for one group."""
    channel = geometry.layout.index('C')
    patches = jnp.stack(_under_kernel(x, geometry.kernel(weight.shape), geometry), 2 if channel == 1 else channel)
    weight = weight.reshape(
        [len(weight), weight.shape[1], -1] if channel == 1 else [len(weight), -1, weight.shape[channel]]
    )
    contracted = (1, 2) if channel == 1 else (patches.ndim - 2, patches.ndim - 1)
    y = lax.dot_general(weight, patches, (((1, 2), contracted), ((), ())))
    return jnp.moveaxis(y, 0, channel)


def by_rows(x, weight, geometry):
    """XLA's convolution along all spatial axes but the last; places along it become images, its taps channels."""
    layout = geometry.layout
    *others, last = (name for name in layout if name not in 'NC')
    rest = ''.join(others)
    ones = (1,) * len(others)
    row = geometry._replace(strides=(*ones, geometry.strides[-1]), dilation=(*ones, geometry.dilation[-1]))
    taps = jnp.stack(_under_kernel(x, (*ones, geometry.kernel(weight.shape)[-1]), row))
    images = _ordered(taps, f'T{layout}', f'N{last}{rest}TC')
    kernel = _ordered(weight, layout.replace('N', 'O'), f'{rest}{last}CO')
    y = lax.conv_general_dilated(
        images.reshape(-1, *images.shape[2:-2], kernel.shape[-3] * kernel.shape[-2]),
        kernel.reshape(*kernel.shape[: len(others)], -1, kernel.shape[-1]),
        geometry.strides[:-1],
        [(0, 0)] * len(others),
        rhs_dilation=geometry.dilation[:-1],
        dimension_numbers=(f'N{rest}C', f'{rest}IO', f'N{rest}C'),
    )
    return _ordered(y.reshape(*images.shape[:2], *y.shape[1:]), f'N{last}{rest}C', layout)


def _ordered(array, names, others):
    """The array whose axes have these names with its axes in the other order."""
    return array.transpose([names.index(name) for name in others])


def by_shifts(x, weight, geometry):
    """The sum of shifted inputs, each times its place in the kernel; for as many groups as inputs and outputs."""
    taps = weight.reshape(len(weight), -1).T
    shape = [len(weight) if name == 'C' else 1 for name in geometry.layout]
    shifted = _under_kernel(x, geometry.kernel(weight.shape), geometry)
    return functools.reduce(lax.add, (piece * tap.reshape(shape) for piece, tap in zip(shifted, taps, strict=True)))


def _under_kernel(x, kernel, geometry):
    """For each place in a kernel of these sizes, the inputs that lie under it."""
    padding = geometry.per_axis(geometry.padding, 0)
    x = lax.pad(x, np.zeros((), x.dtype), [(places, places, 0) for places in padding])
    return _in_windows(x, *(geometry.per_axis(numbers, 1) for numbers in (kernel, geometry.strides, geometry.dilation)))


def _in_windows(x, sizes, strides, dilation):
    """For each place in a window, the elements of x that are there, one for each window."""
    spans = [
        (size - (window - 1) * step - 1) // stride * stride + 1
        for size, window, stride, step in zip(x.shape, sizes, strides, dilation, strict=True)
    ]
    starts = [
        [i * step for i, step in zip(place, dilation, strict=True)] for place in itertools.product(*map(range, sizes))
    ]
    return [lax.slice(x, start, list(map(operator.add, start, spans)), strides) for start in starts]


# The choice.

Way = Callable[..., jax.Array]
LONGEST_ROW = 16  # places in a row of the kernel, for each of which rows hold the input once
MOST_PLACES = 64  # in a window: with more of them, an operation for each would be too many to trace and to compile


class Ways(NamedTuple):
    """How to compute the output, and what transposes to the gradients of the input and of the weight."""

    output: Way = by_xla
    input: Way = by_xla
    weight: Way = by_xla


def fastest(x_shape, weight_shape, geometry: Geometry) -> Ways:
    """The ways that were faster on CPU than XLA's own."""
    channels, outputs = x_shape[geometry.layout.index('C')], weight_shape[0]
    kernel = geometry.kernel(weight_shape)
    few = math.prod(kernel) <= MOST_PLACES
    if geometry.groups > 1:
        # XLA's takes 10 to 100 times as long.
        return Ways(by_shifts, by_shifts, by_shifts) if few and channels == outputs == geometry.groups else Ways()
    covered = [(size - 1) * step + 1 for size, step in zip(kernel, geometry.dilation, strict=True)]
    places = x_shape[0] * math.prod(
        (x_shape[axis] + 2 * padding - width) // stride + 1
        for axis, width, padding, stride in zip(
            geometry.spatial, covered, geometry.padding, geometry.strides, strict=True
        )
    )
    shrinks = any(width - 1 > 2 * padding for width, padding in zip(covered, geometry.padding, strict=True))
    # XLA convolves with an image for a kernel to get the gradient of the weight: 1.2 to 8 times. It has no fast kernel
    # for a convolution that makes an image larger, 2 to 2.5 times, nor for three axes, 1.5 to 4 times.
    rows = by_rows if len(kernel) > 1 and kernel[-1] <= LONGEST_ROW else by_xla
    volumes = len(kernel) > 2
    output, gradient_of_input = rows if volumes else by_xla, rows if volumes or shrinks else by_xla
    gradient_of_weight = rows
    if few and (places <= 4 * outputs or math.prod(kernel) == 1):
        # The patches are not much larger than the weight, which XLA would transpose: 1.1 to 2 times.
        output = gradient_of_input = by_patches
        if places <= outputs or len(kernel) == 1:
            gradient_of_weight = by_patches
    return Ways(output, gradient_of_input, gradient_of_weight)


def convolve(x, weight, strides, padding, dilation, groups, layout):
    """The convolution of `x` in `layout`; the weight has outputs for N and the inputs of one group for C."""
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    ways = fastest(x.shape, weight.shape, geometry)
    return by_xla(x, weight, geometry) if ways == Ways() else convolve_by(ways, geometry, x, weight)


def convolve_transposed(y, weight, shape, strides, padding, dilation, groups, layout):
    """The adjoint of `convolve` with the same weight and arguments, from its outputs `y` to inputs of `shape`."""
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    way = fastest(shape, weight.shape, geometry).input
    outputs = functools.partial(_on_cpu, way, geometry, weight=weight)
    return jax.linear_transpose(outputs, jax.ShapeDtypeStruct(shape, y.dtype))(y)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def convolve_by(ways: Ways, geometry: Geometry, x, weight):
    """The convolution in these ways."""
    return _on_cpu(ways.output, geometry, x, weight)


@functools.partial(convolve_by.defjvp, symbolic_zeros=True)
def _convolve_jvp(ways, geometry, primals, tangents):
    (x, weight), (x_tangent, weight_tangent) = primals, tangents
    parts = []
    if not isinstance(x_tangent, SymbolicZero):
        parts.append(_on_cpu(ways.input, geometry, x_tangent, weight))
    if not isinstance(weight_tangent, SymbolicZero):
        parts.append(_on_cpu(ways.weight, geometry, x, weight_tangent))
    return convolve_by(ways, geometry, x, weight), functools.reduce(lax.add, parts)


def _on_cpu(way, geometry, x, weight):
    if way is by_xla:
        return by_xla(x, weight, geometry)
    return lax.platform_dependent(
        x,
        weight,
        cpu=lambda x, weight: _alone(way, geometry, x, weight),
        default=lambda x, weight: by_xla(x, weight, geometry),
    )


def _alone(way, geometry, x, weight):
    """A way as a program of its own: sums in float32 at least, and not computed anew for every use of a place.

    XLA would fuse what makes `x`, or what uses the gradient of `x`, into each of the slices.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    y = way(lax.optimization_barrier(x).astype(wide), weight.astype(wide), geometry)
    return lax.optimization_barrier(y.astype(x.dtype))


# The maximum.


def max_in_windows(x, sizes, strides, padding):
    """The largest value of each window, the lowest there is where it is empty; the first of equals has the gradient.

    Args:
        x: the array.
        sizes: of the windows, for each axis of x.
        strides: the steps between them.
        padding: pairs, how many places before and behind.
    """
    lowest = np.array(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min, x.dtype)

    def by_xla(x):
        return lax.reduce_window(x, lowest, lax.max, sizes, strides, padding)

    overlap = any(stride < size for size, stride in zip(sizes, strides, strict=True))
    if max(sizes) > (MOST_PLACES if overlap else 4):
        return by_xla(x)  # it is good at large windows that do not overlap, and takes 7 to 20 times as long at others

    def on_cpu(x):
        if list(strides) == list(sizes):
            return max_of_tiles(_whole_tiles(x, lowest, sizes, padding), tuple(sizes))
        return _max_by_axis(x, lowest, sizes, strides, padding)

    return lax.platform_dependent(x, cpu=on_cpu, default=by_xla)


def _whole_tiles(x, lowest, sizes, padding):
    """The input with its padding, less what is left behind the last window."""
    behind = [
        (size + before + after) // window * window - size - before
        for size, window, (before, after) in zip(x.shape, sizes, padding, strict=True)
    ]
    return lax.pad(x, lowest, [(before, after, 0) for (before, _), after in zip(padding, behind, strict=True)])


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def max_of_tiles(x, sizes):
    """The largest value of each window, of windows side by side that fill x; the first of equals has the gradient."""
    return functools.reduce(lax.max, _in_windows(x, sizes, sizes, [1] * x.ndim))


@max_of_tiles.defjvp
def _max_of_tiles_jvp(sizes, primals, tangents):
    (x,), (tangent,) = primals, tangents
    y = max_of_tiles(x, sizes)
    *earlier, _ = _in_windows(x, sizes, sizes, [1] * x.ndim)
    first = jnp.full(y.shape, len(earlier), 'int32')
    for place, piece in reversed(list(enumerate(earlier))):
        first = jnp.where(piece == y, place, first)
    # The transpose is one selection, where that of strided slices is a sum as large as x for each of them.
    inside = tuple(range(1, 2 * x.ndim, 2))
    places = jnp.arange(math.prod(sizes), dtype='int32').reshape([n for size in sizes for n in (1, size)])
    tiles = tangent.reshape([n for pair in zip(y.shape, sizes, strict=True) for n in pair])
    return y, jnp.where(places == jnp.expand_dims(first, inside), tiles, 0).sum(inside)


def _max_by_axis(x, lowest, sizes, strides, padding):
    """One axis after the other, the last one first: then the first of equals is the first in the window.

    On CPU the gradient of XLA's maximum is a scatter with indices made for the purpose.
    """
    for axis in reversed(range(x.ndim)):
        if sizes[axis] > 1 or strides[axis] > 1 or any(padding[axis]):
            window, steps = ([numbers[axis] if i == axis else 1 for i in range(x.ndim)] for numbers in (sizes, strides))
            before, behind = padding[axis]
            x = lax.pad(x, lowest, [(before, behind, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)])
            x = first_max(*_in_windows(x, window, steps, [1] * x.ndim))
    return x


@jax.custom_jvp
def first_max(*arrays):
    """The largest of arrays, element by element; the first of equals has the gradient."""
    return functools.reduce(lax.max, arrays)


@first_max.defjvp
def _first_max_jvp(arrays, tangents):
    y = first_max(*arrays)
    *earlier, tangent = tangents
    for array, other in zip(reversed(arrays[:-1]), reversed(earlier), strict=True):
        tangent = jnp.where(array == y, other, tangent)
    # XLA would compute the gradient of the output anew for each of the arrays.
    return y, lax.optimization_barrier(tangent)
