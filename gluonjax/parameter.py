"""Parameter, the mutable cell of a network, and how cells come by their values."""

import contextlib
import dataclasses
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax import init as initializers
from gluonjax.errors import (
    ArgumentError,
    DeferredInitializationError,
    DonatedError,
    GluonError,
    ShapeError,
    TransformationError,
    UninitializedError,
)
from gluonjax.keys import as_key, next_key
from gluonjax.layer import Spec, choose, request
from gluonjax.param import Leaf, Param, Token
from gluonjax.sampler import draw
from gluonjax.shapes import Shape, is_known, merge_shapes, shape_text
from gluonjax.tree import Path

if TYPE_CHECKING:
    from gluonjax.block import Block

LOCK = threading.RLock()  # guards initialization and structure, library-wide, because networks share cells


class Asker(NamedTuple):
    """Who was asked to initialize, and the networks and parameters inside."""

    identity: Token
    inside: frozenset[Token]

    def is_narrower(self, other: 'Asker') -> bool:
        """Whether this one is a part of the other."""
        return self.identity != other.identity and (self.identity in other.inside or self.inside < other.inside)


class Wish(NamedTuple):
    """An initialization that waits for a shape."""

    initializer: initializers.Initializer
    key: jax.Array
    name: str  # relative to the asker, as the value depends on it
    asker: Asker
    verbose: bool


