"""Callbacks: what `fit` calls before, between and after epochs and steps."""

import sys
import time
from typing import TYPE_CHECKING, Any

import jax

from gluonjax.history import Progress, Record, shown

if TYPE_CHECKING:
    from gluonjax.trainer import Trainer


class Callback:
    """The base of callbacks. Override what you need; each gets the Trainer, and the Progress of the fit.

    Epochs and batches are counted from 0. `progress.stop()` lets the fit end after the epoch; an exception ends it at
    once, and leaves the network after the last completed step.

    A callback keeps nothing that a run killed and resumed would miss: what it needs to know of earlier epochs stands in
    `progress.records`.

    >>> class Tell(Callback):
    ...     def on_epoch_end(self, trainer, progress, record):
    ...         print(f'epoch {record["epoch"]}: {record["steps"]} steps')
    >>> from gluonjax import Trainer, loss, nn
    >>> net = nn.Sequential(nn.Dense(1))
    >>> net.initialize(key=0)
    >>> batch = jax.numpy.ones((4, 2)), jax.numpy.ones((4, 1))
    >>> history = Trainer(net, loss.L2Loss(), key=0).fit([batch] * 3, epochs=2, callbacks=[Tell()], progress=False)
    epoch 0: 3 steps
    epoch 1: 3 steps
    """

    def on_fit_begin(self, trainer: 'Trainer', progress: Progress) -> None:
        """Before the first epoch; `progress.records` has epochs if the fit goes on after an interruption."""

    def on_epoch_begin(self, trainer: 'Trainer', progress: Progress) -> None:
        """Before the first step of an epoch; not again if the fit goes on in the middle of it."""

    def on_step(self, trainer: 'Trainer', progress: Progress, batch: tuple[Any, ...], loss: jax.Array) -> None:
        """After a step. The batch is as the step took it; whoever reads the loss waits for the device."""

    def on_epoch_end(self, trainer: 'Trainer', progress: Progress, record: Record) -> None:
        """After an epoch and its validation, when the record is in the history."""

    def on_fit_end(self, trainer: 'Trainer', progress: Progress) -> None:
        """At the end, also if an exception is the end."""


class ProgressBar(Callback):
    """Shows epoch, steps, loss, metrics and samples per second; `fit(progress=True)` has one.

    In a terminal it is a bar of rich, if that is there; anywhere else one line for each epoch.

    Args:
        interval: the seconds between two looks at the numbers, each of which waits for the device.
    """

    def __init__(self, interval: float = 0.25):
        self.interval, self._bar, self._next = interval, None, 0.0

    def on_fit_begin(self, trainer, progress):
        self._bar = _rich_bar() if sys.stdout.isatty() else None
        if self._bar is not None:
            self._bar.start()

    def on_epoch_begin(self, trainer, progress):
        self._next = time.perf_counter() + self.interval

    def on_step(self, trainer, progress, batch, loss):
        if self._bar is not None and time.perf_counter() >= self._next:
            samples = progress.losses.read()[1]
            values = {'loss': progress.losses.mean, **trainer.metrics, 'samples/s': samples / progress.seconds}
            self._show(progress, progress.epoch, progress.batch, progress.total, values)
            self._next = time.perf_counter() + self.interval

    def on_epoch_end(self, trainer, progress, record):
        values = {name: value for name, value in record.items() if name not in ('epoch', 'steps', 'seconds')}
        values['samples/s'] = values.pop('samples_per_second')
        if self._bar is None:
            print(f'epoch {record["epoch"]}: {record["steps"]} steps, {record["seconds"]:.1f} s, {_text(values)}')
        else:
            self._show(progress, record['epoch'], record['steps'], record['steps'], values)

    def on_fit_end(self, trainer, progress):
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _show(self, progress, epoch: int, done: int, total: int | None, values) -> None:
        bar: Any = self._bar
        tasks = {task.fields['epoch']: task.id for task in bar.tasks}
        task = tasks[epoch] if epoch in tasks else bar.add_task('', epoch=epoch, values='')
        bar.update(task, completed=done, total=total, values=_text(values))
        bar.refresh()


def _text(values) -> str:
    return ', '.join(f'{name} {shown(value)}' for name, value in values.items())


def _rich_bar() -> Any:
    """A bar of rich that draws only when told, so that no thread of its own disturbs the steps; None without rich."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        return None
    return Progress(
        TextColumn('epoch {task.fields[epoch]}'),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn('{task.fields[values]}'),
        auto_refresh=False,
    )
