"""Every layer: MXNet's numbers, names and signatures, and the sweeps over layer_cases.py."""

import copy
import functools
import inspect
import json
import math
import pickle
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.cases import LAYERS
from layer_cases import CASES, definition_of, golden_arrays, golden_facts, golden_layer, in_groups

from gluonjax import errors, init, merge, nn
from gluonjax.layer import leaves_of
from gluonjax.tree import flatten, nest

KEY = jax.random.key(0)
BY_NAME = {case.name: case for case in CASES}
by_case = pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
by_golden = pytest.mark.parametrize('case', LAYERS, ids=lambda case: case.name)


def assert_close(got, expected, rtol=2e-5, atol=2e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol, atol), got, expected)


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for mine, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(other))


# MXNet's answers.


def our_answers(case, arrays):
    """What make_golden.py records, by its fields' names, except that parameters' gradients cover all of them."""
    layer, x = golden_layer(case), arrays['x0']
    params = nest({field[6:]: jnp.asarray(value) for field, value in arrays.items() if field.startswith('param/')})

    def total(params, x, training):
        y, news = layer.apply_train(params, x) if training else (layer.apply(params, x), params)
        return (y * arrays['cotangent']).sum(), (y, news)

    answers = {}
    argnums = (0, 1) if 'grad_x0' in arrays else (0,)
    for prefix in ('', 'train_') if case.train else ('',):
        grads, (y, news) = jax.grad(total, argnums, has_aux=True)(params, x, bool(prefix))
        answers[f'{prefix}out'] = y
        answers |= {f'{prefix}grad_x0': gradient for gradient in grads[1:]}
        answers |= {f'{prefix}grad/{name}': gradient for name, gradient in flatten(grads[0]).items()}
        answers |= {f'train_param/{name}': value for name, value in flatten(news).items() if prefix}
    for _ in range(3):
        params = layer.apply_train(params, x)[1] if case.train else params
    return answers | {f'train3_param/{name}': value for name, value in flatten(params).items()}


@functools.cache
def all_our_answers():
    cases = {case.name: case for case in LAYERS}
    return in_groups(lambda name, arrays: our_answers(cases[name], arrays), golden_arrays())


@by_golden
def test_numbers_of_mxnet(case):
    ours, golden = all_our_answers()[case.name], golden_arrays()[case.name]
    given = ('x0', 'cotangent', *case.wrong)
    fields = [field for field in golden if field not in given and not field.startswith('param/')]
    assert 'out' in fields
    for field in fields:
        assert ours[field].shape == golden[field].shape, field
        np.testing.assert_allclose(ours[field], golden[field], rtol=2e-5, atol=2e-5, err_msg=field)


@by_golden
def test_names_and_shapes_of_mxnet(case):
    layer, facts = golden_layer(case), golden_facts()['cases'][case.name]
    x = golden_arrays()[case.name]['x0']
    specs = layer.specs(x)
    ours = [
        {'name': name, 'shape': list(s.shape), 'dtype': s.dtype, 'grad_req': 'write' if s.trainable else 'null'}
        for name, s in specs.items()
    ]
    assert ours == facts['params']
    params = layer.init(0, x)
    assert {name: ['null', 'write'][mask] for name, mask in flatten(layer.trainable(params)).items()} == {
        parameter['name']: parameter['grad_req'] for parameter in facts['params']
    }
    assert list(jax.eval_shape(layer.apply, params, x).shape) == facts['out']


# What MXNet does not have; it stands last, with a default, and is documented.
EXTRA_ARGUMENTS = {'GELU': ['approximation'], 'SyncBatchNorm': ['axis_name']}


@pytest.mark.parametrize('name', [name for name in golden_facts()['signatures'] if name != 'SymbolBlock'])
def test_signatures_of_mxnet(name):
    dropped = ('prefix', 'params')  # every layer takes them: test_every_layer_takes_prefix
    unknown = ('in_units', 'in_channels')  # None says unknown here; 0 is still understood

    def plain(value):
        if isinstance(value, init.Initializer):
            return json.dumps([type(value).__name__.lower(), vars(value)])  # as MXNet writes it
        return list(value) if isinstance(value, tuple) else value

    golden = [row for row in golden_facts()['signatures'][name] if row[0] not in dropped]
    golden = [[row[0], None] if row[0] in unknown and row[1] == 0 else row for row in golden]
    cls = getattr(nn, name)
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    arguments = [a for a in arguments if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)]  # Sequential(*layers)
    ours = [[a.name] if a.default is a.empty else [a.name, plain(a.default)] for a in arguments]
    assert ours[: len(golden)] == golden
    extra = ours[len(golden) :]
    assert [row[0] for row in extra] == EXTRA_ARGUMENTS.get(name, [])
    assert all(len(row) == 2 and f' {row[0]}: ' in cls.__doc__ for row in extra)


def test_help_shows_the_arguments():
    assert list(inspect.signature(nn.Dense).parameters)[:2] == ['units', 'activation']
    assert 'kernel_size' in inspect.signature(nn.Conv2D).parameters


