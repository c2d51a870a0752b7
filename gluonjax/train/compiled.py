"""CompiledStep: the pure step, compiled for one network, on the values that lie in its Parameters.

A step gathers the Parameters' arrays, donates them, and stores what it returns in one list, which the next step goes on
from; whoever reads or writes a value in between puts the results into the Parameters first (`ref.settle`). The compiled
call and the storing of all that it returns pass through C alone (`_donation`), so that Ctrl-C or an exception from
another thread finds the network and the Trainer after a whole step. The first call for a kind of batch traces, and so
runs Python after its computation: it is handed copies, and the old values stay whole until all is done.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import compress, islice, starmap
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gluonjax.data.batching import padded, rows_of
from gluonjax.errors import BatchMaskError, DataError, TransformationError
from gluonjax.layer import leaves_of
from gluonjax.metric.pure import PureMetric
from gluonjax.parameter import Parameter, commit, is_traced
from gluonjax.ref import LATEST, UNSETTLED, WRITTEN, Ref, Values, read, settle, write
from gluonjax.structure import Structure
from gluonjax.train.batch import Batch
from gluonjax.train.layout import Layout, first_of_equals, refined
from gluonjax.train.results import Results, StepCount
from gluonjax.train.sharding import Placement, moved
from gluonjax.train.state import Totals, TrainState
from gluonjax.train.step import TrainStep
from gluonjax.tree import flatten, nest

Drawn = Mapping[Parameter, jax.Array]
_handed_out: Callable[[Parameter], bool] = operator.attrgetter('handed_out')
_sharding: Callable[[jax.Array], jax.sharding.Sharding] = operator.attrgetter('sharding')
_kind_of_array: Callable[[Any], tuple[Any, ...]] = operator.attrgetter('__class__', 'shape', 'dtype')
NOTHING: Drawn = MappingProxyType({})
MOST_RESULTS = 10_000  # before arrays are gathered anew
LARGE = 1024  # numbers; what has fewer is copied before the first step


class Outcome(NamedTuple):
    """Where a step leaves what is neither in the network nor in the state.

    Attributes:
        loss: the mean loss of the last step.
        steps: how many steps were done.
        compiled: the CompiledStep that did the last one.
        output: what the network returned in the last step, if that was to be kept.
    """

    loss: Ref
    steps: StepCount
    compiled: Ref
    output: Ref


class _Untraced(Exception):
    """There is no program for this kind of batch yet, and it must not be traced on arrays that are donated."""


class CompiledStep:
    """The compiled step of one network, and the part of the training state that is not in the network.

    Whoever calls it holds the lock.

    Args:
        structure: the network.
        step: the pure step of its definition.
        outcome: where each step leaves its results.
    """

    def __init__(self, structure: Structure, step: TrainStep, outcome: Outcome):
        self.structure: Structure = structure
        self.step: TrainStep = step
        self.outcome: Outcome = outcome
        self.metrics: dict[str, PureMetric] = {}
        self.output: Any = None  # the shapes of the network's output, if somebody asks for them
        self.inputs: int = 0  # how many, by position
        self.rows: int = 0  # of the largest batch
        self.maskable: bool = True  # whether smaller ones can be filled up
        self.array_type: type | None = None  # of JAX's arrays, if steps on a tuple of them may run in C alone
        self.donates: bool = True  # not if the network calls Python, which may fail, and has JAX run Python afterwards
        self.is_new: bool = False  # whether the state is made again if the next step fails, and nobody else holds it
        self.own: tuple[Ref, ...] = ()  # leaves of the state that a step replaces
        self.fixed: Values = ()  # and leaves that it only reads
        self.located: list[Any] = []  # the shardings of the values, when they were gathered
        self.written: object = None  # of `WRITTEN`, when the shardings were read
        self._may_trace = False

    # The state.

    def inspect_batch(self, params: Mapping[str, Any], batch: Batch, key: jax.Array) -> None:
        """Infers what metrics and the check of labels need from the first batch, and checks its labels."""
        self.inputs = len(batch.inputs)
        if self.step.metrics or self.step.checks_labels:
            self.output = self.step.output_shapes(params, batch, key)
            self.metrics = {name: m.for_batch(batch.label, self.output) for name, m in self.step.metrics.items()}
        self.check_labels(batch)

    def check_labels(self, batch: Batch) -> None:
        """Refuses labels that the loss does not take."""
        if self.output is not None:
            self.step.check_labels(self.output, batch.label)

    def initial_state(self, key: jax.Array, params: Mapping[str, Any], batch: Any) -> TrainState:
        """The first state, on these params."""
        return self.step.init(key, batch, params=params)

    def begin(self, state: TrainState, batch: Any) -> None:
        """Finds out which arrays a step replaces, and holds what of this state is not in the network."""
        self.impl: Any = jax.random.key_impl(state.key)
        params = flatten(state.params)
        self.tree: Any  # how they lie in the state
        leaves, self.tree = jax.tree.flatten(_in_numbers(state))
        values, names = [params[name] for name in self.structure.names], self.structure.names
        first = first_of_equals(_in_numbers(state))
        while True:
            moves, same = self._probe(values, leaves, first, batch)
            if same == first:
                break
            first = same
        self.moves: list[bool] = moves[: len(names)]
        self.moving: tuple[Parameter, ...] = tuple(
            p for p, moves in zip(self.structure.parameters, self.moves, strict=True) if moves
        )
        self.frozen: tuple[Parameter, ...] = tuple(
            p for p, moves in zip(self.structure.parameters, self.moves, strict=True) if not moves
        )
        self.layout: Layout = Layout(leaves, moves[len(names) :], first)
        self.own = tuple(Ref() for _ in self.layout.split(leaves)[0])
        self._hold(leaves)
        self.groups: tuple[tuple[Parameter, ...], tuple[Ref, ...], tuple[Parameter, ...], Values] = (
            self.moving,
            self.own,
            self.frozen,
            self.fixed,
        )
        self.replaced: tuple[Ref, ...] = *self.moving, *self.own
        # Those that keep no output, and those that do, by the kind of batch: the last used first, several if they
        # depend on JAX's settings. Each is a `jax.jit` of its own: one that was called on another kind of batch, and
        # refused to trace, would run Python around each computation on such batches ever after.
        self.kinds: dict[bool, dict[Any, list[Callable[..., Values]]]] = {False: {}, True: {}}
        self.programs: dict[Any, list[Callable[..., Values]]] = {}
        self.keep_output(False)

    def keep_output(self, keep: bool) -> None:
        """Whether the steps that follow leave what the network returned in the outcome."""
        if self.programs is self.kinds[keep]:
            return
        settle()
        outputs = (self.outcome.output,) if keep else ()
        self.returned: tuple[Ref, ...] = (*self.replaced, self.outcome.loss, *outputs)
        self.programs = self.kinds[keep]

    def _compiled(self, keep: bool) -> Callable[..., Values]:
        return jax.jit(functools.partial(self._program, keep), donate_argnums=self._donated_positions())

    def _donated_positions(self) -> tuple[int, ...]:
        return tuple(range(len(self.replaced) if self.donates else 0))

    def _hold(self, leaves: Sequence[Any]) -> None:
        (words, *moving), self.fixed = self.layout.split(leaves)
        write(self.own, (self._placed(words), *moving))

    def _placed(self, words: Any) -> jax.Array:
        return jnp.array(words)

    def state(self) -> TrainState:
        """The state without params, its key in numbers. What is small waits; the next step donates what is large."""
        words, *moving = read(self.own)
        return self.tree.unflatten(self.layout.join((np.asarray(words), *moving), self.fixed))

    def change_state(self, change: Callable[[TrainState], TrainState]) -> None:
        """Puts what `change` makes of the state in its place, without waiting."""
        self._hold(jax.tree.leaves(change(self.tree.unflatten(self.layout.join(read(self.own), self.fixed)))))

    def reset_metrics(self) -> None:
        """Lets metrics, and the sum of losses, begin again."""
        metrics = {name: metric.init() for name, metric in self.metrics.items()}
        self._hold(jax.tree.leaves(self.state()._replace(metrics=metrics, totals=Totals.zero())))

    def copy_of_state(self) -> TrainState:
        """The state without params, for somebody who keeps it."""
        leaves = self.layout.join(read(self.own), self.fixed)
        state = self.tree.unflatten([copied(leaf) for leaf in leaves])
        return state._replace(key=jax.random.wrap_key_data(state.key, impl=self.impl))

    def replace_state(self, state: TrainState) -> bool:
        """Holds a copy of another state, if it is of the same kind; says whether it is."""
        state, now = _in_numbers(state), self.state()
        leaves = jax.tree.leaves(state)
        same = jax.tree.structure(state) == jax.tree.structure(now) and all(
            (old.shape, old.dtype) == (np.shape(new), jnp.result_type(new))
            for new, old in zip(leaves, jax.tree.leaves(now), strict=True)
        )
        same = same and self.layout.holds(leaves)
        if same:
            self._hold([copied(leaf) for leaf in leaves])
        return same

    def release(self) -> None:
        """Gives up its arrays, as another compiled step goes on; `replace_state` hands it others."""
        for ref in self.own[1:]:
            ref.current = jax.ShapeDtypeStruct(ref.current.shape, ref.current.dtype)
        self.fixed = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in self.fixed)

    # Steps.

    def step_of_any_size(self, batch: Any, pad: bool, drawn: Drawn = NOTHING) -> jax.Array:
        """One step on any batch.

        Args:
            batch: as people write it.
            pad: whether a batch that is smaller than those before, or does not divide over devices, is filled up.
            drawn: values that the network does not have yet; they are committed if the step succeeds.

        Returns:
            The loss.

        Raises:
            DataError: for a batch without samples.
        """
        rows = rows_of(batch)
        if rows == 0:
            raise DataError('a batch without samples', expected='one or more', got=jax.tree.map(np.shape, batch))
        rows = rows or 0  # of arrays whose first axes differ nothing is known
        most = self.dividing(max(rows, self.rows))
        if pad and self.maskable and 0 < rows < most:
            try:
                filled, mask = padded(batch, most)
                loss = self._step(filled, drawn, mask)
                self.rows = most
                return loss
            except BatchMaskError:
                self.maskable = False
        loss = self._step(batch, drawn)
        self.rows = max(self.rows, rows)
        arrays = isinstance(batch, tuple) and all(isinstance(leaf, jax.Array) for leaf in batch)
        self.array_type = type(loss) if arrays and not pad else None
        return loss

    def dividing(self, rows: int) -> int:
        """How many rows a batch is filled up to, so that it divides over devices."""
        return rows

    def _step(self, batch: Any, drawn: Drawn, *mask: np.ndarray) -> jax.Array:
        if not drawn and self.outcome.compiled.stored is self:
            loss = self.donate((batch, *mask))
            if loss is not None:
                return loss
        return self._trace((batch, *mask), drawn)

    def gather(self) -> None:
        """Makes what is to be donated private, and reads what is only read; it holds until something is changed.

        Steps that follow leave what they return in Results, until somebody reads or writes a Ref.
        """
        settle()
        latest, moved = LATEST.stored, self.written is not WRITTEN.stored  # or may be
        make_private(self.moving)
        self.written = WRITTEN.stored
        self.rest: Values = (*read(self.frozen), *self.fixed)
        results = Results(self.returned, self.outcome.steps)
        if moved:
            located = list(map(_sharding, (*results.gathered[: len(self.moving)], *self.rest)))
            moved = located != self.located
            self.located = located
        self.donate: Callable[[tuple[Any, ...]], jax.Array | None] = self._donation(results)
        if not moved and self.donates and not _CONFIG.jax_debug_nans:  # else JAX runs Python after the computation
            results.begin(latest)

    def _donation(self, results: Results) -> Callable[[tuple[Any, ...]], jax.Array | None]:
        """What makes one step on JAX arrays: a batch and maybe its mask.

        It donates what a step replaces, and returns the loss; None if somebody has read or written a Ref since the last
        step, or there is no program for such a batch. The compiled call and the storing of what it returns run in C,
        with nothing in between; the arguments live until all is stored, as an array that dies lets other threads run.
        A step of a small network is so short that attributes and frames count.
        """
        items, rest, count = results.items, self.rest, len(self.replaced)
        array, unsettled = type(items[-1][count]), UNSETTLED
        programs = self.programs
        only = next(iter(programs.values())) if len(programs) == 1 else None

        def donate(batch: tuple[Any, ...]) -> jax.Array | None:
            values = items[-1]
            for run in only or programs.get(_kind(batch), ()):
                step = starmap(run, ((*values[:count], *rest, *batch),))  # it does not run yet
                if unsettled.stored is not results or items[-1] is not values:  # a handler of signals may read or step
                    return None
                try:
                    items.extend(step)
                except _Untraced:
                    continue
                finally:
                    loss = items[-1][count]
                    traced = type(loss) is not array and isinstance(loss, Tracer)
                    if traced:
                        items.pop()
                if traced:
                    raise inside_transformation()
                items[-2] = None
                if len(items) > MOST_RESULTS:
                    self.gather()
                return loss
            return None

        return donate

    def takes(self, arguments: tuple[Any, ...]) -> bool:
        """Whether a step on these may run in C alone, if there is a program for it."""
        return all(type(leaf) is self.array_type for leaf in arguments)

    def _trace(self, batch: tuple[Any, ...], drawn: Drawn) -> jax.Array:
        """One step on a batch of a new kind, and maybe its mask, on copies."""
        refuse_transformation(batch)
        known = dict(zip(self.structure.parameters, self.structure.values(drawn), strict=True))
        self._follow(known.values())
        replaced = *(known[p] for p in self.moving), *read(self.own)
        copies = self._copied(replaced) if self.donates else replaced
        try:
            results = self._run((*copies, *(known[p] for p in self.frozen), *self.fixed, *batch), batch)
        finally:
            self.is_new = False
        commit(drawn, handed_out=False)
        refs = *self.returned, self.outcome.steps, self.outcome.compiled
        write(refs, (*results, self.outcome.steps.current + 1, self))
        for parameter in self.moving:
            parameter.handed_out = False
        self.gather()
        return results[len(self.replaced)]

    def _follow(self, values: Iterable[jax.Array]) -> None:
        """Takes the state off the device that it is bound to, if the network was moved to another."""
        words = self.own[0].current
        here = words.sharding.device_set
        if words.committed and any(value.committed and value.sharding.device_set != here for value in values):
            leaves = self.layout.join(read(self.own), self.fixed)
            self._hold([jnp.array(np.asarray(leaf)) for leaf in leaves])

    def _run(self, arguments: tuple[Any, ...], batch: tuple[Any, ...]) -> Values:
        """Runs a program for this kind of batch; one is traced if there is none."""
        kind = _kind(batch)
        known = self.programs.get(kind, [])
        for run in known:
            try:
                results = run(*arguments)
            except _Untraced:
                continue
            break
        else:
            run, self._may_trace = self._compiled(self.programs is self.kinds[True]), True
            try:
                results = run(*arguments)
            finally:
                self._may_trace = False
        self.programs[kind] = [run, *(other for other in known if other is not run)]
        return results

    def _copied(self, values: Values) -> Values:
        """Copies, but of what is large in a state that is made again if this step fails."""
        own = [self.is_new and i >= len(self.moving) for i in range(len(values))]
        kept = [mine and value.size >= LARGE and not value.weak_type for mine, value in zip(own, values, strict=True)]
        copies = iter(self._copies_of(values, [not keep for keep in kept]))
        return tuple(value if keep else next(copies) for value, keep in zip(values, kept, strict=True))

    def _copies_of(self, values: Values, chosen: Sequence[bool]) -> Values:
        return _copies(tuple(compress(values, chosen)))

    # The program.

    def _program(self, keep: bool, *arguments: Any) -> Values:
        """From what is donated, what is only read, a batch and its mask: what replaces the donated, and the loss.

        The network's output comes last, if it is to be kept.
        """
        if not self._may_trace:
            raise _Untraced
        given = {id(leaf) for leaf in jax.tree.leaves(arguments)}

        def settled(new: Any, old: Any) -> jax.Array:
            """In the old dtype, and an array of its own: what is returned as it came would be somebody else's."""
            new = jax.lax.convert_element_type(new, old.dtype)
            return jnp.copy(new) if id(new) in given else new

        rest = iter(arguments)
        moving, own, frozen, fixed = (tuple(islice(rest, len(refs))) for refs in self.groups)
        movers, stayers = iter(moving), iter(frozen)
        values = [next(movers if moves else stayers) for moves in self.moves]
        leaves = self.layout.join(own, fixed)
        new_values, new_leaves, loss, output = self._next(values, leaves, *rest)
        results = [settled(new, old) for new, old, moves in zip(new_values, values, self.moves, strict=True) if moves]
        new_leaves = [settled(new, old) for new, old in zip(new_leaves, leaves, strict=True)]
        kept = [jax.tree.map(lambda leaf: settled(leaf, leaf), output)] if keep else []
        return (*results, *self.layout.split(new_leaves)[0], settled(loss, loss), *kept)

    def _next(self, values: Sequence[Any], leaves: Sequence[Any], batch: Any, mask: Any = None):
        """The values and the other leaves of the state after a step, its loss and the network's output."""
        old = self.tree.unflatten(leaves)
        key = jax.random.wrap_key_data(old.key, impl=self.impl)
        params = nest(dict(zip(self.structure.names, values, strict=True)))
        new, metrics, output = self.step.with_output(old._replace(params=params, key=key), batch, mask)
        params = flatten(new.params)
        new = new._replace(params={}, key=old.key if new.key is key else jax.random.key_data(new.key))
        return [params[name] for name in self.structure.names], jax.tree.leaves(new), metrics['loss'], output

    def _probe(
        self, values: Sequence[Any], leaves: Sequence[Any], first: Sequence[int], batch: Any
    ) -> tuple[list[bool], list[int]]:
        """Which values, and which other leaves of the state, a step replaces; and which leaves it keeps equal."""
        moves: list[bool] = []
        same: list[int] = []

        def probe(values, leaves, batch):
            leaves = [leaves[i] for i in first]
            new_values, new_leaves, loss, _ = self._next(values, leaves, batch)
            pairs = zip([*new_values, *new_leaves], [*values, *leaves], strict=True)
            moves.extend(new is not old for new, old in pairs)
            same.extend(refined(first, new_leaves))
            return loss

        jaxpr = jax.make_jaxpr(probe)(list(values), list(leaves), batch)
        self.donates = not _calls_python(jaxpr.jaxpr)
        return moves, same


