"""`mx.np.linalg`: linear algebra, recorded where MXNet does.

>>> from gluonjax.mx import np
>>> np.linalg.norm(np.array([3, 4]))
array(5.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as onp

from gluonjax.errors import MissingNameError
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.numpy.array import call, on_host
from gluonjax.mx.numpy.pure import LINALG


def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors, which must be real."""
    return tuple(on_host(lambda x: tuple(onp.linalg.eig(x)), a))


def eigvals(a: Any) -> Any:
    """Eigenvalues, which must be real."""
    return on_host(onp.linalg.eigvals, a)


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return call(f'linalg.{name}', *args, **kwargs)

    function.__name__, function.__doc__ = name, f'As `numpy.linalg.{name}`.'
    return function


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Every function of MXNet's `np.linalg`."""
        if name not in LINALG:
            raise MissingNameError(f'gluonjax.mx.np.linalg has no {name!r}', name=name)
        return _function(name)


explain_calls(globals())
