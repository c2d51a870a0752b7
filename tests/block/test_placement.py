"""Where a network lives: values drawn on a device or over several, moved, called and trained there."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from gluonjax import Trainer, errors, loss, nn, sharding
from gluonjax.tree import flatten

X = np.random.RandomState(0).standard_normal((4, 3)).astype('float32')


def network(**options):
    net = nn.Sequential(nn.Dense(8, in_units=3, activation='relu'), nn.Dense(2))
    net.initialize(key=0, **options)
    return net


def called(net):
    net(X)
    return net


def devices_of(net):
    return {device for value in flatten(net.params).values() for device in value.devices()}


def assert_same_bits(net, other):
    for ours, theirs in zip(flatten(net.params).values(), flatten(other.params).values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_values_are_drawn_on_the_device_and_calls_follow():
    device, plain = jax.devices()[3], network()
    expected = plain(X)
    for net in (network(device=device), network().to(device)):
        assert net[0].weight.data().devices() == {device}  # drawn at once, or moved
        output = net(X)
        assert output.devices() == {device} == devices_of(net)  # what was deferred was drawn there
        assert_same_bits(net, plain)
        np.testing.assert_array_equal(output, expected)
        assert net(jnp.asarray(X)).devices() == {device}


def test_values_that_are_compiled_in_are_computed_with_where_they_are():
    mesh = jax.make_mesh((2,), ('data',))
    for where in (SingleDeviceSharding(jax.devices()[3]), NamedSharding(mesh, P())):
        net = called(network(device=where))
        net.hybridize(static_params=True)
        assert net(X).devices() == where.device_set
        with pytest.raises(errors.ArgumentError, match='was put on another device'):
            net(jax.device_put(X, jax.devices()[5]))
        np.testing.assert_allclose(net.to(jax.devices()[1])(X), network()(X), rtol=1e-6)
        assert net(X).devices() == {jax.devices()[1]}


def test_training_follows():
    device, losses = jax.devices()[2], []
    for net in (network(), network(device=device)):
        trainer = Trainer(net, loss.L2Loss(), 'adam', key=0)
        losses.append([trainer.step(X, X[:, :2]) for _ in range(2)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert losses[1][0].devices() == devices_of(net) == {device}
    net.to(jax.devices()[1])  # in the middle of training
    assert np.isfinite(net(X)).all()


def test_a_sharding_cuts_every_parameter():
    mesh = jax.make_mesh((2,), ('model',))
    net = network(device=NamedSharding(mesh, P('model')))
    net(X)
    automatic = NamedSharding(sharding.auto_mesh(mesh), P('model'))
    assert {value.sharding for value in flatten(net.params).values()} == {automatic}
    assert net[0].weight.data().addressable_shards[0].data.shape == (4, 3)
    assert_same_bits(net, called(network()))


def test_an_array_on_another_device_is_refused_and_both_are_named():
    net = called(network(device=jax.devices()[1]))
    trainer, near, far = Trainer(net, loss.L2Loss(), 'sgd'), *(jax.device_put(X, d) for d in jax.devices()[1::-1])
    labels = X[:, :2]
    before = net.params
    eager = called(network(device=jax.devices()[1]))
    eager.hybridize(active=False)
    calls = [lambda: net(far), lambda: net(x=far), lambda: eager(far), lambda: net(far, training=True)]
    steps = [lambda: trainer.step(far, labels), lambda: trainer.evaluate([(far, labels)])]
    trainer.evaluate([(near, labels)])
    for call in (*calls, *steps):
        with pytest.raises(errors.ArgumentError, match='was put on another device') as caught:
            call()
        first, second = (str(device) for device in jax.devices()[:2])
        assert f'expected: arrays of NumPy, or on {second}\n  got: float32(4, 3) on {first}' in str(caught.value)
    jax.tree.map(np.testing.assert_array_equal, net.params, before)
    near_labels, far_labels = (jax.device_put(labels, d) for d in jax.devices()[1::-1])
    trainer.step(near, labels)
    for step in (trainer.step, trainer.step_with_output):
        step(near, near_labels)  # those that follow have a program
        with pytest.raises(errors.ArgumentError, match='an input of Sequential was put on another device'):
            step(far, near_labels)
        with pytest.raises(errors.ArgumentError, match='a label of Sequential was put on another device'):
            step(near, far_labels)
    with pytest.raises(errors.ArgumentError, match='a label of Sequential was put on another device'):
        trainer.evaluate([(near, far_labels)])
    with pytest.raises(errors.ArgumentError, match='an input of Sequential was put on another device'):
        trainer.predict([far])
    trainer.step(near, labels)


def test_a_sharding_that_does_not_divide_moves_nothing():
    net = network()
    net(X)
    mesh = jax.make_mesh((8,), ('model',))
    with pytest.raises(errors.ShapeError, match=r"'1\.weight' of shape \(2, 8\) cannot be cut"):
        net.to(NamedSharding(mesh, P('model')))
    assert devices_of(net) == {jax.devices()[0]}
    with pytest.raises(errors.ShapeError, match=r"'1\.bias' of shape \(2,\) cannot be cut"):
        called(network(device=NamedSharding(jax.make_mesh((4,), ('model',)), P('model'))))


def test_what_is_drawn_and_set_again_stays_where_the_network_is():
    device = jax.devices()[3]
    net, plain = called(network(device=device)), called(network())
    waiting = network(device=device)
    for one in (net, plain, waiting):
        one.initialize(force_reinit=True, key=1)
    assert devices_of(net) == devices_of(called(waiting)) == {device}
    assert_same_bits(net, called(plain))
    net[0].bias.set_data(np.arange(8))
    assert devices_of(net) == {device}
    net.params = jax.tree.map(np.asarray, net.params)
    assert devices_of(net) == {device} == net(X).devices()
    net[0].bias.set_data(jax.device_put(np.ones(8), jax.devices()[1]))  # who says where it is, is taken at their word
    assert net[0].bias.data().devices() == {jax.devices()[1]}
    net.initialize(force_reinit=True, device=jax.devices()[2])
    assert devices_of(net) == {jax.devices()[2]}


def test_drawing_on_a_device_compiles_nothing_and_over_a_sharding_once(caplog):
    cut = NamedSharding(jax.make_mesh((2,), ('model',)), P('model'))
    for device, programs in ((jax.devices()[3], 0), (cut, 2)):  # of the shapes (12, 3) and (12,)
        for key, expected in ((0, programs), (1, 0)):
            caplog.clear()
            with jax.log_compiles():
                net = nn.Sequential(nn.Dense(12, in_units=3))
                net.initialize('normal', key=key, device=device)
            compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith('Compiling jit(sample')]
            assert len(compiled) == expected, compiled


def test_what_is_not_initialized_remembers_where_it_lives(tmp_path):
    device = jax.devices()[3]
    net = nn.Sequential(nn.Dense(8, in_units=3), nn.BatchNorm(), nn.Dense(2)).to(device)
    net.initialize(key=0)
    assert devices_of(called(net)) == {device}
    net.save_parameters(tmp_path / 'values')
    waiting = nn.Sequential(nn.Dense(8), nn.BatchNorm(), nn.Dense(2))
    waiting.initialize(device=device)
    waiting.load_parameters(tmp_path / 'values')
    assert devices_of(waiting) == {device}


def test_a_training_is_restored_to_where_a_network_waits(tmp_path):
    trainer = Trainer(network(), loss.L2Loss(), key=0)
    trainer.step(X, X[:, :2])
    trainer.save(tmp_path)
    waiting = network().to(jax.devices()[3])
    Trainer(waiting, loss.L2Loss(), key=0).restore(tmp_path)
    assert devices_of(waiting) == {jax.devices()[3]}
    assert_same_bits(waiting, trainer.net)


def test_parameters_on_different_devices_are_named():
    net = called(network(device=jax.devices()[3]))
    net[1].to(jax.devices()[5])
    message = r'parameters of Sequential are on different devices\n.*\n.*0\.weight on .*3, 1\.weight on .*5'
    with pytest.raises(errors.ArgumentError, match=message):
        net(X)
    with pytest.raises(errors.ArgumentError, match=message):
        Trainer(net, loss.L2Loss()).step(X, np.ones((4, 2), 'float32'))
    np.testing.assert_allclose(net.to(jax.devices()[5])(X), network()(X), rtol=1e-6)


TOKENS, LABELS = np.array([[0, 1], [2, 1], [1, 1], [0, 2]], 'int32'), np.zeros(4, 'int32')


def embedding(device=None, **options):
    net = nn.Sequential(nn.Embedding(3, 2), nn.Flatten(), nn.Dense(2))
    net.initialize(key=0, device=device)
    net.hybridize(**options)
    return net


def over_explicit_axes(*arrays):
    """Arrays over a mesh as JAX makes it, over which an Embedding, for one, cannot be computed."""
    mesh = jax.make_mesh((4,), ('data',))
    return mesh, *jax.device_put(arrays, NamedSharding(mesh, P('data')))


def test_inputs_over_explicit_axes_are_taken_as_over_automatic_ones():
    mesh, tokens, labels = over_explicit_axes(TOKENS, LABELS)
    ce = loss.SoftmaxCrossEntropyLoss()
    for ours in (embedding(), embedding(NamedSharding(mesh, P()))):
        values = [
            float(Trainer(one, ce, key=0, **options).step(tokens, labels))
            for one, options in ((ours, {}), (embedding(), {'mesh': mesh}))
        ]
        np.testing.assert_allclose(values, float(Trainer(embedding(), ce, key=0).step(TOKENS, LABELS)), rtol=1e-6)


@pytest.mark.parametrize('options', [{}, {'static_params': True}, {'active': False}])
def test_outputs_for_inputs_over_explicit_axes_are_over_them(options):
    mesh, tokens, other = over_explicit_axes(TOKENS, np.ones((4, 2), 'float32'))
    expected, net = embedding()(TOKENS), embedding(**options)
    for _ in range(2):  # a first call, and one of a network that is ready
        np.testing.assert_allclose(net(tokens) + other, expected + 1, rtol=1e-6)
    assert jax.typeof(net(tokens, training=True)).sharding.spec == P('data', None)
    with jax.set_mesh(mesh):  # where nothing is computed over automatic axes
        np.testing.assert_allclose(embedding(**options)(tokens) + other, expected + 1, rtol=1e-6)
        np.testing.assert_allclose(net(tokens) + other, expected + 1, rtol=1e-6)


@pytest.mark.parametrize('static', [False, True])
def test_inputs_over_explicit_axes_are_traced_once(static):
    traced = []

    def noted(x):
        traced.append(x.shape)
        return x

    net = nn.Sequential(nn.Lambda(noted), nn.Embedding(3, 2), nn.Dense(2))
    net.initialize(key=0)
    net.hybridize(static_params=static)
    net(TOKENS)
    _, tokens = over_explicit_axes(TOKENS)
    net(tokens)  # which was tried over explicit axes first
    before = len(traced)
    for _ in range(3):
        net(tokens)
    assert len(traced) == before
    with pytest.raises(errors.ShapeError, match='has shape'):  # not of axes, but said all the same
        net(over_explicit_axes(np.zeros((4, 2, 3), 'int32'))[1])


def test_training_on_explicit_axes_in_their_context_is_refused():
    mesh, tokens, labels = over_explicit_axes(TOKENS, LABELS)
    trainer = Trainer(embedding(), loss.SoftmaxCrossEntropyLoss(), key=0)
    with jax.set_mesh(mesh), pytest.raises(errors.ArgumentError, match=r'leave the block of jax\.set_mesh'):
        trainer.step(tokens, labels)
    trainer.step(tokens, labels)
    with jax.set_mesh(mesh), pytest.raises(errors.ArgumentError, match=r'leave the block of jax\.set_mesh'):
        trainer.step(tokens, labels)


def test_what_jax_cannot_compute_over_explicit_axes_in_a_jit_says_what_to_do():
    mesh, tokens = over_explicit_axes(TOKENS)
    net = embedding()
    expected = net(TOKENS)
    with pytest.raises(Exception, match='out_sharding') as caught:
        jax.jit(net.apply)(net.params, tokens)
    assert 'axis_types=(jax.sharding.AxisType.Auto,)' in caught.value.__notes__[1]
    where = NamedSharding(mesh, P('data'))
    apply = jax.sharding.auto_axes(net.apply, axes=mesh.axis_names, out_sharding=where)
    np.testing.assert_allclose(jax.jit(apply)(net.params, tokens), expected, rtol=1e-6)


@pytest.mark.parametrize('device', ['cpu', 0, jax.devices])
def test_what_is_no_device(device):
    for wrong in (lambda: network(device=device), lambda: network().to(device)):
        with pytest.raises(errors.ArgumentError, match=r'Sequential lives on a device.*\n  expected: jax.devices'):
            wrong()


def test_a_network_that_waits_for_shapes_is_copied_and_pickles():
    device = jax.devices()[1]
    net = network(device=device)
    assert devices_of(called(copy.deepcopy(net))) == {device}
    pickled = called(pickle.loads(pickle.dumps(net)))  # another process may lack the device
    assert pickled[1].weight.data().devices() == {jax.devices()[0]}
    assert_same_bits(pickled, called(network()))
