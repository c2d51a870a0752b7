"""What programs of MXNet rely on: arrays, the tape, blocks, scripts."""

import logging
import pickle
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.__main__ import main
from gluonjax.errors import (
    ArgumentError,
    DeferredInitializationError,
    GluonError,
    MissingNameError,
    ParamsError,
    ShapeError,
    TransformationError,
    UninitializedError,
)
from gluonjax.mx import autograd, gluon, nd


def variable(*values):
    x = nd.array(values)
    x.attach_grad()
    return x


def test_views_of_views_write_through_and_follow():
    x = nd.zeros((2, 3))
    corner = x[1].reshape((3, 1))[2]
    corner += 5
    assert x.asnumpy().tolist() == [[0, 0, 0], [0, 0, 5]]
    x[:] = 2
    assert corner.asnumpy().tolist() == [2]
    cut = x.detach()
    cut[0] = 1
    assert x[0].asnumpy().tolist() == [1, 1, 1]
    apart = x.copy()
    apart[:] = 9
    assert x[0].asnumpy().tolist() == [1, 1, 1]


def test_arrays_answer_as_mxnets_do():
    x = nd.array([[1.5, 2]])
    assert (x.shape, x.size, x.ndim, x.dtype, x.context) == ((1, 2), 2, 2, np.float32, mx.cpu())
    assert repr(nd.ones((1, 2))) == '\n[[1. 1.]]\n<NDArray 1x2 @cpu(0)>'
    assert (float(x[0, 0]), int(x[0, 1]), bool(x[0, 0] > 1), len(x)) == (1.5, 2, True, 1)
    assert (np.float32(2) * x).asnumpy().tolist() == [[3, 4]]
    assert (np.ones((1, 2), 'float32') - x).asnumpy().tolist() == [[-0.5, -1]]
    assert pickle.loads(pickle.dumps(x)).asnumpy().tolist() == x.asnumpy().tolist()
    y = nd.empty((1, 2))
    assert nd.exp(x, out=y) is y
    assert np.allclose(y.asnumpy(), np.exp([[1.5, 2]]))
    assert x.copyto(y) is y
    assert (y == x).asnumpy().all()
    assert jnp.asarray(x).sum() == 3.5
    writable = x.asnumpy()
    writable[:] = 0
    assert x.sum().asscalar() == 3.5


def test_contexts_are_devices():
    x = variable(1, 2)
    with autograd.record():
        moved = x.as_in_context(mx.cpu(1)) * 3
    assert moved.context == mx.cpu(1)
    assert x.context == mx.cpu(0)
    moved.backward()
    assert x.grad.asnumpy().tolist() == [3, 3]
    with mx.cpu(2):
        assert nd.zeros(1).context == mx.current_context() == mx.cpu(2)
    assert x.as_in_context(mx.cpu(0)) is x
    with pytest.raises(ArgumentError, match=r'there is no device gpu\(7\)'):
        nd.zeros(1, ctx=mx.gpu(7))


def test_files_are_mxnets(tmp_path):
    path = tmp_path / 'arrays'
    nd.save(path, {'w': nd.ones((1, 2))})
    assert nd.load(path)['w'].asnumpy().tolist() == [[1, 1]]
    nd.save(path, [nd.zeros(1), nd.ones(2)])
    assert [x.asnumpy().tolist() for x in nd.load(path)] == [[0], [1, 1]]


def test_scopes_nest_and_stay_in_their_thread():
    seen = []
    with autograd.record():
        with autograd.pause():
            assert not autograd.is_recording()
            assert not autograd.is_training()
        with autograd.predict_mode():
            assert autograd.is_recording()
            assert not autograd.is_training()
        thread = threading.Thread(target=lambda: seen.append(autograd.is_recording()))
        thread.start()
        thread.join()
        assert autograd.is_recording()
        assert autograd.is_training()
    assert seen == [False]
    assert not autograd.is_recording()


def test_dropout_and_batch_norm_train_under_record():
    mx.random.seed(3)
    x = nd.ones((100,))
    with autograd.record():
        dropped = nd.Dropout(x, p=0.5)
    assert set(dropped.asnumpy().tolist()) == {0, 2}
    assert nd.Dropout(x, p=0.5).asnumpy().tolist() == x.asnumpy().tolist()


