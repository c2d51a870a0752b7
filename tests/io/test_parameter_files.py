"""Parameter files: what MXNet wrote is read and written by the byte, and what a network takes from a file."""

import itertools
import os
import pathlib
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.file_cases import NETWORKS

from gluonjax import Block, Param, errors, load_program, nn, rnn
from gluonjax.io import formats, memory, mxnet_params, npz, safetensors
from gluonjax.io.memory import Memory, to_device

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
RECORDED = np.load(GOLDEN / 'files.npz')
FILES = {name.removeprefix('file/'): RECORDED[name].tobytes() for name in RECORDED.files if name.startswith('file/')}
WRITTEN = sorted(name for name in FILES if name.startswith(('list_', 'net_')))
SPARSE = ('list_rows', 'list_csr')
SHARED = pathlib.Path(__file__).parents[3] / 'shared' / 'models'
X = np.ones((2, 3), 'float32')


def values_of(name):
    prefix = f'value/{name}/'
    return {key.removeprefix(prefix): RECORDED[key] for key in RECORDED.files if key.startswith(prefix)}


@pytest.fixture
def file(tmp_path):
    """The path of a file that MXNet wrote."""

    def path(name):
        (tmp_path / 'net.params').write_bytes(FILES[name])
        return tmp_path / 'net.params'

    return path


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for name, value in expected.items():
        array = np.asarray(arrays[name])
        array = array.view('uint16') if array.dtype == jnp.bfloat16 else array
        assert array.dtype == value.dtype, name
        np.testing.assert_array_equal(array, value, err_msg=name, strict=True)


@pytest.mark.parametrize('name', sorted({*FILES} - {'old_exported'}))
def test_a_file_of_mxnet_is_read(file, name):
    assert_same(mxnet_params.load(file(name)), values_of(name))


@pytest.mark.parametrize('name', [name for name in WRITTEN if name not in SPARSE])
def test_a_file_is_written_as_mxnet_writes_it(file, tmp_path, name):
    arrays = mxnet_params.load(file(name))
    mxnet_params.save(tmp_path / 'again', list(arrays.values()) if name == 'list_no_names' else arrays)
    assert (tmp_path / 'again').read_bytes() == FILES[name]


def test_version_3_is_written_where_it_is_asked_for(tmp_path):
    mxnet_params.save(tmp_path / 'a', {'x': np.ones(2, 'float32')}, np_shape=True)
    assert (tmp_path / 'a').read_bytes()[24:28] == bytes.fromhex('cafa93f9')


@pytest.mark.parametrize('name', NETWORKS)
def test_a_network_reads_and_writes_the_bytes_of_gluon(file, tmp_path, name):
    net, expected = NETWORKS[name](nn, rnn), values_of(f'net_{name}')
    net.load_parameters(file(f'net_{name}'))
    net.save_parameters(tmp_path / 'again.params')
    assert (tmp_path / 'again.params').read_bytes() == FILES[f'net_{name}']
    numbers = [np.asarray(parameter.data()) for parameter in net.collect_params().values()]
    once = {value.tobytes(): value for value in expected.values()}
    assert sorted(map(np.ndarray.tobytes, numbers)) == sorted(once)


def test_recurrent_layers_have_their_names_here_and_those_of_gluon_in_its_files(file):
    net, expected = NETWORKS['recurrent'](nn, rnn), values_of('net_recurrent')
    net.load_parameters(file('net_recurrent'))
    names = {
        '0.l0_i2h_weight': '0._unfused.0.l_cell.i2h_weight',
        '0.r1_h2h_bias': '0._unfused.1.r_cell.h2h_bias',
        '1.l1_i2h_bias': '1._unfused.1.i2h_bias',
        '2.weight': '2.weight',
    }
    for ours, theirs in names.items():
        np.testing.assert_array_equal(net.collect_params()[ours].data(), expected[theirs], strict=True)


class Scaled(Block):
    """A child before a parameter of its own, which Gluon writes first."""

    def __init__(self):
        self.dense = nn.Dense(2, in_units=1)
        self.scale = Param((2,), init='ones')

    def forward(self, x):
        return self.dense(x) * self.scale[None]


def test_what_a_network_declares_itself_is_written_first(tmp_path):
    net = Scaled()
    net.initialize()
    net.save_parameters(tmp_path / 'a.params')
    assert list(mxnet_params.load(tmp_path / 'a.params')) == ['scale', 'dense.weight', 'dense.bias']


