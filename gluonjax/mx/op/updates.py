"""MXNet's steps of optimizers for many weights at once, each as `update` has it for one.

Inputs come in groups: weight, gradient, states, and the float32 weight last. The outputs are the new weights, and
behind them the new states in the order of their inputs, which a graph does not show.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.mx.op.attributes import Floats, Shape
from gluonjax.mx.op.table import Attributes, operator
from gluonjax.mx.op.update import Step, adamw, halved, lamb_direction, lamb_step, sgd, sgd_momentum

Array = jax.Array


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
