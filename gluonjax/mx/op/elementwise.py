"""Operators element by element: of one array, of two, of an array and a number."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gluonjax.errors import ShapeError
from gluonjax.mx.op.attributes import DType, dtype_of
from gluonjax.mx.op.table import Attributes, Pass, Shapes, operator
from gluonjax.nn.activation import FUNCTIONS, ActivationName, gelu
from gluonjax.nn.precision import broadcast
from gluonjax.shapes import merge_shapes

Unary = Callable[[jax.Array], jax.Array]
Binary = Callable[[Any, Any], jax.Array]


def all_alike(attributes: Attributes, shapes: Shapes) -> Shapes:
    """The one shape that all inputs and the output have, from what is known of each."""
    known = functools.reduce(lambda a, b: merge_shapes(a, b) or a, (s for s in shapes.values() if s is not None), None)
    return dict.fromkeys(shapes, known)


def half_away_from_zero(x: jax.Array) -> jax.Array:
    """MXNet's `round`; NumPy's goes to even numbers."""
    return jnp.trunc(x + jnp.copysign(jnp.asarray(0.5, x.dtype), x)) if jnp.issubdtype(x.dtype, jnp.floating) else x


def _half_down(x: jax.Array) -> jax.Array:
    """MXNet's `rint`: the nearest integer, halves go down."""
    return jnp.ceil(x - jnp.asarray(0.5, x.dtype)) if jnp.issubdtype(x.dtype, jnp.floating) else x


def absolute(x: jax.Array) -> jax.Array:
    """Without its sign; at 0 the gradient is 0."""
    return x * jnp.sign(x)


UNARY: Mapping[str, Unary] = {
    'relu': FUNCTIONS['relu'],
    'sigmoid': FUNCTIONS['sigmoid'],
    'softsign': FUNCTIONS['softsign'],
    'tanh': jnp.tanh,
    'exp': jnp.exp,
    'expm1': jnp.expm1,
    'log': jnp.log,
    'log10': jnp.log10,
    'log2': jnp.log2,
    'log1p': jnp.log1p,
    'sqrt': jnp.sqrt,
    'rsqrt': lax.rsqrt,
    'cbrt': jnp.cbrt,
    'rcbrt': lambda x: 1 / jnp.cbrt(x),
    'square': jnp.square,
    'reciprocal': lambda x: 1 / x,
    'negative': jnp.negative,
    'abs': absolute,
    'sign': jnp.sign,
    'round': half_away_from_zero,
    'rint': _half_down,
    'ceil': jnp.ceil,
    'floor': jnp.floor,
    'trunc': jnp.trunc,
    'fix': jnp.trunc,
    'sin': jnp.sin,
    'cos': jnp.cos,
    'tan': jnp.tan,
    'arcsin': jnp.arcsin,
    'arccos': jnp.arccos,
    'arctan': jnp.arctan,
    'sinh': jnp.sinh,
    'cosh': jnp.cosh,
    'arcsinh': jnp.arcsinh,
    'arccosh': jnp.arccosh,
    'arctanh': jnp.arctanh,
    'degrees': jnp.degrees,
    'radians': jnp.radians,
    'erf': jax.scipy.special.erf,
    'erfinv': jax.scipy.special.erfinv,
    'gamma': jax.scipy.special.gamma,
    'gammaln': jax.scipy.special.gammaln,
    'logical_not': lambda x: (x == 0).astype(x.dtype),
    'zeros_like': jnp.zeros_like,
    'ones_like': jnp.ones_like,
}
# Those without an alias `_sparse_...`.
DENSE_ONLY = {
    'erf',
    'erfinv',
    'logical_not',
    'ones_like',
    'rcbrt',
    'reciprocal',
    'softsign',
}  # have no alias `_sparse_...`
UNARY_ALIASES = {
    'erf': ['_npx_erf'],
    'erfinv': ['_npx_erfinv'],
    'gamma': ['_npx_gamma'],
    'gammaln': ['_npx_gammaln'],
    'relu': ['_npx_relu'],
    'sigmoid': ['_npx_sigmoid'],
}


def _enter_unary(name: str, function: Unary, *aliases: str) -> None:
    @operator(name, *aliases, infer=all_alike)
    def unary(data: jax.Array) -> jax.Array:
        return function(data)


