"""The cases of MXNet's operators: name, inputs, attributes. Both MXNet and the tests make the inputs from this table."""

import zlib

import numpy as np

FAMILIES = {}


def normal(*shape):
    return lambda random: random.standard_normal(shape).astype('float32')


def uniform(low, high, *shape):
    return lambda random: random.uniform(low, high, shape).astype('float32')


def ints(low, high, *shape, **options):
    return lambda random: random.randint(low, high, shape).astype(options.get('dtype', 'float32'))


def values(*numbers, **options):
    return lambda random: np.array(numbers, options.get('dtype', 'float32'))


def distinct(*shape):
    """Numbers that are well apart, for what compares."""
    return lambda random: (random.permutation(int(np.prod(shape))).reshape(shape) / 4 - 1).astype('float32')


class Case:
    """One call of an operator.

    `training` runs it in training; `grad` says of how many inputs, from the first on, gradients are compared, by default
    of all that are of floating point.
    """

    def __init__(self, operator, *inputs, **attributes):
        self.training = attributes.pop('training_', False)
        self.grad = attributes.pop('grad_', None)
        self.operator, self.attributes = operator, attributes
        self.makers = [normal(*i) if isinstance(i, tuple) else i for i in inputs]

    def inputs(self, index):
        random = np.random.RandomState(zlib.crc32('{} {}'.format(self.operator, index).encode()))
        return [make(random) for make in self.makers]


def family(name, *cases):
    FAMILIES[name] = list(cases)


def key(name, index):
    return '{} {} {}'.format(name, index, FAMILIES[name][index].operator)


UNARY = (
    'relu sigmoid softsign tanh exp expm1 square negative abs sign round rint ceil floor trunc fix sin cos tan arctan sinh '
    'cosh arcsinh degrees radians erf logical_not zeros_like ones_like cbrt identity BlockGrad'
).split()
POSITIVE = 'log log10 log2 log1p sqrt rsqrt rcbrt reciprocal gamma gammaln'.split()
BETWEEN = 'arcsin arccos arctanh erfinv'.split()
BINARY = 'add sub mul div mod power maximum minimum hypot'.split()
COMPARE = 'equal not_equal greater greater_equal lesser lesser_equal logical_and logical_or logical_xor'.split()
SCALARS = (
    'plus minus rminus mul div rdiv mod rmod power rpower maximum minimum hypot equal not_equal greater greater_equal lesser '
    'lesser_equal logical_and logical_or logical_xor'
).split()
ELEMENTWISE = {'add': 'elemwise_add', 'sub': 'elemwise_sub', 'mul': 'elemwise_mul', 'div': 'elemwise_div'}

family('unary', *(
    [Case(name, uniform(-2.2, 2.2, 2, 3)) for name in UNARY]
    + [Case(name, uniform(0.2, 3, 2, 3)) for name in POSITIVE]
    + [Case(name, uniform(-0.9, 0.9, 2, 3)) for name in BETWEEN]
    + [Case('arccosh', uniform(1.1, 3, 2, 3))]
    + [Case(name, values(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)) for name in ('round', 'rint', 'fix', 'ceil')]
    + [Case('Activation', (2, 3), act_type=name) for name in ('relu', 'sigmoid', 'softrelu', 'softsign', 'tanh')]
    + [Case('LeakyReLU', (2, 3), act_type=name) for name in ('leaky', 'elu', 'gelu')]
    + [
        Case('LeakyReLU', (2, 3), act_type='selu', grad_=0),  # MXNet's gradient takes the output for the input
        Case('LeakyReLU', (2, 3), act_type='rrelu', grad_=0),
        Case('LeakyReLU', (2, 3, 2), (3,), act_type='prelu'),
        Case('LeakyReLU', (2, 3), (1,), act_type='prelu'),
        Case('LeakyReLU', (2, 3), act_type='leaky', slope=0.1),
        Case('clip', (2, 3), a_min=-0.5, a_max=0.5),
        Case('smooth_l1', (2, 3)),
        Case('smooth_l1', (2, 3), scalar=2.0),
        Case('hard_sigmoid', uniform(-4, 4, 2, 3)),
        Case('hard_sigmoid', uniform(-4, 4, 2, 3), alpha=0.5, beta=0.1),
        Case('Cast', (2, 3), dtype='float16'),
        Case('Cast', (2, 3), dtype='int32', grad_=0),
        Case('Cast', uniform(0, 9, 2, 3), dtype='uint8', grad_=0),
    ]
))

