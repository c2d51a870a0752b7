"""Symbols: graphs that are built by calls, loaded, looked at, cut, and run.

>>> import gluonjax.mx as mx
>>> x = mx.sym.var('data')
>>> net = mx.sym.FullyConnected(x, num_hidden=3, name='fc')
>>> net.list_arguments()
['data', 'fc_weight', 'fc_bias']
>>> net.infer_shape(data=(2, 4))
([(2, 4), (3, 4), (3,)], [(2, 3)], [])
"""

from __future__ import annotations

import contextlib
import importlib
import math
import pathlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import jax
import numpy as onp
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, DTypeError
from gluonjax.hints import missing
from gluonjax.mx import invoke, subgraph
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.base import NotImplementedForSymbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.evaluate import evaluate
from gluonjax.mx.executor import Executor, Programs
from gluonjax.mx.graph import (
    DTYPE_CODES,
    STORAGE_CODES,
    Entry,
    Node,
    auxiliary_of,
    check_known,
    ordered,
    parse_json,
    to_json,
)
from gluonjax.mx.infer import Inference, infer_dtypes
from gluonjax.mx.naming import HIDDEN_KEYS, AttrScope, attributes_here, next_name, stored, with_both_names
from gluonjax.mx.op import OPERATORS, check_present, find
from gluonjax.mx.op.attributes import may_be_none
from gluonjax.shapes import is_known

_Number = int | float
_Operand = Union['Symbol', _Number]


class _OfArrays:
    """A method that arrays have and symbols have not: it says what to write.

    Args:
        remedy: what to write.
    """

    def __init__(self, remedy: str):
        self.remedy = remedy

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            what = f'Function {self.name} is not implemented for Symbol and only available in NDArray.'
            raise NotImplementedForSymbol(what, remedy=self.remedy)

        return refuse


