"""More cases of MXNet's operators: those of `npx.set_np()`, linear algebra and densities. As in operator_cases.py."""

import numpy as np

from operator_cases import Case, distinct, ints, uniform, values


def symmetric(size):
    """A positive definite matrix, well conditioned."""

    def make(random):
        a = random.standard_normal((size, size))
        return (a @ a.T + size * np.eye(size)).astype('float32')

    return make


def lower(size):
    return lambda random: np.linalg.cholesky(symmetric(size)(random)).astype('float32')


def booleans(*shape):
    return lambda random: random.randint(0, 2, shape).astype(bool)


def integers(*shape):
    return ints(-3, 9, *shape, dtype='int32')


UNARY = (
    'absolute cbrt ceil cos cosh degrees exp expm1 fix floor negative radians rint sign sin sinh square tan tanh trunc arctan '
    'arcsinh isfinite isinf isnan isneginf isposinf logical_not'
).split()
POSITIVE = 'log log10 log1p log2 sqrt reciprocal'.split()
BINARY = 'add subtract multiply true_divide mod power copysign arctan2 hypot'.split()
COMPARE = 'equal not_equal greater greater_equal less less_equal'.split()
SCALAR = BINARY[:-1] + ['r' + name for name in 'subtract true_divide mod power copysign arctan2'.split()]
INTEGERS = values(3, 8, 5, 1, dtype='int32')
EMPTY = uniform(0, 1, 0, 3)

