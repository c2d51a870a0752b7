"""MXNet's `.params` files: lists of NDArrays, with or without names, of every version that MXNet wrote.

    uint64 0x112, uint64 reserved
    uint64 number of arrays, and each array:
        uint32 version
        int32 storage type                  versions 2 and 3
        shape of what is stored             sparse arrays only
        shape                               uint32 number of axes, int64 sizes
        int32 device type, int32 device     where it was; of no use
        int32 dtype
        int32 dtype and shape of each index sparse arrays only
        the numbers, and those of each index
    uint64 number of names, and each name:
        uint64 length, UTF-8

Before version 1 there was no version: the first uint32 is the number of axes, and the sizes are uint32. An array
without a shape ends there. Everything is little-endian and nothing is aligned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.dtypes
import numpy as np

from gluonjax.errors import DTypeError
from gluonjax.io.reading import Path, Reader
from gluonjax.io.sparse import from_csr, from_rows
from gluonjax.io.writing import Progress, replacing, write_all

MAGIC = struct.pack('<Q', 0x112)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE, _ROW_SPARSE, _CSR = 0, 1, 2
_INDICES = {_DENSE: (), _ROW_SPARSE: ('rows',), _CSR: ('row pointers', 'columns')}
_CPU = struct.pack('<ii', 1, 0)
_MOST_AXES = 64  # of NumPy
_DTYPES = dict(  # by MXNet's number
    enumerate(
        np.dtype(dtype)
        for dtype in ('f4', 'f8', 'f2', 'u1', 'i4', 'i1', 'i8', '?', 'i2', 'u2', 'u4', 'u8', jax.dtypes.bfloat16)
    )
)
_FLAGS = {dtype.name: flag for flag, dtype in _DTYPES.items()}


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in its order.

    They are read-only views of the file, which is mapped into memory: nothing is read before it is used. Sparse arrays
    are made dense. In a list without names they are '0', '1', ...; an array without a shape has the shape (0,).

    Raises:
        FileError: if the file is no list of arrays, or is damaged; it names the byte.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + '/net.params'
    >>> save(path, {'0.weight': np.ones((1, 2), 'float16')})
    >>> load(path)
    {'0.weight': array([[1., 1.]], dtype=float16)}
    """
    return parse(Reader.of_file(path))


def parse(reader: Reader) -> dict[str, np.ndarray]:
    """As `load`, of bytes."""
    reader.expect(MAGIC, "MXNet's list of arrays")
    reader.take(8, 'the reserved word')
    arrays = [_array(reader) for _ in reader.count('arrays')]
    at, names = reader.offset, _names(reader)
    if names and len(names) != len(arrays):
        raise reader.error('there must be as many names as arrays', at, len(arrays), len(names))
    reader.expect_end()
    return dict(zip(names or map(str, range(len(arrays))), arrays, strict=True))


def save(
    path: Path,
    arrays: Mapping[str, Any] | Sequence[Any],
    np_shape: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes arrays with names, or a list without; the same bytes as MXNet's `nd.save`.

    The file is there when it is whole, and not before.

    Args:
        path: where.
        arrays: of NumPy or JAX.
        np_shape: write version 3, as `mx.npx.save` does, and not version 2, which every MXNet since 1.0 reads. If an
            array is a scalar or has no numbers, version 3 is written in any case.
        progress: is told of each array how many bytes it has, when it is written.

    Raises:
        DTypeError: for a dtype that MXNet does not have.
    """
    names = list(arrays) if isinstance(arrays, Mapping) else []
    values = list(arrays.values()) if isinstance(arrays, Mapping) else list(arrays)
    needs_v3 = np_shape or any(0 in (np.ndim(value), *np.shape(value)) for value in values)
    flags = [_flag(name, value) for name, value in zip(names or range(len(values)), values, strict=True)]
    with replacing(path) as file:
        write_all(file, _chunks(names, values, flags, _V3 if needs_v3 else _V2), progress)


def without_kinds(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """By the names alone: files of a Module and of `export` write whether it is an argument or an auxiliary state.

    >>> without_kinds({'arg:weight': 1, 'aux:running_mean': 2})
    {'weight': 1, 'running_mean': 2}
    """
    return {name.removeprefix('arg:').removeprefix('aux:'): array for name, array in arrays.items()}


def _chunks(names: Sequence[str], values: Sequence[Any], flags: Sequence[int], version: int) -> Iterator[Any]:
    yield MAGIC + struct.pack('<QQ', 0, len(values))
    for value, flag in zip(values, flags, strict=True):
        shape = np.shape(value)
        yield struct.pack(f'<Iii{len(shape)}q', version, _DENSE, len(shape), *shape)
        yield _CPU + struct.pack('<i', flag)
        yield value
    yield struct.pack('<Q', len(names))
    for name in (name.encode() for name in names):
        yield struct.pack('<Q', len(name)) + name


def _flag(name: object, value: Any) -> int:
    dtype = np.asarray(value).dtype.name if not hasattr(value, 'dtype') else value.dtype.name
    if dtype not in _FLAGS:
        raise DTypeError(
            f'MXNet has no arrays of the dtype of {name!r}',
            expected=f'one of {", ".join(_FLAGS)}',
            got=dtype,
            remedy="value.astype('float32'), or a file that ends in .safetensors",
        )
    return _FLAGS[dtype]


# Reading.


def _array(reader: Reader) -> np.ndarray:
    at, (version,) = reader.offset, reader.unpack('<I', 'the version of an array')
    storage, stored = _DENSE, ()
    if version in (_V2, _V3):
        storage = reader.one_of('<i', _INDICES, 'the storage type')
        stored = _shape(reader) if storage != _DENSE else stored
        shape = _shape(reader, unknown=version == _V3)
    elif version == _V1:
        shape = _shape(reader)
    elif version <= _MOST_AXES:
        shape = reader.unpack(f'<{version}I', 'a shape')
    else:
        raise reader.error('no version of an array', at, 'V1, V2, V3, or a number of axes', f'{version:#x}')
    if shape is None or (shape == () and version != _V3):
        return np.empty(0, 'float32')
    reader.take(8, 'the device')
    dtype = _dtype(reader)
    if storage == _DENSE:
        return reader.array(dtype, shape)
    indices = [(_dtype(reader), _shape(reader)) for _ in _INDICES[storage]]
    numbers = reader.array(dtype, stored)
    indices = [reader.array(*index) for index in indices]
    try:
        return (from_rows if storage == _ROW_SPARSE else from_csr)(shape, numbers, *indices)
    except ValueError as error:
        raise reader.error(f'the sparse array is damaged: {error}', at) from None


def _dtype(reader: Reader) -> np.dtype:
    return _DTYPES[reader.one_of('<i', _DTYPES, 'the dtype')]


def _shape(reader: Reader, unknown: bool = False) -> Any:
    """A shape; None if it is unknown, which it may be only where that is said."""
    at, (axes,) = reader.offset, reader.unpack('<i', 'the number of axes')
    if axes == -1 and unknown:
        return None
    if not 0 <= axes <= _MOST_AXES:
        raise reader.error('no number of axes', at, f'0 to {_MOST_AXES}', axes)
    at, shape = reader.offset, reader.unpack(f'<{axes}q', 'a shape')
    if any(size < 0 for size in shape):
        raise reader.error('no shape', at, 'sizes from 0 on', shape)
    return shape


def _names(reader: Reader) -> list[str]:
    names: dict[str, None] = {}
    for _ in reader.count('names'):
        names[reader.name(reader.unpack('<Q', 'the length of a name')[0], names)] = None
    return list(names)
