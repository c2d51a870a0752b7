"""Several devices: batches cut along a mesh, parameters by rules; the numbers are those of one device."""

import functools
import json
import os
import re
import socket
import subprocess
import sys

import jax
import numpy as np
import optax
import pytest
import two_processes
from conftest import QUICK, program_count
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gluonjax import Trainer, drawing, errors, init, loss, make_step, metric, nn, sampler, sharding
from gluonjax.layer import Layer
from gluonjax.tree import flatten

CE = loss.SoftmaxCELoss()
RULES = {'.*weight': P('model', None), '0.bias': P('model')}


def mesh_of(data=4, model=2):
    return jax.make_mesh((data, model), ('data', 'model'))


def batch_of(rows=16, seed=0, inputs=12, classes=4):
    random = np.random.RandomState(seed)
    return random.standard_normal((rows, inputs)).astype('float32'), random.randint(0, classes, rows)


def mlp(key=0):
    net = nn.Sequential(nn.Dense(8, activation='relu'), nn.BatchNorm(), nn.Dropout(0.25), nn.Dense(4))
    net.initialize(init.Xavier(), key=key)
    return net


def trainer_of(net=None, optimizer='adam', **options):
    return Trainer(net or mlp(), CE, optimizer, {'learning_rate': 0.05}, key=1, **options)


def plain(key=0):
    net = nn.Sequential(nn.Dense(8, activation='relu'), nn.Dense(4))
    net.initialize(init.Xavier(), key=key)
    return net


def on_mesh(net=None, rules=RULES, **options):
    return trainer_of(net, mesh=mesh_of(), sharding=rules, **options)


def specs_of(tree):
    return {name: value.sharding.spec for name, value in flatten(tree).items()}


def assert_close(got, expected, **tolerance):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerance), got, expected)


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_losses_statistics_and_metrics_are_those_of_one_device():
    options = {'metrics': [metric.Accuracy(), metric.CrossEntropy(from_logits=True)], 'average': 0.9}
    alone, spread = trainer_of(**options), on_mesh(**options)
    for seed in range(10):
        batch = batch_of(seed=seed)
        np.testing.assert_allclose(spread.step(*batch), alone.step(*batch), rtol=2e-5)
    assert spread.compiled_step.current.step.placed is not None
    assert_close(spread.net.params, alone.net.params, rtol=1e-3, atol=2e-5)
    assert_close(spread.average, alone.average, rtol=1e-3, atol=2e-5)
    assert_close(spread.metrics, alone.metrics, rtol=1e-5)
    assert program_count(spread) == 1
    x = batch_of(seed=11)[0]
    np.testing.assert_allclose(spread.net(x), alone.net(x), rtol=1e-3, atol=1e-4)


def test_what_belongs_to_a_parameter_is_where_it_is():
    trainer = on_mesh(average=0.9)
    trainer.step(*batch_of())
    cut = {'0.weight': P('model', None), '0.bias': P('model'), '3.weight': P('model', None)}
    expected = {name: cut.get(name, P()) for name in flatten(trainer.net.params)}
    assert specs_of(trainer.net.params) == expected
    trained = {name: spec for name, spec in expected.items() if 'running' not in name}
    state = trainer.state
    adam = state.optimizer.inner
    for moments in [state.average, *(part for part in jax.tree.leaves(adam, is_leaf=_is_dict) if _is_dict(part))]:
        assert specs_of(moments) == trained
    assert [shard.data.shape for shard in state.params['0']['weight'].addressable_shards] == [(4, 12)] * 8
    assert state.optimizer.count.sharding.is_fully_replicated
    assert len(state.optimizer.count.sharding.device_set) == 8


def _is_dict(node):
    return isinstance(node, dict) and '0' in node


# Initialization.


