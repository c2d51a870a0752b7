"""Callbacks: when they are called, and what each of ours does to a fit."""

import csv
import io
import re
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gluonjax import Layer, Trainer, callback, data, errors, loss, metric, nn
from gluonjax.train import progress
from gluonjax.train.progress import as_text

CE = loss.SoftmaxCELoss()
X = np.random.RandomState(0).standard_normal((8, 4)).astype('float32')
Y = np.random.RandomState(1).randint(0, 3, 8)
DATA = [(X[:4], Y[:4]), (X[4:], Y[4:])]


def trainer_of(*layers, optimizer='sgd', rate=0.3, objective=CE, **options):
    net = nn.Sequential(*(layers or (nn.Dense(3),)))
    net.initialize('xavier', key=0)
    return Trainer(net, objective, optimizer, {'learning_rate': rate}, key=1, **options)


def fit(trainer, *callbacks, epochs=3, validation=None, data=DATA, **options):
    return trainer.fit(data, validation, epochs, callbacks=callbacks, progress=False, **options)


class Values(callback.Callback):
    """Puts these values into the records, epoch by epoch."""

    def __init__(self, values, name='val_loss'):
        self.values, self.name = values, name

    def on_epoch_end(self, trainer, fit_state, record):
        record[self.name] = self.values[record['epoch']]


class Recorder(callback.Callback):
    def __init__(self):
        self.calls = []

    def on_fit_begin(self, trainer, fit_state):
        self.calls.append('fit')

    def on_epoch_begin(self, trainer, fit_state):
        self.calls.append(('epoch', fit_state.epoch, fit_state.batch))

    def on_step(self, trainer, fit_state, batch, loss):
        self.calls.append((fit_state.epoch, fit_state.batch, batch[1].tolist(), round(float(loss), 5)))

    def on_epoch_end(self, trainer, fit_state, record):
        self.calls.append(('end', record['epoch'], len(fit_state.history)))

    def on_fit_end(self, trainer, fit_state):
        self.calls.append(('done', fit_state.finished))


def test_when_they_are_called():
    recorder, twin = Recorder(), trainer_of()
    fit(trainer_of(), recorder, epochs=2)
    losses = [round(float(twin.step(*batch)), 5) for batch in DATA * 2]
    labels = [y.tolist() for _, y in DATA]
    assert recorder.calls == [
        'fit',
        ('epoch', 0, 0),
        (0, 1, labels[0], losses[0]),
        (0, 2, labels[1], losses[1]),
        ('end', 0, 1),
        ('epoch', 1, 0),
        (1, 1, labels[0], losses[2]),
        (1, 2, labels[1], losses[3]),
        ('end', 1, 2),
        ('done', True),
    ]


def test_the_end_is_told_also_after_an_exception():
    class Failing(callback.Callback):
        def on_step(self, trainer, fit_state, batch, loss):
            raise RuntimeError('mine')

    recorder, trainer = Recorder(), trainer_of()
    with pytest.raises(RuntimeError, match='mine'):
        fit(trainer, Failing(), recorder)
    assert recorder.calls[-1] == ('done', False)
    assert (trainer.steps, trainer.fit_state['batch']) == (1, 1)


class Weights(callback.Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, trainer, fit_state, record):
        self.seen.append(np.asarray(trainer.net[0].weight.data()))


@pytest.mark.parametrize(
    ('options', 'values', 'epochs', 'best'),
    [
        ({}, [3, 1, 2, 2, 2, 0], 5, 1),
        ({'patience': 1}, [3, 2, 2, 0], 3, 1),
        ({'patience': 2, 'min_delta': 0.5}, [3, 2.8, 2.6, 0], 3, 0),
        ({'patience': 2, 'mode': 'max'}, [3, 1, 2, 9], 3, 0),
        ({'patience': 2}, [3, float('nan'), 2, 1], 4, 3),
        ({'patience': 2}, [4, 1, 2], 3, 1),  # the epochs come to their end
        ({'patience': 1, 'monitor': 'val_accuracy'}, [0.1, 0.3, 0.2, 0.9], 3, 1),
    ],
)
def test_early_stopping(options, values, epochs, best):
    trainer, weights = trainer_of(), Weights()
    values = Values(values, options.get('monitor', 'val_loss'))
    history = fit(trainer, values, weights, callback.EarlyStopping(**options), epochs=len(values.values))
    assert len(history) == epochs
    np.testing.assert_array_equal(trainer.net[0].weight.data(), weights.seen[best])
    trainer.step(*DATA[0])


