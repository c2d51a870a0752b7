"""Initializers: MXNet's distributions and dispatch (initializers.json), who wins, and other libraries' initializers."""

import copy
import inspect
import json
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import init, nn
from gluonjax.errors import (
    ArgumentError,
    DTypeError,
    FrozenError,
    GluonError,
    ParamsError,
    PatternError,
    ShapeError,
)
from gluonjax.sampler import Distribution
from gluonjax.tree import flatten

GOLDEN = json.loads((pathlib.Path(__file__).parent / 'golden' / 'initializers.json').read_text())
ARRAYS = np.load(pathlib.Path(__file__).parent / 'golden' / 'initializers.npz')
CLASSES = sorted({name for name, *_ in GOLDEN['laws']})
KEY = jax.random.key(0)
MLP = nn.Sequential(nn.Dense(4), nn.BatchNorm(), nn.Dense(3, bias_initializer='ones')).definition
X = jax.ShapeDtypeStruct((2, 5), 'float32')


def test_signatures():
    differs = {
        'Constant': [['value', 0.0]],  # so that 'constant' is a name, too
    }
    for name, expected in GOLDEN['signatures'].items():
        if name == 'FusedRNN':  # splits the one vector of a fused RNN, which does not exist here
            continue
        arguments = inspect.signature(getattr(init, name)).parameters.values()
        arguments = [a for a in arguments if a.kind is not a.VAR_KEYWORD]  # what Initializer takes, and refuses
        ours = [[a.name] if a.default is a.empty else [a.name, a.default] for a in arguments]
        assert ours == differs.get(name, expected), name


def test_registry():
    for name, cls in GOLDEN['registry'].items():
        if cls != 'FusedRNN':
            assert type(init.create(name)) is getattr(init, cls)
            assert type(init.create(name.upper())) is getattr(init, cls)


# MXNet reads the third and fourth sizes of five, and fills nonsense; we refuse.
REFUSED = ('Bilinear', (1, 1, 2, 3, 4))
# MXNet refuses by mistake, as it computes the second size of the matrix in floats; we take the vector for a column.


@pytest.mark.parametrize('name', CLASSES)
def test_distributions_of_mxnet(name):
    for _, kwargs, shape, golden in (row for row in GOLDEN['laws'] if row[0] == name):
        shape = tuple(shape)
        if 'error' in golden or (name, shape) == REFUSED:
            with pytest.raises(GluonError):
                getattr(init, name)(**kwargs)(KEY, shape)
        else:
            assert_same_distribution(getattr(init, name)(**kwargs), shape, golden)


def assert_same_distribution(initializer, shape, golden):
    if golden['kind'] == 'array':
        value = initializer(None, shape)
        np.testing.assert_array_equal(value, ARRAYS[golden['key']], err_msg=f'{initializer} {shape}')
        assert (value.shape, value.dtype) == (shape, 'float32')
    elif isinstance(initializer, init.Orthogonal):  # MXNet's distribution is of the matrix before its SVD
        assert golden['kind'] == initializer.rand_type
    else:
        distribution = initializer.distribution(shape)
        assert (distribution.base, tuple(golden['shape'])) == (golden['kind'], shape)
        uniform = distribution.base == 'uniform'
        expected = (golden['low'], golden['high']) if uniform else (golden['mean'], golden['sigma'])
        np.testing.assert_allclose((-distribution.scale if uniform else 0, distribution.scale), expected, rtol=1e-12)


def test_every_class_has_distributions_to_compare():
    assert {*CLASSES, 'FusedRNN', 'Load', 'Mixed'} == set(GOLDEN['signatures'])
    assert len(GOLDEN['laws']) > 200


