"""What a Trainer has been through: History, a record of each epoch, and Progress, how far it is."""

import dataclasses
import functools
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.describe import table
from gluonjax.errors import ArgumentError, MissingExtraError

Record = dict[str, Any]

CHUNK = 64  # losses that are read together


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

    def __eq__(self, other) -> bool:
        return isinstance(other, History) and self.records == other.records

    __hash__ = None  # pyright: ignore[reportAssignmentType]  (it grows)

    def __repr__(self) -> str:
        if not self.records:
            return 'History of no epoch'
        return table(self.names, [[shown(record.get(name)) for name in self.names] for record in self.records])

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {'records': [dict(record) for record in self.records]}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> 'History':
        """The history that `to_dict` saved."""
        return cls(saved['records'])

    def plot(self):
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


def _as_png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png')
    return buffer.getvalue()


def shown(value) -> Any:
    """A value of a record as text; whole numbers as they are."""
    if value is None:
        return ''
    return f'{value:.4g}' if isinstance(value, float) else value


class Losses:
    """The sum of the losses of an epoch. Values are read some steps after they were computed, so nothing waits.

    They are added up one after the other in float64, so that the sum is the same however often it is read.
    """

    def __init__(self, total: float = 0.0, samples: int = 0, finite_only: bool = False):
        self.total, self.samples, self.finite_only = total, samples, finite_only
        self._values: list[jax.Array] = []
        self._rows: list[int] = []
        self._chunks: list[tuple[jax.Array, list[int]]] = []

    def add(self, value: jax.Array, rows: int) -> None:
        """Adds the mean loss of so many samples."""
        self._values.append(value)
        self._rows.append(rows)
        if len(self._values) == CHUNK:
            self._chunks.append((_stacked(*self._values), self._rows))
            self._values, self._rows = [], []
            if len(self._chunks) > 2:
                self._take(self._chunks[:1], self._chunks[1:])

    def read(self) -> tuple[float, int]:
        """The sum over the samples, and their number; waits for the device."""
        self._take([*self._chunks, (jax.device_get(self._values), self._rows)], [])
        self._values, self._rows = [], []
        return self.total, self.samples

    def _take(self, chunks, rest) -> None:
        """Reads chunks. What changes, changes at once, in case that the reading is interrupted."""
        total, samples = self.total, self.samples
        for values, rows in chunks:
            for value, count in zip(np.asarray(values, 'float64').tolist(), rows, strict=True):
                if not self.finite_only or math.isfinite(value):
                    total, samples = total + value * count, samples + count
        self.total, self.samples, self._chunks = total, samples, rest

    @property
    def mean(self) -> float:
        """The mean over the samples; nan of none. It waits for the device."""
        total, samples = self.read()
        return total / samples if samples else math.nan


@jax.jit
def _stacked(*values):
    return jnp.stack(values)


@dataclasses.dataclass
class Progress:
    """How far the training is: what is needed, beside the Trainer's state, to go on in the middle of an epoch.

    Attributes:
        epoch: the epochs that are done; the number of the one that runs.
        batch: the batches that were taken from the data in this epoch.
        began: the epoch at which this call of `fit` began; None before the first.
        seconds: the time that this epoch has taken.
        losses: the sum of this epoch's losses.
        history: the records of the epochs that are done.
        stopping: whether the fit ends after this epoch.
        finished: whether the fit has come to its end, rather than to an exception.
        total: the number of batches of an epoch, where it is known.
    """

    epoch: int = 0
    batch: int = 0
    began: int | None = None
    seconds: float = 0.0
    losses: Losses = dataclasses.field(default_factory=Losses)
    history: History = dataclasses.field(default_factory=History)
    stopping: bool = False
    finished: bool = False
    total: int | None = None

    def stop(self) -> None:
        """Lets the fit end after this epoch."""
        self.stopping = True

    @property
    def records(self) -> list[Record]:
        """The records of this call of `fit`; of one that was interrupted and goes on, from its beginning."""
        return [record for record in self.history if record['epoch'] >= (self.began or 0)]

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; waits for the losses that are still being computed."""
        total, samples = self.losses.read()
        plain = {name: getattr(self, name) for name in ('epoch', 'batch', 'began', 'seconds')}
        return {**plain, 'loss': total, 'samples': samples, 'history': self.history.to_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> 'Progress':
        """The progress that `to_dict` saved."""
        plain = {name: saved[name] for name in ('epoch', 'batch', 'began', 'seconds')}
        losses, history = Losses(saved['loss'], saved['samples']), History.from_dict(saved['history'])
        return cls(**plain, losses=losses, history=history)
