"""Classes as Gluon users write them, copies and pickles, views, summaries."""

import abc
import collections
import copy
import dataclasses
import functools
import pickle
import types
from typing import Generic, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import MLP, X, mlp, ready, same_bits

import gluonjax
from gluonjax import Block, Layer, Param, init, nn
from gluonjax.errors import ArgumentError, FrozenError, GluonError, TransformationError, UninitializedError

T = TypeVar('T')


class Containers(nn.Block):
    def __init__(self):
        super().__init__()
        self.row = [nn.Dense(3), nn.Dense(3)]
        self.named = {'a': nn.Dense(2), 'b': [nn.Dense(1)]}
        self.scale = Param((), init='ones')

    def forward(self, x):
        for layer in self.row:
            x = layer(x)
        return self.named['a'](x) * self.scale, self.named['b'][0](x)


def test_gluon_1_idioms_are_named():
    class Old(nn.Block):
        def __init__(self):
            self.weight = self.params.get('weight', shape=(3, 20))

    with pytest.raises(ArgumentError, match=r'self.weight = Param'):
        Old()

    class Tape(nn.Block):
        def __init__(self):
            self.dense = nn.Dense(3)

        def forward(self, x):
            return x @ self.dense.weight.data().T

    net = Tape()
    net.dense.weight.set_data(np.ones((3, 3)))
    net.initialize()
    with pytest.raises(AttributeError) as caught:
        net(X)
    assert 'without .data()' in ' '.join(caught.value.__notes__)

    class Hybrid(nn.HybridBlock):
        def hybrid_forward(self, F, x):
            return x

    with pytest.raises(NotImplementedError, match='rename hybrid_forward'):
        Hybrid()(X)


def test_classes_port_as_they_are():
    class Ported(nn.HybridBlock):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            with self.name_scope():
                self.dense = nn.Dense(units)
                self.register_child(nn.Dense(2), 'extra')

        def forward(self, x):
            return self.extra(self.dense(x))

    with pytest.warns(UserWarning, match='prefix= has no effect'):
        net = Ported(4, prefix='model_')
    net.initialize()
    assert net(X).shape == (2, 2)
    assert list(net.collect_params()) == ['dense.weight', 'dense.bias', 'extra.weight', 'extra.bias']
    net.hybridize()
    assert net(X).shape == (2, 2)


@pytest.mark.filterwarnings('ignore:prefix= has no effect')
@pytest.mark.parametrize('base', [nn.Block, nn.HybridBlock, nn.Sequential])
def test_prefix_and_params_are_handed_on_to_super_as_gluon_classes_do(base):
    class Ported(base):
        def __init__(self, units, prefix=None, params=None):
            super().__init__(prefix=prefix, params=params)
            self.dense = nn.Dense(units)

        def forward(self, x):
            return self.dense(x)

    for net in (Ported(4), Ported(4, prefix='model_'), Ported(4, params=None)):
        assert list(net.collect_params()) == ['dense.weight', 'dense.bias']


@pytest.mark.filterwarnings('ignore:prefix= has no effect')
def test_prefix_is_handed_on_to_a_layer_too():
    class Mine(nn.Dense):
        def __init__(self, units, prefix=None, params=None):
            super().__init__(units, prefix=prefix, params=params)

    assert Mine(4, prefix='a_').init(0, X)['weight'].shape == (4, 3)


def test_children_in_lists_and_dicts_and_own_params():
    net = Containers()
    net.initialize()
    a, b = net(X)
    assert (a.shape, b.shape) == ((2, 2), (2, 1))
    assert list(net.collect_params('.*weight')) == [
        'row.0.weight',
        'row.1.weight',
        'named.a.weight',
        'named.b.0.weight',
    ]
    assert net.row[1].weight.data().shape == (3, 3)
    assert net.named['b'][0].weight is net.collect_params()['named.b.0.weight']
    assert net.scale.data() == 1
    net.scale.set_data(0.0)
    assert not net(X)[0].any()


def test_an_own_param_is_completed_and_recorded():
    class Mean(nn.Block):
        def __init__(self):
            self.mean = Param((None,), init='zeros', trainable=False)

        def infer_shape(self, x):
            return {'mean': x.shape[-1:]}

        def forward(self, x):
            if self.training:
                self.mean = x.mean(0)
            return x - self.mean[None]

    net = Mean()
    net.initialize()
    net(X)
    assert not net.mean.data().any()
    net(X * 5, training=True)
    np.testing.assert_array_equal(net.mean.data(), [5, 5, 5])
    assert net.mean.grad_req == 'null'
    assert not net(X * 5).any()


