"""How fast are training steps on the device that there is, beside hand-written JAX, flax and PyTorch?

GPT-2 small, ResNet-50 and an LSTM, `init`, and two small trainings in float32 and bfloat16. Every measurement is a
process of its own, which holds the device alone, and is printed at once; those that matter most come first, and tables
at the end. Peers that are not installed are skipped, as is what fails. On a CPU, and with `--quick`, sizes are small:
figures there say that the script runs, not how fast anything is. Names of cases, or their beginnings, choose some:
`accelerator.py GPT-2 'init of'`. With `--seconds 540` it ends within nine minutes.
"""

import argparse
import dataclasses
import json
import math
import statistics
import sys
import time
from pathlib import Path

from _timing import in_new_process, print_table

ROUNDS, STEPS = 5, 10
LONGEST = 120  # seconds that a row may take of those that are given to all
SIZES = {  # of the works: on an accelerator, and small
    'GPT-2': (
        {'vocabulary': 50304, 'batch': 16, 'length': 1024, 'width': 768, 'blocks': 12, 'heads': 12},
        {'vocabulary': 512, 'batch': 2, 'length': 32, 'width': 64, 'blocks': 2, 'heads': 2},
    ),
    'ResNet': (
        {'stages': ((64, 3), (128, 4), (256, 6), (512, 3)), 'classes': 1000, 'batch': 256, 'size': 224},
        {'stages': ((16, 1), (32, 1)), 'classes': 10, 'batch': 4, 'size': 32},
    ),
    'LSTM': (
        {'steps': 128, 'batch': 64, 'width': 1024, 'layers': 2},
        {'steps': 8, 'batch': 4, 'width': 32, 'layers': 2},
    ),
}
STEPS_OF = {  # of each work: what makes the step, and its options; the first is what others are compared with
    'GPT-2': {
        'by hand': ('gpt2_by_hand', {}),
        'gluonjax': ('gpt2', {}),
        'gluonjax, logits in chunks': ('gpt2', {'factors': True}),
        'gluonjax, Repeat': ('gpt2', {'repeat': True}),
        'PyTorch': ('gpt2_in_torch', {}),
        'torch.compile': ('gpt2_in_torch', {'compiled': True}),
    },
    'ResNet': {
        'by hand, NHWC': ('resnet_by_hand', {}),
        'by hand, NCHW': ('resnet_by_hand', {'layout': 'NCHW'}),
        'gluonjax, NCHW': ('resnet', {}),
        'gluonjax, NHWC': ('resnet', {'layout': 'NHWC'}),
        'flax linen': ('resnet_in_flax', {}),
        'PyTorch': ('resnet_in_torch', {}),
        'torch.compile': ('resnet_in_torch', {'compiled': True}),
    },
    'LSTM': {
        'by hand': ('lstm_by_hand', {}),
        'gluonjax': ('lstm', {}),
        'gluonjax, scan': ('lstm', {'implementation': 'scan'}),
        'PyTorch': ('lstm_in_torch', {}),
    },
}
PEERS = ('flax', 'PyTorch', 'torch')
INITS = ('ResNet-50', 'MLP')
TRAININGS = ('digits', 'text')


def operations(work: str, sizes) -> float:
    """Floating point operations of a training step, those of products alone: thrice the forward pass."""
    if work == 'GPT-2':
        tokens, width = sizes['batch'] * sizes['length'], sizes['width']
        block = 12 * width**2 + sizes['length'] * width  # half of the products of queries and keys are masked
        return 6 * tokens * (sizes['blocks'] * block + sizes['vocabulary'] * width)
    if work == 'LSTM':
        return 6 * sizes['layers'] * sizes['steps'] * sizes['batch'] * 8 * sizes['width'] ** 2
    from _accelerated import shapes_of

    size, inputs = sizes['size'] // 2, 64
    total = size**2 * 49 * 3 * 64
    size //= 2
    for channels, stride, project in shapes_of(sizes['stages']):
        total += size**2 * inputs * channels
        size //= stride
        total += size**2 * (13 * channels**2 + (inputs * 4 * channels if project else 0))
        inputs = 4 * channels
    return 6 * sizes['batch'] * (total + inputs * sizes['classes'])


def small(quick: bool) -> bool:
    import jax

    return quick or jax.default_backend() == 'cpu'


# What runs in processes of its own.


