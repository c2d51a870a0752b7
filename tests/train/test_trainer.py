"""Trainer: the pure step on borrowed values, whatever is done to the network between steps."""

import copy
import pickle
import threading

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import program_count

import gluonjax
from gluonjax import Trainer, errors, init, loss, make_step, metric, nn
from gluonjax.train.compiled import CompiledStep
from gluonjax.train.layout import Layout
from gluonjax.tree import flatten

CE = loss.SoftmaxCELoss()


def batch_of(rows=8, inputs=4, classes=3, seed=0):
    random = np.random.RandomState(seed)
    return random.standard_normal((rows, inputs)).astype('float32'), random.randint(0, classes, rows)


BATCH = batch_of()


def mlp(*between, key=0):
    net = nn.Sequential(nn.Dense(5, activation='tanh'), *between, nn.Dense(3))
    net.initialize(init.Xavier(), key=key)
    return net


def trained(steps, net=None, optimizer=None, **options):
    trainer = Trainer(net or mlp(), CE, optimizer or optax.adam(0.05), key=1, **options)
    for _ in range(steps):
        trainer.step(*BATCH)
    return trainer


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_the_first_batch_completes_the_network_and_every_step_is_the_pure_one():
    net = mlp(nn.BatchNorm(), nn.Dropout(0.3))
    trainer = Trainer(net, CE, optax.adam(0.05), key=1)
    values = [trainer.step(*batch_of(seed=seed)) for seed in range(3)]
    twin = mlp(nn.BatchNorm(), nn.Dropout(0.3))
    twin(BATCH[0])
    step = make_step(twin, CE, optax.adam(0.05))
    state, compiled = step.init(1, BATCH, params=twin.params), jax.jit(step)
    for seed, value in enumerate(values):
        state, metrics = compiled(state, batch_of(seed=seed))
        assert isinstance(value, jax.Array)
        assert value.shape == ()
        np.testing.assert_allclose(value, metrics['loss'], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), net.params, state.params)
    assert program_count(trainer) == 1


def test_a_step_after_one_that_hands_back_its_output_keeps_none():
    trainer = trained(1)
    batch = tuple(map(jnp.asarray, BATCH))
    for _ in range(2):
        trainer.step_with_output(*batch)
    trainer.step(*batch)
    assert (trainer.steps, trainer._outcome.output.current) == (4, None)


def test_looking_between_steps_changes_nothing():
    looked, plain = mlp(nn.BatchNorm()), trained(5, mlp(nn.BatchNorm())).net
    trainer, seen = Trainer(looked, CE, optax.adam(0.05), key=1), []
    for _ in range(5):
        trainer.step(*BATCH)
        seen.append((looked.params, looked[0].weight.data(), looked(BATCH[0]), trainer.state))
    assert_same(looked.params, plain.params)
    for params, weight, _, state in seen:  # what was looked at stays readable, and is what it was
        np.testing.assert_array_equal(params['0']['weight'], weight)
        np.testing.assert_array_equal(state.params['0']['weight'], weight)
    assert program_count(trainer) == 1
    assert abs(seen[0][1] - seen[1][1]).max() > 1e-3


def test_values_that_are_set_between_steps_count():
    trainer = trained(2, optimizer=optax.sgd(0.1))
    trainer.net[1].bias.set_data(jnp.array([5.0, 0.0, 0.0]))
    trainer.step(*BATCH)
    bias = trainer.net[1].bias.data()
    assert 4.8 < bias[0] < 5
    trainer.net.params = jax.tree.map(jnp.zeros_like, trainer.net.params)
    np.testing.assert_allclose(trainer.step(*BATCH), np.log(3), rtol=1e-6)


def test_calls_between_steps_use_the_values_of_now():
    trainer = trained(1)
    before = trainer.net(BATCH[0])
    trainer.step(*BATCH)
    after = trainer.net(BATCH[0])
    assert abs(before - after).max() > 1e-3
    np.testing.assert_allclose(after, trainer.net.apply(trainer.net.params, BATCH[0]), rtol=1e-5, atol=1e-6)
    trainer.net.hybridize(static_params=True)
    np.testing.assert_allclose(trainer.net(BATCH[0]), after, rtol=1e-5, atol=1e-6)
    trainer.step(*BATCH)
    assert abs(trainer.net(BATCH[0]) - after).max() > 1e-3


