"""Other dtypes for the parameters of layers and networks."""

import dataclasses
from typing import Any, TypeVar

import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax import parameter as parameters
from gluonjax.block import Block, structure_of
from gluonjax.layer import Layer, leaves_of, map_nodes, with_fields
from gluonjax.lazy import suggests_keywords
from gluonjax.param import Param

_Layer = TypeVar('_Layer', bound=Layer)


def cast_definition(layer: _Layer, dtype: DTypeLike) -> _Layer:
    """A copy whose floating-point parameters have this dtype; it is the same layer as far as ties go."""

    def change(value: Layer | Param) -> Any:
        if isinstance(value, Layer):
            return value.cast(dtype)
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        return dataclasses.replace(value, dtype=dtype) if floating else value

    return with_fields(layer, {name: map_nodes(change, value) for name, value in vars(layer).items()})


cast_definition.__name__ = 'cast'  # so errors call it


@suggests_keywords
def cast(net: Block, dtype: DTypeLike) -> None:
    """Changes the dtype of the floating-point parameters and their values."""
    with parameters.LOCK:
        parameters.check_dtype(dtype)
        structure = structure_of(net)
        for parameter in structure.parameters:
            parameter.check_not_donated()  # before anything is changed
        for parameter, leaf in zip(structure.parameters, leaves_of(structure.definition.cast(dtype)), strict=True):
            if parameter.dtype != leaf.param.dtype:
                parameter.cast(leaf.param.dtype)
