"""What networks are used for, in NumPy's dialect: generation, detection, words, style, recommendation, devices."""

import numpy as onp

from .common import digest, draw, in_numpy, set_all


def adversaries(mx):
    """Two networks with batch normalization against each other, one of them called twice a step, two Trainers."""
    np, autograd, gluon = mx.np, mx.autograd, mx.gluon
    nn = gluon.nn

    class Up(nn.Block):
        def __init__(self, channels, kernel_size=4, strides=2, padding=1, **kwargs):
            super().__init__(**kwargs)
            self.conv = nn.Conv2DTranspose(channels, kernel_size, strides, padding, use_bias=False)
            self.norm, self.activation = nn.BatchNorm(), nn.Activation('relu')

        def forward(self, x):
            return self.activation(self.norm(self.conv(x)))

    generator, judge = nn.Sequential(), nn.Sequential()
    generator.add(Up(2, strides=1, padding=0), nn.Conv2DTranspose(1, 4, 2, 1, use_bias=False, activation='tanh'))
    judge.add(nn.Conv2D(2, 4, 2, 1, use_bias=False), nn.BatchNorm(), nn.LeakyReLU(0.2), nn.Conv2D(1, 4, use_bias=False))
    for net, x in ((generator, np.ones((2, 3, 1, 1))), (judge, np.ones((2, 1, 8, 8)))):
        net.initialize()
        net(x)
        for i, parameter in enumerate(p for p in net.collect_params().values() if p.grad_req != 'null'):
            parameter.set_data(np.array(0.3 * draw(i, *parameter.shape) + (len(parameter.shape) == 1)))
    trainers = [gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1}) for net in (judge, generator)]
    loss, losses, ones, zeros = gluon.loss.SigmoidBCELoss(), [], np.ones((2,)), np.zeros((2,))
    for step in range(2):
        real, noise = np.array(draw(step, 2, 1, 8, 8)), np.array(draw(step + 5, 2, 3, 1, 1))
        with autograd.record():
            of_real, fake = judge(real), generator(noise)
            of_fake = judge(fake.detach())
            value = (loss(of_real, ones.reshape(of_real.shape)) + loss(of_fake, zeros.reshape(of_fake.shape))) / 2
        value.backward()
        trainers[0].step(2)
        losses.append(float(value.sum()))
        with autograd.record():
            of_fake = judge(generator(noise))
            value = loss(of_fake, ones.reshape(of_fake.shape))
        value.backward()
        trainers[1].step(2)
        losses.append(float(value.sum()))
    images = generator(noise).transpose(0, 2, 3, 1) / 2 + 0.5
    row = np.concatenate(list(images), axis=1)
    return {'losses': losses, 'judge': digest(judge), 'generator': digest(generator), 'images': row}


def boxes(mx):
    """Anchors, overlaps, their assignment to objects, and the suppression of boxes, all from scratch."""
    np = mx.np

    def anchors(data, sizes, ratios):
        height, width = data.shape[-2:]
        sizes, ratios = np.array(sizes), np.array(ratios)
        y, x = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
        y, x = y.reshape(-1), x.reshape(-1)
        w = np.concatenate((sizes * np.sqrt(ratios[0]), sizes[0] * np.sqrt(ratios[1:]))) * height / width
        h = np.concatenate((sizes / np.sqrt(ratios[0]), sizes[0] / np.sqrt(ratios[1:])))
        corners = np.tile(np.stack((-w, -h, w, h)).T, (height * width, 1)) / 2
        centers = np.stack([y, x, y, x], axis=1).repeat(len(w), axis=0)
        return np.expand_dims(centers + corners, axis=0)

    def overlaps(first, second):
        def area(boxes):
            return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

        upper = np.maximum(first[:, None, :2], second[:, :2])
        lower = np.minimum(first[:, None, 2:], second[:, 2:])
        inner = (lower - upper).clip(min=0)
        shared = inner[:, :, 0] * inner[:, :, 1]
        return shared / (area(first)[:, None] + area(second) - shared)

    def assign(truth, found, threshold=0.4):
        table = overlaps(found, truth)
        chosen = np.full((len(found),), -1, dtype=np.int32)
        best, which = np.max(table, axis=1), np.argmax(table, axis=1)
        rows = np.nonzero(best >= threshold)[0]
        chosen[rows] = which[best >= threshold].astype('int32')
        for _ in range(len(truth)):
            place = np.argmax(table)
            column, row = (place % len(truth)).astype('int32'), (place / len(truth)).astype('int32')
            chosen[row] = column
            table[:, column], table[row, :] = -1, -1
        return chosen

    def suppress(found, scores, threshold):
        order, keep = scores.argsort()[::-1], []
        while order.size > 0:
            i = order[0]
            keep.append(i)
            if order.size == 1:
                break
            iou = overlaps(found[i, :].reshape(-1, 4), found[order[1:], :].reshape(-1, 4)).reshape(-1)
            order = order[np.nonzero(iou <= threshold)[0] + 1]
        return np.array(keep, dtype=np.int32)

    found = anchors(np.zeros((1, 3, 2, 3)), [0.75, 0.4], [1, 2])
    truth = np.array([[0.1, 0.08, 0.52, 0.92], [0.55, 0.2, 0.9, 0.88]])
    chosen = assign(truth, found[0])
    scores = np.array(draw(0, len(found[0])))
    kept = suppress(found[0], scores, 0.2)
    mask = np.ones(len(scores), dtype='bool')
    mask[kept] = False
    return {
        'anchors': found,
        'grid': found.reshape(2, 3, 3, 4)[1, 1, 0, :],
        'chosen': chosen,
        'kept': kept,
        'rest': scores[mask].sum(),
        'objects': (chosen >= 0).sum(),
    }


