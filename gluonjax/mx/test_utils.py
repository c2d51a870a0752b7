"""`mx.test_utils`: comparisons, random arrays, and numeric gradients of graphs, for tests of MXNet's programs.

>>> from gluonjax.mx import nd, test_utils
>>> test_utils.assert_almost_equal(nd.array([1, 2]), np.array([1, 2.0000001]))
>>> test_utils.same(np.ones(2), np.ones(2))
True
"""

# ruff: noqa: NPY002  (programs seed the global numbers of NumPy)
from __future__ import annotations

import contextlib
import functools
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx import autograd, ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.chi_square import (
    chi_square_check,
    gen_buckets_probs_with_ppf,
    mean_check,
    var_check,
    verify_generator,
)
from gluonjax.mx.context import Context, current_context, gpu, num_gpus
from gluonjax.mx.dialect import use_np
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.batches import download
from gluonjax.mx.io import DataIter
from gluonjax.mx.matrices import (
    get_identity_mat,
    get_identity_mat_batch,
    has_tvm_ops,
    is_aarch64_run,
    is_cd_run,
    new_matrix_with_real_eigvals_2d,
    new_matrix_with_real_eigvals_nd,
    new_orthonormal_matrix_2d,
    new_sym_matrix_with_real_eigvals_2d,
    new_sym_matrix_with_real_eigvals_nd,
    same_symbol_structure,
)
from gluonjax.mx.symbol import Symbol

_TOLERANCES = {'float16': (1e-2, 1e-1), 'bfloat16': (5e-2, 1e-1), 'float32': (1e-4, 1e-3), 'float64': (1e-5, 1e-20)}
_COMPARED = ('float16', 'float32', 'float64', 'bool', 'int8', 'uint8', 'int32', 'uint32', 'int64', 'uint64')
_context: list[Context] = []
array: Callable[..., Any] = ndarray.array  # programs take these with `import *`
rnd = np.random
__all__ = [
    'DummyIter',
    'almost_equal',
    'almost_equal_ignore_nan',
    'array',
    'assert_allclose',
    'assert_almost_equal',
    'assert_almost_equal_ignore_nan',
    'assert_almost_equal_with_err',
    'assert_exception',
    'assign_each',
    'assign_each2',
    'check_consistency',
    'check_gluon_hybridize_consistency',
    'check_numeric_gradient',
    'check_speed',
    'check_symbolic_backward',
    'check_symbolic_forward',
    'chi_square_check',
    'collapse_sum_like',
    'compare_ndarray_tuple',
    'compare_optimizer',
    'create_2d_tensor',
    'create_sparse_array',
    'create_vector',
    'default_atols',
    'default_context',
    'default_dtype',
    'default_numeric_eps',
    'default_rtols',
    'discard_stderr',
    'download',
    'effective_dtype',
    'environment',
    'gen_buckets_probs_with_ppf',
    'get_atol',
    'get_etol',
    'get_identity_mat',
    'get_identity_mat_batch',
    'get_mnist',
    'get_rtol',
    'get_tolerance',
    'get_tols',
    'has_tvm_ops',
    'is_aarch64_run',
    'is_cd_run',
    'is_op_runnable',
    'list_gpus',
    'mean_check',
    'new_matrix_with_real_eigvals_2d',
    'new_matrix_with_real_eigvals_nd',
    'new_orthonormal_matrix_2d',
    'new_sym_matrix_with_real_eigvals_2d',
    'new_sym_matrix_with_real_eigvals_nd',
    'np',
    'np_reduce',
    'numeric_grad',
    'os',
    'rand_coord_2d',
    'rand_ndarray',
    'rand_shape_2d',
    'rand_shape_3d',
    'rand_shape_nd',
    'rand_sparse_ndarray',
    'random_arrays',
    'random_sample',
    'random_uniform_arrays',
    'retry',
    'rnd',
    'same',
    'same_array',
    'same_symbol_structure',
    'set_default_context',
    'set_env_var',
    'simple_forward',
    'use_np',
    'var_check',
    'verify_generator',
]


