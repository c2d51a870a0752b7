"""What the benchmarks share: interleaved timing, measurements in new processes, optional peers, tables."""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Samples = dict[str, list[float]]
# A cache of compiled programs would hide compilation; without bytecode our modules would be compiled at every import.
UNWANTED = ('JAX_COMPILATION_CACHE_DIR', 'PYTHONDONTWRITEBYTECODE')
SAMPLE = 0.005  # seconds that one sample of a short call lasts, at least


def time_statements(statements: Mapping[str, tuple[str, dict[str, Any]]], rounds: int) -> Samples:
    """Seconds a run of each statement (with its globals): every round times all of them, in a new order."""
    timers = {name: timeit.Timer(code, globals=names) for name, (code, names) in statements.items()}
    numbers = {name: _calibrate(timer) for name, timer in timers.items()}
    return _rounds({name: lambda t=timers[name], n=numbers[name]: t.timeit(n) / n for name in timers}, rounds)


def time_each(measurements: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """As `time_statements`, for functions that do their own timing and return seconds."""
    return _rounds(measurements, rounds)


def _calibrate(timer: timeit.Timer) -> int:
    timer.timeit(20)  # warms up
    once = min(timer.repeat(3, 5)) / 5
    return max(1, round(SAMPLE / once))


def _rounds(measurements: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    samples: Samples = {name: [] for name in measurements}
    for _ in range(rounds):
        for name in shuffled(measurements):
            samples[name].append(measurements[name]())
    return samples


def shuffled(items) -> list:
    return random.sample(list(items), len(items))


def in_new_process(*arguments: str, timeout: float | None = None) -> Any:
    """Runs Python on these arguments and returns the JSON it prints last; None, with a line, if it cannot run.

    It is ended after `timeout` seconds, with all that it has started.
    """
    environment = {k: v for k, v in os.environ.items() if k not in UNWANTED}
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            output, errors = child.communicate(timeout=timeout)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            print(f'skipped {arguments[-1]}: it was not done in {timeout:.0f} s', flush=True)
            return None
    if child.returncode:
        reason = (errors.strip().splitlines() or [f'exit status {child.returncode}'])[-1]
        if 'ModuleNotFoundError' not in reason:
            print(errors, file=sys.stderr, flush=True)
        print(f'skipped {arguments[-1]}: {reason}', flush=True)
        return None
    return json.loads(output.splitlines()[-1])


def in_mxnet(script: str, *arguments: str) -> Callable[[], float] | None:
    """A measurement by a script in the interpreter that MXNET_PYTHON names; it answers each line with seconds."""
    python = os.environ.get('MXNET_PYTHON')
    if not python:
        print('skipped MXNet: MXNET_PYTHON names no interpreter')
        return None
    path = os.path.join(os.path.dirname(__file__), script)
    child = subprocess.Popen([python, path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure() -> float:
        print(file=child.stdin, flush=True)
        return float(child.stdout.readline())

    measure()
    return measure


def available(peers: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """What each peer's function makes; a peer that is not installed is skipped, with a line."""
    made = {}
    for name, make in peers.items():
        try:
            made[name] = make()
        except ModuleNotFoundError as error:
            print(f'skipped {name}: {error.name} is not installed')
    return made


def report(title: str, samples: Samples, base: str, unit: str = 'us') -> None:
    """Medians and minima; their ratio to `base`: the median of each round's ratio, and that of the minima."""
    scale = {'us': 1e6, 'ms': 1e3, 's': 1}[unit]
    rows = []
    for name, values in samples.items():
        ratio = statistics.median(mine / other for mine, other in zip(values, samples[base], strict=True))
        figures = f'{statistics.median(values) * scale:.3g}', f'{min(values) * scale:.3g}'
        rows.append([name, *figures, f'{ratio:.2f}', f'{min(values) / min(samples[base]):.2f}'])
    print_table(title, ['', f'median {unit}', f'min {unit}', 'ratio', 'ratio of minima'], rows)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    print(f'\n{title}')
    for row in (header, ['-' * width for width in widths], *rows):
        first, *rest = (f'{cell:>{width}}' for cell, width in zip(row, widths, strict=True))
        print('  '.join([f'{row[0]:<{len(first)}}', *rest]))
