"""The functions of `mx.np` on arrays of JAX, by name: what is compiled, differentiated and recorded.

Where MXNet differs from NumPy it rules: functions of ints are in ints, extrema that are equal share no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.mx.jitted import filled
from gluonjax.mx.op.attributes import dtype_of
from gluonjax.mx.op.elementwise import maximum, minimum, same_rank
from gluonjax.mx.op.numpy import NUMPY_BINARY, NUMPY_UNARY, np_broadcast_to
from gluonjax.mx.op.reduce import greatest, smallest

Pure = Callable[..., Any]


def _dtype(dtype: Any) -> Any:
    return None if dtype is None else dtype_of(jnp.dtype(dtype).name)


def _is_float(a: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(a), jnp.inexact)


# Of one array.

_FLOATING = ('fabs', 'deg2rad', 'rad2deg')
UNARY: Mapping[str, Pure] = {
    **NUMPY_UNARY,
    'abs': NUMPY_UNARY['absolute'],
    'fabs': NUMPY_UNARY['absolute'],
    'invert': NUMPY_UNARY['bitwise_not'],
    'deg2rad': NUMPY_UNARY['radians'],
    'rad2deg': NUMPY_UNARY['degrees'],
    'positive': lambda x: x,
    'signbit': jnp.signbit,
    'i0': jnp.i0,
    'conjugate': jnp.conj,
    'real': jnp.real,
}

# Of two arrays, or of an array and a number.


def _in_dtype(function: Pure) -> Pure:
    """A number beside an array of ints is one of its ints, as MXNet has it: `int32 + 1.5` adds 1."""

    def of_two(x1: Any, x2: Any) -> Any:
        if not _is_float(x1) and jnp.ndim(x2) == 0 and jnp.ndim(x1) and _is_weak(x2):
            x2 = jnp.asarray(x2).astype(jnp.result_type(x1, jnp.result_type(1)) if _is_bool(x1) else x1.dtype)
        elif not _is_float(x2) and jnp.ndim(x1) == 0 and jnp.ndim(x2) and _is_weak(x1):
            x1 = jnp.asarray(x1).astype(jnp.result_type(x2, jnp.result_type(1)) if _is_bool(x2) else x2.dtype)
        return function(x1, x2)

    return of_two


def _is_weak(x: Any) -> bool:
    return bool(getattr(x, 'weak_type', True))


def _is_bool(x: Any) -> bool:
    return x.dtype == bool


def _broadcasting(function: Pure) -> Pure:
    """The function of arrays of other shapes, whose gradients are summed in float32 at least."""

    def of_two(x1: Any, x2: Any) -> Any:
        alike = jnp.shape(x1) == jnp.shape(x2) or jnp.ndim(x1) == 0 or jnp.ndim(x2) == 0
        return function(x1, x2) if alike else function(*same_rank(x1, x2))

    return of_two


_EXACT = ('add', 'subtract', 'multiply', 'mod', 'power')
BINARY: Mapping[str, Pure] = {
    **{name: _broadcasting(function) for name, function in NUMPY_BINARY.items()},
    **{name: _in_dtype(_broadcasting(NUMPY_BINARY[name])) for name in _EXACT},
    'maximum': _in_dtype(maximum),
    'minimum': _in_dtype(minimum),
    'divide': _broadcasting(NUMPY_BINARY['true_divide']),
    'remainder': _in_dtype(NUMPY_BINARY['mod']),
    'matmul': jnp.matmul,
    'dot': jnp.dot,
    'inner': jnp.inner,
    'outer': jnp.outer,
    'vdot': jnp.vdot,
    'float_power': jnp.float_power,
    'floor_divide': jnp.floor_divide,
    'fmod': jnp.fmod,
    'heaviside': jnp.heaviside,
    'logical_and': jnp.logical_and,
    'logical_or': jnp.logical_or,
    'logical_xor': jnp.logical_xor,
}


# Along axes.


def _summing(function: Pure) -> Pure:
    def reduction(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        start = {} if initial is None else {'initial': initial}
        if _is_float(a) and dtype is not None:  # MXNet adds floats before it makes them ints
            return function(a, axis=axis, keepdims=keepdims, **start).astype(_dtype(dtype))
        return function(a, axis=axis, dtype=_dtype(dtype), keepdims=keepdims, **start)

    return reduction


def _mean(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return jnp.mean(a, axis=axis, dtype=_dtype(dtype), keepdims=keepdims)


def _spread(function: Pure) -> Pure:
    def spread(a: Any, axis: Any = None, dtype: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        wanted = _dtype(dtype) or (jnp.float32 if _is_bool(a) else a.dtype)
        return function(a, axis=axis, ddof=ddof, keepdims=keepdims).astype(wanted)

    return spread


def _std(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The root of the variance, whose gradient where it is 0 is 0."""
    variance = jnp.var(a, axis=axis, ddof=ddof, keepdims=keepdims)
    return jnp.where(variance == 0, 0, jnp.sqrt(jnp.where(variance == 0, 1, variance)))


