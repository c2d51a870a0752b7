"""Files that are damaged or made to do harm: each is refused by a FileError that names the byte."""

import json
import random
import struct
import zipfile

import damages
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluonjax import errors, nn
from gluonjax.io import formats, mxnet_params, npz, safetensors

FILES = damages.samples()
SMALL = [
    'file/net_mlp',
    'file/list_csr',
    'file/list_rows',
    'file/list_numpy',
    'file/bytes_legacy',
    'safetensors',
    'npz',
]


def path_for(folder, name):
    return folder / ('a.safetensors' if name == 'safetensors' else 'a.params')


@pytest.mark.parametrize('name', SMALL)
def test_a_file_that_is_cut_off_at_any_byte_is_refused(tmp_path, name):
    data, path = FILES[name], path_for(tmp_path, name)
    assert damages.outcome(path, data) == 'read'
    for size in range(0, len(data), 7 if name == 'npz' else 1):  # archives are slow
        assert damages.outcome(path, data[:size]) == 'refused', size


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(FILES)), seed=st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(tmp_path, name, seed):
    damages.outcome(path_for(tmp_path, name), damages.damaged(FILES[name], random.Random(seed)))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([b'', mxnet_params.MAGIC, *npz.MAGICS]), rest=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path, start, rest):
    damages.outcome(tmp_path / 'a', start + rest)


def mxnet_list(*arrays, names=(), count=None):
    words = struct.pack('<QQQ', 0x112, 0, len(arrays) if count is None else count)
    coded = b''.join(struct.pack('<Q', len(name)) + name for name in names)
    return words + b''.join(arrays) + struct.pack('<Q', len(names)) + coded


def dense(*shape, stored=b'\0' * 4, flag=0, version=0xF993FAC9, storage=0):
    head = struct.pack(f'<Iii{len(shape)}q', version, storage, len(shape), *shape)
    return head + struct.pack('<iii', 1, 0, flag) + stored


def rows(shape, index):
    head = struct.pack('<Iiiqq', 0xF993FAC9, 1, 2, len(index), 1) + struct.pack('<iqq', 2, *shape)
    types = struct.pack('<iiiiiq', 1, 0, 0, 6, 1, len(index))
    return head + types + b'\0' * 4 * len(index) + struct.pack(f'<{len(index)}q', *index)


ONE, HUGE = dense(1), 2**60
BAD = {
    'nothing': (b'', 0, "no MXNet's list of arrays begins here"),
    'another format': (b'\x89HDF\r\n\x1a\n' * 3, 0, "no MXNet's list of arrays begins here"),
    'a huge count': (mxnet_list(ONE, count=HUGE), 68, 'the file ends within the version of an array'),
    'a huge array': (mxnet_list(dense(HUGE)), 56, rf'the file ends within an array of float32 \({HUGE},\)'),
    'sizes whose product is too large': (mxnet_list(dense(2**40, 2**40)), 64, 'the file ends within an array'),
    'an empty array of huge sizes': (mxnet_list(dense(0, HUGE, HUGE, stored=b'')), 72, 'no array can have the shape'),
    'negative sizes': (mxnet_list(dense(-1, -4)), 36, 'no shape'),
    'too many axes': (mxnet_list(struct.pack('<Iii', 0xF993FAC9, 0, 2**30)), 32, 'no number of axes'),
    'a version of the future': (mxnet_list(dense(1, version=0xF993FACB)), 24, 'no version of an array'),
    'an unknown storage': (mxnet_list(dense(1, storage=3)), 28, 'the storage type is not known'),
    'an unknown dtype': (mxnet_list(dense(1, flag=99)), 52, 'the dtype is not known'),
    'fewer names': (mxnet_list(ONE, ONE, names=[b'a']), 96, 'there must be as many names as arrays'),
    'a huge name': (mxnet_list(ONE)[:-8] + struct.pack('<QQ', 1, HUGE), 76, 'the file ends within a name'),
    'a name twice': (mxnet_list(ONE, ONE, names=[b'a', b'a']), 121, "the name 'a' is there twice"),
    'no UTF-8': (mxnet_list(ONE, names=[b'ab\xff']), 78, 'a name is not UTF-8'),
    'a path': (mxnet_list(ONE, names=[b'../a']), 76, r"the name '\.\./a' is a path"),
    'a path of Windows': (mxnet_list(ONE, names=[b'C:\\a']), 76, r"the name 'C:\\\\a' is a path"),
    'something after the end': (mxnet_list(ONE) + b'\0', 68, 'the file goes on after its end'),
    'a row that is not there': (mxnet_list(rows((3, 1), [3])), 24, 'an index is not within 0 to 2'),
    'a huge sparse array': (mxnet_list(rows((HUGE, 1), [3])), 24, 'too large to be made dense'),
}


