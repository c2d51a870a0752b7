"""`mx.contrib`: what MXNet had on trial: operators of arrays and symbols, half precision, vectors of words."""

import importlib
from typing import TYPE_CHECKING, Any

from gluonjax.hints import missing
from gluonjax.mx.contrib import text
from gluonjax.mx.ndarray import contrib as nd
from gluonjax.mx.symbol import contrib as sym

ndarray = nd
symbol = sym

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """`amp`, which is loaded when it is used; what does not exist here is refused."""
        if name == 'amp':
            return importlib.import_module('gluonjax.mx.contrib.amp')
        raise missing(f'module {__name__!r}', name, __name__, __all__)


__all__ = ['nd', 'ndarray', 'sym', 'symbol', 'text']
