"""Parameter, one mutable value of a network, and how Parameters come by their values."""

from __future__ import annotations

import contextlib
import dataclasses
import operator
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import errors
from gluonjax.arrays import admit
from gluonjax.checks import number, one_of
from gluonjax.init.initializer import Initializer
from gluonjax.keys import as_key, next_key
from gluonjax.layer import choose, request
from gluonjax.lazy import above, entry_points
from gluonjax.methods import ParameterDictMethods, ParameterMethods
from gluonjax.param import Leaf, Param, Token
from gluonjax.ref import LOCK, Ref, note_change, write
from gluonjax.sampler import Distribution, draw
from gluonjax.shapes import Shape, is_known, merge_shapes, shape_text
from gluonjax.tree import Path, items_of


class Scope(NamedTuple):
    """What was asked to initialize, and the networks and Parameters inside."""

    identity: Token
    inside: frozenset[Token]

    def is_within(self, other: Scope) -> bool:
        """Whether this one is a part of the other."""
        return self.identity != other.identity and (self.identity in other.inside or self.inside < other.inside)


class Deferred(NamedTuple):
    """A deferred initialization: it waits for a shape."""

    initializer: Initializer
    key: jax.Array
    name: str  # relative to the scope, as the value depends on it
    scope: Scope
    verbose: bool
    place: Any = None  # has a sharding; None for the default device


class Node:
    """What a network holds in its fields: a Parameter, or another network. It knows who holds it."""

    __slots__ = ()

    _owners: list[tuple[weakref.ref[Any], Path]]  # networks, and its path in each; the oldest first

    def _changed(self, redeclared: bool = False) -> None:
        """Has the networks around it forget their structures."""
        note_change()
        for owner, _ in owners_of(self):
            owner._changed(redeclared)


def structure_changed(node: Node) -> None:
    """Has the networks around a node forget their structures, but not the programs for calls."""
    node._changed(redeclared=True)


def nodes_of(fields: Mapping[str, Any]) -> Iterator[tuple[Path, Node]]:
    """The networks and Parameters in the fields of a network, with their paths."""
    return ((path, item) for path, item in items_of(fields) if isinstance(item, Node))


def add_owner(node: Node, owner: Any, path: Path) -> None:
    """Notes a network that holds a node, once, by a weak reference."""
    noted = {(id(one), at): (one, at) for one, at in [*node._owners, (weakref.ref(owner), path)] if one() is not None}
    object.__setattr__(node, '_owners', list(noted.values()))


def owners_of(node: Node) -> Iterator[tuple[Any, Path]]:
    """The networks that hold a node, with its path in each; the oldest first."""
    for reference, path in node._owners:
        owner = reference()
        if owner is not None and any(item is node for _, item in nodes_of(vars(owner))):
            yield owner, path


def full_path(node: Node) -> Path:
    """The path in the outermost network that holds a node; an empty one if none does."""
    owner, path = next(owners_of(node), (None, ()))
    return path if owner is None else (*full_path(owner), *path)


def _multiplier(name: str, doc: str) -> Any:
    """A property of a Parameter: a number from 0 on."""

    def change(parameter: Parameter, value: float) -> None:
        setattr(parameter, f'_{name}', number(name, value, least=0, finite=True))
        parameter.declare()

    return property(operator.attrgetter(f'_{name}'), change, doc=doc)