class Symbol:
    """Outputs of a graph.

    Args:
        heads: the outputs.
        np_shape: whether sizes of 0 are sizes, as they are since `npx.set_np()`.
    """

    def __init__(self, heads: Sequence[Entry], np_shape: bool = False):
        self.heads: tuple[Entry, ...] = tuple(heads)
        self.np_shape: bool = np_shape

    # What it is made of.

    @property
    def nodes(self) -> list[Node]:
        """The nodes that the outputs need, each behind its inputs."""
        return ordered(self.heads)

    @property
    def name(self) -> str | None:
        """The name of the node; None for a group."""
        return self.heads[0].node.name if len({entry.node for entry in self.heads}) == 1 else None

    def list_arguments(self) -> list[str]:
        """The names of the variables that are no auxiliary states."""
        auxiliary = auxiliary_of(self.nodes)
        return [node.name for node in self.nodes if node.is_variable and node not in auxiliary]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the auxiliary states."""
        auxiliary = auxiliary_of(self.nodes)
        return [node.name for node in self.nodes if node in auxiliary]

    def list_inputs(self) -> list[str]:
        """The names of all variables."""
        return [node.name for node in self.nodes if node.is_variable]

    def list_outputs(self) -> list[str]:
        """The names of the outputs."""
        return [entry.node.output_names[entry.index] for entry in self.heads]

    def get_internals(self) -> Symbol:
        """All outputs of all nodes, as one group."""
        shown = ((node, _visible(node)) for node in self.nodes)
        return self._like([Entry(node, i) for node, count in shown for i in range(count)])

    def get_children(self) -> Symbol | None:
        """The inputs of the nodes, as one group; None for variables."""
        inputs = [entry for node in dict.fromkeys(e.node for e in self.heads) for entry in node.inputs]
        return self._like(inputs) if inputs else None

    def attr(self, key: str) -> str | None:
        """An attribute of the node; None without it. Those of MXNet's own, `lr_mult` say, also without underscores."""
        return self.list_attr().get(key)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """The attributes of the node; those of MXNet's own by both names, `__lr_mult__` and `lr_mult`.

        Raises:
            ArgumentError: for `recursive`, which was in old versions.
        """
        if recursive:
            raise ArgumentError('list_attr is of one node', remedy='attr_dict()')
        return with_both_names(self._only_node('list_attr').attributes)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """The attributes of all nodes that have some, by name."""
        return {node.name: with_both_names(node.attributes) for node in self.nodes if node.attributes}

    def _set_attr(self, **kwargs: str) -> None:
        self._only_node('_set_attr').attributes.update(stored(kwargs))

    def _only_node(self, what: str) -> Node:
        if self.name is None:
            raise ArgumentError(f'{what} asks one node', got=f'a group of {len(self)}', remedy='index it first')
        return self.heads[0].node

    def __getitem__(self, index: int | str | slice) -> Symbol:
        if isinstance(index, slice):
            return self._like(self.heads[index])
        if isinstance(index, str):
            names = self.list_outputs()
            if names.count(index) != 1:
                raise ArgumentError(
                    f'{names.count(index)} outputs are called {index!r}', expected=f'one of {", ".join(names[-8:])}'
                )
            index = names.index(index)
        if not -len(self.heads) <= index < len(self.heads):
            raise IndexError(f'output {index} of {len(self.heads)}')
        return self._like([self.heads[index]])

    def __iter__(self) -> Iterator[Symbol]:
        return (self._like([entry]) for entry in self.heads)

    def __len__(self) -> int:
        return len(self.heads)

    def __repr__(self) -> str:
        group = ', '.join(str(entry.node.name) for entry in self.heads)
        return f'<Symbol {self.name or f"group [{group}]"}>'

    def __reduce__(self) -> Any:  # by its JSON: nodes hold one another to any depth
        return load_json, (self.tojson(),)

    def _like(self, heads: Sequence[Entry]) -> Symbol:
        return Symbol(heads, self.np_shape)

    def __call__(self, *args: Symbol, **kwargs: Symbol) -> Symbol:
        """The graph with other symbols for variables: in the order of `list_arguments`, or by name."""
        given = dict(zip(self.list_arguments(), args, strict=False)) | kwargs
        replaced: dict[Node, Entry] = {}
        copies: dict[Node, Node] = {}
        for node in self.nodes:
            if node.is_variable and node.name in given:
                (replaced[node],) = given[node.name].heads
            else:
                inputs = [replaced.get(e.node) or Entry(copies[e.node], e.index) for e in node.inputs]
                copies[node] = Node(node.op, node.name, node.attributes, inputs, node.subgraphs) if inputs else node
        return self._like([replaced.get(e.node) or Entry(copies[e.node], e.index) for e in self.heads])

    # Shapes and dtypes.

    def infer_shape(self, *args: Any, **kwargs: Any) -> tuple[Any, Any, Any]:
        """The shapes of arguments, outputs and auxiliary states, from shapes of arguments in order or by name.

        Three times None, if they do not decide all.

        Raises:
            ShapeError: if shapes do not fit.
        """
        found = self._partly(*args, **kwargs)
        return found if all(is_known(shape) for shapes in found for shape in shapes) else (None, None, None)

    def infer_shape_partial(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """As `infer_shape`, with what is known: () for an unknown shape, 0 for a size; None and -1 with `np_shape`."""
        nothing, size_of = (None, -1) if self.np_shape else ((), 0)
        arguments, outputs, auxiliary = (
            [nothing if shape is None else tuple(size_of if n is None else n for n in shape) for shape in shapes]
            for shapes in self._partly(*args, **kwargs)
        )
        return arguments, outputs, auxiliary

    def _partly(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]:
        inference = self.inference(dict(zip(self.list_arguments(), args, strict=False)) | kwargs)
        by_name = {node.name: inference.shapes[node][0] for node in inference.nodes if node.is_variable}
        arguments = [by_name[name] for name in self.list_arguments()]
        return arguments, inference.of(self.heads), [by_name[name] for name in self.list_auxiliary_states()]

    def inference(self, shapes: Mapping[str, Any], dtypes: Mapping[str, Any] | None = None) -> Inference:
        """What these shapes and dtypes of variables say of all others."""
        unknown = 0 if not self.np_shape else -1
        cleaned = {k: s and tuple(_size(size, unknown) for size in s) for k, s in shapes.items()}
        return Inference(self.heads, cleaned, dtypes, self.np_shape)

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """The dtypes of arguments, outputs and auxiliary states, from dtypes of arguments in order or by name."""
        given = dict(zip(self.list_arguments(), args, strict=False)) | kwargs
        dtypes = infer_dtypes(self.nodes, {k: onp.dtype(v) for k, v in given.items() if v is not None})
        by_name = {node.name: dtypes[node] for node in self.nodes if node.is_variable}
        outputs = [dtypes[entry.node].type for entry in self.heads]
        arguments, auxiliary = self.list_arguments(), self.list_auxiliary_states()
        return [by_name[k].type for k in arguments], outputs, [by_name[k].type for k in auxiliary]

    def debug_str(self) -> str:
        """The nodes of the graph, in the order that they run in."""
        return '\n'.join(f'{node.op or "Variable"}: {node.name}' for node in self.nodes)

    # Files.

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """The graph in MXNet's JSON; `remove_amp_cast` is accepted."""
        return to_json(self.heads, self.np_shape)

    def save(self, fname: str | pathlib.Path, remove_amp_cast: bool = True) -> None:
        """Writes the graph to a file, by custom NAME-symbol.json; `remove_amp_cast` is accepted."""
        pathlib.Path(fname).write_text(self.tojson())

    # Running.

    def run(
        self, values: Mapping[str, Any], training: bool = False, next_key: Callable[[], jax.Array] | None = None
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """The outputs, and the new values of auxiliary states; pure, and for JAX's transformations.

        Args:
            values: the arrays of variables by name; labels may be missing.
            training: whether it is a pass of training.
            next_key: gives a new random key, if something random runs.
        """
        check_known(self.nodes)
        return evaluate(self.heads, values, training, next_key, self.open_shapes(values))

    def open_shapes(self, values: Mapping[str, Any]) -> dict[Node, list[Any]]:
        """The shapes that nodes such as `_zeros(shape=(0, 128))` leave to others, given the variables."""
        makers = [node for node in self.nodes if not node.is_variable and not node.inputs and 'shape' in node.parsed]
        if self.np_shape or not any(0 in node.parsed['shape'] or not node.parsed['shape'] for node in makers):
            return {}
        known = {name: onp.shape(value) for name, value in values.items() if value is not None}
        inference = self.inference(known, {name: values[name].dtype for name in known})
        return {node: inference.shapes[node] for node in makers}

    def eval(self, ctx: Any = None, **kwargs: Any) -> list[NDArray]:
        """The outputs for these values of the arguments."""
        with contextlib.ExitStack() as keys:
            values = {name: as_jax(value) for name, value in kwargs.items()}
            outputs, _ = self.run(values, False, lambda: keys.enter_context(invoke.next_key()))
        return [NDArray(y) for y in outputs]

    def bind(
        self,
        ctx: Any = None,
        args: Any = None,
        args_grad: Any = None,
        grad_req: Any = 'write',
        aux_states: Any = None,
        group2ctx: Any = None,
        shared_exec: Any = None,
    ) -> Executor:
        """An executor of this graph, on these arrays.

        Args:
            ctx: MXNet's; accepted, arrays are where JAX has them.
            args: the arrays of arguments, a list in their order or a dict by name.
            args_grad: which arguments get a gradient: a list or a dict of arrays, as `args`; all by default.
            grad_req: 'write', 'add' or 'null'; or one for each argument, in a list or a dict.
            aux_states: the arrays of auxiliary states, as `args`.
            group2ctx: accepted.
            shared_exec: accepted: XLA decides what memory is shared.
        """
        arguments = _by_name(args, self.list_arguments())
        auxiliary = _by_name(aux_states, self.list_auxiliary_states())
        wanted = None if args_grad is None else set(_by_name(args_grad, self.list_arguments()))
        requests = _requests(grad_req, self.list_arguments(), wanted)
        gradients = _by_name(args_grad, self.list_arguments())
        names = self.list_arguments(), self.list_outputs()
        return Executor(Programs(self.run), *names, arguments, auxiliary, requests, gradients, self)

    def simple_bind(
        self,
        ctx: Any = None,
        grad_req: Any = 'write',
        type_dict: Mapping[str, Any] | None = None,
        stype_dict: Any = None,
        group2ctx: Any = None,
        shared_arg_names: Any = None,
        shared_exec: Any = None,
        shared_buffer: Any = None,
        **kwargs: Any,
    ) -> Executor:
        """An executor on zeros of the shapes that these shapes of arguments decide.

        Args:
            ctx: as for `bind`.
            grad_req: as for `bind`.
            type_dict: dtypes by name.
            stype_dict: accepted; arrays are dense.
            group2ctx: accepted.
            shared_arg_names: accepted.
            shared_exec: accepted.
            shared_buffer: accepted.
            **kwargs: shapes by name.

        Raises:
            ArgumentError: if they do not decide all.
        """
        type_dict = {name: onp.dtype(dtype) for name, dtype in (type_dict or {}).items()}
        inference = self.inference(kwargs, type_dict)
        if unknown := inference.unknown():
            raise ArgumentError(
                f'the shapes of {[node.name for node in unknown]} are unknown', remedy=f'give {unknown[0].name}=(...)'
            )
        types = dict(type_dict or {})
        zeros = {
            node.name: jax.numpy.zeros(inference.shapes[node][0], types.get(node.name, 'float32'))
            for node in inference.nodes
            if node.is_variable
        }
        arguments = {name: zeros[name] for name in self.list_arguments()}
        auxiliary = {name: zeros[name] for name in self.list_auxiliary_states()}
        return self.bind(ctx, arguments, None, grad_req, auxiliary)

    # Operators.

    def __add__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Plus', '_PlusScalar')

    __radd__ = __add__

    def __sub__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Minus', '_MinusScalar')

    def __rsub__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Minus', '_RMinusScalar')

    def __mul__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Mul', '_MulScalar')

    __rmul__ = __mul__

    def __truediv__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Div', '_DivScalar')

    def __rtruediv__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Div', '_RDivScalar')

    def __mod__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Mod', '_ModScalar')

    def __rmod__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Mod', '_RModScalar')

    def __pow__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Power', '_PowerScalar')

    def __rpow__(self, other: _Operand) -> Symbol:
        return _arithmetic(self, other, '_Power', '_rpower_scalar')

    def __neg__(self) -> Symbol:
        return self * -1.0

    def __eq__(self, other: object) -> Any:
        return _comparison(self, other, 'equal')

    def __ne__(self, other: object) -> Any:
        return _comparison(self, other, 'not_equal')

    def __gt__(self, other: _Operand) -> Symbol:
        return _comparison(self, other, 'greater')

    def __ge__(self, other: _Operand) -> Symbol:
        return _comparison(self, other, 'greater_equal')

    def __lt__(self, other: _Operand) -> Symbol:
        return _comparison(self, other, 'lesser')

    def __le__(self, other: _Operand) -> Symbol:
        return _comparison(self, other, 'lesser_equal')

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        what = 'a Symbol has no value, and is neither true nor false'
        raise NotImplementedForSymbol(what, remedy='mx.sym.where(...)')

    # What arrays have.

    def as_np_ndarray(self) -> Symbol:
        """Itself: symbols are of both dialects."""
        return self

    as_nd_ndarray: Callable[[Any], Symbol] = as_np_ndarray

    def optimize_for(self, backend: str, *args: Any, **kwargs: Any) -> Symbol:
        """Itself: XLA optimizes graphs where they run."""
        return self

    get_backend_symbol: Callable[..., Symbol] = optimize_for

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]:
        """As `infer_type`: a dtype that nobody says is float32."""
        return self.infer_type(*args, **kwargs)

    def astype(self, dtype: DTypeLike) -> Symbol:
        """In another dtype."""
        return call('Cast', self, dtype=onp.dtype(dtype).name)

    def split_v2(self, *args: Any, **kwargs: Any) -> Symbol:
        """In equal parts, or cut at indices, along an axis."""
        return split_v2(self, *args, **kwargs)

    asnumpy: Any = _OfArrays('sym.bind(...).forward()[0].asnumpy()')
    asscalar: Any = _OfArrays('sym.bind(...).forward()[0].asscalar()')
    as_in_context: Any = _OfArrays('sym.bind(ctx, ...)')
    backward: Any = _OfArrays('sym.bind(...).backward()')
    gradient: Any = _OfArrays('sym.bind(...).backward()')
    copy: Any = _OfArrays('the symbol itself, which does not change')
    detach: Any = _OfArrays('mx.sym.BlockGrad(sym)')
    wait_to_read: Any = _OfArrays('sym.bind(...).forward()')

    def reshape(self, *shape: Any, **kwargs: Any) -> Symbol:
        """In another shape, given as one tuple or as numbers; see the operator `Reshape`."""
        if shape:
            kwargs['shape'] = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return call('Reshape', self, **kwargs)

    if not TYPE_CHECKING:  # a type checker would accept any name

        def __getattr__(self, name: str) -> Any:
            """Every operator is a method of its first input."""
            if name.startswith('_') or name not in OPERATORS:
                raise AttributeError(f'Symbol has no attribute {name!r}', name=name, obj=self)
            return lambda *args, **kwargs: call(name, self, *args, **kwargs)


def _size(size: Any, unknown: int) -> Any:
    """A size that is known, maybe by a symbol of `jax.export`; or None."""
    return None if size is None or size == unknown else int(size) if isinstance(size, onp.integer) else size


def _visible(node: Node) -> int:
    return 1 if node.is_variable else node.operator.visible_for(node.parsed)


def _by_name(given: Any, names: Sequence[str]) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: value for name, value in given.items() if name in names and value is not None}
    if len(given) != len(names):
        raise ArgumentError('bind takes one array for each name', expected=', '.join(names), got=f'{len(given)} arrays')
    return {name: value for name, value in zip(names, given, strict=True) if value is not None}


