"""Metrics of classes: right or wrong, and what can be made of counting both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.errors import ArgumentError
from gluonjax.lazy import suggests_keywords
from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import DeviceMetric, Names, alias, register
from gluonjax.metric.pure import (
    Batchwise,
    Mean,
    PureMetric,
    Shapes,
    Sums,
    classes,
    mismatch,
    pairs,
    ratio,
    rows,
)

Average = Literal['macro', 'micro'] | None
ClassType = Literal['binary', 'multiclass', 'multilabel']
Threshold = float | Sequence[float] | jax.Array


@dataclasses.dataclass(frozen=True)
class _Right(Mean):
    axis: int

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        return classes(label, pred, self.axis) == label.astype('int32').ravel()


@register
@alias('acc')
class Accuracy(DeviceMetric):
    """The fraction of labels that were predicted: MXNet's `Accuracy`.

    Labels are classes, of any shape. Predictions of that shape are classes, too; otherwise they have one more axis, and
    the class predicted is where they are largest along it.

    Args:
        axis: the axis of classes in the predictions.
        name, output_names, label_names: see `EvalMetric`.

    Raises:
        ShapeError: in `update`, if there is not one prediction for each label.

    >>> accuracy = Accuracy()
    >>> accuracy.update(jnp.array([0, 1, 1]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> accuracy.get()
    ('accuracy', 0.6666666666666666)

    A padded batch, and the pure form:

    >>> accuracy.update(jnp.array([1, 0]), jnp.array([1, 1]), mask=jnp.array([True, False]))
    >>> accuracy.get()
    ('accuracy', 0.75)
    >>> pure = Accuracy().pure
    >>> pure.compute(pure.update(pure.init(), jnp.array([1, 0]), jnp.array([1, 1])))
    Array(0.5, dtype=float32)
    """

    def __init__(
        self, axis: int = 1, name: str = 'accuracy', output_names: Names = None, label_names: Names = None
    ) -> None:
        self.axis: int = checks.size('axis', axis, least=None)
        super().__init__(_Right(axis), name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _AmongTop(Mean):
    top_k: int

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        if pred.ndim != 2:
            raise mismatch(label, pred, 'predictions of shape (batch, classes)')
        pred, label = _floating(rows(1, label, pred)), label.astype('int32').reshape(-1, 1)
        index = jnp.arange(pred.shape[1]).reshape(1, -1)
        chosen = jnp.take_along_axis(pred, label, 1, mode='fill', fill_value=jnp.nan)
        # Whatever is not behind the label's class is before it, so that a prediction of nan is never right.
        behind = (pred < chosen) | ((pred == chosen) & (index >= label))
        rank = pred.shape[1] - behind.sum(1)
        return (rank < min(self.top_k, pred.shape[1])) & (label >= 0).ravel()


@register
@alias('top_k_accuracy', 'top_k_acc')
class TopKAccuracy(DeviceMetric):
    """The fraction of labels that are among the k classes predicted most: MXNet's `TopKAccuracy`.

    Of classes with equal predictions the first count as predicted more (MXNet leaves open which). With `top_k` above
    the number of classes every class is among them.

    Args:
        top_k: how many, at least 2.
        name, output_names, label_names: see `EvalMetric`; `_k` is appended to a name that does not end so.

    Raises:
        ArgumentError: if `top_k` is less than 2.
        ShapeError: in `update`, if the predictions are not of shape (batch, classes).

    >>> top = TopKAccuracy(top_k=2)
    >>> top.update(jnp.array([0, 2]), jnp.array([[0.2, 0.5, 0.3], [0.1, 0.5, 0.4]]))
    >>> top.get()
    ('top_k_accuracy_2', 0.5)
    """

    def __init__(
        self, top_k: int = 1, name: str = 'top_k_accuracy', output_names: Names = None, label_names: Names = None
    ) -> None:
        if top_k == 1:
            raise ArgumentError('top_k must be an int >= 2, got 1', remedy='use Accuracy')
        self.top_k: int = checks.size('top_k', top_k, least=2)
        name = f'{name.removesuffix(f"_{top_k}")}_{top_k}'
        super().__init__(_AmongTop(self.top_k), name, output_names, label_names)


def _exceeds(label: Any, pred: jax.Array, threshold: float | tuple[float, ...]) -> jax.Array:
    """Whether predictions are above the threshold; several thresholds are those of the last axis."""
    pred = _floating(pred)
    if not isinstance(threshold, tuple):
        return pred > threshold
    if pred.shape[-1:] != (len(threshold),):
        raise mismatch(label, pred, f'{len(threshold)} classes in the last axis of the predictions, as thresholds')
    return pred > jnp.asarray(threshold, pred.dtype).reshape((1,) * (pred.ndim - 1) + (-1,))


def _floating(pred: jax.Array) -> jax.Array:
    return pred if jnp.issubdtype(pred.dtype, jnp.floating) else pred.astype('float32')


def _threshold(value: Any) -> float | tuple[float, ...]:
    """A threshold, or one for each class, as something that can be hashed."""
    if getattr(value, 'ndim', 0) or isinstance(value, list | tuple):
        return tuple(checks.number('threshold', v) for v in value)
    return checks.number('threshold', value)


@dataclasses.dataclass(frozen=True)
class _RightSide(Mean):
    threshold: float | tuple[float, ...]

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        if pred.size != label.size:
            raise mismatch(label, pred, 'one prediction for each label')
        return _exceeds(label, pred, self.threshold).astype('int32').ravel() == label.astype('int32').ravel()


@register
class BinaryAccuracy(DeviceMetric):
    """The fraction of labels 0 and 1 that are on the right side of a threshold: `BinaryAccuracy` of Gluon 2.

    Args:
        threshold: above it a prediction means 1; one number, or one for each entry of the last axis.
        name, output_names, label_names: see `EvalMetric`.

    Raises:
        ShapeError: in `update`, if there is not one prediction for each label.

    >>> accuracy = BinaryAccuracy(threshold=0.6)
    >>> accuracy.update(jnp.array([0, 1, 0]), jnp.array([0.7, 1.0, 0.55]))
    >>> accuracy.get()
    ('binary_accuracy', 0.6666666666666666)
    """

    def __init__(
        self,
        name: str = 'binary_accuracy',
        output_names: Names = None,
        label_names: Names = None,
        threshold: Threshold = 0.5,
    ) -> None:
        self.threshold: Threshold = threshold
        super().__init__(_RightSide(_threshold(threshold)), name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _Counts(PureMetric):
    """For each class how often it was predicted, how often it was the label, and how often both."""

    class_type: str = 'binary'
    threshold: float | tuple[float, ...] | None = None
    num_classes: int | None = 1

    @property
    def valid_labels(self) -> str:
        return f'from 0 to below {self.num_classes}' if self.class_type == 'multiclass' else '1, and 0 or -1'

    def shapes(self) -> Shapes:
        shape = (_known(self.num_classes),)
        return {'both': shape, 'predicted': shape, 'actual': shape, 'seen': (), 'invalid': ()}

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        if self.num_classes is not None:
            return self
        return dataclasses.replace(self, num_classes=max(pred.shape[-1] for _, pred in pairs(labels, preds)))

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        label = label.astype('int32')
        predicted, actual, valid = getattr(self, f'_{self.class_type}')(label, pred)
        where = where.reshape(valid.shape)
        seen = where.any(1)
        return {
            'both': double_float.total(predicted & actual, where, 0),
            'predicted': double_float.total(predicted, where, 0),
            'actual': double_float.total(actual, where, 0),
            'seen': double_float.total(seen, seen),
            'invalid': double_float.total(~valid, where),
        }

    # Each returns what was predicted and what is right, one row a sample and one column a class, and which labels are
    # valid.

    def _binary(self, label: Any, pred: Any) -> Any:
        if pred.size == label.size:
            predicted = _exceeds(label, pred, 0.5 if self.threshold is None else self.threshold)
        elif self.threshold is None:
            predicted = classes(label, pred, 1) == 1
        elif pred.size == 2 * label.size and pred.shape[-1] == 2:
            predicted = pred[..., 1] > self.threshold
        else:
            raise mismatch(label, pred, 'predictions shaped as the labels, or with a last axis of two classes')
        label = label.reshape(-1, 1)
        return predicted.reshape(-1, 1), label == 1, abs(label) <= 1

    def _multiclass(self, label: Any, pred: Any) -> Any:
        pred, label = self._checked(label, rows(-1, label, pred)), label.reshape(-1, 1)
        index = jnp.arange(self.num_classes).reshape(1, -1)
        predicted = jnp.argmax(pred, 1).reshape(-1, 1)
        return predicted == index, label == index, (label >= 0) & (label < self.num_classes)

    def _multilabel(self, label: Any, pred: Any) -> Any:
        if pred.shape != label.shape:
            raise mismatch(label, pred, 'equal shapes, one label for each class')
        pred = self._checked(label, pred)
        shape = (math.prod(pred.shape[:-1]), pred.shape[-1])
        predicted = _exceeds(label, pred, 0.5 if self.threshold is None else self.threshold)
        return predicted.reshape(shape), (label == 1).reshape(shape), (abs(label) <= 1).reshape(shape)

    def _checked(self, label: Any, pred: Any) -> Any:
        if pred.shape[-1] != self.num_classes:
            raise mismatch(label, pred, f'predictions of {self.num_classes} classes in the last axis')
        return pred


@dataclasses.dataclass(frozen=True)
class _Fscore(_Counts):
    beta: float = 1.0
    average: str | None = 'micro'

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        both, predicted, actual = numbers['both'], numbers['predicted'], numbers['actual']
        if self.average == 'micro':
            both, predicted, actual = both.sum(), predicted.sum(), actual.sum()
        score = ratio((1 + self.beta**2) * both, self.beta**2 * actual + predicted, xp)
        score = score.mean() if self.average == 'macro' else score
        return xp.where(numbers['seen'] > 0, score, xp.nan)


@dataclasses.dataclass(frozen=True)
class _Matthews(_Counts):
    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        both, predicted, actual = (numbers[name].sum() for name in ('both', 'predicted', 'actual'))
        seen = numbers['seen']
        margins = xp.stack([predicted, actual, seen - predicted, seen - actual])
        neither = seen - predicted - actual + both
        # Roots before products: four counts multiplied leave float32.
        root = xp.prod(xp.sqrt(xp.where(margins == 0, 1, margins)))
        score = (both * neither - (predicted - both) * (actual - both)) / root
        return xp.where(seen > 0, score, xp.nan)


def _fscore(class_type: ClassType, threshold: Any, num_classes: int | None, beta: float, average: Average) -> _Fscore:
    checks.one_of('average', average, ('macro', 'micro', None))
    checks.one_of('class_type', class_type, ('binary', 'multiclass', 'multilabel'))
    num_classes = 1 if class_type == 'binary' else checks.optional_size('num_classes', num_classes)
    beta = checks.positive('beta', beta)
    return _Fscore(class_type, None if threshold is None else _threshold(threshold), num_classes, beta, average)


@register
class F1(DeviceMetric):
    """2 * precision * recall / (precision + recall): MXNet's `F1` for two classes, that of Gluon 2 for more.

    With two classes the labels are 0 and 1; -1 counts as 0. Predictions are of shape (batch, classes), or one for each
    label. Where there is neither a positive label nor a positive prediction, the score is 0.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: with class_type='binary' 'macro' is the mean of the scores of the batches, and 'micro' the score of
            all samples together; otherwise, as in Gluon 2, 'macro' is the mean of the classes' scores over all samples,
            'micro' the score of all classes' counts together, and None an array of the classes' scores.
        class_type: 'binary'; 'multiclass', one of several classes; 'multilabel', any number of them: labels have the
            predictions' shape.
        threshold: above it a prediction means 1. None: the larger of two predictions, and 0.5 for one alone.
        num_classes: of 'multiclass' and 'multilabel'; None takes it from the first predictions.

    Raises:
        ArgumentError: for an unknown `average` or `class_type`; in `get`, for invalid labels.
        ShapeError: in `update`, for shapes that do not fit.

    >>> f1 = F1()
    >>> f1.update(jnp.array([0, 1, 1]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> f1.get()
    ('f1', 0.8)
    """

    def __init__(
        self,
        name: str = 'f1',
        output_names: Names = None,
        label_names: Names = None,
        average: Average = 'macro',
        class_type: ClassType = 'binary',
        threshold: Threshold | None = None,
        num_classes: int | None = None,
    ) -> None:
        self.average: Average = average
        self.class_type: ClassType = class_type
        self.threshold: Threshold | None = threshold
        self.num_classes: int | None = num_classes
        score = _fscore(class_type, threshold, num_classes, 1, average)
        batchwise = average == 'macro' and class_type == 'binary'
        super().__init__(Batchwise(score, fused=True) if batchwise else score, name, output_names, label_names)


@register
class Fbeta(DeviceMetric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall): `Fbeta` of Gluon 2, of all samples together.

    Args:
        beta: how much more recall weighs than precision.
        average: as in `F1` with more than two classes; with two, 'macro' and 'micro' are the same.
        class_type, threshold, num_classes, name, output_names, label_names: see `F1`.

    Raises:
        ArgumentError: for an unknown `average` or `class_type`; in `get`, for invalid labels.
        ShapeError: in `update`, for shapes that do not fit.

    >>> fbeta = Fbeta(beta=2)
    >>> fbeta.update(jnp.array([0, 1, 1]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> fbeta.get()
    ('fbeta', 0.9090909090909091)
    """

    def __init__(
        self,
        name: str = 'fbeta',
        output_names: Names = None,
        label_names: Names = None,
        class_type: ClassType = 'binary',
        beta: float = 1,
        threshold: Threshold | None = 0.5,
        average: Average = 'micro',
        num_classes: int | None = None,
    ) -> None:
        self.class_type: ClassType = class_type
        self.beta: float = beta
        self.threshold: Threshold | None = threshold
        self.average: Average = average
        self.num_classes: int | None = num_classes
        score = _fscore(class_type, threshold, num_classes, beta, average)
        super().__init__(score, name, output_names, label_names)


@register
class MCC(DeviceMetric):
    """The correlation coefficient of Matthews (1975) for two classes: MXNet's `MCC`.

    It takes what `F1` takes with class_type='binary'. Where a class is never predicted or never the label, it is 0.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: 'macro', the mean of the scores of the batches; 'micro', the score of all samples together.

    Raises:
        ArgumentError: for an unknown `average`; in `get`, for invalid labels.
        ShapeError: in `update`, for shapes that do not fit.

    >>> mcc = MCC()
    >>> mcc.update(jnp.array([0, 1, 1, 0]), jnp.array([0.7, 1.0, 0.6, 0.1]))
    >>> mcc.get()
    ('mcc', 0.577350)
    """

    def __init__(
        self,
        name: str = 'mcc',
        output_names: Names = None,
        label_names: Names = None,
        average: Literal['macro', 'micro'] = 'macro',
    ) -> None:
        checks.one_of('average', average, ('macro', 'micro'))
        self.average: Literal['macro', 'micro'] = average
        score = _Matthews()
        score = Batchwise(score, fused=True) if average == 'macro' else score
        super().__init__(score, name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _Confusion(PureMetric):
    """How often each class was predicted for each label: rows are predictions, columns labels."""

    num_classes: int | None

    @property
    def valid_labels(self) -> str:
        return f'from 0 to below {self.num_classes}'

    def shapes(self) -> Shapes:
        number = _known(self.num_classes)
        return {'confusion': (number, number), 'seen': (), 'invalid': ()}

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        if self.num_classes is not None:
            return self
        sizes = [pred.shape[1] for label, pred in pairs(labels, preds) if pred.shape != label.shape and pred.ndim > 1]
        return dataclasses.replace(self, num_classes=max(sizes, default=None))

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        number = _known(self.num_classes)
        predicted, label = classes(label, pred, 1), label.astype('int32').ravel()
        valid = (label >= 0) & (label < number) & (predicted >= 0) & (predicted < number)
        entries = jnp.where(where & valid, predicted * number + label, number * number)  # the last is dropped
        counts = jnp.zeros(number * number, 'int32').at[entries].add(1, mode='drop')
        return {
            'confusion': double_float.of(counts.reshape(number, number)),
            'seen': double_float.total(where, where),
            'invalid': double_float.total(~valid, where),
        }

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        fractions = ratio(numbers['confusion'], numbers['seen'], xp)
        predicted, actual = fractions.sum(1), fractions.sum(0)
        spread = xp.sqrt(xp.sum(predicted * (1 - predicted))) * xp.sqrt(xp.sum(actual * (1 - actual)))
        return ratio(xp.sum(xp.diagonal(fractions) - predicted * actual), spread, xp, xp.nan)


@register
class PCC(DeviceMetric):
    """The correlation coefficient of Matthews for any number of classes (Gorodkin, 2004): MXNet's `PCC`.

    Labels are classes. Predictions of the same shape are classes, too, and otherwise have an axis 1 of classes. With
    labels of several axes MXNet counts a pair of classes once for each row, however often it is there; here every
    entry counts.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        has_global_stats: False makes `get_global` tell what `get` tells.
        num_classes: how many; None takes it from predictions with an axis of classes. Where they are classes, and the
            number is not given, `update` waits for the values, and counts the classes that it meets.

    Raises:
        ArgumentError: in `pure`, if the number of classes is unknown; in `get`, for invalid labels or predictions.
        ShapeError: in `update`, if there is not one prediction for each label.

    >>> pcc = PCC(num_classes=3)
    >>> pcc.update(jnp.array([0, 1, 2, 2]), jnp.array([0, 1, 2, 1]))
    >>> pcc.get()
    ('pcc', 0.7)
    """

    def __init__(
        self,
        name: str = 'pcc',
        output_names: Names = None,
        label_names: Names = None,
        has_global_stats: bool = True,
        num_classes: int | None = None,
    ) -> None:
        self.has_global_stats: bool = checks.flag('has_global_stats', has_global_stats)
        self.num_classes: int | None = num_classes
        super().__init__(_Confusion(checks.optional_size('num_classes', num_classes)), name, output_names, label_names)

    @suggests_keywords
    def update(self, labels: Any, preds: Any, mask: ArrayLike | None = None) -> None:
        labels, preds = admit((labels, preds))
        if self.num_classes is None and _Confusion(None).for_batch(labels, preds) == _Confusion(
            None
        ):  # no axis of them
            arrays = [array for pair in pairs(labels, preds) for array in pair]
            if not any(isinstance(array, Tracer) for array in arrays):
                self._grow(1 + max((int(np.max(array, initial=0)) for array in arrays), default=0))
        super().update(labels, preds, mask)

    def _grow(self, number: int) -> None:
        """Makes room for so many classes, also in what was counted before."""
        more = number - (cast(_Confusion, self._pure).num_classes or 0)
        if more > 0:
            grown = [
                state and {**state, 'confusion': jnp.pad(state['confusion'], ((0, 0), (0, more), (0, more)))}
                for state in (self._state, self._past)
            ]
            self._pure, (self._state, self._past) = _Confusion(number), grown

    def get_global(self) -> tuple[str, Any]:
        return super().get_global() if self.has_global_stats else self.get()


def _known(num_classes: int | None) -> int:
    if num_classes is None:
        raise ArgumentError(
            'the number of classes is unknown',
            expected='num_classes=, or predictions with an axis of classes',
            remedy='num_classes=; or pure.for_batch(labels, preds), which takes it from the shapes of a batch',
        )
    return num_classes
