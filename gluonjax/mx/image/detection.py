"""Augmenters of images with boxes, and `ImageDetIter`: batches of both.

A label is an array with a row for each object: its class, the left, upper, right and lower edge of its box as fractions
of the image, and what else it has. What is random is drawn in MXNet's order.
"""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from gluonjax.errors import ArgumentError, DataError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.image import functions
from gluonjax.mx.image.augment import (
    Augmenter,
    CastAug,
    CreateAugmenter,
    ForceResizeAug,
    ResizeAug,
)
from gluonjax.mx.image.functions import as_image, on_host
from gluonjax.mx.image.iterator import ImageIter
from gluonjax.mx.io.batch import DataBatch, DataDesc

_BOX = slice(1, 5)
_Box = tuple[int, int, int, int]  # x, y, width and height in pixels


class DetAugmenter:
    """The base of augmenters of images and labels: each is called with both, and returns both.

    Args:
        **kwargs: its arguments, for `dumps`.
    """

    def __init__(self, **kwargs: Any):
        self._arguments = {
            name: np.asarray(value).tolist() if isinstance(value, NDArray | np.ndarray) else value
            for name, value in kwargs.items()
        }

    def dumps(self) -> Any:
        """Its name and its arguments, as JSON."""
        return json.dumps([type(self).__name__.lower(), self._arguments])

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The changed image, and its label."""
        raise NotImplementedError(f'{type(self).__name__}.__call__')


class DetBorrowAug(DetAugmenter):
    """An augmenter that moves nothing, such as those of colours.

    Args:
        augmenter: of images.

    Raises:
        ArgumentError: for something else.
    """

    def __init__(self, augmenter: Augmenter):
        if not isinstance(augmenter, Augmenter):
            raise ArgumentError('DetBorrowAug takes an Augmenter of images', got=type(augmenter).__name__)
        super().__init__(augmenter=augmenter.dumps())
        self.augmenter: Augmenter = augmenter

    def dumps(self) -> Any:
        """Its name, and what the augmenter dumps."""
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The changed image, and the label as it is."""
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One of several augmenters, or none.

    Args:
        aug_list: the augmenters.
        skip_prob: how probably none.

    Raises:
        ArgumentError: for something else than augmenters of images and labels.
    """

    def __init__(self, aug_list: Any, skip_prob: float = 0):
        super().__init__(skip_prob=skip_prob)
        given = list(aug_list) if isinstance(aug_list, list | tuple) else [aug_list]
        if wrong := [type(each).__name__ for each in given if not isinstance(each, DetAugmenter)]:
            raise ArgumentError('DetRandomSelectAug takes augmenters of images and labels', got=wrong[0])
        self.aug_list: list[DetAugmenter] = given
        self.skip_prob: float = skip_prob if given else 1

    def dumps(self) -> Any:
        """Its name, and what its augmenters dump."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.aug_list]]

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The changed image, and its label."""
        if random.random() < self.skip_prob:
            return src, label
        random.shuffle(self.aug_list)
        return self.aug_list[0](src, label)


class DetHorizontalFlipAug(DetAugmenter):
    """Changes left and right, with some probability.

    Args:
        p: the probability.
    """

    def __init__(self, p: float):
        super().__init__(p=p)
        self.p: float = p

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The changed image, and its label."""
        if random.random() >= self.p:
            return src, label
        flipped = np.array(label)
        flipped[:, 1], flipped[:, 3] = 1 - label[:, 3], 1 - label[:, 1]
        return as_image(on_host(src)[:, ::-1]), flipped


def _pair(value: Any) -> tuple[float, float]:
    low, high = value if isinstance(value, list | tuple) else (value, value)
    return low, high


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 0), axis=1)


class _RegionAug(DetAugmenter):
    """The base of those that look for a region of some area and ratio of width to height."""

    least_area: float

    def __init__(self, aspect_ratio_range: Any, area_range: Any, max_attempts: int, **kwargs: Any):
        self.aspect_ratio_range: tuple[float, float] = _pair(aspect_ratio_range)
        self.area_range: tuple[float, float] = _pair(area_range)
        self.max_attempts: int = max_attempts
        super().__init__(
            aspect_ratio_range=self.aspect_ratio_range, area_range=self.area_range, max_attempts=max_attempts, **kwargs
        )
        (low, high), (narrow, wide) = self.area_range, self.aspect_ratio_range
        self.enabled: bool = self.least_area < high >= low and 0 < narrow <= wide
        if not self.enabled:
            what = f'area_range={self.area_range}, aspect_ratio_range={self.aspect_ratio_range}'
            warnings.warn(f'{type(self).__name__} does nothing with {what}', stacklevel=3)

    def _heights(self, ratio: float, height: int, width: int) -> tuple[int, int]:
        """The least and the largest height of a region of this ratio, by its area."""
        low, high = (round((part * height * width / ratio) ** 0.5) for part in self.area_range)
        return low, high


