"""Param and Layer: stateless definitions, and the pure functions that come from them.

A run walks a bound copy of the definition: the same class, the same fields, and beside them the run and the path.
Attributes are read through the run, so that a Param becomes its array and a child layer becomes callable.
"""

import copy
import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import init as initializers
from gluonjax.describe import constructor_call, table
from gluonjax.draw import Request, as_key, draw, named_keys
from gluonjax.errors import (
    ArgumentError,
    BareLayerError,
    FrozenError,
    GluonError,
    MissingKeyError,
    ParamsError,
    PatternError,
    ShapeError,
    TieError,
    TransformationError,
)

Shape = tuple[int | None, ...]
Path = tuple[str, ...]
RESERVED_INPUTS = ('key', 'init', 'training')


class Token:
    """An identity that survives pickling and rebuilding. Whatever carries the same token is the same parameter(s)."""


@dataclasses.dataclass(frozen=True)
class SharedParameters:
    """What `layer.params` hands on and `params=` takes: the identity of a layer's parameters."""

    token: Token = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Param:
    """What a layer declares in its constructor; in `forward` the attribute reads as the array.

    Args:
        shape: an int, or a tuple with `None` (or MXNet's 0 or -1) where the input decides; `None` if it decides all.
        dtype: the dtype of the array.
        init: a name, an Initializer or `f(key, shape, dtype)`; None leaves it to the network's general initializer.
        trainable: False for running statistics: no gradient, and `forward` may record new values by assignment.
        transform: applied to the array whenever it is read (for ties between different shapes).

    >>> Param((3, 0))
    Param(shape=(3, None), dtype='float32')
    """

    shape: Any = None
    dtype: Any = 'float32'
    init: Any = None
    trainable: bool = True
    transform: Callable | None = None
    token: Token = dataclasses.field(default_factory=Token)

    if TYPE_CHECKING:  # in `forward` the attribute is an array

        def __new__(cls, *args, **kwargs) -> Any: ...

    def __post_init__(self):
        object.__setattr__(self, 'shape', _declared_shape(self.shape))
        object.__setattr__(self, 'dtype', jnp.dtype(self.dtype).name)
        if self.init is not None:
            object.__setattr__(self, 'init', initializers.create(self.init))

    def __repr__(self) -> str:
        return constructor_call(self)


def _declared_shape(shape) -> Shape | None:
    if shape is None:
        return None
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(size is None or (isinstance(size, int | np.integer) and size >= -1) for size in sizes):
        raise ArgumentError('a Param cannot have this shape', expected='sizes, or None where unknown', got=shape)
    return tuple(int(size) if size and size > 0 else None for size in sizes)


class Leaf(NamedTuple):
    """One parameter of a definition: its name, all its names, and what its first declaration says."""

    name: str
    names: tuple[str, ...]
    shape: Shape | None
    param: Param


class Spec(NamedTuple):
    """The plan of one parameter: complete shape, dtype, the initializer that wins, whether it is trained."""

    shape: tuple[int, ...]
    dtype: str
    initializer: initializers.Initializer
    trainable: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * jnp.dtype(self.dtype).itemsize


class Specs(dict[str, Spec]):
    """Name -> Spec, in definition order; prints as a table."""

    def draw(self, key, together: bool = False) -> dict[str, Any]:
        """The params of this plan: a value is a function of the key, its name, shape, dtype and initializer."""
        key = as_key(key)
        requests = [request(key, name, spec) for name, spec in self.items()]
        return nest(dict(zip(self, draw(requests, together), strict=True)))

    def __repr__(self) -> str:
        rows = [[name, s.shape, s.dtype, repr(s.initializer), s.size, s.bytes] for name, s in self.items()]
        total = f'{len(self)} parameters, {sum(s.size for s in self.values()):,} numbers, {sum(s.bytes for s in self.values()):,} bytes'
        return table(['name', 'shape', 'dtype', 'initializer', 'numbers', 'bytes'], rows, total)


