"""Calls of a network: inputs, training, hybridize."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import X, ready, same_bits

from gluonjax import init, nn


class Attention(nn.Block):
    """Inputs under names that the machinery might use itself."""

    def __init__(self):
        self.dense = nn.Dense(3, flatten=False)

    def forward(self, inputs, values, mask=None, params=None, x=None):
        y = self.dense(inputs) + 10 * values
        return y if mask is None else y * mask


@pytest.mark.parametrize('training', [False, True])
def test_inputs_by_position_and_by_name_are_the_same(training):
    net = Attention()
    net.initialize('ones')
    expected = net(X, 2 * X, X * 3, training=training)
    for inputs, named in (
        ((X, 2 * X), {'mask': X * 3}),
        ((X,), {'values': 2 * X, 'mask': X * 3}),
        ((), {'inputs': X, 'values': 2 * X, 'mask': X * 3}),
    ):
        same_bits(net(*inputs, training=training, **named), expected)
        for hybrid in ({'active': False}, {'static_params': True}, {}):
            net.hybridize(**hybrid)
            chex.assert_trees_all_close(net(*inputs, training=training, **named), expected)


def test_inference_has_no_use_for_a_key():
    net = ready(3)
    same_bits(net(X, training=False, key=1), net(X))


def test_training_stores_running_statistics():
    net = nn.Sequential(nn.BatchNorm(), nn.Dense(2))
    net.initialize()
    x = jnp.arange(12.0).reshape(4, 3)
    y = net(x, training=True)
    np.testing.assert_allclose(net[0].running_mean.data(), 0.1 * x.mean(0), rtol=1e-5)
    params = net.params
    expected, after = net.apply_train(params, x)
    z = net(x, training=True)
    np.testing.assert_allclose(z, expected, rtol=1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(net.params, after, rtol=1e-6)
    np.testing.assert_allclose(net(x), net.apply(net.params, x), rtol=1e-5)


def test_training_draws_from_the_stream_or_the_key():
    net = nn.Sequential(nn.Dropout(0.5))
    net.initialize()
    x = jnp.ones((20, 20))
    same_bits(net(x, training=True, key=3), net(x, training=True, key=3))
    assert not np.array_equal(net(x, training=True), net(x, training=True))
    same_bits(net(x, training=True, key=3), net.apply_train({}, x, key=3)[0])


def test_an_empty_batch_changes_no_statistics_and_makes_no_nan():
    net = nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(1))
    net.initialize()
    net(X)
    before = net.params
    assert net(jnp.ones((0, 3)), training=True).shape == (0, 1)
    same_bits(net.params, before)
    gradients = jax.grad(lambda p: net.apply_train(p, jnp.ones((0, 3)), key=0)[0].sum())(net.params)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_hybridize_inactive_runs_op_by_op_on_concrete_arrays():
    seen = []

    def look(x):
        seen.append(isinstance(x, jax.core.Tracer))
        return x

    net = nn.Sequential(nn.Dense(2), nn.Lambda(look))
    net.initialize()
    expected = net(X)
    net.hybridize(active=False)
    seen.clear()
    np.testing.assert_allclose(net(X), expected, rtol=1e-6)
    net(X, training=True)
    assert seen == [False, False]
    net.hybridize()
    seen.clear()
    net(X)
    assert not any(x is False for x in seen)


@pytest.mark.parametrize('change', ['set_data', 'params', 'items', 'training', 'initialize', 'cast', 'add'])
def test_static_params_are_rebuilt_when_they_change(change):
    net = nn.Sequential(nn.Dense(3, in_units=3), nn.BatchNorm(in_channels=3))
    net.initialize()
    net.hybridize(static_params=True)
    before = net(X)
    {
        'set_data': lambda: net[0].weight.set_data(jnp.ones((3, 3))),
        'params': lambda: setattr(net, 'params', jax.tree.map(lambda a: a + 1, net.params)),
        'items': lambda: net[0].weight.__setitem__(0, 7),
        'training': lambda: net(X + jnp.arange(3.0)[None], training=True),
        'initialize': lambda: net.initialize(init.Constant(4), force_reinit=True),
        'cast': lambda: net[0].weight.set_data(net[0].weight.data() * 2) or net.cast('float16'),
        'add': lambda: net.add(nn.Lambda(lambda x: x + 1)),
    }[change]()
    assert not np.array_equal(net(X), before)
    np.testing.assert_allclose(net(X), net.apply(net.params, X), rtol=1e-5)
