"""Positions in a sequence: added to its elements, or turning its queries and keys."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from gluonjax.checks import at_least_float32, flag, floating, known, number, optional_size, size
from gluonjax.errors import DTypeError, ShapeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn.arguments import limited, rank
from gluonjax.nn.lookup import rows
from gluonjax.nn.precision import broadcast
from gluonjax.param import Param
from gluonjax.shapes import Shape


class AddedPositions(Layer):
    """The base of layers that add something to each element by its position, and count on when decoding."""

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> Any:
        """The position of the next element, 0."""
        return jnp.zeros((), jnp.int32)

    def forward(self, x: jax.Array, positions: ArrayLike | None = None, cache: jax.Array | None = None) -> Any:
        """X with what is added at these positions, and the next cache if one is given."""
        floating(x)
        rank(x, 3, 'N, T, C')
        if positions is None:
            positions = 0 if cache is None else cache
        y = self.added(x, _positions(positions, x))
        return y if cache is None else (y, cache + x.shape[1])

    def added(self, x: jax.Array, positions: jax.Array) -> jax.Array:
        """X with what is added at each position, (1 or N, T)."""
        raise NotImplementedError


class SinusoidalPositions(AddedPositions):
    """Adds sines and cosines of the position: (N, T, C) -> (N, T, C), for any T.

    Vaswani et al. (2017): a pair of features for each frequency `base ** (-2 i / C)`, i from 0 to C / 2. Added in
    float32 at least, and exact to its rounding at every position of an int32.

    Args:
        base: the wavelengths reach from 2 pi to nearly `base` times that; at least 1.
        interleaved: True alternates sines and cosines, as the paper does; False has all sines, then all cosines.

    When called, `positions` gives the positions of the elements, as integers: that of the first one (when decoding step
    by step, the number of elements before it), or one for each, of shape (T,) or (N, T). By default the first one is 0,
    and when decoding with a cache (`init_cache`) the one that follows.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        ShapeError: when called, if C is odd, or if `positions` has another shape.

    >>> layer = SinusoidalPositions()
    >>> layer.apply({}, jnp.zeros((1, 2, 2)))
    Array([[[0.   , 1.   ],
            [0.841, 0.5403 ]]], dtype=float32)
    >>> layer.apply({}, jnp.zeros((1, 1, 2)), positions=1)
    Array([[[0.841, 0.5403 ]]], dtype=float32)
    """

    base: float
    interleaved: bool

    def __init__(self, base: float = 10000.0, interleaved: bool = True):
        self.base, self.interleaved = number('base', base, least=1, finite=True), flag('interleaved', interleaved)

    def added(self, x: jax.Array, positions: jax.Array) -> jax.Array:
        wide = at_least_float32(x.dtype)
        angles = _angles(positions, _even('C', x.shape[-1], x), self.base, wide)
        cos, sin = _table(angles)
        waves = jnp.stack([sin, cos], -1 if self.interleaved else -2)
        return (x.astype(wide) + waves.reshape(*angles.shape[:2], x.shape[-1])).astype(x.dtype)


class LearnedPositions(AddedPositions):
    """Adds a learned vector for each position: (N, T, C) -> (N, T, C), as BERT and GPT-2 do.

    A position outside the table is an error where it is known; where it is traced, the sum is NaN.

    Args:
        length: the number of positions.
        dtype: the dtype of the table.
        weight_initializer: of the table, shape (length, C).
        in_units: C; None (or 0) lets the first input decide.

    When called, `positions` is as for `SinusoidalPositions`.

    Raises:
        ShapeError: when called, for a position outside the table, or if `positions` has another shape.

    >>> layer = LearnedPositions(4, weight_initializer='ones')
    >>> params = layer.init(0, jnp.zeros((1, 2, 3)))
    >>> layer.apply(params, jnp.zeros((1, 2, 3)), positions=2)
    Array([[[1., 1., 1.],
            [1., 1., 1.]]], dtype=float32)
    """

    length: int
    in_units: int | None
    weight: jax.Array

    def __init__(
        self,
        length: int,
        dtype: DTypeLike = 'float32',
        weight_initializer: InitializerLike | None = None,
        in_units: int | None = None,
    ):
        self.length, self.in_units = limited('length', length, 2**31 - 1), optional_size('in_units', in_units)
        self.weight = Param((self.length, self.in_units), dtype, weight_initializer)

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> Any:
        """The position of the next element, 0.

        Raises:
            ShapeError: if the table has no position for so many elements.
        """
        if length > self.length:
            raise ShapeError(
                'there are fewer positions than the cache is long',
                expected=f'{self.length} at most, as LearnedPositions(length={self.length}) has',
                got=length,
            )
        return super().init_cache(batch_size, length, dtype)

    def infer_shape(self, x: jax.Array, positions: ArrayLike | None = None) -> dict[str, Shape]:
        rank(x, 3, 'N, T, C')
        return {'weight': (self.length, x.shape[-1])}

    def added(self, x: jax.Array, positions: jax.Array) -> jax.Array:
        found = known(positions)
        if found is None:
            outside = isinstance(x.shape[1], int) and x.shape[1] > self.length  # jax.export has symbolic lengths
        else:
            outside = ((found < 0) | (found >= self.length)).any()
        if outside:
            raise ShapeError(
                'a position is outside the table',
                expected=f'0 to {self.length - 1}',
                got=f'{x.shape[1]} of them' if found is None else f'{found.min()} to {found.max()}',
                remedy='a larger length, or SinusoidalPositions, which has no end',
            )
        inside = (positions >= 0) & (positions < self.length)
        vectors = jnp.where(inside[..., None], rows(self.weight, positions), jnp.nan)
        return x + broadcast(vectors, x.shape, x.dtype)


class RotaryPositions(Layer):
    """Rotates pairs of features by angles that grow with the position: (N, T, heads, head_size), the same shape.

    Su et al. (2021): the angle of pair i at position t is `t * base ** (-2 i / dims)`, so that the product of a query
    and a key depends on the distance between them alone. Computed in float32 at least, and exact to its rounding at
    every position of an int32. `MultiHeadAttention(rotary=RotaryPositions())` rotates queries and keys.

    Args:
        dims: how many of the features, from the first one on, are rotated, an even number; None for all.
        base: the wavelengths reach from 2 pi to nearly `base` times that; at least 1.
        interleaved: which features form a pair. False: i and i + dims / 2 (GPT-NeoX, and the checkpoints of Llama,
            Mistral and Qwen on Hugging Face). True: 2 i and 2 i + 1 (the paper, GPT-J, Meta's Llama).

    When called, `positions` is as for `SinusoidalPositions`.

    Raises:
        ShapeError: when called, if `dims` is odd or above the head size, or if `positions` has another shape.

    >>> x = jnp.ones((1, 2, 1, 2))
    >>> RotaryPositions().apply({}, x)[0, :, 0]
    Array([[ 1.   , 1.   ],
           [-0.301,  1.382 ]], dtype=float32)
    """

    dims: int | None
    base: float
    interleaved: bool

    def __init__(self, dims: int | None = None, base: float = 10000.0, interleaved: bool = False):
        self.dims = None if dims is None else size('dims', dims)
        self.base, self.interleaved = number('base', base, least=1, finite=True), flag('interleaved', interleaved)

    def forward(self, x: jax.Array, positions: ArrayLike = 0) -> jax.Array:
        floating(x)
        rank(x, 4, 'N, T, heads, head_size')
        dims = _even('dims', x.shape[-1] if self.dims is None else self.dims, x)
        wide = at_least_float32(x.dtype)
        angles = jnp.expand_dims(_angles(_positions(positions, x), dims, self.base, wide), 2)
        cos, sin = _table(angles)
        axis, split = (-1, (dims // 2, 2)) if self.interleaved else (-2, (2, dims // 2))
        pairs = x[..., :dims].astype(wide).reshape(*x.shape[:-1], *split)
        first, second = (lax.index_in_dim(pairs, i, pairs.ndim + axis, keepdims=False) for i in (0, 1))
        turned = jnp.stack([first * cos - second * sin, second * cos + first * sin], axis)
        turned = turned.reshape(*x.shape[:-1], dims).astype(x.dtype)
        return jnp.concatenate([turned, x[..., dims:]], -1)


def _angles(positions: jax.Array, dims: int, base: float, dtype: DTypeLike) -> jax.Array:
    """`position * base ** (-2 i / dims)` modulo 2 pi: positions (N, T) -> (N, T, dims / 2).

    A product in float32 would lose the angle at large positions. So angles are in units of 2 ** -32 turns: the product
    of 32-bit integers drops whole turns by overflow, and what rounding a frequency to such units left out is added.
    """
    parts = base ** -(np.arange(0, dims, 2) / dims) / (2 * np.pi) * 2.0**32
    whole = np.round(parts)
    turns = lax.bitcast_convert_type(positions, jnp.uint32)[..., None] * whole.astype(np.uint32)[None, None]
    turns = lax.bitcast_convert_type(turns, jnp.int32).astype(dtype)  # from -1/2 to 1/2 turns
    rest = positions.astype(dtype)[..., None] * (parts - whole).astype(dtype)[None, None]
    return (turns + rest) * (2 * np.pi / 2.0**32)


def _table(angles: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines. Without the barrier XLA fuses them into what follows, and computes them for every example."""
    return lax.optimization_barrier((jnp.cos(angles), jnp.sin(angles)))


def _positions(positions, x):
    """The position of each element, (1 or N, T) in int32."""
    positions = jnp.asarray(positions)
    if not jnp.issubdtype(positions.dtype, jnp.integer):
        raise DTypeError('positions must be integers', got=f'{positions.dtype} of shape {positions.shape}')
    positions = positions.astype(jnp.int32)
    batch, length = x.shape[:2]
    if positions.ndim == 0:
        return (positions + jnp.arange(length, dtype=jnp.int32))[None]
    if positions.shape not in ((length,), (1, length), (batch, length)):
        raise ShapeError(
            'positions do not fit the input',
            expected=f'one number (of the first element), or shape {(length,)} or {(batch, length)}',
            got=positions.shape,
        )
    return positions[None] if positions.ndim == 1 else positions


def _even(name: str, dims: int, x: jax.Array) -> int:
    if dims % 2 or dims > x.shape[-1]:
        raise ShapeError(
            f'{name} must be even, as features are taken in pairs',
            expected=f'an even number <= {x.shape[-1]}',
            got=dims,
        )
    return dims
