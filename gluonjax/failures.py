"""What failed calls of a network were: inputs that it cannot take, values that a training step used up meanwhile."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from gluonjax.arrays import is_array
from gluonjax.block import Block, structure_of
from gluonjax.errors import AllocationError, ArgumentError
from gluonjax.host_callbacks import check_callback
from gluonjax.keys import as_key
from gluonjax.parameter import LOCK
from gluonjax.placement import is_of_explicit_axes, mesh_of_explicit_axes, refuse_explicit_context, take_explicit_axes
from gluonjax.ref import Values
from gluonjax.sampler import Request
from gluonjax.shapes import shape_text


def may_retry(net: Block, error: Exception, values: Values, inputs: Any) -> bool:
    """Whether a call that failed can be made again.

    A training step in another thread used up the values it had read; or inputs lie over explicit axes of a mesh, for
    which not every layer says how to compute over devices, and the calls that follow give them automatic ones.

    Raises:
        DonatedError: if it was somebody's compiled function that used up what the Parameters have.
        ArgumentError: if an argument is neither an array nor hashable, or an input on another device than the network.
        CallbackError: if a function failed that the network calls back.
    """
    with LOCK:
        for parameter in structure_of(net).parameters:
            parameter.check_not_donated()
        if any(value is not None and value.is_deleted() for value in values):
            return True
    if mesh_of_explicit_axes(inputs) is not None:
        take_explicit_axes(structure_of(net))
        return True
    _check_hashable(inputs)
    explain(net, error, inputs)
    return False


def _check_hashable(tree: Any) -> None:
    """Refuses arguments that are neither arrays nor can be part of a program.

    Raises:
        ArgumentError: naming one.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            remedy = 'net.specs(x) infers shapes, jax.eval_shape(net, x) the shape of the output'
            raise ArgumentError('a network is called on arrays', got=repr(leaf), remedy=remedy) from None
        try:
            hash(None if is_array(leaf) else leaf)
        except (TypeError, ValueError):  # a memoryview has a ValueError
            raise ArgumentError(
                f'the argument {jax.tree_util.keystr(path)} is neither an array nor hashable',
                expected='arrays, or what can be a static argument of jax.jit',
                got=f'{type(leaf).__name__}: {leaf!r}',
                remedy='pass a tuple, a frozenset or a frozen dataclass; net.hybridize(active=False) takes anything',
            ) from None


def explain(net: Block, error: Exception, inputs: Any) -> None:
    """Says of what error a call failed: an input on another device than the network's, or that of a callback.

    Raises:
        ArgumentError: which names both devices; or says that `jax.set_mesh` has set explicit axes.
        CallbackError: which has the text of the callback's error.
    """
    check_callback(error)
    if is_of_explicit_axes(error):
        refuse_explicit_context()
    if 'incompatible devices' not in str(error):
        return
    values = {name: p.current for name, p in structure_of(net).parameters_by_name().items() if p.current is not None}
    homes = {name: value.devices() for name, value in values.items() if value.committed}
    home = next((one.devices() for one in sorted(values.values(), key=lambda value: not value.committed)), set())
    if elsewhere := [name for name, devices in homes.items() if devices != home]:
        raise ArgumentError(
            f'the parameters of {type(net).__name__} are on different devices',
            expected='one device, or one set of devices',
            got=', '.join(f'{name} on {_text(homes[name])}' for name in (next(iter(homes)), elsewhere[0])),
            remedy='net.to(device) brings them together; or call the parts, with jax.device_put(x, device) in between',
        ) from None
    _refuse_elsewhere(net, inputs, home)


def _refuse_elsewhere(net: Block, inputs: Any, home: set[Any]) -> None:
    """Refuses inputs, and labels of a `Batch`, on other devices than the network.

    Raises:
        ArgumentError: naming both.
    """
    paths = [(path, x) for path, x in jax.tree_util.tree_leaves_with_path(inputs) if isinstance(x, jax.Array)]
    if others := [(path, x) for path, x in paths if x.devices() != home]:
        labels = all(getattr(path[0], 'name', None) == 'label' for path, _ in others)
        name = 'a label' if labels else 'an input'
        raise ArgumentError(
            f'{name} of {type(net).__name__} was put on another device than the network',
            expected=f'arrays of NumPy, or on {_text(home)}',
            got=', '.join(f'{x.dtype}{x.shape} on {_text(x.devices())}' for _, x in others),
            remedy='jax.device_put(x, device) brings it to the network, net.to(device) the network to it',
        ) from None


def key_and_shape(key: Any, shape: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """What an initializer that is called directly is given: a key or None, and a shape whose elements can be counted.

    For shapes with too many, XLA would end the process.

    Raises:
        AllocationError: if they cannot.
        ArgumentError: for a size below 0.
    """
    if any(isinstance(size, int) and size < 0 for size in shape):
        raise ArgumentError('sizes must be ints >= 0', got=shape_text(tuple(shape)))
    if all(isinstance(size, int) for size in shape) and math.prod(shape) >= 2**48:
        raise AllocationError('an array of this shape does not fit into memory', got=shape_text(tuple(shape)))
    return None if key is None else as_key(key), tuple(shape)


def check_memory(requests: Sequence[Request]) -> None:
    """Refuses to draw what does not fit into the memory of this machine; XLA would end the process.

    Raises:
        AllocationError: naming the largest parameter.
    """
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') if hasattr(os, 'sysconf') else 2**42
    if sum(map(_bytes_here, requests)) > memory:
        largest = max(requests, key=_bytes_here)
        raise AllocationError(
            f'parameter {largest.name!r} does not fit into memory',
            expected=f'at most {_gigabytes(memory)} for all parameters together',
            got=f'{shape_text(largest.shape)} of {np.dtype(largest.dtype)}, {_gigabytes(_bytes_of(largest))}',
            remedy='make its layer smaller; or net.initialize(device=sharding) divides it between devices',
        )


def _bytes_of(request: Request) -> int:
    return request.size * np.dtype(request.dtype).itemsize


def _bytes_here(request: Request) -> int:
    """What a draw takes of one device, or of this machine's memory."""
    sharding = request.sharding
    if sharding is None:
        return _bytes_of(request)
    part = request._replace(shape=sharding.shard_shape(request.shape))
    on_cpu = [device for device in sharding.addressable_devices if device.platform == 'cpu']
    return _bytes_of(part) * max(1, len(on_cpu))


def _gigabytes(size: int) -> str:
    return f'{size / 2**30:,.1f} GiB'


@contextlib.contextmanager
def explaining(net: Block, inputs: Any) -> Iterator[None]:
    """Says of what errors come from devices, as `explain` does."""
    try:
        yield
    except Exception as error:
        explain(net, error, inputs)
        raise


def _text(devices: Any) -> str:
    return ', '.join(sorted(map(str, devices)))
