"""NumPy's operators that pick, insert, delete and count elements, and what assigned to parts of arrays in MXNet.

Where values decide the shape of the result, as in `_npx_nonzero`, there is no compiled form: it is an error that says
so, and outside of `jax.jit` they work.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax.core import Tracer

from gluonjax.errors import ArgumentError
from gluonjax.mx.op.attributes import Bounds, Shape, dtype_of
from gluonjax.mx.op.nn import as_indices
from gluonjax.mx.op.table import Attributes, operator


def concrete(name: str, *arrays: jax.Array) -> None:
    """Refuses to trace an operator whose result has a shape that values decide.

    Raises:
        ArgumentError: if one of the arrays is traced.
    """
    if any(isinstance(array, Tracer) for array in arrays):
        raise ArgumentError(
            f'the shape of what {name} returns depends on values, so it cannot be compiled',
            remedy='call it on arrays, outside jax.jit and compiled graphs',
        )


@operator('_npi_diag_indices_from')
def diag_indices_from(data: jax.Array) -> jax.Array:
    """The coordinates of the main diagonal, along the first axis."""
    return jnp.stack(jnp.diag_indices_from(data)).astype(dtype_of('int64'))


def _places(start: int | None, stop: int | None, step: int | None, int_ind: int | None) -> Any:
    return slice(start, stop, step) if int_ind is None else int_ind


_BOUNDS = ('start', 'stop', 'step', 'int_ind')


@operator('_npi_delete', only_if={'obj': lambda a: all(a[name] is None for name in _BOUNDS)})
def delete(
    arr: jax.Array,
    obj: jax.Array | None = None,
    *,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
) -> jax.Array:
    """Without some elements along an axis; those that an array names must be known when it is compiled."""
    if obj is not None:
        concrete('_npi_delete', obj)
    return jnp.delete(arr, _places(start, stop, step, int_ind) if obj is None else obj, axis)


_VALUES: dict[str, Callable[[Attributes], bool]] = {'values': lambda a: a['val'] is None}


def _inserted(arr: jax.Array, where: Any, values: Any, axis: int | None) -> jax.Array:
    return jnp.insert(arr, where, jnp.asarray(values).astype(arr.dtype), axis)


@operator('_npi_insert_scalar', '_npi_insert_slice', only_if=_VALUES)
def insert(
    arr: jax.Array,
    values: jax.Array | None = None,
    *,
    val: float | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
) -> jax.Array:
    """With more elements before a position, or before each position of a slice, along an axis."""
    return _inserted(arr, _places(start, stop, step, int_ind), val if values is None else values, axis)


@operator('_npi_insert_tensor', only_if=_VALUES)
def insert_tensor(
    arr: jax.Array,
    values: jax.Array | None = None,
    obj: jax.Array | None = None,
    *,
    val: float | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
) -> jax.Array:
    """With more elements before the positions that an array names."""
    return _inserted(arr, obj, val if values is None else values, axis)


def _spread_mask(data: jax.Array, mask: jax.Array, start_axis: int) -> jax.Array:
    shape = (1,) * start_axis + mask.shape + (1,) * (data.ndim - start_axis - mask.ndim)
    return mask.reshape(shape) != 0


@operator('_npi_boolean_mask_assign_scalar')
def boolean_mask_assign_scalar(
    data: jax.Array, mask: jax.Array, *, value: float = 0.0, start_axis: int = 0
) -> jax.Array:
    """One number where the mask is true; the axes of the mask are those from `start_axis` on."""
    return jnp.where(_spread_mask(data, mask, start_axis), jnp.asarray(value).astype(data.dtype), data)


@operator('_npi_boolean_mask_assign_tensor')
def boolean_mask_assign_tensor(data: jax.Array, mask: jax.Array, value: jax.Array, *, start_axis: int = 0) -> jax.Array:
    """The values one after the other where the mask is true."""
    before, after = data.shape[:start_axis], data.shape[start_axis + mask.ndim :]
    number = jnp.clip(jnp.cumsum(mask.reshape(-1) != 0) - 1, 0)
    value = value.reshape((1,) * (len(before) + 1 + len(after) - value.ndim) + value.shape)
    spread = jnp.broadcast_to(value, (*before, value.shape[start_axis], *after))
    chosen = jnp.take(spread, number, start_axis, mode='clip').reshape(data.shape)
    return jnp.where(_spread_mask(data, mask, start_axis), chosen, data)


@operator('_npx_nonzero', '_npi_nonzero')
def nonzero(x: jax.Array) -> jax.Array:
    """The coordinates of what is not 0, of shape (number, axes); values decide the number, so it cannot be compiled."""
    concrete('_npx_nonzero', x)
    return jnp.argwhere(x).astype(dtype_of('int64'))


_UNIQUE = ('return_index', 'return_inverse', 'return_counts')


@operator('_npi_unique', outputs=lambda a: 1 + sum(a[name] for name in _UNIQUE))
def unique(
    data: jax.Array,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """Each value once, in order; values decide how many, so it cannot be compiled."""
    concrete('_npi_unique', data)
    return jnp.unique(data, return_index, return_inverse, return_counts, axis)


@operator('_npi_bincount', only_if={'weights': lambda a: a['has_weights']})
def bincount(
    data: jax.Array, weights: jax.Array | None = None, *, minlength: int = 0, has_weights: bool = False
) -> jax.Array:
    """How often each number occurs; as many as the largest one plus 1, so it cannot be compiled."""
    concrete('_npi_bincount', data)
    return jnp.bincount(data, weights, minlength)


@operator(
    '_npi_ediff1d',
    only_if={'input2': lambda a: a['to_begin_arr_given'], 'input3': lambda a: a['to_end_arr_given']},
)
def ediff1d(
    input1: jax.Array,
    input2: jax.Array | None = None,
    input3: jax.Array | None = None,
    *,
    to_begin_arr_given: bool = False,
    to_end_arr_given: bool = False,
    to_begin_scalar: float | None = None,
    to_end_scalar: float | None = None,
) -> jax.Array:
    """Differences of neighbours, with what comes before and after them."""
    ends = [(input2, to_begin_scalar), (input3, to_end_scalar)]
    begin, end = (number if array is None else array for array, number in ends)
    return jnp.ediff1d(
        input1,
        None if end is None else jnp.asarray(end, input1.dtype),
        None if begin is None else jnp.asarray(begin, input1.dtype),
    )


@operator('_npx_constraint_check')
def constraint_check(input: jax.Array, *, msg: str = 'Constraint violated.') -> jax.Array:
    """Whether all elements are true. It does not raise: compiled programs cannot."""
    return jnp.all(input)


# Parts of arrays, in place in MXNet.


@operator('_scatter_set_nd', '_npi_scatter_set_nd')
def scatter_set_nd(lhs: jax.Array, rhs: jax.Array, indices: jax.Array, *, shape: Shape) -> jax.Array:
    """The array, with other data at positions."""
    return lhs.at[tuple(as_indices(indices))].set(rhs)


def _slices(begin: Bounds, end: Bounds, step: Bounds) -> tuple[slice, ...]:
    return tuple(slice(*bounds) for bounds in zip(begin, end, step or (None,) * len(begin), strict=True))


@operator('_slice_assign', '_crop_assign', '_npi_slice_assign')
def slice_assign(lhs: jax.Array, rhs: jax.Array, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> jax.Array:
    """The array, with another one in place of what slices choose."""
    return lhs.at[_slices(begin, end, step)].set(rhs)


@operator('_slice_assign_scalar', '_crop_assign_scalar', '_npi_slice_assign_scalar')
def slice_assign_scalar(
    data: jax.Array, *, begin: Bounds, end: Bounds, step: Bounds = (), scalar: float = 0.0
) -> jax.Array:
    """The array, with one number in place of what slices choose."""
    return data.at[_slices(begin, end, step)].set(jnp.asarray(scalar).astype(data.dtype))
