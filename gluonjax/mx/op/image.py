"""Operators of image data, (height, width, channels) or with a batch before: conversion, crops, flips and colors."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gluonjax.errors import ArgumentError
from gluonjax.mx.op.attributes import Floats, Shape
from gluonjax.mx.op.table import Pass, operator

_GRAY = np.array([0.299, 0.587, 0.114], 'float32')
_LIGHT = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_LIGHT = (_LIGHT * np.array([55.46, 4.794, 1.148])).astype('float32')  # AlexNet's principal components of colors


def _as_dtype(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Floats as a dtype: truncated, and kept between 0 and 255 for bytes."""
    return (jnp.clip(x, 0, 255) if dtype == jnp.uint8 else x).astype(dtype)


@operator('_image_to_tensor', '_npx__image_to_tensor')
def to_tensor(data: jax.Array) -> jax.Array:
    """Channels first, and numbers from 0 to 255 as floats from 0 to 1."""
    return jnp.moveaxis(data, -1, -3).astype('float32') / 255


@operator('_image_normalize', '_npx__image_normalize')
def normalize(data: jax.Array, *, mean: Floats = (0.0, 0.0, 0.0, 0.0), std: Floats = (1.0, 1.0, 1.0, 1.0)) -> jax.Array:
    """Less the mean and divided by the standard deviation of each channel, of tensors with channels first."""
    count = data.shape[-3]
    shift, scale = (
        jnp.asarray((values * count)[:count] if len(values) == 1 else values[:count], data.dtype)
        .reshape(-1, 1, 1)
        .reshape((1,) * (data.ndim - 3) + (count, 1, 1))
        for values in (mean, std)
    )
    return (data - shift) / scale


@operator('_image_crop', '_npx__image_crop')
def crop(data: jax.Array, *, x: int, y: int, width: int, height: int) -> jax.Array:
    """The part of images with this corner and size.

    Raises:
        ArgumentError: if it reaches beyond the image.
    """
    rows, columns = data.shape[-3:-1]
    if not (min(x, y) >= 0 and 0 < width <= columns - x and 0 < height <= rows - y):
        raise ArgumentError(f'_image_crop of {width} x {height} at ({x}, {y}) reaches beyond {columns} x {rows} pixels')
    return data[..., y : y + height, x : x + width, :]


