"""Blocks of gluon: what compiled calls read and set, hooks, files, graphs."""

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, FileError, FrozenError, GluonError, ParamsError
from gluonjax.mx import autograd, gluon, nd


class Scaled(gluon.HybridBlock):
    def __init__(self, outer):
        super().__init__()
        self.dense = gluon.nn.Dense(2, in_units=2, use_bias=False)
        self.scale, self.outer = nd.ones((1,)), outer

    def hybrid_forward(self, F, x):
        self.hidden = self.dense(x)
        self.kept = [self.hidden * 3]
        return self.hidden * self.scale * self.outer[0]


def test_a_compiled_call_sees_arrays_that_change_and_sets_attributes():
    factor = nd.array([2.0])
    net, x = Scaled([factor]), nd.ones((1, 2))
    net.initialize('ones')
    net.hybridize()
    assert net(x).asnumpy().tolist() == [[4, 4]]
    assert net.kept[0].asnumpy().tolist() == [[6, 6]]
    net.scale[:] = 5
    factor[:] = 1
    assert net(2 * x).asnumpy().tolist() == [[20, 20]]
    assert net.hidden.asnumpy().tolist() == [[4, 4]]
    factor.attach_grad()
    with autograd.record():
        y = net(x)
    y.backward()
    assert factor.grad.asnumpy().tolist() == [20]
    assert net.dense.weight.grad().asnumpy().tolist() == [[5, 5], [5, 5]]


class Counting(gluon.HybridBlock):
    def __init__(self):
        super().__init__()
        self.sum = nd.zeros((2,))

    def hybrid_forward(self, F, x):
        self.sum = self.sum + x
        return self.sum * 2


def test_a_compiled_call_goes_on_from_the_arrays_that_it_set():
    net, one = Counting(), nd.ones((2,))
    net.hybridize()
    assert [net(one).asnumpy()[0] for _ in range(4)] == [2, 4, 6, 8]
    net.sum = nd.array([10, 10])
    assert net(one).asnumpy()[0] == 22
    assert net.sum.asnumpy()[0] == 11


def test_a_compiled_call_sees_parameters_that_are_initialized_again():
    net, one = Scaled([nd.ones((1,))]), nd.ones((1, 2))
    net.initialize(mx.init.One())
    net.hybridize()
    assert net(one).asnumpy()[0, 0] == 2
    net.initialize(mx.init.Constant(3), force_reinit=True)
    assert net(one).asnumpy()[0, 0] == 6
    net.collect_params().reset_ctx(mx.cpu())
    net.dense.weight.set_data(nd.ones((2, 2)) * 5)
    assert net(one).asnumpy()[0, 0] == 10


def test_what_always_drops_out_draws_anew_when_compiled():
    class Drops(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return F.Dropout(x, p=0.5, mode='always')

    net, x = Drops(), nd.ones((64,))
    net.hybridize()
    assert net(x).asnumpy().tolist() != net(x).asnumpy().tolist()


def test_hooks_are_taken_away():
    net, seen = gluon.nn.Dense(1, prefix='d_'), []
    net.initialize()
    handle = net.register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    net.register_op_hook(lambda name, kind, array: seen.append(name))
    with net.register_forward_pre_hook(lambda block, inputs: seen.append('before')):
        net(nd.ones((1, 2)))
    handle.detach()
    net(nd.ones((1, 2)))
    assert seen == ['before', (1, 1), 'd_fwd_output', 'd_fwd_output']


def test_half_precision_leaves_the_parameters_of_batchnorm_in_float32():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(2, in_units=2), gluon.nn.BatchNorm(in_channels=2))
    net.initialize()
    net.cast('float16')
    dtypes = [np.dtype(parameter.dtype).name for parameter in net.collect_params().values()]
    assert dtypes == ['float16'] * 2 + ['float32'] * 4
    assert net(mx.nd.ones((1, 2), dtype='float16')).dtype == np.float16