def _extreme(function: Pure, bound: Pure) -> Pure:
    def extreme(a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        result = function(a, axis, keepdims)
        return result if initial is None else bound(result, initial)

    return extreme


def _cumsum(a: Any, axis: Any = None, dtype: Any = None) -> Any:
    return jnp.cumsum(a, axis, _dtype(dtype))


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False) -> Any:
    return jnp.average(a, axis, weights, returned)


def _percentile(function: Pure) -> Pure:
    def percentile(
        a: Any,
        q: Any,
        axis: Any = None,
        overwrite_input: Any = None,
        interpolation: str = 'linear',
        keepdims: bool = False,
    ) -> Any:
        return function(a, jnp.asarray(q, 'float32'), axis, method=interpolation, keepdims=keepdims)

    return percentile


def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    return jnp.sort(a, axis=axis)


def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    return jnp.argsort(a, axis=axis)


REDUCTIONS: Mapping[str, Pure] = {
    'sum': _summing(jnp.sum),
    'prod': _summing(jnp.prod),
    'product': _summing(jnp.prod),
    'mean': _mean,
    'std': _spread(_std),
    'var': _spread(jnp.var),
    'max': _extreme(greatest, maximum),
    'amax': _extreme(greatest, maximum),
    'min': _extreme(smallest, minimum),
    'amin': _extreme(smallest, minimum),
    'all': lambda a, axis=None, keepdims=False: jnp.all(a, axis, keepdims=keepdims),
    'any': lambda a, axis=None, keepdims=False: jnp.any(a, axis, keepdims=keepdims),
    'alltrue': lambda a, axis=None, keepdims=False: jnp.all(a, axis, keepdims=keepdims),
    'sometrue': lambda a, axis=None, keepdims=False: jnp.any(a, axis, keepdims=keepdims),
    'argmax': lambda a, axis=None: jnp.argmax(a, axis),
    'argmin': lambda a, axis=None: jnp.argmin(a, axis),
    'cumsum': _cumsum,
    'average': _average,
    'percentile': _percentile(jnp.percentile),
    'quantile': _percentile(jnp.quantile),
    'sort': _sort,
    'argsort': _argsort,
    'diff': lambda a, n=1, axis=-1, prepend=None, append=None: jnp.diff(a, n, axis, prepend, append),
    'ediff1d': lambda ary, to_end=None, to_begin=None: jnp.ediff1d(ary, to_end, to_begin),
}


# Shapes.


def reshape(a: Any, newshape: Any, order: str = 'C') -> Any:
    """In another shape; -1 is the rest."""
    return jnp.reshape(a, newshape, order=order)


