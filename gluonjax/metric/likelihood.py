"""Metrics of the probability of the right class, and of losses."""

import dataclasses

import jax
import jax.numpy as jnp

from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import DeviceMetric, alias, register
from gluonjax.metric.pure import Mean, ratio, rows


@dataclasses.dataclass(frozen=True)
class _Surprise(Mean):
    """The mean of -log(max(floor, eps + p)) for the probability p of the label's class."""

    eps: float = 0.0
    floor: float = 0.0
    ignore_label: int | None = None
    axis: int = -1
    from_logits: bool = False
    exponential: bool = False
    labels = 'a class of the predictions, or ignore_label'

    def shapes(self):
        return {'sum': (), 'seen': (), 'strays': ()}

    def statistics(self, label, pred, where):
        pred, label = rows(self.axis, label, pred), label.astype('int32').ravel()
        where = where if self.ignore_label is None else where & (label != self.ignore_label)
        possible = (label >= 0) & (label < pred.shape[1])
        return {
            'sum': double_float.total(self.surprise(jnp.where(possible, label, 0), pred), where & possible),
            'seen': double_float.total(where, where),
            'strays': double_float.total(~possible, where),
        }

    def surprise(self, label, pred):
        pred = pred.astype(jnp.promote_types(pred.dtype, 'float32'))
        pred = jax.nn.log_softmax(pred, axis=1) if self.from_logits else pred
        chosen = jnp.take_along_axis(pred, label.reshape(-1, 1), 1, mode='fill').ravel()
        return -chosen if self.from_logits else -jnp.log(jnp.maximum(self.floor, chosen + self.eps))

    def score(self, numbers, xp):
        mean = ratio(numbers['sum'], numbers['seen'], xp, xp.nan)
        return xp.exp(mean) if self.exponential else mean


def _ignored(label) -> int | None:
    return None if label is None else int(label)


@register
@alias('ce')
class CrossEntropy(DeviceMetric):
    """The mean of -log(p + eps), p the predicted probability of the label: MXNet's `CrossEntropy`.

    Labels are classes; predictions have an axis of classes more than them.

    Args:
        eps: keeps the logarithm finite where p is 0.
        name, output_names, label_names: see `EvalMetric`.
        ignore_label: a label that does not count; None: all count.
        axis: the axis of classes.
        from_logits: whether predictions are logits, of which softmax makes probabilities; `eps` is not needed then.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for labels that are no class.

    >>> ce = CrossEntropy()
    >>> ce.update(jnp.array([0, 1, 1]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> ce.get()
    ('cross-entropy', 0.571599)
    """

    def __init__(
        self,
        eps=1e-12,
        name='cross-entropy',
        output_names=None,
        label_names=None,
        ignore_label=None,
        axis=-1,
        from_logits=False,
    ):
        self.eps, self.ignore_label, self.axis, self.from_logits = eps, ignore_label, axis, from_logits
        surprise = _Surprise(float(eps), 0.0, _ignored(ignore_label), axis, bool(from_logits))
        super().__init__(surprise, name, output_names, label_names)


@register
@alias('nll_loss')
class NegativeLogLikelihood(DeviceMetric):
    """`CrossEntropy` under another name: MXNet's `NegativeLogLikelihood`.

    Args:
        eps: keeps the logarithm finite where the probability is 0.
        name, output_names, label_names: see `EvalMetric`.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for labels that are no class.

    >>> nll = NegativeLogLikelihood()
    >>> nll.update(jnp.array([0]), jnp.array([[0.5, 0.5]]))
    >>> nll.get()
    ('nll-loss', 0.693147)
    """

    def __init__(self, eps=1e-12, name='nll-loss', output_names=None, label_names=None):
        self.eps = eps
        super().__init__(_Surprise(float(eps)), name, output_names, label_names)


@register
class Perplexity(DeviceMetric):
    """exp of the mean of -log(max(1e-10, p)), p the predicted probability of the label: MXNet's `Perplexity`.

    Args:
        ignore_label: a label that does not count; None: all count.
        axis: the axis of classes.
        name, output_names, label_names: see `EvalMetric`.

    Raises:
        ShapeError: in `update`, for shapes that do not fit.
        ArgumentError: in `get`, for labels that are no class.

    >>> perplexity = Perplexity(ignore_label=-1)
    >>> perplexity.update(jnp.array([0, 1, -1]), jnp.array([[0.25, 0.75], [0.0, 1.0], [0.4, 0.6]]))
    >>> perplexity.get()
    ('perplexity', 2.0)
    """

    def __init__(self, ignore_label, axis=-1, name='perplexity', output_names=None, label_names=None):
        self.ignore_label, self.axis = ignore_label, axis
        surprise = _Surprise(0.0, 1e-10, _ignored(ignore_label), axis, exponential=True)
        super().__init__(surprise, name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _Predictions(Mean):
    """The mean of the predictions; there are no labels."""

    def update(self, state, labels, preds, mask=None):
        preds = list(preds) if isinstance(preds, list | tuple) else [preds]
        return super().update(state, [None] * len(preds), preds, mask)

    def values(self, label, pred):
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

    def __init__(self, name='loss', output_names=None, label_names=None):
        super().__init__(_Predictions(), name, output_names, label_names)

    def update(self, labels, preds, mask=None):
        super().update(None, preds, mask)
