"""Measured convolutions: the fastest algorithm is chosen, used, and kept in a file for this machine alone."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gluonjax
from gluonjax import nn
from gluonjax.errors import ArgumentError, FileError
from gluonjax.nn import kernels, measured
from gluonjax.nn.convolutions import by_im2col, by_image_products, by_row_im2col, by_shift_and_add, by_xla

X = jax.ShapeDtypeStruct((2, 3, 5, 5), 'float32')
# Seconds by a stopwatch that the tests set, the output's first: only what takes less than 0.95 of XLA's time is chosen.
# The output and the gradient of the weight, together by the algorithm that is the fastest for the output, take BOTH.
BOTH = 1.5
FASTER = [{'im2col': 0.5}, {'image_products': 0.9, 'im2col': 0.96}, {'row_im2col': 0.96}]
CHOSEN = kernels.Algorithms(by_im2col, by_image_products, by_xla)


@pytest.fixture
def stopwatch(monkeypatch):
    """Makes measurements give what is in a list, once for each part; XLA and what is not named take 1 second."""
    parts = []

    def time_calls(calls, rounds, clock):
        if len(calls) == 1 and 'xla' not in calls:
            return dict.fromkeys(calls, BOTH)
        seconds = FASTER[len(parts) % 3]
        parts.append(tuple(calls))
        return {name: seconds.get(name, 1.0) for name in calls}

    monkeypatch.setattr(measured, 'time_calls', time_calls)
    monkeypatch.setattr(measured, '_part', lambda part, algorithm, shapes: lambda left, right: left)
    return parts


def network():
    net = nn.Sequential(nn.Conv2D(4, 3, padding=1), nn.Dense(2))
    net.initialize('xavier', key=0)
    return net


def algorithms_in(function, *arguments):
    """The algorithms of the equations of convolutions, None for XLA's own convolution."""
    found = []

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive is kernels.convolution_p:
                found.append(equation.params['options'].algorithms)
            elif equation.primitive is jax.lax.conv_general_dilated_p:
                found.append(None)
            inner = [getattr(value, 'jaxpr', None) for value in equation.params.values()]
            for jaxpr in filter(None, inner):
                walk(jaxpr)

    walk(jax.make_jaxpr(function)(*arguments).jaxpr)
    return found


def test_the_fastest_is_chosen_and_used(stopwatch):
    net, x = network(), jax.random.normal(jax.random.key(1), X.shape)
    before, slopes = net(x), jax.grad(lambda params: jnp.sin(net.apply(params, x)).sum())(net.params)
    assert algorithms_in(net.apply, net.params, x) == [None]
    table = gluonjax.measure_convolutions(net, X)
    assert algorithms_in(net.apply, net.params, x) == [None]
    table.set_on(net)
    assert stopwatch == [('xla', 'im2col', 'transposed_im2col', 'image_products', 'row_im2col')] * 3
    assert algorithms_in(net.apply, net.params, x) == [CHOSEN]
    assert algorithms_in(net.apply, net.params, x[:1]) == [None]  # was not measured
    np.testing.assert_allclose(net(x), before, rtol=1e-5, atol=1e-6)
    after = jax.grad(lambda params: jnp.sin(net.apply(params, x)).sum())(net.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), after, slopes)


def test_the_gradient_of_the_weight_shares_the_work_of_the_output(stopwatch, monkeypatch):
    monkeypatch.setattr(f'{__name__}.BOTH', 1.3)  # less the 0.5 of the output alone
    table = gluonjax.measure_convolutions(network(), X)
    (shapes,) = table.seconds
    assert table.choose(*shapes) == CHOSEN._replace(weight_gradient=by_im2col)
    assert table.seconds[shapes]['weight_gradient']['im2col'] == pytest.approx(0.8)


def test_a_layer_is_copied(stopwatch):
    layer = nn.Sequential(nn.Conv2D(4, 3, padding=1)).definition
    params = layer.init(0, X)
    fast = gluonjax.measure_convolutions(layer, X).of(layer)
    x = jnp.ones(X.shape)
    assert (algorithms_in(layer.apply, params, x), algorithms_in(fast.apply, params, x)) == ([None], [CHOSEN])
    jax.tree.map(np.testing.assert_array_equal, fast.init(0, X), params)
    assert repr(fast) == repr(layer)


def test_a_trainer_goes_on_with_what_was_measured(stopwatch):
    net = nn.Sequential(nn.Conv2D(1, 5, in_channels=3))
    net.initialize(key=0)
    trainer = gluonjax.Trainer(net, gluonjax.loss.L2Loss(), 'sgd', {'learning_rate': 0.1})
    x, y = jnp.ones(X.shape), jnp.zeros((2, 1, 1, 1))
    trainer.step(x, y)
    seen, original = [], kernels.convolve_by
    table = gluonjax.measure_convolutions(net, X)
    table.set_on(net)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, 'convolve_by', lambda *given: (seen.append(given[0]), original(*given))[1])
        trainer.step(x, y)
    assert set(seen) == {CHOSEN}


