"""Symbols against MXNet: what graphs list, the shapes they infer, and what executors compute."""

import copy
import json
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
import gluonjax.mx as mx
from gluonjax import nn
from gluonjax.errors import ArgumentError, ParamsError, ShapeError
from gluonjax.io import mxnet_params
from gluonjax.mx import gluon, nd, sym

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
GRAPHS = json.loads((GOLDEN / 'graphs.json').read_text())


@pytest.fixture(scope='module')
def arrays():
    return dict(np.load(GOLDEN / 'graphs.npz'))


def chosen(arrays, name, kind):
    prefix = f'{name} {kind} '
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def graph(name):
    return mx.sym.load_json(json.dumps(GRAPHS[name]['json']))


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs, 2e-5, 2e-5)


@pytest.mark.parametrize('name', GRAPHS)
def test_lists_are_mxnets(name):
    symbol, golden = graph(name), GRAPHS[name]
    assert symbol.list_arguments() == golden['arguments']
    assert symbol.list_outputs() == golden['outputs']
    assert symbol.list_auxiliary_states() == golden['auxiliary']
    assert mx.sym.load_json(symbol.tojson()).list_inputs() == symbol.list_inputs()
    assert json.loads(symbol.tojson())['nodes'] == golden['json']['nodes']


@pytest.mark.parametrize('name', GRAPHS)
def test_shapes_are_mxnets(name):
    shapes = GRAPHS[name]['shapes']
    found = graph(name).infer_shape(**{key: tuple(shape) for key, shape in shapes['given'].items()})
    assert [[list(shape) for shape in group] for group in found] == [
        shapes['arguments'],
        shapes['outputs'],
        shapes['auxiliary'],
    ]


@pytest.mark.parametrize('name', GRAPHS)
def test_executors_compute_what_mxnets_do(name, arrays):
    symbol, values = graph(name), chosen(arrays, name, 'in')
    executor = symbol.bind(args=values, aux_states=values)
    for i, y in enumerate(executor.forward()):
        close(y, arrays[f'{name} out {i}'])
    for i, y in enumerate(executor.forward(is_train=True)):
        close(y, arrays[f'{name} train {i}'])
    for key, value in chosen(arrays, name, 'aux').items():
        close(executor.aux_dict[key], value)
    executor.backward()
    for key, value in chosen(arrays, name, 'grad').items():
        if not key.endswith('label'):  # MXNet leaves there what it does not compute
            close(executor.grad_dict[key], value)


def test_graphs_are_built_by_calls():
    x, w = mx.sym.var('x', shape=(2, 0)), mx.sym.Variable('w')
    net = mx.sym.FullyConnected(data=x, weight=w, num_hidden=3, name='fc', attr={'lr_mult': '2'})
    both = mx.sym.Group([net * 2 + 1, mx.sym.split(net, num_outputs=3, axis=1)[1]])
    assert both.list_arguments() == ['x', 'w', 'fc_bias']
    assert len(both) == 2
    assert net.attr('num_hidden') == '3'
    assert net.attr('__lr_mult__') == '2'
    assert both.infer_shape(x=(2, 4))[1] == [(2, 3), (2, 1)]
    assert both.get_internals()['fc_output'].list_arguments() == both.list_arguments()
    values = {'x': jnp.ones((2, 4)), 'w': jnp.ones((3, 4)), 'fc_bias': jnp.arange(3.0)}
    first, second = both.eval(**values)
    close(first, np.tile(np.arange(3) * 2 + 9, (2, 1)))
    close(second, np.full((2, 1), 5))
    composed = net(x=mx.sym.var('z') - 1)
    assert composed.list_arguments() == ['z', 'w', 'fc_bias']
    assert mx.sym.contrib.div_sqrt_dim(x).infer_shape(x=(2, 4))[1] == [(2, 4)]
    assert x.sum(axis=0).infer_shape(x=(2, 4))[1] == [(4,)]


def test_simple_bind_and_backward():
    net = mx.sym.MakeLoss(mx.sym.square(mx.sym.var('x') * mx.sym.var('k')), name='loss')
    executor = net.simple_bind(x=(2,), k=(2,), grad_req={'x': 'add', 'k': 'null'})
    executor.copy_params_from({'x': np.array([1, 2.0]), 'k': np.array([3, 1.0])})
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward()
    close(executor.grad_dict['x'], [36, 8])
    assert list(executor.grad_dict) == ['x']
    with pytest.raises(ArgumentError, match="no argument 'y'"):
        executor.forward(y=1)


