"""What arrays and the tape are like, and first networks."""

import numpy as np

from .common import answers_of, draw, set_all


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


def gluon_softmax_regression(mx):
    """A Sequential, a loss, the Trainer with a scheduled momentum, and the accuracy."""
    x, y = mx.nd.array(draw(30, 12, 2, 2)), mx.nd.array(np.arange(12) % 3)
    net = mx.gluon.nn.Sequential(prefix='net_')
    with net.name_scope():
        net.add(mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(4, activation='tanh'), mx.gluon.nn.Dense(3))
    net.initialize(mx.init.Normal(0.01), ctx=mx.cpu())
    net(x)
    set_all(mx, net)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5, 'momentum': 0.9, 'wd': 0.01})
    losses = []
    for step in range(4):
        if step == 2:
            trainer.set_learning_rate(trainer.learning_rate / 2)
        with mx.autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(len(x))
        losses.append(value.mean().asscalar())
    accuracy = (net(x).argmax(axis=1) == y).mean().asscalar()
    return dict(answers_of(net), losses=losses, accuracy=accuracy)


def gluon_mlp(mx):
    """A HybridBlock with parameters of its own, a constant and BatchNorm; hybridized, and not: the same."""

    class Scaled(mx.gluon.HybridBlock):
        def __init__(self, units, **kwargs):
            super(Scaled, self).__init__(**kwargs)
            with self.name_scope():
                self.weight = self.params.get('weight', shape=(units, 0), allow_deferred_init=True)
                self.factor = self.params.get_constant('factor', mx.nd.array([2]))

        def hybrid_forward(self, F, x, weight, factor):
            return F.relu(F.broadcast_mul(F.FullyConnected(x, weight, no_bias=True, num_hidden=4), factor))

    class Net(mx.gluon.HybridBlock):
        def __init__(self, **kwargs):
            super(Net, self).__init__(**kwargs)
            with self.name_scope():
                self.scaled = Scaled(4)
                self.norm = mx.gluon.nn.BatchNorm()
                self.output = mx.gluon.nn.Dense(1)

        def hybrid_forward(self, F, x):
            return self.output(F.tanh(self.norm(self.scaled(x))) + 1)

    x, y = mx.nd.array(draw(40, 8, 3)), mx.nd.array(draw(41, 8, 1))
    answers = {}
    for way in ('plain', 'hybrid'):
        net = Net(prefix='mlp_')
        net.initialize()
        net(x)
        set_all(mx, net)
        if way == 'hybrid':
            net.hybridize()
        trainer = mx.gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.1})
        loss, losses = mx.gluon.loss.L2Loss(), []
        for _ in range(3):
            with mx.autograd.record():
                value = loss(net(x), y).mean()
            value.backward()
            trainer.step(1)
            losses.append(value.asscalar())
        answers.update({way + ' ' + name: value for name, value in answers_of(net).items()})
        answers[way + ' losses'], answers[way + ' output'] = losses, net(x).asnumpy()
        for name in sorted(net._collect_params_with_prefix()):
            answers[way + ' place ' + name] = 1.0
    return answers


def gluon_language_model(mx):
    """An Embedding, a GRU and a Dense of all steps; the state is carried over, gradients are clipped."""

    class Model(mx.gluon.Block):
        def __init__(self, **kwargs):
            super(Model, self).__init__(**kwargs)
            with self.name_scope():
                self.embed = mx.gluon.nn.Embedding(6, 3)
                self.rnn = mx.gluon.rnn.GRU(4)
                self.dense = mx.gluon.nn.Dense(6, flatten=False)

        def forward(self, x, state):
            y, state = self.rnn(self.embed(x.T), state)
            return self.dense(y), state

    text = mx.nd.array(np.random.RandomState(6).randint(0, 6, (2, 9)))
    net = Model(prefix='model_')
    net.initialize()
    state, losses = net.rnn.begin_state(batch_size=2), []
    net(text[:, :4], state)
    set_all(mx, net)
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 1})
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for start in (0, 4):
        state = [s.detach() for s in state]
        with mx.autograd.record():
            scores, state = net(text[:, start : start + 4], state)
            value = loss(scores.reshape((-1, 6)), text[:, start + 1 : start + 5].T.reshape((-1,))).mean()
        value.backward()
        mx.gluon.utils.clip_global_norm([p.grad() for p in net.collect_params().values()], 0.3)
        trainer.step(1)
        losses.append(value.asscalar())
    return dict(answers_of(net), losses=losses, state=state[0].asnumpy())


PROGRAMS = [
    linear_regression,
    softmax_regression,
    arrays,
    gradients,
    gluon_softmax_regression,
    gluon_mlp,
    gluon_language_model,
]
