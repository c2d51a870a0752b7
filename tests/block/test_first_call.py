"""The first call, anywhere: under transformations, in several threads; no tracer is ever stored."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Counting, X, mlp, ready, same_bits

from gluonjax import init, nn
from gluonjax.errors import TransformationError


def concrete(net):
    return all(
        isinstance(cell.data(), jax.Array) and not isinstance(cell.data(), jax.core.Tracer)
        for cell in net.collect_params().values()
    )


ANYWHERE = {
    'jit': lambda f: jax.jit(f)(X),
    'grad': lambda f: jax.grad(lambda x: f(x).sum())(X),
    'vmap': lambda f: jax.vmap(f)(X[None]),
    'scan': lambda f: jax.lax.scan(lambda c, x: (c, f(x)), None, X[None]),
    'eval_shape': lambda f: jax.eval_shape(f, X),
    'checkpoint': lambda f: jax.checkpoint(f)(X),
    'jit of vmap of grad': lambda f: jax.jit(jax.vmap(jax.grad(lambda x: f(x).sum())))(X[None]),
    'hessian': lambda f: jax.hessian(lambda x: f(x).sum())(X),
}


@pytest.mark.parametrize('where', ANYWHERE)
def test_a_first_call_anywhere_initializes_once_with_concrete_arrays(where):
    distribution = Counting()
    net = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(2))
    net.initialize(distribution, key=3)
    with jax.checking_leaks():
        ANYWHERE[where](net)
    assert concrete(net)
    before = net.params
    same_bits(before, net.init(3, X, init=Counting()))
    ANYWHERE[where](net)
    same_bits(net.params, before)
    assert distribution.runs == ['0.weight', '2.weight']


@pytest.mark.parametrize(
    'distribution', [init.Uniform(), init.Normal(), init.Orthogonal(), jax.nn.initializers.he_normal()]
)
@pytest.mark.parametrize('where', ['jit', 'vmap', 'scan'])
def test_a_first_call_anywhere_draws_what_a_call_outside_draws(where, distribution):
    net, outside = nn.Sequential(nn.Dense(4)), nn.Sequential(nn.Dense(4))
    for each in (net, outside):
        each.initialize(distribution, key=3)
    ANYWHERE[where](net)
    outside(X)
    same_bits(net.params, outside.params)


def test_inside_a_transformation_a_call_uses_the_values_of_now():
    net = ready(4)
    net[0].weight.set_data(jnp.ones((4, 3)))
    first = jax.jit(lambda x: net(x))(X)
    net[0].weight.set_data(jnp.zeros((4, 3)))
    second = jax.jit(lambda x: net(x) + 0)(X)
    np.testing.assert_array_equal(first, jnp.full((2, 4), 3.0))
    assert not second.any()


def traced_key(t):
    return jax.random.key(jnp.int32(t[0, 0]))


STORES = {
    'set_data': lambda net, t: net[0].weight.set_data(t),
    'items': lambda net, t: net[0].weight.__setitem__((0, 0), t[0, 0]),
    'params': lambda net, t: setattr(net, 'params', {'0': {'weight': t, 'bias': t[0]}}),
    'training input': lambda net, t: net(t, training=True),
    'constant': lambda net, t: net[0].weight.initialize(init.Constant(t), force_reinit=True),
    'scalar constant': lambda net, t: net[0].weight.initialize(init.Constant(t[0, 0]), force_reinit=True),
    'load': lambda net, t: net.initialize(init.Load({'0.weight': t}, 'zeros'), force_reinit=True),
    'function': lambda net, t: net[0].weight.initialize(lambda key, shape, dtype: t, force_reinit=True),
    'key': lambda net, t: net.initialize(key=traced_key(t), force_reinit=True),
    'key of a parameter': lambda net, t: net[0].weight.initialize(key=traced_key(t), force_reinit=True),
    'key of some': lambda net, t: net.collect_params('.*').initialize(key=traced_key(t), force_reinit=True),
    'training key': lambda net, t: net(X, training=True, key=traced_key(t)),
}


@pytest.mark.parametrize('transform', [jax.jit, jax.grad, jax.vmap])
@pytest.mark.parametrize('store', STORES)
def test_a_tracer_is_never_stored(store, transform):
    if transform is jax.grad and 'key' in store:
        pytest.skip('grad does not trace integers')
    net = ready(3)
    before = net.params

    def traced(t):
        STORES[store](net, t)
        return t.sum()

    with pytest.raises(TransformationError):
        transform(traced)(jnp.ones((2, 3, 3) if transform is jax.vmap else (3, 3)))
    assert concrete(net)
    same_bits(net.params, before)


def test_a_deferred_initialization_never_holds_a_tracer():
    net = mlp(3)

    def initialize(t):
        net[0].weight.initialize(init.Constant(t))
        return t

    with pytest.raises(TransformationError):
        jax.jit(initialize)(X)
    net.initialize()
    assert net(X).shape == (2, 3)


def test_cast_inside_a_transformation_stores_no_tracer():
    net = ready(3)

    def traced(x):
        net.cast('float16')
        return x

    try:
        jax.jit(traced)(X)
    except TransformationError:
        assert net[0].weight.dtype == 'float32'
    assert concrete(net)
    assert net[0].weight.data().dtype == net[0].weight.dtype


@pytest.mark.parametrize(
    'transform', [jax.jit, lambda f: jax.grad(lambda x: f(x).sum()), lambda f: lambda x: jax.vmap(f)(x[None])]
)
def test_training_inside_a_transformation_is_refused_and_names_apply_train(transform):
    net = nn.Sequential(nn.Dense(3), nn.BatchNorm())
    net.initialize()
    with pytest.raises(TransformationError, match=r'(?s)net\(x, training=True\).*net\.apply_train'):
        transform(lambda x: net(x, training=True))(X)
    assert net[0].weight.shape == (3, None)
    before = (net(X), net.params)[1]
    with pytest.raises(TransformationError, match='apply_train'):
        transform(lambda x: net(x, training=True))(X)
    same_bits(net.params, before)


def test_training_inside_jit_is_refused_where_the_input_is_a_constant_too():
    net = nn.Sequential(nn.Dense(3), nn.Dropout(0.5))
    net.initialize()
    net(X)
    with pytest.raises(TransformationError, match='apply_train'):
        jax.jit(lambda y: net(X, training=True) + y)(1.0)


def test_several_threads_at_once_initialize_once():
    distribution = Counting()
    net = nn.Sequential(nn.Dense(4), nn.Dense(2))
    net.initialize(distribution, key=3)
    start, results = threading.Barrier(8), []

    def run():
        start.wait()
        results.append(np.asarray(net(X)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert distribution.runs == ['0.weight', '1.weight']
    assert len(results) == 8
    assert len({result.tobytes() for result in results}) == 1


def test_a_call_of_an_initialized_network_takes_no_lock():
    entered, leave = threading.Event(), threading.Event()

    def slow(key, shape, dtype):
        entered.set()
        assert leave.wait(20)
        return jnp.ones(shape, dtype)

    done = ready(4)
    done(X)
    waiting, finished = mlp(4), threading.Event()
    waiting.initialize(slow)
    initializing = threading.Thread(target=lambda: waiting(X))
    calling = threading.Thread(target=lambda: (done(X), finished.set()))
    initializing.start()
    assert entered.wait(20)
    calling.start()
    try:
        assert finished.wait(10)
    finally:
        leave.set()
        initializing.join()
        calling.join()


@pytest.mark.parametrize(
    'change', [lambda net: net.cast('float16'), lambda net: net[0].weight.set_data(np.zeros((2, 3), 'float16'))]
)
def test_nothing_traced_is_kept_where_all_is_traced(change):
    """Under `jax.shard_map` outside of `jit` nothing is concrete, whatever it is computed from."""
    net = nn.Sequential(nn.Dense(2, in_units=3))
    net.initialize(key=0)
    before = net[0].weight.data()
    mesh = jax.make_mesh((1,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))

    def inside(x):
        change(net)
        return x

    with pytest.raises(TransformationError, match='cannot be set to a traced value'):
        jax.shard_map(inside, mesh=mesh, in_specs=jax.P(), out_specs=jax.P())(jnp.ones(2))
    assert net[0].weight.data() is before
    assert net[0].weight.dtype == 'float32'
