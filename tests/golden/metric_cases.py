"""The table of metric cases: what `make_metrics.py` records and `tests/test_metric.py` compares.

A case is a metric's class, its arguments, and steps: 'reset', 'reset_local', or an update, a list of pairs of recipes
for labels and predictions: functions of a `np.random.RandomState`. Plain Python 3.8, for both sides read it.
"""
from typing import NamedTuple


class Case(NamedTuple):
    name: str
    metric: str
    kwargs: dict
    steps: list


def classes(number, *shape):
    """Class indices."""
    return lambda random: random.randint(0, number, shape).astype('float32')


def probabilities(*shape, **kwargs):
    """Probabilities along an axis, the last one if none is given."""
    def make(random):
        x = random.uniform(0.01, 1, shape).astype('float32')
        return x / x.sum(axis=kwargs.get('axis', -1), keepdims=True)
    return make


def normal(*shape, **kwargs):
    """Numbers around `mean`."""
    return lambda random: (random.randn(*shape) + kwargs.get('mean', 0)).astype('float32')


def full(value, *shape):
    """One number everywhere."""
    return lambda random: random.uniform(value, value, shape).astype('float32')


def padded(number, pad, *shape):
    """Class indices, of which a third are `pad`."""
    def make(random):
        labels = random.randint(0, number, shape)
        labels[random.uniform(size=shape) < 1 / 3.] = pad
        return labels.astype('float32')
    return make


def update(*pairs):
    return list(pairs)


def unequal(label, pred, sizes=(5, 3)):
    """Batches of two sizes, with what resets do between them."""
    large, small = [update((label(n), pred(n))) for n in sizes]
    return [large, small, large, 'reset_local', small, 'reset_local', 'reset_local', large, small, 'reset', large]


def apart(*pairs):
    """Updates with resets between them."""
    return [step for pair in pairs for step in (update(pair), 'reset')]


BINARY = unequal(lambda n: classes(2, n), lambda n: probabilities(n, 2), (9, 7))
MULTI = unequal(lambda n: classes(4, n), lambda n: probabilities(n, 4))
NUMBERS = unequal(lambda n: normal(n), lambda n: normal(n), (5, 4))
PLANES = unequal(lambda n: normal(n, 2, 3), lambda n: normal(n, 2, 3))
TWO_OUTPUTS = [update((classes(2, 6), probabilities(6, 2)), (classes(2, 4), probabilities(4, 2)))] * 3
NOTHING = [update((classes(2, 0), probabilities(0, 2)))]

METRICS = [
    Case('accuracy', 'Accuracy', {}, MULTI),
    Case('accuracy_name', 'Accuracy', {'name': 'mine'}, MULTI[:1]),
    Case('accuracy_of_classes', 'Accuracy', {}, unequal(lambda n: classes(3, n), lambda n: classes(3, n))),
    Case('accuracy_axis_1', 'Accuracy', {}, unequal(lambda n: classes(3, n, 4), lambda n: probabilities(n, 3, 4))),
    Case('accuracy_axis_last', 'Accuracy', {'axis': -1},
         unequal(lambda n: classes(3, n, 4), lambda n: probabilities(n, 4, 3))),
    Case('accuracy_axis_0', 'Accuracy', {'axis': 0}, [update((classes(3, 5), probabilities(3, 5)))]),
    Case('accuracy_label_column', 'Accuracy', {}, unequal(lambda n: classes(3, n, 1), lambda n: probabilities(n, 3))),
    Case('accuracy_ties', 'Accuracy', {}, [update((classes(3, 9), full(1, 9, 3)))]),
    Case('accuracy_two_outputs', 'Accuracy', {}, TWO_OUTPUTS),
    Case('accuracy_nothing', 'Accuracy', {}, NOTHING),
    Case('accuracy_no_update', 'Accuracy', {}, ['reset_local', 'reset']),
    Case('top_2', 'TopKAccuracy', {'top_k': 2}, MULTI),
    Case('top_3', 'TopKAccuracy', {'top_k': 3, 'name': 'top'}, MULTI),
    Case('top_4_of_4', 'TopKAccuracy', {'top_k': 4}, MULTI[:2]),
    Case('top_2_two_outputs', 'TopKAccuracy', {'top_k': 2}, TWO_OUTPUTS),
]
METRICS += [case for name in ('F1', 'MCC') for average in ('macro', 'micro') for case in [
    Case('%s_%s_%s' % (name.lower(), average, kind), name, {'average': average}, steps) for kind, steps in [
        ('binary', BINARY),
        ('two_outputs', TWO_OUTPUTS),
        ('three_columns', unequal(lambda n: classes(2, n), lambda n: probabilities(n, 3), (9, 7))),
        ('planes', unequal(lambda n: classes(2, n, 4), lambda n: probabilities(n, 2, 4, axis=1))),
        ('one_sided', apart((full(0, 9), probabilities(9, 2)), (full(1, 9), probabilities(9, 2)),
                            (full(-1, 9), probabilities(9, 2)), (classes(2, 9), full(0.5, 9, 2)),
                            (full(0, 9), full(0.5, 9, 2)))),
        ('nothing', NOTHING),
        ('three_labels', [update((classes(3, 9), probabilities(9, 2)))]),
        ('no_update', []),
    ]]]
