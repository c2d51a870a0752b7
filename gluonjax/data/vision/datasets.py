"""Datasets of images: the files of well-known ones, folders, lists and records."""

from __future__ import annotations

import gzip
import os
import pathlib
import struct
import tarfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gluonjax import checks
from gluonjax.data import images, recordio
from gluonjax.data.dataset import ArrayDataset, Dataset, RecordFileDataset
from gluonjax.errors import ArgumentError, FileError
from gluonjax.lazy import entry_points

Path = str | os.PathLike[str]
_SUFFIXES = ('.jpg', '.jpeg', '.png')


def home(name: str) -> str:
    """Where MXNet has a dataset: in `datasets` of MXNET_HOME, or of ~/.mxnet."""
    base = os.environ.get('MXNET_HOME', os.path.join('~', '.mxnet'))
    return os.path.join(base, 'datasets', name)


@entry_points
class FilesDataset(Dataset):
    """Images and labels that are read at once from files of a folder; nothing is downloaded.

    Args:
        root: the folder.
        transform: a function of an image and its label.
    """

    def __init__(self, root: Path, transform: Callable[[Any, Any], Any] | None = None):
        self._root = pathlib.Path(root).expanduser()
        self._transform = transform
        self._data: Any
        self._label: Any
        self._get_data()

    def _get_data(self) -> None:
        """Reads `_data` and `_label`."""
        raise NotImplementedError

    def _keep(self, data: np.ndarray, label: np.ndarray) -> None:
        self._data, self._label = data, label

    def _missing(self, *names: str) -> FileError:
        return FileError(
            f'{type(self).__name__} is not in {str(self._root)!r}',
            expected=' or '.join(names),
            got=sorted(path.name for path in self._root.glob('*'))[:10] if self._root.is_dir() else 'no such folder',
            remedy='put the files there, or pass root=; nothing is downloaded',
        )

    def __getitem__(self, idx: Any) -> Any:
        sample = self._data[idx], self._label[idx]
        return sample if self._transform is None else self._transform(*sample)

    def __len__(self) -> int:
        return len(self._label)

    def on_host(self) -> Dataset:
        return self if self._transform is not None else ArrayDataset(self._data, self._label).on_host()


@entry_points
class MNIST(FilesDataset):
    """Handwritten digits: uint8 (28, 28, 1), and int32 labels from 0 to 9.

    Args:
        root: the folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
            `t10k-labels-idx1-ubyte`, as they are or with `.gz`.
        train: whether those for training, or those for testing.
        transform: a function of an image and its label.

    Raises:
        FileError: if they are not there, or no such files.
    """

    name: str = 'mnist'

    def __init__(
        self, root: Path | None = None, train: bool = True, transform: Callable[[Any, Any], Any] | None = None
    ):
        self._train = checks.flag('train', train)
        super().__init__(home(self.name) if root is None else root, transform)

    def _get_data(self) -> None:
        part = 'train' if self._train else 't10k'
        label = self._read(f'{part}-labels-idx1-ubyte', 1)
        data = self._read(f'{part}-images-idx3-ubyte', 3)
        if len(data) != len(label):
            raise FileError(f'{str(self._root)!r} has {len(data)} images, and {len(label)} labels')
        self._keep(data[..., None], label.astype('int32'))

    def _read(self, name: str, ndim: int) -> np.ndarray:
        """An array of bytes: a number whose last byte is that of axes, the sizes, the bytes."""
        path = next((path for end in ('.gz', '') if (path := self._root / (name + end)).is_file()), None)
        if path is None:
            raise self._missing(f'{name}.gz', name)
        data = path.read_bytes()
        try:
            data = gzip.decompress(data) if data[:2] == b'\x1f\x8b' else data
            magic, *shape = struct.unpack(f'>{ndim + 1}I', data[: 4 * (ndim + 1)])
            if magic != 0x800 + ndim:
                raise ValueError(f'it begins with {magic:#x}, not {0x800 + ndim:#x}')
            return np.frombuffer(data, np.uint8, offset=4 * (ndim + 1)).reshape(shape)
        except (OSError, EOFError, ValueError, struct.error) as error:
            raise FileError(f'{str(path)!r} is no file of {type(self).__name__}: {error}') from error


