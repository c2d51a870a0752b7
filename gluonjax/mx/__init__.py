"""MXNet as it was: its operators, and the graphs that it exported."""

from gluonjax.mx import gluon, op
from gluonjax.mx import symbol as sym

symbol = sym

__all__ = ['gluon', 'op', 'sym', 'symbol']
