"""Whatever comes between: interrupts, other threads, other programs; the network is always that of a whole step."""

import copy
import ctypes
import gc
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gluonjax import Trainer, errors, loss, nn, ref
from gluonjax.ref import UNSETTLED
from gluonjax.train import compiled
from gluonjax.train.compiled import CompiledStep

HERE = pathlib.Path(__file__).parent


class First(nn.Block):
    """Several layers, of which the first gives the output: 8 times the number of steps for an input of ones."""

    def __init__(self):
        self.layers = [nn.Dense(7, in_units=7) for _ in range(4)]

    def forward(self, x):
        return self.layers[0](x)


class Nested(nn.Block):
    def __init__(self):
        self.first, self.moment, self.inner = nn.Dense(7, in_units=7), Moment(), First()

    def forward(self, x):
        return self.inner(self.first(x))


def counting(network=First, **options):
    """A Trainer whose parameters are all equal to the number of its steps, as is the state of its optimizer."""
    net = network()
    net.initialize('zeros')

    def update(updates, state, params=None):
        return jax.tree.map(jnp.ones_like, updates), jax.tree.map(lambda leaf: leaf + 1, state)

    optimizer = optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)
    return Trainer(net, lambda out, label: out.sum(1), optimizer, key=0, **options)


X, Y = jnp.zeros((4, 7)), jnp.zeros(4)


class Moment:
    """What does something while it is pickled or copied."""

    do = staticmethod(lambda: None)

    def __reduce__(self):
        Moment.do()
        return Moment, ()


def numbers(tree):
    return {float(number) for leaf in jax.tree.leaves(tree) for number in np.unique(np.asarray(leaf))}


def assert_whole(trainer):
    assert numbers(trainer.net.params) == numbers(trainer.state.optimizer) == {float(trainer.steps)}


LOOP = """
import os, random, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from test_whole_steps import X, Y, assert_whole, counting

trainer = counting()
trainer.step(X, Y)
before, caught = trainer.steps, 0
ended = threading.Event()

def interrupt():
    source = random.Random(0)
    for _ in range(int(sys.argv[2])):
        time.sleep(source.random() * 0.004)
        asked.wait(2)  # where a signal arrives in a callback of the garbage collector, Python swallows it
        asked.clear()
        os.kill(os.getpid(), signal.SIGINT)
    ended.set()

asked = threading.Event()
threading.Thread(target=interrupt, daemon=True).start()
while not ended.is_set():
    try:
        asked.set()
        while not ended.is_set():
            trainer.step(X, Y)
    except KeyboardInterrupt:
        caught += 1
        assert_whole(trainer)
assert trainer.steps > before
print('whole after', caught)
"""


def test_ctrl_c_at_any_moment():
    command = [sys.executable, '-c', LOOP, str(HERE), '200']
    environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 190


class Stop(BaseException):  # JAX turns an Exception in its cache of compiled programs into a warning
    pass


# where such an exception arrives in a destructor or a callback of the garbage collector, Python swallows it
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_an_exception_from_another_thread_at_any_moment():
    trainer, caught = counting(), []
    for _ in range(2):
        trainer.step(X, Y)
        assert_whole(trainer)

    def loop():
        for _ in range(60):
            try:
                asked.append(True)
                while True:
                    trainer.step(X, Y)
            except Stop:
                caught.append(numbers(trainer.net.params) == {float(trainer.steps)})

    asked, source = [], random.Random(1)  # an Event has a lock, which such an exception can leave locked
    thread = threading.Thread(target=loop)
    thread.start()
    while thread.is_alive():
        end = time.monotonic() + 1  # if it is not asked for, one was lost, as happens in a destructor
        while not asked and time.monotonic() < end:
            time.sleep(0.0002)
        asked.clear()
        time.sleep(source.random() * 0.003)
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
    assert len(caught) == 60
    assert all(caught)
    assert_whole(trainer)
    trainer.step(X, Y)
    assert_whole(trainer)