@entry_points
class FashionMNIST(MNIST):
    """Articles of clothing: uint8 (28, 28, 1), and int32 labels from 0 to 9, in files like those of `MNIST`.

    Args:
        root: the folder.
        train: whether those for training, or those for testing.
        transform: a function of an image and its label.
    """

    name: str = 'fashion-mnist'


@entry_points
class CIFAR10(FilesDataset):
    """Small pictures of ten things: uint8 (32, 32, 3), and int32 labels from 0 to 9.

    Args:
        root: the folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or with the archive
            `cifar-10-binary.tar.gz` of them.
        train: whether those for training, or those for testing.
        transform: a function of an image and its label.

    Raises:
        FileError: if they are not there, or no such files.
    """

    name: str = 'cifar10'
    archive: str = 'cifar-10-binary.tar.gz'
    files: tuple[list[str], list[str]] = (['test_batch.bin'], [f'data_batch_{i}.bin' for i in range(1, 6)])
    labels: int = 1  # how many bytes of labels stand before each image

    def __init__(
        self, root: Path | None = None, train: bool = True, transform: Callable[[Any, Any], Any] | None = None
    ):
        self._train, self._which = checks.flag('train', train), 0
        super().__init__(home(self.name) if root is None else root, transform)

    def _get_data(self) -> None:
        rows = np.concatenate([self._read(name) for name in self.files[self._train]])
        data = rows[:, self.labels :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self._keep(np.ascontiguousarray(data), rows[:, self._which].astype('int32'))

    def _read(self, name: str) -> np.ndarray:
        data = self._bytes(name)
        size = 3 * 32 * 32 + self.labels
        if len(data) % size:
            raise FileError(f'{name} is no file of {type(self).__name__}', got=f'{len(data)} bytes')
        return np.frombuffer(data, np.uint8).reshape(-1, size)

    def _bytes(self, name: str) -> bytes:
        found = [*self._root.glob(name), *self._root.glob(f'*/{name}')]
        if found:
            return found[0].read_bytes()
        if not (self._root / self.archive).is_file():
            raise self._missing(name, self.archive)
        with tarfile.open(self._root / self.archive) as archive:
            for member in archive:
                if pathlib.PurePath(member.name).name == name:
                    return archive.extractfile(member).read()  # type: ignore[union-attr]
        raise FileError(f'{self.archive} has no {name}')


@entry_points
class CIFAR100(CIFAR10):
    """Small pictures of a hundred things: uint8 (32, 32, 3), and int32 labels.

    Args:
        root: the folder with `train.bin` and `test.bin`, or with the archive `cifar-100-binary.tar.gz` of them.
        fine_label: whether labels are those of the 100 classes, or of the 20 that they belong to.
        train: whether those for training, or those for testing.
        transform: a function of an image and its label.
    """

    name: str = 'cifar100'
    archive: str = 'cifar-100-binary.tar.gz'
    files: tuple[list[str], list[str]] = (['test.bin'], ['train.bin'])
    labels: int = 2

    def __init__(
        self,
        root: Path | None = None,
        fine_label: bool = False,
        train: bool = True,
        transform: Callable[[Any, Any], Any] | None = None,
    ):
        self._train, self._which = checks.flag('train', train), int(checks.flag('fine_label', fine_label))
        FilesDataset.__init__(self, home(self.name) if root is None else root, transform)


@entry_points
class ImageReader:
    """How the images of a dataset are decoded, and transformed.

    Args:
        flag: 1 for colors, 0 for shades of gray.
        transform: a function of an image and its label.
    """

    def __init__(self, flag: int, transform: Callable[[Any, Any], Any] | None):
        self._flag, self._transform = checks.size('flag', flag, 0, 1), transform

    def decoded(self, data: bytes, what: str) -> Any:
        """The image of some bytes."""
        image = images.decode(data, 'RGB' if self._flag else 'L', what)
        return image if self._flag else image[..., None]

    def sample(self, data: bytes, what: str, label: Any) -> Any:
        """The image of some bytes and its label, transformed; `what` is how an error calls them."""
        image = self.decoded(data, what)
        return (image, label) if self._transform is None else self._transform(image, label)


@entry_points
class ImageFolderDataset(Dataset):
    """Images in one folder for each class: `root/cat/1.jpg`, `root/dog/7.png`.

    Args:
        root: the folder of folders.
        flag: 1 for colors, 0 for shades of gray.
        transform: a function of an image and its label.

    Attributes:
        synsets: the names of the classes; their places are the labels.
        items: the paths of the images, and their labels.

    Raises:
        FileError: if there is no such folder.
    """

    reader: type[ImageReader] = ImageReader

    def __init__(self, root: Path, flag: int = 1, transform: Callable[[Any, Any], Any] | None = None):
        self._images = self.reader(flag, transform)
        self.synsets: list[str] = []
        self.items: list[tuple[str, int]] = []
        self._root = pathlib.Path(root).expanduser()
        if not self._root.is_dir():
            raise FileError(f'there is no folder {str(self._root)!r}', expected='a folder with one for each class')
        for folder in sorted(self._root.iterdir()):
            if not folder.is_dir():
                warnings.warn(f'{str(folder)!r} is no folder, and is left out', stacklevel=2)
                continue
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in _SUFFIXES:
                    self.items.append((str(path), len(self.synsets)))
                else:
                    warnings.warn(f'{str(path)!r} is none of {", ".join(_SUFFIXES)}, and is left out', stacklevel=2)
            self.synsets.append(folder.name)

    def __getitem__(self, idx: int) -> Any:
        path, label = self.items[idx]
        return self._images.sample(pathlib.Path(path).read_bytes(), repr(path), label)

    def __len__(self) -> int:
        return len(self.items)


@entry_points
class ImageListDataset(Dataset):
    """Images that a list names.

    Args:
        root: the folder of the images.
        imglist: the path of a file of lines `number <tab> label ... <tab> path`, or a list of `[label, path]`, with
            several labels where there are such.
        flag: 1 for colors, 0 for shades of gray.
        transform: a function of an image and its label.

    Raises:
        FileError: if there is no such file, or a line is no entry.
    """

    reader: type[ImageReader] = ImageReader

    def __init__(
        self,
        root: Path = '.',
        imglist: Path | Sequence[Sequence[Any]] | None = None,
        flag: int = 1,
        transform: Callable[[Any, Any], Any] | None = None,
    ):
        self._images = self.reader(flag, transform)
        self._root = pathlib.Path(root).expanduser()
        if imglist is None:
            raise ArgumentError('imglist must be the path of a list, or a list of [label, path]')
        entries = _lines(self._root / imglist) if isinstance(imglist, str | os.PathLike) else imglist
        self.items: list[tuple[str, Any]] = [_entry(entry, self._root) for entry in entries]

    def __getitem__(self, idx: int) -> Any:
        path, label = self.items[idx]
        return self._images.sample(pathlib.Path(path).read_bytes(), repr(path), label)

    def __len__(self) -> int:
        return len(self.items)


def _lines(path: pathlib.Path) -> list[list[Any]]:
    if not path.is_file():
        raise FileError(f'there is no list {str(path)!r}')
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            _, *labels, name = line.strip().split('\t')
            entries.append([*map(float, labels), name])
        except ValueError as error:
            raise FileError(
                f'{str(path)!r}, line {number}: no entry', expected='number <tab> label <tab> path', got=line
            ) from error
    return entries


def _entry(entry: Sequence[Any], root: pathlib.Path) -> tuple[str, Any]:
    if not isinstance(entry, list | tuple) or not entry or not isinstance(entry[-1], str | os.PathLike):
        raise ArgumentError('an entry of a list of images is (*labels, path)', got=repr(entry))
    *labels, name = entry
    label = np.asarray(labels[0] if len(labels) == 1 else labels, 'float32')
    return str(root / name), label if label.ndim else label[()]


@entry_points
class ImageRecordDataset(RecordFileDataset):
    """Images in a RecordIO file, with their labels.

    Args:
        filename: the path of the `.rec` file, beside which its `.idx` is.
        flag: 1 for colors, 0 for shades of gray.
        transform: a function of an image and its label.

    Raises:
        FileError: if they are not there.
    """

    reader: type[ImageReader] = ImageReader

    def __init__(self, filename: Path, flag: int = 1, transform: Callable[[Any, Any], Any] | None = None):
        super().__init__(filename)
        self._images = self.reader(flag, transform)

    def __getitem__(self, idx: int) -> Any:
        header, data = recordio.unpack(super().__getitem__(idx))
        return self._images.sample(data, f'record {idx}', header.label)
