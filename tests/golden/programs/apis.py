"""Corners of MXNet's interface: what programs of the Module era, of sparse arrays and of graphs ask for."""

import importlib
import os
import tempfile
import warnings

import numpy as np

from .common import draw, numbers


def feed_forward(mx):
    """Training, scores, predictions and checkpoints of `mx.model.FeedForward`, from an iterator and from arrays."""
    x, y = draw(0, 12, 3), np.arange(12) % 2
    out = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=2, name='fc')
    net = mx.sym.SoftmaxOutput(out, name='softmax')
    start = {'fc_weight': mx.nd.array(0.3 * draw(1, 2, 3)), 'fc_bias': mx.nd.zeros((2,))}
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        model = mx.model.FeedForward.create(
            net,
            mx.io.NDArrayIter(x, y, 4),
            num_epoch=2,
            epoch_size=3,
            learning_rate=0.5,
            momentum=0.9,
            arg_params=start,
            eval_data=mx.io.NDArrayIter(x, y, 4),
            batch_end_callback=lambda param: seen.append(param.nbatch),
        )
        prefix = os.path.join(tempfile.mkdtemp(), 'net')
        model.save(prefix)
        again = mx.model.FeedForward.load(prefix, 2)
    outputs, data, label = again.predict(mx.io.NDArrayIter(x, y, 5), return_data=True)
    return numbers(
        weight=model.arg_params['fc_weight'],
        predicted=model.predict(x[:5]),
        batches=seen,
        outputs=outputs,
        data=data,
        label=label,
        score=again.score(mx.io.NDArrayIter(x, y, 4)),
    )


def storage_types(mx):
    """Sparse arrays give their parts, and parameters by rows are read by rows."""
    nd, autograd = mx.nd, mx.autograd
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        nd.sparse.zeros('csr', (1, 1))
    matrix = nd.sparse.csr_matrix(([3, 4, 5], [0, 2, 1], [0, 2, 2, 3]), shape=(3, 4))
    rows = nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [0, 2]), shape=(4, 2))
    x = nd.zeros((2, 2), stype='row_sparse')
    x.attach_grad(stype='default')
    kept = nd.ones((2, 2)).tostype('csr').copy()
    table = mx.gluon.Parameter('table', shape=(4, 2), stype='row_sparse', grad_stype='row_sparse')
    table.initialize(mx.init.One())
    trainer = mx.gluon.Trainer([table], 'sgd', {'learning_rate': 0.5})
    chosen = nd.array([1, 3])
    with autograd.record():
        loss = nd.dot(nd.ones((1, 4)), table.row_sparse_data(chosen)).sum()
    loss.backward()
    slope = table.grad()
    trainer.step(1)
    words = mx.gluon.nn.Embedding(4, 2, sparse_grad=True)
    words.initialize(mx.init.One())
    with autograd.record():
        loss = words(nd.array([1, 3, 1])).sum()
    loss.backward()
    of_words = words.weight.grad()
    mx.gluon.Trainer(words.collect_params(), 'sgd', {'learning_rate': 0.5}).step(1)
    store = mx.kv.create()
    store.init('a', nd.ones((2, 2)))
    store.pull('a', out=x)
    stypes = [each.stype for each in (matrix, rows, x, x.grad, kept, slope, of_words, nd.dot(matrix, nd.ones((4, 1))))]
    data = mx.sym.var('data')
    product = mx.sym.dot(data, mx.sym.var('w', stype='row_sparse'))
    refused = 0
    for action in (table.data, table.list_data, lambda: mx.gluon.SymbolBlock(product, [data])):
        try:
            action()
        except (RuntimeError, AssertionError):
            refused += 1
    return numbers(
        data=matrix.data,
        indices=matrix.indices,
        indptr=matrix.indptr,
        dense=matrix,
        row_data=rows.data,
        row_indices=rows.indices,
        retained=nd.sparse.retain(rows, nd.array([2])),
        slope=slope,
        words=words.weight.data(),
        updated=table.row_sparse_data(nd.arange(4)),
        pulled=x,
        refused=refused,
        stypes=np.array([['default', 'row_sparse', 'csr'].index(stype) for stype in stypes]),
    )


def recorded_graphs(mx):
    """`autograd.get_symbol`: which operators made an array, and how many variables they begin with."""
    nd, autograd, gluon = mx.nd, mx.autograd, mx.gluon
    x, z = nd.ones((2, 3)), nd.ones((2, 3))
    for each in (x, z):
        each.attach_grad()
    net = gluon.nn.Dense(2)
    net.initialize(mx.init.One())
    outputs = []
    with autograd.record():
        outputs += [
            x * x + 2 * x - 1,
            x * x + 2 * z - 1,
            net(x).exp(),
            nd.FullyConnected(x, z, num_hidden=2, no_bias=True),
        ]
        net.hybridize()
        outputs.append(net(x) / 2)
        deep = gluon.nn.HybridSequential()
        deep.add(gluon.nn.Dense(2), gluon.nn.Dense(2), gluon.nn.Dense(2))
        deep.initialize(mx.init.One())
        for limit in (3, 0):
            deep.hybridize(inline_limit=limit)
            outputs.append(deep(x))
    symbols = [autograd.get_symbol(y) for y in outputs]
    last = symbols[1].list_arguments()
    value = symbols[1].eval(**{last[0]: nd.array([[3]]), last[1]: nd.array([[5]])})[0]
    return numbers(
        arguments=[len(symbol.list_arguments()) for symbol in symbols],
        nodes=[len(symbol.get_internals().list_outputs()) for symbol in symbols],
        value=value,
    )