def test_files_of_other_dtypes_and_old_names(tmp_path):
    net, path = gluon.nn.Dense(1, in_units=2, prefix='d_'), tmp_path / 'net.params'
    net.initialize('ones')
    net.save_params(path)
    assert set(nd.load(path)) == {'weight', 'bias'}
    other = gluon.nn.Dense(1, in_units=2, prefix='other_')
    other.load_params(path)
    assert other(nd.ones((1, 2))).asnumpy().tolist() == [[2]]
    net.cast('float16')
    net.save_parameters(path)
    other.load_parameters(path, cast_dtype=True, dtype_source='saved')
    assert other.weight.dtype == np.float16
    with pytest.raises(ArgumentError, match="'current' or 'saved'"):
        other.load_parameters(path, dtype_source='file')


def test_an_attribute_stays_what_it_is():
    net = Scaled([nd.ones(1)])
    with pytest.raises(FrozenError, match=r'Scaled\.dense is a Dense'):
        net.dense = 1


def test_graphs_are_blocks_on_the_tape(tmp_path):
    x = mx.sym.var('data')
    graph = mx.sym.FullyConnected(x, num_hidden=2, no_bias=True, name='fc')
    net, data = gluon.SymbolBlock(graph, x), nd.array([[1, 2]])
    net.initialize('ones')
    with autograd.record():
        y = net(data)
    y.backward()
    assert y.asnumpy().tolist() == [[3, 3]]
    weight = net.collect_params()['fc_weight']
    assert weight.grad().asnumpy().tolist() == [[1, 2], [1, 2]]
    shared = gluon.SymbolBlock(graph * 2, x, params=net.collect_params())
    assert shared(data).asnumpy().tolist() == [[6, 6]]
    graph.save(str(tmp_path / 'net-symbol.json'))
    nd.save(tmp_path / 'net.params', {'arg:fc_weight': nd.zeros((2, 2))})
    read = gluon.SymbolBlock.imports(tmp_path / 'net-symbol.json', 'data', tmp_path / 'net.params')
    assert read(data).asnumpy().tolist() == [[0, 0]]
    nd.save(tmp_path / 'net.params', {'arg:other': nd.zeros((2, 2))})
    with pytest.raises(ParamsError, match='missing: fc_weight'):
        gluon.SymbolBlock.imports(tmp_path / 'net-symbol.json', ['data'], tmp_path / 'net.params')


