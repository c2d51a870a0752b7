"""The operators of networks that were hybridized under `npx.set_np()`: NumPy's shapes, dtypes and scalars."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.mx.op.attributes import DType, Shape, dtype_of
from gluonjax.mx.op.elementwise import ARITHMETIC, UNARY, absolute, all_alike, maximum, minimum, same_rank
from gluonjax.mx.op.index import product_shapes
from gluonjax.mx.op.reduce import greatest, smallest
from gluonjax.mx.op.shape import SKIP, reshaped
from gluonjax.mx.op.table import operator

Unary = Callable[[jax.Array], jax.Array]
Binary = Callable[[Any, Any], jax.Array]


def _is_float(x: jax.Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.inexact)


def _in_own_dtype(function: Unary) -> Unary:
    """The function, in the dtype of what it is given: of ints the result is rounded to zero, as MXNet 1.9 does."""
    return lambda x: function(x) if _is_float(x) else function(x.astype('float32')).astype(x.dtype)


def _of_floats(function: Unary) -> Unary:
    """The function of floating point, which leaves ints alone."""
    return lambda x: function(x) if _is_float(x) else x


_EXACT = ['negative', 'sign', 'square']
_ROUNDING = ['ceil', 'floor', 'trunc', 'fix', 'rint']
_FLOATING = (
    'reciprocal exp expm1 log log10 log2 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh '
    'arccosh arctanh degrees radians'
)
NUMPY_UNARY: Mapping[str, Unary] = {
    **{name: UNARY[name] for name in _EXACT},
    **{name: _of_floats(UNARY[name]) for name in _ROUNDING},
    **{name: _in_own_dtype(UNARY[name]) for name in _FLOATING.split()},
    'absolute': absolute,
    'logical_not': jnp.logical_not,
    'bitwise_not': jnp.bitwise_not,
    'isnan': jnp.isnan,
    'isinf': jnp.isinf,
    'isfinite': jnp.isfinite,
    'isposinf': jnp.isposinf,
    'isneginf': jnp.isneginf,
}


def _enter_unary(name: str, function: Unary, *aliases: str) -> None:
    @operator(f'_npi_{name}', *aliases, infer=all_alike)
    def unary(x: jax.Array) -> jax.Array:
        return function(x)


for _name, _function in NUMPY_UNARY.items():
    _enter_unary(_name, _function, *(['_npi_abs'] if _name == 'absolute' else []))


def _kept(function: Binary) -> Binary:
    """The function, in the dtype that its operands share."""
    return lambda a, b: function(a, b).astype(jnp.result_type(a, b))


NUMPY_BINARY: Mapping[str, Binary] = {
    'add': jnp.add,
    'subtract': jnp.subtract,
    'multiply': jnp.multiply,
    'true_divide': jnp.true_divide,
    'mod': ARITHMETIC['mod'],
    'power': jnp.power,
    'equal': jnp.equal,
    'not_equal': jnp.not_equal,
    'greater': jnp.greater,
    'greater_equal': jnp.greater_equal,
    'less': jnp.less,
    'less_equal': jnp.less_equal,
    'arctan2': _kept(jnp.arctan2),
    'hypot': _kept(jnp.hypot),
    'copysign': _kept(jnp.copysign),
    'ldexp': _kept(lambda a, b: a * jnp.exp2(b)),
    'bitwise_and': jnp.bitwise_and,
    'bitwise_or': jnp.bitwise_or,
    'bitwise_xor': jnp.bitwise_xor,
    'lcm': jnp.lcm,
}
_NAMED_X = ('arctan2', 'hypot')  # whose inputs are x1 and x2


def _enter_binary(name: str, function: Binary) -> None:
    if name in _NAMED_X:

        @operator(f'_npi_{name}')
        def of_x(x1: jax.Array, x2: jax.Array) -> jax.Array:
            return function(*same_rank(x1, x2))

    else:

        @operator(f'_npi_{name}')
        def binary(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
            return function(*same_rank(lhs, rhs))


def _enter_scalar(name: str, function: Binary) -> None:
    @operator(name, infer=all_alike)
    def scalar(data: jax.Array, *, scalar: float = 1.0, is_int: bool = True) -> jax.Array:
        return function(data, int(scalar) if is_int else scalar)


def _swapped(function: Binary) -> Binary:
    return lambda a, b: function(b, a)


for _name, _binary in NUMPY_BINARY.items():
    _enter_binary(_name, _binary)
    if _name != 'hypot':
        _enter_scalar(f'_npi_{_name}_scalar', _binary)
    if _name in ('subtract', 'true_divide', 'mod', 'power', 'arctan2', 'copysign', 'ldexp'):
        _enter_scalar(f'_npi_r{_name}_scalar', _swapped(_binary))


# Reductions.


def _enter_reduction(name: str, function: Callable[..., jax.Array], *aliases: str) -> None:
    @operator(name, *aliases)
    def reduction(
        a: jax.Array,
        *,
        axis: Shape | None = None,
        dtype: DType | None = None,
        keepdims: bool = False,
        initial: float | None = None,
    ) -> jax.Array:
        options: dict[str, Any] = {} if initial is None else {'initial': initial}
        wanted = None if dtype is None else dtype_of(dtype)
        if _is_float(a) and wanted is not None:  # MXNet adds floats before it makes them ints
            return function(a, axis=axis, dtype=None, keepdims=keepdims, **options).astype(wanted)
        return function(a, axis=axis, dtype=wanted, keepdims=keepdims, **options)


def _mean(a: jax.Array, axis: Any, dtype: Any, keepdims: bool) -> jax.Array:
    return jnp.mean(a, axis=axis, dtype=dtype, keepdims=keepdims)


_enter_reduction('_np_sum', jnp.sum)
_enter_reduction('_np_prod', jnp.prod, '_np_product')
_enter_reduction('_npi_mean', _mean)


def _enter_extremum(name: str, function: Callable[..., jax.Array], bound: Binary, *aliases: str) -> None:
    @operator(name, *aliases)
    def extremum(
        a: jax.Array, *, axis: Shape | None = None, keepdims: bool = False, initial: float | None = None
    ) -> jax.Array:
        result = function(a, axis=axis, keepdims=keepdims)
        return result if initial is None else bound(result, initial)


_enter_extremum('_np_max', greatest, maximum, '_np_amax')
_enter_extremum('_np_min', smallest, minimum, '_np_amin')


def _enter_spread(name: str, function: Callable[..., jax.Array]) -> None:
    @operator(name)
    def spread(
        a: jax.Array,
        *,
        axis: Shape | None = None,
        dtype: DType | None = None,
        ddof: int = 0,
        keepdims: bool = False,
    ) -> jax.Array:
        return function(a, axis=axis, ddof=ddof, keepdims=keepdims).astype(
            a.dtype if dtype is None else dtype_of(dtype)
        )


_enter_spread('_npi_std', jnp.std)
_enter_spread('_npi_var', jnp.var)


def _enter_test(name: str, function: Callable[..., jax.Array], *aliases: str) -> None:
    @operator(name, *aliases)
    def test(data: jax.Array, *, axis: Shape | None = None, keepdims: bool = False) -> jax.Array:
        return function(data, axis=axis, keepdims=keepdims)


_enter_test('_np_all', jnp.all)
_enter_test('_np_any', jnp.any, '_np_sometrue')


def _enter_search(name: str, function: Callable[..., jax.Array]) -> None:
    @operator(name)
    def search(data: jax.Array, *, axis: int | None = None, keepdims: bool = False) -> jax.Array:
        return function(data, axis=axis, keepdims=keepdims)


_enter_search('_npi_argmax', jnp.argmax)
_enter_search('_npi_argmin', jnp.argmin)


@operator('_np_cumsum', 'cumsum')
def cumsum(a: jax.Array, *, axis: int | None = None, dtype: DType | None = None) -> jax.Array:
    """The sums up to each element."""
    return jnp.cumsum(a, axis, None if dtype is None else dtype_of(dtype))


@operator('_npi_diff')
def diff(a: jax.Array, *, n: int = 1, axis: int = -1) -> jax.Array:
    """Differences of neighbours, n times."""
    return jnp.diff(a, n, axis)


@operator('_npi_around')
def around(x: jax.Array, *, decimals: int = 0) -> jax.Array:
    """Rounded; halves to even numbers."""
    return jnp.round(x, decimals)


@operator('_npi_nan_to_num')
def nan_to_num(
    data: jax.Array, *, copy: bool = True, nan: float = 0, posinf: float | None = None, neginf: float | None = None
) -> jax.Array:
    """Numbers in place of NaN and infinities."""
    return jnp.nan_to_num(data, nan=nan, posinf=posinf, neginf=neginf)


@operator('_npi_average', only_if={'weights': lambda a: a['weighted']}, outputs=lambda a: 2 if a['returned'] else 1)
def average(
    a: jax.Array,
    weights: jax.Array | None = None,
    *,
    axis: Shape | None = None,
    returned: bool = False,
    weighted: bool = True,
) -> Any:
    """The weighted mean, and with `returned` the sum of the weights."""
    along: Any = axis[0] if axis is not None and len(axis) == 1 else axis  # weights may be of this one axis
    return jnp.average(a, along, weights, returned=returned)


# Shapes.

NUMPY_CODES = {-2: 0, -3: SKIP, -4: -2, -5: -3, -6: -4}  # those of `npx.reshape` in those of `Reshape`


@operator('_npx_reshape', '_npi_reshape')
def npx_reshape(a: jax.Array, *, newshape: Shape, reverse: bool = False, order: str = 'C') -> jax.Array:
    """In another shape: -1 the rest, -2 keeps an axis, -3 drops one of size 1, -4 keeps all, -5 joins, -6 splits."""
    return a.reshape(reshaped(a.shape, [NUMPY_CODES.get(code, code) for code in newshape], reverse))


@operator('_np_reshape')
def np_reshape(a: jax.Array, *, newshape: Shape, order: str = 'C') -> jax.Array:
    """In another shape."""
    return a.reshape(newshape)


@operator('_np_transpose')
def np_transpose(a: jax.Array, *, axes: Shape | None = None) -> jax.Array:
    """The axes in another order, by default reversed."""
    return jnp.transpose(a, axes or None)


@operator('_np_squeeze')
def np_squeeze(a: jax.Array, *, axis: Shape | None = None) -> jax.Array:
    """Without axes of size 1."""
    return jnp.squeeze(a, axis)


@operator('_np_moveaxis')
def moveaxis(a: jax.Array, *, source: Shape, destination: Shape) -> jax.Array:
    """Axes at other places."""
    return jnp.moveaxis(a, source, destination)


@operator('_np_roll')
def roll(data: jax.Array, *, shift: Shape | None = None, axis: Shape | None = None) -> jax.Array:
    """Elements moved along axes; those that leave at the end come in at the beginning."""
    if axis is None:
        return jnp.roll(data, (shift or (0,))[0])
    shifts = shift or (0,)
    return jnp.roll(data, shifts if len(shifts) == len(axis) else shifts * len(axis), axis)


@operator('_npi_flip')
def np_flip(data: jax.Array, *, axis: Shape) -> jax.Array:
    """From the last to the first along axes."""
    return jnp.flip(data, axis)


@operator('_npi_rot90')
def rot90(data: jax.Array, *, k: int = 1, axes: Shape | None = None) -> jax.Array:
    """Turned in the plane of two axes."""
    first, second = axes or (0, 1)
    return jnp.rot90(data, k, (first, second))


@operator('_npi_broadcast_to')
def np_broadcast_to(array: jax.Array, *, shape: Shape = ()) -> jax.Array:
    """With axes of other sizes; -2 keeps one."""
    old = (1,) * (len(shape) - array.ndim) + array.shape
    return jnp.broadcast_to(array, [now if size == -2 else size for size, now in zip(shape, old, strict=True)])


@operator('_npi_concatenate')
def np_concatenate(*data: jax.Array, num_args: int = 0, axis: int | None = 0, dim: int = 1) -> jax.Array:
    """Arrays one behind the other along an axis; flattened if it is None."""
    return jnp.concatenate([x.reshape(-1) for x in data] if axis is None else data, axis or 0)


@operator('_npi_stack')
def np_stack(*data: jax.Array, axis: int = 0, num_args: int = 0) -> jax.Array:
    """Arrays along a new axis."""
    return jnp.stack(data, axis)


def _enter_stack(name: str, function: Callable[..., jax.Array]) -> None:
    @operator(name)
    def stacked(*data: jax.Array, num_args: int = 0, dim: int = 1) -> jax.Array:
        return function(data)


_enter_stack('_npi_vstack', jnp.vstack)
_enter_stack('_npi_hstack', jnp.hstack)
_enter_stack('_npi_dstack', jnp.dstack)
_enter_stack('_npi_column_stack', jnp.column_stack)


def _enter_split(name: str, axis_of: Callable[[jax.Array], int]) -> None:
    @operator(name, outputs=lambda a: a['sections'] or len(a['indices']))
    def parts(
        data: jax.Array, *, indices: Shape = (), axis: int = 1, squeeze_axis: bool = False, sections: int = 0
    ) -> list[jax.Array]:
        return jnp.split(data, sections or list(indices[1:]), axis_of(data))


_enter_split('_npi_hsplit', lambda x: 0 if x.ndim == 1 else 1)
_enter_split('_npi_dsplit', lambda x: 2)


def _enter_atleast(name: str, function: Callable[..., Any]) -> None:
    @operator(name, outputs=lambda a: a['num_args'])
    def atleast(*arys: jax.Array, num_args: int = 1) -> list[jax.Array]:
        return [function(x) for x in arys]


_enter_atleast('_np_atleast_1d', jnp.atleast_1d)
_enter_atleast('_np_atleast_2d', jnp.atleast_2d)
_enter_atleast('_np_atleast_3d', jnp.atleast_3d)


@operator('_np_diag')
def np_diag(data: jax.Array, *, k: int = 0) -> jax.Array:
    """The diagonal of a matrix, or a matrix with this diagonal."""
    return jnp.diag(data, k)


@operator('_np_diagflat')
def diagflat(data: jax.Array, *, k: int = 0) -> jax.Array:
    """A matrix with these elements on a diagonal."""
    return jnp.diagflat(data, k)


@operator('_np_diagonal')
def diagonal(data: jax.Array, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The diagonal of the matrices in two axes."""
    return jnp.diagonal(data, offset, axis1, axis2)


