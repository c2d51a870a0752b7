"""Metrics of the probability of the right class, and of losses."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import DeviceMetric, Names, alias, register
from gluonjax.metric.pure import Mean, Shapes, State, Sums, as_list, ratio, rows


@dataclasses.dataclass(frozen=True)
class _Surprise(Mean):
    """The mean of -log(max(floor, eps + p)) for the probability p of the label's class."""

    eps: float = 0.0
    floor: float = 0.0
    ignore_label: int | None = None
    axis: int = -1
    from_logits: bool = False
    exponential: bool = False

    @property
    def valid_labels(self) -> str:
        return 'classes of the predictions, or ignore_label'

    def shapes(self) -> Shapes:
        return {'sum': (), 'seen': (), 'invalid': ()}

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        pred, label = rows(self.axis, label, pred), label.astype('int32').ravel()
        where = where if self.ignore_label is None else where & (label != self.ignore_label)
        possible = (label >= 0) & (label < pred.shape[1])
        return {
            'sum': double_float.total(self.surprise(jnp.where(possible, label, 0), pred), where & possible),
            'seen': double_float.total(where, where),
            'invalid': double_float.total(~possible, where),
        }

    def surprise(self, label: jax.Array, pred: jax.Array) -> jax.Array:
        """One for each row of the predictions."""
        pred = pred.astype(checks.at_least_float32(pred.dtype))
        pred = jax.nn.log_softmax(pred, axis=1) if self.from_logits else pred
        chosen = jnp.take_along_axis(pred, label.reshape(-1, 1), 1, mode='fill').ravel()
        return -chosen if self.from_logits else -jnp.log(jnp.maximum(self.floor, chosen + self.eps))

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        mean = ratio(numbers['sum'], numbers['seen'], xp, xp.nan)
        return xp.exp(mean) if self.exponential else mean


def _ignored(label: int | None) -> int | None:
    return None if label is None else checks.size('ignore_label', label, least=None)


@register
@alias('ce')
class CrossEntropy(DeviceMetric):
    """The mean of -log(p + eps), p the predicted probability of the label: MXNet's `CrossEntropy`.

    Labels are classes; predictions have an axis of classes more than them.

    Args:
        eps: keeps the logarithm finite where p is 0.
        name, output_names, label_names: see `EvalMetric`.
        ignore_label: a label that is left out; None: none is.
        axis: the axis of classes.
        from_logits: whether predictions are logits, of which softmax makes probabilities; `eps` is not needed then.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for invalid labels.

    >>> ce = CrossEntropy()
    >>> ce.update(jnp.array([0, 1, 1]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> ce.get()
    ('cross-entropy', 0.571599)
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = 'cross-entropy',
        output_names: Names = None,
        label_names: Names = None,
        ignore_label: int | None = None,
        axis: int = -1,
        from_logits: bool = False,
    ) -> None:
        self.eps: float = eps
        self.ignore_label: int | None = ignore_label
        self.axis: int = checks.size('axis', axis, least=None)
        self.from_logits: bool = checks.flag('from_logits', from_logits)
        surprise = _Surprise(checks.number('eps', eps, least=0), 0.0, _ignored(ignore_label), axis, bool(from_logits))
        super().__init__(surprise, name, output_names, label_names)


@register
@alias('nll_loss')
class NegativeLogLikelihood(CrossEntropy):
    """`CrossEntropy` under another name: MXNet's `NegativeLogLikelihood`.

    Args:
        eps: keeps the logarithm finite where the probability is 0.
        name, output_names, label_names: see `EvalMetric`.
        ignore_label, axis, from_logits: see `CrossEntropy`.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for invalid labels.

    >>> nll = NegativeLogLikelihood()
    >>> nll.update(jnp.array([0]), jnp.array([[0.5, 0.5]]))
    >>> nll.get()
    ('nll-loss', 0.693147)
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = 'nll-loss',
        output_names: Names = None,
        label_names: Names = None,
        ignore_label: int | None = None,
        axis: int = -1,
        from_logits: bool = False,
    ) -> None:
        super().__init__(eps, name, output_names, label_names, ignore_label, axis, from_logits)


@register
class Perplexity(DeviceMetric):
    """exp of the mean of -log(max(1e-10, p)), p the predicted probability of the label: MXNet's `Perplexity`.

    Args:
        ignore_label: a label that is left out; None: none is.
        axis: the axis of classes.
        name, output_names, label_names: see `EvalMetric`.
        from_logits: whether predictions are logits, as a network that is trained with `SoftmaxCrossEntropyLoss` gives
            them; softmax makes probabilities of them, and no floor is needed.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for invalid labels.

    >>> perplexity = Perplexity(ignore_label=-1)
    >>> perplexity.update(jnp.array([0, 1, -1]), jnp.array([[0.25, 0.75], [0.0, 1.0], [0.4, 0.6]]))
    >>> perplexity.get()
    ('perplexity', 2.0)
    """

    def __init__(
        self,
        ignore_label: int | None = None,
        axis: int = -1,
        name: str = 'perplexity',
        output_names: Names = None,
        label_names: Names = None,
        from_logits: bool = False,
    ) -> None:
        self.ignore_label: int | None = ignore_label
        self.axis: int = checks.size('axis', axis, least=None)
        self.from_logits: bool = checks.flag('from_logits', from_logits)
        surprise = _Surprise(0.0, 1e-10, _ignored(ignore_label), axis, bool(from_logits), exponential=True)
        super().__init__(surprise, name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _Predictions(Mean):
    """The mean of the predictions; there are no labels."""

    def update(self, state: State, labels: Any, preds: Any, mask: ArrayLike | None = None) -> State:
        preds = as_list(preds)
        return super().update(state, [None] * len(preds), preds, mask)

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        return pred.ravel()


@register
class Loss(DeviceMetric):
    """The mean of all entries of the predictions, for losses: MXNet's `Loss`. Labels are not looked at.

    Args:
        name, output_names, label_names: see `EvalMetric`.

    >>> loss = Loss()
    >>> loss.update(None, jnp.array([1.0, 2.0]))
    >>> loss.get()
    ('loss', 1.5)
    """

    def __init__(self, name: str = 'loss', output_names: Names = None, label_names: Names = None) -> None:
        super().__init__(_Predictions(), name, output_names, label_names)

    def update(self, labels: Any, preds: Any, mask: ArrayLike | None = None) -> None:
        super().update(None, preds, mask)