def test_running_statistics_change_in_the_backward_pass():
    def close(*expected):
        np.testing.assert_allclose([mean.asscalar(), var.asscalar()], expected, rtol=1e-6)

    first, second, mean, var = variable([1.0], [3.0]), nd.array([[5.0], [5.0]]), nd.zeros(1), nd.ones(1)
    with autograd.train_mode():
        nd.BatchNorm(first, nd.ones(1), nd.zeros(1), mean, var, momentum=0.5)
    close(0, 1)
    gamma = variable(1.0)
    with autograd.record():
        y, z = [nd.BatchNorm(x, gamma, nd.zeros(1), mean, var, momentum=0.5) for x in (first, second)]
    close(0, 1)
    y.backward()
    close(1, 1)  # 0.5 * 0 + 0.5 * 2; the variance is that of the batch
    z.backward(retain_graph=True)
    close(3, 0.5)
    z.backward()
    close(4, 0.25)
    nd.BatchNorm(first, gamma, nd.zeros(1), mean, var, momentum=0.5)
    close(4, 0.25)


@pytest.mark.parametrize('hybridized', [False, True])
def test_of_two_calls_the_first_is_counted_last(hybridized):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.BatchNorm(momentum=0.5, in_channels=1, use_global_stats=False))
    net.initialize()
    net.hybridize(hybridized)
    with autograd.record():
        y = net(nd.array([[0.0], [4.0]])) + net(nd.array([[8.0], [8.0]]))
    y.backward()
    assert net[0].running_mean.data().asscalar() == 0.5 * (0.5 * 8) + 0.5 * 2


def test_random_numbers_follow_the_seed():
    def drawn():
        mx.random.seed(4)
        return nd.random.normal(1, 2, shape=(400,)), nd.random.randint(0, 3, (50,)), nd.random.shuffle(nd.arange(9))

    first, second = drawn(), drawn()
    for a, b in zip(first, second, strict=True):
        assert a.asnumpy().tolist() == b.asnumpy().tolist()
    normal, integers, order = (x.asnumpy() for x in first)
    assert abs(normal.mean() - 1) < 0.4
    assert abs(normal.std() - 2) < 0.3
    assert set(integers.tolist()) == {0, 1, 2}
    assert sorted(order.tolist()) == list(range(9))
    assert nd.random.uniform(nd.array([0, 10]), nd.array([1, 11]), shape=3).asnumpy()[1].min() >= 10
    assert nd.random.multinomial(nd.array([[0, 1, 0], [1, 0, 0]]), shape=2).asnumpy().tolist() == [[1, 1], [0, 0]]


def test_a_step_of_many_numbers_compiles_once():
    x = nd.ones(2)
    for _ in range(102):  # until it is compiled, whatever other tests have done
        x = x / 2 * 2
    with jax.no_tracing():
        for i in range(4, 7):
            x = x / i * (i + 0.5)


def test_what_the_tape_refuses():
    x = variable(1, 2)
    with autograd.record():
        y = x * 2
        with pytest.raises(GluonError, match='cannot be written while recording'):
            y += 1
        assert y.asnumpy().tolist() == [2, 4]
    y.backward()
    with pytest.raises(GluonError, match='already released by backward'):
        y.backward()
    with pytest.raises(ArgumentError, match='was not recorded'):
        (x * 2).backward()
    with pytest.raises(ArgumentError, match="'write', 'add' or 'null', got 'no'"):
        x.attach_grad('no')
    with pytest.raises(ShapeError, match='the shape of its head'), autograd.record():
        (x * 2).backward(nd.ones(3))
    with autograd.record(), pytest.raises(TransformationError, match='inside a transformation'):
        jax.jit(lambda v: (x * nd.NDArray(v)).value)(jnp.ones(2))
    with pytest.raises(ArgumentError, match='do not depend on variable 0'), autograd.record():
        autograd.grad(x * 2, variable(1))


def test_a_range_picks_elements():
    x = variable(1, 2, 3, 4).reshape((2, 2))
    with autograd.record():
        y = x[range(2), nd.array([1, 0])]
    assert y.asnumpy().tolist() == [2, 3]
    x[range(1)] = 7
    assert x.asnumpy().tolist() == [[7, 7], [3, 4]]


