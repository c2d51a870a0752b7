"""The Gluon API on JAX: stateless layers, pure `init` and `apply`, and a facade that defers initialization."""

from gluonjax import errors, init, nn
from gluonjax.block import Block, HybridBlock, Parameter, ParameterDict
from gluonjax.draw import seed
from gluonjax.layer import Layer, Param, merge

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
