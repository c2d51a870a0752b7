"""`mx.contrib.text.utils`: how often words occur."""

from __future__ import annotations

import collections
import re


def count_tokens_from_str(
    source_str: str,
    token_delim: str = ' ',
    seq_delim: str = '\n',
    to_lower: bool = False,
    counter_to_update: collections.Counter[str] | None = None,
) -> collections.Counter[str]:
    r"""Counts the tokens of a text.

    Args:
        source_str: the text.
        token_delim: a regular expression of what separates tokens.
        seq_delim: likewise of what separates lines.
        to_lower: whether upper case is ignored.
        counter_to_update: the counter that is added to; a new one by default.

    >>> count_tokens_from_str(' Life is good .\nlife is .', to_lower=True)
    Counter({'life': 2, 'is': 2, '.': 2, 'good': 1})
    """
    found = [token for token in re.split(f'{token_delim}|{seq_delim}', source_str) if token]
    counter = collections.Counter() if counter_to_update is None else counter_to_update
    counter.update([token.lower() for token in found] if to_lower else found)
    return counter
