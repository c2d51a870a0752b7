"""Layer: stateless definitions, and the pure functions that come from them."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

import jax
import numpy as np

from gluonjax.arrays import admit, split
from gluonjax.config import refuse_if_frozen, set_slots
from gluonjax.init import initializer as initializers
from gluonjax.lazy import LazyMethod, above, entry_points
from gluonjax.methods import LayerMethods
from gluonjax.param import Declaration, Leaf, Param, SharedParameters, Token
from gluonjax.run import Bindable, Run, forward_class, taken_names
from gluonjax.sampler import Request
from gluonjax.shapes import is_known, merge_shapes
from gluonjax.tree import Path, flatten, items_of, map_items, matches, nest

_Layer = TypeVar('_Layer', bound='Layer')
# Of each definition, the shapes of its leaves by those of inputs that were seen.
_INFERRED: Any = weakref.WeakKeyDictionary()


@entry_points
class Layer(Bindable, LayerMethods, own=True):
    """A stateless definition. Subclasses declare in `__init__`, infer shapes in `infer_shape`, compute in `forward`.

    Children are attributes, or lists or dicts in attributes. After construction a Layer is frozen. Every layer takes
    `params=other.params`, which ties its parameters to those of `other`.

    >>> import jax
    >>> import jax.numpy as jnp
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

    __slots__ = ('_declarations',)

    _remedy = (
        'make a new layer; put state that changes into a Param(trainable=False); '
        'a class that holds networks is an nn.Block'
    )
    _declarations: dict[str, Declaration] | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        layer = super().__new__(cls)
        set_slots(layer, _declarations=None, _hooks=((), ()))
        return layer

    def _constructed(self, params: SharedParameters | None = None) -> None:
        check_class(type(self))
        fields = {name: frozen_value(self, name, value) for name, value in vars(self).items()}
        self.__setstate__((fields, token_of(params)))
        set_slots(self, _tied=params is not None)

    def __getstate__(self) -> tuple[Any, ...]:
        return vars(self), self._token

    def __setstate__(self, state: Any) -> None:
        fields, token = state
        set_slots(self, __dict__=fields, _token=token, _frozen=True)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in taken_names(self):
            refuse_if_frozen(self, name, 'set')
            raise above.messages.hidden_name(self, name)
        super().__setattr__(name, value)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        raise above.messages.bare_layer(self)

    __repr__: Any = LazyMethod('gluonjax.summary', 'constructor_calls')

    @property
    def params(self) -> SharedParameters:
        """The identity of this layer's parameters, for `params=` of another layer."""
        return SharedParameters(self._token)

    # The pure functions.

    def init(self, key: Any, *inputs: Any, init: Any = None, fused: bool = False, **named: Any) -> dict[str, Any]:
        """Draws every parameter. Runs no forward pass: the inputs give their shapes only.

        Args:
            key: a JAX key or an int.
            *inputs: arrays, `jax.ShapeDtypeStruct`s, or pytrees of them; none if every shape was declared.
            init: the general initializer, or a dict from patterns (`re.match` on names) to initializers.
            fused: under a transformation, one draw for all (compiles faster; a sharded result is drawn whole).

        Returns:
            The params: a nested dict of arrays by structural name. Tied parameters are one leaf, at their first name.

        Raises:
            ShapeError: naming each parameter whose shape these inputs do not decide.
        """
        return self.specs(*inputs, init=init, **named).draw(key, fused)

    def apply(self, params: Mapping[str, Any], /, *inputs: Any, method: str = 'forward', **named: Any) -> Any:
        """Inference: nothing random, nothing updated.

        Args:
            params: as from `init`.
            *inputs: the inputs, also by name; what is no array is passed on as it is.
            method: another method of the layer to run, such as 'encode'.

        Raises:
            ParamsError: if params are not those of this definition; every difference is named.
            ShapeError: if the inputs ask for other shapes; names the layer, and the shapes up to it.
        """
        return run_layer(self, checked_params(self, params), inputs, {**named, 'method': method})[0]

    def apply_train(
        self, params: Mapping[str, Any], /, *inputs: Any, key: Any = None, method: str = 'forward', **named: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Training: dropout on, batch statistics used and recorded.

        Args:
            params: as from `init`.
            *inputs: the inputs.
            key: a JAX key or an int; needed if a layer asks for randomness.
            method: as for `apply`.

        Returns:
            The output, and params with the recorded running statistics.
        """
        values = checked_params(self, params)
        output, recorded = run_layer(self, values, inputs, {**named, 'method': method}, training=True, key=key)
        return output, nest({**values, **recorded})


# What the facade builds on.


def checked_params(layer: Layer, params: Mapping[str, Any], shapes: bool = True) -> dict[str, Any]:
    """The leaves by name, if they are those of this definition. An ensemble's leaves have other shapes.

    Raises:
        ParamsError: naming every difference.
    """
    values = flatten(admit(params, 'params', copy=shapes))
    given = {name: np.shape(value) if shapes else () for name, value in values.items()}
    leaves = [leaf if shapes else leaf._replace(shape=None) for leaf in leaves_of(layer)]
    same_names = given.keys() == {leaf.name for leaf in leaves}
    if not same_names or any(merge_shapes(leaf.shape, given[leaf.name]) is None for leaf in leaves):
        raise above.messages.other_params(forward_class(layer), leaves, given)
    return values


def with_fields(layer: _Layer, fields: dict[str, Any]) -> _Layer:
    """A copy with other fields; it is the same layer as far as ties go."""
    changed = copy.copy(layer)
    set_slots(changed, __dict__=fields)
    return changed


def leaves_of(definition: Layer) -> tuple[Leaf, ...]:
    """The parameters of this definition, tied ones once, in definition order."""
    return tuple(
        declaration.leaf for name, declaration in declarations_of(definition).items() if name == declaration.leaf.name
    )


def declarations_of(definition: Layer) -> dict[str, Declaration]:
    """What is declared at each name, tied ones included."""
    declarations = definition._declarations
    if declarations is None:
        declarations = _group_declarations(definition)
        set_slots(definition, _declarations=declarations)
    return declarations


def infer_shapes(
    definition: Layer, inputs: Sequence[Any] = (), named: Any = None, known: Mapping[str, Any] | None = None
) -> dict[str, tuple[int, ...]]:
    """The shape of every leaf, from the shapes of the inputs and shapes already `known`."""
    shapes = {leaf.name: (known or {}).get(leaf.name, leaf.shape) for leaf in leaves_of(definition)}
    arrays, static = split(admit((tuple(inputs), dict(named or {}))))

    def forward(arrays: Any, key: jax.Array | None = None) -> None:
        Run(declarations_of(definition), None, shapes, key is not None, key)(definition, *static.join(arrays))

    if inputs or named:
        arrays = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays]  # wherever they are
        seen, form = _INFERRED.setdefault(definition, {}), (static.structure, *arrays, *shapes.items())
        if form not in seen or static.has_values():
            jax.eval_shape(forward, arrays)
            if not all(map(is_known, shapes.values())):  # some layers run in training only
                jax.eval_shape(forward, arrays, jax.random.key(0))
            seen[form] = dict(shapes)
        shapes = dict(seen[form])
    unknown = {name: shape for name, shape in shapes.items() if not is_known(shape)}
    if not unknown:
        return shapes
    raise above.messages.unknown_shapes(unknown)


def run_layer(
    definition: Layer, values: dict[str, Any], inputs: Any, named: Any, training: bool = False, key: Any = None
) -> tuple[Any, dict[str, Any]]:
    """One pass on flat values: the output, and what was recorded."""
    run = Run(declarations_of(definition), values, training=training, key=key)
    return run(definition, inputs, named), run.recorded


def request(
    key: Any, name: str, shape: tuple[int, ...], dtype: str, initializer: initializers.Initializer, copies: Any = ()
) -> Request:
    """What `draw` takes, of one parameter."""
    source = initializer.source(name, shape, copies)
    return Request(key, name, shape, jax.dtypes.canonicalize_dtype(dtype), source)


# Names, shapes and trees.

_PLAIN = frozenset({int, str, bool, type(None), float, Param, np.dtype})  # what hides no layers


def check_field(owner: object, name: str, value: Any) -> None:
    """Refuses what a field cannot keep: layers where they have no names, and arrays."""
    if type(value) not in _PLAIN:
        above.contents.check(owner, name, value)


def frozen_value(owner: object, name: str, value: Any) -> Any:
    """A field as a definition keeps it: lists are tuples, dicts read-only, networks their definitions; no arrays."""

    def freeze(item: Any, path: Path) -> Any:
        where = f'{type(owner).__name__}.{".".join(path)}'
        networks = isinstance(item, Bindable) and not isinstance(item, Layer)
        return above.contents.child_definition(item, where) if networks else item

    check_field(owner, name, value)
    return map_items(freeze, value, (name,))


def check_class(cls: type) -> None:
    """Refuses layers and Params that are attributes of a class, once."""
    if not vars(cls).get('_class_is_checked'):
        above.contents.check_class(cls)
        type.__setattr__(cls, '_class_is_checked', True)


def token_of(shared: SharedParameters | Bindable | None) -> Token:
    """The identity that `params=` asks for; a new one without it."""
    if shared is None:
        return Token()
    if isinstance(shared, Bindable):
        return shared._token
    if not isinstance(shared, SharedParameters):
        raise above.messages.no_identity(shared)
    return shared.token


def walk(
    value: Any, path: Path = (), around: tuple[tuple[Token, int], ...] = ()
) -> Iterator[tuple[Path, Param, list[Any]]]:
    """Every Param below `value` in definition order, with its path and the identities by which it can be tied."""
    for at, item in items_of(value, path):
        if isinstance(item, Param):
            yield at, item, [item.token, *((token, at[depth:]) for token, depth in around)]
        elif isinstance(item, Layer):
            yield from walk(vars(item), at, (*around, (item._token, len(at))))


def _group_declarations(definition: Layer) -> dict[str, Declaration]:
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
    leaves = ((_leaf(groups[first]), groups[first]) for first in sorted(groups))
    return {name: Declaration(leaf, param) for leaf, group in leaves for name, param in group}


def _leaf(group: list[tuple[str, Param]]) -> Leaf:
    (name, param), *tied = group
    shape = param.shape
    for other, declared in tied:
        merged = merge_shapes(shape, declared.shape)
        if (merged is None and shape is not None) or declared.copies != param.copies:
            raise above.messages.tied_shapes(name, other, shape, declared.shape)
        shape = merged
    return Leaf(name, tuple(name for name, _ in group), shape, param)


def choose(leaves: Sequence[Leaf], init: Any = None) -> dict[str, initializers.Initializer]:
    """Which initializer wins for each leaf: by pattern > declared by the layer > the general one, by last name."""
    by_pattern = {p: initializers.create(i) for p, i in init.items()} if isinstance(init, Mapping) else {}
    general = initializers.create(initializers.Uniform() if isinstance(init, Mapping) or init is None else init)
    for pattern in by_pattern:
        if not any(matches(pattern, leaf.names) for leaf in leaves):
            raise above.messages.no_match(pattern, leaves)

    def winner(leaf: Leaf) -> initializers.Initializer:
        given = (initializer for pattern, initializer in by_pattern.items() if matches(pattern, leaf.names))
        declared = None if general.has_value_for(leaf.name) else leaf.param.init
        return next(given, declared) or general.for_name(leaf.name)

    return {leaf.name: winner(leaf) for leaf in leaves}


def layers_of(definition: Layer, path: Path = ()) -> Iterator[tuple[Path, Layer]]:
    """All layers, those inside before the one around."""
    for at, item in items_of(vars(definition), path):
        if isinstance(item, Layer):
            yield from layers_of(item, at)
    yield path, definition
