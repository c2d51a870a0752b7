"""How long does JAX take to trace and lower ResNet-50, beside the same network by hand on the same params?

`jax.jit(apply).lower(params, x)` of inference on one image; every cache of JAX's is cleared before each measurement.
Then training steps in bfloat16, those of accelerator.py: of GPT-2 small and ResNet-50, as `make_step` gives them. Time
is that of the processor, as there is one thread. At last the first step as users wait for it, by `trainer.step` beside
the step by hand: tracing, lowering, XLA, and what a Trainer prepares; time of all threads.
"""

import time

import _accelerated
import _peers
import jax
from _models import IMAGE, ResNet50, agree, resnet50_by_hand
from _timing import available, report, time_each
from accelerator import SIZES

from gluonjax import loss, make_step

BY_HAND = 'raw JAX'
ROUNDS, ROUNDS_OF_STEPS, ROUNDS_OF_FIRST_STEPS = 15, 5, 2
GPT2 = SIZES['GPT-2'][0] | {'vocabulary': 1000, 'batch': 1, 'length': 64}  # small batches cost as much to trace
RESNET = SIZES['ResNet'][0] | {'batch': 2, 'size': 64, 'layout': 'NCHW'}
FIRST_STEPS = {  # what makes a step by hand, and ours, which is a Trainer's
    'GPT-2 small': (_accelerated.gpt2_by_hand, _accelerated.gpt2, GPT2),
    'ResNet-50': (_accelerated.resnet_by_hand, _accelerated.resnet, RESNET),
}


def lowering(function, *arguments):
    """A measurement: seconds to trace and lower from nothing."""

    def measure() -> float:
        jax.clear_caches()
        start = time.process_time()
        jax.jit(function).lower(*arguments)
        return time.process_time() - start

    return measure


def first_step(maker, sizes):
    """A measurement: seconds of a first step from nothing.

    By hand, values and the optimizer's state are made before; ours are drawn and made in the first step.
    """

    def measure() -> float:
        step = maker(**sizes)
        jax.clear_caches()
        start = time.process_time()
        jax.block_until_ready(step())
        return time.process_time() - start

    return measure


def steps():
    """For each work: a title, the step by hand, and ours."""
    gpt2, resnet = GPT2, RESNET
    tokens = _accelerated.tokens(gpt2['vocabulary'], gpt2['batch'], gpt2['length'])
    images = _accelerated.images(resnet['batch'], resnet['size'], resnet['classes'], channels_last=False)
    rate = {'learning_rate': _accelerated.RATE}
    sizes = {name: size for name, size in gpt2.items() if name != 'batch'}
    plain, repeated = (_accelerated.GPT2(**sizes, repeat=repeat, factors=False) for repeat in (False, True))
    network = _accelerated.ResNet(resnet['stages'], resnet['classes'], 'NCHW')
    yield (
        'GPT-2 small, a training step',
        _accelerated.gpt2_by_hand(**gpt2),
        {'gluonjax': (plain, 'adamw', rate, tokens), 'gluonjax, Repeat': (repeated, 'adamw', rate, tokens)},
    )
    yield (
        'ResNet-50, a training step',
        _accelerated.resnet_by_hand(**resnet),
        {'gluonjax': (network, 'sgd', rate | {'momentum': 0.9}, images)},
    )


def of_step(layer, optimizer, options, batch):
    step = make_step(layer, loss.SoftmaxCrossEntropyLoss(), optimizer, options, precision='bfloat16')
    return lowering(step, step.init(0, batch), batch)


if __name__ == '__main__':
    net = ResNet50()
    params = net.init(0, IMAGE, init='xavier')
    x = jax.random.normal(jax.random.key(1), IMAGE.shape)
    agree(jax.jit(net.apply)(params, x), jax.jit(resnet50_by_hand)(params, x))
    measurements = {
        BY_HAND: lowering(resnet50_by_hand, params, x),
        'gluonjax': lowering(net.apply, params, x),
    }
    peers = {name: lambda make=make: lowering(*make()) for name, make in _peers.LOWERINGS.items()}
    measurements |= available(peers)
    for measure in measurements.values():
        measure()
    report('ResNet-50, trace and lower', time_each(measurements, ROUNDS), base=BY_HAND, unit='ms')
    for title, run, ours in steps():
        measurements = {BY_HAND: lowering(run.step, *run.arguments)}
        measurements |= {name: of_step(*given) for name, given in ours.items()}
        report(f'{title}, trace and lower', time_each(measurements, ROUNDS_OF_STEPS), base=BY_HAND, unit='ms')
    for title, (by_hand, ours, sizes) in FIRST_STEPS.items():
        measurements = {BY_HAND: first_step(by_hand, sizes), 'gluonjax': first_step(ours, sizes)}
        samples = time_each(measurements, ROUNDS_OF_FIRST_STEPS)
        report(f'{title}, the first step of all', samples, base=BY_HAND, unit='s')
