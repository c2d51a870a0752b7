"""Loops and branches of Python functions on arrays: `nd.contrib.foreach`, `while_loop` and `cond`.

>>> from gluonjax.mx import nd
>>> sums, last = nd.contrib.foreach(lambda x, s: (x + s, x + s), nd.array([1, 2, 3]), nd.zeros(1))
>>> sums.asnumpy().ravel(), last.asscalar()
(array([1., 3., 6.], dtype=float32), np.float32(6.0))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.core

from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray, call
from gluonjax.mx.entry import explain_calls


def foreach(body: Callable[..., Any], data: Any, init_states: Any, name: str = 'foreach') -> tuple[Any, Any]:
    """Runs `body(slice, states)` for each slice along the first axis.

    Args:
        body: gives an output and new states, arrays or nested lists of them.
        data: an array, or a list of arrays of one length.
        init_states: what the first call is given.
        name: MXNet's; accepted.

    Returns:
        The outputs, stacked along a new first axis, and the last states.

    Raises:
        ArgumentError: for something else than arrays.
    """
    arrays = _flat(data)
    if not arrays or not all(isinstance(x, NDArray) for x in arrays):
        remedy = 'outside of symbols, or in a HybridBlock that is hybridized'
        raise ArgumentError('foreach takes arrays', got=type(data).__name__, remedy=remedy)
    states, outputs = init_states, []
    for i in range(len(arrays[0])):
        output, states = body(_like(data, [x[i] for x in arrays]), states)
        outputs.append(output)
    return _stacked(outputs), states


def while_loop(
    cond: Callable[..., Any],
    func: Callable[..., Any],
    loop_vars: Any,
    max_iterations: int | None = None,
    name: str = '',
) -> tuple[Any, Any]:
    """Runs `func(*loop_vars)` as long as `cond(*loop_vars)` holds.

    Args:
        cond: gives an array of one element.
        func: gives outputs, which may be None, and new loop variables.
        loop_vars: what the first call is given: an array or a list.
        max_iterations: after how many steps it ends; the length of the outputs, which are filled with zeros.
        name: MXNet's; accepted.

    Returns:
        The outputs, stacked along a new first axis, and the last loop variables.

    Raises:
        ArgumentError: without `max_iterations`.
    """
    if max_iterations is None:
        raise ArgumentError('while_loop needs max_iterations, the length of its outputs')
    single = isinstance(loop_vars, NDArray)
    variables, outputs, holds = [loop_vars] if single else list(loop_vars), [], None
    for _ in range(int(max_iterations)):
        now = cond(*variables)
        traced = isinstance(getattr(now, 'value', None), jax.core.Tracer)
        if not traced and not bool(now):
            break
        output, new = func(*variables)
        output, new = [] if output is None else output, _flat(new)
        if traced:  # inside a compiled program: all steps run, and those behind the end change nothing
            holds = now.astype('bool') if holds is None else holds * now.astype('bool')
            output = _like(output, [_chosen(holds, y, y.zeros_like()) for y in _flat(output)])
            new = [_chosen(holds, after, before) for after, before in zip(new, variables, strict=True)]
        outputs.append(output)
        variables = new
    if outputs:
        nothing = _like(outputs[0], [y.zeros_like() for y in _flat(outputs[0])])
        outputs += [nothing] * (int(max_iterations) - len(outputs))
    return _stacked(outputs), variables[0] if single else variables


def cond(pred: Any, then_func: Callable[[], Any], else_func: Callable[[], Any], name: str = 'cond') -> Any:
    """What one of two functions gives, as an array of one element says.

    Args:
        pred: the array.
        then_func: called if its element is not 0.
        else_func: called otherwise.
        name: MXNet's; accepted.
    """
    if not isinstance(getattr(pred, 'value', None), jax.core.Tracer):
        return then_func() if bool(pred) else else_func()
    one, other = then_func(), else_func()  # inside a compiled program both run
    return _like(one, [_chosen(pred, a, b) for a, b in zip(_flat(one), _flat(other), strict=True)])


def isnan(data: NDArray) -> NDArray:
    """1 where an element is no number, 0 elsewhere."""
    return data != data


def isfinite(data: NDArray) -> NDArray:
    """1 where an element is finite, 0 elsewhere."""
    return (data - data) == 0


def isinf(data: NDArray) -> NDArray:
    """1 where an element is infinite, 0 elsewhere."""
    return abs(data) == float('inf')


def _chosen(holds: NDArray, one: NDArray, other: NDArray) -> NDArray:
    mask = holds.reshape((1,) * max(one.ndim, 1)).astype(one.dtype)
    return call('where', call('broadcast_to', mask, shape=one.shape), one, other)


def _flat(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in _flat(part)] if isinstance(tree, list | tuple) else [tree]


def _like(tree: Any, leaves: list[Any]) -> Any:
    """The leaves in the nested lists of a tree."""
    rest = iter(leaves)

    def filled(part: Any) -> Any:
        return type(part)(map(filled, part)) if isinstance(part, list | tuple) else next(rest)

    return filled(tree)


def _stacked(outputs: list[Any]) -> Any:
    if not outputs:
        return []
    return _like(outputs[0], [call('stack', *column, axis=0) for column in zip(*map(_flat, outputs), strict=True)])


explain_calls(globals())
