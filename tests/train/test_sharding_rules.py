"""sharding.transformer: a language model over data and model axes, with the losses of one device."""

import math
import re

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from gluonjax import Trainer, errors, loss, make_step, nn, sharding
from gluonjax.tree import flatten

WORDS, WIDTH = 64, 16
TOKENS = np.random.RandomState(0).randint(0, WORDS, (8, 9))
BATCH = TOKENS[:, :-1], TOKENS[:, 1:]


def language_model(by=None):
    attention = nn.MultiHeadAttention(WIDTH, 4, num_kv_heads=2, causal=True, implementation=by)
    block = nn.Sequential(
        nn.Residual(nn.LayerNorm(), attention),
        nn.Residual(nn.LayerNorm(), nn.Dense(4 * WIDTH, 'relu', flatten=False), nn.Dense(WIDTH, flatten=False)),
    )
    return nn.Sequential(
        nn.Embedding(WORDS, WIDTH), nn.LearnedPositions(8), nn.Repeat(block, 2), nn.LayerNorm(), nn.DenseFactors(WORDS)
    ).definition


def rules_of(data, model, by=None):
    mesh = jax.make_mesh((data, model), ('data', 'model'))
    return mesh, sharding.transformer(language_model(by), BATCH[0], mesh=mesh)


@pytest.mark.parametrize(('devices', 'sequence', 'by'), [((4, 2), None, None), ((2, 4), 'model', 'xla')])
def test_losses_are_those_of_one_device_and_nothing_large_is_whole(devices, sequence, by, capfd):
    step = make_step(language_model(by), loss.LinearSoftmaxCrossEntropyLoss(16), 'sgd')
    mesh, rules = rules_of(*devices, by)
    state = jax.jit(step.init)(0, BATCH)
    where = sharding.state_shardings(state, rules, mesh)
    spread, batch = jax.device_put(state, where), sharding.shard_batch(BATCH, mesh)
    cut = sharding.with_cut_activations(step, mesh, sequence_axis=sequence)
    lowered = jax.jit(cut, out_shardings=(where, None)).lower(spread, batch)
    constraints = set(re.findall(r'sharding_constraint .* : tensor<(.*?)>', lowered.as_text()))
    program = lowered.compile()
    assert 'ematerialization' not in capfd.readouterr().err
    sent = set(re.findall('all-gather|all-reduce|reduce-scatter|all-to-all', program.as_text()))
    assert {'all-gather', 'all-reduce'} <= sent  # weights where they are needed, and sums over what was cut
    # Each device has its own samples, and between blocks its own tokens of theirs.
    share, tokens = 8 // devices[0], 8 if sequence is None else 8 // devices[1]
    shapes = set(re.findall(r' = f32\[([\d,]*)\]', program.as_text()))
    assert f'2,{share},{tokens},{WIDTH}' in shapes  # what the blocks keep for the backward pass
    assert f'8,8,{4 * WIDTH}' not in shapes
    assert f'8x8x{4 * WIDTH}xf32' in constraints
    products = re.findall(r' = f32\[([\d,]*)\]\S* dot\(', program.as_text())
    sizes = {math.prod(map(int, shape.split(','))) for shape in products if shape.count(',') > 1}
    assert max(sizes) == share * 4 // devices[1] * 8 * 8  # of queries with keys, of a share of the 4 heads
    alone = jax.jit(step)
    for _ in range(2):
        state, metrics = alone(state, BATCH)
        spread, metrics_spread = program(spread, batch)
        np.testing.assert_allclose(metrics_spread['loss'], metrics['loss'], rtol=1e-5)
    for name, value in flatten(spread.params).items():
        held = value.addressable_shards[0].data.size / value.size
        assert held <= (1 if value.size <= 8 * WIDTH else 1 / 8 if devices == (4, 2) else 1 / 2), name


def test_zero_cuts_what_the_optimizer_keeps():
    mesh = jax.make_mesh((8,), ('data',))

    def trainer(**options):
        net = nn.Sequential(nn.Dense(16, activation='relu'), nn.Dense(3))
        net.initialize(key=0)
        return Trainer(net, loss.L2Loss(), 'adam', {'learning_rate': 0.1}, key=0, average=0.5, **options)

    x, y = np.random.RandomState(0).standard_normal((8, 4)).astype('float32'), np.ones((8, 3), 'float32')
    rules = sharding.zero(trainer().net, x, mesh=mesh)
    assert rules == {'0\\.weight$': P('data', None), '0\\.bias$': P('data'), '1\\.weight$': P(None, 'data')}
    alone, spread = trainer(), trainer(mesh=mesh, optimizer_sharding=rules)
    for _ in range(3):
        np.testing.assert_allclose(spread.step(x, y), alone.step(x, y), rtol=1e-5)
    for name, value in flatten(spread.net.params).items():
        assert value.sharding.is_fully_replicated, name
    parts = [leaf for leaf in jax.tree.leaves((spread.state.optimizer, spread.state.average)) if leaf.ndim > 1]
    assert len(parts) == 6
    assert {leaf.addressable_shards[0].data.size * 8 == leaf.size for leaf in parts} == {True}
    state = spread.state
    where = sharding.state_shardings(state, None, mesh, rules)
    assert jax.tree.leaves(where.average)[1].spec == P('data', None)
    assert jax.tree.leaves(where.params)[1].spec == P()
    with pytest.raises(errors.ArgumentError, match='axis'):
        sharding.zero(nn.Dense(3, in_units=2), mesh=mesh, axis='model')


