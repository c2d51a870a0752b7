"""`Module`: a symbol, its parameters, and an executor for the shapes of its inputs."""

from __future__ import annotations

import logging
import pathlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gluonjax import init as native
from gluonjax import metric
from gluonjax.errors import ArgumentError, FileError, ParamsError, ShapeError, UninitializedError
from gluonjax.keys import next_key
from gluonjax.mx import initializer as init
from gluonjax.mx import kvstore as kv
from gluonjax.mx import optimizer as optimizers
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.context import Context, current_context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.executor import Executor, Programs
from gluonjax.mx.io import DataDesc
from gluonjax.mx.io.batch import described
from gluonjax.mx.model import load_checkpoint
from gluonjax.mx.module.base import BaseModule, Pairs
from gluonjax.mx.module.placement import Placement
from gluonjax.mx.symbol import Symbol
from gluonjax.mx.tape import Tracked

Names = Sequence[str] | None
_PARAMETERS = ('_weight', '_bias', '_gamma', '_beta')


class Module(BaseModule):
    """A symbol with its parameters.

    Args:
        symbol: the network.
        data_names: the variables that are data.
        label_names: the variables that are labels.
        logger: where `fit` writes.
        context: a context, or several: then a batch is one array over their devices. Unlike MXNet's, statistics of
            batch normalization are those of the whole batch.
        work_load_list: accepted.
        fixed_param_names: parameters that are not trained.
        state_names: variables that are states between batches.
        group2ctxs: accepted.
        compression_params: accepted.

    Raises:
        ArgumentError: if a name is no variable of the symbol.

    >>> import gluonjax.mx as mx
    >>> net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc'), name='softmax')
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype('float32')
    >>> train = mx.io.NDArrayIter(x, x[:, 0] > x[:, 1], batch_size=16)
    >>> module = Module(net)
    >>> module.fit(train, optimizer_params={'learning_rate': 1}, num_epoch=4)
    >>> module.score(train, 'acc')[0][1] > 0.9
    True
    >>> module.predict(train).shape
    (64, 2)
    """

    def __init__(
        self,
        symbol: Symbol,
        data_names: Names = ('data',),
        label_names: Names = ('softmax_label',),
        logger: Any = logging,
        context: Context | Sequence[Context] | None = None,
        work_load_list: Any = None,
        fixed_param_names: Names = None,
        state_names: Names = None,
        group2ctxs: Any = None,
        compression_params: Any = None,
    ):
        super().__init__(logger)
        self._symbol = symbol
        self._placement = Placement(context if context is not None else current_context())
        arguments = symbol.list_arguments()
        self._data_names = _known(data_names, 'data', arguments)
        self._label_names = [name for name in label_names or () if name in arguments]
        self._state_names = _known(state_names, 'state', arguments)
        self._fixed = set(_known(fixed_param_names, 'fixed_param', arguments))
        inputs = {*self._data_names, *(label_names or ()), *self._state_names}
        self._param_names = [name for name in arguments if name not in inputs]
        self._aux_names = symbol.list_auxiliary_states()
        self._programs = Programs(symbol.run)
        self._params: dict[str, NDArray] = {}
        self._aux: dict[str, NDArray] = {}
        self._executor: Executor | None = None
        self._updater: optimizers.Updater | None = None
        self._preloaded: str | None = None
        self._monitor: Any = None
        self._grad_req: Any = 'write'
        self._data_shapes: list[DataDesc] = []
        self._label_shapes: list[DataDesc] | None = None

    @classmethod
    def load(cls, prefix: str, epoch: int, load_optimizer_states: bool = False, **kwargs: Any) -> Module:
        """A module of a checkpoint.

        Args:
            prefix: how the names of its files begin.
            epoch: its number.
            load_optimizer_states: whether `init_optimizer` reads the state of the optimizer too.
            **kwargs: for `Module`.
        """
        symbol, arguments, auxiliary = load_checkpoint(prefix, epoch)
        module = cls(symbol, **kwargs)
        module.take_values(arguments, auxiliary)
        if load_optimizer_states:
            module._preloaded = f'{prefix}-{epoch:04d}.states'
        return module

    def take_values(self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
        """Has these values before it is bound."""
        self._params = {name: self._placement.replicate(value) for name, value in arg_params.items()}
        self._aux = {name: self._placement.replicate(value) for name, value in aux_params.items()}
        self.params_initialized: bool = True

    def save_checkpoint(
        self, prefix: str, epoch: int, save_optimizer_states: bool = False, remove_amp_cast: bool = True
    ) -> None:
        """Writes PREFIX-symbol.json, PREFIX-0001.params for epoch 1, and PREFIX-0001.states if asked."""
        self._symbol.save(f'{prefix}-symbol.json')
        self.save_params(f'{prefix}-{epoch:04d}.params')
        if save_optimizer_states:
            self.save_optimizer_states(f'{prefix}-{epoch:04d}.states')

    # What it is.

    @property
    def symbol(self) -> Symbol:
        """The network."""
        return self._symbol

    @property
    def data_names(self) -> list[str]:
        """The variables that are data."""
        return self._data_names

    @property
    def label_names(self) -> list[str]:
        """The variables that are labels."""
        return self._label_names

    @property
    def output_names(self) -> list[str]:
        """The outputs."""
        return self._symbol.list_outputs()

    @property
    def data_shapes(self) -> list[DataDesc]:
        """What describes the data."""
        self.require(params=False)
        return self._data_shapes

    @property
    def label_shapes(self) -> list[DataDesc] | None:
        """What describes the labels."""
        self.require(params=False)
        return self._label_shapes

    @property
    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """The names and shapes of the outputs."""
        self.require(params=False)
        known = {desc.name: desc.shape for desc in (*self._data_shapes, *(self._label_shapes or ()))}
        return list(zip(self.output_names, self._symbol.infer_shape_partial(**known)[1], strict=True))

    @property
    def _arg_params(self) -> dict[str, NDArray]:  # private names that programs read
        return self._params

    @property
    def _aux_params(self) -> dict[str, NDArray]:
        return self._aux

    @property
    def _optimizer(self) -> optimizers.Optimizer | None:
        return None if self._updater is None else self._updater.optimizer

    @property
    def executor(self) -> Executor:
        """What computes it."""
        self.require(params=False)
        return self._executor  # type: ignore[return-value]

    # Binding.

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Module | None = None,
        grad_req: Any = 'write',
    ) -> None:
        """Makes it ready for inputs of these shapes.

        Args:
            data_shapes: descriptions, or pairs of name and shape.
            label_shapes: the same of labels; None without.
            for_training: whether gradients are computed.
            inputs_need_grad: whether those of data are too.
            force_rebind: bind again, if it is bound.
            shared_module: one whose parameters and optimizer it uses.
            grad_req: 'write', 'add' or 'null'; or a list or a dict of them.

        Raises:
            ArgumentError: if names are others than the module was made with.
            ShapeError: if the shapes do not decide those of parameters.
        """
        if self.binded and not force_rebind:
            self.logger.warning('Already bound, ignoring bind()')
            return
        if inputs_need_grad and not for_training:
            raise ArgumentError('inputs_need_grad needs for_training=True')
        shapes = self._described(data_shapes, label_shapes)
        self.for_training: bool = for_training
        self.inputs_need_grad: bool = inputs_need_grad
        self._grad_req = grad_req
        if shared_module is not None:
            shared_module.require()
            self._params, self._aux = shared_module._params, shared_module._aux
            self.params_initialized: bool = True
        self._bind(*shapes)
        self.binded: bool = True
        if shared_module is not None and shared_module.optimizer_initialized:
            self.borrow_optimizer(shared_module)

    def _described(self, data_shapes: Any, label_shapes: Any) -> tuple[list[DataDesc], list[DataDesc] | None]:
        data = list(map(described, data_shapes))
        if sorted(desc.name for desc in data) != sorted(self._data_names):
            got = [desc.name for desc in data]
            raise ArgumentError('data_shapes has other names than the module', expected=self._data_names, got=got)
        if label_shapes is None:
            return data, None
        return data, [desc for desc in map(described, label_shapes) if desc.name in self._label_names]

    def _bind(self, data_shapes: list[DataDesc], label_shapes: list[DataDesc] | None) -> None:
        """Makes an executor that shares the parameters."""
        inputs = {desc.name: desc for desc in (*data_shapes, *(label_shapes or ()))}
        dtypes = {name: np.dtype(desc.dtype) for name, desc in inputs.items()}
        inference = self._symbol.inference({name: desc.shape for name, desc in inputs.items()}, dtypes)
        arrays: dict[str, NDArray] = {}
        for node in inference.nodes:
            if node.is_variable and (node.name in inputs or node.name not in self._label_names):
                shape, dtype = inference.shapes[node][0], inference.dtypes[node][0] or np.dtype('float32')
                if shape is None or None in shape:
                    raise ShapeError(f'the shape of {node.name!r} does not follow from those of data', got=shape)
                arrays[node.name] = self._held(node.name, shape, dtype)
        requests = self._requests()
        held = {} if self._executor is None else self._executor.grad_dict
        gradients = {name: g for name, g in held.items() if name in self._params and requests[name] != 'null'}
        for names, known in ((self._param_names, self._params), (self._aux_names, self._aux)):
            known.update({name: arrays[name] for name in names})
        self._executor = Executor(
            self._programs,
            self._symbol.list_arguments(),
            self.output_names,
            {name: array for name, array in arrays.items() if name not in self._aux_names},
            {name: arrays[name] for name in self._aux_names},
            requests,
            gradients,
            self._symbol,
        )
        self._data_shapes, self._label_shapes = data_shapes, label_shapes
        if self._monitor is not None:
            self._monitor.install(self._executor)

    def _held(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
        """The array of a variable, or zeros."""
        known = self._params.get(name, self._aux.get(name))
        if known is None:
            return self._placement.replicate(jnp.zeros(shape, dtype))
        if known.shape != tuple(shape):
            raise ShapeError(f'{name!r} has another shape than the inputs decide', expected=shape, got=known.shape)
        return known

    def _requests(self) -> dict[str, str]:
        names = self._symbol.list_arguments()
        given = self._grad_req
        if isinstance(given, str):
            given = dict.fromkeys(names, given)
        elif not isinstance(given, Mapping):
            given = dict(zip(names, given, strict=True))
        trained = {*self._param_names, *(self._data_names if self.inputs_need_grad else ())} - self._fixed
        return {n: given.get(n, 'write') if self.for_training and n in trained else 'null' for n in names}

    def reshape(self, data_shapes: Any, label_shapes: Any = None) -> None:
        """Makes it ready for other shapes, with the same parameters."""
        self.require(params=False)
        self._bind(*self._described(data_shapes, label_shapes))

    # Parameters.

    def init_params(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        initializer: Any = init.Uniform(0.01),  # noqa: B008 (nobody writes into it)
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Draws the parameters, or takes those that are given.

        Args:
            initializer: for parameters whose variables declare none.
            arg_params: values of parameters by name.
            aux_params: values of auxiliary states by name.
            allow_missing: whether some may lack; the initializer draws them, or they stay without one.
            force_init: initialize again, if they have values.
            allow_extra: whether names may be given that there are not.

        Raises:
            UninitializedError: if one lacks.
            ParamsError: for a name that there is not.
            ShapeError: for a value of another shape.
        """
        if self.params_initialized and not force_init:
            warnings.warn('parameters have values; init_params does nothing without force_init=True', stacklevel=2)
            return
        self.require(params=False)
        values: list[tuple[NDArray, NDArray]] = []
        for given, held in ((arg_params, self._params), (aux_params, self._aux)):
            for name in sorted(held):
                value = self._value(name, held[name], given, initializer, allow_missing)
                if value is not None:
                    values.append((held[name], value))
            extra = [name for name in given or () if name not in held]
            if extra and not allow_extra:
                raise ParamsError(f'the network has no {extra[0]!r}', expected=', '.join(held), got=extra)
        for array, value in values:
            array.assign(Tracked(value.value))
        self.params_initialized: bool = True

    def _value(self, name: str, held: NDArray, given: Any, initializer: Any, allow_missing: bool) -> NDArray | None:
        """The value that a parameter gets; None if it stays."""
        if given is not None and name in given:
            value = as_jax(given[name])
            if value.shape != held.shape:
                raise ShapeError(f'{name!r} has another shape', expected=held.shape, got=value.shape)
            return self._placement.replicate(value.astype(held.value.dtype))
        if given is not None and not allow_missing:
            raise UninitializedError(f'{name!r} is not among the parameters', remedy='allow_missing=True')
        if initializer is None:
            return None
        value = NDArray(jnp.zeros(held.shape, held.value.dtype))
        chosen = init.create(initializer) if isinstance(initializer, str) else initializer
        if type(chosen).__call__ is native.Initializer.__call__:  # one of gluonjax.init, which gives values
            with next_key() as key:
                return self._placement.replicate(chosen.for_name(name)(key, held.shape, held.value.dtype))
        chosen(init.InitDesc(name, self._symbol.attr_dict().get(name)), value)
        return self._placement.replicate(value)

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Takes in parameters and auxiliary states by name; see `BaseModule.set_params`."""
        given = arg_params or {}, aux_params or {}
        self.init_params(None, *given, allow_missing, force_init, allow_extra)

    def get_params(self) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Copies of the parameters and of the auxiliary states."""
        if not self.params_initialized:
            raise UninitializedError('the module has no parameters yet', remedy='init_params()')
        arguments, auxiliary = ({k: v.copy() for k, v in held.items()} for held in (self._params, self._aux))
        return arguments, auxiliary

    # Computing.

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Computes the outputs; for data of another shape, it is made ready first.

        Args:
            data_batch: a `DataBatch`.
            is_train: whether it is a pass of training; by default, whether it was bound for it.
        """
        training = self.for_training if is_train is None else is_train
        inputs = self._inputs(data_batch)  # which may make another executor
        self.executor.forward(training, **inputs)

    def forward_backward(self, data_batch: Any) -> None:
        """A pass of training and the gradients, in one program."""
        inputs = self._inputs(data_batch)
        self.executor.forward_backward(**inputs)

    def _inputs(self, batch: Any) -> dict[str, Any]:
        self.require()
        data, label = list(batch.data), list(getattr(batch, 'label', None) or ())
        if len(data) != len(self._data_shapes):
            expected = [desc.name for desc in self._data_shapes]
            raise ArgumentError('a batch must have one array for each name of data', expected=expected, got=len(data))
        if [desc.shape for desc in self._data_shapes] != [tuple(x.shape) for x in data]:
            provided = getattr(batch, 'provide_data', None), getattr(batch, 'provide_label', None)
            labels = provided[1] or (_like(self._label_shapes or (), label) if label else None)
            self.reshape(provided[0] or _like(self._data_shapes, data), labels)
        if len(label) > len(self._label_shapes or ()):
            label = label[: len(self._label_shapes or ())]
        pairs = [*zip(self._data_shapes, data, strict=True), *zip(self._label_shapes or (), label, strict=False)]
        return {desc.name: self._placement.split(x, DataDesc.get_batch_axis(desc.layout)) for desc, x in pairs}

    def backward(self, out_grads: Any = None) -> None:
        """Computes the gradients, from those of the outputs; ones by default, as loss heads have it."""
        self.require()
        self.executor.backward(out_grads)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last forward pass; not merged, each is a list of one array for each context."""
        outputs = self.executor.outputs
        if merge_multi_context:
            return list(outputs)
        layouts = (symbol.heads[0].node.attributes.get('__layout__') for symbol in self._symbol)
        pairs = zip(outputs, map(DataDesc.get_batch_axis, layouts), strict=True)
        return [self._placement.parts(y, axis) for y, axis in pairs]

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of data, in the order of `data_shapes`.

        Raises:
            ArgumentError: if it was bound without `inputs_need_grad`.
        """
        if not self.inputs_need_grad:
            raise ArgumentError('gradients of inputs are not computed', remedy='bind(..., inputs_need_grad=True)')
        found = [(self.executor.grad_dict[d.name], DataDesc.get_batch_axis(d.layout)) for d in self._data_shapes]
        return [g if merge_multi_context else self._placement.parts(g, axis) for g, axis in found]

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """The states between batches."""
        self.require()
        found = [self.executor.arg_dict[name] for name in self._state_names]
        return found if merge_multi_context else [self._placement.parts(x, 0) for x in found]

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Sets the states between batches: to arrays, as `get_outputs` gives them, or all to one number.

        Raises:
            ArgumentError: if neither or both are given.
        """
        self.require()
        if (states is None) == (value is None):
            raise ArgumentError('set_states takes states or a value')
        given = [value] * len(self._state_names) if states is None else states
        for name, state in zip(self._state_names, given, strict=True):
            parts = list(state) if isinstance(state, list | tuple) else [state]
            whole = jnp.concatenate([as_jax(part) for part in parts]) if len(parts) > 1 else parts[0]
            self.executor.arg_dict[name][:] = whole

    # Training.

    def init_optimizer(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        kvstore: Any = 'local',
        optimizer: Any = 'sgd',
        optimizer_params: Pairs = (('learning_rate', 0.01),),
        force_init: bool = False,
    ) -> None:
        """Makes the optimizer.

        Args:
            kvstore: accepted: 'local', 'device', 'nccl' or a store; arrays are where they are.
            optimizer: a name, for which gradients are divided by the batch size; or an optimizer as it is.
            optimizer_params: the arguments for a name.
            force_init: make it again, if there is one.
        """
        self.require()
        if self.optimizer_initialized and not force_init:
            self.logger.warning('optimizer already initialized, ignoring...')
            return
        if isinstance(kvstore, str):
            kv.create(kvstore)
        desc = self._data_shapes[0]
        sizes: tuple[int, ...] = desc.shape
        scale = 1.0 / sizes[DataDesc.get_batch_axis(desc.layout)]
        names = dict(enumerate(self._param_names))
        if isinstance(optimizer, str):
            options = {'rescale_grad': scale, 'sym': self._symbol, 'param_idx2name': names} | dict(optimizer_params)
            optimizer = optimizers.create(optimizer, **options)
        elif (given := getattr(optimizer, 'rescale_grad', scale)) != scale:
            text = f'the optimizer multiplies gradients by {given}; for the mean of a batch it would be {scale}'
            warnings.warn(text, stacklevel=2)
        self._updater = optimizers.get_updater(optimizers.create(optimizer))
        self._updater.optimizer.idx2name = self._updater.optimizer.idx2name or names
        self.optimizer_initialized: bool = True
        if self._preloaded is not None:
            self.load_optimizer_states(self._preloaded)
            self._preloaded = None

    def borrow_optimizer(self, shared_module: Module) -> None:
        """Uses the optimizer of another module, with its state."""
        shared_module.require(optimizer=True)
        self._updater = shared_module._updater
        self.optimizer_initialized: bool = True

    def update(self) -> None:
        """Updates the parameters by their gradients."""
        self.require(optimizer=True)
        grads = self.executor.grad_dict
        trained = [(i, grads[name], self._params[name]) for i, name in enumerate(self._param_names) if name in grads]
        if self._updater is not None and trained:
            self._updater(*zip(*trained, strict=True))

    def save_optimizer_states(self, fname: str) -> None:
        """Writes the state of the optimizer."""
        self.require(optimizer=True)
        pathlib.Path(fname).write_bytes(self._updater.get_states())  # type: ignore[union-attr]

    def load_optimizer_states(self, fname: str) -> None:
        """Reads the state of the optimizer.

        Raises:
            FileError: if there is none.
        """
        self.require(optimizer=True)
        if not pathlib.Path(fname).is_file():
            raise FileError(f'there is no file {fname!r}')
        self._updater.set_states(pathlib.Path(fname).read_bytes())  # type: ignore[union-attr]

    def update_metric(self, eval_metric: metric.EvalMetric, labels: Any, pre_sliced: bool = False) -> None:
        """Has a metric take in the last outputs."""
        names = [desc.name for desc in self._label_shapes or ()]
        outputs = {name: y.value for name, y in zip(self.output_names, self.executor.outputs, strict=True)}
        given = {name: _value_of(label) for name, label in zip(names, labels or (), strict=False)}
        eval_metric.update_dict(given, outputs)

    def install_monitor(self, mon: Any) -> None:
        """Has a `Monitor` look at each pass."""
        self._monitor = mon
        mon.install(self.executor)


def _value_of(array: Any) -> Any:
    return array.value if isinstance(array, NDArray) else array


def _known(names: Names, kind: str, arguments: Sequence[str]) -> list[str]:
    """Names that are variables of the symbol."""
    given = [names] if isinstance(names, str) else list(names or ())
    if unknown := [name for name in given if name not in arguments]:
        inputs = [name for name in arguments if not name.endswith(_PARAMETERS)]
        remedy = f'{kind}_names=[...] with some of these'
        raise ArgumentError(f'the symbol has no variable {unknown[0]!r}', expected=', '.join(inputs), remedy=remedy)
    return given


def _like(descriptions: Sequence[DataDesc], arrays: Sequence[Any]) -> list[DataDesc]:
    pairs = zip(descriptions, arrays, strict=False)
    return [DataDesc(desc.name, array.shape, desc.dtype, desc.layout) for desc, array in pairs]


explain_calls(globals())
