"""gluonjax.mx under the name of MXNet, for scripts that stay as they are."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

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
    for parent, names in (('mxnet', mx.__all__), ('mxnet.gluon', mx.gluon.__all__)):
        for name in names:
            module = getattr(sys.modules[parent], name)
            if isinstance(module, ModuleType):
                sys.modules[f'{parent}.{name}'] = module
    return mx


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
