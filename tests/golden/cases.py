"""The layers that MXNet answered for: one table, read by both sides.

`make_golden.py` (Python 3.8, MXNet) builds these layers and records what they compute; the tests
(JAX) build the same ones and compare. So this file is plain Python 3.8 and imports nothing heavy.
"""
from typing import NamedTuple


class Case(NamedTuple):
    name: str
    layer: str  # class name in gluonjax's nn; MXNet 1.9.1 calls Concatenate HybridConcurrent
    args: tuple = ()
    kwargs: dict = {}
    inputs: tuple = ()  # of (shape, dtype, kind), see `normal`, `values` and `index`
    children: tuple = ()  # of Case, for containers; they have no inputs of their own
    train: bool = True  # False: training is random, so only inference is recorded


def normal(*shape):
    """One input drawn from the standard normal distribution."""
    return ((shape, 'float32', ('normal',)),)


def values(*numbers):
    """One input with exactly these numbers: for places where random ones never fall."""
    return (((len(numbers),), 'float32', ('values',) + numbers),)


def index(dtype, shape, *numbers):
    """One input of indices. They have no gradient, whatever their dtype."""
    return ((shape, dtype, ('index',) + numbers),)


def dense(name, inputs, *args, **kwargs):
    return Case('dense_' + name, 'Dense', args or (3,), kwargs, inputs)


def batchnorm(name, inputs, **kwargs):
    return Case('batchnorm_' + name, 'BatchNorm', (), kwargs, inputs)


def embedding(name, inputs):
    return Case('embedding_' + name, 'Embedding', (5, 3), {}, inputs)


def conv(name, inputs, *args, **kwargs):
    return Case('conv2d_' + name, 'Conv2D', args, kwargs, inputs)


def maxpool(name, inputs, **kwargs):
    return Case('maxpool2d_' + name, 'MaxPool2D', (), kwargs, inputs)


def avgpool(name, inputs, **kwargs):
    return Case('avgpool2d_' + name, 'AvgPool2D', (), kwargs, inputs)


def globalavg(name, inputs, **kwargs):
    return Case('globalavgpool2d_' + name, 'GlobalAvgPool2D', (), kwargs, inputs)


def child(layer, *args, **kwargs):
    return Case('', layer, args, kwargs)


# All that MXNet 1.9.1 has: 'log_sigmoid' and 'mish' came with 2.0.
ACTIVATIONS = ('relu', 'sigmoid', 'tanh', 'softrelu', 'softsign')

