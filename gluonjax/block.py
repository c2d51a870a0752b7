"""Block: the stateful shell around definitions.

A Block is a tree of Blocks. Each has the Parameters that were declared in it, and from the whole below it comes its
structure: an immutable definition with the Parameter of each leaf. Everything is computed by the pure functions of that
definition, on the values of the Parameters.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

from gluonjax import parameter as parameters
from gluonjax.arrays import admit, split, unpacked
from gluonjax.checks import flag
from gluonjax.config import refuse_if_frozen, set_slots
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer, check_class, check_field, frozen_value, layers_of, leaves_of, token_of, with_fields
from gluonjax.lazy import above, entry_points
from gluonjax.methods import BlockMethods
from gluonjax.param import Param, SharedParameters, Token
from gluonjax.parameter import LOCK, Node, Parameter, ParameterDict, Scope, nodes_of, owners_of
from gluonjax.ref import LATEST, Values, read, settle
from gluonjax.run import Bindable, taken_names
from gluonjax.structure import Structure, winner_of
from gluonjax.tree import Path, map_items, matches, nest


def _pure(name: str) -> Any:
    """A pure function of the definition, as an attribute of the network: the same until its structure changes."""

    def function(block: Block) -> Any:
        structure = structure_of(block)
        return structure.made.setdefault(name, getattr(structure.definition, name))

    return property(function, doc=f'`{name}` of the definition.')


class _Ready(NamedTuple):
    """A network's inference as a function of the inputs alone."""

    latest: object  # of `LATEST`, when the values were read
    program: Callable[..., Any]
    values: Values
    array: type  # of the values; an output of another type may be traced


class Held(NamedTuple):
    """A Parameter in the fields of a Block."""

    owner: Block
    path: Path  # in the owner
    parameter: Parameter

    @property
    def declared(self) -> Param:
        """What is declared there."""
        return self.owner._declared[self.path]


