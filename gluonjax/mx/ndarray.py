"""`mx.nd`: mutable arrays, and MXNet's operators on them.

Every operator of the table is a function here; `nd.contrib`, `nd.linalg`, `nd.image` and `nd.op` have theirs.

>>> from gluonjax.mx import nd
>>> nd.concat(nd.ones((1, 2)), nd.zeros((1, 2)), dim=0).asnumpy()
array([[1., 1.],
       [0., 0.]], dtype=float32)
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import tempfile
import types
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax.dlpack
import jax.numpy as jnp
import numpy as onp
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.hints import missing
from gluonjax.io import mxnet_params
from gluonjax.mx import random
from gluonjax.mx.array import NDArray, as_jax, call, canonical, made_in
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.files import read
from gluonjax.mx.graph import STORAGE_CODES
from gluonjax.mx.jitted import filled
from gluonjax.mx.op import OPERATORS, check_present, find
from gluonjax.mx.op.attributes import dtype_of

Size = int | Sequence[int]
__all__ = [
    'NDArray',
    'arange',
    'array',
    'concatenate',
    'empty',
    'eye',
    'full',
    'load',
    'ones',
    'random',
    'save',
    'zeros',
]


def array(source_array: Any, ctx: Context | None = None, dtype: DTypeLike | None = None) -> NDArray:
    """A copy of an array or of lists of numbers: of float32 but for those of MXNet and JAX, unless a dtype is said.

    >>> from gluonjax.mx import nd
    >>> nd.array([[1, 2]]).dtype
    <class 'numpy.float32'>
    """
    if dtype is None and isinstance(source_array, onp.ndarray):
        dtype = 'float32'
    return made_in(ctx, NDArray, as_jax(source_array, dtype, ctx))


def _size(shape: Size) -> tuple[int, ...]:
    sizes = (int(shape),) if isinstance(shape, int | onp.integer) else tuple(map(int, shape))
    if min(sizes, default=0) < 0:
        raise ShapeError('the sizes of an array are 0 or more', got=sizes)
    return sizes


def zeros(shape: Size, ctx: Context | None = None, dtype: DTypeLike | None = None, **kwargs: Any) -> NDArray:
    """Zeros; `stype` is a label, and `name` is accepted."""
    return full(shape, 0, ctx, dtype, kwargs.get('out')).tostype(kwargs.get('stype') or 'default')


def ones(shape: Size, ctx: Context | None = None, dtype: DTypeLike | None = None, **kwargs: Any) -> NDArray:
    """Ones; `name` is accepted."""
    return full(shape, 1, ctx, dtype, kwargs.get('out'))


def empty(shape: Size, ctx: Context | None = None, dtype: DTypeLike | None = None, stype: str | None = None) -> NDArray:
    """Zeros, as JAX has no memory without values; `stype` is a label."""
    return zeros(shape, ctx, dtype, stype=stype)


def full(
    shape: Size, val: float, ctx: Context | None = None, dtype: DTypeLike | None = None, out: NDArray | None = None
) -> NDArray:
    """One number everywhere."""
    result = made_in(ctx, NDArray, filled(_size(shape), val, canonical(dtype or 'float32')))
    if out is None:
        return result
    out[:] = result
    return out


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: DTypeLike | None = None) -> NDArray:
    """Ones on a diagonal."""
    return made_in(ctx, NDArray, jnp.eye(N, M or None, k, canonical(dtype or 'float32')))


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: DTypeLike = 'float32',
) -> NDArray:
    """Numbers in equal steps, each `repeat` times."""
    made = call('_arange', start=start, stop=stop, step=step, repeat=repeat, dtype=canonical(dtype).name)
    return made_in(ctx, NDArray, made.value)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    ctx: Context | None = None,
    dtype: DTypeLike = 'float32',
) -> NDArray:
    """`num` numbers from start to stop."""
    return made_in(ctx, NDArray, jnp.linspace(start, stop, num, endpoint, dtype=canonical(dtype)))


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Arrays beside each other along an axis."""
    return call('concat', *arrays, dim=axis)


def moveaxis(tensor: NDArray, source: Any, destination: Any) -> NDArray:
    """With axes at other positions."""
    sources, destinations = ([x] if isinstance(x, int) else list(x) for x in (source, destination))
    if wrong := [axis for axis in sources + destinations if not -tensor.ndim <= axis < tensor.ndim]:
        raise ArgumentError(f'moveaxis has an axis {wrong[0]}', expected=f'one of the {tensor.ndim} axes')
    rest = [axis for axis in range(tensor.ndim) if axis not in [s % tensor.ndim for s in sources]]
    for place, axis in sorted((d % tensor.ndim, s % tensor.ndim) for d, s in zip(destinations, sources, strict=True)):
        rest.insert(place, axis)
    return tensor.transpose(rest)


