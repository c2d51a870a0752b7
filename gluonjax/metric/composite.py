"""Metrics of metrics, metrics of functions, and `create`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.errors import ArgumentError
from gluonjax.lazy import entry_points, suggests_keywords
from gluonjax.metric.eval_metric import METRICS, EvalMetric, Names, alias, as_names, register
from gluonjax.metric.pure import Composite, PureMetric, Selected, pairs


@register
@alias('composite')
@entry_points
class CompositeEvalMetric(EvalMetric):
    """Several metrics of the same labels and predictions: MXNet's `CompositeEvalMetric`.

    Args:
        metrics: what `create` takes, each.
        name: its name; `get` gives those of the metrics.
        output_names, label_names: see `EvalMetric`.

    >>> from gluonjax import metric
    >>> both = metric.CompositeEvalMetric(['acc', metric.F1()])
    >>> both.update(numpy.array([0, 1, 1]), numpy.array([[0.3, 0.7], [0.0, 1.0], [0.4, 0.6]]))
    >>> both.get()
    (['accuracy', 'f1'], [0.666667, 0.8])
    """

    def __init__(
        self,
        metrics: Sequence[Any] | None = None,
        name: str = 'composite',
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if not isinstance(metrics, list | tuple | None):
            raise ArgumentError('a composite metric takes a list of metrics', got=repr(metrics))
        self.metrics: list[Any] = [create(metric) for metric in metrics or ()]
        super().__init__(name, output_names, label_names)

    def add(self, metric: Any) -> None:
        """Appends what `create` makes of `metric`."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> EvalMetric:
        """One of the metrics."""
        if not -len(self.metrics) <= index < len(self.metrics):
            raise ArgumentError('there is no such metric', expected=f'below {len(self.metrics)}', got=index)
        return self.metrics[index]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {'metrics': [metric.get_config() for metric in self.metrics]}

    @property
    def pure(self) -> Composite:
        """The pure metrics as one; states and values are tuples."""
        return Composite(tuple(self._among(metric.pure) for metric in self.metrics))

    def _among(self, pure: PureMetric) -> PureMetric:
        """A metric that looks at the labels and outputs of the composite, if it has no names of its own."""
        if isinstance(pure, Composite):
            return Composite(tuple(map(self._among, pure.of)))
        if isinstance(pure, Selected) or (self.label_names is None and self.output_names is None):
            return pure
        return Selected(pure, as_names(self.label_names), as_names(self.output_names))

    @property
    def state(self) -> tuple[Any, ...]:
        """The metrics' states."""
        return tuple(metric.state for metric in self.metrics)

    @state.setter
    def state(self, states: Sequence[Any]) -> None:
        for metric, state in zip(self.metrics, states, strict=True):
            metric.state = state

    def update(self, labels: Any, preds: Any, mask: ArrayLike | None = None) -> None:
        """Takes labels and predictions in, by each of the metrics."""
        for metric in self.metrics:
            metric.update(labels, preds, **({} if mask is None else {'mask': mask}))

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        label, pred = _among(label, self.label_names), _among(pred, self.output_names)
        for metric in self.metrics:
            metric.update_dict(label, pred)

    def reset(self) -> None:
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> tuple[list[str], list[Any]]:
        return _unzipped(pair for metric in self.metrics for pair in metric.get_name_value())

    def get_global(self) -> tuple[list[str], list[Any]]:
        return _unzipped(pair for metric in self.metrics for pair in metric.get_global_name_value())


def _among(arrays: Mapping[str, Any], names: Names) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if names is None or name in names}


