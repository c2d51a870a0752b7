"""What networks are used for: words, sentiment, detection, segmentation, style, generation, recommendation."""

import numpy as np

from .common import digest, draw, numbers, set_all


def ready(mx, net, *inputs):
    """A network with parameters that their names decide."""
    net.initialize(mx.init.Xavier())
    net(*inputs)
    set_all(mx, net)
    return net


def word2vec(mx):
    """Skip-grams with negative samples: two Embeddings, a product of batches, a masked loss with logits."""
    nd, nn = mx.nd, mx.gluon.nn

    def skip_gram(center, contexts_and_negatives, embed_v, embed_u):
        v = embed_v(center)
        u = embed_u(contexts_and_negatives)
        return nd.batch_dot(v, u.swapaxes(1, 2))

    center = nd.array([[1], [2]])
    others, mask, label = nd.array([[2, 3, 4, 0], [1, 4, 0, 0]]), nd.array([[1, 1, 1, 0], [1, 1, 0, 0]]), nd.zeros((2, 4))
    label[:, 0] = 1
    net = nn.Sequential(prefix='words_')
    with net.name_scope():
        net.add(nn.Embedding(input_dim=5, output_dim=3), nn.Embedding(input_dim=5, output_dim=3))
    net.initialize()
    set_all(mx, net)
    trainer = mx.gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.1, 'epsilon': 1e-3})
    loss, losses = mx.gluon.loss.SigmoidBinaryCrossEntropyLoss(), []
    for _ in range(2):
        with mx.autograd.record():
            predicted = skip_gram(center, others, net[0], net[1])
            value = loss(predicted.reshape(label.shape), label, mask) * mask.shape[1] / mask.sum(axis=1)
        value.backward()
        trainer.step(2)
        losses.append(value.sum().asscalar())
    w = net[0].weight.data()
    cosines = nd.dot(w, w[1]) / (nd.sum(w * w, axis=1) * nd.sum(w[1] * w[1]) + 1e-9).sqrt()
    nearest = nd.topk(cosines, k=2, ret_typ='indices').asnumpy().astype('int32')
    return numbers(losses=losses, digest=digest(net), cosines=cosines, nearest=nearest)


def sentiment(mx):
    """A convolution over words with a constant Embedding beside a trained one; a bidirectional LSTM's first and last."""
    nd, nn, rnn = mx.nd, mx.gluon.nn, mx.gluon.rnn

    class TextCNN(nn.Block):
        def __init__(self, vocab, size, kernel_sizes, channels, **kwargs):
            super(TextCNN, self).__init__(**kwargs)
            with self.name_scope():
                self.embedding = nn.Embedding(vocab, size)
                self.constant_embedding = nn.Embedding(vocab, size)
                self.dropout = nn.Dropout(0.0)
                self.decoder = nn.Dense(2)
                self.pool = nn.GlobalMaxPool1D()
                self.convs = nn.Sequential()
                for c, k in zip(channels, kernel_sizes):
                    self.convs.add(nn.Conv1D(c, k, activation='relu'))

        def forward(self, inputs):
            embeddings = nd.concat(self.embedding(inputs), self.constant_embedding(inputs), dim=2)
            embeddings = embeddings.transpose((0, 2, 1))
            encoding = nd.concat(*[nd.flatten(self.pool(conv(embeddings))) for conv in self.convs], dim=1)
            return self.decoder(self.dropout(encoding))

    class BiRNN(nn.Block):
        def __init__(self, vocab, size, hidden, **kwargs):
            super(BiRNN, self).__init__(**kwargs)
            with self.name_scope():
                self.embedding = nn.Embedding(vocab, size)
                self.encoder = rnn.LSTM(hidden, num_layers=1, bidirectional=True, input_size=size)
                self.decoder = nn.Dense(2)

        def forward(self, inputs):
            outputs = self.encoder(self.embedding(inputs.T))
            return self.decoder(nd.concat(outputs[0], outputs[-1]))

    x, y = nd.array(np.random.RandomState(1).randint(0, 6, (2, 5))), nd.array([0, 1])
    loss, answers = mx.gluon.loss.SoftmaxCrossEntropyLoss(), {}
    for net in (TextCNN(6, 2, [2, 3], [2, 2], prefix='cnn_'), BiRNN(6, 2, 3, prefix='rnn_')):
        ready(mx, net, x)
        if net.name == 'cnn':
            net.constant_embedding.weight.set_data(nd.array(draw(2, 6, 2)))
            net.constant_embedding.collect_params().setattr('grad_req', 'null')
        trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5})
        with mx.autograd.record():
            value = loss(net(x), y)
        value.backward()
        trainer.step(2)
        predicted = nd.argmax(net(x[0].reshape((1, -1))), axis=1)
        answers.update({net.name: value, net.name + ' digest': digest(net), net.name + ' predicted': predicted})
    return numbers(**answers)


