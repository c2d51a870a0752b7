"""Layers without parameters that move or pass values."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer


class Flatten(Layer):
    """(N, ...) -> (N, the product of the rest)."""

    def forward(self, x):
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
        if isinstance(function, str) and not (hasattr(jax.nn, function) or hasattr(jnp, function)):
            raise ArgumentError('the function is unknown', expected='a name in jax.nn or jax.numpy', got=repr(function))
        if not isinstance(function, str) and not callable(function):
            raise ArgumentError('Lambda takes a function', got=repr(function))
        self.function = function

    def forward(self, *inputs):
        function = self.function
        if isinstance(function, str):
            function = getattr(jax.nn, function, None) or getattr(jnp, function)
        return function(*inputs)
