"""Ref: one mutable reference to a value, and ways to read and write many of them at one moment.

CPython looks for signals, for exceptions sent by other threads and for other threads that want to run between two
bytecodes. What is read or written here passes through C alone, so that nothing comes in between: a reader sees all
values of one moment, and no Ctrl-C finds some written and others not.

Training steps that follow one another leave their results in one list: who reads or writes a Ref next puts them into
the Refs where they belong.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

Values = tuple[Any, ...]

LOCK = threading.RLock()  # guards values and structure, library-wide, because networks share Parameters


class Ref:
    """A mutable reference to one value.

    Attributes:
        stored: what is in it, which a training step may have replaced since.
    """

    __slots__ = ('stored',)

    def __init__(self, current: Any = None):
        self.stored: Any = current

    @property
    def current(self) -> Any:
        """The value."""
        return read((self,))[0]

    @current.setter
    def current(self, value: Any) -> None:
        write((self,), (value,))


_get: Callable[[Ref], Any] = operator.attrgetter('stored')
# Holds another object after every write, and after every change of what was known of values: who holds them, where they
# belong. While it holds the same one, what was read and found out before is still so.
LATEST = Ref(object())
# The Results of training steps that are not in the Refs yet. Its `refs` are these Refs, UNSETTLED and LATEST, and
# `latest()` gives the values of all. What they held before lives as long as the Results do.
UNSETTLED = Ref()
WRITTEN = Ref(object())  # holds another object after every write but those of `settle`


def settle() -> None:
    """Puts the results of training steps into the Refs where they belong."""
    if UNSETTLED.stored is not None:
        with LOCK:
            results = UNSETTLED.stored
            if results is not None:
                _write(results.refs, results.latest())


def read(refs: Iterable[Ref]) -> Values:
    """The values of all, at one moment.

    >>> read([Ref(1), Ref(2)])
    (1, 2)
    """
    refs = tuple(refs)
    while True:
        latest = LATEST.stored
        if UNSETTLED.stored is None:
            values = tuple(map(_get, refs))
            if latest is LATEST.stored:  # no step began in the meantime
                return values
        settle()


def write(refs: Sequence[Ref], values: Iterable[Any]) -> None:
    """Sets all, at one moment."""
    with LOCK:
        settle()
        before = tuple(map(_get, refs))  # lives until all are written: an array that dies lets other threads run
        _write((*refs, WRITTEN, LATEST), (*values, object(), object()))
        del before


def _write(refs: Iterable[Ref], values: Iterable[Any]) -> None:
    any(map(setattr, refs, repeat('stored'), values))  # None, all of them


def note_change() -> None:
    """Lets nobody rely on what was found out before."""
    settle()
    LATEST.stored = object()
