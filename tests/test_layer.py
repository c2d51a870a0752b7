"""The pure half, sentence by sentence: definitions, binding, ties, and the functions that come from them."""

import collections
import copy
import functools
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gluonjax
from gluonjax import Layer, Param, init, nn
from gluonjax.errors import (
    ArgumentError,
    BareLayerError,
    FrozenError,
    GluonError,
    MissingKeyError,
    NotANetworkError,
    ParamsError,
    PatternError,
    ShapeError,
    TieError,
    TransformationError,
)
from gluonjax.layer import leaves_of, run_layer

X = jnp.ones((2, 3))
KEY = jax.random.key(0)


class Chain(Layer):
    """Children in a list."""

    def __init__(self, *layers):
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Branches(Layer):
    """Children as an attribute, in a list, in a dict, and nested."""

    def __init__(self):
        self.stem = nn.Dense(4)
        self.row = [nn.Dense(2), nn.Dense(2)]
        self.heads = {'a': nn.Dense(1), 'b': [nn.Dense(3)]}

    def forward(self, x):
        x = self.stem(x)
        for layer in self.row:
            x = layer(x)
        return {'a': self.heads['a'](x), 'b': self.heads['b'][0](x)}


class Scale(Layer):
    def __init__(self, initializer='ones'):
        self.gamma = Param((None,), init=initializer)

    def infer_shape(self, x):
        return {'gamma': x.shape[-1:]}

    def forward(self, x):
        return x * self.gamma[None]


class Pair(Layer):
    """Two inputs, one of them a pytree, the second by name if one likes; a pytree comes out."""

    def __init__(self):
        self.left, self.right = nn.Dense(2), nn.Dense(3)

    def forward(self, x, extra):
        return {'left': self.left(x), 'right': (self.right(extra['a']), extra['b'])}


class Counter(Layer):
    """Records with a recorder that a test chooses, and reads back what it recorded."""

    def __init__(self, assign=None):
        self.count = Param((), init='zeros', trainable=False)
        self.assign = assign

    def forward(self, x):
        if self.assign is not None:
            return self.assign(self, x)
        if self.training:
            self.count = self.count + 1
            self.count = self.count + 1
        return x + self.count


class Noise(Layer):
    def forward(self, x):
        return x + jax.random.normal(self.next_key(), x.shape) if self.training else x


def flat(params):
    return {'.'.join(str(k.key) for k in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


def same_bits(a, b):
    chex.assert_trees_all_equal_shapes_and_dtypes(a, b)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, a), jax.tree.map(np.asarray, b))


# init, apply, apply_train.


def test_params_are_nested_by_structural_name():
    params = Branches().init(KEY, X)
    assert list(flat(params)) == sorted(
        f'{name}.{leaf}' for name in ('stem', 'row.0', 'row.1', 'heads.a', 'heads.b.0') for leaf in ('bias', 'weight')
    )
    assert params['row']['1']['weight'].shape == (2, 2)
    assert params['heads']['b']['0']['weight'].shape == (3, 2)


def test_apply_computes_with_the_given_params():
    layer = Branches()
    params = layer.init(KEY, X, init='ones')
    y = layer.apply(params, X)
    chex.assert_trees_all_close(y, {'a': jnp.full((2, 1), 48.0), 'b': jnp.full((2, 3), 48.0)})


def test_several_inputs_pytrees_and_names_go_in_and_pytrees_come_out():
    layer, extra = Pair(), {'a': jnp.ones((2, 5)), 'b': jnp.arange(3)}
    params = layer.init(KEY, X, extra)
    assert params['left']['weight'].shape == (2, 3)
    assert params['right']['weight'].shape == (3, 5)
    same_bits(params, layer.init(KEY, X, extra=extra))
    same_bits(layer.apply(params, X, extra), layer.apply(params, X, extra=extra))
    y, after = layer.apply_train(params, X, extra=extra)
    assert y['right'][1] is extra['b'] or (y['right'][1] == extra['b']).all()
    same_bits(after, params)


@pytest.mark.parametrize('name', ['key', 'init', 'training'])
def test_reserved_names_of_inputs_are_refused(name):
    class Odd(Layer):
        def forward(self, x, **named):
            return x

    with pytest.raises(ArgumentError, match=f'cannot be named {name!r}'):
        run_layer(Odd(), {}, (X,), {name: X})


def test_init_takes_shapes_alone():
    shape = jax.ShapeDtypeStruct((2, 3), 'float32')
    same_bits(Branches().init(KEY, X), Branches().init(KEY, shape))
    same_bits(Pair().init(KEY, X, {'a': X, 'b': X}), Pair().init(KEY, shape, {'a': shape, 'b': shape}))


def test_init_takes_an_int_and_old_and_new_keys():
    layer = nn.Dense(4)
    same_bits(layer.init(3, X), layer.init(jax.random.key(3), X))
    same_bits(layer.init(3, X), layer.init(jax.random.PRNGKey(3), X))


def test_init_needs_no_input_where_every_shape_is_declared():
    assert nn.Dense(4, in_units=3).init(KEY)['weight'].shape == (4, 3)


def test_numpy_inputs_are_welcome():
    layer = nn.Dense(4)
    x = np.ones((2, 3), 'float32')
    params = layer.init(KEY, x)
    same_bits(layer.apply(params, x), layer.apply(params, X))


def test_init_runs_no_forward_computation():
    ran = []

    class Loud(Layer):
        def __init__(self):
            self.dense = nn.Dense(2)

        def forward(self, x):
            x = self.dense(x)
            jax.debug.callback(ran.append, x)
            return x

    layer = Loud()
    params = layer.init(KEY, X)
    jax.effects_barrier()
    assert ran == []
    layer.apply(params, X)
    jax.effects_barrier()
    assert len(ran) == 1


