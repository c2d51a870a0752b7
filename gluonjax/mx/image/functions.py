"""Functions of images: files, sizes, crops, borders, angles."""

from __future__ import annotations

import math
import os
import pathlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from gluonjax.data import images
from gluonjax.data.vision import pixels
from gluonjax.errors import ArgumentError, DTypeError, FileError, ShapeError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls

Box = tuple[int, int, int, int]
Size = tuple[int, int]
_BORDERS = ('constant', 'edge', 'symmetric', 'wrap', 'reflect')  # by OpenCV's number


def on_host(src: Any) -> np.ndarray:
    """An image as NumPy's array.

    Raises:
        ShapeError: if it has not three axes.
    """
    array = src.asnumpy() if isinstance(src, NDArray) else np.asarray(src)
    if array.ndim != 3:
        raise ShapeError('an image is (height, width, channels)', got=array.shape)
    return array


def as_image(array: np.ndarray) -> NDArray:
    """NumPy's array as MXNet's."""
    return NDArray(as_jax(np.ascontiguousarray(array)))


def imdecode(buf: Any, flag: int = 1, to_rgb: bool | int = True, out: NDArray | None = None) -> NDArray:
    """The pixels of an encoded image.

    Args:
        buf: bytes, or an array of uint8.
        flag: 1 for colours, 0 for shades of grey (height, width, 1).
        to_rgb: whether red is first, and not blue.
        out: an array that is written.

    Raises:
        ArgumentError: if these are no bytes.
        FileError: if they are no image.
        MissingExtraError: without Pillow.
    """
    if isinstance(buf, NDArray | np.ndarray):
        buf = np.asarray(buf, 'uint8').tobytes()
    if not isinstance(buf, bytes | bytearray | memoryview):
        raise ArgumentError(f'an encoded image is bytes or an array of uint8, got {type(buf).__name__}')
    if flag == 0:
        found = images.decode(buf, 'L')[..., None]
    else:
        found = images.decode(buf, 'RGB')[..., :: 1 if to_rgb else -1]
    if out is None:
        return as_image(found)
    out[:] = as_image(found)
    return out


def imread(filename: str | os.PathLike[str], flag: int = 1, to_rgb: bool | int = True) -> NDArray:
    """The pixels of an image file; see `imdecode`.

    Raises:
        FileError: if there is no such file, or it is no image.
    """
    if not pathlib.Path(filename).is_file():
        raise FileError(f'there is no file {os.fspath(filename)!r}')
    return imdecode(pathlib.Path(filename).read_bytes(), flag, to_rgb)


def imresize(src: Any, w: int, h: int, interp: int = 1) -> NDArray:
    """An image of another size.

    Args:
        src: the image.
        w: the width.
        h: the height.
        interp: OpenCV's number: 0 takes the nearest pixel, 1 is linear, 2 cubic, 3 the mean of areas, 4 Lanczos; 9
            chooses by the size, 10 any.

    >>> imresize(np.zeros((2, 3, 3), 'uint8'), 6, 4).shape
    (4, 6, 3)
    """
    if interp == 10:
        interp = random.randint(0, 4)
    return as_image(pixels.resize(on_host(src), pixels.size_of((w, h)), interp))


def interpolation_method(interp: int, sizes: Sequence[int] = ()) -> int:
    """OpenCV's number of a way to interpolate: 9 is chosen by the sizes, 10 is any.

    Args:
        interp: as for `imresize`.
        sizes: the height and width before, and those after; () if they are not known.

    >>> interpolation_method(9, (10, 20, 30, 40)), interpolation_method(9, (30, 40, 10, 20)), interpolation_method(4)
    (2, 3, 4)
    """
    if interp == 10:
        return random.randint(0, 4)
    if interp != 9 or not sizes:
        return 2 if interp == 9 else interp
    height, width, new_height, new_width = sizes
    if new_height > height and new_width > width:
        return 2
    return 3 if new_height < height and new_width < width else 1


def scale_down(src_size: Size, size: Size) -> Size:
    """A size (width, height) made smaller until it fits into another.

    >>> scale_down((640, 480), (720, 120))
    (640, 106)
    """
    (w, h), (most_w, most_h) = size, src_size
    if most_h < h:
        w, h = w * most_h / h, most_h
    if most_w < w:
        w, h = most_w, h * most_w / w
    return int(w), int(h)


def resize_short(src: Any, size: int, interp: int = 2) -> NDArray:
    """An image whose shorter edge has this size."""
    height, width, _ = src.shape
    new = (size, size * height // width) if height > width else (size * width // height, size)
    return imresize(src, *new, interp=interp)


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: Size | None = None, interp: int = 2) -> NDArray:
    """A part of an image, resized if a size (width, height) is given."""
    part = on_host(src)[y0 : y0 + h, x0 : x0 + w]
    return as_image(part) if size is None or (w, h) == tuple(size) else imresize(part, *size, interp=interp)


