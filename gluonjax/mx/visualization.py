"""`mx.viz`: a symbol as a table, or as a drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gluonjax.errors import ArgumentError, MissingExtraError, ShapeError
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.graph import Node
from gluonjax.mx.symbol import Symbol

Shapes = Mapping[str, Sequence[int]]
_HIDDEN = (
    '_weight', '_bias', '_beta', '_gamma', '_moving_var', '_moving_mean', '_running_var', '_running_mean',
)  # fmt: skip
_POSITIONS = (0.44, 0.64, 0.74, 1.0)
_COLORS = {
    'Convolution': '#fb8072', 'FullyConnected': '#fb8072', 'BatchNorm': '#bebada', 'Activation': '#ffffb3',
    'LeakyReLU': '#ffffb3', 'Pooling': '#80b1d3', 'Concat': '#fdb462', 'Flatten': '#fdb462', 'Reshape': '#fdb462',
}  # fmt: skip


def _known_shapes(symbol: Symbol, shape: Shapes | None) -> dict[str, tuple[int, ...]]:
    """The shapes of all outputs inside by name; none, if none is given."""
    if not isinstance(symbol, Symbol):
        raise ArgumentError(f'this takes a Symbol, got {type(symbol).__name__}', remedy='net(mx.sym.var("data"))')
    if shape is None:
        return {}
    inside = symbol.get_internals()
    _, outputs, _ = inside.infer_shape(**shape)
    if outputs is None:
        raise ShapeError('these shapes do not decide all', got=dict(shape), remedy='give the shape of every input')
    return dict(zip(inside.list_outputs(), outputs, strict=True))


def _shape_of(node: Node, shapes: Mapping[str, tuple[int, ...]], index: int = 0) -> tuple[int, ...]:
    """The shape of an output without the axis of samples."""
    return shapes.get(node.output_names[index], ())[1:]


def print_summary(
    symbol: Symbol,
    shape: Shapes | None = None,
    line_length: int = 120,
    positions: Sequence[float] = _POSITIONS,
) -> None:
    """Prints a table of the nodes: their shapes, how many parameters they have, what is before them.

    Args:
        symbol: the network.
        shape: the shapes of inputs by name; without them, sizes and most numbers are missing.
        line_length: how many characters a line has.
        positions: where columns end, as parts of a line or in characters.

    >>> import gluonjax.mx as mx
    >>> net = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=3, name='fc')
    >>> print_summary(net, {'data': (1, 4)}, 60)
    ____________________________________________________________
    Layer (type)              Output ShapeParam Previous Layer
    ============================================================
    data(null)                4           0
    ____________________________________________________________
    fc(FullyConnected)        3           15    data
    ============================================================
    Total params: 15
    ____________________________________________________________
    """
    shapes = _known_shapes(symbol, shape)
    ends = [int(line_length * p) for p in positions] if positions[-1] <= 1 else [int(p) for p in positions]
    nodes, heads = symbol.nodes, {entry.node for entry in symbol.heads}
    print('_' * line_length)
    _print_row(('Layer (type)', 'Output Shape', 'Param #', 'Previous Layer'), ends)
    print('=' * line_length)
    total = 0
    for number, node in enumerate(nodes):
        if node.is_variable and number > 0:
            continue
        shown = [e for e in node.inputs if not e.node.is_variable or e.node in heads or e.node is nodes[0]]
        width = sum(_shape_of(e.node, shapes, e.index)[0] for e in shown if _shape_of(e.node, shapes, e.index))
        count = _parameters(node, width, shapes)
        total += count
        names = [entry.node.name for entry in shown] or ['']
        sizes = 'x'.join(map(str, _shape_of(node, shapes)))
        _print_row((f'{node.name}({node.op or "null"})', sizes, count, names[0]), ends)
        for name in names[1:]:
            _print_row(('', '', '', name), ends)
        print(('=' if number == len(nodes) - 1 else '_') * line_length)
    print(f'Total params: {total}')
    print('_' * line_length)


def _print_row(fields: Sequence[object], ends: Sequence[int]) -> None:
    line = ''
    for field, end in zip(fields, ends, strict=True):
        line = f'{line}{field}'[:end].ljust(end)
    print(line)


def _parameters(node: Node, width: int, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many parameters an operator has, for inputs of this many channels."""
    given = {} if node.is_variable else node.parsed
    if node.op == 'Convolution':
        weights = width * given['num_filter'] // given['num_group'] * math.prod(given['kernel'])
        return weights + (0 if given['no_bias'] else given['num_filter'])
    if node.op == 'FullyConnected':
        return (width + (0 if given['no_bias'] else 1)) * given['num_hidden']
    if node.op == 'BatchNorm':
        return 2 * _shape_of(node, shapes)[0] if _shape_of(node, shapes) else 0
    return given['input_dim'] * given['output_dim'] if node.op == 'Embedding' else 0


