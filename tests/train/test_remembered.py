"""What a Trainer, its callbacks and its metrics remember, and what they refuse to pretend."""

import jax
import numpy as np
import pytest

from gluonjax import Block, Trainer, callback, errors, loss, metric, nn

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.standard_normal((12, 4)).astype('float32'), RANDOM.randint(0, 3, 12)
BATCHES = [(X[:6], Y[:6]), (X[6:], Y[6:])]


def trainer_of(*layers, **options):
    net = nn.Sequential(*layers or [nn.Dense(3)])
    net.initialize(key=0)
    return Trainer(net, loss.SoftmaxCELoss(), 'adam', key=0, **options)


@pytest.mark.parametrize('name', ['net', 'loss', 'optimizer', 'last_batch'])
def test_what_cannot_be_changed_says_so(name):
    trainer = trainer_of()
    with pytest.raises(errors.FrozenError, match=rf'(?s)keeps the {name} that it was made with.*other = Trainer'):
        setattr(trainer, name, getattr(trainer, name))
    other = trainer_of()
    trainer.step(X, Y)
    other.state = trainer.state
    assert float(other.step(X, Y)) == float(trainer.step(X, Y))


def test_a_trainer_of_ones_own_has_attributes_of_its_own():
    class Logged(Trainer):
        def __init__(self, net):
            super().__init__(net, loss.SoftmaxCELoss())
            self.scheduler = 'mine'

    net = nn.Sequential(nn.Dense(3))
    assert Logged(net).scheduler == 'mine'
    trainer = trainer_of()
    trainer.best = 3
    assert trainer.best == 3


def test_the_metric_objects_that_evaluate_was_handed_have_the_values():
    trainer, accuracy, ce = trainer_of(), metric.Accuracy(), metric.CrossEntropy(from_logits=True)
    found = trainer.evaluate(X, Y, metrics=[accuracy, metric.CompositeEvalMetric([ce])])
    assert accuracy.get() == ('accuracy', found['accuracy'])
    assert ce.get() == ('cross-entropy', found['cross-entropy'])
    given = metric.Accuracy()  # to the Trainer: it tells of training
    trainer = trainer_of(metrics=[given])
    trainer.evaluate(X, Y)
    assert np.isnan(given.get()[1])


def test_gradients_that_are_added_up_are_refused():
    trainer = trainer_of()
    trainer.net[0].weight.grad_req = 'add'
    with pytest.raises(errors.ArgumentError, match=r"(?s)grad_req='add' of \['0.weight'\].*accumulate="):
        trainer.step(X, Y)
    trainer.net[0].weight.grad_req = 'write'
    trainer.step(X, Y)
    trainer.net[0].weight.grad_req = 'add'
    with pytest.raises(errors.ArgumentError, match="grad_req='add'"):
        trainer.step(X, Y)


def test_the_metric_objects_that_fit_was_handed_have_the_values():
    accuracy, top = metric.Accuracy(), metric.TopKAccuracy(2)
    trainer = trainer_of()
    history = trainer.fit(BATCHES, epochs=2, metrics=[accuracy, top], progress=False)
    assert accuracy.get() == ('accuracy', history['accuracy'][-1])
    assert top.get()[1] == history[top.name][-1]
    both = metric.CompositeEvalMetric([metric.Accuracy(), metric.TopKAccuracy(2)])
    history = trainer.fit(BATCHES, epochs=1, metrics=[both], progress=False)
    assert both.get() == (['accuracy', top.name], [history['accuracy'][-1], history[top.name][-1]])


class Scaled(Block):
    def __init__(self):
        self.dense = nn.Dense(3)

    def forward(self, x, scale=None):
        y = self.dense(x)
        return y if scale is None else y * scale[:, None]


@pytest.mark.parametrize('steps', [0, 1])
def test_predict_leaves_labels_out_where_an_input_is_optional(steps):
    net = Scaled()
    net.initialize(key=0)
    trainer = Trainer(net, loss.SoftmaxCELoss(), key=0)
    for _ in range(steps):
        trainer.step(X, Y)
    expected = np.asarray(net(X))
    np.testing.assert_allclose(trainer.predict([(X, Y)]), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trainer.predict(X), expected, rtol=1e-5, atol=1e-6)
    scale = np.arange(12, dtype='float32')
    if not steps:
        got = trainer.predict([(X, scale, Y)])
        np.testing.assert_allclose(got, expected * scale[:, None], rtol=1e-5, atol=1e-5)


def test_attention_is_predicted_from_its_query_alone():
    net = nn.Sequential(nn.MultiHeadAttention(4, num_heads=2))
    net.initialize(key=0)
    x, y = RANDOM.standard_normal((2, 3, 4)).astype('float32'), np.zeros((2, 3))
    trainer = Trainer(net, lambda output, label: (output - label[..., None]).sum((1, 2)), key=0)
    np.testing.assert_allclose(trainer.predict([(x, y)]), net(x), rtol=1e-5, atol=1e-6)


def test_a_checkpoint_knows_the_best_of_earlier_calls_of_fit(tmp_path):
    trainer = trainer_of()
    best = callback.Checkpoint(tmp_path, monitor='loss')
    trainer.fit(BATCHES, epochs=4, callbacks=[best], progress=False)
    kept = [place.name for place in tmp_path.iterdir()]
    params = jax.tree.map(np.asarray, trainer.net.params)
    trainer.net.params = jax.tree.map(lambda p: p * 100, trainer.net.params)
    trainer.fit(BATCHES, epochs=1, callbacks=[best], progress=False)
    assert [place.name for place in tmp_path.iterdir()] == kept
    trainer.restore(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, trainer.net.params), params)