def damaged(old, new):
    """A graph, read from JSON in which one thing is replaced."""
    text = (
        '{"nodes": [{"op": "null", "name": "x", "inputs": [], "attrs": {}}, {"op": "argmax", "name": "y", '
        '"inputs": [[0, 0]], "attrs": {"axis": "0"}}], "arg_nodes": [0], "heads": [[1, 0]]}'
    )
    assert old in text
    return mx.sym.load_json(text.replace(old, new))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: mx.sym.FullyConnected(mx.sym.var('x'), name='fc'), r"FullyConnected 'fc' lacks num_hidden"),
        (lambda: mx.sym.Convolution(mx.sym.var('x'), kernel='big', num_filter=1), 'must be a tuple of ints'),
        (lambda: mx.sym.Activation(mx.sym.var('x'), act_type='loud'), "one of 'elu'"),
        (lambda: mx.sym.relu(mx.sym.var('x'), slope=1), "has no attribute 'slope'"),
        (lambda: mx.sym.FullyConnected(mx.sym.var('x'), num_hiden=1), r"'num_hiden'[\s\S]*try: num_hidden="),
        (lambda: mx.sym.relu(3), 'must be a Symbol'),
        (lambda: mx.sym.load_json('{"nodes": 3}'), 'this is no graph of MXNet'),
        (lambda: mx.sym.load_json('text'), 'this is no graph of MXNet'),
        (lambda: damaged('"x"', '{}'), r'a node has the name \{\} and'),
        (lambda: damaged('[0, 0]', '[-1, 0]'), 'output 0 of node -1 is taken'),
        (lambda: damaged('[0, 0]', '[0, 0.5]'), 'output 0.5 of node 0'),
        (
            lambda: damaged('[[1, 0]]', '[[1, 7]]').infer_shape(x=(1,)),
            r"the graph returns an output of 'y' that[\s\S]*1",
        ),
        (lambda: damaged('"axis": "0"', '"axis": "1e999"').infer_shape(x=(1,)), "axis of argmax 'y' must be"),
        (lambda: damaged('{}}, {', '{"__dtype__": "(1,"}}, {').infer_shape(x=(1,)), "'x' has no dtype of MXNet"),
        (lambda: mx.sym.var('x')['y'], "0 outputs are called 'y'"),
        (lambda: bool(mx.sym.var('x')), 'neither true nor false'),
        (lambda: mx.sym.relu(mx.sym.var('x')).eval(), 'needs x, and there is no value'),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_attributes_that_do_not_fit_the_inputs_are_named():
    with pytest.raises(ShapeError, match=r"argmax 'y' does not take [\s\S]*tuple index out of range"):
        damaged('"axis": "0"', '"axis": "5"').infer_shape(x=(1,))


def test_a_file_that_is_no_text_is_no_graph(tmp_path):
    (tmp_path / 'net-symbol.json').write_bytes(b'{"nodes": "\xff"}')
    with pytest.raises(ArgumentError, match=r'no graph of MXNet[\s\S]*UnicodeDecodeError'):
        mx.sym.load(tmp_path / 'net-symbol.json')


def test_shapes_that_do_not_fit_are_named():
    net = mx.sym.FullyConnected(mx.sym.var('x'), num_hidden=3, name='fc')
    with pytest.raises(ShapeError, match=r"(?s)fc_weight.*in FullyConnected 'fc'"):
        net.infer_shape(x=(2, 4), fc_weight=(3, 5))
    assert net.infer_shape() == (None, None, None)
    assert mx.sym.sparse.dot(mx.sym.var('a'), mx.sym.var('b')).infer_shape(a=(2, 3), b=(3, 4))[1] == [(2, 4)]
    assert net.infer_shape_partial()[0] == [(), (3, 0), (3,)]


# Old JSON.


