"""Decoding: a cache gives what the whole forward pass gives; what generate writes; the distributions of sampling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import decoding, errors, generate, nn, rnn

TOKENS = np.array([[1, 7, 3, 3, 0, 9, 2], [4, 4, 8, 1, 10, 5, 6]])


def block(rotary=None, kv_heads=None):
    attention = nn.MultiHeadAttention(8, 4, causal=True, rotary=rotary, num_kv_heads=kv_heads)
    feed_forward = nn.Residual(nn.LayerNorm(), nn.Dense(8, 'relu', flatten=False))
    return nn.Sequential(nn.Residual(nn.LayerNorm(), attention), feed_forward)


class Decoder(nn.Block):
    """Written by hand: children called in forward, a loop, and attention to a memory that is given."""

    def __init__(self):
        self.embedding, self.positions = nn.Embedding(11, 8), nn.SinusoidalPositions()
        self.blocks = [block(), nn.Remat(block())]
        self.cross = nn.MultiHeadAttention(8, 2)
        self.out = nn.Dense(11, flatten=False)

    def forward(self, tokens):
        x = self.positions(self.embedding(tokens))
        for layer in self.blocks:
            x = layer(x)
        return self.out(x + self.cross(x, jnp.ones((x.shape[0], 3, 8)) * jnp.arange(3.0)[None, :, None]))


def model(kind):
    if kind == 'by hand':
        return Decoder()
    body = {
        'learned': [nn.LearnedPositions(9), nn.Repeat(block(), 2)],
        'rotary': [nn.Repeat(nn.Sequential(block(nn.RotaryPositions(), kv_heads=2)), 2, remat=True), block()],
        'recurrent': [rnn.LSTM(8, 2, layout='NTC'), nn.Repeat(nn.Residual(rnn.GRU(8, layout='NTC')), 2)],
    }[kind]
    return nn.Sequential(nn.Embedding(11, 8), *body, nn.Dense(11, flatten=False))


@functools.cache
def initialized(kind):
    net = model(kind)
    net.initialize(init='xavier', key=3)
    return net


@pytest.mark.parametrize('kind', ['learned', 'rotary', 'by hand', 'recurrent'])
def test_a_cache_gives_what_the_whole_sequence_gives(kind):
    net = initialized(kind)
    whole, cache, parts = net(TOKENS), net.init_cache(2, 9), []
    for part in (TOKENS[:, :3], TOKENS[:, 3:4], TOKENS[:, 4:]):
        logits, following = net(part, cache=cache)
        assert jax.tree.map(jnp.shape, following) == jax.tree.map(jnp.shape, cache)
        parts.append(logits)
        cache = following
    np.testing.assert_allclose(jnp.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('kind', ['rotary', 'recurrent'])
def test_generate_takes_the_likeliest_token_after_the_whole_text(kind):
    net, text = initialized(kind), TOKENS[:, :2]
    written = generate(net, text, 5)
    for i in range(5):
        logits = net(np.pad(text, ((0, 0), (0, 5 - i))))[:, text.shape[1] - 1]
        text = np.concatenate([text, np.argmax(logits, -1)[:, None]], 1)
    np.testing.assert_array_equal(written, text[:, 2:])
    np.testing.assert_array_equal(generate(net.definition, TOKENS[:, :2], 5, params=net.params), written)
    assert written.dtype == 'int32'


def table(logits):
    """A network that looks up the logits of what follows a token."""
    net = nn.Sequential(nn.Embedding(*np.shape(logits)))
    net[0].weight.set_data(logits)
    return net


def test_generate_stops():
    net = table([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(generate(net, [0], 5), [1, 2, 0, 1, 2])  # each token is followed by the next one
    np.testing.assert_array_equal(generate(net, [[0], [1]], 4, stop=2), [[1, 2, 2, 2], [2, 2, 2, 2]])
    np.testing.assert_array_equal(generate(net, [0], 5, top_k=1), [1, 2, 0, 1, 2])


def test_generate_draws_from_what_the_network_says():
    net = table(np.log([[0.1, 0.2, 0.3, 0.4]] * 4))
    drawn = generate(net, np.zeros((2000, 1), 'int32'), 4, key=0, temperature=2.0, top_k=3)
    expected = np.sqrt([0.0, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(np.bincount(np.ravel(drawn), minlength=4) / 8000, expected / expected.sum(), atol=0.025)
    again = generate(net, np.zeros((2000, 1), 'int32'), 4, key=0, temperature=2.0, top_k=3)
    np.testing.assert_array_equal(drawn, again)
    assert not np.array_equal(drawn, generate(net, np.zeros((2000, 1), 'int32'), 4, key=1, temperature=2.0, top_k=3))


@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        ({}, [1, 1, 1, 1]),
        ({'top_k': 2}, [0, 0, 1, 1]),
        ({'top_k': 9}, [1, 1, 1, 1]),
        ({'top_p': 0.39}, [0, 0, 0, 1]),
        ({'top_p': 0.41}, [0, 0, 1, 1]),
        ({'top_p': 0.95}, [1, 1, 1, 1]),
        ({'top_p': 1e-9}, [0, 0, 0, 1]),
        ({'top_k': 3, 'top_p': 0.6}, [0, 0, 1, 1]),  # the three have 0.9: the largest two have 7/9 of it
    ],
)
def test_sampling_has_the_closed_form_probabilities(options, kept):
    chances = np.array([0.1, 0.2, 0.3, 0.4])
    logits = np.broadcast_to(np.log(chances), (20_000, 4))
    drawn = np.bincount(decoding.sample(jax.random.key(0), jnp.float32(logits), **options), minlength=4) / 20_000
    expected = chances * kept / (chances * kept).sum()
    np.testing.assert_allclose(drawn, expected, atol=4.5 * 0.5 / np.sqrt(20_000))  # fails once in 10^5 keys
    assert (drawn[expected == 0] == 0).all()


def test_filters_keep_what_is_equal():
    logits = jnp.array([[1.0, 1.0, 0.0], [5.0, 0.0, 5.0]])
    np.testing.assert_array_equal(decoding.keep_top_k(logits, 1), [[1, 1, -np.inf], [5, -np.inf, 5]])
    np.testing.assert_array_equal(decoding.keep_top_p(logits, 0.3), [[1, 1, -np.inf], [5, -np.inf, 5]])


@pytest.mark.parametrize(
    ('arguments', 'options', 'error', 'message'),
    [
        (([[0.5]], 3), {}, errors.DTypeError, 'a prompt consists of integers'),
        ((np.zeros((1, 0), 'int32'), 3), {}, errors.ShapeError, 'a prompt has a token or more'),
        (([1], 0), {}, errors.ArgumentError, 'length must be an int >= 1'),
        (([1], 3), {'temperature': 0}, errors.ArgumentError, r'temperature must be a number > 0.*\n.*leave it out'),
        (([1], 3), {'top_p': 1.5}, errors.ArgumentError, 'top_p must be a number > 0 and <= 1'),
        (([1], 3), {'top_k': 0}, errors.ArgumentError, 'top_k must be an int >= 1'),
        (([1], 30), {}, errors.ShapeError, 'fewer positions than the cache is long'),
    ],
)
def test_wrong_arguments_of_generate(arguments, options, error, message):
    with pytest.raises(error, match=message):
        generate(initialized('learned'), *arguments, **options)


def test_wrong_networks():
    with pytest.raises(errors.ArgumentError, match='a network, or a layer and params'):
        generate(nn.Dense(3), [1], 2)
    flat = nn.Sequential(nn.Embedding(3, 3), nn.Flatten())
    flat.initialize()
    with pytest.raises(errors.ShapeError, match='the logits of the token that follows each'):
        generate(flat, [1], 2)
    factors, net = (
        nn.Sequential(nn.Embedding(3, 2), last) for last in (nn.DenseFactors(3), nn.Dense(3, flatten=False))
    )
    factors.initialize(init='one', key=0)
    with pytest.raises(errors.ShapeError, match=r'got: tuple\n.*ends in nn.Dense\(units, flatten=False\)'):
        generate(factors, [1], 2)
    net.initialize()
    net(jnp.array([[1]]))
    net.params = factors.params
    assert generate(net, [1], 2).shape == (2,)
    both = nn.Sequential(nn.Embedding(3, 3), rnn.LSTM(3, layout='NTC', bidirectional=True))
    both.initialize()
    with pytest.raises(errors.ArgumentError, match='a second direction begins at the end'):
        generate(both, [1], 2)
    whole = nn.Sequential(nn.MultiHeadAttention(4, 2))
    whole.initialize()
    with pytest.raises(errors.ArgumentError, match='a cache is for decoding'):
        whole(np.ones((1, 2, 4), 'float32'), cache=whole.init_cache(1, 3))


class InVmap(nn.Block):
    def __init__(self):
        self.positions = nn.SinusoidalPositions()

    def forward(self, x):
        return jax.vmap(lambda x: self.positions(x[None])[0])(x)


def test_a_cache_does_not_leave_a_transformation():
    net = InVmap()
    net.initialize()
    with pytest.raises(errors.TransformationError, match='the cache of layer positions was recorded inside'):
        net(np.ones((2, 3, 4), 'float32'), cache=net.init_cache(2, 3))


def test_a_failed_call_changes_nothing_and_training_takes_a_cache():
    net, x = nn.Sequential(nn.SinusoidalPositions(), nn.MultiHeadAttention(4, 2, causal=True)), jnp.ones((2, 3, 4))
    net.initialize(key=0)
    whole, cache = net(x), net.init_cache(2, 2)
    with pytest.raises(errors.ShapeError, match='the sequence is longer than the cache'):
        net(x, cache=cache)
    (y, _), params = net.apply_train(net.params, x[:, :2], cache=cache)
    np.testing.assert_allclose(y, whole[:, :2], rtol=1e-5, atol=1e-6)
    assert jax.tree.structure(params) == jax.tree.structure(net.params)
