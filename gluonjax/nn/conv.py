"""Convolution and transposed convolution: one N-dimensional implementation, and a thin class for each rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import jax

from gluonjax import checks
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.init.initializer import InitializerLike
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.nn import arguments
from gluonjax.nn.activation import ActivationLike
from gluonjax.nn.kernels import AlgorithmTable, convolve, convolve_transposed
from gluonjax.nn.precision import add_bias
from gluonjax.param import Param
from gluonjax.shapes import Shape, is_static

_Size = TypeVar('_Size', int, int | None)


class Convolution(Layer):
    """What all convolutions share.

    Attributes:
        table: the algorithms that were measured, which `MeasuredConvolutions` sets; None for the rule.
    """

    spatial: ClassVar[str]
    table: AlgorithmTable | None = None

    def _set_windows(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: int | Sequence[int],
        dilation: int | Sequence[int],
        layout: str,
    ) -> None:
        rank = len(self.spatial)
        self.kernel_size: tuple[int, ...] = arguments.per_axis('kernel_size', kernel_size, rank)
        self.strides: tuple[int, ...] = arguments.per_axis('strides', strides, rank)
        self.padding: tuple[int, ...] = arguments.per_axis('padding', padding, rank, least=0)
        self.dilation: tuple[int, ...] = arguments.per_axis('dilation', dilation, rank)
        self.layout: str = arguments.layout(layout, self.spatial)

    def _set_channels(
        self,
        channels: int,
        groups: int,
        in_channels: int | None,
        activation: ActivationLike | None,
        use_bias: bool,
        weight_initializer: InitializerLike | None,
        bias_initializer: InitializerLike | None,
    ) -> None:
        activations.function(activation)
        self.channels: int = checks.size('channels', channels)
        self.groups: int = checks.size('groups', groups)
        self.in_channels: int | None = checks.optional_size('in_channels', in_channels)
        self.activation: ActivationLike | None = activation
        self.use_bias: bool = checks.flag('use_bias', use_bias)
        self.weight: Any = Param(self._weight_shape(self.in_channels), init=weight_initializer)
        if self.use_bias:
            self.bias: Any = Param((self.channels,), init=bias_initializer)

    def infer_shape(self, x: jax.Array) -> dict[str, Shape]:
        arguments.rank(x, len(self.layout), self.layout)
        self._check_sizes(x)
        return {'weight': self._weight_shape(x.shape[self.layout.index('C')])}

    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        y = self._convolved(*checks.promoted(x, self.weight))
        if self.use_bias:
            y = add_bias(y, self.bias, self.layout.index('C'))
        return activations.function(self.activation)(y)

    # What a transposed convolution does differently.

    def _weight_shape(self, in_channels: int | None) -> Shape:
        inputs, _ = self._in_one_group(in_channels)
        return self._in_layout(self.channels, inputs, self.kernel_size)

    def _check_sizes(self, x: jax.Array) -> None:
        for axis, size, covered, _, padding in self._axes(x):
            padded = size + 2 * padding
            if is_static((size,)) and covered > padded:
                raise ShapeError(
                    f'the kernel is larger than the padded input along {axis}',
                    expected=f'at most {padded} elements',
                    got=f'{covered} (kernel_size {self.kernel_size}, dilation {self.dilation})',
                    remedy='give a larger input, more padding or a smaller kernel',
                )

    def _convolved(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        arguments = (self.strides, self.padding, self.dilation, self.groups, self.layout)
        return convolve(x, weight, *arguments, table=self.table)

    # What both use.

    def _in_one_group(self, in_channels: int | None) -> tuple[int | None, int]:
        """The numbers of input and output channels of one group."""
        for name, number in (('in_channels', in_channels), ('channels', self.channels)):
            if number is not None and number % self.groups:
                raise ArgumentError(f'groups do not divide {name}', expected=f'a divisor of {number}', got=self.groups)
        return in_channels and in_channels // self.groups, self.channels // self.groups

    def _in_layout(self, batch: _Size, channels: _Size, sizes: Sequence[_Size]) -> tuple[_Size, ...]:
        return (batch, channels, *sizes) if self.layout[1] == 'C' else (batch, *sizes, channels)

    def _axes(self, x: jax.Array) -> Iterator[tuple[str, int, int, int, int]]:
        """Of each spatial axis: name, size, how much of it the dilated kernel covers, stride and padding."""
        sizes = [x.shape[self.layout.index(axis)] for axis in self.spatial]
        covered = [(kernel - 1) * step + 1 for kernel, step in zip(self.kernel_size, self.dilation, strict=True)]
        return zip(self.spatial, sizes, covered, self.strides, self.padding, strict=True)


class _ConvTranspose(Convolution):
    def _set_output_padding(self, output_padding: int | Sequence[int]) -> None:
        self.output_padding: tuple[int, ...] = arguments.per_axis(
            'output_padding', output_padding, len(self.spatial), least=0
        )
        if any(pad >= stride for pad, stride in zip(self.output_padding, self.strides, strict=True)):
            raise ArgumentError(
                'output_padding is too large',
                expected=f'less than the strides {self.strides}',
                got=self.output_padding,
                remedy='a larger output needs larger strides, a larger kernel or less padding',
            )

    def _weight_shape(self, in_channels: int | None) -> Shape:
        _, outputs = self._in_one_group(in_channels)
        return self._in_layout(in_channels, outputs, self.kernel_size)

    def _output_sizes(self, x: jax.Array) -> list[int]:
        return [
            (size - 1) * stride + covered - 2 * padding + extra
            for (_, size, covered, stride, padding), extra in zip(self._axes(x), self.output_padding, strict=True)
        ]

    def _check_sizes(self, x: jax.Array) -> None:
        for axis, size in zip(self.spatial, self._output_sizes(x), strict=True):
            if is_static((size,)) and size < 1:
                raise ShapeError(
                    f'padding leaves nothing of the output along {axis}',
                    expected='a size >= 1',
                    got=f'{size} (padding {self.padding})',
                    remedy='give a larger input, less padding or a larger kernel',
                )

    def _convolved(self, x: jax.Array, weight: jax.Array) -> jax.Array:
        shape = self._in_layout(x.shape[0], self.channels, self._output_sizes(x))
        arguments = (self.strides, self.padding, self.dilation, self.groups, self.layout)
        return convolve_transposed(x, weight, shape, *arguments, table=self.table)


class Conv1D(Convolution):
    """Convolution over sequences, as MXNet's `Convolution`: `Conv2D` with one spatial axis.

    The arguments are those of `Conv2D`, with one number where it has two. The layout is 'NCW', weight (channels,
    in_channels / groups, width), or 'NWC', weight (channels, width, in_channels / groups).

    >>> import jax.numpy as jnp
    >>> layer = Conv1D(1, kernel_size=2, use_bias=False, weight_initializer='ones')
    >>> x = jnp.array([[[1.0, 2.0, 4.0]]])
    >>> layer.apply(layer.init(0, x), x)
    Array([[[3., 6.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        layout: Literal['NCW', 'NWC'] = 'NCW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)


class Conv2D(Convolution):
    """Convolution over images, as MXNet's `Convolution`.

    The output has size `floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1` along an axis.

    Args:
        channels: the number of output channels.
        kernel_size: an int, or (height, width); so are the next three.
        strides: steps between the positions of the kernel.
        padding: zeros on both sides.
        dilation: steps between the elements of the kernel.
        groups: groups of channels that do not mix; `groups=in_channels` is depthwise.
        layout: 'NCHW', weight (channels, in_channels / groups, height, width), or 'NHWC', weight (channels, height,
            width, in_channels / groups).
        activation: a name or a function; see `Activation`.
        use_bias: whether there is a bias.
        weight_initializer: of the weight.
        bias_initializer: of the bias, shape (channels,).
        in_channels: the number of input channels; None (or 0) lets the first input decide.

    Raises:
        ArgumentError: if groups do not divide the channels, or an argument is out of range.
        ShapeError: when called, if the input has the wrong rank or channels, or is smaller than the kernel.

    >>> import jax
    >>> layer = Conv2D(8, kernel_size=3, padding=1)
    >>> layer.specs(jax.ShapeDtypeStruct((1, 3, 5, 5), 'float32'))['weight'].shape
    (8, 3, 3, 3)
    """

    spatial = 'HW'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: int | Sequence[int] = (0, 0),
        dilation: int | Sequence[int] = (1, 1),
        groups: int = 1,
        layout: Literal['NCHW', 'NHWC'] = 'NCHW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)


class Conv3D(Convolution):
    """Convolution over volumes or videos, as MXNet's `Convolution`: `Conv2D` with three spatial axes.

    The arguments are those of `Conv2D`, with three numbers, (depth, height, width), where it has two. The layout is
    'NCDHW', weight (channels, in_channels / groups, depth, height, width), or 'NDHWC', weight (channels, depth, height,
    width, in_channels / groups).

    >>> import jax
    >>> layer = Conv3D(8, kernel_size=(1, 3, 3), layout='NDHWC')
    >>> layer.specs(jax.ShapeDtypeStruct((1, 5, 5, 5, 3), 'float32'))['weight'].shape
    (8, 1, 3, 3, 3)
    """

    spatial = 'DHW'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1, 1),
        padding: int | Sequence[int] = (0, 0, 0),
        dilation: int | Sequence[int] = (1, 1, 1),
        groups: int = 1,
        layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution over sequences, as MXNet's `Deconvolution`: `Conv2DTranspose` with one spatial axis.

    The arguments are those of `Conv2DTranspose`, with one number where it has two. The layout is 'NCW', weight
    (in_channels, channels / groups, width), or 'NWC', weight (in_channels, width, channels / groups).

    >>> import jax.numpy as jnp
    >>> layer = Conv1DTranspose(1, kernel_size=2, strides=3, output_padding=1, weight_initializer='ones')
    >>> x = jnp.array([[[1.0, 2.0]]])
    >>> layer.apply(layer.init(0, x), x)
    Array([[[1., 1., 0., 2., 2., 0.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        layout: Literal['NCW', 'NWC'] = 'NCW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_output_padding(output_padding)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over images, as MXNet's `Deconvolution`.

    It is the transpose of the convolution with the same arguments from `channels` to `in_channels`: Zeiler et al.
    (2010), Dumoulin and Visin (2016). The output has size
    `(size - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding + output_padding` along an axis.

    With dilation and strides together this is what MXNet computes by oneDNN; its plain CPU code differs.

    Args:
        channels: the number of output channels.
        kernel_size: an int, or (height, width); so are the next four.
        strides: steps between the positions of the kernel in the output.
        padding: how much is cut off the output on both sides.
        output_padding: how much larger the output is, less than the stride; it chooses between the sizes that a
            convolution with this stride takes to the same size.
        dilation: steps between the elements of the kernel.
        groups: groups of channels that do not mix.
        layout: 'NCHW', weight (in_channels, channels / groups, height, width), or 'NHWC', weight (in_channels, height,
            width, channels / groups).
        activation: a name or a function; see `Activation`.
        use_bias: whether there is a bias.
        weight_initializer: of the weight.
        bias_initializer: of the bias, shape (channels,).
        in_channels: the number of input channels; None (or 0) lets the first input decide.

    Raises:
        ArgumentError: if groups do not divide the channels, output_padding reaches the stride, or an argument is out
            of range.
        ShapeError: when called, if the input has the wrong rank or channels, or padding leaves no output.

    >>> import jax
    >>> layer = Conv2DTranspose(8, kernel_size=4, strides=2, padding=1)
    >>> x = jax.ShapeDtypeStruct((1, 3, 5, 5), 'float32')
    >>> layer.specs(x)['weight'].shape
    (3, 8, 4, 4)
    >>> jax.eval_shape(layer.apply, layer.init(0, x), x).shape
    (1, 8, 10, 10)
    """

    spatial = 'HW'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: int | Sequence[int] = (0, 0),
        output_padding: int | Sequence[int] = (0, 0),
        dilation: int | Sequence[int] = (1, 1),
        groups: int = 1,
        layout: Literal['NCHW', 'NHWC'] = 'NCHW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_output_padding(output_padding)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution over volumes, as MXNet's `Deconvolution`: `Conv2DTranspose` with three spatial axes.

    The arguments are those of `Conv2DTranspose`, with three numbers, (depth, height, width), where it has two. The
    layout is 'NCDHW', weight (in_channels, channels / groups, depth, height, width), or 'NDHWC', weight (in_channels,
    depth, height, width, channels / groups).

    >>> import jax
    >>> layer = Conv3DTranspose(4, kernel_size=(1, 2, 2), strides=(1, 2, 2))
    >>> x = jax.ShapeDtypeStruct((1, 3, 5, 5, 5), 'float32')
    >>> jax.eval_shape(layer.apply, layer.init(0, x), x).shape
    (1, 4, 5, 10, 10)
    """

    spatial = 'DHW'

    def __init__(
        self,
        channels: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1, 1),
        padding: int | Sequence[int] = (0, 0, 0),
        output_padding: int | Sequence[int] = (0, 0, 0),
        dilation: int | Sequence[int] = (1, 1, 1),
        groups: int = 1,
        layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW',
        activation: ActivationLike | None = None,
        use_bias: bool = True,
        weight_initializer: InitializerLike | None = None,
        bias_initializer: InitializerLike | None = 'zeros',
        in_channels: int | None = None,
    ):
        self._set_windows(kernel_size, strides, padding, dilation, layout)
        self._set_output_padding(output_padding)
        self._set_channels(channels, groups, in_channels, activation, use_bias, weight_initializer, bias_initializer)
