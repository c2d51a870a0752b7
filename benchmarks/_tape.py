"""The training loops of mx.py, one source for MXNet and gluonjax.mx.

Run as a script, in MXNet (Python 3.8): for every line that comes in, the seconds of a step go out.
"""

import sys
import time


def mlp(gluon):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(256, activation='relu'), gluon.nn.Dense(10))
    return net, (64, 20)


def lenet(gluon):
    nn, net = gluon.nn, gluon.nn.HybridSequential()
    net.add(nn.Conv2D(20, 5, activation='tanh'), nn.MaxPool2D(2, 2), nn.Conv2D(50, 5, activation='tanh'))
    net.add(nn.MaxPool2D(2, 2), nn.Dense(500, activation='tanh'), nn.Dense(10))
    return net, (64, 1, 28, 28)


def lstm(gluon):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Embedding(100, 32), gluon.rnn.LSTM(64), gluon.nn.Dense(100, flatten=False))
    return net, (16, 32)  # time, batch


NETWORKS = {'MLP': mlp, 'LeNet': lenet, 'LSTM': lstm}
STEPS = {'MLP': 60, 'LeNet': 8, 'LSTM': 20}  # of one sample


def data(mx, name, shape):
    """Inputs, labels, and how many samples they are."""
    if name == 'LSTM':
        tokens = mx.nd.arange(shape[0] * shape[1]).reshape(shape) * 7 % 100
        return tokens, (tokens + 1) % 100, shape[1]
    return mx.nd.random.normal(shape=shape), mx.nd.arange(shape[0]) % 10, shape[0]


def measurement(mx, name, hybridized):
    """A function that runs some steps, and gives the seconds of one."""
    mx.random.seed(1)
    net, shape = NETWORKS[name](mx.gluon)
    net.initialize(mx.init.Xavier())
    if hybridized:
        net.hybridize()
    x, labels, batch = data(mx, name, shape)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01})

    def step():
        with mx.autograd.record():
            value = loss(net(x), labels)
        value.backward()
        trainer.step(batch)
        return value

    def measure():
        step().mean().asscalar()
        start = time.perf_counter()
        for _ in range(STEPS[name]):
            value = step()
        value.mean().asscalar()
        mx.nd.waitall()
        return (time.perf_counter() - start) / STEPS[name]

    measure()
    return measure


if __name__ == '__main__':
    import mxnet

    run = measurement(mxnet, sys.argv[1], sys.argv[2] == 'hybridized')
    for _ in sys.stdin:
        print(run(), flush=True)
