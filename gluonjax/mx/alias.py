"""gluonjax.mx under the name of MXNet, for scripts that stay as they are."""

import importlib.abc
import importlib.machinery
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import gluonjax.mx
from gluonjax.errors import ArgumentError, FileError


def as_mxnet() -> ModuleType:
    """Lets `import mxnet` give `gluonjax.mx`, and `mxnet.gluon.nn` and the others theirs; returns `gluonjax.mx`.

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
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    return mx


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


def run_script(path: str, arguments: Sequence[str] = ()) -> None:
    """Runs a script as `python script.py` does, with gluonjax.mx under the name of MXNet.

    Args:
        path: of the script.
        arguments: what it finds in `sys.argv`.

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
        runpy.run_path(path, run_name='__main__')
    finally:
        sys.argv, sys.path[:] = argv, search
