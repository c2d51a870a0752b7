"""What transforms compute of pixels, (height, width, channels) with any axes before: sizes, crops, angles, colors.

The numbers are those of MXNet, which has OpenCV resize. Bytes stay bytes, truncated and kept between 0 and 255.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gluonjax.errors import ArgumentError, DTypeError, ShapeError

Size = tuple[int, int]  # (width, height)
NEAREST, LINEAR, CUBIC, AREA, LANCZOS, AUTOMATIC = 0, 1, 2, 3, 4, 9
_GRAY = np.array([0.299, 0.587, 0.114], 'float32')
_LIGHT = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_LIGHT = (_LIGHT * np.array([55.46, 4.794, 1.148])).astype('float32')  # AlexNet's principal components of colors


def size_of(size: int | Sequence[int], name: str = 'size') -> Size:
    """A size (width, height) from one, or from one number for both.

    Raises:
        ArgumentError: for anything else.

    >>> size_of(3), size_of((4, 5))
    ((3, 3), (4, 5))
    """
    pair = (size, size) if isinstance(size, int | np.integer) else tuple(size)
    if len(pair) != 2 or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in pair):
        raise ArgumentError(f'{name} must be an int >= 1 or (width, height) of such, got {size!r}')
    return int(pair[0]), int(pair[1])


def resize(image: np.ndarray, size: Size, interp: int = LINEAR) -> np.ndarray:
    """An image of another size.

    Args:
        image: (..., height, width, channels).
        size: (width, height).
        interp: OpenCV's number: 0 takes the nearest pixel, 1 is linear, 2 cubic, 3 the mean of areas, 4 Lanczos; 9 is
            cubic to enlarge and areas to shrink, and linear else.

    Raises:
        ArgumentError: for another `interp`.

    >>> resize(np.array([[[0], [100]]], 'uint8'), (4, 1))[0, :, 0]
    array([  0,  25,  75, 100], dtype=uint8)
    """
    old, new = image.shape[-3:-1], (size[1], size[0])
    if interp == AUTOMATIC:
        grows, shrinks = old[0] < new[0] and old[1] < new[1], old[0] > new[0] and old[1] > new[1]
        interp = CUBIC if grows else AREA if shrinks else LINEAR
    if interp == NEAREST:
        rows, columns = (np.minimum(np.arange(n) * m // n, m - 1) for m, n in zip(old, new, strict=True))
        return image[..., rows[:, None], columns, :]
    if old == new:
        return image
    if interp == LINEAR:
        linear = _linear_bytes if image.dtype == np.uint8 else _linear
        return linear(image, _neighbours(old[0], new[0]), _neighbours(old[1], new[1]))
    if interp not in _WEIGHTS:
        raise ArgumentError(f'interp must be one of 0, 1, 2, 3, 4, 9; got {interp!r}')
    rows, columns = (_WEIGHTS[interp](m, n) for m, n in zip(old, new, strict=True))
    x = np.einsum('ij,...jkc->...ikc', rows, image.astype('float32'), optimize=True)
    x = np.einsum('ij,...kjc->...kic', columns, x, optimize=True)
    return as_dtype(np.rint(x) if image.dtype == np.uint8 else x, image.dtype)


def as_dtype(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as a dtype: truncated, and kept between 0 and 255 for bytes."""
    return (np.clip(x, 0, 255) if dtype == np.uint8 else x).astype(dtype)


_Neighbours = tuple[np.ndarray, np.ndarray, np.ndarray]


def _neighbours(old: int, new: int) -> _Neighbours:
    """The pixel before each new one, the one after, and how much that one weighs."""
    places = (np.arange(new, dtype='float32') + 0.5) * (old / new) - 0.5
    low = np.floor(places).astype(int)
    weight = np.where((low < 0) | (low >= old - 1), 0, places - low)
    low = np.clip(low, 0, old - 1)
    return low, np.minimum(low + 1, old - 1), weight.astype('float32')


def _linear(image: np.ndarray, rows: _Neighbours, columns: _Neighbours) -> np.ndarray:
    (top, below, down), (left, after, across) = rows, columns
    x, across, down = image.astype('float32'), across[:, None], down[:, None, None]
    x = x[..., left, :] * (1 - across) + x[..., after, :] * across
    return (x[..., top, :, :] * (1 - down) + x[..., below, :, :] * down).astype(image.dtype)