@pytest.mark.parametrize(
    ('shape', 'where', 'expected'),
    [((3,), None, [False]), ((None,), 'always', [False]), ((None,), 'training', [False, True])],
    ids=['known', 'in inference', 'in training'],
)
def test_init_traces_inference_then_training_if_a_shape_is_still_unknown(shape, where, expected):
    traced = []

    class Late(Layer):
        def __init__(self):
            self.scale = nn.Lambda(lambda x: x) if where is None else Scale()
            self.own = Param(shape if where is None else (3,))

        def forward(self, x):
            traced.append(self.training)
            return self.scale(x) if where != 'training' or self.training else x

    layer = Late()
    params = layer.init(KEY, X)
    assert traced == expected
    again = layer.init(KEY, X)  # of shapes that were seen
    assert traced == expected
    jax.tree.map(np.testing.assert_array_equal, again, params)
    layer.init(KEY, X[:1])
    assert traced == 2 * expected


def test_shapes_still_unknown_are_all_named():
    class Idle(Layer):
        def __init__(self):
            self.used, self.one, self.two = nn.Dense(2), nn.Dense(2), nn.Dense(2)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ShapeError, match=r"'one.weight', 'two.weight'.*still unknown") as error:
        Idle().init(KEY, X)
    assert 'used' not in str(error.value)


def test_reading_a_parameter_of_unknown_shape_names_it():
    class Hasty(Layer):
        def __init__(self):
            self.weight = Param((None,))

        def forward(self, x):
            return x * self.weight

    with pytest.raises(ShapeError, match=r"'weight' is still unknown where forward reads it"):
        Hasty().init(KEY, X)


def test_wrong_shapes_are_caught_where_they_are_with_the_way_there():
    layer = Chain(nn.Dense(300), nn.Dense(10, in_units=256))
    with pytest.raises(ShapeError) as error:
        layer.init(KEY, X)
    first, *rest = str(error.value).split('\n')
    assert first == ("'layers.1.weight' has shape (10, 256), but the input (2, 300) of layer layers.1 needs (10, 300)")
    assert 'layer layers.0 (Dense): (2, 3) -> (2, 300)' in '\n'.join(rest)


@pytest.mark.parametrize('method', ['apply', 'apply_train'])
def test_wrong_inputs_are_caught_in_runs_too(method):
    layer = Chain(nn.Dense(4), nn.Dense(2))
    params = layer.init(KEY, X)
    with pytest.raises(ShapeError, match=r'(?s)layers.0.weight.*\(4, 3\).*\(2, 7\) of layer layers.0 needs \(4, 7\)'):
        getattr(layer, method)(params, jnp.ones((2, 7)))


def test_differences_of_params_are_all_named():
    layer = Chain(nn.Dense(4), nn.Dense(2))
    params = layer.init(KEY, X)
    wrong = {'layers': {'0': {'weight': jnp.ones((5, 3, 1))}, '1': params['layers']['1']}, 'more': jnp.ones(3)}
    for call in (layer.apply, layer.apply_train):
        with pytest.raises(ParamsError) as error:
            call(wrong, X)
        text = str(error.value)
        assert 'missing: layers.0.bias (4,)' in text
        assert 'extra: more (3,)' in text
        assert 'shape of layers.0.weight: expected (4, None), got (5, 3, 1)' in text
        assert 'layers.1' not in text
    with pytest.raises(ParamsError, match='missing'):
        layer.trainable({})
    with pytest.raises(ParamsError, match='missing'):
        layer.partition({})
    with pytest.raises(ParamsError, match='missing'):
        layer.reinit({}, KEY)


def test_a_shape_that_fits_the_declaration_but_not_the_input_is_refused():
    layer = nn.Dense(4)
    with pytest.raises(ShapeError, match=r"'weight' has shape \(4, 9\), but the input \(2, 3\)"):
        layer.apply({'weight': jnp.ones((4, 9)), 'bias': jnp.ones(4)}, X)


def test_apply_train_returns_recorded_statistics_and_apply_records_nothing():
    layer = Chain(nn.BatchNorm(), nn.Dense(2))
    x = jax.random.normal(KEY, (64, 3)) + 5
    params = layer.init(KEY, x)
    before = jax.tree.map(np.asarray, params)
    y, after = layer.apply_train(params, x)
    assert jax.tree.structure(after) == jax.tree.structure(params)
    np.testing.assert_allclose(after['layers']['0']['running_mean'], 0.1 * x.mean(0), rtol=1e-5)
    chex.assert_trees_all_equal(jax.tree.map(np.asarray, params), before)
    assert not np.allclose(y, layer.apply(params, x))


# specs, trainable, partition, merge, reinit.


def test_specs_is_the_plan_that_init_draws():
    specs = Branches().specs(X, init=init.Normal(0.5))
    assert specs['stem.weight'].shape == (4, 3)
    assert specs['stem.weight'].dtype == 'float32'
    assert specs['stem.weight'].bytes == 48
    assert repr(specs['stem.weight'].initializer) == 'Normal(sigma=0.5)'
    assert repr(specs['stem.bias'].initializer) == 'Zero()'
    params = flat(Branches().init(KEY, X))
    assert {name: spec.shape for name, spec in specs.items()} == {name: leaf.shape for name, leaf in params.items()}


def test_specs_prints_as_a_table_with_totals():
    text = str(Chain(nn.Dense(4)).specs(X))
    head, _, weight, bias, foot = text.splitlines()
    assert head.split() == ['name', 'shape', 'dtype', 'initializer', 'numbers', 'bytes']
    assert weight.split() == ['layers.0.weight', '(4,', '3)', 'float32', 'Uniform()', '12', '48']
    assert bias.split()[0] == 'layers.0.bias'
    assert '16 numbers' in foot
    assert '64 bytes' in foot