class _Constructor(type):
    """Runs `_constructed` after the constructor; `params=` and `prefix=` are understood by every class."""

    def __call__(cls, *args, params: SharedParameters | None = None, prefix: str | None = None, **kwargs):
        instance = super().__call__(*args, **kwargs)
        instance._constructed(params)
        return instance


class Bindable(metaclass=_Constructor):
    """What a run can bind: layers, and the classes of Blocks through their definitions."""

    __slots__ = ('__dict__', '__weakref__', '_path', '_run', '_token')

    def infer_shape(self, *inputs, **named) -> dict[str, Shape]:
        """The shapes of this layer's own parameters that these inputs ask for: attribute name -> shape."""
        return {}

    def forward(self, *inputs, **named):
        """What this layer computes. Parameters read as arrays here, and child layers can be called."""
        raise NotImplementedError(f'{type(self).__name__} has no forward(self, ...)')

    @property
    def training(self) -> bool:
        """In `forward`: True under `apply_train`."""
        raise _not_running(self, 'training')

    def next_key(self) -> jax.Array:
        """In `forward`: a fresh random key, derived from the run's key, this layer's path and a count.

        Inside a `scan`, `vmap` or inner `jit` of your own the key is drawn once a trace, not once a step.
        """
        raise _not_running(self, 'next_key()')


def _not_running(owner, what: str) -> BareLayerError:
    return BareLayerError(f'{type(owner).__name__}.{what} exists only in forward', remedy='ask for it in forward')


