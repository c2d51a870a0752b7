"""Convolution and the maximum of windows: XLA's algorithms, and on CPU others where these are faster.

The algorithm is chosen from shapes alone, when a function is traced, and holds on CPU; other platforms use XLA's, but
for the gradient of the maximum on GPU. All give the same numbers but for rounding, under every transformation.
`benchmarks/convolution.py` measures them.

What layers call is jitted: JAX traces, differentiates and lowers it once for all layers with the same shapes and
arguments. XLA inlines it again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir, partial_eval

from gluonjax.checks import at_least_float32
from gluonjax.nn.convolutions import (
    GRADIENTS,
    Algorithm,
    Geometry,
    by_im2col,
    by_image_products,
    by_row_im2col,
    by_shift_and_add,
    by_transposed_im2col,
    by_xla,
    in_windows,
    output_shape,
)
from gluonjax.shapes import is_static

# The choice.

MAX_ROW = 16  # elements of a kernel along its last axis; by_row_im2col holds the input once for each
FEW = 16  # output channels, or positions; with no more, products are too narrow for the gradient of the weight
COLORS = 3  # input channels of a first layer
TINY, LARGE = 2**7, 2**15  # elements of a weight: too few for any product to gain; enough for its transpose to cost
FEW_POSITIONS = 64  # of the kernel on all images; XLA is done before another algorithm has its columns
FEW_CHANNELS = 8  # of an input; their rows are transposed fast, in cache or not
CACHED = 2**18  # elements that the cache of a core holds
MAX_POSITIONS = 16  # in a window on GPU; with more, an element of the gradient is a sum of too many
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
    small, elements = math.prod(kernel) <= MAX_WINDOW, math.prod(weight_shape)
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
    if math.prod(kernel) == 1 and (elements < TINY or geometry.layout == 'NWC'):
        return Algorithms()  # XLA has a product of its own for channels last along one axis
    if math.prod(kernel) == 1 and geometry.layout[1] == 'C':
        choose = _without_kernel if x_shape[0] > 1 else _without_kernel_for_one_image
        return choose(positions // x_shape[0], channels, outputs)
    few_columns = 2 * positions < outputs and elements >= LARGE
    if small and (few_columns or math.prod(kernel) == 1):
        # The columns are smaller than the weight, which XLA would transpose: 1.2 to 3 times, and more for tiny images.
        # In a training step the gradient of the weight, which alone would gain less, has those of the output.
        several = math.prod(kernel) > 1 and geometry.layout[1] == 'C'
        forward = by_transposed_im2col if several else by_im2col
        return Algorithms(forward, by_im2col, forward)
    shrinks = any(width - 1 > 2 * padding for width, padding in zip(covered, geometry.padding, strict=True))
    rows = by_row_im2col if len(kernel) > 1 and kernel[-1] <= MAX_ROW else by_xla
    if len(kernel) > 2:
        return Algorithms(rows, rows, rows)  # XLA has no fast kernel for three axes: 1.5 to 4 times
    if positions < FEW_POSITIONS:
        return Algorithms()
    return _along_rows(rows, shrinks and max(geometry.strides) == 1, x_shape, weight_shape, geometry)


def _without_kernel(positions, channels, outputs):
    """The algorithms for a 1x1 kernel on several images of so many positions, with channels first.

    XLA copies the weight for each image, transposed for the gradient of x; for one product it copies the images, which
    is slow in short rows. The products by image for the gradient of the weight are slow with few positions.
    """
    weight, image = channels * outputs, positions * (channels + outputs)
    forward = by_image_products
    if 4 * weight > 5 * image:
        forward = by_im2col if positions >= FEW_POSITIONS or weight > 8 * image else by_xla
    weight_gradient = by_im2col
    if weight <= 4 * image:
        weight_gradient = by_image_products if positions >= FEW else by_xla
    return Algorithms(forward, by_image_products if 4 * weight <= image else by_im2col, weight_gradient)


def _without_kernel_for_one_image(positions, channels, outputs):
    """The algorithms for a 1x1 kernel on one image of so many positions, with channels first."""
    weight, image = channels * outputs, positions * (channels + outputs)
    input_gradient = by_image_products if 4 * weight <= image else by_im2col
    if weight > CACHED and positions < FEW_POSITIONS:
        input_gradient = by_xla  # which reads such a weight faster
    return Algorithms(by_im2col, input_gradient, by_image_products if positions >= FEW_POSITIONS else by_im2col)


def _along_rows(rows, dense, x_shape, weight_shape, geometry):
    """The algorithms for one or two axes; `dense` is without strides, and with too little padding to keep the size.

    XLA has no fast kernel for a convolution that makes an image larger, as the gradient of the input then does: up to
    2.5 times with wide kernels or few channels, as long as the rows under the kernel stay in cache. For the gradient of
    the weight it convolves with an image for a kernel: 1.1 to 2 times with wide kernels. For colours alone its kernel
    is slow, 1.1 to 8 times, and columns are no burden.
    """
    kernel, channels, outputs = geometry.kernel(weight_shape), x_shape[geometry.layout.index('C')], weight_shape[0]
    elements, wide = math.prod(kernel), kernel[-1] > 3
    colors = len(kernel) == 2 and channels <= COLORS and geometry.layout[1] == 'C'
    cached = kernel[-1] * math.prod(x_shape[1:]) <= CACHED
    fits = channels <= FEW_CHANNELS or (cached and (wide or channels <= 32))
    input_gradient = rows if dense and kernel[-1] > 2 and fits and channels <= 4 * outputs else by_xla
    weight_gradient = rows if dense and outputs > FEW and (wide or channels <= COLORS) else by_xla
    if not (colors and elements <= 25 and elements * channels <= 5 * outputs):
        return Algorithms(by_xla, input_gradient, weight_gradient)
    if channels == 1 and outputs > FEW and x_shape[0] > 1:
        weight_gradient = by_image_products
    return Algorithms(by_image_products, by_image_products if dense else by_xla, weight_gradient)


class AlgorithmTable(Protocol):
    """What chooses instead of the rule."""

    def choose(self, x: Sequence[int], weight: Sequence[int], dtype: Any, geometry: Geometry, /) -> Algorithms:
        """The algorithms for a convolution of these shapes, of this dtype."""
        ...


def convolve(
    x: jax.Array,
    weight: jax.Array,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    layout: str,
    table: AlgorithmTable | None = None,
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
        table: what chooses the algorithms; None for the rule.
    """
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    return convolve_by(_chosen(table, x.shape, weight, geometry), geometry, x, weight)


