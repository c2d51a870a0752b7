"""What MXNet's operators make of JAX's primitives: what `forward` computes around its layers.

Every function takes the translator, the equation and its inputs, and returns the output; inputs are symbols, or arrays
that are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gluonjax.mx.building import Builder
from gluonjax.mx.symbol import Symbol

Value = Symbol | np.ndarray


class UnknownPrimitiveError(Exception):
    """MXNet has no operator for what an equation says. It never leaves this package."""


class Primitives:
    """Builds what an equation computes.

    Args:
        builder: makes the nodes.
    """

    def __init__(self, builder: Builder):
        self.builder: Builder = builder

    def op(self, op: str, *inputs: Symbol, **attributes: Any) -> Symbol:
        """A node, called by its operator."""
        return self.builder.op(op, op.lower().lstrip('_'), *inputs, **attributes)

    def symbol(self, value: Value, shape: Sequence[int] | None = None) -> Symbol:
        """The symbol of a value; a known array becomes a variable with this value."""
        if isinstance(value, Symbol):
            return value
        array = np.broadcast_to(value, value.shape if shape is None else shape)
        if not array.ndim:
            raise UnknownPrimitiveError('an array without axes')
        return self.builder.constant(array)

    def row(self, x: Value, index: int, shape: Sequence[int]) -> Value:
        """One of the slices along the first axis of a value, which has this shape."""
        if isinstance(x, np.ndarray):
            return np.broadcast_to(x, shape)[index]
        if len(shape) == 1:
            raise UnknownPrimitiveError('an array without axes')
        row = self.op('slice_axis', x, axis=0, begin=index, end=index + 1)
        return self.op('Reshape', row, shape=(-3, *(0,) * (len(shape) - 2)))

    def stacked(self, rows: Sequence[Value], shape: Sequence[int]) -> Value:
        """Values as the slices of one, which has this shape."""
        known = [np.broadcast_to(row, shape[1:]) for row in rows if isinstance(row, np.ndarray)]
        if len(known) == len(rows):
            return np.stack(known)
        return self.op('stack', *(self.symbol(row, shape[1:]) for row in rows), axis=0)

    def equation(self, equation: Any, values: Sequence[Value]) -> list[Value]:
        """The outputs of an equation.

        Raises:
            UnknownPrimitiveError: if there is no operator for it.
        """
        name = equation.primitive.name
        if name in _BINARY:
            return [self._binary(_BINARY[name], equation, *values)]
        if name in _UNARY:
            return [self.op(_UNARY[name], self.symbol(values[0]))]
        if name in _REDUCTIONS:
            return [self._reduced(_REDUCTIONS[name], equation, self.symbol(values[0]))]
        translate = _OTHERS.get(name)
        if translate is None:
            raise UnknownPrimitiveError(name)
        result = translate(self, equation, *values)
        return result if isinstance(result, list) else [result]

    def _binary(self, ops: tuple[str, str, str], equation: Any, x: Value, y: Value) -> Value:
        of_symbols, with_number, with_number_before = ops
        if isinstance(y, np.ndarray) and y.size == 1:
            number = float(y.reshape(()))
            unchanged = ops == _BINARY['max'] and number == -math.inf
            return self.symbol(x) if unchanged else self.op(with_number, self.symbol(x), scalar=number)
        if isinstance(x, np.ndarray) and x.size == 1:
            if ops == _BINARY['max'] and float(x.reshape(())) == -math.inf:
                return self.symbol(y)
            return self.op(with_number_before, self.symbol(y), scalar=float(x.reshape(())))
        left, right = (variable.aval.shape for variable in equation.invars)
        if left == right and equation.primitive.name in _ELEMENTWISE:
            of_symbols = f'elemwise_{equation.primitive.name}'
        if not left or not right:
            raise UnknownPrimitiveError('an array without axes')
        return self.op(of_symbols, self.symbol(x), self.symbol(y))

    def _reduced(self, op: str, equation: Any, x: Symbol) -> Symbol:
        axes = equation.params['axes']
        if len(axes) == len(equation.invars[0].aval.shape):
            raise UnknownPrimitiveError(f'{op} over all axes, which leaves none')
        return self.op(op, x, axis=tuple(axes))


# With two symbols, with a number behind, with a number before.
_BINARY = {
    'add': ('broadcast_add', '_plus_scalar', '_plus_scalar'),
    'sub': ('broadcast_sub', '_minus_scalar', '_rminus_scalar'),
    'mul': ('broadcast_mul', '_mul_scalar', '_mul_scalar'),
    'div': ('broadcast_div', '_div_scalar', '_rdiv_scalar'),
    'pow': ('broadcast_power', '_power_scalar', '_rpower_scalar'),
    'max': ('broadcast_maximum', '_maximum_scalar', '_maximum_scalar'),
    'min': ('broadcast_minimum', '_minimum_scalar', '_minimum_scalar'),
    'eq': ('broadcast_equal', '_equal_scalar', '_equal_scalar'),
    'ne': ('broadcast_not_equal', '_not_equal_scalar', '_not_equal_scalar'),
    'gt': ('broadcast_greater', '_greater_scalar', '_lesser_scalar'),
    'ge': ('broadcast_greater_equal', '_greater_equal_scalar', '_lesser_equal_scalar'),
    'lt': ('broadcast_lesser', '_lesser_scalar', '_greater_scalar'),
    'le': ('broadcast_lesser_equal', '_lesser_equal_scalar', '_greater_equal_scalar'),
}
_ELEMENTWISE = ('add', 'sub', 'mul', 'div')
_UNARY = {
    **{name: name for name in ('abs', 'ceil', 'cos', 'erf', 'exp', 'expm1', 'floor', 'log', 'log1p', 'rsqrt', 'sign')},
    **{name: name for name in ('sin', 'sqrt', 'square', 'tan', 'tanh')},
    'copy': 'identity',
    'erf_inv': 'erfinv',
    'logistic': 'sigmoid',
    'neg': 'negative',
    'not': 'logical_not',
    'stop_gradient': 'BlockGrad',
}
_REDUCTIONS = {'reduce_sum': 'sum', 'reduce_max': 'max', 'reduce_min': 'min', 'reduce_prod': 'prod'}


def _integer_pow(to: Primitives, equation: Any, x: Value) -> Value:
    return to.op('_power_scalar', to.symbol(x), scalar=float(equation.params['y']))


def _reshape(to: Primitives, equation: Any, x: Value, *_: Value) -> Value:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    if before == after:
        return x
    if not after or not before:
        raise UnknownPrimitiveError('an array without axes')
    return to.op('Reshape', to.symbol(x), shape=_codes(before, after))


def _codes(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """The new shape as MXNet's codes, in which the size of the batch is left open: 0 keeps a size, -1 is what is left.

    >>> _codes((2, 3, 4), (2, 12)), _codes((2, 3, 4), (6, 4)), _codes((6, 4), (2, 3, 4))
    ((0, -1), (-1, 4), (-1, 3, 4))
    """
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    if same == len(after):  # axes of size 1 are dropped at the end
        same -= 1
    return (0,) * same + (-1,) + tuple(after[same + 1 :])


def _broadcast(to: Primitives, equation: Any, x: Value, *_: Value) -> Value:
    if isinstance(x, np.ndarray):
        return x  # of one number; others are computed where all inputs are known
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    axes = equation.params['broadcast_dimensions']
    if not before:
        raise UnknownPrimitiveError('an array without axes')
    aligned = [1] * len(after)
    for axis, size in zip(axes, before, strict=True):
        aligned[axis] = size
    if len(before) < len(after):
        x = to.op('Reshape', x, shape=_codes(before, aligned))
    return x if tuple(aligned) == tuple(after) else to.op('broadcast_to', x, shape=_kept(aligned, after))


def _kept(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """A shape for `broadcast_to`, where 0 keeps a size."""
    return tuple(0 if old == new else new for old, new in zip(before, after, strict=True))


def _transpose(to: Primitives, equation: Any, x: Value) -> Value:
    return to.op('transpose', to.symbol(x), axes=tuple(equation.params['permutation']))


def _concatenate(to: Primitives, equation: Any, *values: Value) -> Value:
    shapes = [variable.aval.shape for variable in equation.invars]
    parts = [to.symbol(value, shape) for value, shape in zip(values, shapes, strict=True)]
    return to.op('Concat', *parts, dim=equation.params['dimension'])


def _stack(to: Primitives, equation: Any, *values: Value) -> Value:
    parts = [to.symbol(value, variable.aval.shape) for value, variable in zip(values, equation.invars, strict=True)]
    return to.op('stack', *parts, axis=equation.params['axis'])


def _slice(to: Primitives, equation: Any, x: Value) -> Value:
    shape, given = equation.invars[0].aval.shape, equation.params
    begin = tuple(start or None for start in given['start_indices'])
    end = tuple(None if stop == size else stop for stop, size in zip(given['limit_indices'], shape, strict=True))
    return to.op('slice', to.symbol(x), begin=begin, end=end, step=tuple(given['strides'] or (1,) * len(shape)))


def _split(to: Primitives, equation: Any, x: Value) -> list[Value]:
    x, axis, outputs, begin = to.symbol(x), equation.params['axis'], [], 0
    for size in equation.params['sizes']:
        outputs.append(to.op('slice_axis', x, axis=axis, begin=begin, end=begin + int(size)))
        begin += int(size)
    return outputs


def _reverse(to: Primitives, equation: Any, x: Value) -> Value:
    return to.op('reverse', to.symbol(x), axis=tuple(equation.params['dimensions']))


def _select(to: Primitives, equation: Any, condition: Value, *cases: Value) -> Value:
    if len(cases) != 2 or not isinstance(condition, Symbol) or not equation.invars[0].aval.shape:
        raise UnknownPrimitiveError(f'select_n of {len(cases)}')

    def whole(case: Value) -> Symbol:
        if isinstance(case, np.ndarray) and case.size == 1:  # in the shape of the condition, whatever the batch
            return to.op('_plus_scalar', to.op('zeros_like', condition), scalar=float(case.reshape(())))
        return to.symbol(case, equation.outvars[0].aval.shape)

    return to.op('where', condition, whole(cases[1]), whole(cases[0]))


def _clamp(to: Primitives, equation: Any, low: Value, x: Value, high: Value) -> Value:
    if isinstance(low, Symbol) or isinstance(high, Symbol) or low.size + high.size > 2:
        raise UnknownPrimitiveError('clamp between arrays')
    return to.op('clip', to.symbol(x), a_min=float(low.reshape(())), a_max=float(high.reshape(())))


def _cast(to: Primitives, equation: Any, x: Value) -> Value:
    old, new = equation.invars[0].aval.dtype, np.dtype(equation.params['new_dtype'])
    if old == new:
        return x
    if new.kind == 'b':
        return to.op('_not_equal_scalar', to.symbol(x), scalar=0.0)
    return to.op('Cast', to.symbol(x), dtype=new.name)


def _dot(to: Primitives, equation: Any, x: Value, y: Value) -> Value:
    (left, right), (left_batch, right_batch) = equation.params['dimension_numbers']
    ranks = tuple(len(variable.aval.shape) for variable in equation.invars)
    x, y = to.symbol(x), to.symbol(y)
    if len(left) == 1 and not left_batch and ranks[1] == 2 and left[0] == ranks[0] - 1 and ranks[0] >= 2:
        return to.op('dot', x, y, transpose_b=right[0] == 1)
    if len(left) == 1 and not left_batch and ranks == (2, 2):
        return to.op('dot', x, y, transpose_a=True, transpose_b=right[0] == 1)
    if len(left) == 1 and tuple(left_batch) == tuple(right_batch) == (0,) and ranks == (3, 3):
        return to.op('batch_dot', x, y, transpose_a=left[0] == 1, transpose_b=right[0] == 2)
    raise UnknownPrimitiveError(f'dot_general of {ranks[0]} and {ranks[1]} axes')


_OTHERS: dict[str, Callable[..., Any]] = {
    'broadcast_in_dim': _broadcast,
    'clamp': _clamp,
    'concatenate': _concatenate,
    'convert_element_type': _cast,
    'dot_general': _dot,
    'integer_pow': _integer_pow,
    'reshape': _reshape,
    'rev': _reverse,
    'select_n': _select,
    'slice': _slice,
    'split': _split,
    'squeeze': _reshape,
    'stack': _stack,
    'transpose': _transpose,
}
