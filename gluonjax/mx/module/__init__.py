"""`mx.mod`: networks of symbols that are bound to shapes, trained and evaluated.

A `Module` is a symbol with its parameters; `fit` is the training loop. A step is two compiled programs: outputs and
gradients together, and the update of all parameters.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gluonjax.hints import missing
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.module.base import BaseModule
from gluonjax.mx.module.bucketing import BucketingModule
from gluonjax.mx.module.chained import PythonLossModule, PythonModule, SequentialModule
from gluonjax.mx.module.module import Module

base_module: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
bucketing_module: ModuleType = sys.modules[__name__]
python_module: ModuleType = sys.modules[__name__]
sequential_module: ModuleType = sys.modules[__name__]

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Says what there is instead."""
        raise missing(f'module {__name__!r}', name, __name__, __all__)


__all__ = ['BaseModule', 'BucketingModule', 'Module', 'PythonLossModule', 'PythonModule', 'SequentialModule']


explain_calls(globals())