family('binary', *(
    [Case(ELEMENTWISE.get(name, '_' + name), uniform(0.5, 2, 2, 3), uniform(0.5, 2, 2, 3)) for name in BINARY]
    + [Case('broadcast_' + name, uniform(0.5, 2, 2, 3), uniform(0.5, 2, 1, 3)) for name in BINARY]
    + [Case('broadcast_' + name, ints(-1, 2, 2, 3), ints(-1, 2, 2, 1)) for name in COMPARE]
    + [Case('_' + name + '_scalar', uniform(0.5, 2, 2, 3), scalar=1.3) for name in SCALARS]
    + [Case('_' + name + '_scalar', ints(-2, 3, 2, 3), scalar=1) for name in ('equal', 'greater', 'lesser', 'not_equal')]
    + [
        Case('broadcast_mod', uniform(-4, 4, 2, 3), uniform(-2, 2, 2, 3), grad_=0),
        Case('broadcast_mod', ints(-4, 5, 2, 3), ints(-1, 2, 2, 3), grad_=0),
        Case('_mod_scalar', uniform(-4, 4, 2, 3), scalar=-1.5),
        Case('_plus_scalar', ints(0, 9, 2, 3, dtype='int32'), scalar=2.0),
        Case('elemwise_div', ints(-9, 9, 6, dtype='int32'), values(2, -2, 3, 3, 4, 1, dtype='int32')),
        Case('add_n', (2, 3), (2, 3), (2, 3)),
        Case('where', ints(0, 2, 2, 3), (2, 3), (2, 3)),
        Case('where', ints(0, 2, 2), (2, 3), (2, 3)),
    ]
))

family('reduce', *(
    [Case(name, (2, 3, 2)) for name in ('sum', 'mean', 'max', 'min', 'prod', 'nansum', 'nanprod', 'norm')]
    + [Case(name, (2, 3, 2), axis=1, keepdims=True) for name in ('sum', 'mean', 'max', 'min', 'prod', 'norm')]
    + [Case(name, (2, 3, 2), axis=(0, -1)) for name in ('sum', 'mean', 'norm')]
    + [Case(name, (2, 3, 2), axis=1, exclude=True) for name in ('sum', 'mean', 'max')]
    + [
        Case('sum', (2, 3), axis=()),
        Case('norm', (2, 3, 2), ord=1, axis=1),
        Case('moments', (2, 3, 2), axes=(0, 2)),
        Case('moments', (2, 3, 2), axes=(0, 2), keepdims=True),
        Case('argmax', distinct(2, 3, 2), axis=1, grad_=0),
        Case('argmax', distinct(2, 3), grad_=0),
        Case('argmin', distinct(2, 3), axis=-1, keepdims=True, grad_=0),
        Case('argmax', values(1, 3, 3, 2), axis=0, grad_=0),
        Case('argmax_channel', distinct(2, 3), grad_=0),
        Case('sort', distinct(2, 3), grad_=0),
        Case('sort', distinct(2, 3), axis=0, is_ascend=False, grad_=0),
        Case('sort', distinct(2, 3), axis=None, grad_=0),
        Case('argsort', distinct(2, 3), grad_=0),
        Case('argsort', distinct(2, 3), axis=0, is_ascend=False, dtype='int32', grad_=0),
        Case('topk', distinct(2, 5), k=2, grad_=0),
        Case('topk', distinct(2, 5), k=2, ret_typ='value', grad_=0),
        Case('topk', distinct(2, 5), k=3, ret_typ='both', is_ascend=True, grad_=0),
        Case('topk', distinct(2, 5), k=2, ret_typ='mask', grad_=0),
        Case('topk', distinct(5, 2), k=2, axis=0, ret_typ='both', dtype='int32', grad_=0),
        Case('topk', distinct(2, 3), k=4, axis=None, ret_typ='indices', grad_=0),
    ]
))

