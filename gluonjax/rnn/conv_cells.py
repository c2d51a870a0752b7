"""Cells whose products are convolutions (Shi et al., 2015): one N-dimensional body, and thin names on top."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import jax

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.nn import activation as activations
from gluonjax.nn import arguments
from gluonjax.nn.activation import ActivationLike
from gluonjax.nn.kernels import convolve
from gluonjax.nn.precision import add_bias
from gluonjax.param import Param
from gluonjax.rnn import equations
from gluonjax.rnn.cells import GatedCell

Sizes = int | Sequence[int]  # one for each spatial axis, or one for all


class _ConvCell(GatedCell):
    spatial: ClassVar[str]

    input_shape: tuple[int, ...]
    hidden_channels: int
    state_shape: tuple[int, ...]
    i2h_kernel: tuple[int, ...]
    h2h_kernel: tuple[int, ...]
    i2h_pad: tuple[int, ...]
    i2h_dilate: tuple[int, ...]
    h2h_dilate: tuple[int, ...]
    conv_layout: str
    activation: ActivationLike

    def _set_shapes(
        self, input_shape: Sequence[int], hidden_channels: int, conv_layout: str, activation: ActivationLike
    ) -> None:
        activations.function(activation)
        self.conv_layout, self.activation = arguments.layout(conv_layout, self.spatial), activation
        if not isinstance(input_shape, Iterable):
            raise ArgumentError(f'input_shape must be a tuple of ints, got {input_shape!r}')
        self.input_shape = arguments.per_axis('input_shape', input_shape, len(self.spatial) + 1)
        self.hidden_channels = checks.size('hidden_channels', hidden_channels)

    def _set_kernels(
        self, i2h_kernel: Sizes, h2h_kernel: Sizes, i2h_pad: Sizes, i2h_dilate: Sizes, h2h_dilate: Sizes
    ) -> None:
        rank = len(self.spatial)
        self.i2h_kernel = arguments.per_axis('i2h_kernel', i2h_kernel, rank)
        self.h2h_kernel = arguments.per_axis('h2h_kernel', h2h_kernel, rank)
        self.i2h_pad = arguments.per_axis('i2h_pad', i2h_pad, rank, least=0)
        self.i2h_dilate = arguments.per_axis('i2h_dilate', i2h_dilate, rank)
        self.h2h_dilate = arguments.per_axis('h2h_dilate', h2h_dilate, rank)
        if any(kernel % 2 == 0 for kernel in self.h2h_kernel):
            raise ArgumentError(
                'h2h_kernel must be odd, as states keep their size', expected='odd numbers', got=self.h2h_kernel
            )
        self.state_shape = self._state_shape()

    def _state_shape(self) -> tuple[int, ...]:
        shape = []
        for axis, kernel, pad, dilate in zip(self.spatial, self.i2h_kernel, self.i2h_pad, self.i2h_dilate, strict=True):
            padded = self.input_shape[self.conv_layout.index(axis) - 1] + 2 * pad
            covered = dilate * (kernel - 1) + 1
            if covered > padded:
                raise ArgumentError(
                    f'the kernel is larger than the padded input along {axis}',
                    expected=f'a size <= {padded}',
                    got=f'{covered} (i2h_kernel {self.i2h_kernel}, i2h_dilate {self.i2h_dilate})',
                    remedy='give a larger input_shape, more padding or a smaller kernel',
                )
            shape.append(padded - covered + 1)
        return self._in_layout(self.hidden_channels, shape)

    def _set_params(
        self,
        i2h_weight_initializer: InitializerLike | None,
        h2h_weight_initializer: InitializerLike | None,
        i2h_bias_initializer: InitializerLike | None,
        h2h_bias_initializer: InitializerLike | None,
    ) -> None:
        outputs, inputs = self.gates * self.hidden_channels, self.input_shape[self.channel_axis - 1]
        i2h, h2h = self._in_layout(inputs, self.i2h_kernel), self._in_layout(self.hidden_channels, self.h2h_kernel)
        self.i2h_weight: Any = Param((outputs, *i2h), init=i2h_weight_initializer)
        self.h2h_weight: Any = Param((outputs, *h2h), init=h2h_weight_initializer)
        self.i2h_bias: Any = Param((outputs,), init=i2h_bias_initializer)
        self.h2h_bias: Any = Param((outputs,), init=h2h_bias_initializer)

    def _in_layout(self, channels: int, sizes: Sequence[int]) -> tuple[int, ...]:
        return (channels, *sizes) if self.channel_axis == 1 else (*sizes, channels)

    @property
    def channel_axis(self) -> int:
        """Of a step's input and states."""
        return self.conv_layout.index('C')

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        shape = (batch_size, *self.state_shape)
        return [{'shape': shape, '__layout__': self.conv_layout} for _ in range(self.count)]

    def inputs_product(self, x: jax.Array) -> jax.Array:
        if x.shape[-len(self.input_shape) :] != self.input_shape:
            raise ShapeError("a step's input differs from input_shape", expected=('N', *self.input_shape), got=x.shape)
        return super().inputs_product(x)

    def product(self, which: str, x: jax.Array, weight: jax.Array, bias: jax.Array) -> jax.Array:
        x, weight, bias = checks.promoted(x, weight, bias)
        if which == 'i2h':
            dilate, pads = self.i2h_dilate, self.i2h_pad
        else:
            dilate = self.h2h_dilate
            pads = tuple(step * (kernel - 1) // 2 for step, kernel in zip(dilate, self.h2h_kernel, strict=True))
        batch = x.shape[: -len(self.input_shape)]  # with the steps, if there are several
        x = x.reshape(math.prod(batch), *x.shape[len(batch) :])
        y = convolve(x, weight, (1,) * len(self.spatial), pads, dilate, 1, self.conv_layout)
        y = add_bias(y, bias, self.channel_axis)
        return y.reshape(*batch, *y.shape[1:])


class _ConvRNN(_ConvCell):
    gates = 1

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        return equations.elman(i2h + h2h, activations.function(self.activation))


class _ConvLSTM(_ConvCell):
    gates = 4
    count = 2

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        return equations.lstm(i2h + h2h, states, activations.function(self.activation), axis=self.channel_axis)


class _ConvGRU(_ConvCell):
    gates = 3

    def equations(
        self, i2h: jax.Array, h2h: jax.Array, states: Sequence[jax.Array], *rest: jax.Array
    ) -> list[jax.Array]:
        return equations.gru(i2h, h2h, states, activations.function(self.activation), self.channel_axis)


class _Conv1D(_ConvCell):
    spatial = 'W'

    def __init__(
        self,
        input_shape: Sequence[int],
        hidden_channels: int,
        i2h_kernel: Sizes,
        h2h_kernel: Sizes,
        i2h_pad: Sizes = (0,),
        i2h_dilate: Sizes = (1,),
        h2h_dilate: Sizes = (1,),
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        conv_layout: Literal['NCW', 'NWC'] = 'NCW',
        activation: ActivationLike = 'tanh',
    ):
        self._set_shapes(input_shape, hidden_channels, conv_layout, activation)
        self._set_kernels(i2h_kernel, h2h_kernel, i2h_pad, i2h_dilate, h2h_dilate)
        self._set_params(i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)


class _Conv2D(_ConvCell):
    spatial = 'HW'

    def __init__(
        self,
        input_shape: Sequence[int],
        hidden_channels: int,
        i2h_kernel: Sizes,
        h2h_kernel: Sizes,
        i2h_pad: Sizes = (0, 0),
        i2h_dilate: Sizes = (1, 1),
        h2h_dilate: Sizes = (1, 1),
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        conv_layout: Literal['NCHW', 'NHWC'] = 'NCHW',
        activation: ActivationLike = 'tanh',
    ):
        self._set_shapes(input_shape, hidden_channels, conv_layout, activation)
        self._set_kernels(i2h_kernel, h2h_kernel, i2h_pad, i2h_dilate, h2h_dilate)
        self._set_params(i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)


class _Conv3D(_ConvCell):
    spatial = 'DHW'

    def __init__(
        self,
        input_shape: Sequence[int],
        hidden_channels: int,
        i2h_kernel: Sizes,
        h2h_kernel: Sizes,
        i2h_pad: Sizes = (0, 0, 0),
        i2h_dilate: Sizes = (1, 1, 1),
        h2h_dilate: Sizes = (1, 1, 1),
        i2h_weight_initializer: InitializerLike | None = None,
        h2h_weight_initializer: InitializerLike | None = None,
        i2h_bias_initializer: InitializerLike | None = 'zeros',
        h2h_bias_initializer: InitializerLike | None = 'zeros',
        conv_layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW',
        activation: ActivationLike = 'tanh',
    ):
        self._set_shapes(input_shape, hidden_channels, conv_layout, activation)
        self._set_kernels(i2h_kernel, h2h_kernel, i2h_pad, i2h_dilate, h2h_dilate)
        self._set_params(i2h_weight_initializer, h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer)


class Conv2DLSTMCell(_ConvLSTM, _Conv2D):
    """Convolutional LSTM over images: `LSTMCell` with convolutions for products. Gates in the order i, f, g, o.

    `cell(inputs, states)`, inputs (N, *input_shape) and states [h, c], gives the output h' and [h', c']. States are
    (N, hidden_channels, height, width), with the sizes of the input's convolution; the states' convolution keeps them.

    Args:
        input_shape: the shape of one input without the batch, in the order of conv_layout.
        hidden_channels: the number of channels of output and states.
        i2h_kernel: of the input's convolution, an int or one for each spatial axis, as the next four are.
        h2h_kernel: of the state's convolution; odd.
        i2h_pad: zeros on both sides of the input.
        i2h_dilate: the dilation of the input's kernel.
        h2h_dilate: the dilation of the state's kernel.
        i2h_weight_initializer: of i2h_weight, shape (gates * hidden_channels, input channels, *i2h_kernel).
        h2h_weight_initializer: of h2h_weight, shape (gates * hidden_channels, hidden_channels, *h2h_kernel).
        i2h_bias_initializer: of i2h_bias, shape (gates * hidden_channels,).
        h2h_bias_initializer: of h2h_bias, shape (gates * hidden_channels,).
        conv_layout: channels first or last; weights have their channels there too.
        activation: a name or a function; see `nn.Activation`.

    Raises:
        ArgumentError: for an even h2h_kernel, or an input smaller than its kernel.
        ShapeError: when called, if the input differs from input_shape.

    >>> cell = Conv2DLSTMCell((3, 8, 8), 4, i2h_kernel=3, h2h_kernel=5, i2h_pad=1)
    >>> cell.state_info(2)[0]['shape']
    (2, 4, 8, 8)
    """


class Conv1DRNNCell(_ConvRNN, _Conv1D):
    """`RNNCell` with 1D convolutions for products. One state, h. See `Conv2DLSTMCell`."""


class Conv1DLSTMCell(_ConvLSTM, _Conv1D):
    """`LSTMCell` with 1D convolutions for products. States h and c. See `Conv2DLSTMCell`."""


class Conv1DGRUCell(_ConvGRU, _Conv1D):
    """`GRUCell` with 1D convolutions for products. One state, h. See `Conv2DLSTMCell`."""


class Conv2DRNNCell(_ConvRNN, _Conv2D):
    """`RNNCell` with 2D convolutions for products. One state, h. See `Conv2DLSTMCell`."""


class Conv2DGRUCell(_ConvGRU, _Conv2D):
    """`GRUCell` with 2D convolutions for products. One state, h. See `Conv2DLSTMCell`."""


class Conv3DRNNCell(_ConvRNN, _Conv3D):
    """`RNNCell` with 3D convolutions for products. One state, h. See `Conv2DLSTMCell`."""


class Conv3DLSTMCell(_ConvLSTM, _Conv3D):
    """`LSTMCell` with 3D convolutions for products. States h and c. See `Conv2DLSTMCell`."""


class Conv3DGRUCell(_ConvGRU, _Conv3D):
    """`GRUCell` with 3D convolutions for products. One state, h. See `Conv2DLSTMCell`."""
