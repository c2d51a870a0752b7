"""Layers in a row: the initialization tutorial word for word, views, and outputs that are several inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Block, init, nn
from gluonjax.errors import ArgumentError, ShapeError, UninitializedError

X = jnp.ones((2, 20))


def ready(*sizes):
    net = nn.Sequential(*map(nn.Dense, sizes))
    net.initialize()
    net(X)
    return net


def test_the_tutorial(capsys):
    x = jax.random.uniform(jax.random.key(0), (2, 20))
    net = nn.Sequential()
    net.add(nn.Dense(256, activation='relu'), nn.Dense(10))
    assert str(net.collect_params()).splitlines() == [
        'Parameter 0.weight (shape=(256, None), dtype=float32)',
        'Parameter 0.bias (shape=(256,), dtype=float32)',
        'Parameter 1.weight (shape=(10, None), dtype=float32)',
        'Parameter 1.bias (shape=(10,), dtype=float32)',
    ]
    with pytest.raises(UninitializedError, match=r'net\.initialize\(\)'):
        net[0].weight.data()
    table = str(net.collect_params())
    net.initialize()
    assert str(net.collect_params()) == table
    net(x)
    assert net[0].weight.shape == (256, 20)
    assert net[1].weight.shape == (10, 256)

    net.initialize(init.Normal(sigma=0.01), force_reinit=True)
    assert 0.009 < float(net[0].weight.data().std()) < 0.011
    net[0].weight.initialize(init=init.Xavier(), force_reinit=True)
    limit = (6 / 276) ** 0.5
    assert 0.9 * limit < float(jnp.abs(net[0].weight.data()).max()) <= limit
    net[1].initialize(init=init.Constant(42), force_reinit=True)
    assert (net[1].weight.data() == 42).all()
    assert not net[1].bias.data().any()
    before = net[0].weight.data()
    net[0].weight[:] += 1
    np.testing.assert_array_equal(net[0].weight.data(), before + 1)
    net[0].weight[0, 0] = 42
    assert net[0].weight.data()[0, 0] == 42
    assert isinstance(net[0].weight.data(), jax.Array)

    class MyInit(init.Initializer):
        def init_weight(self, key, shape, dtype, name):
            print('Init', name, shape)
            w = jax.random.uniform(key, shape, dtype, -10, 10)
            return w * (jnp.abs(w) >= 5)

    net.initialize(MyInit(), force_reinit=True)
    assert capsys.readouterr().out == 'Init 0.weight (256, 20)\nInit 1.weight (10, 256)\n'
    size = jnp.abs(net[0].weight.data())
    assert bool(((size == 0) | ((size >= 5) & (size <= 10))).all())
    assert 0.4 < float((size == 0).mean()) < 0.6


def test_the_tutorials_shared_layers():
    x = jnp.ones((2, 20))
    net = nn.Sequential()
    shared = nn.Dense(8, activation='relu')
    net.add(nn.Dense(8, activation='relu'), shared, nn.Dense(8, activation='relu', params=shared.params), nn.Dense(10))
    net.initialize()
    net(x)
    assert net[1].weight.data() is net[2].weight.data()
    assert net[1].weight is net[2].weight
    assert sorted(net.params) == ['0', '1', '3']
    net[1].weight[0, 0] = 100
    assert net[2].weight.data()[0, 0] == 100
    params = net.params
    net.params = jax.tree.map(lambda leaf: leaf * 2, params)
    np.testing.assert_array_equal(net[2].weight.data(), 2 * params['1']['weight'])
    np.testing.assert_allclose(net(x), net.apply(net.params, x), rtol=1e-5)


def test_views_are_cached_and_are_the_layer_to_isinstance():
    net = ready(4, 2)
    assert net[0] is net[0]
    assert net[-1] is net[1]
    assert isinstance(net[0], nn.Dense)
    assert isinstance(net[0], nn.Layer)
    assert isinstance(net[0], Block)
    assert not isinstance(net[0], nn.BatchNorm)
    assert net[0].units == 4
    assert net[1:3] is net[1:3]
    view = net[0]
    net.add(nn.Dense(3))
    assert net[0] is view


def test_views_can_be_called_and_hold_the_networks_values():
    net = ready(4, 2)
    np.testing.assert_allclose(net[1](net[0](X)), net(X), rtol=1e-5)
    net[0].bias[:] = 7
    assert (net.params['0']['bias'] == 7).all()
    np.testing.assert_allclose(net[1](net[0](X)), net(X), rtol=1e-5)


def test_a_call_of_a_view_initializes_the_network_in_part():
    net = nn.Sequential(nn.Dense(4), nn.Dense(2))
    net.initialize(key=3)
    net[0](X)
    assert net[0].weight.shape == (4, 20)
    assert net[1].weight.shape == (2, None)
    net(X)
    reference = net.init(3, X)
    np.testing.assert_array_equal(net[0].weight.data(), reference['0']['weight'])


@pytest.mark.parametrize(
    'part', [slice(None), slice(1, 3), slice(None, -1), slice(None, None, 2), slice(2, 0, -1), slice(5, 9)]
)
def test_slices_are_views(part):
    net = ready(4, 4, 4)
    piece, layers = net[part], list(net)[part]
    assert type(piece) is nn.Sequential
    assert len(piece) == len(layers)
    assert all(a is b for a, b in zip(piece, layers, strict=True))
    x = X if not layers or layers[0] is net[0] else jnp.ones((2, 4))
    expected = x
    for layer in layers:
        expected = layer(expected)
    np.testing.assert_allclose(piece(x) if layers else x, expected, rtol=1e-5)


def test_a_slice_shares_values_and_leaves_names_alone():
    net = ready(4, 4)
    piece = net[1:]
    assert piece[0].weight is net[1].weight
    assert net[1].weight.name == '1.weight'
    piece[0].weight[:] = 3
    assert (net.params['1']['weight'] == 3).all()
    assert list(piece.collect_params()) == ['0.weight', '0.bias']


def test_a_slice_keeps_the_class_and_its_fields():
    net = nn.Concatenate(nn.Dense(2), nn.Dense(3), nn.Dense(4), axis=1)
    net.initialize()
    assert net(X).shape == (2, 9)
    assert isinstance(net[1:], nn.Concatenate)
    assert net[1:](X).shape == (2, 7)


def test_length_iteration_and_bounds():
    net = ready(4, 2)
    assert len(net) == 2
    assert [layer.units for layer in net] == [4, 2]
    assert nn.Sequential()
    assert len(nn.Sequential()) == 0
    for index in (2, -3):
        with pytest.raises(IndexError, match=f'layer {index} of 2'):
            _ = net[index]


def test_an_empty_network_gives_back_its_input():
    net = nn.Sequential()
    net.initialize()
    np.testing.assert_array_equal(net(X), X)


def test_more_than_ten_layers_stay_in_order():
    net = nn.Sequential(*(nn.Dense(i + 1) for i in range(12)))
    net.initialize()
    assert net(X).shape == (2, 12)
    assert [layer.units for layer in net] == list(range(1, 13))
    assert list(net.collect_params('.*weight')) == [f'{i}.weight' for i in range(12)]


def test_added_layers_are_initialized_by_the_next_initialize():
    net = ready(4)
    before = net[0].weight.data()
    net.add(nn.Dense(3))
    with pytest.raises(UninitializedError, match=r"'1\.(weight|bias)'"):
        net(X)
    net.initialize()
    assert net(X).shape == (2, 3)
    assert net[0].weight.data() is before


@pytest.mark.parametrize('thing', [jnp.tanh, 'relu', nn.Dense, None, 3])
def test_what_is_no_layer_cannot_be_added_and_then_none_is(thing):
    net = nn.Sequential()
    with pytest.raises(ArgumentError, match=r'(?s)takes layers and networks, got.*nn\.Lambda'):
        net.add(nn.Dense(2), thing)
    assert len(net) == 0


def test_a_tuple_that_a_layer_returns_is_the_inputs_of_the_next():
    net = nn.Sequential(
        nn.Lambda(lambda a, b: (a + b, a - b)),
        nn.Lambda(lambda a, b: (a * b, b)),
        nn.Lambda(lambda a, b: (a, {'b': b})),
    )
    net.initialize()
    a, b = net(jnp.float32(3), jnp.float32(2))
    assert (float(a), float(b['b'])) == (5.0, 1.0)
    first = net[:1](jnp.float32(3), jnp.float32(2))
    assert isinstance(first, tuple)


def test_several_inputs_go_through_dense_layers():
    net = nn.Sequential(nn.Lambda(lambda a, b: jnp.concatenate([a, b], 1)), nn.Dense(3))
    net.initialize()
    assert net(X, X).shape == (2, 3)
    assert net[1].weight.shape == (3, 40)


def test_concatenate_gives_every_layer_the_same_input():
    net = nn.Concatenate(nn.Dense(2), nn.Dense(3), axis=0)
    with pytest.raises(ShapeError, match='differ in other axes than 0'):
        net.apply(net.init(0, X), X)
    net = nn.HybridConcatenate(nn.Dense(2), nn.Identity())
    net.initialize()
    y = net(X)
    assert y.shape == (2, 22)
    np.testing.assert_array_equal(y[:, 2:], X)


def test_the_old_names_are_the_same_classes():
    assert nn.HybridSequential is nn.Sequential
    assert nn.HybridBlock is nn.Block
    assert nn.HybridConcatenate is nn.Concatenate
    with pytest.warns(UserWarning, match='prefix= has no effect'):
        net = nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(nn.Dense(3))
    assert list(net.collect_params()) == ['0.weight', '0.bias']


def test_a_network_shows_itself():
    net = nn.Sequential(nn.Dense(4, activation='relu'), nn.Sequential(nn.Dense(2)))
    assert repr(net).splitlines() == [
        'Sequential(',
        "  (0): Dense(4, activation='relu')",
        '  (1): Sequential(',
        '    (0): Dense(2)',
        '  )',
        ')',
    ]
    assert repr(net[0]) == "Dense(4, activation='relu')"


def test_a_network_is_a_subclass_too():
    class Net(nn.Sequential):
        def __init__(self, classes):
            super().__init__(nn.Dense(4), nn.Dense(classes))
            self.classes = classes

    net = Net(3)
    net.initialize()
    assert net(X).shape == (2, 3)
    assert net.classes == 3
    assert isinstance(net[:1], Net)


def test_a_single_input_may_have_any_name():
    net = nn.Sequential(nn.Dense(2), nn.Dense(3))
    net.initialize(key=0)
    x = jnp.ones((4, 5))
    np.testing.assert_array_equal(net(image=x), net(x))
    with pytest.raises(ArgumentError, match=r"by position\n  got: inputs named \['a', 'b'\]"):
        net(a=x, b=x)
    with pytest.raises(ArgumentError, match='by position'):
        net(x, b=x)


def test_a_child_that_is_set_as_an_attribute_runs_in_its_turn():
    net = nn.Sequential(nn.Lambda(lambda x: x + 1))
    net.double = nn.Lambda(lambda x: 2 * x)
    net.add(nn.Lambda(lambda x: x - 5))
    net.note = 'no layer'
    assert list(vars(net)) == ['0', 'double', '2', 'note']
    assert len(net) == 3
    assert float(net(jnp.float32(3))) == 3
    assert float(net[1](jnp.float32(3))) == 6
    assert float(net[:2](jnp.float32(3))) == 8
    assert net[1:].note == 'no layer'
    net = nn.Sequential(nn.Dense(2))
    net.head = nn.Dense(3)
    net.initialize()
    assert net(X).shape == (2, 3)
    assert list(net.collect_params()) == ['0.weight', '0.bias', 'head.weight', 'head.bias']
    net.head = nn.Dense(4)
    net.initialize()
    assert net(X).shape == (2, 4)
    assert net.definition.apply(net.params, X).shape == (2, 4)


def test_added_layers_do_not_replace_others():
    net = nn.Sequential(nn.Dense(2), nn.Dense(3))
    delattr(net, '0')
    net.add(nn.Dense(4))
    assert list(vars(net)) == ['1', '2']
    net.initialize()
    assert net(X).shape == (2, 4)
