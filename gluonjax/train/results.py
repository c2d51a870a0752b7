"""Results: what training steps have returned, before it is in the Refs where it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

from gluonjax.ref import LATEST, UNSETTLED, Ref, Values, read, settle, write


class StepCount(Ref):
    """How many steps were done; whoever reads it leaves the results of steps where they are."""

    __slots__ = ()

    @property
    def current(self) -> int:
        """The count."""
        results = UNSETTLED.stored
        return results.count() if results is not None and results.steps is self else self.stored

    @current.setter
    def current(self, value: int) -> None:
        write((self,), (value,))


class Results:
    """What steps return, from the gathering of arrays until somebody reads or writes a Ref.

    Args:
        refs: where what a step returns belongs.
        steps: where the number of steps belongs.

    Attributes:
        refs: all that is written when steps are settled.
        items: what was gathered, and what each step returned; all but the last are None in the end.
        gathered: what the Refs hold meanwhile. It dies when arrays are gathered anew, and not while Refs are written.
    """

    __slots__ = ('first', 'gathered', 'items', 'refs', 'steps')

    def __init__(self, refs: tuple[Ref, ...], steps: StepCount):
        self.steps: StepCount = steps
        self.refs: tuple[Ref, ...] = (*refs, steps, UNSETTLED, LATEST)
        self.gathered: Values = read(refs)
        self.items: list[Any] = [self.gathered]
        self.first: int = steps.current

    def count(self) -> int:
        """How many steps were done."""
        return self.first + len(self.items) - 1

    def latest(self) -> Iterable[Any]:
        """What `refs` are to hold."""
        return chain(self.items[-1], (self.count(), None, object()))

    def begin(self, latest: object) -> None:
        """From here on steps leave their results here, if no Ref was read out or written since `LATEST` held this."""
        change = map(setattr, (UNSETTLED, LATEST), repeat('stored'), (self, object()))
        if LATEST.stored is latest:  # a handler of signals may run before, and not after
            any(change)


def settle_steps(steps: StepCount) -> None:
    """Puts the results of the steps that this counts into their Refs, as nobody holds the Trainer any more."""
    results = UNSETTLED.stored
    if results is not None and results.steps is steps:
        settle()
