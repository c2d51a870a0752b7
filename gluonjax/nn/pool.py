"""Pooling: one N-dimensional body, and a thin class a rank and a kind."""

import functools
import math
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax import checks
from gluonjax.errors import ShapeError
from gluonjax.layer import Layer
from gluonjax.nn.kernels import max_in_windows


class _Windows(NamedTuple):
    """Along every axis of an array: the size of the windows, the steps between them, padding before and behind."""

    sizes: list[int]
    strides: list[int]
    padding: list[tuple[int, int]]


def sum_in_windows(x, windows):
    """The sum of each window."""
    return lax.reduce_window(x, np.array(0, x.dtype), lax.add, *windows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def max_along(x, axes):
    """The largest value along `axes`, which keep size 1; the first of equals has the gradient."""
    return x.max(axes, keepdims=True)


@max_along.defjvp
def _max_along_jvp(axes, primals, tangents):
    (x,), (tangent,) = primals, tangents
    y = max_along(x, axes)
    sizes = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    places = jnp.arange(math.prod(sizes)).reshape(sizes)
    first = jnp.where(x == y, places, places.size).min(axes, keepdims=True)
    return y, jnp.where(places == first, tangent, 0).sum(axes, keepdims=True)


def _check_numbers(x):
    if not jnp.issubdtype(x.dtype, jnp.integer):
        checks.floating(x)


class _Pool(Layer):
    spatial: ClassVar[str]

    def __init__(self, pool_size, strides, padding, layout, ceil_mode):
        rank = len(self.spatial)
        self.pool_size = checks.per_axis('pool_size', pool_size, rank)
        self.strides = self.pool_size if strides is None else checks.per_axis('strides', strides, rank)
        self.padding = checks.per_axis('padding', padding, rank, least=0)
        self.layout, self.ceil_mode = checks.layout(layout, self.spatial), ceil_mode

    def _windows(self, x):
        checks.rank(x, len(self.layout), self.layout)
        windows = _Windows([1] * x.ndim, [1] * x.ndim, [(0, 0)] * x.ndim)
        for axis, size, stride, padding in zip(self.spatial, self.pool_size, self.strides, self.padding, strict=True):
            i = self.layout.index(axis)
            free = x.shape[i] + 2 * padding - size
            if free < 0:
                raise ShapeError(
                    f'the window is larger than the padded input along {axis}',
                    expected=f'a pool_size of at most {free + size}',
                    got=size,
                    remedy='give a larger input, more padding or a smaller pool_size',
                )
            more = -free % stride if self.ceil_mode else 0
            windows.sizes[i], windows.strides[i], windows.padding[i] = size, stride, (padding, padding + more)
        return windows


class _MaxPool(_Pool):
    def forward(self, x):
        _check_numbers(x)
        y = max_in_windows(x, *self._windows(x))
        beside = self.ceil_mode or any(p >= size for p, size in zip(self.padding, self.pool_size, strict=True))
        if beside and jnp.issubdtype(x.dtype, jnp.floating):
            y = lax.max(y, jnp.finfo(x.dtype).min)  # as in MXNet, where a window beside the input has no -inf
        return y


class _AvgPool(_Pool):
    def __init__(self, pool_size, strides, padding, layout, ceil_mode, count_include_pad):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x):
        checks.floating(x)
        windows = self._windows(x)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return (sum_in_windows(wide, windows) / self._counts(x, windows).astype(wide.dtype)).astype(x.dtype)

    def _counts(self, x, windows):
        """How many elements each window holds (1 if none: their sum is 0), shaped to divide the output."""
        counts = np.ones([1] * x.ndim)
        for i in map(self.layout.index, self.spatial):
            size, stride, (before, behind) = (of_axes[i] for of_axes in windows)
            starts = np.arange(-before, x.shape[i] + behind - size + 1, stride)
            counted = before if self.count_include_pad else 0  # what ceil_mode adds behind never counts
            held = np.minimum(starts + size, x.shape[i] + counted) - np.maximum(starts, -counted)
            counts = counts * np.maximum(held, 1).reshape([-1 if axis == i else 1 for axis in range(x.ndim)])
        return counts


class _GlobalPool(Layer):
    spatial: ClassVar[str]

    def __init__(self, layout):
        self.layout = checks.layout(layout, self.spatial)

    def _axes(self, x):
        checks.rank(x, len(self.layout), self.layout)
        axes = tuple(self.layout.index(axis) for axis in self.spatial)
        if not all(x.shape[axis] for axis in axes):
            raise ShapeError(
                'there is nothing to pool', expected=f'one place or more along {self.spatial}', got=x.shape
            )
        return axes


class _GlobalMaxPool(_GlobalPool):
    def forward(self, x):
        _check_numbers(x)
        return max_along(x, self._axes(x))


class _GlobalAvgPool(_GlobalPool):
    def forward(self, x):
        checks.floating(x)
        return x.mean(self._axes(x), keepdims=True)


