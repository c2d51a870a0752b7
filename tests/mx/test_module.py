"""Modules, iterators, kvstores and checkpoints: MXNet's numbers, and mistakes that are named."""

import importlib.util
import logging
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest

import gluonjax
import gluonjax.mx as mx
from gluonjax.errors import (
    ArgumentError,
    DataError,
    FileError,
    GluonError,
    MissingExtraError,
    ParamsError,
    ShapeError,
    UninitializedError,
)

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
spec = importlib.util.spec_from_file_location('module_cases', GOLDEN / 'module_cases.py')
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)


# Images in which a byte is rounded otherwise now and then, and what follows from them.
ROUNDED = dict.fromkeys(('gray', 'large1', 'small2', 'large2', 'large3', 'center'), 1)
ROUNDED |= {'turned': 3e-4, 'augmented0': 0.03, 'augmented1': 0.03}


@pytest.fixture(scope='module')
def golden():
    return dict(np.load(GOLDEN / 'modules.npz'))


@pytest.mark.parametrize('program', cases.PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_gives_mxnets_numbers(program, golden):
    found = program(mx)
    expected = {key.partition(' ')[2]: v for key, v in golden.items() if key.startswith(f'{program.__name__} ')}
    assert set(found) == set(expected)
    for name, value in expected.items():
        if value.dtype.kind == 'U':
            assert list(found[name]) == list(value)
        else:
            np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=ROUNDED.get(name, 2e-6), err_msg=name)


DATA, LABEL = [('data', (4, 3))], [('softmax_label', (4,))]


def a_symbol():
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc'), name='softmax')


def a_module(**options):
    module = mx.mod.Module(a_symbol(), **options)
    module.bind(DATA, LABEL)
    module.init_params(mx.init.Normal(1))
    return module


def a_batch(rows=4):
    return mx.io.DataBatch([mx.nd.array(cases.draw(0, rows, 3))], [mx.nd.array(np.arange(rows) % 2)])


def test_a_checkpoint_goes_on_where_it_was(tmp_path):
    prefix, batch = str(tmp_path / 'net'), a_batch()
    options = {'optimizer_params': {'learning_rate': 0.1, 'momentum': 0.9}}
    module = a_module()
    module.init_optimizer(**options)
    module.forward_backward(batch)
    module.update()
    module.save_checkpoint(prefix, 3, save_optimizer_states=True)
    other = mx.mod.Module.load(prefix, 3, load_optimizer_states=True)
    other.bind(DATA, LABEL)
    other.init_optimizer(**options)
    for each in (module, other):
        each.forward_backward(batch)
        each.update()
    for name, array in module.get_params()[0].items():
        np.testing.assert_array_equal(array.asnumpy(), other.get_params()[0][name].asnumpy())
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 3)
    assert (symbol.list_arguments(), sorted(arguments), states) == (
        ['data', 'fc_weight', 'fc_bias', 'softmax_label'], ['fc_bias', 'fc_weight'], {},
    )  # fmt: skip
    module.load_params(f'{prefix}-0003.params')
    np.testing.assert_array_equal(module.get_params()[0]['fc_bias'].asnumpy(), arguments['fc_bias'].asnumpy())


def test_several_contexts_share_a_batch():
    one, two = a_module(), a_module(context=[mx.cpu(0), mx.cpu(1)])
    two.set_params(*one.get_params())
    for module in (one, two):
        module.init_optimizer(kvstore='device')
        module.forward_backward(a_batch())
        module.update()
    assert [part.shape for part in two.get_outputs(merge_multi_context=False)[0]] == [(2, 2), (2, 2)]
    assert len(two.executor.arg_dict['data'].value.devices()) == 2
    for name, array in one.get_params()[0].items():
        np.testing.assert_allclose(two.get_params()[0][name].asnumpy(), array.asnumpy(), rtol=1e-6)


def test_parameters_are_taken_all_or_none():
    module = a_module()
    arguments, _ = module.get_params()
    before = arguments['fc_weight'].asnumpy()
    changed = {'fc_weight': mx.nd.ones((2, 3))}
    with pytest.raises(UninitializedError, match='fc_bias'):
        module.set_params(changed, {})
    with pytest.raises(ParamsError, match='fc_2'):
        module.set_params({**changed, 'fc_2': mx.nd.ones(1)}, {}, allow_missing=True)
    with pytest.raises(ShapeError, match='fc_weight'):
        module.set_params({**changed, 'fc_weight': mx.nd.ones((3, 2))}, {}, allow_missing=True)
    np.testing.assert_array_equal(module.get_params()[0]['fc_weight'].asnumpy(), before)
    module.set_params({**changed, 'fc_2': mx.nd.ones(1)}, {}, allow_missing=True, allow_extra=True)
    assert module.get_params()[0]['fc_weight'].asnumpy().tolist() == [[1] * 3] * 2
    with pytest.warns(UserWarning, match='force_init'):
        module.init_params()


