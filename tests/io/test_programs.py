"""Programs without the code of their network: the same numbers, in a process that never saw it, and gradients."""

import importlib.util
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import Block, errors, nn, rnn

needs_flatbuffers = pytest.mark.skipif(importlib.util.find_spec('flatbuffers') is None, reason='no flatbuffers')
IMAGES = np.random.RandomState(0).standard_normal((2, 3, 4, 4)).astype('float32')


class Classifier(Block):
    def __init__(self):
        self.features = nn.Sequential(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Activation('relu'))
        self.drop = nn.Dropout(0.5)
        self.output = nn.Dense(3)

    def forward(self, x):
        return {'logits': self.output(self.drop(self.features(x)))}


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    net, path = Classifier(), tmp_path_factory.mktemp('programs') / 'net.program'
    net.initialize('xavier', key=0)
    net(IMAGES)
    net.save_program(path, IMAGES, training=True)
    return net, path


@needs_flatbuffers
def test_a_program_has_the_numbers_of_the_network_for_any_batch(saved):
    net, program = saved[0], gluonjax.load_program(saved[1])
    for batch in (IMAGES, IMAGES[:1], np.concatenate([IMAGES] * 3)):
        np.testing.assert_allclose(program(batch)['logits'], net(batch)['logits'], rtol=1e-5, atol=1e-6)
    assert jax.tree.structure(program.params) == jax.tree.structure(net.params)
    expected = "Program(inputs=['float32 (batch, 3, 4, 4)'], platforms=('cpu', 'cuda', 'tpu'), training=True)"
    assert repr(program) == expected


@needs_flatbuffers
def test_a_program_is_differentiated_and_trained_as_the_network(saved):
    net, program = saved[0], gluonjax.load_program(saved[1])

    def loss(params, apply_train):
        output, recorded = apply_train(params, IMAGES, key=7)
        return (output['logits'] ** 2).sum(), recorded

    (ours, recorded), (theirs, expected) = (
        jax.grad(loss, has_aux=True)(net.params, function) for function in (program.apply_train, net.apply_train)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), recorded, expected)
    assert not np.array_equal(recorded['features']['1']['running_mean'], net.features[1].running_mean.data())


@needs_flatbuffers
def test_a_program_runs_where_the_code_never_was(saved, tmp_path):
    net, path = saved
    np.save(tmp_path / 'x.npy', IMAGES)
    code = (
        'import sys, numpy, gluonjax; program = gluonjax.load_program(sys.argv[1]);'
        "numpy.save(sys.argv[3], program(numpy.load(sys.argv[2]))['logits']);"
        "assert not [name for name in sys.modules if name.startswith('gluonjax.nn')]"
    )
    names = [str(path), str(tmp_path / 'x.npy'), str(tmp_path / 'y.npy')]
    subprocess.run([sys.executable, '-c', code, *names], check=True)
    np.testing.assert_allclose(np.load(tmp_path / 'y.npy'), net(IMAGES)['logits'], rtol=1e-5, atol=1e-6)


@needs_flatbuffers
def test_recurrent_networks_leave_the_batch_open_on_their_axis(tmp_path):
    net, x = nn.Sequential(rnn.GRU(2, 1)), jnp.ones((5, 3, 2))
    net.initialize(key=0)
    net(x)
    net.save_program(tmp_path / 'a', x, batch_axis=1, platforms=['cpu'])
    program = gluonjax.load_program(tmp_path / 'a')
    assert program.inputs == ['float32 (5, batch, 2)']
    np.testing.assert_allclose(program(x[:, :1]), net(x[:, :1]), rtol=1e-5)
    with pytest.raises(errors.ArgumentError, match=r'this program is for inference alone[\s\S]*training=True'):
        program.apply_train(program.params, x)
    with pytest.raises(errors.ShapeError, match=r'expected: float32 \(5, batch, 2\); on cpu'):
        program(x[:4])


class Paired(NamedTuple):
    x: jax.Array


class Flat(Block):
    """Needs the size of the batch."""

    def forward(self, x):
        return jnp.zeros(x.shape) + jnp.arange(int(x.shape[0]))[:, None]


class Says(Block):
    def forward(self, x):
        return x, 'a word'


@needs_flatbuffers
def test_what_cannot_be_a_program_is_refused_and_nothing_is_written(tmp_path):
    path, x = tmp_path / 'a', jnp.ones((2, 3))
    with pytest.raises(errors.ArgumentError, match='a program takes arrays'):
        Flat().save_program(path, x, 'word')
    with pytest.raises(errors.ArgumentError, match="a platform must be one of 'cpu', 'cuda', 'tpu', 'rocm'; got 'gpu'"):
        Flat().save_program(path, x, platforms=['gpu'])
    with pytest.raises(errors.TransformationError, match='batch_axis=None, if a layer needs the size of the batch'):
        Flat().save_program(path, x, platforms=['cpu'])
    with pytest.raises(errors.ArgumentError, match='a program returns arrays'):
        Says().save_program(path, x)
    deferred = nn.Sequential(nn.Dense(3))
    deferred.initialize()
    with pytest.raises(errors.DeferredInitializationError, match='call net'):
        deferred.save_program(path, x)
    assert list(tmp_path.iterdir()) == []
    Flat().save_program(path, x, batch_axis=None, platforms=['cpu'])
    program = gluonjax.load_program(path)
    np.testing.assert_array_equal(program(x), Flat()(x))
    with pytest.raises(errors.ArgumentError, match='saved without derivatives') as error:
        jax.grad(lambda x: program(x).sum())(x)
    assert 'training=True' in str(error.value)


@needs_flatbuffers
def test_a_damaged_program_is_refused(saved, tmp_path):
    data, path = bytearray(saved[1].read_bytes()), tmp_path / 'a'
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(errors.FileError, match=r'holds no program, or is damaged[\s\S]*not as it was written'):
        gluonjax.load_program(path)
    gluonjax.io.save(tmp_path / 'b.safetensors', {'a': np.ones(1)})
    gluonjax.io.save(tmp_path / 'b.params', {'a': np.ones(1)})
    for name, got in (('b.safetensors', 'parameters alone'), ('b.params', 'a file that begins with')):
        with pytest.raises(errors.FileError, match=rf'holds no program\n[\s\S]*{got}[\s\S]*net.save_program'):
            gluonjax.load_program(tmp_path / name)


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'gluonjax\[programs\]'"):
        gluonjax.load_program(tmp_path / 'a')


@needs_flatbuffers
def test_a_program_takes_what_comes_from_outside(saved):
    program = gluonjax.load_program(saved[1])
    expected = program(IMAGES)['logits']
    swapped = jax.tree.map(lambda array: np.asarray(array).astype('>f4'), program.params)
    np.testing.assert_array_equal(program.apply(swapped, IMAGES.astype('>f8'))['logits'], expected)
    buffer = IMAGES.copy()
    output = program(buffer)
    buffer[:] = 1e9
    np.testing.assert_array_equal(output['logits'], expected)
    for wrong in (IMAGES.astype(str), IMAGES.astype(object), np.ma.masked_array(IMAGES, IMAGES > 0)):
        with pytest.raises(errors.DTypeError, match=r'input\[0\]'):
            program(wrong)
    with pytest.raises(errors.KeywordError, match="Program has no argument 'image'"):
        program(image=IMAGES)
