"""precision=: every product of a step is in it, whatever is frozen and whatever constants stand in between."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Layer, Param, Trainer, init, loss, make_step, nn

X = np.random.RandomState(0).standard_normal((4, 3, 8, 8)).astype('float32')
Y = np.array([0, 1, 1, 0])


class Standardize(Layer):
    """Constants of float32, as images are prepared with."""

    def __init__(self):
        self.mean = Param((3, 1, 1), init=init.Constant(0.1), trainable=False)

    def forward(self, x):
        return (x - self.mean[None]) / np.full((1, 3, 1, 1), 2.0, 'float32')


def network():
    net = nn.Sequential(
        Standardize(),
        nn.Conv2D(4, 3, padding=1),
        nn.BatchNorm(),
        nn.Activation('relu'),
        nn.Lambda(lambda x: x * jnp.float32(0.5)),
        nn.Conv2D(4, 3),
        nn.Dense(8, activation='relu'),
        nn.Lambda(lambda x: x / np.float32(3) + np.ones((1, 8), 'float32')),
        nn.Dense(2),
    )
    net.initialize(init.Xavier(), key=0)
    net(X)
    return net


FREEZE = {
    'nothing': lambda net: None,
    'the first layers': lambda net: net[:3].setattr('grad_req', 'null'),
    'a middle layer': lambda net: net[5].setattr('grad_req', 'null'),
    'all but the last': lambda net: net[:8].setattr('grad_req', 'null'),
}


def dtypes_of_products(lowered):
    """The dtypes that matrix products and convolutions take, in StableHLO."""
    found = re.findall(r'stablehlo\.(?:dot_general|convolution)[^\n]*?: \(tensor<([^>]*)>, tensor<([^>]*)>\)', lowered)
    return [tuple(operand.rpartition('x')[2] for operand in pair) for pair in found]


@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
@pytest.mark.parametrize('freeze', FREEZE)
def test_every_product_is_in_the_precision_of_the_step(precision, freeze):
    net = network()
    FREEZE[freeze](net)
    step = make_step(net, loss.SoftmaxCELoss(), 'sgd', precision=precision)
    state = step.init(0, (X, Y), params=net.params)
    short = {'bfloat16': 'bf16', 'float16': 'f16'}[precision]
    training = dtypes_of_products(jax.jit(step).lower(state, (X, Y)).as_text())
    assert len(training) >= 4
    wide = [pair for pair in training if pair != (short, short)]
    assert len(wide) <= 3  # gradients of the two convolutions, whose ways on CPU sum in float32
    values = {name: p.data() for name, p in net.collect_params().items()}
    inference = dtypes_of_products(jax.jit(lambda v, x: step.infer(v, (x,), {})).lower(values, X).as_text())
    assert len(inference) == 4
    assert set(inference) == {(short, short)}


@pytest.mark.parametrize('frozen', [(), (0,), (1,), (0, 1, 2)])
def test_all_products_of_dense_layers_are_in_it(frozen):
    standardize = nn.Lambda(lambda x: (x - np.full((1, 3), 0.1, 'float32')) / np.full((1, 3), 2.0, 'float32'))
    net = nn.Sequential(standardize, nn.Dense(8, 'relu'), nn.Dense(8, 'relu'), standardize_by_half(), nn.Dense(2))
    net.initialize(key=0)
    x = np.ones((4, 3), 'float32')
    net(x)
    for i in frozen:
        [net[1], net[2], net[4]][i].setattr('grad_req', 'null')
    if len(frozen) == 3:
        net[4].bias.grad_req = 'write'
    step = make_step(net, loss.SoftmaxCELoss(), 'sgd', precision='bfloat16')
    state = step.init(0, (x, Y), params=net.params)
    assert set(dtypes_of_products(jax.jit(step).lower(state, (x, Y)).as_text())) == {('bf16', 'bf16')}


def standardize_by_half():
    return nn.Lambda(lambda x: x * np.full((1, 8), 0.5, 'float32'))


@pytest.mark.parametrize('freeze', FREEZE)
def test_values_statistics_and_losses_stay_in_float32(freeze):
    net, exact = network(), network()
    for each in (net, exact):
        FREEZE[freeze](each)
    trainers = [
        Trainer(net, loss.SoftmaxCELoss(), 'sgd', precision='bfloat16', key=0),
        Trainer(exact, loss.SoftmaxCELoss(), 'sgd', key=0),
    ]
    losses = [[float(trainer.step(X, Y)) for _ in range(3)] for trainer in trainers]
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert {str(p.data().dtype) for p in net.collect_params().values()} == {'float32'}
    for name in ('running_mean', 'running_var'):
        np.testing.assert_allclose(getattr(net[2], name), getattr(exact[2], name), rtol=0.02, atol=1e-3)
    assert trainers[0].predict(X).dtype == 'float32'
    np.testing.assert_allclose(trainers[0].predict(X), trainers[1].predict(X), rtol=0.1, atol=0.05)
    assert net(X).dtype == 'float32'


class Projected(Layer):
    """A fixed matrix of float32, which is no statistic."""

    def __init__(self, **how):
        self.matrix = Param((3, 8), init=init.Normal(1), trainable=False, **how)

    def forward(self, x):
        return x @ self.matrix


class Centered(Layer):
    """Statistics of its own, which are not declared as such."""

    def __init__(self):
        self.mean = Param((3,), init=init.Constant(1.0), trainable=False)
        self.count = Param((), 'int32', 'zeros', trainable=False)

    def forward(self, x):
        if self.training:
            self.mean = self.mean + (x.mean(0) - self.mean) / 1024
            self.count = self.count + 1
        return x - self.mean[None]


@pytest.mark.parametrize('remat', [False, True])
@pytest.mark.parametrize('frozen', [False, True])
def test_products_with_parameters_that_are_not_trained_are_in_it(frozen, remat):
    net = nn.Sequential(Centered(), Projected(), nn.Dense(2))
    net.initialize(key=0)
    x = np.ones((4, 3), 'float32')
    net(x)
    if frozen:
        net[2].weight.grad_req = 'null'
    step = make_step(net, loss.SoftmaxCELoss(), 'sgd', precision='bfloat16', remat=remat)
    state = step.init(0, (x, Y), params=net.params)
    assert set(dtypes_of_products(jax.jit(step).lower(state, (x, Y)).as_text())) == {('bf16', 'bf16')}
    kept = make_step(nn.Sequential(Projected(keep_dtype=True)), loss.L2Loss(), 'sgd', precision='bfloat16')
    state = kept.init(0, (x, x))
    assert set(dtypes_of_products(jax.jit(kept).lower(state, (x, np.ones((4, 8)))).as_text())) == {('f32', 'f32')}


def test_statistics_of_ones_own_stay_in_float32():
    net = nn.Sequential(Centered(), nn.Dense(2))
    net.initialize(key=0)
    trainer = Trainer(net, loss.L2Loss(), 'sgd', {'learning_rate': 0.0}, precision='bfloat16')
    expected = np.float32(1)
    for _ in range(3):
        trainer.step(np.full((4, 3), 2.0, 'float32'), np.ones((4, 2), 'float32'))
        expected += (np.float32(2) - expected) / np.float32(1024)
    np.testing.assert_allclose(net[0].mean.data(), expected, rtol=1e-6)  # in bfloat16 it would stay 1
    assert net[0].count.data() == 3
