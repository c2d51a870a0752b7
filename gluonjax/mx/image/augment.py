"""Augmenters: what changes images before training, one after the other."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from gluonjax.errors import ArgumentError
from gluonjax.mx import ndarray as nd
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.image import functions
from gluonjax.mx.image.functions import Size, as_image, on_host

_GRAY = np.array([0.299, 0.587, 0.114], 'float32')
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
_EIGENVALUES = np.array([55.46, 4.794, 1.148])
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


class Augmenter:
    """The base of augmenters: each is called with an image, and returns one.

    Args:
        **kwargs: its arguments, for `dumps`.
    """

    def __init__(self, **kwargs: Any):
        self._arguments = {name: _plain(value) for name, value in kwargs.items()}

    def dumps(self) -> Any:
        """Its name and its arguments, as JSON."""
        return json.dumps([type(self).__name__.lower(), self._arguments])

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        raise NotImplementedError(f'{type(self).__name__}.__call__')


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist() if isinstance(value, NDArray | np.ndarray) else value


class SequentialAug(Augmenter):
    """Augmenters one after the other."""

    def __init__(self, ts: Sequence[Augmenter]):
        super().__init__()
        self.ts: list[Augmenter] = list(ts)

    def dumps(self) -> Any:
        """Its name, and the names and arguments of its parts."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.ts]]

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        for each in self.ts:
            src = each(src)
        return src


class RandomOrderAug(SequentialAug):
    """Augmenters one after the other, in any order."""

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        random.shuffle(self.ts)
        return super().__call__(src)


class _SizeAug(Augmenter):
    """The base of those of a size and a way to interpolate."""

    def __init__(self, size: Any, interp: int = 2):
        super().__init__(size=size, interp=interp)
        self.size: Any = size
        self.interp: int = interp


class ResizeAug(_SizeAug):
    """Resizes the shorter edge."""

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.resize_short(src, self.size, self.interp)


class ForceResizeAug(_SizeAug):
    """Resizes to (width, height)."""

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.imresize(src, *self.size, interp=self.interp)


class RandomCropAug(_SizeAug):
    """Takes a part of (width, height) anywhere."""

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.random_crop(src, self.size, self.interp)[0]


class CenterCropAug(_SizeAug):
    """Takes the middle part of (width, height)."""

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.center_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """Takes a part of any size and ratio anywhere; see `random_size_crop`."""

    def __init__(self, size: Size, area: Any, ratio: Sequence[float], interp: int = 2, **kwargs: Any):
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        self._crop: tuple[Any, ...] = (size, kwargs.pop('min_area', area), ratio, interp)
        if kwargs:
            raise ArgumentError(f'RandomSizedCropAug takes no {sorted(kwargs)[0]!r}')

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.random_size_crop(src, *self._crop)[0]


def _floats(src: Any) -> np.ndarray:
    return on_host(src).astype('float32')


class BrightnessJitterAug(Augmenter):
    """Multiplies by a number between 1 - brightness and 1 + brightness."""

    def __init__(self, brightness: float):
        super().__init__(brightness=brightness)
        self.brightness: float = brightness

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image, float32."""
        return as_image(_floats(src) * np.float32(1 + random.uniform(-self.brightness, self.brightness)))


class ContrastJitterAug(Augmenter):
    """Moves pixels away from the mean of grey, or nearer."""

    def __init__(self, contrast: float):
        super().__init__(contrast=contrast)
        self.contrast: float = contrast

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image, float32."""
        alpha, image = 1 + random.uniform(-self.contrast, self.contrast), _floats(src)
        mean = (image @ _GRAY).mean(dtype='float64')
        return as_image(image * np.float32(alpha) + np.float32((1 - alpha) * mean))


class SaturationJitterAug(Augmenter):
    """Moves pixels away from their grey, or nearer."""

    def __init__(self, saturation: float):
        super().__init__(saturation=saturation)
        self.saturation: float = saturation

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image, float32."""
        alpha, image = 1 + random.uniform(-self.saturation, self.saturation), _floats(src)
        return as_image(image * np.float32(alpha) + (image @ _GRAY)[..., None] * np.float32(1 - alpha))


class HueJitterAug(Augmenter):
    """Turns colours."""

    def __init__(self, hue: float):
        super().__init__(hue=hue)
        self.hue: float = hue

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image, float32."""
        angle = math.pi * random.uniform(-self.hue, self.hue)
        turn = np.array([[1, 0, 0], [0, math.cos(angle), -math.sin(angle)], [0, math.sin(angle), math.cos(angle)]])
        return as_image(_floats(src) @ (_FROM_YIQ @ turn @ _TO_YIQ).T.astype('float32'))


