"""Models in NumPy's dialect, as later editions of textbooks write them."""

import math

import numpy as onp

from .common import digest, draw, in_numpy, set_all


def modules(mx):
    """A class of models that finds its arrays by `dir`, saves its arguments as attributes, and makes its loss anew."""
    np, autograd, gluon = mx.np, mx.autograd, mx.gluon

    class Module(gluon.nn.Block):
        def __init__(self, **arguments):
            super().__init__()
            for name, value in arguments.items():
                setattr(self, name, value)

        def arrays(self):
            return [value for value in (getattr(self, name) for name in dir(self)) if isinstance(value, np.ndarray)]

        def parameters(self):
            found = self.collect_params()
            return found if len(found.keys()) else self.arrays()

        def loss(self, scores, labels, averaged=True):
            value = gluon.loss.SoftmaxCrossEntropyLoss()(scores.reshape(-1, scores.shape[-1]), labels.reshape((-1,)))
            return value.mean() if averaged else value

    class Scratch(Module):
        def __init__(self, inputs, outputs, lr):
            super().__init__(inputs=inputs, outputs=outputs, lr=lr)
            self.W, self.b = np.array(0.3 * draw(0, inputs, outputs)), np.zeros(outputs)
            for array in self.arrays():
                array.attach_grad()

        def forward(self, x):
            return np.dot(x.reshape((-1, self.inputs)), self.W) + self.b

    class Concise(Module):
        def __init__(self, outputs, lr):
            super().__init__(outputs=outputs, lr=lr)
            self.net = gluon.nn.Dense(outputs, prefix='concise_')
            self.net.initialize()

        def forward(self, x):
            return self.net(x)

    class Descent:
        def __init__(self, params, lr):
            self.params, self.lr = params, lr

        def step(self, _):
            for array in self.params:
                array -= self.lr * array.grad

    def optimizer(model):
        params = model.parameters()
        if isinstance(params, list):
            return Descent(params, model.lr)
        return gluon.Trainer(params, 'sgd', {'learning_rate': model.lr})

    x, y = np.array(draw(1, 8, 2, 3)), np.array(onp.arange(8) % 3)
    answers = {}
    for model in (Scratch(6, 3, 0.5), Concise(3, 0.5)):
        model(x)
        if isinstance(model, Concise):
            set_all(mx, model)
        step, losses = optimizer(model), []
        for start in (0, 4, 0):
            rows = slice(start, start + 4)
            with autograd.record():
                value = model.loss(model(x[rows]), y[rows])
            value.backward()
            step.step(1)
            losses.append(float(value))
        answers[type(model).__name__] = losses
        answers[type(model).__name__ + ' arrays'] = [isinstance(model.parameters(), list), len(model.arrays())]
    predicted = model(x).argmax(axis=1).astype(y.dtype)
    wrong = predicted != y
    return {**answers, 'right': (predicted == y).astype(np.float32).mean(), 'wrong': x[wrong].sum(), 'count': wrong.sum()}


