"""Losses of vectors that belong together or not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.loss.base import Loss
from gluonjax.loss.inputs import axis_of, check_rank, like


class TripletLoss(Loss):
    """`max(0, |positive - pred|² - |negative - pred|² + margin)`, the squares summed over each sample.

    Call it as `loss(pred, positive, negative, sample_weight=None)`, all three with as many elements. MXNet 1.9 has no
    `sample_weight` here.

    Args:
        margin: by how much the negative is to be farther away than the positive; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> TripletLoss()(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 1.0]]), jnp.array([[0.0, 1.0]]))
    Array([2.], dtype=float32)
    """

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)
        self.margin: float = margin
        checks.number('margin', margin)

    def forward(self, pred: Array, positive: Array, negative: Array, sample_weight: Array | None = None) -> Array:
        positive, negative = like(positive, pred, 'positive'), like(negative, pred, 'negative')
        apart = jnp.square(positive - pred) - jnp.square(negative - pred)
        return self.weighted(jax.nn.relu(apart.sum(self.other_axes(pred)) + self.margin), sample_weight)


class CosineEmbeddingLoss(Loss):
    """`1 - cos` for vectors that belong together, label 1, and `max(0, cos - margin)` for others, label -1.

    `cos` is `input1 · input2 / max(|input1| |input2|, 1e-12)` along the last axis. The result has the shape **(N, 1)**,
    as MXNet's has, N being the number of vectors, and so have the losses that `sample_weight` multiplies. Another label
    has the loss 0.

    Call it as `loss(input1, input2, label, sample_weight=None)`; `label` has N elements. The gradient of a vector of
    zeros is 0, where MXNet's is NaN.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: MXNet's; vectors lie along the last axis.
        margin: the cosine up to which vectors that do not belong together are well apart; any number.

    >>> input1, input2 = jnp.array([[1.0, 0.0], [1.0, 0.0]]), jnp.array([[0.0, 1.0], [2.0, 0.0]])
    >>> CosineEmbeddingLoss()(input1, input2, jnp.array([1, -1]))
    Array([[1.],
           [1.]], dtype=float32)
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0, margin: float = 0) -> None:
        super().__init__(weight, batch_axis)
        self.margin: float = margin
        checks.number('margin', margin)

    def forward(self, input1: Array, input2: Array, label: Array, sample_weight: Array | None = None) -> Array:
        axis_of('axis', -1, input1)
        input2 = like(input2, input1, 'input2')
        similarity = _cosine(input1, input2).reshape(-1, 1)
        if label.size != similarity.size:
            raise ShapeError('a label is one number per pair of vectors', expected=similarity.shape, got=label.shape)
        label = label.reshape(similarity.shape)
        apart = jnp.where(label == -1, jax.nn.relu(similarity - self.margin), 0)
        return self.weighted(jnp.where(label == 1, 1 - similarity, apart), sample_weight)


def _cosine(x: Array, y: Array) -> Array:
    """Along the last axis; 0 with a gradient of 0 if one of them is zero."""
    lengths = _norm(x) * _norm(y)
    nonzero = lengths > 0
    return jnp.where(nonzero, (x * y).sum(-1), 0) / jnp.where(nonzero, jnp.maximum(lengths, 1e-12), 1)


def _norm(x: Array) -> Array:
    """Along the last axis, with a gradient of 0 at zero."""
    square = jnp.square(x).sum(-1)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


class SDMLLoss(Loss):
    """Batchwise smoothed deep metric learning (Bonadiman et al., arXiv:1905.12786).

    Row i of `x1` belongs to row i of `x2` and to no other. The loss of sample i is the Kullback-Leibler divergence,
    with `KLDivLoss`'s 1e-12, between the smoothed label (`1 - smoothing_parameter` for i, the rest shared by the
    others) and the softmax over j of `-|x1[i] - x2[j]|²`.

    Call it as `loss(x1, x2)`, both of shape (N, D). MXNet ignores `weight`, and returns NaN for a batch of one; here
    the weight is applied, and the loss is finite.

    Args:
        smoothing_parameter: the part of the label that is spread over the other samples; >= 0 and < 1.
        weight: a number that multiplies every loss; None for none.
        batch_axis: MXNet's; samples are rows.

    >>> SDMLLoss()(jnp.array([[0.0], [3.0]]), jnp.array([[0.0], [3.0]]))
    Array([2.089, 2.089], dtype=float32)
    """

    mixes_samples = True

    def __init__(self, smoothing_parameter: float = 0.3, weight: float | None = 1.0, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)
        self.smoothing_parameter: float = smoothing_parameter
        if not 0 <= checks.number('smoothing_parameter', smoothing_parameter) < 1:
            raise ArgumentError(f'smoothing_parameter must be >= 0 and < 1, got {smoothing_parameter!r}')

    def forward(self, x1: Array, x2: Array) -> Array:
        check_rank('x1', x1, 'ND')
        if x1.shape != x2.shape:
            raise ShapeError('x1 and x2 are pairs of rows', expected=x1.shape, got=x2.shape)
        n = len(x1)
        same = jnp.eye(n, dtype=x1.dtype)
        label = same * (1 - self.smoothing_parameter) + (1 - same) * self.smoothing_parameter / max(n - 1, 1)
        log_p = jax.nn.log_softmax(-jnp.square(x1[:, None] - x2[None]).sum(-1), axis=1)
        return self.weighted((label * (jnp.log(label + 1e-12) - log_p)).sum(1))
