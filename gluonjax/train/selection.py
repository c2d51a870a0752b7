"""Which parameters are trained: a definition in which the others are frozen."""

from __future__ import annotations

import dataclasses
from typing import Any

from gluonjax.layer import Layer, declarations_of, leaves_of, with_fields
from gluonjax.messages import no_match
from gluonjax.param import Param
from gluonjax.tree import Path, map_items, matches


def training_only(definition: Layer, select: str | None) -> Layer:
    """The definition with those parameters trainable alone that a pattern matches by one of their names.

    A normalization of which the pattern matches no name, not even that of a running statistic, has
    `use_global_stats=True`: it normalizes by its running statistics, as in inference, and leaves them alone.

    Args:
        definition: of a network.
        select: a pattern (`re.match` on names); None for the definition as it is.

    Raises:
        PatternError: if nothing matches.
    """
    if select is None:
        return definition
    declarations, leaves = declarations_of(definition), leaves_of(definition)
    chosen = {leaf.name for leaf in leaves if matches(select, leaf.names)}
    if not chosen and leaves:
        raise no_match(select, leaves)

    def is_chosen(path: Path) -> bool:
        return declarations['.'.join(path)].leaf.name in chosen

    def change(item: Any, path: Path) -> Any:
        if isinstance(item, Param):
            return dataclasses.replace(item, trainable=False, frozen=True) if _frozen(item, path) else item
        if not isinstance(item, Layer):
            return item
        fields = {name: map_items(change, value, (*path, name)) for name, value in vars(item).items()}
        own = [(*path, name) for name, value in vars(item).items() if isinstance(value, Param)]
        if 'use_global_stats' in fields and not any(map(is_chosen, own)):
            fields['use_global_stats'] = True
        return with_fields(item, fields)

    def _frozen(param: Param, path: Path) -> bool:
        return param.trainable and not is_chosen(path)

    return change(definition, ())