@operator('_np_trace')
def trace(data: jax.Array, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The sum of the diagonal."""
    return jnp.trace(data, offset, axis1, axis2)


@operator('_npi_tril')
def tril(data: jax.Array, *, k: int = 0) -> jax.Array:
    """Zeros above a diagonal."""
    return jnp.tril(data, k)


PadMode = Literal['constant', 'edge', 'maximum', 'minimum', 'reflect', 'symmetric']


@operator('_npi_pad')
def np_pad(
    data: jax.Array,
    *,
    pad_width: Shape,
    mode: PadMode = 'constant',
    constant_value: float = 0,
    reflect_type: str = 'even',
) -> jax.Array:
    """With more elements before and behind along each axis."""
    pairs = list(zip(pad_width[::2], pad_width[1::2], strict=True))
    return jnp.pad(data, pairs, mode, **({'constant_values': constant_value} if mode == 'constant' else {}))


# Products.


@operator('_np_dot', infer=product_shapes('a', 'b', -2))
def np_dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """NumPy's dot."""
    return jnp.dot(a, b)


@operator('_npi_matmul', infer=product_shapes('a', 'b', -2))
def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """NumPy's matmul."""
    return jnp.matmul(a, b)


@operator('_npi_einsum')
def einsum(*data: jax.Array, num_args: int = 0, subscripts: str = '', optimize: int = 0) -> jax.Array:
    """The sum of products that the subscripts describe."""
    return jnp.einsum(subscripts, *data)


@operator('_npi_tensordot')
def tensordot(a: jax.Array, b: jax.Array, *, a_axes_summed: Shape, b_axes_summed: Shape) -> jax.Array:
    """The sum of products over axes of both."""
    return jnp.tensordot(a, b, (a_axes_summed, b_axes_summed))


@operator('_npi_tensordot_int_axes')
def tensordot_int_axes(a: jax.Array, b: jax.Array, *, axes: int) -> jax.Array:
    """The sum of products over the last axes of one and the first of the other."""
    return jnp.tensordot(a, b, axes)


# Choice.


@operator('_npi_where')
def np_where(condition: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """From x where the condition is not 0, from y elsewhere."""
    condition, x, y = same_rank(condition, x, y)
    return jnp.where(condition != 0, x, y)


@operator('_npi_where_lscalar')
def where_lscalar(condition: jax.Array, x: jax.Array, *, scalar: float = 0) -> jax.Array:
    """A number where the condition is not 0, from x elsewhere."""
    condition, x = same_rank(condition, x)
    return jnp.where(condition != 0, jnp.asarray(scalar, x.dtype), x)


@operator('_npi_where_rscalar')
def where_rscalar(condition: jax.Array, y: jax.Array, *, scalar: float = 0) -> jax.Array:
    """From y where the condition is not 0, a number elsewhere."""
    condition, y = same_rank(condition, y)
    return jnp.where(condition != 0, y, jnp.asarray(scalar, y.dtype))


@operator('_npi_where_scalar2')
def where_scalar2(condition: jax.Array, *, x: float = 0, y: float = 0) -> jax.Array:
    """A number where the condition is not 0, another elsewhere."""
    return jnp.where(condition != 0, x, y)


# What makes arrays.


@operator('_npi_arange')
def np_arange(
    *,
    start: float,
    stop: float | None = None,
    step: float = 1,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: str = '',
    dtype: DType = 'float32',
) -> jax.Array:
    """Numbers in equal steps."""
    first, last = (0.0, start) if stop is None else (start, stop)
    return jnp.repeat(jnp.arange(first, last, step), repeat).astype(dtype_of(dtype))


@operator('_npi_eye')
def np_eye(*, N: int, M: int | None = None, k: int = 0, ctx: str = '', dtype: DType = 'float32') -> jax.Array:
    """Ones on a diagonal."""
    return jnp.eye(N, M, k, dtype_of(dtype))


@operator('_npi_identity')
def np_identity(*, shape: Shape = (), ctx: str = '', dtype: DType = 'float32') -> jax.Array:
    """Ones on the diagonal."""
    return jnp.eye(shape[0], dtype=dtype_of(dtype))


@operator('_npi_full_like')
def full_like(a: jax.Array, *, fill_value: float, ctx: str = '', dtype: DType | None = None) -> jax.Array:
    """One number everywhere."""
    return jnp.full_like(a, fill_value, None if dtype is None else dtype_of(dtype))


@operator('_npi_indices')
def indices(*, dimensions: Shape, dtype: DType = 'int32', ctx: str = '') -> jax.Array:
    """The coordinates of every element of an array of this shape, along a new first axis."""
    return jnp.indices(dimensions, dtype_of(dtype))


@operator('_npi_logspace')
def logspace(
    *,
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    base: float = 10,
    ctx: str = '',
    dtype: DType = 'float32',
) -> jax.Array:
    """Powers of a base, whose exponents are in equal steps."""
    return jnp.logspace(start, stop, num, endpoint, base, dtype_of(dtype))


def _enter_window(name: str, function: Callable[[int], jax.Array]) -> None:
    @operator(name)
    def window(*, M: int | None = None, ctx: str = '', dtype: DType = 'float32') -> jax.Array:
        return function(1 if M is None else M).astype(dtype_of(dtype))


_enter_window('_npi_hanning', jnp.hanning)
_enter_window('_npi_hamming', jnp.hamming)
_enter_window('_npi_blackman', jnp.blackman)


@operator('_npi_polyval')
def polyval(p: jax.Array, x: jax.Array) -> jax.Array:
    """The polynomial with these coefficients, the highest first."""
    return jnp.polyval(p, x)


@operator('_npi_percentile', only_if={'q': lambda a: a['q_scalar'] is None})
def percentile(
    a: jax.Array,
    q: jax.Array | None = None,
    *,
    axis: Shape | None = None,
    interpolation: Literal['linear', 'lower', 'higher', 'midpoint', 'nearest'] = 'linear',
    keepdims: bool = False,
    q_scalar: float | None = None,
) -> jax.Array:
    """Percentiles along axes."""
    wanted: Any = q if q_scalar is None else q_scalar
    return jnp.percentile(a, wanted, axis, method=interpolation, keepdims=keepdims)
