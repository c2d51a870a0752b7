"""Param, what a run reads it from, and the bound copies in which it does.

A run walks a bound copy of the definition: the same class, the same fields, and beside them the run and the path.
Attributes are read through the run, so that a Param becomes its array and a child layer becomes callable.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from gluonjax.config import Frozen
from gluonjax.errors import (
    ArgumentError,
    BareLayerError,
    FrozenError,
    GluonError,
    MissingKeyError,
    ShapeError,
    TransformationError,
)
from gluonjax.keys import named_keys
from gluonjax.param import Param, Place, Token, _trace_state
from gluonjax.shapes import Shape, is_known, merge_shapes, shape_text
from gluonjax.tree import Path, map_items

RESERVED_INPUTS = ('key', 'init', 'training')


def _without_naming(construct: Callable) -> Callable:
    """Drops `prefix` and `params` that a Gluon class hands on: both were taken care of before construction."""
    known = inspect.signature(construct).parameters

    @functools.wraps(construct)
    def constructor(self, *args, **kwargs):
        construct(self, *args, **{k: v for k, v in kwargs.items() if k in known or k not in ('prefix', 'params')})

    return constructor


class Bindable(Frozen):
    """What a run can bind: layers, and the classes of Blocks through their definitions.

    Private names of these classes are refused in subclasses, which could not know that they are taken. Our own base
    classes say `own=True`.
    """

    __slots__ = ('_path', '_run', '_token')

    _shared_arguments = ('params',)
    _ignored_arguments = ('prefix',)

    _path: Path  # these two on bound copies only
    _run: 'Run'
    _token: Token
    _taken: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, own: bool = False, **kwargs):
        super().__init_subclass__(**kwargs)
        if '__init__' in vars(cls):
            cls.__init__ = _without_naming(cls.__init__)
        private = {name for name in vars(cls) if name.startswith('_') and not name.endswith('__')}
        if own:
            cls._taken = cls._taken | private | {'_frozen', *Bindable.__slots__}
        elif taken := sorted(private & cls._taken):
            raise ArgumentError(f'{cls.__name__} defines {taken}, which gluonjax uses itself', remedy='rename them')

    @_without_naming
    def __init__(self):
        pass

    @property
    def _class(self) -> 'type[Bindable]':
        return type(self)

    def infer_shape(self, *inputs, **named) -> dict[str, Shape]:
        """The shapes of this layer's own parameters that these inputs ask for: attribute name -> shape."""
        return {}

    def forward(self, *inputs, **named):
        """What this layer computes. Parameters read as arrays here, and child layers can be called."""
        gluon1 = '; rename hybrid_forward(self, F, x, ...), and use jax.numpy and jax.nn for F'
        hint = gluon1 if hasattr(self, 'hybrid_forward') else ''
        raise NotImplementedError(f'{type(self).__name__} has no forward(self, ...){hint}')

    @property
    def training(self) -> bool:
        """In `forward`: True under `apply_train`."""
        raise _not_running(self, 'training')

    @property
    def batch_mask(self) -> jax.Array | None:
        """In `forward`, under training: which samples count, of bool and shape (batch,); None if all do.

        A layer that mixes the samples of a batch leaves out those that do not count: they are padding.
        """
        raise _not_running(self, 'batch_mask')

    def next_key(self) -> jax.Array:
        """In `forward`: a fresh random key, derived from the run's key, this layer's path and a count.

        Inside a `jax.lax.scan`, `vmap` or inner `jit` of your own the key is drawn once a trace, not once a step;
        `self.scan` has a fresh one each step.
        """
        raise _not_running(self, 'next_key()')

    def scan(self, body, init, xs=None, length: int | None = None, *, reverse: bool = False, over: str | None = None):
        """In `forward`: `jax.lax.scan` whose body may call layers.

        Every step has random keys of its own, and what layers record (running statistics) goes from step to step.
        While shapes are being completed, body runs once.

        Args:
            body: `carry, x -> carry, y`.
            init: the first carry.
            xs: a pytree of arrays, whose first axis is that of the steps; None with `length`.
            length: the number of steps.
            reverse: from the last step to the first.
            over: the attribute of a child whose parameters are stacked; step i reads copy i.

        Returns:
            The last carry, and the stacked ys.
        """
        raise _not_running(self, 'scan()')

    def checkpoint(self, function, *arguments, policy=None):
        """In `forward`: `jax.checkpoint` of a function that may call layers, on arguments.

        The gradient computes its inside again instead of keeping it. What layers record inside is kept.

        Args:
            function: of the arguments.
            *arguments: pytrees of arrays.
            policy: one of `jax.checkpoint_policies`, which says what to keep after all.
        """
        raise _not_running(self, 'checkpoint()')


