"""Networks for images: the models of MXNet's Gluon, with its names and numbers.

Names and shapes of all parameters are those that `save_parameters` of MXNet 1.9.1 writes, so that files which were
published or trained there load: `pretrained=path`, or `net.load_parameters(path)`. The functions return networks whose
parameters wait for `initialize`:

>>> import jax.numpy as jnp
>>> net = get_model('mobilenet0.25', classes=10)
>>> net.initialize()
>>> net(jnp.ones((1, 3, 32, 32))).shape
(1, 10)

`net.features` makes a vector of an image, `net.output` scores of classes; either can be part of another network, or be
replaced. As everywhere, `net.definition`, `net.init` and `net.apply` are the stateless layer and its pure functions.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.vision.alexnet import AlexNet, alexnet
from gluonjax.model_zoo.vision.classifier import Classifier, Options
from gluonjax.model_zoo.vision.densenet import (
    DenseNet,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    get_densenet,
)
from gluonjax.model_zoo.vision.inception import Inception3, inception_v3
from gluonjax.model_zoo.vision.mobilenet import (
    RELU6,
    LinearBottleneck,
    MobileNet,
    MobileNetV2,
    get_mobilenet,
    get_mobilenet_v2,
    mobilenet0_5,
    mobilenet0_25,
    mobilenet0_75,
    mobilenet1_0,
    mobilenet_v2_0_5,
    mobilenet_v2_0_25,
    mobilenet_v2_0_75,
    mobilenet_v2_1_0,
)
from gluonjax.model_zoo.vision.resnet import (
    BasicBlockV1,
    BasicBlockV2,
    BottleneckV1,
    BottleneckV2,
    ResNetV1,
    ResNetV2,
    get_resnet,
    resnet18_v1,
    resnet18_v2,
    resnet34_v1,
    resnet34_v2,
    resnet50_v1,
    resnet50_v2,
    resnet101_v1,
    resnet101_v2,
    resnet152_v1,
    resnet152_v2,
)
from gluonjax.model_zoo.vision.squeezenet import SqueezeNet, get_squeezenet, squeezenet1_0, squeezenet1_1
from gluonjax.model_zoo.vision.vgg import (
    VGG,
    get_vgg,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from gluonjax.packages import refuses_unknown

__all__ = [  # noqa: RUF022  (a test holds the order of sorted())
    'AlexNet',
    'BasicBlockV1',
    'BasicBlockV2',
    'BottleneckV1',
    'BottleneckV2',
    'Classifier',
    'DenseNet',
    'Inception3',
    'LinearBottleneck',
    'MobileNet',
    'MobileNetV2',
    'Options',
    'RELU6',
    'ResNetV1',
    'ResNetV2',
    'SqueezeNet',
    'VGG',
    'alexnet',
    'densenet121',
    'densenet161',
    'densenet169',
    'densenet201',
    'get_densenet',
    'get_mobilenet',
    'get_mobilenet_v2',
    'get_model',
    'get_resnet',
    'get_squeezenet',
    'get_vgg',
    'inception_v3',
    'mobilenet0_25',
    'mobilenet0_5',
    'mobilenet0_75',
    'mobilenet1_0',
    'mobilenet_v2_0_25',
    'mobilenet_v2_0_5',
    'mobilenet_v2_0_75',
    'mobilenet_v2_1_0',
    'resnet101_v1',
    'resnet101_v2',
    'resnet152_v1',
    'resnet152_v2',
    'resnet18_v1',
    'resnet18_v2',
    'resnet34_v1',
    'resnet34_v2',
    'resnet50_v1',
    'resnet50_v2',
    'squeezenet1_0',
    'squeezenet1_1',
    'vgg11',
    'vgg11_bn',
    'vgg13',
    'vgg13_bn',
    'vgg16',
    'vgg16_bn',
    'vgg19',
    'vgg19_bn',
]

_MODELS: dict[str, Callable[..., Classifier]] = {
    'alexnet': alexnet,
    'densenet121': densenet121,
    'densenet161': densenet161,
    'densenet169': densenet169,
    'densenet201': densenet201,
    'inceptionv3': inception_v3,
    'mobilenet0.25': mobilenet0_25,
    'mobilenet0.5': mobilenet0_5,
    'mobilenet0.75': mobilenet0_75,
    'mobilenet1.0': mobilenet1_0,
    'mobilenetv2_0.25': mobilenet_v2_0_25,
    'mobilenetv2_0.5': mobilenet_v2_0_5,
    'mobilenetv2_0.75': mobilenet_v2_0_75,
    'mobilenetv2_1.0': mobilenet_v2_1_0,
    'resnet101_v1': resnet101_v1,
    'resnet101_v2': resnet101_v2,
    'resnet152_v1': resnet152_v1,
    'resnet152_v2': resnet152_v2,
    'resnet18_v1': resnet18_v1,
    'resnet18_v2': resnet18_v2,
    'resnet34_v1': resnet34_v1,
    'resnet34_v2': resnet34_v2,
    'resnet50_v1': resnet50_v1,
    'resnet50_v2': resnet50_v2,
    'squeezenet1.0': squeezenet1_0,
    'squeezenet1.1': squeezenet1_1,
    'vgg11': vgg11,
    'vgg11_bn': vgg11_bn,
    'vgg13': vgg13,
    'vgg13_bn': vgg13_bn,
    'vgg16': vgg16,
    'vgg16_bn': vgg16_bn,
    'vgg19': vgg19,
    'vgg19_bn': vgg19_bn,
}


@suggests_keywords
def get_model(name: str, **options: Any) -> Classifier:
    """The network with a name.

    Args:
        name: of a model, such as 'resnet50_v1', 'vgg16_bn', 'mobilenetv2_1.0' or 'inceptionv3'; case does not matter.
        **options: `classes`, `pretrained`, `ctx`, `root` and what the model's own function takes; see `Options`.

    Raises:
        ArgumentError: for another name; names the models that there are.

    >>> get_model('squeezenet1.1', classes=10).output[0]
    Conv2D(10, (1, 1))
    >>> get_model('resnet50_v3')
    Traceback (most recent call last):
    ...
    gluonjax.errors.ArgumentError: no model is named 'resnet50_v3'
      expected: one of alexnet, densenet121, ...
      try: 'resnet50_v2'
    """
    model = _MODELS.get(str(name).lower())
    if model is None:
        near = difflib.get_close_matches(str(name).lower(), _MODELS, 1)
        raise ArgumentError(
            f'no model is named {name!r}',
            expected=f'one of {", ".join(_MODELS)}',
            remedy=repr(near[0]) if near else None,
        )
    return model(**options)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
