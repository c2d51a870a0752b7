"""EvalMetric, what MXNet's metrics are: they hold what they have seen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
from jax.core import Tracer
from jax.typing import ArrayLike

from gluonjax.arrays import admit
from gluonjax.config import Configured
from gluonjax.errors import ArgumentError, GluonError, TransformationError
from gluonjax.lazy import entry_points
from gluonjax.metric.pure import PureMetric, Selected, aligned, selected
from gluonjax.registry import Registry

_Class = TypeVar('_Class', bound=type)
Names = Sequence[str | int] | None  # of a dict, or fields of a NamedTuple; positions in a tuple; None for all


_OF_ALL = ('name', 'output_names', 'label_names')  # arguments of every metric


@entry_points
class EvalMetric(Configured):
    """The base of all metrics, and of your own that run in Python, as in MXNet.

    Such a metric adds to `sum_metric` and to `num_inst` in its `update`, and runs on the host. One that runs on the
    device is a `PureMetric`.

    Args:
        name: what `get` calls it.
        output_names: which predictions are taken of several: names in a dict or NamedTuple, or positions in a tuple;
            None for all.
        label_names: which labels are taken of several; None for all.
        has_global_stats: accepted; `get_global` always tells of all since `reset`.
        **kwargs: what `get_config` tells beside these.

    >>> class Bias(EvalMetric):
    ...     def update(self, labels, preds):
    ...         self.sum_metric += float((preds - labels).sum())
    ...         self.num_inst += labels.size
    >>> bias = Bias('bias')
    >>> bias.update(jax.numpy.array([1.0, 2.0]), jax.numpy.array([2.0, 4.0]))
    >>> bias.get()
    ('bias', 1.5)
    """

    sum_metric: float
    num_inst: int
    _earlier: tuple[Any, int] = (0.0, 0)

    def __init__(
        self,
        name: str,
        output_names: Names = None,
        label_names: Names = None,
        has_global_stats: bool = True,
        **kwargs: Any,
    ) -> None:
        self.name: str = str(name)
        self.output_names: Names = output_names
        self.label_names: Names = label_names
        self._kwargs = kwargs
        self.reset()

    def get_config(self) -> dict[str, Any]:
        """What `create` makes an equal metric of, as JSON can hold it: its class, names and other arguments.

        Raises:
            ArgumentError: for a metric of a function.

        >>> from gluonjax import metric
        >>> metric.Accuracy(axis=-1).get_config()
        {'axis': -1, 'metric': 'Accuracy', 'name': 'accuracy', 'output_names': None, 'label_names': None}
        """
        names = [name for name in inspect.signature(type(self)).parameters if name not in _OF_ALL]
        own = {name: getattr(self, name) for name in names if hasattr(self, name)} | self._kwargs
        if functions := [name for name, value in own.items() if callable(value)]:
            raise ArgumentError(
                f'{self.name!r} has no configuration: it runs a function of Python', got=repr(own[functions[0]])
            )
        return own | {'metric': type(self).__name__} | {name: getattr(self, name) for name in _OF_ALL}

    @property
    def pure(self) -> PureMetric:
        """The stateless metric that this one runs: pure `init`, `update`, `merge` and `compute`.

        Raises:
            TransformationError: for a metric that runs on the host.
        """
        raise TransformationError(
            f'{self.name!r} runs in Python on the host and has no pure form',
            expected='a metric that JAX can trace',
            got=type(self).__name__,
            remedy='write it as a PureMetric with jax.numpy',
        )

    def update(self, labels: Any, preds: Any) -> None:
        """Takes labels and predictions in: arrays, or lists of as many arrays."""
        raise NotImplementedError(f'{type(self).__name__}.update')

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Takes in labels and predictions by name: those of `label_names` and `output_names`.

        Without these names, labels go with the predictions of the same names, if they have the same, else in turn.
        """
        self.update(*self._selected(label, pred))

    def _selected(self, labels: Any, preds: Any) -> tuple[Any, Any]:
        """The labels and predictions of `label_names` and `output_names`, in lists."""
        labels = selected('label_names', labels, self.label_names)
        return aligned(labels, selected('output_names', preds, self.output_names))

    def reset(self) -> None:
        """Forgets everything."""
        self.sum_metric, self.num_inst = 0.0, 0
        self._earlier = (0.0, 0)

    def reset_local(self) -> None:
        """Forgets what `get` tells, but not what `get_global` tells."""
        self._earlier = self._all()
        self.sum_metric, self.num_inst = 0.0, 0

    def get(self) -> tuple[Any, Any]:
        """(name, value) since the last `reset` or `reset_local`; nan if nothing was seen."""
        return self.name, self.sum_metric / self.num_inst if self.num_inst else float('nan')

    def get_global(self) -> tuple[Any, Any]:
        """(name, value) since the last `reset`."""
        total, count = self._all()
        return self.name, total / count if count else float('nan')

    def get_name_value(self) -> list[tuple[str, Any]]:
        """[(name, value)] of each metric in it, as `get`."""
        return _zipped(*self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """[(name, value)] of each metric in it, as `get_global`."""
        return _zipped(*self.get_global())

    @property
    def global_num_inst(self) -> int:
        """`num_inst` since the last `reset`. It follows by itself: what MXNet's metrics add to it is not needed."""
        return self._all()[1]

    @global_num_inst.setter
    def global_num_inst(self, value: Any) -> None: ...

    @property
    def global_sum_metric(self) -> Any:
        """`sum_metric` since the last `reset`, which follows likewise."""
        return self._all()[0]

    @global_sum_metric.setter
    def global_sum_metric(self, value: Any) -> None: ...

    def _all(self) -> tuple[Any, int]:
        return self._earlier[0] + self.sum_metric, self._earlier[1] + self.num_inst

    def __str__(self) -> str:
        return f'EvalMetric: {dict(self.get_name_value())}'


@entry_points
class DeviceMetric(EvalMetric):
    """A metric that runs a `PureMetric`. It adds up on the device: `update` waits for nothing, `get` does.

    Args:
        pure: what it computes.
        name: what `get` calls it.
        output_names: which predictions are taken of several: names in a dict or NamedTuple, or positions in a tuple;
            None for all.
        label_names: which labels are taken of several; None for all.
    """

    def __init__(
        self,
        pure: PureMetric,
        name: str,
        output_names: Names = None,
        label_names: Names = None,
    ) -> None:
        self._declared = pure  # its number of classes, say, may be unknown until the first update
        super().__init__(name, output_names, label_names)

    @property
    def pure(self) -> PureMetric:
        if self.label_names is None and self.output_names is None:
            return self._pure
        return Selected(self._pure, as_names(self.label_names), as_names(self.output_names))

    @property
    def state(self) -> Any:
        """What the functions of `pure` take and return. It can be set, such as from a compiled loop."""
        return self._pure.init() if self._state is None else self._state

    @state.setter
    def state(self, state: Any) -> None:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(state)):
            raise TransformationError(
                f'{self.name!r} would keep a traced value',
                remedy='inside a transformation: state = metric.pure.update(state, labels, preds)',
            )
        self._state = state

    @property
    def num_inst(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many samples `get` tells of, or batches in a mean over batches, as MXNet counts. It waits for them."""
        return 0 if self._state is None else self._pure.sum_and_count(self._state)[1]

    @property
    def sum_metric(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What `num_inst` divides, for a mean; for other metrics their value times `num_inst`, as in MXNet."""
        return 0.0 if self._state is None else self._pure.sum_and_count(self._state)[0]

    def update(self, labels: Any, preds: Any, mask: ArrayLike | None = None) -> None:
        """Takes labels and predictions in, in one compiled program, without waiting for them.

        Args:
            labels: an array, a list of arrays, one for each output, or a dict of arrays by name.
            preds: an array, or as long a list or dict.
            mask: which samples are valid, of bool and of the labels' shape or of its first axes; None for all.

        Raises:
            ArgumentError: for what is no array.
            ShapeError: for shapes that do not fit, or lists of unequal lengths; nothing is taken in.
            TransformationError: inside a transformation, where `pure.update` is the way.
        """
        labels, preds, mask = admit((labels, preds, mask))  # reading them is not waited for
        if any(isinstance(arrays, Mapping | tuple) for arrays in (labels, preds)):
            labels, preds = self._selected(labels, preds)
        try:
            pure = self._pure.for_batch(labels, preds)
            state = pure.init() if self._state is None else self._state
            self.state = _update(pure, state, labels, preds, mask)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            given = jax.tree.leaves((labels, preds), is_leaf=lambda leaf: leaf is None)
            if isinstance(error, GluonError):
                raise
            got = ', '.join(str(getattr(leaf, 'dtype', type(leaf).__name__)) for leaf in given)
            raise ArgumentError(f'{self.name!r} takes arrays', expected='arrays of real numbers', got=got) from error
        self._pure = pure

    def take(self, pure: PureMetric, state: Any) -> None:
        """Has the value that a compiled loop has added up.

        Args:
            pure: as `pure.for_batch` gave it to the loop.
            state: what it added up.
        """
        self._pure = pure.of if isinstance(pure, Selected) else pure
        self.state, self._past = state, None

    def reset(self) -> None:
        self._pure, self._state, self._past = self._declared, None, None

    def reset_local(self) -> None:
        self._past, self._state = self._whole(), None

    def get(self) -> tuple[str, Any]:
        return self.name, self._value(self._state)

    def get_global(self) -> tuple[str, Any]:
        return self.name, self._value(self._whole())

    def _all(self) -> tuple[Any, int]:
        state = self._whole()
        return (0.0, 0) if state is None else self._pure.sum_and_count(state)

    def _value(self, state: Any) -> Any:
        return float('nan') if state is None else self._pure.result(state)

    def _whole(self) -> Any:
        seen = [state for state in (self._past, self._state) if state is not None]
        return self._pure.merge(*seen) if len(seen) == 2 else next(iter(seen), None)


def as_names(names: Names) -> tuple[str | int, ...] | None:
    """Names of labels or outputs as a pure metric has them."""
    return None if names is None else tuple(names)


@functools.partial(jax.jit, static_argnums=0)
def _update(pure: PureMetric, state: Any, labels: Any, preds: Any, mask: Any) -> Any:
    """One program for each metric and shapes; equal ones share it."""
    return pure.update(state, labels, preds, mask)


def _zipped(names: Any, values: Any) -> list[tuple[str, Any]]:
    return list(zip(names, values, strict=True)) if isinstance(names, list) else [(names, values)]


METRICS = Registry('metric', EvalMetric)


def register(cls: _Class) -> _Class:
    """Class decorator: makes a metric known to `create` by its name in lower case."""
    return METRICS.register(cls)


def alias(*names: str) -> Callable[[_Class], _Class]:
    """Class decorator: makes a metric known to `create` by further names."""
    return METRICS.alias(*names)
