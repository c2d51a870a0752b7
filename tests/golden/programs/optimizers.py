"""Optimizers from scratch, the Trainer with each of MXNet's, and schedules."""

import math

import numpy as np

from .common import batches, draw, numbers


def _sgd(nd, params, states, hyper):
    for p in params:
        p[:] -= hyper['lr'] * p.grad


def _momentum(nd, params, states, hyper):
    for p, v in zip(params, states):
        v[:] = hyper['momentum'] * v + hyper['lr'] * p.grad
        p[:] -= v


def _adagrad(nd, params, states, hyper):
    for p, s in zip(params, states):
        s[:] += p.grad.square()
        p[:] -= hyper['lr'] * p.grad / (s + 1e-6).sqrt()


def _rmsprop(nd, params, states, hyper):
    gamma = hyper['gamma']
    for p, s in zip(params, states):
        s[:] = gamma * s + (1 - gamma) * p.grad.square()
        p[:] -= hyper['lr'] * p.grad / (s + 1e-6).sqrt()


def _adadelta(nd, params, states, hyper):
    rho, eps = hyper['rho'], 1e-5
    for p, (s, delta) in zip(params, states):
        s[:] = rho * s + (1 - rho) * p.grad.square()
        g = ((delta + eps).sqrt() / (s + eps).sqrt()) * p.grad
        p[:] -= g
        delta[:] = rho * delta + (1 - rho) * g * g


def _adam(nd, params, states, hyper):
    beta1, beta2, eps = 0.9, 0.999, 1e-6
    for p, (v, s) in zip(params, states):
        v[:] = beta1 * v + (1 - beta1) * p.grad
        s[:] = beta2 * s + (1 - beta2) * p.grad.square()
        v_corrected = v / (1 - beta1 ** hyper['t'])
        s_corrected = s / (1 - beta2 ** hyper['t'])
        p[:] -= hyper['lr'] * v_corrected / (s_corrected.sqrt() + eps)
    hyper['t'] += 1


def from_scratch(mx):
    """Six rules, each with its states, on one regression."""
    nd, autograd = mx.nd, mx.autograd
    x, y = nd.array(draw(0, 12, 5)), nd.array(draw(1, 12))
    rules = [
        (_sgd, 0, {'lr': 0.1}),
        (_momentum, 1, {'lr': 0.05, 'momentum': 0.5}),
        (_adagrad, 1, {'lr': 0.1}),
        (_rmsprop, 1, {'lr': 0.01, 'gamma': 0.9}),
        (_adadelta, 2, {'rho': 0.9}),
        (_adam, 2, {'lr': 0.01, 't': 1}),
    ]
    answers = {}
    for rule, count, hyper in rules:
        w, b = nd.array(0.1 * draw(2, 5, 1)), nd.zeros(1)
        sizes = ((5, 1), 1)
        states = [None, None]
        if count == 1:
            states = [nd.zeros(size) for size in sizes]
        elif count == 2:
            states = [(nd.zeros(size), nd.zeros(size)) for size in sizes]
        w.attach_grad()
        b.attach_grad()
        losses = []
        for features, labels in batches(mx, 6, x, y):
            with autograd.record():
                value = ((nd.dot(features, w) + b - labels.reshape((-1, 1))) ** 2 / 2).mean()
            value.backward()
            rule(nd, [w, b], states, hyper)
            losses.append(value.asscalar())
        answers.update({rule.__name__ + ' losses': losses, rule.__name__ + ' w': w, rule.__name__ + ' b': b})
    return numbers(**answers)


def descents(mx):
    """Python's numbers and small functions: descents in one dimension and in two."""
    nd = mx.nd

    def train_2d(trainer):
        x1, x2, s1, s2 = -5, -2, 0, 0
        results = [(x1, x2)]
        for _ in range(5):
            x1, x2, s1, s2 = trainer(x1, x2, s1, s2)
            results.append((x1, x2))
        return results

    def momentum_2d(x1, x2, v1, v2):
        v1 = 0.5 * v1 + 0.4 * 0.2 * x1
        v2 = 0.5 * v2 + 0.4 * 4 * x2
        return x1 - v1, x2 - v2, v1, v2

    def adagrad_2d(x1, x2, s1, s2):
        g1, g2, eps = 0.2 * x1, 4 * x2, 1e-6
        s1 += g1**2
        s2 += g2**2
        return x1 - 2 / math.sqrt(s1 + eps) * g1, x2 - 2 / math.sqrt(s2 + eps) * g2, s1, s2

    x = nd.array([3.0])
    x.attach_grad()
    path = []
    for _ in range(4):
        with mx.autograd.record():
            y = x * nd.cos(math.pi * x)
        y.backward()
        x -= 0.05 * x.grad
        path.append(x.asscalar())
    grid1, grid2 = nd.arange(-2, 1, 1), nd.array(np.arange(-1.0, 2.0, 1.0))
    surface = 0.1 * grid1.expand_dims(1) ** 2 + 2 * grid2.expand_dims(0) ** 2
    return numbers(momentum=train_2d(momentum_2d), adagrad=train_2d(adagrad_2d), path=path, surface=surface)