def test_early_stopping_may_leave_the_last_values():
    trainer, weights = trainer_of(), Weights()
    fit(trainer, Values([1, 2, 3]), weights, callback.EarlyStopping(patience=1, restore_best=False))
    assert len(weights.seen) == 2
    np.testing.assert_array_equal(trainer.net[0].weight.data(), weights.seen[1])


def test_an_epoch_that_is_not_finite_goes_back_to_the_best():
    trainer, weights = trainer_of(optimizer='adam'), Weights()
    wrong = [(X[:4] * np.nan, Y[:4])]
    with pytest.raises(errors.NonFiniteError, match='loss of epoch 2'):
        fit(
            trainer, Values([2, 1, 0]), weights, callback.EarlyStopping(), data=lambda i: iter(DATA if i < 2 else wrong)
        )
    np.testing.assert_array_equal(trainer.net[0].weight.data(), weights.seen[1])
    twin = trainer_of(optimizer='adam')
    fit(twin, epochs=2)
    assert float(trainer.step(*DATA[0])) == float(twin.step(*DATA[0]))
    np.testing.assert_array_equal(trainer.net[0].weight.data(), twin.net[0].weight.data())


def test_an_interruption_does_not_make_early_stopping_patient(tmp_path):
    values, stopping = Values([1, 2, 3, 4, 5]), callback.EarlyStopping(patience=3)

    class Breaking(callback.Callback):
        def on_epoch_begin(self, trainer, fit_state):
            if fit_state.epoch == 2:
                raise KeyboardInterrupt

    trainer = trainer_of()
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, values, stopping, Breaking(), epochs=5)
    assert len(fit(trainer, values, callback.EarlyStopping(patience=3), epochs=5, resume=True)) == 4
    assert len(fit(trainer, values, callback.EarlyStopping(patience=3), epochs=5, resume=True)) == 4


def test_what_is_monitored_must_be_there():
    with pytest.raises(errors.ArgumentError, match=r"(?s)no 'val_loss' to monitor.*'loss'.*fit\(train, validation"):
        fit(trainer_of(), callback.EarlyStopping())
    with pytest.raises(errors.ArgumentError, match="mode must be one of None, 'min', 'max'; got 'least'"):
        callback.EarlyStopping(mode='least')
    with pytest.raises(errors.ArgumentError, match='patience must be'):
        callback.EarlyStopping(patience=0)


def test_the_best_checkpoint_and_those_of_steps(tmp_path):
    trainer, weights = trainer_of(), Weights()
    best = callback.Checkpoint(tmp_path / 'best', monitor='val_loss')
    steps = callback.Checkpoint(tmp_path / 'steps', every_steps=3, keep=None)
    last = callback.Checkpoint(tmp_path / 'last')
    fit(trainer, Values([3, 1, 2]), weights, best, steps, last)
    other = trainer_of()
    for path, step, epoch, batch in (('best', 4, 2, 0), ('steps', 6, 2, 2), ('last', 6, 3, 0)):
        other.restore(tmp_path / path)
        fit_state = other.fit_state
        assert (other.steps, fit_state['epoch'], fit_state['batch']) == (step, epoch, batch)
    other.restore(tmp_path / 'steps', step=3)
    assert (other.fit_state['epoch'], other.fit_state['batch']) == (1, 1)
    other.restore(tmp_path / 'best')
    np.testing.assert_array_equal(other.net[0].weight.data(), weights.seen[1])
    with pytest.raises(errors.ArgumentError, match='the best epochs or every so many steps'):
        callback.Checkpoint(tmp_path, monitor='loss', every_steps=2)


