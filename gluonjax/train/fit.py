"""What a Trainer does with many batches: fit, evaluate and predict.

What `fit` must know to go on in the middle of an epoch, beside the Trainer's `state`, is its `Progress`: the number of
the epoch, the batches taken from the data in it, its seconds, the epoch at which this call began, and the history.
`Progress.to_dict` is JSON. `fit(resume=True)` draws the batches that were taken once more, does not train on them, and
goes on.
"""

import contextlib
import inspect
import itertools
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gluonjax import checks
from gluonjax.data.batching import ahead, as_arrays, is_function, length_of, opened, padded, rows_of
from gluonjax.errors import ArgumentError, DataError, NonFiniteError
from gluonjax.layer import Layer
from gluonjax.metric import double_float
from gluonjax.metric.pure import PureMetric
from gluonjax.train.callback import Callback, progress_display
from gluonjax.train.history import History, Progress, Record
from gluonjax.train.step import Step, parts, per_sample, pure_metrics

if TYPE_CHECKING:
    from gluonjax.train.trainer import Trainer


def fit(
    trainer: 'Trainer',
    train,
    validation,
    epochs: int,
    *,
    metrics,
    callbacks: Sequence[Callback] | Callback,
    steps_per_epoch: int | None,
    progress: bool,
    prefetch: int,
    resume: bool,
) -> History:
    """What `Trainer.fit` documents."""
    checks.size('epochs', epochs, least=0)
    checks.size('prefetch', prefetch, least=0)
    if steps_per_epoch is not None:
        checks.size('steps_per_epoch', steps_per_epoch)
    watchers = [*_callbacks(callbacks), *([progress_display()] if progress else [])]
    if metrics is not None:
        trainer._change_options(metrics=metrics)
    now = _begun(trainer, resume)
    now.total = steps_per_epoch or length_of(train)
    feed = _Feed(trainer, train, steps_per_epoch, prefetch, now)
    last = (now.began or 0) + epochs
    with _Hold() as hold, contextlib.ExitStack() as stack:
        for watcher in watchers:
            stack.callback(watcher.on_fit_end, trainer, now)
            watcher.on_fit_begin(trainer, now)
        while now.epoch < last and not now.stopping:
            _epoch(trainer, feed, now, watchers, hold)
            record = _record(trainer, now)
            if validation is not None:
                values = evaluate(trainer, validation, None, epoch=now.epoch, name='validation')
                record |= {f'val_{name}': value for name, value in values.items()}
            _finish(now, record)
            for watcher in watchers:
                watcher.on_epoch_end(trainer, now, record)
            if not math.isfinite(record['loss']) and record['steps'] and not trainer.options.get('skip_nonfinite'):
                _refuse_labels(trainer, train, record['epoch'])
                raise NonFiniteError(
                    f'the loss of epoch {record["epoch"]} is {record["loss"]}',
                    remedy='callbacks=[gluonjax.callback.NaNGuard()] stops at the first such step and names the layer; '
                    'often a lower learning rate, or Trainer(..., clip_global_norm=1.0), helps',
                )
        now.finished = True
    return now.history


def _callbacks(callbacks) -> list[Callback]:
    callbacks = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ArgumentError(
                'this is no callback', expected='an object of a subclass of gluonjax.callback.Callback', got=callback
            )
    return list(callbacks)


def _begun(trainer: 'Trainer', resume: bool) -> Progress:
    """The progress of a fit that begins, or goes on."""
    now = trainer._progress
    now.stopping = now.finished = False
    if not resume or now.began is None:
        now.began, now.batch, now.seconds = now.epoch, 0, 0.0
    return now