@pytest.mark.optimized
def test_what_is_drawn_in_parts_is_what_is_drawn_whole(monkeypatch):
    def network():
        net = nn.Sequential(
            nn.Dense(16, weight_initializer=init.Normal(0.3)),
            nn.Dense(16, weight_initializer=init.Orthogonal(), bias_initializer=init.Uniform(0.5)),
            nn.Dense(4, dtype='bfloat16', weight_initializer='xavier'),
        )
        net.initialize(key=3)
        return net

    whole, drawn = network(), []
    x, y = batch_of()
    whole(x)
    plain = drawing.in_rows
    net = network()  # draws the biases, whose shapes are known
    monkeypatch.setattr(drawing, 'in_rows', lambda asked, traced: drawn.extend(asked) or plain(asked, traced))
    trainer = Trainer(net, CE, optax.sgd(0.0), mesh=mesh_of(), sharding={'.*': P('model')})
    trainer.step(x, y)
    assert drawn == []
    assert_same(net.params, whole.params)
    for value in jax.tree.leaves(net.params):
        assert {shard.data.shape[0] for shard in value.addressable_shards} == {value.shape[0] // 2}


@pytest.mark.optimized
def test_no_device_holds_the_whole_of_what_is_drawn():
    where = NamedSharding(mesh_of(), P('model', 'data'))
    whole = sampler.Request(
        jax.random.key(0), 'weight', (512, 256), np.dtype('float32'), sampler.Distribution('normal', 0.1)
    )
    alike = functools.partial(drawing.sample_words, whole)
    for sharding_, parts in [(where, 8), (NamedSharding(mesh_of(8, 1), P()), 1)]:
        program = jax.jit(alike, out_shardings=sharding_).lower(np.zeros(2, 'uint32')).compile()
        assert program.memory_analysis().output_size_in_bytes == 4 * 512 * 256 // parts
        assert ('[512,256]' in program.as_text()) == (parts == 1)
    (got,) = sampler.draw([whole._replace(sharding=where)])
    np.testing.assert_array_equal(got, sampler.draw([whole])[0])
    assert got.sharding == where


def test_what_was_drawn_before_moves_in_the_first_step():
    net = nn.Sequential(nn.Dense(8, in_units=12), nn.Dense(4, in_units=8))
    net.initialize(key=0)
    before = jax.tree.map(np.asarray, net.params)
    trainer = Trainer(net, CE, optax.sgd(0.0), mesh=mesh_of(), sharding={'0.weight': P('model', 'data')})
    trainer.step(*batch_of())
    assert_same(net.params, before)
    assert specs_of(net.params) == {'0.weight': P('model', 'data'), '0.bias': P(), '1.weight': P(), '1.bias': P()}


def test_a_loop_of_ones_own():
    layer, data = mlp().definition, batch_of()
    rules, mesh = {'0.weight': P('model')}, mesh_of()
    where = sharding.param_shardings(layer.specs(data[0]), rules, mesh)
    params = jax.jit(layer.init, out_shardings=where)(0, data[0])
    assert_same(params, layer.init(0, data[0]))
    assert_same(sharding.param_shardings(params, rules, mesh), where)
    step = make_step(layer, CE, 'adam', metrics=[metric.Accuracy()])
    placed = sharding.state_shardings(jax.eval_shape(step.init, 0, data), rules, mesh)
    assert placed.params == where
    state, alone = jax.jit(step.init, out_shardings=placed)(0, data), step.init(0, data)
    traces = []

    def counted(state, data):
        traces.append(data)
        return step(state, data)

    run = jax.jit(counted, donate_argnums=0, out_shardings=(placed, None))
    for seed in range(3):
        state, values = run(state, sharding.shard_batch(batch_of(seed=seed), mesh))
        alone, expected = jax.jit(step)(alone, batch_of(seed=seed))
        np.testing.assert_allclose(values['loss'], expected['loss'], rtol=1e-5)
    assert len(traces) == 1
    assert specs_of(state.params)['0.weight'] == P('model')


def test_rules_match_any_name_and_the_first_wins():
    shared = nn.Dense(8, in_units=8)
    net = nn.Sequential(shared, nn.Dense(8, params=shared.params), nn.Dense(4, in_units=8))
    net.initialize(key=0)
    rules = {'1.weight': P('model'), '.*weight': P(None, 'model')}
    trainer = Trainer(net, CE, optax.sgd(0.1), mesh=mesh_of(), sharding=rules)
    trainer.step(*batch_of(inputs=8))
    assert specs_of(net.params)['0.weight'] == P('model')
    assert specs_of(net.params)['2.weight'] == P(None, 'model')


# What is done between steps.


def test_what_is_done_between_steps_moves_nothing_and_compiles_nothing():
    def act(trainer):
        values = [trainer.step(*batch_of())]
        trainer.set_learning_rate(0.01)
        values += [trainer.step(*batch_of())]
        values += [trainer.net.params['0']['weight'].sum()]  # a look
        values += [trainer.step(*batch_of())]
        trainer.reset_optimizer('0')
        values += [trainer.step(*batch_of())]
        trainer.net[3].bias.set_data(np.arange(4))
        values += [trainer.step(*batch_of())]
        trainer.state = trainer.state
        trainer.reset_optimizer()
        values += [trainer.step(*batch_of())]
        return values

    spread, alone = on_mesh(), trainer_of()
    np.testing.assert_allclose(act(spread), act(alone), rtol=1e-4)
    assert program_count(spread) == 1
    assert specs_of(spread.state.params)['0.weight'] == P('model', None)


def test_smaller_batches_are_filled_up_and_divide():
    spread, alone = on_mesh(last_batch='pad'), trainer_of(last_batch='pad')
    for rows in (16, 10, 5, 16, 1):
        batch = batch_of(rows, seed=rows)
        np.testing.assert_allclose(spread.step(*batch), alone.step(*batch), rtol=1e-4)
    assert program_count(spread) == 2


RULE = {'0.weight': P('model')}


def test_fit_evaluate_and_predict():
    x, y = batch_of(52)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 52, 16)]
    alone, spread, fresh = (
        Trainer(
            plain(), CE, optax.sgd(0.1), mesh=mesh, key=1, last_batch='pad', sharding=mesh and {'0.weight': P('model')}
        )
        for mesh in (None, mesh_of(), mesh_of())
    )
    assert fresh.evaluate([(x[:3], y[:3])])['loss'] == pytest.approx(alone.evaluate([(x[:3], y[:3])])['loss'], rel=1e-5)
    assert specs_of(fresh.net.params)['0.weight'] == P('model')
    for trainer in (spread, alone):
        trainer.fit(batches, batches[1:], epochs=2, metrics=[metric.Accuracy()], progress=False)
    for name in ('loss', 'accuracy', 'val_loss', 'val_accuracy'):
        np.testing.assert_allclose(spread.history[name], alone.history[name], rtol=1e-4)
    np.testing.assert_allclose(spread.predict(x, batch_size=15), alone.predict(x, batch_size=15), rtol=1e-3, atol=1e-4)