def _not_running(owner, what: str) -> BareLayerError:
    return BareLayerError(f'{type(owner).__name__}.{what} exists only in forward', remedy='ask for it in forward')


def forward_class(definition: Bindable) -> type[Bindable]:
    """The class whose `forward` runs: that of the definition, or of the Block that it defines."""
    return definition._class


class Call(NamedTuple):
    """One call of a layer, as text for tables and errors."""

    path: Path
    kind: str
    inputs: str
    output: str
    leaf: bool  # called no other layer


class Run:
    """One pass through a definition: where values are read, values and shapes are checked, and news is recorded."""

    def __init__(
        self, places: Mapping[str, Place], values, shapes: dict[str, Any], training: bool = False, key=None, mask=None
    ):
        self.places, self.training, self.key, self.mask = places, training, key, mask
        self.values, self.shapes = values, shapes  # without values, the run is there to complete the shapes
        self.recorded: dict[str, Any] = {}
        self.history: list[Call] = []
        self.keys_drawn: dict[Path, int] = {}
        self.sliced: dict[str, int] = {}  # leaf -> how many of its axes of copies the scans around have taken off
        self.recordable = {place.leaf.name for place in places.values() if not place.leaf.param.trainable}
        self.trace = _trace_state() if self.recordable else None
        self.observe: Callable[[Path, Bindable, Any], None] | None = None  # sees each layer's output, inner ones first

    def __call__(self, definition, inputs, named):
        for name in RESERVED_INPUTS:
            if name in named:
                raise ArgumentError(f'an input cannot be named {name!r}', remedy='rename the argument of forward')
        inputs, named = jax.tree.map(
            lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, (inputs, named)
        )
        return bind(definition, self, ())(*inputs, **named)

    def read(self, path: Path, param: Param):
        leaf = self.places['.'.join(path)].leaf.name
        if self.values is not None:
            if self.sliced.get(leaf, 0) != len(param.copies):
                raise BareLayerError(
                    f'{".".join(path)!r} stacks {shape_text(param.copies)} copies, and forward takes one at a time',
                    remedy='call the layer that repeats it, or use self.scan(..., over=...)',
                )
            value = self.current(leaf)
        elif leaf in self.recorded:
            value = self.recorded[leaf]
        elif is_known(self.shapes[leaf]):
            shape = self.shapes[leaf][len(param.copies) :]
            value = jnp.zeros(shape, jax.dtypes.canonicalize_dtype(param.dtype))
        else:
            raise ShapeError(
                f'the shape of {".".join(path)!r} is still unknown where forward reads it',
                got=self.shapes[leaf],
                remedy='declare it whole, or return it from infer_shape of its layer and call that layer',
            )
        return value if param.transform is None else param.transform(value)

    def current(self, leaf: str):
        """The value of a leaf, or what was recorded for it since."""
        return self.recorded[leaf] if leaf in self.recorded else self.values[leaf]

    def record(self, path: Path, param: Param, value) -> None:
        name = '.'.join(path)
        if param.trainable:
            raise FrozenError(
                f'{name!r} is trainable, so forward cannot set it',
                remedy='declare it with Param(trainable=False), or let the optimizer change it',
            )
        if _trace_state() != self.trace:
            raise TransformationError(
                f'{name!r} was recorded inside a transformation of your own (scan, vmap, grad, jit or checkpoint)',
                remedy='return the value from the transformed function, and assign it outside',
            )
        leaf, *_ = self.places[name].leaf
        shape = self.shapes[leaf] and self.shapes[leaf][len(param.copies) :]
        if merge_shapes(shape, np.shape(value)) is None:
            raise ShapeError(
                f'{name!r} was recorded with another shape', expected=shape_text(shape), got=np.shape(value)
            )
        dtype = param.dtype if self.values is None else self.values[leaf].dtype
        self.recorded[leaf] = jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))

    def next_key(self, path: Path) -> jax.Array:
        if self.key is None:
            raise MissingKeyError(
                f'{_where(path)} asks for a random key, and there is none',
                remedy='apply_train(params, x, key=key)' if self.training else 'apply is inference; use apply_train',
            )
        count = self.keys_drawn[path] = self.keys_drawn.get(path, -1) + 1
        return named_keys([self.key], [f'{".".join(path)} {count}'])[0]

    def scan(self, path: Path, body: Callable, carry, xs, length: int | None, reverse: bool, over: str | None):
        length = _steps(xs, length)
        if self.values is None:  # one step completes the shapes
            carry, y = body(carry, jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), xs))
            return carry, jax.tree.map(lambda y: jnp.broadcast_to(y, (length, *jnp.shape(y))), y)
        below = '.'.join((*path, over or '', ''))
        stacked = {place.leaf.name for name, place in self.places.items() if over and name.startswith(below)}
        keys = None if self.key is None else jax.random.split(self.next_key(path), length)
        slices = {name: self.current(name) for name in stacked}
        news = {name: self.current(name) for name in self.recordable - stacked}
        changed = set()

        def step(state, item):
            (carry, news), (x, key, slices) = state, item
            with self._inside(key, {**self.values, **slices}, news, stacked):
                carry, y = body(carry, x)
                changed.update(name for name in news if self.recorded[name] is not news[name])
                own = {name: value for name, value in self.recorded.items() if name in stacked}
                return (carry, {name: self.recorded[name] for name in news}), (y, own)

        (carry, news), (ys, own) = jax.lax.scan(step, (carry, news), (xs, keys, slices), length, reverse)
        self.recorded.update(own, **{name: news[name] for name in changed})
        return carry, ys

    def checkpoint(self, path: Path, function: Callable, arguments, policy):
        if self.values is None:
            return function(*arguments)

        def inside(key, recorded, arguments):
            with self._inside(key, self.values, recorded):
                return function(*arguments), self.recorded

        key = None if self.key is None else self.next_key(path)
        output, recorded = jax.checkpoint(inside, policy=policy)(key, dict(self.recorded), arguments)
        self.recorded.update(recorded)
        return output

    @contextlib.contextmanager
    def _inside(self, key, values, recorded, stacked: Iterable[str] = ()):
        """Lets layers run inside a transformation: with these values, and a record of its own."""
        outside = {name: getattr(self, name) for name in ('key', 'values', 'recorded', 'keys_drawn', 'sliced', 'trace')}
        self.key, self.values, self.recorded, self.keys_drawn = key, values, dict(recorded), {}
        self.sliced = {**self.sliced, **{name: self.sliced.get(name, 0) + 1 for name in stacked}}
        self.trace = _trace_state() if self.recordable else None
        try:
            yield
        finally:
            vars(self).update(outside)

    def call(self, layer: Bindable, forward: Callable, inputs, named):
        path, before = layer._path, len(self.history)
        try:
            for attribute, needed in layer.infer_shape(*inputs, **named).items():
                self.fit((*path, attribute), tuple(needed), inputs)
            output = forward(*inputs, **named)
            if self.observe is not None:
                self.observe(path, layer, output)
        except GluonError as error:
            _locate(error, self, layer, inputs)
            raise
        except Exception as error:
            if isinstance(error, TypeError) and not _takes(forward, inputs, named):
                refusal = ArgumentError(
                    f'{type(layer).__name__} takes other inputs',
                    expected=f'{type(layer).__name__}{inspect.signature(forward)}',
                    got=', '.join([*map(_shapes, inputs), *(f'{name}={_shapes(x)}' for name, x in named.items())]),
                )
                _locate(refusal, self, layer, inputs)
                raise refusal from None
            if not getattr(error, '__notes__', None):
                error.add_note(f'in {_where(path)} ({type(layer).__name__}) with input {_shapes(inputs)}')
                if isinstance(error, AttributeError) and error.name == 'data':
                    error.add_note('in forward a parameter reads as its array: self.weight, without .data()')
                if isinstance(error, AttributeError) and any(isinstance(value, list | tuple) for value in inputs):
                    error.add_note(
                        'an input is a list or tuple: pass an array (jnp.asarray), or a jax.ShapeDtypeStruct'
                    )
            raise
        leaf = len(self.history) == before
        self.history.append(Call(path, type(layer).__name__, _shapes(inputs), _shapes(output), leaf))
        return output

    def fit(self, path: Path, needed: Shape, inputs) -> None:
        """Completes the shape at `path`, or says how it disagrees with what the input needs."""
        name = '.'.join(path)
        if name not in self.places:
            return  # declared only sometimes, as a bias is
        leaf, param = self.places[name].leaf.name, self.places[name].param
        stored = self.shapes[leaf] and self.shapes[leaf][len(param.copies) :]
        if param.transform is None:
            merged = merge_shapes(stored, needed)
        else:
            merged = stored if _transformed(param, stored, name) == needed else None
        if merged is None:
            raise ShapeError(
                f'{name!r} has shape {shape_text(stored)}, but the input {_shapes(inputs)} of {_where(path[:-1])} '
                f'needs {shape_text(needed)}',
                remedy='check the widths on the way here' if self.history else 'check the width of the input',
            )
        if self.values is None:
            self.shapes[leaf] = (*param.copies, *merged)


