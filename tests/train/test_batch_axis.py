"""Samples along another axis than the first: a loss with batch_axis=1 in a Trainer, against a closed form."""

import numpy as np
import pytest

from gluonjax import Trainer, data, errors, metric, nn
from gluonjax.loss import CTCLoss, SoftmaxCrossEntropyLoss

random = np.random.RandomState(0)
X = random.randn(5, 7, 2).astype('float32')  # (time, samples, features)
Y = random.randint(0, 3, (5, 7))


def losses(net, x=X, y=Y):
    """The loss of each sample, in float64."""
    logits = x.astype('float64') @ np.asarray(net[0].weight).T + np.asarray(net[0].bias)
    shifted = logits - logits.max(-1, keepdims=True)
    surprise = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(shifted, y[..., None], -1)[..., 0]
    return surprise.mean(0)


def trainer(**options):
    net = nn.Sequential(nn.Dense(3, flatten=False))
    net.initialize('xavier', key=0)
    options = {'loss': SoftmaxCrossEntropyLoss(batch_axis=1), 'metrics': [metric.Accuracy(axis=-1)], **options}
    return Trainer(net, optimizer='sgd', optimizer_params={'learning_rate': 0.0}, key=0, **options)


BATCHES = [(X[:, :4], Y[:, :4]), (X[:, 4:], Y[:, 4:])]


@pytest.mark.parametrize(('last_batch', 'seen'), [('keep', slice(7)), ('discard', slice(4))])
def test_batches(last_batch, seen):
    ours = trainer(last_batch=last_batch)
    (record,) = ours.fit(BATCHES, validation=BATCHES, progress=False).records
    expected = losses(ours.net)
    np.testing.assert_allclose(record['loss'], expected[seen].mean(), rtol=1e-5)
    np.testing.assert_allclose(record['val_loss'], expected.mean(), rtol=1e-5)
    classes = (X @ np.asarray(ours.net[0].weight).T + np.asarray(ours.net[0].bias)).argmax(-1)
    np.testing.assert_allclose(record['accuracy'], (classes == Y)[:, seen].mean(), rtol=1e-6)
    assert ours.totals.samples == (7 if last_batch == 'keep' else 4)


def test_arrays_cut_along_that_axis():
    ours, batches = trainer(), data.batches(X, Y, batch_size=4, axis=1)
    history = ours.fit(batches, validation=batches, progress=False)
    expected = losses(ours.net)
    np.testing.assert_allclose([history['loss'][0], history['val_loss'][0]], expected.mean(), rtol=1e-5)
    assert history['steps'] == [2]
    np.testing.assert_allclose(ours.evaluate(batches)['loss'], expected.mean(), rtol=1e-5)
    assert ours.totals.samples == 7


def test_a_label_that_is_no_class_spoils_its_sample_alone():
    ours, y = trainer(metrics=[]), Y.copy()
    ours.step(X, y)
    y[2, 3] = 9
    with pytest.raises(errors.DataError, match='9 is no label'):
        ours.check_labels(X, y)
    assert np.isnan(ours.step(X, y))


def test_padding_is_refused():
    with pytest.raises(errors.ArgumentError, match="last_batch='pad' would let samples see the padding"):
        trainer(last_batch='pad')


def test_labels_of_ctc_may_lie_along_the_second_axis():
    y = np.array([[1, 2], [0, -1]])  # (length, samples)
    ways = [
        trainer(loss=CTCLoss(layout='NTC', label_layout=layout), metrics=[]).step(X[:2], labels)
        for layout, labels in (('TN', y), ('NT', y.T))
    ]
    np.testing.assert_allclose(ways[0], ways[1], rtol=1e-6)