def _requests(grad_req: Any, names: Sequence[str], wanted: set[str] | None) -> dict[str, str]:
    """'write', 'add' or 'null' for each argument."""
    if isinstance(grad_req, str):
        requests = dict.fromkeys(names, grad_req)
    elif isinstance(grad_req, Mapping):
        requests = {name: grad_req.get(name, 'null') for name in names}
    else:
        requests = dict(zip(names, grad_req, strict=True))
    return {name: kind if wanted is None or name in wanted else 'null' for name, kind in requests.items()}


def _arithmetic(left: Symbol, right: Any, of_symbols: str, of_number: str) -> Symbol:
    """A node of MXNet's operator under the alias that names it as MXNet does: _plus0, _plusscalar0."""
    if isinstance(right, Symbol):
        return call(of_symbols, left, right)
    if not isinstance(right, int | float | onp.number):
        raise ArgumentError('a Symbol is combined with Symbols and numbers', got=type(right).__name__)
    return call(of_number, left, scalar=right if type(right) is int else float(right))


def _comparison(left: Symbol, right: Any, name: str) -> Symbol:
    return _arithmetic(left, right, f'_{name}', f'_{name}_scalar')


# Graphs are built by these.


def call(op: str, *args: Any, name: str | None = None, attr: Mapping[str, str] | None = None, **kwargs: Any) -> Symbol:
    """A new node: inputs in order or by name, then attributes in order or by name.

    Inputs that are not given become variables, called after the node; `lr_mult` and the like are attributes of these
    too.

    Raises:
        ArgumentError: for an unknown operator, input or attribute.
    """
    operator = find(op)
    by_name = {key: value for key, value in kwargs.items() if isinstance(value, Symbol)}
    attributes = {
        key: value
        for key, value in kwargs.items()
        if key not in by_name and (value is not None or may_be_none(operator.annotations.get(key)))
    }
    count = next((i for i, arg in enumerate(args) if _is_attribute(arg)), len(args))
    positional = [item for arg in args[:count] for item in (arg if isinstance(arg, list | tuple) else [arg])]
    free = [key for key in operator.annotations if key not in attributes]
    if len(args) - count > len(free):
        raise ArgumentError(f'input {count} of {op} must be a Symbol', got=repr(args[count]))
    attributes.update({key: value for key, value in zip(free, args[count:], strict=False) if value is not None})
    if operator.variadic and 'num_args' in operator.annotations:
        attributes.setdefault('num_args', len(positional) + len(by_name))
    name = next_name(op, name)
    said = {key: str(attributes.pop(key)) for key in HIDDEN_KEYS if key in attributes}
    parsed = operator.parse(attributes, f'{op} {name!r}')
    hints = {f'__{key.strip("_")}__': value for key, value in {**attributes_here(), **(attr or {}), **said}.items()}
    names = operator.inputs_for(parsed, len(positional) + len(by_name))
    inputs = _inputs(operator.name, names, positional, by_name, name, hints)
    node = Node(operator.name, name, {**attributes, **hints}, inputs)
    return Symbol([Entry(node, i) for i in range(_visible(node))])