OLD = {
    'nodes': [
        {'op': 'null', 'param': {}, 'name': 'data', 'inputs': [], 'backward_source_id': -1, 'attr': {'lr_mult': '0.2'}},
        *({'op': 'null', 'param': {}, 'name': f'bn_{kind}', 'inputs': []} for kind in ('gamma', 'beta')),
        {
            'op': 'BatchNorm',
            'param': {'eps': '0.001', 'fix_gamma': '1'},
            'name': 'bn',
            'inputs': [[0, 0], [1, 0], [2, 0]],
            'attr': {'ctx_group': 'stage1'},
        },
        {'op': 'null', 'param': {}, 'name': 'unused', 'inputs': []},
        {'op': '_Plus', 'param': {}, 'name': 'plus', 'inputs': [[3, 0], [0, 0]]},
        {'op': 'argmax', 'param': {'axis': '-1'}, 'name': 'best', 'inputs': [[5, 0]]},
    ],
    'arg_nodes': [0, 1, 2, 4],
    'heads': [[5, 0], [6, 0], [5, 0]],
}


def test_json_of_2016():
    symbol = mx.sym.load_json(json.dumps(OLD))
    assert symbol.list_arguments() == ['data', 'bn_gamma', 'bn_beta']
    assert symbol.list_auxiliary_states() == ['bn_moving_mean', 'bn_moving_var']
    assert symbol.list_outputs() == ['plus_output', 'best_output', 'plus_output']
    assert symbol.attr_dict()['data'] == {'__lr_mult__': '0.2', 'lr_mult': '0.2'}
    x = np.array([[1, 2], [3, 7.0]], 'float32')
    values = {'data': x, 'bn_gamma': np.full(2, 9.0), 'bn_beta': np.zeros(2)}
    states = {'bn_moving_mean': np.array([1.0, 2.0]), 'bn_moving_var': np.ones(2)}
    first, best, _ = symbol.eval(**values, **states)
    close(first, (x - [1, 2]) / np.sqrt(1.001) + x)  # gamma is taken as 1
    close(best, [3])  # of the flattened array


def test_attributes_in_every_spelling():
    parse = mx.op.find('Convolution').parse
    for kernel in ('(3,3)', '[3, 3]', '(3L, 3L)', (3, 3), [3, 3]):
        for flag in ('1', 'true', 'True', True):
            parsed = parse({'kernel': kernel, 'num_filter': '8', 'no_bias': flag, 'layout': 'None', 'stride': '()'})
            assert (parsed['kernel'], parsed['no_bias'], parsed['layout'], parsed['stride']) == ((3, 3), True, None, ())


# Networks.


def test_symbol_block_runs_trains_and_defers(arrays):
    symbol, values = graph('network'), chosen(arrays, 'network', 'in')
    net = nn.SymbolBlock(symbol, mx.sym.var('data'))
    net.initialize()
    assert net.collect_params()['conv_weight'].shape is None or None in net.collect_params()['conv_weight'].shape
    x = jnp.asarray(values['data'])
    assert net(x).shape == (2, 4)
    params = net.params
    assert params['bn_moving_var'].tolist() == [1, 1, 1]
    assert set(params) == {*GRAPHS['network']['arguments'], *GRAPHS['network']['auxiliary']} - {'data', 'softmax_label'}
    net.params = {name: jnp.asarray(values[name]) for name in params}
    close(net(x), arrays['network out 0'])
    close(jax.jit(net.apply)(net.params, x), arrays['network out 0'])
    close(net(x, training=True), arrays['network train 0'])
    close(net.params['bn_moving_mean'], arrays['network aux bn_moving_mean'])
    assert net.collect_params()['bn_moving_mean'].grad_req == 'null'


def test_label_heads_have_mxnets_gradient(arrays):
    values = chosen(arrays, 'network', 'in')
    net = nn.SymbolBlock(graph('network'), [mx.sym.var('data'), mx.sym.var('softmax_label')])
    params = {name: jnp.asarray(values[name]) for name in values if name not in ('data', 'softmax_label')}

    def total(params):
        return net.apply_train(params, values['data'], values['softmax_label'], key=0)[0].sum()

    gradient = jax.grad(total)(params)
    close(gradient['conv_weight'], arrays['network grad conv_weight'])
    close(gradient['fc_bias'], arrays['network grad fc_bias'])


