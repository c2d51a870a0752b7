"""Programs in NumPy's dialect: `npx.set_np()` is on while they run."""

import numpy as onp

from .common import digest, draw, in_numpy, set_all


def softmax_from_scratch(mx):
    """Indices that are ranges, means over boolean arrays, rows that a loader gives in order."""
    np, autograd, gluon = mx.np, mx.autograd, mx.gluon
    x, y = np.array(draw(0, 12, 2, 2)), np.array(onp.arange(12) % 3)
    w, b = np.array(0.3 * draw(1, 4, 3)), np.zeros(3)
    w.attach_grad()
    b.attach_grad()

    def softmax(scores):
        exp = np.exp(scores)
        return exp / exp.sum(1, keepdims=True)

    losses = []
    for features, labels in gluon.data.DataLoader(gluon.data.ArrayDataset(x, y), 6, shuffle=False):
        with autograd.record():
            predicted = softmax(np.dot(features.reshape((-1, 4)), w) + b)
            value = -np.log(predicted[range(len(predicted)), labels])
        value.backward()
        for param in (w, b):
            param[:] = param - 0.5 * param.grad / 6
        losses.append(float(value.mean()))
    right = (softmax(np.dot(x.reshape((-1, 4)), w) + b).argmax(axis=1).astype(y.dtype) == y).astype('float32').mean()
    clipped = (np.array([-1.0, 2.0, 5.0]) - 1).clip(min=0)
    return {'losses': losses, 'w': w, 'grad': b.grad, 'right': float(right), 'clipped': clipped}


def transformer(mx):
    """Multi-head attention with a mask of lengths, positions, layer normalization, residual connections."""
    np, npx, nn = mx.np, mx.npx, mx.gluon.nn

    def masked_softmax(x, valid_lens):
        shape = x.shape
        lens = valid_lens.repeat(shape[1]) if valid_lens.ndim == 1 else valid_lens.reshape(-1)
        x = npx.sequence_mask(x.reshape(-1, shape[-1]), lens, True, value=-1e6, axis=1)
        return npx.softmax(x).reshape(shape)

    class Attention(nn.Block):
        def __init__(self, hidden, heads, **kwargs):
            super().__init__(**kwargs)
            self.heads = heads
            with self.name_scope():
                self.w_q, self.w_k, self.w_v, self.w_o = [nn.Dense(hidden, use_bias=False, flatten=False) for _ in range(4)]

        def split(self, x):
            x = x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(0, 2, 1, 3)
            return x.reshape(-1, x.shape[2], x.shape[3])

        def forward(self, q, k, v, valid_lens):
            q, k, v = self.split(self.w_q(q)), self.split(self.w_k(k)), self.split(self.w_v(v))
            scores = npx.batch_dot(q, k, transpose_b=True) / onp.sqrt(q.shape[-1]).item()
            out = npx.batch_dot(masked_softmax(scores, valid_lens.repeat(self.heads, axis=0)), v)
            out = out.reshape(-1, self.heads, out.shape[1], out.shape[2]).transpose(0, 2, 1, 3)
            return self.w_o(out.reshape(out.shape[0], out.shape[1], -1))

    class Encoder(nn.Block):
        def __init__(self, vocab, hidden, **kwargs):
            super().__init__(**kwargs)
            position = onp.arange(6).reshape(-1, 1) / onp.power(10000, onp.arange(0, hidden, 2) / hidden)
            self.P = np.zeros((1, 6, hidden))
            self.P[:, :, 0::2], self.P[:, :, 1::2] = np.sin(np.array(position)), np.cos(np.array(position))
            with self.name_scope():
                self.embedding = nn.Embedding(vocab, hidden)
                self.attention = Attention(hidden, 2)
                self.norm1, self.norm2 = nn.LayerNorm(), nn.LayerNorm()
                self.ffn = nn.Sequential()
                self.ffn.add(nn.Dense(6, flatten=False, activation='relu'), nn.Dense(hidden, flatten=False))
                self.out = nn.Dense(vocab, flatten=False)

        def forward(self, x, valid_lens):
            x = self.embedding(x) * 2 + self.P[:, : x.shape[1], :].as_in_ctx(x.ctx)
            x = self.norm1(self.attention(x, x, x, valid_lens) + x)
            return self.out(self.norm2(self.ffn(x) + x))

    net, x, lens = Encoder(5, 4, prefix='transformer_'), np.array([[1, 2, 3], [4, 0, 0]]), np.array([3, 1])
    net.initialize(mx.init.Xavier())
    net(x, lens)
    set_all(mx, net)
    trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.2})
    loss, losses = mx.gluon.loss.SoftmaxCELoss(), []
    for _ in range(2):
        with mx.autograd.record():
            weights = npx.sequence_mask(np.expand_dims(np.ones_like(x, dtype='float32'), -1), lens, True, axis=1)
            value = loss(net(x, lens), x, weights).sum()
        value.backward()
        trainer.step(4)
        losses.append(float(value))
    return {'losses': losses, 'digest': digest(net)}


def layers(mx):
    """Blocks in the dialect: state in `__init__`, arrays made in `forward`, files, scalars without axes."""
    np, npx, nn = mx.np, mx.npx, mx.gluon.nn

    class Fixed(nn.Block):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.weight = np.array(draw(2, 4, 4))
            self.calls = 0
            with self.name_scope():
                self.dense = nn.Dense(4, activation='relu')

        def forward(self, x):
            x = self.dense(x)
            x = npx.relu(np.dot(x, self.weight) + 1)
            x = self.dense(x)
            while np.abs(x).sum() > 1:
                x = x / 2
                self.calls += 1
            return x.sum()

    net, x = Fixed(prefix='fixed_'), np.array(draw(3, 2, 4))
    net.initialize()
    net(x)
    set_all(mx, net)
    with mx.autograd.record():
        value = net(x)
    value.backward()
    grad = net.dense.weight.grad()
    row = np.arange(12).reshape(3, 4)
    row[1:2, :] = 12
    return {'value': value, 'calls': net.calls, 'grad': grad, 'row': row, 'sum': row.sum(), 'less': (row < 5).sum()}


PROGRAMS = [in_numpy(program) for program in (softmax_from_scratch, transformer, layers)]
