"""cuDNN's LSTM: what it is given, and what transformations make of it. JAX's own reference stands in for it on CPU."""

import functools
import types

import jax
import jax.experimental.rnn
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import errors, rnn
from gluonjax.rnn import fused_lstm

RESERVE = 7
T, N, C, H = 5, 3, 4, 6
GRADIENTS = fused_lstm.gradients_by_cudnn, fused_lstm.gradients_by_scan


def lstm_ref(x, h, c, flat, lengths, input_size, hidden_size, num_layers, dropout, bidirectional, precision):
    """What JAX says that cuDNN computes."""
    matrices = jax.experimental.rnn.unpack_lstm_weights(flat, input_size, hidden_size, num_layers, bidirectional)
    sizes = input_size, hidden_size, num_layers, dropout, bidirectional
    with jax.numpy_rank_promotion('allow'):
        return jax.experimental.rnn.lstm_ref(x, h, c, *matrices, lengths, *sizes)


def lstm_fwd(x, h, c, flat, lengths, **settings):
    results = lstm_ref(x, h, c, flat, lengths, *settings.values())
    return results, (x, h, c, flat, lengths, results[0], jnp.zeros(RESERVE))


def lstm_bwd(*arguments):
    *settings, (x, h, c, flat, lengths, _, reserve), slopes = arguments
    assert reserve.shape == (RESERVE,)
    _, pull = jax.vjp(lambda x, h, c, flat: lstm_ref(x, h, c, flat, lengths, *settings), x, h, c, flat)
    return *pull(slopes), None


@pytest.fixture
def cudnn(monkeypatch):
    fused_lstm._network.cache_clear()
    fake = types.SimpleNamespace(lstm_fwd=lstm_fwd, lstm_bwd=lstm_bwd)
    monkeypatch.setattr(fused_lstm, 'library', lambda: fake)
    yield fake
    fused_lstm._network.cache_clear()


def arrays(layers, sides, seed=0):
    random = np.random.RandomState(seed)

    def draw(*shape):
        return jnp.asarray(random.uniform(-1, 1, shape), 'float32')

    rows = layers * len(sides)
    weights = []
    for row in range(rows):
        width = C if row < len(sides) else H * len(sides)
        weights += [draw(4 * H, width), draw(4 * H, H), draw(4 * H), draw(4 * H)]
    lengths = jnp.array([5, 2, 3], 'int32')
    xs = jnp.where(jnp.arange(T)[:, None, None] < lengths[None, :, None], draw(T, N, C), 0)
    return xs, draw(rows, N, H), draw(rows, N, H), lengths, *weights


def same(ours, expected, **tolerance):
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, **{'rtol': 2e-5, 'atol': 2e-6, **tolerance})


def test_weights_are_packed_as_cudnn_has_them_and_gradients_unpacked(cudnn):
    network, given = fused_lstm.Network(2, 'lr', None, RESERVE), arrays(2, 'lr')
    same(*(jax.jit(functools.partial(f, network=network))(*given) for f in (fused_lstm.by_cudnn, fused_lstm.by_scan)))
    same(fused_lstm.unpacked(fused_lstm.packed(given[4:]), given[4:]), given[4:], rtol=0, atol=0)

    network, given = fused_lstm.Network(1, 'l', None, RESERVE), arrays(1, 'l')
    results = fused_lstm.by_scan(*given, network=network)
    slopes = [jnp.cos(jnp.arange(a.size, dtype='float32')).reshape(a.shape) for a in results[:3]]
    both = (jax.jit(functools.partial(f, network=network)) for f in GRADIENTS)
    same(*(f(*given, *results, *slopes) for f in both))


def layer_of(implementation, layers=1, **options):
    return rnn.LSTM(H, layers, use_sequence_length=True, implementation=implementation, **options)


LENGTHS = jnp.array([5, 0, 3])


