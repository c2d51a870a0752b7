"""Programs of a user, for a type checker: `right` is clean, and each line of `wrong` with a comment is that error."""

from typing import assert_type

import jax
import jax.numpy as jnp

from gluonjax import Trainer, init, loss, metric, nn, optimizer, rnn


class MLP(nn.Block):
    """A network as Gluon programs have it."""

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.hidden = nn.Dense(units, activation='relu')
        self.output = nn.Dense(1)

    def forward(self, x):
        return self.output(self.hidden(x) + self.hidden.bias[None])


class Scale(nn.Layer):
    """A layer with a parameter, and inputs with types."""

    def __init__(self, units: int, start: float = 1.0):
        self.units = units
        self.gamma = nn.Param((units,), init=init.Constant(start))

    def infer_shape(self, x: jax.Array):
        return {'gamma': x.shape[-1:]}

    def forward(self, x: jax.Array, shift: jax.Array | None = None) -> jax.Array:
        y = x * self.gamma[None]
        return y if shift is None else y + shift


class Sum(rnn.RecurrentCell):
    """A cell."""

    def state_info(self, batch_size=0):
        return [{'shape': (batch_size, 1), '__layout__': 'NC'}]

    def forward(self, inputs, states):
        total = states[0] + inputs
        return total, [total]


def right() -> None:
    """Runs, too."""
    x, y = jnp.ones((4, 3)), jnp.zeros((4, 1))
    dense = nn.Dense(3, activation=jax.nn.relu, weight_initializer=init.Xavier(), dtype=jnp.float32, in_units=3)
    assert_type(dense, nn.Dense)
    assert_type(nn.Dense(3, 'tanh').units, int)
    assert_type(nn.Sequential(dense), nn.Sequential)
    nn.Dense(3, params=dense.params)
    nn.Dense(3, params=dense, prefix=None)
    nn.Dense(3, weight_initializer='xavier', bias_initializer=jax.nn.initializers.zeros)
    nn.Dropout(0.5, axes=(0, 1))
    nn.Dropout(1)
    nn.Conv2D(8, 3, strides=(1, 2), padding=1, layout='NHWC', activation='relu')
    nn.MaxPool2D((2, 2), 2)
    nn.BatchNorm(axis=-1, momentum=0.99)
    nn.MultiHeadAttention(8, 2, rotary=nn.RotaryPositions(), implementation='xla', causal=True)
    nn.Residual(dense, nn.Dropout(0.1), shortcut=nn.Sequential(nn.Dense(3)))
    nn.Lambda('tanh')
    nn.Lambda(lambda a: a + 1)
    nn.Repeat(dense, 3, remat=True)
    rnn.LSTM(8, 2, layout='NTC', bidirectional=True, use_sequence_length=True)
    rnn.Unroll(rnn.SequentialRNNCell(rnn.LSTMCell(3), rnn.ResidualCell(rnn.GRUCell(3))), 'TNC')
    rnn.Unroll(Sum())
    rnn.Conv2DLSTMCell((3, 8, 8), 4, 3, (3, 3), i2h_pad=1, activation='relu')

    params = dense.init(jax.random.key(0), x)
    assert dense.apply(params, x).shape == (4, 3)
    assert dense.apply_train(params, x, key=1)[0].shape == (4, 3)
    assert dense.specs(x)['weight'].shape == (3, 3)
    grads = jax.grad(lambda params: dense.apply(params, x).sum())(params)
    assert grads['weight'].shape == (3, 3)

    net = nn.Sequential()
    net.add(nn.Dense(16, activation='relu'), Scale(16), MLP(2))
    net.initialize(init.Normal(0.1))
    assert net(x).shape == (4, 1)
    assert net[0].weight.shape == (16, 3)
    assert len(net[1:]) == 2
    assert net.params['0']['bias'].shape == (16,)
    network = MLP(2)
    network.initialize()
    network(x)
    network.hidden.weight.set_data(jnp.zeros((2, 3)))
    assert network.hidden.bias.data().shape == (2,)
    network.hidden.initialize(init.Normal(0.1), force_reinit=True)
    network.hidden.collect_params().setattr('grad_req', 'write')
    network.hidden.weight.grad_req = 'null'
    network.output.bias.lr_mult = 0.1
    trainer = Trainer(net, loss.L2Loss(), optimizer.Adam(learning_rate=0.01), metrics=[metric.MSE()])
    trainer.step(x, y)


def wrong() -> None:
    """Never runs."""
    nn.Sequential().collect_params()['0.weight'].dtaa()  # error: reportAttributeAccessIssue
    Trainer(nn.Sequential(nn.Dense(2)), loss.L2Loss()).stpe(1, 2)  # error: reportAttributeAccessIssue
    nn.Dense('32')  # error: reportArgumentType
    nn.Dense(32, activation='rleu')  # error: reportArgumentType
    MLP(2).hidden.initialise()  # error: reportAttributeAccessIssue
    nn.Dense(32, activatoin='relu')  # error: reportCallIssue
    nn.Dense()  # error: reportCallIssue
    nn.Dense(32, in_units=3.5)  # error: reportArgumentType
    nn.Dense(32, weight_initializer=3)  # error: reportArgumentType
    nn.Activation('rleu')  # error: reportArgumentType
    nn.Activation(None)  # error: reportArgumentType
    nn.Dropout('half')  # error: reportArgumentType
    nn.Embedding(10)  # error: reportCallIssue
    nn.Conv2D(8, '3')  # error: reportArgumentType
    nn.Conv2D(8, 3, layout='NWHC')  # error: reportArgumentType
    nn.Conv2D(8, 3, stride=2)  # error: reportCallIssue
    nn.MaxPool2D(layout='NHC')  # error: reportArgumentType
    nn.BatchNorm(momentum='0.9')  # error: reportArgumentType
    nn.MultiHeadAttention(8, 2, implementation='flash')  # error: reportArgumentType
    nn.Sequential('relu')  # error: reportArgumentType
    nn.Sequential(jnp.tanh)  # error: reportArgumentType
    nn.Sequential().add(3)  # error: reportArgumentType
    nn.Residual(nn.Dense(3), short_cut=nn.Dense(3))  # error: reportCallIssue
    nn.Repeat(nn.Dense(3))  # error: reportCallIssue
    nn.Lambda(3)  # error: reportArgumentType
    rnn.RNN(8, activation='sigmoid')  # error: reportArgumentType
    rnn.LSTM(8, layout='NCT')  # error: reportArgumentType
    rnn.GRU(8, activation='tanh')  # error: reportCallIssue
    rnn.LSTM('8')  # error: reportArgumentType
    rnn.Unroll(nn.Dense(3))  # error: reportArgumentType
    rnn.Unroll(rnn.GRUCell(3), 'NCT')  # error: reportArgumentType
    rnn.ZoneoutCell(nn.Dense(3))  # error: reportArgumentType
    rnn.ZoneoutCell(rnn.GRUCell(3), zoneout_output=0.1)  # error: reportCallIssue
    MLP('3')  # error: reportArgumentType
    Scale(3, begin=1.0)  # error: reportCallIssue
    nn.Sequential().cast('float16', deep=True)  # error: reportCallIssue
    nn.Sequential().save_parameters(3)  # error: reportArgumentType
    nn.Sequential().save_program('f', platform='cpu')  # error: reportCallIssue
    nn.Dense(3).reinit({})  # error: reportCallIssue
    print(nn.Dense(3).cast('float16').unit)  # error: reportAttributeAccessIssue
    print(nn.Dense(3).unit)  # error: reportAttributeAccessIssue
    nn.Denes(3)  # error: reportAttributeAccessIssue
