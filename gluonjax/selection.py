"""Parts of params: which of them are trained, splitting and joining them, drawing some of them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gluonjax.errors import ParamsError
from gluonjax.layer import Layer, checked_params, choose, leaves_of
from gluonjax.lazy import suggests_keywords
from gluonjax.messages import no_match
from gluonjax.specs import Spec, Specs
from gluonjax.tree import flatten, matches, nest


@suggests_keywords
def trainable(layer: Layer, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The boolean mask that optax takes: False for running statistics. Params are not needed; given, checked."""
    if params is not None:
        checked_params(layer, params, shapes=False)
    return nest({leaf.name: leaf.param.trainable for leaf in leaves_of(layer)})


@suggests_keywords
def partition(layer: Layer, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits params, or a tree like them, into `(trainable, rest)`; `gluonjax.merge` joins them again."""
    values = checked_params(layer, params, shapes=False)
    trained = {leaf.name for leaf in leaves_of(layer) if leaf.param.trainable}
    rest = {name: value for name, value in values.items() if name not in trained}
    return nest({name: values[name] for name in values if name in trained}), nest(rest)


@suggests_keywords
def reinit(
    layer: Layer, params: Mapping[str, Any], key: Any, select: str | None = None, init: Any = None
) -> dict[str, Any]:
    """The same tree with chosen leaves drawn again: the values that `init` gives them under this key.

    Args:
        params: the tree to start from.
        key: a JAX key or an int.
        select: a pattern (`re.match` on any name of a leaf); all leaves without one.
        init: as for `init`; so a general initializer leaves biases and the like to what their layers declare,
            and a dict of patterns does not.

    Raises:
        PatternError: if nothing matches `select`.
    """
    values = checked_params(layer, params)
    leaves = [leaf for leaf in leaves_of(layer) if select is None or matches(select, leaf.names)]
    if not leaves and select is not None:
        raise no_match(select, leaves_of(layer))
    chosen = choose(leaves, init)
    plan = Specs(
        (leaf.name, Spec(value.shape, value.dtype.name, chosen[leaf.name], copies=leaf.param.copies))
        for leaf in leaves
        for value in [values[leaf.name]]
    )
    return nest({**values, **flatten(plan.draw(key))})


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Joins params that were split, as by `partition`.

    Raises:
        ParamsError: if two trees hold the same leaf.

    >>> merge({'0': {'weight': 1}}, {'0': {'bias': 2}})
    {'0': {'weight': 1, 'bias': 2}}
    """
    flat: dict[str, Any] = {}
    for tree in map(flatten, trees):
        if twice := sorted(flat.keys() & tree.keys()):
            raise ParamsError(f'two trees hold {twice}', remedy='merge takes disjoint parts of one tree')
        flat.update(tree)
    return nest(flat)
