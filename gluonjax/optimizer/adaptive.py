"""Optimizers that adapt the rate of each element to its gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.optimizer.base import Optimizer, positive, register, share
from gluonjax.optimizer.transforms import (
    bias_corrected,
    clipped,
    complement,
    decayed,
    descent,
    each,
    keep,
    moments,
    momentum,
    transformation,
)


@register
class AdaGrad(Optimizer):
    """Duchi et al. (2011): `h += g^2`, `w -= rate * (g / sqrt(h + eps) + wd * w)` with g clipped.

    Args:
        eps: keeps the root away from 0.
        **options: see `Optimizer`.
    """

    def __init__(self, eps=1e-7, **options):
        super().__init__(**options)
        self.eps = checks.number('eps', eps, 0)

    def rule(self):
        return optax.chain(clipped(self.clip_gradient), optax.scale_by_rss(0.0, self.eps), decayed(), descent())


@register
class GroupAdaGrad(Optimizer):
    """AdaGrad with one rate a row: `h += mean(g^2 of the row)`. For matrices only, embeddings say.

    Args:
        eps: keeps the root away from 0.
        **options: see `Optimizer`; wd is not supported, as in MXNet.

    Raises:
        ArgumentError: if wd is not 0.
        ShapeError: in `init`, if a parameter is no matrix.
    """

    def __init__(self, eps=1e-5, **options):
        super().__init__(**options)
        self.eps = checks.number('eps', eps, 0)
        if self.wd:
            raise ArgumentError('GroupAdaGrad has no weight decay', expected='wd=0', got=self.wd)

    def rule(self):
        def function(gradient, kept, weight, terms):
            history = kept['history'] + jnp.mean(gradient * gradient, axis=1, keepdims=True)
            return gradient / jnp.sqrt(history + self.eps), {'history': history}

        return optax.chain(clipped(self.clip_gradient), keep({'history': _row_zeros}, function), descent())


@register
class AdaDelta(Optimizer):
    """Zeiler (2012): `w -= d + wd * w` with `d = sqrt(s + epsilon) / sqrt(h + epsilon) * g` and g clipped.

    Here h and s are moving averages of the squares of g and d. As in MXNet 1.9.1 the update knows no learning rate:
    `learning_rate` is accepted and does nothing.

    Args:
        rho: the share of the averages that stays.
        epsilon: keeps the roots away from 0.
        **options: see `Optimizer`.

    Raises:
        ArgumentError: if `lr_mult` or `lr_scheduler` is given.
    """

    def __init__(self, rho=0.90, epsilon=1e-5, **options):
        super().__init__(**options)
        self.rho, self.epsilon = share('rho', rho), checks.number('epsilon', epsilon, 0)
        if self.lr_mult or self.lr_scheduler is not None:
            raise _no_rate()

    def with_multipliers(self, lr_mult, wd_mult):
        if any(factor != 1 for factor in lr_mult.values()):
            raise _no_rate()
        return super().with_multipliers({}, wd_mult)

    def rule(self):
        scaled = optax.scale_by_adadelta(self.rho, self.epsilon)
        return optax.chain(clipped(self.clip_gradient), scaled, decayed(), optax.scale(-1.0))


@register
class RMSProp(Optimizer):
    """Tieleman and Hinton (2012): `w -= rate * g / sqrt(n + epsilon)` with `g = clip(g + wd * w)`.

    Here n is the moving average of g^2. Centered, by Graves (2013): `d = gamma2 * d - rate * g / sqrt(n - a^2 +
    epsilon)`, `w += d`, with a the moving average of g.

    Args:
        learning_rate: see `Optimizer`.
        gamma1: the share of the averages that stays.
        gamma2: momentum, if centered.
        epsilon: keeps the root away from 0.
        centered: which of the two.
        clip_weights: weights are clipped to [-clip_weights, clip_weights] after the update; None for not at all.
        **options: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.001,
        gamma1=0.9,
        gamma2=0.9,
        epsilon=1e-8,
        centered=False,
        clip_weights=None,
        **options,
    ):
        super().__init__(learning_rate=learning_rate, **options)
        self.gamma1, self.gamma2 = share('gamma1', gamma1), share('gamma2', gamma2)
        self.epsilon, self.centered = checks.number('epsilon', epsilon, 0), bool(centered)
        self.clip_weights = positive('clip_weights', clip_weights)

    def rule(self):
        gradient = optax.chain(decayed(), clipped(self.clip_gradient))
        if self.centered:
            scaled = optax.scale_by_stddev(self.gamma1, self.epsilon)
            update = optax.chain(scaled, descent(), momentum(self.gamma2))
        else:
            update = optax.chain(optax.scale_by_rms(self.gamma1, self.epsilon), descent())
        return optax.chain(gradient, update, each(self._inside))

    def _inside(self, update, weight, terms):
        bound = self.clip_weights
        return update if bound is None else jnp.clip(weight + update, -bound, bound) - weight


