"""Sentences as numbers, and batches of those of like lengths."""

from __future__ import annotations

import bisect
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io import DataBatch, DataDesc, DataIter


def encode_sentences(
    sentences: Sequence[Sequence[str]],
    vocab: Mapping[str, int] | None = None,
    invalid_label: int = -1,
    invalid_key: str = '\n',
    start_label: int = 0,
    unknown_token: str | None = None,
) -> tuple[list[list[int]], dict[str, int]]:
    r"""Sentences of words as lists of numbers, and the numbers of words.

    Args:
        sentences: lists of words.
        vocab: the numbers of words; made if it is not given.
        invalid_label: the number of the word that fills sentences.
        invalid_key: that word.
        start_label: the first number.
        unknown_token: the word for those that a given `vocab` lacks.

    Raises:
        ArgumentError: for a word that a given `vocab` lacks, without `unknown_token`.

    >>> encode_sentences([['a', 'b'], ['b']], start_label=1)
    ([[1, 2], [2]], {'\n': -1, 'a': 1, 'b': 2})
    """
    known = {invalid_key: invalid_label} if vocab is None else dict(vocab)
    number = start_label
    encoded = []
    for sentence in sentences:
        coded = []
        for word in sentence:
            if word not in known:
                if vocab is not None and not unknown_token:
                    raise ArgumentError(f'the vocabulary lacks {word!r}', remedy="unknown_token='<unk>'")
                word = unknown_token or word
                number += number == invalid_label
                known[word] = number  # of an unknown one the number is new each time, as in MXNet
                number += 1
            coded.append(known[word])
        encoded.append(coded)
    return encoded, known


class BucketSentenceIter(DataIter):
    """Batches of sentences of like lengths for language models: labels are the words that follow.

    Args:
        sentences: lists of numbers.
        batch_size: the number of sentences in a batch.
        buckets: lengths to which sentences are filled; by default those that fill a batch.
        invalid_label: the number that fills sentences.
        data_name: the name of the data.
        label_name: the name of the labels.
        dtype: of both.
        layout: 'NT', or 'TN' for batches along the second axis.

    Raises:
        ArgumentError: for another layout, or if no bucket is filled.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: Sequence[int] | None = None,
        invalid_label: int = -1,
        data_name: str = 'data',
        label_name: str = 'softmax_label',
        dtype: DTypeLike = 'float32',
        layout: str = 'NT',
    ):
        super().__init__()
        if layout not in ('NT', 'TN'):
            raise ArgumentError('there is no such layout', expected="'NT' or 'TN'", got=repr(layout))
        counts = np.bincount([len(sentence) for sentence in sentences])
        lengths = sorted(buckets or [length for length, count in enumerate(counts) if count >= batch_size])
        filled: list[list[Any]] = [[] for _ in lengths]
        for sentence in sentences:
            at = bisect.bisect_left(lengths, len(sentence))
            if at < len(lengths):
                padding = [invalid_label] * (lengths[at] - len(sentence))
                filled[at].append([*sentence, *padding])
        discarded = len(sentences) - sum(map(len, filled))
        print(f'WARNING: discarded {discarded} sentences longer than the largest bucket.')
        self.data: list[Any] = [np.asarray(rows, dtype) for rows in filled if rows]
        self.buckets: list[int] = [length for length, rows in zip(lengths, filled, strict=True) if rows]
        if not self.buckets:
            raise ArgumentError('no bucket has sentences', remedy='buckets=[10, 20], or a smaller batch_size')
        self.batch_size = batch_size
        self.data_name: str = data_name
        self.label_name: str = label_name
        self.dtype: Any = dtype
        self.layout: str = layout
        self.invalid_label: int = invalid_label
        self.default_bucket_key: int = max(self.buckets)
        shape = (batch_size, self.default_bucket_key)
        whole = shape if layout == 'NT' else shape[::-1]
        self.provide_data: list[DataDesc]
        self.provide_label: list[DataDesc]
        self.provide_data, self.provide_label = self._descriptions(whole)
        starts = [range(0, len(rows) - batch_size + 1, batch_size) for rows in self.data]
        self.idx: list[tuple[int, int]] = [(i, start) for i, some in enumerate(starts) for start in some]
        self.reset()

    def _descriptions(self, shape: tuple[int, ...]) -> tuple[list[DataDesc], list[DataDesc]]:
        data, label = (DataDesc(name, shape, layout=self.layout) for name in (self.data_name, self.label_name))
        return [data], [label]

    def reset(self) -> None:
        """Begins again, in another order."""
        self.curr_idx: int = 0
        random.shuffle(self.idx)
        self.nddata: list[Any] = []
        self.ndlabel: list[Any] = []
        for rows in self.data:
            np.random.shuffle(rows)  # noqa: NPY002 (numpy.random.seed decides, as in MXNet)
            labels = np.full_like(rows, self.invalid_label)
            labels[:, :-1] = rows[:, 1:]
            self.nddata.append(ndarray.array(rows, dtype=self.dtype))
            self.ndlabel.append(ndarray.array(labels, dtype=self.dtype))

    def next(self) -> DataBatch:
        """The next batch; its `bucket_key` is its length."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        bucket, start = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (array[bucket][start : start + self.batch_size] for array in (self.nddata, self.ndlabel))
        if self.layout == 'TN':
            data, label = data.T, label.T
        provide_data, provide_label = self._descriptions(data.shape)
        return DataBatch(
            [data],
            [label],
            pad=0,
            bucket_key=self.buckets[bucket],
            provide_data=provide_data,
            provide_label=provide_label,
        )


explain_calls(globals())
