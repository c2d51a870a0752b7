"""`mx.contrib`: what MXNet had on trial: operators of arrays and of symbols, vocabularies and vectors of words."""

from gluonjax.mx.contrib import text
from gluonjax.mx.ndarray import contrib as nd
from gluonjax.mx.symbol import contrib as sym

ndarray = nd
symbol = sym

__all__ = ['nd', 'ndarray', 'sym', 'symbol', 'text']
