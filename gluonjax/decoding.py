"""Writing with a language model: `generate`, and how it draws a token from logits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.block import Block, structure_of
from gluonjax.errors import ArgumentError, DTypeError, ShapeError
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.parameter import key_or_next


@suggests_keywords
def generate(
    net: Layer | Block,
    prompt: ArrayLike,
    length: int,
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    key: Any = None,
    stop: int | None = None,
    params: Mapping[str, Any] | None = None,
) -> jax.Array:
    """The tokens with which a language model goes on after a prompt, in one compiled program.

    The prompt is read in one call, then one token after the other with a cache (`init_cache`). By default each token is
    the likeliest one. If `temperature`, `top_k`, `top_p` or `key` is given, tokens are drawn, as `sample` does.

    Args:
        net: a network, or a layer with `params`: from tokens, integers of shape (N, T), to the logits of the token that
            follows each, of shape (N, T, tokens). Each may depend on what came before it alone, as in a causal model.
        prompt: integers of shape (N, T), or (T,) for a single one; at least one token.
        length: how many tokens to write.
        temperature: what logits are divided by; below 1 makes likely tokens likelier. 1 if others are given.
        top_k: draw from so many of the likeliest tokens.
        top_p: draw from the fewest of the likeliest tokens that have this probability together.
        key: a JAX key or an int; by default the next of the library's stream.
        stop: a token that ends a text: only it follows.
        params: the values, for a layer; by default those of the network.

    Returns:
        The new tokens without the prompt, int32 of shape (N, length), or (length,).

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        DTypeError: if the prompt has no integers.
        ShapeError: if the prompt or the output of the network has another shape, or the network has fewer positions.

    >>> from gluonjax import nn, rnn
    >>> net = nn.Sequential(nn.Embedding(5, 8), rnn.LSTM(8, layout='NTC'), nn.Dense(5, flatten=False))
    >>> net.initialize(key=0)
    >>> generate(net, jnp.array([[1, 2], [3, 4]]), 6).shape
    (2, 6)
    >>> generate(net, [1, 2, 3], 4, temperature=0.8, top_k=3, key=0).shape
    (4,)
    """
    tokens = _prompt(prompt)
    length, draws = checks.size('length', length), any(x is not None for x in (temperature, top_k, top_p, key))
    if temperature == 0:
        remedy = 'leave it out, and top_k, top_p and key: each token is the likeliest one then'
        raise ArgumentError('temperature must be a number > 0, got 0', remedy=remedy)
    scale = checks.positive('temperature', 1.0 if temperature is None else temperature)
    top_k = None if top_k is None else checks.size('top_k', top_k)
    top_p = None if top_p is None else _probability(top_p)
    stop = None if stop is None else checks.size('stop', stop, 0)
    definition, values = _model(net, params, tokens)
    program = _program(definition, length, draws, top_k, top_p is not None, stop)
    if not draws:
        written = program(values, tokens, None, scale, top_p)
    else:
        with key_or_next(key) as key:
            written = program(values, tokens, key, scale, top_p)
    return written[0] if np.ndim(prompt) == 1 else written


@suggests_keywords
def sample(
    key: jax.Array,
    logits: jax.Array,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
    top_p: ArrayLike | None = None,
) -> jax.Array:
    """Draws tokens from logits: (..., tokens) -> (...), int32.

    First logits are divided by the temperature, then all but the `top_k` likeliest are left out, then all but the
    fewest that have the probability `top_p` together.

    Raises:
        ArgumentError: for a temperature that is no number > 0, or values of `top_k` and `top_p` that there are not;
            what is traced is not looked at.

    >>> sample(jax.random.key(0), jnp.array([[0.0, 9.0, 1.0]]), top_k=1)
    Array([1], dtype=int32)
    """
    _check_range('temperature', temperature, np.inf)
    logits = logits.astype(checks.at_least_float32(logits.dtype)) / temperature
    logits = logits if top_k is None else keep_top_k(logits, top_k)
    logits = logits if top_p is None else keep_top_p(logits, top_p)
    return jax.random.categorical(key, logits).astype(jnp.int32)


@suggests_keywords
def keep_top_k(logits: jax.Array, k: int) -> jax.Array:
    """The logits, with -inf for all but the k largest; more, where others equal the last of these.

    >>> keep_top_k(jnp.array([1.0, 3.0, 2.0]), 2)
    Array([-inf,   3.,   2.], dtype=float32)
    """
    least = lax.top_k(logits, min(checks.size('top_k', k), logits.shape[-1]))[0][..., -1:]
    return jnp.where(logits >= least, logits, -jnp.inf)


@suggests_keywords
def keep_top_p(logits: jax.Array, p: ArrayLike) -> jax.Array:
    """The logits, with -inf for all but the fewest of the largest that have the probability p together.

    Holtzman et al. (2020). The largest always stays, and whatever equals the last of those that stay.

    >>> keep_top_p(jnp.log(jnp.array([0.5, 0.2, 0.3])), 0.6)
    Array([-0.693,   -inf, -1.204], dtype=float32)
    """
    _check_range('top_p', p, 1.0)
    largest = jnp.flip(jnp.sort(logits, -1), -1)
    chances = jax.nn.softmax(largest, -1)
    before = jnp.cumsum(chances, -1) - chances  # of all that are likelier
    stays = (before < p).at[..., 0].set(True)
    least = jnp.where(stays, largest, jnp.inf).min(-1, keepdims=True)
    return jnp.where(logits >= least, logits, -jnp.inf)


@functools.lru_cache(maxsize=64)
def _program(
    definition: Layer, length: int, draws: bool, top_k: int | None, _has_top_p: bool, stop: int | None
) -> Callable[..., jax.Array]:
    """The compiled function of the values, the prompt, a key, the temperature and top_p: the tokens, (N, length)."""

    def run(params: Any, prompt: jax.Array, key: Any, temperature: Any, top_p: Any) -> jax.Array:
        def read(tokens: jax.Array, cache: Any) -> tuple[jax.Array, Any]:
            logits, cache = definition.apply(params, tokens, cache=cache)
            _check_logits(logits, tokens)
            return logits[:, -1], cache

        def chosen(logits: jax.Array, key: Any) -> jax.Array:
            if not draws:
                return logits.argmax(-1).astype(jnp.int32)
            return sample(key, logits, temperature, top_k, top_p)

        def step(carry: Any, key: Any) -> tuple[Any, jax.Array]:
            token, cache = carry
            logits, cache = read(token[:, None], cache)
            new = chosen(logits, key)
            new = new if stop is None else jnp.where(token == stop, token, new)
            return (new, cache), new

        logits, cache = read(prompt, definition.init_cache(prompt.shape[0], prompt.shape[1] + length - 1))
        first, *_ = keys = jax.random.split(key, length) if draws else [None]
        token = chosen(logits, first)
        _, others = lax.scan(step, (token, cache), keys[1:] if draws else None, length - 1)
        return jnp.concatenate([token[:, None], others.T], 1)

    return jax.jit(run)


def _prompt(prompt: Any) -> jax.Array:
    """The prompt as int32 of shape (N, T)."""
    try:
        tokens = jnp.asarray(admit(prompt, 'prompt'))
    except (TypeError, ValueError) as error:
        raise DTypeError('a prompt consists of integers', got=repr(prompt), remedy='encode texts as tokens') from error
    if tokens.ndim not in (1, 2) or tokens.size == 0:
        raise ShapeError('a prompt has a token or more', expected='shape (N, T) or (T,)', got=tokens.shape)
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise DTypeError('a prompt consists of integers', got=f'{tokens.dtype} of shape {tokens.shape}')
    return jnp.atleast_2d(tokens).astype(jnp.int32)


def _probability(top_p: Any) -> float:
    _check_range('top_p', checks.number('top_p', top_p), 1.0)
    return float(top_p)


def _check_range(name: str, value: Any, most: float) -> None:
    """Refuses numbers that are not above 0 and at most this; those that are traced nobody knows."""
    known = checks.known(value)
    numbers = known is None or known.dtype.kind in 'fiu' or jnp.issubdtype(known.dtype, jnp.floating)
    if not numbers or (known is not None and not np.all((known > 0) & (known <= most))):
        bound = f' and <= {most:g}' if most < np.inf else ''
        raise ArgumentError(f'{name} must be a number > 0{bound}, got {value!r}')


def _model(net: Any, params: Any, prompt: jax.Array) -> tuple[Layer, Any]:
    """The definition and its values; a network that waits for a shape is given the prompt."""
    if isinstance(net, Block):
        if params is None and not structure_of(net).is_initialized():
            net(prompt)
        return net.definition, net.params if params is None else params
    if not isinstance(net, Layer) or params is None:
        raise ArgumentError(
            'generate takes a network, or a layer and params',
            got=f'{type(net).__name__}, {"no params" if params is None else "params"}',
            remedy='generate(net, prompt, length), or generate(layer, prompt, length, params=params)',
        )
    return net, params


def _check_logits(logits: Any, tokens: jax.Array) -> None:
    shape = getattr(logits, 'shape', None)
    if shape is None or shape[:2] != tokens.shape or len(shape) != 3:
        raise ShapeError(
            'generate needs the logits of the token that follows each',
            expected=f'an output of shape {(*tokens.shape, "tokens")}',
            got=shape if shape is not None else type(logits).__name__,
            remedy='instead of nn.DenseFactors, a network that ends in nn.Dense(units, flatten=False) has the same '
            'parameters: other.params = net.params'
            if isinstance(logits, tuple)
            else None,
        )
