"""Checkpoints of an Estimator: files of values and of the trainer's states."""

from __future__ import annotations

import pathlib
import re
from typing import Any

from gluonjax.errors import ArgumentError, FileError
from gluonjax.mx.entry import explain_calls
from gluonjax.mx.gluon.contrib.estimator.handlers import BatchEnd, EpochEnd, Monitored, TrainBegin


class CheckpointHandler(TrainBegin, BatchEnd, EpochEnd):
    """Saves the network and the trainer every few epochs or batches: `PREFIX-epochEbatchB.params` and `.states`.

    Args:
        model_dir: the folder.
        model_prefix: what the names of files begin with.
        monitor: the metric by which the best is chosen.
        verbose: 1 for messages.
        save_best: whether the best is saved too, as `PREFIX-best`.
        mode: 'min', 'max' or 'auto': what is better.
        epoch_period: after how many epochs; None for never.
        batch_period: after how many batches; None for never.
        max_checkpoints: how many are kept.
        resume_from_checkpoint: whether training goes on from the latest.

    Raises:
        ArgumentError: for `save_best` without a metric.
    """

    def __init__(
        self,
        model_dir: str,
        model_prefix: str = 'model',
        monitor: Any = None,
        verbose: int = 0,
        save_best: bool = False,
        mode: str = 'auto',
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        max_checkpoints: int = 5,
        resume_from_checkpoint: bool = False,
    ):
        self._watched = Monitored(monitor, mode, 'CheckpointHandler') if save_best else None
        self.monitor: Any = monitor
        self.verbose: int = verbose
        self.save_best: bool = save_best
        self.model_dir: str = model_dir
        self.model_prefix: str = model_prefix
        self.epoch_period: int | None = epoch_period
        self.batch_period: int | None = batch_period
        self.max_checkpoints: int = max_checkpoints
        self.resume_from_checkpoint: bool = resume_from_checkpoint
        self.saved_checkpoints: list[str] = []
        self.current_batch: int = 0
        self.current_epoch: int = 0
        self.trained_epoch: int = -1
        self.trained_batch: int = -1
        self.best: float = 0.0 if self._watched is None else self._watched.worst
        pathlib.Path(model_dir).mkdir(parents=True, exist_ok=True)

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        self.current_batch = self.current_epoch = 0
        if self._watched is not None:
            self.best = self._watched.worst
        if self.resume_from_checkpoint:
            period = self.batch_period if estimator.max_batch else self.epoch_period
            other = self.epoch_period if estimator.max_batch else self.batch_period
            if not period or other:
                raise ArgumentError(
                    'what resumes saves by the period by which training is counted',
                    expected='batch_period for fit(batches=), epoch_period for fit(epochs=), and None for the other',
                )
            self._resume(estimator)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        if self.current_batch == 0:
            self._save_graph(estimator)
        if self.batch_period and (self.current_batch + 1) % self.batch_period == 0:
            self._save(estimator)
        self.current_batch += 1

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        if self.epoch_period and (self.current_epoch + 1) % self.epoch_period == 0:
            self._save(estimator)
        self.current_epoch += 1

    def _file(self, prefix: str, ending: str) -> pathlib.Path:
        return pathlib.Path(self.model_dir) / f'{prefix}.{ending}'

    def _save_graph(self, estimator: Any) -> None:
        try:
            symbol_file, params_file = estimator.net.export(str(pathlib.Path(self.model_dir) / self.model_prefix))
            pathlib.Path(params_file).unlink()
        except (ArgumentError, AttributeError):
            text = 'Model architecture(symbol file) is not saved, please use HybridBlock and call net.hybridize()'
            estimator.logger.info(text)
        else:
            estimator.logger.debug('saved %s', symbol_file)

    def _save(self, estimator: Any) -> None:
        epoch, batch = self.current_epoch, self.current_batch
        if self.resume_from_checkpoint:
            epoch += self.trained_epoch + 1
            batch += self.trained_batch + (0 if estimator.max_epoch else 1)
        prefix = f'{self.model_prefix}-epoch{epoch}batch{batch}'
        self._write(estimator, prefix)
        self.saved_checkpoints.append(prefix)
        if len(self.saved_checkpoints) > self.max_checkpoints:
            old = self.saved_checkpoints.pop(0)
            for ending in ('params', 'states'):
                self._file(old, ending).unlink(missing_ok=True)
        if self._watched is not None:
            value = self._watched.value()
            if self._watched.is_better(value, self.best):
                self._write(estimator, f'{self.model_prefix}-best')
                self.best = value

    def _write(self, estimator: Any, prefix: str) -> None:
        estimator.net.save_parameters(str(self._file(prefix, 'params')))
        estimator.trainer.save_states(str(self._file(prefix, 'states')))
        if self.verbose > 0:
            text = '[Epoch %d] CheckpointHandler: trained total %d batches, saving model at %s with prefix: %s'
            estimator.logger.info(text, self.current_epoch, self.current_batch + 1, self.model_dir, prefix)

    def _resume(self, estimator: Any) -> None:
        pattern = re.compile(rf'{re.escape(self.model_prefix)}-epoch(\d+)batch(\d+)\.params$')
        matches = [pattern.match(path.name) for path in pathlib.Path(self.model_dir).iterdir()]
        found = sorted((int(match[1]), int(match[2])) for match in matches if match)
        if not found:
            self.trained_epoch = self.trained_batch = -1
            estimator.logger.info('CheckpointHandler: No checkpoint found, training from scratch')
            return
        self.trained_epoch, self.trained_batch = found[-1]
        for name, trained in (('max_epoch', self.trained_epoch), ('max_batch', self.trained_batch)):
            wanted = getattr(estimator, name)
            if wanted:
                if trained >= wanted - 1:
                    raise ArgumentError(
                        f'the checkpoint is of {trained + 1} steps of {wanted}', remedy='resume_from_checkpoint=False'
                    )
                setattr(estimator, name, wanted - trained - 1)
        prefix = f'{self.model_prefix}-epoch{self.trained_epoch}batch{self.trained_batch}'
        if not self._file(prefix, 'states').exists():
            raise FileError(f'there are no states beside {prefix}.params')
        estimator.net.load_parameters(str(self._file(prefix, 'params')), ctx=estimator.context)
        estimator.trainer.load_states(str(self._file(prefix, 'states')))
        text = 'CheckpointHandler: Checkpoint resumed from epoch %d batch %d'
        estimator.logger.warning(text, self.trained_epoch, self.trained_batch)


explain_calls(globals())
