"""Models and layers written from arrays and gradients alone, as a course writes them first."""

import numpy as np

from .common import batches, draw, numbers, sgd


def mlp(mx):
    """A hidden layer; rectified by a maximum; the gradients of a batch's sum; an accuracy in the end."""
    nd, autograd = mx.nd, mx.autograd
    x, y = nd.array(draw(0, 24, 2, 3)), nd.array(np.arange(24) % 4)
    w1, b1 = nd.array(0.3 * draw(1, 6, 8)), nd.zeros(8)
    w2, b2 = nd.array(0.3 * draw(2, 8, 4)), nd.zeros(4)
    params = [w1, b1, w2, b2]
    for param in params:
        param.attach_grad()

    def net(x):
        hidden = nd.maximum(nd.dot(x.reshape((-1, 6)), w1) + b1, 0)
        return nd.dot(hidden, w2) + b2

    loss, totals = mx.gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(2):
        total, right, count = 0.0, 0.0, 0
        for features, labels in batches(mx, 8, x, y):
            with autograd.record():
                scores = net(features)
                value = loss(scores, labels).sum()
            value.backward()
            sgd(params, 0.5, 8)
            labels = labels.astype('float32')
            total += value.asscalar()
            right += (scores.argmax(axis=1) == labels).sum().asscalar()
            count += labels.size
        totals += [total / count, right / count]
    return numbers(totals=totals, w1=w1, b2=b2, grad=w2.grad)


def dropout(mx):
    """Masks that are given; two layers, of different rates; what is predicted is whole."""
    nd, autograd = mx.nd, mx.autograd
    masks = [np.random.RandomState(i).uniform(size=(4, 5)).astype('float32') for i in range(4)]

    def dropped(x, rate, mask):
        assert 0 <= rate <= 1
        keep = 1 - rate
        if keep == 0:
            return x.zeros_like()
        return (nd.array(mask) < keep) * x / keep

    x, y = nd.array(draw(3, 4, 5)), nd.array(draw(4, 4, 1))
    w1, w2, w3 = nd.array(draw(5, 5, 5)), nd.array(draw(6, 5, 5)), nd.array(draw(7, 5, 1))
    for w in (w1, w2, w3):
        w.attach_grad()

    def net(x, step):
        hidden = (nd.dot(x, w1)).relu()
        if autograd.is_training():
            hidden = dropped(hidden, 0.2, masks[2 * step])
        hidden = nd.dot(hidden, w2).relu()
        if autograd.is_training():
            hidden = dropped(hidden, 0.5, masks[2 * step + 1])
        return nd.dot(hidden, w3)

    losses = []
    for step in range(2):
        with autograd.record():
            value = ((net(x, step) - y) ** 2 / 2).mean()
        value.backward()
        sgd([w1, w2, w3], 0.05, 1)
        losses.append(value.asscalar())
    return numbers(losses=losses, nothing=dropped(x, 1, masks[0]), predicted=net(x, 0), w1=w1, w3=w3.grad)


def weight_decay(mx):
    """A penalty from scratch; and two Trainers, of which one decays."""
    nd, autograd, gluon = mx.nd, mx.autograd, mx.gluon
    x, y = nd.array(draw(8, 10, 6)), nd.array(draw(9, 10, 1))
    w, b = nd.array(draw(10, 6, 1)), nd.zeros(shape=(1,))
    w.attach_grad()
    b.attach_grad()
    losses = []
    for features, labels in batches(mx, 5, x, y):
        with autograd.record():
            error = (nd.dot(features, w) + b - labels.reshape((5, 1))) ** 2 / 2
            value = error + 3 * (w**2).sum() / 2
        value.backward()
        sgd([w, b], 0.1, 5)
        losses.append(value.mean().asscalar())
    net = gluon.nn.Sequential()
    net.add(gluon.nn.Dense(1, in_units=6))
    net.initialize(mx.init.Normal(sigma=1))
    net[0].weight.set_data(nd.array(draw(10, 1, 6)))
    decayed = gluon.Trainer(net.collect_params('.*weight'), 'sgd', {'learning_rate': 0.1, 'wd': 3})
    other = gluon.Trainer(net.collect_params('.*bias'), 'sgd', {'learning_rate': 0.1})
    loss = gluon.loss.L2Loss()
    for features, labels in batches(mx, 5, x, y):
        with autograd.record():
            value = loss(net(features), labels)
        value.backward()
        decayed.step(5)
        other.step(5)
    norm = net[0].weight.data().norm().asscalar()
    return numbers(losses=losses, norm=norm, w=w, b=b, weight=net[0].weight.data(), bias=net[0].bias.data())


