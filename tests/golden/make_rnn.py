"""Records what MXNet's recurrent layers and cells compute: `rnn.npz` and `rnn.json`.

Run as make_golden.py, whose docstring says where, over the table in rnn_cases.py. Each case has arrays `case/field`:

    x, s0, s1, ...                     what goes in: a sequence of STEPS steps in the case's layout, the first states
    param/NAME                         NAME as the class registers it; for cells that is what `save_parameters` writes
    cotangent, cotangent_s0, ...       of the outputs and the last states
    WAY/out, WAY/s0, ...               answers
    WAY/grad_x, WAY/grad_s0, ..., WAY/grad/NAME

There are four ways, and `differentiated` says which have gradients: `begin` starts from zeros, `states` from the
states given, `lengths` from them too with the valid lengths LENGTHS, and for cells `step` makes one step, with the
first input.

MXNet's fused operator ignores lengths and state clipping on CPUs, and cannot train with a projection there. So the
layers' answers are those of the same cells, unrolled; where the operator works, this script checks that it agrees.

`rnn.json` has the parameters as in layers.json, with the names in files; constructor and method arguments; and the
types that `unroll` returns.
"""
import inspect
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zlib

# Cells run on MXNet's plain CPU code, as in make_golden.py; the fused operator has none in this build. So layers and
# cells have a process each.
os.environ['MXNET_MKLDNN_ENABLED'] = '0' if 'cells' in sys.argv else '1'
os.environ['MXNET_STORAGE_FALLBACK_LOG_VERBOSE'] = '0'

import mxnet as mx
import numpy as np
from mxnet import autograd, nd
from mxnet.gluon import rnn
from mxnet.gluon.contrib import rnn as contrib

from rnn_cases import CELLS, LAYERS, LENGTHS, STEPS, differentiated

HERE = pathlib.Path(__file__).parent
ROWS = {'signatures', 'methods', 'cases', 'unroll_returns'}


def draw(name, shape):
    """The same numbers for the same name, whatever else is in the table."""
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype('float32')


def class_of(name):
    return getattr(rnn, name, None) or getattr(contrib, name)


def build(case):
    cells = [build(child) for child in case.children]
    if case.layer == 'SequentialRNNCell':
        stack = rnn.SequentialRNNCell()
        for cell in cells:
            stack.add(cell)
        return stack
    return class_of(case.layer)(*cells, *case.args, **case.kwargs)


def unfused(layer):
    """The layer as cells that share its parameters."""
    if not layer._projection_size:
        return layer._unfuse()
    stack = rnn.HybridSequentialRNNCell(prefix=layer.prefix, params=layer.params)
    with stack.name_scope():  # the cells' parameters are the layer's, by name
        for i in range(layer._num_layers):
            cells = [contrib.LSTMPCell(layer._hidden_size, layer._projection_size, prefix='%s%d_' % (side, i))
                     for side in 'lr'[:layer._dir]]
            stack.add(rnn.BidirectionalCell(*cells) if len(cells) == 2 else cells[0])
    return stack


def per_layer(states, layer):
    """A layer's stacked states as the list that its cells take."""
    return [state[i] for i in range(layer._num_layers * layer._dir) for state in states]


def stacked(states, layer):
    kinds = len(layer.state_info())
    return [nd.stack(*states[kind::kinds], axis=0) for kind in range(kinds)]


def differentiate(run, x, states, params, cotangents, train):
    """The fields of one way: run(x, states) -> output, last states."""
    for array in [x] + states:
        array.attach_grad()
    with autograd.record(train_mode=train):
        out, last = run(x, states)
        total = (out * cotangents[0]).sum()
        for state, cotangent in zip(last, cotangents[1:]):
            total = total + (state * cotangent).sum()
    total.backward(train_mode=train)
    nd.waitall()
    fields = {'out': out.asnumpy(), 'grad_x': x.grad.asnumpy()}
    fields.update({'s%d' % i: state.asnumpy() for i, state in enumerate(last)})
    fields.update({'grad_s%d' % i: state.grad.asnumpy() for i, state in enumerate(states)})
    fields.update({'grad/' + name: p.grad().asnumpy() for name, p in params.items()})
    return fields


