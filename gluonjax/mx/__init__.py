"""MXNet as it was: its arrays and their tape, gluon, its operators, and the graphs that it exported."""

from gluonjax import init, lr_scheduler, metric, optimizer
from gluonjax.mx import autograd, context, gluon, op, random
from gluonjax.mx import ndarray as nd
from gluonjax.mx import symbol as sym
from gluonjax.mx.alias import as_mxnet
from gluonjax.mx.context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus

initializer = init
ndarray = nd
symbol = sym

__all__ = [
    'Context',
    'as_mxnet',
    'autograd',
    'context',
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
    'num_gpus',
    'op',
    'optimizer',
    'random',
    'sym',
    'symbol',
]
