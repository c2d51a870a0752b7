"""How much longer does `import gluonjax` take than `import jax`? Each in new processes, interleaved."""

from _timing import in_new_process, report, shuffled

ROUNDS = 15
MODULES = ('jax', 'gluonjax')
CODE = 'import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)'

if __name__ == '__main__':
    samples: dict[str, list[float]] = {module: [] for module in MODULES}
    for count in range(ROUNDS + 1):
        for module in shuffled(MODULES):
            seconds = in_new_process('-c', CODE.format(module))
            if count:  # the first round warms the disk's cache up
                samples[module].append(seconds)
    report('import, new processes', samples, base='jax', unit='ms')
