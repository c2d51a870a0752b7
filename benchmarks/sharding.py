"""What a device holds of a large language model, with the rules of `sharding.transformer`; nothing is allocated.

A training step of 6.7 or 65 billion parameters is lowered and compiled for virtual devices on the CPU, or for H100s
that are not there. It prints the parameters, devices, seconds, bytes of state and of temporaries a device, the
collectives in the program, and what cuDNN attends to.

    python benchmarks/sharding.py [small | 7b | 65b] [h100]
"""

import collections
import math
import os
import re
import sys
import time

import jax
import numpy as np
from _h100 import h100s

from gluonjax import loss, make_step, nn, sharding
from gluonjax.tree import flatten

ON_GPUS = 'h100' in sys.argv
SIZES = {  # layers, width, heads, tokens of a sequence, sequences of a batch, data x model devices
    'small': (2, 256, 8, 128, 4, (4, 2)),
    '7b': (32, 4096, 32, 2048, 8, (8, 8)),
    '65b': (80, 8192, 64, 2048, 64, (64, 8)),
}
WORDS = 50_304
LAYERS, WIDTH, HEADS, LENGTH, BATCH, DEVICES = SIZES[next((name for name in sys.argv if name in SIZES), 'small')]
os.environ['XLA_FLAGS'] = f'--xla_force_host_platform_device_count={DEVICES[0] * DEVICES[1]}'  # before JAX looks


def language_model():
    block = nn.Sequential(
        nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(WIDTH, HEADS, causal=True, rotary=nn.RotaryPositions())),
        nn.Residual(nn.LayerNorm(), nn.Dense(4 * WIDTH, 'gelu', flatten=False), nn.Dense(WIDTH, flatten=False)),
    )
    return nn.Sequential(
        nn.Embedding(WORDS, WIDTH), nn.Repeat(block, LAYERS, remat=True), nn.LayerNorm(), nn.DenseFactors(WORDS)
    ).definition


def main():
    devices = h100s(math.prod(DEVICES)) if ON_GPUS else jax.devices()
    mesh = jax.sharding.Mesh(np.reshape(devices, DEVICES), ('data', 'model'))
    net = language_model()
    cross_entropy = loss.LinearSoftmaxCrossEntropyLoss(chunk=64 * DEVICES[0], dtype='bfloat16')
    step = make_step(net, cross_entropy, 'adamw', precision='bfloat16')
    step = sharding.with_cut_activations(step, mesh, sequence_axis='model')
    cut = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
    tokens = jax.ShapeDtypeStruct((BATCH, LENGTH), 'int32', sharding=cut)
    batch = tokens, tokens
    start = time.perf_counter()
    state = jax.eval_shape(step.init, 0, batch)
    where = sharding.state_shardings(state, sharding.transformer(net, tokens, mesh=mesh), mesh)
    state = jax.tree.map(lambda leaf, s: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=s), state, where)
    lowered = jax.jit(step, donate_argnums=0, out_shardings=(where, None)).lower(state, batch)
    middle = time.perf_counter()
    program = lowered.compile()
    end = time.perf_counter()
    memory = program.memory_analysis()
    parameters = sum(leaf.size for leaf in flatten(state.params).values())
    share = sum(np.prod(leaf.sharding.shard_shape(leaf.shape)) * 4 for leaf in flatten(state.params).values())
    print(f'{parameters / 1e9:.2f} billion parameters, {DEVICES[0]} x {DEVICES[1]} devices')
    print(f'lowered in {middle - start:.1f} s, compiled in {end - middle:.1f} s')
    print(f'a device holds {share / 1e9:.3f} GB of parameters,')
    print(f'{memory.argument_size_in_bytes / 1e9:.3f} GB of state and batch,')
    print(f'and {memory.temp_size_in_bytes / 1e9:.3f} GB of temporaries')
    found = collections.Counter(
        re.findall(
            r' (all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(', program.as_text()
        )
    )
    print('collectives:', ', '.join(f'{count} {name}' for name, count in sorted(found.items())))
    attended = set(re.findall(r'(\w+\[[\d,]+\])[^\n]*"__cudnn\$fmhaSoftmax"', program.as_text()))
    if ON_GPUS:
        print('cuDNN attends to:', ', '.join(sorted(attended)) or 'nothing')


if __name__ == '__main__':
    main()
