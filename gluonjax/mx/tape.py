"""The tape: which operations were recorded, and their gradients.

Each operation is a `Program`: a pure function of arrays that is compiled once for each shape, alone, or together with
`jax.vjp`, whose residuals it then returns; what pulls cotangents back through it is one more compiled program. Values
on the tape are `Tracked`: an array, and the output of a `Node` that it is.
"""

from __future__ import annotations

import contextvars
import functools
import heapq
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple

import jax
import jax.core
import jax.numpy as jnp

from gluonjax.errors import ArgumentError, GluonError, TransformationError
from gluonjax.mx.host import Rare
from gluonjax.mx.jitted import Jitted, filled

Arrays = Sequence[jax.Array]
# Arrays and a random key (or None) -> outputs, and new values of auxiliary states.
Function = Callable[[Any, Any], tuple[list[jax.Array], list[jax.Array]]]


class Scope(NamedTuple):
    """Whether operations are recorded, and whether they train."""

    recording: bool = False
    training: bool = False


_NEITHER = Scope()
_SCOPE: contextvars.ContextVar[Scope] = contextvars.ContextVar('scope', default=_NEITHER)


def scope() -> Scope:
    """That of the innermost `with` block of this thread or task."""
    return _SCOPE.get()


def enter(recording: bool | None, training: bool | None) -> Scope:
    """Sets the scope from here on; None leaves what is. Returns what was."""
    before = _SCOPE.get()
    changes = {'recording': recording, 'training': training}
    _SCOPE.set(before._replace(**{name: bool(value) for name, value in changes.items() if value is not None}))
    return before


class Scoped:
    """A `with` block of another scope; it may be entered again."""

    def __init__(self, recording: bool | None, training: bool | None):
        self.wanted: tuple[bool | None, bool | None] = (recording, training)
        self.before: list[Scope] = []

    def __enter__(self) -> None:
        self.before.append(enter(*self.wanted))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        _SCOPE.set(self.before.pop())
        return False


_NUMBERS = itertools.count()