# Ties.


def test_one_name_of_a_tied_parameter_is_enough(file, tmp_path):
    for name in ('net_tied', 'net_tied_once'):
        net = NETWORKS['tied'](nn, rnn)
        net.load_parameters(file(name))
        np.testing.assert_array_equal(net[2].weight.data(), values_of('net_tied')['0.weight'])
    net.save_parameters(tmp_path / 'once.params', deduplicate=True)
    assert (tmp_path / 'once.params').read_bytes() == FILES['net_tied_once']


def test_tied_names_with_different_values_are_refused(file, tmp_path):
    arrays = mxnet_params.load(file('net_tied'))
    mxnet_params.save(tmp_path / 'a.params', {**arrays, '2.bias': arrays['2.bias'] + 1})
    with pytest.raises(errors.ParamsError, match=r'value of 2\.bias: it is tied'):
        NETWORKS['tied'](nn, rnn).load_parameters(tmp_path / 'a.params')


def test_safetensors_has_a_tied_parameter_once_and_all_of_its_names(file, tmp_path):
    net = NETWORKS['tied'](nn, rnn)
    net.load_parameters(file('net_tied'))
    net.save_parameters(tmp_path / 'a.safetensors')
    header = (tmp_path / 'a.safetensors').read_bytes()[8:]
    assert header.startswith(b'{"__metadata__":{"2.weight":"0.weight","2.bias":"0.bias"},')
    assert list(safetensors.load(tmp_path / 'a.safetensors'))[-2:] == ['2.weight', '2.bias']


def test_a_name_that_is_read_through_a_transform_is_not_written(tmp_path):
    net = nn.Sequential(nn.Dense(3, in_units=2), nn.Dense(2, in_units=3))
    net.tie('1.weight', '0.weight', jnp.transpose)
    net.initialize(key=0)
    net.save_parameters(tmp_path / 'a.params')
    arrays = mxnet_params.load(tmp_path / 'a.params')
    assert list(arrays) == ['0.weight', '0.bias', '1.bias']
    mxnet_params.save(tmp_path / 'b.params', {**arrays, '1.weight': arrays['0.weight'].T})
    other = nn.Sequential(nn.Dense(3, in_units=2), nn.Dense(2, in_units=3))
    other.tie('1.weight', '0.weight', jnp.transpose)
    other.load_parameters(tmp_path / 'b.params')
    np.testing.assert_array_equal(other(X[:, :2]), net(X[:, :2]))


# Formats.


@pytest.mark.parametrize('extension', ['params', 'safetensors', 'npz', 'anything'])
def test_a_deferred_network_takes_shapes_and_values_from_any_format(tmp_path, extension):
    net = nn.Sequential(nn.Dense(4, 'relu'), nn.Dense(2))
    net.initialize(key=0)
    expected = net(X)
    net.save_parameters(str(tmp_path / f'a.{extension}'))
    (tmp_path / f'a.{extension}').rename(tmp_path / 'called-otherwise.params')
    other = nn.Sequential(nn.Dense(4, 'relu'), nn.Dense(2))
    other.initialize(key=1)
    other.load_parameters(next(tmp_path.iterdir()))
    assert other[0].weight.shape == (4, 3)
    np.testing.assert_array_equal(other(X), expected)


EVERY_DTYPE = {
    dtype: np.array([[0, 1], [2, 3]]).astype(dtype)
    for dtype in ('float32', 'float64', 'float16', jnp.bfloat16, 'int8', 'int32', 'int64', 'uint8', 'bool', 'uint32')
}


@pytest.mark.parametrize('module', [mxnet_params, safetensors, npz])
def test_every_dtype_and_shape_comes_back(tmp_path, module):
    arrays = {np.dtype(dtype).name: array for dtype, array in EVERY_DTYPE.items()}
    arrays |= {'scalar': np.float32(2.5), 'none': np.zeros((0, 3), 'int8'), 'columns': np.arange(6.0).reshape(2, 3).T}
    arrays |= {'swapped': np.arange(3, dtype='>i4'), 'jax': jnp.ones((2, 1), jnp.bfloat16)}
    module.save(tmp_path / 'a', arrays)
    loaded = module.load(tmp_path / 'a')
    assert {*loaded} == {*arrays}
    for name, array in loaded.items():
        assert array.dtype == arrays[name].dtype.newbyteorder('=')
        np.testing.assert_array_equal(array, np.asarray(arrays[name]), strict=name != 'swapped')


