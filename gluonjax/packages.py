"""Packages that load their parts when these are asked for, and modules that say what to write for unknown names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gluonjax.hints import missing


def lazy_names(package: str, homes: Mapping[str, str], names: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that loads its parts when they are asked for.

    Args:
        package: its name.
        homes: the modules in the package that names are found in, or that they are other names of.
        names: those that a misspelt one is compared with. Names of submodules need not be among them.
    """

    def load(name: str) -> Any:
        if name in homes:
            home = importlib.import_module(f'{package}.{homes[name]}')
            return vars(sys.modules[package]).setdefault(name, vars(home).get(name, home))
        if importlib.util.find_spec(f'{package}.{name}') is None:
            raise missing(f'module {package!r}', name, package, names)
        return importlib.import_module(f'{package}.{name}')

    return load


def refuses_unknown(module: Mapping[str, Any], kind: str = '') -> Callable[[str], Any]:
    """The `__getattr__` of a module that says what to write in place of a name that is not there.

    Args:
        module: its `globals()`.
        kind: the key of its hints and how the error calls it, if not by its name.
    """

    def refuse(name: str) -> Any:
        if '__path__' in module and importlib.util.find_spec(f'{module["__name__"]}.{name}') is not None:
            raise AttributeError(name)  # `from package import module` asks first, and then imports it
        own = [known for known, value in module.items() if getattr(value, '__module__', '') == module['__name__']]
        called = kind or module['__name__']
        raise missing(f'module {called!r}', name, called, module.get('__all__', own))

    return refuse
