"""Initializers with code of their own instead of a distribution: functions, and classes that override a method."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax.arrays import admit
from gluonjax.errors import DTypeError, ShapeError
from gluonjax.init.initializer import Initializer, Shape


class Function(Initializer):
    """A plain function `f(key, shape, dtype)` as an initializer."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function: Callable[..., Any] = function

    def init_weight(self, key: jax.Array, shape: Shape, dtype: DTypeLike, name: str) -> jax.Array:
        return self.function(key, shape, dtype)

    def __repr__(self) -> str:
        return getattr(self.function, '__qualname__', repr(self.function))


def source(initializer: Initializer, way: str, name: str, copies: Shape) -> Callable[..., jax.Array]:
    """What draws a parameter, `f(key, shape, dtype)`: the code of its initializer, which is looked at.

    Args:
        initializer: whose code it is.
        way: '__call__' if that is the method that has it; else it is 'init_weight'.
        name: of the parameter.
        copies: the first axes of the shape; each copy is drawn by itself.
    """

    def one(key, shape, dtype):
        if way == '__call__':
            value = initializer(key, shape, dtype)
        else:
            value = initializer.init_weight(key, shape, dtype, name)
        return _checked(initializer, name, value, shape, dtype)

    def stacked(key, shape, dtype):
        keys = jax.random.split(key, math.prod(copies))
        return jnp.stack([one(key, shape[len(copies) :], dtype) for key in keys]).reshape(shape)

    return stacked if copies else one


def _checked(initializer: Initializer, name: str, value: Any, shape: Shape, dtype: DTypeLike) -> jax.Array:
    """What an initializer's code returned, as an array of this shape and dtype."""
    try:
        array = jnp.asarray(admit(value))
    except (TypeError, ValueError):
        raise DTypeError(f'{initializer!r} gave {name!r} no array of numbers', got=repr(value)) from None
    if array.shape != tuple(shape):
        raise ShapeError(f'{initializer!r} gave {name!r} another shape', expected=tuple(shape), got=array.shape)
    return as_dtype(array, dtype, f'{initializer!r} gave {name!r}')


def as_dtype(array: jax.Array, dtype: DTypeLike, whose: str) -> jax.Array:
    """The array in this dtype, if that loses no imaginary part."""
    if jnp.iscomplexobj(array) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise DTypeError(f'{whose} complex values', expected=np.dtype(dtype).name, got=array.dtype)
    return array.astype(dtype)