@pytest.mark.parametrize(('kwargs', 'shape', 'facts'), GOLDEN['orthogonal'])
def test_orthogonal(kwargs, shape, facts):
    value = np.asarray(init.Orthogonal(**kwargs)(KEY, shape), 'float64')
    assert value.shape == tuple(shape)
    matrix = value.reshape(facts['matrix']) / facts['scale']
    gram = matrix @ matrix.T if facts['orthonormal'] == 'rows' else matrix.T @ matrix
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=2e-6)
    assert not np.allclose(value, init.Orthogonal(**kwargs)(jax.random.key(1), shape))


def test_random_types_of_orthogonal_differ():
    values = [np.asarray(init.Orthogonal(rand_type=kind)(KEY, (4, 4))) for kind in ('uniform', 'normal')]
    assert not np.allclose(*values)


def test_lstm_bias():
    np.testing.assert_array_equal(init.LSTMBias(3.0)(None, (8,)), [0, 0, 3, 3, 0, 0, 0, 0])


@pytest.mark.optimized
def test_a_distribution_is_what_is_drawn():
    for initializer in (init.Uniform(0.5), init.Normal(2), init.Xavier('gaussian', 'in', 2), init.MSRAPrelu(slope=0)):
        distribution = initializer.distribution((3, 4))
        base = (
            jax.random.normal(KEY, (3, 4))
            if distribution.base == 'normal'
            else jax.random.uniform(KEY, (3, 4), minval=-1)
        )
        np.testing.assert_array_equal(initializer(KEY, (3, 4)), np.asarray(base) * np.float32(distribution.scale))


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
def test_dtypes(dtype):
    kinds = [
        'zeros',
        'ones',
        'constant',
        'uniform',
        'normal',
        'xavier',
        'msraprelu',
        'orthogonal',
        'lstmbias',
        'bilinear',
    ]
    for kind in kinds:
        assert init.create(kind)(KEY, (4, 4, 2, 2), dtype).dtype == dtype, kind


def test_empty_shapes():
    for kind in ('zeros', 'uniform', 'normal', 'xavier', 'msraprelu', 'orthogonal'):
        assert init.create(kind)(KEY, (0, 3)).shape == (0, 3)
        assert init.create(kind)(KEY, (0, 0)).shape == (0, 0)


# Dispatch by the last name.


def test_dispatch_of_mxnet():
    differs = {
        'min': 'distribution',
        'max': 'distribution',
        'weight_quantize': 'distribution',
        'bias_quantize': 'distribution',
    }  # of quantized networks
    differs |= {'running_mean': 'zero', 'running_var': 'one', 'moving_mean': 'zero', 'moving_var': 'one'}
    general = init.Constant(42)
    for label, golden in GOLDEN['dispatch'].items():
        kind, name = label.rsplit(' ', 1)
        if kind != 'Constant(42)':
            continue
        answer = {'zero': 0, 'one': 1}.get(differs.get(name, golden['desc']), 42)
        for full in (name, f'0.{name}', f'bias.{name}'):
            np.testing.assert_array_equal(general.for_name(full)(None, (2,)), [answer, answer], err_msg=full)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('bias', init.Zero),
        ('i2h_bias', init.Zero),
        ('0.gamma', init.One),
        ('ln_gamma', init.One),
        ('a.b.beta', init.Zero),
        ('running_mean', init.Zero),
        ('x.running_var', init.One),
        ('old_moving_var', init.One),
        ('weight', init.Uniform),
        ('bias.weight', init.Uniform),
        ('bias_table', init.Uniform),
        ('gamma2', init.Uniform),
        ('Bias', init.Uniform),
        ('alpha', init.Uniform),
    ],
)
def test_dispatch_by_suffix(name, expected):
    assert type(init.Uniform().for_name(name)) is expected


