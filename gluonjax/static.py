"""What arguments and outputs hold beside arrays: it is static, a part of the program and not of its data."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.core

from gluonjax.lazy import above


class _Array:
    """Stands where an array is."""


class Static(NamedTuple):
    """A tree less its arrays; equal ones share a program.

    >>> arrays, static = split({'x': jax.numpy.ones(2), 'mode': 'fast'})
    >>> len(arrays), static.has_values(), static.join([0])
    (1, True, {'mode': 'fast', 'x': 0})
    """

    structure: Any
    leaves: tuple[Any, ...]  # `_Array` where an array is

    def has_values(self) -> bool:
        """Whether something is no array."""
        return any(leaf is not _Array for leaf in self.leaves)

    def join(self, arrays: Any) -> Any:
        """The tree, with these arrays."""
        arrays = iter(arrays)
        return self.structure.unflatten(next(arrays) if leaf is _Array else leaf for leaf in self.leaves)


def is_array(leaf: Any) -> bool:
    """Whether a leaf is data: an array of JAX or NumPy, a tracer, or a `jax.ShapeDtypeStruct`."""
    return hasattr(leaf, 'shape') and hasattr(leaf, 'dtype')


def split(tree: Any) -> tuple[list[Any], Static]:
    """The arrays of a tree, and the rest of it."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [leaf for leaf in leaves if is_array(leaf)]
    return arrays, Static(structure, tuple(_Array if is_array(leaf) else leaf for leaf in leaves))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Packed:
    """An output of a program that holds more than arrays: its arrays, and the rest beside them."""

    arrays: list[Any]
    static: Static = dataclasses.field(metadata={'static': True})


def packed(output: Any) -> Any:
    """An output as a compiled program can return it.

    Raises:
        TransformationError: if a tracer hides in an object that is no pytree.
    """
    arrays, static = split(output)
    for leaf in static.leaves:
        held = {**getattr(leaf, '__dict__', {}), **(leaf if isinstance(leaf, dict) else {})}
        if any(isinstance(value, jax.core.Tracer) for value in jax.tree.leaves(list(held.values()))):
            raise above.messages.hidden_tracer(leaf)
    return Packed(arrays, static) if static.has_values() else output


def unpacked(output: Any) -> Any:
    """The output that was packed."""
    return output.static.join(output.arrays) if isinstance(output, Packed) else output
