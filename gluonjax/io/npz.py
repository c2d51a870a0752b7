"""NumPy's `.npz` files, those of MXNet 2 among them: a zip archive of `.npy` files, without pickled objects."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import jax.dtypes
import numpy as np

from gluonjax.io.reading import Path, check_name, file_error
from gluonjax.io.sparse import from_csr, from_rows
from gluonjax.io.writing import Progress, replacing

MAGICS = (b'PK\x03\x04', b'PK\x05\x06')  # the second of an empty archive
_EXPANSION = 1100  # of compressed data, at most
_BFLOAT16 = np.dtype(jax.dtypes.bfloat16)
_BFLOAT16_FILES = (np.dtype('V2'), np.dtype([('bfloat16', '<u2')]))  # how NumPy writes it, and how MXNet does
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, OSError)


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; sparse ones of MXNet 2 are made dense.

    Raises:
        FileError: if the file is no such archive, is damaged, or holds something else than arrays of numbers.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + '/net.npz'
    >>> save(path, {'0.weight': np.ones((1, 2), 'float16')})
    >>> load(path)
    {'0.weight': array([[1., 1.]], dtype=float16)}
    """
    arrays: dict[str, np.ndarray] = {}
    with open(path, 'rb') as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGES as error:
            raise file_error(path, 'no archive of arrays', 0, 'a zip archive', error) from None
        for member in archive.infolist():
            name = member.filename.removesuffix('.npy')
            check_name(path, name, member.header_offset, arrays)
            if not name.endswith('/format'):  # of a sparse array, by SciPy and MXNet; the latter's cannot be read
                arrays[name] = _array(path, archive, member)
    return _with_dense(path, arrays)


def save(path: Path, arrays: Mapping[str, Any], progress: Progress | None = None) -> None:
    """Writes arrays by name, uncompressed. The file is there when it is whole, and not before.

    Args:
        path: where.
        arrays: of NumPy or JAX.
        progress: is told of each array how many bytes it has, when it is written.
    """
    with replacing(path) as file, zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f'{name}.npy'), 'w', force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            if progress:
                progress(array.nbytes)


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    at = member.header_offset
    if member.file_size > _EXPANSION * (member.compress_size + 1):
        raise file_error(path, f'{member.filename!r} cannot be so large', at, None, f'{member.file_size} bytes')
    try:
        stream = io.BytesIO(archive.read(member))
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, transposed, dtype = read(stream)
    except _DAMAGES as error:
        raise file_error(path, f'{member.filename!r} is damaged', at, 'an array', error) from None
    return _numbers(path, at, member.filename, stream.getbuffer()[stream.tell() :], shape, transposed, dtype)


def _numbers(
    path: Path, at: int, name: str, data: memoryview, shape: tuple[int, ...], transposed: bool, dtype: np.dtype
) -> np.ndarray:
    if dtype in _BFLOAT16_FILES:
        dtype = _BFLOAT16
    if dtype.kind not in 'biufcV' or (dtype.kind == 'V' and dtype != _BFLOAT16):
        raise file_error(path, f'{name!r} holds no numbers', at, None, dtype)
    if any(size < 0 for size in shape) or len(data) != math.prod(shape) * dtype.itemsize:
        raise file_error(path, f'{name!r} is damaged', at, f'an array {shape} of {dtype}', f'{len(data)} bytes')
    try:
        array = np.frombuffer(data, dtype).reshape(shape[::-1] if transposed else shape)
    except ValueError as error:
        raise file_error(path, f'{name!r} is damaged', at, None, error) from None
    return (array.T if transposed else array).astype(dtype.newbyteorder('='), copy=False)


def _with_dense(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, with one for each folder that holds the parts of a sparse one."""
    dense: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        folder, _, part = name.rpartition('/')
        parts = {key: arrays.get(f'{folder}/{key}') for key in ('shape', 'data', 'indptr', 'indices')}
        if not folder or any(parts[key] is None for key in ('shape', 'data', 'indices')):
            dense[name] = array
        elif part == 'data':
            dense[folder] = _dense(path, folder, **parts)
    return dense


def _dense(path: Path, name: str, shape: Any, data: Any, indptr: Any, indices: Any) -> np.ndarray:
    try:
        sizes = tuple(map(int, shape))
        return from_rows(sizes, data, indices) if indptr is None else from_csr(sizes, data, indptr, indices)
    except (TypeError, ValueError) as error:
        raise file_error(path, f'the sparse array {name!r} is damaged: {error}', 0) from None