def test_every_transformation_gives_what_the_scan_gives(cudnn):
    fused, scan = layer_of('cudnn'), layer_of('scan')
    x, key = jax.random.normal(jax.random.key(0), (T, N, C)), jax.random.key(1)
    states = [jax.random.normal(jax.random.key(i), (1, N, H)) for i in (2, 3)]
    params = fused.init(key, x, states, LENGTHS)

    def outputs(layer, params, x):
        y, (h, c) = layer.apply(params, x, states, LENGTHS)
        return y.sum() + jnp.sin(y).sum() + (h * c).sum()

    def everything(layer):
        run = functools.partial(outputs, layer)
        gradients = jax.value_and_grad(run, (0, 1))
        slope = jax.grad(run, 1)

        def answers(params, x):
            mapped = jax.vmap(gradients, (None, 0))(params, x[None])
            push = jax.jvp(lambda x: layer.apply(params, x, states, LENGTHS), (x,), (x,))
            return mapped, push, jax.jvp(functools.partial(slope, params), (x,), (x,))

        return jax.jit(answers)

    ours, expected = (jax.tree.leaves(everything(layer)(params, x)) for layer in (fused, scan))
    same(ours, expected, rtol=2e-4, atol=2e-5)


def test_programs_for_cuda_ask_for_cudnn_and_others_do_not(cudnn):
    """A call of a kernel stands for cuDNN's, forward and backward: dropout between layers makes one for each layer."""

    def call(x, h, c, flat, lengths, **settings):
        forms = [jax.ShapeDtypeStruct((N, T, H), 'float32'), h, c, jax.ShapeDtypeStruct((RESERVE,), 'float32')]
        *results, reserve = jax.ffi.ffi_call('cudnn_rnn', forms)(x, h, c, flat, lengths)
        return results, (x, h, c, flat, lengths, results[0], reserve)

    def back(*arguments):
        (*_, (x, h, c, flat, _, _, reserve), slopes) = arguments
        return *jax.ffi.ffi_call('cudnn_rnn_bwd', [x, h, c, flat])(*slopes, reserve), None

    cudnn.lstm_fwd, cudnn.lstm_bwd = call, back
    for rate, calls in ((0, 1), (0.5, 2)):
        layer = layer_of('cudnn', 2, dropout=rate)
        x = jnp.ones((T, N, C))
        states = layer.begin_state(N)
        params = layer.init(0, x, states, LENGTHS)

        def loss(params, x, layer=layer, states=states):
            return layer.apply_train(params, x, states, LENGTHS, key=0)[0][0].sum()

        traced = jax.jit(jax.grad(loss)).trace(params, x)
        cuda, cpu = (traced.lower(lowering_platforms=(platform,)).as_text() for platform in ('cuda', 'cpu'))
        assert (cuda.count('@cudnn_rnn('), cuda.count('@cudnn_rnn_bwd(')) == (calls, calls)
        assert 'cudnn_rnn' not in cpu


def test_where_it_does_not_serve_the_layer_is_a_scan_or_says_so(monkeypatch):
    x = jnp.ones((T, N, C))
    layer = rnn.LSTM(H, implementation='cudnn')
    params = layer.init(0, x)
    with pytest.raises(errors.ArgumentError, match="cuDNN's LSTM does not serve here"):
        layer.apply(params, x)
    with pytest.raises(errors.ArgumentError, match='implementation'):
        rnn.LSTM(H, implementation='cuda')


@pytest.mark.accelerator
def test_the_kernel_gives_the_numbers_of_the_scan():
    if jax.default_backend() != 'gpu':
        pytest.skip('needs a GPU')
    with jax.default_matmul_precision('float32'):
        x = jax.random.normal(jax.random.key(0), (T, N, C))
        states = [jax.random.normal(jax.random.key(i), (1, N, H)) for i in (2, 3)]
        params = layer_of('cudnn').init(0, x, states, LENGTHS)

        def loss(layer, params, x):
            y, (h, c) = layer.apply(params, x, states, LENGTHS)
            return jnp.sin(y).sum() + (h * c).sum()

        ours, expected = (
            jax.jit(jax.value_and_grad(functools.partial(loss, layer_of(how)), (0, 1)))(params, x)
            for how in ('cudnn', 'scan')
        )
    same(jax.tree.leaves(ours), jax.tree.leaves(expected), rtol=1e-3, atol=1e-4)