def _is_attribute(arg: Any) -> bool:
    first = arg[0] if isinstance(arg, list | tuple) and arg else arg
    return isinstance(first, str | bool | int | float | onp.generic)


_STARTS = {  # what variables begin as, where nobody says
    ('LeakyReLU', 'gamma'): '["Constant", {"value": 0.25}]',
    ('BatchNorm', 'moving_mean'): '["zero", {}]',
    ('BatchNorm', 'moving_var'): '["one", {}]',
    ('_contrib_SyncBatchNorm', 'moving_mean'): '["zero", {}]',
    ('_contrib_SyncBatchNorm', 'moving_var'): '["one", {}]',
}


def _inputs(
    op: str,
    names: Sequence[str],
    positional: Sequence[Any],
    by_name: dict[str, Symbol],
    node: str,
    hints: Mapping[str, str],
) -> list[Entry]:
    if len(positional) > len(names) or any(name not in names for name in by_name):
        extra = [name for name in by_name if name not in names] or f'{len(positional)} inputs'
        raise ArgumentError(f'{node} takes other inputs', expected=', '.join(names), got=extra)
    given = dict(zip(names, positional, strict=False)) | by_name
    entries = []
    for name in names:
        symbol = given.get(name)
        if symbol is None:
            entries.append(Entry(Node(None, f'{node}_{name}', hints)))
        elif isinstance(symbol, Symbol) and len(symbol) == 1:
            entries.append(symbol.heads[0])
        else:
            what = f'a group of {len(symbol)}' if isinstance(symbol, Symbol) else type(symbol).__name__
            raise ArgumentError(f'{name} of {node} must be a Symbol with one output, got {what}')
        if (op, name) in _STARTS and entries[-1].node.is_variable:
            entries[-1].node.attributes.setdefault('__init__', _STARTS[op, name])
    return entries


