"""Metrics, as in `mx.metric`: they add up on the device, and have a pure form.

    accuracy = metric.Accuracy()
    accuracy.update(labels, preds)                                # waits for nothing
    name, value = accuracy.get()                                  # waits

    pure = accuracy.pure                                          # immutable, hashable; for jit, scan, shard_map
    state = pure.init()
    state = pure.update(state, labels, preds, mask=mask)
    value = pure.compute(pure.pmerge(state, 'devices'))           # or pure.merge(state, state)

Where this differs from MXNet on purpose: a batch without valid samples is no batch, and of nothing comes nan; shapes
that NumPy would only broadcast are refused; invalid labels are an error in `get`, as an update does not wait to look at
them (MXNet's `CrossEntropy` takes -1 for the last class, its `Perplexity` clips); sums of half precision are kept in
float32; `num_inst` of `PCC` and of `PearsonCorrelation(average='micro')` counts samples, not updates. `BinaryAccuracy`,
`Fbeta` and the arguments that come last in `F1`, `CrossEntropy`, `NegativeLogLikelihood`, `Perplexity`, `MAE`, `MSE`,
`RMSE` and `PCC` are not in MXNet 1.9.1; where Gluon 2 has them, the names are its. The dummies `Torch` and `Caffe` are
not here: they are `Loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.metric.classification import F1, MCC, PCC, Accuracy, BinaryAccuracy, Fbeta, TopKAccuracy
from gluonjax.metric.composite import CompositeEvalMetric, CustomMetric, create, np
from gluonjax.metric.eval_metric import DeviceMetric, EvalMetric, alias, register
from gluonjax.metric.likelihood import CrossEntropy, Loss, NegativeLogLikelihood, Perplexity
from gluonjax.metric.pure import PureMetric
from gluonjax.metric.regression import MAE, MSE, RMSE, PearsonCorrelation
from gluonjax.packages import refuses_unknown

__all__ = [  # noqa: RUF022  (plain order)
    'Accuracy',
    'BinaryAccuracy',
    'CompositeEvalMetric',
    'CrossEntropy',
    'CustomMetric',
    'DeviceMetric',
    'EvalMetric',
    'F1',
    'Fbeta',
    'Loss',
    'MAE',
    'MCC',
    'MSE',
    'NegativeLogLikelihood',
    'PCC',
    'PearsonCorrelation',
    'Perplexity',
    'PureMetric',
    'RMSE',
    'TopKAccuracy',
    'alias',
    'create',
    'np',
    'register',
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
