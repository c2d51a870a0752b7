"""The algorithms of convolutions on CPU, timed on this machine for one network: `measure_convolutions`.

Without it they are chosen by a rule, `choose_algorithms` of `kernels.py`, which was found on other machines.
"""

from __future__ import annotations

import functools
import json
import math
import os
import pathlib
import platform
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.block import Block, set_fields
from gluonjax.contents import map_nodes
from gluonjax.errors import ArgumentError, FileError
from gluonjax.layer import Layer, with_fields
from gluonjax.lazy import suggests_keywords
from gluonjax.nn import kernels
from gluonjax.nn.conv import Convolution
from gluonjax.nn.convolutions import (
    Algorithm,
    Geometry,
    by_im2col,
    by_image_products,
    by_row_im2col,
    by_shift_and_add,
    by_transposed_im2col,
    by_xla,
    output_shape,
)
from gluonjax.tables import table

_Layer = TypeVar('_Layer', bound=Layer)
PARTS = 'output', 'input_gradient', 'weight_gradient'  # the fields of Algorithms
GAIN = 0.95  # another algorithm must take less than this part of XLA's time, which compiles faster
SAMPLE = 0.002  # seconds that one sample lasts at least
_BY_NAME: dict[str, Algorithm] = {
    algorithm.__name__.removeprefix('by_'): algorithm
    for algorithm in (by_xla, by_im2col, by_transposed_im2col, by_image_products, by_row_im2col, by_shift_and_add)
}
Seconds = dict[str, float]  # the name of an algorithm -> seconds


class Shapes(NamedTuple):
    """What the choice of a convolution depends on.

    Attributes:
        x: the shape of the input.
        weight: that of the weight.
        dtype: of both.
        geometry: strides, padding and so on.
    """

    x: tuple[int, ...]
    weight: tuple[int, ...]
    dtype: str
    geometry: Geometry


class Machine(NamedTuple):
    """What a measurement holds for.

    Attributes:
        processor: its model.
        features: its vector instructions.
        cores: how many cores this process may use.
        jax: the version of JAX.
    """

    processor: str
    features: tuple[str, ...]
    cores: int
    jax: str


