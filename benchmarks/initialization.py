"""How long does initialization take from cold, and how much memory?

Every measurement is a new process. JAX is imported, its backend started, the key made and the network defined before
the clock starts; compilation counts. Warm is a second draw in the same process, with another key. The facade goes
the way of `layer.init`. Peak memory is how much the process's largest size grew, over the bytes of what is drawn.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from _timing import in_new_process, print_table, shuffled

ROUNDS, SLOW_ROUNDS = 3, 1
OURS = {  # name: network, what is measured, general initializer
    'ResNet-50, draws': ('ResNet-50', 'draw', None),
    'ResNet-50, draws, normal': ('ResNet-50', 'draw', 'normal'),
    'ResNet-50, shape inference and draws': ('ResNet-50', 'init', None),
    'ResNet-50, jit(init, fused=True)': ('ResNet-50', 'together', None),
    'GPT-2 small, shape inference and draws': ('GPT-2', 'init', None),
    'GPT-2 small, the same, normal': ('GPT-2', 'init', 'normal'),
    'MLP 20-256-10, shape inference and draws': ('MLP', 'init', None),
}
SLOW = {'ResNet-50, jit(init)': ('ResNet-50', 'jit', None)}
PEERS = (
    'flax linen, jitted',
    'flax linen, eager',
    'flax nnx',
    'haiku, jitted',
    'keras (JAX)',
    'equinox',
    'PyTorch',
)


def our_draw(network: str, what: str, general):
    """A function of a key that draws the network."""
    import jax
    from _models import sizes

    layer, x = sizes(network)
    if what == 'draw':
        return layer.specs(x, init=general).draw
    if what == 'init':
        return lambda key: layer.init(key, x, init=general)
    return jax.jit(lambda key: layer.init(key, x, init=general, fused=what == 'together'))


def peer_draw(name: str):
    import _peers

    return _peers.INITS[name]()


def measure(name: str) -> dict[str, float]:
    """Seconds cold and warm, and peak memory; runs in a process of its own."""
    import resource

    import jax

    ours = OURS.get(name) or SLOW.get(name)
    function = our_draw(*ours) if ours else peer_draw(name)
    keys = [jax.random.key(seed) if ours else seed for seed in range(2)]
    jax.block_until_ready(jax.random.key_data(jax.random.key(2)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cold, drawn = timed(function, keys[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(drawn))
    del drawn  # its memory is ready for the warm draw
    warm, _ = timed(function, keys[1])
    if sys.platform != 'darwin':
        peak *= 1024  # elsewhere ru_maxrss counts KiB
    return {'cold': cold, 'warm': warm, 'memory': peak / size}


def timed(function, argument):
    import jax

    start = time.perf_counter()
    result = jax.block_until_ready(function(argument))
    return time.perf_counter() - start, result


def summarize(name: str, results: list[dict[str, float]]) -> list[str]:
    columns = {what: [result[what] for result in results] for what in ('cold', 'warm', 'memory')}
    median = {what: f'{statistics.median(values):.3g}' for what, values in columns.items()}
    least = {what: f'{min(values):.3g}' for what, values in columns.items()}
    memory = '-' if name.startswith('MLP') else median['memory']  # so small a network has none to speak of
    return [name, median['cold'], least['cold'], median['warm'], least['warm'], memory]


def main() -> None:
    results: dict[str, list] = {name: [] for name in (*OURS, *SLOW, *PEERS)}
    for count in range(ROUNDS):
        for name in shuffled(OURS if count >= SLOW_ROUNDS else results):
            if (result := in_new_process(__file__, name)) is not None:
                results[name].append(result)
    header = ['', 'cold s', 'min', 'warm s', 'min', 'peak memory / parameters']
    rows = [summarize(name, values) for name, values in results.items() if values]
    for title, theirs in (('gluonjax, medians', False), ('ResNet-50 elsewhere, medians', True)):
        print_table(title, header, [row for row in rows if (row[0] in PEERS) is theirs])


if __name__ == '__main__':
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        sys.path.insert(0, str(Path(__file__).parent))
        main()
