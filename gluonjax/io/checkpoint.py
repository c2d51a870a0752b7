"""Checkpoints of training, written by orbax: a folder in which every save is a folder of its own.

    checkpoints/
        000007-step-350/     the seventh save, after 350 steps; it gets this name when it is whole, and not before
            state/           the leaves of the state, by name, as orbax writes arrays
            record/          JSON: steps, what else was to be remembered, and the shape and dtype of every leaf
            files.json       the size and the CRC-32 of every file

Nothing that is whole is touched until its successor is whole: a process may be killed at any moment, and several may
save into one folder. What is not finished has a name of its own, with the process that writes it; it is passed over,
and removed by a later save when that process is gone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import socket
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.errors import ArgumentError, CheckpointError
from gluonjax.io.folders import ONE_AT_A_TIME, orbax
from gluonjax.io.reading import checked_path
from gluonjax.shapes import Shape, merge_shapes, shape_text

Folder = str | os.PathLike[str]

_NAME = re.compile(r'(\d{6,})-step-(\d+)(\..*)?')  # with a dot: written by orbax itself, or about to be removed
_UNFINISHED = re.compile(r'\.unfinished-(.+)-(\d+)-[0-9a-f]+(\..*)?')  # the machine and the process that writes it
_FILES = 'files.json'


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
    module, folder = orbax(), pathlib.Path(checked_path(folder)).expanduser().absolute()
    if keep is not None:
        checks.size('keep, how many checkpoints stay,', keep)
    leaves = {name: jnp.asarray(leaf) for name, leaf in leaves_by_name(state).items()}
    entries = {name: _entry(leaf) for name, leaf in leaves.items()}
    record = {'steps': steps, **_as_json(remember), 'leaves': entries, 'processes': jax.process_count()}
    arrays = {name: _plain(leaf) for name, leaf in leaves.items() if leaf.size}  # orbax writes no empty ones
    with (
        ONE_AT_A_TIME,
        _writing(folder, steps) as place,
        module.Checkpointer(module.CompositeCheckpointHandler()) as writer,
    ):
        writer.save(
            place, module.args.Composite(state=module.args.PyTreeSave(arrays), record=module.args.JsonSave(record))
        )
    for saved in [] if keep is None else _all(folder)[:-keep]:
        _remove(saved.place)


@contextlib.contextmanager
def _writing(folder: pathlib.Path, steps: int) -> Iterator[pathlib.Path]:
    """A place to write a checkpoint to, which is published at the end; if anything fails, nothing is left of it.

    Several processes that save together write to one place, which orbax publishes.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if jax.process_count() > 1:
            yield folder / f'{_next_serial(folder):06d}-step-{steps}'
            return
        _remove_unfinished(folder)
        place = folder / f'.unfinished-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}'
        try:
            yield place
            (place / _FILES).write_text(json.dumps(_files(place)))
            _publish(place, folder, steps)
        finally:
            for left in folder.glob(f'{place.name}*'):
                shutil.rmtree(left, ignore_errors=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f'no checkpoint could be written to {str(folder)!r}',
            got=f'{type(error).__name__}: {error}',
            remedy='see that the folder can be written to and the disk is not full; what was saved before is whole',
        ) from error


def _next_serial(folder: pathlib.Path) -> int:
    return max((saved.serial for saved in _all(folder)), default=0) + 1


def _publish(place: pathlib.Path, folder: pathlib.Path, steps: int) -> None:
    """Gives a whole checkpoint its name; where somebody else was faster, the next one."""
    while True:
        try:
            os.rename(place, folder / f'{_next_serial(folder):06d}-step-{steps}')
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise


def _files(place: pathlib.Path) -> dict[str, list[int]]:
    """Of every file below: its size and CRC-32."""
    files = sorted(path for path in place.rglob('*') if path.is_file() and path.name != _FILES)
    return {str(path.relative_to(place)): [path.stat().st_size, _crc(path)] for path in files}


def _crc(path: pathlib.Path) -> int:
    crc = 0
    with path.open('rb') as file:
        while chunk := file.read(1 << 22):
            crc = zlib.crc32(chunk, crc)
    return crc


