"""Structure: what a network looks like now, and the programs that are made from it."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ParamsError, TieError
from gluonjax.layer import Layer, compare, infer_shapes, leaves_of, run_layer
from gluonjax.param import Leaf
from gluonjax.parameter import Parameter, concrete, fulfil
from gluonjax.run import transformed_shape
from gluonjax.shapes import is_known, merge_shapes, shape_text
from gluonjax.tree import flatten

NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Structure(NamedTuple):
    """A definition, and the cell of each leaf. Programs take the values as one flat tuple."""

    definition: Layer
    cells: tuple[Parameter, ...]
    names: tuple[str, ...]
    made: dict[Any, Any]  # what was made from this structure, and is valid as long: programs, pure functions, slices

    @property
    def entries(self) -> list[tuple[Leaf, Parameter]]:
        """Each leaf with its cell."""
        return list(zip(leaves_of(self.definition), self.cells, strict=True))

    def is_initialized(self) -> bool:
        """Whether every cell has a value."""
        return all(cell._array is not None for cell in self.cells)

    def values(self, drawn: Mapping[Parameter, jax.Array] = NOTHING) -> tuple[Any, ...]:
        """The cells' values, or what was drawn for them and is not committed yet."""
        return tuple(drawn.get(cell, cell._array) for cell in self.cells)

    def draw_missing(self, inputs, named, place: Callable | None = None) -> dict[Parameter, jax.Array]:
        """Completes shapes from the inputs, and draws the cells without values; sets nothing.

        `place` says where: given the leaves with their shapes, it returns shardings by name.
        """
        missing = [(leaf, cell) for leaf, cell in self.entries if cell._array is None]
        if not missing:
            return {}
        for _, cell in missing:
            if cell._wish is None:
                raise cell._missing()
        known = {leaf.name: cell.shape for leaf, cell in self.entries}
        shapes = infer_shapes(self.definition, inputs, named, known)
        leaves = [leaf._replace(shape=shapes[leaf.name]) for leaf, _ in self.entries]
        shardings = {} if place is None else place(leaves)
        return fulfil(
            {cell: (cell._wish, shapes[leaf.name]) for leaf, cell in missing},
            {cell: shardings[leaf.name] for leaf, cell in missing if leaf.name in shardings},
        )

    def checked(self, tree: Mapping[str, Any]) -> dict[str, jax.Array]:
        """The arrays of a params tree by name, if it fits the cells in names, shapes and dtypes.

        Raises:
            ParamsError: naming every difference.
        """
        values = flatten(tree)
        leaves = [leaf._replace(shape=cell.shape) for leaf, cell in self.entries]
        differences = compare(leaves, {name: np.shape(value) for name, value in values.items()})
        differences += [
            f'dtype of {leaf.name}: expected {cell.dtype}, got {jnp.result_type(values[leaf.name])}'
            for leaf, cell in self.entries
            if leaf.name in values and jnp.result_type(values[leaf.name]) != jax.dtypes.canonicalize_dtype(cell.dtype)
        ]
        if differences:
            raise ParamsError(
                'these params are not those of this network:\n  ' + '\n  '.join(differences),
                remedy='net.cast(dtype) changes the dtype of the network; net.specs(x) lists what it expects',
            )
        return {leaf.name: concrete(leaf.name, values[leaf.name], cell.dtype) for leaf, cell in self.entries}

    def commit(self, arrays: Mapping[Any, jax.Array]) -> None:
        """Sets cells, given themselves or by name."""
        by_name: dict[Any, Parameter] = dict(zip(self.names, self.cells, strict=True))
        for key, array in arrays.items():
            cell = key if isinstance(key, Parameter) else by_name[key]
            cell._commit(array)

    def inference(self, compiled: bool, drawn: Any = NOTHING, named: Any = NOTHING) -> Callable:
        """A function of the inputs by position. Inputs by name stay apart, so that calls without them are fast."""
        if named:
            return functools.partial(self._program(_infer_named, compiled), self.values(drawn), named)
        return functools.partial(self._program(_infer, compiled), self.values(drawn))

    def training(self, compiled: bool, drawn, key, named) -> Callable:
        """A function of the inputs by position, which returns the output and what was recorded, by name."""
        return functools.partial(self._program(_train, compiled), self.values(drawn), key, named)

    def frozen(self) -> Callable:
        """A function of the inputs by position, with the values of now compiled in."""
        values, infer = self.values(), _infer(self.definition, self.names)
        return jax.jit(lambda *inputs: infer(values, *inputs))

    def _program(self, kind: Callable, compiled: bool) -> Callable:
        if (kind, compiled) not in self.made:
            program = kind(self.definition, self.names)
            self.made[kind, compiled] = jax.jit(program) if compiled else program
        return self.made[kind, compiled]


def _infer(definition: Layer, names: tuple[str, ...]) -> Callable:
    named = _infer_named(definition, names)

    def forward(values, *inputs):
        return named(values, {}, *inputs)

    return forward


def _infer_named(definition: Layer, names: tuple[str, ...]) -> Callable:
    def forward(values, named, *inputs):
        return run_layer(definition, dict(zip(names, values, strict=True)), inputs, named)[0]

    return forward


def _train(definition: Layer, names: tuple[str, ...]) -> Callable:
    def forward(values, key, named, *inputs):
        return run_layer(definition, dict(zip(names, values, strict=True)), inputs, named, training=True, key=key)

    return forward


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
    if transform is not None and is_known(source_shape):
        source_shape = transformed_shape(transform, source_shape)
    elif transform is not None:
        return  # the first input will tell
    if None not in (shape, source_shape) and merge_shapes(shape, source_shape) is None:
        raise TieError(
            f'{target!r} cannot be tied to {source!r}: their shapes differ',
            expected=shape_text(shape),
            got=shape_text(source_shape) + (' after the transform' if transform else ''),
            remedy='give a transform=, such as jnp.transpose',
        )
