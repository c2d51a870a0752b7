"""`mx.contrib.text.vocab`: tokens and their numbers."""

from __future__ import annotations

import collections
from collections.abc import Hashable, Sequence
from typing import Any

from gluonjax.errors import ArgumentError


class Vocabulary:
    """Numbers tokens: 0 is the unknown one, then those reserved, then the others, the frequent ones first.

    Args:
        counter: how often each token occurs.
        most_freq_count: how many of them are kept at most.
        min_freq: how often a token must occur.
        unknown_token: what stands for all others.
        reserved_tokens: tokens that are kept in any case.

    Raises:
        ArgumentError: for `min_freq` below 1, a counter that is none, or reserved tokens that occur twice.

    >>> words = Vocabulary(collections.Counter('a b b c c c'.split()), min_freq=2, reserved_tokens=['<pad>'])
    >>> words.idx_to_token
    ['<unk>', '<pad>', 'c', 'b']
    >>> words.to_indices(['b', 'a']), words.to_tokens(2)
    ([3, 0], 'c')
    """

    def __init__(
        self,
        counter: collections.Counter[Any] | None = None,
        most_freq_count: int | None = None,
        min_freq: int = 1,
        unknown_token: Hashable = '<unk>',
        reserved_tokens: Sequence[Hashable] | None = None,
    ):
        kept = [unknown_token, *(reserved_tokens or ())]
        if min_freq < 1:
            raise ArgumentError(f'min_freq must be an int >= 1, got {min_freq}')
        if len(set(kept)) < len(kept):
            raise ArgumentError('reserved tokens are different ones, and not the unknown token', got=reserved_tokens)
        if counter is not None and not isinstance(counter, collections.Counter):
            got = type(counter).__name__
            raise ArgumentError(
                'a Vocabulary takes a collections.Counter', got=got, remedy='collections.Counter(tokens)'
            )
        ordered = sorted((counter or {}).items(), key=lambda item: item[0])
        frequent = [token for token, freq in sorted(ordered, key=lambda item: -item[1]) if freq >= min_freq]
        others = [token for token in frequent if token not in kept]
        self._reserved_tokens: list[Any] | None = None if reserved_tokens is None else list(reserved_tokens)
        self._idx_to_token: list[Any] = kept + others[:most_freq_count]
        self._token_to_idx: dict[Any, int] = {token: i for i, token in enumerate(self._idx_to_token)}

    def __len__(self) -> int:
        return len(self._idx_to_token)

    @property
    def token_to_idx(self) -> dict[Any, int]:
        """The number of each token."""
        return self._token_to_idx

    @property
    def idx_to_token(self) -> list[Any]:
        """The tokens in order."""
        return self._idx_to_token

    @property
    def unknown_token(self) -> Any:
        """What stands for all other tokens."""
        return self._idx_to_token[0]

    @property
    def reserved_tokens(self) -> list[Any] | None:
        """The tokens that were kept in any case."""
        return self._reserved_tokens

    def to_indices(self, tokens: Any) -> Any:
        """The number of a token, or those of a list; 0 for unknown ones."""
        if isinstance(tokens, list):
            return [self._token_to_idx.get(token, 0) for token in tokens]
        return self._token_to_idx.get(tokens, 0)

    def to_tokens(self, indices: Any) -> Any:
        """The token of a number, or those of a list.

        Raises:
            ArgumentError: for a number that there is not.
        """
        listed = indices if isinstance(indices, list) else [indices]
        for index in listed:
            if not isinstance(index, int) or not 0 <= index < len(self):
                raise ArgumentError('there is no such token', expected=f'a number below {len(self)}', got=index)
        found = [self._idx_to_token[index] for index in listed]
        return found if isinstance(indices, list) else found[0]
