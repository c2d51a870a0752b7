"""mx.np and mx.npx: MXNet's own numbers and gradients, views and indices, the dialect in gluon."""

import importlib.util
import pathlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, GluonError, MissingNameError
from gluonjax.mx import autograd, gluon, nd, npx

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
spec = importlib.util.spec_from_file_location('numpy_cases', GOLDEN / 'numpy_cases.py')
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)


@pytest.fixture(scope='module')
def golden():
    """expression -> '' for its value, or an input for its gradient -> MXNet's numbers."""
    found = {}
    for key, value in np.load(GOLDEN / 'numpy.npz').items():
        expression, _, name = key.partition(' -> ')
        found.setdefault(expression, {})[name] = value
    return found


@pytest.mark.parametrize('expression', cases.cases())
def test_an_expression_gives_mxnets_numbers_and_gradients(expression, golden):
    found = cases.evaluate(expression, mx)
    assert set(found) == set(golden[expression])
    for name, value in golden[expression].items():
        assert found[name].shape == value.shape, name
        assert found[name].dtype.kind == value.dtype.kind, name
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=2e-5, err_msg=name)


def zeros(*shape):
    return mx.np.zeros(shape)


SHAPE = (3, 2, 4)
INDEX = st.one_of(
    arrays.basic_indices(SHAPE, allow_newaxis=True),
    arrays.integer_array_indices(SHAPE, dtype=np.int32),
    arrays.arrays(bool, SHAPE),
)


@settings(max_examples=25, deadline=None)
@given(INDEX)
def test_indices_mean_what_numpy_means(index):
    data = np.arange(24, dtype='float32').reshape(SHAPE)
    x = mx.np.array(data)
    np.testing.assert_array_equal(x[index].asnumpy(), data[index])
    data[index] = -1
    x[index] = -1
    np.testing.assert_array_equal(x.asnumpy(), data)


def test_masks_assign_arrays_and_numbers():
    x = mx.np.array([[1, -2], [-3, 4]])
    x[x < 0] = mx.np.array([7, 8])
    x[mx.np.array([True, False], dtype=bool)] = 0
    assert x.tolist() == [[0, 0], [8, 4]]
    with pytest.raises(IndexError, match='out of range'):
        x[mx.np.array([2])]


def test_two_faces_share_memory():
    x = nd.zeros((2, 2))
    face = x.as_np_ndarray()
    face[0] = 1
    row = face[1]
    row += 2
    assert x.asnumpy().tolist() == [[1, 1], [2, 2]]
    assert type(face.as_nd_ndarray()) is nd.NDArray
    assert mx.np.shares_memory(row, face)
    assert not mx.np.shares_memory(face.reshape(-1), face)


def test_numpys_own_functions_take_it_and_record():
    x = mx.np.array([1, 2, 3])
    x.attach_grad()
    with autograd.record():
        y = np.mean(x * np.array([1, 2, 3], 'float32')) + np.exp(x).sum()
    y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), np.arange(1, 4) / 3 + np.exp([1, 2, 3]), rtol=1e-5)
    assert isinstance(np.median(x), mx.np.ndarray | np.float32)
    with autograd.record(), pytest.raises(GluonError, match='no gradient'):
        np.median(x)


def test_printing_and_numbers_are_numpys():
    x = mx.np.array([1, 2.5])
    assert (repr(x), str(x), f'{x[1]:.2f}') == ('array([1. , 2.5])', '[1.  2.5]', '2.50')
    assert (float(x[1]), int(x[0]), bool(x[0]), x[1].item(), len(x)) == (2.5, 1, True, 2.5, 2)
    assert x.dtype == np.float32
    assert repr(x.astype('int32')) == 'array([1, 2], dtype=int32)'
    long = repr(mx.np.array([3.4734006] * 5 + [8.460237] * 5))  # NumPy puts the dtype on a line of its own
    assert long.endswith('8.460237 ])')
    copy = pickle.loads(pickle.dumps(x))
    assert type(copy) is mx.np.ndarray
    assert copy.tolist() == [1, 2.5]
    with pytest.raises(MissingNameError, match=r'np.exp\(x\)'):
        x.exp()
    with pytest.raises(TypeError, match=r'np\.add takes'):
        mx.np.add(x, [1, 2])
    with pytest.raises(ArgumentError, match=r'np\.dot'):
        mx.np.dot(x, mx.np.ones(3))


def test_in_place_writes_keep_dtype_and_shape():
    x = mx.np.array([1, 2], dtype='int32')
    x += 1.5
    x *= 2
    assert (x.tolist(), x.dtype) == ([4, 6], np.int32)
    with pytest.raises(ArgumentError):
        x += mx.np.ones((3,))
    with pytest.raises(GluonError):
        x += mx.np.ones((2, 2))
    out = zeros(2)
    assert mx.np.add(mx.np.ones(2), 1, out=out) is out
    assert out.tolist() == [2, 2]


