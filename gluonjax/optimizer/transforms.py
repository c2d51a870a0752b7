"""The transformations that optimizers are chained from; any other name of this module is optax's, such as `chain`.

What is defined here works on trees in float32, and is handed, beside gradients and params, the `UpdateInfo`. optax is
loaded when the first optimizer is used: importing it takes a quarter as long as importing jax.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.core
import jax.numpy as jnp

from gluonjax.errors import ArgumentError

if TYPE_CHECKING:
    import optax

_VECTOR = 16  # the length of vectors of scalars
Transformation: TypeAlias = 'optax.GradientTransformation'


def __getattr__(name: str) -> Any:
    if name.startswith('__'):  # asked for by the import of this very module
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    import optax

    return getattr(optax, name)


def with_known_extra_args(transformation: Transformation) -> Transformation:
    """The transformation, handed those extra arguments alone that it takes.

    optax's line searches ask for `value`, `grad` and `value_fn`, its SAM for `grad_fn`.
    """

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        while True:
            try:
                return accepting.update(updates, state, params, **extra)
            except TypeError as error:  # also from within a chain, which hands all of them on to each
                unknown = re.search(r"got an unexpected keyword argument '(\w+)'", str(error))
                if unknown is None or unknown[1] not in extra:
                    raise
                extra = {name: value for name, value in extra.items() if name != unknown[1]}

    accepting: Any = __getattr__('with_extra_args_support')(transformation)
    return __getattr__('GradientTransformationExtraArgs')(transformation.init, update)


def without_functions(transformation: Any) -> Transformation:
    """The transformation under accumulation, where what a last batch alone would answer is refused."""

    def refuse(*_: Any, grad_fn: Any = None, obj_fn: Any = None) -> Any:
        raise ArgumentError(
            'this optimizer evaluates the loss or its gradient at other parameters, and knows the last batch only',
            remedy='accumulate=1, with larger batches',
        )

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        extra |= {name: refuse for name in ('value_fn', 'grad_fn', 'obj_fn') if name in extra}
        return transformation.update(updates, state, params, **extra)

    return __getattr__('GradientTransformationExtraArgs')(transformation.init, update)


class ParamInfo(NamedTuple):
    """What the options say of one parameter in one update.

    Attributes:
        name: the parameter's name.
        rate: its learning rate, float32.
        decay: its weight decay, a Python number.
        number: the number of its update, 1 for its first; the number of the optimizer's update, if that does not
            count for each parameter (`Optimizer.counts_each`).
    """

    name: str
    rate: Any
    decay: float
    number: Any


class UpdateInfo(NamedTuple):
    """What the options say in one update.

    Attributes:
        number: the number of the update, 1 for the first.
        rate: the learning rate without multipliers, float32.
        params: a tree like params with the `ParamInfo` of each parameter.
    """

    number: Any
    rate: Any
    params: Any


class NoState(NamedTuple):
    """The state of a transformation that keeps none."""


def with_info(init: Callable[..., Any], update: Callable[..., Any]) -> Transformation:
    """A transformation whose `update(updates, state, params, info)` is handed the `UpdateInfo`."""

    def informed(updates: Any, state: Any, params: Any = None, *, info: UpdateInfo, **_: Any) -> Any:
        return update(updates, state, params, info)

    return __getattr__('GradientTransformationExtraArgs')(init, informed)


def per_parameter(function: Callable[[Any, Any, ParamInfo], Any]) -> Transformation:
    """A transformation without state: `function(gradient, weight, info)` for each parameter."""

    def update(updates, state, params, info):
        return jax.tree.map(function, updates, params, info.params), state

    return with_info(lambda params: NoState(), update)


def with_state(slots: Mapping[str, Callable[[jax.Array], jax.Array]], function: Callable[..., Any]) -> Transformation:
    """A transformation that keeps arrays for each parameter.

    Args:
        slots: name -> the function that makes its first array from the weight.
        function: `function(gradient, kept, weight, info)` returns the update and what to keep; `kept` is a dict.
    """

    def init(params):
        return {slot: jax.tree.map(make, params) for slot, make in slots.items()}

    def update(updates, state, params, info):
        gradients, structure = jax.tree.flatten(updates)
        weights, infos = structure.flatten_up_to(params), structure.flatten_up_to(info.params)
        columns = {slot: structure.flatten_up_to(state[slot]) for slot in slots}
        rows = [{slot: columns[slot][i] for slot in slots} for i in range(len(gradients))]
        results = [function(*row) for row in zip(gradients, rows, weights, infos, strict=True)]
        kept = {slot: structure.unflatten([kept[slot] for _, kept in results]) for slot in slots}
        return structure.unflatten([update for update, _ in results]), kept

    return with_info(init, update)


def clip_elements(bound: float | None) -> Transformation:
    """Elements from -bound to bound; as they are without a bound."""
    return __getattr__('identity')() if bound is None else __getattr__('clip')(bound)


def clip_by_global_norm(limit: float) -> Transformation:
    """Gradients whose norm, all together, is above the limit are scaled to it; squares neither overflow nor vanish."""

    def update(updates, state, params=None):
        leaves = [leaf for leaf in jax.tree.leaves(updates) if leaf.size]
        largest = jnp.stack([jnp.abs(leaf).max().astype(jnp.float32) for leaf in leaves]).max() if leaves else 0
        unit = jnp.where(largest > 0, largest, 1)
        norm = jnp.sqrt(sum(square(leaf / unit.astype(leaf.real.dtype)).sum() for leaf in leaves))  # of updates / unit
        above = largest > limit / jnp.where(norm > 0, norm, 1)

        def clipped(leaf):
            scale, divisor = (
                (limit / jnp.where(norm > 0, norm, 1)).astype(leaf.real.dtype),
                unit.astype(leaf.real.dtype),
            )
            return jnp.where(above, leaf / divisor * scale, leaf)

        return jax.tree.map(clipped, updates), state

    return __getattr__('GradientTransformation')(lambda params: NoState(), update)


def add_weight_decay() -> Transformation:
    """Plus the weight times its decay."""
    return per_parameter(lambda gradient, weight, info: gradient + info.decay * weight if info.decay else gradient)


def scale_by_learning_rate() -> Transformation:
    """Times the negative learning rate."""

    def update(updates, state, params, info):
        negative = {id(each.rate): -each.rate for each in jax.tree.leaves(info.params, is_leaf=_is_info)}
        return jax.tree.map(
            lambda gradient, each: times(negative[id(each.rate)], gradient), updates, info.params
        ), state

    return with_info(lambda params: NoState(), update)


def _is_info(node: Any) -> bool:
    return isinstance(node, ParamInfo)


def momentum(coefficient: float, nesterov: bool = False) -> Transformation:
    """The trace of updates that already have their learning rate, as MXNet keeps it; nothing for a coefficient of 0."""
    trace = __getattr__('trace')(coefficient, nesterov) if coefficient else __getattr__('identity')()
    if nesterov or not coefficient:
        return trace

    def update(updates, state, params=None):
        last = jax.tree.map(lambda update, last: update + times(coefficient, last), updates, state.trace)
        return last, state._replace(trace=last)

    return __getattr__('GradientTransformation')(trace.init, update)


def times(factor: Any, array: jax.Array) -> jax.Array:
    """`factor * array` of a number, by operations that JAX traces in a fraction of the time."""
    if getattr(factor, 'dtype', array.dtype) != array.dtype or jnp.shape(factor):
        return factor * array
    factor = jax.lax.convert_element_type(factor, array.dtype)
    return jax.lax.mul(jax.lax.broadcast(factor, array.shape), array)


def scale_by_moments(beta1: float, beta2: float, direction: Callable[[Any, Any, Any], Any]) -> Transformation:
    """Moving averages of the gradient and its square; `direction(mean, var, number)` is the result."""

    def moved(gradient, kept, number):
        mean = beta1 * kept['mean'] + (1 - beta1) * gradient
        var = beta2 * kept['var'] + (1 - beta2) * square(gradient)
        return direction(mean, var, number), {'mean': mean, 'var': var}

    traced_once = jax.jit(moved)  # for all parameters of the same shape

    def function(gradient, kept, weight, info):
        moves = traced_once if isinstance(gradient, jax.core.Tracer) else moved
        return moves(gradient, kept, info.number)

    return with_state({'mean': jnp.zeros_like, 'var': real_zeros}, function)


def correct_bias(beta1: float, beta2: float) -> Transformation:
    """Adam's correction as one factor on everything (Kingma and Ba, 2015, the end of section 2)."""

    def update(updates, state, params, info):
        gradients, structure = jax.tree.flatten(updates)
        numbers = [each.number for each in structure.flatten_up_to(info.params)]
        factors = vectorized(lambda n: jnp.sqrt(one_minus_power(beta2, n)) / one_minus_power(beta1, n), numbers)
        return structure.unflatten([times(factor, g) for g, factor in zip(gradients, factors, strict=True)]), state

    return with_info(lambda params: NoState(), update)