for _name, _function in UNARY.items():
    _sparse = [] if _name in DENSE_ONLY else [f'_sparse_{_name}']
    _enter_unary(_name, _function, *_sparse, *UNARY_ALIASES.get(_name, []))


def _divide(a: Any, b: Any) -> Any:
    """In the dtype of the operands: for integers the quotient is rounded to zero."""
    dtype = jnp.result_type(a, b)
    return a / b if jnp.issubdtype(dtype, jnp.inexact) else lax.div(*jnp.broadcast_arrays(a, b))


def _modulo(a: Any, b: Any) -> Any:
    """With the sign of the divisor; 0 where it is 0."""
    return jnp.where(b == 0, 0, jnp.mod(a, jnp.where(b == 0, 1, b))).astype(jnp.result_type(a, b))


def _as_number(compare: Binary) -> Binary:
    """A comparison as MXNet has it: 1 or 0 in the dtype of the operands."""
    return lambda a, b: compare(a, b).astype(jnp.result_type(a, b))


def maximum(a: Any, b: Any) -> Any:
    """The greater; of two that are equal the first has the gradient."""
    return jnp.where((a >= b) | (a != a), a, b)


def minimum(a: Any, b: Any) -> Any:
    """The lesser; of two that are equal the first has the gradient."""
    return jnp.where((a <= b) | (a != a), a, b)


ARITHMETIC: Mapping[str, Binary] = {
    'add': jnp.add,
    'sub': jnp.subtract,
    'mul': jnp.multiply,
    'div': _divide,
    'mod': _modulo,
    'power': jnp.power,
    'maximum': maximum,
    'minimum': minimum,
    'hypot': jnp.hypot,
    'equal': _as_number(jnp.equal),
    'not_equal': _as_number(jnp.not_equal),
    'greater': _as_number(jnp.greater),
    'greater_equal': _as_number(jnp.greater_equal),
    'lesser': _as_number(jnp.less),
    'lesser_equal': _as_number(jnp.less_equal),
    'logical_and': _as_number(lambda a, b: (a != 0) & (b != 0)),
    'logical_or': _as_number(lambda a, b: (a != 0) | (b != 0)),
    'logical_xor': _as_number(lambda a, b: (a != 0) ^ (b != 0)),
}
# Of arrays of one shape; the names of 2015 are among them.
SAME_SHAPE = {
    'add': ['elemwise_add', '_add', '_plus', '_Plus', '_sparse_elemwise_add', '_grad_add'],
    'sub': ['elemwise_sub', '_sub', '_minus', '_Minus', '_sparse_elemwise_sub'],
    'mul': ['elemwise_mul', '_mul', '_Mul', '_sparse_elemwise_mul'],
    'div': ['elemwise_div', '_div', '_Div', '_sparse_elemwise_div'],
    'mod': ['_mod', '_Mod'],
    'power': ['_power', '_Power'],
    'maximum': ['_maximum', '_Maximum'],
    'minimum': ['_minimum', '_Minimum'],
    'hypot': ['_hypot', '_Hypot'],
    'equal': ['_equal', '_Equal'],
    'not_equal': ['_not_equal', '_Not_Equal'],
    'greater': ['_greater', '_Greater'],
    'greater_equal': ['_greater_equal', '_Greater_Equal'],
    'lesser': ['_lesser', '_Lesser'],
    'lesser_equal': ['_lesser_equal', '_Lesser_Equal'],
    'logical_and': ['_logical_and', '_Logical_And'],
    'logical_or': ['_logical_or', '_Logical_Or'],
    'logical_xor': ['_logical_xor', '_Logical_Xor'],
}
BROADCAST_ALIASES = {
    'add': ['broadcast_plus', '_sparse_broadcast_add', '_sparse_broadcast_plus'],
    'sub': ['broadcast_minus', '_sparse_broadcast_sub', '_sparse_broadcast_minus'],
    'mul': ['_sparse_broadcast_mul'],
    'div': ['_sparse_broadcast_div'],
    'maximum': ['_npi_maximum'],
    'minimum': ['_npi_minimum'],
}


def same_rank(*arrays: jax.Array) -> list[jax.Array]:
    """The arrays with axes of size 1 in front, so that all have as many axes.

    Those of half precision that are broadcast have one shape, so that their gradients are summed in float32.
    """
    rank = max(array.ndim for array in arrays)
    arrays = tuple(jnp.reshape(array, (1,) * (rank - array.ndim) + array.shape) for array in arrays)
    shape = tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(*(a.shape for a in arrays), strict=True))
    return [broadcast(array, shape) if _is_half(array) and _spreads(array.shape, shape) else array for array in arrays]