def var(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Sequence[int] | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: DTypeLike | None = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: str,
) -> Symbol:
    """A variable: an input or a parameter of the graph.

    Args:
        name: its name.
        attr: more attributes.
        shape: its shape; 0 where unknown.
        lr_mult: what a Trainer multiplies the learning rate with.
        wd_mult: what a Trainer multiplies the weight decay with.
        dtype: its dtype.
        init: an initializer, or MXNet's string for one.
        stype: MXNet's storage type: a label, as arrays are dense.
        **kwargs: attributes whose names begin and end with two underscores.
    """
    if not isinstance(name, str):
        raise DTypeError(f'the name of a variable must be a string, got {name!r}')
    declared = {'shape': shape, 'lr_mult': lr_mult, 'wd_mult': wd_mult, 'init': getattr(init, 'dumps', lambda: init)()}
    attributes = {f'__{key}__': value for key, value in declared.items() if value is not None}
    if dtype is not None:
        attributes['__dtype__'] = DTYPE_CODES.index(onp.dtype(dtype).name)
    if stype is not None:
        attributes['__storage_type__'] = STORAGE_CODES[stype]
    said = stored({**attributes_here(), **(attr or {}), **kwargs})
    return Symbol([Entry(Node(None, name, {**said, **attributes}))])


