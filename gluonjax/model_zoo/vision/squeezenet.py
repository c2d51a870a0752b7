"""SqueezeNet: Iandola et al. (2016), AlexNet-level accuracy with 50x fewer parameters; version 1.1 computes less."""

from __future__ import annotations

from typing import Any, Unpack

from gluonjax import nn
from gluonjax.checks import one_of, size
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier, Options


def _conv(channels: int, kernel_size: int, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(nn.Conv2D(channels, kernel_size, padding=padding), nn.Activation('relu'))


def _fire(squeezed: int) -> nn.Sequential:
    """Few channels by a 1 by 1 convolution, then four times as many by each of two."""
    expanded = 4 * squeezed
    return nn.Sequential(_conv(squeezed, 1), nn.Concatenate(_conv(expanded, 1), _conv(expanded, 3, 1), axis=1))


# The first convolution, and the squeezed channels of each fire module; between the groups the image is halved.
_VERSIONS = {
    '1.0': ((96, 7), ((16, 16, 32), (32, 48, 48, 64), (64,))),
    '1.1': ((64, 3), ((16, 16), (32, 32), (48, 48, 64, 64))),
}


class SqueezeNet(Classifier):
    """Fire modules with max pools between them; images are 224 by 224, as the last pool takes 13 by 13.

    Args:
        version: '1.0' or '1.1'.
        classes: the number of classes.

    Raises:
        ArgumentError: for another version.

    >>> SqueezeNet('1.1', classes=10).output
    Sequential(
      (0): Conv2D(10, (1, 1))
      (1): Activation('relu')
      (2): AvgPool2D(pool_size=(13, 13), strides=(13, 13))
      (3): Flatten()
    )
    """

    def __init__(self, version: str, classes: int = 1000):
        (channels, kernel_size), groups = _VERSIONS[one_of('version', version, _VERSIONS)]
        layers = [nn.Conv2D(channels, kernel_size, 2), nn.Activation('relu')]
        for group in groups:
            layers += [nn.MaxPool2D(3, 2, ceil_mode=True), *map(_fire, group)]
        features = nn.Sequential(*layers, nn.Dropout(0.5))
        last = nn.Conv2D(size('classes', classes), 1)
        super().__init__(features, nn.Sequential(last, nn.Activation('relu'), nn.AvgPool2D(13), nn.Flatten()))


@suggests_keywords
def get_squeezenet(
    version: str, pretrained: bool | PathLike = False, ctx: Any = None, root: PathLike | None = None, **options: Any
) -> SqueezeNet:
    """The SqueezeNet of a version.

    Args:
        version: '1.0' or '1.1'.
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes`, as `SqueezeNet` takes it.

    Raises:
        ArgumentError: for another version.
    """
    return load_pretrained(SqueezeNet(version, **options), f'squeezenet{version}', pretrained, root, ctx)


def squeezenet1_0(**options: Unpack[Options]) -> SqueezeNet:
    """SqueezeNet, version 1.0."""
    return get_squeezenet('1.0', **options)


def squeezenet1_1(**options: Unpack[Options]) -> SqueezeNet:
    """SqueezeNet, version 1.1: 2.4 times less computation than 1.0, and as accurate."""
    return get_squeezenet('1.1', **options)
