"""Networks as MXNet's files: `net.export('net')` writes `net-symbol.json` and `net-0000.params`.

The network is traced on shapes. A layer that MXNet has is one equation of the trace, and becomes that operator; what
`forward` computes around its layers becomes operators equation by equation.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Literal, Primitive

from gluonjax.arrays import admit, split
from gluonjax.block import Block, structure_of
from gluonjax.checks import size
from gluonjax.errors import ArgumentError, GluonError
from gluonjax.io.reading import Path as FilePath
from gluonjax.io.reading import checked_path
from gluonjax.layer import Layer, declarations_of
from gluonjax.mx.building import Builder, Scope
from gluonjax.mx.from_layers import Translation, translation_of
from gluonjax.mx.from_primitives import Primitives, UnknownPrimitiveError, Value
from gluonjax.mx.saving import write
from gluonjax.mx.symbol import Group, Symbol
from gluonjax.run import Bindable, Run
from gluonjax.structure import INPUTS
from gluonjax.tree import Path, flatten


def export(
    net: Block, path: FilePath, epoch: int = 0, remove_amp_cast: bool = True, *, inputs: Any = None
) -> tuple[str, str]:
    """Writes the network as a graph of MXNet's operators and its values, which MXNet 1.9.1 loads and runs.

    `gluon.SymbolBlock.imports`, `mx.model.load_checkpoint` and `nn.SymbolBlock.imports` here read them. A layer that
    MXNet has becomes its operator, with what it does in training; what `forward` computes around layers, in inference,
    becomes operators too. The input is called data; several are data0, data1, ... The size of the batch is left open.

    Args:
        net: the network, initialized and called before, as in Gluon.
        path: the beginning of the names of the files.
        epoch: the number in the name of the file of values.
        remove_amp_cast: MXNet's; accepted, there are no such casts.
        inputs: an array or a `jax.ShapeDtypeStruct` for each input, where the network was not called or is to be
            exported for other shapes than those of its last compilation.

    Returns:
        The names of the two files.

    Raises:
        ArgumentError: naming all layers and functions that MXNet has no operator for; then nothing is written. Or if
            the network was not called.
        DeferredInitializationError: if a parameter has no value yet.

    >>> import tempfile
    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(3, activation='relu'), nn.Dropout(0.5), nn.Dense(2))
    >>> net.initialize()
    >>> x = jnp.ones((2, 4))
    >>> y = net(x)
    >>> files = net.export(tempfile.mkdtemp() + '/net')
    >>> imported = nn.SymbolBlock.imports(files[0], 'data', files[1])
    >>> bool((imported(x) == y).all())
    True
    """
    size('epoch', epoch, least=0)
    return write(checked_path(path), epoch, *graph_of(net, inputs))


def graph_of(net: Block, inputs: Any = None) -> tuple[Symbol, dict[str, Any]]:
    """The network as a graph, and the values of its variables by name; see `export`.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(3, in_units=4))
    >>> net.initialize()
    >>> symbol, values = graph_of(net, jax.ShapeDtypeStruct((1, 4), 'float32'))
    >>> symbol, symbol.list_arguments(), list(values)
    (<Symbol 0_fwd>, ['data', '0_weight', '0_bias'], ['0_weight', '0_bias'])
    """
    structure = structure_of(net)
    given = _inputs_of(structure.programs.get(INPUTS), inputs)
    leaves, arrays = jax.tree.flatten(given)[0], flatten(net.params)
    names = ('data',) if len(leaves) == 1 else tuple(f'data{i}' for i in range(len(leaves)))
    declarations = declarations_of(structure.definition)
    builder = Builder(names, arrays, {name: declared.leaf.name for name, declared in declarations.items()})
    heads = _Translator(builder, *_traced(structure.definition, arrays, given)).outputs()
    return Symbol(Group(heads).heads, builder.np_shape), builder.values


def _inputs_of(called: Any, inputs: Any) -> tuple[Any, ...]:
    if inputs is None and called is None:
        raise ArgumentError(
            'the shapes of the inputs are unknown', remedy='call net(x) before, or net.export(path, inputs=x)'
        )
    given = called if inputs is None else inputs
    given = tuple(given) if isinstance(given, tuple | list) else (given,)
    given = admit(given)
    if split(given)[1].has_values():
        raise ArgumentError('the inputs of an export are arrays', got=repr(given), remedy='net.export(path, inputs=x)')
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), given)


# Tracing.


class _LayerCall(NamedTuple):
    """A call of a layer that becomes an operator."""

    translate: Translation
    layer: Any
    path: Path
    inputs: Any  # how its inputs are made of arrays
    output: Any
    copies: Mapping[str, int]  # which copy of stacked parameters it has, by how their names begin


_LAYER = Primitive('layer')
_LAYER.multiple_results = True
_LAYER.def_abstract_eval(lambda *inputs, index, outputs: list(outputs))
_INNER = 'inside layer '  # what a jitted function is called that stands for a layer without an operator


class _Tracing(Run):
    """A run on shapes, in which every layer that MXNet has is one equation."""

    calls: list[Any]  # a `_LayerCall` each, or where a layer is that is looked into
    copies: Mapping[str, int] = types.MappingProxyType({})  # as of a `_LayerCall`

    def call(self, layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any) -> Any:
        translate, index = translation_of(layer, getattr(forward, '__name__', '')), len(self.calls)
        arrays, form = jax.tree.flatten((inputs, named))
        self.calls.append(None)

        def inside(arrays: Sequence[Any]) -> Any:
            inputs, named = jax.tree.unflatten(form, arrays)
            return super(_Tracing, self).call(layer, forward, inputs, named)

        if translate is None:
            inside.__name__ = f'{_INNER}{index}'
            output = jax.jit(inside)(arrays)
            self.calls[index] = self.history[-1].path, self.history[-1].kind
            return output
        shapes, output = jax.tree.flatten(jax.eval_shape(inside, arrays))
        self.calls[index] = _LayerCall(translate, layer, self.history[-1].path, form, output, self.copies)
        avals = tuple(ShapedArray(shape.shape, shape.dtype) for shape in shapes)
        return jax.tree.unflatten(output, _LAYER.bind(*map(jnp.asarray, arrays), index=index, outputs=avals))

    def record(self, path: Path, param: Any, value: Any) -> None:
        """What layers record is for calls."""

    def scan(self, path: Path, body: Any, carry: Any, xs: Any, length: int | None, over: Any, *loop: Any) -> Any:
        """Step by step: MXNet has no loop over stacked parameters."""
        count = jax.tree.leaves(xs)[0].shape[0] if length is None else length
        below, outputs = '.'.join((*path, over or '', '')), [None] * count
        values, copies, sliced = dict(self.values or {}), self.copies, self.sliced
        stacked = {leaf.name for name, (leaf, _) in self.declarations.items() if over and name.startswith(below)}
        self.sliced = {**sliced, **{name: sliced.get(name, 0) + 1 for name in stacked}}
        for i in reversed(range(count)) if loop[0] else range(count):
            step = functools.partial(jax.lax.index_in_dim, index=i, keepdims=False)
            self.values = {name: step(value) if name in stacked else value for name, value in values.items()}
            self.copies = {**copies, below: i} if over else copies
            carry, outputs[i] = body(carry, jax.tree.map(step, xs))
        self.values, self.copies, self.sliced = values, copies, sliced
        return carry, jax.tree.map(lambda *ys: jnp.stack(ys), *outputs)

    def checkpoint(self, path: Path, function: Callable[..., Any], arguments: Any, policy: Any) -> Any:
        return function(*arguments)


def _traced(definition: Layer, arrays: Mapping[str, Any], inputs: tuple[Any, ...]) -> tuple[Any, list[Any], list[str]]:
    """What `forward` computes of the values and the inputs, the layers in it, and the names of the values."""
    declarations, calls = declarations_of(definition), []
    shapes = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in arrays.items()}

    def forward(values: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
        run = _Tracing(declarations, values, {name: value.shape for name, value in values.items()})
        run.calls = calls
        return run(definition, inputs, {})

    return jax.make_jaxpr(forward)(shapes, inputs), calls, sorted(shapes)


# Translating.


class _Translator:
    """Makes symbols of the equations of a trace."""

    def __init__(self, builder: Builder, traced: Any, calls: Sequence[Any], names: Sequence[str]):
        self.builder, self.traced, self.calls, self.names = builder, traced, calls, names
        self.primitives = Primitives(builder)
        self.missing: dict[str, None] = {}

    def outputs(self) -> list[Symbol]:
        """The symbols of the outputs.

        Raises:
            ArgumentError: naming all that there is no operator for.
        """
        jaxpr = self.traced.jaxpr
        values: list[Any] = [_Parameter(name) for name in self.names]
        found = self._run(jaxpr, self.traced.consts, [*values, *self.builder.inputs], 'the network itself')
        if not self.missing:
            shapes = [variable.aval.shape for variable in jaxpr.outvars]
            return [self.primitives.symbol(value, shape) for value, shape in zip(found, shapes, strict=True)]
        raise ArgumentError(
            'MXNet has no operator for parts of this network',
            got='; '.join(self.missing),
            remedy='layers that MXNet has in their place, or net.save_program(path, x), which writes any network',
        )

    def _run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any], where: str) -> list[Any]:
        known = dict(zip(jaxpr.constvars, map(np.asarray, consts), strict=True))
        known |= dict(zip(jaxpr.invars, inputs, strict=True))

        def read(variable: Any) -> Any:
            return np.asarray(variable.val) if isinstance(variable, Literal) else known[variable]

        for equation in jaxpr.eqns:
            values = [read(variable) for variable in equation.invars]
            known.update(zip(equation.outvars, self._equation(equation, values, where), strict=True))
        return [self._symbol_or_array(read(variable)) for variable in jaxpr.outvars]

    def _unrolled(self, equation: Any, values: Sequence[Any], where: str) -> Sequence[Any]:
        """The outputs of a `scan`, step by step."""
        given, values = equation.params, [self._symbol_or_array(value) for value in values]
        body = given['jaxpr'].jaxpr
        first = len(values) - _sliced(equation.invars, body.invars)
        carry = len(equation.outvars) - _sliced(equation.outvars, body.outvars)
        fixed, state, rows = values[: first - carry], values[first - carry : first], values[first:]
        shapes = [variable.aval.shape for variable in equation.invars[first:]]
        steps = range(given['length'])
        outputs: list[Any] = [None] * given['length']
        for i in reversed(steps) if given['reverse'] else steps:
            xs = [self.primitives.row(x, i, shape) for x, shape in zip(rows, shapes, strict=True)]
            found = self._run(body, given['jaxpr'].consts, [*fixed, *state, *xs], where)
            state, outputs[i] = found[:carry], found[carry:]
        shapes = [variable.aval.shape for variable in equation.outvars[carry:]]
        return [
            *state,
            *(self.primitives.stacked(ys, s) for ys, s in zip(zip(*outputs, strict=True), shapes, strict=True)),
        ]

    def _equation(self, equation: Any, values: Sequence[Any], where: str) -> Sequence[Any]:
        if equation.primitive.name == 'scan':
            return self._known(equation, where, lambda: self._unrolled(equation, values, where))
        inner = next((equation.params[key] for key in _JAXPRS if key in equation.params), None)
        if inner is not None:
            name = str(equation.params.get('name', ''))
            if name == 'relu':
                return [self.primitives.op('relu', self.primitives.symbol(self._symbol_or_array(values[0])))]
            if name.startswith(_INNER):
                path, kind = self.calls[int(name.removeprefix(_INNER))]
                where = f'layer {".".join(path)} ({kind})' if path else f'{kind} itself'
            jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, 'consts') else (inner, ())
            return self._run(jaxpr, consts, values, where)
        values = [self._symbol_or_array(value) for value in values]
        if equation.primitive is _LAYER:
            return self._layer(self.calls[equation.params['index']], values, equation)
        if all(isinstance(value, np.ndarray) for value in values):
            return _evaluated(equation, values)
        return self._known(equation, where, lambda: self.primitives.equation(equation, values))

    def _known(self, equation: Any, where: str, translate: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """What an equation becomes, if MXNet has operators for it; otherwise that is noted."""
        try:
            return translate()
        except (UnknownPrimitiveError, GluonError) as error:
            self.missing[f'{error} in {where}'] = None
            return [self.builder.inputs[0]] * len(equation.outvars)

    def _layer(self, call: _LayerCall, values: Sequence[Value], equation: Any) -> Sequence[Symbol]:
        shapes = [variable.aval.shape for variable in equation.invars]
        symbols = [self.primitives.symbol(value, shape) for value, shape in zip(values, shapes, strict=True)]
        inputs, named = jax.tree.unflatten(call.inputs, symbols)
        scope = Scope(self.builder, call.path, type(call.layer).__name__, call.copies)
        return jax.tree.leaves(call.translate(scope, call.layer, *inputs, **named))

    def _symbol_or_array(self, value: Any) -> Value:
        return self.builder.parameter(value.name) if isinstance(value, _Parameter) else value


class _Parameter(NamedTuple):
    """A parameter that nothing has asked for yet: only those that are used get a variable."""

    name: str


def _sliced(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """How many variables of a `scan` have an element for each step; its parameters say so otherwise in each JAX."""
    return sum(len(o.aval.shape) > len(i.aval.shape) for o, i in zip(outside, inside, strict=True))


def _evaluated(equation: Any, values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What an equation of known arrays computes; one number in a larger shape stays one, whatever the batch."""
    if equation.primitive.name == 'broadcast_in_dim' and values[0].size == 1:
        return [values[0].reshape(())]
    shapes = [variable.aval.shape for variable in equation.invars]
    arrays = [jnp.asarray(np.broadcast_to(value, shape)) for value, shape in zip(values, shapes, strict=True)]
    found = equation.primitive.bind(*arrays, **equation.params)
    return list(map(np.asarray, found if equation.primitive.multiple_results else [found]))


_JAXPRS = ('jaxpr', 'call_jaxpr', 'fun_jaxpr')
