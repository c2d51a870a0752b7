import multiprocessing
import pickle
import random
import threading
import time

import numpy as np
import pytest

from gluonjax import Trainer, data, errors, loss, nn
from gluonjax.data import batchify, chance, server
from gluonjax.data.loader import Job, Task
from gluonjax.data.vision import transforms

X, Y = np.arange(14).reshape(7, 2), np.arange(7) * 10


def pairs():
    return data.ArrayDataset(X, Y)


def noisy():
    """Images, made brighter by random factors: it can be pickled."""
    images = np.full((9, 1, 1, 1), 10, 'float32')
    return data.ArrayDataset(images, np.arange(9)).transform_first(transforms.RandomBrightness(0.5))


def together(loader):
    return [np.concatenate(parts).ravel().tolist() for parts in zip(*loader, strict=True)]


def test_batches_are_those_of_the_samples_in_order():
    batches = list(data.DataLoader(pairs(), 3))
    assert [x.tolist() for x, _ in batches] == [X[:3].tolist(), X[3:6].tolist(), X[6:].tolist()]
    assert [y.tolist() for _, y in batches] == [[0, 10, 20], [30, 40, 50], [60]]
    assert all(type(batch) is tuple for batch in batches)
    assert len(data.DataLoader(pairs(), 3, last_batch='discard')) == 2


def test_arrays_cut_at_once_are_what_samples_stacked_would_be():
    whole, single = (
        data.DataLoader(pairs(), 3, batchify_fn=fn) for fn in (None, lambda s: batchify.default_batchify_fn(s))
    )
    for one, other in zip(whole, single, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a.tolist(), a.dtype) == (b.tolist(), b.dtype)


def test_epochs_are_those_of_the_key():
    loader, again = (data.DataLoader(pairs(), 3, shuffle=True, key=4) for _ in range(2))
    epochs = [together(loader)[1] for _ in range(2)]
    assert epochs == [together(again(0))[1], together(again(1))[1]]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[1]) == Y.tolist()


def test_arguments_that_exclude_each_other_are_refused():
    sampler = data.BatchSampler(data.SequentialSampler(7), 2)
    for arguments, message in (
        ({}, 'batch_size must be given'),
        ({'batch_size': 2, 'shuffle': True, 'sampler': data.SequentialSampler(7)}, 'shuffle and sampler'),
        ({'batch_size': 2, 'batch_sampler': sampler}, 'batch_sampler says all'),
        ({'batch_sampler': sampler, 'last_batch': 'keep'}, 'batch_sampler says all'),
        ({'batch_size': 2, 'timeout': 0}, 'timeout'),
        ({'batch_size': 2, 'last_batch': 'pad'}, 'last_batch'),
    ):
        with pytest.raises(errors.ArgumentError, match=message):
            data.DataLoader(pairs(), **arguments)
    assert [len(y) for _, y in data.DataLoader(pairs(), batch_sampler=sampler)] == [2, 2, 2, 1]


def test_each_sample_has_numbers_of_its_own_however_batches_are_cut_and_loaded():
    one = together(data.DataLoader(noisy(), 9, key=3))[0]
    assert len(set(one)) == 9
    assert one == [
        pytest.approx(10 * np.random.default_rng([3, 0, place]).uniform(0.5, 1.5), rel=1e-6) for place in range(9)
    ]
    for arguments in ({'batch_size': 2}, {'batch_size': 4, 'num_workers': 2, 'thread_pool': True}):
        loader = data.DataLoader(noisy(), key=3, **arguments)
        assert together(loader)[0] == one
        assert together(loader)[0] != one  # in the next epoch


def test_outside_of_loaders_numbers_are_of_the_librarys_stream():
    draws = [chance.generator().random() for _ in range(2)]
    assert draws[0] != draws[1]


