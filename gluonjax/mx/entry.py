"""What failed calls of MXNet's functions and constructors say: in errors of the library, which are MXNet's to programs.

>>> from gluonjax.mx import base, nd
>>> try:
...     nd.arange(0, stop='x')
... except base.MXNetError as error:
...     print(error)
stop of _arange must be a number or None, got 'x'
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType
from typing import Any

from gluonjax import keywords
from gluonjax.errors import GluonError
from gluonjax.hints import missing
from gluonjax.lazy import suggests_keywords


def explain_calls(module: dict[str, Any], functions: bool = True) -> None:
    """Has the public functions of a module, and the constructors of its classes, refuse arguments by typed errors.

    Names that the module has not are refused with what to write, too. A module calls it at its end, with `globals()`. A
    call that is right costs a frame.

    Args:
        module: its names.
        functions: whether its functions do, of which some may be called so often that a frame counts.
    """
    if '__getattr__' not in module:
        module['__getattr__'] = functools.partial(_refuse_name, module)
    for name, found in list(module.items()):
        if getattr(found, '__module__', '') != module['__name__']:
            continue
        if isinstance(found, FunctionType) and functions and not name.startswith('_'):
            module[name] = suggests_keywords(found)
        elif isinstance(found, type):
            construct = vars(found).get('__init__')
            if isinstance(construct, FunctionType) and not hasattr(type(found), 'explain_arguments'):
                type.__setattr__(found, '__init__', suggests_keywords(construct))


def _refuse_name(module: dict[str, Any], name: str) -> Any:
    raise missing(f'module {module["__name__"]!r}', name, module['__name__'], module)


def explained(function: Callable[..., Any], name: str, declared: Callable[..., Any]) -> Callable[..., Any]:
    """As `suggests_keywords`, of a function that takes what another one declares.

    Args:
        function: what is called.
        name: how errors call it.
        declared: the function that declares the arguments.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            explain_as(name, error, declared, args, kwargs)
            raise

    return call


def explain_as(
    name: str,
    error: Exception,
    declared: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Raises an error of the library, if a call failed by its arguments and not by such an error already."""
    if not isinstance(error, GluonError):
        keywords.check_call(declared, args, kwargs, error, name)
