"""Checks of arguments and inputs that layers share; errors say in which layer they arose."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, DTypeError, PositionError


def size(name: str, value: Any, least: int | None = 1, most: int | None = None) -> int:
    """An int from `least` to `most`; None is no bound."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    if number is None or isinstance(value, bool) or not low <= number <= high:
        raise ArgumentError(f'{name} must be {" ".join(["an int", *_bounds(low, high)])}, got {value!r}')
    return number


def position(what: str, index: Any, count: int) -> int:
    """The index of one of `count` things; negative ones count from the end.

    Raises:
        PositionError: if there is none.
    """
    number = size(f'the index of a {what}', index, least=None)
    if not -count <= number < count:
        raise PositionError(f'{what} {number} of {count}: there is none')
    return number


def number(name: str, value: Any, least: float = -math.inf, most: float = math.inf, finite: bool = False) -> float:
    """A real number from `least` to `most`, or an array of one; not infinite, if it is to be `finite`."""
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0 and jnp.issubdtype(value.dtype, np.number):
        value = value if known(value) is None else value.item()
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if real else math.nan
    except OverflowError:
        number = -math.inf if value <= 0 else math.inf
    if not least <= number <= most or (finite and math.isinf(number)):
        kind = 'a finite number' if finite else 'a number'
        raise ArgumentError(f'{name} must be {" ".join([kind, *_bounds(least, most)])}, got {value!r}')
    return number


def positive(name: str, value: Any) -> float:
    """A number above 0."""
    if number(name, value) <= 0:
        raise ArgumentError(f'{name} must be a number > 0, got {value!r}')
    return float(value)


def _bounds(least: float, most: float) -> list[str]:
    """What an error says about bounds: ['>= 1 and <= 2']; nothing where there are none."""
    bounds = [f'>= {least}'] * (least > -math.inf) + [f'<= {most}'] * (most < math.inf)
    return [' and '.join(bounds)] if bounds else []


def one_of(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """One of a few values.

    >>> one_of('mode', 'mix', ['min', 'max'])
    Traceback (most recent call last):
    ...
    gluonjax.errors.ArgumentError: mode must be one of 'min', 'max'; got 'mix'
    """
    choices = list(choices)
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        raise ArgumentError(f'{name} must be one of {", ".join(map(repr, choices))}; got {value!r}')
    return value


def flag(name: str, value: Any) -> bool:
    """True or False, of NumPy too, or 1 or 0."""
    if not (isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1))):
        raise ArgumentError(f'{name} must be a bool, got {value!r}')
    return bool(value)


def optional_size(name: str, value: Any) -> int | None:
    """A size, or None where the input decides; MXNet writes 0 for that."""
    return None if value is None or (isinstance(value, int) and value == 0) else size(name, value)


def floating(x: Any) -> None:
    """The input is of floating point."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise DTypeError(
            'this layer needs floating-point input', got=f'{x.dtype} of shape {x.shape}', remedy="x.astype('float32')"
        )


def known(value: Any) -> np.ndarray | None:
    """The value of an array; None inside a transformation that hides it."""
    return None if isinstance(value, jax.core.Tracer) else np.asarray(value)


def promoted(*arrays: Any) -> list[jax.Array]:
    """The arrays in the dtype that JAX promotes them to."""
    dtype = jnp.result_type(*arrays)
    return [array if array.dtype == dtype else array.astype(dtype) for array in arrays]


def at_least_float32(*dtypes: DTypeLike) -> np.dtype:
    """The dtype in which numbers of these are added up: float32, or wider if one of them is.

    >>> at_least_float32('bfloat16', 'int8'), at_least_float32('float64')
    (dtype('float32'), dtype('float64'))
    """
    inexact = [np.dtype(dtype) for dtype in dtypes if jnp.issubdtype(dtype, jnp.inexact)]
    return max([*inexact, np.dtype('float32')], key=lambda dtype: dtype.itemsize)
