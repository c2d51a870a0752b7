"""Steps of a recurrence in a row. Sequences have their steps on the first axis and the batch on the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.checks import at_least_float32
from gluonjax.nn.precision import add_bias, broadcast
from gluonjax.rnn.states import placed_like

States = Sequence[jax.Array]


def scan_body(step: Callable[..., Any], valid_length: jax.Array | None = None) -> Callable[..., Any]:
    """The body of a scan over (number of the step, x).

    Args:
        step: `x, states, memory -> output, states, memory`.
        valid_length: of each example; from there on it outputs zeros and keeps its states.
    """

    def body(carry: tuple[States, Any], item: tuple[Any, Any]) -> tuple[tuple[list[jax.Array], Any], jax.Array]:
        (number, x), (states, memory) = item, carry
        output, new, memory = step(x, states, memory)
        if valid_length is None:
            return (list(new), memory), output
        kept = [if_valid(number, valid_length, after, before) for after, before in zip(new, states, strict=True)]
        return (kept, memory), if_valid(number, valid_length, output, jnp.zeros_like(output))

    return body


def if_valid(number: Any, valid_length: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` for the examples (first axis) that have a step of this number, `old` for the others."""
    valid = number < valid_length
    return jnp.where(jnp.expand_dims(valid, range(1, new.ndim)), new, old)


def scan_steps(
    scan: Callable[..., Any],
    step: Callable[..., list[jax.Array]],
    xs: Any,
    states: States,
    valid_length: jax.Array | None = None,
) -> tuple[jax.Array, list[jax.Array]]:
    """One scan of `step: x, states -> states`, which keeps dtypes: outputs and the last states."""

    def step_with_output(x: Any, states: States, _: None) -> tuple[jax.Array, list[jax.Array], None]:
        new = step(x, states)
        return new[0], new, None

    first = jax.tree.leaves(xs)[0]
    numbers, begin = jnp.arange(first.shape[0]), [placed_like(state, first) for state in states]
    (states, _), outputs = scan(scan_body(step_with_output, valid_length), (begin, None), (numbers, xs))
    return outputs, list(states)


def plain_recur(
    equations: Callable[..., list[jax.Array]],
    inputs: Sequence[jax.Array],
    bias: jax.Array | None,
    states: States,
    weight: jax.Array,
    rest: Sequence[jax.Array],
    valid_length: jax.Array | None,
    directions: jax.Array | None = None,
) -> tuple[jax.Array, list[jax.Array]]:
    """Runs the equations over a sequence: the outputs and the last states.

    Args:
        equations: `states, *inputs, *rest -> states`, for one step.
        inputs: sequences; each step adds to the last of them the product of the output before. On CPU a step is slow
            that takes several slices of one: they are better sequences of their own.
        bias: if there is one, that product is added to it instead, and is one more input.
        states: the first ones.
        weight: what the output of the step before is multiplied with.
        rest: more arrays for the equations.
        valid_length: as for `scan_body`.
        directions: a sequence whose tangent is added to that of the product; its values are not.
    """
    wide = [array.astype(at_least_float32(array.dtype)) for array in rest]  # sums of gradients, too

    def step(inputs: tuple[Sequence[jax.Array], Any], states: States) -> list[jax.Array]:
        (*others, last), direction = inputs if bias is None else ((*inputs[0], bias[None]), inputs[1])
        narrow = [array.astype(like.dtype) for array, like in zip(wide, rest, strict=True)]
        product = _times(states[0], weight)
        product = product if direction is None else _with_tangent(product, direction)
        return equations(states, *others, last + product, *narrow)

    return scan_steps(lax.scan, step, (tuple(inputs), directions), states, valid_length)


@jax.custom_jvp
def _with_tangent(x: jax.Array, direction: jax.Array) -> jax.Array:
    """`x`, whose tangent is the sum of both."""
    return x


@_with_tangent.defjvp
def _sum_of_tangents(primals: Any, tangents: Any) -> Any:
    return primals[0], tangents[0] + tangents[1]


# `plain_recur`, with a faster gradient of the weight.
recur: jax.custom_jvp[tuple[jax.Array, list[jax.Array]]] = jax.custom_jvp(plain_recur, nondiff_argnums=(0,))