def detection(mx):
    """SSD: anchors, targets, losses of classes and boxes, detections; overlaps and offsets."""
    nd, nn, contrib = mx.nd, mx.gluon.nn, mx.nd.contrib
    anchors_of_scale, classes = 3, 2

    class SSD(nn.Block):
        def __init__(self, **kwargs):
            super(SSD, self).__init__(**kwargs)
            with self.name_scope():
                for i in range(2):
                    setattr(self, 'blk_%d' % i, nn.Conv2D(3, kernel_size=3, padding=1, strides=2, activation='relu'))
                    setattr(self, 'cls_%d' % i, nn.Conv2D(anchors_of_scale * (classes + 1), kernel_size=3, padding=1))
                    setattr(self, 'bbox_%d' % i, nn.Conv2D(anchors_of_scale * 4, kernel_size=3, padding=1))

        def forward(self, x):
            anchors, cls_preds, bbox_preds = [None] * 2, [None] * 2, [None] * 2
            for i in range(2):
                x = getattr(self, 'blk_%d' % i)(x)
                anchors[i] = contrib.MultiBoxPrior(x, sizes=[0.3 + 0.3 * i, 0.4 + 0.3 * i], ratios=[1, 2])
                cls_preds[i] = getattr(self, 'cls_%d' % i)(x).transpose((0, 2, 3, 1)).flatten()
                bbox_preds[i] = getattr(self, 'bbox_%d' % i)(x).transpose((0, 2, 3, 1)).flatten()
            cls_preds = nd.concat(*cls_preds, dim=1).reshape((0, -1, classes + 1))
            return nd.concat(*anchors, dim=1), cls_preds, nd.concat(*bbox_preds, dim=1)

    x = nd.array(draw(3, 1, 2, 8, 8))
    y = nd.array([[[0, 0.1, 0.1, 0.5, 0.6], [1, 0.5, 0.4, 0.9, 0.9]]])
    net = ready(mx, SSD(prefix='ssd_'), x)
    cls_loss, bbox_loss = mx.gluon.loss.SoftmaxCrossEntropyLoss(), mx.gluon.loss.L1Loss()
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.2, 'wd': 5e-4})
    with mx.autograd.record():
        anchors, cls_preds, bbox_preds = net(x)
        boxes, masks, labels = contrib.MultiBoxTarget(anchors, y, cls_preds.transpose((0, 2, 1)))
        value = cls_loss(cls_preds, labels) + bbox_loss(bbox_preds * masks, boxes * masks)
    value.backward()
    trainer.step(1)
    right = (cls_preds.argmax(axis=-1) == labels).sum().asscalar()
    error = ((boxes - bbox_preds) * masks).abs().sum().asscalar()
    anchors, cls_preds, bbox_preds = net(x)
    found = contrib.MultiBoxDetection(cls_preds.softmax().transpose((0, 2, 1)), bbox_preds, anchors)
    indices = [i for i, row in enumerate(found[0]) if row[0].asscalar() != -1]
    kept = found[0, indices]
    answers = dict(value=value, labels=labels, masks=masks.sum(), right=right, error=error, kept=kept[:4])
    return numbers(digest=digest(net), anchors=anchors[0, :4], **answers)


