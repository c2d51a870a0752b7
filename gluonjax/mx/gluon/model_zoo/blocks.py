"""Layers of the zoo as blocks: those made of layers as blocks of blocks, which names and graphs know as MXNet's.

>>> from gluonjax.model_zoo import vision
>>> from gluonjax.mx.gluon import nn
>>> net = nn.HybridSequential(prefix='net_')
>>> with net.name_scope():
...     net.add(block_of(vision.BasicBlockV1(4, stride=1, in_channels=4).definition))
>>> list(net.collect_params('.*weight'))
['net_conv0_weight', 'net_conv1_weight']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gluonjax import nn as layers
from gluonjax.model_zoo.vision import mobilenet, resnet
from gluonjax.mx.gluon import nn
from gluonjax.mx.gluon.block import Block, HybridBlock
from gluonjax.mx.gluon.contrib.nn import HybridConcurrent, Identity
from gluonjax.mx.gluon.library import LayerBlock
from gluonjax.run import Bindable, forward_class

Prefixes = Callable[[Any], str | None]  # of a container, by its layer; None for MXNet's default


def _none(layer: Any) -> str:
    return ''


def block_of(layer: Any, prefix: str | None = '', inner: Prefixes = _none) -> Block:
    """A layer as a block.

    Args:
        layer: the layer.
        prefix: of a container.
        inner: what prefixes the containers in it have.
    """
    kind = forward_class(layer)
    if kind in (layers.Sequential, layers.Concatenate):
        joined = kind is layers.Concatenate
        block: Any = HybridConcurrent(layer.axis, prefix=prefix) if joined else nn.HybridSequential(prefix=prefix)
        with block.name_scope():
            for name, child in vars(layer).items():
                if name != 'axis':
                    block.register_child(block_of(child, inner(child)), name)
        return block
    if kind is layers.Identity:
        return Identity()
    made = next((MADE[cls] for cls in kind.__mro__ if cls in MADE), None)
    return LayerBlock(layer, prefix or None) if made is None else made(layer, prefix=None if made is _RELU6 else prefix)


class _Composite(HybridBlock):
    """A block whose children are those of a layer, under the same names."""

    def __init__(self, layer: Any, **kwargs: Any):
        self._kind = forward_class(layer).__name__
        super().__init__(**kwargs)
        with self.name_scope():
            for name, value in vars(layer).items():
                setattr(self, name, block_of(value) if isinstance(value, Bindable) else value)

    def _alias(self) -> str:
        return self._kind.lower()

    def __repr__(self) -> str:
        return super().__repr__().replace(type(self).__name__, self._kind, 1)


class _V1(_Composite):
    deep = False
    body: Any
    downsample: Any

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.body(x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.Activation(y + shortcut if self.deep else shortcut + y, act_type='relu')


class _DeepV1(_V1):
    deep = True


class _V2(_Composite):
    downsample: Any

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Normalizations and convolutions, in their order."""
        for number in '123':
            if hasattr(self, f'bn{number}'):
                yield getattr(self, f'bn{number}'), getattr(self, f'conv{number}')

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        shortcut, y = x, x
        for number, (norm, convolution) in enumerate(self._pairs()):
            y = F.Activation(norm(y), act_type='relu')
            if number == 0 and self.downsample is not None:
                shortcut = self.downsample(y)
            y = convolution(y)
        return y + shortcut


class _Bottleneck(_Composite):
    out: Any
    use_shortcut: bool

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        y = self.out(x)
        return F.elemwise_add(y, x) if self.use_shortcut else y


class _RELU6(_Composite):
    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return F.clip(x, 0, 6, name='relu6')


MADE: dict[type, type[_Composite]] = {
    resnet.BasicBlockV1: _V1,
    resnet.BottleneckV1: _DeepV1,
    resnet.BasicBlockV2: _V2,
    resnet.BottleneckV2: _V2,
    mobilenet.LinearBottleneck: _Bottleneck,
    mobilenet.RELU6: _RELU6,
}


def prefixes_of(kind: str) -> tuple[tuple[str, Prefixes], tuple[str, Prefixes]]:
    """The prefixes of `features` and of `output` of a network, each with what says those of the layers in it.

    Args:
        kind: the name of its class.
    """
    numbers = iter(range(1, 1000))
    modules = iter(('A1_', 'A2_', 'A3_', 'B_', 'C1_', 'C2_', 'C3_', 'C4_', 'D_', 'E1_', 'E2_'))

    def inner(layer: Any) -> str:
        cls = forward_class(layer)
        if kind.startswith('ResNet') and cls is layers.Sequential:
            return f'stage{next(numbers)}_'
        if kind == 'DenseNet' and cls is layers.Sequential:
            dense = all(forward_class(child) is layers.Concatenate for child in vars(layer).values())
            return f'stage{next(numbers)}_' if dense else ''
        if kind == 'Inception3' and cls is layers.Concatenate:
            return next(modules)
        return f'linearbottleneck{next(numbers) - 1}_' if cls is mobilenet.LinearBottleneck else ''

    if kind == 'MobileNetV2':
        return ('features_', inner), ('output_', lambda layer: 'pred_' * (forward_class(layer) is layers.Conv2D))
    return ('', inner), ('', _none)