def convolve_transposed(
    y: jax.Array,
    weight: jax.Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    layout: str,
    table: AlgorithmTable | None = None,
) -> jax.Array:
    """The transpose of `convolve` with the same weight and arguments, from its output `y` to an input of `shape`."""
    geometry = Geometry(tuple(strides), tuple(padding), tuple(dilation), groups, layout)
    return _apply(y, weight, Options('input', shape, _chosen(table, shape, weight, geometry), geometry))


def _chosen(table, shape, weight, geometry):
    if table is None or not is_static(shape):
        return choose_algorithms(shape, weight.shape, geometry)
    return table.choose(shape, weight.shape, weight.dtype, geometry)


def convolve_by(algorithms: Algorithms, geometry: Geometry, x: jax.Array, weight: jax.Array) -> jax.Array:
    """The convolution by these algorithms."""
    if algorithms == Algorithms():
        return by_xla(x, weight, geometry)
    return _apply(x, weight, Options('output', output_shape(x, weight, geometry), algorithms, geometry))


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
    """By the algorithm, with sums in float32 at least.

    XLA fuses it with nothing around it: it would fuse what makes an image, or what uses the gradient of one, into each
    of the slices, and compute it many times.
    """
    index = ('output', 'input', 'weight').index(options.result)
    algorithm, dtype = options.algorithms[index], left.dtype
    if algorithm is by_xla:
        return _result(by_xla, left, right, options)
    left, right = lax.optimization_barrier(left), right if index < 2 else lax.optimization_barrier(right)
    wide = at_least_float32(dtype)
    left, right = lax.convert_element_type(left, wide), lax.convert_element_type(right, wide)
    gradients = GRADIENTS.get(algorithm)
    if index and gradients:
        result = gradients[index - 1](left, right, options.geometry, options.shape)
    else:
        result = _result(algorithm, left, right, options)
    result = lax.convert_element_type(result, dtype)
    once = index == 1 and algorithm is by_shift_and_add  # it sums in one pass, which may compute more
    return result if index == 2 or once else lax.optimization_barrier(result)


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
    by_reduce_window = functools.partial(_by_reduce_window, windows=windows)
    overlap = any(stride < size for size, stride in zip(sizes, strides, strict=True))
    if max(sizes) > (MAX_WINDOW if overlap else 4) or not is_static(x.shape):
        return by_reduce_window(x)  # good at large windows that do not overlap; takes 7 to 20 times as long at others

    def on_cpu(x):
        if strides == sizes:
            return max_of_tiles(_whole_tiles(x, _lowest(x), sizes, padding), sizes)
        return _max_by_axis(x, _lowest(x), sizes, strides, padding)

    few = math.prod(sizes) <= MAX_POSITIONS
    others = functools.partial(max_with_positions, windows=windows) if few else by_reduce_window
    return lax.platform_dependent(x, cpu=on_cpu, default=others)


