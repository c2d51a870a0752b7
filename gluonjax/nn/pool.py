"""Pooling: one N-dimensional body, and a thin class a rank and a kind."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.errors import ShapeError
from gluonjax.layer import Layer
from gluonjax.nn import checks


class _Pool(Layer):
    """Windows of `pool_size`, `strides` apart, over the padded spatial axes.

    Along an axis the output has `floor((size + 2 * padding - pool_size) / stride) + 1` places; with `ceil_mode` it
    rounds up, and the last window may begin behind the input, as in MXNet.
    """

    spatial: ClassVar[str]

    def __init__(self, pool_size, strides, padding, layout, ceil_mode):
        rank = len(self.spatial)
        self.pool_size = checks.per_axis('pool_size', pool_size, rank)
        self.strides = self.pool_size if strides is None else checks.per_axis('strides', strides, rank)
        self.padding = checks.per_axis('padding', padding, rank, least=0)
        self.layout, self.ceil_mode = checks.layout(layout, self.spatial), ceil_mode

    def _windows(self, x) -> dict[str, tuple[int, int]]:
        """Axis -> number of windows, and padding behind."""
        checks.rank(x, len(self.layout), self.layout)
        places = {}
        for axis, window, stride, padding in zip(self.spatial, self.pool_size, self.strides, self.padding, strict=True):
            free = x.shape[self.layout.index(axis)] + 2 * padding - window
            if free < 0:
                raise ShapeError(
                    f'the window is larger than the padded input along {axis}',
                    expected=f'a pool_size of at most {free + window}',
                    got=window,
                )
            count = (-(-free // stride) if self.ceil_mode else free // stride) + 1
            places[axis] = (count, padding + max(0, (count - 1) * stride - free))
        return places

    def _reduce(self, x, start, combine):
        behind = self._windows(x)
        sizes, steps, before = (
            dict(zip(self.spatial, values, strict=True)) for values in (self.pool_size, self.strides, self.padding)
        )
        return lax.reduce_window(
            x,
            start,
            combine,
            [sizes.get(axis, 1) for axis in self.layout],
            [steps.get(axis, 1) for axis in self.layout],
            [(before[axis], behind[axis][1]) if axis in before else (0, 0) for axis in self.layout],
        )

    def _counts(self, x, include_padding: bool) -> np.ndarray:
        """How many elements each window holds, shaped to divide the output."""
        product = np.ones((1,) * x.ndim)
        for axis, (places, _) in self._windows(x).items():
            position, i = self.layout.index(axis), self.spatial.index(axis)
            start = np.arange(places) * self.strides[i] - self.padding[i]
            end = np.minimum(start + self.pool_size[i], x.shape[position] + include_padding * self.padding[i])
            count = end - (start if include_padding else np.maximum(start, 0))
            product = product * count.reshape([places if j == position else 1 for j in range(x.ndim)])
        return product


class _MaxPool(_Pool):
    def forward(self, x):
        if jnp.issubdtype(x.dtype, jnp.integer):
            return self._largest(x.astype(jnp.int32), jnp.iinfo(jnp.int32).min, jnp.iinfo(x.dtype).min).astype(x.dtype)
        checks.floating(x)
        return self._largest(x, -np.inf, jnp.finfo(x.dtype).min)

    def _largest(self, x, start, least):
        y = self._reduce(x, start, lax.max)
        beside = self.ceil_mode or any(p >= w for p, w in zip(self.padding, self.pool_size, strict=True))
        return lax.max(y, jnp.asarray(least, y.dtype)) if beside else y  # a window beside the input has no largest


class _AvgPool(_Pool):
    def __init__(self, pool_size, strides, padding, layout, ceil_mode, count_include_pad):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x):
        checks.floating(x)
        counts = np.maximum(self._counts(x, self.count_include_pad), 1)
        return self._reduce(x, 0.0, lax.add) / jnp.asarray(counts, x.dtype)


class _GlobalAvgPool(Layer):
    spatial: ClassVar[str]

    def __init__(self, layout):
        self.layout = checks.layout(layout, self.spatial)

    def forward(self, x):
        checks.rank(x, len(self.layout), self.layout)
        checks.floating(x)
        return x.mean([self.layout.index(axis) for axis in self.spatial], keepdims=True)


class MaxPool2D(_MaxPool):
    """The largest value of each window, as MXNet's `Pooling`.

    Args:
        pool_size: an int or two, (height, width), as the next two are.
        strides: steps between windows; None steps by `pool_size`.
        padding: places on both sides that never win.
        layout: 'NCHW' or 'NHWC'.
        ceil_mode: round the number of windows up.

    >>> MaxPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[3.]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(self, pool_size=(2, 2), strides=None, padding=0, layout='NCHW', ceil_mode=False):
        super().__init__(pool_size, strides, padding, layout, ceil_mode)


class AvgPool2D(_AvgPool):
    """The mean of each window, as MXNet's `Pooling`.

    Args:
        pool_size: an int or two, (height, width), as the next two are.
        strides: steps between windows; None steps by `pool_size`.
        padding: zeros on both sides.
        ceil_mode: round the number of windows up; what is behind the padding does not count.
        layout: 'NCHW' or 'NHWC'.
        count_include_pad: whether padding counts in the mean.

    >>> AvgPool2D().apply({}, jnp.arange(4.0).reshape(1, 1, 2, 2))
    Array([[[[1.5]]]], dtype=float32)
    """

    spatial = 'HW'

    def __init__(
        self, pool_size=(2, 2), strides=None, padding=0, ceil_mode=False, layout='NCHW', count_include_pad=True
    ):
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad)


class GlobalAvgPool2D(_GlobalAvgPool):
    """The mean of each channel over the whole image, which keeps its two axes with size 1.

    Args:
        layout: 'NCHW' or 'NHWC'.
    """

    spatial = 'HW'

    def __init__(self, layout='NCHW'):
        super().__init__(layout)
