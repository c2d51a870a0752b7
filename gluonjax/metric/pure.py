"""PureMetric: a stateless metric. From it come pure functions; what they pass on is a pytree of sums."""

import dataclasses
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.metric import double_float

State = Any


class PureMetric:
    """What a metric is, without what it has seen: immutable, hashable, equal if its fields are.

        state = definition.init()
        state = definition.update(state, labels, preds, mask=mask)    # in jit, scan, vmap, shard_map
        value = definition.compute(state)

    A metric of your own is a frozen dataclass with three methods, and runs as `EvalMetric`s do through
    `DeviceMetric(definition, name)`:

    >>> @dataclasses.dataclass(frozen=True)
    ... class Bias(PureMetric):
    ...     def shapes(self):
    ...         return {'difference': (), 'seen': ()}
    ...     def statistics(self, label, pred, where):
    ...         difference = (pred - label).ravel()
    ...         return {'difference': double_float.total(difference, where), 'seen': double_float.total(where, where)}
    ...     def score(self, numbers, xp):
    ...         return numbers['difference'] / numbers['seen']
    >>> bias = Bias()
    >>> state = bias.update(bias.init(), jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0]))
    >>> bias.compute(state)
    Array(1.5, dtype=float32)
    """

    labels = ''  # the labels that are taken, if that is less than all

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each sum. 'seen' counts samples; 'strays', if there, labels that are none."""
        raise NotImplementedError

    def statistics(self, label, pred, where) -> dict[str, double_float.Pair]:
        """The sums of one pair of arrays; `where`, flat, says which entries of the label count."""
        raise NotImplementedError

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        """The metric's value from the sums as numbers; `xp` is NumPy or jax.numpy."""
        raise NotImplementedError

    def for_batch(self, labels, preds) -> 'PureMetric':
        """This definition with what it lacked, such as the number of classes, taken from the shapes of these."""
        return self

    def init(self) -> State:
        """The state of a metric that has seen nothing."""
        return {name: double_float.zero(shape) for name, shape in self.shapes().items()}

    def update(self, state: State, labels, preds, mask=None) -> State:
        """The state after these labels and predictions.

        Args:
            state: from `init` or an earlier `update`.
            labels: an array, or a list of arrays, one for each output.
            preds: an array, or as long a list.
            mask: which samples count, of bool and of the labels' shape or of its first axes; None for all. The padding
                of a last batch is left out this way, and nothing compiles anew.

        Raises:
            ShapeError: for shapes that do not fit, or lists of unequal lengths.
        """
        for label, pred in pairs(labels, preds):
            label, pred = (None if label is None else jnp.asarray(label)), jnp.asarray(pred)
            where = expanded(mask, pred if label is None else label)
            state = self.merge(state, self.statistics(label, pred, where))
        return state

    def merge(self, a: State, b: State) -> State:
        """The state of a metric that has seen what two have seen."""
        return {name: double_float.add(a[name], b[name]) for name in a}

    def merge_all(self, states: State) -> State:
        """The state of all that states stacked along their leading axis have seen."""
        return jax.lax.scan(lambda a, b: (self.merge(a, b), None), self.init(), states)[0]

    def pmerge(self, state: State, axis_name) -> State:
        """The state of what all devices along a mapped axis have seen; the same on each, as `jax.lax.psum` is.

        A `psum` of the state itself would round: its leaves are pairs that carry.
        """
        size, index = jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name)

        def gathered(x):
            return jax.lax.psum(jnp.zeros((size, *x.shape), x.dtype).at[index].set(x), axis_name)

        return self.merge_all(jax.tree.map(gathered, state))

    def compute(self, state: State) -> Any:
        """The value, traceable; nan if nothing was seen, or if there was a label that cannot be."""
        value = self.score({name: double_float.value(pair) for name, pair in state.items()}, jnp)
        return jnp.where(double_float.value(state['strays']) > 0, jnp.nan, value) if 'strays' in state else value

    def result(self, state: State) -> Any:
        """The value as a Python float, finished in float64 on the host. This waits for the device.

        Raises:
            ArgumentError: if there was a label that cannot be.
        """
        numbers = {name: double_float.value(np.asarray(pair)) for name, pair in jax.device_get(state).items()}
        if numbers.get('strays', 0) > 0:
            raise ArgumentError(
                f'{numbers["strays"]:.0f} labels are none', expected=self.labels, remedy='mask=, or look at the labels'
            )
        with np.errstate(all='ignore'):
            value = self.score(numbers, np)
        return value.item() if np.ndim(value) == 0 else value


@dataclasses.dataclass(frozen=True)
class Mean(PureMetric):
    """The mean of a value over all samples."""

    def shapes(self):
        return {'sum': (), 'seen': ()}

    def values(self, label, pred) -> jax.Array:
        """A value for each entry of the label, flat."""
        raise NotImplementedError

    def statistics(self, label, pred, where):
        return {'sum': double_float.total(self.values(label, pred), where), 'seen': double_float.total(where, where)}

    def score(self, numbers, xp):
        return ratio(numbers['sum'], numbers['seen'], xp, xp.nan)


