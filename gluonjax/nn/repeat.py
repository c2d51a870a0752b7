"""Layers that run other layers: many copies as one loop, and recomputation in the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax.contents import map_nodes
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer, frozen_value, with_fields
from gluonjax.nn.arguments import limited
from gluonjax.nn.dropout import MASK
from gluonjax.nn.norm import MOMENT
from gluonjax.run import Bindable

_MOST = 2**31 - 1  # what an axis can have
Policy = Callable[..., Any]
PolicyName = Literal['dots', 'dots_with_no_batch_dims', 'everything', 'nothing']
PolicyLike = PolicyName | Sequence[str] | Policy
POLICIES: dict[str, Policy | None] = {
    'dots': jax.checkpoint_policies.dots_saveable,
    'dots_with_no_batch_dims': jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    'everything': jax.checkpoint_policies.everything_saveable,
    'nothing': None,
}
# What takes long to compute or to communicate again. The rest is done while these are read.
_DEAR = {
    *('dot_general', 'ragged_dot', 'conv_general_dilated', 'convolution', 'lstm', 'ffi_call', 'pallas_call'),
    *('sort', 'top_k', 'psum', 'psum_invariant', 'all_gather', 'all_gather_invariant', 'all_to_all', 'ppermute'),
}


def dear_saveable(primitive: Any, *_: Any, **params: Any) -> bool:
    """A policy: stores products, convolutions, attention, moments, masks of dropout and what devices exchange.

    What is computed element by element is computed again, which takes less time than to store it.
    """
    name = primitive.name
    if name == 'name':
        return params['name'] in (MOMENT, MASK)
    return name in _DEAR or name.startswith('dot_product_attention_fwd')


def checkpoint_policy(name: str, policy: Any) -> Policy | None:
    """The policy of a name, of a list of names that `jax.ad_checkpoint.checkpoint_name` gave, or itself."""
    if callable(policy):
        return policy
    if isinstance(policy, str) and policy in POLICIES:
        return POLICIES[policy]
    if isinstance(policy, list | tuple | set | frozenset) and all(isinstance(one, str) for one in policy):
        return jax.checkpoint_policies.save_only_these_names(*policy)
    raise ArgumentError(
        f'{name} is no policy',
        expected=f'{", ".join(map(repr, POLICIES))}, a list of names, or one of jax.checkpoint_policies',
        got=repr(policy),
        remedy='jax.ad_checkpoint.checkpoint_name gives a value its name',
    )


class Repeat(Layer):
    """`n` copies of a layer in a row, each with its own parameters, as one `lax.scan` over stacked parameters.

    It computes what n layers in a row compute, but compile time does not grow with n. The parameter `copies.weight` has
    the shape (n, *shape of the layer's weight), and each copy is initialized as if it were alone. Dropout draws a mask
    for each copy, and running statistics are recorded for each.

    Args:
        layer: a layer, or a network without values; its output must have the shape and dtype of its first input.
        n: how many copies.
        remat: what is stored for the backward pass, which recomputes the rest (`jax.checkpoint`). False stores what is
            dear, see `dear_saveable`; True or 'nothing' the inputs of the copies alone; 'dots', 'everything' and
            'dots_with_no_batch_dims' what the policies of JAX do; a list of names what `checkpoint_name` named; or
            one of `jax.checkpoint_policies`.
        unroll: how many copies are one iteration of the loop that is compiled: more take longer to compile, and run
            faster where copies are small.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        ShapeError: when called, if the output has another shape or dtype than the input.

    >>> from gluonjax import nn
    >>> layer = nn.Repeat(nn.Dense(4), 3)
    >>> params = layer.init(0, jax.ShapeDtypeStruct((2, 4), 'float32'))
    >>> params['copies']['weight'].shape
    (3, 4, 4)
    """

    n: int
    remat: bool | PolicyLike
    unroll: int
    copies: Layer

    def __init__(self, layer: Bindable, n: int, remat: bool | PolicyLike = False, unroll: int = 1):
        self.n, self.unroll = limited('n', n, _MOST), limited('unroll', unroll, _MOST)
        if not isinstance(remat, bool):
            checkpoint_policy('remat', remat)
        self.remat, self.copies = remat, _stacked(_definition(self, 'layer', layer), self.n)

    def init_cache(self, batch_size: int, length: int, dtype: DTypeLike | None = None) -> Any:
        """As of any layer; what the copies remember is stacked."""
        cache = super().init_cache(batch_size, length, dtype)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (self.n, *leaf.shape)), cache)

    def forward(self, x: Any, *others: Any, **named: Any) -> Any:
        """Each copy takes the output of the one before it; all of them take the other inputs."""
        policies = {False: dear_saveable, True: None}
        policy = policies[self.remat] if isinstance(self.remat, bool) else checkpoint_policy('remat', self.remat)

        def run(x: Any) -> Any:
            return self.copies(x, *others, **named)

        def step(x: Any, _: None) -> tuple[Any, None]:
            y = self.checkpoint(run, x, policy=policy)
            if _form(y) != _form(x):
                raise ShapeError(
                    'the output of a repeated layer differs from its input',
                    expected=_form(x),
                    got=_form(y),
                    remedy='end the layer in the width of its input; cast the input to the dtype of the layer',
                )
            return y, None

        return self.scan(step, x, length=self.n, over='copies', unroll=self.unroll)[0]


class Remat(Layer):
    """Rematerialization: the backward pass recomputes the layer's intermediate values (`jax.checkpoint`).

    Values and gradients are those of the layer; its parameters have the prefix `layer.`.

    Args:
        layer: a layer, or a network without values.
        policy: what to store all the same, as in `Repeat`: a name, a list of names, or one of
            `jax.checkpoint_policies`; None stores nothing.

    Raises:
        ArgumentError: if there is no such policy.

    >>> from gluonjax import nn
    >>> layer = nn.Remat(nn.Dense(3))
    >>> list(layer.specs(jax.ShapeDtypeStruct((2, 4), 'float32')))
    ['layer.weight', 'layer.bias']
    """

    layer: Layer
    policy: PolicyLike | None

    def __init__(self, layer: Bindable, policy: PolicyLike | None = None):
        if policy is not None:
            checkpoint_policy('policy', policy)
        self.layer, self.policy = _definition(self, 'layer', layer), policy

    def forward(self, *inputs: Any, **named: Any) -> Any:
        policy = None if self.policy is None else checkpoint_policy('policy', self.policy)
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
