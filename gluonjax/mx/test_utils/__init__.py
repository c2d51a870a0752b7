"""`mx.test_utils`: comparisons, random arrays, and numeric gradients of graphs, for tests of MXNet's programs.

>>> from gluonjax.mx import nd, test_utils
>>> test_utils.assert_almost_equal(nd.array([1, 2]), np.array([1, 2.0000001]))
>>> test_utils.same(np.ones(2), np.ones(2))
True
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray
from gluonjax.mx.chi_square import (
    chi_square_check,
    gen_buckets_probs_with_ppf,
    mean_check,
    var_check,
    verify_generator,
)
from gluonjax.mx.context import Context, current_context, gpu, num_gpus
from gluonjax.mx.dialect import use_np
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.batches import download
from gluonjax.mx.io import DataIter
from gluonjax.mx.matrices import (
    get_identity_mat,
    get_identity_mat_batch,
    has_tvm_ops,
    is_aarch64_run,
    is_cd_run,
    new_matrix_with_real_eigvals_2d,
    new_matrix_with_real_eigvals_nd,
    new_orthonormal_matrix_2d,
    new_sym_matrix_with_real_eigvals_2d,
    new_sym_matrix_with_real_eigvals_nd,
    same_symbol_structure,
)
from gluonjax.mx.test_utils.comparisons import (
    almost_equal,
    almost_equal_ignore_nan,
    assert_allclose,
    assert_almost_equal,
    assert_almost_equal_ignore_nan,
    assert_almost_equal_with_err,
    assert_exception,
    collapse_sum_like,
    default_atols,
    default_numeric_eps,
    default_rtols,
    effective_dtype,
    get_atol,
    get_etol,
    get_rtol,
    get_tolerance,
    get_tols,
    np_reduce,
    same,
    same_array,
)
from gluonjax.mx.test_utils.graphs import (
    check_consistency,
    check_gluon_hybridize_consistency,
    check_numeric_gradient,
    check_speed,
    check_symbolic_backward,
    check_symbolic_forward,
    numeric_grad,
    simple_forward,
)
from gluonjax.mx.test_utils.random_data import (
    assign_each,
    assign_each2,
    create_2d_tensor,
    create_sparse_array,
    create_vector,
    rand_coord_2d,
    rand_ndarray,
    rand_shape_2d,
    rand_shape_3d,
    rand_shape_nd,
    rand_sparse_ndarray,
    random_arrays,
    random_sample,
    random_uniform_arrays,
)

_context: list[Context] = []
array: Callable[..., Any] = ndarray.array  # programs take these with `import *`
rnd = np.random
__all__ = [
    'DummyIter',
    'almost_equal',
    'almost_equal_ignore_nan',
    'array',
    'assert_allclose',
    'assert_almost_equal',
    'assert_almost_equal_ignore_nan',
    'assert_almost_equal_with_err',
    'assert_exception',
    'assign_each',
    'assign_each2',
    'check_consistency',
    'check_gluon_hybridize_consistency',
    'check_numeric_gradient',
    'check_speed',
    'check_symbolic_backward',
    'check_symbolic_forward',
    'chi_square_check',
    'collapse_sum_like',
    'compare_ndarray_tuple',
    'compare_optimizer',
    'create_2d_tensor',
    'create_sparse_array',
    'create_vector',
    'default_atols',
    'default_context',
    'default_dtype',
    'default_numeric_eps',
    'default_rtols',
    'discard_stderr',
    'download',
    'effective_dtype',
    'environment',
    'gen_buckets_probs_with_ppf',
    'get_atol',
    'get_etol',
    'get_identity_mat',
    'get_identity_mat_batch',
    'get_mnist',
    'get_rtol',
    'get_tolerance',
    'get_tols',
    'has_tvm_ops',
    'is_aarch64_run',
    'is_cd_run',
    'is_op_runnable',
    'list_gpus',
    'mean_check',
    'new_matrix_with_real_eigvals_2d',
    'new_matrix_with_real_eigvals_nd',
    'new_orthonormal_matrix_2d',
    'new_sym_matrix_with_real_eigvals_2d',
    'new_sym_matrix_with_real_eigvals_nd',
    'np',
    'np_reduce',
    'numeric_grad',
    'os',
    'rand_coord_2d',
    'rand_ndarray',
    'rand_shape_2d',
    'rand_shape_3d',
    'rand_shape_nd',
    'rand_sparse_ndarray',
    'random_arrays',
    'random_sample',
    'random_uniform_arrays',
    'retry',
    'rnd',
    'same',
    'same_array',
    'same_symbol_structure',
    'set_default_context',
    'set_env_var',
    'simple_forward',
    'use_np',
    'var_check',
    'verify_generator',
]


def default_context() -> Context:
    """That of `set_default_context`, or the current one."""
    return _context[-1] if _context else current_context()


def set_default_context(ctx: Context) -> None:
    """Sets what `default_context` gives."""
    _context[:] = [ctx]


def default_dtype() -> Any:
    """NumPy's float32."""
    return np.float32


