"""`mx.model`: checkpoints of symbols, as the Module era writes them; and `FeedForward`, which was before it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from gluonjax.errors import FileError
from gluonjax.hints import missing
from gluonjax.mx import ndarray as nd
from gluonjax.mx import symbol as symbols
from gluonjax.mx.array import NDArray
from gluonjax.mx.entry import explain_calls

Arrays = dict[str, NDArray]


class BatchEndParam(NamedTuple):
    """What a callback at the end of a batch is told.

    Args:
        epoch: the number of the epoch.
        nbatch: the number of the batch in it.
        eval_metric: the metric, with all batches so far.
        locals: the variables of the loop.
    """

    epoch: int
    nbatch: int
    eval_metric: Any
    locals: Any = None


def save_params(fname: str | os.PathLike[str], arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
    """Writes parameters and auxiliary states into one file, as 'arg:NAME' and 'aux:NAME'."""
    named = {f'arg:{name}': array for name, array in arg_params.items()}
    nd.save(fname, named | {f'aux:{name}': array for name, array in aux_params.items()})


def read_params(fname: str | os.PathLike[str]) -> tuple[Arrays, Arrays]:
    """Parameters and auxiliary states of a file.

    Raises:
        FileError: if it is none of parameters and auxiliary states.
    """
    found: dict[str, Arrays] = {'arg': {}, 'aux': {}}
    for key, array in dict(nd.load(fname)).items() if fname else ():
        kind, _, name = key.partition(':')
        if kind not in found or not name:
            raise FileError(f'{os.fspath(fname)!r} holds no parameters of a Module', expected='arg:NAME', got=key)
        found[kind][name] = array
    return found['arg'], found['aux']


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Any,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    remove_amp_cast: bool = True,
) -> None:
    """Writes PREFIX-symbol.json, and PREFIX-0001.params for epoch 1.

    Args:
        prefix: how the names of the files begin.
        epoch: the number.
        symbol: the network; None writes parameters only.
        arg_params: the parameters by name.
        aux_params: the auxiliary states by name.
        remove_amp_cast: accepted.
    """
    if symbol is not None:
        symbol.save(f'{prefix}-symbol.json')
    save_params(f'{prefix}-{epoch:04d}.params', arg_params, aux_params)


def load_params(prefix: str, epoch: int) -> tuple[Arrays, Arrays]:
    """The parameters and the auxiliary states of PREFIX-0001.params, for epoch 1."""
    return read_params(f'{prefix}-{epoch:04d}.params')


def load_checkpoint(prefix: str, epoch: int) -> tuple[Any, Arrays, Arrays]:
    """The symbol, the parameters and the auxiliary states of a checkpoint.

    >>> import tempfile, gluonjax.mx as mx
    >>> prefix = tempfile.mkdtemp() + '/net'
    >>> save_checkpoint(prefix, 3, mx.sym.var('x') * 2, {'w': mx.nd.ones(1)}, {})
    >>> symbol, arg_params, aux_params = load_checkpoint(prefix, 3)
    >>> symbol.list_arguments(), list(arg_params), aux_params
    (['x'], ['w'], {})
    """
    return symbols.load(f'{prefix}-symbol.json'), *load_params(prefix, epoch)


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """`FeedForward`, which stands on Modules; of all else it says what there is instead."""
        if name == 'FeedForward':
            return importlib.import_module('gluonjax.mx.feedforward').FeedForward
        raise missing(f'module {__name__!r}', name, __name__, globals())


explain_calls(globals())