def gru(mx):
    """A language model from scratch: one-hot words, a state as a tuple, gradients clipped in place, words predicted."""
    np, npx, autograd = mx.np, mx.npx, mx.autograd
    vocab, hidden = 5, 3
    words = onp.array([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0], 'int64')

    def gate(seed):
        arrays = 0.5 * draw(seed, vocab, hidden), 0.5 * draw(seed + 1, hidden, hidden)
        return [np.array(a) for a in arrays] + [np.zeros(hidden)]

    params = [*gate(0), *gate(2), *gate(4), np.array(0.5 * draw(6, hidden, vocab)), np.zeros(vocab)]
    for param in params:
        param.attach_grad()

    def run(inputs, state, params):
        w_xz, w_hz, b_z, w_xr, w_hr, b_r, w_xh, w_hh, b_h, w_hq, b_q = params
        (h,) = state
        outputs = []
        for x in inputs:
            z = npx.sigmoid(np.dot(x, w_xz) + np.dot(h, w_hz) + b_z)
            r = npx.sigmoid(np.dot(x, w_xr) + np.dot(h, w_hr) + b_r)
            h = z * h + (1 - z) * np.tanh(np.dot(x, w_xh) + np.dot(r * h, w_hh) + b_h)
            outputs.append(np.dot(h, w_hq) + b_q)
        return np.concatenate(outputs, axis=0), (h,)

    def clip(theta):
        norm = math.sqrt(sum((p.grad ** 2).sum() for p in params))
        if norm > theta:
            for param in params:
                param.grad[:] *= theta / norm
        return norm

    batches = np.array(words[:-1].reshape(2, 8)), np.array(words[1:].reshape(2, 8))
    state, found = None, []
    for start in (0, 4):
        x, y = (batch[:, start : start + 4] for batch in batches)
        if state is None:
            state = (np.zeros(shape=(2, hidden), ctx=x.ctx),)
        else:
            for s in state:
                s.detach()
        with autograd.record():
            scores, state = run(npx.one_hot(x.T, vocab), state, params)
            value = mx.gluon.loss.SoftmaxCrossEntropyLoss()(scores, y.T.reshape(-1)).mean()
        value.backward()
        norm = clip(0.1)
        for param in params:
            param[:] = param - 2 * param.grad
        found.append([float(np.exp(value)), norm])
    outputs, state = [1], (np.zeros((1, hidden)),)
    for _ in range(3):
        scores, state = run(npx.one_hot(np.array([[outputs[-1]]]).T, vocab), state, params)
        outputs.append(int(scores.argmax(axis=1).reshape(1)))
    return {'found': found, 'outputs': outputs, 'state': state[0], 'grad': params[0].grad}


