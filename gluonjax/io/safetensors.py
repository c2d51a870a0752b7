"""Files of the safetensors format: a JSON header with names, dtypes, shapes and positions, then the numbers.

    uint64 size of the header
    {"0.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
     "__metadata__": {"1.weight": "0.weight"}}
    the numbers

An array that has several names is there once, and the metadata says which further names it has, as in the files that
other libraries write of tied parameters.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from gluonjax.errors import DTypeError, FileError
from gluonjax.io.reading import Path, Reader, check_name
from gluonjax.io.writing import Progress, replacing, write_all

_DTYPES = {
    'BOOL': 'bool',
    'U8': 'uint8',
    'I8': 'int8',
    'U16': 'uint16',
    'I16': 'int16',
    'U32': 'uint32',
    'I32': 'int32',
    'U64': 'uint64',
    'I64': 'int64',
    'F8_E4M3': 'float8_e4m3fn',
    'F8_E5M2': 'float8_e5m2',
    'F16': 'float16',
    'BF16': 'bfloat16',
    'F32': 'float32',
    'F64': 'float64',
    'C64': 'complex64',
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_METADATA = '__metadata__'
_MOST_BYTES = 100_000_000  # of a header, by the format
_ALIGNMENT = 8


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, those that the metadata says are one under each of their names.

    They are read-only views of the file, which is mapped into memory.

    Raises:
        FileError: if the file is not of this format, or is damaged; it names the byte.

    >>> import tempfile
    >>> path, weight = tempfile.mkdtemp() + '/net.safetensors', np.ones((1, 2), 'float16')
    >>> save(path, {'0.weight': weight, '1.weight': weight})
    >>> load(path)
    {'0.weight': array([[1., 1.]], dtype=float16), '1.weight': array([[1., 1.]], dtype=float16)}
    """
    arrays, metadata = load_with_metadata(path)
    tied = {also: arrays[name] for also, name in metadata.items() if name in arrays and also not in arrays}
    return arrays | tied


def load_with_metadata(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """As `load`, and what the file says beside its arrays; they are by one name each."""
    reader = Reader.of_file(path)
    (size,) = reader.unpack('<Q', 'the size of the header')
    if size > _MOST_BYTES:
        raise reader.error('no header is so large', 0, f'at most {_MOST_BYTES} bytes', size)
    header, metadata = _header(reader, reader.take(size, 'the header'))
    arrays = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        arrays[name] = _array(reader, 8 + size, name, entry)
    reader.expect_end()
    return {name: arrays[name] for name in header}, metadata  # in the order of the header


def save(
    path: Path,
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> None:
    """Writes arrays by name; one and the same array under several names once.

    The file is there when it is whole, and not before.

    Args:
        path: where.
        arrays: of NumPy or JAX.
        metadata: what else the file is to say.
        progress: is told of each array how many bytes it has, when it is written.

    Raises:
        DTypeError: for a dtype that the format does not have.
    """
    first: dict[int, str] = {}
    names = {name: first.setdefault(id(array), name) for name, array in arrays.items()}
    kept = [name for name, kept in names.items() if name == kept]
    header, end = {}, 0
    if notes := {**(metadata or {}), **{name: kept for name, kept in names.items() if name != kept}}:
        header[_METADATA] = notes
    for name in sorted(kept, key=lambda name: -arrays[name].dtype.itemsize):  # so that all are aligned
        start, end = end, end + arrays[name].size * arrays[name].dtype.itemsize
        dtype = _dtype_name(name, arrays[name])
        header[name] = {'dtype': dtype, 'shape': arrays[name].shape, 'data_offsets': (start, end)}
    text = json.dumps(header, ensure_ascii=False, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % _ALIGNMENT)
    with replacing(path) as file:
        write_all(file, [struct.pack('<Q', len(text)), text])
        write_all(file, (arrays[name] for name in header if name != _METADATA), progress)


def _dtype_name(name: str, array: Any) -> str:
    if array.dtype.name not in _NAMES:
        raise DTypeError(
            f'safetensors has no arrays of the dtype of {name!r}',
            expected=f'one of {", ".join(_NAMES)}',
            got=array.dtype.name,
        )
    return _NAMES[array.dtype.name]


def _header(reader: Reader, data: memoryview) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The entries by name, and the metadata."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            check_name(reader.path, name, 8, seen)
            seen[name] = value
        return seen

    try:
        header = json.loads(str(data, 'utf-8'), object_pairs_hook=unique)
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        raise reader.error('the header is not JSON', 8, None, error) from None
    if not isinstance(header, dict):
        raise reader.error('the header is no JSON object', 8)
    metadata = header.pop(_METADATA, {})
    if not all(map(_is_entry, header.values())) or not isinstance(metadata, dict):
        wrong = next((entry for entry in header.values() if not _is_entry(entry)), metadata)
        raise reader.error('the header says what cannot be', 8, 'dtype, shape and data_offsets of each array', wrong)
    return header, {also: name for also, name in metadata.items() if isinstance(name, str)}


def _is_entry(entry: Any) -> bool:
    try:
        sizes = [*entry['shape'], *entry['data_offsets']]
        known = entry['dtype'] in _DTYPES and len(entry['data_offsets']) == 2
    except (TypeError, KeyError):
        return False
    return known and all(type(size) is int and size >= 0 for size in sizes)


def _array(reader: Reader, base: int, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    """The next array, which is where and as large as the header says."""
    dtype, shape, (start, end) = jnp.dtype(_DTYPES[entry['dtype']]), tuple(entry['shape']), entry['data_offsets']
    if base + start != reader.offset or end - start != math.prod(shape) * dtype.itemsize:
        expected = f'{math.prod(shape) * dtype.itemsize} bytes from {reader.offset} on'
        raise reader.error(f'the array {name!r} is not here', None, expected, f'{base + start} to {base + end}')
    return reader.array(dtype, shape)
