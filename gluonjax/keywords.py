"""What was wrong with the arguments of a call that failed: names that a function does not have, values of other types.

It is asked when a call has failed with an error that is not the library's own, so that calls pay nothing for it. The
types are those that a function declares. Values of the right type that cannot be used, such as sizes that do not fit
each other, are refused with the reason that the failing operation gave. Errors of the caller's own functions stay.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import operator
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, GluonError, KeywordError
from gluonjax.hints import hints
from gluonjax.host_callbacks import check_callback
from gluonjax.shapes import shape_text


def check_call(
    function: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any], error: Exception, name: str = ''
) -> None:
    """Refuses what was wrong with the arguments of a function or a method; of a constructor, errors name the class.

    Args:
        function: what was called.
        args: its arguments in order.
        given: its arguments by name.
        error: what the call raised.
        name: how errors call the function, if not by its own name.

    Raises:
        KeywordError: naming an argument that there is not, and what to write, or one that is missing.
        ArgumentError: naming a value of another type than the function declares, or saying why values of the right
            types cannot be used.
        CallbackError: if it was not the arguments, but a function that a compiled program called back.
    """
    check_callback(error)
    constructs = function.__name__ == '__init__'
    owner = name or (type(args[0]).__name__ if function.__name__.startswith('__') else function.__name__)
    where = f'in the constructor of {owner}' if constructs else f'in a call of {owner}'
    _check(owner, where, function, args, given, error)


def _check(
    owner: str,
    where: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    given: Mapping[str, Any],
    error: Exception,
) -> None:
    check_keywords(owner, function, given)
    check_count(owner, function, args, given)
    check_types(where, function, args, given, refusal_of(error))
    check_values(owner, function, args, given, error)


def explain(cls: type, error: Exception, args: Sequence[Any], given: Mapping[str, Any]) -> None:
    """Has an error of a constructor say which class it was, or what was wrong with the arguments."""
    here = f'in the constructor of {cls.__name__}'
    if isinstance(error, GluonError):
        error.locate(here)
    else:
        _check(cls.__name__, here, cls.__init__, (None, *args), given, error)


def signature_of(cls: type, shared: Iterable[str], ignored: Iterable[str]) -> inspect.Signature:
    """How a configuration is made: the arguments that its class declares, and those that all of its kind share."""
    declared = list(inspect.signature(cls.__init__).parameters.values())[1:]
    hidden = (*shared, *ignored)
    shown = [parameter for parameter in declared if parameter.name not in hidden]
    shown += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in shared]
    return inspect.Signature(sorted(shown, key=lambda parameter: parameter.kind))  # **kwargs last


def check_keywords(owner: str, function: Callable[..., Any], given: Iterable[str]) -> None:
    """Refuses arguments by names that a function does not have.

    Raises:
        KeywordError: naming the first, and what to write.
    """
    known = {} if function is object.__init__ else inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name in given:
        if name not in known:
            names = [other for other in known if other != 'self']
            near = [f'{other}=' for other in difflib.get_close_matches(name, names, 1)]
            hint = hints()['an argument'].get(name)
            remedy = hint if hint is not None and hint.partition('=')[0] in names else next(iter(near), None)
            raise KeywordError(f'{owner} has no argument {name!r}', expected=f'one of {names}', remedy=remedy) from None


def check_count(owner: str, function: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]) -> None:
    """Refuses a call that lacks an argument, or has more of them than the function takes.

    Raises:
        KeywordError: with how the function is called.
    """
    try:
        inspect.signature(function).bind(*args, **given)
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError):  # of some functions in C nobody knows what they take
            raise KeywordError(f'{owner}: {error}', expected=call_text(owner, function)) from None


def call_text(name: str, function: Callable[..., Any]) -> str:
    """How a function is called, without types."""
    parameters = inspect.signature(function).parameters.values()
    shown = [p.replace(annotation=p.empty) for p in parameters if p.name != 'self']
    return f'{name}{inspect.Signature(shown)}'


def check_types(
    where: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    given: Mapping[str, Any],
    kind: type[ArgumentError] = ArgumentError,
) -> None:
    """Refuses arguments that are not of the types that a function declares, by an error of a kind.

    Raises:
        ArgumentError: naming the first.
    """
    for name, value, declared in _arguments(function, args, given):
        if not fits(value, declared):
            error = kind(f'{name} must be {type_text(declared)}, got {_shown(value)}')
            error.locate(where)
            raise error


_OF_VALUES = (  # NameError: of an axis by a name, in JAX
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(RecursionError, NameError),
)
_CAUGHT = (KeyError, IndexError, TypeError, AttributeError, OverflowError, ZeroDivisionError)
_COMPUTING = frozenset({'gluonjax', 'jax', 'jaxlib', 'numpy', 'optax', 'ml_dtypes'}) | sys.stdlib_module_names


def check_values(
    owner: str, function: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any], error: Exception
) -> None:
    """Refuses arguments of the right types whose values cannot be used, for the reason of an error.

    Errors of the caller's own code stay what they are.

    Raises:
        ArgumentError: with the reason, and what was given.
    """
    debugging = isinstance(error, FloatingPointError)  # which `jax_debug_nans` asked for
    if debugging or not isinstance(error, _OF_VALUES) or is_of_the_caller(error):
        return
    try:
        bound = inspect.signature(function).bind(*args, **given).arguments
    except (TypeError, ValueError):
        return
    got = ', '.join(f'{name}={_shown(value)}' for name, value in bound.items() if name != 'self')
    remedy = 'sys.setrecursionlimit(10_000) allows deeper nesting' if isinstance(error, RecursionError) else None
    reason = next(iter(str(error).strip().splitlines()), '') or type(error).__name__
    raise refusal_of(error)(f'{owner} cannot take these arguments: {reason}', got=got, remedy=remedy) from error


def refusal_of(error: Exception) -> type[ArgumentError]:
    """ArgumentError, which programs that catch an error of this kind catch too."""
    return _refusal(next((kind for kind in _CAUGHT if isinstance(error, kind)), ValueError))


@functools.cache
def _refusal(kind: type[Exception]) -> type[ArgumentError]:
    if kind is ValueError:
        return ArgumentError
    fields = {'__module__': ArgumentError.__module__, '__reduce__': lambda error: (ArgumentError, error.args)}
    return type('ArgumentError', (ArgumentError, kind), fields)


def is_of_the_caller(error: Exception) -> bool:
    """Whether code that the caller wrote was running when this error arose."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get('__name__', '').partition('.')[0] not in _COMPUTING:
            return True
        trace = trace.tb_next
    return False