class Layer(Bindable):
    """A stateless definition. Subclasses declare in `__init__`, complete shapes in `infer_shape`, compute in `forward`.

    Children are attributes, or lists or dicts in attributes. After construction a Layer is frozen. Every layer takes
    `params=other.params`, which ties its parameters to those of `other`.

    >>> class Scale(Layer):
    ...     def __init__(self):
    ...         self.gamma = Param((None,), init='ones')
    ...     def infer_shape(self, x):
    ...         return {'gamma': x.shape[-1:]}
    ...     def forward(self, x):
    ...         return x * self.gamma[None]
    >>> layer = Scale()
    >>> params = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 3), 'float32'))
    >>> params
    {'gamma': Array([1., 1., 1.], dtype=float32)}
    >>> layer.apply(params, jnp.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """

    __slots__ = ('_frozen', '_leaves')

    def __new__(cls, *args, **kwargs):
        layer = super().__new__(cls)
        object.__setattr__(layer, '_frozen', False)
        object.__setattr__(layer, '_leaves', None)
        return layer

    def _constructed(self, params: SharedParameters | None) -> None:
        fields = {name: frozen_value(self, name, value) for name, value in vars(self).items()}
        self.__setstate__((fields, token_of(params)))

    def __getstate__(self):
        return vars(self), self._token

    def __setstate__(self, state) -> None:
        fields, token = state
        object.__setattr__(self, '__dict__', fields)
        object.__setattr__(self, '_token', token)
        object.__setattr__(self, '_frozen', True)

    def __setattr__(self, name: str, value) -> None:
        if self._frozen:
            raise FrozenError(
                f'{type(self).__name__} is frozen: {name!r} cannot be set after construction',
                remedy='make a new layer; put state that changes into a Param(trainable=False); '
                'a class that holds networks is an nn.Block',
            )
        if name in _RESERVED:
            raise ArgumentError(
                f'{type(self).__name__}.{name} is a method of Layer', remedy=f'choose another name than {name!r}'
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if self._frozen:
            raise FrozenError(f'{type(self).__name__} is frozen: {name!r} cannot be deleted', remedy='make a new layer')
        object.__delattr__(self, name)

    def __call__(self, *inputs, **named):
        raise BareLayerError(
            f'{self!r} is a definition and holds no values, so it cannot be called',
            remedy='params = layer.init(key, x); y = layer.apply(params, x) -- or net = nn.Sequential(layer); '
            'net.initialize(); net(x)',
        )

    def __repr__(self) -> str:
        children = list(_children(vars(self)))
        call = constructor_call(self, self._class, {name.partition('.')[0] for name, _ in children})
        lines = [f'({name}): {child!r}'.replace('\n', '\n  ') for name, child in children]
        return '\n  '.join([call[:-1], *lines]) + '\n)' if lines else call

    @property
    def _class(self) -> type[Bindable]:
        """The class whose `forward` a run executes."""
        return type(self)

    @property
    def params(self) -> SharedParameters:
        """The identity of this layer's parameters, for `params=` of another layer."""
        return SharedParameters(self._token)

    def share_parameters(self, shared: SharedParameters) -> 'Layer':
        """A copy of this layer that is tied to the layer that `shared` comes from."""
        twin = copy.deepcopy(self)
        object.__setattr__(twin, '_token', token_of(shared))
        return twin

    def cast(self, dtype) -> 'Layer':
        """A copy whose floating-point parameters have this dtype; it is the same layer as far as ties go."""

        def change(value):
            if isinstance(value, Layer):
                return value.cast(dtype)
            floating = jnp.issubdtype(value.dtype, jnp.floating)
            return dataclasses.replace(value, dtype=dtype) if floating else value

        return self._with_fields({name: map_nodes(change, value) for name, value in vars(self).items()})

    def _with_fields(self, fields: dict[str, Any]) -> 'Layer':
        twin = copy.copy(self)
        object.__setattr__(twin, '__dict__', fields)
        return twin

    # The pure functions.

    def init(self, key, *inputs, init=None, together: bool = False, **named) -> dict[str, Any]:
        """Draws every parameter. Runs no forward pass: the inputs give their shapes only.

        Args:
            key: a JAX key or an int.
            *inputs: arrays, `jax.ShapeDtypeStruct`s, or pytrees of them; none if every shape was declared.
            init: the general initializer, or a dict from patterns (`re.match` on names) to initializers.
            together: under a transformation, one draw for all (compiles faster; a sharded result is drawn whole).

        Returns:
            The params: a nested dict of arrays by structural name. Tied parameters are one leaf, at their first name.

        Raises:
            ShapeError: naming each parameter whose shape these inputs do not complete.
        """
        return self.specs(*inputs, init=init, **named).draw(key, together)

    def apply(self, params: Mapping[str, Any], *inputs, **named):
        """Inference: nothing random, nothing updated.

        Raises:
            ParamsError: if params are not those of this definition; every difference is named.
            ShapeError: if the inputs ask for other shapes; names the layer, and the shapes up to it.
        """
        return self.run(self._checked(params), inputs, named)[0]

    def apply_train(self, params: Mapping[str, Any], *inputs, key=None, **named):
        """Training: dropout on, batch statistics used and recorded.

        Args:
            params: as from `init`.
            *inputs: the inputs.
            key: a JAX key or an int; needed if a layer asks for randomness.

        Returns:
            The output, and params with the recorded running statistics.
        """
        values = self._checked(params)
        output, recorded = self.run(values, inputs, named, training=True, key=key)
        return output, nest({**values, **recorded})

    def specs(self, *inputs, init=None, **named) -> Specs:
        """The plan of every parameter, as `init` would draw it; allocates nothing. Prints as a table."""
        shapes = self.complete(inputs, named)
        chosen = choose(self.leaves(), init)
        return Specs(
            (leaf.name, Spec(shapes[leaf.name], leaf.param.dtype, chosen[leaf.name], leaf.param.trainable))
            for leaf in self.leaves()
        )

    def trainable(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The boolean mask that optax takes: False for running statistics."""
        self._checked(params)
        return nest({leaf.name: leaf.param.trainable for leaf in self.leaves()})

    def partition(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Splits params into `(trainable, rest)`; `gluonjax.merge` joins them again."""
        values = self._checked(params)
        trained = {leaf.name for leaf in self.leaves() if leaf.param.trainable}
        return tuple(nest({n: v for n, v in values.items() if (n in trained) is side}) for side in (True, False))

    def reinit(self, params: Mapping[str, Any], key, select: str | None = None, init=None) -> dict[str, Any]:
        """The same tree with chosen leaves drawn anew: the values that `init` gives them under this key.

        Args:
            params: the tree to start from.
            key: a JAX key or an int.
            select: a pattern (`re.match` on any name of a leaf); all leaves without one.
            init: as for `init`.

        Raises:
            PatternError: if nothing matches `select`.
        """
        values = self._checked(params)
        leaves = [leaf for leaf in self.leaves() if select is None or matches(select, leaf.names)]
        if not leaves and select is not None:
            raise no_match(select, self.leaves())
        chosen = choose(leaves, init)
        plan = Specs(
            (leaf.name, Spec(values[leaf.name].shape, values[leaf.name].dtype.name, chosen[leaf.name], True))
            for leaf in leaves
        )
        return nest({**values, **flatten(plan.draw(key))})

    # What the facade builds on.

    def leaves(self) -> tuple[Leaf, ...]:
        """The parameters of this definition, tied ones once, in definition order."""
        return self._leaf_table()[0]

    def _leaf_table(self) -> tuple[tuple[Leaf, ...], dict[str, Leaf]]:
        if self._leaves is None:
            leaves = _leaves_of(self)
            object.__setattr__(self, '_leaves', (leaves, {name: leaf for leaf in leaves for name in leaf.names}))
        return self._leaves

    def complete(self, inputs=(), named=None, known: Mapping[str, Shape] | None = None) -> dict[str, tuple[int, ...]]:
        """The complete shape of every leaf, from the shapes of the inputs and shapes already `known`."""
        shapes = {leaf.name: (known or {}).get(leaf.name, leaf.shape) for leaf in self.leaves()}
        for training in (False, True):
            if all(map(is_complete, shapes.values())):
                return shapes
            if not (inputs or named):
                break

            def forward(inputs, named, training=training):
                key = jax.random.key(0) if training else None
                return Run(self, None, shapes, training, key)(inputs, named)

            jax.eval_shape(forward, inputs, named or {})
        unknown = {name: shape for name, shape in shapes.items() if not is_complete(shape)}
        if not unknown:
            return shapes
        raise ShapeError(
            f'the shapes of {sorted(unknown)} are still unknown',
            got=', '.join(f'{name}: {shape}' for name, shape in unknown.items()),
            remedy='give the inputs that reach these layers, declare the sizes (in_units=, in_channels=), '
            'or return them from infer_shape',
        )

    def run(self, values: Mapping[str, Any], inputs, named, training: bool = False, key=None):
        """One pass on flat values: the output, and what was recorded."""
        shapes = {name: np.shape(value) for name, value in values.items()}
        run = Run(self, values, shapes, training, None if key is None else as_key(key))
        return run(inputs, named), run.recorded

    def summary(self, *inputs, **named) -> str:
        """A table of the layers that ran, their output shapes, and how many numbers each holds; tied ones once."""
        shapes = self.complete(inputs, named)

        def forward(inputs, named):
            run = Run(self, None, shapes, False, None)
            run(inputs, named)
            history.extend(run.history)

        history: list[_Call] = []
        jax.eval_shape(forward, inputs, named)
        return _summary(self, history, shapes)

    def _checked(self, params: Mapping[str, Any]) -> dict[str, Any]:
        values = flatten(params)
        differences = compare(self.leaves(), {name: np.shape(value) for name, value in values.items()})
        if differences:
            raise ParamsError(
                f'these params are not those of {self._class.__name__}:\n  ' + '\n  '.join(differences),
                remedy='params come from init, apply_train or net.params of this very definition',
            )
        return values


_RESERVED = frozenset(name for name in dir(Layer) if not name.startswith('_'))


def request(key, name: str, spec: Spec) -> Request:
    """What `draw` takes, of a plan's entry."""
    dtype = jax.dtypes.canonicalize_dtype(spec.dtype)
    return Request(key, name, spec.shape, dtype, spec.initializer.statement(name, spec.shape))


# A run, and what it binds.


class _Call(NamedTuple):
    path: Path
    kind: str
    inputs: str
    output: str
    leaf: bool  # called no other layer


class Run:
    """One pass through a definition: where values are read, values and shapes are checked, and news is recorded."""

    def __init__(self, definition: Layer, values, shapes: dict[str, Any], training: bool, key):
        self.definition, self.training, self.key = definition, training, key
        self.values, self.shapes = values, shapes  # without values, the run is there to complete the shapes
        self.recorded: dict[str, Any] = {}
        self.history: list[_Call] = []
        self.keys_drawn: dict[Path, int] = {}
        _, self.leaf_of = definition._leaf_table()
        recordable = any(not leaf.param.trainable for leaf in definition.leaves())
        self.trace = _trace_state() if recordable else None

    def __call__(self, inputs, named):
        for name in RESERVED_INPUTS:
            if name in named:
                raise ArgumentError(f'an input cannot be named {name!r}', remedy='rename the argument of forward')
        inputs, named = jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, (inputs, named))
        return bind(self.definition, self, ())(*inputs, **named)

    def read(self, path: Path, param: Param):
        leaf = self.leaf_of['.'.join(path)].name
        if leaf in self.recorded:
            value = self.recorded[leaf]
        elif self.values is not None:
            value = self.values[leaf]
        elif is_complete(self.shapes[leaf]):
            value = jnp.zeros(self.shapes[leaf], jax.dtypes.canonicalize_dtype(param.dtype))
        else:
            raise ShapeError(
                f'the shape of {".".join(path)!r} is still unknown where forward reads it',
                got=self.shapes[leaf],
                remedy='return it from infer_shape of the layer that declares it, and call that layer, or declare it whole',
            )
        return value if param.transform is None else param.transform(value)

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
        leaf = self.leaf_of[name].name
        if np.shape(value) != tuple(self.shapes[leaf]):
            raise ShapeError(f'{name!r} was recorded with another shape', expected=self.shapes[leaf], got=np.shape(value))
        dtype = self.leaf_of[name].param.dtype if self.values is None else self.values[leaf].dtype
        self.recorded[leaf] = jnp.asarray(value, jax.dtypes.canonicalize_dtype(dtype))

    def next_key(self, path: Path) -> jax.Array:
        if self.key is None:
            raise MissingKeyError(
                f'{_where(path)} asks for a random key, and there is none',
                remedy='apply_train(params, x, key=key)' if self.training else 'apply is inference; use apply_train',
            )
        count = self.keys_drawn[path] = self.keys_drawn.get(path, -1) + 1
        return named_keys([self.key], [f'{".".join(path)} {count}'])[0]

    def call(self, layer: 'Bindable', forward: Callable, inputs, named):
        path, before = layer._path, len(self.history)
        try:
            for attribute, needed in layer.infer_shape(*inputs, **named).items():
                self.fit((*path, attribute), tuple(needed), inputs)
            output = forward(*inputs, **named)
        except GluonError as error:
            _locate(error, self, layer, inputs)
            raise
        except Exception as error:
            if not getattr(error, '__notes__', None):
                error.add_note(f'in {_where(path)} ({type(layer).__name__}) with input {_shapes(inputs)}')
            raise
        leaf = len(self.history) == before
        self.history.append(_Call(path, type(layer).__name__, _shapes(inputs), _shapes(output), leaf))
        return output

    def fit(self, path: Path, needed: Shape, inputs) -> None:
        """Completes the shape at `path`, or says how it disagrees with what the input needs."""
        name = '.'.join(path)
        if name not in self.leaf_of:
            return  # declared only sometimes, as a bias is
        leaf, param = self.leaf_of[name].name, _param_at(self.definition, path)
        stored = self.shapes[leaf]
        if param.transform is None:
            merged = merge_shapes(stored, needed)
        else:
            merged = stored if _transformed(param, stored, name) == needed else None
        if merged is None:
            raise ShapeError(
                f'{name!r} has shape {text(stored)}, but the input {_shapes(inputs)} of {_where(path[:-1])} '
                f'needs {text(needed)}',
                remedy='check the widths on the way here' if self.history else 'check the width of the input',
            )
        if self.values is None:
            self.shapes[leaf] = merged


class _Bound:
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

    def __call__(self, *inputs, **named):
        return self._run.call(self, self.forward, inputs, named)

    @property
    def training(self) -> bool:
        return self._run.training

    def next_key(self) -> jax.Array:
        return self._run.next_key(self._path)


def bind(layer: Layer, run: Run, path: Path):
    """The bound copy of a definition: the class of the layer, its very fields, the run and the path."""
    cls = layer._class
    if '_bound' not in vars(cls):
        type.__setattr__(cls, '_bound', type(cls.__name__, (_Bound, cls), {'__slots__': (), '__doc__': cls.__doc__}))
    bound = object.__new__(cls._bound)
    for name, value in (('__dict__', vars(layer)), ('_run', run), ('_path', path)):
        object.__setattr__(bound, name, value)
    return bound


def _resolve(value, run: Run, path: Path):
    if isinstance(value, Param):
        return run.read(path, value)
    if isinstance(value, Layer):
        return bind(value, run, path)
    if isinstance(value, tuple):
        return tuple(_resolve(item, run, (*path, str(i))) for i, item in enumerate(value))
    if isinstance(value, dict):
        return {key: _resolve(item, run, (*path, str(key))) for key, item in value.items()}
    return value


def _trace_state():
    from jax.extend.core import (
        get_opaque_trace_state,  # 20 ms to import, and only needed here
    )

    return get_opaque_trace_state(convention='gluonjax')


def _where(path: Path) -> str:
    return f'layer {".".join(path)}' if path else 'the layer itself'


def text(shape: Shape | None) -> str:
    return 'unknown' if shape is None else f'({", ".join(map(str, shape))}{"," if len(shape) == 1 else ""})'


def _shapes(values) -> str:
    """The shapes of inputs or outputs, as text."""
    leaves = [np.shape(leaf) for leaf in jax.tree.leaves(values)]
    return text(leaves[0]) if len(leaves) == 1 else f'[{", ".join(map(text, leaves))}]'


def _locate(error: GluonError, run: Run, layer: Bindable, inputs) -> None:
    """Adds, once, where in the network an error arose and the shapes on the way there."""
    if getattr(error, 'located', False):
        return
    error.located = True
    flow = [f'{_where(c.path)} ({c.kind}): {c.inputs} -> {c.output}' for c in run.history if c.leaf][-8:]
    here = f'in {_where(layer._path)} ({type(layer).__name__}), input {_shapes(inputs)}'
    error.args = ('\n  '.join([str(error), here, *(['after'] if flow else []), *('  ' + line for line in flow)]),)


# Names, shapes and trees.


def map_nodes(change: Callable, value):
    """`change` on every Layer and Param in a field, through tuples and dicts; whatever else stays."""
    if isinstance(value, Layer | Param):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_nodes(change, item) for item in value)
    if isinstance(value, dict):
        return FrozenDict({key: map_nodes(change, item) for key, item in value.items()})
    return value


