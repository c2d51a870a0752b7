"""`mx.base`: the error that MXNet's programs catch, and types that they compare with."""

from __future__ import annotations

import ctypes
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError, GluonError
from gluonjax.mx.entry import explain_calls

MXNetError = GluonError
string_types: tuple[type, ...] = (str,)
numeric_types: tuple[type, ...] = (float, int, np.generic)
integer_types: tuple[type, ...] = (int, np.integer)
mx_real_t = np.float32
mx_uint = ctypes.c_uint
NDArrayHandle = ctypes.c_void_p


class NotImplementedForSymbol(ArgumentError):
    """What arrays can, and symbols cannot: they have no values."""


class NotSupportedForSparseNDArray(ArgumentError):
    """What dense arrays can, and sparse ones cannot."""


def with_metaclass(meta: type, *bases: type) -> type:
    """A class of a metaclass to inherit from, as programs for two versions of Python write it."""
    return meta('temporary', bases, {})


class classproperty:
    """A property of a class: decorator of a function of the class.

    >>> class Size:
    ...     @classproperty
    ...     def number(cls):
    ...         return 3
    >>> Size.number
    3
    """

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        return self.function(owner)


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


explain_calls(globals())
