"""What is loaded when it is first used: methods and functions of modules further up, what errors are explained by."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, ParamSpec, TypeVar

from gluonjax.errors import GluonError

_Arguments = ParamSpec('_Arguments')
_Class = TypeVar('_Class', bound=type)
_Result = TypeVar('_Result')


class LazyMethod:
    """A method that is a function of a module. So a class has methods for what is built on top of it.

    >>> class Number(int):
    ...     squared_root = LazyMethod('math', 'sqrt')
    >>> Number(9).squared_root()
    3.0
    """

    def __init__(self, module: str, function: str = ''):
        self.module: str = module
        self.function: str = function  # by default the one with the name of the method

    def __set_name__(self, owner: type, name: str) -> None:
        self.function = self.function or name

    @functools.cached_property
    def _loaded(self) -> Callable[..., Any]:
        function = getattr(importlib.import_module(self.module), self.function)
        return function if hasattr(function, '__wrapped__') else suggests_keywords(function)

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        return self._loaded if instance is None else MethodType(self._loaded, instance)


class _Above:
    """The modules above, as attributes, each loaded when it is first asked for: `above.failures.may_retry(...)`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith('_'):
            raise AttributeError(name)
        return vars(self).setdefault(name, importlib.import_module(f'gluonjax.{name}'))


above: Any = _Above()


def suggests_keywords(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator of a function or a method: of a call that fails, an error of the library says what was wrong with it.

    That is a KeywordError for an argument by a name that it does not have, and an ArgumentError for one of another type
    than is declared, or for values that cannot be used; errors of the caller's own functions stay what they are.

    A call that is right costs a frame.

    >>> @suggests_keywords
    ... def train(epochs, learning_rate=0.1):
    ...     pass
    >>> train(3, learning_rat=1)
    Traceback (most recent call last):
    ...
    gluonjax.errors.KeywordError: train has no argument 'learning_rat'
      expected: one of ['epochs', 'learning_rate']
      try: learning_rate=
    """

    @functools.wraps(function)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            explain(error, function, args, kwargs)
            raise

    return call


def explain(
    error: Exception,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Raises an error of the library, if a call failed by its arguments and not by such an error already."""
    if not isinstance(error, GluonError):
        above.keywords.check_call(function, args, kwargs, error)


def explains_itself(method: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator of a method that calls `explain`, as it is called so often that a frame counts."""
    method.explains_itself = True  # type: ignore[attr-defined]
    return method


def entry_points(cls: _Class) -> _Class:
    """Class decorator: `suggests_keywords` for its public methods.

    And for its constructor and for calls, but for classes whose metaclass explains constructors: calls of those count.
    """
    explained = hasattr(type(cls), 'explain_arguments')
    for name, method in list(vars(cls).items()):
        public = name[0] != '_' or (name in ('__init__', '__call__') and not explained)
        done = hasattr(method, '__wrapped__') or hasattr(method, 'explains_itself')
        if public and isinstance(method, FunctionType) and not done:
            type.__setattr__(cls, name, suggests_keywords(method))
    return cls
