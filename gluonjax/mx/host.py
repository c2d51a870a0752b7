"""Programs evaluated by NumPy, with the bits that the compiled ones give.

XLA compiles a program once for each shape. Where shapes change from call to call, as in a loop that keeps fewer boxes
each time, compiling takes all the time. What moves elements, compares them, or rounds once for each is the same in
NumPy, so that shapes that are seen rarely are evaluated there. Sums, products of matrices, exponentials and what XLA
rounds once for two operations are compiled always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from gluonjax.mx.context import default_device

Primitive = Callable[..., Any]


class _NotHere(Exception):
    """An operation that NumPy does otherwise, or that has no entry."""


def _elementwise(function: Callable[..., Any]) -> Primitive:
    return lambda params, *args: function(*args)


def _float_only(function: Callable[..., Any]) -> Primitive:
    def checked(params: Any, *args: Any) -> Any:
        if args[0].dtype.kind != 'f':
            raise _NotHere
        return function(*args)

    return checked


def _exact_reduction(function: Callable[..., Any]) -> Primitive:
    def reduction(params: Any, x: Any) -> Any:
        if x.dtype.kind == 'f' and function is np.sum:
            raise _NotHere  # the order of the terms decides the last bits
        return function(x, axis=tuple(params['axes']))

    return reduction


def _index_of(function: Callable[..., Any]) -> Primitive:
    def index(params: Any, x: Any) -> Any:
        (axis,) = params['axes']
        return function(x, axis=axis)

    return index


def _cast(params: Any, x: Any) -> Any:
    dtype = np.dtype(params['new_dtype'])
    if x.dtype.kind == 'f' and dtype.kind in 'iu':
        bounds = np.iinfo(dtype)
        if not (np.isfinite(x).all() and (x > bounds.min).all() and (x < bounds.max).all()):
            raise _NotHere  # XLA saturates
    return x.astype(dtype)


def _broadcast(params: Any, x: Any) -> Any:
    shape = [1] * len(params['shape'])
    for size, axis in zip(x.shape, params['broadcast_dimensions'], strict=True):
        shape[axis] = size
    return np.broadcast_to(x.reshape(shape), params['shape'])


def _select(params: Any, which: Any, *cases: Any) -> Any:
    if which.dtype != bool:
        raise _NotHere
    return np.where(which, cases[1], cases[0])


def _slice(params: Any, x: Any) -> Any:
    strides = params['strides'] or (1,) * x.ndim
    return x[tuple(map(slice, params['start_indices'], params['limit_indices'], strides))]


def _starts(x: Any, starts: Sequence[Any], sizes: Sequence[int]) -> tuple[slice, ...]:
    begins = [min(max(int(start), 0), whole - size) for start, whole, size in zip(starts, x.shape, sizes, strict=True)]
    return tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))


def _dynamic_slice(params: Any, x: Any, *starts: Any) -> Any:
    return x[_starts(x, starts, params['slice_sizes'])]


def _dynamic_update_slice(params: Any, x: Any, part: Any, *starts: Any) -> Any:
    result = x.copy()
    result[_starts(x, starts, part.shape)] = part
    return result


def _sort(params: Any, *operands: Any) -> Any:
    if params['num_keys'] != 1:
        raise _NotHere
    axis = params['dimension']
    order = np.argsort(operands[0], axis=axis, kind='stable')
    return [np.take_along_axis(x, order, axis) for x in operands]


def _positions(x: Any, indices: Any, taken: Sequence[int], sizes: Sequence[int]) -> tuple[Any, ...]:
    """Indices of the axes that are taken, where all others are taken whole, and no index is out of range."""
    for axis, size in enumerate(sizes):
        if size != (1 if axis in taken else x.shape[axis]):
            raise _NotHere
    found = tuple(indices[..., i] for i in range(indices.shape[-1]))
    for index, axis in zip(found, taken, strict=True):
        if index.size and not 0 <= index.min() <= index.max() < x.shape[axis]:
            raise _NotHere
    return found


def _gather(params: Any, x: Any, indices: Any) -> Any:
    numbers = params['dimension_numbers']
    taken = numbers.start_index_map
    if numbers.operand_batching_dims or sorted(taken) != sorted(numbers.collapsed_slice_dims):
        raise _NotHere
    where = _positions(x, indices, taken, params['slice_sizes'])
    result = np.moveaxis(x, taken, range(len(taken)))[where]
    batch = indices.ndim - 1
    return np.moveaxis(result, range(batch, result.ndim), numbers.offset_dims)


def _scatter(params: Any, x: Any, indices: Any, updates: Any) -> Any:
    numbers = params['dimension_numbers']
    taken, window = numbers.scatter_dims_to_operand_dims, numbers.update_window_dims
    if numbers.operand_batching_dims or sorted(taken) != sorted(numbers.inserted_window_dims):
        raise _NotHere
    rest = iter(window)
    sizes = [1 if axis in taken else updates.shape[next(rest)] for axis in range(x.ndim)]
    where = _positions(x, indices, taken, sizes)
    batch = indices.ndim - 1
    result = x.copy()
    np.moveaxis(result, taken, range(len(taken)))[where] = np.moveaxis(
        updates, window, range(batch, batch + len(window))
    )
    return result


def _pad(params: Any, x: Any, value: Any) -> Any:
    if any(low < 0 or high < 0 or inside for low, high, inside in params['padding_config']):
        raise _NotHere
    return np.pad(x, [(low, high) for low, high, _ in params['padding_config']], constant_values=value)


def _integer_pow(params: Any, x: Any) -> Any:
    if params['y'] != 2:
        raise _NotHere
    return x * x


PRIMITIVES: Mapping[str, Primitive] = {
    'abs': _elementwise(np.abs),
    'add': _elementwise(np.add),
    'and': _elementwise(np.bitwise_and),
    'argmax': _index_of(np.argmax),
    'argmin': _index_of(np.argmin),
    'broadcast_in_dim': _broadcast,
    'ceil': _elementwise(np.ceil),
    'clamp': lambda params, low, x, high: np.minimum(np.maximum(x, low), high),
    'concatenate': lambda params, *parts: np.concatenate(parts, params['dimension']),
    'convert_element_type': _cast,
    'copy': _elementwise(np.copy),
    'div': _float_only(np.true_divide),
    'dynamic_slice': _dynamic_slice,
    'dynamic_update_slice': _dynamic_update_slice,
    'eq': _elementwise(np.equal),
    'floor': _elementwise(np.floor),
    'gather': _gather,
    'ge': _elementwise(np.greater_equal),
    'gt': _elementwise(np.greater),
    'integer_pow': _integer_pow,
    'iota': lambda params: np.broadcast_to(
        np.arange(params['shape'][params['dimension']]).reshape(
            [-1 if axis == params['dimension'] else 1 for axis in range(len(params['shape']))]
        ),
        params['shape'],
    ),
    'is_finite': _elementwise(np.isfinite),
    'le': _elementwise(np.less_equal),
    'lt': _elementwise(np.less),
    'max': _elementwise(np.maximum),
    'min': _elementwise(np.minimum),
    'mul': _elementwise(np.multiply),
    'ne': _elementwise(np.not_equal),
    'neg': _elementwise(np.negative),
    'not': _elementwise(np.invert),
    'or': _elementwise(np.bitwise_or),
    'pad': _pad,
    'reduce_and': _exact_reduction(np.all),
    'reduce_max': _exact_reduction(np.max),
    'reduce_min': _exact_reduction(np.min),
    'reduce_or': _exact_reduction(np.any),
    'reduce_sum': _exact_reduction(np.sum),
    'reshape': lambda params, x: x.reshape(params['new_sizes']),
    'rev': lambda params, x: np.flip(x, params['dimensions']),
    'scatter': _scatter,
    'select_n': _select,
    'slice': _slice,
    'sort': _sort,
    'sqrt': _elementwise(np.sqrt),
    'square': _elementwise(np.square),
    'squeeze': lambda params, x: np.squeeze(x, tuple(params['dimensions'])),
    'sub': _elementwise(np.subtract),
    'transpose': lambda params, x: np.transpose(x, params['permutation']),
    'xor': _elementwise(np.bitwise_xor),
}
_INSIDE = ('jaxpr', 'call_jaxpr')  # what operations that are programs call theirs


def _operations(jaxpr: Any) -> Iterator[Any]:
    """All operations, those of programs inside in place of them."""
    for operation in jaxpr.eqns:
        inside = _program_of(operation)
        if inside is None:
            yield operation
        else:
            yield from _operations(inside.jaxpr)


def _program_of(operation: Any) -> Any:
    found = next((operation.params[name] for name in _INSIDE if name in operation.params), None)
    return found if hasattr(found, 'consts') else None


def _is_float(operation: Any) -> bool:
    return np.dtype(operation.outvars[0].aval.dtype).kind == 'f'


def _is_exact(jaxpr: Any) -> bool:
    """Whether NumPy gives the same bits.

    XLA rounds a product and a sum that takes it once, and divides by a constant by multiplying.
    """
    names = [(operation.primitive.name, operation) for operation in _operations(jaxpr)]
    if any(name not in PRIMITIVES for name, _ in names):
        return False
    floating = {name for name, operation in names if _is_float(operation)}
    if 'div' in floating and any(hasattr(x, 'val') for operation in jaxpr.eqns for x in operation.invars):
        return False
    return not ({'mul', 'square', 'integer_pow'} & floating and {'add', 'sub'} & floating)


def _evaluate(jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

    def read(variable: Any) -> Any:
        return np.asarray(variable.val, variable.aval.dtype) if hasattr(variable, 'val') else values[variable]

    for operation in jaxpr.eqns:
        arguments = [read(variable) for variable in operation.invars]
        inside = _program_of(operation)
        if inside is not None:
            results = _evaluate(inside.jaxpr, list(map(np.asarray, inside.consts)), arguments)
        else:
            results = PRIMITIVES[operation.primitive.name](operation.params, *arguments)
            results = results if operation.primitive.multiple_results else [results]
        for variable, result in zip(operation.outvars, results, strict=True):
            values[variable] = np.asarray(result, variable.aval.dtype)
    return [read(variable) for variable in jaxpr.outvars]


class Rare:
    """A program at shapes that are seen rarely.

    Args:
        function: of a list of arrays and a key, to outputs and new values of auxiliary states.
        of_numpy: the same of arrays of NumPy, to outputs alone, or to None where it would not be; by default what
            `function` traces to is evaluated.
    """

    TIMES = 100  # how often a shape is evaluated before it is compiled, which takes as long
    SIZE = 1 << 16  # how many elements an input may have

    def __init__(self, function: Callable[[Any, Any], Any], of_numpy: Callable[[Any], Any] | None = None):
        self.function: Callable[[Any, Any], Any] = function
        self.of_numpy: Callable[[Any], Any] | None = of_numpy
        self.is_hot: bool = False  # whether it is called often, at one shape or two
        self._seen: dict[Any, list[Any]] = {}  # how often, and the program's operations

    def __call__(self, arrays: Sequence[Any]) -> list[jax.Array] | None:
        """The outputs; None if the program is to be compiled."""
        kind = tuple(type(a) if isinstance(a, bool | int | float) else (a.shape, a.dtype) for a in arrays)
        seen = self._seen.setdefault(kind, [0, None])
        if seen[0] >= self.TIMES:
            self.is_hot = len(self._seen) < 3
            return None
        seen[0] += 1
        device = _device_of(arrays, self.SIZE)
        results = None if device is None else self._evaluated(arrays, seen)
        if results is None:
            seen[0] = self.TIMES
            return None
        # On the default device they are committed to none, as what is compiled: each mixture would compile again.
        place = None if device == default_device() else device
        return [jax.device_put(y if y.flags.owndata else y.copy(), place) for y in results]

    def _evaluated(self, arrays: Sequence[Any], seen: list[Any]) -> list[Any] | None:
        hosted = [a if isinstance(a, bool | int | float) else np.asarray(a) for a in arrays]
        with np.errstate(all='ignore'):
            direct = None if self.of_numpy is None else self.of_numpy(hosted)
            if direct is not None:
                return list(map(np.asarray, direct))
            if seen[1] is None:
                traced, (_, updates) = jax.make_jaxpr(self.function, return_shape=True)(list(arrays), None)
                if updates or not _is_exact(traced.jaxpr):
                    return None
                seen[1] = traced
            inputs = [np.asarray(x, v.aval.dtype) for x, v in zip(hosted, seen[1].jaxpr.invars, strict=True)]
            try:
                return _evaluate(seen[1].jaxpr, list(map(np.asarray, seen[1].consts)), inputs)
            except _NotHere:
                return None


def _device_of(arrays: Sequence[Any], size: int) -> Any:
    """The one CPU where all arrays are; None if there is none, or one is traced, or large."""
    devices = set()
    for a in arrays:
        if isinstance(a, Tracer) or getattr(a, 'size', 0) > size:
            return None
        if isinstance(a, jax.Array):
            devices |= a.devices()
    first = next(iter(devices), None)
    return first if len(devices) == 1 and first is not None and first.platform == 'cpu' else None