family(
    'shape',
    Case('Reshape', (2, 3, 4), shape=(-3, 0)),
    Case('Reshape', (2, 3, 4), shape=(0, -1)),
    Case('Reshape', (2, 3, 4), shape=(-4, 1, 2, -2)),
    Case('Reshape', (2, 4, 3), shape=(0, -4, -1, 2, 0)),
    Case('Reshape', (2, 3, 4), shape=(-1, 0), reverse=True),
    Case('Reshape', (8, 3, 2), shape=(-1, 2, -4, 3, 2), reverse=True),
    Case('Reshape', (2, 3, 4), target_shape=(2, 0)),
    Case('Reshape', (2, 3, 4), target_shape=(0, 0), keep_highest=True),
    Case('Flatten', (2, 3, 2)),
    Case('reshape_like', (6,), (2, 3)),
    Case('reshape_like', (12, 2), (2, 3, 2, 5), lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=3, grad_=1),
    Case('transpose', (2, 3, 4)),
    Case('transpose', (2, 3, 4), axes=(1, 0, 2)),
    Case('SwapAxis', (2, 3, 4), dim1=0, dim2=2),
    Case('expand_dims', (2, 3), axis=-1),
    Case('expand_dims', (2, 3), axis=1),
    Case('squeeze', (1, 2, 1)),
    Case('squeeze', (1, 2, 1), axis=2),
    Case('squeeze', (1, 1)),
    Case('Concat', (2, 3), (2, 1)),
    Case('Concat', (2, 3), (1, 3), dim=0),
    Case('stack', (2, 3), (2, 3), axis=1),
    Case('SliceChannel', (2, 4), num_outputs=2),
    Case('SliceChannel', (2, 2, 3), num_outputs=2, axis=1, squeeze_axis=True),
    Case('_split_v2', (2, 6), indices=(0, 1, 4), axis=1),
    Case('_split_v2', (4, 2), indices=(), sections=2, axis=0),
    Case('slice', (4, 5), begin=(1, None), end=(None, 3)),
    Case('slice', (4, 5), begin=(-3, 4), end=(None, 0), step=(2, -2)),
    Case('slice_axis', (4, 5), axis=1, begin=-3, end=None),
    Case('slice_axis', (4, 5), axis=-2, begin=1, end=-1),
    Case('slice_like', (4, 5), (2, 3)),
    Case('slice_like', (4, 5), (2, 3, 4), axes=(1,)),
    Case('Crop', (1, 2, 5, 6), (1, 1, 3, 4), num_args=2, offset=(1, 2), grad_=1),
    Case('Crop', (1, 2, 5, 6), num_args=1, h_w=(3, 3), center_crop=True),
    Case('broadcast_axis', (2, 1, 1), axis=(1, 2), size=(3, 2)),
    Case('broadcast_to', (2, 1), shape=(0, 3)),
    Case('broadcast_like', (2, 1), (2, 3)),
    Case('broadcast_like', (1, 2), (3, 4), lhs_axes=(0,), rhs_axes=(-1,)),
    Case('tile', (2, 3), reps=(2, 1, 2)),
    Case('tile', (2, 3), reps=(2,)),
    Case('repeat', (2, 3), repeats=2),
    Case('repeat', (2, 3), repeats=2, axis=-1),
    Case('reverse', (2, 3), axis=(0, 1)),
    Case('Pad', (1, 2, 3, 3), mode='constant', pad_width=(0, 0, 0, 0, 1, 2, 2, 0), constant_value=3.0),
    Case('Pad', (1, 2, 3, 3), mode='edge', pad_width=(0, 0, 0, 0, 1, 2, 2, 0)),
    Case('Pad', (1, 2, 3, 3), mode='reflect', pad_width=(0, 0, 0, 0, 1, 2, 2, 0)),
    Case('depth_to_space', (1, 4, 2, 3), block_size=2),
    Case('space_to_depth', (1, 2, 4, 2), block_size=2),
    Case('shape_array', (2, 3), grad_=0),
    Case('size_array', (2, 3), grad_=0),
    Case('diag', (3,)),
    Case('diag', (3, 4), k=1),
    Case('diag', (2, 3, 3), axis1=1, axis2=2),
    Case('_zeros', shape=(2, 3)),
    Case('_ones', shape=(2,), dtype='int32'),
    Case('_full', shape=(2,), value=2.5),
    Case('_eye', N=3, M=4, k=1),
    Case('_arange', start=5),
    Case('_arange', start=1, stop=7.5, step=2, repeat=2),
    Case('_arange', start=3, stop=-2, step=-1, dtype='int32'),
    Case('_contrib_arange_like', (2, 3), start=1, step=2, grad_=0),
    Case('_contrib_arange_like', (2, 3), axis=-1, grad_=0),
    Case('_contrib_arange_like', (2, 6), axis=1, repeat=2, grad_=0),
)