def test_a_failed_step_changes_nothing():
    net = mlp()
    trainer = Trainer(net, lambda out, label: out, optax.sgd(0.1))
    with pytest.raises(errors.ShapeError, match='one number for each sample'):
        trainer.step(*BATCH)
    with pytest.raises(errors.DeferredInitializationError):
        net[0].weight.data()
    net(BATCH[0])
    twin = mlp()
    twin(BATCH[0])
    assert_same(net.params, twin.params)
    trainer = trained(2, net)
    before = jax.tree.map(np.asarray, net.params)
    trainer.step(*BATCH)
    expected = jax.tree.map(np.asarray, net.params)
    net.params = before
    trainer = trained(0, net)
    with pytest.raises(errors.ShapeError, match=r"'0\.weight' has shape"):
        trainer.step(np.ones((8, 7), 'float32'), BATCH[1])
    assert_same(net.params, before)
    assert abs(expected['0']['weight'] - before['0']['weight']).max() > 0


def test_a_batch_without_samples_is_refused_and_changes_nothing():
    net, (x, y) = mlp(), batch_of()
    trainer = Trainer(net, CE, 'sgd', {'wd': 0.1}, key=0)
    for steps in (0, 1):
        before = net.params if steps else None
        with pytest.raises(errors.DataError, match='a batch without samples'):
            trainer.step(x[:0], y[:0])
        assert trainer.steps == steps
        if steps:
            jax.tree.map(np.testing.assert_array_equal, net.params, before)
        trainer.step(x, y)


def test_a_wrong_batch_between_steps_changes_nothing():
    trainer, twin = trained(2), trained(3)
    for wrong in [(np.ones((8, 7), 'float32'), BATCH[1]), (BATCH[0], np.zeros((8, 2), int)), (BATCH[0],), ()]:
        with pytest.raises(errors.GluonError):
            trainer.step(*wrong)
    trainer.step(*BATCH)
    assert_same(trainer.net.params, twin.net.params)


def test_an_uninitialized_network_says_so():
    with pytest.raises(errors.UninitializedError, match=r'net.initialize\(\)'):
        Trainer(nn.Sequential(nn.Dense(3)), CE).step(*BATCH)


def test_the_learning_rate_is_set_without_a_new_program():
    trainer = trained(1, optimizer=optax.inject_hyperparams(optax.sgd)(0.1))
    before = trainer.net[1].bias.data()
    assert trainer.learning_rate == np.float32(0.1)
    trainer.set_learning_rate(0.0)
    trainer.step(*BATCH)
    np.testing.assert_array_equal(trainer.net[1].bias.data(), before)
    trainer.step(*BATCH)
    trainer.set_learning_rate(0.5)
    assert trainer.learning_rate == 0.5
    trainer.step(*BATCH)
    assert abs(trainer.net[1].bias.data() - before).max() > 1e-3
    assert program_count(trainer) == 1


def test_the_learning_rate_is_set_before_the_first_step():
    trainer = Trainer(mlp(), CE, 'sgd', {'learning_rate': 0.1})
    assert trainer.learning_rate == np.float32(0.1)
    trainer.set_learning_rate(0.25)
    assert trainer.learning_rate == 0.25
    trainer.step(*BATCH)
    assert trainer.learning_rate == 0.25


def test_a_learning_rate_that_cannot_be_set():
    for trainer in (Trainer(mlp(), CE, optax.sgd(0.1)), trained(1, optimizer=optax.sgd(0.1))):
        with pytest.raises(errors.ArgumentError, match=r'optax\.inject_hyperparams'):
            trainer.set_learning_rate(0.5)


