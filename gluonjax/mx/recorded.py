"""What was recorded on the tape, as a graph."""

from __future__ import annotations

from typing import Any

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.lazy import suggests_keywords
from gluonjax.mx.array import NDArray
from gluonjax.mx.symbol import Symbol, call, var
from gluonjax.mx.tape import Entry, Leaf, Node, Tracked


@suggests_keywords
def get_symbol(x: NDArray) -> Symbol:
    """The graph of the operations that an array was recorded by; what they begin with are its variables.

    Args:
        x: an array on the tape.

    Raises:
        ArgumentError: if it is on no tape, or an operation is none of MXNet's.
        GluonError: if the tape is released.

    >>> from gluonjax.mx import autograd, nd
    >>> x = nd.ones((2,))
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y = nd.exp(x) * x
    >>> get_symbol(y).list_arguments()
    ['var0']
    """
    if x.entry is None:
        raise ArgumentError('the array is on no tape', remedy='compute it under autograd.record()')
    outputs: dict[Node, list[Symbol]] = {}
    constants: dict[int, Symbol] = {}
    for node in _ordered(x.entry.node):
        symbols = [_input(tracked, outputs, constants) for tracked in node.inputs]
        outputs[node] = _made(node, symbols)
    return outputs[x.entry.node][x.entry.index]


def _ordered(last: Node) -> list[Node]:
    """The operations that one needs, each behind its inputs."""
    found, ahead = {last}, [last]
    while ahead:
        for tracked in ahead.pop().inputs:
            if tracked.entry is not None and tracked.entry.node not in found:
                found.add(tracked.entry.node)
                ahead.append(tracked.entry.node)
    return sorted((node for node in found if not isinstance(node, Leaf)), key=lambda node: node.number)


def _input(tracked: Tracked, outputs: dict[Node, list[Symbol]], constants: dict[int, Symbol]) -> Symbol:
    entry: Entry | None = tracked.entry
    if entry is not None and entry.node in outputs:
        return outputs[entry.node][entry.index]
    key = id(tracked.array) if entry is None else id(entry.node)
    return constants.setdefault(key, var(f'var{len(constants)}'))


def _made(node: Node, symbols: list[Symbol]) -> list[Symbol]:
    """The outputs of an operation of these symbols."""
    if node.pull is None:
        raise GluonError(f'the tape of {node.name} is released', remedy='backward(retain_graph=True)')
    origin: Any = None if node.program is None else node.program.origin
    if origin is None:
        raise ArgumentError(f'{node.name} is no operator of MXNet', remedy='operators of mx.nd alone')
    if not isinstance(origin, tuple):
        return list(origin(symbols))
    name, attributes = origin
    if attributes is None:  # of an array and a number
        return [call(name, symbols[0], scalar=float(node.inputs[1].array))]
    return list(call(name, *symbols, **attributes))