class Parameter:
    """One mutable cell of a network. Arrays are immutable; the Parameter is what changes.

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
        self._declared, self._shape = declared, declared.shape
        self._value: jax.Array | None = None
        self._borrower: Callable[[], None] | None = None  # who holds the value for now; called, it gives it back
        self._wish: Wish | None = None
        self._trainable = declared.trainable
        self._grad_req = 'write' if declared.trainable else 'null'
        self._lr_mult = self._wd_mult = 1.0
        self._holders: list[tuple[weakref.ref[Block], Path]] = []
        self._watchers: weakref.WeakSet[Block] = weakref.WeakSet()  # Blocks that are ready to run with this value

    def __getstate__(self):
        return {**vars(self), '_value': self._array, '_borrower': None, '_holders': [], '_watchers': ()}

    def __setstate__(self, state):
        vars(self).update(state, _watchers=weakref.WeakSet())

    @property
    def name(self) -> str:
        """The name in the outermost network that holds this parameter."""
        for holder, slot in self._holders:
            if (block := holder()) is not None:
                return '.'.join((*block._names(), *slot))
        return self._slot_name()  # its network is gone

    @property
    def shape(self) -> Shape | None:
        """The shape; None stands for what the first input will decide."""
        return self._shape

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self._declared.dtype

    @property
    def grad_req(self) -> str:
        """'write', 'add' or 'null'; with 'null' the parameter counts as not trainable. Running statistics stay so."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, value: str) -> None:
        if value not in ('write', 'add', 'null'):
            raise ArgumentError('grad_req is unknown', expected="'write', 'add' or 'null'", got=repr(value))
        self._grad_req = value if self._trainable else 'null'
        self._redeclare(trainable=self._grad_req != 'null')

    @property
    def lr_mult(self) -> float:
        """What a Trainer multiplies the learning rate with for this parameter."""
        return self._lr_mult

    @lr_mult.setter
    def lr_mult(self, value: float) -> None:
        self._lr_mult = value
        self._redeclare()

    @property
    def wd_mult(self) -> float:
        """What a Trainer multiplies the weight decay with for this parameter."""
        return self._wd_mult

    @wd_mult.setter
    def wd_mult(self, value: float) -> None:
        self._wd_mult = value
        self._redeclare()

    def data(self) -> jax.Array:
        """The value, a plain `jax.Array`.

        Raises:
            UninitializedError: before `initialize`.
            DeferredInitializationError: after `initialize`, while the shape waits for the first input.
            DonatedError: after the array was donated to a compiled function.
        """
        if self._array is None:
            raise self._missing()
        if self._array.is_deleted():
            raise DonatedError(
                f'the array of parameter {self.name!r} was donated to a compiled function, and is gone',
                remedy='net.params = params, with what that function returned; '
                'or donate copies: jax.tree.map(jnp.copy, net.params)',
            )
        return self._array

    def _missing(self) -> GluonError:
        if self._wish is None:
            return UninitializedError(
                f'parameter {self.name!r} has not been initialized', remedy='call net.initialize(), then net(x)'
            )
        return DeferredInitializationError(
            f'parameter {self.name!r} is not initialized yet: '
            f'its shape {shape_text(self.shape)} waits for the first input',
            remedy='call net(x) once, or declare the size (in_units=, in_channels=)',
        )

    def set_data(self, value) -> None:
        """Sets the value, cast to this parameter's dtype. It completes a shape that was unknown.

        Raises:
            ShapeError: if the shape does not fit.
        """
        with LOCK:
            array = concrete(self.name, value, self.dtype)
            if self._shape is not None and merge_shapes(self._shape, array.shape) is None:
                raise ShapeError(
                    f'{self.name!r} cannot take this value', expected=shape_text(self._shape), got=array.shape
                )
            self._commit(array)

    def initialize(self, init=None, *, force_reinit: bool = False, key=None, verbose: bool = False) -> None:
        """Draws this parameter, or wishes it drawn when its shape is known. `init` goes straight to it."""
        last = self._slot_name()
        leaf = Leaf(last, (last,), self._shape, self._declared)
        init = init if init is None or isinstance(init, Mapping) else {'.*': init}
        initialize_cells(Asker(self._token, frozenset()), [(leaf, self)], init, force_reinit, key, verbose)

    def _slot_name(self) -> str:
        return self._holders[0][1][-1] if self._holders else 'weight'

    def cast(self, dtype) -> None:
        """Changes the dtype, and that of the value."""
        declared = dataclasses.replace(self._declared, dtype=dtype)
        array = None if self._array is None else concrete(self.name, self.data(), declared.dtype)
        self._redeclare(dtype=dtype)
        if array is not None:
            self._commit(array)

    def grad(self):
        """Not here: gradients are values that `jax.grad` returns."""
        raise GluonError(
            'a Parameter holds no gradient', remedy='jax.grad(lambda params: loss(net.apply(params, x)))(net.params)'
        )

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.data(), dtype, copy=copy)

    def __jax_array__(self) -> jax.Array:
        return self.data()

    def __getitem__(self, index) -> jax.Array:
        self._check_index(index)
        return self.data()[index]

    def _check_index(self, index) -> tuple[int, ...] | None:
        """The shape at a plain index; JAX would pass over one that is out of range in silence."""
        parts = index if isinstance(index, tuple) else (index,)
        if not all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
            return None
        try:
            return np.broadcast_to(False, self.data().shape)[index].shape
        except IndexError as error:
            raise IndexError(f'parameter {self.name!r} has shape {shape_text(self.shape)}: {error}') from None

    def __setitem__(self, index, value) -> None:
        place = self._check_index(index)
        if place is not None and not _fits(value, place):
            raise ShapeError(
                f'{self.name!r} cannot take this value there', expected=shape_text(place), got=np.shape(value)
            )
        with jax.ensure_compile_time_eval():
            changed = self.data().at[index].set(jnp.asarray(value, jax.dtypes.canonicalize_dtype(self.dtype)))
        self.set_data(changed)

    def __repr__(self) -> str:
        return self._describe(self.name)

    def _describe(self, *names: str) -> str:
        also = f', also {", ".join(names[1:])}' if names[1:] else ''
        return f'Parameter {names[0]} (shape={shape_text(self.shape)}, dtype={self.dtype}{also})'

    @property
    def _array(self) -> jax.Array | None:
        """The value, which whoever borrowed it gives back first."""
        if self._borrower is not None:
            self._borrower()
        return self._value

    def _commit(self, array: jax.Array) -> None:
        with LOCK:
            if self._borrower is not None:
                self._borrower()
            self._hold(array, None)
            self._shape, self._wish = array.shape, None

    def _hold(self, array: jax.Array | None, borrower: Callable[[], None] | None) -> None:
        """Has this value from now on, or a borrower who will give it back."""
        self._value, self._borrower = array, borrower
        for block in list(self._watchers):
            block._forget_program()
        self._watchers.clear()

    def _redeclare(self, **changes) -> None:
        self._declared = dataclasses.replace(self._declared, **changes)
        for block in self._alive_holders():
            block._changed()

    def _alive_holders(self) -> 'Iterator[Block]':
        return (block for holder, _ in self._holders if (block := holder()) is not None)

    @property
    def _token(self) -> Token:
        return self._declared.token

    def _identities(self) -> Iterator[Token]:
        yield self._token