def test_specs_allocates_nothing():
    layer = nn.Dense(10**6, in_units=10**7)  # 40 TB
    assert layer.specs(jax.ShapeDtypeStruct((1, 10**7), 'float32'))['weight'].bytes == 4 * 10**13


def test_trainable_is_the_mask_that_optax_takes():
    layer = Chain(nn.Dense(2), nn.BatchNorm())
    params = layer.init(KEY, X)
    mask = layer.trainable(params)
    assert flat(mask) == {name: 'running' not in name for name in flat(params)}
    optimizer = optax.masked(optax.sgd(1.0), mask)
    gradients = jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    assert {name: float(u.reshape(-1)[0]) for name, u in flat(updates).items()} == {
        name: -1.0 if trained else 1.0 for name, trained in flat(mask).items()
    }


def test_partition_and_merge_split_and_join():
    layer = Chain(nn.Dense(2), nn.BatchNorm())
    params = layer.init(KEY, X)
    trainable, rest = layer.partition(params)
    assert set(flat(trainable)) == {name for name, on in flat(layer.trainable(params)).items() if on}
    assert set(flat(rest)) == {'layers.1.running_mean', 'layers.1.running_var'}
    same_bits(gluonjax.merge(trainable, rest), params)
    with pytest.raises(ParamsError, match=r'two trees hold.*running_mean'):
        gluonjax.merge(params, rest)


def test_training_by_partition_leaves_statistics_to_the_forward_pass():
    layer = Chain(nn.BatchNorm(), nn.Dense(1))
    x = jax.random.normal(KEY, (16, 3)) * 3
    params = layer.init(KEY, x)
    optimizer = optax.adam(0.1)
    trainable, rest = layer.partition(params)
    state = optimizer.init(trainable)

    @jax.jit
    def step(trainable, rest, state):
        def loss(trainable):
            y, params = layer.apply_train(gluonjax.merge(trainable, rest), x)
            return ((y - x.sum(1, keepdims=True)) ** 2).mean(), layer.partition(params)[1]

        (value, rest), gradients = jax.value_and_grad(loss, has_aux=True)(trainable)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(trainable, updates), rest, state, value

    losses = []
    for _ in range(60):
        trainable, rest, state, value = step(trainable, rest, state)
        losses.append(float(value))
    assert losses[-1] < losses[0] / 10
    np.testing.assert_allclose(rest['layers']['0']['running_mean'], x.mean(0), atol=0.01)


def test_reinit_draws_the_chosen_leaves_anew_and_no_other():
    layer = Chain(nn.Dense(4), nn.Dense(2))
    params = layer.init(0, X)
    after = layer.reinit(params, 1, select=r'layers\.1\..*', init=init.Normal(1))
    same_bits(after['layers']['0'], params['layers']['0'])
    same_bits(after['layers']['1'], layer.init(1, X, init=init.Normal(1))['layers']['1'])
    same_bits(layer.reinit(params, 1), layer.init(1, X))
    assert jax.tree.structure(after) == jax.tree.structure(params)
    with pytest.raises(PatternError, match=r"no parameter matches 'layers\.7'"):
        layer.reinit(params, 1, select='layers.7')


def test_init_patterns_win_over_declared_and_declared_over_general():
    layer = Chain(nn.Dense(2, weight_initializer='ones'), nn.Dense(2))
    params = layer.init(KEY, X, init=init.Constant(7))
    assert [float(leaf.max()) for leaf in flat(params).values()] == [0, 1, 0, 7]
    params = layer.init(KEY, X, init={'.*weight': init.Constant(5), r'layers\.1\.bias': init.Constant(3)})
    assert [float(leaf.max()) for leaf in flat(params).values()] == [0, 5, 3, 5]
    with pytest.raises(PatternError, match='nothing'):
        layer.init(KEY, X, init={'nothing': 'zeros'})


# A value is a function of (key, name, shape, dtype, initializer) and of nothing else.

LAWS = [init.Uniform(), init.Normal(0.3), init.Xavier(), init.Constant(2.0), init.Orthogonal()]


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    width=st.integers(1, 40),
    more=st.lists(st.integers(1, 5), max_size=4),
    distribution=st.sampled_from(LAWS),
)
def test_appending_layers_changes_no_other_numbers(seed, width, more, distribution):
    few = Chain(nn.Dense(width), nn.Dense(2))
    many = Chain(nn.Dense(width), nn.Dense(2), *map(nn.Dense, more))
    alone, among = few.init(seed, X, init=distribution), many.init(seed, X, init=distribution)
    same_bits(alone['layers'], {name: among['layers'][name] for name in alone['layers']})


class Fields(Layer):
    """Scales under names of one's choice, in an order of one's choice."""

    def __init__(self, names):
        for name in names:
            setattr(self, name, Param((7, 5)))


@settings(max_examples=8, deadline=None)
@given(
    st.sets(st.sampled_from('abcdefgh'), min_size=1).flatmap(lambda s: st.permutations(sorted(s))), st.integers(0, 99)
)
def test_order_and_company_do_not_matter(names, seed):
    params = Fields(names).init(seed)
    for name in names:
        same_bits(params[name], Fields([name]).init(seed)[name])


def test_names_keys_and_initializers_do_matter():
    params = Fields('abcd').init(0)
    values = [np.asarray(v) for v in params.values()] + [np.asarray(v) for v in Fields('abcd').init(1).values()]
    assert len({v.tobytes() for v in values}) == 8
    assert len({float(x) for v in values for x in v.flat}) > 0.99 * 8 * 35


