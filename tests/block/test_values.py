"""Values live in the Parameters: what was handed out is never donated, and readers see all of one moment."""

import copy
import pickle
import threading
from itertools import chain, repeat, starmap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import Block, init, nn
from gluonjax.ref import Ref, read, write
from gluonjax.train.compiled import make_private

X = jnp.ones((2, 3))


def network(value=1.0):
    """All its parameters have one value, and so has each output: 3 * value + value, for the inputs of one."""
    net = nn.Sequential(*(nn.Dense(4, in_units=3, weight_initializer=init.Constant(value)) for _ in range(1)))
    net.initialize()
    net.params = jax.tree.map(lambda p: jnp.full_like(p, value), net.params)
    return net


def handed_out(net):
    return {name: parameter.handed_out for name, parameter in net.collect_params().items()}


def private(net):
    make_private(net.collect_params().values())
    assert not any(handed_out(net).values())
    return net


@pytest.mark.parametrize(
    'reader',
    [
        lambda net: net[0].weight.data(),
        lambda net: net.params,
        lambda net: np.asarray(net[0].weight),
        lambda net: jnp.sum(net[0].weight),
        lambda net: copy.deepcopy(net),
        lambda net: pickle.dumps(net),
        lambda net: jax.jit(net)(X),
        lambda net: jax.jit(lambda: net(X))(),
        lambda net: jax.eval_shape(net, X),
        lambda net: jax.lax.scan(lambda carry, x: (carry, net(x[None])), 0, X),
        lambda net: jax.grad(lambda x: net(x).sum())(X),
    ],
    ids=[
        'data',
        'params',
        'numpy',
        'sum',
        'deepcopy',
        'pickle',
        'jit',
        'jit of a constant',
        'eval_shape',
        'scan',
        'grad',
    ],
)
@pytest.mark.parametrize('called', [False, True])
def test_whoever_may_hold_an_array_is_noticed(reader, called):
    net = network()
    for _ in range(2 * called):
        net(X)
    private(net)
    reader(net)
    assert handed_out(net)['0.weight']


@pytest.mark.parametrize('output', [lambda y: y, lambda y: (y, y), lambda y: {'y': y}, lambda y: [y]])
def test_a_trace_is_noticed_whatever_the_network_returns(output):
    class Net(Block):
        def __init__(self):
            self.dense = nn.Dense(2, in_units=3)

        def forward(self, x):
            return output(self.dense(x))

    net = Net()
    net.initialize()
    for _ in range(2):
        net(X)
    private(net)
    net(X)
    assert not any(handed_out(net).values())
    jax.eval_shape(net, X)
    assert all(handed_out(net).values())


def test_calls_and_shapes_hand_nothing_out():
    net = private(network())
    for _ in range(3):
        net(X)
        net(X[:1])
    net(X, training=True)
    assert (net[0].weight.shape, net[0].weight.dtype) == ((4, 3), 'float32')
    repr(net.collect_params())
    assert not any(handed_out(net).values())


def test_private_values_are_copies_of_what_was_handed_out_and_of_nothing_else():
    net = private(network(2.0))
    weight, bias = net[0].weight.data(), net[0].bias.current
    make_private([net[0].weight, net[0].bias])
    assert net[0].weight.current is not weight
    assert net[0].weight.current.unsafe_buffer_pointer() != weight.unsafe_buffer_pointer()
    assert net[0].bias.current is bias
    np.testing.assert_array_equal(net[0].weight.current, weight)


def test_drawn_values_are_private_unless_somebodys_code_made_them():
    kept = jnp.ones((4, 3))
    net = nn.Sequential(nn.Dense(4, in_units=3))
    net.initialize({'.*weight': lambda key, shape, dtype: kept})
    assert handed_out(net) == {'0.weight': False, '0.bias': False}
    assert net[0].weight.current.unsafe_buffer_pointer() != kept.unsafe_buffer_pointer()


def test_the_caller_may_overwrite_what_it_passed():
    buffer, net = np.ones((4, 3), 'float32'), network()
    net[0].weight.set_data(buffer)
    buffer[:] = 7
    assert float(net[0].weight.data().max()) == 1
    net.params = {'0': {'weight': buffer, 'bias': np.zeros(4, 'float32')}}
    buffer[:] = 8
    assert float(net[0].weight.data().max()) == 7
    net[0].weight[:] = buffer
    buffer[:] = 9
    assert float(net[0].weight.data().max()) == 8