class ColorJitterAug(RandomOrderAug):
    """Changes brightness, contrast and saturation, in any order."""

    def __init__(self, brightness: float, contrast: float, saturation: float):
        kinds: list[tuple[Callable[[float], Augmenter], float]] = [
            (BrightnessJitterAug, brightness),
            (ContrastJitterAug, contrast),
            (SaturationJitterAug, saturation),
        ]
        super().__init__([kind(amount) for kind, amount in kinds if amount > 0])


class LightingAug(Augmenter):
    """Adds noise along the principal components of colours."""

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any):
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd: float = alphastd
        self.eigval: np.ndarray = np.asarray(eigval)
        self.eigvec: np.ndarray = np.asarray(eigvec)

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image, float32."""
        alpha = np.random.normal(0, self.alphastd, size=(3,))  # noqa: NPY002 (MXNet's stream)
        return as_image(_floats(src) + np.dot(self.eigvec * alpha, self.eigval).astype('float32'))


class ColorNormalizeAug(Augmenter):
    """Subtracts a mean, and divides by a standard deviation."""

    def __init__(self, mean: Any, std: Any):
        super().__init__(mean=mean, std=std)
        self.mean: Any = mean if mean is None else nd.array(mean)
        self.std: Any = std if std is None else nd.array(std)

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return functions.color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """Makes an image grey, with some probability."""

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p: float = p

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        if random.random() >= self.p:
            return src
        gray = _floats(src) @ np.array([0.21, 0.72, 0.07], 'float32')
        return as_image(np.repeat(gray[..., None], 3, -1))


class HorizontalFlipAug(Augmenter):
    """Changes left and right, with some probability."""

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p: float = p

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return as_image(on_host(src)[:, ::-1]) if random.random() < self.p else src


class CastAug(Augmenter):
    """Casts."""

    def __init__(self, typ: DTypeLike = 'float32'):
        super().__init__(type=typ)
        self.typ: DTypeLike = typ

    def __call__(self, src: NDArray) -> NDArray:
        """The changed image."""
        return NDArray(as_jax(src, self.typ))


def CreateAugmenter(
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """The usual augmenters.

    Args:
        data_shape: (channels, height, width) of the result.
        resize: of the shorter edge, first; 0 for none.
        rand_crop: whether a part anywhere is taken, and not the middle.
        rand_resize: whether of any size and ratio.
        rand_mirror: whether left and right are changed, half of the time.
        mean: what is subtracted, of each channel; True for that of ImageNet.
        std: what it is divided by, likewise.
        brightness: how much it changes.
        contrast: how much it changes.
        saturation: how much it changes.
        hue: how much it changes.
        pca_noise: how much noise of light is added.
        rand_gray: how probably it becomes grey.
        inter_method: as for `imresize`.

    Raises:
        ArgumentError: for `rand_resize` without `rand_crop`.

    >>> [type(each).__name__ for each in CreateAugmenter((3, 8, 8), resize=10, mean=True)]
    ['ResizeAug', 'CenterCropAug', 'CastAug', 'ColorNormalizeAug']
    """
    if rand_resize and not rand_crop:
        raise ArgumentError('rand_resize needs rand_crop=True')
    size = (data_shape[2], data_shape[1])
    found: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if rand_resize:
        found.append(RandomSizedCropAug(size, 0.08, (3 / 4, 4 / 3), inter_method))
    else:
        found.append((RandomCropAug if rand_crop else CenterCropAug)(size, inter_method))
    if rand_mirror:
        found.append(HorizontalFlipAug(0.5))
    found.append(CastAug())
    if brightness or contrast or saturation:
        found.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        found.append(HueJitterAug(hue))
    if pca_noise > 0:
        found.append(LightingAug(pca_noise, _EIGENVALUES, _EIGENVECTORS))
    if rand_gray > 0:
        found.append(RandomGrayAug(rand_gray))
    mean = _channels('mean', mean, (123.68, 116.28, 103.53))
    std = _channels('std', std, (58.395, 57.12, 57.375))
    return found if mean is None and std is None else [*found, ColorNormalizeAug(mean, std)]


def _channels(name: str, given: Any, known: Sequence[float]) -> np.ndarray | None:
    if given is None or given is False:
        return None
    array = np.asarray(known if given is True else given, 'float32')
    if array.shape[:1] not in ((1,), (3,)):
        raise ArgumentError(f'{name} must be True, or one or three numbers, got {given!r}')
    return array


explain_calls(globals())