class ShardedStep(CompiledStep):
    """The step over the devices of a mesh: values and state stay where they belong, batches are brought there."""

    def __init__(self, structure: Structure, step: TrainStep, outcome: Outcome, placement: Placement):
        super().__init__(structure, step, outcome)
        self.placement: Placement = placement
        self._first: tuple[TrainState, Callable[..., TrainState]] | None = None  # where it is, and what makes it

    def initial_state(self, key: jax.Array, params: Mapping[str, Any], batch: Any) -> TrainState:
        """The first state, made where it belongs; its params are moved there."""
        where, rest = self._first = self._first or self._make_first(key, params, batch)
        params = moved(params, where.params)
        return rest(key, params)._replace(params=params)

    def _make_first(
        self, key: jax.Array, params: Mapping[str, Any], batch: Any
    ) -> tuple[TrainState, Callable[..., TrainState]]:
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)), batch)

        def begin(key, params):
            return self.step.init(key, shapes, params=params)

        where = self._places(jax.eval_shape(begin, key, params))
        rest = jax.jit(lambda *args: begin(*args)._replace(params={}), out_shardings=where._replace(params={}))
        return where, rest

    def begin(self, state: TrainState, batch: Any) -> None:
        """As a CompiledStep does, with all that it holds where it belongs, and stays."""
        where = self._places(state)
        places = flatten(where.params)
        self.places: dict[Parameter, Any] = {
            p: places[name] for name, p in zip(self.structure.names, self.structure.parameters, strict=True)
        }
        self.own_places: list[Any] = jax.tree.leaves(where._replace(params={}))
        super().begin(moved(state, where), batch)
        own = self.placement.everywhere, *self.layout.select(self.own_places)[0]
        self.donated_places: Values = (*map(self.places.get, self.moving), *own)

    def _compiled(self, keep: bool) -> Callable[..., Values]:
        places = *self.donated_places, self.placement.everywhere, *([None] if keep else [])
        program = functools.partial(self._program, keep)
        return jax.jit(program, donate_argnums=self._donated_positions(), out_shardings=places)

    def _hold(self, leaves: Sequence[Any]) -> None:
        super()._hold(moved(list(leaves), self.own_places))

    def _placed(self, words: Any) -> jax.Array:
        return jax.device_put(words, self.placement.everywhere)

    def dividing(self, rows: int) -> int:
        """As many as divide over the devices for batches."""
        return self.placement.dividing(rows)

    def gather(self) -> None:
        """As a CompiledStep does, once all values are where they belong."""
        self._place_values()
        super().gather()

    def _donation(self, results: Results) -> Callable[[tuple[Any, ...]], jax.Array | None]:
        donate = super()._donation(results)
        return lambda batch: donate(self.placement.batch(batch))

    def _trace(self, batch: tuple[Any, ...], drawn: Drawn) -> jax.Array:
        refuse_transformation(batch)
        self._place_values()
        return super()._trace(self.placement.batch(batch), drawn)

    def _place_values(self) -> None:
        """Brings to where they belong the values that somebody has set."""
        for parameter, place in self.places.items():
            if parameter.current is not None and parameter.current.sharding != place:
                parameter.current = jax.device_put(parameter.current, place)

    def _follow(self, values: Iterable[jax.Array]) -> None:
        """Nothing, as all is brought to where it belongs."""

    def _copies_of(self, values: Values, chosen: Sequence[bool]) -> Values:
        values, places = (tuple(compress(each, chosen)) for each in (values, self.donated_places))
        return _copies(moved(values, places), places)

    def _places(self, state: TrainState) -> TrainState:
        return self.placement.state(state, leaves_of(self.structure.definition))