def test_an_attribute_named_like_a_method_of_block_is_refused():
    class Bad(nn.Block):
        def __init__(self):
            self.initialize = 3

    with pytest.raises(ArgumentError, match='choose'):
        Bad()
    net = MLP()
    with pytest.raises(ArgumentError, match='choose'):
        net.collect_params = nn.Dense(3)


@pytest.mark.parametrize(
    'name', ['_hybrid', '_ready', '_structure', '_path', '_run', '_token', '_parents', '_declared']
)
def test_an_attribute_that_the_machinery_uses_is_refused_or_reads_back(name):
    class Odd(nn.Block):
        def __init__(self):
            setattr(self, name, 'mine')
            self.dense = nn.Dense(2)

        def forward(self, x):
            return self.dense(x)

    try:
        net = Odd()
    except GluonError:
        return
    net.initialize()
    assert net(X).shape == (2, 2)
    assert getattr(net, name) == 'mine'


def test_assignment_in_the_forward_of_a_block_is_refused():
    class Bad(nn.Block):
        def forward(self, x):
            self.last = x
            return x

    net = Bad()
    net.initialize()
    with pytest.raises(FrozenError, match="cannot set 'last'"):
        net(X)
    assert not hasattr(net, 'last')


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=['deepcopy', 'pickle']
)
@pytest.mark.parametrize('make', [lambda: mlp(4, 2), MLP, Containers], ids=['Sequential', 'class', 'containers'])
@pytest.mark.parametrize('state', ['fresh', 'deferred', 'ready'])
def test_networks_are_copied_and_pickled_in_every_state(copied, make, state):
    net = make()
    if state != 'fresh':
        net.initialize(init.Normal(1), key=3)
    if state == 'ready':
        net(X)
    twin = copied(net)
    if state == 'fresh':
        net.initialize(init.Normal(1), key=3)
        twin.initialize(init.Normal(1), key=3)
    same_bits(twin(X), net(X))
    same_bits(twin.params, net.params)
    name = next(iter(net.collect_params()))
    twin.collect_params()[name].set_data(jnp.zeros(twin.collect_params()[name].shape))
    assert net.collect_params()[name].data().any()
    assert not np.array_equal(jax.tree.leaves(twin(X))[0], jax.tree.leaves(net(X))[0])
    assert repr(twin) == repr(net)


def test_a_copy_is_tied_to_nothing():
    net = ready(3)
    assert len(nn.Sequential(net, copy.deepcopy(net)).collect_params()) == 4


def test_windows_are_picklable():
    net = ready(4)
    window = pickle.loads(pickle.dumps(net[0]))
    assert isinstance(window, nn.Dense)
    assert window.units == 4
    same_bits(window(X), net[0](X))


def test_summary_counts_tied_parameters_once(capsys):
    shared = nn.Dense(3)
    net = nn.Sequential(shared, nn.BatchNorm(), shared)
    net.summary(X)
    out = capsys.readouterr().out
    assert '0 (Dense)' in out
    assert '(2, 3)' in out
    assert 'parameters: 24; trainable: 18; other: 6' in out
    assert net[0].weight.shape == (3, None)
    with pytest.raises(UninitializedError):
        net[0].weight.data()


def test_attributes_of_users_layers_are_read_through_windows():
    class Tower(Layer):
        def __init__(self, size):
            self.size = size
            self.rows = [nn.Dense(size), nn.Dense(size)]
            self.heads = {'a': nn.Dense(1)}

        @property
        def depth(self):
            return len(self.rows)

        def forward(self, x):
            return self.heads['a'](self.rows[1](self.rows[0](x)))

    net = nn.Sequential(Tower(4))
    net.initialize()
    net(X)
    tower = net[0]
    assert isinstance(tower, Tower)
    assert (tower.size, tower.depth, len(tower.rows)) == (4, 2, 2)
    assert tower.rows[0] is net[0].rows[0]
    assert tower.rows[0].weight is net.collect_params()['0.rows.0.weight']
    assert tower.heads['a'].weight.data().shape == (1, 4)
    assert tower.rows[0](X).shape == (2, 4)
    np.testing.assert_allclose(tower(X), net(X), rtol=1e-6)
    with pytest.raises(FrozenError, match='frozen'):
        tower.size = 5
    with pytest.raises(AttributeError):
        _ = tower.nothing


