"""PureMetric: a stateless metric. From it come pure functions; what they pass on is a pytree of sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.config import Configured
from gluonjax.errors import ArgumentError, DTypeError, ShapeError
from gluonjax.metric import double_float

State = Any
Shapes = dict[str, tuple[int, ...]]
Sums = dict[str, double_float.Pair]


class PureMetric(Configured):
    """What a metric is, without what it has seen: immutable, hashable, equal if its fields are.

        state = pure.init()
        state = pure.update(state, labels, preds, mask=mask)    # in jit, scan, vmap, shard_map
        value = pure.compute(state)

    A metric of your own is a frozen dataclass with three methods, and runs as `EvalMetric`s do through
    `DeviceMetric(pure, name)`:

    >>> @dataclasses.dataclass(frozen=True)
    ... class Bias(PureMetric):
    ...     def shapes(self):
    ...         return {'difference': (), 'seen': ()}
    ...     def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
    ...         difference = (pred - label).ravel()
    ...         return {'difference': double_float.total(difference, where), 'seen': double_float.total(where, where)}
    ...     def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
    ...         return numbers['difference'] / numbers['seen']
    >>> bias = Bias()
    >>> state = bias.update(bias.init(), jnp.array([1.0, 2.0]), jnp.array([2.0, 4.0]))
    >>> bias.compute(state)
    Array(1.5, dtype=float32)
    """

    @property
    def valid_labels(self) -> str:
        """The labels that are taken, in words, if that is less than all."""
        return ''

    def shapes(self) -> Shapes:
        """The shape of each sum. 'seen' counts valid samples; 'invalid', if there, labels that are not allowed."""
        raise NotImplementedError

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        """The sums of one pair of arrays; `where`, flat, says which entries of the label are valid."""
        raise NotImplementedError

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        """The metric's value from the sums as numbers; `xp` is NumPy or jax.numpy."""
        raise NotImplementedError

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        """This metric with what it lacked, such as the number of classes, taken from the shapes of these."""
        return self

    def init(self) -> State:
        """The state of a metric that has seen nothing."""
        return {name: double_float.zero(shape) for name, shape in self.shapes().items()}

    def update(self, state: State, labels: Any, preds: Any, mask: ArrayLike | None = None) -> State:
        """The state after these labels and predictions.

        Args:
            state: from `init` or an earlier `update`.
            labels: an array, or a list of arrays, one for each output.
            preds: an array, or as long a list.
            mask: which samples are valid, of bool and of the labels' shape or of its first axes; None for all. The
                padding of a last batch is left out this way, and nothing compiles again.

        Raises:
            ShapeError: for shapes that do not fit, or lists of unequal lengths.
            DTypeError: for complex numbers.
        """
        for label, pred in pairs(labels, preds):
            label, pred = (None if label is None else jnp.asarray(label)), jnp.asarray(pred)
            if jnp.iscomplexobj(pred) or jnp.iscomplexobj(label):
                raise DTypeError('a metric takes real numbers', got='complex ones', remedy='jnp.abs(x), or x.real')
            where = expanded(mask, pred if label is None else label)
            state = self.merge(state, self.statistics(label, pred, where))
        return state

    def merge(self, a: State, b: State) -> State:
        """The state of a metric that has seen what two have seen."""
        return {name: double_float.add(a[name], b[name]) for name in a}

    def merge_all(self, states: State) -> State:
        """The state of all that states stacked along their leading axis have seen."""
        return jax.lax.scan(lambda a, b: (self.merge(a, b), None), self.init(), states)[0]

    def pmerge(self, state: State, axis_name: str | tuple[str, ...]) -> State:
        """The state of what all devices along a mapped axis have seen; the same on each, as `jax.lax.psum` is.

        A `psum` of the state itself would round: its leaves are pairs that carry.
        """
        size, index = jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name)

        def gathered(x: jax.Array) -> jax.Array:
            return jax.lax.psum(jnp.zeros((size, *x.shape), x.dtype).at[index].set(x), axis_name)

        return self.merge_all(jax.tree.map(gathered, state))

    def compute(self, state: State) -> Any:
        """The value, traceable; nan if nothing was seen, or if there was an invalid label."""
        value = self.score({name: double_float.value(pair) for name, pair in state.items()}, jnp)
        return jnp.where(double_float.value(state['invalid']) > 0, jnp.nan, value) if 'invalid' in state else value

    def result(self, state: State) -> Any:
        """The value as a Python float, finished in float64 on the host. This waits for the device.

        Raises:
            ArgumentError: if there was an invalid label.
        """
        numbers = {name: double_float.value(np.asarray(pair)) for name, pair in jax.device_get(state).items()}
        if numbers.get('invalid', 0) > 0:
            raise ArgumentError(
                f'{numbers["invalid"]:.0f} labels are invalid',
                expected=self.valid_labels,
                remedy='leave these samples out by mask=, or correct the labels',
            )
        with np.errstate(all='ignore'):
            value = self.score(numbers, np)
        return value.item() if np.ndim(value) == 0 else value

    def sum_and_count(self, state: State) -> tuple[Any, int]:
        """What has a quotient that is the value, and the number of samples that were seen; finished as `result`."""
        numbers = {name: double_float.value(np.asarray(pair)) for name, pair in jax.device_get(state).items()}
        total, count = numbers.get('sum', numbers.get('score')), int(numbers['seen'])
        if total is None:
            total = np.multiply(self.result(state), count) if count else 0.0
        return np.asarray(total).tolist(), count


