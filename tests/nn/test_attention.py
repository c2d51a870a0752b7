"""MultiHeadAttention: the definition in float64, slopes, decoding, masks, dropout, errors, and a transformer of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import errors, nn
from gluonjax.tree import flatten

KEY = jax.random.key(0)


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def randomly(params, seed=0):
    """Values for all leaves, biases too."""
    leaves, tree = jax.tree.flatten(params)
    return tree.unflatten([normal(seed + i, *leaf.shape).astype(leaf.dtype) / 2 for i, leaf in enumerate(leaves)])


# The definition, in NumPy: one example, one head, one query at a time.


def rotated(vector, position, base, dims, interleaved):
    turned = vector.copy()
    for i in range(dims // 2):
        one, two = (2 * i, 2 * i + 1) if interleaved else (i, i + dims // 2)
        angle = position * base ** (-2 * i / dims)
        turned[one] = vector[one] * np.cos(angle) - vector[two] * np.sin(angle)
        turned[two] = vector[two] * np.cos(angle) + vector[one] * np.sin(angle)
    return turned


def reference(layer, params, x, memory=None, values=None, mask=None, bias=None, valid_length=None):
    memory = x if memory is None else memory
    values = memory if values is None else values
    flat = {name: np.asarray(value, 'float64') for name, value in flatten(params).items()}

    def linear(name, x):
        return x @ flat[f'{name}.weight'].T + flat.get(f'{name}.bias', 0)

    size, batch, queries, keys = layer.head_size, len(x), x.shape[1], memory.shape[1]
    every = (batch, layer.num_heads, queries, keys)
    allowed = np.ones(every, bool) if mask is None else np.broadcast_to(mask, every).copy()
    added = np.zeros(every) if bias is None else np.broadcast_to(bias, every)
    scale = size**-0.5 if layer.scale is None else layer.scale
    together = np.zeros((batch, queries, layer.num_heads * size))
    for n, h in np.ndindex(batch, layer.num_heads):
        shared = h // (layer.num_heads // layer.num_kv_heads)
        q = linear('query', x[n])[:, h * size : (h + 1) * size]
        k, v = (
            linear(name, array[n])[:, shared * size : (shared + 1) * size]
            for name, array in (('key', memory), ('value', values))
        )
        if layer.rotary is not None:
            options = (layer.rotary.base, layer.rotary.dims or size, layer.rotary.interleaved)
            q, k = (np.array([rotated(row, t, *options) for t, row in enumerate(rows)]) for rows in (q, k))
        for t in range(queries):
            ok = allowed[n, h, t] & (np.arange(keys) <= t if layer.causal else True)
            ok = ok & (np.arange(keys) < (keys if valid_length is None else valid_length[n]))
            logits = np.where(ok, scale * k @ q[t] + added[n, h, t], -np.inf if ok.any() else 0)
            weights = np.exp(logits - logits.max())
            together[n, t, h * size : (h + 1) * size] = weights / weights.sum() @ v
    return linear('out', together)


X, MEMORY = normal(1, 2, 4, 6), normal(2, 2, 5, 3)
SOME = normal(3, 2, 1, 4, 4) > -0.3
SOME[0, 0, 1] = False  # element 1 may attend to nothing
ROTARY = nn.RotaryPositions(2, base=50.0, interleaved=True)
CASES = {  # arguments, inputs by position, inputs by name
    'self': ((6, 2), {}, (X,), {}),
    'causal': ((6, 3), {'causal': True}, (X,), {}),
    'cross': ((4, 2), {'use_bias': False}, (X, MEMORY), {}),
    'values': ((4, 2), {'scale': 1.5}, (X, MEMORY, normal(5, 2, 5, 2)), {}),
    'causal_cross_longer': ((4, 2), {'causal': True}, (X, MEMORY), {}),
    'causal_cross_shorter': ((4, 2), {'causal': True}, (X, MEMORY[:, :2]), {}),
    'mask': ((6, 2), {}, (X,), {'mask': SOME}),
    'mask_of_heads': ((6, 2), {'causal': True}, (X,), {'mask': normal(7, 1, 2, 1, 4) > -1}),
    'bias': ((6, 2), {}, (X,), {'bias': normal(8, 1, 2, 4, 4)}),
    'mask_and_bias': ((8, 4), {'num_kv_heads': 2}, (X,), {'mask': SOME, 'bias': normal(9, 2, 4, 1, 4)}),
    'valid_length': ((4, 2), {}, (X, MEMORY), {'valid_length': np.array([3, 5], 'int32')}),
    'grouped': ((8, 4), {'num_kv_heads': 2, 'causal': True}, (X,), {}),
    'multi_query': ((8, 4), {'num_kv_heads': 1, 'head_size': 3}, (X, MEMORY), {}),
    'rotary': ((8, 2), {'rotary': nn.RotaryPositions(), 'causal': True}, (X,), {}),
    'rotary_partial': ((8, 2), {'rotary': ROTARY, 'num_kv_heads': 1}, (X,), {}),
    'length_one': ((4, 2), {'causal': True}, (X[:, :1],), {}),
}
SLOPES = ('values', 'causal_cross_shorter', 'mask_and_bias', 'mask_of_heads', 'multi_query', 'rotary_partial')
by_case = pytest.mark.parametrize('name', CASES)


@functools.cache
def made(name, dtype='float64'):
    """A layer, its params and its inputs, whose floating-point arrays have this dtype."""
    args, kwargs, inputs, named = CASES[name]
    layer = nn.MultiHeadAttention(*args, **kwargs)
    params = randomly(layer.init(KEY, *inputs, **named))
    cast = functools.partial(jax.tree.map, lambda v: v.astype(dtype) if v.dtype.kind == 'f' else v)
    return layer, cast((params, inputs, named))


def split(named):
    """Inputs that have gradients, and those that have none."""
    return [{k: v for k, v in named.items() if (v.dtype.kind == 'f') is smooth} for smooth in (True, False)]


@functools.cache
def outputs(dtype):
    """Every case in one program. In float16 it is computed by hand, as dropout and float64 are."""

    def everything(arguments):
        return {
            name: made(name)[0].apply(params, *inputs, **named) for name, (params, inputs, named) in arguments.items()
        }

    return jax.jit(everything)({name: made(name, dtype)[1] for name in CASES})


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
@by_case
def test_the_definition(name, dtype):
    layer, (params, inputs, named) = made(name)
    y = outputs(dtype)[name]
    assert y.dtype == dtype
    tolerance = 8 * float(jnp.finfo(dtype).eps)
    expected = reference(layer, params, *inputs, **named)
    np.testing.assert_allclose(np.asarray(y, 'float64'), expected, rtol=tolerance, atol=2 * tolerance)


@functools.cache
def in_double():
    """The output, and for each leaf of params and inputs the slope along a direction: as measured, and as told."""

    def everything(arguments):
        answers = {}
        for name, (params, inputs, named) in arguments.items():
            smooth, rest = split(named)
            leaves, tree = jax.tree.flatten((params, inputs, smooth))
            directions = [normal(100 + i, *leaf.shape) for i, leaf in enumerate(leaves)]

            layer = made(name)[0]

            def loss(leaves, layer=layer, tree=tree, rest=rest):
                params, inputs, smooth = tree.unflatten(leaves)
                y = layer.apply(params, *inputs, **smooth, **rest)
                return (y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum(), y

            def moved(steps, loss=loss, leaves=leaves, directions=directions):
                return loss([leaf + step * d for leaf, step, d in zip(leaves, steps, directions, strict=True)])[0]

            gradient, y = jax.grad(loss, has_aux=True)(leaves)
            steps = 1e-6 * jnp.eye(len(leaves))
            values = jax.vmap(moved)(jnp.concatenate([steps, -steps]))
            told = jnp.stack([jnp.vdot(g, d) for g, d in zip(gradient, directions, strict=True)])
            answers[name] = y, (values[: len(leaves)] - values[len(leaves) :]) / 2e-6, told
        return answers

    with jax.enable_x64(True):
        arguments = {name: made(name)[1] for name in SLOPES}
        return jax.tree.map(np.asarray, jax.jit(everything)(arguments))


@pytest.mark.parametrize('name', SLOPES)
def test_float64(name):
    layer, (params, inputs, named) = made(name)
    y, measured, told = in_double()[name]
    assert y.dtype == 'float64'
    np.testing.assert_allclose(y, reference(layer, params, *inputs, **named), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(told, measured, rtol=1e-6, atol=2e-8)


def test_gradients_in_float32_are_those_in_float64():
    layer, (params, inputs, _) = made('grouped')

    def loss(params, inputs):
        return (layer.apply(params, *inputs) ** 2).sum()

    gradient = jax.jit(jax.grad(loss))(*made('grouped', 'float32')[1][:2])
    with jax.enable_x64(True):
        expected = jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(params, inputs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-4), gradient, expected)


# Masks.


@pytest.mark.parametrize('dropout', [0, 0.3])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_an_element_without_keys_gets_the_mean_and_finite_gradients(dropout, dtype):
    layer = nn.MultiHeadAttention(4, 2, dropout, causal=True)
    x = jnp.asarray(normal(0, 1, 3, 4), dtype)
    params = jax.tree.map(lambda v: v.astype(dtype), randomly(layer.init(0, x)))
    nothing = jnp.zeros((1, 1, 1, 1), bool)

    def loss(params, x):
        y = layer.apply_train(params, x, mask=nothing, key=KEY)[0]
        return (y.astype('float32') ** 2).sum()

    gradients = jax.jit(jax.grad(loss, (0, 1)))(params, x)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))
    assert not np.asarray(gradients[0]['query']['weight']).any()
    y = layer.apply(params, x, mask=nothing)
    np.testing.assert_allclose(
        np.asarray(y, 'float32'), reference(layer, params, np.asarray(x, 'float64'), mask=np.zeros((1, 1, 1, 1), bool)),
        *((1e-5, 1e-5) if dtype == 'float32' else (0.05, 0.05)),
    )  # fmt: skip


def test_a_causal_layer_does_not_see_ahead():
    layer = nn.MultiHeadAttention(4, 2, causal=True, rotary=nn.RotaryPositions())
    x = jnp.asarray(normal(0, 1, 5, 4), 'float32')
    params = randomly(layer.init(0, x))
    slopes = np.abs(jax.jit(jax.jacobian(lambda x: layer.apply(params, x[None])[0]))(x[0])).sum((1, 3))
    np.testing.assert_array_equal(slopes > 0, np.tril(np.ones((5, 5), bool)))


def test_valid_length_is_a_shorter_memory():
    layer = nn.MultiHeadAttention(4, 2)
    params = randomly(layer.init(0, X, MEMORY))
    x, memory = X.astype('float32'), MEMORY.astype('float32')
    y = layer.apply(params, x, memory, valid_length=np.array([3, 3]))
    np.testing.assert_allclose(y, layer.apply(params, x, memory[:, :3]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dropout', [0, 1e-9])
def test_the_softmax_of_half_precision_is_in_float32(dropout):
    # the products are 100.25 and 100, which bfloat16 cannot tell from each other
    x, memory = jnp.asarray([[[1, 1]]], 'bfloat16'), jnp.asarray([[[100, 0.25], [100, 0]]], 'bfloat16')
    layer = nn.MultiHeadAttention(2, 1, dropout, scale=1.0, use_bias=False).cast('bfloat16')
    params = jax.tree.map(lambda leaf: jnp.eye(2, dtype=leaf.dtype), layer.init(0, x))
    y, _ = layer.apply_train(params, x, memory, jnp.eye(2, dtype='bfloat16')[None], key=0)
    np.testing.assert_allclose(np.asarray(y, 'float32')[0, 0], [0.5622, 0.4378], rtol=0.005)


# Dropout.


def test_dropout_of_next_to_nothing_changes_nothing():
    layer, (params, inputs, named) = made('mask_and_bias', 'float32')
    dropping = nn.MultiHeadAttention(8, 4, 1e-12, num_kv_heads=2)
    y = dropping.apply_train(params, *inputs, key=0, **named)[0]
    np.testing.assert_allclose(y, layer.apply(params, *inputs, **named), rtol=1e-5, atol=1e-6)


def weights_of(layer, key, heads=2, length=40):
    """Values and output do not mix, so that the output is the attention weights: (N, T, heads, S)."""
    x = jnp.asarray(normal(0, 5, length, 3), 'float32')
    params = layer.init(0, x, x, jnp.zeros((5, length, length)))
    eye = jnp.eye(length)
    params['value']['weight'] = jnp.tile(eye, (heads, 1))
    params['out']['weight'] = jnp.eye(heads * length)
    values = jnp.tile(eye[None], (5, 1, 1))
    y = layer.apply_train(params, x, x, values, key=key)[0] if key is not None else layer.apply(params, x, x, values)
    return np.asarray(y).reshape(5, length, heads, length)


def test_dropout_of_weights():
    layer = nn.MultiHeadAttention(80, 2, 0.25, head_size=40)
    whole, dropped = weights_of(layer, None), weights_of(layer, 1)
    np.testing.assert_allclose(whole.sum(-1), 1, rtol=1e-5)  # inference drops nothing
    zero = dropped == 0
    assert abs(zero.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / zero.size)
    np.testing.assert_allclose(dropped[~zero], whole[~zero] / 0.75, rtol=1e-4)
    assert 0.3 < (zero[:, :, 0] != zero[:, :, 1]).mean() < 0.45  # each head has its own: 2 * 0.25 * 0.75
    np.testing.assert_array_equal(weights_of(layer, 1), dropped)
    assert (weights_of(layer, 2) != dropped).any()
    with pytest.raises(errors.MissingKeyError):
        layer.apply_train(layer.init(0, X), X.astype('float32'))


# Decoding.


DECODERS = {
    'plain': {},
    'grouped_rotary': {'num_kv_heads': 2, 'rotary': nn.RotaryPositions()},
    'multi_query_wide_heads': {'num_kv_heads': 1, 'head_size': 6, 'dropout': 0.5},
}


def decoder(name, batch=2):
    layer = nn.MultiHeadAttention(8, 4, causal=True, **DECODERS[name])
    x = jnp.asarray(normal(4, batch, 6, 5), 'float32')
    return layer, randomly(layer.init(0, x)), x


@pytest.mark.parametrize('chunks', [[1] * 6, [4, 1, 1], [2, 3, 1], [6]])
@pytest.mark.parametrize('name', DECODERS)
def test_decoding_is_the_forward_pass(name, chunks):
    layer, params, x = decoder(name)
    step = jax.jit(lambda x, cache: layer.apply(params, x, cache=cache))
    cache, parts = layer.init_cache(2, 8), []
    for part in jnp.split(x, np.cumsum(chunks)[:-1], axis=1):
        y, cache = step(part, cache)
        parts.append(y)
    np.testing.assert_allclose(jnp.concatenate(parts, 1), layer.apply(params, x), rtol=1e-5, atol=1e-6)
    assert int(cache.position) == 6
    assert cache.key.shape == (2, 8, layer.num_kv_heads, layer.head_size)
    assert not np.asarray(cache.value[:, 6:]).any()


@pytest.mark.parametrize('name', DECODERS)
def test_decoding_in_a_scan(name):
    layer, params, x = decoder(name)

    @jax.jit
    def decode(params, x):
        def step(cache, token):
            y, cache = layer.apply(params, token[:, None], cache=cache)
            return cache, y[:, 0]

        return jax.lax.scan(step, layer.init_cache(len(x), 6), x.swapaxes(0, 1))[1].swapaxes(0, 1)

    np.testing.assert_allclose(decode(params, x), layer.apply(params, x), rtol=1e-5, atol=1e-6)
    # and mapped over examples
    alone = jax.vmap(lambda x: decode(params, x[None])[0])(x)
    np.testing.assert_allclose(alone, layer.apply(params, x), rtol=1e-5, atol=1e-6)


def test_decoding_with_mask_bias_and_gradient():
    layer, params, x = decoder('grouped_rotary')
    mask = jnp.arange(6)[None, None, None] != 2
    bias = jnp.asarray(normal(5, 1, 4, 6, 6), 'float32')
    whole = layer.apply(params, x, mask=mask, bias=bias)

    def last(params):
        _, cache = layer.apply(params, x[:, :4], cache=layer.init_cache(2, 6), mask=mask, bias=bias[:, :, :4])
        return layer.apply(params, x[:, 4:], cache=cache, mask=mask, bias=bias[:, :, 4:])[0]

    np.testing.assert_allclose(last(params), whole[:, 4:], rtol=1e-5, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda params: (last(params) ** 2).sum()))(params)
    expected = jax.jit(jax.grad(lambda p: (layer.apply(p, x, mask=mask, bias=bias)[:, 4:] ** 2).sum()))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-4), gradient, expected)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_a_cache_keeps_its_dtype(dtype):
    layer, params, x = decoder('plain')
    cache = layer.init_cache(2, 6, dtype)
    y, new = layer.apply(params, x, cache=cache)
    assert y.dtype == 'float32'
    assert [leaf.dtype for leaf in new] == [dtype, dtype, 'int32']
    np.testing.assert_allclose(y, layer.apply(params, x), rtol=0.03, atol=0.03)
    assert layer.cast(dtype).init_cache(1, 1).key.dtype == dtype


def test_decoding_in_float64():
    with jax.enable_x64(True):
        layer, params, x = decoder('grouped_rotary')
        layer, params, x = layer.cast('float64'), jax.tree.map(np.float64, params), np.asarray(x, 'float64')
        cache = layer.init_cache(2, 6)
        first, cache = layer.apply(params, x[:, :3], cache=cache)
        second, cache = layer.apply(params, x[:, 3:], cache=cache)
        y = np.asarray(jnp.concatenate([first, second], 1))
        assert (cache.key.dtype, cache.position.dtype, y.dtype) == ('float64', 'int32', 'float64')
    np.testing.assert_allclose(y, reference(layer, params, x), rtol=1e-10, atol=1e-12)


def test_a_sequence_longer_than_the_cache():
    layer, params, x = decoder('plain')
    with pytest.raises(errors.ShapeError, match=r'longer than the cache[\s\S]*5 elements at most[\s\S]*6 more after 0'):
        layer.apply(params, x, cache=layer.init_cache(2, 5))
    _, cache = layer.apply(params, x[:, :4], cache=layer.init_cache(2, 5))
    with pytest.raises(errors.ShapeError, match='2 more after 4'):
        layer.apply(params, x[:, 4:], cache=cache)
    step = jax.jit(lambda x, cache: layer.apply(params, x, cache=cache))
    with pytest.raises(errors.ShapeError, match='6 more\n'):
        step(x, layer.init_cache(2, 5))
    y, cache = step(x[:, 4:5], cache)
    assert np.isfinite(y).all()
    y, cache = step(x[:, 5:], cache)
    assert np.isnan(y).all()
    assert np.isnan(step(x[:, 5:], cache)[0]).all()


def test_decoding_through_a_network():
    net = nn.Sequential(nn.MultiHeadAttention(8, 2, causal=True))
    x = jnp.asarray(normal(0, 2, 3, 5), 'float32')
    net.initialize(key=0)
    y, cache = net[0](x[:, :2], cache=net[0].init_cache(2, 3))
    last, cache = net[0](x[:, 2:], cache=cache)
    np.testing.assert_allclose(jnp.concatenate([y, last], 1), net(x), rtol=1e-5, atol=1e-6)


# Shapes, names, programs.


def test_names_shapes_and_widths():
    layer = nn.MultiHeadAttention(12, 6, num_kv_heads=2, head_size=5)
    shapes = {name: spec.shape for name, spec in layer.specs(np.ones((1, 2, 7)), np.ones((1, 3, 4))).items()}
    assert shapes == {
        'query.weight': (30, 7), 'query.bias': (30,), 'key.weight': (10, 4), 'key.bias': (10,),
        'value.weight': (10, 4), 'value.bias': (10,), 'out.weight': (12, 30), 'out.bias': (12,),
    }  # fmt: skip
    given = nn.MultiHeadAttention(12, 6, num_kv_heads=2, head_size=5, in_units=7, memory_units=4)
    assert {name: spec.shape for name, spec in given.specs().items()} == shapes
    assert set(flatten(nn.MultiHeadAttention(4, 2, use_bias=False).specs(X))) == {
        f'{part}.weight' for part in ('query', 'key', 'value', 'out')
    }
    assert nn.MultiHeadAttention(12, 3, dtype='bfloat16').cast('float16').query.weight.dtype == 'float16'


def test_no_batch_and_no_length():
    layer, (params, _, _) = made('causal', 'float32')
    for shape in [(0, 4, 6), (2, 0, 6)]:
        assert layer.apply(params, np.zeros(shape, 'float32')).shape == shape
    _, cache = layer.apply(params, np.zeros((0, 4, 6), 'float32'), cache=layer.init_cache(0, 5))
    assert int(cache.position) == 4


def test_the_program_is_that_of_jax():
    layer, params, x = decoder('plain')

    def by_hand(params, x):
        def linear(name, x):
            return x @ params[name]['weight'].T + params[name]['bias'][None, None]

        q, k, v = (linear(name, x).reshape(*x.shape[:2], 4, 2) for name in ('query', 'key', 'value'))
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return linear('out', y.reshape(*x.shape[:2], 8))

    def costs(function):
        cost = jax.jit(function).lower(params, x).compile().cost_analysis()
        return {name: cost[name] for name in ('flops', 'transcendentals', 'bytes accessed')}

    def gradient(function):
        return jax.grad(lambda params, x: (function(params, x) ** 2).sum(), (0, 1))

    np.testing.assert_allclose(layer.apply(params, x), by_hand(params, x), rtol=1e-6, atol=1e-6)
    assert costs(layer.apply) == costs(by_hand)
    assert costs(gradient(layer.apply)) == costs(gradient(by_hand))


# Errors.


def ones(*shape, dtype='float32'):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'units': 0}, 'units'),
        ({'units': 5}, r'units must be a multiple of num_heads=2, got 5\n  try: give head_size'),
        ({'num_heads': 0}, 'num_heads'),
        ({'num_kv_heads': 0}, 'num_kv_heads'),
        ({'num_heads': 4, 'num_kv_heads': 3}, 'num_kv_heads must divide num_heads=4, got 3'),
        ({'num_kv_heads': 4}, 'num_kv_heads must divide num_heads=2, got 4'),
        ({'head_size': -1}, 'head_size'),
        ({'dropout': 1.5}, 'rate must be a number >= 0 and <= 1'),
        ({'implementation': 'flash'}, 'cudnn'),
        ({'rotary': True}, r'nn\.RotaryPositions\(\)'),
        ({'in_units': -1}, 'in_units'),
        ({'memory_units': 1.5}, 'memory_units'),
    ],
)
def test_wrong_arguments(kwargs, match):
    with pytest.raises(errors.ArgumentError, match=match):
        nn.MultiHeadAttention(**{'units': 4, 'num_heads': 2, **kwargs})


CAUSAL = {'causal': True}


@pytest.mark.parametrize(
    ('kwargs', 'inputs', 'named', 'error', 'match'),
    [
        ({}, (ones(2, 3),), {}, errors.ShapeError, r'3 \(N, T, C\)\n  got: \(2, 3\)'),
        ({}, (ones(2, 3, 4), ones(2, 3)), {}, errors.ShapeError, r'3 \(N, T, C\)\n  got: \(2, 3\)'),
        ({}, (ones(2, 3, 4, dtype='int32'),), {}, errors.DTypeError, 'floating-point'),
        ({}, (ones(2, 3, 4), ones(3, 3, 4)), {}, errors.ShapeError, 'batch[^\n]*\n  expected: 2\n  got: 3'),
        ({}, (ones(2, 3, 4), ones(2, 5, 4), ones(2, 6, 4)), {}, errors.ShapeError, r'\(2, 5\)\n  got: \(2, 6\)'),
        ({}, (ones(2, 3, 4), ones(2, 0, 4)), {}, errors.ShapeError, 'nothing to attend to'),
        ({'in_units': 5}, (ones(2, 3, 4),), {}, errors.ShapeError, r"'query.weight' has shape \(4, 5\)"),
        ({'memory_units': 5}, (ones(2, 3, 4),), {}, errors.ShapeError, r"'key.weight' has shape \(4, 5\)"),
        (
            {},
            (ones(2, 3, 4),),
            {'mask': ones(3, 3, dtype='bool')},
            errors.ShapeError,
            r'mask does not broadcast[^\n]*\n  expected: \(2, 2, 3, 3\) \(N, heads, T, S\)[^\n]*\n  got: \(3, 3\)\n'
            r'  try: mask\[None, None\]',
        ),
        ({}, (ones(2, 3, 4),), {'mask': ones(2, 1, 3, 4, dtype='bool')}, errors.ShapeError, r'got: \(2, 1, 3, 4\)'),
        ({}, (ones(2, 3, 4),), {'bias': ones(2, 3, 3, 3)}, errors.ShapeError, r'bias does not[\s\S]*\(2, 3, 3, 3\)'),
        ({}, (ones(2, 3, 4),), {'mask': ones(1, 1, 3, 3)}, errors.DTypeError, 'mask must be boolean[\\s\\S]*bias='),
        ({}, (ones(2, 3, 4),), {'bias': ones(1, 1, 3, 3, dtype='int32')}, errors.DTypeError, 'int32'),
        (
            {},
            (ones(2, 3, 4),),
            {'valid_length': ones(3, dtype='int32')},
            errors.ShapeError,
            r'integers of shape \(2,\)',
        ),
        ({}, (ones(2, 3, 4),), {'valid_length': ones(2)}, errors.ShapeError, 'float32'),
        ({}, (ones(2, 3, 4),), {'cache': (2, 5)}, errors.ArgumentError, 'causal=False, no memory'),
        (CAUSAL, (ones(2, 3, 4), ones(2, 3, 4)), {'cache': (2, 5)}, errors.ArgumentError, 'causal=True, a memory'),
        (CAUSAL, (ones(2, 3, 4),), {'cache': (3, 5)}, errors.ShapeError, r'\(2, 5, 2, 2\)[\s\S]*\(3, 5, 2, 2\)'),
        (CAUSAL, (ones(2, 3, 4),), {'cache': (2, 5, 'int32')}, errors.DTypeError, 'int32'),
        (
            {**CAUSAL, 'rotary': nn.RotaryPositions(3)},
            (ones(2, 3, 4),),
            {},
            errors.ShapeError,
            'even number <= 2',
        ),
    ],
)
def test_wrong_inputs(kwargs, inputs, named, error, match):
    layer = nn.MultiHeadAttention(4, 2, **kwargs)
    if 'cache' in named:
        named = {'cache': layer.init_cache(*named['cache'])}
    with pytest.raises(error, match=match):
        layer.init(0, *inputs, **named)


def test_what_is_no_cache():
    layer, params, x = decoder('plain')
    with pytest.raises(errors.ArgumentError, match=r'layer\.init_cache\(batch_size, length\)'):
        layer.apply(params, x, cache={'key': x})
    cache = layer.init_cache(2, 6)
    with pytest.raises(errors.ShapeError, match='another shape than keys and values'):
        layer.apply(params, x, cache=cache._replace(value=cache.value[:, :3]))
    with pytest.raises(errors.ArgumentError, match='length'):
        layer.init_cache(2, 0)


# A transformer, as a user writes it.


class TransformerBlock(nn.Layer):
    def __init__(self, units, num_heads, dropout=0.0):
        self.attention_norm, self.mlp_norm = nn.LayerNorm(), nn.LayerNorm()
        self.attention = nn.MultiHeadAttention(
            units, num_heads, dropout, causal=True, num_kv_heads=num_heads // 2, rotary=nn.RotaryPositions()
        )
        self.hidden = nn.Dense(4 * units, jax.nn.gelu, flatten=False)
        self.output = nn.Dense(units, flatten=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, cache=None):
        y = self.attention(self.attention_norm(x), cache=cache)
        y, cache = (y, None) if cache is None else y
        x = x + self.dropout(y)
        x = x + self.dropout(self.output(self.hidden(self.mlp_norm(x))))
        return x if cache is None else (x, cache)


class Transformer(nn.Layer):
    def __init__(self, tokens, units, num_heads, depth, dropout=0.0):
        self.embedding = nn.Embedding(tokens, units, weight_initializer='normal')
        self.blocks = [TransformerBlock(units, num_heads, dropout) for _ in range(depth)]
        self.norm, self.logits = nn.LayerNorm(), nn.Dense(tokens, flatten=False)

    def init_caches(self, batch_size, length):
        return [block.attention.init_cache(batch_size, length) for block in self.blocks]

    def forward(self, tokens, caches=None):
        x, new = self.embedding(tokens), []
        for i, block in enumerate(self.blocks):
            x = block(x) if caches is None else block(x, caches[i])
            if caches is not None:
                x, cache = x
                new.append(cache)
        y = self.logits(self.norm(x))
        return y if caches is None else (y, new)


def test_a_transformer_learns_and_speaks():
    """It learns to count in sevens, and then counts on by itself, token by token."""
    model = Transformer(7, 16, 4, 2)
    start = np.arange(7)[:, None]
    tokens = (start + np.arange(13)) % 7
    x, target = tokens[:, :-1], np.eye(7, dtype='float32')[tokens[:, 1:]]
    params = model.init(3, x)

    def loss(params, key):
        y = model.apply_train(params, x, key=key)[0]
        return -(jax.nn.log_softmax(y) * target).sum(-1).mean()

    @jax.jit
    def train(params):
        def step(carry, key):
            params, speed = carry
            value, gradient = jax.value_and_grad(loss)(params, key)
            speed = jax.tree.map(lambda s, g: 0.9 * s + g, speed, gradient)
            return (jax.tree.map(lambda p, s: p - 0.03 * s, params, speed), speed), value

        still = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(step, (params, still), jax.random.split(KEY, 100))

    (params, _), losses = train(params)
    assert losses[0] > 1.5
    assert losses[-1] < 0.1

    @jax.jit
    def speak(params, prompt):
        y, caches = model.apply(params, prompt, model.init_caches(len(prompt), 12))

        def step(carry, _):
            token, caches = carry
            y, caches = model.apply(params, token[:, None], caches)
            return (y[:, -1].argmax(-1), caches), token

        return jax.lax.scan(step, (y[:, -1].argmax(-1), caches), None, 9)[1].T

    np.testing.assert_array_equal(speak(params, tokens[:, :3]), tokens[:, 3:12])


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('hidden', ['valid_length', 'mask'])
@pytest.mark.parametrize('inputs', [(X,), (X, MEMORY), (X, MEMORY, normal(5, 2, 5, 2))])
def test_hidden_elements_reach_neither_outputs_nor_gradients(inputs, hidden, bad):
    layer, lengths = nn.MultiHeadAttention(4, 2, causal=len(inputs) == 1), np.array([2, 3])
    params = layer.init(KEY, *inputs)
    valid = np.arange(inputs[-1].shape[1]) < lengths[:, None]
    named = {'valid_length': jnp.array(lengths)} if hidden == 'valid_length' else {'mask': valid[:, None, None]}

    def total(params, inputs):
        y = layer.apply(params, *inputs, **named)
        return (jnp.where(valid[..., None], y, 0) if len(inputs) == 1 else y).sum()

    def answers(value):
        filled = [x if i == 0 < len(inputs) - 1 else np.where(valid[..., None], x, value) for i, x in enumerate(inputs)]
        return jax.value_and_grad(total)(params, filled)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), answers(bad), answers(0))


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_an_example_without_valid_elements_is_finite(dtype):
    layer = nn.MultiHeadAttention(4, 2)
    params = layer.init(KEY, X, MEMORY)
    y = layer.apply(params, X.astype(dtype), np.full(MEMORY.shape, np.nan, dtype), valid_length=jnp.array([0, 0]))
    assert np.isfinite(y).all()
