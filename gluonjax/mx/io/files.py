"""Batches of samples in files: CSV, LibSVM, MNIST."""

from __future__ import annotations

import gzip
import math
import pathlib
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

from gluonjax import checks
from gluonjax.errors import DataError, FileError
from gluonjax.mx.array import NDArray, as_jax
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.io.batch import BatchIter, DataBatch, DataDesc

Path = str | pathlib.Path


class SampleIter(BatchIter):
    """The base of iterators over numbered samples; a subclass has `read`, which gives some of them.

    Args:
        count: how many samples there are.
        batch_size: how many a batch has.
        round_batch: whether a last batch that is not full goes on with the first samples, behind which the next epoch
            begins; otherwise it keeps the samples that the batch before had there.

    Raises:
        DataError: if there is no sample.
    """

    def __init__(self, count: int, batch_size: int, round_batch: bool = True):
        super().__init__(checks.size('batch_size', batch_size))
        if count == 0:
            raise DataError('there are no samples')
        self.order: np.ndarray = np.arange(count)
        self.round_batch: bool = round_batch
        self._next = 0
        self._numbers = np.resize(self.order, batch_size)

    def read(self, numbers: np.ndarray) -> tuple[list[NDArray], list[NDArray]]:
        """The data and the labels of samples; a subclass returns them."""
        raise NotImplementedError

    def next(self) -> DataBatch:
        """The next batch."""
        if not self.iter_next() or self.current_batch is None:
            raise StopIteration
        return self.current_batch

    def getdata(self) -> NDArray:
        """The data of this batch: one array, as of all iterators that read files."""
        return super().getdata()[0]

    def getlabel(self) -> NDArray:
        """The labels of this batch: one array."""
        return super().getlabel()[0]

    def reset(self) -> None:
        """Begins again; where batches go round, behind the samples that filled the last one."""
        count = len(self.order)
        self._next = self._next - count if self.round_batch and self._next > count else 0

    def iter_next(self) -> bool:
        """Goes to the next batch; False at the end."""
        count = len(self.order)
        if self._next >= count:
            return False
        end = self._next + self.batch_size
        if self.round_batch:
            self._numbers = self.order[np.arange(self._next, end) % count]
        else:
            found = self.order[self._next : end]
            self._numbers = np.concatenate([found, self._numbers[len(found) :]])
        data, label = self.read(self._numbers)
        self.current_batch: DataBatch | None = DataBatch(data, label, max(0, end - count), self._numbers)
        self._next = end
        return True


class _ArraysIter(SampleIter):
    """Samples that are in memory."""

    def __init__(self, data: np.ndarray, label: np.ndarray, names: tuple[str, str], *options: Any):
        if len(data) != len(label):
            raise DataError('there must be as many labels as samples', expected=len(data), got=len(label))
        super().__init__(len(data), *options)
        self._arrays = data, label
        self.provide_data: list[DataDesc] = [self._described(names[0], data)]
        self.provide_label: list[DataDesc] = [self._described(names[1], label)]

    def _described(self, name: str, array: np.ndarray) -> DataDesc:
        return DataDesc(name, (self.batch_size, *array.shape[1:]), array.dtype.type)

    def read(self, numbers: np.ndarray) -> tuple[list[NDArray], list[NDArray]]:
        """The data and the labels of samples."""
        data, label = ([NDArray(as_jax(array[numbers]))] for array in self._arrays)
        return data, label


def CSVIter(
    data_csv: Path,
    data_shape: Sequence[int],
    batch_size: int,
    label_csv: Path | None = None,
    label_shape: Sequence[int] = (1,),
    round_batch: bool = True,
    dtype: DTypeLike = 'float32',
    data_name: str = 'data',
    label_name: str = 'softmax_label',
    **accepted: Any,
) -> SampleIter:
    """Batches of the lines of a CSV file.

    Args:
        data_csv: the file of data: numbers and commas.
        data_shape: of a sample.
        batch_size: how many samples.
        label_csv: the file of labels; without it they are 0.
        label_shape: of a label; (1,) gives batches of numbers.
        round_batch: whether the last batch goes on with the first samples.
        dtype: of the arrays.
        data_name: what the data is called.
        label_name: what the labels are called.
        **accepted: what only says how MXNet reads ahead.

    Raises:
        FileError: if there is no such file, or a line has not as many numbers.
    """
    data = _csv(data_csv, tuple(data_shape), dtype)
    labels = np.zeros((len(data), *label_shape), dtype) if not label_csv else _csv(label_csv, tuple(label_shape), dtype)
    if tuple(label_shape) == (1,):
        labels = labels[:, 0]
    return _ArraysIter(data, labels, (data_name, label_name), batch_size, round_batch)


