"""MobileNets: Howard et al. (2017), and Sandler et al. (2018), Inverted residuals and linear bottlenecks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import jax

from gluonjax import nn
from gluonjax.block import Block
from gluonjax.checks import floating, positive, size
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier, Options


class RELU6(Layer):
    """`min(max(x, 0), 6)`.

    >>> RELU6().apply({}, jax.numpy.array([-1.0, 2.0, 7.0]))
    Array([0., 2., 6.], dtype=float32)
    """

    def forward(self, x: jax.Array) -> jax.Array:
        floating(x)
        return jax.nn.relu6(x)


def _relu() -> Layer:
    return nn.Activation('relu')


def _conv(
    channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], Layer] | None = _relu,
) -> list[Layer]:
    """A convolution that keeps the size up to its stride, its normalization and activation."""
    conv = nn.Conv2D(channels, kernel_size, stride, kernel_size // 2, groups=groups, use_bias=False)
    return [conv, nn.BatchNorm(), *([activation()] if activation else [])]


class LinearBottleneck(Block):
    """The block of MobileNetV2: more channels, a depthwise convolution, fewer channels; added to x if it has its shape.

    Args:
        in_channels: the number of input channels.
        channels: the number of output channels.
        t: how many times as many channels the depthwise convolution has.
        stride: of the block.

    >>> LinearBottleneck(8, 16, t=6, stride=2).collect_params('.*weight')
    Parameter out.0.weight (shape=(48, None, 1, 1), dtype=float32)
    Parameter out.3.weight (shape=(48, None, 3, 3), dtype=float32)
    Parameter out.6.weight (shape=(16, None, 1, 1), dtype=float32)
    """

    def __init__(self, in_channels: int, channels: int, t: int, stride: int):
        self.use_shortcut: bool = stride == 1 and in_channels == channels
        inner = in_channels * t
        self.out: nn.Sequential = nn.Sequential(
            *_conv(inner, activation=RELU6),
            *_conv(inner, 3, stride, groups=inner, activation=RELU6),
            *_conv(channels, activation=None),
        )

    def forward(self, x: jax.Array) -> jax.Array:
        return self.out(x) + x if self.use_shortcut else self.out(x)


# Output channels and stride of each depthwise convolution and the 1 by 1 convolution that follows it.
_SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))


class MobileNet(Classifier):
    """Depthwise convolutions, each followed by a 1 by 1 convolution.

    Args:
        multiplier: of all numbers of channels.
        classes: the number of classes.

    Raises:
        ArgumentError: if the multiplier is not positive, or leaves no channels.

    >>> MobileNet(0.25, classes=10).features[:3]
    Sequential(
      (0): Conv2D(8, (3, 3), strides=(2, 2), padding=(1, 1), use_bias=False)
      (1): BatchNorm()
      (2): Activation('relu')
    )
    """

    def __init__(self, multiplier: float = 1.0, classes: int = 1000):
        multiplier = positive('multiplier', multiplier)
        inputs = int(32 * multiplier)
        layers = _conv(inputs, 3, 2)
        for base, stride in _SEPARABLE:
            channels = int(base * multiplier)
            layers += [*_conv(inputs, 3, stride, groups=inputs), *_conv(channels)]
            inputs = channels
        features = nn.Sequential(*layers, nn.GlobalAvgPool2D(), nn.Flatten())
        super().__init__(features, nn.Dense(size('classes', classes)))


# Expansion, channels, number and first stride of each row of bottlenecks: table 2 of the paper.
_BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(Classifier):
    """Linear bottlenecks with inverted residuals.

    Args:
        multiplier: of all numbers of channels, but of the last one only where it is above 1.
        classes: the number of classes.

    Raises:
        ArgumentError: as for `MobileNet`.

    >>> MobileNetV2(0.25, classes=10).output
    Sequential(
      (0): Conv2D(10, (1, 1), use_bias=False)
      (1): Flatten()
    )
    """

    def __init__(self, multiplier: float = 1.0, classes: int = 1000):
        multiplier = positive('multiplier', multiplier)
        inputs = int(32 * multiplier)
        layers: list[Layer | Block] = [*_conv(inputs, 3, 2, activation=RELU6)]
        for t, base, number, first_stride in _BOTTLENECKS:
            for stride in (first_stride, *[1] * (number - 1)):
                channels = int(base * multiplier)
                layers.append(LinearBottleneck(inputs, channels, t, stride))
                inputs = channels
        last = _conv(int(1280 * max(multiplier, 1.0)), activation=RELU6)
        features = nn.Sequential(*layers, *last, nn.GlobalAvgPool2D())
        super().__init__(features, nn.Sequential(nn.Conv2D(size('classes', classes), 1, use_bias=False), nn.Flatten()))


def _named(multiplier: float) -> str:
    """The multiplier as names of models have it: 1.0, 0.75, 0.5, 0.25."""
    text = f'{multiplier:.2f}'
    return text[:-1] if text in ('1.00', '0.50') else text


@suggests_keywords
def get_mobilenet(
    multiplier: float,
    pretrained: bool | PathLike = False,
    ctx: Any = None,
    root: PathLike | None = None,
    **options: Any,
) -> MobileNet:
    """The MobileNet of a multiplier; parameters were published for 1.0, 0.75, 0.5 and 0.25.

    Args:
        multiplier: of all numbers of channels.
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes`, as `MobileNet` takes it.
    """
    net = MobileNet(multiplier, **options)
    return load_pretrained(net, f'mobilenet{_named(multiplier)}', pretrained, root, ctx)


@suggests_keywords
def get_mobilenet_v2(
    multiplier: float,
    pretrained: bool | PathLike = False,
    ctx: Any = None,
    root: PathLike | None = None,
    **options: Any,
) -> MobileNetV2:
    """The MobileNetV2 of a multiplier; parameters were published for 1.0, 0.75, 0.5 and 0.25.

    The arguments are those of `get_mobilenet`.
    """
    net = MobileNetV2(multiplier, **options)
    return load_pretrained(net, f'mobilenetv2_{_named(multiplier)}', pretrained, root, ctx)


def mobilenet1_0(**options: Unpack[Options]) -> MobileNet:
    """MobileNet with all channels."""
    return get_mobilenet(1.0, **options)


def mobilenet0_75(**options: Unpack[Options]) -> MobileNet:
    """MobileNet with 0.75 of the channels."""
    return get_mobilenet(0.75, **options)


def mobilenet0_5(**options: Unpack[Options]) -> MobileNet:
    """MobileNet with 0.5 of the channels."""
    return get_mobilenet(0.5, **options)


def mobilenet0_25(**options: Unpack[Options]) -> MobileNet:
    """MobileNet with 0.25 of the channels."""
    return get_mobilenet(0.25, **options)


def mobilenet_v2_1_0(**options: Unpack[Options]) -> MobileNetV2:
    """MobileNetV2 with all channels."""
    return get_mobilenet_v2(1.0, **options)


def mobilenet_v2_0_75(**options: Unpack[Options]) -> MobileNetV2:
    """MobileNetV2 with 0.75 of the channels."""
    return get_mobilenet_v2(0.75, **options)


def mobilenet_v2_0_5(**options: Unpack[Options]) -> MobileNetV2:
    """MobileNetV2 with 0.5 of the channels."""
    return get_mobilenet_v2(0.5, **options)


def mobilenet_v2_0_25(**options: Unpack[Options]) -> MobileNetV2:
    """MobileNetV2 with 0.25 of the channels."""
    return get_mobilenet_v2(0.25, **options)
