"""Names, shapes and trees: nested dicts of arrays by structural name, and shapes that are not known yet."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from gluonjax.errors import ArgumentError, FrozenError, ParamsError, PatternError

Path = tuple[str, ...]


def _refuse(*args, **kwargs) -> Any:
    raise FrozenError('this dict belongs to a definition and is read-only', remedy='make a new layer')


class FrozenDict(dict[Any, Any]):
    """A read-only dict."""

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = cast(Any, _refuse)

    def __reduce__(self):
        return FrozenDict, (dict(self),)


def check_keys(owner: str, items: Mapping[Any, Any]) -> None:
    """The keys of a dict in a field can be parts of names: no dots, and no two alike when written.

    Raises:
        ArgumentError: if they cannot.
    """
    written = [str(key) for key in items]
    if any('.' in key for key in written) or len(set(written)) < len(written):
        raise ArgumentError(
            f'the keys of {owner} cannot be parts of names', expected='unique, no dots', got=list(items)
        )


def flatten(params: Mapping[str, Any], path: str = '') -> dict[str, Any]:
    """Name -> leaf of a nested dict."""
    if not isinstance(params, Mapping):
        raise ParamsError(
            'params are a nested dict of arrays', got=type(params).__name__, remedy='params = layer.init(key, x)'
        )
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


def matches(pattern: str, names: Iterable[str]) -> bool:
    """Whether a pattern matches one of the names, as MXNet matches: from the beginning, not to the end."""
    return any(re.match(pattern, name) for name in names)


def no_match(pattern: str, leaves) -> PatternError:
    """The error for a pattern that matches none of these leaves."""
    return PatternError(
        f'no parameter matches {pattern!r}',
        expected=f'a pattern for one of {[name for leaf in leaves for name in leaf.names]}',
        remedy="patterns are regular expressions matched from a name's beginning, as in '.*bias' or '0.weight'",
    )
