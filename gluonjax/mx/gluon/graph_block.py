"""`gluon.SymbolBlock`: graphs as blocks, on MXNet's arrays and their tape."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.io import mxnet_params
from gluonjax.lazy import suggests_keywords
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.files import read
from gluonjax.mx.gluon import symbol_block
from gluonjax.mx.gluon.block import of_symbols
from gluonjax.mx.gluon.library import LayerBlock
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict
from gluonjax.mx.graph import STORAGE_CODES
from gluonjax.mx.symbol import Group, Symbol, load, var


class SymbolBlock(LayerBlock):
    """A block whose `forward` is a graph; variables that are no inputs are its parameters, under their names.

    Args:
        outputs: a Symbol, or a list of them.
        inputs: the variables that calls give, in order.
        params: parameters by name, which are used for the variables.

    Raises:
        ArgumentError: for a variable of the storage type 'row_sparse'.

    >>> from gluonjax.mx import nd, sym
    >>> x = sym.var('data')
    >>> net = SymbolBlock(sym.FullyConnected(x, num_hidden=3, name='fc'), x)
    >>> net.initialize()
    >>> net(nd.ones((2, 4))).shape, list(net.collect_params())
    ((2, 3), ['fc_weight', 'fc_bias'])
    """

    def __init__(
        self,
        outputs: Symbol | Sequence[Symbol],
        inputs: Symbol | Sequence[Symbol],
        params: Mapping[str, Parameter] | None = None,
    ):
        graph = outputs if isinstance(outputs, Symbol) else Group(list(outputs))
        shared = ParameterDict('')
        shared.update(params or {})
        for node in graph.nodes:
            if node.is_variable and node.attributes.get('__storage_type__') == str(STORAGE_CODES['row_sparse']):
                what = f'a SymbolBlock has dense parameters, and the storage type of {node.name} is another'
                raise ArgumentError(what, remedy='mx.sym.var(name) without stype')
        definition: Any = symbol_block.SymbolBlock(graph, inputs).definition
        self.symbol: Symbol = definition.symbol
        self.input_names: tuple[str, ...] = definition.input_names
        super().__init__(definition, '', shared)

    def forward(self, *args: Any) -> Any:
        """Runs the graph; of symbols, puts them in the place of its inputs."""
        if of_symbols(args):
            return self.symbol(**dict(zip(self.input_names, args, strict=True)))
        return super().forward(*args)

    def _collect_params_with_prefix(self, prefix: str = '') -> dict[str, Parameter]:
        """All parameters by their place: by their names in the graph, without what all of these begin with."""
        found = super()._collect_params_with_prefix()
        start, same = (f'{prefix}.' if prefix else ''), _shared_start(list(found))
        return {start + name[same:]: parameter for name, parameter in found.items()}

    def __repr__(self) -> str:
        outputs = ', '.join(self.symbol.list_outputs())
        return f'{type(self).__name__}(\n  {", ".join(self.input_names)} -> {outputs}\n)'

    @staticmethod
    @suggests_keywords
    def imports(
        symbol_file: str | pathlib.Path,
        input_names: str | Sequence[str],
        param_file: str | pathlib.Path | None = None,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = True,
    ) -> SymbolBlock:
        """The block of a -symbol.json file, with the values of a .params file.

        Args:
            symbol_file: the graph.
            input_names: the variables that calls give, in order.
            param_file: the values; without it the block is to be initialized.
            ctx: where the values are put.
            allow_missing: whether the file may lack values, which are then to be initialized.
            ignore_extra: whether the file may have values that the graph does not use.

        Raises:
            ParamsError: for missing values, or others.
        """
        names = [input_names] if isinstance(input_names, str) else list(input_names)
        block = SymbolBlock(load(symbol_file), [var(name) for name in names])
        if param_file is not None:
            values = mxnet_params.without_kinds(read(param_file))
            symbol_block.set_values(block.collect_params(), values, allow_missing, ignore_extra)
            block.collect_params().reset_ctx(ctx)
        return block


def _shared_start(names: Sequence[str]) -> int:
    """With how many characters all names begin."""
    alike = (len(set(characters)) == 1 for characters in zip(*names, strict=False))
    return sum(itertools.takewhile(bool, alike))


explain_calls(globals(), functions=False)
