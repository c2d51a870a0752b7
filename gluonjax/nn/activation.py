"""Activation functions, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from gluonjax.checks import at_least_float32, one_of
from gluonjax.nn.precision import add_bias

ActivationName = Literal[
    'elu', 'gelu', 'log_sigmoid', 'mish', 'relu', 'selu', 'sigmoid', 'silu', 'softrelu', 'softsign', 'swish', 'tanh'
]
ActivationLike = ActivationName | Callable[[jax.Array], jax.Array]  # what `activation=` takes, beside None


def gelu(x: jax.Array, approximate: bool = False, bias: jax.Array | None = None) -> jax.Array:
    """`jax.nn.gelu` of `x + bias`, in float32 at least: the cube of the approximation overflows float16.

    The backward pass keeps x alone and adds the bias again, where JAX would keep the sum, and three arrays in float32.
    """
    wide = at_least_float32(x.dtype)
    return jax.checkpoint(lambda x, b: jax.nn.gelu(add_bias(x, b).astype(wide), approximate).astype(x.dtype))(x, bias)


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
    return FUNCTIONS[one_of('activation, if no function,', activation, sorted(FUNCTIONS))]