def _arguments(
    function: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and declared type of each argument that has one."""
    try:
        declared, signature = typing.get_type_hints(function), inspect.signature(function)
        bound = signature.bind(*args, **given).arguments
    except (TypeError, NameError, AttributeError):
        return
    for name, value in bound.items():
        kind, hint = signature.parameters[name].kind, declared.get(name, Any)
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((name, one, hint) for one in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:  # of a TypedDict
            of_each = typing.get_type_hints(typing.get_args(hint)[0]) if typing.get_args(hint) else {}
            yield from ((other, one, of_each.get(other, Any)) for other, one in value.items())
        else:
            yield name, value, hint


def fits(value: Any, declared: Any) -> bool:
    """Whether a value can be what is declared; of types that cannot be looked at, every value is.

    >>> fits(3, int | None), fits('3', int | None), fits([1, 'a'], Sequence[int]), fits('a', typing.Literal['a', 'b'])
    (True, False, False, True)
    """
    origin, parts = typing.get_origin(declared), typing.get_args(declared)
    if origin in (typing.Union, types.UnionType):
        dtypes = _DTYPES if {*parts} >= _DTYPES else frozenset[Any]()
        return (bool(dtypes) and _is_dtype(value)) or any(fits(value, part) for part in parts if part not in dtypes)
    if origin is typing.Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if declared in _KINDS:
        return _KINDS[declared](value)
    if inspect.isclass(origin) and issubclass(origin, Collection):
        return _fits_collection(value, origin, parts)
    kind = origin or declared
    if kind is Callable or kind is typing.get_origin(Callable[..., Any]):
        return callable(value)
    try:
        return not inspect.isclass(kind) or isinstance(value, kind)
    except TypeError:  # a protocol, perhaps
        return True


def _fits_collection(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(item, parts[1]) for item in value.values())
    if isinstance(value, str | bytes | Mapping) or not np.iterable(value) or getattr(value, 'ndim', 1) != 1:
        return False
    if not isinstance(value, Collection):
        return not issubclass(Sequence, origin)
    of_each = [part for part in parts if part is not ...]
    several = issubclass(origin, tuple) and ... not in parts
    of_each = of_each if several else of_each * len(value)
    return len(of_each) == len(value) and all(map(fits, value, of_each)) if parts else True


def _is_dtype(value: Any) -> bool:
    try:
        return value is not None and not hasattr(value, 'shape') and jnp.dtype(value) is not None
    except (TypeError, ValueError):
        return False


def _is_int(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool | np.bool_)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) or getattr(value, 'shape', None) == ()


_DTYPES = frozenset(typing.get_args(DTypeLike))  # how dtypes are given
_KINDS: dict[Any, Callable[[Any], bool]] = {
    Any: lambda value: True,
    object: lambda value: True,
    jax.Array: lambda value: hasattr(value, 'dtype') and isinstance(getattr(value, 'shape', None), tuple),
    types.NoneType: lambda value: value is None,
    None: lambda value: value is None,
    int: _is_int,
    float: _is_number,
    bool: lambda value: isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1)),
}


def type_text(declared: Any) -> str:
    """A declared type as an error says it.

    >>> type_text(int), type_text(Sequence[int] | None), type_text(Callable[..., int])
    ('an int', 'Sequence[int] | None', 'Callable[..., int]')
    """
    if declared in (int, bool, float, str):
        return {int: 'an int', bool: 'a bool', float: 'a number', str: 'a str'}[declared]
    parts = typing.get_args(declared)
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        return ' | '.join('None' if part is types.NoneType else _written(part) for part in parts)
    return _written(declared)


def _written(declared: Any) -> str:
    text = inspect.formatannotation(declared)
    for module in (
        'collections.abc.',
        'typing.',
        'mx.array.',
        'os.',
        'jax._src.',
        'jax.jaxlib._jax.',
        'jaxlib._jax.',
        'gluonjax.',
    ):
        text = text.replace(module, '')
    return text


def _shown(value: Any) -> str:
    if hasattr(value, 'dtype') and isinstance(getattr(value, 'shape', None), tuple):  # which modules have too
        return f'an array of {getattr(value.dtype, "__name__", value.dtype)} and shape {shape_text(value.shape)}'
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxother, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxlevel = 100, 100, 100, 3
