"""Initializers: Gluon's set. Each states a distribution, and each is also a function `f(key, shape, dtype)`.

Shapes follow MXNet: the first axis counts outputs, the second inputs, the rest is the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.init.common import Constant, Normal, Xavier
from gluonjax.init.initializer import Initializer, InitializerLike, One, Uniform, Zero, create
from gluonjax.init.names import alias, register
from gluonjax.init.special import Bilinear, Load, LSTMBias, Mixed, MSRAPrelu, Orthogonal
from gluonjax.packages import refuses_unknown
from gluonjax.sampler import Distribution

__all__ = [
    'Bilinear', 'Constant', 'Distribution', 'Initializer', 'InitializerLike', 'LSTMBias', 'Load', 'MSRAPrelu', 'Mixed',
    'Normal', 'One', 'Orthogonal', 'Uniform', 'Xavier', 'Zero', 'alias', 'create', 'register',
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
