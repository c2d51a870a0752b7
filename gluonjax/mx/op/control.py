"""Control flow: operators that run graphs of their own."""

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
    names = ('cond_input_locs', 'func_input_locs') if op == '_while_loop' else (
        'cond_input_locs', 'then_input_locs', 'else_input_locs'
    )  # fmt: skip
    return [[(place, False) for place in attributes[name]] for name in names]


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

    def step(states: Any, xs: Any) -> Any:
        given = dict(zip(places, (*xs, *states, *rest), strict=True))
        outputs = body([given[i] for i in range(len(given))])
        return tuple(outputs[num_out_data:]), tuple(outputs[:num_out_data])

    last, stacked = lax.scan(step, tuple(states), tuple(slices))
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

    def current(values: Any) -> dict[int, jax.Array]:
        return {**dict(enumerate(data)), **dict(zip(variables, values, strict=True))}

    def run(values: Any) -> Any:
        now = current(values)
        outputs = body([now[place] for place in func_input_locs])
        return tuple(outputs[num_out_data:]), tuple(outputs[:num_out_data])

    first = tuple(data[place] for place in variables)
    nothing = jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), jax.eval_shape(run, first)[1])

    def step(state: Any, _: None) -> Any:
        alive, values = state
        now = current(values)
        alive = alive & (condition([now[place] for place in cond_input_locs])[0].reshape(()) != 0)
        values, outputs = lax.cond(alive, run, lambda values: (values, nothing), values)
        return (alive, values), outputs

    (_, last), stacked = lax.scan(step, (jnp.array(True), first), None, max_iterations)
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