def test_what_backward_released_is_a_constant():
    x = variable(1, 2)
    state = nd.zeros(2)
    for _ in range(2):  # truncated: each step's gradient is that of its own operations
        with autograd.record():
            state = state * 3 + x
            (state * x).sum().backward()
            state += 1  # which may be written, as it is on no tape
    assert x.grad.asnumpy().tolist() == [3 * 2 + 2 * 1, 3 * 3 + 2 * 2]


def test_what_arrays_refuse():
    x = nd.zeros((2, 3))
    with pytest.raises(ShapeError, match='does not fit'):
        x[:] = nd.ones(2)
    with pytest.raises(ShapeError, match='does not fit'):
        x[0] = nd.ones(2)
    with pytest.raises(IndexError, match='index 2 is out of range for axis 0 with size 2'):
        x[2]
    with pytest.raises(ShapeError, match='takes an array of one element'):
        x.asscalar()
    with pytest.raises(ShapeError, match='that of its one element'):
        bool(x)
    with pytest.raises(MissingNameError, match="no attribute 'summ'"):
        x.summ()
    with pytest.raises(MissingNameError, match=r"no attribute 'consat'\n  try: concat"):
        nd.consat(x)
    with pytest.raises(ArgumentError, match='FullyConnected lacks weight'):
        nd.FullyConnected(x, num_hidden=2)
    with pytest.raises(ArgumentError, match='takes other inputs'):
        nd.dot(x, x, x)
    assert x.asnumpy().tolist() == [[0, 0, 0], [0, 0, 0]]


def dense(units=2, **kwargs):
    net = gluon.nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(gluon.nn.Dense(units, **kwargs), gluon.nn.Dropout(0.5))
    return net


def test_parameters_are_named_initialized_and_found():
    net = dense()
    with pytest.raises(UninitializedError, match='net_dense0_weight has not been initialized'):
        net(nd.ones((1, 3)))
    net.initialize(mx.init.One())
    weight = net[0].weight
    with pytest.raises(DeferredInitializationError, match=r'its shape \(2, 0\) waits for the first input'):
        weight.data()
    assert net(nd.ones((1, 3))).asnumpy().tolist() == [[3, 3]]
    assert list(net.collect_params('.*weight')) == ['net_dense0_weight']
    assert (weight.shape, weight.grad_req, weight.list_ctx()) == ((2, 3), 'write', [mx.cpu()])
    weight.grad_req = 'null'
    with pytest.raises(ArgumentError, match='has no gradient'):
        weight.grad()
    with pytest.raises(ShapeError, match='net_dense0_weight has another shape'):
        weight.set_data(nd.ones(3))
    assert weight.data().asnumpy().tolist() == [[1, 1, 1], [1, 1, 1]]


def test_what_is_shared_is_one():
    first = dense(in_units=2)
    second = gluon.nn.Dense(2, in_units=2, params=first[0].params)
    first.initialize()
    assert second(nd.ones((1, 2))).asnumpy().tolist() == first(nd.ones((1, 2))).asnumpy().tolist()
    alone = gluon.ParameterDict('a_')
    assert alone.get('w', shape=(1, 0)) is alone.get('w', shape=(1, 2))
    assert alone['a_w'].shape == (1, 2)
    with pytest.raises(ArgumentError, match="two parameters 'a_w'"):
        alone.update({'a_w': gluon.Parameter('a_w')})


def test_parameters_are_saved_by_their_place(tmp_path):
    net, other, path = dense(in_units=2), dense(in_units=2), tmp_path / 'net.params'
    net.initialize(mx.init.Normal(1))
    net.save_parameters(path)
    assert set(nd.load(path)) == {'0.weight', '0.bias'}
    other.load_parameters(path)
    x = nd.array([[1, -2]])
    assert other(x).asnumpy().tolist() == net(x).asnumpy().tolist()
    nd.save(path, {'0.weight': nd.zeros((2, 2))})
    with pytest.raises(ParamsError, match=r'missing: 0\.bias'):
        other.load_parameters(path)
    assert other(x).asnumpy().tolist() == net(x).asnumpy().tolist()


