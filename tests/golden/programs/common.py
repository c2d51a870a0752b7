"""What programs share. `mx` is MXNet or gluonjax.mx; random numbers are NumPy's, as those of `mx` differ."""

import numpy as np


def draw(seed, *shape):
    """Normally distributed numbers."""
    return np.random.RandomState(seed).randn(*shape).astype('float32')


def numbers(**answers):
    """The answers as arrays of NumPy."""
    return {name: value.asnumpy() if hasattr(value, 'asnumpy') else value for name, value in answers.items()}


def batches(mx, size, *arrays):
    """Tuples of some rows of each array, in order."""
    for start in range(0, len(arrays[0]), size):
        rows = mx.nd.array(range(start, min(start + size, len(arrays[0]))))
        yield tuple(array.take(rows) for array in arrays)


def sgd(params, lr, batch_size):
    """A step of gradient descent, in place."""
    for param in params:
        param[:] = param - lr * param.grad / batch_size


def set_all(mx, net, scale=0.4):
    """Sets all parameters to numbers that their names decide."""
    array = mx.np.array if mx.util.is_np_array() else mx.nd.array
    for name, parameter in sorted(net.collect_params().items()):
        if parameter.grad_req != 'null':
            parameter.set_data(array(scale * draw(sum(map(ord, name)), *parameter.shape)))


def answers_of(net):
    """The values of all parameters."""
    return {name: parameter.data().asnumpy() for name, parameter in net.collect_params().items()}


def digest(net):
    """Two numbers for each parameter, in order: its projections on two random directions."""
    found = []
    for i, parameter in enumerate(net.collect_params().values()):
        value = parameter.data().asnumpy().reshape(-1)
        found.append([value.dot(draw(2 * i, value.size)), value.dot(draw(2 * i + 1, value.size))])
    return np.array(found)


def in_numpy(program):
    """A program of NumPy's dialect: `npx.set_np()` is on around it."""

    def run(mx):
        mx.npx.set_np()
        try:
            answers = program(mx)
        finally:
            mx.npx.reset_np()
        return {name: value.asnumpy() if hasattr(value, 'asnumpy') else value for name, value in answers.items()}

    run.__name__ = program.__name__
    return run
