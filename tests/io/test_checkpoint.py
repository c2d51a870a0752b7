"""Checkpoints: the steps after a restore are those of a run that was never interrupted, whatever interrupts it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import resumed_training as run
from conftest import QUICK, program_count
from jax.sharding import NamedSharding, PartitionSpec

from gluonjax import Trainer, errors, init, loss, metric, nn
from gluonjax.io import checkpoint

CE = loss.SoftmaxCELoss()


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name, value in got.items():
        assert value.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def simple(*layers, optimizer=None, key=0, **options):
    """A Trainer of a network with 4 inputs and 3 outputs."""
    net = nn.Sequential(*layers) if layers else nn.Sequential(nn.Dense(5), nn.Dense(3))
    net.initialize(init.Xavier(), key=key)
    return Trainer(net, CE, optimizer or optax.adam(0.05), key=key, **options)


def saves(folder):
    return sorted(place.name for place in folder.iterdir())


STEPS = 36


@pytest.fixture(scope='module')
def uninterrupted():
    """The losses and the last numbers of a run that is left alone."""
    trainer = run.make_trainer()
    losses = run.train(trainer, STEPS)
    return losses, run.numbers_of(trainer)


# Resuming.


def test_a_restored_run_is_the_uninterrupted_one_bit_for_bit(uninterrupted, tmp_path):
    losses, numbers = uninterrupted
    assert len({float(value) for value in losses}) == STEPS
    at = 5  # in the middle of an accumulation, and before a smaller batch
    first = run.make_trainer()
    run.train(first, at)
    first.save(tmp_path)

    second = run.make_trainer(key=5)  # all that is its own is to be replaced
    second.restore(tmp_path)
    assert second.steps == at
    np.testing.assert_array_equal(run.train(second, STEPS), losses[at:])
    assert_same(run.numbers_of(second), numbers)

    run.train(first, STEPS)
    assert_same(run.numbers_of(first), numbers)  # saving changes nothing
    compiled = program_count(first)
    first.restore(tmp_path)  # back, under way
    assert first.steps == at
    np.testing.assert_array_equal(run.train(first, STEPS), losses[at:])
    assert_same(run.numbers_of(first), numbers)
    assert program_count(first) == program_count(second) == compiled  # smaller ones filled up


def test_what_is_restored_can_be_looked_at_and_saved_before_the_first_step(tmp_path):
    first, second, third = (simple(nn.Dense(3), metrics=[metric.Accuracy()], average=0.5, key=k) for k in range(3))
    first.step(*run.batch_of(0))
    first.save(tmp_path / 'a')
    second.restore(tmp_path / 'a')
    assert second.net[0].weight.shape == (3, 4)
    assert_same(run.numbers_of(second), run.numbers_of(first))
    second.save(tmp_path / 'b')
    third.restore(tmp_path / 'b')
    assert_same(run.numbers_of(third), run.numbers_of(first))


def test_a_network_that_nobody_initialized_takes_shapes_and_values_from_the_checkpoint(tmp_path):
    first = simple()
    first.step(*run.batch_of(0))
    first.save(tmp_path)
    net = nn.Sequential(nn.Dense(5), nn.Dense(3))
    second = Trainer(net, CE, optax.adam(0.05))
    second.restore(tmp_path)
    x, y = run.batch_of(1)
    np.testing.assert_array_equal(net(x), first.net(x))
    assert float(second.step(x, y)) == float(first.step(x, y))


def test_tied_and_frozen_parameters(tmp_path):
    def make(key):
        shared = nn.Dense(4, flatten=False)
        trainer = simple(shared, nn.Dense(4, params=shared.params), nn.Dense(3), key=key)
        trainer.net[2].bias.grad_req = 'null'
        return trainer

    first, second = make(0), make(1)
    for step in range(2):
        first.step(*run.batch_of(step))
    first.save(tmp_path)
    second.restore(tmp_path)
    assert second.net[0].weight is second.net[1].weight
    assert 'optimizer.0.mu.2.bias' not in run.numbers_of(second)
    for trainer in (first, second):
        trainer.step(*run.batch_of(2))
    assert_same(run.numbers_of(second), run.numbers_of(first))


def test_values_set_after_the_last_step_are_the_ones_that_are_saved(tmp_path):
    first, second = simple(), simple(key=1)
    first.step(*run.batch_of(0))
    first.net[1].bias.set_data([1, 2, 3])
    first.save(tmp_path)
    second.restore(tmp_path)
    np.testing.assert_array_equal(second.net[1].bias.data(), [1, 2, 3])


def test_fit_state_is_saved_too(tmp_path):
    first, second = simple(), simple()
    first.step(*run.batch_of(0))
    first.fit_state = {**first.fit_state, 'epoch': 2, 'batch': 1, 'seconds': 0.1, 'loss': 0.7, 'samples': 8}
    first.save(tmp_path)
    second.restore(tmp_path)
    assert second.fit_state == first.fit_state
    assert second.fit_state['batch'] == 1


def test_the_learning_rate_is_the_saved_one(tmp_path):
    make = lambda: simple(optimizer='adam')  # noqa: E731
    first, second = make(), make()
    first.step(*run.batch_of(0))
    first.set_learning_rate(0.25)
    first.save(tmp_path)
    second.set_learning_rate(0.5)
    second.restore(tmp_path)
    assert second.learning_rate == 0.25


def test_keys_keep_their_implementation(tmp_path):
    def make(key):
        noisy = optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3, impl='unsafe_rbg')), optax.sgd(0.1))
        return simple(nn.Dropout(0.5), nn.Dense(3), optimizer=noisy, key=key)

    first, second = make(jax.random.key(7, impl='rbg')), make(0)
    first.step(*run.batch_of(0))
    first.save(tmp_path)
    second.restore(tmp_path)
    assert str(jax.random.key_impl(second.state.key)) == 'rbg'
    for trainer in (first, second):
        trainer.step(*run.batch_of(1))
    assert_same(run.numbers_of(second), run.numbers_of(first))


def test_leaves_of_every_kind(tmp_path):
    def odd(params):
        return {'empty': jnp.zeros((0, 3), 'int8'), 'half': jnp.full(3, 1.1, 'bfloat16'), 'a/b %': jnp.array([True])}

    def make(key):
        idle = optax.GradientTransformation(odd, lambda updates, state, params=None: (updates, state))
        return simple(nn.Dense(3), optimizer=optax.chain(idle, optax.sgd(0.1)), key=key)

    first, second = make(0), make(1)
    first.step(*run.batch_of(0))
    first.state = jax.tree.map(lambda leaf: leaf * 3 if leaf.dtype == jnp.bfloat16 else leaf, first.state)
    first.save(tmp_path)
    second.restore(tmp_path)
    numbers = run.numbers_of(second)
    assert numbers['optimizer.0.empty'].shape == (0, 3)
    assert float(numbers['optimizer.0.half'][0]) == pytest.approx(3.3, rel=0.01)
    assert_same(numbers, run.numbers_of(first))


def test_sharded_arrays_return_to_where_the_trainer_has_its_own(tmp_path):
    mesh = jax.make_mesh((8,), ('model',), axis_types=(jax.sharding.AxisType.Auto,))
    spread, whole = NamedSharding(mesh, PartitionSpec('model', None)), NamedSharding(mesh, PartitionSpec())

    def make(key, place):
        trainer = simple(nn.Dense(16), nn.Dense(3), key=key)
        trainer.net(run.batch_of(0)[0])
        trainer.net.params = jax.tree.map(place, trainer.net.params)
        return trainer

    def split(leaf):
        return jax.device_put(leaf, spread if leaf.shape == (16, 4) else whole)

    first = make(0, split)
    first.step(*run.batch_of(0))
    first.save(tmp_path)
    for place, sharding in ((split, spread), (lambda leaf: leaf, None)):
        second = make(1, place)
        second.restore(tmp_path)
        weight = second.net[0].weight.data()
        assert weight.sharding == sharding if sharding else len(weight.devices()) == 1
        assert_same(run.numbers_of(second), run.numbers_of(first))


def test_metrics_are_restored_as_far_as_the_trainer_has_them(tmp_path):
    def make(*metrics):
        return simple(nn.Dense(3), metrics=metrics)

    one, two, other = (
        make(metric.Accuracy()),
        make(metric.Accuracy(), metric.Accuracy(name='other')),
        make(metric.Accuracy(name='other')),
    )
    one.step(*run.batch_of(0))
    one.save(tmp_path)
    for trainer, seen in ((two, {'accuracy': 16, 'other': 8}), (other, {'other': 8})):
        trainer.restore(tmp_path)
        trainer.step(*run.batch_of(1))
        numbers = run.numbers_of(trainer)
        names = {name.split('.')[1] for name in numbers if name.startswith('metrics')}
        assert {name: numbers[f'metrics.{name}.seen'].sum() for name in names} == seen


# Killed.


class Killed(BaseException):
    """Stands for the end of the process."""


def crash_at(monkeypatch, number):
    """Ends the process, so to speak, at the n-th time from now on that a folder gets another name, or none."""
    count = 0

    def mortal(function):
        def call(*args, **kwargs):
            nonlocal count
            count += 1
            if count > number:
                raise Killed
            return function(*args, **kwargs)

        return call

    for name in ('rename', 'rmdir'):
        monkeypatch.setattr(os, name, mortal(getattr(os, name)))


def test_a_crash_at_any_stage_of_a_save_leaves_a_whole_checkpoint(monkeypatch, tmp_path):
    trainer, fresh, known = simple(), simple(), {}
    for steps in (1, 2):
        trainer.step(*run.batch_of(steps))
        known[steps] = run.numbers_of(trainer)
        if steps == 1:
            trainer.save(tmp_path / 'first')
    restored, done = [], False
    while not done:
        folder = tmp_path / str(len(restored))
        shutil.copytree(tmp_path / 'first', folder)
        with monkeypatch.context() as patch:
            crash_at(patch, len(restored))
            try:
                trainer.save(folder)
                done = True
            except Killed:
                pass
        fresh.restore(folder)
        assert_same(run.numbers_of(fresh), known[fresh.steps])
        restored.append(fresh.steps)
        trainer.save(folder)
        assert len(saves(folder)) == 1
    assert restored == sorted(restored)  # the old one up to some stage, then the new one
    assert restored.count(1) >= 3
    assert restored.count(2) >= 4


def start(folder, steps):
    cache = {
        'JAX_COMPILATION_CACHE_DIR': str(folder.with_name('cache')),  # each of these processes runs the same programs
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
        # With the options of the run that is left alone, here, to come to its bits.
        'XLA_FLAGS': ' '.join([os.environ['XLA_FLAGS'], *(f'--{option}={value}' for option, value in QUICK.items())]),
    }
    command = [sys.executable, '-W', 'error', run.__file__, str(folder), str(steps)]
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    return subprocess.Popen(command, env={**os.environ, **cache}, **pipes)


def kill_during_a_save(process, folder):
    """Kills it when it has an unfinished checkpoint, for sure: it is stopped first."""
    while process.poll() is None:
        if any('.' in name for name in saves(folder)):
            process.send_signal(signal.SIGSTOP)
            if any('.orbax' in name for name in saves(folder)):
                process.kill()
                process.wait()
                return
            process.send_signal(signal.SIGCONT)
    raise AssertionError(process.communicate()[1])


def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end(uninterrupted, tmp_path):
    folder = tmp_path / 'run'
    with start(folder, 10**6) as process:
        assert [process.stdout.readline() for _ in range(2)] == ['2\n', '4\n']  # by now all is compiled
        time.sleep(0.2 * random.random())
        process.kill()
    with start(folder, 10**6) as process:
        assert 4 < int(process.stdout.readline()) < STEPS - 4, 'a machine so fast needs more STEPS'
        kill_during_a_save(process, folder)
    with start(folder, STEPS) as process:
        output, problems = process.communicate()
    assert process.returncode == 0, problems
    assert int(output.split()[0]) > 6  # it did go on
    (name,) = saves(folder)  # nothing unfinished is left
    assert name.endswith(f'-step-{STEPS}')
    last = run.make_trainer(key=1)
    last.restore(folder)
    assert_same(run.numbers_of(last), uninterrupted[1])


# The folder.


def test_the_newest_save_stays_and_keep_says_how_many(tmp_path):
    trainer = simple()
    for steps in range(1, 5):
        trainer.step(*run.batch_of(steps))
        trainer.save(tmp_path, keep=None if steps < 3 else 2)
    assert saves(tmp_path) == ['000003-step-3', '000004-step-4']
    trainer.save(tmp_path)  # once more after the same step
    assert saves(tmp_path) == ['000005-step-4']
    assert trainer.steps == 4


def test_an_earlier_step_by_its_number_and_the_newest_is_what_was_saved_last(tmp_path):
    trainer, known = simple(), {}
    for steps in range(1, 4):
        trainer.step(*run.batch_of(steps))
        known[steps] = run.numbers_of(trainer)
        trainer.save(tmp_path, keep=None)
    trainer.restore(tmp_path, step=1)
    assert_same(run.numbers_of(trainer), known[1])
    trainer.step(*run.batch_of(2))
    trainer.save(tmp_path, keep=None)
    other = simple()
    other.restore(tmp_path)
    assert_same(run.numbers_of(other), known[2])
    with pytest.raises(errors.CheckpointError, match=r'no checkpoint of step 7\n.*steps \[1, 2, 3, 2\]'):
        trainer.restore(tmp_path, step=7)


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    (tmp_path / 'logs.removed').mkdir()
    (tmp_path / '000001-step-9.orbax-checkpoint-tmp').mkdir()
    trainer = simple()
    trainer.step(*run.batch_of(0))
    with pytest.raises(errors.CheckpointError, match=r"(?s)holds no checkpoint\n.*got: \['000001.*'logs.*'notes.txt'"):
        trainer.restore(tmp_path)
    trainer.save(tmp_path)
    assert saves(tmp_path) == ['000001-step-1', 'logs.removed', 'notes.txt']


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(errors.CheckpointError, match=r"gone' holds no checkpoint\n.*\n.*no such folder"):
        simple().restore(tmp_path / 'gone')
    with pytest.raises(errors.CheckpointError, match='an empty folder'):
        simple().restore(tmp_path)


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = simple(), simple(key=1)
    first.step(*run.batch_of(0))
    first.save('here/and/there')
    second.restore('here/and/there')
    assert_same(run.numbers_of(second), run.numbers_of(first))


# What does not fit.


def saved(folder, trainer):
    trainer.step(*run.batch_of(0))
    trainer.save(folder)
    return trainer


def refused(folder, trainer):
    """The differences that the error names; nothing is changed."""
    before = run.numbers_of(trainer) if trainer.state else None
    cells = {name: (cell.shape, cell.deferred) for name, cell in trainer.net.collect_params().items()}
    with pytest.raises(errors.CheckpointError) as caught:
        trainer.restore(folder)
    assert trainer.state is None if before is None else run.numbers_of(trainer).keys() == before.keys()
    if before is not None:
        assert_same(run.numbers_of(trainer), before)
    assert {name: (cell.shape, cell.deferred) for name, cell in trainer.net.collect_params().items()} == cells
    first, *differences, last = str(caught.value).split('\n  ')
    assert 'is not one of this network and this optimizer' in first
    assert last.startswith('try: ')
    return sorted(differences)


def momentum(*layers):
    return simple(*layers, optimizer=optax.sgd(0.1, momentum=0.9))


def test_another_network_every_difference_is_named(tmp_path):
    saved(tmp_path, momentum(nn.Dense(5), nn.Dense(3, use_bias=False)))
    other = momentum(nn.Dense(6, use_bias=False), nn.Dense(3, dtype='bfloat16'))
    other.step(*run.batch_of(0))
    both = ('optimizer.0.trace', 'params')
    assert refused(tmp_path, other) == [
        *(f'dtype of {kind}.1.weight: expected bfloat16, got float32' for kind in both),
        *(f'extra: {kind}.0.bias (5,) float32' for kind in both),
        *(f'missing: {kind}.1.bias (3,) bfloat16' for kind in both),
        *(
            f'shape of {kind}.{name}'
            for kind in both
            for name in (
                '0.weight: expected (6, 4), got (5, 4)',
                '1.weight: expected (3, 6), got (3, 5)',
            )
        ),
    ]


def test_a_network_whose_shapes_are_unknown_is_compared_as_far_as_they_are_known(tmp_path):
    saved(tmp_path, momentum(nn.Dense(5), nn.Dense(3)))
    assert refused(tmp_path, momentum(nn.Dense(6), nn.Dense(3), nn.Dense(3))) == [
        'missing: optimizer.0.trace.2.bias (3,) float32',
        'missing: optimizer.0.trace.2.weight unknown float32',
        'missing: params.2.bias (3,) float32',
        'missing: params.2.weight (3, None) float32',
        'shape of optimizer.0.trace.0.bias: expected (6,), got (5,)',
        'shape of params.0.bias: expected (6,), got (5,)',
        'shape of params.0.weight: expected (6, None), got (5, 4)',
    ]


def test_another_optimizer(tmp_path):
    saved(tmp_path, simple(nn.Dense(3)))
    assert refused(tmp_path, simple(nn.Dense(3), optimizer=optax.sgd(0.1, momentum=0.9))) == [
        'extra: optimizer.0.count () int32',
        *(
            f'extra: optimizer.0.{moment}.0.{name} float32'
            for moment in ('mu', 'nu')
            for name in ('bias (3,)', 'weight (3, 4)')
        ),
        'missing: optimizer.0.trace.0.bias (3,) float32',
        'missing: optimizer.0.trace.0.weight (3, 4) float32',
    ]


def test_other_options(tmp_path):
    saved(tmp_path, simple(nn.Dense(3, use_bias=False), optimizer=optax.sgd(0.1), average=0.5))
    other = simple(nn.Dense(3, use_bias=False), optimizer=optax.sgd(0.1), precision='float16')
    assert refused(tmp_path, other) == [
        'extra: average.0.weight (3, 4) float32',
        'missing: scale.good () int32',
        'missing: scale.value () float32',
    ]


def test_nothing_to_save_before_the_first_step(tmp_path):
    with pytest.raises(errors.CheckpointError, match='nothing to save before the first step'):
        simple().save(tmp_path)
    assert saves(tmp_path) == []


def test_arguments(tmp_path):
    trainer = saved(tmp_path, simple())
    with pytest.raises(errors.ArgumentError, match='how many checkpoints stay'):
        trainer.save(tmp_path, keep=0)
    with pytest.raises(errors.ArgumentError, match=r'(?s)fit_state cannot be written.*\{1, 2\}'):
        checkpoint.save(tmp_path, trainer.state, 1, {'fit_state': {'epoch': {1, 2}}}, 1)
    assert saves(tmp_path) == ['000001-step-1']


def test_without_orbax(tmp_path, monkeypatch):
    trainer = saved(tmp_path, simple())
    monkeypatch.setitem(sys.modules, 'orbax.checkpoint', None)
    for call in (trainer.save, trainer.restore):
        with pytest.raises(errors.MissingExtraError, match=r"pip install 'gluonjax\[train\]'"):
            call(tmp_path)


def test_start_up_knows_nothing_of_orbax():
    code = 'import sys; from gluonjax import Trainer; print([m for m in sys.modules if m.startswith("orbax")])'
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '[]'


def test_names_of_leaves():
    state = optax.adam(0.1).init({'0': {'weight': jnp.zeros(2)}})
    assert list(checkpoint.leaves_by_name(state)) == ['0.count', '0.mu.0.weight', '0.nu.0.weight']
