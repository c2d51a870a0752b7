"""Batches on their way to the device: how arrays are cut into them, and what fills up the last one."""

from __future__ import annotations

import collections
import copy
import functools
import inspect
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.errors import ArgumentError, DataError, DTypeError
from gluonjax.keys import as_key, next_key
from gluonjax.lazy import suggests_keywords
from gluonjax.nn import arguments


class Epochs:
    """What is gone through in epochs: iteration goes through the next one, a call through the one of a number."""

    _epoch: int = 0  # that the next iteration goes through

    def __iter__(self) -> Iterator[Any]:
        epoch, self._epoch = self._epoch, self._epoch + 1
        return self(epoch)

    def __call__(self, epoch: int) -> Iterator[Any]:
        """An epoch."""
        raise NotImplementedError


def epoch_of(data: Any, epoch: int) -> Iterator[Any]:
    """An epoch of what has such, or of any iterable."""
    return data(epoch) if isinstance(data, Epochs) else iter(data)


class Batches(Epochs):
    """Arrays cut into batches, to be gone through as often as you like; the last batch has what is left.

    `for x, y in batches` goes through the epochs 0, 1, 2 and so on; `batches(epoch)` through one of them, which is how
    `fit` and `evaluate` take them. `len(batches)` is the number of batches of an epoch.

    Args:
        *arrays: the inputs, then the labels, with as many rows each: arrays of NumPy, JAX or PyTorch, data frames, or
            pytrees of them. Nothing is copied but what a batch has.
        batch_size: the number of rows of a batch.
        shuffle: None or False for the order of the rows; an int or a JAX key for an order that depends on it and the
            epoch; True for one that depends on the next key of the library's stream, see `gluonjax.seed`.
        axis: along which the rows lie, or one axis for each of the arrays: 1 for sequences in the layout TNC.

    Raises:
        DataError: if the arrays have unequal numbers of rows, or none.
        DTypeError: for arrays of strings or objects.

    >>> batches = Batches(np.arange(5), np.arange(5) * 10, batch_size=2)
    >>> list(batches)[-1]
    (array([4]), array([40]))
    >>> shuffled = Batches(np.arange(5), batch_size=5, shuffle=0)
    >>> [x.tolist() for epoch in (0, 1, 0) for x, in shuffled(epoch)]
    [[2, 4, 3, 0, 1], [1, 4, 3, 0, 2], [2, 4, 3, 0, 1]]
    """

    @suggests_keywords
    def __init__(self, *arrays: Any, batch_size: int, shuffle: Any = None, axis: int | Sequence[int] = 0):
        self.arrays: tuple[Any, ...] = tuple(whole(part, 'array') for part in arrays)
        self.batch_size: int = checks.size('batch_size', batch_size)
        self.shuffle: list[int] | None = seed_numbers(shuffle)
        axes = arguments.axes('axis', axis)
        self.axes: tuple[int, ...] = axes * len(arrays) if len(axes) == 1 else axes
        self.rows: np.ndarray = np.arange(self._number_of_rows())

    def _number_of_rows(self) -> int:
        """How many rows all arrays have."""
        shapes, sizes = jax.tree.map(np.shape, self.arrays), set()
        if len(self.axes) != len(self.arrays):
            raise ArgumentError(f'axis must be one axis, or one for each of {len(self.arrays)} arrays, got {self.axes}')
        for part, axis in zip(self.arrays, self.axes, strict=True):
            sizes |= {leaf.shape[axis] if -leaf.ndim <= axis < leaf.ndim else 0 for leaf in jax.tree.leaves(part)}
        (rows,) = sizes if len(sizes) == 1 else (0,)
        if not rows:
            raise DataError('there are no rows to cut into batches', expected='as many in each array', got=shapes)
        return rows

    def part(self, rows: np.ndarray) -> Batches:
        """Batches of some of the rows, without a copy of the arrays."""
        part = copy.copy(self)
        part.rows = self.rows[rows]
        return part

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[tuple[Any, ...]]:
        """The batches of an epoch."""
        order = self._order(epoch)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield tuple(_rows(part, rows, axis) for part, axis in zip(self.arrays, self.axes, strict=True))

    def _order(self, epoch: int) -> np.ndarray:
        if self.shuffle is None:
            return self.rows
        checks.size('the number of an epoch', epoch, least=0)
        return np.random.default_rng([*self.shuffle, epoch]).permutation(self.rows)


batches = Batches


def whole(tree: Any, name: str) -> Any:
    """Arrays of NumPy in place of all that is an array, or a list of numbers; copied only where it must be.

    Raises:
        DataError: for lists of unequal lengths.
        DTypeError: for what has no numbers, calling it by this name.
    """
    try:
        tree = jax.tree.map(
            lambda part: np.asarray(part) if is_list_of_numbers(part) else part, tree, is_leaf=is_list_of_numbers
        )
    except ValueError as error:
        raise DataError(
            f'{name} is lists of unequal lengths', got=str(error), remedy='pad them to one length'
        ) from None
    return jax.tree.map(functools.partial(_on_host, name), admit(tree, name, copy=False))


def is_list_of_numbers(part: Any) -> bool:
    """Whether this is a list of numbers, or of such lists."""
    first = part
    while isinstance(first, list) and first:
        first = first[0]
    return isinstance(part, list) and isinstance(first, numbers.Number)


