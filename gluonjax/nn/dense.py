"""The fully connected layer."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import lax
from jax.typing import DTypeLike

from gluonjax.checks import flag, floating, optional_size, promoted, size
from gluonjax.errors import ShapeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.nn.precision import add_bias
from gluonjax.param import Param
from gluonjax.shapes import Shape


class Dense(Layer):
    """`activation(x @ weight.T + bias)`, as MXNet's `FullyConnected`.

    Args:
        units: the size of the output.
        activation: a name or a function; see `Activation`. None applies none.
        use_bias: whether there is a bias.
        flatten: True flattens all axes but the first: (N, ...) -> (N, units); False works on the last axis:
            (..., in_units) -> (..., units).
        dtype: the dtype of the parameters.
        weight_initializer: of the weight, shape (units, in_units).
        bias_initializer: of the bias, shape (units,).
        in_units: the size of the input; None (or 0) lets the first input decide.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        ShapeError: when called, if the input does not have `in_units` features.
        DTypeError: when called, if the input is not of floating point.

    >>> import jax
    >>> Dense(3).specs(jax.ShapeDtypeStruct((2, 4), 'float32'))['weight'].shape
    (3, 4)
    """

    def __init__(
        self,
        units: int,
        activation: activations.ActivationLike | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: DTypeLike = 'float32',
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_units: int | None = None,
    ):
        activations.function(activation)
        self.units: int = size('units', units)
        self.in_units: int | None = optional_size('in_units', in_units)
        self.activation: activations.ActivationLike | None = activation
        self.use_bias: bool = flag('use_bias', use_bias)
        self.flatten: bool = flag('flatten', flatten)
        self.weight: Any = Param((self.units, self.in_units), dtype, weight_initializer)
        self.bias: Any = Param((self.units,), dtype, bias_initializer) if self.use_bias else None

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        if x.ndim == 0:
            raise ShapeError('Dense needs an axis of features', expected='one axis or more', got=x.shape)
        return {'weight': (self.units, math.prod(x.shape[1:]) if self.flatten else x.shape[-1])}

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        if self.flatten:
            x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        x, weight = promoted(x, self.weight)
        if self.activation == 'gelu':
            return activations.gelu(linear(x, weight), bias=self.bias)
        return activations.function(self.activation)(linear(x, weight, self.bias))


@jax.jit
def linear(x: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """`x @ weight.T + bias`; jitted, so that JAX traces and differentiates it once for layers of the same shapes."""
    # A frozen weight is transposed once.
    return add_bias(lax.dot_general(x, weight.T, (((x.ndim - 1,), (0,)), ((), ()))), bias)
