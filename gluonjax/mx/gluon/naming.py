"""Names of blocks as Gluon makes them: 'dense0_', counted in each scope."""

from __future__ import annotations

import collections
import contextvars
from typing import Any

from gluonjax.mx.gluon.parameter import ParameterDict
from gluonjax.mx.naming import Prefix


class NameScope:
    """The names inside a block; a `with` block of it is `block.name_scope()`. One without a prefix changes nothing."""

    def __init__(self, block: Any, is_empty: bool):
        self.block: Any = block
        self.counts: collections.Counter[str] = collections.Counter()
        self.is_empty: bool = is_empty
        self._entered: list[tuple[contextvars.Token[NameScope | None], Prefix]] = []

    def __enter__(self) -> NameScope:
        if not self.is_empty:
            nodes = Prefix(self.block.prefix)
            self._entered.append((_SCOPE.set(self), nodes))
            nodes.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if not self.is_empty:
            token, nodes = self._entered.pop()
            nodes.__exit__()
            _SCOPE.reset(token)


_SCOPE: contextvars.ContextVar[NameScope | None] = contextvars.ContextVar('names', default=None)
_OUTERMOST: collections.Counter[str] = collections.Counter()


def named(prefix: str | None, params: ParameterDict | None, hint: str) -> tuple[str, ParameterDict]:
    """The prefix of a new block, and its dict of parameters."""
    scope = _SCOPE.get()
    counts = _OUTERMOST if scope is None else scope.counts
    if prefix is None:
        prefix = f'{hint}{counts[hint]}_'
        counts[hint] += 1
    if params is not None:
        own = ParameterDict(params.prefix, params)
    elif scope is None:
        own = ParameterDict(prefix)
    else:
        parent = scope.block.params
        own = ParameterDict(parent.prefix + prefix, parent.shared)
    return (prefix if scope is None else scope.block.prefix + prefix), own
