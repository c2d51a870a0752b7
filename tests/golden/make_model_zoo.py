"""Records the parameters and the scores of MXNet's model zoo: `model_zoo.npz`.

Runs in the environment that `make_golden.py` describes, for some minutes:

    mxnet-env/bin/python tests/golden/make_model_zoo.py

    parameters/MODEL    of each model with 1000 classes, the bytes of a text: a line of name, shape and grad_req for
                        each parameter, in MXNet's order; names as `save_parameters` writes them
    scores/MODEL        shape (2, 10): of two images of the size that `model_zoo_cases.py` says, with 10 classes
    scores/SMALL        the same of the small networks
    features/inception  what the first layers of Inception make of small images
"""
import pathlib

from make_golden import nd  # first: it chooses MXNet's CPU code

import mxnet as mx
import numpy as np
from mxnet.gluon.model_zoo.vision import get_model
from mxnet.gluon.model_zoo.vision import densenet, resnet, vgg

from model_zoo_cases import CLASSES, INCEPTION_LAYERS, INCEPTION_SIZE, MODELS, SMALL, image, value

HERE = pathlib.Path(__file__).parent


def class_of(name):
    return next(getattr(module, name) for module in (densenet, resnet, vgg) if hasattr(module, name))


def made(small):
    args = [class_of(arg) if isinstance(arg, str) else arg for arg in small.args]
    return class_of(small.model)(*args, classes=CLASSES, **small.kwargs)


def parameters(model):
    net = get_model(model)
    size = 299 if model == 'inceptionv3' else 224
    net.infer_shape(nd.zeros((1, 3, size, size)))
    lines = ['%s %s %s' % (name, 'x'.join(map(str, p.shape)), p.grad_req)
             for name, p in net._collect_params_with_prefix().items()]
    return np.frombuffer('\n'.join(lines).encode(), 'uint8')


def output(net, size):
    """Of the network with the parameters of the formula."""
    x = nd.array(image(size))
    net.initialize()
    net.infer_shape(x)
    for name, p in net._collect_params_with_prefix().items():
        p._finish_deferred_init()
        p.set_data(nd.array(value(name, p.shape)))
    return net(x).asnumpy()


def main():
    assert mx.__version__ == '1.9.1', mx.__version__
    arrays = {}
    for model, size in MODELS.items():
        arrays['parameters/' + model] = parameters(model)
        arrays['scores/' + model] = output(get_model(model, classes=CLASSES), size)
        print(model, arrays['scores/' + model][0, :4], flush=True)
    for small in SMALL:
        arrays['scores/' + small.name] = output(made(small), small.size)
        print(small.name, arrays['scores/' + small.name][0, :4], flush=True)
    layers = get_model('inceptionv3').features[:INCEPTION_LAYERS]
    arrays['features/inception'] = output(layers, INCEPTION_SIZE)
    np.savez_compressed(HERE / 'model_zoo.npz', **arrays)


if __name__ == '__main__':
    main()
