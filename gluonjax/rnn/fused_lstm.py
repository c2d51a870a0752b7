"""cuDNN's LSTM, taken where a program is compiled for CUDA; the scan on other platforms.

Three primitives compute the same as a scan over the steps: the outputs, what tangents of the arguments add to them, and
the gradients. JAX traces one equation for each, and asks for cuDNN once it knows the platform. Where a transformation
has no rule of cuDNN's (`vmap`, tangents, second derivatives), it is that of the scan.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir

from gluonjax.nn.kernels import Primitive
from gluonjax.rnn import equations
from gluonjax.rnn.scan import one_direction, summed
from gluonjax.shapes import is_static

_CONFIG: Any = jax.config  # a type checker does not know its settings
WEIGHTS = 4  # of a layer in one direction: i2h_weight, h2h_weight, i2h_bias, h2h_bias


class Network(NamedTuple):
    """What the primitives compute, beside the shapes of their arguments.

    These are the sequence (T, N, C), the states h and c (rows, N, hidden_size), with a row for each layer and
    direction, the lengths (N,), and the weights of each row.
    """

    layers: int
    sides: str  # 'l', or 'lr' if bidirectional
    precision: Any  # of products, as `jax.default_matmul_precision` has it where the program is traced
    reserve: int  # how many numbers cuDNN keeps for the backward pass


@functools.cache
def library() -> Any:
    """`jax.experimental.rnn`, or None where JAX's plug-in for CUDA is not installed."""
    try:
        module = importlib.import_module('jax.experimental.rnn')
    except ImportError:
        return None
    return module if hasattr(module.gpu_rnn, 'compute_rnn_workspace_reserve_space_sizes') else None


def lstm(
    xs: jax.Array,
    states: Sequence[jax.Array],
    lengths: jax.Array | None,
    weights: Sequence[jax.Array],
    layers: int,
    sides: str,
) -> tuple[jax.Array, list[jax.Array]] | None:
    """Several layers of LSTM: the outputs (T, N, hidden_size or twice that) and the last states, or None.

    None says that cuDNN does not serve: it is not there, or arrays are not of float32, empty, of symbolic sizes, or
    are mapped by `jax.shard_map`.

    Args:
        xs: the sequence, (T, N, C).
        states: h and c, each (rows, N, hidden_size), with a row for each layer and direction.
        lengths: the valid steps of each example; None if all are. There, `xs` is 0 beyond them.
        weights: i2h_weight, h2h_weight, i2h_bias, h2h_bias of each row, gates in MXNet's order, which is cuDNN's.
        layers: how many.
        sides: 'l', or 'lr' for both directions.
    """
    arrays = xs, *states, *weights
    if not all(array.dtype == jnp.float32 and is_static(array.shape) and array.size for array in arrays):
        return None
    if not all(jax.typeof(array).sharding.mesh.empty for array in arrays):
        return None
    steps = xs.shape[0]
    try:
        network = _network(xs.shape, states[0].shape, layers, sides, _CONFIG.jax_default_matmul_precision)
    except (RuntimeError, NotImplementedError):  # no GPU, or a precision that cuDNN does not know
        return None
    if network is None:
        return None
    full = jnp.full(xs.shape[1], steps, 'int32')
    given = full if lengths is None else jnp.clip(lengths, 0, steps).astype('int32')
    # cuDNN wants a step at least.
    outputs, *last, _ = lstm_p.bind(xs, *states, jnp.maximum(given, 1), *weights, network=network)
    if lengths is not None:
        some = (given > 0)[None, :, None]
        outputs = jnp.where(some, outputs, 0)
        last = [jnp.where(some, after, before) for after, before in zip(last, states, strict=True)]
    return outputs, last


@functools.cache
def _network(shape: Sequence[int], states: Sequence[int], layers: int, sides: str, precision: Any) -> Network | None:
    if library() is None:
        return None
    (steps, batch, inputs), (rows, _, hidden) = shape, states
    widths = [inputs if layer == 0 else hidden * len(sides) for layer in range(layers) for _ in sides]
    sizes = (4 * hidden * (width + hidden + 2) for width in widths)
    arrays = (batch, steps, inputs), (rows, batch, hidden), (rows, batch, hidden), (sum(sizes),)
    forms = [jax.ShapeDtypeStruct(form, 'float32') for form in arrays]
    network = Network(layers, sides, precision, 0)
    run = functools.partial(library().lstm_fwd, **_settings(network, inputs, hidden))
    reserve = jax.eval_shape(run, *forms, jax.ShapeDtypeStruct((batch,), 'int32'))[1][-1]
    return network._replace(reserve=math.prod(reserve.shape))


