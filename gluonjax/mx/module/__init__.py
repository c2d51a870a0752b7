"""`mx.mod`: networks of symbols that are bound to shapes, trained and evaluated.

A `Module` is a symbol with its parameters; `fit` is the training loop. A step is two compiled programs: outputs and
gradients together, and the update of all parameters.
"""

from gluonjax.mx.module.base import BaseModule
from gluonjax.mx.module.bucketing import BucketingModule
from gluonjax.mx.module.module import Module

__all__ = ['BaseModule', 'BucketingModule', 'Module']
