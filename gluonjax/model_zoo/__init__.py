"""Networks that are known by name, with the parameters that were published for them.

>>> from gluonjax import model_zoo
>>> net = model_zoo.vision.get_model('resnet18_v1', classes=10)
>>> net.collect_params()['output.weight']
Parameter output.weight (shape=(10, 512), dtype=float32)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.model_zoo import model_store, vision
from gluonjax.model_zoo.vision import get_model
from gluonjax.packages import refuses_unknown

__all__ = ['get_model', 'model_store', 'vision']


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
