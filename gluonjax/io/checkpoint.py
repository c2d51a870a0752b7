"""Checkpoints of training, written by orbax: a folder in which every save is a folder of its own.

    checkpoints/
        000007-step-350/     the seventh save, after 350 steps; it gets this name when it is whole, and not before
            state/           the leaves of the state, by name, as orbax writes arrays
            record/          JSON: steps, what else was to be remembered, and the shape and dtype of every leaf

Nothing that is whole is touched until its successor is whole: a process may be killed at any moment. What it leaves
unfinished has a dot in its name; it is passed over, and the next save removes it.
"""

import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax.errors import ArgumentError, CheckpointError, MissingExtraError
from gluonjax.shapes import Shape, merge_shapes, shape_text

Folder = str | os.PathLike[str]

_NAME = re.compile(r'(\d{6,})-step-(\d+)(\..*)?')  # with a dot: unfinished, or about to be removed


class Entry(NamedTuple):
    """What a leaf is; of a random key, which implementation too."""

    shape: Shape | None
    dtype: str
    key: str | None = None

    def __str__(self) -> str:
        return f'{shape_text(self.shape)} {self.dtype}'


Entries = Mapping[str, Entry]


class _Saved(NamedTuple):
    """A checkpoint in a folder."""

    serial: int
    steps: int
    place: pathlib.Path


def save(folder: Folder, state: Any, steps: int, remember: Mapping[str, Any], keep: int | None) -> None:
    """Writes a state, and then removes all but the newest `keep` of the folder.

    Args:
        folder: where; it is made if it is not there.
        state: a pytree of arrays.
        steps: after how many steps it is.
        remember: what else `restore` returns: anything that JSON can say.
        keep: how many stay, this one among them; None for all.

    Raises:
        ArgumentError: if `keep` is less than 1, or JSON cannot say what is to be remembered.
        MissingExtraError: without orbax.
    """
    orbax, folder = _orbax(), pathlib.Path(folder).expanduser().absolute()
    if keep is not None and keep < 1:
        raise ArgumentError('keep is how many checkpoints stay', expected='1 or more, or None for all', got=keep)
    leaves = {name: jnp.asarray(leaf) for name, leaf in leaves_by_name(state).items()}
    entries = {name: _entry(leaf) for name, leaf in leaves.items()}
    record = {'steps': steps, **_as_json(remember), 'leaves': entries}
    arrays = {name: _plain(leaf) for name, leaf in leaves.items() if leaf.size}  # orbax writes no empty ones
    folder.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(folder)
    serial = max((saved.serial for saved in _all(folder)), default=0) + 1
    with orbax.Checkpointer(orbax.CompositeCheckpointHandler()) as writer:
        # orbax writes beside the place, and renames when all is there
        writer.save(
            folder / f'{serial:06d}-step-{steps}',
            orbax.args.Composite(state=orbax.args.PyTreeSave(arrays), record=orbax.args.JsonSave(record)),
        )
    for saved in [] if keep is None else _all(folder)[:-keep]:
        _remove(saved.place)


def restore(
    folder: Folder,
    steps: int | None,
    needed: Callable[[Entries], Entries],
    checked: Sequence[str],
    placements: Mapping[str, jax.sharding.Sharding],
) -> tuple[dict[str, jax.Array], dict[str, Any]]:
    """Reads a state.

    Args:
        folder: as for `save`.
        steps: the number of steps of the checkpoint; the newest if None.
        needed: given what the checkpoint has by name, what it should have; a shape of None is any.
        checked: the first parts of the names that must be as needed; others may be what they are.
        placements: the shardings of leaves by name; other leaves go to the default device.

    Returns:
        The leaves by name, and what else was remembered, `steps` among it.

    Raises:
        CheckpointError: if there is no such checkpoint, or it does not fit; every difference is named.
        MissingExtraError: without orbax.
    """
    orbax, place = _orbax(), _find(pathlib.Path(folder).expanduser().absolute(), steps)
    with orbax.Checkpointer(orbax.CompositeCheckpointHandler()) as reader:
        record = reader.restore(place, orbax.args.Composite(record=orbax.args.JsonRestore()))['record']
        entries = {name: Entry(tuple(shape), *rest) for name, (shape, *rest) in record.pop('leaves').items()}
        _check(place, needed(entries), entries, checked)
        how = {
            name: orbax.ArrayRestoreArgs(sharding=placements[name])
            if name in placements and entry.key is None
            else orbax.RestoreArgs(restore_type=np.ndarray)
            for name, entry in entries.items()
            if 0 not in (entry.shape or ())
        }
        state = orbax.args.PyTreeRestore(restore_args=how)
        arrays = reader.restore(place, orbax.args.Composite(state=state))['state']
    return {name: _leaf(entry, arrays.get(name)) for name, entry in entries.items()}, record


