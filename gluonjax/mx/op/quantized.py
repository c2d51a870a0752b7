"""Quantized operators: integers of 8 bits with the range of real numbers that they stand for.

Every array comes with the ends of its range, each of shape (1,). With the larger absolute value of both as span, MXNet
1.9.1 on CPU counts in units of span / 127.5 for int8, span / 255.5 for uint8 and span / (2 ** 31 - 1) for int32, but in
span / 127 and span / 255 where it states the range of a product or normalizes. Both are kept, as are rounding and
saturation, so that exported networks give the same numbers.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.errors import ArgumentError
from gluonjax.mx.op.attributes import DType, Shape
from gluonjax.mx.op.nn import as_indices, convolution, pooling
from gluonjax.mx.op.table import operator

Array = jax.Array
Quantized = tuple[Array, Array, Array]  # the integers, and both ends of the range
OUTPUTS = ('output', 'min_output', 'max_output')
STEPS = {'int8': 127.0, 'uint8': 255.0, 'int32': 2.0**31 - 1}
HALVES = {'int8': 127.5, 'uint8': 255.5, 'int32': 2.0**31 - 1}
LOWEST = {'int8': -128, 'uint8': 0}


def span(low: Any, high: Any) -> Array:
    """The larger absolute value of both ends."""
    return jnp.maximum(jnp.abs(low), jnp.abs(high)).reshape(())


def unit(dtype: Any, low: Any, high: Any) -> Array:
    """What an integer 1 stands for."""
    return span(low, high) / HALVES[jnp.dtype(dtype).name]


def whole_unit(dtype: Any, low: Any, high: Any) -> Array:
    """What an integer 1 stands for where the largest integer is the end of the range."""
    return span(low, high) / STEPS[jnp.dtype(dtype).name]


def rounded(values: Array, dtype: str) -> Array:
    """The nearest integers of the dtype, saturated."""
    return jnp.clip(jnp.round(values), LOWEST[dtype], STEPS[dtype]).astype(dtype)


def with_range(values: Array, low: Any, high: Any) -> Quantized:
    """The integers with both ends of their range, each of shape (1,)."""
    return values, jnp.asarray(low, 'float32').reshape(1), jnp.asarray(high, 'float32').reshape(1)


def symmetric(values: Array, end: Any) -> Quantized:
    """The integers with a range around 0."""
    return with_range(values, -end, end)


def quantized(data: Array, dtype: str, low: Any, high: Any, one: Array) -> Quantized:
    """Real numbers as integers of this range, in a unit."""
    values = rounded(data / one, dtype)
    return with_range(values, low, high) if dtype == 'uint8' else symmetric(values, span(low, high))


def restored(data: Array, low: Any, high: Any) -> Array:
    """The real numbers that integers stand for."""
    return data.astype('float32') * unit(data.dtype, low, high)


@operator('_contrib_quantize', outputs=lambda a: 3)
def quantize(
    data: Array, min_range: Array, max_range: Array, *, out_type: Literal['int8', 'uint8'] = 'uint8'
) -> Quantized:
    """Real numbers as integers of a range."""
    return quantized(data, out_type, min_range, max_range, whole_unit(out_type, min_range, max_range))


OutType = Literal['auto', 'int8', 'uint8']


def _out_type(out_type: str, low: float | None) -> str:
    if out_type != 'auto':
        return out_type
    return 'uint8' if low is not None and low >= 0 else 'int8'


@operator('_contrib_quantize_v2', outputs=lambda a: 3)
def quantize_v2(
    data: Array,
    *,
    out_type: OutType = 'int8',
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Quantized:
    """Real numbers as integers of the range that calibration found, by default of their own."""
    low = data.min() if min_calib_range is None else min_calib_range
    high = data.max() if max_calib_range is None else max_calib_range
    dtype = _out_type(out_type, min_calib_range)
    return quantized(data, dtype, low, high, unit(dtype, low, high))


@operator('_contrib_dequantize')
def dequantize(data: Array, min_range: Array, max_range: Array, *, out_type: Literal['float32'] = 'float32') -> Array:
    """The real numbers that integers stand for."""
    return restored(data, min_range, max_range)


@operator('_contrib_requantize', outputs=lambda a: 3)
def requantize(
    data: Array,
    min_range: Array,
    max_range: Array,
    *,
    out_type: OutType = 'int8',
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Quantized:
    """An int32 in 8 bits, in the range that calibration found, by default its own."""
    real = restored(data, min_range, max_range)
    dtype = _out_type(out_type, min_calib_range)
    if min_calib_range is None or max_calib_range is None:
        end = jnp.abs(real).max()
    else:
        end = span(min_calib_range, max_calib_range)
    values = rounded(real * (STEPS[dtype] / end), dtype)
    return with_range(values, 0, end) if dtype == 'uint8' else symmetric(values, end)


# Products: sums of int32, whose range is that of the product of two units.


def _product_range(first: Array, second: Array) -> Array:
    return first * second * STEPS['int32']


_BIAS = {name: lambda attributes: not attributes['no_bias'] for name in ('bias', 'min_bias', 'max_bias')}
_RANGES = dict.fromkeys(('min_data', 'max_data', 'min_weight', 'max_weight'), lambda attributes: True)


@operator('_contrib_quantized_fully_connected', only_if=_BIAS | _RANGES, outputs=OUTPUTS)
def quantized_fully_connected(
    data: Array,
    weight: Array,
    bias: Array | None = None,
    min_data: Any = None,
    max_data: Any = None,
    min_weight: Any = None,
    max_weight: Any = None,
    min_bias: Any = None,
    max_bias: Any = None,
    *,
    num_hidden: int,
    no_bias: bool = False,
    flatten: bool = True,
) -> Quantized:
    """A linear layer of integers, (N, units) of int32."""
    x = data.reshape(data.shape[0], -1) if flatten else data
    sums = jax.lax.dot_general(x.astype('int32'), weight.astype('int32'), (((x.ndim - 1,), (1,)), ((), ())))
    ranges = (data.dtype, min_data, max_data), (weight.dtype, min_weight, max_weight)
    if bias is not None:
        scale = unit(bias.dtype, min_bias, max_bias) / (unit(*ranges[0]) * unit(*ranges[1]))
        sums = sums + jnp.trunc(bias * scale).astype('int32').reshape((1,) * (sums.ndim - 1) + (-1,))
    return symmetric(sums, _product_range(*(whole_unit(*each) for each in ranges)))


@operator('_contrib_quantized_conv', only_if=_BIAS | _RANGES, outputs=OUTPUTS)
def quantized_conv(
    data: Array,
    weight: Array,
    bias: Array | None = None,
    min_data: Any = None,
    max_data: Any = None,
    min_weight: Any = None,
    max_weight: Any = None,
    min_bias: Any = None,
    max_bias: Any = None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: int,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: Literal['NCHW', 'NCW', 'NCDHW', 'NHWC', 'NDHWC'] | None = None,
) -> Quantized:
    """A convolution of integers, of int32."""
    sums = convolution(
        data.astype('int32'),
        weight.astype('int32'),
        kernel=kernel,
        stride=stride,
        dilate=dilate,
        pad=pad,
        num_filter=num_filter,
        num_group=num_group,
        no_bias=True,
        layout=layout,
    )
    if bias is not None:  # MXNet adds it as it is, in whatever unit
        sums = sums + bias.astype('int32').reshape((1, -1) + (1,) * (sums.ndim - 2))
    # MXNet states the range as if the data were int8, also where they are uint8.
    units = whole_unit('int8', min_data, max_data), whole_unit(weight.dtype, min_weight, max_weight)
    return symmetric(sums, _product_range(*units))


# What keeps its range.


@operator('_contrib_quantized_pooling', outputs=OUTPUTS)
def quantized_pooling(
    data: Array,
    min_data: Array,
    max_data: Array,
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
    layout: Literal['NCHW', 'NCW', 'NCDHW', 'NHWC', 'NDHWC', 'NWC'] | None = None,
) -> Quantized:
    """Pooling; a mean is rounded."""
    pooled = pooling(
        data.astype('float32'),
        kernel=kernel,
        pool_type=pool_type,
        global_pool=global_pool,
        pooling_convention=pooling_convention,
        stride=stride,
        pad=pad,
        p_value=p_value,
        count_include_pad=count_include_pad,
        layout=layout,
    )
    return with_range(jnp.round(pooled).astype(data.dtype), min_data, max_data)


@operator('_contrib_quantized_flatten', outputs=OUTPUTS)
def quantized_flatten(data: Array, min_data: Array, max_data: Array) -> Quantized:
    """All axes but the first as one."""
    return with_range(data.reshape(data.shape[0], -1), min_data, max_data)


@operator('_contrib_quantized_act', outputs=OUTPUTS)
def quantized_act(
    data: Array,
    min_data: Array,
    max_data: Array,
    *,
    act_type: Literal['relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'],
) -> Quantized:
    """ReLU; MXNet has no other one of integers either.

    Raises:
        ArgumentError: for another one.
    """
    if act_type != 'relu':
        raise ArgumentError(f'a quantized activation must be relu, got {act_type!r}')
    return with_range(jnp.maximum(data, 0), min_data, max_data)


@operator('_contrib_quantized_embedding', outputs=OUTPUTS)
def quantized_embedding(
    data: Array,
    weight: Array,
    min_weight: Array,
    max_weight: Array,
    *,
    input_dim: int,
    output_dim: int,
    dtype: DType = 'float32',
    sparse_grad: bool = False,
) -> Quantized:
    """Rows of a table of integers."""
    rows = jnp.take(weight, jnp.clip(as_indices(data), 0, input_dim - 1), 0, mode='clip')
    return with_range(rows, min_weight, max_weight)


# What has a range of its own.


def _calibrated(real: Array, dtype: str, low: float, high: float) -> Quantized:
    return with_range(rounded(real / whole_unit(dtype, low, high), dtype), low, high)


@operator('_contrib_quantized_elemwise_add', outputs=OUTPUTS)
def quantized_elemwise_add(
    lhs: Array,
    rhs: Array,
    lhs_min: Array,
    lhs_max: Array,
    rhs_min: Array,
    rhs_max: Array,
    *,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Quantized:
    """The sum: of int32, or in 8 bits of the range that calibration found."""
    operands = (lhs, lhs_min, lhs_max), (rhs, rhs_min, rhs_max)
    if min_calib_range is not None and max_calib_range is not None:
        dtype = 'uint8' if lhs.dtype == rhs.dtype == jnp.uint8 else 'int8'
        steps, end = HALVES[dtype], span(min_calib_range, max_calib_range)
        scaled = (x * (span(*ends) / end * (steps / HALVES[x.dtype.name])) for x, *ends in operands)
        return with_range(rounded(sum(scaled, jnp.zeros(())), dtype), min_calib_range, max_calib_range)
    real = restored(*operands[0]) + restored(*operands[1])
    end = span(lhs_min, lhs_max) + span(rhs_min, rhs_max)
    return symmetric((real / end * STEPS['int32']).astype('int32'), end)


@operator('_contrib_quantized_elemwise_mul', outputs=lambda a: 1 if a['enable_float_output'] else OUTPUTS)
def quantized_elemwise_mul(
    lhs: Array,
    rhs: Array,
    lhs_min: Array,
    lhs_max: Array,
    rhs_min: Array,
    rhs_max: Array,
    *,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    enable_float_output: bool = False,
) -> Any:
    """The product: of int32, in 8 bits of the range that calibration found, or as real numbers."""
    real = restored(lhs, lhs_min, lhs_max) * restored(rhs, rhs_min, rhs_max)
    if enable_float_output:
        return real
    if min_calib_range is not None and max_calib_range is not None:
        return _calibrated(real, 'int8', min_calib_range, max_calib_range)
    units = whole_unit(lhs.dtype, lhs_min, lhs_max), whole_unit(rhs.dtype, rhs_min, rhs_max)
    return symmetric(lhs.astype('int32') * rhs.astype('int32'), _product_range(*units))


@operator('_contrib_quantized_concat', outputs=OUTPUTS)
def quantized_concat(*data: Array, num_args: int, dim: int = 1) -> Quantized:
    """Arrays one behind the other, in the range of all; behind them come both ends of each one's range."""
    arrays, ends = data[:num_args], data[num_args:]
    lows, highs = ends[::2], ends[1::2]
    low, high = jnp.stack(lows).min(), jnp.stack(highs).max()
    dtype = 'uint8' if all(x.dtype == jnp.uint8 for x in arrays) else 'int8'
    one = unit(dtype, low, high)
    parts = [rounded(restored(x, *pair) / one, dtype) for x, *pair in zip(arrays, lows, highs, strict=True)]
    return with_range(jnp.concatenate(parts, dim), low, high)


@operator('_contrib_quantized_batch_norm', outputs=OUTPUTS)
def quantized_batch_norm(
    data: Array,
    gamma: Array,
    beta: Array,
    moving_mean: Array,
    moving_var: Array,
    min_data: Array,
    max_data: Array,
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
) -> Quantized:
    """Batch normalization by the moving statistics, in the range that calibration found.

    Raises:
        ArgumentError: if there is no such range.
    """
    if min_calib_range is None or max_calib_range is None:
        raise ArgumentError('a quantized BatchNorm needs min_calib_range and max_calib_range')
    factor = (1.0 if fix_gamma else gamma) / jnp.sqrt(moving_var + eps)
    shape = [-1 if i == axis % data.ndim else 1 for i in range(data.ndim)]
    shift = (beta - moving_mean * factor).reshape(shape)
    real = data * whole_unit(data.dtype, min_data, max_data) * factor.reshape(shape) + shift
    return _calibrated(real, 'int8', min_calib_range, max_calib_range)
