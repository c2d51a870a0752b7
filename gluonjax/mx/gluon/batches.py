"""`gluon.utils`: batches in parts, and gradients clipped together."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray, array_class, as_jax, call
from gluonjax.mx.context import Context
from gluonjax.mx.tape import Tracked


def split_data(data: NDArray, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[NDArray]:
    """A batch in parts.

    Raises:
        ArgumentError: if `even_split` and the parts would not be alike.
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice:
        raise ArgumentError(f'{size} samples cannot be split into {num_slice} like parts', remedy='even_split=False')
    step = size // num_slice
    ends = [*(step * i for i in range(1, num_slice)), size]
    return [
        call('slice_axis', data, axis=batch_axis, begin=step * i, end=end) if num_slice > 1 else data
        for i, end in enumerate(ends)
    ]


def split_and_load(
    data: Any, ctx_list: Sequence[Context], batch_axis: int = 0, even_split: bool = True
) -> list[NDArray]:
    """A batch in parts, one for each context."""
    array = data if isinstance(data, NDArray) else array_class()(as_jax(data))
    parts = split_data(array, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(parts, ctx_list, strict=True)]


def clip_global_norm(arrays: Sequence[NDArray], max_norm: float, check_isfinite: bool = True) -> Any:
    """Scales arrays in place so that the norm of all together is at most `max_norm`; returns what it was.

    >>> from gluonjax.mx import nd
    >>> x = nd.array([3, 4])
    >>> clip_global_norm([x], 1)
    5.0
    >>> x.asnumpy().round(4).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(x.value.astype('float32'))) for x in arrays))
    factor = jnp.minimum(max_norm / (norm + 1e-8), 1.0)
    for x in arrays:
        x.assign(Tracked(x.value * factor.astype(x.value.dtype)))
    return float(norm) if check_isfinite else NDArray(norm.reshape(1))
