"""Block: the stateful shell around definitions.

A Block is a tree of Blocks. Each owns the cells (Parameters) of its own parameters, and draws a structure of the whole
below it: an immutable definition. Everything is computed by the pure functions of that structure, on the cells' arrays.
"""

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gluonjax.errors import ArgumentError, FrozenError, TieError
from gluonjax.layer import Layer, frozen_value, leaves_of, token_of
from gluonjax.param import Param, SharedParameters, Token
from gluonjax.parameter import LOCK, Asker, Parameter, ParameterDict, initialize_cells, key_or_next, refuse_traced
from gluonjax.run import Bindable
from gluonjax.structure import Structure, check_tie, composed, winner_of
from gluonjax.tree import FrozenDict, Path, check_keys, matches, nest, no_match


class _Pure:
    """A pure function of the definition, as an attribute of the network."""

    def __set_name__(self, owner, name: str):
        self.name = name

    def __get__(self, block: 'Block | None', owner=None) -> Any:
        if block is None:
            return self
        structure = block._now()
        return structure.made.setdefault(self.name, getattr(structure.definition, self.name))


class Block(Bindable, own=True):
    """A network: a definition plus its Parameters. Subclasses assign children in `__init__` and compute in `forward`.

    >>> import jax.numpy as jnp
    >>> from gluonjax import nn
    >>> class MLP(Block):
    ...     def __init__(self, units):
    ...         self.hidden = nn.Dense(units, activation='relu')
    ...         self.output = nn.Dense(1)
    ...     def forward(self, x):
    ...         return self.output(self.hidden(x))
    >>> net = MLP(3)
    >>> net.initialize()
    >>> net(jnp.ones((4, 5))).shape
    (4, 1)
    >>> net.collect_params()
    Parameter hidden.weight (shape=(3, 5), dtype=float32)
    Parameter hidden.bias (shape=(3,), dtype=float32)
    Parameter output.weight (shape=(1, 3), dtype=float32)
    Parameter output.bias (shape=(1,), dtype=float32)
    """

    __slots__ = ('_compiled', '_declared', '_known', '_parents', '_ready', '_static', '_structure')

    _declared: dict[Path, Param]  # path of a slot below this Block -> the Param declared there
    _compiled: bool
    _static: bool  # whether values are frozen into the program
    _known: set[Token]  # the identities that are, or were, below this Block
    _parents: list[tuple[weakref.ref['Block'], str]]  # the Blocks that hold this one, and its name there, oldest first
    _structure: Structure | None
    _ready: Callable | None  # a function of the inputs alone, once every cell has a value

    def __new__(cls, *args, **kwargs):
        block = super().__new__(cls)
        # here, so that a subclass need not call super().__init__()
        _keep(block, _token=None, _declared={}, _known=set(), _parents=[])
        _keep(block, _compiled=True, _static=False, _structure=None, _ready=None)
        return block

    def _constructed(self, params: SharedParameters | None = None) -> None:
        _keep(self, _token=token_of(params))
        self._change(dict(vars(self)))

    # Structure.

    def __setattr__(self, name: str, value) -> None:
        if name == 'params':  # the only property that can be set
            object.__setattr__(self, name, value)
        else:
            self._set_all({name: value})

    def __delattr__(self, name: str) -> None:
        with LOCK:
            object.__delattr__(self, name)
            self._changed()

    def _set_all(self, fields: Mapping[str, Any]) -> None:
        if hidden := sorted(name for name in fields if name in _RESERVED or name in self._taken):
            raise ArgumentError(
                f'fields of {self.__class__.__name__} would hide what Block itself has under {hidden}',
                remedy='choose other names',
            )
        if self._token is None:  # still under construction: children are taken in at its end
            vars(self).update(fields)
        else:
            self._change(fields)

    def _part(self, positions: range) -> 'Block':
        """A window onto numbered children: a network of the same class and other fields, with the same cells."""

        def make():
            kept = {name: value for name, value in vars(self).items() if not name.isdigit()}
            part = type(self).__new__(type(self))
            _keep(part, _token=Token(), _compiled=self._compiled, _static=self._static)
            part._change({**kept, **{str(i): vars(self)[str(j)] for i, j in enumerate(positions)}})
            return part

        made = self._now().made
        if positions not in made:
            made[positions] = make()
        return made[positions]

    def register_child(self, block, name: str | None = None) -> None:
        """Adds a child under a name, by default the number of fields so far."""
        setattr(self, str(len(vars(self))) if name is None else name, block)

    def _change(self, fields: Mapping[str, Any]) -> None:
        """Takes in fields: all of them, or, if anything fails, none."""
        with LOCK, self._transaction():
            adopted = {name: _adopt(self, value, (name,)) for name, value in fields.items()}
            vars(self).update(adopted)
            self._link(fields)
            self._changed()
            self._meet([token for _, node in _nodes(adopted) for token in node._identities()])

    @contextlib.contextmanager
    def _transaction(self):
        fields, declared = dict(vars(self)), dict(self._declared)
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(fields)
            _keep(self, _declared=declared)
            self._changed()
            raise

    def _meet(self, newcomers: list[Token]) -> None:
        """Ties newcomers at once to what they are tied to, here and in the Blocks around."""
        tied = len(set(newcomers)) < len(newcomers) or not self._known.isdisjoint(newcomers)
        self._known.update(newcomers)
        if tied:
            self._now()
        for parent, _ in self._alive_parents():
            parent._meet(newcomers)

    def _identities(self) -> Iterator[Token]:
        yield from (block._token for block in self._blocks())
        yield from (cell._token for cell in self._cells_below())

    def _link(self, names) -> None:
        for path, node in _nodes({name: vars(self)[name] for name in names}):
            if isinstance(node, Block):
                node._parents.append((weakref.ref(self), '.'.join(path)))
            else:
                node._holders.append((weakref.ref(self), path))

    def _alive_parents(self) -> 'Iterator[tuple[Block, str]]':
        for reference, name in self._parents:
            parent = reference()
            if parent is not None and any(node is self for _, node in _nodes(vars(parent))):
                yield parent, name

    def _names(self) -> Path:
        parent, name = next(self._alive_parents(), (None, ''))
        return () if parent is None else (*parent._names(), name)

    def _changed(self) -> None:
        """Forgets the structure of this Block, and of every Block around it."""
        _keep(self, _structure=None, _ready=None)
        for parent, _ in self._alive_parents():
            parent._changed()

    def _check(self) -> None:
        self._now()
        for parent, _ in self._alive_parents():
            parent._check()

    def _blocks(self) -> 'Iterator[Block]':
        yield self
        for _, node in _nodes(vars(self)):
            if isinstance(node, Block):
                yield from node._blocks()

    def _slots(self, path: Path = ()) -> 'Iterator[tuple[Path, Block, Path, Parameter]]':
        """Every place of a cell: its path from here, the Block that owns it, its path there, the cell."""
        for below, node in _nodes(vars(self)):
            if isinstance(node, Block):
                yield from node._slots((*path, *below))
            else:
                yield (*path, *below), self, below, node

    def _cells_below(self) -> Iterator[Parameter]:
        return (cell for *_, cell in self._slots())

    def _asker(self) -> Asker:
        return Asker(self._token, frozenset(self._identities()) - {self._token})

    def _forget_program(self) -> None:
        _keep(self, _ready=None)

    def _now(self) -> Structure:
        structure = self._structure
        if structure is None:
            with LOCK:
                self._unify()
                definition = self._build_definition()
                places = {'.'.join(path): cell for path, *_, cell in self._slots()}
                names = tuple(leaf.name for leaf in leaves_of(definition))
                structure = Structure(definition, tuple(places[name] for name in names), names, {})
                _keep(self, _structure=structure)
        return structure

    def _unify(self) -> None:
        """Gives every name of a tied parameter the same cell."""
        places = {'.'.join(path): (owner, slot, cell) for path, owner, slot, cell in self._slots()}
        moves = []
        for leaf in leaves_of(self._build_definition()):
            winner = winner_of({name: places[name][2] for name in leaf.names})
            moves += [(*places[name][:2], winner) for name in leaf.names if places[name][2] is not winner]
        for owner, slot, winner in moves:
            owner._put(slot, winner)

    def _put(self, slot: Path, cell: Parameter) -> None:
        vars(self)[slot[0]] = _replace(vars(self)[slot[0]], slot[1:], cell)
        cell._holders.append((weakref.ref(self), slot))
        self._changed()

    def _build_definition(self) -> Layer:
        fields = {name: self._define_field(value, (name,)) for name, value in vars(self).items()}
        return self._define(fields)

    def _define_field(self, value, path: Path):
        if isinstance(value, Block):
            return value._build_definition() if value._structure is None else value._structure.definition
        if isinstance(value, Parameter):
            declared, now = self._declared[path], value._declared
            changes = {k: v for k in ('dtype', 'trainable') if (v := getattr(now, k)) != getattr(declared, k)}
            return dataclasses.replace(declared, **changes) if changes else declared
        return _map_items(value, lambda item, key: self._define_field(item, (*path, key)))

    def _define(self, fields: dict[str, Any]) -> Layer:
        return Definition.of(type(self), fields, self._token)

    def _as_child_definition(self, where: str) -> Layer:
        if any(cell._array is not None or cell._wish is not None for cell in self._cells_below()):
            raise ArgumentError(
                f'{where} is a network with values or wishes, and a Layer holds definitions only',
                remedy='make the outer class an nn.Block, or pass net.definition',
            )
        return self.definition

    # The network as pure functions.

    @property
    def definition(self) -> Layer:
        """An immutable structure of this network; a new one after its structure changes."""
        return self._now().definition

    init, apply, apply_train, specs, trainable, partition, reinit = (_Pure() for _ in range(7))

    @property
    def params(self) -> dict[str, Any]:
        """The values as a nested dict of arrays, tied parameters once. Assigning checks names, shapes and dtypes."""
        if self._token is None:
            raise ArgumentError(
                'a network under construction has no params', remedy='self.weight = Param(shape, init=...) declares one'
            )
        structure = self._now()
        return nest({name: cell.data() for name, cell in zip(structure.names, structure.cells, strict=True)})

    @params.setter
    def params(self, tree: Mapping[str, Any]) -> None:
        with LOCK:
            structure = self._now()
            structure.commit(structure.checked(tree))

    def _refuse_donated(self) -> None:
        for cell in self._cells_below():
            if cell._array is not None:
                cell.data()

    # Parameters.

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """The parameters by name; with `select`, those with a name that matches it (`re.match`).

        Raises:
            PatternError: if nothing matches.
        """
        structure = self._now()
        chosen = [entry for entry in structure.entries if select is None or matches(select, entry[0].names)]
        if not chosen and select is not None:
            raise no_match(select, leaves_of(structure.definition))
        return ParameterDict(chosen, self._asker() if select is None else None)

    def initialize(self, init=None, *, force_reinit: bool = False, key=None, verbose: bool = False) -> None:
        """Draws every parameter whose shape is known, and wishes the rest drawn when the first input comes.

        Values that are there stay, and so do wishes made for a narrower part.

        Args:
            init: the general initializer (default `Uniform(0.07)`; a layer's own wins over it), or a dict from patterns
                to initializers (which win over the layers').
            force_reinit: also draw anew what has a value.
            key: a JAX key or an int; by default the next of the library's stream.
            verbose: print each parameter as it is drawn.

        Raises:
            PatternError: if a pattern matches nothing.
        """
        initialize_cells(self._asker(), self._now().entries, init, force_reinit, key, verbose)

    def cast(self, dtype) -> None:
        """Changes the dtype of the floating-point parameters and their values."""
        with LOCK:
            self._refuse_donated()  # before anything is changed
            structure = self._now()
            for cell, leaf in zip(structure.cells, leaves_of(structure.definition.cast(dtype)), strict=True):
                if cell.dtype != leaf.param.dtype:
                    cell.cast(leaf.param.dtype)

    def tie(self, target: str, source: str, transform: Callable | None = None) -> None:
        """Makes `target` another name of the parameter `source`, read through `transform`.

        Raises:
            TieError: if the shapes do not fit.
        """
        with LOCK:
            places = {'.'.join(path): (owner, slot, cell) for path, owner, slot, cell in self._slots()}
            for name in (target, source):
                if name not in places:
                    raise no_match(name, leaves_of(self.definition))
            (owner, slot, old), (origin, origin_slot, cell) = places[target], places[source]
            if (owner, slot) == (origin, origin_slot):
                raise TieError(f'{target!r} and {source!r} are one place', remedy='tie two different parameters')
            declared = origin._declared[origin_slot]
            declared = dataclasses.replace(declared, transform=composed(declared.transform, transform))
            check_tie(target, owner._declared[slot].shape or old.shape, source, cell.shape, declared.transform)
            with owner._transaction():
                owner._declared[slot] = declared
                owner._put(slot, cell)
                self._check()

    # Running.

    def __call__(self, *inputs, **named):
        """Runs the network on inputs, compiled.

        Args:
            *inputs: arrays or pytrees of them; also by name.
            training: True switches dropout on, uses batch statistics, and stores running statistics.
            key: with `training=True`, a JAX key or an int; by default the next of the library's stream. Inference
                has no use for it.
        """
        ready = self._ready
        try:
            return self._call(inputs, **named) if ready is None or named else ready(*inputs)
        except Exception:
            self._refuse_donated()
            raise

    def _call(self, inputs, /, *, training: bool = False, key=None, **named):
        structure = self._now()
        if training:
            return self._call_training(structure, inputs, key, named)
        if structure.is_initialized():
            ready = (
                structure.inference(self._compiled, named=named) if named else self._ready or self._prepare(structure)
            )
            return ready(*inputs)
        with LOCK:
            drawn = structure.draw_missing(inputs, named)
            output = structure.inference(self._compiled, drawn, named)(*inputs)
            structure.commit(drawn)
            return output

    def _call_training(self, structure: Structure, inputs, key, named):
        refuse_traced((inputs, named), *_TRAINING)
        with contextlib.nullcontext() if structure.is_initialized() else LOCK, key_or_next(key) as key:
            drawn = structure.draw_missing(inputs, named)
            output, recorded = structure.training(self._compiled, drawn, key, named)(*inputs)
            refuse_traced((output, recorded), *_TRAINING)
            structure.commit({**drawn, **recorded})
            return output

    def _prepare(self, structure: Structure) -> Callable:
        """A function of the inputs alone, with the values of now; forgotten when one of them changes."""
        with LOCK:
            for cell in structure.cells:
                cell._watchers.add(self)
            ready = structure.frozen() if self._compiled and self._static else structure.inference(self._compiled)
            _keep(self, _ready=ready)
            return ready

    def hybridize(
        self,
        active: bool = True,
        *,
        static_params: bool = False,
        static_alloc: bool = False,
        static_shape: bool = False,
    ) -> None:
        """Chooses how calls run; networks start out compiled.

        Args:
            active: False runs `forward` op by op, on concrete arrays.
            static_params: compile the values into the program, for serving; it is rebuilt after they change.
            static_alloc: MXNet's; accepted, XLA always does so.
            static_shape: MXNet's; accepted, XLA always does so.
        """
        with LOCK:
            for block in self._blocks():
                _keep(block, _compiled=active, _static=static_params, _ready=None)

    def summary(self, *inputs, **named) -> None:
        """Prints a table of the layers, their output shapes and parameter counts; tied parameters count once."""
        print(self.definition.summary(*inputs, **named))

    def setattr(self, name: str, value) -> None:
        """Sets an attribute of every parameter, as in `net.setattr('grad_req', 'null')`."""
        self.collect_params().setattr(name, value)

    def name_scope(self):
        """Gluon 1's `with self.name_scope():`; names come from the structure here, so it does nothing."""
        return contextlib.nullcontext()

    def __repr__(self) -> str:
        return repr(self._build_definition())

    def __reduce__(self):
        slots = {name: getattr(self, name) for name in self._kept}
        return _rebuild, (type(self),), (dict(vars(self)), slots)

    _kept = ('_token', '_declared', '_compiled', '_static')

    def __setstate__(self, state) -> None:
        fields, slots = state
        _keep(self, **slots)
        vars(self).update(fields)
        self._link(fields)
        self._known.update(self._identities())


