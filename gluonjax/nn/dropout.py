"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer
from gluonjax.nn import arguments

MASK = 'dropout mask'  # what `nn.Repeat` keeps for the backward pass


class Dropout(Layer):
    """In training, zeroes elements with probability `rate` and scales the rest by 1 / (1 - rate).

    Srivastava et al. (2014); MXNet's `Dropout`. Needs a key: `apply_train(params, x, key=key)`.

    Args:
        rate: the probability, from 0 to 1.
        axes: axes along which the mask is broadcast: all elements along them are kept or zeroed together.

    Raises:
        MissingKeyError: in training, without a key.

    >>> Dropout(0.5).apply({}, jnp.ones(3))
    Array([1., 1., 1.], dtype=float32)
    """

    rate: float
    axes: tuple[int, ...]

    def __init__(self, rate: float, axes: int | Sequence[int] = ()):
        self.rate, self.axes = checks.number('rate', rate, least=0, most=1), arguments.axes('axes', axes)

    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        if not self.training or self.rate == 0:
            return x
        if any(not -x.ndim <= axis < x.ndim for axis in self.axes):
            raise ArgumentError(
                'Dropout has an axis that the input lacks', expected=f'axes below {x.ndim}', got=self.axes
            )
        shared = {axis % x.ndim for axis in self.axes}
        shape = [1 if axis in shared else length for axis, length in enumerate(x.shape)]
        keep = checkpoint_name(jax.random.bernoulli(self.next_key(), 1 - self.rate, shape), MASK)
        scale = 0.0 if self.rate == 1 else 1 / (1 - self.rate)
        return jnp.where(keep, x * jnp.asarray(scale, x.dtype), jnp.zeros((), x.dtype))
