"""Blocks of Gluon: networks that run operation by operation on the tape, or, hybridized, as one compiled program."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import os
import pathlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Self

import jax
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, FrozenError, ParamsError
from gluonjax.io import mxnet_params
from gluonjax.mx import ndarray, symbol, tape
from gluonjax.mx.array import NDArray, array_class
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.files import read
from gluonjax.mx.gluon.naming import NameScope, named
from gluonjax.mx.gluon.nesting import flatten as _flatten  # noqa: F401 (libraries on Gluon take them from here)
from gluonjax.mx.gluon.nesting import regroup as _regroup  # noqa: F401
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict, load_values
from gluonjax.mx.gluon.traced import Traced, is_inside
from gluonjax.mx.saving import write


class HookHandle:
    """A hook that was registered; in a `with` block it ends with it.

    Args:
        hooks: where it is put.
        hook: the function.
    """

    def __init__(self, hooks: list[Callable[..., Any]], hook: Callable[..., Any]):
        self._hooks, self._hook = hooks, hook
        hooks.append(hook)

    def detach(self) -> None:
        """Calls it no more."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()


def _report(callback: Callable[..., Any], with_inputs: bool, block: Block, inputs: Any, output: Any) -> None:
    name, kind, names = _node_of(block, inputs)
    given: list[Any] = [leaf for leaf in jax.tree.leaves(inputs) if isinstance(leaf, NDArray)]
    given += [parameter.data(parameter.context_for(given)) for parameter in block._reg_params.values()]
    values = zip(names, given, strict=False) if with_inputs else ()
    for suffix, array in [*values, *(('output', leaf) for leaf in jax.tree.leaves(output))]:
        callback(f'{name}_{suffix}', kind, array)


def _node_of(block: Block, inputs: Any) -> tuple[str, str, Sequence[str]]:
    """The name of the last node of a block, its operator, and what MXNet calls its inputs."""
    made = None
    if hasattr(block, 'layer'):  # the library's own, whose call with symbols changes nothing
        leaves, tree = jax.tree.flatten(inputs)
        with contextlib.suppress(ArgumentError):  # for layers that MXNet has no operator for
            made = block.forward(*jax.tree.unflatten(tree, [symbol.var(f'data{i}') for i in range(len(leaves))]))
    if made is None:
        return f'{block.name}_fwd', type(block).__name__, ('data', *block._reg_params)
    node = jax.tree.leaves(made)[-1].heads[0].node
    named = len(node.inputs) > 1 or node.operator.name == 'Pooling'
    return node.name, node.operator.name, node.input_names if named else ['input0']


def _count(parameter: Parameter) -> int:
    return math.prod(size or 0 for size in parameter.known_shape or ())


def _row(rows: list[Any], block: Block, inputs: Any, output: Any) -> None:
    shapes = [leaf.shape for leaf in jax.tree.leaves(output)]
    count = sum(_count(parameter) for parameter in block._reg_params.values())
    rows.append((f'{type(block).__name__}-{len(rows)}', shapes[0] if len(shapes) == 1 else shapes, count))


def _table(rows: list[Any], total: int, trained: int) -> str:
    line, double = '-' * 80, '=' * 80
    cells = [
        f'{name:>20}  {shape!s:>42} {count:>15}'
        for name, shape, count in [('Layer (type)', 'Output Shape', 'Param #'), *rows]
    ]
    sums = [f'Total params: {total}', f'Trainable params: {trained}', f'Non-trainable params: {total - trained}']
    return '\n'.join([line, cells[0], double, *cells[1:], double, *sums, line])


