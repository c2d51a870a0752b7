"""What of a checkpoint belongs where in a training state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.io.checkpoint import Entries, Entry, leaves_by_name
from gluonjax.shapes import is_known, merge_shapes
from gluonjax.structure import Structure
from gluonjax.train.state import TrainState
from gluonjax.train.step import TrainStep
from gluonjax.tree import nest

# The key may be of another implementation, and metrics are the business of whoever looks at them.
NOTHING: Mapping[str, Any] = MappingProxyType({})
CHECKED = ('params', 'optimizer', 'average', 'scale', 'carry')


def declared(structure: Structure) -> dict[str, Entry]:
    """What the Parameters of a network are; their shapes may be unknown."""
    return {
        name: Entry(parameter.shape, str(jax.dtypes.canonicalize_dtype(parameter.dtype)))
        for name, parameter in zip(structure.names, structure.parameters, strict=True)
    }


def needed(step: TrainStep, declared: Entries, saved: Entries) -> Entries:
    """What a checkpoint of this step has, by name; shapes that the network does not know yet may be as they are."""
    known = {name: _with_shape(entry, saved.get(f'params.{name}')) for name, entry in declared.items()}
    leaves = {name: Entry(leaf.shape, str(leaf.dtype)) for name, leaf in leaves_by_name(_shapes(step, known)).items()}
    unknown = tuple(f'.{name}' for name, entry in known.items() if not is_known(entry.shape))
    leaves = {name: entry._replace(shape=None) if name.endswith(unknown) else entry for name, entry in leaves.items()}
    return leaves | {f'params.{name}': entry for name, entry in declared.items()}


def state_of(step: TrainStep, declared: Entries, leaves: Mapping[str, jax.Array]) -> TrainState:
    """The state of a step from the leaves of a checkpoint; its metrics are nested dicts."""
    shapes = _shapes(step, {name: _with_shape(entry, leaves[f'params.{name}']) for name, entry in declared.items()})
    leaves = {'skipped': jnp.int32(0), **leaves}  # of a Trainer that did not count them
    state = jax.tree.unflatten(jax.tree.structure(shapes), [leaves[name] for name in leaves_by_name(shapes)])
    metrics = {name.removeprefix('metrics.'): leaf for name, leaf in leaves.items() if name.startswith('metrics.')}
    return state._replace(metrics=nest(metrics))


def _with_shape(entry: Entry, saved: Any) -> Entry:
    return entry if saved is None else entry._replace(shape=merge_shapes(entry.shape, saved.shape) or entry.shape)


def _shapes(step: TrainStep, params: Entries) -> TrainState:
    """Shapes and dtypes of a step's state; without metrics, for which one would have to know the batches.

    A size that is unknown counts as 1.
    """
    shapes = {name: tuple(size or 1 for size in entry.shape or ()) for name, entry in params.items()}
    leaves = {name: jax.ShapeDtypeStruct(shapes[name], entry.dtype) for name, entry in params.items()}
    bare = dataclasses.replace(step, metrics={})
    return jax.eval_shape(lambda leaves: bare.init(0, (None, None), params=nest(leaves)), leaves)


def continued(fresh: TrainState, old: TrainState, dormant: Mapping[str, Any] = NOTHING) -> TrainState:
    """The fresh state, with whatever of the old one stands at the same place in the same shape, except for params.

    Args:
        fresh: the state of a network as it is now.
        old: the state before.
        dormant: leaves, by name, of the optimizer's state of parameters that were not trained before.
    """
    known = {**dormant, **leaves_by_name(old)}

    def pick(name: str, leaf: Any) -> Any:
        before = known.get(name)
        fits = before is not None and (before.shape, before.dtype) == (leaf.shape, leaf.dtype)
        return before if fits else leaf

    leaves = [pick(name, leaf) for name, leaf in leaves_by_name(fresh).items()]
    return jax.tree.unflatten(jax.tree.structure(fresh), leaves)._replace(params=fresh.params)


def dormant(old: TrainState, before: Mapping[str, Any], frozen: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What the optimizer keeps of frozen parameters while they are not trained, by name: as in MXNet, it stays.

    Args:
        old: the last state in which some of them were trained.
        before: what was dormant then.
        frozen: their names.
        names: those of all parameters.
    """
    leaves = {name: leaf for name, leaf in leaves_by_name(old).items() if name.startswith('optimizer.')}
    under_way = [name for name in leaves if '.acc_grads.' in name]  # sums of gradients, which end
    leaves = {name: leaf for name, leaf in leaves.items() if name not in under_way}
    return of_parameters({**before, **leaves}, frozen, names)


def of_parameters(leaves: Mapping[str, Any], chosen: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Those leaves of an optimizer's state, by name, that belong to some of all the parameters."""

    def owner(leaf: str) -> str | None:
        return max((name for name in names if leaf.endswith(f'.{name}')), key=len, default=None)

    return {name: leaf for name, leaf in leaves.items() if owner(name) in chosen}


# Random keys do not pickle; their numbers do.


def key_in_numbers(key: jax.Array) -> tuple[str, np.ndarray]:
    """A key as its implementation and its numbers."""
    return str(jax.random.key_impl(key)), np.asarray(jax.random.key_data(key))


def key_of_numbers(numbers: tuple[str, np.ndarray]) -> jax.Array:
    """The key that `key_in_numbers` was given."""
    implementation, data = numbers
    return jax.random.wrap_key_data(jnp.asarray(data), impl=implementation)


def packed_key(state: TrainState | None) -> Any:
    """The state with its key in numbers."""
    return None if state is None else state._replace(key=key_in_numbers(state.key))


def unpacked_key(state: Any) -> TrainState | None:
    """The state that `packed_key` was given."""
    return None if state is None else state._replace(key=key_of_numbers(state.key))