HybridBlock = Block

_TRAINING = (
    'net(x, training=True) stores running statistics, and cannot inside a transformation',
    'y, params = net.apply_train(params, x, key=key)',
)
_RESERVED = frozenset(name for name in dir(Block) if not name.startswith('_'))


class View(Block, own=True):
    """A Layer inside a network: the layer's class to `isinstance`, its fields to read, and the network's cells."""

    __slots__ = ('_base',)
    _kept = (*Block._kept, '_base')

    @property
    def __class__(self):
        return type(self._base)

    def __setattr__(self, name: str, value) -> None:
        if name != 'params':
            raise FrozenError(
                f'{name!r} belongs to a definition, which is frozen',
                remedy='make a new layer; values change by set_data',
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenError(f'{name!r} belongs to a definition, which is frozen', remedy='make a new layer')

    def __getattr__(self, name: str):
        if name.startswith('__') or name in View.__slots__:
            raise AttributeError(name)
        return getattr(self._base, name)

    def _define(self, fields: dict[str, Any]) -> Layer:
        before = vars(self._base)
        unchanged = all(
            value is before[name] or (isinstance(value, tuple | dict) and value == before[name])
            for name, value in fields.items()
        )
        return self._base if unchanged else self._base._with_fields(fields)


class Definition(Layer, own=True):
    """The definition of a network whose class is a Block: its fields, and the class whose `forward` runs."""

    __slots__ = ('_block_class',)

    @classmethod
    def of(cls, block_class: type[Block], fields: dict[str, Any], token) -> 'Definition':
        definition = cls.__new__(cls)
        definition.__setstate__((fields, token, block_class))
        return definition

    @property
    def _class(self) -> type[Bindable]:
        return self._block_class

    def __getstate__(self):
        return (*super().__getstate__(), self._block_class)

    def __setstate__(self, state) -> None:
        *state, block_class = state
        _keep(self, _block_class=block_class)
        super().__setstate__(state)


def _keep(owner: Bindable, **slots) -> None:
    """Sets private slots, past the `__setattr__` that is for fields."""
    for name, value in slots.items():
        object.__setattr__(owner, name, value)


def _rebuild(cls: type[Block]) -> Block:
    return cls.__new__(cls)


def _materialize(layer: Layer) -> Block:
    """A network of its own from a definition: fresh cells, the same identity."""
    cls: Any = layer._class if isinstance(layer, Definition) else View
    block = cls.__new__(cls)
    _keep(block, _token=layer._token, **({'_base': layer} if cls is View else {}))
    block._set_all(vars(layer))
    return block


def _adopt(owner: Block, value, path: Path):
    """What a Block keeps of a value assigned to it: layers become Blocks, Params become cells."""
    if isinstance(value, Block):
        if any(block is owner for block in value._blocks()):
            raise ArgumentError('a network cannot be put inside itself', remedy='use copy.deepcopy for a second one')
        return value
    if isinstance(value, Param | Parameter):
        owner._declared[path] = value if isinstance(value, Param) else value._declared
        return value if isinstance(value, Parameter) else Parameter(value)
    if isinstance(value, Layer):
        return _materialize(value)
    if isinstance(value, list):
        value = tuple(value)
    adopted = _map_items(value, lambda item, key: _adopt(owner, item, (*path, key)))
    if adopted is value:
        return frozen_value(owner, '.'.join(path), value)
    if isinstance(adopted, dict) and any(_nodes(adopted)):
        check_keys('.'.join(path), adopted)
    return adopted


def _map_items(value, change: Callable):
    """`change(item, key)` on the items of a tuple or dict; anything else as it is."""
    if type(value) is tuple:
        return tuple(change(item, str(i)) for i, item in enumerate(value))
    if isinstance(value, dict):
        return FrozenDict({key: change(item, str(key)) for key, item in value.items()})
    return value


def _nodes(fields: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, 'Block | Parameter']]:
    """The Blocks and Parameters in fields, through tuples and dicts, with their paths."""
    for name, value in fields.items():
        if isinstance(value, Block | Parameter):
            yield (*path, str(name)), value
        elif type(value) is tuple:
            yield from _nodes({str(i): item for i, item in enumerate(value)}, (*path, name))
        elif isinstance(value, FrozenDict):
            yield from _nodes(value, (*path, str(name)))


def _replace(value, path: Path, new):
    if not path:
        return new
    return _map_items(value, lambda item, key: _replace(item, path[1:], new) if key == path[0] else item)
