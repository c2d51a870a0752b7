"""How long is a training step of a small convolution network on CPU, beside hand-written JAX, PyTorch and MXNet?

Forward, cross-entropy, gradient and an SGD update: LeNet (tanh) on 64 images of 28x28, and ResNet-18 with CIFAR's stem
(a 3x3 convolution without stride, no pooling) on 8 of 32x32. JAX's steps are jitted and donate their parameters; the
hand-written ones use lax's convolution and maximum. PyTorch is eager, with a thread for each core that the process may
use (`taskset -c 0` leaves one). MXNet is hybridized and runs in the interpreter that MXNET_PYTHON names. Name networks
as arguments to run only these.

XLA asks for the memory of its intermediate values anew at every step, 93 MB for ResNet-18, and the kernel fills each
page with zeros. With GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in the environment these are pages of 2 MB, not of 4 kB.
"""

import sys
import time

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import _training as models  # noqa: E402
from _timing import available, in_mxnet, report, time_each  # noqa: E402

RATE = 0.01
ROUNDS = {'LeNet': 40, 'ResNet-18': 12}
STEPS = {'LeNet': 10, 'ResNet-18': 1}


def timed(step, steps):
    """A function that gives the seconds of a step, once warm."""
    step(), step()

    def measure():
        step()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - start) / steps

    return measure


def jax_step(loss, params, trainable, x, labels):
    """A step of plain SGD; `loss` gives the new running statistics with the loss."""

    def update(params):
        (value, new), gradient = jax.value_and_grad(loss, has_aux=True)(params, x, labels)
        changed = jax.tree.map(lambda on, new, d: new - RATE * d if on else new, trainable, new, gradient)
        return changed, value

    step, state = jax.jit(update, donate_argnums=0), [jax.tree.map(lambda leaf: leaf.copy(), params)]

    def run():
        state[0], value = step(state[0])
        return float(value)

    return run


def compare(name):
    layer, by_hand, shape = models.NETWORKS[name]
    x = jax.random.normal(jax.random.key(1), shape)
    labels = jax.numpy.arange(shape[0]) % 10
    params = layer.init(jax.random.key(0), x, init='xavier')
    trainable = layer.trainable(params)
    ours, hand = models.losses(layer, by_hand)
    first = [jax.jit(loss)(params, x, labels)[0] for loss in (ours, hand)]
    assert abs(first[0] - first[1]) < 1e-4 * abs(first[1]), first
    steps = {
        'hand-written JAX': lambda: jax_step(hand, params, trainable, x, labels),
        'gluonjax': lambda: jax_step(ours, params, trainable, x, labels),
        'torch': lambda: models.torch_step(name, shape, RATE),
    }
    measurements = {key: timed(step, STEPS[name]) for key, step in available(steps).items()}
    if peer := in_mxnet('_mxnet_training.py', name, str(STEPS[name])):
        measurements['MXNet'] = peer
    report(f'{name}, {shape}', time_each(measurements, ROUNDS[name]), base='hand-written JAX', unit='ms')


if __name__ == '__main__':
    for network in sys.argv[1:] or ROUNDS:
        compare(network)
