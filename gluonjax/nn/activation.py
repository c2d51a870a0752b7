"""Activations."""

from collections.abc import Callable

import jax

from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer
from gluonjax.nn.checks import floating

FUNCTIONS: dict[str, Callable] = {
    'relu': jax.nn.relu,
    'sigmoid': jax.nn.sigmoid,
    'tanh': jax.numpy.tanh,
    'softrelu': jax.nn.softplus,
    'softsign': jax.nn.soft_sign,
}


def function(activation: str | Callable | None) -> Callable:
    """The function of an activation's name; a function stands for itself, None for no change."""
    if activation is None:
        return lambda x: x
    if callable(activation):
        return activation
    if activation not in FUNCTIONS:
        raise ArgumentError(
            'the activation is unknown', expected=f'a function, or one of {sorted(FUNCTIONS)}', got=repr(activation)
        )
    return FUNCTIONS[activation]


class Activation(Layer):
    """An activation, elementwise: 'relu', 'sigmoid', 'tanh', 'softrelu', 'softsign', or a function of an array.

    Follows MXNet's `Activation`.

    >>> Activation('relu').apply({}, jax.numpy.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: str | Callable):
        if activation is None:
            raise ArgumentError('Activation needs an activation', remedy='nn.Identity() computes nothing')
        function(activation)
        self.activation = activation

    def forward(self, x):
        floating(x)
        return function(self.activation)(x)