def test_zero_cuts_what_rules_cut_once_more():
    net, mesh = nn.Dense(16, in_units=4), jax.make_mesh((2, 2, 2), ('data', 'fsdp', 'model'))
    rules = sharding.transformer(net, mesh=mesh, fsdp=None)
    assert rules == {'weight$': P('model', None), 'bias$': P('model')}
    kept = sharding.zero(net, mesh=mesh, axis=('data', 'fsdp'), sharding=rules)
    assert kept == {'weight$': P(('model', 'data', 'fsdp'), None), 'bias$': P(('model', 'data', 'fsdp'))}
    whole = sharding.transformer(net, mesh=mesh, fsdp=('data', 'fsdp'))
    assert whole['weight$'] == P('model', ('data', 'fsdp'))
    assert sharding.zero(net, mesh=mesh, axis='data', sharding=whole)['weight$'] == whole['weight$']


def test_rules():
    rules = {re.sub(r'[\\$]', '', name): spec for name, spec in rules_of(2, 4)[1].items()}
    assert rules == {
        '0.weight': P(('model', 'data'), None),
        '1.weight': P('data', None),
        '2.copies.0.1.query.weight': P(None, None, 'data'),  # as for keys, of which there are 2 heads for 4 devices
        '2.copies.0.1.key.weight': P(None, None, 'data'),
        '2.copies.0.1.value.weight': P(None, None, 'data'),
        '2.copies.0.1.out.weight': P(None, None, 'data'),
        '2.copies.1.1.weight': P(None, 'model', 'data'),
        '2.copies.1.1.bias': P(None, 'model'),
        '2.copies.1.2.weight': P(None, 'data', 'model'),
        '4.weight': P('model', 'data'),
        '4.bias': P('model'),
    }


def test_heads_of_queries_are_cut_apart_from_those_of_keys_without_cudnn():
    rules = {re.sub(r'[\\$]', '', name): spec for name, spec in rules_of(2, 4, 'xla')[1].items()}
    assert rules['2.copies.0.1.query.weight'] == P(None, 'model', 'data')
    assert rules['2.copies.0.1.query.bias'] == P(None, 'model')
    assert rules['2.copies.0.1.out.weight'] == P(None, 'data', 'model')
    assert rules['2.copies.0.1.key.weight'] == P(None, None, 'data')  # of which there are 2 heads for 4 devices


@pytest.mark.parametrize(
    ('layer', 'spec'),
    [
        (nn.Embedding(51, 16), P(None, 'data')),  # of a table whose rows do not divide, the columns
        (nn.Embedding(54, 16), P('model', 'data')),
        (nn.Dense(8, in_units=5), P(('model', 'data'), None)),
        (nn.Conv2D(10, 3, in_channels=8), P(None, 'data', None, None)),
    ],
)
def test_what_does_not_divide_is_cut_along_another_axis(layer, spec):
    mesh = jax.make_mesh((4, 2), ('data', 'model'))
    assert sharding.transformer(layer, mesh=mesh)['weight$'] == spec


@pytest.mark.parametrize(
    'options', [{'model': 'modle'}, {'fsdp': 'dta'}, {'model': 'data'}, {'model': None, 'fsdp': None}]
)
def test_axes_that_the_mesh_lacks(options):
    mesh = jax.make_mesh((4, 2), ('data', 'model'))
    with pytest.raises(errors.ArgumentError, match=r"'data', 'model'"):
        sharding.transformer(nn.Dense(8, in_units=4), mesh=mesh, **options)


def test_what_is_no_network_or_mesh_and_what_nothing_divides():
    mesh = jax.make_mesh((8,), ('data',))
    with pytest.raises(errors.ArgumentError, match='a network or a layer'):
        sharding.transformer('net', mesh=mesh)
    with pytest.raises(errors.ArgumentError, match='no mesh'):
        sharding.transformer(nn.Dense(3, in_units=2), mesh=None)
    assert sharding.transformer(nn.Dense(3, in_units=2), mesh=mesh) == {}
