"""Layers, and the networks made of them."""

from gluonjax.binding import Param
from gluonjax.block import Block, HybridBlock
from gluonjax.layer import Layer
from gluonjax.nn.activation import Activation
from gluonjax.nn.conv import Conv2D
from gluonjax.nn.dense import Dense
from gluonjax.nn.dropout import Dropout
from gluonjax.nn.embedding import Embedding
from gluonjax.nn.norm import BatchNorm
from gluonjax.nn.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from gluonjax.nn.repeat import Remat, Repeat
from gluonjax.nn.reshape import Flatten, Identity, Lambda
from gluonjax.nn.sequential import (
    Concatenate,
    HybridConcatenate,
    HybridSequential,
    Sequential,
)

HybridLambda = Lambda

__all__ = [
    'Activation',
    'AvgPool2D',
    'BatchNorm',
    'Block',
    'Concatenate',
    'Conv2D',
    'Dense',
    'Dropout',
    'Embedding',
    'Flatten',
    'GlobalAvgPool2D',
    'HybridBlock',
    'HybridConcatenate',
    'HybridLambda',
    'HybridSequential',
    'Identity',
    'Lambda',
    'Layer',
    'MaxPool2D',
    'Param',
    'Remat',
    'Repeat',
    'Sequential',
]
