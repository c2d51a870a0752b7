"""Ref: one mutable reference to a value, and ways to read and write many of them at one moment.

CPython looks for signals, for exceptions sent by other threads and for other threads that want to run between two
bytecodes. What is read or written here passes through C alone, so that nothing comes in between: a reader sees all
values of one moment, and no Ctrl-C finds some written and others not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

Values = tuple[Any, ...]


class Ref:
    """A mutable reference to one value."""

    __slots__ = ('current',)

    def __init__(self, current: Any = None):
        self.current: Any = current


get: Callable[[Ref], Any] = operator.attrgetter('current')
_set: Callable[[Ref, Any], None] = Ref.current.__set__  # pyright: ignore[reportAttributeAccessIssue]  (a descriptor)
# Holds another object after every write, and after every change of what was known of values: who holds them, where they
# belong. While it holds the same one, what was read and found out before is still so.
LATEST = Ref(object())


def read(refs: Iterable[Ref]) -> Values:
    """The values of all, at one moment.

    >>> read([Ref(1), Ref(2)])
    (1, 2)
    """
    return tuple(map(get, refs))


def write(refs: Sequence[Ref], values: Iterable[Any]) -> None:
    """Sets all, at one moment."""
    before = read(refs)  # lives until all are written: an array that dies lets other threads run
    any(map(_set, chain(refs, (LATEST,)), chain(values, (object(),))))  # None, all of them
    del before


def note_change() -> None:
    """Lets nobody rely on what was found out before."""
    LATEST.current = object()
