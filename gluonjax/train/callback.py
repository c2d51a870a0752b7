"""Callbacks: what `fit` calls before, between and after epochs and steps."""

from __future__ import annotations

import csv
import inspect
import math
import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import jax

from gluonjax import checks
from gluonjax.errors import ArgumentError, MissingExtraError, NonFiniteError
from gluonjax.io.reading import checked_path
from gluonjax.lazy import entry_points
from gluonjax.packages import refuses_unknown
from gluonjax.train.base import BaseTrainer
from gluonjax.train.evaluate import plain
from gluonjax.train.history import FitState, Record
from gluonjax.train.progress import (
    COMPILING,
    VALIDATING,
    EpochBar,
    as_text,
    has_bars,
    is_terminal,
    numbers_of,
    print_line,
)
from gluonjax.train.state import TrainState

Mode = Literal['min', 'max']
Path = str | os.PathLike[str]


@entry_points
class Callback:
    """The base of callbacks. Override what you need; each gets the Trainer, and the FitState of the fit.

    Epochs and batches are counted from 0. `fit_state.stop()` lets the fit end after the epoch; an exception ends it at
    once, and leaves the network after the last completed step.

    A callback keeps nothing that a run killed and resumed would miss: what it needs to know of earlier epochs stands in
    `fit_state.records`.

    >>> class Tell(Callback):
    ...     def on_epoch_end(self, trainer, fit_state, record):
    ...         print(f'epoch {record["epoch"]}: {record["steps"]} steps')
    >>> from gluonjax import Trainer, loss, nn
    >>> net = nn.Sequential(nn.Dense(1))
    >>> net.initialize(key=0)
    >>> batch = jax.numpy.ones((4, 2)), jax.numpy.ones((4, 1))
    >>> history = Trainer(net, loss.L2Loss(), key=0).fit([batch] * 3, epochs=2, callbacks=[Tell()], progress=False)
    epoch 0: 3 steps
    epoch 1: 3 steps
    """

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        """Before the first epoch; `fit_state.records` has epochs if the fit goes on after an interruption."""

    def on_epoch_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        """Before the first step of an epoch; not again if the fit goes on in the middle of it."""

    def on_step(self, trainer: BaseTrainer, fit_state: FitState, batch: tuple[Any, ...], loss: jax.Array) -> None:
        """After a step. The batch is as the step took it; whoever reads the loss waits for the device."""

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        """After an epoch and its validation, when the record is in the history."""

    def on_fit_end(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        """At the end, also if an exception is the end."""


@entry_points
class EarlyStopping(Callback):
    """Ends the fit when a value has not become better for some epochs in a row.

    Args:
        monitor: the name of the value in the records.
        patience: how many epochs in a row without a better value end the fit.
        min_delta: what a value must be better by than the best one so far.
        mode: 'min' or 'max'; by default 'min' for losses, errors and perplexity, 'max' for all other metrics.
        restore_best: whether the network then has the values of the best epoch, also if the epochs come to their end.
            After an epoch whose loss is not finite, which ends `fit` with an error, all of the training state is that
            of the best epoch. The best of epochs before an interruption are not at hand; `Checkpoint` keeps them.

    Raises:
        ArgumentError: if an argument has no such value, or the records no such name.
    """

    def __init__(
        self,
        monitor: str = 'val_loss',
        patience: int = 3,
        min_delta: float = 0.0,
        mode: Mode | None = None,
        restore_best: bool = True,
    ):
        self.monitor: str = monitor
        self.mode: str = _mode(monitor, mode)
        self.restore_best: bool = restore_best
        self.patience: int = checks.size('patience', patience)
        self.min_delta: float = checks.number('min_delta', min_delta, least=0)

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        self._best, self._waited = _Best(self.monitor, self.mode, self.min_delta), 0
        self._state: TrainState | None = None  # of the best epoch
        for record in fit_state.records:
            self._take(fit_state, record)

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        if self._take(fit_state, record) and self.restore_best:
            self._state = trainer.state

    def on_fit_end(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        best, self._state = self._state, None
        if best is None or not self._waited:
            return
        if fit_state.finished:
            trainer.net.params = best.params
        elif not math.isfinite(fit_state.records[-1]['loss']) and not fit_state.batch:
            trainer.state = best  # the optimizer's state is not finite either

    def _take(self, fit_state: FitState, record: Record) -> bool:
        better = self._best.take(record)
        self._waited = 0 if better else self._waited + 1
        if self._waited >= self.patience:
            fit_state.stop()
        return better


@entry_points
class Checkpoint(Callback):
    """Saves the Trainer: after each epoch, after each best epoch, or every so many steps.

    An epoch whose loss is not finite is not saved: it would take the place of a good one.

    A run that was killed goes on with `trainer.restore(path)` and `trainer.fit(..., resume=True)`.

    Args:
        path: the folder, as for `trainer.save`.
        monitor: the name of a value in the records; given, only epochs with a better one than all before
            are saved; those of earlier calls of `fit` count.
        mode: as for `EarlyStopping`.
        every_steps: saves every `every_steps` steps, in place of epochs.
        keep: how many saves stay; None for all.

    Raises:
        ArgumentError: if an argument has no such value, or the records no such name.
    """

    def __init__(
        self,
        path: Path,
        monitor: str | None = None,
        mode: Mode | None = None,
        every_steps: int | None = None,
        keep: int | None = 1,
    ):
        self.path: Path = checked_path(path)
        self.monitor: str | None = monitor
        self.keep: int | None = keep
        self.mode: str | None = None if monitor is None else _mode(monitor, mode)
        self.every_steps: int | None = None if every_steps is None else checks.size('every_steps', every_steps)
        if monitor is not None and every_steps is not None:
            raise ArgumentError(
                'a Checkpoint saves the best epochs or every so many steps',
                got=f'monitor={monitor!r}, every_steps={every_steps}',
                remedy='two Checkpoints, in two folders',
            )

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        self._best = None
        if self.monitor is not None:
            self._best = _Best(self.monitor, self.mode)
            for record in fit_state.history:  # of earlier calls of `fit` too, whose best one is in the folder
                if self.monitor in record:
                    self._best.take(record)

    def on_step(self, trainer: BaseTrainer, fit_state: FitState, batch: tuple[Any, ...], loss: jax.Array) -> None:
        if self.every_steps is not None and trainer.steps % self.every_steps == 0:
            trainer.save(self.path, keep=self.keep)

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        if self.every_steps is not None or not math.isfinite(record['loss']):
            return
        if self._best is None or self._best.take(record):
            trainer.save(self.path, keep=self.keep)


@entry_points
class CSVLogger(Callback):
    """Writes the history to a file of comma-separated values: a line for each epoch, the names in the first line.

    Args:
        path: the file. It has the whole history after each epoch, those before an interruption too.
    """

    def __init__(self, path: Path):
        self.path: pathlib.Path = pathlib.Path(checked_path(path))

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open('w', newline='') as file:
            writer = csv.DictWriter(file, fit_state.history.names)
            writer.writeheader()
            writer.writerows(fit_state.history)


@entry_points
class TensorBoard(Callback):
    """Writes what the records hold for TensorBoard, by epoch.

    Args:
        logdir: the folder for the events.

    Raises:
        MissingExtraError: at the beginning of the fit, if tensorboardX is not there.
    """

    def __init__(self, logdir: Path):
        self.logdir: str = str(logdir)
        self._writer = None

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise MissingExtraError(
                'the TensorBoard callback writes with tensorboardX', remedy="pip install 'gluonjax[train]'"
            ) from None
        self._writer = SummaryWriter(self.logdir)

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        writer: Any = self._writer
        for name, value in record.items():
            if name != 'epoch' and isinstance(value, int | float):
                writer.add_scalar(name, value, record['epoch'])
        writer.flush()

    def on_fit_end(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@entry_points
class LearningRateSchedule(Callback):
    """Sets the learning rate before each epoch; nothing compiles again.

    Args:
        schedule: `f(epoch)`, or `f(epoch, rate)` with the rate of the epoch before, gives the rate.

    Raises:
        ArgumentError: if the optimizer keeps no rate that can be set.
    """

    def __init__(self, schedule: Callable[..., float]):
        self.schedule: Callable[..., float] = schedule

    def on_epoch_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        required = [
            parameter
            for parameter in inspect.signature(self.schedule).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
        arguments = (fit_state.epoch, trainer.learning_rate) if len(required) == 2 else (fit_state.epoch,)
        trainer.set_learning_rate(self.schedule(*arguments))


@entry_points
class NaNGuard(Callback):
    """Stops at the first step whose loss or gradient is not finite, and names the first layer whose output is not.

    The network is left after the last good step, as the Trainer's option skip_nonfinite is on from the fit's beginning;
    it stays on. Each step is waited for, so this is for finding a fault, not for every day.

    Raises:
        NonFiniteError: in `fit`, naming the step, and the input, parameter, layer or gradient.
    """

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        trainer.change_options(skip_nonfinite=True)
        self._skipped = _skipped(trainer)

    def on_step(self, trainer: BaseTrainer, fit_state: FitState, batch: tuple[Any, ...], loss: jax.Array) -> None:
        value = float(loss)
        if math.isfinite(value) and _skipped(trainer) == self._skipped:
            return
        place = trainer.find_nonfinite(*batch) or 'its update'
        raise NonFiniteError(
            f'step {fit_state.batch - 1} of epoch {fit_state.epoch} is not finite, first of all {place}',
            got=f'loss {value}',
            remedy='the network is as it was before this step; look at the batch, lower the learning rate, or clip the '
            'gradient with clip_global_norm=',
        )


def _skipped(trainer: BaseTrainer) -> int:
    """How many steps were passed over; with float16 some are while the loss scale adapts, and are not counted."""
    return 0 if trainer.scales_loss else trainer.skipped or 0


class _Best:
    """The best of the values that were seen. None is better that is not finite, or of an epoch whose loss is not."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0):
        self.monitor, self.sign, self.min_delta = monitor, -1 if mode == 'max' else 1, min_delta
        self.value = math.inf

    def take(self, record: Record) -> bool:
        """Whether this record is better than all before."""
        if self.monitor not in record:
            raise ArgumentError(
                f'there is no {self.monitor!r} to monitor',
                expected=f'one of {list(record)}',
                remedy='fit(train, validation, ...) has val_loss' if self.monitor.startswith('val_') else None,
            )
        value = self.sign * record[self.monitor]
        finite = math.isfinite(value) and math.isfinite(record.get('loss', 0))
        better = finite and value < self.value - (self.min_delta if math.isfinite(self.value) else 0)
        self.value = value if better else self.value
        return better


_LESS_IS_BETTER = ('loss', 'error', 'mae', 'mse', 'rmse', 'perplexity', 'cross-entropy', 'distance')


def _mode(monitor: str, mode: str | None) -> str:
    checks.one_of('mode', mode, (None, 'min', 'max'))
    return mode or ('min' if monitor.endswith(_LESS_IS_BETTER) else 'max')


@entry_points
class ProgressLines(Callback):
    """Prints a line for each epoch: steps, seconds, loss, metrics and samples per second.

    Args:
        patience: the seconds after which a first step that is still being compiled is told.
    """

    def __init__(self, patience: float = 2.0):
        self.patience: float = checks.number('patience', patience, least=0)
        self._waiting: threading.Timer | None = None

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        steps = trainer.steps
        if not trainer.is_compiled:
            self._waiting = threading.Timer(
                min(self.patience, threading.TIMEOUT_MAX), lambda: trainer.steps == steps and print_line(COMPILING)
            )
            self._waiting.daemon = True
            self._waiting.start()

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        self._stop_waiting()
        numbers = as_text(numbers_of(record))
        print_line(f'epoch {record["epoch"]}: {record["steps"]} steps, {record["seconds"]:.1f} s, {numbers}')

    def on_fit_end(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


@entry_points
class ProgressBar(Callback):
    """Shows epoch, steps, loss, metrics and samples per second while the steps run, in one line, with rich.

    The line of the epoch that runs is the last of the terminal, and those that are done scroll by above it. It fits the
    width: metrics of the training make room for those of the validation. The records have all of them.

    Args:
        interval: the seconds between two looks at the numbers, each of which waits for the device.

    Raises:
        MissingExtraError: at the beginning of the fit, if rich is not there.
    """

    def __init__(self, interval: float = 0.25):
        self.interval: float = interval
        self._next = 0.0
        self._bar: EpochBar | None = None

    def on_fit_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        try:
            self._bar = EpochBar()
        except ImportError:
            raise MissingExtraError(
                'the ProgressBar is drawn by rich', remedy="pip install 'gluonjax[train]'"
            ) from None
        self._bar.start()
        if not trainer.is_compiled:
            self._draw(fit_state.epoch, fit_state.batch, fit_state.total, COMPILING)

    def on_epoch_begin(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        self._next = time.perf_counter() + self.interval

    def on_step(self, trainer: BaseTrainer, fit_state: FitState, batch: tuple[Any, ...], loss: jax.Array) -> None:
        validating = fit_state.validates and fit_state.batch == fit_state.total
        if validating or time.perf_counter() >= self._next:
            totals = trainer.totals
            metrics = {name: plain(value) for name, value in trainer.metrics.items()}
            values = {'loss': totals.mean, **metrics, 'samples/s': totals.samples / fit_state.seconds}
            values |= {VALIDATING: '...'} if validating else {}
            self._draw(fit_state.epoch, fit_state.batch, fit_state.total, values)
            self._next = time.perf_counter() + self.interval

    def on_epoch_end(self, trainer: BaseTrainer, fit_state: FitState, record: Record) -> None:
        if self._bar is not None:
            self._bar.finish(record['epoch'], record['steps'], numbers_of(record))

    def on_fit_end(self, trainer: BaseTrainer, fit_state: FitState) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, epoch: int, done: int, total: int | None, values: Record | str) -> None:
        if self._bar is not None:
            self._bar.draw(epoch, done, total, values)


def progress_display() -> Callback:
    """What `fit(progress=True)` shows: in a terminal a bar, if rich is there; anywhere else lines."""
    return ProgressBar() if is_terminal() and has_bars() else ProgressLines()


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals(), 'gluonjax.callback')
