"""Micro-batches: the gradient of a large batch, of a part at a time, so that only a part's activations are held."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gluonjax.data.batching import rows_of
from gluonjax.errors import ArgumentError, DataError
from gluonjax.layer import Layer, layers_of
from gluonjax.train.batch import Batch
from gluonjax.tree import flatten, nest


def check_micro_batches(layer: Layer, losses: Any, carry: Any) -> None:
    """Refuses what a batch cannot be cut for.

    Raises:
        ArgumentError: if samples do not lie along the first axis, or something is carried to the next batch.
    """
    losses = losses.values() if isinstance(losses, Mapping) else [losses]
    others: list[Any] = [one for one in losses if getattr(one, 'batch_axis', 0) != 0]
    others += [one for _, one in layers_of(layer) if getattr(one, 'layout', None) == 'TNC']
    if others or carry is not None:
        raise ArgumentError(
            'micro_batches= cuts batches along their first axis',
            got='carry=' if carry is not None else f'{others[0]!r}, which has samples along another',
            remedy='accumulate=n adds up the gradients of n steps',
        )


def in_micro_batches(
    gradients_of: Callable[..., tuple[Any, Any]], count: int, rest: Any, key: jax.Array, batch: Batch, mask: Any
) -> tuple[Any, Any]:
    """The mean gradient over the samples of a batch, and what the forward passes made, as of one.

    Part i has the samples i, i + count, ...: a batch that is cut over devices stays so in each part.

    Args:
        gradients_of: `(rest, key, batch, mask) -> (gradients, forward)` of a part.
        count: how many parts there are.
        rest: the params that are not trained; each part begins with what the one before recorded.
        key: of the whole.
        batch: the whole.
        mask: which samples are valid; None for all.

    Raises:
        DataError: if the batch does not divide.
    """
    if count == 1:
        return gradients_of(rest, key, batch, mask)
    rows = rows_of(batch)
    if rows is None or rows % count:
        raise DataError(
            'the batch does not divide into micro-batches',
            expected=f'a multiple of {count} samples',
            got='arrays of unequal first axes' if rows is None else rows,
            remedy="another batch_size; Trainer(..., last_batch='pad') fills up smaller batches",
        )
    parts = jax.tree.map(lambda leaf: _cut(leaf, count), (batch, mask))
    samples = jnp.float32(rows) if mask is None else mask.sum(dtype='float32')

    def add(state: Any, part: Any) -> Any:
        total, rest = state
        gradients, forward = gradients_of(nest(rest), *part)
        share = forward.samples / samples  # of a part without valid samples the mean is not a number
        total = jax.tree.map(lambda t, g: t + jnp.where(share > 0, g * share, 0).astype(t.dtype), total, gradients)
        return (total, {**rest, **forward.recorded}), forward

    first = jax.eval_shape(gradients_of, rest, key, *jax.tree.map(lambda leaf: leaf[0], parts))[0]
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), first)
    (total, last), forward = jax.lax.scan(add, (zeros, flatten(rest)), (jax.random.split(key, count), *parts))
    return total, _joined(forward, last, rows // count)


def _cut(leaf: Any, count: int) -> jax.Array:
    """(n, ...) -> (count, n / count, ...)."""
    return jnp.asarray(leaf).reshape(-1, count, *leaf.shape[1:]).swapaxes(0, 1)


def _joined(forward: Any, last: Mapping[str, Any], rows: int) -> Any:
    """What the parts made, as if one pass had made it."""

    def whole(leaf: jax.Array) -> jax.Array:
        if leaf.shape[1:2] != (rows,):
            return leaf[-1]
        return leaf.swapaxes(0, 1).reshape(-1, *leaf.shape[2:])

    losses = jnp.where(forward.samples > 0, forward.value * forward.samples, 0).sum()
    return dataclasses.replace(
        forward,
        value=(losses / forward.samples.sum()).astype(forward.value.dtype),
        samples=forward.samples.sum(),
        output=jax.tree.map(whole, forward.output),
        recorded={name: last[name] for name in forward.recorded},
    )
