"""Records what MXNet's own layers compute: `layers.npz` and `layers.json`.

MXNet is retired, so this runs once, in an environment of its own. It needs x86-64 Linux, Python 3.8,
and a numpy older than 1.24 (MXNet still says `np.bool`):

    python3.8 -m venv mxnet-env
    mxnet-env/bin/pip install mxnet==1.9.1 numpy==1.23.5
    mxnet-env/bin/python tests/golden/make_golden.py

`layers.npz` has the arrays of each case of `cases.py` under `case/field`:

    x0, param/NAME, cotangent          what went in; NAME as `save_parameters` writes it
    out, grad_x0, grad/NAME            inference; gradients are those of sum(out * cotangent)
    train_out, train_grad_x0, train_grad/NAME      the same in training
    train_param/NAME                   running statistics after one training step
    train3_param/NAME                  and after three on the same input

A field is absent where there is no such thing: gradients of indices and of parameters with
grad_req 'null', training where it is random. `layers.json` has, per case, the shape of the output and
the shape, dtype and grad_req of each parameter in MXNet's order; each class's constructor arguments,
`[name, default]` (`[name]` alone: it has no default); and what was measured and belongs to no case.
"""
import inspect
import json
import multiprocessing
import os
import pathlib
import zlib

# MXNet's plain CPU code rather than oneDNN's: with the latter, max pooling has a wrong gradient outside
# training, average pooling has one where ceil_mode cuts a window short, and softrelu(-20) is 0. But the plain
# code has no transposed convolution in three dimensions, and a wrong one where it has dilation and strides.
# MXNet reads this once, so the cases that want oneDNN are recorded in a process of their own (`__mp_main__`).
os.environ['MXNET_MKLDNN_ENABLED'] = '1' if __name__ == '__mp_main__' else '0'
os.environ['MXNET_STORAGE_FALLBACK_LOG_VERBOSE'] = '0'  # or it reports that on every call

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.gluon.contrib import nn as contrib

from cases import LAYERS

HERE = pathlib.Path(__file__).parent
# Not in gluon.nn before 2.0.
ELSEWHERE = {'Concatenate': contrib.HybridConcurrent, **{
    name: getattr(contrib, name) for name in [
        'Concurrent', 'HybridConcurrent', 'Identity', 'PixelShuffle1D', 'PixelShuffle2D', 'PixelShuffle3D',
        'SyncBatchNorm']}}


def class_of(layer):
    return ELSEWHERE.get(layer) or getattr(gluon.nn, layer)


def build(case):
    layer = class_of(case.layer)(*case.args, **case.kwargs)
    for child in case.children:
        layer.add(build(child))
    return layer


def draw(name, shape):
    """The same numbers for the same name, whatever else is in the table."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith('running_var'):
        return random.uniform(0.5, 1.5, shape).astype('float32')
    return random.standard_normal(shape).astype('float32')


def make_input(name, shape, dtype, kind):
    if kind == ('normal',):
        return draw(name, shape)
    return np.array(kind[1:], dtype).reshape(shape)


def run(layer, xs, cotangent, train):
    """One forward and one backward pass, as a Gluon training loop makes them."""
    with autograd.record(train_mode=train):
        out = layer(*xs)
        total = (out * cotangent).sum()
    # Left to its default, backward() takes BatchNorm's training gradient for an inference pass.
    total.backward(train_mode=train)
    nd.waitall()  # the running statistics are written behind Python's back
    return out.asnumpy()


def record(case):
    """The arrays of one case, and its description."""
    xs = [make_input('%s/x%d' % (case.name, i), *x) for i, x in enumerate(case.inputs)]
    fields = {'x%d' % i: x for i, x in enumerate(xs)}
    xs = [nd.array(x, dtype=x.dtype) for x in xs]

    layer = build(case)
    layer.initialize()
    out = layer(*xs)  # completes the shapes
    params = layer._collect_params_with_prefix()
    before = {name: draw(case.name + '/' + name, p.shape) for name, p in params.items()}
    cotangent = draw(case.name + '/cotangent', out.shape)
    fields['cotangent'] = cotangent
    fields.update({'param/' + name: value for name, value in before.items()})

    def reset():
        for name, p in params.items():
            p.set_data(nd.array(before[name]))

    def statistics():
        return {name: p.data().asnumpy() for name, p in params.items() if 'running_' in name}

    reset()
    fields['out'] = layer(*xs).asnumpy()
    for x, (_, _, kind) in zip(xs, case.inputs):
        if kind[0] != 'index':
            x.attach_grad()
    for train in [False, True] if case.train else [False]:
        prefix = 'train_' if train else ''
        reset()
        out = run(layer, xs, nd.array(cotangent), train)
        fields.setdefault(prefix + 'out', out)
        fields.update({'%sgrad_x%d' % (prefix, i): x.grad.asnumpy()
                       for i, x in enumerate(xs) if x.grad is not None})
        fields.update({'%sgrad/%s' % (prefix, name): p.grad().asnumpy()
                       for name, p in params.items() if p.grad_req != 'null'})
        if not train:
            assert np.array_equal(out, fields['out'])  # recording gradients changes no answer
            assert all(np.array_equal(value, before[name]) for name, value in statistics().items())
    if case.train:
        fields.update({'train_param/' + name: value for name, value in statistics().items()})
        run(layer, xs, nd.array(cotangent), True)
        run(layer, xs, nd.array(cotangent), True)
        fields.update({'train3_param/' + name: value for name, value in statistics().items()})

    description = {'out': list(out.shape), 'params': [
        {'name': name, 'shape': list(p.shape), 'dtype': np.dtype(p.dtype).name, 'grad_req': p.grad_req}
        for name, p in params.items()]}
    return fields, description


def signature(cls):
    """[name, default] of each constructor argument in order; only [name] where there is no default."""
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [[a.name] if a.default is a.empty else [a.name, a.default]
            for a in arguments if a.kind is not a.VAR_KEYWORD]


def error(call):
    """{'error', 'message'} of what `call` raises; None if nothing."""
    try:
        call()
        nd.waitall()
    except Exception as e:  # MXNet raises half a dozen kinds
        return {'error': type(e).__name__, 'message': (str(e).strip().splitlines() or [''])[-1]}
    return None


def nhwc_convolution():
    layer = gluon.nn.Conv2D(4, (2, 3), groups=2, layout='NHWC', in_channels=6)
    layer.initialize()
    return {'weight_shape': list(layer.weight.shape), **error(lambda: layer(nd.ones((1, 4, 4, 6))))}


def batchnorm_updates():
    """Which passes write BatchNorm's running statistics, and which write gamma when scale=False."""
    def forward(layer, x):
        layer(x)

    def recorded_forward(layer, x):
        with autograd.record():
            layer(x)

    def forward_and_backward(layer, x):
        run(layer, [x], nd.ones(x.shape), True)

    def one_forward_two_backward(layer, x):
        with autograd.record():
            total = layer(x).sum()
        total.backward(retain_graph=True)
        total.backward()

    written = {}
    for step in [forward, recorded_forward, forward_and_backward, one_forward_two_backward]:
        layer = gluon.nn.BatchNorm(momentum=0.5, scale=False)
        layer.initialize()
        x = nd.array([[2.], [6.]])
        layer(x)
        layer.gamma.set_data(nd.array([7.]))
        step(layer, x)
        nd.waitall()
        written[step.__name__] = {name: p.data().asscalar().item()
                                  for name, p in layer._collect_params_with_prefix().items()}
    return {'before': {'gamma': 7., 'beta': 0., 'running_mean': 0., 'running_var': 1.},
            'x': [[2.], [6.]], 'kwargs': {'momentum': 0.5, 'scale': False}, 'after': written}