class FrozenDict(dict):
    """A read-only dict."""

    def _refuse(self, *args, **kwargs):
        raise FrozenError('this dict belongs to a definition and is read-only', remedy='make a new layer')

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self):
        return FrozenDict, (dict(self),)


def frozen_value(owner: Layer, name: str, value):
    if hasattr(value, '_as_child_definition'):
        return value._as_child_definition(f'{type(owner).__name__}.{name}')
    if isinstance(value, jax.Array):
        raise ArgumentError(
            f'{type(owner).__name__}.{name} is an array; a definition holds none',
            remedy='declare Param(shape, init=init.Constant(value), trainable=False)',
        )
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return tuple(frozen_value(owner, f'{name}.{i}', item) for i, item in enumerate(value))
    if type(value) is dict:
        frozen = {key: frozen_value(owner, f'{name}.{key}', item) for key, item in value.items()}
        if any('.' in str(key) and isinstance(item, Layer | Param) for key, item in frozen.items()):
            raise ArgumentError(f'a key of {type(owner).__name__}.{name} has a dot', remedy='dots separate names')
        return FrozenDict(frozen)
    return value


def token_of(shared: SharedParameters | None) -> Token:
    if shared is None:
        return Token()
    if not isinstance(shared, SharedParameters):
        raise ArgumentError(
            'params= takes the identity of a layer',
            expected='layer.params of a definition',
            got=type(shared).__name__,
            remedy='params=layer.params, or for a part of a network params=net[0].definition.params',
        )
    return shared.token


