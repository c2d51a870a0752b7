"""AlexNet: Krizhevsky (2014), One weird trick for parallelizing convolutional neural networks."""

from __future__ import annotations

from typing import Any

from gluonjax import nn
from gluonjax.checks import size
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier


class AlexNet(Classifier):
    """AlexNet, for images of at least 63 by 63; MXNet's are 224 by 224.

    Args:
        classes: the number of classes.

    >>> AlexNet(classes=10).output
    Dense(10)
    """

    def __init__(self, classes: int = 1000):
        features = nn.Sequential(
            nn.Conv2D(64, 11, strides=4, padding=2, activation='relu'),
            nn.MaxPool2D(3, 2),
            nn.Conv2D(192, 5, padding=2, activation='relu'),
            nn.MaxPool2D(3, 2),
            nn.Conv2D(384, 3, padding=1, activation='relu'),
            nn.Conv2D(256, 3, padding=1, activation='relu'),
            nn.Conv2D(256, 3, padding=1, activation='relu'),
            nn.MaxPool2D(3, 2),
            nn.Flatten(),
            nn.Dense(4096, activation='relu'),
            nn.Dropout(0.5),
            nn.Dense(4096, activation='relu'),
            nn.Dropout(0.5),
        )
        super().__init__(features, nn.Dense(size('classes', classes)))


def alexnet(
    pretrained: bool | PathLike = False, ctx: Any = None, root: PathLike | None = None, **options: Any
) -> AlexNet:
    """AlexNet.

    Args:
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: those of `AlexNet`.
    """
    return load_pretrained(AlexNet(**options), 'alexnet', pretrained, root, ctx)