def graph_blocks(mx):
    """The places of parameters of a SymbolBlock in a network, which forget what all their names begin with."""
    x = mx.sym.var('data')

    def build(prefix):
        hidden = mx.sym.FullyConnected(x, num_hidden=3, name=prefix + 'fc')
        return mx.gluon.SymbolBlock(mx.sym.BatchNorm(hidden, name=prefix + 'bn'), x)

    class Net(mx.gluon.HybridBlock):
        def __init__(self, prefix):
            super().__init__()
            self.body = build(prefix)

        def hybrid_forward(self, F, x):
            return self.body(x)

    first, second = Net('one_'), Net('two_')
    first.initialize(mx.init.One())
    data = mx.nd.array(draw(0, 2, 4))
    path = os.path.join(tempfile.mkdtemp(), 'net.params')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        first(data)
    for number, parameter in enumerate(first.collect_params().values()):
        parameter.set_data(mx.nd.array(abs(draw(number, *parameter.shape))))
    expected = first(data)
    first.save_parameters(path)
    second.load_parameters(path)
    names = sorted(mx.nd.load(path))
    return numbers(expected=expected, loaded=second(data), names=[ord(c) for name in names for c in name])


def convolutional_cells(mx):
    """The cells of symbols whose maps are convolutions: names, shapes and numbers of two steps."""
    answers = {}
    rnn = mx.rnn
    for name, kind, options in (
        ('simple', rnn.ConvRNNCell, {'activation': 'tanh', 'h2h_dilate': (2, 1)}),
        ('lstm', rnn.ConvLSTMCell, {'i2h_stride': (2, 1), 'prefix': 'l_'}),
        ('gru', rnn.ConvGRUCell, {'h2h_kernel': (1, 3), 'h2h_weight_initializer': mx.init.One()}),
    ):
        cell = kind((1, 2, 5, 4), 3, **options)
        outputs, _ = cell.unroll(2, [mx.sym.var('x0'), mx.sym.var('x1')])
        graph = mx.sym.Group(outputs)
        shapes = graph.infer_shape(x0=(1, 2, 5, 4), x1=(1, 2, 5, 4))[0]
        arguments = graph.list_arguments()
        values = {n: mx.nd.array(0.3 * draw(i, *shape)) for i, (n, shape) in enumerate(zip(arguments, shapes))}
        answers[name] = graph.eval(**values)[1]
        answers[name + '_names'] = [ord(c) for n in arguments + graph.list_outputs() for c in n]
        unpacked = cell.unpack_weights({n: v for n, v in values.items() if n not in ('x0', 'x1')})
        answers[name + '_unpacked'] = len(unpacked)
    return numbers(**answers)


def old_interfaces(mx):
    """`contrib.autograd`, a DataLoader for Modules, and factories of one's own."""
    nd, old = mx.nd, mx.contrib.autograd
    x, y = nd.array(draw(0, 2, 3)), nd.array(draw(1, 2, 3))
    slopes, value = old.grad_and_loss(lambda x, y: x * y + x * x)(x, y)
    (second,) = old.grad(lambda x, y: (x * y).sum(), argnum=1)(x, y)
    states = [old.set_is_training(True), mx.autograd.is_recording(), old.set_is_training(False)]
    a, b = nd.array(draw(2, 2)), nd.zeros((2,))
    old.mark_variables([a], [b])
    with old.train_section():
        loss = a * a
        with old.test_section():
            states += [mx.autograd.is_recording(), mx.autograd.is_training()]
    old.backward([loss], [nd.array([1, 3])])
    loader = mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(nd.array(draw(3, 5, 2)), nd.arange(5)), 2)
    batches = mx.contrib.io.DataLoaderIter(loader)
    read = [batch for _ in range(2) for batch in (batches.reset(), list(batches))[1]]

    class Animal:
        def __init__(self, legs=4):
            self.legs = legs

    class Bird(Animal):
        pass

    register, create = mx.registry.get_register_func(Animal, 'animal'), mx.registry.get_create_func(Animal, 'animal')
    register(Bird)
    mx.registry.get_alias_func(Animal, 'animal')('duck', 'goose')(Bird)
    made = [create('Bird', 2), create('["duck", {"legs": 3}]'), create(animal='goose', legs=5), create(Bird(6))]
    return numbers(
        slope=slopes[0],
        other=slopes[1],
        value=value,
        second=second,
        states=[int(state) for state in states],
        written=b,
        pads=[batch.pad for batch in read],
        labels=np.stack([batch.label[0].asnumpy() for batch in read if batch.pad == 0]),
        described=[*batches.provide_data[0].shape, *batches.provide_label[0].shape],
        legs=[animal.legs for animal in made],
        names=len(mx.registry.get_registry(Animal)),
    )


