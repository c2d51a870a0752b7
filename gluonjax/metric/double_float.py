"""Sums that lose nothing over many updates: a number is the sum of two of float32, shape (2, ...), high part first.

One float32 stops counting at 2**24, and a mean over many batches loses digits long before. Two of them hold 48 bits,
exact counts up to 2**47 among them, on every device and without x64. They are added as Dekker (1971) and Knuth add.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks

Pair = jax.Array


def zero(shape: tuple[int, ...] = ()) -> Pair:
    """A sum of nothing, one for each entry of `shape`."""
    return jnp.zeros((2, *shape), 'float32')


def of(x: jax.Array) -> Pair:
    """A number, an int (below 2**31) or of floating point.

    >>> of(jnp.int32(2**24 + 1))
    Array([1.6777216e+07, 1.0000000e+00], dtype=float32)
    """
    high = x.astype('float32')
    if jnp.issubdtype(x.dtype, jnp.floating):
        rest = jnp.where(jnp.isfinite(high), x - high.astype(x.dtype), 0)
    else:
        rest = x - high.astype(x.dtype)
    return jnp.stack([high, rest.astype('float32')])


def total(x: jax.Array, where: jax.Array, axis: int | None = None) -> Pair:
    """The sum of what `where` selects of `x`; ints and bools are counted exactly."""
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    dtype = checks.at_least_float32(x.dtype) if floating else np.dtype('int32')
    return of(jnp.sum(jnp.where(where, x.astype(dtype), 0), axis, dtype))


def add(a: Pair, b: Pair) -> Pair:
    """The sum of two sums."""
    high, low = _exact_sum(a[0], b[0])
    middle, last = _exact_sum(a[1], b[1])
    high, low = _exact_sum(high, low + middle)
    return jnp.stack(_exact_sum(high, low + last))


def _exact_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sum as it rounds, and what the rounding lost; nothing where the sum is infinite."""
    rounded = a + b
    part = rounded - a
    return rounded, jnp.where(jnp.isfinite(rounded), (a - (rounded - part)) + (b - part), 0)


def value(pair: Any) -> Any:
    """The number: of float64 for NumPy's arrays, of JAX's float (float64 when x64 is on) for JAX's.

    >>> value(np.asarray(of(jnp.int32(2**24 + 1))))
    np.float64(16777217.0)
    """
    if isinstance(pair, np.ndarray):
        return pair[0].astype('float64') + pair[1].astype('float64')
    wide = pair.astype(float)
    return wide[0] + wide[1]
