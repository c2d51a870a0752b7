"""What failed calls of MXNet's functions, operators and constructors raise: errors of the library, of the same kind."""

import numpy as np
import pytest

from gluonjax import mx
from gluonjax.errors import ArgumentError, DTypeError, FileError, GluonError, KeywordError, ShapeError
from gluonjax.mx import autograd, base, gluon, image, nd, npx

X = nd.ones((2, 3))
P = mx.np.ones((2, 3))

REFUSED = [
    (lambda: nd.FullyConnected(X, X, num_hiden=2), ArgumentError, r"no attribute 'num_hiden'[\s\S]*try: num_hidden="),
    (lambda: nd.FullyConnected(X, num_hidden=2), ArgumentError, 'FullyConnected lacks weight'),
    (
        lambda: nd.dot(np.ones((3, 2)), X),
        ArgumentError,
        r'lhs of dot must be an NDArray, got ndarray\n.*nd\.array\(x\)',
    ),
    (lambda: nd.dot(X, X), ShapeError, r'dot does not take these arrays[\s\S]*float32\[2, 3\], float32\[2, 3\]'),
    (lambda: nd.concatenate('abc'), IndexError, 'concat does not take these arrays: list index out of range'),
    (lambda: nd.concatenate('abc'), ArgumentError, 'concat does not take'),
    (lambda: nd.add(X, object()), TypeError, 'broadcast_add|add|float'),
    (lambda: nd.zeros(), KeywordError, r"zeros: missing a required argument: 'shape'\n  expected: zeros\(shape, ctx="),
    (lambda: nd.zeros((2, 2), dtype='flot32'), TypeError, "dtype must be .*, got 'flot32'"),
    (lambda: nd.random.uniform(0, 1, -7), ShapeError, 'sizes of an array are 0 or more'),
    (lambda: nd.random.normal(0, -1.0), ArgumentError, 'this parameter of a distribution is 0 or more\n  got: -1'),
    (lambda: mx.np.random.gamma(1.0, -1.0), ValueError, r'the parameters of np\.random\.gamma are 0 or more'),
    (lambda: mx.np.sum(P, axs=1), KeywordError, r"np\.sum has no argument 'axs'[\s\S]*try: axis="),
    (lambda: mx.np.sum(P, axis='abc'), ArgumentError, r'np\.sum cannot take these arguments'),
    (lambda: mx.np.zeros(), KeywordError, r"np\.zeros: missing a required argument: 'shape'"),
    (lambda: mx.np.sin('abc'), DTypeError, r'np\.sin takes arrays and numbers\n  got: str'),
    (lambda: P + mx.np.ones((2, 4)), ValueError, r'np\.add cannot take these arguments.*\(2,3\) \(2,4\)'),
    (lambda: mx.np.bincount('abc'), ValueError, r'np\.bincount cannot take these arguments'),
    (lambda: npx.constraint_check(3), AttributeError, 'x must be .*NDArray, got 3'),
    (lambda: gluon.nn.Dense(), KeywordError, "Dense: missing a required argument: 'units'"),
    (lambda: gluon.Trainer({}), KeywordError, "Trainer: missing a required argument: 'optimizer'"),
    (lambda: gluon.rnn.GRUCell('abc'), TypeError, 'hidden_size|abc'),
    (lambda: gluon.utils.split_data(X, num_slic=2), KeywordError, 'try: num_slice='),
    (lambda: image.CenterCropAug(), KeywordError, "CenterCropAug: missing a required argument: 'size'"),
    (lambda: autograd.backward(object()), TypeError, 'backward'),
    (lambda: gluon.nn.Dense(2).load_parameters('nosuch.params'), FileError, "no file 'nosuch.params'"),
    (lambda: gluon.ParameterDict().load('nosuch.params'), FileError, "no file 'nosuch.params'"),
]


@pytest.mark.parametrize(('call', 'kind', 'message'), REFUSED)
def test_what_is_wrong_with_a_call(call, kind, message):
    with pytest.raises(kind, match=message) as found:
        call()
    assert isinstance(found.value, base.MXNetError)


