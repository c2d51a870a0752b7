"""Graphs that are built from a network: names for nodes, variables for parameters, and the values of variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gluonjax.mx.graph import DTYPE_CODES
from gluonjax.mx.symbol import Symbol, call, var
from gluonjax.tree import Path


class Builder:
    """Makes the nodes of one graph, each under a name of its own.

    Args:
        inputs: the names of the variables that calls give.
        values: the arrays of parameters, by the name of the leaf.
        leaves: the name of the leaf for every name of a parameter; tied parameters have several.

    >>> builder = Builder(('data',), {'0.weight': np.ones((3, 4), 'float32')}, {'0.weight': '0.weight'})
    >>> builder.parameter('0.weight').attr('__shape__')
    '(3, 4)'
    >>> builder.op('FullyConnected', 'fc', builder.inputs[0], builder.parameter('0.weight'), num_hidden=3, no_bias=True)
    <Symbol fc>
    >>> builder.op('relu', 'fc', builder.inputs[0])
    <Symbol fc_1>
    >>> list(builder.values)
    ['0_weight']
    """

    def __init__(self, inputs: tuple[str, ...], values: Mapping[str, Any], leaves: Mapping[str, str]):
        self.values: dict[str, Any] = {}  # of the variables that are no inputs
        self.np_shape: bool = False  # whether a part is a graph that was made with NumPy's shapes
        self._arrays, self._leaves = values, leaves
        self._variables: dict[tuple[str, tuple[int, ...]], Symbol] = {}
        self._taken: set[str] = set()
        self.inputs: list[Symbol] = [var(self._unique(name)) for name in inputs]

    def _unique(self, name: str) -> str:
        """The name, or one with a number behind it if there is a node of this name."""
        number, candidate = 0, name
        while candidate in self._taken:
            number += 1
            candidate = f'{name}_{number}'
        self._taken.add(candidate)
        return candidate

    def op(self, op: str, name: str, *inputs: Symbol, **attributes: Any) -> Symbol:
        """A node."""
        return call(op, *inputs, name=self._unique(name), **attributes)

    def parameter(self, name: str, index: tuple[int, ...] = ()) -> Symbol:
        """The variable of a parameter, given a name of it; of one copy, where copies are stacked."""
        leaf = self._leaves[name]
        if (leaf, index) not in self._variables:
            called = '_'.join([leaf.replace('.', '_'), *map(str, index)])
            self._variables[leaf, index] = self._variable(
                called, self._arrays[leaf][index] if index else self._arrays[leaf]
            )
        return self._variables[leaf, index]

    def constant(self, value: jax.Array | np.ndarray) -> Symbol:
        """A variable for an array that is none of the parameters."""
        return self._variable('constant', value)

    def _variable(self, name: str, value: Any) -> Symbol:
        name = self._unique(name)
        self.values[name] = value
        known = {'dtype': value.dtype} if value.dtype.name in DTYPE_CODES else {}
        return var(name, shape=value.shape, **known)


class Scope:
    """Where in the network a layer is: its nodes and variables are named after it."""

    def __init__(self, builder: Builder, path: Path, kind: str, copies: Mapping[str, int] | None = None):
        self.builder: Builder = builder
        self.path: Path = path
        self.kind: str = kind
        self.copies: Mapping[str, int] = copies or {}  # where copies are stacked, by how names begin: which one it is

    def op(self, op: str, *inputs: Symbol, suffix: str = 'fwd', **attributes: Any) -> Symbol:
        """A node, called by the path and a suffix."""
        name = '_'.join((*(self.path or (self.kind.lower(),)), suffix))
        return self.builder.op(op, name, *inputs, **attributes)

    def parameter(self, name: str) -> Symbol:
        """The variable of a parameter of this layer."""
        name = '.'.join((*self.path, name))
        return self.builder.parameter(name, tuple(i for start, i in self.copies.items() if name.startswith(start)))