def test_a_call_after_any_write_sees_it():
    net = network(1.0)
    part = net[0]
    for _ in range(3):
        assert float(net(X).max()) == 4 == float(part(X).max())
    net[0].weight.set_data(jnp.full((4, 3), 2.0))
    assert float(net(X).max()) == 7 == float(part(X).max())
    net.params = jax.tree.map(jnp.zeros_like, net.params)
    assert float(net(X).max()) == 0 == float(part(X).max())
    net[0].bias[0] = 5
    assert float(net(X).max()) == 5 == float(part(X).max())
    net.initialize(init='ones', force_reinit=True)
    assert float(net(X).max()) == 3 == float(part(X).max())
    net.hybridize(static_params=True)
    assert float(net(X).max()) == 3
    net[0].bias[0] = 7
    assert float(net(X).max()) == 10


def racing(write_once, check, seconds=1.0):
    """Runs a writer in a thread, and checks in this one until it is done."""
    stop, errors = threading.Event(), []

    def run():
        try:
            while not stop.is_set():
                write_once()
        except BaseException as error:  # told to the thread that waits
            errors.append(error)

    thread, clock = threading.Thread(target=run), threading.Timer(seconds, stop.set)
    thread.start()
    clock.start()
    try:
        while not stop.is_set():
            check()
    finally:
        stop.set()
        clock.cancel()
        thread.join()
    assert errors == []


def test_params_are_seen_whole_or_not_at_all():
    net = nn.Sequential(*(nn.Dense(3, in_units=3) for _ in range(20)))
    net.initialize()
    trees = [jax.tree.map(lambda p, value=value: jnp.full_like(p, value), net.params) for value in (1.0, 2.0)]

    def write_once():
        for tree in trees:
            net.params = tree

    net.params = trees[0]
    racing(write_once, lambda: check_equal(net.params))


def check_equal(tree):
    values = {float(leaf[(0,) * leaf.ndim]) for leaf in jax.tree.leaves(tree)}
    assert len(values) == 1


def test_a_call_never_mixes_values_of_two_moments():
    class Spread(Block):
        def __init__(self):
            self.layers = [nn.Dense(1, in_units=1) for _ in range(20)]

        def forward(self, x):
            values = jnp.stack([layer(x)[0, 0] for layer in self.layers])
            return values.max() - values.min()

    net, x = Spread(), jnp.zeros((1, 1))
    net.initialize()
    trees = [jax.tree.map(lambda p, value=value: jnp.full_like(p, value), net.params) for value in (1.0, 2.0)]

    def write_once():
        for tree in trees:
            net.params = tree

    net.params = trees[0]
    racing(write_once, lambda: np.testing.assert_equal(float(net(x)), 0.0))


def donating(refs):
    """What a training step does: replaces values by a program that uses them up."""
    step = jax.jit(
        lambda *values: tuple((value + 1) % 1000 for value in values), donate_argnums=tuple(range(len(refs)))
    )
    write(refs, step(*read(refs)))  # traces

    def run():
        arguments = read(refs)  # they live until all is written
        any(map(setattr, refs, repeat('stored'), chain.from_iterable(starmap(step, (arguments,)))))

    return run


def test_a_call_beside_a_donating_step_gets_values_of_one_step():
    net = nn.Sequential(*(nn.Dense(1, in_units=1) for _ in range(2)))
    net.initialize(init.Zero())
    private(net)
    step, x = donating([*net.collect_params().values()]), jnp.zeros((1, 1))

    def step_under_lock():
        with gluonjax.parameter.LOCK:
            step()

    def check():  # biases b and weights w, all of n: w * b + b
        y = float(net(x)[0, 0])
        n = round((y + 0.25) ** 0.5 - 0.5)
        assert n * n + n == y

    racing(step_under_lock, check)


def test_write_and_read_are_one_moment_for_all():
    refs = [Ref(0) for _ in range(1000)]

    def write_once():
        for value in range(2):
            write(refs, [value] * len(refs))

    def check():
        assert len(set(read(refs))) == 1

    racing(write_once, check, seconds=0.5)
