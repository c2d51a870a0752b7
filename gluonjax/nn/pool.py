"""Pooling: one N-dimensional implementation, and a thin class for each rank and kind."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import checks
from gluonjax.errors import ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import arguments
from gluonjax.nn.kernels import Windows, max_in_windows
from gluonjax.shapes import is_static


@functools.partial(jax.jit, static_argnums=(1, 2))
def mean_in_windows(x: jax.Array, windows: Windows, counted: tuple[int, ...]) -> jax.Array:
    """The mean of each window, summed in float32 at least.

    Args:
        x: the array.
        windows: what is summed.
        counted: for each axis, how many elements of the padding on either side count in the mean.
    """
    wide = x.astype(checks.at_least_float32(x.dtype))
    total = lax.reduce_window(wide, np.zeros((), wide.dtype), lax.add, *windows)
    return (total / _counts(x.shape, windows, counted).astype(wide.dtype)).astype(x.dtype)


def _counts(shape: Sequence[int], windows: Windows, counted: tuple[int, ...]):
    """How many elements each window holds (1 if none: their sum is 0), shaped to divide the means."""
    xp = np if is_static(shape) else jnp
    counts = xp.ones([1] * len(shape))
    for axis, (length, size, stride, (before, behind), pad) in enumerate(zip(shape, *windows, counted, strict=True)):
        if size > 1:
            starts = xp.arange((length + before + behind - size) // stride + 1) * stride - before
            held = xp.minimum(starts + size, length + pad) - xp.maximum(starts, -pad)
            counts = counts * xp.maximum(held, 1).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return counts


def _with_own_jvp(function: Callable[..., jax.Array]) -> jax.custom_jvp[jax.Array]:
    return jax.custom_jvp(function, nondiff_argnums=(1,))


@_with_own_jvp
def max_along(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The largest value along `axes`, which keep size 1; the first of equals gets the gradient."""
    return x.max(axes, keepdims=True)


@max_along.defjvp
def _max_along_jvp(axes, primals, tangents):
    (x,), (tangent,) = primals, tangents
    y = max_along(x, axes)
    sizes = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    positions = jnp.arange(math.prod(sizes)).reshape(sizes)
    first = jnp.where(x == y, positions, positions.size).min(axes, keepdims=True)
    return y, jnp.where(positions == first, tangent, 0).sum(axes, keepdims=True)


def _check_real(x: jax.Array) -> None:
    if not jnp.issubdtype(x.dtype, jnp.integer):
        checks.floating(x)


class _Pool(Layer):
    spatial: ClassVar[str]

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None,
        padding: int | Sequence[int],
        layout: str,
        ceil_mode: bool,
    ):
        rank = len(self.spatial)
        self.pool_size: tuple[int, ...] = arguments.per_axis('pool_size', pool_size, rank)
        self.strides: tuple[int, ...] = (
            self.pool_size if strides is None else arguments.per_axis('strides', strides, rank)
        )
        self.padding: tuple[int, ...] = arguments.per_axis('padding', padding, rank, least=0)
        self.layout: str = arguments.layout(layout, self.spatial)
        self.ceil_mode: bool = checks.flag('ceil_mode', ceil_mode)

    def _windows(self, x: jax.Array) -> Windows:
        arguments.rank(x, len(self.layout), self.layout)
        sizes, strides = self._per_axis(self.pool_size, 1), self._per_axis(self.strides, 1)
        padding = [
            (pad, pad + self._ceiling(x.shape[axis] + 2 * pad - size, axis, size, stride))
            for axis, (size, stride, pad) in enumerate(
                zip(sizes, strides, self._per_axis(self.padding, 0), strict=True)
            )
        ]
        return Windows(sizes, strides, tuple(padding))

    def _ceiling(self, free, axis: int, size: int, stride: int):
        """What `ceil_mode` adds behind, where `free` strides fit behind the first window."""
        name = self.layout[axis]
        if name in self.spatial and is_static((free,)) and free < 0:
            raise ShapeError(
                f'the window is larger than the padded input along {name}',
                expected=f'a pool_size of at most {free + size}',
                got=size,
                remedy='give a larger input, more padding or a smaller pool_size',
            )
        return -free % stride if self.ceil_mode else 0

    def _per_axis(self, numbers: Sequence[int], other: int) -> tuple[int, ...]:
        """One number for every axis: these for the spatial axes, `other` for batch and channels."""
        found = dict(zip(self.spatial, numbers, strict=True))
        return tuple(found.get(axis, other) for axis in self.layout)


