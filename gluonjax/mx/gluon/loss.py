"""`gluon.loss`: the losses of gluonjax as blocks of Gluon.

>>> from gluonjax.mx import nd
>>> from gluonjax.mx.gluon import loss
>>> loss.L2Loss()(nd.array([[1.0], [3.0]]), nd.array([[1.0], [1.0]])).asnumpy()
array([0., 2.], dtype=float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gluonjax import loss
from gluonjax.errors import ArgumentError
from gluonjax.hints import missing
from gluonjax.mx.dialect import is_np_array
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.library import Loss, loss_class

__all__ = ['Loss']
_MADE: dict[str, Any] = {}


def _apply_weighting(F: Any, loss: Any, weight: float | None = None, sample_weight: Any = None) -> Any:
    """A loss times the weights of samples and a number; losses of one's own call it by this name."""
    if weight is not None and not isinstance(weight, int | float | np.generic):
        raise ArgumentError('weight must be a number', got=repr(weight))
    if sample_weight is not None:
        loss = loss * sample_weight if is_np_array() else F.broadcast_mul(loss, sample_weight)
    return loss if weight is None else loss * weight


def _reshape_like(F: Any, x: Any, y: Any) -> Any:
    """An array in the shape of another; losses of one's own call it by this name."""
    return (F.npx if is_np_array() else F).reshape_like(x, y)


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every loss of gluonjax.loss."""
        if name not in loss.__all__:
            raise missing(f'module {__name__!r}', name, __name__, loss.__all__)
        return _MADE.setdefault(name, loss_class(getattr(loss, name)))


explain_calls(globals())
