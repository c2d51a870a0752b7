"""Snapshot: the values of a network at one moment, for whoever pickles or copies it while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gluonjax.block import Block, held_in
from gluonjax.parameter import LOCK, Parameter, hand_out
from gluonjax.ref import Values, read


class Snapshot:
    """The values of a network at one moment.

    Parameters are pickled one by one, and a training step in another thread may come in between. What was pickled
    behind them, a Snapshot, sets them all to the values of one moment when it is read. An array is written once.
    """

    def __init__(self, network: Block):
        with LOCK:
            self.parameters: tuple[Parameter, ...] = tuple(
                {id(held.parameter): held.parameter for _, held in held_in(network)}.values()
            )
            hand_out(self.parameters)
            self.values: Values = read(self.parameters)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for parameter, value in zip(state['parameters'], state['values'], strict=True):
            now = parameter.stored
            if now is not None and value is not None and (now.shape, now.dtype) == (value.shape, value.dtype):
                parameter.current = value