def test_states_go_from_batch_to_batch():
    x, h = mx.sym.var('data'), mx.sym.var('h')
    module = mx.mod.Module(mx.sym.elemwise_add(x, h), label_names=None, state_names=['h'])
    module.bind([('data', (2, 1))], for_training=False)
    module.init_params()
    module.set_states(value=1)
    for expected in (2, 3):
        module.forward(mx.io.DataBatch([mx.nd.ones((2, 1))]))
        assert module.get_outputs()[0].asnumpy().tolist() == [[expected]] * 2
        module.set_states(module.get_outputs(merge_multi_context=False))
    assert module.get_states()[0].asnumpy().tolist() == [[3]] * 2


def test_callbacks_log_and_write(caplog, tmp_path):
    caplog.set_level(logging.INFO)
    data = mx.io.NDArrayIter(cases.draw(0, 8, 3), np.arange(8) % 2, 2)
    module = mx.mod.Module(a_symbol())
    prefix = str(tmp_path / 'net')
    module.fit(
        data, data, num_epoch=2,
        batch_end_callback=[
            mx.callback.Speedometer(2, 2), mx.callback.log_train_metric(3), mx.callback.ProgressBar(4, 4)
        ],
        epoch_end_callback=[mx.callback.do_checkpoint(prefix, 2), mx.callback.module_checkpoint(module, prefix + '2')],
        eval_end_callback=mx.callback.LogValidationMetricsCallback(),
        monitor=mx.mon.Monitor(4, pattern='fc_(weight|output)', sort=True),
    )  # fmt: skip
    lines = caplog.text
    for text in (
        'Epoch[0] Batch [0-2]\tSpeed: ', 'Iter[1] Batch[3] Train-accuracy=', '[==--] 50%',
        'Epoch[1] Validation-accuracy', 'Epoch[1] Train-accuracy=', 'Epoch[1] Time cost=',
    ):  # fmt: skip
        assert text in lines
    assert lines.count('fc_output') == lines.count('fc_weight') == 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        'net-0002.params', 'net-symbol.json', 'net2-0001.params', 'net2-0002.params', 'net2-symbol.json',
    ]  # fmt: skip


def test_buckets_are_written_and_read(tmp_path):
    prefix = str(tmp_path / 'net')

    def symbol_of(key):
        return a_symbol(), ('data',), ('softmax_label',)

    module = mx.mod.BucketingModule(symbol_of, 4)
    module.bind(DATA, LABEL)
    module.init_params()
    module.save_checkpoint(prefix, 1)
    other = mx.mod.BucketingModule.load(prefix, 1, symbol_of, 4)
    other.bind(DATA, LABEL)
    expected = module.get_params()[0]['fc_weight'].asnumpy()
    np.testing.assert_array_equal(other.get_params()[0]['fc_weight'].asnumpy(), expected)