def test_a_batch_that_is_a_dict():
    by_name, by_place = trained(0), trained(2)
    for _ in range(2):
        by_name.step({'image': BATCH[0], 'label': BATCH[1]})
    assert_same(by_name.net.params, by_place.net.params)


@pytest.mark.parametrize('value', ['fast', -1.0, None])
def test_learning_rates_that_cannot_be(value):
    with pytest.raises(errors.ArgumentError, match='the learning rate must be'):
        Trainer(mlp(), CE, 'sgd').set_learning_rate(value)


def test_smaller_batches_share_one_more_program_and_count_exactly():
    trainer, exact = trained(1, mlp(nn.BatchNorm()), last_batch='pad'), trained(1, mlp(nn.BatchNorm()))
    for rows in (3, 5, 8, 7, 1):
        x, y = batch_of(rows, seed=rows)
        np.testing.assert_allclose(trainer.step(x, y), exact.step(x, y), rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), trainer.net.params, exact.net.params
    )
    assert (program_count(trainer), program_count(exact)) == (2, 5)


def test_a_larger_batch_is_the_new_measure():
    trainer = trained(1, last_batch='pad')
    trainer.step(*batch_of(16))
    trainer.step(*batch_of(9))
    trainer.step(*batch_of(8))
    assert program_count(trainer) == 3


def test_where_padding_cannot_be_told_the_size_is_kept():
    def net():
        return mlp(
            nn.Lambda(lambda x: x.reshape(-1, 5, 1)),
            nn.Lambda(lambda x: jnp.swapaxes(x, 0, 1)),
            nn.BatchNorm(2),
            nn.Lambda(lambda x: jnp.swapaxes(x, 0, 1)),
            nn.Flatten(),
        )

    trainer, exact = trained(1, net()), trained(1, net(), last_batch='keep')
    for rows in (3, 8, 2):
        np.testing.assert_allclose(trainer.step(*batch_of(rows)), exact.step(*batch_of(rows)), rtol=1e-5)


def test_frozen_parameters_stay_and_have_no_state():
    trainer = trained(3, optimizer=optax.sgd(0.1, momentum=0.9))
    net = trainer.net
    net[0].collect_params().setattr('grad_req', 'null')
    frozen, momentum = net[0].weight.data(), trainer.state.optimizer[0].trace['1']['bias']
    trainer.step(*BATCH)
    np.testing.assert_array_equal(net[0].weight.data(), frozen)
    assert sorted(flatten(trainer.state.optimizer[0].trace)) == ['1.bias', '1.weight']
    assert abs(trainer.state.optimizer[0].trace['1']['bias'] - 0.9 * momentum).max() > 0  # it went on
    net[0].collect_params().setattr('grad_req', 'write')
    trainer.step(*BATCH)
    assert abs(net[0].weight.data() - frozen).max() > 0
    assert len(flatten(trainer.state.optimizer[0].trace)) == 4


def test_momentum_goes_on_when_the_network_grows():
    net = nn.Sequential(nn.Dense(5, activation='tanh'), nn.Dense(3))
    net.initialize(key=0)
    trainer = trained(2, net, optimizer=optax.sgd(0.1, momentum=0.9))
    momentum = np.asarray(trainer.state.optimizer[0].trace['1']['bias'])
    net.add(nn.Dense(3, weight_initializer='ones'))
    net.initialize(key=5)
    trainer.step(*BATCH)
    trace = trainer.state.optimizer[0].trace
    assert sorted(flatten(trace)) == ['0.bias', '0.weight', '1.bias', '1.weight', '2.bias', '2.weight']
    assert abs(trace['1']['bias'] - momentum).max() > 0
    assert net(BATCH[0]).shape == (8, 3)


def test_two_trainers_share_a_network():
    trunk, first, second = nn.Dense(5, activation='tanh'), nn.Sequential(), nn.Sequential()
    body = nn.Sequential(trunk)
    first.add(body, nn.Dense(3))
    second.add(body, nn.Dense(3))
    for net in (first, second):
        net.initialize(key=0)
        net(BATCH[0])
    trainers = [Trainer(net, CE, optax.sgd(0.1), key=1) for net in (first, second)]
    shared = np.asarray(body[0].weight.data())
    for trainer in trainers * 2:
        trainer.step(*BATCH)
        now = np.asarray(body[0].weight.data())
        assert abs(now - shared).max() > 1e-5
        shared = now
    assert first[0][0].weight.data() is second[0][0].weight.data()


