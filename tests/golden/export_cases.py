"""The networks whose exports MXNet answered for. Run as a script, it writes their graphs, exports.json.

The values are those of export_values.py, by the names of the variables.
"""

import json
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from export_values import input_of, value_of

import gluonjax.mx as mx
from gluonjax import nn, rnn
from gluonjax.mx.export import graph_of

HERE = pathlib.Path(__file__).parent


class Case(NamedTuple):
    make: Any
    inputs: tuple = ((2, 3, 6, 6),)
    kind: str = 'data'  # what the inputs are; see export_values.py


def images():
    return nn.Sequential(
        nn.Conv2D(4, 3, strides=2, padding=1, in_channels=3, activation='relu'),
        nn.BatchNorm(scale=False, epsilon=1e-3),
        nn.Conv2D(4, 1, groups=2, use_bias=False),
        nn.BatchNormReLU(),
        nn.MaxPool2D(2, 2, ceil_mode=True),
        nn.Conv2DTranspose(4, 3, strides=2, padding=1, output_padding=1, activation=jax.nn.sigmoid),
        nn.GroupNorm(2),
        nn.AvgPool2D(3, 1, padding=1, count_include_pad=False),
        nn.InstanceNorm(),
        nn.ReflectionPad2D(1),
        nn.PReLU(in_channels=4),
        nn.SyncBatchNorm(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Dense(3),
    )


def sequences():
    return nn.Sequential(
        nn.Conv1D(4, 3, dilation=2, activation='softsign'),
        nn.AvgPool1D(2),
        nn.Conv1DTranspose(2, 2),
        nn.MaxPool1D(2, 1),
        nn.Concatenate(nn.GlobalAvgPool1D(), nn.GlobalMaxPool1D(), axis=1),
    )


def volumes():
    return nn.Sequential(
        nn.Conv3D(2, 2), nn.MaxPool3D(2, 1), nn.AvgPool3D(2, 1), nn.Conv3DTranspose(2, 2), nn.GlobalMaxPool3D()
    )


def activations():
    layers = [nn.LeakyReLU(0.2), nn.ELU(0.5), nn.SELU(), nn.GELU(), nn.GELU('tanh'), nn.Swish(2.0), nn.SiLU()]
    names = ('tanh', 'softrelu', 'elu', 'gelu', 'mish', 'log_sigmoid', 'swish')
    return nn.Concatenate(*layers, *map(nn.Activation, names), nn.Activation(lambda x: jnp.minimum(x, 1) ** 2))


def recurrent():
    return nn.Sequential(
        nn.Embedding(5, 3),
        rnn.LSTM(2, layout='NTC', bidirectional=True, dropout=0.5),
        nn.LayerNorm(),
        rnn.GRU(3, 2),
        nn.Dense(2, flatten=False),
    )


class WithStates(nn.Block):
    def __init__(self):
        self.lstm = rnn.LSTM(2)

    def forward(self, x, h, c):
        y, (h, c) = self.lstm(x, [h, c])
        return y, h + c


def containers():
    x = mx.sym.var('x')
    dense = mx.sym.FullyConnected(x, num_hidden=4, name='fc')
    graph = nn.SymbolBlock(mx.sym._mul_scalar(dense, scalar=2.0, name='_mul_scalar0'), x)
    shared = nn.Dense(4, in_units=4, activation='tanh')
    return nn.Sequential(
        nn.Residual(shared, nn.Identity(), shared),
        nn.Parallel(graph, nn.Remat(nn.Dense(4))),
        nn.Lambda('add'),
        nn.Residual(nn.Dense(3), shortcut=nn.Dense(3)),
    )


class Own(nn.Block):
    """A class whose `forward` computes with JAX's functions."""

    def __init__(self):
        self.conv, self.norm, self.dense = nn.Conv2D(4, 3, padding=1), nn.BatchNorm(), nn.Dense(5, flatten=False)
        self.scale = nn.Param((5,))
        self.table = nn.Param((5, 3))

    def forward(self, x):
        y = jax.nn.relu(self.norm(self.conv(x))) / 2
        y = self.dense(y.reshape(y.shape[0], y.shape[1], -1))
        y = jax.nn.softmax(1 - y) * self.scale[None, None] + jnp.arange(5.0)[None, None]
        z = jnp.where(y > 1.0, jnp.sqrt(y), 0.0) @ self.table
        first, second = jnp.split(jax.nn.relu6(z).transpose(0, 2, 1), [1], axis=1)
        return jnp.concatenate([first[:, 0], second.max(1)], -1), jnp.clip(y.mean((1, 2), keepdims=True), -1, 1)[
            :, :, 0
        ]


CASES = {
    'images': Case(images),
    'sequences': Case(sequences, ((2, 3, 9),)),
    'volumes': Case(volumes, ((1, 2, 4, 4, 4),)),
    'activations': Case(activations, ((2, 3),)),
    'recurrent': Case(recurrent, ((2, 4),), 'tokens'),
    'states': Case(WithStates, ((3, 2, 4), (1, 2, 2), (1, 2, 2))),
    'containers': Case(containers, ((2, 4),)),
    'own': Case(Own),
}


def network(name):
    """The network of a case with its values, and its inputs."""
    case = CASES[name]
    net, inputs = case.make(), [jnp.asarray(input_of(case.kind, shape)) for shape in case.inputs]
    specs = net.specs(*inputs)
    net.initialize()
    values = {path: value_of(path.replace('.', '_'), spec.shape) for path, spec in specs.items()}
    for path, parameter in net.collect_params().items():
        if path in values:
            parameter.set_data(values[path])
    return net, inputs


def main():
    graphs = {}
    for name, case in CASES.items():
        net, inputs = network(name)
        symbol, values = graph_of(net, inputs)
        names = [each for each in symbol.list_inputs() if each not in values]
        graphs[name] = {
            'json': symbol.tojson(),
            'inputs': dict(zip(names, case.inputs, strict=True)),
            'input': case.kind,
            'constants': {each: value.tolist() for each, value in values.items() if each.startswith('constant')},
        }
    (HERE / 'exports.json').write_text(json.dumps(graphs, indent=1) + '\n')


if __name__ == '__main__':
    main()
