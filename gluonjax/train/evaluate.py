"""What a network says of many batches: its outputs, and the loss and metrics over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.arrays import admit
from gluonjax.data.batching import Batches, as_arrays, opened, rows_of, whole
from gluonjax.errors import DataError
from gluonjax.layer import Layer
from gluonjax.metric import DeviceMetric, double_float
from gluonjax.metric.composite import parts_of
from gluonjax.metric.pure import PureMetric
from gluonjax.train.axes import UNKNOWN, axes_of_outputs, axis_of_inputs, joined
from gluonjax.train.batch import Batch, check_arrays
from gluonjax.train.samples import inputs_of, is_whole
from gluonjax.train.step import TrainStep, pure_metrics


class Inference:
    """A network's inference, compiled: its output, and what the loss and metrics say of it.

    Args:
        step: of which the layer, the loss and the precision are taken.
        metrics: the metrics.
    """

    def __init__(self, step: TrainStep, metrics: Any):
        self.step: TrainStep = step
        self.definitions: dict[str, PureMetric] = pure_metrics(metrics)
        self.metrics: dict[str, PureMetric] = {}  # the definitions, completed by the first batch
        self._axes: dict[Any, Any] = {}  # of samples in the outputs, by the shapes of the inputs
        self.output: Callable[..., tuple[Any, Any]] = jax.jit(step.infer_carrying)
        self.measure: Callable[..., dict[str, Any]] = jax.jit(self._measured, donate_argnums=1)

    def begin(self, values: Mapping[str, Any], batch: Batch) -> dict[str, Any]:
        """The state before the first batch."""
        output, _ = jax.eval_shape(self.output, values, batch.inputs, batch.named, self.step.carry)
        self.step.check_labels(output, batch.label)
        self.metrics = {name: metric.for_batch(batch.label, output) for name, metric in self.definitions.items()}
        metrics, carry = {name: m.init() for name, m in self.metrics.items()}, jax.tree.map(jnp.copy, self.step.carry)
        return {'loss': double_float.zero(), 'samples': double_float.zero(), 'metrics': metrics, 'carry': carry}

    def _measured(
        self, values: Mapping[str, Any], state: dict[str, Any], batch: Batch, mask: jax.Array | None
    ) -> dict[str, Any]:
        """The state after a batch."""
        output, carry = self.output(values, batch.inputs, batch.named, state['carry'])
        losses = self.step.losses(output, batch.label)
        valid = jnp.ones(losses.shape, bool) if mask is None else mask
        metrics = {
            name: m.update(state['metrics'][name], batch.label, output, mask) for name, m in self.metrics.items()
        }
        return {
            'loss': double_float.add(state['loss'], double_float.total(losses, valid)),
            'samples': double_float.add(state['samples'], double_float.total(valid, valid)),
            'metrics': metrics,
            'carry': carry,
        }

    def joined(self, values: Mapping[str, Any], batch: Any, outputs: Sequence[Any], rows: Sequence[int | None]) -> Any:
        """The outputs of some batches as one, each less its padding; `batch` is the inputs of the first one.

        Raises:
            DataError: naming an output that cannot be joined.
        """
        padding = any(n is not None and n != rows_of(batch) for n in rows)
        if len(outputs) == 1 and not padding:
            return outputs[0]
        return joined(outputs, rows, self._axes_of(values, batch, outputs[0]))

    def _axes_of(self, values: Mapping[str, Any], batch: Any, output: Any) -> Any:
        """The axis of samples in each output."""
        leaves, structure = jax.tree.flatten(batch)
        kind = structure, *((leaf.shape, str(leaf.dtype)) for leaf in leaves)
        if kind not in self._axes:
            axis = axis_of_inputs(self.step.layer, batch)
            size = None if axis is None else rows_of(batch, axis)
            if axis is None or size is None:
                return jax.tree.map(lambda leaf: UNKNOWN, output)
            self._axes[kind] = axes_of_outputs(lambda batch: self.step.infer(values, *batch), batch, axis, size)
        return self._axes[kind]

    def tell(self, metrics: Any, state: Mapping[str, Any]) -> None:
        """Has metric objects that were given tell what the results are."""
        for name, (metric, _) in parts_of(metrics or ()).items():
            if isinstance(metric, DeviceMetric):
                metric.take(self.metrics[name], jax.device_get(state['metrics'][name]))

    def results(self, state: dict[str, Any]) -> dict[str, Any]:
        """The numbers: the mean loss, and the metrics; waits for the device."""
        state = jax.device_get(state)
        loss = float(double_float.value(state['loss']) / double_float.value(state['samples']))
        return {'loss': loss, **{name: plain(m.result(state['metrics'][name])) for name, m in self.metrics.items()}}


def plain(value: Any) -> Any:
    """A metric's value as JSON gives it back: numbers of Python, in lists where there are several."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return (
        {name: plain(part) for name, part in value.items()} if isinstance(value, dict) else np.asarray(value).tolist()
    )


def batches_of_inputs(
    definition: Layer, data: Any, batch_size: int, count: tuple[int, int] | None
) -> Iterator[tuple[Sequence[Any], dict[str, Any]]]:
    """Inputs by position and by name, batch by batch; labels are left out.

    Args:
        definition: of the network.
        data: as for `Trainer.predict`.
        batch_size: the number of rows of a batch that arrays are cut into.
        count: how many inputs by position the network takes at least and at most, if that is known; where an optional
            one may be meant or the label, it is the label.
    """
    if is_whole(data):
        yield from _cut_inputs(definition, data, batch_size, count)
        return
    for given in _opened(data):
        batch = admit(as_arrays(given), 'data')
        check_arrays(batch)
        if isinstance(batch[0], dict):
            yield (), _without_label(batch[0])
        else:
            yield _without_labels(batch, count), {}


def _cut_inputs(
    definition: Layer, data: Any, batch_size: int, count: tuple[int, int] | None
) -> Iterator[tuple[Sequence[Any], dict[str, Any]]]:
    data = whole(_without_label(data) if isinstance(data, Mapping) else data, 'data')
    if isinstance(data, tuple):
        data = _without_labels(data, count)
    inputs = inputs_of(definition, data)
    axis = axis_of_inputs(definition, inputs)
    if axis is None:
        raise DataError('inputs must have as many rows each', got=jax.tree.map(np.shape, data))
    if rows_of(inputs, axis):
        for (batch,) in Batches(inputs, batch_size=batch_size, axis=axis)(0):
            yield batch


def _without_label(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != 'label'}


def _without_labels(batch: tuple[Any, ...], count: tuple[int, int] | None) -> tuple[Any, ...]:
    return batch if count is None or len(batch) <= count[0] else batch[: min(len(batch) - 1, count[1])]


def _opened(data: Any) -> Iterator[Any]:
    """The batches of inputs, of an iterable or a function of the epoch; an array alone is a batch here."""
    if isinstance(data, list) and data and all(hasattr(part, 'shape') for part in data):
        return iter(data)
    return opened(data, 0)


def on_host(output: Any) -> Any:
    """The output on the host."""
    return jax.tree.map(np.asarray, output)