def test_a_network_in_training_is_pickled_and_copied_with_its_values():
    trainer = trained(2)
    twin, clone = pickle.loads(pickle.dumps(trainer.net)), copy.deepcopy(trainer.net)
    trainer.step(*BATCH)
    reference = trained(2).net.params
    assert_same(twin.params, reference)
    assert_same(clone.params, reference)


def test_the_optimizer_begins_anew_for_chosen_parameters():
    trainer = trained(2, optimizer=optax.adam(0.1))
    trainer.net[1].initialize(force_reinit=True, key=3)
    trainer.reset_optimizer('1')
    adam = trainer.state.optimizer[0]
    assert not np.any(adam.mu['1']['weight'])
    assert np.any(adam.mu['0']['weight'])
    assert adam.count == 2
    trainer.reset_optimizer()
    assert trainer.state.optimizer[0].count == 0
    assert not np.any(trainer.state.optimizer[0].nu['0']['weight'])
    with pytest.raises(errors.PatternError, match="no parameter matches '7'"):
        trainer.reset_optimizer('7')
    trainer.step(*BATCH)
    assert program_count(trainer) == 1


def test_factors_of_parameters_on_the_rate_and_the_decay():
    for optimizer in (optax.sgd(0.1), 'sgd'):
        net = mlp()
        net[0].weight.lr_mult = 0.0
        net[1].weight.lr_mult = 2.0
        twin = mlp()
        for one in (net, twin):
            one(BATCH[0])
        before = net.params
        given = {} if optimizer != 'sgd' else {'optimizer_params': {'learning_rate': 0.1}}
        Trainer(net, CE, optimizer, key=1, **given).step(*BATCH)
        Trainer(twin, CE, optimizer, key=1, **given).step(*BATCH)
        np.testing.assert_array_equal(net[0].weight.data(), before['0']['weight'])
        moved, plain = (n[1].weight.data() - before['1']['weight'] for n in (net, twin))
        np.testing.assert_allclose(moved, 2 * plain, rtol=1e-4, atol=1e-7)
    net[0].weight.wd_mult = 0.5
    with pytest.raises(errors.ArgumentError, match='takes no wd_mult'):
        Trainer(net, CE, optax.sgd(0.1)).step(*BATCH)


def test_weight_decay_factors():
    net = mlp()
    net(BATCH[0])
    net[0].weight.wd_mult = 0.0
    before = net.params
    trainer = Trainer(net, lambda out, label: 0 * out.sum(1), 'sgd', {'learning_rate': 0.5, 'wd': 0.1})
    trainer.step(*BATCH)
    np.testing.assert_array_equal(net[0].weight.data(), before['0']['weight'])
    np.testing.assert_allclose(net[1].weight.data(), before['1']['weight'] * 0.95, rtol=1e-6)


def test_the_average_as_params():
    trainer = trained(3, mlp(nn.BatchNorm()), average=0.5)
    average = trainer.average
    assert list(flatten(average)) == list(flatten(trainer.net.params))
    np.testing.assert_array_equal(average['1']['running_mean'], trainer.net.params['1']['running_mean'])
    np.testing.assert_array_equal(average['0']['weight'], trainer.state.average['0']['weight'])
    with pytest.raises(errors.ArgumentError, match=r'average=0.999'):
        _ = trained(1).average


def test_steps_from_several_threads_are_one_after_the_other():
    trainer = trained(1, optimizer=optax.sgd(0.01))
    seen, threads = [], []

    def run():
        for _ in range(20):
            seen.append(float(trainer.step(*BATCH)))
            trainer.net(BATCH[0])

    for _ in range(4):
        threads.append(threading.Thread(target=run))
        threads[-1].start()
    for thread in threads:
        thread.join()
    expected = trained(81, optimizer=optax.sgd(0.01))
    assert len(set(seen)) == 80
    assert_same(trainer.net.params, expected.net.params)