def test_a_hybridized_network_is_one_program_that_draws_anew():
    net = dense(64, in_units=1, use_bias=False)
    net.initialize('ones')
    net.hybridize()
    x = nd.ones((1, 1))
    weight = net.collect_params()['net_dense0_weight']
    with autograd.record():
        first, second = net(x), net(x)
    assert first.asnumpy().tolist() != second.asnumpy().tolist()
    first.backward()
    np.testing.assert_allclose(weight.grad().asnumpy()[:, 0], first.asnumpy()[0])  # 2 where it was kept
    with autograd.record(), jax.no_tracing():
        net(x)
    weight.set_data(nd.zeros((64, 1)))
    assert net(x).asnumpy().max() == 0


def test_a_trainer_keeps_its_state_in_a_file(tmp_path):
    def trained(steps):
        w = gluon.Parameter('w', shape=(2,))
        w.initialize('ones')
        trainer = gluon.Trainer([w], 'sgd', {'learning_rate': 0.1, 'momentum': 0.5})
        for _ in range(steps):
            step(w, trainer)
        return w, trainer

    def step(w, trainer):
        with autograd.record():
            loss = w.data() * 3
        loss.backward()
        trainer.step(3)

    _, trainer = trained(1)
    trainer.save_states(tmp_path / 'states')
    w, other = trained(0)
    other.load_states(tmp_path / 'states')
    step(w, other)
    np.testing.assert_allclose(w.data().asnumpy(), [0.85, 0.85], rtol=1e-6)  # 1 - 0.1 * (1 + 0.5)
    assert other.learning_rate == pytest.approx(0.1)
    with pytest.raises(ArgumentError, match='takes Parameters'):
        gluon.Trainer([1], 'sgd')


def test_batches_are_split_and_losses_take_arrays():
    parts = gluon.utils.split_and_load(np.arange(6).reshape(3, 2), [mx.cpu(0), mx.cpu(1)], even_split=False)
    assert [(part.shape, part.context) for part in parts] == [((2, 2), mx.cpu(0)), ((1, 2), mx.cpu(1))]
    with pytest.raises(ArgumentError, match='3 samples cannot be split into 2'):
        gluon.utils.split_data(nd.zeros((3, 2)), 2)
    with pytest.raises(ArgumentError, match='L1Loss takes NDArrays'):
        gluon.loss.L1Loss()(nd.zeros((1, 2)), 1)
    metric = mx.metric.Accuracy()
    metric.update([nd.array([1, 0])], [nd.array([[0, 1], [0, 1]])])
    assert metric.get() == ('accuracy', 0.5)
    for module, name in ((gluon.nn, 'Dence'), (gluon.loss, 'L3Loss'), (gluon.rnn, 'GRUU')):
        with pytest.raises(MissingNameError, match=name):
            getattr(module, name)


SCRIPT = """
import sys
import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

net = nn.Dense(1, use_bias=False)
net.initialize(mx.init.One())
x = nd.array([[float(sys.argv[1]), 2]])
with autograd.record():
    loss = net(x).sum()
loss.backward()
print(__name__, loss.asscalar(), net.weight.grad().asnumpy().tolist())
"""


@pytest.fixture
def no_mxnet():
    def forget():
        for name in [name for name in sys.modules if name.partition('.')[0] == 'mxnet']:
            del sys.modules[name]

    forget()
    yield
    forget()


@pytest.mark.usefixtures('no_mxnet')
def test_a_script_runs_as_it_is(tmp_path, capsys, monkeypatch):
    script = tmp_path / 'train.py'
    script.write_text(SCRIPT)
    argv, search = list(sys.argv), list(sys.path)
    assert main(['run', str(script), '5']) == 0
    assert capsys.readouterr().out == '__main__ 7.0 [[5.0, 2.0]]\n'
    monkeypatch.setattr(logging.getLogger(), 'level', logging.INFO)  # as scripts do; JAX stays silent
    assert not logging.getLogger('jax._src.xla_bridge').isEnabledFor(logging.INFO)
    assert (sys.argv, sys.path) == (argv, search)
    assert main(['run', str(tmp_path / 'none.py')]) == 1
    assert 'there is no script' in capsys.readouterr().err
    sys.modules['mxnet'] = pytest  # another than ours
    with pytest.raises(ArgumentError, match='MXNet itself is imported already'):
        mx.as_mxnet()
