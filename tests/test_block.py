"""The stateful half, sentence by sentence: networks, their parameters, and what a call may and may not do."""

import copy
import gc
import pickle
import threading
import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gluonjax
from gluonjax import Block, Layer, Param, init, nn
from gluonjax.errors import (
    ArgumentError,
    DeferredInitializationError,
    DonatedError,
    FrozenError,
    GluonError,
    ParamsError,
    PatternError,
    ShapeError,
    TieError,
    TransformationError,
    UninitializedError,
)
from gluonjax.layer import leaves_of

X = jnp.ones((2, 3))
KEY = jax.random.key(0)


class MLP(nn.Block):
    """A class as Gluon users write it; no super().__init__()."""

    def __init__(self, units=4):
        self.hidden = nn.Dense(units, activation='relu')
        self.output = nn.Dense(1)

    def forward(self, x):
        return self.output(self.hidden(x))


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


class Counting(init.Initializer):
    """Notes every run of its Python."""

    def __init__(self):
        self.runs = []

    def init_weight(self, key, shape, dtype, name):
        self.runs.append(name)
        return jax.random.uniform(key, shape, dtype)


def mlp(*sizes, **kwargs):
    return nn.Sequential(*(nn.Dense(size, **kwargs) for size in sizes))


def ready(*sizes, x=X, **kwargs):
    net = mlp(*sizes, **kwargs)
    net.initialize()
    net(x)
    return net


def values(net):
    """Every cell's value, or None; what a failed call must leave as it is."""
    return {name: cell._array for name, cell in net.collect_params().items()}


def concrete(net):
    return all(
        isinstance(cell.data(), jax.Array) and not isinstance(cell.data(), jax.core.Tracer)
        for cell in net.collect_params().values()
    )


def same_bits(a, b):
    chex.assert_trees_all_equal_shapes_and_dtypes(a, b)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, a), jax.tree.map(np.asarray, b))


# Deferred initialization.


def test_parameters_tell_what_is_missing():
    net = mlp(4)
    with pytest.raises(UninitializedError, match=r"(?s)'0.weight' has not been initialized.*net\.initialize\(\)"):
        net[0].weight.data()
    net.initialize()
    with pytest.raises(
        DeferredInitializationError, match=r"(?s)'0.weight'.*\(4, None\) waits for the first input.*net\(x\)"
    ):
        net[0].weight.data()
    net(X)
    assert type(net[0].weight.data()) is type(X)


def test_known_shapes_are_drawn_at_once_and_the_rest_waits():
    net = nn.Sequential(nn.Dense(4, in_units=3), nn.Dense(2))
    net.initialize()
    assert net[0].weight.data().shape == (4, 3)
    assert net[1].bias.data().shape == (2,)
    with pytest.raises(DeferredInitializationError, match=r"'1\.weight'"):
        net[1].weight.data()


@pytest.mark.parametrize('in_units', [None, 3])
def test_a_value_is_the_same_drawn_lazily_or_at_once_and_by_the_pure_half(in_units):
    net = nn.Sequential(nn.Dense(4, in_units=in_units), nn.Dense(2))
    net.initialize(init.Normal(1), key=7)
    net(X)
    same_bits(net.params, net.init(7, X, init=init.Normal(1)))


def test_a_part_asked_gives_what_its_layer_alone_would_give():
    net = mlp(4, 2)
    net[0].initialize(key=3)
    net[1].initialize(key=3)
    net(X)
    same_bits(net[0].params, nn.Dense(4).init(3, X))
    same_bits(net[1].params, nn.Dense(2).init(3, jnp.ones((2, 4))))


@pytest.mark.parametrize(
    'key', [5, jax.random.key(5), jax.random.PRNGKey(5), np.int64(5)], ids=['int', 'typed', 'old', 'numpy']
)
def test_keys_of_every_kind(key):
    a, b = mlp(4), mlp(4)
    a.initialize(key=key)
    b.initialize(key=5)
    a(X)
    b(X)
    same_bits(a.params, b.params)


def test_without_a_key_the_library_stream_decides():
    def draw():
        return ready(4).params

    gluonjax.seed(3)
    first, second = draw(), draw()
    gluonjax.seed(3)
    same_bits(draw(), first)
    assert not np.array_equal(first['0']['weight'], second['0']['weight'])


def test_a_second_initialize_leaves_values_and_force_reinit_does_not():
    net = ready(4)
    before = net.params
    net.initialize(init.Constant(9))
    same_bits(net.params, before)
    net.initialize(init.Constant(9), force_reinit=True)
    assert (net[0].weight.data() == 9).all()
    assert not net[0].bias.data().any()  # it has its own initializer


def test_the_last_wish_of_a_width_stands():
    net = mlp(4)
    net.initialize(init.Constant(1))
    net.initialize(init.Constant(2))
    net(X)
    assert (net[0].weight.data() == 2).all()


NARROWER = {
    'a parameter': lambda net, w: net[0].weight.initialize(w),
    'a layer': lambda net, w: net[0].initialize(w),
    'a pattern': lambda net, w: net.collect_params('0.*').initialize(w),
    'a slice': lambda net, w: net[:1].initialize(w),
}


