"""Structure: a network's definition with the Parameter of each leaf, as it is now, and the programs made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from gluonjax.arrays import packed
from gluonjax.layer import Layer, infer_shapes, leaves_of, run_layer
from gluonjax.lazy import above
from gluonjax.param import Leaf
from gluonjax.parameter import Parameter, draw_deferred
from gluonjax.ref import Values, read

INPUTS = 'inputs'  # in `Structure.programs`: shapes and dtypes, where inference was last compiled


class Structure(NamedTuple):
    """A definition, and the Parameter of each leaf. Programs take the values as one flat tuple."""

    definition: Layer
    parameters: tuple[Parameter, ...]
    names: tuple[str, ...]
    made: dict[Any, Any]  # what was made from this structure, and is valid as long: pure functions, slices, programs
    programs: dict[Any, Any]  # for inference, which does not depend on what is trained

    @property
    def entries(self) -> list[tuple[Leaf, Parameter]]:
        """Each leaf with its Parameter."""
        return list(zip(leaves_of(self.definition), self.parameters, strict=True))

    def parameters_by_name(self) -> dict[str, Parameter]:
        """The Parameter of each leaf."""
        return dict(zip(self.names, self.parameters, strict=True))

    def is_initialized(self) -> bool:
        """Whether every Parameter has a value."""
        return all(value is not None for value in read(self.parameters))

    def values(self, drawn: Mapping[Parameter, jax.Array] | None = None) -> Values:
        """The values, or what was drawn for them and is not committed yet."""
        now = read(self.parameters)
        return tuple(drawn.get(p, value) for p, value in zip(self.parameters, now, strict=True)) if drawn else now

    def draw_missing(
        self, inputs: Sequence[Any], named: Mapping[str, Any], place: Callable[..., Mapping[str, Any]] | None = None
    ) -> dict[Parameter, jax.Array]:
        """Infers shapes from the inputs, and draws the values that are missing; sets nothing.

        Args:
            inputs: the inputs by position.
            named: the inputs by name.
            place: given the leaves with their shapes, returns shardings by name; None draws on the default device.

        Raises:
            UninitializedError: for a Parameter that was never asked to initialize.
            ShapeError: if the inputs do not decide a shape.
        """
        missing = [(leaf, parameter) for leaf, parameter in self.entries if parameter.current is None]
        if not missing:
            return {}
        deferred = {parameter: parameter.deferred_or_error() for _, parameter in missing}
        shapes = infer_shapes(self.definition, inputs, named, {leaf.name: p.shape for leaf, p in self.entries})
        shardings = place([leaf._replace(shape=shapes[leaf.name]) for leaf, _ in self.entries]) if place else {}
        return draw_deferred(
            {parameter: (deferred[parameter], shapes[leaf.name]) for leaf, parameter in missing},
            {parameter: shardings[leaf.name] for leaf, parameter in missing if leaf.name in shardings},
        )

    def by_name(self, arrays: Mapping[str, jax.Array]) -> dict[Parameter, jax.Array]:
        """Arrays by Parameter, given by name."""
        return {p: arrays[name] for name, p in self.parameters_by_name().items() if name in arrays}

    # Programs.

    def inference(self) -> Callable[..., Any]:
        """A compiled function of the values, and then the inputs, each by position, arrays only: the output."""
        if 'inference' not in self.programs:
            self.programs['inference'] = jax.jit(_inference(self.definition, self.names, self.programs))
        return self.programs['inference']

    def program(self, training: bool) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
        """A compiled function of what is static in the arguments, the values, a key or None, and the arrays in them.

        It returns the output, and what was recorded in training.
        """
        made = self.made if training else self.programs
        if training not in made:
            made[training] = jax.jit(_program(self.definition, self.names, training), static_argnums=0)
        return made[training]


def _inference(definition: Layer, names: tuple[str, ...], called: dict[Any, Any]) -> Callable[..., Any]:
    def forward(*given):
        called[INPUTS] = jax.tree.map(jax.typeof, given[len(names) :])
        return packed(run_layer(definition, dict(zip(names, given, strict=False)), given[len(names) :], {})[0])

    return forward


def _program(definition: Layer, names: tuple[str, ...], training: bool) -> Callable[..., tuple[Any, dict[str, Any]]]:
    def forward(static, values, key, arrays):
        values = dict(zip(names, values, strict=True))
        output, recorded = run_layer(definition, values, *static.join(arrays), training=training, key=key)
        return packed(output), recorded if training else {}

    return forward


# Ties between Parameters.


def winner_of(parameters: Mapping[str, Parameter]) -> Parameter:
    """Of the Parameters of one tied parameter, the one that stays."""
    valued = {id(parameter): name for name, parameter in parameters.items() if parameter.current is not None}
    if len(valued) > 1:
        first, second, *_ = valued.values()
        raise above.messages.two_values(first, second)
    return max(parameters.values(), key=lambda p: (p.current is not None, p.deferred is not None))
