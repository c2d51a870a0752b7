import pickle
import struct

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import errors
from gluonjax.mx import gluon, nd
from gluonjax.mx.gluon import data
from gluonjax.mx.gluon.data.vision import transforms


def test_batches_are_lists_of_mxnets_arrays():
    x = np.random.default_rng(0).uniform(size=(5, 3))
    batches = list(data.DataLoader(data.ArrayDataset(x, nd.arange(5)), 2))
    assert all(type(batch) is list and type(part) is nd.NDArray for batch in batches for part in batch)
    np.testing.assert_allclose(batches[1][0].asnumpy(), x[2:4], rtol=1e-6)
    assert batches[2][1].asnumpy().tolist() == [4]
    assert data.DataLoader(nd.ones((3, 2)), 3).__iter__().__next__().shape == (3, 2)


def test_numpys_seed_decides_the_order_as_in_mxnet():
    dataset = data.ArrayDataset(nd.arange(10))
    np.random.seed(0)  # noqa: NPY002
    order = np.concatenate([batch.asnumpy() for batch in data.DataLoader(dataset, 4, shuffle=True)])
    assert order.tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]  # MXNet 1.9.1's
    np.random.seed(0)  # noqa: NPY002
    assert list(data.RandomSampler(10)) == order.tolist()


def test_functions_of_users_see_mxnets_arrays():
    kinds = set()

    def halved(x):
        kinds.add(type(x))
        return x / 2

    loader = data.DataLoader(data.ArrayDataset(nd.ones((4, 2)), nd.arange(4)).transform_first(halved), 4)
    (x, _), *_ = loader
    assert kinds == {nd.NDArray}
    assert x.asnumpy().tolist() == [[0.5, 0.5]] * 4
    own = data.DataLoader(nd.arange(4).reshape((4, 1)), 2, batchify_fn=lambda samples: nd.concat(*samples, dim=0))
    assert [batch.asnumpy().tolist() for batch in own] == [[0, 1], [2, 3]]
    padded = data.DataLoader(data.SimpleDataset([[1], [2, 3]]), 2, batchify_fn=data.batchify.Pad(val=9))
    assert next(iter(padded)).asnumpy().tolist() == [[1, 9], [2, 3]]


def test_transforms_are_blocks_that_can_be_pickled():
    image = nd.array(np.arange(24).reshape(2, 4, 3), dtype='uint8')
    chain = transforms.Compose([transforms.Resize((2, 2)), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    assert isinstance(chain[0], gluon.Block)
    step_by_step = image
    for block in chain:
        step_by_step = block(step_by_step)
    for same in (chain, pickle.loads(pickle.dumps(chain)), transforms.RandomApply(chain, 1.0)):
        assert same(image).shape == (3, 2, 2)
        assert (same(image).asnumpy() == step_by_step.asnumpy()).all()

    class Twice(transforms.ToTensor):
        def forward(self, x):
            return super().forward(x) * 2

    mixed = transforms.Compose([Twice(), transforms.Cast('float16')])
    assert mixed.native is None
    np.testing.assert_allclose(mixed(image).asnumpy(), image.asnumpy().transpose(2, 0, 1) / 127.5, rtol=1e-3)


def test_random_transforms_follow_the_seed_of_mx_in_loaders_on_any_workers():
    dataset = data.ArrayDataset(nd.ones((6, 1, 1, 3)), nd.arange(6)).transform_first(transforms.RandomBrightness(0.5))
    runs = []
    for arguments in ({}, {}, {'num_workers': 2, 'thread_pool': True}):
        mx.random.seed(3)
        loader = data.DataLoader(dataset, 2, **arguments)
        runs.append([[x.asnumpy().tolist() for x, _ in loader] for _ in range(2)])
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][0] != runs[0][1]
    assert len({str(batch) for batch in runs[0][0]}) == 3


def test_mnist_has_images_of_mxnet_and_labels_of_numpy(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), 'uint8')
    (tmp_path / 't10k-images-idx3-ubyte').write_bytes(struct.pack('>4I', 0x803, 3, 28, 28) + pixels.tobytes())
    (tmp_path / 't10k-labels-idx1-ubyte').write_bytes(struct.pack('>2I', 0x801, 3) + bytes([7, 8, 9]))
    dataset = data.vision.FashionMNIST(root=str(tmp_path), train=False)
    image, label = dataset[1]
    assert (type(image), image.dtype, label, type(label)) == (nd.NDArray, np.uint8, 8, np.int32)
    several, labels = dataset[1:3]
    assert (several.shape, labels.tolist()) == ((2, 28, 28, 1), [8, 9])
    x, y = next(iter(data.DataLoader(dataset.transform_first(transforms.ToTensor()), 3)))
    np.testing.assert_allclose(x.asnumpy()[:, 0], pixels / np.float32(255))
    assert (y.asnumpy().tolist(), y.dtype) == ([7, 8, 9], np.int32)
    assert len(data.vision.MNIST(root=str(tmp_path), train=False).take(2)) == 2
    with pytest.raises(errors.FileError, match='nothing is downloaded'):
        data.vision.CIFAR100(root=str(tmp_path))


def test_what_is_pinned_is_on_the_host():
    loader = data.DataLoader(data.ArrayDataset(nd.ones((2, 3)), nd.arange(2)), 2, pin_memory=True)
    ((x, y),) = loader
    assert x.context == y.context == mx.cpu_pinned() == mx.cpu()
    assert len({mx.cpu(), mx.cpu_pinned(), mx.cpu(1)}) == 2


def test_after_set_np_batches_are_of_numpys_dialect(tmp_path):
    (tmp_path / 't10k-images-idx3-ubyte').write_bytes(struct.pack('>4I', 0x803, 2, 28, 28) + bytes(2 * 784))
    (tmp_path / 't10k-labels-idx1-ubyte').write_bytes(struct.pack('>2I', 0x801, 2) + bytes([7, 8]))
    mx.npx.set_np()
    try:
        dataset = data.vision.MNIST(str(tmp_path), train=False)
        image, label = dataset[1]
        assert (type(image), type(label), label.shape, label.item()) == (mx.np.ndarray, mx.np.ndarray, (), 8)
        ((x, y),) = data.DataLoader(dataset.transform_first(transforms.ToTensor()), 2)
        assert (type(x), type(y), y.tolist()) == (mx.np.ndarray, mx.np.ndarray, [7, 8])
        pair = next(iter(data.DataLoader(data.ArrayDataset(mx.np.ones((3, 2)), mx.np.arange(3)), 2)))
        assert [type(part) for part in pair] == [mx.np.ndarray] * 2
    finally:
        mx.npx.reset_np()
