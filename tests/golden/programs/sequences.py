"""Recurrent networks from scratch and of gluon: truncated backpropagation, prediction letter by letter, attention."""

import collections
import math

import numpy as np

from .common import digest, draw, numbers, set_all

TEXT = np.random.RandomState(0).randint(0, 5, 34).tolist()


def clip(mx, params, theta, ctx):
    """Clips the gradients of arrays by the norm of all."""
    norm = mx.nd.array([0], ctx)
    for param in params:
        norm += (param.grad**2).sum()
    norm = norm.sqrt().asscalar()
    if norm > theta:
        for param in params:
            param.grad[:] *= theta / norm


def consecutive(mx, indices, batch_size, num_steps, ctx=None):
    """Batches that continue each other."""
    indices = mx.nd.array(indices, ctx=ctx)
    length = len(indices) // batch_size
    indices = indices[0 : batch_size * length].reshape((batch_size, length))
    for i in range((length - 1) // num_steps):
        i = i * num_steps
        yield indices[:, i : i + num_steps], indices[:, i + 1 : i + num_steps + 1]


def rnn_step(nd, x, state, params):
    (h,), (w_xh, w_hh, b_h) = state, params
    return (nd.tanh(nd.dot(x, w_xh) + nd.dot(h, w_hh) + b_h),)


def gru_step(nd, x, state, params):
    (h,), (w_xz, w_hz, b_z, w_xr, w_hr, b_r, w_xh, w_hh, b_h) = state, params
    z = nd.sigmoid(nd.dot(x, w_xz) + nd.dot(h, w_hz) + b_z)
    r = nd.sigmoid(nd.dot(x, w_xr) + nd.dot(h, w_hr) + b_r)
    candidate = nd.tanh(nd.dot(x, w_xh) + nd.dot(r * h, w_hh) + b_h)
    return (z * h + (1 - z) * candidate,)


def lstm_step(nd, x, state, params):
    (h, c), (w_xi, w_hi, b_i, w_xf, w_hf, b_f, w_xo, w_ho, b_o, w_xc, w_hc, b_c) = state, params
    i = nd.sigmoid(nd.dot(x, w_xi) + nd.dot(h, w_hi) + b_i)
    f = nd.sigmoid(nd.dot(x, w_xf) + nd.dot(h, w_hf) + b_f)
    o = nd.sigmoid(nd.dot(x, w_xo) + nd.dot(h, w_ho) + b_o)
    c = f * c + i * nd.tanh(nd.dot(x, w_xc) + nd.dot(h, w_hc) + b_c)
    return o * c.tanh(), c


def from_scratch(mx):
    """Three kinds of steps; one-hot letters; the state is cut from the graph between batches; perplexities."""
    nd, ctx, vocab, hidden = mx.nd, mx.cpu(), 5, 4
    loss, answers = mx.gluon.loss.SoftmaxCrossEntropyLoss(), {}
    for step, gates, states in ((rnn_step, 1, 1), (gru_step, 3, 1), (lstm_step, 4, 2)):
        shapes = [(vocab, hidden), (hidden, hidden), (hidden,)] * gates + [(hidden, vocab), (vocab,)]
        params = [nd.array(0.5 * draw(i, *shape), ctx=ctx) for i, shape in enumerate(shapes)]
        for param in params:
            param.attach_grad()

        def run(inputs, state):
            outputs = []
            for x in inputs:
                state = step(nd, x, state, params[:-2])
                outputs.append(nd.dot(state[0], params[-2]) + params[-1])
            return outputs, state

        state = tuple(nd.zeros(shape=(2, hidden), ctx=ctx) for _ in range(states))
        total, count = 0.0, 0
        for x, y in consecutive(mx, TEXT, 2, 4, ctx):
            for s in state:
                s.detach()
            with mx.autograd.record():
                outputs, state = run([nd.one_hot(letter, vocab) for letter in x.T], state)
                value = loss(nd.concat(*outputs, dim=0), y.T.reshape((-1,))).mean()
            value.backward()
            clip(mx, params, 0.1, ctx)
            for param in params:
                param[:] = param - 2 * param.grad
            total += value.asscalar() * y.size
            count += y.size
        output, state = [0], tuple(nd.zeros((1, hidden)) for _ in range(states))
        for _ in range(4):
            scores, state = run([nd.one_hot(nd.array([output[-1]]), vocab)], state)
            output.append(int(scores[0].argmax(axis=1).asscalar()))
        name = step.__name__
        answers.update({name + ' perplexity': math.exp(total / count), name + ' predicted': output})
        answers.update({name + ' w': params[0], name + ' b': params[-1]})
    return numbers(**answers)


def of_gluon(mx):
    """A model around any recurrent layer, with lists of states; gradients clipped through `p.grad()`."""
    nd, nn, rnn = mx.nd, mx.gluon.nn, mx.gluon.rnn

    class Model(nn.Block):
        def __init__(self, layer, vocab, **kwargs):
            super(Model, self).__init__(**kwargs)
            self.rnn = layer
            self.vocab = vocab
            with self.name_scope():
                self.dense = nn.Dense(vocab)

        def forward(self, inputs, state):
            x = nd.one_hot(inputs.T, self.vocab)
            y, state = self.rnn(x, state)
            return self.dense(y.reshape((-1, y.shape[-1]))), state

        def begin_state(self, *args, **kwargs):
            return self.rnn.begin_state(*args, **kwargs)

    loss, answers = mx.gluon.loss.SoftmaxCrossEntropyLoss(), {}
    layers = [rnn.RNN(4, prefix='a_'), rnn.LSTM(4, num_layers=2, prefix='b_'), rnn.GRU(3, bidirectional=True, prefix='c_')]
    for number, layer in enumerate(layers):
        net = Model(layer, 5, prefix='model{}_'.format(number))
        net.initialize(ctx=mx.cpu(), force_reinit=True, init=mx.init.Normal(0.01))
        state = net.begin_state(batch_size=2, ctx=mx.cpu())
        net(nd.zeros((2, 4)), state)
        set_all(mx, net)
        trainer = mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 1, 'momentum': 0, 'wd': 0})
        losses = []
        for x, y in consecutive(mx, TEXT[:18], 2, 4):
            for s in state:
                s.detach()
            with mx.autograd.record():
                output, state = net(x, state)
                value = loss(output, y.T.reshape((-1,))).mean()
            value.backward()
            clip(mx, [p.data() for p in net.collect_params().values()], 0.5, mx.cpu())
            trainer.step(1)
            losses.append(value.asscalar())
        name = str(number)
        answers.update({name + ' losses': losses, name + ' digest': digest(net), name + ' state': state[-1]})
        answers[name + ' names ' + ' '.join(net.collect_params())] = len(state)
    return numbers(**answers)