class _MaxPool(_Pool):
    def forward(self, x: jax.Array) -> jax.Array:
        _check_real(x)
        y = max_in_windows(x, self._windows(x))
        in_padding = self.ceil_mode or any(p >= size for p, size in zip(self.padding, self.pool_size, strict=True))
        if in_padding and jnp.issubdtype(x.dtype, jnp.floating):
            y = lax.max(y, jnp.finfo(x.dtype).min)  # as in MXNet, where a window of padding alone has no -inf
        return y


class _AvgPool(_Pool):
    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None,
        padding: int | Sequence[int],
        layout: str,
        ceil_mode: bool,
        count_include_pad: bool,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)
        self.count_include_pad: bool = checks.flag('count_include_pad', count_include_pad)

    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        counted = self.padding if self.count_include_pad else [0] * len(self.spatial)
        return mean_in_windows(x, self._windows(x), self._per_axis(counted, 0))


class _GlobalPool(Layer):
    spatial: ClassVar[str]

    def __init__(self, layout: str):
        self.layout: str = arguments.layout(layout, self.spatial)

    def _axes(self, x: jax.Array) -> tuple[int, ...]:
        arguments.rank(x, len(self.layout), self.layout)
        axes = tuple(self.layout.index(axis) for axis in self.spatial)
        if 0 in [x.shape[axis] for axis in axes]:
            raise ShapeError('there is nothing to pool', expected=f'sizes >= 1 along {self.spatial}', got=x.shape)
        return axes


class _GlobalMaxPool(_GlobalPool):
    def forward(self, x: jax.Array) -> jax.Array:
        _check_real(x)
        return max_along(x, self._axes(x))


class _GlobalAvgPool(_GlobalPool):
    def forward(self, x: jax.Array) -> jax.Array:
        checks.floating(x)
        return x.mean(self._axes(x), keepdims=True)


