"""Arrays of NumPy that MXNet's names are given: the caller may write into them once the call has returned."""

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax import errors
from gluonjax.mx import nd


def written(x, number=None):
    array = nd.zeros((2, *x.shape)) if number is not None else nd.zeros(x.shape)
    array[slice(None) if number is None else number] = x
    return array if number is None else array[number]


DOORS = {
    'nd.array': nd.array,
    'nd.array of a dtype': lambda x: nd.array(x, dtype='float16'),
    'x[:] = buffer': written,
    'x[1] = buffer': lambda x: written(x, 1),
    'x + buffer': lambda x: nd.zeros(x.shape) + nd.array(x),
    'np.array': mx.np.array,
    'buffer + np': lambda x: x + mx.np.zeros(x.shape),
    'np.add': lambda x: mx.np.add(mx.np.zeros(x.shape), x),
    'NDArrayIter': lambda x: next(iter(mx.io.NDArrayIter(x, batch_size=len(x)))).data[0],
    'DataLoader': lambda x: next(iter(mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(x), len(x)))),
    'random': lambda x: mx.np.random.normal(x, 0),
}


@pytest.mark.parametrize('dtype', ['float32', 'int32'])
@pytest.mark.parametrize('door', DOORS)
def test_nothing_is_kept_of_the_callers_memory(door, dtype):
    memory = np.zeros(256 * 256 + 16, dtype)
    buffer = memory[-memory.ctypes.data % 64 // 4 :][: 256 * 256].reshape(256, 256)  # JAX takes it without a copy
    results = []
    for i in range(10):
        buffer[:] = i
        results.append(DOORS[door](buffer))
        buffer[:] = 99
    for i, result in enumerate(results):
        assert (result.asnumpy() == i).all()


def test_what_is_no_number_is_refused():
    for x in (np.array(['a']), np.zeros(2, 'm8[s]'), np.ma.array([1.0, 2.0], mask=[True, False])):
        for make in (nd.array, mx.np.array, lambda x: written(x)):
            with pytest.raises(errors.DTypeError):
                make(x)
        with pytest.raises(errors.DTypeError, match='no array of numbers'):
            nd.array([[1, 2], [3]])
    for make in (nd.array, mx.np.array, written):
        assert make(np.arange(3, dtype='longdouble')).asnumpy().tolist() == [0, 1, 2]
    assert nd.array(np.arange(3, dtype='>i2')).asnumpy().tolist() == [0, 1, 2]
