"""`mx.gluon`: networks, losses and the Trainer as MXNet's programs use them, on the library's own layers."""

from gluonjax.mx.gluon import batches as utils
from gluonjax.mx.gluon import loss, nn, rnn
from gluonjax.mx.gluon.block import Block, HybridBlock
from gluonjax.mx.gluon.parameter import Constant, Parameter, ParameterDict
from gluonjax.mx.gluon.symbol_block import SymbolBlock, labels_of, network_of
from gluonjax.mx.gluon.trainer import Trainer

__all__ = [
    'Block',
    'Constant',
    'HybridBlock',
    'Parameter',
    'ParameterDict',
    'SymbolBlock',
    'Trainer',
    'labels_of',
    'loss',
    'network_of',
    'nn',
    'rnn',
    'utils',
]