def test_a_restored_training_goes_on_where_it_was(tmp_path):
    def begun(key):
        return Trainer(plain(key), CE, 'adam', key=key, mesh=mesh_of(), sharding={'0.weight': P('model')})

    before, after = begun(0), begun(1)
    before.step(*batch_of())
    before.save(tmp_path)
    after.restore(tmp_path)
    assert float(before.step(*batch_of())) == float(after.step(*batch_of()))
    assert_same(after.net.params, before.net.params)
    assert specs_of(after.net.params) == specs_of(before.net.params)


def test_batches_over_all_axes():
    spread, alone = (
        Trainer(plain(), CE, optax.sgd(0.1), data_axis=('data', 'model'), mesh=mesh) for mesh in (mesh_of(), None)
    )
    for _ in range(2):
        np.testing.assert_allclose(spread.step(*batch_of()), alone.step(*batch_of()), rtol=1e-5)
    assert spread.placement.batch(batch_of())[0].addressable_shards[0].data.shape == (2, 12)


class Residual(Layer):
    def __init__(self):
        self.norm, self.attention = nn.LayerNorm(), nn.MultiHeadAttention(16, 4)

    def forward(self, x):
        return x + self.attention(self.norm(x))


def test_heads_of_repeated_attention_over_devices():
    def network():
        net = nn.Sequential(nn.Dense(16, flatten=False), nn.Repeat(Residual(), 3), nn.Dense(4))
        net.initialize(init.Xavier(), key=0)
        return net

    rules = {r'1.copies.attention.(query|key|value)': P(None, 'model'), r'.*out.weight': P(None, None, 'model')}
    x = np.random.RandomState(0).standard_normal((8, 5, 12)).astype('float32')
    batch = x, np.arange(8) % 4
    spread = Trainer(network(), CE, optax.sgd(0.1), mesh=mesh_of(), sharding=rules)
    alone = Trainer(network(), CE, optax.sgd(0.1))
    for _ in range(2):
        np.testing.assert_allclose(spread.step(*batch), alone.step(*batch), rtol=1e-4)
    query = spread.net.params['1']['copies']['attention']['query']['weight']
    assert {shard.data.shape for shard in query.addressable_shards} == {(3, 8, 16)}