@dataclasses.dataclass(frozen=True)
class Mean(PureMetric):
    """The mean of a value over all samples."""

    def shapes(self) -> Shapes:
        return {'sum': (), 'seen': ()}

    def values(self, label: Any, pred: jax.Array) -> jax.Array:
        """A value for each entry of the label, flat."""
        raise NotImplementedError

    def statistics(self, label: Any, pred: jax.Array, where: jax.Array) -> Sums:
        return {'sum': double_float.total(self.values(label, pred), where), 'seen': double_float.total(where, where)}

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        return ratio(numbers['sum'], numbers['seen'], xp, xp.nan)


@dataclasses.dataclass(frozen=True)
class Batchwise(PureMetric):
    """The mean over batches of another metric's value of each: MXNet's average='macro'.

    A batch without valid samples is no batch.
    """

    of: PureMetric
    fused: bool = False  # whether the arrays of a list are one batch

    @property
    def valid_labels(self) -> str:
        return self.of.valid_labels

    def shapes(self) -> Shapes:
        invalid = {name: shape for name, shape in self.of.shapes().items() if name == 'invalid'}
        return {'score': (), 'seen': (), **invalid}

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        return dataclasses.replace(self, of=self.of.for_batch(labels, preds))

    def update(self, state: State, labels: Any, preds: Any, mask: ArrayLike | None = None) -> State:
        for label, pred in [(labels, preds)] if self.fused else pairs(labels, preds):
            batch = self.of.update(self.of.init(), label, pred, mask)
            seen = double_float.value(batch['seen']) > 0
            score = double_float.total(self.of.compute(batch), seen)
            state = self.merge(state, batch | {'score': score, 'seen': double_float.total(seen, seen)})
        return state

    def score(self, numbers: dict[str, Any], xp: ModuleType) -> Any:
        return ratio(numbers['score'], numbers['seen'], xp, xp.nan)


@dataclasses.dataclass(frozen=True)
class Composite(PureMetric):
    """Several metrics of the same labels and predictions; states and values are tuples."""

    of: tuple[PureMetric, ...]

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        return Composite(tuple(metric.for_batch(labels, preds) for metric in self.of))

    def init(self) -> State:
        return tuple(metric.init() for metric in self.of)

    def update(self, state: State, labels: Any, preds: Any, mask: ArrayLike | None = None) -> State:
        return tuple(metric.update(its, labels, preds, mask) for metric, its in zip(self.of, state, strict=True))

    def merge(self, a: State, b: State) -> State:
        return tuple(metric.merge(*states) for metric, *states in zip(self.of, a, b, strict=True))

    def compute(self, state: State) -> Any:
        return tuple(metric.compute(its) for metric, its in zip(self.of, state, strict=True))

    def result(self, state: State) -> Any:
        return tuple(metric.result(its) for metric, its in zip(self.of, state, strict=True))


