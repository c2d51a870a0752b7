"""Steps of optimizers and quantized operators that MXNet's own answers do not cover."""

import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS, find

W, G = jnp.array([[1.0, -2.0]]), jnp.array([[0.5, 1.0]])


def run(name, *arrays, **attributes):
    operator = find(name)
    return operator.run(arrays, operator.parse(attributes))


def test_adamw_does_not_step_by_gradients_that_overflowed():
    outputs, states = run('_adamw_update', W, G, W, jnp.abs(W), jnp.array([jnp.nan]), lr=0.1, eta=1.0)
    assert [x.tolist() for x in (*outputs, *states)] == [W.tolist(), W.tolist(), jnp.abs(W).tolist()]


def test_adagrad_of_elements_and_of_rows():
    (new,), (history,) = run('_sparse_adagrad_update', W, G, jnp.ones((1, 2)), lr=0.1, epsilon=0)
    np.testing.assert_allclose(history, [[1.25, 2]])
    np.testing.assert_allclose(new, W - 0.1 * G / np.sqrt([[1.25, 2]]), rtol=1e-6)
    (new,), (history,) = run('_contrib_group_adagrad_update', W, G, jnp.ones((1, 1)), lr=0.1, epsilon=0)
    np.testing.assert_allclose(history, [[1.625]])
    np.testing.assert_allclose(new, W - 0.1 * G / np.sqrt(1.625), rtol=1e-6)


def test_states_of_many_weights_are_outputs_that_are_not_visible():
    shown = OPERATORS['multi_sgd_mom_update'](W, G, W, W, G, W, lrs=(0.1, 0.1), wds=(0, 0), momentum=0.5, num_weights=2)
    assert len(shown) == 2
    outputs, _ = run('multi_sgd_mom_update', W, G, W, lrs=(0.1,), wds=(0,), momentum=0.5, num_weights=1)
    np.testing.assert_allclose(outputs[1], 0.5 * W - 0.1 * G, rtol=1e-6)


def test_arrays_are_reset():
    assert [x.tolist() for x in OPERATORS['reset_arrays'](W, G, num_arrays=2)] == [[[0, 0]], [[0, 0]]]


def test_products_of_quantized_arrays():
    """MXNet 1.9.1 has them in compiled graphs only."""
    q, ends = jnp.array([100, -50], 'int8'), [jnp.array([-1.0]), jnp.array([1.0])]
    product, low, high = OPERATORS['_contrib_quantized_elemwise_mul'](q, q, *ends, *ends)
    np.testing.assert_allclose(product * (high / (2.0**31 - 1)), (np.array([100, -50]) / 127) ** 2, rtol=1e-5)
    assert low == -high
    real = OPERATORS['_contrib_quantized_elemwise_mul'](q, q, *ends, *ends, enable_float_output=True)
    np.testing.assert_allclose(real, (np.array([100, -50]) / 127) ** 2, rtol=1e-2)


def test_quantized_operators_say_what_they_cannot():
    q, ends = jnp.array([[1]], 'int8'), [jnp.array([-1.0]), jnp.array([1.0])]
    with pytest.raises(ArgumentError, match='must be relu'):
        OPERATORS['_contrib_quantized_act'](q, *ends, act_type='tanh')
    with pytest.raises(ArgumentError, match='needs min_calib_range'):
        OPERATORS['_contrib_quantized_batch_norm'](q, *[jnp.ones(1)] * 4, *ends)
