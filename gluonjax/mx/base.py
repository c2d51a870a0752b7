"""`mx.base`: the error that MXNet's programs catch, and types that they compare with."""

from __future__ import annotations

import ctypes
import os
import pathlib

import numpy as np

from gluonjax.errors import ArgumentError, GluonError

MXNetError = GluonError
string_types: tuple[type, ...] = (str,)
numeric_types: tuple[type, ...] = (float, int, np.generic)
integer_types: tuple[type, ...] = (int, np.integer)
mx_real_t = np.float32
mx_uint = ctypes.c_uint
NDArrayHandle = ctypes.c_void_p


class NotImplementedForSymbol(ArgumentError):
    """What arrays can, and symbols cannot: they have no values."""


def data_dir_default() -> str:
    """Where files are without MXNET_HOME."""
    return str(pathlib.Path('~/.mxnet').expanduser())


def data_dir() -> str:
    """Where datasets and parameters are: MXNET_HOME, or ~/.mxnet."""
    return os.environ.get('MXNET_HOME', data_dir_default())


def c_str(string: str) -> bytes:
    """A string as bytes."""
    return string.encode()


def py_str(x: bytes | str) -> str:
    """Bytes as a string; a string as it is."""
    return x if isinstance(x, str) else x.decode()
