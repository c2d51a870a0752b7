"""Functions that name what was meant where an argument is given by a name that they do not have."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from gluonjax.errors import GluonError, KeywordError
from gluonjax.hints import hints

_Arguments = ParamSpec('_Arguments')
_Result = TypeVar('_Result')


def suggests_keywords(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorator of a function, a method or a constructor; a call that is right costs a frame.

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
            constructs = function.__name__ == '__init__'
            check_keywords(type(args[0]).__name__ if constructs else function.__name__, function, kwargs)
            raise

    return call


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