def test_a_summary_counts_parameters(capsys):
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(3, in_units=2), gluon.nn.BatchNorm(in_channels=3))
    net.initialize()
    net.summary(nd.ones((4, 2)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split() == ['Dense-1', '(4,', '3)', '9']
    assert [line for line in lines if 'params' in line] == [
        'Total params: 21',
        'Trainable params: 15',
        'Non-trainable params: 6',
    ]
    net.hybridize()
    with pytest.raises(ArgumentError, match='not hybridized'):
        net.summary(nd.ones((4, 2)))


def test_utilities(tmp_path):
    parts = gluon.utils.split_data(nd.arange(5), 2, even_split=False)
    assert [part.shape for part in parts] == [(3,), (2,)]
    (tmp_path / 'data').write_bytes(b'1')
    digest = '356a192b7913b04c54574d18c28d46e6395428ab'
    assert gluon.utils.download('https://host/data', str(tmp_path), sha1_hash=digest) == str(tmp_path / 'data')
    assert not gluon.utils.check_sha1(tmp_path / 'data', 'other')
    with pytest.raises(FileError, match='nothing is downloaded'):
        gluon.utils.download('https://host/other', str(tmp_path))
    weight = gluon.Parameter('w', shape=(2,), stype='row_sparse')
    weight.initialize('ones')
    with pytest.raises(GluonError, match='no Trainer'):
        weight.list_row_sparse_data(nd.arange(1))
    gluon.Trainer([weight], 'sgd')
    assert weight.list_row_sparse_data(nd.arange(1))[0].asnumpy().tolist() == [1, 0]
    params = gluon.ParameterDict()
    params.update({'w': weight})
    assert params.list_ctx() == [mx.cpu(0)]


def test_a_loss_of_ones_own():
    class Distance(gluon.loss.Loss):
        def hybrid_forward(self, F, pred, label, sample_weight=None):
            distance = F.abs(pred - gluon.loss._reshape_like(F, label, pred))
            distance = gluon.loss._apply_weighting(F, distance, self._weight, sample_weight)
            return F.mean(distance, axis=self._batch_axis, exclude=True)

    loss = Distance(weight=2)
    assert repr(loss) == 'Distance(batch_axis=0, w=2)'
    values = loss(nd.array([[1, 2], [3, 5]]), nd.zeros((4,)), nd.array([[1], [0.5]]))
    assert values.asnumpy().tolist() == [3, 4]


PRINTED = {
    'nn.Dense(3)': 'Dense(None -> 3, linear)',
    "nn.Dense(3, in_units=4, activation='relu')": 'Dense(4 -> 3, Activation(relu))',
    'nn.Conv1D(3, 3, dilation=2)': 'Conv1D(None -> 3, kernel_size=(3,), stride=(1,), dilation=(2,))',
    'nn.Conv2D(4, 3, 1, 1, groups=2, in_channels=2, use_bias=False)': 'Conv2D(1 -> 4, kernel_size=(3, 3), '
    'stride=(1, 1), padding=(1, 1), groups=2, bias=False)',
    'nn.AvgPool2D(3, 2, 1)': 'AvgPool2D(size=(3, 3), stride=(2, 2), padding=(1, 1), ceil_mode=False, '
    'global_pool=False, pool_type=avg, layout=NCHW)',
    'nn.GlobalMaxPool1D()': 'GlobalMaxPool1D(size=(1,), stride=(1,), padding=(0,), ceil_mode=True, '
    'global_pool=True, pool_type=max, layout=NCW)',
    'nn.BatchNorm(scale=False)': 'BatchNorm(axis=1, eps=1e-05, momentum=0.9, fix_gamma=True, '
    'use_global_stats=False, in_channels=None)',
    'nn.LayerNorm()': 'LayerNorm(eps=1e-05, axis=-1, center=True, scale=True, in_channels=0)',
    'nn.GroupNorm(2)': 'GroupNorm(eps=1e-05, num_groups=2, center=True, scale=True)',
    'nn.Embedding(4, 5)': 'Embedding(4 -> 5, float32)',
    'nn.Dropout(0.5)': 'Dropout(p = 0.5, axes=())',
    "nn.Activation('tanh')": 'Activation(tanh)',
    'nn.HybridLambda("relu")': 'HybridLambda(relu)',
    'rnn.GRU(5, 2, input_size=3, bidirectional=True)': 'GRU(3 -> 5, TNC, num_layers=2, bidirectional)',
    'nn.Sequential()': 'Sequential(\n\n)',
}


@pytest.mark.parametrize('made', PRINTED)
def test_layers_print_as_in_mxnet(made):
    assert repr(eval(made, {'nn': gluon.nn, 'rnn': gluon.rnn})) == PRINTED[made]


def test_attributes_that_programs_read():
    dense, conv = gluon.nn.Dense(3, activation='relu'), gluon.nn.Conv2DTranspose(3, 2, in_channels=4)
    assert (dense._units, dense._in_units, dense._flatten, conv._channels, conv._in_channels) == (3, 0, True, 3, 4)
    assert dense.act(nd.array([-1, 2])).asnumpy().tolist() == [0, 2]
    assert conv.act is None
    assert conv._kwargs['kernel'] == (2, 2)
    lstm = gluon.rnn.LSTM(5, 2)
    assert (lstm._hidden_size, lstm._num_layers, lstm._dir, lstm._gates, lstm._mode) == (5, 2, 1, 4, 'lstm')
    with pytest.raises(AttributeError, match='_nothing'):
        dense._nothing  # noqa: B018


def test_a_block_that_cannot_be_compiled_is_no_child_of_one_that_can():
    net = gluon.nn.HybridSequential()
    with pytest.raises(ValueError, match='must be a HybridBlock'):
        net.add(gluon.nn.Sequential())
    assert len(net) == 0


def test_a_shared_parameter_is_written_once_on_request(tmp_path):
    nets = [gluon.nn.HybridSequential() for _ in range(2)]
    for net in nets:
        first = gluon.nn.Dense(2, in_units=2, use_bias=False)
        net.add(first, gluon.nn.Dense(2, in_units=2, use_bias=False, params=first.params))
        net.initialize()
    nets[0].save_parameters(str(tmp_path / 'net'), deduplicate=True)
    assert list(nd.load(str(tmp_path / 'net'))) == ['1.weight']
    nets[1].load_parameters(str(tmp_path / 'net'))
    assert (nets[1][0].weight.data() == nets[0][0].weight.data()).asnumpy().all()


def test_what_parameters_and_layers_refuse():
    with pytest.raises(ArgumentError, match="'add' or 'null'"):
        gluon.Parameter('w', shape=(2,), grad_req='sum')
    dense = gluon.nn.Dense(2, in_units=2)
    dense.initialize()
    with pytest.raises(ArgumentError, match='takes NDArrays'):
        dense(np.ones((1, 2)))
    with pytest.raises(ArgumentError, match='grad_req'):
        dense.weight.grad_req = 'sum'
    assert dense.weight.grad_req == 'write'


def test_blocks_of_the_zoo_are_named_as_mxnets(tmp_path):
    zoo = gluon.model_zoo.vision
    net = zoo.ResNetV1(zoo.BasicBlockV1, [1, 1], [4, 4, 8], classes=3, thumbnail=True, prefix='net_')
    weights = [name.removeprefix('net_') for name in net.collect_params('.*weight')]
    assert weights == [
        *('conv0_weight', 'stage1_conv0_weight', 'stage1_conv1_weight'),
        *('stage2_conv0_weight', 'stage2_conv1_weight', 'stage2_conv2_weight', 'dense0_weight'),
    ]
    inner = net(mx.sym.var('data')).get_internals()
    assert {'net_stage1__plus0_output', 'net_stage2_activation0_output'} <= set(inner.list_outputs())
    x = nd.ones((1, 3, 4, 4))
    net.infer_shape(x)
    net.initialize()
    net.hybridize()
    expected = net(x).asnumpy()
    net.export(str(tmp_path / 'net'))
    other = zoo.ResNetV1(zoo.BasicBlockV1, [1, 1], [4, 4, 8], classes=3, thumbnail=True, prefix='net_')
    other.collect_params().load(tmp_path / 'net-0000.params')
    other.hybridize()
    np.testing.assert_allclose(other(x).asnumpy(), expected, rtol=1e-5)
    cut = gluon.SymbolBlock(inner['net_stage1_relu0_fwd_output'], mx.sym.var('data'), params=other.collect_params())
    assert cut(x).shape == (1, 4, 4, 4)
    second = zoo.mobilenet_v2_0_25(prefix='m_').collect_params('.*weight')
    assert list(second)[1] == 'm_features_linearbottleneck0_conv0_weight'
    assert list(second)[-1] == 'm_output_pred_weight'


def test_attributes_of_nodes_in_order():
    assert mx.sym.clip(mx.sym.var('x'), 0, 6).attr('a_max') == '6'
    assert (mx.sym.var('x') + mx.sym.var('y')).name.startswith('_plus')


def test_compiled_blocks_print_their_arrays(capsys):
    class Printing(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            print(x, f'{x}')
            return x * 2

    net, x = Printing(), nd.ones((2, 3))
    net.hybridize()
    assert (net(x).asnumpy() == 2).all()
    assert capsys.readouterr().out == ' '.join(['<NDArray traced: shape (2, 3), float32>'] * 2) + '\n'
    with mx.npx.np_shape(), mx.util.np_array():
        net = Printing()
        net.hybridize()
        assert net(mx.np.ones(())).item() == 2
    assert capsys.readouterr().out == ' '.join(['<ndarray traced: shape (), float32>'] * 2) + '\n'


def test_unknown_sizes_are_minus_one_in_numpys_dialect():
    class Scale(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.weight = self.params.get('weight', shape=(2, 0), allow_deferred_init=True)

        def hybrid_forward(self, F, x, weight):
            return F.FullyConnected(x, weight, num_hidden=2, no_bias=True)

    layer = gluon.nn.Dense(2)
    assert layer.weight.shape == (2, 0)
    assert repr(Scale().weight).endswith("(shape=(2, 0), dtype=<class 'numpy.float32'>)")
    with mx.util.np_shape(True), mx.util.np_array(True):
        assert layer.weight.shape == (2, -1)
        assert '(shape=(2, -1), dtype=float32)' in repr(layer.weight)
        layer.initialize()
        assert layer(mx.np.ones((1, 3))).shape == (1, 2)
        assert layer.weight.shape == (2, 3)
    own = Scale()
    own.initialize()
    with mx.util.np_shape(True):
        assert own(nd.ones((1, 3))).shape == (1, 2)
        assert own.weight.shape == (2, 3)


def test_contexts_that_are_one_device_have_arrays_of_their_own():
    contexts = [mx.cpu(8), mx.cpu(16)]  # of eight devices
    assert mx.cpu(8).device == mx.cpu(16).device
    net = gluon.nn.Dense(1, in_units=2, use_bias=False)
    net.initialize('ones', ctx=contexts)
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 1.0})
    parts = gluon.utils.split_and_load(nd.array([[1, 2], [3, 4], [5, 6], [7, 8]]), contexts)
    assert [part.context for part in parts] == net.weight.list_ctx() == contexts
    outputs = []
    for _ in range(2):  # the second call is compiled
        with autograd.record():
            outputs = [net(part).sum() * 2 for part in parts]
        autograd.backward(outputs)
    assert [output.context for output in outputs] == contexts
    assert [gradient.asnumpy().tolist() for gradient in net.weight.list_grad()] == [[[8, 12]], [[24, 28]]]
    trainer.step(8)
    assert [value.asnumpy().tolist() for value in net.weight.list_data()] == [[[-3, -4]]] * 2
    with contexts[1]:
        made = nd.zeros(2)
    assert (made + 1)[:1].context == made.copy().context == contexts[1]
    assert made.as_in_context(contexts[0]).context == contexts[0] != made.context


def test_what_programs_read_of_a_trainers_kvstore():
    parameters = gluon.ParameterDict()
    parameter = parameters.get('x', shape=(2,))
    parameters.initialize('zeros', ctx=[mx.cpu(0), mx.cpu(1)])
    trainer = gluon.Trainer(parameters, 'sgd', {'learning_rate': 0.5})
    assert trainer._params_to_init
    assert trainer._kvstore is None
    assert parameter._trainer is trainer
    with autograd.record():
        losses = [value * 2 for value in parameter.list_data()]
    autograd.backward(losses)
    trainer.step(1)
    assert trainer._update_on_kvstore
    assert trainer._kvstore.type == 'device'
    assert not trainer._params_to_init
    assert trainer._kvstore._updater.optimizer is trainer.optimizer
    with pytest.raises(AssertionError, match='update_on_kvstore=False'):
        trainer.allreduce_grads()
    with pytest.raises(AssertionError, match='update_on_kvstore=False'):
        trainer.update(1)
    parameter.set_data(nd.ones(2))
    assert trainer._kvstore is None
    assert not trainer._kv_initialized
    alone = gluon.Trainer(parameters, 'sgd', kvstore=None)
    alone.step(1, ignore_stale_grad=True)
    assert alone._kvstore is None
    assert alone._kv_initialized
    assert not alone._update_on_kvstore


def test_a_step_without_kvstore_leaves_the_sums_in_the_gradients():
    parameter = gluon.Parameter('w', shape=(1,))
    parameter.initialize('ones', ctx=[mx.cpu(0), mx.cpu(1)])
    trainer = gluon.Trainer([parameter], 'sgd', {'learning_rate': 1.0}, update_on_kvstore=False)
    with autograd.record():
        losses = [value * factor for value, factor in zip(parameter.list_data(), (2, 3), strict=True)]
    autograd.backward(losses)
    trainer.step(1)
    assert [gradient.asscalar() for gradient in parameter.list_grad()] == [5, 5]
    assert [value.asscalar() for value in parameter.list_data()] == [-4, -4]


def test_shapes_and_dtypes_are_inferred_before_values_are_drawn():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(5), gluon.nn.Dense(3))
    net.infer_shape(nd.zeros((2, 7)))
    assert [layer.weight.shape for layer in net] == [(5, 7), (3, 5)]
    dense = gluon.nn.Dense(4, in_units=2)
    dense.infer_type(nd.zeros((1, 2), dtype='float16'))
    assert dense.weight.dtype == dense.bias.dtype == np.float16
    dense.infer_shape(nd.zeros((1, 2)))
    with pytest.raises(RuntimeError, match='has not been initialized'):
        dense.weight.data()


def test_what_a_compiled_block_refuses():
    class Either(gluon.HybridBlock):
        def hybrid_forward(self, F, a, b=None):
            return a if b is None else a + b

    net = Either()
    net.hybridize()
    x = nd.ones(2)
    assert net(x).asnumpy().tolist() == net(x, None).asnumpy().tolist() == [1, 1]
    with pytest.raises(ValueError, match='compiled for other arguments'):
        net(x, x)
    net.hybridize()
    assert net(x, x).asnumpy().tolist() == [2, 2]
    with pytest.raises(ValueError, match='takes NDArrays'):
        Either()(None, None)
    with pytest.raises(ValueError, match='not both'):
        net(mx.sym.var('a'), x)


def test_programs_are_warned_of_blocks_that_are_lost_or_run_alone():
    net = gluon.nn.Sequential()
    net.add(gluon.nn.Dense(1))
    with pytest.warns(UserWarning, match='HybridSequential makes one program'):
        net.hybridize()
    net.layers = {'a': [gluon.nn.Dense(1)]}
    with pytest.warns(UserWarning, match='layers has blocks that are not registered'):
        net.collect_params()
    net.layers = [net[0]]
    assert len(net.collect_params()) == 2
    with pytest.warns(UserWarning, match='not finite'):
        gluon.utils.clip_global_norm([nd.array([np.nan])], 1.0)


def test_modules_of_mxnet_that_are_one_here():
    assert mx.nd.ndarray.NDArray is nd.NDArray
    assert gluon.rnn.rnn_cell.LSTMCell is gluon.rnn.LSTMCell
    assert gluon.nn.basic_layers.Dense is gluon.nn.Dense
    assert gluon.nn.SymbolBlock is gluon.SymbolBlock
    with mx.np_shape(True):
        assert mx.is_np_shape()


def test_arrays_in_several_contexts_are_moved_set_and_kept_together(tmp_path):
    parameters = gluon.ParameterDict()
    parameter = parameters.get('w', shape=(2,))
    parameters.initialize('ones', ctx=[mx.cpu(0), mx.cpu(1)])
    assert parameter.list_ctx() == [mx.cpu(0), mx.cpu(1)]
    parameter.data(mx.cpu(1))[:] = 3
    parameters.save(tmp_path / 'w.params')
    assert nd.load(tmp_path / 'w.params')['w'].asnumpy().tolist() == [2, 2]  # the mean
    with pytest.raises(RuntimeError, match=r'not initialized in cpu\(2\)'):
        parameter.data(mx.cpu(2))
    parameter.set_data(nd.array([4, 5]))
    assert [array.asnumpy().tolist() for array in parameter.list_data()] == [[4, 5], [4, 5]]
    parameter.reset_ctx(mx.cpu(2))
    assert (parameter.list_ctx(), parameter.data().context) == ([mx.cpu(2)], mx.cpu(2))
    with pytest.raises(RuntimeError, match=r'not initialized in cpu\(1\)'):
        parameter.grad(mx.cpu(1))


def test_a_compiled_network_follows_its_parameters_to_another_device():
    net = gluon.nn.HybridSequential()
    net.add(gluon.nn.Dense(1, in_units=2, use_bias=False))
    net.initialize('ones')
    net.hybridize()
    assert net(nd.ones((1, 2))).asscalar() == 2
    net.collect_params().reset_ctx(mx.cpu(1))
    net[0].weight.set_data(nd.array([[3, 4]]))
    output = net(nd.ones((1, 2), ctx=mx.cpu(1)))
    assert (output.asscalar(), output.context) == (7, mx.cpu(1))
    with autograd.record():
        output = net(nd.ones((1, 2), ctx=mx.cpu(1)))
    output.backward()
    assert net[0].weight.grad(mx.cpu(1)).asnumpy().tolist() == [[1, 1]]


def test_gradients_are_fresh_until_a_trainer_uses_them():
    p = gluon.Parameter('p', shape=(2,))
    p.initialize('ones')
    first, second = gluon.Trainer([p], 'sgd'), gluon.Trainer([p], 'sgd')
    assert not p.data()._fresh_grad
    with autograd.record():
        y = p.data() * 2
    y.backward()
    assert p.data()._fresh_grad
    first.step(1)
    with pytest.raises(UserWarning, match='nothing has written the gradient of p'):
        second.step(1)
    p.data()._fresh_grad = True
    second.step(1)
    assert not p.data()._fresh_grad
    assert p.grad().data.asnumpy().tolist() == [2, 2]


def test_numbers_of_a_block_that_is_compiled_are_refused():
    class Branching(gluon.HybridBlock):
        def hybrid_forward(self, F, x):
            return x if x.sum().asscalar() > 0 else -x

    net, x = Branching(), nd.array([-1])
    assert net(x).asscalar() == 1
    net.hybridize()
    with pytest.raises(RuntimeError, match=r'while a block is compiled[\s\S]*hybridize\(False\)'):
        net(x)
    assert nd.broadcast_maximum(x, nd.array([2]), axis=1).asscalar() == 2


def test_a_dict_refuses_what_its_parameters_are_not():
    parameters = gluon.ParameterDict('a_')
    w = parameters.get('w', shape=(2, 0), allow_deferred_init=True)
    assert parameters.get('w', shape=(2, 3), dtype='float32') is w
    assert w.shape == (2, 3)
    constant = parameters.get_constant('c', [[1.0, 2.0]])
    assert parameters.get_constant('of_numpy', np.array([1, 2])).dtype == np.float32  # as nd.array makes it
    assert parameters.get_constant('of_mxnet', nd.ones((2,), dtype='int32')).dtype == np.int32
    assert parameters.get_constant('c', [[1.0, 2.0]]) is parameters.get_constant('c') is constant
    for wrong in (
        lambda: parameters.get('w', shape=(3, 3)),
        lambda: parameters.get('w', dtype='float16'),
        lambda: parameters.get_constant('c', [[1.0, 3.0]]),
        lambda: parameters.get_constant('w', 1.0),
        lambda: gluon.nn.Lambda('nothing_of_this_name'),
        lambda: gluon.loss._apply_weighting(nd, nd.ones(1), 'heavy'),
    ):
        with pytest.raises(AssertionError):
            wrong()
    with pytest.raises(KeyError):
        parameters.get_constant('other')
    with pytest.raises(ValueError, match='takes a function'):
        gluon.nn.HybridLambda(3)


def test_a_product_decides_the_shape_of_its_second_factor():
    class Linear(gluon.HybridBlock):
        def __init__(self):
            super().__init__()
            self.w = self.params.get('w', shape=(0, 2), allow_deferred_init=True)

        def hybrid_forward(self, F, x, w):
            return F.dot(x, w)

    net = Linear()
    net.initialize('ones')
    assert net(nd.ones((1, 3))).asnumpy().tolist() == [[3, 3]]


def test_hooks_of_operators_name_nodes_and_their_inputs():
    net = gluon.nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(gluon.nn.Dense(2, in_units=3), gluon.nn.Activation('relu'))
    net.initialize()
    seen = []
    net.register_op_hook(lambda name, kind, array: seen.append((name, kind, array.shape)), monitor_all=True)
    net(nd.ones((1, 3)))
    assert seen == [
        ('net_dense0_fwd_data', 'FullyConnected', (1, 3)),
        ('net_dense0_fwd_weight', 'FullyConnected', (2, 3)),
        ('net_dense0_fwd_bias', 'FullyConnected', (2,)),
        ('net_dense0_fwd_output', 'FullyConnected', (1, 2)),
        ('net_relu0_fwd_input0', 'Activation', (1, 2)),
        ('net_relu0_fwd_output', 'Activation', (1, 2)),
    ]


class Doubled(gluon.nn.Dense):
    def hybrid_forward(self, F, x, weight, bias=None):
        return super().hybrid_forward(F, x, 2 * weight, bias) + 1


class OwnDense(gluon.nn.Dense):
    def hybrid_forward(self, F, x, weight, bias):
        return F.FullyConnected(x, weight, bias, num_hidden=self._units) * 2


class Shifted(gluon.nn.BatchNorm):
    def hybrid_forward(self, F, x, gamma, beta, running_mean, running_var):
        return super().hybrid_forward(F, x, gamma, beta, running_mean, running_var) + 1


@pytest.mark.parametrize('hybrid', [False, True])
def test_subclasses_of_layers_compute_what_their_hybrid_forward_says(hybrid):
    x = np.array([[1, -2, 3], [0, 1, -1]], 'float32')
    net = gluon.nn.HybridSequential()
    net.add(Doubled(2), Shifted(epsilon=0), OwnDense(1))
    net.initialize()
    net(nd.array(x))  # infers the shapes
    net[0].weight.set_data(nd.array([[1, 0, 1], [0, 2, 0]]))
    net[0].bias.set_data(nd.array([1, 0]))
    net[2].weight.set_data(nd.array([[1, 3]]))
    net.hybridize(hybrid)
    with autograd.record():
        y = net(nd.array(x))
    y.backward()
    inner = 2 * x @ np.array([[1, 0], [0, 2], [1, 0]]) + [1, 0] + 1
    normalized = (inner - inner.mean(0)) / inner.std(0) + 1
    np.testing.assert_allclose(y.asnumpy()[:, 0], 2 * normalized @ [1, 3], rtol=1e-5)
    np.testing.assert_allclose(net[2].weight.grad().asnumpy()[0], 2 * normalized.sum(0), rtol=1e-5)
    np.testing.assert_allclose(net[1].running_mean.data().asnumpy(), 0.1 * inner.mean(0), rtol=1e-5)


def test_subclasses_of_cells_have_hybrid_forwards_and_are_named_as_the_cell():
    class Scaled(gluon.rnn.LSTMCell):
        def hybrid_forward(self, F, inputs, states, i2h_weight, h2h_weight, i2h_bias, h2h_bias):
            h, states = super().hybrid_forward(F, inputs, states, i2h_weight, h2h_weight, i2h_bias, h2h_bias)
            return 2 * h, states

    class Mine(gluon.rnn.LSTM):
        pass

    cell, plain = Scaled(2, input_size=3, prefix='a_'), gluon.rnn.LSTMCell(2, input_size=3, prefix='a_')
    for made in (cell, plain):
        made.initialize('ones')
    x = nd.array([[0.1, -0.2, 0.3]])
    h, _ = cell(x, cell.begin_state(1))
    np.testing.assert_allclose(h.asnumpy(), 2 * plain(x, plain.begin_state(1))[0].asnumpy(), rtol=1e-6)
    assert (Scaled(2).name.rstrip('0123456789'), Mine(2).name.rstrip('0123456789')) == ('lstm', 'mine')
    assert gluon.contrib.rnn.Conv1DGRUCell((1, 4), 2, 3, 3).name.startswith('conv_gru')


def test_settings_of_a_layer_that_programs_change_take_effect():
    norm, dropout, conv = gluon.nn.BatchNorm(), gluon.nn.Dropout(0.9), gluon.nn.Conv2D(1, 1, use_bias=False)
    for block in (norm, conv):
        block.initialize('ones')
    x = nd.array(np.arange(8).reshape(1, 1, 2, 4))
    norm(x)
    assert conv(x).shape == (1, 1, 2, 4)
    norm._kwargs['use_global_stats'] = True
    conv._kwargs['stride'] = (1, 2)
    conv._kwargs['cudnn_off'] = True
    dropout._rate = 0
    with autograd.record():
        np.testing.assert_allclose(dropout(norm(x)).asnumpy(), x.asnumpy() / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert conv(x).shape == (1, 1, 2, 2)
    with pytest.raises(ArgumentError, match='num_filter'):
        conv._kwargs['num_filter'] = 3