family(
    'index',
    Case('take', (4, 3), values(0, 3, 5, -1)),
    Case('take', (4, 3), values(0, 3, 5, -1), mode='wrap'),
    Case('take', (2, 4), ints(0, 4, 2, 2), axis=1),
    Case('batch_take', (3, 2), values(0, 1, 0, dtype='int32'), grad_=0),
    Case('pick', (2, 3), values(0, 2), grad_=1),
    Case('pick', (2, 3), values(0, 1, 5), axis=0, keepdims=True, grad_=1),
    Case('pick', (2, 3), values(-1, 4), mode='wrap', grad_=1),
    Case('one_hot', values(0, 2, 5), depth=3, grad_=0),
    Case('one_hot', ints(0, 3, 2, 2), depth=3, on_value=2, off_value=-1, dtype='int32', grad_=0),
    Case('gather_nd', (2, 3, 2), values([0, 1], [2, 0]), grad_=1),
    Case('scatter_nd', (2,), values([0, 1], [2, 0]), shape=(2, 3), grad_=1),
    Case('_contrib_index_copy', (4, 2), values(1, 3), (2, 2), grad_=0),
    Case('_contrib_index_array', (2, 3), grad_=0),
    Case('_ravel_multi_index', values([0, 1], [2, 0]), shape=(2, 3), grad_=0),
    Case('_unravel_index', values(1, 5), shape=(2, 3), grad_=0),
    Case('dot', (2, 3), (3, 2)),
    Case('dot', (3,), (3,)),
    Case('dot', (3, 2), (4, 3), transpose_a=True, transpose_b=True),
    Case('dot', (2, 2, 3), (3, 2)),
    Case('batch_dot', (2, 2, 3), (2, 3, 2)),
    Case('batch_dot', (2, 3, 2), (2, 4, 3), transpose_a=True, transpose_b=True),
    Case('khatri_rao', (2, 3), (3, 3), grad_=0),
    Case('softmax_cross_entropy', (2, 3), values(0, 2), grad_=1),
    Case('SequenceMask', (3, 2, 2), values(1, 3), use_sequence_length=True, value=-1.0, grad_=1),
    Case('SequenceMask', (2, 3), values(1, 3), use_sequence_length=True, axis=1, grad_=1),
    Case('SequenceMask', (3, 2), grad_=1),
    Case('SequenceLast', (3, 2, 2), values(1, 3), use_sequence_length=True, grad_=1),
    Case('SequenceLast', (2, 3), values(1, 3), use_sequence_length=True, axis=1, grad_=1),
    Case('SequenceLast', (3, 2, 2), grad_=0),  # MXNet crashes at its gradient
    Case('SequenceReverse', (3, 2, 2), values(1, 2), use_sequence_length=True, grad_=1),
    Case('SequenceReverse', (3, 2, 2)),
)

