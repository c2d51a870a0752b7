"""Which of MXNet's two dialects is spoken: arrays as `mx.nd.NDArray`, or after `npx.set_np()` as `mx.np.ndarray`.

>>> from gluonjax.mx import dialect
>>> with dialect.np_array():
...     dialect.is_np_array()
True
>>> dialect.is_np_array()
False
"""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, NamedTuple

from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords
from gluonjax.mx.entry import explain_calls


class Semantics(NamedTuple):
    """What of NumPy holds.

    Args:
        shape: whether there are arrays without axes and without elements.
        array: whether Gluon takes and gives `mx.np.ndarray`.
    """

    shape: bool = False
    array: bool = False


_process: list[Semantics] = [Semantics()]  # what `set_np` says, for all threads
_BLOCK: contextvars.ContextVar[Semantics | None] = contextvars.ContextVar('semantics', default=None)


def _current() -> Semantics:
    return _BLOCK.get() or _process[0]


def is_np_array() -> bool:
    """Whether Gluon, data loaders and losses take and give `mx.np.ndarray`."""
    return _current().array


def is_np_shape() -> bool:
    """Whether there are arrays without axes and without elements."""
    return _current().shape


@suggests_keywords
def set_np(shape: bool = True, array: bool = True) -> None:
    """Speaks the dialect of NumPy from here on.

    Args:
        shape: whether there are arrays without axes and without elements.
        array: whether Gluon takes and gives `mx.np.ndarray`.

    Raises:
        ArgumentError: for arrays of NumPy without its shapes.
    """
    if array and not shape:
        raise ArgumentError('arrays of NumPy need its shapes', got='shape=False, array=True', remedy='npx.set_np()')
    _process[0] = Semantics(bool(shape), bool(array))
    if _BLOCK.get() is not None:
        _BLOCK.set(_process[0])


def reset_np() -> None:
    """Speaks the dialect of `mx.nd` again."""
    set_np(shape=False, array=False)


@suggests_keywords
def set_np_shape(active: bool) -> bool:
    """Switches the shapes of NumPy, and returns what was."""
    before = _current()
    set_np(shape=active, array=before.array and active)
    return before.shape


class _Block:
    """A `with` block in which parts of the dialect are others; it may be entered again."""

    def __init__(self, **changes: bool):
        self.changes = changes
        self.before: list[Semantics | None] = []

    def __enter__(self) -> None:
        self.before.append(_BLOCK.get())
        _BLOCK.set(_current()._replace(**self.changes))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        _BLOCK.set(self.before.pop())
        return False


@suggests_keywords
def np_array(active: bool = True) -> _Block:
    """A `with` block in which Gluon takes and gives `mx.np.ndarray`, or `mx.nd.NDArray`."""
    return _Block(array=bool(active))


@suggests_keywords
def np_shape(active: bool = True) -> _Block:
    """A `with` block with the shapes of NumPy, or without."""
    return _Block(shape=bool(active))


def _decorated(made: Any, **changes: bool) -> Any:
    """A function, or all methods of a class, in a block of the dialect."""
    if isinstance(made, type):
        for name, method in list(vars(made).items()):
            if callable(method) and not isinstance(method, type | staticmethod | classmethod):
                setattr(made, name, _decorated(method, **changes))
            elif isinstance(method, property):
                setattr(made, name, property(*(f and _decorated(f, **changes) for f in _accessors(method))))
        return made
    if not callable(made):
        raise ArgumentError('only functions and classes can be decorated', got=type(made).__name__)

    @functools.wraps(made)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with _Block(**changes):
            return made(*args, **kwargs)

    return inside


def _accessors(method: property) -> tuple[Callable[..., Any] | None, ...]:
    return method.fget, method.fset, method.fdel


@suggests_keywords
def use_np(func: Any) -> Any:
    """Has a function, or the methods of a class, run in the dialect of NumPy.

    >>> from gluonjax.mx import dialect
    >>> dialect.use_np(dialect.is_np_array)()
    True
    """
    return _decorated(func, shape=True, array=True)


@suggests_keywords
def use_np_array(func: Any) -> Any:
    """As `use_np`, for arrays alone."""
    return _decorated(func, array=True)


@suggests_keywords
def use_np_shape(func: Any) -> Any:
    """As `use_np`, for shapes alone."""
    return _decorated(func, shape=True)


def set_module(module: str | None) -> Callable[[Any], Any]:
    """Decorator of a function or a class: it says that it is of this module."""

    def decorate(made: Any) -> Any:
        if module is not None:
            made.__module__ = module
        return made

    return decorate


def getenv(name: str) -> str | None:
    """A variable of the environment; None if it is not set."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Sets a variable of the environment; None removes it."""
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


explain_calls(globals(), functions=False)