LAYERS = [
    dense('plain', normal(2, 4)),
    dense('no_bias', normal(2, 4), use_bias=False),
    dense('in_units', normal(1, 4), 3, in_units=4),
    *[dense(name, normal(2, 4), 3, name) for name in ACTIVATIONS],
    # A vector is a batch of single numbers to flatten=True, and one example to flatten=False.
    dense('flatten_rank1', normal(3)),
    dense('flatten_rank3', normal(2, 3, 2)),
    dense('flatten_rank4', normal(2, 2, 1, 3), activation='tanh'),
    dense('keep_rank1', normal(4), flatten=False),
    dense('keep_rank2', normal(2, 4), flatten=False),
    dense('keep_rank3', normal(2, 3, 2), flatten=False, use_bias=False),
    dense('keep_rank4', normal(2, 2, 1, 3), flatten=False, activation='relu'),

    *[Case('activation_' + name, 'Activation', (name,), {},
           values(-100, -20, -1.5, -0.3, 0, 0.3, 1.5, 20, 100)) for name in ACTIVATIONS],

    Case('dropout_zero', 'Dropout', (0,), {}, normal(2, 3)),
    Case('dropout_half', 'Dropout', (0.5,), {}, normal(2, 3), train=False),
    Case('dropout_axes', 'Dropout', (0.5,), {'axes': (1,)}, normal(2, 3), train=False),

    batchnorm('rank2', normal(5, 3)),
    batchnorm('rank3', normal(3, 3, 2)),
    batchnorm('rank4', normal(2, 3, 2, 2)),
    batchnorm('last_axis_rank2', normal(5, 3), axis=-1),
    batchnorm('last_axis_rank3', normal(2, 3, 2), axis=-1),
    batchnorm('last_axis_rank4', normal(2, 2, 2, 3), axis=-1),
    batchnorm('axis2_rank4', normal(2, 2, 3, 2), axis=2),
    batchnorm('no_center', normal(5, 3), center=False),
    batchnorm('no_scale', normal(5, 3), scale=False),
    batchnorm('bare', normal(3, 3, 2), center=False, scale=False),
    batchnorm('global_stats', normal(5, 3), use_global_stats=True),
    batchnorm('momentum', normal(5, 3), momentum=0.6),
    batchnorm('epsilon', normal(5, 3), epsilon=0.1, in_channels=3),
    batchnorm('one_value_per_channel', normal(1, 3)),  # its variance is 0

    embedding('int', index('int32', (2, 3), 0, 4, 1, 1, 3, 1)),
    embedding('float', index('float32', (2, 3), 0, 4, 1, 1, 3, 1)),
    embedding('vector', index('int32', (3,), 2, 0, 2)),
    # Out of range is clipped to the table, in the gradient too; fractions lose their tail.
    embedding('int_out_of_range', index('int32', (5,), -7, -1, 4, 5, 99)),
    embedding('float_out_of_range', index('float32', (5,), -7, -1, 4, 5, 99)),
    embedding('float_fraction', index('float32', (5,), -0.5, 0.99, 1.5, 3.999, 4.7)),

    *[Case('flatten_rank%d' % len(shape), 'Flatten', (), {}, normal(*shape))
      for shape in [(3,), (2, 3), (2, 3, 2), (2, 2, 1, 3)]],
    Case('identity', 'Identity', (), {}, normal(2, 3)),

    Case('concatenate_axis1', 'Concatenate', (), {'axis': 1}, normal(2, 4),
         (child('Dense', 2, flatten=False), child('Dense', 3, flatten=False, activation='tanh'))),
    Case('concatenate_last_axis', 'Concatenate', (), {}, normal(2, 2, 3),
         (child('Dense', 2, flatten=False), child('Identity'))),

    # No NHWC here: MXNet's convolution runs it on GPUs only.
    conv('plain', normal(2, 2, 4, 5), 3, 3),
    conv('no_bias', normal(1, 2, 3, 3), 3, 2, use_bias=False),
    conv('relu', normal(1, 2, 3, 3), 3, 2, activation='relu'),
    conv('pointwise', normal(2, 3, 2, 2), 2, 1, in_channels=3),
    conv('strides', normal(1, 2, 5, 6), 2, 2, strides=(2, 3)),  # 5 is not a whole number of steps
    conv('padding', normal(1, 2, 3, 3), 2, 3, padding=1),
    conv('asymmetric', normal(1, 2, 4, 3), 2, (1, 3), strides=(2, 1), padding=(0, 2)),
    conv('dilation', normal(1, 1, 5, 6), 2, 2, dilation=(2, 3)),
    conv('dilation_strides_padding', normal(1, 1, 5, 5), 2, (2, 3), (2, 1), (1, 2), (3, 2)),
    conv('groups', normal(1, 4, 3, 3), 6, 2, groups=2),
    conv('depthwise', normal(1, 3, 3, 3), 3, 2, groups=3),
    conv('depthwise_multiplier', normal(1, 2, 3, 3), 4, 2, groups=2, use_bias=False),
    conv('kernel_of_input_size', normal(2, 2, 3, 2), 3, (3, 2)),

    maxpool('plain', normal(2, 2, 5, 4)),
    maxpool('strides_smaller', normal(1, 2, 4, 4), pool_size=3, strides=1),
    maxpool('strides_larger', normal(1, 1, 6, 7), pool_size=2, strides=(3, 4)),
    maxpool('padding', normal(1, 2, 4, 5), pool_size=(3, 2), strides=2, padding=(1, 0)),
    maxpool('ceil', normal(1, 1, 6, 5), pool_size=3, strides=2, ceil_mode=True),
    maxpool('ceil_padding', normal(1, 1, 6, 5), pool_size=3, strides=2, padding=1, ceil_mode=True),
    # The last window lies outside the input altogether: MXNet answers with the lowest float32.
    maxpool('ceil_empty_window', normal(1, 1, 2, 6), pool_size=2, strides=(1, 3), ceil_mode=True),
    maxpool('nhwc', normal(1, 5, 4, 2), layout='NHWC', ceil_mode=True),

    avgpool('plain', normal(2, 2, 5, 4)),
    avgpool('strides_smaller', normal(1, 2, 4, 4), pool_size=3, strides=1),
    avgpool('strides_larger', normal(1, 1, 6, 7), pool_size=2, strides=(3, 4)),
    *[avgpool(name + suffix, normal(1, 1, 6, 5), pool_size=(3, 2), strides=2, padding=padding,
              ceil_mode=name.startswith('ceil'), count_include_pad=include)
      for name, padding in [('padding', 1), ('ceil', 0), ('ceil_padding', 1)]
      for suffix, include in [('_include', True), ('_exclude', False)]],
    # The same window: zero, not 0/0.
    avgpool('ceil_empty_window', normal(1, 1, 2, 6), pool_size=2, strides=(1, 3), ceil_mode=True),
    avgpool('nhwc', normal(1, 5, 4, 2), layout='NHWC', ceil_mode=True, count_include_pad=False),

    globalavg('plain', normal(2, 2, 3, 2)),
    globalavg('one_pixel', normal(1, 2, 1, 1)),
    globalavg('nhwc', normal(1, 3, 2, 2), layout='NHWC'),
]
