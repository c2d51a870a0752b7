"""Ties that are made after construction, between parameters of any places and shapes: `net.tie`."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from gluonjax.block import Block, all_below, held_in, identity_of, replace
from gluonjax.config import set_slots
from gluonjax.errors import TieError
from gluonjax.layer import Layer, leaves_of, token_of
from gluonjax.lazy import suggests_keywords
from gluonjax.messages import no_match, tied_to_another_network
from gluonjax.param import SharedParameters
from gluonjax.parameter import LOCK, full_path, owners_of
from gluonjax.run import Bindable
from gluonjax.shapes import Shape, is_known, merge_shapes, shape_text

_Layer = TypeVar('_Layer', bound=Layer)


@suggests_keywords
def tie(net: Block, target: str, source: str, transform: Callable[..., Any] | None = None) -> None:
    """Makes `target` another name of the parameter `source`, read through `transform`.

    Raises:
        TieError: if the shapes do not fit.
    """
    with LOCK:
        held = dict(held_in(net))
        for name in (target, source):
            if name not in held:
                raise no_match(name, leaves_of(net.definition))
        place, origin = held[target], held[source]
        if place == origin:
            raise TieError(f'{target!r} and {source!r} are one name', remedy='tie two different parameters')
        declared, shape = origin.declared, place.declared.shape or place.parameter.shape
        declared = dataclasses.replace(declared, transform=_composed(declared.transform, transform))
        _check(target, shape, source, origin.parameter.shape, declared.transform)
        replace(net, place, origin.parameter, declared)


@suggests_keywords
def share_parameters(layer: _Layer, shared: SharedParameters | Bindable | None = None) -> _Layer:
    """A copy of this layer that is tied to the layer that `shared` is or comes from; by default to this one."""
    tied = copy.deepcopy(layer)
    set_slots(tied, _token=token_of(layer if shared is None else shared), _tied=True)
    return tied


def check_sharing(net: Block) -> None:
    """Refuses a network with a layer that `params=` ties to one that is in other networks alone.

    Raises:
        TieError: naming the layer.
    """
    nodes = [] if any(owners_of(net)) else list(all_below(net))
    counts = collections.Counter(map(identity_of, nodes))
    for node in nodes:
        if isinstance(node, Block) and node._tied and counts[node._token] < min(2, node._token.taken):
            raise tied_to_another_network(full_path(node))


def transformed_shape(transform: Callable[..., Any], shape: Shape) -> tuple[int, ...]:
    """The shape in which a tied parameter of this shape is read."""
    return jax.eval_shape(transform, jax.ShapeDtypeStruct(tuple(shape), 'float32')).shape


def _composed(first: Callable[..., Any] | None, second: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """One transform after the other; None changes nothing."""
    if first is None or second is None:
        return first or second
    return functools.partial(_in_turn, first, second)


def _in_turn(first, second, value):
    return second(first(value))


def _check(target: str, shape: Shape | None, source: str, source_shape: Shape | None, transform: Any) -> None:
    """Refuses a tie of shapes that cannot fit."""
    if transform is not None and source_shape is not None and is_known(source_shape):
        source_shape = transformed_shape(transform, source_shape)
    elif transform is not None:
        return  # the first input will tell
    if None not in (shape, source_shape) and merge_shapes(shape, source_shape) is None:
        raise TieError(
            f'{target!r} cannot be tied to {source!r}: their shapes differ',
            expected=shape_text(shape),
            got=shape_text(source_shape) + (' after the transform' if transform else ''),
            remedy='give a transform=, such as jnp.transpose',
        )