family(
    'nn',
    Case('Convolution', (1, 2, 5, 4), (3, 2, 3, 2), (3,), kernel=(3, 2), num_filter=3, stride=(2, 1), pad=(1, 0)),
    Case('Convolution', (1, 4, 5, 5), (4, 2, 2, 2), kernel=(2, 2), num_filter=4, num_group=2, no_bias=True, dilate=(2, 2)),
    Case('Convolution', (1, 2, 6), (3, 2, 3), (3,), kernel=(3,), num_filter=3, pad=(1,)),
    Case('Convolution', (1, 1, 3, 4, 3), (2, 1, 2, 2, 2), (2,), kernel=(2, 2, 2), num_filter=2),
    Case('Deconvolution', (1, 2, 3, 3), (2, 3, 3, 3), kernel=(3, 3), num_filter=3, stride=(2, 2), pad=(1, 1), adj=(1, 1)),
    Case('Deconvolution', (1, 2, 3, 3), (2, 1, 4, 4), (2,), kernel=(4, 4), num_filter=2, num_group=2, stride=(2, 2),
         pad=(1, 1), no_bias=False),
    Case('Deconvolution', (1, 2, 4), (2, 3, 3), kernel=(3,), num_filter=3),
    Case('FullyConnected', (2, 3, 2), (4, 6), (4,), num_hidden=4),
    Case('FullyConnected', (2, 3, 2), (4, 2), num_hidden=4, flatten=False, no_bias=True),
    Case('Pooling', distinct(1, 2, 5, 6), kernel=(3, 2), training_=True),
    Case('Pooling', distinct(1, 2, 5, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pooling_convention='full', training_=True),
    Case('Pooling', (1, 2, 5, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pooling_convention='full', pool_type='avg'),
    Case('Pooling', (1, 2, 5, 6), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type='avg', count_include_pad=False),
    Case('Pooling', (1, 2, 5, 6), kernel=(2, 2), stride=(2, 2), pool_type='sum'),
    Case('Pooling', (1, 2, 4, 4), kernel=(2, 2), stride=(2, 2), pool_type='lp', p_value=2, grad_=0),
    Case('Pooling', distinct(1, 2, 5), kernel=(2,), stride=(2,), pooling_convention='full', training_=True),
    Case('Pooling', (1, 1, 3, 3, 3), kernel=(2, 2, 2), pool_type='avg'),
    Case('Pooling', distinct(1, 2, 3, 3), kernel=(1, 1), global_pool=True, training_=True),
    Case('Pooling', (1, 2, 3, 3), global_pool=True, pool_type='avg'),
    Case('Pooling', (1, 2, 3, 3), global_pool=True, pool_type='sum'),
    Case('Pooling', distinct(1, 1, 3, 3), kernel=(2, 2), stride=(3, 3), pad=(1, 1), pooling_convention='full', grad_=0),
    Case('BatchNorm', (2, 3, 2), (3,), (3,), (3,), uniform(0.5, 2, 3), grad_=3),
    Case('BatchNorm', (2, 3, 2), (3,), (3,), (3,), uniform(0.5, 2, 3), fix_gamma=False, eps=1e-5, grad_=3),
    Case('BatchNorm', (4, 3, 2), (3,), (3,), (3,), uniform(0.5, 2, 3), fix_gamma=False, training_=True, grad_=3),
    Case('BatchNorm', (4, 3), (3,), (3,), (3,), uniform(0.5, 2, 3), training_=True, momentum=0.5, grad_=3),
    Case('BatchNorm', (2, 2, 3), (3,), (3,), (3,), uniform(0.5, 2, 3), fix_gamma=False, axis=-1, training_=True, grad_=3),
    Case('BatchNorm', (4, 3), (3,), (3,), (3,), uniform(0.5, 2, 3), fix_gamma=False, use_global_stats=True,
         training_=True, grad_=3),
    Case('LayerNorm', (2, 3, 4), (4,), (4,)),
    Case('LayerNorm', (2, 3, 4), (3,), (3,), axis=1, eps=1e-3),
    Case('LayerNorm', (2, 4), (4,), (4,), output_mean_var=True, grad_=0),
    Case('InstanceNorm', (2, 3, 4), (3,), (3,)),
    Case('GroupNorm', (2, 4, 3), (2,), (2,), num_groups=2),
    Case('L2Normalization', (2, 3, 2)),
    Case('L2Normalization', (2, 3, 2), mode='channel'),
    Case('L2Normalization', (2, 3, 2), mode='spatial'),
    Case('LRN', (1, 5, 2, 2), nsize=3),
    Case('LRN', (1, 5, 2, 2), nsize=5, alpha=0.1, beta=0.5, knorm=1.0),
    Case('Dropout', (2, 3), p=0.5),
    Case('Embedding', ints(0, 4, 2, 2), (4, 3), input_dim=4, output_dim=3, grad_=0),
    Case('Embedding', values(-1, 9, 1.7), (4, 3), input_dim=4, output_dim=3, grad_=0),
    Case('softmax', (2, 3)),
    Case('softmax', (2, 3, 2), axis=1, temperature=2.0),
    Case('softmax', (2, 3), values(1, 3, dtype='int32'), use_length=True, grad_=1),
    Case('log_softmax', (2, 3)),
    Case('softmin', (2, 3)),
    Case('SoftmaxActivation', (2, 3)),
    Case('SoftmaxActivation', (2, 3, 2), mode='channel'),
    Case('SoftmaxActivation', (2, 3, 2), grad_=0),
    Case('_contrib_BilinearResize2D', (1, 2, 3, 4), height=5, width=7),
    Case('_contrib_BilinearResize2D', (1, 2, 3, 4), height=5, width=7, align_corners=False),
    Case('_contrib_BilinearResize2D', (1, 2, 4, 4), scale_height=1.5, scale_width=0.5),
    Case('_contrib_BilinearResize2D', (1, 1, 4, 5), scale_height=2, scale_width=2, mode='odd_scale'),
    Case('_contrib_BilinearResize2D', (1, 1, 4, 5), (1, 1, 3, 3), mode='like', grad_=1),
    Case('_contrib_BilinearResize2D', (1, 1, 4, 5), mode='to_even_up'),
    Case('_contrib_AdaptiveAvgPooling2D', (1, 2, 5, 4), output_size=(3, 2)),
    Case('_contrib_AdaptiveAvgPooling2D', (1, 2, 5, 4)),
    Case('_contrib_AdaptiveAvgPooling2D', (1, 2, 5, 4), output_size=2),
    Case('UpSampling', (1, 2, 2, 3), scale=2, sample_type='nearest'),
    Case('UpSampling', (1, 2, 2, 2), (1, 1, 4, 4), scale=2, sample_type='nearest', num_args=2),
    Case('UpSampling', (1, 2, 2, 3), (2, 1, 4, 4), scale=2, num_filter=2, sample_type='bilinear', num_args=2),
)

HEADS = [
    Case('SoftmaxOutput', (2, 3), values(0, 2), training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3), values(0, 2), grad_scale=2.0, normalization='batch', training_=True, grad_=1),
    Case('SoftmaxOutput', (3, 3), values(0, 2, -1), use_ignore=True, normalization='valid', training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3, 2), values([0, 2], [1, 1]), multi_output=True, training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3, 2), values([0, -1], [1, 1]), multi_output=True, use_ignore=True, normalization='valid',
         training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3, 2), values([0, 1], [1, 1]), multi_output=True, normalization='batch', training_=True,
         grad_=1),
    Case('SoftmaxOutput', (2, 3, 2), values([0, 1, 1], [1, 1, 0]), preserve_shape=True, training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3), uniform(0, 1, 2, 3), training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3), values(0, 2), smooth_alpha=0.1, training_=True, grad_=1),
    Case('SoftmaxOutput', (2, 3, 2), values([0, 1, 1], [1, 1, 0]), training_=True, grad_=1),
    Case('LinearRegressionOutput', (2, 3), (2, 3), training_=True, grad_=1),
    Case('LinearRegressionOutput', (2, 1), (2,), grad_scale=0.5, training_=True, grad_=1),
    Case('LogisticRegressionOutput', (2, 3), uniform(0, 1, 2, 3), training_=True, grad_=1),
    Case('MAERegressionOutput', (2, 3), (2, 3), training_=True, grad_=1),
    Case('SVMOutput', (2, 3), values(0, 2), training_=True, grad_=1),
    Case('SVMOutput', (2, 3), values(0, 2), margin=0.5, regularization_coefficient=2.0, use_linear=True, training_=True,
         grad_=1),
    Case('MakeLoss', (2, 3), grad_scale=2.0, training_=True),
    Case('MakeLoss', (2, 3), normalization='batch', training_=True),
    Case('MakeLoss', (2, 3), normalization='valid', valid_thresh=0.1, training_=True),
    Case('make_loss', (2, 3), training_=True),
]
family('heads', *HEADS)


