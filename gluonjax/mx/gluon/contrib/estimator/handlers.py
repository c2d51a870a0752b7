"""Handlers of events: what an Estimator calls when training, an epoch or a batch begins or ends."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx import metric as metrics_of
from gluonjax.mx.entry import explain_calls


class EventHandler:
    """The base of handlers. Those with a `priority` are called in its order; 0 without one."""


class TrainBegin(EventHandler):
    """Is called when training begins."""

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""


class TrainEnd(EventHandler):
    """Is called when training ends."""

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""


class EpochBegin(EventHandler):
    """Is called when an epoch begins."""

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""


class EpochEnd(EventHandler):
    """Is called when an epoch ends."""

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Whether training ends here."""
        return False


class BatchBegin(EventHandler):
    """Is called before a batch."""

    def batch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing."""


class BatchEnd(EventHandler):
    """Is called after a batch."""

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Whether the epoch ends here."""
        return False


class StoppingHandler(TrainBegin, BatchEnd, EpochEnd):
    """Ends training after a number of epochs or batches.

    Args:
        max_epoch: the number of epochs.
        max_batch: the number of batches.
    """

    def __init__(self, max_epoch: int | None = None, max_batch: int | None = None):
        self.max_epoch: int | None = max_epoch
        self.max_batch: int | None = max_batch
        self.current_batch: int = 0
        self.current_epoch: int = 0
        self.stop_training: bool = False

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.max_epoch, self.max_batch = estimator.max_epoch, estimator.max_batch
        self.current_batch = self.current_epoch = 0

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        self.current_batch += 1
        self.stop_training = self.stop_training or self.current_batch == self.max_batch
        return self.stop_training

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        self.current_epoch += 1
        self.stop_training = self.stop_training or self.current_epoch == self.max_epoch
        return self.stop_training


class MetricHandler(EpochBegin, BatchEnd):
    """Resets metrics when an epoch begins, and updates them after each batch.

    Args:
        metrics: the metrics.
        priority: when it is called among handlers.
    """

    def __init__(self, metrics: Any, priority: float = -1000):
        self.metrics: list[Any] = checked_metrics(metrics)
        self.priority: float = priority

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        for metric in self.metrics:
            metric.reset()

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        for metric in self.metrics:
            if isinstance(metric, metrics_of.Loss):
                metric.update(0, kwargs['loss'])
            else:
                metric.update(kwargs['label'], kwargs['pred'])


class ValidationHandler(TrainBegin, BatchEnd, EpochEnd):
    """Evaluates every few epochs or batches.

    Args:
        val_data: what is evaluated.
        eval_fn: called with it, as `estimator.evaluate`.
        epoch_period: after how many epochs; None for never.
        batch_period: after how many batches; None for never.
        priority: when it is called among handlers.
        event_handlers: for `eval_fn`.
    """

    def __init__(
        self,
        val_data: Any,
        eval_fn: Callable[..., Any],
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        priority: float = -1000,
        event_handlers: Any = None,
    ):
        self.val_data: Any = val_data
        self.eval_fn: Callable[..., Any] = eval_fn
        self.epoch_period: int | None = epoch_period
        self.batch_period: int | None = batch_period
        self.priority: float = priority
        self.event_handlers: Any = event_handlers
        self.current_batch: int = 0
        self.current_epoch: int = 0

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.current_batch = self.current_epoch = 0

    def _evaluate(self, estimator: Any) -> None:
        self.eval_fn(val_data=self.val_data, batch_axis=estimator.batch_axis, event_handlers=self.event_handlers)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.current_batch += 1
        if self.batch_period and self.current_batch % self.batch_period == 0:
            self._evaluate(estimator)

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.current_epoch += 1
        if self.epoch_period and self.current_epoch % self.epoch_period == 0:
            self._evaluate(estimator)


class LoggingHandler(TrainBegin, TrainEnd, EpochBegin, EpochEnd, BatchBegin, BatchEnd):
    """Writes metrics and times to the estimator's logger.

    Args:
        log_interval: 'epoch', or after how many batches.
        metrics: the metrics.
        priority: when it is called among handlers.

    Raises:
        ArgumentError: for another interval.
    """

    def __init__(self, log_interval: int | str = 'epoch', metrics: Any = None, priority: float = math.inf):
        if log_interval != 'epoch' and not isinstance(log_interval, int):
            raise ArgumentError("log_interval must be 'epoch' or an int", got=repr(log_interval))
        self.metrics: list[Any] = checked_metrics(metrics)
        self.log_interval: int | str = log_interval
        self.priority: float = priority
        self.batch_index: int = 0
        self.current_epoch: int = 0
        self.processed_samples: int = 0
        self.log_interval_time: float = 0
        self.train_start: float = 0
        self.epoch_start: float = 0
        self.batch_start: float = 0

    def _values(self) -> str:
        return ', '.join('{}: {:.4f}'.format(*metric.get()) for metric in self.metrics)

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.train_start = time.time()
        trainer = estimator.trainer
        kind, rate = type(trainer.optimizer).__name__, trainer.learning_rate
        estimator.logger.info('Training begin: using optimizer %s with current learning rate %.4f ', kind, rate)
        count, unit = (estimator.max_epoch, 'epochs') if estimator.max_epoch else (estimator.max_batch, 'batches')
        estimator.logger.info('Train for %d %s.', count, unit)
        self.current_epoch = self.batch_index = self.processed_samples = 0
        self.log_interval_time = 0

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        spent = time.time() - self.train_start
        text = f'Train finished using total {spent:.0f}s with {self.current_epoch} epochs. {self._values()}'
        estimator.logger.info(text)

    def batch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.batch_start = time.time()

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.log_interval, int):
            self.log_interval_time += time.time() - self.batch_start
            self.processed_samples += kwargs['batch'][0].shape[0]
            if self.batch_index % self.log_interval == 0:
                text = f'[Epoch {self.current_epoch}][Batch {self.batch_index}][Samples {self.processed_samples}] '
                text += f'time/interval: {self.log_interval_time:.3f}s {self._values()}'
                self.log_interval_time = 0
                estimator.logger.info(text)
        self.batch_index += 1

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.epoch_start = time.time()
        if estimator.net is not None and any(metric.name.startswith('training') for metric in self.metrics):
            rate = estimator.trainer.learning_rate
            estimator.logger.info('[Epoch %d] Begin, current learning rate: %.4f', self.current_epoch, rate)

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        spent = time.time() - self.epoch_start
        estimator.logger.info('[Epoch %d] Finished in %.3fs, %s', self.current_epoch, spent, self._values())
        self.current_epoch += 1
        self.batch_index = 0