def _fits(value, place: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(np.shape(value), place) == place
    except ValueError:
        return False


def concrete(name: str, value, dtype) -> jax.Array:
    """The value as an array that a cell can keep: never a tracer."""
    refuse_traced(
        value, f'{name!r} cannot be set to a traced value', 'return it from the transformed function, and set it then'
    )
    with jax.ensure_compile_time_eval():
        return jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))


class ParameterDict(Mapping[str, Parameter]):
    """The parameters of a network by name, tied ones once; any of their names finds them."""

    def __init__(self, entries: list[tuple[Leaf, Parameter]], asker: Asker | None = None):
        self._entries = entries
        self._asker = asker or Asker(Token(), frozenset(cell._token for _, cell in entries))
        self._by_name = {name: cell for leaf, cell in entries for name in leaf.names}

    def __getitem__(self, name: str) -> Parameter:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return (leaf.name for leaf, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def initialize(self, init=None, *, force_reinit: bool = False, key=None, verbose: bool = False) -> None:
        """As `Block.initialize`, for these parameters."""
        initialize_cells(self._asker, self._entries, init, force_reinit, key, verbose)

    def setattr(self, name: str, value) -> None:
        """Sets an attribute of every parameter, as in `setattr('grad_req', 'null')`."""
        for cell in self.values():
            setattr(cell, name, value)

    def __repr__(self) -> str:
        return '\n'.join(cell._describe(*leaf.names) for leaf, cell in self._entries)


def initialize_cells(
    asker, entries: list[tuple[Leaf, Parameter]], init, force_reinit: bool, key, verbose: bool
) -> None:
    """Draws what has a shape, notes a wish for the rest, and changes nothing if anything fails."""
    with LOCK:
        chosen = choose([leaf for leaf, _ in entries], init)
        mine = [(leaf, cell) for leaf, cell in entries if force_reinit or _is_open(cell, asker)]
        if not mine:
            return
        for leaf, _ in mine:
            refuse_traced(vars(chosen[leaf.name]), f'the initializer of {leaf.name!r} holds a traced value')
        with key_or_next(key) as key:
            wishes = {cell: Wish(chosen[leaf.name], key, leaf.name, asker, verbose) for leaf, cell in mine}
            arrays = fulfil({cell: (wish, cell.shape) for cell, wish in wishes.items() if is_known(cell.shape)})
        for cell, wish in wishes.items():
            cell._wish = wish
        for cell, array in arrays.items():
            cell._commit(array)


def _is_open(cell: Parameter, asker) -> bool:
    """Whether `initialize` without force may take this cell: it has no value, and no wish made for a narrower part."""
    if cell._array is not None:
        return False
    return cell._wish is None or not cell._wish.asker.is_narrower(asker)


def key_or_next(key) -> contextlib.AbstractContextManager[jax.Array]:
    """The key as one that a network can keep, never a tracer; without one, the next of the library's stream."""
    if key is None:
        return next_key()
    refuse_traced(key, 'a network cannot take a traced key')
    with jax.ensure_compile_time_eval():
        return contextlib.nullcontext(as_key(key))


def refuse_traced(values, what: str, remedy: str = 'use the pure functions there: net.init, net.apply') -> None:
    """A network keeps concrete arrays, so nothing that is traced may reach its cells."""
    leaves = jax.tree.leaves(values, is_leaf=lambda value: isinstance(value, jax.core.Tracer))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        raise TransformationError(what, got='a tracer, inside a transformation (jit, grad, vmap, ...)', remedy=remedy)


def fulfil(
    wishes: Mapping[Parameter, tuple[Any, Any]], shardings: Mapping[Parameter, Any] = MappingProxyType({})
) -> dict[Parameter, jax.Array]:
    """Draws cells with their wishes and complete shapes, and with their shardings if they have any; sets nothing."""
    requests = [
        request(wish.key, wish.name, Spec(shape, cell.dtype, wish.initializer, copies=cell._declared.copies))._replace(
            sharding=shardings.get(cell)
        )
        for cell, (wish, shape) in wishes.items()
    ]
    with jax.ensure_compile_time_eval():
        arrays = dict(zip(wishes, draw(requests), strict=True))
    for cell, array in arrays.items():
        refuse_traced(array, f'the initializer of {cell.name!r} gave a traced value')
    for cell, (wish, _) in wishes.items():
        if wish.verbose:
            print(f'Initialized {wish.name} {shape_text(arrays[cell].shape)} with {wish.initializer!r}')
    return arrays