@pytest.mark.parametrize('case', {case.layer: case for case in LAYERS}.values(), ids=lambda case: case.layer)
def test_every_layer_takes_prefix(case):
    cls = getattr(nn, case.layer)
    first = definition_of(cls(*case.args, **case.kwargs))
    with pytest.warns(UserWarning, match='prefix= has no effect'):
        copied = definition_of(cls(*case.args, **case.kwargs, prefix='old_'))
    assert repr(copied) == repr(first)
    assert copied.params != first.params
    if isinstance(cls, type) and issubclass(cls, nn.Layer):
        assert cls(*case.args, **case.kwargs, params=first.params).params == first.params


def test_zero_says_unknown():
    assert leaves_of(nn.Dense(2, in_units=0))[0].shape == (2, None)
    assert leaves_of(nn.Conv2D(2, 3, in_channels=0))[0].shape == (2, None, 3, 3)
    assert leaves_of(nn.BatchNorm(in_channels=0))[0].shape == (None,)


def test_activations_where_numbers_end():
    for name, golden in golden_facts()['notes']['activations'].items():
        x = jnp.asarray([float(value) for value in golden['x']])
        out = nn.Activation(name).apply({}, x)
        np.testing.assert_allclose(out, [float(value) for value in golden['out']], rtol=1e-6, err_msg=name)


def test_batchnorm_without_scale_in_training():
    facts = golden_facts()['notes']['batchnorm_updates']
    layer = nn.BatchNorm(**facts['kwargs'])
    params = {name: jnp.asarray([value]) for name, value in facts['before'].items()}
    y, news = layer.apply_train(params, jnp.asarray(facts['x']))
    golden = facts['after']['forward_and_backward']
    for name in ('running_mean', 'running_var', 'beta'):
        np.testing.assert_allclose(news[name], [golden[name]], rtol=1e-6)
    np.testing.assert_allclose(y, [[-1], [1]], rtol=1e-5)  # gamma counts as 1, as MXNet overwrites it with
    assert_same(
        layer.apply(params, jnp.asarray(facts['x'])),
        layer.apply(params | {'gamma': jnp.ones(1)}, jnp.asarray(facts['x'])),
    )


