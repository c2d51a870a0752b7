"""The errors of the core that take more than a line: each says what is wrong, and what to do next.

The core raises them by `above.messages`, so that they are loaded when one of them is needed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gluonjax import errors
from gluonjax.hints import hints, missing
from gluonjax.lazy import above
from gluonjax.shapes import Shape, merge_shapes, shape_text, shapes_of, shapes_text
from gluonjax.tree import Path

# How errors call things.


def layer_text(path: Path) -> str:
    """A layer."""
    return f'layer {".".join(path)}' if path else 'the layer itself'


def inputs_text(inputs: Any) -> str:
    """The shapes of inputs."""
    return shapes_text(shapes_of(inputs))


def _near(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, 1)), None)


# Names, patterns and keys.


def unregistered(kind: str, name: str, known: Iterable[str], instead: str | None) -> errors.ArgumentError:
    """A name in no registry; `instead` is what to use for one that is known elsewhere."""
    near = _near(name, known)
    return errors.ArgumentError(
        f'no {kind} is named {name!r}',
        expected=f'one of {sorted(known)}',
        remedy=instead or (near and repr(near)),
    )


def no_match(pattern: str, leaves: Iterable[Any]) -> errors.PatternError:
    """A pattern that matches none of these leaves."""
    return errors.PatternError(
        f'no parameter matches {pattern!r}',
        expected=f'a pattern for one of {[name for leaf in leaves for name in leaf.names]}',
        remedy="patterns are regular expressions matched from a name's beginning, as in '.*bias' or '0.weight'",
    )


def no_params(params: Any) -> errors.ParamsError:
    """Something else where params are expected."""
    remedy = 'net.visit(function) calls it for every block' if callable(params) else 'params = layer.init(key, x)'
    return errors.ParamsError('params are a nested dict of arrays', got=type(params).__name__, remedy=remedy)


def no_key(key: Any) -> errors.ArgumentError:
    """Something else where a random key is expected."""
    remedy = 'jax.vmap maps a function over a batch of keys' if len(getattr(key, 'shape', ())) > 0 else None
    expected = 'an int, or a key such as jax.random.key(0)'
    return errors.ArgumentError('this is no random key', expected=expected, got=repr(key), remedy=remedy)


def not_numbers(name: str, array: Any) -> errors.DTypeError:
    """An array of NumPy that comes in, of strings, objects, dates or times."""
    got = f'{array.dtype} of shape {array.shape}'
    return errors.DTypeError(f'{name} is no array of numbers', got=got, remedy="x.astype('float32')")


def masked_elements(name: str, array: Any) -> errors.DTypeError:
    """An array of NumPy that comes in, with elements that are left out."""
    got = f'a mask of shape {array.shape}'
    return errors.DTypeError(f'{name} has masked elements', got=got, remedy='masked.filled(0)')


# Initializers.


def gluon_init_weight(cls: type) -> errors.ArgumentError:
    """An initializer that is written as MXNet's are."""
    return errors.ArgumentError(
        f'{cls.__name__} defines _init_weight, which nothing calls',
        remedy='rename it to init_weight(self, key, shape, dtype, name), and return the values',
    )


def no_values(initializer: object) -> errors.ArgumentError:
    """An initializer that overrides nothing."""
    return errors.ArgumentError(
        f'{type(initializer).__name__} returns no values',
        remedy='override init_weight(self, key, shape, dtype, name), or distribution(self, shape)',
    )


def no_initializer(given: object) -> errors.ArgumentError:
    """Something else where an initializer is expected."""
    return errors.ArgumentError(
        'this is no initializer',
        expected='a name, an Initializer, or f(key, shape, dtype)',
        got=repr(given),
        remedy='make an instance, as in init.Xavier(); init.Constant(value) sets a number or an array',
    )


# Classes and their fields.


def overridden_call(cls: type) -> errors.ArgumentError:
    """A class that overrides what networks do not call."""
    what = f'{cls.__name__} overrides __call__, which networks around it would pass by'
    return errors.ArgumentError(what, remedy='override forward')


def taken_names(cls: type, names: Sequence[str]) -> errors.ArgumentError:
    """A class that defines private names of ours."""
    return errors.ArgumentError(f'{cls.__name__} defines {names}, which gluonjax uses itself', remedy='rename them')


