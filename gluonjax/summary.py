"""Tables of networks: the summary of their layers, and the plan of their parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from gluonjax.arrays import admit, split
from gluonjax.block import Block, structure_of
from gluonjax.layer import Layer, declarations_of, infer_shapes, layers_of, leaves_of
from gluonjax.param import Leaf
from gluonjax.run import Run, forward_class
from gluonjax.shapes import shapes_text
from gluonjax.tables import constructor_call, table
from gluonjax.tree import Path, items_of


def of_layer(layer: Layer, *inputs: Any, **named: Any) -> str:
    """A table of the layers that ran, their output shapes, and how many numbers each holds; tied ones once.

    Without inputs it has the layers that hold parameters, whose shapes must be known.

    >>> from gluonjax import nn
    >>> print(nn.Dense(3, in_units=2).summary())
    layer    output shape  parameters
    -------  ------------  ----------
    (Dense)                         9
    parameters: 9; trainable: 9; other: 0
    """
    return _summary(layer, inputs, named)


def of_network(net: Block, *inputs: Any, **named: Any) -> None:
    """Prints a table of the layers, their output shapes and parameter counts; tied parameters count once.

    Without inputs, on an initialized network, it has the layers that hold parameters.
    """
    known = {leaf.name: parameter.shape for leaf, parameter in structure_of(net).entries}
    print(_summary(net.definition, inputs, named, known))


def constructor_calls(layer: Layer) -> str:
    """The call that makes a layer, and below it those of its children."""
    children = [('.'.join(path), item) for path, item in items_of(vars(layer)) if isinstance(item, Layer)]
    call = constructor_call(layer, forward_class(layer), {name.partition('.')[0] for name, _ in children})
    lines = [f'({name}): {child!r}'.replace('\n', '\n  ') for name, child in children]
    return '\n  '.join([call[:-1], *lines]) + '\n)' if lines else call


def _summary(
    definition: Layer, inputs: Sequence[Any], named: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> str:
    shapes, calls = infer_shapes(definition, inputs, named, known), []
    arrays, static = split(admit((tuple(inputs), dict(named))))

    def forward(arrays: Any) -> None:
        run = Run(declarations_of(definition), None, dict(shapes))
        run(definition, *static.join(arrays))
        calls.extend((call.path, call.kind, shapes_text(call.output), call.leaf) for call in run.history)

    if inputs or named:
        jax.eval_shape(forward, arrays)
    else:
        calls += [(path, forward_class(layer).__name__, '', False) for path, layer in layers_of(definition)]
    return _table(leaves_of(definition), calls, shapes)


def _table(leaves: Sequence[Leaf], calls: Iterable[tuple[Path, str, str, bool]], shapes: Mapping[str, Any]) -> str:
    rows, seen = [], set()
    for path, kind, output, is_leaf in calls:
        names = ((leaf, name.split('.')[:-1]) for leaf in leaves for name in leaf.names)
        held = [leaf for leaf, layer in names if tuple(layer) == path]
        count = sum(math.prod(shapes[leaf.name]) for leaf in held if leaf.name not in seen)
        seen |= {leaf.name for leaf in held}
        if is_leaf or held:
            rows.append([f'{".".join(path)} ({kind})'.strip(), output, count])
    counts = [(math.prod(shapes[leaf.name]), leaf.param.trainable) for leaf in leaves]
    total, trained = sum(c for c, _ in counts), sum(c for c, t in counts if t)
    return table(
        ['layer', 'output shape', 'parameters'],
        rows,
        f'parameters: {total:,}; trainable: {trained:,}; other: {total - trained:,}',
    )
