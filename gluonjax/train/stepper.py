"""Stepper: a network, a loss and an optimizer, as one compiled step, and the state that steps change.

The step is the pure one of `train.step`. The values are in the network's Parameters, always; what else a step changes
(the optimizer's state, the random key, sums of metrics and losses) is in the `CompiledStep`.
"""

from __future__ import annotations

import dataclasses
import inspect
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Never

import jax
import jax.numpy as jnp

from gluonjax import checks, failures
from gluonjax import optimizer as optimizers
from gluonjax.arrays import admit
from gluonjax.block import Block, structure_of
from gluonjax.data.batching import rows_of
from gluonjax.errors import ArgumentError, FrozenError, GluonError, KeywordError
from gluonjax.hints import missing
from gluonjax.layer import Layer, layers_of, leaves_of
from gluonjax.lazy import entry_points, explain, explains_itself, suggests_keywords
from gluonjax.messages import no_match
from gluonjax.metric import DeviceMetric
from gluonjax.metric.composite import parts_of
from gluonjax.optimizer.base import of_whole_names
from gluonjax.optimizer.state import parameter_of
from gluonjax.parameter import LOCK, ParameterDict, commit, hand_out, is_traced, key_or_next
from gluonjax.placement import mesh_of_explicit_axes, refuse_explicit_context
from gluonjax.ref import Ref
from gluonjax.snapshot import Snapshot
from gluonjax.structure import Structure
from gluonjax.train import saving
from gluonjax.train.batch import Batch, checked_carry, most_inputs
from gluonjax.train.compiled import (
    CompiledStep,
    Outcome,
    ShardedStep,
    inside_transformation,
    refuse_transformation,
)
from gluonjax.train.evaluate import Inference
from gluonjax.train.history import FitState
from gluonjax.train.losses import LossLike
from gluonjax.train.results import StepCount, settle_steps
from gluonjax.train.selection import training_only
from gluonjax.train.sharding import Placement, Rules, moved
from gluonjax.train.state import Totals, TrainState
from gluonjax.train.step import Precision, Remat, TrainStep, make_optimizer, make_step
from gluonjax.tree import flatten, matches, nest

LastBatch = Literal['pad', 'keep', 'discard']


_FIXED = ('net', 'loss', 'optimizer', 'last_batch')
_NO_EFFECT = frozenset({'options', 'lr', 'lr_scheduler', 'scheduler', 'momentum', 'wd', 'weight_decay', 'rescale_grad'})