@pytest.mark.parametrize(
    'copied',
    [lambda net: net, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=['itself', 'deepcopy', 'pickle'],
)
@pytest.mark.parametrize('part', NARROWER)
def test_a_wish_made_for_a_narrower_part_stands_until_force(part, copied):
    net = mlp(4, 2)
    NARROWER[part](net, init.Constant(5))
    net = copied(net)
    net.initialize(init.Constant(6))
    forced = copied(net)
    net(X)
    assert float(net[0].weight.data().min()) == 5
    assert float(net[1].weight.data().min()) == 6
    forced.initialize(init.Constant(7), force_reinit=True)
    forced(X)
    assert float(forced[0].weight.data().min()) == 7


@pytest.mark.parametrize(
    'whole',
    [lambda net: net.collect_params(), lambda net: nn.Sequential(net)],
    ids=['all parameters', 'a network around'],
)
def test_a_wish_of_the_same_width_or_wider_replaces(whole):
    net = mlp(4, 2)
    outer = whole(net)
    outer.initialize(init.Constant(5))
    (net if not isinstance(outer, Block) else outer).initialize(init.Constant(6))
    net(X)
    assert float(net[0].weight.data().min()) == 6


def test_a_failed_call_changes_nothing_and_a_retry_draws_the_same_numbers():
    broken = [True]

    def gate(x):
        if broken:
            raise ValueError('not yet')
        return x

    net = nn.Sequential(nn.Dense(4), nn.Lambda(gate), nn.Dense(2))
    net.initialize(key=3)
    before = values(net)
    with pytest.raises(ValueError, match='not yet'):
        net(X)
    assert values(net) == before
    assert net[0].weight.shape == (4, None)
    broken.clear()
    net(X)
    same_bits(net.params, net.init(3, X))


def test_a_call_that_fails_when_it_runs_changes_nothing():
    def refuse(x):
        raise RuntimeError('at run time')

    net = nn.Sequential(nn.Dense(4), nn.BatchNorm())
    net.add(nn.Lambda(lambda x: jax.pure_callback(refuse, x, x)))
    net.initialize()
    before = values(net)
    for training in (False, True):
        with pytest.raises(Exception, match='at run time'):
            jax.block_until_ready(net(X, training=training))
        assert all(values(net)[name] is value for name, value in before.items())


def test_a_failed_initialize_changes_nothing():
    net = nn.Sequential(nn.Dense(4, in_units=3), nn.Dense(2))
    net.initialize()
    before = values(net)

    def fail(key, shape, dtype):
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        net.initialize({r'0\.weight': init.Constant(3), r'0\.bias': fail}, force_reinit=True)
    assert all(values(net)[name] is value for name, value in before.items())
    net(X)
    assert net[1].weight.data().shape == (2, 4)


def test_a_failed_initialize_takes_nothing_from_the_stream():
    net, fails = mlp(4, in_units=3), lambda key, shape, dtype: jnp.ones(9)
    with pytest.raises(ShapeError, match='gave'):
        net.initialize(fails)
    net.initialize()
    first = net.params
    gluonjax.seed(0)
    net.initialize(force_reinit=True)
    same_bits(net.params, first)


def test_a_failed_training_call_draws_the_same_mask_when_tried_again():
    broken = [True]

    def gate(x):
        if broken:
            raise ValueError('not yet')
        return x

    net = nn.Sequential(nn.Dropout(0.5), nn.Lambda(gate))
    net.initialize()
    x = jnp.ones((30, 30))
    with pytest.raises(ValueError, match='not yet'):
        net(x, training=True)
    broken.clear()
    first = net(x, training=True)
    gluonjax.seed(0)
    same_bits(net(x, training=True), first)


def test_a_printing_initializer_runs_once_per_parameter():
    distribution = Counting()
    net = mlp(4, 2)
    net.initialize(distribution)
    assert distribution.runs == []
    net(X)
    assert distribution.runs == ['0.weight', '1.weight']
    net(X)
    net(jnp.ones((5, 3)))
    net(X, training=True)
    net.initialize()
    assert len(distribution.runs) == 2
    net.initialize(distribution, force_reinit=True)
    assert distribution.runs == ['0.weight', '1.weight'] * 2


def test_verbose_prints_each_parameter_when_it_is_drawn(capsys):
    net = nn.Sequential(nn.Dense(4, in_units=3), nn.Dense(2))
    net.initialize(init.Normal(0.5), verbose=True)
    at_once = capsys.readouterr().out
    assert at_once.count('\n') == 3
    assert '0.weight (4, 3)' in at_once
    assert 'Normal' in at_once
    net(X)
    assert '1.weight (2, 4)' in capsys.readouterr().out
    net(X)
    assert capsys.readouterr().out == ''


# Who wins.


def test_given_for_the_parameter_wins_over_pattern_over_declared_over_general():
    net = nn.Sequential(*(nn.Dense(2, in_units=2, weight_initializer=w) for w in (None, 'ones', 'ones', 'ones')))
    net[3].weight.initialize(init.Constant(30))
    net.initialize({r'2\.weight': init.Constant(20)})
    assert [float(net[i].weight.data().max()) for i in (1, 2, 3)] == [1, 20, 30]
    assert 0 < float(jnp.abs(net[0].weight.data()).max()) <= 0.07
    net.initialize(init.Constant(10), force_reinit=True)
    assert [float(layer.weight.data().max()) for layer in net] == [10, 1, 1, 1]


def test_the_general_initializer_dispatches_by_last_name_and_the_others_do_not():
    net = nn.Sequential(nn.Dense(2, in_units=2, bias_initializer=None), nn.BatchNorm(in_channels=2))
    net.initialize(init.Constant(5))
    maxima = {name: float(cell.data().max()) for name, cell in net.collect_params().items()}
    assert maxima == {'0.weight': 5, '0.bias': 0, '1.gamma': 1, '1.beta': 0, '1.running_mean': 0, '1.running_var': 1}
    net.initialize({'.*': init.Constant(5)}, force_reinit=True)
    assert {float(cell.data().max()) for cell in net.collect_params().values()} == {5}
    net[0].bias.initialize(init.Constant(3), force_reinit=True)
    assert float(net[0].bias.data().max()) == 3
    declared = nn.Sequential(nn.Dense(2, in_units=2, bias_initializer=init.Constant(4)))
    declared.initialize()
    assert float(declared[0].bias.data().max()) == 4


def test_patterns_that_match_nothing_are_refused_and_nothing_happens():
    net = mlp(4, in_units=3)
    for call in (
        lambda: net.initialize({'nothing': 'zeros'}),
        lambda: net.collect_params('nothing'),
        lambda: net.collect_params().initialize({'.*weight': 'zeros', 'nothing': 'ones'}),
    ):
        with pytest.raises(PatternError, match=r"(?s)no parameter matches 'nothing'.*0\.weight"):
            call()
    assert set(values(net).values()) == {None}


# Parameter.


def test_a_parameter_says_its_name_shape_and_dtype():
    net = mlp(4)
    weight = net[0].weight
    assert (weight.name, weight.shape, weight.dtype) == ('0.weight', (4, None), 'float32')
    assert repr(weight) == 'Parameter 0.weight (shape=(4, None), dtype=float32)'
    assert repr(net.collect_params()).splitlines()[0] == repr(weight)
    outer = nn.Sequential(nn.Identity(), net)
    assert weight.name == '1.0.weight'
    del outer
    gc.collect()
    assert weight.name == '0.weight'


def test_set_data_casts_and_completes_the_shape():
    net = mlp(4)
    net[0].weight.set_data(np.ones((4, 3), 'float64'))
    assert net[0].weight.shape == (4, 3)
    assert net[0].weight.data().dtype == 'float32'
    net[0].bias.set_data([1, 2, 3, 4])
    np.testing.assert_array_equal(net(X)[0], [4, 5, 6, 7])
    with pytest.raises(ShapeError, match=r"(?s)'0.weight' cannot take this value.*\(4, 3\).*\(4, 9\)"):
        net[0].weight.set_data(jnp.ones((4, 9)))
    np.testing.assert_array_equal(net[0].weight.data(), jnp.ones((4, 3)))


def test_set_data_is_a_wish_come_true():
    net = mlp(4)
    net.initialize()
    net[0].weight.set_data(jnp.full((4, 3), 2.0))
    net(X)
    assert (net[0].weight.data() == 2).all()


def test_items_are_set_and_read():
    net = mlp(2, in_units=2)
    net.initialize('zeros')
    before = net[0].weight.data()
    net[0].weight[:] += 1
    net[0].weight[0, 0] = 42
    np.testing.assert_array_equal(net[0].weight.data(), [[42, 1], [1, 1]])
    np.testing.assert_array_equal(net[0].weight[0], [42, 1])
    assert not before.any()
    assert net[0].weight.data().dtype == 'float32'


def test_calls_see_every_change_of_a_value():
    net = ready(4, x=X)
    for change in (
        lambda: net[0].weight.set_data(jnp.ones((4, 3))),
        lambda: net[0].weight.__setitem__((0, 0), 5),
        lambda: setattr(net, 'params', jax.tree.map(jnp.zeros_like, net.params)),
        lambda: net.initialize(init.Constant(3), force_reinit=True),
    ):
        before = net(X)
        change()
        np.testing.assert_allclose(net(X), net.apply(net.params, X), rtol=1e-6)
        assert not np.array_equal(net(X), before)


def test_grad_req_null_freezes():
    net = ready(4, 2)
    net[0].collect_params().setattr('grad_req', 'null')
    assert net[0].weight.grad_req == 'null'
    assert net.trainable(net.params) == {
        '0': {'weight': False, 'bias': False},
        '1': {'weight': True, 'bias': True},
    }
    assert sorted(net.partition(net.params)[0]) == ['1']
    net.collect_params().setattr('grad_req', 'write')
    assert all(jax.tree.leaves(net.trainable(net.params)))
    with pytest.raises(ArgumentError, match=r"(?s)grad_req is unknown.*'write', 'add' or 'null'"):
        net[0].weight.grad_req = 'maybe'


def test_freezing_and_thawing_a_network_with_statistics_works_as_in_gluon():
    net = nn.Sequential(nn.Dense(2, in_units=2), nn.BatchNorm(in_channels=2))
    before = {name: cell.grad_req for name, cell in net.collect_params().items()}
    net.collect_params().setattr('grad_req', 'null')
    net.collect_params().setattr('grad_req', 'write')
    assert {name: cell.grad_req for name, cell in net.collect_params().items()} == before


def test_lr_mult_and_wd_mult_are_there():
    net = mlp(2)
    assert (net[0].weight.lr_mult, net[0].weight.wd_mult) == (1.0, 1.0)
    net.collect_params('.*bias').setattr('wd_mult', 0.0)
    assert (net[0].bias.wd_mult, net[0].weight.wd_mult) == (0.0, 1.0)


def test_collect_params_selects_by_pattern():
    net = nn.Sequential(nn.Dense(2), nn.Sequential(nn.Dense(2)))
    assert list(net.collect_params()) == ['0.weight', '0.bias', '1.0.weight', '1.0.bias']
    assert list(net.collect_params('.*weight')) == ['0.weight', '1.0.weight']
    assert list(net.collect_params('1')) == ['1.0.weight', '1.0.bias']  # from the beginning, not to the end
    assert list(net.collect_params('.*weight|.*bias')) == list(net.collect_params())
    assert net.collect_params()['1.0.weight'] is net[1][0].weight


def test_cast_changes_parameters_and_results():
    net = nn.Sequential(nn.Dense(4), nn.BatchNorm())
    net.initialize()
    net(X)
    net.cast('float16')
    assert {name: cell.data().dtype.name for name, cell in net.collect_params().items()} == {
        name: 'float16' if name.startswith('0') else 'float32' for name in net.collect_params()
    }
    assert net(X.astype('float16')).dtype == 'float16'
    net.collect_params()['0.weight'].cast('bfloat16')
    assert net[0].weight.data().dtype == 'bfloat16'
    assert net[0].weight.dtype == 'bfloat16'
    assert net.specs(X)['0.weight'].dtype == 'bfloat16'


def test_cast_before_the_first_input():
    net = mlp(4)
    net.cast('float16')
    net.initialize()
    assert net(X.astype('float16')).dtype == 'float16'
    assert net[0].weight.data().dtype == 'float16'


def test_habits_of_gluon_are_shown_the_way():
    net = ready(2)
    with pytest.raises(GluonError, match=r'jax\.grad'):
        net[0].weight.grad()
    with pytest.raises(TypeError, match='immutable'):
        net[0].weight.data()[:] = 1
    with pytest.raises(GluonError, match=r'jax\.value_and_grad'):
        gluonjax.autograd.record()


# net.params.


def test_params_are_the_nested_dict_of_values():
    net = ready(4)
    assert net.params['0']['weight'] is net[0].weight.data()
    np.testing.assert_allclose(net(X), net.apply(net.params, X), rtol=1e-6)
    net.params['0']['weight'] = 0  # a fresh dict each time
    assert net.params['0']['weight'] is net[0].weight.data()


def test_params_before_values_say_what_is_missing():
    net = mlp(4)
    with pytest.raises(UninitializedError, match=r"'0.weight'"):
        _ = net.params
    net.initialize()
    with pytest.raises(DeferredInitializationError, match=r"'0.weight'"):
        _ = net.params


def test_params_can_be_assigned_before_anything_else():
    net = mlp(4)
    net.params = nn.Sequential(nn.Dense(4)).init(3, X)
    same_bits(net.params, net.init(3, X))
    assert net(X).shape == (2, 4)


def test_assigning_params_names_every_difference_and_changes_nothing():
    net = ready(4, 2)
    before = net.params
    wrong = {
        '0': {'weight': jnp.ones((4, 9)), 'bias': jnp.ones(4, 'float16')},
        '1': {'weight': jnp.ones((2, 4))},
        'more': jnp.ones(()),
    }
    with pytest.raises(ParamsError) as error:
        net.params = wrong
    for line in (
        'missing: 1.bias (2,)',
        'extra: more ()',
        'shape of 0.weight: expected (4, 3), got (4, 9)',
        'dtype of 0.bias: expected float32, got float16',
        'net.cast(dtype)',
    ):
        assert line in str(error.value)
    same_bits(net.params, before)


# The definition.


def test_the_definition_is_immutable_and_the_same_until_the_network_changes():
    net = mlp(4)
    definition, apply = net.definition, net.apply
    net.initialize()
    net(X)
    net[0].bias.set_data(jnp.ones(4))
    assert net.definition is definition
    assert net.apply is apply
    with pytest.raises(FrozenError):
        definition.more = 1
    net.add(nn.Dense(2))
    assert net.definition is not definition
    assert net.apply is not apply
    assert len(leaves_of(definition)) == 2


@pytest.mark.parametrize('name', ['init', 'apply', 'apply_train', 'specs', 'trainable', 'partition', 'reinit'])
def test_the_pure_functions_are_the_pictures_own(name):
    net = mlp(4)
    assert getattr(net, name) is getattr(net, name)
    assert getattr(net, name).__self__ is net.definition


def test_the_definition_follows_changes_of_inner_networks():
    inner = nn.Sequential(nn.Dense(4))
    middle = MLP()
    middle.hidden = inner
    outer = nn.Sequential(middle)
    before, part = outer.apply, outer[:1].apply
    inner.add(nn.Dense(5))
    assert outer.apply is not before
    assert outer[:1].apply is not part
    assert '0.hidden.1.weight' in outer.collect_params()


def test_a_jitted_apply_is_never_stale():
    net = mlp(4)
    net.initialize()
    net(X)
    assert jax.jit(net.apply)(net.params, X).shape == (2, 4)
    net.add(nn.Dense(7))
    net.initialize()
    net(X)
    assert jax.jit(net.apply)(net.params, X).shape == (2, 7)


def test_a_changed_attribute_changes_the_network():
    net = MLP()
    net.initialize()
    assert net(X).shape == (2, 1)
    net.output = nn.Dense(6)
    net.initialize()
    assert net(X).shape == (2, 6)


def test_a_deleted_attribute_is_gone_or_refused():
    net = MLP()
    net.collect_params()
    try:
        del net.output
    except GluonError:
        return
    assert list(net.collect_params()) == ['hidden.weight', 'hidden.bias']


# Sharing and ties.


def test_tied_names_are_one_parameter_from_the_start():
    shared = nn.Dense(8)
    net = nn.Sequential(shared, nn.Dense(8, params=shared.params), shared)
    assert net[0].weight is net[1].weight is net[2].weight


def test_values_set_in_a_tied_network_before_it_is_used_are_one_value():
    shared = nn.Dense(3)
    net = nn.Sequential(shared, shared)
    net[0].weight.set_data(jnp.ones((3, 3)))
    net[1].weight.set_data(jnp.zeros((3, 3)))
    net.initialize()
    assert not net[0].weight.data().any()


def test_networks_tied_by_an_outer_one_share_from_then_on():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    assert a[0].weight is not b[0].weight
    outer = nn.Sequential(a, b)
    a.initialize()
    b.initialize()
    assert a[0].weight is b[0].weight
    assert outer(X).shape == (2, 3)


def test_a_bare_layer_in_two_networks_has_separate_parameters():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize('ones')
    b.initialize('zeros')
    assert float(a[0].weight.data().max()) == 1
    assert float(b[0].weight.data().max()) == 0


def test_brought_together_one_cell_wins():
    bare = nn.Dense(3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize(init.Constant(5))
    a(X)
    net = nn.Sequential(b, a)
    assert list(net.collect_params()) == ['0.0.weight', '0.0.bias']
    assert b[0].weight is a[0].weight
    assert float(b[0].weight.data().max()) == 5


def test_brought_together_two_values_are_refused_by_name_and_nothing_changes():
    bare = nn.Dense(3, in_units=3)
    a, b = nn.Sequential(bare), nn.Sequential(bare)
    a.initialize('ones')
    b.initialize('zeros')
    net = nn.Sequential(a)
    for add in (lambda: net.add(nn.Dense(3), b), lambda: setattr(net, 'other', [b])):
        with pytest.raises(
            TieError, match=r"(?s)'0.0.weight' and '.*0.weight' are one parameter here, and both have values"
        ):
            add()
        assert len(net) == 1
        assert list(net.collect_params()) == ['0.0.weight', '0.0.bias']
    with pytest.raises(TieError):
        nn.Sequential(a, b)
    inner = nn.Sequential()
    outer = nn.Sequential(a, inner)
    with pytest.raises(TieError):
        inner.add(b)
    assert len(inner) == 0
    assert outer(X).shape == (2, 3)
    assert float(b[0].weight.data().max()) == 0
    assert a[0].weight is not b[0].weight


def test_a_nested_network_keeps_its_cells_and_values():
    features = ready(4)
    weight, value = features[0].weight, features[0].weight.data()
    net = nn.Sequential(features, nn.Dense(2))
    net.initialize()
    net(X)
    assert net[0] is features
    assert net[0][0].weight is weight
    assert weight.data() is value
    features[0].weight[:] += 1
    np.testing.assert_array_equal(net.params['0']['0']['weight'], value + 1)


def test_fine_tuning_takes_features_from_one_network_into_another():
    class Model(nn.Block):
        def __init__(self, classes):
            self.features = nn.Sequential(nn.Dense(5, activation='relu'), nn.Dense(4))
            self.output = nn.Dense(classes)

        def forward(self, x):
            return self.output(self.features(x))

    pretrained, tuned = Model(3), Model(7)
    pretrained.initialize()
    pretrained(X)
    tuned.features = pretrained.features
    tuned.output.initialize(init.Xavier())
    assert tuned(X).shape == (2, 7)
    assert tuned.features[1].weight is pretrained.features[1].weight
    assert tuned.output.weight is not pretrained.output.weight
    assert pretrained(X).shape == (2, 3)


def test_gan_style_sharing_moves_both():
    generator, discriminator = ready(3, x=X), nn.Sequential(nn.Dense(1))
    both = nn.Sequential(generator, discriminator)
    both.initialize()
    both(X)
    params = both.params
    both.params = {**params, '0': jax.tree.map(jnp.zeros_like, params['0'])}
    assert not generator(X).any()
    np.testing.assert_allclose(both(X), discriminator(generator(X)), rtol=1e-6)


def test_a_network_inside_itself_is_refused():
    net, outer = mlp(2), nn.Sequential()
    outer.add(net)
    for bring in (lambda: net.add(net), lambda: net.add(outer), lambda: setattr(net, 'me', [{'k': outer}])):
        with pytest.raises(ArgumentError, match='cannot be put inside itself'):
            bring()
    assert len(net) == 1
    assert list(vars(net)) == ['0']


def autoencoder(**kwargs):
    net = nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(2), nn.Dense(2), nn.Dense(3, **kwargs))
    net.tie('3.weight', '0.weight', transform=jnp.transpose)
    return net


def test_a_tie_with_a_transform_is_one_leaf():
    net = autoencoder()
    net.initialize()
    y = net(X)
    assert net[3].weight is net[0].weight
    assert net[3].weight.shape == (2, 3)
    assert sorted(net.params['3']) == ['bias']
    h = net[:3](X)
    np.testing.assert_allclose(y, h @ net[0].weight.data() + net[3].bias.data()[None], rtol=1e-5)
    np.testing.assert_allclose(net[3](h), y, rtol=1e-5)


def test_gradients_of_a_tie_add_up():
    net = autoencoder()
    net.initialize()
    net(X)

    def by_hand(first, last):
        h = X @ first.T
        for i in '12':
            h = h @ net.params[i]['weight'].T
        return (h @ last).sum()

    w = net[0].weight.data()
    gradient = jax.grad(lambda params: net.apply(params, X).sum())(net.params)['0']['weight']
    np.testing.assert_allclose(gradient, sum(jax.grad(by_hand, (0, 1))(w, w)), rtol=1e-5)


def test_a_tie_has_one_state_in_the_optimizer():
    net = autoencoder()
    net.initialize()
    net(X)
    state = optax.adam(0.1).init(net.params)
    assert len(jax.tree.leaves(state[0].mu)) == 7
    assert net.apply(optax.apply_updates(net.params, net.params), X).shape == (2, 3)


def test_a_tie_without_a_transform():
    net = mlp(3, 3)
    net.tie('1.weight', '0.weight')
    net.initialize()
    net(X)
    assert net[1].weight is net[0].weight
    assert list(net.collect_params()) == ['0.weight', '0.bias', '1.bias']
    assert net[1](X).shape == (2, 3)


def test_a_tie_before_shapes_are_known_then_a_call_of_a_part():
    net = mlp(3, 3)
    net.tie('1.weight', '0.weight')
    net.initialize()
    assert net[1](X).shape == (2, 3)
    assert net[0].weight.data().shape == (3, 3)
    assert net(X).shape == (2, 3)


@pytest.mark.parametrize('transform', [None, jnp.transpose])
def test_a_tie_of_wrong_shapes_is_refused_and_nothing_changes(transform):
    net = nn.Sequential(nn.Dense(2, in_units=3), nn.Dense(4, in_units=2))
    net.initialize()
    before, definition = values(net), net.definition
    with pytest.raises(
        TieError, match=r"(?s)'1.weight' cannot be tied to '0.weight'.*\(4, 2\).*\((2, 3|3, 2)\).*transform="
    ):
        net.tie('1.weight', '0.weight', transform=transform)
    assert values(net).keys() == before.keys()
    assert all(values(net)[name] is value for name, value in before.items())
    assert repr(net.definition) == repr(definition)
    assert net(X).shape == (2, 4)


def test_a_tie_of_unknown_names_is_refused():
    net = mlp(2)
    with pytest.raises(PatternError, match=r"'7\.weight'"):
        net.tie('7.weight', '0.weight')


def test_a_tie_survives_copies_and_pickles():
    net = autoencoder()
    net.initialize()
    y = net(X)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin[3].weight is twin[0].weight
        assert twin[3].weight is not net[3].weight
        same_bits(twin(X), y)


def test_a_tie_to_a_source_that_is_tied_already():
    shared = nn.Dense(3, in_units=3)
    net = nn.Sequential(shared, nn.Dense(3), shared)
    net.tie('1.weight', '2.weight')
    net.initialize()
    assert list(net.collect_params()) == ['0.weight', '0.bias', '1.bias']


# First call anywhere.

ANYWHERE = {
    'jit': lambda f: jax.jit(f)(X),
    'grad': lambda f: jax.grad(lambda x: f(x).sum())(X),
    'vmap': lambda f: jax.vmap(f)(X[None]),
    'scan': lambda f: jax.lax.scan(lambda c, x: (c, f(x)), None, X[None]),
    'eval_shape': lambda f: jax.eval_shape(f, X),
    'checkpoint': lambda f: jax.checkpoint(f)(X),
    'jit of vmap of grad': lambda f: jax.jit(jax.vmap(jax.grad(lambda x: f(x).sum())))(X[None]),
    'hessian': lambda f: jax.hessian(lambda x: f(x).sum())(X),
}


@pytest.mark.parametrize('where', ANYWHERE)
def test_a_first_call_anywhere_initializes_once_with_concrete_arrays(where):
    distribution = Counting()
    net = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(2))
    net.initialize(distribution, key=3)
    with jax.checking_leaks():
        ANYWHERE[where](net)
    assert concrete(net)
    before = net.params
    same_bits(before, net.init(3, X, init=Counting()))
    ANYWHERE[where](net)
    same_bits(net.params, before)
    assert distribution.runs == ['0.weight', '2.weight']


