"""How much longer does `import gluonjax` take than `import jax`? Each in new processes, interleaved.

gluonjax loads its parts, and JAX with them, when they are asked for: `from gluonjax import init, nn` asks for them all.
"""

from _timing import in_new_process, report, shuffled

ROUNDS = 15
BASE = 'import jax'
STATEMENTS = (
    BASE,
    'import gluonjax',
    'from gluonjax import init, nn',
    'from gluonjax import init, nn, loss, Trainer',
    'import gluonjax.mx',
)
CODE = 'import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)'

if __name__ == '__main__':
    samples: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for count in range(ROUNDS + 1):
        for statement in shuffled(STATEMENTS):
            seconds = in_new_process('-c', CODE.format(statement))
            if count:  # the first round warms the disk's cache up
                samples[statement].append(seconds)
    report('import, new processes', samples, base=BASE, unit='ms')
