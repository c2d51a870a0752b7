"""Control flow: operators that run graphs of their own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.mx.op.attributes import Shape
from gluonjax.mx.op.table import Pass, operator


def _count(attributes: Any) -> int:
    return attributes['num_outputs']


def subgraph_inputs(op: str, attributes: Any, count: int) -> list[list[tuple[int, bool]]]:
    """For each input of each subgraph: which input of the operator it is, and whether it is a slice of that.

    Args:
        op: the operator.
        attributes: its attributes.
        count: of its inputs.
    """
    if op == '_foreach':
        places = (*attributes['in_data_locs'], *attributes['in_state_locs'], *attributes['remain_locs'])
        slices = len(attributes['in_data_locs'])
        order = sorted(range(count), key=places.__getitem__)
        return [[(i, i < slices) for i in order]]
    if op == '_CachedOp':
        return [[(i, False) for i in range(count)]]
    names = ('cond_input_locs', 'func_input_locs') if op == '_while_loop' else (
        'cond_input_locs', 'then_input_locs', 'else_input_locs'
    )  # fmt: skip
    return [[(place, False) for place in attributes[name]] for name in names]


def _key_of(pass_: Pass, step: jax.Array) -> Callable[[], jax.Array] | None:
    """Gives random keys that differ from step to step."""
    next_key = pass_.next_key
    return None if next_key is None else lambda: jax.random.fold_in(next_key(), step)


@operator('_foreach', outputs=_count)
def foreach(
    *data: jax.Array,
    num_args: int = 0,
    num_outputs: int,
    num_out_data: int,
    in_data_locs: Shape,
    in_state_locs: Shape,
    remain_locs: Shape = (),
    pass_: Pass,
) -> list[jax.Array]:
    """Runs a graph for every slice along the first axis of some inputs; others are states, or stay as they are."""
    (body,) = pass_.subgraphs
    count = len(in_data_locs), len(in_state_locs)
    slices, states, rest = data[: count[0]], data[count[0] : sum(count)], data[sum(count) :]
    places = (*in_data_locs, *in_state_locs, *remain_locs)

    def step(states: Any, numbered: Any) -> Any:
        i, xs = numbered
        given = dict(zip(places, (*xs, *states, *rest), strict=True))
        outputs = body([given[i] for i in range(len(given))], _key_of(pass_, i))
        return tuple(outputs[num_out_data:]), tuple(outputs[:num_out_data])

    last, stacked = lax.scan(step, tuple(states), (jnp.arange(len(slices[0])), tuple(slices)))
    return [*stacked, *last]


@operator('_while_loop', outputs=_count)
def while_loop(
    *data: jax.Array,
    num_args: int = 0,
    num_outputs: int,
    num_out_data: int,
    max_iterations: int,
    cond_input_locs: Shape,
    func_input_locs: Shape,
    func_var_locs: Shape,
    pass_: Pass,
) -> list[jax.Array]:
    """Runs a graph as long as another one gives a number that is not 0; outputs of steps are followed by zeros."""
    condition, body = pass_.subgraphs
    variables = [func_input_locs[place] for place in func_var_locs]  # which inputs change from step to step

    def steps_of(data: tuple[jax.Array, ...]) -> tuple[_Condition, _Step]:
        def current(values: Any) -> dict[int, jax.Array]:
            return {**dict(enumerate(data)), **dict(zip(variables, values, strict=True))}

        def holds(values: Any) -> jax.Array:
            now = current(values)
            return condition([now[place] for place in cond_input_locs])[0].reshape(()) != 0

        def step(i: jax.Array, values: Any) -> Any:
            now = current(values)
            outputs = body([now[place] for place in func_input_locs], _key_of(pass_, i))
            return tuple(outputs[num_out_data:]), tuple(outputs[:num_out_data])

        return holds, step

    @jax.custom_jvp
    def run(data: tuple[jax.Array, ...]) -> list[jax.Array]:
        return _until_it_ends(*steps_of(data), tuple(data[place] for place in variables), max_iterations)

    def differentiated(data: tuple[jax.Array, ...]) -> list[jax.Array]:
        return _all_steps(*steps_of(data), tuple(data[place] for place in variables), max_iterations)

    run.defjvp(lambda primals, tangents: jax.jvp(differentiated, primals, tangents))
    return run(data)


_Condition = Callable[[Any], jax.Array]
_Step = Callable[[jax.Array, Any], Any]  # the number of a step and its variables -> the next variables, outputs


def _nothing(step: _Step, values: Any) -> Any:
    """Zeros as the outputs of a step."""
    outputs = jax.eval_shape(step, jnp.array(0), values)[1]
    return tuple(jnp.zeros(y.shape, y.dtype) for y in outputs)


def _until_it_ends(holds: _Condition, step: _Step, values: Any, most: int) -> list[jax.Array]:
    """As many steps as it takes; it has no gradient by reverse."""
    stacked = tuple(jnp.broadcast_to(y, (most, *y.shape)) for y in _nothing(step, values))

    def goes_on(state: Any) -> jax.Array:
        return (state[0] < most) & holds(state[1])

    def again(state: Any) -> Any:
        i, values, stacked = state
        values, outputs = step(i, values)
        rows = zip(stacked, outputs, strict=True)
        return i + 1, values, tuple(lax.dynamic_update_index_in_dim(rows, y, i, 0) for rows, y in rows)

    _, last, stacked = lax.while_loop(goes_on, again, (jnp.array(0), values, stacked))
    return [*stacked, *last]


def _all_steps(holds: _Condition, step: _Step, values: Any, most: int) -> list[jax.Array]:
    """As many steps as there may be, those behind the end without effect; it has a gradient."""
    nothing = _nothing(step, values)

    def again(state: Any, i: jax.Array) -> Any:
        alive, values = state
        alive = alive & holds(values)
        values, outputs = lax.cond(alive, lambda values: step(i, values), lambda values: (values, nothing), values)
        return (alive, values), outputs

    (_, last), stacked = lax.scan(again, (jnp.array(True), values), jnp.arange(most))
    return [*stacked, *last]


@operator('_cond', outputs=_count)
def cond(
    *data: jax.Array,
    num_args: int = 0,
    num_outputs: int,
    cond_input_locs: Shape,
    then_input_locs: Shape,
    else_input_locs: Shape,
    pass_: Pass,
) -> list[jax.Array]:
    """Runs one of two graphs, as a third one says."""
    condition, then, otherwise = pass_.subgraphs
    holds = condition([data[place] for place in cond_input_locs])[0].reshape(()) != 0
    return lax.cond(
        holds,
        lambda: then([data[place] for place in then_input_locs]),
        lambda: otherwise([data[place] for place in else_input_locs]),
    )


@operator('_CachedOp', outputs=_count)
def cached_op(*data: jax.Array, num_args: int = 0, num_outputs: int = 1, pass_: Pass) -> list[jax.Array]:
    """Runs a graph: what a hybridized block is in the graph of a tape."""
    (body,) = pass_.subgraphs
    return body(list(data))