def boxes(*shape):
    """Corners within the unit square."""
    def make(random):
        corner = random.uniform(0, 0.6, shape + (2,))
        return np.concatenate([corner, corner + random.uniform(0.1, 0.4, shape + (2,))], -1).astype('float32')

    return make


def scored(batch, count):
    """Rows of class, score and corners."""
    def make(random):
        kind, score = random.randint(0, 2, (batch, count, 1)), random.permutation(batch * count).reshape(batch, count, 1)
        return np.concatenate([kind, score / (batch * count), boxes(batch, count)(random)], -1).astype('float32')

    return make


def labelled(batch, count):
    """Rows of class and corners; the last one of each example is padding."""
    def make(random):
        rows = np.concatenate([random.randint(0, 2, (batch, count, 1)), boxes(batch, count)(random)], -1)
        rows[:, -1] = -1
        return rows.astype('float32')

    return make


family(
    'recurrent',
    Case('RNN', (4, 2, 3), (24,), (1, 2, 3), state_size=3, num_layers=1, mode='rnn_tanh'),
    Case('RNN', (4, 2, 3), (24,), (1, 2, 3), state_size=3, num_layers=1, mode='rnn_relu', state_outputs=True),
    Case('RNN', (4, 2, 3), (104,), (2, 2, 2), (2, 2, 2), state_size=2, num_layers=2, mode='lstm', state_outputs=True),
    Case('RNN', (4, 2, 3), (84,), (2, 2, 2), state_size=2, num_layers=1, mode='gru', bidirectional=True),
    Case('_rnn_param_concat', (3,), (2,), dim=0, num_args=2),
    Case('_contrib_interleaved_matmul_selfatt_qk', (3, 2, 12), heads=2),
    Case('_contrib_interleaved_matmul_selfatt_valatt', (3, 2, 12), (4, 3, 3), heads=2),
    Case('_contrib_interleaved_matmul_encdec_qk', (3, 2, 4), (5, 2, 8), heads=2),
    Case('_contrib_interleaved_matmul_encdec_valatt', (5, 2, 8), (4, 3, 5), heads=2),
    Case('_contrib_div_sqrt_dim', (2, 3)),
)