def _in_numbers(state: TrainState) -> TrainState:
    """The state without params, and with its key in numbers."""
    return state._replace(params={}, key=jax.random.key_data(state.key))


def _kind(batch: tuple[Any, ...]) -> Any:
    """What a program is made for: how a batch and its mask lie in each other, their types, shapes and dtypes."""
    first, *mask = batch
    if type(first) is tuple:
        try:  # most are a tuple of arrays, and a step is short
            return len(first), *map(_kind_of_array, (*first, *mask))
        except AttributeError:
            pass
    leaves, tree = jax.tree.flatten(batch)
    return tree, *((type(leaf), np.shape(leaf), getattr(leaf, 'dtype', None)) for leaf in leaves)


def _calls_python(jaxpr: Any) -> bool:
    """Whether a program has callbacks, those of programs in it among them."""
    if jaxpr.effects:  # `jax.debug.print` has
        return True
    for equation in jaxpr.eqns:
        inner = [one for value in equation.params.values() for one in (value if type(value) is tuple else (value,))]
        if 'callback' in equation.primitive.name or any(hasattr(one, 'eqns') and _calls_python(one) for one in inner):
            return True
    return False


def _copies(values: Values, places: Any = None) -> Values:
    """Copies, without weak types; no program is compiled for them."""
    strong = tuple(jax.lax.convert_element_type(v, v.dtype) if getattr(v, 'weak_type', False) else v for v in values)
    return jax.device_put(strong, places, may_alias=False)


_CONFIG: Any = jax.config  # a type checker does not know its settings


def make_private(parameters: Collection[Parameter]) -> None:
    """Copies the arrays that were handed out, so that all may be donated. Hold the lock until they are."""
    for parameter in compress(parameters, map(_handed_out, parameters)):
        parameter.stored = _copy_of(parameter.stored)
        parameter.handed_out = False


_copy_of: Callable[[Any], jax.Array] = jax.jit(jnp.copy)


def copied(array: Any) -> jax.Array:
    """A copy; of numbers, inside somebody's trace too."""
    with jax.ensure_compile_time_eval():
        return _copy_of(array)


def refuse_transformation(batch: Any) -> None:
    """Refuses a step inside `jit`, `grad` and the like, whose results would be tracers."""
    if is_traced((batch, jnp.zeros(()))):
        raise inside_transformation()


def inside_transformation() -> TransformationError:
    """The error of a step whose results would be tracers."""
    return TransformationError(
        'trainer.step keeps what it computes, and cannot inside a transformation (jit, grad, vmap, ...)',
        remedy='make_step(net, loss, optimizer) is the pure step(state, batch) -> (state, metrics)',
    )