TRAINERS = [
    ('sgd', {'learning_rate': 0.1, 'momentum': 0.9, 'wd': 0.01}),
    ('nag', {'learning_rate': 0.1, 'momentum': 0.9}),
    ('adagrad', {'learning_rate': 0.1}),
    ('rmsprop', {'learning_rate': 0.01, 'gamma1': 0.9}),
    ('rmsprop', {'learning_rate': 0.01, 'gamma1': 0.9, 'gamma2': 0.8, 'centered': True}),
    ('adadelta', {'rho': 0.9}),
    ('adam', {'learning_rate': 0.01, 'beta1': 0.8, 'wd': 0.1}),
    ('adamax', {'learning_rate': 0.01}),
    ('ftrl', {'learning_rate': 0.1}),
    ('signum', {'learning_rate': 0.01}),
    ('ftml', {'learning_rate': 0.01}),
    ('lamb', {'learning_rate': 0.01}),
    ('dcasgd', {'learning_rate': 0.1}),
]


def trainers(mx):
    """The Trainer with many optimizers; gradients that are rescaled and clipped."""
    x, y = mx.nd.array(draw(3, 6, 5)), mx.nd.array(draw(4, 6, 1))
    loss, answers = mx.gluon.loss.L2Loss(), {}
    for i, (name, options) in enumerate(TRAINERS):
        net = mx.gluon.nn.Dense(1, in_units=5)
        net.initialize()
        net.weight.set_data(mx.nd.array(draw(5, 1, 5)))
        trainer = mx.gluon.Trainer(net.collect_params(), name, dict(options, clip_gradient=0.5))
        for _ in range(2):
            with mx.autograd.record():
                value = loss(net(x), y)
            value.backward()
            trainer.step(len(x))
        answers['{} {}'.format(name, i)] = mx.nd.concat(net.weight.data(), net.bias.data().expand_dims(0), dim=1)
    return numbers(**answers)


def schedules(mx):
    """Schedules of the library and of one's own, by hand and in a Trainer."""
    schedulers = mx.lr_scheduler

    class SquareRoot(object):
        def __init__(self, lr):
            self.base_lr = lr

        def __call__(self, num_update):
            return self.base_lr * pow(num_update + 1.0, -0.5)

    made = {
        'own': SquareRoot(0.1),
        'factor': schedulers.FactorScheduler(step=2, factor=0.9, stop_factor_lr=1e-2, base_lr=2.0),
        'steps': schedulers.MultiFactorScheduler(step=[3, 6], factor=0.5, base_lr=0.5),
        'poly': schedulers.PolyScheduler(max_update=8, base_lr=0.3, pwr=2, final_lr=0.01),
        'cosine': schedulers.CosineScheduler(max_update=8, base_lr=0.3, final_lr=0.01),
        'warm': schedulers.CosineScheduler(8, warmup_steps=3, base_lr=0.3, final_lr=0.01),
    }
    answers = {name: [scheduler(t) for t in range(1, 11)] for name, scheduler in made.items()}
    rates = {
        'factor': lambda: schedulers.FactorScheduler(step=2, factor=0.5, base_lr=0.4),
        'steps': lambda: schedulers.MultiFactorScheduler(step=[1, 3], factor=0.1, base_lr=0.4),
        'own': lambda: SquareRoot(0.4),
    }
    for name, scheduler in rates.items():
        w = mx.gluon.Parameter('w', shape=(2,))
        w.initialize('ones')
        trainer = mx.gluon.Trainer([w], 'sgd', {'lr_scheduler': scheduler(), 'learning_rate': 0.4})
        values, seen = [], []
        for _ in range(4):
            with mx.autograd.record():
                value = (w.data() ** 2).sum()
            value.backward()
            trainer.step(1)
            values.append(w.data().asnumpy()[0])
            seen.append(trainer.learning_rate)
        answers['trained ' + name], answers['seen ' + name] = values, seen
    return numbers(**answers)


PROGRAMS = [from_scratch, descents, trainers, schedules]
