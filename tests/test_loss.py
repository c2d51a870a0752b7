"""Losses: MXNet's numbers, closed forms in float64, distributions, and where numbers end."""

import collections
import copy
import functools
import inspect
import itertools
import json
import math
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from golden.loss_cases import LOSSES
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from layer_cases import in_groups

import gluonjax
from gluonjax import errors, nn
from gluonjax import loss as losses

GOLDEN = pathlib.Path(__file__).parent / 'golden'
FACTS = json.loads((GOLDEN / 'losses.json').read_text())
NOTES = FACTS['notes']
INF = math.inf


@functools.cache
def golden():
    """Case -> field -> array, as make_losses.py describes them."""
    arrays = collections.defaultdict(dict)
    with np.load(GOLDEN / 'losses.npz') as file:
        for key in file.files:
            case, _, field = key.partition('/')
            arrays[case][field] = file[key]
    return dict(arrays)


def made(case):
    return getattr(losses, case.loss)(**case.kwargs)


def inputs_of(case):
    arrays = golden()[case.name]
    return {name: spec if isinstance(spec, float) else arrays[f'in/{name}'] for name, spec in case.inputs.items()}


# MXNet's answers.


def our_answers(case, arrays):
    inputs = {name: arrays.get(f'in/{name}', spec) for name, spec in case.inputs.items()}
    wanted = {field[5:]: inputs[field[5:]] for field in arrays if field.startswith('grad/')}
    answers = {'out': made(case)(**inputs)}
    if wanted:
        total = jax.grad(lambda wanted: (made(case)(**inputs | wanted) * arrays['cotangent']).sum())
        answers |= {f'grad/{name}': gradient for name, gradient in total(wanted).items()}
    return answers


@functools.cache
def all_our_answers():
    """Few programs for all losses, and it is the jitted ones that are compared."""
    cases = {case.name: case for case in LOSSES}
    return in_groups(lambda name, arrays: our_answers(cases[name], arrays), {name: golden()[name] for name in cases})


@pytest.mark.parametrize('case', LOSSES, ids=lambda case: case.name)
def test_numbers_of_mxnet(case):
    ours, theirs = all_our_answers()[case.name], golden()[case.name]
    assert not case.gradients or any(field.startswith('grad/') for field in theirs)
    for field in theirs:
        if field.startswith(('out', 'grad/')):
            assert ours[field].shape == theirs[field].shape, field
            np.testing.assert_allclose(ours[field], theirs[field], rtol=5e-6, atol=5e-6, err_msg=field)


@pytest.mark.parametrize('case', {case.loss: case for case in LOSSES}.values(), ids=lambda case: case.loss)
def test_jit_is_eager(case):
    np.testing.assert_allclose(made(case)(**inputs_of(case)), all_our_answers()[case.name]['out'], rtol=2e-6, atol=2e-6)


def test_every_loss_has_cases():
    classes = {getattr(losses, name) for name in losses.__all__} - {losses.Loss, losses.LinearSoftmaxCrossEntropyLoss}
    assert {getattr(losses, case.loss) for case in LOSSES} == classes


def test_names_and_signatures_of_mxnet():
    assert set(losses.__all__) - {'LinearSoftmaxCrossEntropyLoss'} == set(FACTS['names'])
    for name, rows in FACTS['signatures'].items():
        arguments = list(inspect.signature(getattr(losses, name).__init__).parameters.values())[1:]
        assert [[a.name] if a.default is a.empty else [a.name, a.default] for a in arguments] == rows, name
    for name, arguments in FACTS['calls'].items():
        ours = list(inspect.signature(getattr(losses, name).forward).parameters)[1:]
        assert ours == arguments + ['sample_weight'] * (name == 'TripletLoss'), name


def gradient(loss, *inputs):
    return jax.jit(jax.grad(lambda x, *rest: loss(x, *rest).sum()))(*map(jnp.asarray, inputs))


def test_where_we_differ_from_mxnet_on_purpose():
    zero, one = np.zeros((1, 1), 'float32'), np.ones((1, 1), 'float32')
    assert NOTES['sigmoid_at_zero']['grad'] == ['0.0']
    np.testing.assert_allclose(gradient(losses.SigmoidBCELoss(), zero, zero), [[0.5]])
    assert NOTES['logistic_at_zero']['grad'] == ['-1.0']
    np.testing.assert_allclose(gradient(losses.LogisticLoss(), zero, one), [[-0.5]])

    assert NOTES['cosine_of_zero']['grad'] == ['nan', 'nan']
    pair = np.zeros((1, 2), 'float32'), np.array([[1, 2]], 'float32'), one
    assert losses.CosineEmbeddingLoss()(*pair).tolist() == [[float(NOTES['cosine_of_zero']['out'][0])]]
    np.testing.assert_array_equal(gradient(losses.CosineEmbeddingLoss(), *pair), np.zeros((1, 2)))

    assert NOTES['sdml_of_one']['out'] == ['nan']
    pair = np.array([[1, 2]], 'float32'), np.array([[3, 2]], 'float32')
    np.testing.assert_allclose(losses.SDMLLoss()(*pair), [0.7 * np.log(0.7)], rtol=1e-6)
    np.testing.assert_array_equal(gradient(losses.SDMLLoss(), *pair), np.zeros((1, 2)))
    assert NOTES['sdml_weight'] is True  # it makes no difference to MXNet
    pair = np.eye(2, dtype='float32'), np.ones((2, 2), 'float32')
    np.testing.assert_allclose(losses.SDMLLoss(weight=5)(*pair), 5 * losses.SDMLLoss()(*pair), rtol=1e-6)

    assert NOTES['poisson_full_of_zero'] == ['nan']
    assert losses.PoissonNLLLoss(compute_full=True)(zero, zero).tolist() == [1]
    assert 'error' in NOTES['poisson_full_gradient']

    assert NOTES['softmax_weight_enlarges']['out'] != NOTES['softmax_plain']['out']  # and it is no weighting either
    with pytest.raises(errors.ShapeError, match=r'sample_weight[\s\S]*reshape\(\(2, 1\)\)'):
        losses.SoftmaxCELoss()(np.eye(2, dtype='float32'), np.array([0, 1]), np.ones(2))
    assert NOTES['ctc_weight_enlarges'] == [2, 2]
    assert 'error' in NOTES['ctc_label_longer']
    assert losses.CTCLoss()(np.ones((1, 2, 3), 'float32'), np.array([[0, -1, -1]])).shape == (1,)
    assert 'error' in NOTES['label_of_integers']