class _WithMoments(Optimizer):
    """What has moving averages m of the gradient, by beta1, and v of its square, by beta2, and an epsilon."""

    def __init__(self, learning_rate, beta1, beta2, epsilon, **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.beta1, self.beta2 = share('beta1', beta1), share('beta2', beta2)
        self.epsilon = checks.number('epsilon', epsilon, 0)

    def ratio(self) -> optax.GradientTransformation:
        """`m / (sqrt(v) + epsilon)`."""
        return moments(self.beta1, self.beta2, lambda m, v, number: m / (jnp.sqrt(v) + self.epsilon))

    def corrected_ratio(self) -> optax.GradientTransformation:
        """The same of m and v without their bias towards 0."""

        def direction(m, v, number):
            m, v = m / complement(self.beta1, number), v / complement(self.beta2, number)
            return m / (jnp.sqrt(v) + self.epsilon)

        return moments(self.beta1, self.beta2, direction)


@register
class Adam(_WithMoments):
    """Kingma and Ba (2015): `w -= rate * c * m / (sqrt(v) + epsilon)` with `g = clip(g + wd * w)`.

    Here m and v are moving averages of g and g^2, and `c = sqrt(1 - beta2^t) / (1 - beta1^t)` in update t. As in MXNet
    epsilon is not corrected, which is the form of the end of the paper's section 2; optax has the other.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the share of m that stays.
        beta2: the share of v that stays.
        epsilon: keeps the denominator away from 0.
        lazy_update: accepted, see `SGD`.
        **options: see `Optimizer`.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, lazy_update=True, **options):
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.lazy_update = lazy_update

    def rule(self):
        gradient = optax.chain(decayed(), clipped(self.clip_gradient))
        return optax.chain(gradient, self.ratio(), bias_corrected(self.beta1, self.beta2), descent())


@register
class AdamW(_WithMoments):
    """Adam with weight decay beside it (Loshchilov and Hutter, 2019).

    `w -= rate * c * (m / (sqrt(v) + epsilon) + wd * w)`, and averages are those of clipped gradients.

    MXNet 1.9.1 has the operator (`contrib.adamw_update`) without the class; arguments and meaning are those of the
    class in MXNet 2.0, where the correction c multiplies the weight decay too.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the share of m that stays.
        beta2: the share of v that stays.
        epsilon: keeps the denominator away from 0.
        correct_bias: whether there is a c, as for Adam.
        **options: see `Optimizer`.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-6, correct_bias=True, **options):
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.correct_bias = bool(correct_bias)

    def rule(self):
        correction = bias_corrected(self.beta1, self.beta2) if self.correct_bias else optax.identity()
        return optax.chain(clipped(self.clip_gradient), self.ratio(), decayed(), correction, descent())