@pytest.mark.parametrize('case', BAD)
def test_what_is_wrong_and_where_is_said(tmp_path, case):
    data, at, what = BAD[case]
    (tmp_path / 'a.params').write_bytes(data)
    with pytest.raises(errors.FileError, match=rf"a\.params', byte {at}: .*({what})"):
        mxnet_params.load(tmp_path / 'a.params')


def header(text, size=None):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack('<Q', len(text) if size is None else size) + text


def entry(**changes):
    return {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4], **changes}


BAD_SAFETENSORS = {
    'a huge header': (header(b'{}', HUGE), 'no header is so large'),
    'no JSON': (header(b'{"a": '), 'the header is not JSON'),
    'deep JSON': (header(b'[' * 100_000), 'the header is not JSON'),
    'a list': (header([1]), 'the header is no JSON object'),
    'an unknown dtype': (header({'a': entry(dtype='F99')}), 'the header says what cannot be'),
    'a negative size': (header({'a': entry(shape=[-1])}), 'the header says what cannot be'),
    'no shape': (header({'a': {'dtype': 'F32', 'data_offsets': [0, 4]}}), 'the header says what cannot be'),
    'a huge shape': (header({'a': entry(shape=[HUGE])}) + b'\0' * 4, "the array 'a' is not here"),
    'a hole': (header({'a': entry(data_offsets=[4, 8])}) + b'\0' * 8, "the array 'a' is not here"),
    'two in one place': (header({'a': entry(), 'b': entry()}) + b'\0' * 4, "the array 'b' is not here"),
    'a name twice': (header(b'{"a": {}, "a": {}}'), "the name 'a' is there twice"),
    'a path': (header({'/etc/a': entry()}), "the name '/etc/a' is a path"),
}


@pytest.mark.parametrize('case', BAD_SAFETENSORS)
def test_bad_safetensors(tmp_path, case):
    data, what = BAD_SAFETENSORS[case]
    (tmp_path / 'a.safetensors').write_bytes(data)
    with pytest.raises(errors.FileError, match=rf"a\.safetensors', byte \d+: {what}"):
        safetensors.load(tmp_path / 'a.safetensors')


def test_bad_archives(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.array(['text', {}], dtype=object))
    with pytest.raises(errors.FileError, match=r"'a\.npy' holds no numbers"):
        npz.load(path)
    for name, data, what in (
        ('a.npy', b'\x93NUMPY\x01\x00', 'is damaged'),
        (
            'a.npy',
            b"\x93NUMPY\x01\x00\x40\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2**60,)}   \n",
            'damaged',
        ),
        ('../a.npy', b'', "the name '../a' is a path"),
    ):
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr(name, data)
        with pytest.raises(errors.FileError, match=what):
            npz.load(path)


def test_a_damaged_file_changes_nothing_in_a_network(tmp_path):
    net = nn.Sequential(nn.Dense(4, in_units=3), nn.Dense(2, in_units=4, use_bias=False))
    net.initialize(key=0)
    before = {name: parameter.data() for name, parameter in net.collect_params().items()}
    (tmp_path / 'a.params').write_bytes(FILES['file/net_mlp'][:-1])
    with pytest.raises(errors.FileError, match='get the file again'):
        net.load_parameters(tmp_path / 'a.params')
    assert {name: parameter.data() for name, parameter in net.collect_params().items()} == before


def test_a_file_that_is_not_there_is_an_error_of_python(tmp_path):
    with pytest.raises(FileNotFoundError):
        formats.load(tmp_path / 'a.params')
