"""BaseTrainer: what can be asked of a Trainer between steps: evaluation, predictions, checkpoints."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.block import structure_of
from gluonjax.data.batching import as_arrays, is_used_up, opened, padded, rows_of, seed_of
from gluonjax.errors import CheckpointError, DataError
from gluonjax.failures import explaining
from gluonjax.io import checkpoint
from gluonjax.lazy import entry_points
from gluonjax.parameter import LOCK, commit, refuse_traced
from gluonjax.placement import home_of
from gluonjax.train import saving
from gluonjax.train.batch import Batch
from gluonjax.train.evaluate import Inference, batches_of_inputs, on_host
from gluonjax.train.history import FitState, History
from gluonjax.train.samples import Taken, evaluation_data, number_of_inputs
from gluonjax.train.step import pure_metrics
from gluonjax.train.stepper import Stepper, as_batch
from gluonjax.tree import flatten


@entry_points
class BaseTrainer(Stepper):
    """All of a `Trainer` but `fit`: what callbacks are handed. `Trainer` says what the arguments are."""

    # Inference.

    def evaluate(self, x: Any, y: Any = None, *, batch_size: int | None = None, metrics: Any = None) -> dict[str, Any]:
        """The mean loss and the metrics over all samples, in inference; nothing is changed.

        The values are those of the beginning, whatever steps are done in the meantime.

        Args:
            x: inputs, as for `fit`; or batches, as for `fit`.
            y: labels; None where `x` has them, as batches do.
            batch_size: the number of rows of a batch that arrays are cut into; 256 by default.
            metrics: those of `gluonjax.metric`; None for the Trainer's.

        Returns:
            'loss', and a value for each metric.

        Raises:
            ArgumentError: if these are neither inputs and labels nor batches.
            DataError: if there are no batches, or labels that the loss does not take.
            TransformationError: inside `jit`, `grad` and the like.
        """
        refuse_inside_transformation('evaluate', (x, y))
        data = evaluation_data(self.taken, x, y, batch_size)
        return self.evaluate_epoch(data, metrics)

    @property
    def taken(self) -> Taken:
        """What whole arrays are cut by: the network, and where the loss has samples in the labels."""
        losses = self.loss.values() if isinstance(self.loss, Mapping) else [self.loss]
        axes = {getattr(loss, 'batch_axis', 0) for loss in losses}
        return Taken(self.net.definition, axes.pop() if len(axes) == 1 else 0)

    def evaluate_epoch(
        self, data: Any, metrics: Any = None, epoch: int = 0, name: str = 'data', steps: int | None = None
    ) -> dict[str, Any]:
        """As `evaluate`, of batches: also of a function of the epoch's number, of some of them, under another name."""
        refuse_inside_transformation('evaluate', data)
        inference, values, state, most = self._inference(metrics), {}, None, 0
        for given in itertools.islice(opened(data, epoch, name), steps):
            batch = self.batch_of(as_batch(admit(as_arrays(given), name)))
            if state is None:
                values = self.values_for(batch)
                state = inference.begin(values, batch)
            rows, mask = rows_of(batch), None
            if rows and self.pads:
                most = max(most, self._dividing(rows))
                batch, mask = padded(batch, most) if rows < most else (batch, np.ones(rows, bool))
            with explaining(self.net, batch):
                state = inference.measure(values, state, *self._placed((batch, mask)))
        if state is None:
            used_up = is_used_up(data) and epoch > 0
            raise DataError(
                f'there are no batches in {name}',
                got='an iterator that was used up in an epoch before' if used_up else type(data).__name__,
                remedy='give a list, or a function of the epoch that returns an iterator',
            )
        inference.tell(metrics, state)
        return inference.results(state)

    def predict(self, x: Any, batch_size: int = 256) -> Any:
        """The outputs for many inputs, in inference; the values are those of the beginning.

        Args:
            x: inputs, as for `fit`; or an iterable of batches of inputs: arrays, tuples of them, or dicts by name.
                What `fit` takes will do: labels are left out.
            batch_size: the number of rows of a batch that arrays are cut into.

        Returns:
            What the network returns (an array, a tuple, a dict), in NumPy arrays, the samples of all batches one after
            the other, along the axis in which each output has them: the second of the states of an LSTM.

        Raises:
            DataError: if there are no inputs; or, of more than one batch, for an output that has no axis of samples (a
                scalar) or differs in other sizes (sequences of other lengths), naming it.
            TransformationError: inside `jit`, `grad` and the like.
        """
        refuse_inside_transformation('predict', x)
        checks.size('batch_size', batch_size)
        inference, values, outputs, filled, first, most = self._inference(None), {}, [], [], None, 0
        carry = inference.step.carry
        for inputs, named in batches_of_inputs(self.net.definition, x, batch_size, self._number_of_inputs()):
            if first is None:
                values = self.values_for(Batch(tuple(inputs), named, None))
            rows = rows_of((inputs, named))
            if rows and self.pads:
                most = max(most, self._dividing(rows))
                (inputs, named), _ = padded((inputs, named), most) if rows < most else ((inputs, named), None)
            first = (inputs, named) if first is None else first
            with explaining(self.net, (inputs, named)):
                output, carry = inference.output(values, *self._placed((inputs, named)), carry)
            outputs.append(self._local_rows(output))
            filled.append(rows if self.pads else None)
            if len(outputs) > 2:  # those before are computed by now, and leave the device
                outputs[-3] = on_host(outputs[-3])
        if first is None:
            raise DataError('there is nothing to predict from', got=type(x).__name__)
        return inference.joined(values, first, on_host(outputs), filled)

    def _inference(self, metrics: Any) -> Inference:
        """The compiled inference of the network as it is now."""
        structure = structure_of(self.net)
        chosen = self.given_metrics if metrics is None else metrics
        if self._inferences[0] is not structure.programs:  # which stay when only what is trained changes
            self._inferences = structure.programs, {}
        known, key = self._inferences[1], tuple(pure_metrics(chosen).items())
        if key not in known:
            known[key] = Inference(self.make_pure_step(structure), chosen)
        return known[key]

    def _number_of_inputs(self) -> tuple[int, int] | None:
        """How many inputs by position the network takes at least and at most, as steps or its definition tell."""
        compiled = self.compiled_step.stored
        if compiled is not None and compiled.inputs:  # none where batches are dicts
            return compiled.inputs, compiled.inputs
        count, carried = number_of_inputs(self.net.definition), self.first_carry is not None
        return None if count is None else (max(count[0] - carried, 1), count[1] - carried)

    @property
    def is_compiled(self) -> bool:
        """Whether there is a program for a step, as there is after the first."""
        return self.compiled_step.stored is not None

    @property
    def places_batches(self) -> bool:
        """Whether a step takes batches from the host, and brings them where they belong itself."""
        return self.placement is not None

    # A batch in inference, over a mesh if there is one.

    def _placed(self, batch: Any) -> Any:
        return batch if self.placement is None else self.placement.batch(batch)

    def _dividing(self, rows: int) -> int:
        """How many rows a batch is filled up to, so that it divides."""
        return rows if self.placement is None else self.placement.dividing(rows)

    def _local_rows(self, output: Any) -> Any:
        """The output for the rows that this process passed."""
        return output if self.placement is None else self.placement.local_rows(output)

    # Checkpoints.

    def save(self, path: str | os.PathLike[str], *, keep: int | None = 1) -> None:
        """Saves everything that is needed to continue training; returns when it is on disk.

        That is `state`, `steps` and `fit_state`. Saving is atomic: once there is a complete checkpoint in the folder,
        there always is one, even if the process is killed while it saves.

        Args:
            path: a folder; each checkpoint is a folder of its own in it.
            keep: how many checkpoints to keep, this one included; older ones are removed when this one is complete.
                None keeps all.

        Raises:
            CheckpointError: before the first step.
            ArgumentError: if `keep` is less than 1, or JSON cannot say what is in `fit_state`.
            MissingExtraError: without orbax.

        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> from gluonjax import Trainer, loss, nn
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
            state, steps = self.state, self.steps
            remember = {'rows': self.largest_batch(), 'fit_state': self.fit_state, 'seed': self.shuffle_seed}
        if state is None:
            raise CheckpointError('there is nothing to save before the first step', remedy='trainer.step(x, y)')
        checkpoint.save(path, state, steps, remember, keep)

    def restore(self, path: str | os.PathLike[str], step: int | None = None) -> None:
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
        with LOCK, jax.ensure_compile_time_eval():
            old, structure, compiled = self.copy_of_state(), structure_of(self.net), self.compiled_step.stored
            declared = saving.declared(structure)
            goes_on = compiled if compiled is not None and compiled.structure is structure else None
            pure = self.make_pure_step(structure) if goes_on is None else goes_on.step
            needed = functools.partial(saving.needed, pure, declared)
            leaves, record = checkpoint.restore(path, step, needed, saving.CHECKED, self._placements())
            state = saving.state_of(pure, declared, leaves)
            commit(structure.by_name(flatten(state.params)), handed_out=False)
            self._seed = record.get('seed', self.shuffle_seed)
            self._key, self._learning_rate, self._rows = state.key, None, record['rows']
            self.step_count.current, self.fit_state = record['steps'], record['fit_state']
            state = state._replace(params={})
            self.go_on_from(state if old is None else state._replace(metrics=saving.continued(old, state).metrics))
            if compiled is not None:
                compiled.rows = record['rows']

    def _placements(self) -> dict[str, jax.sharding.Sharding]:
        """Where the leaves of the state are now, by name, as far as somebody decided."""
        structure, state = structure_of(self.net), checkpoint.leaves_by_name(self.copy_of_state())
        homes = {f'params.{name}': home_of(p) for name, p in zip(structure.names, structure.parameters, strict=True)}
        homes |= {name: leaf.sharding for name, leaf in state.items() if getattr(leaf, 'committed', False)}
        return {name: where for name, where in homes.items() if where is not None}

    # What `fit` has done.

    @property
    def shuffle_seed(self) -> list[int]:
        """The numbers of the key that this Trainer was made with: orders of samples are drawn from them."""
        if self._seed is None:
            self._seed = seed_of(self._key)
        return self._seed

    def begin_fit(self, resume: bool) -> FitState:
        """The state of a fit that begins, or goes on."""
        self._fit_state.begin(self.step_count, resume)
        return self._fit_state

    @property
    def history(self) -> History:
        """The records of the epochs that `fit` has completed."""
        return self._fit_state.history

    @property
    def fit_state(self) -> dict[str, Any]:
        """How far `fit` is, as JSON can say it; `restore` sets it. Reading it waits for the device."""
        return self._fit_state.to_dict()

    @fit_state.setter
    def fit_state(self, saved: Mapping[str, Any]) -> None:
        self._fit_state = FitState() if isinstance(saved, Mapping) and not saved else FitState.from_dict(saved)


_INSTEAD = {
    'evaluate': 'loss(net(x), y) is the loss of each sample there, as a function of x and y',
    'predict': 'net(x) is the output there, as a function of x; net.apply(params, x) also as one of the parameters',
    'fit': 'make_step(net, loss, optimizer) is the pure step(state, batch) -> (state, metrics)',
}


def refuse_inside_transformation(method: str, given: Any) -> None:
    """Refuses a method of a Trainer, which returns numbers, inside `jit`, `grad` and the like, where they are traced.

    Raises:
        TransformationError: which says what works there.
    """
    leaves = jax.tree.leaves(given, is_leaf=lambda node: not isinstance(node, tuple | list | dict))  # of a loader, none
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array)]
    new = jnp.zeros(())  # which is traced inside `jit`, whatever is given
    refuse_traced([*arrays, new], f'trainer.{method} cannot run inside a transformation', _INSTEAD[method])
