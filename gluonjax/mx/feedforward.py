"""`mx.model.FeedForward`: what trained a symbol before there were Modules."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax import metric
from gluonjax.errors import ArgumentError, DTypeError, GluonError, ShapeError
from gluonjax.mx import initializer as init
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io import DataIter, NDArrayIter, ResizeIter
from gluonjax.mx.model import load_checkpoint, save_checkpoint
from gluonjax.mx.module import BucketingModule, Module
from gluonjax.mx.module.base import BaseModule, Callbacks, as_list
from gluonjax.mx.symbol import Symbol

Contexts = Context | Sequence[Context] | None
_UNIFORM = init.Uniform(0.01)


def _counted_from_1(callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback that is told numbers of batches as this class counts them; Modules begin at 0."""
    return lambda param: callback(param._replace(nbatch=param.nbatch + 1))


class FeedForward:
    """A symbol that is trained, and that predicts; arrays of NumPy come in and out.

    Args:
        symbol: the network, or a function from the key of a bucket to it.
        ctx: a context, or several.
        num_epoch: the number behind the last epoch.
        epoch_size: how many batches an epoch has; all by default.
        optimizer: a name or an optimizer.
        initializer: of parameters that have no values.
        numpy_batch_size: how many rows of an array are a batch.
        arg_params: values of parameters.
        aux_params: values of auxiliary states.
        allow_extra_params: whether there may be values that the symbol has no use for.
        begin_epoch: the number of the first epoch.
        **kwargs: arguments of the optimizer.

    >>> import gluonjax.mx as mx
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype('float32')
    >>> net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2), name='softmax')
    >>> with warnings.catch_warnings(action='ignore'):
    ...     model = FeedForward(net, num_epoch=8, learning_rate=1.0, numpy_batch_size=16)
    >>> model.fit(x, x[:, 0] > 0)
    >>> model.predict(x).shape, model.score(mx.io.NDArrayIter(x, x[:, 0] > 0, 16)) > 0.9
    ((64, 2), True)
    """

    def __init__(
        self,
        symbol: Symbol | Callable[[Any], Symbol],
        ctx: Contexts = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = 'sgd',
        initializer: Any = _UNIFORM,
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, Any] | None = None,
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ):
        warnings.warn('FeedForward is deprecated; mx.mod.Module replaced it', DeprecationWarning, stacklevel=2)
        self.symbol: Symbol | None = symbol if isinstance(symbol, Symbol) else None
        self.sym_gen: Callable[[Any], Symbol] | None = None if isinstance(symbol, Symbol) else symbol
        self.ctx: Contexts = ctx
        self.num_epoch: int | None = num_epoch
        self.epoch_size: int | None = epoch_size
        self.optimizer: Any = optimizer
        self.initializer: Any = initializer
        self.numpy_batch_size: int = numpy_batch_size
        self.arg_params: Any = arg_params
        self.aux_params: Any = aux_params
        self.allow_extra_params: bool = allow_extra_params
        self.begin_epoch: int = begin_epoch
        self.kwargs: dict[str, Any] = kwargs

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = 'acc',
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = 'local',
        logger: Any = None,
        work_load_list: Any = None,
        monitor: Any = None,
        eval_end_callback: Callbacks = None,
        eval_batch_end_callback: Callbacks = None,
    ) -> None:
        """Trains, from `begin_epoch` to `num_epoch`.

        Args:
            X: an iterator, or an array.
            y: the labels of an array.
            eval_data: an iterator, or a pair of arrays, for the score after each epoch.
            eval_metric: a metric, or what `mx.metric.create` takes.
            epoch_end_callback: called with the epoch, the symbol, the parameters and the auxiliary states.
            batch_end_callback: called after each batch with a `BatchEndParam`.
            kvstore: as for `Module.fit`.
            logger: where it writes; the root logger by default.
            work_load_list: accepted.
            monitor: a `Monitor`.
            eval_end_callback: called after each score.
            eval_batch_end_callback: called after each batch of it.
        """
        data = self._iterator(X, y, training=True)
        module = self._module(data, logger or logging.getLogger())
        batches = data if self.epoch_size is None else ResizeIter(data, self.epoch_size, reset_internal=False)
        arguments, auxiliary = self._values()
        module.fit(
            batches,
            self._evaluation(eval_data),
            eval_metric=eval_metric,
            epoch_end_callback=epoch_end_callback,
            batch_end_callback=[_counted_from_1(callback) for callback in as_list(batch_end_callback)],
            kvstore=kvstore,
            optimizer=self.optimizer,
            optimizer_params=self.kwargs,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
            initializer=self.initializer,
            arg_params=arguments,
            aux_params=auxiliary,
            allow_missing=True,
            begin_epoch=self.begin_epoch,
            num_epoch=self.num_epoch,
            monitor=monitor,
        )
        self.arg_params, self.aux_params = module.get_params()

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:
        """The outputs, an array of NumPy or a list of them; with `return_data` also the data and the labels.

        Args:
            X: an iterator, or an array.
            num_batch: after how many batches it ends; None for all.
            return_data: whether data and labels are returned too.
            reset: whether the iterator begins again.
        """
        data = self._iterator(X, None, training=False)
        found: list[list[list[Any]]] = [[], [], []]
        for outputs, _, batch in self._predictor(data).iter_predict(data, num_batch, reset):
            count = data.batch_size - (batch.pad or 0)
            found[0].append([y.asnumpy() for y in outputs])
            if return_data:
                found[1].append([x[:count].asnumpy() for x in batch.data])
                found[2].append([x[:count].asnumpy() for x in batch.label or ()])
        joined = [[np.concatenate(parts) for parts in zip(*batches, strict=True)] for batches in found]
        results = [arrays[0] if len(arrays) == 1 else arrays for arrays in joined]
        return tuple(results) if return_data else results[0]

    def score(
        self,
        X: Any,
        eval_metric: Any = 'acc',
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        reset: bool = True,
    ) -> Any:
        """The value of a metric over the batches of an iterator."""
        data = self._iterator(X, None, training=False)
        chosen = eval_metric if isinstance(eval_metric, metric.EvalMetric) else metric.create(eval_metric)
        self._predictor(data).score(data, chosen, num_batch, batch_end_callback, reset=reset)
        return chosen.get()[1]

    def save(self, prefix: str | os.PathLike[str], epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Writes PREFIX-symbol.json, and PREFIX-0001.params for epoch 1; `num_epoch` by default.

        Raises:
            ArgumentError: without a number.
        """
        number = self.num_epoch if epoch is None else epoch
        if number is None:
            raise ArgumentError('a checkpoint has the number of an epoch', remedy='epoch=1')
        save_checkpoint(os.fspath(prefix), number, self.symbol, self.arg_params, self.aux_params)

    @staticmethod
    def load(prefix: str | os.PathLike[str], epoch: int, ctx: Contexts = None, **kwargs: Any) -> FeedForward:
        """The model of a checkpoint; more arguments are those of the class."""
        symbol, arguments, auxiliary = load_checkpoint(os.fspath(prefix), epoch)
        values = {'arg_params': arguments, 'aux_params': auxiliary, 'begin_epoch': epoch}
        return FeedForward(symbol, ctx, **{**values, **kwargs})

    @staticmethod
    def create(
        symbol: Symbol | Callable[[Any], Symbol],
        X: Any,
        y: Any = None,
        ctx: Contexts = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = 'sgd',
        initializer: Any = _UNIFORM,
        eval_data: Any = None,
        eval_metric: Any = 'acc',
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = 'local',
        logger: Any = None,
        work_load_list: Any = None,
        eval_end_callback: Callbacks = None,
        eval_batch_end_callback: Callbacks = None,
        **kwargs: Any,
    ) -> FeedForward:
        """A model that is trained: the arguments of the class, and those of `fit`."""
        model = FeedForward(symbol, ctx, num_epoch, epoch_size, optimizer, initializer, **kwargs)
        model.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        return model

    def _module(self, data: Any, logger: Any = logging) -> BaseModule:
        """A module of the symbol, for the names of this data."""
        inputs = [item[0] for item in data.provide_data]
        labels = [item[0] for item in data.provide_label or ()]
        if self.sym_gen is None:
            return Module(self.symbol, inputs, labels, logger, self.ctx)  # type: ignore[arg-type]
        self.symbol = self.sym_gen(data.default_bucket_key)

        def build(key: Any) -> tuple[Any, list[str], list[str]]:
            return self.sym_gen(key), inputs, labels  # type: ignore[misc]

        return BucketingModule(build, data.default_bucket_key, logger, self.ctx)

    def _values(self) -> list[Any]:
        """The values that there are of parameters, and of auxiliary states."""
        symbol: Any = self.symbol
        names = {*symbol.list_arguments(), *symbol.list_auxiliary_states()}
        given = [self.arg_params or {}, self.aux_params or {}]
        if self.allow_extra_params:
            given = [{name: value for name, value in values.items() if name in names} for values in given]
        return given

    def _predictor(self, data: Any) -> BaseModule:
        if self.arg_params is None:
            raise GluonError('the model has no parameters yet', remedy='fit(X, y), or FeedForward.load')
        module = self._module(data)
        module.bind(data.provide_data, data.provide_label, for_training=False)
        arguments, auxiliary = self._values()
        module.init_params(self.initializer, arg_params=arguments, aux_params=auxiliary, allow_missing=True)
        return module

    def _iterator(self, X: Any, y: Any, training: bool) -> Any:
        """The iterator that is given, or one over arrays."""
        if isinstance(X, DataIter):
            return X
        if not isinstance(X, NDArray | np.ndarray):
            raise DTypeError('X must be an array or an iterator', got=type(X).__name__)
        if y is None and training:
            raise ArgumentError('an array needs labels', remedy='fit(X, y)')
        labels: Any = np.zeros(len(X)) if y is None else np.asarray(y.asnumpy() if isinstance(y, NDArray) else y)
        labels = labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if labels.shape != X.shape[:1]:
            raise ShapeError('y must have one label for each row of X', expected=X.shape[:1], got=labels.shape)
        rule = {'shuffle': True, 'last_batch_handle': 'roll_over'} if training else {}
        return NDArrayIter(X, labels, min(len(X), self.numpy_batch_size), **rule)

    def _evaluation(self, given: Any) -> Any:
        """An iterator over data for the score."""
        if given is None or isinstance(given, DataIter):
            return given
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise DTypeError('eval_data must be an iterator, or (data, labels)', got=type(given).__name__)
        X, y = given
        if y is None and isinstance(X, DataIter):
            return X
        X, y = (np.array(part) if isinstance(part, list) else part for part in (X, y))
        return self._iterator(X, y, training=True)


explain_calls(globals())