def test_processes_load_the_same_and_their_errors_come_out():
    loader = data.DataLoader(noisy(), 2, shuffle=True, num_workers=2, key=3)
    here = data.DataLoader(noisy(), 2, shuffle=True, key=3)
    assert [together(loader) for _ in range(2)] == [together(here) for _ in range(2)]
    assert loader._pool.processes == 2
    failing = data.DataLoader(data.ArrayDataset([1, 2, 3]).transform(len), 1, num_workers=1)
    with pytest.raises(TypeError, match='has no len') as caught:
        list(failing)
    assert 'in __getitem__' in str(caught.value.__cause__)
    with pytest.raises(TypeError, match='has no len'):  # and the process lives on
        list(failing)


def test_what_cannot_be_pickled_is_loaded_by_threads():
    names = set()

    def doubled(x):
        names.add(threading.current_thread().name)
        return 2 * x

    loader = data.DataLoader(data.SimpleDataset([1, 2, 3]).transform(doubled), 2, num_workers=2)
    assert [batch.tolist() for batch in loader] == [[2, 4], [6]]
    assert loader._pool.processes == 0
    assert all(name.startswith('loader') for name in names)


def test_workers_load_ahead_as_far_as_they_may_and_a_slow_one_is_named():
    seen = []
    dataset = data.SimpleDataset(range(9)).transform(lambda i: seen.append(i) or i)
    for _ in data.DataLoader(dataset, 1, num_workers=1, thread_pool=True, prefetch=2):
        time.sleep(0.05)
        break
    assert seen == [0, 1, 2]
    slow = data.SimpleDataset([0.3]).transform(lambda seconds: time.sleep(seconds) or 1)
    with pytest.raises(errors.DataError, match=r'longer than timeout=0.05 seconds'):
        list(data.DataLoader(slow, 1, num_workers=1, thread_pool=True, timeout=0.05))
    raising = data.SimpleDataset([0]).transform(lambda x: 1 / x)
    with pytest.raises(ZeroDivisionError):
        list(data.DataLoader(raising, 1, num_workers=1, thread_pool=True))


def test_what_a_process_does():
    ours, theirs = multiprocessing.Pipe()
    state = random.getstate(), np.random.get_state()  # noqa: NPY002
    worker = threading.Thread(target=server.work, args=(theirs,))
    worker.start()
    dataset = data.SimpleDataset([0, 1]).transform(float)
    for message in (int, Task(dataset, batchify.default_batchify_fn)):
        ours.send_bytes(pickle.dumps(message))
    assert pickle.loads(ours.recv_bytes()) is True
    drawn = []
    for job in (Job([0, 1], (5, 0), 0), Job([7], (5, 0), 2), Job([1], (5, 0), 0)):
        ours.send_bytes(pickle.dumps(job))
        done, value = pickle.loads(ours.recv_bytes())
        assert done == (job.place == 0)
        drawn.append((random.random(), np.random.random()))  # noqa: NPY002
    assert isinstance(value, np.ndarray)
    assert value.tolist() == [1.0]
    assert drawn[0] == drawn[2]  # users' numbers are those of the batch
    assert drawn[0] != drawn[1]
    ours.send_bytes(pickle.dumps(Job([9], (5, 0), 0)))
    _, (error, trace) = pickle.loads(ours.recv_bytes())
    assert isinstance(error, IndexError)
    assert 'Traceback' in trace
    ours.close()
    worker.join(10)
    assert not worker.is_alive()
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002


def test_a_trainer_takes_a_loader():
    net = nn.Dense(1)
    x = np.arange(8, dtype='float32').reshape(4, 2) / 8
    loader = data.DataLoader(data.ArrayDataset(x, x.sum(1, keepdims=True)), 2, shuffle=True, key=0)
    batches = [list(loader(epoch)) for epoch in range(2)]
    trained = []
    for given in (loader, lambda epoch: batches[epoch]):
        network = nn.Sequential(net)
        network.initialize('ones')
        trainer = Trainer(network, loss.L2Loss(), 'sgd', {'learning_rate': 0.1})
        history = trainer.fit(given, epochs=2, progress=False)
        trained.append([record['loss'] for record in history.records])
        trained[-1].append(trainer.evaluate(loader)['loss'])
    assert trained[0] == trained[1]
