"""Transforms of images: NumPy arrays (height, width, channels), or batches of them where nothing is random.

Random ones draw from a generator that each sample of a `DataLoader` has of its own.

>>> image = np.full((4, 6, 3), 255, 'uint8')
>>> transform = Compose([CenterCrop(4), ToTensor(), Normalize(mean=0.5, std=0.5)])
>>> transform(image).shape, float(transform(image).max())
((3, 4, 4), 1.0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import numpy as jnp
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.data import chance
from gluonjax.data.vision import pixels
from gluonjax.errors import ArgumentError, ShapeError
from gluonjax.lazy import entry_points
from gluonjax.packages import refuses_unknown

Transform = Callable[[Any], Any]
Numbers = float | Sequence[float]


@entry_points
class Compose:
    """Transforms one after the other.

    Args:
        transforms: functions of an image.
    """

    def __init__(self, transforms: Sequence[Transform]):
        self.transforms: list[Transform] = list(transforms)

    def __call__(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x


@entry_points
class Cast:
    """Another dtype.

    Args:
        dtype: the dtype.
    """

    def __init__(self, dtype: DTypeLike = 'float32'):
        self._dtype = jnp.dtype(dtype)

    def __call__(self, x: Any) -> np.ndarray:
        return np.asarray(x).astype(self._dtype)


@entry_points
class ToTensor:
    """Channels first, and numbers from 0 to 255 as float32 from 0 to 1; images, or batches of them."""

    def __call__(self, x: Any) -> np.ndarray:
        x = _image(x)
        return np.ascontiguousarray(np.moveaxis(x, -1, -3)).astype('float32') / np.float32(255)


@entry_points
class Normalize:
    """Less a mean and divided by a standard deviation, of channels or of all; tensors with channels first.

    Args:
        mean: one number, or one for each channel.
        std: likewise.

    Raises:
        ShapeError: when called, if there are not as many channels.
    """

    def __init__(self, mean: Numbers = 0.0, std: Numbers = 1.0):
        self._mean, self._std = (np.atleast_1d(np.asarray(part, 'float32')) for part in (mean, std))

    def __call__(self, x: Any) -> np.ndarray:
        x = _image(x)
        for part in (self._mean, self._std):
            if part.size not in (1, x.shape[-3]):
                raise ShapeError('Normalize has numbers for other channels', expected=part.size, got=x.shape)
        return (x.astype('float32') - self._mean[:, None, None]) / self._std[:, None, None]


@entry_points
class Rotate:
    """Turned by an angle; float32 tensors with channels first, as `ToTensor` makes them.

    Args:
        rotation_degrees: the angle, clockwise.
        zoom_in: enlarge the image until no zeros are seen.
        zoom_out: shrink it until all of it is seen.
    """

    def __init__(self, rotation_degrees: float, zoom_in: bool = False, zoom_out: bool = False):
        self._degrees, self._zoom = checks.number('rotation_degrees', rotation_degrees), (zoom_in, zoom_out)

    def __call__(self, x: Any) -> np.ndarray:
        return pixels.rotate(np.asarray(x), self._degrees, *self._zoom)


@entry_points
class RandomRotation:
    """Turned by a random angle; float32 tensors with channels first, as `ToTensor` makes them.

    Args:
        angle_limits: the least and the greatest angle, in degrees.
        zoom_in: enlarge the image until no zeros are seen.
        zoom_out: shrink it until all of it is seen.
        rotate_with_proba: the probability that it is turned at all.
    """

    def __init__(
        self,
        angle_limits: Sequence[float],
        zoom_in: bool = False,
        zoom_out: bool = False,
        rotate_with_proba: float = 1.0,
    ):
        self._least, self._most = _pair('angle_limits', angle_limits)
        if self._least >= self._most:
            raise ArgumentError('angle_limits must be (least, greatest)', got=angle_limits)
        self._zoom, self._p = (zoom_in, zoom_out), checks.number('rotate_with_proba', rotate_with_proba, 0, 1)

    def __call__(self, x: Any) -> np.ndarray:
        numbers = chance.generator()
        if numbers.random() >= self._p:
            return np.asarray(x)
        return pixels.rotate(np.asarray(x), numbers.uniform(self._least, self._most), *self._zoom)


@entry_points
class Resize:
    """Another size; images, or batches of them.

    Args:
        size: (width, height), or one number for both.
        keep_ratio: whether one number is the length of the shorter edge, and the ratio stays.
        interpolation: OpenCV's number, see `gluonjax.data.vision.pixels.resize`; 1 is linear.
    """

    def __init__(self, size: int | Sequence[int], keep_ratio: bool = False, interpolation: int = 1):
        self._size, self._interpolation = size, interpolation  # a wrong size is refused by the call, as in MXNet
        self._keeps = checks.flag('keep_ratio', keep_ratio) and not isinstance(size, Sequence)

    def __call__(self, x: Any) -> np.ndarray:
        x, size = _image(x), pixels.size_of(self._size)
        size = pixels.resized_edge(x, size[0]) if self._keeps else size
        return pixels.resize(x, size, self._interpolation)


@entry_points
class CropResize:
    """A part of the image, in another size if one is given; images, or batches of them.

    Args:
        x: the left edge.
        y: the upper edge.
        width: of the part.
        height: of the part.
        size: (width, height), or one number for both; None to leave it.
        interpolation: OpenCV's number, see `gluonjax.data.vision.pixels.resize`; 1 is linear.
    """

    def __init__(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        size: int | Sequence[int] | None = None,
        interpolation: int | None = None,
    ):
        left, upper = checks.size('x', x, least=0), checks.size('y', y, least=0)
        self._part = (left, upper, (checks.size('width', width), checks.size('height', height)))
        self._size = None if size is None else pixels.size_of(size)
        self._interpolation = 1 if interpolation is None else interpolation

    def __call__(self, x: Any) -> np.ndarray:
        part = pixels.crop(_image(x), *self._part)
        return part if self._size is None else pixels.resize(part, self._size, self._interpolation)


@entry_points
class CenterCrop:
    """The middle of an image, enlarged where the image is smaller.

    Args:
        size: (width, height), or one number for both.
        interpolation: OpenCV's number, see `gluonjax.data.vision.pixels.resize`; 1 is linear.
    """

    def __init__(self, size: int | Sequence[int], interpolation: int = 1):
        self._args = (pixels.size_of(size), interpolation)

    def __call__(self, x: Any) -> np.ndarray:
        return pixels.center_crop(_image(x), *self._args)


@entry_points
class RandomCrop:
    """A part of an image at a random place, enlarged where the image is smaller.

    Args:
        size: (width, height), or one number for both.
        pad: how many pixels are put around the image before, or ((above, below), (left, right)).
        pad_value: what they are.
        interpolation: OpenCV's number, see `gluonjax.data.vision.pixels.resize`; 1 is linear.
    """

    def __init__(self, size: int | Sequence[int], pad: Any = None, pad_value: float = 0, interpolation: int = 1):
        self._size, self._interpolation = pixels.size_of(size), interpolation
        self._pad, self._pad_value = (pad, pad) if isinstance(pad, int) else pad, pad_value

    def __call__(self, x: Any) -> np.ndarray:
        x = _image(x)
        if self._pad is not None:
            widths = [(n, n) if isinstance(n, int) else tuple(n) for n in self._pad]
            x = np.pad(x, [(0, 0)] * (x.ndim - 3) + [*widths, (0, 0)], constant_values=self._pad_value)
        return pixels.resize(_anywhere(x, pixels.fitting(x, self._size)), self._size, self._interpolation)


def _anywhere(x: np.ndarray, size: pixels.Size) -> np.ndarray:
    """A part of a size at a random place."""
    numbers, (rows, columns) = chance.generator(), x.shape[-3:-1]
    left, top = (int(numbers.integers(0, room, endpoint=True)) for room in (columns - size[0], rows - size[1]))
    return pixels.crop(x, left, top, size)


@entry_points
class RandomResizedCrop:
    """A part of an image of random size, ratio and place, resized. After ten trials that do not fit, the middle.

    Args:
        size: (width, height), or one number for both.
        scale: the least and the greatest area, in parts of the whole.
        ratio: the least and the greatest width by height.
        interpolation: OpenCV's number, see `gluonjax.data.vision.pixels.resize`; 1 is linear.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: int = 1,
    ):
        self._size, self._interpolation = pixels.size_of(size), interpolation
        self._scale = _pair('scale', scale if isinstance(scale, Sequence) else (scale, 1.0))
        least, most = _pair('ratio', ratio)
        self._ratio = math.log(checks.positive('ratio', least)), math.log(checks.positive('ratio', most))

    def __call__(self, x: Any) -> np.ndarray:
        x, numbers = _image(x), chance.generator()
        rows, columns = x.shape[-3:-1]
        for _ in range(10):
            area = numbers.uniform(*self._scale) * rows * columns
            ratio = math.exp(numbers.uniform(*self._ratio))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= columns and 0 < height <= rows:
                return pixels.resize(_anywhere(x, (width, height)), self._size, self._interpolation)
        return pixels.center_crop(x, self._size, self._interpolation)


