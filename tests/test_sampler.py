"""Every way of drawing gives, bit for bit, what `jax.random` gives for the key of a name; as it should."""

import functools
import hashlib
import itertools
import math
import re
import threading

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import gluonjax
from gluonjax import drawing, nn
from gluonjax import keys as random_keys
from gluonjax.drawing import BLOCK, ROW
from gluonjax.keys import as_key
from gluonjax.sampler import Distribution, Request, draw

FEW = settings(max_examples=4, deadline=None, derandomize=True)
UNIFORM, NORMAL, CONSTANT = Distribution('uniform', 0.3), Distribution('normal', 0.7), Distribution('constant', 2.5)
SHAPES = [
    (),
    (0,),
    (3, 0, 2),
    (1,),
    (7, 5),
    (1000, 3),
    (750, 4),
    (8, 9, 3, 3),
    (ROW - 1,),
    (ROW,),
    (ROW + 1,),
    (2, ROW),
]
SCALES = [1.0, 0.07, 1 / 3, 1e-20, 3.4e3]


def next_key():
    with random_keys.next_key() as key:
        return key


def named(key, name):
    """The key of a name, by `fold_in` alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    high, low = (int.from_bytes(half, 'big') for half in (digest[:4], digest[4:]))
    return jax.random.fold_in(jax.random.fold_in(key, high), low)


def reference(request):
    """`jax.random` for the base, and NumPy for the factor."""
    key, shape, dtype = named(request.key, request.name), request.shape, jnp.dtype(request.dtype)
    if request.source.base == 'constant':
        return np.full(shape, request.source.scale, dtype)
    uniform = request.source.base == 'uniform'
    flat = (math.prod(shape),)  # bits must not depend on the shape; jax.random.normal's do where an axis is short
    base = jax.random.uniform(key, flat, dtype, -1, 1) if uniform else jax.random.normal(key, flat, dtype)
    return np.asarray(base).reshape(shape) * np.asarray(request.source.scale, dtype)


def assert_same_bits(got, expected):
    assert len(got) == len(expected)
    for mine, other in zip(map(np.asarray, got), map(np.asarray, expected), strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        assert mine.tobytes() == other.tobytes()


def traced(requests, fused, **jit):
    """The requests drawn under jit, with one traced key for all of them."""
    return jax.jit(lambda key: draw([r._replace(key=key) for r in requests], fused), **jit)(requests[0].key)


def requests_of(key, *rows, dtype='float32'):
    return [Request(key, name, shape, dtype, distribution) for name, shape, distribution in rows]


SIZES = (1, ROW - 1, ROW, ROW + 1, 3 * ROW + 5, BLOCK * ROW - 1, BLOCK * ROW, BLOCK * ROW + 1)
BOUNDARIES = [  # each with a scale of its own
    (f'{base}.{size}', (size,), Distribution(base, 0.3 + i))
    for base in ('uniform', 'normal')
    for i, size in enumerate(SIZES)
]


@pytest.mark.optimized
def test_row_and_block_boundaries():
    requests = requests_of(jax.random.key(3), *BOUNDARIES)
    expected = [reference(request) for request in requests]
    assert_same_bits(draw(requests), expected)
    small = [i for i, request in enumerate(requests) if request.size <= 3 * ROW + 5]
    few = [requests[i] for i in small]
    assert_same_bits(traced(few, fused=False), [expected[i] for i in small])
    assert_same_bits(traced(few, fused=True), [expected[i] for i in small])


distributions = st.builds(Distribution, st.sampled_from(['uniform', 'normal', 'constant']), st.sampled_from(SCALES))
tensors = st.tuples(st.text(max_size=12), st.sampled_from(SHAPES), distributions)


@pytest.mark.optimized
@FEW
@given(st.integers(0, 2**32 - 1), st.lists(tensors, min_size=1, max_size=2))
@example(5, [('0.weight', (), NORMAL), ('0.bias', (0, 3), UNIFORM), ('', (2, 2), CONSTANT)])
def test_all_ways_agree(seed, rows):
    requests = requests_of(jax.random.key(seed), *rows)
    expected = [reference(request) for request in requests]
    by_sample = [r.source.sample(named(r.key, r.name), r.shape, r.dtype) for r in requests]
    assert_same_bits(by_sample, expected)
    assert_same_bits(draw(requests), expected)
    assert_same_bits(draw(requests, fused=True), expected)
    assert_same_bits(traced(requests, fused=False), expected)
    assert_same_bits(traced(requests, fused=True), expected)


@pytest.mark.optimized
@pytest.mark.parametrize('fused', [False, True])
def test_vmap_over_keys(fused):
    rows = [('a', (7, 5), UNIFORM), ('b', (2, ROW), NORMAL), ('c', (2,), CONSTANT)]
    keys = jax.random.split(jax.random.key(1), 3)
    ensemble = jax.vmap(lambda key: draw(requests_of(key, *rows), fused))(keys)
    for i, key in enumerate(keys):
        expected = [reference(request) for request in requests_of(key, *rows)]
        assert_same_bits([np.broadcast_to(a, (3, *a.shape[-2:]))[i] for a in ensemble[:2]], expected[:2])


@pytest.mark.optimized
def test_alone_or_among_many():
    requests = requests_of(
        jax.random.key(2), *[(f'{i}.weight', (i * 1000,), [UNIFORM, NORMAL][i % 2]) for i in range(40)]
    )
    together = draw(requests)
    assert_same_bits([draw([request])[0] for request in requests], together)
    assert_same_bits(draw(requests[::-1]), together[::-1])
    assert_same_bits(draw(requests[:7]), together[:7])


@pytest.mark.optimized
def test_each_request_has_its_own_key():
    keys = [jax.random.key(1), jax.random.key(2), jax.random.wrap_key_data(np.array([3, 4], np.uint32))]
    requests = [Request(key, 'w', (9,), 'float32', NORMAL) for key in keys]
    assert_same_bits(draw(requests), [reference(request) for request in requests])


@pytest.mark.optimized
@pytest.mark.parametrize('fused', [False, True])
def test_sharded_over_eight_devices(fused):
    sharding = jax.NamedSharding(jax.make_mesh((8,), ('rows',)), jax.P('rows'))
    requests = requests_of(jax.random.key(4), ('a', (64, 300), NORMAL), ('b', (16, 8), UNIFORM))
    arrays = traced(requests, fused, out_shardings=sharding)
    assert all(len(array.sharding.device_set) == 8 for array in arrays)
    assert_same_bits(arrays, [reference(request) for request in requests])


def test_a_device_makes_only_its_own_part():
    sharding = jax.NamedSharding(jax.make_mesh((8,), ('rows',)), jax.P('rows'))
    rows = ('a', (64, 300), NORMAL)
    sharded = jax.jit(lambda key: draw(requests_of(key, rows)), out_shardings=sharding)
    program = sharded.lower(jax.random.key(4)).compile().as_text()
    sizes = {math.prod(map(int, shape.split(','))) for shape in re.findall(r'\[([\d,]+)\]', program)}
    assert max(sizes) == 8 * 300


@pytest.mark.optimized
def test_on_another_device():
    requests = requests_of(jax.random.key(4), ('a', (100,), NORMAL))
    with jax.default_device(jax.devices()[5]):
        arrays = draw(requests)
    assert arrays[0].devices() == {jax.devices()[5]}
    assert_same_bits(arrays, draw(requests))


@pytest.mark.optimized
def test_a_key_from_outside_the_trace():
    requests = requests_of(jax.random.key(4), ('a', (100,), NORMAL), ('b', (5,), UNIFORM))
    expected = [reference(request) for request in requests]
    assert_same_bits(jax.jit(lambda: draw(requests))(), expected)
    assert_same_bits(jax.jit(lambda: draw(requests, fused=True))(), expected)
    assert [(a.shape, a.dtype) for a in jax.eval_shape(lambda: draw(requests))] == [
        ((100,), 'float32'),
        ((5,), 'float32'),
    ]


@pytest.mark.optimized
def test_kinds_of_keys():
    rows = [('a', (5,), NORMAL)]
    expected = [reference(request) for request in requests_of(jax.random.key(11), *rows)]
    for key in (11, np.int64(11), jax.random.key(11), jax.random.PRNGKey(11), np.array([0, 11], np.uint32)):
        assert_same_bits(draw(requests_of(as_key(key), *rows)), expected)
    assert_same_bits(jax.jit(lambda key: draw(requests_of(as_key(key), *rows)))(jax.random.PRNGKey(11)), expected)


@pytest.mark.optimized
def test_another_generator():
    key = jax.random.key(0, impl='rbg')
    requests = requests_of(key, ('a', (40, 3), UNIFORM), ('b', (9,), NORMAL), ('c', (2,), CONSTANT))
    expected = [reference(request) for request in requests]
    assert_same_bits(draw(requests), expected)
    assert_same_bits(traced(requests, fused=True), expected)
    mixed = [requests[0], requests[1]._replace(key=jax.random.key(1))]
    assert_same_bits(draw(mixed), [reference(request) for request in mixed])


@pytest.mark.optimized
def test_the_old_threefry():
    requests = requests_of(jax.random.key(0), ('a', (40, 3), UNIFORM), ('b', (9,), NORMAL))
    with jax.threefry_partitionable(False):
        got, expected = draw(requests), [reference(request) for request in requests]
    assert_same_bits(got, expected)
    assert not np.array_equal(got[0], draw(requests)[0])


@pytest.mark.optimized
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_half_precision(dtype):
    requests = requests_of(
        jax.random.key(0), ('a', (40, 3), UNIFORM), ('b', (9,), NORMAL), ('c', (2,), CONSTANT), dtype=dtype
    )
    requests.append(Request(jax.random.key(0), 'd', (4,), 'float32', NORMAL))
    expected = [reference(request) for request in requests]
    assert_same_bits(draw(requests), expected)
    assert_same_bits(traced(requests, fused=False), expected)
    assert_same_bits(traced(requests, fused=True), expected)


@pytest.mark.optimized
def test_double_precision():
    requests = requests_of(jax.random.key(0), ('a', (40, 3), UNIFORM), ('b', (ROW + 2,), NORMAL))
    single = draw(requests)
    with jax.enable_x64(True):
        double = [request._replace(dtype='float64') for request in requests]
        assert_same_bits(draw(double), [reference(request) for request in double])
        assert_same_bits(draw(requests), single)
        assert_same_bits(traced(requests, fused=False), single)
        assert_same_bits(traced(requests, fused=True), single)


@pytest.mark.parametrize('base', ['uniform', 'normal'])
def test_offsets_of_more_than_32_bits(base):
    stats = pytest.importorskip('scipy.stats')
    offsets = np.array([5 * 2**32 + 2**31, 2**32 - 7])  # the second row carries into the high word, were it one tensor
    words = np.array([[1, 2], [3, 4]], np.uint32)
    rows = np.asarray(drawing.rows_of(base, words, drawing._halves(offsets[:1].repeat(2))))
    for row, key in zip(rows, words, strict=True):
        low = (2**31 + np.arange(ROW)).astype(np.uint32)
        counts = np.concatenate([np.full(ROW, 5, np.uint32), low])
        first, second = np.split(np.asarray(jax.extend.random.threefry_2x32(key, counts)), 2)
        unit = ((first ^ second) >> 9) * 2.0**-23
        if base == 'uniform':
            np.testing.assert_array_equal(row, np.float32(unit * 2 - 1))
        else:
            np.testing.assert_allclose(row, stats.norm.ppf(unit), rtol=1e-3, atol=1e-5)


@pytest.mark.optimized
@pytest.mark.parametrize('wrap', [lambda f: f, jax.jit])
def test_own_code_is_called_once_as_it_is(wrap):
    calls = []

    def own(key, shape, dtype):
        calls.append((shape, dtype))
        return jax.random.bits(key, shape).astype(dtype)

    key = jax.random.key(6)
    rows = [('first', (3,), own), ('distribution', (4,), NORMAL), ('second', (2, 2), own)]
    first, distribution, second = wrap(lambda key: draw(requests_of(key, *rows)))(key)
    assert calls == [((3,), 'float32'), ((2, 2), 'float32')]
    np.testing.assert_array_equal(first, jax.random.bits(named(key, 'first'), (3,)).astype('float32'))
    np.testing.assert_array_equal(second, jax.random.bits(named(key, 'second'), (2, 2)).astype('float32'))
    assert_same_bits([distribution], [reference(Request(key, 'distribution', (4,), 'float32', NORMAL))])


def test_nothing_to_draw():
    assert draw([]) == []


def test_similar_names_differ():
    names = [
        '',
        ' ',
        'a',
        'b',
        'ab',
        'ba',
        '0.weight',
        '1.weight',
        '10.weight',
        '0.weight.',
        '0.Weight',
        '01.weight',
        'é',
    ]
    arrays = draw(requests_of(jax.random.key(0), *[(name, (50,), NORMAL) for name in names]))
    assert len({np.asarray(array).tobytes() for array in arrays}) == len(names)
    correlation = np.corrcoef(np.stack(arrays)) - np.eye(len(names))
    assert abs(correlation).max() < 0.6


def test_keys_differ():
    keys = [jax.random.key(0), jax.random.key(1), jax.random.fold_in(jax.random.key(0), 0)]
    arrays = draw([Request(key, 'w', (50,), 'float32', NORMAL) for key in keys])
    assert len({np.asarray(array).tobytes() for array in arrays}) == len(keys)


@pytest.mark.parametrize('base', ['uniform', 'normal'])
def test_statistics(base):
    stats = pytest.importorskip('scipy.stats')
    scale, count = 0.3, 200_000
    distribution = stats.uniform(-scale, 2 * scale) if base == 'uniform' else stats.norm(0, scale)
    requests = requests_of(jax.random.key(12), *[(f'{i}', (count,), Distribution(base, scale)) for i in range(2)])
    for numbers in map(np.asarray, draw(requests)):
        assert stats.kstest(numbers, distribution.cdf).pvalue > 1e-3
        assert abs(numbers.mean()) < 4 * distribution.std() / np.sqrt(count)
        np.testing.assert_allclose(numbers.std(), distribution.std(), rtol=0.01)
        if base == 'uniform':
            assert -scale <= numbers.min() < -0.999 * scale
            assert 0.999 * scale < numbers.max() < scale


def test_numbers_of_one_tensor_do_not_repeat():
    numbers = np.asarray(draw(requests_of(jax.random.key(0), ('w', (4, ROW), NORMAL)))[0])
    assert len({row.tobytes() for row in numbers}) == 4
    assert abs(np.corrcoef(numbers) - np.eye(4)).max() < 0.04


def test_a_drawn_array_stays_as_it_is():
    request = requests_of(jax.random.key(0), ('w', (ROW,), NORMAL))
    first = draw(request)
    before = np.array(first[0])
    draw(requests_of(jax.random.key(1), ('w', (ROW,), NORMAL), ('v', (ROW,), UNIFORM)))
    np.testing.assert_array_equal(first[0], before)


def test_unknown_base_is_refused():
    with pytest.raises(gluonjax.errors.ArgumentError, match='gauss'):
        draw(requests_of(jax.random.key(0), ('w', (3,), Distribution('gauss', 1.0))))


@pytest.mark.parametrize('key', [None, 1.5, 'a'])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(gluonjax.errors.GluonError, match='key'):
        as_key(key)


def test_a_batch_of_keys_is_refused():
    with pytest.raises(gluonjax.errors.GluonError, match='key'):
        nn.Dense(2, in_units=2).init(jax.random.split(jax.random.key(0), 3))


# The stream of the library.


def data(keys):
    return [tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys]


def test_stream_is_reproducible():
    def five(seed):
        gluonjax.seed(seed)
        return data(next_key() for _ in range(5))

    assert five(7) == five(7)
    assert len(set(five(7) + five(8))) == 10


def test_stream_starts_at_seed_zero():
    keys = data([next_key(), next_key()])  # conftest restarts it for each test
    gluonjax.seed(0)
    assert data([next_key(), next_key()]) == keys


def test_stream_gives_the_keys_of_its_names():
    gluonjax.seed(5)
    for count in range(1, 40):
        with random_keys.next_key() as key:
            expected = random_keys.named_keys([jax.random.key(5)], [f'stream {count}'])[0]
            assert jax.random.key_data(key).tolist() == jax.random.key_data(expected).tolist()
    with jax.default_prng_impl('rbg'), random_keys.next_key() as key:
        assert str(jax.random.key_impl(key)) == 'rbg'


def test_stream_under_threads():
    gluonjax.seed(5)
    expected = data(next_key() for _ in range(80))
    gluonjax.seed(5)
    got, barrier = [], threading.Barrier(8)

    def work():
        barrier.wait()
        got.extend([next_key() for _ in range(10)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(data(got)) == sorted(expected)


@pytest.mark.parametrize('transform', [jax.jit, jax.grad, jax.vmap, lambda f: lambda x: jax.eval_shape(f, x)])
def test_stream_is_never_traced(transform):
    expected, got = data([next_key()]), []
    gluonjax.seed(0)

    def f(x):
        got.append(next_key())
        return x

    transform(f)(jnp.ones(2) if transform is jax.vmap else 1.0)
    assert not isinstance(jax.random.key_data(got[0]), jax.core.Tracer)
    assert data(got[:1]) == expected


@pytest.mark.parametrize('shape', [(64, 48), (64, 48, 3, 3)])
def test_a_sharded_draw_makes_only_its_own_part(shape):
    mesh = jax.make_mesh((8,), ('d',))
    shardings = [jax.NamedSharding(mesh, spec) for spec in (jax.P('d'), jax.P(None, 'd'))]
    ways = list(itertools.product((Distribution('uniform'), Distribution('normal')), shardings))

    @functools.partial(jax.jit, out_shardings=[sharding for _, sharding in ways])
    def sample(key):
        keys = jax.random.split(key, len(ways))
        return [distribution.sample(keys[i], shape) for i, (distribution, _) in enumerate(ways)]

    program = sample.lower(jax.random.key(0)).compile().as_text()
    sizes = [math.prod(map(int, dims.split(','))) for dims in re.findall(r'[fu]32\[([\d,]+)\]', program)]
    assert 0 < max(sizes) < math.prod(shape)


def test_a_key_of_the_stream_that_was_donated_comes_again():
    gluonjax.seed(11)
    key = next_key()
    words = data([key])
    jax.random.key_data(key).delete()  # as a program does to which the key was donated
    assert key.is_deleted()
    gluonjax.seed(11)
    assert data([next_key()]) == words
