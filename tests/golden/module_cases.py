"""Programs of the Module era: functions of `mx`, which is MXNet or gluonjax.mx, as in program_cases.py."""

import random
import struct
import tempfile
import zlib

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


def png(image):
    """The bytes of an image file."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    height, width, _ = image.shape
    rows = b''.join(b'\0' + row.tobytes() for row in image)
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def images(mx):
    """Sizes, crops, borders and augmenters, with the same random numbers; iterators over records."""
    image, find = np.random.RandomState(0).randint(0, 256, (9, 12, 3)).astype('uint8'), mx.image
    x = find.imdecode(png(image))
    found = {'decoded': x.asnumpy(), 'gray': find.imdecode(png(image), flag=0).asnumpy(),
             'blue': find.imdecode(png(image), to_rgb=0).asnumpy()}
    for interp in range(4):
        found['small%d' % interp] = find.imresize(x, 5, 4, interp).asnumpy()
        found['large%d' % interp] = find.imresize(x, 15, 18, interp).asnumpy()
    found['short'] = find.resize_short(x, 6, 1).asnumpy()
    found['fixed'] = find.fixed_crop(x, 2, 1, 6, 7, (4, 4), 1).asnumpy()
    found['center'] = find.center_crop(x, (20, 5), 1)[0].asnumpy()
    found['border'] = find.copyMakeBorder(x, 1, 2, 3, 1, 1).asnumpy()
    mean, std = mx.nd.array([1, 2, 3]), mx.nd.array([4, 5, 6])
    found['normal'] = find.color_normalize(x.astype('float32'), mean, std).asnumpy()
    found['turned'] = find.imrotate(mx.nd.array(image).transpose((2, 0, 1)), 30).asnumpy()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 (MXNet draws from there)
    found['crop'], found['box'] = find.random_crop(x, (5, 4), 1)[0].asnumpy(), find.random_crop(x, (5, 4), 1)[1]
    found['sized'] = find.random_size_crop(x, (5, 4), 0.3, (0.8, 1.2), 1)[0].asnumpy()
    chain = find.CreateAugmenter((3, 6, 6), 8, True, True, True, True, True, 0.2, 0.3, 0.4, 0.1, 0.1, 0.5, 1)
    for i in range(4):
        y = x
        for augmenter in chain:
            y = augmenter(y)
        found['augmented%d' % i] = y.asnumpy()
    with tempfile.TemporaryDirectory() as folder:
        names = [folder + '/' + name for name in ('a.idx', 'a.rec', 'a.lst')]
        record = mx.recordio.MXIndexedRecordIO(names[0], names[1], 'w')
        for i in range(5):
            header = mx.recordio.IRHeader(0, i, i, 0)
            record.write_idx(i, mx.recordio.pack(header, png((image + i).astype('uint8'))))
        record.close()
        for handle in ('pad', 'discard', 'roll_over'):
            data = find.ImageIter(2, (3, 8, 8), path_imgrec=names[1], path_imgidx=names[0], last_batch_handle=handle,
                                  inter_method=1, std=np.array([2, 3, 4]))
            seen = []
            for _ in range(2):
                seen += [[*batch.label[0].asnumpy(), batch.pad] for batch in data]
                data.reset()
            found['labels ' + handle] = np.array(seen)
        data.hard_reset()
        found['iterated'] = next(data).data[0].asnumpy()
        data = mx.io.ImageRecordIter(path_imgrec=names[1], data_shape=(3, 9, 12), batch_size=2, mean_r=3,
                                     mean_b=5, std_g=2, scale=0.5, preprocess_threads=1)
        batches = [(b.data[0].asnumpy(), b.label[0].asnumpy(), b.pad) for b in data]
        found['records'], found['record labels'] = batches[1][0], np.array([label for _, label, _ in batches])
        found['record pads'] = np.array([pad for _, _, pad in batches])
    return found


PROGRAMS = [mlp, lenet, bucketing, iterators, stores, images]
