"""The networks of the zoo in PyTorch, with the same parameters: each layer of ours is translated to PyTorch's."""

import os

import numpy as np
import torch
from torch import nn

torch.set_num_threads(len(os.sched_getaffinity(0)))
POOLS = {'MaxPool2D': nn.MaxPool2d, 'AvgPool2D': nn.AvgPool2d}


class Residual(nn.Module):
    """`relu(body(x) + downsample(x))`, or without relu."""

    def __init__(self, body, downsample=None, last=torch.relu):
        super().__init__()
        self.body, self.downsample, self.last = body, downsample or nn.Identity(), last

    def forward(self, x):
        return self.last(self.body(x) + self.downsample(x))


def translated(network):
    """The module for a network of ours whose parameters have values."""
    kind = network.__class__.__name__  # a View says the class of its layer
    if kind == 'Conv2D':
        return conv(network)
    if kind == 'Dense':
        return nn.Sequential(nn.Flatten(), with_values(nn.Linear(*network.weight.shape[::-1]), network))
    if kind == 'BatchNorm':
        return with_values(nn.BatchNorm2d(len(network.gamma.data()), eps=network.epsilon), network)
    if kind in POOLS:
        return POOLS[kind](network.pool_size, network.strides, network.padding, ceil_mode=network.ceil_mode)
    if kind in ('BasicBlockV1', 'BottleneckV1'):
        return Residual(translated(network.body), network.downsample and translated(network.downsample))
    if kind == 'LinearBottleneck':
        out = translated(network.out)
        return Residual(out, last=nn.Identity()) if network.use_shortcut else out
    if kind == 'Sequential':
        return nn.Sequential(*map(translated, network))
    if hasattr(network, 'features'):
        return nn.Sequential(translated(network.features), translated(network.output))
    return {
        'Activation': nn.ReLU,
        'RELU6': nn.ReLU6,
        'GlobalAvgPool2D': lambda: nn.AdaptiveAvgPool2d(1),
        'Flatten': nn.Flatten,
        'Dropout': nn.Dropout,
    }[kind]()


def conv(layer):
    outputs, inputs, *kernel = layer.weight.shape
    numbers = layer.strides, layer.padding, layer.dilation, layer.groups
    return with_values(nn.Conv2d(inputs * layer.groups, outputs, kernel, *numbers, bias=layer.use_bias), layer)


def with_values(module, layer):
    """The parameters in the order in which both declare them: weight, bias, running mean, running variance."""
    values = [torch.tensor(np.asarray(parameter.data())) for parameter in layer.collect_params().values()]
    targets = [*module.parameters(), *(buffer for buffer in module.buffers() if buffer.ndim)]
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(value)
    return module


def inference(network, x):
    """A function without arguments that runs the network."""
    module, x = translated(network).eval(), torch.tensor(np.asarray(x))

    def run():
        with torch.no_grad():
            return module(x).numpy()

    return run


def training(network, x, labels, rate):
    """A function without arguments that makes a step of SGD."""
    module = translated(network).train()
    x, labels = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(labels)).long()
    optimizer = torch.optim.SGD(module.parameters(), rate)

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step