def _resize(a: Any, new_shape: Any) -> Any:
    return jnp.resize(a, new_shape)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    a_min, a_max = min if a_min is None else a_min, max if a_max is None else a_max  # by NumPy's names too
    above = a if a_min is None else jnp.where(a < a_min, jnp.asarray(a_min).astype(a.dtype), a)
    return above if a_max is None else jnp.where(above > a_max, jnp.asarray(a_max).astype(a.dtype), above)


def _around(x: Any, decimals: int = 0) -> Any:
    return jnp.round(x, decimals) if _is_float(x) else x


def _take(a: Any, indices: Any, axis: Any = None, mode: str = 'clip') -> Any:
    where = indices if jnp.issubdtype(indices.dtype, jnp.integer) else indices.astype('int32')
    return jnp.take(a, where, axis, mode='wrap' if mode == 'wrap' else 'clip')


def _where(condition: Any, x: Any, y: Any) -> Any:
    dtype = None if _is_weak(x) != _is_weak(y) or not _is_weak(x) else 'float32'
    result = jnp.where(jnp.asarray(condition) != 0, x, y)
    return result if dtype is None else result.astype(dtype)


def _pad(x: Any, pad_width: Any, mode: str = 'constant', **kwargs: Any) -> Any:
    kwargs.pop('reflect_type', None)
    return jnp.pad(x, pad_width, mode, **kwargs)


def _einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    return jnp.einsum(subscripts, *operands)


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    return jnp.tensordot(a, b, axes)


def _ravel(x: Any, order: str = 'C') -> Any:
    return x.reshape(-1) if order == 'C' else jnp.ravel(x, order=order)


def _indices(obj: Any) -> Any:
    return jnp.asarray(obj) if isinstance(obj, tuple) else obj


def _concatenate(seq: Sequence[Any], axis: Any = 0) -> Any:
    return jnp.concatenate(seq, axis)


def _nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return jnp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


def _full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = 'C', ctx: Any = None) -> Any:
    return jnp.full_like(a, fill_value, _dtype(dtype))


def _zeros_like(a: Any, dtype: Any = None, order: str = 'C', ctx: Any = None) -> Any:
    return jnp.zeros_like(a, _dtype(dtype))


def _ones_like(a: Any, dtype: Any = None, order: str = 'C', ctx: Any = None) -> Any:
    return jnp.ones_like(a, _dtype(dtype))


def _empty_like(prototype: Any, dtype: Any = None, order: str = 'C', subok: bool = False, shape: Any = None) -> Any:
    return jnp.zeros_like(prototype, _dtype(dtype), shape=shape)


def _flip(m: Any, axis: Any = None) -> Any:
    return jnp.flip(m, axis)


def _split(function: Pure) -> Pure:
    return lambda ary, indices_or_sections, axis=0: function(ary, _listed(indices_or_sections), axis)


def _split_along(function: Pure) -> Pure:
    return lambda ary, indices_or_sections: function(ary, _listed(indices_or_sections))


def _listed(indices: Any) -> Any:
    return list(indices) if isinstance(indices, tuple) else indices


def _transpose(a: Any, axes: Any = None) -> Any:
    return jnp.transpose(a, axes)


def _squeeze(a: Any, axis: Any = None) -> Any:
    return jnp.squeeze(a, axis)


