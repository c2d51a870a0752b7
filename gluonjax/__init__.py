"""The Gluon API on JAX: stateless layers with pure `init` and `apply`, and networks that defer initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.packages import lazy_names

if TYPE_CHECKING:
    from gluonjax import (
        autograd,
        data,
        decoding,
        errors,
        init,
        io,
        loss,
        lr_scheduler,
        metric,
        model_zoo,
        mx,
        nn,
        optimizer,
        rnn,
    )
    from gluonjax.allocation import keep_memory
    from gluonjax.block import Block, HybridBlock
    from gluonjax.compilation import enable_compilation_cache
    from gluonjax.decoding import generate
    from gluonjax.io.programs import load_program
    from gluonjax.keys import seed
    from gluonjax.layer import Layer
    from gluonjax.nn.measured import load_convolutions, measure_convolutions
    from gluonjax.param import Param
    from gluonjax.parameter import Parameter, ParameterDict
    from gluonjax.selection import merge
    from gluonjax.train import callback, sharding
    from gluonjax.train.step import make_step
    from gluonjax.train.trainer import Trainer

__version__ = '0.1.0'

__all__ = [
    'Block',
    'HybridBlock',
    'Layer',
    'Param',
    'Parameter',
    'ParameterDict',
    'Trainer',
    'autograd',
    'callback',
    'data',
    'decoding',
    'enable_compilation_cache',
    'errors',
    'generate',
    'init',
    'io',
    'keep_memory',
    'load_convolutions',
    'load_program',
    'loss',
    'lr_scheduler',
    'make_step',
    'measure_convolutions',
    'merge',
    'metric',
    'model_zoo',
    'mx',
    'nn',
    'optimizer',
    'rnn',
    'seed',
    'sharding',
]

_HOMES = {
    'Block': 'block',
    'HybridBlock': 'block',
    'Layer': 'layer',
    'Param': 'param',
    'Parameter': 'parameter',
    'ParameterDict': 'parameter',
    'Trainer': 'train.trainer',
    'callback': 'train.callback',
    'enable_compilation_cache': 'compilation',
    'generate': 'decoding',
    'keep_memory': 'allocation',
    'load_convolutions': 'nn.measured',
    'load_program': 'io.programs',
    'make_step': 'train.step',
    'measure_convolutions': 'nn.measured',
    'merge': 'selection',
    'seed': 'keys',
    'sharding': 'train.sharding',
}


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = lazy_names(__name__, _HOMES, __all__)  # so `import gluonjax` costs nothing


def __dir__() -> list[str]:
    return sorted(__all__)