def test_the_key_comes_from_the_library_if_none_is_given():
    values = []
    for _ in range(2):
        gluonjax.seed(3)
        trainer = Trainer(mlp(nn.Dropout(0.5)), CE, optax.sgd(0.1))
        values.append([float(trainer.step(*BATCH)) for _ in range(3)])
    assert values[0] == values[1]
    assert len(set(values[0])) == 3


@pytest.mark.parametrize(
    ('net', 'message'),
    [
        (nn.Dense(3), r'nn.Sequential\(layer\)'),
        (mlp().collect_params(), r'Trainer\(net, loss, optimizer, optimizer_params\)'),
        (3, 'trains a network'),
    ],
)
def test_what_is_no_network(net, message):
    with pytest.raises(errors.ArgumentError, match=message):
        Trainer(net, CE)


def test_options_that_cannot_be():
    with pytest.raises(errors.ArgumentError, match="last_batch must be one of 'pad', 'keep', 'discard'; got 'throw'"):
        Trainer(mlp(), CE, last_batch='throw')
    with pytest.raises(errors.ArgumentError, match='no optimizer is named'):
        Trainer(mlp(), CE, 'sgdd')


def test_what_does_not_move_is_not_donated():
    trainer = trained(1, optimizer=optax.sgd(0.1))
    compiled = trainer.compiled_step.current
    assert (len(compiled.moving), len(compiled.frozen), len(compiled.own), compiled.fixed) == (4, 0, 1, ())
    trainer.net[0].setattr('grad_req', 'null')
    trainer.step(*BATCH)
    compiled = trainer.compiled_step.current
    assert (len(compiled.moving), len(compiled.frozen)) == (2, 2)


def test_metrics_in_the_step():
    trainer = trained(3, metrics=[metric.Accuracy()])
    assert float(trainer.state.metrics['accuracy']['seen'].sum()) == 24


def test_a_step_inside_a_transformation_is_refused_and_changes_nothing():
    for trainer in (trained(0), trained(2)):
        with pytest.raises(errors.TransformationError, match=r'(?s)make_step\(net, loss, optimizer\)'):
            jax.jit(lambda x, trainer=trainer: trainer.step(x, BATCH[1]))(BATCH[0])
        with pytest.raises(errors.TransformationError, match='make_step'):
            jax.jit(lambda x, trainer=trainer: x + trainer.step(*BATCH))(1.0)
        trainer.step(*BATCH)
    assert_same(trainer.net.params, trained(3).net.params)


@pytest.mark.parametrize('transform', [jax.jit, jax.vmap])
def test_methods_that_return_numbers_are_refused_inside_a_transformation(transform):
    trainer = trained(1)
    x, y = jnp.asarray(BATCH[0]), jnp.asarray(BATCH[1])
    batches = jnp.stack([x] * 2)
    for call, remedy in (
        (lambda x: trainer.evaluate(x, y), r'loss\(net\(x\), y\)'),
        (lambda x: trainer.evaluate([(x, y)]), r'loss\(net\(x\), y\)'),
        (trainer.predict, r'net\.apply'),
        (lambda x: trainer.fit(x, y, progress=False), 'make_step'),
        (lambda x: trainer.prepare(x, y), 'make_step'),
    ):
        with pytest.raises(errors.TransformationError, match=f'(?s)inside a transformation.*try: .*{remedy}'):
            transform(call)(batches)
    with pytest.raises(errors.TransformationError, match='evaluate cannot run'):
        jax.jit(lambda z: trainer.evaluate(x, y)['loss'] + z)(1.0)
    assert_same(trainer.net.params, trained(1).net.params)


def test_the_habit_of_gluon_is_told_the_way():
    with pytest.raises(errors.ArgumentError, match=r'(?s)got: 64.*trainer\.step\(x, y\)'):
        trained(1).step(64)