def _epoch(trainer: 'Trainer', feed: '_Feed', now: Progress, watchers: list[Callback], hold: '_Hold') -> None:
    """The steps of one epoch, or the rest of them."""
    on_step = [watcher.on_step for watcher in watchers if type(watcher).on_step is not Callback.on_step]
    if not now.batch:
        trainer.reset_metrics()
        for watcher in watchers:
            watcher.on_epoch_begin(trainer, now)
    began, before = time.perf_counter(), now.seconds
    step = trainer.step
    try:
        for batch in feed.epoch():
            hold.busy = True
            value = step(*batch)
            now.batch += 1
            hold.busy = False
            if hold.waiting:
                hold.release()
            for call in on_step:
                now.seconds = before + time.perf_counter() - began
                call(trainer, now, batch, value)
        trainer._totals()  # waits, so that the seconds are those of the steps
    finally:
        hold.busy = False
        now.seconds = before + time.perf_counter() - began


def _record(trainer: 'Trainer', now: Progress) -> Record:
    totals = trainer._totals()
    record = {'epoch': now.epoch, 'steps': now.batch, 'loss': totals.mean}
    record |= {name: _plain(value) for name, value in trainer.metrics.items()}
    with contextlib.suppress(ArgumentError):  # some optimizers have none that can be read
        record['learning_rate'] = trainer.learning_rate
    rate = totals.samples / now.seconds if now.seconds else 0.0
    return record | {'seconds': now.seconds, 'samples_per_second': rate}


def _refuse_labels(trainer: 'Trainer', train, epoch: int) -> None:
    """Looks for labels that the loss does not take, which make it nan, where the batches can be had once more."""
    for i, batch in enumerate([] if iter_once(train) else opened(train, epoch, 'train')):
        try:
            check_labels(trainer, as_arrays(batch))
        except DataError as error:
            raise DataError(f'in batch {i} of epoch {epoch}, {error}') from None


def _finish(now: Progress, record: Record) -> None:
    """Turns to the next epoch."""
    now.history.records.append(record)
    now.epoch, now.batch, now.seconds = now.epoch + 1, 0, 0.0


