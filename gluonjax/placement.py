"""Where a network lives: one device, or a sharding over several."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding
from jax.typing import ArrayLike

from gluonjax.arrays import admit
from gluonjax.block import Block, structure_of
from gluonjax.drawing import check_divides
from gluonjax.errors import ArgumentError, ParamsError
from gluonjax.lazy import suggests_keywords
from gluonjax.messages import compare, other_value_shape
from gluonjax.parameter import LOCK, Parameter, ParameterDict, commit, concrete, is_traced
from gluonjax.ref import note_change
from gluonjax.shapes import merge_shapes
from gluonjax.structure import Structure
from gluonjax.tree import flatten


@suggests_keywords
def set_params(net: Block, tree: Mapping[str, Any]) -> None:
    """Sets all values of a network, if they fit its Parameters in names, shapes and dtypes; `net.params = tree`.

    Raises:
        ParamsError: naming every difference.
    """
    with LOCK:
        structure, values = structure_of(net), flatten(admit(tree, 'params', copy=False))
        leaves = [leaf._replace(shape=parameter.shape) for leaf, parameter in structure.entries]
        differences = compare(leaves, {name: getattr(value, 'shape', ()) for name, value in values.items()})
        by_name = structure.parameters_by_name()
        differences += [
            f'dtype of {name}: expected {parameter.dtype}, got {_dtype(values[name])}'
            for name, parameter in by_name.items()
            if name in values and _dtype(values[name]) != jax.dtypes.canonicalize_dtype(parameter.dtype)
        ]
        if differences:
            raise ParamsError(
                'these params are not those of this network:\n  ' + '\n  '.join(differences),
                remedy='net.cast(dtype) changes the dtype of the network; net.specs(x) lists what it expects',
            )
        commit({p: _in_place(p, concrete(name, values[name], p.dtype)) for name, p in by_name.items()})


@suggests_keywords
def set_data(parameter: Parameter, value: ArrayLike) -> None:
    """Sets the value, cast to this parameter's dtype. It decides a shape that was unknown.

    What nobody put on a device comes to where the value is that it replaces.

    Raises:
        ShapeError: if the shape does not fit.
    """
    with LOCK:
        array = concrete(parameter.name, value, parameter.dtype)
        if parameter.shape is not None and merge_shapes(parameter.shape, array.shape) is None:
            raise other_value_shape(parameter.name, parameter.shape, array.shape)
        commit({parameter: _in_place(parameter, array)})


def _in_place(parameter: Parameter, array: jax.Array) -> jax.Array:
    where = home_of(parameter)
    if where is None or array.committed:
        return array
    check_divides(parameter.name, array.shape, where)
    with jax.ensure_compile_time_eval():
        return jax.device_put(array, where)


def home_of(parameter: Parameter) -> Sharding | None:
    """Where a value was put on purpose, or waits to be drawn; None for the default device."""
    if (value := parameter.current) is not None:
        return value.sharding if value.committed else None
    place = parameter.home if parameter.deferred is None else parameter.deferred.place
    return place and place.sharding


def place_before(parameter: Parameter) -> Place | None:
    """Where a Parameter is, or waits to be drawn, so that it is drawn there again; None for the default device."""
    where = home_of(parameter)
    return where and Place(where)


def _dtype(value: Any) -> Any:
    try:
        return jnp.result_type(value)
    except (TypeError, ValueError):  # of what is no array
        return type(value).__name__


def to(net: Block, device: Any) -> Block:
    """Moves the values to a device, or cuts them by a sharding; what is drawn later is drawn there, with the same bits.

    Calls and a Trainer compute where the values are. Inputs of NumPy, and arrays that nobody put on a device, come
    there; an array that was put on another (`jax.device_put`) is an ArgumentError that names both. The same holds for
    values that are set later, but those that were put on another device stay there, until a step.

    Args:
        net: the network.
        device: such as `jax.devices()[1]`; or a `jax.sharding.Sharding`, which is that of every parameter. (Rules for
            some of them are `Trainer(..., sharding=)`.)

    Returns:
        The network.

    Raises:
        ArgumentError: if it is neither.
        ShapeError: if the sharding does not divide a parameter; nothing is moved then.

    >>> from gluonjax import nn
    >>> net = nn.Sequential(nn.Dense(3))
    >>> net.initialize()
    >>> output = net.to(jax.devices()[-1])(jax.numpy.ones((2, 4)))
    >>> output.devices() == {jax.devices()[-1]}
    True
    """
    place = place_of(net, device)
    where = place.sharding
    with LOCK:
        parameters = structure_of(net).parameters
        for parameter in parameters:
            if parameter.current is not None:
                check_divides(parameter.name, parameter.shape, where)
        moved = {
            parameter: jax.device_put(parameter.data(), where)
            for parameter in parameters
            if parameter.current is not None
        }
        for parameter in parameters:
            parameter.home = place
            if parameter.deferred is not None:
                parameter.deferred = parameter.deferred._replace(place=place)
        commit(moved)
    return net


class Place:
    """Where values are drawn. Devices belong to a process, so that in a pickle it is the default device."""

    def __init__(self, sharding: Any = None):
        self.sharding: Any = sharding

    def __reduce__(self) -> tuple[Any, ...]:
        return Place, ()

    def __deepcopy__(self, memo: Any) -> Place:
        return self


def params_on(net: Block, device: Any) -> ParameterDict:
    """The parameters of a network, which `initialize` draws on a device or over a sharding.

    Raises:
        ArgumentError: if it is neither.
    """
    found = net.collect_params()
    found.place = place_of(net, device)
    return found


def place_of(net: Block, device: Any) -> Place:
    """A device or a sharding, as deferred initializations keep it.

    Raises:
        ArgumentError: if it is neither.
    """
    if isinstance(device, Sharding):
        return Place(automatic(device))
    if isinstance(device, jax.Device):
        return Place(SingleDeviceSharding(device))
    raise ArgumentError(
        f'{type(net).__name__} lives on a device or over a sharding',
        expected='jax.devices()[0], or a jax.sharding.NamedSharding',
        got=repr(device),
        remedy="jax.devices('gpu')[0] for the first GPU",
    )


def automatic(sharding: Sharding) -> Sharding:
    """The sharding, over axes of a mesh that leave it to XLA how to compute: `jax.make_mesh` makes explicit ones."""
    mesh = _explicit_mesh(sharding)
    return sharding if mesh is None else _over(_automatic_mesh(mesh), sharding)


def _over(mesh: Mesh, sharding: Any) -> NamedSharding:
    return NamedSharding(mesh, sharding.spec, memory_kind=sharding.memory_kind)


def _automatic_mesh(mesh: Mesh) -> Mesh:
    return Mesh(mesh.devices, mesh.axis_names)


def _explicit_mesh(sharding: Sharding) -> Mesh | None:
    """The mesh of a sharding, if it has explicit axes."""
    mesh = sharding.mesh if isinstance(sharding, NamedSharding) else None
    return mesh if isinstance(mesh, Mesh) and AxisType.Explicit in mesh.axis_types else None


def with_automatic_axes(array: jax.Array) -> jax.Array:
    """The same array, where it is, as layers compute with it.

    Where `jax.set_mesh` has set explicit axes, nothing can be computed over automatic ones, and it stays as it is.
    """
    now = array.sharding
    where = automatic(now)
    return array if where is now or in_explicit_context() else jax.device_put(array, where)


def in_explicit_context() -> bool:
    """Whether `jax.set_mesh` has set a mesh of explicit axes."""
    return AxisType.Explicit in jax.sharding.get_abstract_mesh().axis_types


def refuse_explicit_context() -> None:
    """Refuses to train where `jax.set_mesh` has set a mesh of explicit axes.

    Raises:
        ArgumentError: if it has.
    """
    if in_explicit_context():
        raise ArgumentError(
            'jax.set_mesh has set a mesh of explicit axes here, and layers leave it to XLA how to compute over devices',
            remedy='leave the block of jax.set_mesh: the mesh that is given is enough',
        )


def is_of_explicit_axes(error: Exception) -> bool:
    """Whether JAX could not compute over explicit axes, or with some of the arrays over automatic ones."""
    return type(error).__name__ == 'ShardingTypeError' or 'context mesh' in str(error).lower()


def mesh_of_explicit_axes(tree: Any) -> Mesh | None:
    """The mesh over whose explicit axes an array lies; None if none does."""
    arrays = (leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array) and not is_traced(leaf))
    return next((mesh for array in arrays if (mesh := _explicit_mesh(array.sharding)) is not None), None)


def call_over_automatic_axes(
    net: Block, inputs: tuple[Any, ...], named: Mapping[str, Any], training: bool, key: Any
) -> Any:
    """Calls a network on arrays that lie over explicit axes of a mesh; so does what it returns."""
    how = {'training': training, 'key': key} if training else {}
    return _over_automatic_axes(functools.partial(net, **how), inputs, named)


def _over_automatic_axes(function: Callable[..., Any], inputs: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """What a function of arrays over explicit axes returns for automatic ones, over explicit axes again."""
    mesh = mesh_of_explicit_axes((inputs, named))
    if mesh is None:
        return function(*inputs, **named)

    def explicit(leaf: Any) -> Any:
        where = getattr(leaf, 'sharding', None)
        same = isinstance(where, NamedSharding) and where.mesh == _automatic_mesh(mesh)
        return jax.device_put(leaf, _over(mesh, where)) if same else leaf

    with jax.set_mesh(_automatic_mesh(mesh)) if in_explicit_context() else contextlib.nullcontext():
        output = function(*admit(inputs), **admit(named))
    return jax.tree.map(explicit, output)


def take_explicit_axes(structure: Structure) -> None:
    """Has a network's compiled inference give automatic axes to inputs over explicit ones, before JAX traces it."""
    count = len(structure.names)
    for programs, name in ((structure.programs, 'inference'), (structure.made, 'serving')):
        if name in programs and not isinstance(programs[name], _TakingExplicitAxes):
            programs[name] = _TakingExplicitAxes(programs[name], count)
    note_change()