def arrays_by_value(mx):
    """Operators that look at numbers or dtypes before they run, and what is refused."""
    nd, autograd = mx.nd, mx.autograd
    x = nd.array(draw(0, 3, 2))
    x.attach_grad()
    with autograd.record():
        kept = nd.contrib.boolean_mask(x, nd.array([1, 0, 1]))
        loss = (kept * kept).sum()
    loss.backward()
    ones, whole = nd.ones((2, 2)), nd.ones((2, 2), dtype='int32')
    empty, last = nd.contrib.while_loop(lambda i: i < 3, lambda i: (None, [i + 1]), (nd.zeros(1),), max_iterations=9)
    refused = 0
    for action in (
        lambda: ones + whole,
        lambda: nd.dot(ones, whole),
        lambda: nd.concat(ones, whole),
        lambda: nd.where(ones, ones, whole),
        lambda: nd.FullyConnected(ones.astype('float16'), ones, no_bias=True, num_hidden=2),
        lambda: nd.elemwise_add(ones, nd.ones((1, 2))),
        lambda: nd.take(x, nd.array([3]), mode='raise').asnumpy(),
        lambda: nd.contrib.boolean_mask(x, nd.array([1, 1])).asnumpy(),
        lambda: nd.load('no such file'),
        lambda: nd.random.uniform(shape=(2,), dtype='int32'),
        lambda: mx.sym.Convolution(mx.sym.var('x'), kernel=(3, 3), num_filter=2).infer_shape(x=(1, 3, 5)),
        lambda: mx.sym.Concat(mx.sym.var('a'), mx.sym.var('b'), dim=1).infer_shape(a=(2, 3), b=(4, 3)),
        lambda: mx.gluon.Trainer(mx.gluon.nn.Dense(2), 'sgd'),
        lambda: mx.gluon.data.ArrayDataset(x, ones),
    ):
        try:
            action()
        except (mx.MXNetError, ValueError, AssertionError):
            refused += 1
    norm = nd.BatchNorm(x, nd.ones(2), nd.zeros(2), nd.zeros(2), 3 * nd.ones(2), output_mean_var=True)
    counts, edges = nd.histogram(nd.array([1, 2, 1, 4]), bins=4, range=(0, 4))
    return numbers(
        kept=kept,
        grad=x.grad,
        outputs=len(empty),
        last=last[0],
        refused=refused,
        inverse=norm[2],
        counts=counts,
        edges=edges,
        chosen=nd.take(x, nd.array([2, 0]), mode='raise'),
        scalar=[len((mx.sym.var('x') * 2).attr('scalar')), len((mx.sym.var('x') * 2.5).attr('scalar'))],
    )


def variance_reduction(mx):
    """Training with gradients that are corrected by those of the whole data, every other epoch."""
    svrg = importlib.import_module(mx.__name__ + '.contrib.svrg_optimization')
    x = draw(0, 7, 3)
    y = x.dot([1.0, -2.0, 0.5]).astype('float32')
    line = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=1, name='fc')
    net = mx.sym.LinearRegressionOutput(line, mx.sym.var('label'), name='out')
    module = svrg.svrg_module.SVRGModule(net, label_names=['label'], update_freq=2)
    start = {'fc_weight': mx.nd.array(0.3 * draw(1, 1, 3)), 'fc_bias': mx.nd.zeros((1,))}
    data = mx.io.NDArrayIter(x, y, 3, label_name='label')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        params = (('learning_rate', 0.1), ('momentum', 0.5))
        module.fit(data, eval_metric='mse', num_epoch=3, optimizer_params=params, arg_params=start)
        score = dict(module.score(data, 'mse'))['mse']
    return numbers(weight=module.get_params()[0]['fc_weight'], bias=module.get_params()[0]['fc_bias'], score=score)


def states_in_place(mx):
    """Weights and states of optimizers that MXNet runs in place, or keeps with another sign."""
    answers = {}
    for name, options in (('nag', {}), ('nag', {'multi_precision': True}), ('signum', {'wd_lh': 0.05})):
        dtype = 'float16' if 'multi_precision' in options else 'float32'
        rule = mx.optimizer.create(name, learning_rate=0.1, momentum=0.9, wd=0.1, clip_gradient=2.5, **options)
        weight, grad = (mx.nd.array(draw(seed, 4), dtype=dtype) for seed in (0, 1))
        state = rule.create_state_multi_precision(0, weight)
        for _ in range(3):
            rule.update_multi_precision(0, weight, 2 * grad, state)
        held = state if isinstance(state, mx.nd.NDArray) else state[0]
        answers[name + dtype] = weight.astype('float32')
        answers[name + dtype + '_state'] = held.astype('float32')
    return numbers(**answers)


PROGRAMS = [states_in_place, variance_reduction, arrays_by_value, old_interfaces, convolutional_cells, feed_forward, storage_types, recorded_graphs, graph_blocks]
