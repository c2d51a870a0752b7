"""MXNet as it was: its arrays and their tape, gluon, its operators, and the graphs that it exported."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from gluonjax.errors import GluonError
from gluonjax.hints import missing
from gluonjax.mx import autograd, context, gluon, initializer, op, random
from gluonjax.mx import ndarray as nd
from gluonjax.mx import symbol as sym
from gluonjax.mx.alias import as_mxnet
from gluonjax.mx.context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus
from gluonjax.mx.naming import AttrScope

init = initializer
ndarray = nd
symbol = sym
rnd = random
MXNetError = GluonError
__version__ = '1.9.1'

if TYPE_CHECKING:
    from gluonjax.mx import contrib, lr_scheduler, metric, numpy, numpy_extension, optimizer
    from gluonjax.mx import numpy as np
    from gluonjax.mx import numpy_extension as npx

# What is rarely used is loaded when it is asked for: the name, and the module.
_LAZY = {
    'attribute': 'gluonjax.mx.naming',
    'base': 'gluonjax.mx.base',
    'callback': 'gluonjax.mx.callback',
    'contrib': 'gluonjax.mx.contrib',
    'engine': 'gluonjax.mx.engine',
    'error': 'gluonjax.mx.base',
    'image': 'gluonjax.mx.image',
    'img': 'gluonjax.mx.image',
    'io': 'gluonjax.mx.io',
    'kv': 'gluonjax.mx.kvstore',
    'kvstore': 'gluonjax.mx.kvstore',
    'libinfo': 'gluonjax.mx.runtime',
    'lr_scheduler': 'gluonjax.mx.lr_scheduler',
    'metric': 'gluonjax.mx.metric',
    'mod': 'gluonjax.mx.module',
    'model': 'gluonjax.mx.model',
    'module': 'gluonjax.mx.module',
    'mon': 'gluonjax.mx.monitor',
    'monitor': 'gluonjax.mx.monitor',
    'name': 'gluonjax.mx.naming',
    'np': 'gluonjax.mx.numpy',
    'npx': 'gluonjax.mx.numpy_extension',
    'numpy': 'gluonjax.mx.numpy',
    'numpy_extension': 'gluonjax.mx.numpy_extension',
    'operator': 'gluonjax.mx.operator',
    'optimizer': 'gluonjax.mx.optimizer',
    'profiler': 'gluonjax.mx.profiler',
    'recordio': 'gluonjax.data.recordio',
    'rnn': 'gluonjax.mx.rnn',
    'runtime': 'gluonjax.mx.runtime',
    'test_utils': 'gluonjax.mx.test_utils',
    'util': 'gluonjax.mx.dialect',
    'visualization': 'gluonjax.mx.visualization',
    'viz': 'gluonjax.mx.visualization',
}

_OF_DIALECT = (
    'is_np_array',
    'is_np_shape',
    'np_array',
    'np_shape',
    'set_np_shape',
    'use_np',
    'use_np_array',
    'use_np_shape',
)

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Modules that are loaded when they are first used."""
        if name in _OF_DIALECT:
            return globals().setdefault(name, getattr(importlib.import_module('gluonjax.mx.dialect'), name))
        if name not in _LAZY and importlib.util.find_spec(f'{__name__}.{name}') is None:
            raise missing(f'module {__name__!r}', name, __name__, [*__all__, *_LAZY])
        globals()[name] = module = importlib.import_module(_LAZY.get(name, f'{__name__}.{name}'))
        return module


__all__ = [
    'AttrScope',
    'Context',
    'MXNetError',
    'as_mxnet',
    'autograd',
    'context',
    'contrib',
    'cpu',
    'cpu_pinned',
    'current_context',
    'gluon',
    'gpu',
    'init',
    'initializer',
    'lr_scheduler',
    'metric',
    'nd',
    'ndarray',
    'np',
    'npx',
    'num_gpus',
    'numpy',
    'numpy_extension',
    'op',
    'optimizer',
    'random',
    'rnd',
    'sym',
    'symbol',
]
