"""LinearSoftmaxCrossEntropyLoss: the numbers of Dense and SoftmaxCrossEntropyLoss in a row, in little memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, errors, loss, make_step, nn
from gluonjax.tree import flatten

WORDS, WIDTH = 300, 6
TOKENS = np.random.RandomState(0).randint(0, WORDS, (4, 5))
WEIGHTS = np.random.RandomState(1).rand(4, 4, 1).astype('float32')


def steps(head, loss, tied=True, batch=(TOKENS[:, :-1], TOKENS[:, 1:]), **options):
    """The metrics and the parameters of two steps."""
    embedding = nn.Embedding(WORDS, WIDTH, weight_initializer='normal')
    last = head(WORDS, params=embedding.params) if tied else head(WORDS)
    step = make_step(nn.Sequential(embedding, nn.Dense(WIDTH, flatten=False), last), loss, 'adam', **options)
    state = step.init(0, batch)
    run = jax.jit(step)
    values = []
    for _ in range(2):
        state, metrics = run(state, batch)
        values.append(metrics['loss'])
    return values, flatten(state.params)


def dense(units, **options):
    return nn.Dense(units, flatten=False, **options)


@pytest.mark.parametrize(
    ('tied', 'chunk', 'batch'),
    [
        (True, 3, (TOKENS[:, :-1], TOKENS[:, 1:])),
        (False, 100, (TOKENS[:, :-1], (TOKENS[:, 1:], WEIGHTS))),
    ],
)
def test_steps_are_those_of_dense_and_softmax_cross_entropy(tied, chunk, batch):
    ours, our_params = steps(nn.DenseFactors, loss.LinearSoftmaxCrossEntropyLoss(chunk, weight=2), tied, batch)
    plain, params = steps(dense, loss.SoftmaxCrossEntropyLoss(weight=2), tied, batch)
    np.testing.assert_allclose(ours, plain, rtol=1e-5)
    assert params.keys() == our_params.keys()
    for name, value in params.items():
        np.testing.assert_allclose(our_params[name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def arguments(seed=0, dtype='float32'):
    random = np.random.RandomState(seed)
    shapes = (4, 5, WIDTH), (WORDS, WIDTH), (WORDS,)
    return [jnp.asarray(random.standard_normal(shape), dtype) for shape in shapes]


def test_ignored_labels_count_nothing():
    label = TOKENS.copy()
    label[0, 2:], label[3] = -1, -1
    x, weight, bias = arguments()
    losses = loss.LinearSoftmaxCrossEntropyLoss(4, ignore_label=-1)(x, weight, bias, label)
    logits = np.asarray(x, 'float64') @ np.asarray(weight, 'float64').T + np.asarray(bias)
    each = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, np.maximum(label, 0)[..., None], -1)[..., 0]
    each = np.where(label == -1, 0, each)
    np.testing.assert_allclose(losses, each.sum(1) / np.maximum((label != -1).sum(1), 1), rtol=1e-5)
    slopes = jax.grad(lambda x: loss.LinearSoftmaxCrossEntropyLoss(4, -1)(x, weight, bias, label).sum())(x)
    assert not np.any(slopes[3])
    assert not np.any(slopes[0, 2:])
    assert np.all(slopes[1])


def largest(jaxpr):
    """The size of the largest array that a program makes, also inside its loops."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [variable.aval.size for variable in equation.outvars]
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda p: hasattr(p, 'eqns')):
            inner = getattr(inner, 'jaxpr', inner)
            if hasattr(inner, 'eqns'):
                sizes.append(largest(inner))
    return max(sizes)


def test_no_array_is_as_large_as_the_logits():
    x, weight, bias = arguments()
    chunked = loss.LinearSoftmaxCrossEntropyLoss(chunk=4)

    def plain(x, weight, bias, label):
        return loss.SoftmaxCrossEntropyLoss()(x @ weight.T + bias[None, None], label)

    def made(function):
        slopes = jax.grad(lambda *arrays: function(*arrays, TOKENS).sum(), (0, 1, 2))
        return largest(jax.make_jaxpr(slopes)(x, weight, bias).jaxpr)

    assert made(plain) == TOKENS.size * WORDS
    assert made(chunked) == WORDS * WIDTH  # the gradient of the weight; logits of a chunk are 4 * WORDS


