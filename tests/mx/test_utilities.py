"""What tests of MXNet's programs use beside arrays: test_utils, attributes of graphs, the profiler, base."""

import json
import math
import os

import jax
import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError
from gluonjax.mx import nd, profiler
from gluonjax.mx import test_utils as checks


def test_samples_are_compared_with_distributions():
    random = np.random.default_rng(0)
    buckets, probabilities = checks.gen_buckets_probs_with_ppf(lambda p: p, 4)
    assert min(checks.verify_generator(random.random, buckets, probabilities, 2000, 3)) > 1e-4
    p, found, expected = checks.chi_square_check(lambda n: random.random(n) ** 2, buckets, probabilities, 2000)
    assert p < 1e-6
    assert found.sum() == 2000
    assert expected.tolist() == [500] * 4
    with pytest.raises(AssertionError, match='another distribution'):
        checks.verify_generator(lambda n: random.random(n) ** 2, buckets, probabilities, 2000, 2)
    assert checks.chi_square_check(lambda n: random.integers(0, 2, n), [0, 1], [0.5, 0.5], 1000)[0] > 1e-4
    p, *_ = checks.chi_square_check(lambda n: np.array([0, 0, 0, 1]), [0, 1], [0.5, 0.5], 4)
    assert p == pytest.approx(math.erfc(0.5**0.5))  # a sum of squares of 1, with one degree of freedom
    with pytest.raises(ArgumentError, match='one probability for each bucket'):
        checks.chi_square_check(random.random, buckets, [1.0], 10)


def test_graphs_are_compared_with_one_another():
    x = mx.sym.var('x')
    contexts = [{'ctx': mx.cpu(), 'x': (2, 3)}] * 2
    checks.check_consistency([x * x, x**2], contexts)
    with pytest.raises(AssertionError, match='gradient of x'):
        checks.check_consistency([x * x, mx.sym.BlockGrad(x) * x], contexts)
    executor = (x * x).simple_bind(x=(2,))
    np.testing.assert_allclose(checks.numeric_grad(executor, {'x': np.array([1, -2.0])}, eps=1e-2)['x'], [2, -4], 1e-3)


def test_reductions_sums_and_tries():
    values = np.arange(6.0).reshape(2, 3)
    assert checks.np_reduce(values, (0, 1), True, np.sum).tolist() == [[15]]
    assert checks.np_reduce(values, 1, False, np.max).tolist() == [2, 5]
    assert checks.collapse_sum_like(np.ones((4, 2, 3)), (2, 1)).tolist() == [[12], [12]]
    checks.assert_almost_equal_with_err(np.arange(10), np.array([1, *range(1, 10)]), etol=0.1)
    with pytest.raises(AssertionError, match=r'10\.00%'):
        checks.assert_almost_equal_with_err(np.arange(10), np.array([1, *range(1, 10)]), etol=0.05)
    tries = []

    @checks.retry(3)
    def flaky():
        tries.append(0)
        assert len(tries) == 3

    flaky()
    assert len(tries) == 3


@pytest.mark.filterwarnings('ignore:sparse arrays of MXNet are dense')
def test_sparse_arrays_come_with_their_parts():
    made, (data, ends, columns) = checks.rand_sparse_ndarray((5, 4), 'csr', density=0.5)
    assert nd.sparse.csr_matrix((data, columns, ends), shape=(5, 4)).asnumpy().tolist() == made.asnumpy().tolist()
    made, (data, rows) = checks.rand_sparse_ndarray((5, 4), 'row_sparse', density=0.2)
    assert nd.sparse.row_sparse_array((data, rows), shape=(5, 4)).asnumpy().tolist() == made.asnumpy().tolist()


