"""fit, evaluate and predict: against loops written by hand, over interruptions, and what they say of mistakes."""

import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import program_count

from gluonjax import Trainer, callback, data, errors, loss, make_step, metric, nn
from gluonjax.train.batch import Batch
from gluonjax.train.evaluate import Inference
from gluonjax.train.history import FitState, History
from gluonjax.train.samples import number_of_inputs
from gluonjax.train.state import Totals

CE = loss.SoftmaxCELoss()
X = np.random.RandomState(0).standard_normal((22, 4)).astype('float32')
Y = np.random.RandomState(1).randint(0, 3, 22)
BATCHES = data.batches(X, Y, batch_size=8, shuffle=0)  # 8, 8, 6


def network(*between, seed=0):
    net = nn.Sequential(nn.Dense(5, activation='tanh'), *between, nn.Dense(3))
    net.initialize('xavier', key=seed)
    return net


def trainer_of(*between, optimizer='sgd', rate=0.3, **options):
    return Trainer(network(*between), CE, optimizer, {'learning_rate': rate}, key=1, **options)


def flat(net):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(net.params)])


def measured(history):
    """The records without times."""
    times = {'seconds', 'samples_per_second'}
    return [{name: value for name, value in record.items() if name not in times} for record in history]


def by_hand(epochs, rate=0.3):
    net = network()
    net(X[:1])
    params, records = net.params, []

    def value(params, x, y):
        out = net.apply(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), out

    for epoch in range(epochs):
        total, right = 0.0, 0
        for x, y in BATCHES(epoch):
            (now, out), gradient = jax.value_and_grad(value, has_aux=True)(params, x, y)
            params = jax.tree.map(lambda p, g: p - rate * g, params, gradient)
            total, right = total + float(now) * len(y), right + int((out.argmax(1) == y).sum())
        val, out = value(params, X, Y)
        records.append((total / 22, right / 22, float(val), float((out.argmax(1) == Y).mean())))
    return params, records


def test_fit_is_the_loop_that_one_writes_by_hand():
    trainer, (params, records) = trainer_of(), by_hand(3)
    history = trainer.fit(BATCHES, BATCHES, epochs=3, metrics=[metric.Accuracy()], progress=False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), trainer.net.params, params)
    names = 'loss', 'accuracy', 'val_loss', 'val_accuracy'
    np.testing.assert_allclose(list(zip(*(history[name] for name in names), strict=True)), records, rtol=1e-5)
    assert history['epoch'] == [0, 1, 2]
    assert history['steps'] == [3, 3, 3]
    np.testing.assert_allclose(history['learning_rate'], 0.3)
    assert all(rate > 0 for rate in history['samples_per_second'])
    assert history is trainer.history


def test_epochs_are_numbered_on_and_metrics_may_change():
    once, twice = trainer_of(metrics=[metric.Accuracy()]), trainer_of(metrics=[metric.Accuracy()])
    expected = once.fit(BATCHES, epochs=4, progress=False)
    twice.fit(BATCHES, epochs=2, progress=False)
    history = twice.fit(
        BATCHES, epochs=2, metrics=[metric.Accuracy(), metric.TopKAccuracy(2, name='top')], progress=False
    )
    assert history['epoch'] == [0, 1, 2, 3]
    assert history['accuracy'] == expected['accuracy']
    assert history['loss'] == expected['loss']
    (top,) = [name for name in history.names if name.startswith('top')]
    assert history[top][:2] == [None, None]
    assert history[top][3] > history['accuracy'][3]


def test_metrics_read_and_begin_anew():
    trainer = trainer_of(metrics=[metric.Accuracy()])
    assert trainer.metrics == {}
    trainer.reset_metrics()
    outputs = []
    for x, y in BATCHES(0):
        outputs.append((trainer.net(x).argmax(1) == y).mean())
        trainer.step(x, y)
        assert trainer.metrics['accuracy'] == pytest.approx(float(outputs[-1]), rel=1e-6)
        trainer.reset_metrics()
    trainer.step(X, Y)
    trainer.net.params  # noqa: B018  (gives the values back)
    trainer.reset_metrics()
    assert np.isnan(trainer.metrics['accuracy'])


