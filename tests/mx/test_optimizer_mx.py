"""mx.optimizer: steps as MXNet takes them; counts, factors, states, and classes of one's own."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import optimizer as native
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx import autograd, gluon, lr_scheduler, nd, optimizer


def quadratic(update, weight, steps=4):
    """The weights after steps of gradient descent on the half square."""
    seen = []
    for _ in range(steps):
        update(0, weight.copy(), weight)
        seen.append(weight.asnumpy())
    return np.stack(seen)


OPTIONS = [
    ('sgd', {'momentum': 0.9, 'wd': 0.1}),
    ('nag', {'momentum': 0.9}),
    ('adam', {'clip_gradient': 0.5}),
    ('rmsprop', {'centered': True}),
    ('adagrad', {}),
    ('adadelta', {}),
    ('ftrl', {}),
    ('signum', {}),
    ('lamb', {}),
]


@pytest.mark.parametrize(('name', 'options'), OPTIONS)
def test_steps_are_those_of_the_library(name, options):
    """Which are compared with MXNet's own in tests/test_optimizer.py."""
    found = quadratic(optimizer.get_updater(optimizer.create(name, **options)), nd.array([1, -2]))
    pure = native.create(name, **options)
    weight = {'0': jnp.array([1.0, -2.0])}
    state = pure.init(weight)
    for row in found:
        updates, state = pure.update(weight, state, weight)
        weight = {'0': weight['0'] + updates['0']}
        np.testing.assert_allclose(row, weight['0'], rtol=1e-6, atol=1e-7)


def test_momentum_by_hand():
    sgd = optimizer.SGD(learning_rate=0.5, momentum=0.5, rescale_grad=2)
    weight = nd.array([1])
    state = sgd.create_state(0, weight)
    for expected_state, expected in [(-1, 0), (-1.5, -1.5)]:
        sgd.update(0, weight, nd.array([1]), state)
        assert (state.asscalar(), weight.asscalar()) == (expected_state, expected)
    assert sgd.num_update == 2


def test_factors_and_counts():
    sgd = optimizer.SGD(param_idx2name={0: 'a_weight', 1: 'a_bias'}, learning_rate=1.0, wd=0.1, begin_num_update=5)
    sgd.set_lr_mult({'a_weight': 0.5, 1: 2.0})
    assert [sgd._get_lr(i) for i in (0, 1, 2)] == [0.5, 2.0, 1.0]
    assert [sgd._get_wd(i) for i in (0, 1, 2)] == [0.1, 0.0, 0.1]  # biases do not decay
    weights = [nd.ones(1), nd.ones(1)]
    optimizer.get_updater(sgd)([0, 1], [nd.ones(1), nd.ones(1)], weights)
    np.testing.assert_allclose([w.asscalar() for w in weights], [1 - 0.5 * 1.1, -1], rtol=1e-6)
    assert sgd.num_update == 6


def test_schedulers_of_any_kind_decide_the_rate():
    falling = optimizer.SGD(learning_rate=0.5, lr_scheduler=lr_scheduler.FactorScheduler(1, 0.5))
    np.testing.assert_allclose(quadratic(optimizer.get_updater(falling), nd.ones(1), 2)[:, 0], [0.5, 0.375])
    with pytest.raises(UserWarning, match='a scheduler decides'):
        falling.set_learning_rate(1)
    by_hand = optimizer.SGD(lr_scheduler=lambda number: 0.25 * number)
    np.testing.assert_allclose(quadratic(optimizer.get_updater(by_hand), nd.ones(1), 2)[:, 0], [0.75, 0.375])


def test_half_precision_keeps_a_copy():
    sgd = optimizer.SGD(learning_rate=1e-4, multi_precision=True)
    weight, update = nd.ones(1, dtype='float16'), optimizer.get_updater(sgd)
    for _ in range(10):  # one step is less than what float16 can tell
        update(0, nd.ones(1, dtype='float16'), weight)
    _, copy = update.states[0]
    np.testing.assert_allclose(copy.asnumpy(), [0.999], rtol=1e-6)
    assert weight.asnumpy() == np.float16(0.999)