def _children(fields: Mapping[str, Any]) -> Iterator[tuple[str, Layer]]:
    for name, value in fields.items():
        if isinstance(value, Layer):
            yield name, value
        elif isinstance(value, tuple):
            yield from _children({f'{name}.{i}': item for i, item in enumerate(value)})
        elif isinstance(value, dict):
            yield from _children({f'{name}.{key}': item for key, item in value.items()})


def walk(value, path: Path = (), above: tuple[tuple[Token, int], ...] = ()) -> Iterator[tuple[Path, Param, list]]:
    """Every Param below `value` in definition order, with its path and the identities by which it can be tied."""
    if isinstance(value, Param):
        yield path, value, [value.token, *((token, path[depth:]) for token, depth in above)]
    elif isinstance(value, Layer):
        for name, field in vars(value).items():
            yield from walk(field, (*path, name), (*above, (value._token, len(path))))
    elif isinstance(value, tuple | dict):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walk(item, (*path, str(name)), above)


def _leaves_of(definition: Layer) -> tuple[Leaf, ...]:
    """Groups declarations that share an identity, and makes one leaf of each group."""
    groups: dict[int, list[tuple[str, Param]]] = {}  # by the position of the first declaration
    group_of: dict[Any, int] = {}  # identity -> group
    for position, (path, param, identities) in enumerate(walk(definition)):
        first, *others = sorted({group_of[i] for i in identities if i in group_of} or {position})
        for other in others:  # a declaration that is tied to two groups makes them one
            groups[first] += groups.pop(other)
            group_of |= {identity: first for identity, group in group_of.items() if group == other}
        groups.setdefault(first, []).append(('.'.join(path), param))
        group_of |= dict.fromkeys(identities, first)
    return tuple(_leaf(groups[first]) for first in sorted(groups))


