"""Exports against MXNet: the graphs are those that it ran, and the networks give its numbers."""

import importlib
import json
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import nn
from gluonjax.errors import ArgumentError, DeferredInitializationError
from gluonjax.io import mxnet_params
from gluonjax.mx.export import graph_of

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
sys.path.insert(0, str(GOLDEN))
cases = importlib.import_module('export_cases')
CASES, network = cases.CASES, cases.network

GRAPHS = json.loads((GOLDEN / 'exports.json').read_text())


@pytest.fixture(scope='module')
def arrays():
    return dict(np.load(GOLDEN / 'exports.npz'))


@pytest.mark.parametrize('name', CASES)
def test_exports_are_what_mxnet_ran_and_come_back(name, arrays, tmp_path):
    net, inputs = network(name)
    files = net.export(tmp_path / 'net', 7, inputs=inputs)
    assert files == (f'{tmp_path}/net-symbol.json', f'{tmp_path}/net-0007.params')
    assert pathlib.Path(files[0]).read_text() == GRAPHS[name]['json']
    imported = nn.SymbolBlock.imports(files[0], list(GRAPHS[name]['inputs']), files[1])
    auxiliary, stored = imported.symbol.list_auxiliary_states(), imported.collect_params()
    assert set(mxnet_params.load(files[1])) == {f'{"aux" if key in auxiliary else "arg"}:{key}' for key in stored}
    golden = [arrays[key] for key in sorted(arrays) if key.split()[0] == name]

    @jax.jit
    def both(params, imported_params):
        return net.apply(params, *inputs), imported.apply(imported_params, *inputs)

    for outputs in both(net.params, imported.params):
        outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
        assert len(outputs) == len(golden)
        for output, expected in zip(outputs, golden, strict=True):
            np.testing.assert_allclose(np.asarray(output), expected, 2e-5, 2e-5)


def small():
    net = nn.Sequential(nn.Dense(3, activation='relu'), nn.Dropout(0.5), nn.Dense(2))
    net.initialize('xavier', key=0)
    return net


def test_a_network_that_was_called_is_exported_with_the_batch_left_open(tmp_path):
    net = small()
    net(jnp.ones((2, 4)))
    imported = nn.SymbolBlock.imports(net.export(tmp_path / 'net')[0], 'data', tmp_path / 'net-0000.params')
    x = jnp.linspace(-1, 1, 20).reshape(5, 4)
    np.testing.assert_array_equal(imported(x), net(x))
    assert (imported(x, training=True, key=0) != imported(x)).any()  # Dropout is in the graph
    again = nn.Sequential(imported, nn.Dense(1, in_units=2))
    again.initialize()
    symbol, _ = graph_of(again, x)
    assert symbol.list_arguments()[:2] == ['data', '0_0_weight']


def test_before_anything_is_written_the_network_must_have_been_called_and_have_values(tmp_path):
    net = nn.Sequential(nn.Dense(3, in_units=4))
    net.initialize()
    with pytest.raises(ArgumentError, match='call net'):
        net.export(tmp_path / 'net')
    with pytest.raises(ArgumentError, match='epoch'):
        net.export(tmp_path / 'net', -1, inputs=jnp.ones((1, 4)))
    deferred = small()
    with pytest.raises(DeferredInitializationError):
        deferred.export(tmp_path / 'net', inputs=jnp.ones((1, 4)))
    assert not list(tmp_path.iterdir())


class Loops(nn.Block):
    """Layers with stacked parameters, in a loop in a loop, and loops of JAX."""

    def __init__(self):
        self.cell, self.deep = nn.Dense(3), nn.Repeat(nn.Sequential(nn.BatchNorm(), nn.Repeat(nn.Dense(3), 2)), 2)

    def forward(self, x):
        def step(h, x):
            h = jnp.tanh(self.cell(jnp.concatenate([h, x], -1)))
            return h, h * 2

        rows, last = jax.lax.scan(lambda y, row: (y + row, y * row), jnp.zeros(x.shape[1:]), x, reverse=True)[::-1]
        h, y = self.scan(step, jnp.zeros((x.shape[1], 3)), x)
        return y, self.deep(h), jax.lax.fori_loop(0, 2, lambda _, y: y * 1.5 + 1, last), rows


