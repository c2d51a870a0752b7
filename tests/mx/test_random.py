"""Random operators: their moments, shapes and dtypes, and that nothing is random without a key."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS, Pass

COUNT = 4000
# operator, attributes, mean and variance; a wrong one is found by 6 deviations, which chance has once in 10 ** 8
MOMENTS = [
    ('_random_uniform', dict(low=-1.0, high=3.0), 1, 16 / 12),
    ('_random_normal', dict(loc=2.0, scale=3.0), 2, 9),
    ('_random_gamma', dict(alpha=2.0, beta=3.0), 6, 18),
    ('_random_exponential', dict(lam=2.0), 0.5, 0.25),
    ('_random_poisson', dict(lam=3.0), 3, 3),
    ('_random_negative_binomial', dict(k=3, p=0.4), 4.5, 11.25),
    ('_random_generalized_negative_binomial', dict(mu=2.0, alpha=0.5), 2, 4),
    ('_random_randint', dict(low=-1, high=3), 0.5, 15 / 12),
    ('_npi_normal', dict(loc=1.0, scale=2.0), 1, 4),
]


def keyed(number):
    keys = iter(jax.random.split(jax.random.key(number), 8))
    return Pass(next_key=functools.partial(next, keys))


@pytest.fixture(scope='module')
def drawn():
    def all_of_them():
        size = {name: 'size' if '_npi' in name else 'shape' for name, *_ in MOMENTS}
        return [OPERATORS[name](pass_=keyed(0), **{size[name]: (COUNT,)}, **a) for name, a, *_ in MOMENTS]

    return jax.jit(all_of_them)()


@pytest.mark.parametrize('index', range(len(MOMENTS)), ids=lambda index: MOMENTS[index][0])
def test_moments(drawn, index):
    _, _, mean, variance = MOMENTS[index]
    values = np.asarray(drawn[index], float)
    assert values.shape == (COUNT,)
    assert abs(values.mean() - mean) < 6 * np.sqrt(variance / COUNT)
    fourth = ((values - mean) ** 4).mean()
    assert abs(((values - mean) ** 2).mean() - variance) < 6 * np.sqrt(fourth / COUNT)


def test_rows_have_parameters_of_their_own():
    low, high = jnp.array([0.0, 10.0]), jnp.array([1.0, 20.0])
    y = OPERATORS['sample_uniform'](low, high, shape=(3, 2), pass_=keyed(1))
    assert y.shape == (2, 3, 2)
    assert (y[0] < 1).all()
    assert ((y[1] >= 10) & (y[1] < 20)).all()
    classes, logs = OPERATORS['_sample_multinomial'](
        jnp.array([[0.0, 1.0], [1.0, 0.0]]), shape=(4,), get_prob=True, pass_=keyed(2)
    )
    assert classes.tolist() == [[1] * 4, [0] * 4]
    np.testing.assert_allclose(logs, 0, atol=1e-6)
    shuffled = OPERATORS['shuffle'](jnp.arange(6.0), pass_=keyed(3))
    assert sorted(shuffled.tolist()) == list(range(6))


def test_nothing_is_random_without_a_key():
    with pytest.raises(ArgumentError, match='there is no key'):
        OPERATORS['_random_normal'](shape=(2,))
    x = jnp.ones((50, 4))
    y = OPERATORS['Dropout'](x, p=0.5, pass_=Pass(training=True, next_key=lambda: jax.random.key(0)))
    assert set(np.unique(y)) == {0, 2}
    assert OPERATORS['Dropout'](x, p=0.5).tolist() == x.tolist()