def _leaf(group: list[tuple[str, Param]]) -> Leaf:
    (name, param), *tied = group
    shape = param.shape
    for other, declared in tied:
        merged = merge_shapes(shape, declared.shape)
        if merged is None and shape is not None:
            raise TieError(
                f'{name!r} and {other!r} are tied, but their shapes differ',
                expected=text(shape),
                got=text(declared.shape),
                remedy="net.tie(target, source, transform=...) ties different shapes",
            )
        shape = merged
    return Leaf(name, tuple(name for name, _ in group), shape, param)


def _param_at(definition: Layer, path: Path) -> Param:
    value: Any = definition
    for name in path:
        if isinstance(value, Layer):
            value = vars(value)[name]
        else:
            value = value[int(name)] if isinstance(value, tuple) else {str(k): v for k, v in value.items()}[name]
    return value


def _transformed(param: Param, stored: Shape | None, name: str) -> tuple[int, ...]:
    if not is_complete(stored):
        raise ShapeError(
            f'{name!r} is tied through a transform to a parameter whose shape is still unknown',
            got=stored,
            remedy='declare the sizes of the source (in_units=, in_channels=), or run it before this layer',
        )
    return jax.eval_shape(param.transform, jax.ShapeDtypeStruct(stored, param.dtype)).shape


