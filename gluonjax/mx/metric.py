"""`mx.metric`: the library's metrics, of MXNet's arrays; and what MXNet's programs find beside them.

>>> from gluonjax.mx import metric, nd
>>> accuracy = metric.create('acc')
>>> accuracy.update([nd.array([0, 1])], [nd.array([[0.9, 0.1], [0.8, 0.2]])])
>>> accuracy.get(), accuracy.num_inst
(('accuracy', 0.5), 2)
"""

from __future__ import annotations

import json
from typing import Any

from gluonjax import metric as native
from gluonjax.errors import ShapeError
from gluonjax.metric import (
    F1,
    MAE,
    MCC,
    MSE,
    PCC,
    RMSE,
    Accuracy,
    BinaryAccuracy,
    CompositeEvalMetric,
    CrossEntropy,
    CustomMetric,
    DeviceMetric,
    EvalMetric,
    Fbeta,
    Loss,
    NegativeLogLikelihood,
    PearsonCorrelation,
    Perplexity,
    TopKAccuracy,
    alias,
    np,
    register,
)
from gluonjax.mx import ndarray
from gluonjax.mx.entry import explain_calls

__all__ = [
    'F1',
    'MAE',
    'MCC',
    'MSE',
    'PCC',
    'RMSE',
    'Accuracy',
    'BinaryAccuracy',
    'Caffe',
    'CompositeEvalMetric',
    'CrossEntropy',
    'CustomMetric',
    'DeviceMetric',
    'EvalMetric',
    'Fbeta',
    'Loss',
    'NegativeLogLikelihood',
    'PearsonCorrelation',
    'Perplexity',
    'TopKAccuracy',
    'Torch',
    'alias',
    'check_label_shapes',
    'create',
    'ndarray',
    'np',
    'register',
]


@register
class Torch(Loss):
    """`Loss` by another name."""

    def __init__(self, name: str = 'torch', output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """`Loss` by another name."""

    def __init__(self, name: str = 'caffe', output_names: Any = None, label_names: Any = None) -> None:
        super().__init__(name, output_names, label_names)


def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """As `gluonjax.metric.create`; of JSON of a configuration too.

    >>> from gluonjax.mx import metric
    >>> metric.create(json.dumps(metric.Accuracy(axis=-1).get_config()))
    Accuracy(axis=-1)
    """
    if isinstance(metric, str) and metric.startswith(('[', '{')):
        return native.create(json.loads(metric), *args, **kwargs)
    return native.create(metric, *args, **kwargs)


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Labels and predictions, of which there are equally many.

    Args:
        labels: an array, or a list of them.
        preds: likewise.
        wrap: whether single arrays are given back in lists.
        shape: whether shapes are compared, instead of lengths.

    Raises:
        ShapeError: if they differ.
    """
    sizes = [x.shape if shape else len(x) for x in (labels, preds)]
    if sizes[0] != sizes[1]:
        raise ShapeError('labels and predictions do not fit each other', expected=sizes[0], got=sizes[1])
    return tuple([x] if wrap and not isinstance(x, list | tuple) else x for x in (labels, preds))  # type: ignore[return-value]


explain_calls(globals())