def _plain(value) -> Any:
    """A metric's value as JSON can hold it."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), value)


class _Feed:
    """The batches of a fit, epoch by epoch, in arrays."""

    def __init__(self, trainer: 'Trainer', train, steps: int | None, prefetch: int, now: Progress):
        self.trainer, self.train, self.steps, self.now = trainer, train, steps, now
        # On CPU a step takes NumPy's arrays as fast as JAX's; over a mesh it is the step that knows where they belong.
        self.prefetch = 0 if jax.default_backend() == 'cpu' or trainer._placement is not None else prefetch
        self.endless: Iterator | None = None  # what goes on over epochs
        if steps is not None and not is_function(train):
            self.endless = self._kept(opened(train, now.epoch, 'train'))
            self._skip(self.endless, (now.epoch - (now.began or 0)) * steps)

    def epoch(self) -> Iterator[tuple[Any, ...]]:
        """The batches of the epoch that are not done yet."""
        batches = self.endless or self._kept(opened(self.train, self.now.epoch, 'train'))
        self._skip(batches, self.now.batch)
        if self.steps is not None:
            batches = itertools.islice(batches, self.steps - self.now.batch)
        yield from ahead(batches, self.prefetch, jax.device_put) if self.prefetch else batches
        if self.steps is not None and self.now.batch < self.steps:
            raise self._ended_early(f'{self.steps} steps, as steps_per_epoch asks')
        if not self.now.batch:
            raise self._ended_early('batches in each epoch')

    def _kept(self, batches: Iterator) -> Iterator[tuple[Any, ...]]:
        """Batches as the step takes them, less those that last_batch discards."""
        batches = self._converted(batches)
        return self._whole(batches) if self.trainer.last_batch == 'discard' else batches

    def _converted(self, batches: Iterator) -> Iterator[tuple[Any, ...]]:
        plain = None  # whether batches are tuples of arrays, as the first one is or is not
        for batch in batches:
            if not plain or type(batch) is not tuple:
                given, batch = batch, as_arrays(batch)
                if plain is None:
                    plain = batch is given
                    check_labels(self.trainer, batch)
            yield batch

    def _whole(self, batches: Iterator) -> Iterator[tuple[Any, ...]]:
        most = 0
        for batch in batches:
            rows = _rows(batch)
            most = max(rows, most)
            if rows == most:
                yield batch

    def _skip(self, batches: Iterator, count: int) -> None:
        skipped = None
        for _ in range(count):
            skipped = next(batches, None)
            if skipped is None:
                raise self._ended_early(f'{count} batches that were trained on before the interruption')
        if skipped is not None:  # perhaps it was the last of the epoch, and there is no step that makes the program
            self.trainer._prepare(skipped[0] if len(skipped) == 1 else skipped)

    def _ended_early(self, expected: str) -> DataError:
        return DataError(
            f'the training data ended in epoch {self.now.epoch}, after {self.now.batch} steps of it',
            expected=expected,
            got='an iterator that can be used once' if iter_once(self.train) else type(self.train).__name__,
            remedy='give a list, or a function of the epoch that returns an iterator; '
            'steps_per_epoch= lets one long iterator go on over the epochs',
        )


def iter_once(data) -> bool:
    """Whether this is an iterator, which is used up when it was gone through."""
    return hasattr(data, '__next__')


def _rows(batch: tuple[Any, ...]) -> int:
    """The number of samples, as the label has it."""
    label = batch[0].get('label') if isinstance(batch[0], dict) else batch[-1]
    return next((np.shape(leaf)[0] for leaf in jax.tree.leaves(label) if np.ndim(leaf)), 1)


class _Hold:
    """Holds back Ctrl-C while a step runs, so that it finds the network after a step, never inside one."""

    def __init__(self):
        self.busy, self.waiting = False, False
        self.previous: Any = None

    def __enter__(self) -> '_Hold':
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self.previous = previous
                signal.signal(signal.SIGINT, self._arrived)
        return self

    def __exit__(self, *_) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)

    def _arrived(self, number, frame) -> None:
        if self.busy:
            self.waiting = True
        else:
            self.previous(number, frame)

    def release(self) -> None:
        """Lets through what was held back."""
        self.waiting = False
        self.previous(signal.SIGINT, None)


def check_labels(trainer: 'Trainer', batch) -> None:
    """Checks labels against what the loss takes, if the program is there already; if not, the first step does."""
    program = trainer._program
    if program is not None:
        program.check_labels(batch[0] if len(batch) == 1 else batch)


# Inference.


def evaluate(trainer: 'Trainer', data, metrics, *, epoch: int = 0, name: str = 'data') -> dict[str, Any]:
    """What `Trainer.evaluate` documents."""
    inference, state, most = trainer._inference(metrics), None, 0
    for given in opened(data, epoch, name):
        (batch,) = [arguments[0] if len(arguments) == 1 else arguments for arguments in [as_arrays(given)]]
        inputs, named, _ = parts(batch)
        values = trainer._values(inputs, named)
        if state is None:
            state = inference.begin(values, batch)
        rows = rows_of(batch)
        mask = None
        if rows and trainer.last_batch != 'keep':
            most = max(most, trainer._dividing(rows))
            batch, mask = padded(batch, most) if rows < most else (batch, np.ones(rows, bool))
        state = inference.measure(values, state, *trainer._placed((batch, mask)))
    if state is None:
        used_up = iter_once(data) and epoch > 0
        raise DataError(
            f'there are no batches in {name}',
            got='an iterator that was used up in an epoch before' if used_up else type(data).__name__,
            remedy='give a list, or a function of the epoch that returns an iterator',
        )
    return inference.results(state)


def predict(trainer: 'Trainer', data, batch_size: int) -> Any:
    """What `Trainer.predict` documents."""
    checks.size('batch_size', batch_size)
    inference, outputs, most = trainer._inference(None), [], 0
    for inputs, named in _inputs(data, batch_size, trainer._number_of_inputs()):
        values = trainer._values(inputs, named)
        rows = rows_of((inputs, named))
        if rows and trainer.last_batch != 'keep':
            most = max(most, trainer._dividing(rows))
            (inputs, named), _ = padded((inputs, named), most) if rows < most else ((inputs, named), None)
        output = trainer._own(inference.output(values, *trainer._placed((inputs, named))))
        outputs.append((output, rows))
        if len(outputs) > 2:  # those before are computed by now, and leave the device
            outputs[-3] = _cut(*outputs[-3]), None
    if not outputs:
        raise DataError('there is nothing to predict from', got=type(data).__name__)
    pieces = [_cut(*output) for output in outputs]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)


def _inputs(data, batch_size: int, count: int | None) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Inputs by position and by name, batch by batch; labels are left out."""
    if hasattr(data, 'shape'):
        (data,) = as_arrays((data,))
        data = [data[start : start + batch_size] for start in range(0, len(data), batch_size)]
    for given in opened_inputs(data):
        batch = as_arrays(given)
        if isinstance(batch[0], dict):
            yield (), {name: value for name, value in batch[0].items() if name != 'label'}
        else:
            yield batch[:-1] if count is not None and len(batch) == count + 1 else batch, {}