def test_mixed_of_mxnet():
    for patterns, name, (chosen,) in GOLDEN['mixed']['chosen']:
        class_of = {pattern: type(f'Of{i}', (init.Initializer,), {}) for i, pattern in enumerate(patterns)}
        # Below Mixed the general dispatch still holds, so the pattern is read off a name without a suffix.
        name = name.replace('bias', 'bias_') if name.endswith('bias') else name
        mixed = init.Mixed(patterns, [class_of[pattern]() for pattern in patterns])
        assert type(mixed.for_name(name)) is class_of[chosen]
    inside = init.Mixed(['.*'], [init.Constant(42)])
    for name, value in GOLDEN['mixed']['Constant(42) inside'].items():
        np.testing.assert_array_equal(inside.for_name(name)(None, (2,)), [value, value])


def test_mixed_refuses():
    with pytest.raises(PatternError, match=r"no pattern of Mixed matches 'weight'[\s\S]*'\.\*'"):
        init.Mixed(['bias'], ['zeros']).for_name('weight')
    with pytest.raises(ArgumentError, match='one initializer a pattern'):
        init.Mixed(['a', 'b'], [init.Zero()])


def test_mixed_in_a_network():
    params = flatten(MLP.init(0, X, init=init.Mixed(['0.*', '.*'], [init.Constant(42), 'ones'])))
    assert (params['0.weight'] == 42).all()
    assert (params['0.bias'] == 0).all()
    assert (params['2.weight'] == 1).all()


def test_load_of_mxnet():
    arrays = {'arg:a': np.full(2, 1.0), 'aux:b': np.full(2, 2.0), 'c': np.full(2, 3.0)}
    loader = init.Load(arrays, default_init=init.Constant(42))
    assert sorted(loader.param) == GOLDEN['load']['names']
    for name, value in GOLDEN['load']['values'].items():
        got = loader.for_name(name).init_weight(None, (2,), 'float32', name)
        np.testing.assert_array_equal(got, [value, value], err_msg=name)


def test_load_in_a_network():
    weight = np.arange(20.0).reshape(4, 5)
    mean = np.arange(4.0)
    loader = init.Load({'arg:0.weight': weight, 'aux:1.running_mean': mean}, init.Constant(5))
    params = flatten(MLP.init(0, X, init=loader))
    np.testing.assert_array_equal(params['0.weight'], weight)
    np.testing.assert_array_equal(params['2.weight'], np.full((3, 4), 5))
    np.testing.assert_array_equal(params['2.bias'], np.ones(3))
    np.testing.assert_array_equal(params['1.running_mean'], mean)  # given by name, it wins over what is declared


def test_load_says_what_it_loads(capsys):
    init.Load({'weight': np.ones((2, 3))}, verbose=True).init_weight(None, (2, 3), 'float32', 'weight')
    assert capsys.readouterr().out == 'Loaded weight (2, 3)\n'


def test_arguments_that_nobody_takes_are_refused():
    class Handed(init.Initializer):
        def __init__(self, factor):
            super().__init__(factor=factor)
            self.factor = factor

        def distribution(self, shape):
            return Distribution('constant', self.factor)

    np.testing.assert_array_equal(Handed(3.0)(None, (2,)), [3, 3])
    with pytest.raises(TypeError, match=r'Bilinear\(\) takes no arguments'):
        init.Bilinear(factor=2)


def test_an_overridden_call_is_the_initializers_own_code():
    class Called(init.Initializer):
        def __call__(self, key, shape, dtype=jnp.float32):
            return jnp.full(shape, 7, dtype)

    np.testing.assert_array_equal(nn.Dense(2).init(0, np.ones((1, 3)), init=Called())['weight'], np.full((2, 3), 7))


def test_load_refuses():
    with pytest.raises(
        ShapeError, match=r"Load has another shape for '0.weight'\n  expected: \(4, 5\)\n  got: \(2, 2\)"
    ):
        MLP.init(0, X, init=init.Load({'0.weight': np.ones((2, 2))}, 'zeros'))
    with pytest.raises(ParamsError, match=r"Load has no value for '2\.weight'"):
        MLP.init(0, X, init=init.Load({'0.weight': np.ones((4, 5))}))


# Names, registration, functions.