class Block:
    """A network of your own: children and parameters are attributes, `forward` computes.

    Args:
        prefix: what the names of its parameters begin with; made from the class by default.
        params: a dict of another block, whose parameters are shared.

    >>> from gluonjax.mx import gluon, nd
    >>> class Twice(gluon.Block):
    ...     def __init__(self):
    ...         super().__init__(prefix='twice_')
    ...         self.dense = gluon.nn.Dense(2, use_bias=False)
    ...
    ...     def forward(self, x):
    ...         return 2 * self.dense(x)
    >>> net = Twice()
    >>> net.initialize('ones')
    >>> net(nd.ones((1, 3))).asnumpy()
    array([[6., 6.]], dtype=float32)
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None):
        self._children: OrderedDict[str, Block] = OrderedDict()
        self._reg_params: dict[str, Parameter] = {}
        self._hooks: tuple[list[Callable[..., Any]], list[Callable[..., Any]]] = ([], [])
        self._prefix, self._params = named(prefix, params, self._alias())
        self._scope = NameScope(self, prefix == '')
        self._active = False
        self._programs: dict[Any, Traced] = {}
        self._structure: tuple[bool, ...] | None = None  # which arguments are not None, once hybridized
        self._inputs: Any = None  # the tree of the inputs of the last call, once hybridized

    def _alias(self) -> str:
        return type(self).__name__.lower()

    @property
    def prefix(self) -> str:
        """What the names of its parameters begin with."""
        return self._prefix

    @property
    def name(self) -> str:
        """The prefix without its underscore."""
        return self._prefix.removesuffix('_')

    @property
    def params(self) -> ParameterDict:
        """Its own parameters, without those of its children."""
        return self._params

    def name_scope(self) -> NameScope:
        """A `with` block in which the names of new blocks begin with its prefix."""
        return self._scope

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        if isinstance(before, Block | Parameter) and not isinstance(value, type(before) | Block | Parameter | None):
            raise FrozenError(
                f'{type(self).__name__}.{name} is a {type(before).__name__}', got=f'a {type(value).__name__}'
            )
        if isinstance(value, Block):
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            self._reg_params[name] = value
        object.__setattr__(self, name, value)

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Adds a child, under a number by default."""
        self._children[str(len(self._children)) if name is None else name] = block

    def register_forward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Calls `hook(block, inputs, output)` after each call, until `detach` of the handle."""
        return HookHandle(self._hooks[1], hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Calls `hook(block, inputs)` before each call, until `detach` of the handle."""
        return HookHandle(self._hooks[0], hook)

    def register_op_hook(self, callback: Callable[..., Any], monitor_all: bool = False) -> None:
        """Calls `callback(name, kind, array)` of blocks without children: for outputs; `monitor_all`: inputs too."""
        for child in self._children.values():
            child.register_op_hook(callback, monitor_all)
        if not self._children:
            self.register_forward_hook(functools.partial(_report, callback, monitor_all))

    def apply(self, fn: Callable[[Block], Any]) -> Self:
        """Calls a function of each block below, and of this one."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def summary(self, *inputs: Any) -> None:
        """Prints the shapes of outputs, and the numbers of parameters, of the blocks below, as they are called.

        Raises:
            ArgumentError: if it is hybridized.
        """
        blocks: list[Block] = []
        self.apply(blocks.append)
        if any(getattr(block, '_active', False) for block in blocks):
            raise ArgumentError('summary is of a network that is not hybridized', remedy='net.hybridize(False)')
        shapes = jax.tree.map(lambda x: x.shape, inputs, is_leaf=lambda x: isinstance(x, NDArray))
        rows = [('Input', shapes[0] if len(inputs) == 1 else shapes, 0)]
        with contextlib.ExitStack() as stack:
            for block in blocks:
                stack.enter_context(block.register_forward_hook(functools.partial(_row, rows)))
            self(*inputs)
        numbers = [(p.grad_req != 'null', _count(p)) for p in self.collect_params().values()]
        print(_table(rows, sum(n for _, n in numbers), sum(n for trained, n in numbers if trained)))

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """All parameters, or those whose names match a pattern from the first letter on.

        It warns of blocks in lists and dicts, whose parameters are not found.
        """
        for name, value in vars(self).items():
            if name not in _OWN and isinstance(value, list | tuple | dict) and _hides(value, self._children.values()):
                remedy = 'register_child(block), or nn.Sequential'
                warnings.warn(
                    f'{type(self).__name__}.{name} has blocks that are not registered: {remedy}', stacklevel=2
                )
        found = ParameterDict(self._params.prefix)
        found.update(self._params, select)
        found.update({p.name: p for p in self._reg_params.values()}, select)
        for child in self._children.values():
            found.update(child.collect_params(select))
        return found

    def _collect_params_with_prefix(self, prefix: str = '') -> dict[str, Parameter]:
        """All parameters by their place: '0.weight'."""
        prefix = f'{prefix}.' if prefix else ''
        found = {prefix + name: parameter for name, parameter in self._reg_params.items()}
        for name, child in self._children.items():
            found.update(child._collect_params_with_prefix(prefix + name))
        return found

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initializes all parameters; those without a whole shape at the first call."""
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Has the HybridBlocks below compiled."""
        for child in self._children.values():
            child.hybridize(active, **kwargs)

    def cast(self, dtype: DTypeLike) -> None:
        """Changes the dtype of all parameters."""
        for child in self._children.values():
            child.cast(dtype)
        for parameter in [*self._params.values(), *self._reg_params.values()]:
            parameter.cast(dtype)

    def save_parameters(self, filename: str | os.PathLike[str], deduplicate: bool = False) -> None:
        """Writes all values by their place, as MXNet does; `deduplicate`: a shared one once, under its last place."""
        places = self._collect_params_with_prefix()
        last = {id(parameter): name for name, parameter in places.items()}
        values = {n: p.mean_data().value for n, p in places.items() if not deduplicate or last[id(p)] == n}
        mxnet_params.save(os.fspath(filename), values)

    def save(self, prefix: str) -> None:
        """Writes all values into PREFIX-model.params, and what the blocks are called into PREFIX-model.json."""
        pathlib.Path(f'{prefix}-model.json').write_text(json.dumps(described(self)))
        self.save_parameters(f'{prefix}-model.params')

    def load(self, prefix: str) -> None:
        """Sets all values from the files that `save` has written; blocks go by their order, not by their names.

        Raises:
            ParamsError: for values of other blocks; nothing is set then.
        """
        saved = paths_of(json.loads(pathlib.Path(f'{prefix}-model.json').read_text()))
        own = dict(zip(saved, paths_of(described(self)), strict=False))
        given = read(f'{prefix}-model.params')
        places = {name: name.rpartition('.') for name in given}
        named = {name: f'{own.get(path, path)}{dot}{last}' for name, (path, dot, last) in places.items()}
        self.load_dict({named[name]: value for name, value in given.items()})

    def load_parameters(
        self,
        filename: str | os.PathLike[str],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = 'current',
    ) -> None:
        """Sets all values from a file.

        Raises:
            ParamsError: for missing values, or others; nothing is set then.
        """
        given: Any = read(filename)
        own = self._collect_params_with_prefix()
        if given and own and not any('.' in name for name in given) and not any(name in own for name in given):
            own = dict(self.collect_params())  # of `save_params`, by whole names
        self.load_dict(given, ctx, allow_missing, ignore_extra, cast_dtype, dtype_source, own)

    def load_dict(
        self,
        param_dict: Mapping[str, Any],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = 'current',
        own: Mapping[str, Parameter] | None = None,
    ) -> None:
        """Sets all values from a dict, by their place.

        Args:
            param_dict: arrays by name.
            ctx: where they are put.
            allow_missing: whether some may be missing.
            ignore_extra: whether there may be others.
            cast_dtype: whether dtypes may differ.
            dtype_source: which dtype holds then: 'current', that of the parameter, or 'saved'.
            own: the parameters by other names.

        Raises:
            ParamsError: for missing values, or others; nothing is set then.
            ArgumentError: for another `dtype_source`.
            DTypeError: for other dtypes, without `cast_dtype`; nothing is set then.
        """
        given = mxnet_params.without_kinds(param_dict)
        own = self._collect_params_with_prefix() if own is None else own
        there = {id(parameter) for name, parameter in own.items() if name in given}  # a shared one once is enough
        missing = [] if allow_missing else [name for name, parameter in own.items() if id(parameter) not in there]
        extra = [] if ignore_extra else [name for name in given if name not in own]
        if missing or extra:
            got = ', '.join([f'missing: {name}' for name in missing] + [f'extra: {name}' for name in extra])
            raise ParamsError('the file is not of this network', got=got, remedy='allow_missing=, ignore_extra=')
        load_values(own, given, cast_dtype, dtype_source)
        if ctx is not None:
            for parameter in own.values():
                parameter.reset_ctx(ctx)

    def save_params(self, filename: str | os.PathLike[str]) -> None:
        """Writes all values by their names without the prefix, as MXNet did before `save_parameters`."""
        self.collect_params().save(filename, strip_prefix=self.prefix)

    def load_params(
        self,
        filename: str | os.PathLike[str],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
    ) -> None:
        """Sets all values from a file of `save_params`, or one of `save_parameters`."""
        names = read(filename)
        if any('.' in name for name in names):
            self.load_parameters(filename, ctx, allow_missing, ignore_extra)
        else:
            self.collect_params().load(filename, ctx, allow_missing, ignore_extra, restore_prefix=self.prefix)

    def forward(self, *args: Any) -> Any:
        """What the block computes."""
        raise NotImplementedError(f'{type(self).__name__} has no forward')

    def _run(self, *args: Any) -> Any:
        return self.forward(*args)

    def __call__(self, *args: Any) -> Any:
        """Runs hooks and `forward`."""
        for hook in tuple(self._hooks[0]):
            hook(self, args)
        output = self._run(*args)
        for hook in tuple(self._hooks[1]):
            hook(self, args, output)
        return output

    def __repr__(self) -> str:
        lines = [f'  ({name}): {child!s}'.replace('\n', '\n  ') for name, child in self._children.items()]
        return '\n'.join([f'{type(self).__name__}(', '\n'.join(lines), ')'])


_OWN = frozenset(['_children', '_reg_params', '_hooks', '_programs', '_params'])


def _hides(value: Any, known: Collection[Block]) -> bool:
    """Whether a list or dict, or one in it, has a block that is no child."""
    if isinstance(value, list | tuple | dict):
        return any(_hides(item, known) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, Block) and not any(value is child for child in known)


def paths_of(structure: Mapping[str, Any]) -> list[str]:
    """The places of a block and of those below, in the order of what `described` gives: '', '0', '0.weights'."""

    def below(one: Mapping[str, Any], path: str) -> Iterator[str]:
        yield path
        names = iter(one['children'].values())
        for key, child in one.items():
            if isinstance(child, Mapping) and key != 'children':
                name = next(names)
                yield from below(child, f'{path}.{name}' if path else name)

    return [path for one in structure.values() for path in below(one, '')]


def described(block: Block) -> dict[str, Any]:
    """The names of a block and of those below, nested as MXNet's file has them."""
    numbers = itertools.count()

    def of_one(one: Block) -> dict[str, Any]:
        key = f'{type(one).__name__.lower()}{next(numbers)}'
        structure: dict[str, Any] = {'orig_name': one.name}
        if isinstance(one, HybridBlock):
            structure['hybridized'] = False  # graphs are made anew
        structure['children'] = {child.name: name for name, child in children_of(one).items()}
        for child in children_of(one).values():
            structure.update(of_one(child))
        return {key: structure}

    return of_one(block)