Variable = var


def zeros(shape: Any, dtype: DTypeLike = 'float32', name: str | None = None, **kwargs: Any) -> Symbol:
    """Zeros; a size of 0 is that which the rest of the graph needs. `__layout__` and `ctx` are accepted."""
    return call('_zeros', shape=shape, dtype=onp.dtype(dtype).name, name=name)


def ones(shape: Any, dtype: DTypeLike = 'float32', name: str | None = None, **kwargs: Any) -> Symbol:
    """Ones; a size of 0 is that which the rest of the graph needs. `__layout__` and `ctx` are accepted."""
    return call('_ones', shape=shape, dtype=onp.dtype(dtype).name, name=name)


def full(shape: Any, val: float, dtype: DTypeLike = 'float32', name: str | None = None, **kwargs: Any) -> Symbol:
    """One number everywhere."""
    return call('_full', shape=shape, value=val, dtype=onp.dtype(dtype).name, name=name)


def eye(N: int, M: int = 0, k: int = 0, dtype: DTypeLike = 'float32', name: str | None = None, **kwargs: Any) -> Symbol:
    """Ones on a diagonal."""
    return call('_eye', N=N, M=M, k=k, dtype=onp.dtype(dtype).name, name=name)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: DTypeLike = 'float32',
) -> Symbol:
    """Numbers in equal steps, each `repeat` times."""
    given = {'start': start, 'stop': stop, 'step': step, 'repeat': repeat, 'infer_range': infer_range}
    return call('_arange', **given, dtype=onp.dtype(dtype).name, name=name)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    name: str | None = None,
    dtype: DTypeLike = 'float32',
) -> Symbol:
    """`num` numbers from start to stop."""
    given = {'start': start, 'stop': stop, 'num': num, 'endpoint': endpoint}
    return call('_linspace', **given, dtype=onp.dtype(dtype).name, name=name)