class MaxPool1D(_MaxPool):
    """The largest value of each window of a sequence: `MaxPool2D` with one spatial axis, layout 'NCW' or 'NWC'.

    >>> MaxPool1D().apply({}, jnp.array([[[1.0, 4.0, 3.0, 2.0]]]))
    Array([[[4., 3.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        layout: Literal['NCW', 'NWC'] = 'NCW',
        ceil_mode: bool = False,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class MaxPool2D(_MaxPool):
    """The largest value of each window, as MXNet's `Pooling`.

    The output has size `floor((size + 2 * padding - pool_size) / stride) + 1` along an axis; with `ceil_mode` it is
    rounded up, and the last window may begin behind the input. A window that lies entirely in the padding gives the
    lowest finite number of the dtype. The first of equal values gets the gradient, as in MXNet; NaN is the maximum,
    which in MXNet it is not.

    Args:
        pool_size: an int, or (height, width); so are the next two.
        strides: steps between windows; None means `pool_size`.
        padding: elements added on both sides, which are never the maximum.
        layout: 'NCHW' or 'NHWC'.
        ceil_mode: round the number of windows up.

    Raises:
        ArgumentError: if an argument is out of range.
        ShapeError: when called, if the input has the wrong rank, or is smaller than the window.
        DTypeError: when called, if the input is neither floating point nor integer.

    >>> MaxPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[3.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        layout: Literal['NCHW', 'NHWC'] = 'NCHW',
        ceil_mode: bool = False,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class MaxPool3D(_MaxPool):
    """The largest value of each window of a volume: `MaxPool2D` with three spatial axes, layout 'NCDHW' or 'NDHWC'.

    Mind that `ceil_mode` comes before `layout` here, as in MXNet.

    >>> MaxPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[7.]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2, 2),
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW',
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class AvgPool1D(_AvgPool):
    """The mean of each window of a sequence: `AvgPool2D` with one spatial axis, layout 'NCW' or 'NWC'.

    Mind that `layout` comes before `ceil_mode` here, as in MXNet.

    >>> AvgPool1D().apply({}, jnp.array([[[1.0, 4.0, 3.0, 2.0]]]))
    Array([[[2.5, 2.5]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        layout: Literal['NCW', 'NWC'] = 'NCW',
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class AvgPool2D(_AvgPool):
    """The mean of each window, as MXNet's `Pooling`; it is summed in float32 at least.

    The output has size `floor((size + 2 * padding - pool_size) / stride) + 1` along an axis; with `ceil_mode` it is
    rounded up, and the last window may begin behind the input. A window that lies entirely in the padding gives 0 (in
    MXNet's AvgPool3D it gives NaN where padding does not count).

    Args:
        pool_size: an int, or (height, width); so are the next two.
        strides: steps between windows; None means `pool_size`.
        padding: zeros on both sides.
        ceil_mode: round the number of windows up; what they cover behind the padding does not count.
        layout: 'NCHW' or 'NHWC'.
        count_include_pad: whether padding counts in the mean.

    Raises:
        ArgumentError: if an argument is out of range.
        ShapeError: when called, if the input has the wrong rank, or is smaller than the window.
        DTypeError: when called, if the input is not floating point.

    >>> AvgPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[1.5]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        layout: Literal['NCHW', 'NHWC'] = 'NCHW',
        count_include_pad: bool = True,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class AvgPool3D(_AvgPool):
    """The mean of each window of a volume: `AvgPool2D` with three spatial axes, layout 'NCDHW' or 'NDHWC'.

    >>> AvgPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[3.5]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2, 2),
        strides: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW',
        count_include_pad: bool = True,
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class GlobalMaxPool1D(_GlobalMaxPool):
    """The largest value of each channel over the whole sequence, an axis that stays with size 1.

    Args:
        layout: 'NCW' or 'NWC'.

    >>> GlobalMaxPool1D().apply({}, jnp.array([[[1.0, 4.0, 3.0]]]))
    Array([[[4.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(self, layout: Literal['NCW', 'NWC'] = 'NCW'):
        super().__init__(layout)


class GlobalMaxPool2D(_GlobalMaxPool):
    """The largest value of each channel over the whole image, whose two axes stay with size 1.

    MXNet's `Pooling` with `global_pool`; the first of equal values gets the gradient.

    Args:
        layout: 'NCHW' or 'NHWC'.

    Raises:
        ShapeError: when called, if the input has the wrong rank, or images of size 0.

    >>> GlobalMaxPool2D('NHWC').apply({}, jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[[[6., 7.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, layout: Literal['NCHW', 'NHWC'] = 'NCHW'):
        super().__init__(layout)


class GlobalMaxPool3D(_GlobalMaxPool):
    """The largest value of each channel over the whole volume, whose three axes stay with size 1.

    Args:
        layout: 'NCDHW' or 'NDHWC'.

    >>> GlobalMaxPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[7.]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(self, layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW'):
        super().__init__(layout)


class GlobalAvgPool1D(_GlobalAvgPool):
    """The mean of each channel over the whole sequence, an axis that stays with size 1.

    Args:
        layout: 'NCW' or 'NWC'.

    >>> GlobalAvgPool1D().apply({}, jnp.array([[[1.0, 4.0, 4.0]]]))
    Array([[[3.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(self, layout: Literal['NCW', 'NWC'] = 'NCW'):
        super().__init__(layout)


class GlobalAvgPool2D(_GlobalAvgPool):
    """The mean of each channel over the whole image, whose two axes stay with size 1.

    MXNet's `Pooling` with `global_pool`.

    Args:
        layout: 'NCHW' or 'NHWC'.

    Raises:
        ShapeError: when called, if the input has the wrong rank, or images of size 0.
        DTypeError: when called, if the input is not floating point.

    >>> GlobalAvgPool2D('NHWC').apply({}, jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[[[3., 4.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, layout: Literal['NCHW', 'NHWC'] = 'NCHW'):
        super().__init__(layout)


class GlobalAvgPool3D(_GlobalAvgPool):
    """The mean of each channel over the whole volume, whose three axes stay with size 1.

    Args:
        layout: 'NCDHW' or 'NDHWC'.

    >>> GlobalAvgPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[3.5]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(self, layout: Literal['NCDHW', 'NDHWC'] = 'NCDHW'):
        super().__init__(layout)
