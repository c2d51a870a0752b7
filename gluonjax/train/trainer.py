"""Trainer: a network, a loss and an optimizer, as one compiled step.

The step is the pure one of `gluonjax.step`. From one step to the next the Trainer borrows the network's values: they
lie in one flat tuple that the program takes and donates. Whoever reads a Parameter makes the Trainer give them back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from gluonjax import checks
from gluonjax import optimizer as optimizers
from gluonjax.block import Block
from gluonjax.errors import ArgumentError, CheckpointError
from gluonjax.io import checkpoint
from gluonjax.layer import Layer, leaves_of
from gluonjax.optimizer.state import parameter_of
from gluonjax.parameter import LOCK, ParameterDict, key_or_next
from gluonjax.structure import Structure
from gluonjax.train.callback import Callback
from gluonjax.train.compiled import CompiledStep, ShardedStep
from gluonjax.train.fit import Inference, evaluate, fit, number_of_inputs, predict
from gluonjax.train.history import History, Progress
from gluonjax.train.sharding import Placement, Rules, moved
from gluonjax.train.step import State, Step, Totals, make_step, parts, pure_metrics
from gluonjax.tree import flatten, matches, nest, no_match


class Trainer:
    """Trains a network: `trainer.step(x, y)` is forward, loss, backward, update, statistics and metrics in one program.

    Args:
        net: a network. Its shapes may be unknown yet; the first batch completes them.
        loss: `loss(output, label)` gives one number for each sample: one of `gluonjax.loss`, or any function.
        optimizer: a name of MXNet's, one of `gluonjax.optimizer`, or any `optax.GradientTransformation`.
        optimizer_params: arguments of an optimizer given by name.
        key: a JAX key or an int for dropout and the like; by default the next of the library's stream.
        last_batch: what becomes of a batch smaller than the one before: 'pad' fills it up with samples that do not
            count, so that nothing compiles anew for its size; 'keep' compiles for it; 'discard' makes `fit` drop it.
        mesh: a `jax.sharding.Mesh` (`jax.make_mesh`) of several devices to train on. Loss, gradients, BatchNorm's
            statistics and metrics are those of the whole batch: what one device computes, to rounding.
        data_axis: the axis of the mesh over which batches are cut, or a tuple of axes.
        sharding: rules for parameters, from patterns to `PartitionSpec`; see `gluonjax.sharding`. What no rule matches
            is on every device. What is not drawn yet (its shape waits for the first batch) is drawn in its parts, and
            no device ever holds the whole; what is drawn already is moved there in the first step.
        **options: those of `make_step`: metrics, clip_global_norm, accumulate, precision, average, remat,
            skip_nonfinite.

    Raises:
        ArgumentError: if an argument has no such value.
        PatternError: for a rule that matches no parameter.
        ShapeError: for a rule that does not fit a shape; where that is unknown yet, the first step says so.

    >>> import jax.numpy as jnp
    >>> from gluonjax import loss, nn
    >>> net = nn.Sequential(nn.Dense(8, activation='relu'), nn.Dense(3))
    >>> net.initialize(key=0)
    >>> trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'sgd', {'learning_rate': 0.5}, key=0)
    >>> x, y = jnp.eye(3), jnp.arange(3)
    >>> losses = [trainer.step(x, y) for _ in range(100)]
    >>> bool(losses[-1] < 0.1 * losses[0])
    True
    """

    def __init__(
        self,
        net: Block,
        loss: Callable,
        optimizer: Any = 'sgd',
        optimizer_params: Mapping[str, Any] | None = None,
        *,
        key=None,
        last_batch: str = 'pad',
        mesh: jax.sharding.Mesh | None = None,
        data_axis: str | tuple[str, ...] = 'data',
        sharding: Rules | None = None,
        **options,
    ):
        if last_batch not in ('pad', 'keep', 'discard'):
            raise ArgumentError('last_batch is unknown', expected="'pad', 'keep' or 'discard'", got=repr(last_batch))
        self.net, self.loss, self.last_batch, self.options = _network(net), loss, last_batch, options
        self.optimizer = optimizers.create(optimizer, **(optimizer_params or {}))
        make_step(net, loss, self.optimizer, **options)  # refuses now what it would refuse at the first step
        self._placement = _placement(net, mesh, data_axis, sharding)
        with key_or_next(key) as key:
            self._key = key
        self._learning_rate: float | None = None  # what was set before there was a state
        self._program: CompiledStep | None = None  # what was made of the network as it was at the last step
        self._state: State | None = None  # None before the first step, and while the program holds it
        self._rows = 0  # of the largest batch before this Trainer was restored
        self._inputs: int | None = None  # by position, in the steps that were done
        self.steps = 0  # how many were done
        self._progress = Progress()
        self._inferences: dict[Any, Inference] = {}  # by what they were made of; those of the last structure

    def __repr__(self) -> str:
        return f'Trainer({type(self.net).__name__}, {self.loss!r}, {self.optimizer!r})'

    # Steps.

    def step(self, *batch) -> jax.Array:
        """One step on a batch: `step(x, y)`, `step(x1, x2, y)`, or a dict of inputs by name with 'label' among them.

        Returns:
            The mean loss over the samples, before the update: a float32 scalar on the device. Nothing waits for it.
            It is nan if a sample has a label that the loss does not take; that sample has no gradient.

        Raises:
            UninitializedError: if `net.initialize()` was not called.
            ShapeError: if the loss is not one number for each sample, or shapes do not fit. Nothing is changed.
        """
        with LOCK:
            program = self._program
            if program is None or not program.lent or program.structure is not self.net._structure:
                value = self._begin(_as_batch(batch))
            elif batch and getattr(batch[0], 'shape', None) == program.shape:
                value = program.advance(batch)
            else:
                value = program.step_of_any_size(_as_batch(batch), self.last_batch != 'keep')
            self.steps += 1
            return value

    def _begin(self, batch) -> jax.Array:
        """The first step after the network was made, looked at or changed."""
        self._give_back()
        structure, (inputs, named, _) = self.net._now(), parts(batch)
        drawn = self._draw_missing(structure, inputs, named)
        params = nest(dict(zip(structure.names, structure.values(drawn), strict=True)))
        program = self._program
        if program is None or program.structure is not structure:
            program = self._make_program(structure)
            program.rows = self._rows
            program.look_at(params, batch)
        state = self._state_of(program, params, batch)
        program.take(program.copied(state), batch)
        value = program.step_of_any_size(batch, self.last_batch != 'keep')
        structure.commit(drawn)  # completes shapes, fulfils wishes
        program.lent, self._inputs = True, len(inputs)
        self._program, self._state, self._learning_rate = program, None, None
        for cell in structure.cells:
            cell._hold(None, self._give_back)
        return value

    def _prepare(self, batch) -> None:
        """Makes the program for such batches, if there is none, without a step."""
        with LOCK:
            if self._program is None:
                structure, (inputs, named, _) = self.net._now(), parts(batch)
                params = nest(self._values(inputs, named))
                program = self._make_program(structure)
                program.rows = self._rows
                program.look_at(params, batch)
                self._state = None if self._state is None else self._state_of(program, params, batch)
                self._program = program

    def _draw_missing(self, structure: Structure, inputs, named) -> dict[Any, jax.Array]:
        return structure.draw_missing(inputs, named, None if self._placement is None else self._placement.params)

    def _make_program(self, structure: Structure) -> CompiledStep:
        step = self._make_step(structure)
        return (
            CompiledStep(structure, step) if self._placement is None else ShardedStep(structure, step, self._placement)
        )

    def _make_step(self, structure: Structure) -> Step:
        cells = {leaf.name: cell for leaf, cell in structure.entries if leaf.param.trainable}
        rates = {name: cell.lr_mult for name, cell in cells.items() if cell.lr_mult != 1}
        decays = {name: cell.wd_mult for name, cell in cells.items() if cell.wd_mult != 1}
        optimizer = optimizers.with_multipliers(self.optimizer, rates, decays) if rates or decays else self.optimizer
        return make_step(structure.definition, self.loss, optimizer, **self.options)

    def _state_of(self, program: CompiledStep, params, batch) -> State:
        """The state as it goes on: with the network's values of now, and whatever of the rest still fits."""
        old = self._state
        if old is not None and program is self._program:
            return old._replace(params=params)
        fresh = program.fresh(self._key, params, batch)
        if old is not None:
            return _continued(fresh, old)
        if self._learning_rate is None:
            return fresh
        return fresh._replace(optimizer=optimizers.with_learning_rate(fresh.optimizer, self._learning_rate))

    def _give_back(self) -> None:
        """Puts the values back into the network's Parameters."""
        with LOCK:
            program = self._program
            if program is None or not program.lent:
                return
            self._state, program.lent = program.state(), False
            values = flatten(self._state.params)
            for name, cell in zip(program.structure.names, program.structure.cells, strict=True):
                cell._hold(values[name], None)

    # Many batches.

    def fit(
        self,
        train,
        validation=None,
        epochs: int = 1,
        *,
        metrics=None,
        callbacks: Sequence[Callback] | Callback = (),
        steps_per_epoch: int | None = None,
        progress: bool = True,
        prefetch: int = 2,
        resume: bool = False,
    ) -> History:
        """Trains on all batches of `train`, `epochs` times; nothing waits for the device between two steps.

        A batch is `(*inputs, label)` or a dict with 'label', in arrays of NumPy, JAX or PyTorch.

        Args:
            train: an iterable of batches, such as a list or a loader; or a function of the epoch's number (from 0)
                that returns one, so that an order can be repeated. `gluonjax.data.batches(x, y, batch_size=32)` is one.
            validation: batches to evaluate after each epoch; the same kinds.
            epochs: how many epochs more.
            metrics: those of `gluonjax.metric`, from now on; None leaves those that the Trainer has.
            callbacks: those of `gluonjax.callback`, in a list; or one.
            steps_per_epoch: how many steps an epoch has. One iterator then goes on over the epochs; a function is asked
                for each epoch.
            progress: whether to show a bar (with rich, in a terminal) or a line for each epoch.
            prefetch: how many batches are put on the device before their turn; on CPU there is no need.
            resume: goes on after an interruption, or with what `restore` brought, and ends where that call of `fit`,
                with as many epochs, would have ended. Batches that were trained on in the epoch are drawn and left out,
                so `train` begins anew. If nothing was interrupted, it is a first call.

        Returns:
            The history of all epochs of this Trainer: `history['loss']` is the mean over the samples of each epoch.

        Raises:
            DataError: for batches that cannot be trained on or end too early, or labels that the loss does not take.
            NonFiniteError: after an epoch whose mean loss is not finite; not with skip_nonfinite, where the mean is
                that of the finite ones.
            ArgumentError: if `train` is not a set of batches, or an argument has no such value.

        The network has the values after the last completed step, also if an exception or Ctrl-C is the end.

        >>> import jax.numpy as jnp
        >>> from gluonjax import data, loss, metric, nn
        >>> net = nn.Sequential(nn.Dense(3))
        >>> net.initialize(key=0)
        >>> trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'sgd', {'learning_rate': 1.0}, key=0)
        >>> batches = data.batches(jnp.eye(3), jnp.arange(3), batch_size=2, shuffle=0)
        >>> history = trainer.fit(batches, epochs=20, metrics=[metric.Accuracy()], progress=False)
        >>> history['accuracy'][-1]
        1.0
        """
        return fit(
            self,
            train,
            validation,
            epochs,
            metrics=metrics,
            callbacks=callbacks,
            steps_per_epoch=steps_per_epoch,
            progress=progress,
            prefetch=prefetch,
            resume=resume,
        )

    def evaluate(self, data, metrics=None) -> dict[str, Any]:
        """The mean loss and the metrics over all samples of some batches, in inference; nothing is changed.

        Batches smaller than those before are filled up with samples that do not count, so one program does it.

        Args:
            data: batches, as for `fit`.
            metrics: those of `gluonjax.metric`; None for the Trainer's.

        Returns:
            'loss', and a value for each metric.

        Raises:
            DataError: if there are no batches, or labels that the loss does not take.
        """
        return evaluate(self, data, metrics)

    def predict(self, data, batch_size: int = 256) -> Any:
        """The outputs for many inputs, in inference.

        Args:
            data: an array, which is cut into batches; or an iterable of batches of inputs: arrays, tuples of them, or
                dicts by name. Batches as for `fit` will do: their labels are left out.
            batch_size: the number of rows of a batch that an array is cut into.

        Returns:
            What the network returns, in NumPy arrays, all batches one after the other.

        Raises:
            DataError: if there are no inputs.
        """
        return predict(self, data, batch_size)

    @property
    def history(self) -> History:
        """The records of the epochs that `fit` has completed."""
        return self._progress.history

    @property
    def progress(self) -> dict[str, Any]:
        """How far `fit` is, as JSON can say it; `restore` sets it. Reading it waits for the device."""
        return self._progress.to_dict()

    @progress.setter
    def progress(self, saved: Mapping[str, Any]) -> None:
        self._progress = Progress.from_dict(saved) if saved else Progress()

    @property
    def metrics(self) -> dict[str, Any]:
        """The values of the metrics since they were reset; `fit` resets them in each epoch. It waits for the device."""
        with LOCK:
            state, program = self._peek(), self._program
            if state is None or program is None:
                return {}
            states = jax.device_get(state.metrics)
            return {name: metric.result(states[name]) for name, metric in program.metrics.items()}

    def _totals(self) -> Totals:
        """The sums of losses and samples since the metrics were reset. It waits for the device."""
        with LOCK:
            state = self._peek()
            return Totals() if state is None else Totals.of(state)

    def reset_metrics(self) -> None:
        """Lets the metrics begin anew, and the sum of the losses that `fit` shows."""
        with LOCK:
            state, program = self._peek(), self._program
            if state is None:
                return
            if program is None:  # the next one makes them
                self._state = state._replace(metrics={}, totals=Totals.zero())
                return
            fresh = {name: metric.init() for name, metric in program.metrics.items()}, Totals.zero()
            metrics, totals = jax.tree.map(_placed_as, fresh, (state.metrics, state.totals))
            if program.lent:
                program.change(lambda state: state._replace(metrics=metrics, totals=totals))
            else:
                self._state = state._replace(metrics=metrics, totals=totals)

    def _peek(self) -> State | None:
        """The state as it is now, whose arrays the next step may donate; its key may be in numbers."""
        lent = self._program is not None and self._program.lent
        return self._program.peek() if self._program is not None and lent else self._state

    def _find_nonfinite(self, batch) -> str | None:
        """Where a step on this batch would meet what is not finite; labels that the loss does not take are refused."""
        program, batch = self._program, _as_batch(batch)
        state = program.state() if program is not None and program.lent else self._state
        if state is None or program is None:
            return None
        program.check_labels(batch)
        return program.step.find_nonfinite(state, batch)

    def _change_options(self, **options) -> None:
        """Changes options of `make_step`; the program is made anew if they are others than before."""
        with LOCK:
            changed = make_step(self.net, self.loss, self.optimizer, **{**self.options, **options})
            before = make_step(self.net, self.loss, self.optimizer, **self.options)
            self.options = {**self.options, **options}
            if (changed.metrics, changed.guarded) != (before.metrics, before.guarded):
                self._give_back()
                self._program = None

    def _inference(self, metrics) -> Inference:
        """The compiled inference of the network as it is now."""
        structure = self.net._now()
        chosen = self.options.get('metrics', ()) if metrics is None else metrics
        key = structure.definition, tuple(pure_metrics(chosen).items())
        if key not in self._inferences:
            kept = {known: made for known, made in self._inferences.items() if known[0] is structure.definition}
            self._inferences = {**kept, key: Inference(self._make_step(structure), chosen)}
        return self._inferences[key]

    def _number_of_inputs(self) -> int | None:
        """How many inputs by position the network takes, as far as steps or its definition tell."""
        return number_of_inputs(self.net.definition) if self._inputs is None else self._inputs

    def _values(self, inputs, named) -> dict[str, Any]:
        """The network's values of now, which a Trainer may go on holding; the inputs complete its shapes."""
        with LOCK:
            structure, program = self.net._now(), self._program
            if program is not None and program.lent and program.structure is structure:
                return flatten(program.state().params)
            structure.commit(self._draw_missing(structure, inputs, named))
            values = dict(zip(structure.names, structure.values(), strict=True))
            if self._placement is not None:
                placed = moved(values, self._placement.params(leaves_of(structure.definition)))
                structure.commit({name: value for name, value in placed.items() if value is not values[name]})
                return placed
            return values

    # A batch in inference, over a mesh if there is one.

    def _placed(self, batch):
        return batch if self._placement is None else self._placement.batch(batch)

    def _dividing(self, rows: int) -> int:
        """How many rows a batch is filled up to, so that it divides."""
        return rows if self._placement is None else -(-rows // self._placement.parts) * self._placement.parts

    def _own(self, output):
        """The output for the rows that this process passed."""
        return output if self._placement is None else self._placement.own_rows(output)

    # Checkpoints.

    def save(self, path, *, keep: int | None = 1) -> None:
        """Saves everything that training goes on from; returns when it is on disk.

        That is `state`, with the values that the network has now, `steps` and `progress`. At no moment, whatever is
        killed, is there no whole checkpoint once there was one.

        Args:
            path: a folder; every save is a folder in it, of its own.
            keep: how many saves stay, this one among them; the others are removed when this one is whole. None for all.

        Raises:
            CheckpointError: before the first step.
            ArgumentError: if `keep` is less than 1, or JSON cannot say what is in `progress`.
            MissingExtraError: without orbax.

        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> from gluonjax import loss, nn
        >>> def trainer(seed):
        ...     net = nn.Sequential(nn.Dense(3))
        ...     net.initialize(key=seed)
        ...     return Trainer(net, loss.L2Loss(), 'adam', key=seed)
        >>> x, y, before, after = jnp.ones((4, 2)), jnp.ones((4, 3)), trainer(0), trainer(1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     value = before.step(x, y)
        ...     before.save(folder)
        ...     after.restore(folder)
        >>> after.steps, bool(before.step(x, y) == after.step(x, y))
        (1, True)
        """
        with LOCK:
            state, program = self.state, self._program
            if state is None:
                raise CheckpointError('there is nothing to save before the first step', remedy='trainer.step(x, y)')
            state = state._replace(params=self.net.params)
            rows = self._rows if program is None else program.rows
            snapshot = checkpoint.Snapshot(state, self.steps, rows, self.progress)
        checkpoint.save(path, snapshot, keep)

    def restore(self, path, step: int | None = None) -> None:
        """Goes on from a checkpoint: the steps that follow are, bit for bit, those that would have followed there.

        The network may be initialized or not, and its shapes unknown. Arrays go to where those of this Trainer are.
        Metrics that this Trainer has go on adding up; others in the checkpoint are passed over.

        Args:
            path: the folder that `save` wrote to.
            step: the number of steps after which it was saved; by default the newest save.

        Raises:
            CheckpointError: if there is no such checkpoint, or names, shapes or dtypes of parameters or of the
                optimizer's state differ; every difference is named. Nothing is changed.
            MissingExtraError: without orbax.
        """
        with LOCK:
            old, structure, program = self.state, self.net._now(), self._program
            declared = {
                name: checkpoint.Entry(cell.shape, str(jax.dtypes.canonicalize_dtype(cell.dtype)))
                for name, cell in zip(structure.names, structure.cells, strict=True)
            }
            goes_on = program is not None and program.structure is structure
            pure = program.step if program is not None and goes_on else self._make_step(structure)
            state, steps, rows, progress = checkpoint.restore(path, step, pure, declared, self._placements())
            structure.commit(flatten(state.params))
            self._state = state if old is None else state._replace(metrics=_continued(old, state).metrics)
            self._key, self._learning_rate = state.key, None
            self._rows, self.steps, self.progress = rows, steps, progress
            if program is not None:
                program.rows = rows

    def _placements(self) -> dict[str, jax.sharding.Sharding]:
        """Where the leaves of the state are now, by name, as far as somebody decided."""
        cells = {name: cell._array for name, cell in self.net.collect_params().items()}
        leaves = checkpoint.leaves_by_name({'params': cells} if self._state is None else self._state)
        return {name: leaf.sharding for name, leaf in leaves.items() if leaf.committed}

    # The state.

    @property
    def state(self) -> State | None:
        """Everything that steps change, as `make_step` has it; None before the first step. It may be assigned."""
        with LOCK:
            self._give_back()
            return self._state

    @state.setter
    def state(self, state: State) -> None:
        with LOCK:
            self.net.params = state.params
            self._state = state._replace(totals=Totals.zero()) if state.totals is None else state

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; reading it waits for the device.

        Raises:
            ArgumentError: if the optimizer keeps none in its state.
        """
        with LOCK:
            if self._learning_rate is not None:
                return self._learning_rate
            state = self._peek()
            return float(optimizers.find_learning_rate(state.optimizer if state else self.optimizer.init({})))

    def set_learning_rate(self, value: float) -> None:
        """Sets the learning rate from the next step on; nothing compiles anew.

        Raises:
            ArgumentError: if a schedule sets it, the optimizer keeps none in its state, or it is no number from 0 on.
        """
        checks.number('the learning rate', value, least=0)
        with LOCK:
            if self._program is not None and self._program.lent:
                self._program.change(lambda state: _with_rate(state, value))
            elif self._state is not None:
                self._state = _with_rate(self._state, value)
            else:
                optimizers.with_learning_rate(self.optimizer.init({}), value)  # refuses what cannot be set
                self._learning_rate = float(value)

    def reset_optimizer(self, select: str | None = None) -> None:
        """Begins anew with the optimizer's state of chosen parameters, as for parameters that were drawn anew.

        What the optimizer keeps of no parameter, such as a count of steps, begins anew without `select` only.

        Args:
            select: a pattern (`re.match` on names); all parameters without one.

        Raises:
            PatternError: if nothing matches `select`.
        """
        with LOCK:
            state, program = self.state, self._program
            if state is None or program is None:
                return
            leaves = leaves_of(program.structure.definition)
            chosen = {leaf.name for leaf in leaves if select is None or matches(select, leaf.names)}
            if not chosen:
                raise no_match(str(select), leaves)
            fresh = program.step.optimizer.init(program.step.layer.partition(state.params)[0])
            names = list(flatten(state.params))

            def begin_anew(path, new, old):
                return new if select is None or parameter_of(path, names) in chosen else old

            self._state = state._replace(optimizer=jax.tree_util.tree_map_with_path(begin_anew, fresh, state.optimizer))

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
        return nest({name: values[name] for name in self.net._now().names})


def _placement(net: Block, mesh, data_axis, rules) -> Placement | None:
    """Where arrays belong; rules that do not fit what is known of the network are refused now."""
    if mesh is None and rules is None:
        return None
    if mesh is None:
        raise ArgumentError(
            'rules of sharding need a mesh', remedy='Trainer(..., mesh=jax.make_mesh(...), sharding={...})'
        )
    placement = Placement(mesh, data_axis, rules)
    if leaves := leaves_of(net.definition):
        placement.params(leaves)
    return placement


def _network(net) -> Block:
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


def _with_rate(state: State, value) -> State:
    return state._replace(optimizer=optimizers.with_learning_rate(state.optimizer, value))


def _placed_as(new: jax.Array, old: jax.Array) -> jax.Array:
    """The array where another is, so that programs take it in its place."""
    return jax.device_put(new, old.sharding) if old.committed else new


def _as_batch(arguments):
    """A batch given whole, or in parts."""
    return arguments[0] if len(arguments) == 1 else arguments


def _continued(fresh: State, old: State) -> State:
    """The fresh state, with whatever of the old one stands at the same place in the same shape, except for params."""
    known = checkpoint.leaves_by_name(old)

    def pick(name, leaf):
        before = known.get(name)
        fits = before is not None and (before.shape, before.dtype) == (leaf.shape, leaf.dtype)
        return before if fits else leaf

    leaves = [pick(name, leaf) for name, leaf in checkpoint.leaves_by_name(fresh).items()]
    return jax.tree.unflatten(jax.tree.structure(fresh), leaves)._replace(params=fresh.params)