@pytest.mark.parametrize(
    ('draw', 'mean', 'deviation'),
    [
        (lambda r: r.uniform(1, 3, size=4000), 2, 2 / 12**0.5),
        (lambda r: r.normal(mx.np.array([1.0]), 2, size=(4000,)), 1, 2),
        (lambda r: r.gamma(4, 0.5, size=4000), 2, 1),
        (lambda r: r.beta(2, 2, size=4000), 0.5, 0.05**0.5),
        (lambda r: r.exponential(2, size=4000), 2, 2),
        (lambda r: r.gumbel(0, 1, size=4000), 0.5772, 1.2825),
        (lambda r: r.lognormal(0, 0.5, size=4000), 1.1331, 0.6039),
        (lambda r: r.randint(0, 5, size=4000), 2, 2**0.5),
        (lambda r: r.choice(3, size=4000, p=mx.np.array([0.5, 0, 0.5])), 1, 1),
    ],
)
def test_random_numbers_have_their_distribution_and_follow_the_seed(draw, mean, deviation):
    npx.seed(3)
    numbers = draw(mx.np.random)
    assert abs(numbers.asnumpy().mean() - mean) < 4 * deviation / 4000**0.5
    assert abs(numbers.asnumpy().std() - deviation) < 0.1 * deviation
    npx.seed(3)
    np.testing.assert_array_equal(draw(mx.np.random).asnumpy(), numbers.asnumpy())


def test_random_numbers_have_gradients_and_orders_keep_their_rows():
    scale = mx.np.array([1.0, 2.0])
    scale.attach_grad()
    with autograd.record():
        y = mx.np.random.normal(0, scale, size=(3, 2))
    y.backward()
    np.testing.assert_allclose(scale.grad.asnumpy(), (y / scale).sum(axis=0).asnumpy(), rtol=1e-5)
    x = mx.np.arange(10)
    mx.np.random.shuffle(x)
    assert sorted(x.tolist()) == list(range(10)) != x.tolist()
    assert mx.np.random.multinomial(10, [0.25, 0.75], size=(2,)).sum(axis=1).tolist() == [10, 10]
    assert len(set(mx.np.random.choice(5, 5, replace=False).tolist())) == 5
    with pytest.raises(ArgumentError, match='not enough'):
        mx.np.random.choice(2, 3, replace=False)


@npx.use_np
def train(hybridize):
    npx.seed(0)
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(4, activation='relu', in_units=3), gluon.nn.Dense(2, in_units=4))
    net.initialize()
    if hybridize:
        net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5})
    x, labels = mx.np.array([[1, 0, -1], [0, 1, 1]]), mx.np.array([0, 1])
    losses = []
    for _ in range(3):
        with autograd.record():
            loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(x), labels)
        loss.backward()
        trainer.step(2)
        losses.append(loss)
    return losses, net[0].weight


def test_gluon_takes_and_gives_arrays_of_numpy_after_set_np():
    losses, weight = train(False)
    assert {type(x) for x in (*losses, weight.data(), weight.grad())} == {mx.np.ndarray}
    assert losses[-1].mean() < losses[0].mean()
    for eager, compiled in zip(losses, train(True)[0], strict=True):
        np.testing.assert_allclose(eager.asnumpy(), compiled.asnumpy(), rtol=1e-5)
    assert not npx.is_np_array()


class Masked(gluon.loss.L2Loss):
    def forward(self, pred, label, keep):
        return super().forward(pred, label, keep)


class Halved(gluon.loss.L2Loss):
    def hybrid_forward(self, F, pred, label):
        return super().hybrid_forward(F, pred / 2, label)


def test_subclasses_of_losses_have_forwards_of_their_own():
    pred, label = mx.np.array([[4], [2]]), mx.np.zeros((2, 1))
    assert Masked()(pred, label, mx.np.array([[1], [0]])).tolist() == [8, 0]
    assert Halved()(pred, label).tolist() == [2, 0.5]
    assert pred.clip(max=3).tolist() == [[3], [2]]


def test_the_dialect_is_switched_and_restored():
    npx.set_np()
    try:
        assert npx.is_np_array()
        assert npx.is_np_shape()
        with npx.np_array(False):
            assert not npx.is_np_array()
        assert npx.is_np_array()
    finally:
        npx.reset_np()
    assert not npx.is_np_array()
    with pytest.raises(ArgumentError, match='shapes'):
        npx.set_np(shape=False)


class Scaled(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.weight = self.params.get('weight', shape=(2, 3), init='ones')

    def hybrid_forward(self, F, x, weight):
        return F.npx.relu(F.np.dot(x, weight))


def test_hybrid_forward_finds_numpy_in_F(tmp_path):
    with npx.np_array():
        block = Scaled()
        block.initialize()
        x = mx.np.array([[1, 2], [-3, 1]])
        assert block(x).tolist() == [[3, 3, 3], [0, 0, 0]]
        block.hybridize()
        assert block(x).tolist() == [[3, 3, 3], [0, 0, 0]]
    npx.save(tmp_path / 'a', {'x': x})
    loaded = npx.load(tmp_path / 'a')['x']
    assert type(loaded) is mx.np.ndarray
    assert loaded.tolist() == x.tolist()


def test_a_name_that_is_not_there_is_refused():
    for module, name in ((mx.np, 'pv'), (mx.np.random, 'nothing'), (mx.np.linalg, 'nothing'), (npx, 'nothing')):
        with pytest.raises(AttributeError, match=name):
            getattr(module, name)
    with pytest.raises(ArgumentError, match='no device'):
        npx.gpu_memory_info(99)
