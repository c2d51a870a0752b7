"""Batches: how arrays are cut, what is taken for a batch, and which mistakes are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import errors
from gluonjax.data import batching


class Tensor:
    """As much of a PyTorch tensor as is needed."""

    shape, dtype = (2,), 'torch.int64'

    def __init__(self, values):
        self.values = np.asarray(values)

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values


def test_arrays_are_cut_and_the_rest_is_the_last_batch():
    x, y = np.arange(10).reshape(5, 2), np.arange(5)
    batches = batching.batches(x, y, batch_size=2)
    assert len(batches) == 3
    got = list(batches(7))
    np.testing.assert_array_equal(np.concatenate([a for a, _ in got]), x)
    assert [b.tolist() for _, b in got] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize('shuffle', [3, jax.random.key(3), jax.random.PRNGKey(3)])
def test_an_order_is_that_of_the_seed_and_the_epoch(shuffle):
    x, y = np.arange(50), np.arange(50) * 2

    def order(epoch, seed=shuffle):
        pairs = list(batching.batches(x, y, batch_size=8, shuffle=seed)(epoch))
        assert all((b == 2 * a).all() for a, b in pairs)
        return np.concatenate([a for a, _ in pairs]).tolist()

    assert order(4) == order(4)
    assert sorted(order(4)) == x.tolist()
    assert len({tuple(order(0)), tuple(order(1)), tuple(order(0, 5)), tuple(x)}) == 4


@pytest.mark.parametrize('arrays', [(np.ones(3), np.ones(2)), (), (np.ones((0, 2)),), (np.float32(1),)])
def test_arrays_without_common_rows_are_refused(arrays):
    with pytest.raises(errors.DataError, match='no rows to cut'):
        batching.batches(*arrays, batch_size=2)


def test_a_batch_size_is_a_whole_number():
    with pytest.raises(errors.ArgumentError, match='batch_size must be'):
        batching.batches(np.ones(3), batch_size=0)


def test_what_is_taken_for_a_batch():
    x, y = np.ones(2), jnp.zeros(2)
    batch = (x, y)
    assert batching.as_arrays(batch) is batch
    jax.tree.map(np.testing.assert_array_equal, batching.as_arrays([x, y]), (x, y))
    tensors = batching.as_arrays([Tensor([1, 2]), {'mask': Tensor([3, 4])}, Tensor([0, 1])])
    assert type(tensors[0]) is np.ndarray
    assert [leaf.tolist() for leaf in jax.tree.leaves(tensors)] == [[1, 2], [3, 4], [0, 1]]
    assert batching.as_arrays({'x': x, 'label': Tensor([5])})[0]['label'].tolist() == [5]


@pytest.mark.parametrize('data', [(np.ones((4, 2)), np.ones(4)), [jnp.ones(2)], np.ones((4, 2)), {'x': np.ones(2)}])
def test_arrays_are_not_batches(data):
    with pytest.raises(errors.ArgumentError, match=r'(?s)train is arrays, not batches.*data\.batches\(x, y'):
        batching.opened(data, 0, 'train')


@pytest.mark.parametrize('data', [3, lambda epoch: epoch])
def test_numbers_are_not_batches(data):
    with pytest.raises(errors.ArgumentError, match=r'(?s)no set of batches.*got: int'):
        batching.opened(data, 0)


def test_a_function_is_asked_for_each_epoch():
    assert list(batching.opened(lambda epoch: [epoch, epoch + 1], 5)) == [5, 6]
    assert list(batching.opened(iter('ab'), 5)) == ['a', 'b']


def test_no_more_batches_are_put_ahead_than_asked_for():
    put, taken = [], []
    for batch in batching.ahead(range(6), 2, lambda batch: put.append(batch) or batch):
        taken.append(batch)
        assert len(put) - len(taken) <= 2
    assert taken == put == list(range(6))
