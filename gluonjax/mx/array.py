"""`NDArray`: a mutable handle of a `jax.Array`, as MXNet's programs know it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import operator as functions
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import keywords
from gluonjax.arrays import admit
from gluonjax.errors import ArgumentError, DTypeError, GluonError, MissingNameError, ShapeError, TransformationError
from gluonjax.mx import casting, invoke, statistics, tape
from gluonjax.mx.context import Context, context_of, current_context, default_device, virtual
from gluonjax.mx.dialect import is_np_array
from gluonjax.mx.guards import prepared
from gluonjax.mx.jitted import zeros_like
from gluonjax.mx.op import OPERATORS, Operator, find
from gluonjax.mx.op.attributes import dtype_of, may_be_none
from gluonjax.mx.op.shape import reshaped
from gluonjax.mx.single import as_number
from gluonjax.mx.tape import Entry, Leaf, Tracked


@dataclasses.dataclass(frozen=True)
class View:
    """How an array shares the memory of another."""

    base: NDArray
    get: Callable[[Tracked], Tracked]
    put: Callable[[Tracked, Tracked], Tracked]


_Kind = TypeVar('_Kind', bound='NDArray')
_WATCHERS: list[Callable[[Any], None]] = []  # of reads, while programs are traced


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], list[Any]]]:
    """A `with` block; gives a function that lists the arrays which were read in it, and still are."""
    seen: dict[int, weakref.ref[Any]] = {}

    def note(x: Any) -> None:
        reference = seen.get(id(x))
        if reference is None or reference() is None:
            seen[id(x)] = weakref.ref(x)

    _WATCHERS.append(note)
    try:
        yield lambda: [x for x in (reference() for reference in seen.values()) if x is not None]
    finally:
        _WATCHERS.remove(note)


def traced_text(x: NDArray) -> str:
    """What prints for an array while a block is compiled: it has no elements yet (MXNet prints a symbol)."""
    return f'<{type(x).__name__} traced: shape {x.shape}, {np.dtype(x.dtype).name}>'


class NDArray:
    """A mutable array.

    Writes replace the `jax.Array` that it holds. What basic indexing with adjacent elements, `reshape` and `detach`
    give are views: writes through them reach the array, and theirs follow it.

    Args:
        value: the array.
        entry: what it is on the tape.
        view: the array that it is a view of.
        shared: the context it was made in, if that shares its device with another, as `cpu(1)` where JAX has one CPU.

    >>> from gluonjax.mx import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> row = x[1]
    >>> row[:] = 7
    >>> x
    <BLANKLINE>
    [[1. 2.]
     [7. 7.]]
    <NDArray 2x2 @cpu(0)>
    >>> (x * 2 > 3).sum()
    <BLANKLINE>
    [3.]
    <NDArray 1 @cpu(0)>
    """

    __array_priority__: float = 1000.0
    __slots__ = ('__weakref__', '_grad', '_seen', '_value', 'entry', 'shared', 'used', 'version', 'view')
    used: int  # the version of a gradient that a Trainer last used
    scalars: bool = False  # whether there are arrays without axes

    def __init__(
        self,
        value: jax.Array,
        entry: Entry | None = None,
        view: View | None = None,
        shared: Context | None = None,
    ):
        self._value = value
        self.shared: Context | None = shared
        self.entry: Entry | None = entry
        self.view: View | None = view
        self.version: int = 0
        self._seen = None if view is None else view.base.version
        self._grad: NDArray | None = None

    # What it holds.

    @property
    def value(self) -> jax.Array:
        """The array of JAX."""
        if self.view is not None:
            value = self.view.base.value  # which brings its version up to date
            if self._seen != self.view.base.version:
                self._value, self._seen = self.view.get(Tracked(value)).array, self.view.base.version
                self.version += 1
        elif _WATCHERS:
            for watcher in _WATCHERS:
                watcher(self)
        return self._value

    @property
    def tracked(self) -> Tracked:
        """The array, and what it is on the tape."""
        return Tracked(self.value, self.entry)

    def assign(self, new: Tracked) -> None:
        """Puts another array of the same shape and dtype in its place.

        Raises:
            GluonError: while recording, if it is on the tape already.
        """
        recording = tape.scope().recording
        if recording and Tracked(self._value, self.entry).is_recorded:
            raise GluonError(
                'an array that is on the tape cannot be written while recording',
                remedy='y = y + x instead of y += x, or autograd.pause()',
            )
        if self.view is not None:
            base = self.view.base
            base.assign(self.view.put(base.tracked, new))
            self._seen = base.version
        self._value = new.array
        self.version += 1
        if recording:
            self.entry = new.entry

    def like(self, new: Tracked, view: View | None = None) -> Self:
        """Another array of this kind."""
        if not self.scalars and not new.array.shape:
            new = tape.call(invoke.reshaping((1,)), [new])[0][0]
        return type(self)(new.array, new.entry, view, self.shared)

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        return self._value.shape

    @property
    def dtype(self) -> Any:
        """NumPy's type of its elements, as `numpy.float32`."""
        return self._value.dtype.type

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self._value.size

    @property
    def context(self) -> Context:
        """Where it is."""
        if self.shared is not None:
            return self.shared
        if isinstance(self._value, jax.core.Tracer):
            return current_context()
        return context_of(min(self._value.devices(), key=lambda device: device.id))

    ctx: property = context
    device: property = context

    @property
    def stype(self) -> str:
        """MXNet's storage type: a label, as all arrays are dense; those of `nd.sparse` have others."""
        return 'default'

    @property
    def grad(self) -> NDArray | None:
        """Its gradient; None before `attach_grad`."""
        return self._grad

    @property
    def data(self) -> Self:
        """Itself; of sparse arrays what is not 0."""
        return self

    @property
    def T(self) -> Self:
        """The transpose."""
        return self.transpose()

    # To elsewhere.

    def asnumpy(self) -> np.ndarray:
        """A copy as NumPy's array.

        Raises:
            TransformationError: while a hybridized block is compiled: there are no numbers yet.
        """
        value = self.value
        if isinstance(value, jax.core.Tracer):
            what = 'a number was asked for while a block is compiled, where there are none yet'
            raise TransformationError(what, remedy='net.hybridize(False), or F.where instead of a branch on values')
        return as_number(np.array(value))

    def asscalar(self) -> Any:
        """The one element, as NumPy's scalar.

        Raises:
            ShapeError: if there is not one.
        """
        if self.size != 1:
            raise ShapeError('asscalar takes an array of one element', got=self.shape, remedy='x.asnumpy()')
        return self.asnumpy().reshape(())[()]

    def item(self, *index: int) -> Any:
        """One element as Python's number."""
        return self.asnumpy().item(*index)

    def tolist(self) -> Any:
        """Its elements as lists of Python's numbers."""
        return self.asnumpy().tolist()

    def wait_to_read(self) -> None:
        """Returns when it is computed."""
        jax.block_until_ready(self.value)

    wait_to_write: Callable[[Any], None] = wait_to_read

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Self:
        """In another dtype; itself if it has that one and `copy` is False."""
        wanted = canonical(dtype)
        if not copy and wanted == self._value.dtype:
            return self
        return self.like(tape.call(invoke.casting(wanted.name), [self.tracked])[0][0])

    def copy(self) -> Self:
        """Another array with the same elements."""
        return self.like(self.tracked)

    def copyto(self, other: NDArray | Context) -> NDArray:
        """Writes its elements into another array, or makes one in a context."""
        if isinstance(other, NDArray):
            other[:] = self
            return other
        return self._moved(other)

    def as_in_context(self, context: Context) -> Self:
        """In a context; itself if it is there.

        Raises:
            DTypeError: for something else, as a name.
        """
        if not isinstance(context, Context):
            raise DTypeError('an array is put into a Context', got=repr(context), remedy='mx.cpu(), mx.gpu(0)')
        return self if context == self.context else self._moved(context)

    def as_in_ctx(self, ctx: Context) -> Self:
        """As `as_in_context`."""
        return self.as_in_context(ctx)

    to_device: Callable[..., Self] = as_in_context

    def _moved(self, context: Context) -> Self:
        moved = jax.device_put(self.value, context.device)
        if not (tape.scope().recording and self.tracked.is_recorded):
            return type(self)(moved, None, None, virtual(context))
        home = self.context.device
        node = tape.Node('as_in_context', [self.tracked], (0,), [moved], lambda g: [jax.device_put(g[0], home)])
        return type(self)(*tape.attach(node, [moved])[0], None, virtual(context))

    def _brought(self, value: NDArray) -> NDArray:
        """Another array where this one is."""
        arrays = self._value, value.value
        if any(isinstance(array, jax.core.Tracer) for array in arrays):
            return value
        here, there = (array.devices() for array in arrays)
        return value if here == there or len(here) > 1 else value._moved(self.context)

    def as_nd_ndarray(self) -> NDArray:
        """The same array as `mx.nd.NDArray`."""
        return NDArray(self.value, self.entry, _whole(self), self.shared)

    def as_np_ndarray(self) -> NDArray:
        """The same array as `mx.np.ndarray`."""
        return _face(True)(self.value, self.entry, _whole(self), self.shared)

    def check_format(self, full_check: bool = True) -> None:
        """Does nothing: MXNet checks the parts of sparse arrays."""

    def tostype(self, stype: str) -> NDArray:
        """The same elements with another storage type, which is a label: arrays are dense."""
        return self if stype == self.stype else _storage(stype)(self.value, self.entry, None, self.shared)

    # Gradients.

    def attach_grad(self, grad_req: str = 'write', stype: str | None = None) -> None:
        """Makes it a variable, with a gradient of zeros.

        Args:
            grad_req: whether `backward` writes the gradient ('write'), adds to it ('add'), or passes it by ('null').
            stype: the storage type of the gradient, its own by default: a label.
        """
        grad = self.like(Tracked(zeros_like(self.value)))
        self.mark(grad if (stype or self.stype) == 'default' else grad.tostype(stype or self.stype), grad_req)

    def mark(self, grad: NDArray, grad_req: str = 'write') -> None:
        """Makes it a variable whose gradient is written into an array."""
        self.entry = Entry(Leaf(grad, grad_req), 0)
        self._grad = grad
        grad.used = grad.version

    @property
    def _fresh_grad(self) -> bool:
        """Whether something was written into the gradient since a Trainer last used it, as MXNet's programs read it."""
        return self._grad is not None and self._grad.version > self._grad.used

    @_fresh_grad.setter
    def _fresh_grad(self, fresh: bool) -> None:
        if self._grad is not None:
            self._grad.used = self._grad.version - bool(fresh)

    def backward(self, out_grad: NDArray | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Writes the gradients of its sum, or of its product with `out_grad`, into those of the variables."""
        tape.run_backward([self.tracked], [head_gradient(self, out_grad)], retain_graph, train_mode)

    def detach(self) -> Self:
        """The same elements, on no tape."""
        return type(self)(self.value, None, _whole(self), self.shared)

    # Elements.

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError('an array without axes has no length')
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Self:
        key = _plain(key)
        result = invoke.take(self.tracked, key)
        if not invoke.is_contiguous(key, self.shape):
            return self.like(result)
        shape = result.array.shape

        def put(base: Tracked, new: Tracked) -> Tracked:
            return invoke.put(base, key, tape.call(invoke.reshaping(shape), [new])[0][0])

        def get(base: Tracked) -> Tracked:
            part = invoke.take(base, key)
            return part if self.scalars or shape else Tracked(part.array.reshape(1))

        return self.like(result, View(self, get, put))

    def __setitem__(self, key: Any, value: Any) -> None:
        own = None if hasattr(value, 'dtype') else self._value.dtype  # numbers and lists have none of theirs
        new = self._brought(value).tracked if isinstance(value, NDArray) else Tracked(as_jax(value, own))
        if (isinstance(key, slice) and key == slice(None)) or key is Ellipsis:
            try:
                self.assign(tape.call(invoke.broadcasting(self.shape, self._value.dtype.name), [new])[0][0])
            except ValueError as error:
                raise _misfit(self.shape, new.array.shape) from error
            return
        try:
            result = invoke.put(self.tracked, _plain(key), new)
        except ValueError as error:
            raise _misfit(self[key].shape, new.array.shape) from error
        self.assign(result)

    def reshape(self, *shape: Any, reverse: bool = False, **kwargs: Any) -> Self:
        """In another shape, by MXNet's codes: a view."""
        codes = kwargs.get('shape', shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        before, after = self.shape, tuple(reshaped(self.shape, list(codes), reverse))
        there, back = invoke.reshaping(after), invoke.reshaping(before)
        view = View(self, lambda x: tape.call(there, [x])[0][0], lambda _, new: tape.call(back, [new])[0][0])
        return self.like(tape.call(there, [self.tracked])[0][0], view)

    def reshape_like(self, other: NDArray, **axes: int | None) -> Self:
        """In the shape of another array: a view; a copy with some axes like some of the other's (`lhs_begin`, ...)."""
        return call('reshape_like', self, other, **axes) if axes else self.reshape(other.shape)

    def broadcast_to(self, shape: Sequence[int]) -> Self:
        """In a larger shape, with more axes in front."""
        return call(
            'broadcast_to', self.reshape((1,) * (len(shape) - self.ndim) + self.shape), shape=tuple(map(int, shape))
        )

    def transpose(self, *axes: Any, **kwargs: Any) -> Self:
        """With axes in another order: reversed, or as given."""
        axes = axes or (kwargs.get('axes', ()),)
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return call('transpose', self, axes=tuple(order or ()))

    def split(self, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Any:
        """In equal parts along an axis."""
        return call('split', self, num_outputs=num_outputs, axis=axis, squeeze_axis=squeeze_axis)

    def split_v2(self, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False) -> Any:
        """In equal parts, or at indices."""
        many = isinstance(indices_or_sections, int)
        cut = {'sections': indices_or_sections} if many else {'indices': (0, *indices_or_sections)}
        return call('_split_v2', self, **cut, axis=axis, squeeze_axis=squeeze_axis)

    def to_dlpack_for_read(self) -> Any:
        """What other libraries' `from_dlpack` takes."""
        return self.value

    def to_dlpack_for_write(self) -> Any:
        """As `to_dlpack_for_read`: arrays of JAX are not written by others."""
        return self.value

    def zeros_like(self) -> Self:
        """Zeros of its shape and dtype."""
        return self.like(Tracked(zeros_like(self.value)))

    def ones_like(self) -> Self:
        """Ones of its shape and dtype."""
        return self.like(Tracked(jnp.ones_like(self.value)))

    if not TYPE_CHECKING:  # a type checker would accept any name

        def __getattr__(self, name: str) -> Any:
            """Every operator is a method of its first input."""
            if name.startswith('_') or name not in OPERATORS:
                raise MissingNameError(f'NDArray has no attribute {name!r}', name=name)
            return lambda *args, **kwargs: call(name, self, *args, **kwargs)

    # Numbers.

    def _one(self) -> Any:
        if self.size != 1:
            raise ShapeError('the truth or number of an array is that of its one element', got=self.shape)
        return self.asnumpy().reshape(())

    def __bool__(self) -> bool:
        return self.size > 0 and bool(self._one())

    def __float__(self) -> float:
        return float(self._one())

    def __int__(self) -> int:
        return int(self._one())

    def __index__(self) -> int:
        return functions.index(self._one().item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.asnumpy() if dtype is None else self.asnumpy().astype(dtype)

    def __jax_array__(self) -> jax.Array:
        return self.value

    def __repr__(self) -> str:
        if isinstance(self.value, jax.core.Tracer):
            return traced_text(self)
        sizes = 'x'.join(map(str, self.shape))
        return f'\n{np.asarray(self.value)}\n<{type(self).__name__} {sizes} @{self.context}>'

    def __reduce__(self) -> Any:
        return _unpickled, (type(self), self.asnumpy())

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Self:
        return type(self)(self.value, None, None, self.shared)

    # Arithmetic.

    def __add__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_add', '_plus_scalar')

    __radd__: Callable[[Any, Any], Self] = __add__

    def __sub__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_sub', '_minus_scalar')

    def __rsub__(self, other: Any) -> Self:
        return _reflected(self, other, 'broadcast_sub', '_rminus_scalar')

    def __mul__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_mul', '_mul_scalar')

    __rmul__: Callable[[Any, Any], Self] = __mul__

    def __truediv__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_div', '_div_scalar')

    def __rtruediv__(self, other: Any) -> Self:
        return _reflected(self, other, 'broadcast_div', '_rdiv_scalar')

    def __mod__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_mod', '_mod_scalar')

    def __rmod__(self, other: Any) -> Self:
        return _reflected(self, other, 'broadcast_mod', '_rmod_scalar')

    def __pow__(self, other: Any) -> Self:
        return _arithmetic(self, other, 'broadcast_power', '_power_scalar')

    def __rpow__(self, other: Any) -> Self:
        return _reflected(self, other, 'broadcast_power', '_rpower_scalar')

    def __neg__(self) -> Self:
        return call('negative', self)

    def __abs__(self) -> Self:
        return call('abs', self)

    def __iadd__(self, other: Any) -> Self:
        return self._updated(self + other)

    def __isub__(self, other: Any) -> Self:
        return self._updated(self - other)

    def __imul__(self, other: Any) -> Self:
        return self._updated(self * other)

    def __itruediv__(self, other: Any) -> Self:
        return self._updated(self / other)

    def __imod__(self, other: Any) -> Self:
        return self._updated(self % other)

    def __ipow__(self, other: Any) -> Self:
        return self._updated(self**other)

    def _updated(self, new: NDArray) -> Self:
        if new.shape != self.shape:
            raise _misfit(self.shape, new.shape)
        self[:] = new
        return self

    def __eq__(self, other: object) -> Any:
        return False if other is None else _comparison(self, other, 'equal')

    def __ne__(self, other: object) -> Any:
        return True if other is None else _comparison(self, other, 'not_equal')

    def __gt__(self, other: Any) -> Any:
        return _comparison(self, other, 'greater')

    def __ge__(self, other: Any) -> Any:
        return _comparison(self, other, 'greater_equal')

    def __lt__(self, other: Any) -> Any:
        return _comparison(self, other, 'lesser')

    def __le__(self, other: Any) -> Any:
        return _comparison(self, other, 'lesser_equal')

    def __hash__(self) -> int:
        return id(self)


_FACES: dict[bool, type[NDArray]] = {False: NDArray}  # whether it is NumPy's -> the class


def enter_face(cls: Any) -> Any:
    """Makes a class the one of arrays in the dialect of NumPy."""
    _FACES[True] = cls
    return cls


def array_class() -> type[NDArray]:
    """That of the arrays that Gluon takes and gives: `mx.np.ndarray` after `npx.set_np()`."""
    return _face(is_np_array())


def _face(numpy: bool) -> type[NDArray]:
    if numpy not in _FACES:
        importlib.import_module('gluonjax.mx.numpy')  # which enters it
    return _FACES[numpy]


def _storage(stype: str) -> type[NDArray]:
    """The class of arrays of a storage type."""
    return NDArray if stype == 'default' else importlib.import_module('gluonjax.mx.sparse').class_of(stype)


def _whole(base: NDArray) -> View:
    return View(base, lambda x: x, lambda _, new: new)


def _unpickled(kind: type[NDArray], array: np.ndarray) -> NDArray:
    return kind(jnp.asarray(array))


def _plain(key: Any) -> Any:
    """A key with arrays of JAX for those of MXNet."""
    if isinstance(key, tuple):  # tuples in it are lists of numbers, as to NumPy
        return tuple(list(_plain(item)) if isinstance(item, tuple) else _plain(item) for item in key)
    if isinstance(key, range):
        return list(key)
    if isinstance(key, str):
        raise ArgumentError('an array is indexed by numbers, slices and arrays', got=repr(key))
    return key.value if isinstance(key, NDArray) else key


def _misfit(expected: Any, got: Any) -> ShapeError:
    return ShapeError('the value does not fit into the array', expected=expected, got=got)


def canonical(dtype: DTypeLike) -> np.dtype:
    """The dtype as JAX can have it; it says so once if that has fewer bits."""
    wanted = jnp.dtype(dtype)
    found = dtype_of(wanted.name)
    if found.itemsize < wanted.itemsize:
        note_fewer_bits(wanted.name, found.name)
    return found


@functools.cache
def note_fewer_bits(wanted: str, found: str) -> None:
    """Says, once, that a dtype has fewer bits than was asked for."""
    remedy = "jax.config.update('jax_enable_x64', True) before the first array gives 64"
    warnings.warn(f'JAX has 32 bits unless told otherwise: {wanted} is {found} here; {remedy}', stacklevel=4)


def as_jax(value: Any, dtype: DTypeLike | None = None, ctx: Context | None = None) -> jax.Array:
    """An array of JAX; numbers and lists are float32, as MXNet makes them, where no dtype is said."""
    if isinstance(value, NDArray):
        value = value.value
    if not isinstance(value, list | tuple):
        value = admit(value)  # a copy of NumPy's: JAX would read the caller's memory after this has returned
    wanted = canonical(dtype if dtype is not None else getattr(value, 'dtype', np.dtype('float32')))
    if isinstance(value, jax.Array):
        return placed(jnp.array(value, wanted), ctx)
    if not isinstance(value, np.ndarray):
        try:
            value = admit(np.asarray(value), copy=False)
        except ValueError:  # lists of unequal lengths
            raise DTypeError('the value is no array of numbers', got=repr(value)) from None
    return placed(jnp.asarray(value, wanted), ctx)


def placed(array: jax.Array, ctx: Context | None) -> jax.Array:
    """The array in a context; by default in the current one."""
    device = (ctx or current_context()).device
    return array if device == default_device() else jax.device_put(array, device)


def made_in(ctx: Context | None, kind: type[_Kind], value: jax.Array) -> _Kind:
    """An array of a class in a context; by default in the current one."""
    return kind(placed(value, ctx), None, None, virtual(ctx))


def head_gradient(head: NDArray, given: NDArray | None) -> Tracked:
    """That of a head of `backward`: ones where none is given."""
    if given is None:
        return Tracked(_ones(head.shape, head.value.dtype.name))
    if given.shape != head.shape:
        raise ShapeError('a head gradient has the shape of its head', expected=head.shape, got=given.shape)
    return given.tracked


@functools.lru_cache(64)
def _ones(shape: tuple[int, ...], dtype: str) -> jax.Array:
    with jax.ensure_compile_time_eval():
        return jnp.ones(shape, dtype)


def _arithmetic(left: NDArray, right: Any, of_arrays: str, of_number: str) -> Any:
    if isinstance(right, NDArray):
        return call(of_arrays, left, right)
    if isinstance(right, np.ndarray | jax.Array) and right.ndim:
        return call(of_arrays, *_of_one_dtype(left, right))
    if isinstance(right, bool | int | float | np.generic | np.ndarray | jax.Array):
        if of_number in ('_power_scalar', '_rpower_scalar'):
            return call(of_number, left, scalar=float(right))
        return left.like(invoke.scalar(of_number, left.tracked, right))
    return NotImplemented


def _of_one_dtype(own: NDArray, given: Any) -> tuple[NDArray, NDArray]:
    """An array of MXNet's, and one of NumPy or JAX as such: of the dtype of the first, or of what both need."""
    array = as_jax(given)
    wanted = jnp.promote_types(own.value.dtype, array.dtype)
    return own.astype(wanted, copy=False), own.like(Tracked(array.astype(wanted)))


def _reflected(right: NDArray, left: Any, of_arrays: str, of_number: str) -> Any:
    if isinstance(left, np.ndarray | jax.Array) and left.ndim:
        return call(of_arrays, *reversed(_of_one_dtype(right, left)))
    return _arithmetic(right, left, of_arrays, of_number)


def _comparison(left: NDArray, right: Any, name: str) -> Any:
    return _arithmetic(left, right, f'broadcast_{name}', f'_{name}_scalar')


def call(name: str, /, *args: Any, out: Any = None, **kwargs: Any) -> Any:
    """An operator of the table: inputs in order or by name, then attributes in order or by name.

    Args:
        name: the operator's.
        *args: arrays, then attributes.
        out: an array that is written, and returned.
        **kwargs: arrays and attributes by name; `name` and `ctx` are MXNet's.

    Raises:
        ArgumentError: for an unknown operator, or others inputs and attributes than it has.
    """
    try:
        operator = find(name)
        kwargs.pop('name', None)
        if name.startswith('broadcast_') and not operator.annotations:
            kwargs.pop('axis', None)  # which MXNet passes by
        arrays, attributes = _sorted_out(operator, args, kwargs)
        if (dtype := casting.dtype_for(operator.name)) is not None:
            arrays = [x if x is None or not casting.is_cast(x, dtype) else call('Cast', x, dtype=dtype) for x in arrays]
        operator, arrays, attributes = prepared(operator, arrays, attributes)
        first = next((x for x in arrays if x is not None), None)
        outputs, updates = invoke.run(operator, [None if x is None else x.tracked for x in arrays], attributes)
        if updates:
            _write_states(operator, operator.parse(attributes), arrays, outputs, updates)
        if out is not None:
            targets = out if isinstance(out, list | tuple) else [out]
            for target, output in zip(targets, outputs, strict=True):
                target[:] = NDArray(*output)
            return out
    except _OF_ARGUMENTS as error:
        if not isinstance(error, GluonError | jax.errors.JAXTypeError):
            _refuse(name, args, kwargs, error)
        if isinstance(error, ArgumentError):
            _check_arrays(name, args)
        raise
    results = [NDArray(*output) if first is None else first.like(output) for output in outputs]
    return results[0] if len(results) == 1 else results


_OF_ARGUMENTS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError, GluonError)


def _refuse(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], error: Exception) -> None:
    """Refuses what an operator was given, for the reason of an error.

    Raises:
        ShapeError: for arrays of other shapes and dtypes.
        ArgumentError: for other values, and of the kind that the error is.
    """
    if keywords.is_of_the_caller(error):
        return
    given = [*args, *kwargs.values()]
    got = ', '.join(f'{x.value.dtype}{list(x.shape)}' if isinstance(x, NDArray) else repr(x) for x in given)
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    what = f'{name} does not take these arrays: {reason}'
    if type(error) in (TypeError, ValueError) and all(isinstance(x, NDArray) for x in args):
        raise ShapeError(what, got=got) from error
    raise keywords.refusal_of(error)(what, got=got) from error


def _check_arrays(name: str, args: Sequence[Any]) -> None:
    """Refuses what is no NDArray in the place of an input.

    Raises:
        ArgumentError: naming the input.
    """
    operator = OPERATORS.get(name)
    if operator is None or operator.variadic:
        return
    optional = {*operator.may_be_missing, *operator.only_if}
    for own, x in zip(operator.inputs, args, strict=False):
        if own not in optional and not isinstance(x, NDArray):
            got = type(x).__name__
            raise ArgumentError(f'{own} of {name} must be an NDArray, got {got}', remedy='nd.array(x)') from None


def _write_states(
    operator: Operator, attributes: Any, arrays: Sequence[Any], outputs: Sequence[Tracked], updates: Any
) -> None:
    """Running statistics of training in the backward pass; the states of optimizers, and other ones, at once."""
    if operator.variadic:  # a weight, a gradient and states for each output
        size = len(updates) // len(outputs) + 2
        states = [x for i, x in enumerate(arrays[: size * len(outputs)]) if i % size >= 2]
        for state, value in zip(states, updates, strict=True):
            state.assign(Tracked(value))
        return
    if operator.auxiliary[0].startswith('moving_') and not tape.scope().training:
        return
    names = operator.inputs_for(attributes)
    for name, value in zip(operator.auxiliary, updates, strict=True):
        state = arrays[names.index(name)]
        if state is not None:
            new = value.astype(state.value.dtype)
            if name.startswith('moving_'):
                statistics.change([y.entry for y in outputs], [state], [new], [attributes['momentum']])
            else:
                state.assign(Tracked(new))


def _sorted_out(operator: Operator, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The inputs in the operator's order, and the attributes."""
    items = list(args)
    if operator.variadic:
        items = [item for arg in args for item in (arg if isinstance(arg, list | tuple) else [arg])]
        items = [*items, *(kwargs.pop(key) for key in sorted(kwargs) if isinstance(kwargs[key], NDArray))]
    count = next((i for i, item in enumerate(items) if not isinstance(item, NDArray | None)), len(items))
    arrays, rest = items[:count], items[count:]
    by_name = {key: value for key, value in kwargs.items() if isinstance(value, NDArray)}
    attributes = {
        key: value
        for key, value in kwargs.items()
        if key not in by_name and (value is not None or may_be_none(operator.annotations.get(key)))
    }
    if operator.variadic:
        if 'num_args' in operator.annotations:
            attributes.setdefault('num_args', len(arrays))
        return arrays, attributes
    free = [key for key in operator.annotations if key not in attributes]
    attributes.update({key: value for key, value in zip(free, rest, strict=False) if value is not None})
    names = operator.inputs_for(operator.parse(attributes))
    while len(arrays) > len(names) and arrays[-1] is None:
        arrays.pop()
    unknown = [key for key in by_name if key not in names]
    if unknown or len(arrays) > len(names) or len(rest) > len(free):
        got = unknown or f'{len(arrays)} arrays, and {len(rest)} attributes without a name'
        raise ArgumentError(f'{operator.name} takes other inputs', expected=', '.join(names), got=got)
    given = dict(zip(names, arrays, strict=False)) | by_name
    missing = [key for key in names if given.get(key) is None and key not in operator.may_be_missing]
    if missing:
        raise ArgumentError(f'{operator.name} lacks {missing[0]}', expected=', '.join(names))
    return [given.get(key) for key in names], attributes