SHAPES: Mapping[str, Pure] = {
    'reshape': reshape,
    'ravel': _ravel,
    'resize': _resize,
    'clip': _clip,
    'around': _around,
    'round': _around,
    'round_': _around,
    'take': _take,
    'where': _where,
    'pad': _pad,
    'einsum': _einsum,
    'tensordot': _tensordot,
    'transpose': _transpose,
    'squeeze': _squeeze,
    'concatenate': _concatenate,
    'append': lambda arr, values, axis=None: jnp.append(arr, values, axis),
    'insert': lambda arr, obj, values, axis=None: jnp.insert(arr, _indices(obj), values.astype(arr.dtype), axis),
    'stack': lambda arrays, axis=0: jnp.stack(arrays, axis),
    'vstack': lambda arrays: jnp.vstack(arrays),
    'row_stack': lambda arrays: jnp.vstack(arrays),
    'hstack': lambda arrays: jnp.hstack(arrays),
    'dstack': lambda arrays: jnp.dstack(arrays),
    'column_stack': lambda tup: jnp.column_stack(tup),
    'split': _split(jnp.split),
    'array_split': _split(jnp.array_split),
    'hsplit': _split_along(jnp.hsplit),
    'vsplit': _split_along(jnp.vsplit),
    'dsplit': _split_along(jnp.dsplit),
    'expand_dims': jnp.expand_dims,
    'swapaxes': jnp.swapaxes,
    'moveaxis': jnp.moveaxis,
    'rollaxis': jnp.rollaxis,
    'roll': jnp.roll,
    'flip': _flip,
    'flipud': jnp.flipud,
    'fliplr': jnp.fliplr,
    'rot90': lambda m, k=1, axes=(0, 1): jnp.rot90(m, k, axes),
    'repeat': lambda a, repeats, axis=None: jnp.repeat(a, repeats, axis, total_repeat_length=_total(a, repeats, axis)),
    'tile': lambda A, reps: jnp.tile(A, reps),
    'broadcast_to': lambda array, shape: np_broadcast_to(array, shape=tuple(shape)),
    'broadcast_arrays': lambda *args: jnp.broadcast_arrays(*args),
    'atleast_1d': lambda *arys: jnp.atleast_1d(*arys),
    'atleast_2d': lambda *arys: jnp.atleast_2d(*arys),
    'atleast_3d': lambda *arys: jnp.atleast_3d(*arys),
    'meshgrid': lambda *xi, indexing='xy', sparse=False, copy=True: jnp.meshgrid(*xi, indexing=indexing, sparse=sparse),
    'diag': lambda array, k=0: jnp.diag(array, k),
    'diagflat': lambda array, k=0: jnp.diagflat(array, k),
    'diagonal': jnp.diagonal,
    'trace': lambda a, offset=0, axis1=0, axis2=1: jnp.trace(a, offset, axis1, axis2),
    'tril': lambda m, k=0: jnp.tril(m, k),
    'triu': lambda m, k=0: jnp.triu(m, k),
    'diag_indices_from': jnp.diag_indices_from,
    'unravel_index': lambda indices, shape, order='C': jnp.stack(jnp.unravel_index(indices, shape)),
    'nan_to_num': _nan_to_num,
    'polyval': jnp.polyval,
    'take_along_axis': lambda arr, indices, axis: jnp.take_along_axis(arr, indices.astype('int32'), axis),
    'copy': lambda a: a,
    'zeros_like': _zeros_like,
    'ones_like': _ones_like,
    'full_like': _full_like,
    'empty_like': _empty_like,
}


def _total(a: Any, repeats: Any, axis: Any) -> int | None:
    if not isinstance(repeats, tuple):
        return None
    size = math.prod(a.shape) if axis is None else a.shape[axis]
    return sum(repeats) if len(repeats) == size else sum(repeats) * size


# What makes arrays: of attributes alone.


def _arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    first, last = (0, start) if stop is None else (start, stop)
    return jnp.arange(first, last, 1 if step is None else step).astype(_dtype(dtype) or 'float32')


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    made = jnp.linspace(start, stop, num, endpoint, retstep, dtype=_dtype(dtype) or 'float32', axis=axis)
    return (made[0], float(made[1])) if retstep else made


def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    return jnp.logspace(start, stop, num, endpoint, base, _dtype(dtype) or 'float32', axis)


def _window(function: Pure) -> Pure:
    return lambda M, dtype='float32': function(M).astype(_dtype(dtype))


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if hasattr(shape, '__index__') else tuple(shape)


def _zeros(shape: Any, dtype: Any = None, order: str = 'C') -> Any:
    return filled(_shape(shape), 0, _dtype(dtype) or 'float32')


