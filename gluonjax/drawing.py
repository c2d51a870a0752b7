"""Ways of drawing that few programs need: over shardings, and all tensors at once in traced code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.keys import is_threefry
from gluonjax.sampler import Distribution, Request, cut, halves, rows_of


def over_shardings(requests: Sequence[Request], keys: Sequence[jax.Array]) -> list[jax.Array]:
    """Each tensor with the key of its name, under its sharding. A device makes only its part of a distribution.

    An initializer's own code, and random bits of another kind than threefry, make all of it before it is cut.
    """
    programs: dict[Request, Callable] = {}  # tensors that differ in key and name only share one

    def drawn(request: Request, key: jax.Array) -> jax.Array:
        if request.sharding is None:
            return request.sample(key)
        if not (isinstance(request.source, Distribution) and is_threefry(key)):
            return jax.device_put(request.sample(key), request.sharding)
        alike = request._replace(key=None, name='')
        if alike not in programs:
            programs[alike] = jax.jit(functools.partial(sample_words, alike), out_shardings=request.sharding)
        return programs[alike](np.asarray(jax.random.key_data(key)))

    return list(map(drawn, requests, keys))


def sample_words(request: Request, words: Any) -> jax.Array:
    """The draw of one tensor, with a threefry key given by its words."""
    return request.sample(jax.random.wrap_key_data(words, impl='threefry2x32'))


def in_one_program(requests: Sequence[Request], words: Any) -> list[jax.Array]:
    """One draw over all rows of requests whose keys have these words, for traced code."""
    drawn: dict[int, jax.Array] = {}
    for base in ('uniform', 'normal'):
        chosen = [i for i, request in enumerate(requests) if request.source.base == base and request.size]
        owner, offsets = cut([requests[i].size for i in chosen])
        if not chosen:
            continue
        # The barrier makes the rows one array: without it XLA draws them again for each tensor that is cut from them.
        numbers = lax.optimization_barrier(rows_of(base, words[np.asarray(chosen)[owner]], halves(offsets)))
        for position, i in enumerate(chosen):
            mine = numbers[np.searchsorted(owner, position) : np.searchsorted(owner, position, 'right')]
            tensor = mine.reshape(-1)[: requests[i].size].reshape(requests[i].shape)
            drawn[i] = tensor * np.float32(requests[i].source.scale)
    return [
        drawn[i] if i in drawn else jnp.full(request.shape, request.source.scale, request.dtype)
        for i, request in enumerate(requests)
    ]
