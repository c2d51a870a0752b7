"""The networks of training.py: as a user of gluonjax writes them, by hand on the same params, and in PyTorch."""

import os

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax import Layer, nn

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, stride


def lenet():
    return nn.Sequential(
        nn.Conv2D(20, 5, activation='tanh'),
        nn.MaxPool2D(2, 2),
        nn.Conv2D(50, 5, activation='tanh'),
        nn.MaxPool2D(2, 2),
        nn.Dense(500, activation='tanh'),
        nn.Dense(10),
    ).definition


class ConvNorm(Layer):
    def __init__(self, channels, kernel, stride):
        self.conv = nn.Conv2D(channels, kernel, stride, kernel // 2, use_bias=False)
        self.norm = nn.BatchNorm()

    def forward(self, x):
        return self.norm(self.conv(x))


class BasicBlock(Layer):
    def __init__(self, channels, stride, project):
        self.body = [ConvNorm(channels, 3, stride), ConvNorm(channels, 3, 1)]
        self.shortcut = ConvNorm(channels, 1, stride) if project else nn.Identity()

    def forward(self, x):
        first, second = self.body
        return jax.nn.relu(second(jax.nn.relu(first(x))) + self.shortcut(x))


class ResNet18(Layer):
    def __init__(self):
        self.stem = ConvNorm(64, 3, 1)
        self.blocks = [
            BasicBlock(channels, stride if i == 0 else 1, project=i == 0 and stride > 1)
            for channels, stride in STAGES
            for i in range(2)
        ]
        self.mean, self.output = nn.GlobalAvgPool2D(), nn.Dense(10)

    def forward(self, x):
        x = jax.nn.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.output(self.mean(x))


# By hand: (params, x) -> outputs and new running statistics.


def conv(x, weight, stride=1, padding=0):
    return lax.conv_general_dilated(x, weight, (stride,) * 2, [(padding,) * 2] * 2)


def lenet_by_hand(params, x):
    for i in '02':
        x = jnp.tanh(conv(x, params[i]['weight']) + params[i]['bias'][:, None, None][None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), 'VALID')
    x = jnp.tanh(x.reshape(len(x), -1) @ params['4']['weight'].T + params['4']['bias'][None])
    return x @ params['5']['weight'].T + params['5']['bias'][None], params


def resnet18_by_hand(params, x):
    new = jax.tree.map(lambda leaf: leaf, params)

    def conv_norm(old, new, x, stride, padding):
        y, norm = conv(x, old['conv']['weight'], stride, padding), old['norm']
        mean, var = y.mean((0, 2, 3)), y.var((0, 2, 3))
        for name, value in (('running_mean', mean), ('running_var', var)):
            new['norm'][name] = 0.9 * norm[name] + 0.1 * lax.stop_gradient(value)
        factor = norm['gamma'] * lax.rsqrt(var + 1e-5)
        mean, factor, beta = (value[None, :, None, None] for value in (mean, factor, norm['beta']))
        return (y - mean) * factor + beta

    x = jax.nn.relu(conv_norm(params['stem'], new['stem'], x, 1, 1))
    strides = [stride if i == 0 else 1 for _, stride in STAGES for i in range(2)]
    for i, stride in enumerate(strides):
        old, changed = params['blocks'][str(i)], new['blocks'][str(i)]
        y = jax.nn.relu(conv_norm(old['body']['0'], changed['body']['0'], x, stride, 1))
        y = conv_norm(old['body']['1'], changed['body']['1'], y, 1, 1)
        if 'shortcut' in old:
            x = conv_norm(old['shortcut'], changed['shortcut'], x, stride, 0)
        x = jax.nn.relu(y + x)
    output = params['output']
    return x.mean((2, 3)) @ output['weight'].T + output['bias'][None], new


NETWORKS = {
    'LeNet': (lenet(), lenet_by_hand, (64, 1, 28, 28)),
    'ResNet-18': (ResNet18(), resnet18_by_hand, (8, 3, 32, 32)),
}


def losses(layer, by_hand):
    """Two functions (params, x, labels) -> mean cross-entropy and new params."""

    def loss(f, params, x, labels):
        y, new = f(params, x)
        return -jnp.take_along_axis(jax.nn.log_softmax(y), labels[:, None], 1).mean(), new

    def train(params, x):
        return layer.apply_train(params, x, key=jax.random.key(0))

    return (lambda *arguments: loss(train, *arguments)), (lambda *arguments: loss(by_hand, *arguments))


def torch_step(name, shape, rate):
    import torch
    from torch import nn as torch_nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))

    def conv_norm(inputs, channels, kernel, stride):
        return torch_nn.Sequential(
            torch_nn.Conv2d(inputs, channels, kernel, stride, kernel // 2, bias=False), torch_nn.BatchNorm2d(channels)
        )

    class Block(torch_nn.Module):
        def __init__(self, inputs, channels, stride):
            super().__init__()
            self.first, self.second = conv_norm(inputs, channels, 3, stride), conv_norm(channels, channels, 3, 1)
            self.shortcut = conv_norm(inputs, channels, 1, stride) if stride > 1 else torch_nn.Identity()

        def forward(self, x):
            return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))

    if name == 'LeNet':
        layers = [torch_nn.Conv2d(1, 20, 5), torch_nn.Tanh(), torch_nn.MaxPool2d(2)]
        layers += [torch_nn.Conv2d(20, 50, 5), torch_nn.Tanh(), torch_nn.MaxPool2d(2), torch_nn.Flatten()]
        layers += [torch_nn.Linear(800, 500), torch_nn.Tanh(), torch_nn.Linear(500, 10)]
    else:
        layers, inputs = [conv_norm(3, 64, 3, 1), torch_nn.ReLU()], 64
        for channels, stride in STAGES:
            layers += [Block(inputs, channels, stride), Block(channels, channels, 1)]
            inputs = channels
        layers += [torch_nn.AdaptiveAvgPool2d(1), torch_nn.Flatten(), torch_nn.Linear(512, 10)]
    net = torch_nn.Sequential(*layers)
    x, labels = torch.randn(shape), torch.arange(shape[0]) % 10
    optimizer = torch.optim.SGD(net.parameters(), rate)

    def step():
        optimizer.zero_grad()
        loss = torch_nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
