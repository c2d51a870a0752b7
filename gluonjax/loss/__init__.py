"""Losses: pure functions of arrays with Gluon's options. They know nothing of layers.

`nn.Sequential` and `init`/`apply` give predictions; a loss turns them and labels into one number per sample:

>>> import jax.numpy as jnp
>>> L2Loss()(jnp.array([[1.0, 3.0], [0.0, 0.0]]), jnp.array([[1.0, 1.0], [0.0, 2.0]]))
Array([1., 1.], dtype=float32)

All of them, and every subclass of `Loss`, share this:

- Inputs are NumPy or JAX arrays. A label may be of integers or bools. It is reshaped like the prediction, so that it
  only needs as many elements.
- The result has the dtype of the first input. Half-precision inputs are taken to float32 first, so only the result is
  rounded; cast the prediction to float32 to keep all digits.
- `sample_weight` multiplies the loss of each element before the mean. It broadcasts, as NumPy does, to the shape of
  these losses, (N, 1) beside (N, C), and may not enlarge it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gluonjax.loss.base import Loss
from gluonjax.loss.classification import (
    HingeLoss,
    KLDivLoss,
    LogisticLoss,
    SigmoidBCELoss,
    SigmoidBinaryCrossEntropyLoss,
    SoftmaxCELoss,
    SoftmaxCrossEntropyLoss,
    SquaredHingeLoss,
)
from gluonjax.loss.ctc import CTCLoss
from gluonjax.loss.embedding import CosineEmbeddingLoss, SDMLLoss, TripletLoss
from gluonjax.loss.regression import HuberLoss, L1Loss, L2Loss, PoissonNLLLoss
from gluonjax.loss.vocabulary import LinearSoftmaxCrossEntropyLoss
from gluonjax.packages import refuses_unknown

__all__ = [
    'CTCLoss',
    'CosineEmbeddingLoss',
    'HingeLoss',
    'HuberLoss',
    'KLDivLoss',
    'L1Loss',
    'L2Loss',
    'LinearSoftmaxCrossEntropyLoss',
    'LogisticLoss',
    'Loss',
    'PoissonNLLLoss',
    'SDMLLoss',
    'SigmoidBCELoss',
    'SigmoidBinaryCrossEntropyLoss',
    'SoftmaxCELoss',
    'SoftmaxCrossEntropyLoss',
    'SquaredHingeLoss',
    'TripletLoss',
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
