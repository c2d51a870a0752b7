"""Configurations: objects shown as the call that makes them, frozen after construction, and known by name."""

from __future__ import annotations

import warnings
from abc import ABCMeta
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

from gluonjax.errors import ArgumentError, FrozenError
from gluonjax.lazy import LazyMethod, above

_Class = TypeVar('_Class', bound=type)
_Base = TypeVar('_Base')
_Instance = TypeVar('_Instance')


_MetaClass = ABCMeta if TYPE_CHECKING else type(Protocol)  # so that subclasses may be protocols, too


class Constructed(_MetaClass):
    """The metaclass of configurations: it ends a construction, and errors of the constructor say which class it was.

    Two kinds of arguments every subclass has without declaring them: those of `_shared_arguments` go to `_constructed`,
    and those of `_ignored_arguments`, which Gluon programs pass, go nowhere.
    """

    __instancecheck__: Any = type.__instancecheck__  # those of ABCMeta are slow, and `register` is not used
    __subclasscheck__: Any = type.__subclasscheck__

    _shared_arguments: tuple[str, ...] = ()
    _ignored_arguments: tuple[str, ...] = ()
    _remark: str = ''  # a warning for those who pass an ignored argument
    _explain_arguments: LazyMethod = LazyMethod('gluonjax.keywords', 'explain')

    @property
    def __signature__(cls) -> Any:
        return above.keywords.signature_of(cls, cls._shared_arguments, cls._ignored_arguments)

    # A type checker accepts `params=` and `prefix=` by these two, and checks every other call against `__init__`.
    @overload
    def __call__(cls, *args: Any, params: Any, **kwargs: Any) -> Any: ...
    @overload
    def __call__(cls, *args: Any, prefix: str | None, params: None = None, **kwargs: Any) -> Any: ...
    @overload
    def __call__(cls: type[_Instance], *args: Any, **kwargs: Any) -> _Instance: ...
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        shared = {name: kwargs.pop(name) for name in cls._shared_arguments if name in kwargs}
        for name in cls._ignored_arguments:
            if kwargs.pop(name, None) is not None and cls._remark:
                warnings.warn(cls._remark, stacklevel=2)
        try:
            instance = super().__call__(*args, **kwargs)
            instance._constructed(**shared)
        except Exception as error:
            cls._explain_arguments(error, args, kwargs)
            raise
        return instance


class Configured(metaclass=Constructed):
    """The base of objects that show themselves as the call that makes them."""

    __slots__ = ('__dict__', '__weakref__')

    def _constructed(self, **shared: Any) -> None:
        """Ends the construction, after the constructor of the last subclass; takes the shared arguments."""

    __repr__: Any = LazyMethod('gluonjax.tables', 'constructor_call')


class Frozen(Configured):
    """The base of what cannot be changed after construction; it shows itself as the call that makes it.

    >>> class Rate(Frozen):
    ...     def __init__(self, value=1.0):
    ...         self.value = value
    >>> Rate(2.0)
    Rate(value=2.0)
    >>> Rate().value = 3.0
    Traceback (most recent call last):
    ...
    gluonjax.errors.FrozenError: Rate is frozen: 'value' cannot be set after construction
      try: make a new one
    """

    __slots__ = ('_frozen',)

    _remedy: ClassVar[str] = 'make a new one'  # what to do instead

    def _constructed(self, **shared: Any) -> None:
        set_slots(self, _frozen=True)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_if_frozen(self, name, 'set')
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        refuse_if_frozen(self, name, 'deleted')
        object.__delattr__(self, name)


def set_slots(owner: object, **slots: Any) -> None:
    """Sets private slots, past a `__setattr__` that is for fields."""
    for name, value in slots.items():
        object.__setattr__(owner, name, value)


def refuse_if_frozen(instance: Frozen, name: str, done: str) -> None:
    """Refuses a change of what is constructed; before, everything can be changed."""
    if getattr(instance, '_frozen', False):
        what = f'{instance.__class__.__name__} is frozen: {name!r} cannot be {done} after construction'
        raise FrozenError(what, remedy=instance._remedy)


class Registry(Generic[_Base]):
    """Classes of one kind by their names in lower case.

    Args:
        kind: what they are called in errors, such as 'initializer'.
        base: their base class.
        left_out: for names that are known elsewhere and not here, what to use instead.

    >>> class Shape(Frozen):
    ...     pass
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
