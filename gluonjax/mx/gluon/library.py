"""Layers and losses of gluonjax as blocks of Gluon: each call is one compiled program, its gradient another.

Blocks that compute the same share their programs, as those of a deep network, and losses that are made at each step.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from gluonjax import errors, nn
from gluonjax.casting import in_precision
from gluonjax.layer import Layer, declarations_of, infer_shapes, leaves_of
from gluonjax.mx import casting, invoke, statistics, tape
from gluonjax.mx.array import NDArray, array_class
from gluonjax.mx.building import Scope
from gluonjax.mx.from_layers import translation_of
from gluonjax.mx.gluon.block import HybridBlock, of_symbols, own_parameters_of
from gluonjax.mx.gluon.descriptions import attributes_of, described
from gluonjax.mx.gluon.loss_graphs import graph_of
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict
from gluonjax.mx.gluon.settings import ATTRIBUTES, Settings, changed
from gluonjax.mx.gluon.signatures import Signed
from gluonjax.mx.symbol import Symbol, call
from gluonjax.mx.tape import Arrays
from gluonjax.rnn.layers import RecurrentLayer
from gluonjax.run import Run


class PureCall:
    """A pure function of values and a tree of inputs, on tracked arrays.

    Args:
        name: what errors call it.
        function: of the values, the inputs, and a random key, to the output, new values by name, and whether it drew.
        tree: of the inputs.
        count: of the values.
        graph: the same of symbols of the values and the inputs.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., tuple[Any, Mapping[str, Any], bool]],
        tree: Any,
        count: int,
        graph: Callable[[Sequence[Symbol], Any], Any],
    ):
        self.graph: Callable[[Sequence[Symbol], Any], Any] = graph
        self.function: Callable[..., tuple[Any, Mapping[str, Any], bool]] = function
        self.tree: Any = tree
        self.count: int = count
        self.output: Any = None  # the tree of the output
        self.recorded: list[str] = []  # the names of new values
        self.keyed: invoke.Keyed = invoke.Keyed(name, self._run, self._symbols)

    def _symbols(self, symbols: Sequence[Symbol]) -> list[Symbol]:
        return jax.tree.leaves(self.graph(symbols[: self.count], jax.tree.unflatten(self.tree, symbols[self.count :])))

    def _run(self, arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array], bool]:
        inputs = jax.tree.unflatten(self.tree, arrays[self.count :])
        output, recorded, drew = self.function(arrays[: self.count], inputs, key)
        leaves, self.output = jax.tree.flatten(output)
        self.recorded = sorted(recorded)
        return leaves, [recorded[name] for name in self.recorded], drew

    def __call__(self, values: Sequence[NDArray], inputs: Sequence[NDArray], random: bool) -> Any:
        """The output, and new values by name."""
        tracked = [x.tracked for x in values]
        tracked += [x.tracked for x in inputs]
        outputs, updates = self.keyed(tracked) if random else tape.call(self.keyed.program, tracked)
        shared = inputs[0].shared if inputs else None
        result = jax.tree.unflatten(self.output, [array_class()(*output, None, shared) for output in outputs])
        return result, dict(zip(self.recorded, updates, strict=True))


_OF_ONE_DTYPE = (nn.Dense, nn.Conv1D, nn.Conv2D, nn.Conv3D, nn.Conv1DTranspose, nn.Conv2DTranspose, nn.Conv3DTranspose)


