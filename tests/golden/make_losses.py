"""Records what MXNet's own losses compute: `losses.npz` and `losses.json`.

Runs in the environment that `make_golden.py` describes:

    mxnet-env/bin/python tests/golden/make_losses.py

`losses.npz` has the arrays of each case of `loss_cases.py` under `case/field`:

    in/ARGUMENT, cotangent     what went in
    out, grad/ARGUMENT         what came out; gradients are those of sum(out * cotangent)

`losses.json` has the public names of the module; each class's constructor arguments as in `layers.json`; the arguments
of each class's call; and what was measured and belongs to no case.
"""
import inspect
import pathlib

from make_golden import draw, error, signature, write_json  # first: it chooses MXNet's CPU code

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon, nd
from mxnet.gluon import loss as losses

from loss_cases import LOSSES

HERE = pathlib.Path(__file__).parent


def make_input(name, shape, dtype, kind):
    if kind[0] == 'normal':
        return draw(name, shape)
    if kind[0] == 'uniform':
        return (0.1 + 0.8 / (1 + np.exp(-2 * draw(name, shape)))).astype('float32')
    return np.array(kind[1:], dtype).reshape(shape)


def call_arguments(cls):
    return list(inspect.signature(cls.hybrid_forward).parameters)[2:]


def record(case):
    cls = getattr(losses, case.loss)
    fields, arguments, wanted = {}, {}, {}
    for name, spec in case.inputs.items():
        if isinstance(spec, float):
            arguments[name] = spec
            continue
        value = make_input('%s/%s' % (case.name, name), *spec)
        fields['in/' + name] = value
        arguments[name] = nd.array(value, dtype=value.dtype)
        if case.gradients and spec[2][0] != 'fixed':
            arguments[name].attach_grad()
            wanted[name] = arguments[name]
    given = [name for name in call_arguments(cls) if name in arguments]
    order = call_arguments(cls)[:call_arguments(cls).index(given[-1]) + 1]
    loss = cls(**case.kwargs)

    def call():
        return loss(*[arguments.get(name) for name in order])

    out = call()
    fields['out'] = out.asnumpy()
    if case.gradients:
        fields['cotangent'] = draw(case.name + '/cotangent', out.shape)
        with autograd.record():
            out = call()
            total = (out * nd.array(fields['cotangent'])).sum()
        total.backward()
        fields.update({'grad/' + name: x.grad.asnumpy() for name, x in wanted.items()})
    return fields


def text(array):
    return [str(value) for value in array.asnumpy().ravel()]


def answer(loss, *inputs, wrt=0):
    """What comes out, and the gradient of one input, as strings: they may be no numbers."""
    inputs = [x if x is None else nd.array(x) for x in inputs]
    inputs[wrt].attach_grad()
    with autograd.record():
        out = loss(*inputs)
    out.backward()
    return {'shape': list(out.shape), 'out': text(out), 'grad': text(inputs[wrt].grad)}


def notes():
    """Where MXNet refuses, or where its answer is not one to follow."""
    two, ones = [[0., 1.], [2., 3.]], nd.ones((2, 2))
    return {
        'sigmoid_at_zero': answer(losses.SigmoidBCELoss(), [[0.]], [[0.]]),
        'logistic_at_zero': answer(losses.LogisticLoss(), [[0.]], [[1.]]),
        'cosine_of_zero': answer(losses.CosineEmbeddingLoss(), [[0., 0.]], [[1., 2.]], [1.]),
        'sdml_of_one': answer(losses.SDMLLoss(), [[1., 2.]], [[1., 2.]]),
        'sdml_weight': answer(losses.SDMLLoss(weight=5.), two, [[1., 1.], [0., 0.]])['out']
        == answer(losses.SDMLLoss(), two, [[1., 1.], [0., 0.]])['out'],
        'poisson_full_of_zero': text(losses.PoissonNLLLoss(compute_full=True)(nd.zeros((1, 1)), nd.zeros((1, 1)))),
        'poisson_full_gradient': error(
            lambda: answer(losses.PoissonNLLLoss(compute_full=True), [[1.]], [[2.]])),
        'softmax_weight_enlarges': answer(losses.SoftmaxCELoss(), two, [0, 1], [1., 10.]),
        'softmax_plain': answer(losses.SoftmaxCELoss(), two, [0, 1]),
        'ctc_weight_enlarges': answer(losses.CTCLoss(), [two, two], [[0], [0]], None, None, [[1.], [2.]])['shape'],
        'ctc_label_longer': error(lambda: losses.CTCLoss()(nd.ones((1, 2, 3)), nd.array([[0, -1, -1]]))),
        'label_of_another_size': error(lambda: losses.L2Loss()(ones, nd.ones((3,)))),
        'label_of_integers': error(lambda: losses.L2Loss()(ones, nd.ones((2, 2), dtype='int32'))),
        'label_format': error(lambda: losses.LogisticLoss(label_format='other')),
        'layout': error(lambda: losses.CTCLoss(layout='CTN')),
        'weight': error(lambda: losses.L1Loss(weight='1')(ones, ones)),
        'batch_axis': error(lambda: losses.L1Loss(batch_axis=2)(ones, ones)),
    }


def main():
    assert mx.__version__ == '1.9.1', mx.__version__
    arrays = {}
    for case in LOSSES:
        arrays.update({case.name + '/' + field: value for field, value in record(case).items()})
    classes = {name: getattr(losses, name) for name in losses.__all__}
    np.savez_compressed(HERE / 'losses.npz', **arrays)
    write_json(HERE / 'losses.json', {
        'mxnet': mx.__version__, 'names': sorted(losses.__all__),
        'signatures': {name: signature(cls) for name, cls in sorted(classes.items())},
        'calls': {name: call_arguments(cls) for name, cls in sorted(classes.items()) if name != 'Loss'},
        'notes': notes()})


if __name__ == '__main__':
    assert gluon.loss is losses
    main()
