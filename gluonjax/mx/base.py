"""`mx.base`: the error that MXNet's programs catch, and types that they compare with."""

import numpy as np

from gluonjax.errors import GluonError, MissingNameError

MXNetError = GluonError
NotImplementedForSymbol = MissingNameError
string_types: tuple[type, ...] = (str,)
numeric_types: tuple[type, ...] = (float, int, np.generic)
integer_types: tuple[type, ...] = (int, np.integer)


def py_str(x: bytes | str) -> str:
    """Bytes as a string; a string as it is."""
    return x if isinstance(x, str) else x.decode()
