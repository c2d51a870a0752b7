"""Convolution: one N-dimensional body, and a thin class a rank."""

from typing import ClassVar

from jax import lax

from gluonjax.binding import Param
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import activation as activations
from gluonjax.nn import checks


class _Conv(Layer):
    spatial: ClassVar[str]

    def __init__(
        self,
        channels,
        kernel_size,
        strides,
        padding,
        dilation,
        groups,
        layout,
        activation,
        use_bias,
        weight_initializer,
        bias_initializer,
        in_channels,
    ):
        rank = len(self.spatial)
        activations.function(activation)
        self.channels, self.groups = checks.size('channels', channels), checks.size('groups', groups)
        self.in_channels = checks.optional_size('in_channels', in_channels)
        self.kernel_size = checks.per_axis('kernel_size', kernel_size, rank)
        self.strides = checks.per_axis('strides', strides, rank)
        self.padding = checks.per_axis('padding', padding, rank, least=0)
        self.dilation = checks.per_axis('dilation', dilation, rank)
        self.layout, self.activation, self.use_bias = checks.layout(layout, self.spatial), activation, use_bias
        _check_groups('channels', self.channels, self.groups)
        self.weight = Param(self._weight_shape(self.in_channels), init=weight_initializer)
        if use_bias:
            self.bias = Param((self.channels,), init=bias_initializer)

    def _weight_shape(self, in_channels):
        """MXNet's order: the layout with outputs for the batch, and the inputs of one group for the channels."""
        if in_channels is not None:
            _check_groups('in_channels', in_channels, self.groups)
        inputs = in_channels and in_channels // self.groups
        return (
            (self.channels, inputs, *self.kernel_size)
            if self.layout[1] == 'C'
            else (self.channels, *self.kernel_size, inputs)
        )

    def infer_shape(self, x):
        checks.rank(x, len(self.layout), self.layout)
        for axis, kernel, padding, dilation in zip(
            self.spatial, self.kernel_size, self.padding, self.dilation, strict=True
        ):
            length, window = x.shape[self.layout.index(axis)] + 2 * padding, dilation * (kernel - 1) + 1
            if window > length:
                raise ShapeError(
                    f'the kernel is larger than the padded input along {axis}',
                    expected=f'a window of at most {length}',
                    got=f'{window} (kernel {kernel}, dilation {dilation})',
                    remedy='give a larger input, more padding or a smaller kernel',
                )
        return {'weight': self._weight_shape(x.shape[self.layout.index('C')])}

    def forward(self, x):
        checks.floating(x)
        x, weight = checks.promoted(x, self.weight)
        y = lax.conv_general_dilated(
            x,
            weight,
            self.strides,
            [(padding, padding) for padding in self.padding],
            rhs_dilation=self.dilation,
            dimension_numbers=(self.layout, self.layout.replace('N', 'O').replace('C', 'I'), self.layout),
            feature_group_count=self.groups,
        )
        if self.use_bias:
            y = y + self.bias.reshape([self.channels if axis == 'C' else 1 for axis in self.layout])
        return activations.function(self.activation)(y)


def _check_groups(name: str, number: int, groups: int) -> None:
    if number % groups:
        raise ArgumentError(f'groups do not divide {name}', expected=f'a divisor of {number}', got=groups)


class Conv2D(_Conv):
    """Convolution over images, as MXNet's `Convolution`.

    The output has `floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1` places along an axis.

    Args:
        channels: the number of output channels.
        kernel_size: an int or two, (height, width), as the next three are.
        strides: steps between windows.
        padding: zeros on both sides.
        dilation: steps within a window.
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
        ShapeError: in a run, if the input has the wrong rank or channels, or is smaller than the kernel.

    >>> import jax
    >>> layer = Conv2D(8, kernel_size=3, padding=1)
    >>> layer.specs(jax.ShapeDtypeStruct((1, 3, 5, 5), 'float32'))['weight'].shape
    (8, 3, 3, 3)
    """

    spatial = 'HW'

    def __init__(
        self,
        channels,
        kernel_size,
        strides=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
        groups=1,
        layout='NCHW',
        activation=None,
        use_bias=True,
        weight_initializer=None,
        bias_initializer='zeros',
        in_channels=None,
    ):
        super().__init__(
            channels,
            kernel_size,
            strides,
            padding,
            dilation,
            groups,
            layout,
            activation,
            use_bias,
            weight_initializer,
            bias_initializer,
            in_channels,
        )
