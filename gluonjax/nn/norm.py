"""Normalization: `(x - mean) / sqrt(var + epsilon) * gamma + beta`, and what the mean is taken over."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax import checks
from gluonjax.errors import ArgumentError, BatchMaskError, ShapeError, TransformationError
from gluonjax.layer import Layer
from gluonjax.param import Param


class _Norm(Layer):
    """Statistics are computed in float32 at least; the output has the input's dtype."""

    def __init__(self, axis, epsilon, scale, gamma_initializer, channels):
        self.axis, self.epsilon = checks.size('axis', axis, least=None), checks.number('epsilon', epsilon, least=0)
        self.scale = scale
        self.gamma = Param((channels,), init=gamma_initializer, trainable=scale)

    def _axis(self, x) -> int:
        """The axis of channels, counted from the first."""
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError('the input lacks the axis of channels', expected=f'axis {self.axis}', got=x.shape)
        return self.axis % x.ndim

    def infer_shape(self, x):
        return {'gamma': (x.shape[self._axis(x)],)}

    def _wide(self, x):
        checks.floating(x)
        return x.astype(jnp.promote_types(x.dtype, jnp.float32))

    def _mean(self, x, over):
        return x.mean(over, keepdims=True)


class _CenteredNorm(_Norm):
    def __init__(self, axis, epsilon, center, scale, beta_initializer, gamma_initializer, channels):
        super().__init__(axis, epsilon, scale, gamma_initializer, channels)
        self.center = center
        self.beta = Param((channels,), init=beta_initializer, trainable=center)

    def infer_shape(self, x):
        return super().infer_shape(x) | {'beta': (x.shape[self._axis(x)],)}

    def _moments(self, x, over):
        """Mean and variance, in two passes: squares of deviations lose nothing to a large mean."""
        mean = self._mean(x, over)
        return mean, self._mean(jnp.square(x - mean), over)

    def _normalize(self, x, over, axis):
        wide = self._wide(x)
        mean, var = self._moments(wide, over)
        gamma, beta = (_along(axis, vector, x.ndim) for vector in (self.gamma, self.beta))
        return ((wide - mean) * lax.rsqrt(var + self.epsilon) * gamma + beta).astype(x.dtype)


def _along(axis: int, vector, rank: int):
    """The vector as an array of this rank that varies along one axis."""
    return jnp.expand_dims(vector, [i for i in range(rank) if i != axis])


class BatchNorm(_CenteredNorm):
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

    Raises:
        ShapeError: in a run, if the input lacks the axis, or has another number of channels.

    >>> layer = BatchNorm(in_channels=1)
    >>> y, news = layer.apply_train(layer.init(0), jnp.array([[2.0], [6.0]]))
    >>> y
    Array([[-0.9999988],
           [ 0.9999988]], dtype=float32)
    >>> news['running_mean']
    Array([0.4], dtype=float32)
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
        self.in_channels = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)
        self.momentum, self.use_global_stats = checks.number('momentum', momentum, least=0, most=1), use_global_stats
        self.running_mean = Param((self.in_channels,), init=running_mean_initializer, trainable=False)
        self.running_var = Param((self.in_channels,), init=running_variance_initializer, trainable=False)

    def cast(self, dtype):
        """Half precision is not enough for statistics: as in MXNet, float16 leaves the parameters in float32."""
        return super().cast('float32' if jnp.dtype(dtype) in ('float16', 'bfloat16') else dtype)

    def infer_shape(self, x):
        shapes = super().infer_shape(x)
        return shapes | dict.fromkeys(('running_mean', 'running_var'), shapes['gamma'])

    def forward(self, x):
        wide, axis = self._wide(x), self._axis(x)
        others = tuple(i for i in range(x.ndim) if i != axis)
        mean, var, gamma, beta = (
            _along(axis, vector, x.ndim) for vector in (self.running_mean, self.running_var, self.gamma, self.beta)
        )
        if self.training and not self.use_global_stats and math.prod(x.shape[i] for i in others):
            mean, var = self._moments(wide, others)
            self.running_mean = self._blend(self.running_mean, mean)
            self.running_var = self._blend(self.running_var, var)
        factor = lax.rsqrt(var + self.epsilon) * (gamma if self.scale else 1)
        return ((wide - mean) * factor + beta).astype(x.dtype)

    def _mean(self, x, over):
        """Over the samples that count."""
        mask = self.batch_mask
        if mask is None:
            return self._synchronized(super()._mean(x, over))
        counted = self._counted(x, mask)
        places = math.prod(x.shape[i] for i in over if i)
        total = jnp.where(counted, x, 0).sum(over, keepdims=True)
        return self._synchronized(total) / self._synchronized(counted.sum(keepdims=True) * places)

    def _counted(self, x, mask):
        if self._axis(x) == 0 or len(x) != len(mask):
            raise BatchMaskError(
                'a batch with padding came in another shape, and the samples that count cannot be told',
                expected=f'samples along the first axis, {len(mask)} of them',
                got=f'{x.shape} with channels along axis {self._axis(x)}',
                remedy="last_batch='keep' trains on the last batch without padding",
            )
        return _along(0, mask, x.ndim)

    def _synchronized(self, mean):
        return mean

    def _blend(self, old, new):
        return self.momentum * old + (1 - self.momentum) * lax.stop_gradient(new).reshape(old.shape)


