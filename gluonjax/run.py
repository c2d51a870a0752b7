"""Run, one pass through a definition, and the bound copies through which `forward` sees its parameters.

A bound copy has the class and the fields of its definition, and beside them the run and the path. Attributes are read
through the run, so that a Param becomes its array and a child layer becomes callable.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import errors
from gluonjax.arrays import admit
from gluonjax.config import Frozen, set_slots
from gluonjax.keys import as_key, named_keys
from gluonjax.lazy import LazyMethod, above, entry_points
from gluonjax.methods import BindableMethods
from gluonjax.param import Declaration, Leaf, Param, Token, trace_state
from gluonjax.shapes import Shape, is_known, merge_shapes, shapes_of
from gluonjax.tree import Path, map_items


def _without_naming(construct: Callable[..., None]) -> Callable[..., None]:
    """Drops `prefix` and `params` that a Gluon class hands on: both were taken care of before construction."""

    @functools.wraps(construct)
    def constructor(self: Any, *args: Any, **kwargs: Any) -> None:
        ignored = [k for k in ('prefix', 'params') if k in kwargs and k not in inspect.signature(construct).parameters]
        construct(self, *args, **{k: v for k, v in kwargs.items() if k not in ignored})

    return constructor


Hook = Callable[..., Any]
Hooks = tuple[tuple[Hook, ...], tuple[Hook, ...]]  # those called with the inputs, and those called with the output too


@entry_points
class Bindable(Frozen, BindableMethods):
    """The base of Layer and Block: what is declared in a constructor and computes in `forward`.

    Private names of these classes are refused in subclasses, which could not know that they are taken. The base classes
    of the library say `own=True`.
    """

    __slots__ = ('_hooks', '_path', '_run', '_tied', '_token')

    _shared_arguments = ('params',)
    _ignored_arguments = ('prefix',)
    _remark = 'prefix= has no effect: parameters are named by their place in the network, as in 0.weight'

    _path: Path  # these two on bound copies only
    _run: Run
    _token: Token
    _hooks: Hooks
    _tied: bool  # whether `params=` asked for it; missing in copies
    _class: type[Bindable]  # whose `forward` runs: the class itself, but for the definition of a Block
    _taken: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, own: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if '__init__' in vars(cls):
            cls.__init__ = _without_naming(cls.__init__)
        if not own and '_taken' not in vars(next((base for base in cls.__mro__ if '__call__' in vars(base)), Bindable)):
            raise above.messages.overridden_call(cls)
        private = {name for name in vars(cls) if name.startswith('_') and not name.endswith('__')}
        if '_class' not in vars(cls):
            cls._class = cls
        if own:
            cls._taken = frozenset(name for name in dir(cls) if not name.endswith('__'))
        elif taken := sorted(private & super(cls, cls)._taken):  # pyright: ignore
            raise above.messages.taken_names(cls, taken)

    @_without_naming
    def __init__(self) -> None:
        pass

    if not TYPE_CHECKING:  # a type checker would accept any name

        def __getattr__(self, name: str) -> Any:
            """Reached for attributes that are not there."""
            if name.startswith('_'):
                raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}', name=name, obj=self)
            raise above.messages.no_attribute(self, name)

    def infer_shape(self, *inputs: Any, **named: Any) -> Mapping[str, Sequence[int | None]]:
        """The shapes that these inputs ask of the parameters declared in this layer: attribute name -> shape."""
        return {}

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What this layer computes. Parameters read as arrays here, and child layers can be called."""
        raise above.messages.no_forward(self)

    @property
    def training(self) -> bool:
        """In `forward`: True under `apply_train`."""
        return run_of(self, 'training').training

    @property
    def batch_mask(self) -> jax.Array | None:
        """In `forward`, in training: a mask of the valid samples, of bool and shape (batch,); None if all are valid.

        A layer that mixes the samples of a batch leaves out those that are not valid: they are padding.
        """
        return run_of(self, 'batch_mask').mask

    def next_key(self) -> jax.Array:
        """In `forward`: a fresh random key, derived from the key of the call, the path of this layer and a count.

        Inside a `jax.lax.scan`, `vmap` or inner `jit` of your own the key is drawn once a trace, not once a step;
        `self.scan` has a fresh one each step.
        """
        return run_of(self, 'next_key()').next_key(self._path)


def forward_class(definition: Bindable) -> type[Bindable]:
    """The class whose `forward` runs: that of the definition, or of the Block that it defines."""
    return definition._class


def taken_names(definition: Bindable) -> frozenset[str]:
    """The names that gluonjax itself uses in the class of a layer or network, public and private."""
    return definition._taken


def run_of(layer: Bindable, what: str) -> Run:
    """The run in which a layer is called, for something of it that exists there only.

    Raises:
        BareLayerError: outside of `forward`.
    """
    run = getattr(layer, '_run', None)
    if run is None:
        raise above.messages.only_in_forward(layer, what)
    return run


def path_of(layer: Bindable) -> Path:
    """The path of what `forward` sees of a layer."""
    return layer._path


