"""Inception v3: Szegedy et al. (2015), Rethinking the Inception architecture for computer vision.

Its modules A to E run several branches side by side, and put their channels beside each other.
"""

from __future__ import annotations

from typing import Any

from gluonjax import nn
from gluonjax.block import Block
from gluonjax.checks import size
from gluonjax.layer import Layer
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier

_Sizes = int | tuple[int, int]


def _conv(channels: int, kernel_size: _Sizes, strides: int = 1, padding: _Sizes = 0) -> nn.Sequential:
    conv = nn.Conv2D(channels, kernel_size, strides, padding, use_bias=False)
    return nn.Sequential(conv, nn.BatchNorm(epsilon=0.001), nn.Activation('relu'))


def _wide(channels: int, length: int) -> nn.Sequential:
    return _conv(channels, (1, length), padding=(0, length // 2))


def _tall(channels: int, length: int) -> nn.Sequential:
    return _conv(channels, (length, 1), padding=(length // 2, 0))


def _module(*branches: list[Block | Layer]) -> nn.Concatenate:
    return nn.Concatenate(*(nn.Sequential(*branch) for branch in branches), axis=1)


def _mean() -> Layer:
    return nn.AvgPool2D(3, 1, 1)


def _module_a(pooled: int) -> Block:
    return _module(
        [_conv(64, 1)],
        [_conv(48, 1), _conv(64, 5, padding=2)],
        [_conv(64, 1), _conv(96, 3, padding=1), _conv(96, 3, padding=1)],
        [_mean(), _conv(pooled, 1)],
    )


def _module_b() -> Block:
    return _module(
        [_conv(384, 3, 2)],
        [_conv(64, 1), _conv(96, 3, padding=1), _conv(96, 3, 2)],
        [nn.MaxPool2D(3, 2)],
    )


def _module_c(inner: int) -> Block:
    return _module(
        [_conv(192, 1)],
        [_conv(inner, 1), _wide(inner, 7), _tall(192, 7)],
        [_conv(inner, 1), _tall(inner, 7), _wide(inner, 7), _tall(inner, 7), _wide(192, 7)],
        [_mean(), _conv(192, 1)],
    )


def _module_d() -> Block:
    return _module(
        [_conv(192, 1), _conv(320, 3, 2)],
        [_conv(192, 1), _wide(192, 7), _tall(192, 7), _conv(192, 3, 2)],
        [nn.MaxPool2D(3, 2)],
    )


def _module_e() -> Block:
    def split() -> Block:
        return _module([_wide(384, 3)], [_tall(384, 3)])

    # The inner Sequentials are there for the names of the parameters.
    return _module(
        [_conv(320, 1)],
        [nn.Sequential(_conv(384, 1)), split()],
        [nn.Sequential(_conv(448, 1), _conv(384, 3, padding=1)), split()],
        [_mean(), _conv(192, 1)],
    )


class Inception3(Classifier):
    """Inception v3, for images of 299 by 299, as the last pool takes 8 by 8.

    Args:
        classes: the number of classes.

    >>> Inception3(classes=10).features[0]
    Sequential(
      (0): Conv2D(32, (3, 3), strides=(2, 2), use_bias=False)
      (1): BatchNorm(epsilon=0.001)
      (2): Activation('relu')
    )
    """

    def __init__(self, classes: int = 1000):
        features = nn.Sequential(
            *(_conv(32, 3, 2), _conv(32, 3), _conv(64, 3, padding=1), nn.MaxPool2D(3, 2)),
            *(_conv(80, 1), _conv(192, 3), nn.MaxPool2D(3, 2)),
            *map(_module_a, (32, 64, 64)),
            _module_b(),
            *map(_module_c, (128, 160, 160, 192)),
            _module_d(),
            _module_e(),
            _module_e(),
            nn.AvgPool2D(8),
            nn.Dropout(0.5),
        )
        super().__init__(features, nn.Dense(size('classes', classes)))


def inception_v3(
    pretrained: bool | PathLike = False, ctx: Any = None, root: PathLike | None = None, **options: Any
) -> Inception3:
    """Inception v3.

    Args:
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes`, as `Inception3` takes it.
    """
    return load_pretrained(Inception3(**options), 'inceptionv3', pretrained, root, ctx)
