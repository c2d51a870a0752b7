"""What layers and losses compute, as keys: those of equal arguments share their compiled programs."""

from __future__ import annotations

from typing import Any

from gluonjax.config import Frozen
from gluonjax.layer import Layer, leaves_of
from gluonjax.param import Param


class Signed:
    """A layer or a loss, equal to every other that computes the same.

    >>> from gluonjax import nn
    >>> Signed(nn.Dense(3)) == Signed(nn.Dense(3, bias_initializer='ones')), Signed(nn.Dense(3)) == Signed(nn.Dense(4))
    (True, False)
    """

    __slots__ = ('definition', 'signature')

    def __init__(self, definition: Any):
        self.definition: Any = definition
        self.signature: Any = _signature(definition)
        try:
            hash(self.signature)
        except TypeError:
            self.signature = _identity(definition)

    def __hash__(self) -> int:
        return hash(self.signature)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signed) and self.signature == other.signature


def _signature(value: Any) -> Any:
    """The class and all attributes, as far down as there are layers; of parameters, what is computed with."""
    if isinstance(value, Param):
        return value.shape, value.dtype, value.trainable, value.frozen, value.transform, value.copies
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_signature, value))
    if isinstance(value, dict):
        return type(value), tuple((name, _signature(item)) for name, item in value.items())
    if type(value) in (bool, int, float, complex, str):
        return type(value), repr(value)  # as 1, 1.0 and True are equal, and 0.0 and -0.0
    if isinstance(value, Frozen) and type(value).__module__.startswith('gluonjax.'):
        names = tuple(leaf.names for leaf in leaves_of(value)) if isinstance(value, Layer) else ()
        return type(value), names, tuple((name, _signature(item)) for name, item in vars(value).items())
    return value


def _identity(value: Any) -> tuple[str, int]:
    return 'alone', id(value)
