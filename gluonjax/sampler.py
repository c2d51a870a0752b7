"""Distributions, and the one entry point of what is drawn from them.

A parameter's value is a function of (key, name, shape, dtype, distribution). `Distribution.sample` is the reference.
Compiling JAX's threefry once per tensor takes seconds on CPU: `draw` has faster ways to the same bits (`drawing.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.keys import is_threefry, named_keys
from gluonjax.lazy import above

FLOAT32 = np.dtype('float32')


class Distribution(NamedTuple):
    """What an initializer states instead of drawing: `base * scale`.

    Attributes:
        base: 'uniform' on [-1, 1), 'normal' (standard), or 'constant' (one).
        scale: what the base is multiplied by, once, so that it rounds once.
    """

    base: str
    scale: float = 1.0

    def sample(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """The reference draw of one tensor.

        >>> Distribution('constant', 2.0).sample(None, (2,))
        Array([2., 2.], dtype=float32)
        """
        _check(self)
        if self.base == 'constant':
            return jnp.full(shape, self.scale, dtype)
        if self.base == 'uniform':
            numbers = jax.random.uniform(key, shape, dtype, -1, 1)
        else:
            numbers = jax.random.normal(key, _without_short_end(shape), dtype)
        # The barrier keeps XLA from folding the scale into the base's own factors, which would round differently.
        return lax.optimization_barrier(numbers).reshape(shape) * np.asarray(self.scale, numbers.dtype)


def _without_short_end(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape with short last axes merged: XLA on CPU rounds normal numbers differently along an axis of 3 to 5.

    No more than needed is merged, so that each device of a sharded draw makes only its part.

    >>> _without_short_end((64, 48, 3, 3)), _without_short_end((1000, 3))
    ((64, 48, 9), (3000,))
    """
    merged = list(shape)
    while len(merged) > 1 and merged[-1] < 8:
        merged[-2:] = [merged[-2] * merged[-1]]
    return tuple(merged)


class Request(NamedTuple):
    """One tensor to draw: `source` is a Distribution, or an initializer's own code `f(key, shape, dtype)`.

    With a `sharding` it is drawn there, outside a transformation; inside one, `out_shardings` decide.
    """

    key: jax.Array
    name: str
    shape: tuple[int, ...]
    dtype: DTypeLike
    source: Any
    sharding: Any = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def sample(self, key: Any) -> jax.Array:
        """The draw of this tensor by itself, with the key of its name."""
        source = self.source.sample if isinstance(self.source, Distribution) else self.source
        return source(key, self.shape, self.dtype)


def draw(requests: Sequence[Request], fused: bool = False) -> list[jax.Array]:
    """Draws every request; all random numbers of initialization come from here.

    Outside a transformation, tensors of float32 with a distribution go through the compiled sampler. Inside one, each
    is drawn by itself, so that under sharded `out_shardings` a device makes only its part; `fused=True` makes one
    draw instead, which compiles faster. A tensor that its sharding cuts is drawn so outside a transformation too. All
    ways return the same bits.

    Raises:
        AllocationError: if they do not fit into memory.
    """
    keys = {id(request.key): request.key for request in requests}
    traced = any(isinstance(jax.random.key_data(key), jax.core.Tracer) for key in keys.values())
    if not traced and sum(request.size for request in requests) > 2**29:  # fewer fit into any memory
        above.failures.check_memory(requests)
    threefry_keys = {identity for identity, key in keys.items() if is_threefry(key)}

    def in_rows(request: Request) -> bool:
        if not isinstance(request.source, Distribution):
            return False
        _check(request.source)
        fast = np.dtype(request.dtype) == FLOAT32 and id(request.key) in threefry_keys
        return fast and (fused or not traced) and (traced or above.drawing.is_whole(request.sharding))

    chosen = list(map(in_rows, requests))
    by_rows = [request for request, it in zip(requests, chosen, strict=True) if it]
    rows = iter(above.drawing.in_rows(by_rows, traced) if by_rows else ())
    each = _draw_each([request for request, it in zip(requests, chosen, strict=True) if not it], traced)
    return [next(rows if it else each) for it in chosen]


def _check(distribution: Distribution) -> None:
    checks.one_of('the base of a distribution', distribution.base, ('uniform', 'normal', 'constant'))


def _draw_each(requests: Sequence[Request], traced: bool) -> Iterator[jax.Array]:
    keys = named_keys([request.key for request in requests], [request.name for request in requests])
    if traced or all(request.sharding is None for request in requests):
        yield from (request.sample(key) for request, key in zip(requests, keys, strict=True))
    else:
        yield from above.drawing.over_shardings(requests, keys)