def leaves_by_name(tree: Any) -> dict[str, Any]:
    """The leaves of any pytree, by the keys, fields and positions on the way to them.

    >>> leaves_by_name({'0': {'weight': 1}, 'moments': (2, 3)})
    {'0.weight': 1, 'moments.0': 2, 'moments.1': 3}
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in leaves}


# The folder.


def _all(folder: pathlib.Path) -> list[_Saved]:
    """The whole checkpoints, oldest first."""
    found = [(_NAME.fullmatch(place.name), place) for place in folder.iterdir()]
    return sorted(_Saved(int(name[1]), int(name[2]), place) for name, place in found if name and not name[3])


def _find(folder: pathlib.Path, steps: int | None) -> pathlib.Path:
    """The newest checkpoint, or the newest after so many steps."""
    saved = _all(folder) if folder.is_dir() else []
    if not saved:
        there = sorted(place.name for place in folder.iterdir()) if folder.is_dir() else 'no such folder'
        raise CheckpointError(
            f'{str(folder)!r} holds no checkpoint',
            expected='a folder that trainer.save wrote to',
            got=there or 'an empty folder',
        )
    chosen = [one for one in saved if steps is None or one.steps == steps]
    if not chosen:
        raise CheckpointError(
            f'{str(folder)!r} holds no checkpoint of step {steps}',
            got=f'those of steps {[one.steps for one in saved]}',
            remedy='trainer.save(path, keep=None) keeps all',
        )
    return chosen[-1].place


def _remove(place: pathlib.Path) -> None:
    """Removes a checkpoint; at no moment is a part of it there under its name."""
    if jax.process_index() == 0:
        doomed = place.with_name(f'{place.name}.removed')
        os.rename(place, doomed)
        shutil.rmtree(doomed)


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what killed processes left."""
    if jax.process_index() == 0:
        for place in folder.iterdir():
            name = _NAME.fullmatch(place.name)
            if name and name[3]:
                shutil.rmtree(place)


# The leaves.


def _entry(leaf: jax.Array) -> Entry:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return Entry(leaf.shape, str(leaf.dtype), str(jax.random.key_impl(leaf)) if is_key else None)


def _plain(leaf: jax.Array) -> jax.Array:
    """The leaf as numbers."""
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _leaf(entry: Entry, array: Any) -> jax.Array:
    """The leaf of numbers; None stands for an empty one."""
    if array is None:
        return jnp.zeros(entry.shape, entry.dtype)
    array = array if isinstance(array, jax.Array) else jnp.asarray(array)
    return array if entry.key is None else jax.random.wrap_key_data(array, impl=entry.key)


def _as_json(remember: Mapping[str, Any]) -> Any:
    try:
        return json.loads(json.dumps(remember))
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            'trainer.progress cannot be written', expected='what JSON can say', got=repr(remember)
        ) from error


# What fits.


def _check(place: pathlib.Path, needed: Entries, saved: Entries, checked: Sequence[str]) -> None:
    needed, saved = ({n: e for n, e in entries.items() if n.split('.')[0] in checked} for entries in (needed, saved))
    if differences := _differences(needed, saved):
        raise CheckpointError(
            f'the checkpoint {str(place)!r} is not one of this network and this optimizer:\n  '
            + '\n  '.join(differences),
            remedy='make the network and the Trainer as they were when it was saved',
        )


def _differences(needed: Entries, saved: Entries) -> list[str]:
    both = [(name, entry, saved[name]) for name, entry in needed.items() if name in saved]
    return [
        *(f'missing: {name} {entry}' for name, entry in needed.items() if name not in saved),
        *(f'extra: {name} {entry}' for name, entry in saved.items() if name not in needed),
        *(
            f'shape of {name}: expected {shape_text(ours.shape)}, got {shape_text(theirs.shape)}'
            for name, ours, theirs in both
            if ours.shape is not None and merge_shapes(ours.shape, theirs.shape) is None
        ),
        *(
            f'dtype of {name}: expected {ours.dtype}, got {theirs.dtype}'
            for name, ours, theirs in both
            if ours.dtype != theirs.dtype
        ),
    ]


def _orbax() -> Any:
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise MissingExtraError(
            'checkpoints are written by orbax, which is not installed', remedy="pip install 'gluonjax[train]'"
        ) from error
    return orbax.checkpoint
