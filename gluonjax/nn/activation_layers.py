"""Activations as layers."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.checks import floating, number, one_of, optional_size, promoted
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.init.common import Constant
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn.activation import ActivationLike, function, gelu
from gluonjax.nn.precision import broadcast
from gluonjax.param import Param
from gluonjax.shapes import Shape


class Activation(Layer):
    """An activation by name, elementwise, or a function of an array.

    'relu', 'sigmoid', 'tanh', 'softrelu' and 'softsign' follow MXNet's `Activation`; 'log_sigmoid' and 'mish' are those
    of Gluon 2; 'elu', 'gelu', 'selu', 'silu' and 'swish' are the layers of these names with their defaults.

    Args:
        activation: the name or the function.

    Raises:
        ArgumentError: for another name.

    >>> Activation('relu').apply({}, jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: ActivationLike):
        if activation is None:
            raise ArgumentError('Activation needs an activation', remedy='nn.Identity() computes nothing')
        function(activation)
        self.activation: ActivationLike = activation

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return function(self.activation)(x)


def _leaky(x: jax.Array, slope: jax.Array | float) -> jax.Array:
    return jnp.where(x > 0, x, slope * x)


class LeakyReLU(Layer):
    """`x` where it is positive, `alpha * x` elsewhere, as MXNet's `LeakyReLU`. At 0 the slope is `alpha`.

    Args:
        alpha: the slope where x is negative, at least 0.

    >>> LeakyReLU(0.5).apply({}, jnp.array([-1.0, 2.0]))
    Array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, alpha: float):
        self.alpha: float = number('alpha', alpha, least=0)

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return _leaky(x, self.alpha)


class PReLU(Layer):
    """`LeakyReLU` whose slope is learned: one for all, or one for each channel.

    He et al. (2015); MXNet's `LeakyReLU` with 'prelu'. Channels are axis 1, and the only axis of a vector. MXNet tries
    further axes if the sizes ask for it; here that is an error.

    Args:
        alpha_initializer: of alpha, shape (in_channels,).
        in_channels: 1 for one slope, or the number of channels; None (or 0) lets the first input decide.

    Raises:
        ShapeError: when called, if the input has another number of channels.

    >>> layer = PReLU()
    >>> layer.apply(layer.init(0), jnp.array([-1.0, 2.0]))
    Array([-0.25,  2.  ], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: InitializerLike = Constant(0.25),  # noqa: B008  (it never changes)
        in_channels: int | None = 1,
    ):
        self.in_channels: int | None = optional_size('in_channels', in_channels)
        self.alpha: Any = Param((self.in_channels,), init=alpha_initializer)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        if self.in_channels == 1:
            return {}
        if x.ndim == 0:
            raise ShapeError('PReLU needs an axis of channels', expected='one axis or more', got=x.shape)
        return {'alpha': (x.shape[min(1, x.ndim - 1)],)}

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        x, alpha = promoted(x, self.alpha)
        axes = [-1 if axis == min(1, x.ndim - 1) else 1 for axis in range(x.ndim)]
        return _leaky(x, broadcast(alpha.reshape(axes), x.shape))


class ELU(Layer):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    Clevert, Unterthiner and Hochreiter (2016); MXNet's `LeakyReLU` with 'elu'.

    Args:
        alpha: minus the limit on the negative side.

    >>> ELU().apply({}, jnp.array([-100.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0):
        self.alpha: float = number('alpha', alpha)

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return jax.nn.elu(x, self.alpha)


class SELU(Layer):
    """`ELU` with the two constants that keep mean 0 and variance 1 from layer to layer.

    Klambauer et al. (2017); MXNet's `LeakyReLU` with 'selu'.

    >>> SELU().apply({}, jnp.array([-100.0, 2.0]))
    Array([-1.7580993,  2.101402 ], dtype=float32)
    """

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return jax.nn.selu(x)


class GELU(Layer):
    """`x` times the probability that a standard normal number is below `x`.

    Hendrycks and Gimpel (2016); MXNet's `LeakyReLU` with 'gelu', which is exact.

    Args:
        approximation: 'erf' is exact, 'tanh' the paper's approximation; the argument is Gluon 2's.

    >>> GELU().apply({}, jnp.array([-1.0, 2.0]))
    Array([-0.15865526,  1.9544997 ], dtype=float32)
    """

    def __init__(self, approximation: Literal['erf', 'tanh'] = 'erf'):
        self.approximation: Literal['erf', 'tanh'] = one_of('approximation', approximation, ('erf', 'tanh'))

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return gelu(x, approximate=self.approximation == 'tanh')


class Swish(Layer):
    """`x * sigmoid(beta * x)`. Ramachandran, Zoph and Le (2017); MXNet's `Swish`.

    Args:
        beta: the factor.

    >>> Swish(2).apply({}, jnp.array([0.0, 100.0]))
    Array([  0., 100.], dtype=float32)
    """

    def __init__(self, beta: float = 1.0):
        self.beta: float = number('beta', beta)

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return x * jax.nn.sigmoid(self.beta * x)


class SiLU(Layer):
    """`x * sigmoid(x)`, which is `Swish` with beta 1. Elfwing, Uchibe and Doya (2018); Gluon 2's `SiLU`.

    >>> SiLU().apply({}, jnp.array([0.0, 100.0]))
    Array([  0., 100.], dtype=float32)
    """

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return jax.nn.silu(x)
