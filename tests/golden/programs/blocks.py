"""Blocks of one's own, parameters of all kinds, files, and what goes beyond a plain step."""

import os
import tempfile

import numpy as np


from .common import answers_of, digest, draw, numbers, set_all


def own_blocks(mx):
    """Containers, constants, Python's control flow on values, blocks in blocks."""
    nd, nn = mx.nd, mx.gluon.nn

    class MLP(nn.Block):
        def __init__(self, **kwargs):
            super(MLP, self).__init__(**kwargs)
            self.hidden = nn.Dense(6, activation='relu')
            self.output = nn.Dense(4)

        def forward(self, x):
            return self.output(self.hidden(x))

    class InOrder(nn.Block):
        def __init__(self, **kwargs):
            super(InOrder, self).__init__(**kwargs)

        def add(self, block):
            self._children[block.name] = block

        def forward(self, x):
            for block in self._children.values():
                x = block(x)
            return x

    class Fancy(nn.Block):
        def __init__(self, **kwargs):
            super(Fancy, self).__init__(**kwargs)
            self.rand_weight = self.params.get_constant('rand_weight', nd.array(draw(0, 6, 6)))
            self.dense = nn.Dense(6, activation='relu')
            self.rounds = 0

        def forward(self, x):
            x = self.dense(x)
            x = nd.relu(nd.dot(x, self.rand_weight.data()) + 1)
            x = self.dense(x)
            while x.norm().asscalar() > 1:
                x = x / 2
                self.rounds += 1
            if x.norm().asscalar() < 0.8:
                x = x * 10
            return x.sum()

    class Nested(nn.Block):
        def __init__(self, **kwargs):
            super(Nested, self).__init__(**kwargs)
            self.net = nn.Sequential()
            self.net.add(nn.Dense(5, activation='relu'), nn.Dense(6, activation='relu'))
            self.dense = nn.Dense(6, activation='relu')

        def forward(self, x):
            return self.dense(self.net(x))

    class Centered(nn.Block):
        def __init__(self, **kwargs):
            super(Centered, self).__init__(**kwargs)

        def forward(self, x):
            return x - x.mean()

    class Dense(nn.Block):
        def __init__(self, units, in_units, **kwargs):
            super(Dense, self).__init__(**kwargs)
            self.weight = self.params.get('weight', shape=(in_units, units))
            self.bias = self.params.get('bias', shape=(units,))

        def forward(self, x):
            return nd.relu(nd.dot(x, self.weight.data()) + self.bias.data())

    x, answers = nd.array(draw(1, 2, 6)), {}
    in_order = InOrder(prefix='inorder_')
    with in_order.name_scope():
        in_order.add(nn.Dense(6, activation='relu'))
        in_order.add(nn.Dense(3))
    chimera = nn.Sequential(prefix='chimera_')
    with chimera.name_scope():
        chimera.add(Nested(), nn.Dense(6), Fancy())
    layers = nn.Sequential(prefix='layers_')
    with layers.name_scope():
        layers.add(Dense(8, in_units=6), Dense(1, in_units=8), Centered())
    for net in (MLP(prefix='mlp_'), in_order, Fancy(prefix='fancy_'), chimera, layers):
        net.initialize()
        net(x)
        set_all(mx, net)
        with mx.autograd.record():
            y = net(x).sum()
        y.backward()
        answers[net.name] = y
        answers[net.name + ' names ' + ' '.join(net.collect_params())] = 1.0
        trained = [p for p in net.collect_params().values() if p.grad_req != 'null']
        answers[net.name + ' grads'] = [p.grad().norm().asscalar() for p in trained]
    answers['rounds'] = chimera[2].rounds
    return numbers(**answers)


