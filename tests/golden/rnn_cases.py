"""The recurrent layers and cells that MXNet answered for: one table, read by make_rnn.py and by the tests.

Plain Python 3.8, as cases.py.
"""
from typing import NamedTuple


class Case(NamedTuple):
    name: str
    layer: str  # class name in gluonjax's rnn
    args: tuple = ()
    kwargs: dict = {}
    children: tuple = ()  # of Case: the cells inside
    step: tuple = (3, 2)  # shape of one step's input
    layout: str = 'NTC'  # of a cell's unroll; layers have their own
    steps: bool = True  # whether it can be called for one step


def differentiated(case, way):
    """Whether gradients are recorded: of one way in all cases, and through valid lengths where cells meet."""
    return way == 'states' or (way == 'lengths' and (case.children != () or case.name.endswith('_all')))


STEPS = 4
LENGTHS = (2, 4, 1)  # of the sequences in a batch of 3


def child(layer, *args, **kwargs):
    return Case('', layer, args, kwargs)


def around(layer, *cells, **kwargs):
    return Case('', layer, (), kwargs, cells)


def layer(name, cls, *args, **kwargs):
    return Case(name, cls, args or (3,), kwargs)


def cell(name, cls, *args, **kwargs):
    return Case(name, cls, args or (3,), kwargs)


def holding(name, cls, *cells, **more):
    return Case(name, cls, more.pop('args', ()), more.pop('kwargs', {}), cells, **more)


LAYERS = [
    layer('rnn', 'RNN'),
    layer('rnn_tanh', 'RNN', 3, 1, 'tanh'),
    layer('rnn_all', 'RNN', 3, 2, 'tanh', 'NTC', bidirectional=True),
    layer('lstm', 'LSTM'),
    layer('lstm_input_size', 'LSTM', 3, input_size=2),
    layer('lstm_deep', 'LSTM', 3, 3),
    layer('lstm_ntc', 'LSTM', 3, layout='NTC'),
    layer('lstm_both', 'LSTM', 3, bidirectional=True),
    layer('lstm_all', 'LSTM', 3, 2, 'NTC', bidirectional=True),
    layer('lstm_projection', 'LSTM', 3, projection_size=2),
    layer('lstm_projection_all', 'LSTM', 3, 2, 'NTC', bidirectional=True, projection_size=2),
    layer('gru', 'GRU'),
    layer('gru_deep', 'GRU', 3, 2),
    layer('gru_all', 'GRU', 3, 2, 'NTC', bidirectional=True),
]

CELLS = [
    cell('rnn_cell', 'RNNCell'),
    *[cell('rnn_cell_' + name, 'RNNCell', 3, name) for name in ('relu', 'sigmoid', 'softsign', 'softrelu')],
    cell('rnn_cell_input_size', 'RNNCell', 3, input_size=2),
    cell('lstm_cell', 'LSTMCell'),
    cell('lstm_cell_activations', 'LSTMCell', 3, activation='softsign', recurrent_activation='tanh'),
    cell('gru_cell', 'GRUCell'),
    cell('lstmp_cell', 'LSTMPCell', 3, 2),
    cell('lstm_cell_tnc', 'LSTMCell')._replace(layout='TNC'),
    holding('sequential', 'SequentialRNNCell', child('LSTMCell', 3), child('DropoutCell', 0.5), child('GRUCell', 2)),
    holding('bidirectional', 'BidirectionalCell', child('LSTMCell', 3), child('RNNCell', 2), steps=False),
    holding('bidirectional_tnc', 'BidirectionalCell', child('GRUCell', 3), child('GRUCell', 3), steps=False,
            layout='TNC'),
    # MXNet masks wrongly where cells after a bidirectional one have valid lengths and outputs are not merged; the
    # layers above say what a deep bidirectional stack answers.
    cell('dropout_cell', 'DropoutCell', 0.5),
    holding('residual', 'ResidualCell', child('GRUCell', 2)),
    holding('residual_residual', 'ResidualCell', around('ResidualCell', child('LSTMCell', 2)), layout='TNC'),
    # Random in training only.
    holding('zoneout', 'ZoneoutCell', child('LSTMCell', 3), kwargs={'zoneout_outputs': 0.4, 'zoneout_states': 0.3}),
    holding('variational', 'VariationalDropoutCell', child('LSTMCell', 3),
            kwargs={'drop_inputs': 0.4, 'drop_states': 0.3, 'drop_outputs': 0.2}),
    holding('variational_inputs', 'VariationalDropoutCell', child('RNNCell', 3), kwargs={'drop_inputs': 0.4}),
    holding('nested', 'SequentialRNNCell', around('ResidualCell', child('RNNCell', 2)),
            around('ZoneoutCell', child('GRUCell', 3), zoneout_states=0.2)),
    *[Case('conv%dd_%s' % (rank, kind.lower()), 'Conv%dD%sCell' % (rank, kind),
           ((2, 4, 3, 3)[:1 + rank], 2, (2, 3, 1)[:rank], (3, 1, 1)[:rank]), {'i2h_pad': (1, 0, 0)[:rank]},
           step=(3,) + (2, 4, 3, 3)[:1 + rank], layout='NTC' + 'DHW'[3 - rank:])
      for rank in (1, 2, 3) for kind in ('RNN', 'LSTM', 'GRU')],
    Case('conv2d_lstm_dilate', 'Conv2DLSTMCell', ((2, 5, 4), 2, 2, 3), {'i2h_dilate': 2, 'h2h_dilate': (2, 1),
                                                                        'activation': 'relu'}, step=(3, 2, 5, 4)),
    Case('conv1d_gru_sigmoid', 'Conv1DGRUCell', ((2, 4), 2, 3, 3), {'activation': 'sigmoid'}, step=(3, 2, 4)),
]
