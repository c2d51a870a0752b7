"""Normalization: `(x - mean) / sqrt(var + epsilon) * gamma + beta`, and what the mean is taken over.

What layers call is jitted: JAX traces, differentiates and lowers it once for all layers with the same shapes and
arguments.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import ArgumentError, BatchMaskError, ShapeError, TransformationError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.param import Param
from gluonjax.shapes import Shape, is_static

MOMENT = 'moment of a normalization'  # what the backward pass keeps
_PART = 64  # of the input, one part is read for a value near the mean
AxisName = str | tuple[str, ...] | None  # of a mapped axis, as in `jax.lax.pmean`


def _of_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, of whose values the backward pass keeps the input, in its own dtype, and the moments alone."""
    policy = jax.checkpoint_policies.save_only_these_names(MOMENT)
    return jax.checkpoint(function, policy=policy, prevent_cse=False)


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def normalize(
    x: jax.Array, gamma: jax.Array, beta: jax.Array, over: tuple[int, ...], axis: int, epsilon: float
) -> jax.Array:
    """Normalizes by the moments over some axes; gamma and beta lie along one axis."""

    def normalized(x: jax.Array, gamma: jax.Array, beta: jax.Array) -> jax.Array:
        gamma, beta = (_along(axis, _wide(vector), x.ndim) for vector in (gamma, beta))
        within = axis in over  # gamma varies among the values that have one mean
        y, *_ = standardize(x, None if within else gamma, None, over, epsilon)
        return ((y * gamma if within else y) + beta).astype(x.dtype)

    return _of_input(normalized)(x, gamma, beta)


@functools.partial(jax.jit, static_argnums=(2, 3))
def normalize_rms(x: jax.Array, gamma: jax.Array, axis: int, epsilon: float) -> jax.Array:
    """Divides by the root mean square along one axis, along which gamma lies too."""

    def normalized(x: jax.Array, gamma: jax.Array) -> jax.Array:
        wide = _wide(x)
        squares = checkpoint_name(jnp.square(wide).mean(axis, keepdims=True), MOMENT)
        return (wide * lax.rsqrt(squares + epsilon) * _along(axis, _wide(gamma), x.ndim)).astype(x.dtype)

    return _of_input(normalized)(x, gamma)


@functools.partial(jax.jit, static_argnums=(5, 6))
def normalize_by(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    gamma: jax.Array | None,
    beta: jax.Array,
    axis: int,
    epsilon: float,
) -> jax.Array:
    """Normalizes by a given mean and variance; these, gamma (1 if None) and beta lie along one axis."""
    vectors = [mean, var, beta] + ([] if gamma is None else [gamma])
    wide = checks.at_least_float32(x.dtype, *(v.dtype for v in vectors))
    mean, var, beta, *scale = (lax.convert_element_type(vector, wide) for vector in vectors)
    factor = functools.reduce(lax.mul, scale, lax.rsqrt(var + epsilon))
    # In lax, which takes a third of the time that jax.numpy takes to trace.
    mean, factor, beta = (lax.broadcast_in_dim(vector, x.shape, (axis,)) for vector in (mean, factor, beta))
    y = lax.add(lax.mul(lax.sub(lax.convert_element_type(x, wide), mean), factor), beta)
    return lax.convert_element_type(y, x.dtype)


