"""Image files, encoded and decoded by Pillow.

Pillow and OpenCV, which MXNet uses, decode PNG to the same numbers. JPEG leaves the last bit to the decoder: pixels
differ by some 1 of 255, rarely more.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError, DTypeError, FileError, MissingExtraError, ShapeError

_FORMATS = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.png': 'PNG'}


def pillow() -> Any:
    """The module `PIL.Image`.

    Raises:
        MissingExtraError: without Pillow.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(
            'images are read and written by Pillow', remedy="pip install 'gluonjax[image]'"
        ) from None
    return Image


def decode(data: Any, mode: str | None = 'RGB', what: str = 'the bytes', upright: bool = True) -> np.ndarray:
    """The pixels of an encoded image, as uint8 (height, width, channels), or (height, width) for shades of grey.

    Args:
        data: the bytes of a file: JPEG, PNG, or what else Pillow reads.
        mode: 'RGB', or 'L' for shades of grey; None for whichever of 'L', 'RGB', 'RGBA' the image is.
        what: what an error calls it.
        upright: turn the image as its camera was held, which JPEG files record.

    Raises:
        FileError: if this is no image, or a damaged one.
        MissingExtraError: without Pillow.

    >>> pixels = np.arange(12, dtype='uint8').reshape(2, 2, 3)
    >>> decode(encode(pixels, '.png')).tolist()
    [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    """
    Image = pillow()
    if not len(data):
        raise FileError(f'{what} cannot be decoded as an image: there are no bytes')
    try:
        image = Image.open(io.BytesIO(data))
        if upright:
            image = _upright(image, Image)
        return np.array(image.convert(mode or _closest_mode(image)))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).partition(' <')[0]
        raise FileError(f'{what} cannot be decoded as an image: {reason}', got=f'{len(data)} bytes') from error


def _closest_mode(image: Any) -> str:
    has_alpha = 'A' in image.getbands() or 'transparency' in image.info
    return 'RGBA' if has_alpha else 'L' if image.mode in ('1', 'L', 'I', 'I;16', 'F') else 'RGB'


def _upright(image: Any, Image: Any) -> Any:
    turns = Image.Transpose
    turn = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(image.getexif().get(0x0112))
    return image if turn is None else image.transpose(turn)


def encode(pixels: Any, img_fmt: str = '.jpg', quality: int = 95) -> bytes:
    """An image file of pixels.

    Args:
        pixels: uint8 (height, width), or (height, width, channels) with 1, 3 or 4 of them: RGB, RGBA.
        img_fmt: '.jpg', '.jpeg' or '.png'.
        quality: of JPEG, 1 to 100; or how hard PNG tries to be small, 0 to 9, and more is 9.

    Raises:
        ArgumentError: for another format or quality.
        ShapeError, DTypeError: if this is no image.
        MissingExtraError: without Pillow.
    """
    kind = _FORMATS.get(str(img_fmt).lower())
    if kind is None:
        raise ArgumentError(f'img_fmt must be one of {", ".join(_FORMATS)}; got {img_fmt!r}')
    if not 0 <= quality <= 100:
        raise ArgumentError(f'quality must be from 0 to 100, got {quality}')
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        raise DTypeError('pixels must be uint8', got=pixels.dtype, remedy="pixels.astype('uint8')")
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[-1] not in (3, 4)):
        expected = '(height, width), or (height, width, channels) with 1, 3 or 4 channels'
        raise ShapeError('this is no image', expected=expected, got=pixels.shape)
    if kind == 'JPEG' and pixels.ndim == 3:
        pixels = pixels[..., :3]
    buffer = io.BytesIO()
    options = {'quality': quality} if kind == 'JPEG' else {'compress_level': min(quality, 9)}
    pillow().fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, **options)
    return buffer.getvalue()
