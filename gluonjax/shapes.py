"""Shapes with sizes that are not known yet; `None` stands for such a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

Shape = tuple[int | None, ...]


def shape_text(shape: Shape | None) -> str:
    """A shape as text; None stands for an unknown size."""
    return 'unknown' if shape is None else f'({", ".join(map(str, shape))}{"," if len(shape) == 1 else ""})'


def shapes_text(shapes: Sequence[Shape]) -> str:
    """Shapes as text.

    >>> shapes_text([(2, 3)]), shapes_text([(2, 3), (4,)])
    ('(2, 3)', '[(2, 3), (4,)]')
    """
    return shape_text(shapes[0]) if len(shapes) == 1 else f'[{", ".join(map(shape_text, shapes))}]'


def shapes_of(values: Any) -> list[tuple[int, ...]]:
    """The shapes of the leaves of a tree."""
    return [np.shape(leaf) for leaf in jax.tree.leaves(values)]


def is_known(shape: Shape | None) -> bool:
    """Whether every size is known."""
    return shape is not None and None not in shape


def is_static(shape: Sequence[Any]) -> bool:
    """Whether every size is an int; under `jax.export` sizes may be symbolic."""
    return all(isinstance(size, int) for size in shape)


def merge_shapes(first: Shape | None, second: Shape | None) -> Shape | None:
    """The shape that satisfies both, where None is unknown; None if there is none (or nothing is known)."""
    if first is None or second is None or first == second:
        return second if first is None else first
    if len(first) != len(second) or any(a != b for a, b in zip(first, second, strict=True) if None not in (a, b)):
        return None
    return tuple(b if a is None else a for a, b in zip(first, second, strict=True))
