"""Graphs, computed: one pass over the nodes in their order, with arrays of JAX or under one of its transformations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx.graph import Entry, Node, ordered
from gluonjax.mx.op import Pass


class Results(NamedTuple):
    """What a pass gives: the outputs, and the new values of auxiliary states by name."""

    outputs: list[jax.Array]
    updates: dict[str, jax.Array]


def evaluate(
    heads: Sequence[Entry],
    values: Mapping[str, Any],
    training: bool = False,
    next_key: Callable[[], jax.Array] | None = None,
    shapes: Mapping[Node, Sequence[Any]] | None = None,
) -> Results:
    """Computes outputs of a graph.

    A label without a value is missing: a loss head does without, and what else needs it is not computed.

    Args:
        heads: the outputs.
        values: the arrays of variables by name.
        training: whether it is a pass of training.
        next_key: gives a new random key.
        shapes: of the outputs of nodes, where attributes leave them open.

    Raises:
        ArgumentError: if an output needs a variable that has no value.
    """
    results: dict[Node, Sequence[Any]] = {}
    updates: dict[str, jax.Array] = {}
    for node in ordered(heads):
        if node.is_variable:
            results[node] = [updates.get(node.name, values.get(node.name))]
            continue
        inputs = [results[entry.node][entry.index] for entry in node.inputs]
        if _lacks_input(node, inputs):
            results[node] = [None] * len(node.output_names)
            continue
        here = Pass(training, next_key, tuple((shapes or {}).get(node, ())), functions_of(node, training, next_key))
        results[node] = _run(node, inputs, here, updates)
    outputs = [results[entry.node][entry.index] for entry in heads]
    for entry, output in zip(heads, outputs, strict=True):
        if output is None:
            raise _missing(entry, values)
    return Results(outputs, updates)


def _lacks_input(node: Node, inputs: Sequence[Any]) -> bool:
    """Whether an input that it cannot do without is missing."""
    if all(value is not None for value in inputs):
        return False
    names = zip(node.input_names, inputs, strict=False)
    return any(value is None and name not in node.operator.may_be_missing for name, value in names)


def _run(node: Node, inputs: Sequence[Any], pass_: Pass, updates: dict[str, jax.Array]) -> Sequence[Any]:
    try:
        outputs, new = node.operator.run(inputs, node.parsed, pass_)
    except Exception as error:
        shapes = ', '.join(str(getattr(value, 'shape', None)) for value in inputs)
        if isinstance(error, GluonError):
            error.locate(f'in {node.described}, inputs {shapes}')
        elif not getattr(error, '__notes__', None):
            error.add_note(f'in {node.described}, inputs {shapes}')
        raise
    for entry, value, old in zip(node.auxiliary_inputs(), new, inputs[len(inputs) - len(new) :], strict=True):
        if value is not old:
            updates[entry.node.name] = value
    return outputs


def functions_of(
    node: Node, training: bool, next_key: Callable[[], jax.Array] | None
) -> tuple[Callable[..., list[jax.Array]], ...]:
    """The subgraphs of a node of control flow as functions of their variables, in order."""

    def function(heads: Sequence[Entry]) -> Callable[..., list[jax.Array]]:
        names = [variable.name for variable in ordered(heads) if variable.is_variable]

        def run(arrays: Sequence[Any], key: Callable[[], jax.Array] | None = next_key) -> list[jax.Array]:
            return evaluate(heads, dict(zip(names, arrays, strict=True)), training, key).outputs

        return run

    return tuple(function(heads) for heads in node.subgraphs)


def _missing(entry: Entry, values: Mapping[str, Any]) -> ArgumentError:
    lacking = [node.name for node in ordered([entry]) if node.is_variable and values.get(node.name) is None]
    name = entry.node.output_names[entry.index]
    return ArgumentError(
        f'the output {name!r} needs {", ".join(lacking)}, and there is no value',
        remedy=f'name {lacking[0]!r} among the inputs, or leave this output out: sym[...]',
    )
