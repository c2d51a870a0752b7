"""What failed calls of a network were: inputs that it cannot take, values that a training step used up meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax

from gluonjax.block import Block, structure_of
from gluonjax.errors import ArgumentError
from gluonjax.parameter import LOCK
from gluonjax.ref import Values
from gluonjax.static import is_array


def may_retry(net: Block, error: Exception, values: Values, inputs: Any) -> bool:
    """Whether a call that failed can be made again: a training step in another thread used up the values it had read.

    Raises:
        DonatedError: if it was somebody's compiled function that used up what the Parameters have.
        ArgumentError: if an argument is neither an array nor hashable, or an input on another device than the network.
    """
    with LOCK:
        for parameter in structure_of(net).parameters:
            parameter.check_not_donated()
        if any(value is not None and value.is_deleted() for value in values):
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
        try:
            hash(None if is_array(leaf) else leaf)
        except TypeError:
            raise ArgumentError(
                f'the argument {jax.tree_util.keystr(path)} is neither an array nor hashable',
                expected='arrays, or what can be a static argument of jax.jit',
                got=f'{type(leaf).__name__}: {leaf!r}',
                remedy='pass a tuple, a frozenset or a frozen dataclass; net.hybridize(active=False) takes anything',
            ) from None


def explain(net: Block, error: Exception, inputs: Any) -> None:
    """Says of what error a call failed, if that is an input on another device than the network's.

    Raises:
        ArgumentError: which names both.
    """
    if 'incompatible devices' not in str(error):
        return
    values = [parameter.current for parameter in structure_of(net).parameters if parameter.current is not None]
    home = {device for value in values for device in value.devices()}
    others = [x for x in jax.tree.leaves(inputs) if isinstance(x, jax.Array) and x.devices() != home]
    if others:
        raise ArgumentError(
            f'an input of {type(net).__name__} was put on another device than the network',
            expected=f'arrays of NumPy, or on {_text(home)}',
            got=', '.join(f'{x.dtype}{x.shape} on {_text(x.devices())}' for x in others),
            remedy='jax.device_put(x, device) brings the input to the network, net.to(device) the network to the input',
        ) from None


@contextlib.contextmanager
def explaining(net: Block, inputs: Any) -> Iterator[None]:
    """Says of what errors come from devices, as `explain` does."""
    try:
        yield
    except ValueError as error:
        explain(net, error, inputs)
        raise


def _text(devices: Any) -> str:
    return ', '.join(sorted(map(str, devices)))