def _ones(shape: Any, dtype: Any = None, order: str = 'C') -> Any:
    return filled(_shape(shape), 1, _dtype(dtype) or 'float32')


def _full(shape: Any, fill_value: Any, dtype: Any = None, order: str = 'C') -> Any:
    default = 'bool' if isinstance(fill_value, bool) else getattr(fill_value, 'dtype', 'float32')
    return filled(_shape(shape), fill_value, _dtype(dtype) or default)


CREATION: Mapping[str, Pure] = {
    'arange': _arange,
    'linspace': _linspace,
    'logspace': _logspace,
    'zeros': _zeros,
    'empty': _zeros,
    'ones': _ones,
    'full': _full,
    'eye': lambda N, M=None, k=0, dtype='float32': jnp.eye(N, M, k, _dtype(dtype) or 'float32'),
    'identity': lambda n, dtype=None: jnp.eye(n, dtype=_dtype(dtype) or 'float32'),
    'tri': lambda N, M=None, k=0, dtype='float32': jnp.tri(N, M, k, _dtype(dtype)),
    'indices': lambda dimensions, dtype='int32': jnp.indices(dimensions, _dtype(dtype)),
    'hanning': _window(jnp.hanning),
    'hamming': _window(jnp.hamming),
    'blackman': _window(jnp.blackman),
}


# Linear algebra.


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return jnp.linalg.norm(x if _is_float(x) else x.astype('float32'), ord, axis, keepdims)


def _triangle(function: Pure) -> Pure:
    return lambda a, UPLO='L': function(a, UPLO)


def _svd(a: Any) -> Any:
    return tuple(jnp.linalg.svd(a, full_matrices=False))


def _lstsq(a: Any, b: Any, rcond: Any = 'warn') -> Any:
    return tuple(jnp.linalg.lstsq(a, b, None if rcond == 'warn' else rcond))


def _pinv(a: Any, rcond: Any = 1e-15, hermitian: bool = False) -> Any:
    return jnp.linalg.pinv(a, rcond, hermitian)


LINALG: Mapping[str, Pure] = {
    'norm': _norm,
    'svd': _svd,
    'cholesky': jnp.linalg.cholesky,
    'inv': jnp.linalg.inv,
    'det': jnp.linalg.det,
    'slogdet': lambda a: tuple(jnp.linalg.slogdet(a)),
    'solve': jnp.linalg.solve,
    'tensorinv': lambda a, ind=2: jnp.linalg.tensorinv(a, ind),
    'tensorsolve': lambda a, b, axes=None: jnp.linalg.tensorsolve(a, b, axes),
    'pinv': _pinv,
    'eigh': lambda a, UPLO='L': tuple(jnp.linalg.eigh(a, UPLO)),
    'eigvalsh': _triangle(jnp.linalg.eigvalsh),
    'lstsq': _lstsq,
    'matrix_rank': lambda A, tol=None, hermitian=False: jnp.linalg.matrix_rank(A, rtol=tol),
    'matrix_power': jnp.linalg.matrix_power,
    'multi_dot': lambda arrays: jnp.linalg.multi_dot(arrays),
    'qr': lambda a, mode='reduced': tuple(jnp.linalg.qr(a, mode)) if mode != 'r' else jnp.linalg.qr(a, mode),
    'cond': lambda x, p=None: jnp.linalg.cond(x, p),
}

PURE: Mapping[str, Pure] = {
    **UNARY,
    **BINARY,
    **REDUCTIONS,
    **SHAPES,
    **CREATION,
    **{f'linalg.{name}': function for name, function in LINALG.items()},
}
# Whose numbers are inputs: one program for all of them.
OF_NUMBERS: frozenset[str] = frozenset({*UNARY, *BINARY, 'where', 'clip', 'append', 'full_like'})


def strong(x: Any) -> jax.Array:
    """The array with a dtype that does not give way to others."""
    return x.astype(x.dtype) if isinstance(x, jax.Array) else jnp.asarray(x)