def test_register_and_alias():
    @init.register
    @init.alias('Sevens', 'all_sevens')
    class Seven(init.Initializer):
        def __init__(self, factor=1):
            self.factor = factor

        def distribution(self, shape):
            return Distribution('constant', 7.0 * self.factor)

    for name in ('seven', 'sevens', 'all_sevens', 'SEVEN'):
        assert type(init.create(name)) is Seven
    params = nn.Dense(2, weight_initializer='seven').init(0, X)
    np.testing.assert_array_equal(params['weight'], np.full((2, 5), 7))
    np.testing.assert_array_equal(init.create('seven', factor=2)(None, (1,)), [14])
    with pytest.raises(ArgumentError, match='only initializers can be registered'):
        init.register(int)


@pytest.mark.parametrize('wrong', ['nonsense', 3, None, init.Xavier, np.ones(2)])
def test_create_refuses(wrong):
    with pytest.raises(ArgumentError, match='initializer'):
        init.create(wrong)
    if wrong is not None:
        with pytest.raises(ArgumentError, match='initializer'):
            nn.Dense(2, weight_initializer=wrong)


def test_create_names_what_there_is():
    with pytest.raises(ArgumentError, match=r"'nonsense'[\s\S]*'msraprelu'.*'xavier'"):
        init.create('nonsense')


def test_plain_functions():
    def ramp(key, shape, dtype):
        return jnp.arange(np.prod(shape), dtype=dtype).reshape(shape)

    params = nn.Dense(2, weight_initializer=ramp).init(0, X)
    np.testing.assert_array_equal(params['weight'], np.arange(10).reshape(2, 5))
    params = MLP.init(0, X, init=ramp)  # a general one: dispatch by the last name holds for it, too
    np.testing.assert_array_equal(params['0']['weight'], np.arange(20).reshape(4, 5))
    np.testing.assert_array_equal(params['0']['bias'], np.zeros(4))


def test_jax_initializers_work_here():
    he = jax.nn.initializers.he_normal()
    names = {}

    def spy(key, shape, dtype):
        names[shape] = key
        return he(key, shape, dtype)

    params = MLP.init(7, X, init=spy)
    for name in ('0', '2'):
        weight = params[name]['weight']
        np.testing.assert_array_equal(weight, he(names[weight.shape], weight.shape, jnp.float32))
    # JAX's own counts fans the other way round: the last axis counts outputs.
    deltas = nn.Dense(4, weight_initializer=jax.nn.initializers.delta_orthogonal())
    with pytest.raises(ValueError, match='Delta orthogonal'):
        deltas.init(0, X)


def test_ours_work_in_flax():
    linen = pytest.importorskip('flax.linen')
    layer = linen.Dense(3, kernel_init=init.Xavier(magnitude=6), bias_init=init.Constant(2.0))
    kernel, bias = (layer.init(KEY, jnp.ones((1, 4)))['params'][name] for name in ('kernel', 'bias'))
    scale = np.sqrt(6 / 3.5)
    assert kernel.shape == (4, 3)
    assert scale / 2 < abs(kernel).max() <= scale
    np.testing.assert_array_equal(bias, [2, 2, 2])


def test_every_initializer_is_a_function():
    for name in ('zeros', 'ones', 'uniform', 'normal', 'xavier', 'msraprelu', 'orthogonal', 'constant'):
        initializer = init.create(name)
        value = initializer(jax.random.PRNGKey(3), [4, 3], jnp.float32)
        assert value.shape == (4, 3)
        np.testing.assert_array_equal(value, initializer(jax.random.key(3), (4, 3)))
        traced = jax.jit(lambda key, f=initializer: f(key, (4, 3)))(jax.random.key(3))
        np.testing.assert_allclose(traced, value, rtol=1e-5, atol=1e-6)


