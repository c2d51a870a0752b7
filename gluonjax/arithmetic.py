"""Parameters as operands: arithmetic, comparisons, and reading and writing by index. Each works on the value."""

from __future__ import annotations

import builtins
import functools
import numbers
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
        remedy = 'parameter.data() is the array; `parameter is None` asks whether there is one'
        raise kind(what, got=f'{type(error).__name__}: {error}', remedy=remedy) from error


def _set(array: jax.Array, index: Any, value: Any) -> jax.Array:
    return array.at[index].set(value)


def _alone(operation: Callable[[Any], Any]) -> Callable[[Parameter], Any]:
    def operate(parameter: Parameter) -> Any:
        """The operation on the value."""
        return _operate(parameter, operation, parameter.data())

    return operate


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


def __getattr__(name: str) -> Callable[..., Any]:
    """The operation of a special method, such as 'add', 'radd' or 'neg'; methods.py lists them."""
    if name in _OF_ONE:
        return _alone(_OF_ONE[name])
    on_right = name not in _OF_TWO
    operation = _OF_TWO.get(name.removeprefix('r') if on_right else name)
    if operation is None:
        raise AttributeError(name)
    return _on_right(operation) if on_right else _on_left(operation)


def _scalar(convert: Callable[..., Any]) -> Callable[..., Any]:
    """A conversion to a number of Python; of an array with one element, as in MXNet, whatever its shape."""

    @functools.wraps(convert, updated=())
    def converted(array: jax.Array, *how: Any) -> Any:
        return convert(array.reshape(()) if array.size == 1 else array, *how)

    return converted


def _contains(array: jax.Array, item: Any) -> bool:
    return item in np.asarray(array)


_OF_TWO: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name)
    for name in (
        *('add', 'sub', 'mul', 'truediv', 'floordiv', 'mod', 'pow', 'matmul'),
        *('lt', 'le', 'gt', 'ge', 'xor', 'lshift', 'rshift'),
    )
}
_OF_TWO |= {'and': operator.and_, 'or': operator.or_, 'divmod': divmod, 'contains': _contains}
_OF_ONE: dict[str, Callable[[Any], Any]] = {name: getattr(operator, name) for name in ('neg', 'pos', 'abs', 'invert')}
_OF_ONE |= {'len': len, 'iter': iter, **{kind.__name__: _scalar(kind) for kind in (bool, int, float, complex)}}


def eq(parameter: Parameter, other: Any) -> Any:
    """Element by element with a number or an array, as arrays compare; with whatever else, whether it is the same."""
    if isinstance(other, jax.Array | np.ndarray | numbers.Number) and not isinstance(other, bool):
        return _operate(parameter, operator.eq, parameter.data(), other)
    return NotImplemented


def ne(parameter: Parameter, other: Any) -> Any:
    """As `eq`, the other way round."""
    equal = eq(parameter, other)
    return equal if equal is NotImplemented else operator.invert(equal)


def round(parameter: Parameter, ndigits: int | None = None) -> jax.Array:
    """The value, rounded."""
    return _operate(parameter, builtins.round, parameter.data(), ndigits)


def format(parameter: Parameter, format_spec: str) -> str:
    """The Parameter as text, or, with a format, the number that is its value."""
    if not format_spec:
        return str(parameter)
    return _operate(parameter, _scalar(builtins.format), parameter.data(), format_spec)


def array(parameter: Parameter, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The value, as an array of NumPy."""
    return np.array(parameter.data(), dtype, copy=copy)


def jax_array(parameter: Parameter) -> jax.Array:
    """The value, for functions of JAX."""
    return parameter.data()


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