def agree(mine, other, name):
    assert mine.keys() == other.keys(), name
    for field in mine:
        np.testing.assert_allclose(mine[field], other[field], 1e-4, 1e-5, err_msg=name + ' ' + field)


def record_layer(case):
    layer = build(case)
    layer.initialize()
    layout = layer._layout
    x = draw(case.name + '/x', (STEPS, 3, 2) if layout == 'TNC' else (3, STEPS, 2))
    layer(nd.array(x))  # completes the shapes
    params = layer._reg_params
    infos = [info['shape'] for info in layer.state_info(3)]
    states = [draw('%s/s%d' % (case.name, i), shape) for i, shape in enumerate(infos)]

    def fused(x, states):
        return layer(x, states)

    def cells(x, states, **more):
        out, last = unfused(layer).unroll(STEPS, x, per_layer(states, layer), layout, True, **more)
        return out, stacked(last, layer)

    def cells_with_lengths(x, states):
        """Cell by cell: MXNet's own stack cannot hand on masked outputs of bidirectional cells."""
        states, last = per_layer(states, layer), []
        for cell in unfused(layer)._children.values():
            count = len(cell.state_info())
            x, new = cell.unroll(STEPS, x, states[:count], layout, True, nd.array(LENGTHS))
            states, last = states[count:], last + new
        return x, stacked(last, layer)

    ways = {'begin': cells, 'states': cells, 'lengths': cells_with_lengths}
    fields, description = record(case, x, states, params, ways, None if layer._projection_size else fused)
    files = layer._collect_params_with_prefix()
    if not layer._projection_size:  # with a projection, MXNet's own names differ from its parameters'
        named = {id(p): name for name, p in files.items()}
        description['files'] = [named[id(p)] for p in params.values()]
    return fields, description


def record_cell(case):
    cell = build(case)
    cell.initialize()
    axis = case.layout.index('T')
    x = np.stack([draw('%s/x%d' % (case.name, i), case.step) for i in range(STEPS)], axis)
    infos = [info['shape'] for info in cell.state_info(3)]
    states = [draw('%s/s%d' % (case.name, i), shape) for i, shape in enumerate(infos)]

    def unroll(x, states, **more):
        return cell.unroll(STEPS, x, states, case.layout, True, **more)

    def step(x, states):
        cell.reset()
        return cell(nd.take(x, nd.array([0]), axis=axis).squeeze(axis=axis), states)

    unroll(nd.array(x), [nd.array(s) for s in states])
    ways = {'begin': unroll, 'states': unroll,
            'lengths': lambda x, states: unroll(x, states, valid_length=nd.array(LENGTHS))}
    if case.steps:
        ways['step'] = step
    return record(case, x, states, cell._collect_params_with_prefix(), ways)


def record(case, x, states, params, ways, fused=None):
    before = {name: draw(case.name + '/' + name, p.shape) for name, p in params.items()}
    for name, p in params.items():
        p.set_data(nd.array(before[name]))
    fields = {'x': x}
    fields.update({'s%d' % i: state for i, state in enumerate(states)})
    fields.update({'param/' + name: value for name, value in before.items()})
    random = any(word in case.name for word in ('dropout', 'zoneout', 'variational', 'sequential', 'nested'))
    for way, run in ways.items():
        def arrays(way=way):
            return nd.array(x), [nd.array(s * (way != 'begin')) for s in states]

        outputs = run(*arrays())
        shapes = [outputs[0].shape] + [s.shape for s in outputs[1]]
        cotangents = [draw('%s/cotangent%d' % (case.name, i), shape) for i, shape in enumerate(shapes)]
        if way == 'states':
            fields.update({'cotangent' + ('_s%d' % (i - 1) if i else ''): c for i, c in enumerate(cotangents)})
        cotangents = [nd.array(c) for c in cotangents]
        answers = differentiate(run, *arrays(), params, cotangents, False)
        np.testing.assert_array_equal(answers['out'], outputs[0].asnumpy(), case.name)
        if not random:
            agree(differentiate(run, *arrays(), params, cotangents, True), answers, case.name)
        if fused and way != 'lengths':
            agree(differentiate(fused, *arrays(), params, cotangents, True), answers, case.name + ' fused')
        if not differentiated(case, way):
            answers = {field: value for field, value in answers.items() if not field.startswith('grad')}
        fields.update({way + '/' + field: value for field, value in answers.items()})
    return fields, {'params': [
        {'name': name, 'shape': list(p.shape), 'dtype': np.dtype(p.dtype).name, 'grad_req': p.grad_req}
        for name, p in params.items()]}


