"""How long do 2 and 48 transformer blocks take to trace and to compile, as `Repeat`; and 12 as a row of layers?

The program is a training step's loss and gradient: batch 2, 16 tokens, 64 units, 4 heads. Every measurement starts
from empty caches.
"""

import statistics
import time

import jax
import jax.numpy as jnp
from _timing import print_table, shuffled

from gluonjax import nn

ROUNDS = 3
X = jnp.ones((2, 16, 64))


def block():
    return nn.Sequential(
        nn.Residual(nn.LayerNorm(), nn.MultiHeadAttention(64, 4, causal=True)),
        nn.Residual(nn.LayerNorm(), nn.Dense(256, 'relu', flatten=False), nn.Dense(64, flatten=False)),
    )


WAYS = {
    'Repeat': ((2, 48), lambda n: nn.Repeat(block(), n)),
    'Repeat, remat=True': ((2, 48), lambda n: nn.Repeat(block(), n, remat=True)),
    'in a row': ((2, 12), lambda n: nn.Sequential(*(block() for _ in range(n))).definition),
}


def seconds(layer, params) -> tuple[float, float]:
    jax.clear_caches()
    step = jax.jit(jax.value_and_grad(lambda params, x: layer.apply_train(params, x)[0].sum()))
    start = time.perf_counter()
    lowered = step.lower(params, X)
    traced = time.perf_counter()
    lowered.compile()
    return traced - start, time.perf_counter() - traced


if __name__ == '__main__':
    cases = {(way, n): make(n) for way, (numbers, make) in WAYS.items() for n in numbers}
    params = {case: layer.init(0, X) for case, layer in cases.items()}
    samples: dict[tuple[str, int], list[tuple[float, float]]] = {case: [] for case in cases}
    seconds(cases['Repeat', 2], params['Repeat', 2])
    for _ in range(ROUNDS):
        for case in shuffled(cases):
            samples[case].append(seconds(cases[case], params[case]))
    rows = []
    for (way, n), times in samples.items():
        trace, compilation = (statistics.median(values) for values in zip(*times, strict=True))
        base = statistics.median(sum(pair) for pair in samples[way, 2])
        rows.append([f'{way}, {n}', f'{trace:.2f}', f'{compilation:.2f}', f'{(trace + compilation) / base:.2f}'])
    print_table('Transformer blocks', ['', 'trace s', 'compile s', 'to 2 blocks'], rows)
