"""Reading bytes that may be damaged: every read is checked before memory is asked for, and errors name the byte."""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, Self

import numpy as np

from gluonjax.errors import ArgumentError, FileError

Path = str | os.PathLike[str]

_IS_PATH = re.compile(r'[/\\]|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\]|$)')


def checked_path(path: Any) -> Path:
    """A path; a number, which Python takes for an open file, is refused, and an empty name too.

    Raises:
        ArgumentError: for anything but a str or a path.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ArgumentError(f'a file name must be a str or a path, got {path!r}')
    return path


class _MappedFile(mmap.mmap):
    """A file that is mapped into memory and stays open: to read from it is faster than to copy from the mapping."""

    path: Path
    descriptor: int
    address: int

    @classmethod
    def of(cls, file: BinaryIO, path: Path) -> Self:
        mapped = cls(file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.path, mapped.descriptor = path, os.dup(file.fileno())
        mapped.address = np.frombuffer(mapped, 'uint8').ctypes.data
        return mapped

    def __del__(self) -> None:
        if hasattr(self, 'descriptor'):  # not where it could not be mapped
            os.close(self.descriptor)

    def read(self, target: np.ndarray, source: np.ndarray) -> None:
        """Fills an array with the bytes of a view of the file."""
        offset, left = source.ctypes.data - self.address, target.reshape(-1).view('uint8')
        while left.size:
            count = os.preadv(self.descriptor, [left.data], offset)
            if not count:
                raise file_error(self.path, 'the file was cut off while it was read', offset)
            offset, left = offset + count, left[count:]


class Reader:
    r"""Bytes of a file, and how many of them were read.

    >>> reader = Reader(b'\x02\x00\x00\x00', 'net.params')
    >>> reader.unpack('<I', 'a number')
    (2,)
    >>> reader.unpack('<Q', 'another number')
    Traceback (most recent call last):
    ...
    gluonjax.errors.FileError: 'net.params', byte 4: the file ends within another number
      expected: 8 bytes
      got: 0 bytes
      try: get the file again: it is damaged, or was cut off
    """

    def __init__(self, data: Any, path: Path):
        self.data: memoryview = memoryview(data)
        self.path: str = os.fspath(path)
        self.offset: int = 0

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Of a file, which is mapped into memory for as long as an array of it is in use."""
        if os.path.isdir(checked_path(path)):
            raise FileError(f'{os.fspath(path)!r} is a folder', remedy='the name of a file')
        with open(path, 'rb') as file:
            if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
                return cls(b'', path)
            data = _MappedFile.of(file, path)
        if hasattr(mmap, 'MADV_SEQUENTIAL'):  # on Windows there is no such advice
            data.madvise(mmap.MADV_SEQUENTIAL)
        return cls(data, path)

    def error(self, what: str, at: int | None = None, expected: object = None, got: object = None) -> FileError:
        """The error for what is at a byte; by default the next one."""
        return file_error(self.path, what, self.offset if at is None else at, expected, got)

    def take(self, size: int, what: str) -> memoryview:
        """The next bytes."""
        left = len(self.data) - self.offset
        if size > left:
            raise self.error(f'the file ends within {what}', None, f'{size} bytes', f'{left} bytes')
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """The next numbers, by a layout of `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def expect(self, data: bytes, what: str) -> None:
        """Reads bytes that are known."""
        at, found = self.offset, self.data[self.offset : self.offset + len(data)]
        if found != data:
            raise self.error(f'no {what} begins here', at, data, bytes(found))
        self.offset += len(data)

    def expect_end(self) -> None:
        """Refuses bytes that follow."""
        if self.offset != len(self.data):
            raise self.error('the file goes on after its end', None, None, f'{len(self.data) - self.offset} bytes more')

    def one_of(self, layout: str, choices: Collection[int], what: str) -> int:
        """The next number, which is one of these."""
        at, (number,) = self.offset, self.unpack(layout, what)
        if number not in choices:
            raise self.error(f'{what} is not known', at, f'one of {list(choices)}', number)
        return number

    def count(self, what: str) -> Iterator[int]:
        """0, 1, ... up to the count that is next."""
        return iter(range(self.unpack('<Q', f'the number of {what}')[0]))

    def name(self, size: int, known: Collection[str]) -> str:
        """The next name, which is UTF-8, not a path and not known yet."""
        at, data = self.offset, self.take(size, 'a name')
        try:
            name = str(data, 'utf-8')
        except UnicodeDecodeError as error:
            raise self.error('a name is not UTF-8', at + error.start, None, bytes(data[:50])) from None
        check_name(self.path, name, at, known)
        return name

    def array(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The next numbers, as a view of the file."""
        at = self.offset
        numbers = self.take(math.prod(shape) * dtype.itemsize, f'an array of {dtype} {shape}')
        if dtype.kind == 'b':  # of bytes that may be anything
            return (np.frombuffer(numbers, 'uint8') != 0).reshape(shape)
        try:
            return np.frombuffer(numbers, dtype).reshape(shape)
        except ValueError as error:  # an empty one of enormous sizes
            raise self.error(f'no array can have the shape {shape}', at, None, error) from None


def file_error(path: Path, what: str, at: int, expected: object = None, got: object = None) -> FileError:
    """The error for a file in which something is wrong at a byte."""
    remedy = 'get the file again: it is damaged, or was cut off'
    return FileError(f'{os.fspath(path)!r}, byte {at}: {what}', expected=expected, got=got, remedy=remedy)


def check_name(path: Path, name: str, at: int, known: Collection[str]) -> None:
    """Refuses a name that is there twice, or that leads somewhere else when it is used as a path.

    Raises:
        FileError: saying which.
    """
    if name in known:
        raise file_error(path, f'the name {name!r} is there twice', at)
    if _IS_PATH.match(name) or '\0' in name:
        raise file_error(path, f'the name {name!r} is a path', at)


def read_view(target: np.ndarray, source: np.ndarray) -> None:
    """Copies an array, which may be a view of a file and is then read from there.

    Raises:
        FileError: if the file has become shorter since it was opened.
    """
    origin = source
    while isinstance(origin, np.ndarray):
        origin = origin.base
    mapped = origin.obj if isinstance(origin, memoryview) else None
    as_it_is = target.dtype == source.dtype and source.flags.c_contiguous
    if isinstance(mapped, _MappedFile) and as_it_is and hasattr(os, 'preadv'):
        mapped.read(target, source)
    else:
        np.copyto(target, source, casting='unsafe')