def in_forward(layer: object) -> bool:
    """Whether this is what `forward` sees of a layer: its parameters are arrays, and its children can be called."""
    return isinstance(layer, _Bound)


class Call(NamedTuple):
    """One call of a layer, for tables and errors."""

    path: Path
    kind: str
    inputs: list[tuple[int, ...]]  # the shapes
    output: list[tuple[int, ...]]
    leaf: bool  # called no other layer


class Cache(NamedTuple):
    """What the layers of a network remember of a sequence so far, by path; made by `init_cache`, a pytree of arrays."""

    entries: dict[str, Any]


@dataclasses.dataclass(eq=False)
class Run:
    """One pass through a definition: values are read, shapes are inferred or checked, running statistics recorded.

    `Run(declarations_of(layer), values)(layer, inputs, named)` makes the pass, on values by name.
    """

    declarations: Mapping[str, Declaration]
    values: dict[str, Any] | None  # None while shapes are inferred
    shapes: Any = None  # of leaves, as far as known; what is inferred is added. By default those of the values
    training: bool = False
    key: Any = None  # a JAX key or an int; None for inference
    mask: jax.Array | None = None  # which samples of the batch are valid; None if all are
    precision: DTypeLike | None = None  # of the inputs and parameters of every layer; running statistics keep their own
    draw: Callable[[str, Any], jax.Array] | None = None  # gives the values that are missing, when shapes are inferred
    observe: Callable[[Path, Bindable, Any], Any] | None = None  # each layer's output passes it, inner first
    recorded: dict[str, Any] = dataclasses.field(default_factory=dict)
    history: list[Call] = dataclasses.field(default_factory=list)
    keys_drawn: dict[Path, int] = dataclasses.field(default_factory=dict)
    sliced: dict[str, int] = dataclasses.field(default_factory=dict)  # leaf -> how many axes of copies scans took off

    def __post_init__(self) -> None:
        if self.shapes is None:
            self.shapes = {name: np.shape(value) for name, value in (self.values or {}).items()}
        self.key = None if self.key is None else as_key(self.key)
        self.recordable: set[str] = {leaf.name for leaf, _ in self.declarations.values() if not leaf.param.trainable}
        self.trace: Any = trace_state() if self.recordable else None

    def __call__(self, definition: Bindable, inputs: Any, named: Any) -> Any:
        if reserved := sorted({'key', 'init', 'training'} & named.keys()):
            raise errors.ArgumentError(f'an input cannot be named {reserved[0]!r}', remedy='rename the argument')
        given = admit((inputs, named))
        inputs, named = jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, given)
        if isinstance(named.get('cache'), Cache):
            return above.cache.run_with_cache(self, definition, inputs, named)
        bound, cls, method = bind(definition, self, ()), forward_class(definition), named.pop('method', 'forward')
        if method == 'forward':
            return bound(*inputs, **named)
        if not (isinstance(method, str) and callable(getattr(cls, method, None))):
            raise above.messages.no_method(cls, method)
        return getattr(bound, method)(*inputs, **named)

    def read(self, path: Path, param: Param) -> Any:
        """The array that `forward` reads."""
        leaf = self.declarations['.'.join(path)].leaf
        if self.values is not None and self.sliced.get(leaf.name, 0) != len(param.copies):
            raise above.messages.stacked_copies('.'.join(path), param.copies)
        value = self.current(leaf.name)
        if self.precision is not None:
            value = above.casting.read_in_precision(param, value, self.precision)
        return value if param.transform is None else param.transform(value)

    def _shape(self, leaf: Leaf) -> Shape | None:
        """The shape of one copy, as far as it is known."""
        return self.shapes[leaf.name] and self.shapes[leaf.name][len(leaf.param.copies) :]

    def current(self, name: str) -> Any:
        """The value of a leaf, or what was recorded for it since; zeros of one copy while shapes are inferred."""
        for values in (self.recorded, self.values or {}):
            if name in values:
                return values[name]
        shape, param = self.shapes[name], self.declarations[name].param
        if shape is None or not is_known(shape):
            raise above.messages.unknown_where_read(name, shape)
        if self.values is None:
            return jnp.zeros(shape[len(param.copies) :], jax.dtypes.canonicalize_dtype(param.dtype))
        if self.draw is not None:
            self.values[name] = self.draw(name, shape)
        return self.values[name]

    def record(self, path: Path, param: Param, value: Any) -> None:
        """Takes a new value of a parameter that is not trainable."""
        name = '.'.join(path)
        if param.trainable:
            raise above.messages.trainable_set_in_forward(name)
        self._refuse_other_trace(repr(name))
        leaf = self.declarations[name].leaf
        above.casting.note_statistics(param, self.precision)
        if merge_shapes(self._shape(leaf), np.shape(value)) is None:
            raise above.messages.recorded_shape(name, self._shape(leaf), np.shape(value))
        value_now = (self.values or {}).get(leaf.name)
        dtype = param.dtype if value_now is None else value_now.dtype
        self.recorded[leaf.name] = jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))

    def _refuse_other_trace(self, what: str) -> None:
        if trace_state() != self.trace:
            raise above.messages.recorded_inside(what)

    def next_key(self, path: Path) -> jax.Array:
        """What `Layer.next_key` documents."""
        if self.key is None:
            raise above.messages.no_random_key(path, self.training)
        count = self.keys_drawn[path] = self.keys_drawn.get(path, -1) + 1
        return named_keys([self.key], [f'{".".join(path)} {count}'])[0]

    def call(self, layer: Bindable, forward: Callable[..., Any], inputs: Any, named: Any) -> Any:
        """Calls a layer: infers or checks the shapes of its parameters, and says where errors arose."""
        path, called = layer._path, len(self.history)
        if self.precision is not None:
            inputs, named = above.casting.in_precision((inputs, named), self.precision)
        try:
            for attribute, needed in layer.infer_shape(*inputs, **named).items():
                self.infer((*path, attribute), tuple(needed), inputs)
            before, after = ((), ()) if self.values is None else layer._hooks
            for hook in before:
                hook((*inputs, *named.values()))
            output = self._call_forward(path, forward, inputs, named)
            for hook in after:
                hook((*inputs, *named.values()), output)
            if self.observe is not None:
                output = self.observe(path, layer, output)
        except Exception as error:
            above.refusals.explain(self, error, layer, forward, inputs, named)
            raise
        leaf = len(self.history) == called
        self.history.append(Call(path, type(layer).__name__, shapes_of(inputs), shapes_of(output), leaf))
        return output

    def _call_forward(self, path: Path, forward: Callable[..., Any], inputs: Any, named: Any) -> Any:
        """What `forward` returns; a layer that remembers is given its cache, and the next one is recorded."""
        entry = f'{".".join(path)} cache'
        if entry not in self.recordable:
            return forward(*inputs, **named)
        self._refuse_other_trace(f'the cache of {above.messages.layer_text(path)}')
        output, self.recorded[entry] = forward(*inputs, **named, cache=self.current(entry))
        return output

    def infer(self, path: Path, needed: Shape, inputs: Any) -> None:
        """Infers the shape of the parameter at `path`, or says how it disagrees with what the input needs."""
        name = '.'.join(path)
        if name not in self.declarations:
            return  # declared only sometimes, as a bias is
        leaf, param = self.declarations[name]
        shape, is_open = self._shape(leaf), self.values is None or leaf.name not in self.values
        merged = merge_shapes(shape, needed)
        if param.transform is not None:
            fits = is_known(shape) and above.ties.transformed_shape(param.transform, shape) == needed
            merged = shape if fits else None
        if merged is None or (is_open and 0 in merged):
            raise above.refusals.shape_error(self, path, shape, needed, merged, inputs)
        if is_open:
            self.shapes[leaf.name] = (*param.copies, *merged)


