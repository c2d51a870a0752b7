"""Where arrays live when there are several devices: batches cut along a mesh, parameters by rules on their names.

Rules are a dict from patterns (`re.match` on any name of a parameter, the first that matches wins) to
`jax.sharding.PartitionSpec`: `{'.*weight': P('model', None)}`. What no rule matches is on every device.

`transformer` makes the rules of a transformer, `zero` those that cut what an optimizer keeps.

`Trainer(..., mesh=mesh, sharding=rules)` does all of this. For a loop of your own, `param_shardings` and
`state_shardings` say where the arrays of `layer.init` and of `make_step(...).init` belong, and `shard_batch` puts
batches there. Parameters are then drawn
where they belong: a device makes only its own part, and the numbers are those that one device would draw.

Several processes (`jax.distributed.initialize`) each run the same program, and each passes its own part of every
batch, all of them as many rows, to `step`, `fit` and `evaluate`; `predict` returns the rows of the process. They draw
the same parameters because they have the same keys: give the same `key=` everywhere, or the same `gluonjax.seed`.
Parameters and state are global arrays then; `process_allgather(net.params, tiled=True)` of
`jax.experimental.multihost_utils` brings them to each process.

A parameter whose shape is known before the first batch is drawn by `net.initialize()` at once, on one device. Where
it does not fit in the memory of one, leave out `in_units=` and the like: the first batch decides them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gluonjax.checks import one_of
from gluonjax.errors import ArgumentError, DataError, ShapeError
from gluonjax.lazy import suggests_keywords
from gluonjax.messages import no_match
from gluonjax.nn.containers import Residual
from gluonjax.optimizer.state import parameter_of
from gluonjax.param import Leaf, Param
from gluonjax.placement import refuse_explicit_context
from gluonjax.shapes import shape_text
from gluonjax.train.batch import check_arrays
from gluonjax.train.sharding_rules import spec_of
from gluonjax.train.sharding_rules import transformer as transformer
from gluonjax.train.sharding_rules import zero as zero
from gluonjax.train.step import TrainStep
from gluonjax.tree import flatten, matches, nest

Rules = Mapping[str, PartitionSpec]


@suggests_keywords
def param_shardings(params: Mapping[str, Any], rules: Rules | None, mesh: Mesh) -> dict[str, Any]:
    """Where parameters belong: a tree like params, for `jax.jit(layer.init, out_shardings=...)`.

    Args:
        params: params, the shapes of params, or `layer.specs(x)`. Of tied parameters they have the first name only.
        rules: patterns and the `PartitionSpec` of what they match.
        mesh: the devices, with names for the axes.

    Returns:
        A nested dict of `NamedSharding`, over a mesh whose axes are all `AxisType.Auto`.

    Raises:
        PatternError: for a pattern that matches nothing.
        ArgumentError: for what is no `PartitionSpec`, or names an axis that the mesh lacks.
        ShapeError: for a spec of more axes than the parameter has, or one that does not divide a size.

    >>> import jax, jax.numpy as jnp
    >>> from gluonjax import nn
    >>> mesh = jax.make_mesh((jax.device_count(),), ('model',))
    >>> layer, x = nn.Dense(16), jnp.ones((2, 3))
    >>> where = param_shardings(layer.specs(x), {'.*weight': PartitionSpec('model')}, mesh)
    >>> params = jax.jit(layer.init, out_shardings=where)(0, x)
    >>> params['weight'].addressable_shards[0].data.shape[0] == 16 // jax.device_count()
    True
    >>> bool((params['weight'] == layer.init(0, x)['weight']).all())
    True
    """
    leaves = [Leaf(name, (name,), leaf.shape, Param()) for name, leaf in flatten(params).items()]
    return nest(_shardings(leaves, rules or {}, auto_mesh(mesh)))


@suggests_keywords
def state_shardings(state: Any, rules: Rules | None, mesh: Mesh, optimizer_rules: Rules | None = None) -> Any:
    """Where the leaves of a training state belong: what an optimizer keeps for a parameter is where that is.

    Args:
        state: the state of a step, or its shapes.
        rules: as for `param_shardings`.
        mesh: as for `param_shardings`.
        optimizer_rules: other rules for what the optimizer keeps of a parameter, and for moving averages, as `zero`
            makes them; what none of them matches is where the parameter is.

    Returns:
        The state with a `NamedSharding` in place of each leaf.

    Raises:
        GluonError: as `param_shardings` does.

    >>> import jax, jax.numpy as jnp
    >>> from gluonjax import loss, make_step, nn
    >>> mesh = jax.make_mesh((jax.device_count(),), ('data',))
    >>> step = make_step(nn.Dense(16), loss.L2Loss(), 'adam')
    >>> data = shard_batch((jnp.ones((8, 3)), jnp.ones((8, 16))), mesh)
    >>> shapes = jax.eval_shape(step.init, 0, data)
    >>> where = state_shardings(shapes, {'weight': PartitionSpec('data')}, mesh)
    >>> now = jax.jit(step.init, out_shardings=where)(0, data)
    >>> now, metrics = jax.jit(step, donate_argnums=0, out_shardings=(where, None))(now, data)
    >>> now.params['weight'].addressable_shards[0].data.shape[0] == 16 // jax.device_count()
    True
    """
    if not hasattr(state, 'params'):
        raise ArgumentError(
            'this is no state of a step', got=type(state).__name__, remedy='state = step.init(key, batch)'
        )
    where = flatten(param_shardings(state.params, rules, mesh))
    kept = flatten(param_shardings(state.params, _first(optimizer_rules or {}, rules or {}), mesh))
    return _state(state, where, kept, auto_mesh(mesh))


@suggests_keywords
def shard_batch(batch: Any, mesh: Mesh, data_axis: str | tuple[str, ...] = 'data') -> Any:
    """A batch on the devices of a mesh: each array is cut along its first axis.

    With several processes, each passes its part and gets the global arrays.

    Args:
        batch: a pytree of arrays. What is global already is left where it is; numbers without axes go everywhere.
        mesh: as for `param_shardings`.
        data_axis: the name of the axis of the mesh, or the names of several.

    Raises:
        ArgumentError: for an axis that the mesh lacks.
        DataError: for a first axis that does not divide.
    """
    check_arrays(batch)
    return Placement(mesh, data_axis).batch(batch)


@suggests_keywords
def with_cut_activations(
    step: TrainStep, mesh: Mesh, data_axis: str | tuple[str, ...] = 'data', sequence_axis: str | None = None
) -> TrainStep:
    """A step that keeps what layers return cut over the batch, whatever the parameters are cut over.

    Without this XLA may follow the parameters: where their widths are cut over the axis of the batches (`fsdp=` of
    `transformer`), it may cut activations by widths too, and hold the whole batch everywhere. `Trainer(..., sharding=)`
    does it.

    Args:
        step: what `make_step` returned.
        mesh: as for `param_shardings`.
        data_axis: as for `shard_batch`.
        sequence_axis: the axis of the mesh over which the tokens of a sequence are cut too in what
            `Residual` returns, such as 'model' (sequence parallelism): what a deep network keeps for the backward pass
            is then so many times smaller. None for none.

    Raises:
        ArgumentError: for an axis that the mesh lacks.

    >>> import jax, jax.numpy as jnp
    >>> from gluonjax import loss, make_step, nn
    >>> mesh = jax.make_mesh((jax.device_count(),), ('data',))
    >>> step = with_cut_activations(make_step(nn.Dense(16), loss.L2Loss()), mesh)
    >>> batch = shard_batch((jnp.ones((8, 3)), jnp.ones((8, 16))), mesh)
    >>> 'sharding_constraint' in str(jax.make_jaxpr(step)(step.init(0, batch), batch))
    True
    """
    return dataclasses.replace(step, placed=Placement(mesh, data_axis, sequence_axis=sequence_axis).activations)


@suggests_keywords
def auto_mesh(mesh: Mesh) -> Mesh:
    """The mesh with axes over which XLA decides how to compute; `jax.make_mesh` may have made explicit ones."""
    if not isinstance(mesh, Mesh):
        raise ArgumentError(
            'this is no mesh', expected="a jax.sharding.Mesh, such as jax.make_mesh((8,), ('data',))", got=repr(mesh)
        )
    if all(kind == AxisType.Auto for kind in mesh.axis_types):
        return mesh
    return Mesh(mesh.devices, mesh.axis_names)


class Placement:
    """A mesh, the axis that batches are cut along, and rules for parameters: what a Trainer knows of its devices.

    Args:
        mesh: the devices.
        data_axis: the name of an axis of the mesh, or names of several.
        rules: as for `param_shardings`.
        optimizer_rules: as for `state_shardings`.
        sequence_axis: as for `with_cut_activations`.

    Raises:
        ArgumentError: for an axis that the mesh lacks.
    """

    def __init__(
        self,
        mesh: Mesh,
        data_axis: str | tuple[str, ...] = 'data',
        rules: Rules | None = None,
        optimizer_rules: Rules | None = None,
        sequence_axis: str | None = None,
    ):
        self.mesh: Mesh = auto_mesh(mesh)
        self.rules: dict[str, PartitionSpec] = dict(rules or {})
        self.optimizer_rules: dict[str, PartitionSpec] = dict(optimizer_rules or {})
        axes = (data_axis,) if isinstance(data_axis, str) else tuple(data_axis)
        for axis in axes:
            if axis not in self.mesh.shape:
                raise ArgumentError(
                    f'the mesh has no axis {axis!r} for batches',
                    expected=f'one or more of {self.mesh.axis_names}',
                    got=f'data_axis={data_axis!r}',
                    remedy=f'Trainer(..., data_axis={self.mesh.axis_names[0]!r})',
                )
        if sequence_axis is not None:
            one_of('sequence_axis', sequence_axis, self.mesh.axis_names)
        self.sequence_axis: str | None = sequence_axis
        self.everywhere: NamedSharding = NamedSharding(self.mesh, PartitionSpec())
        self.cut: NamedSharding = NamedSharding(self.mesh, PartitionSpec(axes))
        local = self.mesh.local_mesh.shape
        self.parts: int = math.prod(local[axis] for axis in axes)  # that this process passes of a batch

    def params(self, leaves: Sequence[Leaf]) -> dict[str, NamedSharding]:
        """Where the leaves of a definition belong, by name; what is known of their shapes is checked."""
        refuse_explicit_context()
        return _shardings(leaves, self.rules, self.mesh)

    def state(self, state: Any, leaves: Sequence[Leaf]) -> Any:
        """Where the leaves of a state belong; its params have the shapes of the leaves of this definition."""
        shapes = {name: leaf.shape for name, leaf in flatten(state.params).items()}
        leaves = [leaf._replace(shape=shapes[leaf.name]) for leaf in leaves]
        kept = _shardings(leaves, _first(self.optimizer_rules, self.rules), self.mesh)
        return _state(state, self.params(leaves), kept, self.mesh)

    def batch(self, batch: Any) -> Any:
        """A batch, cut along its first axis."""
        refuse_explicit_context()
        return jax.tree.map(self._cut, batch)

    def activations(self, layer: Any, output: Any, rows: int | None) -> Any:
        """What a layer returned: arrays with as many rows as the batch are cut along them, and sequences by tokens."""
        (axes,) = self.cut.spec
        stream = isinstance(layer, Residual)

        def cut(leaf: Any) -> Any:
            if np.ndim(leaf) < 2 or leaf.shape[0] != rows or leaf.shape[0] % _parts(axes, self.mesh):
                return leaf
            free: list[Any] = [PartitionSpec.UNCONSTRAINED] * (leaf.ndim - 1)
            if self.sequence_axis is not None and leaf.ndim > 2:
                whole = not stream or leaf.shape[1] % self.mesh.shape[self.sequence_axis]
                free = [None, *free[1:]] if whole else [self.sequence_axis, *[None] * (leaf.ndim - 2)]
            return jax.lax.with_sharding_constraint(leaf, NamedSharding(self.mesh, PartitionSpec(axes, *free)))

        return jax.tree.map(cut, output)

    def dividing(self, rows: int) -> int:
        """The smallest number of rows from this one on that this process can cut."""
        return -(-rows // self.parts) * self.parts

    def local_rows(self, tree: Any) -> Any:
        """Of arrays over the batch, the rows of this process; all of them, as they are, if there is no other."""
        return tree if jax.process_count() == 1 else jax.tree.map(self._local_rows, tree)

    def _local_rows(self, array: jax.Array) -> np.ndarray:
        shards = jax.device_put(array, self.cut).addressable_shards
        parts = {shard.index[0].start or 0: shard.data for shard in shards}
        return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])

    def _cut(self, array: Any) -> jax.Array:
        if isinstance(array, jax.Array) and not array.is_fully_addressable:
            return array
        shape = np.shape(array)
        if not shape:
            return jax.device_put(array, self.everywhere)
        if shape[0] % self.parts:
            raise DataError(
                f'a batch of {shape[0]} does not divide over {self.parts} devices',
                expected=f'samples along axis 0, a multiple of {self.parts}: {self.cut.spec} of {_text(self.mesh)}',
                got=f'an array of shape {shape_text(shape)}',
                remedy="another batch_size; or Trainer(..., last_batch='pad'), which fills smaller batches up",
            )
        if jax.process_count() == 1:
            return jax.device_put(array, self.cut)
        return jax.make_array_from_process_local_data(self.cut, np.asarray(array))


def moved(tree: Any, shardings: Any) -> Any:
    """Arrays where they belong; those that are there already are the same objects."""
    return jax.tree.map(_moved, tree, shardings)


def _moved(array: Any, sharding: NamedSharding) -> jax.Array:
    return array if getattr(array, 'sharding', None) == sharding else jax.device_put(array, sharding)


def _state(state: Any, where: Mapping[str, NamedSharding], kept: Mapping[str, NamedSharding], mesh: Mesh) -> Any:
    shapes = {name: leaf.shape for name, leaf in flatten(state.params).items()}
    everywhere = NamedSharding(mesh, PartitionSpec())

    def place(places, path, leaf) -> NamedSharding:
        name = parameter_of(path, shapes)
        return places[name] if name is not None and leaf.shape == shapes[name] else everywhere

    placed = {
        field: jax.tree_util.tree_map_with_path(functools.partial(place, places), getattr(state, field))
        for field, places in (('params', where), ('optimizer', kept), ('average', kept))
    }
    return jax.tree.map(lambda leaf: everywhere, state)._replace(**placed)


def _shardings(leaves: Sequence[Leaf], rules: Rules, mesh: Mesh) -> dict[str, NamedSharding]:
    for pattern, spec in rules.items():
        if not isinstance(spec, PartitionSpec):
            raise ArgumentError(
                f'the rule for {pattern!r} is no PartitionSpec',
                expected="one such as jax.sharding.PartitionSpec('model', None)",
                got=repr(spec),
            )
        if not any(matches(pattern, leaf.names) for leaf in leaves):
            raise no_match(pattern, leaves)
    specs = {leaf.name: spec_of(leaf.names, rules) for leaf in leaves}
    for leaf in leaves:
        _check(leaf, specs[leaf.name], mesh)
    return {name: NamedSharding(mesh, spec) for name, spec in specs.items()}


def _check(leaf: Leaf, spec: PartitionSpec, mesh: Mesh) -> None:
    """Refuses a spec that does not fit the mesh, or what is known of the shape."""
    axes = [axis for entry in spec for axis in _axes(entry)]
    wrong = f'{leaf.name!r} of shape {shape_text(leaf.shape)} cannot be cut by {spec} over {_text(mesh)}'
    if not all(axis in mesh.shape for axis in axes) or len(set(axes)) < len(axes):
        raise ArgumentError(wrong, expected=f'axes of the mesh, {mesh.axis_names}, each once', got=axes)
    parts = [_parts(entry, mesh) for entry in spec]
    sizes = [None] * len(parts) if leaf.shape is None else leaf.shape
    if len(parts) > len(sizes) or any(size and size % part for size, part in zip(sizes, parts, strict=False)):
        raise ShapeError(
            wrong,
            expected=f'{len(parts)} axes or more, of sizes that divide by {parts}',
            got=shape_text(leaf.shape),
            remedy=f'a rule for this parameter before the others: {{{re.escape(leaf.name)!r}: PartitionSpec()}}',
        )


def _first(rules: Rules, others: Rules) -> Rules:
    """All of these rules, which match in this order."""
    return {**rules, **{pattern: spec for pattern, spec in others.items() if pattern not in rules}}


def _parts(entry: Any, mesh: Mesh) -> int:
    return math.prod(mesh.shape[axis] for axis in _axes(entry))


def _axes(entry: Any) -> tuple[Any, ...]:
    """The axes of the mesh in one entry of a spec."""
    if entry is None:
        return ()
    return entry if isinstance(entry, tuple) else (entry,)


def _text(mesh: Mesh) -> str:
    return f'Mesh({", ".join(f"{name}={size}" for name, size in mesh.shape.items())})'