def _lowest(x):
    return np.array(-np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min, x.dtype)


def _by_reduce_window(x, windows):
    return lax.reduce_window(x, _lowest(x), lax.max, *windows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def max_with_positions(x: jax.Array, windows: Windows) -> jax.Array:
    """The largest value of each window; the first of equals gets the gradient, for which its position is kept.

    On GPU the gradient of XLA's maximum is a scatter, with an index of 32 bits for each axis.
    """
    return _by_reduce_window(x, windows)


@max_with_positions.defjvp
def _max_with_positions_jvp(windows, primals, tangents):
    def by_xla(x, tangent):
        return jax.jvp(functools.partial(_by_reduce_window, windows=windows), (x,), (tangent,))

    def by_positions(x, tangent):
        *earlier, last = _pieces(x, _lowest(x), windows)
        y, first = max_with_positions(x, windows), lax.full_like(last, len(earlier), 'uint8')
        for position, piece in reversed(list(enumerate(earlier))):
            first = lax.select(lax.eq(piece, y), lax.full_like(first, position), first)
        # The backward pass keeps the position alone, in a byte.
        return y, jax.checkpoint(_at_positions, prevent_cse=False, static_argnums=2)(first, tangent, windows)

    return lax.platform_dependent(*primals, *tangents, tpu=by_xla, default=by_positions)


def _at_positions(positions, x, windows):
    """Of each window, the element at its position."""
    return lax.select_n(positions.astype('int32'), *_pieces(x, np.zeros((), x.dtype), windows))


def _pieces(x, value, windows):
    """For each position in a window, the elements of x there, one for each window, with the value for padding."""
    padded = lax.pad(x, value, [(*each, 0) for each in windows.padding])
    return in_windows(padded, windows.sizes, windows.strides, [1] * x.ndim)


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
    return functools.reduce(lax.max, in_windows(x, sizes, sizes, [1] * x.ndim))


@max_of_tiles.defjvp
def _max_of_tiles_jvp(sizes, primals, tangents):
    (x,), (tangent,) = primals, tangents
    y = max_of_tiles(x, sizes)
    *earlier, _ = in_windows(x, sizes, sizes, [1] * x.ndim)
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
            x = first_max(*in_windows(x, window, steps, [1] * x.ndim))
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