class LayerBlock(HybridBlock):
    """A layer of gluonjax as a block; its parameters are called as the layer calls them.

    Args:
        layer: the layer.
        prefix: what the names of its parameters begin with.
        params: a dict whose parameters are shared.
    """

    def __init__(self, layer: Layer, prefix: str | None = None, params: ParameterDict | None = None):
        self.layer: Layer = layer  # which its name is made from
        super().__init__(prefix, params)
        self._calls: dict[Any, PureCall] = {}
        self._leaves: tuple[str, ...] = tuple(leaf.name for leaf in leaves_of(layer))
        for leaf in leaves_of(layer):
            name = leaf.name.replace('.', '_')
            parameter = self.params.get(
                name,
                shape=leaf.shape,
                dtype=leaf.param.dtype,
                init=leaf.param.init,
                allow_deferred_init=True,
                differentiable=leaf.param.trainable or leaf.param.frozen,
            )
            setattr(self, name, parameter)

    def _alias(self) -> str:
        return alias_of(self.layer) or type(self.layer).__name__.lower().removeprefix('_')

    def _collect_params_with_prefix(self, prefix: str = '') -> dict[str, Parameter]:
        start = f'{prefix}.' if prefix else ''
        return {start + name: parameter for name, parameter in zip(self._leaves, self._parameters(), strict=True)}

    def _parameters(self) -> list[Parameter]:
        return [own_parameters_of(self)[name.replace('.', '_')] for name in self._leaves]

    def forward(self, *args: Any) -> Any:
        """Runs the layer; of symbols, builds its operator."""
        if type(self).hybrid_forward is not LayerBlock.hybrid_forward:  # a subclass has its own
            return super().forward(*args)
        return self._graph(*args) if of_symbols(args) else self._compute(args)

    def hybrid_forward(self, F: Any, *args: Any, **parameters: Any) -> Any:
        """What the layer computes with other values of its parameters, for subclasses that call it.

        Args:
            F: `mx.nd` or `mx.sym`.
            *args: the inputs; values of parameters, in their order, may follow the first.
            **parameters: values by name.
        """
        names = list(own_parameters_of(self))[: len(self._leaves)]
        inputs = args if isinstance(self.layer, RecurrentLayer) else args[:1]
        parameters.update(zip(names, args[len(inputs) :], strict=False))
        values = [parameters[name] for name in names]
        if not of_symbols(args):
            return self._compute(inputs, values)
        with self.name_scope():
            symbols = dict(zip(self._leaves, values, strict=True))
            return _translated(self.layer, _SymbolScope(symbols), inputs, self.name)

    def _compute(self, args: Sequence[Any], given: Sequence[NDArray] | None = None) -> Any:
        """The output, with the values of its parameters or given ones."""
        parameters = self._parameters()
        leaves, tree = jax.tree.flatten(args)
        wrong = [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, NDArray)]
        if wrong:
            raise errors.ArgumentError(f'{type(self).__name__} takes NDArrays', got=wrong[0], remedy='mx.nd.array(x)')
        if given is None and any(not parameter.is_ready for parameter in parameters):
            self._finish(parameters, jax.tree.unflatten(tree, [x.value for x in leaves]))
        training = tape.scope().training
        kind = training, tree, casting.precision_of(self.layer)
        if kind not in self._calls:
            self._calls[kind] = _call_of_layer(Signed(self.layer), *kind)
        context = parameters[0].context_for(leaves) if parameters else None
        values = given or [parameter.data(context) for parameter in parameters]
        output, recorded = self._calls[kind](values, leaves, training)
        states = [own_parameters_of(self)[name.replace('.', '_')].data(context) for name in recorded]
        if isinstance(self.layer, nn.BatchNorm):
            shares = [self.layer.momentum] * len(states)
            statistics.change([output.entry], states, list(recorded.values()), shares)
        else:
            for state, value in zip(states, recorded.values(), strict=True):
                state.assign(tape.Tracked(value))
        return output

    def _graph(self, *args: Any) -> Any:
        with self.name_scope():
            return _translated(self.layer, _BlockScope(self), args, self.name)

    def _finish(self, parameters: list[Parameter], inputs: Sequence[Any]) -> None:
        for parameter in parameters:
            if not parameter.is_ready and not parameter.waits:
                parameter.data()  # which says so
        known = {name: p.known_shape for name, p in zip(self._leaves, parameters, strict=True)}
        shapes = infer_shapes(self.layer, inputs, {}, known)
        for name, parameter in zip(self._leaves, parameters, strict=True):
            if not parameter.is_ready:
                parameter.shape = shapes[name]
                parameter.finish()

    def _check_structure(self, args: Sequence[Any]) -> None:
        """Layers are compiled for whatever arguments they are given."""

    def infer_shape(self, *args: Any) -> None:
        """Completes the shapes of parameters from inputs."""
        inputs = jax.tree.map(lambda x: x.value, args, is_leaf=lambda x: isinstance(x, NDArray))
        parameters = dict(zip(self._leaves, self._parameters(), strict=True))
        shapes = infer_shapes(self.layer, inputs, {}, {name: p.known_shape for name, p in parameters.items()})
        for name, parameter in parameters.items():
            parameter.shape = shapes[name]

    def cast(self, dtype: Any) -> None:
        """Changes the dtype of the parameters as the layer says: of BatchNorm not to float16, but to float32."""
        self._set_layer(self.layer.cast(dtype))
        for parameter, leaf in zip(self._parameters(), leaves_of(self.layer), strict=True):
            parameter.cast(leaf.param.dtype)

    def _set_layer(self, layer: Layer) -> None:
        self.layer = layer
        self._calls.clear()
        self.forget_programs()

    def _change(self, field: str, value: Any) -> None:
        self._set_layer(changed(self.layer, field, value))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ATTRIBUTES and name in attributes_of(self.layer):
            self._change(ATTRIBUTES[name], value)
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        layer = vars(self).get('layer')
        known = {} if layer is None or name.startswith('__') else attributes_of(layer)
        if name == 'act' and '_activation' in known:  # of Dense and convolutions, a block
            activation = known['_activation']
            return activation and layer_class(nn.Activation)(activation, prefix=f'{activation}_')
        if name not in known:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        return Settings(known[name], self._change) if name == '_kwargs' else known[name]

    def __repr__(self) -> str:
        first = next(iter(own_parameters_of(self).values()), None)
        plain = type(self) is LayerBlock  # made of a layer, as the model zoo's, not by a class of Gluon
        name = type(self.layer if plain else self).__name__
        printed = described(self.layer, name, first and first.shape)
        return printed or (repr(self.layer) if plain else super().__repr__())