def test_pickle_copy_and_repr():
    for initializer in (init.Xavier('gaussian', magnitude=2), init.Normal(0.5), init.Mixed(['.*'], ['zeros'])):
        for other in (pickle.loads(pickle.dumps(initializer)), copy.deepcopy(initializer)):
            assert repr(other) == repr(initializer)
    assert repr(init.Xavier('gaussian', magnitude=2)) == "Xavier(rnd_type='gaussian', magnitude=2)"
    assert repr(init.Uniform()) == 'Uniform()'
    assert repr(init.MSRAPrelu(slope=0.1)) == 'MSRAPrelu(slope=0.1)'
    assert repr(init.create(jax.nn.initializers.zeros)) == 'zeros'


# Who wins: pattern > declared > general.


def winners(**kwargs):
    return {name: repr(spec.initializer) for name, spec in MLP.specs(X, **kwargs).items()}


def test_general():
    assert winners(init='xavier') == {
        '0.weight': 'Xavier()',
        '0.bias': 'Zero()',
        '1.gamma': 'One()',
        '1.beta': 'Zero()',
        '1.running_mean': 'Zero()',
        '1.running_var': 'One()',
        '2.weight': 'Xavier()',
        '2.bias': 'One()',
    }
    assert winners()['0.weight'] == 'Uniform()'


def test_patterns_win():
    chosen = winners(init={'.*bias': init.Normal(0.1), '2': init.Constant(3.0), '1.running_var': 'zeros'})
    assert chosen['0.bias'] == 'Normal(sigma=0.1)'
    assert chosen['2.bias'] == 'Normal(sigma=0.1)'  # the first pattern that matches
    assert chosen['2.weight'] == 'Constant(value=3.0)'
    assert chosen['1.running_var'] == 'Zero()'
    assert chosen['0.weight'] == 'Uniform()'


def test_the_winners_are_drawn():
    params = flatten(MLP.init(0, X, init={'2': init.Constant(3.0), '.*weight': init.Uniform(0.5)}))
    np.testing.assert_array_equal(params['2.weight'], np.full((3, 4), 3))
    np.testing.assert_array_equal(params['2.bias'], np.full(3, 3))
    np.testing.assert_array_equal(params['0.bias'], np.zeros(4))
    assert 0.3 < abs(params['0.weight']).max() < 0.5
    # An initializer changes the distribution of its parameter, and the numbers of no other.
    other = flatten(MLP.init(0, X))
    np.testing.assert_allclose(params['0.weight'] / 0.5, other['0.weight'] / 0.07, rtol=1e-5)


def test_declared_wins_over_general():
    layer = nn.Dense(2, weight_initializer=init.Constant(4.0), bias_initializer=None)
    params = layer.init(0, X, init=init.Constant(5.0))
    np.testing.assert_array_equal(params['weight'], np.full((2, 5), 4))
    np.testing.assert_array_equal(params['bias'], np.zeros(2))
    params = nn.Dense(2, bias_initializer=init.Constant(6.0)).init(0, X)  # declared: straight, without dispatch
    np.testing.assert_array_equal(params['bias'], np.full(2, 6))


def test_a_pattern_that_matches_nothing():
    match = r"no parameter matches 'dense.*'[\s\S]*'0.weight', '0.bias'"
    with pytest.raises(PatternError, match=match):
        MLP.specs(X, init={'dense.*': 'zeros'})
    with pytest.raises(PatternError, match=match):
        MLP.init(0, X, init={'.*weight': 'zeros', 'dense.*': 'zeros'})


def test_reinit_draws_by_the_same_rules():
    params = MLP.init(0, X)
    again = flatten(MLP.reinit(params, 1, select='0', init=init.Constant(3.0)))
    np.testing.assert_array_equal(again['0.weight'], np.full((4, 5), 3))
    np.testing.assert_array_equal(again['0.bias'], np.zeros(4))
    np.testing.assert_array_equal(again['2.weight'], params['2']['weight'])


# Initializers with code of their own.


