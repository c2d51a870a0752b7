"""`mx.contrib.svrg_optimization`: stochastic gradients whose variance is reduced by those of the whole data."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from gluonjax.errors import ArgumentError, DTypeError
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.module import Module

svrg_module: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here
Names = Sequence[str] | None


class SVRGModule(Module):
    """A `Module` that corrects each gradient.

    Every few epochs it keeps its parameters, and the gradient of the whole data at them. From the gradient of a batch
    it takes that of the same batch at the parameters that were kept, and adds that of the whole data.

    Args:
        symbol: the network.
        data_names: as of `Module`, and so are the following.
        label_names: the variables that are labels.
        logger: where `fit` writes.
        context: a context, or several.
        work_load_list: accepted.
        fixed_param_names: parameters that are not trained.
        state_names: variables that are states between batches.
        group2ctxs: accepted.
        compression_params: accepted.
        update_freq: after how many epochs parameters are kept anew.

    Raises:
        DTypeError: if `update_freq` is no int.
        ArgumentError: if it is below 1.

    >>> import numpy as np
    >>> import gluonjax.mx as mx
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype('float32')
    >>> net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc'), name='softmax')
    >>> train = mx.io.NDArrayIter(x, x[:, 0] > x[:, 1], batch_size=16)
    >>> module = SVRGModule(net, update_freq=2)
    >>> module.fit(train, optimizer_params={'learning_rate': 0.5}, num_epoch=4)
    >>> module.score(train, 'acc')[0][1] > 0.9
    True
    """

    def __init__(
        self,
        symbol: Any,
        data_names: Names = ('data',),
        label_names: Names = ('softmax_label',),
        logger: Any = logging,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Any = None,
        fixed_param_names: Names = None,
        state_names: Names = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
        update_freq: int | None = None,
    ):
        if not isinstance(update_freq, int):
            raise DTypeError('update_freq must be an int', got=repr(update_freq), remedy='update_freq=2')
        if update_freq < 1:
            raise ArgumentError(f'update_freq must be an int >= 1, got {update_freq}')
        given = (symbol, data_names, label_names, logger, context, work_load_list, fixed_param_names, state_names)
        super().__init__(*given)
        self.update_freq: int = update_freq
        self._kept = Module(*given)  # with the parameters that were kept
        self._whole: dict[str, NDArray] = {}  # the gradient of the whole data at them

    def bind(self, *args: Any, **kwargs: Any) -> None:
        """Makes it ready for inputs of these shapes; the arguments are those of `Module.bind`."""
        super().bind(*args, **kwargs)
        if self.for_training:
            self._kept.bind(*args, **kwargs)

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Makes it ready for other shapes, with the same parameters."""
        super().reshape(data_shapes, label_shapes)
        if self._kept.binded:
            self._kept.reshape(data_shapes, label_shapes)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Computes the outputs."""
        super().forward(data_batch, is_train)
        if is_train:
            self._kept.forward(data_batch, is_train)

    def backward(self, out_grads: Any = None) -> None:
        """Computes the gradients, from those of the outputs."""
        super().backward(out_grads)
        if self._kept.binded:
            self._kept.backward(out_grads)

    def forward_backward(self, data_batch: Any) -> None:
        """A pass of training and the gradients."""
        super().forward_backward(data_batch)
        self._kept.forward_backward(data_batch)

    def update(self) -> None:
        """Updates the parameters by the corrected gradients."""
        gradients, others = self.executor.grad_dict, self._kept.executor.grad_dict
        for name, whole in self._whole.items():
            gradients[name][:] = gradients[name] - others[name] + whole
        super().update()

    def update_full_grads(self, train_data: Any) -> None:
        """Keeps the parameters, and computes the gradient of the whole data at them.

        Args:
            train_data: an iterator, which begins again.
        """
        self._kept.set_params(*self.get_params())
        train_data.reset()
        count, pad = 0, 0
        for batch in train_data:
            self._kept.forward_backward(batch)
            for name, gradient in self._kept.executor.grad_dict.items():
                if gradient is not None:  # MXNet goes on from the last mean, too
                    self._whole[name] = gradient + self._whole[name] if name in self._whole else gradient.copy()
            count, pad = count + 1, batch.pad or 0
        for name, total in self._whole.items():
            self._whole[name] = total / (count - pad / train_data.batch_size)
        train_data.reset()

    def train_epoch(self, epoch: int, train_data: Any, *args: Any) -> None:
        """Trains for one epoch; the arguments are those of `fit`."""
        if epoch % self.update_freq == 0:
            self.update_full_grads(train_data)
        super().train_epoch(epoch, train_data, *args)


explain_calls(globals())
