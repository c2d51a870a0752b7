"""Files of arrays, as MXNet's programs name them."""

from __future__ import annotations

import os
from typing import Any

from gluonjax.errors import FileError
from gluonjax.io import mxnet_params


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a .params file by name.

    Raises:
        FileError: if there is no such file, or it holds something else.
    """
    if not os.path.exists(path):
        raise FileError(f'there is no file {os.fspath(path)!r}')
    return mxnet_params.load(os.fspath(path))