@recur.defjvp
def _recur_jvp(equations: Callable[..., list[jax.Array]], primals: Any, tangents: Any) -> Any:
    """The weight's part is one product over all steps, not a sum with a product a step: gradients take less time.

    What the equations compute within a step is computed again rather than kept: memory costs more time than that.
    """
    inputs, bias, states, weight, rest, valid_length, _ = primals
    inputs_tangent, bias_tangent, states_tangent, weight_tangent, rest_tangent, *_ = tangents
    shape, directions = (*inputs[0].shape[:2], weight.shape[0]), None
    if bias is not None:
        directions = placed_like(jnp.zeros(shape, bias.dtype), inputs[0], axis=1)

    def with_this_weight(inputs: Any, states: Any, rest: Any, directions: Any) -> Any:
        return plain_recur(recomputed, inputs, bias, states, weight, rest, valid_length, directions)

    recomputed = jax.checkpoint(equations, prevent_cse=False)  # a scan needs no such prevention
    (outputs, last), push = jax.linearize(with_this_weight, tuple(inputs), states, rest, directions)
    before = jnp.concatenate([placed_like(states[0], outputs)[None], outputs[:-1]])
    *others, tangent = inputs_tangent
    by_weight = _times(before, weight_tangent)
    if bias is None:
        return (outputs, last), push((*others, tangent + by_weight), states_tangent, rest_tangent, None)
    by_weight += broadcast(bias_tangent[None, None], shape)
    return (outputs, last), push(tuple(inputs_tangent), states_tangent, rest_tangent, by_weight)


def one_direction(
    equations: Callable[..., list[jax.Array]],
    step_inputs: Callable[[jax.Array, jax.Array], tuple[list[jax.Array], jax.Array | None]],
    xs: jax.Array,
    states: States,
    weights: Sequence[jax.Array],
    rest: Sequence[jax.Array] = (),
    *,
    lengths: jax.Array | None,
    backwards: bool,
) -> tuple[jax.Array, list[jax.Array]]:
    """One layer in one direction: the outputs and the last states. The inputs' products are computed before the scan.

    Args:
        equations: as for `recur`.
        step_inputs: of these products and h2h_bias: the sequences and the bias that `recur` takes; see `summed`.
        xs: the sequence, which is 0 beyond the lengths.
        states: the first ones.
        weights: i2h_weight, h2h_weight, i2h_bias, h2h_bias.
        rest: more arrays for the equations.
        lengths: the valid steps of each example; None if all are.
        backwards: from the last valid step to the first; outputs are in the order of the steps all the same.
    """
    i2h_weight, h2h_weight, i2h_bias, h2h_bias = weights
    xs = reverse(xs, lengths) if backwards else xs
    sequences, bias = step_inputs(add_bias(xs @ i2h_weight.T, i2h_bias), h2h_bias)
    outputs, after = recur(equations, sequences, bias, states, h2h_weight, rest, lengths)
    return reverse(outputs, lengths) if backwards else outputs, after


def summed(i2h: jax.Array, h2h_bias: jax.Array) -> tuple[list[jax.Array], jax.Array | None]:
    """The sequence with both biases, and no bias for `recur`."""
    return [add_bias(i2h, h2h_bias)], None


def _times(x: jax.Array, weight: jax.Array) -> jax.Array:
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def zero_invalid(xs: jax.Array, valid_length: jax.Array | None) -> jax.Array:
    """A sequence with zeros from each example's valid length on."""
    if valid_length is None:
        return xs
    valid = jnp.arange(xs.shape[0])[:, None] < valid_length[None]
    return jnp.where(jnp.expand_dims(valid, range(2, xs.ndim)), xs, jnp.zeros((), xs.dtype))


def reverse(xs: jax.Array, valid_length: jax.Array | None = None) -> jax.Array:
    """A sequence from its last valid step to its first; what is beyond the valid length stays where it is."""
    if valid_length is None:
        return jnp.flip(xs, 0)
    steps = xs.shape[0]
    number, length = jnp.arange(steps)[:, None], valid_length[None].astype(int)
    source = jnp.where(number < length, jnp.minimum(length, steps) - 1 - number, number)
    return jnp.take_along_axis(xs, jnp.expand_dims(source, range(2, xs.ndim)), 0)
