"""Programs of the Module era: functions of `mx`, which is MXNet or gluonjax.mx, as in program_cases.py."""

import numpy as np


def draw(seed, *shape):
    return np.random.RandomState(seed).randn(*shape).astype('float32')


def values_of(mx, symbol, **shapes):
    """Parameters by name, drawn by NumPy."""
    found = {}
    for name, shape in zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0]):
        if name not in shapes:
            found[name] = mx.nd.array(0.3 * np.random.RandomState(len(found)).randn(*shape))
    return found


def mlp(mx):
    """fit with callbacks, a validation metric, momentum and weight decay; score and predict with a padded batch."""
    net = mx.sym.FullyConnected(mx.sym.var('data'), num_hidden=8, name='fc1')
    net = mx.sym.Activation(net, act_type='relu')
    net = mx.sym.FullyConnected(net, num_hidden=3, name='fc2')
    net = mx.sym.SoftmaxOutput(net, name='softmax')
    x, y = draw(0, 40, 4), np.arange(40) % 3
    train = mx.io.NDArrayIter(x + y[:, None], y, batch_size=16)
    valid = mx.io.NDArrayIter(x[:10] + y[:10, None], y[:10], batch_size=4)
    module = mx.mod.Module(net, context=mx.cpu(), fixed_param_names=['fc1_bias'])
    seen, epochs = [], []

    def batch_end(param):
        seen.append([param.epoch, param.nbatch, *(value for _, value in param.eval_metric.get_name_value())])

    module.fit(
        train, valid, eval_metric=['acc', 'ce'], batch_end_callback=batch_end,
        epoch_end_callback=lambda epoch, symbol, arguments, states: epochs.append(epoch),
        optimizer='sgd', optimizer_params={'learning_rate': 0.3, 'momentum': 0.9, 'wd': 0.01},
        arg_params=values_of(mx, net, data=(16, 4), softmax_label=(16,)), begin_epoch=1, num_epoch=3,
    )
    found = {name: array.asnumpy() for name, array in module.get_params()[0].items()}
    found['seen'], found['epochs'] = np.array(seen), np.array(epochs)
    found['score'] = np.array([value for _, value in module.score(valid, ['acc', 'ce'])])
    found['predict'] = module.predict(valid).asnumpy()
    found['pieces'] = np.array([outputs[0].shape[0] for outputs, _, _ in module.iter_predict(valid)])
    return found


def lenet(mx):
    """Convolutions and batch normalization by hand: bind, forward, backward, update; gradients of the input; reshape."""
    net = mx.sym.Convolution(mx.sym.var('data'), num_filter=3, kernel=(3, 3), no_bias=True, name='conv')
    net = mx.sym.BatchNorm(net, fix_gamma=False, name='bn')
    net = mx.sym.Activation(net, act_type='tanh')
    net = mx.sym.Pooling(net, pool_type='max', kernel=(2, 2), stride=(2, 2))
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=4, name='fc')
    net = mx.sym.SoftmaxOutput(net, name='softmax')
    module = mx.mod.Module(net)
    module.bind([('data', (6, 1, 8, 8))], [('softmax_label', (6,))], inputs_need_grad=True)
    values = values_of(mx, net, data=(6, 1, 8, 8), softmax_label=(6,))
    states = {'bn_moving_mean': mx.nd.zeros(3), 'bn_moving_var': mx.nd.ones(3)}
    module.init_params(arg_params=values, aux_params=states)
    module.init_optimizer(optimizer='adam', optimizer_params={'learning_rate': 0.05})
    for step, size in enumerate((6, 6, 4)):
        batch = mx.io.DataBatch([mx.nd.array(draw(step, size, 1, 8, 8))], [mx.nd.array(np.arange(size) % 4)])
        module.forward(batch, is_train=True)
        module.backward()
        gradient = module.get_input_grads()[0].asnumpy()
        module.update()
    arguments, states = module.get_params()
    found = {name: array.asnumpy() for name, array in dict(arguments, **states).items()}
    found['gradient'], found['outputs'] = gradient, module.get_outputs()[0].asnumpy()
    found['shape'] = np.array(module.output_shapes[0][1])
    return found


