"""Graphs made from other graphs, node by node: with casts to half precision.

>>> import gluonjax.mx as mx
>>> net = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc')
>>> [node.op for node in in_half_precision(net, 'float16').nodes if node.op]
['amp_cast', 'amp_cast', 'amp_cast', 'FullyConnected']
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from gluonjax.mx.graph import Entry, Node
from gluonjax.mx.symbol import Symbol

Change = Callable[[Node, list[Entry]], Sequence[Entry] | None]  # of a node and its new inputs, to its new outputs


def rewritten(symbol: Symbol, change: Change) -> Symbol:
    """The graph with other nodes.

    Args:
        symbol: the graph.
        change: gives what takes the place of a node's outputs; None keeps the node.
    """
    outputs: dict[Node, Sequence[Entry] | Node] = {}

    def entry_of(entry: Entry) -> Entry:
        found = outputs[entry.node]
        return Entry(found, entry.index) if isinstance(found, Node) else found[entry.index]

    for node in symbol.nodes:
        if node.is_variable:
            outputs[node] = node
        else:
            inputs = [entry_of(entry) for entry in node.inputs]
            changed = change(node, inputs)
            kept = Node(node.op, node.name, node.attributes, inputs, node.subgraphs)
            outputs[node] = kept if changed is None else changed
    return Symbol([entry_of(entry) for entry in symbol.heads], symbol.np_shape)


# Where casts go: lists of operators by name, and of operators with the values of an attribute.
CONDITIONAL: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ('Activation', 'act_type', ('softrelu',)),
    ('LeakyReLU', 'act_type', ('elu', 'selu')),
)


def in_half_precision(
    symbol: Symbol,
    dtype: str,
    low: Collection[str] = ('FullyConnected', 'Convolution', 'Deconvolution', 'RNN'),
    high: Collection[str] = (),
    conditional: Sequence[tuple[str, str, Sequence[str]]] = CONDITIONAL,
    widest: Collection[str] = (),
    excluded: Collection[str] = (),
    uncast: Collection[str] = (),
) -> Symbol:
    """The graph with casts in front of operators; indices and auxiliary states stay as they are.

    Args:
        symbol: the graph.
        dtype: of half precision.
        low: operators that compute in it.
        high: operators that compute in float32.
        conditional: operators that compute in float32 for some values of an attribute.
        widest: operators whose inputs get the widest of their dtypes.
        excluded: names of nodes that stay as they are.
        uncast: names of variables that have the dtype of half precision already.
    """
    casts: dict[tuple[Entry, str], Entry] = {}

    def cast(entry: Entry, wanted: str) -> Entry:
        variable = entry.node.is_variable
        if variable and (entry.node.name in uncast if wanted == dtype else wanted == 'float32'):
            return entry  # it has that dtype
        if (entry, wanted) not in casts:
            name = f'{entry.node.output_names[entry.index]}_amp_cast_{wanted}'
            casts[entry, wanted] = Entry(Node('amp_cast', name, {'dtype': wanted}, [entry]))
        return casts[entry, wanted]

    def is_high(node: Node) -> bool:
        found = (node.attributes.get(key) in values for op, key, values in conditional if op == node.op)
        return node.op in high or any(found)

    def change(node: Node, inputs: list[Entry]) -> Sequence[Entry] | None:
        if node.name in excluded:
            return None
        states = {id(entry) for entry in node.auxiliary_inputs()}
        own = [id(entry) in states for entry in node.inputs]
        if wanted := 'float32' if is_high(node) else dtype if node.op in low else None:
            inputs[:] = [x if state else cast(x, wanted) for x, state in zip(inputs, own, strict=True)]
        elif node.op in widest and len(inputs) > 1:
            together = Node('amp_multicast', f'{node.name}_amp_multicast', {'num_outputs': len(inputs)}, inputs)
            inputs[:] = [Entry(together, i) for i in range(len(inputs))]
        return None

    return rewritten(symbol, change)


def only_used_by(symbol: Symbol, operators: Collection[str], excluded: Collection[str] = ()) -> list[str]:
    """The names of the variables that these operators alone take."""
    users: dict[str, list[Any]] = {}
    for node in symbol.nodes:
        for entry in node.inputs:
            users.setdefault(entry.node.name, []).append(node.op in operators and node.name not in excluded)
    return [node.name for node in symbol.nodes if node.is_variable and all(users.get(node.name, [False]))]