class _TakingExplicitAxes(NamedTuple):
    """A compiled function of so many values and then the inputs."""

    program: Callable[..., Any]
    count: int

    def __call__(self, *given: Any) -> Any:
        run = functools.partial(self.program, *given[: self.count])
        return _over_automatic_axes(run, given[self.count :], {})


def keeping_places(step: Callable[..., tuple[Any, Any]], state: Any, *given: Any) -> tuple[Any, Any]:
    """Calls a pure step, of a state and more to the next state and some values, on arrays over explicit axes too.

    Inside `jax.jit` such axes are part of what is traced. The step computes over automatic ones; the next state is cut
    as this one is, and the values are the same on every device. Outside of it, arrays get automatic axes.
    """
    arrays = [leaf for leaf in jax.tree.leaves((state, given)) if isinstance(leaf, jax.Array)]
    meshes = [jax.typeof(array).sharding.mesh for array in arrays]
    mesh = next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)
    if mesh is None:
        return step(state, *given)
    if not (is_traced(arrays) or in_explicit_context()):
        return step(*admit((state, *given)))

    def place(leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, jax.typeof(leaf).sharding.spec)

    places = jax.tree.map(place, state), NamedSharding(mesh, PartitionSpec())
    axes = tuple(name for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True) if kind == AxisType.Explicit)
    automatic_step: Any = jax.sharding.auto_axes(step, axes=axes, out_sharding=places)
    return automatic_step(state, *given)
