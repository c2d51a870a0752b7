"""The arrays in what comes in from outside, and what stands beside them.

A NumPy array is copied. JAX on CPU computes on a NumPy array's own memory, and later than the call that was given it,
so that a caller who writes into it again would change what is computed. Whoever wants no copy passes a `jax.Array`.

What arguments and outputs hold beside arrays is static: a part of the program, and not of its data.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import DTypeError
from gluonjax.lazy import above

_WIDEST = {'g': np.dtype('float64'), 'G': np.dtype('complex128')}  # what JAX has of NumPy's wider ones
_OF_OTHER_LIBRARIES = ('asnumpy', 'detach', 'numpy', 'to_numpy')  # methods of their arrays


def admit(tree: Any, what: str = 'input', copy: bool = True) -> Any:
    """The arrays of a tree as JAX can keep them; whatever is no array stays.

    Args:
        tree: a pytree.
        what: how an error calls its leaves.
        copy: whether arrays of NumPy are copied; False where the caller copies what it takes out of them.

    Returns:
        The tree. Arrays of NumPy (any byte order) are copies in the byte order of the machine, of at most 64 bits;
        those of PyTorch, TensorFlow and pandas, on the host, are NumPy arrays. Arrays of JAX over explicit axes of a
        mesh have automatic ones.

    Raises:
        DTypeError: for an array of strings, objects, dates or times, and for one with masked elements, naming it.

    >>> admit((np.arange(3, dtype='>i4'), 'text'))
    (array([0, 1, 2], dtype=int32), 'text')
    """
    convert = np.array if copy else np.asarray
    try:
        return jax.tree.map(lambda leaf: _admitted(leaf, convert), tree)
    except DTypeError:
        pass  # which of them it is, is said below
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _admitted(leaf, convert, f'{what}{jax.tree_util.keystr(path)}'), tree
    )


def _admitted(leaf: Any, convert: Callable[..., np.ndarray], name: str = '') -> Any:
    if isinstance(leaf, np.ndarray):
        return _in_order(leaf, convert, name)
    if isinstance(leaf, jax.Array):
        return leaf if isinstance(leaf, jax.core.Tracer) else above.placement.with_automatic_axes(leaf)
    is_foreign = any(hasattr(leaf, method) for method in _OF_OTHER_LIBRARIES)
    return _in_order(above.foreign.to_numpy(leaf), convert, name) if is_foreign else leaf


def _in_order(array: np.ndarray, convert: Callable[..., np.ndarray], name: str) -> np.ndarray:
    dtype = array.dtype
    if not (dtype == np.bool_ or jnp.issubdtype(dtype, np.number)) or dtype.kind == 'm':
        raise above.messages.not_numbers(name, array)
    if array.__class__ is not np.ndarray and np.ma.is_masked(array):
        raise above.messages.masked_elements(name, array)
    return convert(array, _WIDEST.get(dtype.char) or dtype.newbyteorder('='))


# What is static.


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