@functools.lru_cache(256)
def _call_of_layer(signed: Signed, training: bool, tree: Any, precision: str | None) -> PureCall:
    layer, declarations = signed.definition, declarations_of(signed.definition)
    names = tuple(leaf.name for leaf in leaves_of(layer))

    def function(values: Arrays, inputs: Any, key: Any) -> tuple[Any, Mapping[str, Any], bool]:
        if precision is None:
            _check_dtypes(layer, values, inputs)
        run = Run(declarations, dict(zip(names, values, strict=True)), None, training, key, precision=precision)
        output = run(layer, inputs, {})
        return output, run.recorded if training else {}, bool(run.keys_drawn)

    def graph(values: Sequence[Symbol], inputs: Any) -> Any:
        return _translated(layer, _SymbolScope(dict(zip(names, values, strict=True))), inputs)

    return PureCall(type(layer).__name__, function, tree, len(names), graph)


def _check_dtypes(layer: Layer, values: Arrays, inputs: Any) -> None:
    """Refuses inputs of another dtype than the parameters, where MXNet does.

    Raises:
        DTypeError: with both.
    """
    if isinstance(layer, _OF_ONE_DTYPE):
        own = values[0].dtype
        if others := [x.dtype for x in jax.tree.leaves(inputs) if x.dtype != own]:
            what = f'the input and the parameters of {type(layer).__name__} have one dtype in MXNet'
            raise errors.DTypeError(what, expected=own, got=others[0], remedy=f"x.astype('{own}'), or net.cast()")


def _translated(layer: Layer, scope: Scope, inputs: Any, name: str = 'a layer') -> Any:
    """The graph of a layer of symbols; errors call it by the name."""
    translate = translation_of(layer, 'forward')
    if translate is None:
        raise errors.ArgumentError(f'MXNet has no operator for {name} ({type(layer).__name__})')
    return translate(scope, layer, *inputs)


class _SymbolScope(Scope):
    """Takes symbols for parameters, by their names in the layer."""

    def __init__(self, symbols: Mapping[str, Symbol]):
        self.symbols = symbols

    def op(self, op: str, *inputs: Symbol, suffix: str = 'fwd', **attributes: Any) -> Symbol:
        return call(op, *inputs, **attributes)

    def parameter(self, name: str) -> Symbol:
        return self.symbols[name]


