"""`Estimator`: fits a network, and calls handlers of events."""

from __future__ import annotations

import copy
import logging
import sys
import warnings
from typing import Any

from gluonjax.errors import ArgumentError, UninitializedError
from gluonjax.mx import metric as metrics_of
from gluonjax.mx.context import Context, cpu, gpu, num_gpus
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon import loss as losses
from gluonjax.mx.gluon.contrib.estimator.batch_processor import BatchProcessor
from gluonjax.mx.gluon.contrib.estimator.handlers import (
    BatchBegin,
    BatchEnd,
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
    checked_handlers,
    checked_metrics,
)
from gluonjax.mx.gluon.data import DataLoader
from gluonjax.mx.gluon.trainer import Trainer


class Estimator:
    """Fits a network to the batches of a loader.

    Args:
        net: the network.
        loss: a loss of `gluon.loss`.
        train_metrics: metrics of training; accuracy for cross-entropy, and the loss, by default.
        val_metrics: metrics of evaluation; those of training by default.
        initializer: for a network without values.
        trainer: updates the parameters; SGD with a learning rate of 0.001 by default, with a warning.
        context: a context, or several.
        val_net: the network that is evaluated, if another.
        val_loss: its loss.
        batch_processor: what is done with a batch.

    Raises:
        ArgumentError: for anything else than these.

    >>> from gluonjax.mx import gluon, nd
    >>> net = gluon.nn.Dense(1, in_units=2)
    >>> net.initialize()
    >>> trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1})
    >>> estimator = Estimator(net, gluon.loss.L2Loss(), trainer=trainer)
    >>> loader = gluon.data.DataLoader(gluon.data.ArrayDataset(nd.ones((4, 2)), nd.ones((4, 1))), 2)
    >>> estimator.evaluate(loader, event_handlers=[])  # doctest: +ELLIPSIS
    [Epoch 0] Finished in ...s, validation l2loss: ...
    """

    def __init__(
        self,
        net: Any,
        loss: Any,
        train_metrics: Any = None,
        val_metrics: Any = None,
        initializer: Any = None,
        trainer: Any = None,
        context: Any = None,
        val_net: Any = None,
        val_loss: Any = None,
        batch_processor: Any = None,
    ):
        self.net: Any = net
        self.loss: Any = _checked_loss(loss)
        self._train_metrics = self._named(checked_metrics(train_metrics) or _metrics_for(self.loss), 'training')
        own = checked_metrics(val_metrics)
        self._val_metrics = self._named(own or [copy.deepcopy(each) for each in self._train_metrics], 'validation')
        self.val_net: Any = net if val_net is None else val_net
        self.val_loss: Any = self.loss if val_loss is None else _checked_loss(val_loss)
        self.logger: logging.Logger = logging.Logger('Estimator', logging.INFO)
        self.logger.addHandler(logging.StreamHandler(sys.stdout))
        self.context: list[Context] = _checked_context(context)
        self._initialize(initializer)
        self.trainer: Any = self._checked_trainer(trainer)
        self.batch_processor: Any = _checked_processor(batch_processor)
        self.max_epoch: int | None = None
        self.max_batch: int | None = None
        self.batch_axis: int = 0

    @staticmethod
    def _named(metrics: list[Any], kind: str) -> list[Any]:
        for metric in metrics:
            metric.name = f'{kind} {metric.name.removeprefix("training ")}'
        return metrics

    def _initialize(self, initializer: Any) -> None:
        try:
            for parameter in self.net.collect_params().values():
                parameter.list_ctx()
        except (UninitializedError, RuntimeError):
            self.net.initialize(init=initializer, ctx=self.context)
        else:
            if initializer:
                remedy = 'net.initialize(init=..., force_reinit=True)'
                warnings.warn(f'Network already fully initialized, initializer= does nothing: {remedy}', stacklevel=3)

    def _checked_trainer(self, trainer: Any) -> Any:
        if trainer is None:
            warnings.warn('No trainer specified, SGD with a learning rate of 0.001 is used.', stacklevel=3)
            return Trainer(self.net.collect_params(), 'sgd', {'learning_rate': 0.001})
        if not isinstance(trainer, Trainer):
            raise ArgumentError('trainer must be a gluon.Trainer', got=repr(trainer))
        return trainer

    @property
    def train_metrics(self) -> list[Any]:
        """The metrics of training."""
        return self._train_metrics

    @property
    def val_metrics(self) -> list[Any]:
        """The metrics of evaluation."""
        return self._val_metrics

    def evaluate(self, val_data: Any, batch_axis: int = 0, event_handlers: Any = None) -> None:
        """Computes `val_metrics` of a loader.

        Raises:
            ArgumentError: if it is no loader.
        """
        _checked_loader(val_data)
        for metric in self.val_metrics:
            metric.reset()
        given = checked_handlers(event_handlers)
        handlers = _with_defaults(given, [MetricHandler(self.val_metrics), LoggingHandler(metrics=self.val_metrics)])
        _call(handlers, EpochBegin, 'epoch_begin', self)
        for batch in val_data:
            _call(handlers, BatchBegin, 'batch_begin', self, batch=batch)
            _, label, pred, loss = self.batch_processor.evaluate_batch(self, batch, batch_axis)
            _call(handlers, BatchEnd, 'batch_end', self, batch=batch, pred=pred, label=label, loss=loss)
        _call(handlers, EpochEnd, 'epoch_end', self)

    def fit(
        self,
        train_data: Any,
        val_data: Any = None,
        epochs: int | None = None,
        event_handlers: Any = None,
        batches: int | None = None,
        batch_axis: int = 0,
    ) -> None:
        """Trains for a number of epochs, or of batches.

        Args:
            train_data: a `gluon.data.DataLoader`.
            val_data: one that is evaluated after each epoch.
            epochs: how many epochs.
            event_handlers: what is called; those that are missing are added.
            batches: how many batches.
            batch_axis: the axis of samples.

        Raises:
            ArgumentError: if there is no loader, or not one of `epochs` and `batches`.
        """
        _checked_loader(train_data)
        if (not epochs) == (not batches):
            raise ArgumentError('give one of epochs and batches', got=f'epochs={epochs}, batches={batches}')
        self.max_epoch, self.max_batch, self.batch_axis = epochs, batches, batch_axis
        handlers = self._handlers(val_data, event_handlers)
        _call(handlers, TrainBegin, 'train_begin', self)
        ended = False
        while not ended:
            _call(handlers, EpochBegin, 'epoch_begin', self)
            for batch in train_data:
                _call(handlers, BatchBegin, 'batch_begin', self, batch=batch)
                _, label, pred, loss = self.batch_processor.fit_batch(self, batch, batch_axis)
                if _call(handlers, BatchEnd, 'batch_end', self, batch=batch, pred=pred, label=label, loss=loss):
                    break
            ended = _call(handlers, EpochEnd, 'epoch_end', self)
        _call(handlers, TrainEnd, 'train_end', self)

    @staticmethod
    def _categorize_handlers(event_handlers: Any) -> tuple[list[Any], ...]:
        """Those of the beginning of training, of epochs, of batches, and of the ends of batches, epochs, training."""
        kinds = (TrainBegin, EpochBegin, BatchBegin, BatchEnd, EpochEnd, TrainEnd)
        return tuple([handler for handler in event_handlers if isinstance(handler, kind)] for kind in kinds)

    def _prepare_default_handlers(self, val_data: Any, event_handlers: Any) -> list[EventHandler]:
        return self._handlers(val_data, event_handlers)

    def _handlers(self, val_data: Any, given: Any) -> list[EventHandler]:
        defaults: list[EventHandler] = [GradientUpdateHandler(), MetricHandler(self.train_metrics)]
        if val_data:
            defaults.append(ValidationHandler(val_data, self.evaluate))
        defaults.append(LoggingHandler(metrics=self.train_metrics))
        stopping, own = StoppingHandler(self.max_epoch, self.max_batch), checked_handlers(given)
        handlers = _with_defaults([*own, stopping], defaults)
        if len(handlers) > len(own) + 1:
            _check_metrics(own, [*self.train_metrics, *self.val_metrics])
        return handlers


