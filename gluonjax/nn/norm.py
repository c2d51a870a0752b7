"""Normalization."""

import math

import jax.numpy as jnp
from jax import lax

from gluonjax.binding import Param
from gluonjax.errors import ShapeError
from gluonjax.layer import Layer
from gluonjax.nn.checks import floating, optional_size


class BatchNorm(Layer):
    """Normalizes each channel by the batch's mean and variance in training, by running ones in inference.

    Ioffe and Szegedy (2015); MXNet's `BatchNorm`: the variance divides by the count, in the running one too. Statistics
    are computed in float32 at least. An empty batch leaves the running statistics as they are.

    Args:
        axis: the axis of channels.
        momentum: how much of the running statistics stays: `new = momentum * old + (1 - momentum) * batch`.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False takes gamma as 1.
        use_global_stats: True uses the running statistics in training too, and leaves them alone.
        beta_initializer: of beta, shape (channels,), like all of them.
        gamma_initializer: of gamma.
        running_mean_initializer: of running_mean.
        running_variance_initializer: of running_var.
        in_channels: the number of channels; None (or 0) lets the first input decide.
    """

    def __init__(
        self,
        axis=1,
        momentum=0.9,
        epsilon=1e-5,
        center=True,
        scale=True,
        use_global_stats=False,
        beta_initializer='zeros',
        gamma_initializer='ones',
        running_mean_initializer='zeros',
        running_variance_initializer='ones',
        in_channels=None,
    ):
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self.center, self.scale, self.use_global_stats = center, scale, use_global_stats
        self.in_channels = optional_size('in_channels', in_channels)
        shape = (self.in_channels,)
        self.gamma = Param(shape, init=gamma_initializer, trainable=scale)
        self.beta = Param(shape, init=beta_initializer, trainable=center)
        self.running_mean = Param(shape, init=running_mean_initializer, trainable=False)
        self.running_var = Param(shape, init=running_variance_initializer, trainable=False)

    def cast(self, dtype):
        """Half precision is not enough for statistics: as in MXNet, float16 leaves the parameters in float32."""
        return super().cast('float32' if jnp.dtype(dtype) in ('float16', 'bfloat16') else dtype)

    def infer_shape(self, x):
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError('the input lacks the axis of channels', expected=f'axis {self.axis}', got=x.shape)
        channels = (x.shape[self.axis],)
        return {'gamma': channels, 'beta': channels, 'running_mean': channels, 'running_var': channels}

    def forward(self, x):
        floating(x)
        axis = self.axis % x.ndim
        others = tuple(i for i in range(x.ndim) if i != axis)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, var = self.running_mean, self.running_var
        if self.training and not self.use_global_stats and math.prod(x.shape[i] for i in others):
            mean, var = wide.mean(others), wide.var(others)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * lax.stop_gradient(mean)
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * lax.stop_gradient(var)
        factor = lax.rsqrt(var + self.epsilon)
        if self.scale:
            factor = factor * self.gamma
        mean, factor, beta = (jnp.expand_dims(value, others) for value in (mean, factor, self.beta))
        return ((wide - mean) * factor + beta).astype(x.dtype)
