"""RecordIO: the same bytes as MXNet's, and what is damaged or misused is named."""

import hashlib
import os
import pickle
import struct

import numpy as np
import pytest

from gluonjax import errors
from gluonjax.data import images, recordio
from gluonjax.data.recordio import IRHeader, MXIndexedRecordIO, MXRecordIO

MAGIC = struct.pack('<I', 0xCED7230A)
RECORDS = [
    b'',
    b'a',
    b'abcd',
    MAGIC,
    b'x' + MAGIC,
    b'abcd' + MAGIC + b'ef',
    MAGIC + MAGIC,
    b'abcd' + MAGIC + MAGIC + b'z' * 5,
    MAGIC[:3],
    b'12345' + MAGIC + b'123' + MAGIC,
]


@pytest.fixture
def paths(tmp_path):
    index, records = tmp_path / 'a.idx', tmp_path / 'a.rec'
    with MXIndexedRecordIO(index, records, 'w') as record:
        for key, data in enumerate(RECORDS):
            record.write_idx(key, data)
    return index, records


def test_files_are_mxnets_to_the_byte(paths):
    digests = [hashlib.md5(path.read_bytes()).hexdigest() for path in paths]
    assert digests == ['6b9bdd099bf190fc3e68ad19116d4e78', 'fa75f74222b24615ce16aa05da6acb09']  # MXNet 1.9.1 wrote them


def test_records_are_read_in_order_and_by_key(paths):
    index, records = paths
    reader = MXRecordIO(str(records), 'r')
    assert [reader.read() for _ in RECORDS] == RECORDS
    assert reader.read() is None
    reader.reset()
    assert [reader.read(), reader.read()] == RECORDS[:2]
    keyed = MXIndexedRecordIO(index, records, 'r', key_type=str)
    assert keyed.keys == [str(i) for i in range(len(RECORDS))]
    assert [keyed.read_idx(str(i)) for i in (7, 0, 9)] == [RECORDS[i] for i in (7, 0, 9)]
    with pytest.raises(KeyError):
        keyed.read_idx('10')


def test_a_reader_is_pickled_and_reopened(paths):
    reader = MXIndexedRecordIO(*paths, 'r')
    reader.read()
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.read() == RECORDS[0]
    assert copy.read_idx(5) == RECORDS[5]
    reader.close()
    assert not pickle.loads(pickle.dumps(reader)).is_open


def test_after_a_fork_a_reader_begins_again_and_a_writer_refuses(paths, tmp_path):
    reader, writer = MXRecordIO(paths[1], 'r'), MXRecordIO(tmp_path / 'b.rec', 'w')
    reader.read()
    reader.pid = writer.pid = os.getpid() + 1  # as it looks there
    assert reader.read() == RECORDS[0]
    with pytest.raises(errors.GluonError, match='another process'):
        writer.write(b'a')


def test_headers_are_mxnets_to_the_byte():
    assert recordio.pack(IRHeader(0, 3.5, 7, 9), b'hello').hex() == (
        '00000000000060400700000000000000090000000000000068656c6c6f'
    )
    packed = recordio.pack(IRHeader(5, [1, 2], 7, 9), b'hello')
    assert packed.hex() == '0200000000000000070000000000000009000000000000000000803f0000004068656c6c6f'
    header, data = recordio.unpack(packed)
    assert (header.flag, header.label.tolist(), header.id, header.id2, data) == (2, [1, 2], 7, 9, b'hello')
    for length in (3, 30):
        with pytest.raises(errors.FileError):
            recordio.unpack(packed[:length])


@pytest.mark.parametrize(('shape', 'iscolor'), [((5, 4), -1), ((5, 4, 3), -1), ((5, 4, 4), -1), ((5, 4, 3), 1)])
def test_png_images_come_back_as_they_were(shape, iscolor):
    image = np.random.default_rng(0).integers(0, 256, shape, 'uint8')
    _, found = recordio.unpack_img(recordio.pack_img(IRHeader(0, 1, 2, 0), image, img_fmt='.png'), iscolor)
    np.testing.assert_array_equal(found, image)


def test_blue_is_first_in_records_and_last_in_files():
    record = recordio.pack_img(IRHeader(0, 1, 2, 0), np.full((8, 8, 3), (255, 0, 0), 'uint8'), 100, '.jpg')
    blue = images.decode(recordio.unpack(record)[1])
    assert np.abs(blue.astype(int) - (0, 0, 255)).max() <= 2
    assert recordio.unpack_img(record, 0)[1].shape == (8, 8)


@pytest.mark.parametrize(
    ('call', 'error', 'message'),
    [
        (lambda: MXRecordIO('a.rec', 'a'), errors.ArgumentError, "flag must be 'r' or 'w'"),
        (lambda: MXRecordIO('/no/a.rec', 'r'), errors.FileError, 'No such file'),
        (lambda: recordio.pack_img(IRHeader(0, 1, 2, 0), np.ones((2, 2))), errors.DTypeError, 'uint8'),
        (lambda: images.encode(np.ones((2, 2, 2), 'uint8')), errors.ShapeError, 'no image'),
        (lambda: images.encode(np.ones((2, 2), 'uint8'), '.gif'), errors.ArgumentError, 'img_fmt'),
        (lambda: images.encode(np.ones((2, 2), 'uint8'), '.png', 101), errors.ArgumentError, 'from 0 to 100'),
        (lambda: images.decode(b'nothing'), errors.FileError, 'cannot be decoded'),
        (lambda: images.decode(b''), errors.FileError, 'no bytes'),
        (lambda: recordio.unpack_img(b'', 2), errors.ArgumentError, 'iscolor'),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_misuse_of_a_file_is_named(paths):
    reader, writer = MXRecordIO(paths[1], 'r'), MXIndexedRecordIO(*(f'{path}2' for path in paths), 'w')
    with pytest.raises(errors.GluonError, match="opened with 'r'"):
        reader.write(b'a')
    with pytest.raises(errors.GluonError, match="opened with 'w'"):
        writer.read_idx(0)
    with pytest.raises(errors.GluonError, match='pickled'):
        pickle.dumps(writer)
    reader.close()
    with pytest.raises(errors.GluonError, match='closed'):
        reader.read()


def test_damage_is_named_with_its_byte(paths):
    index, records = paths
    whole = records.read_bytes()
    for data, message in [
        (b'x' + whole, 'byte 0: no record begins here'),
        (whole[:-9], 'the file ends within a record of 12 bytes'),
        (whole[20:26], 'byte 0: no record'),
        (MAGIC + struct.pack('<I', 2 << 29), 'begins with a part'),
        (MAGIC + struct.pack('<I', 1 << 29), 'within a record'),
    ]:
        records.write_bytes(data)
        reader = MXRecordIO(records, 'r')
        with pytest.raises(errors.FileError, match=message):
            [reader.read() for _ in RECORDS]
    index.write_text('0\t0\n1\n')
    with pytest.raises(errors.FileError, match='line 2'):
        MXIndexedRecordIO(index, records, 'r')
    index.unlink()
    with pytest.raises(errors.FileError, match='no index'):
        MXIndexedRecordIO(index, records, 'r')
