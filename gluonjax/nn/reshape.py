"""Layers without parameters that move or pass values."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import arguments


class Flatten(Layer):
    """(N, ...) -> (N, the product of the rest)."""

    def forward(self, x: jax.Array) -> jax.Array:
        if x.ndim == 0:
            raise ShapeError('Flatten needs an axis of examples', expected='one axis or more', got=x.shape)
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class Identity(Layer):
    """Returns its input."""

    def forward(self, x: Any) -> Any:
        return x


class Lambda(Layer):
    """A function as a layer.

    Args:
        function: a function of arrays, or the name of one in `jax.nn` or `jax.numpy`.

    Raises:
        ArgumentError: for an unknown name, or a function that takes Gluon 1's `F`.

    >>> Lambda('tanh').apply({}, jnp.zeros(2))
    Array([0., 0.], dtype=float32)
    """

    function: str | Callable[..., Any]

    def __init__(self, function: str | Callable[..., Any]):
        if not callable(_function(function)):
            raise ArgumentError(
                f'function must be a function, or the name of one in jax.nn or jax.numpy, got {function!r}'
            )
        if _takes_namespace(function):
            raise ArgumentError(
                f"{function!r} takes Gluon 1's F",
                remedy='drop F, and use jax.numpy and jax.nn in its place: lambda x: jax.nn.relu(x)',
            )
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return _function(self.function)(*inputs)


def _takes_namespace(function: str | Callable[..., Any]) -> bool:
    """Whether it was written for MXNet's HybridLambda, which passes the namespace F before the arrays."""
    try:
        return not isinstance(function, str) and next(iter(inspect.signature(function).parameters), '') == 'F'
    except (ValueError, TypeError):  # some built-in functions have no signature
        return False


def _function(function: Any) -> Any:
    if not isinstance(function, str):
        return function
    return getattr(jax.nn, function, None) or getattr(jnp, function, None)


class _PixelShuffle(Layer):
    """The body of the three below."""

    spatial: ClassVar[str]
    factor: tuple[int, ...]

    def __init__(self, factor: int | Sequence[int]):
        self.factor = arguments.per_axis('factor', factor, len(self.spatial))

    def forward(self, x: jax.Array) -> jax.Array:
        rank, block = len(self.factor), math.prod(self.factor)
        arguments.rank(x, rank + 2, f'NC{self.spatial}')
        batch, channels, *sizes = x.shape
        if channels % block:
            raise ShapeError(
                'the factor does not divide the channels', expected=f'a multiple of {block} channels', got=channels
            )
        x = x.reshape(batch, channels // block, *self.factor, *sizes)
        pairs = [(2 + rank + i, 2 + i) for i in range(rank)]  # each position, then the offset in its block
        x = x.transpose(0, 1, *(axis for pair in pairs for axis in pair))
        return x.reshape(batch, channels // block, *(size * f for size, f in zip(sizes, self.factor, strict=True)))


class PixelShuffle1D(_PixelShuffle):
    """Rearranges channels into positions: (N, f * C, W) -> (N, C, W * f). MXNet's contrib `PixelShuffle1D`.

    Args:
        factor: how many positions one becomes, an int or a tuple of one.

    Raises:
        ShapeError: when called, for another rank, or if the factor does not divide the channels.

    >>> PixelShuffle1D(2).apply({}, jnp.array([[[1, 2], [10, 20]]]))
    Array([[[ 1, 10,  2, 20]]], dtype=int32)
    """

    spatial = 'W'


class PixelShuffle2D(_PixelShuffle):
    """Rearranges channels into positions: (N, f1 * f2 * C, H, W) -> (N, C, H * f1, W * f2).

    Shi et al. (2016); MXNet's contrib `PixelShuffle2D`.

    Args:
        factor: how many positions one becomes along each axis, an int or two, (f1, f2).

    Raises:
        ShapeError: when called, for another rank, or if f1 * f2 does not divide the channels.

    >>> PixelShuffle2D((1, 2)).apply({}, jnp.array([[[[1, 2]], [[10, 20]]]]))
    Array([[[[ 1, 10,  2, 20]]]], dtype=int32)
    """

    spatial = 'HW'


class PixelShuffle3D(_PixelShuffle):
    """Rearranges channels into positions: (N, f1 * f2 * f3 * C, D, H, W) -> (N, C, D * f1, H * f2, W * f3).

    MXNet's contrib `PixelShuffle3D`.

    Args:
        factor: how many positions one becomes along each axis, an int or three, (f1, f2, f3).

    Raises:
        ShapeError: when called, for another rank, or if f1 * f2 * f3 does not divide the channels.

    >>> PixelShuffle3D((2, 3, 4)).apply({}, jnp.zeros((1, 48, 3, 5, 7))).shape
    (1, 2, 6, 15, 28)
    """

    spatial = 'DHW'


class ReflectionPad2D(Layer):
    """Pads images by reflection, which does not repeat the edge itself. MXNet's `Pad`.

    Args:
        padding: an int for all four sides, or eight as MXNet has them: before and after along each axis of NCHW, of
            which the first four are 0.

    Raises:
        ArgumentError: if one is negative, or the first four are not 0.
        ShapeError: when called, for another rank, or if an image is not larger than its padding.

    >>> ReflectionPad2D((0, 0, 0, 0, 0, 0, 2, 1)).apply({}, jnp.array([[[[1, 2, 3]]]]))
    Array([[[[3, 2, 1, 2, 3, 2]]]], dtype=int32)
    """

    padding: tuple[int, ...]

    def __init__(self, padding: int | Sequence[int] = 0):
        widths = padding if isinstance(padding, Iterable) else (0, 0, 0, 0, padding, padding, padding, padding)
        self.padding = arguments.per_axis('padding', widths, 8, least=0)
        if any(self.padding[:4]):
            raise ArgumentError(
                'ReflectionPad2D pads height and width only', expected='0 as the first four', got=self.padding
            )

    def forward(self, x: jax.Array) -> jax.Array:
        arguments.rank(x, 4, 'NCHW')
        widths = list(zip(self.padding[::2], self.padding[1::2], strict=True))
        for axis, size, width in zip('NCHW', x.shape, widths, strict=True):
            if max(width) and max(width) >= size:
                raise ShapeError(
                    f'the padding is as large as the input along {axis}',
                    expected=f'a padding below {size}',
                    got=max(width),
                    remedy='give a larger input or less padding',
                )
        return jnp.pad(x, widths, mode='reflect')
