"""`gluon.contrib.cnn`: deformable convolutions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon import nn
from gluonjax.mx.gluon.block import HybridBlock
from gluonjax.mx.gluon.parameter import Parameter, ParameterDict

conv_layers: ModuleType = sys.modules[__name__]  # a module of MXNet whose names are here
Sizes = int | Sequence[int]
_activation: Any = nn.Activation  # pyright: ignore[reportAttributeAccessIssue]


class DeformableConvolution(HybridBlock):
    """A convolution that samples its input where another convolution of it says (Dai et al., 2017).

    Args:
        channels: of the output.
        kernel_size: an int or two, as the next three.
        strides: the steps of the kernel.
        padding: zeros on both sides.
        dilation: of the kernel.
        groups: of channels.
        num_deformable_group: groups of channels with offsets of their own.
        layout: 'NCHW'.
        use_bias: whether a bias is added.
        in_channels: of the input; 0 infers them.
        activation: its name.
        weight_initializer: of the weight.
        bias_initializer: of the bias.
        offset_weight_initializer: of the weight of the convolution for offsets.
        offset_bias_initializer: of its bias.
        offset_use_bias: whether it has one.
        op: MXNet's.
        adj: MXNet's.
        prefix: what the names of its parameters begin with.
        params: a dict whose parameters are shared.
    """

    operator: ClassVar[str] = 'DeformableConvolution'
    numbers: ClassVar[int] = 2  # that each place of the kernel takes from the other convolution

    def __init__(
        self,
        channels: int,
        kernel_size: Sizes = (1, 1),
        strides: Sizes = (1, 1),
        padding: Sizes = (0, 0),
        dilation: Sizes = (1, 1),
        groups: int = 1,
        num_deformable_group: int = 1,
        layout: str = 'NCHW',
        use_bias: bool = True,
        in_channels: int = 0,
        activation: str | None = None,
        weight_initializer: Any = None,
        bias_initializer: Any = 'zeros',
        offset_weight_initializer: Any = 'zeros',
        offset_bias_initializer: Any = 'zeros',
        offset_use_bias: bool = True,
        op: str | None = None,
        adj: Any = None,
        prefix: str | None = None,
        params: ParameterDict | None = None,
    ):
        super().__init__(prefix, params)
        kernel, stride, pad, dilate = (
            (size, size) if isinstance(size, int) else tuple(size) for size in (kernel_size, strides, padding, dilation)
        )
        self._window: dict[str, Any] = {'kernel': kernel, 'stride': stride, 'pad': pad, 'dilate': dilate}
        self._groups: dict[str, int] = {'num_group': groups, 'num_deformable_group': num_deformable_group}
        offsets = self.numbers * kernel[0] * kernel[1] * num_deformable_group
        self._filters = {'deformable_conv': channels, 'offset': offsets}

        def parameter(name: str, shape: tuple[int, ...], init: Any) -> Parameter:
            return self.params.get(name, shape=shape, init=init, allow_deferred_init=True)

        of_input, of_group = in_channels, in_channels // groups
        self.deformable_conv_weight: Parameter = parameter(
            'deformable_conv_weight', (channels, of_group, *kernel), weight_initializer
        )
        self.offset_weight: Parameter = parameter(
            'offset_weight', (offsets, of_input, *kernel), offset_weight_initializer
        )
        if use_bias:
            self.deformable_conv_bias: Parameter = parameter('deformable_conv_bias', (channels,), bias_initializer)
        if offset_use_bias:
            self.offset_bias: Parameter = parameter('offset_bias', (offsets,), offset_bias_initializer)
        self.act: Any = _activation(activation, prefix=f'{activation}_') if activation else None

    def hybrid_forward(self, F: Any, x: Any, **parameters: Any) -> Any:
        """The convolution for offsets, and the one that samples by them."""

        def given(name: str) -> list[Any]:
            return [parameters[key] for key in (f'{name}_weight', f'{name}_bias') if key in parameters]

        where = F.Convolution(
            x,
            *given('offset'),
            num_filter=self._filters['offset'],
            no_bias='offset_bias' not in parameters,
            **self._window,
        )
        sampled = getattr(F.contrib, self.operator)(
            x,
            *self.sampling(F, where),
            *given('deformable_conv'),
            num_filter=self._filters['deformable_conv'],
            no_bias='deformable_conv_bias' not in parameters,
            **self._window,
            **self._groups,
        )
        return sampled if self.act is None else self.act(sampled)

    def sampling(self, F: Any, where: Any) -> list[Any]:
        """What the operator takes between data and weight."""
        return [where]


class ModulatedDeformableConvolution(DeformableConvolution):
    """As `DeformableConvolution`, and each sample counts as much as a mask says (Zhu et al., 2019).

    Args:
        *args: as of `DeformableConvolution`.
        **kwargs: likewise.
    """

    operator: ClassVar[str] = 'ModulatedDeformableConvolution'
    numbers: ClassVar[int] = 3

    def sampling(self, F: Any, where: Any) -> list[Any]:
        """Offsets, and the mask."""
        third = self._filters['offset'] // 3
        mask = F.sigmoid(F.slice_axis(where, axis=1, begin=2 * third, end=3 * third)) * 2
        return [F.slice_axis(where, axis=1, begin=0, end=2 * third), mask]


explain_calls(globals())
