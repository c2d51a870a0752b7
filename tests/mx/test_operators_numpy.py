"""Operators of NumPy that MXNet runs in place alone, or whose result has a shape that values decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax.errors import ArgumentError
from gluonjax.mx.op import OPERATORS

X = np.array([[3.0, 0.0, -1.0], [0.0, 3.0, 2.0]], 'float32')
MASK = X > 0


def test_what_values_decide_is_numpys():
    ints = jnp.array([1, 3, 1])
    np.testing.assert_array_equal(OPERATORS['_npx_nonzero'](jnp.array(X)), np.argwhere(X))
    np.testing.assert_array_equal(OPERATORS['_npi_bincount'](ints, minlength=5), [0, 2, 0, 1, 0])
    values, counts = OPERATORS['_npi_unique'](jnp.array(X), return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([-1, 0, 2, 3], [1, 2, 1, 2])
    np.testing.assert_array_equal(OPERATORS['_npi_delete'](jnp.arange(4), jnp.array([1, 1, 3])), [0, 2])
    np.testing.assert_array_equal(
        OPERATORS['_npi_insert_tensor'](jnp.arange(3), jnp.array([0, 2]), val=9), [9, 0, 1, 9, 2]
    )
    np.testing.assert_array_equal(
        OPERATORS['_npi_insert_slice'](jnp.arange(3), val=9, start=0, stop=3, step=2), [9, 0, 1, 9, 2]
    )


def test_what_values_decide_is_refused_in_a_compiled_program():
    with pytest.raises(ArgumentError, match='_npx_nonzero returns depends on values'):
        jax.jit(OPERATORS['_npx_nonzero'])(X)


@pytest.mark.parametrize('start_axis', [0, 1])
def test_assignments_through_a_mask_are_numpys(start_axis):
    data = np.stack([X, -X], 0) if start_axis else X
    inside = (slice(None),) * start_axis + (MASK,)
    values = np.arange(1.0, 1 + data[inside].size, dtype='float32').reshape(data[inside].shape)
    expected, filled = data.copy(), data.copy()
    expected[inside], filled[inside] = values, 7
    assign, fill = OPERATORS['_npi_boolean_mask_assign_tensor'], OPERATORS['_npi_boolean_mask_assign_scalar']
    np.testing.assert_array_equal(assign(*map(jnp.array, (data, MASK, values)), start_axis=start_axis), expected)
    np.testing.assert_array_equal(fill(*map(jnp.array, (data, MASK)), value=7, start_axis=start_axis), filled)


def test_assignment_at_positions():
    indices = jnp.array([[0, 1], [2, 0]])
    found = OPERATORS['_scatter_set_nd'](jnp.array(X), jnp.array([8.0, 9.0]), indices, shape=(2, 3))
    np.testing.assert_array_equal(found, [[3, 0, 8], [9, 3, 2]])


def test_factorizations_give_the_matrix_again():
    a = np.array([[2.0, 1.0], [1.0, 3.0]], 'float32')
    u, s, v = OPERATORS['_npi_svd'](jnp.array(X))
    np.testing.assert_allclose(u * s[None] @ v, X, atol=1e-5)
    values, vectors = OPERATORS['_npi_eig'](jnp.array(a))
    np.testing.assert_allclose(a @ vectors, vectors * values[None], atol=1e-5)
    np.testing.assert_allclose(sorted(OPERATORS['_npi_eigvals'](jnp.array(a))), np.linalg.eigvalsh(a), atol=1e-5)
    np.testing.assert_allclose(OPERATORS['_npi_pinv'](jnp.array(X), jnp.float32(1e-5)), np.linalg.pinv(X), atol=1e-5)