@dataclasses.dataclass(frozen=True)
class Selected(PureMetric):
    """Another metric of some of the labels and predictions, which are dicts, by their names; None for all."""

    of: PureMetric
    label_names: tuple[str | int, ...] | None
    output_names: tuple[str | int, ...] | None

    def for_batch(self, labels: Any, preds: Any) -> PureMetric:
        return dataclasses.replace(self, of=self.of.for_batch(*self._selected(labels, preds)))

    def init(self) -> State:
        return self.of.init()

    def update(self, state: State, labels: Any, preds: Any, mask: ArrayLike | None = None) -> State:
        return self.of.update(state, *self._selected(labels, preds), mask)

    def merge(self, a: State, b: State) -> State:
        return self.of.merge(a, b)

    def compute(self, state: State) -> Any:
        return self.of.compute(state)

    def result(self, state: State) -> Any:
        return self.of.result(state)

    def _selected(self, labels: Any, preds: Any) -> tuple[Any, Any]:
        return selected('label_names', labels, self.label_names), selected('output_names', preds, self.output_names)


def selected(argument: str, arrays: Any, names: Sequence[str | int] | None) -> Any:
    """The arrays of these names, in their order; all of them if there are no names.

    Args:
        argument: how an error calls the names.
        arrays: a dict, whose keys are meant; a NamedTuple, whose fields; or a tuple or list, whose positions.
        names: the names or positions.

    Raises:
        ArgumentError: if there are names, and not all of these arrays.
    """
    if names is None:
        return arrays
    known = _by_name(arrays)
    if any(name not in known for name in names):
        several = isinstance(arrays, Mapping | list | tuple)
        raise ArgumentError(
            f'{argument}={list(names)} selects by name',
            expected='arrays with these names: a dict, a NamedTuple, or a tuple and positions in it',
            got=list(known) if several else type(arrays).__name__,
            remedy=None if several else f'leave out {argument}',
        )
    return [known[name] for name in names]


def _by_name(arrays: Any) -> Mapping[str | int, Any]:
    if isinstance(arrays, Mapping):
        return arrays
    if not isinstance(arrays, list | tuple):
        return {}
    return {**dict(enumerate(arrays)), **dict(zip(getattr(arrays, '_fields', ()), arrays, strict=False))}


def ratio(a: Any, b: Any, xp: ModuleType, otherwise: float = 0.0) -> Any:
    """The quotient, and `otherwise` where b is 0."""
    return xp.where(b == 0, otherwise, a / xp.where(b == 0, 1, b))


def pairs(labels: Any, preds: Any) -> Iterator[tuple[Any, Any]]:
    """Each label with its prediction; an array by itself is a list of one, and of two dicts those of a key are a pair.

    Raises:
        ShapeError: if there are not as many of both.
        ArgumentError: for dicts of several arrays with other keys: JAX knows no order of them.
    """
    dicts = isinstance(labels, Mapping) and isinstance(preds, Mapping)
    if dicts and labels.keys() != preds.keys() and max(len(labels), len(preds)) > 1:
        raise ArgumentError(
            'which prediction belongs to which label?',
            expected='dicts of the same names',
            got=f'labels {sorted(labels)}, predictions {sorted(preds)}',
            remedy='label_names= and output_names= of the metric choose them',
        )
    labels, preds = aligned(labels, preds)
    if len(labels) != len(preds):
        raise ShapeError(
            'the numbers of labels and predictions differ',
            expected='one array of labels for each array of predictions',
            got=f'{len(labels)} of labels, {len(preds)} of predictions',
            remedy='a list is a list of arrays: np.asarray(labels) makes one array of a list of numbers'
            if len(labels) > len(preds)
            else 'output_names= of a metric chooses by name or position: Accuracy(output_names=[0])',
        )
    return zip(labels, preds, strict=True)


