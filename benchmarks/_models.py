"""The networks that are timed: as a user of gluonjax writes them, and the same by hand on the same params."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import Layer, Param, nn

IMAGE = jax.ShapeDtypeStruct((1, 3, 224, 224), 'float32')
TOKENS = jax.ShapeDtypeStruct((1, 1024), 'int32')
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels within, blocks, stride


# MLPs.


def mlp(*widths: int) -> nn.Sequential:
    *hidden, last = widths
    return nn.Sequential(*(nn.Dense(width, activation='relu') for width in hidden), nn.Dense(last))


def mlp_by_hand(params, x):
    for i in range(len(params)):
        layer = params[str(i)]
        x = x @ layer['weight'].T + layer['bias']
        if i < len(params) - 1:
            x = jax.nn.relu(x)
    return x


# ResNet-50: v1b, which strides in the 3x3 convolutions.


class ConvNorm(Layer):
    def __init__(self, channels, kernel, stride=1):
        self.conv = nn.Conv2D(channels, kernel, stride, padding=kernel // 2, use_bias=False)
        self.norm = nn.BatchNorm()

    def forward(self, x):
        return self.norm(self.conv(x))


class Bottleneck(Layer):
    def __init__(self, channels, stride, project):
        self.body = [ConvNorm(channels, 1), ConvNorm(channels, 3, stride), ConvNorm(4 * channels, 1)]
        self.shortcut = ConvNorm(4 * channels, 1, stride) if project else nn.Identity()

    def forward(self, x):
        first, second, third = self.body
        y = third(jax.nn.relu(second(jax.nn.relu(first(x)))))
        return jax.nn.relu(self.shortcut(x) + y)


class ResNet50(Layer):
    def __init__(self, classes=1000):
        self.stem = ConvNorm(64, 7, 2)
        self.pool = nn.MaxPool2D(3, 2, 1)
        self.blocks = [
            Bottleneck(channels, stride if i == 0 else 1, project=i == 0)
            for channels, blocks, stride in STAGES
            for i in range(blocks)
        ]
        self.mean = nn.GlobalAvgPool2D()
        self.output = nn.Dense(classes)

    def forward(self, x):
        x = self.pool(jax.nn.relu(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.output(self.mean(x))


def resnet50_by_hand(params, x):
    x = jax.nn.relu(_conv_norm(params['stem'], x, 2))
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)))
    blocks = (params['blocks'][str(i)] for i in itertools.count())  # jit sorts dicts, '10' before '2'
    for _, count, stride in STAGES:
        for i in range(count):
            x = _bottleneck(next(blocks), x, stride if i == 0 else 1)
    x = x.mean((2, 3))
    return x @ params['output']['weight'].T + params['output']['bias']


def _bottleneck(params, x, stride):
    body = params['body']
    y = jax.nn.relu(_conv_norm(body['0'], x))
    y = jax.nn.relu(_conv_norm(body['1'], y, stride))
    y = _conv_norm(body['2'], y)
    return jax.nn.relu((_conv_norm(params['shortcut'], x, stride) if 'shortcut' in params else x) + y)


def _conv_norm(params, x, stride=1):
    weight, norm = params['conv']['weight'], params['norm']
    padding = weight.shape[2] // 2
    y = lax.conv_general_dilated(
        x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=('NCHW', 'OIHW', 'NCHW')
    )
    factor = norm['gamma'] * lax.rsqrt(norm['running_var'] + 1e-5)
    mean, factor, beta = (value[None, :, None, None] for value in (norm['running_mean'], factor, norm['beta']))
    return (y - mean) * factor + beta


# GPT-2 small, 124M parameters.


class LayerNorm(Layer):
    def __init__(self):
        self.gamma, self.beta = Param((None,), init='ones'), Param((None,), init='zeros')

    def infer_shape(self, x):
        return {'gamma': x.shape[-1:], 'beta': x.shape[-1:]}

    def forward(self, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.gamma[None, None] + self.beta[None, None]


class Attention(Layer):
    def __init__(self, width, heads):
        self.heads = heads
        self.qkv = nn.Dense(3 * width, flatten=False)
        self.output = nn.Dense(width, flatten=False)

    def forward(self, x):
        split = (*x.shape[:-1], self.heads, x.shape[-1] // self.heads)
        query, key, value = (part.reshape(split) for part in jnp.split(self.qkv(x), 3, axis=-1))
        return self.output(jax.nn.dot_product_attention(query, key, value, is_causal=True).reshape(x.shape))


class TransformerBlock(Layer):
    def __init__(self, width, heads):
        self.norm1, self.attention = LayerNorm(), Attention(width, heads)
        self.norm2 = LayerNorm()
        self.widen = nn.Dense(4 * width, activation=jax.nn.gelu, flatten=False)
        self.narrow = nn.Dense(width, flatten=False)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(self.widen(self.norm2(x)))


class GPT2(Layer):
    def __init__(self, vocabulary=50257, context=1024, width=768, blocks=12, heads=12):
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = [TransformerBlock(width, heads) for _ in range(blocks)]
        self.norm = LayerNorm()

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1]))[None]
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T  # the output is tied to the embedding


def agree(ours, theirs) -> None:
    """Stops the benchmark if two outputs are not the same numbers."""
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-4 * float(np.abs(theirs).max()))


@functools.cache
def sizes(layer: str) -> tuple[Layer, jax.ShapeDtypeStruct]:
    """A network by name, and the shape of its input."""
    made = {
        'ResNet-50': lambda: (ResNet50(), IMAGE),
        'GPT-2': lambda: (GPT2(), TOKENS),
        'MLP': lambda: (mlp(256, 10).definition, jax.ShapeDtypeStruct((2, 20), 'float32')),
    }
    return made[layer]()
