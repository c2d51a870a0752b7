"""Convolutions whose windows are deformed: every pixel of a kernel reads where its offset says."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.mx.op.attributes import Shape
from gluonjax.mx.op.spatial import bilinear
from gluonjax.mx.op.table import Attributes, Shapes, operator

_Layout = Literal['NCHW', 'NCW', 'NCDHW'] | None


def _inputs(attributes: Attributes, shapes: Shapes) -> Shapes:
    data = shapes.get('data')
    if data is None:
        return {}
    filters, groups = attributes['num_filter'], attributes['num_group']
    kernel, pairs = attributes['kernel'], attributes['num_deformable_group'] * 2
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, d, p in zip(data[2:], kernel, *_windows(attributes), strict=True)
    ]
    channels = pairs * kernel[0] * kernel[1]
    return {
        'offset': (data[0], channels, *size),
        'mask': (data[0], channels // 2, *size),
        'weight': (filters, data[1] // groups, *kernel),
        'bias': (filters,),
    }


def _windows(attributes: Attributes) -> tuple[Shape, Shape, Shape]:
    return attributes['stride'] or (1, 1), attributes['dilate'] or (1, 1), attributes['pad'] or (0, 0)


def _places(kernel: Shape, windows: tuple[Shape, Shape, Shape], size: Shape) -> np.ndarray:
    """The rows and columns that windows read when they are not deformed: (pixels of the kernel, 2, *size)."""
    axes = []
    for k, s, d, p, n in zip(kernel, *windows, size, strict=True):
        axes.append(np.arange(k)[:, None] * d + np.arange(n)[None] * s - p)
    y, x = axes
    shape = (*kernel, *size)
    pairs = np.broadcast_to(y[:, None, :, None], shape), np.broadcast_to(x[None, :, None, :], shape)
    return np.stack(pairs, 2).reshape(-1, 2, *size)


def _clipped(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """As `bilinear`, but pixels of the last row and column are as wide as others, and nothing reaches beyond."""
    height, width = image.shape[1:]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    values = bilinear(image, jnp.minimum(y, height - 1), jnp.minimum(x, width - 1))
    return jnp.where(inside[None], values, 0)


def _convolved(
    data: jax.Array,
    offset: jax.Array,
    mask: jax.Array | None,
    weight: jax.Array,
    bias: jax.Array | None,
    attributes: Attributes,
) -> jax.Array:
    batch, channels = data.shape[:2]
    kernel, size = attributes['kernel'], offset.shape[2:]
    pixels, parts, groups = kernel[0] * kernel[1], attributes['num_deformable_group'], attributes['num_group']
    places = _places(kernel, _windows(attributes), size)
    moved = offset.reshape(batch * parts, pixels, 2, *size) + jnp.asarray(places, offset.dtype)[None]
    images = data.reshape(batch * parts, channels // parts, *data.shape[2:])
    read = _clipped if mask is None else bilinear
    columns = jax.vmap(read)(images, moved[:, :, 0], moved[:, :, 1])  # (batch * parts, channels, pixels, *size)
    if mask is not None:
        columns *= mask.reshape(batch * parts, 1, pixels, *size)
    columns = columns.reshape(batch, groups, channels // groups * pixels, *size)
    kernels = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = jnp.einsum('ngchw,gfc->ngfhw', columns, kernels).reshape(batch, weight.shape[0], *size)
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


@operator('_contrib_DeformableConvolution', only_if={'bias': lambda a: not a['no_bias']}, infer=_inputs)
def deformable_convolution(
    data: jax.Array,
    offset: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: int,
    num_group: int = 1,
    num_deformable_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    layout: _Layout = None,
) -> jax.Array:
    """A convolution whose pixels are moved by `offset`, (batch, groups * kernel pixels * 2, height, width)."""
    attributes = {'kernel': kernel, 'stride': stride, 'dilate': dilate, 'pad': pad}
    attributes |= {'num_group': num_group, 'num_deformable_group': num_deformable_group}
    return _convolved(data, offset, None, weight, bias, attributes)


@operator('_contrib_ModulatedDeformableConvolution', only_if={'bias': lambda a: not a['no_bias']}, infer=_inputs)
def modulated_deformable_convolution(
    data: jax.Array,
    offset: jax.Array,
    mask: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: int,
    num_group: int = 1,
    num_deformable_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    im2col_step: int = 64,
    layout: _Layout = None,
) -> jax.Array:
    """As `DeformableConvolution`, with every pixel of every window times `mask`."""
    attributes = {'kernel': kernel, 'stride': stride, 'dilate': dilate, 'pad': pad}
    attributes |= {'num_group': num_group, 'num_deformable_group': num_deformable_group}
    return _convolved(data, offset, mask, weight, bias, attributes)
