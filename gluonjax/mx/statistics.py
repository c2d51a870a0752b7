"""Running statistics as MXNet's BatchNorm has them on CPUs: they change in the backward pass.

A call that is never differentiated leaves them alone, and of several calls before one `backward`, the first is counted
last. In generative adversarial networks, where one network is called twice a step, the numbers depend on it.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from gluonjax.mx.tape import Entry, Tracked

_NOTED: contextvars.ContextVar[dict[int, float] | None] = contextvars.ContextVar('noted', default=None)


@contextlib.contextmanager
def noted() -> Iterator[dict[int, float]]:
    """A `with` block that traces a program, where they change at once.

    It gives how much of the old value the new one has, by the `id` of the array.
    """
    found: dict[int, float] = {}
    token = _NOTED.set(found)
    try:
        yield found
    finally:
        _NOTED.reset(token)


def change(
    outputs: Sequence[Entry | None], states: Sequence[Any], values: Sequence[Any], shares: Sequence[float]
) -> None:
    """Has statistics change when the gradient of these outputs is taken.

    Args:
        outputs: what was computed from the batch.
        states: the arrays (NDArray) of the statistics.
        values: what they become, if nothing changes them until then.
        shares: how much of the old value is in the new one, for each.
    """
    tracing = _NOTED.get()
    if tracing is not None:
        for state, value, share in zip(states, values, shares, strict=True):
            tracing[id(state)] = tracing.get(id(state), 1.0) * share
            state.assign(Tracked(value))
        return
    node = next((entry.node for entry in outputs if entry is not None), None)
    if node is None:
        return
    before: list[jax.Array] = [state.value for state in states]

    def write() -> None:
        for state, old, value, share in zip(states, before, values, shares, strict=True):
            now = state.value
            state.assign(Tracked(value if now is old else value + share * (now - old)))

    node.actions.append(write)