def test_a_run_goes_on_from_the_last_batch_of_an_epoch(tmp_path):
    whole, broken = trainer_of(metrics=[metric.Accuracy()]), trainer_of(metrics=[metric.Accuracy()])
    expected = fit(whole, validation=DATA)

    class Breaking(callback.Callback):
        def on_epoch_end(self, trainer, fit_state, record):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, callback.Checkpoint(tmp_path, every_steps=2), Breaking())
    resumed = trainer_of(metrics=[metric.Accuracy()])
    resumed.restore(tmp_path)
    assert resumed.fit_state['batch'] == 2
    history = fit(resumed, validation=DATA, resume=True)
    for name in ('loss', 'accuracy', 'val_loss', 'val_accuracy', 'steps'):
        assert history[name] == expected[name]
    np.testing.assert_array_equal(resumed.net[0].weight.data(), whole.net[0].weight.data())


def test_the_history_as_comma_separated_values(tmp_path):
    path = tmp_path / 'logs' / 'history.csv'
    history = fit(trainer_of(), callback.CSVLogger(path), metrics=[metric.Accuracy()])
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == history.names
    assert [float(row['loss']) for row in rows] == history['loss']
    assert [int(row['epoch']) for row in rows] == [0, 1, 2]


def test_events_for_tensorboard(tmp_path):
    history = fit(trainer_of(), callback.TensorBoard(tmp_path), validation=DATA)
    from tensorboardX.proto import event_pb2

    (path,) = tmp_path.iterdir()
    written = {}
    for record in records_of(path.read_bytes()):
        event = event_pb2.Event.FromString(record)
        for value in event.summary.value:
            written.setdefault(value.tag, []).append((event.step, value.simple_value))
    np.testing.assert_allclose(written['val_loss'], list(enumerate(history['val_loss'])), rtol=1e-6)
    np.testing.assert_allclose(written['loss'], list(enumerate(history['loss'])), rtol=1e-6)


def records_of(data):
    """The records of an event file: a length of 8 bytes, 4 of checksum, the record, 4 of checksum."""
    stream = io.BytesIO(data)
    while head := stream.read(12):
        yield stream.read(int.from_bytes(head[:8], 'little'))
        stream.read(4)


def test_without_tensorboardx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    trainer = trainer_of()
    with pytest.raises(errors.MissingExtraError, match=r'gluonjax\[train\]'):
        fit(trainer, callback.TensorBoard('nowhere'))
    assert trainer.steps == 0


def test_learning_rates_by_epoch():
    trainer = trainer_of()
    history = fit(trainer, callback.LearningRateSchedule(lambda epoch: 0.1 * (epoch + 1)))
    np.testing.assert_allclose(history['learning_rate'], [0.1, 0.2, 0.3], rtol=1e-6)
    history = fit(trainer, callback.LearningRateSchedule(lambda epoch, rate: rate / 2))
    np.testing.assert_allclose(history['learning_rate'][3:], [0.15, 0.075, 0.0375], rtol=1e-6)
    twin = trainer_of()
    for epoch in range(3):
        twin.set_learning_rate(0.1 * (epoch + 1))
        for batch in DATA:
            twin.step(*batch)
    for rate in (0.15, 0.075, 0.0375):
        twin.set_learning_rate(rate)
        for batch in DATA:
            twin.step(*batch)
    np.testing.assert_allclose(trainer.net[0].weight.data(), twin.net[0].weight.data(), rtol=1e-6)


def test_a_rate_that_cannot_be_set():
    net = nn.Sequential(nn.Dense(3))
    net.initialize(key=0)
    trainer = Trainer(net, CE, optax.sgd(0.1), key=0)
    with pytest.raises(errors.ArgumentError, match='no learning rate that can be changed'):
        fit(trainer, callback.LearningRateSchedule(lambda epoch: 0.1))
    assert 'learning_rate' not in fit(trainer).names


class Log(Layer):
    def forward(self, x):
        return jnp.log(x)


