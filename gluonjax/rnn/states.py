"""The states of recurrent layers and cells: a list of arrays, whose shapes `state_info` gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.errors import ArgumentError, ShapeError


class Stateful:
    """What has states: cells, and the layers that run over whole sequences."""

    __slots__ = ()

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        raise NotImplementedError(f'{type(self).__name__} has no state_info(self, batch_size)')

    def begin_state(self, batch_size: int = 0, func: Callable[..., Any] = jnp.zeros, **kwargs: Any) -> list[jax.Array]:
        """The states before the first step.

        Args:
            batch_size: the number of sequences.
            func: makes a state of `shape=` and `dtype=`.
            **kwargs: more for `func`, or another dtype.
        """
        infos = self.state_info(batch_size)
        return [func(**{'shape': info['shape'], 'dtype': info.get('dtype', 'float32'), **kwargs}) for info in infos]


def checked_states(given: Any, infos: Sequence[dict[str, Any]]) -> list[jax.Array]:
    """The states as a list of arrays of the shapes that `state_info` gives; a single array is the only state."""
    if not (hasattr(given, 'shape') or isinstance(given, list | tuple)):
        raise ArgumentError('states must be a list of arrays', got=repr(given), remedy='begin_state(batch_size)')
    states: list[Any] = [given] if hasattr(given, 'shape') else list(given)
    expected, got = [info['shape'] for info in infos], [jnp.shape(state) for state in states]
    if got != expected:
        raise ShapeError(
            'the states have the wrong number or shapes',
            expected=expected,
            got=got,
            remedy='begin_state(batch_size) makes the first ones; later ones are what the last call returned',
        )
    return [jnp.asarray(state) for state in states]


def checked_length(valid_length: Any, batch: int) -> jax.Array | None:
    """The valid lengths, one for each example."""
    if valid_length is None:
        return None
    if jnp.shape(valid_length) != (batch,):
        raise ShapeError('there is one valid length for each sequence', expected=(batch,), got=jnp.shape(valid_length))
    return jnp.asarray(valid_length)


def placed_like(array: jax.Array, sequence: jax.Array, axis: int = 0) -> jax.Array:
    """The array with the sharding of a sequence's batch axis, and varying over the same axes of a `shard_map`.

    Zeros are neither sharded nor varying, and the carry of a scan cannot change its type.

    Args:
        array: whose batch is on this axis.
        sequence: (T, N, ...).
        axis: where the array's batch is.
    """
    first = lax.stop_gradient(sequence[:1])
    example = first.sum([i for i in range(first.ndim) if i != 1]).astype(array.dtype)
    typed = jnp.expand_dims(example, [i for i in range(array.ndim) if i != axis])
    return jnp.where(False, typed, array)  # the condition is constant, so XLA removes it


# A layer's states are one array for each kind, with a row for each layer and direction.


def per_layer(states: Sequence[jax.Array]) -> list[list[jax.Array]]:
    """One list of states for each row."""
    return [[state[row] for state in states] for row in range(len(states[0]))]


def per_kind(rows: Sequence[Sequence[jax.Array]]) -> list[jax.Array]:
    """The arrays, of one list of states for each row."""
    return [jnp.stack(kind) for kind in zip(*rows, strict=True)]