def number_of_inputs(definition: Layer) -> int | None:
    """How many inputs `forward` takes, if that is one number; containers take those of their first layer."""
    arguments = list(inspect.signature(forward_class(definition).forward).parameters.values())[1:]
    if any(argument.kind is argument.VAR_POSITIONAL for argument in arguments):
        first = next((value for value in vars(definition).values() if isinstance(value, Layer)), None)
        return None if first is None else number_of_inputs(first)
    return len(arguments) if all(argument.default is argument.empty for argument in arguments) else None


def opened_inputs(data) -> Iterator:
    """The batches of inputs, of an iterable or a function of the epoch; an array alone is a batch here."""
    if isinstance(data, list) and data and all(hasattr(part, 'shape') for part in data):
        return iter(data)
    return opened(data, 0)


def _cut(output, rows: int | None):
    """The output on the host, less the padding."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:rows], output)


class Inference:
    """A network's inference, compiled: its output, and what the loss and metrics say of it.

    Args:
        step: of which the layer, the loss and the precision are taken.
        metrics: the metrics.
    """

    def __init__(self, step: Step, metrics: Any):
        self.step, self.definitions = step, pure_metrics(metrics)
        self.metrics: dict[str, PureMetric] = {}  # the definitions, completed by the first batch
        self.output: Callable = jax.jit(step.infer)
        self._measure: Callable = jax.jit(self._measured, donate_argnums=1)

    def begin(self, values, batch) -> dict[str, Any]:
        """The state before the first batch."""
        inputs, named, label = parts(batch)
        output = jax.eval_shape(self.step.infer, values, inputs, named)
        self.step.check_labels(output, label)
        self.metrics = {name: metric.for_batch(label, output) for name, metric in self.definitions.items()}
        metrics = {name: metric.init() for name, metric in self.metrics.items()}
        return {'loss': double_float.zero(), 'samples': double_float.zero(), 'metrics': metrics}

    def measure(self, values, state, batch, mask) -> dict[str, Any]:
        """The state after a batch."""
        return self._measure(values, state, batch, mask)

    def _measured(self, values, state, batch, mask) -> dict[str, Any]:
        inputs, named, label = parts(batch)
        output = self.step.infer(values, inputs, named)
        losses = per_sample(self.step.loss(output, label), label)
        counts = jnp.ones(losses.shape, bool) if mask is None else mask
        metrics = {name: m.update(state['metrics'][name], label, output, mask) for name, m in self.metrics.items()}
        return {
            'loss': double_float.add(state['loss'], double_float.total(losses, counts)),
            'samples': double_float.add(state['samples'], double_float.total(counts, counts)),
            'metrics': metrics,
        }

    def results(self, state) -> dict[str, Any]:
        """The numbers: the mean loss, and the metrics; waits for the device."""
        state = jax.device_get(state)
        loss = float(double_float.value(state['loss']) / double_float.value(state['samples']))
        return {'loss': loss, **{name: _plain(m.result(state['metrics'][name])) for name, m in self.metrics.items()}}
