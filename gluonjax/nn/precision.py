"""Additions and lookups whose gradients, in half precision, are summed in float32 and rounded once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gluonjax.checks import at_least_float32


def broadcast(array: jax.Array, shape: Sequence[int], dtype: jax.typing.DTypeLike | None = None) -> jax.Array:
    """`jnp.broadcast_to`, whose gradient is the sum over what was broadcast.

    Args:
        array: of the rank of `shape`.
        shape: the shape of the result.
        dtype: of the result; by default that of the array.
    """
    wide = at_least_float32(array.dtype)
    return jnp.broadcast_to(array.astype(wide), shape).astype(array.dtype if dtype is None else dtype)


def add_bias(x: jax.Array, bias: jax.Array, axis: int = -1) -> jax.Array:
    """`x + bias`, with the bias, shape (channels,), along one axis of `x`."""
    return x + broadcast(jnp.expand_dims(bias, [i for i in range(x.ndim) if i != axis % x.ndim]), x.shape)


@jax.custom_jvp
def rows(table: jax.Array, indices: jax.Array) -> jax.Array:
    """Rows of a table, (length, ...) and integers (...) -> (..., ...); indices out of range are clipped."""
    return jnp.take(table, indices, axis=0, mode='clip')


@rows.defjvp
def _rows_jvp(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]):
    """The gradient adds up a row as often as it was read; the table itself is not converted."""
    (table, indices), (tangent, _) = primals, tangents
    wide = tangent.astype(at_least_float32(tangent.dtype))
    return rows(table, indices), jnp.take(wide, indices, axis=0, mode='clip').astype(table.dtype)
