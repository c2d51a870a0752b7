"""`mx.engine`: how many operations run together. XLA decides that; the calls are accepted.

>>> with bulk(10):
...     pass
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gluonjax.mx.entry import explain_calls

_size = [15]


def set_bulk_size(size: int) -> int:
    """Accepts a size, and gives the last one."""
    before, _size[0] = _size[0], size
    return before


@contextlib.contextmanager
def bulk(size: int) -> Iterator[None]:
    """A `with` block of a size."""
    before = set_bulk_size(size)
    try:
        yield
    finally:
        set_bulk_size(before)


explain_calls(globals())
