import gzip
import io
import pathlib
import struct
import tarfile

import numpy as np
import pytest
from golden.transform_cases import COLORS, LIGHT, TRANSFORMS, images
from PIL import Image

from gluonjax import errors
from gluonjax.data import DataLoader, chance, recordio, vision
from gluonjax.data.vision import pixels, transforms

ANSWERS = np.load(pathlib.Path(__file__).parent.parent / 'golden' / 'transforms.npz')
GIVEN = images()


def check(got, expected):
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if got.dtype == np.uint8:  # rounding of floats decides the last bit of some
        difference = np.abs(got.astype(int) - expected.astype(int))
        assert difference.max() <= 1
        assert difference.mean() < 0.2
    else:
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=5e-4 if expected.max() > 2 else 1e-6)


@pytest.mark.parametrize(('name', 'kind', 'arguments', 'image'), TRANSFORMS, ids=[case[0] for case in TRANSFORMS])
def test_transforms_give_the_numbers_of_mxnet(name, kind, arguments, image):
    check(getattr(transforms, kind)(*arguments)(GIVEN[image]), ANSWERS[name])


@pytest.mark.parametrize('image', ['bytes', 'floats'])
def test_colors_are_changed_as_mxnet_changes_them(image):
    for operator, function, factor in COLORS:
        check(getattr(pixels, function)(GIVEN[image], factor), ANSWERS[f'{operator} {factor} {image}'])
    check(pixels.lit(GIVEN[image], np.array(LIGHT)), ANSWERS[f'light {image}'])


def drawn(transform, image, count=400):
    results = []
    for seed in range(count):
        chance.begin_sample([seed])
        results.append(transform(image))
    chance.begin_sample(None)
    return results


def test_random_factors_cover_their_ranges():
    ones = np.ones((1, 1, 3), 'float32')
    factors = [image[0, 0, 0] for image in drawn(transforms.RandomBrightness(0.25), ones)]
    assert 0.75 <= min(factors) < 0.76
    assert 1.24 < max(factors) <= 1.25
    assert abs(np.mean(factors) - 1) < 0.03
    assert min(image.min() for image in drawn(transforms.RandomBrightness(3), ones)) >= 0
    image = GIVEN['floats']
    for kind, function in (
        (transforms.RandomContrast, pixels.more_contrast),
        (transforms.RandomSaturation, pixels.more_saturated),
        (transforms.RandomHue, pixels.other_hue),
    ):
        factor = np.random.default_rng([0]).uniform(0.7, 1.3)
        np.testing.assert_array_equal(drawn(kind(0.3), image, 1)[0], function(image, factor))
    alphas = np.random.default_rng([0]).normal(0, 0.1, 3)
    np.testing.assert_array_equal(drawn(transforms.RandomLighting(0.1), image, 1)[0], pixels.lit(image, alphas))


def test_a_color_jitter_changes_what_it_is_told_in_any_order():
    image = GIVEN['floats']
    assert all((result == image).all() for result in drawn(transforms.RandomColorJitter(), image, 3))
    only = drawn(transforms.RandomColorJitter(brightness=0.5), np.ones((1, 1, 3), 'float32'))
    assert max(result.std() for result in only) < 1e-6
    assert 0.5 <= min(result.min() for result in only) < 0.52
    both = drawn(transforms.RandomColorJitter(brightness=0.5, contrast=0.5, hue=0.1), GIVEN['bytes'], 5)
    assert len({result.tobytes() for result in both}) == 5


@pytest.mark.parametrize(
    ('transform', 'changed'),
    [
        (transforms.RandomFlipLeftRight(), lambda x: x[:, ::-1]),
        (transforms.RandomFlipTopBottom(0.25), lambda x: x[::-1]),
        (transforms.RandomApply([lambda x: x + 1, lambda x: x * 2], 0.75), lambda x: (x + 1) * 2),
        (transforms.RandomGray(0.5), lambda x: pixels.gray(x) * np.ones(3, 'float32')),
        (transforms.RandomRotation((90, 91), rotate_with_proba=0.5), None),
    ],
)
def test_what_happens_sometimes_happens_as_often_as_it_should(transform, changed):
    image = GIVEN['floats']
    results = drawn(transform, image)
    unchanged = np.mean([np.array_equal(result, image) for result in results])
    probability = getattr(transform, '_p', None) or getattr(transform, 'p', None)
    assert abs(1 - unchanged - probability) < 0.1  # four standard deviations
    if changed is not None:
        expected = changed(image)
        assert all(np.array_equal(x, image) or np.allclose(x, expected, rtol=1e-6) for x in results)