def test_optimizers_and_networks_are_compared():
    checks.compare_optimizer(mx.optimizer.SGD(momentum=0.9), mx.optimizer.SGD(momentum=0.9), (2, 3), 'float32')
    with pytest.raises(AssertionError):
        checks.compare_optimizer(mx.optimizer.SGD(), mx.optimizer.SGD(learning_rate=1), (2, 3), 'float32')
    checks.check_gluon_hybridize_consistency(
        lambda: mx.gluon.nn.HybridLambda(lambda F, x: F.square(x)), [nd.array([1, 2])], np.square
    )
    batches = checks.DummyIter(mx.io.NDArrayIter(np.arange(4), batch_size=2))
    assert [next(batches).data[0].asnumpy().tolist() for _ in range(3)] == [[0, 1]] * 3


def test_attributes_of_mxnets_own_are_known_by_both_names():
    x = mx.sym.var('x', lr_mult=2, attr={'wd_mult': '3', 'mood': 'good'})
    assert x.list_attr() == {'mood': 'good', '__wd_mult__': '3', '__lr_mult__': '2', 'wd_mult': '3', 'lr_mult': '2'}
    with mx.AttrScope(ctx_group='one'):
        fc = mx.sym.FullyConnected(x, num_hidden=2, name='fc', lr_mult=0)
        assert mx.attribute.current().get({'a': 'b'}) == {'ctx_group': 'one', 'a': 'b'}
    assert [fc.attr('lr_mult'), fc.attr_dict()['fc_weight']['lr_mult'], fc.attr('ctx_group')] == ['0', '0', 'one']
    slope = mx.sym.LeakyReLU(x, act_type='prelu', name='slope')
    assert slope.attr_dict()['slope_gamma']['__init__'] == '["Constant", {"value": 0.25}]'


def test_functions_of_symbols_and_numbers():
    with mx.name.NameManager():
        x = mx.sym.var('x')
        graph = mx.sym.Group(
            [mx.sym.maximum(x, 2), mx.sym.minimum(2, x), mx.sym.hypot(x, x), mx.sym.power(2, x), x * 2, 1 - x, x > 2]
        )
        assert graph.list_outputs() == [
            '_maximumscalar0_output', '_minimumscalar0_output', '_hypot0_output', '_rpowerscalar0_output',
            '_mulscalar0_output', '_rminusscalar0_output', '_greater_scalar0_output',
        ]  # fmt: skip
    found = [y.asnumpy().tolist() for y in graph.eval(x=nd.array([1, 3]))]
    rooted = np.hypot([1, 3], [1, 3]).astype('float32').tolist()
    assert found == [[2, 3], [1, 2], rooted, [2, 8], [2, 6], [0, -2], [0, 1]]
    assert (mx.sym.maximum(1, 2), mx.sym.pow(2, 3)) == (2, 8)
    made = mx.sym.Group([mx.sym.arange(1, 3), mx.sym.eye(1), mx.sym.linspace(0, 1, 2), mx.sym.full((1,), 7)])
    assert [y.asnumpy().ravel().tolist() for y in made.eval()] == [[1, 2], [1], [0, 1], [7]]
    parts = mx.sym.split_v2(x, (1,)).eval(x=nd.array([1, 2, 3]))
    assert [part.asnumpy().tolist() for part in parts] == [[1], [2, 3]]
    counts, _ = mx.sym.histogram(x, 2, (0, 4)).eval(x=nd.array([1, 3, 3.5]))
    assert counts.asnumpy().tolist() == [1, 2]
    with pytest.raises(ArgumentError, match='range'):
        mx.sym.histogram(x, 2)


def test_executors_of_fewer_samples_keep_values():
    executor = mx.sym.FullyConnected(mx.sym.var('x'), num_hidden=1, name='fc').simple_bind(x=(3, 2))
    for array in executor.arg_arrays:
        array[:] = 1
    assert executor.reshape(x=(2, 2)).forward()[0].asnumpy().tolist() == [[3], [3]]
    assert executor.reshape(x=(4, 2), allow_up_sizing=True).arg_dict['x'].shape == (4, 2)
    assert executor.debug_str().splitlines()[-1] == 'FullyConnected: fc'


