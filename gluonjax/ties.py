"""Ties between the cells of networks: which cell stays, and which shapes fit."""

import functools
from collections.abc import Callable, Mapping

from gluonjax.binding import transformed_shape
from gluonjax.errors import TieError
from gluonjax.parameter import Parameter
from gluonjax.tree import is_complete, merge_shapes, text


def winner_of(cells: Mapping[str, Parameter]) -> Parameter:
    """Of the cells of one tied parameter, the one that stays."""
    valued = {id(cell): name for name, cell in cells.items() if cell._array is not None}
    if len(valued) > 1:
        first, second, *_ = valued.values()
        raise TieError(
            f'{first!r} and {second!r} are one parameter here, and both have values',
            remedy='use a copy (copy.deepcopy) of one of the layers, or initialize after putting them together',
        )
    return max(cells.values(), key=lambda cell: (cell._array is not None, cell._wish is not None))


def composed(first: Callable | None, second: Callable | None) -> Callable | None:
    """One transform after the other; None changes nothing."""
    if first is None or second is None:
        return first or second
    return functools.partial(_in_turn, first, second)


def _in_turn(first: Callable, second: Callable, value):
    return second(first(value))


def check_tie(target: str, shape, source: str, source_shape, transform) -> None:
    """Refuses a tie of shapes that cannot fit."""
    if transform is not None and is_complete(source_shape):
        source_shape = transformed_shape(transform, source_shape)
    elif transform is not None:
        return  # the first input will tell
    if None not in (shape, source_shape) and merge_shapes(shape, source_shape) is None:
        raise TieError(
            f'{target!r} cannot be tied to {source!r}: their shapes differ',
            expected=text(shape),
            got=text(source_shape) + (' after the transform' if transform else ''),
            remedy='give a transform=, such as jnp.transpose',
        )