def children_of(block: Block) -> OrderedDict[str, Block]:
    """The children by name; Gluon's programs know them as `_children`."""
    return block._children


def own_parameters_of(block: Block) -> dict[str, Parameter]:
    """The parameters that are attributes, by name; Gluon's programs know them as `_reg_params`."""
    return block._reg_params


def places_of(block: Block) -> dict[str, Parameter]:
    """All parameters by their place; Gluon's programs know them as `_collect_params_with_prefix()`."""
    return block._collect_params_with_prefix()


def _parameters_of(block: Block) -> dict[Parameter, None]:
    """All parameters, each once, in the order of `collect_params`, which costs more: it looks at names."""
    found: dict[Parameter, None] = dict.fromkeys(block._params.values())
    found.update(dict.fromkeys(block._reg_params.values()))
    for child in block._children.values():
        found.update(_parameters_of(child))
    return found


def of_symbols(args: Any) -> bool:
    """Whether a block is called to build a graph."""
    return any(isinstance(x, symbol.Symbol) for x in jax.tree.leaves(args))


class HybridBlock(Block):
    """A Block that can be compiled whole: after `hybridize`, a call is one program, and its gradient another.

    Override `forward(self, x)`, or `hybrid_forward(self, F, x, weight)` with its own parameters by name.
    """

    inline_limit: int = 2  # how many operators a block has at most that is not one node in the graph of a tape

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Compiles calls from here on; `static_alloc` and `static_shape` are accepted, `inline_limit` is of graphs."""
        self.inline_limit = kwargs.get('inline_limit', type(self).inline_limit)
        self._active = active
        self.forget_programs()
        super().hybridize(active, **kwargs)

    def cast(self, dtype: DTypeLike) -> None:
        """Changes the dtype of all parameters."""
        self.forget_programs()
        super().cast(dtype)

    def forget_programs(self) -> None:
        """Has the next call compile anew."""
        self._programs.clear()
        self._structure = None

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Adds a child, under a number by default.

        Raises:
            ArgumentError: for a Block that cannot be compiled.
        """
        if not isinstance(block, HybridBlock):
            what = f'a child of {type(self).__name__} must be a HybridBlock, as that is'
            raise ArgumentError(what, got=type(block).__name__, remedy='nn.Sequential, or gluon.Block as the base')
        self.forget_programs()
        super().register_child(block, name)

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """What the block computes, by the operators `F.` and its parameters."""
        raise NotImplementedError(f'{type(self).__name__} has neither forward nor hybrid_forward')

    def forward(self, *args: Any) -> Any:
        """Calls `hybrid_forward` with the parameters; of symbols, with their variables.

        Raises:
            ArgumentError: for arguments without an array, or of arrays and symbols together.
        """
        kinds = {type(x) for x in jax.tree.leaves(args)}
        if not any(issubclass(kind, NDArray | symbol.Symbol) for kind in kinds):
            raise ArgumentError(f'{type(self).__name__} takes NDArrays', got=str(args))
        if of_symbols(args):
            if any(issubclass(kind, NDArray) for kind in kinds):
                raise ArgumentError(f'{type(self).__name__} takes arrays or symbols, not both')
            variables = {name: parameter.var() for name, parameter in self._reg_params.items()}
            with self.name_scope():
                return self.hybrid_forward(symbol, *args, **variables)
        if any(not parameter.is_ready for parameter in self._reg_params.values()):
            self._infer_shapes(args)
        values = {name: p.data(p.context_for(args)) for name, p in self._reg_params.items()}
        return self.hybrid_forward(ndarray, *args, **values)

    def optimize_for(self, x: Any, *args: Any, backend: Any = None, clear: bool = True, **kwargs: Any) -> None:
        """Compiles it, and calls it once; XLA is the backend."""
        self.hybridize()
        self(x, *args)

    def _check_structure(self, args: Sequence[Any]) -> None:
        """Raises an ArgumentError for arguments that are None or not, unlike those of the call that was compiled."""
        given = tuple(x is not None for x in args)
        while given and not given[-1]:
            given = given[:-1]
        if self._structure is None:
            self._structure = given
        elif given != self._structure:
            what = f'{type(self).__name__} is compiled for other arguments'
            raise ArgumentError(what, expected=self._structure, got=given, remedy='hybridize() again')

    def infer_shape(self, *args: Any) -> None:
        """Completes the shapes of parameters from inputs: what the graph of a call says."""
        self._infer(args)

    def infer_type(self, *args: Any) -> None:
        """Sets the dtypes of parameters from those of inputs: what the graph of a call says."""
        inference, parameters = self._infer(args)
        for node in inference.nodes:
            if node.name in parameters and node in inference.dtypes:
                parameters[node.name].cast(inference.dtypes[node][0])

    def _infer(self, args: Sequence[Any]) -> Any:
        """What the graph of a call with these inputs says, and the parameters by name, whose shapes are set."""
        leaves, tree = jax.tree.flatten(list(args))
        outputs = self(*jax.tree.unflatten(tree, [symbol.var(f'data{i}') for i in range(len(leaves))]))
        parameters = {p.name: p for p in _parameters_of(self)}
        known = {f'data{i}': x.shape for i, x in enumerate(leaves)}
        known |= {n: p.known_shape for n, p in parameters.items() if p.known_shape}
        dtypes = {f'data{i}': x.value.dtype for i, x in enumerate(leaves)}
        inference = symbol.Group(jax.tree.leaves(outputs)).inference(known, dtypes)
        for node in inference.nodes:
            if node.name in parameters and inference.shapes.get(node):
                parameters[node.name].shape = inference.shapes[node][0]
        return inference, parameters

    def export(self, path: str | os.PathLike[str], epoch: int = 0, remove_amp_cast: bool = True) -> tuple[str, str]:
        """Writes the graph and the values as `PATH-symbol.json` and `PATH-0000.params`, which MXNet 1.9.1 loads.

        Args:
            path: the beginning of the names of the files.
            epoch: the number in the name of the file of values.
            remove_amp_cast: MXNet's; accepted, there are no such casts.

        Returns:
            The names of the two files.

        Raises:
            ArgumentError: if the block was not hybridized and called, or a layer has no operator in MXNet.
        """
        if not self._active or self._inputs is None:
            raise ArgumentError(
                f'{type(self).__name__} has no graph yet', remedy='net.hybridize(), and call it once before export'
            )
        count = self._inputs.num_leaves
        inputs = [symbol.var('data' if count == 1 else f'data{i}') for i in range(count)]
        outputs = jax.tree.leaves(self(*jax.tree.unflatten(self._inputs, inputs)))
        values = {parameter.name: parameter.mean_data().value for parameter in self.collect_params().values()}
        return write(path, epoch, symbol.Group(outputs), values)

    def _infer_shapes(self, args: Sequence[Any]) -> None:
        """Completes the shapes of its own parameters, from a graph of what it computes."""
        leaves, tree = jax.tree.flatten(list(args))
        inputs = {f'data{i}': x for i, x in enumerate(leaves) if isinstance(x, NDArray)}
        given = [symbol.var(f'data{i}') if isinstance(x, NDArray) else x for i, x in enumerate(leaves)]
        variables = {name: symbol.var(f'parameter_{name}') for name in self._reg_params}
        outputs = jax.tree.leaves(self.hybrid_forward(symbol, *jax.tree.unflatten(tree, given), **variables))
        graph = symbol.Group(outputs)
        known = {name: x.shape for name, x in inputs.items()}
        known |= {f'parameter_{n}': p.known_shape for n, p in self._reg_params.items() if p.known_shape}
        inference = graph.inference(known, {name: x.value.dtype for name, x in inputs.items()})
        shapes = {node.name: inference.shapes[node][0] for node in inference.nodes if node.is_variable}
        for name, parameter in self._reg_params.items():
            if parameter.waits:
                parameter.shape = shapes[f'parameter_{name}']
                parameter.finish()
            parameter.data()

    def _run(self, *args: Any) -> Any:
        if not self._active or is_inside() or of_symbols(args):
            return self.forward(*args)
        leaves, tree = jax.tree.flatten(args)
        parameters, self._inputs = list(_parameters_of(self)), tree
        if any(not p.is_ready for p in parameters) or not all(isinstance(leaf, NDArray) for leaf in leaves):
            return self.forward(*args)
        kind = array_class()
        context = parameters[0].context_for(leaves) if parameters else None
        handles = [parameter.data(context) for parameter in parameters]
        key = (tree, kind, tape.scope().training, len(handles), context)
        if key not in self._programs:
            self._check_structure(args)
            blocks: list[Block] = []
            self.apply(blocks.append)
            self._programs[key] = Traced(self, blocks, list(handles), tree, kind, context)
        return self._programs[key](leaves, handles)


explain_calls(globals(), functions=False)