def test_a_dtype_that_a_format_lacks_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(errors.DTypeError, match=r"MXNet has no arrays of the dtype of 'a'\n.*\n  got: complex64"):
        mxnet_params.save(tmp_path / 'a', {'a': np.ones(1, 'complex64')})
    with pytest.raises(errors.DTypeError, match="safetensors has no arrays of the dtype of 'a'"):
        safetensors.save(tmp_path / 'a', {'a': np.ones(1, 'complex128')})
    assert list(tmp_path.iterdir()) == []


def test_safetensors_are_those_of_the_library(tmp_path):
    library = pytest.importorskip('safetensors.numpy')
    arrays = {'a': np.arange(6, dtype='float32').reshape(2, 3), 'b': np.ones(3, 'uint8'), 'c': np.ones((), 'float64')}
    safetensors.save(tmp_path / 'ours', arrays)
    library.save_file(arrays, tmp_path / 'theirs')
    for loaded in (library.load_file(tmp_path / 'ours'), safetensors.load(tmp_path / 'theirs')):
        assert {*loaded} == {*arrays}
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_mxnet_2_writes_sparse_arrays_and_bfloat16_into_npz(tmp_path):
    bfloat16 = np.array([0x3F80, 0x4000], 'uint16').view([('bfloat16', '<u2')])
    parts = {'data': np.ones((1, 2)), 'indices': np.array([1]), 'shape': np.array([3, 2]), 'format': np.array('rows')}
    np.savez(tmp_path / 'a.npz', half=bfloat16, **{f'0.weight/{name}': part for name, part in parts.items()})
    loaded = formats.load(tmp_path / 'a.npz')
    np.testing.assert_array_equal(loaded['half'].astype('float32'), [1, 2])
    np.testing.assert_array_equal(loaded['0.weight'], [[0, 0], [1, 1], [0, 0]])


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / 'a.params'
    mxnet_params.save(path, {'a': np.ones(2)})

    class Broken:
        shape, size, dtype = (2,), 2, np.dtype('float32')

        def __array__(self, *args, **options):
            raise OSError('the disk is full')

    with pytest.raises(OSError, match='the disk is full'):
        safetensors.save(path, {'a': np.ones(2, 'float32'), 'b': Broken()})
    assert list(mxnet_params.load(path)) == ['a']
    assert list(tmp_path.iterdir()) == [path]


# What fits.


def net_of(*sizes):
    return nn.Sequential(*(nn.Dense(size) for size in sizes))


@pytest.fixture
def saved(tmp_path):
    net = net_of(4, 2)
    net.initialize(key=0)
    net(X)
    net.save_parameters(tmp_path / 'saved.params')
    return tmp_path / 'saved.params'


def test_every_difference_is_named_and_nothing_is_changed(saved):
    net = net_of(4, 3, 5)
    net.initialize(key=1)
    net(X)
    net[0].cast('float16')
    before = {name: parameter.data() for name, parameter in net.collect_params().items()}
    with pytest.raises(errors.ParamsError) as caught:
        net.load_parameters(saved)
    assert str(caught.value).split('\n')[1:] == [
        '  missing: 2.weight (5, 3)',
        '  missing: 2.bias (5,)',
        '  dtype of 0.weight: expected float16, got float32',
        '  dtype of 0.bias: expected float16, got float32',
        '  shape of 1.weight: expected (3, 4), got (2, 4)',
        '  shape of 1.bias: expected (3,), got (2,)',
        '  try: allow_missing=True leaves what is missing as it is, cast_dtype=True casts',
    ]
    assert {name: parameter.data() for name, parameter in net.collect_params().items()} == before
    assert str(saved) in str(caught.value)


def test_missing_and_extra_parameters_may_be_passed_over(saved):
    net = net_of(4, 2, 5)
    net.initialize(key=1)
    net.load_parameters(saved, allow_missing=True)
    assert net(X).shape == (2, 5)  # the rest is drawn
    other = net_of(4)
    with pytest.raises(errors.ParamsError, match=r'extra: 1.weight \(2, 4\)[\s\S]*ignore_extra=True'):
        other.load_parameters(saved)
    other.load_parameters(saved, ignore_extra=True)
    np.testing.assert_array_equal(other[0].weight.data(), net[0].weight.data())


