"""Samples: whole arrays, as fit, evaluate and predict take them beside batches, and how they are cut into batches."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from gluonjax import checks
from gluonjax.data.batching import Batches, is_list_of_numbers, rows_of, whole
from gluonjax.errors import ArgumentError, DataError
from gluonjax.layer import Layer
from gluonjax.run import forward_class
from gluonjax.train.axes import axis_of_inputs


class Taken(NamedTuple):
    """What a network takes.

    Attributes:
        definition: of the network.
        label_axis: the axis of samples in labels.
    """

    definition: Layer
    label_axis: int = 0


def is_whole(x: Any, y: Any = None) -> bool:
    """Whether these are whole arrays, to be cut into batches; else they are batches.

    An array, a list of numbers, a data frame, a dict of arrays, or a tuple with an array in it; where there are labels,
    a list of arrays too.

    >>> is_whole(np.ones(3)), is_whole((np.ones(3), np.ones(3))), is_whole([(np.ones(3), np.ones(3))])
    (True, True, False)
    """
    if isinstance(x, tuple):
        return any(map(_is_array, x)) or _is_array(y)
    return _is_array(x) or isinstance(x, Mapping) or (isinstance(x, list) and y is not None and all(map(_is_array, x)))


def _is_array(part: Any) -> bool:
    return hasattr(part, 'shape') or is_list_of_numbers(part)


def training_and_validation(
    network: Taken, x: Any, y: Any, validation: Any, batch_size: int | None, shuffle: bool | None, seed: list[int]
) -> tuple[Any, Any]:
    """The batches to train on and to validate with: those that were given, or arrays cut into batches.

    Args:
        network: what it takes.
        x: inputs, or batches.
        y: labels; or batches of the validation, where `x` is batches.
        validation: batches, inputs and labels, or a fraction of the samples; None for none.
        batch_size: the number of rows of a batch.
        shuffle: whether rows are trained on in an order that the seed and the epoch decide; None is True.
        seed: numbers that orders are drawn from.
    """
    size = 32 if batch_size is None else batch_size
    if is_whole(x, y):
        train = cut(network, x, y, size)
        train.shuffle = seed if shuffle is None or checks.flag('shuffle', shuffle) else None
        if isinstance(validation, numbers.Real):
            return _split(train, validation, train.shuffle)
        if isinstance(validation, tuple) and jax.tree.structure(validation) == jax.tree.structure((x, y)):
            return train, cut(network, validation[0], validation[1], size, 'validation')
    else:
        train, validation = x, _validation_of_batches(y, validation)
        if shuffle is not None or (batch_size is not None and not is_whole(validation)):
            raise ArgumentError(
                'batch_size= and shuffle= cut arrays into batches, and these are batches',
                got=type(x).__name__,
                remedy='trainer.fit(x, y, batch_size=32) takes arrays',
            )
    return train, cut_pair(network, validation, size, 'validation') if is_whole(validation) else validation


def evaluation_data(network: Taken, x: Any, y: Any, batch_size: int | None) -> Any:
    """The batches to evaluate: those that were given, or arrays cut into batches of 256 rows by default."""
    if is_whole(x, y):
        return cut(network, x, y, 256 if batch_size is None else batch_size)
    if y is not None or batch_size is not None:
        raise ArgumentError(
            'labels and batch_size= go with arrays, and these are batches',
            got=type(x).__name__,
            remedy='trainer.evaluate(x, y, batch_size=256), trainer.evaluate(batches, metrics=[...])',
        )
    return x


def _validation_of_batches(y: Any, validation: Any) -> Any:
    """The validation where the training data is batches, and so has the labels."""
    if y is not None and (validation is not None or _is_array(y)):
        raise ArgumentError(
            'y= is the labels of arrays, and the training data is batches, which have theirs',
            got=np.shape(y) if hasattr(y, 'shape') else type(y).__name__,
            remedy='trainer.fit(batches, validation=...), or trainer.fit(x, y)',
        )
    validation = validation if y is None else y
    if isinstance(validation, numbers.Real):
        raise ArgumentError(
            'only arrays can be split into samples for training and for validation',
            got=f'validation={validation}, and batches',
            remedy='trainer.fit(x, y, validation=0.1), or validation=batches',
        )
    return validation


def _split(samples: Batches, fraction: Any, seed: list[int] | None) -> tuple[Batches, Batches]:
    """The samples without a fraction of them, and that fraction: drawn, or the last ones without a seed."""
    if isinstance(fraction, bool) or not 0 < fraction < 1:
        raise ArgumentError(
            f'the fraction of samples for the validation must be a number > 0 and < 1, got {fraction!r}',
            remedy='validation=0.1, validation=(x, y), or batches',
        )
    rows = len(samples.rows)
    count = round(rows * float(fraction))
    if not 0 < count < rows:
        raise DataError(
            f'of {rows} samples, a fraction of {fraction} is {count}',
            expected='some to train on, and some to validate with',
        )
    order = np.arange(rows)
    if seed is not None:  # another stream than those of the epochs, and the same in each fit
        order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))).permutation(rows)
    validation = samples.part(np.sort(order[rows - count :]))
    validation.shuffle = None
    return samples.part(np.sort(order[: rows - count])), validation


def cut_pair(network: Taken, data: Any, batch_size: int, name: str) -> Batches:
    """As `cut`, of `(*inputs, labels)`, or a dict of inputs by name with 'label' among them."""
    if isinstance(data, tuple) and len(data) > 1:
        return cut(network, data[0] if len(data) == 2 else data[:-1], data[-1], batch_size, name)
    return cut(network, data, None, batch_size, name)


def cut(network: Taken, x: Any, y: Any, batch_size: int, name: str = '') -> Batches:
    """The batches of inputs and labels, in their order.

    Args:
        network: what it takes decides whether a dict or a tuple is several inputs, and where samples lie.
        x: inputs, with the label among them if there is no `y`.
        y: labels; None if they are in `x`.
        batch_size: the number of rows of a batch.
        name: what errors call them.

    Raises:
        ArgumentError: without labels.
        DataError: for unequal numbers of rows, or none.
    """
    if y is None and isinstance(x, tuple) and len(x) > 1:
        return cut_pair(network, x, batch_size, name)
    if y is None and isinstance(x, Mapping) and 'label' in x:
        x, y = {name: value for name, value in x.items() if name != 'label'}, x['label']
    if y is None:
        raise ArgumentError(
            f'{name or "the data"} is arrays without labels, and not batches',
            expected='inputs and labels, or an iterable of batches',
            got=shapes_of(x),
            remedy='trainer.fit(x, y); [(x, y)] is a single batch, and trainer.fit(x, x) trains an autoencoder',
        )
    x, y = whole(x, f'{name} x'.strip()), whole(y, f'{name} y'.strip())
    inputs, named = inputs_of(network.definition, x)
    axis = axis_of_inputs(network.definition, (inputs, named))
    rows = None if axis is None else rows_of(x, axis)
    if axis is None or not rows or rows != rows_of(y, network.label_axis):
        raise DataError(
            f'{f"{name}: " * bool(name)}x and y must have as many rows each, and at least one',
            expected=f'samples along axis {axis or 0} of x, and axis {network.label_axis} of y',
            got=f'x of shape {shapes_of(x)}, y of shape {shapes_of(y)}',
            remedy='gluonjax.data.batches(x, y, batch_size=32, axis=(1, 0)) cuts along other axes',
        )
    if named and axis != network.label_axis:
        raise ArgumentError(
            'inputs by name that have samples along another axis than the labels cannot be cut',
            got=f'axes {axis} and {network.label_axis}',
            remedy='give batches, {"x": ..., "label": ...}',
        )
    if named:
        return Batches({**named, 'label': y}, batch_size=batch_size, axis=axis)
    return Batches(*inputs, y, batch_size=batch_size, axis=(*[axis] * len(inputs), network.label_axis))


def shapes_of(tree: Any) -> Any:
    """The shapes of arrays, in the tree in which they are."""
    return jax.tree.map(np.shape, tree)


def inputs_of(definition: Layer, x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs by position and by name.

    A dict is inputs by name if `forward` has such arguments, and one input otherwise; a tuple or a list is several
    inputs if `forward` takes as many, and one otherwise.

    >>> from gluonjax import nn
    >>> inputs_of(nn.MultiHeadAttention(8, 2), ('query', 'key', 'value'))
    (('query', 'key', 'value'), {})
    >>> inputs_of(nn.Dense(3), {'x': 1})
    ((), {'x': 1})
    """
    if isinstance(x, Mapping):
        arguments = inspect.signature(forward_class(definition).forward).parameters
        any_name = len(x) == 1 and any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values())
        return ((), dict(x)) if any_name or set(x) <= set(arguments) else ((x,), {})
    if isinstance(x, tuple | list):
        count = number_of_inputs(definition)
        return (tuple(x), {}) if count is None or len(x) <= count[1] else ((x,), {})
    return (x,), {}


def number_of_inputs(definition: Layer) -> tuple[int, int] | None:
    """How many inputs `forward` takes at least and at most, if that is known; containers as their first layer."""
    arguments = list(inspect.signature(forward_class(definition).forward).parameters.values())[1:]
    if any(argument.kind is argument.VAR_POSITIONAL for argument in arguments):
        first = next((value for value in vars(definition).values() if isinstance(value, Layer)), None)
        return None if first is None else number_of_inputs(first)
    needed = sum(argument.default is argument.empty for argument in arguments)
    return max(needed, 1), len(arguments)
