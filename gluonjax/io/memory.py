"""Arrays of files as arrays of JAX: read once, by several threads, into memory that JAX takes as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.typing import DTypeLike

from gluonjax.io.reading import read_view

_ALIGNMENT = 64  # of memory that JAX takes as it is
_LARGE_PAGE = 1 << 21
_PIECE = 1 << 26  # bytes: of so many, malloc maps new memory, for which NumPy asks for large pages
_CHUNK = 1 << 24  # bytes that a thread reads at a time
_MOST_THREADS = 4  # with more, memory is the limit


class Memory:
    """Aligned memory for arrays of so many bytes in all, in large pieces, for which the system has large pages.

    A piece is in use as long as one of its arrays is.
    """

    def __init__(self, size: int):
        self._left = size  # to be handed out, unless alignment takes more
        self._free: np.ndarray = np.empty(0, 'uint8')

    def take(self, size: int) -> np.ndarray:
        """Some bytes."""
        aligned = -(-size // _ALIGNMENT) * _ALIGNMENT
        if aligned > self._free.size:
            wanted = max(aligned, min(_PIECE, self._left))
            border = _LARGE_PAGE if wanted >= _LARGE_PAGE else _ALIGNMENT
            piece = np.empty(wanted + border, 'uint8')
            self._free = piece[-piece.ctypes.data % border :]
        taken, self._free = self._free[:size], self._free[aligned:]
        self._left -= size
        return taken


def to_device(values: Sequence[Any], dtypes: Sequence[DTypeLike], placements: Sequence[Any]) -> list[jax.Array]:
    """What was read as JAX arrays, each of its dtype, copied once.

    Args:
        values: arrays of a file.
        dtypes: of the results.
        placements: of each a device or a sharding; None for the default device.

    Raises:
        FileError: if the file has become shorter since it was opened.
    """
    dtypes = [jax.dtypes.canonicalize_dtype(dtype) for dtype in dtypes]
    with jax.ensure_compile_time_eval():  # arrays also where somebody traces
        return [jax.device_put(*put) for put in zip(_on_host(values, dtypes), placements, strict=True)]


def _on_host(values: Sequence[Any], dtypes: Sequence[np.dtype]) -> list[Any]:
    """Copies in aligned memory; arrays of JAX as they are, but for the dtype."""
    ours = [isinstance(value, jax.Array) for value in values]
    sizes = [
        0 if is_ours else value.size * dtype.itemsize
        for is_ours, value, dtype in zip(ours, values, dtypes, strict=True)
    ]
    memory, copies, chunks = Memory(sum(sizes)), [], []
    for is_ours, value, dtype, size in zip(ours, values, dtypes, sizes, strict=True):
        copy = value.astype(dtype) if is_ours else memory.take(size).view(dtype).reshape(value.shape)
        chunks += () if is_ours else _chunks(copy, value)
        copies.append(copy)
    if sum(sizes) <= _CHUNK:
        for target, source in chunks:
            read_view(target, source)
        return copies
    with ThreadPoolExecutor(_threads()) as threads:
        for _ in threads.map(read_view, *zip(*chunks, strict=True)):
            pass
    return copies


def _chunks(target: np.ndarray, source: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both in parts that are copied one by one."""
    if target.dtype != source.dtype or not source.flags.c_contiguous:
        yield target, source
    elif source.size:
        flat_target, flat_source = (array.reshape(-1).view('uint8') for array in (target, source))
        for start in range(0, flat_source.size, _CHUNK):
            yield flat_target[start : start + _CHUNK], flat_source[start : start + _CHUNK]


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return min(cores, _MOST_THREADS)
