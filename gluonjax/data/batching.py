"""Batches on their way to the device: how arrays are cut into them, and what fills up the last one."""

import collections
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from gluonjax import checks
from gluonjax.arrays import admit
from gluonjax.errors import ArgumentError, DataError


class Batches:
    """Arrays cut into batches: a function of the number of an epoch, as `fit` and `evaluate` take it.

    The last batch has what is left.

    Args:
        *arrays: the inputs, then the labels: NumPy or JAX arrays with as many rows each.
        batch_size: the number of rows of a batch.
        shuffle: None for the order of the rows; an int or a JAX key for an order that depends on it and the epoch.

    Raises:
        DataError: if the arrays have unequal numbers of rows, or none.

    >>> batches = Batches(np.arange(5), np.arange(5) * 10, batch_size=2)
    >>> list(batches(0))[-1]
    (array([4]), array([40]))
    >>> shuffled = Batches(np.arange(5), batch_size=5, shuffle=0)
    >>> [x.tolist() for epoch in (0, 1, 0) for x, in shuffled(epoch)]
    [[2, 4, 3, 0, 1], [1, 4, 3, 0, 2], [2, 4, 3, 0, 1]]
    """

    def __init__(self, *arrays: ArrayLike, batch_size: int, shuffle: Any = None):
        self.arrays: tuple[np.ndarray, ...] = tuple(map(np.asarray, arrays))
        self.batch_size: int = checks.size('batch_size', batch_size)
        self.shuffle: Any = shuffle
        shapes = [array.shape for array in self.arrays]
        if not rows_of(self.arrays):
            raise DataError('there are no rows to cut into batches', expected='as many in each array', got=shapes)

    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // self.batch_size)

    def __call__(self, epoch: int) -> Iterator[tuple[np.ndarray, ...]]:
        """The batches of an epoch."""
        order = self._order(epoch)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield tuple(array[rows] for array in self.arrays)

    def _order(self, epoch: int) -> np.ndarray:
        rows = len(self.arrays[0])
        if self.shuffle is None:
            return np.arange(rows)
        is_key = isinstance(self.shuffle, jax.Array) and jnp.issubdtype(self.shuffle.dtype, jax.dtypes.prng_key)
        seed = np.ravel(jax.random.key_data(self.shuffle) if is_key else self.shuffle)
        return np.random.default_rng([*map(int, seed), epoch]).permutation(rows)


batches = Batches


def opened(data: Any, epoch: int, name: str = 'data') -> Iterator[Any]:
    """The batches of an epoch, of an iterable or of a function of the epoch's number.

    Raises:
        ArgumentError: if this is no set of batches. Likely mistakes are named.
    """
    arrays = [hasattr(part, 'shape') for part in data] if isinstance(data, tuple | list) else []
    if hasattr(data, 'shape') or isinstance(data, Mapping) or (arrays and all(arrays)):
        raise ArgumentError(
            f'{name} is arrays, not batches',
            expected='an iterable of batches, or a function of the epoch that returns one',
            got=jax.tree.map(np.shape, data),
            remedy='gluonjax.data.batches(x, y, batch_size=32, shuffle=0) cuts arrays; [batch] is a single batch',
        )
    if is_function(data):
        _refuse_other_arguments(data, name)
    batches = data(epoch) if is_function(data) else data  # pyright: ignore[reportCallIssue]
    try:
        return iter(batches)
    except TypeError:
        raise ArgumentError(
            f'{name} is no set of batches',
            expected='an iterable of batches, or a function of the epoch that returns one',
            got=type(batches).__name__,
        ) from None


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
    return callable(data) and not isinstance(data, Iterable)


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


def rows_of(batch: Any) -> int | None:
    """How many samples a batch has: the size that the first axes of all its arrays share; None if they do not."""
    shapes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    (rows,) = shapes.pop() if len(shapes) == 1 and () not in shapes else (None,)
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