# What cannot be.


def test_a_batch_that_does_not_divide():
    alone, spread = (Trainer(plain(), CE, optax.sgd(0.1), last_batch='keep', mesh=mesh) for mesh in (None, mesh_of()))
    with pytest.raises(errors.DataError, match=r'batch of 10 does not divide over 4(.|\n)*\(10, 12\)'):
        spread.step(*batch_of(10))
    assert spread.steps == 0
    with pytest.raises(errors.DeferredInitializationError):
        spread.net[0].weight.data()
    alone.step(*batch_of())
    spread.step(*batch_of())
    with pytest.raises(errors.DataError, match="last_batch='pad'"):
        spread.step(*batch_of(10))
    np.testing.assert_allclose(spread.step(*batch_of(12)), alone.step(*batch_of(12)), rtol=1e-5)


def test_a_first_batch_that_does_not_divide_is_filled_up():
    alone, spread = (
        Trainer(plain(), CE, optax.sgd(0.1), last_batch=last, mesh=mesh)
        for last, mesh in (('keep', None), ('pad', mesh_of()))
    )
    for rows in (10, 6, 13):
        value, output = spread.step_with_output(*batch_of(rows))
        np.testing.assert_allclose(value, alone.step(*batch_of(rows)), rtol=1e-5)
        assert output.shape == (rows, 4)
    assert spread.largest_batch() == 16


@pytest.mark.parametrize(
    ('rules', 'error', 'message'),
    [
        ({'7.weight': P('model')}, errors.PatternError, "no parameter matches '7.weight'"),
        ({'.*weight': 'model'}, errors.ArgumentError, "'.*weight' is no PartitionSpec"),
        ({'.*weight': P('tensor')}, errors.ArgumentError, r"'0.weight' of shape \(8, None\).*'tensor'.*model=2"),
        ({'.*weight': P('model', 'model')}, errors.ArgumentError, 'each once'),
        ({'0.bias': P('model', None)}, errors.ShapeError, r"'0.bias' of shape \(8,\).*over Mesh\(data=4, model=2\)"),
        ({'0.weight': P(('model', 'data'))}, None, ''),
        ({'3.weight': P(('model', 'data'))}, errors.ShapeError, r'sizes that divide by \[8\]'),
    ],
)
def test_rules_that_do_not_fit(rules, error, message):
    if error is None:
        on_mesh(rules=rules)
    else:
        with pytest.raises(error, match=message):
            on_mesh(rules=rules)


def test_a_rule_that_does_not_fit_the_shape_that_the_batch_brings():
    trainer = on_mesh(rules={'0.weight': P(None, ('data', 'model'))})
    with pytest.raises(errors.ShapeError, match=r"'0.weight' of shape \(8, 12\)(.|\n)*0\\\\.weight"):
        trainer.step(*batch_of())
    assert trainer.steps == 0


def test_meshes_that_cannot_be():
    with pytest.raises(errors.ArgumentError, match='need a mesh'):
        trainer_of(sharding=RULES)
    with pytest.raises(errors.ArgumentError, match="no axis 'batch'"):
        trainer_of(mesh=mesh_of(), data_axis='batch')
    with pytest.raises(errors.ArgumentError, match=r'jax.make_mesh'):
        trainer_of(mesh=8)