def parameters(mx):
    """How parameters are found, read, initialized anew, set, shared, cast, kept in files."""
    nd, nn = mx.nd, mx.gluon.nn
    answers = {}

    def made():
        net = nn.Sequential(prefix='net_')
        with net.name_scope():
            net.add(nn.Dense(4, activation='relu'))
            net.add(nn.Dense(2, bias_initializer=mx.init.Constant(3)))
        return net

    net, x = made(), nd.array(draw(2, 2, 3))
    net.initialize()
    try:
        net[0].weight.data()
    except Exception as error:
        answers['deferred ' + type(error).__name__] = 1.0
    net(x)
    answers['bias'] = net[1].params['net_dense1_bias'].data().copy()
    answers['pattern ' + ' '.join(net.collect_params('.*weight'))] = 1.0
    answers['either ' + ' '.join(net.collect_params('net_dense0_weight|net_dense1_bias'))] = 1.0
    net.initialize(init=mx.init.Constant(1), force_reinit=True)
    answers['constant'] = net[0].weight.data()[0].copy()
    answers['anew'] = net[1].bias.data().copy()
    set_all(mx, net)
    net[0].weight.set_data(net[0].weight.data() + 1)
    net[0].weight.data()[0, 1:] = 7
    answers['weight'] = net[0].weight.data()
    with mx.autograd.record():
        y = net(x)
    y.backward()
    answers['grad'] = net[0].weight.grad().copy()
    net.collect_params().zero_grad()
    answers['zero'] = net[0].weight.grad()
    net.collect_params().setattr('grad_req', 'add')
    for _ in range(2):
        with mx.autograd.record():
            y = net(x)
        y.backward()
    answers['added'] = net[0].weight.grad()
    shared = nn.Sequential(prefix='shared_')
    with shared.name_scope():
        inner = nn.Dense(3, activation='relu')
        shared.add(inner, nn.Dense(3, activation='relu', params=inner.params), nn.Dense(1))
    shared.initialize()
    shared(x)
    set_all(mx, shared)
    with mx.autograd.record():
        y = shared(x)
    y.backward()
    answers['twice'], answers['same'] = inner.weight.grad(), (inner.weight.data() == shared[1].weight.data())
    path = os.path.join(tempfile.mkdtemp(), 'net.params')
    net.save_parameters(path)
    other = made()
    other.load_parameters(path)
    answers['loaded'], answers['keys ' + ' '.join(sorted(nd.load(path)))] = other(x), 1.0
    net.collect_params().save(path, strip_prefix='net_')
    other.collect_params().load(path, restore_prefix='net_')
    answers['by name ' + ' '.join(sorted(nd.load(path)))] = other(x)
    other.cast('float64')
    answers['cast'] = other(x.astype('float64')).astype('float32')
    alone = mx.gluon.ParameterDict(prefix='alone_')
    alone.get('w', shape=(2, 3), init=mx.init.One())
    alone.initialize()
    answers['alone'] = alone['alone_w'].data()
    single = mx.gluon.Parameter('single', shape=(2,), grad_req='null', init='zeros')
    single.initialize()
    answers['single'] = single.data()
    return numbers(**answers)


def exported(mx):
    """Hybridized, exported and imported; as a symbol; fine-tuned with another output and rates of its own."""
    nd, nn = mx.nd, mx.gluon.nn

    class Classifier(mx.gluon.HybridBlock):
        def __init__(self, classes, **kwargs):
            super(Classifier, self).__init__(**kwargs)
            with self.name_scope():
                self.features = nn.HybridSequential(prefix='')
                self.features.add(nn.Conv2D(3, 3, in_channels=1), nn.BatchNorm(), nn.Activation('relu'), nn.Flatten())
                self.output = nn.Dense(classes)

        def hybrid_forward(self, F, x):
            return self.output(self.features(x))

    source = Classifier(4, prefix='source_')
    x = nd.array(draw(4, 2, 1, 5, 5))
    source.initialize()
    source(x)
    set_all(mx, source)
    source.hybridize()
    answers = {'source': source(x)}
    path = os.path.join(tempfile.mkdtemp(), 'net')
    source.export(path, epoch=3)
    imported = mx.gluon.SymbolBlock.imports(path + '-symbol.json', ['data'], path + '-0003.params', ctx=mx.cpu())
    answers['imported'] = imported(x)
    symbol = source(mx.sym.var('data'))
    answers['arguments ' + ' '.join(symbol.list_arguments())] = 1.0
    tuned = Classifier(2, prefix='tuned_')
    tuned.features = source.features
    tuned.output.initialize(mx.init.Xavier())
    tuned.output.collect_params().setattr('lr_mult', 10)
    tuned(x)
    set_all(mx, tuned.output)
    source.features[0].collect_params().setattr('grad_req', 'null')
    trainer = mx.gluon.Trainer(tuned.collect_params(), 'sgd', {'learning_rate': 0.01, 'wd': 0.001})
    loss, losses = mx.gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(2):
        with mx.autograd.record():
            value = loss(tuned(x), nd.array([0, 1]))
        value.backward()
        trainer.step(2)
        losses.append(value.mean().asscalar())
    return numbers(losses=losses, digest=digest(tuned), frozen=source.features[0].weight.data(), **answers)


def trees(mx):
    """A network whose shape each example decides; gradients that are added over examples."""
    nd, nn = mx.nd, mx.gluon.nn

    class Tree(nn.Block):
        def __init__(self, **kwargs):
            super(Tree, self).__init__(**kwargs)
            with self.name_scope():
                self.embed = nn.Embedding(5, 3)
                self.merge = nn.Dense(3, activation='tanh', in_units=6)
                self.score = nn.Dense(1, in_units=3)

        def node(self, tree):
            if isinstance(tree, int):
                return self.embed(nd.array([tree]))
            return self.merge(nd.concat(*[self.node(child) for child in tree], dim=1))

        def forward(self, tree):
            return self.score(self.node(tree))

    net = Tree(prefix='tree_')
    net.initialize()
    set_all(mx, net)
    for parameter in net.collect_params().values():
        parameter.grad_req = 'add'
    trainer = mx.gluon.Trainer(net.collect_params(), 'adagrad', {'learning_rate': 0.1})
    losses = []
    for _ in range(2):
        for tree, label in ((((0, 1), 2), 1.0), ((3, (1, (4, 0))), -1.0)):
            with mx.autograd.record():
                value = (net(tree) - label) ** 2
            value.backward()
            losses.append(float(value.asscalar()))
        trainer.step(2)
        net.collect_params().zero_grad()
    return dict(answers_of(net), losses=losses)