def bucketing(mx):
    """Recurrent networks of several lengths with the same parameters, and a learning rate that decays."""
    def symbol_of(length):
        data, label = mx.sym.var('data'), mx.sym.var('softmax_label')
        embedded = mx.sym.Embedding(data, input_dim=7, output_dim=4, name='embed')
        shared = {key: mx.sym.var('rnn_' + key) for key in ('i2h_weight', 'i2h_bias', 'h2h_weight', 'h2h_bias')}
        state, outputs = None, []
        for step in mx.sym.SliceChannel(embedded, num_outputs=length, axis=1, squeeze_axis=True):
            total = mx.sym.FullyConnected(step, shared['i2h_weight'], shared['i2h_bias'], num_hidden=5)
            if state is not None:
                total = total + mx.sym.FullyConnected(state, shared['h2h_weight'], shared['h2h_bias'], num_hidden=5)
            state = mx.sym.tanh(total)
            outputs.append(state)
        scores = mx.sym.FullyConnected(mx.sym.concat(*outputs, dim=0), num_hidden=7, name='out')
        label = mx.sym.Reshape(mx.sym.transpose(label), shape=(-1,))
        return mx.sym.SoftmaxOutput(scores, label, name='softmax'), ('data',), ('softmax_label',)

    module = mx.mod.BucketingModule(symbol_of, default_bucket_key=3)
    module.bind([('data', (3, 3))], [('softmax_label', (3, 3))])
    module.init_params(arg_params=values_of(mx, symbol_of(3)[0], data=(3, 3), softmax_label=(3, 3)))
    scheduler = mx.lr_scheduler.FactorScheduler(2, 0.5)
    module.init_optimizer(optimizer_params={'learning_rate': 0.4, 'lr_scheduler': scheduler})
    losses = []
    for step, length in enumerate((3, 2, 3, 2, 3)):
        tokens = np.random.RandomState(step).randint(0, 7, (3, length + 1))
        batch = mx.io.DataBatch(
            [mx.nd.array(tokens[:, :-1])], [mx.nd.array(tokens[:, 1:])], bucket_key=length,
            provide_data=[('data', (3, length))], provide_label=[('softmax_label', (3, length))],
        )
        module.forward_backward(batch)
        module.update()
        scores = module.get_outputs()[0].asnumpy()
        losses.append(-np.log(scores[np.arange(3 * length), tokens[:, 1:].T.ravel()]).mean())
    found = {name: array.asnumpy() for name, array in module.get_params()[0].items()}
    found['losses'] = np.array(losses)
    return found


def iterators(mx):
    """NDArrayIter: every way with samples that fill no batch, names, shuffling; iterators of iterators."""
    found = {}
    for handle in ('pad', 'discard', 'roll_over'):
        data = mx.io.NDArrayIter({'b': np.arange(7), 'a': draw(0, 7, 2)}, np.arange(7), 3, False, handle)
        seen = []
        for _ in range(3):
            for batch in data:
                seen.append([*batch.data[1].asnumpy(), *batch.label[0].asnumpy(), batch.pad])
            data.reset()
        found[handle] = np.array(seen)
    found['names'] = np.array([str(desc) for desc in data.provide_data + data.provide_label])
    np.random.seed(3)  # noqa: NPY002 (MXNet draws from there)
    data = mx.io.NDArrayIter([np.arange(6), np.arange(6)], batch_size=4, shuffle=True)
    found['wraps'] = np.concatenate([batch.data[1].asnumpy() for _ in range(2) for batch in [data.reset() or next(data)]])
    few = mx.io.NDArrayIter(np.arange(2), batch_size=5)
    found['few'] = next(few).data[0].asnumpy()
    resized = mx.io.ResizeIter(mx.io.NDArrayIter(np.arange(6), batch_size=4), 3)
    found['resized'] = np.concatenate([batch.data[0].asnumpy() for batch in resized])
    pair = mx.io.PrefetchingIter([mx.io.NDArrayIter(np.arange(6), np.ones(6), 2) for _ in range(2)],
                                 rename_data=[{'data': 'x'}, {'data': 'y'}])
    found['prefetched'] = np.array([[a.asnumpy() for a in batch.data] for _ in range(2) for batch in pair or pair.reset()])
    found['renamed'] = np.array([name for name, _ in pair.provide_data])
    return found


def stores(mx):
    """A kvstore: sums, lists of keys, an optimizer, rows."""
    store = mx.kv.create('local')
    store.init('3', mx.nd.ones((2, 2)))
    store.init(['a', 'b'], [mx.nd.ones(2)] * 2)
    out = [mx.nd.zeros((2, 2)), mx.nd.zeros(2), mx.nd.zeros(2)]
    store.push('3', [mx.nd.ones((2, 2)) * 4] * 3)
    store.pull('3', out=out[0])
    found = {'sum': out[0].asnumpy()}
    store.pushpull(['a', 'b'], [[mx.nd.ones(2), mx.nd.ones(2) * 2], [mx.nd.ones(2) * 5]], out=out[1:])
    found['a'], found['b'] = out[1].asnumpy(), out[2].asnumpy()
    store = mx.kv.create('device')
    store.set_optimizer(mx.optimizer.create('sgd', learning_rate=0.5, momentum=0.9, wd=0.1))
    store.init('w', mx.nd.array([1.0, 2.0]))
    for _ in range(3):
        store.push('w', [mx.nd.ones(2), mx.nd.ones(2)])
    store.pull('w', out=out[1])
    found['updated'] = out[1].asnumpy()
    found['rank'] = np.array([store.rank, store.num_workers])
    return found


PROGRAMS = [mlp, lenet, bucketing, iterators, stores]