def no_forward(layer: object) -> NotImplementedError:
    """A layer that computes nothing."""
    gluon1 = '; rename hybrid_forward(self, F, x, ...), and use jax.numpy and jax.nn for F'
    hint = gluon1 if hasattr(layer, 'hybrid_forward') else ''
    return NotImplementedError(f'{type(layer).__name__} has no forward(self, ...){hint}')


def shared_by_instances(base: type, name: str, value: object) -> errors.ArgumentError:
    """A layer or a Param that is an attribute of a class."""
    return errors.ArgumentError(
        f'{base.__name__}.{name} is an attribute of the class, which all its instances would share',
        got=repr(value),
        remedy=f'self.{name} = ... in __init__; in a dataclass field(default_factory=lambda: ...)',
    )


def hidden_name(layer: object, name: str) -> errors.ArgumentError:
    """A field of a layer with a name that Layer has."""
    return errors.ArgumentError(
        f'{type(layer).__name__}.{name} would hide what Layer itself has under this name',
        remedy=f'choose another name than {name!r}',
    )


def hidden_names(network: object, names: Sequence[str]) -> errors.ArgumentError:
    """Fields of a network with names that Block has."""
    what = f'fields of {network.__class__.__name__} would hide what Block itself has under {names}'
    return errors.ArgumentError(what, remedy='choose other names')


def network_in_definition(where: str) -> errors.ArgumentError:
    """A field of a definition that is a network with values."""
    return errors.ArgumentError(
        f'{where} is a network that was initialized, and a Layer holds definitions only',
        remedy='make the outer class an nn.Block, or pass net.definition',
    )


def no_layer(given: object) -> errors.ArgumentError:
    """Something in a Sequential that is neither a layer nor a network."""
    what = f'a Sequential takes layers and networks, got {given!r}'
    return errors.ArgumentError(what, remedy='nn.Lambda(function) makes a layer of a function')


# Attributes and methods that are not there, or not here.

_OF_NETWORKS = (
    *(
        'initialize',
        'collect_params',
        'hybridize',
        'save_parameters',
        'load_parameters',
        'save_program',
        'export',
        'tie',
    ),
    *('register_forward_hook', 'register_forward_pre_hook', 'register_child', 'named_blocks', 'visit', 'setattr', 'to'),
)


def no_attribute(layer: object, name: str) -> AttributeError:
    """An attribute that a layer or a network does not have; Gluon's layers were networks each."""
    kind = type(layer).__name__
    if hasattr(type(layer), 'initialize'):
        return missing(kind, name, 'a network', dir(type(layer)))
    if name in _OF_NETWORKS:
        return errors.NotANetworkError(
            f'{kind} is a definition and holds no values, so it has no {name!r}',
            remedy=f'net = nn.Sequential(layer); net.{name}(...) -- or assign the layer in an nn.Block',
        )
    in_forward = above.run.in_forward(layer)  # there, it is a layer of somebody's
    hint = None if in_forward else hints()['a network'].get(name)
    if hint is not None:
        return errors.NotANetworkError(
            f'{kind} is a definition and holds no values, so it has no {name!r}',
            remedy=f'net = nn.Sequential(layer); then {hint}',
        )
    return AttributeError(f'{kind!r} object has no attribute {name!r}', name=name, obj=layer)


def not_in_parameter(name: object, known: Iterable[str]) -> errors.MissingNameError:
    """An attribute that a Parameter does not have."""
    return missing('Parameter', str(name), 'a Parameter', known)


def no_method(cls: type, method: object) -> errors.ArgumentError:
    """A method to run that a class does not have."""
    remedy = _near(str(method), [name for name in dir(cls) if name[0] != '_'])
    return errors.ArgumentError(f'{cls.__name__} has no method {method!r}', remedy=remedy)


def bare_layer(layer: object) -> errors.BareLayerError:
    """A call of a definition."""
    return errors.BareLayerError(
        f'{layer!r} is a definition and holds no values, so it cannot be called',
        remedy='params = layer.init(key, x); y = layer.apply(params, x) -- or net = nn.Sequential(layer); '
        'net.initialize(); net(x)',
    )