@functools.partial(jax.jit, static_argnums=(5, 6, 7, 8))
def normalize_batch(
    x: jax.Array,
    gamma: jax.Array | None,
    beta: jax.Array,
    running: tuple[jax.Array, jax.Array],
    mask: jax.Array | None,
    axis: int,
    epsilon: float,
    momentum: float,
    axis_name: AxisName,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Normalizes each channel by the moments of the batch, and updates the running moments.

    Args:
        x: the batch.
        gamma: shape (channels,), as the next three; None is 1.
        beta: the shift.
        running: the running mean and variance.
        mask: the valid samples, along axis 0; None if all are.
        axis: the axis of channels.
        epsilon: added to the variance.
        momentum: how much of the running moments stays.
        axis_name: the mapped axis over which the batch is spread.

    Returns:
        The output, and the updated running moments, which carry no gradient of x.
    """
    over = tuple(i for i in range(x.ndim) if i != axis)

    def normalized(x: jax.Array, gamma: jax.Array | None, beta: jax.Array) -> tuple[jax.Array, ...]:
        scale = None if gamma is None else _along(axis, _wide(gamma), x.ndim)
        y, mean, var = standardize(x, scale, mask, over, epsilon, axis_name)
        return (y + _along(axis, _wide(beta), x.ndim)).astype(x.dtype), mean, var

    y, mean, var = _of_input(normalized)(x, gamma, beta)
    mean, var = (
        momentum * old + (1 - momentum) * lax.stop_gradient(new).reshape(old.shape)
        for old, new in zip(running, (mean, var), strict=True)
    )
    return y, (mean, var)


def _standardize(
    x: jax.Array,
    gamma: jax.Array | None,
    mask: jax.Array | None,
    over: tuple[int, ...],
    epsilon: float,
    axis_name: AxisName = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`(x - mean) / sqrt(var + epsilon) * gamma`, mean and variance over some axes, which keep size 1.

    x is read once for both: they are moments of its distance from a value that lies among its own, so that a large mean
    takes nothing from the variance. With that, and with the derivative written out, an input that is constant along
    these axes has output and gradient 0.

    Args:
        x: the input, in any precision.
        gamma: of as many axes as x, with size 1 along those that are normalized over; None is 1.
        mask: the valid samples, along axis 0; None if all are.
        over: the axes.
        epsilon: added to the variance.
        axis_name: the mapped axis over which the batch is spread.

    Returns:
        The output, mean and variance in float32 at least.
    """
    y, factor, mean, var = _standardized(x, gamma, mask, over, epsilon, axis_name)
    return y * factor, mean, var


def _standardized(x, gamma, mask, over, epsilon, axis_name):
    """The distance from the mean, what it is multiplied by, and the moments."""
    # In lax, which takes a third of the time that jax.numpy takes to trace; so do `_mean` and `_minus`.
    center = checkpoint_name(_center(x, over, axis_name), MOMENT)
    deviations = _minus(_wide(x), center)
    moments = (_mean(power, mask, over, axis_name) for power in (deviations, lax.square(deviations)))
    first, second = (checkpoint_name(moment, MOMENT) for moment in moments)
    var = lax.max(lax.sub(second, lax.square(first)), lax.full_like(first, 0))
    factor = lax.rsqrt(lax.add(var, lax.full_like(var, epsilon)))
    scale = factor if gamma is None else factor * lax.convert_element_type(gamma, factor.dtype)
    return _minus(deviations, first), scale, lax.add(center, first), var


standardize: jax.custom_jvp[tuple[jax.Array, jax.Array, jax.Array]] = jax.custom_jvp(
    _standardize, nondiff_argnums=(3, 4, 5)
)


@standardize.defjvp
def _standardize_jvp(over, epsilon, axis_name, primals, tangents):
    (x, gamma, mask), (tangent, gamma_tangent, _) = primals, tangents
    mean_of = functools.partial(_mean, mask=mask, over=over, axis_name=axis_name)
    distance, factor, mean, var = _standardized(x, gamma, mask, over, epsilon, axis_name)
    reciprocal = lax.rsqrt(lax.add(var, lax.full_like(var, epsilon)))
    y, tangent = lax.mul(distance, _spread(reciprocal, distance)), _wide(tangent)
    # First, so that the gradient of y is centred before it is scaled. The two means do not wait for one another, and
    # what is negated is small, so that gammas and betas of channels have the same sums: one pass serves them all.
    scaled = lax.mul(tangent, _spread(factor, x))
    centred = lax.add(scaled, _spread(lax.neg(mean_of(scaled)), x))
    y_tangent = lax.add(centred, lax.mul(y, _spread(lax.neg(mean_of(lax.mul(y, scaled))), x)))
    if gamma is not None:
        gamma_tangent = _spread(lax.convert_element_type(gamma_tangent, y.dtype), x)
        y_tangent = lax.add(y_tangent, lax.mul(y, gamma_tangent))
    slopes = y_tangent, mean_of(tangent), 2 * mean_of(lax.mul(_minus(_wide(x), mean), tangent))
    return (lax.mul(distance, _spread(factor, x)), mean, var), slopes


def _center(x, over, axis_name):
    """A value near the mean: what variances lose to rounding grows with the square of their distance.

    In half precision the first element does, which XLA reads in passing. Else it is the mean of some 1/64 of them, and
    the first element itself where they are all equal.
    """
    if x.size == 0:
        return _wide(x).sum(over, keepdims=True)
    center = _wide(lax.slice(x, [0] * x.ndim, [1 if i in over else size for i, size in enumerate(x.shape)]))
    size = x.shape[over[0]]
    if x.dtype == center.dtype and is_static((size,)):
        part = lax.slice_in_dim(x, 0, max(1, size // _PART), axis=over[0])
        center += (part - center).mean(over, keepdims=True)
    return _synchronized(center, axis_name)


def _mean(x, mask, over, axis_name):
    """The mean of the valid samples."""
    if mask is None:
        count = math.prod(x.shape[i] for i in over)
        if not is_static((count,)):
            return _synchronized(x.mean(over, keepdims=True), axis_name)
        total = lax.expand_dims(lax.reduce_sum(x, over), over)
        return _synchronized(lax.div(total, lax.full_like(total, count)), axis_name)
    valid = _along(0, mask, x.ndim)
    total = _synchronized(jnp.where(valid, x, 0).sum(over, keepdims=True), axis_name)
    count = _synchronized(valid.sum(keepdims=True), axis_name) * math.prod(x.shape[i] for i in over if i)
    return total / count.astype(total.dtype)


def _spread(moment, x):
    """A moment, with size 1 along some axes, as often as there are elements of x."""
    return lax.broadcast_in_dim(moment, x.shape, range(x.ndim))


def _minus(x, moment):
    return lax.sub(x, _spread(moment, x))


def _synchronized(mean, axis_name):
    if axis_name is None:
        return mean
    try:
        return lax.pmean(mean, axis_name)
    except NameError:
        raise TransformationError(
            f'nothing is mapped over {axis_name!r} here',
            remedy='call apply_train in a function under jax.shard_map or jax.vmap(axis_name=...); '
            'under jax.jit alone leave axis_name out: the batch is whole there',
        ) from None


def _wide(x):
    return lax.convert_element_type(x, checks.at_least_float32(x.dtype))


def _along(axis: int, vector, rank: int):
    """The vector as an array of this rank that varies along one axis."""
    return jnp.expand_dims(vector, [i for i in range(rank) if i != axis])


class _Norm(Layer):
    """Statistics are computed in float32 at least; the output has the input's dtype."""

    def __init__(
        self, axis: int, epsilon: float, scale: bool, gamma_initializer: InitializerLike | None, channels: int | None
    ):
        self.axis: int = checks.size('axis', axis, least=None)
        self.epsilon: float = checks.number('epsilon', epsilon, least=0)
        self.scale: bool = checks.flag('scale', scale)
        self.gamma: Any = Param((channels,), init=gamma_initializer, trainable=self.scale)

    def _axis(self, x: jax.Array) -> int:
        """The axis of channels, counted from the first."""
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError('the input lacks the axis of channels', expected=f'axis {self.axis}', got=x.shape)
        return self.axis % x.ndim

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        return {'gamma': (x.shape[self._axis(x)],)}


class _CenteredNorm(_Norm):
    def __init__(
        self,
        axis: int,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: InitializerLike | None,
        gamma_initializer: InitializerLike | None,
        channels: int | None,
    ):
        super().__init__(axis, epsilon, scale, gamma_initializer, channels)
        self.center: bool = checks.flag('center', center)
        self.beta: Any = Param((channels,), init=beta_initializer, trainable=self.center)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        return super().infer_shape(x) | {'beta': (x.shape[self._axis(x)],)}

    def _normalize(self, x: jax.Array, over: tuple[int, ...], axis: int) -> jax.Array:
        checks.floating(x)
        return normalize(x, self.gamma, self.beta, over, axis, self.epsilon)


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
        ShapeError: when called, if the input lacks the axis, or has another number of channels.

    >>> layer = BatchNorm(in_channels=1)
    >>> y, updated = layer.apply_train(layer.init(0), jnp.array([[2.0], [6.0]]))
    >>> y
    Array([[-0.9999988],
           [ 0.9999988]], dtype=float32)
    >>> updated['running_mean']
    Array([0.4], dtype=float32)
    """

    axis_name: AxisName = None

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: InitializerLike | None = 'zeros',
        gamma_initializer: InitializerLike | None = 'ones',
        running_mean_initializer: InitializerLike | None = 'zeros',
        running_variance_initializer: InitializerLike | None = 'ones',
        in_channels: int | None = None,
    ):
        self.in_channels: int | None = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)
        self.momentum: float = checks.number('momentum', momentum, least=0, most=1)
        self.use_global_stats: bool = checks.flag('use_global_stats', use_global_stats)
        kept = {'trainable': False, 'keep_dtype': True}
        self.running_mean: Any = Param((self.in_channels,), init=running_mean_initializer, **kept)
        self.running_var: Any = Param((self.in_channels,), init=running_variance_initializer, **kept)

    def cast(self, dtype: DTypeLike) -> Self:
        """Half precision is not enough for statistics: as in MXNet, float16 leaves the parameters in float32."""
        return super().cast('float32' if jnp.dtype(dtype) in ('float16', 'bfloat16') else dtype)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        shapes = super().infer_shape(x)
        return shapes | dict.fromkeys(('running_mean', 'running_var'), shapes['gamma'])

    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        axis, gamma = self._axis(x), self.gamma if self.scale else None
        running = self.running_mean, self.running_var
        if not self.training or self.use_global_stats or 0 in (*x.shape[:axis], *x.shape[axis + 1 :]):
            return normalize_by(x, *running, gamma, self.beta, axis, self.epsilon)
        mask, options = self._mask(x, axis), (axis, self.epsilon, self.momentum, self.axis_name)
        y, (self.running_mean, self.running_var) = normalize_batch(x, gamma, self.beta, running, mask, *options)
        return y

    def _mask(self, x: jax.Array, axis: int) -> jax.Array | None:
        """The valid samples, along axis 0; None if all are."""
        mask = self.batch_mask
        if mask is not None and (axis == 0 or len(x) != len(mask)):
            raise BatchMaskError(
                'a batch with padding came in another shape, so its valid samples cannot be told',
                expected=f'samples along the first axis, {len(mask)} of them',
                got=f'{x.shape} with channels along axis {axis}',
                remedy="last_batch='keep' trains on the last batch without padding",
            )
        return mask


class BatchNormReLU(BatchNorm):
    """`relu` of `BatchNorm`, with its arguments; MXNet's `BatchNormWithReLU`.

    >>> layer = BatchNormReLU(in_channels=1, epsilon=0)
    >>> layer.apply(layer.init(0), jnp.array([[-2.0], [6.0]]))
    Array([[0.],
           [6.]], dtype=float32)
    """

    def forward(self, x: jax.Array) -> jax.Array:
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
    >>> y, updated = jax.vmap(lambda x: layer.apply_train(params, x), out_axes=(0, None), axis_name='parts')(parts)
    >>> updated['running_mean']
    Array([0.4], dtype=float32)
    """

    def __init__(
        self,
        in_channels: int | None = None,
        num_devices: int | None = None,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: InitializerLike | None = 'zeros',
        gamma_initializer: InitializerLike | None = 'ones',
        running_mean_initializer: InitializerLike | None = 'zeros',
        running_variance_initializer: InitializerLike | None = 'ones',
        axis_name: AxisName = None,
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
        self.num_devices: int | None = num_devices
        self.axis_name: AxisName = axis_name


class LayerNorm(_CenteredNorm):
    """Normalizes along one axis, for each position of each example alone.

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
        ShapeError: when called, if the input lacks the axis, or has another size there.

    >>> layer = LayerNorm(in_channels=2)
    >>> layer.apply(layer.init(0), jnp.array([[2.0, 6.0]]))
    Array([[-0.9999988,  0.9999988]], dtype=float32)
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike | None = 'zeros',
        gamma_initializer: InitializerLike | None = 'ones',
        in_channels: int | None = None,
    ):
        self.in_channels: int | None = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)

    def forward(self, x: jax.Array) -> jax.Array:
        axis = self._axis(x)
        return self._normalize(x, (axis,), axis)


class InstanceNorm(_CenteredNorm):
    """Normalizes each channel of each example over its positions.

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
        ShapeError: when called, if the input has fewer than three axes, or another number of channels.

    >>> layer = InstanceNorm(in_channels=1)
    >>> layer.apply(layer.init(0), jnp.array([[[2.0, 6.0]]]))
    Array([[[-0.9999988,  0.9999988]]], dtype=float32)
    """

    def __init__(
        self,
        axis: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = False,
        beta_initializer: InitializerLike | None = 'zeros',
        gamma_initializer: InitializerLike | None = 'ones',
        in_channels: int | None = None,
    ):
        self.in_channels: int | None = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, self.in_channels)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        if x.ndim < 3:
            raise ShapeError('InstanceNorm needs an axis to normalize over', expected='three axes or more', got=x.shape)
        return super().infer_shape(x)

    def forward(self, x: jax.Array) -> jax.Array:
        axis = self._axis(x)
        examples = 0 if axis else 1
        return self._normalize(x, tuple(i for i in range(x.ndim) if i not in (axis, examples)), axis)


class GroupNorm(_CenteredNorm):
    """Normalizes groups of channels of each example: (N, C, ...) -> (N, C, ...).

    Wu and He (2018); MXNet's `GroupNorm`. As there, gamma and beta have one number for each group; in the paper they
    have one for each channel.

    Args:
        num_groups: the number of groups, a divisor of the channels, which are axis 1.
        epsilon: added to the variance.
        center: False fixes beta, which is still added.
        scale: False fixes gamma, which still multiplies.
        beta_initializer: of beta, shape (num_groups,).
        gamma_initializer: of gamma, shape (num_groups,).

    Raises:
        ShapeError: when called, if the input has fewer than two axes.
        ArgumentError: when called, if the groups do not divide the channels.

    >>> layer = GroupNorm()
    >>> layer.apply(layer.init(0), jnp.array([[[2.0], [6.0]]]))
    Array([[[-0.9999988],
            [ 0.9999988]]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike | None = 'zeros',
        gamma_initializer: InitializerLike | None = 'ones',
    ):
        self.num_groups: int = checks.size('num_groups', num_groups)
        super().__init__(1, epsilon, center, scale, beta_initializer, gamma_initializer, self.num_groups)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        if x.shape[self._axis(x)] % self.num_groups:
            raise ArgumentError(
                'the groups do not divide the channels', expected=f'a divisor of {x.shape[1]}', got=self.num_groups
            )
        return {}

    def forward(self, x: jax.Array) -> jax.Array:
        groups = x.reshape(x.shape[0], self.num_groups, math.prod(x.shape[1:]) // self.num_groups)
        return self._normalize(groups, (2,), 1).reshape(x.shape)


class RMSNorm(_Norm):
    """`x / sqrt(mean(x ** 2) + epsilon) * gamma` along one axis. Zhang and Sennrich (2019); not in MXNet.

    Args:
        axis: the axis.
        epsilon: added to the mean of the squares.
        scale: False fixes gamma, which still multiplies.
        gamma_initializer: of gamma, shape (in_channels,).
        in_channels: the size of the axis; None (or 0) lets the first input decide.

    Raises:
        ShapeError: when called, if the input lacks the axis, or has another size there.

    >>> layer = RMSNorm(in_channels=2)
    >>> layer.apply(layer.init(0), jnp.array([[2.0, 2.0]]))
    Array([[0.9999999, 0.9999999]], dtype=float32)
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-6,
        scale: bool = True,
        gamma_initializer: InitializerLike | None = 'ones',
        in_channels: int | None = None,
    ):
        self.in_channels: int | None = checks.optional_size('in_channels', in_channels)
        super().__init__(axis, epsilon, scale, gamma_initializer, self.in_channels)

    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        return normalize_rms(x, self.gamma, self._axis(x), self.epsilon)
