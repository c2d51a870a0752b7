"""DenseNet-BC: Huang et al. (2016), Densely connected convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from gluonjax import nn
from gluonjax.checks import one_of, size
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier, Options


def _convolve(channels: int, kernel_size: int, padding: int = 0) -> Sequence[Layer]:
    """Normalization, relu and a convolution, in this order."""
    conv = nn.Conv2D(channels, kernel_size, padding=padding, use_bias=False)
    return nn.BatchNorm(), nn.Activation('relu'), conv


def _dense_layer(growth_rate: int, bn_size: int, dropout: float) -> nn.Concatenate:
    """Puts new channels beside the input."""
    convolutions = (*_convolve(bn_size * growth_rate, 1), *_convolve(growth_rate, 3, 1))
    return nn.Concatenate(
        nn.Identity(), nn.Sequential(*convolutions, *([nn.Dropout(dropout)] if dropout else [])), axis=1
    )


class DenseNet(Classifier):
    """Blocks of layers that each add channels to their input, and transitions that halve channels and size.

    Four blocks are for images of 224 by 224, as the last pool takes 7 by 7.

    Args:
        num_init_features: the channels of the first convolution.
        growth_rate: the channels that each layer adds.
        block_config: the number of layers of each block.
        bn_size: the channels within a layer, as a multiple of `growth_rate`.
        dropout: the rate of dropout after each layer; 0 is none.
        classes: the number of classes.

    >>> DenseNet(8, 4, [2, 2], classes=10).features[4][0]
    Concatenate(axis=1
      (0): Identity()
      (1): Sequential(
        (0): BatchNorm()
        (1): Activation('relu')
        (2): Conv2D(16, (1, 1), use_bias=False)
        (3): BatchNorm()
        (4): Activation('relu')
        (5): Conv2D(4, (3, 3), padding=(1, 1), use_bias=False)
      )
    )
    """

    def __init__(
        self,
        num_init_features: int,
        growth_rate: int,
        block_config: Sequence[int],
        bn_size: int = 4,
        dropout: float = 0,
        classes: int = 1000,
    ):
        stem = nn.Conv2D(num_init_features, 7, 2, 3, use_bias=False)
        layers = [stem, nn.BatchNorm(), nn.Activation('relu'), nn.MaxPool2D(3, 2, 1)]
        channels = num_init_features
        for i, number in enumerate(block_config):
            if i > 0:
                channels //= 2
                layers.append(nn.Sequential(*_convolve(channels, 1), nn.AvgPool2D(2, 2)))
            layers.append(nn.Sequential(*(_dense_layer(growth_rate, bn_size, dropout) for _ in range(number))))
            channels += number * growth_rate
        features = nn.Sequential(*layers, nn.BatchNorm(), nn.Activation('relu'), nn.AvgPool2D(7), nn.Flatten())
        super().__init__(features, nn.Dense(size('classes', classes)))


# The channels of the first convolution, those that each layer adds, and the layers of each block.
_SIZES = {
    121: (64, 32, (6, 12, 24, 16)),
    161: (96, 48, (6, 12, 36, 24)),
    169: (64, 32, (6, 12, 32, 32)),
    201: (64, 32, (6, 12, 48, 32)),
}


class DenseNetOptions(Options, total=False):
    """`Options`, and those of `DenseNet`."""

    bn_size: int
    dropout: float


@suggests_keywords
def get_densenet(
    num_layers: int, pretrained: bool | PathLike = False, ctx: Any = None, root: PathLike | None = None, **options: Any
) -> DenseNet:
    """The DenseNet of so many layers.

    Args:
        num_layers: 121, 161, 169 or 201.
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes`, `bn_size` and `dropout`, as `DenseNet` takes them.

    Raises:
        ArgumentError: for another number of layers.
    """
    sizes = _SIZES[one_of('num_layers', num_layers, _SIZES)]
    return load_pretrained(DenseNet(*sizes, **options), f'densenet{num_layers}', pretrained, root, ctx)


def densenet121(**options: Unpack[DenseNetOptions]) -> DenseNet:
    """DenseNet of 121 layers."""
    return get_densenet(121, **options)


def densenet161(**options: Unpack[DenseNetOptions]) -> DenseNet:
    """DenseNet of 161 layers."""
    return get_densenet(161, **options)


def densenet169(**options: Unpack[DenseNetOptions]) -> DenseNet:
    """DenseNet of 169 layers."""
    return get_densenet(169, **options)


def densenet201(**options: Unpack[DenseNetOptions]) -> DenseNet:
    """DenseNet of 201 layers."""
    return get_densenet(201, **options)
