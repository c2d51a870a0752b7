"""Operators that stand alone: CTC, counts, masks, transforms, sketches, gradients of their own."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from gluonjax.errors import ArgumentError
from gluonjax.loss import CTCLoss
from gluonjax.mx.op.attributes import Floats
from gluonjax.mx.op.elementwise import all_alike, half_away_from_zero
from gluonjax.mx.op.gradient import with_slope
from gluonjax.mx.op.index import as_indices
from gluonjax.mx.op.loss import head
from gluonjax.mx.op.table import Attributes, Pass, Shapes, operator


@operator(
    'CTCLoss',
    'ctc_loss',
    '_contrib_CTCLoss',
    '_contrib_ctc_loss',
    only_if={
        'data_lengths': lambda a: a['use_data_lengths'],
        'label_lengths': lambda a: a['use_label_lengths'],
    },
    outputs=lambda a: ('output0', 'output1'),
    visible=lambda a: 1,
)
def ctc_loss(
    data: jax.Array,
    label: jax.Array,
    data_lengths: jax.Array | None = None,
    label_lengths: jax.Array | None = None,
    *,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: Literal['first', 'last'] = 'first',
) -> tuple[jax.Array, jax.Array]:
    """The loss of each sample, (N,): logits (T, N, C), labels (N, L) that end at 0, or at -1 if blanks are last."""
    if blank_label == 'first':
        data, label = jnp.roll(data, -1, 2), label - 1
    loss = CTCLoss('TNC')(data, label, data_lengths, label_lengths)
    return loss, jnp.zeros_like(data)


@operator('_contrib_quadratic', infer=all_alike)
def quadratic(data: jax.Array, *, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> jax.Array:
    """`a * data ** 2 + b * data + c`."""
    return a * data * data + b * data + c


@operator('_contrib_gradientmultiplier', infer=all_alike)
def gradient_multiplier(data: jax.Array, *, scalar: float = 1.0, is_int: bool = True) -> jax.Array:
    """The array; its gradient is multiplied."""
    return with_slope(lambda x: x, scalar, data)


@operator('_contrib_round_ste', '_sparse__contrib_round_ste', infer=all_alike)
def round_ste(data: jax.Array) -> jax.Array:
    """Rounded; the gradient passes as it is."""
    return with_slope(half_away_from_zero, 1.0, data)


@operator('_contrib_sign_ste', '_sparse__contrib_sign_ste', infer=all_alike)
def sign_ste(data: jax.Array) -> jax.Array:
    """The sign; the gradient passes as it is."""
    return with_slope(jnp.sign, 1.0, data)


@operator('_contrib_allclose')
def allclose(
    a: jax.Array, b: jax.Array, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = True
) -> jax.Array:
    """1 if all elements are close, else 0."""
    return jnp.allclose(a, b, rtol, atol, equal_nan).astype('uint8')


@operator('_CrossDeviceCopy', infer=all_alike)
def cross_device_copy(data: jax.Array) -> jax.Array:
    """The array; JAX moves it where it is needed."""
    return data


@operator('_identity_with_attr_like_rhs')
def identity_like(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """The first array."""
    return lhs


def _averages(attributes: Attributes, shapes: Shapes) -> Shapes:
    data = shapes.get('data')
    return {} if data is None else {'moving_avg': data[1:2]}


@operator('IdentityAttachKLSparseReg', auxiliary=('moving_avg',), infer=_averages)
def identity_with_sparseness(
    data: jax.Array,
    moving_avg: jax.Array,
    *,
    sparseness_target: float = 0.1,
    penalty: float = 0.001,
    momentum: float = 0.9,
    pass_: Pass,
) -> tuple[jax.Array, tuple[jax.Array]]:
    """The data, activations between 0 and 1; the gradient draws their moving means to a target."""
    if not pass_.training:
        return data, (moving_avg,)
    others = (0, *range(2, data.ndim))
    average = momentum * moving_avg + (1 - momentum) * lax.stop_gradient(data).mean(others)
    pull = penalty * ((1 - sparseness_target) / (1 - average) - sparseness_target / average)
    return head(lambda x: x, lambda y, pull, cotangent: cotangent + jnp.expand_dims(pull, others), data, pull), (
        average,
    )


@operator('cast_storage', '_sparse_cast_storage', infer=all_alike)
def cast_storage(data: jax.Array, *, stype: Literal['default', 'csr', 'row_sparse']) -> jax.Array:
    """The array; all are dense here."""
    return data


@operator('_sparse_retain')
def sparse_retain(data: jax.Array, indices: jax.Array) -> jax.Array:
    """Zeros but for these rows."""
    keep = jnp.zeros(len(data), bool).at[as_indices(indices)].set(True)
    return jnp.where(jnp.expand_dims(keep, range(1, data.ndim)), data, 0)


@operator('_scatter_elemwise_div', infer=all_alike)
def scatter_elemwise_div(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """The quotient."""
    return lhs / rhs


@operator('all_finite')
def all_finite(data: jax.Array, *, init_output: bool = True) -> jax.Array:
    """1 if every number is finite, else 0, of shape (1,)."""
    return jnp.isfinite(data).all().astype('float32').reshape(1)


@operator('multi_all_finite')
def multi_all_finite(*data: jax.Array, num_arrays: int = 1, init_output: bool = True) -> jax.Array:
    """1 if every number of every array is finite, else 0, of shape (1,)."""
    return jnp.stack([jnp.isfinite(x).all() for x in data]).all().astype('float32').reshape(1)


@operator('multi_sum_sq')
def multi_sum_sq(*data: jax.Array, num_arrays: int) -> jax.Array:
    """The sum of the squares of each array."""
    return jnp.stack([jnp.square(x.astype('float32')).sum() for x in data])


@operator('amp_multicast', outputs=lambda a: a['num_outputs'])
def amp_multicast(*data: jax.Array, num_outputs: int, cast_narrow: bool = False) -> list[jax.Array]:
    """The arrays in the widest dtype among them, or the narrowest."""
    dtypes = sorted((x.dtype for x in data), key=lambda dtype: dtype.itemsize)
    return [x.astype(dtypes[0 if cast_narrow else -1]) for x in data]


@operator('_contrib_boolean_mask', '_npi_boolean_mask')
def boolean_mask(data: jax.Array, index: jax.Array, *, axis: int = 0) -> jax.Array:
    """The slices along an axis whose index is not 0.

    Raises:
        ArgumentError: inside a compiled function, as the shape of the result depends on numbers.
    """
    if isinstance(index, Tracer):
        raise ArgumentError(
            '_contrib_boolean_mask has a shape that depends on numbers, which a compiled function cannot have',
            remedy='keep all slices and multiply by the mask, or use where',
        )
    return jnp.take(data, np.flatnonzero(np.asarray(index)), axis)


@operator('_contrib_fft')
def fft(data: jax.Array, *, compute_size: int = 128) -> jax.Array:
    """The Fourier transform along the last axis, twice as long: each real part before its imaginary part."""
    y = jnp.fft.fft(data)
    return jnp.stack([y.real, y.imag], -1).reshape(*data.shape[:-1], -1).astype(data.dtype)


@operator('_contrib_ifft')
def ifft(data: jax.Array, *, compute_size: int = 128) -> jax.Array:
    """The real part of the inverse of `fft`, times the number of elements, as cuFFT leaves it."""
    pairs = data.reshape(*data.shape[:-1], -1, 2)
    return (jnp.fft.ifft(pairs[..., 0] + 1j * pairs[..., 1]).real * pairs.shape[-2]).astype(data.dtype)


@operator('_contrib_count_sketch')
def count_sketch(
    data: jax.Array, h: jax.Array, s: jax.Array, *, out_dim: int, processing_batch_size: int = 32
) -> jax.Array:
    """The elements of each row times `s`, added up where `h` says, (..., out_dim)."""
    sketch = jnp.zeros((*data.shape[:-1], out_dim), data.dtype)
    signs = s.reshape((1,) * (data.ndim - 1) + (-1,))
    return sketch.at[..., as_indices(h.reshape(-1))].add(data * signs)


@operator('_contrib_getnnz')
def count_nonzero(data: jax.Array, *, axis: int | None = None) -> jax.Array:
    """How many elements are not 0."""
    return jnp.count_nonzero(data, axis)


@operator('_contrib_edge_id')
def edge_id(data: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """Elements of a matrix of edges, (rows u, columns v); -1 where there is no edge, that is 0."""
    found = data[as_indices(u), as_indices(v)]
    return jnp.where(found == 0, -1, found)


@operator('_contrib_hawkesll', outputs=('output', 'state'))
def hawkes_log_likelihood(
    lda: jax.Array,
    alpha: jax.Array,
    beta: jax.Array,
    state: jax.Array,
    lags: jax.Array,
    marks: jax.Array,
    valid_length: jax.Array,
    max_time: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The log-likelihood of points of a Hawkes process, (batch,), and its state at the end, (batch, marks).

    Gradients go to the background intensity `lda`, the branching ratio `alpha` and the decay `beta`.
    """
    kinds, rates = jnp.arange(lda.shape[1]), (alpha, beta)

    def decayed(mu: jax.Array, state: jax.Array, since: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What is left of the state after some time, and the integral of the intensity over that time."""
        left = state * jnp.exp(-rates[1] * since)
        return left, mu * since + rates[0] * (state - left)

    def one(mu: jax.Array, state: jax.Array, points: tuple[jax.Array, jax.Array, jax.Array], end: jax.Array):
        def step(carry: tuple[jax.Array, ...], point: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, ...], None]:
            total, time, last, state = carry
            lag, mark, valid = point
            time = time + lag
            here = (kinds == mark) & valid
            left, integral = decayed(mu, state, time - last)
            intensity = jnp.where(here, mu + alpha * beta * left, 1)
            total += jnp.where(here, jnp.log(intensity) - integral, 0).sum()
            return (total, time, jnp.where(here, time, last), jnp.where(here, 1 + left, state)), None

        start = jnp.zeros((), mu.dtype), jnp.zeros((), mu.dtype), jnp.zeros_like(mu), state
        (total, _, last, state), _ = lax.scan(step, start, points)
        left, integral = decayed(mu, state, end - last)
        return total - integral.sum(), left

    valid = jnp.arange(lags.shape[1])[None] < valid_length[:, None]
    points = lax.stop_gradient(lags), as_indices(marks), valid
    likelihood, last = jax.vmap(one)(lda, lax.stop_gradient(state), points, lax.stop_gradient(max_time))
    return likelihood, lax.stop_gradient(last)


@operator('_histogram', '_npi_histogram', only_if={'bins': lambda a: a['bin_cnt'] is None}, outputs=lambda a: 2)
def histogram(
    data: jax.Array, bins: jax.Array | None = None, *, bin_cnt: int | None = None, range: Floats | None = None
) -> tuple[jax.Array, jax.Array]:
    """How many elements lie between edges, and the edges: given, or `bin_cnt` equal bins of a range.

    Raises:
        ArgumentError: if there is neither.
    """
    if bins is None:
        if bin_cnt is None or range is None or len(range) != 2:
            raise ArgumentError('_histogram needs bins, or bin_cnt and range', got=f'bin_cnt={bin_cnt}, range={range}')
        bins = jnp.linspace(range[0], range[1], bin_cnt + 1, dtype=data.dtype)
    counts, edges = jnp.histogram(data, bins)
    return counts.astype(jax.dtypes.canonicalize_dtype('int64')), edges.astype(data.dtype)


@operator('_onehot_encode')
def onehot_encode(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """One-hot rows of indices `lhs`, of the shape of `rhs`."""
    return (as_indices(lhs)[:, None] == jnp.arange(rhs.shape[1])[None]).astype(rhs.dtype)


@operator('fill_element_0index')
def fill_element(lhs: jax.Array, mhs: jax.Array, rhs: jax.Array) -> jax.Array:
    """Rows `lhs` with the numbers `mhs` in the columns `rhs`."""
    return jnp.asarray(lhs).at[jnp.arange(len(lhs)), as_indices(rhs)].set(mhs)
