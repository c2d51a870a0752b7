"""Writing files: each is there when it is whole, and not before."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from gluonjax.errors import FileError
from gluonjax.io.reading import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place at the end; if anything fails, what was there before stays."""
    path = pathlib.Path(path).resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, 'there is no such folder to write to', str(path.parent))
    if path.is_dir():
        raise FileError(f'{str(path)!r} is a folder', remedy='the name of a file in it')
    unfinished = path.with_name(f'.{path.name[:200]}.unfinished-{uuid.uuid4().hex}')
    try:
        with open(unfinished, 'xb') as file:
            yield file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


Progress = Callable[[int], None]  # is told of each array how many bytes it has, when it is written


def write_all(file: BinaryIO, chunks: Iterable[Any], progress: Progress | None = None) -> None:
    """Writes bytes and the numbers of arrays, in little-endian order; one after the other is on the host."""
    for chunk in chunks:
        if isinstance(chunk, bytes):
            file.write(chunk)
        else:
            numbers = _bytes_of(np.asarray(chunk))
            file.write(numbers)
            if progress:
                progress(numbers.nbytes)


def _bytes_of(array: np.ndarray) -> memoryview:
    array = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
    return array.reshape(-1).view('uint8').data