def test_dtypes_are_cast_if_that_is_asked_for(saved):
    net = net_of(4, 2)
    net.cast('float16')
    with pytest.raises(errors.ParamsError, match='expected float16, got float32'):
        net.load_parameters(saved)
    net.load_parameters(saved, cast_dtype=True)
    assert {p.dtype.name for p in net.collect_params().values()} == {'float16'}
    exact = np.asarray(mxnet_params.load(saved)['0.weight'])
    np.testing.assert_array_equal(net[0].weight.data(), exact.astype('float16'), strict=True)
    net.load_parameters(saved, cast_dtype=True, dtype_source='saved')
    np.testing.assert_array_equal(net[0].weight.data(), exact, strict=True)
    assert net[0].weight.dtype == 'float32'
    with pytest.raises(errors.ArgumentError, match="dtype_source must be one of 'current', 'saved'; got 'file'"):
        net.load_parameters(saved, dtype_source='file')


def test_64_bits_that_jax_would_narrow_are_refused(tmp_path):
    net = net_of(1)
    mxnet_params.save(tmp_path / 'a', {'0.weight': np.ones((1, 2), 'float32'), '0.bias': np.ones(1, 'float64')})
    with pytest.raises(errors.DTypeError, match='JAX has float64 switched off'):
        net.load_parameters(tmp_path / 'a', cast_dtype=True, dtype_source='saved')
    assert net[0].weight.shape == (1, None)


def test_values_stay_where_they_are_and_go_where_they_are_told(saved):
    net, devices = net_of(4, 2), jax.devices()
    net.load_parameters(saved)
    assert not net[0].bias.data().committed
    net.load_parameters(saved, ctx=devices[1])
    assert net[0].bias.data().devices() == {devices[1]}
    net.load_parameters(saved)
    assert net[0].bias.data().devices() == {devices[1]}


def test_what_is_loaded_belongs_to_the_network_alone(saved):
    net = net_of(4, 2)
    net.load_parameters(saved)
    expected = np.array(net[0].weight.data())
    saved.write_bytes(b'\0' * saved.stat().st_size)
    np.testing.assert_array_equal(net[0].weight.data(), expected)


def test_a_network_that_is_loaded_inside_a_transformation_keeps_arrays(saved):
    net = net_of(4, 2)

    @jax.jit
    def forward(x):
        net.load_parameters(saved)
        return net(x)

    output = forward(X)
    np.testing.assert_array_equal(net[0].weight.data(), mxnet_params.load(saved)['0.weight'])
    np.testing.assert_allclose(output, net(X), rtol=1e-6)


def test_a_parameter_dict_saves_and_loads_with_prefixes(tmp_path):
    net = net_of(4, 2)
    net.initialize(key=0)
    net(X)
    chosen = net.collect_params('0.*')
    chosen.save(tmp_path / 'a', strip_prefix='0.')
    assert list(mxnet_params.load(tmp_path / 'a')) == ['weight', 'bias']
    with pytest.raises(
        errors.ArgumentError, match=r"strip_prefix must be the start of every name.*'1\.' and '0.weight'"
    ):
        chosen.save(tmp_path / 'b', strip_prefix='1.')
    other = net_of(4, 2)
    other.collect_params('0.*').load(tmp_path / 'a', restore_prefix='0.')
    np.testing.assert_array_equal(other[0].weight.data(), net[0].weight.data())
    with pytest.raises(errors.ParamsError, match=r'missing: 1.weight[\s\S]*missing: 1.bias'):
        other.collect_params().load(tmp_path / 'a', restore_prefix='0.')
    other.collect_params().load(tmp_path / 'a', restore_prefix='0.', allow_missing=True)


# Names of before there were structural ones.


@pytest.mark.parametrize('name', ['mlp', 'convolutions'])
def test_old_names_are_matched_by_order_and_shape(file, name):
    net = NETWORKS[name](nn, rnn)
    with pytest.warns(match=r'names of before[\s\S]*dense\d+_weight -> \d\.weight'):
        net.load_parameters(file(f'old_{name}'))
    for ours, value in values_of(f'net_{name}').items():
        np.testing.assert_array_equal(net.collect_params()[ours].data(), value, strict=True)


def test_an_exported_network_is_matched(file):
    net = NETWORKS['convolutions'](nn, rnn)
    with pytest.warns(match='conv'):
        net.load_parameters(file('old_exported'))
    for ours, value in values_of('net_convolutions').items():
        np.testing.assert_array_equal(net.collect_params()[ours].data(), value, strict=True)


