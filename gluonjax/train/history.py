"""What a Trainer has been through: History, a record of each epoch, and FitState, how far it is."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from gluonjax.errors import ArgumentError, MissingExtraError
from gluonjax.ref import Ref
from gluonjax.tables import table

Record = dict[str, Any]


class History:
    """A record of each epoch: its number (from 0), steps, loss, metrics, those of the validation, time and rate.

    >>> history = History([{'epoch': 0, 'loss': 0.5}, {'epoch': 1, 'loss': 0.25}])
    >>> history['loss']
    [0.5, 0.25]
    >>> history
    epoch  loss
    -----  ----
        0  0.5
        1  0.25
    >>> History.from_dict(history.to_dict()).records == history.records
    True
    """

    def __init__(self, records: list[Record] | None = None):
        self.records: list[Record] = [dict(record) for record in records or ()]

    @property
    def names(self) -> list[str]:
        """What there is of at least one epoch."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.names:
            raise ArgumentError(f'the history has no {name!r}', expected=f'one of {self.names}')
        return [record.get(name) for record in self.records]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.records == other.records

    __hash__: ClassVar[None] = None  # pyright: ignore[reportAssignmentType]  (it grows)

    def __repr__(self) -> str:
        if not self.records:
            return 'History of no epoch'
        return table(self.names, [[shown(record.get(name)) for name in self.names] for record in self.records])

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {'records': [dict(record) for record in self.records]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> History:
        """The history that `to_dict` saved."""
        return cls(saved['records'])

    def plot(self) -> Any:
        """Draws loss and metrics over the epochs, with those of the validation beside them.

        Returns:
            A matplotlib Figure: one picture for the loss, one for each metric that is a number.

        Raises:
            MissingExtraError: if matplotlib is not there.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError(
                'history.plot() draws with matplotlib', remedy="pip install 'gluonjax[train]'"
            ) from None
        names = [name for name in self.names if self._is_measured(name)]
        figure = Figure(figsize=(4 * max(len(names), 1), 3), layout='constrained')
        for i, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), i + 1, xlabel='epoch', title=name)
            for column, label in ((name, 'training'), (f'val_{name}', 'validation')):
                if column in self.names:
                    values = [math.nan if value is None else value for value in self[column]]
                    axes.plot(self['epoch'], values, marker='.', label=label)
            locator: Any = axes.xaxis.get_major_locator()
            locator.set_params(integer=True)
            axes.legend()
        vars(figure)['_repr_png_'] = functools.partial(_as_png, figure)  # a notebook shows it without pyplot too
        return figure

    def _is_measured(self, name: str) -> bool:
        """Whether it is a loss or a metric that is one number; those of the validation are drawn beside it."""
        others = ('epoch', 'steps', 'learning_rate', 'seconds', 'samples_per_second')
        numbers = all(isinstance(value, int | float | None) for value in self[name])
        return numbers and name not in others and name.removeprefix('val_') not in set(self.names) - {name}


def _as_png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()


def shown(value: Any) -> Any:
    """A value of a record as text; whole numbers as they are."""
    if value is None:
        return ''
    return f'{value:.4g}' if isinstance(value, float) else value


@dataclasses.dataclass
class FitState:
    """How far the training is: what is needed, beside the Trainer's state, to go on in the middle of an epoch.

    Attributes:
        epoch: the epochs that are done; the number of the one that runs.
        began: the epoch at which this call of `fit` began; None before the first.
        seconds: the time that this epoch has taken.
        history: the records of the epochs that are done.
        stopping: whether the fit ends after this epoch.
        finished: whether the fit has come to its end, rather than to an exception.
        total: the number of batches of an epoch, where it is known.
        validates: whether a validation follows each epoch.
        done: the batches of this epoch, as far as no step of a running fit counts them.
    """

    epoch: int = 0
    began: int | None = None
    seconds: float = 0.0
    history: History = dataclasses.field(default_factory=History)
    stopping: bool = False
    finished: bool = False
    total: int | None = None
    validates: bool = False
    done: int = 0
    _steps: Ref | None = None  # the count of the Trainer's steps, which no interrupt finds behind the values
    _first: int = 0  # what it was before the first batch of this epoch

    @property
    def batch(self) -> int:
        """The batches of this epoch that were trained on."""
        return self.done if self._steps is None else self._steps.current - self._first

    def begin(self, steps: Ref, resume: bool) -> None:
        """A fit begins, or goes on, and counts its batches by the steps."""
        self.stopping = self.finished = False
        if resume and any(record['epoch'] == self.epoch for record in self.history):  # interrupted right after it
            self.end_epoch()
        if not resume or self.began is None:
            self.began, self.done, self.seconds = self.epoch, 0, 0.0
        self._first, self._steps = steps.current - self.done, steps

    def end(self) -> None:
        """The fit ends: steps that are done now are no batches of its epoch."""
        self.done, self._steps = self.batch, None

    def end_epoch(self) -> None:
        """Turns to the next epoch."""
        self._first += self.batch
        self.epoch, self.done, self.seconds = self.epoch + 1, 0, 0.0

    def stop(self) -> None:
        """Lets the fit end after this epoch."""
        self.stopping = True

    @property
    def records(self) -> list[Record]:
        """The records of this call of `fit`; of one that was interrupted and goes on, from its beginning."""
        return [record for record in self.history if record['epoch'] >= (self.began or 0)]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        now = {'epoch': self.epoch, 'batch': self.batch, 'began': self.began, 'seconds': self.seconds}
        return {**now, 'history': self.history.to_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FitState:
        """The state that `to_dict` saved."""
        try:
            epoch, batch, began, seconds = (saved[name] for name in ('epoch', 'batch', 'began', 'seconds'))
            return cls(epoch, began, seconds, History.from_dict(saved['history']), done=batch)
        except (KeyError, TypeError, IndexError) as error:
            raise ArgumentError('this is no fit_state', expected='what trainer.fit_state was', got=saved) from error