def split_v2(
    ary: Symbol, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> Symbol:
    """In equal parts, or cut at indices, along an axis."""
    if isinstance(indices_or_sections, int):
        return call('_split_v2', ary, sections=indices_or_sections, axis=axis, squeeze_axis=squeeze_axis)
    indices = [0, *indices_or_sections]
    return call('_split_v2', ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis)


def histogram(a: Symbol, bins: Any = 10, range: tuple[float, float] | None = None, **kwargs: Any) -> Symbol:
    """How many elements are in each bin, and the edges of the bins; a number of bins comes with their range."""
    if isinstance(bins, Symbol):
        return call('_histogram', a, bins, **kwargs)
    if range is None:
        raise ArgumentError('a number of bins needs their range', remedy='histogram(x, 10, range=(0, 1))')
    return call('_histogram', a, bin_cnt=bins, range=range, **kwargs)


def maximum(left: _Operand, right: _Operand) -> Any:
    """The larger of each two elements, of symbols or numbers."""
    return _either(left, right, 'Maximum', max)


def minimum(left: _Operand, right: _Operand) -> Any:
    """The smaller of each two elements, of symbols or numbers."""
    return _either(left, right, 'Minimum', min)


def hypot(left: _Operand, right: _Operand) -> Any:
    """The root of the sum of two squares, of symbols or numbers."""
    return _either(left, right, 'Hypot', math.hypot)


def power(base: _Operand, exp: _Operand) -> Any:
    """Powers, of symbols or numbers."""
    if isinstance(exp, Symbol) and not isinstance(base, Symbol):
        return _arithmetic(exp, base, '_Power', '_RPowerScalar')
    return base**exp


pow = power


def _either(left: Any, right: Any, name: str, function: Callable[[Any, Any], Any]) -> Any:
    """A symmetric function of two operands, one or none of which is a number."""
    if isinstance(left, Symbol) or isinstance(right, Symbol):
        first, second = (left, right) if isinstance(left, Symbol) else (right, left)
        return _arithmetic(first, second, f'_{name}', f'_{name}Scalar')
    return function(left, right)


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """The outputs of several symbols as one."""
    return Symbol([entry for symbol in symbols for entry in symbol.heads], any(s.np_shape for s in symbols))


def load_json(json_str: str) -> Symbol:
    """The graph in MXNet's JSON, of any version.

    Raises:
        ArgumentError: if it is no such JSON.
    """
    return Symbol(*parse_json(json_str))


def load(fname: str | pathlib.Path) -> Symbol:
    """The graph in a -symbol.json file.

    Raises:
        ArgumentError: if it is no such file.
    """
    return Symbol(*parse_json(pathlib.Path(fname).read_bytes()))


class Namespace(types.ModuleType):
    """Operators whose names begin alike: `mx.sym.contrib.box_nms` is `_contrib_box_nms`.

    Args:
        *prefixes: the beginnings.
        others: functions of Python beside them: a name, and the module that it is in.
    """

    def __init__(self, *prefixes: str, others: Mapping[str, str] | None = None):
        super().__init__(f'{__name__}.{prefixes[0].strip("_") or "op"}')  # programs import from it
        self.prefixes: tuple[str, ...] = prefixes
        self.others: Mapping[str, str] = others or {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        if name in self.others:
            return getattr(importlib.import_module(self.others[name]), name)
        for prefix in self.prefixes:
            if f'{prefix}{name}' in OPERATORS:
                return _builder(f'{prefix}{name}')
        check_present(self.prefixes[0], name)
        known = [other.removeprefix(p) for p in self.prefixes for other in OPERATORS if other.startswith(p)]
        raise missing(f'the operators {self.prefixes[0]}*', name, __name__, known)


class Contrib(Namespace):
    """`mx.sym.contrib`: operators, and loops and branches, whose functions make graphs inside of a node.

    >>> import gluonjax.mx as mx
    >>> sums, last = mx.sym.contrib.foreach(lambda x, s: (x + s, x + s), mx.sym.var('x'), mx.sym.zeros((1,)))
    >>> [y.asnumpy().ravel().tolist() for y in Group([sums, last]).eval(x=mx.nd.array([[1], [2], [3]]))]
    [[1.0, 3.0, 6.0], [6.0]]
    """

    def foreach(self, body: Callable[..., Any], data: Any, init_states: Any, name: str = 'foreach') -> tuple[Any, Any]:
        """The outputs, stacked, and the last states of `body(slice, states)` for each slice along the first axis.

        Args:
            body: gives an output and new states, symbols or nested lists of them.
            data: a symbol or a list of symbols.
            init_states: what the first call is given.
            name: what nodes and variables of the body are called after.
        """
        scope = next_name(name)
        slices, states = _variables(data, f'{scope}_data'), _variables(init_states, f'{scope}_state')
        with AttrScope(**{subgraph.KEY: scope}):
            made = [jax.tree.flatten(part) for part in body(slices.tree, states.tree)]
        inside = subgraph.cut(_heads(made[0][0] + made[1][0]), scope, [*slices.nodes, *states.nodes])
        node = subgraph.foreach(next_name('_foreach'), inside, slices.nodes, states.nodes, len(made[0][0]))
        return _structured(node, made)

    def while_loop(
        self,
        cond: Callable[..., Any],
        func: Callable[..., Any],
        loop_vars: Any,
        max_iterations: int,
        name: str = 'while',
    ) -> tuple[Any, Any]:
        """The outputs, stacked, and the last variables of `func(*loop_vars)` as long as `cond(*loop_vars)` holds.

        Args:
            cond: gives a symbol of one element.
            func: gives outputs and new loop variables.
            loop_vars: what the first call is given: a symbol or a list.
            max_iterations: the length of the outputs.
            name: what nodes and variables of the body are called after.
        """
        scope, single = next_name(name), isinstance(loop_vars, Symbol)
        variables = _variables([loop_vars] if single else list(loop_vars), f'{scope}_var')
        with AttrScope(**{subgraph.KEY: scope}):
            holds = cond(*variables.tree)
            made = [jax.tree.flatten(part) for part in func(*variables.tree)]
        condition = subgraph.cut(_heads([holds]), scope, variables.nodes)
        inside = subgraph.cut(_heads(made[0][0] + made[1][0]), scope, variables.nodes)
        given = condition, inside, variables.nodes, len(made[0][0]), max_iterations
        return _structured(subgraph.while_loop(next_name('_while_loop'), *given), made)

    def cond(self, pred: Symbol, then_func: Callable[[], Any], else_func: Callable[[], Any], name: str = 'cond') -> Any:
        """What one of two functions gives, as a symbol of one element says.

        Args:
            pred: the symbol.
            then_func: what is computed if its element is not 0.
            else_func: what is computed otherwise.
            name: what nodes of the branches are called after.
        """
        scope = next_name(name)
        with AttrScope(**{subgraph.KEY: scope}):
            made = [jax.tree.flatten(function()) for function in (then_func, else_func)]
        parts = [subgraph.cut(_heads(leaves), scope) for leaves in ([pred], made[0][0], made[1][0])]
        return _structured(subgraph.cond(next_name('_cond'), *parts), made[:1])[0]


class _Variables(NamedTuple):
    """The variables of a loop: in the structure of what they stand for; and for each what it begins as."""

    tree: Any
    nodes: dict[Node, Entry]


def _variables(symbols: Any, name: str) -> _Variables:
    leaves, form = jax.tree.flatten(symbols)
    nodes = [Node(None, f'{name}{i}') for i in range(len(leaves))]
    tree = jax.tree.unflatten(form, [Symbol([Entry(node)]) for node in nodes])
    return _Variables(tree, dict(zip(nodes, _heads(leaves), strict=True)))


def _heads(symbols: Sequence[Any]) -> list[Entry]:
    for symbol in symbols:
        if not isinstance(symbol, Symbol) or len(symbol) != 1:
            what = f'a group of {len(symbol)}' if isinstance(symbol, Symbol) else type(symbol).__name__
            raise ArgumentError('loops and branches take and give Symbols with one output', got=what)
    return [symbol.heads[0] for symbol in symbols]


def _structured(node: Node, made: Sequence[tuple[list[Any], Any]]) -> Any:
    """The outputs of a node in the structures that functions gave."""
    outputs = iter(Symbol([Entry(node, i) for i in range(len(node.output_names))]))
    return tuple(jax.tree.unflatten(form, [next(outputs) for _ in leaves]) for leaves, form in made)


contrib: Contrib = Contrib('_contrib_', others={'rand_zipfian': 'gluonjax.mx.zipfian'})
linalg: Namespace = Namespace('_linalg_')
image: Namespace = Namespace('_image_')
np: Namespace = Namespace('_npi_', '_np_')
npx: Namespace = Namespace('_npx_')
sparse: Namespace = Namespace('_sparse_', '')
op: Namespace = Namespace('')
_internal = op
symbol: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here


def _builder(name: str) -> Callable[..., Symbol]:
    def build(*args: Any, **kwargs: Any) -> Symbol:
        return call(name, *args, **kwargs)

    build.__name__, build.__doc__ = name, find(name).function.__doc__
    return build


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every operator of the table; `random`, which is a module of its own."""
        if name == 'random':
            return importlib.import_module('gluonjax.mx.symbol_random')
        if name.startswith('__') or name not in OPERATORS:
            raise missing(f'module {__name__!r}', name, __name__, OPERATORS)
        return _builder(name)


explain_calls(globals(), functions=False)
