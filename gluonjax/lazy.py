"""Methods whose code is in a module further up, which is loaded when it is first used."""

import importlib
from types import MethodType
from typing import Any


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
