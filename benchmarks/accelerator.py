"""How fast are training steps on the device that there is, beside hand-written JAX, flax and PyTorch?

GPT-2 small, ResNet-50 and an LSTM, `init`, and two small trainings in float32 and bfloat16. Every measurement is a
process of its own, which holds the device alone. Peers that are not installed are skipped. On a CPU, and with
`--quick`, sizes are small: figures there say that the script runs, not how fast anything is. Names of cases, or their
beginnings, choose some: `accelerator.py GPT-2 'init of'`.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from _timing import in_new_process, print_table

ROUNDS, STEPS = 5, 10
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


# The tables.


def steps_table(work: str, names, quick: bool, peaks) -> None:
    rows, base = [], None
    dtype = 'float32' if work == 'LSTM' else 'bfloat16'
    for name in names:
        found = in_new_process(__file__, *quick_flag(quick), 'step', work, name)
        if found is None:
            continue
        base = base or found
        rate = operations(work, SIZES[work][peaks['small']]) / found['step']
        used = f'{found["memory"] / 2**30:.1f}' if 'memory' in found else '-'
        times = f'{found["step"] * 1e3:.3g}', f'{found["step"] / base["step"]:.2f}'
        starts = f'{found["first"]:.1f}', f'{found["first"] / base["first"]:.2f}'
        shares = f'{rate / 1e12:.3g}', f'{rate / peaks[dtype]:.2f}'
        rows.append([name, *times, *shares, *starts, used, f'{found["loss"]:.3f}'])
    header = ['', 'ms a step', 'ratio', 'TFLOP/s', 'of the peak', 'first step s', 'ratio', 'peak GiB', 'loss']
    print_table(f'{work}: {SIZES[work][peaks["small"]]}, {dtype}', header, rows)


def init_table() -> None:
    rows = []
    for network in INITS:
        if found := in_new_process(__file__, 'init', network):
            rows.append([f'init of {network}', f'{found["cold"]:.3f}', f'{found["again"]:.3f}'])
    print_table('init', ['', 'cold s', 'again s'], rows)


def training_table() -> None:
    rows = []
    for what in TRAININGS:
        runs = ('float32', '0'), ('float32', '1'), ('bfloat16', '0')
        losses = [in_new_process(__file__, 'training', what, *run) for run in runs]
        if None not in losses:
            rows.append([what, *(f'{found["loss"]:.4f}' for found in losses)])
    header = ['', 'float32', 'another seed', 'bfloat16']
    print_table('Small trainings: the mean loss of the last fifth of the steps', header, rows)


def quick_flag(quick: bool) -> list[str]:
    return ['--quick'] if quick else []


def main(chosen: list[str], quick: bool) -> None:
    peaks = in_new_process(__file__, *quick_flag(quick), 'peaks')
    print(f'{peaks["device"]}, JAX {peaks["jax"]}, {time.strftime("%Y-%m-%d")}')
    print(f'a product: {peaks["bfloat16"] / 1e12:.3g} TFLOP/s in bfloat16, {peaks["float32"] / 1e12:.3g} in float32')
    print(f'x + 1: {peaks["bytes"] / 1e9:.3g} GB/s')

    def wanted(name: str) -> bool:
        return not chosen or any(name.startswith(start) for start in chosen)

    for work, ways in STEPS_OF.items():
        if names := [name for name in ways if wanted(f'{work} {name}')]:
            steps_table(work, names, quick, peaks)
    if wanted('init of'):
        init_table()
    if wanted('training'):
        training_table()


if __name__ == '__main__':
    arguments = [argument for argument in sys.argv[1:] if argument != '--quick']
    quick = len(arguments) < len(sys.argv) - 1
    match arguments:
        case ['step', work, name]:
            print(json.dumps(measure_step(work, name, quick)))
        case ['init', network]:
            print(json.dumps(measure_init(network)))
        case ['training', what, precision, seed]:
            print(json.dumps(measure_training(what, precision, int(seed))))
        case ['peaks']:
            print(json.dumps(measure_peaks(quick) | {'small': small(quick)}))
        case _:
            sys.path.insert(0, str(Path(__file__).parent))
            main(arguments, quick)