def test_imports_of_files(arrays, tmp_path):
    values = chosen(arrays, 'network', 'in')
    graph('network').save(tmp_path / 'net-symbol.json')
    named = {
        ('aux:' if 'moving' in name else 'arg:') + name: value
        for name, value in values.items()
        if name not in ('data', 'softmax_label')
    }
    mxnet_params.save(tmp_path / 'net-0000.params', {**named, 'arg:more': np.ones(2)})
    files = tmp_path / 'net-symbol.json', 'data', tmp_path / 'net-0000.params'
    net = nn.SymbolBlock.imports(*files)
    close(net(values['data']), arrays['network out 0'])
    outer = nn.Sequential(net, nn.Dense(1))
    outer.initialize()
    assert outer(values['data']).shape == (2, 1)
    assert '0.conv_weight' in outer.collect_params()
    with pytest.raises(ParamsError, match='extra: more'):
        nn.SymbolBlock.imports(*files, ignore_extra=False)
    mxnet_params.save(files[2], {key: value for key, value in named.items() if key != 'arg:fc_bias'})
    with pytest.raises(ParamsError, match='missing: fc_bias'):
        nn.SymbolBlock.imports(*files)


def test_wrong_inputs_are_named():
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=3, name='fc')
    net = nn.SymbolBlock(x, mx.sym.var('data'))
    net.initialize()
    net(jnp.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"'fc_weight' has shape \(3, 4\).*needs \(3, 5\)"):
        net(jnp.ones((2, 5)))
    with pytest.raises(ArgumentError, match=r'takes 1 inputs, got 2\n  expected: data'):
        net(jnp.ones((2, 4)), jnp.ones(2))


def test_unknown_operators_are_named_before_anything_runs():
    nodes = [{'op': 'null', 'name': 'x', 'inputs': []}, {'op': 'Mystery', 'name': 'm', 'inputs': [[0, 0, 0]]}]
    symbol = mx.sym.load_json(json.dumps({'nodes': nodes, 'arg_nodes': [0], 'heads': [[1, 0, 0]]}))
    with pytest.raises(ArgumentError, match="does not know: Mystery 'm'"):
        nn.SymbolBlock(symbol, mx.sym.var('x'))


def test_labels_are_optional_and_named_where_they_are_not():
    label = mx.sym.var('label')
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc')
    head = mx.sym.SoftmaxOutput(x, mx.sym.reshape(label, shape=(-1,)), name='softmax')
    net = nn.SymbolBlock(head, mx.sym.var('data'))
    net.initialize()
    np.testing.assert_allclose(net(jnp.ones((3, 4))).sum(1), 1, 1e-6)
    assert list(net.collect_params()) == ['fc_weight', 'fc_bias']
    both = nn.SymbolBlock(mx.sym.Group([head, label * 2]), [mx.sym.var('data'), label])
    both.initialize()
    assert both(jnp.ones((3, 4)), jnp.ones((3, 1)))[1].tolist() == [[2.0]] * 3


def test_shapes_inside_of_loops_are_inferred():
    symbol = graph('loop')
    arguments, outputs, _ = symbol.infer_shape(data=(4, 2, 2), begin=(2, 3))
    assert dict(zip(symbol.list_arguments(), arguments, strict=True))['fc_weight'] == (3, 2)
    assert outputs == [(4, 2, 3), (2, 3)]


def test_symbol_blocks_are_trained_copied_and_pickled():
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1, name='fc')
    net = nn.SymbolBlock(x, mx.sym.var('data'))
    net.initialize(init='zeros')
    inputs = jnp.arange(8.0).reshape(8, 1) / 4
    trainer = gluonjax.Trainer(net, gluonjax.loss.L2Loss(), 'sgd', {'learning_rate': 0.3})
    for _ in range(60):
        trainer.step(inputs, 2 * inputs + 1)
    np.testing.assert_allclose(net.params['fc_weight'], [[2]], 0.02)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other(inputs), net(inputs))
    net.initialize(init='ones', force_reinit=True)
    assert net.params['fc_weight'].tolist() == [[1.0]]
    net.hybridize(active=False)
    np.testing.assert_allclose(net(inputs), inputs, 1e-6)


