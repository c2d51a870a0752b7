"""Parameters of Gluon: a name, a value and a gradient that are mutable arrays."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from gluonjax import keys
from gluonjax.errors import (
    ArgumentError,
    DeferredInitializationError,
    DTypeError,
    GluonError,
    ParamsError,
    PatternError,
    ShapeError,
    UninitializedError,
)
from gluonjax.init import Initializer
from gluonjax.io import mxnet_params
from gluonjax.layer import choose, request
from gluonjax.mx.array import NDArray, array_class, as_jax, canonical, made_in, placed
from gluonjax.mx.context import Context, current_context
from gluonjax.mx.dialect import is_np_array, is_np_shape
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.files import read
from gluonjax.mx.jitted import zeros_like
from gluonjax.mx.sparse import class_of
from gluonjax.mx.symbol import Symbol, var
from gluonjax.mx.tape import Tracked
from gluonjax.param import Leaf, Param
from gluonjax.sampler import draw
from gluonjax.shapes import is_known, merge_shapes


class Parameter:
    """A value with a gradient, which a Trainer updates.

    Args:
        name: its whole name, as 'dense0_weight'.
        grad_req: 'write', 'add' or 'null', as of `attach_grad`.
        shape: its shape; None, 0 or -1 for sizes that the first input decides.
        dtype: its dtype.
        lr_mult: what a Trainer multiplies the learning rate with.
        wd_mult: what a Trainer multiplies the weight decay with.
        init: its own initializer.
        allow_deferred_init: whether `initialize` may wait for the first input.
        differentiable: False for running statistics: no gradient.
        stype: MXNet's storage type. Arrays are dense; but the value of 'row_sparse' is read by `row_sparse_data`.
        grad_stype: that of the gradient: a label.

    Raises:
        ArgumentError: for another `grad_req`, `stype` or `grad_stype`.

    >>> p = Parameter('w', shape=(2,))
    >>> p.initialize('ones')
    >>> p.data().asnumpy()
    array([1., 1.], dtype=float32)
    """

    def __init__(
        self,
        name: str,
        grad_req: str = 'write',
        shape: Any = None,
        dtype: DTypeLike = np.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
        differentiable: bool = True,
        stype: str = 'default',
        grad_stype: str = 'default',
    ):
        self.name: str = name
        self.role: str = name  # by which initializers know it
        self.lr_mult: float = lr_mult
        self.wd_mult: float = wd_mult
        self.init: Any = init
        self.allow_deferred_init: bool = allow_deferred_init
        self._shape = _declared(shape)
        self._dtype: DTypeLike = dtype
        self._differentiable = differentiable
        self._grad_req = _request(grad_req) if differentiable else 'null'
        self._stype, self._grad_stype = _storage('stype', stype), _storage('grad_stype', grad_stype)
        self.trainer: Any = None  # that updates it
        self._arrays: dict[Context, NDArray] = {}  # one for each device
        self._waits: tuple[Any, list[Context]] | None = None
        self._variable: Symbol | None = None
        self._general = True  # whether the initializer that waits is the network's, after which its own goes

    def __repr__(self) -> str:
        return f'{type(self).__name__} {self.name} (shape={self.shape}, dtype={self._dtype})'  # as it was given

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Its shape, with 0 for what is unknown, -1 under `npx.set_np()`; None if nothing is known."""
        unknown = -1 if is_np_shape() else 0
        return None if self._shape is None else tuple(size or unknown for size in self._shape)

    @shape.setter
    def shape(self, shape: Any) -> None:
        merged = _declared(shape) if self._shape is None else merge_shapes(self._shape, _declared(shape) or ())
        if merged is None:
            raise ShapeError(f'{self.name} has another shape', expected=self.shape, got=shape)
        self._shape = merged

    @property
    def known_shape(self) -> tuple[int | None, ...] | None:
        """Its shape, with None for sizes that are unknown, in either dialect."""
        return self._shape

    @property
    def dtype(self) -> Any:
        """NumPy's type of its elements."""
        return canonical(self._dtype).type

    @property
    def grad_req(self) -> str:
        """'write', 'add' or 'null'."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, request: str) -> None:
        self._grad_req = _request(request) if self._differentiable else 'null'
        for array in self._arrays.values():
            self._attach(array)

    @property
    def grad_stype(self) -> str:
        """The storage type of the gradient: a label."""
        return self._grad_stype

    @grad_stype.setter
    def grad_stype(self, stype: str) -> None:
        self._grad_stype = _storage('grad_stype', stype)

    def initialize(
        self, init: Any = None, ctx: Any = None, default_init: Any = None, force_reinit: bool = False
    ) -> None:
        """Draws the value, or waits for the first input to complete the shape.

        Raises:
            ArgumentError: if the shape is unknown and it may not wait.
        """
        if self._arrays and not force_reinit:
            what = f'parameter {self.name} is initialized already, and stays as it is'
            warnings.warn(f'{what}; force_reinit=True draws it again', stacklevel=2)
            return
        self._waits = (init if init is not None else default_init, _devices(ctx))
        self._general = init is None
        if is_known(self._shape):
            self.finish()
        elif not self.allow_deferred_init:
            self._waits = None
            raise ArgumentError(f'the shape of {self.name} is unknown', got=self.shape, remedy='declare its sizes')

    def finish(self) -> None:
        """Draws the value that waited for the shape."""
        if self._waits is None:
            raise UninitializedError(f'parameter {self.name} has not been initialized', remedy='net.initialize()')
        given, contexts = self._waits
        shape: Any = self._shape
        declared = self.init if self._general else given
        if declared is None and not isinstance(given, Mapping) and not _looks_at_names(given):
            declared = 'uniform' if given is None else given  # whatever the name: MXNet looks at those of symbols alone
        leaf = Leaf(self.role, (self.role, self.name), shape, Param(shape, self._dtype, declared))
        chosen = choose([leaf], given)[self.role]
        with keys.next_key() as key:
            wanted = request(key, self.role, shape, canonical(self._dtype).name, chosen)
            value = draw([wanted._replace(source=chosen.source(self.name, shape))])[0]
        self._waits = None
        self._put(value, contexts)

    def _put(self, value: Any, contexts: Sequence[Context]) -> None:
        """Makes new arrays of a value; what programs hold of those before stays as it is."""
        kind: type[NDArray] = array_class() if self._stype == 'default' else class_of(self._stype)
        self._arrays = {context: made_in(context, kind, value) for context in contexts}
        for array in self._arrays.values():
            self._attach(array)

    def _attach(self, data: NDArray) -> None:
        if self._grad_req == 'null':
            data.entry = None
        else:
            data.attach_grad(self._grad_req, self._grad_stype)

    @property
    def is_ready(self) -> bool:
        """Whether it has a value."""
        return bool(self._arrays)

    @property
    def waits(self) -> bool:
        """Whether its value waits for the first input."""
        return self._waits is not None

    def var(self) -> Symbol:
        """Its variable in graphs, which says how it is initialized: the same one each time."""
        if self._variable is None:
            said = isinstance(self.init, str) or hasattr(self.init, 'dumps')
            stype = None if self._stype == 'default' else self._stype
            self._variable = var(self.name, init=self.init if said else None, stype=stype)
        return self._variable

    def data(self, ctx: Context | None = None) -> NDArray:
        """The value; of several, that in a context, by default the current one.

        Raises:
            UninitializedError: before `initialize`, or if it was initialized in other contexts.
            DeferredInitializationError: while it waits for the first input.
            GluonError: if its storage type is not 'default'.
        """
        self._check_storage(False)
        return self._array_in(ctx)

    def _check_storage(self, by_rows: bool) -> None:
        """Refuses to read a value by rows, or as a whole, as MXNet does by its storage type."""
        if by_rows is (self._stype == 'default'):
            remedy = 'p.data()' if by_rows else 'p.row_sparse_data(mx.nd.arange(p.shape[0]))'
            raise GluonError(f'the storage type of parameter {self.name} is {self._stype!r}', remedy=remedy)
        if by_rows and self.trainer is None:
            raise GluonError(f'parameter {self.name} has no Trainer yet', remedy='gluon.Trainer([p], ...) first')

    def _array_in(self, ctx: Context | None) -> NDArray:
        arrays = self.arrays()
        if ctx is None and len(arrays) == 1:
            return arrays[0]
        context = ctx or current_context()
        if context not in self._arrays:
            expected = ', '.join(map(repr, self._arrays))
            remedy = 'net.collect_params().reset_ctx(...)'
            raise UninitializedError(
                f'parameter {self.name} was not initialized in {context}', expected=expected, remedy=remedy
            )
        return self._arrays[context]

    def context_for(self, inputs: Sequence[Any]) -> Context | None:
        """Where a call with these inputs reads it, if it has several arrays."""
        if len(self._arrays) < 2:
            return None
        return next((x.context for x in inputs if isinstance(x, NDArray)), None)

    def list_data(self) -> list[NDArray]:
        """The value in each context; raises as `data`."""
        self._check_storage(False)
        return self.arrays()

    def arrays(self) -> list[NDArray]:
        """The value in each context, of whatever storage type; raises as `data` for one that is not there."""
        if not self._arrays:
            if self._waits is None:
                raise UninitializedError(f'parameter {self.name} has not been initialized', remedy='net.initialize()')
            what = f'parameter {self.name} is not initialized yet: its shape {self.shape} waits for the first input'
            raise DeferredInitializationError(what, remedy='call net(x) once')
        return list(self._arrays.values())

    def mean_data(self) -> NDArray:
        """The mean over the contexts, as files hold it: running statistics differ."""
        first, *others = self.arrays()
        if not others:
            return first
        home = first.context
        values = jnp.stack([first.value, *(array.as_in_context(home).value for array in others)])
        return array_class()(values.mean(0).astype(first.value.dtype))

    def grad(self, ctx: Context | None = None) -> NDArray:
        """The gradient; of several, as `data`.

        Raises:
            ArgumentError: if it has none.
        """
        return self._grad_of(self._array_in(ctx))

    def list_grad(self) -> list[NDArray]:
        """The gradient in each context; raises as `grad`."""
        return [self._grad_of(array) for array in self.arrays()]

    def _grad_of(self, array: NDArray) -> NDArray:
        if array.grad is None or self._grad_req == 'null':
            raise ArgumentError(f"parameter {self.name} has no gradient: its grad_req is 'null'")
        return array.grad

    def list_ctx(self) -> list[Context]:
        """Where it is, or will be."""
        if self._waits is not None:
            return list(self._waits[1])
        self.arrays()
        return list(self._arrays)

    @property
    def is_fresh(self) -> bool:
        """Whether something was written into the gradient since a Trainer last used it."""
        gradient = next(iter(self._arrays.values())).grad if self._arrays else None
        return gradient is not None and gradient.version > gradient.used

    def row_sparse_data(self, row_id: NDArray) -> NDArray:
        """The rows of the value that are asked for, in the context that asks, and zeros for the others.

        Raises:
            GluonError: if its storage type is 'default', or it has no Trainer.
        """
        self._check_storage(True)
        return self._rows(self._array_in(row_id.context), row_id)

    def list_row_sparse_data(self, row_id: NDArray) -> list[NDArray]:
        """As `row_sparse_data`, in each context."""
        self._check_storage(True)
        return [self._rows(array, row_id) for array in self.arrays()]

    def _rows(self, array: NDArray, row_id: NDArray) -> NDArray:
        """An array with zeros but in these rows, whose gradient is that of the parameter."""
        wanted = np.isin(np.arange(len(array)), row_id.asnumpy())
        if wanted.all():
            return array
        kept = jnp.where(wanted.reshape(-1, *[1] * (array.ndim - 1)), array.value, 0)
        return type(array)(kept, array.entry, None, array.shared)

    def zero_grad(self) -> None:
        """Sets the gradient to zeros."""
        if self._grad_req != 'null' and self._arrays:
            for grad in self.list_grad():
                grad.assign(Tracked(zeros_like(grad.value)))

    def set_data(self, data: Any) -> None:
        """Sets the value, in its dtype.

        Raises:
            ShapeError: if the shape does not fit.
        """
        value = as_jax(data, canonical(self._dtype))
        self.shape = value.shape
        if self.trainer is not None:
            self.trainer.forget(self)
        if not self._arrays:
            contexts = _devices(None) if self._waits is None else self._waits[1]
            self._waits = None
            self._put(value, contexts)
        for context, array in self._arrays.items():
            array.entry, entry = None, array.entry
            array.assign(Tracked(value if len(self._arrays) == 1 else placed(value, context)))
            array.entry = entry

    def check_declared(self, shape: Any = None, dtype: DTypeLike | None = None, **kwargs: Any) -> None:
        """Compares what a second block says of it; completes the shape.

        Raises:
            ShapeError: if it has another shape.
            DTypeError: if it has another dtype.
        """
        if dtype is not None and canonical(dtype) != canonical(self._dtype):
            raise DTypeError(f'{self.name} has another dtype', expected=self.dtype.__name__, got=dtype)
        if shape is not None:
            self.shape = shape

    def check_loaded(self, data: Any) -> None:
        """Compares the dtype of a value from a file.

        Raises:
            DTypeError: if it has another.
        """
        if canonical(data.dtype) != canonical(self._dtype):
            remedy = "cast_dtype=True, and dtype_source='saved' for that of the file"
            what = f'parameter {self.name} has another dtype in the file'
            raise DTypeError(what, expected=self.dtype.__name__, got=data.dtype, remedy=remedy)

    @property
    def stypes(self) -> set[str]:
        """Which of 'weight' and 'gradient' MXNet would store by rows."""
        return {what for what, stype in (('weight', self._stype), ('gradient', self._grad_stype)) if stype != 'default'}

    # What programs read and call by MXNet's private names.

    @property
    def _data(self) -> list[NDArray] | None:
        return list(self._arrays.values()) or None

    @property
    def _grad(self) -> list[NDArray] | None:
        return self.list_grad() if self._arrays and self._grad_req != 'null' else None

    @property
    def _deferred_init(self) -> tuple[Any, ...]:
        return () if self._waits is None else (self.init, self._waits[1], self._waits[0], None)

    @property
    def _trainer(self) -> Any:
        return self.trainer

    def set_trainer(self, trainer: Any) -> None:
        """Says which Trainer updates it; None for none.

        Raises:
            GluonError: for a second one of sparse values.
        """
        if self._stype != 'default' and None not in (self.trainer, trainer) and self.trainer is not trainer:
            raise GluonError(f'parameter {self.name} has a Trainer', remedy='one Trainer for sparse values')
        self.trainer = trainer

    _set_trainer = set_trainer

    def _finish_deferred_init(self) -> None:
        if self._waits is not None:
            self.finish()

    def _reduce(self) -> NDArray:
        return self.mean_data()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), 'trainer': None}

    def cast(self, dtype: DTypeLike) -> None:
        """Changes the dtype of value and gradient."""
        self._dtype = dtype
        if self._arrays:
            self._put(as_jax(self.mean_data(), dtype), list(self._arrays))

    def reset_ctx(self, ctx: Any) -> None:
        """Moves it to another device, or to several."""
        if self._arrays:
            self._put(self.mean_data().value, _devices(ctx))
        elif self._waits is not None:
            self._waits = self._waits[0], _devices(ctx)


def _request(grad_req: str) -> str:
    if grad_req not in ('write', 'add', 'null'):
        raise ArgumentError("grad_req must be 'write', 'add' or 'null'", got=repr(grad_req))
    return grad_req


def _storage(what: str, stype: str) -> str:
    if stype not in ('default', 'row_sparse', 'csr'):
        raise ArgumentError(f"{what} must be 'default', 'row_sparse' or 'csr'", got=repr(stype))
    return stype


class Constant(Parameter):
    """A value that is not trained.

    Args:
        name: its whole name.
        value: an array, or lists of numbers; float32, but for arrays of MXNet, and in NumPy's dialect.
    """

    def __init__(self, name: str, value: Any):
        kept = isinstance(value, NDArray) or is_np_array()
        array = as_jax(value, None if kept else 'float32')
        super().__init__(name, 'null', array.shape, array.dtype, differentiable=False)
        self.value: NDArray = array_class()(array)

    def holds(self, value: Any) -> bool:
        """Whether it is the constant with this value."""
        array = as_jax(value)
        return array.shape == self.value.shape and bool((array == self.value.value).all())

    def initialize(
        self, init: Any = None, ctx: Any = None, default_init: Any = None, force_reinit: bool = False
    ) -> None:
        """Sets the value."""
        if not self._arrays:
            self._waits = None, _devices(ctx)
        self.set_data(self.value)


class ParameterDict(Mapping[str, Parameter]):
    """Parameters by their whole names.

    Args:
        prefix: what names begin with.
        shared: where parameters of the same name are taken from.
    """

    def __init__(self, prefix: str = '', shared: ParameterDict | None = None):
        self.prefix: str = prefix
        self.shared: ParameterDict | None = shared
        self._params: dict[str, Parameter] = {}

    def __getitem__(self, name: str) -> Parameter:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def values(self) -> Any:
        """The parameters."""
        return self._params.values()

    def __repr__(self) -> str:
        return '\n'.join([f'{self.prefix} (', *(f'  {p!r}' for p in self._params.values()), ')'])

    def get(self, name: str, default: Any = None, **kwargs: Any) -> Any:
        """The parameter called prefix + name, made if it is not there; with arguments of `Parameter`.

        Raises:
            ShapeError: if it is there, with another shape.
            DTypeError: likewise, with another dtype.
        """
        found = self._found(self.prefix + name)
        if found is None:
            found = Parameter(self.prefix + name, **kwargs)
            found.role = name
        else:
            found.check_declared(**kwargs)
        self._params[found.name] = found
        return found

    def get_constant(self, name: str, value: Any = None) -> Parameter:
        """The constant called prefix + name, made if it is not there.

        Raises:
            ArgumentError: if it is there, with another value.
            PatternError: if it is not, without a value.
        """
        found = self._found(self.prefix + name)
        if found is None and value is None:
            raise PatternError(f'there is no constant {self.prefix + name!r}', remedy='give its value')
        if found is None:
            found = Constant(self.prefix + name, value)
        elif value is not None and not (isinstance(found, Constant) and found.holds(value)):
            raise ArgumentError(f'{found.name} is there already, and is not this constant')
        self._params[found.name] = found
        return found

    def _found(self, name: str) -> Parameter | None:
        if name in self._params:
            return self._params[name]
        return None if self.shared is None else self.shared.get_exact(name)

    def get_exact(self, name: str) -> Parameter | None:
        """The parameter of this whole name; None without one."""
        return self._params.get(name) or (None if self.shared is None else self.shared.get_exact(name))

    def update(self, other: Mapping[str, Parameter], select: str | None = None) -> None:
        """Takes in the parameters of another dict.

        Raises:
            ArgumentError: for another parameter of a name that is there.
        """
        pattern = None if select is None else re.compile(select)
        for name, parameter in other.items():
            if pattern is not None and not pattern.match(name):
                continue
            if self._params.setdefault(name, parameter) is not parameter:
                raise ArgumentError(f'there are two parameters {name!r}', remedy='give the blocks other prefixes')

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initializes all parameters: by their own initializers, or by this one."""
        for parameter in self._params.values():
            parameter.initialize(None, ctx, init, force_reinit)

    def save(self, filename: str | os.PathLike[str], strip_prefix: str = '') -> None:
        """Writes all values by their names, without what those begin with.

        Raises:
            ArgumentError: if a name does not begin with it.
        """
        if wrong := [name for name in self if not name.startswith(strip_prefix)]:
            raise ArgumentError(f'the name of {wrong[0]} does not begin with {strip_prefix!r}')
        values = {name.removeprefix(strip_prefix): p.mean_data().value for name, p in self.items()}
        mxnet_params.save(os.fspath(filename), values)

    def load(
        self,
        filename: str | os.PathLike[str],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = '',
        cast_dtype: bool = False,
        dtype_source: str = 'current',
    ) -> None:
        """Sets values by name from a file.

        Raises:
            ParamsError: for missing values, or others; nothing is set then.
            DTypeError: for other dtypes, without `cast_dtype`; likewise.
        """
        found = read(filename)
        self.load_dict(found, ctx, allow_missing, ignore_extra, restore_prefix, None, cast_dtype, dtype_source)

    def load_dict(
        self,
        param_dict: Mapping[str, Any],
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = '',
        filename: str | None = None,
        cast_dtype: bool = False,
        dtype_source: str = 'current',
    ) -> None:
        """Sets values by name from a dict; `filename` is accepted.

        Raises:
            ParamsError: for missing values, or others; nothing is set then.
            DTypeError: for other dtypes, without `cast_dtype`; likewise.
        """
        named = mxnet_params.without_kinds({k: getattr(x, 'value', x) for k, x in param_dict.items()})
        given = {restore_prefix + name: value for name, value in named.items()}
        missing = [] if allow_missing else [f'missing: {name}' for name in self if name not in given]
        extra = [] if ignore_extra else [f'extra: {name}' for name in given if name not in self]
        if missing or extra:
            remedy = 'restore_prefix=, allow_missing=, ignore_extra='
            raise ParamsError('the file is not of these parameters', got=', '.join(missing + extra), remedy=remedy)
        load_values(dict(self), given, cast_dtype, dtype_source)
        if ctx is not None:
            self.reset_ctx(ctx)

    def zero_grad(self) -> None:
        """Sets all gradients to zeros."""
        for parameter in self._params.values():
            parameter.zero_grad()

    def reset_ctx(self, ctx: Any) -> None:
        """Moves all parameters to another device."""
        for parameter in self._params.values():
            parameter.reset_ctx(ctx)

    def list_ctx(self) -> list[Context]:
        """Where the parameters are, each context once."""
        return list(dict.fromkeys(ctx for parameter in self._params.values() for ctx in parameter.list_ctx()))

    def setattr(self, name: str, value: Any) -> None:
        """Sets an attribute of all parameters."""
        for parameter in self._params.values():
            setattr(parameter, name, value)


