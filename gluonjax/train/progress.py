"""What `fit` shows while it runs: the numbers as text, and a bar for each epoch, drawn by rich."""

from collections.abc import Mapping
from typing import Any

from gluonjax.train.history import Record, shown


def numbers_of(record: Record) -> Record:
    """What a record says of an epoch beside its number, steps and time."""
    values = {name: value for name, value in record.items() if name not in ('epoch', 'steps', 'seconds')}
    values['samples/s'] = values.pop('samples_per_second')
    return values


def as_text(values: Mapping[str, Any]) -> str:
    """Names and values in one line.

    >>> as_text({'loss': 0.123456, 'steps': 3})
    'loss 0.1235, steps 3'
    """
    return ', '.join(f'{name} {shown(value)}' for name, value in values.items())


class EpochBars:
    """Bars on the terminal. They are drawn only when told, so that no other thread disturbs the steps.

    Raises:
        ImportError: if rich is not there.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = TextColumn('epoch {task.fields[epoch]}'), BarColumn(bar_width=20), MofNCompleteColumn()
        self._bars = Progress(*columns, TextColumn('{task.fields[values]}'), auto_refresh=False)

    def start(self) -> None:
        """Shows bars from now on."""
        self._bars.start()

    def stop(self) -> None:
        """Leaves the bars as they are."""
        self._bars.stop()

    def draw(self, epoch: int, done: int, total: int | None, values: Mapping[str, Any]) -> None:
        """Draws the bar of an epoch: so many of all steps, and numbers."""
        tasks = {task.fields['epoch']: task.id for task in self._bars.tasks}
        task = tasks[epoch] if epoch in tasks else self._bars.add_task('', epoch=epoch, values='')
        self._bars.update(task, completed=done, total=total, values=as_text(values))
        self._bars.refresh()


def has_bars() -> bool:
    """Whether rich is there."""
    try:
        EpochBars()
    except ImportError:
        return False
    return True
