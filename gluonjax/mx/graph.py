"""Graphs of operators: nodes and their order, and MXNet's JSON of every age."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS, Operator, find
from gluonjax.mx.op.attributes import as_text
from gluonjax.mx.op.missing import why_missing

VERSION = 10901  # of MXNet, whose JSON is written
DTYPE_CODES = ('float32', 'float64', 'float16', 'uint8', 'int32', 'int8', 'int64', 'bool')

STORAGE_CODES = {'undefined': -1, 'default': 0, 'row_sparse': 1, 'csr': 2}


class Entry(NamedTuple):
    """One output of a node."""

    node: Node
    index: int = 0


class Node:
    """A variable, or an operator with its inputs.

    Args:
        op: the operator's name; None for a variable.
        name: the name, not always unique.
        attributes: MXNet's strings, with those that begin with two underscores and are of no operator.
        inputs: what it takes.
        subgraphs: the heads of each graph inside, for control flow.
    """

    def __init__(
        self,
        op: str | None,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        inputs: Sequence[Entry] = (),
        subgraphs: Sequence[Sequence[Entry]] = (),
    ):
        self.op: str | None = op
        self.name: str = name
        self.attributes: dict[str, str] = {key: as_text(value) for key, value in (attributes or {}).items()}
        self.inputs: list[Entry] = list(inputs)
        self.subgraphs: tuple[tuple[Entry, ...], ...] = tuple(map(tuple, subgraphs))

    @property
    def is_variable(self) -> bool:
        """Whether it is an input of the graph."""
        return self.op is None

    @functools.cached_property
    def operator(self) -> Operator:
        """The operator.

        Raises:
            ArgumentError: if there is none of this name.
        """
        return find(str(self.op))

    @functools.cached_property
    def parsed(self) -> dict[str, Any]:
        """Its attributes; of an operator that has none MXNet reads none, whatever a file says."""
        return self.operator.parse(self.attributes if self.operator.annotations else {}, self.described)

    @property
    def described(self) -> str:
        """How an error calls it."""
        return f'{self.op} {self.name!r}'

    @functools.cached_property
    def input_names(self) -> tuple[str, ...]:
        """What the operator calls its inputs."""
        return self.operator.inputs_for(self.parsed, len(self.inputs))

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """What its outputs are called; a variable has its own name."""
        if self.is_variable:
            return (self.name,)
        return tuple(f'{self.name}_{output}' for output in self.operator.outputs_for(self.parsed))

    def auxiliary_inputs(self) -> Iterator[Entry]:
        """The inputs that are auxiliary states."""
        if not self.is_variable and self.operator.auxiliary:
            for name, entry in zip(self.input_names, self.inputs, strict=False):
                if name in self.operator.auxiliary:
                    yield entry

    def __repr__(self) -> str:
        return f'<{self.described if self.op else f"variable {self.name!r}"}>'


def ordered(heads: Iterable[Entry]) -> list[Node]:
    """The nodes that these outputs need, each behind its inputs."""
    order: dict[Node, None] = {}
    ahead = [(entry.node, False) for entry in reversed(list(heads))]
    while ahead:
        node, inputs_done = ahead.pop()
        if node in order:
            continue
        if inputs_done:
            order[node] = None
        else:
            ahead.append((node, True))
            ahead += [(entry.node, False) for entry in reversed(node.inputs) if entry.node not in order]
    return list(order)


def auxiliary_of(nodes: Iterable[Node]) -> set[Node]:
    """The variables that are auxiliary states."""
    return {entry.node for node in nodes for entry in node.auxiliary_inputs() if entry.node.is_variable}


def unknown_operators(nodes: Iterable[Node]) -> list[Node]:
    """The nodes whose operator is not in the table, those of subgraphs among them."""
    unknown = []
    for node in nodes:
        if node.op is not None and node.op not in OPERATORS:
            unknown.append(node)
        for heads in node.subgraphs:
            unknown += unknown_operators(ordered(heads))
    return unknown


def check_known(nodes: Iterable[Node]) -> None:
    """Refuses a graph with operators that are not in the table, or attributes that cannot be.

    Raises:
        ArgumentError: naming each operator and its node.
    """
    nodes = list(nodes)
    if unknown := unknown_operators(nodes):
        reasons = {node.described: why_missing(str(node.op)) for node in unknown}
        listed = ', '.join(f'{node} ({why})' if why else node for node, why in sorted(reasons.items()))
        raise ArgumentError(
            f'this graph has operators that gluonjax does not know: {listed}',
            remedy='cut the graph before them: sym.get_internals()[NAME], or write an entry with mx.op.operator',
        )
    for node in nodes:
        if not node.is_variable:
            _ = node.parsed


# JSON.


def parse_json(text: str | bytes) -> tuple[list[Entry], bool]:
    """The heads of a graph in MXNet's JSON, and whether it was made with NumPy's shapes.

    Raises:
        ArgumentError: if it is no such JSON.
    """
    try:
        graph = json.loads(text)
        version = int(graph.get('attrs', {}).get('mxnet_version', ('int', 800))[1])
        np_shape = bool(graph.get('attrs', {}).get('is_np_shape', ('int', 0))[1])
        return _heads_of(graph, version), np_shape
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(
            'this is no graph of MXNet',
            expected='the JSON of a -symbol.json file',
            got=f'{type(error).__name__}: {error}',
        ) from error


def _heads_of(graph: Mapping[str, Any], version: int) -> list[Entry]:
    nodes: list[Node] = []
    for item in graph['nodes']:
        if not isinstance(item['name'], str) or not isinstance(item['op'], str):
            raise TypeError(f'a node has the name {item["name"]!r} and the operator {item["op"]!r}')
        op = None if item['op'] == 'null' else item['op']
        inputs = [_entry(nodes, *which) for which in item['inputs']]
        subgraphs = [_heads_of(inner, version) for inner in item.get('subgraphs', ())]
        node = Node(op, item['name'], _attributes_of(item, op), inputs, subgraphs)
        if op in OPERATORS:
            _upgrade(node, version)
        nodes.append(node)
    return [_entry(nodes, *which) for which in graph['heads']]


def _entry(nodes: Sequence[Node], number: int, index: int, *_: Any) -> Entry:
    if (
        type(number) is not int
        or type(index) is not int
        or min(number, index) < 0
        or (index and nodes[number].is_variable)
    ):
        raise IndexError(f'output {index} of node {number} is taken')
    return Entry(nodes[number], index)


def _attributes_of(item: Mapping[str, Any], op: str | None) -> dict[str, str]:
    """Of a node: `attrs`; before 1.0 `attr`; before 0.9 `param`, and in `attr` what is of no operator."""
    known = OPERATORS[op].annotations if op is not None and op in OPERATORS else {}
    merged = {**item.get('attr', {}), **item.get('param', {}), **item.get('attrs', {})}
    # Hints to engines and optimizers had no underscores once.
    return {
        key if key.startswith('__') or not _is_hint(key) or key in known else f'__{key}__': value
        for key, value in merged.items()
    }


_HINTS = ('ctx_group', 'lr_mult', 'wd_mult', 'force_mirroring', 'mirror_stage')


def _is_hint(key: str) -> bool:
    return key.endswith(_HINTS)


def _upgrade(node: Node, version: int) -> None:
    """Makes of a node of an older MXNet what 1.9.1 makes of it."""
    if version < 905 and node.op in ('argmax', 'argmin') and node.attributes.get('axis') == '-1':
        del node.attributes['axis']  # meant the flattened array
    names = node.operator.inputs if node.operator.auxiliary else ()
    for name in names[len(node.inputs) :]:  # before 0.9 auxiliary states were not among the nodes
        node.inputs.append(Entry(Node(None, f'{node.name}_{name}', _hints_of(node))))


def _hints_of(node: Node) -> dict[str, str]:
    return {key: value for key, value in node.attributes.items() if key.startswith('__')}


def to_json(heads: Sequence[Entry], np_shape: bool = False) -> str:
    """The graph as MXNet 1.9.1 writes it."""
    graph = _graph_of(heads)
    graph['attrs'] = {'mxnet_version': ['int', VERSION], **({'is_np_shape': ['int', 1]} if np_shape else {})}
    return json.dumps(graph, indent=2)


def _graph_of(heads: Sequence[Entry]) -> dict[str, Any]:
    nodes = ordered(heads)
    numbers = {node: number for number, node in enumerate(nodes)}
    auxiliary = auxiliary_of(nodes)
    items, rows = [], [0]
    for node in nodes:
        inputs = [[numbers[entry.node], entry.index, int(entry.node in auxiliary)] for entry in node.inputs]
        item: dict[str, Any] = {'op': node.op or 'null', 'name': node.name}
        if node.attributes:
            item['attrs'] = dict(sorted(node.attributes.items()))
        item['inputs'] = inputs
        if node.subgraphs:
            item['subgraphs'] = [_graph_of(inner) for inner in node.subgraphs]
        items.append(item)
        rows.append(rows[-1] + len(node.output_names))
    return {
        'nodes': items,
        'arg_nodes': [numbers[node] for node in nodes if node.is_variable],
        'node_row_ptr': rows,
        'heads': [[numbers[entry.node], entry.index, 0] for entry in heads],
    }
