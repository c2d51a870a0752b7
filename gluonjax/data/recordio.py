r"""RecordIO: MXNet's files of records one behind the other, and their index.

    uint32 0xced7230a, uint32 kind << 29 | length, the bytes, zeros up to a multiple of 4

A reader may begin in the middle of a file, and look for the number. Therefore records do not contain it: one that has
it, at a multiple of 4 bytes, is cut there into parts without it. The kind is 0 for a whole record, or 1, 2, 3 for the
first part, those between, the last. All is little-endian. The index is text: a key, a tab and where the record begins.

>>> import tempfile
>>> path = tempfile.mkdtemp() + '/three.rec'
>>> record = MXRecordIO(path, 'w')
>>> for i in range(3):
...     record.write(pack(IRHeader(0, i, i, 0), b'bytes %d' % i))
>>> record.close()
>>> header, data = unpack(MXRecordIO(path, 'r').read())
>>> header.label, data
(0.0, b'bytes 0')
"""

from __future__ import annotations

import numbers
import os
import pathlib
import struct
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from gluonjax.data import images
from gluonjax.errors import ArgumentError, FileError, GluonError
from gluonjax.lazy import entry_points, suggests_keywords

__all__ = ['IRHeader', 'MXIndexedRecordIO', 'MXRecordIO', 'pack', 'pack_img', 'unpack', 'unpack_img']

Path = str | os.PathLike[str]
_MAGIC = struct.pack('<I', 0xCED7230A)
_LENGTH_BITS = 29
_LONGEST = (1 << _LENGTH_BITS) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_HEADER = struct.Struct('<IfQQ')


@entry_points
class MXRecordIO:
    """A file of records, to read or to write from the beginning.

    A reader may be pickled, and begins again in another process, as it does after a fork; a writer may not.

    Args:
        uri: the path.
        flag: 'r' to read, 'w' to write a new file.

    Raises:
        ArgumentError: for another flag.
        FileError: if there is no such file.
    """

    def __init__(self, uri: Path, flag: str):
        if flag not in ('r', 'w'):
            raise ArgumentError(f"flag must be 'r' or 'w', got {flag!r}")
        self.uri: str = os.fspath(uri)
        self.flag: str = flag
        self.is_open: bool = False
        self.open()

    def open(self) -> None:
        """Opens the file: to read from its beginning, or to write it anew."""
        self.handle: Any = _opened(self.uri, f'{self.flag}b')
        self.pid: int = os.getpid()
        self.is_open = True

    def close(self) -> None:
        """Closes the file."""
        if self.is_open:
            self.handle.close()
            self.is_open = False

    def reset(self) -> None:
        """Begins again; a file that is written is emptied."""
        self.close()
        self.open()

    @property
    def writable(self) -> bool:
        """Whether it is written."""
        return self.flag == 'w'

    def write(self, buf: bytes) -> None:
        """Appends a record.

        Raises:
            GluonError: if the file is closed or only read, or was opened in another process.
            ArgumentError: for a record of 512 MB or more.
        """
        self._check('written', writable=True)
        data = bytes(buf)
        if len(data) > _LONGEST:
            raise ArgumentError(f'a record must be at most {_LONGEST} bytes, got {len(data)}')
        parts = _without_magic(data)
        for number, part in enumerate(parts):
            kind = _WHOLE if len(parts) == 1 else _FIRST if not number else _MIDDLE
            if number and number == len(parts) - 1:
                kind = _LAST
            self.handle.write(_MAGIC + struct.pack('<I', kind << _LENGTH_BITS | len(part)) + part)
        self.handle.write(bytes(-len(data) % 4))

    def read(self) -> bytes | None:
        """The next record; None at the end.

        Raises:
            GluonError: if the file is closed, or is written.
            FileError: if the file is damaged; it names the byte.
        """
        self._check('read', writable=False)
        kind, data = self._part()
        if kind is None or kind == _WHOLE:
            return data
        if kind != _FIRST:
            raise self._damaged('a record begins with a part that has another before it')
        parts = [data]
        while kind != _LAST:
            kind, data = self._part()
            if kind not in (_MIDDLE, _LAST):
                raise self._damaged('the file ends, or another record begins, within a record')
            parts.append(data)
        return _MAGIC.join(parts)

    def _part(self) -> tuple[int | None, bytes]:
        start = self.handle.read(8)
        if not start:
            return None, None  # type: ignore[return-value]
        if len(start) < 8 or start[:4] != _MAGIC:
            raise self._damaged('no record begins here', len(start))
        (word,) = struct.unpack('<I', start[4:])
        length = word & _LONGEST
        data = self.handle.read(length + -length % 4)
        if len(data) < length:
            raise self._damaged(f'the file ends within a record of {length} bytes', len(data))
        return word >> _LENGTH_BITS, data[:length]

    def _damaged(self, what: str, back: int = 0) -> FileError:
        remedy = 'get the file again: it is damaged, was cut off, or is no RecordIO file'
        return FileError(f'{self.uri!r}, byte {self.handle.tell() - back}: {what}', remedy=remedy)

    def _check(self, done: str, writable: bool) -> None:
        if not self.is_open:
            raise GluonError(f'{self.uri!r} is closed, and cannot be {done}', remedy='record.open()')
        if self.writable != writable:
            flag = 'w' if writable else 'r'
            raise GluonError(
                f'{self.uri!r} was opened with {self.flag!r}, and cannot be {done}',
                remedy=f'{type(self).__name__}(..., {flag!r})',
            )
        if self.pid != os.getpid():
            if writable:
                raise GluonError(f'{self.uri!r} was opened in another process', remedy='write it in one process')
            self.reset()  # processes would move one position in the file together

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, 'is_open', False):
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        if self.writable:
            raise GluonError(
                'a RecordIO file that is written cannot be pickled', remedy='close it, and open it to read'
            )
        return {name: value for name, value in vars(self).items() if name not in ('handle', 'fidx')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, is_open=False)
        if state['is_open']:
            self.open()