def test_random_crops_are_parts_and_reach_every_corner():
    image = np.arange(5 * 7 * 1, dtype='float32').reshape(5, 7, 1)
    corners = {float(crop[0, 0, 0]) for crop in drawn(transforms.RandomCrop((6, 3)), image)}
    assert corners == {0, 1, 7, 8, 14, 15}
    padded = drawn(transforms.RandomCrop(9, pad=((2, 2), (1, 1)), pad_value=-1), image, 1)[0]
    np.testing.assert_array_equal(padded, np.pad(image, [(2, 2), (1, 1), (0, 0)], constant_values=-1))
    larger = drawn(transforms.RandomCrop(10), image, 2)
    assert all(crop.shape == (10, 10, 1) for crop in larger)


def test_random_resized_crops_have_areas_and_ratios_within_their_limits(monkeypatch):
    sizes = []
    monkeypatch.setattr(pixels, 'resize', lambda image, size, interp: sizes.append(image.shape[:2]) or image)
    drawn(transforms.RandomResizedCrop(4, scale=(0.2, 0.5), ratio=(0.5, 2)), np.zeros((60, 60, 1), 'uint8'))
    areas = [height * width / 3600 for height, width in sizes]
    ratios = [width / height for height, width in sizes]
    assert 0.19 < min(areas) < 0.22
    assert 0.48 < max(areas) < 0.51
    assert 0.48 < min(ratios) < 0.55
    assert 1.8 < max(ratios) < 2.1
    sizes.clear()
    drawn(transforms.RandomResizedCrop(4, scale=(2, 3)), np.zeros((6, 8, 1), 'uint8'), 1)
    assert sizes == [(4, 4)]  # the middle, since nothing fits


def test_rotations_are_within_their_limits(monkeypatch):
    angles = []
    monkeypatch.setattr(pixels, 'rotate', lambda image, degrees, *zoom: angles.append(degrees) or image)
    drawn(transforms.RandomRotation((-10, 30)), GIVEN['tensor'])
    assert -10 <= min(angles) < -9.5
    assert 29.5 < max(angles) <= 30


@pytest.mark.parametrize(
    ('make', 'error', 'message'),
    [
        (lambda x: transforms.Resize(-1)(x), errors.ArgumentError, r'size must be an int >= 1 or \(width, height\)'),
        (lambda x: transforms.Resize((1, 2, 3))(x), errors.ArgumentError, 'size'),
        (lambda x: transforms.Resize(3, interpolation=7)(x), errors.ArgumentError, 'interp must be one of'),
        (lambda x: transforms.CropResize(3, 0, 5, 2)(x), errors.ArgumentError, 'reaches beyond 7 x 5'),
        (lambda x: transforms.Rotate(1)(x), errors.DTypeError, 'ToTensor'),
        (lambda x: transforms.Rotate(1, True, True)(x), errors.ArgumentError, 'exclude'),
        (lambda x: transforms.RandomRotation((3, 3)), errors.ArgumentError, 'angle_limits'),
        (lambda x: transforms.RandomRotation((0, 3), rotate_with_proba=2), errors.ArgumentError, 'rotate_with_proba'),
        (lambda x: transforms.Normalize((0, 1), 1)(x), errors.ShapeError, 'other channels'),
        (lambda x: transforms.ToTensor()(x[0]), errors.ShapeError, 'three axes'),
        (lambda x: transforms.RandomFlipLeftRight(1.5), errors.ArgumentError, 'p must be'),
    ],
)
def test_what_transforms_refuse(make, error, message):
    with pytest.raises(error, match=message):
        make(GIVEN['bytes'])


# Files.


def mnist(folder, count, part='train', seed=0, packed=True):
    numbers = np.random.default_rng(seed)
    pictures, labels = numbers.integers(0, 256, (count, 28, 28), 'uint8'), numbers.integers(0, 10, count, 'uint8')
    for name, head, body in (
        (f'{part}-images-idx3-ubyte', struct.pack('>4I', 0x803, count, 28, 28), pictures),
        (f'{part}-labels-idx1-ubyte', struct.pack('>2I', 0x801, count), labels),
    ):
        content = head + body.tobytes()
        (folder / (name + '.gz' * packed)).write_bytes(gzip.compress(content) if packed else content)
    return pictures, labels


@pytest.mark.parametrize('kind', [vision.MNIST, vision.FashionMNIST])
def test_mnist_is_read_from_its_files(tmp_path, kind):
    pictures, labels = mnist(tmp_path, 4)
    tested, _ = mnist(tmp_path, 2, 't10k', 1, packed=False)
    dataset = kind(tmp_path)
    x, y = dataset[3]
    assert (x.shape, x.dtype, y, y.dtype) == ((28, 28, 1), np.uint8, labels[3], np.int32)
    np.testing.assert_array_equal(x[..., 0], pictures[3])
    np.testing.assert_array_equal(next(iter(DataLoader(kind(tmp_path, train=False), 2)))[0][..., 0], tested)
    halved = kind(tmp_path, transform=lambda data, label: (data / 255, label + 1))
    assert halved[1][1] == labels[1] + 1
    np.testing.assert_array_equal(next(iter(DataLoader(halved, 4)))[0][..., 0], pictures / 255)


