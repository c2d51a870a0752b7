"""Which operators and layers compute in half precision after `contrib.amp.init`, and which in float32."""

from typing import Any

import jax.numpy as jnp

from gluonjax import nn, rnn
from gluonjax.layer import Layer
from gluonjax.rnn.layers import RecurrentLayer

# What is products of matrices takes inputs of the target dtype; what sums many numbers or grows fast takes float32.
LOW: set[str] = {'Convolution', 'Deconvolution', 'FullyConnected', 'RNN', 'batch_dot', 'dot', '_linalg_gemm2'}
HIGH: set[str] = {
    'CTCLoss', 'SoftmaxOutput', 'cumsum', 'exp', 'expm1', 'log', 'log10', 'log1p', 'log2', 'log_softmax', 'mean',
    'nansum', 'norm', 'prod', 'softmax', 'softmax_cross_entropy', 'softmin', 'sum',
}  # fmt: skip
_CONVOLUTIONS = (
    nn.Conv1D,
    nn.Conv2D,
    nn.Conv3D,
    nn.Conv1DTranspose,
    nn.Conv2DTranspose,
    nn.Conv3DTranspose,
)
_LAYERS = (nn.Dense, *_CONVOLUTIONS, RecurrentLayer, rnn.LSTMCell, rnn.GRUCell, rnn.RNNCell)
_TARGET: list[str] = []


def target() -> str | None:
    """The dtype of half precision; None before `amp.init`."""
    return _TARGET[0] if _TARGET else None


def set_target(dtype: str | None) -> None:
    """Casts to this dtype from here on; None ends it."""
    _TARGET[:] = [] if dtype is None else [dtype]


def dtype_for(operator: str) -> str | None:
    """The dtype of an operator's inputs of floating point; None for as they are."""
    if not _TARGET:
        return None
    return 'float32' if operator in HIGH else _TARGET[0] if operator in LOW else None


def precision_of(layer: Layer) -> str | None:
    """The dtype that a layer computes in; None for that of its inputs."""
    return _TARGET[0] if _TARGET and isinstance(layer, _LAYERS) else None


def is_cast(array: Any, dtype: str) -> bool:
    """Whether an array is of floating point, and of another dtype."""
    return jnp.issubdtype(array.dtype, jnp.floating) and array.dtype != dtype
