"""CompiledStep: the compiled step of one network, and the state that it holds from one step to the next."""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.data.batching import padded, rows_of
from gluonjax.errors import BatchMaskError, DataError, TransformationError
from gluonjax.layer import leaves_of
from gluonjax.structure import Structure
from gluonjax.train.sharding import Placement, moved
from gluonjax.train.step import State, Step, parts
from gluonjax.tree import flatten


class CompiledStep:
    """The step of one network, compiled, on flat leaves: what moves is donated, what is only read is not returned."""

    def __init__(self, structure: Structure, step: Step):
        self.structure, self.step, self.lent = structure, step, False
        self.shape, self.rows, self.maskable = None, 0, True  # of the first input, of the batch
        self.moves: list[int] | None = None
        self.moving: tuple[jax.Array, ...] = ()
        self.fixed: tuple[jax.Array, ...] = ()
        self.run = jax.jit(self._flat, donate_argnums=0)

    def fresh(self, key, params, batch) -> State:
        """The first state, on these params."""
        return self.step.init(key, batch, params=params)

    def copied(self, state: State) -> State:
        """The state in arrays of its own, so that nobody else's are donated."""
        return _copied(state)

    def take(self, state: State, batch) -> None:
        """Holds a state, whose arrays are nobody else's."""
        self.impl = jax.random.key_impl(state.key)
        leaves, self.tree = jax.tree.flatten(state._replace(key=jax.random.key_data(state.key)))
        if self.moves is None:
            self.moves = self._moves(leaves, batch)
        self._hold(leaves)

    def _hold(self, leaves) -> None:
        moves = set(self.moves or ())
        self.moving = tuple(leaf for i, leaf in enumerate(leaves) if i in moves)
        self.fixed = tuple(leaf for i, leaf in enumerate(leaves) if i not in moves)

    def state(self) -> State:
        """The state that it holds."""
        state = self.peek()
        return state._replace(key=jax.random.wrap_key_data(state.key, impl=self.impl))

    def peek(self) -> State:
        """The state that it holds, with the key in numbers."""
        return self.tree.unflatten(self._joined(self.moving, self.fixed))

    def change(self, changed: Callable[[State], State]) -> None:
        """Puts what `changed` makes of the state in its place."""
        self._hold(jax.tree.leaves(changed(self.peek())))

    def look_at(self, params, batch) -> None:
        """Completes the metrics by a first batch, and checks its labels, where somebody asks for that."""
        self.metrics, self.output = {}, None
        if self.step.metrics or self.step.checks_labels:
            inputs, named, label = parts(batch)
            self.output = jax.eval_shape(self.step.infer, flatten(params), inputs, named)
            self.metrics = {name: metric.for_batch(label, self.output) for name, metric in self.step.metrics.items()}
        self.check_labels(batch)

    def check_labels(self, batch) -> None:
        """Refuses labels that the loss does not take."""
        if self.output is not None:
            self.step.check_labels(self.output, parts(batch)[2])

    def advance(self, *batch) -> jax.Array:
        """One step on a batch, and maybe its mask."""
        moving, value = self.run(self.moving, self.fixed, *batch)
        if isinstance(value, jax.core.Tracer):
            raise TransformationError(
                'trainer.step keeps what it computes, and cannot inside a transformation (jit, grad, vmap, ...)',
                remedy='make_step(net, loss, optimizer) is the pure step(state, batch) -> (state, metrics)',
            )
        self.moving = moving
        return value

    def step_of_any_size(self, batch, pad: bool) -> jax.Array:
        """One step on a batch that may be smaller than those before."""
        parts(batch)  # refuses what is no batch
        rows = rows_of(batch)
        if rows == 0:
            raise DataError('a batch without samples', expected='one or more', got=jax.tree.map(np.shape, batch))
        rows = rows or 0  # of arrays whose first axes differ nothing is known
        if pad and self.maskable and 0 < rows < self.rows:
            try:
                return self.advance(*padded(batch, self.rows))
            except BatchMaskError:
                self.maskable = False
        value = self.advance(batch)
        if rows >= self.rows:
            self.rows, self.shape = rows, jax.tree.leaves(batch)[0].shape
        return value

    def _flat(self, moving, fixed, batch, mask=None):
        leaves = self._joined(moving, fixed)
        news, value = self._next(leaves, batch, mask)
        return tuple(jax.lax.convert_element_type(news[i], leaves[i].dtype) for i in self.moves or ()), value

    def _next(self, leaves, batch, mask=None):
        old = self.tree.unflatten(leaves)
        key = jax.random.wrap_key_data(old.key, impl=self.impl)
        new, metrics = self.step(old._replace(key=key), batch, mask)
        new = new._replace(key=old.key if new.key is key else jax.random.key_data(new.key))
        return jax.tree.leaves(new), metrics['loss']

    def _moves(self, leaves, batch) -> list[int]:
        moves: list[int] = []

        def probe(leaves, batch):
            news, value = self._next(leaves, batch)
            moves.extend(i for i, (new, old) in enumerate(zip(news, leaves, strict=True)) if new is not old)
            return value

        jax.eval_shape(probe, leaves, batch)
        return moves

    def _joined(self, moving, fixed) -> list[Any]:
        places, moving, fixed = set(self.moves or ()), iter(moving), iter(fixed)
        return [next(moving if i in places else fixed) for i in range(self.tree.num_leaves)]


class ShardedStep(CompiledStep):
    """The step over the devices of a mesh: the state stays where it belongs, batches are brought there."""

    def __init__(self, structure: Structure, step: Step, placement: Placement):
        super().__init__(structure, step)
        self.placement = placement
        self.where: list[Any] | None = None  # of each leaf, once there is a state

    def fresh(self, key, params, batch) -> State:
        """The first state, made where it belongs."""
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), jnp.result_type(leaf)), batch)

        def begin(key, params):
            return self.step.init(key, shapes, params=params)

        where = self._places(jax.eval_shape(begin, key, params))
        params = moved(params, where.params)
        rest = jax.jit(lambda *args: begin(*args)._replace(params={}), out_shardings=where._replace(params={}))
        return rest(key, params)._replace(params=params)

    def copied(self, state: State) -> State:
        """The state in arrays of its own, where they belong."""
        where = self._places(state)
        return jax.jit(_copy, out_shardings=where)(moved(state, where))

    def _hold(self, leaves) -> None:
        """Where the leaves were at first, there the steps leave them, and there they stay."""
        if self.where is None:
            self.where = [leaf.sharding for leaf in leaves]
            moving = tuple(self.where[i] for i in self.moves or ())
            self.run = jax.jit(self._flat, donate_argnums=0, out_shardings=(moving, self.placement.everywhere))
        super()._hold(moved(leaves, self.where))

    def advance(self, *batch) -> jax.Array:
        """One step on a batch, which is cut along its first axis."""
        return super().advance(*self.placement.batch(batch))

    def _places(self, state: State) -> State:
        return self.placement.state(state, leaves_of(self.structure.definition))


def _copy(state):
    """The state in arrays of its own, without weak types, so that nobody else's are donated."""
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(jnp.copy(leaf), leaf.dtype), state)


_copied = jax.jit(_copy)