def write(path, layers):
    mxnet_params.save(path, {f'{name}_weight': np.full(shape, i, 'float32') for i, (name, shape) in enumerate(layers)})


def dense(*sizes):
    return nn.Sequential(*(nn.Dense(a, in_units=b, use_bias=False) for b, a in itertools.pairwise(sizes)))


def test_a_file_that_is_not_in_order_is_matched_by_its_counters_and_shapes(tmp_path):
    net = dense(3, 3, 3, 2)
    write(tmp_path / 'a', [('net_dense10', (3, 3)), ('output', (2, 3)), ('net_dense9', (3, 3))])
    with pytest.warns(match='matched by order and shape'):
        net.load_parameters(tmp_path / 'a')
    assert [float(net[i].weight[0, 0]) for i in range(3)] == [2, 0, 1]


@pytest.mark.parametrize(
    ('layers', 'why'),
    [
        ([('b1', (3, 3)), ('b0', (2, 3)), ('a0', (3, 3))], r"\['b1', 'a0'\] are alike, and the file is not in order"),
        ([('a0', (3, 3)), ('a1', (2, 3))], '1 layers of the file fit the 2 layers'),
        ([('a0', (3, 3)), ('a1', (3, 3)), ('a2', (2, 3)), ('a3', (7, 3))], r"fits \['a3'\]"),
    ],
)
def test_old_names_that_could_mean_several_things_are_refused(tmp_path, layers, why):
    net = dense(3, 3, 3, 2)
    write(tmp_path / 'a', layers)
    with pytest.raises(errors.ParamsError, match=why):
        net.load_parameters(tmp_path / 'a')
    with pytest.raises(errors.UninitializedError):
        net[0].weight.data()


@pytest.mark.skipif(not SHARED.is_dir(), reason='the published files are not here')
def test_published_files_are_read():
    paths = sorted(SHARED.glob('*/*.params'))
    sizes = {path.parent.name: len(mxnet_params.load(path)) for path in paths}
    assert sizes['insightface_mtcnn_det1'] == 13
    assert sizes['gnlp_bert'] == 39
    net = nn.Sequential(
        nn.Conv2D(5, 5),
        nn.Activation('relu'),
        nn.MaxPool2D(2),
        nn.Conv2D(5, 5),
        nn.Flatten(),
        nn.Dense(32),
        nn.Dense(10),
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        net.load_parameters(SHARED / 'weberlo_lenet' / 'model.params')
    assert net[5].weight.shape == (32, 80)


# Folders of orbax.


@pytest.mark.filterwarnings('ignore:Sharding info not provided')  # orbax's, when it is asked alone
def test_a_folder_has_the_nested_dict_and_takes_the_place_of_one_that_was_there(tmp_path):
    orbax = pytest.importorskip('orbax.checkpoint')
    net, folder = NETWORKS['tied'](nn, rnn), tmp_path / 'net.orbax'
    net.initialize(key=0)
    net.save_parameters(folder)
    net.initialize(key=1, force_reinit=True)
    net.save_parameters(folder)
    assert [path.name for path in tmp_path.iterdir()] == ['net.orbax']
    with orbax.PyTreeCheckpointer() as reader:
        tree = reader.restore(folder)
    assert jax.tree.structure(tree) == jax.tree.structure(net.params)
    other = NETWORKS['tied'](nn, rnn)
    other.load_parameters(folder)
    for name, parameter in net.collect_params().items():
        np.testing.assert_array_equal(other.collect_params()[name].data(), parameter.data(), strict=True)


def test_sharded_parameters_are_read_into_their_shards(tmp_path):
    mesh = jax.make_mesh((2,), ('model',), devices=jax.devices()[:2])
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('model'))
    net = nn.Sequential(nn.Dense(4, in_units=3))
    net.initialize(key=0)
    net.save_parameters(tmp_path / 'whole.params')
    expected = np.asarray(net[0].weight.data())
    net.load_parameters(tmp_path / 'whole.params', ctx=sharding)
    net.save_parameters(tmp_path / 'net.orbax')
    net[0].weight.set_data(0 * expected)
    net.load_parameters(tmp_path / 'net.orbax', ctx=sharding)
    weight = net[0].weight.data()
    assert weight.sharding == sharding
    assert {shard.data.shape for shard in weight.addressable_shards} == {(2, 3)}
    np.testing.assert_array_equal(weight, expected)
    net.load_parameters(tmp_path / 'whole.params')
    assert net[0].weight.data().sharding == sharding


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').write_text('all of it')
    net = nn.Sequential(nn.Dense(1, in_units=1))
    net.initialize(key=0)
    with pytest.raises(errors.ArgumentError, match=r"mine' is there, and it is no folder of arrays"):
        net.save_parameters(tmp_path / 'mine')
    with pytest.raises(errors.FileError, match=r"mine' is no folder of arrays[\s\S]*\['thesis.txt'\]"):
        net.load_parameters(tmp_path / 'mine')
    assert (tmp_path / 'mine' / 'thesis.txt').read_text() == 'all of it'
    with pytest.raises(errors.ShapeError, match=r"orbax writes no arrays without numbers: \['a'\]"):
        formats.save(tmp_path / 'a.orbax', {'a': np.zeros((0, 3))})


