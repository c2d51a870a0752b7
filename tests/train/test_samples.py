"""Whole arrays in fit, evaluate and predict: how they are cut, shuffled and split, and which mistakes are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gluonjax import Trainer, data, errors, loss, nn
from gluonjax.train.samples import Taken, evaluation_data, inputs_of, training_and_validation

X = np.random.RandomState(0).standard_normal((22, 4)).astype('float32')
Y = np.random.RandomState(1).randint(0, 3, 22)
SEED = [0, 7]  # the numbers of jax.random.key(7)
DENSE = nn.Dense(3)


class Two(nn.Block):
    def __init__(self):
        self.dense = nn.Dense(3)

    def forward(self, x, z, scale=None):
        return self.dense(x + z)


class Frame:
    """As much of a data frame as is needed."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def to_numpy(self):
        return self.values


def trainer_of(net=None, key=7):
    net = net or nn.Sequential(nn.Dense(3))
    net.initialize('xavier', key=0)
    return Trainer(net, loss.SoftmaxCELoss(), 'sgd', {'learning_rate': 0.3}, key=key)


def cut(x, y=None, validation=None, batch_size=None, shuffle=None, definition=DENSE):
    return training_and_validation(Taken(definition), x, y, validation, batch_size, shuffle, SEED)


def rows(batches, epoch=0):
    """The rows of X that are in the batches of an epoch, in their order; each label must be that of its row."""
    found = [int(np.flatnonzero((x == X).all(1))[0]) for xs, ys in batches(epoch) for x in xs]
    assert np.concatenate([ys for _, ys in batches(epoch)]).tolist() == Y[found].tolist()
    return found


def test_arrays_are_trained_on_in_the_order_of_the_key_and_the_epoch():
    trainer, twin = trainer_of(), trainer_of()
    history = trainer.fit(X, Y, batch_size=8, epochs=2, progress=False)

    def batches(epoch):
        order = np.random.default_rng([*SEED, epoch]).permutation(22)
        return [(X[part], Y[part]) for part in np.split(order, [8, 16])]

    assert twin.fit(batches, epochs=2, progress=False)['loss'] == history['loss']
    np.testing.assert_array_equal(trainer.net[0].weight.data(), twin.net[0].weight.data())
    assert history['steps'] == [3, 3]
    expected = twin.evaluate([(X, Y)])
    got = trainer.evaluate(X, Y, batch_size=22)
    assert got == expected == trainer.evaluate((X, Y)) == trainer.evaluate({'x': X, 'label': Y})
    np.testing.assert_array_equal(trainer.predict({'x': X, 'label': Y}), trainer.predict((X, Y)))


def test_the_order_goes_on_after_a_restore(tmp_path):
    whole, broken, other = trainer_of(), trainer_of(), trainer_of(key=99)
    expected = whole.fit(X, Y, batch_size=8, epochs=3, validation=0.2, progress=False)
    broken.fit(X, Y, batch_size=8, validation=0.2, progress=False)
    broken.save(tmp_path)
    other.restore(tmp_path)
    history = other.fit(X, Y, batch_size=8, epochs=2, validation=0.2, progress=False)
    assert history['loss'] == expected['loss']
    assert history['val_loss'] == expected['val_loss']
    np.testing.assert_array_equal(other.net[0].weight.data(), whole.net[0].weight.data())


def test_by_default_32_rows_are_a_batch():
    x, y = np.tile(X, (3, 1)), np.tile(Y, 3)
    assert [len(ys) for _, ys in cut(x, y)[0](0)] == [32, 32, 2]
    assert [len(ys) for _, ys in cut(x, y, batch_size=50)[0](0)] == [50, 16]
    assert len(evaluation_data(Taken(DENSE), np.tile(x, (4, 1)), np.tile(y, 4), None)) == 2


def test_shuffling_may_be_left_out():
    for no in (False, 0):
        train, _ = cut(X, Y, batch_size=8, shuffle=no)
    assert rows(train) == rows(train, 1) == list(range(22))
    train, _ = cut(X, Y, batch_size=8)
    assert sorted(rows(train)) == list(range(22))
    assert rows(train) != rows(train, 1)


def test_a_fraction_is_validated_with_and_not_trained_on():
    train, validation = cut(X, Y, 0.2)
    assert len(rows(validation)) == 4
    assert sorted(rows(train) + rows(validation)) == list(range(22))
    assert sorted(rows(train, 5)) == sorted(rows(train))
    assert rows(validation) == rows(cut(X, Y, np.float32(0.2))[1], 3)
    assert rows(validation) != list(range(18, 22))
    train, validation = cut(X, Y, 0.2, shuffle=False)
    assert rows(train) == list(range(18))
    assert rows(validation) == list(range(18, 22))


