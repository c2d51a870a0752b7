"""Picture: what a network looks like now, and the programs that are made from it."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.binding import Leaf
from gluonjax.errors import ParamsError
from gluonjax.layer import Layer, compare
from gluonjax.parameter import Parameter, concrete, fulfil
from gluonjax.tree import flatten

NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Picture(NamedTuple):
    """A definition, and the cell of each leaf. Programs take the values as one flat tuple."""

    definition: Layer
    cells: tuple[Parameter, ...]
    names: tuple[str, ...]
    made: dict[Any, Any]  # what was made from this picture, and is valid as long: programs, pure functions, slices

    @property
    def entries(self) -> list[tuple[Leaf, Parameter]]:
        """Each leaf with its cell."""
        return list(zip(self.definition.leaves(), self.cells, strict=True))

    def is_complete(self) -> bool:
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
        shapes = self.definition.complete(inputs, named, known)
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
        return definition.run(dict(zip(names, values, strict=True)), inputs, named)[0]

    return forward


def _train(definition: Layer, names: tuple[str, ...]) -> Callable:
    def forward(values, key, named, *inputs):
        return definition.run(dict(zip(names, values, strict=True)), inputs, named, training=True, key=key)

    return forward
