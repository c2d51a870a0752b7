"""Does a layer cost anything beside the same mathematics written by hand in JAX?

One row a layer: `jax.jit(layer.apply)` in inference and the gradient of a scalar in training, against a function of the
same arrays. Above 1.0 the layer is slower. Convolutions and pools by hand are `lax.conv_general_dilated` and
`lax.reduce_window`, as one writes them; how ours are formulated on CPU, benchmarks/convolution.py tells.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _models import agree  # noqa: E402
from _timing import print_table, time_statements  # noqa: E402
from jax import lax  # noqa: E402

from gluonjax import Layer, init, loss, nn, rnn  # noqa: E402

KEY = jax.random.key(1)
ROUNDS = 40


class Row(NamedTuple):
    name: str
    layer: Any
    shape: tuple[int, ...]
    by_hand: Callable  # (params, x) -> y, in training; so in inference, but for those of `inference`
    inference: Callable | None = None
    indices: int = 0


def dense(p, x):
    return x @ p['weight'].T + p['bias'][None]


def column(p, name, x, axis=1):
    return p[name].reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])


def standardized(x, axes, epsilon=1e-5):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) * lax.rsqrt(var + epsilon)


def batchnorm(p, x):
    axes = (0, 2, 3)
    mean, var = x.mean(axes), x.var(axes)
    news = {
        'gamma': p['gamma'],
        'beta': p['beta'],
        'running_mean': 0.9 * p['running_mean'] + 0.1 * lax.stop_gradient(mean),
        'running_var': 0.9 * p['running_var'] + 0.1 * lax.stop_gradient(var),
    }
    factor = p['gamma'] * lax.rsqrt(var + 1e-5)
    return (x - mean[None, :, None, None]) * factor[None, :, None, None] + column(p, 'beta', x), news


def batchnorm_inference(p, x):
    factor = p['gamma'] * lax.rsqrt(p['running_var'] + 1e-5)
    return (x - column(p, 'running_mean', x)) * factor[None, :, None, None] + column(p, 'beta', x)


def layernorm(p, x):
    return standardized(x, -1) * p['gamma'][None] + p['beta'][None]


def instancenorm(p, x):
    return standardized(x, (2, 3)) * column(p, 'gamma', x) + column(p, 'beta', x)


def groupnorm(p, x):
    y = standardized(x.reshape(x.shape[0], 4, -1), 2)
    y = y * p['gamma'].reshape(1, -1, 1) + p['beta'].reshape(1, -1, 1)
    return y.reshape(x.shape)


def rmsnorm(p, x):
    return x * lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * p['gamma'][None]


def conv(strides=1, padding=0):
    def by_hand(p, x):
        rank = x.ndim - 2
        y = lax.conv_general_dilated(x, p['weight'], (strides,) * rank, [(padding, padding)] * rank)
        return y + column(p, 'bias', x)

    return by_hand


def conv_transposed(p, x):
    """4x4, stride 2, padding 1."""
    weight = jnp.flip(p['weight'], (2, 3)).swapaxes(0, 1)
    return lax.conv_general_dilated(x, weight, (1, 1), [(2, 2)] * 2, lhs_dilation=(2, 2)) + column(p, 'bias', x)


def maxpool(_, x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), 'VALID')


def maxpool_overlapping(_, x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), [(0, 0), (0, 0), (1, 1), (1, 1)])


def avgpool(_, x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), 'VALID') / 4


def dropout(_, x):
    keep = jax.random.bernoulli(KEY, 0.5, x.shape)
    return jnp.where(keep, x * 2, 0)


def attention(p, x):
    def project(name, x):
        return x @ p[name]['weight'].T + p[name]['bias'][None, None]

    q, k, v = (project(name, x).reshape(*x.shape[:2], 4, -1) for name in ('query', 'key', 'value'))
    return project('out', jax.nn.dot_product_attention(q, k, v).reshape(x.shape))


def pixel_shuffle(_, x):
    images, channels, height, width = x.shape
    x = x.reshape(images, channels // 4, 2, 2, height, width).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(images, channels // 4, 2 * height, 2 * width)


def batchnorm_relu(p, x):
    y, news = batchnorm(p, x)
    return jax.nn.relu(y), news


def recurrent(step, states):
    """One layer over sequences; `step` makes the states of the products with the input and with the last output."""

    def by_hand(p, x):
        products = x @ p['l0_i2h_weight'].T + p['l0_i2h_bias'][None, None]

        def body(state, product):
            state = step(product, state[0] @ p['l0_h2h_weight'].T + p['l0_h2h_bias'][None], *state)
            return state, state[0]

        units = p['l0_h2h_weight'].shape[1]
        return lax.scan(body, (jnp.zeros((x.shape[1], units)),) * states, products)[1]

    return by_hand


def lstm_step(wx, wh, _, c):
    i, f, g, o = jnp.split(wx + wh, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_step(wx, wh, h):
    (rx, zx, nx), (rh, zh, nh) = jnp.split(wx, 3, -1), jnp.split(wh, 3, -1)
    z, n = jax.nn.sigmoid(zx + zh), jnp.tanh(nx + jax.nn.sigmoid(rx + rh) * nh)
    return ((1 - z) * n + z * h,)


def rnn_step(wx, wh, _):
    return (jnp.tanh(wx + wh),)


class Lossy(Layer):
    """A loss as a layer, of a prediction and labels that do not change."""

    def __init__(self, loss, label):
        self.loss, self.label = loss, label

    def forward(self, x):
        return self.loss(x, self.label)


def cross_entropy(_, x):
    return -jnp.take_along_axis(jax.nn.log_softmax(x), CLASSES[:, None], 1)[:, 0]


def huber(_, x):
    error = jnp.abs(x - TARGETS)
    return jnp.where(error > 1, error - 0.5, error**2 / 2).mean(1)


def pointwise(function):
    return lambda _, x: function(x)


MAP, ROWS_OF, SEQUENCE = (16, 32, 28, 28), (256, 512), (35, 32, 128)
CLASSES, TARGETS = np.arange(256), np.random.RandomState(1).standard_normal(ROWS_OF).astype('float32')
ROWS = [
    Row('Dense 512-256', nn.Dense(256), ROWS_OF, dense),
    Row('Embedding 1000x64', nn.Embedding(1000, 64), (64, 32), lambda p, x: p['weight'][x], None, 999),
    Row('relu', nn.Activation('relu'), MAP, pointwise(jax.nn.relu)),
    Row('tanh', nn.Activation('tanh'), MAP, pointwise(jnp.tanh)),
    Row('LeakyReLU', nn.LeakyReLU(0.1), MAP, pointwise(lambda x: jnp.where(x > 0, x, 0.1 * x))),
    Row('PReLU', nn.PReLU(), MAP, lambda p, x: jnp.where(x > 0, x, p['alpha'].reshape(1, 1, 1, 1) * x)),
    Row('ELU', nn.ELU(), MAP, pointwise(jax.nn.elu)),
    Row('SELU', nn.SELU(), MAP, pointwise(jax.nn.selu)),
    Row('GELU', nn.GELU(), MAP, pointwise(lambda x: jax.nn.gelu(x, approximate=False))),
    Row('Swish', nn.Swish(), MAP, pointwise(jax.nn.swish)),
    Row('BatchNorm', nn.BatchNorm(), MAP, batchnorm, batchnorm_inference),
    Row('SyncBatchNorm', nn.SyncBatchNorm(), MAP, batchnorm, batchnorm_inference),
    Row('BatchNormReLU', nn.BatchNormReLU(), MAP, batchnorm_relu, lambda p, x: jax.nn.relu(batchnorm_inference(p, x))),
    Row('LayerNorm', nn.LayerNorm(), ROWS_OF, layernorm),
    Row('GroupNorm(4)', nn.GroupNorm(4), MAP, groupnorm),
    Row('InstanceNorm', nn.InstanceNorm(), MAP, instancenorm),
    Row('RMSNorm', nn.RMSNorm(epsilon=1e-6), ROWS_OF, rmsnorm),
    Row('Dropout(0.5)', nn.Dropout(0.5), ROWS_OF, dropout, lambda _, x: x),
    Row('Conv1D 32, 3', nn.Conv1D(32, 3, padding=1), (16, 32, 256), conv(1, 1)),
    Row('Conv2D 32, 3x3', nn.Conv2D(32, 3, padding=1), MAP, conv(1, 1)),
    Row('Conv2D 64, 1x1 / 2', nn.Conv2D(64, 1, strides=2), MAP, conv(2)),
    Row('Conv3D 16, 3x3x3', nn.Conv3D(16, 3, padding=1), (4, 8, 8, 16, 16), conv(1, 1)),
    Row('Conv2DTranspose 16, 4x4 / 2', nn.Conv2DTranspose(16, 4, 2, 1), (16, 32, 14, 14), conv_transposed),
    Row('MaxPool2D 3x3 / 2', nn.MaxPool2D(3, 2, 1), MAP, maxpool_overlapping),
    Row('MaxPool2D', nn.MaxPool2D(), MAP, maxpool),
    Row('AvgPool2D', nn.AvgPool2D(), MAP, avgpool),
    Row('GlobalAvgPool2D', nn.GlobalAvgPool2D(), MAP, lambda _, x: x.mean((2, 3), keepdims=True)),
    Row('GlobalMaxPool2D', nn.GlobalMaxPool2D(), MAP, lambda _, x: x.max((2, 3), keepdims=True)),
    Row('PixelShuffle2D(2)', nn.PixelShuffle2D(2), MAP, pixel_shuffle),
    Row('LSTM 128', rnn.LSTM(128), SEQUENCE, recurrent(lstm_step, 2)),
    Row('GRU 128', rnn.GRU(128), SEQUENCE, recurrent(gru_step, 1)),
    Row('RNN 128', rnn.RNN(128, activation='tanh'), SEQUENCE, recurrent(rnn_step, 1)),
    Row('SoftmaxCELoss', Lossy(loss.SoftmaxCELoss(), CLASSES), ROWS_OF, cross_entropy),
    Row('L2Loss', Lossy(loss.L2Loss(), TARGETS), ROWS_OF, lambda _, x: ((x - TARGETS) ** 2 / 2).mean(1)),
    Row('HuberLoss', Lossy(loss.HuberLoss(), TARGETS), ROWS_OF, huber),
    Row('MultiHeadAttention(4)', nn.MultiHeadAttention(128, 4), (8, 64, 128), attention),
]


def inputs(row: Row):
    random = np.random.RandomState(0)
    if row.indices:
        return jnp.asarray(random.randint(0, row.indices, row.shape))
    return jnp.asarray(random.standard_normal(row.shape), 'float32')


def gradient(function, x):
    """Of parameters and input, of the outputs times given numbers; and the params as they go on."""

    def total(params, x, slopes):
        y = function(params, x)
        y, news = y if isinstance(y, tuple) else (y, params)
        return (y * slopes).sum(), news

    wanted = (0, 1) if jnp.issubdtype(x.dtype, jnp.floating) else 0
    return jax.jit(jax.grad(total, wanted, has_aux=True))


def compare(row: Row):
    x = inputs(row)
    params = row.layer.init(0, x, init=init.Xavier())
    ours, by_hand = jax.jit(row.layer.apply), jax.jit(row.inference or row.by_hand)
    y = ours(params, x)
    agree(y, by_hand(params, x))
    slopes = jnp.asarray(np.random.RandomState(2).standard_normal(y.shape), y.dtype)
    in_training = gradient(lambda p, x: row.layer.apply_train(p, x, key=KEY), x)
    line = [row.name]
    for pair, arguments in (
        ((ours, by_hand), (params, x)),
        ((in_training, gradient(row.by_hand, x)), (params, x, slopes)),
    ):
        statements = {
            who: ('f(*arguments)', {'f': f, 'arguments': arguments})
            for who, f in zip(('ours', 'by hand'), pair, strict=True)
        }
        samples = time_statements(statements, ROUNDS)
        ratio = np.median(np.divide(samples['ours'], samples['by hand']))
        line += [f'{np.median(samples["by hand"]) * 1e6:.0f}', f'{ratio:.2f}']
        line += [f'{min(samples["ours"]) / min(samples["by hand"]):.2f}']
    return line


if __name__ == '__main__':
    chosen = [row for row in ROWS if not sys.argv[1:] or any(word in row.name for word in sys.argv[1:])]
    header = ['', 'forward us', 'ratio', 'of minima', 'gradient us', 'ratio', 'of minima']
    print_table('Layers, against the same by hand', header, [compare(row) for row in chosen])
