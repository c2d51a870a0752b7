"""Values of a wrong type or size, in every constructor and call: what is refused is refused by an error of ours."""

import contextlib
import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import CASES

from gluonjax import callback, data, errors, init, loss, lr_scheduler, metric, nn, optimizer, rnn
from gluonjax.data import batchify, vision
from gluonjax.data.vision import transforms

WRONG = [
    None,
    -1,
    0,
    2.5,
    True,
    'x',
    [],
    [1, 'a'],
    {'a': 1},
    float('nan'),
    float('inf'),
    10**30,
    1j,
    object(),
    np.array([1, 2]),
    jnp.ones(2),
    int,
    abs,
    nn.Dense(2),
]
REQUIRED = {
    'activation': 'relu',
    'alpha': 0.1,
    'base_cell': rnn.RNNCell(2),
    'cell': rnn.RNNCell(2),
    'channels': 2,
    'factor': 2,
    'function': 'tanh',
    'h2h_kernel': 3,
    'hidden_channels': 2,
    'hidden_size': 3,
    'i2h_kernel': 3,
    'input_dim': 3,
    'kernel_size': 2,
    'l_cell': rnn.RNNCell(2),
    'layer': nn.Dense(2),
    'length': 4,
    'n': 2,
    'num_heads': 2,
    'output_dim': 2,
    'projection_size': 2,
    'r_cell': rnn.RNNCell(2),
    'rate': 0.5,
    'units': 4,
}
OF_OTHERS = {
    'weight': None,
    'batch_axis': 0,
    'feval': lambda label, pred: 0.0,
    'pure': metric.Accuracy().pure,
    'name': 'x',
    'max_update': 10,
    'schedule': lambda step: 0.1,
    'param': {},
    'patterns': ['.*'],
    'initializers': ['zeros'],
    'sampler': data.SequentialSampler(4),
    'batch_size': 2,
    'dataset': data.SimpleDataset([1, 2]),
    'fn': repr,
    'interval': 2,
    'data': [1, 2],
    'path': 'x',
    'logdir': 'x',
    'transforms': [abs],
    'rotation_degrees': 10,
    'angle_limits': (0, 10),
    'size': 2,
    **dict.fromkeys(('x', 'y', 'width', 'height', 'brightness', 'contrast', 'saturation', 'hue'), 1),
}
FILES = (
    data.FilterSampler,
    data.RecordFileDataset,
    vision.ImageRecordDataset,
    vision.ImageFolderDataset,
)
BASES = (nn.Block, nn.Layer, nn.AttentionCache, metric.PureMetric, optimizer.OptimizerState, optimizer.ScheduledState)
TUPLES = (init.Distribution,)  # whose fields nobody looks at
PACKAGES = (nn, rnn, loss, metric, optimizer, lr_scheduler, init, data, vision)
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]
MODULES = (callback, batchify, transforms)
NAMES += [
    (module, name)
    for module in MODULES
    for name, value in vars(module).items()
    if getattr(value, '__module__', None) == module.__name__ and name[0] != '_'
]
CLASSES = {
    value: None
    for package, name in NAMES
    if inspect.isclass(value := getattr(package, name))
    and value.__module__.startswith('gluonjax')
    and not issubclass(value, BASES[3:] + TUPLES + (Exception,))
    and value not in BASES + FILES
}


@pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
def test_constructors(cls):
    parameters = inspect.signature(cls).parameters.values()
    known = {**REQUIRED, **OF_OTHERS, 'input_shape': (2, *(6 for _ in getattr(cls, 'spatial', '')))}
    several = [parameter for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL]
    step = [2, 4] if cls is lr_scheduler.MultiFactorScheduler else 2
    known['step'] = step
    required = {
        p.name: known[p.name]
        for p in parameters
        if p.default is p.empty and p not in several and p.kind is not p.VAR_KEYWORD
    }
    first = [required[p.name] for p in parameters if p.name in required and several and p.kind is not p.KEYWORD_ONLY]
    named = {p.name: required[p.name] for p in parameters if p.name in required and p.kind is p.KEYWORD_ONLY}

    def with_several(value):
        return cls(*first, value, **named)

    for parameter in (p for p in parameters if p.kind is not p.VAR_KEYWORD):
        for value in WRONG:
            with contextlib.suppress(errors.GluonError):
                repr(with_several(value) if parameter in several else cls(**{**required, parameter.name: value}))


NO_ARRAYS = [None, 'abc', [1.0, 2.0], {'a': 1}, object(), np.array(['a', 'b']), np.array([1, 'a'], object)]


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_inputs(case):
    layer, x = case.layer(), case.input()
    params = layer.init(0, x)
    for value in [*NO_ARRAYS, x.tolist()]:
        with contextlib.suppress(errors.GluonError):
            layer.apply(params, value)
        with contextlib.suppress(errors.GluonError):
            layer.init(0, value)


@pytest.mark.parametrize('layer', [nn.Dense(3), nn.Dense(3, flatten=False), nn.LearnedPositions(4), rnn.GRU(3)])
def test_an_input_without_features_decides_no_shape(layer):
    network, empty = nn.Sequential(layer), jnp.ones((4, 4, 0))
    network.initialize()
    with pytest.raises(errors.ShapeError, match='cannot be inferred from an input without features'):
        network(empty)
    assert network(jnp.ones((4, 4, 2))).shape[0] == 4


def test_outputs_of_other_ranks_cannot_be_joined():
    layer = nn.Concatenate(nn.Identity(), nn.Lambda(lambda x: x[..., 0]), axis=2)
    with pytest.raises(errors.ShapeError, match=r'differ in the number of axes[\s\S]*\(2, 3, 4\), \(2, 3\)'):
        layer(jnp.ones((2, 3, 4)))
