"""Other dtypes for the parameters of layers and networks: what `cast` does."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax.block import Block, structure_of
from gluonjax.contents import map_nodes
from gluonjax.errors import DTypeError
from gluonjax.layer import Layer, leaves_of, with_fields
from gluonjax.lazy import suggests_keywords
from gluonjax.param import Param, Token
from gluonjax.parameter import LOCK, Parameter, commit, concrete

_Layer = TypeVar('_Layer', bound=Layer)


def cast_definition(layer: _Layer, dtype: DTypeLike) -> _Layer:
    """A copy whose floating-point parameters have this dtype; it is the same layer as far as ties go."""

    def change(value: Layer | Param) -> Any:
        if isinstance(value, Layer):
            return value.cast(dtype)
        floating = jnp.issubdtype(value.dtype, jnp.floating)
        return dataclasses.replace(value, dtype=dtype) if floating else value

    return with_fields(layer, {name: map_nodes(change, value) for name, value in vars(layer).items()})


@suggests_keywords
def cast(net: Block, dtype: DTypeLike) -> None:
    """Changes the dtype of the floating-point parameters and their values."""
    with LOCK:
        check_dtype(dtype)
        structure = structure_of(net)
        for parameter in structure.parameters:
            parameter.check_not_donated()  # before anything is changed
        for parameter, leaf in zip(structure.parameters, leaves_of(structure.definition.cast(dtype)), strict=True):
            if parameter.dtype != leaf.param.dtype:
                parameter.cast(leaf.param.dtype)


def cast_parameter(parameter: Parameter, dtype: DTypeLike) -> None:
    """Changes the dtype, and that of the value."""
    check_dtype(dtype)
    with LOCK:
        declared = dataclasses.replace(parameter.declared, dtype=dtype)
        array = None if parameter.current is None else concrete(parameter.name, parameter.data(), declared.dtype)
        parameter.declare(dtype=dtype)
        if array is not None:
            commit({parameter: array})


def in_precision(tree: Any, dtype: DTypeLike) -> Any:
    """The tree with its floating-point arrays in another precision; float64, and what is no array, stay as they are."""

    def cast(leaf: Any) -> Any:
        given = getattr(leaf, 'dtype', None)
        narrow = given not in (None, dtype) and jnp.issubdtype(given, jnp.floating) and given != jnp.float64
        return jax.lax.convert_element_type(leaf, dtype) if narrow else leaf

    return jax.tree.map(cast, tree)


class NewStatisticsError(BaseException):
    """A parameter that was read in the precision of a pass turned out to be set by `forward`; the pass begins again."""


_STATISTICS: weakref.WeakSet[Token] = weakref.WeakSet()  # of Params that `forward` was seen to set
_Result = TypeVar('_Result')


def read_in_precision(param: Param, value: Any, dtype: DTypeLike) -> Any:
    """A parameter as `forward` reads it under `precision=`: statistics, and what is to, keep their dtype."""
    sets = not (param.trainable or param.frozen) and param.token in _STATISTICS
    return value if param.keep_dtype or sets else in_precision(value, dtype)


def note_statistics(param: Param, precision: DTypeLike | None) -> None:
    """Notes that `forward` sets this parameter, in a pass in this precision.

    Raises:
        NewStatisticsError: if that was not known, and it may have been read in half precision.
    """
    if precision is not None and not param.keep_dtype and param.token not in _STATISTICS:
        _STATISTICS.add(param.token)
        raise NewStatisticsError


def knowing_statistics(make_pass: Callable[[], _Result]) -> _Result:
    """What a pass in half precision returns; it begins again where it met statistics that it had not known as such."""
    while True:
        try:
            return make_pass()
        except NewStatisticsError:
            continue


cast_definition.__name__ = cast_parameter.__name__ = 'cast'  # so errors call them


def check_dtype(dtype: DTypeLike) -> None:
    """Refuses a dtype that JAX would narrow without a word.

    Raises:
        ArgumentError: for what is no dtype.
        DTypeError: for 64 bits without `jax_enable_x64`.
    """
    wanted = jnp.dtype(Param(dtype=dtype).dtype)
    there = jax.dtypes.canonicalize_dtype(wanted)
    if there != wanted:
        remedy = "jax.config.update('jax_enable_x64', True) at the start of the program"
        raise DTypeError(f'JAX has {wanted} switched off, and would use {there}', remedy=remedy)
