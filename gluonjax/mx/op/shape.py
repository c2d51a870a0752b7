"""Operators that change shapes, and those that make arrays."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.mx.op.attributes import Bounds, DType, Shape, dtype_of
from gluonjax.mx.op.table import Pass, operator

SKIP = -5  # a code of `npx.reshape`: an axis of size 1 goes


def reshaped(shape: Sequence[int], codes: Sequence[int], reverse: bool = False) -> list[int]:
    """The shape that MXNet's codes ask for.

    0 keeps an axis, -1 takes what is left, -2 keeps all that follow, -3 joins two, -4 splits one by the two codes that
    follow. With `reverse` axes and codes are read from the last one on.

    Raises:
        ShapeError: if the sizes do not fit.

    >>> reshaped((2, 3, 4), (-3, 0)), reshaped((2, 3, 4), (0, -4, -1, 1, -2)), reshaped((8, 3), (-1, 0), reverse=True)
    ([6, 4], [2, 3, 1, 4], [8, 3])
    """
    if reverse:
        return reshaped(shape[::-1], codes[::-1])[::-1]
    result, axis, codes = [], 0, list(codes)
    while codes:
        code = codes.pop(0)
        if code == -2:
            result += shape[axis:]
            axis = len(shape)
        elif code == -3:
            result.append(shape[axis] * shape[axis + 1])
            axis += 2
        elif code == SKIP:
            axis += 1
        elif code == -4:
            first, second, codes = codes[0], codes[1], codes[2:]
            size = shape[axis]
            result += [size // second if first == -1 else first, size // first if second == -1 else second]
            axis += 1
        else:
            result.append(shape[axis] if code == 0 else code)
            axis += 1
    if -1 in result:
        rest = math.prod(size for size in result if size != -1)
        result[result.index(-1)] = math.prod(shape) // max(rest, 1)
    if math.prod(result) != math.prod(shape):
        raise ShapeError('Reshape cannot give this shape', expected=f'{math.prod(shape)} elements', got=tuple(result))
    return result


@operator('Reshape', 'reshape')
def reshape(
    data: jax.Array,
    *,
    shape: Shape = (),
    reverse: bool = False,
    target_shape: Shape = (),
    keep_highest: bool = False,
) -> jax.Array:
    """The array in another shape; see `reshaped` for the codes. `target_shape` is that of 2015, where 0 is the rest."""
    if shape:
        return data.reshape(reshaped(data.shape, shape, reverse))
    target = [size or -1 for size in target_shape]
    if keep_highest:
        target[0] = data.shape[0]
    return data.reshape(target)


@operator('Flatten', 'flatten', '_npx_batch_flatten')
def flatten(data: jax.Array) -> jax.Array:
    """All axes but the first as one."""
    return data.reshape(data.shape[0], math.prod(data.shape[1:]))


@operator('reshape_like', '_npx_reshape_like')
def reshape_like(
    lhs: jax.Array,
    rhs: jax.Array,
    *,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> jax.Array:
    """The array in the shape of another one, or with some of its axes in the shape of some axes of that."""
    left, right = slice(lhs_begin, lhs_end).indices(lhs.ndim), slice(rhs_begin, rhs_end).indices(rhs.ndim)
    return lhs.reshape(*lhs.shape[: left[0]], *rhs.shape[right[0] : right[1]], *lhs.shape[left[1] :])


@operator('transpose')
def transpose(data: jax.Array, *, axes: Shape = ()) -> jax.Array:
    """The axes in another order, by default reversed."""
    return jnp.transpose(data, axes or None)


@operator('SwapAxis', 'swapaxes', '_npi_swapaxes')
def swapaxes(data: jax.Array, *, dim1: int = 0, dim2: int = 0) -> jax.Array:
    """Two axes change places."""
    return jnp.swapaxes(data, dim1, dim2)


@operator('expand_dims', '_npi_expand_dims')
def expand_dims(data: jax.Array, *, axis: int) -> jax.Array:
    """A new axis of size 1."""
    return jnp.expand_dims(data, axis)


@operator('squeeze')
def squeeze(data: jax.Array, *, axis: Shape | None = None) -> jax.Array:
    """Without axes of size 1; one stays."""
    result = jnp.squeeze(data, axis or None)
    return result.reshape(1) if result.ndim == 0 else result


@operator('Concat', 'concat', '_sparse_concat')
def concat(*data: jax.Array, num_args: int = 0, dim: int = 1) -> jax.Array:
    """Arrays one behind the other along an axis."""
    return jnp.concatenate(data, dim)


@operator('stack')
def stack(*data: jax.Array, axis: int = 0, num_args: int = 0) -> jax.Array:
    """Arrays along a new axis."""
    return jnp.stack(data, axis)


@operator('SliceChannel', 'split', outputs=lambda a: a['num_outputs'])
def slice_channel(data: jax.Array, *, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> list[jax.Array]:
    """Equal parts along an axis."""
    parts = jnp.split(data, num_outputs, axis)
    return [jnp.squeeze(part, axis) for part in parts] if squeeze_axis else parts


@operator('_split_v2', '_npi_split', outputs=lambda a: a['sections'] or len(a['indices']))
def split_v2(
    data: jax.Array, *, indices: Shape = (), axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> list[jax.Array]:
    """Equal parts, or parts that begin at `indices`, the first of which is 0."""
    parts = jnp.split(data, sections or indices[1:], axis)
    return [jnp.squeeze(part, axis) for part in parts] if squeeze_axis else parts


@operator('slice', 'crop', '_npi_slice', '_npx_slice', '_sparse_slice')
def slice_(data: jax.Array, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> jax.Array:
    """What Python's slices would give, one for each of the first axes."""
    steps = step or (None,) * len(begin)
    return data[tuple(slice(*bounds) for bounds in zip(begin, end, steps, strict=True))]