def test_states_are_those_that_programs_of_mxnet_take_apart():
    weight = nd.ones((2, 3))
    counts = {'sgd': 0, 'signum': 1, 'ftrl': 2, 'nadam': 2, 'adam': 2, 'lbsgd': 0, 'lars': 0}
    for name, count in counts.items():
        state = optimizer.create(name).create_state(0, weight)
        arrays = [] if state is None else list(state) if isinstance(state, tuple) else [state]
        assert [array.shape for array in arrays] == [weight.shape] * count, name
    centered = optimizer.RMSProp(centered=True, learning_rate=0.1, gamma1=0.5)
    state = centered.create_state(0, weight)
    centered.update(0, weight, 2 * nd.ones((2, 3)), state)
    np.testing.assert_allclose([x.asnumpy()[0, 0] for x in state[:2]], [2, 1])  # of squares, and of gradients
    half = optimizer.NAG(momentum=0.9, multi_precision=True).create_state_multi_precision(
        0, nd.ones(6, dtype='float16')
    )
    assert [x.asnumpy().sum() for x in half] == [0, 6]  # the copy stands last, as in MXNet


def test_one_schedule_of_nadam_goes_over_all_weights():
    """By hand: MXNet multiplies the momentum of each update of each weight into one number."""
    nadam, weights = optimizer.Nadam(learning_rate=0.1), [nd.ones(1), nd.ones(1)]
    update = optimizer.get_updater(nadam)
    update([0, 1], [nd.ones(1), nd.ones(1)], weights)
    now, after = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
    for schedule, weight in zip((now, now * now), weights, strict=True):
        step = (1 - now) / (1 - schedule) + after * 0.1 / (1 - schedule * after)
        np.testing.assert_allclose(weight.asscalar(), 1 - 0.1 * step, rtol=1e-5)
    assert nadam.m_schedule == pytest.approx(now**2)


def test_lars_of_a_trainer_knows_no_names():
    named = optimizer.LARS(param_idx2name={0: 'a_bias'}, learning_rate=1.0, eta=0.5)
    nameless = optimizer.LARS(learning_rate=1.0, eta=0.5)
    for lars, expected in ((named, -3.0), (nameless, 0.5)):  # the plain rate; and half of what the norms say
        weight = nd.ones(1)
        lars.update(0, weight, 4 * nd.ones(1), None)
        assert weight.asscalar() == pytest.approx(expected)


def test_lbsgd_adds_gradients_up():
    update = optimizer.get_updater(optimizer.LBSGD(learning_rate=0.5, batch_scale=2, warmup_epochs=0))
    weight = nd.array([4.0])
    seen = []
    for gradient in (1, 2, 3, 1):
        update(0, nd.array([float(gradient)]), weight)
        seen.append(float(weight.asscalar()))
    assert seen == [4, 4 - 0.5 * 2 * 1.5, 2.5, 2.5 - 0.5 * 2 * 2]
    trusting = optimizer.LBSGD(learning_rate=0.5, warmup_strategy='lars')
    trusting.update(0, weight, nd.array([0.25]), None)
    assert weight.asscalar() == pytest.approx(0.5 - 0.5 * (0.5 / 0.25) * 0.25)
    growing = optimizer.LBSGD(learning_rate=1.0, batch_scale=3, warmup_epochs=1, updates_per_epoch=6)
    weight, update = nd.array([0.0]), optimizer.get_updater(growing)
    for _ in range(3):
        update(0, nd.array([1.0]), weight)
    assert weight.asscalar() == pytest.approx(-(1 + 2 * 3 / 6))


def test_states_are_pickled():
    first = optimizer.get_updater(optimizer.Adam(learning_rate=0.1))
    weight = nd.array([1, 2])
    quadratic(first, weight)
    second = optimizer.get_updater(optimizer.Adam())
    second.set_states(first.get_states(dump_optimizer=True))
    again = weight.copy()
    np.testing.assert_array_equal(quadratic(first, weight), quadratic(second, again))
    assert second.optimizer.num_update == 8
    assert pickle.loads(pickle.dumps(optimizer.SGD(momentum=0.5))).momentum == 0.5


