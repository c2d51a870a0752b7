"""Which operators and layers compute in half precision after `contrib.amp.init`, and which in float32."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import jax.numpy as jnp

from gluonjax import nn, rnn
from gluonjax.layer import Layer
from gluonjax.rnn.layers import RecurrentLayer

# What is products of matrices takes inputs of the target dtype; what sums many numbers or grows fast takes float32.
LOW: frozenset[str] = frozenset(
    {'Convolution', 'Deconvolution', 'FullyConnected', 'RNN', 'batch_dot', 'dot', '_linalg_gemm2'}
)
HIGH: frozenset[str] = frozenset({
    'CTCLoss', 'SoftmaxOutput', 'cumsum', 'exp', 'expm1', 'log', 'log10', 'log1p', 'log2', 'log_softmax', 'mean',
    'nansum', 'norm', 'prod', 'softmax', 'softmax_cross_entropy', 'softmin', 'sum',
})  # fmt: skip
_CONVOLUTIONS = (
    nn.Conv1D,
    nn.Conv2D,
    nn.Conv3D,
    nn.Conv1DTranspose,
    nn.Conv2DTranspose,
    nn.Conv3DTranspose,
)
_LAYERS = (nn.Dense, *_CONVOLUTIONS, RecurrentLayer, rnn.LSTMCell, rnn.GRUCell, rnn.RNNCell)


class _Policy(NamedTuple):
    target: str
    low: Collection[str]
    high: Collection[str]


_POLICY: list[_Policy] = []  # of the process, as in MXNet; empty before `amp.init`


def target() -> str | None:
    """The dtype of half precision; None before `amp.init`."""
    return _POLICY[0].target if _POLICY else None


def begin(dtype: str, low: Collection[str] = (), high: Collection[str] = ()) -> None:
    """Casts from here on: to this dtype, also for the operators in `low`; and those in `high` to float32."""
    _POLICY[:] = [_Policy(dtype, (LOW - {*high}) | {*low}, (HIGH - {*low}) | {*high})]


def is_on() -> bool:
    """Whether layers compute in half precision."""
    return bool(_POLICY)


def end() -> None:
    """Casts no more."""
    _POLICY.clear()


def dtype_for(operator: str) -> str | None:
    """The dtype of an operator's inputs of floating point; None for as they are."""
    if not _POLICY:
        return None
    half, low, high = _POLICY[0]
    return 'float32' if operator in high else half if operator in low else None


def precision_of(layer: Layer) -> str | None:
    """The dtype that a layer computes in; None for that of its inputs."""
    return target() if _POLICY and isinstance(layer, _LAYERS) else None


def is_cast(array: Any, dtype: str) -> bool:
    """Whether an array is of floating point, and of another dtype."""
    return jnp.issubdtype(array.dtype, jnp.floating) and array.dtype != dtype
