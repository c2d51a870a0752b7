"""The format of a file: by its extension when it is written, by its first bytes when it is read."""

import os
from collections.abc import Mapping
from typing import Any

from gluonjax.io import mxnet_params, npz, safetensors
from gluonjax.io.reading import Path

_OTHERS: dict[str, Any] = {'.safetensors': safetensors, '.npz': npz}
_START = 8  # bytes that tell what a file is


def save(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name, in the format of the extension.

    `.safetensors` and `.npz` are those formats, and every other file is one of MXNet's, as Gluon's are. The file is
    there when it is whole, and not before. One array under several names is written once where the format can say so.

    Raises:
        DTypeError: for a dtype that the format does not have.

    >>> import tempfile, numpy
    >>> path = tempfile.mkdtemp() + '/net.safetensors'
    >>> save(path, {'0.weight': numpy.ones(2, 'float32')})
    >>> load(path)
    {'0.weight': array([1., 1.], dtype=float32)}
    """
    _OTHERS.get(_extension(path), mxnet_params).save(path, arrays)


def load(path: Path) -> dict[str, Any]:
    """The arrays of a file by name, whichever of the formats it has and whatever it is called.

    Raises:
        FileError: if it has none of them, or is damaged; it names the byte.
    """
    with open(path, 'rb') as file:
        start = file.read(_START)
    if start[:4] in npz.MAGICS:
        return npz.load(path)
    is_safetensors = start != mxnet_params.MAGIC and _extension(path) == '.safetensors'
    return (safetensors if is_safetensors else mxnet_params).load(path)


def is_mxnet(path: Path) -> bool:
    """Whether a file that is written has MXNet's format."""
    return _extension(path) not in _OTHERS


def _extension(path: Path) -> str:
    return os.path.splitext(path)[1].lower()