@entry_points
class RandomFlipLeftRight:
    """Left is right, with a probability.

    Args:
        p: the probability.
    """

    axis: int = -2

    def __init__(self, p: float = 0.5):
        self._p = checks.number('p', p, 0, 1)

    def __call__(self, x: Any) -> np.ndarray:
        x = _image(x)
        return np.flip(x, self.axis) if chance.generator().random() < self._p else x


@entry_points
class RandomFlipTopBottom(RandomFlipLeftRight):
    """The top is at the bottom, with a probability.

    Args:
        p: the probability.
    """

    axis: int = -3


@entry_points
class _RandomColor:
    """A color changed by a random factor, from `1 - amount`, or 0 if that is less, to `1 + amount`."""

    change: Callable[[np.ndarray, float], np.ndarray]

    def __init__(self, amount: float):
        amount = checks.number('the amount', amount, 0)
        self._range = (max(0, 1 - amount), 1 + amount)

    def __call__(self, x: Any) -> np.ndarray:
        return type(self).change(_image(x), chance.generator().uniform(*self._range))


@entry_points
class RandomBrightness(_RandomColor):
    """Times a random factor.

    Args:
        brightness: how far the factor is from 1 at most.
    """

    change: Callable[[np.ndarray, float], np.ndarray] = pixels.brighter

    def __init__(self, brightness: float):
        super().__init__(brightness)