def bleu(predicted, label, k):
    """The score of a translation by its n-grams."""
    score = math.exp(min(0, 1 - len(label) / len(predicted)))
    for n in range(1, k + 1):
        matches, grams = 0, collections.defaultdict(int)
        for i in range(len(label) - n + 1):
            grams[' '.join(label[i : i + n])] += 1
        for i in range(len(predicted) - n + 1):
            if grams[' '.join(predicted[i : i + n])] > 0:
                matches += 1
                grams[' '.join(predicted[i : i + n])] -= 1
        score *= math.pow(matches / (len(predicted) - n + 1), math.pow(0.5, n))
    return score


def translation(mx):
    """An encoder, a decoder with attention, teacher forcing, a masked loss, two Trainers, greedy decoding, a score."""
    nd, nn, rnn = mx.nd, mx.gluon.nn, mx.gluon.rnn

    class Encoder(nn.Block):
        def __init__(self, vocab, size, hidden, **kwargs):
            super(Encoder, self).__init__(**kwargs)
            with self.name_scope():
                self.embedding = nn.Embedding(vocab, size)
                self.rnn = rnn.GRU(hidden, 1, dropout=0.0)

        def forward(self, inputs, state):
            return self.rnn(self.embedding(inputs).swapaxes(0, 1), state)

        def begin_state(self, *args, **kwargs):
            return self.rnn.begin_state(*args, **kwargs)

    def attention(model, enc_states, dec_state):
        dec_states = nd.broadcast_axis(dec_state.expand_dims(0), axis=0, size=enc_states.shape[0])
        scores = model(nd.concat(enc_states, dec_states, dim=2))
        return (nd.softmax(scores, axis=0) * enc_states).sum(axis=0)

    class Decoder(nn.Block):
        def __init__(self, vocab, size, hidden, **kwargs):
            super(Decoder, self).__init__(**kwargs)
            with self.name_scope():
                self.embedding = nn.Embedding(vocab, size)
                self.attention = nn.Sequential()
                self.attention.add(nn.Dense(hidden, activation='tanh', use_bias=False, flatten=False))
                self.attention.add(nn.Dense(1, use_bias=False, flatten=False))
                self.rnn = rnn.GRU(hidden, 1, dropout=0.0)
                self.out = nn.Dense(vocab, flatten=False)

        def forward(self, current, state):
            c = attention(self.attention, state[0][-1], state[1])
            both = nd.concat(self.embedding(current), c, dim=1)
            output, inner = self.rnn(both.expand_dims(0), [state[0][:1] * 0 if state[2] is None else state[2]])
            return self.out(output).squeeze(axis=0), [state[0], output[0], inner[0]]

    bos, eos, pad = 1, 2, 0
    x = nd.array([[3, 4, 5, 2], [5, 3, 2, 0]])
    y = nd.array([[4, 3, 2], [5, 2, 0]])
    encoder, decoder = Encoder(6, 3, 4, prefix='encoder_'), Decoder(6, 3, 4, prefix='decoder_')
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()

    def begin(states, inner):
        return [states.expand_dims(0), inner[0][0], inner[0]]

    def batch_loss():
        batch_size = x.shape[0]
        states, inner = encoder(x, encoder.begin_state(batch_size=batch_size))
        state, current = begin(states, inner), nd.array([bos] * batch_size)
        mask, valid, total = nd.ones(shape=(batch_size,)), 0, nd.array([0])
        for target in y.T:
            output, state = decoder(current, state)
            total = total + (mask * loss(output, target)).sum()
            current = target
            valid += mask.sum().asscalar()
            mask = mask * (target != eos)
        return total / valid

    encoder.initialize(mx.init.Xavier(), force_reinit=True)
    decoder.initialize(mx.init.Xavier(), force_reinit=True)
    batch_loss()
    set_all(mx, encoder)
    set_all(mx, decoder)
    trainers = [mx.gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5}) for net in (encoder, decoder)]
    losses = []
    for _ in range(2):
        with mx.autograd.record():
            value = batch_loss()
        value.backward()
        for trainer in trainers:
            trainer.step(1)
        losses.append(value.asscalar())
    states, inner = encoder(x[:1], encoder.begin_state(batch_size=1))
    state, current, words = begin(states, inner), nd.array([bos]), []
    for _ in range(4):
        output, state = decoder(current, state)
        current = output.argmax(axis=1)
        word = int(current.asscalar())
        if word == eos:
            break
        words.append(str(word))
    scores = [bleu(['a', 'b', 'c'], ['a', 'b', 'd'], 2), bleu(words or ['0'], ['4', '3'], 1)]
    answers = dict(losses=losses, words=len(words), scores=scores, pad=pad, encoder=digest(encoder))
    return numbers(decoder=digest(decoder), **answers)


PROGRAMS = [from_scratch, of_gluon, translation]
