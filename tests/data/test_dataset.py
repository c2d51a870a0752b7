import numpy as np
import pytest

from gluonjax import data, errors
from gluonjax.data import batchify, recordio


def numbers(count):
    return data.SimpleDataset(list(range(count)))


def test_array_datasets_give_tuples_of_their_parts_and_slices_of_them():
    dataset = data.ArrayDataset(np.arange(6).reshape(3, 2), [7, 8, 9])
    x, y = dataset[2]
    assert (x.tolist(), y, len(dataset)) == ([4, 5], 9, 3)
    assert dataset[:2][1] == [7, 8]
    assert [int(x) for x in data.ArrayDataset(np.arange(3))] == [0, 1, 2]


def test_array_datasets_refuse_unequal_lengths_and_nothing():
    with pytest.raises(errors.DataError, match=r'(?s)one length.*\[2, 3\]'):
        data.ArrayDataset([1, 2], [1, 2, 3])
    with pytest.raises(errors.ArgumentError, match='at least one array'):
        data.ArrayDataset()


@pytest.mark.parametrize(('count', 'shards'), [(10, 3), (9, 3), (2, 3)])
def test_shards_are_disjoint_parts_in_order_whose_sizes_differ_by_one(count, shards):
    parts = [list(numbers(count).shard(shards, i)) for i in range(shards)]
    assert [x for part in parts for x in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert sorted(map(len, parts), reverse=True) == list(map(len, parts))


def test_shards_that_there_are_not_are_refused():
    for arguments, name in (((3, 3), 'index'), ((3, -1), 'index'), ((0, 0), 'num_shards')):
        with pytest.raises(errors.ArgumentError, match=name):
            numbers(5).shard(*arguments)


def test_filter_take_and_sample_select():
    dataset = numbers(10)
    assert list(dataset.filter(lambda x: x % 4 == 1)) == [1, 5, 9]
    assert list(dataset.take(3)) == [0, 1, 2]
    assert len(dataset.take(None)) == len(dataset.take(99)) == 10
    assert list(dataset.sample(data.SequentialSampler(2, 5)).transform(lambda x: -x)) == [-5, -6]
    with pytest.raises(errors.ArgumentError, match='list'):
        dataset.sample([1, 2])


def test_lazy_transforms_run_for_each_sample_others_once():
    calls = []

    def square(x):
        calls.append(x)
        return x * x

    lazy, eager = numbers(3).transform(square), numbers(3).transform(square, lazy=False)
    assert calls == [0, 1, 2]
    assert (list(eager), calls) == ([0, 1, 4], [0, 1, 2])
    assert (list(lazy), calls) == ([0, 1, 4], [0, 1, 2, 0, 1, 2])
    pairs = data.ArrayDataset([1, 2], [3, 4])
    assert list(pairs.transform(lambda x, y: (y, x))) == [(3, 1), (4, 2)]
    assert list(pairs.transform_first(lambda x: -x, lazy=False)) == [(-1, 3), (-2, 4)]


def test_a_dataset_without_its_methods_says_which():
    with pytest.raises(NotImplementedError, match='__len__'):
        len(data.Dataset())
    with pytest.raises(NotImplementedError, match='__getitem__'):
        data.Dataset()[0]


def test_records_are_samples(tmp_path):
    with recordio.MXIndexedRecordIO(tmp_path / 'a.idx', tmp_path / 'a.rec', 'w') as record:
        for key in (3, 1, 2):
            record.write_idx(key, b'%d' % key)
    assert list(data.RecordFileDataset(tmp_path / 'a.rec')) == [b'3', b'1', b'2']


@pytest.mark.parametrize(
    ('last_batch', 'epochs', 'lengths'),
    [
        ('keep', [[[0, 1, 2], [3, 4, 5], [6]]] * 2, [3, 3]),
        ('discard', [[[0, 1, 2], [3, 4, 5]]] * 2, [2, 2]),
        ('rollover', [[[0, 1, 2], [3, 4, 5]], [[6, 0, 1], [2, 3, 4]], [[5, 6, 0], [1, 2, 3], [4, 5, 6]]], [2, 2, 3]),
    ],
)
def test_what_becomes_of_the_last_batch(last_batch, epochs, lengths):
    sampler = data.BatchSampler(data.SequentialSampler(7), 3, last_batch)
    for batches, length in zip(epochs, lengths, strict=False):
        assert len(sampler) == length
        assert list(sampler) == batches


def test_samplers_refuse_what_they_cannot_do():
    with pytest.raises(
        errors.ArgumentError, match="last_batch must be one of 'keep', 'discard', 'rollover'; got 'pad'"
    ):
        data.BatchSampler(data.SequentialSampler(3), 2, 'pad')
    with pytest.raises(errors.ArgumentError, match='batch_size must be an int >= 1'):
        data.BatchSampler(data.SequentialSampler(3), 0)
    with pytest.raises(errors.ArgumentError, match='interval'):
        data.IntervalSampler(3, 4)


def test_random_orders_are_those_of_key_and_epoch():
    first, again, other = (data.RandomSampler(20, key) for key in (1, 1, 2))
    orders = [list(first), list(first)]
    assert orders == [list(again(0)), list(again(1))]
    assert orders[0] != orders[1]
    assert list(other) != orders[0]
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_padding_reaches_the_largest_of_every_axis():
    batch = batchify.Pad(val=-1, round_to=[1, 4])([np.ones((2, 3)), np.zeros((1, 5))])
    assert batch.shape == (2, 2, 8)
    assert batch[0, :2, :3].tolist() == [[1] * 3] * 2
    assert batch[0, :, 3:].tolist() == [[-1] * 5] * 2
    assert batch[1].tolist() == [[0] * 5 + [-1] * 3, [-1] * 8]
    with pytest.raises(errors.DataError, match='numbers of axes'):
        batchify.Pad()([[1], [[1]]])
    with pytest.raises(errors.ArgumentError, match='round_to'):
        batchify.Pad(round_to=[2, 2])([[1]])


def test_batches_keep_what_samples_are_made_of():
    made = batchify.default_batchify_fn([{'x': 1.5, 'name': 'a'}, {'x': 2, 'name': 'b'}])
    assert made['name'] == ['a', 'b']
    assert (made['x'].tolist(), made['x'].dtype) == ([1.5, 2], np.float32)
    with pytest.raises(errors.DataError, match=r'(?s)\(2,\), \(3,\).*Pad'):
        batchify.default_batchify_fn([np.ones(2), np.ones(3)])
    with pytest.raises(errors.DataError, match='2'):
        batchify.Group(batchify.Stack(), batchify.AsList())([(1, 2, 3)])
    assert batchify.Tuple(batchify.Stack(), batchify.List())([(1, 'a'), (2, 'b')])[1] == ['a', 'b']
