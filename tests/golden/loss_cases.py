"""The losses that MXNet answered for: one table, read by both sides, as `cases.py` is for layers.

`make_losses.py` (Python 3.8, MXNet) records what these losses compute; the tests (JAX) compare. So this file is plain
Python 3.8 and imports nothing heavy.
"""
from typing import NamedTuple


class LossCase(NamedTuple):
    name: str
    loss: str  # class name
    inputs: dict  # argument of the call -> (shape, dtype, kind), see below; or a number, passed as it is
    kwargs: dict = {}
    gradients: bool = True  # False: MXNet gives none, or none that mean anything


def normal(*shape):
    """Drawn from the standard normal distribution."""
    return shape, 'float32', ('normal',)


def uniform(*shape):
    """Drawn uniformly from 0.1 to 0.9."""
    return shape, 'float32', ('uniform',)


def values(shape, *numbers):
    """Exactly these numbers."""
    return shape, 'float32', ('values',) + numbers


def fixed(shape, *numbers, dtype='float32'):
    """Exactly these numbers, with respect to which nobody asks for a gradient: labels that choose."""
    return shape, dtype, ('fixed',) + numbers


def plain(loss, pred=normal, label=normal, **kwargs):
    name = '_'.join([loss.lower()] + ['%s_%s' % item for item in sorted(kwargs.items())])
    return LossCase(name, loss, {'pred': pred(3, 4), 'label': label(3, 4)}, kwargs)


def elementwise(loss, pred=normal, label=normal, reshaped=True):
    """What every loss of a prediction and a label of one shape understands."""
    pair = {'pred': pred(3, 4), 'label': label(3, 4)}
    rows = [
        ('plain', pair, {}),
        ('vector', {'pred': pred(5), 'label': label(5)}, {}),
        ('batch_axis', {'pred': pred(2, 3, 2), 'label': label(2, 3, 2)}, {'batch_axis': 1}),
        ('last_batch_axis', {'pred': pred(2, 3), 'label': label(2, 3)}, {'batch_axis': -1, 'weight': 0.3}),
        ('sample_weight', dict(pair, sample_weight=normal(3, 1)), {'weight': 2.}),
    ]
    if reshaped:  # the prediction's elements in another shape
        rows.append(('reshaped', {'pred': pred(3, 4), 'label': label(2, 6)}, {}))
    return [LossCase('%s_%s' % (loss.lower(), name), loss, inputs, kwargs) for name, inputs, kwargs in rows]


def signs(*shape):
    n = 1
    for size in shape:
        n *= size
    return fixed(shape, *(1 if i % 3 else -1 for i in range(n)))


def bits(*shape):
    n = 1
    for size in shape:
        n *= size
    return fixed(shape, *(1 if i % 3 else 0 for i in range(n)))


def softmax(name, label, shape=(3, 4), pred=None, sample_weight=None, **kwargs):
    inputs = {'pred': pred or normal(*shape), 'label': label}
    if sample_weight:
        inputs['sample_weight'] = normal(*sample_weight)
    return LossCase('softmax_' + name, 'SoftmaxCrossEntropyLoss', inputs, kwargs)


def ctc(name, label, shape=(2, 6, 4), pred=None, gradients=True, kwargs=None, **inputs):
    return LossCase('ctc_' + name, 'CTCLoss', dict({'pred': pred or normal(*shape), 'label': label}, **inputs),
                    kwargs or {}, gradients)


def poisson(name, inputs, gradients=True, **kwargs):
    return LossCase('poisson_' + name, 'PoissonNLLLoss', inputs, kwargs, gradients)


def cosine(name, label, shape=(3, 4), sample_weight=None, **kwargs):
    inputs = {'input1': normal(*shape), 'input2': normal(*shape), 'label': label}
    if sample_weight:
        inputs['sample_weight'] = normal(*sample_weight)
    return LossCase('cosine_' + name, 'CosineEmbeddingLoss', inputs, kwargs)


SIGMOID = 'SigmoidBinaryCrossEntropyLoss'
TIES = values((2, 3), 1, -1, 0.5, 2, -3, 1e4)
EXTREME = values((2, 4), 1e4, -1e4, 30, -30, 1e4, -1e4, 100, -100)
EITHER = fixed((2, 4), 1, 0, 1, 0, 0, 1, 0, 1)
COUNTS = fixed((3, 4), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20)
PADDED = fixed((2, 4), 0, 1, -1, -1, 2, 2, 0, -1)

