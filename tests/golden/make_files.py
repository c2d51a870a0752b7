"""Records parameter files as MXNet writes and reads them: `files.npz`.

Run as make_golden.py, whose docstring says where. Each file has an array `file/NAME` of its bytes, and arrays
`value/NAME/ARRAY` of what MXNet reads from it. Its arrays are in the order of the file.

    list_...     written by nd.save and npx.save
    net_...      written by save_parameters of the networks in file_cases.py; _once with deduplicate=True
    old_...      the same by the names of before there were structural ones: collect_params().save and export
    bytes_...    written here byte by byte: what MXNet wrote before version 2, and dtypes that Python cannot make

Sparse arrays are recorded as dense ones. bfloat16 is recorded as uint16.
"""
import pathlib
import struct
import tempfile

import mxnet as mx
import numpy as np
from mxnet.gluon import nn, rnn

from file_cases import NETWORKS

HERE = pathlib.Path(__file__).parent
FILE = str(pathlib.Path(tempfile.mkdtemp()) / 'file.params')
DTYPES = ['float32', 'float64', 'float16', 'uint8', 'int32', 'int8', 'int64', 'bool']
RECORDED = {}


def values_of(loaded):
    pairs = loaded.items() if isinstance(loaded, dict) else ((str(i), array) for i, array in enumerate(loaded))
    for name, array in pairs:
        numbers = array.asnumpy() if array.stype == 'default' else array.tostype('default').asnumpy()
        yield name, numbers['bfloat16'] if numbers.dtype.names else numbers


def record(name, load=mx.nd.load):
    """Keeps the file that is there now, and what MXNet reads from it."""
    RECORDED['file/' + name] = np.fromfile(FILE, 'uint8')
    for array, value in values_of(load(FILE)):
        RECORDED['value/{}/{}'.format(name, array)] = value


def lists():
    x = mx.nd.array([[0, 1.5], [2, 0], [0, 0]])
    lists = {
        'dtypes': {dtype: x.astype(dtype) for dtype in DTYPES},
        'no_names': [x, x[0]],
        'empty': [],
        'prefixes': {'arg:fc_weight': x, 'aux:bn_moving_mean': x[1], 'Größe/0': x[2]},
        'rows': {'a': x.tostype('row_sparse'), 'zeros': mx.nd.sparse.zeros('row_sparse', (3, 2))},
        'csr': {'a': x.tostype('csr'), 'zeros': mx.nd.sparse.zeros('csr', (3, 2))},
    }
    for name, arrays in lists.items():
        mx.nd.save(FILE, arrays)
        record('list_' + name)
    mx.npx.set_np()
    arrays = {'scalar': mx.np.array(2.5), 'none': mx.np.zeros((0, 3)), 'some': mx.np.arange(3)}
    mx.npx.save(FILE, arrays)
    record('list_numpy', mx.npx.load)
    mx.npx.reset_np()


def with_values(net):
    net.initialize()
    for i, parameter in enumerate(net.collect_params().values()):
        values = (np.arange(np.prod(parameter.shape)) % 13 - 6 + i) / 8
        parameter.set_data(mx.nd.array(values.reshape(parameter.shape), dtype=parameter.dtype))
    return net


def networks():
    for name, make in NETWORKS.items():
        net = with_values(make(nn, rnn))
        net.save_parameters(FILE)
        record('net_' + name)
        if name == 'tied':
            net.save_parameters(FILE, deduplicate=True)
            record('net_tied_once')
        if name in ('convolutions', 'mlp'):
            net.collect_params().save(FILE)
            record('old_' + name)
    net = with_values(NETWORKS['convolutions'](nn, rnn))
    net.hybridize()
    net(mx.nd.ones((1, 1, 4, 4)))
    net.export(FILE)
    RECORDED['file/old_exported'] = np.fromfile(FILE + '-0000.params', 'uint8')


def by_hand():
    numbers = np.array([[1, 2, 3]], 'float32')
    cpu, float32, body = struct.pack('<ii', 1, 0), struct.pack('<i', 0), numbers.tobytes()
    upper = b''.join(body[i + 2 : i + 4] for i in range(0, 12, 4))  # of each number: bfloat16
    arrays = {
        'legacy': struct.pack('<III', 2, 1, 3) + cpu + float32 + body,
        'v1': struct.pack('<Iiqq', 0xF993FAC8, 2, 1, 3) + cpu + float32 + body,
        'gpu': struct.pack('<Iiiqq', 0xF993FAC9, 0, 2, 1, 3) + struct.pack('<ii', 2, 3) + float32 + body,
        'bfloat16': struct.pack('<Iiiqq', 0xF993FAC9, 0, 2, 1, 3) + cpu + struct.pack('<i', 12) + upper,
        'no_numbers': struct.pack('<Iiiqq', 0xF993FAC9, 0, 2, 0, 3) + cpu + float32,
    }
    for name, array in arrays.items():
        named = struct.pack('<QQ', 1, 1) + b'a'
        pathlib.Path(FILE).write_bytes(struct.pack('<QQQ', 0x112, 0, 1) + array + named)
        record('bytes_' + name)


if __name__ == '__main__':
    lists()
    networks()
    by_hand()
    np.savez_compressed(str(HERE / 'files.npz'), **RECORDED)