def test_steps_after_which_jax_runs_python_are_on_copies(monkeypatch):
    copied, copy = [], CompiledStep._copied
    monkeypatch.setattr(CompiledStep, '_copied', lambda self, values: copied.append(1) or copy(self, values))
    net = nn.Sequential(nn.Dense(3, in_units=4))
    net.initialize(key=0)
    trainer, batch = gluonjax.Trainer(net, loss.L2Loss(), key=0), (jnp.ones((8, 4)), jnp.ones((8, 3)))

    def steps_on_copies(count):
        copied.clear()
        for _ in range(count):
            trainer.step(*batch)
        return len(copied)

    assert steps_on_copies(3) == 1  # the one that traces
    net.params = jax.device_put(net.params, jax.devices()[1])
    assert steps_on_copies(3) == 1
    with jax.debug_nans(True):
        net.params = net.params
        old = net[0].weight.current
        assert steps_on_copies(2) == 2
        assert not old.is_deleted()
    net.params = net.params
    assert steps_on_copies(2) == 0


def test_a_first_step_with_metrics_traces_the_network_once():
    passes = []

    class Counted(nn.Block):
        def forward(self, x):
            passes.append(isinstance(x, jax.core.Tracer))
            return x

    net = nn.Sequential(nn.Dense(3, in_units=4), Counted())
    net.initialize(key=0)
    trainer = Trainer(net, CE, 'adam', metrics=[metric.Accuracy()])
    trainer.step(*BATCH)
    assert passes == [True]
    trainer.step(*batch_of(rows=5))
    assert passes == [True] * 2


def test_a_state_with_many_small_leaves_is_packed_and_unpacked_in_a_program():
    random = np.random.RandomState(0)
    leaves = [np.asarray(random.randint(0, 2**20, shape), 'int32') for shape in [(), (3,), (2, 2)] * 14]
    leaves += [np.float32(number) for number in random.standard_normal(9)]
    layout = Layout(leaves, [True] * len(leaves))
    (words,), _ = layout.split([jnp.asarray(leaf) for leaf in leaves])
    np.testing.assert_array_equal(words, layout.split(leaves)[0][0])
    for joined, leaf in zip(layout.join((words,), ()), leaves, strict=True):
        np.testing.assert_array_equal(joined, leaf)
        assert (joined.shape, joined.dtype) == (leaf.shape, leaf.dtype)


def test_equal_counts_of_parameters_are_one_number_in_the_program():
    def words():
        return trainer.compiled_step.current.own[0].current.size

    trainer = trained(2, optimizer='adam')
    assert jax.tree.leaves(trainer.state.optimizer.counts) == [2] * 4
    small = [leaf.size for leaf in jax.tree.leaves(trainer.compiled_step.current.state()) if leaf.size <= 16]
    assert words() == sum(small) - 3
    optimizer = trainer.state.optimizer
    apart = jax.tree.unflatten(jax.tree.structure(optimizer.counts), map(jnp.int32, [7, 1, 7, 7]))
    state = trainer.state._replace(optimizer=optimizer._replace(counts=apart))
    expected, _ = jax.jit(make_step(trainer.net, CE, 'adam'))(state, BATCH)
    trainer.state = state
    trainer.step(*BATCH)
    assert jax.tree.leaves(trainer.state.optimizer.counts) == [8, 2, 8, 8]
    assert words() == sum(small) - 2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), trainer.state.params, expected.params)


def test_counts_that_an_optimizer_moves_apart_stay_apart():
    def init(params):
        return {name: jnp.int32(0) for name in ('all', 'twice', 'too', 'still')}

    def update(updates, counts, params=None):
        more = counts['all'] + 1
        return updates, counts | {'all': more, 'twice': counts['twice'] + 2, 'too': more}

    trainer = trained(3, optimizer=optax.chain(optax.sgd(0.1), optax.GradientTransformation(init, update)))
    assert trainer.state.optimizer[1] == {'all': 3, 'twice': 6, 'too': 3, 'still': 0}
