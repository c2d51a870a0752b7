"""`gluon.contrib.nn`: containers side by side, and layers.

>>> from gluonjax.mx import nd
>>> net = HybridConcurrent(axis=1)
>>> net.add(Identity(), Identity())
>>> net(nd.ones((1, 2))).shape
(1, 4)
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gluonjax.hints import missing
from gluonjax.mx import ndarray, symbol
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon import nn
from gluonjax.mx.gluon.block import HybridBlock, children_of, of_symbols
from gluonjax.mx.gluon.parameter import ParameterDict

basic_layers: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here

__all__ = ['Concurrent', 'HybridConcurrent', 'Identity', 'SparseEmbedding']


class Concurrent(nn.Sequential):
    """Blocks side by side: each takes the input, and their outputs are concatenated.

    Args:
        axis: along which.
        prefix: MXNet's.
        params: MXNet's.
    """

    def __init__(self, axis: int = -1, prefix: str | None = None, params: ParameterDict | None = None):
        super().__init__(prefix, params)
        self.axis: int = axis

    def forward(self, *args: Any) -> Any:
        """Runs the blocks, and concatenates."""
        F: Any = symbol if of_symbols(args) else ndarray
        with self.name_scope() if of_symbols(args) else contextlib.nullcontext():
            return self._joined(F, args)

    def _joined(self, F: Any, args: Sequence[Any]) -> Any:
        return F.concat(*[block(*args) for block in children_of(self).values()], dim=self.axis)


class HybridConcurrent(Concurrent, HybridBlock):
    """Blocks side by side, compiled whole after `hybridize`."""


class Identity(HybridBlock):
    """Gives its input."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The input."""
        return x


def SparseEmbedding(input_dim: int, output_dim: int, dtype: Any = 'float32', **kwargs: Any) -> Any:
    """`nn.Embedding`: gradients are dense here."""
    embedding: Any = nn.Embedding  # pyright: ignore[reportAttributeAccessIssue]
    return embedding(input_dim, output_dim, dtype=dtype, **kwargs)


_SAME = ('SyncBatchNorm', 'PixelShuffle1D', 'PixelShuffle2D', 'PixelShuffle3D')

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Layers that gluonjax.nn has too."""
        if name not in _SAME:
            raise missing(f'module {__name__!r}', name, __name__, __all__)
        return getattr(nn, name)


explain_calls(globals())
