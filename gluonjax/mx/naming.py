"""Names of nodes that were given none: the operator's, and a count."""

import collections
import itertools

_COUNTS: dict[str, 'itertools.count[int]'] = collections.defaultdict(itertools.count)


def next_name(op: str) -> str:
    """A new name for a node with this operator.

    >>> next_name('NoSuchOperator'), next_name('NoSuchOperator')
    ('nosuchoperator0', 'nosuchoperator1')
    """
    hint = op.lower()
    return f'{hint}{next(_COUNTS[hint])}'
