"""MXNet's steps of optimizers, one operator each, and what its trainers did with gradients.

The output is the new weight. The states, and the float32 weights of `mp_*`, are auxiliary: their new values come beside
it. Operators of many weights return the new states as further outputs, which a graph does not show, in the order of
their inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.mx.op.attributes import Floats, Shape
from gluonjax.mx.op.table import Attributes, operator

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


# Many weights at once. Inputs come in groups: weight, gradient, states, and the float32 weight last.


def groups(arrays: Sequence[Array], count: int) -> list[Sequence[Array]]:
    """The inputs of each weight."""
    size = len(arrays) // count
    return [arrays[i * size : (i + 1) * size] for i in range(count)]


def _all(steps: Sequence[Step]) -> list[Array]:
    """The new weights, and behind them the new states in the order of their inputs."""
    return [new for new, _ in steps] + [state for _, states in steps for state in states]


def _weights(name: str) -> Callable[[Attributes], int]:
    return lambda attributes: attributes[name]


def _outputs(name: str, states: int) -> Callable[[Attributes], int]:
    return lambda attributes: attributes[name] * (1 + states)


def _group_step(group: Sequence[Array], mixed: bool, step: Callable[..., Step]) -> Step:
    """A step of one weight: `step(weight, gradient, *states)`."""
    weight, grad, *states = group
    if not mixed:
        return step(weight, grad, *states)
    *states, master = states
    return halved(weight, master, lambda w: step(w, grad.astype('float32'), *states))


def _multi_sgd(
    arrays: Sequence[Array], rates: tuple[Any, Any], mixed: bool, momentum: float | None, rescale: float, clip: float
) -> list[Array]:
    """Steps of gradient descent, with momentum unless it is None."""
    lrs, wds = rates

    def step(i: int) -> Callable[..., Step]:
        def plain(w: Array, g: Array) -> Step:
            return sgd(w, g, lrs[i], wds[i], rescale, clip), ()

        def with_momentum(w: Array, g: Array, mom: Array) -> Step:
            return sgd_momentum(w, g, mom, lrs[i], momentum or 0.0, wds[i], rescale, clip)

        return plain if momentum is None else with_momentum

    return _all([_group_step(group, mixed, step(i)) for i, group in enumerate(groups(arrays, len(lrs)))])


# Rates are attributes, or in `preloaded_...` the last two inputs.


def _enter_multi_sgd(name: str, mixed: bool) -> None:
    counts: Any = {'outputs': _outputs('num_weights', mixed), 'visible': _weights('num_weights')}

    @operator(name, **counts)
    def with_rates(
        *data: Array,
        lrs: Floats,
        wds: Floats,
        rescale_grad: float = 1.0,
        clip_gradient: float = -1.0,
        num_weights: int = 1,
    ) -> list[Array]:
        return _multi_sgd(data, (lrs, wds), mixed, None, rescale_grad, clip_gradient)

    @operator(f'preloaded_{name}', **counts)
    def preloaded(
        *data: Array, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1
    ) -> list[Array]:
        return _multi_sgd(data[:-2], (data[-2], data[-1]), mixed, None, rescale_grad, clip_gradient)


def _enter_multi_sgd_mom(name: str, mixed: bool) -> None:
    counts: Any = {'outputs': _outputs('num_weights', 1 + mixed), 'visible': _weights('num_weights')}

    @operator(name, **counts)
    def with_rates(
        *data: Array,
        lrs: Floats,
        wds: Floats,
        momentum: float = 0.0,
        rescale_grad: float = 1.0,
        clip_gradient: float = -1.0,
        num_weights: int = 1,
    ) -> list[Array]:
        return _multi_sgd(data, (lrs, wds), mixed, momentum, rescale_grad, clip_gradient)

    @operator(f'preloaded_{name}', **counts)
    def preloaded(
        *data: Array,
        momentum: float = 0.0,
        rescale_grad: float = 1.0,
        clip_gradient: float = -1.0,
        num_weights: int = 1,
    ) -> list[Array]:
        return _multi_sgd(data[:-2], (data[-2], data[-1]), mixed, momentum, rescale_grad, clip_gradient)


_enter_multi_sgd('multi_sgd_update', mixed=False)
_enter_multi_sgd('multi_mp_sgd_update', mixed=True)
_enter_multi_sgd_mom('multi_sgd_mom_update', mixed=False)
_enter_multi_sgd_mom('multi_mp_sgd_mom_update', mixed=True)


def _enter_multi_adamw(name: str, mixed: bool) -> None:
    @operator(name, outputs=_outputs('num_weights', 2 + mixed), visible=_weights('num_weights'))
    def update(
        *data: Array,
        lrs: Floats,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        wds: Floats,
        etas: Floats,
        clip_gradient: float = -1.0,
        num_weights: int = 1,
    ) -> list[Array]:
        given, rescale = (beta1, beta2, epsilon, clip_gradient), data[-1].astype('float32').reshape(())

        def step(i: int) -> Callable[..., Step]:
            return lambda w, g, mean, var: adamw(w, g, mean, var, rescale, lrs[i], wds[i], etas[i], given)

        return _all([_group_step(each, mixed, step(i)) for i, each in enumerate(groups(data[:-1], num_weights))])


def _norm(array: Array) -> Array:
    return jnp.sqrt(jnp.square(array.astype('float32')).sum())


def _enter_multi_lamb(name: str, mixed: bool) -> None:
    @operator(name, outputs=_outputs('num_tensors', 2 + mixed), visible=_weights('num_tensors'))
    def update(
        *data: Array,
        learning_rates: Floats,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        wds: Floats,
        rescale_grad: float = 1.0,
        lower_bound: float = -1.0,
        upper_bound: float = -1.0,
        clip_gradient: float = -1.0,
        bias_correction: bool = True,
        step_count: Shape,
        num_tensors: int = 1,
    ) -> list[Array]:
        given = beta1, beta2, epsilon, bias_correction, rescale_grad, clip_gradient

        def step(i: int, weight: Array) -> Callable[..., Step]:
            def of_one(w: Array, g: Array, mean: Array, var: Array) -> Step:
                direction, states = lamb_direction(w, g, mean, var, step_count[i], wds[i], given)
                norms = _norm(weight), _norm(direction)  # of the weight itself, not of its float32 copy
                return lamb_step(w, direction, *norms, learning_rates[i], lower_bound, upper_bound), states

            return of_one

        parts = groups(data, num_tensors)
        return _all([_group_step(group, mixed, step(i, group[0])) for i, group in enumerate(parts)])


_enter_multi_adamw('_multi_adamw_update', mixed=False)
_enter_multi_adamw('_multi_mp_adamw_update', mixed=True)
_enter_multi_lamb('_multi_lamb_update', mixed=False)
_enter_multi_lamb('_multi_mp_lamb_update', mixed=True)


@operator('multi_lars')
def multi_lars(
    lrs: Array,
    weights_sum_sq: Array,
    grads_sum_sq: Array,
    wds: Array,
    *,
    eta: float,
    eps: float,
    rescale_grad: float = 1.0,
) -> Array:
    """The learning rates that LARS gives, from sums of squares."""
    weights, grads = jnp.sqrt(weights_sum_sq), jnp.sqrt(grads_sum_sq) * rescale_grad
    return jnp.where((weights > 0) & (grads > 0), lrs * eta * weights / (grads + wds * weights + eps), lrs)


@operator('reset_arrays', outputs=_weights('num_arrays'))
def reset_arrays(*data: Array, num_arrays: int) -> list[Array]:
    """Zeros in place of arrays."""
    return [jnp.zeros_like(x) for x in data]
