"""Linear algebra on the matrices in the last two axes."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from gluonjax.mx.op.attributes import Shape
from gluonjax.mx.op.table import operator


def _turned(a: jax.Array, transpose: bool) -> jax.Array:
    return a.swapaxes(-1, -2) if transpose else a


def _with_axis(product: Callable[..., jax.Array], axis: int, *arrays: jax.Array) -> jax.Array:
    """The product of matrices whose rows are along `axis` and whose columns are along the last one."""
    moved = [jnp.moveaxis(array, axis, -2) for array in arrays]
    return jnp.moveaxis(product(*moved), -2, axis)


@operator('_linalg_gemm', 'linalg_gemm')
def gemm(
    A: jax.Array,
    B: jax.Array,
    C: jax.Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
    axis: int = -2,
) -> jax.Array:
    """`alpha * A @ B + beta * C`."""

    def product(a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
        return alpha * (_turned(a, transpose_a) @ _turned(b, transpose_b)) + beta * c

    return _with_axis(product, axis, A, B, C)


@operator('_linalg_gemm2', 'linalg_gemm2')
def gemm2(
    A: jax.Array,
    B: jax.Array,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    axis: int = -2,
) -> jax.Array:
    """`alpha * A @ B`."""

    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return alpha * (_turned(a, transpose_a) @ _turned(b, transpose_b))

    return _with_axis(product, axis, A, B)


@operator('_linalg_syrk', 'linalg_syrk')
def syrk(A: jax.Array, *, transpose: bool = False, alpha: float = 1.0) -> jax.Array:
    """`alpha * A @ A.T`, or `alpha * A.T @ A`."""
    return alpha * (_turned(A, transpose) @ _turned(A, not transpose))


@operator('_linalg_trmm', 'linalg_trmm')
def trmm(
    A: jax.Array,
    B: jax.Array,
    *,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> jax.Array:
    """The product with a triangular matrix."""
    a = _turned(jnp.tril(A) if lower else jnp.triu(A), transpose)
    return alpha * (B @ a if rightside else a @ B)


@operator('_linalg_trsm', 'linalg_trsm')
def trsm(
    A: jax.Array,
    B: jax.Array,
    *,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> jax.Array:
    """What gives `alpha * B` when it is multiplied by a triangular matrix."""
    if rightside:
        x = solve_triangular(A, alpha * B.swapaxes(-1, -2), trans=int(not transpose), lower=lower)
        return x.swapaxes(-1, -2)
    return solve_triangular(A, alpha * B, trans=int(transpose), lower=lower)


@operator('_linalg_potrf', 'linalg_potrf')
def potrf(A: jax.Array) -> jax.Array:
    """The Cholesky factor, lower triangular."""
    return jnp.linalg.cholesky(A)


@operator('_npi_cholesky')
def cholesky(A: jax.Array) -> jax.Array:
    """The Cholesky factor, lower triangular."""
    return jnp.linalg.cholesky(A)


@operator('_linalg_potri', 'linalg_potri')
def potri(A: jax.Array) -> jax.Array:
    """The inverse of the matrix with this Cholesky factor."""
    eye = jnp.broadcast_to(jnp.eye(A.shape[-1], dtype=A.dtype), A.shape)
    half = solve_triangular(A, eye, lower=True)
    return half.swapaxes(-1, -2) @ half


@operator('_linalg_sumlogdiag', 'linalg_sumlogdiag')
def sumlogdiag(A: jax.Array) -> jax.Array:
    """The sum of the logarithms of the diagonal."""
    total = jnp.log(jnp.diagonal(A, axis1=-2, axis2=-1)).sum(-1)
    return total.reshape(1) if total.ndim == 0 else total


@operator('_linalg_extractdiag', 'linalg_extractdiag')
def extractdiag(A: jax.Array, *, offset: int = 0) -> jax.Array:
    """A diagonal."""
    return jnp.diagonal(A, offset, -2, -1)


@operator('_linalg_makediag', 'linalg_makediag')
def makediag(A: jax.Array, *, offset: int = 0) -> jax.Array:
    """Matrices with this diagonal."""
    size = A.shape[-1] + abs(offset)
    places = np.arange(A.shape[-1])
    rows, columns = places + max(-offset, 0), places + max(offset, 0)
    return jnp.zeros((*A.shape[:-1], size, size), A.dtype).at[..., rows, columns].set(A)


def _triangle(size: int, offset: int, lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """The places of a triangle, row by row; an offset keeps what lies beyond that diagonal."""
    below = lower if offset == 0 else offset < 0
    return np.tril_indices(size, offset) if below else np.triu_indices(size, offset)


@operator('_linalg_extracttrian', 'linalg_extracttrian')
def extracttrian(A: jax.Array, *, offset: int = 0, lower: bool = True) -> jax.Array:
    """The elements of a triangle, row by row."""
    rows, columns = _triangle(A.shape[-1], offset, lower)
    return A[..., rows, columns]


@operator('_linalg_maketrian', 'linalg_maketrian')
def maketrian(A: jax.Array, *, offset: int = 0, lower: bool = True) -> jax.Array:
    """Triangular matrices with these elements."""
    size = int((np.sqrt(8 * A.shape[-1] + 1) - 1) / 2) + abs(offset)
    rows, columns = _triangle(size, offset, lower)
    return jnp.zeros((*A.shape[:-1], size, size), A.dtype).at[..., rows, columns].set(A)


@operator('_linalg_inverse', 'linalg_inverse', '_npi_inv')
def inverse(A: jax.Array) -> jax.Array:
    """The inverse."""
    return jnp.linalg.inv(A)


@operator('_linalg_det', 'linalg_det', '_npi_det', outputs=('output', 'lu', 'pivot'), visible=lambda a: 1)
def det(A: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The determinant."""
    lu, pivot, _ = jax.lax.linalg.lu(A)
    value = jnp.linalg.det(A)
    return value.reshape(1) if value.ndim == 0 else value, lu, pivot