@pytest.mark.parametrize(
    'hide',
    [
        lambda layer: {layer},
        lambda layer: frozenset([layer]),
        lambda layer: collections.deque([layer]),
        lambda layer: functools.partial(layer, 1),
        lambda layer: [{layer}],
        lambda layer: (one for one in [layer]),
        lambda layer: map(nn.Dense, [2]),
        lambda layer: iter([layer]),
        lambda layer: zip([layer], 'a', strict=True),
        lambda layer: collections.UserDict(a=layer),
        lambda layer: collections.ChainMap({'a': layer}),
        lambda layer: types.MappingProxyType({'a': layer}),
        lambda layer: {'a': layer}.values(),
        lambda layer: types.SimpleNamespace(a=[layer]),
        lambda layer: Kept(Kept(layer)),
        lambda layer: Held(layer),
        lambda layer: lambda x: layer(x),
        lambda layer: lambda x, layer=layer: layer(x),
        lambda layer: functools.lru_cache(lambda x: layer(x)),
        lambda layer: jax.jit(lambda x: layer(x)),
        lambda layer: layer.forward,
        lambda layer: np.array({'a': layer}),
        lambda layer: {layer: 1},
        lambda layer: [{('a', layer): 1}],
        lambda layer: type('Layers', (list,), {})([layer]),
    ],
)
@pytest.mark.parametrize('base', [Layer, Block])
def test_layers_that_would_have_no_names_are_refused(base, hide):
    class Hiding(base):
        def __init__(self, value):
            self.value = value

    for layer in (nn.Dense(2), nn.Sequential(nn.Dense(2))):
        with pytest.raises(
            ArgumentError, match=r'(?s)Hiding\.value.*(layers in|items have no names).*expected: a list'
        ):
            Hiding(hide(layer))
    assert Hiding({1, 2}).value == {1, 2}


class Held:
    def __init__(self, layer):
        self.layers = {'a': layer}


Kept = dataclasses.make_dataclass('Kept', ['layer'])


def test_objects_that_may_hold_networks():
    class Agent(Block):
        def __init__(self):
            self.dense = nn.Dense(1, in_units=1)
            self.log = types.SimpleNamespace(owner=None)
            self.back = Back(self)
            loss = gluonjax.loss.L2Loss()
            self.loss = lambda y, t: loss(y, t)

        def forward(self, x):
            return self.dense(x)

    class Back:
        def __init__(self, owner):
            self.owner = owner

    agent = Agent()
    agent.trainer = gluonjax.Trainer(agent, gluonjax.loss.L2Loss(), 'sgd')
    assert list(agent.collect_params()) == ['dense.weight', 'dense.bias']


class Calling(Block):
    def __init__(self):
        self.dense = nn.Dense(1, in_units=1)
        self.calls = {
            'lambda': lambda x: self.dense(x),
            'default': lambda x, net=self: net.dense(x),
            'method': self.encode,
            'partial': functools.partial(self.encode, twice=True),
            'vmap': jax.vmap(lambda x: self.dense(x[None])[0]),
            'recursive': self.recursive(),
        }

    def recursive(self):
        def call(x, depth=2):
            return call(x, depth - 1) if depth else self.dense(x)

        return call

    def encode(self, x, twice=False):
        return self.dense(x) * (1 + twice)

    def forward(self, x, way='lambda'):
        return self.calls[way](x)


@pytest.mark.parametrize('way', ['lambda', 'default', 'method', 'partial', 'vmap', 'recursive'])
def test_functions_of_fields_that_call_layers_have_gradients(way):
    net = Calling()
    net.initialize('ones')
    copied = copy.deepcopy(net)
    gradients = jax.grad(lambda params: net.apply(params, jnp.full((2, 1), 3.0), way=way).sum())(net.params)
    assert gradients['dense']['weight'] == 6 * (1 + (way == 'partial'))
    net.dense.weight.set_data([[5.0]])
    assert net(jnp.ones((1, 1)), way=way) == 5 * (1 + (way == 'partial'))
    assert copied(jnp.ones((1, 1)), way=way) == 1 + (way == 'partial')


def test_functions_of_a_layer_that_call_its_layers():
    class Doubling(Layer):
        def __init__(self):
            self.dense = nn.Dense(1, in_units=1)
            self.call = lambda x: 2 * self.dense(x)

        def forward(self, x):
            return self.call(x)

    layer = Doubling()
    params = layer.init(0, init='ones')
    assert layer.apply(params, jnp.ones((1, 1))) == 2
    net = nn.Sequential(layer, layer)
    net.initialize('ones')
    assert net(jnp.ones((1, 1))) == 4
    with pytest.raises(ArgumentError, match=r'(?s)Lambda\.function keeps layers in a function.*call it in forward'):
        nn.Lambda(lambda x: layer(x))


