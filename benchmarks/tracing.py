"""How long does JAX take to trace and lower ResNet-50, beside the same network by hand on the same params?

`jax.jit(apply).lower(params, x)` of inference on one image; every cache of JAX's is cleared before each measurement.
"""

import time

import _peers
import jax
from _models import IMAGE, ResNet50, agree, resnet50_by_hand
from _timing import available, report, time_each

BY_HAND = 'raw JAX'
ROUNDS = 15


def lowering(function, *arguments):
    """A measurement: seconds to trace and lower from nothing."""

    def measure() -> float:
        jax.clear_caches()
        start = time.perf_counter()
        jax.jit(function).lower(*arguments)
        return time.perf_counter() - start

    return measure


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
