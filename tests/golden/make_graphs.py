"""Writes graphs.json and graphs.npz: small graphs as MXNet exports them, their values, and MXNet's own answers.

Run it as make_golden.py says. Keys of the arrays are 'name in data' for values, 'name out 0' for outputs at inference,
'name train 0' for outputs in training, 'name grad data' for gradients in training, and 'name aux x' for new states.
"""

import json
import pathlib

import mxnet as mx
import numpy as np


def network():
    x = mx.sym.var('data')
    x = mx.sym.Convolution(x, kernel=(3, 3), num_filter=3, pad=(1, 1), name='conv')
    x = mx.sym.BatchNorm(x, fix_gamma=False, name='bn')
    x = mx.sym.Activation(x, act_type='relu', name='relu')
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type='max', pooling_convention='full', name='pool')
    x = mx.sym.FullyConnected(x, num_hidden=4, name='fc')
    return mx.sym.SoftmaxOutput(x, name='softmax', normalization='batch'), {'data': (2, 2, 5, 5)}


def recurrent():
    x = mx.sym.var('data')
    cell = mx.rnn.FusedRNNCell(3, num_layers=2, mode='lstm', prefix='lstm_')
    outputs, _ = cell.unroll(4, x, layout='NTC', merge_outputs=True)
    return mx.sym.FullyConnected(outputs, num_hidden=2, flatten=False, name='fc'), {'data': (2, 4, 3)}


def unrolled():
    cell = mx.rnn.LSTMCell(3, prefix='cell_')
    outputs, _ = cell.unroll(3, mx.sym.var('data'), layout='NTC', merge_outputs=True)
    return mx.sym.sum(outputs, axis=(1,), name='total'), {'data': (2, 3, 2)}


def loop():
    def body(x, states):
        y = mx.sym.FullyConnected(x, num_hidden=3, name='fc') + states[0]
        return y * 2, [mx.sym.tanh(y)]

    outputs, states = mx.sym.contrib.foreach(body, mx.sym.var('data'), [mx.sym.var('begin')])
    return mx.sym.Group([outputs, states[0]]), {'data': (4, 2, 2), 'begin': (2, 3), 'fc_weight': (3, 2), 'fc_bias': (3,)}


def while_loop():
    def holds(i, x):
        return i < 3

    def step(i, x):
        y = mx.sym.FullyConnected(x, num_hidden=2, name='fc')
        return y * x, [i + 1, mx.sym.tanh(y) + x]

    begin = mx.sym.var('data')
    rows, (count, last) = mx.sym.contrib.while_loop(holds, step, [mx.sym.zeros((1,)), begin], max_iterations=5)
    rows = mx.sym.slice_axis(rows, axis=0, begin=0, end=3)  # the others are whatever was in memory
    return mx.sym.Group([rows, count, last]), {'data': (2, 2), 'fc_weight': (2, 2), 'fc_bias': (2,)}


def condition():
    x, y, w = mx.sym.var('data'), mx.sym.var('other'), mx.sym.var('w')
    total = mx.sym.BlockGrad(mx.sym.sum(x))  # MXNet's gradient of what decides is whatever was in memory
    chosen = [
        mx.sym.contrib.cond(holds, lambda: mx.sym.dot(y, w) * y, lambda: mx.sym.dot(y, w))
        for holds in (total < 0, total >= 0)  # both branches use all, whose gradients would not be written otherwise
    ]
    return mx.sym.Group(chosen), {'data': (2, 3), 'other': (2, 3), 'w': (3, 3)}


def regression():
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc')
    x = (1 - x) ** 2 + x / 2
    return mx.sym.Group([mx.sym.LinearRegressionOutput(x, name='linear'), mx.sym.BlockGrad(x)]), {'data': (3, 2)}


class Executor:
    """As MXNet's, for graphs whose shapes `simple_bind` cannot infer: those with branches and loops that may end early."""

    def __init__(self, symbol, shapes):
        self.names = symbol.list_arguments()
        self.arg_dict = {name: mx.nd.zeros(shapes[name]) for name in self.names}
        self.aux_dict, self.grad_dict = {}, {}
        self.block = mx.gluon.SymbolBlock(symbol, [mx.sym.var(name) for name in self.names])

    def forward(self, is_train):
        values = [self.arg_dict[name] for name in self.names]
        for value in values:
            value.attach_grad()
        with mx.autograd.record(is_train):
            self.outputs = list(self.block(*values))
        return self.outputs

    def backward(self, gradients):
        mx.autograd.backward(self.outputs, gradients)
        self.grad_dict = {name: value.grad for name, value in self.arg_dict.items()}


