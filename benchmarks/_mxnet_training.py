"""The networks of training.py in MXNet (Python 3.8): for every line that comes in, the seconds of a step go out."""

import sys
import time

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


def conv_norm(channels, kernel, stride):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(channels, kernel, stride, kernel // 2, use_bias=False), nn.BatchNorm())
    return net


class Block(nn.HybridBlock):
    def __init__(self, channels, stride):
        super().__init__()
        self.first, self.second = conv_norm(channels, 3, stride), conv_norm(channels, 3, 1)
        self.shortcut = conv_norm(channels, 1, stride) if stride > 1 else None

    def hybrid_forward(self, F, x):
        y = self.second(F.relu(self.first(x)))
        return F.relu(y + (self.shortcut(x) if self.shortcut else x))


def network(name):
    net = nn.HybridSequential()
    if name == 'LeNet':
        net.add(nn.Conv2D(20, 5, activation='tanh'), nn.MaxPool2D(2, 2), nn.Conv2D(50, 5, activation='tanh'))
        net.add(nn.MaxPool2D(2, 2), nn.Dense(500, activation='tanh'), nn.Dense(10))
        return net, (64, 1, 28, 28)
    net.add(conv_norm(64, 3, 1), nn.Activation('relu'))
    for channels, stride in STAGES:
        net.add(Block(channels, stride), Block(channels, 1))
    net.add(nn.GlobalAvgPool2D(), nn.Dense(10))
    return net, (8, 3, 32, 32)


def main(name, steps):
    net, shape = network(name)
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    x, labels = nd.random.normal(shape=shape), nd.arange(shape[0]) % 10
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01})

    def step():
        with autograd.record():
            value = loss(net(x), labels)
        value.backward()
        trainer.step(shape[0])
        value.mean().asscalar()
        nd.waitall()

    for _ in sys.stdin:
        step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        print((time.perf_counter() - start) / steps, flush=True)


main(sys.argv[1], int(sys.argv[2]))