@entry_points
class Block(Bindable, Node, BlockMethods, own=True):
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

    __slots__ = ('_compiled', '_declared', '_hooks', '_owners', '_parts')
    __slots__ += ('_programs', '_ready', '_static', '_structure')

    _declared: dict[Path, Param]  # path of a Parameter below this Block -> the Param declared there
    _compiled: bool
    _static: bool  # whether values are compiled into the program
    _structure: Structure | None
    _programs: dict[Any, Any]  # for calls; they outlive structures that differ in what is trained
    _parts: dict[range, Any]  # slices of it, each after the fields of which it was made
    _ready: _Ready | None  # once every Parameter has a value

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        block = super().__new__(cls)
        # here, so that a subclass need not call super().__init__()
        set_slots(block, _token=None, _tied=False, _declared={}, _owners=[], _compiled=True, _static=False)
        set_slots(block, _structure=None, _ready=None, _programs={}, _parts={}, _hooks=((), ()))
        return block

    def _constructed(self, params: SharedParameters | None = None) -> None:
        check_class(type(self))
        with LOCK:
            set_slots(self, _token=token_of(params).take(), _tied=params is not None)
            self._change(dict(vars(self)))

    # Structure.

    def __setattr__(self, name: str, value: Any) -> None:
        if name == 'params':  # the only property that can be set
            object.__setattr__(self, name, value)
        elif name != '__orig_class__':  # that `typing` sets on instances of generic classes
            refuse_if_frozen(self, name, 'set')
            set_fields(self, {name: value})

    def __delattr__(self, name: str) -> None:
        refuse_if_frozen(self, name, 'deleted')
        with LOCK:
            object.__delattr__(self, name)
            self._changed()

    def register_child(self, block: Block | Layer, name: str | None = None) -> None:
        """Adds a child under a name, by default the number of fields so far."""
        setattr(self, str(len(vars(self))) if name is None else name, block)

    def _change(self, fields: Mapping[str, Any]) -> None:
        """Takes in fields: all of them, or, if anything fails, none."""
        with LOCK, self._transaction():
            adopted = {name: _adopt(self, value, name) for name, value in fields.items()}
            vars(self).update(adopted)
            self._own(adopted)
            self._changed()
            if any(identity_of(below).taken > 1 for _, node in nodes_of(adopted) for below in all_below(node)):
                self._check()  # ties newcomers at once

    def _own(self, fields: Mapping[str, Any]) -> None:
        for path, node in nodes_of(fields):
            parameters.add_owner(node, self, path)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        fields, declared = dict(vars(self)), dict(self._declared)
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(fields)
            set_slots(self, _declared=declared)
            self._changed()
            raise

    def _changed(self, redeclared: bool = False) -> None:
        """Forgets the structure of this Block, and of every Block around it.

        Args:
            redeclared: whether the change is only in what a Trainer asks for; the programs for calls stay then.
        """
        set_slots(self, _structure=None, _ready=None, _programs=self._programs if redeclared else {})
        super()._changed(redeclared)

    def _check(self) -> None:
        """Ties what is tied, here and in the Blocks around."""
        structure_of(self)
        for owner, _ in owners_of(self):
            owner._check()

    def _scope(self) -> Scope:
        return Scope(self._token, frozenset(map(identity_of, all_below(self))) - {self._token})

    def _build_structure(self) -> Structure:
        """Builds the definition, and gives every name of a tied parameter the same Parameter."""
        with LOCK:
            definition, held = self._build_definition(), dict(held_in(self))
            leaves = leaves_of(definition)
            winners = [winner_of({name: held[name].parameter for name in leaf.names}) for leaf in leaves]
            names = ((held[name], winner) for leaf, winner in zip(leaves, winners, strict=True) for name in leaf.names)
            moves = [(place, winner) for place, winner in names if place.parameter is not winner]
            for place, winner in moves:
                place.owner._put(place.path, winner)
            if moves:
                definition = self._build_definition()
            programs = {} if any(any(layer._hooks) for _, layer in layers_of(definition)) else self._programs
            structure = Structure(definition, tuple(winners), tuple(leaf.name for leaf in leaves), {}, programs)
            set_slots(self, _structure=structure)
            return structure

    def _put(self, path: Path, parameter: Parameter) -> None:
        def change(item: Any, at: Path) -> Any:
            return parameter if at == path else item

        vars(self)[path[0]] = map_items(change, vars(self)[path[0]], path[:1])
        parameters.add_owner(parameter, self, path)
        self._changed()

    def _build_definition(self) -> Layer:
        def define(item: Any, path: Path) -> Any:
            if isinstance(item, Block):
                return item._build_definition() if item._structure is None else item._structure.definition
            if isinstance(item, Parameter):
                declared, now = self._declared[path], item.declared
                changes = {k: v for k in ('dtype', 'trainable') if (v := getattr(now, k)) != getattr(declared, k)}
                frozen = declared.trainable and not now.trainable
                return dataclasses.replace(declared, **changes, frozen=frozen) if changes else declared
            return item

        definition = self._define({name: map_items(define, value, (name,)) for name, value in vars(self).items()})
        set_slots(definition, _hooks=self._hooks)
        return definition

    def _define(self, fields: dict[str, Any]) -> Layer:
        return Definition.of(type(self), fields, self._token)

    # The network as pure functions.

    @property
    def definition(self) -> Layer:
        """The immutable definition of this network; a new one after its structure changes."""
        return structure_of(self).definition

    init: Any = _pure('init')
    init_cache: Any = _pure('init_cache')
    apply: Any = _pure('apply')
    apply_train: Any = _pure('apply_train')
    specs: Any = _pure('specs')
    trainable: Any = _pure('trainable')
    partition: Any = _pure('partition')
    reinit: Any = _pure('reinit')

    @property
    def params(self) -> dict[str, Any]:
        """The values as a nested dict of arrays, tied parameters once. Assigning checks names, shapes and dtypes."""
        if self._token is None:
            raise above.messages.under_construction()
        with LOCK:
            return nest({name: parameter.data() for name, parameter in structure_of(self).parameters_by_name().items()})

    @params.setter
    def params(self, tree: Mapping[str, Any]) -> None:
        above.placement.set_params(self, tree)

    # Parameters.

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """The parameters by name; with `select`, those with a name that matches it (`re.match`).

        Raises:
            PatternError: if nothing matches.
        """
        structure = structure_of(self)
        chosen = [entry for entry in structure.entries if select is None or matches(select, entry[0].names)]
        if not chosen and select is not None:
            raise above.messages.no_match(select, leaves_of(structure.definition))
        return ParameterDict(chosen, self._scope() if select is None else None)

    def initialize(
        self,
        init: Any = None,
        *,
        force_reinit: bool = False,
        key: Any = None,
        verbose: bool = False,
        device: Any = None,
    ) -> None:
        """Draws every parameter whose shape is known, and defers the rest until the first input comes.

        Values that are there stay, and so do initializations that were deferred for a part of this network.

        Args:
            init: the general initializer (default `Uniform(0.07)`; a layer's own wins over it), or a dict from patterns
                to initializers (which win over the layers').
            force_reinit: also draw again what has a value.
            key: a JAX key or an int; by default the next of the library's stream.
            verbose: print each parameter as it is drawn.
            device: a device or a `jax.sharding.Sharding` to draw them on, with the same numbers; see `to`. By default
                each is drawn where it was before, at first on JAX's default device.

        Raises:
            ArgumentError: if `device` is neither.
            PatternError: if a pattern matches nothing.
            TieError: if `params=` ties a layer to one of another network.
        """
        if any(isinstance(node, Block) and node._tied for node in all_below(self)):
            above.ties.check_sharing(self)
        chosen = self.collect_params() if device is None else above.placement.params_on(self, device)
        chosen.initialize(init, force_reinit=force_reinit, key=key, verbose=verbose, level=5)

    # Running.

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Runs the network on inputs, compiled.

        Args:
            *inputs: arrays or pytrees of them; also by name.
            training: True switches dropout on, uses batch statistics, and stores running statistics.
            key: with `training=True`, a JAX key or an int; by default the next of the library's stream. Inference
                needs none.
        """
        ready = self._ready
        if named or ready is None or ready.latest is not LATEST.stored:
            return self._call(inputs, **named)
        _, program, values, array = ready
        if len(inputs) != 1 or inputs[0].__class__ is not array:
            inputs = admit(inputs)
        try:
            output = program(*inputs)
        except Exception as error:
            if not (split(inputs)[1].has_values() or above.failures.may_retry(self, error, values, inputs)):
                raise
            return self._call(inputs)
        if output.__class__ is array:
            return output
        if parameters.is_traced(output) and not above.modes.kept_outside(structure_of(self).parameters, values):
            with LOCK:  # so that no step comes in between again
                return self._call(inputs)
        return unpacked(output)

    def _call(self, inputs: tuple[Any, ...], /, *, training: bool = False, key: Any = None, **named: Any) -> Any:
        if above.placement.mesh_of_explicit_axes((inputs, named)) is not None:
            return above.placement.call_over_automatic_axes(self, inputs, named, training, key)
        structure = structure_of(self)
        inputs, named = admit((inputs, named))
        run = self._run_compiled if self._compiled else functools.partial(above.modes.call_eagerly, self)
        if flag('training', training):
            refuse_traced_training((inputs, named))
            with parameters.key_or_next(key) as key:
                output, recorded = run(structure, inputs, named, True, key)
                if recorded:
                    parameters.commit(structure.by_name(recorded))
                return unpacked(output)
        before = read(structure.parameters)
        output, _ = run(structure, inputs, named, False, None)
        if parameters.is_traced(output):
            if not above.modes.kept_outside(structure.parameters, before):
                with LOCK:
                    return self._call(inputs, **named)
        elif self._compiled and not named and not split(inputs)[1].has_values():
            self._prepare(structure)
        return unpacked(output)

    def _prepare(self, structure: Structure) -> None:
        """Makes a function of the inputs alone, for as long as no value is written."""
        settle()
        latest, values = LATEST.stored, read(structure.parameters)
        program = functools.partial(self._inference(structure), *values)
        set_slots(self, _ready=_Ready(latest, program, values, type(next(iter(values), None))))

    def _run_compiled(
        self, structure: Structure, inputs: tuple[Any, ...], named: dict[str, Any], training: bool, key: Any
    ) -> tuple[Any, dict[str, Any]]:
        """The output and what was recorded. Missing values are drawn, and committed when all has succeeded."""
        arrays, static = split((inputs, named))

        def run(values: Values) -> Any:
            if not (training or named or static.has_values()):
                return self._inference(structure)(*values, *inputs), {}
            result = structure.program(training)(static, values, key, arrays)
            if training:
                refuse_traced_training(result)
            return result

        values = read(structure.parameters)
        try:
            if all(value is not None for value in values):
                return run(values)
            with LOCK:  # nobody else draws now
                drawn = structure.draw_missing(inputs, named)
                result = run(structure.values(drawn))
                parameters.commit(drawn, handed_out=False)
                return result
        except Exception as error:
            if not above.failures.may_retry(self, error, values, (inputs, named)):
                raise
        with LOCK:  # no step runs now
            return run(read(structure.parameters))

    def _inference(self, structure: Structure) -> Callable[..., Any]:
        if not self._static:
            return structure.inference()
        return structure.made.setdefault('serving', above.modes.serving(self, structure))

    def setattr(self, name: str, value: Any) -> None:
        """Sets an attribute of every parameter, as in `net.setattr('grad_req', 'null')`."""
        self.collect_params().setattr(name, value)

    def name_scope(self) -> contextlib.AbstractContextManager[None]:
        """Gluon 1's `with self.name_scope():`; names come from the structure here, so it does nothing."""
        return contextlib.nullcontext()

    def __repr__(self) -> str:
        return repr(self._build_definition())

    def __reduce__(self) -> Any:
        slots = {name: getattr(self, name) for name in self._kept}
        return Block.__new__, (type(self),), (dict(vars(self)), slots, above.snapshot.Snapshot(self))

    _kept: ClassVar[tuple[str, ...]] = ('_token', '_declared', '_compiled', '_static')

    def __setstate__(self, state: Any) -> None:
        fields, slots, *_ = state
        set_slots(self, **slots)
        vars(self).update(fields)
        self._own(fields)


