"""Param, what a layer declares, and Leaf, one parameter of a definition."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.init import initializer as initializers
from gluonjax.lazy import LazyMethod, entry_points
from gluonjax.shapes import Shape, shape_text


class Token:
    """An identity that survives pickling and rebuilding. Whatever carries the same token is the same parameter(s)."""

    taken: int = 0  # how often a network or a Parameter took it; taken once, it ties nothing

    def take(self) -> Token:
        """The token itself, taken once more."""
        self.taken += 1
        return self


@dataclasses.dataclass(frozen=True)
class SharedParameters:
    """What `layer.params` hands on and `params=` takes: the identity of a layer's parameters."""

    token: Token = dataclasses.field(repr=False)


class _Readable(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # to a type checker, a Param is what `forward` reads
        return super().__call__(*args, **kwargs)


@entry_points
@dataclasses.dataclass(frozen=True, eq=False)
class Param(metaclass=_Readable):
    """What a layer declares in its constructor; in `forward` the attribute reads as the array.

    Args:
        shape: an int, or a tuple with `None` (or MXNet's 0 or -1) where the input decides; `None` if it decides all.
        dtype: the dtype of the array.
        init: a name, an Initializer or `f(key, shape, dtype)`; None leaves it to the network's general initializer.
        trainable: False for running statistics: no gradient, and `forward` may record new values by assignment.
        transform: applied to the array whenever it is read (for ties between different shapes).
        copies: how many copies the array stacks, an entry an axis; they are its first axes, and part of `shape`.
            Each copy is drawn as if it were alone, and a `scan` over them gives `forward` one at a time.
        frozen: whether it was declared trainable and training leaves it alone for now (`grad_req='null'`).
        token: the identity by which it can be tied; a new one by default.
        keep_dtype: whether `forward` reads it in its own dtype under `precision=` too. What `forward` sets, as running
            statistics are, it always reads so.

    Raises:
        ArgumentError: for a shape or an initializer that cannot be.

    >>> Param((3, 0), init='ones')
    Param(shape=(3, None), init=One())
    """

    shape: Any = None
    dtype: Any = 'float32'
    init: Any = None
    trainable: bool = True
    transform: Callable[..., Any] | None = None
    copies: tuple[int, ...] = ()
    frozen: bool = dataclasses.field(default=False, repr=False)
    token: Token = dataclasses.field(default_factory=Token, repr=False)
    keep_dtype: bool = dataclasses.field(default=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'shape', _declared_shape(self.shape))
        try:
            if isinstance(self.dtype, np.ndarray | jax.Array | list):  # of an array NumPy would take the array's own
                raise TypeError
            object.__setattr__(self, 'dtype', jnp.dtype(self.dtype).name)
        except (TypeError, ValueError):
            raise ArgumentError('this is no dtype', expected="one such as 'float32'", got=repr(self.dtype)) from None
        if self.init is not None:
            object.__setattr__(self, 'init', initializers.create(self.init))
        self.__setstate__({})

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if not self.trainable:
            _opaque_trace_state()  # now, since loading it during a trace would make JAX forget what it compiled

    __repr__: ClassVar[Any] = LazyMethod('gluonjax.tables', 'constructor_call')


def _declared_shape(shape: Any) -> Shape | None:
    if shape is None:
        return None
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if not all(size is None or (isinstance(size, int | np.integer) and size >= -1) for size in sizes):
        raise ArgumentError('a Param cannot have this shape', expected='sizes, or None where unknown', got=shape)
    shape = tuple(int(size) if size and size > 0 else None for size in sizes)
    if math.prod(size or 1 for size in shape) >= 2**63:
        raise ArgumentError('a Param cannot be so large', expected='fewer than 2**63 elements', got=shape_text(shape))
    return shape


class Leaf(NamedTuple):
    """One parameter of a definition: its name, all its names, and what its first declaration says."""

    name: str
    names: tuple[str, ...]
    shape: Any  # Shape, or None if nothing is known
    param: Param


class Declaration(NamedTuple):
    """What is declared at one name: the leaf that it is, and the Param."""

    leaf: Leaf
    param: Param


@functools.cache
def _opaque_trace_state() -> Callable[..., Any]:
    from jax.extend.core import get_opaque_trace_state

    return get_opaque_trace_state


def trace_state() -> Any:
    """What differs inside and outside of each transformation."""
    return _opaque_trace_state()(convention='gluonjax')
