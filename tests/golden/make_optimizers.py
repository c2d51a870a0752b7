"""Records how MXNet's own optimizers train a network: `optimizers.npz` and `optimizers.json`.

Runs in the environment that `make_golden.py` describes:

    mxnet-env/bin/python tests/golden/make_optimizers.py

The network is Dense (tanh), BatchNorm, Dense; softmax cross-entropy; a new batch in each step; Gluon's Trainer.
`optimizers.npz` has what goes in, `x` (step, sample, input), `y` (step, sample) and `start/NAME`, the parameters; and
for the cases of `optimizer_cases.py`, whose names are in `cases`, `losses`, the mean loss before each step (case,
step), and `params`, all parameters after the steps in RECORDED, flat and in the order of the starts (case, step,
number). `rates/SCHEDULER` has the rates of each scheduler for the numbers in UPDATES.

`optimizers.json` has each class's constructor arguments as in `layers.json`, and what belongs to no case.
"""
import os
import pathlib
import re

# LARS corrects the momentum only in the first group of parameters that it updates together: let that be all.
os.environ['MXNET_OPTIMIZER_AGGREGATION_SIZE'] = '45'

from make_golden import draw, error, signature, write_json

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, lr_scheduler, nd

from optimizer_cases import BATCH, CLASSES, HIDDEN, INPUTS, OPTIMIZERS, RECORDED, SCHEDULERS, STEPS, UPDATES

HERE = pathlib.Path(__file__).parent
X = draw('optimizers/x', (STEPS, BATCH, INPUTS))
Y = np.random.RandomState(7).randint(0, CLASSES, (STEPS, BATCH)).astype('int32')


@mx.optimizer.register
class AdamW(mx.optimizer.Optimizer):
    """MXNet 1.9.1 has the operator without the class; this calls it as the class of MXNet 2.0 does."""

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-6, correct_bias=True, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.correct_bias = beta1, beta2, epsilon, correct_bias

    def create_state(self, index, weight):
        return nd.zeros(weight.shape), nd.zeros(weight.shape)

    def update(self, index, weight, grad, state):
        self._update_count(index)
        t = self._index_update_count[index]
        factor = (1 - self.beta2**t)**0.5 / (1 - self.beta1**t) if self.correct_bias else 1
        nd.contrib.adamw_update(
            weight, grad, *state, rescale_grad=self.rescale_grad, lr=1, eta=self._get_lr(index) * factor,
            wd=self._get_wd(index), beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon,
            clip_gradient=self.clip_gradient or -1, out=weight)


@mx.optimizer.register
class OutOfPlaceNAG(mx.optimizer.NAG):
    """MXNet calls its operator in place, where the momentum is decayed by the new weight instead of the old one."""

    def _update_impl(self, index, weight, grad, state, multi_precision=False):
        self._update_count(index)
        nd.nag_mom_update(
            weight.copy(), grad, state, out=weight, lr=self._get_lr(index), wd=self._get_wd(index),
            momentum=self.momentum, rescale_grad=self.rescale_grad, clip_gradient=self.clip_gradient or -1)


def network():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(HIDDEN, activation='tanh', in_units=INPUTS), gluon.nn.BatchNorm(in_channels=HIDDEN),
            gluon.nn.Dense(CLASSES, in_units=HIDDEN))
    net.initialize()
    params = net._collect_params_with_prefix()
    for name, value in start(params).items():
        params[name].set_data(nd.array(value))
    return net, params


def start(params):
    return {name: draw('optimizers/' + name, p.shape) * 0.5 + ('gamma' in name) for name, p in params.items()}


def make_scheduler(scheduler):
    return getattr(lr_scheduler, scheduler.cls)(**scheduler.kwargs)


def make_trainers(case, params):
    trained = [name for name in params if re.match(case.trained, name) and params[name].grad_req != 'null']
    options = dict(case.options)
    if case.scheduler:
        options['lr_scheduler'] = make_scheduler(case.scheduler)
    for name, factor in case.lr_mult.items():
        params[name].lr_mult = factor
    for name, factor in case.wd_mult.items():
        params[name].wd_mult = factor
    groups = [[name] for name in trained] if case.one_by_one else [trained]
    if case.named:
        options['param_idx2name'] = dict(enumerate(trained))
    # With names MXNet would not decay biases, but for a Trainer what its parameters say counts.
    name = 'outofplacenag' if case.optimizer == 'nag' and case.options.get('momentum') else case.optimizer
    optimizers = [mx.optimizer.create(name, **options) for _ in groups]
    return [gluon.Trainer([params[name] for name in group], optimizer, kvstore=None)
            for group, optimizer in zip(groups, optimizers)]