def load_values(
    parameters: Mapping[str, Parameter], values: Mapping[str, Any], cast_dtype: bool, dtype_source: str
) -> None:
    """Sets those parameters that a file has values of.

    Args:
        parameters: by name.
        values: by name.
        cast_dtype: whether dtypes may differ.
        dtype_source: which dtype holds then: 'current', that of the parameter, or 'saved'.

    Raises:
        ArgumentError: for another `dtype_source`.
        DTypeError: for other dtypes, without `cast_dtype`; nothing is set then.
    """
    if dtype_source not in ('current', 'saved'):
        raise ArgumentError("dtype_source must be 'current' or 'saved'", got=repr(dtype_source))
    loaded = [(parameter, values[name]) for name, parameter in parameters.items() if name in values]
    for parameter, value in loaded:
        if not cast_dtype:
            parameter.check_loaded(value)
    for parameter, value in loaded:
        if cast_dtype and dtype_source == 'saved':
            parameter.cast(value.dtype)
        parameter.set_data(value)


def _devices(ctx: Any) -> list[Context]:
    """The contexts of a list, or of one or none, each once."""
    given = ctx if isinstance(ctx, list | tuple) else [ctx or current_context()]
    return list(dict.fromkeys(context for context in given if context.device))


def _looks_at_names(init: Any) -> bool:
    return isinstance(init, Initializer) and type(init).for_name is not Initializer.for_name


def _declared(shape: Any) -> tuple[int | None, ...] | None:
    """A shape with None for sizes that are unknown."""
    if shape is None:
        return None
    sizes: Sequence[Any] = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return tuple(int(size) if size is not None and size > 0 else None for size in sizes)


explain_calls(globals(), functions=False)