HybridBlock = Block


class View(Block, own=True):
    """A Layer inside a network: the layer's class to `isinstance`, its fields to read, the network's Parameters."""

    __slots__ = ('_base',)
    _kept = (*Block._kept, '_base', '_frozen')
    _remedy = 'make a new layer; values change by set_data'

    @property
    def __class__(self) -> Any:
        return type(self._base)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name in View.__slots__:
            raise AttributeError(name)
        return getattr(self._base, name)

    def _define(self, fields: dict[str, Any]) -> Layer:
        return with_fields(self._base, fields)


class Definition(Layer, own=True):
    """The definition of a network whose class is a Block: its fields, and the class whose `forward` runs."""

    __slots__ = ('_class',)

    @classmethod
    def of(cls, block_class: type[Block], fields: dict[str, Any], token: Token) -> Definition:
        definition = cls.__new__(cls)
        set_slots(definition, _class=block_class)
        definition.__setstate__((fields, token))
        return definition

    def __reduce__(self) -> Any:
        return Definition.of, (self._class, vars(self), self._token)


def set_mode(block: Block, compiled: bool, static: bool) -> None:
    """Chooses how calls of a network run: compiled or op by op, and whether the values are compiled in."""
    set_slots(block, _compiled=compiled, _static=static, _ready=None)