class Norm(Layer):
    """Whose gradient at 0 is not a number."""

    def forward(self, x):
        return jnp.sqrt(jnp.square(x * 0).sum(-1, keepdims=True)) + x


def bad(batch):
    return [*DATA[:batch], (np.where(np.arange(4)[:, None] == 1, np.nan, X[:4]), Y[:4]), *DATA[batch:]]


def squares(out, label):
    return jnp.square(out).mean(1)


@pytest.mark.parametrize(
    ('layers', 'options', 'data', 'place'),
    [
        ((nn.Dense(3),), {}, bad(1), r'step 1 of epoch 0 is not finite, first of all the input'),
        ((nn.Dense(4), nn.Activation('relu'), Log(), nn.Dense(3)), {}, DATA, r"step 0 .* output of layer '2' \(Log\)"),
        ((nn.Dense(4), nn.Sequential(Log(), nn.Dense(3))), {}, DATA, r"output of layer '1\.0' \(Log\)"),
        ((nn.Repeat(nn.Sequential(Log(), nn.Dense(4)), 2), nn.Dense(3)), {}, DATA, r"output of layer '0' \(Repeat\)"),
        ((nn.Dense(3), Norm()), {}, DATA, r"the gradient of parameter '0\.weight'"),
        ((nn.Dense(4), Log(), nn.Dense(3)), {'remat': True}, DATA, r"output of layer '1' \(Log\)"),
        ((nn.Dense(3),), {'objective': lambda out, y: jnp.log(out[:, 0] * 0)}, DATA, 'the loss, though the output is'),
    ],
)
def test_the_first_layer_that_is_not_finite_is_named(layers, options, data, place):
    trainer = trainer_of(*layers, **options)
    with pytest.raises(errors.NonFiniteError, match=place):
        fit(trainer, callback.NaNGuard(), data=data)
    good, twin = trainer.steps - 1, trainer_of(*layers, **options)
    twin.net(X[:4])
    for batch in data[:good]:
        twin.step(*batch)
    jax.tree.map(np.testing.assert_array_equal, trainer.net.params, twin.net.params)


def test_a_parameter_that_is_not_finite_is_named():
    trainer = trainer_of(nn.Dense(4), nn.Dense(3))
    trainer.net(X)
    trainer.net[1].bias[1] = np.inf
    with pytest.raises(errors.NonFiniteError, match=r"parameter '1\.bias'"):
        fit(trainer, callback.NaNGuard())


def test_the_guard_lets_good_runs_be():
    guarded, free = (
        trainer_of(nn.Dense(4), nn.Dropout(0.5), nn.Dense(3)),
        trainer_of(nn.Dense(4), nn.Dropout(0.5), nn.Dense(3)),
    )
    histories = fit(guarded, callback.NaNGuard()), fit(free)
    assert histories[0]['loss'] == histories[1]['loss']
    jax.tree.map(np.testing.assert_array_equal, guarded.net.params, free.net.params)


def test_float16_may_overflow_while_its_scale_adapts():
    trainer = trainer_of(precision='float16', rate=1e-3, objective=lambda out, y: 1e3 * CE(out, y))
    trainer.step(*DATA[0])
    scale = float(trainer.state.scale.value)
    fit(trainer, callback.NaNGuard(), epochs=2)
    assert trainer.state.scale.value < scale