def test_conv_nhwc():
    # MXNet runs it on GPUs only, so its own NCHW is the reference; the shape of the weight is MXNet's.
    layer = nn.Conv2D(4, (2, 3), groups=2, layout='NHWC', padding=(1, 0), activation='relu')
    x = np.random.RandomState(0).standard_normal((1, 4, 4, 6)).astype('float32')
    params = layer.init(0, x, init={'.*': init.Normal(1)})
    assert list(params['weight'].shape) == golden_facts()['notes']['conv_nhwc']['weight_shape']
    other = nn.Conv2D(4, (2, 3), groups=2, padding=(1, 0), activation='relu')
    swapped = params | {'weight': params['weight'].transpose(0, 3, 1, 2)}
    expected = other.apply(swapped, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert_close(layer.apply(params, x), expected)


# Sweeps. A sweep is made of few programs of many layers, whose parts the tests compare.


@functools.cache
def made(name):
    """A layer, its params with statistics that are not 0 and 1, and an input."""
    layer, x = BY_NAME[name].layer(), BY_NAME[name].input()
    params = flatten(layer.init(KEY, x))
    params |= {n: v + 0.5 for n, v in params.items() if 'running_' in n}
    return layer, nest(params), x


@functools.cache
def eagerly(name):
    layer, params, x = made(name)
    return layer.apply(params, x), layer.apply_train(params, x, key=KEY)


def in_few_programs(function):
    """`function(layer, params, x)` for every case, compiled once."""

    @functools.cache
    def compiled():
        arguments = {case.name: made(case.name)[1:] for case in CASES}
        return in_groups(lambda name, a: function(made(name)[0], *a), arguments)

    return compiled


def loss(layer, params, x, training):
    y = layer.apply_train(params, x, key=KEY)[0] if training else layer.apply(params, x)
    return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()


@in_few_programs
def sweep(layer, params, x):
    def apply(params, x):
        return layer.apply(params, x)

    def train(params, x):
        return layer.apply_train(params, x, key=KEY)

    def gradient(wrap):
        return jax.grad(wrap(lambda params: loss(layer, params, x, True)))(params)

    def both(news, x):
        """A step of a loop: training, with what was recorded before, and inference with the same params each time."""
        y, news = train(news, x)
        return news, (y, apply(params, x))

    xs = jnp.stack([x, x[::-1]])
    first = train(params, x)
    return {
        'jit': (apply(params, x), first),
        'vmap': jax.vmap(lambda row: apply(params, row[None])[0])(x),
        'vmap_of_train': jax.vmap(train, (None, 0))(params, xs),
        'scan': jax.lax.scan(both, params, xs),
        'steps': [first, train(first[1], xs[1])],
        'gradient': gradient(lambda f: f),
        'checkpoint': gradient(jax.checkpoint),
    }


@by_case
def test_jit(case):
    assert_close(sweep()[case.name]['jit'], eagerly(case.name))


@by_case
def test_vmap_over_the_batch(case):
    assert_close(sweep()[case.name]['vmap'], eagerly(case.name)[0])


@by_case
def test_vmap_of_training(case):
    layer, params, x = made(case.name)
    y, news = sweep()[case.name]['vmap_of_train']
    for i, batch in enumerate((x, x[::-1])):
        expected = layer.apply_train(params, batch, key=KEY)
        assert_close((y[i], jax.tree.map(lambda value, i=i: value[i], news)), expected)


@by_case
def test_scan(case):
    answers = sweep()[case.name]
    news, (ys, outputs) = answers['scan']
    assert_close(outputs[0], eagerly(case.name)[0])
    (first, _), (second, expected) = answers['steps']
    assert_close((ys[0], ys[1], news), (first, second, expected))


@by_case
def test_checkpoint(case):
    answers = sweep()[case.name]
    assert_close(answers['checkpoint'], answers['gradient'])


@by_case
def test_eval_shape(case):
    layer, params, x = made(case.name)

    def shapes(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)

    assert shapes(jax.eval_shape(layer.apply, params, x)) == shapes(eagerly(case.name)[0])
    abstract = jax.eval_shape(layer.init, KEY, jax.ShapeDtypeStruct(x.shape, x.dtype))
    assert shapes(abstract) == shapes(params)
    abstract = jax.eval_shape(lambda *a: layer.apply_train(*a, key=KEY), abstract, x)
    assert shapes(abstract) == shapes(eagerly(case.name)[1])


# Double and half precision.


def doubled(tree):
    return jax.tree.map(lambda v: jnp.asarray(v, 'float64') if jnp.issubdtype(v.dtype, jnp.floating) else v, tree)


def directions(layer, params, x, differentiable):
    """For each mode: the slope along a random direction by central differences, and by the gradient."""
    random = np.random.RandomState(0)
    point = (params, x) if differentiable else (params,)
    along = jax.tree.map(lambda v: jnp.asarray(random.standard_normal(v.shape)), point)
    slopes = []
    for training in (False, True):

        def f(step, training=training):
            moved = jax.tree.map(lambda v, a: v + step * a, point, along)
            return loss(layer, *moved, *(() if differentiable else (x,)), training)

        values, gradients = jax.lax.map(jax.value_and_grad(f), jnp.asarray([1e-6, -1e-6, 0.0]))
        slopes.append(((values[0] - values[1]) / 2e-6, gradients[2]))
    return slopes


@functools.cache
def in_double():
    with jax.enable_x64(True):
        arguments = {case.name: doubled(made(case.name)[1:]) for case in CASES}

        def answers(name, point):
            case, (params, x) = BY_NAME[name], point
            layer = case.layer().cast('float64')
            return {
                'slopes': directions(layer, params, x, case.differentiable),
                'modes': (layer.apply(params, x), layer.apply_train(params, x, key=KEY)),
            }

        return jax.tree.map(np.asarray, in_groups(answers, arguments))


@by_case
def test_gradients_are_the_slopes(case):
    for difference, gradient in in_double()[case.name]['slopes']:
        np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-8)


@by_case
def test_float64(case):
    inference, (y, news) = in_double()[case.name]['modes']
    assert all(leaf.dtype == 'float64' for leaf in jax.tree.leaves((inference, y, news)))
    single = eagerly(case.name)
    assert_close(inference, single[0], 1e-4, 1e-5)
    if 'dropout' not in repr(case.layer()).lower():  # another dtype draws another mask
        assert_close((y, news), single[1], 1e-4, 1e-5)


def test_float64_params_are_drawn_in_float64():
    with jax.enable_x64(True):
        params = nn.Dense(3).cast('float64').init(0, np.ones((2, 4)))
        assert {v.dtype.name for v in params.values()} == {'float64'}
        weight = np.asarray(params['weight'])
    assert not np.array_equal(weight, weight.astype('float32'))


def halved(tree, dtype):
    return jax.tree.map(lambda v: v.astype(dtype) if jnp.issubdtype(v.dtype, jnp.floating) else v, tree)


def as_cast(case, dtype):
    """The cast layer, and params and input in the dtypes that it wants."""
    layer, params, x = made(case.name)
    layer = layer.cast(dtype)
    wanted = jax.eval_shape(layer.init, KEY, x)
    return layer, jax.tree.map(lambda value, want: value.astype(want.dtype), params, wanted), halved(x, dtype)


@functools.cache
def in_half(dtype):
    arguments = {case.name: as_cast(case, dtype)[1:] for case in CASES}

    def answers(name, point):
        layer, (params, x) = as_cast(BY_NAME[name], dtype)[0], point
        return layer.apply(params, x), jax.grad(lambda params: loss(layer, params, x, False))(params)

    return in_groups(answers, arguments)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
