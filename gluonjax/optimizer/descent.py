"""Gradient descent, with momentum, signs, noise, and a rate for each layer."""

from __future__ import annotations

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.keys import as_key, named_keys
from gluonjax.optimizer import transforms as tx
from gluonjax.optimizer.base import Optimizer, Options, Rate, RateAndOptions, fraction, register
from gluonjax.optimizer.transforms import (
    ParamInfo,
    Transformation,
    UpdateInfo,
    add_weight_decay,
    scale_by_learning_rate,
)


@register
class SGD(Optimizer):
    """Stochastic gradient descent: `m = momentum * m - rate * (clip(g) + wd * w)`, `w += m`.

    The rate is in the momentum, so a new rate acts on new gradients only, as in MXNet's `sgd_mom_update`.

    Args:
        momentum: the momentum coefficient.
        lazy_update: accepted; gradients here are dense, so that nothing can be left for later.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.momentum: float = fraction('momentum', momentum)
        self.lazy_update: bool = checks.flag('lazy_update', lazy_update)

    def transformation(self) -> Transformation:
        return tx.chain(self.clip(), add_weight_decay(), scale_by_learning_rate(), tx.momentum(self.momentum))


@register
class NAG(Optimizer):
    """Nesterov's accelerated gradient: `m = momentum * m - rate * g`, `w += momentum * m - rate * g`.

    Here g is `clip(g) + wd * w`. That is what MXNet's `nag_mom_update` means; MXNet 1.9.1 calls it in place, so that
    with weight decay the momentum there is decayed by the weight after the update.

    Args:
        momentum: the momentum coefficient; 0 is SGD.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(self, momentum: float = 0.0, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.momentum: float = fraction('momentum', momentum)

    def transformation(self) -> Transformation:
        return tx.chain(
            self.clip(), add_weight_decay(), scale_by_learning_rate(), tx.momentum(self.momentum, nesterov=True)
        )


@register
class Signum(Optimizer):
    """Steps by signs (Bernstein et al., 2018): `m = momentum * m + (1 - momentum) * (clip(g) + wd * w)`.

    Then `w -= rate * (sign(m) + wd_lh * w)`. Without momentum, MXNet's `signsgd_update`: `w -= rate * (sign(g) +
    wd * w)`.

    Args:
        learning_rate: see `Optimizer`.
        momentum: the decay rate of the average.
        wd_lh: weight decay beside the sign; needs momentum.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(
        self, learning_rate: Rate = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **options: Unpack[Options]
    ) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum: float = fraction('momentum', momentum)
        self.wd_lh: float = checks.number('wd_lh', wd_lh)
        if self.wd_lh and not self.momentum:
            raise ArgumentError('wd_lh needs momentum', got=f'wd_lh={wd_lh}, momentum=0', remedy='wd=, the same here')

    def transformation(self) -> Transformation:
        if not self.momentum:
            return tx.chain(tx.scale_by_sign(), add_weight_decay(), scale_by_learning_rate())
        average = tx.chain(self.clip(), add_weight_decay(), tx.ema(self.momentum, debias=False))
        return tx.chain(average, tx.scale_by_sign(), tx.add_decayed_weights(self.wd_lh), scale_by_learning_rate())


@register
class SGLD(Optimizer):
    """Stochastic gradient Langevin dynamics (Welling and Teh, 2011): `w += n - rate / 2 * (clip(g) + wd * w)`.

    The noise n is normal with variance `rate`. It is a function of the seed, the parameter's name, and the number of
    the update.

    Args:
        seed: an int or a JAX key.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(self, seed: int | jax.Array = 0, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        as_key(seed)
        self.seed: int | jax.Array = seed

    def transformation(self) -> Transformation:
        return tx.chain(self.clip(), add_weight_decay(), tx.per_parameter(self._wander))

    def _wander(self, gradient, weight, info: ParamInfo):
        [key] = named_keys([jax.random.fold_in(as_key(self.seed), info.number)], [info.name])
        return jnp.sqrt(info.rate) * jax.random.normal(key, weight.shape, weight.dtype) - info.rate / 2 * gradient


@register
class DCASGD(Optimizer):
    """Gradient descent that makes up for delay (Zheng et al., 2017): SGD on `g + lamda * g^2 * (w - w')`.

    Here g is clipped, w' is the weight one update earlier, and weight decay is added after. With momentum MXNet 1.9.1
    fails (it asks for the truth of an array); here it is SGD's.

    Args:
        momentum: as for SGD.
        lamda: how much is made up for.
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **options: Unpack[RateAndOptions]) -> None:
        super().__init__(**options)
        self.momentum: float = fraction('momentum', momentum)
        self.lamda: float = checks.number('lamda', lamda)

    def transformation(self) -> Transformation:
        delay = self._compensation()
        return tx.chain(self.clip(), delay, add_weight_decay(), scale_by_learning_rate(), tx.momentum(self.momentum))

    def _compensation(self) -> Transformation:
        def function(gradient, kept, weight, info):
            late = self.lamda * gradient * gradient * (weight - kept['last'])
            return gradient + late, {'last': weight}

        return tx.with_state({'last': jnp.copy}, function)


@register
class LARS(Optimizer):
    """SGD with a rate for each layer (You et al., 2017): `rate * eta * |w| / (|g| + wd * |w| + eps)`.

    The norm of g is taken before clipping. The plain rate is used where a norm is 0, and for parameters whose names end
    in gamma, beta or bias. That is what MXNet documents, and what it does where it knows names; its Trainer does not
    tell them to the optimizer, so there biases have a rate of their own too. MXNet also corrects the momentum only in
    the first four parameters of a network (`MXNET_OPTIMIZER_AGGREGATION_SIZE`); here it is corrected in all.

    Args:
        momentum: the momentum coefficient.
        lazy_update: accepted, see `SGD`.
        eta: the trust in a layer's rate.
        eps: is added to the denominator.
        momentum_correction: whether the last update is first multiplied by the ratio of the new rate to the old one
            (Goyal et al., 2017).
        **options: see `Optimizer`.
    """

    counts_each = False

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0.0,
        momentum_correction: bool = True,
        **options: Unpack[RateAndOptions],
    ) -> None:
        super().__init__(**options)
        self.momentum: float = fraction('momentum', momentum)
        self.lazy_update: bool = checks.flag('lazy_update', lazy_update)
        self.eta: float = checks.number('eta', eta)
        self.eps: float = checks.number('eps', eps, 0)
        self.momentum_correction: bool = checks.flag('momentum_correction', momentum_correction)

    def transformation(self) -> Transformation:
        corrected = self.momentum and self.momentum_correction
        return tx.chain(
            tx.per_parameter(self._descend),
            corrected_momentum(self.momentum) if corrected else tx.momentum(self.momentum),
        )

    def _descend(self, gradient, weight, info: ParamInfo):
        rate = info.rate if info.name.endswith(('gamma', 'beta', 'bias')) else self._layer_rate(gradient, weight, info)
        bound = self.clip_gradient
        return -rate * ((gradient if bound is None else jnp.clip(gradient, -bound, bound)) + info.decay * weight)

    def _layer_rate(self, gradient, weight, info: ParamInfo):
        of_weight, of_gradient = tx.norm(weight), tx.norm(gradient)
        denominator = of_gradient + info.decay * of_weight + self.eps
        trusted = (of_weight > 0) & (of_gradient > 0)
        return info.rate * jnp.where(trusted, self.eta * of_weight / jnp.where(trusted, denominator, 1), 1)


class CorrectedMomentum(NamedTuple):
    """The last update, and the learning rate that it was made with."""

    trace: Any
    rate: Any


def corrected_momentum(coefficient: float) -> Transformation:
    """Momentum that follows changes of the learning rate: the last update times the ratio of new to old rate."""

    def init(params: Any) -> CorrectedMomentum:
        return CorrectedMomentum(jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.float32))

    def update(updates: Any, state: CorrectedMomentum, params: Any, info: UpdateInfo) -> Any:
        old = jnp.where(state.rate == 0, info.rate, state.rate)
        now = coefficient * jnp.where(old == 0, 1, info.rate / jnp.where(old == 0, 1, old))
        trace = jax.tree.map(lambda update, last: now * last + update, updates, state.trace)
        return trace, CorrectedMomentum(trace, info.rate)

    return tx.with_info(init, update)
