"""Outputs of many batches as one: rows, states, other layouts, trees; what cannot be joined is refused by name."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, errors, loss, nn, rnn

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((7, 5, 4)).astype('float32')  # N, T, C
TIME_FIRST = X.swapaxes(0, 1)


class Both(NamedTuple):
    output: jax.Array
    states: list


class Recurrent(nn.Block):
    """Outputs and states of an LSTM; `swap` has it take sequences in the other layout, and turn them."""

    def __init__(self, layout='NTC', swap=False):
        self.lstm, self.swap = rnn.LSTM(3, num_layers=2, layout=layout), swap

    def forward(self, x):
        x = x.swapaxes(0, 1) if self.swap else x
        return Both(*self.lstm(x, self.lstm.begin_state(x.shape[self.lstm.layout.index('N')])))


def trainer_of(net, objective=None, **options):
    net.initialize(key=0)
    return Trainer(net, objective or loss.L2Loss(), 'sgd', {'learning_rate': 0.1}, key=0, **options)


def close(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)


@pytest.mark.parametrize(('layout', 'swap', 'x'), [('NTC', False, X), ('TNC', False, TIME_FIRST), ('TNC', True, X)])
def test_outputs_and_states_of_an_lstm(layout, swap, x):
    net = Recurrent(layout, swap)
    trainer, axis = trainer_of(net), 1 if x is TIME_FIRST else 0
    expected = net(x)
    got = trainer.predict(x, batch_size=3)
    assert type(got) is Both
    close(got, expected)
    close(trainer.predict(np.split(x, [3, 6], axis)), expected)


def test_equal_sizes_do_not_mislead():
    x = RANDOM.standard_normal((2, 2, 4)).astype('float32')  # as many samples, steps and layers
    net = Recurrent('TNC', swap=True)
    trainer = trainer_of(net)
    close(trainer.predict([x, 2 * x]), net(np.concatenate([x, 2 * x])))
    net = Recurrent('TNC')
    trainer = trainer_of(net)
    close(trainer.predict([x, 2 * x]), net(np.concatenate([x, 2 * x], 1)))


def test_padding_is_left_out_of_states():
    net = Recurrent()
    trainer = trainer_of(net, last_batch='pad')
    close(trainer.predict(X, batch_size=4), net(X))


def test_time_first_in_fit_and_evaluate():
    y = RANDOM.standard_normal((5, 7, 3)).astype('float32')
    trainer, twin = (trainer_of(nn.Sequential(rnn.LSTM(3, layout='TNC')), loss.L2Loss(batch_axis=1)) for _ in range(2))
    trainer.fit(TIME_FIRST, y, batch_size=4, shuffle=False, progress=False)
    batches = [(TIME_FIRST[:, :4], y[:, :4]), (TIME_FIRST[:, 4:], y[:, 4:])]
    twin.fit(batches, progress=False)
    close(trainer.net.params, twin.net.params)
    np.testing.assert_allclose(trainer.evaluate(TIME_FIRST, y, batch_size=3)['loss'], twin.evaluate(batches)['loss'])
    with pytest.raises(errors.DataError, match=r'(?s)as many rows.*axis 1 of x, and axis 1 of y.*\(5, 7, 4\).*\(7, 5'):
        trainer.evaluate(TIME_FIRST, y.swapaxes(0, 1))
    last = trainer_of(nn.Sequential(rnn.LSTM(3, layout='TNC'), nn.Lambda(lambda x: x[-1])))
    got = last.evaluate(TIME_FIRST, y[-1], batch_size=3)['loss']
    np.testing.assert_allclose(got, last.evaluate([(TIME_FIRST, y[-1])])['loss'], rtol=1e-6)


CASES = {
    'a scalar': (lambda x: {'y': x[:, 0], 'mean': x.mean()}, [X[:3], X[3:]], r"output\['mean'\] has no axis.*\(\)"),
    'other lengths': (
        lambda x: (x, x[:, 0]),
        [X[:3], X[:3, :2]],
        r'output\[0\] has other sizes.*\(3, 5, 4\), \(3, 2, 4',
    ),
    'flattened': (lambda x: x.reshape(-1, 4), [X[:3], X[3:]], r'output has no axis.*\(15, 4\), \(20, 4\)'),
    'of each pair': (lambda x: x[:, 0] @ x[:, 0].T, [X[:3], X[3:6]], r'output has no axis.*\(3, 3\)'),
    'no shared rows': (lambda x, z: x, [(X, X[0]), (X, X[0])], 'output has no axis'),
}


@pytest.mark.parametrize('case', CASES)
def test_what_cannot_be_joined(case):
    function, batches, message = CASES[case]
    trainer = trainer_of(nn.Sequential(nn.Lambda(function)))
    with pytest.raises(
        errors.DataError, match=rf'(?s){message}.*\[trainer\.predict\(\[batch\]\) for batch in batches\]'
    ):
        trainer.predict(batches)
    parts = [trainer.predict([batch]) for batch in batches]  # the remedy
    close(parts, [function(*(batch if isinstance(batch, tuple) else (batch,))) for batch in batches])


def test_a_network_of_one_size_of_batch():
    trainer = trainer_of(nn.Sequential(nn.Lambda(lambda x: {'turned': x.reshape(3, 5, 4).swapaxes(0, 2)})))
    got = trainer.predict(X[:6], batch_size=3)['turned']
    np.testing.assert_array_equal(got, X[:6].swapaxes(0, 2))


def test_which_axis_grows_is_looked_for_once(monkeypatch):
    traced = []
    trainer = trainer_of(nn.Sequential(nn.Lambda(lambda x: (traced.append(jnp.shape(x)), x)[1])))
    for _ in range(2):
        trainer.predict(X, batch_size=4)
    once = len(traced)
    trainer.predict(X, batch_size=4)
    assert len(traced) == once
