"""`gluon.model_zoo.vision`: the networks of gluonjax.model_zoo as blocks of Gluon, with the same names.

>>> net = get_model('mobilenet0.25', classes=10)
>>> len(net.collect_params('.*weight')), len(net.features)
(28, 83)
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gluonjax import nn as layers
from gluonjax.hints import missing
from gluonjax.model_zoo import vision
from gluonjax.mx.gluon.block import Block, HybridBlock, places_of
from gluonjax.mx.gluon.model_zoo.blocks import MADE, block_of, prefixes_of

__all__ = ['Classifier', 'get_model']

densenet: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
inception: ModuleType = sys.modules[__name__]
mobilenet: ModuleType = sys.modules[__name__]
resnet: ModuleType = sys.modules[__name__]
squeezenet: ModuleType = sys.modules[__name__]
vgg: ModuleType = sys.modules[__name__]


class Classifier(HybridBlock):
    """A network of the zoo: `features` makes a vector of an image, `output` scores of classes.

    Args:
        network: of gluonjax.model_zoo.
        kind: its class.
    """

    def __init__(self, network: Any, kind: str, **kwargs: Any):
        self.kind: str = kind.lower()
        super().__init__(**kwargs)
        definition = network.definition
        features, output = prefixes_of(kind)
        with self.name_scope():
            self.features: Any = block_of(definition.features, *features)
            self.output: Any = block_of(definition.output, *output)

    def _alias(self) -> str:
        return self.kind

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of classes, (N, classes)."""
        return self.output(self.features(x))


def get_model(name: str, **kwargs: Any) -> Classifier:
    """A network by its name: 'resnet18_v1', 'vgg16', 'mobilenet1.0', ...

    Args:
        name: as in gluonjax.model_zoo.
        **kwargs: `classes`, `pretrained` (the path of a file, or True), `root`; `ctx` is accepted.

    Raises:
        ArgumentError: for an unknown name.
    """
    return _made(functools.partial(vision.get_model, name), kwargs)


def _made(function: Any, kwargs: dict[str, Any]) -> Classifier:
    ctx, names = kwargs.pop('ctx', None), {key: kwargs.pop(key) for key in ('prefix', 'params') if key in kwargs}
    network = function(**kwargs)
    block = Classifier(network, type(network).__name__, **names)
    if kwargs.get('pretrained'):
        values = network.collect_params()
        for name, parameter in places_of(block).items():
            parameter.set_data(values[name].data())
            if ctx is not None:
                parameter.reset_ctx(ctx)
    return block


def _conv3x3(channels: int, stride: int, in_channels: int) -> Block:
    """The convolution of residual blocks, which networks in the style of MXNet's take from here."""
    return block_of(layers.Conv2D(channels, 3, stride, 1, use_bias=False, in_channels=in_channels), None)


class _Own:
    """A class of blocks of blocks, which a network may be made of.

    Args:
        native: of gluonjax.
    """

    def __init__(self, native: type):
        self.native: type = native

    def __call__(self, *args: Any, prefix: str | None = None, **kwargs: Any) -> Block:
        """A block."""
        return block_of(self.native(*args, **kwargs).definition, prefix)


_OWN: dict[str, _Own] = {}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """The functions and classes of gluonjax.model_zoo.vision."""
        if name not in vision.__all__:
            raise missing(f'module {__name__!r}', name, __name__, dir(vision))
        function = getattr(vision, name)
        if any(issubclass(function, cls) for cls in MADE) if isinstance(function, type) else False:
            return _OWN.setdefault(name, _Own(function))
        return lambda *args, **kwargs: _made(
            functools.partial(function, *(x.native if isinstance(x, _Own) else x for x in args)), kwargs
        )