class BatchNormReLU(BatchNorm):
    """`relu` of `BatchNorm`, with its arguments; MXNet's `BatchNormWithReLU`.

    >>> layer = BatchNormReLU(in_channels=1, epsilon=0)
    >>> layer.apply(layer.init(0), jnp.array([[-2.0], [6.0]]))
    Array([[0.],
           [6.]], dtype=float32)
    """

    def forward(self, x):
        return jax.nn.relu(super().forward(x))


class SyncBatchNorm(BatchNorm):
    """`BatchNorm` whose statistics are those of the whole batch, wherever its parts are.

    Zhang et al. (2018); MXNet's contrib `SyncBatchNorm`. Under `jax.jit` an array is whole even if it is sharded over
    devices, so every BatchNorm is synchronized there. Where a function is mapped over parts of the batch, with
    `jax.shard_map` or `jax.vmap(axis_name=...)`, `axis_name` says which mapped axis holds the parts.

    Channels are axis 1.

    Args:
        in_channels: the number of channels; None (or 0) lets the first input decide.
        num_devices: MXNet's; accepted, the mapped axis knows its size.
        momentum: as for `BatchNorm`, like the rest up to `axis_name`.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False takes gamma as 1.
        use_global_stats: True uses the running statistics in training too.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        running_mean_initializer: of running_mean.
        running_variance_initializer: of running_var.
        axis_name: the name of the mapped axis, or a tuple of names; not in MXNet. None maps over nothing.

    Raises:
        TransformationError: in training outside of a function that is mapped over `axis_name`.

    >>> layer = SyncBatchNorm(in_channels=1, axis_name='parts')
    >>> params = layer.init(0)
    >>> parts = jnp.array([[[2.0]], [[6.0]]])  # two parts of one example each
    >>> y, news = jax.vmap(lambda x: layer.apply_train(params, x), out_axes=(0, None), axis_name='parts')(parts)
    >>> news['running_mean']
    Array([0.4], dtype=float32)
    """

    def __init__(
        self,
        in_channels=None,
        num_devices=None,
        momentum=0.9,
        epsilon=1e-5,
        center=True,
        scale=True,
        use_global_stats=False,
        beta_initializer='zeros',
        gamma_initializer='ones',
        running_mean_initializer='zeros',
        running_variance_initializer='ones',
        axis_name=None,
    ):
        super().__init__(
            1,
            momentum,
            epsilon,
            center,
            scale,
            use_global_stats,
            beta_initializer,
            gamma_initializer,
            running_mean_initializer,
            running_variance_initializer,
            in_channels,
        )
        self.num_devices, self.axis_name = num_devices, axis_name

    def _synchronized(self, mean):
        if self.axis_name is None:
            return mean
        try:
            return lax.pmean(mean, self.axis_name)
        except NameError:
            raise TransformationError(
                f'nothing is mapped over {self.axis_name!r} here',
                remedy='call apply_train in a function under jax.shard_map or jax.vmap(axis_name=...); '
                'under jax.jit alone leave axis_name out: the batch is whole there',
            ) from None


class LayerNorm(_CenteredNorm):
    """Normalizes along one axis, for each example and place by itself.

    Ba, Kiros and Hinton (2016); MXNet's `LayerNorm`.

    Args:
        axis: the axis.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False fixes gamma, which still multiplies.
        beta_initializer: of beta, whose shape is (in_channels,), like gamma's.
        gamma_initializer: of gamma.
        in_channels: the size of the axis; None (or 0) lets the first input decide.

    Raises:
        ShapeError: in a run, if the input lacks the axis, or has another size there.

    >>> layer = LayerNorm(in_channels=2)
    >>> layer.apply(layer.init(0), jnp.array([[2.0, 6.0]]))
    Array([[-0.9999988,  0.9999988]], dtype=float32)
    """

    def __init__(
        self,
        axis=-1,
        epsilon=1e-5,
        center=True,
        scale=True,
        beta_initializer='zeros',
        gamma_initializer='ones',
        in_channels=None,
    ):
        self.in_channels = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)

    def forward(self, x):
        axis = self._axis(x)
        return self._normalize(x, axis, axis)