@operator('slice_axis')
def slice_axis(data: jax.Array, *, axis: int, begin: int, end: int | None) -> jax.Array:
    """What Python's slice would give along one axis."""
    return lax.slice_in_dim(data, *slice(begin, end).indices(data.shape[axis])[:2], axis=axis % data.ndim)


@operator('slice_like')
def slice_like(data: jax.Array, shape_like: jax.Array, *, axes: Shape = ()) -> jax.Array:
    """The beginning of an array, as long as another one along these axes, by default all."""
    sizes = list(data.shape)
    for axis in axes or range(data.ndim):
        sizes[axis] = shape_like.shape[axis]
    return lax.slice(data, [0] * data.ndim, sizes)


@operator('Crop')
def crop(
    *data: jax.Array, num_args: int = 1, offset: Shape = (0, 0), h_w: Shape = (0, 0), center_crop: bool = False
) -> jax.Array:
    """A part of images, of size h_w or as large as the second input."""
    x, size = data[0], data[1].shape[2:] if len(data) > 1 else h_w
    (height, width), (top, left) = size, offset
    if center_crop:
        top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


@operator('broadcast_axis', 'broadcast_axes')
def broadcast_axis(data: jax.Array, *, axis: Shape = (), size: Shape = ()) -> jax.Array:
    """Axes of size 1 with other sizes."""
    shape = list(data.shape)
    for number, length in zip(axis, size, strict=True):
        shape[number] = length
    return jnp.broadcast_to(data, shape)


@operator('broadcast_to')
def broadcast_to(data: jax.Array, *, shape: Shape = ()) -> jax.Array:
    """Axes of size 1 with other sizes; 0 keeps one."""
    return jnp.broadcast_to(data, [size or old for size, old in zip(shape, data.shape, strict=True)])


@operator('broadcast_like')
def broadcast_like(
    lhs: jax.Array, rhs: jax.Array, *, lhs_axes: Shape | None = None, rhs_axes: Shape | None = None
) -> jax.Array:
    """Axes of size 1 as large as those of another array."""
    if lhs_axes is None or rhs_axes is None:
        return jnp.broadcast_to(lhs, rhs.shape)
    if not lhs_axes or len(lhs_axes) != len(rhs_axes):
        raise ArgumentError('lhs_axes and rhs_axes have one axis or more each', got=f'{lhs_axes}, {rhs_axes}')
    shape = list(lhs.shape)
    for left, right in zip(lhs_axes, rhs_axes, strict=True):
        shape[left] = rhs.shape[right]
    return jnp.broadcast_to(lhs, shape)


@operator('tile', '_npi_tile')
def tile(data: jax.Array, *, reps: Shape) -> jax.Array:
    """The array side by side with itself."""
    return jnp.tile(data, reps)


@operator('repeat', '_np_repeat')
def repeat(data: jax.Array, *, repeats: int, axis: int | None = None) -> jax.Array:
    """Every element, or every slice along an axis, several times."""
    return jnp.repeat(data, repeats, axis)


@operator('reverse', 'flip')
def reverse(data: jax.Array, *, axis: Shape) -> jax.Array:
    """From the last to the first along axes."""
    return jnp.flip(data, axis)


@operator('Pad', 'pad')
def pad(
    data: jax.Array, *, mode: Literal['constant', 'edge', 'reflect'], pad_width: Shape, constant_value: float = 0
) -> jax.Array:
    """With more elements before and behind along each axis."""
    widths = list(zip(pad_width[::2], pad_width[1::2], strict=True))
    options = {'constant_values': constant_value} if mode == 'constant' else {}
    return jnp.pad(data, widths, mode, **options)


