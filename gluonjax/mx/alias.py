"""gluonjax.mx under the name of MXNet, for scripts that stay as they are."""

from __future__ import annotations

import atexit
import contextlib
import importlib.abc
import importlib.machinery
import logging
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gluonjax.mx
from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.advice import counting, report


def as_mxnet(advice: bool = False) -> ModuleType:
    """Lets `import mxnet` give `gluonjax.mx`, and `mxnet.gluon.nn` and the others theirs; returns `gluonjax.mx`.

    Args:
        advice: whether the script that runs is told at its end which lines would gain from the native API.

    Raises:
        ArgumentError: if MXNet itself is imported already; nothing is changed then.

    >>> import sys
    >>> mx = as_mxnet()
    >>> from mxnet import autograd, nd
    >>> from mxnet.gluon import nn
    >>> nd.ones((1, 2)).asnumpy()
    array([[1., 1.]], dtype=float32)
    >>> for name in [name for name in sys.modules if name.partition('.')[0] == 'mxnet']:
    ...     del sys.modules[name]
    """
    mx = gluonjax.mx
    if sys.modules.get('mxnet', mx) is not mx:
        raise ArgumentError('MXNet itself is imported already', remedy='call as_mxnet() before it')
    sys.modules['mxnet'] = mx
    if logging.getLogger('jax').level == logging.NOTSET:  # a script that logs is not told which devices JAX looks for
        logging.getLogger('jax').setLevel(logging.WARNING)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    path = getattr(sys.modules['__main__'], '__file__', None)
    if advice and path:
        scope = _advising(path)
        scope.__enter__()
        atexit.register(scope.__exit__, None, None, None)
    return mx


@contextlib.contextmanager
def _advising(path: str) -> Iterator[None]:
    """Counts what a script runs, and prints the advice on it at the end."""
    with counting(path) as counts:
        yield
    print(f'\n{report(path, counts)}')


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `mxnet.a.b` as the attribute `b` of `mxnet.a`, and leaves that module as it is."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith('mxnet.') or sys.modules.get('mxnet') is not gluonjax.mx:
            return None
        parent, _, name = fullname.rpartition('.')
        module = getattr(sys.modules[parent], name, None)
        if not isinstance(module, ModuleType):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, loader_state=(module, module.__spec__))

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return spec.loader_state[0]

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = module.__spec__.loader_state[1]  # type: ignore[union-attr]
        vars(module).setdefault('__path__', [])  # MXNet's are packages: `mxnet.ndarray.ndarray`


def run_script(path: str, arguments: Sequence[str] = (), advice: bool = False) -> None:
    """Runs a script as `python script.py` does, with gluonjax.mx under the name of MXNet.

    Args:
        path: of the script.
        arguments: what it finds in `sys.argv`.
        advice: whether the lines that would gain from the native API are printed at its end.

    Raises:
        FileError: if there is no such script.
    """
    if not Path(path).is_file():
        raise FileError(f'there is no script {path}')
    as_mxnet()
    argv, search = sys.argv, list(sys.path)
    sys.argv = [path, *arguments]
    sys.path.insert(0, str(Path(path).resolve().parent))
    try:
        with _advising(path) if advice else contextlib.nullcontext():
            runpy.run_path(path, run_name='__main__')
    finally:
        sys.argv, sys.path[:] = argv, search
