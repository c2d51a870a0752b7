"""Operators of neural networks. Where a layer of `gluonjax.nn` does the same, both call the same code."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import checks
from gluonjax.mx.op.attributes import DType, Shape, dtype_of
from gluonjax.mx.op.elementwise import all_alike
from gluonjax.mx.op.table import Attributes, Pass, Shapes, operator
from gluonjax.nn.kernels import Windows, convolve, convolve_transposed, max_in_windows
from gluonjax.nn.lookup import rows
from gluonjax.nn.norm import normalize, normalize_batch, normalize_by, standardize
from gluonjax.nn.pool import max_along, mean_in_windows
from gluonjax.nn.precision import add_bias

Layout = Literal['NCW', 'NCHW', 'NCDHW', 'NWC', 'NHWC', 'NDHWC']
Tuning = Literal['fastest', 'limited_workspace', 'off', 'None']
WITH_BIAS: Mapping[str, Callable[[Attributes], bool]] = {'bias': lambda attributes: not attributes['no_bias']}


def _layout(layout: str | None, rank: int) -> str:
    return layout or {1: 'NCW', 2: 'NCHW', 3: 'NCDHW'}[rank]


def _sizes(shape: Shape, rank: int, default: int) -> tuple[int, ...]:
    return shape or (default,) * rank


def _weight_shape(attributes: Attributes, shapes: Shapes) -> Shapes:
    """Of a convolution: outputs where the data has its batch, the inputs of one group where it has channels."""
    kernel, filters, groups = attributes['kernel'], attributes['num_filter'], attributes['num_group']
    layout, data = _layout(attributes.get('layout'), len(kernel)), shapes['data']
    inputs = None if data is None or data[layout.index('C')] is None else data[layout.index('C')] // groups
    weight = (filters, inputs, *kernel) if layout[1] == 'C' else (filters, *kernel, inputs)
    known = {'weight': weight, 'bias': (filters,)}
    if data is not None and shapes['output'] is not None:
        known['data'] = _before_convolution(attributes, layout, data, shapes['output'])
    return known


def _before_convolution(attributes: Attributes, layout: str, data: Shape, output: Shape) -> tuple[int | None, ...]:
    """The shape of the data with what the output says of it: the batch, and the sizes where strides are 1."""
    rank, found = len(attributes['kernel']), list(data)
    names = ('stride', 1), ('dilate', 1), ('pad', 0)
    strides, dilation, padding = (_sizes(attributes[name], rank, default) for name, default in names)
    for i, kernel in enumerate(attributes['kernel']):
        axis = layout.index('DHW'[3 - rank + i])
        if found[axis] is None and strides[i] == 1 and output[axis] is not None:
            found[axis] = output[axis] + dilation[i] * (kernel - 1) - 2 * padding[i]
    return (output[0] if data[0] is None else data[0], *found[1:])


@operator('Convolution', 'Convolution_v1', '_npx_convolution', only_if=WITH_BIAS, infer=_weight_shape)
def convolution(
    data: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: int,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: Tuning | None = None,
    cudnn_off: bool = False,
    layout: Layout | None = None,
) -> jax.Array:
    """Convolution along one to three axes."""
    rank = len(kernel)
    axes = _layout(layout, rank)
    strides, padding, dilation = _sizes(stride, rank, 1), _sizes(pad, rank, 0), _sizes(dilate, rank, 1)
    x, weight = checks.promoted(data, weight)
    y = convolve(x, weight, strides, padding, dilation, num_group, axes)
    return add_bias(y, bias, axes.index('C'))


def _transposed_weight_shape(attributes: Attributes, shapes: Shapes) -> Shapes:
    kernel, filters, groups = attributes['kernel'], attributes['num_filter'], attributes['num_group']
    layout, data = _layout(attributes.get('layout'), len(kernel)), shapes['data']
    inputs = None if data is None else data[layout.index('C')]
    rest = (filters // groups, *kernel) if layout[1] == 'C' else (*kernel, filters // groups)
    return {'weight': (inputs, *rest), 'bias': (filters,)}


@operator('Deconvolution', '_npx_deconvolution', only_if=WITH_BIAS, infer=_transposed_weight_shape)
def deconvolution(
    data: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    adj: Shape = (),
    target_shape: Shape = (),
    num_filter: int,
    num_group: int = 1,
    workspace: int = 512,
    no_bias: bool = True,
    cudnn_tune: Tuning | None = None,
    cudnn_off: bool = False,
    layout: Layout | None = None,
) -> jax.Array:
    """The transpose of a convolution; `target_shape` is the size of its output, and decides pad and adj."""
    rank = len(kernel)
    axes = _layout(layout, rank)
    spatial = [axis for axis, name in enumerate(axes) if name not in 'NC']
    strides, dilation = _sizes(stride, rank, 1), _sizes(dilate, rank, 1)
    padding, extra = _sizes(pad, rank, 0), _sizes(adj, rank, 0)
    grown = [
        (data.shape[axis] - 1) * step + (size - 1) * wide + 1
        for axis, step, size, wide in zip(spatial, strides, _sizes(kernel, rank, 1), dilation, strict=True)
    ]
    if target_shape and any(target_shape):
        target = _sizes(target_shape, rank, 0)
        padding = tuple((size - wanted + 1) // 2 for size, wanted in zip(grown, target, strict=True))
    else:
        target = [size - 2 * pad + more for size, pad, more in zip(grown, padding, extra, strict=True)]
    found = {'N': data.shape[0], 'C': num_filter, **dict(zip((axes[i] for i in spatial), target, strict=True))}
    shape = tuple(found[name] for name in axes)
    x, weight = checks.promoted(data, weight)
    y = convolve_transposed(x, weight, shape, strides, padding, dilation, num_group, axes)
    return add_bias(y, bias, axes.index('C'))


def _dense_shapes(attributes: Attributes, shapes: Shapes) -> Shapes:
    data, output, hidden = shapes['data'], shapes['output'], attributes['num_hidden']
    known = {'weight': (hidden, None), 'bias': (hidden,)}
    if data is not None and len(data) == 2 and output is not None:
        known['data'] = (output[0], data[1])
    if data is not None:
        features = data[1:] if attributes['flatten'] else data[-1:]
        known['weight'] = (hidden, None if None in features else math.prod(features))
    return known


@operator('FullyConnected', '_npx_fully_connected', '_sparse_FullyConnected', only_if=WITH_BIAS, infer=_dense_shapes)
def fully_connected(
    data: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    num_hidden: int,
    no_bias: bool = False,
    flatten: bool = True,
) -> jax.Array:
    """`data @ weight.T + bias`, of all axes but the first as one, or of the last axis."""
    x, weight = checks.promoted(data, weight)
    if flatten:
        x = x.reshape(x.shape[0], math.prod(x.shape[1:]))
    y = lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())))
    return add_bias(y, bias)


# Pooling.


def _pooling_windows(x: jax.Array, axes: str, a: Attributes) -> Windows:
    """Windows with the padding behind that the convention asks for: 'full' rounds the number of windows up."""
    spatial = [axis for axis, name in enumerate(axes) if name not in 'NC']
    sizes, strides, padding = [1] * x.ndim, [1] * x.ndim, [(0, 0)] * x.ndim
    rank = len(spatial)
    numbers = _sizes(a['kernel'], rank, 1), _sizes(a['stride'], rank, 1), _sizes(a['pad'], rank, 0)
    for axis, size, stride, pad in zip(spatial, *numbers, strict=True):
        free = x.shape[axis] + 2 * pad - size
        more = 0
        if a['pooling_convention'] == 'full':
            more = -free % stride
        elif a['pooling_convention'] == 'same':
            count = -(-(x.shape[axis] + 2 * pad) // stride)
            more = (count - 1) * stride - free
        sizes[axis], strides[axis], padding[axis] = size, stride, (pad, pad + more)
    return Windows(tuple(sizes), tuple(strides), tuple(padding))


def _pool(x: jax.Array, axes: str, a: Attributes) -> jax.Array:
    windows, kind = _pooling_windows(x, axes, a), a['pool_type']
    if kind == 'max':
        y = max_in_windows(x, windows)
        return lax.max(y, jnp.finfo(x.dtype).min) if jnp.issubdtype(x.dtype, jnp.floating) else y
    if kind == 'avg':
        include = a.get('count_include_pad') is not False
        counted = tuple(before if include else 0 for before, _ in windows.padding)
        return mean_in_windows(x, windows, counted)
    power = a['p_value'] or 2 if kind == 'lp' else 1
    wide = x.astype(checks.at_least_float32(x.dtype))
    powers = jnp.abs(wide) ** power if kind == 'lp' else wide
    total = lax.reduce_window(powers, np.zeros((), wide.dtype), lax.add, *windows)
    return (total ** (1 / power) if kind == 'lp' else total).astype(x.dtype)


def _pool_all(x: jax.Array, axes: str, a: Attributes) -> jax.Array:
    over, kind = tuple(axis for axis, name in enumerate(axes) if name not in 'NC'), a['pool_type']
    if kind == 'max':
        return max_along(x, over)
    if kind == 'avg':
        return x.mean(over, keepdims=True)
    if kind == 'sum':
        return x.sum(over, keepdims=True)
    power = a['p_value'] or 2
    return (jnp.abs(x) ** power).sum(over, keepdims=True) ** (1 / power)


@operator('Pooling', 'Pooling_v1', '_npx_pooling')
def pooling(
    data: jax.Array,
    *,
    kernel: Shape = (),
    pool_type: Literal['max', 'avg', 'sum', 'lp'] = 'max',
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: Literal['valid', 'full', 'same'] = 'valid',
    stride: Shape = (),
    pad: Shape = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: Layout | None = None,
) -> jax.Array:
    """The maximum, mean, sum or p-norm of windows."""
    axes = _layout(layout, data.ndim - 2)
    attributes = {
        'kernel': kernel,
        'pool_type': pool_type,
        'pooling_convention': pooling_convention,
        'stride': stride,
        'pad': pad,
        'p_value': p_value,
        'count_include_pad': count_include_pad,
    }
    return (_pool_all if global_pool else _pool)(data, axes, attributes)


# Normalization.


def _channel_shapes(names: tuple[str, ...], axis: int = 1) -> Any:
    def infer(attributes: Attributes, shapes: Shapes) -> Shapes:
        data, along = shapes['data'], attributes.get('axis', axis)
        return {} if data is None else dict.fromkeys(names, (data[along],))

    return infer


_STATISTICS = ('moving_mean', 'moving_var')
_Normalized = tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, ...]]


def _batch_norm(
    vectors: tuple[jax.Array, ...], data: jax.Array, eps: float, momentum: float, batch: bool, fix: bool, axis: int
) -> _Normalized:
    """The output, the mean, and by what it is multiplied, the inverse of a deviation; and the new statistics."""
    gamma, beta, moving_mean, moving_var = vectors
    along = axis % data.ndim
    scale = None if fix else gamma
    if not batch:
        y = normalize_by(data, moving_mean, moving_var, scale, beta, along, eps)
        return (y, moving_mean, lax.rsqrt(moving_var + eps)), (moving_mean, moving_var)
    running = moving_mean, moving_var
    y, statistics = normalize_batch(data, scale, beta, running, None, along, eps, momentum, None)
    over = tuple(i for i in range(data.ndim) if i != along)
    wide = data.astype(checks.at_least_float32(data.dtype))
    return (y, wide.mean(over), lax.rsqrt(wide.var(over) + eps)), statistics


@operator(
    'BatchNorm',
    'BatchNorm_v1',
    '_npx_batch_norm',
    'CuDNNBatchNorm',  # of 2016
    auxiliary=_STATISTICS,
    outputs=('output', 'mean', 'var'),
    visible=lambda a: 3 if a['output_mean_var'] else 1,
    infer=_channel_shapes(('gamma', 'beta', *_STATISTICS)),
)
def batch_norm(
    data: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    moving_mean: jax.Array,
    moving_var: jax.Array,
    *,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    pass_: Pass,
) -> _Normalized:
    """Batch normalization; by default gamma is taken as 1."""
    vectors = gamma, beta, moving_mean, moving_var
    batch = pass_.training and not use_global_stats
    return _batch_norm(vectors, data, eps, momentum, batch, fix_gamma, axis)


@operator(
    '_contrib_BatchNormWithReLU',
    auxiliary=_STATISTICS,
    outputs=('output', 'mean', 'var'),
    visible=lambda a: 3 if a['output_mean_var'] else 1,
    infer=_channel_shapes(('gamma', 'beta', *_STATISTICS)),
)
def batch_norm_with_relu(
    data: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    moving_mean: jax.Array,
    moving_var: jax.Array,
    *,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    pass_: Pass,
) -> _Normalized:
    """Batch normalization, then ReLU."""
    vectors = gamma, beta, moving_mean, moving_var
    batch = pass_.training and not use_global_stats
    (y, mean, var), statistics = _batch_norm(vectors, data, eps, momentum, batch, fix_gamma, axis)
    return (jax.nn.relu(y), mean, var), statistics


@operator(
    '_contrib_SyncBatchNorm',
    auxiliary=_STATISTICS,
    outputs=('output', 'mean', 'var'),
    visible=lambda a: 3 if a['output_mean_var'] else 1,
    infer=_channel_shapes(('gamma', 'beta', *_STATISTICS)),
)
def sync_batch_norm(
    data: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    moving_mean: jax.Array,
    moving_var: jax.Array,
    *,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    ndev: int = 1,
    key: str,
    pass_: Pass,
) -> _Normalized:
    """Batch normalization; under `jax.jit` the batch is whole anyway."""
    vectors = gamma, beta, moving_mean, moving_var
    batch = pass_.training and not use_global_stats
    return _batch_norm(vectors, data, eps, momentum, batch, fix_gamma, 1)


@operator(
    'LayerNorm',
    '_npx_layer_norm',
    outputs=('output', 'mean', 'std'),
    visible=lambda a: 3 if a['output_mean_var'] else 1,
    infer=_channel_shapes(('gamma', 'beta')),
)
def layer_norm(
    data: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    *,
    axis: int = -1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalization along one axis; also the mean and the standard deviation."""
    along = axis % data.ndim
    _, mean, var = standardize(data, None, None, (along,), eps)
    return normalize(data, gamma, beta, (along,), along, eps), mean, jnp.sqrt(var + eps)