def _linear_bytes(image: np.ndarray, rows: _Neighbours, columns: _Neighbours) -> np.ndarray:
    """With the integers of OpenCV: weights of 11 bits."""
    (top, below, down), (left, after, across) = rows, columns
    before, after_, upper, lower = (
        np.rint(weight * 2048).astype('int32') for weight in (1 - across, across, 1 - down, down)
    )
    x = image.astype('int32')
    x = x[..., left, :] * before[:, None] + x[..., after, :] * after_[:, None]
    x >>= 4
    above, under = x[..., top, :, :] * upper[:, None, None], x[..., below, :, :] * lower[:, None, None]
    return (((above >> 16) + (under >> 16) + 2) >> 2).astype('uint8')


def _taps(old: int, new: int, reach: int, kernel: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The weights (new, old) of a kernel around each new pixel; beyond the edge are copies of it."""
    places = (np.arange(new) + 0.5) * (old / new) - 0.5
    low = np.floor(places).astype(int)
    offsets = np.arange(1 - reach, reach + 1)
    weights = kernel(np.abs((places - low)[:, None] - offsets))
    weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], np.clip(low[:, None] + offsets, 0, old - 1)), weights)
    return matrix.astype('float32')


def _cubic_kernel(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _lanczos_kernel(x: np.ndarray) -> np.ndarray:
    return np.where(x < 4, np.sinc(x) * np.sinc(x / 4), 0)


def _area(old: int, new: int) -> np.ndarray:
    """How much of each old pixel a new one covers; where it is smaller than they are, linear with sharp edges."""
    scale = old / new
    if scale < 1:
        low = np.floor(np.arange(new) * scale).astype(int)
        weight = (np.arange(new) + 1) - (low + 1) / scale
        weight = np.where(weight <= 0, 0, weight - np.floor(weight))
        matrix = np.zeros((new, old))
        np.add.at(matrix, (np.arange(new), np.minimum(low, old - 1)), 1 - weight)
        np.add.at(matrix, (np.arange(new), np.minimum(low + 1, old - 1)), weight)
        return matrix.astype('float32')
    edges = np.arange(new + 1) * scale
    covered = np.minimum(edges[1:, None], np.arange(old) + 1) - np.maximum(edges[:-1, None], np.arange(old))
    return (np.maximum(covered, 0) / scale).astype('float32')


_WEIGHTS: dict[int, Callable[[int, int], np.ndarray]] = {
    CUBIC: lambda old, new: _taps(old, new, 2, _cubic_kernel),
    AREA: _area,
    LANCZOS: lambda old, new: _taps(old, new, 4, _lanczos_kernel),
}


def resized_edge(image: np.ndarray, edge: int) -> Size:
    """The size (width, height) in which the shorter edge has this length, and the ratio is kept."""
    rows, columns = image.shape[-3:-1]
    return (edge, rows * edge // columns) if rows > columns else (columns * edge // rows, edge)


def crop(image: np.ndarray, x: int, y: int, size: Size) -> np.ndarray:
    """The part with this corner and size.

    Raises:
        ArgumentError: if it reaches beyond the image.
    """
    rows, columns = image.shape[-3:-1]
    width, height = size
    if not (min(x, y) >= 0 and 0 < width <= columns - x and 0 < height <= rows - y):
        raise ArgumentError(f'a crop of {width} x {height} at ({x}, {y}) reaches beyond {columns} x {rows} pixels')
    return image[..., y : y + height, x : x + width, :]


def fitting(image: np.ndarray, size: Size) -> Size:
    """The size, made smaller in its ratio until it is no larger than the image."""
    (width, height), (rows, columns) = size, image.shape[-3:-1]
    if rows < height:
        width, height = width * rows / height, rows
    if columns < width:
        width, height = columns, height * columns / width
    return int(width), int(height)


def center_crop(image: np.ndarray, size: Size, interp: int = LINEAR) -> np.ndarray:
    """The middle, enlarged where the image is smaller than the size."""
    width, height = fitting(image, size)
    rows, columns = image.shape[-3:-1]
    middle = crop(image, (columns - width) // 2, (rows - height) // 2, (width, height))
    return resize(middle, size, interp)


def rotate(image: np.ndarray, degrees: float, zoom_in: bool = False, zoom_out: bool = False) -> np.ndarray:
    """Turned around its middle, zeros where nothing was; the size stays.

    Args:
        image: float32, channels first: (..., channels, height, width).
        degrees: the angle, clockwise.
        zoom_in: enlarge it until no zeros are seen.
        zoom_out: shrink it until all of it is seen.

    Raises:
        ArgumentError: for both zooms.
        DTypeError: for another dtype.
        ShapeError: for fewer than three axes.
    """
    if zoom_in and zoom_out:
        raise ArgumentError('zoom_in and zoom_out exclude each other')
    if image.dtype != np.float32:
        raise DTypeError('rotation takes float32', got=image.dtype, remedy='transforms.ToTensor() before it')
    if image.ndim < 3:
        raise ShapeError('rotation takes (channels, height, width)', got=image.shape)
    height, width = image.shape[-2:]
    angle, middle_y, middle_x = math.radians(degrees), (height - 1) / 2, (width - 1) / 2
    scale = _zoom(angle, height, width, zoom_in, zoom_out)
    y, x = np.mgrid[:height, :width].astype('float32')
    y, x = y - middle_y, x - middle_x
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    return _sampled(image, x * sin + y * cos + middle_y, x * cos - y * sin + middle_x)


def _zoom(angle: float, height: int, width: int, zoom_in: bool, zoom_out: bool) -> float:
    """How far apart pixels are read."""
    if not (zoom_in or zoom_out):
        return 1.0
    radius, corner, angle = math.hypot(height, width), math.atan2(height, width), abs(angle)
    most_x = max(abs(radius * math.cos(corner + angle)), abs(radius * math.cos(corner - angle)))
    most_y = max(abs(radius * math.sin(corner + angle)), abs(radius * math.sin(corner - angle)))
    if zoom_out:
        return max(most_x / width, most_y / height)
    return min(width / most_x, height / most_y)


def _sampled(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Linear interpolation at places, zeros outside."""
    low_y, low_x = np.floor(y).astype(int), np.floor(x).astype(int)
    result = np.zeros_like(image)
    for down in (0, 1):
        for across in (0, 1):
            row, column = low_y + down, low_x + across
            weight = (1 - np.abs(y - row)) * (1 - np.abs(x - column))
            inside = (row >= 0) & (row < image.shape[-2]) & (column >= 0) & (column < image.shape[-1])
            row, column = (np.clip(at, 0, n - 1) for at, n in zip((row, column), image.shape[-2:], strict=True))
            result += image[..., row, column] * (weight * inside).astype('float32')
    return result


# Colors.


def brighter(image: np.ndarray, factor: float) -> np.ndarray:
    """Times a factor."""
    return as_dtype(image.astype('float32') * np.float32(factor), image.dtype)


def gray(x: np.ndarray) -> np.ndarray:
    """The lightness of colors, with one channel."""
    return (x @ _GRAY)[..., None] if x.shape[-1] == 3 else x


def more_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Away from the mean lightness by a factor."""
    x = image.astype('float32')
    mean = gray(x).mean((-3, -2, -1), keepdims=True)
    return as_dtype(x * np.float32(factor) + mean * np.float32(1 - factor), image.dtype)


def more_saturated(image: np.ndarray, factor: float) -> np.ndarray:
    """Away from gray by a factor."""
    if image.shape[-1] == 1:
        return image
    x = image.astype('float32')
    blue = x[..., 2:] * _GRAY[2]  # MXNet forgets red and green
    return as_dtype(x * np.float32(factor) + blue * np.float32(1 - factor), image.dtype)


def other_hue(image: np.ndarray, factor: float) -> np.ndarray:
    """The hue turned by a part `factor` of the circle, by way of hue, lightness and saturation."""
    if image.shape[-1] == 1:
        return image
    rgb = image.astype('float32') / 255
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    most, least = rgb.max(-1), rgb.min(-1)
    spread, light = most - least, (most + least) / 2
    colored = spread > np.finfo('float32').eps
    safe = np.where(colored, spread, 1)
    sixth = np.select(
        [most == red, most == green], [(green - blue) / safe, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    strength = np.where(colored, spread / 2, 0)
    k = np.mod(np.array([0.0, 8.0, 4.0], 'float32') + ((sixth + np.float32(factor) * 6) * 2)[..., None], 12)
    wave = np.clip(np.minimum(k - 3, 9 - k), -1, 1)
    return as_dtype((light[..., None] - strength[..., None] * wave) * 255, image.dtype)


def lit(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Along the principal components of colors, each by its `alpha`."""
    if image.shape[-1] == 1:
        return image
    return as_dtype(image.astype('float32') + _LIGHT @ alpha.astype('float32'), image.dtype)
