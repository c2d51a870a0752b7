"""Additions whose gradients, in half precision, are summed in float32 and rounded once."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.checks import at_least_float32


def broadcast(array: jax.Array, shape: Sequence[int], dtype: jax.typing.DTypeLike | None = None) -> jax.Array:
    """`jnp.broadcast_to`, whose gradient is the sum over what was broadcast, in float32 at least.

    On GPUs XLA takes the terms of that sum from before they were rounded to half precision, and then writes all of them
    to memory in float32, as what follows wants them rounded. `reduce_precision` changes no value and keeps them narrow.

    Args:
        array: of the rank of `shape`.
        shape: the shape of the result.
        dtype: of the result; by default that of the array.
    """
    wide = at_least_float32(array.dtype)
    spread = jnp.broadcast_to(array.astype(wide), shape).astype(array.dtype if dtype is None else dtype)
    half = jnp.finfo(spread.dtype) if spread.dtype in ('bfloat16', 'float16') else None
    return spread if half is None else lax.reduce_precision(spread, half.nexp, half.nmant)


def add_bias(x: jax.Array, bias: jax.Array | None, axis: int = -1) -> jax.Array:
    """`x + bias`, with the bias, shape (channels,), along one axis of `x`; `x` without one."""
    others = [i for i in range(x.ndim) if i != axis % x.ndim]
    return x if bias is None else x + broadcast(jnp.expand_dims(bias, others), x.shape)