class MeasuredConvolutions:
    """Seconds of convolutions and of their gradients, by each algorithm, and the fastest: a table when it is printed.

    `measure_convolutions` makes it, and `load_convolutions` reads it from a file.

    Args:
        seconds: for each convolution, the seconds of each algorithm for the output, the gradient of the input and that
            of the weight: beside the output by the same algorithm, where that is the fastest.
        machine: where they were measured.
    """

    def __init__(self, seconds: Mapping[Shapes, Mapping[str, Seconds]], machine: Machine):
        self.seconds: dict[Shapes, dict[str, Seconds]] = {
            shapes: {part: dict(by_part[part]) for part in PARTS} for shapes, by_part in seconds.items()
        }
        self.machine: Machine = machine

    def names(self, shapes: Shapes) -> tuple[str, ...]:
        """The names of the algorithms that were chosen for output, gradient of the input and gradient of the weight."""
        return tuple(_fastest(self.seconds[shapes][part]) for part in PARTS)

    def choose(self, x: Sequence[int], weight: Sequence[int], dtype: Any, geometry: Geometry) -> kernels.Algorithms:
        """The fastest algorithms for a convolution of these shapes; by the rule if it was not measured."""
        shapes = Shapes(tuple(x), tuple(weight), str(dtype), geometry)
        if shapes not in self.seconds:
            return kernels.choose_algorithms(x, weight, geometry)
        return kernels.Algorithms(*(_BY_NAME[name] for name in self.names(shapes)))

    def set_on(self, net: Block) -> None:
        """Lets the convolutions of a network use what was measured, in programs that are traced from now on."""
        _check_is(net, Block, 'set_on', 'of(layer) gives a layer that uses it')
        for _, block in net.named_blocks():
            if isinstance(block, Convolution):
                set_fields(block, {'table': self})

    def of(self, layer: _Layer) -> _Layer:
        """The layer, with the same parameters, whose convolutions use what was measured."""
        _check_is(layer, Layer, 'of', 'set_on(net) changes a network')
        return _with_table(layer, self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file of JSON, which `load_convolutions` reads on the same machine."""
        convolutions = [
            {**shapes._asdict(), 'geometry': shapes.geometry._asdict(), 'seconds': seconds}
            for shapes, seconds in self.seconds.items()
        ]
        text = json.dumps({'machine': self.machine._asdict(), 'convolutions': convolutions}, indent=1)
        pathlib.Path(path).write_text(text, encoding='utf-8')

    def __repr__(self) -> str:
        """The chosen algorithms, with their time as a part of that of XLA's own."""
        rows = []
        for shapes, seconds in self.seconds.items():
            chosen = [
                name if name == 'xla' else f'{name} {seconds[part][name] / seconds[part]["xla"]:.2f}'
                for part, name in zip(PARTS, self.names(shapes), strict=True)
            ]
            geometry = shapes.geometry
            rows.append([shapes.x, shapes.weight, geometry.strides, geometry.padding, *chosen])
        head = ['input', 'weight', 'strides', 'padding', 'output', 'input gradient', 'weight gradient']
        return table(head, rows, f'{self.machine.processor}, cores: {self.machine.cores}')


@suggests_keywords
def measure_convolutions(
    net: Block | Layer,
    *inputs: Any,
    precision: str | None = None,
    rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> MeasuredConvolutions:
    """Times the algorithms for each convolution of a network on the CPU of this machine, and its gradients.

    It takes a second or two for each different convolution, most of which is compilation. The network is not
    changed: the result's `set_on(net)` does that, or `of(layer)`, for the layers of `gluonjax.nn`. What an algorithm
    computes is the same but for rounding. On other devices nothing changes.

    Args:
        net: a network or a layer.
        *inputs: arrays like those that it will be given, or `jax.ShapeDtypeStruct`s; convolutions of other shapes keep
            the rule.
        precision: the dtype of convolutions, as for `Trainer`; None for that of the inputs.
        rounds: how often each is timed; the least time counts.
        clock: gives seconds; `time.process_time` where other processes keep the cores busy.

    Raises:
        ArgumentError: if the network has no convolutions.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Conv2D(2, 1))
    >>> measured = measure_convolutions(net, jax.ShapeDtypeStruct((1, 1, 2, 2), 'float32'), rounds=1)
    >>> [(shapes.x, shapes.weight) for shapes in measured.seconds]
    [((1, 1, 2, 2), (2, 1, 1, 1))]
    >>> measured.set_on(net)
    """
    _check_is(net, Block | Layer, 'measure_convolutions', 'give a network, and its inputs')
    rounds = checks.size('rounds', rounds)
    found = convolutions_of(net.definition if isinstance(net, Block) else net, *inputs)
    if not found:
        raise ArgumentError('there is no convolution to measure', got=type(net).__name__)
    if precision is not None:
        found = dict.fromkeys(shapes._replace(dtype=str(jnp.dtype(precision))) for shapes in found)
    with jax.default_device(jax.local_devices(backend='cpu')[0]):
        seconds = {shapes: _measured(shapes, rounds, clock) for shapes in found}
    return MeasuredConvolutions(seconds, this_machine())


@suggests_keywords
def load_convolutions(path: str | os.PathLike[str]) -> MeasuredConvolutions:
    """Reads what `MeasuredConvolutions.save` wrote on this machine: the same choice as there.

    Args:
        path: of the file.

    Raises:
        FileError: if there is no such file, or it was written on another machine, with other cores or another JAX.
    """
    again = 'measure_convolutions(net, x).save(path)'
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))
        machine = Machine(**{**content['machine'], 'features': tuple(content['machine']['features'])})
        seconds = {_shapes(entry): _checked_seconds(entry['seconds']) for entry in content['convolutions']}
    except FileNotFoundError:
        raise FileError(f'there is no file {os.fspath(path)!r}', remedy=again) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f'{os.fspath(path)!r} holds no measured convolutions', remedy=again) from error
    if machine != this_machine():
        raise FileError(
            f'{os.fspath(path)!r} was measured on another machine',
            expected=_differing(this_machine(), machine),
            got=_differing(machine, this_machine()),
            remedy=again,
        )
    return MeasuredConvolutions(seconds, machine)