def is_complete(shape: Shape | None) -> bool:
    return shape is not None and None not in shape


def merge_shapes(first: Shape | None, second: Shape | None) -> Shape | None:
    """The shape that satisfies both, where None is unknown; None if there is none (or nothing is known)."""
    if first is None or second is None:
        return second if first is None else first
    if len(first) != len(second) or any(a != b for a, b in zip(first, second, strict=True) if None not in (a, b)):
        return None
    return tuple(b if a is None else a for a, b in zip(first, second, strict=True))


def flatten(params: Mapping[str, Any], path: str = '') -> dict[str, Any]:
    """Name -> leaf of a nested dict."""
    if not isinstance(params, Mapping):
        raise ParamsError('params are a nested dict of arrays', got=type(params).__name__, remedy='params = layer.init(key, x)')
    flat: dict[str, Any] = {}
    for name, value in params.items():
        flat.update(flatten(value, f'{path}{name}.') if isinstance(value, Mapping) else {f'{path}{name}': value})
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dict of name -> leaf.

    >>> nest({'0.weight': 1, '0.bias': 2})
    {'0': {'weight': 1, 'bias': 2}}
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split('.')
        functools.reduce(lambda node, key: node.setdefault(key, {}), path, tree)[last] = value
    return tree


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Joins params that were split, as by `partition`.

    Raises:
        ParamsError: if two trees hold the same leaf.

    >>> merge({'0': {'weight': 1}}, {'0': {'bias': 2}})
    {'0': {'weight': 1, 'bias': 2}}
    """
    flat: dict[str, Any] = {}
    for tree in map(flatten, trees):
        if twice := sorted(flat.keys() & tree.keys()):
            raise ParamsError(f'two trees hold {twice}', remedy='merge takes disjoint parts of one tree')
        flat.update(tree)
    return nest(flat)


def compare(leaves, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Every difference between a definition's leaves and arrays of these shapes, one line each."""
    expected = {leaf.name: leaf for leaf in leaves}
    aliases = {name: leaf.name for leaf in leaves for name in leaf.names[1:]}
    missing = [f'missing: {name} {text(leaf.shape)}' for name, leaf in expected.items() if name not in shapes]
    extra = [
        f'extra: {name} {text(shape)}' + (f' (tied: its leaf is {aliases[name]})' if name in aliases else '')
        for name, shape in shapes.items()
        if name not in expected
    ]
    misshapen = [
        f'shape of {name}: expected {text(leaf.shape)}, got {text(shapes[name])}'
        for name, leaf in expected.items()
        if name in shapes and leaf.shape is not None and merge_shapes(leaf.shape, shapes[name]) is None
    ]
    return missing + extra + misshapen


