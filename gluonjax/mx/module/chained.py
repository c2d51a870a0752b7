"""Modules in a row, and modules of Python code without parameters."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.mx import initializer as init
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.module.base import BaseModule, Pairs

_RATE = (('learning_rate', 0.01),)
_METAS = ('take_labels', 'auto_wiring')
_Named = list[tuple[str, Any]]


class SequentialModule(BaseModule):
    """Modules in a row: the outputs of each are the data of the next.

    Args:
        logger: where `fit` writes.
    """

    META_TAKE_LABELS = 'take_labels'
    META_AUTO_WIRING = 'auto_wiring'

    def __init__(self, logger: Any = logging):
        super().__init__(logger)
        self._modules: list[Any] = []
        self._metas: list[dict[str, Any]] = []
        self._label_shapes: Any = None

    def add(self, module: BaseModule, **kwargs: Any) -> SequentialModule:
        """Puts a module at the end, and returns itself; it is to be bound again.

        Args:
            module: the module.
            **kwargs: `take_labels`, whether it takes the labels and takes part in metrics; `auto_wiring`, whether its
                data are the outputs before it, whatever their names.

        Raises:
            ArgumentError: for something else.
        """
        if wrong := sorted(set(kwargs) - set(_METAS)):
            raise ArgumentError('there is no such option of a module', expected=', '.join(_METAS), got=wrong[0])
        self._modules.append(module)
        self._metas.append(kwargs)
        self.binded = self.params_initialized = self.optimizer_initialized = False
        return self

    @property
    def data_names(self) -> list[str]:
        """The names of the data of the first module."""
        return self._modules[0].data_names if self._modules else []

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs of the last module."""
        return self._modules[-1].output_names if self._modules else []

    @property
    def data_shapes(self) -> Any:
        """Those of the first module."""
        self.require(params=False)
        return self._modules[0].data_shapes

    @property
    def label_shapes(self) -> Any:
        """What was bound; None if no module takes labels."""
        self.require(params=False)
        return self._label_shapes

    @property
    def output_shapes(self) -> Any:
        """Those of the last module."""
        self.require(params=False)
        return self._modules[-1].output_shapes

    @property
    def symbol(self) -> Any:
        """None: there is no symbol of all."""
        return None

    def bind(self, data_shapes: Any, label_shapes: Any = None, **options: Any) -> None:
        """Binds the modules, each to the shapes of the outputs before it.

        Raises:
            ArgumentError: if there are no modules.
        """
        if self.binded and not options.get('force_rebind'):
            self.logger.warning('Already bound, ignoring bind()')
            return
        if not self._modules:
            raise ArgumentError('a SequentialModule without modules cannot be bound', remedy='add(module)')
        self.for_training: bool = options.pop('for_training', True)
        self.inputs_need_grad: bool = options.pop('inputs_need_grad', False)
        takes = [bool(meta.get('take_labels')) for meta in self._metas]
        self._label_shapes = label_shapes if any(takes) else None
        for i, (module, meta) in enumerate(zip(self._modules, self._metas, strict=True)):
            if meta.get('auto_wiring'):
                given = zip(module.data_names, data_shapes, strict=True)
                data_shapes = [(name, description[1]) for name, description in given]
            module.bind(
                data_shapes=data_shapes,
                label_shapes=label_shapes if takes[i] else None,
                for_training=self.for_training,
                inputs_need_grad=self.inputs_need_grad or (self.for_training and i > 0),
                **options,
            )
            data_shapes = module.output_shapes
        self.binded: bool = True

    def init_params(self, initializer: Any = None, **options: Any) -> None:
        """Initializes the modules, as `Module.init_params`.

        Raises:
            ParamsError: if two of them have a parameter of one name.
        """
        if self.params_initialized and not options.get('force_init'):
            return
        self.require(params=False)
        known: set[str] = set()
        for module in self._modules:
            module.init_params(init.Uniform(0.01) if initializer is None else initializer, **options)
            names = {name for some in module.get_params() for name in some}
            if twice := sorted(known & names):
                raise ParamsError('two modules have a parameter of one name', got=twice, remedy='name the layers')
            known |= names
        self.params_initialized: bool = True

    def init_optimizer(self, kvstore: Any = 'local', optimizer: Any = 'sgd', **options: Any) -> None:
        """Makes an optimizer for each module."""
        self.require()
        for module in self._modules:
            module.init_optimizer(kvstore, optimizer, **options)
        self.optimizer_initialized: bool = True

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        self.require()
        arguments: dict[str, NDArray] = {}
        auxiliary: dict[str, NDArray] = {}
        for module in self._modules:
            for all_of, own in zip((arguments, auxiliary), module.get_params(), strict=True):
                all_of.update(own)
        return arguments, auxiliary

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self.require()
        batch = copy.copy(data_batch)
        for module in self._modules:
            module.forward(batch, is_train=is_train)
            batch.data = module.get_outputs()
            batch.provide_data = [
                (name, y.shape) for (name, _), y in zip(module.output_shapes, batch.data, strict=True)
            ]

    def backward(self, out_grads: Any = None) -> None:
        self.require()
        for i, module in reversed(list(enumerate(self._modules))):
            module.backward(out_grads=out_grads)
            out_grads = module.get_input_grads() if i else None

    def update(self) -> None:
        self.require(optimizer=True)
        for module in self._modules:
            module.update()

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        self.require()
        return self._modules[-1].get_outputs(merge_multi_context)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the data, if they were asked for when it was bound."""
        self.require()
        return self._modules[0].get_input_grads(merge_multi_context)

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        self.require()
        for module, meta in zip(self._modules, self._metas, strict=True):
            if meta.get('take_labels'):
                module.update_metric(eval_metric, labels, pre_sliced)

    def install_monitor(self, mon: Any) -> None:
        for module in self._modules:
            module.install_monitor(mon)


class PythonModule(BaseModule):
    """A module of Python code, without parameters. A subclass has `forward`, `get_outputs` and what it needs.

    Args:
        data_names: of the data.
        label_names: of the labels, or None.
        output_names: of the outputs.
        logger: where `fit` writes.
    """

    def __init__(
        self,
        data_names: Sequence[str],
        label_names: Sequence[str] | None,
        output_names: Sequence[str],
        logger: Any = logging,
    ):
        super().__init__(logger)
        self.data_names: list[str] = list(data_names)
        self.label_names: list[str] | None = None if label_names is None else list(label_names)
        self.output_names: list[str] = list(output_names)
        self.data_shapes: Any = None
        self.label_shapes: Any = None
        self.output_shapes: Any = None

    @property
    def symbol(self) -> Any:
        """None: there is none."""
        return None

    def bind(self, data_shapes: Any, label_shapes: Any = None, **options: Any) -> None:
        """Takes the shapes.

        Raises:
            ArgumentError: for other names than its own.
        """
        if self.binded and not options.get('force_rebind'):
            self.logger.warning('Already bound, ignoring bind()')
            return
        for names, shapes in ((self.data_names, data_shapes), (self.label_names, label_shapes)):
            if shapes is not None and [shape[0] for shape in shapes] != (names or []):
                raise ArgumentError('the inputs have other names', expected=names, got=[shape[0] for shape in shapes])
        self.for_training: bool = options.get('for_training', True)
        self.inputs_need_grad: bool = options.get('inputs_need_grad', False)
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        self.data_shapes, self.label_shapes = data_shapes, label_shapes
        self.output_shapes = self._compute_output_shapes()
        self.binded: bool = True

    def _compute_output_shapes(self) -> _Named:
        """The names and shapes of the outputs, from `self._data_shapes`."""
        raise NotImplementedError

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        return {}, {}

    def init_params(self, initializer: Any = None, **options: Any) -> None:
        self.params_initialized: bool = True

    def init_optimizer(
        self, kvstore: Any = 'local', optimizer: Any = 'sgd', optimizer_params: Pairs = _RATE, **options: Any
    ) -> None:
        self.optimizer_initialized: bool = True

    def update(self) -> None:
        pass

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        if self.label_shapes is not None:
            eval_metric.update(labels, self.get_outputs())


class PythonLossModule(PythonModule):
    """A loss as a module: its output is its data, and their gradient is what a function says.

    Args:
        name: of the output, before '_output'.
        data_names: the one name of the scores.
        label_names: the one name of the labels.
        logger: where `fit` writes.
        grad_func: from scores and labels to the gradient of the scores.

    >>> import gluonjax.mx as mx
    >>> loss = PythonLossModule(grad_func=lambda scores, labels: scores - labels)
    >>> loss.bind([('data', (1, 2))], [('softmax_label', (1, 2))])
    >>> loss.init_params()
    >>> loss.forward(mx.io.DataBatch([nd.array([[3, 4]])], [nd.array([[1, 1]])]))
    >>> loss.backward()
    >>> loss.get_input_grads()[0].asnumpy().tolist()
    [[2.0, 3.0]]
    """

    def __init__(
        self,
        name: str = 'pyloss',
        data_names: Sequence[str] = ('data',),
        label_names: Sequence[str] = ('softmax_label',),
        logger: Any = logging,
        grad_func: Callable[[NDArray, NDArray], Any] | None = None,
    ):
        super().__init__(data_names, label_names, [f'{name}_output'], logger)
        self._name = name
        self._grad_func = grad_func
        self._scores: Any = None
        self._labels: Any = None
        self._scores_grad: Any = None

    def _compute_output_shapes(self) -> _Named:
        return [(f'{self._name}_output', self._data_shapes[0][1])]

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        self._scores = data_batch.data[0]
        if self.for_training if is_train is None else is_train:
            self._labels = data_batch.label[0]

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        return [self._scores]

    def backward(self, out_grads: Any = None) -> None:
        if out_grads is not None:
            raise ArgumentError('a loss has no gradients of outputs', remedy='backward()')
        self._backward_impl()

    def _backward_impl(self) -> None:
        if self._grad_func is None:
            raise NotImplementedError('PythonLossModule(grad_func=...), or _backward_impl of your own')
        gradient = self._grad_func(self._scores, self._labels)
        self._scores_grad = gradient if isinstance(gradient, NDArray) else nd.array(gradient)

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradient of the scores."""
        return [self._scores_grad]


explain_calls(globals())
