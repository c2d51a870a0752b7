"""The equations of one step, and the shapes of the parameters in them.

They take the products of input and state with their weights, or the sum of both (`gates`), and return the new states,
first the one that is the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.shapes import Shape

Function = Callable[[jax.Array], jax.Array]


def parameter_shapes(gates: int, hidden: int, inputs: int | None, output: int) -> dict[str, Shape]:
    """The shapes of the parameters of one layer in one direction, by their names in MXNet."""
    return {
        'i2h_weight': (gates * hidden, inputs),
        'h2h_weight': (gates * hidden, output),
        'h2r_weight': (output, hidden),
        'i2h_bias': (gates * hidden,),
        'h2h_bias': (gates * hidden,),
    }


def elman(gates: jax.Array, activation: Function) -> list[jax.Array]:
    """Elman (1990)."""
    return [activation(gates)]


def lstm(
    gates: jax.Array,
    states: Sequence[jax.Array],
    activation: Function = jnp.tanh,
    recurrent_activation: Function = jax.nn.sigmoid,
    axis: int = -1,
    clip: Function = lambda c: c,
) -> list[jax.Array]:
    """Hochreiter and Schmidhuber (1997), with a forget gate; in, forget, cell and out gates in MXNet's order."""
    g = jnp.split(gates, 4, axis)[2]
    if recurrent_activation is jax.nn.sigmoid:
        i, f, _, o = jnp.split(jax.nn.sigmoid(gates), 4, axis)  # all in one: XLA makes no faster code for three of them
    else:
        i, f, _, o = map(recurrent_activation, jnp.split(gates, 4, axis))
    c = clip(f * states[1] + i * activation(g))
    return [o * activation(c), c]


def gru(
    i2h: jax.Array | Sequence[jax.Array],
    h2h: jax.Array,
    states: Sequence[jax.Array],
    activation: Function = jnp.tanh,
    axis: int = -1,
) -> list[jax.Array]:
    """Cho et al. (2014) as cuDNN has it: the reset gate is applied after the product. Reset, update, new.

    `i2h` may be the three gates' parts, one by one.
    """
    i2h_r, i2h_z, i2h_n = jnp.split(i2h, 3, axis) if isinstance(i2h, jax.Array) else i2h
    h2h_r, h2h_z, h2h_n = jnp.split(h2h, 3, axis)
    reset, update = jax.nn.sigmoid(i2h_r + h2h_r), jax.nn.sigmoid(i2h_z + h2h_z)
    return [(1 - update) * activation(i2h_n + reset * h2h_n) + update * states[0]]


def projected(h: jax.Array, weight: jax.Array) -> jax.Array:
    """The projection of an output (Sak et al., 2014)."""
    h, weight = checks.promoted(h, weight)
    return h @ weight.T
