"""Operators that change the size of images."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.mx.op.attributes import Shape
from gluonjax.mx.op.table import Attributes, Shapes, operator
from gluonjax.nn.kernels import convolve_transposed


def along_axis(x: jax.Array, matrix: np.ndarray, axis: int) -> jax.Array:
    """The product of a matrix, (outputs, inputs), with x along an axis."""
    return jnp.moveaxis(jnp.tensordot(x, jnp.asarray(matrix.T, x.dtype), ((axis,), (0,))), -1, axis)


def bilinear_matrix(old: int, new: int, align_corners: bool) -> np.ndarray:
    """The weights of linear interpolation, (new, old)."""
    if align_corners:
        places = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0.0)
    else:
        places = np.maximum((np.arange(new) + 0.5) * (old / new) - 0.5, 0)
    low = np.minimum(places.astype(int), old - 1)
    high, share = np.minimum(low + 1, old - 1), places - low
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new), low), 1 - share)
    np.add.at(matrix, (np.arange(new), high), share)
    return matrix


_Resizing = Literal['size', 'odd_scale', 'like', 'to_even_down', 'to_even_up', 'to_odd_down', 'to_odd_up']


def _resized(size: int, wanted: int, scale: float | None, mode: str) -> int:
    if mode == 'size':
        return wanted if scale is None else int(size * scale)
    if mode == 'odd_scale':
        return int(size * (scale or 1)) if size % 2 == 0 else int((size - 1) * (scale or 1)) + 1
    even = size % 2 == 0
    return {
        'to_even_down': size if even else size - 1,
        'to_even_up': size if even else size + 1,
        'to_odd_down': size - 1 if even else size,
        'to_odd_up': size + 1 if even else size,
    }[mode]


@operator('_contrib_BilinearResize2D', only_if={'like': lambda a: a['mode'] == 'like'})
def bilinear_resize(
    data: jax.Array,
    like: jax.Array | None = None,
    *,
    height: int = 1,
    width: int = 1,
    scale_height: float | None = None,
    scale_width: float | None = None,
    mode: _Resizing = 'size',
    align_corners: bool = True,
) -> jax.Array:
    """Linear interpolation of images to another size."""
    rows, columns = data.shape[2:]
    if like is not None:
        size: Sequence[int] = like.shape[2:]
    else:
        size = _resized(rows, height, scale_height, mode), _resized(columns, width, scale_width, mode)
    x = along_axis(data, bilinear_matrix(rows, size[0], align_corners), 2)
    return along_axis(x, bilinear_matrix(columns, size[1], align_corners), 3)


def _mean_matrix(old: int, new: int) -> np.ndarray:
    starts, ends = np.arange(new) * old // new, -(-(np.arange(1, new + 1) * old) // new)
    inside = (np.arange(old) >= starts[:, None]) & (np.arange(old) < ends[:, None])
    return inside / (ends - starts)[:, None]


@operator('_contrib_AdaptiveAvgPooling2D')
def adaptive_avg_pooling(data: jax.Array, *, output_size: Shape = ()) -> jax.Array:
    """Means of as many windows as the output has pixels."""
    height, width = (output_size * 2)[:2] if output_size else (1, 1)
    x = along_axis(data, _mean_matrix(data.shape[2], height), 2)
    return along_axis(x, _mean_matrix(data.shape[3], width), 3)


def _upsampling_inputs(attributes: Attributes, shapes: Shapes) -> Shapes:
    if attributes['sample_type'] == 'nearest' or shapes.get('arg0') is None:
        return {}
    size = 2 * attributes['scale'] - attributes['scale'] % 2
    return {'arg1': (shapes['arg0'][1], 1, size, size)}


@operator('UpSampling', infer=_upsampling_inputs)
def up_sampling(
    *data: jax.Array,
    scale: int,
    num_filter: int = 0,
    sample_type: Literal['nearest', 'bilinear'],
    multi_input_mode: Literal['concat', 'sum'] = 'concat',
    num_args: int = 1,
    workspace: int = 512,
) -> Any:
    """Images `scale` times as large: every pixel repeated, or a transposed convolution with the second input.

    Several images come out as large as the first one does.
    """
    if sample_type == 'bilinear':
        x, weight = data
        size, pad = 2 * scale - scale % 2, -(-(scale - 1) // 2)
        shape = (*x.shape[:2], *((n - 1) * scale + size - 2 * pad for n in x.shape[2:]))
        return convolve_transposed(x, weight, shape, (scale,) * 2, (pad,) * 2, (1, 1), x.shape[1], 'NCHW')
    height = data[0].shape[2] * scale
    images = [jnp.repeat(jnp.repeat(x, height // x.shape[2], 2), height // x.shape[2], 3) for x in data]
    return sum(images) if multi_input_mode == 'sum' else jnp.concatenate(images, 1)