class _BlockScope(Scope):
    """Names nodes and variables as Gluon does, by the prefix of a block."""

    def __init__(self, block: LayerBlock):
        self.block = block

    def op(self, op: str, *inputs: Symbol, suffix: str = 'fwd', **attributes: Any) -> Symbol:
        if isinstance(self.block.layer, nn.Activation):
            suffix = 'fwd'  # 'relu_fwd' is of a layer with an activation
        return call(op, *inputs, name=None if op == 'Flatten' else suffix, **attributes)

    def parameter(self, name: str) -> Symbol:
        return own_parameters_of(self.block)[name.replace('.', '_')].var()


def alias_of(layer: Layer) -> str | None:
    """By which Gluon names a block of this layer if not by its class: all convolutions are 'conv'.

    >>> from gluonjax import nn
    >>> alias_of(nn.Conv2DTranspose(1, 3)), alias_of(nn.Activation('relu')), alias_of(nn.Dense(1))
    ('conv', 'relu', None)
    """
    if isinstance(layer, nn.Activation):
        return str(layer.activation)
    kind = re.search('Conv|Pool', ' '.join(cls.__name__ for cls in type(layer).__mro__))
    return kind.group().lower() if kind else None


def layer_class(cls: type[Layer]) -> Any:
    """The class of blocks of a class of layers, with its arguments and `prefix` and `params`."""

    class Made(LayerBlock):
        def __init__(self, *args: Any, prefix: str | None = None, params: ParameterDict | None = None, **kwargs: Any):
            super().__init__(cls(*args, **kwargs), prefix, params)
            if kwargs.get('sparse_grad'):  # which the library passes by: gradients are dense
                own_parameters_of(self)['weight'].grad_stype = 'row_sparse'

        def _alias(self) -> str:
            return super()._alias() if type(self) is Made or alias_of(self.layer) else type(self).__name__.lower()

    return _named(Made, cls)


class Loss(HybridBlock):
    """The base of losses.

    Args:
        weight: a number that multiplies the loss; None for none.
        batch_axis: the axis of samples.
        prefix: MXNet's.
        params: MXNet's.
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self._weight, self._batch_axis = weight, batch_axis

    def __repr__(self) -> str:
        return f'{type(self).__name__}(batch_axis={self._batch_axis}, w={self._weight})'


def loss_class(cls: type) -> Any:
    """The class of blocks of a class of losses, with its arguments."""

    class Made(Loss):
        def __init__(self, *args: Any, prefix: str | None = None, params: Any = None, **kwargs: Any):
            self._loss = cls(*args, **kwargs)
            super().__init__(self._loss.weight, self._loss.batch_axis, prefix=prefix, params=params)
            self._calls: dict[Any, PureCall] = {}

        def __setattr__(self, name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.forward(*args, **kwargs)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            if type(self).hybrid_forward is not Made.hybrid_forward:  # a subclass has its own
                return super().forward(*args)
            return self._compute(*args, **kwargs)

        def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
            return self._compute(*args, **kwargs)

        def _compute(self, *args: Any, **kwargs: Any) -> Any:
            if of_symbols((args, kwargs)):
                with self.name_scope():
                    return graph_of(self._loss)(*args, **kwargs)
            leaves, tree = jax.tree.flatten((args, kwargs))
            wrong = [type(leaf).__name__ for leaf in leaves if not isinstance(leaf, NDArray)]
            if wrong:
                raise errors.ArgumentError(f'{cls.__name__} takes NDArrays', got=wrong[0], remedy='mx.nd.array(x)')
            kind = tree, casting.target()
            if kind not in self._calls:
                self._calls[kind] = _call_of_loss(Signed(self._loss), *kind)
            return self._calls[kind]([], leaves, False)[0]

    return _named(Made, cls)


@functools.lru_cache(256)
def _call_of_loss(signed: Signed, tree: Any, half: str | None) -> PureCall:
    """In float32 where layers compute in half precision."""
    loss = signed.definition

    def function(values: Any, inputs: Any, key: Any) -> tuple[Any, Mapping[str, Any], bool]:
        args, named = in_precision(inputs, 'float32') if half else inputs
        return loss(*args, **named), {}, False

    def graph(values: Any, inputs: Any) -> Any:
        args, named = inputs
        return graph_of(loss)(*args, **named)

    return PureCall(type(loss).__name__, function, tree, 0, graph)


def _named(made: type, cls: type) -> type:
    made.__name__ = made.__qualname__ = cls.__name__
    made.__doc__ = inspect.getdoc(cls)
    return made
