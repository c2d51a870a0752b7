"""Which algorithm for a convolution is fastest on this CPU: for its output, the gradient of its input, of its weight?

Every algorithm of gluonjax/nn/convolutions.py on the shapes of LeNet and ResNet-18 (CIFAR's stem) and others, with
channels first; output and each gradient are programs of their own. PyTorch joins in where it is installed. A star marks
what gluonjax chooses. Name shapes as arguments to run only these.
"""

import os
import sys

import jax

jax.config.update('jax_cpu_enable_async_dispatch', False)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _models import agree  # noqa: E402
from _timing import available, print_table, time_statements  # noqa: E402

from gluonjax.nn import kernels  # noqa: E402

ROUNDS = 15
PARTS = 'output', 'input', 'weight'
# Images, input channels, their height and width, output channels, kernel, stride, padding, groups.
SHAPES = {
    'LeNet 1': (64, 1, 28, 20, 5, 1, 0, 1),
    'LeNet 2': (64, 20, 12, 50, 5, 1, 0, 1),
    'stem': (8, 3, 32, 64, 3, 1, 1, 1),
    '64': (8, 64, 32, 64, 3, 1, 1, 1),
    '128': (8, 128, 16, 128, 3, 1, 1, 1),
    '256': (8, 256, 8, 256, 3, 1, 1, 1),
    '512': (8, 512, 4, 512, 3, 1, 1, 1),
    '64 to 128': (8, 64, 32, 128, 3, 2, 1, 1),
    '256 to 512': (8, 256, 8, 512, 3, 2, 1, 1),
    '1x1, 64 to 128': (8, 64, 32, 128, 1, 2, 0, 1),
    '1x1, 256 to 512': (8, 256, 8, 512, 1, 2, 0, 1),
    'ImageNet stem': (4, 3, 224, 64, 7, 2, 3, 1),
    '64 at 56': (4, 64, 56, 64, 3, 1, 1, 1),
    '256 at 14': (4, 256, 14, 256, 3, 1, 1, 1),
    '1x1, 64 to 256': (4, 64, 56, 256, 1, 1, 0, 1),
    'one image': (1, 64, 32, 64, 3, 1, 1, 1),
    '16 at 32': (32, 16, 32, 16, 3, 1, 1, 1),
    '8 to 4': (16, 8, 28, 4, 3, 1, 1, 1),
    'LeNet 3x3': (64, 32, 14, 64, 3, 1, 1, 1),
    'AlexNet 2': (4, 64, 27, 192, 5, 1, 2, 1),
    'no padding': (8, 64, 32, 64, 3, 1, 0, 1),
    'colours': (64, 3, 32, 32, 3, 1, 0, 1),
    'colours, stride 2': (4, 3, 224, 32, 3, 2, 1, 1),
    'AlexNet 1': (4, 3, 64, 64, 11, 4, 0, 1),
    'no padding, stride 2': (8, 32, 28, 64, 3, 2, 0, 1),
    'tiny': (2, 64, 4, 64, 3, 1, 1, 1),
    '512 at 7': (4, 512, 7, 512, 3, 1, 1, 1),
    'depthwise': (8, 64, 32, 64, 3, 1, 1, 64),
    'depthwise, stride 2': (8, 128, 16, 128, 3, 2, 1, 128),
    'depthwise at 56': (4, 128, 56, 128, 3, 1, 1, 128),
    'depthwise at 112, stride 2': (4, 64, 112, 64, 3, 2, 1, 64),
}


def candidates(groups):
    dense = kernels.by_im2col, kernels.by_transposed_im2col, kernels.by_image_products, kernels.by_row_im2col
    found = (kernels.by_xla, *(dense if groups == 1 else [kernels.by_shift_and_add]))
    return {algorithm.__name__: algorithm for algorithm in found}


def programs(algorithm, geometry, x, weight):
    def f(x, weight):
        return kernels.convolve_by(kernels.Algorithms(algorithm, algorithm, algorithm), geometry, x, weight)

    return (
        jax.jit(lambda x, weight, _: f(x, weight)),
        jax.jit(lambda x, weight, dy: jax.vjp(lambda x: f(x, weight), x)[1](dy)[0]),
        jax.jit(lambda x, weight, dy: jax.vjp(lambda weight: f(x, weight), weight)[1](dy)[0]),
    )


def torch_programs(x, weight, dy, stride, padding, groups):
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    x, weight, dy = (torch.tensor(np.asarray(array)) for array in (x, weight, dy))
    numbers = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)

    def gradient(*mask):
        return lambda: torch.ops.aten.convolution_backward(dy, x, weight, None, *numbers, mask)

    return (
        lambda: torch.nn.functional.conv2d(x, weight, None, stride, padding, 1, groups),
        gradient(True, False, False),
        gradient(False, True, False),
    )


def compare(name):
    images, channels, size, outputs, kernel, stride, padding, groups = SHAPES[name]
    geometry = kernels.Geometry((stride,) * 2, (padding,) * 2, (1, 1), groups, 'NCHW')
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (images, channels, size, size))
    weight = jax.random.normal(keys[1], (outputs, channels // groups, kernel, kernel))
    dy = jax.random.normal(keys[2], kernels.by_xla(x, weight, geometry).shape)
    names = {'x': x, 'weight': weight, 'dy': dy, 'wait': jax.block_until_ready}
    statements, reference = {}, programs(kernels.by_xla, geometry, x, weight)
    for algorithm, function in candidates(groups).items():
        for part, program, other in zip(PARTS, programs(function, geometry, x, weight), reference, strict=True):
            agree(program(x, weight, dy), other(x, weight, dy))
            statements[algorithm, part] = 'wait(f(x, weight, dy))', {**names, 'f': program}
    peers = available({'torch': lambda: torch_programs(x, weight, dy, stride, padding, groups)})
    for part, program in zip(PARTS, peers.get('torch', ()), strict=False):
        statements['torch', part] = 'f()', {'f': program}
    samples = time_statements(statements, ROUNDS)
    chosen = kernels.choose_algorithms(x.shape, weight.shape, geometry)
    rows = []
    for algorithm in dict.fromkeys(algorithm for algorithm, _ in samples):
        values = [samples[algorithm, part] for part in PARTS]
        stars = ['*' if getattr(choice, '__name__', '') == algorithm else '' for choice in chosen]
        middles = [f'{1e3 * float(np.median(value)):.3g}{star}' for value, star in zip(values, stars, strict=True)]
        rows.append([algorithm, *middles, *(f'{1e3 * min(value):.3g}' for value in values)])
    print_table(f'{name}: {SHAPES[name]}', ['', *(f'{p} ms' for p in PARTS), *(f'min {p}' for p in PARTS)], rows)


if __name__ == '__main__':
    assert jnp.ones(1).device.platform == 'cpu', 'the algorithms differ on CPU only'
    for shape in sys.argv[1:] or SHAPES:
        compare(shape)
