"""What Gluon's programs change of a layer that is made: `norm._kwargs['use_global_stats'] = True`, `dropout._rate = 0`.

>>> from gluonjax.mx import gluon
>>> norm, dropout = gluon.nn.BatchNorm(), gluon.nn.Dropout(0.5)
>>> norm._kwargs['use_global_stats'] = True
>>> dropout._rate = 0.2
>>> norm.layer.use_global_stats, dropout
(True, Dropout(p = 0.2, axes=()))
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer

ATTRIBUTES = {'_alpha': 'alpha', '_epsilon': 'epsilon', '_flatten': 'flatten', '_rate': 'rate'}
_FIELDS = {
    'dilate': 'dilation',
    'eps': 'epsilon',
    'momentum': 'momentum',
    'pad': 'padding',
    'stride': 'strides',
    'use_global_stats': 'use_global_stats',
}
_PASSED_BY = ('cudnn_off', 'cudnn_tune', 'workspace')  # what XLA has no use for


class Settings(dict[str, Any]):
    """The arguments of a layer by MXNet's names; some can be set.

    Args:
        given: the arguments.
        change: sets a field of the layer.
    """

    def __init__(self, given: Mapping[str, Any], change: Callable[[str, Any], None]):
        super().__init__(given)
        self._change = change

    def __setitem__(self, name: str, value: Any) -> None:
        if name in _FIELDS and name in self:
            self._change(_FIELDS[name], value)
        elif name not in _PASSED_BY:
            raise ArgumentError(f'{name!r} of a layer cannot be set', remedy='make another layer')
        super().__setitem__(name, value)


def changed(layer: Layer, field: str, value: Any) -> Layer:
    """The layer with another value of a field."""
    other = copy.copy(layer)
    object.__setattr__(other, field, value)
    return other
