"""Parameters as operands: arithmetic, comparisons, and reading and writing by index. Each works on the value."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from gluonjax import errors
from gluonjax.parameter import Parameter, concrete
from gluonjax.shapes import shape_text

Operation = Callable[[Parameter, Any], jax.Array]


def _operate(parameter: Parameter, operation: Callable[..., Any], *operands: Any) -> Any:
    try:
        return operation(*operands)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        kind = errors.PositionError if isinstance(error, IndexError) else errors.DTypeError
        what = f'{operation.__name__} of parameter {parameter.name!r}, of shape {shape_text(parameter.shape)}, failed'
        raise kind(what, got=f'{type(error).__name__}: {error}') from error


def _set(array: jax.Array, index: Any, value: Any) -> jax.Array:
    return array.at[index].set(value)


def _on_left(operation: Callable[[Any, Any], Any]) -> Operation:
    def operate(parameter: Parameter, other: Any) -> jax.Array:
        """The operation on the value, which is its left operand."""
        return _operate(parameter, operation, parameter.data(), other)

    return operate


def _on_right(operation: Callable[[Any, Any], Any]) -> Operation:
    def operate(parameter: Parameter, other: Any) -> jax.Array:
        """The operation on the value, which is its right operand."""
        return _operate(parameter, operation, other, parameter.data())

    return operate


def __getattr__(name: str) -> Operation:
    """The operation of a special method on two operands, such as 'add' or 'radd'; methods.py lists them."""
    if hasattr(operator, name):
        return _on_left(getattr(operator, name))
    return _on_right(getattr(operator, name.removeprefix('r')))


def neg(parameter: Parameter) -> jax.Array:
    """Minus the value."""
    return -parameter.data()


def abs(parameter: Parameter) -> jax.Array:
    """The absolute value."""
    return operator.abs(parameter.data())


def getitem(parameter: Parameter, index: Any) -> jax.Array:
    """The value at an index."""
    _check_index(parameter, index)
    return _operate(parameter, operator.getitem, parameter.data(), index)


def setitem(parameter: Parameter, index: Any, value: ArrayLike) -> None:
    """Sets the value at an index.

    Raises:
        ShapeError: for a value of another shape.
    """
    shape = _check_index(parameter, index)
    if shape is not None and not _fits(value, shape):
        raise errors.ShapeError(
            f'{parameter.name!r} cannot take this value there',
            expected=shape_text(shape),
            got=getattr(value, 'shape', value),
        )
    with jax.ensure_compile_time_eval():
        array = concrete(parameter.name, value, parameter.dtype)
        parameter.set_data(_operate(parameter, _set, parameter.data(), index, array))


def _check_index(parameter: Parameter, index: Any) -> tuple[int, ...] | None:
    """The shape at a plain index; JAX would pass over one that is out of range in silence."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
        return None
    return _operate(parameter, operator.getitem, np.broadcast_to(False, parameter.data().shape), index).shape


def _fits(value: ArrayLike, shape: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(np.shape(value), shape) == shape
    except ValueError:
        return False