@entry_points
class Stepper:
    """The steps of a `Trainer` and its state. `Trainer` says what the arguments are."""

    @suggests_keywords
    def __init__(
        self,
        net: Block,
        loss: LossLike,
        optimizer: Any = 'sgd',
        optimizer_params: Mapping[str, Any] | None = None,
        *,
        key: Any = None,
        last_batch: LastBatch = 'keep',
        mesh: jax.sharding.Mesh | None = None,
        data_axis: str | tuple[str, ...] = 'data',
        sharding: Rules | None = None,
        optimizer_sharding: Rules | None = None,
        sequence_axis: str | None = None,
        metrics: Sequence[Any] = (),
        clip_global_norm: float | None = None,
        accumulate: int = 1,
        micro_batches: int = 1,
        precision: Precision | None = None,
        average: float | None = None,
        remat: Remat = False,
        skip_nonfinite: bool = False,
        train: str | None = None,
        carry: Any = None,
        lr_mult: Mapping[str, float] | None = None,
        wd_mult: Mapping[str, float] | None = None,
    ):
        checks.one_of('last_batch', last_batch, ('pad', 'keep', 'discard'))
        self.net: Block = _network(net)
        self.loss: LossLike = loss
        self.last_batch: LastBatch = last_batch
        self.optimizer: Any = make_optimizer(optimizer, optimizer_params)
        self._options: dict[str, Any] = {
            'metrics': metrics,
            'clip_global_norm': clip_global_norm,
            'accumulate': accumulate,
            'micro_batches': micro_batches,
            'precision': precision,
            'average': average,
            'remat': remat,
            'skip_nonfinite': skip_nonfinite,
            'train': train,
            'carry': checked_carry(carry),
            'lr_mult': lr_mult,
            'wd_mult': wd_mult,
        }
        make_step(net, loss, self.optimizer, **self._options)  # refuses now what it would refuse at the first step
        self.placement: Placement | None = _placement(net, mesh, data_axis, sharding, optimizer_sharding, sequence_axis)
        if self.pads:
            _check_padding(loss, self.net, carry)
        with key_or_next(key) as key:
            self._key = key
        self._seed: list[int] | None = None  # what orders of samples are drawn from: the first key, once asked for
        self._learning_rate: float | None = None  # what was set before there was a state
        self._state: TrainState | None = None  # without params; what the next program goes on from
        self._rows = 0  # of the largest batch before this Trainer was restored
        self._dormant: dict[str, jax.Array] = {}  # what the optimizer keeps of parameters that are frozen
        self._fit_state = FitState()
        self._begin()

    def _begin(self) -> None:
        self._loss = Ref()
        self.step_count: StepCount = StepCount(0)
        self.compiled_step: Ref = Ref()
        self._outcome = Outcome(self._loss, self.step_count, self.compiled_step, Ref())
        weakref.finalize(self, settle_steps, self.step_count).atexit = False
        self._inferences: tuple[Any, dict[Any, Inference]] = None, {}  # of which network; by the metrics
        # The compiled steps of one network, by what of it is trained, and how fast; and what tells that it is that one.
        self._compiled: dict[Any, CompiledStep] = {}
        self._network: Any = None

    def __repr__(self) -> str:
        return f'Trainer({type(self.net).__name__}, {self.loss!r}, {self.optimizer!r}{self._repr_of_trained()})'

    def _repr_of_trained(self) -> str:
        pattern = self._options['train']
        if pattern is None:
            return ''
        leaves = leaves_of(training_only(self.net.definition, pattern))
        count = sum(leaf.param.trainable for leaf in leaves)
        return f', train={pattern!r}: {count} of {len(leaves)} parameters'

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and name in vars(self):
            raise FrozenError(
                f'a Trainer keeps the {name} that it was made with',
                remedy=f'other = Trainer(...) with another {name}; other.state = trainer.state goes on from here',
            )
        if '_network' in vars(self) and name not in vars(self) and name[0] != '_':  # of a Trainer that is made
            self._check_known(name)
        if name == 'learning_rate':
            raise FrozenError('a learning rate is not assigned', remedy='trainer.set_learning_rate(0.01)')
        declared = getattr(type(self), name, None)
        unassignable = isinstance(declared, property) and declared.fset is None
        if unassignable or (callable(declared) and not callable(value)):  # methods may be replaced by functions
            raise FrozenError(f'{name!r} of a Trainer cannot be assigned', remedy=f'read trainer.{name}, or call it')
        object.__setattr__(self, name, value)

    def _check_known(self, name: str) -> None:
        """Refuses to assign what would have no effect; a class of somebody's own may have other attributes."""
        if type(self).__module__.partition('.')[0] != 'gluonjax' or hasattr(type(self), name):
            return
        if name in inspect.signature(type(self)).parameters or name in _NO_EFFECT:
            remedy = 'other = gluonjax.Trainer(...) with it; other.state = trainer.state goes on from here'
            raise FrozenError(f'a Trainer keeps the {name} that it was made with', remedy=remedy)

    if not TYPE_CHECKING:  # to type checkers, a misspelt name is an error

        def __getattr__(self, name: str) -> Any:
            """Reached for attributes that are not there."""
            if name.startswith('_'):
                raise AttributeError(name)
            raise missing(type(self).__name__, name, 'a Trainer', dir(type(self)))

    def __getstate__(self) -> dict[str, Any]:
        with LOCK, jax.ensure_compile_time_eval():
            kept = {name: value for name, value in vars(self).items() if name not in _MADE_AGAIN}
            kept |= {'_state': saving.packed_key(self.copy_of_state()), '_key': saving.key_in_numbers(self._key)}
            return kept | {'_rows': self.largest_batch(), 'steps': self.steps, 'values': Snapshot(self.net)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        steps, state, key, _ = (kept.pop(name, None) for name in ('steps', '_state', '_key', 'values'))
        vars(self).update(kept)
        self._begin()
        self.step_count.current = steps
        self._state, self._key = saving.unpacked_key(state), saving.key_of_numbers(key)

    # Steps.

    @property
    def steps(self) -> int:
        """How many steps were done."""
        return self.step_count.current

    @explains_itself
    def step(self, *batch: Any, **named: Never) -> jax.Array:
        """One step on a batch: `step(x, y)`, `step(x1, x2, y)`, or a dict of inputs by name with 'label' among them.

        Of a network with one input, `step(x, y1, y2)` has two labels, as `step(x, (y1, y2))` has.

        Returns:
            The mean loss over the samples, before the update: a float32 scalar on the device. Nothing waits for it.
            It is nan if a sample has a label that the loss does not take; that sample has no gradient.

        Raises:
            UninitializedError: if `net.initialize()` was not called.
            ShapeError: if the loss is not one number for each sample, or shapes do not fit. Nothing is changed.
        """
        outcome = self._outcome  # each attribute of a class with __getattr__ takes long
        try:
            with LOCK:
                compiled = outcome.compiled.stored
                if not named and compiled is not None:
                    array_type = compiled.array_type
                    for leaf in batch:  # `compiled.takes(batch)`, without its frames
                        if type(leaf) is not array_type:
                            break
                    else:
                        loss = compiled.donate((batch,))
                        if loss is not None:
                            return loss
                _refuse_named(named)
                return self._step(batch)
        except Exception as error:
            self._explain(error, batch)
            explain(error, Stepper.step, (self, *batch))
            raise

    def _explain(self, error: Exception, arguments: tuple[Any, ...]) -> None:
        """Says of what error a step failed, if that was one of devices or of somebody's callback."""
        if not isinstance(error, GluonError):
            failures.explain(self.net, error, self.batch_of(as_batch(arguments)))

    def step_with_output(self, *batch: Any, **named: Never) -> tuple[jax.Array, Any]:
        """One step, as `step` makes it.

        Returns:
            The mean loss, and what the network returned in this very step: in training, and before the update. `step`
            computes the same, and does not keep it; the first step of the one kind after the other is compiled.

        Raises:
            As `step` does.

        >>> from gluonjax import Trainer, loss, nn
        >>> net = nn.Sequential(nn.Dense(3))
        >>> net.initialize(key=0)
        >>> value, output = Trainer(net, loss.L2Loss()).step_with_output(jnp.ones((4, 2)), jnp.ones((4, 3)))
        >>> output.shape
        (4, 3)
        """
        _refuse_named(named)
        with LOCK:
            try:
                self._step(batch, output=True)
            except Exception as error:
                self._explain(error, batch)
                raise
            else:
                output, self._outcome.output.current = self._outcome.output.current, None
            finally:
                if self.compiled_step.stored is not None:
                    self.compiled_step.stored.keep_output(False)
            return self._loss.current, self._without_padding(output, as_batch(batch))

    def _without_padding(self, output: Any, batch: Any) -> Any:
        rows = rows_of(batch)
        if not (rows and self.pads and rows < self.largest_batch()):
            return output
        return jax.tree.map(lambda leaf: leaf[:rows], output)

    def _step(self, arguments: tuple[Any, ...], output: bool = False) -> jax.Array:
        """A step after something was changed, or on another kind of batch, or one that keeps its output."""
        compiled = self.compiled_step.stored
        if compiled is None or compiled.structure is not structure_of(self.net):
            return self._first_step(admit(as_batch(arguments), 'batch'), output)
        arrays = compiled.takes(arguments)
        if not arrays and is_traced(arguments):  # in `grad` or `vmap` the step would run, and its results be tracers
            raise inside_transformation()
        compiled.keep_output(output)
        compiled.gather()
        if arrays:
            loss = compiled.donate((arguments,))
            if loss is not None:
                return loss
        batch = admit(as_batch(arguments), 'batch')
        self.batch_of(batch)  # refuses what is no batch
        return compiled.step_of_any_size(batch, self.pads)

    def _first_step(self, batch: Any, output: bool) -> jax.Array:
        """The first step after the network was made or its structure changed."""
        structure, parts = structure_of(self.net), self.batch_of(batch)
        refuse_transformation(batch)
        if mesh_of_explicit_axes(batch) is not None:
            refuse_explicit_context()
        drawn = self._draw_missing(structure, parts)
        params = nest(dict(zip(structure.names, structure.values(drawn), strict=True)))
        before, old = self.compiled_step.stored, self.copy_of_state()
        compiled = self._make_compiled(structure, params, batch, old)
        compiled.keep_output(output)
        compiled.is_new = old is None
        frozen = [leaf.name for leaf in leaves_of(compiled.step.layer) if not leaf.param.trainable]
        dormant = {} if old is None else saving.dormant(old, self._dormant, frozen, structure.names)
        self._dormant = {**self._dormant, **dormant}  # now, as an interrupt may come right after the step
        loss = compiled.step_of_any_size(batch, self.pads, drawn)
        self._dormant = dormant
        if before is not None and before is not compiled:
            before.release()
        return loss

    def prepare(self, *batch: Any) -> None:
        """Makes the program for such batches, if there is none, without a step."""
        refuse_transformation(batch)
        with LOCK:
            if self.compiled_step.stored is None:
                batch = as_batch(batch)
                params = nest(self.values_for(self.batch_of(batch)))
                structure, old = structure_of(self.net), self.copy_of_state()
                self.compiled_step.current = self._make_compiled(structure, params, batch, old)

    @property
    def pads(self) -> bool:
        """Whether smaller batches are filled up."""
        return self.last_batch == 'pad'

    def batch_of(self, batch: Any) -> Batch:
        """A batch taken apart, as the network and the loss take it."""
        return Batch.of(batch, most_inputs(self.net.definition, self.first_carry))

    @property
    def first_carry(self) -> Any:
        """What the network carries from batch to batch, as it was given; None if nothing."""
        return self._options['carry']

    def reset_carry(self) -> None:
        """Has the next batch begin with the carry that was given, as `fit` does in each epoch."""
        if self.first_carry is None:
            return

        def begin_again(state: TrainState) -> TrainState:
            return state._replace(carry=jax.tree.map(jnp.array, self.first_carry))

        with LOCK, jax.ensure_compile_time_eval():
            compiled = self.compiled_step.stored
            if compiled is not None:
                compiled.change_state(begin_again)
            elif self._state is not None:
                self._state = begin_again(self._state)

    @property
    def given_metrics(self) -> Any:
        """The metrics as they were given."""
        return self._options['metrics']

    def _draw_missing(self, structure: Structure, batch: Batch) -> dict[Any, jax.Array]:
        place = None if self.placement is None else self.placement.params
        return structure.draw_missing(batch.with_carry(self.first_carry).inputs, batch.named, place)

    def _make_compiled(
        self, structure: Structure, params: dict[str, Any], batch: Any, old: TrainState | None
    ) -> CompiledStep:
        """The compiled step of the network as it is now, with the state as it goes on."""
        if self._network is not structure.programs:
            self._network, self._compiled = structure.programs, {}
        kind = tuple((leaf.param.trainable, p.grad_req, p.lr_mult, p.wd_mult) for leaf, p in structure.entries)
        known = self._compiled.get(kind)
        if known is not None and old is not None:
            state = saving.continued(known.initial_state(self._key, params, batch), old, self._dormant)
            if known.replace_state(state):
                known.structure = structure
                known.check_labels(self.batch_of(batch))
                return known
        step = self.make_pure_step(structure)
        if self.placement is None:
            compiled = CompiledStep(structure, step, self._outcome)
        else:
            compiled = ShardedStep(structure, step, self._outcome, self.placement)
        compiled.inspect_batch(params, self.batch_of(batch), self._key)
        compiled.rows = self._rows
        state = compiled.initial_state(self._key, params, batch)
        if old is not None:
            state = saving.continued(state, old, self._dormant)
        elif self._learning_rate is not None:
            state = _with_rate(state, self._learning_rate)
        compiled.begin(state, batch)
        self._compiled[kind] = compiled
        return compiled

    def make_pure_step(self, structure: Structure) -> TrainStep:
        """The pure step of the network as it is now."""
        if adding := [leaf.name for leaf, parameter in structure.entries if parameter.grad_req == 'add']:
            raise ArgumentError(
                f"grad_req='add' of {adding} asks for gradients that are added up over calls",
                remedy='Trainer(..., accumulate=n) moves after n steps, by their mean gradient',
            )
        definition = training_only(structure.definition, self._options['train'])
        by_name = structure.parameters_by_name()
        parameters = {leaf.name: by_name[leaf.name] for leaf in leaves_of(definition) if leaf.param.trainable}
        rates = {name: parameter.lr_mult for name, parameter in parameters.items() if parameter.lr_mult != 1}
        decays = {name: parameter.wd_mult for name, parameter in parameters.items() if parameter.wd_mult != 1}
        options: dict[str, Any] = {
            **self._options,
            'lr_mult': of_whole_names(rates) | dict(self._options['lr_mult'] or {}),
            'wd_mult': of_whole_names(decays) | dict(self._options['wd_mult'] or {}),
        }
        step = make_step(structure.definition, self.loss, self.optimizer, **options)
        if self.placement is None or not (self.placement.rules or self.placement.sequence_axis):
            return step
        return dataclasses.replace(step, placed=self.placement.activations)

    def change_options(self, **options: Any) -> None:
        """Changes options of the step (metrics, skip_nonfinite); it is compiled again if they differ from before."""
        with LOCK:
            changed = make_step(self.net, self.loss, self.optimizer, **{**self._options, **options})
            before = make_step(self.net, self.loss, self.optimizer, **self._options)
            self._options = {**self._options, **options}
            if (changed.metrics, changed.guarded) != (before.metrics, before.guarded):
                self._forget_compiled(self.copy_of_state())

    def _forget_compiled(self, state: TrainState | None) -> None:
        """The next step is compiled, and goes on from this state."""
        self._rows = self.largest_batch()
        self._state, self._compiled = state, {}
        self.compiled_step.current = None

    # The state.

    def _held(self) -> TrainState | None:
        """The state without params, whose arrays the next step may donate; what is small waits."""
        compiled = self.compiled_step.stored
        return self._state if compiled is None else compiled.state()

    def copy_of_state(self) -> TrainState | None:
        """The state in arrays that no step donates; None before the first."""
        compiled = self.compiled_step.stored
        with jax.ensure_compile_time_eval():
            return self._state if compiled is None else compiled.copy_of_state()

    @property
    def state(self) -> TrainState | None:
        """Everything that steps change, as `make_step` has it; None before the first step. It may be assigned."""
        with LOCK:
            state = self.copy_of_state()
            return None if state is None else state._replace(params=self.net.params)

    @state.setter
    def state(self, state: TrainState) -> None:
        if not isinstance(state, TrainState):
            raise ArgumentError('this is no state of a Trainer', expected='a TrainState', got=type(state).__name__)
        with LOCK, jax.ensure_compile_time_eval():
            state = admit(state, 'state')
            self.net.params = state.params
            self.go_on_from(state._replace(params={}, totals=Totals.zero() if state.totals is None else state.totals))

    def go_on_from(self, state: TrainState, dormant: dict[str, Any] | None = None) -> None:
        """Has the next step go on from a state, and from what the optimizer keeps of frozen parameters."""
        self._dormant = dormant or {}
        compiled = self.compiled_step.stored
        if compiled is None or not compiled.replace_state(state):
            self._forget_compiled(state)

    @property
    def metrics(self) -> dict[str, Any]:
        """The values of the metrics since they were reset; `fit` resets them in each epoch. It waits for the device."""
        with LOCK:
            compiled = self.compiled_step.stored
            if compiled is None:
                return {}
            states = jax.device_get(compiled.state().metrics)
            return {name: metric.result(states[name]) for name, metric in compiled.metrics.items()}

    def update_metrics(self) -> None:
        """Has the metric objects that it was given tell what they are now, as `metrics` does; `fit` calls it."""
        parts = parts_of(self._options['metrics'])
        objects = {name: metric for name, (metric, _) in parts.items() if isinstance(metric, DeviceMetric)}
        with LOCK:
            compiled = self.compiled_step.stored
            if objects and compiled is not None:
                states = jax.device_get(compiled.state().metrics)
                for name, metric in objects.items():
                    metric.take(compiled.metrics[name], states[name])

    @property
    def totals(self) -> Totals:
        """The sums of losses and samples since the metrics were reset. It waits for the device."""
        with LOCK:
            state = self._held()
            return Totals() if state is None else Totals.of(state)

    def reset_metrics(self) -> None:
        """Lets the metrics begin again, and the sum of the losses that `fit` shows."""
        with LOCK, jax.ensure_compile_time_eval():
            compiled = self.compiled_step.stored
            if compiled is not None:
                compiled.reset_metrics()
            elif self._state is not None:  # the next program makes them
                self._state = self._state._replace(metrics={}, totals=Totals.zero())

    @property
    def skipped(self) -> int | None:
        """How many steps changed nothing, as they were not finite; None unless such steps are skipped."""
        with LOCK:
            state = self._held()
            return None if state is None or state.skipped is None else int(state.skipped)

    @property
    def scales_loss(self) -> bool:
        """Whether the loss is scaled, as with float16, where steps that overflow change nothing."""
        return self._options['precision'] == 'float16'

    @property
    def learning_rate(self) -> float:
        """The learning rate: with a number, that of the next step; with a schedule, that of the last step, as in MXNet.

        Before the first step a schedule tells its rate of 0. Reading it waits for the device.

        Raises:
            ArgumentError: if the optimizer keeps none in its state.
        """
        with LOCK:
            state = self._held()
            if state is None and self._learning_rate is not None:
                return self._learning_rate
            return float(optimizers.find_learning_rate(state.optimizer if state else self.optimizer.init({})))

    def set_learning_rate(self, value: float) -> None:
        """Sets the learning rate from the next step on; nothing compiles again.

        Raises:
            ArgumentError: if a schedule sets it, the optimizer keeps none in its state, or it is no number from 0 on.
        """
        checks.number('the learning rate', value, least=0)
        with LOCK, jax.ensure_compile_time_eval():
            compiled = self.compiled_step.stored
            if compiled is not None:
                compiled.change_state(lambda state: _with_rate(state, value))
            elif self._state is not None:
                self._state = _with_rate(self._state, value)
            else:
                optimizers.with_learning_rate(self.optimizer.init({}), value)  # refuses what cannot be set
                self._learning_rate = float(value)

    def reset_optimizer(self, select: str | None = None) -> None:
        """Begins again with the optimizer's state of chosen parameters, as for parameters that were drawn again.

        What the optimizer keeps of no parameter, such as a count of steps, begins again without `select` only.

        Args:
            select: a pattern (`re.match` on names); all parameters without one.

        Raises:
            PatternError: if nothing matches `select`.
        """
        with LOCK, jax.ensure_compile_time_eval():
            state, compiled = self.state, self.compiled_step.stored
            if state is None or compiled is None:
                return
            leaves = leaves_of(compiled.structure.definition)
            chosen = {leaf.name for leaf in leaves if select is None or matches(select, leaf.names)}
            if not chosen:
                raise no_match(str(select), leaves)
            fresh = compiled.step.optimizer.init(compiled.step.layer.partition(state.params)[0])
            names = list(flatten(state.params))

            def begin_again(path: Any, new: Any, old: Any) -> Any:
                return new if select is None or parameter_of(path, names) in chosen else old

            optimizer = jax.tree_util.tree_map_with_path(begin_again, fresh, state.optimizer)
            others = [name for name in names if select is not None and name not in chosen]
            dormant = saving.of_parameters(self._dormant, others, names)
            self.go_on_from(state._replace(params={}, optimizer=optimizer), dormant)

    @property
    def average(self) -> dict[str, Any]:
        """The params with the moving average in place of the trainable ones, for `net.apply`.

        Raises:
            ArgumentError: if the Trainer keeps none.
        """
        state = self.state
        if state is None or state.average is None:
            raise ArgumentError(
                'this Trainer keeps no average', remedy='Trainer(..., average=0.999); it begins with the first step'
            )
        values = {**flatten(state.params), **flatten(state.average)}
        return nest({name: values[name] for name in structure_of(self.net).names})

    @property
    def skips_nonfinite(self) -> bool:
        """Whether a step whose loss or gradient is not finite changes nothing."""
        return self._options['skip_nonfinite']

    def find_nonfinite(self, *batch: Any) -> str | None:
        """Where a step on this batch would meet what is not finite; labels that the loss does not take are refused."""
        compiled, state = self.compiled_step.stored, self.state
        if state is None or compiled is None:
            return None
        self.check_labels(*batch)
        return compiled.step.find_nonfinite(state, self.batch_of(as_batch(batch)))

    def check_labels(self, *batch: Any) -> None:
        """Refuses labels that the loss does not take; before the first step, which looks itself, it does nothing.

        Raises:
            DataError: naming one such label.
        """
        if self.compiled_step.stored is not None:
            self.compiled_step.stored.check_labels(self.batch_of(as_batch(batch)))

    def values_for(self, batch: Batch) -> dict[str, Any]:
        """The network's values of one moment, by name; shapes that are unknown are inferred from the batch."""
        with LOCK:
            structure = structure_of(self.net)
            commit(self._draw_missing(structure, batch), handed_out=False)
            for parameter in structure.parameters:
                parameter.check_not_donated()
            hand_out(structure.parameters)
            values = dict(zip(structure.names, structure.values(), strict=True))
            if self.placement is None:
                return values
            placed = moved(values, self.placement.params(leaves_of(structure.definition)))
            commit(structure.by_name({name: value for name, value in placed.items() if value is not values[name]}))
            return placed

    def largest_batch(self) -> int:
        """The number of samples that smaller batches are filled up to."""
        compiled = self.compiled_step.stored
        return self._rows if compiled is None else compiled.rows


# What a copy of a Trainer makes for itself.
_MADE_AGAIN = frozenset({'_outcome', '_loss', 'step_count', 'compiled_step', '_inferences', '_compiled', '_network'})


def _placement(
    net: Block,
    mesh: jax.sharding.Mesh | None,
    data_axis: str | tuple[str, ...],
    rules: Rules | None,
    optimizer_rules: Rules | None,
    sequence_axis: str | None,
) -> Placement | None:
    """Where arrays belong; rules that do not fit what is known of the network are refused now."""
    if mesh is None:
        if rules is optimizer_rules is sequence_axis is None:
            return None
        raise ArgumentError(
            'rules of sharding need a mesh', remedy='Trainer(..., mesh=jax.make_mesh(...), sharding={...})'
        )
    placement = Placement(mesh, data_axis, rules, optimizer_rules, sequence_axis)
    if leaves := leaves_of(net.definition):
        placement.params(leaves)
    return placement


def _check_padding(loss: Any, net: Block, carry: Any) -> None:
    """Refuses to fill batches up where a sample is known to see the others, or to be followed by one in its row."""
    if carry is not None:
        raise ArgumentError("last_batch='pad' cannot fill up rows that are carried to the next batch", got='carry=')
    losses = loss.values() if isinstance(loss, Mapping) else [loss]
    mixing = [one for one in losses if getattr(one, 'mixes_samples', False) or getattr(one, 'batch_axis', 0) != 0]
    layers = [layer for _, layer in layers_of(net.definition)]
    mixing += [
        layer for layer in layers if getattr(layer, 'layout', None) == 'TNC' or getattr(layer, 'axis', None) == 0
    ]
    if mixing:
        raise ArgumentError(
            f"last_batch='pad' would let samples see the padding: of {mixing[0]!r} the first axis is not independent",
            remedy="last_batch='keep', the default, compiles for each size of batch",
        )


def _network(net: Any) -> Block:
    if isinstance(net, ParameterDict):
        raise ArgumentError(
            'a Trainer takes the network and the loss, not the parameters',
            got='a ParameterDict',
            remedy='Trainer(net, loss, optimizer, optimizer_params); trainer.step(x, y) computes the gradients too',
        )
    if not isinstance(net, Block):
        raise ArgumentError(
            'a Trainer trains a network',
            expected='an nn.Block, such as nn.Sequential',
            got=repr(net),
            remedy='nn.Sequential(layer)' if isinstance(net, Layer) else None,
        )
    return net


def _with_rate(state: TrainState, value: float) -> TrainState:
    return state._replace(optimizer=optimizers.with_learning_rate(state.optimizer, value))


def _refuse_named(named: Mapping[str, Any]) -> None:
    if named:
        raise KeywordError(
            'a step takes the inputs and the labels by position',
            got=f'arguments named {sorted(named)}',
            remedy="trainer.step(x, y); inputs by name are a dict, trainer.step({'x': x, 'label': y})",
        )


def as_batch(arguments: tuple[Any, ...]) -> Any:
    """A batch given whole, or in parts."""
    return arguments[0] if len(arguments) == 1 else arguments