@by_case
def test_half_precision(case, dtype):
    layer, params, _ = as_cast(case, dtype)
    names = {leaf.name for leaf in leaves_of(layer)}
    for leaf in leaves_of(layer):
        of_batchnorm = re.sub(r'\w+$', 'running_mean', leaf.name) in names
        assert leaf.param.dtype == ('float32' if of_batchnorm else dtype)
    y, gradient = in_half(dtype)[case.name]
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, 'float32'), eagerly(case.name)[0], rtol=0.03, atol=0.03)
    wide = gradients_in_single()[case.name]
    assert_close(jax.tree.map(lambda g: g.astype('float32'), gradient), wide, 0.05, 0.15)
    assert [g.dtype for g in jax.tree.leaves(gradient)] == [p.dtype for p in jax.tree.leaves(params)]


@in_few_programs
def gradients_in_single(layer, params, x):
    return jax.grad(lambda params: loss(layer, params, x, False))(params)


def test_half_precision_is_drawn():
    params = nn.Dense(3).cast('bfloat16').init(0, np.ones((2, 4), 'float32'))
    assert {value.dtype.name for value in params.values()} == {'bfloat16'}


# Shapes: given or deferred, empty, batches of keys.


@pytest.mark.parametrize('case', [case for case in CASES if case.given], ids=lambda case: case.name)
def test_deferred_or_given(case):
    deferred, given = case.layer(), case.layer(**case.given)
    assert any(None in leaf.shape for leaf in leaves_of(deferred))
    assert_same(given.init(KEY), deferred.init(KEY, case.input()))
    assert {n: s.shape for n, s in given.specs().items()} == {
        n: s.shape for n, s in deferred.specs(case.input()).items()
    }
    with pytest.raises(errors.ShapeError, match='still unknown'):
        deferred.init(KEY)


@functools.cache
def on_nothing():
    arguments = {case.name: (made(case.name)[1], case.input(0)) for case in CASES}

    def answers(name, point):
        layer, (params, x) = made(name)[0], point
        gradient = jax.grad(lambda params: loss(layer, params, x, True))(params)
        return layer.apply(params, x), layer.apply_train(params, x, key=KEY), gradient

    return in_groups(answers, arguments)


@by_case
def test_empty_batch(case):
    inference, (y, news), gradient = on_nothing()[case.name]
    expected = (0, *eagerly(case.name)[0].shape[1:])
    assert (inference.shape, y.shape) == (expected, expected)
    assert_same(news, made(case.name)[1])
    assert all((np.asarray(value) == 0).all() for value in jax.tree.leaves(gradient))


@by_case
def test_an_empty_batch_completes_shapes(case):
    assert_same(case.layer().init(KEY, case.input(0)), case.layer().init(KEY, case.input()))


ENSEMBLE = [case for case in CASES if case.name in ('dense', 'batchnorm', 'embedding', 'concatenate', 'conv2d')]


@functools.cache
def ensembles():
    keys = jax.random.split(KEY, 2)
    return keys, jax.jit(jax.vmap(lambda key: {case.name: case.layer().init(key, case.input()) for case in ENSEMBLE}))(
        keys
    )


@pytest.mark.optimized
@pytest.mark.parametrize('case', ENSEMBLE, ids=lambda case: case.name)
def test_init_under_vmap(case):
    keys, drawn = ensembles()
    for i, key in enumerate(keys):
        expected = case.layer().init(key, case.input())
        assert_same(jax.tree.map(lambda v, i=i: v[i], drawn[case.name]), expected)


@by_case
def test_params_are_a_function_of_the_key(case):
    layer, x = case.layer(), case.input()
    params = layer.init(3, x)
    assert_same(layer.init(jax.random.key(3), jax.ShapeDtypeStruct(x.shape, x.dtype)), params)
    for name, value in flatten(params).items():
        if name.endswith('weight'):
            assert not np.array_equal(value, flatten(layer.init(4, x))[name])


@by_case
def test_partition_and_merge(case):
    layer, params, _ = made(case.name)
    trained, rest = layer.partition(params)
    assert set(flatten(rest)) >= {name for name in flatten(params) if 'running_' in name}
    assert not any('running_' in name for name in flatten(trained))
    assert flatten(merge(trained, rest)).keys() == flatten(params).keys()


# Definitions.


@by_case
def test_pickle_and_deepcopy(case):
    layer, params, x = made(case.name)
    for copied in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), copy.copy(layer)):
        assert (type(copied), repr(copied)) == (type(layer), repr(layer))
        assert_same(copied.init(KEY, x), layer.init(KEY, x))
        assert_same(copied.apply(params, x), layer.apply(params, x))