def test_own_code_runs_once_a_parameter():
    calls = []

    class Spy(init.Initializer):
        def init_weight(self, key, shape, dtype, name):
            calls.append((name, shape, jnp.dtype(dtype).name))
            return jnp.ones(shape, dtype)

    expected = [('0.weight', (4, 5), 'float32'), ('2.weight', (3, 4), 'float32')]
    MLP.init(0, X, init=Spy())
    assert calls == expected
    jax.jit(lambda key: MLP.init(key, X, init=Spy()))(KEY)
    assert calls == 2 * expected
    MLP.specs(X, init=Spy())
    assert calls == 2 * expected


def test_the_tutorials_initializer():
    class MyInit(init.Initializer):
        def init_weight(self, key, shape, dtype, name):
            weight = jax.random.uniform(key, shape, dtype, -10, 10)
            return weight * (abs(weight) >= 5)

    weight = np.asarray(nn.Dense(100).init(0, X, init=MyInit())['weight'])
    assert set(np.unique(np.sign(weight))) == {-1, 0, 1}
    assert abs(weight[weight != 0]).min() >= 5
    np.testing.assert_allclose((weight == 0).mean(), 0.5, atol=0.1)


def test_own_code_is_checked():
    def wrong(key, shape, dtype):
        return jnp.zeros((1,))

    with pytest.raises(ShapeError, match=r"wrong gave '0.weight' another shape\n  expected: \(4, 5\)\n  got: \(1,\)"):
        MLP.init(0, X, init=wrong)
    params = nn.Dense(2, weight_initializer=lambda key, shape, dtype: np.ones(shape, 'int32')).init(0, X)
    assert params['weight'].dtype == 'float32'


def test_one_that_says_nothing():
    class Silent(init.Initializer):
        pass

    with pytest.raises(ArgumentError, match=r'Silent returns no values[\s\S]*init_weight'):
        nn.Dense(2).init(0, X, init=Silent())


@pytest.mark.parametrize('parent', [init.Uniform, init.Constant])
def test_own_code_wins_over_the_distribution_of_a_parent(parent):
    def nines(self, key, shape, dtype, name):
        return jnp.full(shape, 9, dtype)

    child = type('Child', (parent,), {'init_weight': nines})
    params = nn.Dense(2).init(0, X, init=child(0.5))
    np.testing.assert_array_equal(params['weight'], np.full((2, 5), 9))


def test_an_unknown_distribution_is_refused():
    class Wrong(init.Initializer):
        def distribution(self, shape):
            return Distribution('gaussian', 1.0)

    with pytest.raises(ArgumentError, match='gaussian'):
        nn.Dense(2).init(0, X, init=Wrong())


@pytest.mark.parametrize('given', [None, 'text', [[1], [1, 2]], object(), {'a': 1}])
def test_own_code_that_returns_no_numbers(given):
    with pytest.raises(DTypeError, match=r"gave 'weight' no array of numbers"):
        nn.Dense(2, weight_initializer=lambda key, shape, dtype: given).init(0, X)


def test_complex_values_are_for_complex_parameters():
    def imaginary(key, shape, dtype):
        return jnp.full(shape, 1j)

    for initializer in (imaginary, init.Constant(1j), init.Constant(np.full(5, 1j))):
        with pytest.raises(DTypeError, match='complex values'):
            nn.Dense(2, weight_initializer=initializer).init(0, X)
    value = nn.Dense(2, dtype='complex64', weight_initializer=init.Constant(1j)).init(0, X)['weight']
    np.testing.assert_array_equal(value, np.full((2, 5), 1j))
    with pytest.raises(DTypeError, match="Load has for 'weight' complex values"):
        init.Load({'weight': np.full(2, 1j)}).init_weight(None, (2,), 'float32', 'weight')