def matches(pattern: str, names) -> bool:
    """Whether a pattern matches one of the names, as MXNet matches: from the beginning, not to the end."""
    return any(re.match(pattern, name) for name in names)


def no_match(pattern: str, leaves) -> PatternError:
    return PatternError(
        f'no parameter matches {pattern!r}',
        expected=f'a pattern for one of {[name for leaf in leaves for name in leaf.names]}',
        remedy="patterns are regular expressions matched from a name's beginning, as in '.*bias' or '0.weight'",
    )


def choose(leaves, init=None) -> dict[str, initializers.Initializer]:
    """Which initializer wins for each leaf: by pattern > declared by the layer > the general one, by last name."""
    by_pattern = {p: initializers.create(i) for p, i in init.items()} if isinstance(init, Mapping) else {}
    general = initializers.create(initializers.Uniform() if isinstance(init, Mapping) or init is None else init)
    for pattern in by_pattern:
        if not any(matches(pattern, leaf.names) for leaf in leaves):
            raise no_match(pattern, leaves)

    def winner(leaf: Leaf) -> initializers.Initializer:
        given = (initializer for pattern, initializer in by_pattern.items() if matches(pattern, leaf.names))
        return next(given, leaf.param.init) or general.for_name(leaf.name)

    return {leaf.name: winner(leaf) for leaf in leaves}


def _summary(definition: Layer, history: list[_Call], shapes: Mapping[str, tuple[int, ...]]) -> str:
    rows, seen = [], set()
    for call in history:
        own = [leaf for leaf in definition.leaves() for name in leaf.names if tuple(name.split('.')[:-1]) == call.path]
        count = sum(math.prod(shapes[leaf.name]) for leaf in own if leaf.name not in seen)
        seen |= {leaf.name for leaf in own}
        rows.append([f'{".".join(call.path) or "(whole)"} ({call.kind})', call.output, count])
    counts = [(math.prod(shapes[leaf.name]), leaf.param.trainable) for leaf in definition.leaves()]
    total, trained = sum(c for c, _ in counts), sum(c for c, t in counts if t)
    return table(
        ['layer', 'output shape', 'parameters'], rows, f'parameters: {total:,}; trainable: {trained:,}; other: {total - trained:,}'
    )
