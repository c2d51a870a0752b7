"""Checks of graphs and networks: outputs, gradients beside numeric ones, consistency, speed."""

# ruff: noqa: NPY002  (programs seed the global numbers of NumPy)
from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx import autograd, ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context
from gluonjax.mx.symbol import Symbol
from gluonjax.mx.test_utils.comparisons import as_numpy, assert_almost_equal


def _named(sym: Symbol, location: Any, names: Sequence[str]) -> dict[str, NDArray]:
    given = dict(location) if isinstance(location, Mapping) else dict(zip(names, location or (), strict=False))
    if unknown := set(given) - set(names):
        raise ArgumentError('the graph has no such arguments', expected=list(names), got=sorted(unknown))
    return {name: ndarray.array(as_numpy(value), dtype=as_numpy(value).dtype) for name, value in given.items()}


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
    executor.backward(None if heads is None else [ndarray.array(as_numpy(head)) for head in heads])
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

    return {name: _differences(functools.partial(total, name), as_numpy(location[name]), eps) for name in location}


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
            array[:] = as_numpy(given[name])
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
        assert_almost_equal(numpy_func(*map(as_numpy, data_l)), first[0], rtol, atol)


def check_speed(
    sym: Symbol, location: Any = None, ctx: Context | None = None, N: int = 20, grad_req: Any = None, **kwargs: Any
) -> float:
    """Seconds of a pass of a graph: 'whole' is forward and backward, and `typ='forward'` the one."""
    training = kwargs.pop('typ', 'whole') == 'whole'
    executor = sym.simple_bind(grad_req=grad_req or 'write', **(kwargs or {k: v.shape for k, v in location.items()}))
    for name, value in (location or {}).items():
        executor.arg_dict[name][:] = as_numpy(value)
    started = 0.0
    for i in range(N + 1):  # the first compiles
        started = started if i > 1 else time.perf_counter()
        executor.forward(is_train=training)
        if training:
            executor.backward(executor.outputs)
        ndarray.waitall()
    return (time.perf_counter() - started) / N
