"""Graphs inside of nodes: what a loop or a branch computes, cut out of the graph that it was built in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from gluonjax.errors import ArgumentError
from gluonjax.mx.graph import Entry, Node, ordered

KEY = '__subgraph_name__'  # the attribute of nodes that were made in the body of a loop or a branch


class Subgraph(NamedTuple):
    """A graph of its own: its outputs, and for each of its variables, in order, what it stands for outside."""

    heads: list[Entry]
    sources: list[Entry]


def cut(heads: Sequence[Entry], name: str, variables: Collection[Node] = ()) -> Subgraph:
    """The part of a graph that was made under this name, or that depends on these variables.

    What it takes from outside becomes a variable.

    Args:
        heads: the outputs.
        name: what nodes say under `KEY` that were made in the body.
        variables: of the loop; they stand for themselves.
    """
    nodes, inside = ordered(heads), set(variables)
    copies = {node: node for node in variables}
    outer: dict[Entry, Node] = {}

    def moved(entry: Entry) -> Entry:
        if entry.node in copies:
            return Entry(copies[entry.node], entry.index)
        if entry not in outer:
            suffix = '' if entry.node.is_variable else f'-{entry.index}'
            outer[entry] = Node(None, f'{entry.node.name}{suffix}', entry.node.attributes if not suffix else {})
        return Entry(outer[entry])

    for node in nodes:
        made_here = node.attributes.get(KEY) == name or any(entry.node in inside for entry in node.inputs)
        if not node.is_variable and made_here:
            inside.add(node)
            copies[node] = Node(node.op, node.name, node.attributes, [moved(e) for e in node.inputs], node.subgraphs)
    found = _apart([moved(head) for head in heads])
    sources = {variable: entry for entry, variable in outer.items()} | {node: Entry(node) for node in variables}
    return Subgraph(found, [sources[node] for node in ordered(found) if node.is_variable])


def _apart(heads: Sequence[Entry]) -> list[Entry]:
    """Outputs of which none is a variable or there twice, as MXNet has them."""
    found: list[Entry] = []
    for head in heads:
        if head.node.is_variable or head in found:
            head = Entry(Node('_copy', f'{head.node.name}_copy{len(found)}', {}, [head]))
        found.append(head)
    return found


def _places(subgraph: Subgraph, variables: Sequence[Node], what: str) -> list[int]:
    """Where the variables of a loop are among those of a subgraph.

    Raises:
        ArgumentError: for one that is not used, which MXNet refuses.
    """
    order = [entry.node for entry in subgraph.sources]
    if unused := [i for i, node in enumerate(variables) if node not in order]:
        raise ArgumentError(f'the body must use all {what}', got=f'{what} {unused[0]} unused')
    return [order.index(node) for node in variables]


def foreach(
    name: str, subgraph: Subgraph, slices: Mapping[Node, Entry], states: Mapping[Node, Entry], outputs: int
) -> Node:
    """A `_foreach` node.

    Args:
        name: of the node.
        subgraph: its heads are the outputs of a step, and then the next states.
        slices: the variable of each slice, and what is sliced.
        states: the variable of each state, and what it begins as.
        outputs: how many of the heads are outputs.
    """
    of_slices, of_states = (_places(subgraph, [*of], what) for of, what in ((slices, 'data'), (states, 'states')))
    rest = [i for i in range(len(subgraph.sources)) if i not in {*of_slices, *of_states}]
    inputs = [*slices.values(), *states.values(), *(subgraph.sources[i] for i in rest)]
    attributes = {'num_args': len(inputs) + 1, 'num_outputs': len(subgraph.heads), 'num_out_data': outputs}
    attributes |= {'in_data_locs': of_slices, 'in_state_locs': of_states, 'remain_locs': rest}
    return Node('_foreach', name, attributes, inputs, [subgraph.heads])


def while_loop(
    name: str, condition: Subgraph, body: Subgraph, variables: Mapping[Node, Entry], outputs: int, most: int
) -> Node:
    """A `_while_loop` node.

    Args:
        name: of the node.
        condition: its one head says whether a step is made.
        body: its heads are the outputs of a step, and then the next variables.
        variables: the variable of each state, and what it begins as.
        outputs: how many of the heads are outputs.
        most: the number of steps that there may be.
    """
    of_variables = _places(body, [*variables], 'loop variables')
    inputs, locations = _joined([condition, body], variables)
    attributes: dict[str, Any] = dict(zip(('cond_input_locs', 'func_input_locs'), locations, strict=True))
    attributes |= {'func_var_locs': of_variables, 'max_iterations': most, 'num_args': len(inputs) + 2}
    attributes |= {'num_outputs': len(body.heads), 'num_out_data': outputs}
    return Node('_while_loop', name, attributes, inputs, [condition.heads, body.heads])


def cond(name: str, condition: Subgraph, then: Subgraph, otherwise: Subgraph) -> Node:
    """A `_cond` node.

    Raises:
        ArgumentError: if the branches give different numbers of outputs.
    """
    if len(then.heads) != len(otherwise.heads):
        counts = f'{len(then.heads)} and {len(otherwise.heads)}'
        raise ArgumentError('both branches must give as many outputs', got=counts)
    parts = condition, then, otherwise
    inputs, locations = _joined(parts, {})
    attributes: dict[str, Any] = dict(
        zip(('cond_input_locs', 'then_input_locs', 'else_input_locs'), locations, strict=True)
    )
    attributes |= {'num_args': len(inputs) + 3, 'num_outputs': len(then.heads)}
    return Node('_cond', name, attributes, inputs, [part.heads for part in parts])


def whole(name: str, heads: Sequence[Entry], inputs: Mapping[str, Entry]) -> Node:
    """A `_CachedOp` node: a graph as one operator.

    Args:
        name: of the node.
        heads: the outputs of the graph.
        inputs: what stands for variables, by name; all others stand for themselves.
    """
    heads = _apart(heads)
    variables = [node for node in ordered(heads) if node.is_variable]
    given = [inputs.get(node.name) or Entry(Node(None, node.name, node.attributes)) for node in variables]
    return Node('_CachedOp', name, {'num_args': len(given), 'num_outputs': len(heads)}, given, [heads])


def _joined(parts: Sequence[Subgraph], variables: Mapping[Node, Entry]) -> tuple[list[Entry], list[list[int]]]:
    """The inputs of a node with several subgraphs, and for each which of them its variables are."""
    keys = list(dict.fromkeys([*map(Entry, variables), *(entry for part in parts for entry in part.sources)]))
    inputs = [variables.get(entry.node, entry) for entry in keys]
    return inputs, [[keys.index(entry) for entry in part.sources] for part in parts]
