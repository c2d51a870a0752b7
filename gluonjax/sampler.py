"""Distributions, and the sampler that draws parameters from keys and names.

A parameter's value is a function of (key, name, shape, dtype, distribution). `Distribution.sample` is the reference.
Compiling JAX's threefry once per tensor takes seconds on CPU, so `draw` cuts all float32 tensors into rows of equal
length and sends them through one small compiled sampler. Number i of a tensor depends on (key, i) alone, so the bits
are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.keys import is_threefry, named_keys, named_words, threefry
from gluonjax.lazy import above

_CONFIG: Any = jax.config  # a type checker does not know its settings
ROW = 16384  # numbers a row
BLOCK, FEW = 64, 4  # rows a call of the compiled sampler; of small networks, which are then drawn in less time
FLOAT32 = np.dtype('float32')
_LOWEST = np.nextafter(np.float32(-1), np.float32(0))  # jax.random.normal's open lower end


class Distribution(NamedTuple):
    """What an initializer states instead of drawing: `base * scale`.

    Attributes:
        base: 'uniform' on [-1, 1), 'normal' (standard), or 'constant' (one).
        scale: what the base is multiplied by, once, so that it rounds once.
    """

    base: str
    scale: float = 1.0

    def sample(self, key: Any, shape: Sequence[int], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """The reference draw of one tensor.

        >>> Distribution('constant', 2.0).sample(None, (2,))
        Array([2., 2.], dtype=float32)
        """
        _check(self)
        if self.base == 'constant':
            return jnp.full(shape, self.scale, dtype)
        if self.base == 'uniform':
            numbers = jax.random.uniform(key, shape, dtype, -1, 1)
        else:
            numbers = jax.random.normal(key, _without_short_end(shape), dtype)
        # The barrier keeps XLA from folding the scale into the base's own factors, which would round differently.
        return lax.optimization_barrier(numbers).reshape(shape) * np.asarray(self.scale, numbers.dtype)


def _without_short_end(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape with short last axes merged: XLA on CPU rounds normal numbers differently along an axis of 3 to 5.

    No more than needed is merged, so that each device of a sharded draw makes only its part.

    >>> _without_short_end((64, 48, 3, 3)), _without_short_end((1000, 3))
    ((64, 48, 9), (3000,))
    """
    merged = list(shape)
    while len(merged) > 1 and merged[-1] < 8:
        merged[-2:] = [merged[-2] * merged[-1]]
    return tuple(merged)


class Request(NamedTuple):
    """One tensor to draw: `source` is a Distribution, or an initializer's own code `f(key, shape, dtype)`.

    With a `sharding` it is drawn there, outside a transformation; inside one, `out_shardings` decide.
    """

    key: jax.Array
    name: str
    shape: tuple[int, ...]
    dtype: DTypeLike
    source: Any
    sharding: Any = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def sample(self, key: Any) -> jax.Array:
        """The draw of this tensor by itself, with the key of its name."""
        source = self.source.sample if isinstance(self.source, Distribution) else self.source
        return source(key, self.shape, self.dtype)


def draw(requests: Sequence[Request], fused: bool = False) -> list[jax.Array]:
    """Draws every request; all random numbers of initialization come from here.

    Outside a transformation, tensors of float32 with a distribution go through the compiled sampler. Inside one, each
    is drawn by itself, so that under sharded `out_shardings` a device makes only its part; `fused=True` makes one
    draw instead, which compiles faster. A tensor with a sharding is drawn so outside a transformation too. All ways
    return the same bits.

    Raises:
        AllocationError: if they do not fit into memory.
    """
    keys = {id(request.key): request.key for request in requests}
    traced = any(isinstance(jax.random.key_data(key), jax.core.Tracer) for key in keys.values())
    if not traced and sum(request.size for request in requests) > 2**29:  # fewer fit into any memory
        above.failures.check_memory(requests)
    threefry_keys = {identity for identity, key in keys.items() if is_threefry(key)}

    def in_rows(request: Request) -> bool:
        if not isinstance(request.source, Distribution):
            return False
        _check(request.source)
        fast = np.dtype(request.dtype) == FLOAT32 and id(request.key) in threefry_keys
        return fast and (fused or not traced) and (traced or request.sharding is None)

    chosen = list(map(in_rows, requests))
    rows = iter(_draw_rows([request for request, it in zip(requests, chosen, strict=True) if it], traced))
    each = iter(_draw_each([request for request, it in zip(requests, chosen, strict=True) if not it], traced))
    return [next(rows if it else each) for it in chosen]


def _check(distribution: Distribution) -> None:
    checks.one_of('the base of a distribution', distribution.base, ('uniform', 'normal', 'constant'))


def _draw_each(requests: Sequence[Request], traced: bool) -> list[jax.Array]:
    keys = named_keys([request.key for request in requests], [request.name for request in requests])
    if traced or all(request.sharding is None for request in requests):
        return [request.sample(key) for request, key in zip(requests, keys, strict=True)]
    return above.drawing.over_shardings(requests, keys)


def _draw_rows(requests: Sequence[Request], traced: bool) -> list[jax.Array]:
    if not requests:
        return []
    words = named_words([request.key for request in requests], [request.name for request in requests])
    return above.drawing.in_one_program(requests, words) if traced else _through_host_buffers(requests, words)


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
    return jax.device_put(shaped)


def _aligned_buffer(size: int) -> np.ndarray:
    """Memory on a 64-byte border: the CPU backend takes it as it is, without a copy."""
    memory = np.empty(size * FLOAT32.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * FLOAT32.itemsize].view(FLOAT32)


def _fill(base: str, buffers: list[np.ndarray], words: np.ndarray, scales: list[float]) -> None:
    owner, offsets = cut([buffer.size for buffer in buffers])
    waiting: list[tuple[int, jax.Array]] = []
    size = FEW if len(owner) <= FEW else BLOCK
    for start in range(0, len(owner), size):
        block = np.arange(start, start + size) % len(owner)  # the last block repeats rows that nobody reads
        waiting.append((start, _sample_block(base, words[owner[block]], halves(offsets[block]))))
        if len(waiting) > 2:  # copy two blocks behind the computation
            _scale_into(buffers, scales, owner, offsets, *waiting.pop(0))
    for start, numbers in waiting:
        _scale_into(buffers, scales, owner, offsets, start, numbers)


def _scale_into(buffers, scales, owner, offsets, start: int, numbers: jax.Array) -> None:
    for row, values in enumerate(np.asarray(numbers)[: len(owner) - start], start):
        target = buffers[owner[row]][offsets[row] : offsets[row] + ROW]
        np.multiply(values[: target.size], np.float32(scales[owner[row]]), out=target)


def cut(sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Cuts tensors into rows: for each row, whose it is and where in its tensor it begins."""
    counts = [-(-size // ROW) for size in sizes]
    owner = np.repeat(np.arange(len(sizes)), counts)
    return owner, np.concatenate([np.arange(0), *(np.arange(count) * ROW for count in counts)])


def halves(offsets: np.ndarray) -> np.ndarray:
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