def only_in_forward(layer: object, what: str) -> errors.BareLayerError:
    """Something of a layer that exists while it is called."""
    what = f'{type(layer).__name__}.{what} exists only in forward'
    return errors.BareLayerError(what, remedy='ask for it in forward')


def under_construction() -> errors.ArgumentError:
    """Values of a network whose constructor runs."""
    remedy = 'self.weight = Param(shape, init=...) declares one'
    return errors.ArgumentError('a network under construction has no params', remedy=remedy)


# In forward.


def field_set_in_forward(path: Path, name: str) -> errors.FrozenError:
    """An assignment in `forward`."""
    return errors.FrozenError(
        f'forward of {layer_text(path)} cannot set {name!r}',
        expected='a parameter declared with Param(trainable=False)',
        remedy='use a local variable, or declare the value as such a parameter',
    )


def field_deleted_in_forward(path: Path, name: str) -> errors.FrozenError:
    """A deletion in `forward`."""
    return errors.FrozenError(f'forward of {layer_text(path)} cannot delete {name!r}', remedy='use a local variable')


def trainable_set_in_forward(name: str) -> errors.FrozenError:
    """An assignment in `forward` to a parameter that is trained."""
    what = f'{name!r} is trainable, so forward cannot set it'
    return errors.FrozenError(what, remedy='declare it with Param(trainable=False); or let the optimizer do it')


def recorded_shape(name: str, shape: Shape | None, new: Shape) -> errors.ShapeError:
    """An assignment in `forward` of another shape."""
    what = f'{name!r} was recorded with another shape'
    return errors.ShapeError(what, expected=shape_text(shape), got=new)


def recorded_inside(what: str) -> errors.TransformationError:
    """An assignment in `forward`, inside a transformation."""
    what = f'{what} was recorded inside a transformation of your own (scan, vmap, grad, jit or checkpoint)'
    return errors.TransformationError(what, remedy='return the value from it, and assign it outside')


def stacked_copies(name: str, copies: Shape) -> errors.BareLayerError:
    """A parameter of stacked copies, which is read whole."""
    what = f'{name!r} stacks {shape_text(copies)} copies, and forward takes one at a time'
    return errors.BareLayerError(what, remedy='call the layer that repeats it, or use self.scan(..., over=...)')


def unknown_where_read(name: str, shape: Shape | None) -> errors.ShapeError:
    """A parameter that `forward` reads before its shape is known."""
    what = f'the shape of {name!r} is still unknown where forward reads it'
    remedy = 'declare it whole, or return it from infer_shape of its layer and call that layer'
    return errors.ShapeError(what, got=shape, remedy=remedy)


def no_random_key(path: Path, training: bool) -> errors.MissingKeyError:
    """A layer that asks for a random key, without one."""
    remedy = 'apply_train(params, x, key=key)' if training else 'apply is inference; use apply_train'
    return errors.MissingKeyError(f'{layer_text(path)} asks for a random key, and there is none', remedy=remedy)


# Shapes and values.


def unknown_shapes(unknown: Mapping[str, Shape | None]) -> errors.ShapeError:
    """Parameters whose shapes nothing decides."""
    return errors.ShapeError(
        f'the shapes of {sorted(unknown)} are still unknown',
        got=', '.join(f'{name}: {shape}' for name, shape in unknown.items()),
        remedy='give the inputs that reach these layers, declare the sizes (in_units=, in_channels=), '
        'or return them from infer_shape',
    )


def other_params(cls: type, leaves: Iterable[Any], shapes: Mapping[str, tuple[int, ...]]) -> errors.ParamsError:
    """Params that are not those of a definition."""
    what = f'these params are not those of {cls.__name__}:\n  ' + '\n  '.join(compare(leaves, shapes))
    inside = bool(shapes) and all(name.startswith('params.') for name in shapes)
    remedy = "net.apply(params, x), where others have net.apply({'params': params}, x)" if inside else None
    remedy = remedy or 'params come from init, apply_train or net.params of this very definition'
    return errors.ParamsError(what, remedy=remedy)


