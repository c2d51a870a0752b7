"""Exported graphs as networks."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import DTypeLike

from gluonjax import init as initializers
from gluonjax.block import Block
from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.io import mxnet_params
from gluonjax.lazy import suggests_keywords
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.graph import Node, auxiliary_of, check_known
from gluonjax.mx.infer import declared_dtype, declared_shape
from gluonjax.mx.symbol import Group, Symbol, load, var
from gluonjax.param import Param
from gluonjax.shapes import Shape

_FIELDS = ('symbol', 'input_names')  # of a SymbolBlock; all others are parameters


class SymbolBlock(Block):
    """A network whose `forward` is a graph of MXNet's operators.

    Variables that are no inputs are its parameters, under their names in the graph. Labels that only a loss head takes
    are none: name them among the inputs to train by the head's own gradient, or leave them out.

    Args:
        outputs: a Symbol, or a list of them.
        inputs: the variables that calls give, in order.
        params: MXNet's, by which parameters are shared: `other.params`.

    Raises:
        ArgumentError: for an operator that gluonjax does not know, naming it and its node.

    >>> import jax.numpy as jnp
    >>> import gluonjax.mx as mx
    >>> x = mx.sym.var('data')
    >>> net = SymbolBlock(mx.sym.FullyConnected(x, num_hidden=3, name='fc'), x)
    >>> net.initialize()
    >>> net(jnp.ones((2, 4))).shape
    (2, 3)
    >>> net.collect_params()
    Parameter fc_weight (shape=(3, 4), dtype=float32)
    Parameter fc_bias (shape=(3,), dtype=float32)
    """

    def __init__(self, outputs: Symbol | Sequence[Symbol], inputs: Symbol | Sequence[Symbol]):
        symbol = outputs if isinstance(outputs, Symbol) else Group(list(outputs))
        given = [inputs] if isinstance(inputs, Symbol) else list(inputs)
        self._declare(symbol, [name for each in given for name in each.list_outputs()], {})

    def _declare(self, symbol: Symbol, inputs: Sequence[str], values: Mapping[str, Any]) -> None:
        check_known(symbol.nodes)
        variables = {node.name: node for node in symbol.nodes if node.is_variable}
        if unknown := [name for name in inputs if name not in variables]:
            raise ArgumentError(f'the graph has no input {unknown[0]!r}', expected=', '.join(variables))
        self.symbol: Symbol = symbol
        self.input_names: tuple[str, ...] = tuple(inputs)
        auxiliary, labels = auxiliary_of(symbol.nodes), labels_of(symbol)
        for name, node in variables.items():
            if name not in self.input_names and (name not in labels or name in values):
                setattr(self, name, _param(node, values.get(name), node not in auxiliary, symbol.np_shape))

    def inputs_by_name(self, inputs: Sequence[Any]) -> dict[str, Any]:
        """The inputs of a call by the names of their variables.

        Raises:
            ArgumentError: if they are more or fewer than the variables.
        """
        if len(inputs) != len(self.input_names):
            raise ArgumentError(
                f'this graph takes {len(self.input_names)} inputs, got {len(inputs)}',
                expected=', '.join(self.input_names),
            )
        return dict(zip(self.input_names, inputs, strict=True))

    def infer_shape(self, *inputs: Any) -> dict[str, Shape]:
        names = [name for name in vars(self) if name not in _FIELDS]
        by_name = self.inputs_by_name(inputs)
        given = {name: x.shape for name, x in by_name.items()}
        dtypes = {name: np.dtype(x.dtype) for name, x in by_name.items()}
        inference = self.symbol.inference(given, dtypes)
        shapes = {node.name: inference.shapes[node][0] for node in inference.nodes if node.is_variable}
        return {name: shapes[name] for name in names if shapes.get(name) is not None}

    def forward(self, *inputs: Any) -> Any:
        values = {name: getattr(self, name) for name in vars(self) if name not in _FIELDS}
        values.update(self.inputs_by_name(inputs))
        outputs, updates = self.symbol.run(values, self.training, self.next_key)
        for name, value in updates.items():
            setattr(self, name, value)
        return outputs[0] if len(outputs) == 1 else outputs

    @staticmethod
    @suggests_keywords
    def imports(
        symbol_file: str | pathlib.Path,
        input_names: str | Sequence[str],
        param_file: str | pathlib.Path | None = None,
        ctx: Any = None,
        *,
        allow_missing: bool = False,
        ignore_extra: bool = True,
    ) -> SymbolBlock:
        """The network of a -symbol.json file, with the values of a .params file.

        Args:
            symbol_file: the graph.
            input_names: the variables that calls give, in order.
            param_file: the values; without it the network is to be initialized.
            ctx: MXNet's; accepted, arrays are where JAX has them.
            allow_missing: whether the file may lack values, which are then to be initialized.
            ignore_extra: whether the file may have values that the graph does not use.

        Raises:
            ParamsError: for missing values, or others.
        """
        symbol = load(symbol_file)
        names = [input_names] if isinstance(input_names, str) else list(input_names)
        values = {} if param_file is None else mxnet_params.without_kinds(mxnet_params.load(param_file))
        return network_of(symbol, names, values, allow_missing or param_file is None, ignore_extra)


def network_of(
    symbol: Symbol,
    inputs: Sequence[str],
    values: Mapping[str, Any],
    allow_missing: bool = False,
    ignore_extra: bool = True,
) -> SymbolBlock:
    """A network of a graph, with these values.

    Raises:
        ParamsError: for missing values, or others.
    """
    block = SymbolBlock(symbol, [var(name) for name in inputs])
    set_values(block.collect_params(), values, allow_missing, ignore_extra)
    return block


def set_values(
    parameters: Mapping[str, Any], values: Mapping[str, Any], allow_missing: bool, ignore_extra: bool
) -> None:
    """Sets parameters of a graph by the names of its variables.

    Raises:
        ParamsError: for missing values, or others.
    """
    missing, extra = sorted(parameters.keys() - values.keys()), sorted(values.keys() - parameters.keys())
    if (missing and not allow_missing) or (extra and not ignore_extra):
        problems = [f'missing: {name}' for name in missing] + [f'extra: {name}' for name in extra]
        remedy = 'name them among the inputs, or allow_missing=True' if missing else 'ignore_extra=True'
        raise ParamsError('the values are not those of this graph', got=', '.join(problems), remedy=remedy)
    for name, parameter in parameters.items():
        if name in values:
            dtype = jax.dtypes.canonicalize_dtype(
                values[name].dtype
            )  # integers of a quantized graph stay what they are
            if parameter.dtype != dtype:
                parameter.cast(dtype)
            parameter.set_data(values[name])


def labels_of(symbol: Symbol) -> set[str]:
    """The names of the variables that reach an output through the label of a loss head only."""
    ahead, needed = [entry.node for entry in symbol.heads], set()
    while ahead:
        node = ahead.pop()
        if node not in needed:
            needed.add(node)
            if not node.is_variable:
                inputs = zip(node.input_names, node.inputs, strict=False)
                ahead += [entry.node for name, entry in inputs if name not in node.operator.may_be_missing]
    return set(symbol.list_inputs()) - {node.name for node in needed if node.is_variable}


def _param(node: Node, value: Any, trainable: bool, np_shape: bool) -> Any:
    shape = declared_shape(node, np_shape) if value is None else np.shape(value)
    dtype: DTypeLike = declared_dtype(node) or 'float32' if value is None else value.dtype
    return Param(shape, dtype, _initializer(node), trainable, keep_dtype=not trainable)


def _initializer(node: Node) -> Any:
    """What the variable declares; its `__init__` is MXNet's JSON for a class and its arguments."""
    text = node.attributes.get('__init__')
    if not text:
        return None
    try:
        name, arguments = json.loads(text)
        return initializers.create(name, **arguments)
    except (ValueError, TypeError, ArgumentError):
        return None


explain_calls(globals(), functions=False)