@pytest.mark.parametrize('base', [Layer, Block])
def test_a_layer_in_a_class_is_refused(base):
    class Shared(base):
        dense = nn.Dense(2)

    with pytest.raises(ArgumentError, match=r'(?s)Shared\.dense is an attribute of the class.*__init__'):
        Shared()
    for several in ([nn.Dense(2)], {'a': nn.Dense(2)}):
        with pytest.raises(ArgumentError, match=r'Many\.layers is an attribute of the class'):
            type('Many', (base,), {'layers': several})()


def test_a_param_as_the_default_of_a_dataclass_is_refused():
    @dataclasses.dataclass
    class Shared(Layer):
        weight: object = Param((2,))

    with pytest.raises(ArgumentError, match=r'(?s)Shared\.weight.*default_factory'):
        Shared()

    @dataclasses.dataclass
    class Separate(Layer):
        weight: object = dataclasses.field(default_factory=lambda: Param((2,), init='ones'))

        def forward(self, x):
            return x + self.weight

    layer = Separate()
    assert (layer.apply(layer.init(0), jnp.zeros(2)) == 1).all()


@pytest.mark.parametrize('put', [lambda self: self, lambda self: [self], lambda self: {'a': (self,)}])
def test_a_layer_that_holds_itself_is_refused(put):
    class Loop(Layer):
        def __init__(self):
            self.inner = put(self)

    with pytest.raises(ArgumentError, match=r'(?s)Loop\.inner.* is the layer itself'):
        Loop()


@pytest.mark.parametrize('base', [Layer, Block])
def test_an_overridden_call_is_refused_when_the_class_is_made(base):
    with pytest.raises(ArgumentError, match=r'(?s)Calling overrides __call__.*override forward'):

        class Calling(base):
            def __call__(self, x):
                return x


@pytest.mark.parametrize(('base', 'name'), [(Layer, '_taken'), (Layer, '_remark'), (Block, '_remedy')])
def test_private_names_of_the_library_are_refused_in_classes(base, name):
    with pytest.raises(ArgumentError, match=rf"Bad defines \['{name}'\], which gluonjax uses itself"):
        type('Bad', (base,), {name: lambda self: 3})


@pytest.mark.parametrize('base', [Layer, Block])
@pytest.mark.parametrize('name', ['apply', '_hooks', '_frozen'])
def test_names_of_the_library_are_refused_as_fields(base, name):
    with pytest.raises(ArgumentError, match=f'(?s)would hide.*{name}'):
        type('Bad', (base,), {'__init__': lambda self: setattr(self, name, 3)})()


def test_a_mixin_that_overrides_call_is_refused():
    class Doubling:
        def __call__(self, x):
            return 2 * super().__call__(x)

    for base in (Block, Layer, nn.Sequential, nn.Dense):
        with pytest.raises(ArgumentError, match='overrides __call__'):
            type('Doubled', (Doubling, base), {})
        type('Undoubled', (base, Doubling), {})  # whose call is the base's


def test_generic_classes_and_protocols():
    class Encoder(Protocol):
        def encode(self, x): ...

    class Generically(Block, Encoder, Generic[T]):
        def __init__(self):
            self.dense = nn.Dense(2, in_units=1)

        def encode(self, x):
            return self.dense(x)

        def forward(self, x):
            return self.encode(x)

    net = Generically[int]()
    net.initialize('ones', key=0)
    outer = nn.Sequential(net, Generically[str]())
    outer.initialize('ones')
    np.testing.assert_array_equal(outer[:1](jnp.ones((1, 1))), [[1, 1]])
    assert set(net.collect_params()) == {'dense.weight', 'dense.bias'}


def test_an_output_that_is_no_pytree_is_refused_by_name():
    class Answer(collections.OrderedDict):
        pass

    class Net(Block):
        def forward(self, x):
            return Answer(y=[x])

    net = Net()
    net.initialize()
    with pytest.raises(TransformationError, match='returns a Answer, which is no pytree'):
        net(jnp.ones(2))
    net.hybridize(active=False)
    assert type(net(jnp.ones(2))) is Answer


def test_an_abstract_layer():
    class Encoder(Layer, abc.ABC):
        @abc.abstractmethod
        def encode(self, x): ...

    class Real(Encoder):
        def encode(self, x):
            return x + 1

        def forward(self, x):
            return self.encode(x)

    with pytest.raises(TypeError, match='abstract'):
        Encoder()  # pyright: ignore[reportAbstractUsage]
    assert Real().apply({}, 1) == 2


def test_definitions_nested_deeply():
    net = nn.Dense(2)
    for _ in range(160):
        net = nn.Sequential(net)
    net.initialize(key=0)
    assert net(jnp.ones((1, 2))).shape == (1, 2)
