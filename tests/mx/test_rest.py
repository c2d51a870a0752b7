"""What scripts touch beside arrays and networks: loops, operators of one's own, test_utils, names, sparse arrays."""

import math
import os
import pickle
import types

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, FileError, GluonError, ShapeError
from gluonjax.mx import array, autograd, gluon, nd, sparse
from gluonjax.mx import test_utils as checks


def test_foreach_sums_and_has_gradients():
    data, start = nd.array([[1, 2], [3, 4]]), nd.array([1, 1])
    data.attach_grad()
    with autograd.record():
        products, (last, count) = nd.contrib.foreach(
            lambda x, s: (x * s[0], [x + s[0], s[1] + 1]), data, [start, nd.zeros(1)]
        )
        loss = products.sum()
    loss.backward()
    assert products.asnumpy().tolist() == [[1, 2], [6, 12]]
    assert (last.asnumpy().tolist(), count.asscalar()) == ([5, 7], 2)
    assert data.grad.asnumpy().tolist() == [[4, 5], [2, 3]]
    with pytest.raises(ArgumentError, match='foreach takes arrays'):
        nd.contrib.foreach(lambda x, s: (x, s), mx.sym.var('x'), [])


def test_while_loop_ends_and_is_filled_with_zeros():
    found, (i, total) = nd.contrib.while_loop(
        lambda i, s: i < 3, lambda i, s: ([i * 2], [i + 1, s + i]), [nd.array([0]), nd.array([1])], max_iterations=5
    )
    assert found[0].asnumpy().ravel().tolist() == [0, 2, 4, 0, 0]
    assert (i.asscalar(), total.asscalar()) == (3, 4)
    assert nd.contrib.while_loop(lambda i: i < 0, lambda i: (i, i), nd.array([0]), max_iterations=2)[0] == []
    with pytest.raises(ArgumentError, match='max_iterations'):
        nd.contrib.while_loop(lambda i: i < 0, lambda i: (i, i), nd.array([0]))


