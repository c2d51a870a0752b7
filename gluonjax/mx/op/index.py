"""Operators that pick elements by their positions, and products of matrices."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.mx.op.attributes import DType, Shape, dtype_of
from gluonjax.mx.op.nn import as_indices
from gluonjax.mx.op.table import Attributes, Shapes, operator


def in_range(indices: jax.Array, size: int, mode: str) -> jax.Array:
    """Indices between 0 and size - 1: clipped, or counted round with 'wrap'."""
    indices = as_indices(indices)
    return jnp.mod(indices, size) if mode == 'wrap' else jnp.clip(indices, 0, size - 1)


@operator('take', '_npi_take')
def take(
    a: jax.Array, indices: jax.Array, *, axis: int = 0, mode: Literal['clip', 'wrap', 'raise'] = 'clip'
) -> jax.Array:
    """Slices along an axis; negative indices count from the end with 'wrap' and 'raise'."""
    index = in_range(indices, a.shape[axis], 'wrap' if mode == 'raise' else mode)
    return jnp.take(a, index, axis=axis, mode='clip')


@operator('batch_take')
def batch_take(a: jax.Array, indices: jax.Array) -> jax.Array:
    """One element of each row."""
    index = in_range(indices.reshape(-1), a.shape[1], 'clip')
    return jnp.take_along_axis(a, index[:, None], 1)[:, 0].reshape(indices.shape)


@operator('pick', '_npx_pick', 'choose_element_0index')
def pick(
    data: jax.Array,
    index: jax.Array,
    *,
    axis: int | None = -1,
    keepdims: bool = False,
    mode: Literal['clip', 'wrap'] = 'clip',
) -> jax.Array:
    """One element along an axis for each of the other positions."""
    if axis is None:
        data, axis = data.reshape(-1), 0
    along = axis % data.ndim
    shape = [1 if i == along else size for i, size in enumerate(data.shape)]
    picked = jnp.take_along_axis(data, in_range(index.reshape(shape), data.shape[along], mode), along)
    result = picked if keepdims else picked.squeeze(along)
    return result.reshape(1) if result.ndim == 0 else result


@operator('one_hot', '_npx_one_hot')
def one_hot(
    indices: jax.Array, *, depth: int, on_value: float = 1, off_value: float = 0, dtype: DType = 'float32'
) -> jax.Array:
    """A new last axis with one number at the index and another elsewhere."""
    hit = as_indices(indices)[..., None] == jnp.arange(depth).reshape((1,) * indices.ndim + (depth,))
    return jnp.where(hit, on_value, off_value).astype(dtype_of(dtype))


@operator('gather_nd', '_npi_gather_nd', '_npx_gather_nd')
def gather_nd(data: jax.Array, indices: jax.Array) -> jax.Array:
    """Elements or slices at positions, whose coordinates are the first axis of `indices`."""
    places = as_indices(indices)
    return data[tuple(jnp.clip(place, -size, size - 1) for place, size in zip(places, data.shape, strict=False))]


@operator('scatter_nd')
def scatter_nd(data: jax.Array, indices: jax.Array, *, shape: Shape) -> jax.Array:
    """Zeros, with the data at positions."""
    return jnp.zeros(shape, data.dtype).at[tuple(as_indices(indices))].set(data)


@operator('_backward_gather_nd')
def scatter_add_nd(data: jax.Array, indices: jax.Array, *, shape: Shape) -> jax.Array:
    """Zeros, with the data added at positions."""
    return jnp.zeros(shape, data.dtype).at[tuple(as_indices(indices))].add(data)


@operator('_contrib_index_copy')
def index_copy(old_tensor: jax.Array, index_vector: jax.Array, new_tensor: jax.Array) -> jax.Array:
    """Rows of one array in place of rows of another."""
    return old_tensor.at[as_indices(index_vector)].set(new_tensor)


@operator('_contrib_index_array')
def index_array(data: jax.Array, *, axes: Shape | None = None) -> jax.Array:
    """The coordinates of every element, along a new last axis."""
    chosen = range(data.ndim) if axes is None else axes
    return jnp.stack([lax.broadcasted_iota('int32', data.shape, axis % data.ndim) for axis in chosen], -1)


@operator('_ravel_multi_index', 'ravel_multi_index')
def ravel_multi_index(data: jax.Array, *, shape: Shape = ()) -> jax.Array:
    """Coordinates, along the first axis, as one number."""
    number = jnp.zeros(data.shape[1:], data.dtype)
    for coordinate, size in zip(data, shape, strict=True):
        number = number * size + coordinate
    return number


@operator('_unravel_index', 'unravel_index')
def unravel_index(data: jax.Array, *, shape: Shape = ()) -> jax.Array:
    """One number as coordinates, along a new first axis."""
    places = jnp.unravel_index(as_indices(data), shape)
    return jnp.stack(places).astype(data.dtype)


Storage = Literal['default', 'csr', 'row_sparse']


def product_shapes(left: str, right: str, axis: int = 0) -> Any:
    """Infers an axis of the second factor, over which a product sums, from the last one of the first."""

    def infer(attributes: Attributes, shapes: Shapes) -> Shapes:
        a, b = shapes[left], shapes[right]
        if not a or not b or attributes.get('transpose_a') or attributes.get('transpose_b'):
            return {}
        sizes = list(b)
        sizes[axis if len(b) > 1 else 0] = a[-1]
        return {right: tuple(sizes)}

    return infer


@operator('dot', '_sparse_dot', infer=product_shapes('lhs', 'rhs'))
def dot(
    lhs: jax.Array,
    rhs: jax.Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: Storage | None = None,
) -> jax.Array:
    """The product over the last axis of one and the first axis of the other; of vectors, of shape (1,)."""
    a, b = (0 if transpose_a else lhs.ndim - 1), (rhs.ndim - 1 if transpose_b else 0)
    result = lax.dot_general(lhs, rhs, (((a,), (b,)), ((), ())))
    return result.reshape(1) if result.ndim == 0 else result


@operator('batch_dot', '_npx_batch_dot')
def batch_dot(
    lhs: jax.Array,
    rhs: jax.Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    forward_stype: Storage | None = None,
) -> jax.Array:
    """The product of matrices, the last two axes, for each position of the axes before."""
    a = jnp.swapaxes(lhs, -1, -2) if transpose_a else lhs
    b = jnp.swapaxes(rhs, -1, -2) if transpose_b else rhs
    return a @ b


@operator('khatri_rao')
def khatri_rao(*args: jax.Array, num_args: int = 0) -> jax.Array:
    """The Kronecker products of columns."""
    result = args[0]
    for other in args[1:]:
        result = (result[:, None] * other[None]).reshape(-1, result.shape[1])
    return result


@operator('softmax_cross_entropy')
def softmax_cross_entropy(data: jax.Array, label: jax.Array) -> jax.Array:
    """The sum of the cross entropies of rows with labels, of shape (1,)."""
    logs = jax.nn.log_softmax(data, -1)
    return -jnp.take_along_axis(logs, as_indices(label)[:, None], 1).sum().reshape(1)


# Sequences.

LENGTH: dict[str, Any] = {'sequence_length': lambda attributes: attributes['use_sequence_length']}


def _steps_first(data: jax.Array, axis: int) -> jax.Array:
    return jnp.moveaxis(data, axis, 0)


@operator('SequenceMask', '_npx_sequence_mask', only_if=LENGTH)
def sequence_mask(
    data: jax.Array,
    sequence_length: jax.Array | None = None,
    *,
    use_sequence_length: bool = False,
    value: float = 0,
    axis: int = 0,
) -> jax.Array:
    """With a number from each sequence's length on; steps on axis 0 or 1, sequences on the other."""
    if sequence_length is None:
        return data
    steps = lax.broadcasted_iota('int32', data.shape, axis)
    length = jnp.expand_dims(sequence_length, [i for i in range(data.ndim) if i != 1 - axis])
    return jnp.where(steps < length, data, jnp.asarray(value, data.dtype))


@operator('SequenceLast', only_if=LENGTH)
def sequence_last(
    data: jax.Array,
    sequence_length: jax.Array | None = None,
    *,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> jax.Array:
    """The last step of each sequence."""
    xs = _steps_first(data, axis)
    if sequence_length is None:
        return xs[-1]
    index = jnp.expand_dims(as_indices(sequence_length) - 1, [0, *range(2, xs.ndim)])
    return jnp.take_along_axis(xs, jnp.clip(index, 0, xs.shape[0] - 1), 0)[0]


@operator('SequenceReverse', only_if=LENGTH)
def sequence_reverse(
    data: jax.Array,
    sequence_length: jax.Array | None = None,
    *,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> jax.Array:
    """From the last valid step to the first; what is beyond stays where it is."""
    if sequence_length is None:
        return jnp.flip(data, axis)
    steps = jnp.arange(data.shape[0])[:, None]
    length = as_indices(sequence_length)[None]
    source = jnp.where(steps < length, length - 1 - steps, steps)
    return jnp.take_along_axis(data, jnp.expand_dims(source, range(2, data.ndim)), 0)