def vectorized(function: Callable[[jax.Array], jax.Array], scalars: Sequence[jax.Array]) -> list[jax.Array]:
    """An elementwise function of many scalars, computed as vectors: XLA runs each scalar operation by itself.

    Scalars that are one array have results that are one.

    The barrier keeps it from computing them again for each element that they are multiplied with. Vectors are short, as
    XLA's compile time grows with the square of the number of slices of one.
    """
    different = list({id(scalar): scalar for scalar in scalars}.values())
    if len(different) <= 1:
        return [function(scalar) for scalar in different] * len(scalars)
    results: dict[int, jax.Array] = {}
    for start in range(0, len(different), _VECTOR):
        part = different[start : start + _VECTOR]
        values = jax.lax.optimization_barrier(function(jnp.stack(part)))
        for scalar, one in zip(part, jax.lax.split(values, (1,) * len(part)), strict=True):
            results[id(scalar)] = jax.lax.squeeze(one, (0,))
    return [results[id(scalar)] for scalar in scalars]


def one_minus_power(beta: float, number: Any) -> Any:
    """`1 - beta^number` in float32, to full precision where beta is close to 1."""
    return -jnp.expm1(jnp.asarray(number, jnp.float32) * math.log(beta)) if beta else jnp.float32(1)


def square(array: jax.Array) -> jax.Array:
    """`|array|^2`, real for complex numbers."""
    return (array.conj() * array).real if jnp.iscomplexobj(array) else array * array


def real_zeros(array: jax.Array) -> jax.Array:
    """Zeros of its shape; real for complex numbers."""
    return jnp.zeros_like(array.real if jnp.iscomplexobj(array) else array)


def norm(array: jax.Array) -> jax.Array:
    """The Euclidean norm of all elements; squares neither overflow nor vanish."""
    largest = jnp.abs(array).max(initial=0)
    unit = jnp.where(largest > 0, largest, 1)
    return largest * jnp.sqrt(square(array / unit).sum())