def default_context() -> Context:
    """That of `set_default_context`, or the current one."""
    return _context[-1] if _context else current_context()


def set_default_context(ctx: Context) -> None:
    """Sets what `default_context` gives."""
    _context[:] = [ctx]


def default_dtype() -> Any:
    """NumPy's float32."""
    return np.float32


def list_gpus() -> list[int]:
    """The numbers of the GPUs."""
    return [gpu(i).device_id for i in range(num_gpus())]


def get_rtol(rtol: float | None = None, dtype: Any = 'float32') -> float:
    """The relative tolerance: the one given, or that of a dtype."""
    return _TOLERANCES.get(np.dtype(dtype).name, (0, 0))[0] if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = 'float32') -> float:
    """The absolute tolerance: the one given, or that of a dtype."""
    return _TOLERANCES.get(np.dtype(dtype).name, (0, 0))[1] if atol is None else atol


def default_rtols() -> dict[np.dtype, float]:
    """The relative tolerances of comparisons, by dtype."""
    return {np.dtype(name): get_rtol(None, name) for name in _COMPARED}


def default_atols() -> dict[np.dtype, float]:
    """The absolute tolerances of comparisons, by dtype."""
    return {np.dtype(name): get_atol(None, name) for name in _COMPARED}


def get_tols(x: Any, y: Any, rtol: float | None = None, atol: float | None = None) -> tuple[float, float]:
    """The relative and the absolute tolerance by which two arrays are compared."""
    return _tolerances(*_pair(x, y), rtol, atol)


def get_tolerance(dat: Any, tol: Any, default_tol: Any) -> float:
    """A tolerance: as given, for the dtype of an array, or by default."""
    table = default_tol if tol is None else tol
    return table[effective_dtype(dat)] if isinstance(table, Mapping) else table


def get_etol(etol: float | None = None) -> float:
    """The fraction of elements that may differ."""
    return etol or 0


def _array(x: Any) -> np.ndarray:
    return x.asnumpy() if isinstance(x, NDArray) else np.asarray(x)