@pytest.mark.optimized
@pytest.mark.parametrize(
    'distribution',
    [*LAWS, jax.nn.initializers.he_normal()],
)
def test_the_same_bits_jitted_or_not_fused_or_not(distribution):
    layer = Chain(nn.Dense(33), nn.Dense(5))
    eager = layer.init(KEY, X, init=distribution)
    for fused in (False, True):
        traced = jax.jit(functools.partial(layer.init, init=distribution, fused=fused))(KEY, X)
        if distribution in LAWS[:4]:
            same_bits(traced, eager)
        else:  # code of their own is called as it is, and XLA may fuse it
            chex.assert_trees_all_close(traced, eager, atol=1e-5)


@pytest.mark.optimized
def test_fused_outside_a_transformation_gives_the_same_bits():
    layer = Chain(nn.Dense(33), nn.Dense(5))
    same_bits(layer.init(KEY, X, fused=True), layer.init(KEY, X))


@pytest.mark.optimized
def test_a_vmapped_init_is_an_ensemble_of_the_same_draws():
    layer, keys = Chain(nn.Dense(9), nn.BatchNorm(), nn.Dense(2)), jax.random.split(KEY, 3)
    ensemble = jax.vmap(layer.init, (0, None))(keys, X)
    for i in range(3):
        same_bits(jax.tree.map(lambda leaf, i=i: leaf[i], ensemble), layer.init(keys[i], X))
    assert jax.vmap(layer.apply, (0, None))(ensemble, X).shape == (3, 2, 2)


@pytest.mark.optimized
def test_the_same_bits_sharded_over_eight_devices():
    layer = Chain(nn.Dense(64), nn.Dense(16))
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ('i',))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('i'))
    sharded = jax.jit(layer.init, out_shardings=sharding)(KEY, X)
    assert len(sharded['layers']['0']['weight'].addressable_shards) == 8
    assert sharded['layers']['0']['weight'].addressable_shards[0].data.shape == (8, 3)
    same_bits(sharded, layer.init(KEY, X))


def test_dtypes_are_those_declared():
    layer = Chain(nn.Dense(4, dtype='bfloat16'), nn.Dense(4, dtype='float16'))
    params = layer.init(KEY, X)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params['layers']['0'])} == {'bfloat16'}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params['layers']['1'])} == {'float16'}


# Everything under every transformation.


@pytest.mark.optimized
def test_init_apply_and_specs_work_under_jit_and_eval_shape():
    layer = Chain(nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.5))
    params = jax.jit(layer.init)(KEY, X)
    same_bits(params, layer.init(KEY, X))
    chex.assert_trees_all_close(jax.jit(layer.apply)(params, X), layer.apply(params, X), rtol=1e-6)
    train = functools.partial(layer.apply_train, key=KEY)
    chex.assert_trees_all_close(jax.jit(train)(params, X), train(params, X), rtol=1e-5, atol=1e-6)
    abstract = jax.eval_shape(layer.init, KEY, X)
    assert jax.tree.map(lambda a: a.shape, abstract) == jax.tree.map(lambda a: a.shape, params)
    assert jax.eval_shape(layer.apply, abstract, X).shape == (2, 4)
    assert jax.eval_shape(train, abstract, X)[0].shape == (2, 4)
    plans = []
    jax.jit(lambda x: plans.append(layer.specs(x)) or x)(X)
    assert repr(plans[0]) == repr(layer.specs(X))


def test_init_apply_and_specs_work_under_vmap_and_grad():
    layer, plans = Chain(nn.Dense(4), nn.Dense(1)), []
    params = layer.init(KEY, X)
    xs = jax.random.normal(KEY, (5, 2, 3))
    np.testing.assert_allclose(jax.vmap(layer.apply, (None, 0))(params, xs)[3], layer.apply(params, xs[3]), rtol=1e-5)
    y, many = jax.vmap(functools.partial(layer.apply_train, params))(xs)
    assert y.shape == (5, 2, 1)
    assert many['layers']['0']['weight'].shape == (5, 4, 3)
    jax.vmap(lambda x: plans.append(layer.specs(x)) or x)(xs)
    assert plans[0]['layers.0.weight'].shape == (4, 3)

    def loss(x):
        plans.append(layer.specs(x))
        return layer.apply(layer.init(KEY, x), x).sum()

    w0, w1 = (params['layers'][i]['weight'] for i in '01')
    np.testing.assert_allclose(jax.grad(loss)(X), jnp.broadcast_to(w1 @ w0, (2, 3)), rtol=1e-5)
    gradients = jax.grad(lambda params: layer.apply(params, X).sum())(params)
    np.testing.assert_allclose(gradients['layers']['1']['bias'], [2.0])
    assert jax.tree.structure(gradients) == jax.tree.structure(params)


def test_apply_train_under_vmap_keeps_statistics_per_member():
    layer = nn.BatchNorm()
    xs = jnp.stack([jnp.zeros((4, 3)), jnp.ones((4, 3))])
    _, after = jax.vmap(functools.partial(layer.apply_train, layer.init(KEY, xs[0])))(xs)
    np.testing.assert_allclose(after['running_mean'], [[0.0] * 3, [0.1] * 3], rtol=1e-5)


def test_no_tracer_leaks_from_any_pure_function():
    layer = Chain(nn.Dense(4), nn.BatchNorm(), nn.Dropout(0.5), Counter())
    with jax.checking_leaks():
        params = jax.jit(layer.init)(KEY, X)
        jax.jit(layer.apply)(params, X)
        jax.jit(functools.partial(layer.apply_train, key=1))(params, X)
        jax.vmap(layer.init, (0, None))(jax.random.split(KEY, 2), X)
        jax.grad(lambda p: layer.apply_train(p, X, key=1)[0].sum())(params)


# Binding.


def test_training_and_keys_are_there_in_forward_only():
    seen = []

    class Curious(Layer):
        def forward(self, x):
            seen.append(self.training)
            return x

    layer = Curious()
    layer.apply({}, X)
    layer.apply_train({}, X)
    assert seen == [False, True]
    for ask in (lambda: layer.training, layer.next_key):
        with pytest.raises(BareLayerError, match='exists only in forward'):
            ask()