def test_the_extra_that_folders_need_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'orbax.checkpoint', None)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'gluonjax\[train\]'"):
        formats.save(tmp_path / 'a.orbax', {'a': np.zeros(3)})


def test_memory_is_aligned_and_no_two_pieces_of_it_overlap():
    pool = Memory(100)
    taken = [pool.take(size) for size in (3, 64, 0, 65, 1, 200)]
    assert [piece.size for piece in taken] == [3, 64, 0, 65, 1, 200]
    assert {piece.ctypes.data % 64 for piece in taken if piece.size} == {0}
    for i, piece in enumerate(taken):
        piece[:] = i
    assert [set(piece.tolist()) for piece in taken] == [{0}, {1}, set(), {3}, {4}, {5}]


def test_large_arrays_are_read_in_parts_by_several_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, '_CHUNK', 1000)
    numbers = np.random.default_rng(0).normal(size=(3, 700)).astype('float32')
    arrays = {'a': numbers, 'b': numbers[0] > 0, 'c': numbers[:, 0], 'd': np.zeros((0, 2), 'float32')}
    formats.save(tmp_path / 'net.params', arrays)
    values = list(formats.load(tmp_path / 'net.params').values())
    read = to_device(values, ['float32', 'bool', 'float16', 'float32'], [None, jax.devices()[1], None, None])
    for array, expected in zip(read, arrays.values(), strict=True):
        np.testing.assert_array_equal(array, expected.astype(array.dtype))
    assert [array.dtype.name for array in read] == ['float32', 'bool', 'float16', 'float32']
    assert read[1].devices() == {jax.devices()[1]}


def test_a_file_that_is_cut_off_or_replaced_while_it_is_in_use(tmp_path):
    path, ones = tmp_path / 'net.params', np.ones(3000, 'float32')
    formats.save(path, {'a': ones})
    (view,) = formats.load(path).values()
    formats.save(path, {'a': 2 * ones})  # another file of that name
    np.testing.assert_array_equal(to_device([view], ['float32'], [None])[0], ones)
    (view,) = formats.load(path).values()
    os.truncate(path, 8000)
    with pytest.raises(errors.FileError, match=r"net.params', byte 8000: the file was cut off while it was read"):
        to_device([view], ['float32'], [None])


@pytest.mark.parametrize('path', [None, 0, b'net.params'])
def test_what_is_no_path_is_refused(path):
    net = nn.Sequential(nn.Dense(2, in_units=1))
    net.initialize()
    parameters = net.collect_params()
    for door in (net.save_parameters, net.load_parameters, parameters.save, parameters.load, load_program):
        with pytest.raises(errors.ArgumentError, match='a file name must be a str or a path, got '):
            door(path)


def test_the_folder_that_is_not_there_and_the_device_that_is_none_are_named(tmp_path):
    net = nn.Sequential(nn.Dense(2, in_units=1))
    net.initialize()
    with pytest.raises(FileNotFoundError, match='no such folder to write to') as error:
        net.save_parameters(tmp_path / 'none' / 'net.params')
    assert error.value.filename == str(tmp_path / 'none')
    net.save_parameters(tmp_path / 'net.params')
    with pytest.raises(errors.ArgumentError, match='ctx is no place for values'):
        net.load_parameters(tmp_path / 'net.params', ctx='gpu(0)')
    net.load_parameters(tmp_path / 'net.params', ctx=jax.devices()[1])
    assert net[0].weight.data().devices() == {jax.devices()[1]}
