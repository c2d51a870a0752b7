"""`mx.npx.random`: numbers for each element of the parameters.

>>> from gluonjax.mx import np, npx
>>> npx.random.normal_n(np.zeros(2), np.ones(2), batch_shape=(3,)).shape
(3, 2)
"""

from __future__ import annotations

from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray, call
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.numpy.array import ndarray
from gluonjax.mx.numpy.random import Size, drawn, seed

__all__ = ['bernoulli', 'normal_n', 'seed', 'uniform_n']


def bernoulli(
    prob: Any = None, logit: Any = None, size: Size = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> ndarray:
    """1 with a probability, or with the sigmoid of a logit, and 0.

    Raises:
        ArgumentError: unless one of both is given.
    """
    if (prob is None) == (logit is None):
        raise ArgumentError('bernoulli takes either prob or logit', got='both' if logit is not None else 'none')
    if prob is None:
        given = logit if isinstance(logit, NDArray) else ndarray(drawn('uniform', [logit, logit], ()).value)
        prob = call('sigmoid', given)
    return drawn('bernoulli', [prob], size, dtype, ctx, out)


def uniform_n(low: Any = 0.0, high: Any = 1.0, batch_shape: Size = None, dtype: Any = None, ctx: Any = None) -> ndarray:
    """Numbers from `low` to `high`, of the shape `batch_shape` for each element of the parameters."""
    return drawn('uniform', [low, high], batch_shape, dtype, ctx, batch=True)


def normal_n(loc: Any = 0.0, scale: Any = 1.0, batch_shape: Size = None, dtype: Any = None, ctx: Any = None) -> ndarray:
    """Normally distributed numbers, of the shape `batch_shape` for each element of the parameters."""
    return drawn('normal', [loc, scale], batch_shape, dtype, ctx, batch=True)


explain_calls(globals())
