"""Convolution and the maximum of windows: XLA's algorithms, and on CPU others where these are faster.

The algorithm is chosen from shapes alone, when a function is traced, and holds on CPU; other platforms use XLA's. All
give the same numbers but for rounding, under every transformation. `benchmarks/convolution.py` measures them.

What layers call is jitted: JAX traces, differentiates and lowers it once for all layers with the same shapes and
arguments. XLA inlines it again.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir, partial_eval

from gluonjax.checks import at_least_float32
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
# one group where it has C. Each is linear in x and in the weight, so that its transpose computes a gradient.


def by_xla(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """XLA's convolution."""
    layout, output = geometry.layout, _output_shape(x, weight, geometry)
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


def by_im2col(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """One matrix product, of the weight as it is with the input under each element of the kernel; for one group."""
    channel = geometry.layout.index('C')
    taps = 2 if channel == 1 else channel  # the axis of columns that runs over the elements of the kernel
    columns = _stacked(_under_kernel(x, geometry.kernel(weight.shape), geometry), taps)
    inputs, elements = weight.shape[channel], math.prod(geometry.kernel(weight.shape))
    weight = lax.reshape(weight, (len(weight), *((inputs, elements) if channel == 1 else (elements, inputs))))
    contracted = (1, 2) if channel == 1 else (taps, taps + 1)
    y = lax.dot_general(weight, columns, (((1, 2), contracted), ((), ())))
    return _transposed(y, 'C' + geometry.layout.replace('C', ''), geometry.layout)


def by_transposed_im2col(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """As `by_im2col`, with channels before images, so that the product finds the columns as they are written."""
    x = lax.transpose(x, (1, 0, *range(2, x.ndim)))
    columns = _stacked(_under_kernel(x, geometry.kernel(weight.shape), geometry), 1)
    weight = lax.reshape(weight, (*weight.shape[:2], columns.shape[1]))
    y = lax.dot_general(weight, columns, (((1, 2), (0, 1)), ((), ())))
    return lax.transpose(y, (1, 0, *range(2, y.ndim)))


def by_image_products(x: jax.Array, weight: jax.Array, geometry: Geometry) -> jax.Array:
    """As `by_im2col` with a product for each image, which transposes nothing; for one group, with channels first."""
    columns = _stacked(_under_kernel(x, geometry.kernel(weight.shape), geometry), 2)
    weight = lax.reshape(weight, (*weight.shape[:2], math.prod(geometry.kernel(weight.shape))))
    weight = lax.broadcast_in_dim(weight, (len(x), *weight.shape), (1, 2, 3))
    return lax.dot_general(weight, columns, (((2, 3), (1, 2)), ((0,), (0,))))


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
    return lax.transpose(array, [names.index(name) for name in order])


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
    if any(geometry.padding):
        pads = geometry.per_axis(geometry.padding, 0)
        x = lax.pad(x, np.zeros((), x.dtype), [(pad, pad, 0) for pad in pads])
    return _in_windows(x, *(geometry.per_axis(numbers, 1) for numbers in (kernel, geometry.strides, geometry.dilation)))


def _in_windows(x, sizes, strides, dilation):
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


# The choice.

Algorithm = Callable[[jax.Array, jax.Array, Geometry], jax.Array]
MAX_ROW = 16  # elements of a kernel along its last axis; by_row_im2col holds the input once for each
FEW = 16  # output channels; with no more, `by_row_im2col` has products too narrow for the gradient of the weight
MAX_WINDOW = 64  # elements of a window or kernel; with more, an operation for each is too many to trace and compile


class Algorithms(NamedTuple):
    """What computes the output, and what transposes to the gradients of input and weight."""

    output: Algorithm = by_xla
    input_gradient: Algorithm = by_xla
    weight_gradient: Algorithm = by_xla


def choose_algorithms(x_shape: Sequence[int], weight_shape: Sequence[int], geometry: Geometry) -> Algorithms:
    """The algorithms that were fastest on CPU; XLA's where a size is symbolic."""
    if not is_static(x_shape):
        return Algorithms()
    channels, outputs = x_shape[geometry.layout.index('C')], weight_shape[0]
    kernel = geometry.kernel(weight_shape)
    small = math.prod(kernel) <= MAX_WINDOW
    if geometry.groups > 1:
        # XLA's takes 10 to 100 times as long.
        depthwise = small and channels == outputs == geometry.groups
        return Algorithms(*[by_shift_and_add] * 3) if depthwise else Algorithms()
    covered = [(size - 1) * step + 1 for size, step in zip(kernel, geometry.dilation, strict=True)]
    positions = x_shape[0] * math.prod(
        (x_shape[axis] + 2 * padding - width) // stride + 1
        for axis, width, padding, stride in zip(
            geometry.spatial, covered, geometry.padding, geometry.strides, strict=True
        )
    )
    if math.prod(kernel) == 1 and geometry.layout[1] == 'C' and x_shape[0] > 1:
        # XLA copies the weight for each image, transposed for the gradient of x; for one product it copies the images.
        weight_size, image = channels * outputs, positions // x_shape[0] * (channels + outputs)
        forward = by_image_products if weight_size <= 2 * image else by_im2col
        return Algorithms(forward, by_image_products if 3 * weight_size <= image else by_im2col, forward)
    if small and (positions <= outputs or math.prod(kernel) == 1):
        # The columns are no larger than the weight, which XLA would transpose: 1.1 to 3 times.
        several = math.prod(kernel) > 1 and geometry.layout[1] == 'C'
        forward = by_transposed_im2col if several else by_im2col
        return Algorithms(forward, by_im2col, forward)
    shrinks = any(width - 1 > 2 * padding for width, padding in zip(covered, geometry.padding, strict=True))
    # XLA has no fast kernel for a convolution that makes an image larger, 2 to 2.5 times, nor for three axes, 1.5 to 4
    # times; for the gradient of the weight it convolves with an image for a kernel, which takes 1.3 to 1.6 times where
    # no padding fills that up, and is faster where it does.
    rows = by_row_im2col if len(kernel) > 1 and kernel[-1] <= MAX_ROW else by_xla
    if len(kernel) > 2:
        return Algorithms(rows, rows, rows)
    return Algorithms(by_xla, rows if shrinks else by_xla, rows if shrinks and outputs > FEW else by_xla)


def convolve(
    x: jax.Array,
    weight: jax.Array,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    layout: str,
) -> jax.Array:
    """The convolution of `x` in `layout`.

    Args:
        x: the input, such as (N, C, H, W) for 'NCHW'.
        weight: outputs where x has N, the inputs of one group where it has C.
        strides: one number for each spatial axis, as the next two.
        padding: zeros on both sides.
        dilation: steps between the elements of the kernel.
        groups: groups of channels that do not mix.
        layout: the names of the axes of x.
    """
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    return convolve_by(choose_algorithms(x.shape, weight.shape, geometry), geometry, x, weight)


def convolve_transposed(
    y: jax.Array,
    weight: jax.Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    layout: str,
) -> jax.Array:
    """The transpose of `convolve` with the same weight and arguments, from its output `y` to an input of `shape`."""
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    options = Options('input', shape, choose_algorithms(shape, weight.shape, geometry), geometry)
    return _apply(y, weight, options)


def convolve_by(algorithms: Algorithms, geometry: Geometry, x: jax.Array, weight: jax.Array) -> jax.Array:
    """The convolution by these algorithms."""
    if algorithms == Algorithms():
        return by_xla(x, weight, geometry)
    return _apply(x, weight, Options('output', _output_shape(x, weight, geometry), algorithms, geometry))


def _output_shape(x, weight, geometry):
    shape = [x.shape[0] if name == 'N' else weight.shape[0] for name in geometry.layout]
    kernel, (strides, padding, dilation, *_) = geometry.kernel(weight.shape), geometry
    for axis, size, stride, pad, step in zip(geometry.spatial, kernel, strides, padding, dilation, strict=True):
        shape[axis] = (x.shape[axis] + 2 * pad - (size - 1) * step - 1) // stride + 1
    return tuple(shape)


# The primitive. Of three arrays, the input x, the weight and the output y, each can be computed from the other two: a
# convolution or one of its gradients. Each is linear in both, and their transposes are one another. JAX traces one
# equation for a primitive, asks for the algorithm once it knows the platform, and lowers equal ones once.


class Options(NamedTuple):
    """What the primitive computes: the output of x and weight, the input of y and weight, or the weight of x and y."""

    result: Literal['output', 'input', 'weight']
    shape: tuple[int, ...]  # of the result
    algorithms: Algorithms
    geometry: Geometry


Primitive: type[Any] = type(lax.conv_general_dilated_p)  # jax.extend.core, which has it too, is slow to load
convolution_p: Any = Primitive('convolution')


def _apply(left, right, options):
    """The primitive; where arrays have a mesh, whose axes it does not know, the operations that it stands for."""
    if all(jax.typeof(array).sharding.mesh.empty for array in (left, right)):
        return convolution_p.bind(left, right, options=options)
    return _on_any_platform(left, right, options)


def _on_any_platform(left, right, options):
    cpu, default = (functools.partial(compute, options=options) for compute in (_on_cpu, _on_others))
    return lax.platform_dependent(left, right, cpu=cpu, default=default)


def _on_others(left, right, options):
    return _result(by_xla, left, right, options)


def _on_cpu(left, right, options):
    index = ('output', 'input', 'weight').index(options.result)
    algorithm, dtype = options.algorithms[index], left.dtype
    if algorithm is by_shift_and_add and options.result != 'output':
        gradient = sum_of_shifts if options.result == 'input' else sums_of_products
        wide = at_least_float32(left.dtype)
        left, right = (lax.convert_element_type(array, wide) for array in lax.optimization_barrier((left, right)))
        return lax.convert_element_type(gradient(left, right, options.geometry, options.shape), dtype)
    return _result(algorithm if algorithm is by_xla else _isolated(algorithm), left, right, options)


def _isolated(algorithm):
    """The algorithm with sums in float32 at least, and so that XLA fuses it with nothing around it.

    XLA would fuse what makes `x`, or what uses the gradient of `x`, into each of the slices, and compute it many times.
    """

    def isolated(x, weight, geometry):
        wide = at_least_float32(x.dtype)
        x, weight = lax.optimization_barrier(x), lax.convert_element_type(weight, wide)
        y = algorithm(lax.convert_element_type(x, wide), weight, geometry)
        return lax.optimization_barrier(lax.convert_element_type(y, x.dtype))

    return isolated


def _result(algorithm, left, right, options):
    if options.result == 'output':
        return algorithm(left, right, options.geometry)
    unknown = jax.ShapeDtypeStruct(options.shape, left.dtype)
    if options.result == 'input':
        y, output = left, lambda x: algorithm(x, right, options.geometry)
    else:
        y, output = right, lambda weight: algorithm(left, weight, options.geometry)
    return jax.linear_transpose(output, unknown)(y)[0]


@convolution_p.def_impl
@functools.partial(jax.jit, static_argnames='options')
def _eager(left, right, *, options):
    return _on_any_platform(left, right, options)


@convolution_p.def_abstract_eval
def _abstract(left, right, *, options):
    return left.update(shape=options.shape, weak_type=False)


for _platform, _compute in (('cpu', _on_cpu), (None, _on_others)):
    mlir.register_lowering(convolution_p, mlir.lower_fun(_compute, multiple_results=False), platform=_platform)


def _transposed_left(cotangent, left, right, *, options):
    """The cotangent of x or y: of the three arrays, `right` is the weight, or y where x is asked for."""
    if options.result == 'weight':
        return _apply(right, cotangent, options._replace(result='input', shape=left.aval.shape))
    result = 'input' if options.result == 'output' else 'output'
    return _apply(cotangent, right, options._replace(result=result, shape=left.aval.shape))


def _transposed_right(cotangent, left, right, *, options):
    """The cotangent of the weight, or of y where `left` is x and the result a weight."""
    shape = right.aval.shape
    if options.result == 'weight':
        return _apply(left, cotangent, options._replace(result='output', shape=shape))
    pair = (left, cotangent) if options.result == 'output' else (cotangent, left)
    return _apply(*pair, options._replace(result='weight', shape=shape))


ad.defbilinear(convolution_p, _transposed_left, _transposed_right)


def _batched(arrays, axes, *, options):
    (left, right), (axis, other) = arrays, axes
    if other is not None or options.result == 'weight':
        return jax.vmap(functools.partial(_on_any_platform, options=options), axes)(left, right), 0
    left = jnp.moveaxis(left, axis, 0)  # more images of one batch
    count, batch, *rest = left.shape
    options = options._replace(shape=(count * batch, *options.shape[1:]))
    result = _apply(left.reshape(count * batch, *rest), right, options)
    return result.reshape(count, batch, *result.shape[1:]), 0


batching.primitive_batchers[convolution_p] = _batched


# What policies that offload answer where others answer False.
_RECOMPUTED = jax.checkpoint_policies.save_and_offload_only_these_names(
    names_which_can_be_saved=[], names_which_can_be_offloaded=[], offload_src='device', offload_dst='pinned_host'
)(lax.conv_general_dilated_p)


def _with_policy(saves, unknown, computed, equation):
    """What `jax.checkpoint` asks of an equation: to its policy, a convolution of ours is XLA's."""
    needed = [array for array, again in zip(equation.invars, computed, strict=True) if not again]
    if any(unknown):
        return None, equation, [True], [True], needed
    answer = saves(lax.conv_general_dilated_p, *(array.aval for array in equation.invars), **equation.params)
    if answer and answer is not _RECOMPUTED:
        return equation, None, [False], [False], []
    return equation, equation, [False], [True], needed


partial_eval.partial_eval_jaxpr_custom_rules[convolution_p] = _with_policy


# The maximum.


class Windows(NamedTuple):
    """Windows over an array: for each of its axes, their size, the stride, and the padding before and behind."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[Any, Any], ...]  # ints; symbolic sizes may be among them


@functools.partial(jax.jit, static_argnums=1)
def max_in_windows(x: jax.Array, windows: Windows) -> jax.Array:
    """The largest value of each window; the lowest of the dtype for a window that lies entirely in the padding.

    The first of equal values gets the gradient.
    """
    sizes, strides, padding = windows
    lowest = np.array(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min, x.dtype)

    def by_reduce_window(x):
        return lax.reduce_window(x, lowest, lax.max, sizes, strides, padding)

    overlap = any(stride < size for size, stride in zip(sizes, strides, strict=True))
    if max(sizes) > (MAX_WINDOW if overlap else 4) or not is_static(x.shape):
        return by_reduce_window(x)  # good at large windows that do not overlap; takes 7 to 20 times as long at others

    def on_cpu(x):
        if strides == sizes:
            return max_of_tiles(_whole_tiles(x, lowest, sizes, padding), sizes)
        return _max_by_axis(x, lowest, sizes, strides, padding)

    return lax.platform_dependent(x, cpu=on_cpu, default=by_reduce_window)


def _whole_tiles(x, lowest, sizes, padding):
    """The input with its padding, less what is left behind the last window."""
    behind = [
        (size + before + after) // window * window - size - before
        for size, window, (before, after) in zip(x.shape, sizes, padding, strict=True)
    ]
    return lax.pad(x, lowest, [(before, after, 0) for (before, _), after in zip(padding, behind, strict=True)])


def _with_own_jvp(function: Callable[..., jax.Array]) -> jax.custom_jvp[jax.Array]:
    return jax.custom_jvp(function, nondiff_argnums=(1,))


@_with_own_jvp
def max_of_tiles(x: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """The largest value of each window, of windows side by side that fill x; the first of equals gets the gradient."""
    return functools.reduce(lax.max, _in_windows(x, sizes, sizes, [1] * x.ndim))


@max_of_tiles.defjvp
def _max_of_tiles_jvp(sizes, primals, tangents):
    (x,), (tangent,) = primals, tangents
    y = max_of_tiles(x, sizes)
    *earlier, _ = _in_windows(x, sizes, sizes, [1] * x.ndim)
    first = jnp.full(y.shape, len(earlier), 'int32')
    for position, piece in reversed(list(enumerate(earlier))):
        first = jnp.where(piece == y, position, first)
    # The transpose is one selection, where that of strided slices is a sum as large as x for each of them.
    inside = tuple(range(1, 2 * x.ndim, 2))
    positions = jnp.arange(math.prod(sizes), dtype='int32').reshape([n for size in sizes for n in (1, size)])
    tiles = tangent.reshape([n for pair in zip(y.shape, sizes, strict=True) for n in pair])
    return y, jnp.where(positions == jnp.expand_dims(first, inside), tiles, 0).sum(inside)


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
def first_max(*arrays: jax.Array) -> jax.Array:
    """The largest of arrays, element by element; the first of equals gets the gradient."""
    return functools.reduce(lax.max, arrays)


@first_max.defjvp
def _first_max_jvp(arrays, tangents):
    y = first_max(*arrays)
    *earlier, tangent = tangents
    for array, other in zip(reversed(arrays[:-1]), reversed(earlier), strict=True):
        tangent = jnp.where(array == y, other, tangent)
    # XLA would compute the gradient of the output again for each of the arrays.
    return y, lax.optimization_barrier(tangent)