@entry_points
class Parameter(Ref, Node, ParameterMethods):
    """One mutable value of a network. Arrays are immutable; the Parameter is what changes.

    The value is in the Parameter, always. A training step replaces it, and donates the old array if nobody outside can
    hold it: `handed_out` says whether somebody can.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(2, in_units=1))
    >>> net.initialize(init='ones')
    >>> net[0].weight[:] += 1
    >>> net[0].weight[0, 0] = 42
    >>> net[0].weight.data()
    Array([[42.],
           [ 2.]], dtype=float32)
    """

    def __init__(self, declared: Param):
        super().__init__()
        declared.token.take()
        self.declared: Param = declared
        self._shape = declared.shape
        self.handed_out = False
        self.deferred: Deferred | None = None
        self.home: Any = None  # where the first value goes, if `to` said so
        self._trainable = declared.trainable
        self._grad_req = 'write' if declared.trainable else 'null'
        self._lr_mult = self._wd_mult = 1.0
        self._owners = []

    def __getstate__(self) -> dict[str, Any]:
        with LOCK:
            hand_out([self])
            return {**vars(self), 'current': self.current, '_owners': []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.stored: Any = state.pop('current')
        vars(self).update(state)

    @property
    def name(self) -> str:
        """The name in the outermost network that holds this Parameter."""
        return '.'.join(full_path(self)) or self._last_name()

    @name.setter
    def name(self, name: str) -> None:
        raise errors.FrozenError('the place of a Parameter in its network is its name', got=f'a change to {name!r}')

    @property
    def shape(self) -> Shape | None:
        """The shape; None stands for what the first input will decide."""
        return self._shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        merged = merge_shapes(self._shape, Param(shape).shape)
        if merged is None:
            raise errors.ShapeError(f'{self.name!r} has another shape', expected=shape_text(self._shape), got=shape)
        self._shape = merged

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, which is equal to its name too."""
        return jnp.dtype(self.declared.dtype)

    @dtype.setter
    def dtype(self, dtype: DTypeLike) -> None:
        self.cast(dtype)

    @property
    def grad_req(self) -> str:
        """'write', 'add' or 'null'; with 'null' the parameter counts as not trainable. Running statistics stay so."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, value: str) -> None:
        one_of('grad_req', value, ('write', 'add', 'null'))
        self._grad_req = value if self._trainable else 'null'
        self.declare(trainable=self._grad_req != 'null')

    lr_mult: float = _multiplier('lr_mult', 'What a Trainer multiplies the learning rate with for this parameter.')
    wd_mult: float = _multiplier('wd_mult', 'What a Trainer multiplies the weight decay with for this parameter.')

    def data(self) -> jax.Array:
        """The value, a plain `jax.Array`.

        Raises:
            UninitializedError: before `initialize`.
            DeferredInitializationError: after `initialize`, while the shape waits for the first input.
            DonatedError: after the array was donated to a compiled function.
        """
        with LOCK:
            value = self.current
            if value is None:
                raise above.messages.no_value(self)
            self.check_not_donated()
            hand_out([self])
            return value

    def check_not_donated(self) -> None:
        """Refuses a value that somebody's compiled function has used up."""
        value = self.current
        if value is not None and value.is_deleted():
            raise above.messages.donated(self.name)

    def deferred_or_error(self) -> Deferred:
        """The initialization that waits.

        Raises:
            UninitializedError: if none does.
        """
        if self.deferred is None:
            raise above.messages.no_value(self)
        return self.deferred

    def initialize(
        self, init: Any = None, *, force_reinit: bool = False, key: Any = None, verbose: bool = False
    ) -> None:
        """Draws this parameter, or defers that until its shape is known. `init` goes straight to it."""
        last = self._last_name()
        leaf = Leaf(last, (last,), self._shape, self.declared)
        init = init if init is None or isinstance(init, Mapping) else {'.*': init}
        alone = ParameterDict([(leaf, self)], Scope(self.token, frozenset()))
        alone.initialize(init, force_reinit=force_reinit, key=key, verbose=verbose, level=5)

    def _last_name(self) -> str:
        return self._owners[0][1][-1] if self._owners else 'weight'

    if not TYPE_CHECKING:  # a type checker would accept any name

        def __getattr__(self, name: str) -> Any:
            """Reached for attributes that are not there."""
            if name.startswith('_'):
                raise AttributeError(name)
            raise above.messages.not_in_parameter(name, dir(type(self)))

    def __repr__(self) -> str:
        return self.describe(self.name)

    def describe(self, *names: str) -> str:
        """The `repr` under given names, which a network knows."""
        also = f', also {", ".join(names[1:])}' if names[1:] else ''
        return f'Parameter {names[0]} (shape={shape_text(self.shape)}, dtype={self.dtype}{also})'

    def has_value(self, array: jax.Array) -> None:
        """Notes the shape of a value that was just written; it is initialized from now on."""
        self._shape, self.deferred = array.shape, None

    def declare(self, **changes: Any) -> None:
        """Changes what is declared, and has the networks around it forget their structures."""
        self.declared = dataclasses.replace(self.declared, **changes)
        self._changed(redeclared='dtype' not in changes)

    @property
    def token(self) -> Token:
        """Its identity, by which it can be tied."""
        return self.declared.token


# JAX flattens what its functions are given: they see the value, and so does `jax.tree.leaves`.
jax.tree_util.register_pytree_node(Parameter, lambda p: ((p.data(),), None), lambda _, v: v[0])  # pyright: ignore


def concrete(name: str, value: Any, dtype: DTypeLike) -> jax.Array:
    """The value as an array that a Parameter can keep: never a tracer, never the caller's memory."""
    traced = f'{name!r} cannot be set to a traced value', 'return it from the transformed function, and set it then'
    refuse_traced(value, *traced)
    value = admit(value, repr(name))
    with jax.ensure_compile_time_eval():
        try:
            if np.iscomplexobj(value) and not jnp.issubdtype(dtype, jnp.complexfloating):
                raise TypeError('complex numbers')
            array = jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))
        except (TypeError, ValueError) as error:
            raise errors.DTypeError(f'{name!r} cannot take {value!r}', expected='an array', got=str(error)) from None
    refuse_traced(array, *traced)  # as all is under `jax.shard_map` outside of `jit`
    return array


