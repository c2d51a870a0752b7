"""initialize: at once where a shape is known, deferred elsewhere; which initializer wins; what a failure leaves."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import Counting, X, mlp, ready, same_bits, values

import gluonjax
from gluonjax import Block, init, nn, rnn
from gluonjax.errors import (
    AllocationError,
    ArgumentError,
    CallbackError,
    DeferredInitializationError,
    PatternError,
    ShapeError,
    UninitializedError,
)


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
    with pytest.warns(UserWarning, match='all parameters have values'):
        net.initialize(init.Constant(9))
    same_bits(net.params, before)
    net.initialize(init.Constant(9), force_reinit=True)
    assert (net[0].weight.data() == 9).all()
    assert not net[0].bias.data().any()  # it has its own initializer


def test_a_second_initialize_is_warned_of_where_it_was_written():
    net = ready(4)
    for again in (net.initialize, net.collect_params().initialize, net[0].initialize, net[0].weight.initialize):
        with pytest.warns(UserWarning, match='all parameters have values') as caught:
            again()
        assert caught[0].filename == __file__


def test_the_last_initialization_of_a_scope_stands():
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
def test_an_initialization_deferred_for_a_part_stands_until_force(part, copied):
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
def test_an_initialization_of_the_same_or_a_wider_scope_replaces(whole):
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
        with pytest.raises(CallbackError, match='RuntimeError: at run time\n  in refuse'):
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
    with pytest.warns(UserWarning, match='all parameters have values'):
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


@pytest.mark.parametrize(
    'layer', [nn.Dense(2**40), nn.Embedding(2**40, 8, dtype='bfloat16'), nn.Conv2D(2**41, 1, weight_initializer='ones')]
)
@pytest.mark.parametrize('device', [None, jax.devices()[0]])
def test_parameters_that_do_not_fit_into_memory(layer, device):
    net = nn.Sequential(layer)
    says = r"(?s)'0\..*' does not fit into memory.*got: \(\d{13}.*,\d{3}.0 GiB"
    with pytest.raises(AllocationError, match=says):
        net.initialize(device=device)
    assert net.collect_params()['0.weight'].deferred is None


def test_parameters_with_more_elements_than_can_be_counted():
    with pytest.raises(ArgumentError, match=r'(?s)a Param cannot be so large.*fewer than 2\*\*63.*constructor of LSTM'):
        rnn.LSTM(2**40)
