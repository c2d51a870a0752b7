"""Embedding."""

import jax.numpy as jnp

from gluonjax.checks import size
from gluonjax.errors import DTypeError
from gluonjax.layer import Layer
from gluonjax.param import Param


class Embedding(Layer):
    """Rows of a table by index: (...) -> (..., output_dim), as MXNet's `Embedding`.

    Indices may be of floating point: fractions are cut off. A compiled program cannot refuse an index, so those out of
    range are clipped: they read the first or the last row, and their gradients go there.

    Args:
        input_dim: the number of rows.
        output_dim: the length of a row.
        dtype: the dtype of the table.
        weight_initializer: of the table, shape (input_dim, output_dim).
        sparse_grad: MXNet's; accepted, gradients are dense here.

    Raises:
        DTypeError: in a run, for complex indices.

    >>> layer = Embedding(3, 2, weight_initializer='ones')
    >>> layer.apply(layer.init(0), jnp.array([0, 2])).shape
    (2, 2)
    """

    def __init__(self, input_dim, output_dim, dtype='float32', weight_initializer=None, sparse_grad=False):
        self.input_dim, self.output_dim = size('input_dim', input_dim), size('output_dim', output_dim)
        self.weight = Param((input_dim, output_dim), dtype, weight_initializer)

    def forward(self, x):
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            raise DTypeError('an index is a real number', got=f'{x.dtype} of shape {x.shape}')
        if not jnp.issubdtype(x.dtype, jnp.integer):
            x = jnp.clip(x, 0, self.input_dim - 1).astype(jnp.int32)
        return jnp.take(self.weight, x, axis=0, mode='clip')
