"""Lookups whose gradients, in half precision, are summed in float32 and rounded once."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gluonjax.checks import at_least_float32


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