def words(mx):
    """Pairs of words of unequal numbers through a DataLoader that pads them, a loss of one's own, near words."""
    np, npx, gluon = mx.np, mx.npx, mx.gluon
    nn = gluon.nn

    class Pairs(gluon.data.Dataset):
        def __init__(self, centers, contexts, negatives):
            assert len(centers) == len(contexts) == len(negatives)
            self.centers, self.contexts, self.negatives = centers, contexts, negatives

        def __getitem__(self, index):
            return self.centers[index], self.contexts[index], self.negatives[index]

        def __len__(self):
            return len(self.centers)

    def padded(data):
        most = max(len(c) + len(n) for _, c, n in data)
        centers, others, masks, labels = [], [], [], []
        for center, context, negative in data:
            length = len(context) + len(negative)
            centers += [center]
            others += [context + negative + [0] * (most - length)]
            masks += [[1] * length + [0] * (most - length)]
            labels += [[1] * len(context) + [0] * (most - len(context))]
        return np.array(centers).reshape((-1, 1)), np.array(others), np.array(masks), np.array(labels)

    class Binary(gluon.loss.Loss):
        def __init__(self, **kwargs):
            super().__init__(None, 0, **kwargs)
            self.bce = gluon.loss.SigmoidBinaryCrossEntropyLoss()

        def forward(self, predicted, label, mask=None):
            return self.bce(predicted, label, mask)

    pairs = Pairs([1, 2, 3, 1], [[2, 3], [1], [4, 2, 1], [0]], [[4, 0], [3, 3], [0], [4]])
    net, loss, losses = nn.Sequential(prefix='words_'), Binary(), []
    with net.name_scope():
        net.add(nn.Embedding(5, 3), nn.Embedding(5, 3))
    net.initialize()
    set_all(mx, net)
    trainer = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.1, 'epsilon': 1e-3})
    for center, others, mask, label in gluon.data.DataLoader(pairs, 2, batchify_fn=padded):
        with mx.autograd.record():
            predicted = npx.batch_dot(net[0](center), net[1](others).swapaxes(1, 2))
            value = loss(predicted.reshape(label.shape), label, mask) / mask.sum(axis=1) * mask.shape[1]
        value.backward()
        trainer.step(2)
        losses.append(value)
    w = net[0].weight.data()
    cosines = np.dot(w, w[2]) / np.sqrt(np.sum(w * w, axis=1) * np.sum(w[2] * w[2]) + 1e-9)
    nearest = npx.topk(cosines, k=3, ret_typ='indices').asnumpy().astype('int32')
    return {'losses': np.stack(losses), 'digest': digest(net), 'cosines': cosines, 'nearest': nearest}


