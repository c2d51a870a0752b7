"""`mx.np.random`: numbers from the library-wide stream of keys; gradients reach the parameters of distributions.

>>> from gluonjax.mx import np
>>> np.random.seed(1)
>>> np.random.normal(0, 1, size=(2, 3)).shape
(2, 3)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import keys
from gluonjax.errors import ArgumentError
from gluonjax.mx import invoke, tape
from gluonjax.mx.array import NDArray, as_jax, canonical, made_in, placed
from gluonjax.mx.context import Context, virtual
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.numpy.array import array, ndarray
from gluonjax.mx.op.attributes import dtype_of
from gluonjax.mx.op.random import NUMPY_DISTRIBUTIONS, Draw
from gluonjax.mx.tape import Program, Tracked

Size = int | Sequence[int] | None


def seed(seed: int | None = None, ctx: Context | str = 'all') -> None:
    """Restarts the stream of keys."""
    keys.seed(int(seed or 0))


def _sizes(size: Size) -> tuple[int, ...] | None:
    return None if size is None else (int(size),) if isinstance(size, int | np.integer) else tuple(map(int, size))


def _beta(key: jax.Array, shape: Any, a: Any, b: Any) -> jax.Array:
    return jax.random.beta(key, a, b, shape)


DRAWS: dict[str, Draw] = {
    **{name: draw for name, (_, draw) in NUMPY_DISTRIBUTIONS.items()},
    'beta': _beta,
    'chisquare': lambda key, shape, df: 2 * jax.random.gamma(key, df / 2, shape),
    'lognormal': lambda key, shape, mean, sigma: jnp.exp(mean + sigma * jax.random.normal(key, shape)),
    'laplace': lambda key, shape, loc, scale: loc + scale * jax.random.laplace(key, shape),
    'poisson': lambda key, shape, lam: jax.random.poisson(key, lam, shape),
    'bernoulli': lambda key, shape, prob: jax.random.uniform(key, shape) < prob,
}


# How many of the first parameters may be below 0; of the others none.
_OF_ANY_SIGN = {'uniform': 2, **dict.fromkeys(('normal', 'lognormal', 'gumbel', 'logistic', 'laplace'), 1)}


@functools.lru_cache(1024)
def _program(name: str, size: tuple[int, ...] | None, dtype: str, batch: bool) -> Program:
    def function(parameters: Any, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        own = jnp.broadcast_shapes(*(jnp.shape(p) for p in parameters))
        sizes = own if size is None else size + own if batch else size
        values = [jnp.broadcast_to(jnp.asarray(p, 'float32'), sizes) for p in parameters]
        return [DRAWS[name](key, sizes, *values).astype(dtype)], []

    return Program(f'np.random.{name}', function)


def drawn(
    name: str,
    parameters: Sequence[Any],
    size: Size,
    dtype: DTypeLike | None = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
    batch: bool = False,
) -> Any:
    """Numbers of a distribution, of the shape `size`; with `batch` of that shape for each of its parameters.

    Raises:
        ArgumentError: for parameters that do not fit the shape.
    """
    wanted = canonical(dtype or 'float32').name
    for number in parameters[_OF_ANY_SIGN.get(name, 0) :]:
        if isinstance(number, bool | int | float) and number < 0:
            raise ArgumentError(f'the parameters of np.random.{name} are 0 or more', got=number)
    sizes = _sizes(size) if out is None or size is not None else out.shape
    inputs = [x.tracked if isinstance(x, NDArray) else Tracked(as_jax(x, 'float32')) for x in parameters]
    try:
        with invoke.next_key() as key:
            result = tape.call(_program(name, sizes, wanted, batch), inputs, key)[0][0]
    except ValueError as error:
        raise ArgumentError(f'np.random.{name}: {str(error).splitlines()[0]}', got=f'size={size}') from error
    if out is not None:
        out[...] = ndarray(*result)
        return out
    return ndarray(placed(result.array, ctx), result.entry, None, virtual(ctx))


def uniform(
    low: Any = 0.0,
    high: Any = 1.0,
    size: Size = None,
    dtype: DTypeLike | None = None,
    ctx: Context | None = None,
    out: Any = None,
) -> ndarray:
    """Numbers from `low` to `high`."""
    return drawn('uniform', [low, high], size, dtype, ctx, out)


def normal(
    loc: Any = 0.0,
    scale: Any = 1.0,
    size: Size = None,
    dtype: DTypeLike | None = None,
    ctx: Context | None = None,
    out: Any = None,
) -> ndarray:
    """Normally distributed numbers."""
    return drawn('normal', [loc, scale], size, dtype, ctx, out)


def lognormal(
    mean: Any = 0.0, sigma: Any = 1.0, size: Size = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> ndarray:
    """Numbers whose logarithms are normally distributed."""
    return drawn('lognormal', [mean, sigma], size, dtype, ctx, out)


def gamma(
    shape: Any, scale: Any = 1.0, size: Size = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> ndarray:
    """Gamma distributed numbers."""
    return drawn('gamma', [shape, scale], size, dtype, ctx, out)


def beta(a: Any, b: Any, size: Size = None, dtype: Any = None, ctx: Any = None) -> ndarray:
    """Beta distributed numbers."""
    return drawn('beta', [a, b], size, dtype, ctx)


def chisquare(df: Any, size: Size = None, dtype: Any = None, ctx: Any = None) -> ndarray:
    """Numbers of the chi-square distribution with `df` degrees of freedom."""
    return drawn('chisquare', [df], size, dtype, ctx)


def _located(name: str) -> Callable[..., Any]:
    def draw(loc: Any = 0.0, scale: Any = 1.0, size: Size = None, ctx: Any = None, out: Any = None) -> ndarray:
        return drawn(name, [loc, scale], size, None, ctx, out)

    draw.__name__, draw.__doc__ = name, f'Numbers of the {name} distribution.'
    return draw


def _scaled(name: str) -> Callable[..., Any]:
    def draw(scale: Any = 1.0, size: Size = None, ctx: Any = None, out: Any = None) -> ndarray:
        return drawn(name, [scale], size, None, ctx, out)

    draw.__name__, draw.__doc__ = name, f'Numbers of the {name} distribution.'
    return draw


def _shaped(name: str, called: str) -> Callable[..., Any]:
    def draw(a: Any, size: Size = None, ctx: Any = None, out: Any = None) -> ndarray:
        return drawn(name, [a], size, None, ctx, out)

    draw.__name__, draw.__doc__ = called, f'Numbers of the {called} distribution.'
    return draw


gumbel: Callable[..., Any] = _located('gumbel')
logistic: Callable[..., Any] = _located('logistic')
laplace: Callable[..., Any] = _located('laplace')
exponential: Callable[..., Any] = _scaled('exponential')
rayleigh: Callable[..., Any] = _scaled('rayleigh')
weibull: Callable[..., Any] = _shaped('weibull', 'weibull')
pareto: Callable[..., Any] = _shaped('pareto', 'pareto')
power: Callable[..., Any] = _shaped('powerd', 'power')


def rand(*size: int, **kwargs: Any) -> ndarray:
    """Numbers from 0 to 1, with the sizes as arguments."""
    return uniform(0.0, 1.0, size, **kwargs)


def randn(*size: int, **kwargs: Any) -> ndarray:
    """Standard normally distributed numbers, with the sizes as arguments."""
    return normal(0.0, 1.0, size, **kwargs)


def randint(
    low: int,
    high: int | None = None,
    size: Size = None,
    dtype: DTypeLike | None = None,
    ctx: Context | None = None,
    out: Any = None,
) -> ndarray:
    """Integers from `low` to below `high`; from 0 to below `low` without one.

    Raises:
        ArgumentError: if there is no integer to draw.
    """
    first, last = (0, low) if high is None else (low, high)
    if first >= last:
        raise ArgumentError('randint draws from low to below high', got=f'{first}, {last}')
    sizes = out.shape if out is not None and size is None else _sizes(size) or ()
    with invoke.next_key() as key:
        numbers = jax.random.randint(key, sizes, first, last, canonical(dtype or dtype_of('int64')))
    if out is None:
        return made_in(ctx, ndarray, numbers)
    out[...] = ndarray(numbers)
    return out


def choice(
    a: Any, size: Size = None, replace: bool = True, p: Any = None, ctx: Context | None = None, out: Any = None
) -> ndarray:
    """Elements of an array, or integers below a number, drawn with or without replacement.

    Raises:
        ArgumentError: for more draws without replacement than there are elements.
    """
    count = a.shape[0] if isinstance(a, NDArray) else int(a)
    sizes = _sizes(size) or ()
    if not replace and int(np.prod(sizes)) > count:
        raise ArgumentError(f'{count} elements without replacement are not enough', got=f'size={size}')
    chances = None if p is None else as_jax(p, 'float32')
    with invoke.next_key() as key:
        index = jax.random.choice(key, count, sizes, replace, chances)
    chosen = a[ndarray(index)] if isinstance(a, NDArray) else made_in(ctx, ndarray, index)
    if out is None:
        return chosen
    out[...] = chosen
    return out


def shuffle(x: NDArray) -> None:
    """Puts the rows in a random order, in place."""
    with invoke.next_key() as key:
        order = jax.random.permutation(key, x.shape[0])
    x[:] = x[ndarray(order)]


def permutation(x: Any) -> ndarray:
    """The rows in a random order, or the integers below a number."""
    with invoke.next_key() as key:
        order = jax.random.permutation(key, x if isinstance(x, int) else x.shape[0])
    return ndarray(order) if isinstance(x, int) else x[ndarray(order)]


def multinomial(n: int, pvals: Any, size: Size = None, **kwargs: Any) -> ndarray:
    """How often each class comes in n draws with these probabilities.

    Raises:
        ArgumentError: for probabilities of a sum above 1.
    """
    chances = as_jax(pvals, 'float32')
    if float(chances[:-1].sum()) > 1 + 1e-6:
        raise ArgumentError('the probabilities have a sum above 1', got=np.asarray(chances).tolist())
    with invoke.next_key() as key:
        draws = jax.random.categorical(key, jnp.log(chances), shape=(*(_sizes(size) or ()), int(n)))
    return ndarray(jax.nn.one_hot(draws, chances.shape[0], dtype='int32').sum(-2))


def multivariate_normal(mean: Any, cov: Any, size: Size = None, check_valid: Any = None, tol: Any = None) -> ndarray:
    """Vectors normally distributed with a mean and a covariance."""
    center, spread = (x if isinstance(x, NDArray) else array(x) for x in (mean, cov))
    batch = jnp.broadcast_shapes(center.shape[:-1], spread.shape[:-2])
    noise = normal(0.0, 1.0, (*(_sizes(size) or ()), *batch, center.shape[-1]))
    lower = ndarray(jnp.linalg.cholesky(spread.value))
    return center + (lower @ noise.reshape((*noise.shape, 1))).reshape(noise.shape)


explain_calls(globals())