class _Bound(Bindable, own=True):
    """Mixed into a class to make its bound copies: attributes are read, set and called through the run."""

    __slots__ = ()

    def __getattribute__(self, name: str):
        value = object.__getattribute__(self, name)
        if name not in object.__getattribute__(self, '__dict__'):
            return value
        return _resolve(value, object.__getattribute__(self, '_run'), (*object.__getattribute__(self, '_path'), name))

    def __setattr__(self, name: str, value) -> None:
        declared = object.__getattribute__(self, '__dict__').get(name)
        if not isinstance(declared, Param):
            raise FrozenError(
                f'forward of {_where(self._path)} cannot set {name!r}',
                expected='a parameter declared with Param(trainable=False)',
                remedy='use a local variable, or declare the value as such a parameter',
            )
        self._run.record((*self._path, name), declared, value)

    def __delattr__(self, name: str) -> None:
        raise FrozenError(f'forward of {_where(self._path)} cannot delete {name!r}', remedy='use a local variable')

    def __call__(self, *inputs, **named):
        return self._run.call(self, self.forward, inputs, named)

    def __repr__(self) -> str:
        return f'<{type(self).__name__} at {".".join(self._path)!r} in a run>'

    @property
    def training(self) -> bool:
        return self._run.training

    @property
    def batch_mask(self) -> jax.Array | None:
        return self._run.mask

    def next_key(self) -> jax.Array:
        return self._run.next_key(self._path)

    def scan(self, body, init, xs=None, length=None, *, reverse=False, over=None):
        return self._run.scan(self._path, body, init, xs, length, reverse, over)

    def checkpoint(self, function, *arguments, policy=None):
        return self._run.checkpoint(self._path, function, arguments, policy)


