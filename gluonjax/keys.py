"""Random keys: the library-wide stream of them, and keys derived by name."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.lazy import above

_CONFIG: Any = jax.config  # a type checker does not know its settings
_BLOCK = 32
_DECISIVE = ('jax_default_prng_impl', 'jax_threefry_partitionable', 'jax_enable_x64', 'jax_random_seed_offset')


class _Stream:
    """The library-wide stream of keys, for calls that are given none. It holds integers, never a tracer."""

    lock, seed, count = threading.Lock(), 0, 0


def seed(number: int) -> None:
    """Restarts the library-wide stream of keys for calls without `key=`. It starts at `seed(0)`.

    >>> import gluonjax
    >>> gluonjax.seed(7)
    """
    if not isinstance(number, int | np.integer):
        raise ArgumentError(f'a seed must be an int, got {number!r}')
    with _Stream.lock:
        _Stream.seed, _Stream.count = int(number), 0


@contextlib.contextmanager
def next_key() -> Iterator[jax.Array]:
    """The next key of the library-wide stream, never a tracer, for a `with` block; it goes back if the block fails.

    It does not if somebody drew after it.
    """
    with _Stream.lock:
        _Stream.count += 1
        seed, count = _Stream.seed, _Stream.count
    try:
        with jax.ensure_compile_time_eval():
            of = seed, count // _BLOCK, tuple(getattr(_CONFIG, name) for name in _DECISIVE)
            key = _keys_of_stream(*of)[count % _BLOCK]
            if key.is_deleted():  # donated to somebody's program, before the stream was started again
                _keys_of_stream.cache_clear()
                key = _keys_of_stream(*of)[count % _BLOCK]
        yield key
    except BaseException:
        with _Stream.lock:
            if (_Stream.seed, _Stream.count) == (seed, count):
                _Stream.count -= 1
        raise


@functools.lru_cache(16)
def _keys_of_stream(seed: int, block: int, settings: tuple[Any, ...]) -> list[jax.Array]:
    """Many at once: the words of all take as long as those of one."""
    return named_keys([as_key(seed)] * _BLOCK, [f'stream {block * _BLOCK + index}' for index in range(_BLOCK)])


def as_key(key: Any) -> jax.Array:
    """A typed JAX key from an int, a typed key, or an old-style `uint32` key.

    Raises:
        ArgumentError: for anything else, a batch of keys among it.
    """
    dtype, shape = getattr(key, 'dtype', None), getattr(key, 'shape', ())
    integral = dtype is not None and jnp.issubdtype(dtype, jnp.integer) and shape == ()
    if integral or (issubclass(type(key), int) and abs(key) < 2**63):
        return jax.random.key(key)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ():
        return key
    if dtype == jnp.uint32 and len(shape) == 1:
        return jax.random.wrap_key_data(key)
    raise above.messages.no_key(key)


def named_keys(keys: Sequence[jax.Array], names: Sequence[str]) -> list[jax.Array]:
    """The key of each name, derived from the key beside it: two `fold_in`s with the 64-bit hash of the name."""
    if all(map(is_threefry, {id(key): key for key in keys}.values())):
        return [
            jax.random.wrap_key_data(words, impl='threefry2x32') for words in above.threefry.named_words(keys, names)
        ]
    return [jax.random.fold_in(jax.random.fold_in(key, a), b) for key, (a, b) in zip(keys, hashes(names), strict=True)]


def is_threefry(key: jax.Array) -> bool:
    """Whether `threefry` computes what `jax.random` draws with this key."""
    return str(jax.random.key_impl(key)) == 'threefry2x32' and _CONFIG.jax_threefry_partitionable


def hashes(names: Sequence[str]) -> np.ndarray:
    """Two 32-bit words a name."""
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b''.join(digests), '>u4').astype(np.uint32).reshape(-1, 2)
