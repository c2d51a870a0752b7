"""Sequences that cells are unrolled over: arrays or symbols, in one piece or as a list of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import of_symbols

Layout = Literal['NTC', 'TNC'] | str


def operators_of(x: Any) -> Any:
    """The module `F` whose operators take such values: `mx.sym` or `mx.nd`."""
    return symbol if of_symbols(x) else ndarray


def is_whole(sequence: Any) -> bool:
    """Whether a sequence is one array or symbol, and no list of steps."""
    return isinstance(sequence, NDArray | symbol.Symbol)


def time_axis(layout: Layout) -> int:
    """The axis of the steps.

    Raises:
        ArgumentError: for a layout without steps or batch.
    """
    if not {'T', 'N'} <= set(layout):
        raise ArgumentError(f"layout must be one of 'NTC', 'TNC'; got {layout!r}")
    return layout.index('T')


def steps_of(length: int, sequence: Any, layout: Layout) -> list[Any]:
    """The steps of a sequence, each (N, ...).

    Raises:
        ShapeError: if there are more or fewer.
    """
    axis = time_axis(layout)
    if is_whole(sequence):
        if isinstance(sequence, NDArray) and sequence.shape[axis] != length:
            raise ShapeError('the sequence has another number of steps', expected=length, got=sequence.shape)
        parts = operators_of(sequence).split(sequence, num_outputs=length, axis=axis, squeeze_axis=True)
        return [parts] if isinstance(parts, NDArray) else list(parts)
    if len(sequence) != length:
        raise ShapeError('the sequence has another number of steps', expected=length, got=f'a list of {len(sequence)}')
    return list(sequence)


def joined(steps: Any, layout: Layout) -> Any:
    """The sequence in one piece."""
    return steps if is_whole(steps) else operators_of(steps).stack(*steps, axis=time_axis(layout))


def formed(length: int, sequence: Any, layout: Layout, merge: bool | None) -> Any:
    """A sequence as `merge_outputs` wants it: in one piece, as a list, or (None) as it is."""
    if merge is None:
        return sequence
    return joined(sequence, layout) if merge else steps_of(length, sequence, layout)


def masked(sequence: Any, valid_length: Any, layout: Layout) -> Any:
    """The sequence in one piece, with zeros beyond the valid lengths."""
    whole = joined(sequence, layout)
    return operators_of(whole).SequenceMask(
        whole, sequence_length=valid_length, use_sequence_length=True, axis=time_axis(layout)
    )


def last_valid(states: Sequence[Any], valid_length: Any) -> Any:
    """Of one state at each step, that of the last valid one."""
    F = operators_of(states)
    return F.SequenceLast(F.stack(*states, axis=0), sequence_length=valid_length, use_sequence_length=True, axis=0)


def reversed_steps(steps: Sequence[Any], valid_length: Any = None) -> list[Any]:
    """The steps from the last (valid) one to the first."""
    if valid_length is None:
        return list(reversed(steps))
    F = operators_of(steps)
    whole = F.SequenceReverse(F.stack(*steps, axis=0), sequence_length=valid_length, use_sequence_length=True)
    return steps_of(len(steps), whole, 'TNC')


explain_calls(globals())