@entry_points
class RandomContrast(_RandomColor):
    """Away from the mean lightness by a random factor.

    Args:
        contrast: how far the factor is from 1 at most.
    """

    change: Callable[[np.ndarray, float], np.ndarray] = pixels.more_contrast

    def __init__(self, contrast: float):
        super().__init__(contrast)


@entry_points
class RandomSaturation(_RandomColor):
    """Away from gray by a random factor.

    Args:
        saturation: how far the factor is from 1 at most.
    """

    change: Callable[[np.ndarray, float], np.ndarray] = pixels.more_saturated

    def __init__(self, saturation: float):
        super().__init__(saturation)


@entry_points
class RandomHue(_RandomColor):
    """The hue turned by a random part of the circle.

    Args:
        hue: the greatest part.
    """

    change: Callable[[np.ndarray, float], np.ndarray] = pixels.other_hue

    def __init__(self, hue: float):
        super().__init__(hue)


@entry_points
class RandomColorJitter:
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness: how far its factor is from 1 at most; 0 to leave it.
        contrast: likewise.
        saturation: likewise.
        hue: the greatest part of the circle by which the hue is turned.
    """

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0):
        amounts = [('brightness', brightness), ('contrast', contrast), ('saturation', saturation), ('hue', hue)]
        middles = (1, 1, 1, 0)
        self._changes = [
            (change, middle - amount, middle + amount)
            for change, middle, (name, amount) in zip(_CHANGES, middles, amounts, strict=True)
            if checks.number(name, amount, 0) > 0
        ]

    def __call__(self, x: Any) -> np.ndarray:
        x, numbers = _image(x), chance.generator()
        for which in numbers.permutation(len(self._changes)):
            change, least, most = self._changes[which]
            x = change(x, numbers.uniform(least, most))
        return x


_CHANGES = (pixels.brighter, pixels.more_contrast, pixels.more_saturated, pixels.other_hue)


@entry_points
class RandomLighting:
    """Along the principal components of colors, each by a normal random number, as AlexNet was trained.

    Args:
        alpha: the standard deviation of the numbers.
    """

    def __init__(self, alpha: float):
        self._alpha = checks.number('alpha', alpha, 0)

    def __call__(self, x: Any) -> np.ndarray:
        return pixels.lit(_image(x), chance.generator().normal(0, self._alpha, 3))


@entry_points
class RandomGray:
    """Shades of gray in all three channels, with a probability.

    Args:
        p: the probability.
    """

    def __init__(self, p: float = 0.5):
        self._p = checks.number('p', p, 0, 1)

    def __call__(self, x: Any) -> np.ndarray:
        x = _image(x)
        if chance.generator().random() >= self._p:
            return x
        return pixels.as_dtype(np.broadcast_to(pixels.gray(x.astype('float32')), x.shape), x.dtype)


@entry_points
class RandomApply:
    """Transforms, with a probability; else none of them.

    Args:
        transforms: one, or a list of them.
        p: the probability.
    """

    def __init__(self, transforms: Transform | Sequence[Transform], p: float = 0.5):
        self.transforms: Transform = Compose(transforms) if isinstance(transforms, Sequence) else transforms
        self.p: float = checks.number('p', p, 0, 1)

    def __call__(self, x: Any) -> Any:
        return self.transforms(x) if chance.generator().random() < self.p else x


HybridCompose = Compose
HybridRandomApply = RandomApply


def _pair(name: str, value: Sequence[float]) -> tuple[float, float]:
    numbers = tuple(checks.number(name, number) for number in value)
    if len(numbers) != 2:
        raise ArgumentError(f'{name} must be two numbers, the least and the greatest; got {value!r}')
    return numbers


def _image(x: Any) -> np.ndarray:
    try:
        x = np.asarray(x)
    except ValueError as error:  # rows of unequal lengths
        raise ArgumentError('a transform takes an image', got=str(error)) from None
    if x.ndim not in (3, 4):
        raise ShapeError('a transform takes an image of three axes, or a batch of four', got=x.shape)
    return x


if not TYPE_CHECKING:  # a type checker would accept any name
    __getattr__ = refuses_unknown(globals())
