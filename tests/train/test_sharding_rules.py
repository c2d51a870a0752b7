"""sharding.transformer: a language model over data and model axes, with the losses of one device."""

import re

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from gluonjax import errors, loss, make_step, nn, sharding
from gluonjax.tree import flatten

WORDS, WIDTH = 64, 16
TOKENS = np.random.RandomState(0).randint(0, WORDS, (8, 9))
BATCH = TOKENS[:, :-1], TOKENS[:, 1:]


def language_model():
    block = nn.Sequential(
        nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(WIDTH, 4, num_kv_heads=2, causal=True)),
        nn.Residual(nn.LayerNorm(), nn.Dense(4 * WIDTH, 'relu', flatten=False), nn.Dense(WIDTH, flatten=False)),
    )
    return nn.Sequential(
        nn.Embedding(WORDS, WIDTH), nn.LearnedPositions(8), nn.Repeat(block, 2), nn.LayerNorm(), nn.DenseFactors(WORDS)
    ).definition


def rules_of(data, model):
    mesh = jax.make_mesh((data, model), ('data', 'model'))
    return mesh, sharding.transformer(language_model(), BATCH[0], mesh=mesh)


def test_losses_are_those_of_one_device_and_nothing_large_is_whole(capfd):
    step = make_step(language_model(), loss.LinearSoftmaxCrossEntropyLoss(16), 'sgd')
    mesh, rules = rules_of(4, 2)
    state = jax.jit(step.init)(0, BATCH)
    where = sharding.state_shardings(state, rules, mesh)
    spread, batch = jax.device_put(state, where), sharding.shard_batch(BATCH, mesh)
    program = jax.jit(step, out_shardings=(where, None)).lower(spread, batch).compile()
    assert 'ematerialization' not in capfd.readouterr().err
    sent = set(re.findall('all-gather|all-reduce|reduce-scatter|all-to-all', program.as_text()))
    assert {'all-gather', 'all-reduce'} <= sent  # weights where they are needed, and sums over what was cut
    alone = jax.jit(step)
    for _ in range(2):
        state, metrics = alone(state, BATCH)
        spread, metrics_spread = program(spread, batch)
        np.testing.assert_allclose(metrics_spread['loss'], metrics['loss'], rtol=1e-5)
    for name, value in flatten(spread.params).items():
        held = value.addressable_shards[0].data.size / value.size
        assert held <= (1 if value.size <= 8 * WIDTH else 1 / 8), name


def test_rules():
    rules = {re.sub(r'[\\$]', '', name): spec for name, spec in rules_of(2, 4)[1].items()}
    assert rules == {
        '0.weight': P(('model', 'data'), None),
        '1.weight': P('data', None),
        '2.copies.0.1.query.weight': P(None, 'model', 'data'),
        '2.copies.0.1.query.bias': P(None, 'model'),
        '2.copies.0.1.key.weight': P(None, None, 'data'),  # 4 devices do not divide 2 heads
        '2.copies.0.1.value.weight': P(None, None, 'data'),
        '2.copies.0.1.out.weight': P(None, 'data', 'model'),
        '2.copies.1.1.weight': P(None, 'model', 'data'),
        '2.copies.1.1.bias': P(None, 'model'),
        '2.copies.1.2.weight': P(None, 'data', 'model'),
        '4.weight': P('model', 'data'),
        '4.bias': P('model'),
    }


def test_what_is_no_network_or_mesh_and_what_nothing_divides():
    mesh = jax.make_mesh((8,), ('data',))
    with pytest.raises(errors.ArgumentError, match='a network or a layer'):
        sharding.transformer('net', mesh=mesh)
    with pytest.raises(errors.ArgumentError, match='no mesh'):
        sharding.transformer(nn.Dense(3, in_units=2), mesh=None)
    assert sharding.transformer(nn.Dense(3, in_units=2), mesh=mesh) == {}
