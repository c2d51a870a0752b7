"""`gluon.model_zoo`: networks for images."""

from __future__ import annotations

from gluonjax.model_zoo import model_store
from gluonjax.mx.gluon.model_zoo import vision

__all__ = ['model_store', 'vision']
