"""`mx.npx.image`: operators on images."""

from __future__ import annotations

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.ndarray import Namespace

_OPERATORS: Namespace = Namespace('_npx__image_', '_image_')


def __getattr__(name: str) -> object:
    return getattr(_OPERATORS, name)


explain_calls(globals())