def _unzipped(named_values: Iterable[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    table = list(named_values)
    return [name for name, _ in table], [value for _, value in table]


@register
class CustomMetric(EvalMetric):
    """The mean over batches of a Python function of NumPy arrays: MXNet's `CustomMetric`.

    It runs on the host: `update` waits for the arrays, and there is no pure form.

    Args:
        feval: `f(label, pred)`, which returns a value that counts once, or a tuple (sum, count).
        name: the function's, if None.
        allow_extra_outputs: whether there may be more predictions than labels, or fewer; the rest is not looked at.
        output_names, label_names: see `EvalMetric`.

    >>> mean = CustomMetric(lambda label, pred: (label + pred).mean())
    >>> mean.update(numpy.array([2.5, 0.0, 2.0, 8.0]), numpy.array([3.0, -0.5, 2.0, 7.0]))
    >>> mean.get()
    ('custom(<lambda>)', 6.0)
    """

    sum_metric: float
    num_inst: int

    def __init__(
        self,
        feval: Callable[[numpy.ndarray, numpy.ndarray], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        if not callable(feval):
            raise ArgumentError('feval must be a function f(label, pred)', got=repr(feval))
        if name is None:
            of_function = str(getattr(feval, '__name__', type(feval).__name__))
            name = of_function if '<' not in of_function else f'custom({of_function})'
        self.feval: Callable[[numpy.ndarray, numpy.ndarray], Any] = feval
        self.allow_extra_outputs: bool = checks.flag('allow_extra_outputs', allow_extra_outputs)
        super().__init__(name, output_names, label_names)

    def update(self, labels: Any, preds: Any, mask: ArrayLike | None = None) -> None:
        """Calls the function on each label and prediction; `mask` leaves samples out, rows of both."""
        if self.allow_extra_outputs and isinstance(labels, list | tuple) and isinstance(preds, list | tuple):
            count = min(len(labels), len(preds))
            labels, preds = labels[:count], preds[:count]
        rows = slice(None) if mask is None else numpy.asarray(mask)
        for label, pred in pairs(labels, preds):
            value = self.feval(*(self._rows(array, rows) for array in (label, pred)))
            total, count = value if isinstance(value, tuple) else (value, 1)
            self.sum_metric += float(total)
            self.num_inst += count

    def _rows(self, array: Any, rows: Any) -> numpy.ndarray:
        try:
            return numpy.asarray(array)[rows]
        except (ValueError, IndexError) as error:
            got = f'{array!r:.60} ({error})'
            raise ArgumentError(f'{self.name!r} takes arrays with an axis of samples', got=got) from None


@suggests_keywords
def np(numpy_feval: Callable[..., Any], name: str | None = None, allow_extra_outputs: bool = False) -> CustomMetric:
    """A `CustomMetric` of a function of NumPy arrays.

    >>> np(lambda label, pred: abs(label - pred).mean(), name='distance')
    CustomMetric(...)
    """
    return CustomMetric(numpy_feval, name, allow_extra_outputs)


def parts_of(metrics: Any) -> dict[str, tuple[EvalMetric | PureMetric, PureMetric]]:
    """Name -> metric and its pure form, for one or several metrics; of composite ones, those in them.

    Args:
        metrics: what `create` takes, or pure metrics: one, or a list.

    Raises:
        ArgumentError: for something that is no metric, or two of the same name.
    """
    found: dict[str, tuple[EvalMetric | PureMetric, PureMetric]] = {}
    for given in metrics if isinstance(metrics, list | tuple) else [metrics]:
        metric = create(given) if isinstance(given, str | Mapping | list | tuple) else given
        if not isinstance(metric, EvalMetric | PureMetric):
            raise ArgumentError('this is no metric', expected='one of gluonjax.metric, or its name', got=repr(metric))
        for name, part, pure in _parts(metric, metric.pure if isinstance(metric, EvalMetric) else metric):
            if name in found or name == 'loss':
                what = f'two metrics are called {name!r}' if name in found else "'loss' is the loss of the training"
                raise ArgumentError(what, remedy='give one of them another name=')
            found[name] = part, pure
    return found


def _parts(metric: EvalMetric | PureMetric, pure: Any) -> Iterator[tuple[str, EvalMetric | PureMetric, PureMetric]]:
    if isinstance(metric, CompositeEvalMetric):
        for part, its_pure in zip(metric.metrics, pure.of, strict=True):
            yield from _parts(part, its_pure)
    else:
        yield metric.name if isinstance(metric, EvalMetric) else type(metric).__name__.lower(), metric, pure


@suggests_keywords
def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """A metric from its name, from a function of NumPy arrays, or from a list of what this function takes.

    Args:
        metric: a name in any case, a function, a metric (given back as it is), what its `get_config` gave, or a list.
        args, kwargs: for the metric's constructor.

    Raises:
        ArgumentError: for an unknown name, or something that is none of these.

    >>> create('acc')
    Accuracy()
    >>> create(['top_k_accuracy'], top_k=3).get()
    (['top_k_accuracy_3'], [nan])
    """
    if isinstance(metric, str):
        return METRICS.create(metric, *args, **kwargs)
    if isinstance(metric, Mapping) and 'metric' in metric:
        return METRICS.create(metric['metric'], *args, **{k: v for k, v in metric.items() if k != 'metric'}, **kwargs)
    if isinstance(metric, list | tuple):
        return CompositeEvalMetric([create(one, *args, **kwargs) for one in metric])
    if isinstance(metric, EvalMetric):
        if args or kwargs:
            raise ArgumentError(
                'a metric that exists takes no arguments', got=f'{args} {kwargs}', remedy='leave them out'
            )
        return metric
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    raise ArgumentError(
        'this is no metric',
        expected='a name, a function, a metric or a list of these',
        got=repr(metric),
        remedy=_of_one_output(metric) if isinstance(metric, Mapping) else None,
    )


def _of_one_output(metrics: Mapping[str, Any]) -> str | None:
    """What to write for metrics by the names of outputs."""
    name = next(iter(metrics), None)
    return name and f'metric.Accuracy(output_names=[{name!r}], label_names=[{name!r}]) is one of an output by name'