def test_recorded_values_come_back_and_later_reads_see_them():
    layer = Counter()
    params = layer.init(KEY, X)
    y, after = layer.apply_train(params, X)
    assert after == {'count': 2}
    np.testing.assert_array_equal(y, X + 2)
    np.testing.assert_array_equal(layer.apply(after, X), X + 2)


def test_a_recorded_value_takes_the_dtype_of_the_parameter():
    layer = Counter(lambda self, x: setattr(self, 'count', jnp.float16(3)) or x)
    _, after = layer.apply_train(layer.init(KEY, X), X)
    assert after['count'].dtype == 'float32'


def test_later_reads_see_a_record_in_another_layer_that_is_tied():
    counter = Counter()
    layer = Chain(counter, counter)
    y, after = layer.apply_train(layer.init(KEY, X), X)
    assert flat(after) == {'layers.0.count': 4}
    np.testing.assert_array_equal(y, X + 2 + 4)


def test_apply_drops_what_forward_records():
    layer = Counter(lambda self, x: setattr(self, 'count', self.count + 1) or x + self.count)
    params = layer.init(KEY, X)
    np.testing.assert_array_equal(layer.apply(params, X), X + 1)
    assert params == {'count': 0}


@pytest.mark.parametrize(
    ('assign', 'error', 'message'),
    [
        (lambda self, x: setattr(self, 'weight', x), FrozenError, "'weight' is trainable"),
        (lambda self, x: setattr(self, 'other', x), FrozenError, "cannot set 'other'"),
        (lambda self, x: setattr(self, 'assign', None), FrozenError, "cannot set 'assign'"),
        (lambda self, x: setattr(self, 'count', x), ShapeError, r"'count' was recorded with another shape"),
    ],
    ids=['trainable', 'new', 'field', 'shape'],
)
def test_any_other_assignment_in_forward_is_refused(assign, error, message):
    class Assigning(Counter):
        def __init__(self, assign):
            self.count = Param((), init='zeros', trainable=False)
            self.weight = Param(())
            self.assign = assign

    layer = Assigning(assign)
    params = layer.init(KEY)
    with pytest.raises(error, match=message):
        layer.apply_train(params, X)
    assert 'other' not in vars(layer)
    assert layer.assign is assign


def _record(self, x):
    self.count = self.count + jnp.sum(x)
    return x


INSIDE = {
    'scan': lambda self, x: jax.lax.scan(lambda carry, row: (carry, _record(self, row)), 0.0, x)[1],
    'vmap': lambda self, x: jax.vmap(lambda row: _record(self, row))(x),
    'grad': lambda self, x: jax.grad(lambda row: _record(self, row).sum())(x),
    'jit': lambda self, x: jax.jit(lambda row: _record(self, row))(x),
    'checkpoint': lambda self, x: jax.checkpoint(lambda row: _record(self, row))(x),
    'cond': lambda self, x: jax.lax.cond(True, lambda row: _record(self, row), lambda row: row, x),
    'while': lambda self, x: jax.lax.fori_loop(0, 2, lambda i, row: _record(self, row), x),
    'jit of a constant': lambda self, x: jax.jit(lambda: setattr(self, 'count', jnp.float32(1)) or 1)() * x,
}


@pytest.mark.parametrize('outside', ['eager', 'jit', 'vmap', 'grad'])
@pytest.mark.parametrize('inside', INSIDE)
def test_a_value_recorded_inside_a_transformation_is_refused_by_name(inside, outside):
    layer = Chain(Counter(INSIDE[inside]))
    params = {'layers': {'0': {'count': jnp.zeros(())}}}

    def run(x):
        return layer.apply_train(params, x)[0].sum()

    call = {'eager': run, 'jit': jax.jit(run), 'vmap': lambda x: jax.vmap(run)(x[None]), 'grad': jax.grad(run)}[outside]
    with (
        jax.checking_leaks(),
        pytest.raises(TransformationError, match=r"'layers\.0\.count' was recorded inside") as error,
    ):
        call(X)
    assert 'assign it outside' in str(error.value)


@pytest.mark.parametrize(
    'call', [jax.jit, jax.grad, lambda f: lambda x: jax.vmap(f)(x[None])], ids=['jit', 'grad', 'vmap']
)
def test_recording_is_welcome_when_the_transformation_is_around_the_whole_run(call):
    layer = Counter(_record)
    assert call(lambda x: layer.apply_train({'count': jnp.zeros(())}, x)[1]['count'])(X) is not None


def test_a_record_made_while_shapes_are_inferred_leaks_nothing():
    layer = Chain(nn.BatchNorm(), Counter(), nn.Dense(2))
    with jax.checking_leaks():
        params = layer.init(KEY, X)
    assert all(
        isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params)
    )


def test_a_layer_holds_no_array_after_running():
    layer = Chain(nn.Dense(2), nn.BatchNorm(), Counter())
    before = [repr(vars(part)) for part in (layer, *layer.layers)]
    jax.jit(layer.apply_train)(layer.init(KEY, X), X)
    assert [repr(vars(part)) for part in (layer, *layer.layers)] == before


def test_keys_differ_by_path_and_by_count():
    class Draws(Layer):
        def __init__(self):
            self.a, self.b = Noise(), Noise()

        def forward(self, x):
            return self.a(x), self.a(x), self.b(x)

    draws, _ = Draws().apply_train({}, X, key=0)
    assert len({np.asarray(draw).tobytes() for draw in draws}) == 3
    again, _ = Draws().apply_train({}, X, key=0)
    same_bits(draws, again)
    other, _ = Draws().apply_train({}, X, key=1)
    assert not np.array_equal(draws[0], other[0])


