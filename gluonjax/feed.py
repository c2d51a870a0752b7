"""Batches on their way to the device: how many samples, and what fills up the last one."""

from typing import Any

import jax
import numpy as np

from gluonjax.errors import DataError


def rows_of(batch) -> int | None:
    """How many samples a batch has: the size that the first axes of all its arrays share; None if they do not."""
    shapes = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(batch)}
    (rows,) = shapes.pop() if len(shapes) == 1 and () not in shapes else (None,)
    return rows


def padded(batch, rows: int) -> tuple[Any, np.ndarray]:
    """The batch with its last sample repeated until there are `rows`, and which of them count.

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