@pytest.mark.parametrize(
    ('layer', 'shape', 'numbers'),
    [
        (nn.Dense(10**6), (1, 10**7), {'weight': 10**13, 'bias': 10**6}),
        (nn.Conv2D(10**5, 1000), (1, 10**5, 1000, 1000), {'weight': 10**16, 'bias': 10**5}),
        (nn.Embedding(10**9, 10**5), (1,), {'weight': 10**14}),
    ],
    ids=['dense', 'conv2d', 'embedding'],
)
def test_specs_allocate_nothing(layer, shape, numbers):
    specs = layer.specs(jax.ShapeDtypeStruct(shape, 'float32'))
    assert {name: math.prod(s.shape) for name, s in specs.items()} == numbers
    assert sum(s.bytes for s in specs.values()) == 4 * sum(numbers.values())
    assert all(name in repr(specs) for name in numbers)


# Errors.


def image(*shape, dtype='float32'):
    return jax.ShapeDtypeStruct(shape, dtype)


SIZES = [
    # layer, input, error, what it says
    (
        lambda: nn.Dense(3, in_units=5),
        image(2, 4),
        errors.ShapeError,
        r'\(3, 5\), but the input \(2, 4\).*needs \(3, 4\)',
    ),
    (lambda: nn.Dense(3, flatten=False, in_units=5), image(2, 5, 4), errors.ShapeError, r'needs \(3, 4\)'),
    (lambda: nn.Dense(3), image(), errors.ShapeError, 'axis of features'),
    (lambda: nn.BatchNorm(in_channels=5), image(2, 4), errors.ShapeError, r'\(5,\), but the input \(2, 4\)'),
    (lambda: nn.BatchNorm(axis=2), image(2, 4), errors.ShapeError, 'expected: axis 2\n  got: \\(2, 4\\)'),
    (lambda: nn.BatchNorm(axis=-3), image(2, 4), errors.ShapeError, 'expected: axis -3'),
    (
        lambda: nn.Conv2D(3, 2, in_channels=5),
        image(1, 4, 3, 3),
        errors.ShapeError,
        r'\(3, 5, 2, 2\), but.*\(3, 4, 2, 2\)',
    ),
    (lambda: nn.Conv2D(4, 2, groups=2), image(1, 3, 3, 3), errors.ArgumentError, 'groups do not divide in_channels'),
    (lambda: nn.Conv2D(3, 2), image(4, 3, 3), errors.ShapeError, r'expected: 4 \(NCHW\)\n  got: \(4, 3, 3\)'),
    (lambda: nn.Conv2D(3, (2, 4)), image(1, 4, 3, 3), errors.ShapeError, 'kernel is larger.*along W'),
    (lambda: nn.MaxPool2D(), image(4, 3, 3), errors.ShapeError, r'4 \(NCHW\)'),
    (lambda: nn.MaxPool2D(3), image(1, 1, 2, 4), errors.ShapeError, 'window is larger.*along H'),
    (lambda: nn.AvgPool2D((2, 5)), image(1, 1, 4, 4), errors.ShapeError, 'window is larger.*along W'),
    (lambda: nn.GlobalAvgPool2D('NHWC'), image(1, 1, 4), errors.ShapeError, r'4 \(NHWC\)'),
    (lambda: nn.Conv1D(3, 2), image(1, 4, 3, 3), errors.ShapeError, r'expected: 3 \(NCW\)\n  got: \(1, 4, 3, 3\)'),
    (lambda: nn.Conv1D(3, 2, dilation=3, padding=1), image(1, 4, 1), errors.ShapeError, 'at most 3 elements\n  got: 4'),
    (lambda: nn.Conv3D(3, (1, 4, 1)), image(1, 4, 3, 3, 3), errors.ShapeError, 'kernel is larger.*along H'),
    (
        lambda: nn.Conv3D(3, 1, layout='NDHWC', in_channels=2),
        image(1, 2, 1, 1, 4),
        errors.ShapeError,
        r'\(3, 1, 1, 1, 2\), but.*needs \(3, 1, 1, 1, 4\)',
    ),
    (
        lambda: nn.Conv2DTranspose(3, 2, in_channels=5),
        image(1, 4, 3, 3),
        errors.ShapeError,
        r'\(5, 3, 2, 2\), but.*\(4, 3, 2, 2\)',
    ),
    (lambda: nn.Conv1DTranspose(4, 2, groups=2), image(1, 3, 3), errors.ArgumentError, 'do not divide in_channels'),
    (lambda: nn.Conv2DTranspose(3, 2), image(4, 3, 3), errors.ShapeError, r'expected: 4 \(NCHW\)'),
    (
        lambda: nn.Conv3DTranspose(3, 2, padding=(0, 1, 0)),
        image(1, 4, 1, 1, 1),
        errors.ShapeError,
        r'padding leaves nothing of the output along H[\s\S]*got: 0 \(padding \(0, 1, 0\)\)',
    ),
    (lambda: nn.MaxPool1D(3), image(1, 1, 2), errors.ShapeError, 'window is larger.*along W'),
    (lambda: nn.AvgPool3D((1, 3, 1)), image(1, 1, 2, 2, 2), errors.ShapeError, 'window is larger.*along H'),
    (lambda: nn.MaxPool3D(), image(1, 1, 2, 2), errors.ShapeError, r'5 \(NCDHW\)'),
    (lambda: nn.GlobalMaxPool1D('NWC'), image(1, 4), errors.ShapeError, r'3 \(NWC\)'),
    (lambda: nn.GlobalMaxPool2D(), image(1, 2, 0, 3), errors.ShapeError, 'nothing to pool'),
    (lambda: nn.GlobalAvgPool3D(), image(1, 2, 3, 3, 0), errors.ShapeError, 'sizes >= 1 along DHW'),
    (lambda: nn.GlobalMaxPool2D(), image(1, 2, 4, 4, dtype='bool'), errors.DTypeError, 'bool'),
    (lambda: nn.Conv2DTranspose(3, 2), image(1, 2, 4, 4, dtype='int32'), errors.DTypeError, 'int32'),
    (lambda: nn.Flatten(), image(), errors.ShapeError, 'an axis of examples'),
    *[
        (layer, image(1, 2, 4, 4, dtype=dtype), errors.DTypeError, f'floating-point input\n  got: {dtype}')
        for layer in (nn.Dense, nn.BatchNorm, nn.Conv2D, nn.AvgPool2D, nn.GlobalAvgPool2D, nn.Activation)
        for dtype in ('int32', 'bool')
    ],
    (lambda: nn.MaxPool2D(), image(1, 2, 4, 4, dtype='bool'), errors.DTypeError, 'bool'),
]


