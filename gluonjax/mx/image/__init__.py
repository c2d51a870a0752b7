"""`mx.image`: image files, what changes images, and iterators over them.

Images are uint8 (height, width, channels), red first. Pillow decodes; PNG gives MXNet's numbers, JPEG now and then
differs by 1 of 255. What is random draws from Python's `random` and from `numpy.random`, in MXNet's order: after the
same seeds, crops and flips are MXNet's.
"""

from __future__ import annotations

import sys
from types import ModuleType

from gluonjax.mx.entry import explain_calls
from gluonjax.mx.image.augment import (
    Augmenter,
    BrightnessJitterAug,
    CastAug,
    CenterCropAug,
    ColorJitterAug,
    ColorNormalizeAug,
    ContrastJitterAug,
    CreateAugmenter,
    ForceResizeAug,
    HorizontalFlipAug,
    HueJitterAug,
    LightingAug,
    RandomCropAug,
    RandomGrayAug,
    RandomOrderAug,
    RandomSizedCropAug,
    ResizeAug,
    SaturationJitterAug,
    SequentialAug,
)
from gluonjax.mx.image.detection import (
    CreateDetAugmenter,
    CreateMultiRandCropAugmenter,
    DetAugmenter,
    DetBorrowAug,
    DetHorizontalFlipAug,
    DetRandomCropAug,
    DetRandomPadAug,
    DetRandomSelectAug,
    ImageDetIter,
)
from gluonjax.mx.image.functions import (
    center_crop,
    color_normalize,
    copyMakeBorder,
    fixed_crop,
    imdecode,
    imread,
    imresize,
    imrotate,
    random_crop,
    random_rotate,
    random_size_crop,
    resize_short,
    scale_down,
)
from gluonjax.mx.image.functions import interpolation_method as _get_interp_method  # noqa: F401 (by MXNet's name)
from gluonjax.mx.image.iterator import ImageIter

image: ModuleType = sys.modules[__name__]  # modules of MXNet whose names are here
det: ModuleType = sys.modules[__name__]

__all__ = [
    'Augmenter',
    'BrightnessJitterAug',
    'CastAug',
    'CenterCropAug',
    'ColorJitterAug',
    'ColorNormalizeAug',
    'ContrastJitterAug',
    'CreateAugmenter',
    'CreateDetAugmenter',
    'CreateMultiRandCropAugmenter',
    'DetAugmenter',
    'DetBorrowAug',
    'DetHorizontalFlipAug',
    'DetRandomCropAug',
    'DetRandomPadAug',
    'DetRandomSelectAug',
    'ForceResizeAug',
    'HorizontalFlipAug',
    'HueJitterAug',
    'ImageDetIter',
    'ImageIter',
    'LightingAug',
    'RandomCropAug',
    'RandomGrayAug',
    'RandomOrderAug',
    'RandomSizedCropAug',
    'ResizeAug',
    'SaturationJitterAug',
    'SequentialAug',
    'center_crop',
    'color_normalize',
    'copyMakeBorder',
    'fixed_crop',
    'imdecode',
    'imread',
    'imresize',
    'imrotate',
    'random_crop',
    'random_rotate',
    'random_size_crop',
    'resize_short',
    'scale_down',
]


explain_calls(globals())
