"""The layers that every sweep runs over: one row a layer. A new layer gets its rows here.

What MXNet answered for is in golden/cases.py, which has many more arguments; `golden_layer` builds those rows.
"""

import functools
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from golden.cases import LAYERS

from gluonjax import nn, rnn

GOLDEN = pathlib.Path(__file__).parent / 'golden'


def in_groups(function, arguments, size=16):
    """`function(name, argument)` for each name, compiled so many at a time.

    One program of many cases compiles faster than a program each, up to some size: of all together it takes longer.
    """

    @jax.jit
    def group(part):
        return {name: function(name, argument) for name, argument in part.items()}

    names, answers = list(arguments), {}
    for first in range(0, len(names), size):
        answers |= group({name: arguments[name] for name in names[first : first + size]})
    return answers


def halve(x):
    return x / 2


class LayerCase(NamedTuple):
    name: str
    build: Callable[..., Any]  # takes the sizes in `given`, or none of them and infers
    shape: tuple[int, ...]  # of the input; the first axis is the batch
    given: dict[str, int] = {}  # noqa: RUF012  (read only)
    differentiable: bool = True  # with respect to the input

    def layer(self, **sizes):
        return definition_of(self.build(**sizes))

    def input(self, batch=None):
        """Numbers that depend on the name alone; indices where there is no gradient."""
        random = np.random.RandomState(zlib.crc32(self.name.encode()))
        shape = self.shape if batch is None else (batch, *self.shape[1:])
        return (
            random.standard_normal(shape).astype('float32')
            if self.differentiable
            else random.randint(0, 5, shape, 'int32')
        )


