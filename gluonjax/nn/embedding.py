"""Embedding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gluonjax.checks import size
from gluonjax.errors import DTypeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn.lookup import rows
from gluonjax.param import Param


class Embedding(Layer):
    """Rows of a table by index: (...) -> (..., output_dim), as MXNet's `Embedding`.

    Indices may be of floating point; their fractions are dropped. A compiled function cannot raise an error for an
    index, so indices out of range are clipped: they read the first or the last row, and their gradients go there.

    Args:
        input_dim: the number of rows.
        output_dim: the length of a row.
        dtype: the dtype of the table.
        weight_initializer: of the table, shape (input_dim, output_dim).
        sparse_grad: accepted for Gluon programs; gradients are dense.

    Raises:
        DTypeError: when called, for complex indices.

    >>> layer = Embedding(3, 2, weight_initializer='ones')
    >>> layer.apply(layer.init(0), jnp.array([0, 2])).shape
    (2, 2)
    """

    input_dim: int
    output_dim: int
    weight: jax.Array

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        dtype: DTypeLike = 'float32',
        weight_initializer: InitializerLike | None = None,
        sparse_grad: bool = False,
    ):
        self.input_dim, self.output_dim = size('input_dim', input_dim), size('output_dim', output_dim)
        self.weight = Param((self.input_dim, self.output_dim), dtype, weight_initializer)

    def forward(self, x: jax.Array) -> jax.Array:
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            raise DTypeError('an index is a real number', got=f'{x.dtype} of shape {x.shape}')
        if not jnp.issubdtype(x.dtype, jnp.integer):
            x = jnp.clip(x, 0, self.input_dim - 1).astype(jnp.int32)
        return rows(self.weight, x)
