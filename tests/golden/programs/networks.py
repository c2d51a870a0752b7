"""Convolutional networks at tiny widths, as courses define them: each trained for a step or two."""

import numpy as np

from .common import digest, draw, numbers, set_all


def trained(mx, net, x, y, steps=1, scale=0.4):
    """Losses, and a digest of the parameters, after steps of a Trainer; hybridized where it can be."""
    net.initialize(mx.init.Xavier(), ctx=mx.cpu())
    net(x)
    set_all(mx, net, scale)
    net.hybridize()
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.05})
    loss, losses = mx.gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(steps):
        with mx.autograd.record():
            value = loss(net(x), y).mean()
        value.backward()
        trainer.step(1)
        losses.append(value.asscalar())
    shapes = [p.shape for p in net.collect_params().values()]
    return numbers(losses=losses, digest=digest(net), sizes=[int(np.prod(shape)) for shape in shapes])


def images(mx, size, count=2, channels=1):
    return mx.nd.array(draw(0, count, channels, size, size)), mx.nd.array(np.arange(count) % 3)


def lenet(mx):
    """Layer by layer: the shapes and names of outputs, and an accuracy."""
    nn = mx.gluon.nn
    net = nn.Sequential(prefix='lenet_')
    with net.name_scope():
        net.add(
            nn.Conv2D(channels=2, kernel_size=5, activation='sigmoid'),
            nn.MaxPool2D(pool_size=2, strides=2),
            nn.Conv2D(channels=3, kernel_size=3, activation='sigmoid'),
            nn.MaxPool2D(pool_size=2, strides=2),
            nn.Dense(6, activation='sigmoid'),
            nn.Dense(3),
        )
    net.initialize(force_reinit=True, init=mx.init.Xavier())
    x, y = images(mx, 16)
    out, answers = x, {}
    for layer in net:
        out = layer(out)
        answers['{} {}'.format(layer.name, out.shape)] = 1.0
    answers.update(trained(mx, net, x, y, steps=2))
    answers['right'] = (net(x).argmax(axis=1) == y.astype('float32')).sum().asscalar()
    return answers


def blocks_in_a_row(mx):
    """AlexNet's kinds of layers, VGG's and NiN's functions that make blocks: large strides, padding, no dense end."""
    nn = mx.gluon.nn

    def vgg_block(count, channels):
        block = nn.HybridSequential()
        for _ in range(count):
            block.add(nn.Conv2D(channels, kernel_size=3, padding=1, activation='relu'))
        block.add(nn.MaxPool2D(pool_size=2, strides=2))
        return block

    def nin_block(channels, kernel_size, strides, padding):
        block = nn.HybridSequential()
        block.add(
            nn.Conv2D(channels, kernel_size, strides, padding, activation='relu'),
            nn.Conv2D(channels, kernel_size=1, activation='relu'),
        )
        return block

    net = nn.HybridSequential(prefix='row_')
    with net.name_scope():
        net.add(nn.Conv2D(3, kernel_size=5, strides=2, activation='relu'), nn.MaxPool2D(pool_size=3, strides=1))
        net.add(vgg_block(2, 4), nin_block(4, kernel_size=3, strides=1, padding=1), nn.Dropout(0.0))
        net.add(nn.Dense(5, activation='relu'), nn.Dropout(0), nn.Dense(3))
    return trained(mx, net, *images(mx, 16))


def inception(mx):
    """Four paths that are concatenated; a global pool and a Flatten in the end."""
    nn, nd = mx.gluon.nn, mx.nd

    class Inception(nn.Block):
        def __init__(self, c1, c2, c3, c4, **kwargs):
            super(Inception, self).__init__(**kwargs)
            with self.name_scope():
                self.p1_1 = nn.Conv2D(c1, kernel_size=1, activation='relu')
                self.p2_1 = nn.Conv2D(c2[0], kernel_size=1, activation='relu')
                self.p2_2 = nn.Conv2D(c2[1], kernel_size=3, padding=1, activation='relu')
                self.p3_1 = nn.Conv2D(c3[0], kernel_size=1, activation='relu')
                self.p3_2 = nn.Conv2D(c3[1], kernel_size=5, padding=2, activation='relu')
                self.p4_1 = nn.MaxPool2D(pool_size=3, strides=1, padding=1)
                self.p4_2 = nn.Conv2D(c4, kernel_size=1, activation='relu')

        def forward(self, x):
            p1 = self.p1_1(x)
            p2 = self.p2_2(self.p2_1(x))
            p3 = self.p3_2(self.p3_1(x))
            p4 = self.p4_2(self.p4_1(x))
            return nd.concat(p1, p2, p3, p4, dim=1)

    net = nn.Sequential(prefix='inception_')
    with net.name_scope():
        net.add(Inception(2, (2, 3), (2, 1), 2), nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(3))
    return trained(mx, net, *images(mx, 8))


def residual(mx):
    """Residual blocks with a convolution on the shortcut, and batch normalization."""
    nn, nd = mx.gluon.nn, mx.nd

    class Residual(nn.HybridBlock):
        def __init__(self, channels, use_1x1conv=False, strides=1, **kwargs):
            super(Residual, self).__init__(**kwargs)
            with self.name_scope():
                self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
                self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
                self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides) if use_1x1conv else None
                self.bn1 = nn.BatchNorm()
                self.bn2 = nn.BatchNorm()

        def forward(self, x):
            y = nd.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            if self.conv3:
                x = self.conv3(x)
            return nd.relu(y + x)

    net = nn.Sequential(prefix='residual_')
    with net.name_scope():
        net.add(Residual(3, use_1x1conv=True, strides=2), Residual(3), nn.GlobalAvgPool2D(), nn.Dense(3))
    return trained(mx, net, *images(mx, 8), steps=2)


def dense_blocks(mx):
    """Blocks that concatenate all they had, and transitions between them."""
    nn, nd = mx.gluon.nn, mx.nd

    def conv_block(channels):
        block = nn.Sequential()
        block.add(nn.BatchNorm(), nn.Activation('relu'), nn.Conv2D(channels, kernel_size=3, padding=1))
        return block

    class DenseBlock(nn.Block):
        def __init__(self, count, channels, **kwargs):
            super(DenseBlock, self).__init__(**kwargs)
            self.net = nn.Sequential()
            for _ in range(count):
                self.net.add(conv_block(channels))

        def forward(self, x):
            for block in self.net:
                y = block(x)
                x = nd.concat(x, y, dim=1)
            return x

    net = nn.Sequential()
    net.add(DenseBlock(2, 2, prefix='dense_'))
    net.add(nn.BatchNorm(prefix='t_'), nn.Activation('relu'), nn.Conv2D(2, kernel_size=1, prefix='c_'))
    net.add(nn.AvgPool2D(pool_size=2, strides=2), nn.Dense(3, prefix='d_'))
    net.initialize()
    x, y = images(mx, 8)
    net(x)
    for i, parameter in enumerate(net.collect_params().values()):
        if parameter.grad_req != 'null':
            parameter.set_data(mx.nd.array(0.4 * draw(i, *parameter.shape)))
    with mx.autograd.record():
        value = mx.gluon.loss.SoftmaxCrossEntropyLoss()(net(x), y)
    value.backward()
    gradients = [p.grad().norm().asscalar() for p in net.collect_params().values() if p.grad_req != 'null']
    return numbers(value=value, gradients=gradients)


PROGRAMS = [lenet, blocks_in_a_row, inception, residual, dense_blocks]
