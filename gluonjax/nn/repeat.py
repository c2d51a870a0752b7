"""Layers that run other layers: many copies as one loop, and recomputation in the gradient."""

import dataclasses
from collections.abc import Callable

import jax

from gluonjax.checks import size
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer, frozen_value, map_nodes, with_fields


class Repeat(Layer):
    """`n` copies of a layer in a row, each with parameters of its own, as one `lax.scan` over stacked parameters.

    What it computes is what the n layers after each other compute; compile time does not grow with n. The parameter
    `copies.weight` has the shape (n, *shape of the layer's weight), and each copy is initialized as if it were alone.
    Dropout draws a mask a copy, and running statistics are recorded for each.

    Args:
        layer: a layer, or a network without values; its output must look like its first input.
        n: how many copies.
        remat: True computes the inside of each copy again in the gradient instead of keeping it (`jax.checkpoint`); or
            one of `jax.checkpoint_policies`, which says what to keep.

    Raises:
        ShapeError: in a run, if the output has another shape or dtype than the input.

    >>> from gluonjax import nn
    >>> layer = nn.Repeat(nn.Dense(4), 3)
    >>> params = layer.init(0, jax.ShapeDtypeStruct((2, 4), 'float32'))
    >>> params['copies']['weight'].shape
    (3, 4, 4)
    """

    def __init__(self, layer, n: int, remat: bool | Callable = False):
        self.n, self.remat = size('n', n), remat
        self.copies = _stacked(_definition(self, 'layer', layer), self.n)

    def forward(self, x, *others, **named):
        """Each copy takes the output of the one before it; all of them take the other inputs."""

        def run(x):
            return self.copies(x, *others, **named)

        def step(x, _):
            policy = None if self.remat is True else self.remat
            y = self.checkpoint(run, x, policy=policy) if self.remat else run(x)
            if _form(y) != _form(x):
                raise ShapeError(
                    'a repeated layer must give what it takes',
                    expected=_form(x),
                    got=_form(y),
                    remedy='end the layer in the width of its input; cast the input to the dtype of the layer',
                )
            return y, None

        return self.scan(step, x, length=self.n, over='copies')[0]


class Remat(Layer):
    """A layer whose inside is computed again in the gradient instead of being kept (`jax.checkpoint`).

    Values and gradients are those of the layer; its parameters have the prefix `layer.`.

    Args:
        layer: a layer, or a network without values.
        policy: one of `jax.checkpoint_policies`, which says what to keep after all; None keeps nothing.

    >>> from gluonjax import nn
    >>> layer = nn.Remat(nn.Dense(3))
    >>> list(layer.specs(jax.ShapeDtypeStruct((2, 4), 'float32')))
    ['layer.weight', 'layer.bias']
    """

    def __init__(self, layer, policy: Callable | None = None):
        self.layer, self.policy = _definition(self, 'layer', layer), policy

    def forward(self, *inputs, **named):
        return self.checkpoint(lambda inputs, named: self.layer(*inputs, **named), inputs, named, policy=self.policy)


def _definition(owner: Layer, name: str, layer) -> Layer:
    definition = frozen_value(owner, name, layer)
    if not isinstance(definition, Layer):
        raise ArgumentError(
            f'{type(owner).__name__} takes a layer or a network', got=repr(layer), remedy='nn.Lambda(function)'
        )
    return definition


def _stacked(node, n: int):
    """A layer, or a Param, with one more axis of copies."""
    if isinstance(node, Layer):
        return with_fields(node, {k: map_nodes(lambda v: _stacked(v, n), value) for k, value in vars(node).items()})
    shape = None if node.shape is None else (n, *node.shape)
    return dataclasses.replace(node, shape=shape, copies=(n, *node.copies))


def _form(tree) -> str:
    return str(jax.tree.map(lambda leaf: f'{leaf.dtype}{leaf.shape}', tree))