def batch_norm(mx):
    """A layer with parameters and with arrays that are its state, which `forward` replaces."""
    nd, autograd, nn = mx.nd, mx.autograd, mx.gluon.nn

    def normalized(x, gamma, beta, moving_mean, moving_var, eps, momentum):
        if not autograd.is_training():
            scaled = (x - moving_mean) / nd.sqrt(moving_var + eps)
        else:
            assert len(x.shape) in (2, 4)
            if len(x.shape) == 2:
                mean = x.mean(axis=0)
                var = ((x - mean) ** 2).mean(axis=0)
            else:
                mean = x.mean(axis=(0, 2, 3), keepdims=True)
                var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
            scaled = (x - mean) / nd.sqrt(var + eps)
            moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
            moving_var = momentum * moving_var + (1.0 - momentum) * var
        return gamma * scaled + beta, moving_mean, moving_var

    class BatchNorm(nn.Block):
        def __init__(self, features, dims, **kwargs):
            super(BatchNorm, self).__init__(**kwargs)
            shape = (1, features) if dims == 2 else (1, features, 1, 1)
            self.gamma = self.params.get('gamma', shape=shape, init=mx.init.One())
            self.beta = self.params.get('beta', shape=shape, init=mx.init.Zero())
            self.moving_mean = nd.zeros(shape)
            self.moving_var = nd.zeros(shape)

        def forward(self, x):
            if self.moving_mean.context != x.context:
                self.moving_mean = self.moving_mean.copyto(x.context)
                self.moving_var = self.moving_var.copyto(x.context)
            y, self.moving_mean, self.moving_var = normalized(
                x, self.gamma.data(), self.beta.data(), self.moving_mean, self.moving_var, 1e-5, 0.9
            )
            return y

    net = nn.Sequential()
    net.add(nn.Conv2D(2, kernel_size=3, in_channels=1), BatchNorm(2, dims=4), nn.Activation('sigmoid'))
    net.add(nn.MaxPool2D(pool_size=2, strides=2), nn.Dense(3, in_units=8), BatchNorm(3, dims=2))
    net.initialize(mx.init.Xavier())
    net[0].weight.set_data(nd.array(draw(11, 2, 1, 3, 3)))
    net[4].weight.set_data(nd.array(draw(12, 3, 8)))
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5})
    loss, losses = mx.gluon.loss.SoftmaxCrossEntropyLoss(), []
    x, y = nd.array(draw(13, 4, 1, 6, 6)), nd.array([0, 1, 2, 0])
    for _ in range(2):
        with autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(4)
        losses.append(value.mean().asscalar())
    gamma = net[1].gamma.data().reshape((-1,))
    return numbers(losses=losses, mean=net[1].moving_mean, var=net[5].moving_var, gamma=gamma, predicted=net(x))


def convolution(mx):
    """Cross-correlation and pooling with loops that write elements; a kernel that is learned by hand."""
    nd, autograd, nn = mx.nd, mx.autograd, mx.gluon.nn

    def corr2d(x, k):
        h, w = k.shape
        y = nd.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1))
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = (x[i : i + h, j : j + w] * k).sum()
        return y

    def pool2d(x, size, mode='max'):
        y = nd.zeros((x.shape[0] - size[0] + 1, x.shape[1] - size[1] + 1))
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                part = x[i : i + size[0], j : j + size[1]]
                y[i, j] = part.max() if mode == 'max' else part.mean()
        return y

    def corr2d_multi_in(x, k):
        return nd.add_n(*[corr2d(a, b) for a, b in zip(x, k)])

    class Conv2D(nn.Block):
        def __init__(self, kernel_size, **kwargs):
            super(Conv2D, self).__init__(**kwargs)
            self.weight = self.params.get('weight', shape=kernel_size)
            self.bias = self.params.get('bias', shape=(1,))

        def forward(self, x):
            return corr2d(x, self.weight.data()) + self.bias.data()

    x = nd.ones((4, 5))
    x[:, 2:4] = 0
    edges = corr2d(x, nd.array([[1, -1]]))
    image, kernels = nd.array(draw(14, 2, 3, 3)), nd.array(draw(15, 2, 2, 2))
    many = nd.stack(*[corr2d_multi_in(image, k) for k in [kernels, kernels + 1]])
    own = Conv2D((1, 2))
    own.initialize('ones')
    learned = nn.Conv2D(1, kernel_size=(1, 2))
    learned.initialize()
    data, target, losses = x.reshape((1, 1, 4, 5)), edges.reshape((1, 1, 4, 4)), []
    learned(data)
    learned.weight.set_data(nd.array([[[[0.1, 0.2]]]]))
    for _ in range(3):
        with autograd.record():
            value = (learned(data) - target) ** 2
        value.backward()
        learned.weight.data()[:] -= 3e-2 * learned.weight.grad()
        losses.append(value.sum().asscalar())
    pooled = pool2d(image[0], (2, 2)), pool2d(image[1], (2, 2), 'avg')
    return numbers(
        edges=edges, many=many, own=own(x), losses=losses, weight=learned.weight.data(), max=pooled[0], mean=pooled[1]
    )


PROGRAMS = [mlp, dropout, weight_decay, batch_norm, convolution]