@operator('depth_to_space')
def depth_to_space(data: jax.Array, *, block_size: int) -> jax.Array:
    """Channels become blocks of pixels."""
    n, c, h, w = data.shape
    blocks = data.reshape(n, block_size, block_size, c // block_size**2, h, w)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // block_size**2, h * block_size, w * block_size)


@operator('space_to_depth')
def space_to_depth(data: jax.Array, *, block_size: int) -> jax.Array:
    """Blocks of pixels become channels."""
    n, c, h, w = data.shape
    blocks = data.reshape(n, c, h // block_size, block_size, w // block_size, block_size)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * block_size**2, h // block_size, w // block_size)


@operator('shape_array', '_npx_shape_array')
def shape_array(data: jax.Array) -> jax.Array:
    """The shape, as an array."""
    return jnp.array(data.shape, dtype_of('int64'))


@operator('size_array')
def size_array(data: jax.Array) -> jax.Array:
    """The number of elements, of shape (1,)."""
    return jnp.array([data.size], dtype_of('int64'))


@operator('diag')
def diag(data: jax.Array, *, k: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The diagonal of matrices, or a matrix with this diagonal."""
    return jnp.diag(data, k) if data.ndim == 1 else jnp.diagonal(data, k, axis1, axis2)


# What makes arrays. A size that is 0 is decided by what the array is used with.


def _known(shape: Shape, pass_: Pass) -> tuple[int, ...]:
    return pass_.shapes[0] if pass_.shapes else shape


@operator('_zeros', '_npi_zeros')
def zeros(*, shape: Shape = (), ctx: str = '', dtype: DType = 'float32', pass_: Pass) -> jax.Array:
    """Zeros."""
    return jnp.zeros(_known(shape, pass_), dtype_of(dtype))


@operator('_zeros_without_dtype')
def zeros_without_dtype(*, shape: Shape = (), ctx: str = '', dtype: int = -1, pass_: Pass) -> jax.Array:
    """Zeros of float32."""
    return jnp.zeros(_known(shape, pass_))


@operator('_ones', '_npi_ones')
def ones(*, shape: Shape = (), ctx: str = '', dtype: DType = 'float32', pass_: Pass) -> jax.Array:
    """Ones."""
    return jnp.ones(_known(shape, pass_), dtype_of(dtype))


@operator('_full', '_npi_full')
def full(*, shape: Shape = (), value: float, ctx: str = '', dtype: DType = 'float32', pass_: Pass) -> jax.Array:
    """One number everywhere."""
    return jnp.full(_known(shape, pass_), value, dtype_of(dtype))


@operator('_eye')
def eye(*, N: int, M: int = 0, k: int = 0, ctx: str = '', dtype: DType = 'float32') -> jax.Array:
    """Ones on a diagonal."""
    return jnp.eye(N, M or None, k, dtype_of(dtype))


@operator('_arange')
def arange(
    *,
    start: float,
    stop: float | None = None,
    step: float = 1,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: str = '',
    dtype: DType = 'float32',
    pass_: Pass,
) -> jax.Array:
    """Numbers in equal steps, each `repeat` times."""
    if infer_range and pass_.shapes:
        return _steps(start, step, repeat, pass_.shapes[0][0], dtype_of(dtype))
    if stop is None:
        start, stop = 0.0, start
    count = max(0, math.ceil((stop - start) / step))
    return _steps(start, step, repeat, count * repeat, dtype_of(dtype))


def _steps(start: float, step: float, repeat: int, count: int, dtype: Any) -> jax.Array:
    if jnp.issubdtype(dtype, jnp.integer) and float(start).is_integer() and float(step).is_integer():
        start, step = int(start), int(step)  # exact, where float32 is not
    return (start + step * (jnp.arange(count) // repeat)).astype(dtype)


@operator('_contrib_arange_like', '_npx_arange_like')
def arange_like(
    data: jax.Array, *, start: float = 0, step: float = 1, repeat: int = 1, ctx: str = '', axis: int | None = None
) -> jax.Array:
    """Numbers in equal steps, as many as an array has elements, or as it is long along an axis."""
    if axis is not None:
        return _steps(start, step, repeat, data.shape[axis], data.dtype)
    return _steps(start, step, repeat, data.size, data.dtype).reshape(data.shape)


@operator('_linspace', '_npi_linspace')
def linspace(
    *,
    start: float,
    stop: float | None = None,
    step: float = 1,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: str = '',
    dtype: DType = 'float32',
    num: int = 50,
    endpoint: bool = True,
) -> jax.Array:
    """`num` numbers from start to stop."""
    return jnp.linspace(start, start if stop is None else stop, num, endpoint, dtype=dtype_of(dtype))
