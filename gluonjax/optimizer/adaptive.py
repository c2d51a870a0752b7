"""Optimizers that adapt the rate of each element to its gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.optimizer import transforms as tx
from gluonjax.optimizer.base import Optimizer, Options, Rate, RateAndOptions, fraction, register
from gluonjax.optimizer.transforms import ParamInfo, Transformation, add_weight_decay, scale_by_learning_rate

LARGEST = 1e18  # elements of this size can be squared and added up in float32


class _Adaptive(Optimizer):
    """Optimizers that divide gradients by roots of their squares."""

    def clip(self) -> Transformation:
        """As of every optimizer; then finite elements that are too large to be squared become `LARGEST`."""
        return tx.chain(super().clip(), tx.per_parameter(lambda gradient, weight, info: _squarable(gradient)))


@jax.jit
def _squarable(gradient: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(gradient):
        return gradient
    # In lax, which takes a third of the time that jax.numpy takes to trace, and of what XLA is given to read.
    infinite = lax.eq(lax.abs(gradient), lax.full_like(gradient, jnp.inf))
    bound = lax.full((), LARGEST, gradient.dtype)
    return lax.select(infinite, gradient, lax.clamp(lax.neg(bound), gradient, bound))


@register
class AdaGrad(_Adaptive):
    """Duchi et al. (2011): `h += g^2`, `w -= rate * (g / sqrt(h + eps) + wd * w)` with g clipped.

    Args:
        eps: keeps the root away from 0.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(self, eps: float = 1e-7, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.eps: float = checks.number('eps', eps, 0)

    def transformation(self) -> Transformation:
        return tx.chain(self.clip(), tx.scale_by_rss(0.0, self.eps), add_weight_decay(), scale_by_learning_rate())


@register
class GroupAdaGrad(_Adaptive):
    """AdaGrad with one rate a row: `h += mean(g^2 of the row)`. For matrices only, embeddings say.

    Args:
        eps: keeps the root away from 0.
        **options: see `Optimizer`; wd is not supported, as in MXNet.

    Raises:
        ArgumentError: if wd is not 0.
        ShapeError: in `init`, if a parameter is no matrix.
    """

    counts_each = False

    def __init__(self, eps: float = 1e-5, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.eps: float = checks.number('eps', eps, 0)
        if self.wd:
            raise ArgumentError(f'GroupAdaGrad has no weight decay: wd must be 0, got {self.wd}')

    def transformation(self) -> Transformation:
        def function(gradient, kept, weight, info):
            history = kept['history'] + jnp.mean(gradient * gradient, axis=1, keepdims=True)
            return gradient / jnp.sqrt(history + self.eps), {'history': history}

        return tx.chain(self.clip(), tx.with_state({'history': _row_zeros}, function), scale_by_learning_rate())


@register
class AdaDelta(_Adaptive):
    """Zeiler (2012): `w -= d + wd * w` with `d = sqrt(s + epsilon) / sqrt(h + epsilon) * g` and g clipped.

    Here h and s are moving averages of the squares of g and d. As in MXNet 1.9.1 the update knows no learning rate:
    `learning_rate` is accepted and does nothing.

    Args:
        rho: the decay rate of the averages.
        epsilon: keeps the roots away from 0.
        **options: see `Optimizer`.

    Raises:
        ArgumentError: if `lr_mult` or `lr_scheduler` is given.
    """

    counts_each = False

    def __init__(self, rho: float = 0.90, epsilon: float = 1e-5, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.rho: float = fraction('rho', rho)
        self.epsilon: float = checks.number('epsilon', epsilon, 0)
        if self.lr_mult or self.lr_scheduler is not None:
            raise _no_rate()

    def with_multipliers(self, lr_mult: Mapping[str, float], wd_mult: Mapping[str, float]) -> Optimizer:
        if any(factor != 1 for factor in lr_mult.values()):
            raise _no_rate()
        return super().with_multipliers({}, wd_mult)

    def transformation(self) -> Transformation:
        scaled = tx.scale_by_adadelta(self.rho, self.epsilon)
        return tx.chain(self.clip(), scaled, add_weight_decay(), tx.scale(-1.0))


@register
class RMSProp(_Adaptive):
    """Tieleman and Hinton (2012): `w -= rate * g / sqrt(n + epsilon)` with `g = clip(g + wd * w)`.

    Here n is the moving average of g^2. Centered, by Graves (2013): `d = gamma2 * d - rate * g / sqrt(n - a^2 +
    epsilon)`, `w += d`, with a the moving average of g.

    Args:
        learning_rate: see `Optimizer`.
        gamma1: the decay rate of the averages.
        gamma2: momentum, if centered.
        epsilon: keeps the root away from 0.
        centered: which of the two.
        clip_weights: weights are clipped to [-clip_weights, clip_weights] after the update; None for not at all.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.gamma1: float = fraction('gamma1', gamma1)
        self.gamma2: float = fraction('gamma2', gamma2)
        self.epsilon: float = checks.number('epsilon', epsilon, 0)
        self.centered: bool = checks.flag('centered', centered)
        self.clip_weights: float | None = (
            None if clip_weights is None else checks.positive('clip_weights', clip_weights)
        )

    def transformation(self) -> Transformation:
        gradient = tx.chain(add_weight_decay(), self.clip())
        if self.centered:
            scaled = tx.scale_by_stddev(self.gamma1, self.epsilon)
            update = tx.chain(scaled, scale_by_learning_rate(), tx.momentum(self.gamma2))
        else:
            update = tx.chain(tx.scale_by_rms(self.gamma1, self.epsilon), scale_by_learning_rate())
        return tx.chain(gradient, update, tx.per_parameter(self._inside))

    def _inside(self, update, weight, info):
        bound = self.clip_weights
        return update if bound is None else jnp.clip(weight + update, -bound, bound) - weight


class _WithMoments(_Adaptive):
    """Optimizers with moving averages m of the gradient, by beta1, and v of its square, by beta2, and an epsilon."""

    def __init__(
        self, learning_rate: Rate, beta1: float, beta2: float, epsilon: float, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.beta1: float = fraction('beta1', beta1)
        self.beta2: float = fraction('beta2', beta2)
        self.epsilon: float = checks.number('epsilon', epsilon, 0)

    def ratio(self) -> Transformation:
        """`m / (sqrt(v) + epsilon)`."""
        return tx.scale_by_moments(self.beta1, self.beta2, lambda m, v, number: m / (jnp.sqrt(v) + self.epsilon))

    def corrected_ratio(self) -> Transformation:
        """The same of m and v without their bias towards 0."""

        def direction(m, v, number):
            m, v = m / tx.one_minus_power(self.beta1, number), v / tx.one_minus_power(self.beta2, number)
            return m / (jnp.sqrt(v) + self.epsilon)

        return tx.scale_by_moments(self.beta1, self.beta2, direction)


@register
class Adam(_WithMoments):
    """Kingma and Ba (2015): `w -= rate * c * m / (sqrt(v) + epsilon)` with `g = clip(g + wd * w)`.

    Here m and v are moving averages of g and g^2, and `c = sqrt(1 - beta2^t) / (1 - beta1^t)` in update t. As in MXNet
    epsilon is not corrected, which is the form of the end of the paper's section 2; optax has the other.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of m.
        beta2: the decay rate of v.
        epsilon: keeps the denominator away from 0.
        lazy_update: accepted, see `SGD`.
        **options: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.lazy_update: bool = checks.flag('lazy_update', lazy_update)

    def transformation(self) -> Transformation:
        gradient = tx.chain(add_weight_decay(), self.clip())
        return tx.chain(gradient, self.ratio(), tx.correct_bias(self.beta1, self.beta2), scale_by_learning_rate())


@register
class AdamW(_WithMoments):
    """Adam with weight decay beside it (Loshchilov and Hutter, 2019).

    `w -= rate * c * (m / (sqrt(v) + epsilon) + wd * w)`, and averages are those of clipped gradients.

    MXNet 1.9.1 has the operator (`contrib.adamw_update`) without the class; arguments and meaning are those of the
    class in MXNet 2.0, where the correction c multiplies the weight decay too.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of m.
        beta2: the decay rate of v.
        epsilon: keeps the denominator away from 0.
        correct_bias: whether there is a c, as for Adam.
        **options: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        correct_bias: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.correct_bias: bool = checks.flag('correct_bias', correct_bias)

    def transformation(self) -> Transformation:
        correction = tx.correct_bias(self.beta1, self.beta2) if self.correct_bias else tx.identity()
        return tx.chain(self.clip(), self.ratio(), add_weight_decay(), correction, scale_by_learning_rate())


@register
class LAMB(_WithMoments):
    """You et al. (2020): `w -= rate * |w| / |d| * d` with `d = m' / (sqrt(v') + epsilon) + wd * w`.

    Here m' and v' are Adam's averages of clipped gradients without their bias. Where a norm is 0, there is no ratio.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of m.
        beta2: the decay rate of v.
        epsilon: keeps the denominator away from 0.
        lower_bound: |w| is at least this; None for no bound.
        upper_bound: |w| is at most this; None for no bound.
        bias_correction: whether m and v are corrected.
        **options: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.lower_bound: float | None = None if lower_bound is None else checks.positive('lower_bound', lower_bound)
        self.upper_bound: float | None = None if upper_bound is None else checks.positive('upper_bound', upper_bound)
        self.bias_correction: bool = checks.flag('bias_correction', bias_correction)

    def transformation(self) -> Transformation:
        ratio = self.corrected_ratio() if self.bias_correction else self.ratio()
        return tx.chain(
            self.clip(), ratio, add_weight_decay(), tx.per_parameter(self._trusted), scale_by_learning_rate()
        )

    def _trusted(self, direction, weight, info):
        of_weight, of_direction = tx.norm(weight), tx.norm(direction)
        if self.lower_bound is not None:
            of_weight = jnp.maximum(of_weight, self.lower_bound)
        if self.upper_bound is not None:
            of_weight = jnp.minimum(of_weight, self.upper_bound)
        trusted = (of_weight > 0) & (of_direction > 0)
        return direction * jnp.where(trusted, of_weight / jnp.where(trusted, of_direction, 1), 1)


@register
class Adamax(Optimizer):
    """Adam by the largest gradient (Kingma and Ba, 2015, section 7): `w -= rate / (1 - beta1^t) * m / u`.

    Here `u = max(beta2 * u, |g|)` and `g = clip(g + wd * w)`. Where all gradients were 0, MXNet 1.9.1 divides 0 by 0;
    here the weight stays.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of m.
        beta2: the decay rate of u.
        **options: see `Optimizer`.
    """

    def __init__(
        self, learning_rate: Rate = 0.002, beta1: float = 0.9, beta2: float = 0.999, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.beta1: float = fraction('beta1', beta1)
        self.beta2: float = fraction('beta2', beta2)

    def transformation(self) -> Transformation:
        def function(gradient, kept, weight, info):
            mean = self.beta1 * kept['mean'] + (1 - self.beta1) * gradient
            most = jnp.maximum(self.beta2 * kept['most'], jnp.abs(gradient))
            direction = mean / jnp.where(most > 0, most, 1) / tx.one_minus_power(self.beta1, info.number)
            return direction, {'mean': mean, 'most': most}

        scaled = tx.with_state({'mean': jnp.zeros_like, 'most': jnp.zeros_like}, function)
        return tx.chain(add_weight_decay(), self.clip(), scaled, scale_by_learning_rate())


@register
class Nadam(_WithMoments):
    """Adam with Nesterov's momentum and a schedule for it (Dozat, 2015).

    In update t the momentum is `beta1 * (1 - 0.5 * 0.96^(t * schedule_decay))`. MXNet 1.9.1 multiplies those of all
    parameters into one schedule, so that results depend on how many parameters there are and in which order; here each
    parameter has its schedule, which is MXNet's answer for a network of one parameter.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the decay rate of the average gradient.
        beta2: the decay rate of the average square.
        epsilon: keeps the denominator away from 0.
        schedule_decay: how fast the momentum warms up.
        **options: see `Optimizer`; weight decay is added to the gradient, then it is clipped.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.schedule_decay: float = checks.number('schedule_decay', schedule_decay)

    def transformation(self) -> Transformation:
        slots = {'mean': jnp.zeros_like, 'var': tx.real_zeros, 'schedule': lambda weight: jnp.ones((), jnp.float32)}
        return tx.chain(add_weight_decay(), self.clip(), tx.with_state(slots, self._nesterov), scale_by_learning_rate())

    def _momentum(self, number: Any) -> Any:
        return self.beta1 * (1 - 0.5 * 0.96 ** (jnp.asarray(number, jnp.float32) * self.schedule_decay))

    def _nesterov(self, gradient: Any, kept: dict[str, Any], weight: Any, info: ParamInfo) -> Any:
        mean = self.beta1 * kept['mean'] + (1 - self.beta1) * gradient
        var = self.beta2 * kept['var'] + (1 - self.beta2) * tx.square(gradient)
        now, after = self._momentum(info.number), self._momentum(info.number + 1)
        schedule = kept['schedule'] * now  # the product of the momentum coefficients so far
        ahead = (1 - now) * gradient / (1 - schedule) + after * mean / (1 - schedule * after)
        root = jnp.sqrt(var / tx.one_minus_power(self.beta2, info.number))
        return ahead / (root + self.epsilon), {'mean': mean, 'var': var, 'schedule': schedule}


@register
class FTML(_Adaptive):
    """Follow the moving leader (Zheng and Kwok, 2017), with `g = clip(g + wd * w)`.

    `d = (1 - beta1^t) / rate * (sqrt(v / (1 - beta2^t)) + epsilon)`, `z = beta1 * z + (1 - beta1) * g - (d - beta1 *
    d') * w` with the last d', and `w = -z / d`. Nothing moves while the rate is 0, where MXNet divides by it.

    Args:
        beta1: the decay rate of z.
        beta2: the decay rate of v, the average square of g.
        epsilon: keeps d away from 0.
        **options: see `Optimizer`.
    """

    def __init__(
        self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **options: Unpack[RateAndOptions]
    ) -> None:
        super().__init__(**options)
        self.beta1: float = fraction('beta1', beta1)
        self.beta2: float = fraction('beta2', beta2)
        self.epsilon: float = checks.number('epsilon', epsilon, 0)

    def transformation(self) -> Transformation:
        slots = {'d': jnp.zeros_like, 'v': jnp.zeros_like, 'z': jnp.zeros_like}
        leader = tx.with_state(slots, _still_without_rate(self._follow))
        return tx.chain(add_weight_decay(), self.clip(), leader)

    def _follow(self, gradient, kept, weight, info):
        v = self.beta2 * kept['v'] + (1 - self.beta2) * gradient * gradient
        root = jnp.sqrt(v / tx.one_minus_power(self.beta2, info.number)) + self.epsilon
        d = tx.one_minus_power(self.beta1, info.number) / info.rate * root
        z = self.beta1 * kept['z'] + (1 - self.beta1) * gradient - (d - self.beta1 * kept['d']) * weight
        return -z / d - weight, {'d': d, 'v': v, 'z': z}


@register
class Ftrl(_Adaptive):
    """Follow the regularized leader (McMahan et al., 2013), with g clipped; L1 makes weights exactly 0.

    `z += g - (sqrt(n + g^2) - sqrt(n)) * w / rate`, `n += g^2`, and `w = (sign(z) * lamda1 - z) / ((beta + sqrt(n)) /
    rate + wd)` where `|z| > lamda1`, 0 elsewhere. As in MXNet z starts from 0, so the first update forgets what the
    weights were; and `learning_rate` does not replace a scheduler's base rate. Nothing moves while the rate is 0.

    Args:
        lamda1: L1 regularization.
        learning_rate: see `Optimizer`.
        beta: is added to the root.
        **options: see `Optimizer`; wd is L2 regularization.
    """

    counts_each = False

    def __init__(
        self, lamda1: float = 0.01, learning_rate: Rate = 0.1, beta: float = 1.0, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate=None if options.get('lr_scheduler') else learning_rate, **options)
        self.lamda1: float = checks.number('lamda1', lamda1, 0)
        self.beta: float = checks.number('beta', beta, 0)

    def transformation(self) -> Transformation:
        leader = tx.with_state({'z': jnp.zeros_like, 'n': jnp.zeros_like}, _still_without_rate(self._follow))
        return tx.chain(self.clip(), leader)

    def _follow(self, gradient, kept, weight, info):
        n = kept['n'] + gradient * gradient
        z = kept['z'] + gradient - (jnp.sqrt(n) - jnp.sqrt(kept['n'])) * weight / info.rate
        leader = (jnp.sign(z) * self.lamda1 - z) / ((self.beta + jnp.sqrt(n)) / info.rate + info.decay)
        return jnp.where(jnp.abs(z) <= self.lamda1, 0, leader) - weight, {'z': z, 'n': n}


def _still_without_rate(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for `with_state` that divides by the rate: where that is 0, nothing moves and the state stays."""

    def guarded(gradient, kept, weight, info):
        moving = info.rate != 0
        update, new = function(gradient, kept, weight, info._replace(rate=jnp.where(moving, info.rate, 1)))
        return jnp.where(moving, update, 0), {slot: jnp.where(moving, new[slot], kept[slot]) for slot in kept}

    return guarded


def _no_rate() -> ArgumentError:
    return ArgumentError(
        'AdaDelta has no learning rate, which a factor or a scheduler could change', remedy='leave it out, or take Adam'
    )


def _row_zeros(weight: jax.Array) -> jax.Array:
    if weight.ndim != 2:
        raise ShapeError(
            'GroupAdaGrad is for matrices', expected='(rows, columns)', got=weight.shape, remedy='optax.masked'
        )
    return jnp.zeros((weight.shape[0], 1), weight.dtype)