def test_loops_are_exported_step_by_step(tmp_path):
    net, x = Loops(), jax.random.normal(jax.random.key(0), (3, 2, 4))
    net.initialize('xavier', key=0)
    net(x)
    net.params = jax.tree.map(lambda value: value + jnp.arange(value.size).reshape(value.shape) / 50, net.params)
    outputs = net(x)
    files = net.export(tmp_path / 'net')
    stored = mxnet_params.load(files[1])
    assert stored['arg:deep_copies_1_copies_weight_1_0'].shape == (3, 3)
    for found, expected in zip(nn.SymbolBlock.imports(files[0], 'data', files[1])(x), outputs, strict=True):
        np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_all_that_mxnet_lacks_is_named_and_nothing_is_written(tmp_path):
    class Sums(nn.Block):
        def __init__(self):
            self.layers = nn.Sequential(nn.Lambda(jnp.sort), nn.Dense(2, in_units=4, flatten=False))

        def forward(self, x):
            return jnp.cumsum(self.layers(x), 1)

    net = nn.Sequential(Sums(), nn.Conv1D(1, 1, in_channels=3, activation=lambda x: x + 1))
    net.initialize()
    with pytest.raises(ArgumentError) as caught:
        net.export(tmp_path / 'net', inputs=jnp.ones((2, 3, 4)))
    for part in (
        'sort in layer 0.layers.0 (Lambda)',
        'cumsum in layer 0 (Sums)',
        'in layer 1 (Conv1D)',
    ):
        assert part in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_only_what_is_used_is_written_and_ties_are_one_variable():
    class Tied(nn.Block):
        def __init__(self):
            self.encoder = nn.Dense(4, in_units=4, use_bias=False)
            self.decoder = nn.Dense(4, in_units=4, use_bias=False, params=self.encoder.params)
            self.unused = nn.Dense(7, in_units=1)

        def forward(self, x):
            return self.decoder(self.encoder(x))

    net = Tied()
    net.initialize()
    symbol, values = graph_of(net, jnp.ones((1, 4)))
    assert symbol.list_arguments() == ['data', 'encoder_weight']
    assert list(values) == ['encoder_weight']


class Hybrid(mx.gluon.HybridBlock):
    def __init__(self, *layers):
        super().__init__(prefix='hybrid_')
        with self.name_scope():
            self.scale = self.params.get('scale', shape=(1, 2), init='ones')
            self.layers = mx.gluon.nn.HybridSequential()
            self.layers.add(*layers)

    def hybrid_forward(self, F, x, scale):
        y = self.layers(x)
        return F.broadcast_mul(F.relu(y) + self.layers(x), scale)


def test_hybridized_blocks_of_mx_gluon_are_exported_with_their_own_names(tmp_path):
    norm, dense = mx.gluon.nn.BatchNorm(prefix='norm_'), mx.gluon.nn.Dense(2, prefix='dense_')
    net = Hybrid(norm, dense)
    net.initialize('xavier')
    x = mx.nd.array(np.linspace(-1, 1, 6).reshape(2, 3))
    net(x)
    with pytest.raises(ArgumentError, match='hybridize'):
        net.export(tmp_path / 'net')
    net.hybridize()
    y = net(x)
    files = net.export(tmp_path / 'net', 3)
    imported = nn.SymbolBlock.imports(files[0], 'data', files[1])
    np.testing.assert_allclose(imported(x.value), y.asnumpy(), 1e-6, 1e-6)
    assert imported.symbol.list_arguments() == [
        *('data', 'norm_gamma', 'norm_beta', 'dense_weight', 'dense_bias', 'hybrid_scale')
    ]
    assert imported.symbol.list_auxiliary_states() == ['norm_running_mean', 'norm_running_var']


def test_a_layer_of_mx_gluon_without_an_operator_is_named(tmp_path):
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Activation(lambda x: x + 1, prefix='plus_'))
    net.hybridize()
    net(mx.nd.ones((1, 2)))
    with pytest.raises(ArgumentError, match='plus'):
        net.export(tmp_path / 'net')
    assert not list(tmp_path.iterdir())
