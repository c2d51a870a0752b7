"""Convolutional cells of `gluon.contrib.rnn`: the dense cells with convolutions for products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from gluonjax.errors import ArgumentError
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict
from gluonjax.mx.gluon.rnn.cell import HybridRecurrentCell
from gluonjax.mx.gluon.rnn.cells import GRUCell, LSTMCell, RNNCell

Sizes = int | Sequence[int]


class ConvCell(HybridRecurrentCell):
    """A cell over images or other grids, whose state keeps the sizes of the input's convolution.

    Args:
        input_shape: of one input without the batch, in the order of `conv_layout`.
        hidden_channels: the channels of output and states.
        i2h_kernel: of the input's convolution: an int, or one for each axis, as the next four.
        h2h_kernel: of the state's; odd.
        i2h_pad: zeros on both sides of the input.
        i2h_dilate: of the input's kernel.
        h2h_dilate: of the state's kernel.
        i2h_weight_initializer: of the weight of the input.
        h2h_weight_initializer: of the weight of the state.
        i2h_bias_initializer: of the bias of the input.
        h2h_bias_initializer: of the bias of the state.
        conv_layout: the order of the axes; channels first by default.
        activation: its name, or a block.
        prefix: what the names of its parameters begin with.
        params: a dict whose parameters are shared.

    Raises:
        ArgumentError: for an even `h2h_kernel`.
    """

    axes: ClassVar[int]
    gates: ClassVar[int]
    count: ClassVar[int]

    def __init__(
        self,
        input_shape: Sequence[int],
        hidden_channels: int,
        i2h_kernel: Sizes,
        h2h_kernel: Sizes,
        i2h_pad: Sizes = 0,
        i2h_dilate: Sizes = 1,
        h2h_dilate: Sizes = 1,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = 'zeros',
        h2h_bias_initializer: Any = 'zeros',
        conv_layout: str | None = None,
        activation: Any = 'tanh',
        prefix: str | None = None,
        params: ParameterDict | None = None,
    ):
        HybridRecurrentCell.__init__(self, prefix, params)
        self._hidden_channels, self._activation, self._recurrent_activation = hidden_channels, activation, 'sigmoid'
        self._layout: str = conv_layout or ('NCW', 'NCHW', 'NCDHW')[self.axes - 1]
        self._set_kernels(i2h_kernel, h2h_kernel, i2h_pad, i2h_dilate, h2h_dilate)
        self._set_shapes(tuple(input_shape))
        rows, last = self.gates * hidden_channels, self._layout.endswith('C')

        def weight(name: str, channels: int, kernel: tuple[int, ...], init: Any) -> Parameter:
            shape = (rows, *kernel, channels) if last else (rows, channels, *kernel)
            return self.params.get(name, shape=shape, init=init, allow_deferred_init=True)

        def bias(name: str, init: Any) -> Parameter:
            return self.params.get(name, shape=(rows,), init=init, allow_deferred_init=True)

        inputs = input_shape[-1] if last else input_shape[0]
        self.i2h_weight: Parameter = weight(
            'i2h_weight', inputs, self._kernels['i2h']['kernel'], i2h_weight_initializer
        )
        self.h2h_weight: Parameter = weight(
            'h2h_weight', hidden_channels, self._kernels['h2h']['kernel'], h2h_weight_initializer
        )
        self.i2h_bias: Parameter = bias('i2h_bias', i2h_bias_initializer)
        self.h2h_bias: Parameter = bias('h2h_bias', h2h_bias_initializer)

    def _set_kernels(self, i2h: Sizes, h2h: Sizes, pad: Sizes, i2h_dilate: Sizes, h2h_dilate: Sizes) -> None:
        def each(sizes: Sizes) -> tuple[int, ...]:
            return (sizes,) * self.axes if isinstance(sizes, int) else tuple(sizes)

        if any(size % 2 == 0 for size in each(h2h)):
            raise ArgumentError('h2h_kernel must be odd, so that states keep their sizes', got=h2h)
        same = tuple(d * (k - 1) // 2 for k, d in zip(each(h2h), each(h2h_dilate), strict=True))
        self._kernels: dict[str, dict[str, Any]] = {
            'i2h': {'kernel': each(i2h), 'pad': each(pad), 'dilate': each(i2h_dilate)},
            'h2h': {'kernel': each(h2h), 'pad': same, 'dilate': each(h2h_dilate)},
        }

    def _set_shapes(self, input_shape: tuple[int, ...]) -> None:
        last = self._layout.endswith('C')
        sizes, of = input_shape[:-1] if last else input_shape[1:], self._kernels['i2h']
        after = tuple(
            size + 2 * pad - dilate * (kernel - 1)
            for size, kernel, pad, dilate in zip(sizes, of['kernel'], of['pad'], of['dilate'], strict=True)
        )
        channels = (self._hidden_channels,)
        self._state_shape: tuple[int, ...] = after + channels if last else channels + after

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """For each state a dict with its 'shape' and '__layout__'."""
        return [{'shape': (batch_size, *self._state_shape), '__layout__': self._layout} for _ in range(self.count)]

    def _alias(self) -> str:
        return f'conv_{super()._alias()[len("conv2d") :]}'

    def products(self, F: Any, x: Any, h: Any, parameters: dict[str, Any]) -> tuple[Any, Any]:
        """The convolutions of the input and of the state."""
        return tuple(
            F.Convolution(
                value,
                parameters[f'{which}_weight'],
                parameters[f'{which}_bias'],
                num_filter=self.gates * self._hidden_channels,
                layout=self._layout,
                name=f'{self.step_prefix}{which}',
                **self._kernels[which],
            )
            for which, value in (('i2h', x), ('h2h', h))
        )

    def __repr__(self) -> str:
        shape = self.i2h_weight.shape or (0, 0)
        return f'{type(self).__name__}({shape[1]} -> {shape[0]}, {self._activation}, {self._layout})'


def _cell(axes: int, base: Any) -> Any:
    name = f'Conv{axes}D{base.__name__}'

    class Made(ConvCell, base):
        """A cell of convolutions."""

    Made.axes = axes
    Made.__name__ = Made.__qualname__ = name
    Made.__doc__ = (
        f'`{base.__name__}` with convolutions over {axes} spatial axes for products.\n\n'
        + str(ConvCell.__doc__).partition('\n\n')[2]
    )
    return Made


Conv1DRNNCell: Any = _cell(1, RNNCell)
Conv2DRNNCell: Any = _cell(2, RNNCell)
Conv3DRNNCell: Any = _cell(3, RNNCell)
Conv1DLSTMCell: Any = _cell(1, LSTMCell)
Conv2DLSTMCell: Any = _cell(2, LSTMCell)
Conv3DLSTMCell: Any = _cell(3, LSTMCell)
Conv1DGRUCell: Any = _cell(1, GRUCell)
Conv2DGRUCell: Any = _cell(2, GRUCell)
Conv3DGRUCell: Any = _cell(3, GRUCell)


explain_calls(globals())
