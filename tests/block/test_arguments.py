"""Arguments of `forward` that are no arrays are static; outputs may hold anything; other methods run too."""

import collections
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Block, Layer, errors, nn

X = jnp.arange(6.0).reshape(2, 3)


class Net(Block):
    def __init__(self):
        self.first, self.second = nn.Dense(3), nn.Dense(3)

    def forward(self, x, mode='both', n=1, flag=False, activation=None):
        for _ in range(n):  # a traced n cannot count
            x = self.first(x)
        if mode == 'both':
            x = self.second(x)
        if flag:
            x = -x
        return x if activation is None else activation(x)


class Definition(Layer):
    def __init__(self):
        self.first, self.second = nn.Dense(3), nn.Dense(3)

    forward = Net.forward


CASES = [{'mode': 'first'}, {'n': 3}, {'flag': True}, {'mode': 'both', 'n': 2, 'flag': True, 'activation': jnp.tanh}]


def by_hand(params, x, mode='both', n=1, flag=False, activation=None):
    for _ in range(n):
        x = x @ params['first']['weight'].T + params['first']['bias'][None]
    if mode == 'both':
        x = x @ params['second']['weight'].T + params['second']['bias'][None]
    x = -x if flag else x
    return x if activation is None else activation(x)


@pytest.mark.parametrize('case', CASES, ids=lambda case: ' '.join(case))
@pytest.mark.parametrize('first', [True, False])
def test_a_network_takes_python_arguments(case, first):
    net = Net()
    net.initialize(key=0)
    if not first:
        net(X)
    net(X, **{**case, 'mode': 'both'})
    np.testing.assert_allclose(net(X, **case), by_hand(net.params, X, **case), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net(X, training=True, **case), by_hand(net.params, X, **case), rtol=1e-5, atol=1e-6)


def test_by_position_too():
    net = Net()
    net.initialize(key=0)
    np.testing.assert_allclose(net(X, 'both', 2), by_hand(net.params, X, n=2), rtol=1e-5, atol=1e-6)
    net(X)
    np.testing.assert_allclose(net(X, 'both', 3, True), by_hand(net.params, X, n=3, flag=True), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('case', CASES, ids=lambda case: ' '.join(case))
def test_the_pure_functions_take_python_arguments(case):
    layer = Definition()
    assert set(layer.specs(X, **{**case, 'mode': 'both'})) == {
        'first.weight',
        'first.bias',
        'second.weight',
        'second.bias',
    }
    params = layer.init(0, X)
    given = layer.init(0, X, **{**case, 'mode': 'both'})
    jax.tree.map(np.testing.assert_array_equal, given, params)
    np.testing.assert_allclose(layer.apply(params, X, **case), by_hand(params, X, **case), rtol=1e-5, atol=1e-6)
    jitted = jax.jit(lambda params, x: layer.apply(params, x, **case))
    np.testing.assert_allclose(jitted(params, X), by_hand(params, X, **case), rtol=1e-5, atol=1e-6)


def test_equal_arguments_compile_once():
    traced = []

    class Counting(Block):
        def forward(self, x, mode):
            traced.append(mode)
            return x

    net = Counting()
    for mode in ('a', 'b', 'a', 'b', 'a'):
        net(X, mode=mode)
    assert sorted(traced) == ['a', 'b']


def test_an_argument_that_cannot_be_static_is_refused_by_name():
    net = Net()
    net.initialize(key=0)
    with pytest.raises(errors.ArgumentError, match=r"(?s)'mode'.*hash"):
        net(X, mode={1, 2})


class Pair(NamedTuple):
    first: jax.Array
    name: str


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Answer:
    value: jax.Array
    note: str = dataclasses.field(metadata={'static': True})


@dataclasses.dataclass
class Plain:
    value: jax.Array


@pytest.mark.parametrize(
    'output',
    [
        lambda y: (y, 'text'),
        lambda y: {'y': y, 'name': 'text', 'none': None},
        lambda y: Pair(y, 'a'),
        lambda y: Answer(y, 'b'),
    ],
    ids=['tuple', 'dict', 'namedtuple', 'dataclass'],
)
def test_outputs_may_hold_what_is_no_array(output):
    class Net(Block):
        def __init__(self):
            self.dense = nn.Dense(2)

        def forward(self, x):
            return output(self.dense(x))

    net = Net()
    net.initialize(key=0)
    got, expected = net(X), output(X @ net.dense.weight.data().T)
    assert type(got) is type(expected)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        if isinstance(other, str):
            assert one == other
        else:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    definition = net.definition
    params = definition.init(0, X)
    assert type(definition.apply(params, X)) is type(expected)


class Config(NamedTuple):
    hidden: int
    names: tuple


class Attributes(dict):
    def __getattr__(self, name):
        return self[name]


def test_fields_keep_their_class_in_forward():
    class Net(Layer):
        def __init__(self, config, options):
            self.config, self.options = config, options
            self.ordered = collections.OrderedDict(a=nn.Dense(2, in_units=3))

        def forward(self, x):
            assert type(self.config) is Config
            assert type(self.options) is Attributes
            return self.ordered['a'](x) * self.config.hidden + self.options.shift

    layer = Net(Config(2, ('a',)), Attributes(shift=1.0))
    params = layer.init(0, X)
    assert list(params) == ['ordered']
    np.testing.assert_allclose(
        layer.apply(params, X), X @ params['ordered']['a']['weight'].T * 2 + 1, rtol=1e-5, atol=1e-6
    )


def test_a_named_tuple_passes_a_sequential_whole():
    net = nn.Sequential(
        nn.Lambda(lambda x: Pair(x, 2.0)), nn.Lambda(lambda pair, name: pair * name), nn.Lambda(lambda x: Pair(x, 3))
    )
    got = net(X)
    assert type(got) is Pair
    np.testing.assert_array_equal(got.first, X * 2)


class Encoder(Layer):
    def __init__(self):
        self.encoder, self.decoder = nn.Dense(2), nn.Dense(3)

    def encode(self, x, scale=1.0):
        return self.encoder(x) * scale

    def forward(self, x):
        return self.decoder(self.encode(x))


def test_another_method_than_forward_runs_with_the_same_params():
    layer = Encoder()
    params = layer.init(0, X)
    code = X @ params['encoder']['weight'].T
    np.testing.assert_allclose(layer.apply(params, X, method='encode'), code, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.apply(params, X, scale=2.0, method='encode'), 2 * code, rtol=1e-5, atol=1e-6)
    output, same = layer.apply_train(params, X, method='encode')
    np.testing.assert_allclose(output, code, rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, same, params)
    with pytest.raises(errors.ArgumentError, match=r"(?s)Encoder has no method 'encod'.*encode"):
        layer.apply(params, X, method='encod')
