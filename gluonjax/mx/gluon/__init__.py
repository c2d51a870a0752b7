"""`mx.gluon`: networks, losses and the Trainer as MXNet's programs use them, on the library's own layers."""

import importlib
from typing import TYPE_CHECKING, Any

from gluonjax.mx.gluon import batches as utils
from gluonjax.mx.gluon import loss, nn, rnn
from gluonjax.mx.gluon.block import Block, HybridBlock
from gluonjax.mx.gluon.parameter import Constant, Parameter, ParameterDict
from gluonjax.mx.gluon.symbol_block import SymbolBlock, labels_of, network_of

if TYPE_CHECKING:
    from gluonjax.mx.gluon.trainer import Trainer
else:

    def __getattr__(name: str) -> Any:
        """The Trainer, and optimizers with it, are loaded when they are first used."""
        if name != 'Trainer':
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}', name=name)
        return globals().setdefault(name, importlib.import_module('gluonjax.mx.gluon.trainer').Trainer)


if TYPE_CHECKING:
    from gluonjax.mx.gluon import data

_LAZY = ('data',)  # loaded when they are asked for

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Packages that are loaded when they are first used."""
        if name not in _LAZY:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}', name=name)
        return importlib.import_module(f'{__name__}.{name}')


__all__ = [
    'Block',
    'Constant',
    'HybridBlock',
    'Parameter',
    'ParameterDict',
    'SymbolBlock',
    'Trainer',
    'data',
    'labels_of',
    'loss',
    'network_of',
    'nn',
    'rnn',
    'utils',
]