def _opened(path: str, mode: str) -> Any:
    try:
        return open(path, mode)
    except OSError as error:
        raise FileError(f'{path!r} cannot be opened: {error.strerror}', remedy='check the path') from error


def _without_magic(data: bytes) -> list[bytes]:
    """The data, cut wherever the magic number stands at a multiple of 4."""
    parts, begin, at = [], 0, data.find(_MAGIC)
    while at >= 0:
        if at % 4 == 0:
            parts.append(data[begin:at])
            begin = at + 4
        at = data.find(_MAGIC, at + (4 if at % 4 == 0 else 1))
    return [*parts, data[begin:]]


@entry_points
class MXIndexedRecordIO(MXRecordIO):
    r"""A file of records that are had by key.

    Args:
        idx_path: the path of the index.
        uri: the path of the records.
        flag: 'r' to read, 'w' to write new files.
        key_type: makes a key of the text in the index.

    Raises:
        ArgumentError: for another flag.
        FileError: if there are no such files, or the index is damaged.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with MXIndexedRecordIO(folder + '/a.idx', folder + '/a.rec', 'w') as record:
    ...     for key in range(3):
    ...         record.write_idx(key, bytes([key]) * 5)
    >>> record = MXIndexedRecordIO(folder + '/a.idx', folder + '/a.rec', 'r')
    >>> record.keys, record.read_idx(1)
    ([0, 1, 2], b'\x01\x01\x01\x01\x01')
    """

    def __init__(self, idx_path: Path, uri: Path, flag: str, key_type: Callable[[str], Any] = int):
        self.idx_path: str = os.fspath(idx_path)
        self.key_type: Callable[[str], Any] = key_type
        super().__init__(uri, flag)

    def open(self) -> None:
        """Opens the files: to read them, or to write them anew."""
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        super().open()
        if self.writable:
            self.fidx: Any = _opened(self.idx_path, 'w')
        else:
            self._read_index()

    def _read_index(self) -> None:
        if not pathlib.Path(self.idx_path).is_file():
            self.close()
            raise FileError(f'there is no index {self.idx_path!r}')
        for number, line in enumerate(pathlib.Path(self.idx_path).read_text().splitlines(), 1):
            key, _, position = line.strip().partition('\t')
            try:
                found = self.key_type(key)
                self.idx[found] = int(position.partition('\t')[0])
            except ValueError as error:
                self.close()
                expected = f'{self.key_type.__name__}, a tab and a number of bytes'
                raise FileError(f'{self.idx_path!r}, line {number}: no entry', expected=expected, got=line) from error
            self.keys.append(found)

    def close(self) -> None:
        """Closes the files."""
        if self.is_open and self.writable:
            self.fidx.close()
        super().close()

    def seek(self, idx: Any) -> None:
        """Goes to the record of a key, which `read` then gives.

        Raises:
            KeyError: if there is no such key.
        """
        self._check('read', writable=False)
        self.handle.seek(self.idx[idx])

    def tell(self) -> int:
        """Where the next record begins, in bytes."""
        return self.handle.tell()

    def read_idx(self, idx: Any) -> bytes | None:
        """The record of a key.

        Raises:
            KeyError: if there is no such key.
            FileError: if the file is damaged.
        """
        self.seek(idx)
        return self.read()

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Appends a record with a key."""
        self._check('written', writable=True)
        key, position = self.key_type(idx), self.tell()
        self.write(buf)
        self.fidx.write(f'{key}\t{position}\n')
        self.idx[key] = position
        self.keys.append(key)


class IRHeader(NamedTuple):
    """What stands before the bytes of an image in its record.

    Args:
        flag: how many labels follow the header; 0 if the label is in it.
        label: a number, or several.
        id: of the image.
        id2: more of it.
    """

    flag: int
    label: Any
    id: int
    id2: int


@suggests_keywords
def pack(header: IRHeader, s: bytes) -> bytes:
    """A record of a header and bytes.

    >>> len(pack(IRHeader(0, [1, 2, 3], 7, 0), b'bytes'))
    41
    """
    header = IRHeader(*header)
    if isinstance(header.label, numbers.Number):
        return _HEADER.pack(0, header.label, header.id, header.id2) + s
    label = np.asarray(header.label, '<f4')
    return _HEADER.pack(label.size, 0, header.id, header.id2) + label.tobytes() + s


@suggests_keywords
def unpack(s: bytes) -> tuple[IRHeader, bytes]:
    """The header of a record, and the bytes behind it.

    Raises:
        FileError: if the record is shorter than its header says.

    >>> unpack(pack(IRHeader(0, [1, 2], 7, 0), b'bytes'))
    (IRHeader(flag=2, label=array([1., 2.], dtype=float32), id=7, id2=0), b'bytes')
    """
    if len(s) < _HEADER.size:
        raise FileError(f'a record with a header has at least {_HEADER.size} bytes, got {len(s)}')
    header, rest = IRHeader(*_HEADER.unpack(s[: _HEADER.size])), s[_HEADER.size :]
    if header.flag > 0:
        if len(rest) < 4 * header.flag:
            raise FileError(f'the record ends within its {header.flag} labels', got=f'{len(s)} bytes')
        header = header._replace(label=np.frombuffer(rest, '<f4', header.flag))
        rest = rest[4 * header.flag :]
    return header, rest


@suggests_keywords
def pack_img(header: IRHeader, img: Any, quality: int = 95, img_fmt: str = '.jpg') -> bytes:
    """A record of a header and an image.

    Args:
        header: of the record.
        img: uint8 (height, width) or (height, width, channels); blue first, as OpenCV has it and MXNet therefore too.
        quality: of JPEG, 1 to 100; or how hard PNG tries to be small, 0 to 9, and more is 9.
        img_fmt: '.jpg' or '.png'.

    Raises:
        ArgumentError, ShapeError, DTypeError: if this is no image, no format, no quality.
        MissingExtraError: without Pillow.
    """
    return pack(header, images.encode(_swapped(np.asarray(img)), img_fmt, quality))


@suggests_keywords
def unpack_img(s: bytes, iscolor: int = -1) -> tuple[IRHeader, np.ndarray]:
    """The header of a record, and the image behind it: uint8 (height, width, channels), blue first as in OpenCV.

    Args:
        s: the record.
        iscolor: 1 for colours, 0 for shades of grey (height, width), -1 for what the image has.

    Raises:
        FileError: if there is no image.
        MissingExtraError: without Pillow.

    >>> record = pack_img(IRHeader(0, 1, 2, 0), np.full((1, 1, 3), (5, 6, 7), 'uint8'), 9, '.png')
    >>> header, image = unpack_img(record)
    >>> header.id, image.tolist()
    (2, [[[5, 6, 7]]])
    """
    modes = {1: 'RGB', 0: 'L', -1: None}
    if iscolor not in modes:
        raise ArgumentError(f'iscolor must be 1, 0 or -1, got {iscolor!r}')
    header, data = unpack(s)
    return header, _swapped(images.decode(data, modes[iscolor], f'record {header.id}', upright=iscolor != -1))


def _swapped(image: np.ndarray) -> np.ndarray:
    """With red and blue changed; shades of grey as they are."""
    return image[..., [2, 1, 0, *range(3, image.shape[-1])]] if image.ndim == 3 and image.shape[-1] > 1 else image
