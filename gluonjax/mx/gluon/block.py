"""Blocks of Gluon: networks that run operation by operation on the tape, or, hybridized, as one compiled program."""

import contextlib
import contextvars
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.io import mxnet_params
from gluonjax.mx import invoke, ndarray, symbol, tape
from gluonjax.mx.array import NDArray, array_class
from gluonjax.mx.gluon.naming import NameScope, named
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict
from gluonjax.mx.saving import write
from gluonjax.mx.tape import Arrays, Tracked

_INSIDE: contextvars.ContextVar[bool] = contextvars.ContextVar('inside', default=False)  # a hybridized call


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
        self._scope = NameScope(self)
        self._active = False
        self._programs: dict[Any, _Traced] = {}
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
        if isinstance(value, Block):
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            self._reg_params[name] = value
        object.__setattr__(self, name, value)

    def register_child(self, block: 'Block', name: str | None = None) -> None:
        """Adds a child, under a number by default."""
        self._children[str(len(self._children)) if name is None else name] = block

    def register_forward_hook(self, hook: Callable[..., Any]) -> None:
        """Calls `hook(block, inputs, output)` after each call."""
        self._hooks[1].append(hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> None:
        """Calls `hook(block, inputs)` before each call."""
        self._hooks[0].append(hook)

    def apply(self, fn: Callable[['Block'], Any]) -> Self:
        """Calls a function of each block below, and of this one."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """All parameters, or those whose names match a pattern from the first letter on."""
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
        """Writes all values by their place, as MXNet does."""
        values = {name: p.data().value for name, p in self._collect_params_with_prefix().items()}
        mxnet_params.save(os.fspath(filename), values)

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
        given = mxnet_params.load(os.fspath(filename))
        own = self._collect_params_with_prefix()
        missing = [] if allow_missing else [name for name in own if name not in given]
        extra = [] if ignore_extra else [name for name in given if name not in own]
        if missing or extra:
            got = ', '.join([f'missing: {name}' for name in missing] + [f'extra: {name}' for name in extra])
            raise ParamsError('the file is not of this network', got=got, remedy='allow_missing=, ignore_extra=')
        for name, parameter in own.items():
            if name in given:
                parameter.set_data(given[name])

    def forward(self, *args: Any) -> Any:
        """What the block computes."""
        raise NotImplementedError(f'{type(self).__name__} has no forward')

    def _run(self, *args: Any) -> Any:
        return self.forward(*args)

    def __call__(self, *args: Any) -> Any:
        """Runs hooks and `forward`."""
        for hook in self._hooks[0]:
            hook(self, args)
        output = self._run(*args)
        for hook in self._hooks[1]:
            hook(self, args, output)
        return output

    def __repr__(self) -> str:
        lines = [f'  ({name}): {child!s}'.replace('\n', '\n  ') for name, child in self._children.items()]
        return '\n'.join([f'{type(self).__name__}(', *lines, ')'])


def children_of(block: Block) -> OrderedDict[str, Block]:
    """The children by name; Gluon's programs know them as `_children`."""
    return block._children


def own_parameters_of(block: Block) -> dict[str, Parameter]:
    """The parameters that are attributes, by name; Gluon's programs know them as `_reg_params`."""
    return block._reg_params


def places_of(block: Block) -> dict[str, Parameter]:
    """All parameters by their place; Gluon's programs know them as `_collect_params_with_prefix()`."""
    return block._collect_params_with_prefix()


def of_symbols(args: Any) -> bool:
    """Whether a block is called to build a graph."""
    return any(isinstance(x, symbol.Symbol) for x in jax.tree.leaves(args))


class HybridBlock(Block):
    """A Block that can be compiled whole: after `hybridize`, a call is one program, and its gradient another.

    Override `forward(self, x)`, or `hybrid_forward(self, F, x, weight)` with its own parameters by name.
    """

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Compiles calls from here on; `static_alloc` and `static_shape` are accepted."""
        self._active = active
        self._programs.clear()
        super().hybridize(active, **kwargs)

    def cast(self, dtype: DTypeLike) -> None:
        """Changes the dtype of all parameters."""
        self._programs.clear()
        super().cast(dtype)

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Adds a child, under a number by default."""
        self._programs.clear()
        super().register_child(block, name)

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """What the block computes, by the operators `F.` and its parameters."""
        raise NotImplementedError(f'{type(self).__name__} has neither forward nor hybrid_forward')

    def forward(self, *args: Any) -> Any:
        """Calls `hybrid_forward` with the parameters; of symbols, with their variables."""
        if of_symbols(args):
            variables = {name: parameter.var() for name, parameter in self._reg_params.items()}
            with self.name_scope():
                return self.hybrid_forward(symbol, *args, **variables)
        if any(not parameter.is_ready for parameter in self._reg_params.values()):
            self._infer_shapes(args)
        values = {name: parameter.data() for name, parameter in self._reg_params.items()}
        return self.hybrid_forward(ndarray, *args, **values)

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
        values = {parameter.name: parameter.data().value for parameter in self.collect_params().values()}
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
        known |= {f'parameter_{n}': p.shape for n, p in self._reg_params.items() if p.shape and 0 not in p.shape}
        inference = graph.inference(known, {name: x.value.dtype for name, x in inputs.items()})
        shapes = {node.name: inference.shapes[node][0] for node in inference.nodes if node.is_variable}
        for name, parameter in self._reg_params.items():
            if parameter.waits:
                parameter.shape = shapes[f'parameter_{name}']
                parameter.finish()
            parameter.data()

    def _run(self, *args: Any) -> Any:
        if not self._active or _INSIDE.get() or of_symbols(args):
            return self.forward(*args)
        leaves, tree = jax.tree.flatten(args)
        parameters, self._inputs = list(self.collect_params().values()), tree
        if any(not p.is_ready for p in parameters) or not all(isinstance(leaf, NDArray) for leaf in leaves):
            return self.forward(*args)
        key = (tree, tape.scope().training)
        if key not in self._programs:
            self._programs[key] = _Traced(self, [parameter.data() for parameter in parameters], tree)
        return self._programs[key](leaves)


class _Traced:
    """A call of a block as one program of the values of its parameters and the inputs."""

    def __init__(self, block: HybridBlock, handles: list[NDArray], tree: Any):
        self.block, self.handles, self.tree = block, handles, tree
        self.training = tape.scope().training
        self.output: Any = None  # the tree of the outputs
        self.changed: list[int] = []  # the numbers of the handles that are written
        self.keyed = invoke.Keyed(block.name, self._function)

    def _function(self, arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array], bool]:
        values, inputs = arrays[: len(self.handles)], arrays[len(self.handles) :]
        with replaced(self.handles, values), tape.Scoped(False, self.training), invoke.drawing_from(key) as drawn:
            token = _INSIDE.set(True)
            try:
                output = self.block.forward(*jax.tree.unflatten(self.tree, [array_class()(x) for x in inputs]))
            finally:
                _INSIDE.reset(token)
            now = [handle.value for handle in self.handles]
        leaves, self.output = jax.tree.flatten(output)
        self.changed = [i for i, (old, new) in enumerate(zip(values, now, strict=True)) if old is not new]
        return [leaf.value for leaf in leaves], [now[i] for i in self.changed], bool(drawn())

    def __call__(self, inputs: list[NDArray]) -> Any:
        tracked = [handle.tracked for handle in [*self.handles, *inputs]]
        outputs, updates = self.keyed(tracked) if self.training else tape.call(self.keyed.program, tracked)
        for i, value in zip(self.changed, updates, strict=True):
            self.handles[i].assign(Tracked(value))
        return jax.tree.unflatten(self.output, [array_class()(*output) for output in outputs])


@contextlib.contextmanager
def replaced(handles: Sequence[NDArray], values: Arrays) -> Iterator[None]:
    """A `with` block in which arrays have other values."""
    before = [(handle.value, handle.entry) for handle in handles]
    try:
        for handle, value in zip(handles, values, strict=True):
            handle.entry = None
            handle.assign(Tracked(value))
        yield
    finally:
        for handle, (value, _) in zip(handles, before, strict=True):
            handle.entry = None
            handle.assign(Tracked(value))
        for handle, (_, entry) in zip(handles, before, strict=True):
            handle.entry = entry