def bind(definition, run: Run, path: Path):
    """The bound copy of a definition: its class, its fields, the run and the path."""
    cls = forward_class(definition)
    if '_bound_class' not in vars(cls):
        contents = {'__slots__': (), '__doc__': cls.__doc__, '__module__': cls.__module__}
        type.__setattr__(cls, '_bound_class', type(cls)(cls.__name__, (_Bound, cls), contents))
    bound = object.__new__(cls._bound_class)
    for name, value in (('__dict__', dict(vars(definition))), ('_run', run), ('_path', path)):
        object.__setattr__(bound, name, value)
    return bound


def _resolve(value: Any, run: Run, path: Path) -> Any:
    """A field as `forward` reads it: arrays for Params, bound copies for layers; dicts are the reader's own."""

    def resolve(item: Any, at: Path) -> Any:
        if isinstance(item, Param):
            return run.read(at, item)
        return bind(item, run, at) if isinstance(item, Bindable) and not isinstance(item, _Bound) else item

    return map_items(resolve, value, path, dict)


def _steps(xs, length: int | None) -> int:
    leaves = jax.tree.leaves(xs)
    if length is None and not leaves:
        raise ArgumentError('a scan must know how many steps it has', remedy='give xs or length')
    return leaves[0].shape[0] if length is None else length


def _where(path: Path) -> str:
    return f'layer {".".join(path)}' if path else 'the layer itself'


def _shapes(values) -> str:
    """The shapes of inputs or outputs, as text."""
    leaves = [np.shape(leaf) for leaf in jax.tree.leaves(values)]
    return shape_text(leaves[0]) if len(leaves) == 1 else f'[{", ".join(map(shape_text, leaves))}]'


def _takes(forward: Callable, inputs, named) -> bool:
    """Whether a function can be called with such arguments."""
    try:
        inspect.signature(forward).bind(*inputs, **named)
    except TypeError:
        return False
    return True


def _locate(error: GluonError, run: Run, layer: Bindable, inputs) -> None:
    """Adds, once, where in the network an error arose and the shapes on the way there."""
    flow = [f'{_where(c.path)} ({c.kind}): {c.inputs} -> {c.output}' for c in run.history if c.leaf][-8:]
    here = f'in {_where(layer._path)} ({type(layer).__name__}), input {_shapes(inputs)}'
    error.locate(here, *(['after'] if flow else []), *('  ' + line for line in flow))


def transformed_shape(transform, shape) -> tuple[int, ...]:
    """The shape in which a tied parameter of this shape is read."""
    return jax.eval_shape(transform, jax.ShapeDtypeStruct(shape, 'float32')).shape


def _transformed(param: Param, stored: Shape | None, name: str) -> tuple[int, ...]:
    if not is_known(stored):
        raise ShapeError(
            f'{name!r} is tied through a transform to a parameter whose shape is still unknown',
            got=stored,
            remedy='declare the sizes of the source (in_units=, in_channels=), or run it before this layer',
        )
    return transformed_shape(param.transform, stored)
