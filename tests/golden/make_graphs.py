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


def regression():
    x = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc')
    x = (1 - x) ** 2 + x / 2
    return mx.sym.Group([mx.sym.LinearRegressionOutput(x, name='linear'), mx.sym.BlockGrad(x)]), {'data': (3, 2)}


def main():
    graphs, arrays = {}, {}
    for make in (network, recurrent, unrolled, loop, regression):
        mx.random.seed(0)
        symbol, shapes = make()
        name = make.__name__
        graphs[name] = {'json': json.loads(symbol.tojson()), 'arguments': symbol.list_arguments(),
                        'outputs': symbol.list_outputs(), 'auxiliary': symbol.list_auxiliary_states()}
        arguments, outputs, auxiliary = symbol.infer_shape(**shapes)
        graphs[name]['shapes'] = {'given': shapes, 'arguments': arguments, 'outputs': outputs, 'auxiliary': auxiliary}
        random = np.random.RandomState(7)
        executor = symbol.simple_bind(mx.cpu(), grad_req='write', **shapes)
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
