"""Writes MXNet's own answers for the tables of cases: operators.npz for operator_cases.py, and so on.

Run it as make_golden.py says, with the names of tables, or without any for all of them. Keys are
'family number operator out0' for outputs, 'grad0' for the gradient of an input, and 'aux3' for the new value of an
auxiliary state.
"""

import ctypes
import importlib
import json
import pathlib
import sys

import mxnet as mx
import numpy as np

from mxnet import autograd
from mxnet._ctypes.ndarray import _imperative_invoke
from mxnet.base import OpHandle, _LIB, c_str, check_call

TABLES = ['operator_cases' + part for part in ('', '_contrib', '_numpy', '_update', '_vision')]
SCRATCH = [('BatchNorm', 1), ('_adamw_update', 1)]  # that MXNet overwrites: a fixed gamma, a gradient


def cotangent(shape, number):
    return np.cos(np.arange(int(np.prod(shape)), dtype='float32') + number).reshape(shape)


def outputs_of(case, inputs):
    """Arrays for the outputs of steps of many weights, whose shapes MXNet does not infer; None for others."""
    count = case.attributes.get('num_weights', case.attributes.get('num_tensors'))
    return [mx.nd.zeros_like(x) for x in inputs[::len(inputs) // count][:count]] if count else None


def invoke(case, inputs):
    handle = OpHandle()
    check_call(_LIB.NNGetOpHandle(c_str(case.operator), ctypes.byref(handle)))
    keys, texts = list(case.attributes), [str(value) for value in case.attributes.values()]
    result = _imperative_invoke(handle.value, inputs, keys, texts, outputs_of(case, inputs), False, False)
    return list(result) if isinstance(result, (list, tuple)) else [result]


def answers(case, index):
    inputs = [mx.nd.array(x, dtype=x.dtype) for x in case.inputs(index)]
    before = [x.asnumpy() for x in inputs]
    wanted = [i for i, x in enumerate(before) if x.dtype.kind == 'f' and (case.grad is None or i < case.grad)]
    for i in wanted:
        inputs[i].attach_grad()
    with autograd.record(train_mode=case.training):
        outputs = invoke(case, inputs)
    for i, output in enumerate(outputs):
        yield 'out{}'.format(i), output.asnumpy()
    if wanted:
        autograd.backward(outputs, [mx.nd.array(cotangent(y.shape, i), dtype=y.dtype) for i, y in enumerate(outputs)],
                          train_mode=case.training)
        for i in wanted:
            yield 'grad{}'.format(i), inputs[i].grad.asnumpy()
    for i, (x, old) in enumerate(zip(inputs, before)):
        if not np.array_equal(x.asnumpy(), old, equal_nan=True) and (case.operator, i) not in SCRATCH:
            yield 'aux{}'.format(i), x.asnumpy()


def write(table):
    found = {}
    for name, cases in importlib.import_module(table).FAMILIES.items():
        for index, case in enumerate(cases):
            label = '{} {} {}'.format(name, index, case.operator)
            try:
                with mx.util.np_shape('_np' in case.operator):
                    found.update({'{} {}'.format(label, what): value for what, value in answers(case, index)})
            except Exception as error:
                print('FAILED', label, case.attributes, str(error)[-300:], file=sys.stderr)
    path = pathlib.Path(__file__).with_name(table.replace('operator_cases', 'operators') + '.npz')
    np.savez_compressed(path, **found)
    print(path.name, len(found), 'arrays')


def declared(name):
    """The operator that a name stands for, and its attributes: name, type and default as MXNet writes them."""
    handle, text, count = OpHandle(), ctypes.c_char_p, ctypes.c_uint32()
    check_call(_LIB.NNGetOpHandle(c_str(name), ctypes.byref(handle)))
    real, about, key, result = text(), text(), text(), text()
    names, types, texts = (ctypes.POINTER(text)() for _ in range(3))
    check_call(_LIB.MXSymbolGetAtomicSymbolInfo(handle, *map(ctypes.byref, (
        real, about, count, names, types, texts, key, result))))
    pairs = [(names[i].decode(), types[i].decode()) for i in range(count.value)]
    return {'name': real.value.decode(),
            'inputs': [key for key, kind in pairs if 'NDArray' in kind or 'Symbol' in kind],
            'attributes': {key: kind for key, kind in pairs if 'NDArray' not in kind and 'Symbol' not in kind}}


def write_declarations():
    count, names = ctypes.c_uint32(), ctypes.POINTER(ctypes.c_char_p)()
    check_call(_LIB.MXListAllOpNames(ctypes.byref(count), ctypes.byref(names)))
    chosen = sorted(name for name in (names[i].decode() for i in range(count.value)) if 'backward' not in name)
    lines = ['{}: {}'.format(json.dumps(name), json.dumps(declared(name), sort_keys=True)) for name in chosen]
    pathlib.Path(__file__).with_name('operators.json').write_text('{\n' + ',\n'.join(lines) + '\n}\n')


def main():
    if not sys.argv[1:]:
        write_declarations()
    for table in sys.argv[1:] or TABLES:
        write(table)


if __name__ == '__main__':
    main()
