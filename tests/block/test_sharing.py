"""Sharing and ties: layers in several networks, networks in networks, tied parameters."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import X, mlp, ready, same_bits, values

from gluonjax import init, nn
from gluonjax.errors import ArgumentError, PatternError, TieError


def test_tied_names_are_one_parameter_from_the_start():
    shared = nn.Dense(8)
    net = nn.Sequential(shared, nn.Dense(8, params=shared.params), shared)
    assert net[0].weight is net[1].weight is net[2].weight


def test_values_set_in_a_tied_network_before_it_is_used_are_one_value():
    shared = nn.Dense(3)
    net = nn.Sequential(shared, shared)
    net[0].weight.set_data(jnp.ones((3, 3)))
    net[1].weight.set_data(jnp.zeros((3, 3)))
    net.initialize()
    assert not net[0].weight.data().any()


def test_networks_tied_by_an_outer_one_share_from_then_on():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    assert a[0].weight is not b[0].weight
    outer = nn.Sequential(a, b)
    a.initialize()
    with pytest.warns(UserWarning, match='all parameters have values'):
        b.initialize()
    assert a[0].weight is b[0].weight
    assert outer(X).shape == (2, 3)


def test_a_bare_layer_in_two_networks_has_separate_parameters():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize('ones')
    b.initialize('zeros')
    assert float(a[0].weight.data().max()) == 1
    assert float(b[0].weight.data().max()) == 0


def test_brought_together_one_cell_wins():
    bare = nn.Dense(3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize(init.Constant(5))
    a(X)
    net = nn.Sequential(b, a)
    assert list(net.collect_params()) == ['0.0.weight', '0.0.bias']
    assert b[0].weight is a[0].weight
    assert float(b[0].weight.data().max()) == 5


def test_brought_together_two_values_are_refused_by_name_and_nothing_changes():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize('ones')
    b.initialize('zeros')
    net = nn.Sequential(a)
    for add in (lambda: net.add(nn.Dense(3), b), lambda: setattr(net, 'other', [b])):
        with pytest.raises(
            TieError, match=r"(?s)'0.0.weight' and '.*0.weight' are one parameter here, and both have values"
        ):
            add()
        assert len(net) == 1
        assert list(net.collect_params()) == ['0.0.weight', '0.0.bias']
    with pytest.raises(TieError):
        nn.Sequential(a, b)
    inner = nn.Sequential()
    outer = nn.Sequential(a, inner)
    with pytest.raises(TieError):
        inner.add(b)
    assert len(inner) == 0
    assert outer(X).shape == (2, 3)
    assert float(b[0].weight.data().max()) == 0
    assert a[0].weight is not b[0].weight


def test_a_nested_network_keeps_its_cells_and_values():
    features = ready(4)
    weight, value = features[0].weight, features[0].weight.data()
    net = nn.Sequential(features, nn.Dense(2))
    net.initialize()
    net(X)
    assert net[0] is features
    assert net[0][0].weight is weight
    assert weight.data() is value
    features[0].weight[:] += 1
    np.testing.assert_array_equal(net.params['0']['0']['weight'], value + 1)


def test_fine_tuning_takes_features_from_one_network_into_another():
    class Model(nn.Block):
        def __init__(self, classes):
            self.features = nn.Sequential(nn.Dense(5, activation='relu'), nn.Dense(4))
            self.output = nn.Dense(classes)

        def forward(self, x):
            return self.output(self.features(x))

    pretrained, tuned = Model(3), Model(7)
    pretrained.initialize()
    pretrained(X)
    tuned.features = pretrained.features
    tuned.output.initialize(init.Xavier())
    assert tuned(X).shape == (2, 7)
    assert tuned.features[1].weight is pretrained.features[1].weight
    assert tuned.output.weight is not pretrained.output.weight
    assert pretrained(X).shape == (2, 3)


def test_gan_style_sharing_moves_both():
    generator, discriminator = ready(3, x=X), nn.Sequential(nn.Dense(1))
    both = nn.Sequential(generator, discriminator)
    both.initialize()
    both(X)
    params = both.params
    both.params = {**params, '0': jax.tree.map(jnp.zeros_like, params['0'])}
    assert not generator(X).any()
    np.testing.assert_allclose(both(X), discriminator(generator(X)), rtol=1e-6)


def test_a_network_inside_itself_is_refused():
    net, outer = mlp(2), nn.Sequential()
    outer.add(net)
    for bring in (lambda: net.add(net), lambda: net.add(outer), lambda: setattr(net, 'me', [{'k': outer}])):
        with pytest.raises(ArgumentError, match='cannot be put inside itself'):
            bring()
    assert len(net) == 1
    assert list(vars(net)) == ['0']


def autoencoder(**kwargs):
    net = nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(2), nn.Dense(2), nn.Dense(3, **kwargs))
    net.tie('3.weight', '0.weight', transform=jnp.transpose)
    return net


def test_a_tie_with_a_transform_is_one_leaf():
    net = autoencoder()
    net.initialize()
    y = net(X)
    assert net[3].weight is net[0].weight
    assert net[3].weight.shape == (2, 3)
    assert sorted(net.params['3']) == ['bias']
    h = net[:3](X)
    np.testing.assert_allclose(y, h @ net[0].weight.data() + net[3].bias.data()[None], rtol=1e-5)
    np.testing.assert_allclose(net[3](h), y, rtol=1e-5)


def test_gradients_of_a_tie_add_up():
    net = autoencoder()
    net.initialize()
    net(X)

    def by_hand(first, last):
        h = X @ first.T
        for i in '12':
            h = h @ net.params[i]['weight'].T
        return (h @ last).sum()

    w = net[0].weight.data()
    gradient = jax.grad(lambda params: net.apply(params, X).sum())(net.params)['0']['weight']
    np.testing.assert_allclose(gradient, sum(jax.grad(by_hand, (0, 1))(w, w)), rtol=1e-5)


def test_a_tie_has_one_state_in_the_optimizer():
    net = autoencoder()
    net.initialize()
    net(X)
    state = optax.adam(0.1).init(net.params)
    assert len(jax.tree.leaves(state[0].mu)) == 7
    assert net.apply(optax.apply_updates(net.params, net.params), X).shape == (2, 3)


def test_a_tie_without_a_transform():
    net = mlp(3, 3)
    net.tie('1.weight', '0.weight')
    net.initialize()
    net(X)
    assert net[1].weight is net[0].weight
    assert list(net.collect_params()) == ['0.weight', '0.bias', '1.bias']
    assert net[1](X).shape == (2, 3)


def test_a_tie_before_shapes_are_known_then_a_call_of_a_part():
    net = mlp(3, 3)
    net.tie('1.weight', '0.weight')
    net.initialize()
    assert net[1](X).shape == (2, 3)
    assert net[0].weight.data().shape == (3, 3)
    assert net(X).shape == (2, 3)


@pytest.mark.parametrize('transform', [None, jnp.transpose])
def test_a_tie_of_wrong_shapes_is_refused_and_nothing_changes(transform):
    net = nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(4, in_units=2))
    net.initialize()
    before, definition = values(net), net.definition
    with pytest.raises(
        TieError, match=r"(?s)'1.weight' cannot be tied to '0.weight'.*\(4, 2\).*\((2, 3|3, 2)\).*transform="
    ):
        net.tie('1.weight', '0.weight', transform=transform)
    assert values(net).keys() == before.keys()
    assert all(values(net)[name] is value for name, value in before.items())
    assert repr(net.definition) == repr(definition)
    assert net(X).shape == (2, 4)


def test_a_tie_of_unknown_names_is_refused():
    net = mlp(2)
    with pytest.raises(PatternError, match=r"'7\.weight'"):
        net.tie('7.weight', '0.weight')


def test_a_tie_survives_copies_and_pickles():
    net = autoencoder()
    net.initialize()
    y = net(X)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin[3].weight is twin[0].weight
        assert twin[3].weight is not net[3].weight
        same_bits(twin(X), y)


def test_a_tie_to_a_source_that_is_tied_already():
    shared = nn.Dense(3, in_units=3)
    net = nn.Sequential(shared, nn.Dense(3), shared)
    net.tie('1.weight', '2.weight')
    net.initialize()
    assert list(net.collect_params()) == ['0.weight', '0.bias', '1.bias']


def test_a_tie_of_a_parameter_to_itself_is_refused():
    net = nn.Sequential(nn.Dense(3, in_units=3))
    net.initialize()
    before = net(X)
    with pytest.raises(TieError, match='one name'):
        net.tie('0.weight', '0.weight', transform=jnp.transpose)
    same_bits(net(X), before)


def test_a_tie_to_a_layer_of_another_network_alone_is_refused():
    layer = nn.Dense(3, in_units=2)
    net = nn.Sequential(layer)
    for other in (
        nn.Sequential(nn.Dense(4), nn.Dense(3, params=layer.params)),
        nn.Sequential(nn.Dense(4), nn.Dense(3, params=net[0])),
        nn.Sequential(nn.Dense(4), nn.Dense(3).share_parameters(net[0])),
        nn.Sequential(nn.Dense(4), nn.Sequential(nn.Dense(3, in_units=2), params=net)),
    ):
        with pytest.raises(TieError, match=r"(?s)ties layer '1' to one that is not in this network.*put other\[0\]"):
            other.initialize()
    net.initialize()
    assert nn.Sequential(net[0])[0].weight is net[0].weight
    net.add(nn.Dense(3, params=net[0]))
    net[1].initialize(force_reinit=True)
    assert net[1].weight is net[0].weight