def refuse_traced_training(values: Any) -> None:
    """Refuses to train inside a transformation: values that were recorded could not be stored."""
    what = 'net(x, training=True) stores running statistics, and cannot inside a transformation'
    parameters.refuse_traced(values, what, 'y, params = net.apply_train(params, x, key=key)')


def held_in(block: Block, path: Path = ()) -> Iterator[tuple[str, Held]]:
    """Every Parameter below a network, by each of its names from there."""
    for below, node in nodes_of(vars(block)):
        if isinstance(node, Block):
            yield from held_in(node, (*path, *below))
        elif isinstance(node, Parameter):
            yield '.'.join((*path, *below)), Held(block, below, node)


def replace(block: Block, place: Held, parameter: Parameter, declared: Param) -> None:
    """Puts another Parameter in a place below a network, with what it declares. If that fails, nothing changes."""
    with place.owner._transaction():
        place.owner._declared[place.path] = declared
        place.owner._put(place.path, parameter)
        block._check()


def structure_of(block: Block) -> Structure:
    """The structure of a network as it is now: the same object until something in it changes."""
    return block._structure or block._build_structure()


def set_fields(block: Block, fields: Mapping[str, Any]) -> None:
    """Sets attributes of a network: all of them, or, if one cannot be, none.

    Raises:
        ArgumentError: for a name that Block itself has, or a value that cannot be kept.
    """
    if hidden := sorted(taken_names(block) & fields.keys()):
        raise above.messages.hidden_names(block, hidden)
    if block._token is None:  # still under construction: children are taken in at its end
        vars(block).update(fields)
    else:
        block._change(fields)


