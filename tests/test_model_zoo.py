"""The model zoo: MXNet's parameters and scores, published files, and networks within networks."""

import functools
import hashlib
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden.model_zoo_cases import CLASSES, INCEPTION_LAYERS, INCEPTION_SIZE, MODELS, SMALL, image, value

from gluonjax import errors, io, model_zoo, nn
from gluonjax.block import Block
from gluonjax.model_zoo import model_store, vision
from gluonjax.tree import nest

GOLDEN = pathlib.Path(__file__).parent / 'golden'
# Each costs a second or more; the small networks have the same layers. All of them: WHOLE_ZOO=1.
FEW = ['alexnet', 'mobilenetv2_0.25', 'resnet18_v1', 'resnet50_v2', 'squeezenet1.0', 'squeezenet1.1']
SCORED = MODELS if os.environ.get('WHOLE_ZOO') else FEW


@functools.cache
def golden():
    """Field -> array, as make_model_zoo.py describes them."""
    with np.load(GOLDEN / 'model_zoo.npz') as file:
        return dict(file)


def function_of(model):
    name = {'inceptionv3': 'inception_v3'}.get(model, model)
    return getattr(vision, name.replace('mobilenetv2', 'mobilenet_v2').replace('.', '_'))


def class_of(name):
    return getattr(vision, name) if isinstance(name, str) else name


def made(small):
    return class_of(small.model)(*map(class_of, small.args), classes=CLASSES, **small.kwargs)


def filled(net, x):
    """The parameters of the formula, by name."""
    return {name: value(name, spec.shape) for name, spec in net.specs(x).items()}


def output(net, x):
    """Of the network with the parameters of the formula."""
    return jax.jit(net.apply)(nest(filled(net, x)), x)


def check(actual, field):
    """Networks of 100 layers and more enlarge what is rounded."""
    expected = golden()[field]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize('model', MODELS)
def test_parameters_are_those_of_mxnet(model):
    size = 299 if model == 'inceptionv3' else 224
    specs = function_of(model)().specs(jax.ShapeDtypeStruct((1, 3, size, size), 'float32'))
    lines = [
        f'{name} {"x".join(map(str, spec.shape))} {"write" if spec.trainable else "null"}'
        for name, spec in specs.items()
    ]
    assert lines == golden()[f'parameters/{model}'].tobytes().decode().splitlines()


@pytest.mark.parametrize('model', SCORED)
def test_scores_are_those_of_mxnet(model):
    check(output(vision.get_model(model, classes=CLASSES), image(MODELS[model])), f'scores/{model}')


@pytest.mark.parametrize('small', SMALL, ids=lambda small: small.name)
def test_scores_of_small_networks_are_those_of_mxnet(small):
    check(output(made(small), image(small.size)), f'scores/{small.name}')


def test_features_of_inception_are_those_of_mxnet():
    layers = vision.inception_v3().features[:INCEPTION_LAYERS]
    check(output(layers, image(INCEPTION_SIZE)), 'features/inception')


def test_every_model_has_published_parameters():
    assert sorted(MODELS) == sorted(model_store.PUBLISHED)


def test_case_does_not_matter():
    assert isinstance(model_zoo.get_model('AlexNet'), vision.AlexNet)


def test_options_reach_the_networks():
    net = vision.get_resnet(1, 18, classes=3, thumbnail=True)
    assert net.collect_params()['features.0.weight'].shape == (64, None, 3, 3)
    assert net.collect_params()['output.weight'].shape == (3, 512)
    assert repr(vision.DenseNet(8, 4, [1, 2], dropout=0.25)).count('Dropout(0.25)') == 3
    assert repr(vision.vgg11(batch_norm=True)) == repr(vision.vgg11_bn())


@pytest.mark.parametrize(('model', 'number'), [('alexnet', 2), ('vgg11', 2), ('squeezenet1.1', 1), ('inceptionv3', 1)])
def test_dropout_is_where_mxnet_has_it(model, number):
    assert repr(vision.get_model(model)).count('Dropout(0.5)') == number


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: vision.get_model('resnet19_v1'), "no model is named 'resnet19_v1'.*try: 'resnet1"),
        (lambda: vision.get_model(None), 'no model is named None.*expected: one of alexnet, .*vgg19_bn'),
        (lambda: vision.get_resnet(3, 18), 'version must be one of 1, 2; got 3'),
        (lambda: vision.get_resnet(1, 20), 'num_layers must be one of 18, 34, 50, 101, 152; got 20'),
        (lambda: vision.get_vgg(12), 'num_layers must be one of 11, 13, 16, 19; got 12'),
        (lambda: vision.get_densenet(100), 'num_layers must be one of 121, 161, 169, 201; got 100'),
        (lambda: vision.get_squeezenet('2.0'), "version must be one of '1.0', '1.1'; got '2.0'"),
        (lambda: vision.get_mobilenet(0), 'multiplier must be a number > 0, got 0'),
        (lambda: vision.get_mobilenet_v2(0.01), 'channels must be an int >= 1, got 0'),
        (lambda: vision.alexnet(classes=0), 'classes must be an int >= 1, got 0'),
        (lambda: vision.VGG([1, 1], [8]), r'layers and filters differ in length.*expected: 2 filters.*got: \[8\]'),
        (
            lambda: vision.ResNetV1(vision.BasicBlockV1, [1, 1], [8, 8]),
            r'channels has the wrong length.*expected: 3: .*got: \[8, 8\]',
        ),
        (lambda: vision.alexnet(pretrained=3), 'pretrained must be a bool or the path of a file, got 3'),
    ],
)
def test_errors_say_what_there_is(make, message):
    with pytest.raises(errors.ArgumentError, match=f'(?s){message}'):
        make()


