"""Threefry-2x32 in NumPy and JAX, many keys at once: the bits that `jax.random` draws, without a program for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.keys import hashes

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def named_words(keys: Sequence[jax.Array], names: Sequence[str]) -> np.ndarray | jax.Array:
    """The words of `named_keys` of threefry, computed all at once: uint32 of shape (names, 2).

    They are NumPy's where the keys are concrete, JAX's where they are traced.
    """
    words = _words(keys)
    for half in hashes(names).T:
        first, second = threefry(words[:, 0], words[:, 1], np.zeros_like(half), half)
        words = (np if isinstance(first, np.ndarray) else jnp).stack([first, second], axis=1)
    # The barrier keeps XLA from deriving all keys again in the program of every tensor.
    return words if isinstance(words, np.ndarray) else lax.optimization_barrier(words)


def _words(keys: Sequence[jax.Array]) -> Any:
    """The keys' words, shape (len(keys), 2)."""
    data: dict[int, Any] = {identity: jax.random.key_data(key) for identity, key in {id(k): k for k in keys}.items()}
    xp = jnp if any(isinstance(words, jax.core.Tracer) for words in data.values()) else np
    if xp is np:
        data = {identity: np.asarray(words) for identity, words in data.items()}
    return xp.stack([data[id(key)] for key in keys]) if keys else xp.zeros((0, 2), xp.uint32)


def threefry(key0: Any, key1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Threefry-2x32 with 20 rounds (Salmon et al., 2011), unrolled; on uint32 arrays of NumPy or JAX alike."""
    schedule = (key0, key1, key0 ^ key1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = x0 + schedule[0], x1 + schedule[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))) ^ x0
        x0 = x0 + schedule[(group + 1) % 3]
        x1 = x1 + schedule[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1
