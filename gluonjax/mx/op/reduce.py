"""Operators that reduce along axes, sort, and search."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax.mx.op.attributes import DType, Shape, dtype_of
from gluonjax.mx.op.table import Attributes, operator


def chosen_axes(axis: Shape | None, rank: int, exclude: bool) -> tuple[int, ...]:
    """The axes to reduce: all without a choice, those not chosen with `exclude`."""
    if not axis:
        return () if exclude and axis is not None and rank and axis != () else tuple(range(rank))
    chosen = {number % rank for number in axis}
    return tuple(i for i in range(rank) if (i in chosen) != exclude)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _extremum(data: jax.Array, smallest: bool, axis: Any, keepdims: bool) -> jax.Array:
    """The greatest along axes, or the smallest; all that equal it have its gradient, as in MXNet."""
    return (jnp.min if smallest else jnp.max)(data, axis=axis, keepdims=keepdims)


@_extremum.defjvp
def _extremum_jvp(smallest: bool, axis: Any, keepdims: bool, primals: Any, tangents: Any) -> Any:
    (data,), (tangent,) = primals, tangents
    result = _extremum(data, smallest, axis, True)
    slope = jnp.sum(jnp.where(data == result, tangent, 0), axis=axis, keepdims=keepdims)
    return (result if keepdims else result.reshape(slope.shape)), slope


def greatest(data: jax.Array, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """The greatest element along axes."""
    return _extremum(data, False, axis, keepdims)


def smallest(data: jax.Array, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """The smallest element along axes."""
    return _extremum(data, True, axis, keepdims)


def _shown(result: jax.Array) -> jax.Array:
    """MXNet without NumPy's shapes has no scalars: what is reduced whole has shape (1,)."""
    return result.reshape(1) if result.ndim == 0 else result


def _enter(function: Callable[..., jax.Array], *names: str) -> None:
    @operator(*names)
    def reduction(
        data: jax.Array, *, axis: Shape | None = None, keepdims: bool = False, exclude: bool = False
    ) -> jax.Array:
        axes = chosen_axes(axis, data.ndim, exclude)
        return _shown(function(data, axis=axes, keepdims=keepdims).astype(data.dtype))


_enter(jnp.sum, 'sum', 'sum_axis', '_sparse_sum')
_enter(jnp.mean, 'mean', '_sparse_mean')
_enter(greatest, 'max', 'max_axis')
_enter(smallest, 'min', 'min_axis')
_enter(jnp.prod, 'prod')
_enter(jnp.nansum, 'nansum')
_enter(jnp.nanprod, 'nanprod')
_enter(lambda x, **options: jnp.sum(jnp.square(x), **options), '_square_sum')


@operator('norm', '_sparse_norm')
def norm(
    data: jax.Array,
    *,
    ord: int = 2,
    axis: Shape | None = None,
    out_dtype: DType | None = None,
    keepdims: bool = False,
) -> jax.Array:
    """The 1-norm or 2-norm along one axis or two."""
    dtype = data.dtype if out_dtype is None else dtype_of(out_dtype)
    axes, x = chosen_axes(axis, data.ndim, False), data.astype(dtype)
    if ord == 1:
        return _shown(jnp.abs(x).sum(axes, keepdims=keepdims))
    return _shown(jnp.sqrt(jnp.square(x).sum(axes, keepdims=keepdims)))


@operator('moments', outputs=('output0', 'output1'))
def moments(data: jax.Array, *, axes: Shape | None = None, keepdims: bool = False) -> tuple[jax.Array, jax.Array]:
    """The mean and the variance."""
    over = chosen_axes(axes, data.ndim, False)
    return _shown(data.mean(over, keepdims=keepdims)), _shown(data.var(over, keepdims=keepdims))


def _enter_search(function: Callable[..., jax.Array], name: str) -> None:
    @operator(name)
    def search(data: jax.Array, *, axis: int | None = None, keepdims: bool = False) -> jax.Array:
        index = function(data, axis=axis, keepdims=keepdims)
        return _shown(index.astype('float32'))


_enter_search(jnp.argmax, 'argmax')
_enter_search(jnp.argmin, 'argmin')


@operator('argmax_channel')
def argmax_channel(data: jax.Array) -> jax.Array:
    """The index of the largest value along axis 1."""
    return jnp.argmax(data, axis=1).astype(data.dtype)


def _laid_out(data: jax.Array, axis: int | None) -> tuple[jax.Array, int]:
    return (data.reshape(-1), 0) if axis is None else (data, axis % data.ndim)


@operator('sort', '_npi_sort')
def sort(data: jax.Array, *, axis: int | None = -1, is_ascend: bool = True) -> jax.Array:
    """The values in order."""
    x, along = _laid_out(data, axis)
    return jnp.sort(x, along, descending=not is_ascend)


@operator('argsort', '_npi_argsort')
def argsort(data: jax.Array, *, axis: int | None = -1, is_ascend: bool = True, dtype: DType = 'float32') -> jax.Array:
    """The positions of the values in order."""
    x, along = _laid_out(data, axis)
    return jnp.argsort(x, along, descending=not is_ascend, stable=True).astype(dtype_of(dtype))


def _topk_outputs(attributes: Attributes) -> int:
    return 2 if attributes['ret_typ'] == 'both' else 1


@operator('topk', '_npx_topk', outputs=_topk_outputs)
def topk(
    data: jax.Array,
    *,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: Literal['value', 'indices', 'mask', 'both'] = 'indices',
    is_ascend: bool = False,
    dtype: DType = 'float32',
) -> Any:
    """The k largest values along an axis, their positions, or both; the smallest if `is_ascend`."""
    x, along = _laid_out(data, axis)
    count = k if 0 < k <= x.shape[along] else x.shape[along]
    order = jnp.argsort(x, along, descending=not is_ascend, stable=True)
    chosen = jax.lax.slice_in_dim(order, 0, count, axis=along)
    indices, values = chosen.astype(dtype_of(dtype)), jnp.take_along_axis(x, chosen, along)
    if ret_typ == 'mask':
        rank = jnp.argsort(order, along)
        return (rank < count).astype(data.dtype).reshape(data.shape)
    return {'value': values, 'indices': indices, 'both': (values, indices)}[ret_typ]
