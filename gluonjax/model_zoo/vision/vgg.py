"""VGG: Simonyan and Zisserman (2014), Very deep convolutional networks for large-scale image recognition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from gluonjax import nn
from gluonjax.checks import flag, one_of, size
from gluonjax.errors import ArgumentError
from gluonjax.init import Xavier
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier, Options

_FILTERS = (64, 128, 256, 512, 512)
_LAYERS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(Classifier):
    """Stages of 3 by 3 convolutions, each ended by a max pool that halves the image; then three dense layers.

    Args:
        layers: the number of convolutions of each stage.
        filters: their channels.
        classes: the number of classes.
        batch_norm: whether a BatchNorm follows each convolution.

    Raises:
        ArgumentError: if `layers` and `filters` differ in length.

    >>> VGG([1, 1], [8, 16], classes=10).collect_params('features.*weight')
    Parameter features.0.weight (shape=(8, None, 3, 3), dtype=float32)
    Parameter features.3.weight (shape=(16, None, 3, 3), dtype=float32)
    Parameter features.6.weight (shape=(4096, None), dtype=float32)
    Parameter features.8.weight (shape=(4096, None), dtype=float32)
    """

    def __init__(self, layers: Sequence[int], filters: Sequence[int], classes: int = 1000, batch_norm: bool = False):
        if len(layers) != len(filters):
            raise ArgumentError('layers and filters differ in length', expected=f'{len(layers)} filters', got=filters)
        features = nn.Sequential(
            *_convolutions(layers, filters, flag('batch_norm', batch_norm)),
            nn.Dense(4096, activation='relu', weight_initializer='normal'),
            nn.Dropout(0.5),
            nn.Dense(4096, activation='relu', weight_initializer='normal'),
            nn.Dropout(0.5),
        )
        super().__init__(features, nn.Dense(size('classes', classes), weight_initializer='normal'))


def _convolutions(layers: Sequence[int], filters: Sequence[int], batch_norm: bool) -> Iterator[Layer]:
    initializer = Xavier('gaussian', 'out', 2)
    for number, channels in zip(layers, filters, strict=True):
        for _ in range(number):
            yield nn.Conv2D(channels, 3, padding=1, weight_initializer=initializer)
            if batch_norm:
                yield nn.BatchNorm()
            yield nn.Activation('relu')
        yield nn.MaxPool2D(strides=2)


class VGGOptions(Options, total=False):
    """`Options`, and that of `VGG`."""

    batch_norm: bool


@suggests_keywords
def get_vgg(
    num_layers: int, pretrained: bool | PathLike = False, ctx: Any = None, root: PathLike | None = None, **options: Any
) -> VGG:
    """The VGG of so many layers.

    Args:
        num_layers: 11, 13, 16 or 19.
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes` and `batch_norm`, as `VGG` takes them.

    Raises:
        ArgumentError: for another number of layers.
    """
    layers = _LAYERS[one_of('num_layers', num_layers, _LAYERS)]
    suffix = '_bn' if options.get('batch_norm') else ''
    return load_pretrained(VGG(layers, _FILTERS, **options), f'vgg{num_layers}{suffix}', pretrained, root, ctx)


def vgg11(**options: Unpack[VGGOptions]) -> VGG:
    """VGG of 11 layers."""
    return get_vgg(11, **options)


def vgg13(**options: Unpack[VGGOptions]) -> VGG:
    """VGG of 13 layers."""
    return get_vgg(13, **options)


def vgg16(**options: Unpack[VGGOptions]) -> VGG:
    """VGG of 16 layers."""
    return get_vgg(16, **options)


def vgg19(**options: Unpack[VGGOptions]) -> VGG:
    """VGG of 19 layers."""
    return get_vgg(19, **options)


def vgg11_bn(**options: Unpack[Options]) -> VGG:
    """VGG of 11 layers, with BatchNorm."""
    return get_vgg(11, batch_norm=True, **options)


def vgg13_bn(**options: Unpack[Options]) -> VGG:
    """VGG of 13 layers, with BatchNorm."""
    return get_vgg(13, batch_norm=True, **options)


def vgg16_bn(**options: Unpack[Options]) -> VGG:
    """VGG of 16 layers, with BatchNorm."""
    return get_vgg(16, batch_norm=True, **options)


def vgg19_bn(**options: Unpack[Options]) -> VGG:
    """VGG of 19 layers, with BatchNorm."""
    return get_vgg(19, batch_norm=True, **options)
