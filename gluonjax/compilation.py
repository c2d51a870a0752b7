"""Compiled programs that outlive the process."""

from __future__ import annotations

import os

import jax
from jax.experimental.compilation_cache import compilation_cache

from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords


@suggests_keywords
def enable_compilation_cache(path: str | os.PathLike[str], min_seconds: float = 1.0) -> None:
    """Keeps compiled programs in a folder: a process that compiles the same program again reads it from there.

    It is JAX's persistent cache (`jax.config.jax_compilation_cache_dir`), also of programs that are no network's. A
    program is the same if code, shapes, options, devices and the version of JAX are. Call it before the first program
    is compiled.

    Args:
        path: the folder, `~` being the home of the user; it is made if it is not there.
        min_seconds: programs that took less time to compile are not kept.

    Raises:
        ArgumentError: if there is no such folder and it cannot be made, or `min_seconds` is no number from 0 on.

    >>> import tempfile
    >>> before = jax.config.jax_compilation_cache_dir, jax.config.jax_persistent_cache_min_compile_time_secs
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     enable_compilation_cache(folder, min_seconds=0)
    ...     value = jax.jit(lambda x: 3 * x + 1)(2.0)
    ...     len(os.listdir(folder)) > 0
    True
    >>> jax.config.update('jax_compilation_cache_dir', before[0])
    >>> jax.config.update('jax_persistent_cache_min_compile_time_secs', before[1])
    >>> compilation_cache.reset_cache()
    """
    if isinstance(min_seconds, bool) or not isinstance(min_seconds, int | float) or not min_seconds >= 0:
        raise ArgumentError(f'min_seconds must be a number >= 0, got {min_seconds!r}')
    try:
        folder = os.path.abspath(os.path.expanduser(path))
        os.makedirs(folder, exist_ok=True)
    except (TypeError, OSError) as error:
        raise ArgumentError(
            'compiled programs are kept in a folder, and this can be none', got=f'{path!r} ({error})'
        ) from None
    jax.config.update('jax_compilation_cache_dir', folder)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', float(min_seconds))
    compilation_cache.reset_cache()
