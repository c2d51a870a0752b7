"""A model of MXNet's zoo (Python 3.8): for every line that comes in, the seconds of a run or a step go out."""

import sys
import time

from mxnet import autograd, gluon, init, nd
from mxnet.gluon.model_zoo.vision import get_model


def inference(net, x):
    return lambda: net(x).wait_to_read()


def training(net, x):
    labels = nd.arange(len(x)) % 10
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01})

    def step():
        with autograd.record():
            value = loss(net(x), labels)
        value.backward()
        trainer.step(len(x))
        value.mean().asscalar()
        nd.waitall()

    return step


def main(model, kind, batch, size, clock):
    net = get_model(model)
    net.initialize(init.Xavier())
    net.hybridize(static_alloc=True, static_shape=True)
    run = {'inference': inference, 'training': training}[kind](net, nd.random.normal(shape=(batch, 3, size, size)))
    run(), run()
    for _ in sys.stdin:
        start = clock()
        run()
        print(clock() - start, flush=True)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), getattr(time, sys.argv[5]))
