"""The Gluon API on JAX: stateless layers, pure `init` and `apply`, and a facade that defers initialization."""

from gluonjax import errors, init, nn
from gluonjax.binding import Param
from gluonjax.block import Block, HybridBlock
from gluonjax.draw import seed
from gluonjax.layer import Layer
from gluonjax.parameter import Parameter, ParameterDict
from gluonjax.tree import merge

__version__ = '0.1.0'

__all__ = [
    'Block',
    'HybridBlock',
    'Layer',
    'Param',
    'Parameter',
    'ParameterDict',
    'errors',
    'init',
    'merge',
    'nn',
    'seed',
]
