"""The training steps of accelerator.py: with gluonjax, by hand, and with its peers.

A maker takes sizes and returns a function of no arguments that takes one step and returns its loss.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import Layer, Trainer, loss, nn, rnn

RATE = 1e-3
CHUNK = 4096  # tokens that have logits at one moment


def tokens(vocabulary, batch, length):
    drawn = np.random.RandomState(0).randint(0, vocabulary, (batch, length + 1), 'int32')
    return drawn[:, :-1], drawn[:, 1:]


def images(batch, size, classes, channels_last):
    random = np.random.RandomState(0)
    x = random.standard_normal((batch, 3, size, size)).astype('float32')
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x, random.randint(0, classes, batch)


def sequences(steps, batch, width):
    x = np.random.RandomState(0).standard_normal((steps, batch, width)).astype('float32')
    return x, np.roll(x, -1, 0)


def trained(trainer, *batch):
    batch = jax.device_put(batch)
    return lambda: trainer.step(*batch)


def by_hand(loss_of, params, update, batch, *, precision=None, statistics=()):
    """The step that people write: values and gradients, float32 parameters, everything donated.

    `loss_of` returns what the running statistics follow, beside the loss.
    """
    state = update.init(params)
    batch = jax.device_put(batch)

    def narrow(params):
        return params if precision is None else jax.tree.map(lambda v: v.astype(precision), params)

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, state, statistics, *batch):
        differentiate = jax.value_and_grad(lambda params: loss_of(narrow(params), *batch), has_aux=True)
        (value, seen), slopes = differentiate(params)
        moves, state = update.update(slopes, state, params)
        statistics = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, statistics, seen)
        return jax.tree.map(jnp.add, params, moves), state, statistics, value

    holder = [params, state, statistics]

    def run():
        *holder[:], value = step(*holder, *batch)
        return value

    run.step, run.arguments = step, (*holder, *batch)  # for tracing.py and gpu_program.py
    return run


# GPT-2.


class GPT2(Layer):
    def __init__(self, vocabulary, length, width, blocks, heads, repeat, factors):
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.LearnedPositions(length)
        made = [self.block(width, heads) for _ in range(1 if repeat else blocks)]
        self.blocks = nn.Repeat(made[0], blocks) if repeat else nn.Sequential(*made)
        self.norm = nn.LayerNorm()
        self.output = (
            nn.DenseFactors(vocabulary, use_bias=False, params=self.tokens.params)
            if factors
            else nn.Dense(vocabulary, use_bias=False, flatten=False, params=self.tokens.params)
        )

    def block(self, width, heads):
        mlp = nn.Dense(4 * width, 'gelu', flatten=False), nn.Dense(width, flatten=False)
        return nn.Sequential(
            nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(width, heads, causal=True)),
            nn.Residual(nn.LayerNorm(), *mlp),
        )

    def forward(self, tokens):
        return self.output(self.norm(self.blocks(self.positions(self.tokens(tokens)))))


def gpt2(*, vocabulary, batch, length, width, blocks, heads, repeat=False, factors=False, precision='bfloat16'):
    net = nn.Sequential(GPT2(vocabulary, length, width, blocks, heads, repeat, factors))
    net.initialize('normal', key=0)
    chunked = functools.partial(loss.LinearSoftmaxCrossEntropyLoss, CHUNK, dtype=precision)
    measure = (chunked if factors else loss.SoftmaxCrossEntropyLoss)()
    trainer = Trainer(net, measure, 'adamw', {'learning_rate': RATE}, precision=precision, key=0)
    return trained(trainer, *tokens(vocabulary, batch, length))


def gpt2_by_hand(*, vocabulary, batch, length, width, blocks, heads, precision='bfloat16', fused=None):
    import optax

    random = np.random.RandomState(0)
    fused = (jax.default_backend() == 'gpu' and precision is not None) if fused is None else fused
    implementation = 'cudnn' if fused else None

    def weight(*shape):
        return jnp.asarray(0.01 * random.standard_normal(shape), 'float32')

    def norm(x, gamma, beta):
        wide = x.astype('float32')
        mean = wide.mean(-1, keepdims=True)
        y = (wide - mean) * lax.rsqrt(wide.var(-1, keepdims=True) + 1e-5)
        return (y * gamma + beta).astype(x.dtype)

    def block(p, x):
        y = norm(x, *p['norm1'])
        heads_of = (*x.shape[:2], 3, heads, width // heads)
        q, k, v = jnp.moveaxis((y @ p['qkv'] + p['qkv_bias']).reshape(heads_of), 2, 0)
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation=implementation).reshape(x.shape)
        x = x + y @ p['out'] + p['out_bias']
        y = jax.nn.gelu(norm(x, *p['norm2']) @ p['wide'] + p['wide_bias'], approximate=False)
        return x + y @ p['narrow'] + p['narrow_bias']

    def loss_of(params, x, labels):
        hidden = params['tokens'][x] + params['positions']
        for p in params['blocks']:
            hidden = block(p, hidden)
        logits = (norm(hidden, *params['norm']) @ params['tokens'].T).astype('float32')
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), ()

    def pair():
        return jnp.ones(width), jnp.zeros(width)

    def values():
        return {
            'norm1': pair(),
            'norm2': pair(),
            'out': weight(width, width),
            'out_bias': jnp.zeros(width),
            'qkv': weight(width, 3 * width),
            'qkv_bias': jnp.zeros(3 * width),
            'wide': weight(width, 4 * width),
            'wide_bias': jnp.zeros(4 * width),
            'narrow': weight(4 * width, width),
            'narrow_bias': jnp.zeros(width),
        }

    embeddings = {'tokens': weight(vocabulary, width), 'positions': weight(length, width), 'norm': pair()}
    params = embeddings | {'blocks': [values() for _ in range(blocks)]}
    batch = tokens(vocabulary, batch, length)
    return by_hand(loss_of, params, optax.adamw(RATE), batch, precision=precision)


# ResNet, of bottlenecks.


class ConvNorm(Layer):
    def __init__(self, channels, kernel, stride, layout):
        self.conv = nn.Conv2D(channels, kernel, stride, kernel // 2, use_bias=False, layout=layout)
        self.norm = nn.BatchNorm(layout.index('C'))

    def forward(self, x):
        return self.norm(self.conv(x))


class Bottleneck(Layer):
    def __init__(self, channels, stride, project, layout):
        sizes = (channels, 1, 1), (channels, 3, stride), (4 * channels, 1, 1)
        self.body = [ConvNorm(*size, layout) for size in sizes]
        self.shortcut = ConvNorm(4 * channels, 1, stride, layout) if project else nn.Identity()

    def forward(self, x):
        first, second, third = self.body
        return jax.nn.relu(third(jax.nn.relu(second(jax.nn.relu(first(x))))) + self.shortcut(x))


class ResNet(Layer):
    def __init__(self, stages, classes, layout):
        self.stem, self.pool = ConvNorm(64, 7, 2, layout), nn.MaxPool2D(3, 2, 1, layout=layout)
        self.blocks = [Bottleneck(*shape, layout) for shape in shapes_of(stages)]
        self.mean, self.output = nn.GlobalAvgPool2D(layout=layout), nn.Dense(classes)

    def forward(self, x):
        x = self.pool(jax.nn.relu(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        return self.output(self.mean(x))


def shapes_of(stages):
    """Channels, stride and whether there is a projection, of each block."""
    for stage, (channels, blocks) in enumerate(stages):
        for i in range(blocks):
            yield channels, 2 if stage and not i else 1, i == 0


def resnet(*, stages, classes, batch, size, layout='NCHW', precision='bfloat16'):
    net = nn.Sequential(ResNet(stages, classes, layout))
    net.initialize('xavier', key=0)
    options = {'learning_rate': RATE, 'momentum': 0.9}
    trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'sgd', options, precision=precision, key=0)
    return trained(trainer, *images(batch, size, classes, layout == 'NHWC'))


def resnet_by_hand(*, stages, classes, batch, size, layout='NHWC', precision='bfloat16'):
    import optax

    random = np.random.RandomState(0)
    over = tuple(i for i, name in enumerate(layout) if name != 'C')
    window = [3 if name in 'HW' else 1 for name in layout], [2 if name in 'HW' else 1 for name in layout]
    edge = [(1, 1) if name in 'HW' else (0, 0) for name in layout]

    def conv_norm(inputs, outputs, kernel):
        weight = random.standard_normal((kernel, kernel, inputs, outputs)) * np.sqrt(1 / (kernel * kernel * inputs))
        return jnp.asarray(weight, 'float32'), jnp.ones(outputs), jnp.zeros(outputs)

    def run_conv_norm(p, x, stride, seen):
        weight, gamma, beta = p
        pad = weight.shape[0] // 2
        x = lax.conv_general_dilated(
            x, weight, (stride,) * 2, [(pad, pad)] * 2, dimension_numbers=(layout, 'HWIO', layout)
        )
        wide = x.astype('float32')
        mean = wide.mean(over)
        variance = jnp.square(wide).mean(over) - jnp.square(mean)
        seen.append((mean, variance))
        factor = gamma * lax.rsqrt(variance + 1e-5)
        mean, factor, beta = (jnp.expand_dims(v.astype('float32'), over) for v in (mean, factor, beta))
        return ((wide - mean) * factor + beta).astype(x.dtype)

    def loss_of(params, x, labels):
        x, seen = x.astype(precision), []
        x = jax.nn.relu(run_conv_norm(params['stem'], x, 2, seen))
        x = lax.reduce_window(x, -jnp.inf, lax.max, *window, edge)
        for (_, stride, project), p in zip(shapes_of(stages), params['blocks'], strict=True):
            y = jax.nn.relu(run_conv_norm(p[0], x, 1, seen))
            y = run_conv_norm(p[2], jax.nn.relu(run_conv_norm(p[1], y, stride, seen)), 1, seen)
            x = jax.nn.relu(y + (run_conv_norm(p[3], x, stride, seen) if project else x))
        x = x.mean([layout.index(name) for name in 'HW'])
        logits = (x @ params['output'] + params['bias']).astype('float32')
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), seen

    params, inputs = {'stem': conv_norm(3, 64, 7), 'blocks': []}, 64
    for channels, _, project in shapes_of(stages):
        own = [conv_norm(inputs, channels, 1), conv_norm(channels, channels, 3), conv_norm(channels, 4 * channels, 1)]
        params['blocks'].append(own + ([conv_norm(inputs, 4 * channels, 1)] if project else []))
        inputs = 4 * channels
    params |= {'output': jnp.asarray(0.01 * random.standard_normal((inputs, classes)), 'float32')}
    params |= {'bias': jnp.zeros(classes)}
    batch = images(batch, size, classes, layout == 'NHWC')
    drawn = [params['stem'], *itertools.chain(*params['blocks'])]
    statistics = [(jnp.zeros_like(beta), jnp.ones_like(gamma)) for _, gamma, beta in drawn]
    return by_hand(loss_of, params, optax.sgd(RATE, 0.9), batch, precision=precision, statistics=statistics)


def resnet_in_flax(*, stages, classes, batch, size, precision='bfloat16'):
    import optax
    from flax import linen

    class Network(linen.Module):
        @linen.compact
        def __call__(self, x):
            def conv_norm(x, channels, kernel, stride):
                pads = [(kernel // 2,) * 2] * 2
                options = {'strides': stride, 'padding': pads, 'use_bias': False, 'dtype': precision}
                x = linen.Conv(channels, (kernel, kernel), **options)(x)
                return linen.BatchNorm(use_running_average=False, momentum=0.9, dtype=precision)(x)

            x = linen.relu(conv_norm(x, 64, 7, 2))
            x = linen.max_pool(x, (3, 3), (2, 2), [(1, 1), (1, 1)])
            for channels, stride, project in shapes_of(stages):
                y = linen.relu(conv_norm(linen.relu(conv_norm(x, channels, 1, 1)), channels, 3, stride))
                y = conv_norm(y, 4 * channels, 1, 1)
                x = linen.relu(y + (conv_norm(x, 4 * channels, 1, stride) if project else x))
            return linen.Dense(classes, dtype=precision)(x.mean((1, 2)))

    x, labels = images(batch, size, classes, channels_last=True)
    variables = jax.jit(Network().init)(jax.random.key(0), x[:1])
    state, network = [variables['params'], variables['batch_stats']], Network()
    update = optax.sgd(RATE, 0.9)
    state.append(update.init(state[0]))

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, statistics, moments, x, labels):
        def loss_of(params):
            variables = {'params': params, 'batch_stats': statistics}
            logits, new = network.apply(variables, x.astype(precision), mutable=['batch_stats'])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits.astype('float32'), labels)
            return losses.mean(), new['batch_stats']

        (value, statistics), slopes = jax.value_and_grad(loss_of, has_aux=True)(params)
        moves, moments = update.update(slopes, moments, params)
        return optax.apply_updates(params, moves), statistics, moments, value

    batch = jax.device_put((x, labels))

    def run():
        *state[:], value = step(*state, *batch)
        return value

    run.step, run.arguments = step, (*state, *batch)
    return run


# LSTM.


def lstm(*, steps, batch, width, layers, implementation=None):
    net = nn.Sequential(rnn.LSTM(width, layers, implementation=implementation))
    net.initialize(key=0)
    trainer = Trainer(net, loss.L2Loss(batch_axis=1), 'sgd', {'learning_rate': RATE}, key=0)
    return trained(trainer, *sequences(steps, batch, width))


def lstm_by_hand(*, steps, batch, width, layers):
    import optax

    random = np.random.RandomState(0)

    def weight(*shape):
        return jnp.asarray(random.uniform(-0.05, 0.05, shape), 'float32')

    def loss_of(params, x, labels):
        for inputs, hidden, bias in params:

            def step(carry, gates, hidden=hidden):
                h, c = carry
                i, f, g, o = jnp.split(gates + h @ hidden, 4, -1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zeros = jnp.zeros((batch, width))
            _, x = lax.scan(step, (zeros, zeros), x @ inputs + bias)
        return jnp.square(x - labels).mean() / 2, ()

    params = [(weight(width, 4 * width), weight(width, 4 * width), jnp.zeros(4 * width)) for _ in range(layers)]
    return by_hand(loss_of, params, optax.sgd(RATE), sequences(steps, batch, width))


# PyTorch.


def in_torch(network, update, measure, x, labels, *, compiled, precision):
    import torch

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.set_float32_matmul_precision('high')
    network = network.to(device)
    update = update(network.parameters())
    x, labels = (torch.as_tensor(np.ascontiguousarray(array)).to(device) for array in (x, labels))
    if x.ndim == 4 and device == 'cuda':
        network, x = (each.to(memory_format=torch.channels_last) for each in (network, x))
    run_network = torch.compile(network) if compiled else network

    def run():
        with torch.autocast(device, torch.bfloat16, enabled=precision is not None):
            value = measure(run_network(x), labels)
        update.zero_grad(set_to_none=True)
        value.backward()
        update.step()
        return value.detach()

    return run


def gpt2_in_torch(*, vocabulary, batch, length, width, blocks, heads, compiled=False, precision='bfloat16'):
    import torch
    from torch import nn as layers
    from torch.nn import functional

    class Block(layers.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = layers.LayerNorm(width), layers.LayerNorm(width)
            self.qkv, self.out = layers.Linear(width, 3 * width), layers.Linear(width, width)
            self.mlp = layers.Sequential(
                layers.Linear(width, 4 * width), layers.GELU(), layers.Linear(4 * width, width)
            )

        def forward(self, x):
            shape = (*x.shape[:2], 3, heads, width // heads)
            query, key, value = self.qkv(self.norm1(x)).view(shape).permute(2, 0, 3, 1, 4)
            y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(x.shape))
            return x + self.mlp(self.norm2(x))

    class Network(layers.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = layers.Embedding(vocabulary, width), layers.Embedding(length, width)
            self.blocks, self.norm = layers.Sequential(*(Block() for _ in range(blocks))), layers.LayerNorm(width)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.positions.weight
            return functional.linear(self.norm(self.blocks(x)), self.tokens.weight)

    def measure(logits, labels):
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten().long())

    update = functools.partial(torch.optim.AdamW, lr=RATE)
    return in_torch(
        Network(), update, measure, *tokens(vocabulary, batch, length), compiled=compiled, precision=precision
    )


def resnet_in_torch(*, stages, classes, batch, size, compiled=False, precision='bfloat16'):
    import torch
    from torch import nn as layers
    from torch.nn import functional

    def conv_norm(inputs, outputs, kernel, stride=1):
        conv = layers.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return layers.Sequential(conv, layers.BatchNorm2d(outputs))

    class Block(layers.Module):
        def __init__(self, inputs, channels, stride, project):
            super().__init__()
            self.body = layers.Sequential(
                *(conv_norm(inputs, channels, 1), layers.ReLU(), conv_norm(channels, channels, 3, stride)),
                *(layers.ReLU(), conv_norm(channels, 4 * channels, 1)),
            )
            self.shortcut = conv_norm(inputs, 4 * channels, 1, stride) if project else layers.Identity()

        def forward(self, x):
            return functional.relu(self.body(x) + self.shortcut(x))

    shapes = list(shapes_of(stages))
    inputs = [64, *(4 * channels for channels, _, _ in shapes)]
    network = layers.Sequential(
        *(conv_norm(3, 64, 7, 2), layers.ReLU(), layers.MaxPool2d(3, 2, 1)),
        *itertools.starmap(Block, ((n, *shape) for n, shape in zip(inputs, shapes, strict=False))),
        *(layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(inputs[-1], classes)),
    )
    update = functools.partial(torch.optim.SGD, lr=RATE, momentum=0.9)
    batch = images(batch, size, classes, channels_last=False)
    return in_torch(network, update, functional.cross_entropy, *batch, compiled=compiled, precision=precision)


def lstm_in_torch(*, steps, batch, width, layers):
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(width, width, layers)

        def forward(self, x):
            return self.lstm(x)[0]

    def measure(y, labels):
        return (y - labels).square().mean() / 2

    update = functools.partial(torch.optim.SGD, lr=RATE)
    return in_torch(Network(), update, measure, *sequences(steps, batch, width), compiled=False, precision=None)
