"""Operators that read images at computed positions: grids, transformers, correlation, columns of windows."""

import itertools
import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.errors import ArgumentError
from gluonjax.mx.op.attributes import Shape
from gluonjax.mx.op.table import Attributes, Shapes, operator


def neighbours(y: jax.Array, x: jax.Array, size: Shape) -> list[tuple[jax.Array, jax.Array]]:
    """The four pixels around points of an image of a size: their places in the flattened image, and their weights.

    Args:
        y: rows, of any shape.
        x: columns, of the same shape.
        size: height and width; what lies around the image weighs nothing.
    """
    height, width = size
    top, left = _floor(y), _floor(x)
    below, right = y - top, x - left
    found = []
    for row, column, weight in (
        (top, left, (1 - below) * (1 - right)),
        (top, left + 1, (1 - below) * right),
        (top + 1, left, below * (1 - right)),
        (top + 1, left + 1, below * right),
    ):
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = jnp.where(inside, row * width + column, 0).astype('int32')
        found.append((place, jnp.where(inside, weight, 0)))
    return found


def _floor(x: jax.Array) -> jax.Array:
    """The next whole number below, or just above: XLA may compute x twice, rounded to both sides of a whole number."""
    return jnp.floor(x + 1e-6 * (1 + jnp.abs(x)))


def bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """An image, (channels, height, width), between its pixels: (channels, *y.shape); zeros lie around it."""
    flat = image.reshape(image.shape[0], -1)
    total = jnp.zeros((image.shape[0], *y.shape), image.dtype)
    for place, weight in neighbours(y, x, image.shape[1:]):
        total += weight[None] * flat[:, place]
    return total


def _pixels(size: Shape) -> np.ndarray:
    """The columns and rows of all pixels, (2, height, width), from -1 to 1."""
    rows, columns = (np.linspace(-1, 1, n) if n > 1 else np.array([-1.0]) for n in size)
    y, x = np.meshgrid(rows, columns, indexing='ij')
    return np.stack([x, y])


def _affine_grid(theta: jax.Array, size: Shape) -> tuple[jax.Array, np.ndarray]:
    x, y = _pixels(size)
    target = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    grid = theta.reshape(-1, 2, 3) @ jnp.asarray(target, theta.dtype)
    return grid.reshape(len(theta), 2, *size), target


def _size(name: str, target_shape: Shape) -> Shape:
    if len(target_shape) != 2 or min(target_shape) < 1:
        raise ArgumentError(f'target_shape of {name} must be two ints >= 1, got {target_shape}')
    return target_shape


@operator('GridGenerator', outputs=('output', 'grid_dst'), visible=lambda a: 1)
def grid_generator(
    data: jax.Array, *, transform_type: Literal['affine', 'warp'], target_shape: Shape = (0, 0)
) -> tuple[jax.Array, jax.Array]:
    """A grid for `BilinearSampler`, (batch, 2, height, width), from affine matrices or a flow in pixels.

    Raises:
        ArgumentError: if an affine grid has no `target_shape`.
    """
    if transform_type == 'affine':
        grid, target = _affine_grid(data, _size('GridGenerator', target_shape))
        return grid, jnp.asarray(target, data.dtype)
    height, width = data.shape[2:]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    places = jnp.asarray(np.stack([x, y]), data.dtype)
    half = jnp.array([(width - 1) / 2, (height - 1) / 2], data.dtype).reshape(1, 2, 1, 1)
    return (data + places[None]) / half - 1, places


def _sampled(data: jax.Array, grid: jax.Array) -> jax.Array:
    height, width = data.shape[2:]
    x, y = (grid[:, 0] + 1) * ((width - 1) / 2), (grid[:, 1] + 1) * ((height - 1) / 2)
    return jax.vmap(bilinear)(data, y, x)


@operator('BilinearSampler', outputs=('output', 'tmp'), visible=lambda a: 1)
def bilinear_sampler(data: jax.Array, grid: jax.Array, *, cudnn_off: bool | None = None) -> tuple[jax.Array, jax.Array]:
    """Images read where a grid says, its columns and rows from -1 to 1; zeros lie around them."""
    return _sampled(data, grid), jnp.zeros((len(data), *grid.shape[2:], 2), data.dtype)


def _transformer_inputs(attributes: Attributes, shapes: Shapes) -> Shapes:
    data = shapes.get('data')
    return {} if data is None else {'loc': (data[0], 6)}


