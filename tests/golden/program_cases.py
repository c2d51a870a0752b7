"""Small programs as MXNet's users write them: functions of `mx`, which is MXNet or gluonjax.mx.

Each gives a dict of NumPy's arrays or numbers. They draw nothing by `mx` itself, as random numbers differ. The syntax is
that of Python 3.8, which MXNet needs.
"""

import numpy as np


def draw(seed, *shape):
    return np.random.RandomState(seed).randn(*shape).astype('float32')


def linear_regression(mx):
    """From scratch, by minibatch gradient descent in place."""
    features = mx.nd.array(draw(0, 40, 2))
    labels = mx.nd.dot(features, mx.nd.array([2, -3.4])) + 4.2 + 0.01 * mx.nd.array(draw(1, 40))
    w, b = mx.nd.array(0.01 * draw(2, 2, 1)), mx.nd.zeros(shape=(1,))
    w.attach_grad()
    b.attach_grad()
    losses = []
    for _ in range(2):
        for i in range(0, 40, 16):
            j = mx.nd.array(list(range(i, min(i + 16, 40))))
            x, y = features.take(j), labels.take(j)
            with mx.autograd.record():
                loss = (mx.nd.dot(x, w) + b - y.reshape((-1, 1))) ** 2 / 2
            loss.backward()
            for parameter in (w, b):
                parameter[:] = parameter - 0.3 * parameter.grad / len(j)
        with mx.autograd.pause():
            losses.append(float(((mx.nd.dot(features, w) + b - labels.reshape((-1, 1))) ** 2).mean().asscalar()))
    return {'losses': losses, 'w': w.asnumpy(), 'b': b.asnumpy()}


def softmax_regression(mx):
    """From scratch: exp, a sum with keepdims, pick and log."""
    x, y = mx.nd.array(draw(3, 12, 4)), mx.nd.array(np.arange(12) % 3)
    w, b = mx.nd.array(0.1 * draw(4, 4, 3)), mx.nd.zeros(3)
    for parameter in (w, b):
        parameter.attach_grad()
    losses = []
    for _ in range(3):
        with mx.autograd.record():
            scores = (mx.nd.dot(x.reshape((-1, 4)), w) + b).exp()
            predicted = scores / scores.sum(axis=1, keepdims=True)
            loss = -mx.nd.pick(predicted, y).log()
        loss.backward()
        for parameter in (w, b):
            parameter -= 0.1 * parameter.grad
        losses.append(loss.mean().asscalar())
    accuracy = (predicted.argmax(axis=1) == y.astype('float32')).mean().asscalar()
    return {'losses': losses, 'w': w.asnumpy(), 'accuracy': accuracy, 'grad': b.grad.asnumpy()}


def gru(mx):
    """A language model from scratch; the state is carried over and detached, gradients are clipped."""
    vocabulary, hidden = 5, 3
    weights = [mx.nd.array(0.4 * draw(10 + i, vocabulary if i < 3 else hidden, hidden)) for i in range(6)]
    weights += [mx.nd.zeros(hidden) for _ in range(3)] + [mx.nd.array(draw(20, hidden, vocabulary)), mx.nd.zeros(5)]
    for parameter in weights:
        parameter.attach_grad()
    xz, xr, xh, hz, hr, hh, bz, br, bh, out, bias = weights
    text = mx.nd.array(np.random.RandomState(5).randint(0, vocabulary, (2, 9)))
    state, losses = mx.nd.zeros((2, hidden)), []
    for start in range(0, 8, 4):
        state = state.detach()
        with mx.autograd.record():
            outputs = []
            for x in mx.nd.one_hot(text[:, start : start + 4].T, vocabulary):
                z = mx.nd.sigmoid(mx.nd.dot(x, xz) + mx.nd.dot(state, hz) + bz)
                r = mx.nd.sigmoid(mx.nd.dot(x, xr) + mx.nd.dot(state, hr) + br)
                new = mx.nd.tanh(mx.nd.dot(x, xh) + mx.nd.dot(r * state, hh) + bh)
                state = z * state + (1 - z) * new
                outputs.append(mx.nd.dot(state, out) + bias)
            scores = mx.nd.concat(*outputs, dim=0)
            labels = text[:, start + 1 : start + 5].T.reshape((-1,))
            loss = -mx.nd.log_softmax(scores).pick(labels).mean()
        loss.backward()
        norm = mx.nd.array([0])
        for parameter in weights:
            norm += (parameter.grad ** 2).sum()
        norm = norm.sqrt().asscalar()
        for parameter in weights:
            if norm > 0.2:
                parameter.grad[:] *= 0.2 / norm
            parameter[:] -= 2 * parameter.grad
        losses.append(loss.asscalar())
    return {'losses': losses, 'xz': xz.asnumpy(), 'hh': hh.asnumpy(), 'state': state.asnumpy()}


