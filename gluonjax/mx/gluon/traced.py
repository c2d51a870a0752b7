"""Calls of hybridized blocks, each as one program of its parameters, its inputs, and other arrays that it reads."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.core

from gluonjax.mx import array, invoke, naming, statistics, subgraph, symbol, tape
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context, virtual
from gluonjax.mx.graph import Entry
from gluonjax.mx.tape import Arrays, Tracked

_INSIDE: contextvars.ContextVar[bool] = contextvars.ContextVar('inside', default=False)
_MOST_PASSES = 3  # over arrays that each pass finds


def is_inside() -> bool:
    """Whether a hybridized block is being called."""
    return _INSIDE.get()


class _Found(Exception):
    """Arrays that are read, and were not yet inputs of the program."""

    def __init__(self, handles: list[NDArray]):
        super().__init__()
        self.handles = handles


class Traced:
    """A call of a block as one program.

    Arrays that `forward` reads, and that are neither inputs nor parameters, become inputs: they may change from call to
    call. Arrays that it sets as attributes, of the block or one below, become outputs, and are set after each call;
    where such attributes are None at one call and not at another, each has a program of its own.

    Args:
        block: the block.
        blocks: it, and those below.
        handles: the arrays of its parameters.
        tree: of the inputs.
        kind: the class of the inputs, which the outputs have too.
        context: where it runs, if parameters have arrays in several.
    """

    def __init__(
        self,
        block: Any,
        blocks: Sequence[Any],
        handles: list[NDArray],
        tree: Any,
        kind: type[NDArray],
        context: Context | None = None,
    ):
        self.block: Any = block
        self.blocks: Sequence[Any] = blocks
        self.handles: list[NDArray] = handles
        self.tree: Any = tree
        self.kind: type[NDArray] = kind
        self.place: Any = context or contextlib.nullcontext()
        self.shared: Context | None = virtual(context)
        self.training: bool = tape.scope().training
        self.output: Any = None  # the tree of the outputs, and of the values of attributes
        self.attributes: list[tuple[Any, str]] = []  # that are set
        self.changed: list[int] = []  # the numbers of the handles that are written
        self.shares: dict[int, float] = {}  # by the numbers of those that are statistics
        self.slots: dict[int, tuple[Any, str]] = {}  # which attribute a handle is, by its number
        self.passes: int = 0
        self.context: Context | None = context
        self.watched: list[tuple[Any, str]] = []  # attributes that are set or read
        self.missing: tuple[bool, ...] = ()  # which of them were None as it was traced
        self.others: dict[tuple[bool, ...], Traced] = {}  # for calls where others are None
        self.keyed: invoke.Keyed = invoke.Keyed(block.name, self._function, self._symbols, large=True)

    def _function(self, arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array], bool]:
        values, inputs = arrays[: len(self.handles)], arrays[len(self.handles) :]
        given = [self.kind(x) for x in inputs]
        with replaced(self.handles, values), tape.Scoped(False, self.training), invoke.drawing_from(key) as drawn:
            with (
                self.place,
                _entered(),
                array.watched() as read,
                statistics.noted() as shares,
                _attributes_kept(self.blocks, self.handles) as attributes,
            ):
                output = self.block.forward(*jax.tree.unflatten(self.tree, given))
                found = attributes()
            now = [handle.value for handle in self.handles]
            if new := [x for x in read() if not isinstance(x.value, jax.core.Tracer)]:
                self.passes += 1
                if self.passes <= _MOST_PASSES:
                    raise _Found(new)
        self.attributes = [(block, name) for block, name, _ in found]
        self.watched = [*self.attributes, *self.slots.values()]
        self.missing = self._missing()
        leaves, self.output = jax.tree.flatten((output, [value for *_, value in found]))
        self.changed = [i for i, (old, new) in enumerate(zip(values, now, strict=True)) if old is not new]
        self.shares = {i: shares[id(self.handles[i])] for i in self.changed if id(self.handles[i]) in shares}
        outputs = [leaf.value if isinstance(leaf, NDArray) else jax.numpy.asarray(leaf) for leaf in leaves]
        return outputs, [now[i] for i in self.changed], bool(drawn())

    def _symbols(self, symbols: Sequence[Any]) -> list[Any]:
        """The outputs for symbols of all arrays: of the block's operators if they are few, or of one node."""
        given = dict(enumerate(symbols[len(self.handles) :]))
        names = [f'data{i}' for i in given]
        inputs = jax.tree.unflatten(self.tree, [symbol.var(name) for name in names])
        graph = symbol.Group(jax.tree.leaves(self.block(*inputs)))
        known = dict(zip(names, given.values(), strict=True))
        if sum(not node.is_variable for node in graph.nodes) <= self.block.inline_limit:
            return list(graph(**known))
        node = subgraph.whole(naming.next_name('_CachedOp'), graph.heads, {k: v.heads[0] for k, v in known.items()})
        return list(symbol.Symbol([Entry(node, i) for i in range(len(graph))]))

    def _missing(self) -> tuple[bool, ...]:
        values = [vars(block).get(name, self) for block, name in self.watched]
        return tuple(value is None or (isinstance(value, dict | list) and not value) for value in values)

    def _admit(self, handles: list[NDArray]) -> None:
        """Makes arrays inputs; of an attribute, whatever array it is at a call."""
        for i, handle in enumerate(handles, len(self.handles)):
            slots = [(each, name) for each in self.blocks for name, value in vars(each).items() if value is handle]
            if len(slots) == 1:
                self.slots[i] = slots[0]
        self.handles += handles

    def __call__(self, inputs: list[NDArray], parameters: list[NDArray]) -> Any:
        if self.watched and (missing := self._missing()) != self.missing:  # `forward` may take another branch
            if missing not in self.others:
                made = Traced(self.block, self.blocks, list(parameters), self.tree, self.kind, self.context)
                self.others[missing] = made
            return self.others[missing](inputs, parameters)
        self.handles[: len(parameters)] = parameters  # which are others once initialized again, or moved
        for i, (block, name) in self.slots.items():
            if isinstance(value := vars(block).get(name), NDArray):
                self.handles[i] = value
        tracked = [handle.tracked for handle in [*self.handles, *inputs]]
        try:
            outputs, updates = self.keyed(tracked)
        except _Found as found:
            self._admit(found.handles)
            self.keyed = invoke.Keyed(self.block.name, self._function, self._symbols, large=True)
            return self(inputs, parameters)
        new = dict(zip(self.changed, updates, strict=True))
        for i in self.changed:
            if i not in self.shares:
                self.handles[i].assign(Tracked(new[i]))
        states = [self.handles[i] for i in self.shares]
        statistics.change([y.entry for y in outputs], states, [new[i] for i in self.shares], list(self.shares.values()))
        shared = self.shared or (inputs[0].shared if inputs else None)
        output, values = jax.tree.unflatten(self.output, [self.kind(*output, None, shared) for output in outputs])
        for (block, name), value in zip(self.attributes, values, strict=True):
            object.__setattr__(block, name, value)
        return output


@contextlib.contextmanager
def _entered() -> Iterator[None]:
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def _holds_results(value: Any, handles: set[int]) -> bool:
    """Whether a value, or one in lists and dicts, is an array that the program makes."""
    if isinstance(value, NDArray):
        return id(value) not in handles and isinstance(value.value, jax.core.Tracer)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(_holds_results(item, handles) for item in items)


@contextlib.contextmanager
def _attributes_kept(blocks: Sequence[Any], handles: Sequence[NDArray]) -> Iterator[Any]:
    """A `with` block after which attributes are what they were; gives what finds those that were set to arrays."""
    before, numbers = [(each, dict(vars(each))) for each in blocks], {id(handle) for handle in handles}

    def found() -> list[tuple[Any, str, Any]]:
        return [
            (each, name, value)
            for each, _ in before
            for name, value in vars(each).items()
            if name != '_reg_params' and _holds_results(value, numbers)
        ]

    try:
        yield found
    finally:
        for each, attributes in before:
            vars(each).clear()
            vars(each).update(attributes)


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
