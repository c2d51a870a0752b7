"""The layers that every sweep runs over: one row a layer. A new layer gets its rows here.

What MXNet answered for is in golden/cases.py, which has many more arguments; `golden_layer` builds those rows.
"""

import functools
import json
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from golden.cases import LAYERS

from gluonjax import nn

GOLDEN = pathlib.Path(__file__).parent / 'golden'


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
    LayerCase('dropout', lambda: nn.Dropout(0.4), (4, 6)),
    LayerCase('dropout_axes', lambda: nn.Dropout(0.4, axes=(1,)), (4, 3, 3)),
    LayerCase('batchnorm', lambda **k: nn.BatchNorm(gamma_initializer='uniform', **k), (4, 3, 2), {'in_channels': 3}),
    LayerCase('batchnorm_last', lambda **k: nn.BatchNorm(-1, scale=False, **k), (4, 2, 3), {'in_channels': 3}),
    LayerCase('embedding', lambda: nn.Embedding(5, 3), (4, 2), differentiable=False),
    LayerCase('flatten', lambda: nn.Flatten(), (4, 2, 3)),
    LayerCase('identity', lambda: nn.Identity(), (4, 3)),
    LayerCase('lambda', lambda: nn.Lambda('gelu'), (4, 3)),
    LayerCase('concatenate', lambda: nn.Concatenate(nn.Dense(2), nn.Dense(3), nn.Identity()), (4, 3)),
    LayerCase('repeat', lambda: nn.Repeat(nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5)), 3), (4, 3)),
    LayerCase('remat', lambda: nn.Remat(nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5))), (4, 3)),
    LayerCase('sequential', lambda: nn.Sequential(nn.Dense(3), nn.BatchNorm(), nn.Dropout(0.5)), (4, 3)),
    LayerCase('conv2d', lambda **k: nn.Conv2D(3, (2, 3), (1, 2), 1, **k), (4, 2, 4, 3), {'in_channels': 2}),
    LayerCase(
        'conv2d_nhwc', lambda **k: nn.Conv2D(4, 2, groups=2, layout='NHWC', **k), (4, 3, 3, 2), {'in_channels': 2}
    ),
    LayerCase('conv2d_dilation', lambda: nn.Conv2D(2, 2, dilation=2, activation='sigmoid'), (4, 2, 3, 4)),
    LayerCase('maxpool2d', lambda: nn.MaxPool2D(3, 2, 1, ceil_mode=True), (4, 2, 4, 5)),
    LayerCase('avgpool2d', lambda: nn.AvgPool2D(2, ceil_mode=True, count_include_pad=False, padding=1), (4, 2, 4, 5)),
    LayerCase('globalavgpool2d', lambda: nn.GlobalAvgPool2D('NHWC'), (4, 2, 3, 2)),
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