@pytest.mark.parametrize(
    'distribution', [init.Uniform(), init.Normal(), init.Orthogonal(), jax.nn.initializers.he_normal()]
)
@pytest.mark.parametrize('where', ['jit', 'vmap', 'scan'])
def test_a_first_call_anywhere_draws_what_a_call_outside_draws(where, distribution):
    net, outside = nn.Sequential(nn.Dense(4)), nn.Sequential(nn.Dense(4))
    for each in (net, outside):
        each.initialize(distribution, key=3)
    ANYWHERE[where](net)
    outside(X)
    same_bits(net.params, outside.params)


def test_inside_a_transformation_a_call_uses_the_values_of_now():
    net = ready(4)
    net[0].weight.set_data(jnp.ones((4, 3)))
    first = jax.jit(lambda x: net(x))(X)
    net[0].weight.set_data(jnp.zeros((4, 3)))
    second = jax.jit(lambda x: net(x) + 0)(X)
    np.testing.assert_array_equal(first, jnp.full((2, 4), 3.0))
    assert not second.any()


def traced_key(t):
    return jax.random.key(jnp.int32(t[0, 0]))


STORES = {
    'set_data': lambda net, t: net[0].weight.set_data(t),
    'items': lambda net, t: net[0].weight.__setitem__((0, 0), t[0, 0]),
    'params': lambda net, t: setattr(net, 'params', {'0': {'weight': t, 'bias': t[0]}}),
    'training input': lambda net, t: net(t, training=True),
    'constant': lambda net, t: net[0].weight.initialize(init.Constant(t), force_reinit=True),
    'scalar constant': lambda net, t: net[0].weight.initialize(init.Constant(t[0, 0]), force_reinit=True),
    'load': lambda net, t: net.initialize(init.Load({'0.weight': t}, 'zeros'), force_reinit=True),
    'function': lambda net, t: net[0].weight.initialize(lambda key, shape, dtype: t, force_reinit=True),
    'key': lambda net, t: net.initialize(key=traced_key(t), force_reinit=True),
    'key of a parameter': lambda net, t: net[0].weight.initialize(key=traced_key(t), force_reinit=True),
    'key of some': lambda net, t: net.collect_params('.*').initialize(key=traced_key(t), force_reinit=True),
    'training key': lambda net, t: net(X, training=True, key=traced_key(t)),
}


