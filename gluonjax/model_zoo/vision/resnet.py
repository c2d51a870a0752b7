"""ResNets: He et al., Deep residual learning for image recognition (2015), and Identity mappings in them (2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import jax

from gluonjax import nn
from gluonjax.block import Block
from gluonjax.checks import one_of, size
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer
from gluonjax.lazy import suggests_keywords
from gluonjax.model_zoo.model_store import PathLike, load_pretrained
from gluonjax.model_zoo.vision.classifier import Classifier, Options


def _conv3x3(channels: int, stride: int = 1, in_channels: int | None = None) -> nn.Conv2D:
    return nn.Conv2D(channels, 3, stride, 1, use_bias=False, in_channels=in_channels)


def _conv1x1(channels: int, stride: int = 1, in_channels: int | None = None) -> nn.Conv2D:
    return nn.Conv2D(channels, 1, stride, use_bias=False, in_channels=in_channels)


class _BlockV1(Block):
    """The first form: `relu(body(x) + x)`. Its subclasses say what the body is.

    Args:
        channels: the number of output channels.
        stride: of the block.
        downsample: whether the input is brought to the shape of the output by a convolution.
        in_channels: the number of input channels; None (or 0) lets the first input decide.
    """

    def __init__(self, channels: int, stride: int, downsample: bool = False, in_channels: int | None = None):
        self.body: nn.Sequential = nn.Sequential(*self._body(channels, stride, in_channels))
        shortcut = nn.Sequential(_conv1x1(channels, stride, in_channels), nn.BatchNorm()) if downsample else None
        self.downsample: nn.Sequential | None = shortcut

    def _body(self, channels: int, stride: int, in_channels: int | None) -> Sequence[Layer]:
        raise NotImplementedError

    def forward(self, x: jax.Array) -> jax.Array:
        shortcut = x if self.downsample is None else self.downsample(x)
        return jax.nn.relu(self.body(x) + shortcut)


class BasicBlockV1(_BlockV1):
    """The residual block of ResNet-18 and 34: two 3 by 3 convolutions.

    >>> BasicBlockV1(16, stride=2, downsample=True, in_channels=8).collect_params('body.0|downsample.0')
    Parameter body.0.weight (shape=(16, 8, 3, 3), dtype=float32)
    Parameter downsample.0.weight (shape=(16, 8, 1, 1), dtype=float32)
    """

    def _body(self, channels: int, stride: int, in_channels: int | None) -> Sequence[Layer]:
        first, second = _conv3x3(channels, stride, in_channels), _conv3x3(channels, 1, channels)
        return first, nn.BatchNorm(), nn.Activation('relu'), second, nn.BatchNorm()


class BottleneckV1(_BlockV1):
    """The residual block of ResNet-50 and more: 1 by 1 with the stride and a quarter of the channels, 3 by 3, 1 by 1.

    As in MXNet, the two 1 by 1 convolutions have a bias.

    >>> BottleneckV1(16, stride=1).collect_params('body.*weight')
    Parameter body.0.weight (shape=(4, None, 1, 1), dtype=float32)
    Parameter body.3.weight (shape=(4, 4, 3, 3), dtype=float32)
    Parameter body.6.weight (shape=(16, None, 1, 1), dtype=float32)
    """

    def _body(self, channels: int, stride: int, in_channels: int | None) -> Sequence[Layer]:
        inner = channels // 4
        return (
            *(nn.Conv2D(inner, 1, stride), nn.BatchNorm(), nn.Activation('relu')),
            *(_conv3x3(inner, 1, inner), nn.BatchNorm(), nn.Activation('relu')),
            *(nn.Conv2D(channels, 1), nn.BatchNorm()),
        )


class BasicBlockV2(Block):
    """The residual block of ResNet-18 and 34 in the second form: normalization comes before each convolution.

    The arguments are those of `BasicBlockV1`.

    >>> list(BasicBlockV2(16, stride=2, downsample=True).collect_params('.*weight'))
    ['conv1.weight', 'conv2.weight', 'downsample.weight']
    """

    def __init__(self, channels: int, stride: int, downsample: bool = False, in_channels: int | None = None):
        self.bn1: nn.BatchNorm = nn.BatchNorm()
        self.conv1: nn.Conv2D = _conv3x3(channels, stride, in_channels)
        self.bn2: nn.BatchNorm = nn.BatchNorm()
        self.conv2: nn.Conv2D = _conv3x3(channels, 1, channels)
        self.downsample: nn.Conv2D | None = _conv1x1(channels, stride, in_channels) if downsample else None

    def forward(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        y = jax.nn.relu(self.bn2(self.conv1(y)))
        return self.conv2(y) + shortcut


class BottleneckV2(Block):
    """The residual block of ResNet-50 and more in the second form: normalization comes before each convolution.

    The arguments are those of `BasicBlockV1`; the 3 by 3 convolution has the stride.

    >>> BottleneckV2(16, stride=1).collect_params('conv.*')
    Parameter conv1.weight (shape=(4, None, 1, 1), dtype=float32)
    Parameter conv2.weight (shape=(4, 4, 3, 3), dtype=float32)
    Parameter conv3.weight (shape=(16, None, 1, 1), dtype=float32)
    """

    def __init__(self, channels: int, stride: int, downsample: bool = False, in_channels: int | None = None):
        inner = channels // 4
        self.bn1: nn.BatchNorm = nn.BatchNorm()
        self.conv1: nn.Conv2D = _conv1x1(inner)
        self.bn2: nn.BatchNorm = nn.BatchNorm()
        self.conv2: nn.Conv2D = _conv3x3(inner, stride, inner)
        self.bn3: nn.BatchNorm = nn.BatchNorm()
        self.conv3: nn.Conv2D = _conv1x1(channels)
        self.downsample: nn.Conv2D | None = _conv1x1(channels, stride, in_channels) if downsample else None

    def forward(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(y)
        y = jax.nn.relu(self.bn2(self.conv1(y)))
        y = jax.nn.relu(self.bn3(self.conv2(y)))
        return self.conv3(y) + shortcut


def _stem(channels: int, thumbnail: bool) -> Sequence[Layer]:
    """What comes before the stages; for thumbnails a convolution that keeps the size."""
    if thumbnail:
        return (_conv3x3(channels),)
    first = nn.Conv2D(channels, 7, 2, 3, use_bias=False)
    return first, nn.BatchNorm(), nn.Activation('relu'), nn.MaxPool2D(3, 2, 1)


def _stages(block: type[Block], layers: Sequence[int], channels: Sequence[int]) -> Sequence[Block]:
    """Residual blocks in rows; the first of each row changes the number of channels and, but in the first, the size."""
    if len(layers) != len(channels) - 1:
        expected = f'{len(layers) + 1}: of the stem, and of each of {len(layers)} stages'
        raise ArgumentError('channels has the wrong length', expected=expected, got=channels)
    stages = []
    for i, number in enumerate(layers):
        before, after = channels[i : i + 2]
        first = block(after, 1 if i == 0 else 2, before != after, in_channels=before)
        stages.append(nn.Sequential(first, *(block(after, 1, in_channels=after) for _ in range(1, number))))
    return stages


class ResNetV1(Classifier):
    """A ResNet of the first form.

    Args:
        block: the class of the residual blocks, `BasicBlockV1` or `BottleneckV1`.
        layers: the number of blocks of each stage.
        channels: of the stem, and of each stage.
        classes: the number of classes.
        thumbnail: whether the stem is a convolution that keeps the size, for small images.

    Raises:
        ArgumentError: if `channels` is not one longer than `layers`.

    >>> net = ResNetV1(BasicBlockV1, [1, 1], [8, 8, 16], classes=10, thumbnail=True)
    >>> net.features[2][0].downsample
    Sequential(
      (0): Conv2D(16, (1, 1), strides=(2, 2), use_bias=False, in_channels=8)
      (1): BatchNorm()
    )
    """

    def __init__(
        self,
        block: type[Block],
        layers: Sequence[int],
        channels: Sequence[int],
        classes: int = 1000,
        thumbnail: bool = False,
    ):
        stages = _stages(block, layers, channels)
        features = nn.Sequential(*_stem(channels[0], thumbnail), *stages, nn.GlobalAvgPool2D())
        super().__init__(features, nn.Dense(size('classes', classes), in_units=channels[-1]))


class ResNetV2(Classifier):
    """A ResNet of the second form: `ResNetV1` with normalization before each convolution, and of the input.

    The arguments are those of `ResNetV1`, with `BasicBlockV2` or `BottleneckV2`.

    >>> net = ResNetV2(BasicBlockV2, [1, 1], [8, 8, 16], classes=10, thumbnail=True)
    >>> net.features[0]
    BatchNorm(center=False, scale=False)
    """

    def __init__(
        self,
        block: type[Block],
        layers: Sequence[int],
        channels: Sequence[int],
        classes: int = 1000,
        thumbnail: bool = False,
    ):
        features = nn.Sequential(
            nn.BatchNorm(scale=False, center=False),
            *_stem(channels[0], thumbnail),
            *_stages(block, layers, channels),
            nn.BatchNorm(),
            nn.Activation('relu'),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
        )
        super().__init__(features, nn.Dense(size('classes', classes), in_units=channels[-1]))


_BASIC, _BOTTLENECK = (64, 64, 128, 256, 512), (64, 256, 512, 1024, 2048)  # channels
_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_CLASSES: dict[int, tuple[type[Classifier], type[Block], type[Block]]] = {
    1: (ResNetV1, BasicBlockV1, BottleneckV1),
    2: (ResNetV2, BasicBlockV2, BottleneckV2),
}


class ResNetOptions(Options, total=False):
    """`Options`, and that of `ResNetV1`."""

    thumbnail: bool


@suggests_keywords
def get_resnet(
    version: int,
    num_layers: int,
    pretrained: bool | PathLike = False,
    ctx: Any = None,
    root: PathLike | None = None,
    **options: Any,
) -> Classifier:
    """The ResNet of a version and so many layers.

    Args:
        version: 1 or 2.
        num_layers: 18, 34, 50, 101 or 152.
        pretrained: True, or the path of a file; see `Options`, also for the next two.
        ctx: where loaded parameters go.
        root: the folder of published parameters.
        **options: `classes` and `thumbnail`, as `ResNetV1` takes them.

    Raises:
        ArgumentError: for another version or number of layers.
    """
    network, basic, bottleneck = _CLASSES[one_of('version', version, _CLASSES)]
    layers = _STAGES[one_of('num_layers', num_layers, _STAGES)]
    block, channels = (basic, _BASIC) if num_layers < 50 else (bottleneck, _BOTTLENECK)
    return load_pretrained(
        network(block, layers, channels, **options), f'resnet{num_layers}_v{version}', pretrained, root, ctx
    )


def resnet18_v1(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 18 layers, version 1."""
    return get_resnet(1, 18, **options)


def resnet34_v1(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 34 layers, version 1."""
    return get_resnet(1, 34, **options)


def resnet50_v1(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 50 layers, version 1."""
    return get_resnet(1, 50, **options)


def resnet101_v1(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 101 layers, version 1."""
    return get_resnet(1, 101, **options)


def resnet152_v1(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 152 layers, version 1."""
    return get_resnet(1, 152, **options)


def resnet18_v2(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 18 layers, version 2."""
    return get_resnet(2, 18, **options)


def resnet34_v2(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 34 layers, version 2."""
    return get_resnet(2, 34, **options)


def resnet50_v2(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 50 layers, version 2."""
    return get_resnet(2, 50, **options)


def resnet101_v2(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 101 layers, version 2."""
    return get_resnet(2, 101, **options)


def resnet152_v2(**options: Unpack[ResNetOptions]) -> Classifier:
    """ResNet of 152 layers, version 2."""
    return get_resnet(2, 152, **options)
