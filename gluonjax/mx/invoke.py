"""Calls of the operators of the table on tracked arrays: compiled once for each operator, attributes and mode."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gluonjax import keys
from gluonjax.mx import tape
from gluonjax.mx.op import Operator, Pass
from gluonjax.mx.op.elementwise import SCALAR
from gluonjax.mx.tape import Arrays, Program, Tracked


def run(operator: Operator, inputs: Sequence[Tracked | None], attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """The outputs that are visible, and the new values of the auxiliary states, or of those of many weights.

    Args:
        operator: the operator.
        inputs: in its order; None for one that is missing and may be.
        attributes: of MXNet's strings or Python's values.
    """
    given = tuple(sorted((name, _hashable(value)) for name, value in attributes.items()))
    present = tuple(x is not None for x in inputs)
    program, random, visible = _program(operator, given, present, tape.scope().training)
    arrays = [x for x in inputs if x is not None]
    if random:
        with next_key() as key:
            outputs, updates = tape.call(program, arrays, key)
    else:
        outputs, updates = tape.call(program, arrays)
    if operator.variadic and visible < len(outputs):  # the states of optimizers, behind the new weights
        updates = [state for state, _ in outputs[visible:]]
    return outputs[:visible], updates


class _Keys:
    """Random keys that all come from one, as in a program that takes it."""

    def __init__(self, key: Any):
        self.key, self.count = key, 0

    def draw(self) -> jax.Array:
        self.count += 1
        return jax.random.fold_in(self.key, self.count - 1)


_KEYS: contextvars.ContextVar[_Keys | None] = contextvars.ContextVar('keys', default=None)


@contextlib.contextmanager
def drawing_from(key: Any) -> Iterator[Callable[[], int]]:
    """A `with` block in which all random keys come from one, as in a program that takes it; None changes nothing.

    It gives a function that says how many were drawn.
    """
    if key is None:
        yield lambda: 0
        return
    source = _Keys(key)
    token = _KEYS.set(source)
    try:
        yield lambda: source.count
    finally:
        _KEYS.reset(token)


def next_key() -> contextlib.AbstractContextManager[jax.Array]:
    """A new random key, for a `with` block."""
    source = _KEYS.get()
    return keys.next_key() if source is None else contextlib.nullcontext(source.draw())


class Keyed:
    """A program that gets a new random key at each call if it draws from it, which is known once it is traced.

    Args:
        name: what errors call it.
        function: of arrays and a key, to outputs, new values of auxiliary states, and whether it drew.
        origin: what makes it in a graph, as of `Program`.
        large: whether it is of many operations.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Any, Any], tuple[Any, Any, bool]],
        origin: Any = None,
        large: bool = False,
    ):
        self.function: Callable[[Any, Any], tuple[Any, Any, bool]] = function
        self.draws: bool | None = None
        self.program: Program = Program(name, self._run, origin=origin, large=large)

    def _run(self, arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        outputs, updates, drew = self.function(arrays, key)
        self.draws = drew or bool(self.draws)
        return outputs, updates

    def __call__(self, inputs: Sequence[Tracked]) -> tuple[list[Tracked], list[jax.Array]]:
        """The outputs, and new values of auxiliary states."""
        if self.draws is False:
            result = tape.call(self.program, inputs, unused_key())
            if not self.draws:
                return result  # otherwise another shape was traced, which does draw
        with next_key() as key:
            result = tape.call(self.program, inputs, key)
        source = _KEYS.get()
        if source is not None and not self.draws:
            source.count -= 1
        return result


@functools.cache
def unused_key() -> jax.Array:
    """What a program that takes a key, and draws nothing, is given."""
    with jax.ensure_compile_time_eval():
        return jax.random.key(0)


def scalar(name: str, data: Tracked, number: Any) -> Tracked:
    """An operator of an array and a number, which is no part of the program: one is compiled for all numbers."""
    value = np.asarray(number).astype(data.array.dtype)
    return tape.call(_scalar_program(name), [data, Tracked(value)])[0][0]  # type: ignore[arg-type]


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, np.ndarray):
        return _hashable(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


@functools.cache
def _scalar_program(name: str) -> Program:
    function = next(entry for key, (entry, aliases) in SCALAR.items() if name == key or name in aliases)
    return Program(name, lambda arrays, key: ([function(*arrays)], []), origin=(name, None))


@functools.lru_cache(4096)
def _program(
    operator: Operator, given: tuple[tuple[str, Any], ...], present: tuple[bool, ...], training: bool
) -> tuple[Program, bool, int]:
    """The program, whether it takes a random key, and how many of its outputs are shown."""
    attributes = operator.parse(dict(given))

    def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        rest = iter(arrays)
        values = [next(rest) if there else None for there in present]
        return operator.run(values, attributes, Pass(training, None if key is None else _splitter(key)))

    draws = training or operator.name.startswith('_') or attributes.get('mode') == 'always'
    origin = (operator.name, dict(given)) if all(present) else None
    program = Program(operator.name, function, origin=origin)
    return program, operator.takes_pass and draws, operator.visible_for(attributes)


def _splitter(key: jax.Array) -> Any:
    """What gives a new key each time."""
    numbers = iter(range(1 << 30))
    return lambda: jax.random.fold_in(key, next(numbers))


def take(data: Tracked, key: Any) -> Tracked:
    """Elements by a key of slices, numbers and arrays; the starts of slices are no part of the program."""
    parts = _box(key, data.array.shape)
    if parts is None:
        arrays, static = _operands(key, data.array.shape)
        return tape.call(_gather(static), [data, *arrays])[0][0]
    starts, sizes, dropped = parts
    return tape.call(_slice(sizes, dropped), [data, Tracked(starts)])[0][0]


def put(data: Tracked, key: Any, value: Tracked) -> Tracked:
    """The array with other elements there; the value is broadcast, and cast."""
    parts = _box(key, data.array.shape)
    if parts is None:
        arrays, static = _operands(key, data.array.shape)
        return tape.call(_scatter(static), [data, value, *arrays])[0][0]
    starts, sizes, dropped = parts
    return tape.call(_update(sizes, dropped), [data, value, Tracked(starts)])[0][0]


def is_contiguous(key: Any, shape: tuple[int, ...]) -> bool:
    """Whether a key chooses elements that lie beside each other: then MXNet shares memory."""
    parts = _box(key, shape)
    if parts is None:
        return False
    _, sizes, _ = parts
    first = next((i for i, size in enumerate(sizes) if size != 1), len(shape))
    return all(size == whole for size, whole in zip(sizes[first + 1 :], shape[first + 1 :], strict=True))


def _box(key: Any, shape: tuple[int, ...]) -> Any:
    """Starts, sizes and dropped axes of a key of numbers and slices of step 1; None for any other."""
    items = list(key) if isinstance(key, tuple) else [key]
    if any(item is Ellipsis for item in items):
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    items += [slice(None)] * (len(shape) - len(items))
    if len(items) != len(shape):
        return None
    starts, sizes, dropped = [], [], []
    for axis, (item, size) in enumerate(zip(items, shape, strict=True)):
        if isinstance(item, int | np.integer) and not isinstance(item, bool):
            if not -size <= item < size:
                raise IndexError(f'index {item} is out of range for axis {axis} with size {size}')
            starts.append(int(item) % size)
            sizes.append(1)
            dropped.append(axis)
        elif isinstance(item, slice) and item.step in (None, 1):
            start, stop, _ = item.indices(size)
            starts.append(start)
            sizes.append(max(0, stop - start))
        else:
            return None
    return np.array(starts, 'int32'), tuple(sizes), tuple(dropped)


@functools.lru_cache(4096)
def _slice(sizes: tuple[int, ...], dropped: tuple[int, ...]) -> Program:
    def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        data, starts = arrays
        return [jnp.squeeze(jax.lax.dynamic_slice(data, list(starts), sizes), dropped)], []

    def of_numpy(arrays: Any) -> Any:
        data, starts = arrays
        where = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
        return [data[where].squeeze(dropped)]

    return Program('slice', function, of_numpy)


@functools.lru_cache(4096)
def _update(sizes: tuple[int, ...], dropped: tuple[int, ...]) -> Program:
    shown = tuple(size for axis, size in enumerate(sizes) if axis not in dropped)

    def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        data, value, starts = arrays
        part = fitted(value.astype(data.dtype), shown).reshape(sizes)
        return [jax.lax.dynamic_update_slice(data, part, list(starts))], []

    return Program('slice assignment', function)


def fitted(value: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The value broadcast to a shape; leading axes of size 1 may be more."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    return jnp.broadcast_to(value, shape)


def _operands(key: Any, shape: tuple[int, ...]) -> tuple[list[Tracked], Any]:
    """The arrays of a key, and the key without them, which can be hashed.

    Raises:
        IndexError: for an index out of range, as far as it can be known.
    """
    arrays, static = [], []
    axis: int | None = 0  # None after an ellipsis
    for item in key if isinstance(key, tuple) else (key,):
        if item is Ellipsis:
            axis = None
        elif axis is not None and item is not None and not isinstance(item, list | np.ndarray | jax.Array):
            axis += 1
        if isinstance(item, Tracer) and item.dtype != np.bool_:
            arrays.append(Tracked(item))
            static.append('array')
        elif isinstance(item, list | np.ndarray | jax.Array):
            array = np.asarray(item)
            axis = None if axis is None else _next_axis(array, shape, axis)
            for part in np.nonzero(array) if array.dtype == bool and array.ndim else (array,):
                arrays.append(Tracked(part if part.dtype == bool else part.astype('int32')))  # type: ignore[arg-type]
                static.append('array')
        elif isinstance(item, slice):
            static.append(('slice', item.start, item.stop, item.step))
        else:
            static.append(item)
    return arrays, tuple(static)


def _next_axis(index: np.ndarray, shape: tuple[int, ...], axis: int) -> int:
    """The axis behind those that an array of indices, or a mask, takes."""
    if index.dtype == bool:
        return axis + index.ndim
    if axis < len(shape) and index.size and not -shape[axis] <= index.min() <= index.max() < shape[axis]:
        raise IndexError(f'an index is out of range for axis {axis} with size {shape[axis]}')
    return axis + 1


def _indices(array: jax.Array) -> jax.Array:
    return array.astype('int32') if jnp.issubdtype(array.dtype, jnp.inexact) else array


def _key(static: Any, arrays: Arrays) -> tuple[Any, ...]:
    rest = iter(arrays)
    items = [_indices(next(rest)) if isinstance(item, str) else item for item in static]
    return tuple(slice(*item[1:]) if isinstance(item, tuple) else item for item in items)


@functools.lru_cache(4096)
def _gather(static: Any) -> Program:
    def of_numpy(arrays: Any) -> Any:
        return [arrays[0][_key(static, arrays[1:])]]

    return Program('index', lambda arrays, key: (of_numpy(arrays), []), of_numpy)


@functools.lru_cache(4096)
def _scatter(static: Any) -> Program:
    def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        data, value, *rest = arrays
        where = _key(static, rest)
        value = fitted(value.astype(data.dtype), jax.eval_shape(lambda x: x[where], data).shape)
        return [data.at[where].set(value)], []

    return Program('assignment', function)


@functools.lru_cache(4096)
def reshaping(shape: tuple[int, ...]) -> Program:
    """To another shape with as many elements."""

    def of_numpy(arrays: Any) -> Any:
        return [arrays[0].reshape(shape)]

    return Program('reshape', lambda arrays, key: (of_numpy(arrays), []), of_numpy)


@functools.lru_cache(4096)
def broadcasting(shape: tuple[int, ...], dtype: str) -> Program:
    """To a shape and a dtype."""
    return Program('assignment', lambda arrays, key: ([fitted(arrays[0].astype(dtype), shape)], []))


@functools.lru_cache(64)
def casting(dtype: str) -> Program:
    """To another dtype."""
    return Program('cast', lambda arrays, key: ([arrays[0].astype(dtype)], []))