def commit(arrays: Mapping[Parameter, jax.Array], handed_out: bool = True) -> None:
    """Sets the values of Parameters, all at one moment.

    Args:
        arrays: the value of each.
        handed_out: whether somebody outside may hold these arrays.
    """
    with LOCK:
        for parameter in arrays:
            parameter.handed_out = True
        write(list(arrays), list(arrays.values()))
        for parameter, array in arrays.items():
            parameter.handed_out = handed_out
            parameter.has_value(array)


def hand_out(parameters: Iterable[Parameter]) -> None:
    """Notes that somebody outside may hold the arrays, so that nobody donates them."""
    for parameter in parameters:
        if not parameter.handed_out:
            parameter.handed_out = True
            note_change()


@entry_points
class ParameterDict(ParameterDictMethods, Mapping[str, Parameter]):
    """The parameters of a network by name, tied ones once; any of their names finds them."""

    def __init__(self, entries: Sequence[tuple[Leaf, Parameter]], scope: Scope | None = None):
        self._entries = entries
        self.place: Any = None  # where `initialize` draws, if it was told
        self._scope = scope or Scope(Token(), frozenset(parameter.token for _, parameter in entries))
        self._by_name = {name: parameter for leaf, parameter in entries for name in leaf.names}

    def __getitem__(self, name: str) -> Parameter:
        if not (isinstance(name, str) and name in self._by_name):
            raise above.messages.no_match(name, [leaf for leaf, _ in self._entries])
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return (leaf.name for leaf, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def initialize(
        self, init: Any = None, *, force_reinit: bool = False, key: Any = None, verbose: bool = False, level: int = 3
    ) -> None:
        """As `Block.initialize`, for these parameters; `level` is the stack level of its warning."""
        with LOCK:
            chosen = choose([leaf for leaf, _ in self._entries], init)
            wanted = [(leaf, p) for leaf, p in self._entries if force_reinit or self._may_initialize(p)]
            if not wanted and self._entries and all(parameter.current is not None for parameter in self.values()):
                warnings.warn('all parameters have values: only force_reinit=True changes them', stacklevel=level)
            for leaf, _ in wanted:
                refuse_traced(vars(chosen[leaf.name]), f'the initializer of {leaf.name!r} holds a traced value')
            if wanted:
                self._draw_or_defer({p: (leaf.name, chosen[leaf.name]) for leaf, p in wanted}, key, verbose)

    def _may_initialize(self, p: Parameter) -> bool:
        """Whether it has no value, and no initialization that was deferred for a part of this."""
        return p.current is None and not (p.deferred and p.deferred.scope.is_within(self._scope))

    def _draw_or_defer(self, wanted: Mapping[Parameter, tuple[str, Initializer]], key: Any, verbose: bool) -> None:
        """Draws what has a shape, defers the rest, and changes nothing if anything fails."""
        with key_or_next(key) as key:
            how = {p: self._deferred(p, *what, key, verbose) for p, what in wanted.items()}
            drawn = draw_deferred({p: (deferred, p.shape) for p, deferred in how.items() if is_known(p.shape)})
        for parameter, deferred in how.items():
            parameter.deferred = deferred
        commit(drawn, handed_out=False)

    def _deferred(self, p: Parameter, name: str, init: Initializer, key: jax.Array, verbose: bool) -> Deferred:
        """How it will be drawn, where `initialize` was told, or else where it was before."""
        return Deferred(init, key, name, self._scope, verbose, self.place or above.placement.place_before(p))

    def setattr(self, name: str, value: Any) -> None:
        """Sets an attribute of every parameter, as in `setattr('grad_req', 'null')`."""
        if getattr(getattr(Parameter, str(name), None), 'fset', None) is None:
            raise above.messages.not_in_parameter(name, ('grad_req', 'lr_mult', 'wd_mult'))
        for parameter in self.values():
            setattr(parameter, name, value)

    def __repr__(self) -> str:
        return '\n'.join(parameter.describe(*leaf.names) for leaf, parameter in self._entries)


def key_or_next(key: Any) -> contextlib.AbstractContextManager[jax.Array]:
    """The key as one that a network can keep, never a tracer; without one, the next of the library's stream."""
    if key is None:
        return next_key()
    refuse_traced(key, 'a network cannot take a traced key')
    with jax.ensure_compile_time_eval():
        return contextlib.nullcontext(as_key(key))


def is_traced(values: Any) -> bool:
    """Whether there is a tracer among the leaves."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def refuse_traced(values: Any, what: str, remedy: str = 'use the pure functions there: net.init, net.apply') -> None:
    """A network keeps concrete arrays, so nothing that is traced may reach its Parameters."""
    if is_traced(values):
        raise above.messages.traced(what, remedy)


def draw_deferred(
    deferred: Mapping[Parameter, tuple[Deferred, Any]], shardings: Mapping[Parameter, Any] = MappingProxyType({})
) -> dict[Parameter, jax.Array]:
    """Draws Parameters whose shapes are known, under their shardings if they have any; sets nothing."""
    requests = []
    for p, (how, shape) in deferred.items():
        wanted = request(how.key, how.name, shape, p.dtype.name, how.initializer, p.declared.copies)
        requests.append(wanted._replace(sharding=shardings.get(p, how.place and how.place.sharding)))
    with jax.ensure_compile_time_eval():
        arrays = dict(zip(deferred, draw(requests), strict=True))
        for parameter, drawn in zip(deferred, requests, strict=True):
            refuse_traced(arrays[parameter], f'the initializer of {parameter.name!r} gave a traced value')
            if not isinstance(drawn.source, Distribution):  # code of its own, which may keep its array
                arrays[parameter] = jnp.copy(arrays[parameter])
    for parameter, (initialization, _) in deferred.items():
        if initialization.verbose:
            shape = shape_text(arrays[parameter].shape)
            print(f'Initialized {initialization.name} {shape} with {initialization.initializer!r}')
    return arrays