family(
    'boxes',
    Case('_contrib_box_iou', boxes(3), boxes(2), grad_=0),
    Case('_contrib_box_iou', uniform(0.2, 1, 2, 4), uniform(0.2, 1, 2, 4), format='center', grad_=0),
    Case('_contrib_box_nms', scored(2, 8), overlap_thresh=0.1, grad_=0),
    Case('_contrib_box_nms', scored(1, 8), overlap_thresh=0.1, id_index=0, valid_thresh=0.3, topk=5, grad_=0),
    Case('_contrib_box_nms', scored(1, 8), overlap_thresh=0.1, id_index=0, force_suppress=True, out_format='center', grad_=0),
    Case('_contrib_box_nms', scored(1, 8), overlap_thresh=0.3, id_index=0, background_id=0, in_format='center', grad_=0),
    Case('_contrib_box_decode', uniform(-1, 1, 1, 3, 4), uniform(0.2, 1, 1, 3, 4), std0=0.1, std2=0.2, clip=0.5, grad_=0),
    Case('_contrib_box_decode', uniform(-1, 1, 2, 3, 4), boxes(1, 3), format='corner', grad_=0),
    Case('_contrib_box_encode', values([1, 0, 1]), values([0, 1, 1]), boxes(1, 3), boxes(1, 2), values(0, 0, 0, 0),
         values(0.1, 0.1, 0.2, 0.2), grad_=0),
    Case('_contrib_bipartite_matching', distinct(2, 3, 4), threshold=-0.5, grad_=0),
    Case('_contrib_bipartite_matching', distinct(3, 2), threshold=0.3, is_ascend=True, topk=1, grad_=0),
    Case('_contrib_MultiBoxPrior', (1, 1, 2, 3), sizes=(0.5, 0.25), ratios=(1, 2, 0.5), grad_=0),
    Case('_contrib_MultiBoxPrior', (1, 1, 2, 2), sizes=(0.8,), ratios=(2,), clip=True, steps=(0.4, 0.3), offsets=(0.2, 0.6), grad_=0),
    Case('_contrib_MultiBoxTarget', boxes(1, 6), labelled(2, 3), (2, 3, 6), overlap_threshold=0.2, grad_=0),
    Case('_contrib_MultiBoxTarget', boxes(1, 6), labelled(2, 3), (2, 3, 6), negative_mining_ratio=1.0, overlap_threshold=0.3,
         negative_mining_thresh=0.4, ignore_label=-2.0, grad_=0),
    Case('_contrib_MultiBoxTarget', boxes(1, 4), labelled(1, 1), (1, 3, 4), grad_=0),
    Case('_contrib_MultiBoxDetection', uniform(0, 1, 2, 3, 6), (2, 24), boxes(1, 6), grad_=0),
    Case('_contrib_MultiBoxDetection', uniform(0, 1, 1, 3, 6), (1, 24), boxes(1, 6), nms_threshold=0.2, force_suppress=True,
         threshold=0.5, nms_topk=3, clip=False, grad_=0),
)

