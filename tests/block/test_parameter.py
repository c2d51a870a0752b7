"""A Parameter: what it says, its value set, read, cast and donated, grad_req and the multipliers."""

import gc
import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from networks import X, mlp, ready

import gluonjax
from gluonjax import Param, init, nn
from gluonjax.errors import ArgumentError, DonatedError, DTypeError, GluonError, ShapeError, UninitializedError
from gluonjax.parameter import Parameter


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


def test_set_data_ends_a_deferred_initialization():
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
    with pytest.raises(ArgumentError, match=r"grad_req must be one of 'write', 'add', 'null'"):
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


def test_jax_takes_a_parameter_for_its_value():
    net = ready(3)
    weight, value = net[0].weight, np.asarray(net[0].weight.data())
    np.testing.assert_allclose(jnp.sum(weight), value.sum(), rtol=1e-5)
    np.testing.assert_array_equal(jnp.add(weight, 1), value + 1)
    np.testing.assert_array_equal(jax.jit(lambda w, v: w.T + v)(weight, 2), value.T + 2)
    np.testing.assert_array_equal(jax.grad(lambda w: (3 * w).sum())(weight), np.full(value.shape, 3))
    np.testing.assert_array_equal(jax.tree.leaves({'w': weight})[0], value)
    np.testing.assert_array_equal(weight.data(), value)  # nobody donated it
    with pytest.raises(UninitializedError, match='has not been initialized'):
        jnp.sum(nn.Sequential(nn.Dense(2))[0].weight)


def test_operators_compute_on_the_value():
    net = ready(3)
    weight, value = net[0].weight, np.asarray(net[0].weight.data())
    for operate in (
        lambda w: w + 1, lambda w: 1 + w, lambda w: w - 1, lambda w: 1 - w, lambda w: w * 2, lambda w: 2 * w,
        lambda w: w / 2, lambda w: 2 / w, lambda w: w**2, lambda w: 2**w, lambda w: w @ value.T, lambda w: value.T @ w,
        lambda w: w < 0, lambda w: w <= 0, lambda w: w > 0, lambda w: w >= 0, lambda w: -w, lambda w: +w, abs,
        lambda w: w // 0.03, lambda w: 3 // w, lambda w: w % 0.03, lambda w: 3 % w, lambda w: np.asarray(w) % 0.03,
        lambda w: divmod(w, 0.03)[1], lambda w: divmod(3, w)[0], lambda w: w == value, lambda w: w != value[0, 0],
        len, list, lambda w: list(reversed(w)), lambda w: value[0, 0] in w, lambda w: 7 in w,
        lambda w: [*zip(w, w, strict=True)], np.asarray, lambda w: np.asarray(w, 'float64'), lambda w: w[0],
    ):  # fmt: skip
        np.testing.assert_allclose(operate(weight), operate(value), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(round(weight, 2), np.round(value, 2))


def test_operators_of_integers_and_of_one_element():
    scalar, integer = Parameter(Param((1,))), Parameter(Param((2,), 'int32'))
    scalar.set_data([2.5])
    integer.set_data([5, 6])
    assert [float(scalar), int(scalar), complex(scalar), bool(scalar), math.sqrt(scalar)] == [2.5, 2, 2.5, 1, 2.5**0.5]
    assert [f'{scalar:.2f}', f'{scalar}'] == ['2.50', repr(scalar)]
    for operate in (
        lambda w: w & 4,
        lambda w: w | 8,
        lambda w: w ^ 1,
        lambda w: 1 << w,
        lambda w: w >> 1,
        lambda w: ~w,
    ):
        np.testing.assert_array_equal(operate(integer), operate(np.array([5, 6])))


def test_parameters_are_compared_with_each_other_by_identity():
    parameter, other = Parameter(Param((2,))), Parameter(Param((2,)))
    assert parameter in [None, parameter]
    assert parameter not in [None, 'x', other]
    assert {parameter: 1}[parameter] == 1
    assert parameter != other


@pytest.mark.parametrize(
    'operate',
    [bool, float, int, complex, lambda w: f'{w:.2f}', lambda w: w // 'x', lambda w: None % w, lambda w: w @ 2, iter],
)
def test_operators_that_fail_name_the_data(operate):
    parameter = Parameter(Param(() if operate is iter else (2,)))
    parameter.initialize()
    with pytest.raises(DTypeError, match=r'(?s)of parameter .*try: parameter\.data\(\) is the array'):
        operate(parameter)


def test_setattr_reaches_every_parameter():
    net = nn.Sequential(nn.Dense(2), nn.BatchNorm())
    net.setattr('grad_req', 'null')
    assert not any(jax.tree.leaves(net.trainable()))
    net.setattr('grad_req', 'write')
    assert sum(jax.tree.leaves(net.trainable())) == 4  # running statistics stay as they are


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


def test_a_cast_of_donated_values_changes_nothing():
    net = ready(3)
    jax.jit(lambda array: array + 1, donate_argnums=0)(net[-1].bias.data())
    with pytest.raises(DonatedError):
        net.cast('float16')
    assert {cell.dtype for cell in net.collect_params().values()} == {np.dtype('float32')}
    with pytest.raises(DonatedError):
        net[-1].bias.cast('float16')
    assert net[-1].bias.dtype == 'float32'


def test_shape_and_dtype_are_assigned_as_in_gluon():
    net = nn.Sequential(nn.Dense(2))
    net.initialize(init='ones')
    weight = net[0].weight
    weight.shape = (2, 3)
    assert weight.shape == (2, 3)
    with pytest.raises(ShapeError, match='has another shape'):
        weight.shape = (3, 3)
    with pytest.raises(ArgumentError, match='cannot have this shape'):
        weight.shape = 'wide'
    with pytest.raises(ShapeError, match='needs'):
        net(jnp.ones((1, 4)))
    assert float(net(jnp.ones((1, 3)))[0, 0]) == 3
    weight.dtype = 'float16'
    assert weight.dtype == weight.data().dtype == 'float16'
    with pytest.raises(ArgumentError, match='this is no dtype'):
        weight.dtype = 'wide'