@pytest.mark.parametrize('dense', [False, True])
def test_losses_of_symbols_are_those_of_arrays(dense):
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0.1, 0.9, (4, 3)).astype('float32') for name in ('pred', 'label', 'weight', 'other')}
    values |= {'index': np.array([0, 2, 1, 1], 'float32'), 'sign': np.array([1, -1, -1, 1], 'float32')}
    by, loss = dict(weight=0.5), gluon.loss
    pairs = [
        *((made(**by), ('pred', 'label', 'weight')) for made in (loss.L1Loss, loss.L2Loss, loss.HingeLoss)),
        (loss.SquaredHingeLoss(margin=0.7), ('pred', 'label')),
        (loss.HuberLoss(rho=0.3), ('pred', 'label')),
        (loss.LogisticLoss(label_format='binary' if dense else 'signed'), ('pred', 'label')),
        (loss.SigmoidBCELoss(from_sigmoid=dense), ('pred', 'label')),
        (loss.SigmoidBCELoss(from_sigmoid=dense, **by), ('pred', 'label', 'weight', 'other')),
        (loss.KLDivLoss(from_logits=dense), ('pred', 'label')),
        (loss.SoftmaxCELoss(sparse_label=not dense), ('pred', 'label' if dense else 'index')),
        (loss.PoissonNLLLoss(from_logits=dense, compute_full=True), ('pred', 'other', 'weight')),
        (loss.TripletLoss(**by), ('pred', 'label', 'other')),
        (loss.CosineEmbeddingLoss(margin=0.1), ('pred', 'label', 'sign')),
    ]
    of = {name: sym.var(name) for name in values}
    graph = sym.Group([made(*(of[name] for name in names)) for made, names in pairs])
    arrays = {name: nd.array(x) for name, x in values.items()}
    found = graph.eval(**{name: arrays[name] for name in graph.list_arguments()})
    for (made, names), value in zip(pairs, found, strict=True):
        expected = made(*(arrays[name] for name in names)).asnumpy()
        np.testing.assert_allclose(value.asnumpy(), expected, rtol=2e-5, atol=1e-6, err_msg=str((made, names)))


def test_ctc_of_symbols():
    pred, label, lengths = nd.ones((25, 2, 4)), nd.array([[2, 3], [1, 2], [3, 2], [3, 3]]), nd.array([20, 20])
    loss = gluon.loss.CTCLoss(layout='TNC', label_layout='TN')
    graph = loss(sym.var('pred'), sym.var('label'), sym.var('steps'), sym.var('lengths'))
    found = graph.eval(pred=pred, label=label, steps=lengths, lengths=nd.array([2, 3]))[0]
    np.testing.assert_allclose(found.asnumpy(), [18.82820702, 16.50581741], rtol=1e-5)  # MXNet's
    with pytest.raises(ArgumentError, match='SDMLLoss has no graph of symbols'):
        gluon.loss.SDMLLoss()(sym.var('x1'), sym.var('x2'))
    with pytest.raises(TypeError, match="missing a required argument: 'label'"):
        gluon.loss.L2Loss()(sym.var('x1'))


def test_shapes_that_may_be_another():
    """Of labels and slopes MXNet says the shape only where nobody else does."""
    x = mx.sym.var('x')
    head = mx.sym.LinearRegressionOutput(x, mx.sym.var('y'))
    assert head.infer_shape(x=(3, 1))[0] == [(3, 1), (3,)]
    assert head.infer_shape(x=(3, 1), y=(3, 1))[0] == [(3, 1), (3, 1)]
    slopes = mx.sym.LeakyReLU(x, mx.sym.var('a', shape=(1,)), act_type='prelu')
    assert slopes.infer_shape(x=(2, 4, 3))[0] == [(2, 4, 3), (1,)]
    assert mx.sym.LeakyReLU(x, act_type='prelu').infer_shape(x=(2, 4, 3))[0][1] == (4,)


def test_states_that_begin_as_zeros_take_their_shape_from_a_convolution():
    x, state = mx.sym.var('x'), mx.sym.zeros((0, 3, 0, 0))
    step = mx.sym.Convolution(state, kernel=(3, 3), pad=(2, 2), dilate=(2, 2), num_filter=2, name='c') + x
    assert step.list_outputs()[0].startswith('_plus')
    assert step.infer_shape(x=(4, 2, 5, 6))[0] == [(2, 3, 3, 3), (2,), (4, 2, 5, 6)]
    weights = {'c_weight': jnp.ones((2, 3, 3, 3)), 'c_bias': jnp.ones(2)}
    close(step.run({'x': jnp.zeros((4, 2, 5, 6)), **weights})[0][0], np.ones((4, 2, 5, 6)))


