"""`gluon.contrib.data.text`: texts for language models, read from files that are there."""

from __future__ import annotations

import collections
import os
import pathlib
from typing import Any

import numpy as np

from gluonjax.data import Dataset
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx import base
from gluonjax.mx.contrib.text.counts import count_tokens_from_str
from gluonjax.mx.contrib.text.vocab import Vocabulary
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.data.arrays import handle

EOS_TOKEN = '<eos>'
_SEGMENTS = {'train': 'wiki.train.tokens', 'validation': 'wiki.valid.tokens', 'test': 'wiki.test.tokens'}


class _WikiText(Dataset):
    r"""Pairs of a row of tokens and the row that follows each of them by one.

    Args:
        root: the folder of the files, `wiki.train.tokens` and so on; nothing is downloaded.
        segment: 'train', 'validation' or 'test'.
        vocab: numbers the tokens; made of the file by default.
        seq_len: the length of a row.

    Raises:
        ArgumentError: for another segment.
        FileError: if the file is not there.

    >>> import tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (root / 'wiki.test.tokens').write_text('the cat\n\n the dog sleeps\n')
    >>> words = WikiText2(str(root), 'test', seq_len=2)
    >>> [[words.vocabulary.to_tokens(row.asnumpy().tolist()) for row in pair] for pair in words][0]
    [['the', 'cat'], ['cat', '<eos>']]
    """

    _folder = ''

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        segment: str = 'train',
        vocab: Vocabulary | None = None,
        seq_len: int = 35,
    ):
        if segment not in _SEGMENTS:
            raise ArgumentError(f'segment must be one of {", ".join(_SEGMENTS)}', got=repr(segment))
        folder = pathlib.Path(base.data_dir(), 'datasets', self._folder) if root is None else pathlib.Path(root)
        path = folder.expanduser() / _SEGMENTS[segment]
        if not path.is_file():
            raise FileError(f'there is no {path}', remedy='put the file there; nothing is downloaded')
        text = path.read_text('utf-8')
        self.frequencies: collections.Counter[Any] = count_tokens_from_str(text)
        self.vocabulary: Vocabulary = vocab or Vocabulary(self.frequencies, reserved_tokens=[EOS_TOKEN])
        lines = [[*words, EOS_TOKEN] for words in map(str.split, text.splitlines()) if words]
        numbers = np.array(self.vocabulary.to_indices([word for line in lines for word in line]), 'int32')
        count = (len(numbers) - 1) // seq_len * seq_len
        self._data: Any = handle(numbers[:count].reshape(-1, seq_len))
        self._label: Any = handle(numbers[1 : count + 1].reshape(-1, seq_len))

    def __len__(self) -> int:
        return len(self._label)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self._data[index], self._label[index]


class WikiText2(_WikiText):
    """WikiText-2, of two million words; in `$MXNET_HOME/datasets/wikitext-2` by default."""

    _folder = 'wikitext-2'


class WikiText103(_WikiText):
    """WikiText-103, of a hundred million words; in `$MXNET_HOME/datasets/wikitext-103` by default."""

    _folder = 'wikitext-103'


explain_calls(globals())