class Halves(optimizer.Optimizer):
    def create_state(self, index, weight):
        return nd.zeros(1)

    def update(self, index, weight, grad, state):
        self._update_count(index)
        state += 1
        weight[:] = weight - self._get_lr(index) * (grad * self.rescale_grad) / state


def trained(kind, **options):
    parameters = [gluon.Parameter(name, shape=(1,)) for name in ('a', 'b')]
    for parameter in parameters:
        parameter.initialize('ones')
    parameters[1].lr_mult = 0.5
    trainer = gluon.Trainer(parameters, kind, options)

    def step():
        for parameter in parameters:
            parameter.grad()[:] = 2
        trainer.step(2)
        return [parameter.data().asscalar() for parameter in parameters]

    return trainer, step


def test_a_trainer_uses_optimizers_of_ones_own(tmp_path):
    optimizer.register(Halves)
    trainer, step = trained('halves', learning_rate=0.5)
    assert step() == [0.5, 0.75]
    trainer.save_states(tmp_path / 'states')
    assert step() == [0.25, 0.625]
    trainer.load_states(tmp_path / 'states')  # the second update once more
    assert step() == [0.0, 0.5]
    other, _ = trained('sgd')
    with pytest.raises(FileError, match='state of another optimizer'):
        other.load_states(tmp_path / 'states')


def test_a_trainer_has_the_optimizer():
    trainer, step = trained(optimizer.SGD(learning_rate=1.0))
    assert step() == [0.0, 0.5]
    trainer.set_learning_rate(0.5)
    assert (trainer.learning_rate, trainer.optimizer.lr) == (0.5, 0.5)
    assert step() == [-0.5, 0.25]
    assert trained(native.SGD(learning_rate=0.25, momentum=0.9))[0].optimizer.momentum == 0.9


def test_wrong_ones_are_refused():
    with pytest.raises(ArgumentError, match="no optimizer is named 'sdg'"):
        optimizer.create('sdg')
    with pytest.raises(ArgumentError, match='has no option'):
        optimizer.create('sgd', momentun=0.9)
    with pytest.raises(ArgumentError, match='trees of parameters'):
        optimizer.create(native.SGD(lr_mult={'.*': 2}))


def test_stale_gradients_are_not_used_again():
    parameters = [gluon.Parameter(name, shape=(1,)) for name in ('used', 'other')]
    for parameter in parameters:
        parameter.initialize('ones')
    trainer = gluon.Trainer(parameters, 'sgd', {'learning_rate': 1.0})

    def backward():
        with autograd.record():
            loss = 2 * parameters[0].data()
        loss.backward()

    backward()
    with pytest.raises(UserWarning, match='the gradient of other since'):
        trainer.step(1)
    trainer.step(1, ignore_stale_grad=True)
    assert [p.data().asscalar() for p in parameters] == [-1, 1]
    trainer.step(1, ignore_stale_grad=True)  # nothing is new
    assert [p.data().asscalar() for p in parameters] == [-1, 1]
    backward()
    trainer.step(1, ignore_stale_grad=True)
    assert [p.data().asscalar() for p in parameters] == [-3, 1]


def test_an_optimizer_of_the_library_is_mxnets():
    made = optimizer.create(native.NAG(0.9, learning_rate=0.25, wd=0.5))
    assert type(made) is optimizer.NAG
    assert (made.momentum, made.lr, made.wd) == (0.9, 0.25, 0.5)