@operator('InstanceNorm', infer=_channel_shapes(('gamma', 'beta')))
def instance_norm(data: jax.Array, gamma: jax.Array, beta: jax.Array, *, eps: float = 1e-3) -> jax.Array:
    """Normalization of each channel of each example."""
    return normalize(data, gamma, beta, tuple(range(2, data.ndim)), 1, eps)


@operator(
    'GroupNorm',
    outputs=('output', 'mean', 'std'),
    visible=lambda a: 3 if a['output_mean_var'] else 1,
    infer=lambda a, shapes: dict.fromkeys(('gamma', 'beta'), (a['num_groups'],)),
)
def group_norm(
    data: jax.Array,
    gamma: jax.Array,
    beta: jax.Array,
    *,
    num_groups: int = 1,
    eps: float = 1e-5,
    output_mean_var: bool = False,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalization of groups of channels of each example; also the means and standard deviations."""
    groups = data.reshape(data.shape[0], num_groups, math.prod(data.shape[1:]) // num_groups)
    _, mean, var = standardize(groups, None, None, (2,), eps)
    y = normalize(groups, gamma, beta, (2,), 1, eps).reshape(data.shape)
    return y, mean.squeeze(2), jnp.sqrt(var + eps).squeeze(2)


@operator('L2Normalization', infer=all_alike)
def l2_normalization(
    data: jax.Array, *, eps: float = 1e-10, mode: Literal['instance', 'channel', 'spatial'] = 'instance'
) -> jax.Array:
    """Divided by the 2-norm of each example, of each position or of each channel."""
    axes = {'instance': range(1, data.ndim), 'channel': [1], 'spatial': range(2, data.ndim)}[mode]
    return data / jnp.sqrt(jnp.square(data).sum(tuple(axes), keepdims=True) + eps)


@operator('LRN', outputs=('output', 'tmp_norm'), visible=lambda a: 1)
def lrn(
    data: jax.Array, *, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2, nsize: int
) -> tuple[jax.Array, jax.Array]:
    """Normalization by the squares of the `nsize` channels around each."""
    around = nsize // 2
    sizes = tuple(nsize if axis == 1 else 1 for axis in range(data.ndim))
    padding = tuple((around, around) if axis == 1 else (0, 0) for axis in range(data.ndim))
    squares = lax.reduce_window(jnp.square(data), np.zeros((), data.dtype), lax.add, sizes, (1,) * data.ndim, padding)
    norm = knorm + alpha / nsize * squares
    return data * norm**-beta, norm


# The rest.


@operator('Dropout', '_npx_dropout', outputs=('output', 'mask'), visible=lambda a: 1)
def dropout(
    data: jax.Array,
    *,
    p: float = 0.5,
    mode: Literal['training', 'always'] = 'training',
    axes: Shape = (),
    cudnn_off: bool | None = False,
    pass_: Pass,
) -> tuple[jax.Array, jax.Array]:
    """In training, zeroes elements with probability p and scales the rest; also the factors."""
    if p == 0 or not (pass_.training or mode == 'always'):
        return data, jnp.ones_like(data)
    shape = [1 if axis in axes else size for axis, size in enumerate(data.shape)]
    keep = jax.random.bernoulli(pass_.key('Dropout'), 1 - p, shape)
    factor = jnp.asarray(0.0 if p == 1 else 1 / (1 - p), data.dtype)
    mask = jnp.broadcast_to(jnp.where(keep, factor, jnp.zeros_like(factor)), data.shape)
    return jnp.where(mask == 0, jnp.zeros_like(data), data * mask), mask


def as_indices(data: jax.Array) -> jax.Array:
    """Indices of floating point as ints; fractions are dropped."""
    return data if jnp.issubdtype(data.dtype, jnp.integer) else data.astype('int32')


@operator(
    'Embedding',
    '_npx_embedding',
    '_sparse_Embedding',
    '_contrib_SparseEmbedding',
    infer=lambda a, shapes: {'weight': (a['input_dim'], a['output_dim'])},
)
def embedding(
    data: jax.Array,
    weight: jax.Array,
    *,
    input_dim: int,
    output_dim: int,
    dtype: DType = 'float32',
    sparse_grad: bool = False,
) -> jax.Array:
    """Rows of a table; indices out of range are clipped."""
    return rows(weight, as_indices(jnp.clip(data, 0, input_dim - 1)))


def _softmax(function: Any, data: jax.Array, axis: int, temperature: float | None, dtype: str | None) -> jax.Array:
    """Along an axis, in float32 at least."""
    x = data.astype(checks.at_least_float32(data.dtype)) / (temperature or 1)
    return function(x, axis).astype(data.dtype if dtype is None else dtype_of(dtype))


@operator('softmax', '_npx_softmax', only_if={'length': lambda a: bool(a['use_length'])})
def softmax(
    data: jax.Array,
    length: jax.Array | None = None,
    *,
    axis: int = -1,
    temperature: float | None = None,
    dtype: DType | None = None,
    use_length: bool | None = False,
) -> jax.Array:
    """Softmax along an axis; with `length` of its first elements only, and 0 behind them."""
    if length is None:
        return _softmax(jax.nn.softmax, data, axis, temperature, dtype)
    along = axis % data.ndim
    shape = [size for i, size in enumerate(data.shape) if i != along]
    valid = lax.broadcasted_iota('int32', data.shape, along) < jnp.expand_dims(length.reshape(shape), along)
    y = _softmax(jax.nn.softmax, jnp.where(valid, data, -jnp.inf), axis, temperature, dtype)
    return jnp.where(valid, y, jnp.zeros((), y.dtype))


def _enter_softmax(function: Any, *names: str) -> None:
    @operator(*names)
    def of_softmax(
        data: jax.Array,
        *,
        axis: int = -1,
        temperature: float | None = None,
        dtype: DType | None = None,
        use_length: bool | None = False,
    ) -> jax.Array:
        return _softmax(function, data, axis, temperature, dtype)


_enter_softmax(jax.nn.log_softmax, 'log_softmax', '_npx_log_softmax')
_enter_softmax(lambda x, axis: jax.nn.softmax(-x, axis), 'softmin')


@operator('SoftmaxActivation')
def softmax_activation(data: jax.Array, *, mode: Literal['instance', 'channel'] = 'instance') -> jax.Array:
    """Softmax along the last axis, or over channels."""
    return jax.nn.softmax(data, 1 if mode == 'channel' else -1)
