"""Functions whose gradient is not their own."""

import functools
from collections.abc import Callable

import jax

Function = Callable[[jax.Array], jax.Array]


def with_slope(function: Function, slope: float, x: jax.Array) -> jax.Array:
    """`function(x)`, of the shape of x, whose gradient is the one of `slope * x`.

    >>> import jax.numpy as jnp
    >>> jax.value_and_grad(lambda x: with_slope(jnp.round, 2.0, x))(1.2)
    (Array(1., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    return _with_slope(function, slope, x)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _with_slope(function: Function, slope: float, x: jax.Array) -> jax.Array:
    return function(x)


@_with_slope.defjvp
def _with_slope_jvp(
    function: Function, slope: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return function(*primals), tangents[0] * slope