def translation(mx):
    """A GRU with additive attention to another, a mask of lengths in softmax and in the loss, greedy decoding."""
    np, npx, autograd, gluon = mx.np, mx.npx, mx.autograd, mx.gluon
    nn = gluon.nn

    class Attention(nn.Block):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.W_k = nn.Dense(units, use_bias=False, flatten=False)
            self.W_q = nn.Dense(units, use_bias=False, flatten=False)
            self.w_v = nn.Dense(1, use_bias=False, flatten=False)

        def forward(self, query, keys, values, lengths):
            features = np.expand_dims(self.W_q(query), axis=2) + np.expand_dims(self.W_k(keys), axis=1)
            scores = np.squeeze(self.w_v(np.tanh(features)), axis=-1)
            if lengths is not None:
                scores = npx.sequence_mask(scores.transpose(2, 0, 1), lengths, True, value=-1e6).transpose(1, 2, 0)
            self.attention_weights = npx.softmax(scores)
            return npx.batch_dot(self.attention_weights, values)

    class Encoder(nn.Block):
        def __init__(self, vocab, size, **kwargs):
            super().__init__(**kwargs)
            self.embedding, self.rnn = nn.Embedding(vocab, size), gluon.rnn.GRU(size)

        def forward(self, x, *args):
            x = self.embedding(x).swapaxes(0, 1)
            return self.rnn(x, self.rnn.begin_state(batch_size=x.shape[1], ctx=x.ctx))

    class Decoder(nn.Block):
        def __init__(self, vocab, size, **kwargs):
            super().__init__(**kwargs)
            self.attention, self.embedding = Attention(size), nn.Embedding(vocab, size)
            self.rnn, self.dense = gluon.rnn.GRU(size), nn.Dense(vocab, flatten=False)

        def init_state(self, encoded, lengths):
            outputs, state = encoded
            return outputs.swapaxes(0, 1), state, lengths

        def forward(self, x, state):
            memory, hidden, lengths = state
            outputs, self._weights = [], []
            for word in self.embedding(x).swapaxes(0, 1):
                context = self.attention(np.expand_dims(hidden[0][-1], axis=1), memory, memory, lengths)
                word = np.concatenate((context, np.expand_dims(word, axis=1)), axis=-1)
                output, hidden = self.rnn(word.swapaxes(0, 1), hidden)
                outputs.append(output)
                self._weights.append(self.attention.attention_weights)
            outputs = self.dense(np.concatenate(outputs, axis=0))
            return outputs.swapaxes(0, 1), [memory, hidden, lengths]

        @property
        def attention_weights(self):
            return self._weights

    class MaskedLoss(gluon.loss.SoftmaxCELoss):
        def forward(self, predicted, label, lengths):
            weights = np.expand_dims(np.ones_like(label), axis=-1)
            return super().forward(predicted, label, npx.sequence_mask(weights, lengths, True, axis=1))

    class Model(nn.Block):
        def __init__(self, vocab, size, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.decoder = Encoder(vocab, size), Decoder(vocab, size)

        def forward(self, source, target, lengths):
            state = self.decoder.init_state(self.encoder(source, lengths), lengths)
            return self.decoder(target, state)[0]

    net = Model(5, 4)
    source, lengths = np.array([[1, 2, 3], [4, 2, 0]]), np.array([3, 2])
    target, wanted = np.array([[1, 4, 3], [2, 3, 1]]), np.array([3, 2])
    net.initialize()
    net(source, target, lengths)
    for i, parameter in enumerate(net.collect_params().values()):
        parameter.set_data(np.array(0.5 * draw(i, *parameter.shape)))
    trainer, loss, losses = gluon.Trainer(net.collect_params(), 'adam', {'learning_rate': 0.05}), MaskedLoss(), []
    for _ in range(2):
        shifted = np.concatenate([np.ones((2, 1)), target[:, :-1]], 1)
        with autograd.record():
            value = loss(net(source, shifted, lengths), target, wanted)
        value.backward()
        trainer.step(wanted.sum())
        losses.append(value)
    state, word, words, weights = net.decoder.init_state(net.encoder(source[:1]), lengths[:1]), np.array([[1]]), [], []
    for _ in range(3):
        scores, state = net.decoder(word, state)
        word = scores.argmax(axis=2)
        words.append(word.squeeze(axis=0).astype('int32').item())
        weights.append(net.decoder.attention_weights[0])
    return {'losses': np.stack(losses), 'digest': digest(net), 'words': words, 'weights': np.concatenate(weights)}


def masked_words(mx):
    """A Transformer's encoder that is hybridized, masked words gathered by pairs of indices, two losses together."""
    np, gluon = mx.np, mx.gluon
    nn = gluon.nn

    class Layer(nn.HybridBlock):
        def __init__(self, size, **kwargs):
            super().__init__(**kwargs)
            with self.name_scope():
                self.mixed = nn.Dense(3 * size, flatten=False)
                self.norm = nn.LayerNorm()
                self.out = nn.Dense(size, activation='relu', flatten=False)

        def hybrid_forward(self, F, x, lengths):
            query, key, value = F.np.split(self.mixed(x), 3, axis=-1)
            scores = F.npx.batch_dot(query, key, transpose_b=True) / 2
            scores = F.npx.sequence_mask(scores.transpose(2, 0, 1), lengths, True, value=-1e6).transpose(1, 2, 0)
            return self.norm(x + self.out(F.npx.batch_dot(F.npx.softmax(scores, axis=-1), value)))

    class Model(nn.Block):
        def __init__(self, vocab, size, **kwargs):
            super().__init__(**kwargs)
            with self.name_scope():
                self.words, self.segments = nn.Embedding(vocab, size), nn.Embedding(2, size)
                self.positions = self.params.get('positions', shape=(1, 6, size))
                self.layer = Layer(size)
                self.decoder = nn.Dense(vocab, flatten=False)
                self.following = nn.Dense(2)

        def forward(self, tokens, segments, lengths, places):
            x = self.words(tokens) + self.segments(segments)
            x = x + self.positions.data(ctx=x.ctx)[:, : x.shape[1], :]
            x = self.layer(x, lengths)
            batch = np.arange(0, places.shape[0]).repeat(places.shape[1])
            masked = x[batch, places.reshape(-1)].reshape((places.shape[0], places.shape[1], -1))
            return x, self.decoder(masked), self.following(x[:, 0, :])

    net = Model(6, 4, prefix='masked_')
    tokens, segments = np.array([[1, 2, 0, 4, 3], [5, 0, 3, 0, 0]]), np.array([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])
    lengths, places = np.array([5.0, 3.0]), np.array([[1, 3], [2, 0]])
    words, weights, following = np.array([[5, 1], [4, 0]]), np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    net.initialize()
    net.layer.hybridize()
    net(tokens, segments, lengths, places)
    set_all(mx, net)
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1})
    loss, losses = gluon.loss.SoftmaxCELoss(), []
    for _ in range(2):
        with mx.autograd.record():
            _, scores, first = net(tokens, segments, lengths, places)
            of_words = loss(scores.reshape((-1, 6)), words.reshape(-1), weights.reshape((-1, 1)))
            of_words = of_words.sum() / (weights.sum() + 1e-8)
            of_pairs = loss(first, following).mean()
            value = of_words + of_pairs
        value.backward()
        trainer.step(1)
        losses.append([float(of_words), float(of_pairs)])
    return {'losses': losses, 'digest': digest(net)}


