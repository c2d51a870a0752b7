"""What keeps the tape fast: no random keys where nothing draws, one compiled program an operation."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import keys
from gluonjax.mx import autograd, gluon, jitted, nd
from gluonjax.mx.gluon import nn


@pytest.fixture
def drawn(monkeypatch):
    """The keys that the library's stream gave."""
    found, real = [], keys.next_key
    monkeypatch.setattr(keys, 'next_key', lambda: found.append(1) or real())
    return found


@contextlib.contextmanager
def compiling():
    """What is traced or compiled in the `with` block."""
    traced = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *args, **kwargs: traced.append(name))
    try:
        yield traced
    finally:
        jax.monitoring.clear_event_listeners()


def trained(net, x):
    with autograd.record():
        y = net(x)
    y.backward()
    return y.asnumpy()


@pytest.mark.parametrize('hybridized', [False, True])
def test_only_what_draws_takes_keys(drawn, hybridized):
    x = nd.ones((8, 16))
    plain, random = nn.HybridSequential(), nn.HybridSequential()
    plain.add(nn.Dense(3, in_units=16), nn.BatchNorm(in_channels=3))
    random.add(nn.Dropout(0.5))
    x.attach_grad()
    for net in (plain, random):
        net.initialize()
        net.hybridize(hybridized)
        trained(net, x)
    drawn.clear()
    np.testing.assert_array_equal(trained(plain, x), trained(plain, x))
    assert not drawn
    assert (trained(random, x) != trained(random, x)).any()
    assert len(drawn) == 2


def test_a_shape_that_draws_after_one_that_does_not():
    class Sometimes(gluon.HybridBlock):
        def forward(self, x):
            return nd.Dropout(x, p=0.5) if x.shape[0] > 1 else x

    net = Sometimes()
    net.hybridize()
    for rows in (1, 1, 30):
        x = nd.ones((rows, 4))
        x.attach_grad()
        first = trained(net, x)
    assert (trained(net, x) != first).any()


def test_a_loop_compiles_nothing_after_its_first_step():
    net, loss = nn.HybridSequential(), gluon.loss.L2Loss()
    net.add(nn.Dense(4, activation='tanh'), nn.Dense(1))
    net.initialize(mx.init.Xavier())
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'momentum': 0.9})
    x, y = nd.ones((2, 3)), nd.ones((2, 1))

    def step():
        with autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(2)

    step()
    step()
    with compiling() as traced:
        step()
    assert not traced


def test_blocks_and_losses_that_compute_the_same_share_programs():
    def step(dense):
        with autograd.record():
            value = gluon.loss.L2Loss()(dense(x), x)
        value.backward()
        return value.asnumpy(), dense.weight.grad().asnumpy()

    x = nd.array([[1, 2, 3]])
    first, second, other = nn.Dense(3), nn.Dense(3, bias_initializer='ones'), nn.Dense(3, activation='tanh')
    for dense in (first, second, other):
        dense.initialize(mx.init.One())
        dense(x)
    assert np.allclose(step(first)[0], (25 + 16 + 9) / 6)
    with compiling() as traced:
        assert np.allclose(step(second)[0], (36 + 25 + 16) / 6)
    assert not traced
    assert np.allclose(step(other)[1], 0, atol=0.01)


def test_programs_of_few_elements_are_compiled_without_optimizing():
    program = jitted.Jitted(lambda arrays, key: arrays[0] + arrays[1])
    few, many = jnp.ones(jitted.FEW), jnp.ones(jitted.FEW + 1)
    assert float(program([few, few], None)[0]) == float(program([many, many], None)[-1]) == 2
    assert (program.quick._cache_size(), program.outermost._cache_size(), program.shapes()) == (1, 1, 2)


def test_what_numpy_computes_and_makes_is_committed_to_no_device():
    """A mixture of committed arrays and others would compile each program again."""
    computed = nd.array([1, 2]) + nd.array([3, 4])
    weight = nd.zeros((2, 2))
    weight.attach_grad()
    assert computed.asnumpy().tolist() == [4, 6]
    assert not any(x.value.committed for x in (computed, weight, weight.grad, nd.ones(3), nd.full(3, 2)))
