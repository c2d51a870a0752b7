"""`jax.jit` for programs of one operation each, of which a script has hundreds: it compiles faster on CPUs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax


class Jitted:
    """A function of arrays, compiled without what makes XLA slow to compile and leaves small programs as fast.

    Args:
        function: what is compiled.
        large: whether it is worth all that XLA can do.

    >>> Jitted(lambda x: 2 * x + 1)(3.0)
    Array(7., dtype=float32, weak_type=True)
    >>> jax.jit(lambda x: Jitted(jax.numpy.negative)(x))(3.0)
    Array(-3., dtype=float32, weak_type=True)
    """

    __slots__ = ('inside', 'outermost')

    def __init__(self, function: Callable[..., Any], large: bool = False):
        self.outermost: Any = jax.jit(function, compiler_options=None if large else _options())
        self.inside: Any = jax.jit(function)

    def __call__(self, *args: Any) -> Any:
        try:
            return self.outermost(*args)
        except ValueError as error:
            if 'compiler_options' not in str(error):
                raise
        return self.inside(*args)  # as JAX takes options for the outermost program alone

    def shapes(self) -> int:
        """For how many shapes it is compiled."""
        return self.outermost._cache_size()


@functools.cache
def _options() -> dict[str, bool | int] | None:
    if jax.default_backend() != 'cpu':
        return None
    options: dict[str, bool | int] = {'xla_cpu_parallel_codegen_split_count': 1}
    if jax.__version_info__ < (0, 11):  # later ones have no such option
        options['xla_cpu_use_fusion_emitters'] = False
    return options
