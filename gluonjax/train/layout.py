"""Layout: how the leaves of a training state lie in the arguments of a compiled step.

An array that goes into a compiled step and comes out of it costs as much as some thousand numbers, and most leaves of a
state, beside the params, are small: counts, rates, sums, the key. These are packed into one vector of 32-bit words.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Kind = tuple[tuple[int, ...], np.dtype]  # a shape and a dtype

SMALL = 16  # the most numbers of a leaf that is packed
_GROUP = 16  # how many leaves are taken from one vector


class Layout:
    """Which leaves are packed, which others a step replaces, and which it only reads.

    Args:
        leaves: arrays, in the order in which they are split and joined.
        moving: which of them a step replaces.
        first: for each leaf, the index of the first one that is always equal to it; only that one is split off.

    >>> leaves = [np.float32(0.5), np.zeros(100), np.ones(100), np.int32(7)]
    >>> layout = Layout(leaves, [True, False, True, True])
    >>> (words, moving), (fixed,) = layout.split(leaves)
    >>> words.tolist()
    [1056964608, 7]
    >>> [leaf.shape for leaf in layout.join((words, moving), (fixed,))]
    [(), (100,), (100,), ()]
    """

    def __init__(self, leaves: Sequence[Any], moving: Sequence[bool], first: Sequence[int] | None = None):
        self.first: list[int] = list(range(len(leaves)) if first is None else first)
        alone = self._alone(list(leaves))
        self.kinds: list[Kind | None] = [
            (leaf.shape, np.dtype(leaf.dtype)) if _is_packed(leaf) else None for leaf in alone
        ]
        self.moving: list[bool] = self._alone(list(moving))

    def _alone(self, items: Sequence[Any]) -> list[Any]:
        """Of something for each leaf, that for leaves which are the first of their value."""
        return [item for i, item in enumerate(items) if self.first[i] == i]

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether those of these leaves are equal that always are."""
        return all(i == j or np.array_equal(leaves[i], leaves[j]) for i, j in enumerate(self.first))

    def split(self, leaves: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The packed vector and the leaves that move, and the leaves that stay."""
        moving, fixed = self.select(leaves)
        packed = [leaf for leaf, kind in zip(self._alone(leaves), self.kinds, strict=True) if kind is not None]
        return (_packed(packed), *moving), fixed

    def select(self, items: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Of something for each leaf, that for leaves that move, and for leaves that stay; not for packed ones."""
        rows = [row for row in zip(self._alone(items), self.kinds, self.moving, strict=True) if row[1] is None]
        return tuple(item for item, _, moves in rows if moves), tuple(item for item, _, moves in rows if not moves)

    def join(self, moving: Sequence[Any], fixed: Sequence[Any]) -> list[Any]:
        """The leaves; those that were packed are NumPy's if the vector is."""
        words, *others = moving
        kinds = tuple(kind for kind in self.kinds if kind is not None)
        small, large, rest = iter(_unpacked(words, kinds)), iter(others), iter(fixed)
        rows = iter(zip(self.kinds, self.moving, strict=True))
        leaves: list[Any] = []
        for i, j in enumerate(self.first):
            if i != j:
                leaves.append(leaves[j])
                continue
            kind, moves = next(rows)
            leaves.append(next(small) if kind is not None else next(large if moves else rest))
        return leaves


def first_of_equals(state: Any) -> list[int]:
    """For each leaf of a training state, the index of the first that counts the same for another parameter so far.

    Optimizers count the updates of each parameter. Most have had the same number, and one count serves them all.
    """
    seen: dict[Any, int] = {}
    found = []
    for i, (path, leaf) in enumerate(jax.tree_util.tree_flatten_with_path(state)[0]):
        where = tuple(str(entry) for entry in path if not isinstance(entry, jax.tree_util.DictKey))
        counts = where[:1] == ('.optimizer',) and leaf.dtype == 'int32' and leaf.shape == ()
        found.append(seen.setdefault((where, int(leaf)), i) if counts and _is_packed(leaf) else i)
    return found


def refined(first: Sequence[int], results: Sequence[Any]) -> list[int]:
    """The same after a step that was handed one array for all that are equal: of those whose results are one too."""
    seen: dict[tuple[int, int], int] = {}
    return [seen.setdefault((j, id(result)), i) for i, (j, result) in enumerate(zip(first, results, strict=True))]


def _is_packed(leaf: Any) -> bool:
    """Whether a leaf is small, of 32-bit numbers, and whole on every device."""
    sharding, words = getattr(leaf, 'sharding', None), leaf.dtype in ('float32', 'int32', 'uint32')
    return words and leaf.size <= SMALL and (sharding is None or sharding.is_fully_replicated)


def _packed(leaves: Sequence[Any]) -> Any:
    if any(isinstance(leaf, jax.Array) for leaf in leaves):
        return _pack(tuple(leaves))
    return np.concatenate([np.zeros(0, np.uint32), *(leaf.ravel().view(np.uint32) for leaf in leaves)])


@jax.jit
def _pack(leaves: tuple[Any, ...]) -> jax.Array:
    words = [jax.lax.bitcast_convert_type(leaf, jnp.uint32).ravel() for leaf in leaves]
    if len(words) <= _GROUP:
        return jnp.concatenate(words)
    groups = [jnp.concatenate(words[start : start + _GROUP]) for start in range(0, len(words), _GROUP)]
    return jnp.concatenate(jax.lax.optimization_barrier(groups))


def _unpacked(words: Any, kinds: tuple[Kind, ...]) -> Sequence[Any]:
    if isinstance(words, jax.Array):
        return _unpack(words, kinds)
    return [part.view(dtype).reshape(shape) for part, (shape, dtype) in _parts(words, kinds)]


@functools.partial(jax.jit, static_argnums=1)
def _unpack(words: jax.Array, kinds: tuple[Kind, ...]) -> list[jax.Array]:
    """The leaves; where they are many, by vectors of some: XLA's compile time grows with the square of their number."""
    groups = [kinds[start : start + _GROUP] for start in range(0, len(kinds), _GROUP)]
    vectors = [words]
    if len(groups) > 1:
        vectors = jax.lax.optimization_barrier(jax.lax.split(words, [sum(map(_size, group)) for group in groups]))
    leaves = []
    for vector, group in zip(vectors, groups, strict=False):
        parts = jax.lax.split(vector, [_size(kind) for kind in group])
        leaves += [
            jax.lax.bitcast_convert_type(jax.lax.reshape(part, shape), dtype)
            for part, (shape, dtype) in zip(parts, group, strict=True)
        ]
    return leaves


def _parts(words: Any, kinds: tuple[Kind, ...]) -> Iterator[tuple[Any, Kind]]:
    start = 0
    for kind in kinds:
        yield words[start : start + _size(kind)], kind
        start += _size(kind)


def _size(kind: Kind) -> int:
    return math.prod(kind[0])
