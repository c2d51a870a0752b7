"""fit: what a Trainer does with many batches, epoch by epoch.

What `fit` must know to go on in the middle of an epoch, beside the Trainer's `state`, is its `FitState`: the number of
the epoch, the batches of it that were trained on, its seconds, the epoch at which this call began, and the history.
`FitState.to_dict` is JSON. `fit(resume=True)` draws those batches once more, does not train on them, and goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.data.batching import ahead, as_arrays, is_function, is_sequence, is_used_up, length_of, opened
from gluonjax.errors import ArgumentError, DataError, NonFiniteError
from gluonjax.train.base import BaseTrainer
from gluonjax.train.callback import Callback, progress_display
from gluonjax.train.evaluate import plain
from gluonjax.train.history import FitState, History, Record

Callbacks = Sequence[Callback] | Callback


def fit(
    trainer: BaseTrainer,
    train: Any,
    validation: Any,
    epochs: int,
    *,
    callbacks: Callbacks,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    progress: bool,
    prefetch: int,
    resume: bool,
) -> History:
    """What `Trainer.fit` documents, of batches."""
    checks.size('epochs', epochs, least=0)
    checks.size('prefetch', prefetch, least=0)
    for name, steps in (('steps_per_epoch', steps_per_epoch), ('validation_steps', validation_steps)):
        if steps is not None:
            checks.size(name, steps)
    watchers = [*_callbacks(callbacks), *([progress_display()] if progress else [])]
    now = trainer.begin_fit(resume)
    with contextlib.ExitStack() as stack:
        stack.callback(now.end)
        now.total, now.validates = steps_per_epoch or length_of(train), validation is not None
        data = _TrainingData(trainer, train, steps_per_epoch, prefetch, now)
        for watcher in watchers:
            stack.callback(watcher.on_fit_end, trainer, now)
            watcher.on_fit_begin(trainer, now)
        last = (now.began or 0) + epochs
        while now.epoch < last and not now.stopping:
            _epoch(trainer, data, now, watchers)
            record = _record(trainer, now)
            trainer.update_metrics()
            if validation is not None:
                values = trainer.evaluate_epoch(validation, None, now.epoch, 'validation', validation_steps)
                record |= {f'val_{name}': value for name, value in values.items()}
            now.history.records.append(record)
            now.end_epoch()
            for watcher in watchers:
                watcher.on_epoch_end(trainer, now, record)
            if not math.isfinite(record['loss']) and record['steps'] and not trainer.skips_nonfinite:
                raise _nonfinite(trainer, train, record)
        now.finished = True
    return now.history


def _callbacks(given: Callbacks) -> list[Callback]:
    callbacks = [given] if isinstance(given, Callback) or not isinstance(given, Sequence) else list(given)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ArgumentError(
                'this is no callback', expected='an object of a subclass of gluonjax.callback.Callback', got=callback
            )
    return callbacks


def _epoch(trainer: BaseTrainer, data: _TrainingData, now: FitState, watchers: list[Callback]) -> None:
    """The steps of one epoch, or the rest of them."""
    on_step = [watcher.on_step for watcher in watchers if type(watcher).on_step is not Callback.on_step]
    if not now.batch:
        trainer.reset_metrics()
        trainer.reset_carry()
        for watcher in watchers:
            watcher.on_epoch_begin(trainer, now)
    began, before = time.perf_counter(), now.seconds
    step, value = trainer.step, None
    try:
        for batch in data.epoch():
            value = step(*batch)
            for call in on_step:
                now.seconds = before + time.perf_counter() - began
                call(trainer, now, batch, value)
        jax.block_until_ready(value)  # so that the seconds are those of the steps
    finally:
        now.seconds = before + time.perf_counter() - began


def _record(trainer: BaseTrainer, now: FitState) -> Record:
    totals = trainer.totals
    record = {'epoch': now.epoch, 'steps': now.batch, 'loss': totals.mean}
    record |= {name: plain(value) for name, value in trainer.metrics.items()}
    with contextlib.suppress(ArgumentError):  # some optimizers have none that can be read
        record['learning_rate'] = trainer.learning_rate
    rate = totals.samples / now.seconds if now.seconds else 0.0
    return record | {'seconds': now.seconds, 'samples_per_second': rate}


def _nonfinite(trainer: BaseTrainer, train: Any, record: Record) -> NonFiniteError:
    """The error for an epoch whose loss is not finite; where labels are the reason, and can be had again, another."""
    epoch = record['epoch']
    for i, batch in enumerate([] if is_used_up(train) else opened(train, epoch, 'train')):
        try:
            trainer.check_labels(*as_arrays(batch))
        except DataError as error:
            raise DataError(f'in batch {i} of epoch {epoch}, {error}') from None
    return NonFiniteError(
        f'the loss of epoch {epoch} is {record["loss"]}',
        remedy='callbacks=[gluonjax.callback.NaNGuard()] stops at the first such step and names the layer; '
        'often a lower learning rate, or Trainer(..., clip_global_norm=1.0), helps',
    )


class _TrainingData:
    """The batches of a fit, epoch by epoch, in arrays."""

    def __init__(self, trainer: BaseTrainer, train: Any, steps: int | None, prefetch: int, now: FitState):
        self.trainer, self.train, self.steps, self.now = trainer, train, steps, now
        # On CPU a step takes NumPy's arrays as fast as JAX's; over a mesh it is the step that knows where they belong.
        self.prefetch = 0 if jax.default_backend() == 'cpu' or trainer.places_batches else prefetch
        self.endless: Iterator[Any] | None = None  # what goes on over epochs
        if steps is not None and not is_function(train):
            self.endless = self._kept(opened(train, now.epoch, 'train'))
            self._skip(self.endless, (now.epoch - (now.began or 0)) * steps)

    def epoch(self) -> Iterator[tuple[Any, ...]]:
        """The batches of the epoch that are not done yet."""
        batches = self.endless or self._kept(opened(self.train, self.now.epoch, 'train'))
        self._skip(batches, self.now.batch)
        if self.steps is not None:
            batches = itertools.islice(batches, self.steps - self.now.batch)
        yield from ahead(batches, self.prefetch, _on_device) if self.prefetch else batches
        if self.steps is not None and self.now.batch < self.steps:
            raise self._ended_early(f'{self.steps} steps, as steps_per_epoch asks')
        if not self.now.batch:
            raise self._ended_early('batches in each epoch')
        if is_sequence(self.train) and callable(tell := getattr(self.train, 'on_epoch_end', None)):
            tell()

    def _kept(self, batches: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
        """Batches as the step takes them, less those that last_batch discards."""
        batches = self._converted(batches)
        return self._whole(batches) if self.trainer.last_batch == 'discard' else batches

    def _converted(self, batches: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
        plain = None  # whether batches are tuples of arrays, as the first one is or is not
        for batch in batches:
            if not plain or type(batch) is not tuple:
                given, batch = batch, as_arrays(batch)
                if plain is None:
                    plain = batch is given
                    self.trainer.check_labels(*batch)
            yield batch

    def _whole(self, batches: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
        most = 0
        for batch in batches:
            rows = _rows(batch, self.trainer.taken.label_axis)
            most = max(rows, most)
            if rows == most:
                yield batch

    def _skip(self, batches: Iterator[Any], count: int) -> None:
        skipped = None
        for _ in range(count):
            skipped = next(batches, None)
            if skipped is None:
                raise self._ended_early(f'{count} batches that were trained on before the interruption')
        if skipped is not None:  # perhaps it was the last of the epoch, and there is no step that makes the program
            self.trainer.prepare(*skipped)

    def _ended_early(self, expected: str) -> DataError:
        return DataError(
            f'the training data ended in epoch {self.now.epoch}, after {self.now.batch} steps of it',
            expected=expected,
            got='an iterator that can be used once' if is_used_up(self.train) else type(self.train).__name__,
            remedy='give a list, or a function of the epoch that returns an iterator; '
            'steps_per_epoch= lets one long iterator go on over the epochs',
        )


def _on_device(batch: tuple[Any, ...]) -> tuple[Any, ...]:
    return jax.device_put(admit(batch, 'batch'))


def _rows(batch: tuple[Any, ...], axis: int) -> int:
    """The number of samples, as the label has it."""
    label = batch[0].get('label') if isinstance(batch[0], dict) else batch[-1]
    return next((rows for leaf in jax.tree.leaves(label) for rows in np.shape(leaf)[axis:][:1]), 1)
