"""mx.image of images with boxes: augmenters, against MXNet 1.9.1's own draws, and ImageDetIter."""

import json
import random

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError, DataError
from gluonjax.mx import image, nd

LABEL = np.array([[1, 0.1, 0.2, 0.5, 0.6], [2, 0.5, 0.5, 0.9, 0.9], [3, 0, 0, 0.3, 0.2]])
# Python's seed, the augmenter, and what MXNet 1.9.1 makes of an image of 60 x 80 and LABEL after random.seed(0).
DRAWN = [
    (
        image.DetRandomCropAug(min_object_covered=0.3, area_range=(0.3, 0.9), min_eject_coverage=0.2),
        (58, 72),
        [[1, 0.11111, 0.18966, 0.55556, 0.60345], [2, 0.55556, 0.5, 1, 0.91379], [3, 0, 0, 0.33333, 0.18966]],
    ),
    (
        image.DetRandomPadAug(area_range=(1.5, 3.0), pad_val=(1, 2, 3)),
        (121, 109),
        [
            [1, 0.18349, 0.35537, 0.47706, 0.55372],
            [2, 0.47706, 0.50413, 0.77064, 0.70248],
            [3, 0.11009, 0.2562, 0.33028, 0.35537],
        ],
    ),
]


def test_crops_and_pads_are_those_of_mxnet():
    pixels = nd.array(np.random.RandomState(0).uniform(0, 255, (60, 80, 3)))
    random.seed(0)
    changed = pixels
    for augmenter, size, expected in DRAWN:
        changed, label = augmenter(pixels, LABEL.copy())
        assert changed.shape == (*size, 3)
        np.testing.assert_allclose(label, expected, atol=1e-5)
    inside = (changed.asnumpy() != [1, 2, 3]).all(-1)
    assert inside.sum() == 60 * 80  # the image, and the colour around it


def test_flips_move_boxes():
    pixels = nd.arange(12).reshape((2, 2, 3))
    flipped, label = image.DetHorizontalFlipAug(1)(pixels, LABEL)
    assert flipped.asnumpy().tolist() == pixels.asnumpy()[:, ::-1].tolist()
    np.testing.assert_allclose(label[:, 1:], [[0.5, 0.2, 0.9, 0.6], [0.1, 0.5, 0.5, 0.9], [0.7, 0, 1, 0.2]])
    same, untouched = image.DetRandomSelectAug([image.DetHorizontalFlipAug(1)], skip_prob=1)(pixels, LABEL)
    assert same is pixels
    assert untouched is LABEL
    borrowed = image.DetBorrowAug(image.CastAug())
    assert borrowed(pixels, LABEL)[1] is LABEL
    assert json.loads(image.DetHorizontalFlipAug(0.5).dumps()) == ['dethorizontalflipaug', {'p': 0.5}]


def test_mistakes_are_named():
    with pytest.raises(ArgumentError, match='takes an Augmenter of images'):
        image.DetBorrowAug(image.DetHorizontalFlipAug(1))
    with pytest.raises(ArgumentError, match='augmenters of images and labels'):
        image.DetRandomSelectAug([image.CastAug()])
    with pytest.raises(ArgumentError, match='equally long'):
        image.CreateMultiRandCropAugmenter(min_object_covered=[0.1, 0.2], max_attempts=[1, 2, 3])
    with pytest.warns(UserWarning, match='does nothing'):
        assert not image.DetRandomCropAug(area_range=(2.0, 1.0)).enabled


@pytest.fixture
def listed(tmp_path):
    pil = pytest.importorskip('PIL.Image')
    rows = []
    for i, count in enumerate((1, 3, 2)):
        pil.fromarray(np.full((20, 30, 3), 40 * i, np.uint8)).save(tmp_path / f'{i}.png')
        rows.append([2, 5, *LABEL[:count].ravel(), f'{i}.png'])
    rows.append([2, 5, 1, 0.5, 0.5, 0.4, 0.4, '0.png'])  # a box without an area
    return {'imglist': rows, 'path_root': str(tmp_path)}


def test_batches_have_boxes(listed):
    batches = mx.image.ImageDetIter(2, (3, 8, 8), **listed)
    assert batches.label_shape == (3, 5)
    assert batches.provide_label == [('label', (2, 3, 5))]
    first, last = list(batches)
    assert (first.data[0].shape, first.label[0].shape, last.pad) == ((2, 3, 8, 8), (2, 3, 5), 1)
    np.testing.assert_allclose(first.label[0].asnumpy()[1], LABEL, rtol=1e-6)
    assert (first.label[0].asnumpy()[0, 1:] == -1).all()
    assert first.data[0].asnumpy()[1].mean() == 40
    other = mx.image.ImageDetIter(2, (3, 8, 8), path_root=listed['path_root'], imglist=listed['imglist'][:1])
    assert other.label_shape == (1, 5)
    assert batches.sync_label_shape(other) is other
    assert other.next().label[0].shape == (2, 3, 5)
    other.reshape(data_shape=(3, 6, 4))
    assert other.provide_data == [('data', (2, 3, 6, 4))]
    with pytest.raises(ArgumentError, match='do not fit'):
        batches.reshape(label_shape=(2, 5))
    with pytest.raises(DataError, match='no image has a valid label'):
        mx.image.ImageDetIter(1, (3, 8, 8), path_root=listed['path_root'], imglist=listed['imglist'][-1:])


def test_all_augmenters_together(listed):
    random.seed(1)
    batches = mx.image.ImageDetIter(
        3, (3, 16, 16), resize=24, rand_crop=1, rand_pad=1, rand_gray=0.5, rand_mirror=True, mean=True,
        std=np.array([1.1, 1, 1]), brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1, pca_noise=0.1,
        area_range=(0.5, 3.0), **listed,
    )  # fmt: skip
    (batch,) = batches
    boxes = batch.label[0].asnumpy().reshape(-1, 5)
    boxes = boxes[boxes[:, 0] >= 0]
    assert len(boxes) >= 3
    assert (boxes[:, 3:] > boxes[:, 1:3]).all()
    assert ((boxes[:, 1:] >= 0) & (boxes[:, 1:] <= 1)).all()
