"""train='pattern': what a Trainer trains, and what becomes of the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, errors, loss, make_step, nn
from gluonjax.tree import flatten

X = np.random.RandomState(0).standard_normal((6, 4)).astype('float32')
Y = np.random.RandomState(1).standard_normal((6, 2)).astype('float32')


class Net(nn.Block):
    def __init__(self):
        self.body = nn.Sequential(nn.Dense(3), nn.BatchNorm())
        self.head = nn.Dense(2)

    def forward(self, x):
        return self.head(self.body(x))


def initialized():
    net = Net()
    net.initialize(key=0)
    net(X)
    net.body[1].running_mean.set_data([0.1, -0.2, 0.3])
    return net


def arrays(net):
    return {name: np.asarray(value) for name, value in flatten(net.params).items()}


def test_only_what_matches_is_trained():
    net = initialized()
    before = arrays(net)
    trainer = Trainer(net, loss.L2Loss(), 'sgd', {'learning_rate': 0.1, 'momentum': 0.9}, train='head', average=0.5)
    value = trainer.step(X, Y)
    features = net.body.apply(net.body.params, X)  # of inference: running statistics are used, and stay

    def mean_loss(weight, bias):
        return (0.5 * (features @ weight.T + bias[None] - Y) ** 2).mean()

    expected, gradients = jax.value_and_grad(mean_loss, (0, 1))(before['head.weight'], before['head.bias'])
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for name, after in arrays(net).items():
        if name.startswith('head'):
            gradient = gradients[name == 'head.bias']
            np.testing.assert_allclose(after, before[name] - 0.1 * gradient, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(after, before[name])
    sizes = [leaf.size for leaf in jax.tree.leaves(trainer.state.optimizer) if jnp.ndim(leaf)]
    assert sorted(sizes) == [2, 6]  # momentum of the head alone
    assert set(flatten(trainer.state.average)) == {'head.weight', 'head.bias'}
    assert repr(trainer).endswith(", train='head': 2 of 8 parameters)")


def test_statistics_that_match_are_those_of_the_batch():
    net = initialized()
    before = arrays(net)
    Trainer(net, loss.L2Loss(), train='head|.*running_').step(X, Y)
    after = arrays(net)
    hidden = X @ before['body.0.weight'].T + before['body.0.bias']
    np.testing.assert_allclose(after['body.1.running_mean'], 0.9 * before['body.1.running_mean'] + 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6)  # fmt: skip  # noqa: E501
    np.testing.assert_array_equal(after['body.1.gamma'], before['body.1.gamma'])
    np.testing.assert_array_equal(after['body.0.weight'], before['body.0.weight'])


def test_a_generator_is_trained_through_a_discriminator():
    generator, discriminator = nn.Sequential(nn.Dense(4, in_units=2)), nn.Sequential(nn.Dense(1, in_units=4))
    both = nn.Sequential(generator, discriminator)
    both.initialize(key=0)
    noise, ones = X[:, :2], np.ones((6, 1), 'float32')
    of_generator = Trainer(both, loss.L2Loss(), train='0', optimizer_params={'learning_rate': 0.1})
    of_discriminator = Trainer(discriminator, loss.L2Loss(), optimizer_params={'learning_rate': 0.1})
    for trainer, batch, moving in ((of_generator, (noise, ones), '0'), (of_discriminator, (X, ones), '1')) * 2:
        before = arrays(both)
        trainer.step(*batch)
        changed = {name for name, value in arrays(both).items() if (value != before[name]).any()}
        assert changed == {f'{moving}.0.weight', f'{moving}.0.bias'}


def test_frozen_weights_stay_frozen_and_tied_ones_have_each_name():
    net = nn.Sequential(nn.Dense(4, in_units=4), nn.Dense(4, in_units=4), nn.Dense(2, in_units=4))
    net.tie('1.weight', '0.weight')
    net.initialize(key=0)
    net[1].bias.grad_req = 'null'
    before = arrays(net)
    trainer = Trainer(net, loss.L2Loss(), train='1')
    trainer.step(X, Y)
    assert {name for name, value in arrays(net).items() if (value != before[name]).any()} == {'0.weight'}
    net[1].bias.grad_req = 'write'
    before = arrays(net)
    trainer.step(X, Y)
    changed = {name for name, value in arrays(net).items() if (value != before[name]).any()}
    assert changed == {'0.weight', '1.bias'}


def test_the_pure_step_computes_no_other_gradients():
    step = make_step(nn.Sequential(nn.Dense(4), nn.Dense(2)).definition, loss.L2Loss(), 'adam', train='1')
    state = step.init(0, (X, Y))
    text = jax.jit(step).lower(state, (X, Y)).as_text()
    assert text.count('dot_general') == 3  # two of the forward pass, and the gradient of one weight


def test_a_pattern_that_matches_nothing():
    with pytest.raises(errors.PatternError, match=r"no parameter matches 'heads'(.|\n)*'head.weight'"):
        Trainer(Net(), loss.L2Loss(), train='heads')
