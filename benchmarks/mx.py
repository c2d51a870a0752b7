"""How long is a step of a Gluon training loop (record, backward, Trainer.step) in gluonjax.mx, beside MXNet?

One source for both (`_tape.py`): an MLP 20-256-10 on 64 samples, LeNet (tanh) on 64 images of 28x28, and a language
model (embedding, LSTM of 64 units, Dense) on 32 sequences of 16 of 100 words; hybridized or not, plain SGD. The loss is
read after each sample of some steps. `Trainer.step` is the same step in gluonjax's own way, one program. MXNet runs in
the interpreter that MXNET_PYTHON names. Name networks as arguments to run only these.
"""

import sys
import time

import _tape as tape
from _timing import in_mxnet, report, time_each

import gluonjax.mx as mx
from gluonjax import Trainer, loss, nn, rnn

ROUNDS = {'MLP': 40, 'LeNet': 30, 'LSTM': 30}


def native(name):
    """The step as `gluonjax.Trainer` has it."""
    if name == 'LSTM':
        net = nn.Sequential(nn.Embedding(100, 32), rnn.LSTM(64), nn.Dense(100, flatten=False))
    elif name == 'MLP':
        net = nn.Sequential(nn.Dense(256, activation='relu'), nn.Dense(10))
    else:
        conv, pool = (lambda n: nn.Conv2D(n, 5, activation='tanh')), nn.MaxPool2D(2, 2)
        net = nn.Sequential(conv(20), pool, conv(50), pool, nn.Dense(500, activation='tanh'), nn.Dense(10))
    shape = tape.NETWORKS[name](mx.gluon)[1]
    x, labels, _ = tape.data(mx, name, shape)
    x, labels = x.value, labels.value
    net.initialize(init='xavier')
    net(x)
    trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), optimizer='sgd', optimizer_params={'learning_rate': 0.01})

    def measure():
        trainer.step(x, labels)
        start = time.perf_counter()
        for _ in range(tape.STEPS[name]):
            value = trainer.step(x, labels)
        float(value)
        return (time.perf_counter() - start) / tape.STEPS[name]

    measure()
    return measure


def compare(name):
    measurements = {'gluonjax Trainer.step': native(name)}
    for way in ('hybridized', 'op by op'):
        measurements[f'gluonjax.mx {way}'] = tape.measurement(mx, name, way == 'hybridized')
        if peer := in_mxnet('_tape.py', name, way):
            measurements[f'MXNet {way}'] = peer
    base = 'MXNet hybridized' if 'MXNet hybridized' in measurements else 'gluonjax.mx hybridized'
    report(f'a step of {name}', time_each(measurements, ROUNDS[name]), base=base)


if __name__ == '__main__':
    for network in sys.argv[1:] or ROUNDS:
        compare(network)
