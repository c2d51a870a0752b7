"""Layers that run other layers: many copies as one loop, and recomputation in the gradient."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax.checks import flag, size
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer, frozen_value, map_nodes, with_fields
from gluonjax.nn.kernels import with_convolutions
from gluonjax.run import Bindable

_MOST = 2**31 - 1  # what an axis can have


class Repeat(Layer):
    """`n` copies of a layer in a row, each with its own parameters, as one `lax.scan` over stacked parameters.

    It computes what n layers in a row compute, but compile time does not grow with n. The parameter `copies.weight` has
    the shape (n, *shape of the layer's weight), and each copy is initialized as if it were alone. Dropout draws a mask
    for each copy, and running statistics are recorded for each.

    Args:
        layer: a layer, or a network without values; its output must have the shape and dtype of its first input.
        n: how many copies.
        remat: True recomputes the intermediate values of each copy in the backward pass instead of storing them
            (`jax.checkpoint`); or one of `jax.checkpoint_policies`, which says what to store.

    Raises:
        ArgumentError: if an argument has no such value.
        ShapeError: when called, if the output has another shape or dtype than the input.

    >>> from gluonjax import nn
    >>> layer = nn.Repeat(nn.Dense(4), 3)
    >>> params = layer.init(0, jax.ShapeDtypeStruct((2, 4), 'float32'))
    >>> params['copies']['weight'].shape
    (3, 4, 4)
    """

    n: int
    remat: bool | Callable[..., Any]
    copies: Layer

    def __init__(self, layer: Bindable, n: int, remat: bool | Callable[..., Any] = False):
        self.n, self.remat = size('n', n, most=_MOST), remat if callable(remat) else flag('remat', remat)
        self.copies = _stacked(_definition(self, 'layer', layer), self.n)

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> Any:
        """As of any layer; what the copies remember is stacked."""
        cache = super().init_cache(batch_size, length, dtype)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.n, *leaf.shape)), cache)

    def forward(self, x: Any, *others: Any, **named: Any) -> Any:
        """Each copy takes the output of the one before it; all of them take the other inputs."""

        def run(x: Any) -> Any:
            return self.copies(x, *others, **named)

        def step(x: Any, _: None) -> tuple[Any, None]:
            policy = with_convolutions(self.remat if callable(self.remat) else None)
            y = self.checkpoint(run, x, policy=policy) if self.remat else run(x)
            if _form(y) != _form(x):
                raise ShapeError(
                    'the output of a repeated layer differs from its input',
                    expected=_form(x),
                    got=_form(y),
                    remedy='end the layer in the width of its input; cast the input to the dtype of the layer',
                )
            return y, None

        return self.scan(step, x, length=self.n, over='copies')[0]


class Remat(Layer):
    """Rematerialization: the backward pass recomputes the layer's intermediate values (`jax.checkpoint`).

    Values and gradients are those of the layer; its parameters have the prefix `layer.`.

    Args:
        layer: a layer, or a network without values.
        policy: one of `jax.checkpoint_policies`, which says what to store all the same; None stores nothing.

    >>> from gluonjax import nn
    >>> layer = nn.Remat(nn.Dense(3))
    >>> list(layer.specs(jax.ShapeDtypeStruct((2, 4), 'float32')))
    ['layer.weight', 'layer.bias']
    """

    layer: Layer
    policy: Callable[..., Any] | None

    def __init__(self, layer: Bindable, policy: Callable[..., Any] | None = None):
        if not (policy is None or callable(policy)):
            raise ArgumentError(f'policy must be one of jax.checkpoint_policies, got {policy!r}')
        self.layer, self.policy = _definition(self, 'layer', layer), policy

    def forward(self, *inputs: Any, **named: Any) -> Any:
        policy = with_convolutions(self.policy)
        return self.checkpoint(lambda inputs, named: self.layer(*inputs, **named), inputs, named, policy=policy)


def _definition(owner: Layer, name: str, layer: Any) -> Layer:
    definition = frozen_value(owner, name, layer)
    if not isinstance(definition, Layer):
        raise ArgumentError(
            f'{name} must be a layer or a network, got {layer!r}', remedy='nn.Lambda(function) for a function'
        )
    return definition


def _stacked(node: Any, n: int) -> Any:
    """A Layer or Param with one more axis of copies."""
    if isinstance(node, Layer):
        return with_fields(node, {k: map_nodes(lambda v: _stacked(v, n), value) for k, value in vars(node).items()})
    shape = None if node.shape is None else (n, *node.shape)
    return dataclasses.replace(node, shape=shape, copies=(n, *node.copies))


def _form(tree: Any) -> str:
    """Shapes and dtypes, as text."""
    return str(jax.tree.map(lambda leaf: f'{leaf.dtype}{leaf.shape}', tree))