def own_gradients(mx):
    """Functions with gradients of one's own, in a network; gradients of gradients; heads; control flow."""
    nd, autograd = mx.nd, mx.autograd

    class Sigmoid(autograd.Function):
        def forward(self, x):
            y = 1 / (1 + nd.exp(-x))
            self.save_for_backward(y)
            return y

        def backward(self, dy):
            (y,) = self.saved_tensors
            return dy * y * (1 - y)

    class Straight(autograd.Function):
        def __init__(self, scale):
            super(Straight, self).__init__()
            self.scale = scale

        def forward(self, a, b):
            return nd.sign(a) + b, a * b

        def backward(self, first, second):
            return self.scale * first, second * 2

    x = nd.array(draw(5, 2, 3))
    x.attach_grad()
    net = mx.gluon.nn.Dense(2, in_units=3)
    net.initialize()
    net.weight.set_data(nd.array(draw(6, 2, 3)))
    with autograd.record():
        y = Sigmoid()(net(x)).sum()
    y.backward()
    answers = {'x': x.grad.copy(), 'weight': net.weight.grad()}
    with autograd.record():
        first, second = Straight(3)(x, 2 * x)
        y = (first * x).sum() + second.sum()
    y.backward()
    answers['straight'] = x.grad.copy()
    with autograd.record():
        slope = autograd.grad(nd.sin(x).exp(), x, create_graph=True, retain_graph=True)[0]
    slope.backward(nd.array(draw(7, 2, 3)))
    answers['second'] = x.grad.copy()
    head, v = nd.array([10, 1.0, 0.1]), nd.array([1, 2, 3])
    v.attach_grad()
    with autograd.record():
        y = v * 2
        z = y * v
    z.backward(head)
    answers['head'] = v.grad.copy()

    def f(a):
        b = a * 2
        while b.norm().asscalar() < 1000:
            b = b * 2
        return b if b.sum().asscalar() > 0 else 100 * b

    a = nd.array([-0.3])
    a.attach_grad()
    with autograd.record():
        c = f(a)
    c.backward()
    return numbers(control=a.grad == c / a, grad=a.grad, **answers)


def devices(mx):
    """A batch in parts, one for each device; gradients that are summed; and the same by hand."""
    nd, autograd, gluon = mx.nd, mx.autograd, mx.gluon
    contexts = [mx.cpu(0), mx.cpu(1)]
    net = gluon.nn.HybridSequential(prefix='net_')
    with net.name_scope():
        net.add(gluon.nn.Dense(4, activation='sigmoid', in_units=3), gluon.nn.Dense(2, in_units=4))
    net.initialize(init=mx.init.Normal(sigma=0.01), ctx=contexts)
    set_all(mx, net)
    net.hybridize()
    x, y = draw(3, 6, 3), np.arange(6) % 2
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5, 'momentum': 0.9})
    loss, losses = gluon.loss.SoftmaxCrossEntropyLoss(), []
    for _ in range(2):
        xs = gluon.utils.split_and_load(nd.array(x), contexts)
        ys = gluon.utils.split_and_load(y.astype('float32'), contexts)
        with autograd.record():
            values = [loss(net(a), b) for a, b in zip(xs, ys)]
        for value in values:
            value.backward()
        trainer.step(6)
        losses.append(sum([value.sum().asscalar() for value in values]))
    weight = net[0].weight
    same = (weight.data(contexts[0]).asnumpy() == weight.data(contexts[1]).asnumpy()).all()
    grads = [g.as_in_context(mx.cpu(0)) for g in weight.list_grad()]

    def allreduce(data):
        for i in range(1, len(data)):
            data[0][:] += data[i].copyto(data[0].context)
        for i in range(1, len(data)):
            data[0].copyto(data[i])

    parts = [nd.ones((1, 2), ctx=mx.cpu(i)) * (i + 1) for i in range(2)]
    allreduce(parts)
    where = [str(part.context) for part in xs] + [str(c) for c in weight.list_ctx()]
    answers = dict(answers_of(net), losses=losses, same=float(same), summed=grads[0] + grads[1], part=parts[1])
    answers['where ' + ' '.join(where)] = 1.0
    return numbers(**answers)


PROGRAMS = [devices, own_blocks, parameters, exported, trees, own_gradients]