def test_files_that_are_not_there_or_no_such_files_are_named(tmp_path):
    with pytest.raises(
        errors.FileError, match=r'(?s)MNIST is not in .*train-labels-idx1-ubyte.gz.*nothing is downloaded'
    ):
        vision.MNIST(tmp_path)
    mnist(tmp_path, 2)
    (tmp_path / 'train-images-idx3-ubyte.gz').write_bytes(gzip.compress(b'\0\0\x08\x01'))
    with pytest.raises(errors.FileError, match='is no file of MNIST'):
        vision.MNIST(tmp_path)
    with pytest.raises(errors.FileError, match=r'(?s)CIFAR10 is not in .*test_batch.bin or cifar-10-binary.tar.gz'):
        vision.CIFAR10(tmp_path, train=False)
    (tmp_path / 'test_batch.bin').write_bytes(b'123')
    with pytest.raises(errors.FileError, match=r'(?s)no file of CIFAR10.*3 bytes'):
        vision.CIFAR10(tmp_path, train=False)


def test_cifar_is_read_from_its_files_or_the_archive_of_them(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (3, 3074), 'uint8')
    pictures = rows[:, 2:].reshape(3, 3, 32, 32).transpose(0, 2, 3, 1)
    (tmp_path / 'train.bin').write_bytes(rows.tobytes())
    for fine in (False, True):
        dataset = vision.CIFAR100(tmp_path, fine_label=fine)
        assert [label for _, label in dataset] == rows[:, int(fine)].tolist()
        np.testing.assert_array_equal([image for image, _ in dataset], pictures)
    with tarfile.open(tmp_path / 'cifar-10-binary.tar.gz', 'w:gz') as archive:
        for i in range(5):
            content = rows[i % 3, 1:].tobytes()
            member = tarfile.TarInfo(f'cifar-10-batches-bin/data_batch_{i + 1}.bin')
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    dataset = vision.CIFAR10(tmp_path)
    assert [label for _, label in dataset] == rows[[0, 1, 2, 0, 1], 1].tolist()
    np.testing.assert_array_equal(dataset[4][0], pictures[1])
    with pytest.raises(errors.FileError, match=r'has no test_batch\.bin'):
        vision.CIFAR10(tmp_path, train=False)


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(('cat/1.png', 'cat/2.PNG', 'dog/1.png')):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3, 3), (i, 10 * i, 100), 'uint8')).save(path)
    return tmp_path / 'images'


def test_folders_are_classes(folder):
    dataset = vision.ImageFolderDataset(folder)
    assert dataset.synsets == ['cat', 'dog']
    assert [label for _, label in dataset] == [0, 0, 1]
    assert dataset[2][0].tolist() == [[[2, 20, 100]] * 3] * 2
    assert vision.ImageFolderDataset(folder, flag=0)[0][0].shape == (2, 3, 1)
    (folder / 'dog' / 'notes.txt').write_text('')
    with pytest.warns(UserWarning, match=r'notes.txt.*left out'):
        again = vision.ImageFolderDataset(folder, transform=lambda image, label: int(image[0, 0, 1]) + label)
    assert list(again) == [0, 10, 21]
    with pytest.raises(errors.FileError, match='there is no folder'):
        vision.ImageFolderDataset(folder / 'nothing')


def test_lists_name_images_and_labels(folder):
    (folder / 'list.lst').write_text('0\t3\tdog/1.png\n1\t4\t5\tcat/1.png\n')
    listed = vision.ImageListDataset(folder, 'list.lst')
    assert (float(listed[0][1]), listed[1][1].tolist(), len(listed)) == (3, [4, 5], 2)
    assert listed[0][0][0, 0].tolist() == [2, 20, 100]
    assert vision.ImageListDataset(folder, [[7, 'cat/1.png']])[0][1] == 7
    (folder / 'list.lst').write_text('dog/1.png\n')
    with pytest.raises(errors.FileError, match='line 1: no entry'):
        vision.ImageListDataset(folder, 'list.lst')
    with pytest.raises(errors.ArgumentError, match='imglist'):
        vision.ImageListDataset(folder)


def test_records_hold_images_and_labels(tmp_path, folder):
    with recordio.MXIndexedRecordIO(tmp_path / 'a.idx', tmp_path / 'a.rec', 'w') as record:
        for i, path in enumerate(sorted(folder.glob('*/*'))):
            record.write_idx(i, recordio.pack(recordio.IRHeader(0, i + 0.5, i, 0), path.read_bytes()))
    dataset = vision.ImageRecordDataset(tmp_path / 'a.rec')
    assert [label for _, label in dataset] == [0.5, 1.5, 2.5]
    assert dataset[1][0][0, 0].tolist() == [1, 10, 100]
    x, y = next(iter(DataLoader(dataset, 3)))
    assert (x.shape, y.tolist()) == ((3, 2, 3, 3), [0.5, 1.5, 2.5])
