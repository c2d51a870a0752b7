"""What is loaded when it is first used: methods from a module further up, and what errors of calls are explained by."""

import functools
import importlib
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec('_Arguments')
_Class = TypeVar('_Class', bound=type)
_Result = TypeVar('_Result')
_VAR_KEYWORDS = 8  # in `co_flags`: a function with **kwargs


class LazyMethod:
    """A method that is a function of a module. So a class has methods for what is built on top of it.

    >>> class Number(int):
    ...     squared_root = LazyMethod('math', 'sqrt')
    >>> Number(9).squared_root()
    3.0
    """

    def __init__(self, module: str, function: str):
        self.module: str = module
        self.function: str = function

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        function = getattr(importlib.import_module(self.module), self.function)
        return function if instance is None else MethodType(function, instance)


def suggests_keywords(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator of a function or a method: an argument by a name that it does not have is a KeywordError.

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
        except TypeError:
            importlib.import_module('gluonjax.keywords').check_call(function, args, kwargs)
            raise

    return call


def entry_points(cls: _Class) -> _Class:
    """Class decorator: its public methods that have arguments to name suggest keywords."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType) and name[0] != '_' and not hasattr(method, '__wrapped__'):
            code = method.__code__
            if code.co_argcount + code.co_kwonlyargcount > 1 and not code.co_flags & _VAR_KEYWORDS:
                type.__setattr__(cls, name, suggests_keywords(method))
    return cls