def make(layer):
    arguments = {nn.Dense: (2,), nn.Conv2D: (2, 2), nn.Activation: ('relu',)}
    return layer(*arguments.get(layer, ()))


@pytest.mark.parametrize(('layer', 'x', 'error', 'match'), SIZES)
def test_wrong_input(layer, x, error, match):
    network = definition_of(nn.Sequential(nn.Identity(), make(layer), nn.Dense(2)))
    with pytest.raises(error, match=match) as caught:
        network.init(0, x)  # the last layer's width is unknown, so the input goes through
    shape = str(x.shape).replace('(', r'\(').replace(')', r'\)')
    caught.match(rf'in layer 1 \({type(make(layer)).__name__}\), input {shape}')
    caught.match(rf'after\n +layer 0 \(Identity\): {shape} -> {shape}')


def test_wrong_width_in_apply():
    network = definition_of(nn.Sequential(nn.Dense(3), nn.Activation('relu'), nn.Dense(2)))
    params = network.init(0, image(2, 4))
    wrong = network.init(0, image(2, 5))
    with pytest.raises(
        errors.ShapeError, match=r"'0.weight' has shape \(3, 5\), but the input \(2, 4\) of layer 0 needs"
    ):
        network.apply(wrong, np.ones((2, 4), 'float32'))
    params['2'] = nn.Dense(2).init(0, image(2, 6))
    with pytest.raises(errors.ShapeError, match=r"'2.weight' has shape \(2, 6\), but the input \(2, 3\) of layer 2"):
        network.apply(params, np.ones((2, 4), 'float32'))


@pytest.mark.parametrize(
    'call',
    [
        lambda: nn.Dense(0),
        lambda: nn.Dense(2.5),
        lambda: nn.Dense(True),
        lambda: nn.Dense(2, 'nonsense'),
        lambda: nn.Dense(2, in_units=-1),
        lambda: nn.Activation(3),
        lambda: nn.Dropout(-0.1),
        lambda: nn.Dropout(1.1),
        lambda: nn.Dropout(float('nan')),
        lambda: nn.Dropout('half'),
        lambda: nn.Embedding(0, 2),
        lambda: nn.Embedding(3, 2.0),
        lambda: nn.BatchNorm(in_channels=-2),
        lambda: nn.Conv2D(0, 2),
        lambda: nn.Conv2D(2, 0),
        lambda: nn.Conv2D(2, (1, 2, 3)),
        lambda: nn.Conv2D(2, 2, strides=0),
        lambda: nn.Conv2D(2, 2, padding=-1),
        lambda: nn.Conv2D(2, 2, dilation=0),
        lambda: nn.Conv2D(3, 2, groups=2),
        lambda: nn.Conv2D(2, 2, groups=2, in_channels=3),
        lambda: nn.Conv2D(2, 2, layout='HWNC'),
        lambda: nn.MaxPool2D(0),
        lambda: nn.MaxPool2D(strides=0),
        lambda: nn.AvgPool2D(layout='NCW'),
        lambda: nn.AvgPool2D(padding=-1),
        lambda: nn.GlobalAvgPool2D('HW'),
        lambda: nn.Conv1D(2, (3, 3)),
        lambda: nn.Conv1D(2, 3, strides=-1),
        lambda: nn.Conv1D(2, 3, layout='NHWC'),
        lambda: nn.Conv3D(2, 3, padding=(1, 1)),
        lambda: nn.Conv3D(-2, 3),
        lambda: nn.Conv2D(2, 3, groups=0),
        lambda: nn.Conv2D(2, 3, activation='nonsense'),
        lambda: nn.Conv1DTranspose(2, 3, groups=3),
        lambda: nn.Conv2DTranspose(2, 3, groups=2, in_channels=5),
        lambda: nn.Conv2DTranspose(2, 3, output_padding=-1),
        lambda: nn.Conv2DTranspose(2, 3, output_padding=(1, 1, 1)),
        lambda: nn.MaxPool1D((2, 2)),
        lambda: nn.MaxPool1D(2, ceil_mode=False, layout='WNC'),
        lambda: nn.MaxPool3D(2, 2, -1),
        lambda: nn.AvgPool1D(2, 0),
        lambda: nn.AvgPool3D((2, 2)),
        lambda: nn.GlobalMaxPool1D('NCHW'),
        lambda: nn.GlobalMaxPool3D('NCWHD'),
        lambda: nn.Lambda('nonsense'),
        lambda: nn.Lambda('pi'),
        lambda: nn.Lambda(3),
    ],
)
def test_wrong_arguments(call):
    with pytest.raises(errors.ArgumentError, match=r'(expected: |must be )(.|\n)*in the constructor of [A-Z]\w+$'):
        call()