def test_an_image_that_is_too_small_is_refused_before_anything_is_drawn():
    net = vision.squeezenet1_1()
    net.initialize()
    with pytest.raises(errors.ShapeError, match=r'output\.2'):
        net(jnp.ones((1, 3, 64, 64)))
    assert net.collect_params()['features.0.weight'].shape == (64, None, 3, 3)


# Published files.


@pytest.fixture
def loaded(monkeypatch):
    """What was loaded."""
    paths = []
    monkeypatch.setattr(Block, 'load_parameters', lambda net, path, ctx: paths.append((path, ctx)), raising=False)
    return paths


def test_a_file_makes_a_network_ready(tmp_path):
    x, path = image(MODELS['mobilenet0.25']), tmp_path / 'ours.params'
    io.save(path, filled(vision.mobilenet0_25(classes=CLASSES), x))
    net = vision.get_model('mobilenet0.25', classes=CLASSES, pretrained=path)
    check(net(x), 'scores/mobilenet0.25')
    with pytest.raises(errors.ParamsError, match=r'(?s)output\.weight.*1000'):
        vision.mobilenet0_25(pretrained=path)


def test_a_path_is_loaded(loaded):
    assert isinstance(vision.vgg11(pretrained='vgg.params', ctx='device'), vision.VGG)
    vision.get_model('squeezenet1.0', pretrained=pathlib.Path('a') / 'b')
    vision.get_model('squeezenet1.0', pretrained=False)
    assert loaded == [('vgg.params', 'device'), (pathlib.Path('a') / 'b', None)]


@pytest.mark.parametrize('model', MODELS)
def test_published_parameters_are_found_under_the_name_of_each_model(model, loaded, tmp_path):
    own = tmp_path / f'{model}.params'
    own.write_bytes(b'')
    vision.get_model(model, pretrained=True, root=tmp_path)
    assert loaded == [(str(own), None)]


def test_published_parameters_are_found_where_mxnet_keeps_them(loaded, tmp_path, monkeypatch):
    monkeypatch.setenv('MXNET_HOME', str(tmp_path))
    digits = hashlib.sha1(b'numbers').hexdigest()[:8]
    monkeypatch.setitem(model_store.PUBLISHED, 'vgg11', digits)
    published = tmp_path / 'models' / f'vgg11-{digits}.params'
    published.parent.mkdir()
    published.with_name('vgg11.params').write_bytes(b'others')
    published.write_bytes(b'numbers')
    vision.vgg11(pretrained=True)
    assert loaded == [(str(published), None)]
    published.write_bytes(b'damaged')
    with pytest.raises(errors.FileError, match=f'(?s)is damaged.*begins with {digits}.*pretrained=path'):
        vision.vgg11(pretrained=True)


def test_parameters_that_are_not_there_say_where_they_belong(tmp_path, monkeypatch):
    with pytest.raises(errors.FileError) as caught:
        vision.resnet50_v1(pretrained=True, root=tmp_path)
    assert str(tmp_path / 'resnet50_v1-0aee57f9.params') in str(caught.value)
    assert str(tmp_path / 'resnet50_v1.params') in str(caught.value)
    assert 'pretrained=path' in str(caught.value)
    monkeypatch.delenv('MXNET_HOME', raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(errors.FileError, match=str(tmp_path / '.mxnet' / 'models' / 'mobilenet0.35.params')):
        vision.get_mobilenet(0.35, pretrained=True)


# Networks within networks.


def test_a_network_is_a_part_of_another_one():
    zoo, x = made(SMALL[2]), image(8)
    zoo.params = nest(filled(zoo, x))
    net = nn.Sequential(zoo.features, nn.Dense(3))
    assert net[0] is zoo.features
    net.initialize()
    assert net(x).shape == (2, 3)
    assert net.collect_params()['0.0.weight'] is zoo.collect_params()['features.0.weight']
    zoo.output = nn.Dense(5)
    assert zoo.specs(x)['output.weight'].shape == (5, 32)


def test_the_definition_is_pure_and_trains():
    definition, x = made(SMALL[3]).definition, image(8)
    params = nest(filled(definition, x))
    y, updated = jax.jit(definition.apply_train)(params, x)
    assert y.shape == (2, CLASSES)
    before, after = (tree['features']['0']['running_mean'] for tree in (params, updated))
    np.testing.assert_allclose(after, 0.9 * before + 0.1 * x.mean((0, 2, 3)), atol=1e-6)
