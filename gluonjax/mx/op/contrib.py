"""Operators that stand alone: CTC, patches, counts, straight-through gradients, images."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.loss import CTCLoss
from gluonjax.mx.op.attributes import Floats
from gluonjax.mx.op.elementwise import all_alike
from gluonjax.mx.op.index import as_indices
from gluonjax.mx.op.table import operator


@operator(
    'CTCLoss',
    'ctc_loss',
    '_contrib_CTCLoss',
    '_contrib_ctc_loss',
    only_if={
        'data_lengths': lambda a: a['use_data_lengths'],
        'label_lengths': lambda a: a['use_label_lengths'],
    },
    outputs=lambda a: ('output0', 'output1'),
    visible=lambda a: 1,
)
def ctc_loss(
    data: jax.Array,
    label: jax.Array,
    data_lengths: jax.Array | None = None,
    label_lengths: jax.Array | None = None,
    *,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: Literal['first', 'last'] = 'first',
) -> tuple[jax.Array, jax.Array]:
    """The loss of each sample, (N,): logits (T, N, C), labels (N, L) that end at 0, or at -1 if blanks are last."""
    if blank_label == 'first':
        data, label = jnp.roll(data, -1, 2), label - 1
    loss = CTCLoss('TNC')(data, label, data_lengths, label_lengths)
    return loss, jnp.zeros_like(data)


@operator('_contrib_quadratic', infer=all_alike)
def quadratic(data: jax.Array, *, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> jax.Array:
    """`a * data ** 2 + b * data + c`."""
    return a * data * data + b * data + c


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _scaled_gradient(x: jax.Array, scalar: float) -> jax.Array:
    return x


@_scaled_gradient.defjvp
def _scaled_gradient_jvp(scalar, primals, tangents):
    return primals[0], tangents[0] * scalar


@operator('_contrib_gradientmultiplier', infer=all_alike)
def gradient_multiplier(data: jax.Array, *, scalar: float = 1.0, is_int: bool = True) -> jax.Array:
    """The array; its gradient is multiplied."""
    return _scaled_gradient(data, scalar)


@operator('_contrib_round_ste', '_sparse__contrib_round_ste', infer=all_alike)
def round_ste(data: jax.Array) -> jax.Array:
    """Rounded; the gradient passes as it is."""
    return data + lax.stop_gradient(jnp.trunc(data + jnp.copysign(0.5, data)) - data)


@operator('_contrib_sign_ste', '_sparse__contrib_sign_ste', infer=all_alike)
def sign_ste(data: jax.Array) -> jax.Array:
    """The sign; the gradient passes as it is."""
    return data + lax.stop_gradient(jnp.sign(data) - data)


@operator('_contrib_allclose')
def allclose(
    a: jax.Array, b: jax.Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = True
) -> jax.Array:
    """1 if all elements are close, else 0."""
    return jnp.allclose(a, b, rtol, atol, equal_nan).astype('uint8')


@operator('_identity_with_attr_like_rhs')
def identity_like(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """The first array."""
    return lhs


@operator('IdentityAttachKLSparseReg', infer=all_alike)
def identity_with_regularization(
    data: jax.Array, *, sparseness_target: float = 0.1, penalty: float = 0.001, momentum: float = 0.9
) -> jax.Array:
    """The array; MXNet's penalty of activations, a part of its training engine, is not added to the gradient."""
    return data


@operator('cast_storage', '_sparse_cast_storage', infer=all_alike)
def cast_storage(data: jax.Array, *, stype: Literal['default', 'csr', 'row_sparse']) -> jax.Array:
    """The array; all are dense here."""
    return data


@operator('_sparse_retain')
def sparse_retain(data: jax.Array, indices: jax.Array) -> jax.Array:
    """Zeros but for these rows."""
    keep = jnp.zeros(len(data), bool).at[as_indices(indices)].set(True)
    return jnp.where(jnp.expand_dims(keep, range(1, data.ndim)), data, 0)


@operator('_scatter_elemwise_div', infer=all_alike)
def scatter_elemwise_div(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """The quotient."""
    return lhs / rhs


@operator('all_finite')
def all_finite(data: jax.Array, *, init_output: bool = True) -> jax.Array:
    """1 if every number is finite, else 0, of shape (1,)."""
    return jnp.isfinite(data).all().astype('float32').reshape(1)


@operator('multi_all_finite')
def multi_all_finite(*data: jax.Array, num_arrays: int = 1, init_output: bool = True) -> jax.Array:
    """1 if every number of every array is finite, else 0, of shape (1,)."""
    return jnp.stack([jnp.isfinite(x).all() for x in data]).all().astype('float32').reshape(1)


@operator('multi_sum_sq')
def multi_sum_sq(*data: jax.Array, num_arrays: int) -> jax.Array:
    """The sum of the squares of each array."""
    return jnp.stack([jnp.square(x.astype('float32')).sum() for x in data])


@operator('amp_multicast', outputs=lambda a: a['num_outputs'])
def amp_multicast(*data: jax.Array, num_outputs: int, cast_narrow: bool = False) -> list[jax.Array]:
    """The arrays in the widest dtype among them, or the narrowest."""
    dtypes = sorted((x.dtype for x in data), key=lambda dtype: dtype.itemsize)
    return [x.astype(dtypes[0 if cast_narrow else -1]) for x in data]


# Images, (H, W, C) or (N, H, W, C).


@operator('_image_to_tensor', '_npx__image_to_tensor')
def to_tensor(data: jax.Array) -> jax.Array:
    """Channels first, from 0 to 1."""
    return jnp.moveaxis(data.astype('float32') / 255, -1, -3)


@operator('_image_normalize', '_npx__image_normalize')
def normalize(data: jax.Array, *, mean: Floats = (0.0,) * 4, std: Floats = (1.0,) * 4) -> jax.Array:
    """Each channel, of images with channels first, less its mean and divided by its deviation."""

    def along(numbers: Floats) -> jax.Array:
        chosen = np.resize(np.array(numbers), data.shape[-3]) if len(numbers) == 1 else numbers[: data.shape[-3]]
        return jnp.array(chosen, data.dtype).reshape((1,) * (data.ndim - 3) + (-1, 1, 1))

    return (data - along(mean)) / along(std)


@operator('_image_flip_left_right', '_npx__image_flip_left_right')
def flip_left_right(data: jax.Array) -> jax.Array:
    """Mirrored."""
    return jnp.flip(data, -2)


@operator('_image_flip_top_bottom', '_npx__image_flip_top_bottom')
def flip_top_bottom(data: jax.Array) -> jax.Array:
    """Upside down."""
    return jnp.flip(data, -3)


@operator('_image_crop', '_npx__image_crop')
def image_crop(data: jax.Array, *, x: int, y: int, width: int, height: int) -> jax.Array:
    """A part of images."""
    return data[..., y : y + height, x : x + width, :]