def test_attributes_that_an_operator_does_not_read_are_passed_over():
    node = mx.sym.zeros_like(mx.sym.var('x'), dtype='int64')
    assert node.attr('dtype') == 'int64'
    close(node.run({'x': jnp.ones(2)})[0][0], [0, 0])
    written = mx.sym.relu(mx.sym.var('x'), attr={'__own__': '1'}).tojson().replace('__own__', 'own')
    close(mx.sym.load_json(written).run({'x': -jnp.ones(2)})[0][0], [0, 0])


def test_loops_end_early_where_no_gradient_is_asked(arrays):
    symbol, values = graph('while_loop'), chosen(arrays, 'while_loop', 'in')

    def total(values):
        return sum(y.sum() for y in symbol.run(values)[0])

    assert 'scan' not in str(jax.make_jaxpr(total)(values))
    assert 'scan' in str(jax.make_jaxpr(jax.grad(total))(values))
    stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), values)
    close(jax.vmap(total)(stacked), [total(values), total(jax.tree.map(lambda x: 2 * x, values))])


def test_each_step_of_a_loop_drops_other_units():
    """A loop of one subgraph, which is traced once."""
    dropped = {'op': 'Dropout', 'name': 'd', 'attrs': {'p': '0.5'}, 'inputs': [[0, 0, 0]]}
    moved = {'op': 'elemwise_add', 'name': 'm', 'inputs': [[1, 0, 0], [2, 0, 0]]}
    inside = [{'op': 'null', 'name': name, 'inputs': []} for name in ('x', 's')]
    inside = {'nodes': [inside[0], dropped, inside[1], moved], 'arg_nodes': [0, 2], 'heads': [[1, 0, 0], [3, 0, 0]]}
    attributes = {'num_args': '3', 'num_outputs': '2', 'num_out_data': '1', 'remain_locs': '()'}
    attributes |= {'in_data_locs': '(0,)', 'in_state_locs': '(1,)'}
    outer = [{'op': 'null', 'name': name, 'inputs': []} for name in ('data', 'begin')]
    loop = {'op': '_foreach', 'name': 'f', 'attrs': attributes, 'inputs': [[0, 0, 0], [1, 0, 0]], 'subgraphs': [inside]}
    symbol = mx.sym.load_json(json.dumps({'nodes': [*outer, loop], 'arg_nodes': [0, 1], 'heads': [[2, 0, 0]]}))
    values = {'data': jnp.ones((4, 16)), 'begin': jnp.zeros(16)}
    (rows,), _ = symbol.run(values, training=True, next_key=lambda: jax.random.key(0))
    assert set(np.unique(rows)) == {0, 2}
    assert len(np.unique(np.asarray(rows), axis=0)) == 4


def built_loop():
    def body(x, states):
        y = mx.sym.FullyConnected(x, num_hidden=3, name='fc') + states[0]
        return y * 2, [mx.sym.tanh(y)]

    outputs, states = mx.sym.contrib.foreach(body, mx.sym.var('data'), [mx.sym.var('begin')])
    return mx.sym.Group([outputs, states[0]])


def built_while_loop():
    def step(i, x):
        y = mx.sym.FullyConnected(x, num_hidden=2, name='fc')
        return y * x, [i + 1, mx.sym.tanh(y) + x]

    begin = [mx.sym.zeros((1,)), mx.sym.var('data')]
    rows, last = mx.sym.contrib.while_loop(lambda i, x: i < 3, step, begin, max_iterations=5)
    return mx.sym.Group([mx.sym.slice_axis(rows, axis=0, begin=0, end=3), *last])


def built_condition():
    x, y, w = mx.sym.var('data'), mx.sym.var('other'), mx.sym.var('w')
    total = mx.sym.sum(x)
    branches = lambda: mx.sym.dot(y, w) * y, lambda: mx.sym.dot(y, w)
    return mx.sym.Group([mx.sym.contrib.cond(holds, *branches) for holds in (total < 0, total >= 0)])


@pytest.mark.parametrize(
    ('name', 'build'), [('loop', built_loop), ('while_loop', built_while_loop), ('condition', built_condition)]
)
def test_loops_and_branches_of_symbols_are_mxnets(name, build, arrays):
    symbol, values = build(), chosen(arrays, name, 'in')
    assert symbol.list_arguments() == GRAPHS[name]['arguments']
    for each in (symbol, mx.sym.load_json(symbol.tojson())):
        for i, y in enumerate(each.run(values)[0]):
            close(y, arrays[f'{name} out {i}'])