def test_one_program_steps_and_one_evaluates():
    trainer, validation = trainer_of(nn.BatchNorm(), last_batch='pad'), data.batches(X, Y, batch_size=9)
    trainer.fit(BATCHES, validation, epochs=2, metrics=[metric.Accuracy()], progress=False)
    program, (inference,) = trainer.compiled_step.current, trainer._inferences[1].values()
    infer: Any = inference.output
    measure: Any = inference.measure
    assert program_count(trainer) == 2  # with a mask, and without
    assert measure._cache_size() == 1
    trainer.fit(BATCHES, validation, epochs=2, metrics=[metric.Accuracy()], progress=False)
    assert trainer.compiled_step.current is program
    assert program_count(trainer) == 2
    assert measure._cache_size() == 1
    assert list(trainer._inferences[1].values()) == [inference]
    for _ in range(2):
        trainer.predict(X, batch_size=8)
    assert infer._cache_size() == 1


def test_evaluate_is_exact_over_a_partial_batch_and_changes_nothing():
    trainer = trainer_of(nn.BatchNorm(), nn.Dropout(0.5), metrics=[metric.Accuracy()])
    trainer.fit(BATCHES, progress=False)
    out = np.asarray(trainer.net(X), 'float64')
    expected = (np.log(np.exp(out).sum(1)) - out[np.arange(22), Y]).mean()
    before, state = flat(trainer.net), trainer.state
    for batches in ([(X, Y)], data.batches(X, Y, batch_size=5)):
        got = trainer.evaluate(batches)
        np.testing.assert_allclose(got['loss'], expected, rtol=1e-6)
        assert got['accuracy'] == (out.argmax(1) == Y).mean()
    assert list(trainer.evaluate([(X, Y)], metrics=[metric.TopKAccuracy(2, name='top')])) == ['loss', 'top_2']
    np.testing.assert_array_equal(flat(trainer.net), before)
    jax.tree.map(np.testing.assert_array_equal, trainer.state.metrics, state.metrics)


def test_a_network_is_evaluated_before_it_is_trained():
    trainer, twin = trainer_of(), network()
    np.testing.assert_array_equal(trainer.predict(X), twin(X))
    out = twin(X)
    expected = optax.softmax_cross_entropy_with_integer_labels(out, Y).mean()
    np.testing.assert_allclose(trainer_of().evaluate(BATCHES)['loss'], expected, rtol=1e-6)


def test_predict_takes_arrays_and_batches_of_inputs():
    class Two(nn.Block):
        def __init__(self):
            self.dense = nn.Dense(3)

        def forward(self, x, z):
            return {'sum': self.dense(x + z), 'input': x}

    trainer = trainer_of()
    expected = np.asarray(trainer.net(X))
    for inputs in (X, jnp.asarray(X), [X[:9], X[9:]], [(X[:9],), (X[9:],)], iter([X[:1], X[1:22]]), lambda epoch: [X]):
        got = trainer.predict(inputs, batch_size=5)
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    net = Two()
    net.initialize(key=0)
    outputs = Trainer(net, CE).predict([(X[:9], X[:9]), {'z': X[9:], 'x': X[9:], 'label': Y[9:]}])
    np.testing.assert_array_equal(outputs['input'], X)
    np.testing.assert_allclose(outputs['sum'], net(X, X)['sum'], rtol=1e-5, atol=1e-6)