def test_adding_a_layer_under_a_new_name_changes_no_other_mask():
    class Masks(Layer):
        def __init__(self, names):
            for name in names:
                setattr(self, name, nn.Dropout(0.5))

        def forward(self, x):
            return {name: getattr(self, name)(x) for name in vars(self)}

    x = jnp.ones((40, 5))
    few, _ = Masks(['b', 'c']).apply_train({}, x, key=0)
    many, _ = Masks(['a', 'c', 'd', 'b']).apply_train({}, x, key=0)
    same_bits(few, {name: many[name] for name in few})
    assert len({np.asarray(mask).tobytes() for mask in many.values()}) == 4


def test_a_key_inside_a_scan_is_drawn_once_a_trace_and_does_not_leak():
    class Steps(Layer):
        def forward(self, x):
            return jax.lax.scan(lambda _, row: (None, jax.random.normal(self.next_key(), ())), None, x)[1]

    with jax.checking_leaks():
        draws, _ = jax.jit(functools.partial(Steps().apply_train, key=0))({}, X)
    assert len(set(np.asarray(draws).tolist())) == 1
    assert 'once a trace' in Layer.next_key.__doc__


def test_randomness_without_a_key_names_the_layer():
    layer = Chain(nn.Dropout(0.5))
    with pytest.raises(MissingKeyError, match=r'(?s)layers.0 asks for a random key.*apply_train\(params, x, key=key\)'):
        layer.apply_train({}, X)
    same_bits(layer.apply({}, X), X)


def test_an_empty_batch_leaves_statistics_as_they_are():
    layer = nn.BatchNorm()
    params = layer.init(KEY, X)
    y, after = layer.apply_train(params, jnp.ones((0, 3)))
    same_bits(after, params)
    assert y.shape == (0, 3)


# A user's own layers.


def test_fields_are_frozen_after_construction():
    data = [1, [2]]
    names = {'k': [1]}

    class Holder(Layer):
        def __init__(self):
            self.items, self.names, self.dense = data, names, nn.Dense(2)

    layer = Holder()
    data.append(3)
    names['new'] = 1
    assert layer.items == (1, (2,))
    assert layer.names == {'k': (1,)}
    for change in (
        lambda: setattr(layer, 'items', ()),
        lambda: setattr(layer, 'fresh', 1),
        lambda: delattr(layer, 'dense'),
        lambda: layer.names.update(a=1),
        lambda: layer.names.pop('k'),
        lambda: layer.names.__setitem__('a', 1),
        lambda: layer.names.setdefault('a', 1),
        lambda: layer.names.__ior__({'a': 1}),
        lambda: layer.names.clear(),
        lambda: layer.names.popitem(),
        lambda: layer.names.__delitem__('k'),
    ):
        with pytest.raises(FrozenError, match=r'frozen|read-only'):
            change()
    assert layer.names == {'k': (1,)}


@pytest.mark.parametrize(
    'kind', [collections.OrderedDict, lambda d: collections.defaultdict(list, d)], ids=['ordered', 'default']
)
def test_dicts_of_any_kind_become_read_only_copies(kind):
    given = kind({'a': nn.Dense(1)})

    class Holder(Layer):
        def __init__(self):
            self.children = given

        def forward(self, x):
            return self.children['a'](x)

    layer = Holder()
    given['b'] = nn.Dense(2)
    assert list(layer.init(KEY, X)['children']) == ['a']
    with pytest.raises(FrozenError):
        layer.children['c'] = nn.Dense(1)


def test_frozen_layers_are_picklable_and_stay_frozen():
    layer = pickle.loads(pickle.dumps(Branches()))
    same_bits(layer.init(KEY, X), Branches().init(KEY, X))
    with pytest.raises(FrozenError):
        layer.heads['c'] = 1
    with pytest.raises(FrozenError):
        layer.stem = nn.Dense(1)


@pytest.mark.parametrize(
    'name', ['init', 'apply', 'apply_train', 'specs', 'forward', 'params', 'training', 'next_key', 'cast']
)
def test_an_attribute_named_like_a_method_is_refused(name):
    class Bad(Layer):
        def __init__(self):
            setattr(self, name, 3)

    with pytest.raises(ArgumentError, match=rf'Bad\.{name} .*Layer(?s:.*)choose another name'):
        Bad()


@pytest.mark.parametrize('name', ['_path', '_run', '_token', '_frozen', '_leaves'])
def test_an_attribute_that_the_machinery_uses_is_refused_or_reads_back(name):
    class Odd(Layer):
        def __init__(self):
            setattr(self, name, 'mine')

        def forward(self, x):
            return x * len(getattr(self, name))

    try:
        layer = Odd()
    except GluonError:
        return
    np.testing.assert_array_equal(layer.apply({}, X), X * 4)


@pytest.mark.parametrize('wrap', [lambda a: a, lambda a: [a], lambda a: {'k': (1, a)}], ids=['plain', 'list', 'dict'])
def test_arrays_are_refused_as_fields(wrap):
    class Bad(Layer):
        def __init__(self):
            self.table = wrap(jnp.ones(3))

    with pytest.raises(ArgumentError, match=r'Bad\.table.* is an array; a definition holds none(?s:.*)declare Param'):
        Bad()


def test_a_block_child_is_replaced_by_its_definition():
    net = nn.Sequential(nn.Dense(2))
    layer = Chain(net, {'deep': nn.Sequential(nn.Dense(1))}['deep'])
    assert layer.layers[0] is net.definition
    params = layer.init(KEY, X)
    assert list(flat(params)) == [f'layers.{i}.0.{leaf}' for i in '01' for leaf in ('bias', 'weight')]
    assert layer.apply(params, X).shape == (2, 1)


@pytest.mark.parametrize(
    'act', [lambda net: net.initialize(), lambda net: (net.initialize(), net(X))], ids=['wishes', 'values']
)
def test_an_initialized_block_child_is_refused(act):
    net = nn.Sequential(nn.Dense(2))
    act(net)
    with pytest.raises(ArgumentError, match=r'Chain\.layers\.0 is a network that was initialized(?s:.*)nn\.Block'):
        Chain(net)


