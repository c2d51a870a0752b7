"""`gluon.contrib.estimator`: training loops made of handlers of events."""

from __future__ import annotations

import sys
from types import ModuleType

from gluonjax.mx.gluon.contrib.estimator import event_handler
from gluonjax.mx.gluon.contrib.estimator.batch_processor import BatchProcessor
from gluonjax.mx.gluon.contrib.estimator.checkpoint import CheckpointHandler
from gluonjax.mx.gluon.contrib.estimator.estimator import Estimator
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

utils: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here

__all__ = [
    'BatchBegin',
    'BatchEnd',
    'BatchProcessor',
    'CheckpointHandler',
    'EarlyStoppingHandler',
    'EpochBegin',
    'EpochEnd',
    'Estimator',
    'EventHandler',
    'GradientUpdateHandler',
    'LoggingHandler',
    'MetricHandler',
    'StoppingHandler',
    'TrainBegin',
    'TrainEnd',
    'ValidationHandler',
    'event_handler',
]
