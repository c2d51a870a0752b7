"""What the fields of layers and networks hold beside items with names: layers in there, and functions that call them.

Items of lists, tuples and dicts have names, so that layers in them are found. A function of a field may hold the layer
or network whose field it is, as `lambda x: self.dense(x)` and `self.encode` do; in `forward` it holds the bound copy.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from types import CellType, FunctionType, GeneratorType, MappingProxyType, MethodType, ModuleType
from typing import Any

import jax
import jax.core
import numpy as np

from gluonjax.block import held_in
from gluonjax.errors import ArgumentError
from gluonjax.layer import Layer, token_of
from gluonjax.lazy import above
from gluonjax.param import Param
from gluonjax.run import Bindable, forward_class
from gluonjax.tree import items_of, map_items

_REBINDABLE = FunctionType | MethodType | functools.partial
_RUN_ONCE = (GeneratorType, map, filter)  # what is in them is made when they run
_VIEWS = tuple(type(view) for view in ({}.keys(), {}.values(), {}.items()))
_CONTAINERS = (list, tuple, dict, set, frozenset, collections.deque, MappingProxyType, *_VIEWS)
_WRAPPERS = (collections.UserDict, collections.UserList, collections.ChainMap)
_PLAIN = (type(None), bool, int, float, complex, str, bytes, jax.Array, jax.core.Tracer, type, ModuleType, weakref.ref)


def check(owner: Bindable, name: str, value: Any) -> None:
    """Refuses layers and Params that are in a field and have no names there, and arrays.

    Args:
        owner: the layer or network whose field it is.
        name: of the field.
        value: of the field.

    Raises:
        ArgumentError: naming the field, and where layers or arrays can be kept.
    """
    if value is owner and isinstance(owner, Layer):
        raise ArgumentError(f'{type(owner).__name__}.{name} is the layer itself', remedy='make a second one')
    if isinstance(value, jax.Array):
        remedy = 'declare Param(shape, init=init.Constant(value), trainable=False)'
        raise ArgumentError(f'{type(owner).__name__}.{name} is an array; a definition holds none', remedy=remedy)
    if isinstance(value, dict):
        _check_hidden(owner, name, 'the keys of a dict', list(value))
        if any(_is_held(item) for _, item in items_of(value)):
            _check_keys(f'{type(owner).__name__}.{name}', value)
    if isinstance(value, tuple | dict) or type(value) is list:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check(owner, f'{name}.{key}', item)
    elif isinstance(value, _RUN_ONCE):
        raise ArgumentError(
            f'{type(owner).__name__}.{name} is a {type(value).__name__}, whose items have no names',
            expected='a list, a tuple or a dict',
            remedy='self.layers = [*items]',
        )
    elif not _is_held(value):
        _check_hidden(owner, name, f'a {type(value).__name__}', value)


def _check_keys(owner: str, items: Mapping[Any, Any]) -> None:
    """The keys of a dict in a field can be parts of names: no dots, and no two alike when written.

    Raises:
        ArgumentError: if they cannot.
    """
    written = [str(key) for key in items]
    if any('.' in key for key in written) or len(set(written)) < len(written):
        what = f'the keys of {owner} cannot be parts of names'
        raise ArgumentError(what, expected='unique, no dots', got=list(items))


def _check_hidden(owner: Bindable, name: str, kind: str, value: Any) -> None:
    if not _hides(owner, value, {}):
        return
    remedy = 'self.layers = [...], and what else is needed beside them'
    if callable(value):
        remedy = 'self.dense = ..., and call it in forward, or in a function that calls self.dense'
    raise ArgumentError(
        f'{type(owner).__name__}.{name} keeps layers in {kind}',
        expected='a list, a tuple or a dict, whose items have names',
        remedy=remedy,
    )


def _is_held(item: Any) -> bool:
    return isinstance(item, Bindable | Param) or hasattr(type(item), 'set_data')  # a Parameter


def _hides(owner: Bindable, item: Any, seen: dict[int, Any], rebinds: bool = True, opens: bool = True) -> bool:
    """Whether a layer is somewhere in an item.

    Args:
        owner: the layer that may be there, if `rebinds`.
        item: what to look into.
        seen: what was looked into, by identity.
        rebinds: whether only functions that can be bound again, and objects that do not compute, are around it.
        opens: whether attributes of objects count: not those of objects in objects.
    """
    if isinstance(item, _PLAIN) or id(item) in seen:
        return False
    if _is_held(item):
        return not (rebinds and _is_same(item, owner))
    seen[id(item)] = item
    rebinds = rebinds and (isinstance(item, _REBINDABLE) or not (callable(item) or isinstance(item, _CONTAINERS)))
    inner, opens = _contents(item, opens)
    return any(_hides(owner, one, seen, rebinds, opens) for one in inner)


def _is_same(item: Any, owner: Bindable) -> bool:
    """Whether an item is the owner of a field, or the layer of which the owner was made."""
    if item is owner or not isinstance(item, Bindable):
        return item is owner
    with contextlib.suppress(AttributeError):  # of a layer under construction, which has no identity yet
        token = token_of(owner)
        return token is not None and token_of(item) is token
    return False


def _contents(item: Any, opens: bool) -> tuple[Iterable[Any], bool]:
    """What is directly in an item, and whether the attributes of objects in there count."""
    if isinstance(item, MethodType):
        return (item.__self__, item.__func__), opens
    if isinstance(item, functools.partial):
        return (item.func, *item.args, *item.keywords.values()), opens
    if isinstance(item, FunctionType):
        cells = _values_of(item.__closure__ or ())
        return (*cells, *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values(), *vars(item).values()), False
    if isinstance(item, np.ndarray):
        return item.ravel().tolist() if item.dtype.hasobject else (), opens
    if isinstance(item, (*_CONTAINERS, *_WRAPPERS)) or type(item).__module__ in ('builtins', 'itertools', 'functools'):
        return gc.get_referents(item), opens
    if dataclasses.is_dataclass(item):
        return (getattr(item, field.name, None) for field in dataclasses.fields(item)), opens
    if not opens or type(item).__module__.partition('.')[0] == 'gluonjax':
        return (), False
    return list(getattr(item, '__dict__', {}).values()), False


def _values_of(cells: Iterable[CellType]) -> Iterator[Any]:
    for cell in cells:
        with contextlib.suppress(ValueError):  # of a name that is not set yet
            yield cell.cell_contents


def check_class(cls: type) -> None:
    """Refuses layers and Params that are attributes of a class: all its instances would share them.

    Raises:
        ArgumentError: naming one.
    """
    for base in cls.__mro__:
        for name, value in vars(base).items():
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            if any(isinstance(item, Bindable | Param) for item in items):
                raise above.messages.shared_by_instances(base, name, value)


def map_nodes(change: Callable[[Any], Any], value: Any) -> Any:
    """`change` on every Layer and Param in a field, through tuples and dicts; whatever else stays."""
    return map_items(lambda item, _: change(item) if isinstance(item, Layer | Param) else item, value)


def child_definition(network: Any, where: str) -> Any:
    """What a definition keeps of a network in a field: its definition, if it has no values that would be lost.

    Raises:
        ArgumentError: if it has.
    """
    held = [node.parameter for _, node in held_in(network)]
    if any(parameter.current is not None or parameter.deferred is not None for parameter in held):
        raise above.messages.network_in_definition(where)
    return network.definition


def rebound(bound: Bindable, value: Any, made: MutableMapping[int, Any] | None = None) -> Any:
    """A function of a field as `forward` reads it: where it holds the layer whose field it is, it holds the bound copy.

    Args:
        bound: the bound copy.
        value: the function, a method, or a partial one; whatever else stays.
        made: what was made of functions that are being rebound, which may hold themselves.

    Returns:
        The function; itself if it does not hold the layer.
    """
    made = {} if made is None else made

    def change(item: Any) -> Any:
        return rebound(bound, item, made)

    if isinstance(value, Bindable):
        return bound if forward_class(value) in type(bound).__bases__ else value
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, MethodType):
        instance = change(value.__self__)
        return value if instance is value.__self__ else MethodType(value.__func__, instance)
    if isinstance(value, functools.partial):
        parts = (value.func, *value.args, *value.keywords.values())
        changed = [change(part) for part in parts]
        if all(map(_is, changed, parts)):
            return value
        count = 1 + len(value.args)
        return functools.partial(*changed[:count], **dict(zip(value.keywords, changed[count:], strict=True)))
    return _rebound_function(value, change, made) if isinstance(value, FunctionType) else value


def _rebound_function(function: FunctionType, change: Callable[[Any], Any], made: MutableMapping[int, Any]) -> Any:
    made[id(function)] = function  # to itself, while it is looked at
    cells, defaults = function.__closure__ or (), function.__defaults__ or ()
    named = function.__kwdefaults__ or {}
    held = [*_values_of(cells), *defaults, *named.values()]
    if all(map(_is, map(change, held), held)):
        return function
    closure = tuple(CellType() for _ in cells)
    made[id(function)] = copy = FunctionType(function.__code__, function.__globals__, function.__name__, None, closure)
    for cell, original in zip(closure, cells, strict=True):
        for contents in _values_of([original]):
            cell.cell_contents = change(contents)
    copy.__defaults__ = tuple(map(change, defaults)) or None
    copy.__kwdefaults__ = {name: change(default) for name, default in named.items()} or None
    vars(copy).update(vars(function))
    return copy


def _is(first: Any, second: Any) -> bool:
    return first is second