def test_files_of_samples(tmp_path):
    """Wrapping as MXNet 1.9.1 does it: the next epoch begins behind the samples that filled the last batch."""
    np.savetxt(tmp_path / 'x.csv', np.arange(7), '%d')
    for options, expected in [
        ({}, [[0, 1, 2], [3, 4, 5], [6, 0, 1], [2, 3, 4], [5, 6, 0]]),
        ({'round_batch': False}, [[0, 1, 2], [3, 4, 5], [6, 4, 5]] * 2),
    ]:
        data = mx.io.CSVIter(data_csv=tmp_path / 'x.csv', data_shape=(1,), batch_size=3, **options)
        found = []
        for _ in range(2):
            found += [batch.data[0].asnumpy().ravel().tolist() for batch in data]
            data.reset()
        assert found == expected
    (tmp_path / 'x.t').write_text('1 0:0.5 2:1\n-2\n3 1:2\n')
    batch = next(mx.io.LibSVMIter(data_libsvm=tmp_path / 'x.t', data_shape=(3,), batch_size=2))
    assert batch.data[0].asnumpy().tolist() == [[0.5, 0, 1], [0, 0, 0]]
    assert batch.label[0].asnumpy().tolist() == [1, -2]
    (tmp_path / 'i').write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 64, 128, 192, 1, 2]))
    (tmp_path / 'l').write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7]))
    (batch,) = mx.io.MNISTIter(tmp_path / 'i', tmp_path / 'l', 2, shuffle=False, flat=True)
    assert batch.data[0].asnumpy().tolist() == [[0, 0.25], [0.5, 0.75]]
    assert batch.label[0].asnumpy().tolist() == [5, 6]
    for call in (
        lambda: mx.io.CSVIter(tmp_path / 'x.t', (3,), 1),
        lambda: mx.io.CSVIter(tmp_path / 'x.csv', (3,), 1),
        lambda: mx.io.CSVIter(tmp_path / 'none', (3,), 1),
        lambda: mx.io.LibSVMIter(tmp_path / 'x.t', (1,), 1),
        lambda: mx.io.MNISTIter(tmp_path / 'l', tmp_path / 'l'),
    ):
        with pytest.raises(FileError):
            call()