def this_machine() -> Machine:
    """The machine that this process runs on."""
    try:
        text = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        text = ''
    fields = dict(re.findall(r'^(.*?)\s*: (.*)$', text, re.MULTILINE))
    processor = fields.get('model name') or platform.processor() or platform.machine()
    vectors = re.findall(r'\b(?:avx|fma|amx|sse4|asimd|sve)\w*', fields.get('flags', fields.get('Features', '')))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return Machine(processor, tuple(sorted(vectors)), cores, jax.__version__)


def _differing(machine: Machine, other: Machine) -> str:
    """What a machine has otherwise than another."""
    mine, theirs = machine._asdict(), other._asdict()
    features, their_features = set(mine.pop('features')), set(theirs.pop('features'))
    fields = [f'{name}={value!r}' for name, value in mine.items() if value != theirs[name]]
    lacking = [f'no {feature}' for feature in sorted(their_features - features)]
    return ', '.join([*fields, *sorted(features - their_features), *lacking])


class _Recorder:
    """Stands for a table, and takes down what it is asked for."""

    def __init__(self):
        self.seen: dict[Shapes, None] = {}  # in order

    def choose(self, x: Sequence[int], weight: Sequence[int], dtype: Any, geometry: Geometry) -> kernels.Algorithms:
        self.seen[Shapes(tuple(x), tuple(weight), str(dtype), geometry)] = None
        return kernels.Algorithms()


def convolutions_of(layer: Layer, *inputs: Any) -> dict[Shapes, None]:
    """The different convolutions of a layer on these inputs, in order. Nothing is computed."""
    recorder = _Recorder()
    layer, key = _with_table(layer, recorder), jax.random.key(0)
    params = jax.eval_shape(lambda key: layer.init(key, *inputs), key)
    recorder.seen.clear()
    jax.eval_shape(lambda params, key, inputs: layer.apply_train(params, *inputs, key=key), params, key, inputs)
    return recorder.seen


def _with_table(layer: _Layer, table: Any) -> _Layer:
    def change(value: Layer | Any) -> Any:
        return _with_table(value, table) if isinstance(value, Layer) else value

    fields = {name: map_nodes(change, value) for name, value in vars(layer).items()}
    return with_fields(layer, fields | {'table': table} if isinstance(layer, Convolution) else fields)


def _measured(shapes: Shapes, rounds: int, clock: Callable[[], float]) -> dict[str, Seconds]:
    random_numbers = np.random.default_rng(0)
    x, weight = (jnp.asarray(random_numbers.normal(size=shape), shapes.dtype) for shape in shapes[:2])
    y = jnp.asarray(random_numbers.normal(size=output_shape(x, weight, shapes.geometry)), shapes.dtype)
    seconds = {}
    for part, arrays in zip(PARTS, ((x, weight), (weight, y), (x, y)), strict=True):
        calls = {name: _compiled(_part(part, _BY_NAME[name], shapes), arrays) for name in candidates(shapes)}
        seconds[part] = time_calls(calls, rounds, clock)
    name = _fastest(seconds['output'])
    if name != 'xla':  # in a training step the gradient of the weight shares what was made of x for the output
        output, gradient = (_part(part, _BY_NAME[name], shapes) for part in ('output', 'weight_gradient'))
        both = _compiled(lambda x, weight, y: (output(x, weight), gradient(x, y)), (x, weight, y))
        rest = time_calls({name: both}, rounds, clock)[name] - seconds['output'][name]
        seconds['weight_gradient'][name] = min(seconds['weight_gradient'][name], max(rest, 0.0))
    return seconds


