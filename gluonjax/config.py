"""Configurations: objects that are shown as the call that makes them, and frozen after construction."""

from __future__ import annotations

import warnings
from abc import ABCMeta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload

from gluonjax.errors import FrozenError
from gluonjax.lazy import LazyMethod, above

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
    explain_arguments: LazyMethod = LazyMethod('gluonjax.keywords', 'explain')

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
            cls.explain_arguments(error, args, kwargs)
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