def test_readers_in_other_threads_see_whole_steps():
    trainer, failures, stop = counting(), [], threading.Event()
    trainer.step(X, Y)
    net, ones = trainer.net, np.ones((3, 7), 'float32')
    net(ones)

    def look(read):
        while not stop.is_set():
            try:
                read()
            except BaseException as error:
                failures.append(error)
                return

    def read_params():
        assert len(numbers(net.params)) == 1

    def call():  # 7 inputs of 1 and the bias, times the weight
        assert len(numbers(net(jnp.asarray(ones)))) == 1
        assert float(net(jnp.asarray(ones))[0, 0]) % 8 == 0

    def predict():
        assert numbers(trainer.predict(ones)) <= {8.0 * i for i in range(10**5)}

    def evaluate():
        assert trainer.evaluate([(ones, np.zeros(3))])['loss'] % 56 == 0

    threads = [threading.Thread(target=look, args=[read]) for read in (read_params, call, predict, evaluate)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 3
    while time.monotonic() < end and not failures:
        trainer.step(X, Y)
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    assert_whole(trainer)


@pytest.mark.parametrize(
    'use',
    [
        lambda net: jax.jit(lambda x: net(x))(X),
        lambda net: jax.jit(net)(X),
        lambda net: jax.lax.scan(lambda carry, x: (carry, net(x)), 0, X[None]),
        lambda net: jax.eval_shape(net, X),
        lambda net: jax.jit(lambda: net.params)(),
        lambda net: jax.jit(lambda: net.layers[0].weight.data() + 1)(),
        lambda net: jax.vmap(net)(X[None]),
        lambda net: jax.grad(lambda x: net(x).sum())(X),
    ],
)
def test_a_network_in_the_traces_of_others(use, tmp_path):
    trainer = counting()
    for _ in range(2):
        trainer.step(X, Y)
        use(trainer.net)
    trainer.step(X, Y)
    assert_whole(trainer)
    trainer.save(tmp_path)
    trainer.step(X, Y)
    trainer.restore(tmp_path)
    assert trainer.steps == 3
    assert_whole(trainer)
    trainer.step(X, Y)
    assert_whole(trainer)


def test_a_program_that_captured_the_values_keeps_them():
    trainer = counting()
    trainer.step(X, Y)
    program = jax.jit(lambda x: trainer.net(x))
    ones = jnp.ones((1, 7))
    first = program(ones)
    for _ in range(3):
        trainer.step(X, Y)
        np.testing.assert_array_equal(program(ones), first)


def test_two_trainers_that_share_a_network_take_turns():
    shared = nn.Dense(5, in_units=4)
    first, second = (nn.Sequential(), nn.Sequential())
    base = nn.Sequential(shared)
    base.initialize('xavier', key=0)
    first.add(base, nn.Dense(1, in_units=5))
    second.add(base, nn.Dense(1, in_units=5))
    for net in (first, second):
        net.initialize('xavier', key=1)
    trainers = [Trainer(net, loss.L2Loss(), optax.sgd(0.1), key=0) for net in (first, second)]
    x, y = jnp.ones((3, 4)), jnp.zeros((3, 1))
    weights = [np.asarray(base[0].weight.data())]
    for i in range(6):
        trainers[i % 2].step(x, y)
        base(x)
        weights.append(np.asarray(first[0][0].weight.data()))
        np.testing.assert_array_equal(weights[-1], second[0][0].weight.data())
        assert abs(weights[-1] - weights[-2]).max() > 0


def test_values_that_a_step_returns_are_its_own():
    class Remember(nn.Layer):
        def __init__(self):
            self.last = nn.Param((4, 7), init='zeros', trainable=False)
            self.scale = nn.Param((), init='ones')

        def forward(self, x):
            if self.training:
                self.last = x
            return x * self.scale

    net = nn.Sequential(Remember())
    net.initialize()
    trainer = Trainer(net, lambda out, label: out.sum(1), optax.sgd(0.1), key=0)
    batches = [jnp.full((4, 7), float(i)) for i in range(3)]
    for batch in batches * 2:
        trainer.step(batch, Y)
        np.testing.assert_array_equal(net.params['0']['last'], batch)
    assert not any(batch.is_deleted() for batch in batches)


def test_what_a_caller_overwrites_is_not_what_is_trained_on():
    x, y = np.zeros((256, 512), 'float32'), np.zeros(256, 'float32')
    net = nn.Sequential(nn.Dense(4, in_units=512))
    net.initialize('ones')
    trainer = Trainer(net, lambda out, label: out[:, 0] - label, optax.sgd(0.0), key=0)
    values = []
    for i in range(30):
        x[:], y[:] = i, i
        values.append(trainer.step(x, y))
    np.testing.assert_array_equal([float(value) for value in values], [511.0 * i for i in range(30)])


@pytest.mark.parametrize('dtypes', [('>f4', '>i4'), ('>f8', '>i8'), ('float32', '>i2')])
def test_byte_orders(dtypes):
    x, y = np.arange(8.0, dtype='float32').reshape(4, 2), np.arange(4) % 3
    native, other = (nn.Sequential(nn.Dense(3, in_units=2)) for _ in range(2))
    values = []
    for net, (of_x, of_y) in ((native, ('float32', 'int32')), (other, dtypes)):
        net.initialize('xavier', key=0)
        trainer = Trainer(net, loss.SoftmaxCELoss(), 'sgd', key=0)
        trainer.step(x, y.astype('int32'))
        values.append([float(trainer.step(x.astype(of_x), y.astype(of_y))) for _ in range(2)])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_a_loader_that_uses_one_buffer_again():
    x = np.zeros((256, 512), 'float32')
    net = nn.Sequential(nn.Dense(4, in_units=512))
    net.initialize('ones')
    trainer = Trainer(net, lambda out, label: out[:, 0] - label, optax.sgd(0.0), key=0)

    def batches(labelled):
        for i in range(10):
            x[:] = i
            yield (x, np.zeros(256, 'float32')) if labelled else (x,)

    got = trainer.predict(batches(labelled=False))
    np.testing.assert_array_equal(got[::256, 0], [512.0 * i for i in range(10)])
    assert trainer.evaluate(batches(labelled=True))['loss'] == 512 * 4.5
    trainer.fit(batches(labelled=True), progress=False)
    assert trainer.history['loss'] == [512 * 4.5]


def trained(count, after_each=lambda trainer: None, layer=nn.Dense):
    net = nn.Sequential(layer(3, in_units=2))
    net.initialize('xavier', key=0)
    trainer = Trainer(net, loss.L2Loss(), 'adam', key=0)
    for _ in range(count):
        trainer.step(jnp.ones((4, 2)), jnp.ones((4, 3)))
        after_each(trainer)
    return net, trainer


def test_results_of_steps_are_in_the_network_when_the_trainer_is_gone():
    expected = trained(5, lambda trainer: trainer.net[0].weight.data())[0][0].weight.data()
    net, trainer = trained(5)
    assert UNSETTLED.stored is not None
    del trainer
    gc.collect()
    assert UNSETTLED.stored is None  # nothing holds the network
    np.testing.assert_array_equal(net[0].weight.data(), expected)


def test_steps_gather_values_anew_only_after_something_was_read_or_written(monkeypatch):
    gathered, gather = [], CompiledStep.gather
    monkeypatch.setattr(CompiledStep, 'gather', lambda self: gathered.append(1) or gather(self))
    counts = []
    trained(4, lambda trainer: counts.append(trainer.steps))
    assert counts == [1, 2, 3, 4]
    assert len(gathered) == 2  # by the step that traces, and by the next, which finds that values stay where they are
    trained(4, lambda trainer: trainer.net[0].weight.data())
    assert len(gathered) == 2 + 4


def test_steps_that_nobody_looks_at_are_counted_without_end(monkeypatch):
    monkeypatch.setattr(compiled, 'MOST_RESULTS', 5)
    held = []
    net, trainer = trained(23, lambda trainer: held.append(list(UNSETTLED.stored.items) if UNSETTLED.stored else []))
    assert trainer.steps == 23
    assert max(map(len, held)) == 5
    assert all(item is None for items in held for item in items[:-1])  # arrays that were donated are not kept
    np.testing.assert_array_equal(net[0].weight.data(), trained(23)[0][0].weight.data())


def test_a_reader_that_steps_overtake_reads_again(monkeypatch):
    net, trainer = trained(3, lambda trainer: trainer.net[0].weight.data())
    get, overtaken = ref._get, []

    def get_after_a_step(one):
        if not overtaken:
            overtaken.append(1)
            trainer.step(jnp.ones((4, 2)), jnp.ones((4, 3)))
        return get(one)

    monkeypatch.setattr(ref, '_get', get_after_a_step)
    (weight,) = ref.read([net[0].weight])
    np.testing.assert_array_equal(weight, trained(4)[0][0].weight.data())


def test_a_parameter_frozen_between_steps_that_nobody_looks_at():
    net, trainer = trained(4)
    net[0].weight.grad_req = 'null'
    for _ in range(3):
        trainer.step(jnp.ones((4, 2)), jnp.ones((4, 3)))
    np.testing.assert_array_equal(net[0].weight.data(), trained(4)[0][0].weight.data())
    np.testing.assert_allclose(net[0].bias.data(), trained(7)[0][0].bias.data(), rtol=0.05)


def test_a_step_whose_callback_reads_a_value():
    seen = []

    class Watched(nn.Dense):
        def forward(self, x):
            jax.debug.callback(lambda _: seen.append(net[0].bias.current), x)
            return super().forward(x)

    net = nn.Sequential(Watched(3, in_units=2))
    net.initialize('xavier', key=0)
    trainer = Trainer(net, loss.L2Loss(), 'adam', key=0)
    for _ in range(5):
        trainer.step(jnp.ones((4, 2)), jnp.ones((4, 3)))
    np.testing.assert_allclose(net[0].weight.data(), trained(5)[0][0].weight.data(), rtol=1e-6)
    assert seen
    assert trainer.steps == 5


@pytest.mark.parametrize('copy_of', [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_network_that_is_copied_while_it_is_trained_has_the_values_of_one_step(monkeypatch, copy_of):
    trainer = counting(Nested)
    trainer.step(X, Y)
    monkeypatch.setattr(Moment, 'do', lambda: trainer.step(X, Y))
    for net in (trainer.net, nn.Sequential(trainer.net)):
        before = trainer.steps
        assert numbers(copy_of(net).params) == {float(before)}
        assert trainer.steps > before
    assert_whole(trainer)


def test_debug_nans_raises_what_it_raises_everywhere():
    (net, trainer), bad = trained(3), jnp.full((4, 2), jnp.nan)
    with jax.debug_nans(True):
        for _ in range(2):
            with pytest.raises(FloatingPointError):
                trainer.step(bad, jnp.ones((4, 3)))
            assert np.isfinite(net[0].weight.data()).all()
    np.testing.assert_array_equal(net[0].weight.data(), trained(3)[0][0].weight.data())


def test_a_network_that_is_moved_between_steps():
    devices = jax.devices()
    rows = jax.sharding.NamedSharding(
        jax.make_mesh((3,), ('rows',), axis_types=(jax.sharding.AxisType.Auto,)), jax.sharding.PartitionSpec('rows')
    )
    places = [devices[2], devices[0], rows, devices[3]]

    def move(trainer):
        trainer.net.to(places[trainer.steps % len(places)])

    net, trainer = trained(9, move)
    expected, other = trained(9)
    for name, value in expected.collect_params().items():
        np.testing.assert_allclose(net.collect_params()[name].data(), value.data(), rtol=1e-6)
    jax.tree.map(np.testing.assert_allclose, trainer.state.optimizer, other.state.optimizer)
    assert trainer.steps == 9


@pytest.mark.parametrize('call', [jax.debug.callback, lambda f, x: jax.pure_callback(f, x, x)])
def test_an_error_in_a_callback_of_the_network(call):
    class Watched(nn.Dense):
        def forward(self, x):
            checked = call(check, jax.lax.stop_gradient(x))
            return super().forward(x if checked is None else checked)

    def check(x):
        if failing:
            raise ValueError('not now')
        return x

    def step():
        jax.block_until_ready(trainer.step(*batch))
        jax.effects_barrier()

    batch, failing = (jnp.ones((4, 2)), jnp.ones((4, 3))), []
    net, trainer = trained(3, layer=Watched)
    failing.append(1)
    text = r'(?s)called back failed.*got: ValueError: not now\n  in check, line \d+ of .*test_whole_steps.py$'
    for run in (step, lambda: trainer.evaluate(*batch), lambda: jax.block_until_ready(net(batch[0]))):
        with pytest.raises(errors.CallbackError, match=text):
            run()
    failing.clear()
    step()
    expected = trained(trainer.steps)[0]
    np.testing.assert_allclose(net[0].weight.data(), expected[0].weight.data(), rtol=1e-6)


def test_a_handler_of_signals_reads_in_the_middle_of_steps():
    net, trainer = trained(3)
    held = []
    before = signal.signal(signal.SIGALRM, lambda *_: held.append(net[0].weight.data()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while len(held) < 60:
            trainer.step(jnp.ones((4, 2)), jnp.ones((4, 3)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not any(array.is_deleted() for array in held)


def test_batches_of_several_sizes_run_in_c_alone():
    trainer, called = trained(3)[1], []
    batches = [(jnp.ones((rows, 2)), jnp.ones((rows, 3))) for rows in (2, 4)]
    for batch in batches * 2:
        trainer.step(*batch)
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == 'call' else None)
    try:
        for batch in batches:
            trainer.step(*batch)
    finally:
        sys.setprofile(None)
    assert len(called) < 80, called  # JAX runs hundreds of functions if it may not use its cache
    with pytest.raises(errors.ShapeError):
        trainer.step(jnp.ones((4, 2)), jnp.ones((3, 3)))
    programs = trainer.compiled_step.stored.programs
    assert list(map(len, programs.values())) == [1, 1]  # of the one that failed nothing is kept


@pytest.mark.parametrize('before', [0, 2])
def test_an_interrupt_in_the_first_step_on_a_kind_of_batch(before, monkeypatch):
    """After the computation, which donates the optimizer's state if it is new, and before anything is stored."""

    def made():
        net = nn.Sequential(nn.Dense(30, in_units=40))
        net.initialize('xavier', key=0)
        return Trainer(net, loss.L2Loss(), 'adam', key=0)

    def steps(trainer, count, rows=4):
        for _ in range(count):
            trainer.step(jnp.ones((rows, 40)), jnp.ones((rows, 30)))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    trainer, expected = made(), made()
    steps(trainer, before)
    with monkeypatch.context() as patched:
        patched.setattr(compiled, 'commit', interrupt)
        with pytest.raises(KeyboardInterrupt):
            steps(trainer, 1, rows=3)
    assert trainer.steps == before
    steps(trainer, 4)
    steps(expected, before + 4)
    for got, want in ((trainer.net.params, expected.net.params), (trainer.state.optimizer, expected.state.optimizer)):
        jax.tree.map(np.testing.assert_array_equal, got, want)
