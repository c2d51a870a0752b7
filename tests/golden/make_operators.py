"""Writes operators.npz: MXNet's own answers for the cases in operator_cases.py.

Run it as make_golden.py says. Keys are 'family number operator out0' for outputs, 'grad0' for the gradient of an input,
and 'aux3' for the new value of an auxiliary state.
"""

import pathlib
import sys

import mxnet as mx
import numpy as np

import operator_cases
from mxnet import autograd


def cotangent(shape, number):
    return np.cos(np.arange(int(np.prod(shape)), dtype='float32') + number).reshape(shape)


def function(name):
    for place in (mx.nd, mx.nd.op, mx.nd._internal, mx.nd.contrib, mx.nd.linalg):
        for spelled in (name, name.replace('_contrib_', '').replace('_linalg_', '')):
            if hasattr(place, spelled):
                return getattr(place, spelled)
    raise KeyError(name)


def answers(case, index):
    inputs = [mx.nd.array(x, dtype=x.dtype) for x in case.inputs(index)]
    before = [x.asnumpy() for x in inputs]
    wanted = [i for i, x in enumerate(before) if x.dtype.kind == 'f' and (case.grad is None or i < case.grad)]
    for i in wanted:
        inputs[i].attach_grad()
    with autograd.record(train_mode=case.training):
        outputs = function(case.operator)(*inputs, **case.attributes)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    for i, output in enumerate(outputs):
        yield 'out{}'.format(i), output.asnumpy()
    if wanted:
        autograd.backward(outputs, [mx.nd.array(cotangent(y.shape, i), dtype=y.dtype) for i, y in enumerate(outputs)],
                          train_mode=case.training)
        for i in wanted:
            yield 'grad{}'.format(i), inputs[i].grad.asnumpy()
    for i, (x, old) in enumerate(zip(inputs, before)):
        if not np.array_equal(x.asnumpy(), old) and (case.operator, i) != ('BatchNorm', 1):  # it sets a fixed gamma to 1
            yield 'aux{}'.format(i), x.asnumpy()


def main():
    found = {}
    for name, cases in operator_cases.FAMILIES.items():
        for index, case in enumerate(cases):
            label = operator_cases.key(name, index)
            try:
                found.update({'{} {}'.format(label, what): value for what, value in answers(case, index)})
            except Exception as error:
                print('FAILED', label, case.attributes, str(error)[:300], file=sys.stderr)
    np.savez_compressed(pathlib.Path(__file__).with_name('operators.npz'), **found)
    print(len(found), 'arrays')


if __name__ == '__main__':
    main()
