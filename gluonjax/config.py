"""Configurations that stay as they were constructed."""

import inspect
from collections.abc import Iterable
from typing import Any

from gluonjax.errors import FrozenError, GluonError


class Naming(type):
    """Errors of the constructor say which class it was."""

    @property
    def __signature__(cls) -> inspect.Signature:
        return inspect.Signature(list(inspect.signature(cls.__init__).parameters.values())[1:])

    def __call__(cls, *args, **kwargs):
        try:
            return super().__call__(*args, **kwargs)
        except GluonError as error:
            error.locate(f'in the constructor of {cls.__name__}')
            raise


class _Freezing(Naming):
    """Freezes what was constructed, when the constructor of the last subclass is through."""

    def __call__(cls, *args, **kwargs):
        instance = super().__call__(*args, **kwargs)
        vars(instance)['_frozen'] = True
        return instance


class Frozen(metaclass=_Freezing):
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

    remedy = 'make a new one'  # what to do instead

    def __setattr__(self, name: str, value: Any) -> None:
        if '_frozen' in vars(self):
            raise FrozenError(
                f'{type(self).__name__} is frozen: {name!r} cannot be set after construction', remedy=self.remedy
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenError(f'{type(self).__name__} is frozen: {name!r} cannot be deleted', remedy=self.remedy)

    def __repr__(self) -> str:
        return constructor_call(self)


def constructor_call(instance: object, cls: type | None = None, hidden: Iterable[str] = ()) -> str:
    """The call that makes `instance`, from the attributes that carry its arguments' names; defaults are left out.

    Args:
        instance: what is described.
        cls: the class whose constructor is shown, if it is not the instance's own.
        hidden: arguments to leave out.

    >>> class Point:
    ...     def __init__(self, x, y=0, z=0):
    ...         self.x, self.y, self.z = x, y, z
    >>> constructor_call(Point(1, y=(0, 0), z=2))
    'Point(1, z=2)'
    """
    cls, shown = cls or type(instance), []
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        value = vars(instance).get(parameter.name, parameter.default)
        if parameter.name not in hidden and value is not parameter.default and not _equal(value, parameter.default):
            required = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
            shown.append(repr(value) if required else f'{parameter.name}={value!r}')
    return f'{cls.__name__}({", ".join(shown)})'


def _equal(value: object, default: object) -> bool:
    if isinstance(value, tuple) and isinstance(default, int):  # one number that stood for every axis
        return set(value) == {default}
    return type(value) is type(default) and isinstance(value, str | int | float | tuple) and value == default
