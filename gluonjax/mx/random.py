"""`mx.random`, which `mx.nd.random` is too: the numbers are JAX's, from the library-wide stream of keys.

>>> from gluonjax.mx import random
>>> random.seed(1)
>>> random.uniform(shape=(2, 3)).shape
(2, 3)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax import keys
from gluonjax.errors import ArgumentError, GluonError, ShapeError
from gluonjax.hints import missing
from gluonjax.mx import invoke
from gluonjax.mx.array import NDArray, call, canonical, made_in
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.op import OPERATORS

Size = int | Sequence[int]
Draw = Callable[..., jax.Array]  # of a key, a shape, a dtype and parameters


def seed(seed_state: int, ctx: Context | str = 'all') -> None:
    """Restarts the stream of keys.

    Args:
        seed_state: an int.
        ctx: accepted; there is one stream for all devices.
    """
    keys.seed(int(seed_state))


def _draw(
    draw: Draw,
    parameters: Sequence[Any],
    shape: Any,
    dtype: DTypeLike | None,
    ctx: Context | None,
    out: Any,
    signed: int = 0,
) -> Any:
    """Numbers of a shape; for parameters that are arrays, of that shape for each of their elements."""
    wanted = canonical('float32' if dtype is None or dtype == 'None' else dtype)
    size = (shape,) if isinstance(shape, int) else tuple(shape or ())
    for number in parameters[signed:]:  # the first ones may be below 0
        if isinstance(number, int | float) and number < 0:
            raise ArgumentError('this parameter of a distribution is 0 or more', got=number)
    if min(size, default=0) < 0:
        raise ShapeError('the sizes of an array are 0 or more', got=size)
    values = [x.value if isinstance(x, NDArray) else x for x in parameters]
    if any(isinstance(x, NDArray) for x in parameters):
        leading = jnp.broadcast_shapes(*(jnp.shape(value) for value in values))
        values = [jnp.broadcast_to(jnp.asarray(value), leading).reshape(leading + (1,) * len(size)) for value in values]
        size = leading + size
    with invoke.next_key() as key:
        try:
            array = draw(key, out.shape if out is not None and not size else size or (1,), wanted, *values)
        except (TypeError, ValueError) as error:
            if isinstance(error, GluonError):
                raise
            raise ArgumentError(f'these numbers cannot be drawn: {str(error).splitlines()[0]}', got=dtype) from error
    if out is not None:
        out[:] = NDArray(array)
        return out
    return made_in(ctx, NDArray, array)


def uniform(
    low: Any = 0, high: Any = 1, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None
) -> NDArray:
    """Numbers from `low` to `high`."""

    def draw(key: Any, size: Any, dtype: Any, low: Any, high: Any) -> jax.Array:
        return (low + (high - low) * jax.random.uniform(key, size, dtype)).astype(dtype)

    return _draw(draw, [low, high], shape, dtype, ctx, out, signed=2)


def normal(
    loc: Any = 0, scale: Any = 1, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None
) -> NDArray:
    """Normally distributed numbers with the mean `loc` and the standard deviation `scale`."""

    def draw(key: Any, size: Any, dtype: Any, loc: Any, scale: Any) -> jax.Array:
        return (loc + scale * jax.random.normal(key, size, dtype)).astype(dtype)

    return _draw(draw, [loc, scale], shape, dtype, ctx, out, signed=1)


def randn(*shape: int, loc: Any = 0, scale: Any = 1, dtype: Any = None, ctx: Context | None = None) -> NDArray:
    """As `normal`, with the sizes as arguments."""
    return normal(loc, scale, shape, dtype, ctx)


def randint(
    low: int, high: int, shape: Size = (), dtype: Any = 'int32', ctx: Context | None = None, out: Any = None
) -> NDArray:
    """Integers from `low` to below `high`."""

    def draw(key: Any, size: Any, dtype: Any, low: Any, high: Any) -> jax.Array:
        return jax.random.randint(key, size, low, high, dtype)

    return _draw(draw, [low, high], shape, dtype or 'int32', ctx, out, signed=2)


def exponential(
    scale: Any = 1, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None
) -> NDArray:
    """Exponentially distributed numbers with the mean `scale`."""
    return _draw(
        lambda key, size, dtype, x: x * jax.random.exponential(key, size, dtype), [scale], shape, dtype, ctx, out
    )


def gamma(
    alpha: Any = 1, beta: Any = 1, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None
) -> NDArray:
    """Gamma distributed numbers with the shape `alpha` and the scale `beta`."""

    def draw(key: Any, size: Any, dtype: Any, alpha: Any, beta: Any) -> jax.Array:
        return beta * jax.random.gamma(key, jnp.broadcast_to(jnp.asarray(alpha, dtype), size), dtype=dtype)

    return _draw(draw, [alpha, beta], shape, dtype, ctx, out)


def poisson(lam: Any = 1, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None) -> NDArray:
    """Poisson distributed numbers with the mean `lam`."""

    def draw(key: Any, size: Any, dtype: Any, lam: Any) -> jax.Array:
        return jax.random.poisson(key, jnp.asarray(lam, 'float32'), size).astype(dtype)

    return _draw(draw, [lam], shape, dtype, ctx, out)


def bernoulli(
    prob: Any = 0.5, shape: Size = (), dtype: Any = None, ctx: Context | None = None, out: Any = None
) -> NDArray:
    """1 with the probability `prob`, and 0."""

    def draw(key: Any, size: Any, dtype: Any, prob: Any) -> jax.Array:
        return (jax.random.uniform(key, size) < prob).astype(dtype)

    return _draw(draw, [prob], shape, dtype, ctx, out)


def multinomial(data: NDArray, shape: Size = (), get_prob: bool = False, out: Any = None, dtype: Any = 'int32') -> Any:
    """Numbers of classes by their probabilities along the last axis; with `get_prob` their logarithms too.

    Raises:
        ArgumentError: for probabilities without an axis.
    """
    if not data.shape:
        raise ArgumentError('multinomial takes the probabilities of classes', got='a number')
    size = (shape,) if isinstance(shape, int) else tuple(shape or ())
    return call('_sample_multinomial', data, out=out, shape=size, get_prob=get_prob, dtype=canonical(dtype).name)


def shuffle(data: NDArray, out: Any = None) -> NDArray:
    """The rows in a random order."""
    with invoke.next_key() as key:
        order = jax.random.permutation(key, data.shape[0])
    result = data.like(invoke.take(data.tracked, order))
    if out is not None:
        out[:] = result
        return out
    return result


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """The operators whose names begin with `_random_`, such as `normal_like` and `negative_binomial`."""
        if f'_random_{name}' not in OPERATORS:
            raise missing(f'module {__name__!r}', name, __name__, globals())
        return functools.partial(_by_name, name)


def _by_name(name: str, *args: Any, **kwargs: Any) -> Any:
    """An operator that draws: by numbers, or by arrays of parameters."""
    arrays = any(isinstance(value, NDArray) for value in (*args, *kwargs.values()))
    return call(f'_sample_{name}' if arrays and f'_sample_{name}' in OPERATORS else f'_random_{name}', *args, **kwargs)


explain_calls(globals())