NUMPY = 'absolute negative sign square ceil floor trunc fix rint exp expm1 sin cos tan arctan sinh cosh tanh arcsinh degrees'.split()
NUMPY_POSITIVE = 'log log10 log2 log1p sqrt cbrt reciprocal'.split()
NUMPY_BINARY = 'add subtract multiply true_divide mod power copysign ldexp'.split()
NUMPY_COMPARE = 'equal not_equal greater greater_equal less less_equal'.split()
family('numpy', *(
    [Case('_npi_' + name, uniform(-2.2, 2.2, 2, 3)) for name in NUMPY]
    + [Case('_npi_' + name, uniform(0.2, 3, 2, 3)) for name in NUMPY_POSITIVE]
    + [Case('_npi_' + name, uniform(0.5, 2, 2, 3), uniform(0.5, 2, 3)) for name in NUMPY_BINARY]
    + [Case('_npi_' + name, ints(-1, 2, 2, 3), ints(-1, 2, 2, 1), grad_=0) for name in NUMPY_COMPARE]
    + [Case('_npi_' + name + '_scalar', uniform(0.5, 2, 2, 3), scalar=1.5, is_int=False,
            grad_=0 if name == 'copysign' else None) for name in NUMPY_BINARY]  # MXNet fails at the gradient of this one
    + [Case('_npi_r' + name + '_scalar', uniform(0.5, 2, 2, 3), scalar=1.5, is_int=False) for name in
       ('subtract', 'true_divide', 'mod', 'power')]
    + [Case('_npi_rarctan2_scalar', (2, 3), scalar=1.5, is_int=False, grad_=0)]  # MXNet's gradient is of another function
    + [Case('_npi_' + name + '_scalar', ints(-2, 3, 2, 3), scalar=1.0, grad_=0) for name in NUMPY_COMPARE]
    + [Case('_npi_' + name, values(1, float('nan'), float('inf')), grad_=0) for name in ('isnan', 'isinf', 'isfinite')]
    + [Case(name, (2, 3, 2), axis=(0, -1)) for name in ('_np_sum', '_np_prod', '_npi_mean', '_np_max', '_np_min')]
    + [Case(name, (2, 3)) for name in ('_np_sum', '_npi_mean', '_np_max')]
    + [Case(name, (2, 3), axis=(1,), ddof=1, keepdims=True, grad_=0) for name in ('_npi_std', '_npi_var')]
    + [
        Case('_npi_add_scalar', ints(0, 5, 2, 3, dtype='int32'), scalar=2.0, grad_=0),
        Case('_npi_true_divide_scalar', ints(1, 5, 2, 3, dtype='int32'), scalar=2.0, grad_=0),
        Case('_npi_arctan2', (2, 3), (2, 3)),
        Case('_npi_hypot', (2, 3), (2, 3)),
        Case('_npi_argmax', distinct(2, 3), axis=1, grad_=0),
        Case('_np_cumsum', (2, 3), axis=1),
        Case('_npi_diff', (2, 4), n=2),
        Case('_npx_reshape', (2, 3, 4), newshape=(-2, -1)),
        Case('_npx_reshape', (2, 3, 1, 4), newshape=(-5, -3, -4)),
        Case('_npx_reshape', (8, 3), newshape=(-6, 2, -1, -2)),
        Case('_np_transpose', (2, 3, 4), axes=(1, 2, 0)),
        Case('_np_squeeze', (1, 2, 1)),
        Case('_np_moveaxis', (2, 3, 4), source=(0,), destination=(2,)),
        Case('_np_roll', (2, 3), shift=(1,), axis=(1,)),
        Case('_npi_flip', (2, 3), axis=(1,)),
        Case('_npi_concatenate', (2, 3), (2, 1), num_args=2, axis=-1),
        Case('_npi_stack', (2, 3), (2, 3), num_args=2, axis=1),
        Case('_npi_vstack', (2, 3), (1, 3), num_args=2),
        Case('_npi_hstack', (2, 3), (2, 1), num_args=2),
        Case('_np_dot', (2, 3), (3, 2)),
        Case('_npi_matmul', (2, 2, 3), (3, 2)),
        Case('_npi_einsum', (2, 3), (4, 3), num_args=2, subscripts='ij,kj->ik'),
        Case('_npi_tensordot', (2, 3, 2), (3, 2), a_axes_summed=(1, 2), b_axes_summed=(0, 1)),
        Case('_npi_where', ints(0, 2, 2, 3), (2, 3), (1, 3)),
        Case('_np_trace', (3, 3)),
        Case('_np_diag', (3,), k=1),
        Case('_npi_tril', (3, 3), k=-1),
        Case('_npi_arange', start=1.0, stop=4.0),
        Case('_npi_pad', (2, 2), pad_width=((1, 0), (0, 2)), mode='constant', constant_value=2.0),
        Case('_npi_around', uniform(-2, 2, 4), decimals=1, grad_=0),
    ]
))


def positive(size):
    return lambda random: (lambda a: (a @ a.T + np.eye(size)).astype('float32'))(random.standard_normal((size, size)))


def triangular(size):
    return lambda random: (np.tril(random.standard_normal((size, size))) + 2 * np.eye(size)).astype('float32')


family(
    'linalg',
    Case('_linalg_gemm', (2, 3), (3, 2), (2, 2), alpha=2.0, beta=0.5),
    Case('_linalg_gemm2', (3, 2), (4, 3), transpose_a=True, transpose_b=True, alpha=2.0),
    Case('_linalg_gemm2', (2, 3, 4), (4, 3, 2), axis=0, grad_=0),
    Case('_linalg_syrk', (2, 3), alpha=2.0),
    Case('_linalg_syrk', (2, 3), transpose=True),
    Case('_linalg_trmm', triangular(3), (3, 2), alpha=2.0),
    Case('_linalg_trmm', triangular(3), (2, 3), rightside=True, transpose=True),
    Case('_linalg_trsm', triangular(3), (3, 2), alpha=2.0),
    Case('_linalg_trsm', triangular(3), (2, 3), rightside=True, transpose=True),
    Case('_linalg_trsm', triangular(3), (2, 3), rightside=True),
    Case('_linalg_potrf', positive(3), grad_=0),
    Case('_linalg_potri', triangular(3), grad_=0),
    Case('_linalg_sumlogdiag', positive(3)),
    Case('_linalg_extractdiag', (2, 3, 3), offset=1),
    Case('_linalg_makediag', (2, 2), offset=-1),
    Case('_linalg_extracttrian', (3, 3)),
    Case('_linalg_extracttrian', (3, 3), offset=1),
    Case('_linalg_maketrian', (6,)),
    Case('_linalg_maketrian', (3,), offset=-1),
    Case('_linalg_inverse', positive(3)),
    Case('_linalg_det', positive(3)),
    Case('_linalg_slogdet', positive(3), grad_=0),
    Case('_linalg_gelqf', (2, 3), grad_=0),
    Case('_npi_solve', positive(3), (3, 2)),
)
