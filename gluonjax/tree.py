"""Nested dicts of arrays by structural name, what fields hold, and patterns for names."""

from __future__ import annotations

import collections
import copy
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gluonjax.errors import FrozenError, PatternError
from gluonjax.lazy import above

Path = tuple[str, ...]


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise FrozenError('this dict belongs to a definition and is read-only', remedy='make a new layer')


class FrozenDict(dict[Any, Any]):
    """A read-only dict."""

    if not TYPE_CHECKING:  # the signatures are others than those of a dict
        __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)


_PLAIN_DICTS = (dict, FrozenDict, collections.OrderedDict, collections.defaultdict)


def map_items(change: Callable[[Any, Path], Any], value: Any, path: Path = (), dicts: type = FrozenDict) -> Any:
    """`change(item, path)` on what a field holds: the field itself, or the items of tuples, lists and dicts in it.

    Lists become tuples, and dicts are of the kind that is given; NamedTuples and dicts of somebody's class keep it.

    >>> map_items(lambda item, path: f'{".".join(path)}={item}', [1, {'a': 2}])
    ('0=1', {'a': '1.a=2'})
    """
    if isinstance(value, tuple) or type(value) is list:
        items = [map_items(change, item, (*path, str(i)), dicts) for i, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, '_fields') else tuple(items)
    if isinstance(value, dict):
        items = {key: map_items(change, item, (*path, str(key)), dicts) for key, item in value.items()}
        return dicts(items) if type(value) in _PLAIN_DICTS else _refilled(value, items)
    return change(value, path)


def _refilled(value: dict[Any, Any], items: dict[Any, Any]) -> dict[Any, Any]:
    refilled = copy.copy(value)
    dict.update(refilled, items)
    return refilled


def items_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """What `map_items` changes, each with its path.

    >>> list(items_of({'a': (1, 2)}))
    [(('a', '0'), 1), (('a', '1'), 2)]
    """
    if isinstance(value, tuple | dict) or type(value) is list:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from items_of(item, (*path, str(key)))
    else:
        yield path, value


def flatten(params: Mapping[str, Any], path: str = '') -> dict[str, Any]:
    """Name -> leaf of a nested dict."""
    if not isinstance(params, Mapping):
        raise above.messages.no_params(params)
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


def matches(pattern: str, names: Iterable[str]) -> bool:
    """Whether a pattern matches one of the names, as MXNet matches: from the beginning, not to the end."""
    try:
        return any(re.match(pattern, name) for name in names)
    except (TypeError, re.error) as error:
        raise PatternError(f'{pattern!r} is no pattern', expected='a regular expression', got=str(error)) from None
