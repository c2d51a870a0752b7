"""Folders of arrays, written by orbax: sharded arrays are written and read in their shards.

The tree in such a folder is the nested dict of names, `{'0': {'weight': ...}}`, which orbax restores on its own too. An
array that has several names is there once, by the first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gluonjax.errors import ArgumentError, FileError, MissingExtraError, ShapeError
from gluonjax.io.reading import Path
from gluonjax.io.writing import Progress
from gluonjax.tree import flatten, nest

EXTENSION = '.orbax'
ONE_AT_A_TIME = threading.Lock()  # orbax does not write for two threads at once
_MARK = '_METADATA'  # a file of orbax
_NAMED = 10  # files of a folder that an error names, at most


def orbax() -> Any:
    """The module that writes folders.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise MissingExtraError(
            'checkpoints and folders of arrays are written by orbax, which is not installed',
            remedy="pip install 'gluonjax[train]'",
        ) from error
    return orbax.checkpoint


def save(path: Path, arrays: Mapping[str, Any], progress: Progress | None = None) -> None:
    """Writes arrays by name into a folder, which is there when it is whole, and not before.

    Args:
        path: where.
        arrays: of NumPy or JAX.
        progress: is told how many bytes there are, when all are written.

    Raises:
        ArgumentError: if there is a folder that holds something else.
        MissingExtraError: without orbax.
        ShapeError: for an array without numbers, which orbax does not write.
    """
    module, path = orbax(), pathlib.Path(path).expanduser().absolute()
    if path.exists() and not (path / _MARK).exists() and (not path.is_dir() or any(path.iterdir())):
        what = f'{str(path)!r} is there, and it is no folder of arrays'
        raise ArgumentError(what, remedy='give the name of a new folder; nothing was written')
    once = {id(array): name for name, array in reversed(list(arrays.items()))}
    kept = {name: array for name, array in arrays.items() if once[id(array)] == name}
    if empty := [name for name, array in kept.items() if array.size == 0]:
        raise ShapeError(f'orbax writes no arrays without numbers: {empty}', remedy='a file that ends in .safetensors')
    with ONE_AT_A_TIME, _replacing(path) as place, module.Checkpointer(module.PyTreeCheckpointHandler()) as writer:
        writer.save(place, args=module.args.PyTreeSave(nest(kept)), force=True)
    if progress:
        progress(sum(array.nbytes for array in kept.values()))


def load(path: Path, shardings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The arrays of a folder by name: sharded JAX arrays where a sharding is given, and arrays of NumPy elsewhere.

    Raises:
        FileError: if the folder is none that orbax wrote, or is damaged.
        MissingExtraError: without orbax.
    """
    module, path, shardings = orbax(), pathlib.Path(path).expanduser().absolute(), shardings or {}
    if not (path / _MARK).exists():
        names = sorted(inside.name for inside in itertools.islice(path.iterdir(), _NAMED))
        raise FileError(
            f'{str(path)!r} is no folder of arrays that orbax wrote',
            expected=f'a folder with {_MARK}',
            got=f'one with {names}' if names else 'an empty folder',
            remedy='the path of a file in it, or of a folder that save_parameters wrote',
        )
    with module.Checkpointer(module.PyTreeCheckpointHandler()) as reader:
        try:
            names = flatten(reader.metadata(path).item_metadata.tree)
            how = {
                name: module.ArrayRestoreArgs(sharding=shardings[name])
                if name in shardings
                else module.RestoreArgs(restore_type=np.ndarray)
                for name in names
            }
            return flatten(reader.restore(path, args=module.args.PyTreeRestore(restore_args=nest(how))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileError(
                f'{str(path)!r} is no folder of arrays that orbax wrote, or is damaged',
                got=f'{type(error).__name__}: {error}',
                remedy='a folder that save_parameters wrote',
            ) from error


@contextlib.contextmanager
def _replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write to, which takes its place at the end. Several processes write to one place, by orbax."""
    if jax.process_count() > 1:
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, removed = (path.with_name(f'.{path.name}.{kind}-{uuid.uuid4().hex}') for kind in ('new', 'old'))
    try:
        yield unfinished
        if path.exists():
            os.rename(path, removed)
        os.rename(unfinished, path)
    finally:
        for place in (unfinished, removed):
            shutil.rmtree(place, ignore_errors=True)
