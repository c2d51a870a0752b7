"""Schedulers: MXNet's rates, and that they are pure functions."""

import copy
import inspect
import json
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.optimizer_cases import SCHEDULERS, UPDATES

from gluonjax import errors, lr_scheduler

GOLDEN = pathlib.Path(__file__).parent / 'golden'
FACTS = json.loads((GOLDEN / 'optimizers.json').read_text())
EVERY = pytest.mark.parametrize('name', SCHEDULERS)


def made(name):
    return getattr(lr_scheduler, SCHEDULERS[name].cls)(**SCHEDULERS[name].kwargs)


def rates(name):
    with np.load(GOLDEN / 'optimizers.npz') as file:
        return file[f'rates/{name}']


@EVERY
def test_rates_of_mxnet(name):
    scheduler, theirs = made(name), rates(name)
    assert len(theirs) == len(UPDATES)
    ours = [scheduler(t) for t in UPDATES]
    assert {type(rate) for rate in ours} == {float}
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(scheduler(np.array(UPDATES)), theirs, rtol=1e-12, atol=1e-18)


@EVERY
def test_traced_rates_are_the_same(name):
    numbers = jnp.array(UPDATES)
    for traced in (jax.jit(jax.vmap(made(name)))(numbers), jax.lax.map(made(name), numbers), made(name)(numbers)):
        assert traced.dtype == jnp.float32
        np.testing.assert_allclose(traced, rates(name), rtol=3e-6, atol=1e-8)


@EVERY
def test_the_order_of_questions_does_not_matter(name):
    scheduler = made(name)
    forward = [scheduler(t) for t in UPDATES]
    assert [scheduler(t) for t in reversed(UPDATES)] == forward[::-1]


def test_far_away():
    factor = lr_scheduler.FactorScheduler(1, 0.9, base_lr=1.0, stop_factor_lr=0.01)
    assert factor(10**8) == 0.01
    np.testing.assert_allclose(jax.jit(factor)(10**8), 0.01, rtol=1e-6)
    assert lr_scheduler.PolyScheduler(10, final_lr=0.002)(10**8) == 0.002
    assert lr_scheduler.CosineScheduler(10, final_lr=0.002)(10**8) == 0.002


@pytest.mark.parametrize('cls', FACTS['schedulers'])
def test_arguments_of_mxnet(cls):
    arguments = list(inspect.signature(getattr(lr_scheduler, cls).__init__).parameters.values())[1:]
    ours = [[a.name] if a.default is a.empty else [a.name, a.default] for a in arguments]
    assert ours == FACTS['schedulers'][cls]
    ours = {'OptaxSchedule'}  # what MXNet does not have
    assert set(lr_scheduler.__all__) - ours == FACTS['schedulers'].keys()


def test_with_base_lr():
    """What an optimizer's learning_rate does; MXNet's numbers are in the trajectories of test_optimizer.py."""
    factor = lr_scheduler.FactorScheduler(2, 0.5, base_lr=1.0, warmup_steps=2)
    changed = factor.with_base_lr(4)
    assert [changed(t) for t in (1, 2, 3)] == [0.5, 4, 2]
    assert [factor(t) for t in (1, 2, 3)] == [0.5, 1, 0.5]
    cosine = lr_scheduler.CosineScheduler(10)
    assert cosine.with_base_lr(4) is cosine


def test_frozen_picklable_copyable_and_shown():
    scheduler = lr_scheduler.MultiFactorScheduler([3, 5], 0.1, warmup_steps=2)
    assert repr(scheduler) == 'MultiFactorScheduler((3, 5), factor=0.1, warmup_steps=2)'
    with pytest.raises(errors.FrozenError, match="'base_lr' cannot be set"):
        scheduler.base_lr = 2.0
    for other in (pickle.loads(pickle.dumps(scheduler)), copy.deepcopy(scheduler)):
        assert other(4) == scheduler(4)


@pytest.mark.parametrize(
    ('cls', 'options'),
    [
        ('LRScheduler', {'base_lr': '1'}),
        ('LRScheduler', {'warmup_begin_lr': 1}),
        ('LRScheduler', {'warmup_steps': -1}),
        ('LRScheduler', {'warmup_steps': 1.5}),
        ('LRScheduler', {'warmup_mode': 'steep'}),
        ('FactorScheduler', {'step': 0}),
        ('FactorScheduler', {'step': 1, 'factor': 1.1}),
        ('FactorScheduler', {'step': 1, 'factor': -0.1}),
        ('MultiFactorScheduler', {'step': []}),
        ('MultiFactorScheduler', {'step': 3}),
        ('MultiFactorScheduler', {'step': [3, 3]}),
        ('MultiFactorScheduler', {'step': [0, 3]}),
        ('MultiFactorScheduler', {'step': [1], 'factor': 2}),
        ('PolyScheduler', {'max_update': 0}),
        ('PolyScheduler', {'max_update': 5, 'warmup_steps': 5}),
        ('PolyScheduler', {'max_update': 5, 'pwr': -1}),
        ('CosineScheduler', {'max_update': 5, 'final_lr': None}),
    ],
)
def test_wrong_options(cls, options):
    with pytest.raises(errors.ArgumentError):
        getattr(lr_scheduler, cls)(**options)


def test_a_scheduler_that_says_nothing():
    with pytest.raises(errors.ArgumentError, match='override after_warmup'):
        lr_scheduler.LRScheduler()(1)


def test_strict_promotion():
    schedulers = [
        lr_scheduler.FactorScheduler(2, 0.5, warmup_steps=3),
        lr_scheduler.MultiFactorScheduler([2, 5], 0.5, warmup_steps=3),
        lr_scheduler.PolyScheduler(9, warmup_steps=3),
        lr_scheduler.CosineScheduler(9, warmup_steps=3),
    ]
    for scheduler in schedulers:
        expected = jax.jit(scheduler)(jnp.int32(6))
        with jax.numpy_dtype_promotion('strict'):
            assert jax.jit(scheduler)(jnp.int32(6)) == expected
