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
    wrong: tuple = ()  # recorded fields that are no answer to hold anybody to; the row says why
    onednn: bool = False  # True: without oneDNN, MXNet gets it wrong on CPUs, or lacks it; see make_golden.py


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


def spatial(layer, name, inputs, *args, **kwargs):
    return Case('%s_%s' % (layer.lower(), name), layer, args, kwargs, inputs)


def image(shape, *numbers):
    """One input with these numbers in this shape."""
    return ((shape, 'float32', ('values',) + numbers),)


def maxpool(name, inputs, **kwargs):
    return Case('maxpool2d_' + name, 'MaxPool2D', (), kwargs, inputs)


def avgpool(name, inputs, **kwargs):
    return Case('avgpool2d_' + name, 'AvgPool2D', (), kwargs, inputs)


def globalavg(name, inputs, **kwargs):
    return Case('globalavgpool2d_' + name, 'GlobalAvgPool2D', (), kwargs, inputs)


def sync(name, inputs, **kwargs):
    return Case('syncbatchnorm_' + name, 'SyncBatchNorm', (), dict(kwargs, num_devices=1), inputs)


def norm(layer, name, inputs, **kwargs):
    return Case(layer.lower() + '_' + name, layer, (), kwargs, inputs)


def prelu(name, inputs, **kwargs):
    return Case('prelu_' + name, 'PReLU', (), kwargs, inputs)


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

    *[Case(name, layer, args, {}, values(-100, -20, -1.5, -0.3, 0, 0.3, 1.5, 20, 100)) for name, layer, args in [
        ('leakyrelu', 'LeakyReLU', (0.1,)), ('leakyrelu_zero', 'LeakyReLU', (0,)),
        ('leakyrelu_steep', 'LeakyReLU', (2,)), ('elu', 'ELU', ()), ('elu_alpha', 'ELU', (0.3,)),
        ('gelu', 'GELU', ()), ('swish', 'Swish', ()), ('swish_beta', 'Swish', (2.0,)),
        ('swish_negative', 'Swish', (-0.5,))]],
    # MXNet's slope below 0 is scale * (alpha + out); the derivative is scale * alpha + out.
    Case('selu', 'SELU', (), {}, values(-100, -20, -1.5, -0.3, 0, 0.3, 1.5, 20, 100),
         wrong=('grad_x0', 'train_grad_x0')),
    prelu('one_rank1', normal(4)),
    prelu('one_rank3', normal(2, 3, 2)),
    prelu('at_zero', values(-1, 0, 1)),
    prelu('channels_rank1', normal(3), in_channels=3),
    prelu('channels_rank2', normal(2, 3), in_channels=3),
    prelu('channels_square', normal(3, 3), in_channels=3),
    prelu('channels_rank3', normal(2, 3, 3), in_channels=3),
    prelu('channels_rank4', normal(2, 3, 2, 2), in_channels=3),

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

    # MXNet has it for oneDNN and GPUs only, for images with channels first, and right gradients in training alone.
    *[norm('BatchNormReLU', *row, **kwargs)._replace(onednn=True, wrong=('grad_x0', 'grad/gamma', 'grad/beta'))
      for row, kwargs in [
          (('plain', normal(2, 3, 2, 2)), {}),
          (('arguments', normal(3, 2, 1, 3)), {'momentum': 0.6, 'epsilon': 0.1, 'in_channels': 2}),
          (('bare', normal(2, 3, 3, 2)), {'center': False, 'scale': False}),
          (('global_stats', normal(5, 3, 1, 1)), {'use_global_stats': True}),
          (('one_value_per_channel', normal(1, 3, 1, 1)), {})]],

    sync('rank2', normal(5, 3)),
    sync('rank3', normal(3, 3, 2), momentum=0.6, epsilon=0.1),
    sync('rank4', normal(2, 3, 2, 2), in_channels=3),
    sync('bare', normal(3, 3, 2), center=False, scale=False),
    sync('global_stats', normal(5, 3), use_global_stats=True),

    norm('LayerNorm', 'rank1', normal(4)),
    norm('LayerNorm', 'rank2', normal(3, 4)),
    norm('LayerNorm', 'rank3', normal(2, 3, 4), in_channels=4),
    norm('LayerNorm', 'axis1', normal(2, 3, 4), axis=1),
    norm('LayerNorm', 'axis0', normal(2, 3, 4), axis=0),
    norm('LayerNorm', 'axis_from_behind', normal(2, 3, 4, 2), axis=-2, epsilon=0.1),
    norm('LayerNorm', 'no_center', normal(3, 4), center=False),
    norm('LayerNorm', 'no_scale', normal(3, 4), scale=False),  # gamma still multiplies, unlike BatchNorm's
    norm('LayerNorm', 'one_value', normal(3, 1)),

    norm('GroupNorm', 'one_group', normal(2, 4, 3)),
    norm('GroupNorm', 'two_groups', normal(2, 4, 3, 2), num_groups=2),
    norm('GroupNorm', 'group_a_channel', normal(2, 3, 4), num_groups=3, epsilon=0.1),
    norm('GroupNorm', 'rank5', normal(1, 4, 2, 1, 3), num_groups=2),
    norm('GroupNorm', 'no_center', normal(2, 4, 3), num_groups=2, center=False),
    norm('GroupNorm', 'no_scale', normal(2, 4, 3), num_groups=2, scale=False),
    norm('GroupNorm', 'one_value', normal(2, 2, 1), num_groups=2),

    norm('InstanceNorm', 'rank3', normal(2, 3, 4)),
    norm('InstanceNorm', 'rank4', normal(2, 3, 2, 2), in_channels=3),
    norm('InstanceNorm', 'rank5', normal(1, 2, 2, 3, 2)),
    norm('InstanceNorm', 'last_axis', normal(2, 2, 3, 2), axis=-1),
    norm('InstanceNorm', 'axis2', normal(2, 3, 4), axis=2),
    norm('InstanceNorm', 'axis0', normal(2, 3, 4), axis=0),  # MXNet swaps it with axis 1, which counts as the batch
    norm('InstanceNorm', 'scale', normal(2, 3, 4), scale=True),
    norm('InstanceNorm', 'scale_no_center', normal(2, 3, 4), scale=True, center=False, epsilon=0.1),
    norm('InstanceNorm', 'one_place', normal(2, 3, 1)),

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

    Case('pixelshuffle1d', 'PixelShuffle1D', (3,), {}, normal(2, 6, 2)),
    Case('pixelshuffle2d', 'PixelShuffle2D', (2,), {}, normal(2, 8, 2, 3)),
    Case('pixelshuffle2d_asymmetric', 'PixelShuffle2D', ((2, 3),), {}, normal(1, 12, 1, 2)),
    Case('pixelshuffle2d_one', 'PixelShuffle2D', (1,), {}, normal(1, 2, 2, 3)),
    Case('pixelshuffle3d', 'PixelShuffle3D', ((2, 1, 3),), {}, normal(1, 12, 2, 3, 1)),
    Case('reflectionpad2d', 'ReflectionPad2D', (2,), {}, normal(1, 2, 3, 4)),
    Case('reflectionpad2d_none', 'ReflectionPad2D', (), {}, normal(1, 2, 1, 2)),
    Case('reflectionpad2d_sides', 'ReflectionPad2D', ((0, 0, 0, 0, 1, 0, 2, 3),), {}, normal(2, 1, 2, 4)),

    Case('concurrent', 'Concurrent', (), {'axis': 1}, normal(2, 3), (child('Dense', 2), child('Identity'))),
    Case('hybridconcurrent', 'HybridConcurrent', (), {}, normal(2, 3), (child('Dense', 2), child('Identity'))),

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
    conv('one_element', normal(1, 1, 1, 1), 1, 1),

    *[spatial('Conv1D', *row, **kwargs) for row, kwargs in [
        (('plain', normal(2, 2, 5), 3, 3), {}),
        (('no_bias_relu', normal(1, 2, 4), 3, 2), {'use_bias': False, 'activation': 'relu'}),
        (('all', normal(1, 4, 9), 6, 3), {'strides': 2, 'padding': 1, 'dilation': 2, 'groups': 2, 'in_channels': 4}),
        (('depthwise', normal(1, 3, 5), 3, (2,)), {'groups': 3, 'padding': (2,)}),
        (('kernel_of_input_size', normal(1, 2, 3), 2, 3), {}),
        (('one_element', normal(1, 1, 1), 1, 1), {}),
    ]],

    *[spatial('Conv3D', *row, **kwargs) for row, kwargs in [
        (('plain', normal(2, 2, 3, 2, 4), 2, 2), {}),
        (('all', normal(1, 4, 6, 3, 5), 2, (3, 1, 2)),
         {'strides': (2, 1, 3), 'padding': (1, 0, 2), 'dilation': (2, 1, 3), 'groups': 2}),
        (('no_bias_tanh', normal(1, 1, 2, 3, 2), 2, (1, 2, 2)), {'use_bias': False, 'activation': 'tanh'}),
        (('depthwise', normal(1, 2, 2, 2, 3), 4, 2), {'groups': 2, 'strides': 2, 'padding': 1, 'use_bias': False}),
        (('kernel_of_input_size', normal(1, 2, 2, 1, 3), 2, (2, 1, 3)), {}),
    ]],

    # MXNet infers the channels of a transposed convolution only where there is one group.
    *[spatial('Conv1DTranspose', *row, **kwargs) for row, kwargs in [
        (('plain', normal(2, 2, 4), 3, 3), {}),
        (('strides', normal(1, 2, 3), 3, 2), {'strides': 3, 'use_bias': False, 'activation': 'relu'}),
        (('dilation', normal(1, 2, 3), 2, 3), {'dilation': 2, 'padding': 1}),
        (('groups', normal(1, 4, 3), 6, 3),
         {'strides': 3, 'padding': 2, 'output_padding': 2, 'groups': 2, 'in_channels': 4}),
        (('depthwise', normal(1, 3, 3), 3, (4,)), {'groups': 3, 'strides': 2, 'padding': (1,), 'in_channels': 3}),
        (('one_element', normal(1, 1, 1), 1, 1), {}),
    ]],

    *[spatial('Conv2DTranspose', *row, **kwargs) for row, kwargs in [
        (('plain', normal(2, 2, 3, 4), 3, 3), {}),
        (('no_bias', normal(1, 2, 3, 3), 3, 2), {'use_bias': False}),
        (('tanh', normal(1, 2, 2, 2), 3, 2), {'activation': 'tanh'}),
        (('pointwise', normal(2, 3, 2, 2), 2, 1), {'in_channels': 3}),
        (('upsampling', normal(1, 2, 3, 3), 2, 4), {'strides': 2, 'padding': 1}),
        (('gaps', normal(1, 2, 2, 3), 2, 2), {'strides': (3, 4)}),  # strides beyond the kernel leave places empty
        (('asymmetric', normal(1, 2, 3, 4), 2, (1, 3)), {'strides': (2, 1), 'padding': (0, 2)}),
        (('output_padding', normal(1, 2, 3, 2), 2, (2, 3)), {'strides': (3, 2), 'output_padding': (2, 1)}),
        (('dilation', normal(1, 1, 3, 4), 2, (2, 3)), {'dilation': (3, 2), 'padding': (1, 2)}),
        (('groups', normal(1, 4, 2, 3), 6, 2), {'groups': 2, 'in_channels': 4}),
        (('depthwise', normal(1, 3, 2, 2), 3, 4),
         {'groups': 3, 'strides': 2, 'padding': 1, 'use_bias': False, 'in_channels': 3}),
        (('padding_beyond_kernel', normal(1, 2, 3, 4), 2, 1), {'padding': 1}),
        (('one_element', normal(1, 1, 1, 1), 1, 3), {'padding': 1}),
    ]],

    *[spatial(*row, **kwargs)._replace(onednn=True) for row, kwargs in [
        (('Conv1DTranspose', 'all', normal(1, 4, 3), 6, 3),
         {'strides': 3, 'padding': 2, 'output_padding': 2, 'dilation': 2, 'groups': 2, 'in_channels': 4}),
        (('Conv2DTranspose', 'all', normal(1, 4, 3, 4), 2, (2, 3)),
         {'strides': (2, 3), 'padding': (1, 0), 'output_padding': (1, 2), 'dilation': (3, 2), 'groups': 2,
          'in_channels': 4}),
        (('Conv3DTranspose', 'plain', normal(2, 2, 2, 3, 1), 3, 2), {}),
        (('Conv3DTranspose', 'no_bias_relu', normal(1, 2, 2, 2, 2), 3, (1, 2, 3)),
         {'use_bias': False, 'activation': 'relu'}),
        (('Conv3DTranspose', 'all', normal(1, 4, 3, 2, 2), 2, (2, 1, 3)),  # MXNet dilates none of three dimensions
         {'strides': (2, 1, 3), 'padding': (1, 0, 2), 'output_padding': (1, 0, 2), 'groups': 2, 'in_channels': 4}),
        (('Conv3DTranspose', 'one_element', normal(1, 1, 1, 1, 1), 1, 3), {'padding': 1}),
    ]],

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

    *[spatial(*row, **kwargs) for row, kwargs in [
        (('MaxPool1D', 'plain', normal(2, 2, 5)), {}),
        (('MaxPool1D', 'overlapping', normal(1, 2, 6), 3, 2, 1), {'ceil_mode': True}),
        (('MaxPool1D', 'window_of_input_size', normal(1, 2, 3), 3), {}),
        (('MaxPool1D', 'one_element', normal(1, 1, 1), 1), {}),
        (('MaxPool1D', 'beside_the_input', normal(1, 1, 5), 2, 2, 3), {}),
        (('MaxPool1D', 'nwc', normal(1, 5, 2), 2, 2, 0, 'NWC', True), {}),
        (('MaxPool3D', 'plain', normal(1, 2, 2, 5, 4)), {}),
        (('MaxPool3D', 'ceil_padding', normal(1, 1, 4, 3, 5), (2, 3, 1), (2, 1, 3), (1, 1, 0), True), {}),
        (('MaxPool3D', 'ndhwc', normal(1, 2, 3, 2, 2)), {'pool_size': (1, 2, 2), 'layout': 'NDHWC'}),
        (('AvgPool1D', 'plain', normal(2, 2, 5)), {}),
        (('AvgPool1D', 'include', normal(1, 2, 6), 3, 2, 1), {'ceil_mode': True}),
        (('AvgPool1D', 'exclude', normal(1, 2, 6), 3, 2, 1), {'ceil_mode': True, 'count_include_pad': False}),
        (('AvgPool1D', 'window_of_input_size', normal(1, 2, 3), 3), {}),
        (('AvgPool1D', 'one_element', normal(1, 1, 1), 1), {}),
        (('AvgPool1D', 'beside_the_input', normal(1, 1, 5), 2, 2, 3), {'count_include_pad': False}),
        (('AvgPool1D', 'nwc', normal(1, 5, 2), 2, 2, 0, 'NWC', True), {}),
        (('AvgPool3D', 'plain', normal(1, 2, 2, 5, 4)), {}),
        (('AvgPool3D', 'include', normal(1, 1, 4, 3, 5), (2, 3, 1), (2, 1, 3), (1, 1, 0), True), {}),
        (('AvgPool3D', 'exclude', normal(1, 1, 4, 3, 5), (2, 3, 2), (2, 1, 3), (1, 1, 0), True),
         {'count_include_pad': False}),
        (('AvgPool3D', 'ndhwc', normal(1, 2, 3, 2, 2)), {'pool_size': (1, 2, 2), 'layout': 'NDHWC'}),
        # Of equal values the first has the gradient.
        (('MaxPool1D', 'ties', image((1, 1, 6), 1, 1, 1, 0, 0, 0), 3, 1, 1), {}),
        (('MaxPool2D', 'ties', image((1, 1, 3, 3), 1, 1, 0, 1, 1, 1, 0, 1, 1), 2, 1), {}),
        (('MaxPool3D', 'ties', image((1, 1, 2, 2, 2), 0, 2, 2, 1, 2, 0, 1, 2)), {}),
        (('GlobalMaxPool1D', 'ties', image((1, 2, 3), 1, 2, 2, 3, 3, 0)), {}),
        (('GlobalMaxPool2D', 'ties', image((1, 1, 2, 2), 0, 2, 2, 1)), {}),
        (('GlobalMaxPool2D', 'ties_nhwc', image((1, 2, 2, 2), 1, 0, 1, 3, 0, 3, 1, 3), 'NHWC'), {}),
    ]],

    *[spatial('Global%sPool%dD' % (kind, rank), name, normal(*shape), layout)
      for kind in ('Max', 'Avg')
      for rank, name, shape, layout in [
          (1, 'plain', (2, 2, 3), 'NCW'), (1, 'nwc', (1, 3, 2), 'NWC'),
          (3, 'plain', (1, 2, 2, 3, 2), 'NCDHW'), (3, 'ndhwc', (1, 2, 1, 3, 2), 'NDHWC')]],
    spatial('GlobalMaxPool2D', 'plain', normal(2, 2, 3, 2)),
    spatial('GlobalMaxPool2D', 'one_pixel', normal(1, 2, 1, 1)),
    spatial('GlobalMaxPool2D', 'nhwc', normal(1, 3, 2, 2), layout='NHWC'),
]
