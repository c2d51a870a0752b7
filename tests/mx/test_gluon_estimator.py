"""The Estimator: what it fits, when handlers are called, what they save and refuse."""

import numpy as np
import pytest

import gluonjax.mx as mx
from gluonjax.errors import ArgumentError
from gluonjax.mx import gluon, nd
from gluonjax.mx.gluon.contrib import estimator as est

X = np.arange(8, dtype='float32').reshape(4, 2) / 8
Y = np.array([[0], [1], [0], [1]], 'float32')


def loader():
    return gluon.data.DataLoader(gluon.data.ArrayDataset(nd.array(X), nd.array(Y)), batch_size=2)


def made(**kwargs):
    net = gluon.nn.Dense(1, in_units=2, use_bias=False)
    net.initialize('zeros')
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.5})
    made = est.Estimator(net, gluon.loss.L2Loss(), trainer=trainer, context=mx.cpu(), **kwargs)
    made.logger.handlers.clear()
    return made


def descended(epochs):
    w, sums = np.zeros(2), []
    for _ in range(epochs):
        losses = []
        for x, y in ((X[:2], Y[:2, 0]), (X[2:], Y[2:, 0])):
            losses += list((x @ w - y) ** 2 / 2)
            w = w - 0.5 * (x * (x @ w - y)[:, None]).mean(0)
        sums.append(np.mean(losses))
    return w, sums


class Recorded(est.TrainBegin, est.TrainEnd, est.EpochBegin, est.EpochEnd, est.BatchBegin, est.BatchEnd):
    def __init__(self):
        self.events = []

    def train_begin(self, estimator, *args, **kwargs):
        self.events.append('train')

    def train_end(self, estimator, *args, **kwargs):
        self.events.append('end')

    def epoch_begin(self, estimator, *args, **kwargs):
        self.events.append('epoch')

    def batch_begin(self, estimator, *args, **kwargs):
        self.events.append('batch')

    def epoch_end(self, estimator, *args, **kwargs):
        self.events.append(estimator.train_metrics[0].get())


def test_it_descends_and_calls_handlers():
    fitted, recorded = made(), Recorded()
    fitted.fit(loader(), loader(), epochs=2, event_handlers=[recorded])
    w, losses = descended(2)
    np.testing.assert_allclose(fitted.net.weight.data().asnumpy()[0], w, rtol=1e-5)
    events = [event for event in recorded.events if isinstance(event, str)]
    assert events == ['train', 'epoch', 'batch', 'batch', 'epoch', 'batch', 'batch', 'end']
    seen = [event for event in recorded.events if not isinstance(event, str)]
    assert seen[0][0] == 'training l2loss'
    np.testing.assert_allclose([value for _, value in seen], losses, rtol=1e-5)
    (validation,) = fitted.val_metrics
    assert validation.name == 'validation l2loss'
    np.testing.assert_allclose(validation.get()[1], np.mean((X @ w - Y[:, 0]) ** 2 / 2), rtol=1e-5)
    fitted.fit(loader(), batches=3, event_handlers=recorded)
    assert recorded.events.count('batch') == 4 + 3


def test_checkpoints_are_kept_and_resumed(tmp_path):
    first = made()
    saving = est.CheckpointHandler(str(tmp_path), 'net', epoch_period=1, max_checkpoints=1)
    first.fit(loader(), epochs=2, event_handlers=[saving])
    assert sorted(path.name for path in tmp_path.glob('*epoch*')) == [
        'net-epoch1batch4.params',
        'net-epoch1batch4.states',
    ]
    other = made()
    resuming = est.CheckpointHandler(str(tmp_path), 'net', resume_from_checkpoint=True)
    other.fit(loader(), epochs=3, event_handlers=[resuming])
    np.testing.assert_allclose(other.net.weight.data().asnumpy()[0], descended(3)[0], rtol=1e-5)
    with pytest.raises(ArgumentError, match='resume_from_checkpoint=False'):
        made().fit(loader(), epochs=1, event_handlers=[resuming])


def test_it_stops_early():
    fitted = made()
    stopping = est.EarlyStoppingHandler(fitted.train_metrics[0], mode='min', min_delta=10, patience=2)
    fitted.fit(loader(), epochs=9, event_handlers=[stopping])
    assert stopping.current_epoch == 3
    with pytest.warns(UserWarning, match='the greater'):
        est.EarlyStoppingHandler(fitted.train_metrics[0])


def test_what_it_refuses():
    fitted = made()
    with pytest.raises(ArgumentError, match='one of epochs and batches'):
        fitted.fit(loader(), epochs=1, batches=1)
    with pytest.raises(ArgumentError, match='DataLoader'):
        fitted.fit([1], epochs=1)
    with pytest.raises(ArgumentError, match='EventHandler'):
        fitted.fit(loader(), epochs=1, event_handlers=[1])
    with pytest.raises(ArgumentError, match='loss must be'):
        est.Estimator(fitted.net, 1)
    with pytest.raises(ArgumentError, match='has fit_batch'):
        made(batch_processor=1)
    with pytest.raises(ArgumentError, match='watches a metric'):
        est.CheckpointHandler('.', save_best=True)
    with pytest.warns(UserWarning, match='No trainer specified'):
        est.Estimator(fitted.net, gluon.loss.L2Loss())


def test_what_programs_read_of_its_handlers():
    fitted = made()
    groups = fitted._categorize_handlers([Recorded(), est.StoppingHandler(1)])
    assert [len(group) for group in groups] == [2, 1, 1, 2, 2, 1]
    assert est.event_handler.CheckpointHandler is est.CheckpointHandler
    handlers = fitted._prepare_default_handlers(None, [est.LoggingHandler(metrics=fitted.train_metrics)])
    assert isinstance(handlers[0], est.GradientUpdateHandler)
    with pytest.raises(ValueError, match="not the estimator's"):
        fitted.fit(loader(), epochs=1, event_handlers=[est.LoggingHandler(metrics=[mx.metric.RMSE('other')])])
    with pytest.raises(AssertionError, match='no device'):
        est.Estimator(fitted.net, fitted.loss, context=[mx.gpu(100)])
    with pytest.warns(UserWarning, match='already fully initialized'):
        made(initializer=mx.init.Zero())