def list_gpus() -> list[int]:
    """The numbers of the GPUs."""
    return [gpu(i).device_id for i in range(num_gpus())]


# Optimizers and iterators.


def compare_ndarray_tuple(t1: Any, t2: Any, rtol: float | None = None, atol: float | None = None) -> None:
    """Compares two arrays, or tuples of such or of None, as states of optimizers are.

    Raises:
        AssertionError: if they differ.
    """
    if isinstance(t1, tuple):
        for one, other in zip(t1, t2, strict=True):
            compare_ndarray_tuple(one, other, rtol, atol)
    elif t1 is not None and t2 is not None:
        assert_almost_equal(t1, t2, rtol, atol)


def compare_optimizer(
    opt1: Any,
    opt2: Any,
    shape: Any,
    dtype: Any,
    w_stype: str = 'default',
    g_stype: str = 'default',
    rtol: float = 1e-4,
    atol: float = 1e-5,
    compare_states: bool = True,
) -> None:
    """Compares the first update of two optimizers, of one weight or of a list of shapes.

    Raises:
        AssertionError: if they differ.
    """
    for i, size in enumerate(shape if isinstance(shape, list) else [shape]):
        weight, gradient = (rand_ndarray(size, stype, 1, dtype) for stype in (w_stype, g_stype))
        weights, states = [weight, weight.copy()], []
        for opt, each in zip((opt1, opt2), weights, strict=True):
            states.append(opt.create_state_multi_precision(i, each))
            opt.update_multi_precision(i, each, gradient.copy(), states[-1])
        if compare_states:
            compare_ndarray_tuple(states[0], states[1], rtol, atol)
        assert_almost_equal(weights[0], weights[1], rtol, atol)


class DummyIter(DataIter):
    """The first batch of an iterator, over and over.

    Args:
        real_iter: the iterator.
    """

    def __init__(self, real_iter: Any):
        super().__init__()
        self.real_iter: Any = real_iter
        self.provide_data: Any = real_iter.provide_data
        self.provide_label: Any = real_iter.provide_label
        self.batch_size: int = real_iter.batch_size
        self.the_batch: Any = next(real_iter)

    def next(self) -> Any:
        """That batch."""
        return self.the_batch


# The environment.


def retry(n: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a test that fails is run again, up to n times in all."""
    if n < 1:
        raise ArgumentError('a test runs at least once', got=n)

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        def repeated(*args: Any, **kwargs: Any) -> Any:
            for _ in range(n - 1):
                with contextlib.suppress(AssertionError):
                    return test(*args, **kwargs)
            return test(*args, **kwargs)

        return repeated

    return decorate


@contextlib.contextmanager
def discard_stderr() -> Iterator[None]:
    """A `with` block whose messages on stderr are not shown."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def is_op_runnable() -> bool:
    """True: MXNet's own compiled operators are of no account here."""
    return True


@contextlib.contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A `with` block with other variables of the environment: a name and a value, or a dict; None for not set."""
    wanted = args[0] if len(args) == 1 else {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}

    def set_all(values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = str(value)

    set_all(wanted)
    try:
        yield
    finally:
        set_all(before)


def set_env_var(key: str, val: str, default_val: str = '') -> str:
    """Sets a variable of the environment, and gives what it was."""
    before = os.environ.get(key, default_val)
    os.environ[key] = val
    return before


def get_mnist(*args: Any, **kwargs: Any) -> Any:
    """Is refused: nothing is fetched from the network.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError('get_mnist would fetch files', remedy="gluon.data.vision.MNIST('directory') of files there")


explain_calls(globals(), functions=False)