@pytest.mark.parametrize('transform', [jax.jit, jax.grad, jax.vmap])
@pytest.mark.parametrize('store', STORES)
def test_a_tracer_is_never_stored(store, transform):
    if transform is jax.grad and 'key' in store:
        pytest.skip('grad does not trace integers')
    net = ready(3)
    before = net.params

    def traced(t):
        STORES[store](net, t)
        return t.sum()

    with pytest.raises(TransformationError):
        transform(traced)(jnp.ones((2, 3, 3) if transform is jax.vmap else (3, 3)))
    assert concrete(net)
    same_bits(net.params, before)


def test_a_wish_never_holds_a_tracer():
    net = mlp(3)

    def wish(t):
        net[0].weight.initialize(init.Constant(t))
        return t

    with pytest.raises(TransformationError):
        jax.jit(wish)(X)
    net.initialize()
    assert net(X).shape == (2, 3)


def test_cast_inside_a_transformation_stores_no_tracer():
    net = ready(3)

    def traced(x):
        net.cast('float16')
        return x

    try:
        jax.jit(traced)(X)
    except TransformationError:
        assert net[0].weight.dtype == 'float32'
    assert concrete(net)
    assert net[0].weight.data().dtype == net[0].weight.dtype


@pytest.mark.parametrize(
    'transform', [jax.jit, lambda f: jax.grad(lambda x: f(x).sum()), lambda f: lambda x: jax.vmap(f)(x[None])]
)
def test_training_inside_a_transformation_is_refused_and_names_apply_train(transform):
    net = nn.Sequential(nn.Dense(3), nn.BatchNorm())
    net.initialize()
    with pytest.raises(TransformationError, match=r'(?s)net\(x, training=True\).*net\.apply_train'):
        transform(lambda x: net(x, training=True))(X)
    assert net[0].weight.shape == (3, None)
    before = (net(X), net.params)[1]
    with pytest.raises(TransformationError, match='apply_train'):
        transform(lambda x: net(x, training=True))(X)
    same_bits(net.params, before)