def _settings(network: Network, inputs: int, hidden: int) -> dict[str, Any]:
    return {
        'input_size': inputs,
        'hidden_size': hidden,
        'num_layers': network.layers,
        'dropout': 0.0,
        'bidirectional': len(network.sides) == 2,
        'precision': network.precision,
    }


# What the primitives compute.


def by_scan(
    xs: jax.Array, h: jax.Array, c: jax.Array, lengths: jax.Array, *weights: jax.Array, network: Network
) -> tuple[jax.Array, ...]:
    """The outputs, the last states, and zeros for what cuDNN keeps, by one scan for each layer and direction."""
    last = []
    for _ in range(network.layers):
        outputs = []
        for side in network.sides:
            row = len(last)
            own = weights[WEIGHTS * row : WEIGHTS * (row + 1)]
            begin = h[row], c[row]
            y, after = one_direction(_step, summed, xs, begin, own, lengths=lengths, backwards=side == 'r')
            last.append(after)
            outputs.append(y)
        xs = jnp.concatenate(outputs, 2)
    return xs, *(jnp.stack(kind) for kind in zip(*last, strict=True)), jnp.zeros(network.reserve)


def _step(states: Sequence[jax.Array], gates: jax.Array) -> list[jax.Array]:
    return equations.lstm(gates, states)


def by_cudnn(
    xs: jax.Array, h: jax.Array, c: jax.Array, lengths: jax.Array, *weights: jax.Array, network: Network
) -> tuple[jax.Array, ...]:
    """The outputs, the last states, and what cuDNN keeps for the backward pass."""
    settings = _settings(network, xs.shape[2], h.shape[2])
    run = functools.partial(library().lstm_fwd, **settings)
    (y, h, c), residuals = run(xs.swapaxes(0, 1), h, c, packed(weights), lengths)
    return y.swapaxes(0, 1), h, c, residuals[-1]


def packed(weights: Sequence[jax.Array]) -> jax.Array:
    """The weights in one row, as cuDNN has them: the matrices of each layer and direction, then the biases."""
    rows = [weights[i : i + WEIGHTS] for i in range(0, len(weights), WEIGHTS)]
    return jnp.concatenate(
        [array.ravel() for part in (slice(0, 2), slice(2, 4)) for row in rows for array in row[part]]
    )


def unpacked(flat: jax.Array, like: Sequence[jax.Array]) -> list[jax.Array]:
    """The weights of `packed`, of the shapes of these."""
    places = range(len(like))
    order = [i for part in ((0, 1), (2, 3)) for i in places if i % WEIGHTS in part]
    ends = [0]
    for i in order:
        ends.append(ends[-1] + like[i].size)
    found = {i: flat[ends[k] : ends[k + 1]].reshape(like[i].shape) for k, i in enumerate(order)}
    return [found[i] for i in places]


def gradients_by_scan(*arrays: jax.Array, network: Network) -> list[jax.Array]:
    """The gradients of sequence, states and weights.

    Args:
        *arrays: those of `by_scan`, its results, and the gradients of the first three of these.
        network: see there.
    """
    given, _, cotangents = _divided(arrays)
    run, floats = _of_floats(given, network)
    return list(jax.vjp(run, *floats)[1](cotangents))


def gradients_by_cudnn(*arrays: jax.Array, network: Network) -> list[jax.Array]:
    """As `gradients_by_scan`."""
    (xs, h, c, lengths, *weights), (y, _, _, reserve), (slope, *slopes) = _divided(arrays)
    settings = _settings(network, xs.shape[2], h.shape[2])
    residuals = xs.swapaxes(0, 1), h, c, packed(weights), lengths, y.swapaxes(0, 1), reserve
    slopes = slope.swapaxes(0, 1), *slopes
    xs, h, c, flat, _ = library().lstm_bwd(*settings.values(), residuals, slopes)
    return [xs.swapaxes(0, 1), h, c, *unpacked(flat, weights)]


