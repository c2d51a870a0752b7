"""What was meant by an argument with a name that a function does not have."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gluonjax.errors import GluonError, KeywordError
from gluonjax.hints import hints


def check_call(function: Callable[..., Any], args: Sequence[Any], given: Iterable[str]) -> None:
    """Refuses arguments by names that a function does not have; of a constructor the error names the class.

    Raises:
        KeywordError: naming the first, and what to write.
    """
    constructs = function.__name__ == '__init__'
    check_keywords(type(args[0]).__name__ if constructs else function.__name__, function, given)


def explain(cls: type, error: Exception, given: Iterable[str]) -> None:
    """Has an error of a constructor say which class it was, and what an argument by another name was meant for."""
    if isinstance(error, GluonError):
        error.locate(f'in the constructor of {cls.__name__}')
    else:
        check_keywords(cls.__name__, cls.__init__, given)


def check_keywords(owner: str, function: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuses arguments by names that a function does not have.

    Raises:
        KeywordError: naming the first, and what to write.
    """
    known = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name in given:
        if name not in known:
            names = [other for other in known if other != 'self']
            near = [f'{other}=' for other in difflib.get_close_matches(name, names, 1)]
            hint = hints()['an argument'].get(name)
            remedy = hint if hint is not None and hint.partition('=')[0] in names else next(iter(near), None)
            raise KeywordError(f'{owner} has no argument {name!r}', expected=f'one of {names}', remedy=remedy) from None
