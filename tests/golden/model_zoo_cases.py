"""The networks of the model zoo that MXNet answered for: one table, read by both sides, as `cases.py` is for layers.

`make_model_zoo.py` (Python 3.8, MXNet) records their parameters and their scores; the tests (JAX) compare. Parameters
and inputs are not stored: both sides fill them by the same formula. So this file is Python 3.8 and needs NumPy only.
"""
import zlib
from typing import NamedTuple

import numpy as np


class Small(NamedTuple):
    """A small network of a class of the zoo. What `args` name by strings are classes of the zoo, too."""
    name: str
    model: str  # class name
    args: tuple
    size: int  # of the image
    kwargs: dict = {}


# Name of `get_model` -> size of the smallest image with something to see for the last convolutions.
MODELS = {
    'alexnet': 96,
    **{'densenet%d' % n: 224 for n in (121, 161, 169, 201)},
    'inceptionv3': 299,
    **{'mobilenet%s' % m: 64 for m in ('0.25', '0.5', '0.75', '1.0')},
    **{'mobilenetv2_%s' % m: 64 for m in ('0.25', '0.5', '0.75', '1.0')},
    **{'resnet%d_v%d' % (n, v): 64 for v in (1, 2) for n in (18, 34, 50, 101, 152)},
    **{'squeezenet%s' % v: 224 for v in ('1.0', '1.1')},
    **{'vgg%d%s' % (n, bn): 64 for bn in ('', '_bn') for n in (11, 13, 16, 19)},
}
SMALL = [
    Small('basic_v1', 'ResNetV1', ('BasicBlockV1', [1, 2], [4, 4, 8]), 32),
    Small('basic_v2', 'ResNetV2', ('BasicBlockV2', [1, 2], [4, 4, 8]), 32),
    Small('bottleneck_v1', 'ResNetV1', ('BottleneckV1', [1, 2], [4, 16, 32]), 8, {'thumbnail': True}),
    Small('bottleneck_v2', 'ResNetV2', ('BottleneckV2', [1, 2], [4, 16, 32]), 8, {'thumbnail': True}),
    Small('densenet', 'DenseNet', (8, 4, [2, 3]), 56, {'bn_size': 2, 'dropout': 0.5}),
    Small('vgg', 'VGG', ([1, 2], [4, 6]), 8),
    Small('vgg_bn', 'VGG', ([1, 2], [4, 6]), 8, {'batch_norm': True}),
]
CLASSES = 10
INCEPTION_LAYERS, INCEPTION_SIZE = 18, 75  # the modules of Inception alone take smaller images than its last pool

_NUMBERS = np.random.RandomState(0).uniform(-1, 1, 9973)  # a prime: rows of a weight begin at different places


def numbers(name, shape):
    """Numbers from -1 to 1, the same for the same name and shape."""
    return np.resize(np.roll(_NUMBERS, zlib.crc32(name.encode()) % len(_NUMBERS)), shape)


def value(name, shape):
    """What a parameter is filled with; activations keep their size through many layers."""
    values = numbers(name, shape)
    kind = name.rpartition('.')[2]
    if kind == 'weight':
        values = values * np.sqrt(6 / np.prod(shape[1:]))
    elif kind in ('gamma', 'running_var'):
        values = 1 + 0.5 * values
    else:
        values = 0.2 * values
    return values.astype('float32')


def image(size):
    """Two images of three channels."""
    return numbers('image', (2, 3, size, size)).astype('float32')
