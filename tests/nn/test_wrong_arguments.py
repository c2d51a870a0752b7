"""Values of a wrong type or size, in every constructor and call: what is refused is refused by an error of ours."""

import contextlib
import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import CASES

from gluonjax import errors, nn, rnn

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
BASES = (nn.Block, nn.Layer, nn.AttentionCache, nn.Param)
CLASSES = {
    value: None
    for package in (nn, rnn)
    for name in package.__all__
    if inspect.isclass(value := getattr(package, name)) and value not in BASES
}


@pytest.mark.parametrize('cls', CLASSES, ids=lambda cls: cls.__name__)
def test_constructors(cls):
    parameters = inspect.signature(cls).parameters.values()
    known = {**REQUIRED, 'input_shape': (2, *(6 for _ in getattr(cls, 'spatial', '')))}
    several = [parameter for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL]
    required = {p.name: known[p.name] for p in parameters if p.default is p.empty and p not in several}
    for parameter in parameters:
        for value in WRONG:
            with contextlib.suppress(errors.GluonError):
                repr(cls(value) if parameter in several else cls(**{**required, parameter.name: value}))


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