def test_a_loop_in_a_loop_sees_what_is_around_it():
    x, w = mx.sym.var('x'), mx.sym.var('w')

    def outer(row, total):
        inner, _ = mx.sym.contrib.foreach(lambda e, t: (e * w + total, t + e), row, mx.sym.zeros((1,)))
        return inner, total + mx.sym.sum(inner)

    rows, last = mx.sym.contrib.foreach(outer, x, mx.sym.var('begin'))
    values = {'x': jnp.arange(6.0).reshape(2, 3, 1), 'w': jnp.array([2.0]), 'begin': jnp.array([1.0])}
    (rows, last), _ = mx.sym.Group([rows, last]).run(values)
    close(rows[..., 0], [[1, 3, 5], [16, 18, 20]])
    close(last, [64])


def test_what_loops_and_branches_refuse():
    x = mx.sym.var('x')
    with pytest.raises(ArgumentError, match='the body must use all states'):
        mx.sym.contrib.foreach(lambda x, s: (x, x), x, x)
    with pytest.raises(ArgumentError, match='both branches must give as many outputs'):
        mx.sym.contrib.cond(x, lambda: x, lambda: [x, x])
    with pytest.raises(ArgumentError, match=r'take and give Symbols.*\n.*got: int'):
        mx.sym.contrib.foreach(lambda x, s: (3, s), x, x)


class HostSoftmax(mx.operator.CustomOp):
    """A softmax in NumPy, with the gradient of its cross entropy."""

    def forward(self, is_train, req, in_data, out_data, aux):
        x = np.exp(in_data[0].asnumpy())
        self.assign(out_data[0], req[0], nd.array(x / x.sum(1, keepdims=True)))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        right = np.eye(3)[in_data[1].asnumpy().astype(int)]
        self.assign(in_grad[0], req[0], nd.array(out_data[0].asnumpy() - right))


@mx.operator.register('host_softmax')
class HostSoftmaxProp(mx.operator.CustomOpProp):
    def list_arguments(self):
        return ['data', 'label']

    def infer_shape(self, in_shape):
        return [in_shape[0], in_shape[0][:1]], [in_shape[0]], []

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return HostSoftmax()


def test_operators_of_ones_own_are_nodes():
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=3, name='fc')
    theirs = mx.sym.SoftmaxOutput(x, name='softmax')
    ours = mx.sym.load_json(mx.sym.Custom(x, name='softmax', op_type='host_softmax').tojson())
    assert ours.list_arguments() == theirs.list_arguments()
    assert ours.infer_shape(data=(4, 2)) == theirs.infer_shape(data=(4, 2))
    values = {'data': np.arange(8.0).reshape(4, 2) / 4, 'fc_weight': np.eye(3, 2), 'fc_bias': np.ones(3)}
    values = {name: nd.array(value) for name, value in {**values, 'softmax_label': [0, 1, 2, 0]}.items()}
    executors = [symbol.bind(args=values) for symbol in (ours, theirs)]
    for executor in executors:
        executor.forward(is_train=True)
        executor.backward()
    close(executors[0].outputs[0].asnumpy(), executors[1].outputs[0].asnumpy())
    close(executors[0].grad_dict['fc_weight'].asnumpy(), executors[1].grad_dict['fc_weight'].asnumpy())
    with pytest.raises(ArgumentError, match="no operator is registered as 'nothing'"):
        mx.sym.Custom(x, op_type='nothing')
    with pytest.raises(ArgumentError, match='lacks op_type'):
        mx.sym.Custom(x)


def test_the_batch_of_a_graph_may_be_left_open(tmp_path):
    x = mx.sym.var('data')
    end = mx.sym.slice_axis(mx.sym.FullyConnected(x, num_hidden=3, name='fc'), axis=1, begin=1, end=None)
    net = nn.SymbolBlock(end, x)
    net.initialize('xavier', key=0)
    y = net(jnp.ones((2, 4)))
    net.save_program(tmp_path / 'program', jnp.ones((2, 4)))
    close(gluonjax.load_program(tmp_path / 'program')(jnp.ones((5, 4)))[:2], y)
    assert end.attr('end') == 'None'


