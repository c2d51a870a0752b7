"""`BucketingModule`: a network for each length of a sequence, all with the same parameters."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx import initializer as init
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.model import load_params
from gluonjax.mx.module.base import BaseModule, Pairs
from gluonjax.mx.module.module import Module


class BucketingModule(BaseModule):
    """A module for each key of a bucket, which share parameters and the optimizer; one is compiled for each.

    Args:
        sym_gen: from a key to the symbol, the names of data and the names of labels.
        default_bucket_key: the key that it is bound with; that of the largest network.
        logger: where `fit` writes.
        context: as for `Module`.
        **options: others of `Module`.
    """

    def __init__(
        self,
        sym_gen: Callable[[Any], tuple[Any, Any, Any]],
        default_bucket_key: Any = None,
        logger: Any = logging,
        context: Any = None,
        **options: Any,
    ):
        super().__init__(logger)
        if default_bucket_key is None:
            raise ArgumentError('BucketingModule needs a default_bucket_key', remedy='iterator.default_bucket_key')
        self._sym_gen, self._default = sym_gen, default_bucket_key
        self._options = {'logger': logger, 'context': context, **options}
        self._buckets: dict[Any, Module] = {}
        self._bound_with: dict[str, Any] = {}
        self._current = self._make(default_bucket_key)
        self._monitor: Any = None

    def _make(self, key: Any) -> Module:
        symbol, data_names, label_names = self._sym_gen(key)
        return Module(symbol, data_names, label_names, **self._options)

    @classmethod
    def load(
        cls, prefix: str, epoch: int, sym_gen: Any = None, default_bucket_key: Any = None, **kwargs: Any
    ) -> BucketingModule:
        """A module of a checkpoint, with the networks of `sym_gen`."""
        module = cls(sym_gen, default_bucket_key, **kwargs)
        module._current.take_values(*load_params(prefix, epoch))
        module.params_initialized = True
        return module

    def save_checkpoint(self, prefix: str, epoch: int, remove_amp_cast: bool = False) -> None:
        """Writes the parameters, the networks of the buckets, and PREFIX.buckets with their keys."""
        self.require()
        self.save_params(f'{prefix}-{epoch:04d}.params')
        for key, module in self._buckets.items():
            module.symbol.save(f'{prefix}-{key}-symbol.json')
        nd.save(f'{prefix}.buckets', nd.array(list(self._buckets), dtype=np.int32))

    @property
    def symbol(self) -> Any:
        """The network of this bucket."""
        return self._current.symbol

    @property
    def data_names(self) -> list[str]:
        """The variables that are data."""
        return self._current.data_names

    @property
    def label_names(self) -> list[str]:
        """The variables that are labels."""
        return self._current.label_names

    @property
    def output_names(self) -> list[str]:
        """The outputs."""
        return self._current.output_names

    @property
    def data_shapes(self) -> Any:
        """What describes the data."""
        return self._current.data_shapes

    @property
    def label_shapes(self) -> Any:
        """What describes the labels."""
        return self._current.label_shapes

    @property
    def output_shapes(self) -> Any:
        """The names and shapes of the outputs."""
        return self._current.output_shapes

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: None = None,
        grad_req: Any = 'write',
    ) -> None:
        """Makes the network of the default bucket ready; see `Module.bind`."""
        if self.binded and not force_rebind:
            self.logger.warning('Already bound, ignoring bind()')
            return
        if shared_module is not None:
            raise ArgumentError('a BucketingModule shares its parameters with no other')
        self._bound_with = dict(for_training=for_training, inputs_need_grad=inputs_need_grad, grad_req=grad_req)
        default = self._buckets.get(self._default, self._current)
        default.bind(data_shapes, label_shapes, force_rebind=force_rebind, **self._bound_with)
        self._buckets, self._current = {self._default: default}, default
        self.for_training: bool = for_training
        self.inputs_need_grad: bool = inputs_need_grad
        self.binded: bool = True

    def switch_bucket(self, bucket_key: Any, data_shapes: Any, label_shapes: Any = None) -> None:
        """Goes to the network of a key, which is made ready for these shapes when it is first seen.

        Raises:
            GluonError: before `bind`.
            ArgumentError: if the network has a parameter that that of the default key has not.
        """
        self.require(params=False)
        if bucket_key not in self._buckets:
            default, module = self._buckets[self._default], self._make(bucket_key)
            module.bind(data_shapes, label_shapes, shared_module=default, **self._bound_with)
            if self._monitor is not None:
                module.install_monitor(self._monitor)
            self._buckets[bucket_key] = module
        self._current = self._buckets[bucket_key]

    def init_params(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        initializer: Any = init.Uniform(0.01),  # noqa: B008 (nobody writes into it)
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Draws the parameters, or takes those that are given; see `Module.init_params`."""
        if self.params_initialized and not force_init:
            return
        self.require(params=False)
        self._current.init_params(initializer, arg_params, aux_params, allow_missing, force_init, allow_extra)
        self.params_initialized: bool = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and of the auxiliary states."""
        return self._current.get_params()

    def init_optimizer(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        kvstore: Any = 'local',
        optimizer: Any = 'sgd',
        optimizer_params: Pairs = (('learning_rate', 0.01),),
        force_init: bool = False,
    ) -> None:
        """Makes the optimizer of all buckets; see `Module.init_optimizer`."""
        self.require()
        if self.optimizer_initialized and not force_init:
            self.logger.warning('optimizer already initialized, ignoring...')
            return
        self._current.init_optimizer(kvstore, optimizer, optimizer_params, force_init)
        for module in {*self._buckets.values()} - {self._current}:
            module.borrow_optimizer(self._current)
        self.optimizer_initialized: bool = True

    def _go(self, batch: Any) -> None:
        self.require()
        key = self._default if batch.bucket_key is None else batch.bucket_key
        self.switch_bucket(key, batch.provide_data, batch.provide_label)
        if self.optimizer_initialized and not self._current.optimizer_initialized:
            raise GluonError('a bucket has no optimizer', remedy='init_optimizer(force_init=True)')

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Computes the outputs by the network of the batch's `bucket_key`."""
        self._go(data_batch)
        self._current.forward(data_batch, is_train)

    def forward_backward(self, data_batch: Any) -> None:
        """A pass of training and the gradients, in one program."""
        self._go(data_batch)
        self._current.forward_backward(data_batch)

    def backward(self, out_grads: Any = None) -> None:
        """Computes the gradients."""
        self._current.backward(out_grads)

    def update(self) -> None:
        """Updates the parameters."""
        self.require(optimizer=True)
        self._current.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward pass."""
        return self._current.get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of data."""
        return self._current.get_input_grads(merge_multi_context)

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states between batches."""
        return self._current.get_states(merge_multi_context)

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Sets the states between batches."""
        self._current.set_states(states, value)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Has a metric take in the last outputs."""
        self._current.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        """Has a `Monitor` look at each pass."""
        self._monitor = mon
        for module in self._buckets.values():
            module.install_monitor(mon)


explain_calls(globals())