def compare(leaves: Iterable[Any], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Every difference between a definition's leaves and arrays of these shapes, one line each."""
    expected = {leaf.name: leaf for leaf in leaves}
    aliases = {name: leaf.name for leaf in expected.values() for name in leaf.names[1:]}
    found = [f'missing: {name} {shape_text(leaf.shape)}' for name, leaf in expected.items() if name not in shapes]
    for name, shape in shapes.items():
        leaf = expected.get(name)
        if leaf is None:
            tied = f' (tied: its leaf is {aliases[name]})' if name in aliases else ''
            found.append(f'extra: {name} {shape_text(shape)}{tied}')
        elif leaf.shape is not None and merge_shapes(leaf.shape, shape) is None:
            found.append(f'shape of {name}: expected {shape_text(leaf.shape)}, got {shape_text(shape)}')
    return found


def other_value_shape(name: str, shape: Shape | None, new: Shape) -> errors.ShapeError:
    """A value that a Parameter cannot take."""
    return errors.ShapeError(f'{name!r} cannot take this value', expected=shape_text(shape), got=new)


def donated(name: str) -> errors.DonatedError:
    """A Parameter whose array was donated."""
    what = f'the array of parameter {name!r} was donated to a compiled function, and is gone'
    ways = 'net.params = params, with what that function returned', 'jax.tree.map(jnp.copy, net.params)'
    return errors.DonatedError(what, remedy=f'{ways[0]}; or donate copies: {ways[1]}')


def no_value(parameter: Any) -> errors.GluonError:
    """The value of a Parameter that nobody initialized, or that waits for a shape."""
    if parameter.deferred is None:
        what = f'parameter {parameter.name!r} has not been initialized'
        return errors.UninitializedError(what, remedy='call net.initialize(), then net(x); params=net[0] shares it')
    return errors.DeferredInitializationError(
        f'parameter {parameter.name!r} is not initialized yet: '
        f'its shape {shape_text(parameter.shape)} waits for the first input',
        remedy='call net(x) once, or declare the size (in_units=, in_channels=); params=net[0] shares it',
    )


def traced(what: str, remedy: str) -> errors.TransformationError:
    """A tracer that would reach a network."""
    got = 'a tracer, inside a transformation (jit, grad, vmap, ...)'
    return errors.TransformationError(what, got=got, remedy=remedy)


def hidden_tracer(leaf: object) -> errors.TransformationError:
    """An output with a tracer in an object that is no pytree."""
    what = f'the network returns a {type(leaf).__name__}, which is no pytree, with arrays in it'
    remedy = 'jax.tree_util.register_dataclass; or net.hybridize(active=False)'
    return errors.TransformationError(what, remedy=remedy)


# Ties.


def no_identity(shared: object) -> errors.ArgumentError:
    """Something else that `params=` was given."""
    return errors.ArgumentError(
        'params= takes the identity of a layer',
        expected='layer.params of a definition, or the layer',
        got=type(shared).__name__,
        remedy='params=layer.params, or for a part of a network params=net[0]',
    )


def tied_shapes(name: str, other: str, shape: Shape | None, other_shape: Shape | None) -> errors.TieError:
    """Tied parameters whose shapes differ."""
    return errors.TieError(
        f'{name!r} and {other!r} are tied, but their shapes differ',
        expected=shape_text(shape),
        got=shape_text(other_shape),
        remedy='net.tie(target, source, transform=...) ties different shapes',
    )


def two_values(first: str, second: str) -> errors.TieError:
    """Tied parameters that have a value each."""
    return errors.TieError(
        f'{first!r} and {second!r} are one parameter here, and both have values',
        remedy='use a copy (copy.deepcopy) of one of the layers, or initialize after putting them together',
    )


def tied_to_another_network(path: Path) -> errors.TieError:
    """A layer that `params=` ties to one of another network."""
    what = f'params= ties layer {".".join(path)!r} to one that is not in this network'
    return errors.TieError(what, remedy='to share a layer of another network, put other[0] itself into this one')


_OF_TRAINING = frozenset(
    {'train', 'is_train', 'is_training', 'deterministic', 'use_running_average', 'mutable', 'rngs'}
)


def named_inputs(named: Mapping[str, Any]) -> errors.ArgumentError:
    """Several inputs of a Sequential by name."""
    what, got = 'a Sequential takes its inputs by position', f'inputs named {sorted(named)}'
    remedy = 'net(x, training=True, key=key)' if _OF_TRAINING & named.keys() else 'net(x, y)'
    return errors.ArgumentError(what, got=got, remedy=remedy)