def _new_size(rows: int, columns: int, size: Shape, keep_ratio: bool) -> tuple[int, int]:
    if len(size) == 2:
        return size[1], size[0]
    if len(size) != 1:
        raise ArgumentError(f'size of _image_resize must be (width, height) or one int, got {size}')
    (edge,) = size
    if not keep_ratio:
        return edge, edge
    return (rows * edge // columns, edge) if rows > columns else (edge, columns * edge // rows)


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixel before each new one, the one after, and how much that one weighs."""
    places = (np.arange(new, dtype='float32') + 0.5) * (old / new) - 0.5
    low = np.floor(places).astype(int)
    share = np.where(low < 0, 0, np.where(low >= old - 1, 0, places - low))
    low = np.clip(low, 0, old - 1)
    return low, np.minimum(low + 1, old - 1), share.astype('float32')


def _along(values: np.ndarray, ndim: int, axis: int) -> jax.Array:
    """Numbers along an axis, counted from the end, of an array of some axes."""
    return jnp.asarray(values.reshape((1,) * (ndim + axis) + (-1,) + (1,) * (-1 - axis)))


def _bytes(data: jax.Array, rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...]) -> jax.Array:
    """Linear interpolation of bytes, with the integers of OpenCV: weights of 11 bits."""

    def weighed(x: jax.Array, share: np.ndarray, axis: int) -> jax.Array:
        return x * _along(np.rint(share * 2048).astype('int32'), x.ndim, axis)

    (top, below, down), (left, after, across) = rows, columns
    x = data.astype('int32')
    x = weighed(x[..., left, :], 1 - across, -2) + weighed(x[..., after, :], across, -2)
    x >>= 4
    upper, lower = weighed(x[..., top, :, :], 1 - down, -3), weighed(x[..., below, :, :], down, -3)
    return (((upper >> 16) + (lower >> 16) + 2) >> 2).astype('uint8')


@operator('_image_resize', '_npx__image_resize')
def resize(data: jax.Array, *, size: Shape = (), keep_ratio: bool = False, interp: int = 1) -> jax.Array:
    """Images of another size, (width, height): `interp` 0 takes the nearest pixel, 1 is linear interpolation.

    With one number both edges have it, or the shorter one with `keep_ratio`.

    Raises:
        ArgumentError: for another `interp`.
    """
    old = data.shape[-3:-1]
    new = _new_size(old[0], old[1], size, keep_ratio)
    if interp == 0:
        places = [np.minimum(np.arange(n) * m // n, m - 1) for m, n in zip(old, new, strict=True)]
        return data[..., places[0], :, :][..., places[1], :]
    if interp != 1:
        raise ArgumentError(f'interp of _image_resize must be 0 (nearest) or 1 (linear), got {interp}')
    rows, columns = _neighbours(old[0], new[0]), _neighbours(old[1], new[1])
    if data.dtype == jnp.uint8:
        return _bytes(data, rows, columns)
    x, share = data.astype('float32'), _along(columns[2], data.ndim, -2)
    x = x[..., columns[0], :] * (1 - share) + x[..., columns[1], :] * share
    share = _along(rows[2], data.ndim, -3)
    return (x[..., rows[0], :, :] * (1 - share) + x[..., rows[1], :, :] * share).astype(data.dtype)


@operator('_image_flip_left_right', '_npx__image_flip_left_right')
def flip_left_right(data: jax.Array) -> jax.Array:
    """Left is right."""
    return jnp.flip(data, -2)


@operator('_image_flip_top_bottom', '_npx__image_flip_top_bottom')
def flip_top_bottom(data: jax.Array) -> jax.Array:
    """The top is at the bottom."""
    return jnp.flip(data, -3)


@operator('_image_random_flip_left_right', '_npx__image_random_flip_left_right')
def random_flip_left_right(data: jax.Array, *, pass_: Pass) -> jax.Array:
    """Left is right, in one of two calls."""
    return jnp.where(jax.random.bernoulli(pass_.key('_image_random_flip_left_right')), jnp.flip(data, -2), data)


@operator('_image_random_flip_top_bottom', '_npx__image_random_flip_top_bottom')
def random_flip_top_bottom(data: jax.Array, *, pass_: Pass) -> jax.Array:
    """The top is at the bottom, in one of two calls."""
    return jnp.where(jax.random.bernoulli(pass_.key('_image_random_flip_top_bottom')), jnp.flip(data, -3), data)


def _brighter(data: jax.Array, factor: jax.Array) -> jax.Array:
    return _as_dtype(data.astype('float32') * factor, data.dtype)


def _gray(x: jax.Array) -> jax.Array:
    return (x @ _GRAY)[..., None] if x.shape[-1] == 3 else x


def _more_contrast(data: jax.Array, factor: jax.Array) -> jax.Array:
    x = data.astype('float32')
    mean = _gray(x).mean((-3, -2, -1), keepdims=True)
    return _as_dtype(x * factor + mean * (1 - factor), data.dtype)


def _more_saturated(data: jax.Array, factor: jax.Array) -> jax.Array:
    if data.shape[-1] == 1:
        return data
    x = data.astype('float32')
    gray = x[..., 2:] * _GRAY[2]  # MXNet forgets red and green
    return _as_dtype(x * factor + gray * (1 - factor), data.dtype)


def _other_hue(data: jax.Array, factor: jax.Array) -> jax.Array:
    """Colors whose hue is turned by a part `factor` of the circle, by way of hue, lightness and saturation."""
    if data.shape[-1] == 1:
        return data
    rgb = data.astype('float32') / 255
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    most, least = rgb.max(-1), rgb.min(-1)
    spread, light = most - least, (most + least) / 2
    colored = spread > np.finfo('float32').eps
    safe = jnp.where(colored, spread, 1)
    sixth = jnp.where(
        most == red,
        (green - blue) / safe,
        jnp.where(most == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    strength = jnp.where(colored, spread / 2, 0)  # saturation times the distance of the lightness from black or white
    twelfth = (sixth + factor * 6) * 2
    offset = jnp.array([0.0, 8.0, 4.0]).reshape((1,) * (data.ndim - 1) + (3,))
    k = jnp.mod(offset + twelfth[..., None], 12)
    wave = jnp.clip(jnp.minimum(k - 3, 9 - k), -1, 1)
    return _as_dtype((light[..., None] - strength[..., None] * wave) * 255, data.dtype)


def _enter_random(name: str, change: Callable[[jax.Array, jax.Array], jax.Array], what: str) -> None:
    @operator(f'_image_random_{name}', f'_npx__image_random_{name}')
    def changed(data: jax.Array, *, min_factor: float, max_factor: float, pass_: Pass) -> jax.Array:
        key = pass_.key(f'_image_random_{name}')
        return change(data, jax.random.uniform(key, minval=min_factor, maxval=max_factor))

    changed.__doc__ = f'{what} by a random factor between two numbers.'


_enter_random('brightness', _brighter, 'Brighter')
_enter_random('contrast', _more_contrast, 'Of more contrast')
_enter_random('saturation', _more_saturated, 'More saturated')
_enter_random('hue', _other_hue, 'The hue turned')


@operator('_image_random_color_jitter', '_npx__image_random_color_jitter')
def random_color_jitter(
    data: jax.Array, *, brightness: float, contrast: float, saturation: float, hue: float, pass_: Pass
) -> jax.Array:
    """Brightness, contrast, saturation and hue changed at random, in random order, each by up to a number."""
    order_key, *keys = jax.random.split(pass_.key('_image_random_color_jitter'), 5)
    factors = [
        jax.random.uniform(key, minval=middle - amount, maxval=middle + amount)
        for key, middle, amount in zip(keys, (1, 1, 1, 0), (brightness, contrast, saturation, hue), strict=True)
    ]
    changes = [
        functools.partial(change, factor=factor)
        for change, factor, amount in zip(
            (_brighter, _more_contrast, _more_saturated, _other_hue),
            factors,
            (brightness, contrast, saturation, hue),
            strict=True,
        )
        if amount > 0
    ]
    for which in jax.random.permutation(order_key, len(changes)):
        data = lax.switch(which, changes, data)
    return data


def _lit(data: jax.Array, alpha: jax.Array) -> jax.Array:
    if data.shape[-1] == 1:
        return data
    light = (_LIGHT @ alpha).reshape((1,) * (data.ndim - 1) + (3,))
    return _as_dtype(data.astype('float32') + light, data.dtype)


@operator('_image_adjust_lighting', '_npx__image_adjust_lighting')
def adjust_lighting(data: jax.Array, *, alpha: Floats) -> jax.Array:
    """Along the principal components of colors, each by its `alpha`."""
    return _lit(data, jnp.array(alpha))


@operator('_image_random_lighting', '_npx__image_random_lighting')
def random_lighting(data: jax.Array, *, alpha_std: float = 0.05, pass_: Pass) -> jax.Array:
    """Along the principal components of colors, each by a normal random number."""
    return _lit(data, alpha_std * jax.random.normal(pass_.key('_image_random_lighting'), (3,)))
