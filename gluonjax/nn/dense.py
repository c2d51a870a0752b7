"""The fully connected layer."""

import math

from jax import lax

from gluonjax.checks import floating, optional_size, promoted, size
from gluonjax.errors import ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.param import Param


class Dense(Layer):
    """`activation(x @ weight.T + bias)`, as MXNet's `FullyConnected`.

    Args:
        units: the size of the output, an int of at least 1.
        activation: a name or a function; see `Activation`.
        use_bias: whether there is a bias.
        flatten: True takes all axes but the first as one: (N, ...) -> (N, units); False works on the last axis:
            (..., in_units) -> (..., units).
        dtype: the dtype of the parameters.
        weight_initializer: of the weight, shape (units, in_units).
        bias_initializer: of the bias, shape (units,).
        in_units: the size of the input; None (or 0) lets the first input decide.

    Raises:
        ShapeError: in a run, if the input has another width than the weight.
        DTypeError: in a run, if the input is not of floating point.

    >>> import jax
    >>> Dense(3).specs(jax.ShapeDtypeStruct((2, 4), 'float32'))['weight'].shape
    (3, 4)
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        flatten=True,
        dtype='float32',
        weight_initializer=None,
        bias_initializer='zeros',
        in_units=None,
    ):
        activations.function(activation)
        self.units, self.in_units = size('units', units), optional_size('in_units', in_units)
        self.activation, self.use_bias, self.flatten = activation, use_bias, flatten
        self.weight = Param((self.units, self.in_units), dtype, weight_initializer)
        if use_bias:
            self.bias = Param((self.units,), dtype, bias_initializer)

    def infer_shape(self, x):
        if x.ndim == 0:
            raise ShapeError('Dense needs an axis of features', expected='one axis or more', got=x.shape)
        return {'weight': (self.units, math.prod(x.shape[1:]) if self.flatten else x.shape[-1])}

    def forward(self, x):
        floating(x)
        if self.flatten:
            x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        x, weight = promoted(x, self.weight)
        y = lax.dot_general(x, weight.T, (((x.ndim - 1,), (0,)), ((), ())))  # a frozen weight is transposed once
        if self.use_bias:
            y = y + self.bias.reshape((1,) * (y.ndim - 1) + (self.units,))
        return activations.function(self.activation)(y)