def test_predict_leaves_labels_out():
    net = nn.Sequential(nn.Dense(3))
    net.initialize(key=0)
    trainer = Trainer(net, CE)
    batches = [(X[:9], Y[:9]), (X[9:], Y[9:])]
    expected = trainer.net(X)
    np.testing.assert_allclose(trainer.predict(batches), expected, rtol=1e-5, atol=1e-6)
    trainer.step(X, Y)
    np.testing.assert_allclose(trainer.predict(batches), trainer.net(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trainer.predict([(X,)]), trainer.net(X), rtol=1e-5, atol=1e-6)
    assert number_of_inputs(nn.BatchNorm()) == (1, 1)
    assert number_of_inputs(nn.Sequential().definition) is None


def test_what_there_is_nothing_to_evaluate_or_predict_of():
    trainer, once = trainer_of(), iter([(X, Y)])
    with pytest.raises(errors.DataError, match='no batches in data'):
        trainer.evaluate([])
    with pytest.raises(errors.DataError, match=r'(?s)no batches in validation.*used up.*function of the epoch'):
        trainer.fit(BATCHES, once, epochs=2, progress=False)
    with pytest.raises(errors.DataError, match='nothing to predict'):
        trainer.predict(X[:0])
    with pytest.raises(errors.ArgumentError, match='data is arrays, not batches'):
        trainer.evaluate([X, Y])


def test_evaluation_in_the_precision_of_the_trainer():
    half = trainer_of(precision='bfloat16')
    got, exact = half.predict(X), half.net(X)
    assert got.dtype == 'float32'
    assert 1e-4 < np.abs(got - exact).max() < 5e-2


def test_growing_batches_and_single_ones():
    trainer, twin = trainer_of(), trainer_of()
    sizes = [(X[:n], Y[:n]) for n in (1, 3, 7, 2)]
    history = trainer.fit(sizes, sizes, progress=False)
    values = [float(twin.step(*batch)) for batch in sizes]
    np.testing.assert_allclose(history['loss'], np.average(values, weights=[1, 3, 7, 2]), rtol=1e-6)
    assert history['steps'] == [4]
    np.testing.assert_array_equal(flat(trainer.net), flat(twin.net))


def test_a_smaller_batch_may_be_dropped():
    trainer, twin = trainer_of(last_batch='discard'), trainer_of()
    history = trainer.fit(data.batches(X, Y, batch_size=8), epochs=2, progress=False)
    for _ in range(2):
        for start in (0, 8):
            twin.step(X[start : start + 8], Y[start : start + 8])
    assert history['steps'] == [2, 2]
    np.testing.assert_array_equal(flat(trainer.net), flat(twin.net))


def test_the_loss_weighs_samples_not_batches_of_many_steps():
    trainer, twin = trainer_of(), trainer_of()
    data = [(X[i % 19 : i % 19 + 3], Y[i % 19 : i % 19 + 3]) for i in range(300)]
    history = trainer.fit(data, progress=False)
    np.testing.assert_allclose(history['loss'], np.mean([float(twin.step(*b)) for b in data]), rtol=1e-6)


def test_no_epochs():
    trainer = trainer_of()
    assert len(trainer.fit(BATCHES, epochs=0, progress=False)) == 0
    assert trainer.state is None


class Stop(Exception):
    pass


def failing(batches, after):
    """The batches of epoch 1, say, break off."""

    def epoch(number):
        for i, batch in enumerate(batches(number)):
            if (number, i) == after:
                raise Stop
            yield batch

    return epoch


OPTIONS = dict(epochs=3, metrics=[metric.Accuracy()], progress=False)


def dropping(seed=0, rate=0.1):
    net = nn.Sequential(nn.Dense(5), nn.Dropout(0.5), nn.BatchNorm(), nn.Dense(3))
    net.initialize('xavier', key=seed)
    return Trainer(net, CE, 'sgd', {'learning_rate': rate, 'momentum': 0.9}, key=seed)


@functools.cache
def uninterrupted(steps):
    trainer = dropping()
    history = trainer.fit(BATCHES, BATCHES, steps_per_epoch=steps, **OPTIONS)
    return flat(trainer.net), measured(history), trainer.steps


@pytest.mark.parametrize(
    ('after', 'steps'), [((0, 0), None), ((0, 1), None), ((1, 2), None), ((2, 0), None), ((1, 1), 2)]
)
def test_an_interrupted_fit_goes_on_to_the_same_numbers(tmp_path, after, steps):
    broken, options = dropping(), dict(OPTIONS, steps_per_epoch=steps)
    with pytest.raises(Stop):
        broken.fit(failing(BATCHES, after), BATCHES, **options)
    if after == (0, 0):
        resumed = broken
    else:
        broken.save(tmp_path)
        resumed = dropping(seed=9, rate=0.9)
        resumed.restore(tmp_path)
    history = resumed.fit(BATCHES, BATCHES, resume=True, **options)
    values, records, done = uninterrupted(steps)
    np.testing.assert_array_equal(flat(resumed.net), values)
    assert measured(history) == records
    resumed.fit(BATCHES, BATCHES, resume=True, **options)  # it is done
    assert resumed.steps == done


def test_one_iterator_goes_on_over_epochs_and_over_an_interruption():
    def endless():
        for epoch in range(10):
            yield from BATCHES(epoch)

    options = dict(epochs=4, steps_per_epoch=2, progress=False)
    whole, broken = trainer_of(), trainer_of()
    expected = whole.fit(endless(), **options)
    twin = trainer_of()
    for _, batch in zip(range(8), endless(), strict=False):
        twin.step(*batch)
    np.testing.assert_array_equal(flat(whole.net), flat(twin.net))

    def short():
        for _, batch in zip(range(5), endless(), strict=False):
            yield batch

    with pytest.raises(errors.DataError, match=r'(?s)ended in epoch 2, after 1 steps.*2 steps, as steps_per_epoch'):
        broken.fit(short(), **options)
    assert broken.fit_state['batch'] == 1
    history = broken.fit(endless(), resume=True, **options)
    assert measured(history) == measured(expected)
    np.testing.assert_array_equal(flat(broken.net), flat(whole.net))


def test_a_fit_that_was_interrupted_need_not_go_on():
    trainer = trainer_of()
    with pytest.raises(Stop):
        trainer.fit(failing(BATCHES, (1, 1)), epochs=3, progress=False)
    history = trainer.fit(BATCHES, epochs=1, progress=False)
    assert history['epoch'] == [0, 1]
    assert history['steps'] == [3, 3]
    assert trainer.steps == 3 + 1 + 3


def test_an_iterator_that_is_used_up():
    trainer = trainer_of()
    message = r'(?s)ended in epoch 1, after 0 steps.*used once.*a list, or a function of the epoch.*steps_per_epoch='
    with pytest.raises(errors.DataError, match=message):
        trainer.fit(BATCHES(0), epochs=2, progress=False)
    assert len(trainer.history) == 1
    assert trainer.steps == 3
    with pytest.raises(errors.DataError, match=r'ended in epoch 1, after 0 steps'):
        trainer.fit([], progress=False)


def test_mistakes_are_named_and_change_nothing():
    trainer = trainer_of()
    with pytest.raises(errors.ArgumentError, match=r'train is arrays, not batches'):
        trainer.fit([X, Y], progress=False)
    with pytest.raises(errors.ArgumentError, match='this is no batch'):
        trainer.fit(iter([X]), progress=False)
    for wrong in ([print], print):
        with pytest.raises(errors.ArgumentError, match='this is no callback'):
            trainer.fit(BATCHES, callbacks=wrong, progress=False)
    with pytest.raises(errors.ArgumentError, match=r'(?s)train cannot be called with.*lambda epoch: batches\(\)'):
        trainer.fit(lambda: BATCHES(0), progress=False)
    for wrong in (dict(epochs=-1), dict(epochs=1.5), dict(steps_per_epoch=0), dict(prefetch=-1), dict(metrics=['a'])):
        with pytest.raises(errors.ArgumentError):
            trainer.fit(BATCHES, progress=False, **wrong)
    assert trainer.steps == 0
    assert len(trainer.history) == 0


@pytest.mark.parametrize(
    ('objective', 'label', 'message'),
    [
        (CE, [0, 3, 1, -1], r'3 is no label \(2 of 4.*\n.*ints from 0 to 2, for 3 classes\n.*at \[1\]'),
        (CE, [0, 1, 0.5, 1], r'0\.5 is no label'),
        (loss.SigmoidBCELoss(), np.full((4, 3), 2), r'2 is no label.*\n.*numbers from 0 to 1'),
        (loss.SigmoidBCELoss(), np.full((4, 3), np.nan), r'nan is no label'),
        (loss.LogisticLoss(), np.zeros((4, 3)), r'0\.0 is no label.*\n.*-1 and 1'),
    ],
)
def test_labels_out_of_range(objective, label, message):
    batch = X[:4], np.asarray(label)
    for use in (lambda t: t.step(*batch), lambda t: t.fit([batch], progress=False), lambda t: t.evaluate([batch])):
        trainer = Trainer(network(), objective, key=0)
        with pytest.raises(errors.DataError, match=message):
            use(trainer)
        assert trainer.steps == 0
    good = (X[:4], np.zeros(4, int)) if objective is CE else (X[:4], np.ones((4, 3)))
    trainer = Trainer(network(), objective, key=0)
    trainer.fit([good], progress=False)
    with pytest.raises(errors.DataError, match=message):
        trainer.fit([batch], progress=False)
    assert trainer.steps == 1


def test_distributions_and_other_losses_take_their_labels():
    Trainer(network(), loss.SoftmaxCELoss(sparse_label=False)).fit([(X[:2], np.eye(3)[:2])], progress=False)
    Trainer(network(), loss.L2Loss()).fit([(X[:2], 9 * np.ones((2, 3)))], progress=False)
    Trainer(network(), lambda out, label: ((out - label) ** 2).mean(1)).fit([(X[:2], np.ones((2, 3)))], progress=False)


def test_labels_out_of_range_in_a_later_batch():
    good, bad = (X[:8], Y[:8]), (X[8:16], np.where(np.arange(8) > 5, 3, Y[8:16]))
    trainer, message = trainer_of(), r'3 is no label \(2 of 8 are none\).*\n.*\n.*at \[6\] of labels'
    with pytest.raises(errors.DataError, match=rf'in batch 1 of epoch 0, .*{message}'):
        trainer.fit([good, bad, good], epochs=2, progress=False)
    assert trainer.steps == 3
    assert np.isfinite(flat(trainer.net)).all()
    with pytest.raises(errors.NonFiniteError, match=r'(?s)loss of epoch 0 is nan.*NaNGuard'):
        trainer_of().fit(iter([good, bad]), progress=False)
    guarded = trainer_of()
    with pytest.raises(errors.DataError, match=message):
        guarded.fit(iter([good, bad, good]), callbacks=[callback.NaNGuard()], progress=False)
    twin = trainer_of()
    twin.step(*good)
    np.testing.assert_array_equal(flat(guarded.net), flat(twin.net))


def test_a_loss_that_is_not_finite_ends_the_fit():
    bad = data.batches(np.where(np.arange(22)[:, None] == 20, np.inf, X), Y, batch_size=8)
    trainer = trainer_of()
    with pytest.raises(errors.NonFiniteError, match=r'(?s)loss of epoch 0 is nan.*NaNGuard'):
        trainer.fit(bad, epochs=2, progress=False)
    assert len(trainer.history) == 1
    skipping = trainer_of(skip_nonfinite=True)
    history = skipping.fit(bad, progress=False)
    assert np.isfinite(history['loss']).all()
    assert skipping.state.skipped == 1


@pytest.fixture
def sigint():
    """Ctrl-C as Python takes it, also where whoever runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('sigint')
def test_ctrl_c_right_after_a_step_counts_it():
    trainer, seen = trainer_of(), []
    step = trainer.step

    def interrupted(*batch):
        value = step(*batch)
        if trainer.steps == 2:
            signal.raise_signal(signal.SIGINT)
            seen.append('held back')
        return value

    trainer.step = interrupted
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(BATCHES, epochs=2, progress=False)
    assert not seen
    assert signal.getsignal(signal.SIGINT) is before
    assert (trainer.steps, trainer.fit_state['batch'], Totals.of(trainer.state).samples) == (2, 2, 16)
    del trainer.step
    trainer.fit(BATCHES, epochs=2, progress=False, resume=True)
    whole = trainer_of()
    whole.fit(BATCHES, epochs=2, progress=False)
    np.testing.assert_array_equal(flat(trainer.net), flat(whole.net))


def test_fit_leaves_signals_alone():
    trainer, before = trainer_of(), signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: trainer.fit(BATCHES, progress=False))
    thread.start()
    thread.join()
    assert trainer.steps == 3
    assert signal.getsignal(signal.SIGINT) is before


INTERRUPTED = """
import itertools, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
from gluonjax import Trainer, loss, nn
net = nn.Sequential(nn.Dense(64), nn.Dense(1))
net.initialize(key=0)
trainer = Trainer(net, loss.L2Loss(), key=0)
batch = np.ones((8, 4), 'float32'), np.ones((8, 1), 'float32')

def batches():
    for i in itertools.count():
        if i == 50:
            print('ready', flush=True)
        yield batch

try:
    trainer.fit(batches(), progress=False)
except KeyboardInterrupt:
    done, fit_state = trainer.steps, trainer.fit_state
    assert fit_state['batch'] == done >= 50, (fit_state, done)
    assert np.isfinite(net(batch[0])).all()
    twin = nn.Sequential(nn.Dense(64), nn.Dense(1))
    twin.initialize(key=0)
    other = Trainer(twin, loss.L2Loss(), key=0)
    for _ in range(done):
        other.step(*batch)
    assert (twin[0].weight.data() == net[0].weight.data()).all()
    trainer.step(*batch)
    print('fine')
"""


def test_a_real_ctrl_c():
    child = subprocess.Popen(
        [sys.executable, '-c', INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parent.parent,
        env=os.environ | {'JAX_PLATFORMS': 'cpu'},
    )
    try:
        assert child.stdout.readline() == 'ready\n'
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[0] == 'fine\n'
        assert child.returncode == 0
    finally:
        child.kill()
        child.communicate()


def test_prefetched_batches_are_the_same(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')  # so that batches are put on the device ahead
    seen, trainer, twin = [], trainer_of(), trainer_of()
    step = trainer.step
    trainer.step = lambda *batch: (seen.append(type(batch[0])), step(*batch))[1]
    trainer.fit(BATCHES, epochs=2, prefetch=2, progress=False)
    twin.fit(BATCHES, epochs=2, prefetch=0, progress=False)
    assert all(issubclass(kind, jax.Array) for kind in seen)
    np.testing.assert_array_equal(flat(trainer.net), flat(twin.net))


def test_history_shows_itself_and_is_json():
    records = [{'epoch': 0, 'loss': 0.5, 'seconds': 1.0}, {'epoch': 1, 'loss': 0.25, 'seconds': 1.0, 'top': 1.0}]
    history = History(records)
    assert repr(history).splitlines()[-1].split() == ['1', '0.25', '1', '1']
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
    assert History() != history
    assert repr(History()) == 'History of no epoch'
    assert [record['epoch'] for record in history] == [0, 1]
    with pytest.raises(errors.ArgumentError, match=r"(?s)no 'val_loss'.*'loss'"):
        history['val_loss']


def test_the_plot_draws_what_was_measured():
    one = {'steps': 2, 'val_loss': 2.0, 'val_mcc': 0.1}
    records = [{'epoch': i, 'loss': 1 / (i + 1), 'acc': i / 4, **one} for i in range(3)]
    figure = History(records).plot()
    drawn = {axes.get_title(): [list(line.get_ydata()) for line in axes.lines] for axes in figure.axes}
    assert drawn == {'loss': [[1, 0.5, 1 / 3], [2, 2, 2]], 'acc': [[0, 0.25, 0.5]], 'val_mcc': [[0.1] * 3]}
    assert figure._repr_png_().startswith(b'\x89PNG')
    assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def test_a_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    with pytest.raises(errors.MissingExtraError, match=r'gluonjax\[train\]'):
        History().plot()


def test_fit_state_is_json():
    trainer = trainer_of()
    with pytest.raises(Stop):
        trainer.fit(failing(BATCHES, (1, 2)), epochs=2, progress=False)
    saved = json.loads(json.dumps(trainer.fit_state))
    assert FitState.from_dict(saved).to_dict() == saved
    assert (saved['epoch'], saved['batch'], saved['began']) == (1, 2, 0)
    assert saved['seconds'] > 0


def test_inference_without_a_mask_counts_all():
    inference = Inference(make_step(network(), CE), ())
    shapes = {'0.weight': (5, 4), '0.bias': (5,), '1.weight': (3, 5), '1.bias': (3,)}
    values = {name: jnp.ones(shape) for name, shape in shapes.items()}
    batch = Batch.of((X, Y))
    got = inference.results(inference.measure(values, inference.begin(values, batch), batch, None))
    assert got == {'loss': pytest.approx(np.log(3), rel=1e-6)}
