"""What `fit` shows while it runs: the numbers as text, and a bar that fits the terminal, drawn by rich."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from gluonjax.train.history import Record, shown

COMPILING, VALIDATING = 'compiling ...', 'validating'


def numbers_of(record: Record) -> Record:
    """What a record says of an epoch beside its number, steps and time."""
    values = {name: value for name, value in record.items() if name not in ('epoch', 'steps', 'seconds')}
    values['samples/s'] = values.pop('samples_per_second')
    return values


def as_text(values: Mapping[str, Any], width: float = float('inf')) -> str:
    """Names and values in one line. Where it is narrow, those of the training make room for those of the validation.

    The losses stay longest.

    >>> as_text({'loss': 0.123456, 'steps': 3})
    'loss 0.1235, steps 3'
    >>> as_text({'loss': 0.123456, 'accuracy': 0.5, 'val_loss': 0.25, 'val_accuracy': 0.5, 'samples/s': 1e3}, 50)
    'loss 0.1235, val_loss 0.25, val_accuracy 0.5'
    """
    texts = {name: f'{name} {shown(value)}' for name, value in values.items()}
    kept: list[str] = []
    for name in sorted(texts, key=lambda name: _rank(name, values[name])):
        if kept and len(', '.join(texts[name] for name in [*kept, name])) > width:
            break
        kept.append(name)
    return ', '.join(text for name, text in texts.items() if name in kept)


_FIRST = 'loss', 'val_loss', VALIDATING
_LAST = 'samples/s', 'learning_rate'


def _rank(name: str, value: Any) -> int:
    """How soon a value gives way, the last ones first."""
    if name in _FIRST:
        return _FIRST.index(name) - len(_FIRST)
    if not np.isscalar(value):  # lists are long
        return len(_LAST) + 2
    return _LAST.index(name) + 2 if name in _LAST else int(not name.startswith('val_'))


def print_line(text: str) -> None:
    """Prints a line that whoever reads a pipe has at once; what stands for stdout need have no more than `write`."""
    print(text)
    if callable(flush := getattr(sys.stdout, 'flush', None)):
        flush()


def is_terminal() -> bool:
    """Whether somebody looks at a terminal."""
    isatty = getattr(sys.stdout, 'isatty', None)
    return callable(isatty) and bool(isatty())


class EpochBar:
    """The bar of the epoch that runs, in the last line of the terminal; those that are done scroll by above it.

    It is drawn only when told, so that no other thread disturbs the steps.

    Raises:
        ImportError: if rich is not there.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar: Any = BarColumn(bar_width=20)
        columns = TextColumn('epoch {task.fields[epoch]}'), self._bar, MofNCompleteColumn()
        text = TextColumn('{task.fields[text]}', markup=False)
        self._display = Progress(*columns, text, auto_refresh=False, transient=True)
        self._task = self._display.add_task('', epoch='', text='', total=None, visible=False)

    def start(self) -> None:
        """Shows the bar from now on."""
        self._display.start()

    def stop(self) -> None:
        """Leaves the bar as it is, if its epoch is not done."""
        if self._display.tasks[0].visible:
            self._leave()
        self._display.stop()

    def draw(self, epoch: int, done: int, total: int | None, values: Mapping[str, Any] | str) -> None:
        """Draws the bar of an epoch: so many of all steps, and numbers, or words in their place."""
        width = self._display.console.width
        self._bar.bar_width = max(5, min(20, width // 8))
        count = f'{done}/{"?" if total is None else total}'
        room = width - len(f'epoch {epoch}  {count} ') - max(len(str(total)) - len(str(done)), 0) - self._bar.bar_width
        text = values[: max(room, 0)] if isinstance(values, str) else as_text(values, room)
        self._display.tasks[0].total = total  # update() takes None for no change
        self._display.update(self._task, completed=done, epoch=epoch, text=text, visible=True)
        self._display.refresh()

    def finish(self, epoch: int, steps: int, values: Mapping[str, Any]) -> None:
        """Draws the bar of an epoch that is done, and leaves it above the next one."""
        self.draw(epoch, steps, steps, values)
        self._leave()

    def _leave(self) -> None:
        self._display.console.print(self._display.make_tasks_table(self._display.tasks))
        self._display.update(self._task, visible=False)


def has_bars() -> bool:
    """Whether rich is there."""
    try:
        EpochBar()
    except ImportError:
        return False
    return True
