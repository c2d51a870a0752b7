"""Optimizers of MXNet, with its names, arguments and numbers, as optax transformations.

>>> import jax, optax
>>> optimizer = create('sgd', learning_rate=0.5)
>>> params = {'0': {'weight': jax.numpy.ones(2)}}
>>> state = optimizer.init(params)
>>> updates, state = optimizer.update({'0': {'weight': jax.numpy.ones(2)}}, state, params)
>>> optax.apply_updates(params, updates)
{'0': {'weight': Array([0.5, 0.5], dtype=float32)}}

The options that all share are those of `Optimizer`. MXNet divides the gradient of a sum by the batch size in
`trainer.step(batch_size)`; here the gradient is that of the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.optimizer.adaptive import (
    FTML,
    LAMB,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    GroupAdaGrad,
    Nadam,
    RMSProp,
)
from gluonjax.optimizer.base import Optimizer, create, register, with_multipliers
from gluonjax.optimizer.descent import DCASGD, LARS, NAG, SGD, SGLD, Signum
from gluonjax.optimizer.state import OptimizerState, ScheduledState, find_learning_rate, with_learning_rate
from gluonjax.packages import refuses_unknown

__all__ = [
    'DCASGD',
    'FTML',
    'LAMB',
    'LARS',
    'NAG',
    'SGD',
    'SGLD',
    'AdaDelta',
    'AdaGrad',
    'Adam',
    'AdamW',
    'Adamax',
    'Ftrl',
    'GroupAdaGrad',
    'Nadam',
    'Optimizer',
    'OptimizerState',
    'RMSProp',
    'ScheduledState',
    'Signum',
    'create',
    'find_learning_rate',
    'register',
    'with_learning_rate',
    'with_multipliers',
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
