"""Containers: networks that run their layers otherwise than in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from gluonjax.block import Block
from gluonjax.checks import size
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer
from gluonjax.nn.sequential import Sequential


class Concatenate(Sequential):
    """Gives every layer the same input, and joins the outputs along an axis. MXNet's `Concatenate`, `Concurrent`.

    Without layers it joins its inputs.

    Raises:
        ShapeError: when called, if the outputs lack the axis, or differ in rank or along another axis.

    >>> from gluonjax import nn
    >>> net = nn.Concatenate(nn.Dense(2), nn.Dense(3))
    >>> net.initialize()
    >>> net(jnp.ones((1, 4))).shape
    (1, 5)
    """

    axis: int

    def __init__(self, *layers: Layer | Block, axis: int = -1):
        self.axis = size('axis', axis, least=None)
        super().__init__(*layers)

    def forward(self, *inputs: Any) -> jax.Array:
        return _joined([layer(*inputs) for layer in self] or inputs, self.axis)


def _joined(outputs: Sequence[jax.Array], axis: int) -> jax.Array:
    """Arrays as one, along an axis of all of them."""
    shapes, rank = [y.shape for y in outputs], outputs[0].ndim if outputs else 0
    if any(y.ndim != rank for y in outputs):
        raise ShapeError('the outputs differ in the number of axes', expected=f'{rank} axes each', got=shapes)
    if not -rank <= axis < rank:
        raise ShapeError(f'the outputs lack the axis {axis}', expected=f'an axis below {rank}', got=shapes)
    if len({shape[: axis % rank] + shape[axis % rank + 1 :] for shape in shapes}) > 1:
        raise ShapeError(
            f'the outputs differ in other axes than {axis}, along which they are joined',
            expected='equal sizes along the others',
            got=shapes,
        )
    return jnp.concatenate(outputs, axis)


class Residual(Sequential):
    """Layers in a row, whose output is added to the input: `x + layers(x)`. He et al. (2016).

    Several inputs all go to the first layer, and the first of them is added.

    Args:
        *layers: as for `Sequential`.
        shortcut: a layer applied to the input before the sum, where the layers change its shape; None adds the input.

    Raises:
        ShapeError: when called, if the two summands differ in shape.

    >>> from gluonjax import nn
    >>> net = nn.Residual(nn.Dense(3, weight_initializer='zeros'))
    >>> net.initialize()
    >>> net(jnp.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """

    beside: ClassVar[tuple[str, ...]] = ('shortcut',)
    shortcut: Any  # a layer or a network, or None

    def __init__(self, *layers: Layer | Block, shortcut: Layer | Block | None = None):
        if not (shortcut is None or isinstance(shortcut, Layer | Block)):
            raise ArgumentError(f'shortcut must be a layer or a network, or None; got {shortcut!r}')
        self.shortcut = shortcut
        super().__init__(*layers)

    def forward(self, x: jax.Array, *others: Any) -> jax.Array:
        y = super().forward(x, *others)
        x = x if self.shortcut is None else self.shortcut(x)
        if isinstance(y, tuple) or x.shape != y.shape:
            raise ShapeError(
                'the layers of a Residual change the shape',
                expected=f'{x.shape}, as the {"input" if self.shortcut is None else "shortcut"} has',
                got=[part.shape for part in y] if isinstance(y, tuple) else y.shape,
                remedy='layers that keep the shape, or shortcut=nn.Dense(...) or the like',
            )
        return x + y


class Parallel(Sequential):
    """Layers side by side: each has its own input, or all have the same one. Returns a tuple of their outputs.

    As `parallel` in `jax.example_libraries.stax`, and with one input as its `FanOut`. In a `Sequential` the outputs are
    the inputs of the next layer.

    Raises:
        ArgumentError: when called, if the number of inputs is neither one nor that of the layers.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Parallel(nn.Identity(), nn.Activation('relu')), nn.Lambda('add'))
    >>> net(-jnp.ones(2))
    Array([-1., -1.], dtype=float32)
    """

    def forward(self, *inputs: Any) -> tuple[Any, ...]:
        if len(inputs) == 1:
            inputs *= len(self)
        if len(inputs) != len(self):
            raise ArgumentError(
                'a Parallel has one input for all layers, or one for each',
                expected=f'1 or {len(self)}',
                got=f'{len(inputs)} inputs',
            )
        return tuple(layer(x) for layer, x in zip(self, inputs, strict=True))


HybridConcatenate = Concatenate
Concurrent = HybridConcurrent = Concatenate  # their names before Gluon 2