@pytest.mark.parametrize('fraction', [1.0, 0.0, -0.1, 2, True, float('nan')])
def test_what_is_no_fraction(fraction):
    with pytest.raises(errors.ArgumentError, match=r'fraction of samples .* must be a number > 0 and < 1'):
        cut(X, Y, fraction)


def test_a_fraction_has_samples():
    with pytest.raises(errors.DataError, match=r'of 22 samples, a fraction of 0\.01 is 0'):
        cut(X, Y, 0.01)


@pytest.mark.parametrize(
    'validation', [(X, Y), {'x': X, 'label': Y}, data.batches(X, Y, batch_size=5), (X.tolist(), Y.tolist())]
)
def test_validation_beside_arrays(validation):
    _, got = cut(X, Y, validation, batch_size=8)
    parts = list(got(0))
    if isinstance(validation, dict):
        parts = [(part['x'], part['label']) for (part,) in parts]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in parts]), X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), Y)


def test_several_inputs_and_labels():
    two = Two().definition
    for inputs in ((X, 2 * X), [X, 2 * X]):
        x, z, y = next(cut(inputs, Y, shuffle=False, definition=two)[0](0))
        np.testing.assert_array_equal((x, z), (X, 2 * X))
        np.testing.assert_array_equal(y, Y)
    (batch,) = next(cut({'x': X, 'z': 2 * X}, {'a': Y, 'b': -Y}, shuffle=False, definition=two)[0](0))
    np.testing.assert_array_equal(batch['z'], 2 * X)
    np.testing.assert_array_equal(batch['label']['b'], -Y)
    _, validation = cut((X, 2 * X), (Y, -Y), ((X, 3 * X), (Y, Y)), definition=two)
    x, z, y = next(validation(0))
    np.testing.assert_array_equal(z, 3 * X)
    np.testing.assert_array_equal(y[1], Y)
    assert inputs_of(DENSE, {'a': 1, 'b': 2}) == (({'a': 1, 'b': 2},), {})  # one input that is a dict
    assert inputs_of(DENSE, (1, 2)) == (((1, 2),), {})
    assert inputs_of(nn.Sequential(DENSE).definition, {'a': 1}) == ((), {'a': 1})


