"""`mx.contrib`: what MXNet had on trial: operators of arrays and of symbols, vocabularies and vectors of words."""

from typing import TYPE_CHECKING, Any

from gluonjax.hints import missing
from gluonjax.mx.contrib import text
from gluonjax.mx.ndarray import contrib as nd
from gluonjax.mx.symbol import contrib as sym

ndarray = nd
symbol = sym

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Refuses what does not exist here."""
        raise missing(f'module {__name__!r}', name, __name__, __all__)


__all__ = ['nd', 'ndarray', 'sym', 'symbol', 'text']
