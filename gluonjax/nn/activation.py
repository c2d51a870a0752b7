"""Activation functions, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from gluonjax.checks import at_least_float32
from gluonjax.errors import ArgumentError

ActivationName = Literal[
    'elu', 'gelu', 'log_sigmoid', 'mish', 'relu', 'selu', 'sigmoid', 'silu', 'softrelu', 'softsign', 'swish', 'tanh'
]
ActivationLike = ActivationName | Callable[[jax.Array], jax.Array]  # what `activation=` takes, beside None


def gelu(x: jax.Array, approximate: bool = False) -> jax.Array:
    """`jax.nn.gelu`, in float32 at least: the cube of the approximation overflows float16.

    The backward pass keeps x alone, where JAX would keep three arrays in float32.
    """
    return jax.checkpoint(lambda x: jax.nn.gelu(x.astype(at_least_float32(x.dtype)), approximate).astype(x.dtype))(x)


FUNCTIONS: dict[ActivationName, Callable[[jax.Array], jax.Array]] = {
    # MXNet 1.9.1 knows these,
    'relu': jax.nn.relu,
    'sigmoid': jax.nn.sigmoid,
    'softrelu': jax.nn.softplus,
    'softsign': jax.nn.soft_sign,
    'tanh': jnp.tanh,
    # Gluon 2 these as well,
    'log_sigmoid': jax.nn.log_sigmoid,
    'mish': jax.nn.mish,
    # and these have a layer each.
    'elu': jax.nn.elu,
    'gelu': gelu,
    'selu': jax.nn.selu,
    'silu': jax.nn.silu,
    'swish': jax.nn.silu,
}


def function(activation: ActivationLike | None) -> Callable[[jax.Array], jax.Array]:
    """The function with an activation's name; a function stands for itself, None for the identity.

    Raises:
        ArgumentError: if it is neither a known name nor a function.
    """
    if activation is None:
        return lambda x: x
    if callable(activation):
        return activation
    if not isinstance(activation, str) or activation not in FUNCTIONS:
        names = ', '.join(map(repr, sorted(FUNCTIONS)))
        raise ArgumentError(f'activation must be a function or one of {names}; got {activation!r}')
    return FUNCTIONS[activation]
