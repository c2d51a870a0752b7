"""Residual and Parallel: sums, tuples, views, names, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import errors, nn

X = jnp.asarray(np.random.RandomState(0).standard_normal((2, 3)), 'float32')


def test_residual_adds_its_input():
    net = nn.Residual(nn.Dense(4, 'relu'), nn.Dense(3))
    params = net.init(0, X)
    hidden = jnp.maximum(X @ params['0']['weight'].T, 0)
    np.testing.assert_allclose(net.apply(params, X), X + hidden @ params['1']['weight'].T, rtol=1e-5)
    np.testing.assert_array_equal(nn.Residual().apply({}, X), 2 * X)


def test_residual_with_a_shortcut():
    net = nn.Residual(nn.Dense(4), nn.BatchNorm(), shortcut=nn.Dense(4, use_bias=False))
    params = net.init(0, X)
    assert set(net.specs(X)) >= {'0.weight', '1.gamma', 'shortcut.weight'}
    expected = net[:2].definition  # a Residual, too: its shortcut stays
    np.testing.assert_array_equal(expected.apply(params, X), net.apply(params, X))
    inner = nn.Sequential(*(nn.Dense(4), nn.BatchNorm()))
    main = inner.apply({name: params[name] for name in ('0', '1')}, X)
    np.testing.assert_allclose(net.apply(params, X), main + X @ params['shortcut']['weight'].T, rtol=1e-5)
    _, news = net.apply_train(params, X)
    assert (news['1']['running_mean'] != 0).all()


def test_residual_of_a_network():
    net = nn.Residual()
    net.add(nn.Dense(5, 'tanh'))
    net.add(nn.Dense(3))
    net.initialize(key=0)
    y = net(X)
    np.testing.assert_allclose(y, X + net[1](net[0](X)), rtol=1e-5)
    assert isinstance(net[0], nn.Dense)
    assert isinstance(net[1:], nn.Residual)
    assert net[0].weight.shape == (5, 3)
    assert len(net) == 2


def test_residual_of_several_inputs():
    net = nn.Residual(nn.Lambda('multiply'), nn.Activation('tanh'))
    np.testing.assert_allclose(net.apply({}, X, X), X + jnp.tanh(X * X), rtol=1e-6)


def test_residual_of_another_shape():
    with pytest.raises(
        errors.ShapeError, match=r'\(2, 3\), as the input has\n  got: \(2, 1\)\n  try: [\s\S]*shortcut='
    ):
        nn.Residual(nn.Dense(1)).init(0, X)
    with pytest.raises(errors.ShapeError, match=r'\(2, 4\), as the shortcut has\n  got: \(2, 3\)'):
        nn.Residual(nn.Dense(3), shortcut=nn.Dense(4)).init(0, X)
    with pytest.raises(errors.ShapeError, match=r'got: \[\(2, 3\), \(2, 3\)\]'):
        nn.Residual(nn.Parallel(nn.Identity(), nn.Identity())).init(0, X)


def test_parallel_with_one_input_and_with_several():
    net = nn.Parallel(nn.Dense(2), nn.Activation('tanh'))
    params = net.init(0, X)
    wide, bounded = net.apply(params, X)
    np.testing.assert_allclose(wide, X @ params['0']['weight'].T, rtol=1e-5)
    np.testing.assert_array_equal(bounded, jnp.tanh(X))
    other, bounded = net.apply(params, X, X[:1] - 1)
    np.testing.assert_array_equal(other, wide)
    np.testing.assert_allclose(bounded, jnp.tanh(X[:1] - 1), rtol=1e-6)
    assert isinstance(nn.Parallel(nn.Identity()).apply({}, X), tuple)
    assert nn.Parallel().apply({}, X) == ()


def test_parallel_among_other_layers():
    net = nn.Sequential(nn.Parallel(nn.Dense(3), nn.Identity()), nn.Parallel(nn.Activation('relu'), nn.Dense(3)))
    net.add(nn.Lambda(lambda a, b: a - b))
    net.initialize(key=0)
    first, second = net[0](X)
    np.testing.assert_allclose(net(X), jnp.maximum(first, 0) - net[1][1](second), rtol=1e-5)
    gradient = jax.grad(lambda params: net.apply(params, X).sum())(net.params)
    assert (gradient['1']['1']['bias'] == -2).all()


def test_parallel_with_another_number_of_inputs():
    net = nn.Parallel(nn.Identity(), nn.Identity(), nn.Identity())
    with pytest.raises(errors.ArgumentError, match='expected: 1 or 3\n  got: 2 inputs'):
        net.apply({}, X, X)
