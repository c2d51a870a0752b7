"""What does XLA make of the training steps of accelerator.py for a GPU? It compiles them for one that is not there.

For each step: how many kernels run, the gigabytes that they read and write (see _kernels.py), temporaries, and the
processor's seconds to trace and lower, and to compile. XLA cannot measure kernels here, so products are Triton's, which
on a GPU may be cuBLAS's. An LSTM by cuDNN asks for a GPU as it is lowered, so there is none here.

    pip install '.[bench]' 'jax[cuda13]'
    python benchmarks/gpu_program.py [GPT-2 | ResNet] [--quick]
"""

import argparse
import functools
import time

import _accelerated
import jax
from _h100 import h100s
from _kernels import kernels
from _timing import print_table
from accelerator import SIZES

from gluonjax import loss, make_step

SMALL = {'GPT-2': {'blocks': 2}, 'ResNet': {'stages': ((64, 1), (128, 1))}}
WAYS = {
    'GPT-2': {
        'by hand': functools.partial(_accelerated.gpt2_by_hand, fused=True),
        'gluonjax': {},
        'gluonjax, logits in chunks': {'factors': True},
        'gluonjax, Repeat': {'repeat': True},
    },
    'ResNet': {
        'by hand, NHWC': _accelerated.resnet_by_hand,
        'by hand, NCHW': functools.partial(_accelerated.resnet_by_hand, layout='NCHW'),
        'flax linen, NHWC': _accelerated.resnet_in_flax,
        'gluonjax, NHWC': {'layout': 'NHWC'},
        'gluonjax, NCHW': {'layout': 'NCHW'},
    },
}


def gpt2(vocabulary, batch, length, width, blocks, heads, *, repeat=False, factors=False):
    """The step, the state and the batch, of shapes alone."""
    layer = _accelerated.GPT2(vocabulary, length, width, blocks, heads, repeat, factors)
    chunked = functools.partial(loss.LinearSoftmaxCrossEntropyLoss, _accelerated.CHUNK, dtype='bfloat16')
    measure = (chunked if factors else loss.SoftmaxCrossEntropyLoss)()
    step = make_step(layer, measure, 'adamw', {'learning_rate': _accelerated.RATE}, precision='bfloat16')
    tokens = jax.ShapeDtypeStruct((batch, length), 'int32')
    return step, (tokens, tokens)


def resnet(stages, classes, batch, size, *, layout):
    options = {'learning_rate': _accelerated.RATE, 'momentum': 0.9}
    layer, measure = _accelerated.ResNet(stages, classes, layout), loss.SoftmaxCrossEntropyLoss()
    step = make_step(layer, measure, 'sgd', options, precision='bfloat16')
    shape = (batch, 3, size, size) if layout == 'NCHW' else (batch, size, size, 3)
    return step, (jax.ShapeDtypeStruct(shape, 'float32'), jax.ShapeDtypeStruct((batch,), 'int32'))


def program(work, way, sizes):
    """The jitted step and its arguments."""
    if callable(way):
        run = way(**sizes)
        return run.step, run.arguments
    step, batch = {'GPT-2': gpt2, 'ResNet': resnet}[work](**sizes, **way)
    state = jax.eval_shape(step.init, 0, batch)
    if state.optimizer.counts is not None:
        step, state = functools.partial(with_one_count, step), with_counts(state, None)
    return jax.jit(step, donate_argnums=0), (state, batch)


def with_one_count(step, state, batch):
    """The step of a state without counts of updates: all of them are one number, as a Trainer's are."""
    counts = jax.tree.map(lambda _: state.optimizer.count, step.layer.partition(state.params)[0])
    state, metrics = step(with_counts(state, counts), batch)
    return with_counts(state, None), metrics


def with_counts(state, counts):
    return state._replace(optimizer=state.optimizer._replace(counts=counts))


def measure(name, function, arguments, device):
    there = jax.sharding.SingleDeviceSharding(device)
    arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=there), arguments)
    start = time.process_time()
    lowered = function.lower(*arguments)
    middle = time.process_time()
    compiled = lowered.compile()
    end = time.process_time()
    found = kernels(compiled.as_text()).values()
    runs, size = (sum(column) for column in zip(*found, strict=True))
    memory = compiled.memory_analysis().temp_size_in_bytes
    numbers = f'{size / 1e9:.1f}', f'{memory / 2**30:.2f}', f'{middle - start:.2f}', f'{end - middle:.1f}'
    return [name, str(runs), *numbers]


def main(works, quick):
    try:
        (device,) = h100s(1)
    except NotImplementedError:
        print("skipped: there is no XLA for CUDA, which comes with pip install 'jax[cuda13]'")
        return
    print(f'{device.device_kind}, JAX {jax.__version__}')
    for work in works or WAYS:
        sizes = SIZES[work][0] | (SMALL[work] if quick else {})
        rows = [measure(name, *program(work, way, sizes), device) for name, way in WAYS[work].items()]
        header = ['', 'kernels', 'GB read and written', 'GiB of temporaries', 'lower s', 'compile s']
        print_table(f'{work}: {sizes}, bfloat16', header, rows)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('works', nargs='*', help='GPT-2 or ResNet; both by default')
    parser.add_argument('--quick', action='store_true', help='fewer blocks')
    given = parser.parse_args()
    main(given.works, given.quick)
