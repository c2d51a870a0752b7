"""What recurrent layers and cells share: the equations of a step, and steps in a row."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax import checks
from gluonjax.errors import ShapeError

States = list[jax.Array]


def shapes(gates: int, hidden: int, inputs: int | None, output: int) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the parameters of one layer in one direction, by their names in MXNet."""
    return {
        'i2h_weight': (gates * hidden, inputs),
        'h2h_weight': (gates * hidden, output),
        'h2r_weight': (output, hidden),
        'i2h_bias': (gates * hidden,),
        'h2h_bias': (gates * hidden,),
    }


# One step: the products of input and state in, or their sum (`gates`); out the new states, first the output.


def rnn(gates, activation: Callable) -> States:
    """Elman (1990)."""
    return [activation(gates)]


def lstm(
    gates,
    states,
    activation: Callable = jnp.tanh,
    recurrent_activation: Callable = jax.nn.sigmoid,
    axis: int = -1,
    clip: Callable = lambda c: c,
) -> States:
    """Hochreiter and Schmidhuber (1997), with a forget gate; in, forget, cell and out gates in MXNet's order."""
    i, f, g, o = jnp.split(gates, 4, axis)
    c = clip(recurrent_activation(f) * states[1] + recurrent_activation(i) * activation(g))
    return [recurrent_activation(o) * activation(c), c]


def gru(i2h, h2h, states, activation: Callable = jnp.tanh, axis: int = -1) -> States:
    """Cho et al. (2014) as cuDNN has it: the reset gate is applied after the product. Reset, update, new."""
    i2h_r, i2h_z, i2h_n = jnp.split(i2h, 3, axis)
    h2h_r, h2h_z, h2h_n = jnp.split(h2h, 3, axis)
    reset, update = jax.nn.sigmoid(i2h_r + h2h_r), jax.nn.sigmoid(i2h_z + h2h_z)
    return [(1 - update) * activation(i2h_n + reset * h2h_n) + update * states[0]]


def projected(h, weight) -> jax.Array:
    """The projection of an output (Sak et al., 2014)."""
    h, weight = checks.promoted(h, weight)
    return h @ weight.T


# Steps in a row. Sequences have their steps on the first axis and the batch on the second.


def in_a_row(step: Callable, valid_length=None) -> Callable:
    """The body of a scan over (number of the step, x).

    Args:
        step: `x, states, memory -> output, states, memory`.
        valid_length: of each example; from there on it gives zeros and keeps its states.
    """

    def body(carry, item):
        (number, x), (states, memory) = item, carry
        output, new, memory = step(x, states, memory)
        if valid_length is None:
            return (list(new), memory), output
        kept = [held(number, valid_length, after, before) for after, before in zip(new, states, strict=True)]
        return (kept, memory), held(number, valid_length, output, jnp.zeros_like(output))

    return body


def held(number, valid_length, new, old) -> jax.Array:
    """`new` for the examples (first axis) that have a step of this number, `old` for the others."""
    valid = number < valid_length
    return jnp.where(valid.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def run(scan: Callable, step: Callable, xs, states: States, valid_length=None) -> tuple[jax.Array, States]:
    """One scan of `step: x, states -> states`, which keeps dtypes: outputs and the last states."""
    body = in_a_row(lambda x, states, _: ((new := step(x, states))[0], new, None), valid_length)
    numbers = jnp.arange(len(jax.tree.leaves(xs)[0]))
    (states, _), outputs = scan(body, (states, None), (numbers, xs))
    return outputs, states


def plain_recur(equations: Callable, inputs, states: States, weight, rest=(), valid_length=None):
    """One scan of a layer: outputs and the last states.

    Args:
        equations: `states, *inputs, *rest -> states`, for one step.
        inputs: sequences; the last one lacks the products of the outputs before, and may have one step for all.
        states: the first ones.
        weight: what the output of the step before is multiplied with.
        rest: more arrays for the equations.
        valid_length: as for `in_a_row`.
    """
    sequences = [x for x in inputs if len(x) == len(inputs[0])]
    for_all = [x[0] for x in inputs[len(sequences) :]]

    def step(inputs, states):
        *others, last = *inputs, *for_all
        return equations(states, *others, last + _times(states[0], weight), *rest)

    return run(lax.scan, step, sequences, states, valid_length)


recur = jax.custom_jvp(plain_recur, nondiff_argnums=(0,))


@recur.defjvp
def _recur_jvp(equations, primals, tangents):
    """The weight's part is one product over all steps, not a sum with a product a step: gradients take less time."""
    inputs, states, weight, rest, valid_length = primals
    inputs_tangent, states_tangent, weight_tangent, rest_tangent, _ = tangents
    inputs, inputs_tangent = (tuple(jnp.broadcast_arrays(*arrays)) for arrays in (inputs, inputs_tangent))

    def with_this_weight(inputs, states, rest):
        return plain_recur(equations, inputs, states, weight, rest, valid_length)

    (outputs, last), push = jax.linearize(with_this_weight, inputs, states, rest)
    before = jnp.concatenate([states[0][None], outputs[:-1]])
    *others, tangent = inputs_tangent
    return (outputs, last), push((*others, tangent + _times(before, weight_tangent)), states_tangent, rest_tangent)


def _times(x, weight) -> jax.Array:
    return lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))


def masked(outputs, valid_length) -> jax.Array:
    """A sequence with zeros from each example's valid length on."""
    if valid_length is None:
        return outputs
    valid = jnp.arange(len(outputs))[:, None] < valid_length[None]
    return jnp.where(valid.reshape(*valid.shape, *[1] * (outputs.ndim - 2)), outputs, 0)


def backwards(xs, valid_length=None) -> jax.Array:
    """A sequence from its last valid step to its first; what is beyond the valid length stays where it is."""
    if valid_length is None:
        return jnp.flip(xs, 0)
    number, length = jnp.arange(len(xs))[:, None], valid_length[None].astype(int)
    source = jnp.where(number < length, jnp.minimum(length, len(xs)) - 1 - number, number)
    return jnp.take_along_axis(xs, source.reshape(*source.shape, *[1] * (xs.ndim - 2)), 0)


# A layer's states are one array a kind, with a row for each layer and direction.


def per_layer(states: States) -> list[States]:
    """One list of states for each row."""
    return [[state[row] for state in states] for row in range(len(states[0]))]


def per_kind(rows: Sequence[States]) -> States:
    """The arrays again."""
    return [jnp.stack(kind) for kind in zip(*rows, strict=True)]


# What callers give.


def checked_states(given: Any, infos: Sequence[dict[str, Any]]) -> States:
    """The states as a list of arrays of the shapes that `state_info` says; a single array is the only state."""
    states = [given] if hasattr(given, 'shape') else list(given)
    expected, got = [info['shape'] for info in infos], [jnp.shape(state) for state in states]
    if got != expected:
        raise ShapeError(
            'the states have the wrong number or shapes',
            expected=expected,
            got=got,
            remedy='begin_state(batch_size) makes the first ones; later ones are what the last call returned',
        )
    return [jnp.asarray(state) for state in states]


def checked_length(valid_length, batch: int) -> jax.Array | None:
    """The valid lengths, one for each example."""
    if valid_length is None:
        return None
    if jnp.shape(valid_length) != (batch,):
        raise ShapeError('there is one valid length for each sequence', expected=(batch,), got=jnp.shape(valid_length))
    return jnp.asarray(valid_length)
