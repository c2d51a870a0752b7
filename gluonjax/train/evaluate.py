"""What a network says of many batches: its outputs, and the loss and metrics over them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.arrays import admit
from gluonjax.data.batching import Batches, as_arrays, opened, rows_of, whole
from gluonjax.errors import DataError
from gluonjax.layer import Layer
from gluonjax.metric import double_float
from gluonjax.metric.pure import PureMetric
from gluonjax.train.batch import Batch
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
        self.output: Callable[..., tuple[Any, Any]] = jax.jit(step.infer_carrying)
        self.measure: Callable[..., dict[str, Any]] = jax.jit(self._measured, donate_argnums=1)

    def begin(self, values: Mapping[str, Any], batch: Batch) -> dict[str, Any]:
        """The state before the first batch."""
        output = jax.eval_shape(self.step.infer, values, batch.inputs, batch.named)
        self.step.check_labels(output, batch.label)
        self.metrics = {name: metric.for_batch(batch.label, output) for name, metric in self.definitions.items()}
        metrics, carry = {name: m.init() for name, m in self.metrics.items()}, jax.tree.map(jnp.copy, self.step.carry)
        return {'loss': double_float.zero(), 'samples': double_float.zero(), 'metrics': metrics, 'carry': carry}

    def _measured(
        self, values: Mapping[str, Any], state: dict[str, Any], batch: Batch, mask: jax.Array | None
    ) -> dict[str, Any]:
        """The state after a batch."""
        output, carry = self.step.infer_carrying(values, batch.inputs, batch.named, state['carry'])
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
    rows = rows_of(data)
    if rows is None:
        raise DataError('inputs must have as many rows each', got=jax.tree.map(np.shape, data))
    if rows:
        for (batch,) in Batches(inputs_of(definition, data), batch_size=batch_size)(0):
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


def rows_on_host(output: Any, rows: int | None) -> Any:
    """The output on the host, less the padding."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:rows], output)
