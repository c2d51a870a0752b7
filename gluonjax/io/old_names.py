"""Parameters by the names of before Gluon had structural ones: `dense0_weight`, `resnetv10_conv0_weight`.

Such a name is a layer's, with counters, and then the parameter's. Layers are matched with those of a network: in order,
or where the file is not in order, by what parameters they have, of which shapes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gluonjax.errors import ParamsError
from gluonjax.shapes import Shape, merge_shapes, shape_text

_Kinds = dict[str, Shape | None]  # the parameters of a layer, by their last names
_SYNONYMS = {'moving_mean': 'running_mean', 'moving_var': 'running_var'}  # of the Module API


def match_old_names(
    path: str, ours: Mapping[str, Shape | None], theirs: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """The name in the network of each name in a file.

    Args:
        path: of the file, for errors.
        ours: the shapes of the network by name, in definition order; None is unknown.
        theirs: the shapes of the file by name, in its order.

    Raises:
        ParamsError: if the layers cannot be matched, or in several ways.

    >>> ours = {'0.weight': (3, None), '0.bias': (3,), '1.weight': (1, 3), '1.bias': (1,)}
    >>> theirs = {'dense0_weight': (3, 2), 'dense0_bias': (3,), 'dense1_weight': (1, 3), 'dense1_bias': (1,)}
    >>> match_old_names('net.params', ours, theirs)
    {'dense0_weight': '0.weight', 'dense0_bias': '0.bias', 'dense1_weight': '1.weight', 'dense1_bias': '1.bias'}
    """
    our_layers = _layers({name: _split_ours(name) for name in ours}, ours)
    kinds = {kind for layer in our_layers.values() for kind in layer}
    their_parts = {name: _split_theirs(name, kinds) for name in theirs}
    their_layers = _layers(their_parts, theirs)
    pairs = _in_order(our_layers, their_layers) or _by_shape(our_layers, their_layers)
    if isinstance(pairs, str):
        raise ParamsError(
            f'the old names in {path!r} cannot be matched with those of this network: {pairs}',
            expected=_text(our_layers),
            got=_text(their_layers),
            remedy="make a file with the network's names: gluonjax.io.save(path, {name: array})",
        )
    return {name: '.'.join(filter(None, (pairs[stem], kind))) for name, (stem, kind) in their_parts.items()}


def _split_ours(name: str) -> tuple[str, str]:
    layer, _, kind = name.rpartition('.')
    return layer, kind


def _split_theirs(name: str, kinds: set[str]) -> tuple[str, str]:
    """The layer and the last name, which is the longest of those that the network has."""
    for old, new in _SYNONYMS.items():
        name = re.sub(f'(^|_){old}$', rf'\1{new}', name)
    found = [kind for kind in kinds if f'_{name}'.endswith(f'_{kind}')]
    kind = max(found, key=len, default=name.rpartition('_')[2])
    return name.removesuffix(kind).rstrip('_'), kind


def _layers(parts: Mapping[str, tuple[str, str]], shapes: Mapping[str, Any]) -> dict[str, _Kinds]:
    layers: dict[str, _Kinds] = {}
    for name, (layer, kind) in parts.items():
        layers.setdefault(layer, {})[kind] = shapes[name]
    return layers


def _fits(ours: _Kinds, theirs: _Kinds) -> bool:
    return ours.keys() == theirs.keys() and all(
        ours[kind] is None or merge_shapes(ours[kind], theirs[kind]) is not None for kind in ours
    )


def _in_order(ours: Mapping[str, _Kinds], theirs: Mapping[str, _Kinds]) -> dict[str, str] | None:
    """Their layers, each with ours at the same position; None if that does not fit."""
    pairs = dict(zip(theirs, ours, strict=False))
    fits = len(ours) == len(theirs) and all(_fits(ours[pairs[layer]], theirs[layer]) for layer in theirs)
    return pairs if fits and _is_ordered(theirs) else None


def _by_shape(ours: Mapping[str, _Kinds], theirs: Mapping[str, _Kinds]) -> dict[str, str] | str:
    """Their layers, each with ours that has the same parameters; of several that are alike by their counters.

    It is a text if that is not possible, which says why.
    """
    pairs: dict[str, str] = {}
    for _, group in itertools.groupby(
        sorted(ours, key=lambda layer: repr(ours[layer])), lambda layer: repr(ours[layer])
    ):
        group = sorted(group, key=list(ours).index)
        fitting = [layer for layer in theirs if _fits(ours[group[0]], theirs[layer])]
        if len(fitting) != len(group):
            return f'{len(fitting)} layers of the file fit the {len(group)} layers {group}'
        if len({_skeleton(layer) for layer in fitting}) == 1:
            fitting = sorted(fitting, key=_counters)
        elif not _is_ordered(theirs):
            return f'{fitting} are alike, and the file is not in order'
        pairs |= dict(zip(fitting, group, strict=True))
    return (
        pairs if len(pairs) == len(theirs) else f'no layer of the network fits {sorted(theirs.keys() - pairs.keys())}'
    )


def _skeleton(layer: str) -> str:
    return re.sub(r'\d+', '#', layer)


def _counters(layer: str) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', layer)]


def _is_ordered(layers: Sequence[str] | Mapping[str, Any]) -> bool:
    """Whether layers that differ in their counters only stand in their order."""
    last: dict[str, list[int]] = {}
    for layer in layers:
        if _counters(layer) < last.get(_skeleton(layer), []):
            return False
        last[_skeleton(layer)] = _counters(layer)
    return True


def _text(layers: Mapping[str, _Kinds]) -> str:
    return ', '.join(
        f'{layer}({", ".join(f"{kind} {shape_text(shape)}" for kind, shape in kinds.items())})'
        for layer, kinds in layers.items()
    )
