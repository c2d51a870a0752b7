"""What all modules share: the loops of training and evaluation on top of bind, forward, backward and update."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax import metric
from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import initializer as init
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io import DataBatch
from gluonjax.mx.model import BatchEndParam, read_params, save_params

Callback = Callable[..., Any]
Callbacks = Callback | Sequence[Callback] | None
Pairs = Sequence[tuple[str, Any]] | Mapping[str, Any]
_RATE = (('learning_rate', 0.01),)


def as_list(given: Any) -> list[Any]:
    """A list of callbacks, given one, several or none."""
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]


class BaseModule:
    """The base of modules.

    A subclass has `bind`, `init_params`, `init_optimizer`, `forward`, `backward`, `update`, `get_outputs`,
    `update_metric` and `get_params`.

    Args:
        logger: where `fit` writes.
    """

    def __init__(self, logger: Any = logging):
        self.logger: Any = logger
        self.binded: bool = False
        self.for_training: bool = False
        self.inputs_need_grad: bool = False
        self.params_initialized: bool = False
        self.optimizer_initialized: bool = False

    def require(self, *, optimizer: bool = False, params: bool = True) -> None:
        """Refuses what comes before `bind`, `init_params` or `init_optimizer`.

        Raises:
            GluonError: naming the call that is missing.
        """
        if not self.binded:
            raise GluonError('the module is not bound', remedy='bind(data_shapes=..., label_shapes=...)')
        if params and not self.params_initialized:
            raise GluonError('the module has no parameters yet', remedy='init_params()')
        if optimizer and not self.optimizer_initialized:
            raise GluonError('the module has no optimizer yet', remedy='init_optimizer()')

    # What subclasses have.

    def bind(self, data_shapes: Any, label_shapes: Any = None, **options: Any) -> None:
        """Makes it ready for inputs of these shapes."""
        raise NotImplementedError

    def init_params(self, initializer: Any = None, **options: Any) -> None:
        """Draws the parameters, or takes those that are given."""
        raise NotImplementedError

    def init_optimizer(self, kvstore: Any = 'local', optimizer: Any = 'sgd', **options: Any) -> None:
        """Makes the optimizer."""
        raise NotImplementedError

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Computes the outputs."""
        raise NotImplementedError

    def backward(self, out_grads: Any = None) -> None:
        """Computes the gradients."""
        raise NotImplementedError

    def update(self) -> None:
        """Updates the parameters."""
        raise NotImplementedError

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward pass."""
        raise NotImplementedError

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Has a metric take in the last outputs."""
        raise NotImplementedError

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and of the auxiliary states."""
        raise NotImplementedError

    def install_monitor(self, mon: Any) -> None:
        """Has a monitor look at each pass."""
        raise NotImplementedError

    @property
    def symbol(self) -> Any:
        """The network."""
        raise NotImplementedError

    # What follows from it.

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Does nothing: parameters are dense, and in place."""

    def forward_backward(self, data_batch: Any) -> None:
        """A pass of training, and the gradients."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Takes in parameters and auxiliary states by name.

        Args:
            arg_params: arrays by name.
            aux_params: arrays by name.
            allow_missing: whether those that are not given stay as they are.
            force_init: whether parameters that have values take others.
            allow_extra: whether names may be given that there are not.
        """
        given = dict(allow_missing=allow_missing, force_init=force_init, allow_extra=allow_extra)
        self.init_params(None, arg_params=arg_params, aux_params=aux_params, **given)

    def save_params(self, fname: str) -> None:
        """Writes the parameters and auxiliary states."""
        save_params(fname, *self.get_params())

    def load_params(self, fname: str) -> None:
        """Reads the parameters and auxiliary states."""
        self.set_params(*read_params(fname))

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states between batches: none."""
        return []

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Sets the states between batches, if there are some."""
        if states or value:
            raise ArgumentError('this module has no states', remedy='Module(..., state_names=[...])')

    def _batches(self, data: Any, num_batch: int | None, reset: bool) -> Iterator[tuple[int, Any]]:
        """The batches, each after its forward pass."""
        self.require()
        if reset:
            data.reset()
        for number, batch in enumerate(data):
            if number == num_batch:
                return
            self.prepare(batch)
            self.forward(batch, is_train=False)
            yield number, batch

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Callbacks = None,
        score_end_callback: Callbacks = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, Any]]:
        """The names and values of a metric over batches.

        Args:
            eval_data: an iterator.
            eval_metric: a metric, or what `mx.metric.create` takes.
            num_batch: after how many batches it ends; None for all.
            batch_end_callback: called after each batch.
            score_end_callback: called at the end.
            reset: whether the iterator begins again.
            epoch: what callbacks are told.
            sparse_row_id_fn: accepted.
        """
        eval_metric = _metric(eval_metric)
        eval_metric.reset()
        count = 0
        for nbatch, eval_batch in self._batches(eval_data, num_batch, reset):
            self.update_metric(eval_metric, eval_batch.label)
            for callback in as_list(batch_end_callback):
                callback(BatchEndParam(epoch, nbatch, eval_metric, locals()))
            count += 1
        for callback in as_list(score_end_callback):
            callback(BatchEndParam(epoch, count, eval_metric, locals()))
        return eval_metric.get_name_value()

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple[list[NDArray], int, Any]]:
        """The outputs of each batch without what only fills it, its number, and the batch."""
        for number, batch in self._batches(eval_data, num_batch, reset):
            yield self._unpadded(batch), number, batch

    def _unpadded(self, batch: Any) -> list[NDArray]:
        return [y[: y.shape[0] - (batch.pad or 0)].copy() for y in self.get_outputs()]

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """The outputs of an array, or of all batches.

        Args:
            eval_data: an array, or an iterator.
            num_batch: after how many batches it ends; None for all.
            merge_batches: whether the outputs of batches become one array.
            reset: whether the iterator begins again.
            always_output_list: whether a single output is in a list too.
            sparse_row_id_fn: accepted.

        Raises:
            ArgumentError: if batches have other numbers of outputs.
        """
        if isinstance(eval_data, NDArray | np.ndarray):
            self.require()
            self.forward(DataBatch([nd.array(eval_data)]), is_train=False)
            return self.get_outputs()[0]
        found = [outputs for outputs, _, _ in self.iter_predict(eval_data, num_batch, reset)]
        if not found or not merge_batches:
            return found
        if len({len(outputs) for outputs in found}) > 1:
            raise ArgumentError('batches have other numbers of outputs', remedy='merge_batches=False')
        merged = [nd.concatenate(list(parts)) for parts in zip(*found, strict=True)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = 'acc',
        epoch_end_callback: Callbacks = None,
        batch_end_callback: Callbacks = None,
        kvstore: Any = 'local',
        optimizer: Any = 'sgd',
        optimizer_params: Pairs = _RATE,
        eval_end_callback: Callbacks = None,
        eval_batch_end_callback: Callbacks = None,
        initializer: Any = init.Uniform(0.01),  # noqa: B008 (nobody writes into it)
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
    ) -> None:
        """Trains: binds, initializes what is not yet, and runs over the batches of each epoch.

        Args:
            train_data: an iterator.
            eval_data: an iterator for the score after each epoch.
            eval_metric: a metric, or what `mx.metric.create` takes.
            epoch_end_callback: called with the epoch, the symbol, the parameters and the auxiliary states.
            batch_end_callback: called after each batch with a `BatchEndParam`.
            kvstore: as for `init_optimizer`.
            optimizer: a name or an optimizer.
            optimizer_params: its arguments.
            eval_end_callback: called after each score.
            eval_batch_end_callback: called after each batch of it.
            initializer: of parameters that have no values.
            arg_params: values of parameters.
            aux_params: values of auxiliary states.
            allow_missing: whether some may lack in them; the initializer draws those.
            force_rebind: bind again, if it is bound.
            force_init: initialize again, if it is initialized.
            begin_epoch: the number of the first epoch.
            num_epoch: the number behind the last one.
            validation_metric: the metric of `eval_data`; the same by default.
            monitor: a `Monitor`.
            sparse_row_id_fn: accepted.

        Raises:
            ArgumentError: without `num_epoch`.
        """
        if num_epoch is None:
            raise ArgumentError('fit needs to know when it ends', remedy='num_epoch=10')
        shapes = dict(data_shapes=train_data.provide_data, label_shapes=train_data.provide_label)
        self.bind(**shapes, for_training=True, force_rebind=force_rebind)
        if monitor is not None:
            self.install_monitor(monitor)
        values = dict(arg_params=arg_params, aux_params=aux_params, allow_missing=allow_missing)
        if force_init or not self.params_initialized:
            self.init_params(initializer, **values, force_init=force_init)
        if not self.optimizer_initialized:
            self.init_optimizer(kvstore, optimizer, optimizer_params=optimizer_params)
        eval_metric = _metric(eval_metric)
        for epoch in range(begin_epoch, num_epoch):
            begin = time.time()
            self.train_epoch(epoch, train_data, eval_metric, batch_end_callback, monitor)
            for name, value in eval_metric.get_global_name_value():
                self.logger.info('Epoch[%d] Train-%s=%f', epoch, name, value)
            self.logger.info('Epoch[%d] Time cost=%.3f', epoch, time.time() - begin)
            for callback in as_list(epoch_end_callback):
                callback(epoch, self.symbol, *self.get_params())
            if eval_data is not None:
                chosen = eval_metric if validation_metric is None else validation_metric
                ends = (eval_batch_end_callback, eval_end_callback)
                for name, value in self.score(eval_data, chosen, None, *ends, epoch=epoch):
                    self.logger.info('Epoch[%d] Validation-%s=%f', epoch, name, value)
            train_data.reset()

    def train_epoch(self, epoch: int, train_data: Any, eval_metric: Any, callbacks: Callbacks, monitor: Any) -> None:
        """Trains for one epoch; the arguments are those of `fit`."""
        eval_metric.reset()
        for nbatch, data_batch in enumerate(train_data):
            if monitor is not None:
                monitor.tic()
            self.prepare(data_batch)
            self.forward_backward(data_batch)
            self.update()
            self.update_metric(eval_metric, data_batch.label)
            if monitor is not None:
                monitor.toc_print()
            for callback in as_list(callbacks):
                callback(BatchEndParam(epoch, nbatch, eval_metric, locals()))


def _metric(given: Any) -> Any:
    return given if isinstance(given, metric.EvalMetric) else metric.create(given)


explain_calls(globals())
