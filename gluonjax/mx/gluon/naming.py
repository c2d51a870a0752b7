"""Names of blocks as Gluon makes them: 'dense0_', counted in each scope."""

import collections
import contextvars
from typing import Any

from gluonjax.mx.gluon.parameter import ParameterDict


class NameScope:
    """The names inside a block; a `with` block of it is `block.name_scope()`."""

    def __init__(self, block: Any):
        self.block: Any = block
        self.counts: collections.Counter[str] = collections.Counter()
        self._tokens: list[contextvars.Token[NameScope | None]] = []

    def __enter__(self) -> 'NameScope':
        self._tokens.append(_SCOPE.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _SCOPE.reset(self._tokens.pop())


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
