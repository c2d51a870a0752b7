"""MXNet's steps of optimizers, one operator each.

The output is the new weight. The states, and the float32 weights of `mp_*`, are auxiliary: their new values come beside
it. Those of many weights at once are in `updates`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.mx.op.table import operator

Array = jax.Array
Step = tuple[Array, tuple[Array, ...]]  # the new weight, the new states


def bounded(array: Array, bound: float) -> Array:
    """Every element between -bound and bound; a negative bound is none."""
    return jnp.clip(array, -bound, bound) if bound >= 0 else array


def halved(weight: Array, master: Array, step: Callable[[Array], Step]) -> Step:
    """A step on the weight in float32, of which the weight is a copy in fewer bits."""
    new, states = step(master)
    return new.astype(weight.dtype), (*states, new)


# Descent.


def sgd(weight: Array, grad: Array, lr: Any, wd: Any, rescale_grad: Any, clip_gradient: float) -> Array:
    """The weight after one step of gradient descent."""
    return (1 - lr * wd) * weight - lr * bounded(rescale_grad * grad, clip_gradient)


def sgd_momentum(
    weight: Array, grad: Array, mom: Array, lr: Any, momentum: float, wd: Any, rescale_grad: Any, clip_gradient: float
) -> Step:
    """The weight and the momentum after one step."""
    mom = momentum * mom - lr * wd * weight - lr * bounded(rescale_grad * grad, clip_gradient)
    return weight + mom, (mom,)


def nag_momentum(
    weight: Array, grad: Array, mom: Array, lr: Any, momentum: float, wd: Any, rescale_grad: Any, clip_gradient: float
) -> Step:
    """The weight and the momentum after one step of Nesterov's accelerated gradient."""
    direction = bounded(rescale_grad * grad, clip_gradient) + wd * weight
    mom = momentum * mom - lr * direction
    return weight + momentum * mom - lr * direction, (mom,)


