"""Transformations in `forward` whose functions may call layers: a loop over steps, and rematerialization.

Inside them random keys are fresh, and what layers record (running statistics) comes out with the results.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.checks import at_least_float32
from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords
from gluonjax.param import trace_state
from gluonjax.run import Bindable, Run, path_of, run_of
from gluonjax.tree import Path


@suggests_keywords
def scan(
    layer: Bindable,
    body: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    *,
    reverse: bool = False,
    over: str | None = None,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """In `forward`: `jax.lax.scan` whose body may call layers.

    Every step has fresh random keys, and what layers record (running statistics) goes from step to step. While
    shapes are inferred, body runs once.

    Args:
        body: `carry, x -> carry, y`.
        init: the first carry.
        xs: a pytree of arrays, whose first axis is that of the steps; None with `length`.
        length: the number of steps.
        reverse: from the last step to the first.
        over: the attribute of a child whose parameters are stacked; step i reads copy i.
        unroll: how many steps are one iteration of the loop that is compiled.

    Returns:
        The last carry, and the stacked ys.
    """
    run = run_of(layer, 'scan()')
    scan_in: Any = getattr(run, 'scan', functools.partial(_scan_in, run))  # an export's run has ways of its own
    return scan_in(path_of(layer), body, init, xs, length, over, reverse, unroll)


@suggests_keywords
def checkpoint(
    layer: Bindable, function: Callable[..., Any], *arguments: Any, policy: Callable[..., Any] | None = None
) -> Any:
    """In `forward`: `jax.checkpoint` of a function that may call layers, on arguments.

    The gradient computes its inside again instead of keeping it. What layers record inside is kept.

    Args:
        function: of the arguments.
        *arguments: pytrees of arrays.
        policy: one of `jax.checkpoint_policies`, which says what to keep after all.
    """
    run = run_of(layer, 'checkpoint()')
    checkpoint_in: Any = getattr(run, 'checkpoint', functools.partial(_checkpoint_in, run))
    return checkpoint_in(path_of(layer), function, arguments, policy)


def _scan_in(run: Run, path: Path, body: Any, carry: Any, xs: Any, length: Any, over: Any, *loop: Any) -> Any:
    sizes = [leaf.shape[0] for leaf in jax.tree.leaves(xs)] if length is None else [length]
    if not sizes:
        raise ArgumentError('a scan must know how many steps it has', remedy='give xs or length')
    if run.values is None:  # one step infers the shapes
        carry, y = body(carry, jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), xs))
        return carry, jax.tree.map(lambda y: jnp.broadcast_to(y, (sizes[0], *jnp.shape(y))), y)
    if run.draw is not None:  # one step tells the shapes of all copies, before they are drawn
        item = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
        jax.eval_shape(_inside(run, run.key, None, run.recorded)(body), carry, item)
    below, values = '.'.join((*path, over or '', '')), run.values
    stacked = {leaf.name for name, (leaf, _) in run.declarations.items() if over and name.startswith(below)}
    stacked |= {name for name in run.recordable if over and name.startswith(below)}
    keys = None if run.key is None else jax.random.split(run.next_key(path), sizes[0])
    slices = {name: run.current(name) for name in stacked}
    updates = {name: run.current(name) for name in run.recordable - stacked}
    changed = set()

    def step(state, item):
        (carry, updates), (x, key, slices) = state, item
        with _inside(run, key, {**values, **slices}, updates, stacked):
            carry, y = body(carry, x)
            changed.update(name for name in updates if run.recorded[name] is not updates[name])
            recorded = {name: value for name, value in run.recorded.items() if name not in updates}
            return (carry, {name: run.recorded[name] for name in updates}), (y, recorded)

    loop_over: Any = jax.lax.scan if sizes[0] == 0 else _scan
    (carry, updates), (ys, recorded) = loop_over(step, (carry, updates), (xs, keys, slices), length, *loop)
    run.recorded.update(recorded, **{name: updates[name] for name in changed})
    return carry, ys


def _checkpoint_in(run: Run, path: Path, function: Any, arguments: Any, policy: Any) -> Any:
    if run.values is None:
        return function(*arguments)

    def inside(key, recorded, arguments):
        with _inside(run, key, run.values, recorded):
            return function(*arguments), run.recorded

    key = None if run.key is None else run.next_key(path)
    # In a scan, XLA cannot mistake the recomputed values for those of the forward pass, and may move them freely.
    remat = jax.checkpoint(inside, policy=policy, prevent_cse=not run.sliced)
    output, recorded = remat(key, dict(run.recorded), arguments)
    run.recorded.update(recorded)
    return output


@contextlib.contextmanager
def _inside(run: Run, key: Any, values: Any, recorded: Any, stacked: Iterable[str] = ()) -> Iterator[None]:
    """Lets layers run inside a transformation: with these values, and what is recorded there kept apart."""
    outside = {name: getattr(run, name) for name in ('key', 'values', 'recorded', 'keys_drawn', 'sliced', 'trace')}
    run.key, run.values, run.recorded, run.keys_drawn = key, values, dict(recorded), {}
    run.sliced = {**run.sliced, **{name: run.sliced.get(name, 0) + 1 for name in stacked}}
    run.trace = trace_state() if run.recordable or run.observe else None
    try:
        yield
    finally:
        vars(run).update(outside)


def _scan(step: Callable[..., Any], carry: Any, xs: Any, *loop: Any) -> Any:
    """`lax.scan` of a step or more; gradients of what the step closes over are summed in float32 at least."""
    step, closed = jax.closure_convert(step, carry, jax.eval_shape(lambda xs: jax.tree.map(lambda x: x[0], xs), xs))
    wide = [array.astype(at_least_float32(array.dtype)) for array in closed]

    def narrow(carry: Any, item: Any) -> Any:
        return step(carry, item, *(array.astype(like.dtype) for array, like in zip(wide, closed, strict=True)))

    return jax.lax.scan(narrow, carry, xs, *loop)
