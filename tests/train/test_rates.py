"""Learning rates in a Trainer: schedules of optax and of MXNet, and factors for parameters by their names."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gluonjax import Trainer, callback, errors, lr_scheduler, make_step, nn
from gluonjax.loss import L2Loss

X, Y = jnp.ones((2, 2)), jnp.zeros((2, 2))


def network():
    """Two layers of one weight each, of which the second reads that of the first."""
    first = nn.Dense(2, in_units=2, use_bias=False, weight_initializer='ones')
    net = nn.Sequential(first, nn.Dense(2, in_units=2, use_bias=False, params=first.params))
    net.add(nn.Dense(2, in_units=2, weight_initializer='ones'))
    net.initialize(key=0)
    return net


def moved(**options):
    """How far each parameter went in a step, as a share of how far it goes without options."""
    ways = []
    for chosen in ({}, options):
        net = network()
        before = {name: np.asarray(p) for name, p in net.collect_params().items()}
        for name, factor in chosen.get('of_parameters', {}).items():
            net.collect_params()[name].lr_mult = factor
        rest = {name: value for name, value in chosen.items() if name != 'of_parameters'}
        Trainer(net, L2Loss(), rest.pop('optimizer', 'sgd'), key=0, **rest).step(X, Y)
        ways.append({name: np.asarray(p) - before[name] for name, p in net.collect_params().items()})
    plain, way = ways
    return {name: float(np.mean(way[name] / plain[name]).round(4)) for name in plain}


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'lr_mult': {'1.weight': 3.0}}, [3, 1, 1]),  # another name of 0.weight
        ({'lr_mult': {'.*bias': 0.0, '.*': 2.0}}, [2, 2, 0]),
        ({'lr_mult': {'1': 3.0, '2': 5.0}, 'of_parameters': {'1.weight': 0.5}}, [0.5, 5, 5]),
        ({'optimizer_params': {'lr_mult': {'1.weight': 3.0}}}, [3, 1, 1]),
        ({'optimizer_params': {'lr_mult': {'1.weight': 3.0, '2': 4.0}}, 'lr_mult': {'0': 2.0}}, [2, 4, 4]),
        ({'optimizer': optax.sgd(0.01), 'lr_mult': {'1.weight': 3.0}, 'of_parameters': {'2.bias': 0.5}}, [3, 1, 0.5]),
        ({'lr_mult': {'2': 3.0}, 'train': '1.weight|2.bias'}, [1, 0, 3]),
    ],
)
def test_factors_by_any_name(options, expected):
    assert list(moved(**options).values()) == expected


def test_factors_in_the_pure_step():
    net = network()
    step = make_step(net, L2Loss(), lr_mult={'1.weight': 0.0, '2.bias': 0.0})
    state, _ = step(step.init(0, (X, Y), params=net.params), (X, Y))
    assert jnp.array_equal(state.params['0']['weight'], net.params['0']['weight'])
    assert not jnp.array_equal(state.params['2']['weight'], net.params['2']['weight'])


@pytest.mark.parametrize('options', [{'lr_mult': {'3': 1.0}}, {'wd_mult': {'0.bias': 0.0}}])
def test_patterns_that_match_nothing_are_refused(options):
    with pytest.raises(errors.PatternError, match=r"no parameter matches '(3|0.bias)'(?s:.*)'1.weight'"):
        Trainer(network(), L2Loss(), **options)
    with pytest.raises(errors.ArgumentError, match='lr_mult'):
        Trainer(network(), L2Loss(), lr_mult={'.*': 'fast'})


@pytest.mark.parametrize(
    ('options', 'before', 'rates'),
    [
        ({'learning_rate': optax.exponential_decay(1.0, 1, 0.5)}, 1.0, [1.0, 0.5, 0.25]),
        ({'lr_scheduler': lr_scheduler.FactorScheduler(1, 0.5, base_lr=1.0)}, 1.0, [1.0, 0.5, 0.25]),
        ({'lr_scheduler': lambda number: 1.0 / (1 + number)}, 1.0, [1 / 2, 1 / 3, 1 / 4]),
    ],
    ids=['optax', 'mxnet', 'function'],
)
def test_the_rate_of_a_schedule_is_that_of_the_last_step(options, before, rates):
    net = nn.Sequential(nn.Dense(1, in_units=1, use_bias=False))
    net.initialize('zeros')
    trainer = Trainer(net, lambda output, label: output[:, 0], 'sgd', options, key=0)  # a gradient of 1
    assert trainer.learning_rate == before
    for step, rate in enumerate(rates):
        trainer.step(jnp.ones((1, 1)), jnp.zeros(1))
        np.testing.assert_allclose(trainer.learning_rate, rate, rtol=1e-6)
        np.testing.assert_allclose(-net[0].weight.data()[0, 0], sum(rates[: step + 1]), rtol=1e-6)


def test_the_rate_that_was_set_is_that_of_the_next_step():
    net = network()
    trainer = Trainer(net, L2Loss(), 'sgd', {'learning_rate': 0.5}, key=0)
    trainer.step(X, Y)
    trainer.set_learning_rate(0.0)
    before = np.asarray(net[2].weight)
    assert trainer.learning_rate == 0
    trainer.step(X, Y)
    assert np.array_equal(net[2].weight, before)


def test_a_callback_takes_a_schedule_of_epochs():
    schedule = callback.LearningRateSchedule(optax.exponential_decay(0.1, 1, 0.5))
    history = Trainer(network(), L2Loss(), key=0).fit([(X, Y)], epochs=3, callbacks=schedule, progress=False)
    np.testing.assert_allclose(history['learning_rate'], [0.1, 0.05, 0.025], rtol=1e-6)