class Flow(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        doubled, (last,) = F.contrib.while_loop(lambda v: v.sum() < 10, lambda v: (v, [v * 2]), [x], max_iterations=4)
        return F.contrib.cond(x.sum() > 2, lambda: last, lambda: -last) + doubled.sum()


@pytest.mark.parametrize('start', [[1, 2], [0.5, 0.5]])
def test_loops_and_branches_are_compiled(start):
    found = []
    for hybrid in (False, True):
        net, x = Flow(), nd.array(start)
        if hybrid:
            net.hybridize()
        x.attach_grad()
        with autograd.record():
            y = net(x)
        y.backward()
        found.append([y.asnumpy(), x.grad.asnumpy()])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


class Sigmoid(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        self.assign(out_data[0], req[0], 1 / (1 + nd.exp(-in_data[0])))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        y = out_data[0]
        self.assign(in_grad[0], req[0], 3 * y * (1 - y) * out_grad[0])  # thrice what it is, to be told apart


@mx.operator.register('thrice')
class SigmoidProp(mx.operator.CustomOpProp):
    def __init__(self, least='0'):
        super().__init__(need_top_grad=True)
        self.least = int(least)

    def infer_shape(self, in_shape):
        if len(in_shape[0]) < self.least:
            return [[0]], [[0]], []
        return in_shape, [in_shape[0]], []

    def create_operator(self, ctx, shapes, dtypes):
        return Sigmoid()


class Custom(gluon.HybridBlock):
    def hybrid_forward(self, F, x):
        return F.Custom(x, op_type='thrice', least=1)


@pytest.mark.parametrize('hybrid', [False, True])
def test_operators_of_ones_own(hybrid):
    net, x = Custom(), nd.array([0.0, 2.0])
    if hybrid:
        net.hybridize()
    x.attach_grad()
    with autograd.record():
        y = net(x)
    y.backward()
    expected = 1 / (1 + np.exp(-x.asnumpy()))
    np.testing.assert_allclose(y.asnumpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(x.grad.asnumpy(), 3 * expected * (1 - expected), rtol=1e-5)


def test_operators_refuse_what_they_are_not():
    assert 'thrice' in mx.operator.get_all_registered_operators()
    with pytest.raises(ArgumentError, match='no operator is registered'):
        nd.Custom(nd.ones(1), op_type='nothing')
    with pytest.raises(ArgumentError, match='takes other inputs'):
        nd.Custom(nd.ones(1), nd.ones(1), op_type='thrice')
    with pytest.raises(ShapeError, match='another shape'):
        nd.Custom(nd.ones(2), op_type='thrice', least=2)
    with pytest.raises(ArgumentError, match='subclasses of CustomOpProp'):
        mx.operator.register('a')(int)


def test_comparisons():
    checks.assert_almost_equal(nd.array([1, 2]), np.array([1, 2 + 1e-5]))
    assert not checks.almost_equal(np.ones(2), np.array([1, 1.01]))
    assert checks.almost_equal_ignore_nan(np.array([1, np.nan]), np.array([1, 5]))
    with pytest.raises(AssertionError, match='left and right differ'):
        checks.assert_almost_equal(nd.ones(1), nd.zeros(1), names=('left', 'right'))
    with pytest.raises(AssertionError, match='did not raise'):
        checks.assert_exception(lambda: None, ValueError)
    x = nd.ones((2, 2))
    assert checks.same_array(x, x.reshape(4).reshape((2, 2)))
    assert not checks.same_array(x, x.copy())
    assert max(checks.rand_shape_nd(3, 2)) <= 2
    assert checks.rand_ndarray((2, 3)).shape == (2, 3)


def test_graphs_are_checked():
    x, y = mx.sym.var('x'), mx.sym.var('y')
    graph, location = x * y + x, {'x': np.array([[1.0, 2]]), 'y': np.array([[3.0, 4]])}
    checks.check_symbolic_forward(graph, location, [np.array([[4, 10]])])
    checks.check_symbolic_backward(graph, location, [np.ones((1, 2))], {'x': [[4, 5]], 'y': [[1, 2]]})
    checks.check_numeric_gradient(graph, location, numeric_eps=1e-2)
    with pytest.raises(AssertionError, match='EXPECTED_x and BACKWARD_x'):
        checks.check_symbolic_backward(graph, location, [np.ones((1, 2))], {'x': [[4, 6]]})
    assert checks.simple_forward(graph, **location).tolist() == [[4, 10]]


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv('ONE', 'a')
    with checks.environment({'ONE': None, 'TWO': 'b'}):
        assert ('ONE' in os.environ, os.environ['TWO']) == (False, 'b')
    assert (os.environ['ONE'], 'TWO' in os.environ) == ('a', False)


def test_names_and_attributes_of_nodes():
    with mx.name.NameManager():
        assert [mx.sym.relu(mx.sym.var('x')).name for _ in range(2)] == ['relu0', 'relu1']
        with mx.name.Prefix('a_'):
            assert mx.sym.relu(mx.sym.var('x')).name == 'a_relu0'
    with mx.attribute.AttrScope(group='1'), mx.attribute.AttrScope(side='left'):
        x = mx.sym.var('x')
        assert (x.attr('group'), x.attr('side')) == ('1', 'left')
    assert mx.sym.var('x').attr('group') is None


def test_sparse_arrays_are_dense():
    sparse.warn_once.cache_clear()
    with pytest.warns(UserWarning, match='dense here'):
        assert nd.sparse.zeros('csr', (1, 1)).asnumpy() == 0
    rows = nd.sparse.row_sparse_array(([[1, 2]], [1]), shape=(3, 2))
    assert rows.asnumpy().tolist() == [[0, 0], [1, 2], [0, 0]]
    assert nd.sparse.subtract(rows, rows).asnumpy().sum() == 0
    pairs = nd.sparse.csr_matrix(([5, 6], ([0, 1], [1, 0])), shape=(2, 2))
    assert pairs.asnumpy().tolist() == [[0, 5], [6, 0]]


def test_groups_of_operators_are_modules():
    modules = nd.sparse, nd.contrib, nd.linalg, mx.sym.contrib, mx.sym.sparse, mx.sym.random
    assert all(isinstance(module, types.ModuleType) for module in modules)  # so that programs import from them
    with pytest.raises(AttributeError, match='no_such'):
        _ = nd.linalg.no_such


def test_functions_of_arrays():
    x = nd.array([1, 0, np.nan, np.inf])
    assert nd.contrib.isnan(x).asnumpy().tolist() == [0, 0, 1, 0]
    assert nd.contrib.isinf(x).asnumpy().tolist() == [0, 0, 0, 1]
    assert nd.contrib.isfinite(x).asnumpy().tolist() == [1, 1, 0, 0]
    assert nd.logical_and(nd.array([1, 0]), 1).asnumpy().tolist() == [1, 0]
    assert nd.logical_xor(nd.array([1, 0]), nd.array([1, 1])).asnumpy().tolist() == [0, 1]
    counts, edges = nd.histogram(nd.array([1, 2, 3, 4]), bins=2)
    assert (counts.asnumpy().tolist(), edges.asnumpy().tolist()) == ([2, 2], [1, 2.5, 4])
    assert nd.onehot_encode(nd.array([1, 0]), nd.zeros((2, 3))).asnumpy().tolist() == [[0, 1, 0], [1, 0, 0]]
    assert nd.from_dlpack(nd.to_dlpack_for_read(nd.ones(2))).asnumpy().tolist() == [1, 1]
    assert nd.random.normal_like(nd.ones((2, 3))).shape == (2, 3)


def test_modules_that_scripts_name(tmp_path):
    assert mx.runtime.Features().is_enabled('CPU')
    with mx.engine.bulk(3):
        assert mx.engine.set_bulk_size(5) == 3
    mx.profiler.set_config(filename=str(tmp_path / 'trace.json'))
    with pytest.raises(ArgumentError, match="'run' or 'stop'"):
        mx.profiler.set_state('walk')
    with pytest.raises(mx.base.MXNetError):
        nd.ones((2, 3)).reshape((4, 4))


def test_operators_that_do_not_take_arrays_say_so():
    with pytest.raises(
        ShapeError, match=r'broadcast_add does not take these arrays.*\n.*float32\[2, 3\], float32\[4, 5\]'
    ):
        nd.add(nd.ones((2, 3)), nd.ones((4, 5)))
    with pytest.raises(mx.MXNetError, match='dot does not take'):
        nd.dot(nd.ones((2, 3)), nd.ones((2, 3)))
    assert [mx.cpu().device_typeid, mx.gpu().device_typeid] == [1, 2]


@pytest.mark.parametrize(
    ('owner', 'name', 'near'),
    [
        (mx, 'gloun', 'gluon'),
        (mx.np, 'ones_lke', 'ones_like'),
        (mx.nd, 'FullyConected', 'FullyConnected'),
        (mx.sym.contrib, 'box_nsm', 'box_nms'),
        (gluon.nn, 'Dens', 'Dense'),
        (gluon.loss, 'L2Los', 'L2Loss'),
        (gluon.rnn, 'LSTMCel', 'LSTMCell'),
    ],
)
def test_a_name_that_is_misspelt_names_the_near_one(owner, name, near):
    with pytest.raises(AttributeError, match=rf"(?s)'{name}'.*try: {near}$"):
        getattr(owner, name)


def test_a_trainer_takes_a_list():
    with pytest.raises(ValueError, match='takes Parameters in a list or dict'):
        gluon.Trainer(gluon.Parameter('w', shape=(1,)), 'sgd')


def test_what_mxnet_refuses_is_refused():
    with pytest.raises(ArgumentError, match='row by row'):
        nd.from_numpy(np.ones((2, 3), 'float32').T)
    assert nd.from_numpy(np.ones((2, 3), 'float32').T, zero_copy=False).shape == (3, 2)
    with pytest.raises(TypeError, match='must be a string'):
        mx.sym.var(3)
    store = mx.kv.create()
    store.init(3, nd.ones(1))
    with pytest.raises(ArgumentError, match='all strings or all numbers'):
        store.init('x', nd.ones(1))
    parameter = gluon.Parameter('w', shape=(1,))
    parameter.initialize('ones')
    with pytest.warns(UserWarning, match='initialized already'):
        parameter.initialize('zeros')
    assert parameter.data().asscalar() == 1
    parameter.initialize('zeros', force_reinit=True)
    assert parameter.data().asscalar() == 0
    with pytest.raises(ArgumentError, match='on no tape'):
        autograd.get_symbol(nd.ones(1))
    x = nd.ones((3,))
    x.attach_grad()
    with autograd.record():
        y = x[1:]
    with pytest.raises(ArgumentError, match='slice is no operator'):
        autograd.get_symbol(y)
    y.backward()
    with pytest.raises(GluonError, match='is released'):
        autograd.get_symbol(y)
    with pytest.warns(DeprecationWarning, match='FeedForward'):
        model = mx.model.FeedForward(mx.sym.var('data') * 1)
    with pytest.raises(GluonError, match='no parameters yet'):
        model.predict(np.ones((2, 2)))
    with pytest.raises(ArgumentError, match='needs labels'):
        model.fit(np.ones((2, 2)))
    with pytest.raises(ShapeError, match='one label for each row'):
        model.fit(np.ones((2, 2)), np.ones(3))
    with pytest.raises(ArgumentError, match='number of an epoch'):
        model.save('net')


def test_texts_are_read_from_files(tmp_path):
    text = gluon.contrib.data.text
    with pytest.raises(FileError, match='nothing is downloaded'):
        text.WikiText2(str(tmp_path))
    with pytest.raises(ArgumentError, match='segment must be'):
        text.WikiText2(str(tmp_path), 'dev')
    (tmp_path / 'wiki.train.tokens').write_text(' a b a \n \n a c \n')
    words = text.WikiText103(str(tmp_path), seq_len=2)
    assert words.vocabulary.idx_to_token == ['<unk>', '<eos>', 'a', 'b', 'c']  # the order of text.vocab.Vocabulary
    assert words.frequencies['a'] == 3
    assert [[row.asnumpy().tolist() for row in pair] for pair in words] == [
        [[2, 3], [3, 2]],
        [[2, 1], [1, 2]],
        [[2, 4], [4, 1]],
    ]
    other = text.WikiText2(str(tmp_path), vocab=mx.contrib.text.vocab.Vocabulary(), seq_len=6)
    assert other[0][0].asnumpy().tolist() == [0] * 6


def test_factories_refuse_what_they_do_not_know():
    class Animal: ...

    class Cat(Animal): ...

    register, create = mx.registry.get_register_func(Animal, 'animal'), mx.registry.get_create_func(Animal, 'animal')
    register(Cat)
    with pytest.warns(UserWarning, match='the animal cat was'):
        register(Cat)
    with pytest.raises(ArgumentError, match="no animal 'dog' is registered"):
        create('dog')
    with pytest.raises(ArgumentError, match='a subclass of Animal'):
        register(int)
    with pytest.raises(ArgumentError, match='a name or a Animal'):
        create(3)
    with pytest.raises(TypeError, match='those of NDArrays'):
        mx.contrib.autograd.grad(lambda x: x)(3)
    with pytest.raises(ArgumentError, match='there is no GPU 99'):
        mx.context.gpu_memory_info(99)


def test_arrays_of_numpy_meet_those_of_mxnet_in_one_dtype():
    ones, whole = np.ones((2, 2), 'float32'), np.ones((2, 2), 'int32')
    assert (nd.ones((2, 2)) + whole).dtype == np.float32
    assert (nd.ones((2, 2), dtype='int32') + ones).dtype == np.float32
    assert (ones - nd.ones((2, 2), dtype='int32') * 3).asnumpy().tolist() == [[-2, -2], [-2, -2]]
    assert (whole - nd.ones((2, 2)) * 3).asnumpy().tolist() == [[-2, -2], [-2, -2]]


def test_what_no_array_takes_is_named():
    x = nd.array([1, 2])
    assert x.broadcast_to((3, 2)).asnumpy().tolist() == [[1, 2]] * 3
    with pytest.raises(TypeError, match='put into a Context'):
        x.as_in_context('gpu')
    with pytest.raises(ArgumentError, match='numbers, slices and arrays'):
        x['a']
    with pytest.raises(ShapeError, match='0 or more'):
        nd.zeros((2, -1))


def test_fewer_bits_are_noted_once():
    array.note_fewer_bits.cache_clear()
    with pytest.warns(UserWarning, match='float64 is float32 here') as caught:
        kinds = {nd.ones((1,), dtype='float64').dtype, nd.ones((1,)).astype('float64').dtype}
    assert (len(caught), kinds) == (1, {np.float32})
    assert nd.array(np.ones(2, 'int64')).dtype == np.float32  # nobody asked for 64 bits


def test_how_often_parameters_are_kept_is_said():
    module = mx.contrib.svrg_optimization.SVRGModule
    with pytest.raises(TypeError, match='must be an int'):
        module(mx.sym.var('data') * 1, label_names=None)
    with pytest.raises(ArgumentError, match='>= 1, got 0'):
        module(mx.sym.var('data') * 1, label_names=None, update_freq=0)
    bound = module(mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1, name='fc'), label_names=None, update_freq=1)
    bound.bind([('data', (2, 3))])
    bound.init_params(mx.init.One())
    bound.init_optimizer()
    bound.update_full_grads(mx.io.NDArrayIter(np.ones((4, 3), 'float32'), None, 2))
    batch = mx.io.DataBatch([nd.ones((2, 3))])
    bound.reshape([('data', (1, 3))])
    bound.reshape([('data', (2, 3))])
    bound.forward(batch, is_train=True)
    bound.backward([nd.ones((2, 1))])
    bound.update()  # by the gradient of the whole data alone: that of the batch is the same at both
    assert bound.get_params()[0]['fc_bias'].asscalar() == pytest.approx(-0.01 * 2 / 2)
    assert mx.AttrScope(x='1').get({'y': '2'}) == {'x': '1', 'y': '2'}


def test_sizes_may_be_numbers_of_numpy():
    two, three = np.int64(2), np.int32(3)
    x = nd.ones((1, 3))
    assert x.tile((two, 1)).shape == nd.broadcast_to(x, shape=(two, three)).shape == (2, 3)
    assert x.broadcast_to((two, three)).reshape((three, two)).shape == (3, 2)
    assert nd.FullyConnected(x, nd.ones((2, 3)), num_hidden=two, no_bias=True).shape == (1, 2)
    assert mx.sym.tile(mx.sym.var('x'), reps=(two,)).attr('reps') == '(2,)'


def test_arrays_of_one_element_are_numbers_to_programs_as_they_were_to_numpy():
    mean = nd.array([2.5]).asnumpy()
    assert ('%.2f' % mean, int(mean), math.exp(mean)) == ('2.50', 2, math.exp(2.5))  # noqa: UP031 (as such programs write it)
    assert float(nd.array([[3]]).asnumpy()) == complex(nd.array([[3]]).asnumpy()) == 3
    assert (repr(mean), str(type(mean))) == ('array([2.5], dtype=float32)', "<class 'numpy.ndarray'>")
    assert {type(x) for x in (mean + 1, np.concatenate([mean, mean]), pickle.loads(pickle.dumps(mean)))} == {np.ndarray}
    assert type(mean.sum()) is np.float32
    with pytest.raises(TypeError):
        float(nd.array([1, 2]).asnumpy())


def test_products_of_integers_take_a_bias():
    x, weight, bias = (nd.array(range(n), dtype='int32') for n in (6, 6, 2))
    y = nd.FullyConnected(x.reshape((2, 3)), weight.reshape((2, 3)), bias, num_hidden=2)
    assert y.asnumpy().tolist() == [[5, 15], [14, 51]]
    kernel = {'num_filter': 2, 'kernel': (3,)}
    y = nd.Convolution(x.reshape((2, 1, 3)), weight.reshape((2, 1, 3)), bias, **kernel)
    assert y.asnumpy().tolist() == [[[5], [15]], [[14], [51]]]