def test_several_inputs_from_end_to_end():
    net = Two()
    trainer, outputs = trainer_of(net), []
    history = trainer.fit({'x': X, 'z': X}, Y, batch_size=11, epochs=2, validation=((X, X), Y), progress=False)
    for inputs in ((X, X), {'z': X, 'x': X}, {'x': X, 'z': X, 'label': Y}, [(X[:11], X[:11]), (X[11:], X[11:])]):
        outputs.append(trainer.predict(inputs, batch_size=11))
        np.testing.assert_allclose(outputs[-1], net(X, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trainer.evaluate((X, X), Y)['loss'], history['val_loss'][-1], rtol=1e-6)


@pytest.mark.parametrize(
    'convert', [jnp.asarray, Frame, np.ndarray.tolist, lambda array: array.astype(array.dtype.newbyteorder('>'))]
)
def test_arrays_of_every_kind(convert):
    x, y = next(cut(convert(X), convert(Y), shuffle=False)[0](0))
    assert type(x) is type(y) is np.ndarray
    assert x.dtype.isnative
    np.testing.assert_allclose(x, X)
    np.testing.assert_array_equal(y, Y)
    trainer = trainer_of()
    np.testing.assert_allclose(trainer.predict(convert(X)), trainer.net(X), rtol=1e-5, atol=1e-6)


BATCHES = [(X, Y)]
MISTAKES = {
    'no labels': ((X,), {}, errors.ArgumentError, r'(?s)arrays without labels.*\(22, 4\).*trainer\.fit\(x, y\)'),
    'lengths': ((X, Y[:-1]), {}, errors.DataError, r'(?s)as many rows each.*axis 0 of x.*\(22, 4\).*\(21,\)'),
    'no rows': ((X[:0], Y[:0]), {}, errors.DataError, r'(?s)at least one.*\(0, 4\)'),
    'lengths of the validation': ((X, Y, (X, Y[:3])), {}, errors.DataError, r'validation: x and y must have as many'),
    'labels beside batches': ((BATCHES, Y), {}, errors.ArgumentError, r'(?s)y= is the labels of arrays.*\(22,\)'),
    'two validations': ((BATCHES, BATCHES, BATCHES), {}, errors.ArgumentError, 'which have theirs'),
    'a fraction of batches': ((BATCHES, None, 0.1), {}, errors.ArgumentError, r'(?s)only arrays can be split.*0\.1'),
    'a size beside batches': ((BATCHES,), {'batch_size': 8}, errors.ArgumentError, 'these are batches'),
    'an order beside batches': ((BATCHES,), {'shuffle': True}, errors.ArgumentError, 'these are batches'),
    'no size': ((X, Y), {'batch_size': 0}, errors.ArgumentError, 'batch_size must be an int >= 1, got 0'),
    'strings': ((X.astype(str), Y), {}, errors.DTypeError, 'x is no array of numbers'),
    'objects': ((X, np.array([None] * 22)), {}, errors.DTypeError, 'y is no array of numbers'),
    'unequal lists': (([[1.0], [2.0, 3.0]], [0, 1]), {}, errors.DataError, 'x is lists of unequal lengths'),
    'no flag': ((X, Y), {'shuffle': 'x'}, errors.ArgumentError, "shuffle must be a bool, got 'x'"),
    'a scalar': ((X, np.float32(1)), {}, errors.DataError, 'as many rows each'),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes(case):
    arguments, options, kind, message = MISTAKES[case]
    with pytest.raises(kind, match=message):
        cut(*arguments, **options)


def test_mistakes_in_evaluate_and_predict():
    trainer = trainer_of()
    for wrong in (dict(y=Y), dict(batch_size=8)):
        with pytest.raises(errors.ArgumentError, match=r'(?s)go with arrays, and these are batches.*metrics='):
            trainer.evaluate(BATCHES, **wrong)
    with pytest.raises(errors.ArgumentError, match='arrays without labels'):
        trainer.evaluate(X)
    with pytest.raises(errors.DataError, match='as many rows each'):
        trainer_of(Two()).predict((X, X[:3]))
    assert trainer.steps == 0


class Sequence:
    """Batches by number, as Keras has them."""

    def __init__(self):
        self.ends = 0

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[i::2] * (self.ends + 1), Y[i::2]

    def on_epoch_end(self):
        self.ends += 1


def test_sequences_of_batches():
    trainer, twin, sequence = trainer_of(), trainer_of(), Sequence()
    history = trainer.fit(sequence, epochs=2, progress=False)
    expected = twin.fit(lambda epoch: [(X[i::2] * (epoch + 1), Y[i::2]) for i in (0, 1)], epochs=2, progress=False)
    assert history['loss'] == expected['loss']
    assert history['steps'] == [2, 2]
    assert sequence.ends == 2


class Samples:
    def __len__(self):
        return 22

    def __getitem__(self, i):
        return X[i], int(Y[i])


def test_single_samples_are_no_batches():
    with pytest.raises(errors.DataError, match=r'(?s)train\[0\] is a single sample.*DataLoader'):
        trainer_of().fit(Samples(), progress=False)


def test_some_batches_of_the_validation():
    trainer, batches = trainer_of(), [(X[i::4], Y[i::4]) for i in range(4)]
    history = trainer.fit([(X, Y)], iter(batches), epochs=2, validation_steps=2, progress=False)
    twin, expected = trainer_of(), []
    for part in (batches[:2], batches[2:]):
        twin.step(X, Y)
        expected.append(twin.evaluate(part)['loss'])
    np.testing.assert_allclose(history['val_loss'], expected, rtol=1e-6)
    with pytest.raises(errors.ArgumentError, match='validation_steps must be an int >= 1'):
        trainer.fit([(X, Y)], batches, validation_steps=0, progress=False)


def test_batches_are_gone_through_again_and_again():
    batches = data.batches(X, Y, batch_size=8, shuffle=jax.random.key(7))
    for epoch in range(2):
        for got, expected in zip(batches, batches(epoch), strict=True):
            jax.tree.map(np.testing.assert_array_equal, got, expected)
    assert len(batches) == 3
    ordered = data.batches(X, batch_size=8, shuffle=False)
    np.testing.assert_array_equal(np.concatenate([x for (x,) in ordered]), X)
    np.testing.assert_array_equal(np.concatenate([x for (x,) in ordered]), X)
    orders = [np.concatenate([x for (x,) in data.batches(np.arange(50), batch_size=8, shuffle=True)]) for _ in range(2)]
    assert orders[0].tolist() != orders[1].tolist()
    with pytest.raises(errors.ArgumentError, match='no random key'):
        data.batches(X, batch_size=8, shuffle='yes')


def test_batches_along_another_axis():
    x, y = np.arange(30).reshape(3, 5, 2), np.arange(5)
    got = list(data.batches(x, y, batch_size=2, axis=(1, 0)))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in got], 1), x)
    assert [y.tolist() for _, y in got] == [[0, 1], [2, 3], [4]]
    assert len(data.batches({'x': x}, x, batch_size=2, axis=1)) == 3
    with pytest.raises(errors.DataError, match='no rows to cut'):
        data.batches(x, y, batch_size=2, axis=1)
    with pytest.raises(errors.ArgumentError, match='axis must be one axis, or one for each of 2'):
        data.batches(x, y, batch_size=2, axis=(1, 0, 0))
