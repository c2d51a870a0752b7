"""net.params: the nested dict of values, read and assigned."""

import jax.numpy as jnp
import numpy as np
import pytest
from networks import X, mlp, ready, same_bits

from gluonjax import nn
from gluonjax.errors import DeferredInitializationError, ParamsError, UninitializedError


def test_params_are_the_nested_dict_of_values():
    net = ready(4)
    assert net.params['0']['weight'] is net[0].weight.data()
    np.testing.assert_allclose(net(X), net.apply(net.params, X), rtol=1e-6)
    net.params['0']['weight'] = 0  # a fresh dict each time
    assert net.params['0']['weight'] is net[0].weight.data()


def test_params_before_values_say_what_is_missing():
    net = mlp(4)
    with pytest.raises(UninitializedError, match=r"'0.weight'"):
        _ = net.params
    net.initialize()
    with pytest.raises(DeferredInitializationError, match=r"'0.weight'"):
        _ = net.params


def test_params_can_be_assigned_before_anything_else():
    net = mlp(4)
    net.params = nn.Sequential(nn.Dense(4)).init(3, X)
    same_bits(net.params, net.init(3, X))
    assert net(X).shape == (2, 4)


def test_assigning_params_names_every_difference_and_changes_nothing():
    net = ready(4, 2)
    before = net.params
    wrong = {
        '0': {'weight': jnp.ones((4, 9)), 'bias': jnp.ones(4, 'float16')},
        '1': {'weight': jnp.ones((2, 4))},
        'more': jnp.ones(()),
    }
    with pytest.raises(ParamsError) as error:
        net.params = wrong
    for line in (
        'missing: 1.bias (2,)',
        'extra: more ()',
        'shape of 0.weight: expected (4, 3), got (4, 9)',
        'dtype of 0.bias: expected float32, got float16',
        'net.cast(dtype)',
    ):
        assert line in str(error.value)
    same_bits(net.params, before)
