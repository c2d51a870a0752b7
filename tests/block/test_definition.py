"""A network's definition and its pure functions, and how they follow changes."""

import jax
import jax.numpy as jnp
import pytest
from networks import MLP, X, mlp

from gluonjax import nn
from gluonjax.errors import FrozenError, GluonError
from gluonjax.layer import leaves_of


def test_the_definition_is_immutable_and_the_same_until_the_network_changes():
    net = mlp(4)
    definition, apply = net.definition, net.apply
    net.initialize()
    net(X)
    net[0].bias.set_data(jnp.ones(4))
    assert net.definition is definition
    assert net.apply is apply
    with pytest.raises(FrozenError):
        definition.more = 1
    net.add(nn.Dense(2))
    assert net.definition is not definition
    assert net.apply is not apply
    assert len(leaves_of(definition)) == 2


@pytest.mark.parametrize('name', ['init', 'apply', 'apply_train', 'specs', 'trainable', 'partition', 'reinit'])
def test_the_pure_functions_are_the_pictures_own(name):
    net = mlp(4)
    assert getattr(net, name) is getattr(net, name)
    assert getattr(net, name).__self__ is net.definition


def test_the_definition_follows_changes_of_inner_networks():
    inner = nn.Sequential(nn.Dense(4))
    middle = MLP()
    middle.hidden = inner
    outer = nn.Sequential(middle)
    before, part = outer.apply, outer[:1].apply
    inner.add(nn.Dense(5))
    assert outer.apply is not before
    assert outer[:1].apply is not part
    assert '0.hidden.1.weight' in outer.collect_params()


def test_a_jitted_apply_is_never_stale():
    net = mlp(4)
    net.initialize()
    net(X)
    assert jax.jit(net.apply)(net.params, X).shape == (2, 4)
    net.add(nn.Dense(7))
    net.initialize()
    net(X)
    assert jax.jit(net.apply)(net.params, X).shape == (2, 7)


def test_a_changed_attribute_changes_the_network():
    net = MLP()
    net.initialize()
    assert net(X).shape == (2, 1)
    net.output = nn.Dense(6)
    net.initialize()
    assert net(X).shape == (2, 6)


def test_a_deleted_attribute_is_gone_or_refused():
    net = MLP()
    net.collect_params()
    try:
        del net.output
    except GluonError:
        return
    assert list(net.collect_params()) == ['hidden.weight', 'hidden.bias']