def style(mx):
    """An image as a Constant's relative, a parameter of a block, that gradients change: contents, grams, variation."""
    np, npx, gluon = mx.np, mx.npx, mx.gluon
    nn = gluon.nn

    class Image(nn.Block):
        def __init__(self, shape, **kwargs):
            super().__init__(**kwargs)
            self.weight = self.params.get('weight', shape=shape)

        def forward(self):
            return self.weight.data()

    def gram(x):
        channels, n = x.shape[1], x.size // x.shape[1]
        x = x.reshape(channels, n)
        return np.dot(x, x.T) / (channels * n)

    mean, std = np.array([0.4, 0.5]), np.array([0.2, 0.3])
    content, painting = [(np.array(abs(draw(i, 6, 6, 2))) - mean) / std for i in (0, 1)]
    content, painting = [np.expand_dims(x.transpose(2, 0, 1), axis=0) for x in (content, painting)]
    net = nn.Sequential(prefix='style_')
    net.add(nn.Conv2D(3, 3, padding=1, activation='relu', prefix='first_'), nn.MaxPool2D(2))
    net.add(nn.Conv2D(2, 3, padding=1, activation='relu', prefix='second_'))
    net.initialize()
    net(content)
    set_all(mx, net)
    net.collect_params().setattr('grad_req', 'null')

    def features(x):
        found = []
        for layer in net:
            x = layer(x)
            found.append(x)
        return found

    wanted, grams = features(content)[2], [gram(x) for x in features(painting)[::2]]
    made, losses = Image(content.shape, prefix='image_'), []
    made.initialize(mx.init.Constant(content))
    trainer = gluon.Trainer(made.collect_params(), 'adam', {'learning_rate': 0.01})
    for step in range(3):
        with mx.autograd.record():
            x = made()
            now = features(x)
            of_content = np.square(now[2] - wanted).mean()
            of_style = sum(np.square(gram(a) - b).mean() for a, b in zip(now[::2], grams))
            variation = 0.5 * (np.abs(x[:, :, 1:, :] - x[:, :, :-1, :]).mean() + np.abs(x[:, :, :, 1:] - x[:, :, :, :-1]).mean())
            value = of_content + 10 * of_style + variation
        value.backward()
        trainer.step(1)
        if step == 1:
            trainer.set_learning_rate(trainer.learning_rate * 0.8)
        npx.waitall()
        losses.append([float(of_content), float(of_style), float(variation)])
    shown = (made.weight.data()[0].transpose(1, 2, 0) * std + mean).clip(0, 1)
    return {'losses': losses, 'shown': shown}


def recommendation(mx):
    """Factors of a matrix with biases, and a ranking with a loss of differences; the metric RMSE of lists of arrays."""
    np, gluon = mx.np, mx.gluon
    nn = gluon.nn

    class Factors(nn.Block):
        def __init__(self, size, users, items, **kwargs):
            super().__init__(**kwargs)
            self.P, self.Q = nn.Embedding(users, size), nn.Embedding(input_dim=items, output_dim=size)
            self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)

        def forward(self, user, item):
            biases = np.squeeze(self.user_bias(user)) + np.squeeze(self.item_bias(item))
            return ((self.P(user) * self.Q(item)).sum(axis=1) + biases).flatten()

    class Ranking(gluon.loss.Loss):
        def __init__(self, weight=None, batch_axis=0, **kwargs):
            super().__init__(weight=None, batch_axis=0, **kwargs)

        def forward(self, better, worse):
            return -np.sum(np.log(mx.npx.sigmoid(better - worse)), axis=0, keepdims=True)

    net = Factors(2, 4, 5)
    users, items = np.array([0, 1, 2, 3], dtype='int32'), np.array([1, 4, 0, 2], dtype='int32')
    ratings = np.array([5.0, 1.0, 3.0, 4.0])
    net.initialize(ctx=mx.cpu(), force_reinit=True, init=mx.init.Normal(0.01))
    for i, parameter in enumerate(net.collect_params().values()):
        parameter.set_data(np.array(0.5 * draw(i, *parameter.shape)))
    trainer = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.02, 'wd': 1e-3, 'epsilon': 1e-3})
    loss, ranking, losses = gluon.loss.L2Loss(), Ranking(), []
    loader = gluon.data.DataLoader(gluon.data.ArrayDataset(users, items, ratings), 2, last_batch='rollover')
    for values in loader:
        users_of, items_of, wanted = [gluon.utils.split_and_load(x, [mx.cpu()], even_split=False) for x in values]
        with mx.autograd.record():
            found = [loss(net(u, i), r) for u, i, r in zip(users_of, items_of, wanted)]
        [value.backward() for value in found]
        trainer.step(2)
        losses.append(float(sum(value.asnumpy().mean() for value in found)))
    with mx.autograd.record():
        value = ranking(net(users, items), net(users, np.array([2, 0, 1, 3])))
    value.backward()
    trainer.step(4)
    rmse = mx.metric.RMSE()
    rmse.update(labels=[ratings], preds=[net(users, items)])
    order = sorted(range(5), key=lambda i: -float(net(np.array([1]), np.array([i]))))
    return {'losses': losses, 'ranking': value, 'rmse': rmse.get()[1], 'order': order, 'digest': digest(net)}


