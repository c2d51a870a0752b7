"""Sequential, the network that people use."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from gluonjax.block import Block, part_of, set_fields
from gluonjax.checks import position
from gluonjax.layer import Layer
from gluonjax.lazy import above
from gluonjax.run import Bindable, forward_class


class Sequential(Block):
    """Layers in a row. A tuple that a layer returns is the inputs of the next.

    A layer that is set as an attribute is one of them, as in Gluon, and is named by it.

    `net[0]` is a view of the network's own values, and so is `net[1:3]`.

    >>> import jax.numpy as jnp
    >>> from gluonjax import nn
    >>> net = nn.Sequential()
    >>> net.add(nn.Dense(256, activation='relu'), nn.Dense(10))
    >>> net
    Sequential(
      (0): Dense(256, activation='relu')
      (1): Dense(10)
    )
    >>> net.collect_params()['0.weight']
    Parameter 0.weight (shape=(256, None), dtype=float32)
    >>> net.initialize()
    >>> net(jnp.ones((2, 20))).shape
    (2, 10)
    >>> net[0].weight.shape
    (256, 20)
    """

    beside: ClassVar[tuple[str, ...]] = ()  # attributes whose layers do not run in the row

    def __init__(self, *layers: Layer | Block):
        self.add(*layers)

    def add(self, *layers: Layer | Block) -> None:
        """Appends layers or networks; all of them, or none if one cannot be added.

        Raises:
            ArgumentError: for something that is neither.
        """
        for layer in layers:
            if not isinstance(layer, Layer | Block):
                raise above.messages.no_layer(layer)
        free = (str(i) for i in itertools.count(len(self)) if str(i) not in vars(self))
        set_fields(self, dict(zip(free, layers, strict=False)))

    def forward(self, *inputs: Any, **named: Any) -> Any:
        inputs = (*inputs, *_unnamed(inputs, named))
        output: Any = inputs
        for layer in self:
            output = layer(*inputs)
            inputs = tuple(output) if isinstance(output, tuple | list) else (output,)
        if hasattr(output, '_fields'):
            return output
        return inputs[0] if len(inputs) == 1 else inputs

    def __len__(self) -> int:
        return len([*names_of_layers(self)])

    def __bool__(self) -> bool:
        return True  # an empty network is still a network

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in [*names_of_layers(self)])

    def __getitem__(self, index: int | slice) -> Any:
        if type(index) is int and index >= 0:  # without a look at the layers behind it
            for name in itertools.islice(names_of_layers(self), index, None):
                return getattr(self, name)
        names = [*names_of_layers(self)]
        if isinstance(index, slice):
            return part_of(self, names, range(*index.indices(len(names))))
        return getattr(self, names[position('layer', index, len(names))])


def names_of_layers(network: Bindable) -> Iterator[str]:
    """The attributes of the layers that run in a row, in the order in which they were set."""
    beside = getattr(forward_class(network), 'beside', ())
    return (name for name, value in vars(network).items() if isinstance(value, Bindable) and name not in beside)


def _unnamed(inputs: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
    """A single input may have any name, as in a batch that is a dict; more of them have no order."""
    if len(inputs) + len(named) > 1 and named:
        raise above.messages.named_inputs(named)
    return tuple(named.values())


HybridSequential = Sequential