def test_operators_are_counted_while_the_profiler_runs(tmp_path, monkeypatch):
    for name in ('start_trace', 'stop_trace'):
        monkeypatch.setattr(jax.profiler, name, lambda *args: None)
    path = tmp_path / 'profile.json'
    profiler.set_config(filename=str(path), aggregate_stats=True)
    profiler.dumps(reset=True)
    x = nd.ones((2,))
    nd.sqrt(x)
    profiler.set_state('run')
    nd.sqrt(x)
    x = x + 1 + 1
    profiler.Marker(profiler.Domain('mine'), 'here').mark()
    profiler.dump(False)
    first = json.loads(path.read_text())['traceEvents']
    assert [event['name'] for event in first] == ['sqrt', '_plus_scalar', '_plus_scalar', 'here']
    profiler.set_state('stop')
    nd.sqrt(x)
    counts = json.loads(profiler.dumps(reset=True, format='json'))['Time']['operator']
    assert {name: row['Count'] for name, row in counts.items()} == {'sqrt': 1, '_plus_scalar': 2}
    profiler.dump()
    assert len(json.loads(path.read_text())['traceEvents']) == 4
    profiler.dump()
    assert json.loads(path.read_text())['traceEvents'] == []
    profiler.set_config(aggregate_stats=False)


def test_tasks_are_timed():
    profiler.dumps(reset=True)
    domain = profiler.Domain('mine')
    for _ in range(2):
        with domain.new_task('slow'):
            pass
    with profiler.Event('once'):
        pass
    domain.new_marker('here').mark()
    table = json.loads(profiler.dumps(format='json', sort_by='count'))
    assert (table['Time']['mine']['slow']['Count'], table['Time']['event']['once']['Count']) == (2, 1)
    assert table['Time']['mine']['slow']['Total'] >= table['Time']['mine']['slow']['Max'] > 0
    assert 'slow' in profiler.dumps(reset=True)
    assert json.loads(profiler.dumps(format='json'))['Time'] == {}
    counter = domain.new_counter('samples', 3)
    counter -= 1
    counter.increment(4)
    assert (counter.value, str(counter)) == (6, 'samples')


def test_directories_and_variables_of_the_environment():
    with checks.environment('MXNET_HOME', 'some/folder'):
        assert mx.base.data_dir() == 'some/folder'
        mx.util.setenv('MXNET_HOME', None)
        assert (mx.util.getenv('MXNET_HOME'), mx.base.data_dir()) == (None, os.path.expanduser('~/.mxnet'))


def test_batches_without_lists_are_refused_as_mxnet_does():
    with pytest.raises(AssertionError, match='data must be a list'):
        mx.io.DataBatch(nd.ones(2))


def test_graphs_are_compiled_as_one_operation():
    graph = mx.sym.BatchNorm(mx.sym.var('x'), fix_gamma=False, momentum=0.5, name='bn') * 2
    op = nd.CachedOp(graph)
    x, ones, zeros = nd.array([[0], [4]]), nd.ones(1), nd.zeros(1)
    x.attach_grad()
    mean, var = nd.zeros(1), nd.ones(1)
    with mx.autograd.record():
        y = op(x, ones, zeros, mean, var)
        (y * y).sum().backward()
    np.testing.assert_allclose(y.asnumpy().ravel(), [-2, 2], rtol=1e-3)
    assert (mean.asscalar(), var.asscalar()) == (1, 2.5)
    assert np.isfinite(x.grad.asnumpy()).all()
    out = nd.zeros((2, 1))
    assert op(x, ones, zeros, mean, var, out=out) is out
    np.testing.assert_allclose(out.asnumpy().ravel(), (np.array([0, 4]) - 1) / np.sqrt(2.5) * 2, rtol=1e-3)
    with pytest.raises(ArgumentError, match='one array for each variable'):
        op(x)


