"""Initializers by their names: which there are, and how others join them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gluonjax.init.initializer import Initializer, One, Uniform, Zero
from gluonjax.registry import Registry

_Class = TypeVar('_Class', bound=type)
INITIALIZERS = Registry('initializer', Initializer)


def register(cls: _Class) -> _Class:
    """Class decorator: makes an initializer known to `create` by its name in lower case."""
    return INITIALIZERS.register(cls)


def alias(*names: str) -> Callable[[_Class], _Class]:
    """Class decorator: makes an initializer known to `create` by further names."""
    return INITIALIZERS.alias(*names)


def by_name(name: str, **arguments: Any) -> Initializer:
    """The initializer of a name in any case.

    Raises:
        ArgumentError: if there is none.
    """
    return INITIALIZERS.create(name, **arguments)


alias('zero', 'zeros')(Zero)
alias('one', 'ones')(One)
register(Uniform)