def _check_files(place: pathlib.Path) -> None:
    """Refuses a checkpoint of which a file is lost or changed.

    Raises:
        CheckpointError: naming the file.
    """
    if not (place / _FILES).exists() and _is_of_several_processes(place):
        return
    try:
        known = json.loads((place / _FILES).read_text())
        if not known:
            raise _broken(place / _FILES, 'it names no files')
        for name, (size, crc) in known.items():
            path = place / name
            if path.stat().st_size != size or _crc(path) != crc:
                raise _broken(path, 'it is not as it was written')
    except CheckpointError:
        raise
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _broken(pathlib.Path(getattr(error, 'filename', None) or place / _FILES), str(error)) from error


def _is_of_several_processes(place: pathlib.Path) -> bool:
    """Whether several processes wrote a checkpoint together, which orbax published then; it has no list of files."""
    try:
        return json.loads((place / 'record' / 'metadata').read_text())['processes'] > 1
    except (OSError, ValueError, TypeError, KeyError):
        return False


def _broken(path: pathlib.Path, why: str) -> CheckpointError:
    return CheckpointError(
        f'the checkpoint is damaged: {str(path)!r}', got=why, remedy='restore(path, step=...) takes an older one'
    )


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
    module, place = orbax(), _find(pathlib.Path(checked_path(folder)).expanduser().absolute(), steps)
    with module.Checkpointer(module.CompositeCheckpointHandler()) as reader:
        try:
            record = reader.restore(place, module.args.Composite(record=module.args.JsonRestore()))['record']
            entries = {name: Entry(tuple(shape), *rest) for name, (shape, *rest) in record.pop('leaves').items()}
            record.pop('processes', None)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _broken(place / 'record', f'{type(error).__name__}: {error}') from error
        _check(place, needed(entries), entries, checked)
        how = {
            name: module.ArrayRestoreArgs(sharding=placements[name])
            if name in placements and entry.key is None
            else module.RestoreArgs(restore_type=np.ndarray)
            for name, entry in entries.items()
            if 0 not in (entry.shape or ())
        }
        state = module.args.PyTreeRestore(restore_args=how)
        try:
            arrays = reader.restore(place, module.args.Composite(state=state))['state']
        except (OSError, ValueError, KeyError) as error:
            raise _broken(place / 'state', f'{type(error).__name__}: {error}') from error
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
    found = [(_NAME.fullmatch(place.name), place) for place in folder.iterdir() if place.is_dir()]
    return sorted(_Saved(int(name[1]), int(name[2]), place) for name, place in found if name and not name[3])


def _find(folder: pathlib.Path, steps: int | None) -> pathlib.Path:
    """The newest whole checkpoint, or the newest after so many steps."""
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
    for one in reversed(chosen):
        try:
            _check_files(one.place)
            return one.place
        except CheckpointError as error:
            if one is chosen[0]:
                raise
            warnings.warn(f'{error}\n  an older one is taken', stacklevel=4)
    raise CheckpointError(f'{str(folder)!r} holds no checkpoint')


def _remove(place: pathlib.Path) -> None:
    """Removes a checkpoint; at no moment is a part of it there under its name. Somebody else may have removed it."""
    if jax.process_index() == 0:
        doomed = place.with_name(f'{place.name}.removed-{uuid.uuid4().hex}')
        with contextlib.suppress(FileNotFoundError):
            os.rename(place, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what processes left that are gone."""
    for place in folder.iterdir():
        name, unfinished = _NAME.fullmatch(place.name), _UNFINISHED.fullmatch(place.name)
        ours = unfinished and unfinished[1] == socket.gethostname() and not _is_alive(int(unfinished[2]))
        if place.is_dir() and (ours or (name and name[3])):
            shutil.rmtree(place, ignore_errors=True)


def _is_alive(process: int) -> bool:
    """Whether another process may still be writing; this one does not, before it begins."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
            'trainer.fit_state cannot be written', expected='what JSON can say', got=repr(remember)
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