def split_v2(ary: NDArray, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False) -> Any:
    """In equal parts, or at indices."""
    return ary.split_v2(indices_or_sections, axis, squeeze_axis)


def waitall() -> None:
    """Returns at once: whoever reads an array waits for it."""


def from_numpy(ndarray: onp.ndarray, zero_copy: bool = True) -> NDArray:
    """A copy of NumPy's array, of its dtype.

    Raises:
        ArgumentError: for one whose elements do not lie row by row, without `zero_copy=False`, as MXNet does.
    """
    if zero_copy and not ndarray.flags['C_CONTIGUOUS']:
        raise ArgumentError('the elements of the array do not lie row by row', remedy='zero_copy=False')
    return NDArray(as_jax(ndarray))


def from_dlpack(dlpack: Any) -> NDArray:
    """An array of another library, by the DLPack protocol (`__dlpack__`), or of `to_dlpack_for_read`."""
    return NDArray(jax.dlpack.from_dlpack(dlpack.value if isinstance(dlpack, NDArray) else dlpack))


def to_dlpack_for_read(data: NDArray) -> Any:
    """What other libraries' `from_dlpack` takes."""
    return data.value


to_dlpack_for_write: Callable[[NDArray], Any] = to_dlpack_for_read


def cast_storage(arr: NDArray, stype: str) -> NDArray:
    """The same elements with another storage type, which is a label."""
    return arr.tostype(stype)


def histogram(a: Any, bins: Any = 10, range: tuple[float, float] | None = None) -> tuple[NDArray, NDArray]:
    """How many elements are in each bin, and the edges, as NumPy counts them."""
    edges = bins.asnumpy() if isinstance(bins, NDArray) else bins
    counts, edges = onp.histogram(a.asnumpy(), bins=edges, range=range)
    return array(counts, dtype=dtype_of('int64')), array(edges)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Rows of `out` with a 1 at an index, and zeros elsewhere."""
    out[:] = call('one_hot', indices, depth=out.shape[1])
    return out


def load_frombuffer(buf: bytes) -> Any:
    """As `load`, of the bytes of a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(buf)
        file.flush()
        return load(file.name)


def save(fname: str | os.PathLike[str], data: Any) -> None:
    """Writes an array, a list of them, or a dict, as MXNet does."""
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, Mapping):
        mxnet_params.save(os.fspath(fname), {name: array.value for name, array in data.items()})
    else:
        mxnet_params.save(os.fspath(fname), [array.value for array in data])


def load(fname: str | os.PathLike[str]) -> Any:
    """The arrays of a file: a list, or a dict if they have names.

    Raises:
        FileError: if there is no such file, or it holds something else.
    """
    found = read(fname)
    arrays = {name: NDArray(as_jax(onp.array(value))) for name, value in found.items()}
    return list(arrays.values()) if list(arrays) == [str(i) for i in range(len(arrays))] else arrays


# Arithmetic of arrays and numbers.

_Operand = Any


def _of_two(of_arrays: str, of_number: str, reflected: str, doc: str) -> Callable[..., NDArray]:
    def function(lhs: _Operand, rhs: _Operand) -> NDArray:
        if isinstance(lhs, NDArray):
            return call(of_arrays, lhs, rhs) if isinstance(rhs, NDArray) else call(of_number, lhs, scalar=float(rhs))
        return call(reflected, rhs, scalar=float(lhs))

    function.__doc__ = doc
    return function


add: Callable[..., NDArray] = _of_two('broadcast_add', '_plus_scalar', '_plus_scalar', 'The sum.')
subtract: Callable[..., NDArray] = _of_two('broadcast_sub', '_minus_scalar', '_rminus_scalar', 'The difference.')
multiply: Callable[..., NDArray] = _of_two('broadcast_mul', '_mul_scalar', '_mul_scalar', 'The product.')
divide: Callable[..., NDArray] = _of_two('broadcast_div', '_div_scalar', '_rdiv_scalar', 'The quotient.')
modulo: Callable[..., NDArray] = _of_two('broadcast_mod', '_mod_scalar', '_rmod_scalar', 'The remainder.')
maximum: Callable[..., NDArray] = _of_two('broadcast_maximum', '_maximum_scalar', '_maximum_scalar', 'The greater.')
minimum: Callable[..., NDArray] = _of_two('broadcast_minimum', '_minimum_scalar', '_minimum_scalar', 'The lesser.')
equal: Callable[..., NDArray] = _of_two('broadcast_equal', '_equal_scalar', '_equal_scalar', 'Where equal.')
not_equal: Callable[..., NDArray] = _of_two('broadcast_not_equal', '_not_equal_scalar', '_not_equal_scalar', 'Not.')
greater: Callable[..., NDArray] = _of_two('broadcast_greater', '_greater_scalar', '_lesser_scalar', 'Where greater.')
lesser: Callable[..., NDArray] = _of_two('broadcast_lesser', '_lesser_scalar', '_greater_scalar', 'Where lesser.')
greater_equal: Callable[..., NDArray] = _of_two(
    'broadcast_greater_equal', '_greater_equal_scalar', '_lesser_equal_scalar', 'Where not lesser.'
)
lesser_equal: Callable[..., NDArray] = _of_two(
    'broadcast_lesser_equal', '_lesser_equal_scalar', '_greater_equal_scalar', 'Where not greater.'
)
logical_and: Callable[..., NDArray] = _of_two(
    'broadcast_logical_and', '_logical_and_scalar', '_logical_and_scalar', 'Where both are not 0.'
)
logical_or: Callable[..., NDArray] = _of_two(
    'broadcast_logical_or', '_logical_or_scalar', '_logical_or_scalar', 'Where one is not 0.'
)
logical_xor: Callable[..., NDArray] = _of_two(
    'broadcast_logical_xor', '_logical_xor_scalar', '_logical_xor_scalar', 'Where exactly one is not 0.'
)
true_divide: Callable[..., NDArray] = divide
_power = _of_two('broadcast_power', '_power_scalar', '_rpower_scalar', 'The power.')


