"""The plan of parameters: their shapes, dtypes and initializers, known before anything is drawn."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp

from gluonjax.init.initializer import Initializer
from gluonjax.keys import as_key
from gluonjax.layer import Layer, choose, infer_shapes, leaves_of, request
from gluonjax.lazy import suggests_keywords
from gluonjax.sampler import draw
from gluonjax.shapes import shape_text
from gluonjax.tables import table
from gluonjax.tree import nest


class Spec(NamedTuple):
    """The plan of one parameter: known shape, dtype, the initializer that wins, whether it is trained.

    `copies` are the first axes of the shape: each copy is initialized as if it were alone.
    """

    shape: tuple[int, ...]
    dtype: str
    initializer: Initializer
    trainable: bool = True
    copies: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The memory that they take."""
        return self.size * jnp.dtype(self.dtype).itemsize


class Specs(dict[str, Spec]):
    """Name -> Spec, in definition order; prints as a table."""

    @property
    def size(self) -> int:
        """The count of all numbers."""
        return sum(spec.size for spec in self.values())

    @property
    def bytes(self) -> int:
        """The memory that all numbers take."""
        return sum(spec.bytes for spec in self.values())

    def draw(self, key: Any, fused: bool = False) -> dict[str, Any]:
        """The params of this plan: a value is a function of the key, its name, shape, dtype and initializer."""
        key = as_key(key)
        requests = [request(key, name, s.shape, s.dtype, s.initializer, s.copies) for name, s in self.items()]
        return nest(dict(zip(self, draw(requests, fused), strict=True)))

    def __repr__(self) -> str:
        rows = [[name, _copies_of(s), s.dtype, repr(s.initializer), s.size, s.bytes] for name, s in self.items()]
        foot = f'{len(self)} parameters, {self.size:,} numbers, {self.bytes:,} bytes'
        return table(['name', 'shape', 'dtype', 'initializer', 'numbers', 'bytes'], rows, foot)


@suggests_keywords
def specs(layer: Layer, *inputs: Any, init: Any = None, **named: Any) -> Specs:
    """The plan of every parameter, as `init` would draw it; allocates nothing. Prints as a table."""
    shapes, leaves = infer_shapes(layer, inputs, named), leaves_of(layer)
    chosen = choose(leaves, init)
    return Specs(
        (leaf.name, Spec(shapes[leaf.name], param.dtype, chosen[leaf.name], param.trainable, param.copies))
        for leaf in leaves
        for param in [leaf.param]
    )


def _copies_of(spec: Spec) -> str:
    """The shape as a table shows it: (3, 2), or 48 x (3, 2)."""
    return ''.join(f'{number} x ' for number in spec.copies) + shape_text(spec.shape[len(spec.copies) :])
