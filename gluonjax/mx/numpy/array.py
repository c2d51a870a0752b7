"""`mx.np.ndarray`, the face of `mx.nd.NDArray` with NumPy's semantics, and calls of the functions of `mx.np` on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError, DTypeError, GluonError, MissingNameError, ShapeError
from gluonjax.lazy import suggests_keywords
from gluonjax.mx import tape
from gluonjax.mx.array import NDArray, as_jax, enter_face, made_in, traced_text
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_as
from gluonjax.mx.numpy.pure import OF_NUMBERS, PURE, strong
from gluonjax.mx.tape import Arrays, Program, Tracked

Operand = Any
_NUMBERS = (bool, int, float, np.generic)
_OPERANDS = (*_NUMBERS, NDArray, np.ndarray, jax.Array, type(None))


class _Input:
    """Stands where an input is, in the arguments of a program."""


_INPUT = _Input()


class _Call:
    """A function of the table with its other arguments: a program of its inputs."""

    def __init__(self, name: str, tree: Any, static: tuple[Any, ...]):
        self.function: Callable[..., Any] = PURE[name]
        self.tree, self.static = tree, static
        self.output: Any = None  # the tree of the outputs
        self.program = Program(f'np.{name}', self._run)

    def _run(self, arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        inputs = iter(arrays)
        leaves = [next(inputs) if item is _INPUT else item[1] for item in self.static]
        args, kwargs = jax.tree.unflatten(self.tree, leaves)
        with jax.numpy_rank_promotion('allow'):
            outputs, self.output = jax.tree.flatten(self.function(*args, **kwargs))
        return [strong(y) for y in outputs], []


@functools.lru_cache(4096)
def _call(name: str, tree: Any, static: tuple[Any, ...]) -> _Call:
    return _Call(name, tree, static)


@functools.cache
def _of_two(name: str) -> Program:
    def function(arrays: Arrays, key: Any) -> tuple[list[jax.Array], list[jax.Array]]:
        with jax.numpy_rank_promotion('allow'):
            return [strong(PURE[name](*arrays))], []

    return Program(f'np.{name}', function, functools.partial(_of_numpy, getattr(np, name)))


def _of_numpy(function: Callable[..., Any], arrays: Any) -> Any:
    """What rounds at most once: of floats of one dtype, with numbers or without; None for anything else."""
    dtypes = {x.dtype for x in arrays if isinstance(x, np.ndarray)}
    exact = function in _ROUNDING_ONCE and dtypes == {np.dtype('float32')}
    return [function(*arrays)] if exact else None


_COMPARISONS = (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
_ROUNDING_ONCE = {np.add, np.subtract, np.multiply, np.true_divide, *_COMPARISONS}


def call(name: str, *args: Any, out: Any = None, **kwargs: Any) -> Any:
    """A function of the table, on arrays wherever they stand in the arguments; recorded as operators are.

    Args:
        name: as in `np.`.
        *args: of the function.
        out: an array that is written, and returned.
        **kwargs: of the function.

    Raises:
        ArgumentError: for what the function does not take.
    """
    try:
        if name in OF_NUMBERS and (wrong := [x for x in args if not isinstance(x, _OPERANDS)]):
            raise DTypeError(f'np.{name} takes arrays and numbers', got=type(wrong[0]).__name__, remedy='np.array(x)')
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays, static = [], []
        for leaf in leaves:
            if isinstance(leaf, NDArray):
                arrays.append(leaf.tracked)
            elif isinstance(leaf, np.ndarray | jax.Array):
                arrays.append(Tracked(as_jax(leaf)))
            elif name in OF_NUMBERS and isinstance(leaf, _NUMBERS):
                arrays.append(Tracked(leaf.item() if isinstance(leaf, np.generic) else leaf))  # type: ignore[arg-type]
            else:
                static.append((type(leaf), leaf))
                continue
            static.append(_INPUT)
        made = _call(name, tree, tuple(static))
        outputs = tape.call(made.program, arrays)[0]
        results = jax.tree.unflatten(made.output, [ndarray(*y) for y in outputs])
        if out is None:
            return results
        out[...] = results
        return out
    except Exception as error:
        explain_as(f'np.{name}', error, PURE[name], args, kwargs)
        raise


def of_two(name: str, left: Any, right: Any) -> Any:
    """A function of two arrays, or of an array and a number; NotImplemented for anything else."""
    inputs = []
    for x in (left, right):
        if isinstance(x, NDArray):
            inputs.append(x.tracked)
        elif isinstance(x, bool | int | float):
            inputs.append(Tracked(x))  # type: ignore[arg-type]
        elif isinstance(x, np.generic):
            inputs.append(Tracked(x.item()))  # type: ignore[arg-type]
        elif isinstance(x, np.ndarray | jax.Array):
            inputs.append(Tracked(as_jax(x)))
        else:
            return NotImplemented
    try:
        return ndarray(*tape.call(_of_two(name), inputs)[0][0])
    except Exception as error:
        explain_as(f'np.{name}', error, PURE[name], (left, right))
        raise


def _operator(name: str) -> Callable[..., Any]:
    def operator(self: Any, other: Any) -> Any:
        return of_two(name, self, other)

    return operator


def _reflected(name: str) -> Callable[..., Any]:
    def operator(self: Any, other: Any) -> Any:
        return of_two(name, other, self)

    return operator


def _in_place(name: str) -> Callable[..., Any]:
    def operator(self: Any, other: Any) -> Any:
        new = of_two(name, self, other)
        if new is NotImplemented:
            return new
        if new.shape != self.shape:
            raise ShapeError('the result does not fit into the array', expected=self.shape, got=new.shape)
        self[...] = new
        return self

    return operator


def _method(name: str, doc: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return call(name, self, *args, **kwargs)

    method.__name__, method.__doc__ = name, doc
    return method


@enter_face
class ndarray(NDArray):
    """A mutable array with NumPy's semantics: axes may be none, comparisons give bool, functions are NumPy's.

    Args:
        value: the array of JAX.
        entry: what it is on the tape.
        view: the array that it is a view of.

    >>> from gluonjax.mx import np
    >>> x = np.array([[1, 2], [3, 4]])
    >>> x[x > 2] = 0
    >>> x
    array([[1., 2.],
           [0., 0.]])
    >>> x.sum().item()
    3.0
    """

    __slots__ = ()
    scalars: bool = True

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of its elements."""
        return np.dtype(super().dtype)

    def as_np_ndarray(self) -> Self:
        """Itself."""
        return self

    # To elsewhere.

    def asscalar(self) -> Any:
        """MXNet has it of `mx.nd` alone."""
        raise MissingNameError('mx.np.ndarray has no asscalar: x.item()', name='asscalar')

    def __repr__(self) -> str:
        if isinstance(self.value, Tracer):
            return traced_text(self)
        text = repr(self.asnumpy())
        if 'dtype=' not in text and self.dtype not in (np.float32, np.bool_):
            text = f'{text[:-1]}, dtype={np.dtype(self.dtype)})'
        elif 'dtype=' in text and self.dtype == np.float32:  # which may stand on a line of its own
            text = f'{text[: text.rindex(",")]})'
        return text if self.context.device_type == 'cpu' else f'{text[:-1]}, ctx={self.context})'

    def __str__(self) -> str:
        if isinstance(self.value, Tracer):
            return traced_text(self)
        text = str(self.asnumpy())
        return text if self.context.device_type == 'cpu' or not self.shape else f'{text} @{self.context}'

    def __format__(self, spec: str) -> str:
        traced = isinstance(self.value, Tracer)
        return format(str(self), spec) if self.shape or traced else format(self.item(), spec)

    def _number(self) -> Any:
        if self.size != 1:
            raise ShapeError('the number of an array is that of its one element', got=self.shape, remedy='x.item(i)')
        return self.item()

    def __bool__(self) -> bool:
        return bool(self.size) and bool(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __round__(self, n: int = 0) -> Self:
        return call('around', self, n)

    # NumPy's own functions on it.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != '__call__':
            return NotImplemented
        out = kwargs.pop('out', (None,))[0]
        if ufunc.__name__ in PURE:
            return call(ufunc.__name__, *inputs, out=out, **kwargs)
        return on_host(ufunc, *inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = func.__name__
        module = getattr(func, '__module__', '')
        name = f'linalg.{name}' if module.startswith('numpy.linalg') else name
        return call(name, *args, **kwargs) if name in PURE else on_host(func, *args, **kwargs)

    # Elements.

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, (list, tuple, *_NUMBERS)):
            value = as_jax(value, self.dtype)
        mask = key.tracked if isinstance(key, NDArray) else key
        if isinstance(mask, Tracked) and mask.array.dtype == bool and mask.array.shape == self.shape:
            new = value.tracked if isinstance(value, NDArray) else Tracked(as_jax(value))
            if not new.array.shape:
                self.assign(tape.call(_MASKED, [self.tracked, mask, new])[0][0])
                return
        super().__setitem__(() if key is Ellipsis and not self.shape else key, value)

    def astype(
        self, dtype: DTypeLike, order: str = 'K', casting: str = 'unsafe', subok: bool = True, copy: bool = True
    ) -> Self:
        """In another dtype; itself if it has that one and `copy` is False."""
        return super().astype(dtype, copy)

    def copy(self, order: str = 'C') -> Self:
        """Another array with the same elements."""
        return super().copy()

    def reshape(self, *shape: Any, order: str = 'C', **kwargs: Any) -> Self:
        """In another shape; -1 is the rest. A copy, as MXNet has it."""
        given = kwargs.get('newshape', kwargs.get('shape', shape[0] if len(shape) == 1 else shape))
        return call('reshape', self, given, order=order)

    def reshape_view(self, *shape: Any) -> Self:
        """In another shape, sharing its memory."""
        return super().reshape(*shape)

    def transpose(self, *axes: Any) -> Self:
        """With axes in another order: reversed, or as given."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return call('transpose', self, tuple(given) if given else None)

    def flatten(self, order: str = 'C') -> Self:
        """All elements along one axis."""
        return call('ravel', self, order=order)

    def nonzero(self) -> tuple[Self, ...]:
        """The coordinates of what is not 0, an array for each axis."""
        return on_host(np.nonzero, self)

    def broadcast_to(self, shape: Any) -> Self:
        """With axes of other sizes."""
        return call('broadcast_to', self, shape)

    def broadcast_like(self, other: NDArray) -> Self:
        """With the sizes of another array."""
        return call('broadcast_to', self, other.shape)

    def split(self, *args: Any, **kwargs: Any) -> Any:
        """In equal parts, or at indices: as `np.split`."""
        return call('split', self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        remedy = f'np.{name}(x)' if name in PURE else f'npx.{name}(x)'
        raise MissingNameError(f'mx.np.ndarray has no attribute {name!r}: {remedy}', name=name)

    all = _method('all', 'Whether all elements are true, along axes.')
    any = _method('any', 'Whether an element is true, along axes.')
    argmax = _method('argmax', 'Where the greatest is, along an axis.')
    argmin = _method('argmin', 'Where the smallest is, along an axis.')
    argsort = _method('argsort', 'The order that sorts, along an axis.')
    cumsum = _method('cumsum', 'The sums up to each element.')
    diagonal = _method('diagonal', 'The diagonal of two axes.')
    dot = _method('dot', "NumPy's dot.")
    max = _method('max', 'The greatest, along axes.')
    mean = _method('mean', 'The mean, along axes.')
    min = _method('min', 'The smallest, along axes.')
    prod = _method('prod', 'The product, along axes.')
    ravel = _method('ravel', 'All elements along one axis.')
    repeat = _method('repeat', 'Each element several times.')
    round = _method('around', 'Rounded; halves to even numbers.')
    squeeze = _method('squeeze', 'Without axes of size 1.')
    std = _method('std', 'The standard deviation, along axes.')
    sum = _method('sum', 'The sum, along axes.')
    swapaxes = _method('swapaxes', 'With two axes exchanged.')
    take = _method('take', 'Elements at indices.')
    tile = _method('tile', 'Several times, along axes.')
    trace = _method('trace', 'The sum of the diagonal.')
    var = _method('var', 'The variance, along axes.')

    def clip(self, min: Any = None, max: Any = None, out: Any = None) -> Self:
        """Between bounds."""
        return call('clip', self, min, max, out=out)

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None) -> None:
        """Sorts it in place, along an axis."""
        self[...] = call('sort', self, axis)

    # Arithmetic.

    __add__ = _operator('add')
    __radd__ = _reflected('add')
    __iadd__ = _in_place('add')
    __sub__ = _operator('subtract')
    __rsub__ = _reflected('subtract')
    __isub__ = _in_place('subtract')
    __mul__ = _operator('multiply')
    __rmul__ = _reflected('multiply')
    __imul__ = _in_place('multiply')
    __truediv__ = _operator('true_divide')
    __rtruediv__ = _reflected('true_divide')
    __itruediv__ = _in_place('true_divide')
    __floordiv__ = _operator('floor_divide')
    __rfloordiv__ = _reflected('floor_divide')
    __mod__ = _operator('mod')
    __rmod__ = _reflected('mod')
    __imod__ = _in_place('mod')
    __pow__ = _operator('power')
    __rpow__ = _reflected('power')
    __ipow__ = _in_place('power')
    __matmul__ = _operator('matmul')
    __rmatmul__ = _reflected('matmul')
    __imatmul__ = _in_place('matmul')
    __and__ = _operator('bitwise_and')
    __rand__ = _reflected('bitwise_and')
    __iand__ = _in_place('bitwise_and')
    __or__ = _operator('bitwise_or')
    __ror__ = _reflected('bitwise_or')
    __ior__ = _in_place('bitwise_or')
    __xor__ = _operator('bitwise_xor')
    __rxor__ = _reflected('bitwise_xor')
    __ixor__ = _in_place('bitwise_xor')
    __gt__ = _operator('greater')
    __ge__ = _operator('greater_equal')
    __lt__ = _operator('less')
    __le__ = _operator('less_equal')

    def __neg__(self) -> Self:
        return call('negative', self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return call('absolute', self)

    def __invert__(self) -> Self:
        return call('invert', self)

    def __eq__(self, other: object) -> Any:
        return False if other is None else of_two('equal', self, other)

    def __ne__(self, other: object) -> Any:
        return True if other is None else of_two('not_equal', self, other)

    def __hash__(self) -> int:
        return id(self)


_MASKED = Program(
    'assignment', lambda arrays, key: ([jax.numpy.where(arrays[1], arrays[2].astype(arrays[0].dtype), arrays[0])], [])
)


def of_host(value: Any) -> Any:
    """What a function of NumPy gave, with arrays of `mx.np`; numbers and the rest as they are."""
    if isinstance(value, np.ndarray):
        return ndarray(as_jax(value)) if value.dtype.kind in 'biuf' else value
    if isinstance(value, list | tuple) and not hasattr(value, '_fields'):
        return type(value)(map(of_host, value))
    return tuple(map(of_host, value)) if isinstance(value, tuple) else value


def on_host(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A function of NumPy itself, on copies: without a gradient.

    Raises:
        GluonError: while recording, if an input is on the tape.
    """
    arrays = [x for x in jax.tree.leaves((args, kwargs)) if isinstance(x, NDArray)]
    if tape.scope().recording and any(x.entry is not None for x in arrays):
        name = getattr(function, '__name__', 'this function')
        raise GluonError(f'np.{name} has no gradient', remedy='call it under autograd.pause(), or of x.detach()')
    args, kwargs = jax.tree.map(lambda x: x.asnumpy() if isinstance(x, NDArray) else x, (args, kwargs))
    return of_host(function(*args, **kwargs))


@suggests_keywords
def array(object: Any, dtype: DTypeLike | None = None, ctx: Context | None = None) -> ndarray:
    """A copy of an array, or of lists of numbers: in the dtype that arrays have, else float32.

    Raises:
        DTypeError: for an array of `mx.nd`, or what is no array.

    >>> from gluonjax.mx import np
    >>> np.array([1, 2]).dtype, np.array(True, dtype=bool)
    (dtype('float32'), array(True))
    """
    if isinstance(object, NDArray) and not isinstance(object, ndarray):
        raise ArgumentError('the array is of mx.nd', remedy='x.as_np_ndarray()')
    if isinstance(object, list | tuple) and any(isinstance(x, NDArray) for x in jax.tree.leaves(object)):
        object = np.array(jax.tree.map(lambda x: x.asnumpy() if isinstance(x, NDArray) else x, object), 'float32')
    try:
        return made_in(ctx, ndarray, as_jax(object, dtype, ctx))
    except (TypeError, ValueError) as error:
        if isinstance(error, GluonError):
            raise
        raise DTypeError(f'np.array: {error}') from error
