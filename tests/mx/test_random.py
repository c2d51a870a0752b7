"""Random operators: moments, determinism by the key, shapes from arrays of parameters.

Moments are compared within five standard errors, so that less than one key in 10,000 would fail; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS, Pass, find

N = 4000
# operator, attributes -> mean, variance
MOMENTS = [
    ('_random_uniform', {'low': -1, 'high': 3}, 1, 16 / 12),
    ('_random_normal', {'loc': 2, 'scale': 0.5}, 2, 0.25),
    ('_npi_gamma', {'shape': 3, 'scale': 0.5}, 1.5, 0.75),
    ('_random_exponential', {'lam': 4}, 0.25, 1 / 16),
    ('_random_poisson', {'lam': 3}, 3, 3),
    ('_random_generalized_negative_binomial', {'mu': 2, 'alpha': 0.5}, 2, 4),
    ('_random_randint', {'low': 2, 'high': 6}, 3.5, 15 / 12),
    ('_npi_uniform', {'low': 0, 'high': 2}, 1, 4 / 12),
    ('_npi_normal_n', {'loc': -1, 'scale': 2}, -1, 4),
    ('_npi_gumbel', {'loc': 1, 'scale': 2}, 1 + 2 * np.euler_gamma, 4 * np.pi**2 / 6),
    ('_npi_logistic', {'loc': 1, 'scale': 0.5}, 1, 0.25 * np.pi**2 / 3),
    ('_npi_exponential', {'scale': 2}, 2, 4),
    ('_npi_rayleigh', {'scale': 2}, 2 * np.sqrt(np.pi / 2), (4 - np.pi) / 2 * 4),
    ('_npi_weibull', {'a': 1}, 1, 1),
    ('_npi_pareto', {'a': 6}, 1 / 5, 6 / (25 * 4)),
    ('_npi_powerd', {'a': 2}, 2 / 3, 1 / 18),
    ('_npi_bernoulli', {'prob': 0.25, 'logit': None, 'is_logit': False}, 0.25, 3 / 16),
    ('_npi_bernoulli', {'prob': None, 'logit': 0.0, 'is_logit': True}, 0.5, 0.25),
    ('_npi_choice', {'a': 5}, 2, 2),
]


def draw(name, *arrays, seed=0, **attributes):
    operator = find(name)
    outputs, _ = operator.run(arrays, operator.parse(attributes), Pass(next_key=lambda: jax.random.key(seed)))
    return outputs if len(outputs) > 1 else outputs[0]


def test_moments():
    cases = [(name, {**given, 'size' if name.startswith('_np') else 'shape': (N,)}) for name, given, *_ in MOMENTS]
    cases = [(n, {'shape' if n == '_npi_random_randint' else k: v for k, v in given.items()}) for n, given in cases]
    drawn = jax.jit(lambda seed: [draw(name, seed=seed, **given) for name, given in cases])(7)
    for (name, given, mean, variance), x in zip(MOMENTS, drawn, strict=True):
        x = np.asarray(x, float)
        assert x.shape == (N,), name
        assert abs(x.mean() - mean) < 5 * np.sqrt(variance / N), (name, given, x.mean())
        fourth = ((x - x.mean()) ** 4).mean()
        assert abs(x.var() - variance) < 5 * np.sqrt(max(fourth - variance**2, 1e-3) / N), (name, given, x.var())


def test_the_key_decides():
    first, again, other = (draw('_random_normal', seed=seed, shape=(3,)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    assert draw('_random_uniform').shape == (1,)
    with pytest.raises(ArgumentError, match='_random_normal is random, and there is no key'):
        OPERATORS['_random_normal'](shape=(3,))


def test_parameters_that_are_arrays():
    low = jnp.array([0.0, 10.0])
    x = draw('_sample_uniform', low, low + 1, shape=(50,))
    assert x.shape == (2, 50)
    assert np.floor(x).astype(int).tolist() == [[0] * 50, [10] * 50]
    assert draw('_sample_negative_binomial', low + 1, low / 20 + 0.5).shape == (2,)
    assert np.floor(draw('_npi_uniform', low, low + 1, low=None, high=None)).tolist() == [0, 10]
    assert np.floor(draw('_npi_uniform_n', low + 1, low=0, high=None, size=(3,))).shape == (3, 2)
    assert draw('_random_normal_like', jnp.zeros((2, 3), 'float16'), loc=2).dtype == 'float16'


def test_indices_with_probabilities():
    index, logs = draw('_sample_multinomial', jnp.array([[0, 1.0, 0], [0.5, 0, 0.5]]), shape=(8,), get_prob=True)
    assert index[0].tolist() == [1] * 8
    assert set(index[1].tolist()) == {0, 2}
    np.testing.assert_allclose(logs, [[0.0] * 8, [np.log(0.5)] * 8], atol=1e-6)
    counts = draw('_npi_multinomial', n=10, pvals=(0.5, 0.5, 0.0), size=(4,))
    assert counts.sum(-1).tolist() == [10] * 4
    assert counts[:, 2].tolist() == [0] * 4
    assert sorted(draw('_npi_choice', a=4, size=(4,), replace=False).tolist()) == [0, 1, 2, 3]
    weights = jnp.array([0.0, 1.0])
    assert draw('_npi_choice', weights, a=2, size=(3,), weighted=True).tolist() == [1, 1, 1]


def test_orders():
    rows = draw('_shuffle', jnp.arange(20).reshape(10, 2))
    assert sorted(rows.tolist()) == np.arange(20).reshape(10, 2).tolist() != rows.tolist()
    samples, tries = draw('_sample_unique_zipfian', range_max=50, shape=(400, 3))
    assert all(len(set(row)) == 3 for row in samples.tolist())
    assert tries.min() >= 3
    expected = np.log(2) / np.log(51)  # that the first one is 0
    assert abs((samples[:, 0] == 0).mean() - expected) < 5 * np.sqrt(expected / 400)


def test_a_pass_of_training_draws_what_dropout_drops():
    x = jnp.ones((50, 4))
    y = OPERATORS['Dropout'](x, p=0.5, pass_=Pass(training=True, next_key=lambda: jax.random.key(0)))
    assert set(np.unique(y)) == {0, 2}
    assert OPERATORS['Dropout'](x, p=0.5).tolist() == x.tolist()
