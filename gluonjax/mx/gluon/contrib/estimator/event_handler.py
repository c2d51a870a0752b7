"""`gluon.contrib.estimator.event_handler`: all handlers, as MXNet has them in one module."""

from __future__ import annotations

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.contrib.estimator.checkpoint import CheckpointHandler
from gluonjax.mx.gluon.contrib.estimator.handlers import (
    BatchBegin,
    BatchEnd,
    EarlyStoppingHandler,
    EpochBegin,
    EpochEnd,
    EventHandler,
    GradientUpdateHandler,
    LoggingHandler,
    MetricHandler,
    StoppingHandler,
    TrainBegin,
    TrainEnd,
    ValidationHandler,
)

__all__ = [
    'BatchBegin',
    'BatchEnd',
    'CheckpointHandler',
    'EarlyStoppingHandler',
    'EpochBegin',
    'EpochEnd',
    'EventHandler',
    'GradientUpdateHandler',
    'LoggingHandler',
    'MetricHandler',
    'StoppingHandler',
    'TrainBegin',
    'TrainEnd',
    'ValidationHandler',
]


explain_calls(globals())
