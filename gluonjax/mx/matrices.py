"""Matrices and comparisons that tests of MXNet's programs ask of `mx.test_utils`."""

# ruff: noqa: NPY002  (programs seed the global numbers of NumPy)
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx.symbol import Symbol


def get_identity_mat(size: int) -> np.ndarray:
    """The identity, of float32."""
    return np.eye(size, dtype='float32')


def get_identity_mat_batch(size: int) -> np.ndarray:
    """Two identities, of shape (2, size, size)."""
    return np.stack([get_identity_mat(size)] * 2)


def new_orthonormal_matrix_2d(n: int) -> np.ndarray:
    """A random matrix whose columns are orthonormal, (n, n)."""
    factor, _ = np.linalg.qr(np.random.uniform(-1, 1, (n, n)))
    return factor


def new_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random matrix whose eigenvalues are real, (n, n)."""
    base = np.random.uniform(-1, 1, (n, n)) + 2 * n * np.eye(n)
    return base @ np.diag(np.random.uniform(-1, 1, n)) @ np.linalg.inv(base)


def new_sym_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random symmetric matrix, (n, n)."""
    base = new_orthonormal_matrix_2d(n)
    return base @ np.diag(np.random.uniform(-1, 1, n)) @ base.T


def _batch(make: Callable[[int], np.ndarray], shape: Sequence[int]) -> np.ndarray:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ArgumentError('the last two axes are those of square matrices', got=tuple(shape))
    count = int(np.prod(shape[:-2]))
    return np.array([make(shape[-1]) for _ in range(count)]).reshape(shape)


def new_matrix_with_real_eigvals_nd(shape: Sequence[int]) -> np.ndarray:
    """Random matrices whose eigenvalues are real, along the last two axes."""
    return _batch(new_matrix_with_real_eigvals_2d, shape)


def new_sym_matrix_with_real_eigvals_nd(shape: Sequence[int]) -> np.ndarray:
    """Random symmetric matrices, along the last two axes."""
    return _batch(new_sym_matrix_with_real_eigvals_2d, shape)


def same_symbol_structure(sym1: Symbol, sym2: Symbol) -> bool:
    """Whether two graphs have the same operators, connected alike; names do not count."""
    one, other = ([_shape_of(node) for node in json.loads(s.tojson())['nodes']] for s in (sym1, sym2))
    return one == other


def _shape_of(node: dict[str, Any]) -> tuple[Any, ...]:
    return node['op'], [tuple(entry[:2]) for entry in node['inputs']]


def has_tvm_ops() -> bool:
    """False: operators that TVM compiles are not here."""
    return False


def is_cd_run() -> bool:
    """False: this is no delivery of MXNet."""
    return False


def is_aarch64_run() -> bool:
    """False: nothing depends on it here."""
    return False
