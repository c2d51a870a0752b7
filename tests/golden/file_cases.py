"""The networks whose parameter files MXNet wrote: one table, read by make_files.py and by the tests.

Plain Python 3.8. A network is made of the modules `nn` and `rnn` of MXNet or of gluonjax.
"""


def mlp(nn, rnn):
    net = nn.HybridSequential()
    net.add(nn.Dense(4, activation='relu', in_units=3), nn.Dense(2, in_units=4, use_bias=False))
    return net


def convolutions(nn, rnn):
    inner = nn.HybridSequential()
    inner.add(nn.Conv2D(2, 3, in_channels=2), nn.BatchNorm(in_channels=2))
    net = nn.HybridSequential()
    net.add(nn.Conv2D(2, 1, in_channels=1), inner, nn.Flatten(), nn.LayerNorm(in_channels=8), nn.Dense(2, in_units=8))
    return net


def half(nn, rnn):
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=5, dtype='float16'), nn.BatchNorm(in_channels=3))
    return net


def tied(nn, rnn):
    first = nn.Dense(3, in_units=3)
    net = nn.HybridSequential()
    net.add(first, nn.Dense(2, in_units=3), nn.Dense(3, in_units=3, params=first.params))
    return net


def recurrent(nn, rnn):
    net = nn.HybridSequential()
    net.add(rnn.LSTM(2, 2, bidirectional=True, input_size=3), rnn.GRU(2, 2, input_size=4), nn.Dense(2, in_units=2))
    return net


def projected(nn, rnn):
    net = nn.HybridSequential()
    net.add(rnn.LSTM(3, 1, input_size=2, projection_size=2))
    return net


def cells(nn, rnn):
    stack = rnn.SequentialRNNCell()
    stack.add(rnn.LSTMCell(2, input_size=3))
    stack.add(rnn.ResidualCell(rnn.GRUCell(2, input_size=2)))
    return stack


NETWORKS = {function.__name__: function for function in (mlp, convolutions, half, tied, recurrent, projected, cells)}