def test_a_dot_in_the_name_of_a_child_is_refused():
    class Bad(Layer):
        def __init__(self):
            self.children = {'a.b': nn.Dense(1)}

    with pytest.raises(ArgumentError, match='no dots'):
        Bad()


def test_keys_that_give_two_children_one_name_are_refused():
    class Bad(Layer):
        def __init__(self):
            self.children = {1: nn.Dense(2, in_units=3), '1': nn.Dense(2, in_units=3)}

    with pytest.raises(ArgumentError, match='children'):
        Bad().init(KEY)


def test_a_layer_has_a_readable_repr():
    assert repr(nn.Dense(3, activation='relu')) == "Dense(3, activation='relu')"
    assert '(stem): Dense(4)' in repr(Branches())
    assert '(heads.b.0): Dense(3)' in repr(Branches())


def test_calling_a_bare_layer_says_what_to_do():
    with pytest.raises(BareLayerError, match=r'(?s)Dense\(3\) is a definition.*layer\.init\(key, x\).*nn\.Sequential'):
        nn.Dense(3)(X)


def test_an_error_of_ones_own_code_carries_the_path():
    def fail(x):
        raise KeyError('mine')

    with pytest.raises(KeyError, match='mine') as error:
        Chain(nn.Dense(3), nn.Lambda(fail)).init(KEY, X)
    assert error.value.__notes__[0] == 'in layer layers.1 (Lambda), input (2, 3)'


@pytest.mark.parametrize(
    ('shape', 'expected'), [(3, (3,)), ((0, 2), (None, 2)), ((-1,), (None,)), (None, None), ((), ())]
)
def test_param_shapes_are_written_as_in_mxnet(shape, expected):
    assert Param(shape).shape == expected


@pytest.mark.parametrize('shape', [(-2,), ('a',), (1.5,)])
def test_other_param_shapes_are_refused(shape):
    with pytest.raises(ArgumentError, match='cannot have this shape'):
        Param(shape)


def test_params_in_lists_and_dicts_are_parameters_too():
    class Many(Layer):
        def __init__(self):
            self.scales = [Param((2,), init='ones'), Param((3,), init='ones')]
            self.named = {'a': Param((), init='ones')}

        def forward(self, x):
            return self.scales[1][None] * x + self.named['a']

    params = Many().init(KEY)
    assert list(flat(params)) == ['named.a', 'scales.0', 'scales.1']
    np.testing.assert_array_equal(Many().apply(params, X), X + 1)


def test_helper_methods_properties_and_super_see_arrays():
    class Base(Layer):
        def __init__(self):
            self.weight = Param((3,), init='ones')

        @property
        def doubled(self):
            return self.weight * 2

        def forward(self, x):
            return x * self.doubled[None]

    class Derived(Base):
        def forward(self, x):
            return super().forward(x) + 1

    np.testing.assert_array_equal(Derived().apply(Derived().init(KEY), X), X * 2 + 1)


# Ties.


def test_the_same_layer_twice_is_one_leaf():
    shared = nn.Dense(3)
    layer = Chain(shared, nn.Dense(3), shared)
    params = layer.init(KEY, X)
    assert sorted(params['layers']) == ['0', '1']
    twice, once = layer.apply(params, X), Chain(nn.Dense(3), nn.Dense(3), nn.Dense(3))
    same_bits(twice, once.apply({'layers': {**params['layers'], '2': params['layers']['0']}}, X))


def test_gradients_of_tied_layers_add_up():
    shared, free = nn.Dense(3), [nn.Dense(3), nn.Dense(3)]
    layer, loose = Chain(shared, shared), Chain(*free)
    params = layer.init(KEY, X)
    tied = jax.grad(lambda p: layer.apply(p, X).sum())(params)['layers']['0']
    both = jax.grad(lambda p: loose.apply(p, X).sum())(
        {'layers': {'0': params['layers']['0'], '1': params['layers']['0']}}
    )
    chex.assert_trees_all_close(tied, jax.tree.map(jnp.add, both['layers']['0'], both['layers']['1']), rtol=1e-5)


TIES = {
    'params=': lambda a: nn.Dense(3, params=a.params),
    'share_parameters': lambda a: nn.Dense(3, activation='relu').share_parameters(a.params),
    'the same object': lambda a: a,
    'copy.copy': copy.copy,
    'cast copy': lambda a: a.cast('float32'),
}
NO_TIES = {
    'another': lambda a: nn.Dense(3),
    'deepcopy': copy.deepcopy,
    'pickle': lambda a: pickle.loads(pickle.dumps(a)),
}


@pytest.mark.parametrize('tie', TIES)
def test_what_ties(tie):
    a = nn.Dense(3)
    assert sorted(Chain(a, TIES[tie](a)).init(KEY, X)['layers']) == ['0']


@pytest.mark.parametrize('tie', NO_TIES)
def test_what_does_not_tie(tie):
    a = nn.Dense(3)
    assert sorted(Chain(a, NO_TIES[tie](a)).init(KEY, X)['layers']) == ['0', '1']


def test_share_parameters_returns_a_tied_copy_and_leaves_the_layer():
    a, b = nn.Dense(3), nn.Dense(3, activation='tanh')
    twin = b.share_parameters(a.params)
    assert twin is not b
    assert twin.activation == 'tanh'
    assert sorted(Chain(a, b).init(KEY, X)['layers']) == ['0', '1']