class Monitored:
    """A metric that is watched, and what counts as better.

    Args:
        monitor: the metric.
        mode: 'min', 'max', or 'auto': the greater is better, with a warning.
        what: who asks, for errors.
    """

    def __init__(self, monitor: Any, mode: str, what: str):
        if not isinstance(monitor, metrics_of.EvalMetric):
            raise ArgumentError(
                f'{what} watches a metric', got=repr(monitor), remedy='one of estimator.train_metrics or val_metrics'
            )
        if mode not in ('auto', 'min', 'max'):
            warnings.warn(f'the mode {mode!r} of {what} is unknown: auto is taken', RuntimeWarning, stacklevel=3)
            mode = 'auto'
        if mode == 'auto':
            name = monitor.get()[0]
            warnings.warn(f"the greater {name} counts as better: mode='min' for the lesser", stacklevel=3)
        self.sign: int = -1 if mode == 'min' else 1
        self.monitor: Any = monitor
        self.worst: float = -self.sign * math.inf

    def value(self) -> float:
        """The value now; a warning if there is none."""
        name, value = self.monitor.get()
        if math.isnan(value):
            warnings.warn(
                f'{name} is not updated: watch one of the metrics of the estimator', RuntimeWarning, stacklevel=2
            )
        return value

    def is_better(self, value: float, best: float) -> bool:
        """Whether a value is better than the best before."""
        return self.sign * (value - best) > 0


class EarlyStoppingHandler(TrainBegin, EpochEnd, TrainEnd):
    """Ends training when a metric no longer improves.

    Args:
        monitor: the metric.
        min_delta: by how much it must improve.
        patience: for how many epochs it may fail to.
        mode: 'min', 'max', or 'auto'.
        baseline: what it must improve upon first.

    Raises:
        ArgumentError: if `monitor` is no simple metric.
    """

    def __init__(
        self, monitor: Any, min_delta: float = 0, patience: int = 0, mode: str = 'auto', baseline: float | None = None
    ):
        self._watched = Monitored(monitor, mode, 'EarlyStoppingHandler')
        if isinstance(monitor, metrics_of.CompositeEvalMetric):
            raise ArgumentError('EarlyStoppingHandler watches a simple metric', got=repr(monitor))
        self.monitor: Any = monitor
        self.baseline: float | None = baseline
        self.patience: int = patience
        self.min_delta: float = min_delta * self._watched.sign
        self.wait: int = 0
        self.stopped_epoch: int = 0
        self.current_epoch: int = 0
        self.stop_training: bool = False
        self.best: float = self._watched.worst

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.wait = self.stopped_epoch = self.current_epoch = 0
        self.stop_training = False
        self.best = self._watched.worst if self.baseline is None else self.baseline

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        value = self._watched.value()
        if self._watched.is_better(value - self.min_delta, self.best):
            self.best, self.wait = value, 0
        elif not math.isnan(value):
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch, self.stop_training = self.current_epoch, True
        self.current_epoch += 1
        return self.stop_training

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        if self.stopped_epoch > 0:
            name = self.monitor.get()[0]
            estimator.logger.info('[Epoch %d] early stopping: %s does not improve', self.stopped_epoch, name)


class GradientUpdateHandler(BatchEnd):
    """Has the trainer take a step after each batch.

    Args:
        priority: when it is called among handlers.
    """

    def __init__(self, priority: float = -2000):
        self.priority: float = priority

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        losses = kwargs['loss'] if isinstance(kwargs['loss'], list) else [kwargs['loss']]
        estimator.trainer.step(sum(loss.shape[0] for loss in losses))


def checked_metrics(metrics: Any) -> list[Any]:
    """A list of metrics, from one, several, or None.

    Raises:
        ArgumentError: for anything else.
    """
    if isinstance(metrics, metrics_of.CompositeEvalMetric):
        return [each for metric in metrics.metrics for each in checked_metrics(metric)]
    listed = [metrics] if isinstance(metrics, metrics_of.EvalMetric) else list(metrics or [])
    if wrong := [metric for metric in listed if not isinstance(metric, metrics_of.EvalMetric)]:
        raise ArgumentError('metrics must be an EvalMetric or a list of them', got=repr(wrong[0]))
    return listed


def checked_handlers(handlers: Any) -> list[EventHandler]:
    """A list of handlers, from one, several, or None.

    Raises:
        ArgumentError: for anything else.
    """
    listed: Sequence[Any] = [handlers] if isinstance(handlers, EventHandler) else list(handlers or [])
    if wrong := [handler for handler in listed if not isinstance(handler, EventHandler)]:
        raise ArgumentError('event_handlers must be an EventHandler or a list of them', got=repr(wrong[0]))
    return list(listed)


explain_calls(globals())
