"""What does `trainer.step` cost, beside a hand-written, donated `jax.jit` step with optax and beside other libraries?

Forward, softmax cross-entropy, gradient and update: an MLP 20-256-10 and 24 layers of width 64 at batch 2, where much
of a step is Python, and LeNet on 64 images. Then `fit` beside the bare loop of `step`. Each step waits for its result;
with the argument `async` dispatch is asynchronous, and only the last of a hundred is waited for. Then steps between
which one bias is read. Name what to run: mlp, deep, deep-adam, lenet, fit, read.
"""

import functools
import sys
import time

import _peers
import jax
import jax.numpy as jnp
import numpy as np
from _models import mlp, mlp_by_hand
from _timing import available, report, time_each, time_statements
from _training import NETWORKS

from gluonjax import Trainer, loss, nn

ROUNDS = 60
BY_HAND = 'by hand, donated'
MLPS = {'mlp': (20, (256, 10), 'sgd'), 'deep': (64, (64,) * 24, 'sgd'), 'deep-adam': (64, (64,) * 24, 'adam')}
RATES = {'sgd': {'learning_rate': 0.01}, 'adam': {'learning_rate': 0.001}}
STEPS = 100  # of a sample with asynchronous dispatch
EPOCH = 1000  # steps of an epoch of fit


def network(widths, x):
    net = mlp(*widths)
    net.initialize('xavier', key=0)
    net(x)
    return net


def trainer(widths, x, optimizer, rates=None):
    return Trainer(network(widths, x), loss.SoftmaxCELoss(), optimizer, rates, key=0)


def time_steps(title, runs, batch, is_async):
    if not is_async:
        names = {'wait': jax.block_until_ready, 'batch': batch}
        statements = {name: ('wait(run(*batch))', {**names, 'run': run}) for name, run in runs.items()}
        return report(title, time_statements(statements, ROUNDS), base=BY_HAND)
    statement = f'for _ in range({STEPS}): value = run(*batch)\nwait(value)'
    names = {'wait': jax.block_until_ready, 'batch': batch}
    statements = {name: (statement, {**names, 'run': run}) for name, run in runs.items()}
    samples = time_statements(statements, ROUNDS // 4)
    samples = {name: [value / STEPS for value in values] for name, values in samples.items()}
    return report(f'{title}, asynchronous', samples, base=BY_HAND)


def compare_mlps(which, is_async):
    inputs, widths, name = MLPS[which]
    x = jax.random.normal(jax.random.key(1), (2, inputs))
    params = network(widths, x).params
    runs = {
        BY_HAND: _peers.pure_step(mlp_by_hand, params, name, donate_argnums=(0, 1)),
        'by hand, not donated': _peers.pure_step(mlp_by_hand, params, name),
        'gluonjax, optax': trainer(widths, x, _peers.optax_of(name)).step,
        f'gluonjax, {name!r}': trainer(widths, x, name, RATES[name]).step,
    }
    peers = {key: functools.partial(make, inputs, widths, x, name) for key, make in _peers.STEPS.items()}
    time_steps(f'{which}: {inputs} to {widths}, {name}', {**runs, **available(peers)}, (x, jnp.arange(2)), is_async)


def compare_lenet(is_async):
    layer, by_hand, shape = NETWORKS['LeNet']
    batch = jax.random.normal(jax.random.key(1), shape), jnp.arange(shape[0]) % 10
    params = layer.init(0, batch[0], init='xavier')
    net = nn.Sequential(layer)
    net.initialize('xavier', key=0)
    runs = {
        BY_HAND: _peers.pure_step(lambda p, x: by_hand(p, x)[0], params, 'sgd', donate_argnums=(0, 1)),
        'by hand with our layers, donated': _peers.pure_step(layer.apply, params, 'sgd', donate_argnums=(0, 1)),
        'gluonjax, optax': Trainer(net, loss.SoftmaxCELoss(), _peers.optax_of('sgd'), key=0).step,
    }
    time_steps(f'LeNet, {shape}, sgd', runs, batch, is_async)


def compare_fit(which):
    """An epoch of `fit` and the same steps in a loop."""
    inputs, widths, name = MLPS[which]
    random = np.random.RandomState(0)
    batches = [(random.standard_normal((2, inputs)).astype('float32'), np.arange(2)) for _ in range(EPOCH)]
    looped, fitted, shown = (trainer(widths, batches[0][0], name, RATES[name]) for _ in range(3))

    def loop():
        for batch in batches:
            value = looped.step(*batch)
        jax.block_until_ready(value)

    measurements = {
        BY_HAND: loop,
        'fit': lambda: fitted.fit(batches, progress=False),
        'fit, with progress': lambda: shown.fit(batches),
    }

    def seconds(run):
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) / EPOCH

    for run in measurements.values():
        run()
    samples = time_each({name: functools.partial(seconds, run) for name, run in measurements.items()}, ROUNDS // 3)
    samples['the bare loop of step'] = samples.pop(BY_HAND)
    report(f'fit of {which}, {EPOCH} steps an epoch', samples, base='the bare loop of step')


def compare_reading():
    """A step, and a step after which one bias is read: 50 small layers with SGD, and two large ones with Adam."""
    for title, widths, name in (('50 layers of 64', (64,) * 50, 'sgd'), ('two layers of 1500', (1500, 1500), 'adam')):
        x, y = jax.random.normal(jax.random.key(1), (2, widths[0])), jnp.arange(2)
        bare, read = (trainer(widths, x, name, RATES[name]) for _ in range(2))

        def reading(x, y, trainer=read):
            value = trainer.step(x, y)
            trainer.net[0].bias.data()
            return value

        names = {'wait': jax.block_until_ready, 'batch': (x, y)}
        runs = {BY_HAND: bare.step, 'with a bias read': reading}
        statements = {key: ('wait(run(*batch))', {**names, 'run': run}) for key, run in runs.items()}
        samples = time_statements(statements, ROUNDS)
        samples['the bare step'] = samples.pop(BY_HAND)
        report(f'{title}, {name}', samples, base='the bare step')


if __name__ == '__main__':
    words = set(sys.argv[1:])
    is_async = 'async' in words
    jax.config.update('jax_cpu_enable_async_dispatch', is_async)
    chosen = words - {'async'} or {*MLPS, 'lenet', 'fit', 'read'}
    for which in MLPS:
        if which in chosen:
            compare_mlps(which, is_async)
    if 'lenet' in chosen:
        compare_lenet(is_async)
    if 'fit' in chosen:
        compare_fit('mlp')
        compare_fit('deep')
    if 'read' in chosen:
        compare_reading()