FAMILIES = {
    'numpy dtypes': [
        *[Case('_npi_' + name, uniform(-2.2, 2.2, 2, 3), grad_=0) for name in UNARY],
        *[Case('_npi_' + name, uniform(0.2, 3, 2), grad_=0) for name in POSITIVE],
        *[Case('_npi_' + name, uniform(-0.9, 0.9, 2), grad_=0) for name in ('arcsin', 'arccos', 'arctanh')],
        *[Case('_npi_' + name, INTEGERS) for name in ('exp', 'sqrt', 'rint', 'negative', 'reciprocal', 'sin', 'logical_not')],
        Case('_npi_arccosh', uniform(1.1, 3, 2), grad_=0),
        Case('_npi_bitwise_not', INTEGERS),
        Case('_npi_rint', values(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5), grad_=0),
        Case('_npi_isinf', values(np.inf, -np.inf, np.nan, 1), grad_=0),
        Case('_npi_isneginf', values(np.inf, -np.inf, np.nan, 1), grad_=0),
        Case('_npi_around', values(-2.5, -1.5, 0.5, 1.26), grad_=0),
        Case('_npi_around', values(-2.54, -1.56, 0.5, 1.26), decimals=1, grad_=0),
        Case('_npi_nan_to_num', values(np.inf, -np.inf, np.nan, 1), nan=2.0, posinf=5.0, neginf=-5.0, grad_=0),
        Case('_npi_exp', lambda random: np.float32(0.5)),
        Case('_npi_exp', EMPTY, grad_=0),
        *[Case('_npi_' + name, uniform(0.5, 2, 2, 3), uniform(0.5, 2, 3), grad_=0) for name in BINARY],
        Case('_npi_add', (2, 3), (3,)),
        Case('_npi_multiply', (2, 3), (2, 1)),
        Case('_npi_true_divide', (2, 3), uniform(0.5, 2, 3)),
        *[Case('_npi_' + name, ints(-1, 2, 2, 3), ints(-1, 2, 3), grad_=0) for name in COMPARE],
        *[Case('_npi_' + name, INTEGERS, values(2, -3, 2, 1, dtype='int32'))
          for name in 'add multiply true_divide mod power lcm bitwise_and bitwise_or bitwise_xor'.split()],
        Case('_npi_add', INTEGERS, (4,), grad_=0),
        Case('_npi_power', INTEGERS, (4,), grad_=0),
        Case('_npi_ldexp', (3,), values(1, -2, 3), grad_=0),
        Case('_npi_add', EMPTY, (3,), grad_=0),
        *[Case('_npi_' + name + '_scalar', uniform(0.5, 2, 3), scalar=1.3, is_int=False, grad_=0) for name in SCALAR],
        *[Case('_npi_' + name + '_scalar', ints(-2, 3, 4), scalar=1, grad_=0) for name in COMPARE],
        *[Case('_npi_' + name + '_scalar', INTEGERS, scalar=2, is_int=True)
          for name in 'add true_divide mod power rpower lcm bitwise_and bitwise_or bitwise_xor ldexp arctan2'.split()],
        Case('_npi_add_scalar', INTEGERS, scalar=1.5, is_int=False),
        Case('_npi_rsubtract_scalar', INTEGERS, scalar=1.5, is_int=False),
        Case('_npi_add_scalar', booleans(3), scalar=1, is_int=True),
        Case('_npi_ldexp_scalar', (3,), scalar=2.0, is_int=False, grad_=0),
        Case('_npi_rldexp_scalar', (3,), scalar=2.0, is_int=False, grad_=0),
        Case('_npi_where', booleans(2, 3), (2, 3), (3,)),
        Case('_npi_where', ints(0, 2, 2, 1), (2, 3), (2, 3), grad_=0),
        Case('_npi_where_lscalar', booleans(3), (3,), scalar=2.0, grad_=0),
        Case('_npi_where_rscalar', booleans(3), (3,), scalar=2.0, grad_=0),
        Case('_npi_where_scalar2', booleans(3), x=2.0, y=-1.0),
        *[Case('_np_' + name, (2, 3, 2), axis=1, grad_=0) for name in ('sum', 'prod', 'max', 'min')],
        Case('_np_sum', (2, 3), keepdims=True),
        Case('_np_sum', (2, 3)),
        Case('_np_sum', integers(2, 3), axis=(0, 1)),
        Case('_np_sum', booleans(2, 3)),
        Case('_np_sum', (2, 3), axis=0, dtype='int32', grad_=0),
        Case('_np_sum', EMPTY, axis=0, grad_=0),
        Case('_np_max', distinct(2, 3)),
        Case('_np_any', ints(0, 2, 2, 3), axis=1, grad_=0),
        Case('_np_all', ints(0, 2, 2, 3), grad_=0),
        Case('_npi_mean', (2, 3), axis=-1),
        Case('_npi_mean', integers(2, 3)),
        Case('_npi_std', (2, 3), axis=1, ddof=1, grad_=0),
        Case('_npi_var', (2, 3), keepdims=True, grad_=0),
        Case('_npi_average', (2, 3), uniform(0.5, 1, 3), axis=1, weighted=True, grad_=0),
        Case('_npi_average', (2, 3), uniform(0.5, 1, 2, 3), weighted=True, returned=True, grad_=0),
        Case('_npi_argmax', distinct(2, 3), axis=1, grad_=0),
        Case('_npi_argmax', distinct(2, 3), grad_=0),
        Case('_npi_argmin', distinct(2, 3), axis=0, grad_=0),
        Case('_np_cumsum', (2, 3), axis=1),
        Case('_np_cumsum', integers(2, 3)),
        Case('_npi_percentile', (2, 5), values(10, 50), axis=1, grad_=0),
        Case('_npi_percentile', (2, 5), q_scalar=30.0, interpolation='lower', grad_=0),
        Case('_npi_polyval', values(1, 2, -1), (3,), grad_=0),
        Case('_npi_diff', (2, 4), n=2, axis=1, grad_=0),
        Case('_npi_ediff1d', (4,), to_begin_scalar=1.0, to_end_scalar=2.0, grad_=0),
        Case('_npi_ediff1d', (4,), (2,), (1,), to_begin_arr_given=True, to_end_arr_given=True, grad_=0),
    ],
    'numpy shape': [
        Case('_np_reshape', (2, 3), newshape=(3, -1)),
        Case('_np_reshape', (1, 1), newshape=(), grad_=0),
        Case('_npx_reshape', (2, 3, 4), newshape=(-5, -2), grad_=0),
        Case('_npx_reshape', (1, 8, 3), newshape=(-3, -6, -1, 2, -4), grad_=0),
        Case('_npx_reshape', (8, 3, 2), newshape=(-2, -6, 1, 3, -1), grad_=0),
        Case('_npx_reshape', (8, 3, 3, 3, 4, 4), newshape=(-6, 2, -1, -4), grad_=0),
        Case('_np_transpose', (2, 3, 4), grad_=0),
        Case('_np_transpose', (2, 3, 4), axes=(1, 0, 2)),
        Case('_np_squeeze', (1, 1), grad_=0),
        Case('_np_squeeze', (1, 2, 1), axis=2, grad_=0),
        Case('_np_moveaxis', (2, 3, 4), source=(0, 1), destination=(2, 0), grad_=0),
        Case('_np_roll', (2, 3), shift=2, grad_=0),
        Case('_np_roll', (2, 3), shift=(1, -1), axis=(0, 1), grad_=0),
        Case('_npi_rot90', (2, 3), k=1, axes=(0, 1), grad_=0),
        Case('_npi_flip', (2, 3), axis=(1,), grad_=0),
        Case('_npi_broadcast_to', (3,), shape=(2, 3)),
        Case('_npi_vstack', (3,), (3,), num_args=2, grad_=0),
        Case('_npi_hstack', (2, 1), (2, 2), num_args=2, grad_=0),
        Case('_npi_dstack', (2, 3), (2, 3), num_args=2, grad_=0),
        Case('_npi_column_stack', (3,), (3,), num_args=2, grad_=0),
        Case('_npi_concatenate', (2, 3), (1, 3), num_args=2, axis=0),
        Case('_npi_concatenate', (2, 3), (2,), num_args=2, axis=None, grad_=0),
        Case('_npi_stack', (3,), (3,), num_args=2, axis=1, grad_=0),
        Case('_npi_hsplit', (2, 4), indices=(0, 1), axis=1, sections=0, grad_=0),
        Case('_npi_hsplit', (4,), indices=(), sections=2, grad_=0),
        Case('_npi_dsplit', (1, 2, 4), indices=(), axis=2, sections=2, grad_=0),
        Case('_np_atleast_1d', lambda random: np.float32(2), (2,), num_args=2, grad_=0),
        Case('_np_atleast_2d', (2,), num_args=1, grad_=0),
        Case('_np_atleast_3d', (2,), num_args=1, grad_=0),
        Case('_np_diag', (3,), k=1, grad_=0),
        Case('_np_diag', (3, 3), k=-1, grad_=0),
        Case('_np_diagflat', (2, 2), grad_=0),
        Case('_np_diagonal', (2, 3, 3), offset=1, axis1=1, axis2=2, grad_=0),
        Case('_np_trace', (3, 3)),
        Case('_npi_tril', (3, 3), k=-1, grad_=0),
        Case('_npi_diag_indices_from', (3, 3), grad_=0),
        Case('_npi_pad', (2, 2), pad_width=((1, 0), (0, 2)), mode='constant', constant_value=3.0, grad_=0),
        Case('_npi_pad', (2, 3), pad_width=((1, 1), (2, 0)), mode='reflect', grad_=0),
        Case('_npi_delete', (4, 2), int_ind=1, axis=0, grad_=0),
        Case('_npi_delete', (5,), start=0, stop=4, step=2, grad_=0),
        Case('_npi_insert_scalar', (3,), val=9.0, int_ind=1, grad_=0),
        Case('_npi_insert_scalar', (3, 2), (2,), int_ind=1, axis=0, grad_=0),
        Case('_npi_arange', start=1.0, stop=4.0, step=0.5),
        Case('_npi_eye', N=2, M=3, k=1),
        Case('_npi_identity', shape=(2, 2), dtype='int32'),
        Case('_npi_indices', dimensions=(2, 3)),
        Case('_npi_full_like', integers(2), fill_value=3.0),
        Case('_npi_logspace', start=0.0, stop=2.0, num=3),
        Case('_npi_hanning', M=4),
        Case('_npi_hamming', M=4),
        Case('_npi_blackman', M=4),
        Case('_slice_assign', (3, 4), (2, 2), begin=(1, None), end=(None, 2), grad_=0),
        Case('_slice_assign_scalar', (3, 4), begin=(1, 0), end=(3, 4), step=(1, 2), scalar=5.0, grad_=0),
    ],
    'numpy linalg': [
        Case('_linalg_gemm', (2, 3), (3, 2), (2, 2), alpha=2.0, beta=0.5),
        Case('_linalg_gemm2', (2, 3, 2), (2, 3, 2), transpose_a=True),
        Case('_linalg_gemm2', (2, 1, 3), (3, 1, 2), axis=0, alpha=2.0),
        Case('_linalg_syrk', (2, 3), alpha=2.0),
        Case('_linalg_syrk', (2, 3), transpose=True),
        Case('_linalg_potrf', symmetric(3), grad_=0),
        Case('_linalg_potri', lower(3), grad_=0),
        Case('_linalg_trmm', lower(3), (3, 2)),
        Case('_linalg_trmm', lower(3), (2, 3), rightside=True, transpose=True, alpha=2.0, grad_=0),
        Case('_linalg_trsm', lower(3), (3, 2)),
        Case('_linalg_trsm', lower(3), (2, 3), rightside=True, alpha=2.0, grad_=0),
        Case('_linalg_gelqf', (2, 3), grad_=0),
        Case('_linalg_syevd', symmetric(3), grad_=0),
        Case('_linalg_sumlogdiag', lower(3)),
        Case('_linalg_extractdiag', (2, 3, 3), offset=1),
        Case('_linalg_makediag', (2, 2), offset=-1, grad_=0),
        Case('_linalg_extracttrian', (3, 3)),
        Case('_linalg_extracttrian', (3, 3), offset=-1, grad_=0),
        Case('_linalg_extracttrian', (3, 3), offset=1, grad_=0),
        Case('_linalg_maketrian', (6,), grad_=0),
        Case('_linalg_maketrian', (3,), lower=False, grad_=0),
        Case('_linalg_maketrian', (3,), offset=1, grad_=0),
        Case('_linalg_inverse', symmetric(3)),
        Case('_linalg_det', symmetric(3)),
        Case('_linalg_slogdet', symmetric(3), grad_=0),
        Case('_npi_eigh', symmetric(3), grad_=0),
        Case('_npi_eigvalsh', symmetric(3), UPLO='U', grad_=0),
        Case('_npi_solve', symmetric(3), (3, 2), grad_=0),
        Case('_npi_tensorinv', symmetric(4), ind=1, grad_=0),
        Case('_npi_tensorsolve', symmetric(4), (4,), grad_=0),
        Case('_npi_pinv_scalar_rcond', (2, 3), rcond=1e-5, grad_=0),
        Case('_npi_norm', (2, 3), ord=2, flag=-2),
        Case('_npi_norm', (2, 3), ord=1, axis=(1,), flag=-1, grad_=0),
        Case('_npi_norm', (2, 3), ord=2, axis=(0, 1), flag=2, grad_=0),
        Case('_npi_norm', (2, 3), ord=2, axis=(0, 1), flag=0, grad_=0),
        Case('_np_dot', (2, 3), (3, 2)),
        Case('_np_dot', (3,), (3,)),
        Case('_npi_matmul', (2, 2, 3), (3, 2), grad_=0),
        Case('_npi_tensordot', (2, 3, 2), (2, 3), a_axes_summed=(0, 1), b_axes_summed=(0, 1), grad_=0),
        Case('_npi_tensordot_int_axes', (2, 3), (3, 2), axes=1, grad_=0),
        Case('_npi_einsum', (2, 3), (3, 2), num_args=2, subscripts='ij,jk->ik', grad_=0),
    ],
    'densities': [
        Case('_random_pdf_uniform', uniform(0.1, 0.9, 2, 3), values(0, -1), values(1, 2)),
        Case('_random_pdf_normal', (2, 3), (2,), uniform(0.5, 2, 2)),
        Case('_random_pdf_normal', (2, 3), (2,), uniform(0.5, 2, 2), is_log=True),
        Case('_random_pdf_gamma', uniform(0.5, 2, 2, 3), uniform(0.5, 2, 2), uniform(0.5, 2, 2), grad_=0),
        Case('_random_pdf_exponential', uniform(0.5, 2, 2, 3), uniform(0.5, 2, 2)),
        Case('_random_pdf_poisson', ints(0, 4, 2, 3), uniform(0.5, 2, 2), grad_=0),
        Case('_random_pdf_negative_binomial', ints(0, 4, 2, 3), values(2, 3), uniform(0.2, 0.8, 2), grad_=0),
        Case('_random_pdf_generalized_negative_binomial', ints(0, 4, 2, 3), uniform(1, 3, 2), uniform(0.5, 2, 2), grad_=0),
        Case('_random_pdf_dirichlet', values([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]), uniform(0.5, 2, 1, 3), is_log=True, grad_=0),
    ],
}