def test_the_layer_that_cannot_be_made_is_named():
    with pytest.raises(errors.ArgumentError, match=r'must be an int >= 1, got -3\n  in the constructor of Conv2D$'):
        nn.Conv2D(-3, 3)
    with pytest.raises(
        errors.ArgumentError, match=r'rate must be a number >= 0 and <= 1, got 3\n  in the constructor of Dropout$'
    ):
        nn.MultiHeadAttention(8, 2, dropout=3)  # the innermost


@pytest.mark.parametrize(('axis', 'message'), [(0, 'differ in other axes than 0'), (5, 'lack the axis 5')])
def test_outputs_that_cannot_be_joined(axis, message):
    layer = definition_of(nn.Concatenate(nn.Dense(2), nn.Dense(3), axis=axis))
    with pytest.raises(errors.ShapeError, match=rf'{message}(.|\n)*\[\(4, 2\), \(4, 3\)\](.|\n)*layer 0 \(Dense\)'):
        layer.init(0, image(4, 5))


# Single layers.


def drop(rate, shape=(200, 100), key=0, **kwargs):
    return np.asarray(nn.Dropout(rate, **kwargs).apply_train({}, np.ones(shape, 'float32'), key=key)[0])


@pytest.mark.parametrize('rate', [0.1, 0.5, 0.8])
def test_dropout_statistics(rate):
    y = drop(rate)
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)
    sigma = np.sqrt(rate * (1 - rate))
    assert abs((y == 0).mean() - rate) < 4 * sigma / np.sqrt(y.size)
    assert abs((y == 0).mean(0) - rate).max() < 5 * sigma / np.sqrt(200)  # in each column, and in each row
    assert abs((y == 0).mean(1) - rate).max() < 5 * sigma / np.sqrt(100)


@pytest.mark.parametrize(
    ('axes', 'shared'), [(0, (0,)), ((1,), (1,)), ((-1,), (2,)), ((0, 2), (0, 2)), ((1, -3), (0, 1))]
)
def test_dropout_axes(axes, shared):
    y = drop(0.5, (40, 50, 60), axes=axes)
    assert all((y == y.take([0], axis)).all() for axis in shared)
    one = y[tuple(slice(1) if axis in shared else slice(None) for axis in range(3))]
    assert 0.25 < (one == 0).mean() < 0.75
    for axis in set(range(3)) - set(shared):
        assert not (y == y.take([0], axis)).all()


@pytest.mark.parametrize('rate', [0, 0.0])
def test_dropout_of_nothing(rate):
    np.testing.assert_array_equal(nn.Dropout(rate).apply_train({}, np.ones(5, 'float32'))[0], np.ones(5))  # and no key


@pytest.mark.parametrize('rate', [1, 1.0])
def test_dropout_of_everything(rate):
    np.testing.assert_array_equal(drop(rate, (3, 2)), np.zeros((3, 2)))


def test_dropout_key():
    np.testing.assert_array_equal(drop(0.5, key=1), drop(0.5, key=jax.random.key(1)))
    assert (drop(0.5, key=1) != drop(0.5, key=2)).mean() > 0.4
    with pytest.raises(
        errors.MissingKeyError, match=r'layer 1 asks for a random key[\s\S]*apply_train\(params, x, key=key\)'
    ):
        definition_of(nn.Sequential(nn.Identity(), nn.Dropout(0.5))).apply_train({}, np.ones(3, 'float32'))


def test_two_dropouts_have_two_masks():
    both = definition_of(nn.Concatenate(nn.Dropout(0.5), nn.Dropout(0.5)))
    first, second = np.split(np.asarray(both.apply_train({}, np.ones((50, 50), 'float32'), key=0)[0]), 2, axis=1)
    assert 0.4 < (first != second).mean() < 0.6
    one = nn.Dropout(0.5)
    twice = definition_of(nn.Concatenate(one, one))
    first, second = np.split(np.asarray(twice.apply_train({}, np.ones((50, 50), 'float32'), key=0)[0]), 2, axis=1)
    assert 0.4 < (first != second).mean() < 0.6


