"""Attributes of operators: what MXNet wrote as a string, parsed by the annotation of the attribute."""

import functools
import re
import types
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError

Shape = tuple[int, ...]
Bounds = tuple[int | None, ...]  # of slices
Floats = tuple[float, ...]
DType = Literal['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int8', 'int32', 'int64', 'bool']


def dtype_of(name: str) -> Any:
    """The dtype with this name, as JAX can have it: of 32 bits where 64 are not enabled."""
    return jax.dtypes.canonicalize_dtype(jnp.dtype(name))


def _integer(text: str) -> int:
    text = text.removesuffix('L')
    if text in _FLAGS:
        return int(_FLAGS[text])
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if number != int(number):
            raise
        return int(number)


_FLAGS = {'true': True, 'True': True, '1': True, 'false': False, 'False': False, '0': False}


def _flag(text: str) -> bool:
    if text in _FLAGS:
        return _FLAGS[text]
    return bool(_integer(text))


def _items(text: str) -> list[str]:
    return [item for item in re.split(r'[()\[\],\s]+', text) if item]  # pairs of pairs are flattened


def _shape(text: str) -> Shape:
    return tuple(map(_integer, _items(text)))


def _bounds(text: str) -> Bounds:
    return tuple(None if item == 'None' else _integer(item) for item in _items(text))


def _floats(text: str) -> Floats:
    return tuple(map(float, _items(text)))


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    int: (_integer, 'an int'),
    float: (float, 'a number'),
    bool: (_flag, 'a bool'),
    str: (str, 'a string'),
    Shape: (_shape, 'a tuple of ints'),
    Bounds: (_bounds, 'a tuple of ints or None'),
    Floats: (_floats, 'a tuple of numbers'),
}


@functools.cache
def parser_of(annotation: Any) -> Callable[[str], Any]:
    """The function that parses the string of an attribute with this annotation.

    It raises ValueError for what it cannot parse.

    >>> parser_of(Shape)('[1, 2L]'), parser_of(Shape)('3'), parser_of(bool)('1'), parser_of(int | None)('None')
    ((1, 2), (3,), True, None)
    """
    if get_origin(annotation) is types.UnionType or type(None) in get_args(annotation):
        (kind,) = (kind for kind in get_args(annotation) if kind is not type(None))
        parse = parser_of(kind)
        return lambda text: None if text in ('None', '') else parse(text)
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)

        def choose(text: str) -> str:
            if text not in choices:
                raise ValueError(text)
            return text

        return choose
    return _PARSERS[annotation][0]


def may_be_none(annotation: Any) -> bool:
    """Whether None is a value of an attribute with this annotation, and not the same as none given.

    >>> may_be_none(int | None), may_be_none(int), may_be_none(None)
    (True, False, False)
    """
    return type(None) in get_args(annotation)


def described(annotation: Any) -> str:
    """What an attribute with this annotation can be, as an error says it."""
    if get_origin(annotation) is types.UnionType or type(None) in get_args(annotation):
        (kind,) = (kind for kind in get_args(annotation) if kind is not type(None))
        return f'{described(kind)} or None'
    if get_origin(annotation) is Literal:
        return f'one of {", ".join(map(repr, get_args(annotation)))}'
    return _PARSERS[annotation][1]


def parse(owner: str, name: str, annotation: Any, value: Any) -> Any:
    """The value of an attribute, from MXNet's string or from a value of Python.

    Raises:
        ArgumentError: naming the operator and the attribute.
    """
    text = value if isinstance(value, str) else as_text(value)
    try:
        return parser_of(annotation)(text.strip())
    except (ValueError, OverflowError):
        raise ArgumentError(f'{name} of {owner} must be {described(annotation)}, got {value!r}') from None


def as_text(value: Any) -> str:
    """A value as MXNet writes it into a graph.

    >>> as_text((3, np.int64(3))), as_text(True), as_text(0.5), as_text(jnp.float32)
    ('(3, 3)', 'True', '0.5', 'float32')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, np.generic):
        return str(value.item())
    if isinstance(value, list | tuple):
        return f'({", ".join(map(as_text, value))}{"," * (len(value) == 1)})'
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    try:
        return jnp.dtype(value).name
    except TypeError:
        return str(value)
