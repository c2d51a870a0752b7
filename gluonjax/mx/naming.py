"""Names of nodes that were given none: the operator's, and a count; in the scope of a block with its prefix.

That is `mx.name`; `mx.attribute` has what `with` blocks say of nodes.
"""

from __future__ import annotations

import collections
import contextvars
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from gluonjax.errors import ArgumentError


class NameManager:
    """Gives names to the nodes that are made in a `with` block of it.

    >>> with NameManager() as manager:
    ...     manager.get(None, 'relu'), manager.get(None, 'relu'), manager.get('mine', 'relu')
    ('relu0', 'relu1', 'mine')
    """

    def __init__(self) -> None:
        self._counter: collections.Counter[str] = collections.Counter()
        self._tokens: list[contextvars.Token[NameManager]] = []

    def get(self, name: str | None, hint: str) -> str:
        """The name that is given; without one the hint and a count."""
        if name:
            return name
        number = self._counter[hint]
        self._counter[hint] += 1
        return f'{hint}{number}'

    def __enter__(self) -> NameManager:
        self._tokens.append(_CURRENT.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _CURRENT.reset(self._tokens.pop())


class Prefix(NameManager):
    """Names that begin with a prefix, those that are given too.

    >>> with Prefix('net_'):
    ...     next_name('NoSuchOperator'), next_name('NoSuchOperator', 'out')
    ('net_nosuchoperator0', 'net_out')
    """

    def __init__(self, prefix: str):
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        return self._prefix + super().get(name, hint)


_CURRENT: contextvars.ContextVar[NameManager] = contextvars.ContextVar('names of nodes', default=NameManager())  # noqa: B039


def next_name(op: str, name: str | None = None) -> str:
    """The name of a node with this operator: what the manager of the innermost `with` block says.

    >>> next_name('NoSuchOperator'), next_name('NoSuchOperator')
    ('nosuchoperator0', 'nosuchoperator1')
    """
    return _CURRENT.get().get(name, op.lower())


class AttrScope:
    """Attributes of all variables and nodes that are made in a `with` block.

    >>> from gluonjax.mx import sym
    >>> with AttrScope(ctx_group='one'):
    ...     sym.var('x').attr('ctx_group')
    'one'

    Args:
        **kwargs: strings.

    Raises:
        ArgumentError: for something else.
    """

    def __init__(self, **kwargs: str):
        if wrong := [name for name, value in kwargs.items() if not isinstance(value, str)]:
            raise ArgumentError('attributes of symbols are strings', got=f'{wrong[0]}={kwargs[wrong[0]]!r}')
        self._own = kwargs
        self._tokens: list[Any] = []

    def get(self, attr: Mapping[str, str] | None) -> dict[str, str]:
        """Attributes with its own, and those of the `with` blocks."""
        return {**_ATTRIBUTES.get(), **self._own, **(attr or {})}

    def __enter__(self) -> Self:
        self._tokens.append(_ATTRIBUTES.set({**_ATTRIBUTES.get(), **self._own}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        _ATTRIBUTES.reset(self._tokens.pop())
        return False

    @staticmethod
    def current() -> AttrScope:
        """A scope with the attributes of the `with` blocks."""
        return AttrScope(**_ATTRIBUTES.get())


def current() -> AttrScope:
    """A scope with the attributes of the `with` blocks."""
    return AttrScope.current()


_ATTRIBUTES: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar('attributes', default={})  # noqa: B039


# Attributes of MXNet's own, which nodes hold between double underscores and show by both names.
HIDDEN_KEYS: tuple[str, ...] = (
    'ctx_group',
    'force_mirroring',
    'lr_mult',
    'mirror_stage',
    'profiler_scope',
    'wd_mult',
)


def stored(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes of a variable as its node holds them.

    >>> stored({'lr_mult': '2', 'mine': 'yes'})
    {'__lr_mult__': '2', 'mine': 'yes'}
    """
    return {f'__{key}__' if key in HIDDEN_KEYS else key: value for key, value in attributes.items()}


def with_both_names(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes of a node as programs see them.

    >>> with_both_names({'__lr_mult__': '2', 'mine': 'yes'})
    {'__lr_mult__': '2', 'mine': 'yes', 'lr_mult': '2'}
    """
    both = {key: attributes[f'__{key}__'] for key in HIDDEN_KEYS if f'__{key}__' in attributes}
    return {**attributes, **both}


def attributes_here() -> Mapping[str, str]:
    """The attributes of the `with` blocks."""
    return _ATTRIBUTES.get()
