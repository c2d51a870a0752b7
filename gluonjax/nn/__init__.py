"""Layers, and the networks made of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gluonjax.block import Block, HybridBlock
from gluonjax.hints import missing
from gluonjax.layer import Layer
from gluonjax.nn.activation_layers import ELU, GELU, SELU, Activation, LeakyReLU, PReLU, SiLU, Swish
from gluonjax.nn.attention import AttentionCache, MultiHeadAttention
from gluonjax.nn.containers import Concatenate, Concurrent, HybridConcatenate, HybridConcurrent, Parallel, Residual
from gluonjax.nn.conv import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose
from gluonjax.nn.dense import Dense
from gluonjax.nn.dropout import Dropout
from gluonjax.nn.embedding import Embedding
from gluonjax.nn.factors import DenseFactors
from gluonjax.nn.norm import BatchNorm, BatchNormReLU, GroupNorm, InstanceNorm, LayerNorm, RMSNorm, SyncBatchNorm
from gluonjax.nn.pool import (
    AvgPool1D,
    AvgPool2D,
    AvgPool3D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalAvgPool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
)
from gluonjax.nn.position import LearnedPositions, RotaryPositions, SinusoidalPositions
from gluonjax.nn.repeat import Remat, Repeat
from gluonjax.nn.reshape import (
    Flatten,
    Identity,
    Lambda,
    PixelShuffle1D,
    PixelShuffle2D,
    PixelShuffle3D,
    ReflectionPad2D,
)
from gluonjax.nn.sequential import HybridSequential, Sequential
from gluonjax.param import Param

HybridLambda = Lambda

__all__ = [  # noqa: RUF022  (a test holds the order of sorted())
    'Activation',
    'AttentionCache',
    'AvgPool1D',
    'AvgPool2D',
    'AvgPool3D',
    'BatchNorm',
    'BatchNormReLU',
    'Block',
    'Concatenate',
    'Concurrent',
    'Conv1D',
    'Conv1DTranspose',
    'Conv2D',
    'Conv2DTranspose',
    'Conv3D',
    'Conv3DTranspose',
    'Dense',
    'DenseFactors',
    'Dropout',
    'ELU',
    'Embedding',
    'Flatten',
    'GELU',
    'GlobalAvgPool1D',
    'GlobalAvgPool2D',
    'GlobalAvgPool3D',
    'GlobalMaxPool1D',
    'GlobalMaxPool2D',
    'GlobalMaxPool3D',
    'GroupNorm',
    'HybridBlock',
    'HybridConcatenate',
    'HybridConcurrent',
    'HybridLambda',
    'HybridSequential',
    'Identity',
    'InstanceNorm',
    'Lambda',
    'Layer',
    'LayerNorm',
    'LeakyReLU',
    'LearnedPositions',
    'MaxPool1D',
    'MaxPool2D',
    'MaxPool3D',
    'MultiHeadAttention',
    'PReLU',
    'Parallel',
    'Param',
    'PixelShuffle1D',
    'PixelShuffle2D',
    'PixelShuffle3D',
    'RMSNorm',
    'ReflectionPad2D',
    'Remat',
    'Repeat',
    'Residual',
    'RotaryPositions',
    'SELU',
    'Sequential',
    'SiLU',
    'SinusoidalPositions',
    'Swish',
    'SyncBatchNorm',
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name == 'SymbolBlock':  # a graph of MXNet's operators, which stand on these layers
            return importlib.import_module('gluonjax.mx.gluon.symbol_block').SymbolBlock
        raise missing("module 'gluonjax.nn'", name, 'gluonjax.nn', __all__)