def _is_half(array: jax.Array) -> bool:
    return jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4


def _spreads(shape: tuple[int, ...], wider: tuple[int, ...]) -> bool:
    return shape != wider and all(size in (1, wide) for size, wide in zip(shape, wider, strict=True))


def _enter_binary(function: Binary, same: list[str], broadcast: list[str]) -> None:
    @operator(*same, infer=all_alike)
    def elementwise(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
        if lhs.shape != rhs.shape:
            what = f'the inputs of {same[0]} have one shape'
            raise ShapeError(what, expected=lhs.shape, got=rhs.shape, remedy=broadcast[0])
        return function(lhs, rhs)

    @operator(*broadcast)
    def broadcasting(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
        return function(*same_rank(lhs, rhs))


for _name, _binary in ARITHMETIC.items():
    _enter_binary(_binary, SAME_SHAPE[_name], [f'broadcast_{_name}', *BROADCAST_ALIASES.get(_name, [])])


def _swapped(function: Binary) -> Binary:
    return lambda a, b: function(b, a)


# Of an array and a number: name -> function, and the names of 2015.
SCALAR: Mapping[str, tuple[Binary, list[str]]] = {
    '_plus_scalar': (jnp.add, ['_PlusScalar']),
    '_minus_scalar': (jnp.subtract, ['_MinusScalar']),
    '_rminus_scalar': (_swapped(jnp.subtract), ['_RMinusScalar']),
    '_mul_scalar': (jnp.multiply, ['_MulScalar']),
    '_div_scalar': (_divide, ['_DivScalar']),
    '_rdiv_scalar': (_swapped(_divide), ['_RDivScalar']),
    '_mod_scalar': (_modulo, ['_ModScalar']),
    '_rmod_scalar': (_swapped(_modulo), ['_RModScalar']),
    '_power_scalar': (jnp.power, ['_PowerScalar']),
    '_rpower_scalar': (_swapped(jnp.power), ['_RPowerScalar']),
    '_maximum_scalar': (maximum, ['_MaximumScalar', '_npi_maximum_scalar']),
    '_minimum_scalar': (minimum, ['_MinimumScalar', '_npi_minimum_scalar']),
    '_hypot_scalar': (jnp.hypot, ['_HypotScalar', '_npi_hypot_scalar']),
    '_equal_scalar': (ARITHMETIC['equal'], ['_EqualScalar']),
    '_not_equal_scalar': (ARITHMETIC['not_equal'], ['_NotEqualScalar']),
    '_greater_scalar': (ARITHMETIC['greater'], ['_GreaterScalar']),
    '_greater_equal_scalar': (ARITHMETIC['greater_equal'], ['_GreaterEqualScalar']),
    '_lesser_scalar': (ARITHMETIC['lesser'], ['_LesserScalar']),
    '_lesser_equal_scalar': (ARITHMETIC['lesser_equal'], ['_LesserEqualScalar']),
    '_logical_and_scalar': (ARITHMETIC['logical_and'], ['_LogicalAndScalar']),
    '_logical_or_scalar': (ARITHMETIC['logical_or'], ['_LogicalOrScalar']),
    '_logical_xor_scalar': (ARITHMETIC['logical_xor'], ['_LogicalXorScalar']),
    '_scatter_plus_scalar': (jnp.add, []),
    '_scatter_minus_scalar': (jnp.subtract, []),
}


def _enter_scalar(function: Binary, *names: str) -> None:
    @operator(*names, infer=all_alike)
    def scalar(data: jax.Array, *, scalar: float = 1.0, is_int: bool = True) -> jax.Array:
        return function(data, jnp.asarray(scalar).astype(data.dtype))


for _name, (_binary, _aliases) in SCALAR.items():
    _enter_scalar(_binary, _name, *_aliases)


@operator('_np_copy', infer=all_alike)
def np_copy(a: jax.Array) -> jax.Array:
    """The array itself."""
    return a


@operator('_copy', 'identity', infer=all_alike)
def copy(data: jax.Array) -> jax.Array:
    """The array itself."""
    return data


@operator('BlockGrad', 'stop_gradient', '_sparse_stop_gradient', infer=all_alike)
def block_grad(data: jax.Array) -> jax.Array:
    """The array, which no gradient passes."""
    return lax.stop_gradient(data)


@operator('Cast', 'cast', '_npi_cast', '_npx_cast', infer=all_alike)
def cast(data: jax.Array, *, dtype: DType) -> jax.Array:
    """The array in another dtype."""
    return data.astype(dtype_of(dtype))


@operator('amp_cast', infer=all_alike)
def amp_cast(data: jax.Array, *, dtype: DType) -> jax.Array:
    """The array in another dtype of floating point; other arrays stay."""
    return data.astype(dtype_of(dtype)) if jnp.issubdtype(data.dtype, jnp.floating) else data


@operator('add_n', 'ElementWiseSum', '_sparse_add_n', '_sparse_ElementWiseSum', infer=all_alike)
def add_n(*args: jax.Array, num_args: int = 0) -> jax.Array:
    """The sum of arrays."""
    return functools.reduce(jnp.add, args)


@operator('clip', '_npi_clip', '_sparse_clip', infer=all_alike)
def clip(data: jax.Array, *, a_min: float, a_max: float) -> jax.Array:
    """Every element between two bounds."""
    return jnp.clip(data, jnp.asarray(a_min).astype(data.dtype), jnp.asarray(a_max).astype(data.dtype))


@operator('smooth_l1', '_npx_smooth_l1', infer=all_alike)
def smooth_l1(data: jax.Array, *, scalar: float = 1.0) -> jax.Array:
    """A parabola within 1 / scalar ** 2 of 0, a line outside."""
    squared = scalar * scalar
    return jnp.where(jnp.abs(data) > 1 / squared, jnp.abs(data) - 0.5 / squared, 0.5 * squared * data * data)


@operator('hard_sigmoid', infer=all_alike)
def hard_sigmoid(data: jax.Array, *, alpha: float = 0.2, beta: float = 0.5) -> jax.Array:
    """A line between 0 and 1."""
    return jnp.clip(alpha * data + beta, 0, 1)


@operator('where', '_sparse_where')
def where(condition: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """From x where the condition is not 0, from y elsewhere; a condition of one axis chooses along the first one."""
    if condition.ndim == 1 and x.ndim > 1:
        condition = jnp.expand_dims(condition, range(1, x.ndim))
    return jnp.where(condition != 0, x, y)


@operator('Activation', '_npx_activation', infer=all_alike)
def activation(data: jax.Array, *, act_type: ActivationName) -> jax.Array:
    """One of the activation functions, by name."""
    return FUNCTIONS[act_type](data)


def _slopes(attributes: Attributes, shapes: Shapes) -> Shapes:
    """A slope for each channel, unless it is said that there is one for all."""
    data = shapes['data']
    if attributes['act_type'] != 'prelu' or shapes['gamma'] is not None or data is None:
        return {}
    return {'gamma': data[1:2] if len(data) > 1 else data}


@operator(
    'LeakyReLU',
    '_npx_leaky_relu',
    only_if={'gamma': lambda a: a['act_type'] == 'prelu'},
    outputs=lambda a: ('output', 'mask') if a['act_type'] == 'rrelu' else ('output',),
    infer=_slopes,
)
def leaky_relu(
    data: jax.Array,
    gamma: jax.Array | None = None,
    *,
    act_type: Literal['leaky', 'prelu', 'elu', 'selu', 'gelu', 'rrelu'] = 'leaky',
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    pass_: Pass,
) -> Any:
    """The family of ReLUs with a slope or a curve below 0; 'rrelu', whose slope is random in training, gives it too."""
    if act_type == 'elu':
        return jnp.where(data > 0, data, slope * jnp.expm1(data))
    if act_type == 'selu':
        return jax.nn.selu(data)
    if act_type == 'gelu':
        return gelu(data)
    if act_type == 'rrelu':
        if not pass_.training:
            return jnp.where(data > 0, data, (lower_bound + upper_bound) / 2 * data), jnp.zeros_like(data)
        slopes = jax.random.uniform(pass_.key('LeakyReLU'), data.shape, data.dtype, lower_bound, upper_bound)
        return jnp.where(data > 0, data, slopes * data), slopes
    factor: Any = slope
    if act_type == 'prelu' and gamma is not None:
        along = [1] * data.ndim
        along[min(1, data.ndim - 1)] = -1
        factor = gamma.reshape(along) if gamma.ndim == 1 else gamma
    return jnp.where(data > 0, data, factor * data)