@operator('sgd_update', '_sparse_sgd_update')
def sgd_update(
    weight: Array,
    grad: Array,
    *,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Array:
    """Gradient descent."""
    return sgd(weight, grad, lr, wd, rescale_grad, clip_gradient)


@operator('mp_sgd_update', auxiliary=['weight32'])
def mp_sgd_update(
    weight: Array,
    grad: Array,
    weight32: Array,
    *,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Step:
    """Gradient descent on a float32 copy."""
    gradient = grad.astype('float32')
    return halved(weight, weight32, lambda w: (sgd(w, gradient, lr, wd, rescale_grad, clip_gradient), ()))


@operator('sgd_mom_update', '_sparse_sgd_mom_update', auxiliary=['mom'])
def sgd_mom_update(
    weight: Array,
    grad: Array,
    mom: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Step:
    """Gradient descent with momentum."""
    return sgd_momentum(weight, grad, mom, lr, momentum, wd, rescale_grad, clip_gradient)


@operator('mp_sgd_mom_update', auxiliary=['mom', 'weight32'])
def mp_sgd_mom_update(
    weight: Array,
    grad: Array,
    mom: Array,
    weight32: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Step:
    """Gradient descent with momentum on a float32 copy."""
    gradient = grad.astype('float32')
    return halved(
        weight,
        weight32,
        lambda w: sgd_momentum(w, gradient, mom, lr, momentum, wd, rescale_grad, clip_gradient),
    )


@operator('nag_mom_update', auxiliary=['mom'])
def nag_mom_update(
    weight: Array,
    grad: Array,
    mom: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """Nesterov's accelerated gradient."""
    return nag_momentum(weight, grad, mom, lr, momentum, wd, rescale_grad, clip_gradient)


@operator('mp_nag_mom_update', auxiliary=['mom', 'weight32'])
def mp_nag_mom_update(
    weight: Array,
    grad: Array,
    mom: Array,
    weight32: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """Nesterov's accelerated gradient on a float32 copy."""
    gradient = grad.astype('float32')
    new, _ = nag_momentum(weight32, gradient, mom, lr, momentum, wd, rescale_grad, clip_gradient)
    # MXNet decays the momentum by the new weight here, not by the old one.
    mom = momentum * mom - lr * (bounded(rescale_grad * gradient, clip_gradient) + wd * new)
    return new.astype(weight.dtype), (mom, new)


@operator('signsgd_update')
def signsgd_update(
    weight: Array, grad: Array, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> Array:
    """A step of one length along the sign of the gradient."""
    return (1 - lr * wd) * weight - lr * jnp.sign(grad)


@operator('signum_update', auxiliary=['mom'])
def signum_update(
    weight: Array,
    grad: Array,
    mom: Array,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    wd_lh: float = 0.0,
) -> Step:
    """A step of one length along the sign of the momentum."""
    direction = wd * weight + bounded(rescale_grad * grad, clip_gradient)
    mom = momentum * mom - (1 - momentum) * direction
    return (1 - lr * wd_lh) * weight + lr * jnp.sign(mom), (mom,)


# With moments.


def moments(grad: Array, mean: Array, var: Array, beta1: float, beta2: float) -> tuple[Array, Array]:
    """The means of gradients and of their squares."""
    return beta1 * mean + (1 - beta1) * grad, beta2 * var + (1 - beta2) * jnp.square(grad)


@operator('adam_update', '_sparse_adam_update', auxiliary=['mean', 'var'])
def adam_update(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
) -> Step:
    """Adam; its correction of bias is in the learning rate that it is given."""
    gradient = bounded(rescale_grad * grad + wd * weight, clip_gradient)
    mean, var = moments(gradient, mean, var, beta1, beta2)
    return weight - lr * mean / (jnp.sqrt(var) + epsilon), (mean, var)


def adamw(
    weight: Array, grad: Array, mean: Array, var: Array, rescale: Array, lr: float, wd: float, eta: float, given: Any
) -> Step:
    """One step of AdamW; nothing changes where the scale of the gradient is 0 or not finite."""
    beta1, beta2, epsilon, clip_gradient = given
    new_mean, new_var = moments(bounded(rescale * grad, clip_gradient), mean, var, beta1, beta2)
    new = weight - eta * (lr * new_mean / (jnp.sqrt(new_var) + epsilon) + wd * weight)
    valid = jnp.isfinite(rescale) & (rescale != 0)
    kept, kept_mean, kept_var = (
        jnp.where(valid, after, before) for after, before in ((new, weight), (new_mean, mean), (new_var, var))
    )
    return kept, (kept_mean, kept_var)


@operator('_adamw_update', auxiliary=['mean', 'var'])
def adamw_update(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    rescale_grad: Array,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    eta: float,
    clip_gradient: float = -1.0,
) -> Step:
    """AdamW, with the scale of the gradient in an array."""
    given = beta1, beta2, epsilon, clip_gradient
    return adamw(weight, grad, mean, var, rescale_grad.reshape(()), lr, wd, eta, given)


@operator('_mp_adamw_update', auxiliary=['mean', 'var', 'weight32'])
def mp_adamw_update(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    weight32: Array,
    rescale_grad: Array,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    eta: float,
    clip_gradient: float = -1.0,
) -> Step:
    """AdamW on a float32 copy."""
    given, scale = (beta1, beta2, epsilon, clip_gradient), rescale_grad.astype('float32').reshape(())
    gradient = grad.astype('float32')
    return halved(weight, weight32, lambda w: adamw(w, gradient, mean, var, scale, lr, wd, eta, given))


@operator('rmsprop_update', auxiliary=['n'])
def rmsprop_update(
    weight: Array,
    grad: Array,
    n: Array,
    *,
    lr: float,
    gamma1: float = 0.95,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Step:
    """RMSProp."""
    gradient = bounded(rescale_grad * grad + wd * weight, clip_gradient)
    n = gamma1 * n + (1 - gamma1) * jnp.square(gradient)
    return bounded(weight - lr * gradient / jnp.sqrt(n + epsilon), clip_weights), (n,)


@operator('rmspropalex_update', auxiliary=['n', 'g', 'delta'])
def rmspropalex_update(
    weight: Array,
    grad: Array,
    n: Array,
    g: Array,
    delta: Array,
    *,
    lr: float,
    gamma1: float = 0.95,
    gamma2: float = 0.9,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Step:
    """RMSProp with the variance of gradients, and momentum."""
    gradient = bounded(rescale_grad * grad + wd * weight, clip_gradient)
    g, n = moments(gradient, g, n, gamma1, gamma1)
    delta = gamma2 * delta - lr * gradient / jnp.sqrt(n - jnp.square(g) + epsilon)
    return bounded(weight + delta, clip_weights), (n, g, delta)


@operator('ftrl_update', '_sparse_ftrl_update', auxiliary=['z', 'n'])
def ftrl_update(
    weight: Array,
    grad: Array,
    z: Array,
    n: Array,
    *,
    lr: float,
    lamda1: float = 0.01,
    beta: float = 1.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """Follow the regularized leader, proximally."""
    gradient = bounded(rescale_grad * grad, clip_gradient)
    total = n + jnp.square(gradient)
    z = z + gradient - (jnp.sqrt(total) - jnp.sqrt(n)) * weight / lr
    new = (jnp.sign(z) * lamda1 - z) / ((beta + jnp.sqrt(total)) / lr + wd)
    return jnp.where(jnp.abs(z) > lamda1, new, 0), (z, total)


@operator('ftml_update', auxiliary=['d', 'v', 'z'])
def ftml_update(
    weight: Array,
    grad: Array,
    d: Array,
    v: Array,
    z: Array,
    *,
    lr: float,
    beta1: float = 0.6,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    t: int,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_grad: float = -1.0,
) -> Step:
    """Follow the moving leader."""
    gradient = bounded(rescale_grad * grad + wd * weight, clip_grad)
    v = beta2 * v + (1 - beta2) * jnp.square(gradient)
    now = (1 - beta1**t) / lr * (jnp.sqrt(v / (1 - beta2**t)) + epsilon)
    z = beta1 * z + (1 - beta1) * gradient - (now - beta1 * d) * weight
    return -z / now, (now, v, z)


@operator('_sparse_adagrad_update', auxiliary=['history'])
def adagrad_update(
    weight: Array,
    grad: Array,
    history: Array,
    *,
    lr: float,
    epsilon: float = 1e-7,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """AdaGrad."""
    gradient = bounded(rescale_grad * grad, clip_gradient)
    history = history + jnp.square(gradient)
    return weight - lr * gradient / jnp.sqrt(history + epsilon), (history,)


@operator('_contrib_group_adagrad_update', auxiliary=['history'])
def group_adagrad_update(
    weight: Array,
    grad: Array,
    history: Array,
    *,
    lr: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    epsilon: float = 1e-5,
) -> Step:
    """AdaGrad with one history for each row."""
    gradient = bounded(rescale_grad * grad, clip_gradient)
    axes = tuple(range(1, grad.ndim))
    history = history + jnp.square(gradient).mean(axes, keepdims=True).reshape(history.shape)
    rows = history.reshape((-1,) + (1,) * len(axes))
    return weight - lr * gradient / jnp.sqrt(rows + epsilon), (history,)


# LAMB.


def lamb_direction(
    weight: Array, grad: Array, mean: Array, var: Array, t: int, wd: float, given: Any
) -> tuple[Array, tuple[Array, Array]]:
    """The direction of LAMB's step, and the moments."""
    beta1, beta2, epsilon, bias_correction, rescale_grad, clip_gradient = given
    mean, var = moments(bounded(rescale_grad * grad, clip_gradient), mean, var, beta1, beta2)
    first, second = (mean / (1 - beta1**t), var / (1 - beta2**t)) if bias_correction else (mean, var)
    return first / (jnp.sqrt(second) + epsilon) + wd * weight, (mean, var)


def lamb_step(weight: Array, g: Array, r1: Array, r2: Array, lr: float, lower: float, upper: float) -> Array:
    """The weight after LAMB's step, from the norms of weight and direction."""
    bounded_norm = jnp.minimum(r1, upper) if upper > 0 else r1
    bounded_norm = jnp.maximum(bounded_norm, lower) if lower > 0 else bounded_norm
    ratio = jnp.where((bounded_norm == 0) | (r2 == 0), 1, bounded_norm / jnp.where(r2 == 0, 1, r2))
    return weight - lr * ratio.reshape((1,) * weight.ndim) * g


@operator('lamb_update_phase1', auxiliary=['mean', 'var'])
def lamb_update_phase1(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    t: int,
    bias_correction: bool = True,
    wd: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """The direction of LAMB's step."""
    given = beta1, beta2, epsilon, bias_correction, rescale_grad, clip_gradient
    return lamb_direction(weight, grad, mean, var, t, wd, given)


@operator('mp_lamb_update_phase1', auxiliary=['mean', 'var'])
def mp_lamb_update_phase1(
    weight: Array,
    grad: Array,
    mean: Array,
    var: Array,
    weight32: Array,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    t: int,
    bias_correction: bool = True,
    wd: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Step:
    """The direction of LAMB's step, for the float32 copy."""
    given = beta1, beta2, epsilon, bias_correction, rescale_grad, clip_gradient
    return lamb_direction(weight32, grad.astype('float32'), mean, var, t, wd, given)


@operator('lamb_update_phase2')
def lamb_update_phase2(
    weight: Array,
    g: Array,
    r1: Array,
    r2: Array,
    *,
    lr: float,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
) -> Array:
    """LAMB's step, from the norms r1 of the weight and r2 of the direction."""
    return lamb_step(weight, g, r1, r2, lr, lower_bound, upper_bound)


@operator('mp_lamb_update_phase2', auxiliary=['weight32'])
def mp_lamb_update_phase2(
    weight: Array,
    g: Array,
    r1: Array,
    r2: Array,
    weight32: Array,
    *,
    lr: float,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
) -> Step:
    """LAMB's step on a float32 copy."""
    return halved(weight, weight32, lambda w: (lamb_step(w, g, r1, r2, lr, lower_bound, upper_bound), ()))