def test_symbols_draw_by_numbers_and_by_symbols():
    random = mx.sym.random
    drawn = mx.sym.Group([random.exponential(0.25, shape=(2, 500)), random.randn(3, loc=7, scale=0)])
    mx.random.seed(1)
    first, second = (y.asnumpy() for y in drawn.eval())
    np.testing.assert_allclose(first.mean(), 0.25, rtol=0.2)
    assert second.tolist() == [7, 7, 7]
    by_arrays = random.normal(mx.sym.var('m'), mx.sym.var('s'), shape=2).eval(m=nd.array([1, 5]), s=nd.zeros(2))
    assert by_arrays[0].asnumpy().tolist() == [[1, 1], [5, 5]]
    assert sorted(random.shuffle(mx.sym.var('x')).eval(x=nd.arange(5))[0].asnumpy()) == [0, 1, 2, 3, 4]
    with pytest.raises(ArgumentError, match='all symbols, or all numbers'):
        random.normal(mx.sym.var('m'), 1)
    assert mx.nd.random.negative_binomial(k=nd.array([1, 2]), p=nd.array([0.5, 1.0]), shape=3).shape == (2, 3)


@pytest.mark.parametrize('symbols', [False, True])
def test_zipfian_classes(symbols):
    true = nd.array([0, 3], dtype='int32')
    if symbols:
        found = mx.sym.Group(mx.sym.contrib.rand_zipfian(mx.sym.var('t'), 50, 9)).eval(t=true)
    else:
        found = nd.contrib.rand_zipfian(true, 50, 9)
    classes, of_true, of_drawn = (x.asnumpy() for x in found)
    assert ((classes >= 0) & (classes < 9)).all()
    np.testing.assert_allclose(of_true, np.log([2, 5 / 4]) / np.log(10) * 50, rtol=1e-5)
    np.testing.assert_allclose(of_drawn, np.log((classes + 2) / (classes + 1)) / np.log(10) * 50, rtol=1e-5)


def test_logarithms_of_drawn_chances_have_gradients():
    chances = nd.array([0, 0.25, 0.75])
    chances.attach_grad()
    with mx.autograd.record():
        drawn, logs = nd.random.multinomial(chances, shape=20, get_prob=True)
        logs.sum().backward()
    counts = np.bincount(drawn.asnumpy(), minlength=3)
    np.testing.assert_allclose(chances.grad.asnumpy(), counts / [1, 0.25, 0.75], rtol=1e-5)


def test_dtypes_follow_operators():
    x = mx.sym.var('x')
    graph = mx.sym.BatchNorm(mx.sym.FullyConnected(mx.sym.Cast(x, dtype='float32'), num_hidden=2, name='fc'), name='bn')
    arguments, outputs, auxiliary = graph.infer_type(x='float16')
    assert arguments == [np.float16] + [np.float32] * 4
    assert (outputs[0], auxiliary) == (np.float32, [np.float32] * 2)
    assert (x + 1).infer_type(x='int32')[1] == [np.int32]
    assert mx.sym.var('a', shape=(2,)).infer_shape(a=(3,))[1] == [(3,)]
    with pytest.raises(mx.base.NotImplementedForSymbol, match='neither true nor false'):
        bool(x)


def test_arrays_take_what_mxnets_do():
    x = nd.array([[0, 1], [2, 3]])
    assert [int(v) for v in nd.topk(x, axis=None, k=2, dtype='int32').asnumpy()] == [3, 2]
    assert x.broadcast_to(shape=np.array([2, 2])).shape == x.transpose(axes=(1, 0)).shape == (2, 2)
    assert [part.shape for part in x.split_v2((1,), axis=1)] == [(2, 1), (2, 1)]
    whole = nd.zeros(2, dtype='int32')
    whole[0] = 16777217  # which float32 does not hold
    assert whole.asnumpy().tolist() == [16777217, 0]
    assert nd.arange(16777217, 16777219, dtype='int32').asnumpy().tolist() == [16777217, 16777218]
    assert x[[0, 1], (1, 0)].asnumpy().tolist() == [1, 2]
    assert not nd.array([])
    assert nd.from_dlpack(x.to_dlpack_for_read()).asnumpy().tolist() == x.asnumpy().tolist()
    assert nd.ones((2, 2), out=x) is x
    assert x.asnumpy().tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ArgumentError, match='axis 2'):
        nd.moveaxis(x, 0, 2)