@dataclasses.dataclass(frozen=True)
class Batchwise(PureMetric):
    """The mean over batches of another metric's value of each: MXNet's average='macro'.

    A batch in which nothing counts is no batch.
    """

    of: PureMetric
    fused: bool = False  # whether the arrays of a list are one batch

    @property
    def labels(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of the other metric."""
        return self.of.labels

    def shapes(self):
        strays = {name: shape for name, shape in self.of.shapes().items() if name == 'strays'}
        return {'score': (), 'seen': (), **strays}

    def for_batch(self, labels, preds):
        return dataclasses.replace(self, of=self.of.for_batch(labels, preds))

    def update(self, state, labels, preds, mask=None):
        for label, pred in [(labels, preds)] if self.fused else pairs(labels, preds):
            batch = self.of.update(self.of.init(), label, pred, mask)
            seen = double_float.value(batch['seen']) > 0
            score = double_float.total(self.of.compute(batch), seen)
            news = batch | {'score': score, 'seen': double_float.total(seen, seen)}
            state = self.merge(state, news)
        return state

    def score(self, numbers, xp):
        return ratio(numbers['score'], numbers['seen'], xp, xp.nan)


@dataclasses.dataclass(frozen=True)
class Composite(PureMetric):
    """Several metrics of the same labels and predictions; states and values are tuples."""

    of: tuple[PureMetric, ...]

    def for_batch(self, labels, preds):
        return Composite(tuple(metric.for_batch(labels, preds) for metric in self.of))

    def init(self):
        return tuple(metric.init() for metric in self.of)

    def update(self, state, labels, preds, mask=None):
        return tuple(metric.update(its, labels, preds, mask) for metric, its in zip(self.of, state, strict=True))

    def merge(self, a, b):
        return tuple(metric.merge(*states) for metric, *states in zip(self.of, a, b, strict=True))

    def compute(self, state):
        return tuple(metric.compute(its) for metric, its in zip(self.of, state, strict=True))

    def result(self, state):
        return tuple(metric.result(its) for metric, its in zip(self.of, state, strict=True))


def ratio(a, b, xp: ModuleType, otherwise: float = 0.0):
    """The quotient, and `otherwise` where b is 0."""
    return xp.where(b == 0, otherwise, a / xp.where(b == 0, 1, b))


def pairs(labels, preds) -> Iterator[tuple[Any, Any]]:
    """Each label with its prediction; an array by itself is a list of one."""
    labels, preds = ([x] if not isinstance(x, list | tuple) else x for x in (labels, preds))
    if len(labels) != len(preds):
        raise ShapeError(
            'the numbers of labels and predictions differ',
            expected='one array of labels for each array of predictions',
            got=f'{len(labels)} of labels, {len(preds)} of predictions',
            remedy='a list is a list of arrays: np.asarray(labels) makes one array of a list of numbers',
        )
    return zip(labels, preds, strict=True)


def expanded(mask, label) -> jax.Array:
    """For each entry of the label, flat, whether it counts."""
    if mask is None:
        return jnp.ones(label.size, bool)
    mask = jnp.asarray(mask)
    if mask.dtype != bool or mask.shape != label.shape[: mask.ndim]:
        raise ShapeError(
            'the mask does not fit the labels',
            expected=f'bool, the first axes of {label.shape}',
            got=f'{mask.dtype} of shape {mask.shape}',
            remedy='a mask of shape (batch,) says of each sample whether it counts',
        )
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (label.ndim - mask.ndim)), label.shape).ravel()


def mismatch(label, pred, expected: str) -> ShapeError:
    """The error for a label and a prediction that do not fit each other."""
    return ShapeError(
        'labels and predictions do not fit',
        expected=expected,
        got=f'labels of shape {label.shape}, predictions of shape {pred.shape}',
    )


def axis_of(axis: int, label, pred) -> int:
    """The axis of classes, counted from the front."""
    if not -pred.ndim <= axis < pred.ndim:
        raise mismatch(label, pred, f'predictions with an axis {axis} of classes, or of the shape of the labels')
    return axis % pred.ndim


def rows(axis: int, label, pred) -> jax.Array:
    """Predictions with the classes last, one row for each entry of the label: (label.size, classes)."""
    axis = axis_of(axis, label, pred)
    if label.size * pred.shape[axis] != pred.size:
        raise mismatch(label, pred, f'one label for each entry of the predictions but for their axis {axis} of classes')
    return jnp.moveaxis(pred, axis, -1).reshape(label.size, pred.shape[axis])


def classes(label, pred, axis: int) -> jax.Array:
    """Predicted classes, flat: the predictions themselves if shaped as the labels, else where they are largest."""
    if pred.shape != label.shape:
        axis = axis_of(axis, label, pred)
        if not pred.shape[axis]:
            raise mismatch(label, pred, f'at least one class along axis {axis}')
        pred = jnp.argmax(pred, axis)
        if pred.size != label.size:
            raise mismatch(label, pred, 'one predicted class for each label')
    return pred.astype('int32').ravel()


def alike(label, pred) -> tuple[jax.Array, jax.Array]:
    """Both flat and of floating point, if their shapes are equal up to axes of size 1 at the end."""
    rank = max(label.ndim, pred.ndim)
    shapes = {x.shape + (1,) * (rank - x.ndim) for x in (label, pred)}
    if len(shapes) > 1:
        raise mismatch(label, pred, 'equal shapes')
    dtype = jnp.result_type(label, pred, 'float32')
    return label.ravel().astype(dtype), pred.ravel().astype(dtype)