def segmentation(mx):
    """A transposed convolution that starts as bilinear interpolation; a loss of each pixel."""
    nd, nn, init = mx.nd, mx.gluon.nn, mx.init

    def bilinear_kernel(in_channels, out_channels, kernel_size):
        factor = (kernel_size + 1) // 2
        center = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
        og = np.ogrid[:kernel_size, :kernel_size]
        filt = (1 - abs(og[0] - center) / factor) * (1 - abs(og[1] - center) / factor)
        weight = np.zeros((in_channels, out_channels, kernel_size, kernel_size), dtype='float32')
        weight[range(in_channels), range(out_channels), :, :] = filt
        return nd.array(weight)

    upsample = nn.Conv2DTranspose(2, kernel_size=4, padding=1, strides=2)
    upsample.initialize(init.Constant(bilinear_kernel(2, 2, 4)))
    x, y = nd.array(draw(4, 1, 2, 4, 4)), nd.array(np.arange(64).reshape(1, 8, 8) % 3)
    net = nn.HybridSequential(prefix='fcn_')
    with net.name_scope():
        net.add(nn.Conv2D(3, kernel_size=1), nn.Conv2DTranspose(3, kernel_size=4, padding=1, strides=2))
    net[0].initialize(init=init.Xavier())
    net[-1].initialize(init.Constant(bilinear_kernel(3, 3, 4)))
    net(x)
    set_all(mx, net[0])
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1, 'wd': 1e-3})
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss(axis=1)
    with mx.autograd.record():
        value = loss(net(x), y)
    value.backward()
    trainer.step(1)
    predicted = nd.argmax(net(x), axis=1)
    return numbers(up=upsample(x)[0, 0], value=value, digest=digest(net), predicted=predicted.sum())


def style(mx):
    """An image is the parameter: losses of content, of Gram matrices, of total variation; a rate that falls."""
    nd, nn = mx.nd, mx.gluon.nn

    class GeneratedImage(nn.Block):
        def __init__(self, img_shape, **kwargs):
            super(GeneratedImage, self).__init__(**kwargs)
            self.weight = self.params.get('weight', shape=img_shape)

        def forward(self):
            return self.weight.data()

    def gram(x):
        num_channels, n = x.shape[1], x.size // x.shape[1]
        x = x.reshape((num_channels, n))
        return nd.dot(x, x.T) / (num_channels * n)

    net = nn.Sequential(prefix='vgg_')
    with net.name_scope():
        net.add(nn.Conv2D(3, 3, activation='relu', in_channels=3), nn.AvgPool2D(2), nn.Conv2D(4, 2, in_channels=3))
    net.initialize()
    set_all(mx, net)

    def extract(x):
        kept = []
        for i in range(len(net)):
            x = net[i](x)
            if i in (0, 2):
                kept.append(x)
        return kept

    content, target = nd.array(draw(5, 1, 3, 8, 8)), nd.array(draw(6, 1, 3, 8, 8))
    wanted, grams = extract(content)[1], [gram(y) for y in extract(target)]
    image = GeneratedImage(content.shape)
    image.initialize(mx.init.Constant(content), ctx=mx.cpu(), force_reinit=True)
    trainer = mx.gluon.Trainer(image.collect_params(), 'adam', {'learning_rate': 0.1, 'epsilon': 1e-3})
    losses = []
    for step in range(3):
        with mx.autograd.record():
            x = image()
            features = extract(x)
            terms = [(features[1] - wanted).square().mean()]
            terms += [10 * (gram(y) - g).square().mean() for y, g in zip(features, grams)]
            rough = (x[:, :, 1:, :] - x[:, :, :-1, :]).abs().mean() + (x[:, :, :, 1:] - x[:, :, :, :-1]).abs().mean()
            value = nd.add_n(*terms) + 0.5 * rough
        value.backward()
        trainer.step(1)
        losses.append(value.asscalar())
        if step == 1:
            trainer.set_learning_rate(trainer.learning_rate * 0.1)
    clipped = (image.weight.data() * 0.2 + 0.5).clip(0, 1)[0].transpose((1, 2, 0))
    return numbers(losses=losses, image=clipped[0], rate=trainer.learning_rate)


