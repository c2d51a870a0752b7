"""`mx.contrib`: what MXNet had on trial: operators of arrays and of symbols, vocabularies and vectors of words."""

from typing import TYPE_CHECKING, Any

from gluonjax.errors import MissingNameError
from gluonjax.mx.contrib import text
from gluonjax.mx.ndarray import contrib as nd
from gluonjax.mx.symbol import contrib as sym

ndarray = nd
symbol = sym

# What does not exist here, and what to write instead.
_REMEDIES = {
    'amp': "net.cast('bfloat16'): its range is that of float32, so that no loss is scaled",
    'onnx': "net.export('net') writes MXNet's graph and parameters",
    'quantization': "net.cast('bfloat16'); exported int8 networks run by gluon.SymbolBlock.imports",
    'tensorboard': 'a callback or an event handler that writes metric.get()',
}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Refuses what does not exist here."""
        raise MissingNameError(f'mx.contrib has no {name!r}', remedy=_REMEDIES.get(name), name=name)


__all__ = ['nd', 'ndarray', 'sym', 'symbol', 'text']