class Node:
    """A recorded operation.

    Args:
        name: what errors call it.
        inputs: its inputs.
        wanted: the numbers of those whose gradients are wanted.
        outputs: what its outputs are like.
        pull: from the cotangents of the differentiable outputs to those of the wanted inputs.
        program: by which gradients of gradients are taken; None if they cannot be.
        key: of its random numbers.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Tracked],
        wanted: tuple[int, ...],
        outputs: Arrays,
        pull: Callable[[list[jax.Array]], Arrays],
        program: Program | None = None,
        key: Any = None,
    ):
        self.number: int = next(_NUMBERS)
        self.name: str = name
        self.wanted: tuple[int, ...] = wanted
        self.program: Program | None = program
        self.key: Any = key
        self.inputs: Sequence[Tracked] = inputs
        self.pull: Callable[[list[jax.Array]], Arrays] | None = pull
        self.actions: list[Callable[[], None]] = []  # after its gradient was taken
        self.outputs: list[tuple[tuple[int, ...], Any, bool]] = [(y.shape, y.dtype, is_inexact(y)) for y in outputs]

    def release(self) -> None:
        """Forgets what it needs for a gradient."""
        self.pull, self.inputs, self.key, self.actions = None, (), None, []


class Leaf(Node):
    """A variable: what `attach_grad` makes of an array.

    Args:
        grad: the array that its gradient is written into.
        request: 'write', 'add' or 'null'.
    """

    def __init__(self, grad: Any, request: str):
        super().__init__('variable', (), (), (), lambda cotangents: ())
        if request not in ('write', 'add', 'null'):
            raise ArgumentError(f"grad_req must be 'write', 'add' or 'null', got {request!r}")
        self.grad: Any = grad
        self.request: str = request


class Entry(NamedTuple):
    """One output of a node."""

    node: Node
    index: int


class Tracked(NamedTuple):
    """An array, and the output of a node that it is; None if nothing was recorded."""

    array: jax.Array
    entry: Entry | None = None

    @property
    def is_recorded(self) -> bool:
        """Whether it is on the tape: what `backward` released is a constant from then on, as in MXNet."""
        return self.entry is not None and self.entry.node.pull is not None


def is_inexact(array: Any) -> bool:
    """Whether it has gradients."""
    dtype = array.dtype
    found = _INEXACT.get(dtype)
    if found is None:
        found = _INEXACT[dtype] = bool(jnp.issubdtype(dtype, jnp.inexact))
    return found


_INEXACT: dict[Any, bool] = {}


class Program:
    """A pure function of arrays, compiled: alone, or with what its gradient needs.

    Args:
        name: what errors call it.
        function: of the arrays and a random key, to outputs and new values of auxiliary states.
        of_numpy: the same of arrays of NumPy, to outputs of the same bits, or None; for shapes that are seen rarely.
        origin: what makes it in a graph, or None: an operator and its attributes (None where its second input is the
            number of its attribute `scalar`), or a function from symbols of its inputs to those of its outputs.
        large: whether it is of many operations.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        of_numpy: Callable[[Any], Any] | None = None,
        origin: Any = None,
        large: bool = False,
    ):
        self.large: bool = large
        self.name: str = name
        self.origin: Any = origin
        self.function: Function = function
        self._recorded: dict[tuple[int, ...], Callable[..., Any]] = {}
        self._pulls: dict[tuple[int, ...], Program] = {}
        self.rare: Rare = Rare(function, of_numpy)

    @functools.cached_property
    def plain(self) -> Jitted:
        """The program alone."""
        return Jitted(self.function, self.large)

    def recorded(
        self, wanted: tuple[int, ...], arrays: Arrays, key: Any
    ) -> tuple[list[jax.Array], list[jax.Array], Pulled]:
        """The outputs, new values of auxiliary states, and what pulls cotangents back to the wanted inputs."""
        if wanted not in self._recorded:

            def function(arrays: Arrays, key: Any) -> Any:
                outputs, updates, pull = self._with_pull(wanted, arrays, key)
                residuals, tree = jax.tree.flatten(pull)
                return outputs, updates, Pulled(residuals, _pull_of(tree, self.large))

            self._recorded[wanted] = Jitted(function, self.large)
        return self._recorded[wanted](arrays, key)

    def _with_pull(self, wanted: tuple[int, ...], arrays: Arrays, key: Any) -> Any:
        def chosen(*some: jax.Array) -> Any:
            values = list(arrays)
            for number, value in zip(wanted, some, strict=True):
                values[number] = value
            outputs, updates = self.function(values, key)
            return [y for y in outputs if is_inexact(y)], (outputs, updates)

        _, pull, (outputs, updates) = jax.vjp(chosen, *[arrays[number] for number in wanted], has_aux=True)
        return outputs, updates, pull

    def pull(self, wanted: tuple[int, ...], inputs: int) -> Program:
        """The program from inputs and cotangents to the gradients: an operation that can itself be recorded."""
        if wanted not in self._pulls:

            def gradients(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
                pull = self._with_pull(wanted, arrays[:inputs], key)[2]
                return list(pull(list(arrays[inputs:]))), []

            self._pulls[wanted] = Program(f'the gradient of {self.name}', gradients)
        return self._pulls[wanted]


class Pulled:
    """What a recorded operation keeps for its gradient: arrays, and the program from them and cotangents.

    Programs return it, and run it on plain lists: a `jax.vjp` is a tree of classes, slow to take apart in each call.
    """

    __slots__ = ('program', 'residuals')

    def __init__(self, residuals: list[jax.Array], program: Callable[[list[jax.Array], list[jax.Array]], Arrays]):
        self.residuals: list[jax.Array] = residuals
        self.program: Callable[[list[jax.Array], list[jax.Array]], Arrays] = program

    def __call__(self, cotangents: list[jax.Array]) -> Arrays:
        return self.program(self.residuals, cotangents)


jax.tree_util.register_pytree_node(
    Pulled, lambda x: ((x.residuals,), x.program), lambda aux, parts: Pulled(*parts, aux)
)


def _pull_of(tree: Any, large: bool) -> Callable[[list[jax.Array], list[jax.Array]], Arrays]:
    return Jitted(lambda residuals, cotangents: jax.tree.unflatten(tree, residuals)(cotangents), large)


OBSERVERS: list[Callable[[str, float, float], None]] = []  # are told of each operation: its name, begin and end


def call(program: Program, inputs: Sequence[Tracked], key: Any = None) -> tuple[list[Tracked], list[jax.Array]]:
    """The outputs, and new values of auxiliary states; recorded if the scope is, and an input is on the tape."""
    if OBSERVERS:
        return _observed(program, inputs, key)
    arrays = [x.array for x in inputs]
    wanted: tuple[int, ...] = ()
    if _SCOPE.get().recording:
        wanted = tuple(i for i, x in enumerate(inputs) if x.is_recorded and is_inexact(x.array))
    if not wanted:
        rare = program.rare
        if key is None and not rare.is_hot and (rare.of_numpy is not None or program.plain.shapes()):
            found = rare(arrays)
            if found is not None:
                return [Tracked(y) for y in found], []
        outputs, updates = program.plain(arrays, key)
        return [Tracked(y) for y in outputs], updates
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        raise TransformationError(
            f'{program.name} would be recorded inside a transformation of JAX (jit, vmap, scan, ...)',
            remedy='take gradients by jax.grad there, or record outside of it',
        )
    outputs, updates, pull = program.recorded(wanted, arrays, key)
    return attach(Node(program.name, list(inputs), wanted, outputs, pull, program, key), outputs), updates


def _observed(program: Program, inputs: Sequence[Tracked], key: Any) -> tuple[list[Tracked], list[jax.Array]]:
    """`call`, and waits for the outputs."""
    observers, OBSERVERS[:] = OBSERVERS[:], []
    try:
        began = time.perf_counter()
        outputs, updates = call(program, inputs, key)
        jax.block_until_ready([output.array for output in outputs])
        for observer in observers:
            observer(program.name, began, time.perf_counter())
    finally:
        OBSERVERS[:] = observers
    return outputs, updates


def attach(node: Node, outputs: Arrays) -> list[Tracked]:
    """The outputs of a node; those without gradients, as integers, are on no tape."""
    return [Tracked(y, Entry(node, i) if is_inexact(y) else None) for i, y in enumerate(outputs)]


ADD = Program('add', lambda arrays, key: ([arrays[0] + arrays[1]], []))


def differentiate(
    heads: Sequence[Tracked],
    cotangents: Sequence[Tracked],
    kept: frozenset[Entry],
    retain_graph: bool,
    create_graph: bool,
) -> Mapping[Entry, Tracked]:
    """The gradients of all variables that the heads depend on, and of the entries that are to be kept.

    Raises:
        ArgumentError: if a head is on no tape.
        GluonError: if the tape is already released.
    """
    sums: dict[Entry, Tracked] = {}
    queue: dict[int, Node] = {}
    numbers: list[int] = []

    def add(entry: Entry, cotangent: Tracked) -> None:
        sums[entry] = call(ADD, [sums[entry], cotangent])[0][0] if entry in sums else cotangent
        if entry.node.number not in queue:
            queue[entry.node.number] = entry.node
            heapq.heappush(numbers, -entry.node.number)

    for head, cotangent in zip(heads, cotangents, strict=True):
        if head.entry is None:
            remedy = 'compute it under autograd.record(), from arrays after attach_grad()'
            raise ArgumentError('what is differentiated was not recorded', remedy=remedy)
        add(head.entry, cotangent)
    visited = []
    while numbers:
        node = queue[-heapq.heappop(numbers)]
        if not isinstance(node, Leaf):
            visited.append(node)
            for number, gradient in zip(node.wanted, _pulled(node, sums, kept, create_graph), strict=True):
                entry = node.inputs[number].entry
                if entry is not None:
                    add(entry, gradient)
            for action in node.actions:
                action()
    if not retain_graph:
        for node in visited:
            node.release()
    return sums


def _pulled(node: Node, sums: dict[Entry, Tracked], kept: frozenset[Entry], create_graph: bool) -> list[Tracked]:
    """The gradients of the wanted inputs of a node, from those of its outputs."""
    if node.pull is None:
        remedy = 'backward(retain_graph=True) the first time'
        raise GluonError(f'the tape of {node.name} is already released by backward', remedy=remedy)
    cotangents = []
    for index, (shape, dtype, inexact) in enumerate(node.outputs):
        if inexact:
            entry = Entry(node, index)
            found = sums.get(entry) if entry in kept else sums.pop(entry, None)
            cotangents.append(Tracked(filled(shape, 0, dtype)) if found is None else found)
    if not create_graph:
        return [Tracked(g) for g in node.pull([cotangent.array for cotangent in cotangents])]
    if node.program is None:
        raise GluonError(f'{node.name} has no gradient of its gradient', remedy='create_graph=False')
    pull = node.program.pull(node.wanted, len(node.inputs))
    return call(pull, [*node.inputs, *cotangents], node.key)[0]


def run_backward(
    heads: Sequence[Tracked], cotangents: Sequence[Tracked], retain_graph: bool = False, training: bool = True
) -> None:
    """Writes the gradients of all variables into their arrays, or adds them."""
    with Scoped(False, training):
        for entry, gradient in differentiate(heads, cotangents, frozenset(), retain_graph, False).items():
            leaf = entry.node
            if isinstance(leaf, Leaf) and leaf.request != 'null':
                old = leaf.grad.value
                new = gradient.array if gradient.array.dtype == old.dtype else gradient.array.astype(old.dtype)
                leaf.grad.assign(Tracked(old + new if leaf.request == 'add' else new))