def aligned(labels: Any, preds: Any) -> tuple[Any, Any]:
    """Labels and predictions in lists; of two dicts with the same keys in the same order."""
    if isinstance(labels, Mapping) and isinstance(preds, Mapping) and labels.keys() == preds.keys():
        preds = [preds[name] for name in labels]
    return as_list(labels), as_list(preds)


def as_list(arrays: Any) -> Any:
    """The arrays of a list, a tuple or a dict; an array by itself is a list of one."""
    if isinstance(arrays, Mapping):
        return list(arrays.values())
    return arrays if isinstance(arrays, list | tuple) else [arrays]


def expanded(mask: ArrayLike | None, label: jax.Array) -> jax.Array:
    """For each entry of the label, flat, whether it is valid."""
    if mask is None:
        return jnp.ones(label.size, bool)
    mask = jnp.asarray(mask)
    if mask.dtype != bool or mask.shape != label.shape[: mask.ndim]:
        raise ShapeError(
            'the mask does not fit the labels',
            expected=f'bool, the first axes of {label.shape}',
            got=f'{mask.dtype} of shape {mask.shape}',
            remedy='a mask of shape (batch,) says of each sample whether it is valid',
        )
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (label.ndim - mask.ndim)), label.shape).ravel()


def mismatch(label: Any, pred: Any, expected: str, remedy: str | None = None) -> ShapeError:
    """The error for a label and a prediction that do not fit each other."""
    got = f'labels of shape {label.shape}, predictions of shape {pred.shape}'
    return ShapeError('labels and predictions do not fit', expected=expected, got=got, remedy=remedy)


def _other_axis(label: Any, pred: Any) -> str | None:
    """What to do where classes lie along another axis than was said."""
    fitting = [i for i in range(-1, -pred.ndim - 1, -1) if np.delete(pred.shape, i).tolist() == list(label.shape)]
    return f'metric.Accuracy(axis={fitting[0]}) takes classes along that axis' if fitting else None


def axis_of(axis: int, label: Any, pred: Any) -> int:
    """The axis of classes, counted from the front."""
    if not -pred.ndim <= axis < pred.ndim:
        raise mismatch(label, pred, f'predictions with an axis {axis} of classes, or of the shape of the labels')
    return axis % pred.ndim


def rows(axis: int, label: Any, pred: jax.Array) -> jax.Array:
    """Predictions with the classes last, one row for each entry of the label: (label.size, classes)."""
    axis = axis_of(axis, label, pred)
    if label.size * pred.shape[axis] != pred.size:
        raise mismatch(label, pred, f'one label for each entry of the predictions but for their axis {axis} of classes')
    return jnp.moveaxis(pred, axis, -1).reshape(label.size, pred.shape[axis])


def classes(label: Any, pred: jax.Array, axis: int) -> jax.Array:
    """Predicted classes, flat: the predictions themselves if shaped as the labels, else where they are largest."""
    if pred.shape != label.shape:
        axis = axis_of(axis, label, pred)
        if not pred.shape[axis]:
            raise mismatch(label, pred, f'at least one class along axis {axis}')
        if pred.size != label.size * pred.shape[axis]:
            raise mismatch(label, pred, 'one predicted class for each label', _other_axis(label, pred))
        pred = jnp.argmax(pred, axis)
    return pred.astype('int32').ravel()


def alike(label: jax.Array, pred: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both flat and of floating point, if their shapes are equal up to axes of size 1 at the end."""
    rank = max(label.ndim, pred.ndim)
    shapes = {x.shape + (1,) * (rank - x.ndim) for x in (label, pred)}
    if len(shapes) > 1:
        raise mismatch(label, pred, 'equal shapes')
    dtype = checks.at_least_float32(label.dtype, pred.dtype)
    return label.ravel().astype(dtype), pred.ravel().astype(dtype)