def power(base: _Operand, exp: _Operand) -> NDArray:
    """Powers, of arrays or numbers."""
    return _power(base, exp)


# The table.


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return call(name, *args, **kwargs)

    function.__name__, function.__doc__ = name, find(name).function.__doc__
    return function


class Namespace(types.ModuleType):
    """Operators whose names begin alike: `nd.contrib.box_nms` is `_contrib_box_nms`.

    Args:
        *prefixes: the beginnings.
        others: functions of Python beside them: a name, and the module that it is in.
    """

    def __init__(self, *prefixes: str, others: Mapping[str, str] | None = None):
        super().__init__(f'{__name__}.{prefixes[0].strip("_") or "op"}')  # programs import from it
        self.prefixes: tuple[str, ...] = prefixes
        self.others: Mapping[str, str] = others or {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):
            raise AttributeError(name)
        if name in self.others:
            return getattr(importlib.import_module(self.others[name]), name)
        for prefix in self.prefixes:
            if f'{prefix}{name}' in OPERATORS:
                return _function(f'{prefix}{name}')
        check_present(self.prefixes[0], name)
        known = [other.removeprefix(p) for p in self.prefixes for other in OPERATORS if other.startswith(p)]
        raise missing(f'the operators {self.prefixes[0]}*', name, __name__, known)


_OF_PYTHON = ('foreach', 'while_loop', 'cond', 'isnan', 'isinf', 'isfinite')
_MULTI = ('multi_adamw_update', 'multi_mp_adamw_update', 'multi_lamb_update', 'multi_mp_lamb_update')
_SPARSE = ('csr_matrix', 'row_sparse_array', 'array', 'zeros', 'empty', 'CSRNDArray', 'RowSparseNDArray', 'retain')
_OTHERS = {
    **dict.fromkeys(_OF_PYTHON, 'gluonjax.mx.control'),
    **dict.fromkeys(('adamw_update', 'mp_adamw_update', *_MULTI), 'gluonjax.mx.updates'),
    'rand_zipfian': 'gluonjax.mx.zipfian',
}
contrib: Namespace = Namespace('_contrib_', others=_OTHERS)
_DENSE = {  # of arrays whose storage type is accepted
    **dict.fromkeys((*_SPARSE, 'BaseSparseNDArray'), 'gluonjax.mx.sparse'),
    **dict.fromkeys(('add', 'subtract', 'multiply', 'divide', 'cast_storage'), __name__),
}
sparse: Namespace = Namespace('_sparse_', '', others=_DENSE)
linalg: Namespace = Namespace('_linalg_')
image: Namespace = Namespace('_image_')
op: Namespace = Namespace('')
_internal: Namespace = op
ndarray: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here
_STORAGE_TYPE_STR_TO_ID = STORAGE_CODES
_DIALECT = {
    **dict.fromkeys(('np', 'numpy'), 'gluonjax.mx.numpy'),
    **dict.fromkeys(('npx', 'numpy_extension'), 'gluonjax.mx.numpy_extension'),
}

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every operator of the table; `np` and `npx`, which `F` has in `hybrid_forward`."""
        if name in _DIALECT:
            return importlib.import_module(_DIALECT[name])
        if name == 'reset_arrays':
            return importlib.import_module('gluonjax.mx.updates').reset_arrays
        if name == 'Custom':
            return importlib.import_module('gluonjax.mx.operator').custom
        if name == 'CachedOp':
            return importlib.import_module('gluonjax.mx.cached').CachedOp
        if name.startswith('__') or name not in OPERATORS:
            check_present('', name)
            raise missing(f'module {__name__!r}', name, __name__, OPERATORS)
        return _function(name)


explain_calls(globals())
