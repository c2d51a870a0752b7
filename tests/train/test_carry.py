"""carry=: states that go from batch to batch, against loops written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from gluonjax import Trainer, errors, loss, make_step, nn, rnn

N, T, STEPS = 2, 3, 4
X = np.random.RandomState(0).standard_normal((STEPS, N, T, 2)).astype('float32')
Y = np.random.RandomState(1).standard_normal((STEPS, N, T, 1)).astype('float32')
BATCHES = list(zip(X, Y, strict=True))


class Net(nn.Block):
    def __init__(self):
        self.rnn, self.out = rnn.GRU(3, layout='NTC'), nn.Dense(1, flatten=False)

    def forward(self, x, states):
        x, states = self.rnn(x, states)
        return self.out(x), states


def trainer_of(**options):
    net = Net()
    net.initialize('xavier', key=0)
    carry = [np.full((1, N, 3), 0.1, 'float32')]
    return Trainer(net, loss.L2Loss(), 'sgd', {'learning_rate': 0.5}, carry=carry, key=0, **options), carry


def by_hand(net, states, params, epochs=1):
    """The losses of truncated backpropagation through time, and the values and states after it."""

    @jax.jit
    def step(params, states, x, y):
        def mean_loss(params):
            output, after = net.apply(params, x, states)
            return (0.5 * (output - y) ** 2).mean(), after

        (value, after), gradients = jax.value_and_grad(mean_loss, has_aux=True)(params)
        return value, jax.tree.map(lambda p, g: p - 0.5 * g, params, gradients), after

    losses, first = [], states
    for _ in range(epochs):
        states = first
        for x, y in BATCHES:
            value, params, states = step(params, states, x, y)
            losses.append(float(value))
    return losses, params, states


def test_steps_are_those_of_a_loop_by_hand():
    trainer, carry = trainer_of()
    first = Net()
    first.initialize('xavier', key=0)
    first(X[0], carry)
    expected, params, states = by_hand(first, carry, first.params)
    np.testing.assert_allclose([trainer.step(x, y) for x, y in BATCHES], expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), trainer.net.params, params)
    np.testing.assert_allclose(trainer.state.carry[0], states[0], rtol=1e-4, atol=1e-6)
    trainer.reset_carry()
    np.testing.assert_array_equal(trainer.state.carry[0], carry[0])
    trainer.step(*BATCHES[0])  # after a reset it is none of the arrays that were given
    np.testing.assert_array_equal(carry[0], np.float32(0.1))


def test_what_is_carried_over_a_mesh_is_what_one_device_carries():
    mesh = jax.make_mesh((2,), ('data',), devices=jax.devices()[:2])
    alone, spread = trainer_of()[0], trainer_of(mesh=mesh, sharding={'.*h2h_weight': PartitionSpec()})[0]
    for x, y in BATCHES:
        np.testing.assert_allclose(spread.step(x, y), alone.step(x, y), rtol=1e-5)
        np.testing.assert_allclose(spread.state.carry[0], alone.state.carry[0], rtol=1e-4, atol=1e-6)
    assert len(spread.state.carry[0].sharding.device_set) == 2
    np.testing.assert_allclose(spread.predict(list(X)), alone.predict(list(X)), rtol=1e-4, atol=1e-6)
    spread.reset_carry()
    np.testing.assert_array_equal(spread.state.carry[0], np.float32(0.1))


class Twice(nn.Block):
    """A layer that carries nothing itself is called twice in a pass, and what it returns is carried."""

    def __init__(self):
        self.cell = rnn.GRUCell(3)

    def forward(self, x, states):
        x, states = self.cell(x, states)
        x, states = self.cell(x, states)
        return x, states


def test_a_layer_that_is_called_twice_in_a_pass():
    net = Twice()
    net.initialize('xavier', key=0)
    x, y, carry = np.ones((2, 3), 'float32'), np.ones((2, 3), 'float32'), [np.zeros((2, 3), 'float32')]
    trainer = Trainer(net, loss.L2Loss(), 'sgd', {'learning_rate': 0.0}, carry=carry, key=0)
    for _ in range(2):
        trainer.step(x, y)
    params, state = net.params['cell'], carry
    for _ in range(2):
        output = x
        for _ in range(2):
            output, state = rnn.GRUCell(3).apply(params, output, state)
    np.testing.assert_allclose(trainer.state.carry[0], state[0], rtol=1e-5)


def test_fit_evaluate_and_predict_begin_again(tmp_path):
    trainer, carry = trainer_of()
    first = Net()
    first.initialize('xavier', key=0)
    first(X[0], carry)
    losses, params, _ = by_hand(first, carry, first.params, epochs=2)
    history = trainer.fit(BATCHES, epochs=2, progress=False)
    np.testing.assert_allclose(history['loss'], np.reshape(losses, (2, STEPS)).mean(1), rtol=1e-5)

    outputs, states = [], carry
    for x in X:
        output, states = first.apply(params, x, states)
        outputs.append(output)
    np.testing.assert_allclose(trainer.predict(list(X)), jnp.concatenate(outputs), rtol=1e-4, atol=1e-5)
    expected = 0.5 * np.mean((np.stack(outputs) - Y) ** 2)
    assert trainer.evaluate(BATCHES)['loss'] == pytest.approx(expected, rel=1e-4)

    trainer.save(tmp_path)
    other, _ = trainer_of()
    other.restore(tmp_path)
    assert float(other.step(*BATCHES[0])) == float(trainer.step(*BATCHES[0]))


def test_the_pure_step_carries():
    net = Net().definition
    step = make_step(net, loss.L2Loss(), carry=[np.zeros((1, N, 3), 'float32')])
    state = step.init(0, BATCHES[0])
    after, _ = jax.jit(step)(state, BATCHES[0])
    np.testing.assert_allclose(after.carry[0], net.apply(state.params, X[0], state.carry)[1][0], rtol=1e-5)


def test_what_does_not_fit():
    with pytest.raises(errors.ArgumentError, match="last_batch='pad' cannot fill up rows that are carried"):
        trainer_of(last_batch='pad')
    net = nn.Sequential(nn.Lambda(lambda x, carry: x), nn.Dense(1, flatten=False))
    net.initialize()
    with pytest.raises(errors.ShapeError, match='what the network carries from batch to batch is the last'):
        Trainer(net, loss.L2Loss(), carry=np.zeros(3)).step(*BATCHES[0])