# Closed forms, in float64.

SIGNED = np.array([[1, -1, 1], [-1, -1, 1]])
PRED = np.array([[0.3, -1.2, 2.5], [1e4, -1e4, 40]])
LABEL = np.array([[0, 1, 0.25], [1, 0.5, 0]])
CLASSES = np.array([2, 1])


def log_softmax(x, axis=-1):
    return scipy.special.log_softmax(x.astype('float64'), axis)


def binary(pred, label, pos_weight=1.0):
    return label * np.logaddexp(0, -pred) * pos_weight + (1 - label) * np.logaddexp(0, pred)


def kl(label, log_p):
    return (label * (np.log(label + 1e-12) - log_p)).sum(1)


def cosines(x, y):
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def sdml(x, y, smoothing=0.3):
    n = len(x)
    label = np.where(np.eye(n) > 0, 1 - smoothing, smoothing / (n - 1))
    return kl(label, log_softmax(-((x[:, None] - y[None]) ** 2).sum(-1)))


CLOSED = {
    'l1': (losses.L1Loss(), (PRED, LABEL), lambda p, y: abs(p - y).mean(1)),
    'l2': (losses.L2Loss(), (PRED, LABEL), lambda p, y: ((p - y) ** 2 / 2).mean(1)),
    'huber': (losses.HuberLoss(2), (PRED, LABEL), lambda p, y: (scipy.special.huber(2, p - y) / 2).mean(1)),
    'hinge': (losses.HingeLoss(2), (PRED, SIGNED), lambda p, y: np.maximum(0, 2 - p * y).mean(1)),
    'squared_hinge': (losses.SquaredHingeLoss(), (PRED, SIGNED), lambda p, y: (np.maximum(0, 1 - p * y) ** 2).mean(1)),
    'logistic': (losses.LogisticLoss(), (PRED, SIGNED), lambda p, y: np.logaddexp(0, -p * y).mean(1)),
    'sigmoid': (losses.SigmoidBCELoss(), (PRED, LABEL), lambda p, y: binary(p, y).mean(1)),
    'sigmoid_pos_weight': (
        lambda p, y: losses.SigmoidBCELoss()(p, y, None, np.array([1, 2, 3.0])),
        (PRED, LABEL),
        lambda p, y: binary(p, y, np.array([1, 2, 3.0])).mean(1),
    ),
    'softmax': (losses.SoftmaxCELoss(), (PRED, CLASSES), lambda p, y: -log_softmax(p)[[0, 1], y]),
    'softmax_dense': (
        losses.SoftmaxCELoss(sparse_label=False),
        (PRED, LABEL),
        lambda p, y: -(y * log_softmax(p)).sum(1),
    ),
    'kl': (losses.KLDivLoss(False), (PRED, LABEL), lambda p, y: kl(y, log_softmax(p))),
    'triplet': (
        losses.TripletLoss(2),
        (LABEL, PRED[:1].repeat(2, 0), LABEL + 1),
        lambda x, p, n: np.maximum(0, ((p - x) ** 2 - (n - x) ** 2).sum(1) + 2),
    ),
    'poisson': (
        losses.PoissonNLLLoss(from_logits=False),
        (LABEL + 0.5, SIGNED + 1),
        lambda p, y: [(p - y * np.log(p + 1e-8)).mean()],
    ),
    'poisson_full': (
        losses.PoissonNLLLoss(compute_full=True),
        (LABEL, np.array([[0, 1, 2], [50, 9, 3]])),
        lambda p, y: [(np.exp(p) - y * p + (y > 1) * (np.log(np.maximum(y, 1)) * (y + 0.5) - y + STIRLING)).mean()],
    ),
    'cosine': (
        losses.CosineEmbeddingLoss(margin=0.1),
        (PRED, LABEL, np.array([1, -1])),
        lambda x, y, z: np.where(z == 1, 1 - cosines(x, y), np.maximum(0, cosines(x, y) - 0.1))[:, None],
    ),
    'sdml': (losses.SDMLLoss(), (PRED[:1] * LABEL[1:].T, LABEL[:1] + SIGNED[[0, 1, 1]]), sdml),
}
STIRLING = np.log(2 * np.pi) / 2


