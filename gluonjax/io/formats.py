"""The format of a file: by its extension when it is written, by its first bytes when it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gluonjax.io import folders, mxnet_params, npz, safetensors
from gluonjax.io.reading import Path, checked_path
from gluonjax.io.writing import Progress
from gluonjax.lazy import suggests_keywords

_OTHERS: dict[str, Any] = {'.safetensors': safetensors, '.npz': npz, folders.EXTENSION: folders}
_START = 9  # bytes that tell what a file is


@suggests_keywords
def save(path: Path, arrays: Mapping[str, Any], progress: Progress | None = None) -> None:
    """Writes arrays by name, in the format of the extension.

    `.safetensors` and `.npz` are those formats; `.orbax`, or a folder that is there, is one of orbax's; and every other
    file is one of MXNet's, as Gluon's are. It is there when it is whole, and not before. One array under several names
    is written once where the format can say so.

    Args:
        path: where.
        arrays: of NumPy or JAX.
        progress: is told of each array how many bytes it has, when it is written.

    Raises:
        DTypeError: for a dtype that the format does not have.

    >>> import tempfile, numpy
    >>> path = tempfile.mkdtemp() + '/net.safetensors'
    >>> save(path, {'0.weight': numpy.ones(2, 'float32')})
    >>> load(path)
    {'0.weight': array([1., 1.], dtype=float32)}
    """
    module = folders if os.path.isdir(checked_path(path)) else _OTHERS.get(_extension(path), mxnet_params)
    module.save(path, arrays, progress=progress)


@suggests_keywords
def load(path: Path, shardings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arrays of a file by name, whichever of the formats it has and whatever it is called.

    Args:
        path: a file, or a folder of orbax.
        shardings: by name, how arrays of a folder are to be sharded; others are arrays of NumPy, like those of files.

    Raises:
        FileError: if it has none of them, or is damaged; it names the byte.
    """
    if os.path.isdir(checked_path(path)):
        return folders.load(path, shardings)
    with open(path, 'rb') as file:
        start = file.read(_START)
    if start[:4] in npz.MAGICS:
        return npz.load(path)
    is_mxnets = start.startswith(mxnet_params.MAGIC)
    is_safetensors = start.endswith(b'{') or _extension(path) == '.safetensors'
    return (safetensors if is_safetensors and not is_mxnets else mxnet_params).load(path)


def is_mxnet(path: Path) -> bool:
    """Whether a file that is written has MXNet's format."""
    return _extension(checked_path(path)) not in _OTHERS and not os.path.isdir(path)


def _extension(path: Path) -> str:
    return os.path.splitext(path)[1].lower()
