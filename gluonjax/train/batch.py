"""Batch: the inputs and the label of a training step, taken apart once."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.arrays import admit, is_array
from gluonjax.errors import ArgumentError, DTypeError
from gluonjax.layer import Layer
from gluonjax.nn.sequential import Sequential, names_of_layers
from gluonjax.run import forward_class


class Batch(NamedTuple):
    """What a batch consists of.

    Attributes:
        inputs: the inputs by position: arrays, or pytrees of them.
        named: the inputs by name.
        label: an array, or a pytree of them.
    """

    inputs: tuple[Any, ...]
    named: dict[str, Any]
    label: Any

    @classmethod
    def of(cls, batch: Any, most: int | None = None) -> Batch:
        """A batch as people write it, `(*inputs, label)` or a dict of inputs by name with 'label', taken apart.

        Args:
            batch: the batch.
            most: how many inputs the network takes by position at most (`most_inputs`); if there are more before the
                last, they are labels too, which are a tuple then. None if nobody knows.

        Raises:
            ArgumentError: if it is neither.

        >>> Batch.of((1, 2))
        Batch(inputs=(1,), named={}, label=2)
        >>> Batch.of({'x': 1, 'label': 2})
        Batch(inputs=(), named={'x': 1}, label=2)
        >>> Batch.of((1, 2, 3), most=1)
        Batch(inputs=(1,), named={}, label=(2, 3))
        """
        if isinstance(batch, Batch):
            return batch
        check_arrays(batch)
        if isinstance(batch, Mapping) and 'label' in batch:
            return cls((), {name: value for name, value in batch.items() if name != 'label'}, batch['label'])
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise ArgumentError(
                'this is no batch',
                expected="(*inputs, label), or a dict with 'label' and inputs by name",
                got=sorted(batch) if isinstance(batch, Mapping) else _described(batch),
                remedy='trainer.step(x, y): a step takes the data itself, and computes loss and gradients too',
            )
        if most is not None and len(batch) > most + 1:
            return cls(tuple(batch[:most]), {}, tuple(batch[most:]))
        return cls(tuple(batch[:-1]), {}, batch[-1])

    def with_carry(self, carry: Any) -> Batch:
        """With what is carried from the batch before as the last input by position; None is nothing."""
        return self if carry is None else self._replace(inputs=(*self.inputs, carry))


def most_inputs(definition: Layer, carry: Any = None) -> int | None:
    """How many inputs by position `forward` takes at most, a carry not among them; None if that is not sure.

    >>> from gluonjax import nn
    >>> most_inputs(nn.Sequential(nn.Dense(3)).definition), most_inputs(nn.Parallel().definition)
    (1, None)
    """
    forward = forward_class(definition).forward
    if forward is Sequential.forward:
        first = next((vars(definition)[name] for name in names_of_layers(definition)), None)
        return None if first is None else most_inputs(first, carry)
    arguments = list(inspect.signature(forward).parameters.values())[1:]
    if any(argument.kind is argument.VAR_POSITIONAL for argument in arguments):
        return None
    positional = sum(argument.kind is argument.POSITIONAL_OR_KEYWORD for argument in arguments)
    return max(positional - (carry is not None), 1)


def check_arrays(batch: Any) -> None:
    """Refuses what is no array, such as a text or an object.

    Raises:
        DTypeError: naming its place in the batch.
    """
    if all(map(_is_numbers, jax.tree.leaves(batch))):
        return
    for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
        if not _is_numbers(leaf):
            where = f'batch{jax.tree_util.keystr(path)}'
            raise DTypeError(f'{where} is no array of numbers', got=repr(leaf), remedy='jnp.asarray(x)')


def _is_numbers(leaf: Any) -> bool:
    if is_array(leaf):
        return leaf.dtype == bool or jnp.issubdtype(leaf.dtype, np.number) or isinstance(leaf, jax.Array)
    return isinstance(leaf, float | complex) or (isinstance(leaf, int) and abs(leaf) < 2**31)


def _described(batch: Any) -> str:
    if isinstance(batch, tuple | list):
        return f'a {type(batch).__name__} of {len(batch)}'
    return f'{type(batch).__name__} of shape {batch.shape}' if hasattr(batch, 'shape') else repr(batch)


def checked_carry(carry: Any) -> Any:
    """What a network carries from batch to batch, in JAX's arrays.

    Raises:
        ArgumentError: for what is no array.
    """
    try:
        return jax.tree.map(jnp.asarray, admit(carry, 'carry'))
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(
            'carry= takes arrays', expected='such as net.begin_state(batch_size=32)', got=carry
        ) from error