def part_of(block: Block, children: Sequence[str], positions: range) -> Block:
    """A view of some of these children: a network of the same class and other fields, with the same Parameters."""
    fields = {name: value for name, value in vars(block).items() if name not in children}
    fields |= {str(i): vars(block)[children[j]] for i, j in enumerate(positions)}
    source, part = block._parts.get(positions, ({}, None))
    if part is None or list(map(id, source.values())) != list(map(id, fields.values())):
        part = type(block).__new__(type(block))
        set_slots(part, _token=Token(), _compiled=block._compiled, _static=block._static)
        part._change(fields)
        block._parts[positions] = fields, part
    return part


def _materialize(layer: Layer) -> Block:
    """A network made of a definition: new Parameters, the same identity."""
    cls: Any = layer._class if isinstance(layer, Definition) else View
    block = cls.__new__(cls)
    of_view = {'_base': layer, '_frozen': True} if cls is View else {}
    set_slots(block, _token=token_of(layer).take(), _tied=getattr(layer, '_tied', False), **of_view)
    set_fields(block, vars(layer))
    return block


def _adopt(owner: Block, value: Any, name: str) -> Any:
    """What a Block keeps of a value assigned to it: layers become Blocks, Params become Parameters."""

    def adopt(item: Any, path: Path) -> Any:
        if isinstance(item, Block):
            if _is_within(owner, item):
                raise ArgumentError('a network cannot be put inside itself', remedy='copy.deepcopy makes another')
            return item
        if isinstance(item, Param | Parameter):
            owner._declared[path] = item if isinstance(item, Param) else item.declared
            return item if isinstance(item, Parameter) else Parameter(item)
        return _materialize(item) if isinstance(item, Layer) else frozen_value(owner, '.'.join(path), item)

    check_field(owner, name, value)
    return map_items(adopt, value, (name,))


def _is_within(block: Block, outer: Block) -> bool:
    """Whether a network is another one, or inside it."""
    return block is outer or any(_is_within(owner, outer) for owner, _ in owners_of(block))


def all_below(node: Node) -> Iterator[Node]:
    """A Block or Parameter, and all below it."""
    yield node
    if isinstance(node, Block):
        for _, item in nodes_of(vars(node)):
            yield from all_below(item)


def identity_of(node: Any) -> Token:
    """What a Block or Parameter can be tied by."""
    return node.token if isinstance(node, Parameter) else node._token