@pytest.mark.parametrize('copied', [copy.deepcopy, copy.copy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_and_pickles_keep_ties_within(copied):
    shared = nn.Dense(3)
    layer = copied(Chain(shared, nn.Dense(3, params=shared.params), Chain(shared)))
    assert sorted(layer.init(KEY, X)['layers']) == ['0']


def test_descendants_of_tied_containers_are_tied():
    a = Chain(nn.Dense(3), Chain(nn.Dense(3)))
    b = Chain(nn.Dense(3), Chain(nn.Dense(3)), params=a.params)
    assert sorted(flat(Chain(a, b).init(KEY, X))) == sorted(flat(Chain(a).init(KEY, X)))


def test_ties_are_transitive():
    inner = nn.Dense(3)
    a, b = Chain(nn.Dense(3)), None
    b = Chain(inner, params=a.params)
    layer = Chain(inner, a, b)  # inner is b's child, and b's child is a's child
    assert list(flat(layer.init(KEY, X))) == ['layers.0.bias', 'layers.0.weight']


def test_a_param_shared_between_layers_is_one_leaf():
    weight = Param((3, 3))

    class Own(Layer):
        def __init__(self):
            self.matrix = weight

        def forward(self, x):
            return x @ self.matrix

    assert list(flat(Chain(Own(), Own()).init(KEY, X))) == ['layers.0.matrix']


def test_a_leaf_is_named_by_its_first_name_and_found_by_any():
    shared = nn.Dense(3)
    layer = Chain(nn.Dense(3), shared, Chain(shared))
    params = layer.init(KEY, X, init={r'layers\.2\..*weight': init.Constant(5)})
    assert sorted(params['layers']) == ['0', '1']
    assert float(params['layers']['1']['weight'].min()) == 5
    after = layer.reinit(params, 0, select=r'layers\.2\.layers\.0\.weight', init='zeros')
    assert not after['layers']['1']['weight'].any()


def test_the_first_name_gives_the_numbers():
    shared = nn.Dense(3)
    same_bits(Chain(shared, shared).init(0, X)['layers']['0'], Chain(nn.Dense(3)).init(0, X)['layers']['0'])


def test_an_alias_in_params_is_an_extra_leaf_whose_own_name_is_told():
    shared = nn.Dense(3)
    layer = Chain(shared, shared)
    params = layer.init(KEY, X)
    with pytest.raises(ParamsError, match=r'extra: layers.1.weight \(3, 3\) \(tied: its leaf is layers.0.weight\)'):
        layer.apply({'layers': {**params['layers'], '1': params['layers']['0']}}, X)


def test_a_tie_of_different_shapes_is_refused_naming_both():
    a = nn.Dense(3, in_units=3)
    with pytest.raises(TieError, match=r"(?s)'layers.0.weight' and 'layers.1.weight' are tied.*\(3, 3\).*\(4, 3\)"):
        Chain(a, nn.Dense(4, in_units=3, params=a.params)).init(KEY, X)


def test_a_tie_to_something_else_is_refused():
    with pytest.raises(ArgumentError, match=r'(?s)params= takes the identity of a layer.*layer\.params'):
        nn.Dense(3, params={'weight': X})
    with pytest.raises(ArgumentError, match='params= takes the identity'):
        nn.Dense(3).share_parameters('weight')


def test_a_layer_stands_for_its_parameters():
    a = nn.Dense(3, in_units=3)
    for twin in (nn.Dense(3, params=a), nn.Dense(3).share_parameters(a), a.share_parameters()):
        assert next(leaf.names for leaf in leaves_of(Chain(a, twin))) == ('layers.0.weight', 'layers.1.weight')


def test_an_ensemble_has_a_mask_and_parts():
    layer = nn.BatchNorm(in_channels=3)
    ensemble = jax.vmap(layer.init)(jnp.arange(4))
    assert layer.trainable(ensemble) == layer.trainable()
    trainable, rest = layer.partition(ensemble)
    assert (sorted(trainable), sorted(rest)) == (['beta', 'gamma'], ['running_mean', 'running_var'])
    with pytest.raises(ParamsError, match='missing: gamma'):
        layer.partition(rest)


def test_shapes_known_at_one_name_are_known_at_all():
    a = nn.Dense(3, in_units=3)
    assert Chain(a, nn.Dense(3, params=a.params)).init(KEY)['layers']['0']['weight'].shape == (3, 3)


def test_cast_is_the_same_layer_in_another_dtype():
    layer = Chain(nn.Dense(3), nn.BatchNorm())
    half = layer.cast('float16')
    dtypes = {name: spec.dtype for name, spec in half.specs(X).items()}
    assert dtypes['layers.0.weight'] == dtypes['layers.0.bias'] == 'float16'
    assert {dtype for name, dtype in dtypes.items() if 'layers.1' in name} == {'float32'}
    assert layer.specs(X)['layers.0.weight'].dtype == 'float32'


@pytest.mark.parametrize('name', ['initialize', 'collect_params', 'hybridize', 'export', 'register_forward_hook'])
def test_a_layer_is_no_network(name):
    with pytest.raises(
        NotANetworkError, match=rf'(?s)Dense is a definition.*{name}.*nn\.Sequential\(layer\); net.{name}'
    ):
        getattr(nn.Dense(3), name)()
    assert not hasattr(nn.Dense(3), name)
    assert not hasattr(nn.Dense(3), 'nonsense')
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'nonsense'"):
        _ = nn.Dense(3).nonsense
    assert hasattr(nn.Sequential(nn.Dense(3))[0], name)


@pytest.mark.parametrize('name', ['zero_grad', 'parameters', 'state_dict', 'prefix', 'reset_ctx', 'train'])
def test_habits_from_elsewhere_at_a_layer_name_what_a_network_has(name):
    with pytest.raises(
        NotANetworkError, match=rf"Dense is a definition.*no '{name}'\n  try: net = nn.Sequential\(layer\)"
    ):
        getattr(nn.Dense(3), name)
    assert not hasattr(nn.Dense(3), name)
