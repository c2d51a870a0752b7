"""`jax.jit` for programs of one operation each, of which a script has hundreds: it compiles faster on CPUs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.mx.context import default_device

# Programs of arrays of at most so many elements are compiled without optimizing: that takes a third of the time, and
# costs some microseconds in a call, which is mostly dispatch.
FEW = 4096


class Jitted:
    """A function of arrays, compiled without what makes XLA slow to compile and leaves small programs as fast.

    Args:
        function: what is compiled.
        large: whether it is worth all that XLA can do.
        static: how many of its first arguments are constants.

    >>> Jitted(lambda x: 2 * x + 1)(3.0)
    Array(7., dtype=float32, weak_type=True)
    >>> jax.jit(lambda x: Jitted(jax.numpy.negative)(x))(3.0)
    Array(-3., dtype=float32, weak_type=True)
    """

    __slots__ = ('inside', 'outermost', 'quick')

    def __init__(self, function: Callable[..., Any], large: bool = False, static: int = 0):
        options, jit = _options(), functools.partial(jax.jit, static_argnums=tuple(range(static)))
        self.outermost: Any = jit(function, compiler_options=None if large else options)
        self.quick: Any = self.outermost if options is None else jit(function, compiler_options=_quick_options())
        self.inside: Any = jit(function)

    def __call__(self, *args: Any) -> Any:
        try:
            return (self.quick if _are_few(args) else self.outermost)(*args)
        except ValueError as error:
            if 'compiler_options' not in str(error):
                raise
        return self.inside(*args)  # as JAX takes options for the outermost program alone

    def shapes(self) -> int:
        """For how many shapes it is compiled."""
        return self.outermost._cache_size() + (self.quick is not self.outermost and self.quick._cache_size())


def _are_few(args: tuple[Any, ...]) -> bool:
    """Whether each array of the lists has few elements; it costs 0.1 us an array (`size` costs twice that)."""
    for arg in args:
        if type(arg) is list:
            for array in arg:
                if math.prod(getattr(array, 'shape', ())) > FEW:
                    return False
    return True


def filled(shape: tuple[int, ...], value: Any, dtype: Any) -> jax.Array:
    """One number everywhere. Few zeros or ones are made by NumPy: JAX would compile a program for each shape.

    >>> filled((2,), 1, 'float32')
    Array([1., 1.], dtype=float32)
    """
    if math.prod(shape) > FEW or type(value) not in (bool, int, float) or value not in (0, 1):
        return jnp.full(shape, value, dtype)
    return jnp.asarray(np.full(shape, value, dtype))


def zeros_like(array: jax.Array) -> jax.Array:
    """Zeros where an array is."""
    if isinstance(array, jax.core.Tracer) or array.devices() != {default_device()}:
        return jnp.zeros_like(array)
    return filled(array.shape, 0, array.dtype)


@functools.cache
def _options() -> dict[str, bool | int] | None:
    if jax.default_backend() != 'cpu':
        return None
    options: dict[str, bool | int] = {'xla_cpu_parallel_codegen_split_count': 1}
    if jax.__version_info__ < (0, 11):  # later ones have no such option
        options['xla_cpu_use_fusion_emitters'] = False
    return options


def _quick_options() -> dict[str, bool | int]:
    return {**(_options() or {}), 'xla_backend_optimization_level': 0}