def tangents_by_scan(*arrays: jax.Array, network: Network) -> list[jax.Array]:
    """What tangents of sequence, states and weights, the last arguments, add to outputs and states."""
    floats = _tangents_among(arrays)
    run, primals = _of_floats(arrays[: floats + 1], network)
    tangents = list(arrays[-floats:])
    return list(jax.jvp(run, primals, tangents)[1])


RESULTS = 4  # outputs, h, c, and what cuDNN keeps
LENGTHS = 3  # where they stand among the arguments


def _divided(arrays: Sequence[jax.Array]) -> tuple[Sequence[jax.Array], ...]:
    """Arguments, results, and gradients of the results but the last."""
    end = len(arrays) - RESULTS + 1
    return arrays[: end - RESULTS], arrays[end - RESULTS : end], arrays[end:]


def _tangents_among(arrays: Sequence[jax.Array]) -> int:
    """How many of the arguments, lengths, results and tangents are tangents."""
    return (len(arrays) - 1 - RESULTS) // 2


def _of_floats(given: Sequence[jax.Array], network: Network) -> tuple[Callable[..., Any], list[jax.Array]]:
    """The scan as a function of what has gradients, which is all but the lengths; and that."""

    def run(*floats: jax.Array) -> tuple[jax.Array, ...]:
        return by_scan(*floats[:LENGTHS], given[LENGTHS], *floats[LENGTHS:], network=network)[:-1]

    return run, _without_lengths(given)


def _without_lengths(arrays: Sequence[Any]) -> list[Any]:
    return [*arrays[:LENGTHS], *arrays[LENGTHS + 1 :]]


# The primitives.


def _primitive(name: str, plain: Callable[..., Any], cuda: Callable[..., Any] | None = None) -> Any:
    """Has the rules of the scan for everything, but is computed by `cuda` there."""
    primitive: Any = Primitive(name)
    primitive.multiple_results = True

    def abstract(*forms: Any, **settings: Any) -> list[Any]:
        made = jax.eval_shape(functools.partial(plain, **settings), *forms)
        return [forms[0].update(shape=form.shape, dtype=form.dtype, weak_type=False) for form in made]

    def batched(arrays: Sequence[Any], axes: Sequence[Any], **settings: Any) -> tuple[Any, list[int]]:
        results = jax.vmap(functools.partial(plain, **settings), axes)(*arrays)
        return results, [0] * len(results)

    def with_tangents(arrays: Sequence[Any], tangents: Sequence[Any], **settings: Any) -> Any:
        return jax.jvp(functools.partial(plain, **settings), tuple(arrays), tuple(map(ad.instantiate_zeros, tangents)))

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames='network'))
    for platform, compute in ((None, plain), ('cuda', cuda)):
        if compute is not None:
            mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=True), platform=platform)
    batching.primitive_batchers[primitive] = batched
    ad.primitive_jvps[primitive] = with_tangents
    return primitive


lstm_p: Any = _primitive('lstm', by_scan, by_cudnn)
gradients_p: Any = _primitive('lstm_gradients', gradients_by_scan, gradients_by_cudnn)
tangents_p: Any = _primitive('lstm_tangents', tangents_by_scan)


def _lstm_with_tangents(arrays: Sequence[Any], tangents: Iterable[Any], *, network: Network) -> Any:
    results = lstm_p.bind(*arrays, network=network)
    slopes = _without_lengths([*map(ad.instantiate_zeros, tangents)])
    found = tangents_p.bind(*arrays, *results, *slopes, network=network)
    return results, [*found, ad.Zero(jax.typeof(results[-1]).to_tangent_aval())]


def _transposed_tangents(cotangents: Sequence[Any], *arrays: Any, network: Network) -> list[Any]:
    """The gradients of those arguments whose tangents are asked for."""
    floats = _tangents_among(arrays)
    slopes = gradients_p.bind(*arrays[:-floats], *map(ad.instantiate_zeros, cotangents), network=network)
    unknown = map(ad.is_undefined_primal, arrays[-floats:])
    return [None] * (len(arrays) - floats) + [s if asked else None for s, asked in zip(slopes, unknown, strict=True)]


ad.primitive_jvps[lstm_p] = _lstm_with_tangents
ad.primitive_transposes[tangents_p] = _transposed_tangents
