"""`mx.contrib`: what MXNet had on trial: operators, half precision, vectors of words; what was before `mx.autograd`."""

from __future__ import annotations

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
        """Modules that are loaded when they are used; what does not exist here is refused."""
        if name in ('amp', 'autograd', 'io', 'quantization', 'svrg_optimization'):
            return importlib.import_module(f'{__name__}.{name}')
        raise missing(f'module {__name__!r}', name, __name__, __all__)


__all__ = ['nd', 'ndarray', 'sym', 'symbol', 'text']
