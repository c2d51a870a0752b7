"""Steps of optimizers in `nd.contrib` that take a number or an array for a scale, and lists of arrays.

>>> from gluonjax.mx import nd
>>> weight, state = nd.ones((2,)), [nd.zeros((2,)), nd.zeros((2,))]
>>> _ = nd.contrib.multi_adamw_update(
...     [weight], [nd.ones((2,))], state[:1], state[1:], 1.0, [0.1], [0.0], [1.0], out=[weight], size=1
... )
>>> weight.asnumpy().round(4)
array([0.6838, 0.6838], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from gluonjax.mx.array import NDArray, call
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.tape import Tracked

Arrays = Sequence[NDArray]


def _scale(weight: NDArray, number: Any) -> NDArray:
    return number if isinstance(number, NDArray) else weight.like(Tracked(jax.numpy.array([number])))


def adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, rescale_grad: Any, *args: Any, **kwargs: Any
) -> NDArray:
    """AdamW's step; `rescale_grad` is a number or an array. Without a finite one nothing is updated."""
    return call('_adamw_update', weight, grad, mean, var, _scale(weight, rescale_grad), *args, **kwargs)


def mp_adamw_update(
    weight: NDArray,
    grad: NDArray,
    mean: NDArray,
    var: NDArray,
    weight32: NDArray,
    rescale_grad: Any,
    *args: Any,
    **kwargs: Any,
) -> NDArray:
    """AdamW's step on a float32 copy of the weight."""
    scale = _scale(weight, rescale_grad)
    return call('_mp_adamw_update', weight, grad, mean, var, weight32, scale, *args, **kwargs)


def _together(name: str, lists: Sequence[Arrays], rest: Arrays = (), **attributes: Any) -> Any:
    """An operator of many weights: its inputs are the first of each list, then the second of each, and so on."""
    return call(name, *(array for group in zip(*lists, strict=True) for array in group), *rest, **attributes)


def reset_arrays(*data: NDArray, num_arrays: int | None = None) -> None:
    """Writes zeros into arrays."""
    for array in data:
        array[:] = 0


def multi_adamw_update(
    weights: Arrays,
    grads: Arrays,
    mean: Arrays,
    var: Arrays,
    rescale_grad: Any,
    lrs: Sequence[float],
    wds: Sequence[float],
    etas: Sequence[float],
    out: Any = None,
    name: str | None = None,
    size: int = 0,
    **kwargs: Any,
) -> Any:
    """AdamW's step of many weights."""
    given = {'lrs': lrs, 'wds': wds, 'etas': etas, 'num_weights': size or len(weights), 'out': out, **kwargs}
    return _together('_multi_adamw_update', [weights, grads, mean, var], [_scale(weights[0], rescale_grad)], **given)


def multi_mp_adamw_update(
    weights: Arrays,
    grads: Arrays,
    mean: Arrays,
    var: Arrays,
    weights32: Arrays,
    rescale_grad: Any,
    lrs: Sequence[float],
    wds: Sequence[float],
    etas: Sequence[float],
    out: Any = None,
    name: str | None = None,
    size: int = 0,
    **kwargs: Any,
) -> Any:
    """AdamW's step of many weights on float32 copies of them."""
    given = {'lrs': lrs, 'wds': wds, 'etas': etas, 'num_weights': size or len(weights), 'out': out, **kwargs}
    lists = [weights, grads, mean, var, weights32]
    return _together('_multi_mp_adamw_update', lists, [_scale(weights[0], rescale_grad)], **given)


def multi_lamb_update(
    weights: Arrays,
    grads: Arrays,
    mean: Arrays,
    var: Arrays,
    step_count: Sequence[int],
    lrs: Sequence[float],
    wds: Sequence[float],
    out: Any = None,
    num_tensors: int = 0,
    **kwargs: Any,
) -> Any:
    """LAMB's step of many weights."""
    given = {'learning_rates': lrs, 'wds': wds, 'step_count': step_count, 'out': out, **kwargs}
    lists = [weights, grads, mean, var]
    return _together('_multi_lamb_update', lists, num_tensors=num_tensors or len(weights), **given)


def multi_mp_lamb_update(
    weights: Arrays,
    grads: Arrays,
    mean: Arrays,
    var: Arrays,
    weights32: Arrays,
    step_count: Sequence[int],
    lrs: Sequence[float],
    wds: Sequence[float],
    out: Any = None,
    num_tensors: int = 0,
    **kwargs: Any,
) -> Any:
    """LAMB's step of many weights on float32 copies of them."""
    given = {'learning_rates': lrs, 'wds': wds, 'step_count': step_count, 'out': out, **kwargs}
    lists = [weights, grads, mean, var, weights32]
    return _together('_multi_mp_lamb_update', lists, num_tensors=num_tensors or len(weights), **given)


explain_calls(globals())