class DetRandomCropAug(_RegionAug):
    """Takes a part in which enough of the objects is.

    Args:
        min_object_covered: the part of each box that it touches which must be in it.
        aspect_ratio_range: of its width to its height.
        area_range: of its area to that of the image.
        min_eject_coverage: objects of which less is left are no longer in the label.
        max_attempts: how often it looks; then the image stays as it is.
    """

    least_area: float = 0.0

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ):
        parts = {'min_object_covered': min_object_covered, 'min_eject_coverage': min_eject_coverage}
        super().__init__(aspect_ratio_range, area_range, max_attempts, **parts)
        self.min_object_covered: float = min_object_covered
        self.min_eject_coverage: float = min_eject_coverage

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The part, and the label of what is in it."""
        height, width = src.shape[:2]
        for _ in range(self.max_attempts if self.enabled else 0):
            box = self._proposed(height, width)
            if box is None or not self._covers(label, box, height, width):
                continue
            inside = self._inside(label, box, height, width)
            if len(inside):
                return functions.fixed_crop(src, *box, None), inside
        return src, label

    def _proposed(self, height: int, width: int) -> _Box | None:
        ratio = random.uniform(*self.aspect_ratio_range)
        h, most = self._heights(ratio, height, width)
        if round(most * ratio) > width:
            most = int((width + 0.4999999) / ratio)
        most = min(most, height)
        h = random.randint(h, most) if h < most else most
        least, largest = (part * height * width for part in self.area_range)
        for change, wrong in ((1, h * round(h * ratio) < least), (-1, h * round(h * ratio) > largest)):
            h += change * wrong
        w = round(h * ratio)
        if not (least <= w * h <= largest and 0 <= w <= width and 0 <= h <= height):
            return None
        y, x = random.randint(0, height - h), random.randint(0, width - w)
        return x, y, w, h

    def _covers(self, label: np.ndarray, box: _Box, height: int, width: int) -> bool:
        """Whether it is more than a pixel, and has enough of each object that it touches."""
        x, y, w, h = box
        areas = _areas(label[:, _BOX])
        large = areas * width * height > 2
        edges = label[large, _BOX]
        low = np.maximum(edges[:, :2], [x / width, y / height])
        high = np.minimum(edges[:, 2:], [(x + w) / width, (y + h) / height])
        parts = _areas(np.hstack([low, high])) / areas[large]
        touched = parts[parts > 0]
        return w * h >= 2 and touched.size > 0 and bool(touched.min() > self.min_object_covered)

    def _inside(self, label: np.ndarray, box: _Box, height: int, width: int) -> np.ndarray:
        x, y, w, h = box
        scale = np.array([w / width, h / height] * 2)
        moved = np.array(label)
        moved[:, _BOX] = ((label[:, _BOX] - np.array([x / width, y / height] * 2)) / scale).clip(0, 1)
        with np.errstate(divide='ignore', invalid='ignore'):
            coverage = _areas(moved[:, _BOX]) * scale[0] * scale[1] / _areas(label[:, _BOX])
        return moved[(moved[:, 3] > moved[:, 1]) & (moved[:, 4] > moved[:, 2]) & (coverage > self.min_eject_coverage)]


class DetRandomPadAug(_RegionAug):
    """Puts the image somewhere into a larger one.

    Args:
        aspect_ratio_range: of its width to its height.
        area_range: of its area to that of the image.
        max_attempts: how often it looks; then the image stays as it is.
        pad_val: the colour around.
    """

    least_area: float = 1.0

    def __init__(
        self,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: Any = (128, 128, 128),
    ):
        super().__init__(aspect_ratio_range, area_range, max_attempts, pad_val=pad_val)
        self.pad_val: Any = pad_val

    def __call__(self, src: NDArray, label: np.ndarray) -> tuple[NDArray, np.ndarray]:
        """The larger image, and its label."""
        height, width = src.shape[:2]
        for _ in range(self.max_attempts if self.enabled else 0):
            ratio = random.uniform(*self.aspect_ratio_range)
            h, most = self._heights(ratio, height, width)
            if round(h * ratio) < width:
                h = int((width + 0.499999) / ratio)
            h = min(max(h, height), most)
            h = random.randint(h, most) if h < most else h
            w = round(h * ratio)
            if h - height < 2 or w - width < 2:
                continue
            y, x = random.randint(0, h - height), random.randint(0, w - width)
            image = on_host(src)
            whole = np.empty((h, w, image.shape[2]), image.dtype)
            whole[:] = np.asarray(self.pad_val)
            whole[y : y + height, x : x + width] = image
            moved = np.array(label)
            moved[:, _BOX] = (label[:, _BOX] * ([width, height] * 2) + [x, y] * 2) / ([w, h] * 2)
            return as_image(whole), moved
        return src, label


def CreateMultiRandCropAugmenter(
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """One of several `DetRandomCropAug`: each argument is one value for all, or a list of one for each.

    Raises:
        ArgumentError: for lists of unequal lengths.
    """
    given = [min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts]
    lists = [value if isinstance(value, list) else [value] for value in given]
    count = max(map(len, lists))
    if any(len(values) not in (1, count) for values in lists):
        raise ArgumentError('lists of arguments must be equally long', got=[len(values) for values in lists])
    rows = zip(*(values * (count // len(values)) for values in lists), strict=True)
    return DetRandomSelectAug([DetRandomCropAug(*row) for row in rows], skip_prob)


def CreateDetAugmenter(
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 3.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: int = 50,
    pad_val: Any = (127, 127, 127),
) -> list[DetAugmenter]:
    """The usual augmenters of images with boxes.

    Args:
        data_shape: (channels, height, width) of the result.
        resize: of the shorter edge, first; 0 for none.
        rand_crop: how probably a part is taken; see `CreateMultiRandCropAugmenter`.
        rand_pad: how probably it is put into a larger image; see `DetRandomPadAug`.
        rand_gray, rand_mirror, mean, std, brightness, contrast, saturation, pca_noise, hue, inter_method: as for
            `CreateAugmenter`.
        min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts: of the part.
        pad_val: the colour around.

    >>> [type(each).__name__ for each in CreateDetAugmenter((3, 8, 8), rand_crop=1, rand_mirror=True)]
    ['DetRandomSelectAug', 'DetHorizontalFlipAug', 'DetBorrowAug', 'DetBorrowAug']
    """
    found: list[DetAugmenter] = [DetBorrowAug(ResizeAug(resize, inter_method))] if resize > 0 else []
    if rand_crop > 0:
        of_parts = min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts
        found.append(CreateMultiRandCropAugmenter(*of_parts, skip_prob=1 - rand_crop))
    if rand_mirror:
        found.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        padded = DetRandomPadAug(aspect_ratio_range, (1.0, _pair(area_range)[1]), max_attempts, pad_val)
        found.append(DetRandomSelectAug([padded], 1 - rand_pad))
    found.append(DetBorrowAug(ForceResizeAug((data_shape[2], data_shape[1]), inter_method)))
    colours = CreateAugmenter(
        data_shape,
        mean=mean,
        std=std,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        hue=hue,
        pca_noise=pca_noise,
        rand_gray=rand_gray,
    )
    first = next(i for i, each in enumerate(colours) if isinstance(each, CastAug))  # behind what moves pixels
    return [*found, *map(DetBorrowAug, colours[first:])]


class ImageDetIter(ImageIter):
    """Batches of images and of their objects: float32 (batch, channels, height, width) and (batch, objects, width).

    A label in a file or list is the width of its head, the width of an object, what else the head has, and the
    objects: class, left, upper, right and lower edge of the box, and what else they have. Rows of -1 fill labels of
    fewer objects. Images without a valid box are left out.

    Args:
        batch_size: how many images.
        data_shape: (3, height, width).
        aug_list: augmenters; by default those of `CreateDetAugmenter`.
        label_name: what the labels are called.
        **kwargs: for `ImageIter`, and for `CreateDetAugmenter`.

    Raises:
        ArgumentError: without images, or for another shape.
        DataError: if no image has a valid label.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: Sequence[int],
        aug_list: Sequence[DetAugmenter] | None = None,
        label_name: str = 'label',
        **kwargs: Any,
    ):
        names = ('path_imgrec', 'path_imglist', 'path_root', 'path_imgidx', 'shuffle', 'part_index', 'num_parts')
        names += ('imglist', 'data_name', 'dtype', 'last_batch_handle')
        own = {name: kwargs.pop(name) for name in names if name in kwargs}
        super().__init__(batch_size, data_shape, aug_list=[], label_name=label_name, **own)
        self.auglist: list[Any] = CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else list(aug_list)
        self.label_shape: tuple[int, int] = self._largest()
        self._describe()

    def _describe(self) -> None:
        name = self.provide_label[0].name
        self.provide_label: list[DataDesc] = [DataDesc(name, (self.batch_size, *self.label_shape))]

    def _largest(self) -> tuple[int, int]:
        """The shape of the labels: as many objects as any image has."""
        shapes = []
        while True:
            try:
                shapes.append(self._objects(self.next_sample()[0]).shape)
            except StopIteration:
                break
            except DataError:
                continue
        if not shapes:
            raise DataError('no image has a valid label', expected='head width, object width, ..., objects')
        self.reset()
        return max(rows for rows, _ in shapes), shapes[0][1]

    def _objects(self, label: Any) -> np.ndarray:
        """The objects of a label whose boxes have an area."""
        raw = np.ravel(np.asarray(label)).astype('float32')
        head, wide = (int(raw[0]), int(raw[1])) if raw.size >= 7 else (0, 0)
        if wide < 5 or (raw.size - head) % wide:
            raise DataError('a label is no list of objects', expected='head width, object width, ...', got=raw[:8])
        rows = raw[head:].reshape(-1, wide)
        valid = rows[(rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])]
        if not len(valid):
            raise DataError('a label has no box with an area')
        return valid

    def augmentation_transform(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, data: NDArray, label: np.ndarray
    ) -> tuple[NDArray, np.ndarray]:
        """The image and the label after all augmenters."""
        for each in self.auglist:
            data, label = each(data, label)
        return data, label

    def _sample(self) -> tuple[Any, Any]:
        while True:
            label, encoded = self.next_sample()
            try:
                objects = self._objects(label)
            except DataError:
                continue
            image, objects = self.augmentation_transform(self.imdecode(encoded), objects)
            return self.postprocess_data(image), objects

    def _batch(self, samples: list[Any], pad: int) -> DataBatch:
        data = np.stack([image for image, _ in samples]).astype('float32')
        labels = np.full((len(samples), *self.label_shape), -1, 'float32')
        for row, (_, objects) in zip(labels, samples, strict=True):
            row[: len(objects)] = objects
        return DataBatch([NDArray(as_jax(data))], [NDArray(as_jax(labels))], pad=pad)

    def check_label_shape(self, label_shape: Sequence[int]) -> None:
        """Refuses a shape with fewer objects, or objects of another width.

        Raises:
            ArgumentError: for such a shape.
        """
        count, width = self.label_shape
        if len(label_shape) != 2 or label_shape[0] < count or label_shape[1] != width:
            expected = f'(at least {count}, {width})'
            raise ArgumentError('labels do not fit this shape', expected=expected, got=tuple(label_shape))

    def reshape(self, data_shape: Sequence[int] | None = None, label_shape: Sequence[int] | None = None) -> None:
        """Gives images, labels or both another shape.

        Raises:
            ArgumentError: for a shape that does not fit.
        """
        if label_shape is not None:
            self.check_label_shape(label_shape)
            self.label_shape = (label_shape[0], label_shape[1])
            self._describe()
        if data_shape is not None:
            self.data_shape: tuple[int, ...] = self.checked_shape(data_shape)
            name = self.provide_data[0].name
            self.provide_data: list[DataDesc] = [DataDesc(name, (self.batch_size, *self.data_shape))]

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:
        """Gives both iterators as many objects as the other needs, and returns the other.

        Raises:
            ArgumentError: for another iterator, or objects of another width.
        """
        if not isinstance(it, ImageDetIter):
            raise ArgumentError('sync_label_shape takes an ImageDetIter', got=type(it).__name__)
        count = max(self.label_shape[0], it.label_shape[0])
        it.reshape(label_shape=(count, self.label_shape[1]))
        self.reshape(label_shape=(count, self.label_shape[1]))
        return it


explain_calls(globals())