@pytest.mark.parametrize(
    ('call', 'error', 'message'),
    [
        (lambda: mx.mod.Module(a_symbol(), ['x']), ArgumentError, "no variable 'x'"),
        (lambda: mx.mod.Module(a_symbol()).init_params(), GluonError, 'not bound'),
        (lambda: mx.mod.Module(a_symbol()).bind([('x', (1, 2))]), ArgumentError, 'other names'),
        (lambda: mx.mod.Module(a_symbol()).fit(mx.io.NDArrayIter(np.ones(2))), ArgumentError, 'num_epoch'),
        (lambda: a_module().update(), GluonError, 'no optimizer'),
        (lambda: a_module().forward(mx.io.DataBatch([])), ArgumentError, 'one array'),
        (lambda: a_module().get_input_grads(), ArgumentError, 'inputs_need_grad'),
        (lambda: a_module().set_states(value=None), ArgumentError, 'states or a value'),
        (lambda: mx.mod.BucketingModule(a_symbol), ArgumentError, 'default_bucket_key'),
        (lambda: mx.kv.create('dist_sync'), ArgumentError, 'jax.distributed'),
        (lambda: mx.kv.create('none'), ArgumentError, 'no kvstore'),
        (lambda: mx.kv.create().pull('a', out=mx.nd.ones(1)), ArgumentError, 'no array'),
        (lambda: mx.io.NDArrayIter(np.ones(3), np.ones(2)), DataError, 'as many samples'),
        (lambda: mx.io.NDArrayIter([]), ArgumentError, 'must be an array'),
        (lambda: mx.io.NDArrayIter(np.ones(3), last_batch_handle='keep'), ArgumentError, 'last_batch_handle'),
        (lambda: mx.io.DataBatch(mx.nd.ones(2)), ArgumentError, 'must be a list'),
        (lambda: mx.viz.print_summary(3), ArgumentError, 'takes a Symbol'),
        (lambda: mx.image.imread('none.png'), FileError, 'no file'),
        (lambda: mx.image.imdecode('text'), ArgumentError, 'bytes'),
        (lambda: mx.image.imdecode(b'text'), FileError, 'cannot be decoded'),
        (lambda: mx.image.imresize(np.ones((2, 2)), 2, 2), ShapeError, 'height, width, channels'),
        (lambda: mx.image.copyMakeBorder(np.ones((2, 2, 3)), 1, 1, 1, 1, 7), ArgumentError, 'type'),
        (lambda: mx.image.CreateAugmenter((3, 2, 2), rand_resize=True), ArgumentError, 'rand_crop'),
        (lambda: mx.image.ImageIter(2, (1, 2, 2)), ArgumentError, 'data_shape'),
        (lambda: mx.image.ImageIter(2, (3, 2, 2)), ArgumentError, 'imglist'),
        (lambda: mx.io.ImageRecordIter('none.rec', (3, 2, 2), 1, max_rotate_angle=9), ArgumentError, 'rotate_angle'),
        (lambda: mx.io.ImageRecordIter('none.rec', (3, 2, 2), 1), FileError, 'cannot be opened'),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_tables_count_as_mxnets(capsys):
    net = mx.sym.Convolution(mx.sym.var('data'), kernel=(3, 3), num_filter=4, name='c1')
    net = mx.sym.BatchNorm(net, name='bn')
    net = mx.sym.Convolution(net, kernel=(1, 1), num_filter=4, num_group=2, no_bias=True, name='c2')
    mx.viz.print_summary(mx.sym.FullyConnected(net, num_hidden=10, name='f'), {'data': (1, 3, 8, 8)})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows if row[2:] and row[2].isdigit() and row[0] != 'Total'] == [
        ['data(null)', '3x8x8', '0'], ['c1(Convolution)', '4x6x6', '112'], ['bn(BatchNorm)', '4x6x6', '8'],
        ['c2(Convolution)', '4x6x6', '8'], ['f(FullyConnected)', '10', '50'],
    ]  # fmt: skip
    assert ['Total', 'params:', '178'] in rows


def test_descriptions_are_pickled_whole():
    desc = pickle.loads(pickle.dumps(mx.io.DataDesc('x', (1, 2), np.int32, 'NT')))
    assert str(desc) == "DataDesc[x,(1, 2),<class 'numpy.int32'>,NT]"


def test_images_of_a_list(tmp_path):
    for i in range(3):
        (tmp_path / f'{i}.png').write_bytes(cases.png(np.full((2, 2, 3), i, 'uint8')))
    (tmp_path / 'list').write_text(''.join(f'{i}\t{i}\t{i + 1}\t{i}.png\n' for i in range(3)))
    given = [[i, f'{i}.png'] for i in range(3)]
    data = mx.image.ImageIter(2, (3, 2, 2), imglist=given, path_root=tmp_path, last_batch_handle='discard')
    (batch,) = data
    assert batch.data[0].asnumpy()[:, 0, 0, 0].tolist() == batch.label[0].asnumpy().tolist() == [0, 1]
    data = mx.image.ImageIter(2, (3, 2, 2), 2, path_imglist=tmp_path / 'list', path_root=tmp_path)
    assert [batch.label[0].asnumpy().tolist() for batch in data] == [[[0, 1], [1, 2]], [[2, 3], [0, 1]]]
    assert mx.image.imread(tmp_path / '2.png').asnumpy().tolist() == [[[2] * 3] * 2] * 2


def test_factors_of_rates_and_decays_are_those_that_graphs_declare():
    bias = mx.sym.var('one_bias', lr_mult=1.0)
    one = mx.sym.FullyConnected(mx.sym.var('data'), bias=bias, num_hidden=2, name='one', lr_mult=0)
    module = mx.mod.Module(mx.sym.FullyConnected(one, num_hidden=2, name='two', wd_mult=0.5), label_names=None)
    module.bind([('data', (1, 2))])
    module.init_params()
    assert module._optimizer is None
    module.init_optimizer(optimizer_params={'learning_rate': 1.0})
    assert module._optimizer.lr_mult == {'one_weight': 0, 'one_bias': 1}
    assert module._optimizer.wd_mult == {'one_bias': 0, 'two_weight': 0.5, 'two_bias': 0.5}
    assert (sorted(module._arg_params)[0], module._aux_params) == ('one_bias', {})


def test_parameters_are_drawn_by_the_ends_of_their_names():
    net = mx.sym.BatchNorm(
        mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc'), fix_gamma=False, name='bn'
    )
    own = mx.sym.var('own_weight', shape=(4, 2), init=mx.init.Constant(3))
    module = mx.mod.Module(mx.sym.broadcast_add(net, own), label_names=None)
    module.bind(DATA)
    for initializer in ('ones', gluonjax.init.One(), mx.init.One()):
        module.init_params(initializer, force_init=True)
        assert module.get_params()[0]['fc_weight'].asnumpy().tolist() == [[1] * 3] * 2
    arguments, states = module.get_params()
    found = {name: array.asnumpy().ravel()[0] for name, array in {**arguments, **states}.items()}
    assert found == {
        'fc_weight': 1, 'fc_bias': 0, 'bn_gamma': 1, 'bn_beta': 0, 'own_weight': 3, 'bn_moving_mean': 0,
        'bn_moving_var': 1,
    }  # fmt: skip


def test_what_is_random_is_drawn_anew_in_each_pass():
    module = mx.mod.Module(mx.sym.Dropout(mx.sym.var('data'), p=0.5), label_names=None)
    module.bind([('data', (4, 50))])
    module.init_params()
    found = []
    for training in (False, True, True, True, False):
        module.forward(mx.io.DataBatch([mx.nd.ones((4, 50))]), is_train=training)
        found.append(module.get_outputs()[0].asnumpy())
    assert len({array.tobytes() for array in found[1:4]}) == 3
    assert (found[0] == 1).all()
    assert (found[4] == 1).all()


def test_a_store_gathers_from_devices_and_leaves_arrays_where_they_are():
    store, devices = mx.kv.create('device'), [mx.cpu(i) for i in range(3)]
    store.init([1, 2], [mx.nd.zeros(2)] * 2)
    values = [mx.nd.ones(2, device) for device in devices]
    store.pushpull(1, values)
    assert [(v.asnumpy().tolist(), v.context) for v in values] == [([3, 3], device) for device in devices]

    def add(key, received, local):
        local += received

    store._set_updater(add)
    for _ in range(2):
        store.push([1, 2], [values, values[0]])
    store.pull([1, 2], out=[values[:2], values[2]])
    assert [v.asnumpy()[0] for v in values] == [21, 21, 6]
    rows = mx.nd.array([1], dtype='int64')
    store.row_sparse_pull([1, 2], out=[values[:2], values[2]], row_ids=[[rows] * 2, rows])
    assert [v.asnumpy().tolist() for v in values] == [[0, 21], [0, 21], [0, 6]]


class Drawing:
    """As much of graphviz.Digraph as is needed."""

    def __init__(self, name, format):
        self.nodes, self.edges = {}, []

    def node(self, name, label=None, **attributes):
        self.nodes[name] = label

    def edge(self, tail_name, head_name, label, **attributes):
        self.edges.append((tail_name, head_name, label))


def test_a_drawing_shows_nodes_and_shapes(monkeypatch):
    monkeypatch.setitem(sys.modules, 'graphviz', types.SimpleNamespace(Digraph=Drawing))
    drawing = mx.viz.plot_network(a_symbol(), shape={'data': (4, 3)})
    assert drawing.nodes == {
        'data': 'data', 'fc': 'FullyConnected\n2', 'softmax_label': 'softmax_label', 'softmax': 'softmax',
    }  # fmt: skip
    assert drawing.edges == [('fc', 'data', '3'), ('softmax', 'fc', '2'), ('softmax', 'softmax_label', '')]
    assert 'fc_weight' in mx.viz.plot_network(a_symbol(), hide_weights=False).nodes
    monkeypatch.setitem(sys.modules, 'graphviz', None)
    with pytest.raises(MissingExtraError, match='graphviz'):
        mx.viz.plot_network(a_symbol())


def test_modules_in_a_row_are_one_network():
    x, y = np.random.RandomState(0).randn(12, 4).astype('float32'), np.arange(12) % 3
    data = mx.sym.var('data')
    hidden = mx.sym.FullyConnected(data, num_hidden=5, name='a')
    scores = mx.sym.FullyConnected(data, num_hidden=3, name='b')

    def gradient(scores, labels):
        return mx.nd.softmax(scores) - mx.nd.one_hot(labels, 3)

    row = mx.mod.SequentialModule()
    row.add(mx.mod.Module(hidden, label_names=None))
    row.add(mx.mod.Module(scores, label_names=None), auto_wiring=True)
    row.add(mx.mod.PythonLossModule(grad_func=gradient), take_labels=True, auto_wiring=True)
    inside = mx.sym.FullyConnected(hidden, num_hidden=3, name='b')
    whole = mx.mod.Module(mx.sym.SoftmaxOutput(inside, name='softmax'))
    found = []
    for module in (row, whole):
        batches = mx.io.NDArrayIter(x, y, batch_size=4)
        mx.random.seed(0)
        module.fit(batches, num_epoch=2, initializer=mx.init.Constant(0.1), optimizer_params={'learning_rate': 0.5})
        found.append({name: array.asnumpy() for name, array in module.get_params()[0].items()})
    assert set(found[0]) == set(found[1])
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], rtol=1e-5, atol=1e-6)
    assert row.output_shapes == [('pyloss_output', (4, 3))]
    twice = mx.mod.SequentialModule()
    twice.add(mx.mod.Module(hidden, label_names=None))
    twice.add(mx.mod.Module(hidden, label_names=None), auto_wiring=True)
    twice.bind([('data', (4, 4))])
    with pytest.raises(ParamsError, match='one name'):
        twice.init_params()
    with pytest.raises(ArgumentError, match='no such option'):
        twice.add(whole, take_label=True)