@pytest.mark.parametrize(
    'call',
    [
        lambda: init.Normal(-1),
        lambda: init.Normal(np.nan),
        lambda: init.Normal('wide'),
        lambda: init.Uniform(np.nan),
        lambda: init.Uniform(np.inf),
        lambda: init.Uniform(-0.1),
        lambda: init.Uniform(1j),
        lambda: init.Xavier(magnitude=-1),
        lambda: init.Xavier(magnitude='3'),
        lambda: init.MSRAPrelu(slope=None),
        lambda: init.Orthogonal(scale=np.nan),
        lambda: init.LSTMBias('1'),
        lambda: init.Load('file.params'),
    ],
)
def test_wrong_numbers(call):
    with pytest.raises(ArgumentError, match=r'must be a finite number|takes a dict'):
        call()


def test_numbers_may_be_arrays():
    assert init.Uniform(jnp.float32(0.5)).scale == init.Uniform(np.array(0.5)).scale == 0.5


def test_the_caller_may_overwrite_what_it_passed():
    buffer = np.ones((2, 5), 'float32')
    swapped = buffer.astype('>f4')
    given = [init.Constant(buffer), init.Load({'weight': buffer}), init.Constant(swapped)]
    layers = [nn.Dense(2, weight_initializer=initializer) for initializer in given]
    layers.append(nn.Dense(2, weight_initializer=lambda key, shape, dtype: buffer))
    before = layers[-1].init(0, X)['weight']
    buffer[:] = swapped[:] = 7
    np.testing.assert_array_equal(before, np.ones((2, 5)))
    for layer in layers[:-1]:
        np.testing.assert_array_equal(layer.init(0, X)['weight'], np.ones((2, 5)))


def test_initializers_are_frozen():
    with pytest.raises(FrozenError, match=r"'scale' cannot be set(?s:.*)make a new initializer"):
        init.Uniform().scale = 1


def test_code_of_gluon_1_is_told_how_to_change():
    with pytest.raises(ArgumentError, match=r'Old defines _init_weight(?s:.*)init_weight\(self, key, shape, dtype'):
        type('Old', (init.Initializer,), {'_init_weight': lambda self, name, data: None})


# Errors of ours.


def test_constant():
    np.testing.assert_array_equal(nn.Dense(2).init(0, X, init=init.Constant(42))['weight'], np.full((2, 5), 42))
    row = nn.Dense(2, weight_initializer=init.Constant([1, 2, 3, 4, 5])).init(0, X)['weight']
    np.testing.assert_array_equal(row, [[1, 2, 3, 4, 5]] * 2)
    with pytest.raises(ShapeError, match=r"'weight' does not broadcast\n  expected: \(2, 5\)\n  got: \(2,\)"):
        nn.Dense(2, weight_initializer=init.Constant([1, 2])).init(0, X)


def test_xavier_needs_fans():
    with pytest.raises(ShapeError, match=r'Xavier needs a shape of at least 2 axes\n  got: \(8,\)\n  try:'):
        init.Xavier()(KEY, (8,))
    with pytest.raises(ShapeError, match='MSRAPrelu needs a shape'):
        init.MSRAPrelu()(KEY, (8,))


def test_an_error_names_the_parameter():
    with pytest.raises(ShapeError, match=r'0\.bias'):
        MLP.init(0, X, init={'.*bias': 'xavier'})


@pytest.mark.parametrize('name', ['orthogonal', 'lstmbias', 'bilinear', 'xavier'])
def test_a_scalar_is_refused(name):
    with pytest.raises(ShapeError):
        init.create(name)(KEY, ())


@pytest.mark.parametrize(
    'call',
    [
        lambda: init.Xavier(rnd_type='nonsense'),
        lambda: init.Xavier(factor_type='nonsense'),
        lambda: init.Orthogonal(rand_type='nonsense'),
        lambda: init.MSRAPrelu(factor_type='nonsense'),
    ],
)
def test_unknown_types(call):
    with pytest.raises(ArgumentError, match=r"_type must be one of '.*'; got 'nonsense'"):
        call()