def activation_of(name):
    """At places that no test of values can hold: MXNet's answers and slopes as strings."""
    x = nd.array([0., np.inf, -np.inf, np.nan])
    x.attach_grad()
    with autograd.record():
        out = gluon.nn.Activation(name)(x)
    out.backward()
    return {'x': ['0', 'inf', '-inf', 'nan'], 'out': [str(v) for v in out.asnumpy()],
            'grad': [str(v) for v in x.grad.asnumpy()]}


def notes():
    return {
        'activations': {name: activation_of(name)
                        for name in ['relu', 'sigmoid', 'tanh', 'softrelu', 'softsign']},
        'activation_unknown': error(lambda: gluon.nn.Activation('gelu')(nd.ones(1))),
        'batchnorm_updates': batchnorm_updates(),
        'conv_nhwc': nhwc_convolution(),
        'dense_float64_input': error(lambda: call_new(gluon.nn.Dense(2), nd.ones((1, 3), dtype='float64'))),
        'pool_larger_than_input': error(lambda: gluon.nn.MaxPool2D(3)(nd.ones((1, 1, 2, 4)))),
        'pool_wrong_rank': error(lambda: gluon.nn.MaxPool2D()(nd.ones((1, 4, 4)))),
    }


def call_new(layer, x):
    layer.initialize()
    layer(x)


def write_json(path, tables):
    """JSON with one line per row, so that a diff shows what changed."""
    def text(value):
        return json.dumps(value, default=lambda initializer: initializer.dumps())

    def rows(table):
        if isinstance(table, dict):
            return '{\n' + ',\n'.join('  %s: %s' % (text(k), text(v)) for k, v in table.items()) + '\n }'
        if isinstance(table, list):
            return '[\n' + ',\n'.join('  ' + text(row) for row in table) + '\n ]'
        return text(table)

    body = ',\n'.join(' %s: %s' % (text(k), rows(v)) for k, v in tables.items())
    path.write_text('{\n' + body + '\n}\n')


def main():
    assert mx.__version__ == '1.9.1', mx.__version__
    arrays, descriptions = {}, {}
    with multiprocessing.get_context('spawn').Pool(1) as with_onednn:
        answers = [with_onednn.apply(record, [case]) if case.onednn else record(case) for case in LAYERS]
    for case, (fields, descriptions[case.name]) in zip(LAYERS, answers):
        arrays.update({case.name + '/' + field: value for field, value in fields.items()})
    layers = {*ELSEWHERE, *(n for n in gluon.nn.__dict__ if is_layer(n))}
    np.savez_compressed(HERE / 'layers.npz', **arrays)
    write_json(HERE / 'layers.json', {
        'mxnet': mx.__version__, 'cases': descriptions,
        'signatures': {name: signature(class_of(name)) for name in sorted(layers)}, 'notes': notes()})


def is_layer(name):
    value = getattr(gluon.nn, name)
    return inspect.isclass(value) and issubclass(value, gluon.Block) and not name.startswith('_')


if __name__ == '__main__':
    main()
