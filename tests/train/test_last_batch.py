"""A smaller last batch: by default right for every network; filled up on request, unless that is known to be wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, errors, loss, nn, rnn
from gluonjax.train.step import mean

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.standard_normal((11, 4)).astype('float32'), RANDOM.randint(0, 3, 11)
BATCHES = [(X[:8], Y[:8]), (X[8:], Y[8:])]


def softmax_over_the_batch(output, label):
    return -jnp.log(jnp.exp(output) / jnp.exp(output).sum(0, keepdims=True))[:, 0]


CASES = {
    'centred': (lambda: nn.Lambda(lambda x: x - x.mean(0, keepdims=True)), loss.SoftmaxCELoss()),
    'a loss over the batch': (lambda: nn.Identity(), softmax_over_the_batch),
    'batch norm': (lambda: nn.BatchNorm(), loss.SoftmaxCELoss()),
}


def trainer_of(between, objective, **options):
    net = nn.Sequential(nn.Dense(6), between(), nn.Dense(3))
    net.initialize(key=0)
    return Trainer(net, objective, 'sgd', {'learning_rate': 0.0}, key=0, **options)


@pytest.mark.parametrize('case', CASES)
def test_by_default_every_batch_is_what_it_would_be_alone(case):
    between, objective = CASES[case]
    trainer = trainer_of(between, objective)
    got = [float(trainer.step(*batch)) for batch in BATCHES]
    alone = [float(trainer_of(between, objective).step(*batch)) for batch in BATCHES]
    np.testing.assert_allclose(got, alone, rtol=1e-6)
    sizes = [len(y) for _, y in BATCHES]
    expected = [trainer_of(between, objective).evaluate([batch])['loss'] for batch in BATCHES]
    got = trainer_of(between, objective).evaluate(BATCHES)['loss']
    np.testing.assert_allclose(got, np.average(expected, weights=sizes), rtol=1e-5)
    predicted = trainer.predict(BATCHES)
    np.testing.assert_allclose(predicted[8:], trainer.net(X[8:]), rtol=1e-5, atol=1e-6)


def test_the_loss_of_matching_pairs():
    net = nn.Sequential(nn.Dense(3))
    net.initialize(key=0)
    pairs = RANDOM.standard_normal((11, 3)).astype('float32')
    with pytest.raises(errors.ArgumentError, match=r"(?s)last_batch='pad' would let samples see.*SDMLLoss.*'keep'"):
        Trainer(net, loss.SDMLLoss(), last_batch='pad')
    trainer = Trainer(net, loss.SDMLLoss(), 'sgd', {'learning_rate': 0.0}, key=0)
    trainer.step(X[:8], pairs[:8])
    np.testing.assert_allclose(trainer.step(X[8:], pairs[8:]), loss.SDMLLoss()(net(X[8:]), pairs[8:]).mean(), rtol=1e-5)


def test_sequences_whose_first_axis_is_time():
    def network(layout):
        net = nn.Sequential(rnn.LSTM(3, layout=layout))
        net.initialize(key=0)
        return net

    with pytest.raises(errors.ArgumentError, match=r"(?s)last_batch='pad'.*LSTM"):
        Trainer(network('TNC'), loss.L2Loss(), last_batch='pad')
    Trainer(network('NTC'), loss.L2Loss(), last_batch='pad')
    net = network('TNC')
    sequences = RANDOM.standard_normal((8, 2, 4)).astype('float32')
    trainer = Trainer(net, loss.L2Loss(batch_axis=1))
    for length in (8, 5):
        np.testing.assert_allclose(trainer.predict([sequences[:length]]), net(sequences[:length]), rtol=1e-5, atol=1e-6)


def test_layers_whose_channels_are_the_samples():
    for layer in (nn.LayerNorm(axis=0), nn.BatchNorm(axis=0)):
        with pytest.raises(errors.ArgumentError, match=r"(?s)last_batch='pad'.*Norm\(axis=0"):
            Trainer(nn.Sequential(layer), loss.L2Loss(), last_batch='pad')


def test_masks_under_strict_promotion():
    losses, mask = jnp.arange(4, dtype='float32'), np.array([True, True, False, True])
    with jax.numpy_dtype_promotion('strict'):
        assert mean(losses, mask) == 4 / 3