METRICS += [
    Case('pcc_binary', 'PCC', {}, BINARY),
    Case('pcc_multi', 'PCC', {}, MULTI),
    Case('pcc_two_outputs', 'PCC', {}, TWO_OUTPUTS),
    Case('pcc_of_classes', 'PCC', {}, unequal(lambda n: classes(5, n), lambda n: classes(5, n))),
    Case('pcc_one_class', 'PCC', {}, [update((full(1, 5), probabilities(5, 2)))] * 2),
    Case('pcc_local_only', 'PCC', {'has_global_stats': False}, MULTI),
    Case('pcc_no_update', 'PCC', {}, []),
]
METRICS += [case for name in ('MAE', 'MSE', 'RMSE') for case in [
    Case('%s_%s' % (name.lower(), kind), name, {}, steps) for kind, steps in [
        ('vectors', NUMBERS),
        ('planes', PLANES),
        ('column', unequal(lambda n: normal(n), lambda n: normal(n, 1))),
        ('two_outputs', [update((normal(4), normal(4)), (normal(2, 3), normal(2, 3)))] * 2),
        ('nothing', [update((normal(0), normal(0)))]),
        ('no_update', []),
    ]]]
METRICS += [case for name in ('CrossEntropy', 'NegativeLogLikelihood') for case in [
    Case('%s_%s' % (name.lower(), kind), name, kwargs, steps) for kind, kwargs, steps in [
        ('classes', {}, MULTI),
        ('eps', {'eps': 1e-3}, MULTI),
        ('zero', {}, [update((full(1, 3), full(0, 3, 2)))]),
        ('one', {}, [update((full(1, 3), full(1, 3, 2)))]),
        ('label_column', {}, [update((classes(3, 4, 1), probabilities(4, 3)))]),
        ('two_outputs', {}, TWO_OUTPUTS),
        ('nothing', {}, NOTHING),
        ('label_minus_one', {}, [update((full(-1, 3), probabilities(3, 4)))]),
        ('label_too_large', {}, [update((full(4, 3), probabilities(3, 4)))]),
    ]]]
METRICS += [
    Case('perplexity', 'Perplexity', {'ignore_label': None}, MULTI),
    Case('perplexity_ignore', 'Perplexity', {'ignore_label': -1},
         unequal(lambda n: padded(4, -1, n), lambda n: probabilities(n, 4))),
    Case('perplexity_ignore_0', 'Perplexity', {'ignore_label': 0},
         unequal(lambda n: padded(4, 0, n), lambda n: probabilities(n, 4))),
    Case('perplexity_ignore_all', 'Perplexity', {'ignore_label': 0}, [update((full(0, 4), probabilities(4, 3)))]),
    Case('perplexity_sentences', 'Perplexity', {'ignore_label': None},
         [update((classes(3, 2, 5), probabilities(10, 3)))] * 2),
    Case('perplexity_axis', 'Perplexity', {'ignore_label': None, 'axis': 1},
         [update((classes(4, 3), probabilities(3, 4)))]),
    Case('perplexity_zero', 'Perplexity', {'ignore_label': None}, [update((full(1, 3), full(0, 3, 2)))]),
    Case('perplexity_two_outputs', 'Perplexity', {'ignore_label': None}, TWO_OUTPUTS),
    Case('perplexity_no_update', 'Perplexity', {'ignore_label': None}, []),
    Case('perplexity_label_too_large', 'Perplexity', {'ignore_label': None},
         [update((full(4, 3), probabilities(3, 4)))]),
]
METRICS += [case for average, local in (('macro', ['reset_local']), ('micro', [])) for case in [
    Case('pearson_%s_%s' % (average, kind), 'PearsonCorrelation', {'average': average}, steps) for kind, steps in [
        ('vectors', NUMBERS[:3] + local + NUMBERS[-2:] + NUMBERS[:2]),
        ('planes', PLANES[:3] + local + PLANES[-2:] + PLANES[:2]),
        ('far_from_0', [update((normal(n, mean=1000), normal(n, mean=-300))) for n in (5, 5, 4, 4)]),
        ('two_outputs', [update((normal(4), normal(4)), (normal(2, 3), normal(2, 3)))] * 2),
        ('constant', [update((full(0.3, 5), normal(5)))]),
        ('single', [update((normal(1), normal(1)))]),
        ('no_update', []),
    ]]]
METRICS += [
    Case('loss', 'Loss', {}, unequal(lambda n: full(0, 1), lambda n: normal(n))),
    Case('loss_planes', 'Loss', {'name': 'mine'}, unequal(lambda n: full(0, 1), lambda n: normal(n, 2, 3))),
    Case('loss_two_outputs', 'Loss', {}, [update((full(0, 1), normal(4)), (full(0, 1), normal(2, 3)))] * 2),
    Case('loss_no_update', 'Loss', {}, []),
    Case('composite', 'CompositeEvalMetric', {'metrics': ['acc', 'f1', 'ce']}, BINARY),
    Case('composite_nested', 'CompositeEvalMetric', {'metrics': ['mae', ['mse', 'rmse']]}, NUMBERS),
    Case('composite_without_metrics', 'CompositeEvalMetric', {}, NUMBERS[:1]),
    Case('custom', 'CustomMetric', {'feval': 'largest_distance'}, NUMBERS),
    Case('custom_sum_and_count', 'CustomMetric', {'feval': 'sum_and_count', 'name': 'mine'}, NUMBERS),
]


def largest_distance(label, pred):
    return abs(label - pred).max()


def sum_and_count(label, pred):
    return (label - pred).sum(), len(label)


FUNCTIONS = {'largest_distance': largest_distance, 'sum_and_count': sum_and_count}
