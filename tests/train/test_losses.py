"""Losses of several outputs and labels: functions, dicts, and Gluon's with weights of samples."""

import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, data, errors, loss, nn

X = np.random.RandomState(0).standard_normal((6, 4)).astype('float32')
Y1 = np.array([0, 1, 2, 2, 1, 0])
Y2 = np.random.RandomState(1).standard_normal((6, 2)).astype('float32')
WEIGHTS = np.array([[0.0], [1.0], [2.0], [0.5], [1.0], [3.0]], 'float32')


class Net(nn.Block):
    def __init__(self, kind):
        self.one, self.two, self.kind = nn.Dense(3), nn.Dense(2), kind

    def forward(self, x):
        one, two = self.one(x), self.two(x)
        return {'kind': one, 'place': two} if self.kind == 'dict' else (one, two)


def trainer_of(kind, loss, **options):
    net = Net(kind)
    net.initialize(key=0)
    net(X)
    return Trainer(net, loss, 'sgd', {'learning_rate': 0.1}, **options)


def reference(net):
    """The losses of each sample in NumPy: cross entropy of the first output, half of the squares of the second."""
    y = net(X)
    one, two = (np.asarray(out, 'float64') for out in (y.values() if isinstance(y, dict) else y))
    return np.log(np.exp(one).sum(1)) - one[np.arange(6), Y1], 0.5 * ((two - Y2) ** 2).mean(1)


def both(outputs, labels):
    (one, two), (y1, y2) = outputs, labels
    return loss.SoftmaxCELoss()(one, y1) + 3 * loss.L2Loss()(two, y2)


@pytest.mark.parametrize('kind', ['tuple', 'dict'])
def test_several_outputs_and_labels(kind):
    losses = {'kind': loss.SoftmaxCELoss(), 'place': loss.L2Loss(weight=3)}
    trainer = trainer_of(kind, both if kind == 'tuple' else losses)
    labels = (Y1, Y2) if kind == 'tuple' else {'kind': Y1, 'place': Y2, 'other': Y1}
    ce, l2 = reference(trainer.net)
    assert trainer.evaluate([(X, labels)])['loss'] == pytest.approx((ce + 3 * l2).mean(), rel=1e-5)
    values = [float(trainer.step(X, labels)) for _ in range(30)]
    assert values[0] == pytest.approx((ce + 3 * l2).mean(), rel=1e-5)
    assert values[-1] < 0.7 * values[0]


def test_labels_by_position():
    trainer, other = trainer_of('tuple', both), trainer_of('tuple', both)
    assert float(trainer.step(X, Y1, Y2)) == float(other.step(X, (Y1, Y2)))
    batches = data.batches(X, Y1, Y2, batch_size=3)
    ce, l2 = reference(trainer.net)
    assert trainer.evaluate(batches)['loss'] == pytest.approx((ce + 3 * l2).mean(), rel=1e-5)
    trainer.fit(batches, progress=False)
    np.testing.assert_allclose(trainer.predict(batches)[0], trainer.net(X)[0], rtol=1e-5, atol=1e-6)


def test_weights_of_samples():
    net = nn.Sequential(nn.Dense(3))
    net.initialize(key=0)
    y = np.asarray(net(X), 'float64')
    trainer = Trainer(net, loss.SoftmaxCELoss())
    expected = (np.log(np.exp(y).sum(1)) - y[np.arange(6), Y1]) * WEIGHTS[:, 0]
    assert float(trainer.step(X, (Y1, WEIGHTS))) == pytest.approx(expected.mean(), rel=1e-5)


def test_labels_are_looked_at_by_name():
    trainer = trainer_of('dict', {'kind': loss.SoftmaxCELoss(), 'place': loss.L2Loss()})
    with pytest.raises(errors.DataError, match='3 is no label'):
        trainer.step(X, {'kind': Y1 + 1, 'place': Y2})
    trainer.step(X, {'kind': Y1, 'place': Y2})
    assert np.isnan(trainer.step(X, {'kind': Y1 + 1, 'place': Y2}))


@pytest.mark.parametrize(
    ('kind', 'of', 'labels', 'error', 'message'),
    [
        ('dict', {'x': loss.L2Loss()}, {'x': Y2}, errors.ArgumentError, 'the outputs have not all'),
        ('dict', {'kind': loss.SoftmaxCELoss()}, Y1, errors.ArgumentError, 'the labels have not all of them'),
        ('tuple', {'kind': loss.SoftmaxCELoss()}, {'kind': Y1}, errors.ArgumentError, "a dict with .'kind'."),
        ('dict', {'kind': lambda y, t: y}, {'kind': Y1}, errors.ShapeError, "loss 'kind' gives one number"),
        ('dict', loss.SoftmaxCELoss(), {'kind': Y1}, errors.ArgumentError, 'takes other outputs and labels'),
        ('tuple', loss.SoftmaxCELoss(), (Y1, Y2, Y2), errors.ArgumentError, 'takes other outputs and labels'),
        ('tuple', lambda out, labels: jnp.zeros(5), (Y1, Y2), errors.ShapeError, 'a loss gives one number'),
    ],
)  # fmt: skip
def test_what_does_not_fit(kind, of, labels, error, message):
    with pytest.raises(error, match=message):
        trainer_of(kind, of).step(X, labels)


@pytest.mark.parametrize(
    ('of', 'message'),
    [
        ({}, 'a dict of losses has none'),
        ({'a': 3}, "the loss 'a' cannot be called"),
        ({'a': loss.L2Loss}, "the loss 'a' is the class of a loss"),
    ],
)
def test_what_is_no_loss(of, message):
    with pytest.raises(errors.ArgumentError, match=message):
        trainer_of('dict', of)


def test_a_step_hands_back_the_output():
    trainer = trainer_of('tuple', both, last_batch='pad')
    plain = trainer_of('tuple', both)
    for rows in (6, 4, 6):
        batch = X[:rows], (Y1[:rows], Y2[:rows])
        before = trainer.net(batch[0])
        value, after = trainer.step_with_output(*batch)
        for part, expected in zip(after, before, strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-6)
        assert float(value) == pytest.approx(float(plain.step_with_output(*batch)[0]), rel=1e-5)
    assert float(trainer.step(*batch)) == pytest.approx(float(plain.step(*batch)), rel=1e-5)
    assert (trainer.steps, trainer._outcome.output.current) == (4, None)