@operator(
    '_linalg_slogdet',
    'linalg_slogdet',
    '_npi_slogdet',
    outputs=('sign', 'logabsdet', 'lu', 'pivot'),
    visible=lambda a: 2,
)
def slogdet(A: jax.Array) -> tuple[jax.Array, ...]:
    """The sign and the logarithm of the determinant."""
    lu, pivot, _ = jax.lax.linalg.lu(A)
    sign, log = jnp.linalg.slogdet(A)
    return sign.reshape(sign.shape or (1,)), log.reshape(log.shape or (1,)), lu, pivot


@operator('_linalg_gelqf', 'linalg_gelqf', outputs=('Q', 'L'))
def gelqf(A: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Orthonormal rows Q and a lower triangular L, whose product L @ Q is A."""
    q, r = jnp.linalg.qr(A.swapaxes(-1, -2))
    return q.swapaxes(-1, -2), r.swapaxes(-1, -2)


@operator('_linalg_syevd', 'linalg_syevd', outputs=('U', 'L'))
def syevd(A: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvectors as rows, and eigenvalues."""
    values, vectors = jnp.linalg.eigh(A)
    return _with_signs(vectors.swapaxes(-1, -2)), values


def _with_signs(rows: jax.Array) -> jax.Array:
    """Rows whose sign is such that the element farthest from 0 is positive, as MXNet's are."""
    farthest = jnp.take_along_axis(rows, jnp.argmax(jnp.abs(rows), -1, keepdims=True), -1)
    return jnp.where(farthest < 0, -rows, rows)


@operator('_npi_eigh', outputs=lambda a: 2)
def eigh(A: jax.Array, *, UPLO: Literal['L', 'U'] = 'L') -> tuple[jax.Array, jax.Array]:
    """Eigenvalues, and eigenvectors as columns."""
    values, vectors = jnp.linalg.eigh(A, UPLO)
    return values, _with_signs(vectors.swapaxes(-1, -2)).swapaxes(-1, -2)


@operator('_npi_eigvalsh')
def eigvalsh(A: jax.Array, *, UPLO: Literal['L', 'U'] = 'L') -> jax.Array:
    """Eigenvalues of symmetric matrices."""
    return jnp.linalg.eigvalsh(A, UPLO)


@operator('_npi_solve')
def solve(A: jax.Array, B: jax.Array) -> jax.Array:
    """What gives B when it is multiplied by A."""
    return jnp.linalg.solve(A, B)


@operator('_npi_svd', outputs=('UT', 'L', 'V'))
def svd(A: jax.Array) -> tuple[jax.Array, ...]:
    """The singular value decomposition."""
    return tuple(jnp.linalg.svd(A, full_matrices=False))


@operator('_npi_pinv_scalar_rcond')
def pinv(A: jax.Array, *, rcond: float = 1e-15, hermitian: bool = False) -> jax.Array:
    """The pseudo-inverse."""
    return jnp.linalg.pinv(A, rcond, hermitian)


@operator('_npi_tensorinv')
def tensorinv(a: jax.Array, *, ind: int = 2) -> jax.Array:
    """The inverse of a tensor as a matrix."""
    return jnp.linalg.tensorinv(a, ind)


@operator('_npi_tensorsolve')
def tensorsolve(a: jax.Array, b: jax.Array, *, a_axes: tuple[int, ...] = ()) -> jax.Array:
    """The solution of a linear equation of tensors."""
    return jnp.linalg.tensorsolve(a, b, a_axes or None)


@operator('_npi_eig', outputs=('output0', 'output1'))
def eig(A: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and eigenvectors, the columns, where all are real; JAX has them on CPU."""
    values, vectors = jnp.linalg.eig(A)
    return values.real, vectors.real


@operator('_npi_eigvals')
def eigvals(A: jax.Array) -> jax.Array:
    """Eigenvalues, where all are real; JAX has them on CPU."""
    return jnp.linalg.eigvals(A).real


@operator('_npi_pinv')
def pinv_of_array(A: jax.Array, rcond: jax.Array, *, hermitian: bool = False) -> jax.Array:
    """The pseudoinverse; singular values below `rcond` of the largest count as 0."""
    return jnp.linalg.pinv(A, rtol=rcond, hermitian=hermitian)


@operator('_npi_norm')
def np_norm(
    data: jax.Array, *, ord: float = 2.0, axis: Shape | None = None, keepdims: bool = False, flag: int = -1
) -> jax.Array:
    """A norm of vectors or matrices. `flag`: -2 of all elements, -1 of vectors, 0 the order, 1 Frobenius, 2 nuclear."""
    x = data
    if flag == -2 or (flag == 1 and axis is None):
        return jnp.sqrt(jnp.square(x).sum(axis, keepdims=keepdims))
    if flag == 2:
        return jnp.linalg.norm(x, 'nuc', axis or (0, 1), keepdims)
    if flag == 0:
        return jnp.linalg.norm(x, ord, axis, keepdims)
    if flag == 1 or ord == 2:
        return jnp.sqrt(jnp.square(x).sum(axis, keepdims=keepdims))
    along = axis[0] if axis is not None and len(axis) == 1 else axis
    return jnp.linalg.norm(x, ord, along, keepdims)