def convolutions(mx):
    """Cross-correlation element by element, a kernel that is learnt, channels, pools; batch normalization with state."""
    np, autograd = mx.np, mx.autograd
    nn = mx.gluon.nn

    def corr2d(x, k):
        h, w = k.shape
        y = np.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1))
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = (x[i : i + h, j : j + w] * k).sum()
        return y

    class Norm(nn.Block):
        def __init__(self, shape, **kwargs):
            super().__init__(**kwargs)
            self.gamma = self.params.get('gamma', shape=shape, init=mx.init.One())
            self.beta = self.params.get('beta', shape=shape, init=mx.init.Zero())
            self.mean, self.var = np.zeros(shape), np.ones(shape)

        def forward(self, x):
            if self.mean.ctx != x.ctx:
                self.mean, self.var = self.mean.copyto(x.ctx), self.var.copyto(x.ctx)
            if autograd.is_training():
                mean = x.mean(axis=(0, 2, 3), keepdims=True)
                var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
                self.mean, self.var = 0.9 * self.mean + 0.1 * mean, 0.9 * self.var + 0.1 * var
            else:
                mean, var = self.mean, self.var
            return self.gamma.data() * (x - mean) / np.sqrt(var + 1e-5) + self.beta.data()

    x = np.ones((3, 5))
    x[:, 1:3] = 0
    k = np.array([[1.0, -1.0]])
    y = corr2d(x, k)
    conv = nn.Conv2D(1, kernel_size=(1, 2), use_bias=False, prefix='learnt_')
    conv.initialize()
    image, edges = x.reshape(1, 1, 3, 5), y.reshape(1, 1, 3, 4)
    conv(image)
    conv.weight.set_data(np.array(0.1 * draw(0, 1, 1, 1, 2)))
    losses = []
    for _ in range(3):
        with autograd.record():
            value = (conv(image) - edges) ** 2
        value.backward()
        conv.weight.data()[:] -= 0.03 * conv.weight.grad()
        losses.append(float(value.sum()))
    channels = np.stack((x, x + 1), 0)
    several = np.stack([sum(corr2d(a, b) for a, b in zip(channels, both)) for both in (np.stack((k, 2 * k)),) * 2], 0)
    pooled = nn.MaxPool2D((2, 3), padding=(0, 1), strides=(2, 3))(channels.reshape((1, 2, 3, 5)))
    net = nn.Sequential(prefix='normed_')
    net.add(Norm((1, 2, 1, 1), prefix='norm_'), nn.Activation('sigmoid'))
    net.initialize()
    data = np.array(draw(1, 2, 2, 2, 2))
    with autograd.record():
        value = net(data)[:, 0].sum()
    value.backward()
    grad = net[0].gamma.grad().reshape((-1,))
    return {
        'y': y,
        'losses': losses,
        'kernel': conv.weight.data().reshape((1, 2)),
        'several': several,
        'pooled': pooled,
        'value': value,
        'grad': grad,
        'mean': net[0].mean,
        'later': net(data),
    }


PROGRAMS = [in_numpy(program) for program in (modules, gru, translation, masked_words, convolutions)]