class InstanceNorm(_CenteredNorm):
    """Normalizes each channel of each example over its places.

    Ulyanov, Vedaldi and Lempitsky (2016); MXNet's `InstanceNorm`. The examples are axis 0, or axis 1 if axis 0 has the
    channels.

    Args:
        axis: the axis of channels.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False, the default, fixes gamma, which still multiplies.
        beta_initializer: of beta, shape (channels,).
        gamma_initializer: of gamma, shape (channels,).
        in_channels: the number of channels; None (or 0) lets the first input decide.

    Raises:
        ShapeError: in a run, if the input has fewer than three axes, or another number of channels.

    >>> layer = InstanceNorm(in_channels=1)
    >>> layer.apply(layer.init(0), jnp.array([[[2.0, 6.0]]]))
    Array([[[-0.9999988,  0.9999988]]], dtype=float32)
    """

    def __init__(
        self,
        axis=1,
        epsilon=1e-5,
        center=True,
        scale=False,
        beta_initializer='zeros',
        gamma_initializer='ones',
        in_channels=None,
    ):
        self.in_channels = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)

    def infer_shape(self, x):
        if x.ndim < 3:
            raise ShapeError('InstanceNorm needs places to normalize over', expected='three axes or more', got=x.shape)
        return super().infer_shape(x)

    def forward(self, x):
        axis = self._axis(x)
        examples = 0 if axis else 1
        return self._normalize(x, tuple(i for i in range(x.ndim) if i not in (axis, examples)), axis)


class GroupNorm(_CenteredNorm):
    """Normalizes groups of channels of each example: (N, C, ...) -> (N, C, ...).

    Wu and He (2018); MXNet's `GroupNorm`, where gamma and beta have a number a group; in the paper, a number a channel.

    Args:
        num_groups: the number of groups, a divisor of the channels, which are axis 1.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False fixes gamma, which still multiplies.
        beta_initializer: of beta, shape (num_groups,).
        gamma_initializer: of gamma, shape (num_groups,).

    Raises:
        ShapeError: in a run, if the input has fewer than two axes.
        ArgumentError: in a run, if the groups do not divide the channels.

    >>> layer = GroupNorm()
    >>> layer.apply(layer.init(0), jnp.array([[[2.0], [6.0]]]))
    Array([[[-0.9999988],
            [ 0.9999988]]], dtype=float32)
    """

    def __init__(
        self,
        num_groups=1,
        epsilon=1e-5,
        center=True,
        scale=True,
        beta_initializer='zeros',
        gamma_initializer='ones',
    ):
        self.num_groups = checks.size('num_groups', num_groups)
        super().__init__(1, epsilon, center, scale, beta_initializer, gamma_initializer, self.num_groups)

    def infer_shape(self, x):
        if x.shape[self._axis(x)] % self.num_groups:
            raise ArgumentError(
                'the groups do not divide the channels', expected=f'a divisor of {x.shape[1]}', got=self.num_groups
            )
        return {}

    def forward(self, x):
        groups = x.reshape(x.shape[0], self.num_groups, math.prod(x.shape[1:]) // self.num_groups)
        return self._normalize(groups, 2, 1).reshape(x.shape)


class RMSNorm(_Norm):
    """`x / sqrt(mean(x ** 2) + epsilon) * gamma` along one axis. Zhang and Sennrich (2019); not in MXNet.

    Args:
        axis: the axis.
        epsilon: added to the mean of the squares.
        scale: False fixes gamma, which still multiplies.
        gamma_initializer: of gamma, shape (in_channels,).
        in_channels: the size of the axis; None (or 0) lets the first input decide.

    Raises:
        ShapeError: in a run, if the input lacks the axis, or has another size there.

    >>> layer = RMSNorm(in_channels=2)
    >>> layer.apply(layer.init(0), jnp.array([[2.0, 2.0]]))
    Array([[0.9999999, 0.9999999]], dtype=float32)
    """

    def __init__(self, axis=-1, epsilon=1e-6, scale=True, gamma_initializer='ones', in_channels=None):
        self.in_channels = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, scale, gamma_initializer, self.in_channels)

    def forward(self, x):
        wide, axis = self._wide(x), self._axis(x)
        squares = self._mean(jnp.square(wide), axis)
        return (wide * lax.rsqrt(squares + self.epsilon) * _along(axis, self.gamma, x.ndim)).astype(x.dtype)