def test_the_backward_pass_multiplies_in_the_dtype_and_sums_no_exponentials_again():
    x, weight, bias = arguments()

    def total(x, weight):
        return loss.LinearSoftmaxCrossEntropyLoss(4, dtype='bfloat16')(x, weight, bias, TOKENS).sum()

    program = str(jax.make_jaxpr(jax.grad(total, (0, 1)))(x, weight))
    products = [line for line in program.splitlines() if ' dot_general[' in line]
    assert [':bf16[4,6]' in line or ':bf16[300,6]' in line for line in products] == [False, False, True, True]
    assert program.count(' reduce_max[') == 1
    slopes = jax.grad(total, (0, 1))(x, weight)
    logits = np.asarray(x, 'float64').reshape(-1, WIDTH) @ np.asarray(weight, 'float64').T + np.asarray(bias)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    shares -= np.eye(WORDS)[TOKENS.reshape(-1)]
    wanted = (shares @ weight).reshape(x.shape) / 5, shares.T @ np.asarray(x).reshape(-1, WIDTH) / 5
    for slope, exact in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(slope, exact, atol=0.02 * np.abs(exact).max())


def test_derivatives_of_higher_order_and_of_both_modes():
    x, weight, bias = arguments()
    chunked, label = loss.LinearSoftmaxCrossEntropyLoss(4), jnp.asarray(TOKENS)

    def ours(x):
        return chunked(x, weight, bias, label).sum()

    def plain(x):
        return loss.SoftmaxCrossEntropyLoss()(x @ weight.T + bias[None, None], label).sum()

    for derivative in (lambda f: jax.jvp(f, (x,), (jnp.cos(x),))[1], lambda f: jax.hessian(f)(x)):
        np.testing.assert_allclose(derivative(ours), derivative(plain), rtol=1e-4, atol=1e-5)


def test_half_precision_is_for_products_alone():
    arrays = arguments()
    wide = loss.LinearSoftmaxCrossEntropyLoss(8)(*arrays, TOKENS)
    half = loss.LinearSoftmaxCrossEntropyLoss(8, dtype='bfloat16')(*arrays, TOKENS)
    assert half.dtype == 'float32'
    assert 0 < np.abs(half - wide).max() < 0.02 * np.abs(wide).max()


def test_a_trainer_takes_it_with_less_precision_over_devices():
    net = nn.Sequential(nn.Embedding(WORDS, WIDTH), nn.DenseFactors(WORDS, use_bias=False))
    net.initialize(key=0)
    mesh = jax.make_mesh((4,), ('data',))
    chunked = loss.LinearSoftmaxCrossEntropyLoss(4, dtype='bfloat16')
    trainer = Trainer(net, chunked, 'adam', mesh=mesh, precision='bfloat16', key=0)
    first = trainer.step(TOKENS[:, :-1], TOKENS[:, 1:])
    np.testing.assert_allclose(first, np.log(WORDS), rtol=0.01)
    assert trainer.step(TOKENS[:, :-1], TOKENS[:, 1:]) < first
    assert trainer.evaluate(TOKENS[:, :-1], TOKENS[:, 1:])['loss'] < first


def test_a_trainer_refuses_labels_that_are_no_class_and_a_step_gives_nan():
    net = nn.Sequential(nn.Embedding(WORDS, WIDTH), nn.DenseFactors(WORDS))
    net.initialize(key=0)
    x, label = TOKENS[:, :-1], TOKENS[:, 1:].copy()
    label[1, 2] = WORDS
    for ignored, expected in ((None, f'for {WORDS} classes'), (-1, f'for {WORDS} classes, or -1')):
        chunked = loss.LinearSoftmaxCrossEntropyLoss(4, ignored)
        with pytest.raises(errors.DataError, match=rf'{WORDS} is no label(.|\n)*{expected}'):
            Trainer(net, chunked, 'sgd').step(x, label)
        step = make_step(net, chunked, 'sgd')
        assert np.isnan(step(step.init(0, (x, label)), (x, label))[1]['loss'])
    Trainer(net, chunked, 'sgd').step(x, np.where(label == WORDS, -1, label))


def test_errors():
    x, weight, bias = arguments()
    chunked = loss.LinearSoftmaxCrossEntropyLoss()
    with pytest.raises(errors.ShapeError, match=r'labels are the numbers of classes\n  expected: \(4, 5\)'):
        chunked(x, weight, bias, TOKENS[:, 1:])
    with pytest.raises(errors.ShapeError, match=r'nn\.DenseFactors'):
        chunked(x, weight.T, bias, TOKENS)
    with pytest.raises(errors.ArgumentError, match='chunk must be an int >= 1, got 0'):
        loss.LinearSoftmaxCrossEntropyLoss(0)
    for wrong in ('int32', 'wide'):
        with pytest.raises(errors.ArgumentError, match='no dtype of floating point'):
            loss.LinearSoftmaxCrossEntropyLoss(dtype=wrong)
    with pytest.raises(errors.DTypeError, match='floating-point input'):
        nn.DenseFactors(3).init(0, TOKENS)