def _csv(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    width, rows = math.prod(shape), []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            try:
                rows.append([float(text) for text in line.split(',')])
            except ValueError:
                raise FileError(f"'{path}', line {number}: not all are numbers", got=line[:80]) from None
            if len(rows[-1]) != width:
                raise FileError(f"'{path}', line {number}", expected=f'{width} numbers', got=len(rows[-1]))
    return np.array(rows, dtype).reshape(-1, *shape)


def _text(path: Path) -> str:
    return _bytes(path).decode()


def _bytes(path: Path) -> bytes:
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"'{path}' cannot be read: {error.strerror}", remedy='check the path') from error
    return gzip.decompress(data) if data[:2] == b'\x1f\x8b' else data


def LibSVMIter(
    data_libsvm: Path,
    data_shape: Sequence[int],
    batch_size: int,
    label_libsvm: Path | None = None,
    label_shape: Sequence[int] = (1,),
    round_batch: bool = True,
    data_name: str = 'data',
    label_name: str = 'softmax_label',
    **accepted: Any,
) -> SampleIter:
    """Batches of the lines of a LibSVM file, `label index:value index:value ...` with indices from 0; arrays are dense.

    Args:
        data_libsvm: the file of data.
        data_shape: of a sample.
        batch_size: how many samples.
        label_libsvm: a file of labels in the same form; without it they are the numbers before the data.
        label_shape: of a label in that file.
        round_batch: whether the last batch goes on with the first samples.
        data_name: what the data is called.
        label_name: what the labels are called.
        **accepted: what only says how MXNet reads ahead.

    Raises:
        FileError: if there is no such file, or a line is not of this form.
    """
    labels, data = _libsvm(data_libsvm, tuple(data_shape))
    if label_libsvm:
        labels = _libsvm(label_libsvm, tuple(label_shape))[1]
    return _ArraysIter(data, labels, (data_name, label_name), batch_size, round_batch)


def _libsvm(path: Path, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    labels, data = np.zeros(len(lines), 'float32'), np.zeros((len(lines), math.prod(shape)), 'float32')
    for number, (first, *rest) in enumerate(lines):
        try:
            labels[number] = float(first)
            for item in rest:
                index, value = item.split(':')
                data[number, int(index)] = float(value)
        except (ValueError, IndexError) as error:
            expected = f'a label, and index:value with indices below {data.shape[1]}'
            got = ' '.join((first, *rest))[:80]
            raise FileError(f"'{path}', sample {number}: {error}", expected=expected, got=got) from None
    return labels, data.reshape(-1, *shape)


def MNISTIter(
    image: Path,
    label: Path,
    batch_size: int = 128,
    shuffle: bool = True,
    flat: bool = False,
    seed: int = 0,
    data_name: str = 'data',
    label_name: str = 'softmax_label',
    **accepted: Any,
) -> SampleIter:
    """Batches of MNIST's files, with pixels from 0 to below 1; samples that fill no batch are left out.

    Args:
        image: the file of images, compressed by gzip or not.
        label: the file of labels.
        batch_size: how many samples.
        shuffle: whether they are in another order than in the file, the same in each epoch.
        flat: (batch, 784) and not (batch, 1, 28, 28).
        seed: of that order, which is not MXNet's.
        data_name: what the data is called.
        label_name: what the labels are called.
        **accepted: what only says how MXNet reads.

    Raises:
        FileError: if there is no such file, or it is another.
    """
    images, labels = _idx(image, 3), _idx(label, 1)
    count = len(images) // batch_size * batch_size
    order = np.random.default_rng(seed).permutation(len(images)) if shuffle else np.arange(len(images))
    pixels = images.reshape(len(images), -1) if flat else images[:, None]
    if len(labels) != len(images):
        raise DataError('there must be as many labels as images', expected=len(images), got=len(labels))
    data, label_of = (array[order[:count]] for array in (pixels.astype('float32') / 256, labels.astype('float32')))
    return _ArraysIter(data, label_of, (data_name, label_name), batch_size)


def _idx(path: Path, ndim: int) -> np.ndarray:
    data = _bytes(path)
    if len(data) < 4 + 4 * ndim or data[:4] != bytes((0, 0, 8, ndim)):
        expected = bytes((0, 0, 8, ndim))
        raise FileError(f"'{path}', byte 0: no file of MNIST", expected=expected, got=data[:4])
    shape = struct.unpack(f'>{ndim}I', data[4 : 4 + 4 * ndim])
    if len(data) != 4 + 4 * ndim + math.prod(shape):
        raise FileError(f"'{path}' is damaged", expected=f'{math.prod(shape)} numbers', got=len(data) - 4 - 4 * ndim)
    return np.frombuffer(data, 'uint8', offset=4 + 4 * ndim).reshape(shape)


explain_calls(globals())
