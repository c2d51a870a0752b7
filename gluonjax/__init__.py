"""The Gluon API on JAX: stateless layers with pure `init` and `apply`, and networks that defer initialization."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gluonjax import (
        autograd,
        callback,
        errors,
        feed,
        init,
        loss,
        lr_scheduler,
        metric,
        nn,
        optimizer,
        rnn,
        sharding,
    )
    from gluonjax.binding import Param
    from gluonjax.block import Block, HybridBlock
    from gluonjax.draw import seed
    from gluonjax.layer import Layer
    from gluonjax.parameter import Parameter, ParameterDict
    from gluonjax.step import make_step
    from gluonjax.trainer import Trainer
    from gluonjax.tree import merge

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
    'errors',
    'feed',
    'init',
    'loss',
    'lr_scheduler',
    'make_step',
    'merge',
    'metric',
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
    'Param': 'binding',
    'Parameter': 'parameter',
    'ParameterDict': 'parameter',
    'Trainer': 'trainer',
    'make_step': 'step',
    'merge': 'tree',
    'seed': 'draw',
}


def __getattr__(name: str):
    """Loads a module when it is first asked for, so that `import gluonjax` costs nothing."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    module = importlib.import_module(f'{__name__}.{_HOMES.get(name, name)}')
    return globals().setdefault(name, getattr(module, name) if name in _HOMES else module)


def __dir__() -> list[str]:
    return sorted(__all__)