def executor_of(symbol, shapes):
    """An executor, and the shapes of arguments, outputs and auxiliary states."""
    inferred = symbol.infer_shape(**shapes)
    if inferred[0] is not None:
        return symbol.simple_bind(mx.cpu(), grad_req='write', **shapes), inferred
    executor = Executor(symbol, shapes)
    outputs = executor.forward(is_train=False)
    return executor, ([shapes[name] for name in executor.names], [y.shape for y in outputs], [])


def quantized():
    """A network with int8 parameters, as MXNet's tool for it writes one: arrays by name, the graph among them as text."""
    from mxnet.contrib.quantization import quantize_model

    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=6, name='first')
    symbol = mx.sym.FullyConnected(mx.sym.Activation(x, act_type='relu'), num_hidden=3, no_bias=True, name='second')
    random = np.random.RandomState(3)
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=(2, 5))[0]))
    values = {name: mx.nd.array(random.standard_normal(shape)) for name, shape in shapes.items()}
    batches = mx.io.NDArrayIter(values['data'], None, 2)
    settings = {'calib_mode': 'naive', 'calib_data': batches, 'num_calib_examples': 2, 'quantized_dtype': 'int8'}
    data = values.pop('data')
    names = {'data_names': ('data',), 'label_names': ()}
    symbol, values, _ = quantize_model(symbol, values, {}, ctx=mx.cpu(), **settings, **names)
    values = {name: values[name] for name in symbol.list_arguments() if name != 'data'}
    output = symbol.bind(mx.cpu(), dict(values, data=data), grad_req='null').forward()[0]
    found = {'int8 value ' + name: value.asnumpy() for name, value in values.items()}
    found.update({'int8 graph': np.array(symbol.tojson()), 'int8 data': data.asnumpy(), 'int8 out': output.asnumpy()})
    return found


def main():
    graphs, arrays = {}, quantized()
    for make in (network, recurrent, unrolled, loop, regression, while_loop, condition):
        mx.random.seed(0)
        symbol, shapes = make()
        name = make.__name__
        graphs[name] = {'json': json.loads(symbol.tojson()), 'arguments': symbol.list_arguments(),
                        'outputs': symbol.list_outputs(), 'auxiliary': symbol.list_auxiliary_states()}
        executor, (arguments, outputs, auxiliary) = executor_of(symbol, shapes)
        graphs[name]['shapes'] = {'given': shapes, 'arguments': arguments, 'outputs': outputs, 'auxiliary': auxiliary}
        random = np.random.RandomState(7)
        for held in (executor.arg_dict, executor.aux_dict):
            for key, array in held.items():
                value = random.standard_normal(array.shape) * 0.5
                value = random.randint(0, 4, array.shape) if key == 'softmax_label' else value
                array[:] = 1 + np.abs(value) if key.endswith('_var') else value
                arrays['{} in {}'.format(name, key)] = array.asnumpy()
        for i, y in enumerate(executor.forward(is_train=False)):
            arrays['{} out {}'.format(name, i)] = y.asnumpy()
        for i, y in enumerate(executor.forward(is_train=True)):
            arrays['{} train {}'.format(name, i)] = y.asnumpy()
        executor.backward([mx.nd.ones(y.shape) for y in executor.outputs])
        for key, array in executor.grad_dict.items():
            arrays['{} grad {}'.format(name, key)] = array.asnumpy()
        for key, array in executor.aux_dict.items():
            arrays['{} aux {}'.format(name, key)] = array.asnumpy()
    folder = pathlib.Path(__file__).parent
    (folder / 'graphs.json').write_text(json.dumps(graphs, indent=1, sort_keys=True) + '\n')
    np.savez_compressed(str(folder / 'graphs.npz'), **arrays)
    print(len(arrays), 'arrays')


if __name__ == '__main__':
    main()
