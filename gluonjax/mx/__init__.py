"""MXNet as it was: its operators, and the graphs that it exported."""

from gluonjax.mx import op

__all__ = ['op']