@functools.cache
def closed_answers(dtype):
    """All closed forms in one program of one dtype: (what came out, what NumPy says of the same rounded inputs)."""
    with jax.enable_x64(dtype == 'float64'):
        inputs = {
            name: [jnp.asarray(x, dtype if x.dtype == 'float64' else 'int32') for x in arrays]
            for name, (_, arrays, _) in CLOSED.items()
        }
        ours = jax.jit(lambda inputs: {name: CLOSED[name][0](*arrays) for name, arrays in inputs.items()})(inputs)
        exact = {
            name: CLOSED[name][2](
                *[np.asarray(x).astype('float64' if jnp.issubdtype(x.dtype, jnp.floating) else int) for x in arrays]
            )
            for name, arrays in inputs.items()
        }
        return {name: (np.asarray(ours[name]), np.asarray(exact[name])) for name in CLOSED}


@pytest.mark.parametrize('dtype', ['float64', 'float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('name', CLOSED)
def test_closed_forms(name, dtype):
    ours, exact = closed_answers(dtype)[name]
    assert ours.dtype == dtype
    assert ours.shape == exact.shape
    if dtype in ('bfloat16', 'float16'):  # right to the last bit but for a tie, or inf where half precision ends
        with np.errstate(over='ignore'):
            exact = exact.astype(ours.dtype)
        assert not (np.isinf(exact.astype('float32')) ^ np.isinf(ours.astype('float32'))).any()
    tolerance = {'float64': 1e-12, 'float32': 3e-6, 'bfloat16': 2**-8, 'float16': 2**-11}[dtype]
    np.testing.assert_allclose(ours.astype('float64'), exact.astype('float64'), rtol=tolerance, atol=1e-30)


def test_the_result_has_the_dtype_of_the_prediction():
    pred = jnp.ones((2, 3), 'bfloat16')
    for label in (np.ones((2, 3), dtype) for dtype in ('float32', 'float64', 'uint8', 'bool')):
        for loss in (losses.L1Loss(), losses.L2Loss(), losses.SigmoidBCELoss(), losses.HingeLoss(), losses.KLDivLoss()):
            assert loss(pred, label, np.ones((2, 1))).dtype == 'bfloat16'
    assert losses.L1Loss()(label=np.ones((2, 3)), pred=pred).dtype == 'bfloat16'
    with jax.enable_x64(True):
        assert losses.L1Loss()(np.ones((2, 3), 'float32'), np.ones((2, 3)), np.ones((2, 1))).dtype == 'float32'
        assert losses.L1Loss()(np.ones((2, 3)), np.ones((2, 3), int)).dtype == 'float64'
        assert losses.CTCLoss()(np.ones((1, 3, 3)), np.ones((1, 2))).dtype == 'float64'


# Where numbers end.


def test_infinite_logits():
    bce, softmax = losses.SigmoidBCELoss(), losses.SoftmaxCELoss()
    certain = np.array([[INF], [-INF], [INF], [-INF]], 'float32')
    right = np.array([[1], [0], [0], [1]])
    np.testing.assert_array_equal(bce(certain, right), [0, 0, INF, INF])
    np.testing.assert_array_equal(losses.LogisticLoss()(certain, 2 * right - 1), [0, 0, INF, INF])
    np.testing.assert_array_equal(gradient(bce, certain, right), [[0], [0], [1], [-1]])

    masked = np.array([[0, -INF, 0], [-INF, 5, -INF], [-INF, 0, 0]], 'float32')
    np.testing.assert_allclose(softmax(masked, np.array([0, 1, 0])), [np.log(2), 0, INF], rtol=1e-6)
    slopes = [[-0.5, 0, 0.5], [0, 0, 0], [-1, 0.5, 0.5]]
    np.testing.assert_allclose(gradient(softmax, masked, np.array([0, 1, 0])), slopes, rtol=1e-6)
    label = np.array([[0.5, 0, 0.5], [0, 1, 0], [0, 0.5, 0.5]], 'float32')
    dense = losses.SoftmaxCELoss(sparse_label=False)
    np.testing.assert_allclose(dense(masked, label), [np.log(2), 0, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient(dense, masked, label), np.zeros((3, 3)), atol=1e-6)
    np.testing.assert_allclose(losses.KLDivLoss(False)(masked, label), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(gradient(losses.KLDivLoss(False), masked, label), np.zeros((3, 3)), atol=1e-6)
    log_p = np.log(label, where=label > 0, out=np.full((3, 3), -INF, 'float32'))
    np.testing.assert_allclose(losses.KLDivLoss()(log_p, label), np.zeros(3), atol=1e-6)


def test_differences_of_large_logits_are_kept():
    pred = np.array([[1e4, 9999.5, -1e4]], 'float32')
    expected = np.log(1 + np.exp(0.5))
    np.testing.assert_allclose(losses.SoftmaxCELoss()(pred, np.array([1])), [expected], rtol=1e-6)
    np.testing.assert_allclose(losses.SoftmaxCELoss(sparse_label=False)(pred, np.eye(3)[[1]]), [expected], rtol=1e-6)
    assert abs(float(optax.softmax_cross_entropy_with_integer_labels(pred, np.array([1]))[0]) - expected) > 1e-4


ONES = np.ones((2, 2), 'float32')
SINGULAR = {
    'l1': (losses.L1Loss(), ONES, ONES),
    'l2': (losses.L2Loss(), ONES, ONES),
    'huber': (losses.HuberLoss(), ONES, ONES),
    'huber_knee': (losses.HuberLoss(), ONES, 0 * ONES),
    'huber_far': (losses.HuberLoss(), 1e30 * ONES, 0 * ONES),
    'hinge': (losses.HingeLoss(), ONES, ONES),
    'squared_hinge': (losses.SquaredHingeLoss(), ONES, ONES),
    'from_sigmoid': (losses.SigmoidBCELoss(True), np.array([[0, 1], [0, 1]], 'float32'), np.array([[0, 1], [1, 0]])),
    'softmax': (losses.SoftmaxCELoss(), np.array([[1e4, -1e4], [-1e38, 1e38]], 'float32'), np.array([1, 0])),
    'kl': (losses.KLDivLoss(False), 1e4 * np.eye(2, dtype='float32'), np.eye(2)),
    'triplet': (losses.TripletLoss(), ONES, ONES, ONES),
    'triplet_no_margin': (losses.TripletLoss(0), ONES, ONES, ONES),
    'poisson': (losses.PoissonNLLLoss(from_logits=False, compute_full=True), 0 * ONES, 0 * ONES),
    'cosine': (losses.CosineEmbeddingLoss(), 0 * ONES, 0 * ONES, np.array([1, -1])),
    'cosine_same': (losses.CosineEmbeddingLoss(), ONES, ONES, np.array([1, -1])),
    'cosine_tiny': (losses.CosineEmbeddingLoss(), 1e-30 * ONES, 1e-30 * ONES, np.array([1, -1])),
    'sdml': (losses.SDMLLoss(), ONES, ONES),
    'sdml_no_smoothing': (losses.SDMLLoss(0), 1e4 * np.eye(2, dtype='float32'), ONES),
    'ctc': (losses.CTCLoss(), 1e4 * np.eye(4, 3, dtype='float32')[None], np.array([[0, 0]])),
    'ctc_impossible': (losses.CTCLoss(), ONES[None], np.array([[0, 0, 0]])),
}


@functools.cache
def singular_answers():
    def answer(name, *inputs):
        return jax.value_and_grad(lambda *inputs: SINGULAR[name][0](*inputs).sum())(*inputs)

    return jax.jit(lambda inputs: {name: answer(name, *row) for name, row in inputs.items()})(
        {name: row[1:] for name, row in SINGULAR.items()}
    )


@pytest.mark.parametrize('name', SINGULAR)
def test_gradients_are_finite(name):
    value, slope = singular_answers()[name]
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    if name in ('l1', 'l2', 'huber', 'hinge', 'squared_hinge', 'triplet', 'cosine', 'sdml', 'ctc_impossible'):
        np.testing.assert_array_equal(slope, np.zeros_like(slope))


def test_labels_out_of_range_are_the_nearest_class():
    pred = np.arange(6, dtype='float32').reshape(2, 3) ** 2
    for dtype in ('int8', 'int32', 'float32', 'bfloat16'):
        np.testing.assert_array_equal(
            losses.SoftmaxCELoss()(pred, jnp.array([-1, 3], dtype)), losses.SoftmaxCELoss()(pred, np.array([0, 2]))
        )
    np.testing.assert_array_equal(
        losses.SoftmaxCELoss()(pred, np.array([255, 0], 'uint8')), losses.SoftmaxCELoss()(pred, np.array([2, 0]))
    )
    many = jnp.zeros((1, 300)).at[0, 255].set(1)
    np.testing.assert_allclose(
        losses.SoftmaxCELoss()(many, np.array([255], 'uint8')), [np.log(299 + np.e) - 1], rtol=1e-6
    )


EMPTY = [
    *[(cls(), [(0, 3), (0, 3)]) for cls in (losses.L1Loss, losses.L2Loss, losses.HuberLoss, losses.HingeLoss)],
    *[(cls(), [(0, 3), (0, 3)]) for cls in (losses.SigmoidBCELoss, losses.LogisticLoss, losses.KLDivLoss)],
    (losses.SoftmaxCELoss(), [(0, 3), (0,)]),
    (losses.SoftmaxCELoss(sparse_label=False), [(0, 3), (0, 3)]),
    (losses.TripletLoss(), [(0, 3)] * 3),
    (losses.SDMLLoss(), [(0, 3)] * 2),
    (losses.CTCLoss(), [(0, 5, 3), (0, 2)]),
    (losses.CosineEmbeddingLoss(), [(0, 3), (0, 3), (0,)]),
]


@pytest.mark.parametrize(('loss', 'shapes'), EMPTY, ids=lambda x: repr(x).partition('(')[0])
def test_no_samples(loss, shapes):
    inputs = [jnp.zeros(shape) for shape in shapes]
    assert loss(*inputs).shape == ((0, 1) if isinstance(loss, losses.CosineEmbeddingLoss) else (0,))
    assert gradient(loss, *inputs).shape == shapes[0]


# CTC.


def collapse(path, blank):
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def by_enumeration(pred, label):
    """-log of the probability of all paths that say `label`; pred of shape (T, C)."""
    log_p, (steps, classes) = log_softmax(pred), pred.shape
    paths = [p for p in itertools.product(range(classes), repeat=steps) if collapse(p, classes - 1) == tuple(label)]
    return -scipy.special.logsumexp([log_p[range(steps), p].sum() for p in paths]) if paths else 0.0


def test_ctc_against_every_alignment():
    random = np.random.RandomState(0)
    labels = [(), (0,), (1,), (0, 1), (1, 1), (0, 0, 1), (1, 0, 1), (0, 1, 1, 0), (0, 0, 0)]
    rows = [(label, steps, length) for label in labels for steps in (4, 5) for length in (1, 3, steps)]
    for steps in (4, 5):
        chosen = [(label, length) for label, s, length in rows if s == steps]
        pred = (3 * random.standard_normal((len(chosen), steps, 3))).astype('float32')
        padded = np.array([label + (-1,) * (4 - len(label)) for label, _ in chosen])
        rubbish = np.where(padded < 0, 1, padded)  # label_lengths says where labels end
        lengths = np.array([length for _, length in chosen])
        label_lengths = np.array([len(label) for label, _ in chosen])
        expected = [by_enumeration(x[:length], label) for x, (label, length) in zip(pred, chosen, strict=True)]
        assert 0 in expected
        for label, given_lengths in ((padded, None), (rubbish, label_lengths)):
            ours = losses.CTCLoss()(pred, label, lengths, given_lengths)
            np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-6)
            turned = losses.CTCLoss('TNC', 'TN')(pred.swapaxes(0, 1), label.T, lengths, given_lengths)
            np.testing.assert_array_equal(turned, ours)


def test_ctc_is_optax_where_that_is_exact():
    random = np.random.RandomState(1)
    pred = random.standard_normal((4, 9, 5)).astype('float32')
    label = np.array([[0, 1, 1], [2, -1, -1], [3, 3, -1], [-1, -1, -1]])
    padding = jnp.zeros((4, 9)), np.maximum(label, 0), (label < 0).astype('float32')
    theirs = jax.jit(functools.partial(optax.ctc_loss, blank_id=4))(pred, *padding)
    np.testing.assert_allclose(jax.jit(losses.CTCLoss())(pred, label), theirs, rtol=1e-5)


def test_ctc_padding_does_not_matter():
    pred = jnp.asarray(np.random.RandomState(2).standard_normal((1, 4, 3)).astype('float32'))
    dirty = jnp.concatenate([pred, jnp.full((1, 2, 3), jnp.nan), jnp.full((1, 1, 3), -INF)], 1)
    label, lengths, ctc = np.array([[0, 0, -1]]), np.array([4]), jax.jit(losses.CTCLoss())
    np.testing.assert_allclose(ctc(dirty, label, lengths), ctc(pred, label), rtol=1e-6)
    slope = gradient(ctc, dirty, label, lengths)
    np.testing.assert_allclose(slope[:, :4], gradient(ctc, pred, label), rtol=1e-5)
    np.testing.assert_array_equal(slope[:, 4:], np.zeros((1, 3, 3)))


def test_ctc_where_numbers_end():
    ctc = jax.jit(losses.CTCLoss())
    extreme = (np.random.RandomState(3).permutation(18).reshape(1, 6, 3) - 9).astype('float32') * 1e4
    np.testing.assert_allclose(ctc(extreme, np.array([[0, 1]])), [by_enumeration(extreme[0], (0, 1))], rtol=1e-6)
    assert np.isfinite(gradient(ctc, extreme, np.array([[0, 1]]))).all()
    never = np.array([[[0, -INF, 0], [0, -INF, 0]]], 'float32')  # class 1 is impossible
    np.testing.assert_array_equal(ctc(never, np.array([[1, -1]])), [INF])
    np.testing.assert_array_equal(gradient(ctc, never, np.array([[1, -1]])), np.zeros((1, 2, 3)))
    np.testing.assert_allclose(ctc(never, np.array([[0, -1]])), [np.log(4 / 3)], rtol=1e-6)
    assert ctc(jnp.zeros((2, 0, 3)), np.array([[-1], [0]])).tolist() == [0, 0]  # nothing is said for sure; impossible
    np.testing.assert_allclose(ctc(jnp.zeros((1, 2, 3)), np.zeros((1, 0))), [2 * np.log(3)], rtol=1e-6)


# Properties.

SIMPLE = [
    losses.L1Loss(),
    losses.L2Loss(),
    losses.HuberLoss(0.7),
    losses.HingeLoss(),
    losses.SquaredHingeLoss(0.5),
    losses.LogisticLoss(),
    losses.SigmoidBCELoss(),
    losses.KLDivLoss(False),
    losses.SoftmaxCELoss(sparse_label=False),
]
numbers = st.floats(-30, 30, width=32)
grids = st.lists(numbers, min_size=24, max_size=24).map(lambda x: np.array(x, 'float32').reshape(2, 4, 3))
some = settings(max_examples=15, deadline=None)


@functools.cache
def distribution(function):
    """Jitted once for all losses and examples."""
    return jax.jit(function)


def close(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-4), got, expected)


def all_simple(pred, label, *weights, made=lambda loss: loss):
    label = jax.nn.sigmoid(label)
    return [made(loss)(pred, label, *weights) for loss in SIMPLE]


@some
@given(grids, st.permutations(range(4)))
def test_properties_of_weights_and_batches(grid, order):
    pred, label = grid
    plain = distribution(all_simple)(pred, label)
    close(distribution(all_simple)(pred, label, np.ones((4, 1), 'float32')), plain)
    each = np.array([0.5, 0, 2, -1], 'float32')
    close(distribution(all_simple)(pred, label, each[:, None]), [loss * each for loss in plain])
    order = np.array(order)
    close(distribution(all_simple)(pred[order], label[order]), [loss[order] for loss in plain])
    close(distribution(one_by_one)(pred, label), plain)
    close(distribution(transposed)(pred, label), distribution(all_simple)(pred, label)[:-2])
    close(distribution(heavier)(pred, label), [3 * loss for loss in plain])


def one_by_one(pred, label):
    return [loss[:, 0] for loss in jax.vmap(all_simple)(pred[:, None], label[:, None])]


def transposed(pred, label):
    def made(loss):
        return with_arguments(loss, batch_axis=1)

    return all_simple(pred.T, label.T, made=made)[:-2]  # the last two also have an axis of classes


def heavier(pred, label):
    return all_simple(pred, label, made=lambda loss: with_arguments(loss, weight=3 * (loss.weight or 1)))


def with_arguments(loss, **changes):
    names = list(inspect.signature(type(loss)).parameters)
    return type(loss)(**{name: getattr(loss, name) for name in names} | changes)


@some
@given(grids, st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_properties_of_classes(grid, classes):
    pred, other = grid
    sparse, dense, from_logits, from_logits_dense, shifted, kl, kl_logits, one_hot_kl = distribution(class_losses)(
        pred, other, np.array(classes)
    )
    close(dense, sparse)
    close(from_logits, sparse)
    close(from_logits_dense, sparse)
    close(shifted, sparse)
    close(kl_logits, kl)
    close(one_hot_kl, sparse)  # a certain label has no entropy


def class_losses(pred, other, classes):
    hot, log_p = jax.nn.one_hot(classes, 3), jax.nn.log_softmax(pred)
    label = jax.nn.softmax(other)
    return (
        losses.SoftmaxCELoss()(pred, classes),
        losses.SoftmaxCELoss(sparse_label=False)(pred, hot),
        losses.SoftmaxCELoss(from_logits=True)(log_p, classes[:, None]),
        losses.SoftmaxCELoss(sparse_label=False, from_logits=True, axis=0, batch_axis=1)(log_p.T, hot.T),
        losses.SoftmaxCELoss(axis=0, batch_axis=1)(pred.T + 7, classes),
        losses.KLDivLoss(False)(pred, label),
        losses.KLDivLoss()(log_p, label),
        losses.KLDivLoss(False)(pred, hot),
    )


@some
@given(grids, st.permutations(range(4)))
def test_properties_of_pairs(grid, order):
    x, y = grid.round(3)  # lengths near the loss's epsilon count otherwise
    order = np.array(order)
    sign = np.array([1, -1, 1, -1])
    cosine, turned, longer, sdml, swapped = distribution(pair_losses)(x, y, sign)
    close(turned, cosine)
    close(longer, cosine)
    close(swapped, sdml)
    mixed = distribution(pair_losses)(x[order], y[order], sign[order])
    close(mixed[0], cosine[order])
    close(mixed[3], sdml[order])


def pair_losses(x, y, sign):
    cosine, sdml = losses.CosineEmbeddingLoss(margin=0.1), losses.SDMLLoss()
    shift = jnp.full((1, 3), 2.0)
    return cosine(x, y, sign), cosine(y, x, sign), cosine(x, 4 * y, sign), sdml(x, y), sdml(x + shift, y + shift)


@pytest.mark.parametrize('loss', SIMPLE, ids=lambda loss: type(loss).__name__)
def test_gradients_are_differences(loss):
    random = np.random.RandomState(4)
    with jax.enable_x64(True):
        pred, label = random.standard_normal((2, 3)), random.uniform(0.1, 0.9, (2, 3))
        check_grads(lambda *pair: loss(*pair).sum(), (pred, label), 1)


# A loss as an object.


def test_a_loss_is_a_value():
    loss = losses.HuberLoss(rho=2, weight=0.5)
    assert repr(loss) == 'HuberLoss(rho=2, weight=0.5)'
    assert repr(losses.L2Loss()) == 'L2Loss()'
    assert loss == losses.HuberLoss(2, 0.5)
    assert hash(loss) == hash(losses.HuberLoss(2, 0.5))
    assert loss != losses.HuberLoss(2, 0.6)
    assert losses.HingeLoss() != losses.SquaredHingeLoss()
    assert loss != 'HuberLoss(rho=2, weight=0.5)'
    for twin in (pickle.loads(pickle.dumps(loss)), copy.copy(loss), copy.deepcopy(loss)):
        assert twin == loss
        with pytest.raises(errors.FrozenError, match=r"'rho' cannot be set[\s\S]*make a new loss"):
            twin.rho = 3
    with pytest.raises(errors.FrozenError, match='cannot be deleted'):
        del loss.rho
    assert list(inspect.signature(losses.HuberLoss).parameters) == ['rho', 'weight', 'batch_axis']
    assert losses.SigmoidBCELoss is losses.SigmoidBinaryCrossEntropyLoss
    assert losses.SoftmaxCELoss is losses.SoftmaxCrossEntropyLoss
    assert gluonjax.loss is losses


def test_a_loss_is_a_static_argument():
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def run(loss, x):
        traces.append(loss)
        return loss(x, jnp.zeros_like(x))

    x = jnp.array([[1.0, 3.0]])
    assert run(losses.L1Loss(), x) == run(losses.L1Loss(), x) == 2
    assert run(losses.L1Loss(2), x) == 4
    assert len(traces) == 2


def test_gluon_habits():
    loss = losses.L1Loss(prefix='l1_', params=None)
    assert loss.hybridize(static_alloc=True) is None
    assert loss == losses.L1Loss()
    assert losses.L2Loss()([[1.0, 3.0]], [[1.0, 1.0]]) == 1


class Asymmetric(losses.Loss):
    """As users write them."""

    def __init__(self, slope, weight=None, batch_axis=0, **kwargs):
        super().__init__(weight, batch_axis, **kwargs)
        self.slope = slope

    def forward(self, pred, label, sample_weight=None):
        assert pred.dtype == 'float32'
        error = label - pred
        return self.mean(jnp.where(error > 0, self.slope * error, -error), sample_weight)


def test_a_loss_of_ones_own():
    loss = Asymmetric(2, weight=3, prefix='old_')
    assert repr(loss) == 'Asymmetric(2, weight=3)'
    assert pickle.loads(pickle.dumps(loss)) == loss
    out = loss(jnp.zeros((2, 2), 'bfloat16'), np.array([[1, -1], [1, 1]]), np.array([[1], [10]]))
    assert out.dtype == 'bfloat16'
    np.testing.assert_array_equal(out.astype('float32'), [4.5, 60])
    with pytest.raises(errors.FrozenError):
        loss.slope = 1
    with pytest.raises(errors.ArgumentError, match=r'override forward\(self, pred, label'):
        losses.Loss(None, 0)(jnp.ones(2))


@pytest.mark.parametrize('weight', [None, 2.0])
def test_poisson_in_a_training_step(weight):
    """MXNet's loss is one mean of all; a step asks for one number per sample, of the same mean."""
    poisson = losses.PoissonNLLLoss(weight, compute_full=True)
    pred, target = jnp.arange(12.0).reshape(4, 3) / 6, np.arange(12).reshape(4, 3)
    assert poisson.per_sample(pred, target).shape == (4,)
    np.testing.assert_allclose(poisson.per_sample(pred, target).mean(), poisson(pred, target)[0], rtol=1e-6)
    batch = jnp.ones((4, 2)), target.astype('float32')
    step = gluonjax.make_step(nn.Dense(3), poisson, 'sgd', {'learning_rate': 0.01})
    state = step.init(0, batch)
    expected = poisson(step.layer.apply(state.params, batch[0]), batch[1])[0]
    np.testing.assert_allclose(step(state, batch)[1]['loss'], expected, rtol=1e-6)


def test_strict_promotion():
    with jax.numpy_dtype_promotion('strict'):
        half = jnp.ones((2, 3), 'bfloat16')
        for loss in (losses.L2Loss(), losses.HuberLoss(), losses.SigmoidBCELoss(), losses.KLDivLoss(False)):
            assert loss(half, jnp.ones((2, 3), 'int32'), jnp.ones((2, 1), 'float16')).dtype == 'bfloat16'
        assert losses.SoftmaxCELoss()(half, jnp.zeros(2, 'int8')).dtype == 'bfloat16'
        assert losses.CTCLoss()(jnp.ones((2, 4, 3), 'float16'), jnp.zeros((2, 1), 'int8')).dtype == 'float16'
        assert losses.PoissonNLLLoss(compute_full=True)(half, half).dtype == 'bfloat16'
        assert losses.TripletLoss()(half, half, half).dtype == losses.SDMLLoss()(half, half).dtype == 'bfloat16'
        assert losses.CosineEmbeddingLoss()(half, half, jnp.ones(2, 'int32')).dtype == 'bfloat16'


# Errors.


@pytest.mark.parametrize(
    ('call', 'match'),
    [
        (lambda: losses.L1Loss(weight='1'), "weight must be a number, got '1'"),
        (lambda: losses.L1Loss(weight=np.ones(2)), 'weight must be'),
        (lambda: losses.L1Loss(weight=math.nan), 'weight must be'),
        (lambda: losses.L1Loss(batch_axis=0.5), 'batch_axis must be an int, got 0.5'),
        (lambda: losses.SoftmaxCELoss(axis=None), 'axis must be'),
        (lambda: losses.KLDivLoss(axis='C'), 'axis must be'),
        (lambda: losses.HuberLoss(rho=0), 'a number above 0'),
        (lambda: losses.HuberLoss(rho=-1), 'a number above 0'),
        (lambda: losses.HingeLoss(margin='1'), 'margin must be'),
        (lambda: losses.TripletLoss(margin=None), 'margin must be'),
        (lambda: losses.CosineEmbeddingLoss(margin='1'), 'margin must be'),
        (lambda: losses.SDMLLoss(1), 'smoothing_parameter must be >= 0 and < 1'),
        (lambda: losses.SDMLLoss(-0.1), 'smoothing_parameter must be >= 0 and < 1'),
        (
            lambda: losses.LogisticLoss(label_format='other'),
            "one of 'signed', 'binary'; got 'other'",
        ),
        (lambda: losses.CTCLoss('CTN'), "one of 'NTC', 'TNC'; got 'CTN'"),
        (lambda: losses.CTCLoss(label_layout='NTC'), "one of 'NT', 'TN'"),
    ],
)
def test_wrong_arguments(call, match):
    with pytest.raises(errors.ArgumentError, match=match):
        call()


def zeros(*shapes):
    return tuple(None if shape is None else np.zeros(shape, 'float32') for shape in shapes)


@pytest.mark.parametrize(
    ('loss', 'inputs', 'match'),
    [
        (losses.L1Loss(), zeros((2, 3), (2,)), r'pred and label differ.*\n  expected: .*\(2, 3\).*\n  got: \(2,\)'),
        (losses.L1Loss(batch_axis=2), zeros((2, 3), (2, 3)), r'batch_axis=2 is no axis.*\n  got: \(2, 3\)'),
        (losses.L2Loss(), zeros((), ()), 'batch_axis=0 is no axis'),
        (losses.L1Loss(), zeros((2, 3), (2, 3), (2,)), r'sample_weight does not broadcast.*\n  expected: \(2, 3\)'
         r'.*\n  got: \(2,\)\n  try: sample_weight.reshape\(\(2, 1\)\)'),
        (losses.L1Loss(), zeros((2, 3), (2, 3), (1, 2, 3)), r'got: \(1, 2, 3\)'),
        (losses.L1Loss(), zeros((2,), (2,), (2, 1)), r'expected: \(2,\)'),
        (losses.SigmoidBCELoss(), zeros((2, 3), (2, 3), None, (2,)), 'pos_weight does not broadcast'),
        (losses.SoftmaxCELoss(), zeros((2, 3), (2, 3)), r'expected: label of shape \(2,\) or \(2, 1\) beside pred '
         r'\(2, 3\)\n  got: \(2, 3\)\n  try: sparse_label=False'),
        (losses.SoftmaxCELoss(), zeros((2, 3), (3,)), r'label=True are the numbers[\s\S]*got: \(3,\)(?!\n  try)'),
        (losses.SoftmaxCELoss(), zeros((2, 3), (1, 2)), r'got: \(1, 2\)(?!\n  try)'),
        (losses.SoftmaxCELoss(axis=1), zeros((2, 3, 4), (2, 3)), r'\(2, 4\) or \(2, 1, 4\)'),
        (losses.SoftmaxCELoss(axis=2), zeros((2, 3), (2,)), 'axis=2 is no axis'),
        (losses.SoftmaxCELoss(sparse_label=False), zeros((2, 3), (2,)), r'expected: \(2, 3\)\n  got: \(2,\)\n'
         '  try: sparse_label=True'),
        (losses.SoftmaxCELoss(sparse_label=False), zeros((2, 3), (2, 4)), 'pred and label differ in size'),
        (losses.KLDivLoss(), zeros((2, 3), (1, 3)), 'pred and label differ in size'),
        (losses.KLDivLoss(False, axis=-3), zeros((2, 3), (2, 3)), 'axis=-3 is no axis'),
        (losses.TripletLoss(), zeros((2, 3), (2, 3), (2, 2)), 'pred and negative differ'),
        (losses.TripletLoss(), zeros((2, 3), (3,), (2, 3)), 'pred and positive differ'),
        (losses.PoissonNLLLoss(), zeros((2, 3), (2,)), 'pred and target differ'),
        (losses.CosineEmbeddingLoss(), zeros((2, 3), (2, 2), (2,)), 'pred and input2 differ'),
        (losses.CosineEmbeddingLoss(), zeros((2, 3), (2, 3), (3,)), r'one number per pair.*\n  expected: \(2, 1\)'),
        (losses.CosineEmbeddingLoss(), zeros((2, 3), (2, 3), (2,), (2,)), r'reshape\(\(2, 1\)\)'),
        (losses.SDMLLoss(), zeros((2, 3), (3, 3)), r'expected: \(2, 3\)\n  got: \(3, 3\)'),
        (losses.SDMLLoss(), zeros((2, 3, 1), (2, 3, 1)), r'x1 has the wrong number of axes\n  expected: 2 \(ND\)'),
        (losses.CTCLoss(), zeros((2, 3), (2, 3)), r'pred has the wrong number of axes\n  expected: 3 \(NTC\)'),
        (losses.CTCLoss('TNC'), zeros((4, 2, 3), (2,)), r'label has the wrong number of axes\n  expected: 2 \(NT\)'),
        (losses.CTCLoss(), zeros((2, 4, 3), (3, 2)), 'differ in the number of samples\n  expected: 2\n  got: 3'),
        (losses.CTCLoss(), zeros((2, 4, 3), (2, 2), (3,)), r'pred_lengths has one .*\n  expected: \(2,\)'),
        (losses.CTCLoss(), zeros((2, 4, 3), (2, 2), None, (2, 1)), 'label_lengths has one'),
        (losses.CTCLoss(), zeros((2, 4, 3), (2, 2), None, None, (2, 1)), r'expected: \(2,\)'),
    ],
)  # fmt: skip
def test_wrong_shapes(loss, inputs, match):
    with pytest.raises(errors.ShapeError, match=match) as caught:
        jax.eval_shape(loss, *inputs)
    assert str(caught.value).startswith(f'{loss!r}: ')


def test_wrong_dtypes():
    with pytest.raises(errors.DTypeError, match=r'L1Loss\(\): a prediction is of floating point\n  got: int32'):
        losses.L1Loss()(np.ones((2, 3), 'int32'), np.ones((2, 3)))
    with pytest.raises(errors.DTypeError, match='real numbers'):
        losses.L1Loss()(np.ones((2, 3), 'float32'), np.ones((2, 3), 'complex64'))
    with pytest.raises(errors.KeywordError, match=r"L1Loss\(\): missing a required argument: 'label'"):
        losses.L1Loss()(np.ones((2, 3), 'float32'))
    with pytest.raises(errors.ArgumentError, match=r'KLDivLoss\(\): label must be an array, got None'):
        losses.KLDivLoss()(np.ones((2, 3), 'float32'), None)