def test_errors_of_the_callers_own_code_stay():
    def fails(*args):
        raise TypeError('mine')

    class Double(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            fails()

    for call in (lambda: nd.contrib.foreach(fails, X, [X]), lambda: Double()(X), lambda: nd.array(fails())):
        with pytest.raises(TypeError, match='mine') as found:
            call()
        assert not isinstance(found.value, base.MXNetError)


def test_a_refused_call_changes_nothing():
    x = nd.zeros((2, 2))
    with pytest.raises(ShapeError):
        nd.dot(X, X, out=x)
    with pytest.raises(GluonError):
        nd.relu(X, out=3)
    assert x.asnumpy().tolist() == [[0, 0], [0, 0]]


MISSING = [
    (lambda: mx.rtc, 'Pallas'),
    (lambda: mx.kvstore.KVStoreServer, r'jax\.distributed\.initialize'),
    (lambda: mx.io.ImageDetRecordIter, r'mx\.image\.ImageDetIter'),
    (lambda: mx.operator.NumpyOp, r'mx\.operator\.CustomOp'),
    (lambda: mx.test_utils.get_cifar10, r'vision\.CIFAR10'),
    (lambda: mx.lr_scheduler.FactorSchedular, 'FactorScheduler'),
    (lambda: nd.contrib.dgl_subgraph, 'arrays here are dense'),
    (lambda: nd.imdecode, r'mx\.image\.imdecode'),
    (lambda: mx.sym.contrib.quantized_rnn, 'export the graph without that backend'),
]


@pytest.mark.parametrize(('read', 'message'), MISSING)
def test_names_that_are_not_here_say_what_is(read, message):
    with pytest.raises(AttributeError, match=message) as found:
        read()
    assert isinstance(found.value, base.MXNetError)


def test_symbols_refuse_what_arrays_alone_have():
    x = mx.sym.var('x')
    for name in ('asnumpy', 'asscalar', 'backward', 'copy', 'detach', 'wait_to_read', 'as_in_context'):
        with pytest.raises(base.NotImplementedForSymbol, match=f'Function {name} is not implemented for Symbol'):
            getattr(x, name)()
    assert x.astype('int32').eval(x=nd.array([1.5]))[0].dtype == np.int32
    assert [y.asnumpy().tolist() for y in x.split_v2(2).eval(x=nd.array([1, 2]))] == [[1], [2]]
    assert x.optimize_for('MKLDNN') is x.as_np_ndarray() is x


def test_networks_and_their_parameters_are_saved_by_prefix_and_by_dict(tmp_path):
    def network():
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Dense(2, in_units=3), gluon.nn.Dense(1, in_units=2))
        return net

    one, other = network(), network()
    one.initialize()
    one.save(str(tmp_path / 'net'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['net-model.json', 'net-model.params']
    other.load(str(tmp_path / 'net'))
    np.testing.assert_array_equal(one(X).asnumpy(), other(X).asnumpy())
    other.collect_params().load_dict({name: nd.ones(p.shape) for name, p in other.collect_params().items()})
    assert other(X).asnumpy().tolist() == [[9], [9]]


def test_saved_networks_are_loaded_by_the_order_of_blocks(tmp_path):
    class Chain(gluon.nn.Block):
        def add(self, block):
            self._children[block.name] = block

        def forward(self, x):
            for block in self._children.values():
                x = block(x)
            return x

    def network():
        inside, net = Chain(), Chain()
        inside.add(gluon.nn.Dense(3, in_units=3))
        net.add(inside)
        net.add(gluon.nn.Dense(1, in_units=3))
        return net

    one, other = network(), network()
    one.initialize()
    one.save(str(tmp_path / 'net'))
    other.load(str(tmp_path / 'net'))
    assert list(one._children) != list(other._children)
    np.testing.assert_array_equal(one(X).asnumpy(), other(X).asnumpy())


def test_layers_take_inputs_of_their_dtype():
    net = gluon.nn.Dense(2)
    net.initialize()
    net(X)
    for x in (X.astype('float16'), X.astype('int32')):
        with pytest.raises(DTypeError, match=r'of Dense have one dtype in MXNet[\s\S]*got: '):
            net(x)
    net.cast('float16')
    assert net(X.astype('float16')).dtype == np.float16


def test_helpers_of_tests():
    utils = mx.test_utils
    assert utils.get_tols(X, P.astype('float16')) == (1e-2, 1e-1)
    assert utils.default_rtols()[np.dtype('float32')] == utils.get_tolerance(X, None, utils.default_rtols()) == 1e-4
    np.random.seed(0)  # noqa: NPY002
    symmetric = utils.new_sym_matrix_with_real_eigvals_nd((2, 3, 3))
    np.testing.assert_allclose(symmetric, symmetric.swapaxes(1, 2), atol=1e-12)
    assert abs(np.linalg.eigvals(utils.new_matrix_with_real_eigvals_2d(4)).imag).max() < 1e-9
    factor = utils.new_orthonormal_matrix_2d(3)
    np.testing.assert_allclose(factor @ factor.T, utils.get_identity_mat(3), atol=1e-12)
    x, y = mx.sym.var('x'), mx.sym.var('y')
    assert utils.same_symbol_structure(mx.sym.exp(x) + y, mx.sym.exp(y, name='other') + x)
    assert not utils.same_symbol_structure(mx.sym.exp(x) + y, mx.sym.exp(x) + x)
