"""`gluon.nn`: the layers of gluonjax as blocks of Gluon, and containers.

>>> from gluonjax.mx import nd
>>> from gluonjax.mx.gluon import nn
>>> net = nn.HybridSequential(prefix='net_')
>>> with net.name_scope():
...     net.add(nn.Dense(3, activation='relu'), nn.Dense(1))
>>> net.initialize()
>>> net.hybridize()
>>> net(nd.ones((2, 4))).shape
(2, 1)
>>> list(net.collect_params())
['net_dense0_weight', 'net_dense0_bias', 'net_dense1_weight', 'net_dense1_bias']
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gluonjax import nn
from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.layer import Layer
from gluonjax.mx import ndarray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import Block, HybridBlock, children_of, of_symbols
from gluonjax.mx.gluon.graph_block import SymbolBlock
from gluonjax.mx.gluon.library import layer_class

activations: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
basic_layers: ModuleType = sys.modules[__name__]
conv_layers: ModuleType = sys.modules[__name__]

__all__ = ['Block', 'HybridBlock', 'HybridLambda', 'HybridSequential', 'Lambda', 'Sequential', 'SymbolBlock']


class Sequential(Block):
    """Blocks one after the other."""

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Has the HybridBlocks below compiled; warns if they all are, for then one program could run them."""
        children = children_of(self).values()
        if (
            active
            and children
            and not isinstance(self, HybridBlock)
            and all(isinstance(child, HybridBlock) for child in children)
        ):
            warnings.warn(
                f'all blocks of {self.prefix!r} can be compiled: HybridSequential makes one program', stacklevel=2
            )
        super().hybridize(active, **kwargs)

    def add(self, *blocks: Block) -> None:
        """Adds blocks at the end."""
        for block in blocks:
            self.register_child(block)

    def forward(self, *args: Any) -> Any:
        """Runs the blocks."""
        for block in children_of(self).values():
            output = block(*args)
            args = tuple(output) if isinstance(output, list | tuple) else (output,)
        return args[0] if len(args) == 1 else args

    def __len__(self) -> int:
        return len(children_of(self))

    def __iter__(self) -> Iterator[Block]:
        return iter(children_of(self).values())

    def __getitem__(self, index: int | slice) -> Any:
        chosen = list(children_of(self).values())[index]
        if isinstance(chosen, Block):
            return chosen
        part = type(self)(prefix=self.prefix)
        part.add(*chosen)
        return part


class HybridSequential(Sequential, HybridBlock):
    """Blocks one after the other, compiled whole after `hybridize`."""

    def forward(self, *args: Any) -> Any:
        """Runs the blocks; of symbols, their nodes have its prefix."""
        with self.name_scope() if of_symbols(args) else contextlib.nullcontext():
            return super().forward(*args)


def _check_function(function: Any) -> None:
    if isinstance(function, str) and not hasattr(ndarray, function):
        raise ArgumentError(f'mx.nd has no function {function!r}')
    if not isinstance(function, str) and not callable(function):
        raise ArgumentError('a Lambda takes a function, or the name of one', got=repr(function))


class Lambda(Block):
    """A function as a block: one of arrays, or the name of an operator.

    Args:
        function: the function, or the name.
        prefix: MXNet's.
    """

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None):
        super().__init__(prefix)
        _check_function(function)
        self.function: Callable[..., Any] = getattr(ndarray, function) if isinstance(function, str) else function

    def forward(self, *args: Any) -> Any:
        """Calls the function."""
        return self.function(*args)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.function.__name__})'


class HybridLambda(HybridBlock):
    """As `Lambda`; the function takes `F` first.

    Args:
        function: the function, or the name of an operator.
        prefix: MXNet's.
    """

    def __init__(self, function: str | Callable[..., Any], prefix: str | None = None):
        super().__init__(prefix)
        _check_function(function)
        self.function: str | Callable[..., Any] = function

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the function."""
        return getattr(F, self.function)(*args) if isinstance(self.function, str) else self.function(F, *args)

    def __repr__(self) -> str:
        name = self.function if isinstance(self.function, str) else self.function.__name__
        return f'{type(self).__name__}({name})'


_MADE: dict[str, Any] = {}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every layer of gluonjax.nn."""
        cls = None if name.startswith('_') else getattr(nn, name, None)
        if not (isinstance(cls, type) and issubclass(cls, Layer)):
            raise missing(f'module {__name__!r}', name, __name__, dir(nn))
        return _MADE.setdefault(name, layer_class(cls))


explain_calls(globals())
