"""EvalMetric, what MXNet's metrics are: they hold what they have seen."""

import functools
from typing import Any, TypeVar

import jax
from jax.core import Tracer

from gluonjax.config import Configured
from gluonjax.errors import ArgumentError, TransformationError
from gluonjax.metric.pure import PureMetric

_Class = TypeVar('_Class', bound=type)
_REGISTRY: dict[str, type] = {}


class EvalMetric(Configured):
    """The base of all metrics, and of your own that run in Python, as in MXNet.

    Such a metric adds to `sum_metric` and to `num_inst` in its `update`, and runs on the host. One that runs on the
    device is a `PureMetric`.

    Args:
        name: what `get` calls it.
        output_names: which predictions `update_dict` takes; None for all.
        label_names: which labels `update_dict` takes; None for all.

    >>> class Bias(EvalMetric):
    ...     def update(self, labels, preds):
    ...         self.sum_metric += float((preds - labels).sum())
    ...         self.num_inst += labels.size
    >>> bias = Bias('bias')
    >>> bias.update(jax.numpy.array([1.0, 2.0]), jax.numpy.array([2.0, 4.0]))
    >>> bias.get()
    ('bias', 1.5)
    """

    def __init__(self, name, output_names=None, label_names=None):
        self.name, self.output_names, self.label_names = str(name), output_names, label_names
        self.reset()

    @property
    def definition(self) -> PureMetric:
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

    def update(self, labels, preds) -> None:
        """Takes labels and predictions in: arrays, or lists of as many arrays."""
        raise NotImplementedError(f'{type(self).__name__}.update')

    def update_dict(self, label, pred) -> None:
        """Takes in labels and predictions by name: those of `label_names` and `output_names`."""
        self.update(_chosen(label, self.label_names), _chosen(pred, self.output_names))

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

    def _all(self) -> tuple[float, int]:
        return self._earlier[0] + self.sum_metric, self._earlier[1] + self.num_inst

    def __str__(self) -> str:
        return f'EvalMetric: {dict(self.get_name_value())}'


class DeviceMetric(EvalMetric):
    """A metric with a definition. It adds up on the device: `update` waits for nothing, `get` does.

    Args:
        definition: what it computes.
        name: what `get` calls it.
        output_names: which predictions `update_dict` takes; None for all.
        label_names: which labels `update_dict` takes; None for all.
    """

    def __init__(self, definition: PureMetric, name, output_names=None, label_names=None):
        self._definition = definition
        super().__init__(name, output_names, label_names)

    @property
    def definition(self) -> PureMetric:
        return self._definition

    @property
    def state(self) -> Any:
        """What `definition`'s pure functions take and give. It can be set, such as from a compiled loop."""
        return self._definition.init() if self._state is None else self._state

    @state.setter
    def state(self, state) -> None:
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(state)):
            raise TransformationError(
                f'{self.name!r} would keep a traced value',
                remedy='inside a transformation: state = metric.definition.update(state, labels, preds)',
            )
        self._state = state

    def update(self, labels, preds, mask=None) -> None:
        """Takes labels and predictions in, in one compiled program, without waiting for them.

        Args:
            labels: an array, or a list of arrays, one for each output.
            preds: an array, or as long a list.
            mask: which samples count, of bool and of the labels' shape or of its first axes; None for all.

        Raises:
            ShapeError: for shapes that do not fit, or lists of unequal lengths; nothing is taken in.
            TransformationError: inside a transformation, where `definition.update` is the way.
        """
        definition = self._definition.for_batch(labels, preds)
        state = definition.init() if self._state is None else self._state
        self.state = _update(definition, state, labels, preds, mask)
        self._definition = definition

    def reset(self) -> None:
        self._state = self._past = None

    def reset_local(self) -> None:
        self._past, self._state = self._whole(), None

    def get(self) -> tuple[str, Any]:
        return self.name, self._value(self._state)

    def get_global(self) -> tuple[str, Any]:
        return self.name, self._value(self._whole())

    def _value(self, state) -> Any:
        return float('nan') if state is None else self._definition.result(state)

    def _whole(self) -> Any:
        seen = [state for state in (self._past, self._state) if state is not None]
        return self._definition.merge(*seen) if len(seen) == 2 else next(iter(seen), None)


@functools.partial(jax.jit, static_argnums=0)
def _update(definition: PureMetric, state, labels, preds, mask):
    """One program for each definition and shapes; equal definitions share it."""
    return definition.update(state, labels, preds, mask)


def _chosen(arrays, names) -> list:
    return list(arrays.values()) if names is None else [arrays[name] for name in names]


def _zipped(names, values) -> list[tuple[str, Any]]:
    return list(zip(names, values, strict=True)) if isinstance(names, list) else [(names, values)]


def register(cls: _Class) -> _Class:
    """Class decorator: makes a metric known to `create` by its name in lower case."""
    return alias(cls.__name__)(cls)


def alias(*names: str):
    """Class decorator: makes a metric known to `create` by further names."""

    def decorate(cls: _Class) -> _Class:
        if not isinstance(cls, type) or EvalMetric not in cls.__mro__:
            raise ArgumentError('only metrics can be registered', expected='a subclass of EvalMetric', got=repr(cls))
        _REGISTRY.update({name.lower(): cls for name in names})
        return cls

    return decorate


def named(name: str) -> type:
    """The class of metrics known by this name."""
    if name.lower() not in _REGISTRY:
        raise ArgumentError('no metric has this name', expected=f'one of {sorted(_REGISTRY)}', got=repr(name))
    return _REGISTRY[name.lower()]
