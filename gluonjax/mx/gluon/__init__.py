"""`mx.gluon`: networks, losses and the Trainer as MXNet's programs use them, on the library's own layers."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from gluonjax.errors import DeferredInitializationError
from gluonjax.hints import missing
from gluonjax.mx.array import NDArray
from gluonjax.mx.gluon import batches as utils
from gluonjax.mx.gluon import loss, nn, rnn
from gluonjax.mx.gluon.block import Block, HybridBlock
from gluonjax.mx.gluon.graph_block import SymbolBlock
from gluonjax.mx.gluon.parameter import Constant, Parameter, ParameterDict
from gluonjax.mx.gluon.symbol_block import labels_of, network_of
from gluonjax.mx.symbol import Symbol

if TYPE_CHECKING:
    from gluonjax.mx import metric
    from gluonjax.mx.gluon import contrib, data, model_zoo
    from gluonjax.mx.gluon.trainer import Trainer

tensor_types: tuple[type, ...] = (Symbol, NDArray)

# What is loaded when it is asked for: a name, and the module that it is or is in.
_LAZY = {
    'Trainer': 'gluonjax.mx.gluon.trainer',
    'contrib': 'gluonjax.mx.gluon.contrib',
    'data': 'gluonjax.mx.gluon.data',
    'metric': 'gluonjax.mx.metric',
    'model_zoo': 'gluonjax.mx.gluon.model_zoo',
    'trainer': 'gluonjax.mx.gluon.trainer',
}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """What is loaded when it is first used."""
        if name not in _LAZY and importlib.util.find_spec(f'{__name__}.{name}') is None:
            raise missing(f'module {__name__!r}', name, __name__, [*__all__, *_LAZY])
        module = importlib.import_module(_LAZY.get(name, f'{__name__}.{name}'))
        return globals().setdefault(name, getattr(module, name, module))


__all__ = [
    'Block',
    'Constant',
    'DeferredInitializationError',
    'HybridBlock',
    'Parameter',
    'ParameterDict',
    'SymbolBlock',
    'Trainer',
    'contrib',
    'data',
    'labels_of',
    'loss',
    'metric',
    'model_zoo',
    'network_of',
    'nn',
    'rnn',
    'utils',
]
