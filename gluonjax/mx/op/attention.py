"""Products of attention, whose queries, keys and values are interleaved by head."""

import math

import jax

from gluonjax.mx.op.table import operator


def _heads(x: jax.Array, heads: int, parts: int) -> list[jax.Array]:
    """(steps, batch, heads * parts * size) -> for each part (batch * heads, steps, size)."""
    steps, batch, width = x.shape
    split = x.reshape(steps, batch * heads, parts, width // (heads * parts))
    return [split[:, :, part].swapaxes(0, 1) for part in range(parts)]


def _scores(queries: jax.Array, keys: jax.Array) -> jax.Array:
    return (queries / math.sqrt(queries.shape[-1])) @ keys.swapaxes(1, 2)


def _weighted(attention: jax.Array, values: jax.Array, heads: int) -> jax.Array:
    """(batch * heads, steps, size) of weighted values -> (steps, batch, heads * size)."""
    y = (attention @ values).swapaxes(0, 1)
    return y.reshape(y.shape[0], y.shape[1] // heads, heads * y.shape[2])


@operator('_contrib_interleaved_matmul_selfatt_qk')
def self_attention_scores(queries_keys_values: jax.Array, *, heads: int) -> jax.Array:
    """The scores of self-attention, (batch * heads, steps, steps)."""
    queries, keys, _ = _heads(queries_keys_values, heads, 3)
    return _scores(queries, keys)


@operator('_contrib_interleaved_matmul_selfatt_valatt')
def self_attention_values(queries_keys_values: jax.Array, attention: jax.Array, *, heads: int) -> jax.Array:
    """The weighted values of self-attention, (steps, batch, heads * size)."""
    return _weighted(attention, _heads(queries_keys_values, heads, 3)[2], heads)


@operator('_contrib_interleaved_matmul_encdec_qk')
def attention_scores(queries: jax.Array, keys_values: jax.Array, *, heads: int) -> jax.Array:
    """The scores of attention to another sequence."""
    return _scores(_heads(queries, heads, 1)[0], _heads(keys_values, heads, 2)[0])


@operator('_contrib_interleaved_matmul_encdec_valatt')
def attention_values(keys_values: jax.Array, attention: jax.Array, *, heads: int) -> jax.Array:
    """The weighted values of attention to another sequence."""
    return _weighted(attention, _heads(keys_values, heads, 2)[1], heads)


@operator('_contrib_div_sqrt_dim')
def div_sqrt_dim(data: jax.Array) -> jax.Array:
    """Divided by the square root of the size of the last axis."""
    return data / math.sqrt(data.shape[-1])