@register
class LAMB(_WithMoments):
    """You et al. (2020): `w -= rate * |w| / |d| * d` with `d = m' / (sqrt(v') + epsilon) + wd * w`.

    Here m' and v' are Adam's averages of clipped gradients without their bias. Where a norm is 0, there is no ratio.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the share of m that stays.
        beta2: the share of v that stays.
        epsilon: keeps the denominator away from 0.
        lower_bound: the least that |w| counts as; None for no bound.
        upper_bound: the most that |w| counts as; None for no bound.
        bias_correction: whether m and v are corrected.
        **options: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-6,
        lower_bound=None,
        upper_bound=None,
        bias_correction=True,
        **options,
    ):
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.lower_bound, self.upper_bound = positive('lower_bound', lower_bound), positive('upper_bound', upper_bound)
        self.bias_correction = bool(bias_correction)

    def rule(self):
        ratio = self.corrected_ratio() if self.bias_correction else self.ratio()
        return optax.chain(clipped(self.clip_gradient), ratio, decayed(), each(self._trusted), descent())

    def _trusted(self, direction, weight, terms):
        of_weight, of_direction = jnp.linalg.norm(weight.ravel()), jnp.linalg.norm(direction.ravel())
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
        beta1: the share of m that stays.
        beta2: the share of u that stays.
        **options: see `Optimizer`.
    """

    def __init__(self, learning_rate=0.002, beta1=0.9, beta2=0.999, **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.beta1, self.beta2 = share('beta1', beta1), share('beta2', beta2)

    def rule(self):
        def function(gradient, kept, weight, terms):
            mean = self.beta1 * kept['mean'] + (1 - self.beta1) * gradient
            most = jnp.maximum(self.beta2 * kept['most'], jnp.abs(gradient))
            direction = mean / jnp.where(most > 0, most, 1) / complement(self.beta1, terms.number)
            return direction, {'mean': mean, 'most': most}

        scaled = keep({'mean': jnp.zeros_like, 'most': jnp.zeros_like}, function)
        return optax.chain(decayed(), clipped(self.clip_gradient), scaled, descent())


class NesterovMoments(NamedTuple):
    """The product of momenta so far, and the moving averages."""

    schedule: Any
    moments: Any


@register
class Nadam(_WithMoments):
    """Adam with Nesterov's momentum and a schedule for it (Dozat, 2015).

    In update t the momentum is `beta1 * (1 - 0.5 * 0.96^(t * schedule_decay))`. MXNet 1.9.1 multiplies these into the
    schedule once for each parameter instead of once an update, so that results depend on how many parameters there are
    and in which order; here it is once, which is MXNet's answer for a network of one parameter.

    Args:
        learning_rate: see `Optimizer`.
        beta1: the share of the average gradient that stays.
        beta2: the share of the average square that stays.
        epsilon: keeps the denominator away from 0.
        schedule_decay: how fast the momentum warms up.
        **options: see `Optimizer`; weight decay is added to the gradient, then it is clipped.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, schedule_decay=0.004, **options):
        super().__init__(learning_rate, beta1, beta2, epsilon, **options)
        self.schedule_decay = checks.number('schedule_decay', schedule_decay)

    def rule(self):
        return optax.chain(decayed(), clipped(self.clip_gradient), self._nesterov(), descent())

    def _momentum(self, number):
        return self.beta1 * (1 - 0.5 * 0.96 ** (number * self.schedule_decay))

    def _nesterov(self) -> optax.GradientTransformationExtraArgs:
        def init(params):
            return NesterovMoments(jnp.ones((), jnp.float32), self._averages(None).init(params))

        def update(updates, state, params, step):
            schedule = state.schedule * self._momentum(step.number)
            updates, averages = self._averages(schedule).update(updates, state.moments, params, step=step)
            return updates, NesterovMoments(schedule, averages)

        return transformation(init, update)

    def _averages(self, schedule) -> optax.GradientTransformationExtraArgs:
        def function(gradient, kept, weight, terms):
            mean = self.beta1 * kept['mean'] + (1 - self.beta1) * gradient
            var = self.beta2 * kept['var'] + (1 - self.beta2) * gradient * gradient
            now, after = self._momentum(terms.number), self._momentum(terms.number + 1)
            ahead = (1 - now) * gradient / (1 - schedule) + after * mean / (1 - schedule * after)
            root = jnp.sqrt(var / complement(self.beta2, terms.number))
            return ahead / (root + self.epsilon), {'mean': mean, 'var': var}

        return keep({'mean': jnp.zeros_like, 'var': jnp.zeros_like}, function)


@register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok, 2017), with `g = clip(g + wd * w)`.

    `d = (1 - beta1^t) / rate * (sqrt(v / (1 - beta2^t)) + epsilon)`, `z = beta1 * z + (1 - beta1) * g - (d - beta1 *
    d') * w` with the last d', and `w = -z / d`. Nothing moves while the rate is 0, where MXNet divides by it.

    Args:
        beta1: the share of z that stays.
        beta2: the share of v, the average square of g, that stays.
        epsilon: keeps d away from 0.
        **options: see `Optimizer`.
    """

    def __init__(self, beta1=0.6, beta2=0.999, epsilon=1e-8, **options):
        super().__init__(**options)
        self.beta1, self.beta2 = share('beta1', beta1), share('beta2', beta2)
        self.epsilon = checks.number('epsilon', epsilon, 0)

    def rule(self):
        slots = {'d': jnp.zeros_like, 'v': jnp.zeros_like, 'z': jnp.zeros_like}
        leader = keep(slots, _still_without_rate(self._follow))
        return optax.chain(decayed(), clipped(self.clip_gradient), leader)

    def _follow(self, gradient, kept, weight, terms):
        v = self.beta2 * kept['v'] + (1 - self.beta2) * gradient * gradient
        root = jnp.sqrt(v / complement(self.beta2, terms.number)) + self.epsilon
        d = complement(self.beta1, terms.number) / terms.rate * root
        z = self.beta1 * kept['z'] + (1 - self.beta1) * gradient - (d - self.beta1 * kept['d']) * weight
        return -z / d - weight, {'d': d, 'v': v, 'z': z}


@register
class Ftrl(Optimizer):
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

    def __init__(self, lamda1=0.01, learning_rate=0.1, beta=1.0, **options):
        super().__init__(learning_rate=None if options.get('lr_scheduler') else learning_rate, **options)
        self.lamda1, self.beta = checks.number('lamda1', lamda1, 0), checks.number('beta', beta, 0)

    def rule(self):
        leader = keep({'z': jnp.zeros_like, 'n': jnp.zeros_like}, _still_without_rate(self._follow))
        return optax.chain(clipped(self.clip_gradient), leader)

    def _follow(self, gradient, kept, weight, terms):
        n = kept['n'] + gradient * gradient
        z = kept['z'] + gradient - (jnp.sqrt(n) - jnp.sqrt(kept['n'])) * weight / terms.rate
        leader = (jnp.sign(z) * self.lamda1 - z) / ((self.beta + jnp.sqrt(n)) / terms.rate + terms.decay)
        return jnp.where(jnp.abs(z) > self.lamda1, leader, 0) - weight, {'z': z, 'n': n}


def _still_without_rate(function):
    """A function for `keep` that divides by the rate: where that is 0, nothing moves and nothing is kept anew."""

    def guarded(gradient, kept, weight, terms):
        moving = terms.rate != 0
        update, new = function(gradient, kept, weight, terms._replace(rate=jnp.where(moving, terms.rate, 1)))
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