def measure_step(work: str, name: str, quick: bool) -> dict[str, float]:
    """Seconds of the first step, compilation counted; of one later; the loss after some."""
    import _accelerated

    maker, options = STEPS_OF[work][name]
    sizes = SIZES[work][small(quick)]
    start = time.perf_counter()
    step = getattr(_accelerated, maker)(**sizes, **options)
    made = time.perf_counter()
    float(step())
    first = time.perf_counter() - made
    for _ in range(3):
        value = float(step())
    rounds, steps = (3, 3) if small(quick) else (ROUNDS, STEPS)
    samples = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(steps):
            value = step()
        value = float(value)
        samples.append((time.perf_counter() - begin) / steps)
    return {'made': made - start, 'first': first, 'step': statistics.median(samples), 'loss': value} | memory()


def memory() -> dict[str, float]:
    if 'torch' in sys.modules:
        import torch

        return {'memory': torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {}
    import jax

    stats = jax.devices()[0].memory_stats() or {}
    return {'memory': stats['peak_bytes_in_use']} if 'peak_bytes_in_use' in stats else {}


def measure_init(network: str) -> dict[str, float]:
    """Seconds of `init` from cold, and again with another key."""
    import jax
    from _models import sizes

    layer, x = sizes(network)
    jax.block_until_ready(jax.random.key_data(jax.random.key(2)))
    seconds = []
    for seed in range(4):
        key = jax.random.key(seed)
        start = time.perf_counter()
        jax.block_until_ready(layer.init(key, x))
        seconds.append(time.perf_counter() - start)
    return {'cold': seconds[0], 'again': min(seconds[1:])}


def measure_peaks(quick: bool) -> dict[str, float]:
    """Operations a second of a product in bfloat16 and in float32, and bytes a second of a sum."""
    import jax
    import jax.numpy as jnp

    size = 512 if small(quick) else 8192
    found = {}
    for dtype in ('bfloat16', 'float32'):
        x = jax.random.normal(jax.random.key(0), (size, size), dtype)
        found[dtype] = 2 * size**3 / least_seconds(jax.jit(lambda x: x @ x), x)
    x = jnp.zeros(size * size * 4)
    found['bytes'] = 2 * x.nbytes / least_seconds(jax.jit(lambda x: x + 1), x)
    return found | {'device': jax.devices()[0].device_kind, 'jax': jax.__version__}


def least_seconds(function, *arguments) -> float:
    import jax

    samples = []
    for _ in range(10):
        start = time.perf_counter()
        jax.block_until_ready([function(*arguments) for _ in range(5)][-1])
        samples.append((time.perf_counter() - start) / 5)
    return min(samples)


def measure_training(what: str, precision: str, seed: int) -> dict[str, float]:
    """The mean loss of the last fifth of a small training: a ResNet on images of digits, a GPT on this repository."""
    import numpy as np
    from _accelerated import GPT2, ResNet

    from gluonjax import Trainer, loss, nn

    random = np.random.RandomState(seed)
    if what == 'digits':
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = np.kron(digits.images[:, None] / 16, np.ones((1, 3, 4, 4))).astype('float32')  # of 32x32
        y = digits.target
        net, steps, rate = nn.Sequential(ResNet(((8, 1), (16, 1)), 10, 'NCHW')), 150, 2e-3
    else:
        text = np.frombuffer(Path(__file__).with_name('README.md').read_bytes(), 'uint8').astype('int32')
        windows = np.lib.stride_tricks.sliding_window_view(text, 33)
        x, y = windows[:, :-1], windows[:, 1:]
        net, steps, rate = nn.Sequential(GPT2(256, 32, 64, 2, 2, repeat=False, factors=False)), 300, 3e-3
    net.initialize('xavier' if what == 'digits' else 'normal', key=seed)
    options = {'learning_rate': rate}
    given = None if precision == 'float32' else precision
    trainer = Trainer(net, loss.SoftmaxCrossEntropyLoss(), 'adam', options, precision=given, key=seed)
    losses = []
    for _ in range(steps):
        rows = random.randint(0, len(x), 32)
        losses.append(float(trainer.step(x[rows], y[rows])))
    return {'loss': statistics.fmean(losses[-steps // 5 :])}


# The rows, and the tables.


@dataclasses.dataclass
class Rows:
    """What was measured, by the arguments of the process that did; no process starts when time is up."""

    quick: bool
    end: float  # of `time.monotonic`
    found: dict[tuple[str, ...], dict[str, float]] = dataclasses.field(default_factory=dict)

    def measure(self, *arguments: str) -> None:
        """Prints what was measured at once, so that nothing is lost if the whole is ended."""
        left = self.end - time.monotonic()
        if left <= 0:
            print(f'skipped {" ".join(arguments)}: time is up', flush=True)
            return
        timeout = None if left == math.inf else min(left, LONGEST)
        found = in_new_process(__file__, *(['--quick'] if self.quick else []), *arguments, timeout=timeout)
        if found is not None:
            self.found[arguments] = found
            print(' '.join(arguments), json.dumps(found), flush=True)


def in_order(wanted) -> list[tuple[str, ...]]:
    """The rows, those first that matter most: ours and by hand, then peers, small trainings, and what compiles long."""
    steps = [('step', work, name) for work, ways in STEPS_OF.items() for name in ways if wanted(f'{work} {name}')]
    first = [row for row in steps if not row[2].startswith(PEERS)]
    inits = [('init', network) for network in INITS] if wanted('init of') else []
    peers = [row for row in steps if row not in first]
    runs = ('float32', '0'), ('bfloat16', '0'), ('float32', '1')
    trainings = [('training', what, *run) for run in runs for what in TRAININGS] if wanted('training') else []
    late = [row for row in peers if row[2].startswith('torch')]
    return first + inits + [row for row in peers if row not in late] + trainings + late


def steps_table(work: str, found, peaks) -> None:
    rows, base = [], None
    dtype = 'float32' if work == 'LSTM' else 'bfloat16'
    for name in STEPS_OF[work]:
        if (one := found.get(('step', work, name))) is None:
            continue
        base = base or one
        rate = operations(work, SIZES[work][peaks['small']]) / one['step']
        used = f'{one["memory"] / 2**30:.1f}' if 'memory' in one else '-'
        times = f'{one["step"] * 1e3:.3g}', f'{one["step"] / base["step"]:.2f}'
        starts = f'{one["first"]:.1f}', f'{one["first"] / base["first"]:.2f}'
        shares = f'{rate / 1e12:.3g}', f'{rate / peaks[dtype]:.2f}'
        rows.append([name, *times, *shares, *starts, used, f'{one["loss"]:.3f}'])
    header = ['', 'ms a step', 'ratio', 'TFLOP/s', 'of the peak', 'first step s', 'ratio', 'peak GiB', 'loss']
    if rows:
        print_table(f'{work}: {SIZES[work][peaks["small"]]}, {dtype}', header, rows)


def other_tables(found) -> None:
    rows = [
        [f'init of {network}', f'{one["cold"]:.3f}', f'{one["again"]:.3f}']
        for network in INITS
        if (one := found.get(('init', network)))
    ]
    if rows:
        print_table('init', ['', 'cold s', 'again s'], rows)
    runs = ('float32', '0'), ('float32', '1'), ('bfloat16', '0')
    losses = {what: [found.get(('training', what, *run)) for run in runs] for what in TRAININGS}
    rows = [[what, *(f'{one["loss"]:.4f}' if one else '-' for one in three)] for what, three in losses.items()]
    header = ['', 'float32', 'another seed', 'bfloat16']
    if any(map(any, losses.values())):
        print_table('Small trainings: the mean loss of the last fifth of the steps', header, rows)


def main(chosen: list[str], quick: bool, seconds: float) -> None:
    rows = Rows(quick, time.monotonic() + seconds)
    rows.measure('peaks')
    for row in in_order(lambda name: not chosen or any(name.startswith(start) for start in chosen)):
        rows.measure(*row)
    peaks = rows.found.get(('peaks',))
    if peaks is None:
        return
    print(f'\n{peaks["device"]}, JAX {peaks["jax"]}, {time.strftime("%Y-%m-%d")}')
    print(f'a product: {peaks["bfloat16"] / 1e12:.3g} TFLOP/s in bfloat16, {peaks["float32"] / 1e12:.3g} in float32')
    print(f'x + 1: {peaks["bytes"] / 1e9:.3g} GB/s')
    for work in STEPS_OF:
        steps_table(work, rows.found, peaks)
    other_tables(rows.found)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('rows', nargs='*', help='beginnings of names of rows, such as GPT-2 or "init of"')
    parser.add_argument('--quick', action='store_true', help='small sizes')
    parser.add_argument('--seconds', type=float, default=math.inf, help='the whole ends in time')
    given = parser.parse_args()
    match given.rows:
        case ['step', work, name]:
            print(json.dumps(measure_step(work, name, given.quick)))
        case ['init', network]:
            print(json.dumps(measure_init(network)))
        case ['training', what, precision, seed]:
            print(json.dumps(measure_training(what, precision, int(seed))))
        case ['peaks']:
            print(json.dumps(measure_peaks(given.quick) | {'small': small(given.quick)}))
        case _:
            sys.path.insert(0, str(Path(__file__).parent))
            main(given.rows, given.quick, given.seconds)
