"""`gluon.contrib.estimator`: training loops made of handlers of events."""

from gluonjax.mx.gluon.contrib.estimator.batch_processor import BatchProcessor
from gluonjax.mx.gluon.contrib.estimator.checkpoint import CheckpointHandler
from gluonjax.mx.gluon.contrib.estimator.estimator import Estimator
from gluonjax.mx.gluon.contrib.estimator.event_handler import (
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
]