def test_each_kind_has_its_candidates(stopwatch):
    inputs = jax.ShapeDtypeStruct((2, 4, 6, 6), 'float32')
    last = nn.Lambda(lambda x: x.swapaxes(1, 3)), nn.Conv2D(1, (1, 17), padding=(0, 8), layout='NHWC')
    grouped = nn.Conv2D(4, 3, groups=4), nn.Conv2D(4, 1, groups=2)
    equal = nn.Conv2D(3, 3, padding=1), nn.Conv2D(3, 3, padding=1)
    net = nn.Sequential(*grouped, nn.Conv2DTranspose(3, 2), *equal, *last)
    table = gluonjax.measure_convolutions(net, inputs, precision='bfloat16')
    channels_first = ('xla', 'im2col', 'transposed_im2col', 'image_products', 'row_im2col')
    assert stopwatch[::3] == [
        ('xla', 'shift_and_add'),
        ('xla',),
        channels_first,
        channels_first,
        ('xla', 'im2col'),
    ]
    assert {shapes.dtype for shapes in table.seconds} == {'bfloat16'}
    assert [shapes.x for shapes in table.seconds][2] == (2, 3, 5, 5)  # a transposed convolution is of its output


def test_without_a_stopwatch():
    net = nn.Conv2D(4, 3, groups=4)
    table = gluonjax.measure_convolutions(net, jax.ShapeDtypeStruct((1, 4, 3, 3), 'float32'), rounds=1)
    ((shapes, seconds),) = table.seconds.items()
    assert [list(by_name) for by_name in seconds.values()] == [['xla', 'shift_and_add']] * 3
    assert all(0 < value < 1 for by_name in seconds.values() for value in by_name.values())
    assert set(table.choose(shapes.x, shapes.weight, 'float32', shapes.geometry)) <= {by_xla, by_shift_and_add}


def test_the_least_time_counts():
    now, costs = [0.0], {'a': iter([9, 1, 4, 2, 3]), 'b': iter([9, 1, 1, 6, 7])}

    def call(name):
        return lambda: now.__setitem__(0, now[0] + next(costs[name]))

    calls = {name: call(name) for name in costs}
    assert measured.time_calls(calls, 3, lambda: now[0]) == {'a': 2, 'b': 1}


def test_a_file_of_this_machine(stopwatch, tmp_path, monkeypatch):
    path = tmp_path / 'convolutions.json'
    table = gluonjax.measure_convolutions(network(), X)
    table.save(path)
    again = gluonjax.load_convolutions(path)
    assert (again.seconds, again.machine) == (table.seconds, measured.this_machine())
    (shapes,) = again.seconds
    assert again.choose(*shapes) == CHOSEN
    row = [word for word in repr(again).splitlines()[2].split('  ') if word]
    assert [word.strip() for word in row[-3:]] == ['im2col 0.50', 'image_products 0.90', 'xla']
    other = again.machine._replace(cores=again.machine.cores + 1, features=(*again.machine.features, 'avx9'))
    monkeypatch.setattr(measured, 'this_machine', lambda: other)
    with pytest.raises(FileError, match='measured on another machine') as caught:
        gluonjax.load_convolutions(path)
    assert f'\n  expected: cores={other.cores}, avx9\n  got: cores={other.cores - 1}, no avx9\n' in str(caught.value)
    assert 'measure_convolutions' in str(caught.value)


def test_what_is_no_such_file(stopwatch, tmp_path):
    path = tmp_path / 'convolutions.json'
    with pytest.raises(FileError, match='there is no file'):
        gluonjax.load_convolutions(path)
    gluonjax.measure_convolutions(network(), X).save(path)
    content = json.loads(path.read_text())
    content['convolutions'][0]['seconds']['output']['fft'] = 0.1
    for text in ('{', '[]', json.dumps(content)):
        path.write_text(text)
        with pytest.raises(FileError, match='holds no measured convolutions'):
            gluonjax.load_convolutions(path)


def test_what_cannot_be_measured(stopwatch):
    with pytest.raises(ArgumentError, match='there is no convolution to measure'):
        gluonjax.measure_convolutions(nn.Dense(2), jnp.ones((1, 2)))
    with pytest.raises(ArgumentError, match='measure_convolutions takes a Block or a Layer'):
        gluonjax.measure_convolutions(lambda x: x, X)
    table = gluonjax.measure_convolutions(network(), X)
    with pytest.raises(ArgumentError, match=r'of\(layer\) gives a layer'):
        table.set_on(nn.Conv2D(4, 3))
    with pytest.raises(ArgumentError, match=r'set_on\(net\) changes a network'):
        table.of(network())
    assert by_row_im2col not in table.choose(*next(iter(table.seconds)))


def test_the_parts_are_the_output_and_its_gradients():
    x, weight = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate(((2, 3, 5, 5), (4, 3, 3, 3))))
    shapes = measured.Shapes(x.shape, weight.shape, 'float32', kernels.Geometry((2, 1), (1, 0), (1, 1), 1, 'NCHW'))

    @jax.jit
    def ours_and_theirs(x, weight):
        y, transposed = jax.vjp(lambda x, weight: by_xla(x, weight, shapes.geometry), x, weight)
        arrays = zip(measured.PARTS, ((x, weight), (weight, y), (x, y)), strict=True)
        return [measured._part(part, by_im2col, shapes)(*pair) for part, pair in arrays], [y, *transposed(y)]

    for ours, theirs in zip(*ours_and_theirs(x, weight), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