def _compiled(function: Callable[..., Any], arrays: tuple[jax.Array, ...]) -> Callable[[], Any]:
    return functools.partial(jax.jit(function).lower(*arrays).compile(), *arrays)


def candidates(shapes: Shapes) -> tuple[str, ...]:
    """The names of the algorithms that there are for a convolution."""
    geometry, kernel = shapes.geometry, shapes.geometry.kernel(shapes.weight)
    if math.prod(kernel) > kernels.MAX_WINDOW or 0 in (*shapes.x, *shapes.weight):
        return ('xla',)
    if geometry.groups > 1:
        channels = shapes.x[geometry.layout.index('C')]
        return ('xla', 'shift_and_add') if channels == shapes.weight[0] == geometry.groups else ('xla',)
    rows = ('row_im2col',) if len(kernel) > 1 and kernel[-1] <= kernels.MAX_ROW else ()
    channels_first = ('transposed_im2col', 'image_products') if geometry.layout[1] == 'C' else ()
    return 'xla', 'im2col', *channels_first, *rows


def _part(part: str, algorithm: Algorithm, shapes: Shapes) -> Callable[..., jax.Array]:
    """A function of (x, weight), (weight, y) or (x, y), which gives the output or the gradient of what is missing."""
    convolve = functools.partial(kernels.convolve_by, kernels.Algorithms(*[algorithm] * 3), shapes.geometry)
    x, weight = (jax.ShapeDtypeStruct(shape, shapes.dtype) for shape in shapes[:2])
    return {
        'output': convolve,
        'input_gradient': lambda weight, y: jax.linear_transpose(lambda x: convolve(x, weight), x)(y)[0],
        'weight_gradient': lambda x, y: jax.linear_transpose(lambda weight: convolve(x, weight), weight)(y)[0],
    }[part]


def time_calls(calls: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> Seconds:
    """The least seconds of each call; every round times all of them, in a new order."""

    def seconds(name: str, times: int) -> float:
        start = clock()
        for _ in range(times):
            jax.block_until_ready(calls[name]())
        return (clock() - start) / times

    for name in calls:  # warms up
        seconds(name, 1)
    times = {name: max(1, math.ceil(SAMPLE / max(seconds(name, 1), 1e-6))) for name in calls}
    order, samples = random.Random(0), dict.fromkeys(calls, math.inf)
    for _ in range(rounds):
        for name in order.sample(list(calls), len(calls)):
            samples[name] = min(samples[name], seconds(name, times[name]))
    return samples


def _fastest(seconds: Seconds) -> str:
    name = min(seconds, key=lambda name: seconds[name])
    return name if seconds[name] < GAIN * seconds['xla'] else 'xla'


def _shapes(entry: Mapping[str, Any]) -> Shapes:
    """What `save` wrote of a convolution."""
    geometry: dict[str, Any] = entry['geometry']
    geometry = {name: tuple(value) if isinstance(value, list) else value for name, value in geometry.items()}
    return Shapes(tuple(entry['x']), tuple(entry['weight']), entry['dtype'], Geometry(**geometry))


def _checked_seconds(by_part: Mapping[str, Seconds]) -> dict[str, Seconds]:
    for part in PARTS:
        if not by_part[part].keys() <= _BY_NAME.keys() or 'xla' not in by_part[part]:
            raise ValueError(part)
    return {part: {name: float(value) for name, value in by_part[part].items()} for part in PARTS}


def _check_is(value: Any, kind: Any, function: str, remedy: str) -> None:
    if not isinstance(value, kind):
        names = [one.__name__ for one in getattr(kind, '__args__', (kind,))]
        raise ArgumentError(f'{function} takes a {" or a ".join(names)}', got=type(value).__name__, remedy=remedy)