def test_explicit_axes_become_automatic():
    mesh = mesh_of()
    assert set(mesh.axis_types) == {AxisType.Explicit}
    assert set(sharding.auto_mesh(mesh).axis_types) == {AxisType.Auto}
    automatic = Mesh(np.asarray(jax.devices()).reshape(8), ('data',))
    assert sharding.auto_mesh(automatic) is automatic


def test_a_step_of_somebodys_own_over_explicit_axes():
    """Inside `jax.jit` such axes are part of what is traced, and a product over a cut axis is ambiguous to JAX."""
    mesh, batch = mesh_of(), batch_of()
    step = make_step(nn.Sequential(nn.Dense(8, 'relu'), nn.Dense(4)), CE, 'sgd')
    given = jax.device_put(batch, NamedSharding(mesh, P('data')))
    specs = sharding.param_shardings(step.init(0, batch).params, RULES, mesh)
    cut = jax.tree.map(lambda where: NamedSharding(mesh, where.spec), specs)
    expected = step.init(0, batch)
    with jax.set_mesh(mesh):  # only shapes are asked for
        state = step.init(0, given)
    eager = state
    state = state._replace(params=jax.device_put(state.params, cut))
    jitted = jax.jit(step)
    for _ in range(2):
        expected, values = jitted(expected, batch)
        state, ours = jitted(state, given)
        eager, theirs = step(eager, given)
        np.testing.assert_allclose([ours['loss'], theirs['loss']], [values['loss']] * 2, rtol=1e-5)
    assert state.params['1']['weight'].sharding == cut['1']['weight'] != NamedSharding(mesh, P(None, None))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state.params, expected.params)
    with jax.set_mesh(mesh):
        state, _ = jitted(jax.device_put(expected, NamedSharding(mesh, P())), given)
    assert jax.typeof(state.params['0']['weight']).sharding.mesh.axis_types == (AxisType.Explicit,) * 2


def test_a_context_of_explicit_axes_is_refused():
    trainer = Trainer(plain(), CE, optax.sgd(0.1), mesh=mesh_of())
    with jax.set_mesh(mesh_of()), pytest.raises(errors.ArgumentError, match=r'leave the block of jax\.set_mesh'):
        trainer.step(*batch_of())
    with jax.set_mesh(sharding.auto_mesh(mesh_of())):
        assert np.isfinite(trainer.step(*batch_of()))


# Several processes.


@pytest.mark.slow
def test_two_processes_train_as_one():
    first, second = _run_processes(2, devices=4)
    alone = two_processes.train()
    np.testing.assert_allclose(first['losses'], alone['losses'], rtol=1e-4)
    assert first['losses'] == second['losses']
    assert first['metrics'] == alone['metrics']
    assert first['evaluated'] == second['evaluated'] == pytest.approx(alone['evaluated'], rel=1e-4)
    predicted = first['predicted'] + second['predicted']
    np.testing.assert_allclose(predicted, alone['predicted'], rtol=1e-3, atol=1e-4)
    assert (first['shape'], first['part']) == ([8, 12], [4, 12])


def _run_processes(count, devices):
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    quickly = ' '.join(f'--{option}={value}' for option, value in QUICK.items())
    processes = [
        subprocess.Popen(
            [sys.executable, two_processes.__file__, str(port), str(number), str(count)],
            env={
                **os.environ,
                'XLA_FLAGS': f'{quickly} --xla_force_host_platform_device_count={devices}',
                'JAX_PLATFORMS': 'cpu',
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    try:
        outputs = [process.communicate(timeout=100)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return [json.loads(re.findall(r'^\{.*\}$', output, re.MULTILINE)[-1]) for output in outputs]


def test_freezing_and_thawing_compiles_nothing_again(caplog):
    trainer = on_mesh()

    def step(grad_req):
        trainer.net[0].weight.grad_req = grad_req
        trainer.step(*batch_of())

    for grad_req in ('write', 'null', 'write', 'null'):
        step(grad_req)
    with jax.log_compiles(), caplog.at_level('WARNING'):
        step('write')
        step('null')
    assert [record for record in caplog.records if 'Compiling' in record.getMessage()] == []
