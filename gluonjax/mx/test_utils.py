"""`mx.test_utils`: comparisons, random arrays, and numeric gradients of graphs, for tests of MXNet's programs.

>>> from gluonjax.mx import nd, test_utils
>>> test_utils.assert_almost_equal(nd.array([1, 2]), np.array([1, 2.0000001]))
>>> test_utils.same(np.ones(2), np.ones(2))
True
"""

# ruff: noqa: NPY002  (programs seed the global numbers of NumPy)
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.context import Context, current_context, gpu, num_gpus
from gluonjax.mx.symbol import Symbol

_TOLERANCES = {'float16': (1e-2, 1e-3), 'bfloat16': (5e-2, 1e-2), 'float32': (1e-4, 1e-6), 'float64': (1e-5, 1e-8)}
_context: list[Context] = []


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
    return ndarray.array(values, dtype=dtype or 'float32')


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


# Distributions.


def mean_check(generator: Callable[[int], Any], mu: float, sigma: float, nsamples: int = 1_000_000) -> bool:
    """Whether the mean of samples is within three of its standard deviations."""
    return abs(_array(generator(nsamples)).mean() - mu) < 3 * sigma / np.sqrt(nsamples)


def var_check(generator: Callable[[int], Any], sigma: float, nsamples: int = 1_000_000) -> bool:
    """Whether the variance of samples is that of a normal distribution, within three standard deviations."""
    return abs(_array(generator(nsamples)).var(ddof=1) - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1))


# The environment.


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