def devices(mx):
    """A batch in parts, gradients summed by hand and copied back, and the same by `split_and_load` and a Trainer."""
    np, gluon, autograd = mx.np, mx.gluon, mx.autograd
    places = [mx.cpu(0), mx.cpu(1)]
    x, y = np.array(draw(0, 4, 3)), np.array([0, 1, 2, 1])
    initial = 0.3 * draw(1, 3, 3), onp.zeros(3, 'float32')
    loss = gluon.loss.SoftmaxCrossEntropyLoss()

    def copies(place):
        new = [np.array(value).as_in_ctx(place) for value in initial]
        for param in new:
            param.attach_grad()
        return new

    def summed(data):
        for i in range(1, len(data)):
            data[0][:] += data[i].copyto(data[0].ctx)
        for i in range(1, len(data)):
            data[0].copyto(data[i])

    params = [copies(place) for place in places]
    parts = [gluon.utils.split_and_load(data, places) for data in (x, y)]
    with autograd.record():
        losses = [loss(np.dot(a, w) + b, label) for a, label, (w, b) in zip(*parts, params)]
    for value in losses:
        value.backward()
    for i in range(2):
        summed([params[place][i].grad for place in range(2)])
    for own in params:
        for param in own:
            param[:] = param - 0.5 * param.grad / 4
    net = gluon.nn.Dense(3, in_units=3)
    net.initialize(init=mx.init.Normal(0.01), ctx=places)
    net.weight.set_data(np.array(initial[0].T))
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5})
    with autograd.record():
        values = [loss(net(a), label) for a, label in zip(*parts)]
    for value in values:
        value.backward()
    trainer.step(4)
    return {
        'by hand': params[1][0],
        'by a Trainer': net.weight.data(places[1]).T,
        'gradient': net.weight.grad(places[0]),
        'losses': np.concatenate([value.as_in_ctx(places[0]) for value in values]),
        'apart': [str(value.ctx) == str(place) for value, place in zip(values, places)],
    }


def descents(mx):
    """Optimizers of two numbers from scratch, Trainers with schedulers, folds of houses with a relative error."""
    np, gluon, autograd = mx.np, mx.gluon, mx.autograd

    def momentum(x, state, rate):
        state[:] = 0.5 * state + np.array([0.2, 4]) * x
        x[:] -= rate * state

    def adam(x, state, rate, t):
        v, s = state
        g = np.array([0.2, 4]) * x
        v[:] = 0.9 * v + 0.1 * g
        s[:] = 0.999 * s + 0.001 * np.square(g)
        x[:] -= rate * (v / (1 - 0.9 ** t)) / (np.sqrt(s / (1 - 0.999 ** t)) + 1e-6)

    x, z, state, moments = np.array([-5.0, -2.0]), np.array([-5.0, -2.0]), np.zeros(2), (np.zeros(2), np.zeros(2))
    for t in range(1, 4):
        momentum(x, state, 0.4)
        adam(z, moments, 0.4, t)
    rates = []
    for scheduler in (
        mx.lr_scheduler.FactorScheduler(step=1, factor=0.9, stop_factor_lr=0.3, base_lr=0.5),
        mx.lr_scheduler.MultiFactorScheduler(step=[2, 4], factor=0.5, base_lr=0.5),
        mx.lr_scheduler.CosineScheduler(5, warmup_steps=2, base_lr=0.3, final_lr=0.01),
    ):
        rates.append([scheduler(t) for t in range(7)])
    features, labels = np.array(draw(0, 6, 3)), np.array(abs(draw(1, 6, 1)) + 1)
    loss, folds = gluon.loss.L2Loss(), []

    def log_rmse(net):
        clipped = np.clip(net(features), 1, float('inf'))
        return np.sqrt(2 * loss(np.log(clipped), np.log(labels)).mean())

    for fold in range(3):
        rows = [i for i in range(6) if i // 2 != fold]
        net = gluon.nn.Sequential(prefix='house_')
        net.add(gluon.nn.Dense(1, prefix='dense_'))
        net.initialize()
        net(features)
        set_all(mx, net)
        schedule = mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=0.3)
        trainer = gluon.Trainer(net.collect_params(), 'adam', {'lr_scheduler': schedule, 'wd': 0.1})
        for a, b in gluon.data.DataLoader(gluon.data.ArrayDataset(features[rows], labels[rows]), 2, shuffle=False):
            with autograd.record():
                value = loss(net(a), b)
            value.backward()
            trainer.step(2)
        folds.append([float(value.mean()), float(log_rmse(net)), trainer.learning_rate])
    return {'momentum': x, 'adam': z, 'rates': rates, 'folds': folds}


PROGRAMS = [
    in_numpy(program) for program in (adversaries, boxes, words, style, recommendation, devices, descents)
]
