"""`mx.np`: arrays with NumPy's semantics, and its functions on them, as MXNet 1.9.1 has them.

>>> from gluonjax.mx import autograd, np
>>> x = np.arange(3)
>>> x.attach_grad()
>>> with autograd.record():
...     y = np.sum(x * x)
>>> y.backward()
>>> x.grad
array([0., 2., 4.])
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import numpy as onp

from gluonjax.hints import missing
from gluonjax.mx.array import NDArray, made_in
from gluonjax.mx.context import Context
from gluonjax.mx.entry import explain_calls, explained
from gluonjax.mx.numpy import linalg, random
from gluonjax.mx.numpy.array import array, call, ndarray, on_host
from gluonjax.mx.numpy.pure import CREATION, PURE

newaxis = None
NAN: float = onp.nan
NaN: float = onp.nan
PINF, NINF, PZERO, NZERO = onp.inf, -onp.inf, 0.0, -0.0

__all__ = ['array', 'linalg', 'ndarray', 'newaxis', 'random']


def shape(a: Any) -> tuple[int, ...]:
    """The sizes of an array, or of lists of numbers."""
    return a.shape if isinstance(a, NDArray) else onp.shape(a)


def shares_memory(a: NDArray, b: NDArray, max_work: int | None = None) -> bool:
    """Whether one is a view of the other, or both are views of a third."""
    return _root(a) is _root(b)


may_share_memory: Callable[..., bool] = shares_memory


def _root(a: NDArray) -> NDArray:
    while a.view is not None:
        a = a.view.base
    return a


def delete(arr: ndarray, obj: Any, axis: int | None = None) -> ndarray:
    """Without some elements along an axis."""
    keep = onp.delete(onp.arange(arr.size if axis is None else arr.shape[axis]), _on_host(obj))
    return call('take', arr, keep, axis)


def insert(arr: ndarray, obj: Any, values: Any, axis: int | None = None) -> ndarray:
    """With more elements before positions along an axis."""
    given = values if isinstance(values, NDArray) else array(values, arr.dtype)
    return call('insert', arr, obj=_static(obj), values=given, axis=axis)


def _on_host(obj: Any) -> Any:
    return obj.asnumpy().astype('int64') if isinstance(obj, NDArray) else obj


def _static(obj: Any) -> Any:
    if isinstance(obj, NDArray | onp.ndarray | list):
        return tuple(int(i) for i in onp.asarray(_on_host(obj)).ravel())
    return obj


def repeat(a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
    """Each element several times, along an axis."""
    return call('repeat', a, _static(repeats), axis)


def in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> ndarray:
    """Whether each element is in another array."""
    return on_host(onp.isin, ar1, ar2, assume_unique, invert)


def trapz(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
    return on_host(onp.trapezoid, y, x, dx, axis)


def msort(a: ndarray) -> ndarray:
    """Sorted along the first axis."""
    return call('sort', a, 0)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """From x where the condition is true, from y elsewhere; of a condition alone the coordinates of what is true."""
    if x is None and y is None:
        return on_host(onp.nonzero, condition)
    return call('where', condition, x, y)


def einsum(subscripts: str, *operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> ndarray:
    """The sum of products that the subscripts describe."""
    return call('einsum', subscripts, *operands, out=out, optimize=optimize)


def unravel_index(indices: Any, shape: Any, order: str = 'C') -> Any:
    """The coordinates of flat positions, along a new first axis."""
    return tuple(call('unravel_index', indices, tuple(shape), order))


def set_printoptions(precision: int | None = None, threshold: int | None = None, **kwargs: Any) -> None:
    """How arrays print: NumPy's own options."""
    onp.set_printoptions(precision=precision, threshold=threshold, **kwargs)


def asarray(a: Any, dtype: Any = None, ctx: Context | None = None) -> ndarray:
    """The array itself, or one made of numbers."""
    if isinstance(a, ndarray) and dtype is None:
        return a
    return array(a, dtype, ctx)


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    """The function of a name: compiled, one that makes arrays, or NumPy's own on the host."""

    def compiled(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop('where', None)
        return call(name, *args, **kwargs)

    def creating(*args: Any, ctx: Context | None = None, out: Any = None, **kwargs: Any) -> Any:
        plain = jax.tree.map(lambda x: x.value if isinstance(x, NDArray) else x, (args, kwargs))
        made = PURE[name](*plain[0], **plain[1])
        made = jax.tree.map(lambda x: made_in(ctx, ndarray, x) if isinstance(x, jax.Array) else x, made)
        if out is None:
            return made
        out[...] = made
        return out

    def hosted(*args: Any, **kwargs: Any) -> Any:
        return on_host(getattr(onp, name), *args, **kwargs)

    function = creating if name in CREATION else compiled if name in PURE else hosted
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f'As `numpy.{name}`.'
    return function if function is compiled else explained(function, f'np.{name}', PURE.get(name) or getattr(onp, name))


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every function of MXNet's NumPy; those that only NumPy has run on the host, its types and numbers are its."""
        found = None if name.startswith('_') else getattr(onp, name, None)
        if name not in PURE and (found is None or isinstance(found, ModuleType)):
            raise missing(f'module {__name__!r}', name, __name__, __dir__())
        own = name in PURE or (callable(found) and not isinstance(found, type))
        globals()[name] = made = _function(name) if own else found
        return made


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(onp), *(name for name in PURE if '.' not in name)})


explain_calls(globals())
