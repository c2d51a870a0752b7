"""Losses of classes and of probabilities."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from gluonjax import checks
from gluonjax.errors import ShapeError
from gluonjax.loss.base import Loss
from gluonjax.loss.inputs import axis_of, broadcast, like, times


class HingeLoss(Loss):
    """`max(0, margin - pred * label)` for labels -1 and 1, averaged over each sample.

    Args:
        margin: the product of prediction and label from which on there is no loss; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> HingeLoss()(jnp.array([[2.0], [0.5]]), jnp.array([[1], [-1]]))
    Array([0. , 1.5], dtype=float32)
    """

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)
        self.margin: float = margin
        checks.number('margin', margin)

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        return self.mean(jax.nn.relu(self.margin - pred * like(label, pred)), sample_weight)


class SquaredHingeLoss(HingeLoss):
    """`max(0, margin - pred * label)²` for labels -1 and 1, averaged over each sample.

    Args:
        margin: the product of prediction and label from which on there is no loss; any number.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> SquaredHingeLoss()(jnp.array([[2.0], [0.5]]), jnp.array([[1], [-1]]))
    Array([0.  , 2.25], dtype=float32)
    """

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        return self.mean(jnp.square(jax.nn.relu(self.margin - pred * like(label, pred))), sample_weight)


class SigmoidBinaryCrossEntropyLoss(Loss):
    """The cross-entropy of yes-or-no labels, averaged over each sample. `SigmoidBCELoss` is the same class.

    `-label * log(p) * pos_weight - (1 - label) * log(1 - p)`, where `p` is `sigmoid(pred)`. It is computed from
    `pred` at once, exactly at logits of any size. Labels lie between 0 and 1.

    With `from_sigmoid=True` the prediction is `p` itself, and 1e-12 is added inside the logarithms as MXNet does.

    Call it as `loss(pred, label, sample_weight=None, pos_weight=None)`. `pos_weight` broadcasts to the shape of
    `pred`, as (1, C) or (C,) does for a weight per class.

    MXNet's gradient at `pred == 0` lacks its `0.5`; here it is `sigmoid(0) - label`.

    Args:
        from_sigmoid: whether the prediction is a probability.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> SigmoidBCELoss()(jnp.array([[0.0], [1e4]]), jnp.array([[1], [0]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(self, from_sigmoid: bool = False, weight: float | None = None, batch_axis: int = 0) -> None:
        super().__init__(weight, batch_axis)
        self.from_sigmoid: bool = from_sigmoid

    def allowed_labels(self, pred_shape: tuple[int, ...], label: Any) -> tuple[Any, str] | None:
        return (label >= 0) & (label <= 1), 'numbers from 0 to 1'

    def forward(
        self, pred: Array, label: Array, sample_weight: Array | None = None, pos_weight: Array | None = None
    ) -> Array:
        if self.from_sigmoid:
            rest = lax.optimization_barrier(1 - pred)  # or XLA may add 1 and 1e-12 first, which makes 1
            log_p, log_not_p = jnp.log(pred + 1e-12), jnp.log(rest + 1e-12)
        else:
            log_p, log_not_p = jax.nn.log_sigmoid(pred), jax.nn.log_sigmoid(-pred)
        label = like(label, pred)
        positive = label if pos_weight is None else label * broadcast('pos_weight', pos_weight, label)
        return self.mean(-times(positive, log_p) - times(1 - label, log_not_p), sample_weight)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss


class LogisticLoss(Loss):
    """`log(1 + exp(-pred * label))` for labels -1 and 1, averaged over each sample.

    MXNet's gradient at `pred == 0` lacks its `0.5`, as that of `SigmoidBCELoss` does.

    Args:
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.
        label_format: 'signed' for labels -1 and 1; 'binary' for 0 and 1.

    >>> LogisticLoss()(jnp.array([[0.0], [1e4]]), jnp.array([[1], [-1]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, label_format: Literal['signed', 'binary'] = 'signed'
    ) -> None:
        super().__init__(weight, batch_axis)
        self.label_format: Literal['signed', 'binary'] = checks.one_of(
            'label_format', label_format, ('signed', 'binary')
        )

    def allowed_labels(self, pred_shape: tuple[int, ...], label: Any) -> tuple[Any, str] | None:
        low, high = (-1, 1) if self.label_format == 'signed' else (0, 1)
        return (label == low) | (label == high), f'{low} and {high}'

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        label = like(label, pred)
        if self.label_format == 'signed':
            label = (label + 1) / 2
        loss = -times(label, jax.nn.log_sigmoid(pred)) - times(1 - label, jax.nn.log_sigmoid(-pred))
        return self.mean(loss, sample_weight)


class SoftmaxCrossEntropyLoss(Loss):
    """The cross-entropy of classes, averaged over each sample. `SoftmaxCELoss` is the same class.

    With `sparse_label=True` a label is the number of a class, and the loss is `-log_softmax(pred)[label]`. Labels have
    the shape of `pred` without `axis`, or with 1 there; floats are truncated. A label out of range is taken as the
    nearest class, as in MXNet: -1 is class 0. To leave samples out, give them `sample_weight` 0.

    With `sparse_label=False` a label is a distribution over the classes, of the shape of `pred`, and the loss is
    `-sum(label * log_softmax(pred))`.

    Logits may be of any size; -inf marks an impossible class. The losses that `sample_weight` multiplies have
    the shape of `pred` with 1 along `axis`.

    Args:
        axis: the axis of classes.
        sparse_label: whether a label is the number of a class, rather than a distribution.
        from_logits: whether `pred` holds logarithms of probabilities already, as `log_softmax` returns them.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> pred = jnp.array([[0.0, 0.0], [1e4, 0.0]])
    >>> SoftmaxCELoss()(pred, jnp.array([0, 1]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    >>> SoftmaxCELoss(sparse_label=False)(pred, jnp.array([[0.5, 0.5], [0, 1]]))
    Array([6.931472e-01, 1.000000e+04], dtype=float32)
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
    ) -> None:
        super().__init__(weight, batch_axis)
        self.axis: int = checks.size('axis', axis, least=None)
        self.sparse_label: bool = sparse_label
        self.from_logits: bool = from_logits

    def allowed_labels(self, pred_shape: tuple[int, ...], label: Any) -> tuple[Any, str] | None:
        if not self.sparse_label or not -len(pred_shape) <= self.axis < len(pred_shape):
            return None
        classes = pred_shape[self.axis]
        is_class = (label >= 0) & (label < classes) & (label // 1 == label)
        return is_class, f'ints from 0 to {classes - 1}, for {classes} classes'

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        axis = axis_of('axis', self.axis, pred)
        if not self.sparse_label:
            if label.size != pred.size and label.size * pred.shape[axis] == pred.size:
                raise ShapeError(
                    'labels with sparse_label=False are distributions over the classes',
                    expected=pred.shape,
                    got=label.shape,
                    remedy='sparse_label=True takes the numbers of classes',
                )
            log_p = pred if self.from_logits else jax.nn.log_softmax(pred, axis)
            return self.mean(-times(like(label, pred), log_p).sum(axis, keepdims=True), sample_weight)
        # A comparison is one pass with the exponentials, and so is its gradient; that of an index would be a scatter.
        is_label = lax.broadcasted_iota(jnp.int32, pred.shape, axis) == _class_indices(label, pred, axis)
        picked = jnp.where(is_label, pred, 0).sum(axis, keepdims=True)
        if self.from_logits:
            return self.mean(-picked, sample_weight)
        # The difference of two large numbers is taken first, and nothing of the size of `pred` is written down.
        top = lax.stop_gradient(pred.max(axis, keepdims=True))
        return self.mean(jnp.log(jnp.exp(pred - top).sum(axis, keepdims=True)) - (picked - top), sample_weight)


SoftmaxCELoss = SoftmaxCrossEntropyLoss


def _class_indices(label: Array, pred: Array, axis: int) -> Array:
    """The numbers of classes as indices along `axis`, the nearest where they are out of range."""
    kept = (*pred.shape[:axis], 1, *pred.shape[axis + 1 :])
    squeezed = (*pred.shape[:axis], *pred.shape[axis + 1 :])
    if label.shape not in (kept, squeezed):
        distributions = label.shape == pred.shape
        raise ShapeError(
            'labels with sparse_label=True are the numbers of classes',
            expected=f'label of shape {squeezed} or {kept} beside pred {pred.shape}',
            got=label.shape,
            remedy='sparse_label=False takes distributions over the classes' if distributions else None,
        )
    last = pred.shape[axis] - 1
    if jnp.issubdtype(label.dtype, jnp.integer):
        last = min(last, jnp.iinfo(label.dtype).max)
    return jnp.clip(label, 0, last).astype(jnp.int32).reshape(kept)


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence: `label * (log(label + 1e-12) - log p)`, summed over each sample.

    Args:
        from_logits: whether `pred` is `log p`, as `log_softmax` returns it; otherwise `log p` is `log_softmax(pred)`.
        axis: the axis of that softmax.
        weight: a number that multiplies every loss; None for none.
        batch_axis: the axis of samples.

    >>> KLDivLoss(from_logits=False)(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]))
    Array([0.6931472], dtype=float32)
    """

    def __init__(
        self, from_logits: bool = True, axis: int = -1, weight: float | None = None, batch_axis: int = 0
    ) -> None:
        super().__init__(weight, batch_axis)
        self.from_logits: bool = from_logits
        self.axis: int = checks.size('axis', axis, least=None)

    def forward(self, pred: Array, label: Array, sample_weight: Array | None = None) -> Array:
        if not self.from_logits:
            pred = jax.nn.log_softmax(pred, axis_of('axis', self.axis, pred))
        label = like(label, pred)
        loss = label * jnp.log(label + 1e-12) - times(label, pred)
        return self.weighted(loss, sample_weight).sum(self.other_axes(loss))