@operator(
    'SpatialTransformer',
    outputs=('output', 'grid_dst', 'grid_src'),
    visible=lambda a: 1,
    infer=_transformer_inputs,
)
def spatial_transformer(
    data: jax.Array,
    loc: jax.Array,
    *,
    target_shape: Shape = (0, 0),
    transform_type: Literal['affine'],
    sampler_type: Literal['bilinear'],
    cudnn_off: bool | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images after affine transformations, whose matrices are `loc`, (batch, 6).

    Raises:
        ArgumentError: if it has no `target_shape`.
    """
    grid, target = _affine_grid(loc, _size('SpatialTransformer', target_shape))
    return _sampled(data, grid), jnp.asarray(target, data.dtype), grid


@operator('Correlation', outputs=('output', 'tmp1', 'tmp2'), visible=lambda a: 1)
def correlation(
    data1: jax.Array,
    data2: jax.Array,
    *,
    kernel_size: int = 1,
    max_displacement: int = 1,
    stride1: int = 1,
    stride2: int = 1,
    pad_size: int = 0,
    is_multiply: bool = True,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """How windows of one image agree with windows of another that are up to `max_displacement` away.

    A channel for each displacement: the mean product, or absolute difference, of the windows.

    Raises:
        ArgumentError: if `kernel_size` is even.
    """
    if kernel_size % 2 == 0:
        raise ArgumentError(f'kernel_size of Correlation must be odd, got {kernel_size}')
    border, reach = max_displacement + kernel_size // 2, max_displacement // stride2
    pads = ((0, 0), (0, 0), (pad_size, pad_size), (pad_size, pad_size))
    first, second = jnp.pad(data1, pads), jnp.pad(data2, pads)
    height, width = (-(-(n - 2 * border) // stride1) for n in first.shape[2:])
    size = (*first.shape[:2], (height - 1) * stride1 + kernel_size, (width - 1) * stride1 + kernel_size)
    start = (0, 0, max_displacement, max_displacement)
    window = lax.dynamic_slice(first, start, size)

    def displaced(shift: jax.Array) -> jax.Array:
        other = lax.dynamic_slice(second, (0, 0, max_displacement + shift[0], max_displacement + shift[1]), size)
        agreement = (window * other if is_multiply else jnp.abs(window - other)).sum(1)
        kernel, strides = (1, kernel_size, kernel_size), (1, stride1, stride1)
        return lax.reduce_window(agreement, 0.0, lax.add, kernel, strides, 'VALID')

    steps = np.arange(-reach, reach + 1) * stride2
    shifts = jnp.asarray(list(itertools.product(steps, steps)), 'int32')
    summed = lax.map(displaced, shifts) / (kernel_size**2 * data1.shape[1])
    return jnp.moveaxis(summed, 0, 1), jnp.moveaxis(first, 1, -1), jnp.moveaxis(second, 1, -1)


def _along(values: Shape, kernel: Shape, default: int) -> Shape:
    return values or (default,) * len(kernel)


@operator('im2col')
def im2col(data: jax.Array, *, kernel: Shape, stride: Shape = (), dilate: Shape = (), pad: Shape = ()) -> jax.Array:
    """The windows that a convolution sees, as columns: (batch, channels * kernel pixels, windows)."""
    steps, spread, pads = _along(stride, kernel, 1), _along(dilate, kernel, 1), _along(pad, kernel, 0)
    x = jnp.pad(data, ((0, 0), (0, 0), *((n, n) for n in pads)))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, spread, strict=True)]
    extents = [(n - span) // s * s + 1 for n, span, s in zip(x.shape[2:], spans, steps, strict=True)]
    columns = []
    for place in itertools.product(*map(range, kernel)):
        start = [i * d for i, d in zip(place, spread, strict=True)]
        end = [i + n for i, n in zip(start, extents, strict=True)]
        columns.append(lax.slice(x, (0, 0, *start), (*x.shape[:2], *end), (1, 1, *steps)))
    return jnp.stack(columns, 2).reshape(data.shape[0], data.shape[1] * math.prod(kernel), -1)


@operator('col2im')
def col2im(
    data: jax.Array,
    *,
    output_size: Shape,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
) -> jax.Array:
    """The sum of windows, given as columns, in the image of `output_size` that they are windows of."""
    channels = data.shape[1] // math.prod(kernel)
    image = jax.ShapeDtypeStruct((data.shape[0], channels, *output_size), data.dtype)
    windows = lambda x: im2col(x, kernel=kernel, stride=stride, dilate=dilate, pad=pad)  # noqa: E731
    return jax.linear_transpose(windows, image)(data)[0]