def test_graphs_under_transformations():
    x = mx.sym.var('data')
    y = mx.sym.LeakyReLU(mx.sym.BatchNorm(mx.sym.FullyConnected(x, num_hidden=3, name='fc')), act_type='prelu')
    net, x = nn.SymbolBlock(y, x), jnp.arange(32.0).reshape(8, 4) / 32
    net.initialize('xavier', key=0)
    y, params = net(x), net.params
    close(jax.vmap(lambda row: net.apply(params, row[None])[0])(x), y)
    batches = jax.sharding.NamedSharding(jax.make_mesh((8,), ('data',)), jax.sharding.PartitionSpec('data'))
    sharded = jax.jit(net.apply)(params, jax.device_put(x, batches))
    assert sharded.sharding.spec[0] == 'data'
    close(sharded, y)
    many = jax.vmap(lambda key: net.definition.init(key, x))(jax.random.split(jax.random.key(0), 3))
    assert jax.vmap(net.apply, (0, None))(many, x).shape == (3, 8, 3)
    half = copy.deepcopy(net)
    half.cast('bfloat16')
    assert half(x.astype('bfloat16')).dtype == jnp.bfloat16
    np.testing.assert_allclose(half(x.astype('bfloat16')).astype('float32'), y, 0.05, 0.05)
    grads = jax.grad(lambda params: (jax.checkpoint(net.apply)(params, x) ** 2).sum())(params)
    outer = nn.Sequential(net, nn.Dense(3, in_units=3, use_bias=False))
    outer.initialize()
    outer[1].weight.set_data(jnp.eye(3))
    within = jax.grad(lambda params: (outer.apply(params, x) ** 2).sum())(outer.params)
    close(within['0']['fc_weight'], grads['fc_weight'])


def test_a_quantized_graph_keeps_its_integers(arrays, tmp_path):
    values = chosen(arrays, 'int8', 'value')
    mxnet_params.save(tmp_path / 'net.params', {f'arg:{name}': value for name, value in values.items()})
    (tmp_path / 'net.json').write_text(str(arrays['int8 graph']))
    for imports in (nn.SymbolBlock.imports, gluon.SymbolBlock.imports):
        net = imports(tmp_path / 'net.json', 'data', tmp_path / 'net.params')
        data = arrays['int8 data'] if imports is nn.SymbolBlock.imports else nd.array(arrays['int8 data'])
        close(np.asarray(getattr(net(data), 'value', net(data))), arrays['int8 out'])
        assert net.collect_params()['first_weight_quantize'].dtype == np.int8


def test_arguments_that_mxnet_has_are_accepted():
    x = mx.sym.var('x')
    bound = (2 * x).simple_bind(mx.cpu(), 'write', None, {'x': 'default'}, shared_exec=None, x=(2,))
    assert bound.forward(x=mx.nd.ones((2,)))[0].asnumpy().tolist() == [2, 2]
    assert (2 * x).bind(mx.cpu(), [mx.nd.ones((1,))], group2ctx={}, shared_exec=bound).forward()[0].asscalar() == 2
    assert x.tojson(remove_amp_cast=False) == x.tojson()
    with pytest.raises(ArgumentError, match='attr_dict'):
        x.list_attr(recursive=True)
    assert mx.nd.power(base=mx.nd.array([3]), exp=2).asscalar() == 9
    assert mx.nd.empty((1,), stype='csr').stype == 'csr'
    out = mx.nd.zeros((3,), dtype='int32')
    mx.nd.random.multinomial(mx.nd.array([0, 1]), 3, out=out)
    assert out.asnumpy().tolist() == [1, 1, 1]
    assert mx.nd.ones((1,)).as_in_ctx(ctx=mx.cpu()).context == mx.cpu()
    with pytest.raises(ArgumentError, match='one axis or more'):
        mx.nd.broadcast_like(mx.nd.ones((1,)), mx.nd.ones((1,)), lhs_axes=(), rhs_axes=())


def test_imports_of_what_is_no_file(tmp_path):
    for block in (nn.SymbolBlock, mx.gluon.SymbolBlock):
        with pytest.raises(ArgumentError, match=r'symbol_file must be str \| .*Path, got 3'):
            block.imports(3, ['data'])
        symbol = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1)
        symbol.save(str(tmp_path / 'net-symbol.json'))
        with pytest.raises(ArgumentError, match='input_names must be str'):
            block.imports(tmp_path / 'net-symbol.json', 3)
        with pytest.raises(ArgumentError, match=r'must be (a )?str .*, got 1'):
            block.imports(tmp_path / 'net-symbol.json', 'data', 1)  # which Python takes for an open file