def _pair(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    return _array(a), _array(b)


def _tolerances(a: np.ndarray, b: np.ndarray, rtol: float | None, atol: float | None) -> tuple[float, float]:
    """Of the coarser dtype, where none are given."""
    coarse = max((a.dtype.name, b.dtype.name), key=lambda name: _TOLERANCES.get(name, (0, 0)))
    return get_rtol(rtol, coarse), get_atol(atol, coarse)


def same(a: Any, b: Any) -> bool:
    """Whether all elements are equal."""
    return np.array_equal(*_pair(a, b))


def almost_equal(a: Any, b: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False) -> bool:
    """Whether all elements are equal within tolerances, by default those of the dtypes."""
    one, other = _pair(a, b)
    return np.allclose(one, other, *_tolerances(one, other, rtol, atol), equal_nan=equal_nan)


def assert_almost_equal(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    names: Sequence[str] = ('a', 'b'),
    equal_nan: bool = False,
    use_broadcast: bool = True,
    mismatches: Any = (10, 10),
) -> None:
    """Compares all elements within tolerances.

    Raises:
        AssertionError: if they differ, or their shapes do.
    """
    one, other = _pair(a, b)
    if not use_broadcast and one.shape != other.shape:
        raise AssertionError(f'{names[0]} has shape {one.shape}, {names[1]} has shape {other.shape}')
    relative, absolute = _tolerances(one, other, rtol, atol)
    message = f'{names[0]} and {names[1]} differ'
    np.testing.assert_allclose(one, other, relative, absolute, equal_nan=equal_nan, err_msg=message)


assert_allclose: Callable[..., None] = assert_almost_equal


def assert_almost_equal_with_err(
    a: Any,
    b: Any,
    rtol: float | None = None,
    atol: float | None = None,
    etol: float | None = None,
    names: Sequence[str] = ('a', 'b'),
    equal_nan: bool = False,
    mismatches: Any = (10, 10),
) -> None:
    """As `assert_almost_equal`, but that a fraction `etol` of the elements may differ.

    Raises:
        AssertionError: if more do.
    """
    one, other = _pair(a, b)
    relative, absolute = _tolerances(one, other, rtol, atol)
    wrong = 1 - np.isclose(one, other, relative, absolute, equal_nan).mean()
    if wrong > (etol or 0):
        raise AssertionError(f'{names[0]} and {names[1]} differ in {wrong:.2%} of their elements')


def effective_dtype(dat: Any) -> np.dtype:
    """The dtype by which an array is compared."""
    return np.dtype(getattr(dat, 'dtype', type(dat)))


def default_numeric_eps() -> dict[np.dtype, float]:
    """The steps of differences, by dtype."""
    return {np.dtype(name): 2.0**-power for name, power in (('float16', 6), ('float32', 9), ('float64', 14))}


def np_reduce(dat: np.ndarray, axis: Any, keepdims: bool, numpy_reduce_func: Callable[..., Any]) -> np.ndarray:
    """A reduction of NumPy, one axis after another, which keeps them or not."""
    axes = range(dat.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for each in sorted((each % dat.ndim for each in axes), reverse=True):
        dat = np.asarray(numpy_reduce_func(dat, axis=each))
        dat = np.expand_dims(dat, each) if keepdims else dat
    return dat


def collapse_sum_like(a: Any, shape: Sequence[int]) -> Any:
    """The sum over what was broadcast from a shape."""
    a = a.sum(tuple(range(a.ndim - len(shape)))) if a.ndim > len(shape) else a
    axes = tuple(i for i, size in enumerate(shape) if size == 1 < a.shape[i])
    return a.sum(axes, keepdims=True) if axes else a


def almost_equal_ignore_nan(a: Any, b: Any, rtol: float | None = None, atol: float | None = None) -> bool:
    """As `almost_equal`, where neither is nan."""
    one, other = _pair(a, b)
    there = ~(np.isnan(one) | np.isnan(other))
    return almost_equal(one[there], other[there], rtol, atol)


def assert_almost_equal_ignore_nan(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, names: Sequence[str] = ('a', 'b')
) -> None:
    """As `assert_almost_equal`, where neither is nan."""
    one, other = _pair(a, b)
    there = ~(np.isnan(one) | np.isnan(other))
    assert_almost_equal(one[there], other[there], rtol, atol, names)


def assert_exception(f: Callable[..., Any], exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """Calls a function, which is to raise.

    Raises:
        AssertionError: if it does not.
    """
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f'{f} did not raise {exception_type.__name__}')


def same_array(array1: NDArray, array2: NDArray) -> bool:
    """Whether two arrays share memory: a write into one is seen in the other."""
    before = array1.copy()
    array1[:] = before + 1
    seen = same(array1, array2)
    array1[:] = before
    return seen and same(array1, array2)


# Random shapes and arrays, by NumPy's global numbers, which tests seed.


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Sizes from 1 (or 0) to `dim`."""
    return tuple(int(size) for size in np.random.randint(0 if allow_zero_size else 1, dim + 1, num_dim))


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, int]:
    """Two sizes, up to `dim0` and `dim1`."""
    least = 0 if allow_zero_size else 1
    return int(np.random.randint(least, dim0 + 1)), int(np.random.randint(least, dim1 + 1))


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Three sizes."""
    return (*rand_shape_2d(dim0, dim1, allow_zero_size), rand_shape_2d(dim2, dim2, allow_zero_size)[0])


def rand_ndarray(
    shape: Sequence[int], stype: str = 'default', density: float | None = None, dtype: Any = None, **kwargs: Any
) -> NDArray:
    """Uniform numbers from -1 to 1; of sparse types many are 0."""
    values = np.random.uniform(-1, 1, tuple(shape))
    if stype != 'default':
        values *= np.random.uniform(size=shape) < (np.random.rand() if density is None else density)
    return ndarray.array(values, dtype=dtype or 'float32').tostype(stype)


def rand_sparse_ndarray(
    shape: Sequence[int], stype: str, density: float | None = None, dtype: Any = None, **kwargs: Any
) -> tuple[NDArray, tuple[Any, ...]]:
    """As `rand_ndarray`, with the parts of MXNet's array: (data, indptr, indices), or (data, rows)."""
    made = rand_ndarray(shape, stype, density, dtype)
    values = made.asnumpy()
    if stype == 'row_sparse':
        rows = np.flatnonzero(values.reshape(len(values), -1).any(1))
        return made, (values[rows], rows)
    rows, columns = values.nonzero()
    return made, (values[rows, columns], np.searchsorted(rows, np.arange(len(values) + 1)), columns)


def create_sparse_array(
    shape: Sequence[int], stype: str, data_init: float | None = None, density: float = 0.5, **kwargs: Any
) -> NDArray:
    """As `rand_ndarray`; the elements that are not 0 are `data_init`, if that is given."""
    made = rand_ndarray(shape, stype, density, kwargs.get('dtype'))
    return made if data_init is None else ((made != 0) * data_init).tostype(stype)


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
    """A place in a rectangle."""
    return int(np.random.randint(x_low, x_high)), int(np.random.randint(y_low, y_high))


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> NDArray:
    """The number of its row everywhere."""
    return ndarray.array(np.arange(rows).reshape(-1, 1) + np.zeros((1, columns)), dtype=dtype)


def create_vector(size: int, dtype: Any = np.int64) -> NDArray:
    """The numbers from 0 on."""
    return ndarray.arange(0, size, dtype=dtype)


def random_arrays(*shapes: Any) -> Any:
    """Normally distributed arrays of NumPy: a list, or the one."""
    made = [np.array(np.random.standard_normal(shape), np.float32) for shape in shapes]
    return made[0] if len(made) == 1 else made


def random_sample(population: Sequence[Any], k: int) -> list[Any]:
    """Some of the elements, in their order."""
    chosen = sorted(np.random.permutation(len(population))[:k])
    return [population[i] for i in chosen]


def random_uniform_arrays(*shapes: Any, low: float = 0.0, high: float = 1.0, dtype: Any = np.float32) -> list[Any]:
    """Uniformly distributed arrays of NumPy."""
    return [np.array(np.random.uniform(low, high, shape), dtype) for shape in shapes]


def assign_each(input: np.ndarray, function: Callable[[Any], Any]) -> np.ndarray:
    """A function of each element."""
    return np.array(np.vectorize(function)(input))


def assign_each2(input1: np.ndarray, input2: np.ndarray, function: Callable[..., Any]) -> np.ndarray:
    """A function of the elements of two arrays."""
    return np.array(np.vectorize(function)(input1, input2))


# Graphs.


def _named(sym: Symbol, location: Any, names: Sequence[str]) -> dict[str, NDArray]:
    given = dict(location) if isinstance(location, Mapping) else dict(zip(names, location or (), strict=False))
    if unknown := set(given) - set(names):
        raise ArgumentError('the graph has no such arguments', expected=list(names), got=sorted(unknown))
    return {name: ndarray.array(_array(value), dtype=_array(value).dtype) for name, value in given.items()}


def simple_forward(sym: Symbol, ctx: Context | None = None, is_train: bool = False, **inputs: Any) -> Any:
    """The outputs of a graph as arrays of NumPy; the one if there is one."""
    found = _bound(sym, inputs, None, 'null').forward(is_train=is_train)
    return found[0].asnumpy() if len(found) == 1 else [y.asnumpy() for y in found]


def _bound(sym: Symbol, location: Any, aux_states: Any, grad_req: Any) -> Any:
    arguments = _named(sym, location, sym.list_arguments())
    auxiliary = _named(sym, aux_states, sym.list_auxiliary_states())
    gradients = {name: value.zeros_like() for name, value in arguments.items()}
    return sym.bind(args=arguments, args_grad=gradients, grad_req=grad_req, aux_states=auxiliary)


def check_symbolic_forward(
    sym: Symbol,
    location: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    aux_states: Any = None,
    ctx: Context | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> list[NDArray]:
    """Compares the outputs of a graph with arrays, in a list or by name.

    Raises:
        AssertionError: if they differ.
    """
    outputs = _bound(sym, location, aux_states, 'null').forward(is_train=False)
    names = sym.list_outputs()
    wanted = [expected[name] for name in names] if isinstance(expected, Mapping) else expected
    for name, output, value in zip(names, outputs, wanted, strict=True):
        assert_almost_equal(value, output, rtol, atol, (f'EXPECTED_{name}', f'FORWARD_{name}'), equal_nan)
    return outputs


def check_symbolic_backward(
    sym: Symbol,
    location: Any,
    out_grads: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    aux_states: Any = None,
    grad_req: Any = 'write',
    ctx: Context | None = None,
    grad_stypes: Any = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> dict[str, NDArray]:
    """Compares the gradients of a graph, for gradients of its outputs, with arrays.

    Raises:
        AssertionError: if they differ.
    """
    executor = _bound(sym, location, aux_states, grad_req)
    executor.forward(is_train=True)
    names = sym.list_outputs()
    heads = [out_grads[name] for name in names] if isinstance(out_grads, Mapping) else out_grads
    executor.backward(None if heads is None else [ndarray.array(_array(head)) for head in heads])
    wanted = expected if isinstance(expected, Mapping) else dict(zip(sym.list_arguments(), expected, strict=False))
    for name, value in wanted.items():
        found = executor.grad_dict[name]
        assert_almost_equal(value, found, rtol, atol, (f'EXPECTED_{name}', f'BACKWARD_{name}'), equal_nan)
    return executor.grad_dict


def check_numeric_gradient(
    sym: Symbol,
    location: Any,
    aux_states: Any = None,
    numeric_eps: float = 1e-3,
    rtol: float = 1e-2,
    atol: float | None = None,
    grad_nodes: Sequence[str] | None = None,
    use_forward_train: bool = True,
    ctx: Context | None = None,
    grad_stype_dict: Any = None,
    dtype: Any = np.float32,
) -> None:
    """Compares the gradients of a graph, of a random sum of its outputs, with differences of that sum.

    Raises:
        AssertionError: if they differ.
    """
    executor = _bound(sym, location, aux_states, 'write')
    outputs = executor.forward(is_train=use_forward_train)
    weights = [np.random.normal(size=y.shape) for y in outputs]
    executor.backward([ndarray.array(w) for w in weights])
    found = {name: executor.grad_dict[name].asnumpy() for name in grad_nodes or sym.list_arguments()}

    def total(name: str, values: np.ndarray) -> float:
        executor.arg_dict[name][:] = values
        outputs = executor.forward(is_train=use_forward_train)
        pairs = zip(outputs, weights, strict=True)
        return sum(float((y.asnumpy().astype(np.float64) * w).sum()) for y, w in pairs)

    for name, gradient in found.items():
        values = executor.arg_dict[name].asnumpy()
        numeric = np.zeros(values.shape)
        for place in np.ndindex(values.shape):
            moved = [values.copy() for _ in range(2)]
            moved[0][place] += numeric_eps / 2
            moved[1][place] -= numeric_eps / 2
            numeric[place] = (total(name, moved[0]) - total(name, moved[1])) / numeric_eps
        total(name, values)
        assert_almost_equal(numeric, gradient, rtol, 1e-3 if atol is None else atol, (f'NUMERIC_{name}', name))


def numeric_grad(
    executor: Any,
    location: Mapping[str, Any],
    aux_states: Any = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = np.float32,
) -> dict[str, np.ndarray]:
    """The gradients of the sum of an executor's first output, by differences, at arrays by name."""
    executor.copy_params_from(location, aux_states)

    def total(name: str, values: np.ndarray) -> float:
        executor.arg_dict[name][:] = values
        return float(executor.forward(is_train=use_forward_train)[0].asnumpy().astype(np.float64).sum())

    return {name: _differences(functools.partial(total, name), _array(location[name]), eps) for name in location}


def _differences(function: Callable[[np.ndarray], float], values: np.ndarray, eps: float) -> np.ndarray:
    """The central differences of a function of an array, which is called with the array last."""
    gradient = np.zeros(values.shape)
    for place in np.ndindex(values.shape):
        step = np.zeros(values.shape, values.dtype)
        step[place] = eps / 2
        gradient[place] = (function(values + step) - function(values - step)) / eps
    function(values)
    return gradient


def check_consistency(
    sym: Any,
    ctx_list: Sequence[Mapping[str, Any]],
    scale: float = 1.0,
    grad_req: Any = 'write',
    arg_params: Mapping[str, Any] | None = None,
    aux_params: Mapping[str, Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    raise_on_err: bool = True,
    ground_truth: Mapping[str, Any] | None = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> dict[str, np.ndarray]:
    """Compares outputs and gradients of a graph in several contexts and dtypes, or of several graphs: the last ones.

    Args:
        sym: a Symbol, or one for each context.
        ctx_list: for each 'ctx', the shapes of inputs by name, and 'type_dict' of their dtypes.
        scale: of the inputs, which are normally distributed.
        grad_req: 'write', 'add' or 'null'.
        arg_params: values of arguments by name.
        aux_params: values of auxiliary states by name; 0 without.
        rtol, atol: tolerances; by default those of the coarser dtype.
        raise_on_err: accepted; a difference is an error.
        ground_truth: the outputs by name; by default those of the widest dtype.
        equal_nan: whether nan equals nan.
        use_uniform: whether the inputs are uniformly distributed.
        rand_type: accepted.

    Raises:
        AssertionError: if they differ.
    """
    symbols = [sym] * len(ctx_list) if isinstance(sym, Symbol) else list(sym)
    executors = [s.simple_bind(grad_req=grad_req, **ctx) for s, ctx in zip(symbols, ctx_list, strict=True)]
    values = dict(arg_params or {})
    for name, held in executors[0].arg_dict.items():
        drawn = np.random.uniform(size=held.shape) if use_uniform else np.random.normal(size=held.shape)
        values.setdefault(name, drawn * scale)
    auxiliary = {name: (aux_params or {}).get(name, 0) for name in executors[0].aux_dict}
    results, widths = [], []
    for executor in executors:
        results.append(_results(symbols[0], executor, values, auxiliary, grad_req))
        widths.append(executor.outputs[0].asnumpy().dtype.itemsize)
    truth = {**results[widths.index(max(widths))], **(ground_truth or {})}
    for found in results:
        for name, value in found.items():
            assert_almost_equal(value, truth[name].astype(value.dtype), rtol, atol, (name, 'truth'), equal_nan)
    return truth


def _results(sym: Symbol, executor: Any, values: Any, auxiliary: Any, grad_req: Any) -> dict[str, np.ndarray]:
    """The outputs by name, and the gradients, for gradients of outputs that are the outputs."""
    for held, given in ((executor.arg_dict, values), (executor.aux_dict, auxiliary)):
        for name, array in held.items():
            array[:] = _array(given[name])
    executor.forward(is_train=grad_req != 'null')
    found = dict(zip(sym.list_outputs(), executor.outputs, strict=True))
    if grad_req != 'null':
        executor.backward(executor.outputs)
        found |= {f'gradient of {name}': gradient for name, gradient in executor.grad_dict.items()}
    return {name: array.asnumpy() for name, array in found.items()}


def check_gluon_hybridize_consistency(
    net_builder: Callable[[], Any],
    data_l: Sequence[Any],
    numpy_func: Callable[..., Any] | None = None,
    test_grad: bool = True,
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Compares a network with itself hybridized, and with a function of NumPy: outputs, and gradients of inputs.

    Raises:
        AssertionError: if they differ.
    """
    first: list[Any] = []
    for hybrid in (False, True):
        net = net_builder()
        net.initialize()
        if hybrid:
            net.hybridize()
        inputs = [data.copy() for data in data_l]
        for data in inputs if test_grad else ():
            data.attach_grad()
        with autograd.record() if test_grad else contextlib.nullcontext():
            output = net(*inputs)
        if test_grad:
            output.backward(output)
        found = [output, *(data.grad for data in inputs if test_grad)]
        first = first or found
        for one, other in zip(first, found, strict=True):
            assert_almost_equal(one, other, rtol, atol)
    if numpy_func is not None:
        assert_almost_equal(numpy_func(*map(_array, data_l)), first[0], rtol, atol)


def check_speed(
    sym: Symbol, location: Any = None, ctx: Context | None = None, N: int = 20, grad_req: Any = None, **kwargs: Any
) -> float:
    """Seconds of a pass of a graph: 'whole' is forward and backward, and `typ='forward'` the one."""
    training = kwargs.pop('typ', 'whole') == 'whole'
    executor = sym.simple_bind(grad_req=grad_req or 'write', **(kwargs or {k: v.shape for k, v in location.items()}))
    for name, value in (location or {}).items():
        executor.arg_dict[name][:] = _array(value)
    started = 0.0
    for i in range(N + 1):  # the first compiles
        started = started if i > 1 else time.perf_counter()
        executor.forward(is_train=training)
        if training:
            executor.backward(executor.outputs)
        ndarray.waitall()
    return (time.perf_counter() - started) / N


# Optimizers and iterators.


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Compares two arrays, or tuples of such or of None, as states of optimizers are.

    Raises:
        AssertionError: if they differ.
    """
    if isinstance(t1, tuple):
        for one, other in zip(t1, t2, strict=True):
            compare_ndarray_tuple(one, other, rtol, atol)
    elif t1 is not None and t2 is not None:
        assert_almost_equal(t1, t2, rtol, atol)


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = 'default',
    g_stype: str = 'default',
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
) -> None:
    """Compares the first update of two optimizers, of one weight or of a list of shapes.

    Raises:
        AssertionError: if they differ.
    """
    for i, size in enumerate(shape if isinstance(shape, list) else [shape]):
        weight, gradient = (rand_ndarray(size, stype, 1, dtype) for stype in (w_stype, g_stype))
        weights, states = [weight, weight.copy()], []
        for opt, each in zip((opt1, opt2), weights, strict=True):
            states.append(opt.create_state_multi_precision(i, each))
            opt.update_multi_precision(i, each, gradient.copy(), states[-1])
        if compare_states:
            compare_ndarray_tuple(states[0], states[1], rtol, atol)
        assert_almost_equal(weights[0], weights[1], rtol, atol)


class DummyIter(DataIter):
    """The first batch of an iterator, over and over.

    Args:
        real_iter: the iterator.
    """

    def __init__(self, real_iter: Any):
        super().__init__()
        self.real_iter: Any = real_iter
        self.provide_data: Any = real_iter.provide_data
        self.provide_label: Any = real_iter.provide_label
        self.batch_size: int = real_iter.batch_size
        self.the_batch: Any = next(real_iter)

    def next(self) -> Any:
        """That batch."""
        return self.the_batch


# The environment.


def retry(n: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a test that fails is run again, up to n times in all."""
    if n < 1:
        raise ArgumentError('a test runs at least once', got=n)

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def repeated(*args: Any, **kwargs: Any) -> Any:
            for _ in range(n - 1):
                with contextlib.suppress(AssertionError):
                    return test(*args, **kwargs)
            return test(*args, **kwargs)

        return repeated

    return decorate


@contextlib.contextmanager
def discard_stderr() -> Iterator[None]:
    """A `with` block whose messages on stderr are not shown."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def is_op_runnable() -> bool:
    """True: MXNet's own compiled operators are of no account here."""
    return True


@contextlib.contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A `with` block with other variables of the environment: a name and a value, or a dict; None for not set."""
    wanted = args[0] if len(args) == 1 else {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}

    def set_all(values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = str(value)

    set_all(wanted)
    try:
        yield
    finally:
        set_all(before)


def set_env_var(key: str, val: str, default_val: str = '') -> str:
    """Sets a variable of the environment, and gives what it was."""
    before = os.environ.get(key, default_val)
    os.environ[key] = val
    return before


def get_mnist(*args: Any, **kwargs: Any) -> Any:
    """Is refused: nothing is fetched from the network.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError('get_mnist would fetch files', remedy="gluon.data.vision.MNIST('directory') of files there")


explain_calls(globals(), functions=False)