def test_schedulers_go_on_from_where_they_were():
    """Numbers of MXNet 1.9.1: a program that prints all rates of a schedule trains with what is left of it."""
    steps = lr_scheduler.MultiFactorScheduler(step=[5, 20], factor=0.5, base_lr=0.5)
    assert [steps(number) for number in (5, 6, 21, 1)] == [0.5, 0.25, 0.125, 0.125]
    assert (steps.base_lr, steps.cur_step_ind, steps.count) == (0.125, 2, 20)
    weight = gluon.Parameter('weight', shape=(1,))
    weight.initialize('ones')
    assert gluon.Trainer([weight], 'sgd', {'lr_scheduler': steps}).learning_rate == 0.125
    poly = lr_scheduler.PolyScheduler(10, 1.0, 2, 0.1, warmup_steps=2, warmup_begin_lr=0.2)
    assert [poly(number) for number in (0, 3, 12)] == pytest.approx([0.2, 0.7890625, 0.7890625])  # not 0.1
    assert (poly(10), poly.base_lr) == (0.1, 0.1)
    optimizer.SGD(learning_rate=0.3, lr_scheduler=poly)
    assert (poly(11), poly(3)) == (0.3, pytest.approx(0.7890625))


def four(dtype='float32'):
    return [nd.array([value] * 2, dtype=dtype) for value in (1.0, 1.0, 0.5, 0.25)]


def test_steps_of_operators_write_their_states():
    weight, grad, mom, _ = four()
    nd.sgd_mom_update(weight, grad, mom, lr=0.1, momentum=0.8, out=weight)
    np.testing.assert_allclose([weight.asnumpy(), mom.asnumpy()], [[1.3, 1.3], [0.3, 0.3]], rtol=1e-6)
    weight, grad, mean, var = four()
    result = nd.adam_update(weight, grad, mean, var, lr=0.1, beta1=0.5, beta2=0.5)
    np.testing.assert_allclose([mean.asnumpy(), var.asnumpy()], [[0.75] * 2, [0.625] * 2], rtol=1e-6)
    np.testing.assert_allclose(result.asnumpy(), [1 - 0.1 * 0.75 / 0.625**0.5] * 2, rtol=1e-6)
    assert weight.asnumpy().tolist() == [1, 1]


def test_steps_of_many_weights_write_all_states():
    one, two = four(), four()
    weights, grads, means, variances = map(list, zip(one, two, strict=True))
    given = {'beta1': 0.5, 'beta2': 0.5, 'epsilon': 0.0}
    nd.contrib.multi_adamw_update(
        weights, grads, means, variances, 2.0, [0.1, 0.2], [0.0, 0.5], [1.0, 0.5], out=weights, **given
    )
    np.testing.assert_allclose([x.asnumpy()[0] for x in means + variances], [1.25] * 2 + [2.125] * 2, rtol=1e-6)
    step = 1.25 / 2.125**0.5
    expected = [1 - 0.1 * step, 1 - 0.5 * (0.2 * step + 0.5)]
    np.testing.assert_allclose([x.asnumpy()[0] for x in weights], expected, rtol=1e-6)
    nd.multi_sgd_mom_update(*one[:3], *two[:3], lrs=[1, 1], wds=[0, 0], num_weights=2, out=weights)
    np.testing.assert_allclose([x.asnumpy()[0] for x in means], [-1, -1], rtol=1e-6)
    nd.reset_arrays(*means, num_arrays=2)
    assert means[1].asnumpy().tolist() == [0, 0]


def test_lamb_of_many_weights_in_half_precision_is_that_of_one_in_float32():
    halves, whole = four('float16'), four()
    masters = [halves[0].astype('float32')]
    lists = [[x] for x in (*halves[:2], halves[2].astype('float32'), halves[3].astype('float32'))]
    nd.contrib.multi_mp_lamb_update(*lists, masters, [1], [0.1], [0.01], out=lists[0])
    nd.contrib.multi_lamb_update(*[[x] for x in whole], [1], [0.1], [0.01], out=[whole[0]])
    np.testing.assert_allclose(masters[0].asnumpy(), whole[0].asnumpy(), rtol=1e-5)
    np.testing.assert_allclose(lists[0][0].asnumpy(), whole[0].asnumpy(), rtol=1e-3)
    np.testing.assert_allclose(lists[2][0].asnumpy(), whole[2].asnumpy(), rtol=1e-6)
