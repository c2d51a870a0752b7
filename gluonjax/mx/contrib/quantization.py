"""`contrib.quantization`: graphs whose convolutions and linear layers compute with integers of 8 bits.

These operators take integers, and what they give is a real number again: activations, pooling and the rest stay in
float32, biases too. XLA runs integers as fast as a device has them; that the numbers are those of int8 is what it is
for here.

>>> import numpy as np
>>> from gluonjax.mx import gluon, nd
>>> net = gluon.nn.HybridSequential()
>>> net.add(gluon.nn.Dense(3, in_units=4))
>>> net.initialize()
>>> x = nd.array(np.random.RandomState(0).uniform(-1, 1, (8, 4)))
>>> small = quantize_net(net, calib_data=gluon.data.DataLoader(gluon.data.ArrayDataset(x), 4), calib_mode='naive')
>>> bool(np.abs(small(x).asnumpy() - net(x).asnumpy()).max() < 0.01)
True
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.contrib.conversion import rewritten
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.block import HybridBlock
from gluonjax.mx.gluon.graph_block import SymbolBlock
from gluonjax.mx.gluon.symbol_block import set_values
from gluonjax.mx.graph import Entry, Node
from gluonjax.mx.io.batch import DataIter
from gluonjax.mx.symbol import Group, Symbol, call, var

Arrays = Mapping[str, NDArray]
Bounds = Mapping[Entry, tuple[float, float]]  # the range of what goes into an operator
_QUANTIZED = {'Convolution': '_contrib_quantized_conv', 'FullyConnected': '_contrib_quantized_fully_connected'}
_MODES = ('none', 'naive', 'entropy')


def quantize_model(
    sym: Symbol,
    arg_params: Arrays,
    aux_params: Arrays,
    data_names: Sequence[str] = ('data',),
    label_names: Sequence[str] | None = ('softmax_label',),
    ctx: Any = None,
    excluded_sym_names: Sequence[str] | None = None,
    excluded_op_names: Sequence[str] | None = None,
    calib_mode: str | None = 'entropy',
    calib_data: Any = None,
    num_calib_examples: int | None = None,
    quantized_dtype: str = 'int8',
    quantize_mode: str = 'smart',
    quantize_granularity: str = 'tensor-wise',
    logger: Any = None,
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """A checkpoint whose convolutions and linear layers compute with integers of 8 bits.

    Args:
        sym: the graph.
        arg_params: the parameters.
        aux_params: the auxiliary states.
        data_names: the inputs, in the order in which batches have them.
        label_names: labels; accepted.
        ctx: accepted.
        excluded_sym_names: names of nodes that stay as they are.
        excluded_op_names: operators that stay as they are.
        calib_mode: how ranges of inputs are found: 'naive' from the least and greatest numbers in `calib_data`,
            'entropy' so that the distribution changes least, 'none' (or None) anew in each batch.
        calib_data: batches: a DataIter, or an iterable of arrays or of (data, label).
        num_calib_examples: of how many samples at most.
        quantized_dtype: 'int8', 'uint8' for inputs of 0 and more, or 'auto'.
        quantize_mode: accepted.
        quantize_granularity: 'tensor-wise'.
        logger: accepted.

    Raises:
        ArgumentError: for other modes and dtypes, and for ranges without data.
    """
    mode = checks.one_of('calib_mode', calib_mode or 'none', _MODES)
    checks.one_of('quantized_dtype', quantized_dtype, ('int8', 'uint8', 'auto'))
    checks.one_of('quantize_granularity', quantize_granularity, ('tensor-wise',))
    skipped = {*(excluded_sym_names or ()), *(excluded_op_names or ())}
    chosen = [node for node in sym.nodes if _is_chosen(node, arg_params, skipped)]
    entries = list(dict.fromkeys(node.inputs[0] for node in chosen))
    bounds: Bounds = {}
    if mode != 'none':
        if calib_data is None:
            raise ArgumentError(f'calib_mode={mode!r} finds ranges in data', remedy="calib_data=, or calib_mode='none'")
        known = {name: x.value for name, x in {**arg_params, **aux_params}.items()}
        batches = _batches(calib_data, data_names, num_calib_examples)
        bounds = _bounds(sym, entries, known, batches, _least_divergent if mode == 'entropy' else _extremes)
    quantized, parameters = _of_integers(sym, {node.name for node in chosen}, arg_params, bounds, quantized_dtype)
    names = {*quantized.list_arguments()}
    return quantized, {k: x for k, x in {**arg_params, **parameters}.items() if k in names}, dict(aux_params)


quantize_model_mkldnn: Callable[..., Any] = quantize_model


def _is_chosen(node: Node, arg_params: Arrays, skipped: set[str]) -> bool:
    known = node.op in _QUANTIZED and node.inputs[1].node.name in arg_params
    return known and not {node.name, str(node.op)} & skipped


def _of_integers(
    sym: Symbol, chosen: set[str], arg_params: Arrays, bounds: Bounds, dtype: str
) -> tuple[Symbol, dict[str, NDArray]]:
    """The graph, and its parameters of integers with their ranges."""
    parameters: dict[str, NDArray] = {}
    old = {node.name: node for node in sym.nodes}
    made: dict[Entry, Symbol] = {}

    def change(node: Node, inputs: list[Entry]) -> Sequence[Entry] | None:
        if node.name not in chosen:
            return None
        before = old[node.name].inputs[0]
        if before not in made:
            given = Symbol([inputs[0]])
            made[before] = _integers_of(given, before.node.name, dtype, bounds.get(before))
        weight = inputs[1].node.name
        parameters.update(_stored(weight, arg_params[weight]))
        return _node_of_integers(node, made[before], inputs, parameters).heads

    return rewritten(sym, change), parameters


def _integers_of(data: Symbol, name: str, dtype: str, bounds: tuple[float, float] | None) -> Symbol:
    low, high = bounds or (None, None)
    kind = 'int8' if dtype == 'auto' and bounds is None else dtype
    given: dict[str, Any] = {} if bounds is None else {'min_calib_range': low, 'max_calib_range': high}
    return call('_contrib_quantize_v2', data, out_type=kind, name=f'{name}_quantize', **given)


def _stored(name: str, array: NDArray) -> dict[str, NDArray]:
    """Integers of a parameter, and the ends of their range."""
    values = array.asnumpy().astype('float32')
    end = float(np.abs(values).max()) or 1.0
    whole = np.clip(np.round(values * (127 / end)), -127, 127).astype('int8')
    ends = {'min': np.array([-end], 'float32'), 'max': np.array([end], 'float32')}
    found = {f'{name}_quantize': whole, **{f'{name}_quantize_{key}': value for key, value in ends.items()}}
    return {key: NDArray(as_jax(value)) for key, value in found.items()}


def _node_of_integers(node: Node, data: Symbol, inputs: Sequence[Entry], parameters: Arrays) -> Symbol:
    """The operator of integers, its output as a real number, and the bias."""
    weight = f'{inputs[1].node.name}_quantize'
    names = (weight, f'{weight}_min', f'{weight}_max')
    values, low, high = (var(k, shape=parameters[k].shape, dtype=parameters[k].dtype) for k in names)
    own: dict[str, Any] = {k: v for k, v in node.attributes.items() if not k.startswith('__') and k != 'no_bias'}
    ranges = {'min_data': data[1], 'max_data': data[2], 'min_weight': low, 'max_weight': high}
    op = _QUANTIZED[str(node.op)]
    sums = call(op, data[0], values, **ranges, **own, no_bias=True, name=f'quantized_{node.name}')
    has_bias = len(inputs) > 2
    real = call('_contrib_dequantize', *sums, name=f'{node.name}_dequantize' if has_bias else node.name)
    if not has_bias:
        return real
    axes = () if node.op == 'FullyConnected' else (1,) * len(node.parsed['kernel'])
    bias = call('Reshape', Symbol([inputs[2]]), shape=(1, -1, *axes), name=f'{node.name}_bias_shaped')
    if node.op == 'FullyConnected' and not node.parsed['flatten']:
        bias = Symbol([inputs[2]])
    return call('broadcast_add', real, bias, name=node.name)


# Ranges.


def _batches(data: Any, names: Sequence[str], most: int | None) -> Iterator[dict[str, jax.Array]]:
    """The inputs of each batch by name, until there were enough samples."""
    if isinstance(data, DataIter):
        data.reset()
    count = 0
    for batch in data:
        given = getattr(batch, 'data', batch) if not isinstance(batch, NDArray) else batch
        arrays: Any = list(given)[: len(names)] if isinstance(given, list | tuple) else [given]
        yield {name: as_jax(array) for name, array in zip(names, arrays, strict=True)}
        count += len(arrays[0])
        if most is not None and count >= most:
            return


def _bounds(
    sym: Symbol,
    entries: Sequence[Entry],
    known: Mapping[str, jax.Array],
    batches: Iterator[dict[str, jax.Array]],
    choose: Callable[[list[np.ndarray]], tuple[float, float]],
) -> Bounds:
    inside = Symbol(entries, sym.np_shape)
    run = jax.jit(lambda values: inside.run(values)[0])
    names = {*inside.list_inputs()}
    seen: list[list[np.ndarray]] = [[] for _ in entries]
    for batch in batches:
        values = {name: x for name, x in {**known, **batch}.items() if name in names}
        for parts, array in zip(seen, run(values), strict=True):
            parts.append(np.asarray(array, 'float32').ravel())
    if entries and not seen[0]:
        raise ArgumentError('calib_data has no batches')
    return {entry: choose(parts) for entry, parts in zip(entries, seen, strict=True)}


def _extremes(parts: list[np.ndarray]) -> tuple[float, float]:
    return min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)


def _least_divergent(parts: list[np.ndarray], bins: int = 2048, levels: int = 128) -> tuple[float, float]:
    """The range whose integers lose least: by the Kullback-Leibler divergence of histograms of absolute values.

    Numbers outside of a range count at its end. Histograms of few numbers say nothing: then it is all of the range.
    """
    low, high = _extremes(parts)
    end = max(abs(low), abs(high))
    if not end or sum(part.size for part in parts) < 4 * bins:
        return low, high
    counts = sum(np.histogram(np.abs(part), bins, (0, end))[0] for part in parts)
    counts = np.asarray(counts, 'float64')
    divergences = {}
    for size in range(levels, bins + 1, 16):
        clipped = counts[:size].copy()
        clipped[-1] += counts[size:].sum()
        divergences[size] = _divergence(clipped, counts[:size], levels)
    best = min(divergences, key=lambda size: divergences[size]) * end / bins
    return max(low, -best), min(high, best)


def _divergence(wanted: np.ndarray, counts: np.ndarray, levels: int) -> float:
    """Of a distribution from what as many levels keep of it: each level is spread over its bins that have numbers."""
    level = np.arange(len(counts)) * levels // len(counts)
    present = counts > 0
    sums, sizes = np.bincount(level, counts), np.bincount(level, present)
    kept = np.where(present, sums[level] / np.maximum(sizes[level], 1), 0.0)
    p, q = wanted / wanted.sum(), kept / max(kept.sum(), 1e-30)
    where = p > 0
    return float((p[where] * np.log(p[where] / np.maximum(q[where], 1e-6))).sum())


# Networks.


def quantize_net(
    network: HybridBlock,
    quantized_dtype: str = 'auto',
    quantize_mode: str = 'full',
    exclude_layers: Sequence[str] | None = None,
    exclude_layers_match: Sequence[str] | None = None,
    exclude_operators: Sequence[str] | None = None,
    calib_data: Any = None,
    data_shapes: Any = None,
    calib_mode: str = 'none',
    num_calib_examples: int | None = None,
    ctx: Any = None,
    logger: Any = None,
) -> SymbolBlock:
    """A network of Gluon whose convolutions and linear layers compute with integers of 8 bits.

    Args:
        network: the network, with values.
        quantized_dtype: as of `quantize_model`.
        quantize_mode: accepted.
        exclude_layers: names of nodes of its graph that stay as they are.
        exclude_layers_match: patterns of such names.
        exclude_operators: operators that stay as they are.
        calib_data: as of `quantize_model`.
        data_shapes: accepted, but for their number, which is that of the inputs.
        calib_mode: as of `quantize_model`.
        num_calib_examples: of how many samples at most.
        ctx: accepted.
        logger: accepted.

    Raises:
        ArgumentError: as of `quantize_model`, and for what is no HybridBlock.
    """
    if not isinstance(network, HybridBlock):
        raise ArgumentError('quantize_net takes a HybridBlock', got=type(network).__name__)
    count = len(data_shapes) if data_shapes else 1
    names = ['data'] if count == 1 else [f'data{i}' for i in range(count)]
    output = network(*map(var, names))
    graph = output if isinstance(output, Symbol) else Group(list(output))
    matched = [n.name for n in graph.nodes if any(re.match(p, n.name) for p in exclude_layers_match or ())]
    values = {name: parameter.data() for name, parameter in network.collect_params().items()}
    states = {*graph.list_auxiliary_states()}
    quantized, arguments, auxiliary = quantize_model(
        graph,
        {name: x for name, x in values.items() if name not in states},
        {name: x for name, x in values.items() if name in states},
        names,
        excluded_sym_names=[*(exclude_layers or ()), *matched],
        excluded_op_names=exclude_operators,
        calib_mode=calib_mode,
        calib_data=calib_data,
        num_calib_examples=num_calib_examples,
        quantized_dtype=quantized_dtype,
    )
    block = SymbolBlock(quantized, [var(name) for name in names])
    set_values(block.collect_params(), {k: x.asnumpy() for k, x in {**arguments, **auxiliary}.items()}, False, False)
    block.collect_params().setattr('grad_req', 'null')
    return block


def quantize_net_v2(
    network: HybridBlock,
    quantized_dtype: str = 'auto',
    quantize_mode: str = 'full',
    quantize_granularity: str = 'tensor-wise',
    *args: Any,
    LayerOutputCollector: Any = None,
    **kwargs: Any,
) -> SymbolBlock:
    """As `quantize_net`; ranges of one's own collecting are not here.

    Raises:
        ArgumentError: for a collector.
    """
    checks.one_of('quantize_granularity', quantize_granularity, ('tensor-wise',))
    if LayerOutputCollector is not None:
        raise ArgumentError('ranges are found in calib_data', remedy="calib_mode='naive' or 'entropy'")
    return quantize_net(network, quantized_dtype, quantize_mode, *args, **kwargs)


def quantize_graph(
    sym: Symbol, arg_params: Arrays, aux_params: Arrays, ctx: Any = None, calib_mode: str = 'entropy', **kwargs: Any
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray], None]:
    """As `quantize_model` without ranges; the last output is MXNet's collector of ranges, of which there is none."""
    options = {key: kwargs[key] for key in kwargs if key in ('excluded_sym_names', 'excluded_op_names')}
    dtype = kwargs.get('quantized_dtype', 'int8')
    return (*quantize_model(sym, arg_params, aux_params, calib_mode='none', quantized_dtype=dtype, **options), None)


def calib_graph(qsym: Symbol, *args: Any, **kwargs: Any) -> Any:
    """Refused: `quantize_model` finds the ranges.

    Raises:
        ArgumentError: with what to write.
    """
    remedy = "quantize_model(sym, arg_params, aux_params, calib_mode='entropy', calib_data=batches)"
    raise ArgumentError('ranges are found when a graph is quantized', remedy=remedy)


explain_calls(globals())