class _Bound(Bindable, own=True):
    """Mixed into a class to make its bound copies: attributes are read, set and called through the run."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name not in object.__getattribute__(self, '__dict__'):
            return value
        return _resolve(value, self, (*object.__getattribute__(self, '_path'), name))

    def __setattr__(self, name: str, value: Any) -> None:
        declared = object.__getattribute__(self, '__dict__').get(name)
        if not isinstance(declared, Param):
            raise above.messages.field_set_in_forward(self._path, name)
        self._run.record((*self._path, name), declared, value)

    def __delattr__(self, name: str) -> None:
        raise above.messages.field_deleted_in_forward(self._path, name)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self._run.call(self, self.forward, inputs, named)

    intermediates: Any = LazyMethod('gluonjax.hooks', 'intermediates_in_forward')

    def __repr__(self) -> str:
        return f'<{type(self).__name__} at {".".join(self._path)!r} when called>'


def bind(definition: Bindable, run: Run, path: Path) -> Any:
    """The bound copy of a definition: its class, its fields, the run and the path."""
    cls = forward_class(definition)
    if '_bound_class' not in vars(cls):
        contents = {'__slots__': (), '__doc__': cls.__doc__, '__module__': cls.__module__}
        make: Any = type(cls)
        type.__setattr__(cls, '_bound_class', make(cls.__name__, (_Bound, cls), contents))
    bound: Any = object.__new__(vars(cls)['_bound_class'])
    set_slots(bound, __dict__=dict(vars(definition)), _run=run, _path=path, _hooks=definition._hooks)
    return bound


def _resolve(value: Any, bound: _Bound, path: Path) -> Any:
    """A field as `forward` reads it: arrays for Params, bound copies for layers, in functions too; dicts are copies."""
    if isinstance(value, Param):
        return bound._run.read(path, value)
    if isinstance(value, tuple | dict):
        return map_items(lambda item, at: _resolve(item, bound, at), value, path, dict)
    if isinstance(value, Bindable):
        return value if isinstance(value, _Bound) else bind(value, bound._run, path)
    return above.contents.rebound(bound, value) if callable(value) else value
