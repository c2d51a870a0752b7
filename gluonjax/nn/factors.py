"""The last linear layer of a language model, for losses that multiply in chunks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax.checks import floating
from gluonjax.init.initializer import InitializerLike
from gluonjax.nn.dense import Dense


class DenseFactors(Dense):
    """A `Dense` over the last axis that returns what it would multiply: `(x, weight, bias)`, zeros without a bias.

    `loss.LinearSoftmaxCrossEntropyLoss` takes the three, so that logits over a large vocabulary are never held whole.
    Parameters are those of `Dense(units, flatten=False)`, with their names and shapes: values go from one to the other,
    and `params=embedding.params` ties the weight to that of an `Embedding`.

    Args:
        units: the size of the vocabulary.
        use_bias: whether there is a bias.
        dtype: the dtype of the parameters.
        weight_initializer: of the weight, shape (units, in_units).
        bias_initializer: of the bias, shape (units,).
        in_units: the size of the input; None (or 0) lets the first input decide.

    Raises:
        ArgumentError: if an argument has a value that is not allowed.
        DTypeError: when called, if the input is not of floating point.

    >>> layer, x = DenseFactors(1000), jnp.ones((2, 3, 4))
    >>> [array.shape for array in layer.apply(layer.init(0, x), x)]
    [(2, 3, 4), (1000, 4), (1000,)]
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        dtype: DTypeLike = 'float32',
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_units: int | None = None,
    ):
        super().__init__(units, None, use_bias, False, dtype, weight_initializer, bias_initializer, in_units)

    def forward(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        floating(x)
        return x, self.weight, self.bias if self.use_bias else jnp.zeros(self.units, self.weight.dtype)
