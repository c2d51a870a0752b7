"""Memory that the process keeps."""

from __future__ import annotations

import ctypes
import sys

from gluonjax.lazy import suggests_keywords

# Of malloc.h, with what they are set to. Without blocks of their own, all memory is of the heap, which is never cut.
_SETTINGS = {'M_MMAP_MAX': (-4, 0), 'M_TRIM_THRESHOLD': (-1, -1), 'M_ARENA_MAX': (-8, 1)}


@suggests_keywords
def keep_memory() -> bool:
    """Lets the process keep memory that it frees, which makes training of convolutional networks on CPUs faster.

    XLA asks for the memory of a step anew at each step. By default malloc gives large blocks back to the system, which
    then maps and clears them again, page by page: of a step of MobileNet that is a third of the time. From this call on
    memory that is freed stays with the process, for whatever it asks for next; it never gives any back, so that it
    holds as much as it once needed. Call it before the first step; `benchmarks/README.md` has figures.

    Returns:
        Whether malloc did as it was told: it does where it is glibc's, as on most Linux systems, and nothing changes
        elsewhere, or where another malloc is preloaded.

    >>> import gluonjax
    >>> gluonjax.keep_memory()  # doctest: +SKIP
    True
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    return mallopt is not None and all(mallopt(name, value) for name, value in _SETTINGS.values())