def returned(case):
    """Whether `unroll` returns one array: by merge_outputs, whether the input is one, whether there are lengths."""
    def is_array(merge, whole, lengths):
        cell = build(case)
        cell.initialize()
        x = [nd.ones(case.step)] * STEPS
        x = nd.stack(*x, axis=case.layout.index('T')) if whole else x
        try:
            out = cell.unroll(STEPS, x, None, case.layout, merge, nd.array(LENGTHS) if lengths else None)[0]
            nd.waitall()
        except mx.MXNetError:
            return None  # MXNet cannot
        return not isinstance(out, (list, tuple))

    return {'%s %s %s' % (merge, 'array' if whole else 'list', 'lengths' if lengths else 'all'):
            is_array(merge, whole, lengths)
            for merge in (None, True, False) for whole in (True, False) for lengths in (False, True)}


def arguments(function):
    """[name, default] of each argument in order; only [name] where there is no default."""
    found = list(inspect.signature(function).parameters.values())[1:]
    return [[a.name] if a.default is a.empty else [a.name, getattr(a.default, '__name__', a.default)]
            for a in found if a.kind is not a.VAR_KEYWORD]


def classes():
    for home, names in ((rnn, rnn.rnn_layer.__all__ + rnn.rnn_cell.__all__),
                        (contrib, contrib.rnn_cell.__all__ + contrib.conv_rnn_cell.__all__)):
        yield from ((name, getattr(home, name)) for name in names)


def write_json(path, tables):
    """JSON with one line per row, so that a diff shows what changed."""
    def rows(table):
        return '{\n' + ',\n'.join('  %s: %s' % (json.dumps(k), json.dumps(v)) for k, v in table.items()) + '\n }'

    body = ',\n'.join(' %s: %s' % (json.dumps(k), rows(v) if k in ROWS else json.dumps(v)) for k, v in tables.items())
    path.write_text('{\n' + body + '\n}\n')


def recorded(part):
    """The fields and descriptions of one part, computed in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / part
        subprocess.run([sys.executable, __file__, part, str(path)], check=True)
        return pickle.loads(path.read_bytes())


def record_part(part, path):
    fields, descriptions, returns = {}, {}, {}
    for case in {'layers': LAYERS, 'cells': CELLS}[part]:
        arrays, descriptions[case.name] = (record_layer if part == 'layers' else record_cell)(case)
        fields.update({case.name + '/' + field: value for field, value in arrays.items()})
        if part == 'cells' and not case.name.startswith('conv'):
            returns[case.name] = returned(case)
    pathlib.Path(path).write_bytes(pickle.dumps((fields, descriptions, returns)))


def main():
    assert mx.__version__ == '1.9.1', mx.__version__
    fields, descriptions, returns = {}, {}, {}
    for part in ('layers', 'cells'):
        for whole, more in zip((fields, descriptions, returns), recorded(part)):
            whole.update(more)
    np.savez_compressed(HERE / 'rnn.npz', **fields)
    write_json(HERE / 'rnn.json', {
        'mxnet': mx.__version__, 'cases': descriptions,
        'signatures': {name: arguments(cls.__init__) for name, cls in classes()},
        'methods': {name: arguments(getattr(rnn.RecurrentCell, name)) for name in
                    ('unroll', 'begin_state', 'state_info', 'forward')},
        'unroll_returns': returns})


if __name__ == '__main__':
    record_part(*sys.argv[1:]) if sys.argv[1:] else main()