def plot_network(
    symbol: Symbol,
    title: str = 'plot',
    save_format: str = 'pdf',
    shape: Shapes | None = None,
    dtype: Any = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Any:
    """A drawing of the network, a `graphviz.Digraph`.

    Args:
        symbol: the network.
        title: its title, and the name of its file.
        save_format: the format of its file.
        shape: the shapes of inputs by name, if edges show shapes.
        dtype: the dtypes of inputs by name, if edges show dtypes.
        node_attrs: attributes of nodes, for graphviz.
        hide_weights: whether parameters are left out.

    Raises:
        MissingExtraError: without graphviz.
    """
    try:
        import graphviz  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtraError('networks are drawn by graphviz', remedy='pip install graphviz') from None
    shapes = _known_shapes(symbol, shape)
    attributes = {'shape': 'box', 'fixedsize': 'true', 'width': '1.3', 'height': '0.8034', 'style': 'filled'}
    attributes |= node_attrs or {}
    graph = graphviz.Digraph(name=title, format=save_format)
    weights = {node for node in symbol.nodes if node.is_variable and node.name.endswith(_HIDDEN)}
    for node in symbol.nodes:
        if node.is_variable and node not in weights:
            graph.node(name=node.name, label=node.name, **(attributes | {'shape': 'oval', 'fillcolor': '#8dd3c7'}))
        elif not node.is_variable:
            color = _COLORS.get(str(node.op), '#fccde5')
            graph.node(name=node.name, label=_label(node), **(attributes | {'fillcolor': color}))
        elif not hide_weights:
            graph.node(name=node.name)
    inside = symbol.get_internals()
    dtypes = {} if dtype is None else dict(zip(inside.list_outputs(), inside.infer_type(**dtype)[1], strict=True))
    for node, source, label in _edges(symbol, shapes, dtypes):
        if not (hide_weights and source in weights):
            graph.edge(tail_name=node.name, head_name=source.name, dir='back', arrowtail='open', label=label)
    return graph


def _edges(symbol: Symbol, shapes: Mapping[str, Any], dtypes: Mapping[str, Any]) -> Iterator[tuple[Node, Node, str]]:
    for node in symbol.nodes:
        for source, index in node.inputs:
            label = 'x'.join(map(str, _shape_of(source, shapes, index)))
            kind = dtypes.get(source.output_names[index])
            yield node, source, label if kind is None else f'{label}({kind})'


def _label(node: Node) -> str:
    def sizes(key: str) -> str:
        return 'x'.join(re.findall(r'\d+', node.attributes.get(key, ''))) or '1'

    given = node.attributes
    details = {
        'Convolution': lambda: f'{sizes("kernel")}/{sizes("stride")}, {given["num_filter"]}',
        'FullyConnected': lambda: given['num_hidden'],
        'Activation': lambda: given['act_type'],
        'LeakyReLU': lambda: given.get('act_type', 'Leaky'),
        'Pooling': lambda: f'{given.get("pool_type", "max")}, {sizes("kernel")}/{sizes("stride")}',
    }
    return f'{node.op}\n{details[str(node.op)]()}' if node.op in details else node.name


explain_calls(globals())
