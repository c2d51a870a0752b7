"""`gluon.model_zoo`: networks for images."""

from __future__ import annotations

from gluonjax.mx.gluon.model_zoo import vision

__all__ = ['vision']
