"""Layers without parameters that move or pass values."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer


class Flatten(Layer):
    """(N, ...) -> (N, the product of the rest)."""

    def forward(self, x):
        if x.ndim == 0:
            raise ShapeError('Flatten needs an axis of examples', expected='one axis or more', got=x.shape)
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class Identity(Layer):
    """What comes in goes out."""

    def forward(self, x):
        return x


class Lambda(Layer):
    """A function as a layer.

    Args:
        function: a function of arrays, or the name of one in `jax.nn` or `jax.numpy`.

    >>> Lambda('tanh').apply({}, jnp.zeros(2))
    Array([0., 0.], dtype=float32)
    """

    def __init__(self, function: str | Callable):
        if not callable(_function(function)):
            raise ArgumentError(
                'Lambda takes a function', expected='a function, or its name in jax.nn or jax.numpy', got=repr(function)
            )
        self.function = function

    def forward(self, *inputs):
        return _function(self.function)(*inputs)


def _function(function) -> Any:
    if not isinstance(function, str):
        return function
    return getattr(jax.nn, function, None) or getattr(jnp, function, None)
