"""Faster ways of drawing, each with the bits of the reference, `Distribution.sample`.

All float32 tensors are cut into rows of equal length, which go through one small compiled sampler. Number i of a tensor
depends on (key, i) alone, so the bits are the same. Over shardings, a device makes only its part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.errors import ShapeError
from gluonjax.keys import is_threefry
from gluonjax.sampler import FLOAT32, Distribution, Request
from gluonjax.threefry import named_words, threefry

_CONFIG: Any = jax.config  # a type checker does not know its settings
ROW = 16384  # numbers a row
BLOCK, FEW = 64, 4  # rows a call of the compiled sampler; of small networks, which are then drawn in less time
_LOWEST = np.nextafter(np.float32(-1), np.float32(0))  # jax.random.normal's open lower end


def in_rows(requests: Sequence[Request], traced: bool) -> list[jax.Array]:
    """Tensors of float32 with distributions and keys of threefry, cut into rows."""
    words = named_words([request.key for request in requests], [request.name for request in requests])
    return _in_one_program(requests, words) if traced else _through_host_buffers(requests, words)


def _through_host_buffers(requests: Sequence[Request], words: Any) -> list[jax.Array]:
    """Blocks of rows through the compiled sampler, scaled into buffers that `device_put` can alias on CPU.

    It runs on the CPU, unless JAX was told to leave that out, and is compiled once for a base, not for the shapes of a
    network: so the bits are those of every platform, and accelerators compile nothing.
    """
    cpu = 'cpu' if 'cpu' in (_CONFIG.jax_platforms or 'cpu') else None
    buffers = [_aligned_buffer(request.size) for request in requests]
    for base in ('uniform', 'normal'):
        chosen = [i for i, request in enumerate(requests) if request.source.base == base]
        with jax.default_device(cpu):
            _fill(base, [buffers[i] for i in chosen], words[chosen], [requests[i].source.scale for i in chosen])
    for request, buffer in zip(requests, buffers, strict=True):
        if request.source.base == 'constant':
            buffer.fill(request.source.scale)
    shaped = [buffer.reshape(request.shape) for request, buffer in zip(requests, buffers, strict=True)]
    return jax.device_put(shaped, [request.sharding for request in requests])


def _aligned_buffer(size: int) -> np.ndarray:
    """Memory on a 64-byte border: the CPU backend takes it as it is, without a copy."""
    memory = np.empty(size * FLOAT32.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * FLOAT32.itemsize].view(FLOAT32)


def _fill(base: str, buffers: list[np.ndarray], words: np.ndarray, scales: list[float]) -> None:
    owner, offsets = _cut([buffer.size for buffer in buffers])
    waiting: list[tuple[int, jax.Array]] = []
    size = FEW if len(owner) <= FEW else BLOCK
    for start in range(0, len(owner), size):
        block = np.arange(start, start + size) % len(owner)  # the last block repeats rows that nobody reads
        waiting.append((start, _sample_block(base, words[owner[block]], _halves(offsets[block]))))
        if len(waiting) > 2:  # copy two blocks behind the computation
            _scale_into(buffers, scales, owner, offsets, *waiting.pop(0))
    for start, numbers in waiting:
        _scale_into(buffers, scales, owner, offsets, start, numbers)


def _scale_into(buffers, scales, owner, offsets, start: int, numbers: jax.Array) -> None:
    for row, values in enumerate(np.asarray(numbers)[: len(owner) - start], start):
        target = buffers[owner[row]][offsets[row] : offsets[row] + ROW]
        np.multiply(values[: target.size], np.float32(scales[owner[row]]), out=target)


def _cut(sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cuts tensors into rows: for each row, whose it is and where in its tensor it begins."""
    counts = [-(-size // ROW) for size in sizes]
    owner = np.repeat(np.arange(len(sizes)), counts)
    return owner, np.concatenate([np.arange(0), *(np.arange(count) * ROW for count in counts)])


def _halves(offsets: np.ndarray) -> np.ndarray:
    """64-bit offsets as pairs of 32-bit words, high then low."""
    return np.stack([offsets >> 32, offsets & 0xFFFFFFFF], axis=1).astype(np.uint32)


def rows_of(base: str, words: Any, offsets: Any) -> jax.Array:
    """Rows of base numbers: row r holds numbers `offsets[r] .. offsets[r] + ROW` of the tensor with key `words[r]`."""
    low = lax.broadcasted_iota(jnp.uint32, (len(offsets), ROW), 1) + offsets[:, 1:]
    high = jnp.broadcast_to(offsets[:, :1], low.shape)
    first, second = threefry(words[:, :1], words[:, 1:], high, low)
    mantissa = lax.shift_right_logical(first ^ second, np.uint32(9)) | np.uint32(0x3F800000)
    doubled = (lax.bitcast_convert_type(mantissa, jnp.float32) - np.float32(1)) * np.float32(2)
    if base == 'uniform':
        return doubled - np.float32(1)
    return np.float32(np.sqrt(2)) * lax.erf_inv(jnp.maximum(_LOWEST, doubled + _LOWEST))


_sample_block = jax.jit(rows_of, static_argnums=0)


# In traced code, and over shardings.


def _in_one_program(requests: Sequence[Request], words: Any) -> list[jax.Array]:
    """One draw over all rows of requests whose keys have these words, for traced code."""
    drawn: dict[int, jax.Array] = {}
    for base in ('uniform', 'normal'):
        chosen = [i for i, request in enumerate(requests) if request.source.base == base and request.size]
        owner, offsets = _cut([requests[i].size for i in chosen])
        if not chosen:
            continue
        # The barrier makes the rows one array: without it XLA draws them again for each tensor that is cut from them.
        numbers = lax.optimization_barrier(rows_of(base, words[np.asarray(chosen)[owner]], _halves(offsets)))
        for position, i in enumerate(chosen):
            mine = numbers[np.searchsorted(owner, position) : np.searchsorted(owner, position, 'right')]
            tensor = mine.reshape(-1)[: requests[i].size].reshape(requests[i].shape)
            drawn[i] = tensor * np.float32(requests[i].source.scale)
    return [
        drawn[i] if i in drawn else jnp.full(request.shape, request.source.scale, request.dtype)
        for i, request in enumerate(requests)
    ]


def over_shardings(requests: Sequence[Request], keys: Sequence[jax.Array]) -> list[jax.Array]:
    """Each tensor with the key of its name, under its sharding. A device makes only its part of a distribution.

    An initializer's own code, and random bits of another kind than threefry, make all of it before it is cut.
    """

    def drawn(request: Request, key: jax.Array) -> jax.Array:
        if request.sharding is None:
            return request.sample(key)
        check_divides(request.name, request.shape, request.sharding)
        if not (isinstance(request.source, Distribution) and is_threefry(key)):
            return jax.device_put(request.sample(key), request.sharding)
        alike = request._replace(key=None, name='')  # tensors that differ in key and name only share one program
        return _compiled(alike)(np.asarray(jax.random.key_data(key)))

    return list(map(drawn, requests, keys))


@functools.lru_cache(maxsize=1024)
def _compiled(request: Request) -> Callable[[np.ndarray], jax.Array]:
    return jax.jit(functools.partial(sample_words, request), out_shardings=request.sharding)


def is_whole(sharding: Any) -> bool:
    """Whether each device has the whole of what is drawn there, and all devices are of this process."""
    return sharding is None or (sharding.is_fully_addressable and sharding.is_fully_replicated)


def check_divides(name: str, shape: Any, sharding: Any) -> None:
    """Refuses a sharding that does not divide a parameter.

    Raises:
        ShapeError: naming the parameter.
    """
    try:
        sharding.shard_shape(shape)
    except ValueError as error:
        raise ShapeError(
            f'{name!r} of shape {shape} cannot be cut by this sharding',
            got=str(error).partition('\n')[0],
            remedy='Trainer(..., mesh=, sharding=rules) has a rule for each parameter',
        ) from None


def sample_words(request: Request, words: Any) -> jax.Array:
    """The draw of one tensor, with a threefry key given by its words."""
    return request.sample(jax.random.wrap_key_data(words, impl='threefry2x32'))
