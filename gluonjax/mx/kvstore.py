"""`mx.kv`: a store of arrays by key, in one process.

There is no server of parameters: what `dist_sync` did, JAX does by sharding.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import jax.numpy as jnp

from gluonjax.errors import ArgumentError, GluonError, ShapeError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.optimizer import Updater, get_updater
from gluonjax.mx.tape import Tracked

kvstore: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
base: ModuleType = sys.modules[__name__]

__all__ = ['KVStore', 'create']

_LOCAL = ('local', 'local_update_cpu', 'local_allreduce_cpu', 'device', 'local_allreduce_device', 'nccl')
Key = int | str


def create(name: str = 'local') -> KVStore:
    """A store.

    Args:
        name: 'local', 'device' or 'nccl', which are one.

    Raises:
        ArgumentError: for those of several processes, and what is none.

    >>> import gluonjax.mx as mx
    >>> store, found = create('local'), mx.nd.zeros(2)
    >>> store.init(3, mx.nd.ones(2))
    >>> store.push(3, [mx.nd.ones(2), mx.nd.ones(2) * 2])
    >>> store.pull(3, out=found)
    >>> found.asnumpy()
    array([3., 3.], dtype=float32)
    """
    if not isinstance(name, str):
        raise ArgumentError(f'the name of a kvstore must be a str, got {name!r}')
    kind = name.lower()
    if kind in _LOCAL:
        return KVStore(kind)
    if kind.startswith(('dist', 'p3', 'horovod', 'byteps')):
        remedy = (
            "jax.distributed.initialize() in each process, and gluonjax.Trainer(net, loss, 'sgd', mesh=...), whose "
            'batches are sharded over all devices'
        )
        raise ArgumentError(f'there are no servers of parameters for kvstore {name!r}', remedy=remedy)
    raise ArgumentError(f'there is no kvstore {name!r}', expected=', '.join(_LOCAL))


class KVStore:
    """Arrays by key, which are added to or updated by an optimizer.

    Args:
        kind: its name.
    """

    OPTIMIZER: str = 'optimizer'  # what `is_capable` is asked

    def __init__(self, kind: str):
        self.type: str = kind
        self.rank: int = 0
        self.num_workers: int = 1
        self._arrays: dict[Key, NDArray] = {}
        self._updater: Any = None

    def init(self, key: Any, value: Any) -> None:
        """Makes arrays for a key, or for several.

        Raises:
            ArgumentError: if there is one for the key, or the others are numbers and it is a string, or the reverse.
        """
        pairs = [(k, values[0]) for k, values in _pairs(key, value)]
        if len({isinstance(k, str) for k in (*self._arrays, *(k for k, _ in pairs))}) > 1:
            raise ArgumentError('the keys of a kvstore are all strings or all numbers', got=repr(pairs[0][0]))
        if known := [k for k, _ in pairs if k in self._arrays]:
            raise ArgumentError(f'the kvstore has an array for {known[0]!r} already')
        self._arrays.update({k: v.copy() for k, v in pairs})

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Takes in the sum of arrays for a key: by the updater, if there is one; otherwise it takes its place."""
        for k, values in _pairs(key, value):
            held = self._held(k)
            total = values[0].copy()
            for other in values[1:]:
                total += other.as_in_context(total.context)
            if total.shape != held.shape:
                raise ShapeError(f'the array for {k!r} has another shape', expected=held.shape, got=total.shape)
            total = total.as_in_context(held.context)
            if self._updater is None:
                held.assign(Tracked(total.value.astype(held.value.dtype)))
            else:
                self._updater(k, total, held)

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Writes the arrays of keys into others, but for those of sparse storage types, which `ignore_sparse` leaves.

        Raises:
            ArgumentError: without `out`.
        """
        if out is None:
            raise ArgumentError('pull writes into arrays', remedy='pull(key, out=array)')
        for k, targets in _pairs(key, out):
            held = self._held(k)
            for target in targets if not ignore_sparse else [x for x in targets if x.stype == 'default']:
                target[:] = held.as_in_context(target.context)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Takes in arrays, and writes the results into `out`, or into the arrays themselves."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority)

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Makes arrays for keys, and writes them into others."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Writes some rows of an array into another, whose other rows become 0: arrays are dense."""
        several = isinstance(key, list | tuple)
        for (k, targets), rows in zip(_pairs(key, out), row_ids if several else [row_ids], strict=True):
            chosen = list(rows) if isinstance(rows, list | tuple) else [rows]
            for target, numbers in zip(targets, chosen * len(targets) if len(chosen) == 1 else chosen, strict=True):
                held, index = self._held(k).value, as_jax(numbers).astype('int32').ravel()
                target[:] = NDArray(jnp.zeros_like(held).at[index].set(held[index])).as_in_context(target.context)

    def set_optimizer(self, optimizer: Any) -> None:
        """Has `push` update the arrays by an optimizer, for which what is pushed are gradients."""
        self._updater = get_updater(optimizer)

    def set_updater(self, updater: Any) -> None:
        self._updater = updater

    _set_updater: Callable[..., None] = set_updater  # MXNet's name

    def set_gradient_compression(self, compression_params: Any) -> None:
        """Does nothing: nothing is sent between processes."""

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether it can do something: 'optimizer'."""
        return capability.lower() == 'optimizer'

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Writes the state of the optimizer."""
        pathlib.Path(fname).write_bytes(self._optimizing().get_states(dump_optimizer))

    def load_optimizer_states(self, fname: str) -> None:
        """Reads the state of the optimizer."""
        self._optimizing().set_states(pathlib.Path(fname).read_bytes())

    def _optimizing(self) -> Updater:
        if not isinstance(self._updater, Updater):
            raise GluonError('the kvstore has no optimizer', remedy='set_optimizer(optimizer)')
        return self._updater

    def _barrier(self) -> None:
        """Returns at once: there is one process."""

    def _held(self, key: Key) -> NDArray:
        if key not in self._arrays:
            raise ArgumentError(f'the kvstore has no array for {key!r}', remedy=f'init({key!r}, array)')
        return self._arrays[key]


def _pairs(key: Any, value: Any) -> list[tuple[Key, list[NDArray]]]:
    """Each key with its arrays."""
    keys: Sequence[Key] = list(key) if isinstance(key, list | tuple) else [key]
    values = [value] if not isinstance(key, list | tuple) else list(value)
    if len(keys) != len(values):
        raise ArgumentError('there must be an array, or a list of them, for each key', expected=len(keys))
    return [(k, list(v) if isinstance(v, list | tuple) else [v]) for k, v in zip(keys, values, strict=True)]


KVStoreBase = KVStore


explain_calls(globals())
