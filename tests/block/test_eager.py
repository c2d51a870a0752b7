"""hybridize(active=False): op by op on concrete arrays from the first call on; compiled, errors say so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Block, errors, init, nn

X = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)


class Halving(Block):
    """Python control flow on values, and shapes that are only known once values flow."""

    def __init__(self):
        self.first, self.inner, self.last = nn.Dense(4), nn.Dense(4), nn.Dense(2)

    def forward(self, x):
        h = self.first(x)
        while float(jnp.abs(h).sum()) > 1:
            h = self.inner(h) * 0.5
        assert isinstance(np.asarray(h), np.ndarray)
        return self.last(h)


def test_values_can_be_looked_at_from_the_first_call_on():
    net, same = Halving(), Halving()
    for network in (net, same):
        network.initialize(init.Normal(0.5), key=0)
    net.hybridize(active=False)
    y = net(X)
    assert net.inner.weight.shape == (4, 4)
    shapes = {name: p.shape for name, p in net.collect_params().items()}
    assert shapes['first.weight'] == (4, 3)
    drawn = {name: p.data() for name, p in net.collect_params().items()}
    np.testing.assert_array_equal(net(X), y)
    # the same bits as layers that are initialized by themselves
    layers = nn.Sequential(nn.Dense(4), nn.Dense(4), nn.Dense(2))
    assert len(drawn) == len(layers.collect_params())


def test_the_same_bits_as_compiled():
    nets = [nn.Sequential(nn.Dense(4, 'relu'), nn.BatchNorm(), nn.Dense(2)) for _ in range(2)]
    for net in nets:
        net.initialize(init.Xavier(), key=3)
    nets[0].hybridize(active=False)
    for net in nets:
        net(X)
    jax.tree.map(np.testing.assert_array_equal, nets[0].params, nets[1].params)


class Folding(Block):
    """A scan of the user's own, over a layer whose shape the first step tells."""

    def __init__(self):
        self.inner = nn.Dense(3)

    def forward(self, x):
        return self.scan(lambda h, row: (self.inner(h) + row[None], None), 0 * x[:1], x)[0]


@pytest.mark.parametrize(
    'network',
    [
        lambda: nn.Sequential(nn.Dense(2), nn.Repeat(nn.Sequential(nn.Dense(2), nn.BatchNorm(), nn.Dropout(0.5)), 2)),
        lambda: nn.Sequential(nn.Repeat(nn.Repeat(nn.Dense(3), 2), 2, remat=True)),
        Folding,
    ],
)
def test_layers_in_a_scan_have_the_same_bits_as_compiled(network):
    nets = [network(), network()]
    for net in nets:
        net.initialize(init.Normal(0.5), key=0)
    nets[0].hybridize(active=False)
    eager, compiled = (net(X, training=True, key=1) for net in nets)
    np.testing.assert_allclose(eager, compiled, rtol=1e-6)
    weights = [{name: p.data() for name, p in net.collect_params('.*weight').items()} for net in nets]
    jax.tree.map(np.testing.assert_array_equal, *weights)


def test_a_failed_first_call_changes_nothing():
    class Failing(Block):
        def __init__(self):
            self.first = nn.Dense(4)

        def forward(self, x):
            h = self.first(x)
            if float(h.sum()) < 1e9:
                raise ValueError('too small')
            return h

    net = Failing()
    net.initialize(key=0)
    net.hybridize(active=False)
    with pytest.raises(ValueError, match='too small'):
        net(X)
    assert net.first.weight.shape == (4, None)
    with pytest.raises(errors.DeferredInitializationError):
        net.first.weight.data()


def test_training_op_by_op_from_the_first_call_on():
    class Net(Block):
        def __init__(self):
            self.norm, self.dropout, self.dense = nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(2)

        def forward(self, x):
            h = self.dropout(self.norm(x))
            return self.dense(h) if float(jnp.abs(h).sum()) >= 0 else h

    net = Net()
    net.initialize(key=0)
    net.hybridize(active=False)
    assert net(X, training=True, key=1).shape == (2, 2)
    np.testing.assert_allclose(net.norm.running_mean.data(), 0.1 * np.asarray(X).mean(0), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    'look',
    [
        float,
        bool,
        int,
        np.asarray,
        lambda h: [0, 1][h.astype('int32')],
        lambda h: 'a' if h > 0 else 'b',
        lambda h: range(h.astype('int32')),
        lambda h: jnp.zeros(3)[jnp.ones(3) > h],
        lambda h: jnp.ones(4).reshape(h.astype('int32'), 4),
    ],
    ids=['float', 'bool', 'int', 'asarray', 'index', 'if', 'range', 'mask', 'shape'],
)
@pytest.mark.parametrize('first', [True, False])
def test_a_tracer_error_of_a_compiled_network_names_the_way_out(look, first):
    class Net(Block):
        def __init__(self):
            self.dense = nn.Dense(2)
            self.looks = not first

        def forward(self, x, looks=True):
            h = self.dense(x)
            if looks:
                look(h.sum())
            return h

    net = Net()
    net.initialize(key=0)
    if not first:
        net(X, looks=False)
    with pytest.raises(Exception) as caught:
        net(X)
    text = str(caught.value) + ''.join(getattr(caught.value, '__notes__', []))
    assert 'hybridize(active=False)' in text