def test_two_keys_of_one_layer_differ():
    class Twice(nn.Layer):
        def forward(self, x):
            return jax.random.normal(self.next_key(), x.shape) - jax.random.normal(self.next_key(), x.shape)

    assert abs(Twice().apply_train({}, jnp.ones(5), key=0)[0]).min() > 0


def test_dropout_gradient_is_its_mask():
    x = np.random.RandomState(0).standard_normal((5, 6)).astype('float32')
    gradient = jax.grad(lambda x: nn.Dropout(0.25).apply_train({}, x, key=3)[0].sum())(x)
    np.testing.assert_array_equal(gradient, drop(0.25, (5, 6), key=3))


def test_dropout_refuses_integers():
    with pytest.raises(errors.DTypeError):  # 1 / (1 - rate) is no integer
        nn.Dropout(0.3).apply_train({}, np.ones((3, 3), 'int32'), key=0)


def test_dropout_refuses_an_axis_that_is_not_there():
    with pytest.raises(errors.ArgumentError, match=r'axis that the input lacks[\s\S]*\(5,\)[\s\S]*Dropout'):
        nn.Dropout(0.5, axes=5).apply_train({}, np.ones((2, 2), 'float32'), key=0)


@pytest.mark.parametrize('dtype', ['int8', 'uint8', 'int16', 'int32'])
def test_maxpool_of_integers(dtype):
    x = np.array([[[[3, 1], [0, 2]]]], dtype)
    y = nn.MaxPool2D(2, 2, 1).apply({}, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[0, 0], [[3, 1], [0, 2]])


@pytest.mark.parametrize('dtype', ['uint8', 'uint32', 'int8', 'float16'])
def test_embedding_clips_every_dtype(dtype):
    layer = nn.Embedding(3, 1, weight_initializer=init.Constant([[0], [1], [2]]))
    last = np.array([1, np.inf if dtype == 'float16' else np.iinfo(dtype).max], dtype)
    np.testing.assert_array_equal(layer.apply(layer.init(0), last)[:, 0], [1, 2])


def test_embedding_takes_sparse_grad_and_has_dense_gradients():
    layer, x = nn.Embedding(3, 2, sparse_grad=True), np.array([0, 2, 2], 'int32')
    params = layer.init(0)
    assert_same(params, nn.Embedding(3, 2).init(0))
    gradient = jax.grad(lambda params: layer.apply(params, x).sum())(params)
    np.testing.assert_array_equal(gradient['weight'], [[1, 1], [0, 0], [2, 2]])


def test_embedding_refuses_complex_indices():
    with pytest.raises(errors.DTypeError):
        nn.Embedding(3, 2).apply(nn.Embedding(3, 2).init(0), np.array([1j], 'complex64'))


def test_batchnorm_stays_in_float32():
    layer = nn.BatchNorm().cast('float16')
    assert {leaf.param.dtype for leaf in leaves_of(layer)} == {'float32'}
    x = np.full((50, 1), 300, 'float16') + np.arange(50, dtype='float16')[:, None]  # its squares overflow
    y, news = layer.apply_train(layer.init(0, x), x)
    assert y.dtype == 'float16'
    np.testing.assert_allclose(news['running_var'], 0.9 + 0.1 * np.var(np.arange(50)), rtol=1e-4)


def test_batchnorm_statistics_get_no_gradient():
    layer, params, x = made('batchnorm')
    gradient = jax.grad(lambda p: sum(v.sum() for v in jax.tree.leaves(layer.apply_train(p, x)[1])))(params)
    np.testing.assert_allclose(gradient['running_mean'], np.full(3, 0.9), rtol=1e-6)
    through = jax.grad(lambda x: layer.apply_train(params, x)[1]['running_mean'].sum())(jnp.asarray(x))
    np.testing.assert_array_equal(through, np.zeros_like(x))


def test_repr():
    assert repr(nn.Dense(3, 'relu', in_units=4)) == "Dense(3, activation='relu', in_units=4)"
    assert repr(nn.Conv2D(3, 2, padding=1)) == 'Conv2D(3, (2, 2), padding=(1, 1))'
    assert repr(nn.BatchNorm()) == 'BatchNorm()'
    assert repr(nn.Dropout(0.5)) == 'Dropout(0.5)'


def test_a_jitted_batchnorm_is_traced_once():
    code = """
import jax, jax.numpy as jnp
from gluonjax import nn
layer = nn.BatchNorm(in_channels=3)
params = layer.init(0)
traces = []
apply = jax.jit(lambda params, x: (traces.append(1), layer.apply(params, x))[1])
for _ in range(3):
    apply(params, jnp.ones((2, 3)))
assert len(traces) == 1, traces
"""
    subprocess.run([sys.executable, '-c', code], check=True)
