"""Vocabularies and vectors of words."""

import collections

import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.contrib import text


def test_vocabularies_number_tokens_as_mxnet_does():
    counter = text.utils.count_tokens_from_str('b a\nb c c d', counter_to_update=collections.Counter(['d']))
    words = text.vocab.Vocabulary(counter, most_freq_count=2, reserved_tokens=['<pad>', 'b'])
    assert words.idx_to_token == ['<unk>', '<pad>', 'b', 'c', 'd']
    assert (len(words), words.unknown_token, words.reserved_tokens) == (5, '<unk>', ['<pad>', 'b'])
    assert words.to_indices('a') == 0
    assert words.to_tokens([3, 0]) == ['c', '<unk>']
    with pytest.raises(ArgumentError, match='a number below 5'):
        words.to_tokens(5)
    with pytest.raises(ArgumentError, match='different ones'):
        text.vocab.Vocabulary(counter, reserved_tokens=['<unk>'])
    with pytest.raises(ArgumentError, match='int >= 1, got 0'):
        text.vocab.Vocabulary(counter, min_freq=0)
    with pytest.raises(ArgumentError, match=r'takes a collections\.Counter'):
        text.vocab.Vocabulary(['a'])


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'glove').mkdir()
    (tmp_path / 'glove' / 'glove.6B.50d.txt').write_text('2 2\nthe 1 2\nof 3 4\nthe 9 9\n')
    return tmp_path


def test_vectors_are_read_restricted_and_joined(root):
    made = text.embedding.create(
        'glove', pretrained_file_name='glove.6B.50d.txt', embedding_root=str(root), init_unknown_vec=mx.nd.ones
    )
    assert made.idx_to_token == ['<unk>', 'the', 'of']
    assert made.idx_to_vec.asnumpy().tolist() == [[1, 1], [1, 2], [3, 4]]
    assert made.get_vecs_by_tokens(['Of', 'x'], lower_case_backup=True).asnumpy().tolist() == [[3, 4], [1, 1]]
    assert made.get_vecs_by_tokens('the').asnumpy().tolist() == [1, 2]
    words = text.vocab.Vocabulary(collections.Counter(['of', 'new']))
    own = text.embedding.CustomEmbedding(root / 'glove' / 'glove.6B.50d.txt', vocabulary=words)
    assert own.idx_to_vec.asnumpy().tolist() == [[0, 0], [0, 0], [3, 4]]
    both = text.embedding.CompositeEmbedding(words, [made, own])
    assert (both.to_indices('of'), both.vec_len) == (2, 4)
    assert both.idx_to_vec.asnumpy().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [3, 4, 3, 4]]
    both.update_token_vectors('of', mx.nd.array([1, 2, 3, 4]))
    assert both.get_vecs_by_tokens('of').asnumpy().tolist() == [1, 2, 3, 4]


def test_what_vectors_refuse(root):
    path = root / 'glove' / 'glove.6B.50d.txt'
    made = text.embedding.CustomEmbedding(path)
    with pytest.raises(ArgumentError, match="'new' is unknown"):
        made.update_token_vectors(['new'], mx.nd.ones((1, 2)))
    with pytest.raises(ArgumentError, match=r'\(1, 2\)'):
        made.update_token_vectors(['of'], mx.nd.ones((1, 3)))
    with pytest.raises(FileError, match='nothing is downloaded'):
        text.embedding.create('fasttext', embedding_root=str(root))
    with pytest.raises(ArgumentError, match='glove, fasttext'):
        text.embedding.create('word')
    with pytest.raises(ArgumentError, match='got: list'):
        text.embedding.CustomEmbedding(path, vocabulary=['a'])
    path.write_text('a 1 2\nb 1 2 3\n')
    with pytest.raises(FileError, match='line 2'):
        text.embedding.CustomEmbedding(path)
    assert set(text.embedding.get_pretrained_file_names()) == {'glove', 'fasttext'}


def test_operators_on_trial_are_here_too():
    assert mx.contrib.nd.MultiBoxPrior(mx.nd.zeros((1, 1, 1, 2)), sizes=[0.5]).shape == (1, 2, 4)
    assert mx.contrib.sym.MultiBoxPrior(mx.sym.var('x'), name='p').name == 'p'
