"""Classes that are known by names: initializers, optimizers, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from gluonjax.errors import ArgumentError
from gluonjax.lazy import above

_Class = TypeVar('_Class', bound=type)
_Base = TypeVar('_Base')


class Registry(Generic[_Base]):
    """Classes of one kind by their names in lower case.

    Args:
        kind: what they are called in errors, such as 'initializer'.
        base: their base class.
        left_out: for names that are known elsewhere and not here, what to use instead.

    >>> class Shape:
    ...     def __repr__(self):
    ...         return f'{type(self).__name__}()'
    >>> shapes = Registry('shape', Shape)
    >>> @shapes.alias('disc')
    ... @shapes.register
    ... class Circle(Shape):
    ...     pass
    >>> shapes.create('Disc')
    Circle()
    >>> shapes.create('circel')
    Traceback (most recent call last):
    ...
    gluonjax.errors.ArgumentError: no shape is named 'circel'
      expected: one of ['circle', 'disc']
      try: 'circle'
    """

    def __init__(self, kind: str, base: type[_Base], left_out: Mapping[str, str] | None = None):
        self.kind: str = kind
        self.base: type[_Base] = base
        self.left_out: Mapping[str, str] = left_out or {}
        self.classes: dict[str, Any] = {}

    def register(self, cls: _Class) -> _Class:
        """Class decorator: makes a class known by its name."""
        return self.alias(cls.__name__ if isinstance(cls, type) else '')(cls)

    def alias(self, *names: str) -> Callable[[_Class], _Class]:
        """Class decorator: makes a class known by further names."""

        def decorate(cls: _Class) -> _Class:
            if not (isinstance(cls, type) and self.base in cls.__mro__):
                expected = f'a subclass of {self.base.__name__}'
                raise ArgumentError(f'only {self.kind}s can be registered', expected=expected, got=repr(cls))
            self.classes.update({name.lower(): cls for name in names})
            return cls

        return decorate

    def create(self, name: str, /, *args: Any, **kwargs: Any) -> _Base:
        """An object of the class with this name.

        Raises:
            ArgumentError: if there is none.
        """
        name = name.lower()
        if name not in self.classes:
            raise above.messages.unregistered(self.kind, name, self.classes, self.left_out.get(name))
        return self.classes[name](*args, **kwargs)
