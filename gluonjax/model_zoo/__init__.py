"""Networks that are known by name, with the parameters that were published for them.

>>> from gluonjax import model_zoo
>>> net = model_zoo.vision.get_model('resnet18_v1', classes=10)
>>> net.collect_params()['output.weight']
Parameter output.weight (shape=(10, 512), dtype=float32)
"""

from __future__ import annotations

from gluonjax.model_zoo import model_store, vision
from gluonjax.model_zoo.vision import get_model

__all__ = ['get_model', 'model_store', 'vision']
