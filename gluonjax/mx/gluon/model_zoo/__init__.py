"""`gluon.model_zoo`: networks for images."""

from gluonjax.mx.gluon.model_zoo import vision

__all__ = ['vision']
