"""Additions whose gradients, in half precision, are summed in float32 and rounded once."""

from __future__ import annotations

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
