"""The pieces that optimizers are chained from, where optax has none of the same meaning.

Each is an optax transformation. It works on trees in float32, and is handed, beside gradients and params, the `Step`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class Terms(NamedTuple):
    """What the options say of one parameter in one update.

    Attributes:
        name: the parameter's name.
        rate: its learning rate, float32.
        decay: its weight decay, a Python number.
        number: the number of the update, 1 for the first.
    """

    name: str
    rate: Any
    decay: float
    number: Any


class Step(NamedTuple):
    """What the options say in one update.

    Attributes:
        number: the number of the update, 1 for the first.
        rate: the learning rate without multipliers, float32.
        terms: a tree like params with the `Terms` of each parameter.
    """

    number: Any
    rate: Any
    terms: Any


def transformation(init: Callable, update: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation whose `update(updates, state, params, step)` is handed the `Step`."""

    def stepped(updates, state, params=None, *, step: Step, **_):
        return update(updates, state, params, step)

    function: Any = stepped
    return optax.GradientTransformationExtraArgs(init, function)


def each(function: Callable[[Any, Any, Terms], Any]) -> optax.GradientTransformationExtraArgs:
    """A transformation without state: `function(gradient, weight, terms)` for each parameter."""

    def update(updates, state, params, step):
        return jax.tree.map(function, updates, params, step.terms), state

    return transformation(lambda params: optax.EmptyState(), update)


def keep(slots: Mapping[str, Callable], function: Callable) -> optax.GradientTransformationExtraArgs:
    """A transformation that keeps arrays for each parameter.

    Args:
        slots: name -> the function that makes its first array from the weight.
        function: `function(gradient, kept, weight, terms)` gives the update and what to keep; `kept` is a dict.
    """

    def init(params):
        return {slot: jax.tree.map(make, params) for slot, make in slots.items()}

    def update(updates, state, params, step):
        gradients, structure = jax.tree.flatten(updates)
        weights, terms = structure.flatten_up_to(params), structure.flatten_up_to(step.terms)
        columns = {slot: structure.flatten_up_to(state[slot]) for slot in slots}
        rows = [{slot: columns[slot][i] for slot in slots} for i in range(len(gradients))]
        results = [function(*row) for row in zip(gradients, rows, weights, terms, strict=True)]
        kept = {slot: structure.unflatten([kept[slot] for _, kept in results]) for slot in slots}
        return structure.unflatten([update for update, _ in results]), kept

    return transformation(init, update)


def clipped(bound: float | None) -> optax.GradientTransformation:
    """Elements from -bound to bound."""
    return optax.identity() if bound is None else optax.clip(bound)


def decayed() -> optax.GradientTransformation:
    """Plus the weight times its decay."""
    return each(lambda gradient, weight, terms: gradient + terms.decay * weight if terms.decay else gradient)


def descent() -> optax.GradientTransformation:
    """Times the negative learning rate."""
    return each(lambda gradient, weight, terms: -terms.rate * gradient)


def momentum(share: float, nesterov: bool = False) -> optax.GradientTransformation:
    """The trace of updates that already have their learning rate, as MXNet keeps it; nothing for a share of 0."""
    return optax.trace(share, nesterov) if share else optax.identity()


def moments(beta1: float, beta2: float, direction: Callable) -> optax.GradientTransformation:
    """Moving averages of the gradient and its square; `direction(mean, var, number)` is the result."""

    def function(gradient, kept, weight, terms):
        mean = beta1 * kept['mean'] + (1 - beta1) * gradient
        var = beta2 * kept['var'] + (1 - beta2) * gradient * gradient
        return direction(mean, var, terms.number), {'mean': mean, 'var': var}

    return keep({'mean': jnp.zeros_like, 'var': jnp.zeros_like}, function)


def bias_corrected(beta1: float, beta2: float) -> optax.GradientTransformation:
    """Adam's correction as one factor on everything (Kingma and Ba, 2015, the end of section 2)."""

    def function(gradient, weight, terms):
        return gradient * (jnp.sqrt(complement(beta2, terms.number)) / complement(beta1, terms.number))

    return each(function)


def complement(beta: float, number) -> Any:
    """`1 - beta^number` in float32, to full precision where beta is close to 1."""
    return -jnp.expm1(number * math.log(beta)) if beta else 1.0