def test_a_line_for_each_epoch_where_there_is_no_terminal(capsys):
    trainer_of().fit(DATA, DATA, epochs=2, metrics=[metric.Accuracy()])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in lines] == ['epoch 0', 'epoch 1']
    assert all(name in lines[0] for name in ('2 steps', 'loss ', 'accuracy ', 'val_loss ', 'samples/s '))
    assert '\x1b' not in ''.join(lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


FIVE = [metric.Accuracy(), metric.TopKAccuracy(2), metric.CrossEntropy(), metric.MCC(average='micro'), metric.PCC()]


def terminal_of(monkeypatch):
    """A terminal of 80 columns and 24 lines in place of stdout."""
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('LINES', '24')
    monkeypatch.setattr(sys, 'stdout', terminal := Terminal())
    return terminal


def screen(text):
    """The lines that a terminal shows of what was written to it, those that were drawn over left out."""
    lines = ['']
    for part in re.split(r'(\x1b\[[0-9;?]*[a-zA-Z]|\n|\r)', text):
        if part == '\n':
            lines.append('')
        elif part == '\x1b[1A':
            del lines[-1]
        elif part in ('\r', '\x1b[2K'):  # here they always come together
            lines[-1] = ''
        elif not part.startswith('\x1b'):
            lines[-1] += part
    return [line.rstrip() for line in lines if line]


@pytest.mark.parametrize('rich', [True, False])
def test_a_bar_in_a_terminal(monkeypatch, rich):
    terminal = terminal_of(monkeypatch)
    if not rich:
        monkeypatch.setitem(sys.modules, 'rich.progress', None)
    trainer_of().fit(DATA, progress=True, metrics=[metric.Accuracy()], epochs=2)
    text = terminal.getvalue()
    assert ('2/2' in text) == rich
    assert ('\x1b' in text) == rich
    assert all(name in text for name in ('epoch 1', 'loss', 'accuracy', 'samples/s'))


def test_the_line_fits_the_terminal_and_those_that_are_done_scroll_by(monkeypatch):
    terminal = terminal_of(monkeypatch)
    trainer = trainer_of(nn.Dense(3), nn.Lambda(jax.nn.softmax), objective=loss.SoftmaxCELoss(from_logits=False))
    history = trainer.fit(DATA, DATA, epochs=30, metrics=FIVE[:3] + FIVE[4:])
    lines, drawn = screen(terminal.getvalue()), terminal.getvalue()
    assert [line.split()[:2] for line in lines] == [['epoch', str(epoch)] for epoch in range(30)]
    assert drawn.count('\x1b[1A') <= 1  # at the end: nothing above the last line is drawn again
    assert len(drawn) < 30 * 1000
    for line, record in zip(lines, history, strict=True):
        assert len(line) <= 80
        assert all(f'{name} {record[name]:.4g}' in line for name in ('loss', 'val_loss', 'val_accuracy')), line
        assert '━' in line
        assert '2/2' in line


def test_narrow_lines_keep_the_losses_and_what_is_newest():
    values = {'loss': 0.5, 'accuracy': 0.25, 'val_loss': 0.75, 'val_accuracy': 1.0, 'rate': [1, 2], 'samples/s': 9.0}
    assert as_text(values) == 'loss 0.5, accuracy 0.25, val_loss 0.75, val_accuracy 1, rate [1, 2], samples/s 9'
    assert as_text(values, 70) == 'loss 0.5, accuracy 0.25, val_loss 0.75, val_accuracy 1, samples/s 9'
    assert as_text(values, 60) == 'loss 0.5, accuracy 0.25, val_loss 0.75, val_accuracy 1'
    assert as_text(values, 45) == 'loss 0.5, val_loss 0.75, val_accuracy 1'
    assert as_text(values, 24) == 'loss 0.5, val_loss 0.75'
    assert as_text(values, 3) == 'loss 0.5'


def test_a_bar_shows_numbers_between_steps(monkeypatch):
    terminal_of(monkeypatch)
    seen = []
    draw = progress.EpochBar.draw

    def recorded(self, epoch, done, total, values):
        seen.append((epoch, done, values))
        draw(self, epoch, done, total, values)

    monkeypatch.setattr(progress.EpochBar, 'draw', recorded)
    fit(trainer_of(), callback.ProgressBar(interval=0), epochs=1, validation=DATA)
    assert [done for _, done, _ in seen] == [0, 1, 2, 2]
    assert seen[0][2] == 'compiling ...'
    assert seen[2][2]['loss'] == seen[3][2]['loss']
    assert ['validating' in values for _, _, values in seen] == [False, False, True, False]


def test_an_interrupted_epoch_leaves_its_line(monkeypatch):
    terminal = terminal_of(monkeypatch)

    def broken():
        yield DATA[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer_of().fit(broken(), callbacks=callback.ProgressBar(interval=0), progress=False)
    (line,) = screen(terminal.getvalue())
    assert line.startswith('epoch 0')
    assert '1/? loss' in line


def test_what_stands_for_stdout_need_only_write(monkeypatch):
    class Plain:
        def __init__(self):
            self.text = ''

        def write(self, text):
            self.text += text

    monkeypatch.setattr(sys, 'stdout', plain := Plain())
    trainer_of().fit(DATA, epochs=2)
    assert [line.split(':')[0] for line in plain.text.splitlines()] == ['epoch 0', 'epoch 1']


def test_each_line_is_flushed(monkeypatch):
    class Pipe(io.StringIO):
        flushed = ()

        def flush(self):
            self.flushed = (*self.flushed, self.getvalue().count('\n'))

    monkeypatch.setattr(sys, 'stdout', pipe := Pipe())
    trainer_of().fit(DATA, epochs=3)
    assert pipe.flushed == (1, 2, 3)


def test_a_first_step_that_takes_long_is_told(capsys):
    def slow():
        while not capsys.readouterr().out:
            time.sleep(0.01)
        return iter(DATA)

    trainer, lines = trainer_of(), callback.ProgressLines(patience=0)
    told = []
    trainer.fit(lambda epoch: slow() if not told else DATA, callbacks=lines, progress=False)
    told.append(True)
    capsys.readouterr()
    trainer.fit(DATA, callbacks=lines, progress=False)
    assert [line.split(':')[0] for line in capsys.readouterr().out.splitlines()] == ['epoch 1']
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_bar_without_rich_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'rich.progress', None)
    with pytest.raises(errors.MissingExtraError, match=r'gluonjax\[train\]'):
        fit(trainer_of(), callback.ProgressBar())


def test_the_bar_changes_nothing():
    shown, silent = trainer_of(nn.Dropout(0.5), nn.Dense(3)), trainer_of(nn.Dropout(0.5), nn.Dense(3))
    fit(shown, callback.ProgressBar(interval=0))
    fit(silent)
    np.testing.assert_array_equal(shown.net[1].weight.data(), silent.net[1].weight.data())


def test_shuffles_and_callbacks_go_on_after_a_restore(tmp_path):
    x, y = np.tile(X, (4, 1)), np.tile(Y, 4)
    batches = data.batches(x, y, batch_size=5, shuffle=3)
    schedule = callback.LearningRateSchedule(lambda epoch, rate: rate * 0.5)
    whole, broken = trainer_of(), trainer_of()
    expected = fit(whole, schedule, data=batches)

    class Breaking(callback.Callback):
        def on_step(self, trainer, fit_state, batch, loss):
            if trainer.steps == 10:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, schedule, callback.Checkpoint(tmp_path, every_steps=9), Breaking(), data=batches)
    resumed = trainer_of(rate=7.0)
    resumed.restore(tmp_path)
    history = fit(resumed, schedule, data=batches, resume=True)
    assert history['loss'] == expected['loss']
    assert history['learning_rate'] == expected['learning_rate']
    np.testing.assert_array_equal(resumed.net[0].weight.data(), whole.net[0].weight.data())


def test_a_checkpoint_is_not_replaced_by_an_epoch_that_is_not_finite(tmp_path):
    trainer, wrong = trainer_of(), [(X[:4] * np.nan, Y[:4])]
    with pytest.raises(errors.NonFiniteError):
        fit(trainer, callback.Checkpoint(tmp_path), data=lambda epoch: iter(wrong if epoch == 1 else DATA))
    twin = trainer_of()
    fit(twin, epochs=1)
    trainer.restore(tmp_path)
    assert trainer.steps == len(DATA)
    jax.tree.map(np.testing.assert_array_equal, trainer.net.params, twin.net.params)


def test_one_callback_needs_no_list():
    recorder = Recorder()
    trainer_of().fit(DATA, callbacks=recorder, progress=False)
    assert recorder.calls[-1] == ('done', True)
