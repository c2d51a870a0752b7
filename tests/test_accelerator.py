"""A GPU or TPU computes what the CPU does: every layer, and what `init` draws.

`make pytest ARGS="-m accelerator"` runs these and those of attention and LSTM, where there is one.
"""

import jax
import numpy as np
import pytest
from layer_cases import CASES, in_groups

from gluonjax import init, nn
from gluonjax.tree import flatten

pytestmark = pytest.mark.accelerator
BY_NAME = {case.name: case for case in CASES}
KEY = jax.random.key(0)


@pytest.fixture
def accelerator():
    device = jax.devices()[0]
    if device.platform == 'cpu':
        pytest.skip('needs a GPU or TPU')
    return device


def answers(device):
    """Outputs in inference and in training, and gradients, of every layer."""

    def of(name, given):
        layer, differentiable = BY_NAME[name].layer(), BY_NAME[name].differentiable
        params, x = given

        def total(params, x):
            y, news = layer.apply_train(params, x, key=KEY)
            return sum(leaf.sum() for leaf in jax.tree.leaves(y)), (y, news)

        slopes = jax.grad(total, (0, 1) if differentiable else (0,), has_aux=True)(params, x)
        return layer.apply(params, x), slopes

    with jax.default_device(jax.devices('cpu')[0]):
        given = {case.name: (case.layer().init(KEY, case.input()), case.input()) for case in CASES}
    with jax.default_device(device), jax.default_matmul_precision('float32'):
        return jax.device_get(in_groups(of, jax.device_get(given)))


def test_every_layer_gives_the_numbers_of_the_cpu(accelerator):
    ours, expected = answers(accelerator), answers(jax.devices('cpu')[0])
    wrong = {}
    for name, tree in ours.items():
        for mine, other in zip(jax.tree.leaves(tree), jax.tree.leaves(expected[name]), strict=True):
            scale = max(1.0, float(np.abs(other).max(initial=0)))
            difference = float(np.abs(np.asarray(mine, 'float64') - other).max(initial=0)) / scale
            wrong[name] = max(wrong.get(name, 0.0), difference)
    assert {name: value for name, value in wrong.items() if not value < 1e-4} == {}


@pytest.mark.parametrize('initializer', [None, 'normal', init.Xavier('gaussian'), init.Orthogonal()])
def test_init_draws_the_bits_of_the_cpu(accelerator, initializer):
    layer, x = nn.Sequential(nn.Dense(300), nn.LayerNorm(), nn.Dense(7)).definition, np.ones((1, 100), 'float32')
    drawn = []
    for device in (accelerator, jax.devices('cpu')[0]):
        with jax.default_device(device):
            drawn.append(flatten(layer.init(KEY, x, init=initializer)))
        assert {place for value in drawn[-1].values() for place in value.devices()} == {device}
    for ours, expected in zip(*(values.values() for values in drawn), strict=True):
        if isinstance(initializer, init.Orthogonal):  # which decomposes a matrix where it is
            np.testing.assert_allclose(ours, expected, atol=1e-5)
        else:
            np.testing.assert_array_equal(ours, expected)
