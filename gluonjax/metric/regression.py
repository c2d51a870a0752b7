"""Metrics of the distance between numbers, and of their correlation."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gluonjax import checks
from gluonjax.metric import double_float
from gluonjax.metric.eval_metric import DeviceMetric, Names, alias, register
from gluonjax.metric.pure import Batchwise, Mean, PureMetric, Shapes, State, Sums, alike


def _averaged(metric: PureMetric, average: str) -> PureMetric:
    """Of each batch and then of the batches ('macro'), or of all samples ('micro')."""
    return Batchwise(metric) if checks.one_of('average', average, ('macro', 'micro')) == 'macro' else metric


@dataclasses.dataclass(frozen=True)
class _AbsoluteError(Mean):
    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        label, pred = alike(label, pred)
        return abs(label - pred)


@dataclasses.dataclass(frozen=True)
class _SquaredError(Mean):
    root: bool = False

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        label, pred = alike(label, pred)
        return (label - pred) ** 2

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        mean = super().score(numbers, xp)
        return xp.sqrt(mean) if self.root else mean


@register
class MAE(DeviceMetric):
    """The mean absolute error: MXNet's `MAE`, the mean over batches of the mean of each.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: 'macro' as MXNet; 'micro' is the mean of all entries, in which a small last batch counts for less.

    Raises:
        ArgumentError: for an unknown `average`.
        ShapeError: in `update`, for unequal shapes; (batch,) and (batch, 1) are equal.

    >>> mae = MAE()
    >>> mae.update(jnp.array([2.5, 0.0, 2.0, 8.0]), jnp.array([3.0, -0.5, 2.0, 7.0]))
    >>> mae.get()
    ('mae', 0.5)
    """

    def __init__(
        self,
        name: str = 'mae',
        output_names: Names = None,
        label_names: Names = None,
        average: Literal['macro', 'micro'] = 'macro',
    ) -> None:
        self.average: Literal['macro', 'micro'] = average
        super().__init__(_averaged(_AbsoluteError(), average), name, output_names, label_names)


@register
class MSE(DeviceMetric):
    """The mean squared error: MXNet's `MSE`, the mean over batches of the mean of each.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: see `MAE`.

    Raises:
        ArgumentError: for an unknown `average`.
        ShapeError: in `update`, for unequal shapes; (batch,) and (batch, 1) are equal.

    >>> mse = MSE()
    >>> mse.update(jnp.array([2.5, 0.0, 2.0, 8.0]), jnp.array([3.0, -0.5, 2.0, 7.0]))
    >>> mse.get()
    ('mse', 0.375)
    """

    def __init__(
        self,
        name: str = 'mse',
        output_names: Names = None,
        label_names: Names = None,
        average: Literal['macro', 'micro'] = 'macro',
    ) -> None:
        self.average: Literal['macro', 'micro'] = average
        super().__init__(_averaged(_SquaredError(), average), name, output_names, label_names)


@register
class RMSE(DeviceMetric):
    """The root of the mean squared error: MXNet's `RMSE`, the mean over batches of the root of each.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: 'macro' as MXNet; 'micro' is the root of the mean of all entries, which most people mean by it.

    Raises:
        ArgumentError: for an unknown `average`.
        ShapeError: in `update`, for unequal shapes; (batch,) and (batch, 1) are equal.

    >>> rmse = RMSE()
    >>> rmse.update(jnp.array([2.5, 0.0, 2.0, 8.0]), jnp.array([3.0, -0.5, 2.0, 7.0]))
    >>> rmse.get()
    ('rmse', 0.612372)
    """

    def __init__(
        self,
        name: str = 'rmse',
        output_names: Names = None,
        label_names: Names = None,
        average: Literal['macro', 'micro'] = 'macro',
    ) -> None:
        self.average: Literal['macro', 'micro'] = average
        super().__init__(_averaged(_SquaredError(root=True), average), name, output_names, label_names)


@dataclasses.dataclass(frozen=True)
class _Correlation(PureMetric):
    """Means and centred products, joined as Chan, Golub and LeVeque (1983): sums of squares would cancel."""

    def shapes(self) -> Shapes:
        return dict.fromkeys(('label', 'pred', 'label_label', 'pred_pred', 'label_pred', 'seen'), ())

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        label, pred = alike(label, pred)
        seen = jnp.maximum(where.sum(), 1).astype(label.dtype)

        def centred(x: jax.Array) -> tuple[double_float.Pair, jax.Array]:
            """The mean, and the distances to it: exactly 0 if all entries are the same."""
            first = x[jnp.argmax(where)] if x.size else jnp.zeros((), x.dtype)
            distance = jnp.where(where, x - first, 0)
            mean = distance.sum() / seen
            return double_float.add(double_float.of(first), double_float.of(mean)), distance - mean

        (label_mean, label), (pred_mean, pred) = centred(label), centred(pred)
        return {
            'label': label_mean,
            'pred': pred_mean,
            'label_label': double_float.total(label * label, where),
            'pred_pred': double_float.total(pred * pred, where),
            'label_pred': double_float.total(label * pred, where),
            'seen': double_float.total(where, where),
        }

    def merge(self, a: State, b: State) -> State:
        merged = {name: double_float.add(a[name], b[name]) for name in a}
        seen, more = double_float.value(a['seen']), double_float.value(b['seen'])
        fraction = (more / jnp.maximum(seen + more, 1)).astype('float32')
        apart = {name: double_float.add(b[name], -a[name]) for name in ('label', 'pred')}
        for name, distance in apart.items():
            merged[name] = double_float.add(a[name], jnp.where(more > 0, distance * fraction, 0))
        for name in ('label_label', 'pred_pred', 'label_pred'):
            one, other = (double_float.value(apart[side]) for side in name.split('_'))
            between = jnp.where((seen > 0) & (more > 0), one * other * seen * fraction.astype(seen.dtype), 0)
            merged[name] = double_float.add(merged[name], double_float.of(between))
        return merged

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        spread = xp.sqrt(numbers['label_label']) * xp.sqrt(numbers['pred_pred'])
        return xp.where(spread > 0, numbers['label_pred'] / xp.where(spread > 0, spread, 1), xp.nan)


@register
@alias('pearsonr')
class PearsonCorrelation(DeviceMetric):
    """The correlation of labels and predictions: MXNet's `PearsonCorrelation`. nan if either is constant.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: 'macro', the mean of the correlations of the batches; 'micro', the correlation of all entries.

    Raises:
        ArgumentError: for an unknown `average`.
        ShapeError: in `update`, for unequal shapes; (batch,) and (batch, 1) are equal.

    >>> pearson = PearsonCorrelation()
    >>> pearson.update(jnp.array([[1, 0], [0, 1], [0, 1]]), jnp.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> pearson.get()
    ('pearsonr', 0.421637)
    """

    def __init__(
        self,
        name: str = 'pearsonr',
        output_names: Names = None,
        label_names: Names = None,
        average: Literal['macro', 'micro'] = 'macro',
    ) -> None:
        self.average: Literal['macro', 'micro'] = average
        super().__init__(_averaged(_Correlation(), average), name, output_names, label_names)