def arrays(mx):
    """What arrays are like: shapes, types, views, codes of shapes, comparisons."""
    x = mx.nd.arange(12).reshape((3, 4))
    row, flat, copy = x[1], x.reshape((-1,)), x[:, 1:3]
    row[:] = -1
    flat[0] = 50
    copy[:] = 9
    x[2, 1:3] = mx.nd.array([7, 8])
    x[0:1] += 1
    answers = {'written': x, 'row': row, 'flat': flat, 'copy': copy, 'one': x[2, 3], 'sum': x.sum()}
    x[mx.nd.array([0, 2])] = 0
    answers.update(picked=x[mx.nd.array([2, 1]), mx.nd.array([0, 3])], step=x[::2, ::-1], rows=x[mx.nd.array([1, 1])])
    whole = mx.nd.array([7, -7, 9], dtype='int32')
    answers.update(divided=whole / 2, remainder=whole % 4, less=x < 1, same=whole == 7, mixed=2 - whole, power=2 ** x)
    answers.update(codes=x.reshape((0, -4, 2, -1)), joined=x.reshape(-3), top=x.topk(k=2), swap=x.T, norm=x.norm())
    answers.update(array=mx.nd.array(np.arange(3)), full=mx.nd.full((1, 2), 7), halves=x.astype('float16'))
    answers.update(clip=x.clip(-1, 2), maximum=mx.nd.maximum(x, 3), split=mx.nd.split(x, 2, axis=1)[1])
    answers.update(stack=mx.nd.stack(row, row, axis=1))
    return {name: value.asnumpy() for name, value in answers.items()}


def gradients(mx):
    """What the tape does: requests, head gradients, retained graphs, second derivatives, cut graphs, slices."""
    x, answers = mx.nd.array([1, 2, 3]), {}
    x.attach_grad('add')
    for _ in range(2):
        with mx.autograd.record():
            y = x * x
        y.backward(mx.nd.array([1, 10, 100]))
    answers['added'] = x.grad.asnumpy()
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.concat(x[2:], x[:2] * 3, dim=0)
        z = (y * mx.nd.BlockGrad(x) + x.detach() * x).sum()
    z.backward(retain_graph=True)
    answers['slices'] = x.grad.asnumpy()
    z.backward()
    answers['again'] = x.grad.asnumpy()
    with mx.autograd.record():
        slope = mx.autograd.grad(x.sin().exp(), x, create_graph=True, retain_graph=True)[0]
    slope.backward()
    answers['second'] = x.grad.asnumpy()
    weight = mx.nd.array([[1, 2], [3, 4]])
    buffer = mx.nd.zeros((2, 2))
    mx.autograd.mark_variables([weight], [buffer])
    with mx.autograd.record(train_mode=False):
        a, b = weight.split(2, axis=0)
        head = mx.nd.Dropout(a * 2, p=0.5) + b[0, 1]
    mx.autograd.backward([head, a])
    answers['marked'] = buffer.asnumpy()
    return answers


PROGRAMS = [linear_regression, softmax_regression, gru, arrays, gradients]