def generation(mx):
    """A GAN: two networks, two Trainers, labels of ones and zeros, what is fake detached for one of them."""
    nd, nn = mx.nd, mx.gluon.nn
    generator, discriminator = nn.Sequential(prefix='g_'), nn.Sequential(prefix='d_')
    with generator.name_scope():
        generator.add(nn.Dense(2, in_units=2))
    with discriminator.name_scope():
        discriminator.add(nn.Dense(3, activation='tanh', in_units=2), nn.Dense(1, in_units=3))
    for net in (generator, discriminator):
        net.initialize(mx.init.Normal(0.02), force_reinit=True)
        set_all(mx, net)
    loss, losses = mx.gluon.loss.SigmoidBinaryCrossEntropyLoss(), []
    options = {'learning_rate': 0.05, 'epsilon': 1e-3}
    trainers = [mx.gluon.Trainer(net.collect_params(), 'adam', options) for net in (discriminator, generator)]
    ones, zeros = nd.ones((4,)), nd.zeros((4,))
    for i in range(2):
        x, z = nd.array(draw(7 + i, 4, 2)), nd.array(draw(9 + i, 4, 2))
        with mx.autograd.record():
            fake = generator(z)
            value = (loss(discriminator(x), ones) + loss(discriminator(fake.detach()), zeros)) / 2
        value.backward()
        trainers[0].step(4)
        losses.append(value.sum().asscalar())
        with mx.autograd.record():
            value = loss(discriminator(generator(z)), ones)
        value.backward()
        trainers[1].step(4)
        losses.append(value.sum().asscalar())
    return numbers(losses=losses, g=digest(generator), d=digest(discriminator))


def recommendation(mx):
    """Matrix factorization, an autoencoder of ratings that masks what is unknown, and a factorization machine."""
    nd, nn = mx.nd, mx.gluon.nn

    class Factorization(nn.Block):
        def __init__(self, factors, users, items, **kwargs):
            super(Factorization, self).__init__(**kwargs)
            with self.name_scope():
                self.P = nn.Embedding(users, factors)
                self.Q = nn.Embedding(items, factors)
                self.user_bias = nn.Embedding(users, 1)
                self.item_bias = nn.Embedding(items, 1)

        def forward(self, user, item):
            outputs = (self.P(user) * self.Q(item)).sum(axis=1) + self.user_bias(user).squeeze(axis=1)
            return (outputs + self.item_bias(item).squeeze(axis=1)).flatten()

    class AutoRec(nn.Block):
        def __init__(self, hidden, users, **kwargs):
            super(AutoRec, self).__init__(**kwargs)
            with self.name_scope():
                self.encoder = nn.Dense(hidden, activation='sigmoid', use_bias=True)
                self.decoder = nn.Dense(users, use_bias=True)

        def forward(self, x):
            predicted = self.decoder(self.encoder(x))
            return predicted * nd.sign(x) if mx.autograd.is_training() else predicted

    class DeepFM(nn.Block):
        def __init__(self, fields, factors, **kwargs):
            super(DeepFM, self).__init__(**kwargs)
            with self.name_scope():
                self.embedding = nn.Embedding(fields, factors)
                self.fc = nn.Embedding(fields, 1)
                self.linear = nn.Dense(1, use_bias=True)
                self.mlp = nn.Sequential()
                self.mlp.add(nn.Dense(3, activation='relu', flatten=True), nn.Dense(1))

        def forward(self, x):
            embedded = self.embedding(x)
            square_of_sum = embedded.sum(axis=1) ** 2
            sum_of_square = (embedded**2).sum(axis=1)
            deep = self.mlp(embedded.reshape((x.shape[0], -1)))
            y = self.linear(self.fc(x).sum(axis=1)) + 0.5 * (square_of_sum - sum_of_square).sum(axis=1, keepdims=True)
            return nd.sigmoid(y + deep)

    l2, bce = mx.gluon.loss.L2Loss(), mx.gluon.loss.SigmoidBinaryCrossEntropyLoss(from_sigmoid=True)
    ratings = nd.array([[5, 0, 3], [0, 4, 1]])
    users, items, rates = nd.array([0, 1, 1]), nd.array([2, 0, 1]), nd.array([3, 1, 4])
    fields, clicks = nd.array([[0, 2, 4], [1, 3, 4]]), nd.array([1, 0])
    cases = [
        (Factorization(2, 2, 3, prefix='mf_'), [users, items], lambda y: l2(y, rates.reshape(y.shape))),
        (AutoRec(2, 3, prefix='ae_'), [ratings], lambda y: l2(y, ratings)),
        (DeepFM(5, 2, prefix='fm_'), [fields], lambda y: bce(y, clicks)),
    ]
    answers = {}
    for net, inputs, loss in cases:
        ready(mx, net, *inputs)
        trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1, 'wd': 1e-2})
        with mx.autograd.record():
            value = loss(net(*inputs))
        value.backward()
        trainer.step(2)
        answers.update({net.name: value, net.name + ' digest': digest(net), net.name + ' predicted': net(*inputs)})
    return numbers(**answers)


PROGRAMS = [word2vec, sentiment, detection, segmentation, style, generation, recommendation]