class MaxPool1D(_MaxPool):
    """The largest value of each window of a sequence: `MaxPool2D` with one spatial axis, layout 'NCW' or 'NWC'.

    >>> MaxPool1D().apply({}, jnp.array([[[1.0, 4.0, 3.0, 2.0]]]))
    Array([[[4., 3.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(self, pool_size=2, strides=None, padding=0, layout='NCW', ceil_mode=False):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class MaxPool2D(_MaxPool):
    """The largest value of each window, as MXNet's `Pooling`.

    Along an axis the output has `floor((size + 2 * padding - pool_size) / stride) + 1` places; with `ceil_mode` it
    rounds up, and the last window may begin behind the input. A window beside the input has the lowest number of the
    dtype. The first of equal values has the gradient, as in MXNet; NaN wins, which in MXNet it does not.

    Args:
        pool_size: an int or two, (height, width), as the next two are.
        strides: steps between windows; None steps by `pool_size`.
        padding: places on both sides that never win.
        layout: 'NCHW' or 'NHWC'.
        ceil_mode: round the number of windows up.

    Raises:
        ArgumentError: if an argument is out of range.
        ShapeError: in a run, if the input has the wrong rank, or is smaller than the window.
        DTypeError: in a run, if the input holds no numbers; integers are welcome.

    >>> MaxPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[3.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, pool_size=(2, 2), strides=None, padding=0, layout='NCHW', ceil_mode=False):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class MaxPool3D(_MaxPool):
    """The largest value of each window of a volume: `MaxPool2D` with three spatial axes, layout 'NCDHW' or 'NDHWC'.

    Mind that `ceil_mode` comes before `layout` here, as in MXNet.

    >>> MaxPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[7.]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(self, pool_size=(2, 2, 2), strides=None, padding=0, ceil_mode=False, layout='NCDHW'):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class AvgPool1D(_AvgPool):
    """The mean of each window of a sequence: `AvgPool2D` with one spatial axis, layout 'NCW' or 'NWC'.

    Mind that `layout` comes before `ceil_mode` here, as in MXNet.

    >>> AvgPool1D().apply({}, jnp.array([[[1.0, 4.0, 3.0, 2.0]]]))
    Array([[[2.5, 2.5]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(self, pool_size=2, strides=None, padding=0, layout='NCW', ceil_mode=False, count_include_pad=True):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class AvgPool2D(_AvgPool):
    """The mean of each window, as MXNet's `Pooling`; it is summed in float32 at least.

    Along an axis the output has `floor((size + 2 * padding - pool_size) / stride) + 1` places; with `ceil_mode` it
    rounds up, and the last window may begin behind the input. A window beside the input has 0 (in MXNet's AvgPool3D it
    has NaN where padding does not count).

    Args:
        pool_size: an int or two, (height, width), as the next two are.
        strides: steps between windows; None steps by `pool_size`.
        padding: zeros on both sides.
        ceil_mode: round the number of windows up; what is behind the padding does not count.
        layout: 'NCHW' or 'NHWC'.
        count_include_pad: whether padding counts in the mean.

    Raises:
        ArgumentError: if an argument is out of range.
        ShapeError: in a run, if the input has the wrong rank, or is smaller than the window.
        DTypeError: in a run, if the input is not of floating point.

    >>> AvgPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[1.5]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(
        self, pool_size=(2, 2), strides=None, padding=0, ceil_mode=False, layout='NCHW', count_include_pad=True
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class AvgPool3D(_AvgPool):
    """The mean of each window of a volume: `AvgPool2D` with three spatial axes, layout 'NCDHW' or 'NDHWC'.

    >>> AvgPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[3.5]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(
        self, pool_size=(2, 2, 2), strides=None, padding=0, ceil_mode=False, layout='NCDHW', count_include_pad=True
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

    def __init__(self, layout='NCW'):
        super().__init__(layout)


class GlobalMaxPool2D(_GlobalMaxPool):
    """The largest value of each channel over the whole image, whose two axes stay with size 1.

    MXNet's `Pooling` with `global_pool`; the first of equal values has the gradient.

    Args:
        layout: 'NCHW' or 'NHWC'.

    Raises:
        ShapeError: in a run, if the input has the wrong rank, or an image has no place.

    >>> GlobalMaxPool2D('NHWC').apply({}, jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[[[6., 7.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, layout='NCHW'):
        super().__init__(layout)


class GlobalMaxPool3D(_GlobalMaxPool):
    """The largest value of each channel over the whole volume, whose three axes stay with size 1.

    Args:
        layout: 'NCDHW' or 'NDHWC'.

    >>> GlobalMaxPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[7.]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(self, layout='NCDHW'):
        super().__init__(layout)


class GlobalAvgPool1D(_GlobalAvgPool):
    """The mean of each channel over the whole sequence, an axis that stays with size 1.

    Args:
        layout: 'NCW' or 'NWC'.

    >>> GlobalAvgPool1D().apply({}, jnp.array([[[1.0, 4.0, 4.0]]]))
    Array([[[3.]]], dtype=float32)
    """

    spatial = 'W'

    def __init__(self, layout='NCW'):
        super().__init__(layout)


class GlobalAvgPool2D(_GlobalAvgPool):
    """The mean of each channel over the whole image, whose two axes stay with size 1.

    MXNet's `Pooling` with `global_pool`.

    Args:
        layout: 'NCHW' or 'NHWC'.

    Raises:
        ShapeError: in a run, if the input has the wrong rank, or an image has no place.
        DTypeError: in a run, if the input is not of floating point.

    >>> GlobalAvgPool2D('NHWC').apply({}, jnp.arange(8.0).reshape(1, 2, 2, 2))
    Array([[[[3., 4.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, layout='NCHW'):
        super().__init__(layout)


class GlobalAvgPool3D(_GlobalAvgPool):
    """The mean of each channel over the whole volume, whose three axes stay with size 1.

    Args:
        layout: 'NCDHW' or 'NDHWC'.

    >>> GlobalAvgPool3D().apply({}, jnp.arange(8.0).reshape(1, 1, 2, 2, 2))
    Array([[[[[3.5]]]]], dtype=float32)
    """

    spatial = 'DHW'

    def __init__(self, layout='NCDHW'):
        super().__init__(layout)