def random_crop(src: Any, size: Size, interp: int = 2) -> tuple[NDArray, Box]:
    """A part of this size (width, height) anywhere, and where it was; enlarged, if the image is smaller."""
    height, width, _ = src.shape
    w, h = scale_down((width, height), size)
    x0, y0 = random.randint(0, width - w), random.randint(0, height - h)
    return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)


def center_crop(src: Any, size: Size, interp: int = 2) -> tuple[NDArray, Box]:
    """The middle part of this size (width, height), and where it was; enlarged, if the image is smaller."""
    height, width, _ = src.shape
    w, h = scale_down((width, height), size)
    x0, y0 = (width - w) // 2, (height - h) // 2
    return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)


def random_size_crop(
    src: Any, size: Size, area: float | Sequence[float], ratio: Sequence[float], interp: int = 2, **kwargs: Any
) -> tuple[NDArray, Box]:
    """A part of any size and any ratio anywhere, resized to a size (width, height), and where it was.

    Args:
        src: the image.
        size: of the result.
        area: the least and the greatest part of the area; one number is the least.
        ratio: the least and the greatest ratio of width to height.
        interp: as for `imresize`.
        **kwargs: MXNet's old `min_area`.
    """
    area = kwargs.pop('min_area', area)
    if kwargs:
        raise ArgumentError(f'random_size_crop takes no {sorted(kwargs)[0]!r}')
    least, most = (area, 1.0) if isinstance(area, int | float) else area
    height, width, _ = src.shape
    for _ in range(10):
        target = random.uniform(least, most) * height * width
        chosen = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(target * chosen)), round(math.sqrt(target / chosen))
        if w <= width and h <= height:
            x0, y0 = random.randint(0, width - w), random.randint(0, height - h)
            return fixed_crop(src, x0, y0, w, h, size, interp), (x0, y0, w, h)
    return center_crop(src, size, interp)


def color_normalize(src: Any, mean: Any, std: Any = None) -> NDArray:
    """The image less a mean, by a standard deviation; either may be None."""
    result = src if isinstance(src, NDArray) else as_image(np.asarray(src))
    if mean is not None:
        result = result - mean
    return result if std is None else result / std


def copyMakeBorder(
    src: Any, top: int, bot: int, left: int, right: int, type: int = 0, value: float = 0.0, values: Any = ()
) -> NDArray:
    """An image with a border.

    Args:
        src: the image.
        top: how many rows above.
        bot: how many below.
        left: how many columns before.
        right: how many behind.
        type: OpenCV's number: 0 of one colour, 1 of the edge, 2 mirrored, 3 from the other side, 4 mirrored at it.
        value: of the colour.
        values: of its channels.

    Raises:
        ArgumentError: for another type.
    """
    if type not in range(len(_BORDERS)):
        raise ArgumentError(f'type must be from 0 to {len(_BORDERS) - 1}, got {type!r}')
    image, around = on_host(src), ((top, bot), (left, right), (0, 0))
    if type:
        return as_image(np.pad(image, around, _BORDERS[type]))  # type: ignore[call-overload]
    result = np.empty((image.shape[0] + top + bot, image.shape[1] + left + right, image.shape[2]), image.dtype)
    result[:] = list(values)[: image.shape[2]] if len(values) else value
    result[top : top + image.shape[0], left : left + image.shape[1]] = image
    return as_image(result)


def imrotate(src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False) -> NDArray:
    """Turned around the middle.

    Args:
        src: float32, (channels, height, width), or several.
        rotation_degrees: the angle; one for each of several.
        zoom_in: enlarge until no zeros are seen.
        zoom_out: shrink until all is seen.

    Raises:
        DTypeError: for another dtype.
        ShapeError: for another number of axes, or not one angle for each image.
    """
    array = src.asnumpy() if isinstance(src, NDArray) else np.asarray(src)
    if array.dtype != np.float32:
        raise DTypeError('imrotate takes float32', got=array.dtype, remedy="src.astype('float32')")
    angles = np.ravel(np.asarray(rotation_degrees, 'float64'))
    if array.ndim == 3 and angles.size == 1:
        return as_image(pixels.rotate(array, float(angles[0]), zoom_in, zoom_out))
    if array.ndim != 4 or angles.size not in (1, len(array)):
        raise ShapeError('imrotate takes one angle for each image', expected=array.shape[:1], got=angles.shape)
    pairs = zip(array, np.broadcast_to(angles, len(array)), strict=True)
    return as_image(np.stack([pixels.rotate(image, float(angle), zoom_in, zoom_out) for image, angle in pairs]))


def random_rotate(src: Any, angle_limits: Sequence[float], zoom_in: bool = False, zoom_out: bool = False) -> NDArray:
    """Turned by any angle between two."""
    count = None if src.ndim == 3 else src.shape[0]
    angles = np.random.uniform(*angle_limits, size=count)  # noqa: NPY002 (MXNet's stream)
    return imrotate(src, angles, zoom_in, zoom_out)


explain_calls(globals())
