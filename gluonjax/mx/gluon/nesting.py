"""Nested lists of arrays as flat ones, and back: what libraries on Gluon take from `gluon.block`.

>>> from gluonjax.mx import nd
>>> flat, form = flatten([nd.ones(1), [nd.zeros(2), None]], 'input')
>>> len(flat), form
(3, [0, [0, -1]])
>>> [x.shape if hasattr(x, 'shape') else len(x) for x in regroup(flat, form)]
[(1,), 2]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gluonjax.errors import ArgumentError
from gluonjax.mx.array import NDArray
from gluonjax.mx.symbol import Symbol


def flatten(args: Any, inout_str: str) -> tuple[list[Any], Any]:
    """The arrays or symbols of nested lists in order, and the form: 0 for one, -1 for None, n for one of n outputs.

    Args:
        args: an array, a symbol, None, or lists of them.
        inout_str: what they are, 'input' or 'output', for errors.

    Raises:
        ArgumentError: for anything else.
    """
    if args is None:
        return [None], -1
    if isinstance(args, NDArray):
        return [args], 0
    if isinstance(args, Symbol):
        outputs = len(args.list_outputs())
        return [args], outputs if outputs > 1 else 0
    if not isinstance(args, list | tuple):
        raise ArgumentError(f'an {inout_str} of a block', expected='arrays, symbols, None, or lists of them', got=args)
    parts = [flatten(part, inout_str) for part in args]
    return [leaf for leaves, _ in parts for leaf in leaves], [form for _, form in parts]


def regroup(args: Sequence[Any], fmt: Any) -> Any:
    """The nested lists of which `flatten` gave these arrays and this form."""
    return _taken(iter(args), fmt)


def _taken(leaves: Iterator[Any], form: Any) -> Any:
    if isinstance(form, list | tuple):
        return [_taken(leaves, part) for part in form]
    return [next(leaves) for _ in range(form)] if form > 0 else next(leaves)