CASES = [
    LayerCase('dense', lambda **k: nn.Dense(3, 'tanh', bias_initializer='normal', **k), (4, 2, 3), {'in_units': 6}),
    LayerCase('dense_keep', lambda **k: nn.Dense(3, use_bias=False, flatten=False, **k), (4, 2, 3), {'in_units': 3}),
    LayerCase('activation', lambda: nn.Activation('softrelu'), (4, 3)),
    LayerCase('activation_function', lambda: nn.Activation(halve), (4, 3)),
    LayerCase('leakyrelu', lambda: nn.LeakyReLU(0.1), (4, 3)),
    LayerCase('prelu', lambda: nn.PReLU(), (4, 3)),
    LayerCase('prelu_channels', lambda size=None: nn.PReLU('uniform', size), (4, 3, 2), {'size': 3}),
    LayerCase('elu', lambda: nn.ELU(0.7), (4, 3)),
    LayerCase('selu', lambda: nn.SELU(), (4, 3)),
    LayerCase('gelu', lambda: nn.GELU(), (4, 3)),
    LayerCase('gelu_tanh', lambda: nn.GELU('tanh'), (4, 3)),
    LayerCase('swish', lambda: nn.Swish(0.7), (4, 3)),
    LayerCase('silu', lambda: nn.SiLU(), (4, 3)),
    LayerCase('dropout', lambda: nn.Dropout(0.4), (4, 6)),
    LayerCase('dropout_axes', lambda: nn.Dropout(0.4, axes=(1,)), (4, 3, 3)),
    LayerCase('batchnorm', lambda **k: nn.BatchNorm(gamma_initializer='uniform', **k), (4, 3, 2), {'in_channels': 3}),
    LayerCase('batchnorm_last', lambda **k: nn.BatchNorm(-1, scale=False, **k), (4, 2, 3), {'in_channels': 3}),
    LayerCase('batchnormrelu', lambda **k: nn.BatchNormReLU(scale=False, **k), (4, 3, 2), {'in_channels': 3}),
    LayerCase('syncbatchnorm', lambda **k: nn.SyncBatchNorm(scale=False, **k), (4, 3, 2), {'in_channels': 3}),
    LayerCase('layernorm', lambda **k: nn.LayerNorm(beta_initializer='normal', **k), (4, 2, 3), {'in_channels': 3}),
    LayerCase('layernorm_axis', lambda **k: nn.LayerNorm(1, center=False, **k), (4, 3, 2), {'in_channels': 3}),
    LayerCase('groupnorm', lambda: nn.GroupNorm(2, gamma_initializer='normal'), (4, 4, 3)),
    LayerCase('instancenorm', lambda **k: nn.InstanceNorm(scale=True, **k), (4, 3, 5), {'in_channels': 3}),
    LayerCase('instancenorm_last', lambda **k: nn.InstanceNorm(-1, **k), (4, 5, 1, 3), {'in_channels': 3}),
    LayerCase('rmsnorm', lambda **k: nn.RMSNorm(gamma_initializer='normal', **k), (4, 2, 3), {'in_channels': 3}),
    LayerCase('embedding', lambda: nn.Embedding(5, 3), (4, 2), differentiable=False),
    LayerCase('flatten', lambda: nn.Flatten(), (4, 2, 3)),
    LayerCase('identity', lambda: nn.Identity(), (4, 3)),
    LayerCase('pixelshuffle1d', lambda: nn.PixelShuffle1D(3), (4, 6, 2)),
    LayerCase('pixelshuffle2d', lambda: nn.PixelShuffle2D((2, 3)), (4, 12, 1, 2)),
    LayerCase('pixelshuffle3d', lambda: nn.PixelShuffle3D(2), (4, 8, 1, 2, 1)),
    LayerCase('reflectionpad2d', lambda: nn.ReflectionPad2D((0, 0, 0, 0, 1, 0, 2, 3)), (4, 1, 2, 4)),
    LayerCase('lambda', lambda: nn.Lambda('gelu'), (4, 3)),
    LayerCase('concatenate', lambda: nn.Concatenate(nn.Dense(2), nn.Dense(3), nn.Identity()), (4, 3)),
    LayerCase('repeat', lambda: nn.Repeat(nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5)), 3), (4, 3)),
    LayerCase('remat', lambda: nn.Remat(nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5))), (4, 3)),
    LayerCase('sequential', lambda: nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5)), (4, 3)),
    LayerCase('residual', lambda: nn.Residual(nn.Dense(2), nn.Dropout(0.5), shortcut=nn.Dense(2)), (4, 3)),
    LayerCase('parallel', lambda: nn.Sequential(nn.Parallel(nn.Dense(2), nn.Dense(2)), nn.Lambda('add')), (4, 3)),
    LayerCase(
        'attention',
        lambda **k: nn.MultiHeadAttention(4, 2, bias_initializer='normal', **k),
        (4, 3, 6),
        {'in_units': 6, 'memory_units': 6},
    ),
    LayerCase(
        'attention_causal',
        lambda: nn.MultiHeadAttention(4, 2, 0.3, causal=True, num_kv_heads=1, rotary=nn.RotaryPositions()),
        (4, 3, 5),
    ),
    LayerCase('sinusoidal_positions', lambda: nn.SinusoidalPositions(), (4, 3, 6)),
    LayerCase('learned_positions', lambda **k: nn.LearnedPositions(5, **k), (4, 3, 2), {'in_units': 2}),
    LayerCase('rotary_positions', lambda: nn.RotaryPositions(2, interleaved=True), (4, 3, 2, 6)),
    LayerCase('conv2d', lambda **k: nn.Conv2D(3, (2, 3), (1, 2), 1, **k), (4, 2, 4, 3), {'in_channels': 2}),
    LayerCase(
        'conv2d_nhwc', lambda **k: nn.Conv2D(4, 2, groups=2, layout='NHWC', **k), (4, 3, 3, 2), {'in_channels': 2}
    ),
    LayerCase('conv2d_dilation', lambda: nn.Conv2D(2, 2, dilation=2, activation='sigmoid'), (4, 2, 3, 4)),
    LayerCase('maxpool2d', lambda: nn.MaxPool2D(3, 2, 1, ceil_mode=True), (4, 2, 4, 5)),
    LayerCase('avgpool2d', lambda: nn.AvgPool2D(2, ceil_mode=True, count_include_pad=False, padding=1), (4, 2, 4, 5)),
    LayerCase('globalavgpool2d', lambda: nn.GlobalAvgPool2D('NHWC'), (4, 2, 3, 2)),
    LayerCase('conv1d', lambda **k: nn.Conv1D(4, 2, 2, 1, 2, 2, **k), (4, 2, 5), {'in_channels': 2}),
    LayerCase('conv1d_nwc', lambda **k: nn.Conv1D(2, 3, layout='NWC', **k), (4, 4, 3), {'in_channels': 3}),
    LayerCase(
        'conv3d', lambda **k: nn.Conv3D(2, (1, 2, 2), padding=(0, 1, 1), **k), (4, 2, 1, 2, 3), {'in_channels': 2}
    ),
    LayerCase(
        'conv3d_ndhwc', lambda: nn.Conv3D(2, 2, (1, 2, 1), groups=2, layout='NDHWC', activation='tanh'), (4, 2, 3, 2, 2)
    ),
    LayerCase('conv1dtranspose', lambda **k: nn.Conv1DTranspose(3, 2, 3, 0, 2, **k), (4, 2, 3), {'in_channels': 2}),
    LayerCase(
        'conv2dtranspose', lambda **k: nn.Conv2DTranspose(4, 2, 2, 1, 1, 2, 2, **k), (4, 2, 1, 2), {'in_channels': 2}
    ),
    LayerCase(
        'conv2dtranspose_nhwc',
        lambda **k: nn.Conv2DTranspose(3, (2, 3), (1, 2), layout='NHWC', activation='sigmoid', **k),
        (4, 2, 3, 2),
        {'in_channels': 2},
    ),
    LayerCase(
        'conv3dtranspose',
        lambda **k: nn.Conv3DTranspose(2, (1, 2, 2), (2, 1, 2), use_bias=False, layout='NDHWC', **k),
        (4, 1, 2, 2, 3),
        {'in_channels': 3},
    ),
    LayerCase('maxpool1d', lambda: nn.MaxPool1D(3, 2, 1, ceil_mode=True), (4, 2, 6)),
    LayerCase('maxpool3d', lambda: nn.MaxPool3D((1, 2, 2), layout='NDHWC'), (4, 1, 4, 3, 2)),
    LayerCase('avgpool1d', lambda: nn.AvgPool1D(3, 2, 1, 'NWC', True), (4, 6, 2)),
    LayerCase('avgpool3d', lambda: nn.AvgPool3D(2, 1, 1, count_include_pad=False), (4, 2, 1, 2, 3)),
    LayerCase('globalmaxpool1d', lambda: nn.GlobalMaxPool1D(), (4, 2, 3)),
    LayerCase('globalmaxpool2d', lambda: nn.GlobalMaxPool2D('NHWC'), (4, 2, 3, 2)),
    LayerCase('globalmaxpool3d', lambda: nn.GlobalMaxPool3D(), (4, 2, 2, 1, 3)),
    LayerCase('globalavgpool1d', lambda: nn.GlobalAvgPool1D('NWC'), (4, 3, 2)),
    LayerCase('globalavgpool3d', lambda: nn.GlobalAvgPool3D(), (4, 2, 2, 1, 3)),
    LayerCase(
        'lstm',
        lambda **k: rnn.LSTM(2, 2, 'NTC', dropout=0.4, bidirectional=True, **k),
        (4, 3, 3),
        {'input_size': 3},
    ),
    LayerCase(
        'cells',
        lambda: rnn.Unroll(
            rnn.SequentialRNNCell(
                rnn.DropoutCell(0.3), rnn.ResidualCell(rnn.RNNCell(3)), rnn.ZoneoutCell(rnn.GRUCell(2), 0.2, 0.1)
            )
        ),
        (4, 3, 3),
    ),
    LayerCase('conv_cell', lambda: rnn.Unroll(rnn.Conv1DLSTMCell((2, 4), 2, 2, 3)), (4, 2, 2, 4)),
]


def definition_of(layer):
    """The stateless definition of a layer, or of a network."""
    return getattr(layer, 'definition', layer)


def golden_layer(case):
    children = [golden_layer(child) for child in case.children]
    return definition_of(getattr(nn, case.layer)(*children, *case.args, **case.kwargs))


@functools.cache
def golden_facts() -> dict[str, Any]:
    return json.loads((GOLDEN / 'layers.json').read_text())


@functools.cache
def golden_arrays() -> dict[str, dict[str, np.ndarray]]:
    """Case -> field -> array, as make_golden.py describes them."""
    arrays: dict[str, dict[str, np.ndarray]] = {case.name: {} for case in LAYERS}
    with np.load(GOLDEN / 'layers.npz') as file:
        for name, array in file.items():
            case, field = name.split('/', 1)
            arrays[case][field] = array
    return arrays
