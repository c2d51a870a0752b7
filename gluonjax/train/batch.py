"""Batch: the inputs and the label of a training step, taken apart once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from gluonjax.errors import ArgumentError


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
    def of(cls, batch: Any) -> 'Batch':
        """A batch as people write it, `(*inputs, label)` or a dict of inputs by name with 'label', taken apart.

        Raises:
            ArgumentError: if it is neither.

        >>> Batch.of(('x', 'y'))
        Batch(inputs=('x',), named={}, label='y')
        >>> Batch.of({'x': 1, 'label': 2})
        Batch(inputs=(), named={'x': 1}, label=2)
        """
        if isinstance(batch, Batch):
            return batch
        if isinstance(batch, Mapping) and 'label' in batch:
            return cls((), {name: value for name, value in batch.items() if name != 'label'}, batch['label'])
        if not isinstance(batch, tuple | list) or len(batch) < 2:
            raise ArgumentError(
                'this is no batch',
                expected="(*inputs, label), or a dict with 'label' and inputs by name",
                got=sorted(batch) if isinstance(batch, Mapping) else _described(batch),
                remedy='trainer.step(x, y): a step takes the data itself, and computes loss and gradients too',
            )
        return cls(tuple(batch[:-1]), {}, batch[-1])

    def with_carry(self, carry: Any) -> 'Batch':
        """With what is carried from the batch before as the last input by position; None is nothing."""
        return self if carry is None else self._replace(inputs=(*self.inputs, carry))


def _described(batch: Any) -> str:
    if isinstance(batch, tuple | list):
        return f'a {type(batch).__name__} of {len(batch)}'
    return f'{type(batch).__name__} of shape {batch.shape}' if hasattr(batch, 'shape') else repr(batch)