def _on_host(name: str, leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype == object:  # something else than an array, such as a sparse matrix
        raise DTypeError(f'{name} is no array of numbers', got=type(leaf).__name__, remedy='numpy.asarray(x)')
    return array


def seed_numbers(shuffle: Any) -> list[int] | None:
    """The numbers that an order is drawn from, of an int, a key, True or themselves; None for no order."""
    if shuffle is None or shuffle is False or isinstance(shuffle, list):
        return [checks.size('a number of shuffle', number, least=0) for number in shuffle or ()] or None
    if shuffle is True:
        with next_key() as shuffle:
            return seed_of(shuffle)
    if isinstance(shuffle, int | np.integer):
        return [checks.size('shuffle', shuffle, least=0)]
    return seed_of(as_key(shuffle))


def seed_of(key: jax.Array) -> list[int]:
    """The numbers of a key."""
    return np.ravel(jax.random.key_data(key)).tolist()


def _rows(part: Any, rows: np.ndarray, axis: int) -> Any:
    return jax.tree.map(lambda array: np.take(array, rows, axis) if axis else array[rows], part)


def opened(data: Any, epoch: int, name: str = 'data') -> Iterator[Any]:
    """The batches of an epoch, of an iterable, a sequence in the manner of Keras or a function of the epoch's number.

    Raises:
        ArgumentError: if this is no set of batches. Likely mistakes are named.
        DataError: if it gives single samples.
    """
    arrays = [hasattr(part, 'shape') for part in data] if isinstance(data, tuple | list) else []
    if hasattr(data, 'shape') or isinstance(data, Mapping) or (arrays and all(arrays)):
        raise ArgumentError(
            f'{name} is arrays, not batches',
            expected=_EXPECTED,
            got=jax.tree.map(np.shape, data),
            remedy='(x, y), or gluonjax.data.batches(x, y, batch_size=32, shuffle=0), cuts arrays; '
            '[(x, y)] is a single batch',
        )
    if is_sequence(data):
        return _in_turn(data, name)
    if is_function(data):
        _refuse_other_arguments(data, name)
    batches = data(epoch) if is_function(data) else data  # pyright: ignore[reportCallIssue]
    try:
        return iter(batches)
    except TypeError:
        raise ArgumentError(f'{name} is no set of batches', expected=_EXPECTED, got=type(batches).__name__) from None


_EXPECTED = 'an iterable of batches, or a function of the epoch that returns one'


def is_sequence(data: Any) -> bool:
    """Whether batches are had by number, as of Keras's `Sequence`."""
    by_number = hasattr(data, '__getitem__') and hasattr(data, '__len__')
    return by_number and (not hasattr(data, '__iter__') or hasattr(data, 'on_epoch_end'))


def _in_turn(data: Any, name: str) -> Iterator[Any]:
    for i in range(len(data)):
        batch = data[i]
        if isinstance(batch, tuple | list) and len(batch) > 1 and np.ndim(batch[-1]) == 0:
            raise DataError(
                f'{name}[{i}] is a single sample, and a batch is expected',
                got=f'a label of {batch[-1]!r}',
                remedy='gluonjax.data.DataLoader(dataset, batch_size=32) makes batches; of arrays, data.batches',
            )
        yield batch


def _refuse_other_arguments(function: Any, name: str) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # something built in, which does not say
        return
    try:
        signature.bind(0)
    except TypeError:
        raise ArgumentError(
            f'{name} cannot be called with the number of an epoch',
            expected='a function of the epoch that returns batches',
            got=f'a function of {signature}',
            remedy='lambda epoch: batches() calls what needs no number',
        ) from None


def is_function(data: Any) -> bool:
    """Whether this gives the batches of an epoch when it is called."""
    return callable(data) and (isinstance(data, Epochs) or not isinstance(data, Iterable))


def is_used_up(data: Any) -> bool:
    """Whether this is an iterator, which is used up when it was gone through."""
    return hasattr(data, '__next__')


def length_of(data: Any) -> int | None:
    """The number of batches, where it can be known beforehand."""
    try:
        return len(data)
    except TypeError:
        return None


def as_arrays(batch: Any) -> tuple[Any, ...]:
    """A batch as `trainer.step(*batch)` takes it. Tensors of other libraries, on the host, become NumPy arrays.

    >>> as_arrays([np.ones(2), np.zeros(2)])
    (array([1., 1.]), array([0., 0.]))
    """
    if type(batch) is tuple and _are_arrays(*map(type, batch)):
        return batch
    batch = admit(batch, 'batch')
    return tuple(batch) if isinstance(batch, tuple | list) else (batch,)


@functools.cache
def _are_arrays(*kinds: type) -> bool:
    return all(issubclass(kind, np.ndarray | jax.Array) for kind in kinds)


def ahead(batches: Iterable[Any], count: int, put: Callable[[Any], Any]) -> Iterator[Any]:
    """The batches, each put on its way to the device `count` batches before it is asked for."""
    held: collections.deque[Any] = collections.deque()
    for batch in batches:
        held.append(put(batch))
        if len(held) > count:
            yield held.popleft()
    yield from held


def rows_of(batch: Any, axis: int = 0) -> int | None:
    """How many samples a batch has: the size that all its arrays share along an axis; None if they do not."""
    sizes = {np.shape(leaf)[axis : axis + 1] for leaf in jax.tree.leaves(batch)}
    (rows,) = sizes.pop() if len(sizes) == 1 and () not in sizes else (None,)
    return rows


def padded(batch: Any, rows: int) -> tuple[Any, np.ndarray]:
    """The batch with its last sample repeated until there are `rows`, and which of them are valid.

    A repeated sample is a possible one, so that what is computed from it is finite.

    Raises:
        DataError: for a batch without samples.

    >>> padded(np.array([1, 2]), 4)
    (array([1, 2, 2, 2]), array([ True,  True, False, False]))
    """
    given = rows_of(batch)
    if not given:
        raise DataError(
            'a batch without samples', expected=f'{rows} samples or fewer', got=jax.tree.map(np.shape, batch)
        )
    index = np.minimum(np.arange(rows), given - 1)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], batch), np.arange(rows) < given