LOSSES = [
    *elementwise('L1Loss'), *elementwise('L2Loss'),
    *[LossCase('l2loss_weight_' + name, 'L2Loss',
               {'pred': normal(3, 4), 'label': normal(3, 4), 'sample_weight': normal(*shape)})
      for name, shape in [('of_elements', (3, 4)), ('of_columns', (1, 4)), ('vector', (4,)), ('one', (1,))]],
    *elementwise('HuberLoss'), plain('HuberLoss', rho=0.4),
    *elementwise('HingeLoss', label=signs), plain('HingeLoss', margin=0.2), plain('HingeLoss', margin=-1),
    *elementwise('SquaredHingeLoss', label=signs), plain('SquaredHingeLoss', margin=0.2),
    *elementwise('LogisticLoss', label=signs), plain('LogisticLoss', label_format='signed'),
    plain('LogisticLoss', label=bits, label_format='binary'),
    *elementwise(SIGMOID, label=uniform), plain(SIGMOID, uniform, uniform, from_sigmoid=True),
    *elementwise('KLDivLoss', label=uniform, reshaped=False), plain('KLDivLoss', label=uniform, from_logits=False),
    LossCase('kldivloss_axis', 'KLDivLoss', {'pred': normal(3, 4, 2), 'label': uniform(3, 4, 2)},
             {'from_logits': False, 'axis': 1}),
    LossCase('kldivloss_zeros', 'KLDivLoss', {'pred': normal(2, 3), 'label': values((2, 3), 0, 1, 0, 0.5, 0, 0.5)},
             {'from_logits': False}),

    # Where two branches meet, and where numbers are large.
    *[LossCase(loss.lower() + '_ties', loss, {'pred': TIES, 'label': values((2, 3), 1, 1, 0.5, 1, -1, 1e4)})
      for loss in ('L1Loss', 'L2Loss', 'HuberLoss')],
    *[LossCase(loss.lower() + '_ties', loss, {'pred': TIES, 'label': fixed((2, 3), 1, -1, 1, 1, -1, -1)})
      for loss in ('HingeLoss', 'SquaredHingeLoss')],
    *[LossCase(loss.lower() + '_extreme', loss, {'pred': EXTREME, 'label': EITHER}, kwargs)
      for loss, kwargs in [(SIGMOID, {}), ('LogisticLoss', {'label_format': 'binary'})]],
    LossCase('softmax_extreme', 'SoftmaxCrossEntropyLoss', {'pred': EXTREME, 'label': fixed((2,), 1, 2)}),
    LossCase('softmax_dense_extreme', 'SoftmaxCrossEntropyLoss', {'pred': EXTREME, 'label': uniform(2, 4)},
             {'sparse_label': False}),

    LossCase('sigmoid_pos_weight', SIGMOID,
             {'pred': normal(3, 4), 'label': uniform(3, 4), 'pos_weight': uniform(1, 4)}),
    LossCase('sigmoid_pos_weight_vector', SIGMOID,
             {'pred': normal(3, 4), 'label': uniform(3, 4), 'pos_weight': uniform(4)}),
    LossCase('sigmoid_pos_weight_sample_weight', SIGMOID,
             {'pred': normal(3, 4), 'label': bits(3, 4), 'sample_weight': normal(3, 1), 'pos_weight': uniform(1, 4)},
             {'weight': 0.3}),
    LossCase('sigmoid_pos_weight_extreme', SIGMOID,
             {'pred': EXTREME, 'label': EITHER, 'pos_weight': uniform(1, 4)}),
    LossCase('sigmoid_from_sigmoid_pos_weight', SIGMOID,
             {'pred': uniform(3, 4), 'label': uniform(3, 4), 'pos_weight': uniform(1, 4)}, {'from_sigmoid': True}),
    LossCase('sigmoid_from_sigmoid_ends', SIGMOID,
             {'pred': values((2, 2), 0, 1, 0, 1), 'label': fixed((2, 2), 0, 1, 1, 0)}, {'from_sigmoid': True}),

    softmax('sparse', fixed((3,), 0, 3, 1)),
    softmax('sparse_kept', fixed((3, 1), 0, 3, 1)),
    softmax('sparse_int32', fixed((3,), 0, 3, 1, dtype='int32')),
    softmax('sparse_uint8', fixed((3,), 0, 3, 1, dtype='uint8')),
    softmax('sparse_out_of_range', fixed((3,), -1, 7, -100)),
    softmax('sparse_fractions', fixed((3,), 0.7, 2.9, -0.5)),
    softmax('sparse_one_sample', fixed((1,), 2), (4,)),
    softmax('sparse_from_logits', fixed((3,), 0, 3, 1), from_logits=True),
    softmax('sparse_weight', fixed((3,), 0, 3, 1), weight=0.3, sample_weight=(3, 1)),
    softmax('sparse_axis', fixed((2, 4), 0, 2, 1, 1, 0, 0, 1, 2), (2, 3, 4), axis=1),
    softmax('sparse_axis_kept', fixed((2, 1, 4), 0, 2, 1, 1, 0, 0, 1, 2), (2, 3, 4), axis=1),
    softmax('sparse_axis_weight', fixed((2, 4), 0, 2, 1, 1, 0, 0, 1, 2), (2, 3, 4), axis=-2, sample_weight=(2, 1, 4)),
    softmax('sparse_last_axis', fixed((2, 3), 0, 2, 1, 3, 0, 1), (2, 3, 4), sample_weight=(3, 1)),
    softmax('sparse_first_axis', fixed((3, 4), 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0), (2, 3, 4), axis=0, batch_axis=1),
    softmax('sparse_same_axis', fixed((3, 4), 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0), (2, 3, 4), axis=0),
    softmax('sparse_impossible', fixed((2,), 1, 0), pred=values((2, 3), float('-inf'), 0, 1, 0, float('-inf'), 2)),
    softmax('dense', uniform(3, 4), sparse_label=False),
    softmax('dense_from_logits', uniform(3, 4), sparse_label=False, from_logits=True),
    softmax('dense_axis', uniform(2, 3, 4), (2, 3, 4), sparse_label=False, axis=1),
    softmax('dense_reshaped', uniform(2, 6), sparse_label=False),
    softmax('dense_weight', uniform(3, 4), sparse_label=False, weight=0.3, sample_weight=(3, 1)),
    softmax('dense_batch_axis', uniform(2, 3, 4), (2, 3, 4), sparse_label=False, batch_axis=1),

    ctc('padded', PADDED),
    ctc('padded_int32', fixed((2, 4), 0, 1, -1, -1, 2, 2, 0, -1, dtype='int32')),
    ctc('full', fixed((2, 3), 0, 1, 2, 2, 0, 2)),
    ctc('gap', fixed((2, 4), 0, -1, 1, 2, 2, 2, 0, -1)),
    ctc('empty', fixed((2, 2), -1, -1, 1, -1)),
    ctc('tight', fixed((2, 3), 1, 1, 1, 0, 1, 0), (2, 5, 3)),
    ctc('one_step', fixed((2, 1), 1, -1), (2, 1, 3)),
    ctc('tnc', PADDED, (6, 2, 4), kwargs={'layout': 'TNC'}),
    ctc('tn', fixed((4, 2), 0, 2, 1, 2, -1, 0, -1, -1), kwargs={'label_layout': 'TN'}),
    ctc('tnc_tn', fixed((4, 2), 0, 2, 1, 2, -1, 0, -1, -1), (6, 2, 4), kwargs={'layout': 'TNC', 'label_layout': 'TN'}),
    ctc('pred_lengths', PADDED, pred_lengths=fixed((2,), 3, 5)),
    ctc('label_lengths', fixed((2, 4), 0, 1, 2, 2, 2, 2, 0, 1), label_lengths=fixed((2,), 2, 3)),
    ctc('both_lengths', fixed((2, 4), 0, 1, 2, 2, 2, 2, 0, 1), pred_lengths=fixed((2,), 6, 4),
        label_lengths=fixed((2,), 0, 3), kwargs={'weight': 0.3}),
    ctc('sample_weight', PADDED, sample_weight=normal(2), kwargs={'weight': 2.}),
    ctc('large', PADDED, pred=values((2, 6, 4), *(((i * 7) % 11 - 5) * 20 for i in range(48)))),
    ctc('impossible', fixed((2, 3), 1, 1, 1, 0, 0, 0), (2, 4, 3), gradients=False),
    ctc('impossible_lengths', PADDED, gradients=False, pred_lengths=fixed((2,), 1, 3)),

    *[LossCase('triplet_' + name, 'TripletLoss',
               {'pred': normal(*shape), 'positive': normal(*other), 'negative': normal(*other)}, kwargs)
      for name, shape, other, kwargs in [
          ('plain', (4, 3), (4, 3), {}), ('margin', (4, 3), (4, 3), {'margin': -0.5, 'weight': 0.3}),
          ('batch_axis', (2, 4, 3), (2, 4, 3), {'batch_axis': 1}), ('reshaped', (4, 3), (2, 6), {}),
          ('vector', (4,), (4,), {})]],
    LossCase('triplet_ties', 'TripletLoss', {'pred': TIES, 'positive': TIES, 'negative': TIES}, {'margin': 0}),

    poisson('plain', {'pred': normal(3, 4), 'target': uniform(3, 4)}),
    poisson('counts', {'pred': normal(3, 4), 'target': COUNTS}, batch_axis=1),
    poisson('weight', {'pred': normal(3, 4), 'target': uniform(3, 4), 'sample_weight': normal(3, 1)}, weight=0.3),
    poisson('reshaped', {'pred': normal(3, 4), 'target': uniform(2, 6)}),
    poisson('rate', {'pred': uniform(3, 4), 'target': uniform(3, 4)}, from_logits=False),
    poisson('rate_epsilon', {'pred': uniform(3, 4), 'target': COUNTS, 'epsilon': 0.5}, from_logits=False),
    poisson('rate_zero', {'pred': values((1, 3), 0, 1, 0), 'target': fixed((1, 3), 0, 0, 1)}, from_logits=False),
    poisson('full', {'pred': normal(2, 4), 'target': fixed((2, 4), 1, 2, 3, 0.5, 10, 1.5, 4, 1)}, gradients=False,
            compute_full=True),
    poisson('full_rate', {'pred': uniform(1, 4), 'target': fixed((1, 4), 1, 2, 3, 40), 'sample_weight': normal(1, 4)},
            gradients=False, compute_full=True, from_logits=False, weight=0.3),

    cosine('plain', fixed((3,), 1, -1, 1)),
    cosine('others', fixed((4,), -1, -1, -1, -1), (4, 3), margin=0.2),
    cosine('negative_margin', fixed((4, 1), -1, -1, -1, 1), (4, 3), margin=-1),
    cosine('other_label', fixed((3,), 1, 0, 2), weight=0.3),
    cosine('sample_weight', fixed((3,), 1, -1, 1), sample_weight=(3, 1), weight=2.),
    cosine('vector', fixed((1,), 1), (4,)),
    cosine('matrices', fixed((2, 3), 1, -1, 1, 1, -1, 1), (2, 3, 4), batch_axis=1),
    LossCase('cosine_same', 'CosineEmbeddingLoss',
             {'input1': values((2, 2), 3, 4, 1, 0), 'input2': values((2, 2), 3, 4, 2, 0), 'label': fixed((2,), 1, -1)}),
    LossCase('cosine_tiny', 'CosineEmbeddingLoss',
             {'input1': values((2, 2), 3e-8, 4e-8, 1e-7, 0), 'input2': values((2, 2), 4e-8, 3e-8, 0, 1e-7),
              'label': fixed((2,), 1, 1)}),

    LossCase('sdml_plain', 'SDMLLoss', {'x1': normal(4, 3), 'x2': normal(4, 3)}),
    LossCase('sdml_smoothing', 'SDMLLoss', {'x1': normal(3, 3), 'x2': normal(3, 3)}, {'smoothing_parameter': 0.1}),
    LossCase('sdml_no_smoothing', 'SDMLLoss', {'x1': normal(3, 3), 'x2': normal(3, 3)}, {'smoothing_parameter': 0.}),
    LossCase('sdml_same', 'SDMLLoss', {'x1': values((2, 2), 1, 2, 3, 4), 'x2': values((2, 2), 1, 2, 3, 4)},
             {'batch_axis': 1}),
]