def record(case):
    net, params = network()
    trainers = make_trainers(case, params)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    losses, rows = [], []
    for step in range(1, STEPS + 1):
        for trainer in trainers:
            if step in case.rates:
                trainer.set_learning_rate(case.rates[step])
        with autograd.record():
            value = loss(net(nd.array(X[step - 1])), nd.array(Y[step - 1]))
        value.backward()
        for trainer in trainers:
            trainer.step(BATCH)
        losses.append(value.mean().asscalar())
        if step in RECORDED:
            nd.waitall()
            rows.append(np.concatenate([p.data().asnumpy().ravel() for p in params.values()]))
    assert np.isfinite(rows).all(), case.name
    return losses, rows


def one_update(name, weight, grad, number=1, **options):
    """What becomes of one parameter."""
    weight, grad = nd.array(weight), nd.array(grad)
    updater = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
    for _ in range(number):
        updater(0, grad.copy(), weight)
    return [str(value) for value in weight.asnumpy().ravel()]


def several_updates(name, count, **options):
    """What becomes of `count` equal parameters."""
    weights = [nd.array([1.]) for _ in range(count)]
    updater = mx.optimizer.get_updater(mx.optimizer.create(name, **options))
    for i, weight in enumerate(weights):
        updater(i, nd.array([0.5]), weight)
    return [str(weight.asscalar()) for weight in weights]


def notes():
    return {
        'adamax_of_zero': one_update('adamax', [1.], [0.]),
        'dcasgd_momentum': error(lambda: one_update('dcasgd', [1., 2.], [1., 1.], momentum=0.9)),
        'nag_in_place': one_update('nag', [1.], [0.3], 2, learning_rate=0.1, momentum=0.9, wd=0.5),
        'nadam_of_several': several_updates('nadam', 3, learning_rate=0.1),
        'signum_wd_lh_without_momentum': error(
            lambda: one_update('signum', [1., 2.], [1., 1.], momentum=0., wd_lh=0.1)),
        'ftml_without_rate': one_update('ftml', [1.], [1.], learning_rate=0.),
        'groupadagrad_vector': error(lambda: one_update('groupadagrad', [1.], [1.])),
        'unknown': error(lambda: mx.optimizer.create('nothing')),
        'set_learning_rate_with_scheduler': error(lambda: mx.optimizer.SGD(
            lr_scheduler=lr_scheduler.FactorScheduler(1)).set_learning_rate(1.)),
    }


def main():
    assert mx.__version__ == '1.9.1', mx.__version__
    _, params = network()
    arrays = {'x': X, 'y': Y, **{'start/' + name: value.astype('float32') for name, value in start(params).items()}}
    losses, rows = zip(*map(record, OPTIMIZERS))
    arrays.update(cases=[case.name for case in OPTIMIZERS], losses=np.array(losses, 'float32'), params=np.array(rows))
    for name, scheduler in SCHEDULERS.items():
        made = make_scheduler(scheduler)
        arrays['rates/' + name] = np.array([made(t) for t in UPDATES])
    np.savez_compressed(HERE / 'optimizers.npz', **arrays)
    names = sorted(set(mx.optimizer.Optimizer.opt_registry) - {'adamw', 'outofplacenag'})
    write_json(HERE / 'optimizers.json', {
        'mxnet': mx.__version__, 'names': names,
        'base': signature(mx.optimizer.Optimizer),
        'signatures': {name: signature(mx.optimizer.Optimizer.opt_registry[name]) for name in names},
        'schedulers': {cls: signature(getattr(lr_scheduler, cls)) for cls in [
            'LRScheduler', 'FactorScheduler', 'MultiFactorScheduler', 'PolyScheduler', 'CosineScheduler']},
        'notes': notes()})


if __name__ == '__main__':
    main()