def test_training_inside_jit_is_refused_where_the_input_is_a_constant_too():
    net = nn.Sequential(nn.Dense(3), nn.Dropout(0.5))
    net.initialize()
    net(X)
    with pytest.raises(TransformationError, match='apply_train'):
        jax.jit(lambda y: net(X, training=True) + y)(1.0)


def test_several_threads_at_once_initialize_once():
    distribution = Counting()
    net = nn.Sequential(nn.Dense(4), nn.Dense(2))
    net.initialize(distribution, key=3)
    start, results = threading.Barrier(8), []

    def run():
        start.wait()
        results.append(np.asarray(net(X)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert distribution.runs == ['0.weight', '1.weight']
    assert len(results) == 8
    assert len({result.tobytes() for result in results}) == 1


def test_a_call_of_an_initialized_network_takes_no_lock():
    entered, leave = threading.Event(), threading.Event()

    def slow(key, shape, dtype):
        entered.set()
        assert leave.wait(20)
        return jnp.ones(shape, dtype)

    done = ready(4)
    done(X)
    waiting, finished = mlp(4), threading.Event()
    waiting.initialize(slow)
    initializing = threading.Thread(target=lambda: waiting(X))
    calling = threading.Thread(target=lambda: (done(X), finished.set()))
    initializing.start()
    assert entered.wait(20)
    calling.start()
    try:
        assert finished.wait(10)
    finally:
        leave.set()
        initializing.join()
        calling.join()


# Calls.


class Attention(nn.Block):
    """Inputs under names that the machinery might use itself."""

    def __init__(self):
        self.dense = nn.Dense(3, flatten=False)

    def forward(self, inputs, values, mask=None, params=None, x=None):
        y = self.dense(inputs) + 10 * values
        return y if mask is None else y * mask


@pytest.mark.parametrize('training', [False, True])
def test_inputs_by_position_and_by_name_are_the_same(training):
    net = Attention()
    net.initialize('ones')
    expected = net(X, 2 * X, X * 3, training=training)
    for inputs, named in (
        ((X, 2 * X), {'mask': X * 3}),
        ((X,), {'values': 2 * X, 'mask': X * 3}),
        ((), {'inputs': X, 'values': 2 * X, 'mask': X * 3}),
    ):
        same_bits(net(*inputs, training=training, **named), expected)
        for hybrid in ({'active': False}, {'static_params': True}, {}):
            net.hybridize(**hybrid)
            chex.assert_trees_all_close(net(*inputs, training=training, **named), expected)


def test_inference_has_no_use_for_a_key():
    net = ready(3)
    same_bits(net(X, training=False, key=1), net(X))


def test_an_index_or_a_value_that_does_not_fit_is_refused():
    net = ready(3)
    before = net[0].weight.data()
    with pytest.raises(IndexError, match=r'0\.weight'):
        net[0].weight[100, 0] = 5
    with pytest.raises(IndexError, match=r'0\.weight'):
        net[0].weight[0, 0, 0]
    with pytest.raises(ShapeError, match=r'(?s)0.weight.*got: \(2, 2\)'):
        net[0].weight[:] = jnp.ones((2, 2))
    assert net[0].weight.data() is before
    net[0].weight[jnp.array([0]), 0] = 2
    assert net[0].weight[0, 0] == 2


def test_a_parameter_reads_as_an_array():
    net = ready(3)
    np.testing.assert_array_equal(np.asarray(net[0].weight), net[0].weight.data())
    np.testing.assert_array_equal(jnp.asarray(net[0].weight), net[0].weight.data())


def test_setattr_reaches_every_parameter():
    net = nn.Sequential(nn.Dense(2), nn.BatchNorm())
    net.setattr('grad_req', 'null')
    assert not any(jax.tree.leaves(net.trainable()))
    net.setattr('grad_req', 'write')
    assert sum(jax.tree.leaves(net.trainable())) == 4  # running statistics stay as they are


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


def test_training_stores_running_statistics():
    net = nn.Sequential(nn.BatchNorm(), nn.Dense(2))
    net.initialize()
    x = jnp.arange(12.0).reshape(4, 3)
    y = net(x, training=True)
    np.testing.assert_allclose(net[0].running_mean.data(), 0.1 * x.mean(0), rtol=1e-5)
    params = net.params
    expected, after = net.apply_train(params, x)
    z = net(x, training=True)
    np.testing.assert_allclose(z, expected, rtol=1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(net.params, after, rtol=1e-6)
    np.testing.assert_allclose(net(x), net.apply(net.params, x), rtol=1e-5)


def test_training_draws_from_the_stream_or_the_key():
    net = nn.Sequential(nn.Dropout(0.5))
    net.initialize()
    x = jnp.ones((20, 20))
    same_bits(net(x, training=True, key=3), net(x, training=True, key=3))
    assert not np.array_equal(net(x, training=True), net(x, training=True))
    same_bits(net(x, training=True, key=3), net.apply_train({}, x, key=3)[0])


def test_an_empty_batch_changes_no_statistics_and_makes_no_nan():
    net = nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(1))
    net.initialize()
    net(X)
    before = net.params
    assert net(jnp.ones((0, 3)), training=True).shape == (0, 1)
    same_bits(net.params, before)
    gradients = jax.grad(lambda p: net.apply_train(p, jnp.ones((0, 3)), key=0)[0].sum())(net.params)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_hybridize_inactive_runs_op_by_op_on_concrete_arrays():
    seen = []

    def look(x):
        seen.append(isinstance(x, jax.core.Tracer))
        return x

    net = nn.Sequential(nn.Dense(2), nn.Lambda(look))
    net.initialize()
    expected = net(X)
    net.hybridize(active=False)
    seen.clear()
    np.testing.assert_allclose(net(X), expected, rtol=1e-6)
    net(X, training=True)
    assert seen == [False, False]
    net.hybridize()
    seen.clear()
    net(X)
    assert not any(x is False for x in seen)


@pytest.mark.parametrize('change', ['set_data', 'params', 'items', 'training', 'initialize', 'cast', 'add'])
def test_static_params_are_rebuilt_when_they_change(change):
    net = nn.Sequential(nn.Dense(3, in_units=3), nn.BatchNorm(in_channels=3))
    net.initialize()
    net.hybridize(static_params=True)
    before = net(X)
    {
        'set_data': lambda: net[0].weight.set_data(jnp.ones((3, 3))),
        'params': lambda: setattr(net, 'params', jax.tree.map(lambda a: a + 1, net.params)),
        'items': lambda: net[0].weight.__setitem__(0, 7),
        'training': lambda: net(X + jnp.arange(3.0)[None], training=True),
        'initialize': lambda: net.initialize(init.Constant(4), force_reinit=True),
        'cast': lambda: net[0].weight.set_data(net[0].weight.data() * 2) or net.cast('float16'),
        'add': lambda: net.add(nn.Lambda(lambda x: x + 1)),
    }[change]()
    assert not np.array_equal(net(X), before)
    np.testing.assert_allclose(net(X), net.apply(net.params, X), rtol=1e-5)


def test_donated_buffers_train_without_warnings():
    net = nn.Sequential(nn.Dense(64), nn.BatchNorm(), nn.Dense(64), nn.Dense(64))
    net.tie('3.weight', '2.weight')
    net.initialize()
    x = jnp.ones((4, 64))
    net(x)
    optimizer = optax.adam(0.01)
    trainable, _ = net.partition(net.params)
    state = optimizer.init(trainable)

    def loss(trainable, rest):
        y, params = net.apply_train(gluonjax.merge(trainable, rest), x)
        return (y**2).mean(), net.partition(params)[1]

    def step(params, state):
        trainable, rest = net.partition(params)
        gradients, rest = jax.grad(loss, has_aux=True)(trainable, rest)
        updates, state = optimizer.update(gradients, state)
        return gluonjax.merge(optax.apply_updates(trainable, updates), rest), state

    step = jax.jit(step, donate_argnums=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for _ in range(3):
            old = net[0].weight.data()
            net.params, state = step(net.params, state)
            assert old.is_deleted()
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(net.params))
    assert net(x).shape == (4, 64)


@pytest.mark.parametrize(
    'distribution',
    [lambda a: {'.*weight': init.Constant(a)}, lambda a: init.Load({'0.weight': a, '1.weight': a})],
    ids=['constant', 'load'],
)
def test_arrays_that_an_initializer_holds_are_not_given_away_with_donated_buffers(distribution):
    given = jnp.ones((3, 3))
    net = mlp(3, 3, in_units=3, use_bias=False)
    net.initialize(distribution(given))
    net.params = jax.jit(lambda params: jax.tree.map(lambda a: a * 2, params), donate_argnums=0)(net.params)
    assert (net[1].weight.data() == 2).all()
    assert not given.is_deleted()
    net.initialize(distribution(given), force_reinit=True)


# Classes, copies, the rest.


def test_classes_port_as_they_are():
    class Ported(nn.HybridBlock):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            with self.name_scope():
                self.dense = nn.Dense(units)
                self.register_child(nn.Dense(2), 'extra')

        def forward(self, x):
            return self.extra(self.dense(x))

    net = Ported(4, prefix='model_')
    net.initialize()
    assert net(X).shape == (2, 2)
    assert list(net.collect_params()) == ['dense.weight', 'dense.bias', 'extra.weight', 'extra.bias']
    net.hybridize()
    assert net(X).shape == (2, 2)


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
@pytest.mark.parametrize('state', ['fresh', 'wishing', 'ready'])
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


def test_a_tie_of_a_parameter_to_itself_is_refused():
    net = nn.Sequential(nn.Dense(3, in_units=3))
    net.initialize()
    before = net(X)
    with pytest.raises(TieError, match='one place'):
        net.tie('0.weight', '0.weight', transform=jnp.transpose)
    same_bits(net(X), before)


def test_a_cast_of_donated_values_changes_nothing():
    net = ready(3)
    jax.jit(lambda array: array + 1, donate_argnums=0)(net[-1].bias.data())
    with pytest.raises(DonatedError):
        net.cast('float16')
    assert {cell.dtype for cell in net.collect_params().values()} == {'float32'}
    with pytest.raises(DonatedError):
        net[-1].bias.cast('float16')
    assert net[-1].bias.dtype == 'float32'
