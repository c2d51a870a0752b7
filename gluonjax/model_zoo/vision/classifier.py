"""What the networks for images share: `features`, then `output`; and the options of the functions that make them."""

from __future__ import annotations

from typing import Any, TypedDict

import jax

from gluonjax import nn
from gluonjax.block import Block
from gluonjax.layer import Layer
from gluonjax.model_zoo.model_store import PathLike


class Classifier(Block):
    """A network of two parts: `features` of images, shape (N, C, H, W), and `output`, scores of shape (N, classes).

    Args:
        features: layers in a row.
        output: a layer or a network.

    >>> net = Classifier(nn.Sequential(nn.Conv2D(8, 3), nn.GlobalAvgPool2D()), nn.Dense(10))
    >>> net.initialize()
    >>> net(jax.numpy.ones((2, 3, 9, 9))).shape
    (2, 10)
    """

    def __init__(self, features: nn.Sequential, output: Layer | Block):
        self.features: nn.Sequential = features
        self.output: Any = output  # assigned a layer, it is a network

    def forward(self, x: jax.Array) -> jax.Array:
        return self.output(self.features(x))


class Options(TypedDict, total=False):
    """What every function that makes a network takes.

    classes: the number of classes, 1000 by default.
    pretrained: True loads the parameters that were published (see `model_store.get_model_file`), a path those of a
        file; by default there are none, and `initialize` draws them.
    ctx: a device or a sharding for the parameters that are loaded.
    root: the folder of published parameters; by default MXNet's, `~/.mxnet/models`.
    """

    classes: int
    pretrained: bool | PathLike
    ctx: Any
    root: PathLike | None
