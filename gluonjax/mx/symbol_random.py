"""`mx.sym.random`: nodes that draw numbers, by numbers or by symbols for parameters.

>>> from gluonjax.mx import sym
>>> sym.random.normal(0, 1, shape=(2, 3)).infer_shape()[1]
[(2, 3)]
>>> sym.random.normal(sym.var('mu'), sym.var('sigma'), shape=4).infer_shape(mu=(2,), sigma=(2,))[1]
[(2, 4)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.mx.op import OPERATORS
from gluonjax.mx.symbol import Symbol, call

# What distributions are called with, and their parameters' values by default.
_PARAMETERS: Mapping[str, Mapping[str, float]] = {
    'exponential': {'scale': 1},
    'gamma': {'alpha': 1, 'beta': 1},
    'generalized_negative_binomial': {'mu': 1, 'alpha': 1},
    'negative_binomial': {'k': 1, 'p': 1},
    'normal': {'loc': 0, 'scale': 1},
    'poisson': {'lam': 1},
    'uniform': {'low': 0, 'high': 1},
}


def randn(*shape: int, loc: Any = 0, scale: Any = 1, **kwargs: Any) -> Symbol:
    """Normally distributed numbers, with the sizes as arguments."""
    return _drawn('normal', (loc, scale), {'shape': shape, **kwargs})


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """The rows in a random order."""
    return call('_shuffle', data, **kwargs)


def multinomial(data: Symbol, shape: Any = (), get_prob: bool = True, dtype: str = 'int32', **kwargs: Any) -> Symbol:
    """Numbers of classes by their probabilities along the last axis; with `get_prob` their logarithms too."""
    return call('_sample_multinomial', data, shape=shape, get_prob=get_prob, dtype=dtype, **kwargs)


def _drawn(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
    known = _PARAMETERS[name]
    given = {**known, **{key: kwargs.pop(key) for key in known if key in kwargs}}
    rest = ('shape', 'dtype')[: max(0, len(args) - len(known))]
    kwargs |= dict(zip(rest, args[len(known) :], strict=False))
    given |= dict(zip(known, args, strict=False))
    kwargs.pop('ctx', None)
    if name == 'exponential':
        given = {'lam': 1 / given['scale']}
    symbols = [isinstance(value, Symbol) for value in given.values()]
    if any(symbols):
        if not all(symbols):
            raise ArgumentError(f'the parameters of {name} are all symbols, or all numbers', got=list(given.values()))
        return call(f'_sample_{name}', *given.values(), **kwargs)
    return call(f'_random_{name}', **given, **kwargs)


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Callable[..., Symbol]:
        """The distributions, and other operators whose names begin with `_random_`, such as `randint`."""
        if name in _PARAMETERS:
            return lambda *args, **kwargs: _drawn(name, args, dict(kwargs))
        if name.startswith('__') or f'_random_{name}' not in OPERATORS:
            raise missing(f'module {__name__!r}', name, __name__, [*_PARAMETERS, 'randn', 'shuffle', 'multinomial'])
        return lambda *args, **kwargs: call(f'_random_{name}', *args, **kwargs)