def _check_metrics(handlers: list[EventHandler], known: list[Any]) -> None:
    """Raises an ArgumentError for a handler of metrics that no other handler updates."""
    for handler in handlers:
        for name, value in vars(handler).items():
            listed = value if isinstance(value, list | tuple) else [value]
            if 'metric' in name and any(metric not in known for metric in listed if metric is not None):
                what = f"{type(handler).__name__} has a metric that is not the estimator's"
                raise ArgumentError(what, remedy='estimator.train_metrics, estimator.val_metrics')


def _with_defaults(given: list[EventHandler], defaults: list[EventHandler]) -> list[EventHandler]:
    """The handlers, and those defaults of which there is none, by priority."""
    missing = [each for each in defaults if not any(isinstance(handler, type(each)) for handler in given)]
    return sorted([*given, *missing], key=lambda handler: getattr(handler, 'priority', 0))


def _call(handlers: list[EventHandler], kind: type, event: str, estimator: Estimator, **kwargs: Any) -> bool:
    """Calls the handlers of an event; whether one of them says that it ends here."""
    answers = [getattr(handler, event)(estimator, **kwargs) for handler in handlers if isinstance(handler, kind)]
    return any(answers)


def _checked_loss(loss: Any) -> Any:
    if not isinstance(loss, losses.Loss):
        raise ArgumentError('loss must be a Loss of gluon.loss', got=repr(loss))
    return loss


def _checked_loader(data: Any) -> None:
    if not isinstance(data, DataLoader):
        raise ArgumentError('an Estimator takes a gluon.data.DataLoader', got=type(data).__name__)


def _checked_context(context: Any) -> list[Context]:
    if not context:
        return [gpu(0) if num_gpus() else cpu()]
    listed = [context] if isinstance(context, Context) else context
    if not isinstance(listed, list | tuple) or not all(isinstance(each, Context) for each in listed):
        raise ArgumentError('context must be a Context or a list of them', got=repr(context), remedy='mx.cpu()')
    for each in listed:
        _ = each.device  # which raises if there is none
    return list(listed)


def _checked_processor(processor: Any) -> Any:
    if processor is None:
        return BatchProcessor()
    if not all(callable(getattr(processor, name, None)) for name in ('fit_batch', 'evaluate_batch')):
        raise ArgumentError('a batch_processor has fit_batch and evaluate_batch', got=repr(processor))
    return processor


def _metrics_for(loss: Any) -> list[Any]:
    """Accuracy where there are classes, and the loss."""
    kind = type(loss).__name__
    suggested = [metrics_of.Accuracy()] if kind in ('SoftmaxCrossEntropyLoss', 'SoftmaxCELoss') else []
    return [*suggested, metrics_of.Loss(loss.name.rstrip('1234567890'))]


explain_calls(globals())
