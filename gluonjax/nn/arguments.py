"""Checks of arguments and inputs of layers that work along axes of a given meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluonjax.checks import one_of, size
from gluonjax.errors import ArgumentError, ShapeError

MOST = 2**24  # of a kernel size, a stride or a padding: the product of some larger ones XLA cannot count


def per_axis(name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One int for each spatial axis; a single one stands for all.

    >>> per_axis('strides', 2, 2)
    (2, 2)
    """
    values = tuple(value) if np.iterable(value) else (value,) * rank
    if len(values) != rank:
        raise ArgumentError(f'{name} has the wrong length', expected=f'a number or {rank} numbers', got=repr(value))
    return tuple(limited(name, item, MOST, least) for item in values)


def limited(name: str, value: Any, limit: int, least: int = 1) -> int:
    """A size that is not so large that nothing could be computed."""
    number = size(name, value, least)
    if number > limit:
        raise ArgumentError(f'{name} is too large', expected=f'{limit} at most', got=number)
    return number


def layout(value: str, spatial: str) -> str:
    """A layout with the batch axis, the channel axis and these spatial axes, channels first or last."""
    return one_of('layout', value, (f'NC{spatial}', f'N{spatial}C'))


def rank(x: Any, expected: int, meaning: str) -> None:
    """The input has this many axes."""
    if x.ndim != expected:
        raise ShapeError('the input has the wrong number of axes', expected=f'{expected} ({meaning})', got=x.shape)


def axes(name: str, value: Any) -> tuple[int, ...]:
    """Axes as a tuple; a single int is one axis.

    >>> axes('axes', 1)
    (1,)
    """
    values = tuple(value) if np.iterable(value) and not isinstance(value, str) else (value,)
    return tuple(size(name, axis, least=None) for axis in values)
