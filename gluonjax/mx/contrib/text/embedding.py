"""`mx.contrib.text.embedding`: vectors of words, from files.

Nothing is downloaded: files that are on the machine are read.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx import ndarray
from gluonjax.mx.array import NDArray
from gluonjax.mx.contrib.text.vocab import Vocabulary
from gluonjax.mx.dialect import is_np_array

_CLASSES: dict[str, type[TokenEmbedding]] = {}
ROOT: str = os.path.join('~', '.mxnet', 'embeddings')


class TokenEmbedding(Vocabulary):
    """A Vocabulary with a vector for each token: the base of classes of one's own, after `register`.

    Args:
        **kwargs: those of `Vocabulary`.
    """

    pretrained_file_names: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._idx_to_vec: Any = None

    @property
    def vec_len(self) -> int:
        """The size of a vector."""
        return self.idx_to_vec.shape[1]

    @property
    def idx_to_vec(self) -> Any:
        """The vectors in order: an array (tokens, size)."""
        return self._idx_to_vec

    def get_vecs_by_tokens(self, tokens: Any, lower_case_backup: bool = False) -> Any:
        """The vector of a token (size,), or those of a list (tokens, size); unknown ones have that of number 0.

        Args:
            tokens: a token or a list.
            lower_case_backup: whether what is unknown is looked for in lower case.
        """
        listed = tokens if isinstance(tokens, list) else [tokens]
        known = self.token_to_idx
        if lower_case_backup:
            listed = [token if token in known else token.lower() for token in listed]
        vectors = self._array(self.idx_to_vec.asnumpy()[[known.get(token, 0) for token in listed]])
        return vectors if isinstance(tokens, list) else vectors[0]

    def update_token_vectors(self, tokens: Any, new_vectors: NDArray) -> None:
        """Replaces vectors.

        Raises:
            ArgumentError: for an unknown token, or vectors of another shape; nothing is changed then.
        """
        listed = tokens if isinstance(tokens, list) else [tokens]
        unknown = [token for token in listed if token not in self.token_to_idx]
        if unknown:
            remedy = f'{self.unknown_token!r} for the vector of all unknown tokens'
            raise ArgumentError(f'token {unknown[0]!r} is unknown', remedy=remedy)
        new = new_vectors.asnumpy().reshape(-1, new_vectors.shape[-1])
        if new.shape != (len(listed), self.vec_len):
            raise ArgumentError(
                'there is one vector for each token', expected=(len(listed), self.vec_len), got=new.shape
            )
        vectors = self.idx_to_vec.asnumpy()
        vectors[[self.token_to_idx[token] for token in listed]] = new
        self._idx_to_vec = self._array(vectors)

    def _array(self, values: Any) -> Any:
        made = ndarray.array(np.asarray(values, 'float32'))
        return made.as_np_ndarray() if is_np_array() else made  # type: ignore[attr-defined]

    def _read(self, path: str | os.PathLike[str], elem_delim: str, init_unknown_vec: Any, encoding: str) -> None:
        """Takes tokens and vectors from a file, of tokens that recur the first; a line of one number is a header."""
        file = pathlib.Path(path).expanduser()
        if not file.is_file():
            raise FileError(f'there is no file of vectors {file}', remedy='put it there: nothing is downloaded')
        vectors: dict[str, list[float]] = {}
        for number, line in enumerate(file.read_text(encoding).splitlines(), 1):
            token, *values = line.rstrip().split(elem_delim)
            size = len(next(iter(vectors.values()), values))
            if not values or (len(values) != size and len(values) != 1):
                raise FileError(
                    f'{file}, line {number}: a token and a vector', expected=f'{size} numbers', got=line[:60]
                )
            if len(values) > 1:
                vectors.setdefault(token, [float(value) for value in values])
        unknown = vectors.pop(self.unknown_token, None)
        size = len(unknown or next(iter(vectors.values()), []))
        if unknown is None:
            unknown = init_unknown_vec(shape=size).asnumpy().tolist()
        self._idx_to_token = [*self._idx_to_token, *(token for token in vectors if token not in self._token_to_idx)]
        self._token_to_idx = {token: i for i, token in enumerate(self._idx_to_token)}
        reserved = [vectors.get(token, [0.0] * size) for token in self._idx_to_token[1:]]
        self._idx_to_vec = self._array([unknown, *reserved])

    def _restrict(self, vocabulary: Vocabulary | None, embeddings: Sequence[TokenEmbedding]) -> None:
        """Keeps the tokens of a vocabulary alone, with the vectors of embeddings beside each other."""
        if vocabulary is None:
            return
        if not isinstance(vocabulary, Vocabulary):
            raise ArgumentError('vocabulary is a text.vocab.Vocabulary', got=type(vocabulary).__name__)
        tokens = vocabulary.idx_to_token
        parts = [embedding.get_vecs_by_tokens(tokens).asnumpy() for embedding in embeddings]
        for part, embedding in zip(parts, embeddings, strict=True):
            part[0] = embedding.idx_to_vec.asnumpy()[0]
        self._idx_to_vec = self._array(np.concatenate(parts, axis=1))
        self._idx_to_token, self._token_to_idx = list(tokens), dict(vocabulary.token_to_idx)
        self._reserved_tokens = vocabulary.reserved_tokens


def register(embedding_cls: type[TokenEmbedding]) -> type[TokenEmbedding]:
    """A decorator: `create` knows the class by its name in lower case."""
    _CLASSES[embedding_cls.__name__.lower()] = embedding_cls
    return embedding_cls


def _class(name: str) -> type[TokenEmbedding]:
    if name.lower() not in _CLASSES:
        raise ArgumentError(f'there is no embedding {name!r}', expected=', '.join(_CLASSES))
    return _CLASSES[name.lower()]


def create(embedding_name: str, **kwargs: Any) -> TokenEmbedding:
    """An embedding by the name of its class: `create('glove', pretrained_file_name='glove.6B.50d.txt')`.

    Raises:
        ArgumentError: for another name.
    """
    return _class(embedding_name)(**kwargs)


def get_pretrained_file_names(embedding_name: str | None = None) -> Any:
    """The names of MXNet's files: a list for a name, a dict of lists without one.

    >>> get_pretrained_file_names('glove')[:2]
    ['glove.42B.300d.txt', 'glove.6B.50d.txt']
    """
    if embedding_name is not None:
        return list(_class(embedding_name).pretrained_file_names)
    return {name: list(cls.pretrained_file_names) for name, cls in _CLASSES.items()}


class _Pretrained(TokenEmbedding):
    """Vectors from a file under a root, as `ROOT/glove/glove.6B.50d.txt`."""

    def __init__(
        self,
        pretrained_file_name: str = '',
        embedding_root: str = ROOT,
        init_unknown_vec: Callable[..., Any] = ndarray.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        name = pretrained_file_name or self.pretrained_file_names[0]
        path = os.path.join(embedding_root, type(self).__name__.lower(), name)
        self._read(path, ' ', init_unknown_vec, 'utf8')
        self._restrict(vocabulary, [self])


@register
class GloVe(_Pretrained):
    """The vectors of GloVe.

    Args:
        pretrained_file_name: the name of the file.
        embedding_root: the folder that has a folder `glove`.
        init_unknown_vec: makes the vector of unknown tokens.
        vocabulary: the tokens that are kept; all by default.
        **kwargs: those of `Vocabulary`.
    """

    pretrained_file_names = (
        'glove.42B.300d.txt',
        *(f'glove.6B.{size}d.txt' for size in (50, 100, 200, 300)),
        'glove.840B.300d.txt',
        *(f'glove.twitter.27B.{size}d.txt' for size in (25, 50, 100, 200)),
    )


@register
class FastText(_Pretrained):
    """The vectors of fastText.

    Args:
        pretrained_file_name: the name of the file, as 'wiki.en.vec'.
        embedding_root: the folder that has a folder `fasttext`.
        init_unknown_vec: makes the vector of unknown tokens.
        vocabulary: the tokens that are kept; all by default.
        **kwargs: those of `Vocabulary`.
    """

    pretrained_file_names = ('wiki.simple.vec', 'wiki.en.vec', 'wiki.zh.vec', 'crawl-300d-2M.vec')


class CustomEmbedding(TokenEmbedding):
    """Vectors from a file of one's own: a token and its numbers on each line.

    Args:
        pretrained_file_path: the file.
        elem_delim: what separates them.
        encoding: of the file.
        init_unknown_vec: makes the vector of unknown tokens.
        vocabulary: the tokens that are kept; all by default.
        **kwargs: those of `Vocabulary`.
    """

    def __init__(
        self,
        pretrained_file_path: str | os.PathLike[str],
        elem_delim: str = ' ',
        encoding: str = 'utf8',
        init_unknown_vec: Callable[..., Any] = ndarray.zeros,
        vocabulary: Vocabulary | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._read(pretrained_file_path, elem_delim, init_unknown_vec, encoding)
        self._restrict(vocabulary, [self])


class CompositeEmbedding(TokenEmbedding):
    """The tokens of a vocabulary with the vectors of several embeddings, one after the other.

    Args:
        vocabulary: the tokens.
        token_embeddings: an embedding or several.
    """

    def __init__(self, vocabulary: Vocabulary, token_embeddings: TokenEmbedding | Sequence[TokenEmbedding]):
        super().__init__(unknown_token=vocabulary.unknown_token)
        several = [token_embeddings] if isinstance(token_embeddings, TokenEmbedding) else list(token_embeddings)
        self._restrict(vocabulary, several)
